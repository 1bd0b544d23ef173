// A group, as applications see it.
import { PeergraphError, badArgument, checkSignal, closedError, waitFor } from "./errors.js";
import { decodePolicy, encodeGrant, encodeRevocation, peerOf } from "./membership.js";
import { GroupRecord, decodeAttributes, encodeAttributes, encodePayload, spanMs } from "./record.js";
import { watch } from "./watch.js";

const PAGE_MAX = 1_000;
/** Records of one stream that are not durable yet; a further one waits. */
const WRITES_MAX = 64;
/** Records of ours whose spread is remembered. The oldest are forgotten: they say "stored" again. */
const HELD_MAX = 10_000;
/** How often unknown names are looked up. */
const NAMES_MS_MIN = 1_000;
const INVITATION_LIFETIME = "7d";

// On a server there may be none; nothing is made there.
const Base = globalThis.EventTarget ?? class {};

/** Made by `Peer` alone. */
export class Group extends Base {
  #peer;
  #handle;
  #info;
  #closed = false;
  #held = new Map();
  #people = new Map();
  #namesAt = 0;
  #naming = null;

  constructor(peer, handle, info) {
    super();
    this.#peer = peer;
    this.#handle = handle;
    this.#info = info;
  }

  get id() { return this.#info.id; }
  get name() { return this.#info.name; }
  get comment() { return this.#info.comment; }
  get policy() { return decodePolicy(this.#info.policy); }
  get presence() { return this.#info.presence; }
  get owner() { return this.#info.owner; }
  get role() { return this.#info.role; }
  get roles() { return Object.freeze([...this.#info.roles]); }
  get standing() { return this.#info.standing; }
  get revoked() { return this.#revoked(this.#info); }
  get expires() { return new Date(this.#info.expires); }
  get ready() { return this.#info.ready; }
  get closed() { return this.#closed; }

  async publish(type, data, { attributes, expiresIn, refresh = false, signal } = {}) {
    return this.#put({
      id: null, type, attributes: encodeAttributes(attributes), expiresInMs: spanMs(expiresIn),
      delete: false, refresh: Boolean(refresh),
    }, encodePayload(data), signal);
  }

  async update(record, data, { attributes, expiresIn, refresh = false, signal } = {}) {
    return this.#put({
      id: record.id,
      type: record.type,
      attributes: attributes ? encodeAttributes(attributes) : GroupRecord.attributesOf(record),
      expiresInMs: spanMs(expiresIn) ?? Math.max(record.expires - Date.now(), 0),
      delete: false, refresh: Boolean(refresh),
    }, encodePayload(data), signal);
  }

  async delete(record, { here = false, signal } = {}) {
    if (here) {
      await this.#ask(() => this.#handle.deleteHere(this.id, String(record?.id ?? record)), signal);
      return;
    }
    const found = typeof record === "string" ? await this.get(record, { signal }) : record;
    if (!found) throw new PeergraphError("unknown-record", "there is no such record");
    await this.#put({
      id: found.id, type: found.type, attributes: [], expiresInMs: null, delete: true, refresh: false,
    }, new Uint8Array(), signal);
  }

  async #put(draft, payload, signal) {
    const raw = await this.#ask(() => this.#handle.publish(this.id, draft, payload), signal);
    return new GroupRecord(raw, this);
  }

  async records({ type, creator, limit = PAGE_MAX, after, signal } = {}) {
    if (!(limit >= 1)) throw badArgument("limit is a number from 1 to 1000");
    const filter = {
      id: null, type: type ?? null, creator: creator ?? null, after: after ?? null,
      limit: Math.floor(Math.min(limit, PAGE_MAX)),
    };
    const found = await this.#ask(() => this.#handle.records(this.id, filter), signal);
    await this.#nameAll(found.records);
    const page = found.records.map((raw) => new GroupRecord(raw, this));
    return Object.assign(page, { next: found.next ?? null });
  }

  async get(id, { signal } = {}) {
    const filter = { id, type: null, creator: null, after: null, limit: 1 };
    const found = await this.#ask(() => this.#handle.records(this.id, filter), signal);
    await this.#nameAll(found.records);
    return found.records.length ? new GroupRecord(found.records[0], this) : null;
  }

  watch(type, { signal } = {}) {
    return watch(this, type, signal);
  }

  writable(type, options = {}) {
    const underWay = new Set();
    let failure = null;
    const check = () => { if (failure) throw failure.error; };
    return new WritableStream({
      // Several at once, since the disk writes them together; in their order, since each is begun before the next.
      write: async (chunk) => {
        while (underWay.size >= WRITES_MAX && !failure) await Promise.race(underWay);
        check();
        const one = this.publish(type, chunk, options)
          .catch((error) => { failure ??= { error }; })
          .finally(() => underWay.delete(one));
        underWay.add(one);
      },
      close: async () => {
        await Promise.all(underWay);
        check();
      },
    });
  }

  async set({ name, comment, presence, signal } = {}) {
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

  async invite(options = {}) {
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
      withdraw: async (options = {}) => {
        if (!made.id) {
          throw new PeergraphError("unknown-invitation", "a bound invitation is a membership already",
            { hint: "revoke that" });
        }
        await this.withdraw(made.id, options);
      },
    });
  }

  async invitations({ signal } = {}) {
    const open = await this.#ask(() => this.#handle.invitations(this.id), signal);
    if (open.some((raw) => !this.#people.has(raw.inviter))) await this.members({ signal });
    return open.map((raw) => Object.freeze({
      ...raw, inviter: this.person(raw.inviter), roles: Object.freeze(raw.roles),
      expires: new Date(raw.expires),
      withdraw: (options) => this.withdraw(raw.id, options),
    }));
  }

  async withdraw(id, { signal } = {}) {
    await this.#ask(() => this.#handle.withdraw(this.id, String(id?.id ?? id)), signal);
  }

  async promote(member, { role, roles, signal } = {}) {
    const grant = encodeGrant(role ?? member?.role, roles ?? member?.roles);
    await this.#ask(() => this.#handle.promote(this.id, peerOf(member), grant), signal);
  }

  async revoke(member, { signal, ...how } = {}) {
    const revocation = encodeRevocation(member, how);
    await this.#ask(() => this.#handle.revoke(this.id, revocation), signal);
  }

  async reinstate(member, { signal } = {}) {
    await this.#ask(() => this.#handle.reinstate(this.id, peerOf(member)), signal);
  }

  async members({ signal } = {}) {
    const raw = await this.#ask(() => this.#handle.members(this.id), signal);
    for (const it of raw) this.#people.set(it.id, it.name);
    return raw.map((it) => this.#member(it));
  }

  async nodes({ signal } = {}) {
    const raw = await this.#ask(() => this.#handle.nodes(this.id), signal);
    if (raw.some((it) => !this.#people.has(it.peer))) await this.members({ signal });
    return raw.map((it) => this.#node(it));
  }

  async present({ attributes, forced = false, signal } = {}) {
    const present = { attributes: encodeAttributes(attributes), forced: Boolean(forced) };
    await this.#ask(() => this.#handle.present(this.id, present), signal);
  }

  async neighbours({ signal } = {}) {
    const links = await this.#peer.links({ signal });
    return links.filter((link) => link.groups.includes(this.id));
  }

  async leave({ signal } = {}) {
    await this.#ask(() => this.#handle.leave(this.id), signal);
    this.#peer.forget(this);
  }

  async #ask(begin, signal) {
    checkSignal(signal);
    if (this.#closed) throw closedError();
    return waitFor(begin(), signal);
  }

  // What follows is for the other modules of this package, and not in its types.

  /** The id, and what is known of its owner. */
  person(id) {
    const people = this.#people;
    const me = id === this.#peer.id;
    const own = this.#peer.name;
    return Object.freeze({ id, me, get name() { return people.get(id) ?? (me ? own : ""); } });
  }

  nameOf(id) {
    return this.#people.get(id) ?? "";
  }

  statusOf(id) {
    const held = this.#held.get(id) ?? 0;
    return held === 0 ? "stored" : held === 1 ? "sent" : Object.freeze({ heldBy: held });
  }

  /** Looks names up where a creator is unknown. */
  async #nameAll(records) {
    const known = records.every((it) => this.#people.has(it.creator));
    if (known || (this.#namesAt && Date.now() - this.#namesAt < NAMES_MS_MIN && !this.#naming)) return;
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
      online: raw.nodes.length > 0, nodes: Object.freeze(raw.nodes), serial: raw.serial,
      issuer: this.#signer(raw.issuer), expires: new Date(raw.expires),
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

  /** Who signed: a person, or the group's own key, which has the group's id. */
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
      case "record": return { group, record: new GroupRecord(news.record, this) };
      case "status": {
        this.#held.delete(news.id);
        this.#held.set(news.id, news.held);
        if (this.#held.size > HELD_MAX) this.#held.delete(this.#held.keys().next().value);
        return { group, id: news.id, status: this.statusOf(news.id) };
      }
      case "member": return { group, member: this.#member(news.member) };
      case "presence": return { group, node: this.#node(news.node), change: news.change };
      default: {
        const { type: _, group: __, ...rest } = news;
        return { group, ...rest };
      }
    }
  }

  end(error) {
    if (this.#closed) return;
    this.#closed = true;
    this.dispatchEvent(new CustomEvent("closed", { detail: { group: this, error } }));
  }
}
