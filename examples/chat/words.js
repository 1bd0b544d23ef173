// The words of the page. Pure functions: tests/web/words.test.mjs reads them without a browser.

const roles = { member: "Read and write", inviting: "Read, write and invite others", administrator: "Everything" };
/** A role in words, with those of the application. */
export const roleWords = (role, ofApplication = []) =>
  (roles[role] ?? role) + (ofApplication.length ? ` (${ofApplication.join(", ")})` : "");

const marks = { inviting: "can invite", administrator: "administrator" };
/** The mark beside a member's name. Empty for ordinary members. */
export const roleMark = (role) => marks[role] ?? "";

const reasons = {
  "key-lost": "the key is in other hands",
  misconduct: "the rules of the group were broken",
  "used-up": "the invitation had no uses left",
  superseded: "another membership took its place",
};
/** Why a membership was revoked. Empty where nothing was said, or where somebody left. */
export const reasonWords = (reason) => reasons[reason] ?? "";

/** The signer of something. */
export function signerWords({ name, me, owner }) {
  if (me) return "you";
  return owner ? "the owner of the group" : name || "an administrator";
}

/** Whether somebody is a member, in few words. */
export function standingWords(standing, revoked) {
  if (standing === "member") return "a member";
  if (standing === "expired") return "expired";
  if (revoked?.reason === "left") return "left";
  return `revoked by ${revoked ? signerWords(revoked.by) : "somebody"}`;
}

/** The notice in the place of the field to write in, for somebody who is no longer a member. Empty for members. */
export function standingNotice({ standing, revoked }) {
  if (standing === "expired") {
    return "Your membership has expired. You can read what is here; what you write reaches nobody. Ask for a new invitation.";
  }
  if (standing !== "revoked") return "";
  if (revoked?.reason === "left") {
    return "You have left this group on another device. You can read what is here; what you write reaches nobody.";
  }
  const because = reasonWords(revoked?.reason);
  return `Your membership was revoked by ${revoked ? signerWords(revoked.by) : "somebody"}${because ? `: ${because}` : ""}. `
    + "You can read what is here; what you write reaches nobody.";
}

/** How far a message of ours got. */
export function statusWords(status) {
  if (status === "storing") return "saving";
  if (status === "stored") return "saved";
  if (status === "sent") return "sent";
  return `held by ${status.heldBy}`;
}

/** The same for screen readers and as a tooltip. */
export function statusHelp(status) {
  if (status === "storing") return "On its way to the disk of this device, and to whoever is here.";
  if (status === "stored") return "Saved on this device. Nobody else has confirmed it yet; it goes to whoever is here.";
  if (status === "sent") return "Another member holds it too.";
  return `${status.heldBy} other members hold it directly from you.`;
}

const many = (count, one, more) => `${count} ${count === 1 ? one : more}`;
export const memberWords = (count) => many(count, "member", "members");

/**
 * How we are connected. `neighbours`: links on which this group's records flow; `others`: how many members there are
 * besides us; `settling`: whether we have only just begun to look.
 */
export function connection({ neighbours, others, settling, standing = "member" }) {
  if (standing !== "member") return { state: "out", words: "Not a member any more" };
  const direct = neighbours.filter((link) => link.direct).length;
  const through = neighbours.length - direct;
  if (neighbours.length === 0) {
    if (settling && others > 0) return { state: "looking", words: "Looking for the others …" };
    return { state: "alone", words: "Alone – saved here, sent when somebody is there" };
  }
  if (through === 0) return { state: "direct", words: `Direct to ${memberWords(direct)}` };
  if (direct === 0) return { state: "relayed", words: `Via node to ${memberWords(through)}` };
  return { state: "direct", words: `Direct to ${direct}, via node to ${through}` };
}

/** Words about what works at the moment, and what does not. `reachable`: whether the node that served the page answers. */
export function canWords({ reachable, state }) {
  if (state === "out") return "The members keep no connection to you. Whoever takes you back finds you while this page is open.";
  if (reachable && state === "relayed") {
    return "Your network does not let you connect directly, so a node passes your messages on. It cannot read them.";
  }
  if (reachable) {
    return state === "direct"
      ? "Messages go straight from device to device. The node is only needed to find each other."
      : "The node is reachable. As soon as another member is here, you are connected.";
  }
  if (state === "alone" || state === "looking") {
    return "The node that served this page is out of reach. You can read and write: it is all saved here, and sent when "
      + "a member that you know from before can be reached, or the node is back.";
  }
  return "The node that served this page is out of reach, and you go on without it. Keep this page open: after a reload "
    + "the messages are still here, but without the node the others are found only through a member that is no browser. "
    + "Newcomers have to wait.";
}

/** An open invitation in one line. */
export function invitationWords({ role, uses, used, expires, inviter, state }, now) {
  const who = inviter.me ? "yours" : `by ${inviter.name || "another member"}`;
  const ended = { "used-up": "used up, ", expired: "expired, " }[state] ?? "";
  return `${ended}${used} of ${uses} used, ends ${untilWords(expires, now)}, ${who}${role === "member" ? "" : `, ${roleMark(role)}`}`;
}

/**
 * An invitation in words: title, fields and a sentence. `details` is what the link says; `preview` what a member says of
 * it, once it has; `asking`: whether that may still come; `failed`: whether joining failed, and the reason stands below.
 */
export function invitedWords({ kind, group, name, inviterName, role, roles, invitee, expires }, preview, { again, asking, failed, now }) {
  const open = preview?.open;
  const unknown = asking ? "Asking a member …" : "Nobody is here to tell";
  const may = open?.role ?? role;
  const end = open?.expires ?? expires;
  const over = end && end.getTime() <= (now ?? Date.now());
  const good = over ? "expired, by the clock of this device" : end && `for ${untilWords(end, now).replace(/^in /, "")}`;
  const fields = [
    ["From", open ? open.inviter.name || open.inviter.id : inviterName ? `${inviterName}, it says` : unknown],
    ["You may", may ? roleWords(may, open?.roles ?? roles ?? []) : "what the group allows"],
    ["Meant for", invitee ? `You, ${invitee.name}` : kind === "password" ? "Who knows the password" : "Whoever has the link"],
    ["Good", good || "as long as the inviter says"],
  ];
  if (typeof open?.left === "number") fields.push(["Left", `${open.left} of ${open.uses} ${open.uses === 1 ? "use" : "uses"}`]);
  fields.push(["Group key", group, "code"]);
  let words = "Everybody in the group will see your name, and what you write.";
  if (preview && !open) words = "A member says that this invitation is not open any more. Ask for a new one, or try all the same.";
  else if (open?.left === 0) words = "This invitation is used up: somebody else came by it. Ask for a new one, or try all the same.";
  else if (over) words = "If the clock of this device is wrong, set it, or just try. Else ask for a new invitation.";
  else if (again) words = "You were in this group. What is here of it is removed first, and comes again from the others.";
  else if (failed) words = "You are not in the group yet. Nothing is lost: the invitation can be tried again.";
  else if (!preview && !asking && kind !== "bound") {
    words = "Nobody who could tell more is here now. To join, ask the inviter to open the chat, and keep this page open.";
  }
  return { title: preview?.name ?? name ?? "A group", fields, words };
}

/** The line at the top of the chat while the node is gone. Empty when there is nothing to say. */
export function nodeNotice({ reachable, state }) {
  if (reachable || state === "out") return "";
  if (state === "direct" || state === "relayed") {
    return "The node is out of reach. The chat goes on between you; newcomers have to wait.";
  }
  return "The node is out of reach. What you write is saved here and sent later.";
}

/** How wrong the clock of this device is, at the top of the chat. Empty if it is right. */
export function clockNotice(aheadMs) {
  const wrong = Math.abs(aheadMs);
  const [unit, length] = units.find(([, length]) => wrong >= length) ?? [];
  if (!unit) return "";
  const by = many(Math.round(wrong / length), unit, `${unit}s`);
  return `The clock of this device is ${by} ${aheadMs > 0 ? "ahead" : "behind"}. Set it; the chat goes on meanwhile.`;
}

/** Words about who is here, under the picture. */
export function graphWords({ here, links, others, out }) {
  if (out) return "You are not in the group any more.";
  if (others === 0) return "Only you so far. Invite somebody.";
  if (here === 0) return "Nobody else is here now.";
  const people = here === 1 ? "1 other device is here" : `${here} other devices are here`;
  if (links === 0) return `${people}. No link to them yet.`;
  return `${people}, ${many(links, "link is", "links are")} yours.`;
}

/** Name, length, and what may lack: an invitation for 7 days is one a minute later. Milliseconds. */
const units = [["day", 86_400_000, 1_800_000], ["hour", 3_600_000, 30_000], ["minute", 60_000, 30_000]];
/** "in 7 days", "in 2 hours". Rounded down, never less than a minute. */
export function untilWords(date, now = Date.now()) {
  const left = date.getTime() - now;
  if (left <= 0) return "expired";
  for (const [unit, length, lacking] of units) {
    const count = Math.floor((left + lacking) / length);
    if (count >= 1) return `in ${many(count, unit, `${unit}s`)}`;
  }
  return "in less than a minute";
}

/** A number for the colour of a member, always the same for the same peer. */
export function hue(peer) {
  let sum = 0;
  for (const character of peer) sum = (sum * 31 + character.codePointAt(0)) % 4093;
  return sum % 8;
}

/** One or two letters for the circle of a member. */
export function initials(name) {
  const words = name.trim().split(/\s+/u).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : words;
  return letters.map((word) => [...word][0].toLocaleUpperCase()).join("") || "?";
}

/** The text of a message. Programs publish bytes: plain text, which is shown as it is, or what this page writes. */
export function messageText(data) {
  if (data instanceof Uint8Array) return textOfBytes(new TextDecoder().decode(data));
  if (typeof data === "string") return data;
  if (data && typeof data === "object" && typeof data.text === "string") return data.text;
  return JSON.stringify(data) ?? "";
}

function textOfBytes(text) {
  try {
    const said = JSON.parse(text)?.text;
    return typeof said === "string" ? said : text;
  } catch {
    return text;
  }
}

const problems = {
  locked: {
    title: "The chat is open in another tab",
    words: "Only one tab of this browser can be in the groups at a time, and the other one is in charge.",
    hint: "Go on there, or use it here: the other tab then steps back. Nothing is lost.",
    action: "Use it here",
  },
  "taken-over": {
    title: "You went on in another tab",
    words: "Only one tab of this browser can be in the groups at a time, and the other one is in charge now.",
    hint: "Nothing is lost.",
    action: "Use it here",
  },
  "no-webrtc": {
    title: "This browser cannot connect directly",
    words: "The chat needs WebRTC, which lets browsers talk to each other. It is missing here, or switched off.",
    hint: "Switch it on (an add-on or a policy may block it), or open this page with another browser.",
  },
  "no-indexeddb": {
    title: "This browser cannot keep your messages",
    words: "The chat keeps your identity and messages on your device, in IndexedDB. It is missing here, or switched off.",
    hint: "Allow this page to store data, leave the private window, or use another browser.",
  },
  "insecure-page": {
    title: "This page was not opened securely",
    words: "Browsers give pages their keys and connections only over HTTPS, or on this very computer.",
    hint: "Open it with https:// in front, or as localhost.",
  },
  "load-failed": {
    title: "A part of the chat could not be loaded",
    words: "The program behind this page did not arrive. The connection may have been cut.",
    hint: "Try again. If it stays like this, the node that serves this page has no package.",
  },
  "identity-unreadable": {
    title: "Your identity on this device cannot be read",
    words: "It is stored in this browser, but it cannot be opened. Nothing was overwritten.",
    hint: "If you have exported it, import it in a fresh profile; otherwise ask for a new invitation.",
  },
  "storage-full": {
    title: "This device is full",
    words: "There is no room to keep your messages.",
    hint: "Free some space, then try again. Nothing that was saved is lost.",
  },
};

/** The text to show instead of the chat, for an error that stands in the way. */
export function problem(error) {
  const known = problems[error?.code];
  if (known) return { action: "Try again", ...known, code: error.code };
  return {
    title: "Something went wrong",
    words: error?.message ?? String(error),
    hint: error?.hint ?? "",
    action: "Try again",
    code: error?.code ?? "",
  };
}

/** An error in one or two sentences, for beneath a field. */
export function errorWords(error) {
  const sentence = (text) => {
    const trimmed = (text ?? "").trim();
    if (!trimmed) return "";
    return `${trimmed[0].toLocaleUpperCase()}${trimmed.slice(1)}${/[.!?…]$/u.test(trimmed) ? "" : "."}`;
  };
  // The list of attempts stands apart: here is what came of it, and what to do.
  const said = error?.tried ? error.message.split(": ")[0] : error?.message ?? String(error);
  const [words, hint] = [sentence(said), sentence(error?.hint)];
  // Some messages say already what to do.
  return words.toLowerCase().includes(hint.slice(0, -1).toLowerCase()) ? words : `${words} ${hint}`;
}
