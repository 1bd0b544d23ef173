/**
 * Secure, serverless groups for browsers.
 *
 * Importing this module on a server does nothing. Everything begins with {@link Peer.open}. Options that are not
 * described here are refused with `"bad-argument"`.
 */

import type { Peer } from "./peer.js";
import type { Waits } from "./waits.js";

export * from "./direct.js";
export * from "./errors.js";
export * from "./group.js";
export * from "./identities.js";
export * from "./invitation.js";
export * from "./links.js";
export * from "./membership.js";
export * from "./peer.js";
export * from "./record.js";
export * from "./search.js";
export * from "./waits.js";

/** Where the bytes of the WebAssembly module are: the bytes, an answer that brings them, an address, or compiled. */
export type WasmSource = BufferSource | Response | Promise<Response> | URL | string | WebAssembly.Module;

/**
 * Loads the module now, and from `wasm` if it is given; otherwise everything that needs it loads it. By itself it is
 * fetched as the file beside the scripts, which most bundlers take along, or else imported as a script. The first
 * load decides; later calls wait for it. Fails with `"load-failed"`; can be tried again then.
 */
export function init(options?: { wasm?: WasmSource } & Waits): Promise<void>;
