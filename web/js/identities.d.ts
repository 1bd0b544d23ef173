// The identities of an origin: a part of `index.d.ts`.
import type { OpenOptions, Peer } from "./peer.js";
import type { Waits } from "./waits.js";

/** An identity of this origin. */
export interface IdentityInfo {
  /** 52 characters: the SHA-256 of its key. */
  readonly id: string;
  /** Friendly name: 1 to 255 characters, at least one of them visible, none that controls or turns the text around it. */
  readonly name: string;
  /** The last part of its peer name; empty if it has none. */
  readonly classifier: string;
  /** Whether it is opened when none is named. */
  readonly default: boolean;
}

/** The identity that a backup restored. */
export interface RestoredIdentity extends IdentityInfo {
  /** How many groups and records were in it. */
  readonly groups: number;
  readonly records: number;
}

/** A name of an identity, or one that anybody may claim. */
export interface PeerName {
  /** `ID.CLASSIFIER`, or `0.CLASSIFIER` for one that anybody may claim. */
  readonly name: string;
  /** The same as a host name, lossless; `null` where it would be longer than host names are. */
  readonly host: string | null;
  /** Id of the one identity whose name it is; `null` if it is anybody's. */
  readonly id: string | null;
  readonly classifier: string;
}

/** The options that all functions of {@link identities} accept. */
export interface IdentityOptions extends Waits {
  /** As in {@link OpenOptions}. */
  storage?: string;
}

/** The identities of this origin. `who` is an id, the beginning of one, or a friendly name. */
export const identities: {
  list(options?: IdentityOptions): Promise<readonly IdentityInfo[]>;
  /** Makes one. The first becomes the default. */
  create(options: { name: string; classifier?: string } & IdentityOptions): Promise<IdentityInfo>;
  /**
   * Gives it another friendly name or classifier; id and key stay. An open peer shows the new name when it is opened
   * again, a group when the membership is renewed.
   */
  rename(who: string, options: { name?: string; classifier?: string } & IdentityOptions): Promise<IdentityInfo>;
  /** The one that is opened when none is named; `null` where there is none. */
  default(options?: IdentityOptions): Promise<IdentityInfo | null>;
  setDefault(who: string, options?: IdentityOptions): Promise<IdentityInfo>;
  /**
   * Deletes it for good. Refused while it is open (`"locked"`), in a group (`"identity-in-use"`), or the default and not
   * the last one (`"default-identity"`).
   */
  delete(who: string, options?: IdentityOptions): Promise<void>;
  /** As text, encrypted with a password (Argon2id, XChaCha20-Poly1305). */
  export(who: string, password: string, options?: IdentityOptions): Promise<string>;
  /** Keeps an exported one. Fails with `"wrong-password"`, `"bad-identity"`, `"identity-exists"`. */
  import(file: string, password: string, options?: IdentityOptions): Promise<IdentityInfo>;
  /**
   * Restores what {@link Peer.backup}, or the native program, made: the identity, if it is not here, and what is lacking or
   * damaged of its groups and records. Data that stand here stay, since they are newer. Open it then: it is the same peer with
   * the same groups. Fails with `"wrong-password"`, `"bad-backup"`, and `"locked"` while it is open.
   */
  restore(file: BufferSource | Uint8Array | Blob, password: string, options?: IdentityOptions): Promise<RestoredIdentity>;
  /** The public certificate (PEM): what inviters, and {@link verify}, need. Holds no secret. */
  document(who: string, options?: IdentityOptions): Promise<string>;
  /** Its peer name, or with `classifier` another one of the same key. */
  name(who: string, options?: { classifier?: string } & IdentityOptions): Promise<PeerName>;
  /** 64 bytes, for {@link verify}. Worthless as proof of anything that this package signs. */
  sign(who: string, message: BufferSource | Uint8Array | string, options?: IdentityOptions): Promise<Uint8Array>;
};

/** The signer of `message`, if it was the identity of the public document; otherwise `null`. */
export function verify(
  document: string, message: BufferSource | Uint8Array | string, signature: BufferSource | Uint8Array):
  Promise<Omit<IdentityInfo, "default"> | null>;

/** A peer name, given as such or as host name, in both forms. Fails with `"bad-name"`. */
export function peerName(text: string): Promise<PeerName>;
