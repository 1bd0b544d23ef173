// Peers of one storage are opened and closed one after the other in a page: two of them would ask for one lock.

/** By storage, the opening that was begun last. */
const openings = new Map();
/** By storage, what is being closed. */
const closings = new Map();

const settled = (promise) => promise.then(() => {}, () => {});

/** Runs `open` when what this page began before with this storage has come to its end. */
export function inTurn(storage, open) {
  const before = openings.get(storage);
  const opening = (async () => {
    if (before) {
      await before;
      // The page hears of that peer first, and may close it at once.
      await new Promise((done) => setTimeout(done));
    }
    await Promise.all(closings.get(storage) ?? []);
    return open();
  })();
  const ended = settled(opening).finally(() => {
    if (openings.get(storage) === ended) openings.delete(storage);
  });
  openings.set(storage, ended);
  return opening;
}

/** Has openings of this storage wait for `closed`, and gives it back. */
export function closing(storage, closed) {
  const all = closings.get(storage) ?? new Set();
  closings.set(storage, all);
  const ended = settled(closed).finally(() => {
    all.delete(ended);
    if (all.size === 0) closings.delete(storage);
  });
  all.add(ended);
  return closed;
}
