// Goal: what a browser stores holds no secret in a form that a script can read; what a thief of the profile folder finds.
// Method: a peer that holds every kind of secret; its databases are read whole, value by value, and searched for each
// secret in each form. Then a key that no script can read is looked for in the files of the browser.
import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openProfile } from "./browser.mjs";
import { ROOT, startNode } from "./native.mjs";

const MODULE = process.env.PEERGRAPH_VERIFY ?? join(ROOT, "target/web-glue/peergraph_verify/web");
const PASSWORD = "correct horse battery staple";
const STORAGE = "with-secrets";

async function openPage(t, name) {
  const node = await startNode(t);
  const profile = await openProfile(t, name);
  const page = await profile.page();
  const type = (path) => path.endsWith(".js") ? "text/javascript" : "application/wasm";
  await page.route("**/verify/*", (route) => {
    const path = join(MODULE, new URL(route.request().url()).pathname.split("/").pop());
    return route.fulfill({ path, contentType: type(path) });
  });
  await page.goto(`${node.origin}/`);
  return { page, profile };
}

/** In the page: makes the secrets, reads everything that is stored, and says what of it holds which secret. */
async function search({ password, storage }) {
  const { Peer } = await import("/peergraph/index.js");
  const core = await import("/verify/peergraph_verify.js");
  await core.default({ module_or_path: "/verify/peergraph_verify_bg.wasm" });
  const peer = await Peer.open({ name: "Ada", storage });
  const group = await peer.createGroup({ name: "Trip to Lisbon" });
  await group.invite({ password, role: "member", uses: 5, expiresIn: "7d" });
  const { link } = await group.invite({ role: "member", uses: 5, expiresIn: "7d" });
  await group.publish("note", { text: "not secret" });
  const before = performance.now();
  const exported = await peer.exportIdentity(password);
  const stretched = Math.round(performance.now() - before);
  const id = peer.id;
  await peer.close();

  const open = (name) => new Promise((resolve, reject) => {
    const request = indexedDB.open(name);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const all = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const bytesOf = (value) => {
    if (value instanceof ArrayBuffer) return new Uint8Array(value);
    if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    return null;
  };
  // Every piece of every value: bytes, texts, and names of properties. A CryptoKey has nothing that can be read.
  const pieces = [];
  const collect = (value) => {
    const bytes = bytesOf(value);
    if (bytes) pieces.push(bytes);
    else if (typeof value === "string") pieces.push(new TextEncoder().encode(value));
    else if (value && typeof value === "object") Object.entries(value).flat().forEach(collect);
  };
  const entries = [];
  let keys = 0;
  for (const { name } of await indexedDB.databases()) {
    const database = await open(name);
    for (const store of database.objectStoreNames) {
      const [names, values] = await Promise.all(["getAllKeys", "getAll"].map((method) =>
        all(database.transaction(store).objectStore(store)[method]())));
      names.forEach((key, n) => {
        collect(key);
        collect(values[n]);
        if (bytesOf(key)) entries.push([bytesOf(key), bytesOf(values[n])]);
        const wrapping = values[n]?.key;
        if (wrapping instanceof CryptoKey) keys += wrapping.extractable ? 100 : 1;
      });
    }
    database.close();
  }

  const secrets = { identity: core.identity_secret(exported, password) };
  for (const [key, value] of entries) {
    const found = core.store_secrets(exported, password, key, value);
    for (let at = 0; at < found.length; at += 32) secrets[`of the store ${at / 32}`] = found.slice(at, at + 32);
  }
  const holds = (needle) => pieces.some((piece) => {
    for (let at = piece.indexOf(needle[0]); at >= 0; at = piece.indexOf(needle[0], at + 1)) {
      if (needle.every((byte, n) => piece[at + n] === byte)) return true;
    }
    return false;
  });
  const text = (it) => new TextEncoder().encode(it);
  const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const held = [];
  for (const [name, secret] of Object.entries(secrets)) {
    // Keys of Ed25519 in DER or CBOR hold the 32 bytes as they are.
    const expanded = new Uint8Array(await crypto.subtle.digest("SHA-512", secret)).slice(0, 32);
    const forms = [secret, expanded, text(hex(secret)), text(btoa(String.fromCharCode(...secret)))];
    forms.forEach((form, n) => { if (holds(form)) held.push(`${name} in form ${n}`); });
  }
  const secretOfLink = link.split("#").pop();
  for (const [name, it] of Object.entries({ password, secretOfLink })) if (holds(text(it))) held.push(name);
  return { stretched, names: Object.keys(secrets), held, found: [id, "Trip to Lisbon", "not secret"].map((it) => holds(text(it))), keys };
}

test("databases of a browser hold no secret that can be read", { timeout: 120_000 }, async (t) => {
  assert.ok(existsSync(MODULE), `${MODULE} is missing: \`cargo xtask test\` builds it`);
  const { page } = await openPage(t, "secrets");
  const seen = await page.evaluate(search, { password: PASSWORD, storage: STORAGE });
  t.diagnostic(`one password costs ${seen.stretched} ms here`);
  assert.deepEqual(seen.names, ["identity", "of the store 0", "of the store 1"], "group key and password");
  assert.deepEqual(seen.held, []);
  assert.deepEqual(seen.found, [true, true, true], "what is not secret is found: the search works");
  assert.equal(seen.keys, 1, "one wrapping key, which cannot be exported");
});

// A check of README and the head of `web/src/identity.rs` on theft: should Chromium ever keep these keys otherwise, say so
// there.
test("Chromium keeps keys that cannot be exported readable in the profile folder", async (t) => {
  const { page, profile } = await openPage(t, "profile");
  const raw = Array.from({ length: 32 }, (_, n) => (n * 37 + 11) & 255);
  const refused = await page.evaluate(async (bytes) => {
    const key = await crypto.subtle.importKey("raw", Uint8Array.from(bytes), "AES-GCM", false, ["encrypt"]);
    const request = indexedDB.open("probe", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("keys");
    await new Promise((resolve) => { request.onsuccess = resolve; });
    const transaction = request.result.transaction("keys", "readwrite", { durability: "strict" });
    transaction.objectStore("keys").put(key, "key");
    await new Promise((resolve) => { transaction.oncomplete = resolve; });
    request.result.close();
    return crypto.subtle.exportKey("raw", key).then(() => "exported", (error) => error.name);
  }, raw);
  assert.equal(refused, "InvalidAccessError");
  const files = (folder) => readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? files(join(folder, entry.name)) : entry.isFile() ? [join(folder, entry.name)] : []);
  await profile.context.close();
  const holding = files(profile.folder).filter((file) => readFileSync(file).includes(Buffer.from(raw)));
  assert.ok(holding.length > 0 && holding.every((file) => file.includes("IndexedDB")), holding.join(" "));
});
