// First visit, a new group, an invitation: the forms before a chat.
import { restoreWith } from "./backup.js";
import { $, el, setText, show } from "./dom.js";
import { errorWords, invitedWords } from "./words.js";

/** Longest text that is worth looking at for an invitation. Characters. The core's bound. */
const LINK_CHARS_MAX = 140_000;

/** A member's description of the invitation on the screen. */
let lastTold = null;

/**
 * Asks for a name, and resolves with it. `invited`: whether an invitation waits to be shown. `restore(file, password)` goes on
 * from a backup instead, and resolves with the name that is in it.
 */
export function askName(invited, restore) {
  section("name-form");
  if (invited) heading("You are invited to a group", "Say who you are, then see what it is about. Nothing is joined yet.");
  else {
    heading("A chat that belongs to the people in it",
      "No account. Messages go directly between you, encrypted, and stay on your own devices.");
  }
  show("welcome");
  $("name").focus();
  return new Promise((resolve) => {
    restoreWith("restore", async (file, password) => resolve(await restore(file, password)));
    $("name-form").onsubmit = (event) => {
      event.preventDefault();
      const name = $("name").value.trim();
      setText($("name-error"), name ? "" : "Tell the others who you are.");
      $("name").setAttribute("aria-invalid", String(!name));
      if (name) resolve(name);
      else $("name").focus();
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
 * Shows what an invitation is for: what the link says at once, and the rest when `told` brings it. `accept(password)` joins,
 * `decline()` leads away. `again`: whether we were in that group, and have its messages here. `failed`: why joining by it
 * failed, if it did; what a member said before is shown again.
 */
export function showInvited(details, { accept, again, decline, told, failed }) {
  section("invited");
  heading("You are invited", "");
  const draw = (preview, asking) => {
    const { title, fields, words } = invitedWords(details, preview, { again, asking, failed: Boolean(failed) });
    setText($("invited-title"), title);
    $("invited-fields").replaceChildren(...fields.flatMap(([name, value, kind]) => field(name, value, kind)));
    setText($("invited-words"), words);
  };
  if (!failed) lastTold = null;
  draw(lastTold, !failed);
  told.then((preview) => {
    lastTold = preview;
    draw(preview, false);
  }, (error) => {
    if (failed || error.code === "aborted") return;
    draw(null, false);
    showTried(error.tried);
  });
  setText($("invited-join"), failed ? "Try again" : "Join the group");
  if (failed) {
    setText($("invited-error"), errorWords(failed));
    showTried(failed.tried);
  }
  const needed = details.kind === "password";
  $("invited-password").value = "";
  $("invited-password-field").hidden = !needed;
  $("invited").onsubmit = guarded("invited-error", "Joining …", async () => {
    const password = $("invited-password").value;
    if (needed && !password) throw missing($("invited-password"), "Type the password that you were told.");
    await accept(needed ? password : undefined);
  });
  $("invited-decline").onclick = decline;
  show("welcome");
  $(needed ? "invited-password" : "invited-join").focus();
}

/** Shows where members were looked for in vain, and what came of it: what an error says of it. */
export function showTried(tried) {
  const nodes = tried?.nodes.map(({ url, state, message }) => `${url}: ${message ?? nodeWords[state] ?? state}`) ?? [];
  const lines = [...nodes, ...(tried?.places.map((place) => place.message) ?? [])];
  $("invited-places").replaceChildren(...lines.map((line) => el("li", {}, line)));
  $("invited-tried").hidden = !lines.length;
}

const nodeWords = {
  trying: "no answer yet", known: "it is being dialled", linked: "reached",
};

/** Shows why an invitation is of no use, above the forms that are there instead. */
export function showBadInvitation(error) {
  setText($("welcome-error"), `This invitation cannot be used. ${errorWords(error)}`);
}

function field(name, value, kind) {
  return [el("dt", {}, name), el("dd", { class: kind, title: kind && value }, value)];
}

function section(id) {
  for (const other of ["name-form", "invited", "begin"]) $(other).hidden = other !== id;
  // Only where nobody is anybody yet: later it is in the menu.
  $("restore-here").hidden = id !== "name-form";
  forgetErrors();
}

function forgetErrors() {
  showTried(null);
  for (const error of ["welcome-error", "name-error", "invited-error", "create-error", "paste-error"]) setText($(error), "");
}

function heading(title, words) {
  setText($("welcome-title"), title);
  setText($("welcome-words"), words);
  $("welcome-words").hidden = !words;
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
    forgetErrors();
    try {
      await work();
    } catch (error) {
      setText($(errorId), errorWords(error));
    } finally {
      button.disabled = false;
      // Another screen may have given it another word.
      if (button.textContent === waiting) setText(button, label);
    }
  };
}
