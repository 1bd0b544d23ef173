// Invitations: made, shown before joining, and closed. A part of `index.d.ts`.
import type { Group } from "./group.js";
import type { Person, Policy, Role } from "./membership.js";
import type { Peer } from "./peer.js";
import type { Span, Waits } from "./waits.js";

export interface InviteOptions extends Waits {
  /** Default: `"member"`. */
  role?: Role;
  /** Roles of the application: 1–32 characters of a–z, 0–9 and `-` each. Default: none. */
  roles?: readonly string[];
  /** How many may join with a bearer link. Default: 1. */
  uses?: number;
  /** How long a bearer link can be used. Default: `"7d"`. */
  expiresIn?: Span;
  /** PEM of {@link Peer.identityDocument}: for this identity alone. It can join while no inviter is online. */
  for?: string;
  /**
   * 8 to 256 bytes, told to them in another way than the link, which is no secret then. Nothing can be guessed offline,
   * and guessing online is throttled. We must be online when they join.
   */
  password?: string;
  /** The page that opens the link. Default: this one. The invitation is its fragment, which no server sees. */
  page?: string | URL;
}

/** Anybody who reads a bearer invitation can join. Links are short, but for bound ones, which carry certificates. */
export interface Invitation {
  /** For {@link Group.withdraw}; `null` for bound ones, which are memberships already. */
  readonly id: string | null;
  /** Page and fragment. */
  readonly link: string;
  /** The form that can be used without the page: it names the node that a link leaves to its page. */
  readonly text: string;
  /** When it ends. */
  readonly expires: Date;
  /** The link as an SVG image in text: black on white, with a quiet zone, scalable. Fails with `"too-long"`. */
  qr(): string;
  /** Closes it: nobody joins by it any more. Fails with `"unknown-invitation"` for bound ones. */
  withdraw(options?: Waits): Promise<void>;
}

/** An invitation that is open. Its secret is in the link alone. */
export interface OpenInvitation {
  readonly id: string;
  readonly inviter: Person;
  readonly role: Role;
  readonly roles: readonly string[];
  /** How many may join by it, and how many did, as far as this device knows. */
  readonly uses: number;
  readonly used: number;
  readonly expires: Date;
  /** Whether newcomers can use it, as far as this device knows. */
  readonly state: InvitationState;
  withdraw(options?: Waits): Promise<void>;
}

/**
 * The content of an invitation by itself, to be shown at once. Nothing of it is verified yet. Links are short: names, roles of
 * the application and the policy are in a bound invitation only; {@link Peer.preview} asks a member for those of others.
 */
export interface InvitationSummary {
  /** `"bound"`: for one identity. `"bearer"`: for whoever holds it. `"password"`: for who knows the password too. */
  readonly kind: "bound" | "bearer" | "password";
  /** Group id. */
  readonly group: string;
  /** Name of the group: show it as text, like the inviter's. `null` if it does not say. */
  readonly name: string | null;
  /** 26 characters for the first half of the inviter's peer id: all but the last are its beginning. */
  readonly inviter: string;
  readonly inviterName: string | null;
  readonly role: Role | null;
  /** Application roles; `null` if it does not say. */
  readonly roles: readonly string[] | null;
  /** For whom it is; `null`: for whoever holds it. */
  readonly invitee: { readonly id: string; readonly name: string } | null;
  /** When it ends; `null` if it does not say. */
  readonly expires: Date | null;
  /** URLs of nodes at which members can be found. */
  readonly nodes: readonly string[];
  /** Where the inviter can be dialled. */
  readonly addresses: readonly string[];
  /** The rules that the creator of the group set; `null` if the invitation does not say. */
  readonly policy: Required<Policy> | null;
}

/**
 * An invitation as a member describes it. Names, policy and roles are as signed by the owner and the inviter;
 * whether it is open, and what is left of it, is that member's word.
 */
export interface InvitationPreview {
  /** Group id. */
  readonly group: string;
  /** Name of the group: show it as text, like the inviter's. */
  readonly name: string;
  /** The rules that the creator of the group set. */
  readonly policy: Required<Policy>;
  /** The member who told it. */
  readonly toldBy: string;
  /** `null`: it was withdrawn or has ended, or that member has not heard of it yet. */
  readonly open: {
    readonly inviter: { readonly id: string; readonly name: string };
    readonly role: Role;
    readonly roles: readonly string[];
    /** How many may join by it, and how many still can; `null` for a bound one. */
    readonly uses: number | null;
    readonly left: number | null;
    readonly expires: Date;
  } | null;
  /** Whether it can be used, as that member says and by the clock of this device; `"unknown"`: that member does not know it. */
  readonly state: InvitationState;
}

/** Whether newcomers can use an invitation. `"not-yet-valid"`: its time has not begun, or a clock is wrong. */
export type InvitationState = "usable" | "used-up" | "expired" | "withdrawn" | "not-yet-valid" | "unknown";

/**
 * Reads an invitation: a link, its text, or anything that holds one, such as a whole mail. Needs no {@link Peer}, and
 * tells nobody. Fails with `"bad-invitation"`.
 */
export function readInvitation(link: string | URL): Promise<InvitationSummary>;
