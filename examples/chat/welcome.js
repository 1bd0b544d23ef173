// First visit, a new group, an invitation: the forms before a chat.
import { $, el, setText, show } from "./dom.js";
import { errorWords, roleWords, untilWords } from "./words.js";

/** Longest invitation that is worth looking at. Characters. The core's bound, with room for a page's address. */
const LINK_CHARS_MAX = 8_000;

/** Asks for a name, and resolves with it. */
export function askName() {
  section("name-form");
  heading("A chat that belongs to the people in it",
    "No account. Messages go directly between you, encrypted, and stay on your own devices.");
  show("welcome");
  $("name").focus();
  return new Promise((resolve) => {
    $("name-form").onsubmit = (event) => {
      event.preventDefault();
      const name = checkedName($("name"), $("name-error"));
      if (name) resolve(name);
    };
  });
}

/**
 * Lets start a group or join one. `create(name)` and `look(link)` do it, and may throw what is shown. `back` leads to
 * the chat, where there is one.
 */
export function begin({ name, create, look, back }) {
  section("begin");
  heading(`Hello ${name}`, "Start a group and invite the others, or join with a link that you were sent.");
  $("begin-back").hidden = !back;
  $("begin-back").onclick = back;
  $("group-name").value = $("paste").value = "";
  $("create-form").onsubmit = guarded("create-error", "Creating …", async () => {
    const groupName = $("group-name").value.trim();
    if (!groupName) throw missing($("group-name"), "Give the group a name.");
    await create(groupName);
  });
  $("paste-form").onsubmit = guarded("paste-error", "Looking …", async () => {
    const link = $("paste").value.trim();
    if (!link) throw missing($("paste"), "Paste the link that you were sent.");
    if (link.length > LINK_CHARS_MAX) throw new Error("This is too long to be an invitation.");
    await look(link);
  });
  show("welcome");
  $("group-name").focus();
}

/**
 * Shows what an invitation is for. `accept(name)` joins; `name` is only asked for where there is none. `decline` leads
 * away.
 */
export function showInvited(details, { name, accept, decline }) {
  section("invited");
  heading("You are invited", "");
  setText($("invited-title"), details.group.name);
  const inviter = details.inviter.name || "A member";
  $("invited-fields").replaceChildren(
    ...field("Invited by", inviter, details.inviter.id),
    ...field("You may", roleWords(details.role)),
    ...field("Good", details.expires ? untilOrAlways(details.expires) : "until it is used"),
    ...field("Group key", details.group.id, details.group.id, "code"));
  $("invited-name-field").hidden = Boolean(name);
  $("invited").onsubmit = guarded("invited-error", "Joining …", async () => {
    const chosen = name || checkedName($("invited-name"), $("invited-error"));
    if (chosen) await accept(chosen);
  });
  $("invited-decline").onclick = decline;
  show("welcome");
  (name ? $("invited-join") : $("invited-name")).focus();
}

/** Shows why an invitation is of no use, above the forms that are there instead. */
export function showBadInvitation(error) {
  setText($("welcome-error"), `This invitation cannot be used. ${errorWords(error)}`);
}

const untilOrAlways = (date) => {
  const words = untilWords(date);
  return words === "expired" ? words : `for ${words.replace(/^in /, "")}`;
};

function field(name, value, title, kind) {
  return [el("dt", {}, name), el("dd", { title, class: kind }, value)];
}

function section(id) {
  for (const other of ["name-form", "invited", "begin"]) $(other).hidden = other !== id;
  for (const error of ["welcome-error", "name-error", "invited-error", "create-error", "paste-error"]) setText($(error), "");
}

function heading(title, words) {
  setText($("welcome-title"), title);
  setText($("welcome-words"), words);
  $("welcome-words").hidden = !words;
}

function checkedName(field, error) {
  const name = field.value.trim();
  setText(error, name ? "" : "Tell the others who you are.");
  field.setAttribute("aria-invalid", String(!name));
  if (!name) field.focus();
  return name;
}

function missing(field, words) {
  field.focus();
  return new Error(words);
}

/** A form's handler: its button waits and says so, and what goes wrong is shown beneath the field. */
function guarded(errorId, waiting, work) {
  return async (event) => {
    event.preventDefault();
    const button = event.target.querySelector("button.primary, button:not([type])");
    if (button.disabled) return;
    const label = button.textContent;
    button.disabled = true;
    setText(button, waiting);
    setText($(errorId), "");
    try {
      await work();
    } catch (error) {
      setText($(errorId), errorWords(error));
    } finally {
      button.disabled = false;
      setText(button, label);
    }
  };
}
