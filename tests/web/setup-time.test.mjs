// Goal: how long a browser takes from dialling a native member to the first verified record, and from opening.
// Method: a member that is known from before is met again, 20 times; each time a record waits there that the browser
// has not got. Prints one JSON object; asserts nothing about time.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openProfile } from "./browser.mjs";
import { Member, startNode } from "./native.mjs";

const ROUNDS = 20;
const TYPE = "time.mark";

test("time from dialling to the first verified record", { timeout: 600_000 }, async (t) => {
  const node = await startNode(t);
  const native = await Member.make(t, "Native", { node });
  const group = await native.createGroup("Times");
  const link = await native.invite(group, node.origin);
  // Publishes each line that it is given, and is a member like any other in between.
  const publisher = native.start(["publish", group, TYPE, "--lines"], { input: "pipe" });

  const profile = await openProfile(t, "browser");
  const page = await profile.page();
  await page.goto(`${node.origin}/`);
  publisher.process.stdin.write("first\n");
  await page.evaluate(join, { link, type: TYPE });

  const rounds = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const mark = `round ${round}`;
    publisher.process.stdin.write(`${mark}\n`);
    // Long enough to be durable there.
    await page.waitForTimeout(150);
    rounds.push(await page.evaluate(meet, { type: TYPE, mark }));
  }
  assert.equal(rounds.length, ROUNDS);
  const median = (key) => {
    const sorted = rounds.map((round) => round[key]).sort((a, b) => a - b);
    return Number(((sorted[ROUNDS / 2 - 1] + sorted[ROUNDS / 2]) / 2).toFixed(1));
  };
  const max = (key) => Number(Math.max(...rounds.map((round) => round[key])).toFixed(1));
  console.log(JSON.stringify({
    benchmark: "link set-up browser-native", rounds: ROUNDS,
    dial_to_record_ms: median("dial"), dial_to_record_ms_max: max("dial"),
    open_to_record_ms: median("open"), open_to_record_ms_max: max("open"),
  }));
});

/** Runs in the page: joins, waits for a record, and leaves. */
async function join({ link, type }) {
  const { Peer } = await import("/peergraph/index.js");
  const peer = await Peer.open({ name: "Browser", nodes: [location.origin] });
  const group = await peer.join(link);
  for await (const record of group.watch(type)) if (record) break;
  await peer.close();
}

/** Runs in the page: opens, meets the member that it knows, and measures. */
async function meet({ type, mark }) {
  const { Peer } = await import("/peergraph/index.js");
  const from = performance.now();
  const opening = Peer.open();
  const peer = await opening;
  let dialled = null;
  const begun = (event) => { if (event.detail.state === "opening") dialled ??= performance.now(); };
  peer.addEventListener("link", begun);
  const [group] = await peer.groups();
  for await (const record of group.watch(type)) {
    if (new TextDecoder().decode(record.data) === mark) break;
  }
  const end = performance.now();
  await peer.close();
  // A link that was dialled before `open` was done counts from the beginning of it.
  return { open: end - from, dial: end - (dialled ?? from) };
}
