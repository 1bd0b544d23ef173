// Loads the module, and finds out what the browser lacks.
import { PeergraphError } from "./errors.js";

let loading = null;

/** Loads the module once; a failure can be tried again. */
export function load() {
  loading ??= (async () => {
    const module = await import("./peergraph_web.js");
    await module.default({ module_or_path: new URL("./peergraph_web_bg.wasm", import.meta.url) });
    return module;
  })().catch((cause) => {
    loading = null;
    throw new PeergraphError("load-failed", `the WebAssembly module cannot be loaded: ${cause.message}`, {
      hint: "check that peergraph_web_bg.wasm is served beside the scripts, "
        + "and that the page's Content-Security-Policy has 'wasm-unsafe-eval'",
      cause,
    });
  });
  return loading;
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
