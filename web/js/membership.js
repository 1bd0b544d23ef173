// Policies, grants and revocations, between what applications write and what the module takes.
import { badArgument, optionsOf } from "./errors.js";
import { spanMs } from "./record.js";

const POLICY = [
  "invite", "administrators", "passwords", "membershipLifetime", "payloadBytesMax", "memberRecords", "memberBytes",
  "deferExpiry", "rights",
];

/** A policy as the module takes it. Rules that are left out are as for any group. */
export function encodePolicy(policy) {
  const {
    invite = null, administrators = null, passwords = null, membershipLifetime = null, payloadBytesMax = null,
    memberRecords = null, memberBytes = null, deferExpiry = null, rights = [],
  } = optionsOf(policy, POLICY, "a policy");
  return {
    invite, administrators, passwords, membershipLifetimeMs: spanMs(membershipLifetime, "membershipLifetime"), payloadBytesMax,
    memberRecords, memberBytes, deferExpiry, rights: [...rights].map(encodeRight),
  };
}

function encodeRight(right) {
  const { types, roles = [], may = [] } = optionsOf(right, ["types", "roles", "may"], "a right");
  const wrong = may.find((act) => !["publish", "update", "delete"].includes(act));
  if (wrong) throw badArgument(`a right has no ${wrong}; it may publish, update, delete`);
  return {
    types, roles: [...roles], publish: may.includes("publish"), update: may.includes("update"),
    delete: may.includes("delete"),
  };
}

/** A policy as applications read it; [`encodePolicy`] takes it again. */
export function decodePolicy(raw) {
  const { membershipLifetimeMs, rights, ...rest } = raw;
  const right = ({ types, roles, ...may }) => Object.freeze({
    types, roles: Object.freeze(roles),
    may: Object.freeze(["publish", "update", "delete"].filter((act) => may[act])),
  });
  return Object.freeze({
    ...rest, membershipLifetime: membershipLifetimeMs, rights: Object.freeze(rights.map(right)),
  });
}

export function encodeGrant(role = "member", roles = []) {
  if (typeof roles === "string") throw badArgument("roles is a list of names");
  return { role: String(role), roles: [...roles].map(String) };
}

/** A revocation as the module takes it: whom to revoke, and what becomes of what they did. */
export function encodeRevocation(target, { reason = "unspecified", records = "keep", members = "keep" }) {
  const kept = (name, value) => {
    if (value !== "keep" && value !== "drop") throw badArgument(`${name} is "keep" or "drop"`);
    return value === "keep";
  };
  const certificate =
    target?.certificate !== undefined && target.id === undefined ? target.certificate : null;
  return {
    peer: certificate === null ? peerOf(target) : null, certificate, reason: String(reason),
    keepRecords: kept("records", records), keepMembers: kept("members", members),
  };
}

/** The peer id of a member, or of a text that is one. */
export function peerOf(member) {
  const id = typeof member === "string" ? member : member?.id;
  if (typeof id !== "string") throw badArgument("expected a member, or its peer id");
  return id;
}

const dateOf = (ms) => (ms == null ? null : new Date(ms));
const frozen = (value) => (value ? Object.freeze(value) : null);

/** The content of an invitation by itself. Its times and policy become those of applications. */
export function decodeInvitation(raw) {
  return Object.freeze({
    ...raw, expires: dateOf(raw.expires), roles: frozen(raw.roles), invitee: frozen(raw.invitee),
    nodes: Object.freeze(raw.nodes), addresses: Object.freeze(raw.addresses),
    policy: raw.policy ? decodePolicy(raw.policy) : null,
  });
}

/** An invitation as a member describes it. */
export function decodePreview(raw) {
  const open = raw.open && {
    ...raw.open, inviter: Object.freeze(raw.open.inviter), roles: Object.freeze(raw.open.roles),
    uses: raw.open.uses ?? null, left: raw.open.left ?? null, expires: dateOf(raw.open.expires),
  };
  return Object.freeze({ ...raw, policy: decodePolicy(raw.policy), open: frozen(open) });
}
