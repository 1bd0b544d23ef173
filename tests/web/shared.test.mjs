// Goal: tabs of one identity have it together, whichever of them has the node, and nothing is lost when that one goes. Method:
// tabs of one profile, each publishing and reading; the one that leads is closed, or crashes, again and again.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openProfile } from "./browser.mjs";
import { startNode } from "./native.mjs";

/** How often the tab that leads crashes. */
const CRASHES = Number(process.env.CRASHES ?? 6);

async function openTab(profile, node, name = "Ada") {
  const page = await profile.context.newPage();
  await page.goto(`${node.origin}/`);
  await page.evaluate(start, { name });
  return page;
}

/** Runs in the page: opens the peer, and reads all groups. */
async function start({ name }) {
  const { Peer } = await import("/peergraph/index.js");
  globalThis.peer = await Peer.open({ name, nodes: [location.origin] });
  globalThis.read = new Map();
  globalThis.failed = [];
  globalThis.follow = (group) => {
    if (globalThis.group) return;
    globalThis.group = group;
    globalThis.list = group.query("type:note", { order: "oldest", limit: 1000 });
    (async () => {
      for await (const { id, data } of group.watch("note")) globalThis.read.set(id, data.text);
    })().catch((error) => globalThis.failed.push(String(error)));
  };
  const [group] = await globalThis.peer.groups();
  if (group) globalThis.follow(group);
  else globalThis.peer.addEventListener("group", ({ detail }) => globalThis.follow(detail.group));
  /** Publishes `count` notes, one after the other. */
  globalThis.say = async (word, count) => {
    for (let nth = 0; nth < count; nth += 1) await globalThis.group.publish("note", { text: `${word}${nth}` });
  };
}

const words = (word, count) => Array.from({ length: count }, (_, nth) => `${word}${nth}`);
const leader = async (tabs) => {
  const leads = await Promise.all(tabs.map((tab) => tab.evaluate(() => globalThis.peer.leads)));
  assert.equal(leads.filter(Boolean).length, 1, "one of them leads");
  return tabs[leads.indexOf(true)];
};

/**
 * Waits until a tab has read all of this, and checks that each is one record. A record whose answer was lost with a tab is
 * published again, as another version.
 */
async function hasAll(tab, wanted) {
  await tab.waitForFunction((count) => globalThis.read.size >= count && globalThis.list.value.length >= Math.min(count, 1000), wanted.length);
  const { read, list, failed } = await tab.evaluate(() => ({
    read: [...globalThis.read.values()], list: globalThis.list.value.map(({ data }) => data.text), failed: globalThis.failed }));
  assert.deepEqual(failed, []);
  assert.deepEqual(read.toSorted(), wanted.toSorted());
  // A live query has at most a thousand.
  if (wanted.length <= 1_000) assert.deepEqual(list.toSorted(), wanted.toSorted());
}

test("tabs have an identity together, and go on when one is closed", { timeout: 600_000 }, async (t) => {
  const node = await startNode(t);
  const profile = await openProfile(t, "ada");
  const first = await openTab(profile, node);
  const second = await openTab(profile, node);
  const third = await openTab(profile, node);
  assert.equal(await leader([first, second, third]), first);
  const ids = await Promise.all([first, second, third].map((tab) => tab.evaluate(() => [
    globalThis.peer.id, globalThis.peer.name, globalThis.peer.identityDocument(), globalThis.peer.peerName.name])));
  assert.deepEqual(ids[1], ids[0]);
  assert.deepEqual(ids[2], ids[0]);

  // All tabs have the deeds of one.
  await second.evaluate(async () => { await globalThis.peer.createGroup({ name: "Shared" }); });
  for (const tab of [first, second, third]) await tab.waitForFunction(() => globalThis.group);
  const link = await third.evaluate(async () => (await globalThis.group.invite()).link);
  const ben = await (await openProfile(t, "ben")).page();
  await ben.goto(`${node.origin}/`);
  await ben.evaluate(start, { name: "Ben" });
  await ben.evaluate(async (link) => { globalThis.follow(await globalThis.peer.join(link)); }, link);
  const said = [...words("a", 20), ...words("b", 20), ...words("c", 20), ...words("ben", 20)];
  await Promise.all([first.evaluate(() => globalThis.say("a", 20)), second.evaluate(() => globalThis.say("b", 20)),
    third.evaluate(() => globalThis.say("c", 20)), ben.evaluate(() => globalThis.say("ben", 20))]);
  for (const tab of [first, second, third, ben]) await hasAll(tab, said);

  // A message of one tab reaches the others, and everybody else.
  for (const tab of [first, second, third, ben]) {
    await tab.evaluate(() => {
      globalThis.heard = [];
      globalThis.group.on("cursor", ({ from, data }) => globalThis.heard.push(`${from.name}${data}`));
    });
  }
  await first.evaluate(() => globalThis.group.broadcast("cursor", 1));
  await third.evaluate(() => globalThis.group.broadcast("cursor", 3));
  for (const [tab, wanted] of [[first, "Ada3"], [second, "Ada1,Ada3"], [third, "Ada1"], [ben, "Ada1,Ada3"]]) {
    await tab.waitForFunction((wanted) => globalThis.heard.toSorted().join() === wanted, wanted);
  }

  // A direct link belongs to the tab that opened it, and calls come to the tab that serves them.
  await ben.evaluate(async () => {
    await globalThis.group.admitDirects("members");
    await globalThis.group.serve("double", ({ data }) => data * 2);
  });
  await third.evaluate(async () => {
    await globalThis.group.admitDirects("members");
    await globalThis.group.serve("triple", ({ data }) => data * 3);
  });
  assert.equal(await second.evaluate(async () => {
    const ben = (await globalThis.group.members()).find(({ name }) => name === "Ben");
    globalThis.direct = await globalThis.group.direct(ben, { purpose: "sums" });
    return globalThis.direct.call("double", 21);
  }), 42);
  assert.deepEqual(await Promise.all([first, second, third].map((tab) => tab.evaluate(() => globalThis.group.directs.length))), [0, 1, 0]);
  const triple = () => ben.evaluate(async () => {
    const ada = (await globalThis.group.members()).find(({ name }) => name === "Ada");
    const direct = await globalThis.group.direct(ada);
    const value = await direct.call("triple", 14);
    await direct.close();
    return value;
  });
  assert.equal(await triple(), 42);

  // Errors are the same wherever the node is.
  const errors = (tab) => tab.evaluate(async () => {
    const code = (doing) => doing.then(() => "none", ({ name, code, hint }) => [name, code, hint]);
    return [await code(globalThis.peer.join("nonsense")), await code(globalThis.group.publish("note", "x".repeat(5_000_000)))];
  });
  assert.deepEqual(await errors(second), await errors(first));
  const signed = await third.evaluate(() => [...globalThis.peer.sign("hello")]);
  assert.deepEqual(signed, await first.evaluate(() => [...globalThis.peer.sign("hello")]));

  // The one that leads is closed by its application, and then one by its user.
  await first.evaluate(() => globalThis.peer.close());
  await second.waitForFunction(() => globalThis.peer.leads);
  assert.ok(["tab-closed", "closed"].includes(await second.evaluate(async () => (await globalThis.direct.closed)?.code)));
  await third.evaluate(() => globalThis.say("d", 5));
  for (let tries = 0; ; tries += 1) {
    // What is served is served again by the next node, once both have a link again.
    const value = await triple().catch((error) => error);
    if (value === 42) break;
    assert.ok(tries < 30, String(value));
    await new Promise((done) => setTimeout(done, 1_000));
  }
  await second.close();
  await third.waitForFunction(() => globalThis.peer.leads);
  await third.evaluate(() => globalThis.say("e", 5));
  said.push(...words("d", 5), ...words("e", 5));
  for (const tab of [third, ben]) await hasAll(tab, said);

  // Another one comes; one that wants the identity for itself is refused, or takes it from all.
  const fourth = await openTab(profile, node);
  await hasAll(fourth, said);
  const fifth = await profile.context.newPage();
  await fifth.goto(`${node.origin}/`);
  const alone = (options) => fifth.evaluate(async (options) => {
    const { Peer } = await import("/peergraph/index.js");
    return Peer.open(options).then((peer) => peer.leads, (error) => error.code);
  }, options);
  assert.equal(await alone({ shared: false }), "locked");
  assert.equal(await alone({ shared: true, takeOver: true }), "bad-argument");
  const closed = [third, fourth].map((tab) => tab.evaluate(() => new Promise((done) => {
    globalThis.peer.addEventListener("closed", ({ detail }) => done(detail.error?.code));
  })));
  assert.equal(await alone({ takeOver: true }), true);
  assert.deepEqual(await Promise.all(closed), ["taken-over", "taken-over"]);

  // Leaving a group in one tab ends it in all.
  await fifth.close();
  const [sixth, seventh] = [await openTab(profile, node), await openTab(profile, node)];
  await seventh.evaluate(() => globalThis.group.leave());
  for (const tab of [sixth, seventh]) await tab.waitForFunction(() => globalThis.group.closed);
});

test("nothing is lost when the tab that leads crashes", { timeout: 900_000 }, async (t) => {
  const node = await startNode(t);
  const profile = await openProfile(t, "ada");
  const tabs = [await openTab(profile, node)];
  await tabs[0].evaluate(async () => { await globalThis.peer.createGroup({ name: "Shared" }); });
  for (let nth = 1; nth < 4; nth += 1) tabs.push(await openTab(profile, node));
  const said = [];
  const gaps = [];
  for (let crash = 0; crash < CRASHES; crash += 1) {
    const leads = await leader(tabs);
    const others = tabs.filter((tab) => tab !== leads);
    const saying = others.map((tab, nth) => {
      const word = `${crash}.${nth}.`;
      said.push(...words(word, 40));
      return tab.evaluate(async (word) => {
        let longest = 0;
        for (let nth = 0; nth < 40; nth += 1) {
          const begun = performance.now();
          await globalThis.group.publish("note", { text: `${word}${nth}` });
          longest = Math.max(longest, performance.now() - begun);
          await new Promise((done) => setTimeout(done, 5));
        }
        return longest;
      }, word);
    });
    await new Promise((done) => setTimeout(done, 50 + 37 * (crash % 8)));
    await leads.goto("chrome://crash").catch(() => {});
    gaps.push(Math.max(...await Promise.all(saying)));
    await leads.close();
    tabs.splice(tabs.indexOf(leads), 1);
    tabs.push(await openTab(profile, node));
    for (const tab of tabs) await hasAll(tab, said);
  }
  t.diagnostic(`${CRASHES} crashes, ${said.length} records; longest wait of a publication: ${gaps.map(Math.round).join(", ")} ms`);
});
