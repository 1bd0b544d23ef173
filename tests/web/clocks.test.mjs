// Goal: a browser whose clock is wrong, or is set while the page is open, loses nothing, and is told by how much it is wrong.
// Method: `Date` of a page shows another time from before the package is loaded; a native member hears what it publishes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openProfile, picture } from "./browser.mjs";
import { Member, openPage, startNode } from "./native.mjs";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const YEAR = 365 * DAY;

/** Gives a page a clock of its own: `setClock(ms)` has it run ahead by so much. Kept over reloads. */
function ownClock() {
  const Real = Date;
  const ahead = () => Number(globalThis.sessionStorage?.getItem("ahead") ?? 0);
  globalThis.setClock = (ms) => sessionStorage.setItem("ahead", ms);
  globalThis.Date = class extends Real {
    constructor(...args) {
      if (args.length > 0) super(...args);
      else super(Real.now() + ahead());
    }

    static now() { return Real.now() + ahead(); }
  };
  /** Waits until a neighbour holds a record. */
  globalThis.arrives = (group, { id }) => new Promise((done) => {
    const look = () => { if (!["storing", "stored"].includes(group.statusOf(id))) done(); };
    group.addEventListener("status", look);
    look();
  });
}

/** In the page: whether the clock is told to be so far ahead, give or take a minute. */
const near = (told, ahead) => Math.abs(told - ahead) < 61_000;

async function sharedGroup(t, node) {
  const ada = await Member.make(t, "Ada", { node });
  const group = await ada.createGroup("Clocks");
  const links = [];
  for (let left = 4; left > 0; left -= 1) links.push(await ada.invite(group, node.origin));
  const watch = ada.start(["watch", group, "--json"]);
  const hears = (text) => watch.line((line) => JSON.stringify(line)?.includes(text));
  return { hears, links };
}

test("a newcomer with a wrong clock is heard at once, and told", { timeout: 300_000 }, async (t) => {
  const node = await startNode(t);
  const { hears, links } = await sharedGroup(t, node);
  for (const [nth, ahead] of [HOUR / 4, -3 * HOUR, 11 * YEAR].entries()) {
    const profile = await openProfile(t, `newcomer-${nth}`, { before: ownClock });
    const page = await profile.page();
    await page.goto(`${node.origin}/`);
    const told = await page.evaluate(async ({ link, ahead }) => {
      setClock(ahead);
      const { Peer } = await import("/peergraph/index.js");
      const peer = await Peer.open({ name: `Newcomer ${ahead}` });
      const clock = new Promise((done) => peer.addEventListener("clock", ({ detail }) => done(detail.aheadMs), { once: true }));
      const group = await peer.join(link);
      await arrives(group, await group.publish("note", { text: `first of ${ahead}` }));
      const result = [await clock, group.clockAheadMs, group.standing];
      await peer.close();
      return result;
    }, { link: links[nth], ahead });
    await hears(`first of ${ahead}`);
    assert.ok(near(told[0], ahead) && near(told[1], ahead), `${ahead}: ${told}`);
    assert.equal(told[2], "member");
    await profile.close();
  }
});

test("a clock before the package was made is told as such", { timeout: 300_000 }, async (t) => {
  const node = await startNode(t);
  const { links } = await sharedGroup(t, node);
  const profile = await openProfile(t, "seventies", { before: ownClock });
  const page = await profile.page();
  await page.goto(`${node.origin}/`);
  const error = await page.evaluate(async ({ link, ahead }) => {
    setClock(ahead);
    const { Peer } = await import("/peergraph/index.js");
    const peer = await Peer.open({ name: "Bob" });
    const failed = await peer.join(link).then(() => null, ({ code, message }) => ({ code, message }));
    setClock(0);
    await peer.join(link);
    await peer.close();
    return failed;
  }, { link: links[0], ahead: -56 * YEAR });
  assert.equal(error.code, "clock-behind");
  assert.match(error.message, /clock of this device says 197/);
});

test("a clock that is set while the page is open, or between two visits, costs nothing", { timeout: 300_000 }, async (t) => {
  const { page, node } = await openPage(t, "set", { before: ownClock });
  const { hears, links } = await sharedGroup(t, node);
  const steps = [HOUR, -HOUR, 0, 11 * YEAR, -400 * DAY, 0];
  const told = await page.evaluate(async ({ link, steps }) => {
    const { Peer } = await import("/peergraph/index.js");
    const peer = await Peer.open({ name: "Bob" });
    const group = await peer.join(link);
    const heard = [];
    const once = (type) => new Promise((done) => group.addEventListener(type, ({ detail }) => done(detail), { once: true }));
    await arrives(group, await group.publish("note", { text: "before" }));
    for (const ahead of steps) {
      const clock = once("clock");
      setClock(ahead);
      await arrives(group, await group.publish("note", { text: `at ${ahead}` }));
      heard.push([ahead, (await clock).aheadMs, group.standing, (await group.neighbours()).length]);
    }
    const seen = [];
    const stop = new AbortController();
    for await (const { data } of group.watch("note", { signal: stop.signal, onStored: () => stop.abort() })) seen.push(data.text);
    await peer.close();
    return { heard, seen };
  }, { link: links[0], steps });
  for (const ahead of steps) await hears(`at ${ahead}`);
  for (const [ahead, aheadMs, standing, neighbours] of told.heard) {
    assert.ok(near(aheadMs, ahead), `${ahead}: ${aheadMs}`);
    assert.equal(standing, "member");
    assert.equal(neighbours, 1, "no neighbour is lost");
  }
  assert.equal(told.seen.length, steps.length + 1, told.seen.join());

  for (const ahead of [3 * HOUR, -HOUR, 11 * YEAR, -56 * YEAR, 0]) {
    await page.evaluate((ahead) => setClock(ahead), ahead);
    await page.reload();
    const { standing, error } = await page.evaluate(async (ahead) => {
      const { Peer } = await import("/peergraph/index.js");
      const peer = await Peer.open();
      const [group] = await peer.groups();
      const publish = group.publish("note", { text: `again ${ahead}` });
      const error = await publish.then((record) => arrives(group, record), String);
      const { standing } = group;
      await peer.close();
      return { standing, error };
    }, ahead);
    assert.equal(error, undefined, `${ahead}`);
    assert.equal(standing, "member", `${ahead}`);
    await hears(`again ${ahead}`);
  }
});

test("the chat says at the top how wrong the clock is", { timeout: 300_000 }, async (t) => {
  const node = await startNode(t);
  const { links } = await sharedGroup(t, node);
  const profile = await openProfile(t, "chat", { before: ownClock });
  const page = await profile.page();
  await page.goto(`${node.origin}/`);
  await page.evaluate((ahead) => setClock(ahead), 3 * HOUR);
  await page.goto(links[0]);
  await page.fill("#name", "Bob");
  await page.keyboard.press("Enter");
  await page.click("#invited-join");
  await page.locator("#notice-words", { hasText: "The clock of this device is 3 hours ahead" }).waitFor();
  await picture(page, "clock");
});
