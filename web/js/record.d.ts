// Records: what is published, read and watched. A part of `index.d.ts`.
import type { Group } from "./group.js";
import type { Person } from "./membership.js";
import type { Span, Waits } from "./waits.js";

/** The value of an attribute. An array stands for an attribute that repeats. */
export type AttributeValue = string | number | bigint | boolean | Date;

/** An attribute as it is read: a whole number that no `number` can hold comes as text. */
export type ReadAttributeValue = string | number | boolean | Date;

/** Searchable metadata: names of 1–40 letters and digits. */
export interface Attributes {
  [name: string]: AttributeValue | AttributeValue[];
}

/**
 * Bytes as the content of a record: a buffer, a view of one, or a `Blob`, whose `type` becomes the media type. They
 * come back as `Uint8Array`.
 */
export type Bytes = ArrayBufferLike | ArrayBufferView | Blob;

/** Payload types by record type: `{ "chat.message": { text: string } }`. */
export type Payloads = { [type: string]: any };

/**
 * How far a record got: checked, and on its way to the disk of this device; durable there; and if it is ours, held by one
 * neighbour too, or by several. This is not kept: after a reload a record is `"stored"`, and the first sync with a neighbour
 * tells of the last 256 of ours which of them it holds.
 */
export type Status = "storing" | "stored" | "sent" | { readonly heldBy: number };

/**
 * A signed record, as it was when it was read: plain data, for `structuredClone`, JSON, spreads and proxies.
 *
 * **Content.** Data published as a JavaScript value are stored as JSON, under the media type `application/json`, and
 * come back as that value. Everything else is bytes and comes back as `Uint8Array`, even if it looks like JSON: what
 * was published as bytes, and what a program wrote in Rust or on the command line. Such a program says JSON by the
 * attribute `mediaType` with the text `application/json`.
 */
export interface GroupRecord<D = any, K extends string = string> {
  /** 26 characters. */
  readonly id: string;
  readonly type: K;
  /** 20 digits: when it was written. Another one after every change, and a higher one than that of what was changed. */
  readonly version: string;
  /**
   * 41 digits. Of two versions of one record the one with the higher edition stands: compare it as text. Deletions come
   * first, then what its creator wrote last and what others made of that, then the higher version.
   */
  readonly edition: string;
  /** The person who made it. */
  readonly creator: Person;
  /** The person who changed it last; `null` if nobody did. */
  readonly modifier: Person | null;
  readonly created: Date;
  readonly modified: Date;
  readonly expires: Date;
  /** Whether it was deleted; `data` is `undefined` then. */
  readonly deleted: boolean;
  readonly attributes: { readonly [name: string]: ReadAttributeValue | ReadAttributeValue[] };
  /** The media type of `data`: `"application/json"`, what the publisher of bytes called them, or `null`. */
  readonly mediaType: string | null;
  readonly data: D;
  /** How far it had got. {@link Group.statusOf} tells how far it is now. */
  readonly status: Status;
  /** For {@link RecordsOptions.after}. */
  readonly cursor: string;
}

/** A record of any of the types of `T`: a union that `type` tells apart. */
export type AnyRecord<T = Payloads> = { [K in keyof T & string]: GroupRecord<T[K], K> }[keyof T & string];

export interface PublishOptions extends Waits {
  attributes?: Attributes;
  /** How long the record lives. Default: ten years. A record of another always lives as long as its creator wanted. */
  expiresIn?: Span;
  /**
   * Whether this device renews the record before it ends, for as long a life again, as long as it is open; also after
   * it was closed and opened. An update without it, or a deletion, ends that. Only for records of one's own:
   * how long a record lives is its creator's to say. Default: `false`.
   */
  refresh?: boolean;
  /**
   * The media type of bytes, such as `"image/png"`: kept with the record, for those who read it. Bytes called
   * `"application/json"` are read as JSON. Default: the type of a `Blob`; at updates, that of the record.
   */
  mediaType?: string;
}

export interface UpdateOptions<D = any> extends PublishOptions {
  /**
   * The version that was read and changed. If another one stands by now, nothing is written, and `update` fails with
   * `"changed-meanwhile"`. It cannot see what somebody else writes at the same moment elsewhere: then the higher
   * edition stands everywhere.
   */
  ifVersion?: string;
  /**
   * Makes one of both instead of failing: gets the record as it stands and the data that were to be written, and gives
   * what to write over it. Called again while others go on writing, at most ten times. Needs `ifVersion`.
   */
  merge?: (theirs: GroupRecord<D>, mine: D) => D | Promise<D>;
}

export interface WatchOptions extends Waits {
  /** Which of the stored ones come first. Records that arrive come as they arrive. Default: `"oldest"`. */
  order?: "oldest" | "newest";
  /** At most so many of the stored ones. Default: all. */
  limit?: number;
  /** Called once, when the reader has had all that was stored and asks for more: the moment to say "nothing yet". */
  onStored?: () => void;
}

export interface RecordsOptions extends Waits {
  /** Only this type. */
  type?: string;
  /** Only of this peer. */
  creator?: string;
  /** Which come first, by the time of their last change. Default: `"oldest"`. */
  order?: "oldest" | "newest";
  /** 1–1,000. Default: 1,000. */
  limit?: number;
  /** `next` of the page before, or a record's `cursor`. */
  after?: string | null;
}

/** Records, with the cursor of the next page. */
export interface Page<R> extends Array<R> {
  /** `null` after the last one. */
  readonly next: string | null;
}
