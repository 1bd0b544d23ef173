// The packed npm package as its users get it. Before this, `cargo xtask test` has installed the
// packed file into node_modules; CHROMIUM names the browser.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { chromium } from "playwright-core";

import { DOCUMENTS, programOf } from "../web/snippets.mjs";
import { BUILDS, SERVERS, buildOneFile } from "./bundlers.js";
import { serve } from "./server.js";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const INSTALLED = join(HERE, "node_modules/peergraph");
const BROWSER_ARGS = [
  "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

let browser;

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: BROWSER_ARGS,
  });
});

after(() => browser?.close());

/**
 * Opens a page in a browser profile of its own and gives it to `work`. The page may log no error but those that
 * `allowed` matches.
 */
async function inPage(address, work, { allowed = /(?!)/ } = {}) {
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    const faults = [];
    page.on("pageerror", (error) => faults.push(String(error)));
    page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
    page.on("requestfailed", (request) => faults.push(`cannot fetch ${request.url()}`));
    await page.goto(address);
    const result = await work(page);
    assert.deepEqual(faults.filter((fault) => !allowed.test(fault)), []);
    return result;
  } finally {
    await context.close();
  }
}

/** The message of a browser for a module that is not there. */
const MISSING = /status of 404|cannot fetch .*\.wasm$/;

/** Has a page use the package. `modules`: how often it asks for the module as a file. */
const usePage = (address, { modules = 1, ...how } = {}) => inPage(address, async (page) => {
  await page.waitForFunction(() => "useThePackage" in window, null, { timeout: 60_000 });
  assert.deepEqual(await page.evaluate(() => window.fetchedModules()), [],
    "importing the package must not fetch its module");
  assert.deepEqual(await page.evaluate(() => window.useThePackage()), { text: "Olá", creator: "Ada" });
  assert.equal((await page.evaluate(() => window.fetchedModules())).length, modules);
}, how);

/** Does something with a folder that is removed afterwards. */
async function inFolder(name, work) {
  const folder = await mkdtemp(join(tmpdir(), `peergraph-${name}-`));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function serving(folders, work) {
  const server = await serve(folders);
  try {
    return await work(server.address);
  } finally {
    await server.close();
  }
}

const PLAIN = [
  ["/node_modules/peergraph/", INSTALLED], ["/use.js", join(HERE, "use.js")], ["/", join(HERE, "esm")],
];

test("package holds what its users need, and nothing else", async () => {
  const names = await readdir(INSTALLED);
  for (const needed of ["README.md", "LICENSE-MIT", "LICENSE-APACHE", "guides", "index.d.ts", "index.js", "inline.d.ts",
    "inline.js", "package.json", "peergraph_web.js", "peergraph_web_bg.wasm", "peergraph_web_inline.js"]) {
    assert.ok(names.includes(needed), `${needed} is missing`);
  }
  const surplus = names.filter((name) => !/\.(js|d\.ts)$/.test(name)
    && !["README.md", "LICENSE-MIT", "LICENSE-APACHE", "guides", "package.json", "peergraph_web_bg.wasm"]
      .includes(name));
  assert.deepEqual(surplus, []);
  const { dependencies, scripts } = JSON.parse(await readFile(join(INSTALLED, "package.json")));
  assert.equal(dependencies, undefined);
  assert.equal(scripts, undefined, "installing the package must run nothing");
});

/** The complaints of the compiler about these files: none, if the types hold. */
async function typeFaults(files, ...options) {
  const compiler = join(HERE, "node_modules/.bin/tsc");
  const { stdout } = await promisify(execFile)(compiler, [
    "--noEmit", "--strict", "--exactOptionalPropertyTypes", "--skipLibCheck", "false",
    "--target", "es2022", "--lib", "es2022,dom,dom.iterable,dom.asynciterable,esnext.disposable",
    "--types", "", ...options, ...files,
  ], { cwd: HERE }).catch((failed) => failed);
  return stdout;
}

for (const [module, moduleResolution] of [["esnext", "bundler"], ["nodenext", "nodenext"]]) {
  test(`types hold for an application (${moduleResolution})`, { timeout: 60_000 }, async () => {
    const options = ["--module", module, "--moduleResolution", moduleResolution];
    assert.equal(await typeFaults(["types.ts"], ...options), "");
  });
}

test("types hold for components of frameworks", { timeout: 60_000 }, async () => {
  // The types of the frameworks themselves are not ours to check.
  const options = ["--module", "esnext", "--moduleResolution", "bundler", "--skipLibCheck", "true"];
  assert.equal(await typeFaults(["adapters.ts"], ...options), "");
});

test("types hold for every snippet of the documents", { timeout: 60_000 }, async () => {
  // Each beside this file, where the package is found; the compiler names document and line.
  const folder = join(HERE, "snippets");
  try {
    const files = [];
    for (const document of DOCUMENTS) {
      const file = join(folder, `${document}.ts`);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, programOf(document, "peergraph").code);
      files.push(file);
    }
    const options = ["--module", "esnext", "--moduleResolution", "bundler", "--noImplicitAny", "false"];
    assert.equal(await typeFaults(files, ...options), "");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test("plain ES-module page publishes and reads a record", { timeout: 120_000 },
  () => serving(PLAIN, (address) => usePage(address)));

for (const [name, build, takesAlong] of BUILDS) {
  test(`page built by ${name} without a setting publishes and reads a record`, { timeout: 600_000 },
    () => inFolder("built", async (folder) => {
      const outDir = join(folder, "out");
      await build(outDir);
      const files = await readdir(outDir, { recursive: true });
      assert.equal(files.some((file) => file.endsWith(".wasm")), takesAlong, "whether it took the module along");
      // The module is asked for beside the bundle first. If it is not there, a script has it.
      const allowed = takesAlong ? undefined : MISSING;
      await serving([["/", outDir]], (address) => usePage(address, { allowed }));
    }));
}

for (const [name, start] of SERVERS) {
  test(`page from the development server of ${name} publishes and reads a record`, { timeout: 600_000 }, async () => {
    const cache = join(HERE, "node_modules/.cache", `peergraph-${name.replace(" ", "-")}`);
    await rm(cache, { recursive: true, force: true });
    const server = await start(cache);
    try {
      await usePage(server.address);
    } finally {
      await server.close();
    }
  });
}

test("page in one file, with peergraph/inline, fetches nothing", { timeout: 120_000 },
  () => inFolder("one-file", async (folder) => {
    const script = (await buildOneFile(folder)).replaceAll("</script", "<\\/script");
    const page = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script>${script}</script>`;
    await writeFile(join(folder, "index.html"), page);
    await serving([["/", folder]], (address) => usePage(address, { modules: 0 }));
  }));

// Each kind of source in a page of its own: the first load decides.
for (const kind of ["bytes", "a view", "a response", "a promise", "a URL", "text", "a module"]) {
  test(`module is loaded from ${kind} that the application gives`, { timeout: 60_000 }, async () => {
    const name = await serving(PLAIN, (address) => inPage(`${address}/`, (page) => page.evaluate(async (kind) => {
      const { init, peerName } = await import("peergraph");
      const url = new URL("/node_modules/peergraph/peergraph_web_bg.wasm", location.href);
      const bytes = async () => (await fetch(url)).arrayBuffer();
      const wasm = await {
        bytes, "a view": async () => new Uint8Array(await bytes()), "a response": () => fetch(url),
        "a promise": () => [fetch(url)], "a URL": () => url, text: () => url.href,
        "a module": async () => WebAssembly.compile(await bytes()),
      }[kind]();
      await init({ wasm: kind === "a promise" ? wasm[0] : wasm });
      await init();
      return (await peerName("0.chess")).name;
    }, kind)));
    assert.equal(name, "0.chess");
  });
}

test("a module that cannot be loaded is a clear error, and another try may succeed", { timeout: 60_000 }, async () => {
  const seen = await serving(PLAIN, (address) => inPage(`${address}/`, (page) => page.evaluate(async () => {
    const { init, peerName } = await import("peergraph");
    const fails = (wasm) => init({ wasm }).then(() => "no error", (error) => [error.code, error.hint.length > 0]);
    return [await fails(new Uint8Array(8)), await fails("/nothing.wasm"), (await peerName("0.chess")).name];
  }), { allowed: MISSING }));
  assert.deepEqual(seen, [["load-failed", true], ["load-failed", true], "0.chess"]);
});

test("invitations are read and signatures checked in Node", { timeout: 60_000 }, async () => {
  const made = await serving(PLAIN, (address) => inPage(`${address}/`, (page) => page.evaluate(async () => {
    const { Peer } = await import("peergraph");
    const peer = await Peer.open({ name: "Ada" });
    const group = await peer.createGroup({ name: "Trip to Lisbon" });
    const { link } = await group.invite();
    const made = { link, group: group.id, id: peer.id, document: peer.identityDocument(), signature: [...peer.sign("Olá")] };
    await peer.close();
    return made;
  })));
  const offline = join(HERE, "node/offline.js");
  for (const entry of ["peergraph", "peergraph/inline"]) {
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath, [offline, entry, JSON.stringify(made)], { timeout: 60_000 });
    assert.equal(stderr, "");
    assert.deepEqual(JSON.parse(stdout), { group: made.group, by: made.id, forged: null, peer: "0.chess" });
  }
});

test("import in Node does nothing, and opening a peer there is a clear error", async () => {
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath, [join(HERE, "node/import.js")], { timeout: 30_000 });
  assert.equal(stderr, "", "importing the package must print nothing");
  const { added, error } = JSON.parse(stdout);
  assert.deepEqual(added, [], "importing the package must add no global");
  assert.equal(error.isPeergraphError, true);
  assert.equal(error.name, "PeergraphError");
  assert.match(error.code, /^[a-z][a-zA-Z-]+$/);
  assert.ok(error.message.length > 10 && error.hint.length > 10, "message and hint say something");
});
