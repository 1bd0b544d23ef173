// How long a page stands still: the tasks of its main thread, as Chromium records them.

/** The longest task of a page that is to stay alive. Milliseconds. Source: the W3C's "long task". */
const LONG_MS = 50;

/**
 * Does `work`, and gives its result with the tasks of the page's main thread that took long meanwhile: by the clock, as the
 * user saw them, and in CPU time (`cpu`), which other programs of the machine do not lengthen much.
 */
export async function tasksOf(page, work) {
  const browser = await page.context().browser().newBrowserCDPSession();
  const [names, tasks] = [new Map(), []];
  browser.on("Tracing.dataCollected", ({ value }) => {
    for (const { name, pid, tid, args, dur, tdur } of value) {
      const thread = `${pid}:${tid}`;
      if (name === "thread_name") names.set(thread, args.name);
      if (name === "ThreadControllerImpl::RunTask" && dur > LONG_MS * 500) {
        tasks.push({ thread, ms: dur / 1_000, cpu: (tdur ?? dur) / 1_000 });
      }
    }
  });
  const traceConfig = { includedCategories: ["toplevel", "__metadata"], excludedCategories: ["*"] };
  await browser.send("Tracing.start", { transferMode: "ReportEvents", traceConfig });
  const result = await work();
  const complete = new Promise((done) => browser.once("Tracing.tracingComplete", done));
  await browser.send("Tracing.end");
  await complete;
  await browser.detach();
  const main = tasks.filter(({ thread }) => names.get(thread) === "CrRendererMain");
  const figures = (key) => {
    const over = (limit) => main.filter((task) => task[key] > limit).length;
    return { over_50: over(LONG_MS), over_100: over(2 * LONG_MS), longest: Math.round(Math.max(0, ...main.map((task) => task[key]))) };
  };
  return { result, tasks: figures("ms"), tasks_cpu: figures("cpu") };
}
