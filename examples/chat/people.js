// Who is in the group, who is here, and how we are connected.
import { $, el, setText } from "./dom.js";
import { hue, initials, roleMark } from "./words.js";

/** Draws the list: ourselves, then who is here, then the others, by name. */
export function drawPeople(members, neighbours) {
  const linkOf = new Map(neighbours.map((link) => [link.peer, link]));
  const sorted = [...members].sort((a, b) =>
    Number(b.me) - Number(a.me) || Number(b.online) - Number(a.online) || a.name.localeCompare(b.name)
      || (a.id < b.id ? -1 : 1));
  $("people").replaceChildren(...sorted.map((member) => row(member, linkOf.get(member.id))));
  const here = members.filter((member) => member.online || member.me).length;
  setText($("people-count"), String(here));
}

function row(member, link) {
  const name = member.name || "Unknown member";
  const marks = [member.me ? "you" : "", roleMark(member.role)].filter(Boolean).join(", ");
  const here = member.online || member.me || link;
  return el("li", { class: here ? "here" : "away", "data-peer": member.id },
    el("span", { class: `face hue-${hue(member.id)}`, "aria-hidden": "true" }, initials(name)),
    el("div", { class: "who" },
      el("p", { class: "name", title: member.id }, name, marks ? el("span", { class: "muted small" }, ` · ${marks}`) : null),
      el("p", { class: "muted small" }, presence(member, link))));
}

function presence(member, link) {
  if (member.me) return "here";
  if (link) return link.direct ? "here, direct" : "here, via node";
  return member.online ? "here, through others" : "away";
}
