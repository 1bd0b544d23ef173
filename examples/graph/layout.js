// Where nodes are drawn: linked ones pull each other, all push each other apart, and the middle holds them together.
//
// One step a frame, from where they were: the picture follows the graph without jumping. It cools down, so that a graph
// that does not change costs nothing.

/** Length of a link at rest, in units of the picture. */
const REST = 34;
const PULL = 0.06;
const PUSH = 900;
/** Nodes further apart than this do not push each other. */
const PUSH_WITHIN = 170;
const GRAVITY = 0.012;
const FRICTION = 0.78;
const SPEED_MAX = 14;
/** How far nodes stay from a cut. */
const CLEARANCE = 26;
const COOLING = 0.985;
const COLD = 0.02;

/** Positions of hosts, by number. */
export class Layout {
  x = [];
  y = [];
  /** Bit n: on which side of cut n a host is. */
  side = [];
  /** Lines that hosts do not cross: { x, y, nx, ny }, a point and the normal towards side 1. */
  cuts = [];
  #vx = [];
  #vy = [];
  #heat = 1;

  /** Puts a host near another one, or near the middle. */
  place(host, near) {
    const angle = host * 2.4;
    const away = 12 + 6 * Math.sqrt(host);
    const known = near !== undefined && this.x[near] !== undefined;
    this.x[host] = (known ? this.x[near] : 0) + (known ? 14 : away) * Math.cos(angle);
    this.y[host] = (known ? this.y[near] : 0) + (known ? 14 : away) * Math.sin(angle);
    this.side[host] = known ? this.side[near] : this.sideOf(this.x[host], this.y[host]);
    this.#vx[host] = 0;
    this.#vy[host] = 0;
    this.warm();
  }

  /** Something changed: nodes may move again. */
  warm(heat = 0.5) {
    this.#heat = Math.max(this.#heat, heat);
  }

  /** On which sides of the cuts a place is. */
  sideOf(x, y) {
    return this.cuts.reduce((bits, cut, n) => bits | (distance(cut, x, y) > 0 ? 1 << n : 0), 0);
  }

  /** Adds the line through two points. Hosts stay where they are of it. */
  cut(from, to) {
    const length = Math.hypot(to.x - from.x, to.y - from.y);
    this.cuts.push({
      x: from.x, y: from.y, nx: -(to.y - from.y) / length, ny: (to.x - from.x) / length,
    });
    this.x.forEach((x, host) => { this.side[host] = this.sideOf(x, this.y[host]); });
    this.warm(1);
  }

  heal() {
    this.cuts = [];
    this.side.fill(0);
    this.warm(1);
  }

  /**
   * Moves the `hosts` one step; `links` is flat, three numbers each. Returns whether anything
   * moves.
   */
  step(hosts, links) {
    if (this.#heat < COLD) return false;
    const { x, y } = this;
    const [vx, vy] = [this.#vx, this.#vy];
    for (let i = 0; i < hosts.length; i += 1) {
      const a = hosts[i];
      vx[a] -= x[a] * GRAVITY;
      vy[a] -= y[a] * GRAVITY;
      for (let j = i + 1; j < hosts.length; j += 1) {
        const b = hosts[j];
        const dx = x[a] - x[b];
        const dy = y[a] - y[b];
        const square = dx * dx + dy * dy;
        if (square > PUSH_WITHIN * PUSH_WITHIN) continue;
        const push = Math.min(PUSH / (square + 20), 3) / Math.sqrt(square + 1);
        vx[a] += dx * push;
        vy[a] += dy * push;
        vx[b] -= dx * push;
        vy[b] -= dy * push;
      }
    }
    for (let i = 0; i < links.length; i += 3) {
      const [a, b] = [links[i], links[i + 1]];
      const dx = x[b] - x[a];
      const dy = y[b] - y[a];
      const length = Math.hypot(dx, dy) || 1;
      const pull = PULL * (length - REST) / length;
      vx[a] += dx * pull;
      vy[a] += dy * pull;
      vx[b] -= dx * pull;
      vy[b] -= dy * pull;
    }
    for (const host of hosts) {
      this.cuts.forEach((cut, n) => {
        const sign = this.side[host] & (1 << n) ? 1 : -1;
        const lacking = CLEARANCE - sign * distance(cut, x[host], y[host]);
        if (lacking <= 0) return;
        vx[host] += sign * cut.nx * lacking * 0.25;
        vy[host] += sign * cut.ny * lacking * 0.25;
      });
      vx[host] *= FRICTION;
      vy[host] *= FRICTION;
      const fast = Math.hypot(vx[host], vy[host]) / SPEED_MAX;
      const share = this.#heat / Math.max(fast, 1);
      x[host] += vx[host] * share;
      y[host] += vy[host] * share;
    }
    this.#heat *= COOLING;
    return true;
  }

  /** The box around the hosts. */
  bounds(hosts) {
    const box = { left: -60, right: 60, top: -60, bottom: 60 };
    for (const host of hosts) {
      box.left = Math.min(box.left, this.x[host]);
      box.right = Math.max(box.right, this.x[host]);
      box.top = Math.min(box.top, this.y[host]);
      box.bottom = Math.max(box.bottom, this.y[host]);
    }
    return box;
  }
}

const distance = (cut, x, y) => (x - cut.x) * cut.nx + (y - cut.y) * cut.ny;
