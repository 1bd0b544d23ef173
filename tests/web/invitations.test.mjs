// Goal: what is wrong with an invitation is told in words, and nothing is lost or broken by it.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { followInvitation, invite, openProfile, picture, say, sees, startGroup } from "./browser.mjs";
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

  const told = async (link, words, name) => {
    await a.goto("about:blank");
    await a.goto(link);
    await a.locator("#welcome-error", { hasText: words }).waitFor();
    assert.equal(new URL(a.url()).hash, "");
    await picture(a, `invitation-${name}`);
    // What was there is still there.
    await a.goto("about:blank");
    await a.goto(chat);
    await sees(a, "Kept whatever comes");
  };

  await t.test("truncated", () => told(good.slice(0, -20), /cannot be used/, "truncated"));
  await t.test("garbage, which is not taken for HTML", () => told(`${chat}#<img src=x onerror=alert(1)>`, /cannot be used/, "garbage"));
  await t.test("expired", async () => {
    const link = await other.invite(group, node.origin, "--expires", "1s");
    await sleep(2_500);
    await told(link, /good until|expired/, "expired");
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
