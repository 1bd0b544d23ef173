// The page of the running graph: nodes join, a line cuts them in two, a button heals them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openProfile, picture } from "./browser.mjs";
import { startNode } from "./native.mjs";

const NODES = 60;
/** How long the group may take to gather, and to become one again. Generous: the machine may be busy. */
const LONG_MS = 180_000;

const text = (page, id) => page.locator(`#${id}`).textContent();

async function until(page, id, words, timeout = LONG_MS) {
  await page.locator(`#${id}`, { hasText: words }).waitFor({ timeout });
}

const speed = (page, step) => page.locator("#speed").fill(String(step));

/** Draws a line across the picture, from top to bottom, through its middle. */
async function drawLine(page) {
  const box = await page.locator("#canvas").boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height * 0.05);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height * 0.95, { steps: 8 });
  await page.mouse.up();
}

test("a graph is cut with the mouse into two parts, and heals into one", { timeout: 600_000 }, async (t) => {
  const node = await startNode(t);
  const profile = await openProfile(t, "graph", { colorScheme: "light" });
  const page = await profile.page();
  await page.goto(`${node.origin}/graph/?nodes=${NODES}&seed=7`);
  await until(page, "members", new RegExp(`^${NODES}$`));
  await until(page, "parts", "1, whole");
  await speed(page, 8);
  await until(page, "reached", `${NODES} of ${NODES}`);
  await picture(page, "whole");
  console.log(`whole: ${await text(page, "links")} links, redundancy ${await text(page, "redundancy")}`);

  await drawLine(page);
  await until(page, "parts", /^2: /);
  const cut = await text(page, "parts");
  const sizes = cut.match(/\d+/g).slice(1).map(Number);
  assert.equal(sizes[0] + sizes[1], NODES, cut);
  assert.match(await text(page, "state"), /Cut into 2 parts/);
  // A record published in one part stays there.
  const published = Number(await text(page, "records"));
  await page.waitForFunction((before) => Number(document.getElementById("records").textContent) > before + 3, published);
  const reached = Number((await text(page, "reached")).split(" ")[0]);
  assert.ok(reached <= sizes[0], `a record reached ${reached} nodes, the parts have ${cut}`);
  await picture(page, "cut");
  console.log(`cut: parts ${cut}; the newest record reached ${reached}`);

  await page.emulateMedia({ colorScheme: "dark" });
  await page.click("#heal");
  const healed = await text(page, "time");
  await speed(page, 9);
  await until(page, "parts", "1, whole");
  await until(page, "reached", `${NODES} of ${NODES}`);
  console.log(`healed: cut ended at ${healed}, one graph by ${await text(page, "time")} of world time`);
  await picture(page, "healed-dark");

  await page.click("#kill");
  await until(page, "members", new RegExp(`^${NODES - 1}$`));
  await page.click("#add");
  await until(page, "members", new RegExp(`^${NODES + 9}$`));
  // A node is chosen and publishes by keyboard, with nobody publishing by itself.
  await page.locator("#steady").uncheck();
  const before = Number(await text(page, "records"));
  await page.focus("#canvas");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Enter");
  await until(page, "chosen", /^Node \d+: [1-9]\d* links?/);
  await page.waitForFunction((before) => Number(document.getElementById("records").textContent) > before, before);
  await until(page, "reached", `${NODES + 9} of ${NODES + 9}`);

  await page.setViewportSize({ width: 360, height: 740 });
  await page.evaluate(() => scrollTo(0, 0));
  await page.waitForTimeout(1_500);
  await picture(page, "narrow-dark");
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= 360, `the page is ${wide} px wide`);
});
