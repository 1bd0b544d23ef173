// A small live picture of the group: circles are the nodes of members who are here, lines are our links. A whole
// line goes straight to the other device, a dashed one through a WebSocket; the square is the node that served the page.
import { $, setText, svg } from "./dom.js";
import { graphWords, hue, initials } from "./words.js";

const WIDTH = 300;
const HEIGHT = 220;
const CENTRE = { x: WIDTH / 2, y: HEIGHT / 2 - 6 };
/** Circles drawn besides ours. Nodes beyond that are told in the words below. */
const CIRCLES_MAX = 16;
/** How far a circle drifts, in units of the picture, and how long one sway takes. */
const DRIFT = 3.5;
const SWAY_MS = 5200;

const still = matchMedia("(prefers-reduced-motion: reduce)");

/** The picture. `update` gives it what there is; it moves by itself. */
export function makeGraph() {
  const root = $("graph");
  const lines = svg("g");
  const circles = svg("g");
  root.replaceChildren(lines, circles);
  /** key → { circle, line, x, y, goal, phase, name } */
  const drawn = new Map();
  let frame = 0;

  const me = svg("g", { class: "node me", transform: `translate(${CENTRE.x} ${CENTRE.y})` },
    svg("circle", { r: 21 }), svg("text", { class: "letters", dy: "0.36em" }, "You"));
  circles.append(me);

  function update({ members, neighbours, hub, out }) {
    const linkOf = new Map(neighbours.map((link) => [link.node, link]));
    const others = members.filter((member) => !member.me);
    const nodes = others.flatMap((member) => member.nodes.map((node) => ({ key: node, member })));
    // A neighbour may be linked before its presence has arrived.
    for (const link of neighbours) {
      if (link.node && !nodes.some((node) => node.key === link.node)) {
        nodes.push({ key: link.node, member: { id: link.peer ?? "", name: link.name } });
      }
    }
    nodes.sort((a, b) => (a.key < b.key ? -1 : 1));
    const shown = nodes.slice(0, CIRCLES_MAX);
    const wanted = new Map(shown.map((node, index) => {
      const angle = -Math.PI / 2 + 0.35 + (2 * Math.PI * index) / shown.length;
      const goal = { x: CENTRE.x + 112 * Math.cos(angle), y: CENTRE.y + 74 * Math.sin(angle) };
      return [node.key, { ...node, goal, link: linkOf.get(node.key) }];
    }));
    if (hub) wanted.set("hub", { key: "hub", goal: { x: 26, y: 26 }, link: hub });

    for (const [key, item] of drawn) {
      const want = wanted.get(key);
      if (want && want.member?.name === item.name) continue;
      item.circle.remove();
      item.line.remove();
      drawn.delete(key);
    }
    for (const [key, want] of wanted) {
      let item = drawn.get(key);
      const above = key !== "hub" && want.goal.y < CENTRE.y - 35;
      if (!item) {
        item = { ...CENTRE, phase: drawn.size * 1.7, name: want.member?.name, circle: make(want), line: svg("line") };
        if (key === "hub" || still.matches) Object.assign(item, want.goal);
        lines.append(item.line);
        circles.insertBefore(item.circle, me);
        drawn.set(key, item);
      }
      item.goal = want.goal;
      // Away from the middle, where the lines are.
      item.circle.querySelector(".label").setAttribute("y", above ? -23 : key === "hub" ? 27 : 31);
      const path = want.link ? (want.link.direct ? "direct" : "relayed") : "none";
      item.line.setAttribute("class", `link ${key === "hub" ? "hub" : path}`);
    }
    setText($("graph-words"),
      graphWords({ here: nodes.length, links: neighbours.length, others: others.length, out }));
    place(performance.now());
    run();
  }

  function make({ key, member }) {
    if (key === "hub") {
      return svg("g", { class: "node hub" }, svg("title", {}, "The node that served this page"),
        svg("rect", { x: -11, y: -11, width: 22, height: 22, rx: 6 }),
        svg("text", { class: "label" }, "node"));
    }
    const name = member.name || "Unknown member";
    const short = [...name].length > 14 ? `${[...name].slice(0, 13).join("")}…` : name;
    return svg("g", { class: `node hue-${hue(member.id)}` }, svg("title", {}, name), svg("circle", { r: 17 }),
      svg("text", { class: "letters", dy: "0.36em" }, initials(name)), svg("text", { class: "label" }, short));
  }

  function place(now) {
    for (const [key, item] of drawn) {
      const sway = key === "hub" || still.matches ? 0 : DRIFT;
      const turn = (2 * Math.PI * now) / SWAY_MS + item.phase;
      item.x += (item.goal.x - item.x) * (still.matches ? 1 : 0.09);
      item.y += (item.goal.y - item.y) * (still.matches ? 1 : 0.09);
      const x = (item.x + sway * Math.cos(turn)).toFixed(2);
      const y = (item.y + sway * Math.sin(turn * 0.8)).toFixed(2);
      item.circle.setAttribute("transform", `translate(${x} ${y})`);
      for (const [name, value] of [["x1", CENTRE.x], ["y1", CENTRE.y], ["x2", x], ["y2", y]]) {
        item.line.setAttribute(name, value);
      }
    }
  }

  function run() {
    if (frame || still.matches) return;
    let even = false;
    const step = (now) => {
      frame = 0;
      // Nothing moves where nobody sees it: no circle, or the side is closed.
      if (drawn.size === 0 || root.getClientRects().length === 0) return;
      even = !even;
      if (even) place(now);
      frame = requestAnimationFrame(step);
    };
    frame = requestAnimationFrame(step);
  }

  return { update, wake: run };
}
