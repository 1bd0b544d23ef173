// Searches and live queries: of a page, and of a native program in the same group, which find the same.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openProfile } from "./browser.mjs";
import { Member, startNode } from "./native.mjs";

const COUNT = 250;

test("a page finds what a native program has published, and follows it", { timeout: 600_000 }, async (t) => {
  const node = await startNode(t);
  const native = await Member.make(t, "Native", { node });
  const id = await native.createGroup("Library");
  const link = await native.invite(id, node.origin);
  const lines = Array.from({ length: COUNT }, (_, at) => `${at % 5 === 0 ? "Lisbon" : "Porto"} number ${at}`);
  await native.run(["publish", id, "note", "--lines"], { input: lines.join("\n") });
  const watching = native.start(["watch", id, "--json"]);

  const page = await (await openProfile(t, "Ada")).page();
  await page.goto(`${node.origin}/`);
  await page.evaluate(join, { link });
  const found = await page.evaluate(search);
  assert.deepEqual(found.first, { length: 20, count: COUNT / 5, unsearched: 0, first: `Lisbon number ${COUNT - 5}` });
  assert.deepEqual(found.pages, [120, 120, 10]);
  assert.equal(found.ids, COUNT, "each once");
  assert.equal(found.json, 1);
  assert.equal(found.best, "Lisbon number 105");
  assert.equal(found.author, COUNT);
  assert.deepEqual(found.codes, {
    unclosed: "bad-query this is no query: character 6: the quotation mark is not closed; add another, or write \\\" for one",
    tree: "bad-query",
    number: "bad-argument",
    order: "bad-argument",
    option: "bad-argument",
    cursor: "bad-argument",
    limit: "bad-argument",
  });

  assert.deepEqual(await page.evaluate(follow), {
    atFirst: { loaded: false, length: 0 },
    then: ["Lisbon number 245", "Lisbon number 240", "Lisbon number 235"],
    same: true,
  });
  await native.run(["publish", id, "note"], { input: "Lisbon again" });
  await page.waitForFunction(() => globalThis.textsOf(globalThis.live)[0] === "Lisbon again");
  assert.deepEqual(await page.evaluate(edit), {
    texts: ["Lisbon, mine, and changed", "Lisbon again", "Lisbon number 245"],
    added: ["Lisbon, mine"],
    changed: ["Lisbon, mine, and changed"],
    kept: true,
    after: ["Lisbon again", "Lisbon number 245", "Lisbon number 240"],
    removed: 1,
  });
  assert.deepEqual(await page.evaluate(end), {
    looped: 2, closed: true, aborted: true, calls: 1, busy: "busy", bad: "bad-query", again: 3, group: [true, true],
  });
  assert.equal((await watching.stop()).code, 0);
});

test("the chat finds messages and goes to them", { timeout: 300_000 }, async (t) => {
  const node = await startNode(t);
  const page = await (await openProfile(t, "Ada")).page();
  await page.goto(`${node.origin}/chat/`);
  await page.fill("#name", "Ada");
  await page.click("#name-form button");
  await page.fill("#group-name", "Trip to Lisbon");
  await page.click("#create-form button");
  await page.waitForSelector("#text", { state: "visible" });
  const say = async (text) => {
    await page.fill("#text", text);
    await page.press("#text", "Enter");
  };
  await say("A hotel near the river?");
  for (let nth = 0; nth < 30; nth += 1) await say(`Something else ${nth}`);
  await page.waitForFunction(() => document.querySelectorAll(".message").length === 31);

  await page.waitForFunction(() => document.querySelector(".message").getBoundingClientRect().bottom < 0);
  const found = (count) => page.waitForFunction((count) => document.querySelectorAll("#search-found li").length === count, count);
  await page.click("#search-button");
  await page.fill("#search-field", "hot");
  await found(1);
  assert.equal(await page.textContent("#search-found mark"), "hot");
  await page.fill("#search-field", "author:ada els");
  await found(30);
  await page.fill("#search-field", "hotel (");
  await page.waitForFunction(() => document.querySelector("#search-words").textContent.startsWith("There is nothing to look for"));
  await page.fill("#search-field", "river");
  await found(1);
  await page.click("#search-found button");
  // It was out of sight: the newest message was shown.
  await page.waitForFunction(() => {
    const { top, bottom } = document.querySelector(".message").getBoundingClientRect();
    return top >= 0 && bottom <= innerHeight;
  });
  assert.match(await page.textContent(".message .text"), /hotel near the river/);
});

/** Runs in the page: joins, and waits until all is here. */
async function join({ link }) {
  const { Peer } = await import("/peergraph/index.js");
  const decoder = new TextDecoder();
  globalThis.textOf = ({ data }) => (data instanceof Uint8Array ? decoder.decode(data) : data.text);
  globalThis.textsOf = ({ value }) => value.map(globalThis.textOf);
  globalThis.peer = await Peer.open({ name: "Ada", nodes: [location.origin] });
  globalThis.group = await globalThis.peer.join(link);
  while ((await globalThis.group.info()).records < 250) await new Promise((done) => setTimeout(done, 100));
}

/** Runs in the page: finds records. */
async function search() {
  const { group, textOf } = globalThis;
  const first = await group.search("lisbon", { limit: 20, count: true });
  const pages = [];
  const ids = new Set();
  for await (const page of group.search("type:note", { limit: 120, order: "oldest" })) {
    pages.push(page.length);
    for (const { id } of page) ids.add(id);
  }
  const tree = { and: [{ field: "type", equal: "note" }, { text: "number 1*" }, { not: { text: "porto" } }, { text: "100" }] };
  const code = async (ask, whole) => {
    try {
      await ask();
      return "none";
    } catch (error) {
      return whole ? `${error.code} ${error.message}` : error.code;
    }
  };
  return {
    first: { length: first.length, count: first.count, unsearched: first.unsearched, first: textOf(first[0]) },
    pages,
    ids: ids.size,
    json: (await group.search(tree)).length,
    best: textOf((await group.search("lisbon 105", { order: "best", limit: 1 }))[0]),
    author: (await group.search("author:native", { limit: 1, count: true })).count,
    codes: {
      unclosed: await code(() => group.search('note "open'), true),
      tree: await code(() => group.search({ and: [] })),
      number: await code(() => group.search(5)),
      order: await code(() => group.search("a", { order: "random" })),
      option: await code(() => group.search("a", { newestFirst: true })),
      cursor: await code(() => group.search("a", { after: "here" })),
      limit: await code(() => group.search("a", { limit: 0 })),
    },
  };
}

/** Runs in the page: begins to follow. */
async function follow() {
  const { group, textsOf } = globalThis;
  const live = group.query("lisbon type:note OR lisbon type:mine", { limit: 3 });
  globalThis.live = live;
  const atFirst = { loaded: live.loaded, length: live.value.length };
  await new Promise((done) => live.addEventListener("change", done, { once: true }));
  return { atFirst, then: textsOf(live), same: live.value === live.value };
}

/** Runs in the page: publishes, changes and deletes what is followed. */
async function edit() {
  const { group, live, textOf, textsOf } = globalThis;
  const told = { added: [], changed: [], removed: [] };
  live.addEventListener("change", ({ detail }) => {
    told.added.push(...detail.added.map(textOf));
    told.changed.push(...detail.changed.map(textOf));
    told.removed.push(...detail.removed);
  });
  const until = async (holds) => { while (!holds()) await new Promise((done) => setTimeout(done, 20)); };
  const before = live.value[0];
  const mine = await group.publish("mine", { text: "Lisbon, mine" });
  await until(() => textsOf(live)[0] === "Lisbon, mine");
  const kept = live.value[1] === before;
  await group.update(mine, { text: "Lisbon, mine, and changed" });
  await until(() => textsOf(live)[0].endsWith("changed"));
  const texts = textsOf(live);
  const { added, changed } = { added: [...told.added], changed: [...told.changed] };
  await group.delete(mine);
  await until(() => textsOf(live)[0] === "Lisbon again");
  return { texts, added, changed, kept, after: textsOf(live), removed: told.removed.filter((id) => id === mine.id).length };
}

/** Runs in the page: all the ways in which following ends. */
async function end() {
  const { group, live, peer } = globalThis;
  let looped = 0;
  const other = group.query("lisbon");
  for await (const list of other) {
    looped += 1;
    if (looped === 2) break;
    if (list.length > 0) await group.publish("mine", { text: "Lisbon, for the loop" });
  }
  const stop = new AbortController();
  const stopped = group.query("*", { signal: stop.signal });
  stop.abort();
  let calls = 0;
  stopped.subscribe(() => { calls += 1; })();
  live.close();

  const many = Array.from({ length: 65 }, () => group.query("*", { limit: 1 }));
  await new Promise((done) => many.at(-1).addEventListener("closed", done));
  const busy = many.at(-1).error.code;
  for (const one of many) one.close();
  const bad = group.query("(");
  await new Promise((done) => bad.addEventListener("closed", done));
  const again = group.query("lisbon type:note", { limit: 3 });
  await new Promise((done) => again.addEventListener("change", done, { once: true }));
  const length = again.value.length;
  const lists = (async () => { for await (const _ of again) { /* until it ends */ } return true; })();
  await peer.close();
  return {
    looped, closed: live.closed && other.closed, aborted: stopped.closed, calls, busy, bad: bad.error.code, again: length,
    group: [await lists, again.closed],
  };
}
