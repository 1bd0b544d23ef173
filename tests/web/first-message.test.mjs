// How long a person waits: from following an invitation to the first message, and for a message between two pages.
//
// Goal: figures beside those of other systems, which `README.md` names. Method: two browsers and a node, all on this
// machine; each round is a new group with one message in it, a newcomer that joins by link, and messages one way. A time
// of one page is compared with a time of the other by the wall clock, which both share.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openProfile } from "./browser.mjs";
import { startNode } from "./native.mjs";

const ROUNDS = Number(process.env.ROUNDS ?? 5);
const MESSAGES = 5;
const TYPE = "chat.message";

test("what a newcomer and a reader wait for", { timeout: 120_000 + ROUNDS * 60_000 }, async (t) => {
  const node = await startNode(t);
  const [ada, bob] = [await openProfile(t, "ada"), await openProfile(t, "bob", { before: countConnections })];
  const [a, b] = [await ada.page(), await bob.page()];
  const connections = [];
  const measured = { open_to_message_ms: [], join_to_message_ms: [], message_ms: [] };
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const page of [a, b]) await page.goto(`${node.origin}/`);
    const link = await a.evaluate(begin, { type: TYPE, storage: `first-${round}`, text: "welcome" });
    // Its node is linked, and nothing is left to do.
    await a.waitForTimeout(1_000);
    const { opened, joining, came } = await b.evaluate(enter, {
      type: TYPE, storage: `first-${round}`, text: "welcome", link });
    connections.push(await b.evaluate(() => globalThis.connections));
    measured.open_to_message_ms.push(came - opened);
    measured.join_to_message_ms.push(came - joining);
    await b.waitForTimeout(500);
    for (let nth = 0; nth < MESSAGES; nth += 1) {
      const text = `message ${nth}`;
      const sees = a.evaluate(({ text }) => globalThis.arrival(text), { text });
      const said = await b.evaluate(({ type, text }) => globalThis.say(type, text), { type: TYPE, text });
      measured.message_ms.push(await sees - said);
    }
    for (const page of [a, b]) await page.evaluate(() => globalThis.peer.close());
  }
  // One that is closed at once, which tells whether there is WebRTC; one to the node, one to Ada. A busy machine may need more.
  assert.equal(Math.min(...connections), 3, `connections of each round: ${connections}`);
  assert.ok(connections.every((count) => count <= 6), `connections of each round: ${connections}`);
  assert.equal(measured.message_ms.length, ROUNDS * MESSAGES);
  assert.ok(Object.values(measured).flat().every(Number.isFinite), JSON.stringify(measured));
  const figures = Object.entries(measured).flatMap(([name, all]) => {
    const sorted = all.toSorted((x, y) => x - y);
    const median = (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
    return [[name, Number(median.toFixed(1))], [`${name}_max`, Number(sorted.at(-1).toFixed(1))]];
  });
  console.log(JSON.stringify({ benchmark: "first message", rounds: ROUNDS, ...Object.fromEntries(figures) }));
});

/** Runs in each page of Bob before all else. */
function countConnections() {
  globalThis.connections = 0;
  for (const name of ["RTCPeerConnection", "WebSocket"]) {
    globalThis[name] = class extends globalThis[name] {
      constructor(...options) {
        super(...options);
        globalThis.connections += 1;
      }
    };
  }
}

/** Runs in the page: opens, makes a group with one message in it, and returns an invitation. */
async function begin({ type, storage, text }) {
  const { Peer } = await import("/peergraph/index.js");
  const peer = await Peer.open({ name: "Ada", nodes: [location.origin], storage });
  const group = await peer.createGroup({ name: "First" });
  await group.publish(type, text);
  const times = new Map();
  const waiting = new Map();
  const now = () => performance.timeOrigin + performance.now();
  (async () => {
    for await (const { data } of group.watch(type)) {
      times.set(data, now());
      waiting.get(data)?.(times.get(data));
    }
  })();
  Object.assign(globalThis, {
    peer,
    arrival: (of) => times.get(of) ?? new Promise((done) => waiting.set(of, done)),
  });
  return (await group.invite()).link;
}

/** Runs in the page: opens, joins, and waits for the first message. */
async function enter({ type, storage, text, link }) {
  const { Peer } = await import("/peergraph/index.js");
  const now = () => performance.timeOrigin + performance.now();
  const opened = now();
  const peer = await Peer.open({ name: "Bob", nodes: [location.origin], storage });
  const joining = now();
  const group = await peer.join(link);
  let came;
  for await (const { data } of group.watch(type)) {
    if (data === text) {
      came = now();
      break;
    }
  }
  Object.assign(globalThis, {
    peer,
    say: (kind, data) => {
      const said = now();
      group.publish(kind, data);
      return said;
    },
  });
  return { opened, joining, came };
}
