// First what is stored, then what arrives.

import { sizeOf } from "./record.js";

/**
 * Records that wait for a slow reader with their content, and their sizes. Guess: what one sync brings a page
 * at once. Beyond it they wait as ids, and are read again when their turn comes: at most one id for each record of the
 * group, and nothing is lost but versions in between.
 */
const WHOLE_MAX = 4_096;
const WHOLE_BYTES_MAX = 1024 * 1024;
/** Records read at once from the store. */
const PAGE = 200;
/** So long before another tab takes the node over, news of records may have been lost with the tab that had it. Guess. */
const LOST_MS = 2 * 60_000;
/** Records of which we remember that the reader has had them: those of about the last second. */
const SEEN_MAX = 2_000;

const QUIET = new Set(["aborted", "closed", "closing", "unknown-group"]);

/** The iterator behind `group.watch`. It ends at once when the reader leaves, though a record is awaited. */
export function watch(group, type, { signal, ...how }) {
  const stop = new AbortController();
  const end = () => stop.abort();
  if (signal?.aborted) end();
  signal?.addEventListener("abort", end, { once: true });
  const records = read(group, type, how, stop.signal);
  const listenNoMore = () => signal?.removeEventListener("abort", end);
  const leave = async (value) => {
    end();
    listenNoMore();
    await records.return();
    return { done: true, value };
  };
  return {
    async next() {
      try {
        const step = await records.next();
        if (step.done) listenNoMore();
        return step;
      } catch (error) {
        listenNoMore();
        throw error;
      }
    },
    return: leave,
    async throw(error) {
      await leave();
      throw error;
    },
    [Symbol.asyncIterator]() { return this; },
    [Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]: () => leave().then(() => {}),
  };
}

async function* read(group, type, { order, limit = Infinity, onStored }, signal) {
  const arriving = new Arriving(type);
  const ends = () => signal.aborted || group.closed;
  const onRecord = ({ detail }) => arriving.add(detail.record);
  // The version that follows may be an earlier one: see the events of a group.
  const onWithdrawn = ({ detail }) => arriving.forget(detail.id);
  const onRenewed = () => arriving.renew();
  const onEnd = () => arriving.wake();

  group.addEventListener("record", onRecord);
  group.addEventListener("withdrawn", onWithdrawn);
  group.addEventListener("renewed", onRenewed);
  group.addEventListener("closed", onEnd);
  signal.addEventListener("abort", onEnd);
  try {
    let after = null;
    let left = limit;
    do {
      const page = await group.records({ type, order, after, limit: Math.min(PAGE, left), signal });
      for (const record of page) {
        if (arriving.isNews(record)) yield record;
        if (ends()) return;
        await group.pause();
      }
      left -= page.length;
      after = page.next;
    } while (after !== null && left > 0);
    onStored?.();

    while (!ends()) {
      if (arriving.takeRenewed()) {
        for (const record of await lately(group, type, signal)) if (arriving.isNews(record)) yield record;
        if (ends()) return;
      }
      const id = arriving.first();
      if (id === undefined) {
        await arriving.next();
        continue;
      }
      const record = arriving.take(id) ?? await group.get(id, { signal });
      if (ends()) return;
      // Nothing: it has expired in the meantime.
      if (record && arriving.isNews(record)) yield await group.named(record);
      await group.pause();
    }
  } catch (error) {
    if (!QUIET.has(error.code)) throw error;
  } finally {
    group.removeEventListener("record", onRecord);
    group.removeEventListener("withdrawn", onWithdrawn);
    group.removeEventListener("renewed", onRenewed);
    group.removeEventListener("closed", onEnd);
    signal.removeEventListener("abort", onEnd);
  }
}

/** The stored records that were changed lately, by the clock of whoever changed them, oldest first. */
async function lately(group, type, signal) {
  const since = Date.now() - LOST_MS;
  const found = [];
  let after = null;
  do {
    const page = await group.records({ type, order: "newest", after, limit: PAGE, signal });
    const recent = page.filter(({ modified }) => modified.getTime() >= since);
    found.push(...recent);
    after = recent.length < page.length ? null : page.next;
  } while (after !== null);
  return found.reverse();
}

/** The records that have arrived and wait for the reader, and those that the reader has had. */
class Arriving {
  #type;
  #waiting = new Map();
  #seen = new Map();
  #whole = 0;
  #wholeBytes = 0;
  #renewed = false;
  #wake = () => {};

  constructor(type) {
    this.#type = type;
  }

  add(record) {
    if (this.#type !== undefined && record.type !== this.#type) return;
    this.take(record.id);
    // A deletion has no content to wait with, and could not be read again.
    const hasRoom = this.#whole < WHOLE_MAX && this.#wholeBytes + sizeOf(record) <= WHOLE_BYTES_MAX;
    const keeps = record.deleted || hasRoom;
    if (keeps) this.#count(record, 1);
    this.#waiting.set(record.id, keeps ? record : null);
    this.wake();
  }

  take(id) {
    const record = this.#waiting.get(id);
    if (record) this.#count(record, -1);
    this.#waiting.delete(id);
    return record;
  }

  #count(record, change) {
    this.#whole += change;
    this.#wholeBytes += change * sizeOf(record);
  }

  /** A record was taken back. Anything that comes of it later is news. */
  forget(id) {
    this.take(id);
    this.#seen.delete(id);
  }

  /** The id of the record that waits longest. */
  first() {
    const [id] = this.#waiting.keys();
    return id;
  }

  /** Whether the reader has not had this version yet. It has it then. */
  isNews(record) {
    if (this.#waiting.get(record.id)?.edition <= record.edition) this.take(record.id);
    if (this.#seen.get(record.id) >= record.edition) return false;
    this.#seen.delete(record.id);
    this.#seen.set(record.id, record.edition);
    if (this.#seen.size > SEEN_MAX) this.#seen.delete(this.#seen.keys().next().value);
    return true;
  }

  /** News may have been lost. */
  renew() {
    this.#renewed = true;
    this.wake();
  }

  takeRenewed() {
    const renewed = this.#renewed;
    this.#renewed = false;
    return renewed;
  }

  wake() {
    this.#wake();
  }

  next() {
    return new Promise((resolve) => { this.#wake = resolve; });
  }
}
