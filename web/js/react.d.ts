/**
 * Hooks for React 18 and later: values of a peer that stay up to date. Each value is the same object until it is another, so
 * that it can be given to `memo` and effects. They work in the strict mode, and give what is empty on a server.
 */
import type { ReactElement, ReactNode } from "react";
import type {
  AnyRecord, Group, GroupRecord, Link, LiveQuery, Member, OpenOptions, Payloads, Peer, PresentNode, Query, QueryOptions, Status,
} from "./index.js";

/**
 * Gives a peer to the hooks inside: one that is open, or one that it opens with `options` when it is shown, and closes when it
 * is not. Without an open peer, hooks give `null` or empty lists.
 */
export function PeergraphProvider(props: { children?: ReactNode } & (
  { peer: Peer | null; options?: undefined } | { peer?: undefined; options: OpenOptions })): ReactElement;

/** The peer, or `null` while it opens. An error of opening is thrown, for the nearest error boundary. */
export function usePeer(): Peer | null;
/** The groups of the peer. */
export function useGroups(): readonly Group[];
/** One of them, by its id; `null` if there is none. */
export function useGroup<T = Payloads>(id: string | null | undefined): Group<T> | null;

/**
 * The records that a query finds, in order: the list of {@link Group.query}. The query may be written in place. An error of the
 * query is thrown, for the nearest error boundary; {@link useQuery} gives it.
 */
export function useRecords<T = Payloads, R = AnyRecord<T>>(
  group: Group<T> | null | undefined, query: Query, options?: Omit<QueryOptions, "signal">): readonly R[];
/** The same, with whether what is stored is in the list, and the error. */
export function useQuery<T = Payloads, R = AnyRecord<T>>(
  group: Group<T> | null | undefined, query: Query, options?: Omit<QueryOptions, "signal">):
  Readonly<Pick<LiveQuery<R>, "value" | "loaded" | "error" | "unsearched">>;

/** Everybody who is, or was, a member. */
export function useMembers(group: Group<any> | null | undefined): readonly Member[];
/** The nodes that say that they are here. */
export function usePresence(group: Group<any> | null | undefined): readonly PresentNode[];
/** The links to the neighbours in the group: none means alone. */
export function useNeighbours(group: Group<any> | null | undefined): readonly Link[];
/** How far a record got; `null` without a record. */
export function useStatus(group: Group<any> | null | undefined, record: GroupRecord<any> | null | undefined): Status | null;
