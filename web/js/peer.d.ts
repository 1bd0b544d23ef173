// One identity in this browser, with its groups. A part of `index.d.ts`.
import type { PeergraphError } from "./errors.js";
import type { Group, GroupEvents } from "./group.js";
import type { PeerName, identities, verify } from "./identities.js";
import type { InvitationPreview } from "./invitation.js";
import type { Link, LinkChange, NodeState, Tried } from "./links.js";
import type { Policy } from "./membership.js";
import type { Payloads } from "./record.js";
import type { Waits } from "./waits.js";

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
  /**
   * STUN and TURN servers, as `RTCPeerConnection` takes them; at most 8. None is needed: the nodes answer STUN. A TURN
   * server relays to peers that no direct path leads to.
   */
  iceServers?: readonly RTCIceServer[];
  /** Name of the database that holds the identities, and begins the names of those with their records. Default: `"peergraph"`. */
  storage?: string;
  /**
   * Whether all tabs of this browser that open this identity have it together: one of them has the node, and the others work
   * through it; if it is closed or crashes, another goes on. `false`: this tab alone, or it fails with `"locked"`. Default:
   * `true`, without `takeOver`.
   */
  shared?: boolean;
  /** Whether to close the peers of other tabs that have this identity open, and open it here alone. */
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
  /** Whether the node is in this tab, see {@link OpenOptions.shared}. */
  readonly leads: boolean;
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
  sign(message: BufferSource | Uint8Array | string): Uint8Array;
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
