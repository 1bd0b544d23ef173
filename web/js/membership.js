// Policies, grants and revocations, between what applications write and what the module takes.
import { badArgument, optionsOf } from "./errors.js";
import { spanMs } from "./record.js";

const POLICY = [
  "invite", "administrators", "passwords", "membershipLifetime", "payloadBytesMax", "deferExpiry", "rights",
];

/** A policy as the module takes it. What is left out is as for any group. */
export function encodePolicy(policy) {
  const {
    invite = null, administrators = null, passwords = null, membershipLifetime = null, payloadBytesMax = null,
    deferExpiry = null, rights = [],
  } = optionsOf(policy, POLICY, "a policy");
  return {
    invite, administrators, passwords, membershipLifetimeMs: spanMs(membershipLifetime), payloadBytesMax,
    deferExpiry, rights: [...rights].map(encodeRight),
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

/** Whom to revoke, and what becomes of what they did. */
export function encodeRevocation(target, { reason = "unspecified", records = "keep", members = "keep" }) {
  const kept = (name, value) => {
    if (value !== "keep" && value !== "drop") throw badArgument(`${name} is "keep" or "drop"`);
    return value === "keep";
  };
  const serial = target?.serial !== undefined && target.id === undefined ? target.serial : null;
  return {
    peer: serial === null ? peerOf(target) : null, serial, reason: String(reason),
    keepRecords: kept("records", records), keepMembers: kept("members", members),
  };
}

/** The peer id of a member, or of a text that is one. */
export function peerOf(member) {
  const id = typeof member === "string" ? member : member?.id;
  if (typeof id !== "string") throw badArgument("expected a member, or its peer id");
  return id;
}

/** What an invitation says. Its times and policy become those of applications. */
export function decodeInvitation(raw) {
  return Object.freeze({
    ...raw, expires: new Date(raw.expires), roles: Object.freeze(raw.roles),
    invitee: raw.invitee ? Object.freeze(raw.invitee) : null, addresses: Object.freeze(raw.addresses),
    policy: decodePolicy(raw.policy),
  });
}
