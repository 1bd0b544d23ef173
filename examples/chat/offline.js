// The page without its server: the service worker that keeps it, and whether the node behind it answers.

/** How often to look whether the node answers, while it does and while it does not. */
const LOOK_MS = 15_000;
const LOOK_GONE_MS = 30_000;
/** How long the node may take to answer. */
const ANSWER_MS_MAX = 5_000;

/** Starts the service worker. `updated` is called when it has fetched a newer version of the page. */
export async function keepOffline(updated) {
  // Absent where the browser forbids it; the page works without it while its server does.
  if (!("serviceWorker" in navigator)) return;
  navigator.serviceWorker.addEventListener("message", (event) => {
    if (event.data?.kind === "updated") updated();
  });
  // Registering can wait; the first picture is more urgent.
  if (document.readyState !== "complete") await new Promise((loaded) => addEventListener("load", loaded, { once: true }));
  try {
    await navigator.serviceWorker.register("sw.js", { scope: "./", updateViaCache: "none" });
    await keepLoaded();
  } catch (error) {
    console.info("This browser does not keep the page for offline use:", error.message);
  }
}

/** Lets the service worker keep all that this page has loaded so far, the package among it. */
export async function keepLoaded() {
  if (!("serviceWorker" in navigator)) return;
  const { active } = await navigator.serviceWorker.ready;
  const loaded = performance.getEntriesByType("resource")
    .map((entry) => new URL(entry.name))
    .filter((url) => url.origin === location.origin)
    .map((url) => url.pathname);
  active.postMessage({ kind: "keep", paths: [...new Set([location.pathname, ...loaded])] });
}

/**
 * Watches whether the node that served the page answers. `changed(node)` is called on changes, with
 * `{ reachable, peer }`: `peer` is the node's peer id, as far as it is known. `look()` asks at once.
 */
export function watchNode(changed) {
  let node = { reachable: true, peer: null };
  let timer;
  let asking = false;

  async function look() {
    if (asking) return;
    asking = true;
    clearTimeout(timer);
    const answer = await ask();
    asking = false;
    const now = { reachable: answer !== null, peer: answer?.peer ?? node.peer };
    if (now.reachable !== node.reachable || now.peer !== node.peer) {
      node = now;
      changed(node);
    }
    timer = setTimeout(look, node.reachable ? LOOK_MS : LOOK_GONE_MS);
  }

  addEventListener("online", look);
  addEventListener("offline", look);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  look();
  return { look };
}

/** The node's description of itself, `{}` from a server that is no node, `null` from nobody. */
async function ask() {
  try {
    const response = await fetch(new URL("../.well-known/peergraph", import.meta.url),
      { cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS_MAX) });
    if (!response.ok) return {};
    const { peer } = await response.json();
    return typeof peer === "string" ? { peer } : {};
  } catch {
    return null;
  }
}
