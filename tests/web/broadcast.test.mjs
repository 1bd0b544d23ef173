// Messages to all who are here: from page to page, from a page to a native program, and back. Nobody stores them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openProfile } from "./browser.mjs";
import { Member, startNode } from "./native.mjs";

const COUNT = 40;

test("messages reach all who are here, and nobody stores them", { timeout: 600_000 }, async (t) => {
  const node = await startNode(t);
  const native = await Member.make(t, "Native", { node });
  const id = await native.createGroup("Here");
  const link = await native.invite(id, node.origin, "--uses", "2");
  const listening = native.start(["listen", id, "--json"]);

  const pages = [];
  for (const name of ["Ada", "Ben"]) {
    const page = await (await openProfile(t, name)).page();
    await page.goto(`${node.origin}/`);
    await page.evaluate(join, { name, link });
    pages.push(page);
  }
  const [ada, ben] = pages;
  await Promise.all(pages.map((page) => page.waitForFunction(() => globalThis.group.ready)));
  // A message that is sent before the members know each other is lost, as it may be.
  await Promise.all([ada.evaluate(callUntilHeard, "Ben"), ben.evaluate(callUntilHeard, "Ada")]);

  const codes = await ada.evaluate(send, COUNT);
  assert.deepEqual(codes, { long: "too-long", option: "bad-argument", value: "bad-argument" });
  await ben.waitForFunction((count) => globalThis.heard.filter(({ type }) => type === "cursor").length === count, COUNT);
  const heard = await ben.evaluate(() => globalThis.heard.filter(({ type }) => type === "cursor"));
  assert.deepEqual(heard.map(({ data }) => data.x).toSorted((a, b) => a - b), Array.from({ length: COUNT }, (_, x) => x));
  assert.deepEqual([...new Set(heard.map(({ from }) => from.name))], ["Ada"]);
  assert.equal(await ada.evaluate(() => globalThis.heard.filter(({ type }) => type === "cursor").length), 0, "its own");

  const told = await listening.line((line) => line?.type === "cursor" && line.payload === JSON.stringify({ x: COUNT - 1 }));
  assert.deepEqual([told.name, told.media_type], ["Ada", "application/json"]);

  await native.run(["broadcast", id, "typing"], { input: "hello" });
  for (const page of pages) {
    await page.waitForFunction(() => globalThis.heard.some(({ type, data }) => type === "typing" && data === "hello"));
  }
  assert.deepEqual(await ada.evaluate(async () => (await globalThis.group.records()).length), 0);
  assert.equal((await listening.stop()).code, 0);
});

/** Runs in the page: joins, and keeps what it hears. */
async function join({ name, link }) {
  const { Peer } = await import("/peergraph/index.js");
  const peer = await Peer.open({ name, nodes: [location.origin] });
  globalThis.group = await peer.join(link);
  globalThis.heard = [];
  for (const type of ["hello", "cursor", "typing"]) {
    globalThis.group.on(type, ({ from, data }) => {
      const text = data instanceof Uint8Array ? new TextDecoder().decode(data) : data;
      globalThis.heard.push({ type, from: { ...from }, data: text });
    });
  }
}

/** Runs in the page: says hello until the other one answers. */
async function callUntilHeard(other) {
  while (!globalThis.heard.some(({ type, from }) => type === "hello" && from.name === other)) {
    await globalThis.group.broadcast("hello", null);
    await new Promise((done) => setTimeout(done, 200));
  }
  // The other one may not have heard yet.
  await globalThis.group.broadcast("hello", null);
}

/** Runs in the page: moves a cursor, and tries what cannot be sent. */
async function send(count) {
  const { group } = globalThis;
  for (let x = 0; x < count; x += 1) {
    await group.broadcast("cursor", { x });
    await new Promise((done) => setTimeout(done, 50));
  }
  const code = (sending) => sending.then(() => "none", (error) => error.code);
  return {
    long: await code(group.broadcast("cursor", new Uint8Array(4_097))),
    option: await code(group.broadcast("cursor", 1, { store: true })),
    value: await code(group.broadcast("cursor", undefined)),
  };
}
