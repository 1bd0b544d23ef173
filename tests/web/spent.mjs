// The time that Chromium spends, as the kernel counts it.
import { readFileSync } from "node:fs";

/** Clock ticks a second in /proc, on every Linux that there is. */
const TICKS = 100;

/** CPU seconds of a process: of its first thread, to the nanosecond, and of all of them, to the tick. */
function spent(process) {
  try {
    const [first] = readFileSync(`/proc/${process}/schedstat`, "utf8").split(" ");
    const all = readFileSync(`/proc/${process}/stat`, "utf8").replace(/^.*\) /s, "").split(" ");
    return { first: Number(first) / 1e9, all: (Number(all[11]) + Number(all[12])) / TICKS };
  } catch {
    // It has ended.
    return { first: 0, all: 0 };
  }
}

/** The processes of the browser of a page. */
async function processes(page) {
  const browser = await page.context().browser().newBrowserCDPSession();
  const { processInfo } = await browser.send("SystemInfo.getProcessInfo");
  await browser.detach();
  return processInfo;
}

/**
 * Does `work`, and gives its result with the CPU seconds that it took: `main`, in the main threads of pages; `pages`, in
 * all their threads; `browser`, in everything that belongs to the browser.
 */
export async function cpuOf(page, work) {
  const read = async () => {
    const sum = { main: 0, pages: 0, browser: 0 };
    for (const { type, id } of await processes(page)) {
      const { first, all } = spent(id);
      sum.browser += all;
      if (type !== "renderer") continue;
      sum.main += first;
      sum.pages += all;
    }
    return sum;
  };
  const before = await read();
  const result = await work();
  const after = await read();
  const cpu = Object.fromEntries(Object.keys(after).map((key) => [key, after[key] - before[key]]));
  return { result, cpu };
}

/** The most memory that a process of a page has had at one time, in megabytes. */
export async function mostMemory(page) {
  const pages = (await processes(page)).filter(({ type }) => type === "renderer");
  const most = ({ id }) => Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${id}/status`, "utf8"))[1]) / 1024;
  return Math.round(Math.max(...pages.map(most)));
}
