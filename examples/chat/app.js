// The chat: which screen is shown, and one peer with its groups behind it.
import { setUpBackup } from "./backup.js";
import { $, batched, el, painted, setText, show, showOpening, toast } from "./dom.js";
import { makeGraph } from "./graph.js";
import { setUpInvite } from "./invite.js";
import { setUpComposer, showMessages } from "./messages.js";
import { keepLoaded, keepOffline, watchNode } from "./offline.js";
import { drawPeople } from "./people.js";
import { setUpPerson } from "./person.js";
import { setUpSearch } from "./search.js";
import { askName, begin, showBadInvitation, showInvited } from "./welcome.js";
import { canWords, clockNotice, connection, errorWords, nodeNotice, problem, standingNotice } from "./words.js";

/** How long to look for the others before saying that we are alone. */
const SETTLING_MS = 6_000;
const NAME_KEY = "peergraph.chat.name";
const GROUP_KEY = "peergraph.chat.group";

/** The node that serves this page, by the folder that the pages are in: it may be below a path of its site. */
const NODE = new URL("../", import.meta.url).href;

/** The npm package, once loaded. */
let library = null;
/** Our peer, once open. */
let peer = null;
/** The group on the screen: `{ group, members, neighbours, opened, messages, ended }`. */
let view = null;
/** Of whom to show an invitation: the link that opened this page, or what was pasted. */
let invitation = takeInvitation();
/** The node that served this page. */
let node = { reachable: true, peer: null };
let hub = null;
let newVersion = false;

const graph = makeGraph();

/** Takes the invitation out of the address bar, history and screenshots. */
function takeInvitation() {
  // The whole link: that this page is a part of its node is not said twice.
  const link = location.hash.length > 1 ? location.href : "";
  if (link) history.replaceState(history.state, "", location.pathname + location.search);
  return link;
}

async function load() {
  if (library) return library;
  try {
    library = await import("../peergraph/index.js");
  } catch (cause) {
    throw Object.assign(new Error("the package could not be loaded", { cause }), { code: "load-failed" });
  }
  return library;
}

async function start() {
  try {
    if (typeof RTCPeerConnection === "undefined") throw missing("no-webrtc");
    if (typeof indexedDB === "undefined" || !indexedDB) throw missing("no-indexeddb");
    if (!remembered(NAME_KEY)) {
      remember(NAME_KEY, await askName(Boolean(invitation), restoreIdentity));
    }
    await open(false);
    await enter();
  } catch (error) {
    showProblem(error);
  }
}

/** Brings back what a backup holds; this browser is that person from now on. Resolves with the name. */
async function restoreIdentity(file, password) {
  const { identities } = await load();
  const { id, name } = await identities.restore(file, password);
  await identities.setDefault(id);
  return name;
}

/** The same while a peer is open: nothing else may have its storage open meanwhile. */
async function restoreHere(file, password) {
  const before = peer;
  leaveView();
  peer = null;
  showOpening("Restoring … The page stands still for some seconds.");
  let failed = null;
  try {
    await painted();
    await before.close();
    remember(NAME_KEY, await restoreIdentity(file, password));
  } catch (error) {
    failed = error;
  }
  try {
    await open(false);
    await enter();
    toast(failed ? `Nothing was restored. ${errorWords(failed)}` : "The backup is restored.");
  } catch (error) {
    showProblem(error);
  }
}

const missing = (code) => Object.assign(new Error(code), { code });

async function open(takeOver) {
  showOpening("Opening your chat …");
  const { Peer } = await load();
  peer = await Peer.open({ name: remembered(NAME_KEY), nodes: [NODE], takeOver });
  keepLoaded();
  const opened = peer;
  const look = batched(() => { if (peer === opened) refresh(); });
  for (const type of ["link", "node", "group", "member", "neighbour", "alone", "sync", "clock"]) {
    opened.addEventListener(type, look);
  }
  opened.addEventListener("link", (event) => { if (event.detail.state === "closed") nodeWatch.look(); });
  opened.addEventListener("storage", (event) => toast(errorWords(event.detail.error)));
  opened.addEventListener("closed", (event) => {
    if (peer !== opened || event.detail?.group) return;
    leaveView();
    peer = null;
    if (event.detail?.error) showProblem(event.detail.error);
  });
}

/** The first screen of an open peer: the invitation, the group seen last, or the forms. */
async function enter() {
  if (invitation) {
    await showInvitation();
    return;
  }
  const groups = await peer.groups();
  if (groups.length === 0) {
    beginHere();
    return;
  }
  showGroup(groups.find((group) => group.id === remembered(GROUP_KEY)) ?? groups[0]);
}

/**
 * The content of an invitation by itself; throws where it is of no use to us. Genuine or not: joining finds out, and whether it
 * has ended, since the clock of this device may be wrong.
 */
async function read(link) {
  const details = await library.readInvitation(link);
  if (details.invitee && details.invitee.id !== peer.id) {
    throw new Error(`it is for ${details.invitee.name || "somebody else"}, and this browser is ${peer.name}; `
      + "ask for one of your own");
  }
  return details;
}

/** Shows the invitation that opened this page, or was pasted. `failed` says why joining by it failed. */
async function showInvitation(failed) {
  try {
    const details = await read(invitation);
    const mine = (await peer.groups()).find((group) => group.id === details.group);
    if (mine?.standing === "member") {
      invitation = "";
      showGroup(mine);
      return;
    }
    // Names come from a member: they are shown when they arrive, and joining does not wait for them.
    const stop = new AbortController();
    const told = peer.preview(invitation, { signal: stop.signal });
    // A member who is out comes back as a newcomer.
    const accept = async (password) => {
      stop.abort();
      if (mine) await mine.leave();
      await join(password);
    };
    const decline = () => {
      stop.abort();
      invitation = "";
      enter();
    };
    showInvited({ ...details, name: details.name ?? mine?.name ?? null },
      { accept, again: Boolean(mine), decline, told, failed });
  } catch (error) {
    invitation = "";
    beginHere();
    showBadInvitation(error);
  }
}

/** Errors after which trying again is of no use. */
const useless = new Set(["bad-invitation", "invitation-expired", "invitation-invalid", "invitation-for-another",
  "invitation-used-up", "invitation-withdrawn"]);

/** Joins; what goes wrong is shown with the invitation, which can be tried again. */
async function join(password) {
  const stop = new AbortController();
  const text = invitation;
  showOpening("Joining the group … A member who may let you in must be online.", () => stop.abort());
  try {
    const group = await peer.join(text, { password, signal: stop.signal });
    invitation = "";
    showGroup(group);
  } catch (error) {
    if (!peer) return;
    if (useless.has(error.code)) {
      invitation = "";
      beginHere();
      showBadInvitation(error);
      return;
    }
    await showInvitation(error.code === "aborted" ? null : error);
  }
}

function beginHere() {
  const back = view ? () => showGroup(view.group) : null;
  begin({
    name: peer.name,
    back,
    create: async (name) => showGroup(await peer.createGroup({ name })),
    look: async (link) => {
      // Errors are told in the form.
      await read(link);
      invitation = link;
      await showInvitation();
    },
  });
}

function showGroup(group) {
  if (view?.group === group && !view.ended.signal.aborted) {
    show("chat");
    graph.wake();
    return;
  }
  leaveView();
  remember(GROUP_KEY, group.id);
  const ended = new AbortController();
  view = { group, members: [], neighbours: [], opened: Date.now(), ended, messages: null };
  setText($("group-title"), group.name);
  document.title = `${group.name} – Peergraph Chat`;
  show("chat");
  view.messages = showMessages(group, {
    nameOf,
    signal: ended.signal,
    failed: (error) => toast(errorWords(error)),
  });
  group.addEventListener("closed", () => { if (view?.group === group) leaveView(); }, { signal: ended.signal });
  const settled = setTimeout(refresh, SETTLING_MS + 50);
  ended.signal.addEventListener("abort", () => clearTimeout(settled));
  closeSide();
  refresh();
}

/** The name of a member of the group on the screen, or "". */
function nameOf(id) {
  return view?.members.find((member) => member.id === id)?.name ?? "";
}

function leaveView() {
  view?.ended.abort();
  view = null;
  document.title = "Peergraph Chat";
  for (const dialog of ["invite", "person", "backup", "search"]) if ($(dialog).open) $(dialog).close();
}

/** Reads what the peer knows about people and links, and draws it. */
async function refresh() {
  const seen = view;
  if (!seen || !peer) return;
  try {
    const [members, neighbours, links, groups] = await Promise.all(
      [seen.group.members(), seen.group.neighbours(), peer.links(), peer.groups()]);
    if (view !== seen) return;
    Object.assign(seen, { members, neighbours });
    const known = new Set(members.map((member) => member.id));
    hub = links.find((link) => link.peer && link.peer === node.peer && !known.has(link.peer)) ?? null;
    drawGroups(groups);
    setText($("group-title"), seen.group.name);
    seen.messages.refresh();
    draw();
  } catch (error) {
    if (view === seen && error.code !== "closed") toast(errorWords(error));
  }
}

function draw() {
  if (!view) return;
  const { members, neighbours } = view;
  const now = connection({
    neighbours,
    others: members.filter((member) => !member.me && member.standing === "member").length,
    settling: Date.now() - view.opened < SETTLING_MS,
    standing: view.group.standing,
  });
  const notice = standingNotice(view.group);
  setText($("standing-words"), notice);
  $("standing").hidden = !notice;
  $("composer").hidden = Boolean(notice);
  $("invite-button").hidden = Boolean(notice);
  $("connection").dataset.state = now.state;
  setText($("connection-words"), now.words);
  setText($("can"), canWords({ reachable: node.reachable, state: now.state }));
  const out = now.state === "out";
  drawPeople(members, neighbours, { out, show: showPerson });
  // A member who is out no longer hears who is here.
  const inside = out ? [] : members.filter((member) => member.standing === "member");
  graph.update({ members: inside, neighbours, hub: node.reachable ? hub : null, out });
  const words = clockNotice(view.group.clockAheadMs) || nodeNotice({ reachable: node.reachable, state: now.state });
  const update = newVersion && !words;
  setText($("notice-words"), update ? "A newer version of this page is ready." : words);
  $("notice").hidden = !words && !update;
  $("notice-action").hidden = !update;
  setText($("notice-action"), "Reload");
}

function drawGroups(groups) {
  $("group-list").replaceChildren(...groups.map((group) => {
    const button = el("button", { type: "button", class: "quiet", "aria-current": group === view.group && "true" }, group.name);
    button.addEventListener("click", () => {
      $("group-menu").hidePopover();
      showGroup(group);
    });
    return el("li", {}, button);
  }));
}

function showProblem(error) {
  if (problem(error).code === "") console.error(error);
  const { title, words, hint, action, code } = problem(error);
  setText($("problem-title"), title);
  setText($("problem-words"), words);
  setText($("problem-hint"), hint);
  setText($("problem-code"), code ? `(${code})` : "");
  const button = $("problem-action");
  setText(button, action);
  button.disabled = false;
  button.onclick = async () => {
    if (code !== "locked" && code !== "taken-over") {
      location.reload();
      return;
    }
    button.disabled = true;
    try {
      await open(true);
      await enter();
    } catch (again) {
      showProblem(again);
    }
  };
  show("problem");
  button.focus();
}

function openSide() {
  document.body.classList.add("side-open");
  $("people-button").setAttribute("aria-expanded", "true");
  graph.wake();
  $("side-close").focus();
}

function closeSide() {
  document.body.classList.remove("side-open");
  $("people-button").setAttribute("aria-expanded", "false");
}

function remembered(key) {
  try {
    return localStorage.getItem(key) ?? "";
  } catch {
    throw missing("no-indexeddb");
  }
}

function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Full or forbidden: asked again next time.
  }
}

setUpInvite(() => view.group);
const showPerson = setUpPerson(() => view.group);
setUpSearch({ current: () => view?.group, nameOf, show: (id) => view?.messages.show(id) });
setUpBackup({ current: () => peer, restore: restoreHere });
setUpComposer(async (text) => {
  const seen = view;
  if (!seen) return false;
  try {
    seen.messages.follow();
    await seen.group.publish("chat.message", { text });
    return true;
  } catch (error) {
    toast(`Not saved. ${errorWords(error)}`);
    return false;
  }
});
$("people-button").addEventListener("click", () => {
  if (document.body.classList.contains("side-open")) closeSide();
  else openSide();
});
$("side-close").addEventListener("click", () => { closeSide(); $("people-button").focus(); });
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && document.body.classList.contains("side-open")) {
    closeSide();
    $("people-button").focus();
  }
});
// Beneath the bar, which grows with what it says.
$("group-menu").addEventListener("beforetoggle", () => {
  $("group-menu").style.top = `${$("bar").getBoundingClientRect().bottom}px`;
});
$("menu-new").addEventListener("click", () => { $("group-menu").hidePopover(); beginHere(); });
const askLeave = () => { $("leave").returnValue = ""; $("leave").showModal(); };
$("menu-leave").addEventListener("click", () => { $("group-menu").hidePopover(); askLeave(); });
$("standing-leave").addEventListener("click", askLeave);
$("leave").addEventListener("close", async () => {
  if ($("leave").returnValue !== "leave" || !view) return;
  const { group } = view;
  leaveView();
  showOpening("Leaving the group …");
  try {
    await group.leave();
  } catch (error) {
    toast(errorWords(error));
  }
  try {
    await enter();
  } catch (error) {
    showProblem(error);
  }
});
$("notice-action").addEventListener("click", () => location.reload());
// An invitation pasted into the address bar of this very page.
addEventListener("hashchange", () => {
  const link = takeInvitation();
  if (!link) return;
  invitation = link;
  if (peer) showInvitation();
});

const nodeWatch = watchNode((now) => {
  node = now;
  if (view) refresh();
});
keepOffline(() => { newVersion = true; draw(); });
await start();
