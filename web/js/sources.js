// Values of a peer that change, in the form that frameworks take. For the adapters of React, Svelte and Vue.

const NOTHING = Object.freeze([]);
const NO_RECORDS = Object.freeze({ value: NOTHING, loaded: false, error: null, unsearched: 0 });

/**
 * A value that changes. It begins to follow what it is about when somebody subscribes, and ends when nobody does any more. So a
 * component that is made and never shown costs nothing.
 */
export class Source {
  #begin;
  #value;
  #listeners = new Set();
  #end = null;

  /** `begin` gets a function that sets the value, and gives one that ends what it began. */
  constructor(initial, begin) {
    this.initial = initial;
    this.#value = initial;
    this.#begin = begin;
  }

  /** The value: the same object until it is another. */
  get = () => this.#value;

  subscribe = (listener) => {
    // A listener that subscribes twice is told twice.
    const own = () => listener();
    this.#listeners.add(own);
    if (!this.#end) {
      let ended = false;
      const end = this.#begin((value) => { if (!ended) this.#set(value); });
      this.#end = () => {
        ended = true;
        end();
      };
    }
    return () => {
      this.#listeners.delete(own);
      // A framework may subscribe again at once, as React does in its strict mode.
      queueMicrotask(() => {
        if (this.#listeners.size > 0 || !this.#end) return;
        this.#end();
        this.#end = null;
      });
    };
  };

  #set(value) {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    for (const listener of [...this.#listeners]) listener();
  }
}

/** A source of nothing, where there is nothing to follow yet. */
const still = (value) => new Source(value, () => () => {});

/** The value that `read` gives, now and after each of these events of `target`. */
function reading(target, types, initial, read) {
  return new Source(initial, (set) => {
    let [running, again, ended] = [false, false, false];
    const run = async () => {
      if (running) {
        again = true;
        return;
      }
      running = true;
      do {
        again = false;
        try {
          const value = await read();
          if (!ended) set(value);
        } catch {
          // Closed: what was read last stays.
        }
      } while (again && !ended);
      running = false;
    };
    for (const type of types) target.addEventListener(type, run);
    run();
    return () => {
      ended = true;
      for (const type of types) target.removeEventListener(type, run);
    };
  });
}

/** An open peer, or `null`; and the error if it could not be opened. `open` opens it. */
export function peerSource(open) {
  return new Source({ peer: null, error: null }, (set) => {
    let ended = false;
    const opening = open();
    opening.then((peer) => { if (!ended) set({ peer, error: null }); }, (error) => set({ peer: null, error }));
    return () => {
      ended = true;
      set({ peer: null, error: null });
      opening.then((peer) => peer.close()).catch(() => {});
    };
  });
}

export const groupsSource = (peer) =>
  peer ? reading(peer, ["group", "closed"], NOTHING, () => peer.groups()) : still(NOTHING);

export function querySource(group, query, options) {
  if (!group) return still(NO_RECORDS);
  return new Source(NO_RECORDS, (set) => {
    const live = group.query(query, options);
    const leave = live.subscribe(() => {
      const { value, loaded, error, unsearched } = live;
      if (loaded || error) set(Object.freeze({ value, loaded, error, unsearched }));
    });
    return () => {
      leave();
      live.close();
    };
  });
}

const listOf = (types, read) => (group) =>
  group ? reading(group, types, NOTHING, () => read(group)) : still(NOTHING);

export const membersSource = listOf(["member", "group", "presence"], (group) => group.members());
export const presenceSource = listOf(["presence"], (group) => group.nodes());
export const neighboursSource = listOf(["neighbour"], (group) => group.neighbours());

export function statusSource(group, record) {
  if (!group || !record) return still(null);
  const { id } = record;
  return new Source(group.statusOf(id), (set) => {
    const tell = (event) => { if (!event || event.detail.id === id) set(group.statusOf(id)); };
    group.addEventListener("status", tell);
    tell();
    return () => group.removeEventListener("status", tell);
  });
}
