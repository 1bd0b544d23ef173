// Goal: a tab whose browser is killed is gone from the others within 45 s: from the chat page, from what an application is
// told, and from what the command line lists.
// Method: three people chat, a native member watches; the page of one is in the background when its browser is killed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { followInvitation, invite, openProfile, picture, say, sees, startGroup } from "./browser.mjs";
import { Member, startNode } from "./native.mjs";

/** The time that the project promises, and the time that a busy machine may take beside it. */
const GONE_WITHIN_MS = 45_000;
const BUSY_MS = 15_000;

const row = (page, name) => page.locator("#people li").filter({ has: page.locator(".name", { hasText: name }) });

test("a tab that crashes is gone for all others within 45 s", { timeout: 600_000 }, async (t) => {
  const node = await startNode(t);
  const people = await Promise.all(["Ada", "Bob", "Cleo"].map((name) => openProfile(t, name.toLowerCase())));
  const [ada, bob, cleo] = await Promise.all(people.map((profile) => profile.page()));
  await startGroup(ada, node.origin, { me: "Ada", group: "Book club" });
  const link = await invite(ada, { uses: 5 });
  await followInvitation(bob, link, { me: "Bob", group: "Book club" });
  await followInvitation(cleo, link, { me: "Cleo", group: "Book club" });
  const native = await Member.make(t, "Dan", { node });
  const group = await native.join(link);
  const watch = native.start(["watch", group, "--json"]);
  await say(cleo, "I am here");
  for (const page of [ada, bob]) {
    await sees(page, "I am here");
    await page.locator("#people li.here").filter({ hasText: "Cleo" }).waitFor();
  }
  await watch.line((line) => JSON.stringify(line).includes("I am here"));

  const front = await people[2].context.newPage();
  await front.bringToFront();
  const began = Date.now();
  people[2].kill();
  const options = { timeout: GONE_WITHIN_MS + BUSY_MS };
  const gone = await Promise.all([ada, bob].map(async (page) => {
    await page.locator("#people li.away").filter({ hasText: "Cleo" }).waitFor(options);
    return Date.now() - began;
  }));
  let listed;
  do {
    const { stdout } = await native.run(["group", "nodes", group, "--json"]);
    listed = stdout.trim().split("\n").map((line) => JSON.parse(line).name);
  } while (listed.includes("Cleo") && Date.now() - began < GONE_WITHIN_MS + BUSY_MS);
  gone.push(Date.now() - began);
  t.diagnostic(`gone after ${gone.join(", ")} ms (Ada, Bob, the native member)`);
  await picture(ada, "cleo-is-gone");
  assert.ok(!listed.includes("Cleo"), `the native member lists ${listed}`);
  assert.equal(await row(bob, "Ada").getAttribute("class"), "here");
});
