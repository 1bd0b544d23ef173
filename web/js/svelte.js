// Stores for Svelte. Their interface is described in svelte.d.ts. The contract of stores needs nothing of Svelte itself.
import { Peer } from "./index.js";
import {
  groupsSource, membersSource, neighboursSource, peerSource, presenceSource, querySource, statusSource,
} from "./sources.js";

/** A source as a readable store: whoever subscribes is told the value at once. */
const storeOf = (source) => ({
  subscribe(run) {
    const leave = source.subscribe(() => run(source.get()));
    run(source.get());
    return leave;
  },
});

export const peer = (options) => storeOf(peerSource(() => Peer.open(options)));
export const groups = (peer) => storeOf(groupsSource(peer));
export const query = (group, query, options) => storeOf(querySource(group, query, options));
export const members = (group) => storeOf(membersSource(group));
export const presence = (group) => storeOf(presenceSource(group));
export const neighbours = (group) => storeOf(neighboursSource(group));
export const status = (group, record) => storeOf(statusSource(group, record));

export function records(group, asked, options) {
  const found = query(group, asked, options);
  return { subscribe: (run) => found.subscribe(({ value }) => run(value)) };
}
