// Trystero over an MQTT broker. It stores nothing: the peers that are there send a newcomer what
// was said.
import { joinRoom } from "@trystero-p2p/mqtt";

const said = [];
let room, message, server;

export async function open(options) {
  server = options.server;
}

export async function make({ place, text }) {
  await enter({ place, text });
  return place;
}

export async function enter({ place, text }) {
  room = joinRoom({ appId: "rivals", relayConfig: { urls: [server] }, relayUrls: [server] }, place);
  message = room.makeAction("message");
  message.onMessage = (texts) => texts.forEach((text) => globalThis.came(text));
  said.push(text);
  room.onPeerJoin = (peer) => message.send(said, { target: peer });
}

export function say(text) {
  said.push(text);
  message.send([text]);
}
