// The dialog that finds messages: a field, and below it what the query finds, kept up to date while it is open.
import { $, batched, el, setText } from "./dom.js";
import { errorWords, messageText } from "./words.js";

/** So long after the last key it is searched. Guess: between two keys of somebody who types. */
const TYPING_MS = 150;
/** Messages that are listed. Guess: more than anybody looks through. */
const SHOWN_MAX = 50;
/** Characters of a message that are shown, and of these before the first word that was found. Guess: two lines of a phone. */
const EXCERPT = 160;
const BEFORE = 40;

const when = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** Prepares the dialog. `current()` gives the group on the screen; `show(id)` goes to a message of it. */
export function setUpSearch({ current, nameOf, show }) {
  const dialog = $("search");
  const field = $("search-field");
  const list = $("search-found");
  let live = null;
  let timer = 0;

  const stop = () => {
    clearTimeout(timer);
    live?.close();
    live = null;
  };

  const draw = (found, words) => {
    list.replaceChildren(...found.map((record) => {
      const { creator, created } = record;
      const name = creator.me ? "You" : creator.name || nameOf(creator.id) || "Unknown member";
      const button = el("button", { type: "button", class: "quiet" },
        el("span", { class: "muted small" }, `${name} · ${when.format(created)}`),
        el("span", { dir: "auto" }, ...excerpt(messageText(record.data), words)));
      button.addEventListener("click", () => {
        dialog.close();
        show(record.id);
      });
      return el("li", {}, button);
    }));
    const count = found.length === SHOWN_MAX ? `The newest ${SHOWN_MAX} messages` : found.length === 1 ? "One message" : `${found.length} messages`;
    setText($("search-words"), found.length === 0 ? "No message of this group is like that." : count);
  };

  const search = () => {
    stop();
    const group = current();
    const text = field.value.trim();
    if (!text || !group) {
      list.replaceChildren();
      setText($("search-words"), "");
      return;
    }
    const words = wordsOf(text);
    const begin = (query, otherwise) => {
      const asked = group.query(`type:chat.message (${query})`, { limit: SHOWN_MAX });
      live = asked;
      const changed = batched(() => { if (live === asked) draw(asked.value, words); });
      asked.addEventListener("change", changed);
      asked.addEventListener("closed", ({ detail: { error } }) => {
        if (live !== asked || !error) return;
        if (otherwise) begin(otherwise);
        else {
          list.replaceChildren();
          // The place would be that in a longer query.
          const message = error.message.replace(/^this is no query: character \d+: /, "");
          setText($("search-words"), errorWords({ message, hint: error.hint }));
        }
      });
    };
    // A word that is not finished finds what begins so.
    if (/[\p{L}\p{N}]$/u.test(text)) begin(`${text}*`, text);
    else begin(text);
  };

  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(search, TYPING_MS);
  });
  $("search-form").addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
  $("search-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", stop);
  $("search-button").addEventListener("click", () => {
    dialog.showModal();
    field.select();
    search();
  });
}

/** The words of a query that a text may have, without those of other fields. */
function wordsOf(query) {
  const bare = query.replace(/[\p{L}\p{N}]+:[<>=]*("[^"]*"|\S+)/gu, " ").replace(/\b(AND|OR|NOT)\b/g, " ");
  return bare.match(/[\p{L}\p{N}]+/gu) ?? [];
}

/** The part of a text around the first of some words, in which all of them are marked. */
function excerpt(text, words) {
  if (words.length === 0) return [text.slice(0, EXCERPT)];
  const wanted = new RegExp(`(?<![\\p{L}\\p{N}])(?:${words.join("|")})`, "giu");
  const first = text.search(wanted);
  const from = first > BEFORE ? first - BEFORE : 0;
  const part = text.slice(from, from + EXCERPT);
  const pieces = [];
  let at = 0;
  for (const { 0: word, index } of part.matchAll(wanted)) {
    pieces.push(part.slice(at, index), el("mark", {}, word));
    at = index + word.length;
  }
  return [from > 0 ? "…" : "", ...pieces, part.slice(at), from + EXCERPT < text.length ? "…" : ""];
}
