// Five thousand records published in a page as fast as it takes them, through a stream and all at once: nothing is lost,
// and the memory of the page stays bounded.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openProfile } from "./browser.mjs";
import { Member, startNode } from "./native.mjs";
import { mostMemory } from "./spent.mjs";

const RECORDS = 5_000;
const TEXT = "x".repeat(2_000);
/**
 * Megabytes that the page may need beyond what it had as a fresh member. Measured: 105 to 153 in five runs, since records are
 * plain data as soon as they come, and how much of that is garbage is the browser's choice. Twice the middle of it.
 */
const MEGABYTES_MAX = 250;
const TYPE = "flow.note";

test("a stream of records from a browser reaches a native member whole", { timeout: 600_000 }, async (t) => {
  const node = await startNode(t);
  const native = await Member.make(t, "Native", { node });
  const group = await native.createGroup("Flow");
  const link = await native.invite(group, node.origin);
  const watch = native.start(["watch", group, "--type", TYPE, "--json"]);

  const profile = await openProfile(t, "browser");
  const page = await profile.page();
  await page.goto(`${node.origin}/`);
  await page.evaluate(join, link);

  const before = await mostMemory(page);
  const stored = await page.evaluate(publishAll, { type: TYPE, count: RECORDS, text: TEXT });
  assert.equal(stored, RECORDS);
  await watch.line(() => watch.lines.length >= RECORDS, { timeout: 300_000 });
  const numbers = new Set(watch.lines.map((line) => JSON.parse(JSON.parse(line).payload).n));
  assert.equal(numbers.size, RECORDS, "every record once");
  const most = await mostMemory(page);
  // The records are 10 MB together.
  assert.ok(most - before < MEGABYTES_MAX, `${most} MB, before ${before} MB`);
  console.log(JSON.stringify({ test: "flow from a browser", records: RECORDS, before_mb: before, most_mb: most }));
});

/** Runs in the page: becomes a member. */
async function join(link) {
  const { Peer } = await import("/peergraph/index.js");
  globalThis.peer = await Peer.open({ name: "Browser", nodes: [location.origin] });
  globalThis.group = await globalThis.peer.join(link);
}

/** Runs in the page: publishes half through a stream, half at once without waiting. */
async function publishAll({ type, count, text }) {
  const { group } = globalThis;
  const writer = group.writable(type).getWriter();
  for (let n = 0; n < count / 2; n += 1) {
    await writer.ready;
    writer.write({ n, text });
  }
  await writer.close();
  await Promise.all(Array.from({ length: count / 2 }, (_, n) => group.publish(type, { n: n + count / 2, text })));
  let stored = 0;
  let after;
  do {
    const page = await group.records({ type, after });
    stored += page.length;
    after = page.next;
  } while (after);
  return stored;
}
