// Links to others, the nodes at which they are found, and what was tried to find them. A part of `index.d.ts`.
import type { PeergraphError } from "./errors.js";
import type { Peer } from "./peer.js";

/** The steps that a group took to find members since it had a neighbour last. Plain data. */
export interface Tried {
  /** The nodes that the application or the invitation named, and how far each is; `message` says why one is not reached. */
  readonly nodes: readonly {
    readonly url: string;
    readonly state: NodeState["state"];
    readonly message: string | null;
  }[];
  /** Neighbours that the group has: with one there is nothing to do. */
  readonly neighbours: number;
  /** The places that were tried last, at most 16, in the order in which they were begun. */
  readonly places: readonly TriedPlace[];
  /** Addresses that were dialled, and how many of those dials failed. */
  readonly addresses: number;
  readonly unreached: number;
  /** Nodes that were reached and are not in the group, or do not tell. */
  readonly strangers: number;
  /** Most others of the group that a node named at once, and links that were offered to them. */
  readonly seats: number;
  readonly offers: number;
  /** Members that could not let us in, each counted once. */
  readonly members: number;
  /** All of it in one line, for people. */
  readonly message: string;
  /** Advice on what to do, for people. */
  readonly hint: string;
}

/** A place at which members were looked for. */
export interface TriedPlace {
  /** `null` if a link was offered through others, or was there before. */
  readonly address: string | null;
  /**
   * Where it comes from: an address of a named node, the invitation, earlier meetings, other members, a link that was
   * offered through a node or member, or one that was there already.
   */
  readonly from: "node" | "invitation" | "memory" | "members" | "offer" | "link";
  /** How far it is, or how it ended. Browsers do not tell why a dial failed: that is `"failed"`, or `"silent"`. */
  readonly outcome:
    | "trying" | "refused" | "unreachable" | "silent" | "failed" | "no-handshake" | "ourselves" | "same" | "reached"
    | "not-in-group" | "cannot-let-in" | "full" | "not-accepted" | "over" | "lost" | "we-are-older" | "they-are-older";
  /** The same for people. */
  readonly message: string;
}

export interface Link {
  readonly id: number;
  /** Id of the peer at the other end; `null` until proved. */
  readonly peer: string | null;
  /** Its name, where it is a known member of a group of ours. Empty otherwise. */
  readonly name: string;
  /** Which node of theirs; `null` until proved. */
  readonly node: string | null;
  /** Which version of the protocol both ends speak; `null` until proved. */
  readonly version: number | null;
  /** `true`: a data channel straight to the other end. `false`: a WebSocket, or a relay. */
  readonly direct: boolean;
  /** Whether another node carries it: sealed, so that it sees sizes and times alone. */
  readonly relayed: boolean;
  /** Groups whose records flow on it. */
  readonly groups: readonly string[];
}

export interface LinkChange {
  readonly id: number;
  readonly state: "opening" | "open" | "closed";
  readonly direct: boolean;
  /** Why it was closed, in a word, where the reason is ours: `"duplicate"`, `"silent"`, …. */
  readonly reason: string | null;
}

export interface NodeState {
  /** The URL in its usual form: lower case, no usual port, a slash at the end of its path. */
  readonly url: string;
  /**
   * `"trying"`: asked for its addresses. `"known"`: they are dialled. `"linked"`: a link leads to it. `"unreachable"`:
   * tried again by itself; `error` says why. `"forgotten"`: only an invitation named it, and nothing needs it any longer;
   * it is no longer one of {@link Peer.nodes}.
   */
  readonly state: "trying" | "known" | "linked" | "unreachable" | "forgotten";
  readonly addresses: readonly string[];
  readonly error?: PeergraphError;
}
