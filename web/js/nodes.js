// The nodes of a peer's options, and how far each of them is. They are looked up and dialled by the module.
import { badArgument, errorOf } from "./errors.js";

/** Nodes of one peer. */
const NODES_MAX = 32;

export class Nodes {
  #connect;
  #changed;
  #states = new Map();
  /** Tries all of them now. */
  hurry = () => {
    for (const url of this.#states.keys()) this.#connect(url);
  };

  /** `connect` takes a URL, and answers it as news name it; `changed` gets each new state. */
  constructor(connect, changed) {
    this.#connect = connect;
    this.#changed = changed;
    globalThis.addEventListener?.("online", this.hurry);
  }

  get states() {
    return [...this.#states.values()];
  }

  add(given) {
    if (this.#states.size >= NODES_MAX) throw badArgument(`at most ${NODES_MAX} nodes`);
    const url = this.#connect(String(given));
    if (this.#states.has(url)) return;
    this.#states.set(url, Object.freeze({ url, state: "trying", addresses: Object.freeze([]) }));
  }

  /** News of a node. One that is linked, or not reached at the moment, keeps its addresses. */
  tell({ url, state, addresses, error }) {
    const before = this.#states.get(url);
    if (state === "forgotten") {
      this.#states.delete(url);
      if (before) this.#changed(Object.freeze({ url, state, addresses: Object.freeze([]) }));
      return;
    }
    const known = state === "known" ? addresses : before?.addresses ?? [];
    const now = { url, state, addresses: Object.freeze(known) };
    if (error) now.error = errorOf(error);
    this.#states.set(url, Object.freeze(now));
    if (before?.state !== state) this.#changed(this.#states.get(url));
  }

  close() {
    globalThis.removeEventListener?.("online", this.hurry);
  }
}
