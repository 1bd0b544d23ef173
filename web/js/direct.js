// Direct links to other members, as applications see them: messages, calls, streams.
import { PeergraphError, badArgument, checkSignal, errorOf, optionsOf, waitFor } from "./errors.js";
import { peerOf } from "./membership.js";
import { decodePayload, encodePayload, readBlob, spanMs } from "./record.js";
import { Speaker } from "./speaker.js";

const WAITS = ["signal"];
/** Bytes that are written, or read, at once. As many as the core takes. */
const PIECE = 64 * 1024;
/** The ends of what is as it should be. */
const ENDS = ["closed", "closed-there", "unknown-direct"];
const MESSAGES = 0;

/** A name that no other direct link has. */
const drawId = () => crypto.getRandomValues(new BigUint64Array(1))[0].toString();

/** Asks the module. `at` is a direct link or a group; what an operation needs of the rest, `convert/direct.rs` says. */
function tell(handle, op, at, { channel = 0, text = "", to = "", bytes, mediaType, number = 0 } = {}) {
  return handle.direct(op, at, channel, text, to, bytes, mediaType ?? undefined, number);
}

/** The payload of a message, request or response, in bytes. */
async function payloadOf(data, wanted) {
  const { bytes, mediaType } = encodePayload(data, wanted);
  return { bytes: bytes instanceof Uint8Array ? bytes : await readBlob(bytes), mediaType };
}

const valueOf = ({ bytes, mediaType }) => decodePayload(bytes, mediaType ?? null);

/** Made by `Group` alone. */
export class Direct extends Speaker {
  #group;
  #handle;
  #info;
  #error = null;
  #over = false;
  #end;
  #closed;
  #listening = false;

  constructor(group, handle, info) {
    super((type) => this.#listen(type));
    this.#group = group;
    this.#handle = handle;
    this.#info = info;
    this.#closed = new Promise((resolve) => { this.#end = resolve; });
  }

  get id() { return this.#info.id; }
  get group() { return this.#group; }
  get peer() { return this.#group.person(this.#info.peer); }
  get node() { return this.#info.node; }
  get purpose() { return this.#info.purpose; }
  get ours() { return this.#info.ours; }
  /** Settles when it is over: with the error that ended it, or nothing. */
  get closed() { return this.#closed; }

  #tell(op, given) {
    return tell(this.#handle, op, this.id, given);
  }

  async #ask(begin, signal) {
    checkSignal(signal);
    if (this.#over) throw this.#error ?? new PeergraphError("closed", "this direct link is closed");
    return waitFor(begin(), signal);
  }

  async send(type, data, options) {
    const { latest = false, mediaType, signal } =
      optionsOf(options, ["latest", "mediaType", ...WAITS], "direct.send");
    const send = ({ bytes, mediaType }) =>
      this.#tell("send", { text: String(type), bytes, mediaType, number: Number(latest) });
    await this.#ask(() => payloadOf(data, mediaType).then(send), signal);
  }

  on(type, listener, options) {
    const { signal } = optionsOf(options, WAITS, "direct.on");
    if (typeof listener !== "function") throw badArgument("listener is a function");
    const hear = ({ detail }) => { if (detail.type === type) listener(detail); };
    this.addEventListener("message", hear, { signal });
    return () => this.removeEventListener("message", hear);
  }

  /** Takes what comes, from when somebody listens for it. */
  #listen(type) {
    if (type === "message" && !this.#listening) {
      this.#listening = true;
      this.#take("receive", (raw) => ({
        direct: this, type: raw.kind, data: valueOf(raw), mediaType: raw.mediaType ?? null,
      }), "message");
    }
  }

  async #take(op, read, type) {
    try {
      for (;;) this.tell(type, read(await this.#tell(op)));
    } catch (error) {
      // The end is told by `closed`; anything else would be a fault of ours.
      if (!this.#over && errorOf(error).code === "internal") throw error;
    }
  }

  async call(name, data, options) {
    const responses = this.responses(name, data, options);
    const { value, done } = await responses.next();
    await responses.return();
    if (done) throw new PeergraphError("reset", "the other end has given no response");
    return value;
  }

  /** All responses to a call, one after the other. */
  async* responses(name, data, options) {
    const { within, mediaType, signal } =
      optionsOf(options, ["within", "mediaType", ...WAITS], "direct.call");
    const number = within === undefined ? 0 : Math.max(1, spanMs(within, "within"));
    const begin = ({ bytes, mediaType }) =>
      this.#tell("call", { text: String(name), bytes, mediaType, number });
    const channel = await this.#ask(() => payloadOf(data, mediaType).then(begin), signal);
    let over = false;
    try {
      for (;;) {
        const raw = await this.#ask(() => this.#tell("response", { channel }), signal);
        if (!raw) break;
        yield valueOf(raw);
      }
      over = true;
    } finally {
      if (!over) this.#tell("reset", { channel }).catch(() => {});
    }
  }

  async stream(name, options) {
    const { signal } = optionsOf(options, WAITS, "direct.stream");
    const channel = await this.#ask(() => this.#tell("stream", { text: String(name) }), signal);
    return this.#stream(channel, String(name));
  }

  /** The streams that the other end begins. */
  async* streams(options) {
    const { signal } = optionsOf(options, WAITS, "direct.streams");
    while (!this.#over) {
      let next;
      try {
        next = await this.#ask(() => this.#tell("next-stream"), signal);
      } catch (error) {
        if (ENDS.includes(error.code)) return;
        throw error;
      }
      yield this.#stream(next.stream, next.name);
    }
  }

  #stream(channel, name) {
    const ask = (op, given) => this.#tell(op, { channel, ...given }).catch((error) => { throw errorOf(error); });
    const reset = (reason) => this.#tell("reset", { channel, text: reason === undefined ? "" : String(reason?.message ?? reason) })
      .catch(() => {});
    const readable = new ReadableStream({
      pull: async (controller) => {
        const bytes = await ask("read", { number: PIECE });
        if (bytes.length > 0) controller.enqueue(bytes);
        else controller.close();
      },
      cancel: reset,
    }, { highWaterMark: 0 });
    const writable = new WritableStream({
      write: async (chunk) => {
        const { bytes } = await payloadOf(typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk);
        for (let at = 0; at < bytes.length; at += PIECE) {
          await ask("write", { bytes: bytes.subarray(at, at + PIECE) });
        }
      },
      close: () => ask("finish"),
      abort: reset,
    });
    return Object.freeze({ name, readable, writable });
  }

  async close() {
    if (this.#over) return;
    try {
      await this.#tell("close");
    } catch (thrown) {
      const error = errorOf(thrown);
      if (!ENDS.includes(error.code)) throw error;
    }
  }

  async [Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() {
    await this.close();
  }

  // The methods below are for the other modules of this package, and not in its types.

  end(error) {
    if (this.#over) return;
    this.#over = true;
    this.#error = error;
    const told = error && !ENDS.includes(error.code) ? error : null;
    this.#end(told);
    this.tell("closed", { direct: this, error: told });
  }
}

/** The direct links of a group. */
export class Directs {
  #group;
  #handle;
  #open = new Map();
  /** The members that may open direct links, if the application has said so. */
  #admitted = null;

  constructor(group, handle) {
    this.#group = group;
    this.#handle = handle;
  }

  get list() { return [...this.#open.values()]; }

  #direct(info) {
    let direct = this.#open.get(info.id);
    if (!direct) {
      direct = new Direct(this.#group, this.#handle, info);
      this.#open.set(info.id, direct);
    }
    return direct;
  }

  async open(member, options) {
    const { purpose = "", node, signal } = optionsOf(options, ["purpose", "node", ...WAITS], "group.direct");
    checkSignal(signal);
    const [id, to] = [drawId(), node ?? peerOf(member)];
    const whom = `${node === undefined ? "peer" : "node"} ${to} ${id}`;
    try {
      const opened = tell(this.#handle, "open", this.#group.id, { text: String(purpose), to: whom });
      return this.#direct(await waitFor(opened, signal));
    } catch (error) {
      // The answer may still come.
      if (error.code === "aborted") tell(this.#handle, "close", id).catch(() => {});
      throw error;
    }
  }

  async admit(who, options) {
    const { signal } = optionsOf(options, WAITS, "group.admitDirects");
    const role = typeof who === "object" ? who?.role : undefined;
    if (!["ask", "members", "nobody"].includes(who) && typeof role !== "string") {
      throw badArgument('who is "ask", "members", "nobody", or { role }');
    }
    const given = role === undefined ? { text: who } : { text: "role", to: role };
    await waitFor(tell(this.#handle, "admit", this.#group.id, given), signal);
    this.#admitted = given;
  }

  async serve(name, handler, options) {
    const { signal } = optionsOf(options, WAITS, "group.serve");
    if (typeof handler !== "function") throw badArgument("handler is a function");
    checkSignal(signal);
    const text = String(name);
    await waitFor(tell(this.#handle, "serve", this.#group.id, { text }), signal);
    let stopped = false;
    const stop = async () => {
      if (stopped) return;
      stopped = true;
      signal?.removeEventListener("abort", stop);
      await tell(this.#handle, "stop-serving", this.#group.id, { text }).catch(() => {});
    };
    signal?.addEventListener("abort", stop, { once: true });
    this.#answerAll(text, handler, () => stopped);
    return stop;
  }

  async #answerAll(text, handler, isStopped) {
    while (!isStopped()) {
      let call;
      try {
        call = await tell(this.#handle, "next-call", this.#group.id, { text });
      } catch (error) {
        // It is served no longer, or the peer is closed; or another tab has the node now.
        if (error.code !== "tab-closed") return;
        await tell(this.#handle, "serve", this.#group.id, { text }).catch(() => {});
        continue;
      }
      this.#answer(call, handler);
    }
  }

  async #answer(call, handler) {
    const at = (op, given) => tell(this.#handle, op, call.id, { channel: call.call, ...given });
    const controller = new AbortController();
    let over = false;
    // Ends when the caller gives up, or the last response is there.
    at("response").catch(() => {}).then(() => { if (!over) controller.abort(); });
    const respond = async (value, last) => {
      const { bytes, mediaType } = await payloadOf(value === undefined ? null : value);
      await at("respond", { bytes, mediaType, number: Number(last) });
    };
    try {
      const answer = await handler(Object.freeze({
        from: this.#group.person(call.peer), node: call.node, data: valueOf(call), mediaType: call.mediaType ?? null,
        within: call.within ?? null, signal: controller.signal,
      }));
      if (typeof answer?.[Symbol.asyncIterator] === "function") {
        for await (const value of answer) await respond(value, false);
        over = true;
        await at("finish");
      } else {
        over = true;
        await respond(answer, true);
      }
    } catch (error) {
      over = true;
      const ours = error instanceof PeergraphError || typeof error?.code === "string";
      // The words of the application's own errors go to the caller.
      if (!ours) at("reset", { text: String(error?.message ?? error).slice(0, 80) }).catch(() => {});
      else at("reset").catch(() => {});
    }
  }

  /** The details of an event, made of news. */
  details({ direct: info, change, error: raw }) {
    const group = this.#group;
    const error = raw ? errorOf(raw) : null;
    if (change === "asked") return { group, change, request: this.#request(info), direct: null, error };
    if (change === "connected") return { group, change, request: null, direct: this.#direct(info), error };
    const direct = this.#open.get(info.id) ?? null;
    this.#open.delete(info.id);
    direct?.end(error);
    return { group, change, request: null, direct, error };
  }

  #request(info) {
    const answer = async (op, given, options, call) => {
      const { signal } = optionsOf(options, WAITS, call);
      return waitFor(tell(this.#handle, op, info.id, given), signal);
    };
    return Object.freeze({
      from: this.#group.person(info.peer), node: info.node, purpose: info.purpose,
      accept: async (options) => {
        await answer("accept", {}, options, "request.accept");
        return this.#direct(info);
      },
      refuse: (why = "", options) => answer("refuse", { text: String(why) }, options, "request.refuse"),
    });
  }

  /** Another node has taken the place of ours. */
  renewed() {
    if (this.#admitted) tell(this.#handle, "admit", this.#group.id, this.#admitted).catch(() => {});
  }

  end() {
    for (const direct of this.list) direct.end(null);
    this.#open.clear();
  }
}
