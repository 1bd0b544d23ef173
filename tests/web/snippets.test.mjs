// Goal: what the documents show in JavaScript works as it stands there. Method: a page and a node; each document is one
// program. A loop over a group's records goes on for ever, so it ends after its first round here: it must have had one.
// Types are checked in tests/packaging.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openPage } from "./native.mjs";
import { DOCUMENTS, programOf } from "./snippets.mjs";

/** Where the node serves the package. */
const PACKAGE = "/peergraph/index.js";
/** How long a block may take. Generous: the machine may be busy. */
const BLOCK_MS = 60_000;
const LOOP = /for await \((const \w+) of (.+)\) \{(?=\s*(?:\/\/.*)?$)/gm;

/** The program as the page runs it: it says which block it has come to, and a loop has one round. */
function runnable({ code, begins }) {
  const lines = code.replace(LOOP, "for await ($1 of globalThis.oneRound($2)) {").split("\n");
  for (const begin of begins) lines[begin - 1] = `globalThis.begins(${begin});`;
  return lines.join("\n");
}

test("every snippet of the documents runs", { timeout: 600_000 }, async (t) => {
  const { page, node } = await openPage(t, "snippets");
  await page.route("**/snippets/**", (route) => {
    const document = new URL(route.request().url()).pathname.slice("/snippets/".length);
    return route.fulfill({ contentType: "text/javascript", body: runnable(programOf(document, PACKAGE)) });
  });
  for (const document of DOCUMENTS) {
    await t.test(document, async () => {
      const { begins } = programOf(document, PACKAGE);
      assert.ok(begins.length > 0, `${document} has no snippet`);
      await page.goto(`${node.origin}/`);
      const { at, fault } = await page.evaluate(run, { document, patience: BLOCK_MS });
      assert.equal(fault, null, `${document}:${at}: ${fault}`);
      assert.equal(at, begins.at(-1), `${document} ended before its last snippet`);
    });
  }
});

/** Runs a program in the page. `at` is the line of its last block; `fault` what went wrong, with the line in its stack. */
async function run({ document, patience }) {
  const { Peer } = await import("/peergraph/index.js");
  const opened = [];
  const open = Peer.open;
  Peer.open = async (...given) => {
    const peer = await open.apply(Peer, given);
    opened.push(peer);
    return peer;
  };
  const seen = { at: 0, fault: null };
  let late;
  const tooLate = new Promise((_, fail) => {
    globalThis.begins = (line) => {
      seen.at = line;
      clearTimeout(late);
      late = setTimeout(fail, patience, new Error("it does not end"));
    };
  });
  globalThis.oneRound = async function* (records) {
    for await (const record of records) {
      yield record;
      return;
    }
    throw new Error("a loop without a record");
  };
  const failed = [];
  console.assert = (so) => so || failed.push(new Error("an assertion does not hold"));
  await Promise.race([import(`/snippets/${document}`), tooLate]).catch((error) => failed.push(error));
  clearTimeout(late);
  if (failed.length > 0) seen.fault = String(failed[0]?.stack ?? failed[0]);
  await Promise.all(opened.map((peer) => peer.close()));
  for (const { name } of await indexedDB.databases()) {
    await new Promise((done, fail) => Object.assign(indexedDB.deleteDatabase(name), { onsuccess: done, onblocked: done, onerror: fail }));
  }
  return seen;
}
