/**
 * `peergraph` with its WebAssembly module inside: nothing is fetched. A third larger, and the browser keeps no compiled
 * module: for a page in one file, an extension, or where no second file can be served.
 */
export * from "./index.js";
