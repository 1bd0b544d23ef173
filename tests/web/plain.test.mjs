// Goal: what the package gives is plain data, what it is given wrongly is refused with a reason, and what is ended ends
// at once. Method: one page, a peer for each story, nothing but the package's own functions.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Member, openPage } from "./native.mjs";

test("records are plain data for every library that keeps state", async (t) => {
  const { page } = await openPage(t, "plain");
  const seen = await page.evaluate(async () => {
    const { Peer } = await import("/peergraph/index.js");
    const peer = await Peer.open({ name: "Ada", storage: "plain" });
    const group = await peer.createGroup({ name: "Plain" });
    const heard = new Promise((done) => group.addEventListener("record", ({ detail }) => done(detail.record), { once: true }));
    const attributes = { large: 2n ** 62n, day: new Date(1e12) };
    const made = await group.publish("note", { text: "Olá", done: false }, { attributes });
    const updated = await group.update(made.id, { text: "again" });
    // As reactive stores do: proxies all the way down.
    const deep = (value) => (value === null || typeof value !== "object" || value instanceof Date ? value
      : new Proxy(value, { get: (target, key, at) => deep(Reflect.get(target, key, at)) }));
    const takes = (record) => {
      const text = JSON.parse(JSON.stringify(record));
      return {
        same: JSON.stringify(structuredClone(record)) === JSON.stringify(record), data: text.data,
        creator: text.creator.name, copied: { ...record }.data, proxied: deep(record).data.text,
        large: text.attributes.large, version: /^\d{20}$/.test(record.version), me: deep(record).creator.me,
        day: structuredClone(record).attributes.day.getTime(), mediaType: record.mediaType,
        own: Object.getPrototypeOf(record) === Object.prototype && Object.keys(record).includes("data"),
      };
    };
    const [page] = [await group.records()];
    const watched = (await group.watch("note").next()).value;
    const kept = (record) => record.attributes.large === updated.attributes.large;
    const result = {
      made: takes(made), heard: takes(await heard), rises: updated.version > made.version && updated.edition > made.edition,
      statuses: [(await heard).status, made.status],
      updated: [updated.data, updated.modifier.me, made.modifier, kept(page[0]), kept(watched), updated.data === page[0].data],
      status: [made.status, group.statusOf(made), group.statusOf(made.id)],
      page: structuredClone(page).length,
    };
    await peer.close();
    return result;
  });
  const one = {
    same: true, data: { text: "Olá", done: false }, creator: "Ada", copied: { text: "Olá", done: false }, proxied: "Olá",
    large: String(2n ** 62n), version: true, me: true, day: 1e12, mediaType: "application/json", own: true,
  };
  assert.deepEqual(seen, {
    made: one, heard: one, rises: true, statuses: ["storing", "stored"], updated: [{ text: "again" }, true, null, true, true, false],
    status: ["stored", "stored", "stored"], page: 1,
  });
});

test("bytes of every kind come back as bytes, from everybody", async (t) => {
  const { page, node } = await openPage(t, "bytes");
  const ada = await Member.make(t, "Ada", { node });
  const group = await ada.createGroup("Bytes");
  const link = await ada.invite(group, node.origin);
  await ada.run(["publish", group, "raw", "--wait", "stored"], { input: "123" });
  const watch = ada.start(["watch", group, "--json"]);
  const seen = await page.evaluate(async (link) => {
    const { Peer } = await import("/peergraph/index.js");
    const peer = await Peer.open({ name: "Bob", storage: "bytes", nodes: [location.origin] });
    const group = await peer.join(link);
    const shown = (record) => [
      record.data instanceof Uint8Array ? new TextDecoder().decode(record.data) : record.data, record.mediaType];
    const kinds = {};
    for await (const record of group.watch("raw")) {
      kinds.native = shown(record);
      break;
    }
    const bytes = new TextEncoder().encode("x123y").subarray(1, 4);
    const given = {
      array: bytes, buffer: bytes.slice().buffer, view: new DataView(bytes.buffer, bytes.byteOffset, 3),
      shorts: new Uint16Array(new TextEncoder().encode("1234").buffer), blob: new Blob(["123"]),
      image: new Blob(["<svg/>"], { type: "image/svg+xml" }), number: 123, text: "123",
    };
    for (const [name, data] of Object.entries(given)) {
      const record = await group.publish("kind", data);
      kinds[name] = shown(await group.get(record.id));
    }
    const named = await group.publish("kind", bytes, { mediaType: "text/csv" });
    kinds.named = shown(named);
    kinds.lines = shown(await group.publish("kind", bytes, { mediaType: "text/x;\n\na=é", attributes: { a: [1, "b\nc"] } }));
    kinds.keeps = shown(await group.update(named, new TextEncoder().encode("4")));
    kinds.turned = shown(await group.update(named, [4]));
    await peer.close();
    return kinds;
  }, link);
  assert.deepEqual(seen, {
    native: ["123", null], array: ["123", null], buffer: ["123", null], view: ["123", null], shorts: ["1234", null],
    blob: ["123", null], image: ["<svg/>", "image/svg+xml"], number: [123, "application/json"],
    text: ["123", "application/json"], named: ["123", "text/csv"],
    lines: ["123", "text/x;\n\na=é"], keeps: ["4", "text/csv"],
    turned: [[4], "application/json"],
  });
  await watch.stop();
});

test("what JSON cannot say, and options that are not there, are refused by name", async (t) => {
  const { page } = await openPage(t, "refused");
  const seen = await page.evaluate(async () => {
    const { Peer, PeergraphError, identities, init } = await import("/peergraph/index.js");
    const peer = await Peer.open({ name: "Ada", storage: "refused" });
    const group = await peer.createGroup({ name: "Refused" });
    const record = await group.publish("note", 1);
    const cyclic = { name: "ring" };
    cyclic.self = cyclic;
    const gone = new Uint8Array(8);
    structuredClone(gone, { transfer: [gone.buffer] });
    let deep = [];
    for (let i = 0; i < 100_000; i += 1) deep = [deep];
    class Hidden { #secret = 1; read() { return this.#secret; } }
    const payloads = {
      "data is undefined": undefined, "a function": () => {}, "a symbol": Symbol("x"), "a bigint": 1n,
      "id in data is a bigint": { id: 1n }, "a Map": new Map(), "tags in data is a Set": { tags: new Set([1]) },
      "photo in data is a Uint8Array": { photo: new Uint8Array(1) }, "NaN": [Number.NaN], "undefined, which": [undefined],
      "a RegExp": /x/, "a Promise": Promise.resolve(1), "a Object": new Hidden(), "circular": cyclic, "cannot be said": deep,
      "on purpose": { get text() { throw new Error("on purpose"); } }, "given away": gone,
    };
    const wrong = [];
    const check = async (words, attempt) => {
      const error = await (async () => attempt())().then(() => null, (thrown) => thrown);
      const right = error instanceof PeergraphError && error.code === "bad-argument" && error.message.includes(words);
      if (!right) wrong.push([words, String(error?.message)]);
    };
    for (const [words, data] of Object.entries(payloads)) {
      await check(words, () => group.publish("note", data));
      await check(words, () => group.update(record, data));
    }
    await check("undefined", () => group.update(record.id));
    await check("record", () => group.update(undefined, 1));
    await check("mediaType", () => group.publish("note", { text: "x" }, { mediaType: "text/plain" }));
    await check("mediaType", () => group.publish("note", 1, { attributes: { mediaType: "a/b" } }));
    const slip = { nodse: 1 };
    const calls = {
      "did you mean nodes": () => Peer.open({ node: location.origin }),
      "peer.createGroup": () => peer.createGroup({ name: "X", ...slip }), "peer.join": () => peer.join("x", slip),
      "peer.groups": () => peer.groups(slip), "peer.links": () => peer.links(slip),
      "group.publish": () => group.publish("note", 1, slip), "group.update": () => group.update(record, 1, slip),
      "group.delete": () => group.delete(record, slip), "group.records": () => group.records(slip),
      "group.get": () => group.get(record.id, slip), "group.watch": () => group.watch("note", slip),
      "group.writable": () => group.writable("note", slip), "group.set": () => group.set(slip),
      "group.invite": () => group.invite(slip), "group.invitations": () => group.invitations(slip),
      "group.withdraw": () => group.withdraw("x", slip), "group.members": () => group.members(slip),
      "group.promote": () => group.promote(peer.id, slip), "group.revoke": () => group.revoke(peer.id, slip),
      "group.reinstate": () => group.reinstate(peer.id, slip), "group.nodes": () => group.nodes(slip),
      "group.rotateKey": () => group.rotateKey(slip), "group.offerOwnership": () => group.offerOwnership(slip),
      "group.handOver": () => group.handOver(peer.id, slip),
      "group.present": () => group.present(slip), "group.neighbours": () => group.neighbours(slip),
      "group.leave": () => group.leave(slip), "identities.list": () => identities.list(slip),
      "identities.create": () => identities.create({ name: "X", ...slip }), "init": () => init(slip),
      "a policy": () => peer.createGroup({ name: "X", policy: slip }), "AbortSignal": () => group.get(record.id, { signal: 1 }),
      "as an object": () => group.records("note"), "wasm is": () => init({ wasm: 7 }),
    };
    for (const [words, call] of Object.entries(calls)) await check(words, call);
    const left = (await group.records()).map((it) => it.data);
    await peer.close();
    return { wrong, left };
  });
  assert.deepEqual(seen, { wrong: [], left: [1] });
});

test("a change made for an older version is refused, and can be merged", async (t) => {
  const { page } = await openPage(t, "merge");
  const seen = await page.evaluate(async () => {
    const { Peer } = await import("/peergraph/index.js");
    const peer = await Peer.open({ name: "Ada", storage: "merge" });
    const group = await peer.createGroup({ name: "Merge" });
    const first = await group.publish("task", { title: "Paint", done: false });
    const ifVersion = first.version;
    const second = await group.update(first, { title: "Paint it", done: false }, { ifVersion });
    const failed = await group.update(first, { title: "Paint", done: true }, { ifVersion }).catch((error) => error);
    const merge = (theirs, mine) => ({ ...theirs.data, done: mine.done });
    const merged = await group.update(first, { title: "Paint", done: true }, { ifVersion, merge });
    const many = await Promise.all(Array.from({ length: 5 }, (_, n) => group.update(first, { [n]: true }, {
      ifVersion, merge: (theirs, mine) => ({ ...theirs.data, ...mine }) })));
    const kept = await group.delete(first, { ifVersion }).catch((error) => error.code);
    const all = (await group.get(first.id)).data;
    await group.delete(first, { ifVersion: (await group.get(first.id)).version });
    const result = {
      code: failed.code, theirs: failed.record.data.title, version: failed.record.version === second.version,
      merged: merged.data, all, kept, many: many.length, gone: await group.get(first.id),
    };
    await peer.close();
    return result;
  });
  assert.deepEqual(seen, {
    code: "changed-meanwhile", theirs: "Paint it", version: true, merged: { title: "Paint it", done: true },
    all: { title: "Paint it", done: true, 0: true, 1: true, 2: true, 3: true, 4: true },
    kept: "changed-meanwhile", many: 5, gone: null,
  });
});

test("a watch tells when all that is stored was given, gives the newest first, and ends when it is left", async (t) => {
  const { page } = await openPage(t, "watch");
  const seen = await page.evaluate(async () => {
    const { Peer } = await import("/peergraph/index.js");
    const peer = await Peer.open({ name: "Ada", storage: "watch" });
    const group = await peer.createGroup({ name: "Watch" });
    await Promise.all(Array.from({ length: 450 }, (_, n) => group.publish("note", n)));
    const take = async (options, count) => {
      const values = [];
      for await (const record of group.watch("note", { ...options, onStored: () => values.push("stored") })) {
        values.push(record.data);
        if (values.length === 1 && count.late !== undefined) await group.publish("note", count.late);
        if (values.length >= count.wanted) break;
      }
      return values;
    };
    const all = await take({ order: "newest" }, { wanted: 452, late: 450 });
    const few = await take({ order: "newest", limit: 3 }, { wanted: 5, late: 451 });
    const pages = [];
    for (let after; after !== null;) {
      const page = await group.records({ order: "newest", limit: 200, after });
      pages.push(page.map((record) => record.data));
      after = page.next;
    }
    // Idle: nothing more arrives.
    const idle = group.watch("quiet");
    const waiting = idle.next();
    await new Promise((done) => setTimeout(done, 50));
    const returned = await idle.return();
    const ended = await waiting;
    const thrown = group.watch("quiet");
    const pending = thrown.next();
    const error = await thrown.throw(new Error("as given")).catch((it) => it.message);
    const stop = new AbortController();
    const aborted = group.watch("quiet", { signal: stop.signal }).next();
    setTimeout(() => stop.abort());
    const unused = await group.watch("note").return();
    const result = {
      all: [all.length, all[0], all[449], all.slice(-2)], few, pages: [pages.map((it) => it.length), pages.flat().slice(0, 2)],
      ends: [returned.done, ended.done, (await pending).done, error, (await aborted).done, unused.done],
    };
    await peer.close();
    return result;
  });
  assert.deepEqual(seen, {
    all: [452, 449, 0, ["stored", 450]], few: [450, 449, 448, "stored", 451],
    pages: [[200, 200, 52], [451, 450]], ends: [true, true, true, "as given", true, true],
  });
});

// Goal: a slow reader gets every record, though more waits than is kept whole, and the last version of each. Method: while it
// reads the first of 40 records of 64 KB, the others come, and one of them is changed twice.
test("a reader that is slow gets every record once, as it is then", async (t) => {
  const { page } = await openPage(t, "slow");
  const seen = await page.evaluate(async () => {
    const { Peer } = await import("/peergraph/index.js");
    const peer = await Peer.open({ name: "Ada", storage: "slow" });
    const group = await peer.createGroup({ name: "Slow" });
    const load = "x".repeat(65_536);
    const publish = (n) => group.publish("load", { n, load });
    const stored = Promise.withResolvers();
    const reader = group.watch("load", { onStored: stored.resolve });
    const first = reader.next();
    await stored.promise;
    await publish(0);
    const values = [(await first).value.data.n];
    const made = [];
    for (let n = 1; n < 40; n += 1) made.push(await publish(n));
    for (const n of [100, 101]) await group.update(made[37], { n, load });
    while (values.length < 40) values.push((await reader.next()).value.data.n);
    await reader.return();
    await peer.close();
    return values;
  });
  const expected = Array.from({ length: 40 }, (_, n) => n).filter((n) => n !== 38);
  assert.deepEqual(seen, [...expected, 101]);
});

test("an aborted wait ends at once, and what is tried again goes through", async (t) => {
  const { page, node } = await openPage(t, "again");
  const ada = await Member.make(t, "Ada", { node });
  const group = await ada.createGroup("Again");
  const link = await ada.invite(group, node.origin);
  const seen = await page.evaluate(async () => {
    const { Peer, PeergraphError } = await import("/peergraph/index.js");
    const storage = "again";
    const ended = (promise) => promise.then(() => "no error", (error) => [
      error.name, error.code, error instanceof PeergraphError, error.cause?.name ?? error.cause]);
    const stop = new AbortController();
    const opening = ended(Peer.open({ storage, signal: stop.signal }));
    stop.abort("why");
    const aborted = await opening;
    // At once after an abort; then as frameworks in strict mode do: opened, left, opened.
    const first = Peer.open({ storage });
    first.then((peer) => peer.close());
    const second = Peer.open({ storage });
    const closed = (await second).close();
    const third = await Peer.open({ storage });
    await closed;
    const code = await Peer.open({ storage, shared: false }).catch((error) => error.code);
    window.peer = third;
    return { aborted, code, states: [(await first).closed, (await second).closed, third.closed] };
  });
  assert.deepEqual(seen, { aborted: ["AbortError", "aborted", true, "why"], code: "locked", states: [true, true, false] });
  // Nobody is there who could let us in; then somebody is.
  const joins = await page.evaluate(async (link) => {
    const stop = new AbortController();
    const joining = peer.join(link, { signal: stop.signal }).catch((error) => error.name);
    await new Promise((done) => setTimeout(done, 300));
    stop.abort();
    window.again = peer.join(link);
    again.catch(() => {});
    return joining;
  }, link);
  assert.equal(joins, "AbortError");
  // The list of attempts meanwhile is plain data: every place, and what came of it.
  const tried = await page.evaluate(async (link) => {
    const reached = (tried) => tried.places.find((place) => place.outcome === "not-in-group");
    for (;;) {
      const tried = await peer.explain(link);
      if (reached(tried)) return structuredClone({ ...tried, reached: reached(tried) });
      await new Promise((done) => setTimeout(done, 100));
    }
  }, link);
  assert.deepEqual(tried.nodes.map(({ url }) => url), [`${node.origin}/`]);
  assert.match(tried.reached.message, /not in this group/);
  assert.equal(tried.neighbours, 0);
  assert.match(`${tried.hint} ${tried.message}`, /inviter/);
  const watch = ada.start(["watch", group]);
  assert.equal(await page.evaluate(async () => (await again).name), "Again");
  await page.waitForFunction(async () => (await (await again).explain()).neighbours === 1);
  await page.evaluate(() => peer.close());
  await watch.stop();
});

test("storage that is deleted underneath is told, once, and the browser is asked to keep it", async (t) => {
  const before = () => {
    window.asked = 0;
    navigator.storage.persist = async () => { window.asked += 1; return true; };
  };
  const { page } = await openPage(t, "gone", { before });
  const seen = await page.evaluate(async () => {
    const { Peer } = await import("/peergraph/index.js");
    const other = await Peer.open({ storage: "kept", persist: false });
    const before = window.asked;
    const peer = await Peer.open({ storage: "gone" });
    await other.close();
    await (await Peer.open({ storage: "kept" })).close();
    const group = await peer.createGroup({ name: "Gone" });
    const told = [];
    peer.addEventListener("storage", ({ detail }) => told.push(["storage", detail.error.code]));
    const closed = new Promise((done) => peer.addEventListener("closed", ({ detail }) => done(detail.error.code)));
    const names = (await indexedDB.databases()).map((it) => it.name).filter((name) => name.startsWith("gone"));
    for (const name of names) indexedDB.deleteDatabase(name);
    const code = await closed;
    const later = await group.publish("note", 1).catch((error) => error.code);
    await peer.close();
    const next = await Peer.open({ storage: "gone" });
    const result = { names: names.length, code, told: told.at(-1), later, states: [peer.closed, group.closed], fresh: next.id !== peer.id,
      asked: [before, window.asked] };
    await next.close();
    return result;
  });
  assert.deepEqual(seen, {
    names: 2, code: "storage-gone", told: ["storage", "storage-gone"], later: "closed", states: [true, true], fresh: true,
    asked: [0, 1],
  });
});
