// The page of the running graph: what is known of the simulated world, and what people do to it.
import { $, setText } from "../chat/dom.js";
import { Layout } from "./layout.js";
import { Picture } from "./picture.js";
import { Plots } from "./plots.js";

const NODES_DEFAULT = 150;
const NODES_MAX = 500;
const ADDED = 10;
/** One record in so much world time, when the page publishes by itself. */
const PACE_MICROS = 1e6;
/** Speeds of the slider: world time per real time. */
const SPEEDS = [0, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30];
/** Cuts at one time: one bit each in what the world takes for a side. */
const CUTS_MAX = 8;
/** Pixels that a pointer may move in a click, and that a click may miss a node by. */
const CLICK_PX = 8;
const NEAR_PX = 22;
/** Records on their way that are drawn; a flood of more is a blur anyway. */
const PASSAGES_MAX = 2_000;

const options = new URLSearchParams(location.search);
const number = (name, fallback, most) => {
  const value = Number.parseInt(options.get(name) ?? "", 10);
  return value >= 1 && value <= most ? value : fallback;
};
const seed = number("seed", 1 + Math.floor(Math.random() * 1e6), 2 ** 32 - 1);
const still = matchMedia("(prefers-reduced-motion: reduce)");

/** The known state of the world, and the state that the picture needs beside it. */
const model = {
  layout: new Layout(),
  /** Hosts that are up or on their way, in order. */
  hosts: [],
  /** By host: the lowest member that it is connected to, or -1 for a newcomer, or less. */
  components: [],
  links: [],
  /** Copies of records on their way. */
  passages: [],
  /** Number of the newest record, and since when each host has it. */
  newest: -1,
  holders: new Map(),
  time: 0,
  speed: 1,
  selected: undefined,
  /** The line that is being drawn, two places. */
  drawing: undefined,
  /** Parts of the graph, the largest first: their lowest members. */
  parts: [],
  partOf: (host) => Math.min(5, Math.max(0, model.parts.indexOf(model.components[host]))),
  arrived: ({ record, from, to }, now) => {
    if (record < model.newest) return;
    if (record > model.newest) {
      model.newest = record;
      model.holders = new Map([[from, now]]);
    }
    if (!model.holders.has(to)) model.holders.set(to, now);
  },
};
/** When the last news came: between two of them, time goes on by itself. */
let heard = { at: performance.now(), time: 0 };
/** By newcomer: the host beside which it is drawn, since it was let in on that side. */
const nearOf = new Map();
/** The number that the next newcomer gets. */
let numbered = 0;
/** The next drawing that was asked for. */
let frame = 0;
const picture = new Picture($("canvas"), wake);
const plots = new Plots();

const world = new Worker("worker.js", { type: "module" });
const tell = (message) => world.postMessage(message);
world.addEventListener("message", ({ data }) => {
  if (data.kind === "ready") begin();
  if (data.kind === "failed") fail(data.words);
  if (data.kind === "moved") moved(data);
});
world.addEventListener("error", (event) => fail(event.message || "the module could not be loaded"));

function begin() {
  tell({ kind: "start", seed, nodes: number("nodes", NODES_DEFAULT, NODES_MAX) });
  changeSpeed();
  changePace();
}

function fail(words) {
  $("problem").hidden = false;
  setText($("problem-words"), `${words} (seed ${seed})`);
}

function moved({ time, passages, links, components, counts }) {
  heard = { at: performance.now(), time };
  for (let i = 0; i < passages.length && model.passages.length < PASSAGES_MAX; i += 5) {
    const [record, from, to, sent, arrival] = passages.subarray(i, i + 5);
    model.passages.push({ record, from, to, sent, arrival });
  }
  if (counts) looked(links, components, counts);
  wake();
}

function looked(links, components, counts) {
  const { layout } = model;
  const changed = differ(links, model.links);
  model.links = links;
  model.components = components;
  model.hosts = [];
  const sizes = new Map();
  components.forEach((component, host) => {
    if (component < -1) return;
    model.hosts.push(host);
    if (component >= 0) sizes.set(component, (sizes.get(component) ?? 0) + 1);
    if (layout.x[host] === undefined) layout.place(host, nearOf.get(host));
  });
  model.parts = [...sizes.keys()].sort((a, b) => sizes.get(b) - sizes.get(a) || a - b);
  if (changed > 0) layout.warm(Math.min(1, 0.1 + changed / (links.length + 1)));
  if (components[model.selected] === undefined || components[model.selected] < -1) model.selected = undefined;
  counted(counts, model.parts.map((part) => sizes.get(part)));
}

/** How many numbers of two flat lists of links differ, roughly. */
function differ(a, b) {
  let changed = Math.abs(a.length - b.length);
  for (let i = 0; i < Math.min(a.length, b.length); i += 3) {
    if (a[i] !== b[i] || a[i + 1] !== b[i + 1]) changed += 1;
  }
  return changed;
}

function counted(counts, sizes) {
  numbered = model.components.length;
  setText($("members"), String(counts.members));
  setText($("joining"), counts.joining > 0 ? `${counts.joining} more are joining` : "");
  setText($("links"), String(counts.links));
  setText($("parts"), counts.parts === 1 ? "1, whole" : `${counts.parts}: ${someOf(sizes)}`);
  $("parts").dataset.parts = counts.parts;
  setText($("records"), String(counts.records));
  const { reached, records, members } = counts;
  setText($("reached"), records > 0 ? `${Math.min(reached, members)} of ${members}` : "–");
  setText($("time"), clock(model.time));
  plots.add(heard.time, counts);
  setText($("redundancy"), plots.redundancy);
  $("heal").disabled = model.layout.cuts.length === 0;
  setText($("state"), stateWords(counts));
  setText($("chosen"), chosenWords());
}

const someOf = (sizes) => sizes.slice(0, 4).join(" + ") + (sizes.length > 4 ? " + …" : "");

const clock = (micros) => {
  const seconds = Math.floor(micros / 1e6);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
};

/** In words what is going on; screen readers hear it when it changes. */
function stateWords({ joining, parts }) {
  if (model.layout.cuts.length > 0) {
    return parts > 1 ? `Cut into ${parts} parts. Each goes on by itself.` : "Cut, but all nodes are on one side.";
  }
  if (joining > 0) return "The graph is growing.";
  return parts > 1 ? `${parts} parts are looking for each other.` : "One graph.";
}

function chosenWords() {
  const { selected, links } = model;
  if (selected === undefined) return "No node is chosen.";
  let count = 0;
  for (let i = 0; i < links.length; i += 3) count += links[i] === selected || links[i + 1] === selected ? 1 : 0;
  const held = model.holders.has(selected) ? "has the newest record" : "has not the newest record";
  return `Node ${selected}: ${count} ${count === 1 ? "link" : "links"}, ${held}.`;
}

// --- what people do ---------------------------------------------------------------------------------

function changeSpeed() {
  model.speed = SPEEDS[Number($("speed").value)];
  tell({ kind: "speed", speed: model.speed });
  const words = model.speed === 0 ? "stopped" : model.speed < 1 ? `slowed to ${model.speed} ×` : `${model.speed} ×`;
  setText($("speed-words"), words);
  $("speed").setAttribute("aria-valuetext", words);
}

function changePace() {
  tell({ kind: "pace", micros: $("steady").checked ? PACE_MICROS : 0 });
}

const anyMember = () => {
  const members = model.hosts.filter((host) => model.components[host] >= 0);
  return members[Math.floor(Math.random() * members.length)];
};

function publish(host = model.selected ?? anyMember()) {
  if (host !== undefined) tell({ kind: "publish", host });
}

function add() {
  const room = NODES_MAX - model.hosts.length;
  for (let i = 0; i < Math.min(ADDED, room); i += 1) {
    const near = model.selected ?? anyMember();
    nearOf.set(numbered, near);
    numbered += 1;
    tell({ kind: "add", side: near === undefined ? 0 : model.layout.side[near] });
  }
}

function kill(host = model.selected ?? anyMember()) {
  if (host !== undefined) tell({ kind: "kill", host });
}

function cut(from, to) {
  if (model.layout.cuts.length >= CUTS_MAX) {
    setText($("hint"), `${CUTS_MAX} cuts are enough. Heal them first.`);
    return;
  }
  model.layout.cut(from, to);
  tell({ kind: "cut", sides: Uint8Array.from(model.layout.side, (side) => side ?? 0) });
  $("heal").disabled = false;
  wake();
}

/** Cuts the nodes into a left and a right half. */
function halve() {
  const members = model.hosts.filter((host) => model.components[host] >= 0);
  if (members.length < 2) return;
  const across = members.map((host) => model.layout.x[host]).sort((a, b) => a - b);
  const half = across.length >> 1;
  const x = (across[half - 1] + across[half]) / 2;
  cut({ x, y: 0 }, { x, y: 1 });
}

function heal() {
  model.layout.heal();
  tell({ kind: "heal" });
  wake();
}

$("speed").addEventListener("input", changeSpeed);
$("steady").addEventListener("change", changePace);
for (const [id, work] of Object.entries({ publish, add, kill, halve, heal })) {
  $(id).addEventListener("click", () => work());
}

const canvas = $("canvas");
const place = (event) => {
  const box = canvas.getBoundingClientRect();
  return picture.toLayout(event.clientX - box.left, event.clientY - box.top);
};
const apart = (a, b) => Math.hypot(a.x - b.x, a.y - b.y) * picture.scale;

canvas.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  canvas.setPointerCapture(event.pointerId);
  const from = place(event);
  const move = (event) => {
    const to = place(event);
    model.drawing = apart(from, to) > CLICK_PX ? [from, to] : undefined;
    wake();
  };
  const end = (event) => {
    canvas.removeEventListener("pointermove", move);
    canvas.removeEventListener("pointerup", end);
    canvas.removeEventListener("pointercancel", end);
    const drawn = model.drawing;
    model.drawing = undefined;
    if (event.type === "pointercancel") return;
    if (drawn) cut(...drawn);
    else click(place(event));
  };
  canvas.addEventListener("pointermove", move);
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
});

/** A click chooses a node, which publishes; beside all nodes it chooses none. */
function click(at) {
  let nearest;
  let near = NEAR_PX;
  for (const host of model.hosts) {
    const distance = apart(at, { x: model.layout.x[host], y: model.layout.y[host] });
    if (distance < near) [near, nearest] = [distance, host];
  }
  choose(nearest);
  if (nearest !== undefined) publish(nearest);
}

function choose(host) {
  model.selected = host;
  setText($("chosen"), chosenWords());
  wake();
}

const KEYS = {
  ArrowLeft: () => walk(-1, 0), ArrowRight: () => walk(1, 0), ArrowUp: () => walk(0, -1), ArrowDown: () => walk(0, 1),
  Enter: () => publish(), " ": () => publish(), Delete: () => kill(), Escape: () => choose(undefined),
};
canvas.addEventListener("keydown", (event) => {
  const work = KEYS[event.key];
  if (!work || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  work();
});

/** Chooses the next node in a direction. */
function walk(dx, dy) {
  const { layout, hosts, selected } = model;
  if (selected === undefined) return choose(hosts[0]);
  let best;
  let least = Infinity;
  for (const host of hosts) {
    const [x, y] = [layout.x[host] - layout.x[selected], layout.y[host] - layout.y[selected]];
    const ahead = x * dx + y * dy;
    const aside = Math.abs(x * dy) + Math.abs(y * dx);
    if (ahead <= 0 || ahead + 2 * aside >= least) continue;
    [least, best] = [ahead + 2 * aside, host];
  }
  if (best !== undefined) choose(best);
}

// --- the picture ------------------------------------------------------------------------------------

/** Something changed: draws until all is still. */
function wake() {
  frame ||= requestAnimationFrame(draw);
}

function draw(now) {
  frame = 0;
  model.time = heard.time + Math.min(now - heard.at, 100) * 1000 * model.speed;
  const { layout, hosts, links } = model;
  // Without motion the nodes go to their places between two pictures.
  let moving = false;
  for (let i = 0; i < (still.matches ? 20 : 1); i += 1) moving = layout.step(hosts, links);
  moving = picture.follow(layout.bounds(hosts), still.matches) || moving;
  moving = picture.draw(model, now, still.matches) || moving;
  if (moving) wake();
}
