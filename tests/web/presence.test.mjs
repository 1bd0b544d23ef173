// Presence: a browser and a native member see each other's nodes, what these say of themselves, and that they go.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openProfile } from "./browser.mjs";
import { Member, startNode } from "./native.mjs";

test("nodes say that they are here, and what they want of themselves", { timeout: 600_000 }, async (t) => {
  const node = await startNode(t);
  const native = await Member.make(t, "Native", { node });
  const id = await native.createGroup("Here");
  const link = await native.invite(id, node.origin);
  const watch = native.start(["watch", id, "--present", "mood=busy", "--json"]);

  const profile = await openProfile(t, "browser");
  const page = await profile.page();
  await page.goto(`${node.origin}/`);
  const seen = await page.evaluate(meet, link);
  assert.deepEqual(seen.native, { name: "Native", me: false, attributes: { mood: "busy" }, dialled: true });
  assert.deepEqual(seen.own, { id: seen.peer, me: true, dialled: false });
  assert.deepEqual(seen.said, { mood: "idle", since: 7, cameras: [true, false] });
  // Shorter lives than core refreshes are lengthened; those of other records are not.
  assert.deepEqual(seen.lives, { refreshed: 480_000, other: 60_000 });

  assert.equal((await watch.stop()).code, 0);
  await page.waitForFunction(() => globalThis.went.some(({ peer }) => peer.name === "Native"));
  const { stdout, stderr } = await native.run(["group", "nodes", id, "--json"]);
  const nodes = stdout.trim().split("\n").map((line) => JSON.parse(line));
  const browser = nodes.find(({ peer }) => peer === seen.peer);
  assert.equal(browser?.name, "Browser", `${stdout}${stderr}`);
  assert.deepEqual(browser.attributes.find(({ name }) => name === "since"), { name: "since", type: "integer", value: 7 });
});

/** Runs in the page: joins, waits for the other's node, and says something of its own. */
async function meet(link) {
  const { Peer } = await import("/peergraph/index.js");
  const peer = await Peer.open({ name: "Browser", nodes: [location.origin] });
  const group = await peer.join(link);
  const until = async (find) => {
    for (;;) {
      const changed = new Promise((done) => group.addEventListener("presence", done, { once: true }));
      const found = find(await group.nodes());
      if (found) return found;
      await changed;
    }
  };
  const native = await until((nodes) => nodes.find((it) => it.attributes.mood === "busy"));
  const own = await until((nodes) => nodes.find((it) => it.peer.me));
  globalThis.went = [];
  group.addEventListener("presence", ({ detail }) => {
    if (detail.change === "went") globalThis.went.push(detail.node);
  });
  await group.present({ attributes: { mood: "idle", since: 7, cameras: [true, false] } });
  const said = await until((nodes) => nodes.find((it) => it.peer.me && it.attributes.mood));
  const life = async (refresh) => {
    const record = await group.publish("test.note", "short", { expiresIn: "1m", refresh });
    return record.expires - record.modified;
  };
  return {
    peer: peer.id,
    native: { name: native.peer.name, me: native.peer.me, attributes: { ...native.attributes },
      dialled: native.addresses.length > 0 },
    own: { id: own.peer.id, me: own.peer.me, dialled: own.addresses.length > 0 },
    said: { ...said.attributes },
    lives: { refreshed: await life(true), other: await life(false) },
  };
}
