// Goal: what is wrong with an invitation is told in words, and nothing is lost or broken by it.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { followInvitation, inGroup, invite, openProfile, picture, say, sees, startGroup } from "./browser.mjs";
import { afterwards } from "./cleanup.mjs";
import { Member, folder, startNode } from "./native.mjs";

test("bad invitations are told and cost nothing", { timeout: 600_000 }, async (t) => {
  const node = await startNode(t);
  const chat = `${node.origin}/chat/`;
  const ada = await openProfile(t, "ada");
  const a = await ada.page();
  await startGroup(a, node.origin, { me: "Ada", group: "Book club" });
  await say(a, "Kept whatever comes");
  await sees(a, "Kept whatever comes");
  const good = await invite(a);

  const other = await Member.make(t, "Olga", { node });
  const group = await other.createGroup("Choir");

  const told = async (link, words, name, { where = "#welcome-error" } = {}) => {
    await a.goto("about:blank");
    await a.goto(link);
    await a.locator(where, { hasText: words }).waitFor();
    assert.equal(new URL(a.url()).hash, "");
    await picture(a, `invitation-${name}`);
    // Everything that was there is still there.
    await a.goto("about:blank");
    await a.goto(chat);
    await sees(a, "Kept whatever comes");
  };

  await t.test("truncated", () => told(good.slice(0, -20), /cannot be used/, "truncated"));
  await t.test("garbage, which is not taken for HTML", () => told(`${chat}#<img src=x onerror=alert(1)>`, /cannot be used/, "garbage"));
  await t.test("expired", async () => {
    const link = await other.invite(group, node.origin, "--expires", "1s");
    await sleep(2_500);
    // The clock of the browser may be wrong: it can be tried all the same.
    await told(link, /expired, by the clock/, "expired", { where: "#invited-fields" });
  });
  await t.test("for somebody else", async () => {
    const stranger = await Member.make(t, "Stranger");
    const { stdout: document } = await stranger.run(["identity", "show", "--document"]);
    const file = join(folder(t, "document"), "stranger.pem");
    writeFileSync(file, document);
    await told(await other.invite(group, node.origin, "--for", file), /Stranger/, "foreign");
  });
  await t.test("truncated, pasted into the form", async () => {
    await a.click("#group-button");
    await a.click("#menu-new");
    await a.fill("#paste", good.slice(0, -20));
    await a.keyboard.press("Enter");
    await a.locator("#paste-error").filter({ hasText: /./ }).waitFor();
    await picture(a, "invitation-pasted");
    await a.click("#begin-back");
    await sees(a, "Kept whatever comes");
  });
  await t.test("a good one, for a group that one is in already, opens the group", async () => {
    await a.goto("about:blank");
    await a.goto(good);
    await sees(a, "Kept whatever comes");
  });
  await t.test("a good one, used more often than it allows", async () => {
    const once = await invite(a, { uses: 1 });
    const ben = await openProfile(t, "ben");
    await followInvitation(await ben.page(), once, { me: "Ben", group: "Book club" });
    const eve = await openProfile(t, "eve");
    const e = await eve.page();
    await e.goto(once);
    await e.fill("#name", "Eve");
    await e.keyboard.press("Enter");
    await e.click("#invited-join");
    await e.locator("#welcome-error", { hasText: "used up" }).waitFor();
    await picture(e, "invitation-used-up");
  });
});

// Goal: the card of an invitation says why joining failed, and lets try again. Method: a member who may let in is not there,
// and then is.
test("a join that failed says why and is tried again", { timeout: 300_000 }, async (t) => {
  const node = await startNode(t);
  const nat = await Member.make(t, "Nat", { node });
  const group = await nat.createGroup("Book club");
  const link = await nat.invite(group, node.origin);
  const ada = await openProfile(t, "ada");
  const page = await ada.page();
  await page.goto(link);
  await page.fill("#name", "Ada");
  await page.keyboard.press("Enter");
  await page.locator("#invited-fields", { hasText: "Asking a member" }).waitFor();
  await page.click("#invited-join");
  await page.locator("#invited-error").filter({ hasText: /./ }).waitFor();
  const card = await page.locator("#invited").innerText();
  await picture(page, "join-failed");
  assert.doesNotMatch(card, /Asking a member|Join the group/);
  assert.match(card, /member/);
  assert.equal(await page.locator("#invited-join").innerText(), "Try again");
  assert.ok(await page.locator("#invited-tried").isVisible(), "what was tried");

  const watch = nat.start(["watch", group]);
  await page.click("#invited-join");
  await inGroup(page, "Book club");
  assert.equal(await page.locator("#invited").isVisible(), false);
  await page.click("#group-button");
  await page.click("#menu-new");
  assert.equal(await page.locator("#welcome-error").innerText(), "");
  await watch.stop();
});

// Goal: the link that the command line prints opens the invitation in a browser, and no server sees it. Method: a relay
// before the node keeps every byte that the browser sends.
test("a link of the command line opens the chat, and the invitation stays in the browser", { timeout: 300_000 }, async (t) => {
  const node = await startNode(t);
  const relay = await relayTo(t, node.port);
  const nat = await Member.make(t, "Nat", { node: { origin: relay.origin } });
  const group = await nat.createGroup("Book club");
  const { link } = (await nat.run(["group", "invite", group, "--json"])).json();
  assert.ok(link.startsWith(`${relay.origin}/#pgi`), "the link opens the node's index");

  const ada = await openProfile(t, "ada");
  const page = await ada.page();
  await page.goto(`${relay.origin}/#graph`);
  assert.equal(new URL(page.url()).hash, "#graph", "no invitation: the page itself");
  for (const place of ["chat/", "graph/"]) await page.locator(`a[href="${place}"]`).waitFor();

  // The same page with another fragment: nothing is loaded anew.
  await page.goto(link);
  await page.waitForURL(`${relay.origin}/chat/`);
  await page.locator("#welcome-title", { hasText: "You are invited" }).waitFor();
  await page.fill("#name", "Ada");
  await page.keyboard.press("Enter");
  await page.locator("#invited-fields .code").waitFor();
  await picture(page, "invited-by-the-index");

  await page.goto("about:blank");
  await page.goto(link);
  await page.waitForURL(`${relay.origin}/chat/`);
  await page.locator("#invited-fields .code").waitFor();
  await page.goBack();
  assert.equal(page.url(), "about:blank", "the index is not in the history, where the invitation would be");
  const sent = Buffer.concat(relay.sent).toString("latin1");
  assert.match(sent, /GET \/invited\.js/);
  assert.ok(!sent.includes(link.split("#")[1].slice(0, 12)), "the invitation was sent");
});

/** Relays connections to a port of this machine, and keeps what comes in. */
async function relayTo(t, port) {
  const sent = [];
  const sockets = new Set();
  const server = createServer((inside) => {
    const outside = connect(port, "127.0.0.1");
    for (const [from, to] of [[inside, outside], [outside, inside]]) {
      sockets.add(from);
      from.on("error", () => to.destroy()).on("close", () => { sockets.delete(from); to.destroy(); });
      from.pipe(to);
    }
    inside.on("data", (bytes) => sent.push(bytes));
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  afterwards(t, () => { server.close(); for (const socket of sockets) socket.destroy(); });
  return { origin: `http://127.0.0.1:${server.address().port}`, sent };
}
