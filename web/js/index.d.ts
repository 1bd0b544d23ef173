/**
 * Secure, serverless groups for browsers.
 *
 * Importing this module on a server does nothing. Everything begins with {@link Peer.open}. Options that are not
 * described here are refused with `"bad-argument"`.
 */

import type { PeerName } from "./identities.js";

export * from "./identities.js";

/** Where the bytes of the WebAssembly module are: the bytes, an answer that brings them, an address, or compiled. */
export type WasmSource = BufferSource | Response | Promise<Response> | URL | string | WebAssembly.Module;

/**
 * Loads the module now, and from `wasm` if it is given; otherwise everything that needs it loads it. By itself it is
 * fetched as the file beside the scripts, which most bundlers take along, or else imported as a script. The first
 * load decides; later calls wait for it. Fails with `"load-failed"`; can be tried again then.
 */
export function init(options?: { wasm?: WasmSource } & Waits): Promise<void>;

/** A span of time: milliseconds, or text such as `"90s"`, `"15m"`, `"12h"`, `"7d"`, `"2w"`, `"1y"`. */
export type Span = number | `${number}${"s" | "m" | "h" | "d" | "w" | "y"}`;

/**
 * The rights of a member. `"inviting"` also lets members in; `"administrator"` lets anybody in, and changes and deletes
 * records of others. The {@link Policy} of a group can allow less.
 */
export type Role = "member" | "inviting" | "administrator";

/** Whether somebody is a member. */
export type Standing = "member" | "expired" | "revoked";

/**
 * Why a membership was revoked. `"superseded"`: another one took its place; `"used-up"`: the invitation by which it
 * came had no uses left; `"handed-over"`: an earlier key of the group's own issued it, and was not known to have.
 */
export type Reason = "unspecified" | "key-lost" | "misconduct" | "left" | "superseded" | "used-up" | "handed-over";

/** By whom a membership was revoked, and why. */
export interface Revoked {
  readonly by: Signer;
  readonly reason: Reason;
}

/** The signer of something: a member, or the group's own key (`owner`), which has the group's id and no name. */
export interface Signer {
  readonly id: string;
  /** Chosen by its owner: show it as text. Empty while unknown. */
  readonly name: string;
  readonly me: boolean;
  readonly owner: boolean;
}

/** The rules that the creator of a group sets, once and for all. */
export interface Policy {
  /** The lowest role that lets members in. Default: `"inviting"`. */
  readonly invite?: "inviting" | "administrator";
  /** Whether administrators make administrators; otherwise the owner alone does. Default: `true`. */
  readonly administrators?: boolean;
  /** Whether there may be invitations by password. Default: `true`. */
  readonly passwords?: boolean;
  /** Longest membership that a member issues, an hour to twenty years. Default: a year. */
  readonly membershipLifetime?: Span;
  /** Longest payload of a record: 1 KiB to 60 MiB. Default: 1 MiB. */
  readonly payloadBytesMax?: number;
  /** Records of one member, those that it deleted included: 16 to 500,000. Default: 131,072. */
  readonly memberRecords?: number;
  /** Bytes of them: at least 16 of the longest payloads, at most 64 GiB. Default: 1 GiB. */
  readonly memberBytes?: number;
  /** Whether records that have ended stay while nobody else is met. Default: `false`. */
  readonly deferExpiry?: boolean;
  /** Rights over records, by type and role. Types that are not named are open to all. */
  readonly rights?: readonly Right[];
}

/** Rights over records of some types. Administrators have them all. */
export interface Right {
  /** A record type, or the beginning of some with `*` at the end: `"chat.*"`. */
  readonly types: string;
  /** The roles that have these rights: those of the application, `"member"`, or `"inviting"`. */
  readonly roles: readonly string[];
  /**
   * Publish (and change one's own), change those of others, delete those of others. A change leaves those of
   * others the life that their creators gave them.
   */
  readonly may: readonly ("publish" | "update" | "delete")[];
}

/** The value of an attribute. An array stands for an attribute that repeats. */
export type AttributeValue = string | number | bigint | boolean | Date;
/** An attribute as it is read: a whole number that no `number` can hold comes as text. */
export type ReadAttributeValue = string | number | boolean | Date;
/** Searchable metadata: names of 1–40 letters and digits. */
export interface Attributes {
  [name: string]: AttributeValue | AttributeValue[];
}

/**
 * Bytes as the content of a record: a buffer, a view of one, or a `Blob`, whose `type` becomes the media type. They
 * come back as `Uint8Array`.
 */
export type Bytes = ArrayBufferLike | ArrayBufferView | Blob;

/** Somebody, as known at that moment. */
export interface Person {
  readonly id: string;
  /** Chosen by its owner: show it as text. Empty while unknown. */
  readonly name: string;
  readonly me: boolean;
}

/**
 * How far a record got: checked, and on its way to the disk of this device; durable there; and if it is ours, held by one
 * neighbour too, or by several. This is not kept: after a reload a record is `"stored"`, and the first sync with a neighbour
 * tells of the last 256 of ours which of them it holds.
 */
export type Status = "storing" | "stored" | "sent" | { readonly heldBy: number };

/** Payload types by record type: `{ "chat.message": { text: string } }`. */
export type Payloads = { [type: string]: any };

/** Everything that can go wrong. */
export type ErrorCode =
  // the core
  | "unknown-group"
  | "too-many-groups"
  | "bad-name"
  | "not-allowed"
  | "not-senior"
  | "not-owner"
  | "not-offered"
  | "already-owner"
  | "handed-over-too-often"
  | "unknown-member"
  | "unknown-invitation"
  | "too-much-to-keep"
  | "bad-policy"
  | "revoked"
  | "membership-expired"
  /** The clock of this device shows a time before this package was made: set it first. */
  | "clock-behind"
  | "bad-invite"
  | "invitation-expired"
  /** It begins later than the clock of this device says it is. */
  | "invitation-not-yet-valid"
  | "invitation-for-another"
  | "invitation-invalid"
  | "nobody-found"
  /** No member who can tell what the invitation is about was reached. */
  | "nobody-to-ask"
  | "too-many-nodes"
  | "invitation-used-up"
  | "invitation-withdrawn"
  | "password-needed"
  | "too-many-tries"
  | "unknown-record"
  /** Another version stands than `ifVersion` said: see {@link PeergraphError.record}. */
  | "changed-meanwhile"
  | "not-your-record"
  | "bad-record"
  /** The security provider of this node does not let it be published; browsers have only ours, which never says so. */
  | "not-valid"
  /** You hold as many records in this group, or as many bytes of them, as its policy allows a member. */
  | "quota"
  | "too-many-records"
  | "storage-full"
  | "storage-read-only"
  | "storage-failed"
  | "storage-damaged"
  | "storage-of-another"
  | "storage-of-another-version"
  | "closing"
  | "busy"
  // this package
  /** Another tab has this identity open: use that tab, or open with `takeOver: true`. */
  | "locked"
  /** Another tab took this identity over. */
  | "taken-over"
  /** The data of this site were deleted while it was open. The next opening makes a new identity. */
  | "storage-gone"
  /** The peer, or the group, was closed or left. */
  | "closed"
  /** An `AbortSignal` ended the wait. */
  | "aborted"
  /** This browser has no WebRTC, or it is switched off. */
  | "no-webrtc"
  /** This browser has no IndexedDB for this page, or it is switched off. */
  | "no-indexeddb"
  /** Not a window of a browser: a server, or a worker (workers have no WebRTC). */
  | "not-a-browser"
  /** The page is not served over HTTPS or from localhost. */
  | "insecure-page"
  /** The WebAssembly module could not be loaded. */
  | "load-failed"
  /** An argument is of the wrong form. */
  | "bad-argument"
  /** The text is not an invitation, or a part of it is missing. */
  | "bad-invitation"
  /** The text is not an exported identity, or it is damaged. */
  | "bad-identity"
  /** The file is not a backup, or of a later version. */
  | "bad-backup"
  /** The backup would be too long: leave the records out. */
  | "backup-too-long"
  /** The password does not open the exported identity. */
  | "wrong-password"
  /** No identity here has this id or name, or several have it. */
  | "unknown-identity"
  /** This identity is here already. */
  | "identity-exists"
  /** Groups use this identity: leave them before it is deleted. */
  | "identity-in-use"
  /** The default identity is deleted last. */
  | "default-identity"
  /** The stored identity cannot be read. Nothing was overwritten. */
  | "identity-unreadable"
  /** The link is too long for a QR code. */
  | "too-long"
  /** A fault of this package. */
  | "internal"
  /** A node of the options does not answer. Only in {@link NodeState}. */
  | "unreachable";

/** Every error of this package. */
export class PeergraphError extends Error {
  constructor(code: ErrorCode, message: string, options?: { hint?: string; cause?: unknown; tried?: Tried });
  /** `"AbortError"` for the code `"aborted"`, as of all that a signal ends. */
  readonly name: "PeergraphError" | "AbortError";
  /** For programs. */
  readonly code: ErrorCode;
  /** Advice on what to do, for people. Empty where there is nothing to do. */
  readonly hint: string;
  readonly cause?: unknown;
  /** With `"nobody-found"` and `"nobody-to-ask"`: where members were looked for, and what came of it. */
  readonly tried?: Tried;
  /** With `"changed-meanwhile"`: the record as it stands; `null` if it is gone. */
  readonly record?: GroupRecord<any> | null;
}

/** The steps that a group took to find members since it had a neighbour last. Plain data. */
export interface Tried {
  /** The nodes that the application or the invitation named, and how far each is; `message` says why one is not reached. */
  readonly nodes: readonly {
    readonly url: string;
    readonly state: NodeState["state"];
    readonly message: string | null;
  }[];
  /** Neighbours that the group has: with one there is nothing to do. */
  readonly neighbours: number;
  /** The places that were tried last, at most 16, in the order in which they were begun. */
  readonly places: readonly TriedPlace[];
  /** Addresses that were dialled, and how many of those dials failed. */
  readonly addresses: number;
  readonly unreached: number;
  /** Nodes that were reached and are not in the group, or do not tell. */
  readonly strangers: number;
  /** Most others of the group that a node named at once, and links that were offered to them. */
  readonly seats: number;
  readonly offers: number;
  /** Members that could not let us in, each counted once. */
  readonly members: number;
  /** All of it in one line, for people. */
  readonly message: string;
  /** Advice on what to do, for people. */
  readonly hint: string;
}

/** A place at which members were looked for. */
export interface TriedPlace {
  /** `null` if a link was offered through others, or was there before. */
  readonly address: string | null;
  /**
   * Where it comes from: an address of a named node, the invitation, earlier meetings, other members, a link that was
   * offered through a node or member, or one that was there already.
   */
  readonly from: "node" | "invitation" | "memory" | "members" | "offer" | "link";
  /** How far it is, or how it ended. Browsers do not tell why a dial failed: that is `"failed"`, or `"silent"`. */
  readonly outcome:
    | "trying" | "refused" | "unreachable" | "silent" | "failed" | "no-handshake" | "ourselves" | "same" | "reached"
    | "not-in-group" | "cannot-let-in" | "full" | "not-accepted" | "over" | "lost" | "we-are-older" | "they-are-older";
  /** The same for people. */
  readonly message: string;
}

/** The options of every call that waits. */
export interface Waits {
  /** Ends the wait at once, with the code `"aborted"`. The operation that was begun may still happen. */
  signal?: AbortSignal;
}

export interface OpenOptions extends Waits {
  /**
   * Friendly name of the identity that is made if none is here: at the first opening. It neither renames nor chooses one:
   * afterwards {@link Peer.name} is the stored name, which {@link identities}`.rename` changes, and the option `identity`
   * says which one to open. Default: `"Unnamed"`.
   */
  name?: string;
  /**
   * Where to find others: URLs of nodes (`location.origin`, `"https://node.example"`), or addresses
   * (`"rtc://…"`, `"ws://…"`, `"wss://…"`). Nodes that cannot be reached are tried again; opening never waits for them.
   */
  nodes?: Iterable<string | URL>;
  /** Name of the database that holds the identities, and begins the names of those with their records. Default: `"peergraph"`. */
  storage?: string;
  /** Whether to close the tab's peer that has this identity open, and open it here. */
  takeOver?: boolean;
  /**
   * Which identity: id, beginning of the id, or name of one that is here; or one exported elsewhere, which is kept here
   * from then on. Default: the default identity, made where there is none.
   */
  identity?: string | { file: string; password: string };
  /**
   * Record types that a sync brings before the rest, the first one first; at most 16. A `sync` event of phase
   * `"prioritised"` tells that a neighbour gave all it had of them.
   */
  priorities?: readonly string[];
  /**
   * Whether to ask the browser, once a page, not to throw the data of this site away when it needs room. Some browsers
   * ask their user then. Default: `true`.
   */
  persist?: boolean;
  /**
   * How many neighbours to have in each group: fewer than `min` are replaced at once, fewer than `ideal` are topped up
   * now and then, more than `max` are refused. From 1 to 100. Default: `{ min: 3, ideal: 5, max: 7 }`.
   */
  neighbours?: { readonly min: number; readonly ideal: number; readonly max: number };
  /**
   * Whether only members that this peer knows are told that it is in their group. Others that know the group's id, newcomers
   * with an invitation among them, are answered as if it were not; other members let them in. At a rendezvous node, anybody
   * that knows the id still sees which peers look for the group. Default: `false`.
   */
  membersOnly?: boolean;
}

/** Types of the events of a {@link Peer}. Those of its groups come here too. */
export interface PeerEvents<T = Payloads> extends GroupEvents<T> {
  /** A transport was opened or closed. */
  link: CustomEvent<LinkChange>;
  /** A node of the options was reached, or could not be. */
  node: CustomEvent<NodeState>;
  /** A group was joined, changed its properties, our membership of it changed (`group.standing`), or it was left. */
  group: CustomEvent<{ group: Group<T>; left: boolean }>;
  /** The storage failed, is full, or was deleted underneath (`"storage-gone"`, followed by `closed`). */
  storage: CustomEvent<{ error: PeergraphError }>;
  /**
   * Part of the storage was damaged. It is neither shown nor sent. Records are fetched again from other members; a group
   * whose `membership` is damaged is not opened.
   */
  damaged: CustomEvent<{ group: string | null; records: number; membership: boolean }>;
  /** Closed, for good: by `close()` (no error), by another tab (`"taken-over"`), by a fault. */
  closed: CustomEvent<{ error: PeergraphError | null }>;
}

/** One identity in this browser, with its groups. */
export class Peer<T = Payloads> extends EventTarget {
  private constructor();
  /**
   * Opens the identity of this browser, made at the first time, and its groups. Fails before anything is
   * created where the browser lacks something: `"no-webrtc"`, `"no-indexeddb"`, `"locked"`, …. It waits for what this
   * page is closing or opening with the same storage.
   */
  static open<T = Payloads>(options?: OpenOptions): Promise<Peer<T>>;

  /** 52 characters: the SHA-256 of the identity's key. */
  readonly id: string;
  /** Friendly name. */
  readonly name: string;
  /** Whether it is closed. */
  readonly closed: boolean;
  /** The nodes of the options, as they are now. */
  readonly nodes: readonly NodeState[];

  /** Makes a group, with this identity as its owner and first administrator. */
  createGroup(options: { name: string; policy?: Policy } & Waits): Promise<Group<T>>;
  /**
   * Asks a member what an invitation is about. Nothing is joined or redeemed, and a join need not wait for it. Fails with
   * `"nobody-to-ask"` if no member is reached within some twenty seconds.
   */
  preview(link: string | URL, options?: Waits): Promise<InvitationPreview>;
  /**
   * The steps taken so far to find somebody by an invitation, while a join or preview of it is under way; later, what
   * {@link Group.explain} says. Fails with `"unknown-group"` if neither is.
   */
  explain(link: string | URL, options?: Waits): Promise<Tried>;
  /**
   * Joins by a link, its text, or anything that holds it. A later try takes the place of one under way, which fails as
   * `"busy"`. Done when a membership is held, which is stored a moment later: the peer's event `group` tells when, and
   * `storage` if it cannot be. If the page is gone before that, the same link works again. A group that one is in is done
   * at once.
   */
  join(link: string | URL, options?: { password?: string } & Waits): Promise<Group<T>>;
  /** All groups of this identity. */
  groups(options?: Waits): Promise<Group<T>[]>;
  /** The transports of this node. */
  links(options?: Waits): Promise<Link[]>;
  /** Also uses this node or address to find others. */
  connect(node: string | URL): void;

  /** The public certificate (PEM) for which others can make a bound invitation. Holds no secret. */
  identityDocument(): string;
  /** The peer name of its identity. */
  readonly peerName: PeerName;
  /** Signs for the application: 64 bytes, for {@link verify}. */
  sign(message: BufferSource | string): Uint8Array;
  /** The identity as text, encrypted with a password (Argon2id, XChaCha20-Poly1305), to be kept or opened elsewhere. */
  exportIdentity(password: string): Promise<string>;

  /**
   * A backup under a password: the identity and all that is kept of its groups, their own keys among it. With `withRecords`
   * also the records, which other members hold too. Anybody with the backup and its password is this identity.
   * {@link identities}`.restore` takes it, and so does the native program. Fails with `"storage-damaged"` if what is kept of
   * a group is, and with `"backup-too-long"`.
   */
  backup(password: string, options?: { withRecords?: boolean } & Waits): Promise<Uint8Array>;

  /** Leaves every graph properly. Data stay. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;

  addEventListener<K extends keyof PeerEvents<T>>(
    type: K, listener: (this: Peer<T>, event: PeerEvents<T>[K]) => void,
    options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof PeerEvents<T>>(
    type: K, listener: (this: Peer<T>, event: PeerEvents<T>[K]) => void,
    options?: boolean | EventListenerOptions): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions): void;
}

/** Types of the events of a {@link Group}. */
export interface GroupEvents<T = Payloads> {
  /**
   * A record is new, changed, or deleted (`record.deleted`). It is checked, and not durable yet: `status` tells when it is,
   * `withdrawn` that the storage refused it.
   */
  record: CustomEvent<{ group: Group<T>; record: AnyRecord<T> }>;
  /** A record is durable here, or one of ours reached further. */
  status: CustomEvent<{ group: Group<T>; id: string; status: Status }>;
  /** A record is gone: its time has come. */
  expired: CustomEvent<{ group: Group<T>; id: string }>;
  /**
   * A record is gone: it relied on a membership that was revoked, or the storage refused it after it was shown. Then an
   * earlier version may stand again, see {@link Group.get}; neighbours that have it bring it back once there is room.
   */
  withdrawn: CustomEvent<{ group: Group<T>; id: string }>;
  /** The group changed its properties, or our membership changed (`group.standing`). */
  group: CustomEvent<{ group: Group<T>; left: boolean }>;
  /** Somebody joined, came, went, changed role, or was revoked (`member.standing`). */
  member: CustomEvent<{ group: Group<T>; member: Member }>;
  /**
   * A node says that it is here (`"came"`; ours too), says something else of itself, or went: it left, or it crashed and
   * nobody hears of it, which shows within 45 s. If it is heard of again, it came.
   */
  presence: CustomEvent<{ group: Group<T>; node: PresentNode; change: "came" | "changed" | "went" }>;
  /** A neighbour was won (`up`) or lost. */
  neighbour: CustomEvent<{ group: Group<T>; up: boolean; peer: string; node: string; link: number }>;
  /** A sync with a neighbour went on. */
  sync: CustomEvent<{ group: Group<T>; link: number; phase: "membership" | "presence" | "prioritised" | "complete" }>;
  /** Nobody of this group can be found with what is known: see {@link Peer.connect}. */
  alone: CustomEvent<{ group: Group<T> }>;
  /** Two different contents under one version: evidence against `peer`. */
  conflict: CustomEvent<{ group: Group<T>; id: string; peer: string }>;
  /**
   * An earlier key of the group's own has handed it over to two: that key is in other hands. The handover that came first
   * counts here.
   */
  handovercontested: CustomEvent<{ group: Group<T> }>;
  /** Somebody proved an invitation, and this device, which may let people in, could not do so: `error` says why. */
  notletin: CustomEvent<{ group: Group<T>; peer: string; error: PeergraphError }>;
  /** The clock of this device is wrong by so much, see {@link Group.clockAheadMs}; or right again (0). Nothing is lost by it. */
  clock: CustomEvent<{ group: Group<T>; aheadMs: number }>;
  /** Left, or its peer was closed. */
  closed: CustomEvent<{ group?: Group<T>; error: PeergraphError | null }>;
}

/** A group that this identity is in. The same object for the same group as long as its peer is open. */
export class Group<T = Payloads> extends EventTarget {
  private constructor();
  /** 52 characters. */
  readonly id: string;
  readonly name: string;
  /** Shown to people. May be empty. */
  readonly comment: string;
  /** The rules that its creator set. Can be given to {@link Peer.createGroup} again. */
  readonly policy: Required<Policy>;
  /** Nodes present up to which everybody says that it is here. */
  readonly presence: number;
  /** Whether we have the group's own key: where the group was made, until it is handed over. */
  readonly owner: boolean;
  /** Which key is the group's own, as a peer id: that of the group's id until it is rotated or handed over. */
  readonly ownKey: string;
  /** Our role. */
  readonly role: Role;
  /** Our roles of the application. */
  readonly roles: readonly string[];
  /** Whether our membership stands. A `group` event tells of changes. */
  readonly standing: Standing;
  /** By whom it was revoked, where it was. */
  readonly revoked: Revoked | null;
  /** When our membership ends. */
  readonly expires: Date;
  /**
   * Whether our membership is published, so that others can know of it. It goes out before our first record. So a member
   * that only reads, in a group where enough others say that they are here, is known to nobody.
   */
  readonly announced: boolean;
  /**
   * How far the clock of this device is ahead of the group's time, or behind it if below 0, in milliseconds; 0 if it is right
   * within five minutes. The group's time is kept without it. A `clock` event tells of changes.
   */
  readonly clockAheadMs: number;
  /** Whether a sync has been completed, or we made the group. */
  readonly ready: boolean;
  readonly closed: boolean;

  /**
   * Publishes a record. It goes to the neighbours and to {@link watch} at once; done when it is durable here. If it
   * fails because of the storage, the record is not here, but neighbours that got it meanwhile have it. While the storage
   * or every neighbour is behind, it waits for its turn: await it, and a program publishes as fast as it is taken.
   * `data` is a value that JSON can say in full, or bytes. Anything that JSON would lose (`undefined`, `NaN`, functions, a
   * `Map`, bytes within an object, …) is refused with `"bad-argument"`.
   */
  publish<K extends keyof T & string>(
    type: K, data: T[K] | Bytes, options?: PublishOptions): Promise<GroupRecord<T[K], K>>;
  /**
   * Replaces the content of a record of ours; or somebody else's, where our roles allow it. Attributes and lifetime stay
   * unless given. A record of somebody else stays theirs and carries their proof that they made it. Without the right to
   * delete it, it ends no sooner than they wanted, or with our membership.
   */
  update<K extends keyof T & string>(
    record: GroupRecord<T[K], K> | string, data: T[K] | Bytes, options?: UpdateOptions<T[K]>):
    Promise<GroupRecord<T[K], K>>;
  /**
   * Deletes a record of ours, everywhere; or somebody else's, where our roles allow it. `here`: any record, on this
   * device only, until somebody changes it; nobody else is concerned, and watches that run have seen it already.
   */
  delete(record: GroupRecord<any> | string, options?: { here?: boolean; ifVersion?: string } & Waits): Promise<void>;

  /** Stored records, oldest change first (or `order: "newest"`), at most 1,000; go on with `after: page.next`. */
  records<K extends keyof T & string>(options: RecordsOptions & { type: K }): Promise<Page<GroupRecord<T[K], K>>>;
  records(options?: RecordsOptions): Promise<Page<AnyRecord<T>>>;
  /** One record, or `null`. */
  get(id: string, options?: Waits): Promise<AnyRecord<T> | null>;
  /**
   * First what is stored, then what arrives, before it is durable: new, changed and deleted (`deleted`) records. Ends when
   * the group is closed, or quietly when `signal` is aborted or the loop is left; `return()` ends it at once. A slow
   * reader loses nothing but intermediate versions.
   */
  watch<K extends keyof T & string>(type: K, options?: WatchOptions): AsyncIterableIterator<GroupRecord<T[K], K>>;
  watch(type?: undefined, options?: WatchOptions): AsyncIterableIterator<AnyRecord<T>>;
  /** How far a record of ours got, as it is now; of others `"stored"`. A `status` event tells of changes. */
  statusOf(record: GroupRecord<any> | string): Status;
  /**
   * Publishes every chunk, in order and with back-pressure: a write waits while 64 are not durable yet. The stream is
   * closed when all are; the first that fails ends it.
   */
  writable<K extends keyof T & string>(
    type: K, options?: Omit<PublishOptions, "signal">): WritableStream<T[K] | Bytes>;

  /** Changes name, comment or presence. Only the owner can. */
  set(properties: { name?: string; comment?: string; presence?: number } & Waits): Promise<void>;

  /**
   * Makes an invitation: a bearer link, with `for` one that is useless to others, or with `password` one that needs it.
   * Resolves once it is durable in this browser; it names the nodes that this group uses.
   */
  invite(options?: InviteOptions): Promise<Invitation>;
  /** The invitations that were not withdrawn, ours and those of others: see `state`. */
  invitations(options?: Waits): Promise<OpenInvitation[]>;
  /** Closes an invitation: nobody joins by it any more. Ours, or as administrator anybody's. */
  withdraw(invitation: string | { readonly id: string }, options?: Waits): Promise<void>;

  /** Everybody who is, or was, a member. */
  members(options?: Waits): Promise<Member[]>;
  /**
   * Issues another membership to a member, or to a peer id: with another role or other application roles, or for
   * longer. A role that is not given stays as the member has it; for a peer id, it is `"member"` without other roles.
   */
  promote(member: Member | string, grant?: { role?: Role; roles?: readonly string[] } & Waits): Promise<void>;
  /** Takes away all memberships of a member or peer id, or one by its certificate. */
  revoke(member: Member | string | { certificate: string }, options?: RevokeOptions): Promise<void>;
  /** Takes back what we revoked of a member or peer id. */
  reinstate(member: Member | string, options?: Waits): Promise<void>;

  /**
   * Puts another key in the place of the group's own, for when that may be in other hands. Only the owner can. The old
   * key counts for nothing from then on; all members and records stay.
   */
  rotateKey(options?: Waits): Promise<void>;
  /** Offers us as the next owner. Nothing changes before the owner hands the group over, which a `group` event tells. */
  offerOwnership(options?: Waits): Promise<void>;
  /** Makes a member that has offered itself the owner, in our place: see {@link Member.offersOwnership}. */
  handOver(member: Member | string, options?: Waits): Promise<void>;

  /** The nodes that say that they are here: ours, and those that {@link Group.presence} lets speak. */
  nodes(options?: Waits): Promise<PresentNode[]>;
  /**
   * Sets what this node says of itself, for all members to see, until it closes. `forced`: it says that it is here where
   * {@link Group.presence} would have it silent.
   */
  present(options?: { attributes?: Attributes; forced?: boolean } & Waits): Promise<void>;

  /** Figures of the group, as this node sees it now. */
  info(options?: Waits): Promise<GroupFigures>;

  /** Tells what was done to find members since the group had a neighbour last, and what to do about it. */
  explain(options?: Waits): Promise<Tried>;

  /** The links on which this group's records flow. */
  neighbours(options?: Waits): Promise<Link[]>;
  /**
   * Leaves: our membership is over for everybody, what we published stays with the others, and the group and its
   * records are forgotten on this device.
   */
  leave(options?: Waits): Promise<void>;

  addEventListener<K extends keyof GroupEvents<T>>(
    type: K, listener: (this: Group<T>, event: GroupEvents<T>[K]) => void,
    options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof GroupEvents<T>>(
    type: K, listener: (this: Group<T>, event: GroupEvents<T>[K]) => void,
    options?: boolean | EventListenerOptions): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions): void;
}

/** Figures of a group. */
export interface GroupFigures {
  /** Records stored here, deleted ones included until they end. */
  readonly records: number;
  /** Links on which its records flow. */
  readonly neighbours: number;
  /** Nodes in our part of the graph, estimated: above 5, with a standard error of about half. */
  readonly nodes: number;
  /** The lowest node id in our part of the graph: the same at all nodes of one part. `null` before one is found. */
  readonly signature: string | null;
  /** Milliseconds to add to this device's clock to have the time that the group keeps, by which its records are dated. */
  readonly clockShiftMs: number;
}

export interface PublishOptions extends Waits {
  attributes?: Attributes;
  /** How long the record lives. Default: ten years. A record of another always lives as long as its creator wanted. */
  expiresIn?: Span;
  /**
   * Whether this device renews the record before it ends, for as long a life again, as long as it is open; also after
   * it was closed and opened. An update without it, or a deletion, ends that. Only for records of one's own:
   * how long a record lives is its creator's to say. Default: `false`.
   */
  refresh?: boolean;
  /**
   * The media type of bytes, such as `"image/png"`: kept with the record, for those who read it. Bytes called
   * `"application/json"` are read as JSON. Default: the type of a `Blob`; at updates, that of the record.
   */
  mediaType?: string;
}

export interface UpdateOptions<D = any> extends PublishOptions {
  /**
   * The version that was read and changed. If another one stands by now, nothing is written, and `update` fails with
   * `"changed-meanwhile"`. It cannot see what somebody else writes at the same moment elsewhere: then the higher
   * edition stands everywhere.
   */
  ifVersion?: string;
  /**
   * Makes one of both instead of failing: gets the record as it stands and the data that were to be written, and gives
   * what to write over it. Called again while others go on writing, at most ten times. Needs `ifVersion`.
   */
  merge?: (theirs: GroupRecord<D>, mine: D) => D | Promise<D>;
}

export interface WatchOptions extends Waits {
  /** Which of the stored ones come first. Records that arrive come as they arrive. Default: `"oldest"`. */
  order?: "oldest" | "newest";
  /** At most so many of the stored ones. Default: all. */
  limit?: number;
  /** Called once, when the reader has had all that was stored and asks for more: the moment to say "nothing yet". */
  onStored?: () => void;
}

export interface RecordsOptions extends Waits {
  /** Only this type. */
  type?: string;
  /** Only of this peer. */
  creator?: string;
  /** Which come first, by the time of their last change. Default: `"oldest"`. */
  order?: "oldest" | "newest";
  /** 1–1,000. Default: 1,000. */
  limit?: number;
  /** `next` of the page before, or a record's `cursor`. */
  after?: string | null;
}

/** Records, with the cursor of the next page. */
export interface Page<R> extends Array<R> {
  /** `null` after the last one. */
  readonly next: string | null;
}

export interface InviteOptions extends Waits {
  /** Default: `"member"`. */
  role?: Role;
  /** Roles of the application: 1–32 characters of a–z, 0–9 and `-` each. Default: none. */
  roles?: readonly string[];
  /** How many may join with a bearer link. Default: 1. */
  uses?: number;
  /** How long a bearer link can be used. Default: `"7d"`. */
  expiresIn?: Span;
  /** PEM of {@link Peer.identityDocument}: for this identity alone. It can join while no inviter is online. */
  for?: string;
  /**
   * 8 to 256 bytes, told to them in another way than the link, which is no secret then. Nothing can be guessed offline,
   * and guessing online is throttled. We must be online when they join.
   */
  password?: string;
  /** The page that opens the link. Default: this one. The invitation is its fragment, which no server sees. */
  page?: string | URL;
}

export interface RevokeOptions extends Waits {
  /** For everybody to read. Default: `"unspecified"`. */
  reason?: "unspecified" | "key-lost" | "misconduct" | "left";
  /** Whether to keep what they published, as far as this device knows of it. Default: `"keep"`. */
  records?: "keep" | "drop";
  /** Whether to keep those that they let in. Default: `"keep"`. */
  members?: "keep" | "drop";
}

/** Anybody who reads a bearer invitation can join. Links are short, but for bound ones, which carry certificates. */
export interface Invitation {
  /** For {@link Group.withdraw}; `null` for bound ones, which are memberships already. */
  readonly id: string | null;
  /** Page and fragment. */
  readonly link: string;
  /** The form that can be used without the page: it names the node that a link leaves to its page. */
  readonly text: string;
  /** When it ends. */
  readonly expires: Date;
  /** The link as an SVG image in text: black on white, with a quiet zone, scalable. Fails with `"too-long"`. */
  qr(): string;
  /** Closes it: nobody joins by it any more. Fails with `"unknown-invitation"` for bound ones. */
  withdraw(options?: Waits): Promise<void>;
}

/** An invitation that is open. Its secret is in the link alone. */
export interface OpenInvitation {
  readonly id: string;
  readonly inviter: Person;
  readonly role: Role;
  readonly roles: readonly string[];
  /** How many may join by it, and how many did, as far as this device knows. */
  readonly uses: number;
  readonly used: number;
  readonly expires: Date;
  /** Whether newcomers can use it, as far as this device knows. */
  readonly state: InvitationState;
  withdraw(options?: Waits): Promise<void>;
}

/**
 * The content of an invitation by itself, to be shown at once. Nothing of it is verified yet. Links are short: names, roles of
 * the application and the policy are in a bound invitation only; {@link Peer.preview} asks a member for those of others.
 */
export interface InvitationSummary {
  /** `"bound"`: for one identity. `"bearer"`: for whoever holds it. `"password"`: for who knows the password too. */
  readonly kind: "bound" | "bearer" | "password";
  /** Group id. */
  readonly group: string;
  /** Name of the group: show it as text, like the inviter's. `null` if it does not say. */
  readonly name: string | null;
  /** 26 characters for the first half of the inviter's peer id: all but the last are its beginning. */
  readonly inviter: string;
  readonly inviterName: string | null;
  readonly role: Role | null;
  /** Application roles; `null` if it does not say. */
  readonly roles: readonly string[] | null;
  /** For whom it is; `null`: for whoever holds it. */
  readonly invitee: { readonly id: string; readonly name: string } | null;
  /** When it ends; `null` if it does not say. */
  readonly expires: Date | null;
  /** URLs of nodes at which members can be found. */
  readonly nodes: readonly string[];
  /** Where the inviter can be dialled. */
  readonly addresses: readonly string[];
  /** The rules that the creator of the group set; `null` if the invitation does not say. */
  readonly policy: Required<Policy> | null;
}

/**
 * An invitation as a member describes it. Names, policy and roles are as signed by the owner and the inviter;
 * whether it is open, and what is left of it, is that member's word.
 */
export interface InvitationPreview {
  /** Group id. */
  readonly group: string;
  /** Name of the group: show it as text, like the inviter's. */
  readonly name: string;
  /** The rules that the creator of the group set. */
  readonly policy: Required<Policy>;
  /** The member who told it. */
  readonly toldBy: string;
  /** `null`: it was withdrawn or has ended, or that member has not heard of it yet. */
  readonly open: {
    readonly inviter: { readonly id: string; readonly name: string };
    readonly role: Role;
    readonly roles: readonly string[];
    /** How many may join by it, and how many still can; `null` for a bound one. */
    readonly uses: number | null;
    readonly left: number | null;
    readonly expires: Date;
  } | null;
  /** Whether it can be used, as that member says and by the clock of this device; `"unknown"`: that member does not know it. */
  readonly state: InvitationState;
}

/** Whether newcomers can use an invitation. `"not-yet-valid"`: its time has not begun, or a clock is wrong. */
export type InvitationState = "usable" | "used-up" | "expired" | "withdrawn" | "not-yet-valid" | "unknown";

/**
 * Reads an invitation: a link, its text, or anything that holds one, such as a whole mail. Needs no {@link Peer}, and
 * tells nobody. Fails with `"bad-invitation"`.
 */
export function readInvitation(link: string | URL): Promise<InvitationSummary>;

/**
 * A signed record, as it was when it was read: plain data, for `structuredClone`, JSON, spreads and proxies.
 *
 * **Content.** Data published as a JavaScript value are stored as JSON, under the media type `application/json`, and
 * come back as that value. Everything else is bytes and comes back as `Uint8Array`, even if it looks like JSON: what
 * was published as bytes, and what a program wrote in Rust or on the command line. Such a program says JSON by the
 * attribute `mediaType` with the text `application/json`.
 */
export interface GroupRecord<D = any, K extends string = string> {
  /** 26 characters. */
  readonly id: string;
  readonly type: K;
  /** 20 digits: when it was written. Another one after every change, and a higher one than that of what was changed. */
  readonly version: string;
  /**
   * 41 digits. Of two versions of one record the one with the higher edition stands: compare it as text. Deletions come
   * first, then what its creator wrote last and what others made of that, then the higher version.
   */
  readonly edition: string;
  /** The person who made it. */
  readonly creator: Person;
  /** The person who changed it last; `null` if nobody did. */
  readonly modifier: Person | null;
  readonly created: Date;
  readonly modified: Date;
  readonly expires: Date;
  /** Whether it was deleted; `data` is `undefined` then. */
  readonly deleted: boolean;
  readonly attributes: { readonly [name: string]: ReadAttributeValue | ReadAttributeValue[] };
  /** The media type of `data`: `"application/json"`, what the publisher of bytes called them, or `null`. */
  readonly mediaType: string | null;
  readonly data: D;
  /** How far it had got. {@link Group.statusOf} tells how far it is now. */
  readonly status: Status;
  /** For {@link RecordsOptions.after}. */
  readonly cursor: string;
}

/** A record of any of the types of `T`: a union that `type` tells apart. */
export type AnyRecord<T = Payloads> = { [K in keyof T & string]: GroupRecord<T[K], K> }[keyof T & string];

export interface Member {
  /** Peer id. */
  readonly id: string;
  /** Chosen by its owner: show it as text. */
  readonly name: string;
  readonly role: Role;
  /** Roles of the application. */
  readonly roles: readonly string[];
  /** Whether it is a member, or was one. */
  readonly standing: Standing;
  /** By whom its membership was revoked, where it was. */
  readonly revoked: Revoked | null;
  /** The certificate that says all this, who issued it, and when it ends. */
  readonly certificate: string;
  readonly issuer: Signer;
  readonly expires: Date;
  /** Whether it offers itself as the next owner: see {@link Group.offerOwnership}. */
  readonly offersOwnership: boolean;
  /** Whether it is us. */
  readonly me: boolean;
  /** Whether a node of it is present. */
  readonly online: boolean;
  /** Ids of its nodes that are present. */
  readonly nodes: readonly string[];
}

/** A node that says that it is here. */
export interface PresentNode {
  readonly id: string;
  /** Whose. */
  readonly peer: Person;
  /** Where it can be dialled. Browsers cannot. */
  readonly addresses: readonly string[];
  /** The node's description of itself. Chosen by its owner: show it as text. */
  readonly attributes: { readonly [name: string]: ReadAttributeValue | ReadAttributeValue[] };
}

export interface Link {
  readonly id: number;
  /** Id of the peer at the other end; `null` until proved. */
  readonly peer: string | null;
  /** Its name, where it is a known member of a group of ours. Empty otherwise. */
  readonly name: string;
  /** Which node of theirs; `null` until proved. */
  readonly node: string | null;
  /** Which version of the protocol both ends speak; `null` until proved. */
  readonly version: number | null;
  /** `true`: a data channel straight to the other end. `false`: a WebSocket. */
  readonly direct: boolean;
  /** Groups whose records flow on it. */
  readonly groups: readonly string[];
}

export interface LinkChange {
  readonly id: number;
  readonly state: "opening" | "open" | "closed";
  readonly direct: boolean;
  /** Why it was closed, in a word, where the reason is ours: `"duplicate"`, `"silent"`, …. */
  readonly reason: string | null;
}

export interface NodeState {
  /** The URL in its usual form: lower case, no usual port, a slash at the end of its path. */
  readonly url: string;
  /**
   * `"trying"`: asked for its addresses. `"known"`: they are dialled. `"linked"`: a link leads to it. `"unreachable"`:
   * tried again by itself; `error` says why. `"forgotten"`: only an invitation named it, and nothing needs it any longer;
   * it is no longer one of {@link Peer.nodes}.
   */
  readonly state: "trying" | "known" | "linked" | "unreachable" | "forgotten";
  readonly addresses: readonly string[];
  readonly error?: PeergraphError;
}
