// Loads the module, and finds out what the browser lacks.
import { PeergraphError, badArgument, optionsOf, waitFor } from "./errors.js";

/** The bytes with which every module begins. */
const MAGIC = [0x00, 0x61, 0x73, 0x6d];

let loading = null;
/** The module that `peergraph/inline` brings. */
let offered = null;

/** Loads the module once; a failure can be tried again. */
export function load() {
  return loading ??= begin(find);
}

/** Loads the module now, and from where the application says. The first load decides. */
export async function init(options) {
  const { wasm, signal } = optionsOf(options, ["wasm", "signal"], "init");
  if (wasm !== undefined && !isSource(wasm)) {
    throw badArgument("wasm is bytes, a Response (or a promise of one), a URL, or a WebAssembly.Module");
  }
  const source = wasm === undefined ? find : () => fromFile(wasm).then((bytes) => bytes ?? wasm);
  await waitFor(loading ??= begin(source), signal);
}

/** The module as `peergraph/inline` has it: its glue, and its bytes as text. */
export function offer(glue, text) {
  offered = { glue, text };
}

async function begin(source) {
  try {
    const glue = offered?.glue ?? await import("./peergraph_web.js");
    await glue.default({ module_or_path: await source() });
    return glue;
  } catch (cause) {
    loading = null;
    throw new PeergraphError("load-failed", `the WebAssembly module cannot be loaded: ${cause.message}`, {
      hint: "check that peergraph_web_bg.wasm is served beside the scripts, or give it to init({ wasm }), "
        + "and that the page's Content-Security-Policy has 'wasm-unsafe-eval'",
      cause,
    });
  }
}

function isSource(wasm) {
  const named = Object.prototype.toString.call(wasm).slice(8, -1);
  return typeof wasm === "string" || typeof wasm?.then === "function" || ArrayBuffer.isView(wasm)
    || ["ArrayBuffer", "Response", "URL", "WebAssembly.Module"].includes(named);
}

/**
 * The module, as it is at hand: in this package; as the file beside this script, which bundlers of most kinds take
 * along; or else in a script of this package, which all of them do.
 */
async function find() {
  if (offered) return unpack(offered.text);
  const url = besides();
  const found = url && (await fromFile(url) ?? await fetched(url));
  return found ?? unpack((await import("./peergraph_web_inline.js")).default);
}

function besides() {
  try {
    return new URL("./peergraph_web_bg.wasm", import.meta.url);
  } catch {
    // A bundle that is not a module does not know where it is.
    return null;
  }
}

/** The bytes of a file, if this is Node, which does not fetch files. */
async function fromFile(url) {
  if (!String(url).startsWith("file:")) return null;
  try {
    return await globalThis.process.getBuiltinModule("node:fs/promises").readFile(new URL(url));
  } catch {
    return null;
  }
}

/** The module at a URL, if there is one. A development server may answer with its page, and a bundle with nothing. */
async function fetched(url) {
  try {
    const answer = await fetch(url);
    if (!answer.ok) return null;
    // Compiled while it comes.
    if (/^application\/wasm\b/.test(answer.headers.get("content-type"))) return answer;
    const bytes = new Uint8Array(await answer.arrayBuffer());
    return MAGIC.every((byte, at) => bytes[at] === byte) ? bytes : null;
  } catch {
    return null;
  }
}

async function unpack(text) {
  const packed = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const bytes = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(bytes).arrayBuffer();
}

let asked = false;

/** Asks the browser once not to throw the data of this site away when it needs room. It may ask its user. */
export function askToPersist() {
  const storage = globalThis.navigator?.storage;
  if (asked || !storage?.persist) return;
  asked = true;
  // The answer changes nothing here, and some browsers throw in frames.
  storage.persisted().then((kept) => kept || storage.persist()).catch(() => {});
}

const lack = (code, message, hint) => { throw new PeergraphError(code, message, { hint }); };

/** Finds out what the browser lacks for a peer before anything is made. */
export function checkBrowser() {
  if (typeof window === "undefined" || typeof document === "undefined") {
    lack("not-a-browser", "a peer can be opened only in a window of a browser",
      "open it in the page: servers and workers have no WebRTC");
  }
  checkSecure();
  try {
    new RTCPeerConnection().close();
  } catch {
    lack("no-webrtc", "this browser has no WebRTC, or it is switched off",
      "switch WebRTC on in the settings or extensions of the browser, or use another one");
  }
  checkStorage();
}

/** Finds out what the browser lacks to keep identities. */
export function checkKeeping() {
  if (typeof window === "undefined") {
    lack("not-a-browser", "identities are kept in a window of a browser", "open the page in one");
  }
  checkSecure();
  checkStorage();
}

function checkSecure() {
  if (!window.isSecureContext || !navigator.locks || !crypto.subtle) {
    lack("insecure-page", "this page did not come over a secure connection",
      "serve it over HTTPS, or open it from localhost");
  }
}

function checkStorage() {
  let database = null;
  try {
    database = window.indexedDB;
  } catch {
    // Some browsers throw where site data are forbidden.
  }
  if (!database) {
    lack("no-indexeddb", "this browser has no IndexedDB for this page, or it is switched off",
      "allow this site to store data, or leave private mode");
  }
}
