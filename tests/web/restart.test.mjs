// Goal: a node that is killed and begins again costs the pages that were linked to it seconds, not a minute.
// Method: one page stays open. The node is killed and begins again at its ports, at once and after a while; then somebody
// comes who can meet the page only there. Prints how long it took since the node was up.
import assert from "node:assert/strict";
import { test } from "node:test";
import { SERVER_GONE, connected, followInvitation, invite, openProfile, startGroup } from "./browser.mjs";
import { startNode } from "./native.mjs";

const GROUP = "Harbour";
/** Without a word from the node a dead link is kept for a minute. Generous: the machine may be busy. */
const LINKED_WITHIN_MS = 30_000;

test("a node that was killed is linked again soon after it has begun again", { timeout: 900_000 }, async (t) => {
  let node = await startNode(t);
  const ada = await openProfile(t, "ada");
  ada.allowed.push(...SERVER_GONE);
  const a = await ada.page();
  await startGroup(a, node.origin, { me: "Ada", group: GROUP });
  for (const [name, downMs] of [["at-once", 0], ["after-a-while", 12_000]]) {
    const link = await invite(a);
    await node.kill();
    await a.waitForTimeout(downMs);
    node = await startNode(t, { data: node.data, port: node.port });
    const up = Date.now();
    const ben = await openProfile(t, name);
    const b = await ben.page();
    await followInvitation(b, link, { me: "Ben", group: GROUP });
    await connected(b, "Direct to");
    const took = Date.now() - up;
    t.diagnostic(`met ${took} ms after the node was up, which was away for ${downMs} ms`);
    assert.ok(took < LINKED_WITHIN_MS, `${took} ms`);
    await ben.close();
    await connected(a, "Alone");
  }
});
