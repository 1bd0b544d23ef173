// Compiled, never run: the types of searches and of the adapters for frameworks.
import type { Found, Group, GroupRecord, LiveQuery, Query } from "peergraph";
import * as react from "peergraph/react";
import * as svelte from "peergraph/svelte";
import * as vue from "peergraph/vue";
import { ref } from "vue";

type Trip = { "trip.place": { name: string; days: number } };
type Place = GroupRecord<Trip["trip.place"], "trip.place">;

export async function searches(group: Group<Trip>, signal: AbortSignal): Promise<string[]> {
  const found: Found<Place> = await group.search("sintra", { order: "best", limit: 20, count: true, signal });
  const names = found.map(({ data }) => data.name);
  for await (const page of group.search({ and: [{ text: "sin*" }, { attribute: "days", greater: 2 }] }, { after: found.next })) {
    names.push(String(page.next), String(page.count));
  }
  const tree: Query = { or: [{ field: "created", within: [{ date: "2026-11" }, { date: "2026-12" }] }, { not: { field: "creator", has: "ada" } }] };
  const live: LiveQuery<Place> = group.query(tree, { order: "oldest" });
  live.addEventListener("change", ({ detail: { added, removed } }) => names.push(...removed, ...added.map(({ id }) => id)));
  const leave: () => void = live.subscribe((places) => names.push(String(places.length)));
  leave();
  for await (const places of live) names.push(...places.map(({ data }) => data.name));
  // @ts-expect-error: there is no such order.
  group.search("a", { order: "random" });
  // @ts-expect-error: there is no such field.
  group.query({ field: "colour", equal: "red" });
  // @ts-expect-error: a clause asks one thing.
  group.query({ field: "size" });
  return names;
}

export function Component(): string {
  const group = react.useGroup<Trip>("id");
  const places = react.useRecords(group, "type:trip.place", { limit: 5 });
  // @ts-expect-error: places have no text.
  places.map(({ data }) => data.text);
  // @ts-expect-error: nothing waits here.
  react.useRecords(group, "a", { signal: null });
  const { loaded, error } = react.useQuery(group, { all: true });
  const status = react.useStatus(group, places[0]);
  const here = react.usePresence(group).map(({ peer }) => peer.name);
  return [loaded, error?.code, status, react.usePeer()?.name, ...here, ...react.useMembers(group).map(({ name }) => name)].join();
}

export const shown = react.PeergraphProvider({ options: { name: "Ada" }, children: "text" });
// @ts-expect-error: a peer, or how to open one.
react.PeergraphProvider({ peer: null, options: { name: "Ada" } });

export function setup(group: Group<Trip>): string {
  const query = ref("type:trip.place");
  const places = vue.useRecords(group, query);
  const { peer, error } = vue.usePeer({ name: "Ada" }).value;
  // @ts-expect-error: places have no text.
  places.value.map(({ data }) => data.text);
  return [peer?.id, error?.code, vue.useStatus(() => group, () => places.value[0] ?? null).value].join();
}

export function store(group: Group<Trip>): () => void {
  // @ts-expect-error: places have no text.
  svelte.records(group, "*").subscribe((places) => places.map(({ data }) => data.text));
  return svelte.members(group).subscribe((members) => console.log(members.map(({ name }) => name)));
}
