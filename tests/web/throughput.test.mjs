// Goal: how fast records pass between a browser and a native member, each way, through all layers: signed, flooded over
// the data channel, verified, durable.
// Method: two members, records of 256 KiB; the reader's clock runs from the first record to the last. Prints one JSON
// object; asserts nothing about time.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openProfile } from "./browser.mjs";
import { Member, startNode } from "./native.mjs";

const RECORDS = 64;
const BYTES = 256 * 1024;
const [UP, DOWN] = ["load.up", "load.down"];

test("records between a browser and a native member", { timeout: 600_000 }, async (t) => {
  const node = await startNode(t);
  const native = await Member.make(t, "Native", { node });
  const group = await native.createGroup("Load");
  const link = await native.invite(group, node.origin);
  const publisher = native.start(["publish", group, DOWN, "--lines"], { input: "pipe" });

  const profile = await openProfile(t, "browser");
  const page = await profile.page();
  await page.goto(`${node.origin}/`);
  await page.evaluate(join, link);

  const reading = page.evaluate(read, { type: DOWN, count: RECORDS });
  const line = "x".repeat(BYTES - 1);
  for (let n = 0; n < RECORDS; n += 1) publisher.process.stdin.write(`${line}\n`);
  const down = await reading;
  assert.ok(down.bytes >= RECORDS * (BYTES - 1), `${down.bytes} bytes arrived`);
  publisher.process.stdin.end();
  await publisher.ended;

  const watch = native.start(["watch", group, "--type", UP, "--json"]);
  await page.evaluate(publish, { type: UP, count: 1, bytes: BYTES });
  await watch.line(() => true);
  const from = performance.now();
  await page.evaluate(publish, { type: UP, count: RECORDS, bytes: BYTES });
  while (watch.lines.length < RECORDS + 1) await new Promise((done) => setTimeout(done, 5));
  const up = performance.now() - from;

  const rate = (bytes, ms) => Number((bytes / 1e3 / ms).toFixed(1));
  console.log(JSON.stringify({
    benchmark: "records browser-native", records: RECORDS, record_bytes: BYTES,
    native_to_browser_mb_s: rate(down.bytes, down.ms), browser_to_native_mb_s: rate(RECORDS * BYTES, up),
  }));
});

/** Runs in the page: becomes a member. */
async function join(link) {
  const { Peer } = await import("/peergraph/index.js");
  globalThis.peer = await Peer.open({ name: "Browser", nodes: [location.origin] });
  globalThis.group = await globalThis.peer.join(link);
}

/** Runs in the page: reads so many records, and how long that took from the first one on. */
async function read({ type, count }) {
  let [from, bytes, seen] = [0, 0, 0];
  for await (const record of globalThis.group.watch(type)) {
    from ||= performance.now();
    bytes += record.data.length;
    seen += 1;
    if (seen === count) break;
  }
  return { bytes, ms: performance.now() - from };
}

/** Runs in the page: publishes so many records at once. */
async function publish({ type, count, bytes }) {
  const payload = new Uint8Array(bytes).fill(120);
  const all = Array.from({ length: count }, () => globalThis.group.publish(type, payload));
  await Promise.all(all);
}
