// The identities of this origin, and what they sign.
import { badArgument, checkSignal, optionsOf, waitFor } from "./errors.js";
import { checkKeeping, load } from "./load.js";
import { readBlob } from "./record.js";

/** The database that is meant when none is named. */
export const STORAGE = "peergraph";
const NOTHING = new Uint8Array();

/** Options that every function takes, beside those that it names. */
const COMMON = ["storage", "signal"];

/** Does something with the list of identities. `action` makes of the options what is to be done. */
async function act(name, options, action, { bytes = NOTHING, own = [] } = {}) {
  const given = optionsOf(options, [...own, ...COMMON], `identities.${name}`);
  const { storage = STORAGE, signal } = given;
  checkSignal(signal);
  checkKeeping();
  return waitFor(load().then((module) => module.identities(storage, action(given), bytes)), signal);
}

/** Bytes as they are, text as UTF-8. */
export function bytesOf(message) {
  if (typeof message === "string") return new TextEncoder().encode(message);
  if (message instanceof ArrayBuffer) return new Uint8Array(message);
  if (ArrayBuffer.isView(message)) return new Uint8Array(message.buffer, message.byteOffset, message.byteLength);
  throw badArgument("a message is bytes or text");
}

/** The bytes of a backup: what `peer.backup` made, or a file that a person chose. */
async function backupOf(file) {
  if (file instanceof Blob) return readBlob(file);
  if (file instanceof ArrayBuffer || ArrayBuffer.isView(file)) return bytesOf(file);
  throw badArgument("a backup is bytes, or a Blob");
}

export const identities = Object.freeze({
  async list(options) {
    return Object.freeze((await act("list", options, () => ({ action: "list" }))).map(Object.freeze));
  },
  async create(options) {
    const own = ["name", "classifier"];
    const action = ({ name, classifier = "" }) => ({ action: "create", name: String(name ?? ""), classifier });
    return Object.freeze(await act("create", options, action, { own }));
  },
  async rename(who, options) {
    const own = ["name", "classifier"];
    const action = ({ name = null, classifier = null }) => ({ action: "rename", who, name, classifier });
    return Object.freeze(await act("rename", options, action, { own }));
  },
  async default(options) {
    const found = await act("default", options, () => ({ action: "default", who: null }));
    return found && Object.freeze(found);
  },
  async setDefault(who, options) {
    return Object.freeze(await act("setDefault", options, () => ({ action: "default", who })));
  },
  async delete(who, options) {
    await act("delete", options, () => ({ action: "delete", who }));
  },
  async export(who, password, options) {
    return act("export", options, () => ({ action: "export", who, password: String(password) }));
  },
  async import(file, password, options) {
    const action = { action: "import", file: String(file), password: String(password) };
    return Object.freeze(await act("import", options, () => action));
  },
  async restore(file, password, options) {
    const bytes = await backupOf(file);
    const action = { action: "restore", password: String(password) };
    return Object.freeze(await act("restore", options, () => action, { bytes }));
  },
  async document(who, options) {
    return act("document", options, () => ({ action: "document", who }));
  },
  async name(who, options) {
    const action = ({ classifier = null }) => ({ action: "name", who, classifier });
    return Object.freeze(await act("name", options, action, { own: ["classifier"] }));
  },
  async sign(who, message, options) {
    return act("sign", options, () => ({ action: "sign", who }), { bytes: bytesOf(message) });
  },
});

/** The signer of `message`, if it is the identity of `document`; else null. */
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
