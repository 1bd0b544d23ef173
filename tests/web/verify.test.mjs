// Goal: which checks the signatures of records faster in a browser, our module or WebCrypto, and how many records a
// member in a browser accepts.
// Method: the same genuine signatures by many authors, in batches as core gets them. Every rate is per second of CPU of
// the page: of its main thread, which is what a node in a page has, and of all its threads, should the browser check in
// another one. Then a fresh member in a browser reads what a native member has published. Prints one JSON object; asserts
// nothing about time.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openProfile } from "./browser.mjs";
import { cpuOf } from "./spent.mjs";
import { Member, ROOT, startNode } from "./native.mjs";

const MODULE = process.env.PEERGRAPH_VERIFY ?? join(ROOT, "target/web-glue/peergraph_verify/web");
/** Signatures in one batch, and their authors. */
const [BATCH, AUTHORS] = [256, 100];
/** How often; the medians are printed. The first round, in which the browser compiles, does not count. */
const ROUNDS = 7;
const RECORDS = 5_000;
const TYPE = "load.note";
/** How often a batch is checked in a round, and where we choose, in what portions. */
const CHECKS = {
  webcrypto: [24], plain_single: [8], plain_many: [24], ours_1: [8, 1], ours_8: [12, 8], ours_256: [24, 256],
};

test("signatures and records that a browser checks", { timeout: 300_000 }, async (t) => {
  assert.ok(existsSync(MODULE), `${MODULE} is missing: \`cargo xtask test\` builds it`);
  const node = await startNode(t);
  const native = await Member.make(t, "Native", { node });
  const group = await native.createGroup("Load");
  const link = await native.invite(group, node.origin);
  const lines = Array.from({ length: RECORDS }, (_, n) => `${n} ${"x".repeat(110)}\n`).join("");
  await native.run(["publish", group, TYPE, "--lines", "--wait", "stored"], { input: lines });
  native.start(["watch", group, "--type", "none", "--json"]);

  const profile = await openProfile(t, "browser");
  const page = await profile.page();
  const type = (path) => path.endsWith(".js") ? "text/javascript" : "application/wasm";
  await page.route("**/verify/*", (route) => {
    const path = join(MODULE, new URL(route.request().url()).pathname.split("/").pop());
    return route.fulfill({ path, contentType: type(path) });
  });
  await page.goto(`${node.origin}/`);
  await page.evaluate(load, { batch: BATCH, authors: AUTHORS });
  const rates = {};
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const [name, [times, portion]] of Object.entries(CHECKS)) {
      const { result, cpu } = await cpuOf(page, () => page.evaluate(check, { name, times, portion }));
      assert.ok(result, `${name}: all signatures are good`);
      if (round > 0) (rates[name] ??= []).push([cpu.main, cpu.pages].map((seconds) => BATCH * times / seconds));
    }
  }
  assert.ok(!await page.evaluate(check, { name: "webcrypto", times: 1, wrong: true }), "a wrong one is found");

  await page.evaluate(open);
  const { result: accepted, cpu } = await cpuOf(page, () => page.evaluate(readAll, { link, type: TYPE, count: RECORDS }));
  assert.equal(accepted, RECORDS);

  const median = (name, place) => {
    const sorted = rates[name].map((rate) => rate[place]).sort((a, b) => a - b);
    return Math.round(sorted[Math.floor(sorted.length / 2)]);
  };
  const perSecond = Object.keys(CHECKS).map((name) =>
    [name, { main_thread: median(name, 0), all_threads: median(name, 1) }]);
  console.log(JSON.stringify({
    benchmark: "signatures in Chromium, per CPU second", batch: BATCH, authors: AUTHORS, ...Object.fromEntries(perSecond),
    records: RECORDS,
    accepted: { main_thread: Math.round(RECORDS / cpu.main), all_threads: Math.round(RECORDS / cpu.pages),
      browser: Math.round(RECORDS / cpu.browser) },
  }));
});

/** Runs in the page: signs, and makes the same signatures ready for WebCrypto. */
async function load({ batch, authors }) {
  const module = await import("/verify/peergraph_verify.js");
  await module.default();
  const signatures = new module.Signatures(batch, authors);
  const algorithm = "Ed25519";
  const claims = await Promise.all(Array.from({ length: batch }, async (_, n) => ({
    key: await crypto.subtle.importKey("raw", signatures.key(n), algorithm, false, ["verify"]),
    message: signatures.message(n), signature: signatures.signature(n),
  })));
  const verify = ({ key, message, signature }) => crypto.subtle.verify(algorithm, key, signature, message);
  const ours = (portion) => signatures.ours(portion);
  globalThis.checks = {
    plain_single: () => signatures.plain_single(),
    plain_many: () => signatures.plain_many(),
    ours_1: ours, ours_8: ours, ours_256: ours,
    webcrypto: async () => (await Promise.all(claims.map(verify))).every(Boolean),
  };
  globalThis.spoil = () => { claims[claims.length - 1].message[0] ^= 1; };
}

/** Runs in the page: whether all are good, each of so many times. */
async function check({ name, times, portion, wrong = false }) {
  if (wrong) globalThis.spoil();
  for (let n = 0; n < times; n += 1) if (!await globalThis.checks[name](portion)) return false;
  return true;
}

/** Runs in the page: opens a peer, so that its module is compiled. */
async function open() {
  const { Peer } = await import("/peergraph/index.js");
  globalThis.peer = await Peer.open({ name: "Browser", nodes: [location.origin] });
}

/** Runs in the page: joins, and waits until so many records are stored. */
async function readAll({ link, type, count }) {
  const group = await globalThis.peer.join(link);
  let seen = 0;
  for await (const _ of group.watch(type)) {
    seen += 1;
    if (seen === count) break;
  }
  return seen;
}
