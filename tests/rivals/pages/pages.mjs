// Two pages that meet and talk, with each system in turn: how long a newcomer and a reader wait.
//
//   node pages.mjs [--rounds N] [--only NAME]…
//
// Each round is a new room or group with one message in it, on a page of one browser; a page of another browser joins,
// sees that message, says one itself, and then a few more, each timed one way by the wall clock that both share. Systems
// take turns in a different order each round, since the machine is shared. The first round warms up and is not counted.
//
// A system is a module with `open({ server, storage, name })`, `make({ place, text })`, which returns where others join,
// `enter({ place, text })` and `say(text)`; what arrives it hands to `came(text)`.
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import { servers } from "./servers.mjs";

const ROOT = resolve(import.meta.dirname, "../../..");
const BINARY = process.env.PEERGRAPH_BIN ?? join(ROOT, "target/debug/peergraph");
const PACKAGE = process.env.PEERGRAPH_PACKAGE ?? join(ROOT, "web/pkg");
const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
  "--disable-features=WebRtcHideLocalIpsWithMdns", "--disable-background-timer-throttling",
  "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows",
];
const MESSAGES = 5;
const WAIT_MS = 30_000;

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "15" }, only: { type: "string", multiple: true } },
});
const SYSTEMS = values.only ?? Object.keys(servers);
const ROUNDS = Number(values.rounds);

const ends = [];
try {
  const places = await serveAll();
  const [ada, bob] = [await browser("ada"), await browser("bob")];
  const rows = Object.fromEntries(SYSTEMS.map((name) => [name, []]));
  for (let round = -1; round < ROUNDS; round += 1) {
    for (let nth = 0; nth < SYSTEMS.length; nth += 1) {
      const name = SYSTEMS[(nth + round + SYSTEMS.length) % SYSTEMS.length];
      const row = await meet(places[name], [ada, bob], `${name}-${round}-${Date.now()}`)
        .catch((error) => ({ failed: String(error) }));
      if (round >= 0) rows[name].push(row);
      process.stderr.write(`${round + 1}/${ROUNDS} ${name} ${JSON.stringify(row)}\n`);
    }
  }
  for (const name of SYSTEMS) console.log(JSON.stringify({ benchmark: "pages", system: name, ...summary(rows[name]) }));
} finally {
  for (const end of ends.reverse()) await end();
}

/** Starts the server and the pages of each system. */
async function serveAll() {
  const places = {};
  for (const name of SYSTEMS) {
    const { server, stop } = await servers[name]({ binary: BINARY });
    ends.push(stop);
    const bundle = await build({
      entryPoints: [join(import.meta.dirname, `${name}.js`)], bundle: true, write: false, minify: true, format: "esm",
      external: ["/peergraph/*"], define: { global: "globalThis", "process.env.NODE_ENV": '"production"' },
    });
    const [{ text }] = bundle.outputFiles;
    const http = createServer((request, response) => answer(request.url, text, response)).listen(0, "127.0.0.1");
    await new Promise((done) => http.once("listening", done));
    ends.push(() => (http.closeAllConnections(), http.close()));
    places[name] = { server, origin: `http://127.0.0.1:${http.address().port}` };
  }
  return places;
}

function answer(url, bundle, response) {
  const send = (type, body) => response.writeHead(200, { "content-type": type, "cache-control": "max-age=3600" }).end(body);
  const types = { ".js": "text/javascript", ".wasm": "application/wasm" };
  const path = url.split("?")[0];
  const file = join(PACKAGE, path.slice("/peergraph/".length));
  if (path === "/") return send("text/html", "<!doctype html><meta charset=utf-8><title>Rivals</title>");
  if (path === "/system.js") return send("text/javascript", bundle);
  if (path.startsWith("/peergraph/") && file.startsWith(PACKAGE) && statSync(file, { throwIfNoEntry: false })?.isFile()) {
    return send(types[extname(file)] ?? "text/plain", readFileSync(file));
  }
  return response.writeHead(404).end();
}

async function browser(name) {
  const folder = mkdtempSync(join(tmpdir(), `peergraph-rivals-${name}-`));
  ends.push(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS,
  });
  ends.push(() => context.close());
  context.setDefaultTimeout(WAIT_MS);
  return context;
}

/** One round: times in milliseconds. */
async function meet({ server, origin }, [ada, bob], storage) {
  const [a, b] = [await page(ada, origin), await page(bob, origin)];
  try {
    await a.evaluate((options) => globalThis.system.open(options), { server, storage, name: "Ada" });
    const place = await a.evaluate((options) => globalThis.system.make(options), { place: storage, text: "welcome" });
    // It is connected to its server, and nothing is left to do.
    await sleep(1_500);
    const start = await b.evaluate(async ({ server, storage, place }) => {
      const opening = globalThis.now();
      await globalThis.system.open({ server, storage, name: "Bob" });
      const joining = globalThis.now();
      globalThis.system.enter({ place, text: "hello" }).catch((error) => { globalThis.failed = String(error); });
      return { opening, joining };
    }, { server, storage, place });
    const [toBob, toAda] = [await arrival(b, "welcome"), await arrival(a, "hello")];
    await sleep(500);
    const messages = [];
    for (let nth = 0; nth < MESSAGES; nth += 1) {
      const said = await b.evaluate((text) => {
        const at = globalThis.now();
        globalThis.system.say(text);
        return at;
      }, `message ${nth}`);
      messages.push(await arrival(a, `message ${nth}`) - said);
    }
    const round = (value) => Number(value.toFixed(1));
    return {
      open_to_message_ms: round(toBob - start.opening), join_to_message_ms: round(toBob - start.joining),
      join_to_heard_ms: round(toAda - start.joining), message_ms: round(median(messages)),
    };
  } finally {
    await a.close();
    await b.close();
  }
}

async function page(context, origin) {
  const page = await context.newPage();
  await page.goto(`${origin}/`);
  await page.evaluate(async () => {
    const seen = new Map();
    const waiting = new Map();
    globalThis.now = () => performance.timeOrigin + performance.now();
    globalThis.came = (text) => {
      if (seen.has(text)) return;
      seen.set(text, globalThis.now());
      waiting.get(text)?.(seen.get(text));
    };
    globalThis.arrival = (text) => seen.get(text) ?? new Promise((done) => waiting.set(text, done));
    globalThis.system = await import("/system.js");
  });
  return page;
}

async function arrival(page, text) {
  const late = sleep(WAIT_MS, undefined, { ref: false }).then(async () => {
    throw new Error(`"${text}" did not come: ${await page.evaluate(() => globalThis.failed)}`);
  });
  return Promise.race([page.evaluate((text) => globalThis.arrival(text), text), late]);
}

function median(values) {
  const sorted = values.toSorted((one, other) => one - other);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

function summary(rows) {
  const met = rows.filter((row) => !row.failed);
  const figures = { rounds: rows.length, failed: rows.length - met.length };
  for (const key of Object.keys(met[0] ?? {})) {
    const all = met.map((row) => row[key]);
    figures[key] = Number(median(all).toFixed(1));
    figures[key.replace("_ms", "_max_ms")] = Math.max(...all);
  }
  return figures;
}
