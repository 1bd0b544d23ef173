// Keeps the page and the package, so that both open when their server is gone.
//
// The worker keeps a *generation*: all files as they were at one moment, in one cache. Every answer comes from the
// generation in use, at once. After each opening of the page the server is asked for newer files (by ETag, through the
// browser's own HTTP cache): those that the page names today, and those that were kept and are still there. If one
// differs or is gone, all of them become a new generation, and the next opening of the page uses it. So a page never runs
// with the files of two versions.

const PREFIX = "peergraph-chat-";
/** Names the generation in use, in a cache of its own. */
const STATE = "peergraph-chat-state";
const CURRENT = new URL("./current-generation", self.location).href;
/** Files of one generation. More than that is a mistake, or somebody else's. */
const FILES_MAX = 100;
/** The folder of all pages, at the top of the site or below a path. */
const ROOT = new URL("../", self.location).pathname;
/** Whether a path belongs to the page. */
const isOurs = (path) => path.startsWith(ROOT) && /^(chat\/|peergraph\/|style\.css$)/.test(path.slice(ROOT.length));
/** The page itself. */
const INDEX = new URL("./", self.location).pathname;
/** How files name others: by relative paths. */
const NAMES = {
  "text/html": [/\b(?:src|href)="([^"#?:]+)"/g],
  "text/javascript": [/\b(?:from|import)\s*\(?\s*["'](\.[^"']+)["']/g, /\bnew URL\(\s*["']([^"':]+)["'],\s*import\.meta\.url/g],
  "text/css": [/@import\s+["']([^"':]+)["']/g, /\burl\(["']?([^"':)]+)["']?\)/g],
};
/** The answer of `load` if the server has no such file. */
const GONE = Symbol("gone");
/** A server that takes longer is as good as gone. */
const ANSWER_MS_MAX = 15_000;

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("message", (event) => {
  if (event.data?.kind !== "keep" || !Array.isArray(event.data.paths)) return;
  event.waitUntil(serially(() => keep(event.data.paths.slice(0, FILES_MAX))));
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin || !isOurs(url.pathname)) return;
  event.respondWith(answer(request, url));
  if (request.mode === "navigate") event.waitUntil(serially(() => keep([])));
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

/** Keeps what the server has now: in a new generation if anything differs from the one in use, else in that one. */
async function keep(loaded) {
  const old = await current();
  const cache = old && await caches.open(old);
  const had = cache ? (await cache.keys()).map((request) => new URL(request.url).pathname) : [];
  const files = await collect([...had, ...loaded]);
  if (!files) return;
  const differs = await Promise.all(had.map(async (path) =>
    !files.has(path) || !await sameVersion(await cache.match(path), files.get(path))));
  const renews = !cache || differs.includes(true);
  const generation = renews ? newName() : old;
  const next = renews ? await caches.open(generation) : cache;
  for (const [path, response] of files) {
    if (renews || !had.includes(path)) await next.put(path, response);
  }
  if (!renews) return;
  await use(generation);
  if (!cache) return;
  for (const client of await self.clients.matchAll({ type: "window" })) client.postMessage({ kind: "updated" });
}

/**
 * The files of the page as the server has them: what its index names, what these files name, and so on, and which of
 * `others` are still there. `null` if the server does not answer for one of them: it is gone, or busy with an update.
 */
async function collect(others) {
  const files = new Map();
  const seen = new Set();
  let paths = [INDEX, ...others];
  while (paths.length > 0) {
    const asked = [...new Set(paths)].filter((path) => typeof path === "string" && isOurs(path) && !seen.has(path))
      .slice(0, FILES_MAX - seen.size);
    asked.forEach((path) => seen.add(path));
    const answers = await Promise.all(asked.map(load));
    if (answers.includes(null)) return null;
    paths = [];
    for (const [nth, response] of answers.entries()) {
      if (response === GONE) continue;
      files.set(asked[nth], response);
      paths.push(...await named(asked[nth], response));
    }
  }
  return files.has(INDEX) ? files : null;
}

/** A file, `GONE` if the server has none of this name, and `null` if it does not say. */
async function load(path) {
  try {
    const response = await fetch(path, { cache: "no-cache", signal: AbortSignal.timeout(ANSWER_MS_MAX) });
    if (response.status === 404 || response.status === 410) return GONE;
    return response.ok && !response.redirected ? response : null;
  } catch {
    return null;
  }
}

/** The paths that a page, script or style names. */
async function named(path, response) {
  const kind = response.headers.get("content-type") ?? "";
  const patterns = NAMES[Object.keys(NAMES).find((type) => kind.startsWith(type))];
  if (!patterns) return [];
  const text = await response.clone().text();
  const base = new URL(path, self.location);
  return patterns.flatMap((pattern) => [...text.matchAll(pattern)])
    .filter(([, name]) => URL.canParse(name, base))
    .map(([, name]) => new URL(name, base))
    .filter((url) => url.origin === self.location.origin)
    .map((url) => url.pathname);
}

async function sameVersion(old, fresh) {
  for (const header of ["etag", "last-modified"]) {
    // Compressed, a file has the same tag with a mark before it.
    const version = (response) => response.headers.get(header)?.replace(/^W\//, "");
    if (version(fresh)) return version(old) === version(fresh);
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
