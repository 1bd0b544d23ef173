// Keeps the page and the package, so that both open when their server is gone.
//
// What is kept is a *generation*: all files as they were at one moment, in one cache. Every answer comes from the
// generation in use, at once. After each opening of the page the server is asked for newer files (by ETag, through the
// browser's own HTTP cache); when one differs, a new generation is fetched as a whole, and the next opening of the page
// uses it. So a page never runs with the files of two versions.

const PREFIX = "peergraph-chat-";
/** Names the generation in use, in a cache of its own. */
const STATE = "peergraph-chat-state";
const CURRENT = new URL("./current-generation", self.location).href;
/** Files of one generation. More than that is a mistake, or somebody else's. */
const FILES_MAX = 100;
/** The folder of all pages, at the top of the site or below a path. */
const ROOT = new URL("../", self.location).pathname;
/** What belongs to the page. */
const isOurs = (path) => path.startsWith(ROOT) && /^(chat\/|peergraph\/|style\.css$)/.test(path.slice(ROOT.length));
/** A server that takes longer is as good as gone. */
const ANSWER_MS_MAX = 15_000;

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("message", (event) => {
  if (event.data?.kind !== "keep" || !Array.isArray(event.data.paths)) return;
  event.waitUntil(serially(() => keep(event.data.paths)));
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin || !isOurs(url.pathname)) return;
  event.respondWith(answer(request, url));
  if (request.mode === "navigate") event.waitUntil(serially(refresh));
});

async function answer(request, url) {
  const generation = await current();
  const kept = generation && await (await caches.open(generation)).match(url.pathname);
  return kept ?? fetch(request);
}

/** The name of the cache in use, or `null` before the first one. */
async function current() {
  const named = await (await caches.open(STATE)).match(CURRENT);
  return named ? named.text() : null;
}

async function use(generation) {
  await (await caches.open(STATE)).put(CURRENT, new Response(generation));
  for (const name of await caches.keys()) {
    if (name.startsWith(PREFIX) && name !== STATE && name !== generation) await caches.delete(name);
  }
}

/** Adds the files that the page has loaded and that are not kept yet. */
async function keep(paths) {
  const present = await current();
  const generation = present ?? newName();
  const cache = await caches.open(generation);
  const kept = (await cache.keys()).length;
  const absent = [];
  for (const path of paths.slice(0, FILES_MAX - kept)) {
    if (typeof path === "string" && isOurs(path) && !await cache.match(path)) absent.push(path);
  }
  const answers = await Promise.all(absent.map(load));
  for (const [index, response] of answers.entries()) {
    if (response) await cache.put(absent[index], response);
  }
  if (!present) await use(generation);
}

/** Asks the server for newer files; where one differs, makes a new generation of them all. */
async function refresh() {
  const old = await current();
  if (!old) return;
  const cache = await caches.open(old);
  const paths = (await cache.keys()).map((request) => new URL(request.url).pathname);
  const answers = await Promise.all(paths.map(load));
  // One that is missing: the server is gone, or half way through an update. Next time.
  if (answers.some((response) => !response)) return;
  const differs = await Promise.all(paths.map(async (path, index) =>
    !await sameVersion(await cache.match(path), answers[index])));
  if (!differs.includes(true)) return;
  const generation = newName();
  const next = await caches.open(generation);
  for (const [index, path] of paths.entries()) await next.put(path, answers[index]);
  await use(generation);
  for (const client of await self.clients.matchAll({ type: "window" })) client.postMessage({ kind: "updated" });
}

async function load(path) {
  try {
    const response = await fetch(path, { cache: "no-cache", signal: AbortSignal.timeout(ANSWER_MS_MAX) });
    return response.ok && !response.redirected ? response : null;
  } catch {
    return null;
  }
}

async function sameVersion(old, fresh) {
  for (const header of ["etag", "last-modified"]) {
    const version = fresh.headers.get(header);
    if (version) return old.headers.get(header) === version;
  }
  return sameBytes(await old.arrayBuffer(), await fresh.clone().arrayBuffer());
}

function sameBytes(a, b) {
  const [left, right] = [new Uint8Array(a), new Uint8Array(b)];
  return left.length === right.length && left.every((byte, at) => byte === right[at]);
}

const newName = () => `${PREFIX}${Date.now()}-${Math.random().toString(36).slice(2)}`;

// One change at a time: two tabs may open at once.
let tail = Promise.resolve();
function serially(work) {
  tail = tail.then(work).catch((error) => console.info("The page could not be kept:", error.message));
  return tail;
}
