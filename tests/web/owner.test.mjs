// Goal: a group passes to another owner from a page, and stays with it, whatever the owner before restores later.
// Method: Ada changes the group's key, takes a backup, and hands the group to Ben, all as scripts of pages with the real node.
// Ben uses his right. Then the backup is restored in a third browser: it says that Ada is the owner.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openProfile } from "./browser.mjs";
import { startNode } from "./native.mjs";

const TYPE = "note";
const PASSWORD = "correct horse battery staple";

async function openPage(t, name, node) {
  const page = await (await openProfile(t, name)).page();
  await page.goto(`${node.origin}/`);
  // Pages wait for this: the condition holds now, or after some event of the group.
  await page.evaluate(() => {
    globalThis.until = async (holds) => {
      while (!(await holds())) await new Promise((done) => setTimeout(done, 50));
    };
  });
  return page;
}

/** Runs in the page: makes a group whose key is changed, with a record, and a backup of it. */
async function make({ type, password }) {
  const { Peer } = await import("/peergraph/index.js");
  globalThis.peer = await Peer.open({ name: "Ada", nodes: [location.origin] });
  globalThis.group = await globalThis.peer.createGroup({ name: "Allotment" });
  await globalThis.group.rotateKey();
  await globalThis.group.publish(type, "by Ada");
  const { link } = await globalThis.group.invite({ uses: 3 });
  const file = btoa(String.fromCharCode(...await globalThis.peer.backup(password)));
  return { id: globalThis.peer.id, group: globalThis.group.id, link, file };
}

/** Runs in the page: joins, reads, and offers to be the owner. */
async function offer({ type, link }) {
  const { Peer } = await import("/peergraph/index.js");
  globalThis.peer = await Peer.open({ name: "Ben", nodes: [location.origin] });
  globalThis.group = await globalThis.peer.join(link);
  const { group, until } = globalThis;
  await until(async () => (await group.records({ type })).length === 1);
  const early = await group.rotateKey().then(() => "no error", (error) => error.code);
  await group.offerOwnership();
  return { id: globalThis.peer.id, group: group.id, owner: group.owner, early };
}

/** Runs in the page: waits for the offer, and hands over to who made it. */
async function handOver(ben) {
  const { group, until } = globalThis;
  const member = async () => (await group.members()).find(({ id }) => id === ben);
  await until(async () => (await member())?.offersOwnership);
  await group.handOver(await member());
  await until(() => !group.owner);
  const late = await group.rotateKey().then(() => "no error", (error) => error.code);
  return { role: group.role, standing: group.standing, late };
}

/** Runs in the page: waits until the group is ours, and uses that. */
async function use({ type, ada }) {
  const { group, until } = globalThis;
  await until(() => group.owner && group.role === "administrator");
  await group.rotateKey();
  await group.set({ comment: "of Ben" });
  await group.publish(type, "by Ben");
  await group.promote(ada, { role: "administrator" });
  return { role: group.role };
}

/** Runs in the page: restores the backup, and goes on in the group. */
async function restore({ type, password, file, ben }) {
  const { Peer, identities } = await import("/peergraph/index.js");
  const bytes = Uint8Array.from(atob(file), (letter) => letter.charCodeAt(0));
  const { id } = await identities.restore(bytes, password);
  const peer = await Peer.open({ identity: id, nodes: [location.origin] });
  const [group] = await peer.groups();
  const claimed = group.owner;
  await globalThis.until(() => !group.owner);
  await globalThis.until(async () => (await group.records({ type })).length === 2);
  const code = (promise) => promise.then(() => "no error", (error) => error.code);
  const late = [await code(group.rotateKey()), await code(group.revoke(ben))];
  await group.publish(type, "by Ada, restored");
  await globalThis.until(async () => (await group.members()).some((it) => it.me && it.standing === "member"));
  return { claimed, late, comment: group.comment, standing: group.standing };
}

test("a group passes to another owner, and an older backup does not take it back", { timeout: 300_000 }, async (t) => {
  const node = await startNode(t);
  const ada = await openPage(t, "ada", node);
  const made = await ada.evaluate(make, { type: TYPE, password: PASSWORD });
  const ben = await openPage(t, "ben", node);
  const offered = await ben.evaluate(offer, { type: TYPE, link: made.link });
  assert.deepEqual([offered.group, offered.owner, offered.early], [made.group, false, "not-owner"]);

  const handed = await ada.evaluate(handOver, offered.id);
  assert.deepEqual([handed.standing, handed.late], ["member", "not-owner"]);
  const used = await ben.evaluate(use, { type: TYPE, ada: made.id });
  assert.equal(used.role, "administrator");
  await ada.evaluate(() => globalThis.peer.close());

  const again = await openPage(t, "again", node);
  const seen = await again.evaluate(restore, { type: TYPE, password: PASSWORD, file: made.file, ben: offered.id });
  assert.deepEqual(seen, {
    claimed: true, late: ["not-owner", "not-senior"], comment: "of Ben", standing: "member" });
  const heard = await ben.evaluate(async (type) => {
    const { group, until } = globalThis;
    const texts = async () => (await group.records({ type })).map(({ data }) => data);
    await until(async () => (await texts()).includes("by Ada, restored"));
    return { owner: group.owner, texts: (await texts()).sort() };
  }, TYPE);
  assert.deepEqual(heard, { owner: true, texts: ["by Ada", "by Ada, restored", "by Ben"] });
});
