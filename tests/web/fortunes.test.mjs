// Goal: real texts in a real number end up as the same set at everybody's, byte for byte.
// Method: all of Debian's fortunes are published by one native member; a browser and a native program that never had
// any of them join, and all three are compared with the files.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openProfile } from "./browser.mjs";
import { Member, startNode } from "./native.mjs";

const FOLDER = "/usr/share/games/fortunes";
const TYPE = "fortune.text";
const skip = existsSync(join(FOLDER, "fortunes")) ? false
  : "Debian's package fortunes is not installed: apt-get install fortunes";

/** The texts as they stand between lines of "%", their line ends included. */
function fortunes() {
  const texts = [];
  for (const file of readdirSync(FOLDER).sort()) {
    const path = join(FOLDER, file);
    if (/\.(dat|u8)$/.test(file) || !statSync(path).isFile()) continue;
    const bytes = readFileSync(path);
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    for (const part of text.split(/^%\r?\n/mu)) {
      if (part.trim()) texts.push({ file, text: part });
    }
  }
  return texts;
}

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

test("all fortunes reach a fresh browser and a fresh native member", { skip, timeout: 600_000 }, async (t) => {
  // JSON keeps every character of a text of several lines on one line.
  const lines = fortunes().map((fortune) => JSON.stringify(fortune));
  assert.ok(lines.length > 1_000, `${lines.length} fortunes`);
  const expected = lines.map(sha256).sort();
  const took = {};
  const timed = async (what, work) => {
    const from = performance.now();
    const result = await work();
    took[`${what}_s`] = Number(((performance.now() - from) / 1000).toFixed(1));
    return result;
  };

  const node = await startNode(t);
  const publisher = await Member.make(t, "Publisher", { node });
  const group = await publisher.createGroup("Fortunes");
  await timed("publish", () => publisher.run(["publish", group, TYPE, "--lines", "--wait", "stored"],
    { input: `${lines.join("\n")}\n`, timeout: 300_000 }));
  const link = await publisher.invite(group, node.origin, "--uses", "2");
  const online = publisher.start(["watch", group, "--type", "nothing.here", "--json"]);

  await t.test("a browser", async () => {
    const profile = await openProfile(t, "reader");
    const page = await profile.page();
    await page.goto(`${node.origin}/`);
    const found = await timed("browser", () => page.evaluate(readAll, { link, type: TYPE, count: lines.length }));
    assert.deepEqual(found.sort(), expected);
  });

  await t.test("a native program", async () => {
    const reader = await Member.make(t, "Reader", { node });
    const payloads = await timed("native", async () => {
      await reader.join(link);
      const watch = reader.start(["watch", group, "--type", TYPE, "--json"]);
      await watch.line(() => watch.lines.length >= lines.length, { timeout: 300_000 });
      await watch.stop();
      return watch.lines.map((line) => JSON.parse(line));
    });
    const byId = new Map(payloads.map((record) => [record.id, sha256(record.payload)]));
    assert.deepEqual([...byId.values()].sort(), expected);
  });

  await online.stop();
  console.log(JSON.stringify({ benchmark: "fortunes", records: lines.length,
    bytes: lines.reduce((sum, line) => sum + Buffer.byteLength(line), 0), ...took }));
});

/** Runs in the page: joins, waits for all records, and gives the SHA-256 of each payload. */
async function readAll({ link, type, count }) {
  const { Peer } = await import("/peergraph/index.js");
  const peer = await Peer.open({ name: "Browser", nodes: [location.origin] });
  const group = await peer.join(link);
  const stop = new AbortController();
  const arrived = new Set();
  for await (const record of group.watch(type, { signal: stop.signal })) {
    arrived.add(record.id);
    if (arrived.size === count) stop.abort();
  }
  const hex = (bytes) => Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const digests = [];
  for (let after = null, first = true; first || after; first = false) {
    const records = await group.records({ type, after });
    for (const record of records) digests.push(hex(await crypto.subtle.digest("SHA-256", record.data)));
    after = records.next;
  }
  await peer.close();
  return digests;
}
