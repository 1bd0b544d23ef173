// Direct links: from page to page, and from a native program to a page. Messages, calls, streams.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openProfile } from "./browser.mjs";
import { Member, start, startNode } from "./native.mjs";

test("members call, write and stream to each other", { timeout: 600_000 }, async (t) => {
  const node = await startNode(t);
  const native = await Member.make(t, "Native", { node });
  const id = await native.createGroup("Here");
  const link = await native.invite(id, node.origin, "--uses", "2");
  start(t, ["serve", id, "upper", ...native.shared, "--", "tr", "a-z", "A-Z"]);

  const pages = [];
  for (const name of ["Ada", "Ben"]) {
    const page = await (await openProfile(t, name)).page();
    await page.goto(`${node.origin}/`);
    await page.evaluate(join, { name, link });
    pages.push(page);
  }
  const [ada, ben] = pages;
  await Promise.all(pages.map((page) => page.evaluate(meet, ["Ada", "Ben"])));
  const benId = await ben.evaluate(() => globalThis.peer.id);

  assert.deepEqual(await ada.evaluate(tryWhatFails, benId), {
    refused: ["declined", "not now"], option: "bad-argument", nobody: "not-here", aborted: "aborted",
  });
  await ben.evaluate(serve);
  const told = await ada.evaluate(talk, benId);
  assert.equal(told.purpose, "chess");
  assert.equal(told.score, 6);
  assert.deepEqual(told.many, [1, 2, 3]);
  assert.deepEqual(told.failures, { unserved: "not-served", refused: ["reset", "no such round"], late: "timed-out" });
  assert.deepEqual(told.heard, ["0", "1", "2", "3", "4"]);
  assert.equal(told.echoed, true);
  assert.deepEqual(await ben.evaluate(() => globalThis.told), { messages: [0, 1, 2, 3, 4], closed: null, left: true });

  const { stdout } = await native.run(["call", id, "Ben", "score"], { input: "7" });
  assert.equal(stdout, "14");
  assert.equal(await ada.evaluate(callNative), "HELLO");
});

/** Runs in the page: joins, and answers requests as they say. */
async function join({ name, link }) {
  const { Peer } = await import("/peergraph/index.js");
  globalThis.peer = await Peer.open({ name, nodes: [location.origin] });
  globalThis.group = await globalThis.peer.join(link);
  globalThis.told = { messages: [], closed: undefined, left: false };
  globalThis.group.addEventListener("direct", async ({ detail: { request, direct, change } }) => {
    if (change === "asked" && request.purpose === "refuse me") await request.refuse("not now");
    else if (change === "asked" && request.purpose !== "leave me") globalThis.answer?.(await request.accept());
    if (change === "closed" && direct) globalThis.told.left = true;
  });
}

/** Runs in the page: waits until these members are here. (A promise is true for `waitForFunction`.) */
async function meet(names) {
  const here = async () => (await globalThis.group.nodes()).map(({ peer }) => peer.name);
  for (let known = []; !names.every((name) => known.includes(name)); known = await here()) {
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** Runs in the page: what cannot be. */
async function tryWhatFails(ben) {
  const { group, peer } = globalThis;
  const failed = (doing, ...what) => doing.then(() => "none", (error) => what.length ? [error.code, what[0](error)] : error.code);
  return {
    refused: await failed(group.direct(ben, { purpose: "refuse me" }), ({ message }) => message.split(": ")[1]),
    option: await failed(group.direct(ben, { porpoise: "x" })),
    nobody: await failed(group.direct(peer.id)),
    aborted: await failed(group.direct(ben, { purpose: "leave me", signal: AbortSignal.timeout(500) })),
  };
}

/** Runs in the page: calls the command of the native program. */
async function callNative() {
  const { group } = globalThis;
  const native = (await group.members()).find(({ name }) => name === "Native");
  const direct = await group.direct(native, { purpose: "call upper" });
  const answer = await direct.call("upper", new TextEncoder().encode("hello"));
  await direct.close();
  return new TextDecoder().decode(answer);
}

/** Runs in the page of the one that is asked. */
async function serve() {
  const { group, told } = globalThis;
  await group.serve("score", async ({ data, mediaType }) => {
    if (data === "bad") throw new Error("no such round");
    if (data === "slow") return new Promise(() => {});
    return 2 * Number(mediaType ? data : new TextDecoder().decode(data));
  });
  await group.serve("count", async function* ({ data }) {
    for (let n = 1; n <= data; n += 1) yield n;
  });
  globalThis.answer = async (direct) => {
    direct.on("move", ({ data }) => {
      told.messages.push(data);
      direct.send("seen", String(data));
    });
    direct.closed.then((error) => { told.closed = error; });
    for await (const { readable, writable } of direct.streams()) readable.pipeTo(writable);
  };
}

/** Runs in the page of the one that asks. */
async function talk(ben) {
  const { group } = globalThis;
  const direct = await group.direct(ben, { purpose: "chess" });
  const heard = [];
  const all = new Promise((done) => {
    direct.on("seen", ({ data }) => { if (heard.push(data) === 5) done(); });
  });
  await Promise.all([0, 1, 2, 3, 4].map((number) => direct.send("move", number)));
  await all;
  const many = [];
  for await (const number of direct.responses("count", 3)) many.push(number);
  const code = (doing) => doing.then(() => "none", (error) => error.code);
  const failures = {
    unserved: await code(direct.call("nothing", 1)),
    refused: await direct.call("score", "bad").catch((error) => [error.code, error.message.split(": ")[1]]),
    late: await code(direct.call("score", "slow", { within: 300 })),
  };
  const content = crypto.getRandomValues(new Uint8Array(60_000));
  const { readable, writable } = await direct.stream("log");
  const writer = writable.getWriter();
  const writing = (async () => {
    for (let n = 0; n < 20; n += 1) await writer.write(content);
    await writer.close();
  })();
  const back = new Uint8Array(await new Response(readable).arrayBuffer());
  await writing;
  const echoed = back.length === 20 * content.length && back.every((byte, at) => byte === content[at % content.length]);
  const score = await direct.call("score", 3);
  await direct.close();
  await direct.closed;
  await new Promise((done) => setTimeout(done, 500));
  return { purpose: direct.purpose, score, many, failures, heard, echoed };
}
