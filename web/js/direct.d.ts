// Direct links: messages, calls and streams between two members. A part of `index.d.ts`.
import type { PeergraphError } from "./errors.js";
import type { Group } from "./group.js";
import type { Member, Person } from "./membership.js";
import type { Bytes } from "./record.js";
import type { Span, Waits } from "./waits.js";

/** Types of the events of a {@link Direct}. */
export interface DirectEvents {
  /** The other end has sent a message. */
  message: CustomEvent<DirectMessage>;
  /** It is over: with the error that ended it, or nothing. */
  closed: CustomEvent<{ direct: Direct; error: PeergraphError | null }>;
}

/** A message of the other end of a direct link. */
export interface DirectMessage {
  readonly direct: Direct;
  readonly type: string;
  /** The value that was sent, or its bytes. Chosen by its sender: never trust it. */
  readonly data: any;
  /** The form of `data` if it is bytes; `"application/json"` for values. */
  readonly mediaType: string | null;
}

/**
 * A direct link to another member's node. It goes over whatever link joins the two nodes, or one that is found for it, end to
 * end; it carries no records, and makes nobody a neighbour.
 */
export class Direct extends EventTarget {
  private constructor();
  /** Its name in this peer. */
  readonly id: string;
  readonly group: Group<any>;
  /** The member at its other end, as it has proved. */
  readonly peer: Person;
  /** Its node: a tab, or a program. */
  readonly node: string;
  /** Its purpose, in the words of the end that has opened it. */
  readonly purpose: string;
  /** Whether this end has opened it. */
  readonly ours: boolean;
  /** Settles when it is over: with the error that ended it, or `null`. */
  readonly closed: Promise<PeergraphError | null>;

  /**
   * Sends a message. Done once the other node has it; messages come in their order, each once, and wait while the other
   * application takes none. `data` is as in {@link Group.publish}, of at most 64 KiB; use a {@link stream} for more. With
   * `latest`, a message takes the place of an earlier one of its type that is not sent or taken yet, and is not waited for.
   */
  send(type: string, data: unknown, options?: { latest?: boolean; mediaType?: string } & Waits): Promise<void>;
  /**
   * Calls `listener` with each message of this type, until `signal` is aborted or the returned function is called. Messages
   * wait until somebody listens for any; those of types that nobody listens for are dropped then.
   */
  on(type: string, listener: (message: DirectMessage) => void, options?: Waits): () => void;

  /**
   * Calls what the other end serves under this name, see {@link Group.serve}, and answers the first response. Fails with
   * `"not-served"`, `"timed-out"` (after `within`), or `"reset"` and the other end's words. An aborted call is given up, and
   * the other end is told. At most 64 KiB each way.
   */
  call(name: string, data: unknown, options?: { within?: Span; mediaType?: string } & Waits): Promise<any>;
  /** The same, with all responses, as they come. Leaving the loop gives the call up. */
  responses(name: string, data: unknown, options?: { within?: Span; mediaType?: string } & Waits):
    AsyncGenerator<any, void, undefined>;

  /**
   * Begins a stream: bytes both ways, each of which waits for its reader and ends by itself. The other end gets it from
   * {@link streams}. Streams go after everything that is small.
   */
  stream(name: string, options?: Waits): Promise<DirectStream>;
  /** The streams that the other end begins, as they come. Ends when the direct link is closed. */
  streams(options?: Waits): AsyncGenerator<DirectStream, void, undefined>;

  /** Closes it. The other end is told. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;

  addEventListener<K extends keyof DirectEvents>(
    type: K, listener: (event: DirectEvents[K]) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof DirectEvents>(
    type: K, listener: (event: DirectEvents[K]) => void, options?: boolean | EventListenerOptions): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions): void;
}

/** A stream of a direct link. */
export interface DirectStream {
  /** In the words of the end that has begun it. */
  readonly name: string;
  /** Cancelling it gives up the stream. */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Takes bytes and text. Closing it ends this direction; aborting it gives up the stream. */
  readonly writable: WritableStream<Bytes | string>;
}

/** Somebody asks for a direct link. After a minute without an answer it is refused. */
export interface DirectRequest {
  /** The member that asks, as it has proved. */
  readonly from: Person;
  readonly node: string;
  /** In its own words: show them as text. */
  readonly purpose: string;
  accept(options?: Waits): Promise<Direct>;
  /** `why` is told to the other end: at most 256 bytes. */
  refuse(why?: string, options?: Waits): Promise<void>;
}

/** The detail of a `direct` event of a group. */
export interface DirectNews {
  readonly group: Group<any>;
  /** `"asked"`: answer the `request`. `"connected"`: `direct` can be used, whoever opened it. `"closed"`: it is over. */
  readonly change: "asked" | "connected" | "closed";
  readonly request: DirectRequest | null;
  readonly direct: Direct | null;
  /** Why it ended. */
  readonly error: PeergraphError | null;
}

/** A call that came. */
export interface CallRequest {
  /** The caller, as it has proved. */
  readonly from: Person;
  readonly node: string;
  /** The value of the request, or its bytes. Chosen by the caller: never trust it. */
  readonly data: any;
  readonly mediaType: string | null;
  /** How many milliseconds the caller waits, from when the call came. */
  readonly within: number | null;
  /** Is aborted when the caller gives up. */
  readonly signal: AbortSignal;
}

/** The members that may open direct links to this node: those that the application lets, all, those of a role, none. */
export type Admitted = "ask" | "members" | "nobody" | { role: string };

/** The other end of a direct link: a member, a person, or a peer id. */
export type DirectTo = Member | Person | string;
