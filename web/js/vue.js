// Composables for Vue. Their interface is described in vue.d.ts.
import { computed, shallowReadonly, shallowRef, toValue, watch } from "vue";
import { Peer } from "./index.js";
import {
  groupsSource, membersSource, neighboursSource, peerSource, presenceSource, querySource, statusSource,
} from "./sources.js";

/** The value of the source that `make` makes anew when what it reads is another. Ends with the scope. */
function useSource(make) {
  const value = shallowRef();
  watch(make, (source, _, onCleanup) => {
    onCleanup(source.subscribe(() => { value.value = source.get(); }));
    value.value = source.get();
  }, { immediate: true });
  return shallowReadonly(value);
}

export const usePeer = (options) => useSource(() => peerSource(() => Peer.open(toValue(options))));
export const useGroups = (peer) => useSource(() => groupsSource(toValue(peer)));
export const useQuery = (group, query, options) =>
  useSource(() => querySource(toValue(group), toValue(query), toValue(options)));
export const useMembers = (group) => useSource(() => membersSource(toValue(group)));
export const usePresence = (group) => useSource(() => presenceSource(toValue(group)));
export const useNeighbours = (group) => useSource(() => neighboursSource(toValue(group)));
export const useStatus = (group, record) => useSource(() => statusSource(toValue(group), toValue(record)));

export function useRecords(group, query, options) {
  const found = useQuery(group, query, options);
  return computed(() => found.value.value);
}
