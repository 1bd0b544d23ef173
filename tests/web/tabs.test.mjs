// Goal: a browser that cannot take part, and a second tab, are told so in words.
import { test } from "node:test";
import { inGroup, openProfile, picture, say, sees, startGroup } from "./browser.mjs";
import { startNode } from "./native.mjs";

test("a second tab is in the chat as well, and goes on alone", { timeout: 300_000 }, async (t) => {
  const node = await startNode(t);
  const profile = await openProfile(t, "ada");
  const first = await profile.page();
  await startGroup(first, node.origin, { me: "Ada", group: "Book club" });
  await say(first, "Written in the first tab");

  const second = await profile.context.newPage();
  await second.goto(`${node.origin}/chat/`);
  await inGroup(second, "Book club");
  await sees(second, "Written in the first tab");
  await say(second, "Written in the second tab");
  await sees(first, "Written in the second tab");

  await first.close();
  await say(second, "Written alone");
  await sees(second, "Written alone");
  const third = await profile.context.newPage();
  await third.goto(`${node.origin}/chat/`);
  for (const text of ["Written in the first tab", "Written in the second tab", "Written alone"]) await sees(third, text);
});

test("a tab with the identity for itself is told of, and can be taken over", { timeout: 300_000 }, async (t) => {
  const node = await startNode(t);
  const profile = await openProfile(t, "ada");
  const first = await profile.page();
  await startGroup(first, node.origin, { me: "Ada", group: "Book club" });
  // As a program of this origin does that shares it with nobody.
  await first.goto(`${node.origin}/`);
  await first.evaluate(async () => {
    const { Peer } = await import("/peergraph/index.js");
    globalThis.peer = await Peer.open({ shared: false });
  });
  const second = await profile.context.newPage();
  await second.goto(`${node.origin}/chat/`);
  await second.locator("#problem-title", { hasText: "open in another tab" }).waitFor();
  await picture(second, "second-tab");
  await second.getByRole("button", { name: "Use it here" }).click();
  await inGroup(second, "Book club");
  await first.waitForFunction(() => globalThis.peer.closed);
});

const lacks = [
  ["WebRTC", "cannot connect directly", () => { delete window.RTCPeerConnection; }],
  ["WebRTC, refused when used", "cannot connect directly", () => {
    window.RTCPeerConnection = class { constructor() { throw new DOMException("switched off", "NotAllowedError"); } };
  }],
  ["IndexedDB", "cannot keep your messages", () => {
    Object.defineProperty(window, "indexedDB", { value: undefined });
  }],
];
for (const [what, words, before] of lacks) {
  test(`a browser without ${what} is told`, { timeout: 300_000 }, async (t) => {
    const node = await startNode(t);
    const profile = await openProfile(t, "lacking", { before });
    const page = await profile.page();
    await page.goto(`${node.origin}/chat/`);
    // Found out at the latest when somebody has said who they are.
    await page.locator("#name:visible, #problem-title:visible").first().waitFor();
    if (await page.locator("#name").isVisible()) {
      await page.fill("#name", "Ada");
      await page.keyboard.press("Enter");
    }
    await page.locator("#problem-title", { hasText: words }).waitFor();
    await picture(page, `without-${what.replace(/\W+/g, "-").toLowerCase()}`);
  });
}
