// A server that imports the package, as one does that renders pages. Prints what it saw as JSON; that
// it ends by itself shows that the import left nothing running.

const before = new Set(Reflect.ownKeys(globalThis));
const { Peer, PeergraphError } = await import("peergraph");
const added = Reflect.ownKeys(globalThis).filter((key) => !before.has(key)).map(String);

const error = await Peer.open({ name: "Ada" }).then(() => ({}), (error) => error);
console.log(JSON.stringify({
  added,
  error: {
    isPeergraphError: error instanceof PeergraphError,
    name: error.name,
    code: error.code,
    message: error.message,
    hint: error.hint,
  },
}));
