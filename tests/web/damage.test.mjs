// Goal: a browser's disk that loses bits, ends, pages or whole entries shows and sends nothing wrong; what is damaged is told,
// dropped, and fetched again from a neighbour.
// Method: the databases of a page are damaged at random between its openings, and while it is open; a native member has
// everything. Each record says which one it is, so that every shown byte can be checked. `SEED` repeats a run.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openProfile } from "./browser.mjs";
import { Member, startNode } from "./native.mjs";

const ROUNDS = Number(process.env.ROUNDS ?? 20);
const SEED = Number(process.env.SEED ?? 1);
const RECORDS = 60;
const TYPE = "damage.note";

test("nothing damaged is shown or sent, and all of it comes back", { timeout: 1_800_000 }, async (t) => {
  const node = await startNode(t);
  const native = await Member.make(t, "Native", { node });
  const group = await native.createGroup("Damage");
  const link = await native.invite(group, node.origin, "--role", "inviting");
  let watch = native.start(["watch", group, "--type", TYPE, "--json"]);

  const page = await openPage(t, "holder", node);
  await page.evaluate(join, { link });
  await page.evaluate(publish, { type: TYPE, count: RECORDS });
  await watch.line(() => watch.lines.length >= RECORDS);
  await page.evaluate(() => globalThis.peer.close());

  let told = 0;
  let cases = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const running = round % 4 === 3;
    const seed = SEED * 1_000 + round;
    const seen = await page.evaluate(live, { type: TYPE, count: RECORDS, seed, running });
    const where = `round ${round} of seed ${SEED}: ${JSON.stringify(seen)}`;
    assert.deepEqual(seen.wrong, [], where);
    assert.equal(seen.count, RECORDS, where);
    // An entry that is gone leaves nothing that could be told of when the store is read; while it is open it is missed.
    const [least, most] = [running ? 0 : seen.damaged, seen.damaged + seen.removed];
    assert.ok(seen.told >= least && seen.told <= most, where);
    told += seen.told;
    cases += seen.damaged + seen.removed;
  }
  assert.ok(told > 0, "some damage was told");
  const quiet = await page.evaluate(live, { type: TYPE, count: RECORDS, seed: null });
  assert.deepEqual([quiet.told, quiet.count], [0, RECORDS], "nothing is damaged any longer");
  console.log(JSON.stringify({ test: "damage in a browser", rounds: ROUNDS, cases, told }));

  // The records that the page holds now go to a newcomer whom nobody else can tell.
  const invitation = await page.evaluate(host);
  await watch.kill();
  const newcomer = await openPage(t, "newcomer", node);
  await newcomer.evaluate(join, { link: invitation });
  const got = await newcomer.evaluate(all, { type: TYPE, count: RECORDS });
  assert.deepEqual(got, { wrong: [], count: RECORDS });
  watch = native.start(["watch", group, "--type", TYPE, "--json"]);
  await watch.line(() => watch.lines.length >= RECORDS);
  assert.doesNotMatch(watch.log + node.log, /misbehav/i, "nobody is blamed");
});

async function openPage(t, name, node) {
  const page = await (await openProfile(t, name)).page();
  await page.goto(`${node.origin}/`);
  await page.evaluate(define);
  return page;
}

/** Runs in the page: what the others need. */
function define() {
  /** Waits until `look` gives something. A record found damaged is requested from neighbours at once; a browser may be slow. */
  globalThis.until = async (look) => {
    const end = performance.now() + 60_000;
    for (;;) {
      const found = await look();
      if (found) return found;
      if (performance.now() > end) return null;
      await new Promise((done) => setTimeout(done, 100));
    }
  };
  globalThis.textOf = (n) => `record ${n}: ${"abcdefghij".repeat(1 + (n % 40))}`;
  /** All records as they are shown, and those of which a byte is wrong. */
  globalThis.shown = async (group, type) => {
    const records = await group.records({ type });
    const isRight = ({ data, mediaType, deleted }) =>
      !deleted && mediaType === "application/json" && data?.text === globalThis.textOf(data?.n);
    const wrong = records.filter((record) => !isRight(record)).map(({ id }) => id);
    return { wrong, count: new Set(records.map(({ data }) => data?.n)).size };
  };
}

/** Runs in the page: becomes a member. */
async function join({ link }) {
  const { Peer } = await import("/peergraph/index.js");
  globalThis.peer = await Peer.open({ name: "Page", nodes: [location.origin] });
  globalThis.group = await globalThis.peer.join(link);
}

/** Runs in the page: publishes records that say which they are. */
async function publish({ type, count }) {
  for (let n = 0; n < count; n += 1) await globalThis.group.publish(type, { n, text: globalThis.textOf(n) });
}

/** Runs in the page: opens it with the node, and makes an invitation. */
async function host() {
  const { Peer } = await import("/peergraph/index.js");
  globalThis.peer = await Peer.open({ nodes: [location.origin] });
  [globalThis.group] = await globalThis.peer.groups();
  return (await globalThis.group.invite({ uses: 1 })).link;
}

/** Runs in the page: waits until everything is here. */
async function all({ type, count }) {
  let last;
  await globalThis.until(async () => {
    last = await globalThis.shown(globalThis.group, type);
    return last.wrong.length > 0 || last.count === count;
  });
  return last;
}

/** Runs in the page: damages what is stored, opens it, and looks until all is back. */
async function live({ type, count, seed, running }) {
  const { Peer } = await import("/peergraph/index.js");
  // Mulberry32, by T. Ettinger: small and the same everywhere.
  let state = seed;
  const chance = (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
  const result = (request) => new Promise((done, fail) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => fail(request.error);
  });
  const spoil = (value, other) => {
    const bytes = value.slice();
    switch (chance(5)) {
      case 0: return bytes.slice(0, chance(bytes.length));
      case 1: return bytes.fill(0, chance(bytes.length - 1));
      case 2: return other;
      case 3: return new Uint8Array([...bytes, chance(256)]);
      default: {
        for (let n = chance(3); n >= 0; n -= 1) bytes[chance(bytes.length)] ^= 1 << chance(8);
        return bytes;
      }
    }
  };
  /** Damages and removes some records of the application. */
  const damage = async (id) => {
    const database = await result(indexedDB.open(`peergraph:${id}`));
    const transaction = database.transaction("entries", "readwrite");
    const store = transaction.objectStore("entries");
    const keys = (await result(store.getAllKeys())).filter((key) => key.byteLength === 51 && new Uint8Array(key)[34] === 2);
    const done = { damaged: 0, removed: 0 };
    const before = new Map();
    for (const key of keys) before.set(key, new Uint8Array(await result(store.get(key))));
    for (const [n, key] of keys.entries()) {
      if (chance(6) !== 0) continue;
      if (chance(4) === 0) {
        store.delete(key);
        done.removed += 1;
        continue;
      }
      const value = spoil(before.get(key), before.get(keys[(n + 1) % keys.length]));
      if (value.length === before.get(key).length && value.every((byte, at) => byte === before.get(key)[at])) continue;
      store.put(value, key);
      done.damaged += 1;
    }
    await new Promise((end) => { transaction.oncomplete = end; });
    database.close();
    return done;
  };

  const id = globalThis.peer.id;
  let done = { damaged: 0, removed: 0 };
  if (seed !== null && !running) done = await damage(id);
  const opening = Peer.open({ nodes: [location.origin] });
  let told = 0;
  const peer = await opening;
  globalThis.peer = peer;
  peer.addEventListener("damaged", ({ detail }) => { told += detail.records; });
  const [group] = await peer.groups();
  if (seed !== null && running) done = await damage(id);
  const wrong = [];
  let last;
  await globalThis.until(async () => {
    last = await globalThis.shown(group, type);
    wrong.push(...last.wrong);
    return last.count === count;
  });
  // The records that came back are on the disk, not only in memory.
  await peer.close();
  return { ...done, told, wrong, count: last.count };
}
