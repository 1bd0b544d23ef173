// From the URL of a node to its addresses, again and again until it answers.
import { PeergraphError, badArgument, errorOf } from "./errors.js";

const FIRST_RETRY_MS = 1_000;
const RETRY_MS_MAX = 60_000;
const FETCH_MS_MAX = 10_000;
/** How often a known node is asked again when a group is alone. It may have moved. */
const REFRESH_MS_MIN = 10_000;
/** Addresses of one node; the core takes as many. */
const ADDRESSES_MAX = 8;
/** Nodes of one peer. */
const NODES_MAX = 32;

/** The nodes of a peer's options. */
export class Nodes {
  #connect;
  #changed;
  #nodes = new Map();
  #closed = false;
  #refresh = () => this.refresh();

  /** `connect` takes the addresses of one node; `changed` gets each new state. */
  constructor(connect, changed) {
    this.#connect = connect;
    this.#changed = changed;
    globalThis.addEventListener?.("online", this.#refresh);
  }

  get states() {
    return [...this.#nodes.values()].map((node) => node.state);
  }

  add(given) {
    const url = String(given);
    if (this.#nodes.has(url)) return;
    if (this.#nodes.size >= NODES_MAX) throw badArgument(`at most ${NODES_MAX} nodes`);
    const isAddress = /^(rtc|wss?):\/\//.test(url);
    if (!isAddress && !/^https?:$/.test(parseUrl(url)?.protocol ?? "")) {
      throw badArgument(`not a node: ${url}; write an http(s), rtc or ws(s) URL`);
    }
    const node = { url, timer: undefined, retryMs: FIRST_RETRY_MS, at: 0, asking: false };
    node.state = Object.freeze({ url, state: "trying", addresses: Object.freeze([]) });
    this.#nodes.set(url, node);
    if (isAddress) this.#use(node, [url]);
    else this.#ask(node);
  }

  /** Asks all of them again: the network is back, or nobody can be found. */
  refresh() {
    for (const node of this.#nodes.values()) {
      if (/^http/.test(node.url) && Date.now() - node.at >= REFRESH_MS_MIN) this.#ask(node);
    }
  }

  close() {
    this.#closed = true;
    globalThis.removeEventListener?.("online", this.#refresh);
    for (const node of this.#nodes.values()) clearTimeout(node.timer);
  }

  async #ask(node) {
    if (node.asking) return;
    node.asking = true;
    node.at = Date.now();
    clearTimeout(node.timer);
    try {
      const addresses = await fetchAddresses(node.url);
      if (!this.#closed) await this.#use(node, addresses);
      node.retryMs = FIRST_RETRY_MS;
    } catch (error) {
      if (this.#closed) return;
      this.#set(node, { state: "unreachable", addresses: node.state.addresses, error: errorOf(error) });
      // Not all tabs of the world at the same moment.
      const delay = node.retryMs * (0.75 + Math.random() / 2);
      node.retryMs = Math.min(node.retryMs * 2, RETRY_MS_MAX);
      node.timer = setTimeout(() => this.#ask(node), delay);
    } finally {
      node.asking = false;
    }
  }

  async #use(node, addresses) {
    try {
      const known = node.state.addresses.join() === addresses.join();
      if (!known || node.state.state === "trying") await this.#connect(addresses);
      this.#set(node, { state: "known", addresses: Object.freeze(addresses) });
    } catch (error) {
      if (this.#closed) return;
      this.#set(node, { state: "unreachable", addresses: [], error: errorOf(error) });
    }
  }

  #set(node, state) {
    const before = node.state.state;
    node.state = Object.freeze({ url: node.url, ...state });
    if (before !== state.state) this.#changed(node.state);
  }
}

function parseUrl(text) {
  try {
    return new URL(text);
  } catch {
    return null;
  }
}

async function fetchAddresses(url) {
  const unreachable = (why, cause) => new PeergraphError(
    "unreachable", `the node ${url} cannot be reached: ${why}`,
    { hint: "it is tried again by itself", cause });
  let found;
  try {
    const answer = await fetch(new URL("/.well-known/peergraph", url), {
      cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(FETCH_MS_MAX) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    found = await answer.json();
  } catch (error) {
    throw unreachable(error.message, error);
  }
  const addresses = Array.isArray(found?.addresses)
    ? found.addresses.filter((it) => typeof it === "string").slice(0, ADDRESSES_MAX) : [];
  if (found?.version !== 1 || addresses.length === 0) {
    throw unreachable("it does not say its addresses");
  }
  return addresses;
}
