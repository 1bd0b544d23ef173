// A provider for Yjs: a shared document whose updates are records of a group. Its interface is described in yjs.d.ts.
//
// Each session of a member writes its updates into a log of its own, of levels:
//
//   level 0   ▪▪▪▪▪▪▪▪      records with an update each
//   level 1   ▬▬▬           what FULL of them said, merged
//   level 2   ━━            and so on, until that is too long
//
// Once a level is full, it is merged into one record of the next level, and its records are written over by the next updates.
// So a document of any number of edits is some dozen records for each writer, and no deletion has to be remembered. Every record
// says up to which update (`seq`) it goes, so that whoever reads the log knows which of them stand in a higher level already.
import { ObservableV2 } from "lib0/observable";
import { createDecoder, readVarString, readVarUint, readVarUint8Array } from "lib0/decoding";
import { createEncoder, toUint8Array, writeVarString, writeVarUint8Array } from "lib0/encoding";
import {
  Awareness, applyAwarenessUpdate, encodeAwarenessUpdate, removeAwarenessStates,
} from "y-protocols/awareness";
import * as Y from "yjs";

const UPDATE = "yjs.update";
const AWARENESS = "yjs.awareness";
/** Records of one level. Guess: an update is written again with every eighth power. */
const FULL = 8;
/** Bytes up to which records are merged. Guess: half of what a record may have by default. */
const MERGED_MAX = 512 * 1024;
/** How long updates wait for company. Guess: half of what people take for at once. */
const FLUSH_MS = 40;
/** The same of awareness: at most ten a second. */
const AWARENESS_MS = 100;
/** How long Yjs may keep updates waiting for others before all that are stored are given to it at once. Guess: a sync is over by then. */
const CATCH_UP_MS = 500;
/** Clients of the awareness that one node may have: tabs that share a peer. Guess. */
const CLIENTS_MAX = 8;
/** How long a failed write waits, at first and at most. */
const RETRY_MS = [1_000, 30_000];
/** Errors that no later try mends. */
const FINAL = new Set(["closed", "revoked", "membership-expired", "not-allowed", "bad-record"]);

/** The log of one writer. */
class Log {
  #group;
  #doc;
  #writer;
  /** The records of each level that stand in no higher one, oldest first. */
  #live = [];
  /** Records that can be written over. */
  #free = [];
  #seq = 0;

  constructor(group, doc, writer) {
    this.#group = group;
    this.#doc = doc;
    this.#writer = writer;
  }

  /** Takes up what an earlier session wrote. */
  resume(records) {
    const own = records.filter(({ attributes }) => attributes.writer === this.#writer);
    const entries = own.map((record) => ({
      id: record.id, update: record.data, level: Number(record.attributes.level), seq: Number(record.attributes.seq),
    })).toSorted((a, b) => a.seq - b.seq);
    for (const entry of entries) {
      const stands = !entries.some((other) => other.level > entry.level && other.seq >= entry.seq);
      if (stands) (this.#live[entry.level] ??= []).push(entry);
      else (this.#free[entry.level] ??= []).push(entry.id);
      this.#seq = Math.max(this.#seq, entry.seq);
    }
  }

  async write(update) {
    this.#seq += 1;
    await this.#put(0, update, this.#seq);
  }

  async #put(level, update, seq) {
    const live = this.#live[level] ??= [];
    const free = this.#free[level] ??= [];
    const attributes = { doc: this.#doc, writer: this.#writer, level, seq };
    const reused = free.at(-1);
    const record = reused === undefined
      ? await this.#group.publish(UPDATE, update, { attributes })
      : await this.#group.update(reused, update, { attributes });
    free.pop();
    live.push({ id: record.id, update, seq });
    if (live.length < FULL) return;
    const merged = Y.mergeUpdates(live.map((it) => it.update));
    // If it is too long, they stay what they are.
    if (merged.byteLength <= MERGED_MAX) {
      await this.#put(level + 1, merged, seq);
      free.push(...live.map((it) => it.id));
    }
    this.#live[level] = [];
  }
}

/** A name for the log of this session: that of an earlier one of this browser which no tab uses now, or a new one. */
async function writerOf(key) {
  const fresh = () => crypto.randomUUID();
  const known = () => { try { return JSON.parse(localStorage.getItem(key)) ?? []; } catch { return []; } };
  const hold = (name) => new Promise((held) => {
    const until = new Promise((release) => {
      navigator.locks.request(`${key}:${name}`, { ifAvailable: true }, (lock) => {
        held(lock ? { name, release } : null);
        return lock ? until : undefined;
      }).catch(() => held({ name, release }));
    });
  });
  if (!globalThis.navigator?.locks) return { name: fresh(), release() {} };
  for (const name of known()) {
    const held = await hold(name);
    if (held) return held;
  }
  const name = fresh();
  try { localStorage.setItem(key, JSON.stringify([...known(), name])); } catch { /* Then each session has a log of its own. */ }
  return await hold(name) ?? { name, release() {} };
}

export class PeergraphProvider extends ObservableV2 {
  #doc;
  #log = null;
  #writer = null;
  /** Updates of the document that are in no record yet. */
  #pending = [];
  #flushing = null;
  #ends = null;
  #failures = 0;
  #neighbours = new Set();
  /** The clients of the awareness, each with its node. */
  #clients = new Map();
  #telling = null;
  #catching = null;
  #ownsAwareness;
  #status = "disconnected";

  constructor(group, name, doc, { awareness: given, connect = true } = {}) {
    super();
    const awareness = given ?? new Awareness(doc);
    this.#ownsAwareness = !given;
    this.group = group;
    this.name = String(name);
    this.doc = this.#doc = doc;
    this.awareness = awareness;
    this.synced = false;
    // It may come with content of its own.
    if (doc.store.clients.size > 0) this.#pending.push(Y.encodeStateAsUpdate(doc));
    doc.on("update", this.#onUpdate);
    doc.on("destroy", this.#onDestroy);
    awareness.on("update", this.#onAwareness);
    globalThis.addEventListener?.("pagehide", this.#onHide);
    if (connect) this.connect();
  }

  get connected() { return this.#status === "connected"; }
  get shouldConnect() { return this.#ends !== null; }

  connect() {
    if (this.#ends) return;
    this.#ends = new AbortController();
    const { signal } = this.#ends;
    this.#setStatus("connecting");
    this.#listen("neighbour", signal, ({ up, link }) => {
      if (up) this.#neighbours.add(link);
      else this.#neighbours.delete(link);
      this.#tellNeighbours();
    });
    this.#listen("sync", signal, ({ phase }) => { if (phase === "complete") this.#catchUpSoon(); });
    this.#listen("presence", signal, (detail) => this.#onPresence(detail));
    this.#listen("withdrawn", signal, ({ id }) => this.emit("withdrawn", [{ id }]));
    this.#listen("closed", signal, () => this.disconnect());
    this.group.on(AWARENESS, (message) => this.#onMessage(message), { signal });
    this.#run(signal).catch((error) => { if (!signal.aborted) this.emit("error", [error]); });
  }

  disconnect() {
    this.#ends?.abort();
    this.#ends = null;
    this.#neighbours.clear();
    const others = [...this.awareness.getStates().keys()].filter((it) => it !== this.#doc.clientID);
    removeAwarenessStates(this.awareness, others, this);
    this.#clients.clear();
    this.#setSynced(false);
    this.#setStatus("disconnected");
  }

  /** Writes what waits, and ends. */
  async destroy() {
    if (!this.#doc) return super.destroy();
    removeAwarenessStates(this.awareness, [this.#doc.clientID], "destroyed");
    await this.#tellAwareness().catch(() => {});
    await this.flush();
    this.#doc.off("update", this.#onUpdate);
    this.#doc.off("destroy", this.#onDestroy);
    this.awareness.off("update", this.#onAwareness);
    globalThis.removeEventListener?.("pagehide", this.#onHide);
    this.disconnect();
    this.#writer?.release();
    // It looks for clients that are gone until it is destroyed.
    if (this.#ownsAwareness) this.awareness.destroy();
    this.#doc = null;
    super.destroy();
  }

  /** Done when all updates of this document are in durable records. */
  async flush() {
    while (this.#pending.length > 0 && this.#log) await this.#write();
    await this.#flushing;
  }

  /** The document as the records of members say that stand now: without what was withdrawn since. */
  static async load(group, name, doc = new Y.Doc()) {
    for (const { data } of await recordsOf(group, String(name))) faultOf(doc, data);
    return doc;
  }

  async #run(signal) {
    if (!this.#writer) {
      const writer = await writerOf(`peergraph-yjs:${this.group.id}:${this.name}`);
      if (this.#doc) this.#writer = writer;
      else writer.release();
    }
    for (const { id } of await this.group.neighbours({ signal })) this.#neighbours.add(id);
    this.#tellNeighbours();
    const onStored = () => this.#begin(signal).catch((error) => { if (!signal.aborted) this.emit("error", [error]); });
    for await (const record of this.group.watch(UPDATE, { signal, onStored })) {
      const ours = record.attributes.doc === this.name && record.data instanceof Uint8Array;
      if (ours && this.#doc) this.#apply(record);
    }
  }

  /**
   * Takes all that is stored into the document as one update, a little later. Updates of a log overlap, and in some orders
   * Yjs keeps them waiting for each other; as one update they do not.
   */
  #catchUpSoon() {
    this.#catching ??= setTimeout(() => this.#catchUp().finally(() => { this.#catching = null; }), CATCH_UP_MS);
  }

  async #catchUp() {
    const signal = this.#ends?.signal;
    if (!signal) return;
    try {
      const known = new Y.Doc();
      const records = await recordsOf(this.group, this.name, signal);
      const good = records.filter(({ data }) => !faultOf(known, data)).map(({ data }) => data);
      known.destroy();
      if (this.#doc && good.length > 0) Y.applyUpdate(this.#doc, Y.mergeUpdates(good), this);
    } catch (error) {
      if (!signal.aborted) this.emit("error", [error]);
    }
  }

  #apply(record) {
    const cause = faultOf(this.#doc, record.data, this);
    if (cause) this.emit("error", [Object.assign(new Error(`the record ${record.id} is no update`), { cause, record })]);
    const { pendingStructs, pendingDs } = this.#doc.store;
    if (pendingStructs || pendingDs) this.#catchUpSoon();
  }

  /** All that was stored is in the document: what only the document has is written, and the log goes on. */
  async #begin(signal) {
    if (!this.#log) {
      const log = new Log(this.group, this.name, this.#writer.name);
      const records = await recordsOf(this.group, this.name, signal);
      log.resume(records.filter(({ creator }) => creator.me));
      if (this.#pending.length > 0) this.#pending = newsIn(this.#pending, records);
      this.#log = log;
    }
    this.#setSynced(true);
    this.#schedule();
    this.#tellSoon();
  }

  #onUpdate = (update, origin) => {
    if (origin === this) return;
    this.#pending.push(update);
    this.#schedule();
  };

  #onDestroy = () => { this.destroy(); };

  #onHide = (event) => {
    if (event.persisted || !this.#doc) return;
    removeAwarenessStates(this.awareness, [this.#doc.clientID], "pagehide");
    this.#tellAwareness().catch(() => {});
  };

  #schedule(ms = FLUSH_MS) {
    if (!this.#log || this.#flushing || this.#pending.length === 0) return;
    this.#flushing = new Promise((done) => setTimeout(done, ms)).then(() => this.#write()).finally(() => {
      this.#flushing = null;
      this.#schedule(this.#failures > 0 ? Math.min(RETRY_MS[0] * 2 ** (this.#failures - 1), RETRY_MS[1]) : FLUSH_MS);
    });
  }

  #writing = Promise.resolve();

  /** Writes what waits, in turn. */
  #write() {
    this.#writing = this.#writing.then(async () => {
      const pending = this.#pending;
      if (pending.length === 0) return;
      this.#pending = [];
      const update = pending.length === 1 ? pending[0] : Y.mergeUpdates(pending);
      try {
        await this.#log.write(update);
        this.#failures = 0;
      } catch (error) {
        this.emit("error", [error]);
        if (FINAL.has(error.code)) return;
        this.#failures += 1;
        this.#pending.unshift(update);
      }
    });
    return this.#writing;
  }

  #onAwareness = ({ added, updated, removed }, origin) => {
    // Those of others that timed out here are not ours to tell.
    const ours = origin !== this && [...added, ...updated, ...removed].includes(this.#doc?.clientID);
    if (ours) this.#tellSoon();
  };

  #tellSoon() {
    this.#telling ??= setTimeout(() => this.#tellAwareness().catch((error) => {
      if (this.#ends && error.code !== "busy") this.emit("error", [error]);
    }), AWARENESS_MS);
  }

  /** Tells who is here of us. */
  async #tellAwareness() {
    clearTimeout(this.#telling);
    this.#telling = null;
    const { clientID } = this.#doc ?? {};
    if (!this.#ends || !this.awareness.meta.has(clientID)) return;
    const encoder = createEncoder();
    writeVarString(encoder, this.name);
    writeVarUint8Array(encoder, encodeAwarenessUpdate(this.awareness, [clientID]));
    await this.group.broadcast(AWARENESS, toUint8Array(encoder));
  }

  /** A node tells of one client, and of no other node's. */
  #onMessage({ data, node }) {
    if (!(data instanceof Uint8Array) || !this.#doc) return;
    try {
      const decoder = createDecoder(data);
      if (readVarString(decoder) !== this.name) return;
      const update = readVarUint8Array(decoder);
      const head = createDecoder(update);
      const [count, client] = [readVarUint(head), readVarUint(head)];
      const owner = this.#clients.get(client) ?? node;
      if (count !== 1 || client === this.#doc.clientID || owner !== node) return;
      const nodes = [...this.#clients.values()];
      if (!nodes.includes(node)) this.#tellSoon(); // It does not know us either.
      if (nodes.filter((it) => it === node).length >= CLIENTS_MAX && !this.#clients.has(client)) return;
      applyAwarenessUpdate(this.awareness, update, this);
      if (this.awareness.states.has(client)) this.#clients.set(client, node);
      else this.#clients.delete(client);
    } catch {
      // A member can say anything.
    }
  }

  #onPresence({ node, change }) {
    if (change === "changed") return;
    if (change === "came") {
      this.emit("peers", [{ added: [node.id], removed: [] }]);
      this.#tellSoon();
      return;
    }
    this.emit("peers", [{ added: [], removed: [node.id] }]);
    const clients = [...this.#clients].filter(([, it]) => it === node.id).map(([client]) => client);
    removeAwarenessStates(this.awareness, clients, this);
    for (const client of clients) this.#clients.delete(client);
  }

  #listen(type, signal, listener) {
    this.group.addEventListener(type, ({ detail }) => listener(detail), { signal });
  }

  #tellNeighbours() {
    if (this.#ends) this.#setStatus(this.#neighbours.size > 0 ? "connected" : "connecting");
  }

  #setStatus(status) {
    if (status === this.#status) return;
    this.#status = status;
    this.emit("status", [{ status, connected: status === "connected" }]);
  }

  #setSynced(synced) {
    if (synced === this.synced) return;
    this.synced = synced;
    this.emit("synced", [{ synced }]);
    this.emit("sync", [synced]);
  }
}

/** Applies an update. Returns the error if it is none: a member can write anything, and the others' updates go on. */
function faultOf(doc, update, origin) {
  try {
    Y.applyUpdate(doc, update, origin);
    return null;
  } catch (error) {
    return error;
  }
}

/** Of some updates what records do not say: nothing, or one update. */
function newsIn(updates, records) {
  const known = new Y.Doc();
  for (const { data } of records) faultOf(known, data);
  const news = [];
  known.on("update", (update) => news.push(update));
  Y.applyUpdate(known, Y.mergeUpdates(updates));
  known.destroy();
  return news;
}

/** The records of a document that are updates. */
async function recordsOf(group, name, signal) {
  const found = [];
  let after;
  do {
    const page = await group.records({ type: UPDATE, after, signal });
    found.push(...page.filter((it) => !it.deleted && it.attributes.doc === name && it.data instanceof Uint8Array));
    after = page.next;
  } while (after !== null);
  return found;
}
