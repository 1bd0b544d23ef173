// Objects that tell applications of something.

// On a server there may be none; nothing is made there.
const Base = globalThis.EventTarget ?? class {};

/** An event target that makes no event of a type for which nobody ever listened. */
export class Speaker extends Base {
  #heard = new Set();
  #onHeard;

  /** `onHeard` is told when somebody listens for a type first. */
  constructor(onHeard = () => {}) {
    super();
    this.#onHeard = onHeard;
  }

  addEventListener(type, ...rest) {
    super.addEventListener(type, ...rest);
    const name = String(type);
    if (this.#heard.has(name)) return;
    this.#heard.add(name);
    this.#onHeard(name);
  }

  // The method below is for the other modules of this package, and not in its types.

  tell(type, detail) {
    if (this.#heard.has(type)) this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
