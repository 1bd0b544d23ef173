// Everything that can go wrong. A part of `index.d.ts`.
import type { NodeState, Tried } from "./links.js";
import type { GroupRecord } from "./record.js";

/** Everything that can go wrong. */
export type ErrorCode =
  // the core
  | "unknown-group"
  | "too-many-groups"
  | "bad-name"
  | "not-allowed"
  | "not-senior"
  | "not-owner"
  | "not-offered"
  | "already-owner"
  | "handed-over-too-often"
  | "unknown-member"
  | "unknown-invitation"
  | "too-much-to-keep"
  | "bad-policy"
  | "revoked"
  | "membership-expired"
  /** The clock of this device shows a time before this package was made: set it first. */
  | "clock-behind"
  | "bad-invite"
  | "invitation-expired"
  /** It begins later than the clock of this device says it is. */
  | "invitation-not-yet-valid"
  | "invitation-for-another"
  | "invitation-invalid"
  | "nobody-found"
  /** No member who can tell what the invitation is about was reached. */
  | "nobody-to-ask"
  | "too-many-nodes"
  | "invitation-used-up"
  | "invitation-withdrawn"
  | "password-needed"
  | "too-many-tries"
  | "unknown-record"
  /** A text or a JSON value is no query; the message says at which character, and why. */
  | "bad-query"
  | "unknown-query"
  /** The search has to look at too much: begin words with letters instead of `*`. */
  | "too-broad"
  /** Another version stands than `ifVersion` said: see {@link PeergraphError.record}. */
  | "changed-meanwhile"
  | "not-your-record"
  | "bad-record"
  /** The security provider of this node does not let it be published; browsers have only ours, which never says so. */
  | "not-valid"
  /** You hold as many records in this group, or as many bytes of them, as its policy allows a member. */
  | "quota"
  | "too-many-records"
  | "storage-full"
  | "storage-read-only"
  | "storage-failed"
  | "storage-damaged"
  | "storage-of-another"
  | "storage-of-another-version"
  | "closing"
  | "busy"
  // direct links
  /** No node of that member is here. */
  | "not-here"
  /** The other end admits no direct links of ours. */
  | "not-admitted"
  /** The other end refuses, with its words in the message. */
  | "declined"
  /** Nobody answered there. */
  | "no-answer"
  /** There are too many direct links, there or here. */
  | "too-many-directs"
  /** A membership has ended. */
  | "not-standing"
  /** The other end has closed it. */
  | "closed-there"
  /** The other node is gone. */
  | "lost"
  /** The other end broke the protocol. */
  | "broken"
  /** There is no such direct link, call or stream, or it is over. */
  | "unknown-direct"
  /** Nobody serves calls of that name there. */
  | "not-served"
  /** The deadline of the call has passed. */
  | "timed-out"
  /** The other end has given up the call or stream, with its words in the message. */
  | "reset"
  /** Somebody else waits for the same. */
  | "another-waits"
  // this package
  /** Another tab has this identity open alone: use that tab, or open with `takeOver: true`. */
  | "locked"
  /** The tab that had the node was closed while it did this: it may be done or not. */
  | "tab-closed"
  /** Another tab took this identity over. */
  | "taken-over"
  /** The data of this site were deleted while it was open. The next opening makes a new identity. */
  | "storage-gone"
  /** The peer or the direct link was closed, or the group was left. */
  | "closed"
  /** An `AbortSignal` ended the wait. */
  | "aborted"
  /** This browser has no WebRTC, or it is switched off. */
  | "no-webrtc"
  /** This browser has no IndexedDB for this page, or it is switched off. */
  | "no-indexeddb"
  /** Not a window of a browser: a server, or a worker (workers have no WebRTC). */
  | "not-a-browser"
  /** The page is not served over HTTPS or from localhost. */
  | "insecure-page"
  /** The WebAssembly module could not be loaded. */
  | "load-failed"
  /** An argument is of the wrong form. */
  | "bad-argument"
  /** The text is not an invitation, or a part of it is missing. */
  | "bad-invitation"
  /** The text is not an exported identity, or it is damaged. */
  | "bad-identity"
  /** The file is not a backup, or of a later version. */
  | "bad-backup"
  /** The backup would be too long: leave the records out. */
  | "backup-too-long"
  /** The password does not open the exported identity. */
  | "wrong-password"
  /** No identity here has this id or name, or several have it. */
  | "unknown-identity"
  /** This identity is here already. */
  | "identity-exists"
  /** Groups use this identity: leave them before it is deleted. */
  | "identity-in-use"
  /** The default identity is deleted last. */
  | "default-identity"
  /** The stored identity cannot be read. Nothing was overwritten. */
  | "identity-unreadable"
  /** The link is too long for a QR code, or the message, request, response or words for what they are. */
  | "too-long"
  /** A fault of this package. */
  | "internal"
  /** A node of the options does not answer, see {@link NodeState}; or there is no way to a member for a direct link. */
  | "unreachable";

/** Every error of this package. */
export class PeergraphError extends Error {
  constructor(code: ErrorCode, message: string, options?: { hint?: string; cause?: unknown; tried?: Tried });
  /** `"AbortError"` for the code `"aborted"`, as of all that a signal ends. */
  readonly name: "PeergraphError" | "AbortError";
  /** For programs. */
  readonly code: ErrorCode;
  /** Advice on what to do, for people. Empty where there is nothing to do. */
  readonly hint: string;
  readonly cause?: unknown;
  /** With `"nobody-found"` and `"nobody-to-ask"`: where members were looked for, and what came of it. */
  readonly tried?: Tried;
  /** With `"changed-meanwhile"`: the record as it stands; `null` if it is gone. */
  readonly record?: GroupRecord<any> | null;
}
