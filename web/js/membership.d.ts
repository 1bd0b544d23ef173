// Members: who somebody is, what the group lets them do, and how that ends. A part of `index.d.ts`.
import type { Group } from "./group.js";
import type { Span, Waits } from "./waits.js";

/**
 * The rights of a member. `"inviting"` also lets members in; `"administrator"` lets anybody in, and changes and deletes
 * records of others. The {@link Policy} of a group can allow less.
 */
export type Role = "member" | "inviting" | "administrator";

/** Whether somebody is a member. */
export type Standing = "member" | "expired" | "revoked";

/**
 * Why a membership was revoked. `"superseded"`: another one took its place; `"used-up"`: the invitation by which it
 * came had no uses left; `"handed-over"`: an earlier key of the group's own issued it, and was not known to have.
 */
export type Reason = "unspecified" | "key-lost" | "misconduct" | "left" | "superseded" | "used-up" | "handed-over";

/** By whom a membership was revoked, and why. */
export interface Revoked {
  readonly by: Signer;
  readonly reason: Reason;
}

/** The signer of something: a member, or the group's own key (`owner`), which has the group's id and no name. */
export interface Signer {
  readonly id: string;
  /** Chosen by its owner: show it as text. Empty while unknown. */
  readonly name: string;
  readonly me: boolean;
  readonly owner: boolean;
}

/** Somebody, as known at that moment. */
export interface Person {
  readonly id: string;
  /** Chosen by its owner: show it as text. Empty while unknown. */
  readonly name: string;
  readonly me: boolean;
}

/** The rules that the creator of a group sets, once and for all. */
export interface Policy {
  /** The lowest role that lets members in. Default: `"inviting"`. */
  readonly invite?: "inviting" | "administrator";
  /** Whether administrators make administrators; otherwise the owner alone does. Default: `true`. */
  readonly administrators?: boolean;
  /** Whether there may be invitations by password. Default: `true`. */
  readonly passwords?: boolean;
  /** Longest membership that a member issues, an hour to twenty years. Default: a year. */
  readonly membershipLifetime?: Span;
  /** Longest payload of a record: 1 KiB to 60 MiB. Default: 1 MiB. */
  readonly payloadBytesMax?: number;
  /** Records of one member, those that it deleted included: 16 to 500,000. Default: 131,072. */
  readonly memberRecords?: number;
  /** Bytes of them: at least 16 of the longest payloads, at most 64 GiB. Default: 1 GiB. */
  readonly memberBytes?: number;
  /** Whether records that have ended stay while nobody else is met. Default: `false`. */
  readonly deferExpiry?: boolean;
  /** Rights over records, by type and role. Types that are not named are open to all. */
  readonly rights?: readonly Right[];
}

/** Rights over records of some types. Administrators have them all. */
export interface Right {
  /** A record type, or the beginning of some with `*` at the end: `"chat.*"`. */
  readonly types: string;
  /** The roles that have these rights: those of the application, `"member"`, or `"inviting"`. */
  readonly roles: readonly string[];
  /**
   * Publish (and change one's own), change those of others, delete those of others. A change leaves those of
   * others the life that their creators gave them.
   */
  readonly may: readonly ("publish" | "update" | "delete")[];
}

export interface Member {
  /** Peer id. */
  readonly id: string;
  /** Chosen by its owner: show it as text. */
  readonly name: string;
  readonly role: Role;
  /** Roles of the application. */
  readonly roles: readonly string[];
  /** Whether it is a member, or was one. */
  readonly standing: Standing;
  /** By whom its membership was revoked, where it was. */
  readonly revoked: Revoked | null;
  /** The certificate that says all this, who issued it, and when it ends. */
  readonly certificate: string;
  readonly issuer: Signer;
  readonly expires: Date;
  /** Whether it offers itself as the next owner: see {@link Group.offerOwnership}. */
  readonly offersOwnership: boolean;
  /** Whether it is us. */
  readonly me: boolean;
  /** Whether a node of it is present. */
  readonly online: boolean;
  /** Ids of its nodes that are present. */
  readonly nodes: readonly string[];
}

export interface RevokeOptions extends Waits {
  /** For everybody to read. Default: `"unspecified"`. */
  reason?: "unspecified" | "key-lost" | "misconduct" | "left";
  /** Whether to keep what they published, as far as this device knows of it. Default: `"keep"`. */
  records?: "keep" | "drop";
  /** Whether to keep those that they let in. Default: `"keep"`. */
  members?: "keep" | "drop";
}
