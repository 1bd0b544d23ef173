/**
 * Stores for Svelte 4 and 5 (`$records` in a component): values of a peer that stay up to date while somebody is subscribed.
 */
import type {
  AnyRecord, Group, GroupRecord, Link, LiveQuery, Member, OpenOptions, Payloads, Peer, PresentNode, Query, QueryOptions, Status,
} from "./index.js";
import type { PeergraphError } from "./index.js";

/** A readable store. */
export interface Store<V> {
  /** Calls `run` with the value, now and whenever it is another, until the returned function is called. */
  subscribe(run: (value: V) => void): () => void;
}

/** A peer that is opened by the first subscriber and closed after the last; and the error if it could not be opened. */
export function peer(options: OpenOptions): Store<{ peer: Peer | null; error: PeergraphError | null }>;
/** The groups of a peer. */
export function groups(peer: Peer | null): Store<readonly Group[]>;
/** The records that a query finds, in order. */
export function records<T = Payloads, R = AnyRecord<T>>(
  group: Group<T> | null, query: Query, options?: Omit<QueryOptions, "signal">): Store<readonly R[]>;
/** The same, with whether what is stored is in the list, and the error. */
export function query<T = Payloads, R = AnyRecord<T>>(
  group: Group<T> | null, query: Query, options?: Omit<QueryOptions, "signal">):
  Store<Readonly<Pick<LiveQuery<R>, "value" | "loaded" | "error" | "unsearched">>>;
/** Everybody who is, or was, a member. */
export function members(group: Group<any> | null): Store<readonly Member[]>;
/** The nodes that say that they are here. */
export function presence(group: Group<any> | null): Store<readonly PresentNode[]>;
/** The links to the neighbours in the group: none means alone. */
export function neighbours(group: Group<any> | null): Store<readonly Link[]>;
/** How far a record got. */
export function status(group: Group<any> | null, record: GroupRecord<any> | null): Store<Status | null>;
