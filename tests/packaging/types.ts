// Compiled, never run: the types say what the package is promised to accept and to refuse.

import {
  Peer, PeergraphError, identities, init, readInvitation, verify, type ErrorCode, type Group, type Payloads,
} from "peergraph";

type Trip = {
  "chat.message": { text: string };
  "trip.place": { name: string; days: number };
};

export async function use(signal: AbortSignal): Promise<string[]> {
  await using peer = await Peer.open<Trip>({ name: "Ada", nodes: ["https://node.example"], signal });
  const few = await Peer.open({ priorities: ["chat.message"], neighbours: { min: 2, ideal: 3, max: 4 } });
  // @ts-expect-error: all three limits, or none.
  await Peer.open({ neighbours: { max: 4 } });
  await few.close();
  const group: Group<Trip> = await peer.createGroup({ name: "Trip to Lisbon" });
  const { link } = await group.invite({ role: "member", uses: 5, expiresIn: "7d" });
  const { role } = await readInvitation(link);
  const { policy, open } = await peer.preview(link, { signal });
  const left: number | null = open?.left ?? null;
  if (left === 0) return [];
  const { hint, places } = await peer.explain(link, { signal });
  const ways: ("node" | "invitation" | "memory" | "members" | "offer" | "link")[] = places.map((place) => place.from);
  if ((await group.explain()).neighbours === 0) return [hint, ...ways];
  const same = await peer.join(link);
  await peer.createGroup({ name: "Like it", policy });
  // @ts-expect-error: members invite nobody.
  await peer.createGroup({ name: "Odd", policy: { invite: "member" } });
  for (const member of await group.members()) {
    if (member.standing === "revoked") await group.reinstate(member);
    else if (role) await group.promote(member, { role, roles: ["editor"] });
    await group.revoke(member, { reason: "misconduct", records: "drop" });
    // @ts-expect-error: this comes about by itself, nobody gives it as a reason.
    await group.revoke(member, { reason: "superseded" });
  }

  const record = await same.publish("chat.message", { text: "Olá" }, { attributes: { room: "general" } });
  const text: string = record.data.text;
  const version: string = record.version;
  const newer = await same.update(record, { text: "Olá!" }, {
    ifVersion: version, merge: (theirs, mine) => ({ text: theirs.data.text + mine.text }) });
  await same.update(newer.id, { text: "by its id" });
  await same.publish("chat.message", new Blob(["x"], { type: "image/png" }));
  await same.publish("chat.message", new DataView(new ArrayBuffer(1)), { mediaType: "image/png" });
  // @ts-expect-error: versions are text, for JSON.
  await same.update(record, { text: "Olá" }, { ifVersion: 1n });
  // @ts-expect-error: an unknown option.
  await Peer.open({ node: "https://node.example" });
  // @ts-expect-error: records are plain data; bytes are in `data`.
  record.bytes.length;
  await same.delete(record, { here: true });
  // @ts-expect-error: a number is no text.
  await same.publish("chat.message", { text: 7 });
  // @ts-expect-error: the application has no such type of records.
  await same.publish("chat.massage", { text: "Olá" });
  // @ts-expect-error: an unknown role.
  await group.invite({ role: "king" });

  await same.publish("trip.place", { name: "Sintra", days: 2 }, { expiresIn: "1h", refresh: true });
  await group.present({ attributes: { mood: "busy", since: new Date() }, forced: true });

  const names = [text];
  for (const { peer, attributes } of await group.nodes()) names.push(peer.name, String(attributes.mood));
  group.addEventListener("presence", ({ detail: { node, change } }) => {
    // @ts-expect-error: nodes come, change and go.
    if (change === "left") names.push(node.id);
  });
  await init({ wasm: new URL("https://node.example/peergraph_web_bg.wasm"), signal });
  const watching = { order: "newest", limit: 50, onStored: () => names.push("all"), signal } as const;
  for await (const place of group.watch("trip.place", watching)) {
    names.push(place.data.name, place.creator.name);
    // @ts-expect-error: places have no text.
    names.push(place.data.text);
  }
  peer.addEventListener("storage", (event) => names.push(event.detail.error.hint));
  return names;
}

/** Without a type of its own, an application publishes what it likes. */
export async function useUntyped(group: Group<Payloads>): Promise<void> {
  await group.publish("anything.at-all", [1, "two"]);
}

export function isLocked(error: unknown): boolean {
  if (!(error instanceof PeergraphError)) return false;
  const code: ErrorCode = error.code;
  // @ts-expect-error: the codes are a closed union.
  if (code === "no-such-code") return false;
  return code === "locked";
}

/** The part of a group that state libraries keep: plain values. */
export async function figures(group: Group<Trip>): Promise<string> {
  const { records, nodes, signature, clockShiftMs } = await group.info();
  return JSON.stringify([records + nodes + clockShiftMs, signature, group.statusOf("a")]);
}

/** The results of one function are taken by another one. */
export async function passesOn(peer: Peer): Promise<string | undefined> {
  await identities.restore(await peer.backup("correct horse"), "correct horse");
  return (await verify(peer.identityDocument(), "Olá", peer.sign("Olá")))?.name;
}

export async function broadcast(group: Group<Trip>, signal: AbortSignal): Promise<void> {
  const stop: () => void = group.on("cursor", ({ from, node, data }) => console.log(from.name, node, data.x), { signal });
  await group.broadcast("cursor", { x: 3 }, { signal });
  await group.broadcast("frame", new Uint8Array(3), { mediaType: "image/png" });
  // @ts-expect-error: it has no life.
  await group.broadcast("cursor", 1, { expiresIn: "1h" });
  group.addEventListener("broadcast", ({ detail }) => console.log(detail.type, detail.mediaType));
  stop();
}

export async function direct(group: Group<Trip>, signal: AbortSignal): Promise<void> {
  group.addEventListener("direct", async ({ detail: { change, request, direct, error } }) => {
    if (change === "asked") console.log((await request?.accept({ signal }))?.purpose);
    console.log(direct?.peer.name, error?.code === "lost");
    // @ts-expect-error: it is asked, connected or closed.
    if (change === "open") await request?.refuse("no");
  });
  await group.admitDirects({ role: "player" }, { signal });
  const [member] = await group.members();
  const direct = await group.direct(member!, { purpose: "chess", signal });
  const stop: () => void = direct.on("move", ({ data, type }) => console.log(type, data.x), { signal });
  await direct.send("move", { x: 3 }, { latest: true });
  const score: number = await direct.call("score", { round: 3 }, { within: "5s", signal });
  for await (const part of direct.responses("log", null)) console.log(part, score);
  const { readable, writable } = await direct.stream("log");
  await readable.pipeTo(writable);
  const end: () => Promise<void> = await group.serve("score", async ({ data, from, signal }) => [data, from.name, signal.aborted]);
  await end();
  stop();
  // @ts-expect-error: options that there are not are refused.
  await group.direct("a peer id", { reason: "chess" });
  await direct.close();
}
