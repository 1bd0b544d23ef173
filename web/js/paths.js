/**
 * Notices what the browser tells of the network and of the page's sleep. The node decides what is done about it: it asks
 * on every link whether the other end is still there.
 */

/** A page that was hidden for less is not asked about. Guess: no browser freezes it so soon. Milliseconds. */
const HIDDEN_MS_MIN = 5_000;

export class Paths {
  #told;
  #hidden = null;
  #type;
  #connection = globalThis.navigator?.connection;

  /** `told(gone)`: whether the path that there was is gone for certain. */
  constructor(told) {
    this.#told = told;
    this.#type = this.#connection?.type;
    addEventListener("online", this.#online);
    addEventListener("offline", this.#offline);
    addEventListener("pageshow", this.#shown);
    globalThis.document?.addEventListener("visibilitychange", this.#visible);
    this.#connection?.addEventListener?.("change", this.#other);
  }

  close() {
    removeEventListener("online", this.#online);
    removeEventListener("offline", this.#offline);
    removeEventListener("pageshow", this.#shown);
    globalThis.document?.removeEventListener("visibilitychange", this.#visible);
    this.#connection?.removeEventListener?.("change", this.#other);
  }

  #online = () => this.#told(false);
  #offline = () => this.#told(true);

  /** A page that comes back from the cache of the browser was frozen meanwhile. */
  #shown = (event) => {
    if (event.persisted) this.#told(false);
  };

  #visible = () => {
    if (document.visibilityState === "hidden") {
      this.#hidden = performance.now();
    } else if (this.#hidden !== null) {
      const hidden = performance.now() - this.#hidden;
      this.#hidden = null;
      if (hidden >= HIDDEN_MS_MIN) this.#told(false);
    }
  };

  /** Chromium estimates speeds anew every few seconds, which is no other network. */
  #other = () => {
    const type = this.#connection.type;
    if (type === this.#type) return;
    this.#type = type;
    this.#told(true);
  };
}
