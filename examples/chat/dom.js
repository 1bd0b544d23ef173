// Elements of the page. Text from others only ever becomes a text node: nothing here parses HTML.

/** The element with this id, which index.html has. */
export const $ = (id) => document.getElementById(id);

/** A new element: `el("p", { class: "muted", hidden: true }, "text", child)`. */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

/** Sets text only where it differs, so that screen readers hear changes and nothing else. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const screens = ["opening", "welcome", "problem", "chat"];

/** Shows one screen and hides the others. */
export function show(screen) {
  for (const id of screens) $(id).hidden = id !== screen;
}

/** Says what is under way. `cancel` is called by a button, where given. */
export function showOpening(words, cancel) {
  setText($("opening-words"), words);
  const button = $("opening-cancel");
  button.hidden = !cancel;
  button.onclick = cancel ?? null;
  show("opening");
}

/** Resolves when what was just written is on the screen (or soon, in a hidden tab). */
export function painted() {
  return new Promise((resolve) => {
    setTimeout(resolve, 250);
    requestAnimationFrame(() => setTimeout(resolve, 0));
  });
}

let toastTimer;
/** A short message at the foot of the page. */
export function toast(words) {
  const toast = $("toast");
  toast.hidden = false;
  setText(toast, words);
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { toast.hidden = true; }, 8000);
}

/** Runs `work` once for any number of calls before the next frame (or soon, in a hidden tab). */
export function batched(work) {
  let waiting = false;
  const run = () => {
    if (!waiting) return;
    waiting = false;
    work();
  };
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(run);
    setTimeout(run, 250);
  };
}
