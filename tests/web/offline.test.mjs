// Goal: the page opens without its server, and a newer page is told, and used after the next opening.
import assert from "node:assert/strict";
import { appendFileSync, cpSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { SERVER_GONE, inGroup, keptOffline, openProfile, picture, say, sees, startGroup } from "./browser.mjs";
import { ROOT, folder, startNode } from "./native.mjs";

test("the page opens without its server and renews itself", { timeout: 300_000 }, async (t) => {
  const pages = folder(t, "pages");
  for (const part of ["chat", "index.html", "style.css"]) {
    cpSync(join(ROOT, "examples", part), join(pages, part), { recursive: true });
  }
  const node = await startNode(t, { pages });
  const profile = await openProfile(t, "ada");
  const page = await profile.page();
  const said = [];
  page.on("console", (line) => said.push(line.text()));
  await startGroup(page, node.origin, { me: "Ada", group: "Diary" });
  await say(page, "Dear diary");
  await sees(page, "Dear diary");
  await keptOffline(page);

  profile.allowed.push(...SERVER_GONE);
  await node.kill();
  await page.reload();
  await inGroup(page, "Diary");
  await sees(page, "Dear diary");
  await page.locator("#notice-words", { hasText: "out of reach" }).waitFor();
  await say(page, "Alone with you");
  await sees(page, "Alone with you");
  await page.locator(".message .status", { hasText: "saved" }).last().waitFor();
  await picture(page, "offline");

  appendFileSync(join(pages, "chat/words.js"), "\nconsole.info('the newer page');\n");
  const again = await startNode(t, { pages, port: node.port });
  await page.reload();
  await page.locator("#notice-words", { hasText: "newer version" }).waitFor();
  assert.ok(!said.includes("the newer page"), "this opening runs the files of one version");
  await picture(page, "newer-version");
  const newer = page.waitForEvent("console", { predicate: (line) => line.text() === "the newer page" });
  await page.click("#notice-action");
  await newer;
  await sees(page, "Alone with you");
  await page.waitForTimeout(1_000);
  assert.equal(await page.locator("#notice").isVisible(), false, "nothing newer than that");

  // A file gets another name: the old one is gone, and the new one is kept without ever having been loaded.
  const chat = join(pages, "chat");
  renameSync(join(chat, "dom.js"), join(chat, "element.js"));
  for (const name of readdirSync(chat).filter((it) => it.endsWith(".js"))) {
    const file = join(chat, name);
    writeFileSync(file, readFileSync(file, "utf8").replaceAll('"./dom.js"', '"./element.js"'));
  }
  await page.reload();
  await page.locator("#notice-words", { hasText: "newer version" }).waitFor();
  await again.kill();
  await page.reload();
  await inGroup(page, "Diary");
  await sees(page, "Alone with you");
  const loaded = await page.evaluate(() => performance.getEntriesByType("resource").map(({ name }) => name));
  assert.ok(loaded.some((name) => name.endsWith("/chat/element.js")), "the page of the new names");
});
