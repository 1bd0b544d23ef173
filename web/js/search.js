// Finding records, and following what a query finds.
import { badArgument, errorOf } from "./errors.js";
import { Speaker } from "./speaker.js";

/** Records that are read in one go. Guess: some milliseconds. */
const PART = 100;
const ORDERS = ["newest", "oldest", "best"];
/** Failures that are the end of a group, or of what was asked, and no fault. */
const ENDS = new Set(["aborted", "closed", "closing", "unknown-group"]);

/** A question as the module takes it: a query as people type it, or as JSON says it. */
export function encodeSearch(query, { order = "newest", after = null, limit, count = false }) {
  if (!ORDERS.includes(order)) throw badArgument('order is "newest", "oldest" or "best" (first)');
  const json = typeof query === "object" && query !== null;
  if (!json && typeof query !== "string") throw badArgument('a query is text, such as "lisbon type:task", or an object');
  return { text: json ? JSON.stringify(query) : query, json, order, after, limit, count };
}

/** A search on its way: awaited, its first page; iterated, one page after the other. Nothing is asked before. */
export class Search {
  #ask;
  #wanted;
  #most;
  #first = null;

  /** `ask` asks for a part of a page, of at most `most` records. */
  constructor(ask, wanted, most) {
    this.#ask = ask;
    this.#wanted = wanted;
    this.#most = most;
  }

  then(onFound, onFailed) {
    this.#first ??= this.#page(this.#wanted.after);
    return this.#first.then(onFound, onFailed);
  }

  async* [Symbol.asyncIterator]() {
    let { after } = this.#wanted;
    do {
      const page = await this.#page(after);
      yield page;
      after = page.next;
    } while (after !== null);
  }

  /** A page, read in parts, so that the browser lives meanwhile. */
  async #page(after) {
    const page = new Map();
    let [next, { count }] = [after, this.#wanted];
    let found;
    let counted = null;
    do {
      found = await this.#ask({ ...this.#wanted, after: next, count, limit: Math.min(PART, this.#most - page.size) });
      // The best of a later part may be one of an earlier, if others have come in between.
      for (const record of found.records) page.set(record.id, record);
      counted ??= found.count ?? null;
      next = found.next ?? null;
      count = false;
    } while (next !== null && page.size < this.#most);
    return Object.assign([...page.values()], { next, count: counted, unsearched: found.unsearched });
  }
}

/** The records that a query finds, now and from now on. `follow` has what the group can do for it. */
export class LiveQuery extends Speaker {
  #value = Object.freeze([]);
  #loaded = false;
  #closed = false;
  #error = null;
  #unsearched = 0;
  #listeners = new Set();
  #end;

  constructor(follow, signal) {
    super();
    const stop = () => this.close();
    signal?.addEventListener("abort", stop, { once: true });
    this.#end = () => {
      signal?.removeEventListener("abort", stop);
      follow.end();
    };
    if (signal?.aborted) this.close();
    else this.#run(follow);
  }

  get value() { return this.#value; }
  get loaded() { return this.#loaded; }
  get unsearched() { return this.#unsearched; }
  get error() { return this.#error; }
  get closed() { return this.#closed; }

  async #run(follow) {
    try {
      while (!this.#closed) await this.#followOnce(follow);
    } catch (thrown) {
      const error = errorOf(thrown);
      this.#error = ENDS.has(error.code) ? null : error;
      this.close();
    }
  }

  /** Follows the query as long as the node knows it: another node may take its place. */
  async #followOnce(follow) {
    try {
      await follow.begin();
      this.#begin(await follow.next());
      while (!this.#closed) this.#apply(await follow.next());
    } catch (error) {
      if (error.code !== "unknown-query") throw error;
    }
  }

  /** Takes the first list of a node. */
  #begin({ placed, ...rest }) {
    const had = new Map(this.#value.map((record) => [record.id, record]));
    const news = placed.filter(({ record }) => had.get(record.id)?.edition !== record.edition);
    const all = placed.map(({ at, record }) => {
      const same = had.get(record.id);
      return { at, isNew: !same, record: same?.edition === record.edition ? same : record };
    });
    for (const { record } of placed) had.delete(record.id);
    if (this.#loaded && news.length === 0 && had.size === 0) return;
    this.#apply({ ...rest, removed: [...had.keys()], placed: all });
  }

  #apply({ removed, placed, unsearched }) {
    if (this.#closed) return;
    const gone = new Set(removed);
    for (const { record } of placed) gone.add(record.id);
    const value = this.#value.filter(({ id }) => !gone.has(id));
    for (const { at, record } of placed) value.splice(at, 0, record);
    const those = (isNew) => placed.filter((it) => it.isNew === isNew).map(({ record }) => record);
    this.#value = Object.freeze(value);
    this.#loaded = true;
    this.#unsearched = unsearched;
    this.tell("change", { value: this.#value, added: those(true), changed: those(false), removed });
    this.#call();
  }

  #call() {
    // In a task of its own each, so that one that fails keeps nothing from the others.
    for (const listener of this.#listeners) {
      queueMicrotask(() => { if (this.#listeners.has(listener)) listener(this.#value); });
    }
  }

  subscribe(listener) {
    if (typeof listener !== "function") throw badArgument("listener is a function");
    // A function that subscribes twice is told twice.
    const own = (value) => listener(value);
    this.#listeners.add(own);
    own(this.#value);
    return () => { this.#listeners.delete(own); };
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#end();
    this.tell("closed", { error: this.#error });
    this.#call();
  }

  /** Each list, from the one that stands when it is asked for; a slow reader gets the latest. The end of the loop closes the query. */
  async* [Symbol.asyncIterator]() {
    let had = null;
    let wake = () => {};
    const leave = this.subscribe(() => wake());
    try {
      for (;;) {
        if (this.#loaded && this.#value !== had) {
          had = this.#value;
          yield had;
        } else if (this.#closed) {
          if (this.#error) throw this.#error;
          return;
        } else {
          await new Promise((resolve) => { wake = resolve; });
        }
      }
    } finally {
      leave();
      this.close();
    }
  }

  async [Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() { this.close(); }
}
