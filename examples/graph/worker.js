// Runs the simulated group beside the page, so that the page stays smooth however much the nodes have to do.
//
// The page sends { kind, … } as `commands` below take it; it gets { kind: "moved" } many times a second, with
// { links, components, counts } now and then, or { kind: "failed", words } once.
import init, { Graph, failure } from "./pkg/peergraph_graph.js";

/** Time moves in slices of so much world time, so that newcomers are led in and the clock is looked at. */
const SLICE_MICROS = 5_000;
/** How long one turn may compute; then messages are read. */
const TURN_MS = 14;
/** Between two messages to the page, and between two looks at all nodes. */
const TELL_MS = 30;
const LOOK_MS = 150;
/** Newcomers on their way at one time while a group grows. More of them would wait for each other. */
const NEWCOMERS_MAX = 12;

let graph;
/** World time per real time. */
let speed = 1;
/** Newcomers still to come, by the side on which they are let in. */
const waiting = [];

const commands = {
  start: ({ seed, nodes }) => {
    graph = new Graph(seed);
    for (let node = 1; node < nodes; node += 1) waiting.push(0);
    turn();
  },
  speed: (message) => { speed = message.speed; },
  pace: ({ micros }) => graph.publish_every(micros),
  add: ({ side }) => waiting.push(side),
  publish: ({ host }) => graph.publish(host),
  kill: ({ host }) => graph.kill(host),
  cut: ({ sides }) => graph.cut(sides),
  heal: () => {
    graph.heal();
    waiting.fill(0);
  },
};

self.addEventListener("message", ({ data }) => guard(() => commands[data.kind](data)));

/** Nothing goes on after a failure: what the nodes hold is not known then. */
let failed = false;
function guard(work) {
  if (failed) return;
  try {
    work();
  } catch (error) {
    failed = true;
    self.postMessage({ kind: "failed", words: failure() || String(error.stack ?? error) });
  }
}

let last = performance.now();
let told = 0;
let looked = 0;
/** World time that is owed. */
let debt = 0;

function turn() {
  guard(() => {
    const now = performance.now();
    const growing = grow();
    debt += (now - last) * 1000 * speed;
    last = now;
    // A group that grows is what everybody waits for: as fast as it can.
    while ((growing ? speed > 0 : debt >= 1) && performance.now() - now < TURN_MS) {
      const micros = growing ? SLICE_MICROS : Math.min(SLICE_MICROS, Math.floor(debt));
      graph.run(micros);
      debt -= micros;
    }
    // Work that could not be done in time is not made up for.
    debt = growing ? 0 : Math.min(debt, SLICE_MICROS);
    tell();
  });
  if (!failed) setTimeout(turn, 4);
}

/** Lets newcomers in. Returns whether some are on their way. */
let joining = 0;
function grow() {
  while (waiting.length > 0 && joining < NEWCOMERS_MAX) {
    // Undefined if nobody can invite: such a newcomer is given up.
    if (graph.add(waiting.shift()) !== undefined) joining += 1;
  }
  return joining > 0 || waiting.length > 0;
}

function tell() {
  const now = performance.now();
  if (now - told < TELL_MS) return;
  told = now;
  const message = { kind: "moved", passages: graph.take_passages(), speed };
  const transferred = [message.passages.buffer];
  const look = now - looked >= LOOK_MS;
  if (look) {
    graph.look();
    message.links = graph.links();
    message.components = graph.components();
    transferred.push(message.links.buffer, message.components.buffer);
  }
  const counts = graph.counts();
  joining = counts.joining;
  message.time = counts.time;
  if (look) {
    // How long a look takes depends on the nodes: it gets a tenth of the time.
    looked = performance.now() + 9 * (performance.now() - now);
    const { members, links, parts, records, reached, published, copies, delivered } = counts;
    message.counts = {
      members, joining: joining + waiting.length, links, parts, records, reached, published, copies, delivered,
    };
  }
  counts.free();
  self.postMessage(message, transferred);
}

await init();
self.postMessage({ kind: "ready" });
