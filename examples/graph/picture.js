// Draws the graph on a canvas: links by utility, records on their way, nodes by the part that they belong to.

/** Shades of links, from useless to always useful. */
const SHADES = 8;
/** The utility of a link that the core calls always useful. */
const UTILITY_MAX = 4096;
/** A record is seen on its link for at least so long, however fast the world runs. */
const PASSAGE_MS_MIN = 220;
/** How long a node that just received the newest record stands out. */
const FLASH_MS = 450;
const MARGIN = 28;

/** A canvas and what is on it. `model` is what app.js keeps of the world. */
export class Picture {
  #canvas;
  #context;
  #colours;
  /** Layout units to pixels: px = (x - view.x) * view.scale + half of the canvas. Follows the graph slowly. */
  #view = { x: 0, y: 0, scale: 1 };
  #ratio = 1;

  constructor(canvas, changed) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    const read = () => {
      const style = getComputedStyle(canvas);
      const colour = (name) => style.getPropertyValue(name).trim();
      this.#colours = {
        background: colour("--sunken"), text: colour("--text"), muted: colour("--muted"), bad: colour("--bad"),
        record: colour("--record"),
        links: Array.from({ length: SHADES }, (_, shade) => colour(`--link-${shade}`)),
        parts: Array.from({ length: 6 }, (_, part) => colour(`--part-${part}`)),
      };
      changed();
    };
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", read);
    new ResizeObserver(() => {
      this.#ratio = Math.min(devicePixelRatio || 1, 2);
      canvas.width = Math.round(canvas.clientWidth * this.#ratio);
      canvas.height = Math.round(canvas.clientHeight * this.#ratio);
      changed();
    }).observe(canvas);
    read();
  }

  /** The place in the layout under a place on the canvas. */
  toLayout(x, y) {
    const { clientWidth, clientHeight } = this.#canvas;
    return {
      x: (x - clientWidth / 2) / this.#view.scale + this.#view.x,
      y: (y - clientHeight / 2) / this.#view.scale + this.#view.y,
    };
  }

  /** Pixels of one unit of the layout. */
  get scale() {
    return this.#view.scale;
  }

  /** Brings the whole graph into view, a little at a time. Returns whether it still moves. */
  follow(box, at_once) {
    const { clientWidth, clientHeight } = this.#canvas;
    if (clientWidth === 0) return false;
    const goal = {
      x: (box.left + box.right) / 2,
      y: (box.top + box.bottom) / 2,
      scale: Math.min(
        (clientWidth - 2 * MARGIN) / (box.right - box.left),
        (clientHeight - 2 * MARGIN) / (box.bottom - box.top), 2),
    };
    let moved = false;
    for (const key of ["x", "y", "scale"]) {
      const step = (goal[key] - this.#view[key]) * (at_once ? 1 : 0.1);
      this.#view[key] += step;
      moved ||= Math.abs(step) > (key === "scale" ? 0.001 : 0.1);
    }
    return moved;
  }

  /** Draws everything. Returns whether something is on its way, so that it must be drawn again. */
  draw(model, now, still) {
    const context = this.#context;
    const { clientWidth, clientHeight } = this.#canvas;
    context.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
    context.clearRect(0, 0, clientWidth, clientHeight);
    const { x, y, scale } = this.#view;
    context.translate(clientWidth / 2 - x * scale, clientHeight / 2 - y * scale);
    context.scale(scale, scale);
    this.#drawCuts(model);
    this.#drawLinks(model);
    const moving = this.#drawPassages(model, now, still);
    return this.#drawNodes(model, now) || moving;
  }

  #drawCuts({ layout, drawing }) {
    const context = this.#context;
    context.strokeStyle = this.#colours.bad;
    context.lineWidth = 1.5 / this.#view.scale;
    const line = ({ x, y, nx, ny }) => {
      // From edge to edge: nothing on one side reaches the other.
      context.moveTo(x - ny * 1e4, y + nx * 1e4);
      context.lineTo(x + ny * 1e4, y - nx * 1e4);
    };
    context.setLineDash([6, 7].map((length) => length / this.#view.scale));
    context.beginPath();
    layout.cuts.forEach(line);
    context.stroke();
    context.setLineDash([]);
    if (!drawing) return;
    const [from, to] = drawing;
    context.globalAlpha = 0.45;
    context.beginPath();
    line({ x: from.x, y: from.y, nx: -(to.y - from.y), ny: to.x - from.x });
    context.stroke();
    context.globalAlpha = 1;
    context.lineWidth = 3 / this.#view.scale;
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x, to.y);
    context.stroke();
  }

  #drawLinks({ layout, links, selected }) {
    const context = this.#context;
    const paths = Array.from({ length: SHADES }, () => new Path2D());
    const own = new Path2D();
    for (let i = 0; i < links.length; i += 3) {
      const [a, b] = [links[i], links[i + 1]];
      const shade = shadeOf(links[i + 2]);
      const path = a === selected || b === selected ? own : paths[shade];
      path.moveTo(layout.x[a], layout.y[a]);
      path.lineTo(layout.x[b], layout.y[b]);
    }
    paths.forEach((path, shade) => {
      context.strokeStyle = this.#colours.links[shade];
      context.lineWidth = 0.8 + shade * 0.22;
      context.stroke(path);
    });
    context.strokeStyle = this.#colours.text;
    context.lineWidth = 1.6;
    context.stroke(own);
  }

  #drawPassages(model, now, still) {
    const context = this.#context;
    const { layout, time, speed } = model;
    const dots = new Path2D();
    const radius = 2.6;
    model.passages = model.passages.filter((passage) => {
      const { from, to, sent, arrival, begun } = passage;
      if (time < sent) return true;
      passage.begun ??= now;
      const real = begun === undefined ? 0 : (now - begun) / PASSAGE_MS_MIN;
      const virtual = (time - sent) / (arrival - sent);
      const slow = (arrival - sent) / 1000 / Math.max(speed, 0.001) > PASSAGE_MS_MIN;
      const way = slow ? virtual : real;
      if (way >= 1 || layout.x[from] === undefined || layout.x[to] === undefined) {
        model.arrived(passage, now);
        return false;
      }
      const at = still ? 0.5 : way;
      const px = layout.x[from] + (layout.x[to] - layout.x[from]) * at;
      const py = layout.y[from] + (layout.y[to] - layout.y[from]) * at;
      dots.moveTo(px + radius, py);
      dots.arc(px, py, radius, 0, 2 * Math.PI);
      return true;
    });
    context.fillStyle = this.#colours.record;
    context.fill(dots);
    return model.passages.length > 0;
  }

  #drawNodes(model, now) {
    const context = this.#context;
    const { layout, hosts, components, partOf, holders, selected } = model;
    let moving = false;
    for (const host of hosts) {
      const [px, py] = [layout.x[host], layout.y[host]];
      const colour = components[host] < 0 ? this.#colours.muted : this.#colours.parts[partOf(host)];
      const holds = holders.get(host);
      const age = holds === undefined ? FLASH_MS : now - holds;
      const flash = age < FLASH_MS ? 1 - age / FLASH_MS : 0;
      moving ||= flash > 0;
      context.beginPath();
      context.arc(px, py, 4.4 + 4 * flash, 0, 2 * Math.PI);
      context.fillStyle = components[host] < 0 ? this.#colours.background : colour;
      context.globalAlpha = holds === undefined && components[host] >= 0 ? 0.55 : 1;
      context.fill();
      context.globalAlpha = 1;
      if (components[host] < 0) {
        context.strokeStyle = colour;
        context.lineWidth = 1.2;
        context.stroke();
      }
      if (host === selected) {
        context.beginPath();
        context.arc(px, py, 9, 0, 2 * Math.PI);
        context.strokeStyle = this.#colours.text;
        context.lineWidth = 2;
        context.stroke();
      }
    }
    return moving;
  }
}

/** Small utilities differ more than large ones. */
const shadeOf = (utility) =>
  Math.min(SHADES - 1, Math.floor(SHADES * Math.sqrt(utility / UTILITY_MAX)));
