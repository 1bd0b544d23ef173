// The npm package `peergraph`. Its interface is described in index.d.ts.
//
// Importing does nothing; the WebAssembly module is loaded by the first call that needs it, or by `init`.
import {
  PeergraphError, badArgument, checkSignal, closedError, errorOf, optionsOf, triedOf, waitFor,
} from "./errors.js";
import { Group } from "./group.js";
import { STORAGE, bytesOf, identities, peerName, verify } from "./identities.js";
import { askToPersist, checkBrowser, init, load } from "./load.js";
import { decodeInvitation, decodePreview, encodePolicy } from "./membership.js";
import { Nodes } from "./nodes.js";
import { closing, inTurn } from "./openings.js";
import { Paths } from "./paths.js";
import { LiveQuery, Search } from "./search.js";
import { Speaker } from "./speaker.js";
import { Tab } from "./tabs.js";

export { Group, LiveQuery, PeergraphError, Search, identities, init, peerName, verify };

const NAME = "Unnamed";
const OPEN = [
  "name", "nodes", "storage", "shared", "takeOver", "identity", "priorities", "neighbours", "membersOnly", "persist", "iceServers",
  "signal",
];
const INSIDE = Symbol("made by Peer.open");

/** Reads an invitation. Needs no peer. */
export async function readInvitation(link) {
  const module = await load();
  try {
    return decodeInvitation(module.readInvitation(String(link)));
  } catch (thrown) {
    throw errorOf(thrown);
  }
}

/** Which identity to open: one that is here, or an exported one. */
function wantedIdentity(identity) {
  if (identity == null) return { who: null, identity: null };
  if (typeof identity === "string") return { who: identity, identity: null };
  optionsOf(identity, ["file", "password"], "the option identity");
  if (typeof identity.file === "string" && typeof identity.password === "string") {
    return { who: null, identity: [identity.file, identity.password] };
  }
  throw badArgument("identity is an id, a name, or { file, password } of an exported one");
}

/** Which record types come first. */
function wantedTypes(priorities) {
  if (Array.isArray(priorities) && priorities.every((type) => typeof type === "string")) return priorities;
  throw badArgument("priorities is an array of record types");
}

/** How many neighbours to have. Whether they can be, the module says. */
function wantedNeighbours(neighbours) {
  if (neighbours === undefined) return null;
  const limits = [neighbours?.min, neighbours?.ideal, neighbours?.max];
  if (limits.every((limit) => Number.isInteger(limit) && limit >= 0 && limit < 2 ** 32)) return limits;
  throw badArgument("neighbours is { min, ideal, max }: three whole numbers");
}

/** The ICE servers, copied, so that the module has those that were checked. */
function wantedServers(iceServers) {
  if (iceServers === undefined) return [];
  const isServer = (it) => it !== null && typeof it === "object" && [it.urls].flat().every((url) => typeof url === "string");
  if (Array.isArray(iceServers) && iceServers.every(isServer)) return iceServers.map((it) => ({ ...it }));
  throw badArgument("iceServers is an array, as RTCPeerConnection takes it");
}

/** One identity in this browser, with its groups. */
export class Peer extends Speaker {
  #module;
  #handle = null;
  #paths = null;
  #id = "";
  #name = "";
  #groups = new Map();
  #nodes;
  #storage;
  #closing = null;
  #closed = false;
  #early = [];
  /** Whether anybody ever listened for records, of any group. */
  #hearsRecords = false;
  #goodbye = (event) => {
    // A page that is kept may come back.
    if (!event.persisted) this.#handle?.goodbye();
  };

  constructor(inside, module, storage) {
    if (inside !== INSIDE) throw new TypeError("use Peer.open");
    super((type) => this.listened(type));
    this.#module = module;
    this.#storage = storage;
    this.#nodes = new Nodes(
      (url) => this.#connect(url),
      (state) => this.tell("node", state));
  }

  static async open(options) {
    const {
      name = NAME, nodes = [], storage = STORAGE, takeOver = false, shared = !takeOver, identity, priorities = [], neighbours,
      membersOnly = false, persist = true, iceServers, signal,
    } = optionsOf(options, OPEN, "Peer.open");
    const wanted = {
      name, storage, takeOver, ...wantedIdentity(identity),
      priorities: wantedTypes(priorities), neighbours: wantedNeighbours(neighbours),
      membersOnly, iceServers: wantedServers(iceServers),
      // Dialled while the rest is opened.
      nodes: [...nodes].map(String),
    };
    if (shared && takeOver) throw badArgument("an identity is shared with the other tabs, or taken over from them");
    checkSignal(signal);
    checkBrowser();
    const peer = await waitFor(inTurn(storage, () => Peer.#open(wanted, shared, signal)), signal);
    try {
      for (const node of wanted.nodes) peer.connect(node);
    } catch (error) {
      await peer.close();
      throw error;
    }
    if (persist) askToPersist();
    return peer;
  }

  static async #open(wanted, shared, signal) {
    checkSignal(signal);
    const module = await load();
    checkSignal(signal);
    const peer = new Peer(INSIDE, module, wanted.storage);
    await peer.#begin(await Tab.open(module, wanted, shared, (news) => peer.#hear(news)));
    // Nobody waits for it any longer.
    if (signal?.aborted) await peer.close();
    return peer;
  }

  async #begin(handle) {
    this.#handle = handle;
    [this.#id, this.#name] = [handle.me.id, handle.me.name];
    addEventListener("pagehide", this.#goodbye);
    this.#paths = new Paths((gone) => this.#handle?.pathsChanged(gone));
    const groups = (await handle.groups()).map((info) => this.#group(info));
    await Promise.all(groups.map((group) => group.learnNames()));
    // The application that opens the peer listens in this task, and hears what the opening found.
    setTimeout(() => this.#tellEarly());
  }

  #tellEarly() {
    const early = this.#early ?? [];
    this.#early = null;
    for (const news of early) this.#tell(news);
    this.#handle?.hearRecords(this.#hearsRecords);
  }

  get id() { return this.#id; }
  get name() { return this.#name; }
  get closed() { return this.#closed; }
  get leads() { return this.#handle?.leads ?? false; }
  get nodes() { return this.#nodes.states; }

  async createGroup(options) {
    const { name, policy, signal } = optionsOf(options, ["name", "policy", "signal"], "peer.createGroup");
    const wanted = encodePolicy(policy);
    return this.#group(await this.#ask(() => this.#handle.createGroup(String(name ?? ""), wanted), signal));
  }

  async join(link, options) {
    const { password, signal } = optionsOf(options, ["password", "signal"], "peer.join");
    const joining = () => this.#handle.join(String(link), password === undefined ? undefined : String(password));
    return this.#group(await this.#ask(joining, signal));
  }

  async preview(link, options) {
    const { signal } = optionsOf(options, ["signal"], "peer.preview");
    return decodePreview(await this.#ask(() => this.#handle.preview(String(link)), signal));
  }

  async explain(link, options) {
    const { signal } = optionsOf(options, ["signal"], "peer.explain");
    return triedOf(await this.#ask(() => this.#handle.explainInvitation(String(link)), signal));
  }

  async groups(options) {
    const { signal } = optionsOf(options, ["signal"], "peer.groups");
    const infos = await this.#ask(() => this.#handle.groups(), signal);
    return infos.map((info) => this.#group(info));
  }

  async links(options) {
    const { signal } = optionsOf(options, ["signal"], "peer.links");
    const links = await this.#ask(() => this.#handle.links(), signal);
    return links.map((raw) => Object.freeze({ ...raw, name: raw.peer ? this.#nameOf(raw.peer) : "" }));
  }

  connect(node) {
    if (this.#closed) throw closedError();
    this.#nodes.add(node);
  }

  #connect(url) {
    try {
      return this.#handle.connect(url);
    } catch (thrown) {
      throw errorOf(thrown);
    }
  }

  identityDocument() {
    return this.#handle.me.document;
  }

  get peerName() { return Object.freeze(this.#handle.me.peerName); }

  sign(message) {
    return this.#handle.me.sign(bytesOf(message));
  }

  async exportIdentity(password) {
    return this.#ask(async () => this.#handle.me.export(String(password)));
  }

  async backup(password, options) {
    const { withRecords = false, signal } = optionsOf(options, ["withRecords", "signal"], "peer.backup");
    return this.#ask(() => this.#handle.backup(String(password), withRecords), signal);
  }

  async close() {
    this.#nodes.close();
    this.#closing ??= closing(this.#storage, this.#handle.close());
    await this.#closing;
  }

  async [Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() {
    await this.close();
  }

  async #ask(begin, signal) {
    checkSignal(signal);
    if (this.#closed) throw closedError();
    return waitFor(begin(), signal);
  }

  /** The group of this information; the same object for the same id. */
  #group(info) {
    let group = this.#groups.get(info.id);
    if (group) {
      group.refresh(info);
    } else {
      group = new Group(this, this.#handle, info);
      this.#groups.set(info.id, group);
    }
    return group;
  }

  #nameOf(id) {
    if (id === this.id) return this.name;
    for (const group of this.#groups.values()) {
      const name = group.nameOf(id);
      if (name) return name;
    }
    return "";
  }

  /** News from the module. News that comes while the peer opens waits for the groups, and for those who listen. */
  #hear(news) {
    this.#early?.push(news);
    if (!this.#early) this.#tell(news);
    else if (news.type === "closed") this.#tellEarly();
  }

  #tell(news) {
    switch (news.type) {
      case "closed": {
        const error = news.error ? errorOf(news.error) : null;
        if (error?.code === "storage-gone") this.tell("storage", { error });
        return this.#end(error);
      }
      case "storage": return this.tell("storage", { error: errorOf(news.error) });
      case "damaged": {
        const { group, records, membership } = news;
        return this.tell("damaged", { group, records, membership });
      }
      case "group": {
        const group = this.#group(news.info);
        group.tell("group", { group, left: false });
        return this.tell("group", { group, left: false });
      }
      case "left": {
        const group = this.#groups.get(news.group);
        return group && this.forget(group);
      }
      case "renewed": return this.#renew();
      case "node": return this.#nodes.tell(news);
      case "link": {
        const { type: _, ...detail } = news;
        return this.tell("link", detail);
      }
      case "storing": {
        const [id, record, version] = news.words.split("\n");
        return this.#groups.get(id)?.storing(record, version);
      }
    }
    const group = this.#groups.get(news.group);
    if (!group) return;
    if (news.type === "stored") {
      for (const detail of group.stored(news.records)) this.#dispatchIn(group, "status", detail);
    } else {
      this.#dispatchIn(group, news.type, group.details(news));
    }
  }

  /** Another tab has the node now: it told us nothing of what came meanwhile. */
  async #renew() {
    try {
      const infos = await this.#handle.groups();
      const left = [...this.#groups.values()].filter(({ id }) => !infos.some((info) => info.id === id));
      left.forEach((group) => this.forget(group));
      for (const info of infos) this.#group(info).renewed();
      this.#nodes.hurry();
    } catch {
      // Closed.
    }
  }

  #dispatchIn(group, type, detail) {
    group.tell(type, detail);
    this.tell(type, detail);
  }

  #end(error) {
    if (this.#closed) return;
    this.#closed = true;
    this.#nodes.close();
    removeEventListener("pagehide", this.#goodbye);
    this.#paths?.close();
    for (const group of this.#groups.values()) group.end(error);
    this.tell("closed", { error });
  }

  // The methods below are for the other modules of this package, and not in its types.

  /** Somebody listens: the module tells records whole from now on, which it leaves while nobody would hear. */
  listened(type) {
    if (type !== "record" || this.#hearsRecords) return;
    this.#hearsRecords = true;
    this.#handle?.hearRecords(true);
  }

  qr(text) {
    try {
      return this.#module.qr(text);
    } catch (thrown) {
      throw errorOf(thrown);
    }
  }

  forget(group) {
    if (!this.#groups.delete(group.id)) return;
    group.end(null);
    this.tell("group", { group, left: true });
  }
}
