// A group, its events, and who is here. A part of `index.d.ts`.
import type { Admitted, CallRequest, Direct, DirectNews, DirectTo } from "./direct.js";
import type { PeergraphError } from "./errors.js";
import type { Invitation, InviteOptions, OpenInvitation } from "./invitation.js";
import type { Link, Tried } from "./links.js";
import type { Member, Person, Policy, RevokeOptions, Revoked, Role, Standing } from "./membership.js";
import type { Peer } from "./peer.js";
import type {
  AnyRecord, Attributes, Bytes, GroupRecord, Page, Payloads, PublishOptions, ReadAttributeValue,
  RecordsOptions, Status, UpdateOptions, WatchOptions,
} from "./record.js";
import type { LiveQuery, Query, QueryOptions, Search, SearchOptions } from "./search.js";
import type { Waits } from "./waits.js";

/** Types of the events of a {@link Group}. */
export interface GroupEvents<T = Payloads> {
  /**
   * A record is new, changed, or deleted (`record.deleted`). It is checked, and not durable yet: `status` tells when it is,
   * `withdrawn` that the storage refused it.
   */
  record: CustomEvent<{ group: Group<T>; record: AnyRecord<T> }>;
  /** A record is durable here, or one of ours reached further. */
  status: CustomEvent<{ group: Group<T>; id: string; status: Status }>;
  /** Another node has sent a message to all who are here, see {@link Group.broadcast}. */
  broadcast: CustomEvent<BroadcastMessage<T>>;
  /** Somebody asks for a direct link, one can be used, or one is over; see {@link Group.direct}. */
  direct: CustomEvent<DirectNews>;
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
  /**
   * Begins to search the stored records: `await` brings a page, `for await` all pages. The first search of a group makes
   * its index, which reads all records once; after that one takes milliseconds. Fails with `"bad-query"` and the place of
   * the fault.
   */
  search<R = AnyRecord<T>>(query: Query, options?: SearchOptions): Search<R>;
  /** Follows a query: what it finds now, and what is added, changed and removed from now on, in order. */
  query<R = AnyRecord<T>>(query: Query, options?: QueryOptions): LiveQuery<R>;
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

  /**
   * Sends a message to all members who are here, and stores it nowhere: a cursor, or that somebody is typing. It comes at most
   * once, in any order, and may get lost; publish a record if it must not. `data` is as in {@link publish}, of at most 4,096
   * bytes. Members who may publish records of a type may send messages of it. Fails with `"busy"` beyond 40 small ones a second.
   */
  broadcast(type: string, data: unknown, options?: { mediaType?: string } & Waits): Promise<void>;
  /**
   * Calls `listener` with each message of this type that others send to all who are here, until `signal` is aborted or the
   * returned function is called.
   */
  on(type: string, listener: (message: BroadcastMessage<T>) => void, options?: Waits): () => void;

  /**
   * Opens a direct link to another member, whichever of its nodes is here, or to one `node` of it. The other end is asked: by
   * a `direct` event whose `change` is `"asked"`, unless it has decided with {@link admitDirects}. `purpose`, of at most 256
   * bytes, tells it what for. Fails with the code that says why not: `"not-here"`, `"unreachable"`, `"not-admitted"`,
   * `"declined"`, `"no-answer"`.
   */
  direct(member: DirectTo, options?: { purpose?: string; node?: string } & Waits): Promise<Direct>;
  /** The direct links that are open. */
  readonly directs: readonly Direct[];
  /** Decides who may open direct links to this node in this group, until the peer closes. At first each asks. */
  admitDirects(who: Admitted, options?: Waits): Promise<void>;
  /**
   * Serves calls of a name on all direct links of this group. `handler` answers with the response, or with an async iterable
   * of many; the words of an error that it throws go to the caller. Served until `signal` is aborted or the returned function
   * is called.
   */
  serve(name: string, handler: (request: CallRequest) => unknown, options?: Waits): Promise<() => Promise<void>>;

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

/** A message to all who are here. */
export interface BroadcastMessage<T = Payloads> {
  readonly group: Group<T>;
  /** The member who sent it. Its signature is checked. */
  readonly from: Person;
  /** Its node: a browser, or a program. Of another tab of this browser that shares our identity, the name of that tab. */
  readonly node: string;
  readonly type: string;
  /** The value that was sent, or its bytes. Chosen by its sender: never trust it. */
  readonly data: any;
  /** The form of `data` if it is bytes; `"application/json"` for values. */
  readonly mediaType: string | null;
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
