// Ours: a group, an invitation, records of a type. See `pages.mjs` for what each function has to do.
const { Peer } = await import("/peergraph/index.js");
const TYPE = "chat.message";
let group;

export async function open({ server, storage, name }) {
  globalThis.peer = await Peer.open({ name, nodes: [server], storage });
}

export async function make({ text }) {
  group = await globalThis.peer.createGroup({ name: "Rivals" });
  watch();
  await group.publish(TYPE, text);
  return (await group.invite()).link;
}

export async function enter({ place, text }) {
  group = await globalThis.peer.join(place);
  watch();
  say(text);
}

export function say(text) {
  group.publish(TYPE, text);
}

async function watch() {
  for await (const { data } of group.watch(TYPE)) globalThis.came(data);
}
