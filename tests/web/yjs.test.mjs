// Goal: the same document for all members, with Yjs as applications use it, now and after restarts, and nobody's word is lost.
// Method: three browsers with one document; each types into it, one is closed and opened again, one goes off and comes back,
// and a fourth comes late. The page is bundled, since the provider imports Yjs by name.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { build } from "esbuild";
import { openProfile } from "./browser.mjs";
import { folder, ROOT, startNode } from "./native.mjs";

const PACKAGE = process.env.PEERGRAPH_PACKAGE ?? join(ROOT, "web/pkg");
const WORDS = 150;

/** The page: a module that gives Yjs and the provider to the functions below. */
async function bundle(t) {
  const pages = folder(t, "pages");
  await build({
    stdin: {
      contents: `import * as Y from "yjs"; import { PeergraphProvider } from "${join(PACKAGE, "yjs.js")}";
        Object.assign(globalThis, { Y, PeergraphProvider });`,
      resolveDir: import.meta.dirname,
    },
    nodePaths: [join(import.meta.dirname, "node_modules")],
    bundle: true, format: "esm", outfile: join(pages, "page.js"), logLevel: "error",
  });
  writeFileSync(join(pages, "index.html"), '<!doctype html><title>Yjs</title><link rel="icon" href="data:,"><script type="module" src="page.js"></script>');
  return pages;
}

async function openDocument(profile, node, name, link) {
  const page = await profile.page();
  await page.goto(`${node.origin}/`);
  await page.waitForFunction(() => globalThis.PeergraphProvider);
  await page.evaluate(start, { name, link });
  return page;
}

/** Runs in the page: opens peer, group and document. */
async function start({ name, link }) {
  const { Peer } = await import("/peergraph/index.js");
  const peer = await Peer.open({ name, nodes: [location.origin] });
  const [known] = await peer.groups();
  globalThis.group = known ?? (link ? await peer.join(link) : await peer.createGroup({ name: "Minutes" }));
  const { Y, PeergraphProvider, group } = globalThis;
  globalThis.errors = [];
  globalThis.doc = new Y.Doc();
  globalThis.provider = new PeergraphProvider(group, "minutes", globalThis.doc);
  globalThis.provider.on("error", (error) => globalThis.errors.push(String(error)));
  globalThis.provider.awareness.setLocalState({ name });
  if (!globalThis.provider.synced) await new Promise((done) => globalThis.provider.once("synced", done));
}

/** Runs in the page: types words, one after another. */
async function type({ word, count }) {
  const text = globalThis.doc.getText("text");
  for (let nth = 0; nth < count; nth += 1) {
    text.insert(nth % 2 ? text.length : 0, `${word}${nth} `);
    await new Promise((done) => setTimeout(done, 10));
  }
  await globalThis.provider.flush();
}

const text = (page) => page.evaluate(() => globalThis.doc.getText("text").toString());
const wordsOf = (said) => said.split(" ").filter(Boolean).toSorted();

async function same(pages, words) {
  for (const page of pages) {
    await page.waitForFunction((count) => globalThis.doc.getText("text").toString().split(" ").length - 1 === count, words.length);
  }
  const said = await Promise.all(pages.map(text));
  assert.deepEqual(wordsOf(said[0]), words.toSorted());
  assert.equal(new Set(said).size, 1, "all have the same text");
}

test("a document of Yjs is the same everywhere, and stays", { timeout: 900_000 }, async (t) => {
  const node = await startNode(t, { pages: await bundle(t) });
  const profiles = [];
  for (const name of ["Ada", "Ben", "Cleo", "Dan"]) profiles.push(await openProfile(t, name));
  const ada = await openDocument(profiles[0], node, "Ada");
  const link = await ada.evaluate(async () => (await globalThis.group.invite({ uses: 3 })).link);
  let ben = await openDocument(profiles[1], node, "Ben", link);
  const cleo = await openDocument(profiles[2], node, "Cleo", link);

  // All at once.
  const words = [];
  const say = (page, word, count) => {
    words.push(...Array.from({ length: count }, (_, nth) => `${word}${nth}`));
    return page.evaluate(type, { word, count });
  };
  await Promise.all([say(ada, "a", WORDS), say(ben, "b", WORDS), say(cleo, "c", WORDS)]);
  await same([ada, ben, cleo], words);

  // The people who are here.
  for (const page of [ada, ben, cleo]) {
    await page.waitForFunction(() => {
      const names = [...globalThis.provider.awareness.getStates().values()].map(({ name }) => name);
      return names.toSorted().join() === "Ada,Ben,Cleo";
    });
  }

  // One is closed, and opened again; what it wrote as it went is there.
  await say(ben, "gone", 5);
  await ben.close();
  await ada.waitForFunction(() => globalThis.provider.awareness.getStates().size === 2);
  ben = await openDocument(profiles[1], node, "Ben");
  await say(ben, "back", 30);
  await same([ada, ben, cleo], words);

  // One goes off, writes meanwhile, and comes back, ten times.
  for (let nth = 0; nth < 10; nth += 1) {
    await cleo.evaluate(() => globalThis.provider.disconnect());
    await cleo.evaluate((nth) => globalThis.doc.getText("text").insert(0, `off${nth} `), nth);
    words.push(`off${nth}`);
    await say(ada, `on${nth}x`, 3);
    await cleo.evaluate(() => globalThis.provider.connect());
  }
  await same([ada, ben, cleo], words);

  // One comes late, and a document can be made anew of the records alone.
  const dan = await openDocument(profiles[3], node, "Dan", link);
  await same([ada, ben, cleo, dan], words);
  const anew = await dan.evaluate(async () =>
    (await globalThis.PeergraphProvider.load(globalThis.group, "minutes")).getText("text").toString());
  assert.deepEqual(wordsOf(anew), words.toSorted());

  // As many edits as there were are a few records for each writer.
  const records = await dan.evaluate(async () => (await globalThis.group.records({ type: "yjs.update" })).length);
  t.diagnostic(`${words.length} edits in ${records} records`);
  assert.ok(records <= 4 * 4 * 8, `${records} records`);
  for (const page of [ada, ben, cleo, dan]) assert.deepEqual(await page.evaluate(() => globalThis.errors), []);
});
