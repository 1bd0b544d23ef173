// The people: who is in the group, who is here, and how we are connected; and who was in it.
import { $, el, setText } from "./dom.js";
import { hue, initials, roleMark, standingWords } from "./words.js";

/** Members by id, as they are: a row that stays as it looks is kept, and shows whom it stands for at this moment. */
let people = new Map();

/**
 * Draws the list: ourselves, then who is here, then the others, by name; below it those who are members no more. `out`:
 * whether we are one of those, and do not hear any more who is here.
 */
export function drawPeople(members, neighbours, { out, show }) {
  const linkOf = new Map(neighbours.map((link) => [link.peer, link]));
  const sorted = [...members].sort((a, b) =>
    Number(b.me) - Number(a.me) || Number(b.online) - Number(a.online) || a.name.localeCompare(b.name)
      || (a.id < b.id ? -1 : 1));
  people = new Map(members.map((member) => [member.id, member]));
  const rows = (all) => all.map((member) => row(member, linkOf.get(member.id), { out, show }));
  const [inside, outside] = [sorted.filter(isMember), sorted.filter((member) => !isMember(member))];
  replace($("people"), rows(inside));
  replace($("former-people"), rows(outside));
  $("former").hidden = outside.length === 0;
  setText($("former-count"), String(outside.length));
  const here = inside.filter((member) => member.online || member.me).length;
  setText($("people-count"), String(out ? 0 : here));
}

const isMember = (member) => member.standing === "member";

/**
 * Puts rows in the place of others. The row that has the keyboard keeps it, and a row that looks the same stays where it is:
 * one that is replaced while somebody presses its button is not clicked.
 */
function replace(list, made) {
  const held = list.contains(document.activeElement) && document.activeElement.closest("li")?.dataset.peer;
  const old = new Map([...list.children].map((row) => [row.dataset.peer, row]));
  const rows = made.map((row) => {
    const before = old.get(row.dataset.peer);
    return before?.isEqualNode(row) ? before : row;
  });
  for (const row of [...list.children]) if (!rows.includes(row)) row.remove();
  rows.forEach((row, place) => {
    if (list.children[place] !== row) list.insertBefore(row, list.children[place] ?? null);
  });
  if (held) rows.find((row) => row.dataset.peer === held)?.querySelector("button")?.focus();
}

function row(member, link, { out, show }) {
  const name = member.name || "Unknown member";
  const marks = [member.me ? "you" : "", roleMark(member.role), ...member.roles].filter(Boolean).join(", ");
  const here = !out && isMember(member) && (member.online || member.me || link);
  const more = el("button", { type: "button", class: "quiet round", "aria-label": `About ${name}`, "aria-haspopup": "dialog" }, "⋯");
  more.addEventListener("click", () => show(people.get(member.id) ?? member));
  return el("li", { class: here ? "here" : "away", "data-peer": member.id, "data-standing": member.standing },
    el("span", { class: `face hue-${hue(member.id)}`, "aria-hidden": "true" }, initials(name)),
    el("div", { class: "who" },
      el("p", { class: "name", title: member.id }, name, marks ? el("span", { class: "muted small" }, ` · ${marks}`) : null),
      el("p", { class: "muted small" }, state(member, link, out))),
    more);
}

function state(member, link, out) {
  if (out || !isMember(member)) return standingWords(member.standing, member.revoked);
  if (member.me) return "here";
  if (link) return link.direct ? "here, direct" : "here, via node";
  return member.online ? "here, through others" : "away";
}
