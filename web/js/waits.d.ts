// How long: the options of all that waits, and spans of time. A part of `index.d.ts`.

/** A span of time: milliseconds, or text such as `"90s"`, `"15m"`, `"12h"`, `"7d"`, `"2w"`, `"1y"`. */
export type Span = number | `${number}${"s" | "m" | "h" | "d" | "w" | "y"}`;

/** The options of every call that waits. */
export interface Waits {
  /** Ends the wait at once, with the code `"aborted"`. The operation that was begun may still happen. */
  signal?: AbortSignal;
}
