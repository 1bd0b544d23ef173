// A group, as applications see it.
import {
  PeergraphError, badArgument, checkSignal, closedError, errorOf, optionsOf, triedOf, waitFor,
} from "./errors.js";
import { Directs } from "./direct.js";
import { decodePolicy, encodeGrant, encodeRevocation, peerOf } from "./membership.js";
import {
  decodeAttributes, decodePayload, encodeAttributes, encodePayload, encodeVersion, idOf, keptMediaType, rawOf, readBlob, recordOf,
  spanMs, withMediaType,
} from "./record.js";
import { LiveQuery, Search, encodeSearch } from "./search.js";
import { Speaker } from "./speaker.js";
import { draw } from "./tabs.js";
import { watch } from "./watch.js";

const PAGE_MAX = 1_000;
/** Records that are read in one go. Guess: some milliseconds. */
const PART = 100;
/** Records of one stream that are not durable yet; a further one waits. As many as are under way at one time (`turns.rs`). */
const WRITES_MAX = 512;
/** Bytes of them. As many as are under way at one time. */
const WRITES_BYTES_MAX = 16 * 1024 * 1024;
/** Records of ours whose spread is remembered. The oldest are forgotten: they say "stored" again. */
const HELD_MAX = 10_000;
/** How often unknown names are looked up. */
const NAMES_MS_MIN = 1_000;
/** How often one update is merged with what others wrote meanwhile. Guess: more is a quarrel of programs. */
const MERGES_MAX = 10;
/** The options of all calls that wait. */
const WAITS = ["signal"];
const CONTENT = ["attributes", "expiresIn", "refresh", "mediaType"];
const INVITATION_LIFETIME = "7d";

const draftOf = (given) => ({
  id: null, attributes: [], expiresInMs: null, delete: false, refresh: false, ifVersion: null, ...given });

const filterOf = ({ id = null, type = null, creator = null, after = null, newestFirst = false, limit }) =>
  ({ id, type, creator, after, newestFirst, limit });

/** A draft of a new record, and its payload: bytes or a blob. */
function newRecord(type, data, given) {
  const { bytes, mediaType } = encodePayload(data, given.mediaType);
  const attributes = withMediaType(encodeAttributes(given.attributes), mediaType);
  const draft = draftOf({
    type, attributes, expiresInMs: spanMs(given.expiresIn), refresh: Boolean(given.refresh) });
  return { draft, bytes };
}

function pageOf(limit = PAGE_MAX) {
  if (!(limit >= 1)) throw badArgument("limit is a number from 1 to 1000");
  return Math.floor(Math.min(limit, PAGE_MAX));
}

function isNewestFirst(order = "oldest") {
  if (order !== "oldest" && order !== "newest") throw badArgument('order is "oldest" or "newest" (first)');
  return order === "newest";
}

/** Made by `Peer` alone. */
export class Group extends Speaker {
  #peer;
  #handle;
  #info;
  #closed = false;
  #spread = new Map();
  /** Records that were shown and are not durable yet, with their versions. Bounded by the module. */
  #storing = new Map();
  #people = new Map();
  #namesAt = 0;
  #naming = null;
  #directs;

  constructor(peer, handle, info) {
    super((type) => peer.listened(type));
    this.#peer = peer;
    this.#handle = handle;
    this.#info = info;
    this.#directs = new Directs(this, handle);
  }

  get id() { return this.#info.id; }
  get name() { return this.#info.name; }
  get comment() { return this.#info.comment; }
  get policy() { return decodePolicy(this.#info.policy); }
  get presence() { return this.#info.presence; }
  get owner() { return this.#info.owner; }
  get ownKey() { return this.#info.ownKey; }
  get role() { return this.#info.role; }
  get roles() { return Object.freeze([...this.#info.roles]); }
  get standing() { return this.#info.standing; }
  get revoked() { return this.#revoked(this.#info); }
  get expires() { return new Date(this.#info.expires); }
  get announced() { return this.#info.announced; }
  get clockAheadMs() { return this.#info.clockAheadMs; }
  get ready() { return this.#info.ready; }
  get closed() { return this.#closed; }

  async publish(type, data, options) {
    const given = optionsOf(options, [...CONTENT, ...WAITS], "group.publish");
    const { draft, bytes } = newRecord(type, data, given);
    return this.#put(draft, bytes, given.signal);
  }

  async update(record, data, options) {
    const known = [...CONTENT, "ifVersion", "merge", ...WAITS];
    const given = optionsOf(options, known, "group.update");
    const { merge, signal } = given;
    if (merge !== undefined && (typeof merge !== "function" || given.ifVersion === undefined)) {
      throw badArgument("merge is a function, and needs ifVersion");
    }
    const id = idOf(record);
    let payload = encodePayload(data, given.mediaType);
    let ifVersion = encodeVersion(given.ifVersion);
    for (let merges = 0; ; merges += 1) {
      try {
        return await this.#replace(id, payload, ifVersion, given);
      } catch (error) {
        if (error.code !== "changed-meanwhile") throw error;
        error.record = await this.get(id, { signal });
        if (!merge || !error.record || merges >= MERGES_MAX) throw error;
        payload = encodePayload(await merge(error.record, data), given.mediaType);
        ifVersion = error.record.version;
      }
    }
  }

  /** Replaces a record's content. Attributes and lifetime that are not given stay as they stand. */
  async #replace(id, { bytes, mediaType }, ifVersion, { attributes, expiresIn, refresh, signal }) {
    const held = await this.#held(id, signal);
    const kept = attributes ? encodeAttributes(attributes) : held.attributes;
    const draft = draftOf({
      id, type: held.type, attributes: withMediaType(kept, mediaType ?? keptMediaType(held.mediaType)), refresh: Boolean(refresh), ifVersion,
      // Else the core leaves the life as it is. A refreshed one needs a span: the last, of peer time like both its ends.
      expiresInMs: spanMs(expiresIn) ?? (refresh ? held.expires - held.modified : null),
    });
    return this.#put(draft, bytes, signal);
  }

  async delete(record, options) {
    const known = ["here", "ifVersion", ...WAITS];
    const { here = false, ifVersion, signal } = optionsOf(options, known, "group.delete");
    const [id, version] = [idOf(record), encodeVersion(ifVersion)];
    if (here) {
      await this.#ask(() => this.#handle.deleteHere(this.id, id), signal);
      return;
    }
    const { type } = await this.#held(id, signal);
    await this.#put(draftOf({ id, type, delete: true, ifVersion: version }), new Uint8Array(), signal);
  }

  async #put(draft, bytes, signal) {
    const publish = (bytes) => this.#handle.publish(this.id, draft, bytes);
    // Begun at once if it can be, so that what is published in turn stays in turn.
    const begin = bytes instanceof Uint8Array ? () => publish(bytes) : () => readBlob(bytes).then(publish);
    const raw = rawOf(await this.#ask(begin, signal));
    this.#isStored(raw.id, raw.version);
    return recordOf(raw, this);
  }

  async records(options) {
    const known = ["type", "creator", "order", "limit", "after", ...WAITS];
    const { type, creator, order, limit, after, signal } = optionsOf(options, known, "group.records");
    const [page, most, newestFirst] = [[], pageOf(limit), isNewestFirst(order)];
    let next = after;
    do {
      await this.pause();
      const filter = filterOf({ type, creator, after: next, newestFirst, limit: Math.min(PART, most - page.length) });
      const found = await this.#ask(() => this.#handle.records(this.id, filter), signal);
      page.push(...await this.#named(found.records, signal));
      next = found.next ?? null;
    } while (next !== null && page.length < most);
    return Object.assign(page, { next });
  }

  /** Records that the module has told, with the names of their creators. */
  async #named(told, signal) {
    const raw = told.map(rawOf);
    await waitFor(this.#nameAll(raw), signal);
    return raw.map((it) => recordOf(it, this));
  }

  search(query, options) {
    const given = optionsOf(options, ["order", "limit", "after", "count", ...WAITS], "group.search");
    const { signal } = given;
    const ask = async (part) => {
      await this.pause();
      const found = await this.#ask(() => this.#handle.search(this.id, part), signal);
      return { ...found, records: await this.#named(found.records, signal) };
    };
    return new Search(ask, encodeSearch(query, given), pageOf(given.limit));
  }

  query(query, options) {
    const { order, limit, signal } = optionsOf(options, ["order", "limit", ...WAITS], "group.query");
    const wanted = { ...encodeSearch(query, { order }), limit: pageOf(limit) };
    const number = draw();
    const follow = {
      begin: () => this.#ask(() => this.#handle.query(this.id, number, wanted)),
      next: async () => {
        const changes = await this.#ask(() => this.#handle.changes(this.id, number));
        const records = await this.#named(changes.placed.map(({ record }) => record));
        return { ...changes, placed: changes.placed.map((it, index) => ({ ...it, record: records[index] })) };
      },
      // It can only fail where there is nothing to end.
      end: () => { if (!this.#closed) this.#handle.endQuery(this.id, number).catch(() => {}); },
    };
    return new LiveQuery(follow, signal);
  }

  async get(id, options) {
    const { signal } = optionsOf(options, WAITS, "group.get");
    const raw = await this.#find(idOf(id), signal);
    if (!raw) return null;
    await waitFor(this.#nameAll([raw]), signal);
    return recordOf(raw, this);
  }

  async #find(id, signal) {
    const found = await this.#ask(() => this.#handle.records(this.id, filterOf({ id, limit: 1 })), signal);
    return found.records.length > 0 ? rawOf(found.records[0]) : null;
  }

  async #held(id, signal) {
    const raw = await this.#find(id, signal);
    if (!raw) throw new PeergraphError("unknown-record", "there is no such record");
    return raw;
  }

  watch(type, options) {
    const known = ["order", "limit", "onStored", ...WAITS];
    const { order, limit, onStored, signal } = optionsOf(options, known, "group.watch");
    isNewestFirst(order);
    if (limit !== undefined && !(limit >= 1)) throw badArgument("limit is a number from 1");
    if (onStored !== undefined && typeof onStored !== "function") throw badArgument("onStored is a function");
    const left = limit === undefined ? undefined : Math.floor(limit);
    return watch(this, type, { order, limit: left, onStored, signal });
  }

  writable(type, options) {
    const given = optionsOf(options, CONTENT, "group.writable");
    const underWay = [];
    let waiting = 0;
    let failure = null;
    const check = () => { if (failure) throw failure.error; };
    return new WritableStream({
      // Several at once, since the disk writes them together; in their order, since each is begun before the next.
      write: async (chunk) => {
        const { draft, bytes } = newRecord(type, chunk, given);
        const size = bytes.byteLength ?? bytes.size;
        while (underWay.length >= WRITES_MAX || (underWay.length > 0 && waiting + size > WRITES_BYTES_MAX)) {
          const oldest = underWay.shift();
          await oldest.durable;
          waiting -= oldest.size;
        }
        check();
        const durable = this.#put(draft, bytes).catch((error) => { failure ??= { error }; });
        underWay.push({ durable, size });
        waiting += size;
      },
      close: async () => {
        await Promise.all(underWay.map((it) => it.durable));
        check();
      },
    });
  }

  async broadcast(type, data, options) {
    const { mediaType: wanted, signal } = optionsOf(options, ["mediaType", ...WAITS], "group.broadcast");
    const { bytes, mediaType } = encodePayload(data, wanted);
    const send = (bytes) => this.#handle.broadcast(this.id, String(type), bytes, mediaType ?? undefined);
    await this.#ask(bytes instanceof Uint8Array ? () => send(bytes) : () => readBlob(bytes).then(send), signal);
  }

  on(type, listener, options) {
    const { signal } = optionsOf(options, WAITS, "group.on");
    if (typeof listener !== "function") throw badArgument("listener is a function");
    const hear = ({ detail }) => { if (detail.type === type) listener(detail); };
    this.addEventListener("broadcast", hear, { signal });
    return () => this.removeEventListener("broadcast", hear);
  }

  async direct(member, options) {
    if (this.#closed) throw closedError();
    return this.#directs.open(member, options);
  }

  get directs() { return this.#directs.list; }

  async admitDirects(who, options) {
    if (this.#closed) throw closedError();
    await this.#directs.admit(who, options);
  }

  async serve(name, handler, options) {
    if (this.#closed) throw closedError();
    return this.#directs.serve(name, handler, options);
  }

  async set(options) {
    const known = ["name", "comment", "presence", ...WAITS];
    const { name, comment, presence, signal } = optionsOf(options, known, "group.set");
    const info = this.#info;
    const properties = {
      name: String(name ?? info.name), comment: String(comment ?? info.comment),
      presence: presence ?? info.presence,
    };
    if (!Number.isSafeInteger(properties.presence) || properties.presence < 0) {
      throw badArgument("presence is a whole number of nodes");
    }
    await this.#ask(() => this.#handle.setProperties(this.id, properties), signal);
  }

  async invite(given) {
    const known = ["role", "roles", "uses", "expiresIn", "for", "password", "page", ...WAITS];
    const options = optionsOf(given, known, "group.invite");
    const { role, roles, uses = 1, expiresIn = INVITATION_LIFETIME, signal } = options;
    if (options.for !== undefined && options.password !== undefined) {
      throw badArgument("an invitation is for one identity, or by password");
    }
    const page = new URL(options.page ?? location.origin + location.pathname);
    const wanted = {
      grant: encodeGrant(role, roles), uses, expiresInMs: spanMs(expiresIn), identity: options.for ?? null,
      password: options.password === undefined ? null : String(options.password),
    };
    page.hash = "";
    const made = await this.#ask(() => this.#handle.invite(this.id, wanted, page.href), signal);
    const peer = this.#peer;
    return Object.freeze({
      id: made.id ?? null,
      link: made.link,
      text: made.text,
      expires: made.expires == null ? null : new Date(made.expires),
      qr: () => peer.qr(made.link),
      withdraw: async (options) => {
        if (!made.id) {
          throw new PeergraphError("unknown-invitation", "a bound invitation is a membership already",
            { hint: "revoke that" });
        }
        await this.withdraw(made.id, options);
      },
    });
  }

  async invitations(options) {
    const { signal } = optionsOf(options, WAITS, "group.invitations");
    const open = await this.#ask(() => this.#handle.invitations(this.id), signal);
    if (open.some((raw) => !this.#people.has(raw.inviter))) await this.members({ signal });
    return open.map((raw) => Object.freeze({
      ...raw, inviter: this.person(raw.inviter), roles: Object.freeze(raw.roles),
      expires: new Date(raw.expires),
      withdraw: (options) => this.withdraw(raw.id, options),
    }));
  }

  async withdraw(id, options) {
    const { signal } = optionsOf(options, WAITS, "group.withdraw");
    await this.#ask(() => this.#handle.withdraw(this.id, String(id?.id ?? id)), signal);
  }

  async promote(member, options) {
    const { role, roles, signal } = optionsOf(options, ["role", "roles", ...WAITS], "group.promote");
    const grant = encodeGrant(role ?? member?.role, roles ?? member?.roles);
    await this.#ask(() => this.#handle.promote(this.id, peerOf(member), grant), signal);
  }

  async revoke(member, options) {
    const known = ["reason", "records", "members", ...WAITS];
    const { signal, ...how } = optionsOf(options, known, "group.revoke");
    const revocation = encodeRevocation(member, how);
    await this.#ask(() => this.#handle.revoke(this.id, revocation), signal);
  }

  async reinstate(member, options) {
    const { signal } = optionsOf(options, WAITS, "group.reinstate");
    await this.#ask(() => this.#handle.reinstate(this.id, peerOf(member)), signal);
  }

  async rotateKey(options) {
    const { signal } = optionsOf(options, WAITS, "group.rotateKey");
    await this.#ask(() => this.#handle.rotateKey(this.id), signal);
  }

  async offerOwnership(options) {
    const { signal } = optionsOf(options, WAITS, "group.offerOwnership");
    await this.#ask(() => this.#handle.offerOwnership(this.id), signal);
  }

  async handOver(member, options) {
    const { signal } = optionsOf(options, WAITS, "group.handOver");
    await this.#ask(() => this.#handle.handOver(this.id, peerOf(member)), signal);
  }

  async members(options) {
    const { signal } = optionsOf(options, WAITS, "group.members");
    const raw = await this.#ask(() => this.#handle.members(this.id), signal);
    for (const it of raw) this.#people.set(it.id, it.name);
    return raw.map((it) => this.#member(it));
  }

  async nodes(options) {
    const { signal } = optionsOf(options, WAITS, "group.nodes");
    const raw = await this.#ask(() => this.#handle.nodes(this.id), signal);
    if (raw.some((it) => !this.#people.has(it.peer))) await this.members({ signal });
    return raw.map((it) => this.#node(it));
  }

  async present(options) {
    const known = ["attributes", "forced", ...WAITS];
    const { attributes, forced = false, signal } = optionsOf(options, known, "group.present");
    const present = { attributes: encodeAttributes(attributes), forced: Boolean(forced) };
    await this.#ask(() => this.#handle.present(this.id, present), signal);
  }

  statusOf(record) {
    const id = idOf(record);
    if (this.#storing.has(id)) return "storing";
    const held = this.#spread.get(id) ?? 0;
    return held === 0 ? "stored" : held === 1 ? "sent" : { heldBy: held };
  }

  async neighbours(options) {
    const { signal } = optionsOf(options, WAITS, "group.neighbours");
    const links = await this.#peer.links({ signal });
    return links.filter((link) => link.groups.includes(this.id));
  }

  async info(options) {
    const { signal } = optionsOf(options, WAITS, "group.info");
    const infos = await this.#ask(() => this.#handle.groups(), signal);
    const info = infos.find(({ id }) => id === this.id);
    if (!info) throw closedError();
    this.#info = info;
    const { records, neighbours, nodes, signature, clockShiftMs } = info;
    return { records, neighbours, nodes, signature: signature ?? null, clockShiftMs };
  }

  async explain(options) {
    const { signal } = optionsOf(options, WAITS, "group.explain");
    return triedOf(await this.#ask(() => this.#handle.explain(this.id), signal));
  }

  async leave(options) {
    const { signal } = optionsOf(options, WAITS, "group.leave");
    await this.#ask(() => this.#handle.leave(this.id), signal);
    this.#peer.forget(this);
  }

  async #ask(begin, signal) {
    checkSignal(signal);
    if (this.#closed) throw closedError();
    return waitFor(begin(), signal);
  }

  // The methods below are for the other modules of this package, and not in its types.

  /** The id, and what is known of its owner. */
  person(id) {
    const me = id === this.#peer.id;
    return { id, name: this.#people.get(id) ?? (me ? this.#peer.name : ""), me };
  }

  /** A promise, if whoever has more to do is to let the page live first. */
  pause() {
    return this.#handle.pause();
  }

  /** Learns the names of those that are members already; later ones come as news. */
  async learnNames() {
    await this.#askNames();
  }

  /** A record of an event, with the names that were unknown then. */
  async named(record) {
    const people = [record.creator, record.modifier].filter((it) => it?.name === "");
    if (people.length === 0) return record;
    await this.#nameAll(people.map(({ id }) => ({ creator: id })));
    for (const one of people) one.name = this.person(one.id).name;
    return record;
  }

  nameOf(id) {
    return this.#people.get(id) ?? "";
  }

  /** A version of a record was told, and is not durable yet. */
  storing(id, version) {
    this.#storing.set(id, version);
  }

  /** A version of a record is durable. Whether that changes its status. */
  #isStored(id, version) {
    return this.#storing.get(id) === version && this.#storing.delete(id);
  }

  /** The details of the events that tell of the records that became durable. */
  stored(records) {
    return records.map((words) => words.split(" ")).filter(([id, version]) => this.#isStored(id, version))
      .map(([id]) => ({ group: this, id, status: this.statusOf(id) }));
  }

  /** Looks names up if a creator is unknown. */
  async #nameAll(records) {
    const known = records.every((it) => this.#people.has(it.creator));
    if (known || (this.#namesAt && Date.now() - this.#namesAt < NAMES_MS_MIN && !this.#naming)) return;
    await this.#askNames();
  }

  async #askNames() {
    this.#naming ??= this.members().catch(() => {}).finally(() => {
      this.#namesAt = Date.now();
      this.#naming = null;
    });
    await this.#naming;
  }

  #member(raw) {
    this.#people.set(raw.id, raw.name);
    return Object.freeze({
      id: raw.id, name: raw.name, role: raw.role, roles: Object.freeze(raw.roles),
      standing: raw.standing, revoked: this.#revoked(raw), me: raw.id === this.#peer.id,
      online: raw.nodes.length > 0, nodes: Object.freeze(raw.nodes), certificate: raw.certificate,
      issuer: this.#signer(raw.issuer), expires: new Date(raw.expires),
      offersOwnership: raw.offersOwnership,
    });
  }

  #node(raw) {
    return Object.freeze({
      id: raw.id, peer: this.person(raw.peer), addresses: Object.freeze(raw.addresses),
      attributes: Object.freeze(decodeAttributes(raw.attributes)),
    });
  }

  #revoked({ by, reason }) {
    return by ? Object.freeze({ by: this.#signer(by), reason }) : null;
  }

  /** The signer: a person, or the group's own key, which has the group's id. */
  #signer(id) {
    return id === this.id
      ? Object.freeze({ id, name: "", me: this.owner, owner: true })
      : Object.freeze({ id, name: this.person(id).name, me: id === this.#peer.id, owner: false });
  }

  refresh(info) {
    this.#info = info;
  }

  /** The details of an event, made of news. */
  details(news) {
    const group = this;
    switch (news.type) {
      case "record": {
        const raw = rawOf(news.record);
        this.storing(raw.id, raw.version);
        const record = recordOf(raw, this);
        // For the next one; this one has no name yet.
        if (record.creator.name === "") this.#nameAll([raw]);
        return { group, record };
      }
      case "status": {
        this.#spread.delete(news.id);
        this.#spread.set(news.id, news.held);
        if (this.#spread.size > HELD_MAX) this.#spread.delete(this.#spread.keys().next().value);
        return { group, id: news.id, status: this.statusOf(news.id) };
      }
      case "broadcast": {
        const { peer, node, kind, bytes, mediaType } = news;
        // For the next one; this one has no name yet.
        if (!this.#people.has(peer)) this.#nameAll([{ creator: peer }]);
        return {
          group, from: this.person(peer), node, type: kind, data: decodePayload(bytes, mediaType),
          mediaType: mediaType ?? null,
        };
      }
      case "direct": return this.#directs.details(news);
      case "member": return { group, member: this.#member(news.member) };
      case "presence": return { group, node: this.#node(news.node), change: news.change };
      case "clock": {
        this.#info = { ...this.#info, clockAheadMs: news.aheadMs };
        return { group, aheadMs: news.aheadMs };
      }
      case "notletin": return { group, peer: news.peer, error: errorOf(news.error) };
      default: {
        if (news.type === "withdrawn" || news.type === "expired") this.#storing.delete(news.id);
        const { type: _, group: __, ...rest } = news;
        return { group, ...rest };
      }
    }
  }

  /** Another node has taken the place of ours: what we knew of its writes counts no more, and news may have been lost. */
  renewed() {
    this.#storing.clear();
    this.#directs.renewed();
    this.tell("renewed", { group: this });
  }

  end(error) {
    if (this.#closed) return;
    this.#closed = true;
    this.#directs.end();
    this.tell("closed", { group: this, error });
  }
}
