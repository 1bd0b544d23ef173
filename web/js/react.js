// Hooks for React. Their interface is described in react.d.ts.
import { createContext, createElement, useContext, useMemo, useSyncExternalStore } from "react";
import { Peer } from "./index.js";
import {
  groupsSource, membersSource, neighboursSource, peerSource, presenceSource, querySource, statusSource,
} from "./sources.js";

const Context = createContext(null);
/** The provider without options has a peer already. */
const NO_PEER = peerSource(() => new Promise(() => {}));

/** The value of the source that `make` makes anew when one of `keys` is another. */
function useSource(make, keys) {
  const source = useMemo(make, keys);
  return useSyncExternalStore(source.subscribe, source.get, () => source.initial);
}

/** Options as text: so that a component may write them in place. */
const keyOf = (value) => JSON.stringify(value) ?? "";

export function PeergraphProvider({ peer = null, options, children }) {
  const opened = useSource(() => (peer ? NO_PEER : peerSource(() => Peer.open(options))), [peer, keyOf(options)]);
  const value = useMemo(() => (peer ? { peer, error: null } : opened), [peer, opened]);
  return createElement(Context.Provider, { value }, children);
}

export function usePeer() {
  const context = useContext(Context);
  if (!context) throw new Error("usePeer needs a PeergraphProvider around it");
  if (context.error) throw context.error;
  return context.peer;
}

export function useGroups() {
  const peer = usePeer();
  return useSource(() => groupsSource(peer), [peer]);
}

export function useGroup(id) {
  return useGroups().find((group) => group.id === id) ?? null;
}

export function useQuery(group, query, { order, limit } = {}) {
  return useSource(() => querySource(group, query, { order, limit }), [group, keyOf(query), order, limit]);
}

export function useRecords(group, query, options) {
  const { value, error } = useQuery(group, query, options);
  if (error) throw error;
  return value;
}

export function useMembers(group) {
  return useSource(() => membersSource(group), [group]);
}

export function usePresence(group) {
  return useSource(() => presenceSource(group), [group]);
}

export function useNeighbours(group) {
  return useSource(() => neighboursSource(group), [group]);
}

export function useStatus(group, record) {
  return useSource(() => statusSource(group, record), [group, record?.id]);
}
