// Searches, live queries, and what they find. A part of `index.d.ts`.
import type { PeergraphError } from "./errors.js";
import type { Waits } from "./waits.js";

/** The fields of every record that a query can ask for. */
export type QueryField =
  | "text" | "type" | "id" | "creator" | "modifier" | "created" | "modified" | "expires" | "version" | "deleted" | "size";

/** A value to compare with: as it is; a text with the wildcards `*` and `?`; a date such as `"2026-11"`, which is a span. */
export type QueryValue = string | number | boolean | { like: string } | { date: string };

/** What a clause asks of its field: one of these. `has`: words in their order, with `*` and `?`. */
export type QueryTest =
  | { has: string } | { exists: true } | { within: [QueryValue, QueryValue] }
  | { equal: QueryValue } | { notequal: QueryValue } | { less: QueryValue } | { lessorequal: QueryValue }
  | { greater: QueryValue } | { greaterorequal: QueryValue };

/** A query in the notation for programs. `text` asks for words of the payload. */
export type QueryTree =
  | { all: true } | { and: QueryTree[] } | { or: QueryTree[] } | { not: QueryTree } | { text: string }
  | ({ field: QueryField } & QueryTest) | ({ attribute: string } & QueryTest);

/**
 * Which records: a query as people type it, or a {@link QueryTree}.
 *
 * | text | finds |
 * |---|---|
 * | `lisbon hotel` | both words; case and accents make no difference |
 * | `"old town"`, `hel*`, `h?t` | a phrase; a beginning; any letter |
 * | `a OR b`, `-a`, `(…)` | either; not; groups |
 * | `type:chat.message`, `author:ada` | metadata: also `id:`, `modifier:`, `created:`, `modified:`, `expires:`, `size:` |
 * | `created:>2026-11-01`, `size:10..20` | later; within |
 * | `room:general`, `seats:>=3` | attributes |
 * | `*` | everything |
 */
export type Query = string | QueryTree;

export interface QueryOptions extends Waits {
  /**
   * Which come first: those changed last, those changed first, or those that fit the words best (BM25). Default:
   * `"newest"`.
   */
  order?: "newest" | "oldest" | "best";
  /** 1–1,000 records, of a page or of the list. Default: 1,000. */
  limit?: number;
}

export interface SearchOptions extends QueryOptions {
  /** `next` of the page before. */
  after?: string | null;
  /** Whether to count all that there are. It takes longer than the first page. */
  count?: boolean;
}

/** A page of what a search has found, in order. */
export interface Found<R> extends Array<R> {
  /** For {@link SearchOptions.after}; `null` after the last page. */
  readonly next: string | null;
  /** How many there are in all, if that was to be counted. */
  readonly count: number | null;
  /** Records that no search finds, since the group or their creators have more text than an index takes. */
  readonly unsearched: number;
}

/** A search: `await` brings its first page, `for await` one page after the other. */
export class Search<R> implements PromiseLike<Found<R>>, AsyncIterable<Found<R>> {
  private constructor();
  then<A = Found<R>, B = never>(
    onFound?: ((found: Found<R>) => A | PromiseLike<A>) | null,
    onFailed?: ((error: PeergraphError) => B | PromiseLike<B>) | null): Promise<A | B>;
  [Symbol.asyncIterator](): AsyncIterator<Found<R>>;
}

/** Types of the events of a {@link LiveQuery}. */
export interface LiveQueryEvents<R> {
  /** The list is another now. Records that only moved are in `changed`. */
  change: CustomEvent<{
    value: readonly R[]; added: readonly R[]; changed: readonly R[];
    /** Ids of records that are found no longer, or that others have pushed out. */
    removed: readonly string[];
  }>;
  /** It was closed, or its group was; or it failed. */
  closed: CustomEvent<{ error: PeergraphError | null }>;
}

/**
 * The records that a query finds, now and from now on. Of one group, 64 can be open. Iterated, it gives the list whenever that
 * is another, and is closed when the loop is left.
 */
export class LiveQuery<R> extends EventTarget implements AsyncIterable<readonly R[]> {
  private constructor();
  /** The list as it is now; the same array until it changes, and in it the same objects for records that do not. */
  readonly value: readonly R[];
  /** Whether `value` has what is stored: `false` at first. */
  readonly loaded: boolean;
  /** See {@link Found.unsearched}. */
  readonly unsearched: number;
  /** Why it failed, if it did: `"bad-query"`, `"busy"`, … */
  readonly error: PeergraphError | null;
  readonly closed: boolean;
  /**
   * Calls `listener` with the list, now and whenever it is another or the query is closed, until the returned function is
   * called. A store of Svelte, and what `useSyncExternalStore` takes.
   */
  subscribe(listener: (value: readonly R[]) => void): () => void;
  /** Follows it no longer. */
  close(): void;
  [Symbol.asyncIterator](): AsyncIterator<readonly R[]>;
  [Symbol.asyncDispose](): Promise<void>;

  addEventListener<K extends keyof LiveQueryEvents<R>>(
    type: K, listener: (event: LiveQueryEvents<R>[K]) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(
    type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
}
