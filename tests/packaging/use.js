// The use of the package by every page under test. The test calls the two functions in turn.

import { Peer, PeergraphError } from "peergraph";

/** The addresses of the modules' bytes that this page has fetched. */
window.fetchedModules = () =>
  performance.getEntriesByType("resource").map((entry) => entry.name)
    .filter((name) => new URL(name).pathname.endsWith(".wasm"));

/** Publishes a record in a group of one's own and reads it back; says what came. */
window.useThePackage = async () => {
  const peer = await Peer.open({ name: "Ada" });
  try {
    const group = await peer.createGroup({ name: "Trip to Lisbon" });
    await group.publish("chat.message", { text: "Olá" });
    for await (const record of group.watch("chat.message")) {
      return { text: record.data.text, creator: record.creator.name };
    }
    throw new PeergraphError("the watch ended");
  } finally {
    await peer.close();
  }
};
