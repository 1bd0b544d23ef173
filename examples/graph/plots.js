// Two small plots over world time: deliveries a second, and redundancy.
import { $, setText } from "../chat/dom.js";

/** Samples in a plot, one for each second of world time. */
const SAMPLES = 120;
/** Redundancy is that of so many seconds: a single one may hold the half of a flood. */
const WINDOW = 10;
const WIDTH = 300;
const HEIGHT = 64;

/** The plots of totals over time. */
export class Plots {
  /** { second, delivered, copies }: totals at the end of a second. */
  #totals = [];

  /** Takes the totals of now. */
  add(time, { delivered, copies }) {
    const second = Math.floor(time / 1e6);
    if (this.#totals.at(-1)?.second === second) this.#totals.pop();
    this.#totals.push({ second, delivered, copies });
    while (this.#totals.length > SAMPLES + WINDOW) this.#totals.shift();
    const from = Math.max(0, this.#totals.length - SAMPLES);
    const pairs = this.#totals.map((at, i) => [at, this.#totals[i - 1]]).slice(Math.max(from, 1));
    draw("deliveries", pairs.map(([at, before]) => ({
      second: at.second, value: (at.delivered - before.delivered) / (at.second - before.second),
    })), Math.round);
    draw("redundancy", pairs.map(([at]) => ({ second: at.second, value: this.#redundancy(at.second) })), twoDigits);
  }

  /** Copies received per needed copy, less one, in the seconds up to this one. `null` if nothing was delivered. */
  #redundancy(second) {
    const at = this.#totals.findLast((total) => total.second <= second);
    const before = this.#totals.findLast((total) => total.second <= second - WINDOW) ?? this.#totals[0];
    const delivered = at.delivered - before.delivered;
    return delivered > 0 ? (at.copies - before.copies) / delivered - 1 : null;
  }

  /** The redundancy of the last seconds, in words. */
  get redundancy() {
    const last = this.#totals.at(-1);
    const value = last && this.#redundancy(last.second);
    return value == null ? "–" : twoDigits(value);
  }
}

const twoDigits = (value) => value.toFixed(2).replace("-0.00", "0.00");

function draw(name, samples, words) {
  const known = samples.filter(({ value }) => value !== null);
  const last = samples.at(-1)?.second ?? 0;
  const top = Math.max(...known.map(({ value }) => value), 0.01);
  const place = ({ second, value }) => {
    const x = WIDTH - (last - second) * (WIDTH / SAMPLES);
    const y = HEIGHT - 2 - Math.max(0, value) / top * (HEIGHT - 6);
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  };
  $(`${name}-line`).setAttribute("points", known.map(place).join(" "));
  setText($(`${name}-now`), known.length > 0 && samples.at(-1).value !== null ? String(words(samples.at(-1).value)) : "–");
  setText($(`${name}-top`), known.length > 0 ? `highest ${words(top)}` : "");
}
