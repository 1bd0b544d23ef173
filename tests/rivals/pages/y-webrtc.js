// Yjs over y-webrtc: a shared array, and the project's own signalling server.
import { WebrtcProvider } from "y-webrtc";
import * as Y from "yjs";

let texts, server;

export async function open(options) {
  server = options.server;
}

export async function make({ place, text }) {
  await enter({ place, text });
  return place;
}

export async function enter({ place, text }) {
  const doc = new Y.Doc();
  texts = doc.getArray("texts");
  texts.observe((event) => {
    for (const { insert } of event.changes.delta) insert?.forEach((text) => globalThis.came(text));
  });
  // Pages of one browser would meet without WebRTC; these are of two browsers.
  new WebrtcProvider(place, doc, { signaling: [server], filterBcConns: false });
  texts.push([text]);
}

export function say(text) {
  texts.push([text]);
}
