// Goal: people see who may do what, change it, and end a membership; who is out is told so, and heard by nobody.
// Method: three real Chromium profiles and the real node on loopback, through the page alone. Pictures in test-output/.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  connected, followInvitation, inGroup, invite, message, openProfile, picture, say, sees, startGroup,
} from "./browser.mjs";
import { startNode } from "./native.mjs";

const GROUP = "Book club";
const NARROW = { viewport: { width: 360, height: 720 } };

/** The row of a member in the list of people, who is a member (or not any more). */
const row = (page, name, standing = "member") =>
  page.locator(`.people li[data-standing="${standing}"]`).filter({ has: page.locator(".name", { hasText: name }) });

/** Opens the dialog about a member. */
async function about(page, name) {
  await row(page, name).getByRole("button").click();
  await page.locator("#person-title", { hasText: name }).waitFor();
}

test("Ada promotes Bob and ends Eve's membership", { timeout: 600_000 }, async (t) => {
  const node = await startNode(t);
  const [ada, bob, eve] = [
    await openProfile(t, "ada"), await openProfile(t, "bob", { colorScheme: "dark" }), await openProfile(t, "eve", NARROW),
  ];
  const [a, b, e] = [await ada.page(), await bob.page(), await eve.page()];
  let failed = false;
  const step = (name, work) => t.test(name, { skip: failed && "a step before failed" }, async () => {
    failed = true;
    await work();
    failed = false;
  });

  await step("three in a group", async () => {
    await startGroup(a, node.origin, { me: "Ada", group: GROUP });
    const link = await invite(a, { uses: 5 });
    await followInvitation(b, link, { me: "Bob", group: GROUP });
    await followInvitation(e, link, { me: "Eve <img src=x onerror=alert(1)>", group: GROUP });
    await say(e, "Buy my book");
    await say(b, "Hello from Bob");
    for (const page of [a, b, e]) {
      await sees(page, "Buy my book");
      await sees(page, "Hello from Bob");
    }
    await row(a, "Bob").waitFor();
    await row(a, "Eve <img").waitFor();
  });

  await step("an ordinary member is offered nothing that it may not do", async () => {
    await about(b, "Ada");
    assert.equal(await b.locator("#person-role-form").isVisible(), false);
    assert.equal(await b.locator("#person-revoke-form").isVisible(), false);
    await picture(b, "bob-about-ada-dark");
    await b.click("#person-close");
    await b.click("#invite-button");
    await b.locator("#invite-error", { hasText: "may read and write" }).waitFor();
    await b.click("#invite-close");
    await e.click("#people-button");
    await about(e, "Ada");
    await picture(e, "eve-about-ada-narrow");
    await e.click("#person-close");
    await e.click("#side-close");
  });

  await step("Ada promotes Bob, and Bob invites", async () => {
    const unchanged = await row(a, "Ada").elementHandle();
    await about(a, "Bob");
    await picture(a, "ada-about-bob");
    await a.selectOption("#person-role", "inviting");
    await a.click("#person-role-form button");
    await a.locator("#person").waitFor({ state: "hidden" });
    for (const page of [a, b]) await row(page, "Bob").locator(".name", { hasText: "can invite" }).waitFor();
    // One that is drawn anew while somebody presses its button would not be clicked.
    assert.ok(await unchanged.evaluate((element) => element.isConnected), "other rows stay");
    const link = await invite(b, { uses: 1 });
    assert.match(link, /#pgi2/);
  });

  await step("an invitation can be taken back", async () => {
    await a.click("#invite-button");
    await a.locator("#invite-open summary").click();
    await a.locator("#invite-list li", { hasText: "by Bob" }).waitFor();
    await picture(a, "ada-open-invitations");
    await a.locator("#invite-list li", { hasText: "by Bob" }).getByRole("button").click();
    await a.locator("#invite-list li", { hasText: "by Bob" }).waitFor({ state: "detached" });
    await a.click("#invite-close");
  });

  await step("Ada ends Eve's membership, and her messages vanish", async () => {
    await about(a, "Eve");
    await a.locator("#person-revoke summary").click();
    await a.selectOption("#person-reason", "misconduct");
    await a.check("#person-drop");
    const size = a.viewportSize();
    await a.setViewportSize(NARROW.viewport);
    await a.locator("#person-revoke-form button").scrollIntoViewIfNeeded();
    await picture(a, "ada-ends-eve-narrow");
    await a.setViewportSize(size);
    await picture(a, "ada-ends-eve");
    await a.click("#person-revoke-form button");
    await a.locator("#person").waitFor({ state: "hidden" });
    for (const page of [a, b]) {
      await message(page, "Buy my book").waitFor({ state: "detached" });
      await row(page, "Eve", "revoked").waitFor({ state: "attached" });
      await sees(page, "Hello from Bob");
    }
    await a.locator("#former summary").click();
    await picture(a, "ada-after");
    await picture(b, "bob-after-dark");
  });

  await step("Eve's page says so", async () => {
    const words = e.locator("#standing-words", { hasText: "revoked by the owner of the group: the rules of the group were broken" });
    await words.waitFor();
    assert.equal(await e.locator("#composer").isVisible(), false);
    await connected(e, "Not a member any more");
    await picture(e, "eve-is-out-narrow");
  });

  await step("what Eve writes all the same reaches nobody", async () => {
    // As somebody would who does not want to see it; in one go, since the page hides its composer whenever it draws again.
    await e.evaluate(() => {
      document.getElementById("text").value = "Buy it all the same";
      document.getElementById("composer").requestSubmit();
    });
    await e.locator("#toast", { hasText: "revoked" }).waitFor();
    await e.reload();
    await inGroup(e, GROUP);
    await e.locator("#standing-words", { hasText: "revoked by" }).waitFor();
    await say(a, "Is it quiet?");
    await sees(b, "Is it quiet?");
    await sleep(2_000);
    for (const page of [a, b]) assert.equal(await message(page, "Buy it all the same").count(), 0);
    assert.equal(await message(e, "Is it quiet?").count(), 0, "nothing new comes to her either");
  });

  await step("Ada lets Eve back in", async () => {
    await row(a, "Eve", "revoked").getByRole("button").click();
    await a.click("#person-reinstate-form button");
    await row(a, "Eve").waitFor();
    await e.locator("#composer").waitFor({ timeout: 90_000 });
    await say(e, "I am sorry");
    await sees(a, "I am sorry", { timeout: 90_000 });
  });

  await step("a link with a password lets in who knows it", async () => {
    await a.click("#invite-button");
    await a.fill("#invite-password", "seven geese fly");
    await a.click("#invite-make");
    await a.locator("#invite-facts", { hasText: "and the password" }).waitFor();
    await picture(a, "ada-link-with-password");
    const link = await a.inputValue("#invite-link");
    await a.click("#invite-close");
    const gus = await openProfile(t, "gus", { ...NARROW, colorScheme: "dark" });
    const g = await gus.page();
    await g.goto(link);
    await g.fill("#name", "Gus");
    await g.keyboard.press("Enter");
    await g.fill("#invited-password", "six geese fly");
    await picture(g, "gus-password-narrow-dark");
    await g.click("#invited-join");
    await g.locator("#invited-error", { hasText: "password is wrong" }).waitFor();
    await g.fill("#invited-password", "seven geese fly");
    await g.click("#invited-join");
    await inGroup(g, GROUP);
    await sees(g, "Hello from Bob");
    await gus.close();
  });

  await step("Bob leaves", async () => {
    await b.click("#group-button");
    await b.click("#menu-leave");
    await b.locator("#leave button[value=leave]").click();
    await b.locator("#begin").waitFor();
    await row(a, "Bob", "revoked").waitFor({ state: "attached" });
    await a.locator("#former").locator("li", { hasText: "left" }).waitFor({ state: "attached" });
  });

  await step("Eve is out again, and an invitation says what coming back means", async () => {
    await about(a, "Eve");
    await a.locator("#person-revoke summary").click();
    await a.click("#person-revoke-form button");
    await e.locator("#standing-words", { hasText: "revoked by" }).waitFor();
    await sees(e, "I am sorry");
    const link = await invite(a, { uses: 1 });
    await e.goto("about:blank");
    await e.goto(link);
    await e.locator("#invited-words", { hasText: "You were in this group" }).waitFor();
    await picture(e, "eve-invited-again-narrow");
    await e.click("#invited-decline");
    await inGroup(e, GROUP);
    await sees(e, "I am sorry");
  });
});
