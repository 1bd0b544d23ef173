// Chromium: one profile with its own data for each person of a story, and what people do on the chat page.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { chromium } from "playwright-core";
import { afterwards } from "./cleanup.mjs";

const EXECUTABLE = process.env.CHROMIUM ?? "/usr/bin/chromium";
const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
  // No multicast leaves the machine.
  "--disable-features=WebRtcHideLocalIpsWithMdns",
  // Tabs in the background keep their timers.
  "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
  "--disable-backgrounding-occluded-windows",
];
const OUTPUT = join(import.meta.dirname, "test-output");

/** How long anything on the page may take. Generous: the machine may be busy. */
export const WAIT_MS = 60_000;

/**
 * A browser with its own profile, closed and removed after the test. The test fails if a page logs an error that no
 * pattern of `allowed` matches; patterns can be added while it runs.
 */
export async function openProfile(t, name, { viewport = { width: 1180, height: 760 }, before, ...options } = {}) {
  const folder = mkdtempSync(join(tmpdir(), `peergraph-${name}-`));
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: EXECUTABLE, args: FLAGS, viewport, ...options,
  });
  context.setDefaultTimeout(WAIT_MS);
  const errors = [];
  const allowed = [];
  const watch = (page) => {
    page.on("pageerror", (error) => errors.push(`${name}: ${error.stack ?? error}`));
    page.on("console", (message) => {
      if (process.env.CONSOLE) console.log(`[${name}] ${message.type()}: ${message.text()}`);
      if (message.type() === "error") errors.push(`${name}: ${message.text()} (${message.location().url})`);
    });
  };
  context.pages().forEach(watch);
  context.on("page", watch);
  if (before) await context.addInitScript(before);
  let closed = false;
  const close = async () => {
    if (closed) return;
    closed = true;
    // Pictures of what a failed test last saw.
    for (const page of context.pages()) await picture(page, `${name}-end`).catch(() => {});
    await context.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  afterwards(t, async () => {
    await close();
    const unexpected = errors.filter((error) => !allowed.some((pattern) => pattern.test(error)));
    assert.deepEqual(unexpected, [], "errors in the console");
  });
  return { name, folder, context, allowed, close, kill: () => kill(folder), page: () => context.pages()[0] ?? context.newPage() };
}

/** Kills the browser that uses this profile, with all its pages: no page gets to say anything. */
function kill(folder) {
  for (const id of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    let words = [];
    try {
      words = readFileSync(`/proc/${id}/cmdline`, "utf8").split("\0");
    } catch {
      // It has ended.
    }
    if (words.includes(`--user-data-dir=${folder}`)) process.kill(Number(id), "SIGKILL");
  }
}

/** Lines that a page logs when its server is gone. The browser writes these lines itself. */
export const SERVER_GONE = [
  /ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|ERR_SOCKET_NOT_CONNECTED/,
  /WebSocket connection to .* failed/,
];

let shots = 0;
/** Keeps a picture of the page. */
export async function picture(page, name) {
  mkdirSync(OUTPUT, { recursive: true });
  shots += 1;
  const test = basename(process.argv[1] ?? "", ".test.mjs");
  await page.screenshot({ path: join(OUTPUT, `${test}-${String(shots).padStart(2, "0")}-${name}.png`) });
}

/** Opens the chat for the first time, says who one is, and makes a group. */
export async function startGroup(page, origin, { me, group }) {
  await page.goto(`${origin}/chat/`);
  await page.fill("#name", me);
  await page.keyboard.press("Enter");
  await page.fill("#group-name", group);
  await page.keyboard.press("Enter");
  await inGroup(page, group);
}

/** Waits until the conversation of this group is on the screen. */
export async function inGroup(page, group) {
  await page.locator("#chat #group-title", { hasText: group }).waitFor();
}

/** Makes an invitation with the dialog, and gives its link. */
export async function invite(page, { uses } = {}) {
  await page.click("#invite-button");
  if (uses) await page.selectOption("#invite-uses", String(uses));
  await page.click("#invite-make");
  await page.locator("#invite-result").waitFor();
  const link = await page.inputValue("#invite-link");
  await page.click("#invite-close");
  return link;
}

/** Follows an invitation in a browser that has never been here. */
export async function followInvitation(page, link, { me, group }) {
  await page.goto(link);
  await page.fill("#name", me);
  assert.equal(new URL(page.url()).hash, "", "the invitation is out of the address bar");
  await page.keyboard.press("Enter");
  await page.locator("#invited-title", { hasText: group }).waitFor();
  await page.click("#invited-join");
  await inGroup(page, group);
}

/** Writes a message. */
export async function say(page, text) {
  await page.fill("#text", text);
  await page.keyboard.press("Enter");
}

/** Waits until exactly this message is in the conversation. */
export async function sees(page, text, options) {
  await message(page, text).waitFor(options);
}

/** The message of this text. */
export const message = (page, text) =>
  page.locator(".message").filter({ has: page.locator(".text", { hasText: exactly(text) }) });

const exactly = (text) => new RegExp(`^${text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`);

/** Waits until the words about the connection match. */
export async function connected(page, words, options) {
  await page.locator("#connection-words", { hasText: words }).waitFor(options);
}

/** Waits until the page can be opened without its server. */
export async function keptOffline(page) {
  await page.waitForFunction(async () => {
    const registration = await navigator.serviceWorker.getRegistration();
    if (!registration?.active || !navigator.serviceWorker.controller) return false;
    for (const path of ["/chat/", "/chat/app.js", "/chat/words.js", "/style.css", "/peergraph/index.js"]) {
      if (!await caches.match(path)) return false;
    }
    // The WebAssembly itself.
    for (const name of await caches.keys()) {
      const kept = await (await caches.open(name)).keys();
      if (kept.some((request) => request.url.endsWith(".wasm"))) return true;
    }
    return false;
  }, null, { timeout: WAIT_MS, polling: 200 });
}
