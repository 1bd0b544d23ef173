// The packed npm package as its users get it. Before this, `cargo xtask test` has installed the
// packed file into node_modules; CHROMIUM names the browser.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { chromium } from "playwright-core";
import { build } from "vite";

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

/** Opens the page in a browser profile of its own and has it use the package. */
async function usePage(address) {
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    const faults = [];
    page.on("pageerror", (error) => faults.push(String(error)));
    page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
    page.on("requestfailed", (request) => faults.push(`cannot fetch ${request.url()}`));
    await page.goto(address);
    await page.waitForFunction(() => "useThePackage" in window, null, { timeout: 15_000 });
    assert.deepEqual(await page.evaluate(() => window.fetchedModules()), [],
      "importing the package must not fetch its module");
    assert.deepEqual(await page.evaluate(() => window.useThePackage()),
      { text: "Olá", creator: "Ada" });
    assert.equal((await page.evaluate(() => window.fetchedModules())).length, 1);
    assert.deepEqual(faults, []);
  } finally {
    await context.close();
  }
}

test("package holds what its users need, and nothing else", async () => {
  const names = await readdir(INSTALLED);
  for (const needed of ["README.md", "LICENSE-MIT", "LICENSE-APACHE", "index.d.ts", "index.js",
    "package.json", "peergraph_web.js", "peergraph_web_bg.wasm"]) {
    assert.ok(names.includes(needed), `${needed} is missing`);
  }
  const surplus = names.filter((name) => !/\.(js|d\.ts)$/.test(name)
    && !["README.md", "LICENSE-MIT", "LICENSE-APACHE", "package.json", "peergraph_web_bg.wasm"]
      .includes(name));
  assert.deepEqual(surplus, []);
  const { dependencies, scripts } = JSON.parse(await readFile(join(INSTALLED, "package.json")));
  assert.equal(dependencies, undefined);
  assert.equal(scripts, undefined, "installing the package must run nothing");
});

for (const [module, moduleResolution] of [["esnext", "bundler"], ["nodenext", "nodenext"]]) {
  test(`types hold for an application (${moduleResolution})`, { timeout: 60_000 }, async () => {
    const compiler = join(HERE, "node_modules/.bin/tsc");
    const { stdout } = await promisify(execFile)(compiler, [
      "--noEmit", "--strict", "--exactOptionalPropertyTypes", "--skipLibCheck", "false",
      "--target", "es2022", "--lib", "es2022,dom,dom.iterable,dom.asynciterable,esnext.disposable",
      "--types", "", "--module", module, "--moduleResolution", moduleResolution, "types.ts",
    ], { cwd: HERE }).catch((failed) => failed);
    assert.equal(stdout, "");
  });
}

test("plain ES-module page publishes and reads a record", { timeout: 60_000 }, async () => {
  const server = await serve([
    ["/node_modules/peergraph/", INSTALLED],
    ["/use.js", join(HERE, "use.js")],
    ["/", join(HERE, "esm")],
  ]);
  try {
    await usePage(server.address);
  } finally {
    await server.close();
  }
});

test("page built by Vite without a setting publishes and reads a record",
  { timeout: 120_000 }, async () => {
    const outDir = await mkdtemp(join(tmpdir(), "peergraph-vite-"));
    try {
      await build({
        root: join(HERE, "vite"),
        configFile: false,
        logLevel: "warn",
        build: { outDir, emptyOutDir: true },
      });
      const assets = await readdir(join(outDir, "assets"));
      assert.ok(assets.some((name) => name.endsWith(".wasm")), "Vite did not find the module");
      const server = await serve([["/", outDir]]);
      try {
        await usePage(server.address);
      } finally {
        await server.close();
      }
    } finally {
      await rm(outDir, { recursive: true });
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
