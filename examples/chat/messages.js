// The conversation: records of type `chat.message`, in the order of their versions.
//
// `created` is what the author says. A version cannot be later than the others' clocks; it can be earlier, as that of a
// message from somebody who was away. A message that comes in between others says when it came.
import { $, batched, el } from "./dom.js";
import { hue, initials, messageText, statusHelp, statusWords } from "./words.js";

/** Messages drawn at first, and added by each "Show earlier". Guess: quick on a phone. */
const DRAWN_STEP = 150;
/** Messages drawn before one that was looked for. Guess: more than a screen. */
const DRAWN_AROUND = 30;
/** How long a message that was looked for is framed: as the animation in `style.css`. */
const SHOWN_MS = 2_400;
/** Messages of one author within this time share a heading. One that is older when it comes says when it came. */
const TOGETHER_MS = 5 * 60_000;
/** Characters of a message that are drawn before "Show all". Guess: some pages. */
const TEXT_SHOWN = 20_000;

const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
const before = (a, b) => compare(a.version, b.version) || compare(a.id, b.id);
const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
/** When a message was written: a version is milliseconds and a counter of 16 bits. */
const written = (record) => new Date(Number(BigInt(record.version) >> 16n));

/** Shows one group's messages until `signal` ends it. `nameOf(peer)` gives the name of an author, or "". */
export function showMessages(group, { nameOf, signal, failed }) {
  const list = $("messages");
  const scroller = $("scroller");
  const newest = $("newest");
  const earlier = $("earlier");
  /** All messages, oldest first; what is drawn is the end of it. */
  const all = [];
  const byId = new Map();
  /** When messages came that were written long before. */
  const late = new Map();
  /** Messages that are drawn whole though they are long. */
  const whole = new Set();
  let drawnMax = DRAWN_STEP;
  let unread = false;

  list.replaceChildren();
  scroller.setAttribute("aria-busy", "true");
  newest.hidden = earlier.hidden = $("empty").hidden = true;

  const atEnd = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 80;
  const toEnd = () => { scroller.scrollTop = scroller.scrollHeight; };
  let stick = true;

  /** How far a message got. One of before the page was opened may have got further than is known until somebody is met. */
  const statusOf = (record) => {
    const status = group.statusOf(record);
    return status === "stored" && record.created.getTime() < performance.timeOrigin ? null : status;
  };

  const draw = batched(() => {
    if (signal.aborted) return;
    const first = Math.max(0, all.length - drawnMax);
    const rows = [];
    let previous = null;
    for (const record of all.slice(first)) {
      const at = written(record);
      const newDay = previous === null || written(previous).toDateString() !== at.toDateString();
      if (newDay) rows.push(dayRow(at));
      const together = !newDay && previous.creator.id === record.creator.id && at - written(previous) < TOGETHER_MS;
      rows.push(messageRow(record, {
        at, together, came: late.get(record.id), name: authorOf(record, nameOf), status: statusOf(record),
        whole: whole.has(record.id), showAll: () => { whole.add(record.id); draw(); },
      }));
      previous = record;
    }
    reconcile(list, rows);
    earlier.hidden = first === 0;
    $("empty").hidden = all.length > 0 || scroller.getAttribute("aria-busy") === "true";
    if (stick) toEnd();
    newest.hidden = stick || !unread;
  });

  const take = (record) => {
    const old = byId.get(record.id);
    if (old && old.edition >= record.edition) return;
    if (old) all.splice(all.indexOf(old), 1);
    byId.set(record.id, record);
    if (!record.deleted) {
      const live = scroller.getAttribute("aria-busy") === "false";
      if (live && !old && all.length > 0 && written(all.at(-1)) - written(record) > TOGETHER_MS) {
        late.set(record.id, new Date());
      }
      all.splice(placeOf(all, record), 0, record);
    }
    if (!stick) unread = true;
    draw();
  };

  const remove = (id) => {
    const old = byId.get(id);
    if (!old) return;
    byId.delete(id);
    const at = all.indexOf(old);
    if (at >= 0) all.splice(at, 1);
    draw();
  };

  scroller.addEventListener("scroll", () => {
    stick = atEnd();
    if (stick) unread = false;
    newest.hidden = stick || !unread;
  }, { signal, passive: true });
  newest.onclick = () => { stick = true; unread = false; draw(); };
  earlier.onclick = () => {
    const fromEnd = scroller.scrollHeight - scroller.scrollTop;
    drawnMax += DRAWN_STEP;
    draw();
    requestAnimationFrame(() => requestAnimationFrame(() => {
      scroller.scrollTop = scroller.scrollHeight - fromEnd;
    }));
  };
  // A keyboard on a phone makes the view smaller: the newest message stays in sight.
  const resized = new ResizeObserver(() => { if (stick) toEnd(); });
  resized.observe(scroller);
  signal.addEventListener("abort", () => resized.disconnect());

  group.addEventListener("status", draw, { signal });
  for (const type of ["expired", "withdrawn"]) {
    group.addEventListener(type, (event) => remove(event.detail.id), { signal });
  }

  // The newest of the history first; the list speaks to screen readers once all of it is there.
  const onStored = () => { scroller.setAttribute("aria-busy", "false"); draw(); };
  (async () => {
    try {
      const records = group.watch("chat.message", { order: "newest", onStored, signal });
      for await (const record of records) take(record);
    } catch (error) {
      if (!signal.aborted) failed(error);
    }
  })();

  return {
    /** Draws again, since names have changed. */
    refresh: draw,
    /** Goes to the newest message, since we have just written one. */
    follow: () => { stick = true; unread = false; draw(); },
    /** Goes to a message. */
    show: (id) => {
      const at = all.findIndex((record) => record.id === id);
      if (at < 0) return;
      drawnMax = Math.max(drawnMax, all.length - at + DRAWN_AROUND);
      stick = false;
      draw();
      // When it is drawn.
      requestAnimationFrame(() => requestAnimationFrame(() => {
        const row = list.querySelector(`[data-id="${id}"]`);
        if (!row) return;
        row.scrollIntoView({ block: "center" });
        row.classList.add("shown");
        setTimeout(() => row.classList.remove("shown"), SHOWN_MS);
        scroller.focus({ preventScroll: true });
      }));
    },
  };
}

function dayRow(date) {
  return { key: `day ${date.toDateString()}`, look: "", make: () => el("li", { class: "day" }, el("span", {}, day.format(date))) };
}

/** Where a message belongs among those that are in order. */
function placeOf(all, record) {
  let [from, to] = [0, all.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (before(all[middle], record) > 0) to = middle;
    else from = middle + 1;
  }
  return from;
}

function authorOf({ creator }, nameOf) {
  return creator.me ? "You" : creator.name || nameOf(creator.id) || "Unknown member";
}

/** One message. `came` is when it came, if that was long after it was written. */
function messageRow(record, { at, together, came, name, status, whole, showAll }) {
  const { creator } = record;
  const words = creator.me && status ? statusWords(status) : "";
  return {
    key: record.id,
    look: [record.version, together, name, words, came, whole].join(" "),
    make: () => {
      const text = messageText(record.data);
      const cut = !whole && text.length > TEXT_SHOWN;
      const foot = el("p", { class: "foot" },
        el("time", { datetime: at.toISOString(), title: at.toLocaleString() }, time.format(at)));
      if (came) {
        foot.append(" · ", el("span", { title: came.toLocaleString() }, `came at ${time.format(came)}`));
      }
      if (words) {
        foot.append(" · ", el("span", { class: "status", title: statusHelp(status) }, words));
      }
      const bubble = el("div", { class: "bubble" },
        el("p", { class: `author${together || creator.me ? " visually-hidden" : ""} ink-${hue(creator.id)}`,
          title: creator.id }, name),
        el("p", { class: "text", dir: "auto" }, cut ? `${text.slice(0, TEXT_SHOWN)}…` : text));
      if (cut) {
        const more = el("button", { type: "button", class: "quiet" }, "Show all");
        more.addEventListener("click", showAll);
        bubble.append(more);
      }
      bubble.append(foot);
      return el("li", {
        class: `message${creator.me ? " mine" : ""}${together ? " together" : ""}`,
        "data-id": record.id,
      },
      creator.me ? null : el("span", { class: `face hue-${hue(creator.id)}`, "aria-hidden": "true" }, initials(name)),
      bubble);
    },
  };
}

/** Makes the list show `rows`, touching only what differs. */
function reconcile(list, rows) {
  const old = new Map([...list.children].map((child) => [child.dataset.key, child]));
  let at = list.firstElementChild;
  for (const row of rows) {
    const present = old.get(row.key);
    old.delete(row.key);
    if (present && present.dataset.look === row.look) {
      if (present === at) at = at.nextElementSibling;
      else list.insertBefore(present, at);
      continue;
    }
    const made = row.make();
    made.dataset.key = row.key;
    made.dataset.look = row.look;
    if (present) {
      if (present === at) at = at.nextElementSibling;
      present.replaceWith(made);
      if (made.nextElementSibling !== at) list.insertBefore(made, at);
    } else {
      list.insertBefore(made, at);
    }
  }
  for (const gone of old.values()) gone.remove();
}

/** The field in which one writes. `send(text)` may fail; the text stays then. */
export function setUpComposer(send) {
  const form = $("composer");
  const text = $("text");
  const grow = () => {
    text.style.height = "auto";
    text.style.height = `${Math.min(text.scrollHeight + 2, 180)}px`;
  };
  text.addEventListener("input", grow);
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const words = text.value.trim();
    if (!words) return;
    const typed = text.value;
    text.value = "";
    grow();
    text.focus();
    if (!await send(words) && text.value === "") {
      text.value = typed;
      grow();
    }
  });
}
