// The words of the chat page, without a browser.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as words from "../../examples/chat/words.js";

test("the status of a message is told in words", () => {
  assert.deepEqual(["storing", "stored", "sent", { heldBy: 3 }].map(words.statusWords),
    ["saving", "saved", "sent", "held by 3"]);
});

test("the connection is told by the paths of the neighbour links", () => {
  const state = (directs, others = 1, settling = false) => words.connection(
    { neighbours: directs.map((direct) => ({ direct })), others, settling });
  assert.deepEqual(state([]), { state: "alone", words: "Alone – saved here, sent when somebody is there" });
  assert.equal(state([], 1, true).state, "looking");
  assert.equal(state([], 0, true).state, "alone", "who has nobody to look for is alone at once");
  assert.deepEqual(state([true]), { state: "direct", words: "Direct to 1 member" });
  assert.deepEqual(state([false, false]), { state: "relayed", words: "Via node to 2 members" });
  assert.deepEqual(state([true, false, true]), { state: "direct", words: "Direct to 2, via node to 1" });
});

test("who is out is told by whom and why", () => {
  const by = { name: "Ada", me: false, owner: false };
  const notice = (revoked) => words.standingNotice({ standing: "revoked", revoked });
  assert.equal(words.standingNotice({ standing: "member", revoked: null }), "");
  assert.match(notice({ by, reason: "misconduct" }), /^Your membership was revoked by Ada: the rules of the group were broken\. /);
  assert.match(notice({ by: { ...by, owner: true }, reason: "unspecified" }), /^Your membership was revoked by the owner of the group\. /);
  assert.match(notice({ by: { ...by, me: true }, reason: "left" }), /^You have left/);
  assert.match(words.standingNotice({ standing: "expired", revoked: null }), /has expired/);
  assert.deepEqual(["member", "expired"].map((it) => words.standingWords(it, null)), ["a member", "expired"]);
  assert.equal(words.standingWords("revoked", { by: { ...by, name: "" }, reason: "key-lost" }), "revoked by an administrator");
  assert.equal(words.standingWords("revoked", { by, reason: "left" }), "left");
  assert.equal(words.connection({ neighbours: [], others: 1, settling: true, standing: "revoked" }).words, "Not a member any more");
});

test("an open invitation is told in one line", () => {
  const invitation = { role: "inviting", uses: 5, used: 1, expires: new Date(3_600_000), inviter: { me: false, name: "Bob" } };
  assert.equal(words.invitationWords(invitation, 0), "1 of 5 used, ends in 1 hour, by Bob, can invite");
  const used = words.invitationWords({ ...invitation, used: 5, state: "used-up" }, 0);
  assert.equal(used, "used up, 5 of 5 used, ends in 1 hour, by Bob, can invite");
  assert.equal(words.invitationWords({ ...invitation, role: "member", inviter: { me: true } }, 0), "1 of 5 used, ends in 1 hour, yours");
});

test("an invitation is told by what the link says, and by a member", () => {
  const link = { kind: "bearer", group: "g", name: null, inviterName: null, role: "member", roles: null, invitee: null, expires: new Date(3_600_000) };
  const field = (told, name) => told.fields.find(([it]) => it === name)?.[1];
  const first = words.invitedWords(link, null, { again: false, asking: true, now: 0 });
  assert.deepEqual([first.title, field(first, "From"), field(first, "Good")], ["A group", "Asking a member …", "for 1 hour"]);
  assert.match(field(words.invitedWords(link, null, { asking: false, now: 0 }), "From"), /Nobody is here/);
  assert.match(words.invitedWords(link, null, { asking: false, now: 0 }).words, /ask the inviter to open/);
  assert.match(words.invitedWords(link, null, { asking: false, failed: true, now: 0 }).words, /can be tried again/);
  const open = { inviter: { id: "a", name: "Ada" }, role: "member", roles: ["editor"], uses: 5, left: 2, expires: link.expires };
  const told = words.invitedWords(link, { name: "Chess", open }, { again: false, now: 0 });
  assert.deepEqual([told.title, field(told, "From"), field(told, "Left")], ["Chess", "Ada", "2 of 5 uses"]);
  assert.equal(field(told, "You may"), "Read and write (editor)");
  assert.match(words.invitedWords(link, { name: "Chess", open: { ...open, left: 0 } }, { now: 0 }).words, /used up/);
  assert.match(words.invitedWords(link, { name: "Chess", open: null }, { now: 0 }).words, /not open any more/);
  const bound = { ...link, kind: "bound", name: "Chess", inviterName: "Ada", roles: [], invitee: { id: "b", name: "Bob" } };
  const said = words.invitedWords(bound, null, { again: true, asking: true, now: 0 });
  assert.deepEqual([said.title, field(said, "From"), field(said, "Meant for")], ["Chess", "Ada, it says", "You, Bob"]);
  assert.match(said.words, /You were in this group/);
});

test("a node that is gone is told together with what still works", () => {
  for (const state of ["direct", "relayed", "alone", "looking"]) {
    assert.equal(words.nodeNotice({ reachable: true, state }), "");
    assert.match(words.nodeNotice({ reachable: false, state }), /out of reach/);
    assert.match(words.canWords({ reachable: false, state }), /out of reach/);
  }
  // A member who is out is not told to wait for anybody.
  assert.match(words.canWords({ reachable: true, state: "out" }), /keep no connection/);
  assert.equal(words.nodeNotice({ reachable: false, state: "out" }), "");
  assert.match(words.graphWords({ here: 2, links: 0, others: 2, out: true }), /not in the group/);
  assert.match(words.nodeNotice({ reachable: false, state: "direct" }), /goes on/);
  assert.match(words.nodeNotice({ reachable: false, state: "alone" }), /saved here/);
});

test("messages of programs are shown too", () => {
  assert.equal(words.messageText({ text: "a" }), "a");
  assert.equal(words.messageText(new TextEncoder().encode("ä\nb")), "ä\nb");
  assert.equal(words.messageText(new Uint8Array([0xff, 0x41])), "\ufffdA");
  assert.equal(words.messageText(new TextEncoder().encode('{"text":"a"}')), "a");
  assert.equal(words.messageText(new TextEncoder().encode('{"other":1}')), '{"other":1}');
  assert.equal(words.messageText("plain"), "plain");
  assert.equal(words.messageText(42), "42");
  assert.equal(words.messageText({ other: 1 }), '{"other":1}');
  assert.equal(words.messageText(undefined), "");
});

test("times ahead are told in the largest whole unit", () => {
  const until = (ms) => words.untilWords(new Date(1_000_000 + ms), 1_000_000);
  assert.equal(until(7 * 86_400_000), "in 7 days");
  assert.equal(until(7 * 86_400_000 - 60_000), "in 7 days", "a minute after it was made");
  assert.equal(until(86_400_000 - 1), "in 1 day");
  assert.equal(until(86_400_000 - 3_600_000), "in 23 hours");
  assert.equal(until(2 * 3_600_000), "in 2 hours");
  assert.equal(until(60_000), "in 1 minute");
  assert.equal(until(1), "in less than a minute");
  assert.equal(until(0), "expired");
});

test("a wrong clock is told with the difference", () => {
  assert.equal(words.clockNotice(0), "");
  assert.match(words.clockNotice(3 * 3_600_000), /3 hours ahead\. Set it/);
  assert.match(words.clockNotice(-3_600_000), /1 hour behind/);
  assert.match(words.clockNotice(-400 * 86_400_000), /400 days behind/);
  assert.match(words.clockNotice(15 * 60_000 + 200), /15 minutes ahead/);
});

test("initials and colours come from any name and peer id", () => {
  assert.deepEqual(["Ada Lovelace", "grace", "  ", "Ä b c", "😀 x"].map(words.initials), ["AL", "G", "?", "ÄC", "😀X"]);
  for (const peer of ["", "a".repeat(52), "é"]) assert.ok(words.hue(peer) >= 0 && words.hue(peer) < 8);
});

test("errors become sentences with what to do", () => {
  assert.equal(words.errorWords({ message: "it failed", hint: "try again" }), "It failed. Try again.");
  assert.equal(words.errorWords({ message: "cut off; copy it again", hint: "Copy it again" }), "Cut off; copy it again.");
  assert.equal(words.errorWords(new Error("Done?")), "Done?");
  const tried = { message: "nobody was found: node https://a.example/: reached; wait", hint: "wait", tried: { places: [] } };
  assert.equal(words.errorWords(tried), "Nobody was found. Wait.");
  assert.equal(words.problem({ code: "no-webrtc" }).title, "This browser cannot connect directly");
  assert.deepEqual(words.problem({ code: "new-code", message: "m", hint: "h" }),
    { title: "Something went wrong", words: "m", hint: "h", action: "Try again", code: "new-code" });
});
