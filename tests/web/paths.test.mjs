/** The events of the browser about its network reach the node, and nothing else does. Runs without a browser: the events are made. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Paths } from "../../web/js/paths.js";

/** A window with a document and a connection, as far as they are used. */
function page() {
  const [window, document, connection] = [new EventTarget(), new EventTarget(), new EventTarget()];
  document.visibilityState = "visible";
  connection.type = "wifi";
  globalThis.addEventListener = window.addEventListener.bind(window);
  globalThis.removeEventListener = window.removeEventListener.bind(window);
  globalThis.document = document;
  Object.defineProperty(globalThis, "navigator", { value: { connection }, configurable: true });
  return { window, document, connection };
}

function event(type, fields = {}) {
  return Object.assign(new Event(type), fields);
}

test("changes of the network and the end of sleep are told", (context) => {
  const { window, document, connection } = page();
  let now = 0;
  context.mock.method(performance, "now", () => now);
  const told = [];
  const paths = new Paths((gone) => told.push(gone));
  const tells = (expected) => assert.deepEqual(told.splice(0), expected);

  window.dispatchEvent(event("offline"));
  window.dispatchEvent(event("online"));
  tells([true, false]);
  window.dispatchEvent(event("pageshow", { persisted: false }));
  tells([]);
  window.dispatchEvent(event("pageshow", { persisted: true }));
  tells([false]);

  const hide = (span) => {
    document.visibilityState = "hidden";
    document.dispatchEvent(event("visibilitychange"));
    now += span;
    document.visibilityState = "visible";
    document.dispatchEvent(event("visibilitychange"));
  };
  hide(1_000);
  tells([]);
  hide(60_000);
  tells([false]);

  // Another estimate of the speed is no other network.
  connection.dispatchEvent(event("change"));
  tells([]);
  connection.type = "cellular";
  connection.dispatchEvent(event("change"));
  tells([true]);

  paths.close();
  window.dispatchEvent(event("online"));
  hide(60_000);
  tells([]);
});
