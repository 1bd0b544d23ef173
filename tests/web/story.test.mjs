// Goal: people in two browsers and a native program hold one group chat, with a node and without it.
// Method: real Chromium profiles, the real binary, loopback; the node is killed half way. Pictures in test-output/.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  SERVER_GONE, connected, followInvitation, inGroup, invite, keptOffline, message, openProfile, picture, say, sees,
  startGroup,
} from "./browser.mjs";
import { Member, startNode } from "./native.mjs";

const GROUP = "Trip to Lisbon";
const AWAY_RECORDS = 1_000;
/** A graph that works looks for further neighbours without haste. */
const UNHURRIED = { timeout: 90_000 };

test("two browsers and a native member chat, and go on without the node", { timeout: 900_000 }, async (t) => {
  const node = await startNode(t);
  const [ada, ben] = [await openProfile(t, "ada"), await openProfile(t, "ben", { viewport: { width: 400, height: 780 } })];
  const [a, b] = [await ada.page(), await ben.page()];
  const native = await Member.make(t, "Nat", { node });
  // Each step stands on the one before.
  let failed = false;
  const step = (name, work) => t.test(name, { skip: failed && "a step before failed" }, async () => {
    failed = true;
    await work();
    failed = false;
  });

  await step("one makes a group, the others follow the invitation", async () => {
    await startGroup(a, node.origin, { me: "Ada", group: GROUP });
    await connected(a, "Alone");
    await picture(a, "ada-alone");
    const link = await invite(a);
    await followInvitation(b, link, { me: "Ben", group: GROUP });
    await picture(b, "ben-joined");
    await native.join(link);
    await connected(a, "Direct to");
  });

  let watch;
  await step("a message from each reaches the others", async () => {
    await native.run(["publish", GROUP, "chat.message"], { input: "Hello from a program" });
    watch = native.start(["watch", GROUP, "--type", "chat.message", "--json"]);
    await say(a, "Hello from Ada");
    await say(b, "Hello from Ben");
    for (const page of [a, b]) {
      for (const from of ["a program", "Ada", "Ben"]) await sees(page, `Hello from ${from}`);
    }
    const seen = (text) => watch.line((line) => line.payload === JSON.stringify({ text }));
    assert.equal((await seen("Hello from Ada")).creator_name, "Ada");
    assert.equal((await seen("Hello from Ben")).creator_name, "Ben");
    await message(a, "Hello from Ada").locator(".status", { hasText: /sent|held by/ }).waitFor();
    await connected(a, "Direct to 2 members", UNHURRIED);
    await connected(b, "Direct to 2 members", UNHURRIED);
    await picture(a, "ada-three-in-a-group");
    await picture(b, "ben-three-in-a-group");
  });

  await step("a member who was away for 1,000 records catches up", async () => {
    await b.goto("about:blank");
    await watch.stop();
    const lines = Array.from({ length: AWAY_RECORDS }, (_, index) => JSON.stringify({ text: `line ${index}` }));
    await native.run(["publish", GROUP, "chat.message", "--lines"], { input: `${lines.join("\n")}\n` });
    watch = native.start(["watch", GROUP, "--type", "chat.message", "--json"]);
    await sees(a, `line ${AWAY_RECORDS - 1}`, UNHURRIED);
    await b.goto(`${node.origin}/chat/`);
    await inGroup(b, GROUP);
    await sees(b, `line ${AWAY_RECORDS - 1}`, UNHURRIED);
    await picture(b, "ben-caught-up");
    const texts = await allTexts(b);
    const caught = new Set(texts.filter((text) => text.startsWith("line ")));
    assert.equal(caught.size, AWAY_RECORDS);
  });

  await step("the node is killed, and the chat goes on", async () => {
    await connected(b, "Direct to 2 members", UNHURRIED);
    await Promise.all([keptOffline(a), keptOffline(b)]);
    for (const profile of [ada, ben]) profile.allowed.push(...SERVER_GONE);
    await node.kill();
    for (const page of [a, b]) await page.locator("#notice-words", { hasText: "out of reach" }).waitFor();
    await say(a, "The node is gone");
    await sees(b, "The node is gone");
    await say(b, "And we are not");
    await sees(a, "And we are not");
    await watch.line((line) => line.payload === JSON.stringify({ text: "And we are not" }));
    await picture(a, "ada-without-node");
    await picture(b, "ben-without-node");
  });

  await step("one reloads: the page, the history, and the others are there again", async () => {
    await b.reload();
    await inGroup(b, GROUP);
    for (const text of ["The node is gone", "And we are not"]) await sees(b, text);
    await connected(b, "Direct to 2 members", UNHURRIED);
    // A message that others confirmed before looks no worse.
    await message(b, "And we are not").locator(".status", { hasText: /sent|held by/ }).waitFor();
    assert.equal(await b.locator(".status", { hasText: "saved" }).count(), 0);
    await say(b, "Back again");
    await sees(a, "Back again");
    await say(a, "Welcome back");
    await sees(b, "Welcome back");
    await picture(a, "ada-after-reload");
    await picture(b, "ben-after-reload");
  });
});

/** All messages, the earlier ones too. */
async function allTexts(page) {
  const earlier = page.locator("#earlier");
  for (let more = 0; more < 50 && await earlier.isVisible(); more += 1) {
    const before = await page.locator(".message").count();
    await earlier.click();
    await page.waitForFunction((count) => document.querySelectorAll(".message").length > count, before);
  }
  return page.locator(".message .text").allTextContents();
}
