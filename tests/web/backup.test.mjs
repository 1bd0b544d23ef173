// Goal: an identity with its groups survives its device: restored from a backup in another browser or a native folder, the
// group is still owned and goes on, and what is damaged here is mended by it.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join as path } from "node:path";
import { test } from "node:test";
import { inGroup, openProfile, picture, say, sees, startGroup } from "./browser.mjs";
import { Member, folder, run, startNode } from "./native.mjs";

const PASSWORD = "correct horse battery staple";
const TYPE = "note";

async function openPage(t, name, node) {
  const page = await (await openProfile(t, name)).page();
  await page.goto(`${node.origin}/`);
  return page;
}

/** Runs in the page: makes a group with some records, and backups without and with them. */
async function make({ type, password }) {
  const { Peer } = await import("/peergraph/index.js");
  globalThis.peer = await Peer.open({ name: "Ada" });
  const group = await globalThis.peer.createGroup({ name: "Trip to Lisbon" });
  for (let n = 0; n < 5; n += 1) await group.publish(type, { n });
  const text = (bytes) => btoa(String.fromCharCode(...bytes));
  const small = text(await globalThis.peer.backup(password));
  const whole = text(await globalThis.peer.backup(password, { withRecords: true }));
  return { id: globalThis.peer.id, group: group.id, small, whole };
}

/** Runs in the page: restores a backup, and tells what is here then. */
async function restore({ type, password, file }) {
  const { Peer, identities } = await import("/peergraph/index.js");
  const bytes = Uint8Array.from(atob(file), (letter) => letter.charCodeAt(0));
  const code = (promise) => promise.then(() => "no error", (error) => error.code);
  const wrong = await code(identities.restore(bytes, "battery staple"));
  const other = await code(identities.restore(new Blob(["something else"]), password));
  const restored = await identities.restore(new Blob([bytes]), password);
  globalThis.peer = await Peer.open({ identity: restored.id });
  const open = await code(identities.restore(bytes, password));
  const [group] = await globalThis.peer.groups();
  const notes = (await group.records({ type })).map(({ data, creator }) => [data.n, creator.me]);
  return { wrong, other, open, restored, group: group.id, owner: group.owner, role: group.role, notes };
}

test("an owner restores its group in another browser and lets somebody in", { timeout: 300_000 }, async (t) => {
  const node = await startNode(t);
  const ada = await openPage(t, "ada", node);
  const made = await ada.evaluate(make, { type: TYPE, password: PASSWORD });
  await ada.evaluate(() => globalThis.peer.close());

  const again = await openPage(t, "again", node);
  const seen = await again.evaluate(restore, { type: TYPE, password: PASSWORD, file: made.whole });
  assert.deepEqual([seen.wrong, seen.other, seen.open], ["wrong-password", "bad-backup", "locked"]);
  const { id, name, groups, records } = seen.restored;
  assert.deepEqual({ id, name, groups }, { id: made.id, name: "Ada", groups: 1 });
  assert.ok(records >= 5, `${records} records`);
  assert.deepEqual([seen.group, seen.owner, seen.role], [made.group, true, "administrator"]);
  assert.deepEqual(seen.notes, [0, 1, 2, 3, 4].map((n) => [n, true]));

  // The owner's word counts: a stranger is let in, and gets the records.
  const link = await again.evaluate(async () => {
    globalThis.peer.connect(location.origin);
    const [group] = await globalThis.peer.groups();
    return (await group.invite()).link;
  });
  const bob = await Member.make(t, "Bob", { node });
  const joined = await bob.join(link);
  assert.equal(joined, made.group);
  const watch = bob.start(["watch", joined, "--type", TYPE, "--json"]);
  await watch.line(() => watch.lines.length >= 5);
});

test("what is kept of a group is damaged, and mended by a backup", { timeout: 300_000 }, async (t) => {
  const node = await startNode(t);
  const page = await openPage(t, "ada", node);
  const made = await page.evaluate(make, { type: TYPE, password: PASSWORD });
  const damaged = await page.evaluate(async ({ password }) => {
    const { Peer } = await import("/peergraph/index.js");
    await globalThis.peer.close();
    const result = (request) => new Promise((done, fail) => {
      request.onsuccess = () => done(request.result);
      request.onerror = () => fail(request.error);
    });
    const database = await result(indexedDB.open(`peergraph:${globalThis.peer.id}`));
    const store = database.transaction("entries", "readwrite").objectStore("entries");
    const key = (await result(store.getAllKeys())).find((one) => one.byteLength === 34);
    const value = new Uint8Array(await result(store.get(key)));
    value[20] ^= 4;
    await result(store.put(value, key));
    database.close();
    const peer = await Peer.open();
    const told = new Promise((done) => peer.addEventListener("damaged", ({ detail }) => done(detail), { once: true }));
    const { membership } = await told;
    const groups = await peer.groups();
    const backup = await peer.backup(password).then(() => "no error", (error) => error.code);
    await peer.close();
    return { membership, groups: groups.length, backup };
  }, { password: PASSWORD });
  assert.deepEqual(damaged, { membership: true, groups: 0, backup: "storage-damaged" });
  const seen = await page.evaluate(restore, { type: TYPE, password: PASSWORD, file: made.small });
  assert.deepEqual([seen.restored.records, seen.group, seen.owner], [0, made.group, true]);
  assert.equal(seen.notes.length, 5, "records that stood here stay");
});

test("backups of browsers and native programs open on the other side", { timeout: 300_000 }, async (t) => {
  const node = await startNode(t);
  const files = folder(t, "backups");
  const password = path(files, "password");
  writeFileSync(password, PASSWORD);
  const page = await openPage(t, "ada", node);
  const made = await page.evaluate(make, { type: TYPE, password: PASSWORD });
  await page.evaluate(() => globalThis.peer.close());

  const file = path(files, "of-a-browser");
  writeFileSync(file, Buffer.from(made.whole, "base64"));
  const data = ["--data", folder(t, "restored")];
  const restored = (await run(["restore", file, "--password-file", password, "--json", ...data])).json();
  assert.deepEqual([restored.peer, restored.groups], [made.id, 1]);
  assert.match((await run(["group", "list", "--json", ...data])).stdout, new RegExp(made.group));
  await run(["publish", made.group, TYPE, "-a", "mediaType=application/json", ...data], { input: '{"n":5}' });

  const back = path(files, "of-a-program");
  await run(["backup", back, "--records", "--password-file", password, ...data]);
  const other = await openPage(t, "other", node);
  const seen = await other.evaluate(restore, {
    type: TYPE, password: PASSWORD, file: readFileSync(back).toString("base64") });
  assert.deepEqual([seen.restored.id, seen.group, seen.owner], [made.id, made.group, true]);
  assert.equal(seen.notes.length, 6);
});

/** Notes what a line of the page says in the frames that are drawn. */
const noteWords = (page, id) => page.evaluate((id) => {
  globalThis.said = new Set();
  const note = () => {
    globalThis.said.add(document.getElementById(id).textContent);
    requestAnimationFrame(note);
  };
  note();
}, id);
const standsStill = (page) => page.evaluate(() => [...globalThis.said].some((words) => words.includes("stands still")));

test("the chat page saves a backup, and goes on from it elsewhere and here", { timeout: 300_000 }, async (t) => {
  const node = await startNode(t);
  const files = folder(t, "saved");
  const ada = await (await openProfile(t, "ada")).page();
  await startGroup(ada, node.origin, { me: "Ada Lovelace", group: "Book club" });
  await say(ada, "Saved with the rest");
  await sees(ada, "Saved with the rest");
  await ada.click("#group-button");
  await ada.click("#menu-backup");
  await picture(ada, "backup");

  // A password that is short, or not the same twice, saves nothing.
  await ada.fill("#backup-password", "short");
  await ada.keyboard.press("Enter");
  await ada.locator("#backup-error", { hasText: "at least 8" }).waitFor();
  await ada.fill("#backup-password", PASSWORD);
  await ada.fill("#backup-again", "something else");
  await ada.keyboard.press("Enter");
  await ada.locator("#backup-error", { hasText: "differ" }).waitFor();
  await ada.fill("#backup-again", PASSWORD);
  await noteWords(ada, "backup-words");
  const [download] = await Promise.all([ada.waitForEvent("download"), ada.click("#backup-form button.primary")]);
  await ada.locator("#backup-words", { hasText: "is saved" }).waitFor();
  assert.ok(await standsStill(ada), "the page said that it stands still before it did");
  assert.match(download.suggestedFilename(), /^peergraph-Ada-Lovelace-\d{4}-\d\d-\d\d\.backup$/);
  assert.equal(await ada.inputValue("#backup-password"), "");
  const file = path(files, "file");
  await download.saveAs(file);
  await ada.click("#backup-close");

  // Here: nothing is lost by it, and a wrong password changes nothing.
  const mend = async (password) => {
    await ada.click("#group-button");
    await ada.click("#menu-backup");
    await ada.click("#mend summary");
    await ada.setInputFiles("#mend-file", file);
    await ada.fill("#mend-password", password);
    await ada.click("#mend-form button.primary");
  };
  await mend("battery staple");
  await ada.locator("#toast", { hasText: "Nothing was restored" }).waitFor();
  await inGroup(ada, "Book club");
  await mend(PASSWORD);
  await ada.locator("#toast", { hasText: "is restored" }).waitFor();
  await inGroup(ada, "Book club");
  await sees(ada, "Saved with the rest");
  await ada.close();

  const other = await (await openProfile(t, "other")).page();
  await other.goto(`${node.origin}/chat/`);
  await other.click("#restore-here summary");
  await other.setInputFiles("#restore-file", file);
  await other.fill("#restore-password", "battery staple");
  await noteWords(other, "restore-words");
  await other.click("#restore-form button.primary");
  await other.locator("#restore-error", { hasText: /password/i }).waitFor();
  assert.ok(await standsStill(other), "the page said that it stands still before it did");
  await picture(other, "restore");
  await other.fill("#restore-password", PASSWORD);
  await other.click("#restore-form button.primary");
  await inGroup(other, "Book club");
  await sees(other, "Saved with the rest");
  await say(other, "And on we go");
  await sees(other, "And on we go");
});
