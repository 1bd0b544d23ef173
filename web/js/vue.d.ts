/**
 * Composables for Vue 3.3 and later: values of a peer that stay up to date until their scope ends. Arguments may be refs and
 * getters.
 */
import type { ComputedRef, MaybeRefOrGetter, ShallowRef } from "vue";
import type {
  AnyRecord, Group, GroupRecord, Link, LiveQuery, Member, OpenOptions, Payloads, Peer, PresentNode, Query, QueryOptions, Status,
} from "./index.js";
import type { PeergraphError } from "./index.js";

type Given<V> = MaybeRefOrGetter<V>;
type Value<V> = Readonly<ShallowRef<V>>;

/** A peer that is opened now and closed with the scope; and the error if it could not be opened. */
export function usePeer(options: Given<OpenOptions>): Value<{ peer: Peer | null; error: PeergraphError | null }>;
/** The groups of a peer. */
export function useGroups(peer: Given<Peer | null>): Value<readonly Group[]>;
/** The records that a query finds, in order. */
export function useRecords<T = Payloads, R = AnyRecord<T>>(
  group: Given<Group<T> | null>, query: Given<Query>, options?: Given<Omit<QueryOptions, "signal"> | undefined>):
  ComputedRef<readonly R[]>;
/** The same, with whether what is stored is in the list, and the error. */
export function useQuery<T = Payloads, R = AnyRecord<T>>(
  group: Given<Group<T> | null>, query: Given<Query>, options?: Given<Omit<QueryOptions, "signal"> | undefined>):
  Value<Readonly<Pick<LiveQuery<R>, "value" | "loaded" | "error" | "unsearched">>>;
/** Everybody who is, or was, a member. */
export function useMembers(group: Given<Group<any> | null>): Value<readonly Member[]>;
/** The nodes that say that they are here. */
export function usePresence(group: Given<Group<any> | null>): Value<readonly PresentNode[]>;
/** The links to the neighbours in the group: none means alone. */
export function useNeighbours(group: Given<Group<any> | null>): Value<readonly Link[]>;
/** How far a record got. */
export function useStatus(group: Given<Group<any> | null>, record: Given<GroupRecord<any> | null>): Value<Status | null>;
