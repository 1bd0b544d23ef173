// One node for all tabs. Of the tabs of a browser that have one identity open, one leads: it has the node, and the others work
// through it. If it is closed, or crashes, the tab that waits longest goes on.
//
//   the tab that leads                     another tab
//   node ── Tab ◄──────── calls ────────── Tab        one `BroadcastChannel` for each identity, which only scripts of
//     └──────────── answers, news ───────►            this origin hear
//
// The lock `peergraph-tabs:DATABASE` is held by the one that leads; the others wait for it. Each other one holds a lock of its
// own, by which the first notices that it is gone. A call whose answer was lost with a tab is made again; one that would do
// something twice fails instead. Records are named by the tab that publishes them, so they can be published again.
import { errorOf } from "./errors.js";

/** Calls that can be made again if their answer is lost. */
const AGAIN = [
  "setProperties", "join", "groups", "links", "members", "nodes", "present", "publish", "broadcast", "deleteHere", "records",
  "search", "query", "changes", "endQuery", "preview", "invitations", "withdraw", "promote", "revoke", "reinstate",
  "offerOwnership", "handOver", "leave", "explain", "explainInvitation", "connect", "backup",
];
/** Calls that would do something a second time. */
const ONCE = ["createGroup", "invite", "rotateKey", "direct"];
/** How long a node waits for the lock of one that is closing. Guess: its last writes are durable by then. */
const PATIENCE_MS = 1_000;
const RETRY_MS = 20;

/** A number that nobody else draws, for what a tab names. */
export const draw = () => Math.floor(Math.random() * Number.MAX_SAFE_INTEGER);

const failure = (code, message) => ({ code, message, hint: message.split("; ")[1] ?? "" });
const lost = () => failure("tab-closed", "the tab that was to do this was closed; look whether it is done, and try again");
const closed = () => failure("closed", "this peer is closed; open it again");

/** The node of an identity, wherever it is: has the methods of `PeerHandle`. */
export class Tab {
  #module;
  #wanted;
  #listener;
  #name = "";
  #id = crypto.randomUUID();
  #channel = null;
  /** The node, if this tab leads. */
  #node = null;
  /** The tab that leads and knows us, if it is another one: calls go to it. */
  #leader = null;
  #calls = new Map();
  #number = 0;
  /** The other tabs, each with what it has open: live queries, and names that it serves, each with its group. */
  #others = new Map();
  /** Direct links, each with the tab that opened or accepted it. */
  #directs = new Map();
  /** Whether anybody listens for records in this tab. A node tells them at first, so that nothing is missed. */
  #hears = true;
  /** Neighbours, links and nodes that are up, each with the news of it. */
  #up = new Map();
  #ends = new AbortController();
  #release = () => {};
  #opened;
  #opening = new Promise((done, failed) => { this.#opened = { done, failed }; });

  /** Opens an identity. Alone, if `shared` is false: then it fails where another tab has it, unless it is to be taken over. */
  static async open(module, wanted, shared, listener) {
    const me = await module.Me.find(wanted);
    const tab = new Tab(module, { ...wanted, who: me.id, identity: null }, listener);
    tab.me = me;
    if (shared && globalThis.BroadcastChannel && globalThis.navigator?.locks) await tab.#share(`peergraph-tabs:${me.database}`);
    else tab.#node = await module.PeerHandle.open(tab.#wanted, listener);
    return tab;
  }

  constructor(module, wanted, listener) {
    this.#module = module;
    this.#wanted = wanted;
    this.#listener = listener;
  }

  static {
    for (const name of [...AGAIN, ...ONCE]) {
      Tab.prototype[name] ??= function call(...given) { return this.#call(name, given); };
    }
  }

  /** Whether this tab has the node. */
  get leads() { return this.#node !== null; }

  /** The network of this browser has changed. Each tab notices that for itself. */
  pathsChanged(gone) { this.#node?.pathsChanged(gone); }

  pause() { return this.#module.pause(); }

  connect(url) {
    const node = this.#module.nodeUrl(url);
    // It can only fail where the peer is closed.
    this.#call("connect", [node]).catch(() => {});
    return node;
  }

  hearRecords(hears) {
    this.#hears = hears;
    this.#applyHears();
    if (hears && this.#leader) this.#post({ kind: "hears", from: this.#id });
  }

  async close() {
    const node = this.#node;
    this.#end(closed());
    if (node) await node.close();
    else this.#tell({ type: "closed", error: null });
    this.#release();
  }

  goodbye() {
    this.#node?.goodbye();
    this.#end(closed());
  }

  // Finding one's place.

  async #share(name) {
    this.#name = name;
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }) => this.#hear(data);
    const { signal } = this.#ends;
    const until = new Promise((release) => { this.#release = release; });
    const hold = (lock, options, granted) => navigator.locks.request(lock, options, () => { granted(); return until; }).catch(() => {});
    await new Promise((granted) => { hold(`${name}:${this.#id}`, {}, granted); });
    hold(name, { signal }, () => { this.#lead(); });
    this.#post({ kind: "hello", from: this.#id, hears: false });
    await this.#opening;
  }

  /** Nobody leads: goes on as the one that does. */
  async #lead() {
    const renews = this.#leader !== null;
    this.#leader = null;
    try {
      this.#node = await this.#openNode();
    } catch (thrown) {
      const error = errorOf(thrown);
      this.#opened.failed(thrown);
      if (renews) this.#tell({ type: "closed", error: failure(error.code, error.message) });
      this.#end(thrown);
      this.#release();
      return;
    }
    if (this.#ends.signal.aborted) {
      this.#node.close();
      return;
    }
    if (renews) {
      this.#renew();
      this.#applyHears();
    }
    for (const [number, call] of this.#calls) {
      this.#calls.delete(number);
      if (ONCE.includes(call.name)) call.failed(lost());
      else this.#node[call.name](...call.given).then(call.done, call.failed);
    }
    this.#opened.done();
    this.#post({ kind: "leads" });
  }

  async #openNode() {
    for (let waited = 0; ; waited += RETRY_MS) {
      try {
        return await this.#module.PeerHandle.open(this.#wanted, (news) => this.#onNews(news));
      } catch (thrown) {
        if (thrown.code !== "locked" || waited >= PATIENCE_MS) throw thrown;
        await new Promise((done) => setTimeout(done, RETRY_MS));
      }
    }
  }

  /** The tab that led is gone, and another node has taken the place of its. */
  #renew() {
    for (const news of [...this.#up.values()]) {
      if (news.type === "neighbour") this.#tell({ ...news, up: false });
      if (news.type === "link") this.#tell({ ...news, state: "closed", reason: null });
      if (news.type === "direct") this.#tell({ ...news, change: "closed", error: lost() });
    }
    this.#tell({ type: "renewed" });
  }

  #end(error) {
    this.#ends.abort();
    this.#node = null;
    this.#leader = null;
    for (const call of this.#calls.values()) call.failed(error);
    this.#calls.clear();
    this.#post({ kind: "bye", from: this.#id });
    this.#channel?.close();
    this.#channel = null;
  }

  // Messages on the channel.

  #post(message) {
    this.#channel?.postMessage(message);
  }

  #hear(message) {
    if (this.#node) this.#hearOther(message);
    else this.#hearLeader(message);
  }

  #hearOther({ kind, from, hears, number, name, given }) {
    switch (kind) {
      case "hello": {
        this.#meet(from);
        this.#others.get(from).hears = hears;
        this.#applyHears();
        return this.#post({ kind: "welcome", from: this.#id, to: from, up: [...this.#up.values()] });
      }
      case "hears": {
        const other = this.#others.get(from);
        if (other) other.hears = true;
        return this.#applyHears();
      }
      case "bye": return this.#part(from);
      case "call": return this.#do(from, number, name, given);
    }
  }

  /** Another tab works through this one, until its lock is free. */
  #meet(from) {
    if (this.#others.has(from)) return;
    this.#others.set(from, { hears: false, queries: new Map(), serves: new Map() });
    navigator.locks.request(`${this.#name}:${from}`, { signal: this.#ends.signal }, () => this.#part(from)).catch(() => {});
  }

  #part(from) {
    const other = this.#others.get(from);
    if (!other) return;
    this.#others.delete(from);
    for (const [query, group] of other.queries) this.#node?.endQuery(group, query).catch(() => {});
    const direct = (...given) => this.#node?.direct(...given, undefined, undefined, 0).catch(() => {});
    for (const [name, group] of other.serves) direct("stop-serving", group, 0, name, "");
    for (const [id, owner] of this.#directs) if (owner === from) direct("close", id, 0, "", "");
    this.#applyHears();
  }

  async #do(from, number, name, given) {
    const other = this.#others.get(from);
    // One of a tab that nobody knows, or that is gone.
    if (!other || ![...AGAIN, ...ONCE].includes(name)) return;
    if (name === "query") other.queries.set(given[1], given[0]);
    if (name === "endQuery") other.queries.delete(given[1]);
    if (name === "direct") this.#own(from, given, other.serves);
    try {
      const value = await this.#node[name](...given);
      this.#done(from, name, given);
      this.#post({ kind: "answer", to: from, number, value });
    } catch (thrown) {
      const { code, message, hint, tried } = errorOf(thrown);
      this.#post({ kind: "answer", to: from, number, error: { code, message, hint, tried } });
    }
  }

  /** Notes which tab a direct link belongs to, and which names it serves. */
  #own(from, [op, at, , text, to], serves) {
    if (op === "open") this.#directs.set(to.split(" ").at(-1), from);
    if (op === "accept") this.#directs.set(at, from);
    if (op === "serve") serves?.set(text, at);
    if (op === "stop-serving") serves?.delete(text);
  }

  /** A tab has done what the node tells nobody of: the other tabs hear of it. */
  #done(from, name, [group, kind, bytes, mediaType]) {
    if (name !== "leave" && name !== "broadcast") return;
    const news = name === "leave" ? { type: "left", group }
      : { type: "broadcast", group, peer: this.me.id, node: from, kind, bytes, mediaType };
    this.#post({ kind: "news", news, except: from });
    if (from !== this.#id) this.#tell(news);
  }

  #hearLeader({ kind, from, to, except, number, value, error, news, up }) {
    if (to !== undefined && to !== this.#id) return;
    switch (kind) {
      case "leads": return this.#post({ kind: "hello", from: this.#id, hears: this.#leader !== null && this.#hears });
      case "welcome": return this.#follow(from, up);
      case "answer": {
        const call = this.#calls.get(number);
        this.#calls.delete(number);
        return error ? call?.failed(error) : call?.done(value);
      }
      case "news": if (this.#leader && except !== this.#id) this.#tell(news);
    }
  }

  /** Another tab leads, and knows us. It says so twice if our greeting and the news that it leads cross. */
  #follow(leader, up) {
    if (leader === this.#leader) return;
    const renews = this.#leader !== null;
    if (renews) this.#renew();
    this.#leader = leader;
    if (renews) for (const news of up) this.#tell(news);
    else for (const news of up) this.#note(news);
    for (const [number, call] of this.#calls) {
      if (renews && ONCE.includes(call.name)) {
        this.#calls.delete(number);
        call.failed(lost());
      } else {
        this.#post({ kind: "call", from: this.#id, number, name: call.name, given: call.given });
      }
    }
    this.#opened.done();
    // Of nodes, whoever comes late hears only if it is told.
    if (!renews) for (const news of up) if (news.type === "node") this.#listener(news);
  }

  #call(name, given) {
    if (this.#node) {
      if (name === "direct") this.#own(this.#id, given);
      const answer = this.#node[name](...given);
      answer.then(() => this.#done(this.#id, name, given), () => {});
      return answer;
    }
    if (this.#ends.signal.aborted) return Promise.reject(closed());
    if (name === "publish" && given[1].id === null) given[1] = { ...given[1], nonce: draw() };
    const number = this.#number += 1;
    return new Promise((done, failed) => {
      this.#calls.set(number, { name, given, done, failed });
      if (this.#leader) this.#post({ kind: "call", from: this.#id, number, name, given });
    });
  }

  // News.

  #applyHears() {
    this.#node?.hearRecords(this.#hears || [...this.#others.values()].some(({ hears }) => hears));
  }

  /** News of the node of this tab. */
  #onNews(news) {
    if (news.type === "direct" && news.change !== "asked") {
      const { id } = news.direct;
      // One that nobody was asked about is this tab's.
      const owner = this.#directs.get(id) ?? this.#id;
      if (news.change === "connected") this.#directs.set(id, owner);
      else this.#directs.delete(id);
      if (owner === this.#id) this.#tell(news);
      else this.#post({ kind: "news", news, to: owner });
      return;
    }
    // If it closes because it was asked to, another tab goes on; if it fails, all do.
    const forAll = news.type === "closed" ? news.error : this.#others.size > 0;
    if (forAll) this.#post({ kind: "news", news });
    this.#tell(news);
  }

  #tell(news) {
    this.#note(news);
    if (news.type === "closed" && news.error) {
      this.#end(closed());
      this.#release();
    }
    this.#listener(news);
  }

  #note(news) {
    switch (news.type) {
      case "neighbour": return this.#keep(`neighbour ${news.group} ${news.link}`, news, news.up);
      case "link": return this.#keep(`link ${news.id}`, news, news.state !== "closed");
      case "direct": return this.#keep(`direct ${news.direct.id}`, news, news.change === "connected");
      case "node": return this.#keep(`node ${news.url}`, news, news.state !== "forgotten");
    }
  }

  #keep(key, news, up) {
    if (up) this.#up.set(key, news);
    else this.#up.delete(key);
  }
}
