// What Chromium spends, as the kernel counts it.
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

/**
 * Does `work`, and gives its result with the CPU seconds that it took: `main`, in the main threads of pages; `pages`, in
 * all their threads; `browser`, in everything that belongs to the browser.
 */
export async function cpuOf(page, work) {
  const browser = await page.context().browser().newBrowserCDPSession();
  const read = async () => {
    const { processInfo } = await browser.send("SystemInfo.getProcessInfo");
    const sum = { main: 0, pages: 0, browser: 0 };
    for (const { type, id } of processInfo) {
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
  await browser.detach();
  const cpu = Object.fromEntries(Object.keys(after).map((key) => [key, after[key] - before[key]]));
  return { result, cpu };
}
