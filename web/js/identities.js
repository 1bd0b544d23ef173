// The identities of this origin, and what they sign.
import { badArgument, checkSignal, waitFor } from "./errors.js";
import { checkKeeping, load } from "./load.js";

/** The database that is meant when none is named. */
export const STORAGE = "peergraph";
const NOTHING = new Uint8Array();

/** Does something with the list of identities. */
async function act(action, { storage = STORAGE, signal } = {}, bytes = NOTHING) {
  checkSignal(signal);
  checkKeeping();
  return waitFor(load().then((module) => module.identities(storage, action, bytes)), signal);
}

/** Bytes as they are, text as UTF-8. */
export function bytesOf(message) {
  if (typeof message === "string") return new TextEncoder().encode(message);
  if (message instanceof ArrayBuffer) return new Uint8Array(message);
  if (ArrayBuffer.isView(message)) return new Uint8Array(message.buffer, message.byteOffset, message.byteLength);
  throw badArgument("a message is bytes or text");
}

export const identities = Object.freeze({
  async list(options) {
    return Object.freeze((await act({ action: "list" }, options)).map(Object.freeze));
  },
  async create({ name, classifier = "", ...options }) {
    return Object.freeze(await act({ action: "create", name: String(name ?? ""), classifier }, options));
  },
  async rename(who, { name = null, classifier = null, ...options }) {
    return Object.freeze(await act({ action: "rename", who, name, classifier }, options));
  },
  async default(options) {
    const found = await act({ action: "default", who: null }, options);
    return found && Object.freeze(found);
  },
  async setDefault(who, options) {
    return Object.freeze(await act({ action: "default", who }, options));
  },
  async delete(who, options) {
    await act({ action: "delete", who }, options);
  },
  async export(who, password, options) {
    return act({ action: "export", who, password: String(password) }, options);
  },
  async import(file, password, options) {
    const action = { action: "import", file: String(file), password: String(password) };
    return Object.freeze(await act(action, options));
  },
  async document(who, options) {
    return act({ action: "document", who }, options);
  },
  async name(who, { classifier = null, ...options } = {}) {
    return Object.freeze(await act({ action: "name", who, classifier }, options));
  },
  async sign(who, message, options) {
    return act({ action: "sign", who }, options, bytesOf(message));
  },
});

/** Who signed `message`, if it is the identity of `document`; else null. */
export async function verify(document, message, signature) {
  const [text, bytes, signed] = [String(document), bytesOf(message), bytesOf(signature)];
  const found = await waitFor(load().then((module) => module.verify(text, bytes, signed)));
  if (!found) return null;
  const { default: _, ...who } = found;
  return Object.freeze(who);
}

/** A peer name, given in either form, in both. */
export async function peerName(text) {
  return Object.freeze(await waitFor(load().then((module) => module.peerName(String(text)))));
}
