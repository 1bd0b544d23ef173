// Firefox as it is released, by WebDriver BiDi: as much of Playwright's page as measurements need. Playwright itself asks it
// for more than it can do.
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterwards } from "./cleanup.mjs";

const WebSocket = createRequire(import.meta.url)("playwright-core/lib/utilsBundle").ws;
const EXECUTABLE = process.env.FIREFOX ?? "/usr/bin/firefox-esr";

/** Links on loopback, by addresses and not by names of multicast; nothing asks the network for anything else. */
const PREFERENCES = {
  "media.peerconnection.ice.loopback": true,
  "media.peerconnection.ice.obfuscate_host_addresses": false,
  "app.normandy.enabled": false,
  "browser.shell.checkDefaultBrowser": false,
  "datareporting.policy.dataSubmissionEnabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "services.settings.server": "data:,",
};

/** Starts it with a profile of its own, and gives its page. It is ended after the test. */
export async function openFirefox(t, name) {
  const folder = mkdtempSync(join(tmpdir(), `peergraph-${name}-`));
  const line = ([key, value]) => `user_pref(${JSON.stringify(key)}, ${JSON.stringify(value)});\n`;
  writeFileSync(join(folder, "user.js"), Object.entries(PREFERENCES).map(line).join(""));
  const browser = spawn(EXECUTABLE, ["--headless", "--remote-debugging-port=0", "--profile", folder], { stdio: ["ignore", "ignore", "pipe"] });
  const ended = new Promise((done) => browser.on("exit", done));
  let socket;
  afterwards(t, async () => {
    socket?.close();
    browser.kill("SIGKILL");
    await ended;
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  const url = await new Promise((done, fail) => {
    createInterface({ input: browser.stderr }).on("line", (text) => {
      const [, found] = /WebDriver BiDi listening on (ws:\S+)/.exec(text) ?? [];
      if (found) done(found);
    });
    ended.then((code) => fail(new Error(`Firefox ended with ${code}`)));
  });
  socket = new WebSocket(`${url}/session`);
  await new Promise((done, fail) => socket.on("open", done).on("error", fail));
  const ask = asker(socket);
  await ask("session.new", { capabilities: {} });
  const { contexts: [{ context }] } = await ask("browsingContext.getTree", {});
  return new Page(ask, context, browser.pid);
}

/** CPU milliseconds of the main threads of all pages of a browser, as the kernel counts them. */
function spent(browser) {
  let sum = 0;
  for (const id of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      // It names its parent; what it is for comes last.
      const words = readFileSync(`/proc/${id}/cmdline`, "utf8").split(/[\0 ]/).filter(Boolean);
      const ours = words.at(-1) === "tab" && words[words.indexOf("-parentPid") + 1] === String(browser);
      if (ours) sum += Number(readFileSync(`/proc/${id}/schedstat`, "utf8").split(" ")[0]) / 1e6;
    } catch {
      // It has ended.
    }
  }
  return Math.round(sum);
}

/** Sends commands and finds the answers that belong to them. */
function asker(socket) {
  const waiting = new Map();
  let last = 0;
  socket.on("message", (text) => {
    const { id, type, result, error, message } = JSON.parse(text);
    const asked = waiting.get(id);
    waiting.delete(id);
    if (type === "error") asked?.fail(new Error(`${error}: ${message}`));
    else asked?.done(result);
  });
  return (method, params) => new Promise((done, fail) => {
    waiting.set(last += 1, { done, fail });
    socket.send(JSON.stringify({ id: last, method, params }));
  });
}

class Page {
  #ask;
  #context;
  #browser;

  constructor(ask, context, browser) {
    [this.#ask, this.#context, this.#browser] = [ask, context, browser];
  }

  /** CPU milliseconds that pages have taken in their main threads so far. */
  spent() {
    return spent(this.#browser);
  }

  async goto(url) {
    await this.#ask("browsingContext.navigate", { context: this.#context, url, wait: "complete" });
  }

  async reload() {
    await this.#ask("browsingContext.reload", { context: this.#context, wait: "complete" });
  }

  /** Runs a function in the page, with what JSON can say. */
  async evaluate(work, given = null) {
    const { type, result, exceptionDetails } = await this.#ask("script.callFunction", {
      functionDeclaration: `async (given) => JSON.stringify(await (${work})(JSON.parse(given)) ?? null)`,
      arguments: [{ type: "string", value: JSON.stringify(given) }],
      target: { context: this.#context },
      awaitPromise: true,
    });
    if (type === "exception") throw new Error(exceptionDetails.text);
    return JSON.parse(result.value);
  }
}
