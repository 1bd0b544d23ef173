// Goal: several identities of one origin, kept, named, moved and deleted as index.d.ts says.
// Method: one page, nothing but the package's own functions; the database is looked at for what may not be in it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openProfile } from "./browser.mjs";
import { startNode } from "./native.mjs";

async function openPage(t, name) {
  const node = await startNode(t);
  const profile = await openProfile(t, name);
  const page = await profile.page();
  await page.goto(`${node.origin}/`);
  await page.evaluate(async () => {
    Object.assign(window, await import("/peergraph/index.js"));
    window.codeOf = (promise) => promise.then(() => "no error",
      (error) => (error instanceof PeergraphError ? error.code : String(error)));
  });
  return page;
}

test("identities are created, listed, renamed, chosen and deleted", async (t) => {
  const page = await openPage(t, "identities");
  const seen = await page.evaluate(async () => {
    const here = { storage: "ids-list" };
    const before = [await identities.list(here), await identities.default(here)];
    const ada = await identities.create({ name: "Ada", classifier: "Book club", ...here });
    const bob = await identities.create({ name: "Bob", ...here });
    const peer = await Peer.open({ identity: "Bob", ...here });
    const opened = [peer.id === bob.id, peer.name, peer.identityDocument() === await identities.document("Bob", here)];
    const open = await codeOf(identities.delete("Bob", here));
    await peer.close();
    const renamed = await identities.rename("Ada", { name: "Countess", ...here });
    const reopened = await Peer.open(here);
    const name = [reopened.name, reopened.id === ada.id, reopened.peerName.name === `${ada.id}.Book club`];
    await reopened.close();
    const first = await codeOf(identities.delete(ada.id, here));
    await identities.setDefault("Bob", here);
    await identities.delete(ada.id, here);
    const left = await identities.list(here);
    const databases = (await indexedDB.databases()).map((it) => it.name).filter((it) => it.includes(ada.id));
    const unknown = [
      await codeOf(identities.delete(ada.id, here)), await codeOf(Peer.open({ identity: ada.id, ...here })),
      await codeOf(identities.create({ name: "", ...here })),
      await codeOf(identities.create({ name: "x".repeat(256), ...here })),
      await codeOf(identities.rename("Bob", { classifier: "x".repeat(150), ...here })),
    ];
    await identities.delete("Bob", here);
    return {
      before, first: [ada.default, bob.default, ada.classifier], opened, open,
      renamed: [renamed.id === ada.id, renamed.name, renamed.classifier], name, notFirst: first,
      left: left.map((it) => [it.id === bob.id, it.default]), databases, unknown,
      after: await identities.list(here),
    };
  });
  assert.deepEqual(seen, {
    before: [[], null], first: [true, false, "Book club"], opened: [true, "Bob", true], open: "locked",
    renamed: [true, "Countess", "Book club"], name: ["Countess", true, true], notFirst: "default-identity",
    left: [[true, true]], databases: [],
    unknown: ["unknown-identity", "unknown-identity", "bad-name", "bad-name", "bad-name"], after: [],
  });
});

test("an identity in a group is not deleted, and two are open at once with groups of their own", async (t) => {
  const page = await openPage(t, "in-group");
  const seen = await page.evaluate(async () => {
    const here = { storage: "ids-group" };
    for (const name of ["Ada", "Bob"]) await identities.create({ name, ...here });
    const [ada, bob] = [await Peer.open({ identity: "Ada", ...here }), await Peer.open({ identity: "Bob", ...here })];
    const group = await ada.createGroup({ name: "Trip to Lisbon" });
    await group.publish("chat.message", { text: "hello" });
    const groups = [(await ada.groups()).length, (await bob.groups()).length];
    await Promise.all([ada.close(), bob.close()]);
    await identities.setDefault("Bob", here);
    const refused = await identities.delete("Ada", here).catch((error) => error);
    const again = await Peer.open({ identity: "Ada", ...here });
    const kept = (await (await again.groups())[0].records())[0].data.text;
    await (await again.groups())[0].leave();
    await again.close();
    const left = await codeOf(identities.delete("Ada", here));
    return { groups, code: refused.code, named: refused.message.includes("Trip to Lisbon"), hint: refused.hint, kept, left };
  });
  assert.deepEqual(seen, {
    groups: [1, 0], code: "identity-in-use", named: true, hint: "leave these groups first", kept: "hello",
    left: "no error",
  });
});

test("an exported identity comes in elsewhere once, and only with its password", async (t) => {
  const page = await openPage(t, "export");
  const seen = await page.evaluate(async () => {
    const [here, there] = [{ storage: "ids-here" }, { storage: "ids-there" }];
    const ada = await identities.create({ name: "Ada", classifier: "chat", ...here });
    const file = await identities.export("Ada", "correct horse", here);
    const refused = [
      await codeOf(identities.import(file, "battery staple", there)),
      await codeOf(identities.import(file.slice(0, 300), "correct horse", there)),
      await codeOf(identities.import("hello", "correct horse", there)),
    ];
    const empty = (await identities.list(there)).length;
    const same = await identities.import(file, "correct horse", there);
    const again = [
      await codeOf(identities.import(file, "correct horse", here)), await codeOf(identities.import(file, "correct horse", there)),
    ];
    // Opening with it is no error where it is here already: it is that one.
    const other = await identities.create({ name: "Bob", ...there });
    await identities.setDefault(other.id, there);
    const peer = await Peer.open({ identity: { file, password: "correct horse" }, ...there });
    const opened = peer.id === ada.id;
    await peer.close();
    return { refused, empty, same: [same.id === ada.id, same.classifier], again, opened, count: (await identities.list(there)).length };
  });
  assert.deepEqual(seen, {
    refused: ["wrong-password", "bad-identity", "bad-identity"], empty: 0, same: [true, "chat"],
    again: ["identity-exists", "identity-exists"], opened: true, count: 2,
  });
});

test("the public document is enough to be invited and to check signatures, and no key lies open", async (t) => {
  const page = await openPage(t, "document");
  const seen = await page.evaluate(async () => {
    const [here, there] = [{ storage: "ids-signer" }, { storage: "ids-checker" }];
    const ada = await identities.create({ name: "Ada", ...here });
    const document = await identities.document("Ada", here);
    const message = new Uint8Array([0, 255, 7]);
    const signature = await identities.sign("Ada", message, here);
    const peer = await Peer.open(here);
    const same = String(peer.sign(message)) === String(signature);
    const bob = await Peer.open({ name: "Bob", ...there });
    const text = await verify(document, "hello", peer.sign("hello"));
    const checked = [
      (await verify(document, message, signature)).id === ada.id, text.name,
      await verify(document, new Uint8Array([0, 255, 8]), signature),
      await verify(bob.identityDocument(), message, signature),
      await verify(document, message, signature.slice(1)),
      await codeOf(verify("hello", message, signature)),
    ];
    const group = await bob.createGroup({ name: "For Ada" });
    const { link } = await group.invite({ for: document });
    const invitee = (await readInvitation(link)).invitee.id === ada.id;
    const joined = (await peer.join(link)).name;
    await Promise.all([peer.close(), bob.close()]);

    // The content of the database: a key that cannot be taken out, and no other secret.
    const database = await new Promise((resolve, reject) => {
      const request = indexedDB.open("ids-signer");
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    const stored = await new Promise((resolve) => {
      const request = database.transaction("own").objectStore("own").get(`identity:${ada.id}`);
      request.onsuccess = () => resolve(request.result);
    });
    database.close();
    const exported = await crypto.subtle.exportKey("raw", stored.key).then(() => "exported", (error) => error.name);
    return {
      length: signature.length, same, checked, invitee, joined,
      stored: Object.keys(stored).sort(), extractable: stored.key.extractable, exported,
      secret: /PRIVATE/.test(document),
    };
  });
  assert.deepEqual(seen, {
    length: 64, same: true, checked: [true, "Ada", null, null, null, "bad-argument"], invitee: true, joined: "For Ada",
    stored: ["database", "document", "key", "nonce", "sealed", "version"], extractable: false,
    exported: "InvalidAccessError", secret: false,
  });
});

test("peer names have a host form and come back from it", async (t) => {
  const page = await openPage(t, "names");
  const seen = await page.evaluate(async () => {
    const here = { storage: "ids-names" };
    const ada = await identities.create({ name: "Ada", classifier: "chat", ...here });
    const own = await identities.name("Ada", here);
    const other = await identities.name("Ada", { classifier: "Größe 7 🦊", ...here });
    const back = await peerName(other.host);
    const anybodys = await peerName("0.Chat");
    const url = new URL(`https://${other.host}/`).hostname;
    return {
      own: [own.name === `${ada.id}.chat`, own.host === `chat.${ada.id}.peergraph.alt`, own.id === ada.id],
      back: JSON.stringify(back) === JSON.stringify(other) && back.classifier, url: url === other.host,
      anybodys: [anybodys.id, (await peerName(anybodys.host)).name],
      wrong: [await codeOf(peerName("example.org")), await codeOf(identities.name("Ada", { classifier: "x".repeat(150), ...here }))],
    };
  });
  assert.deepEqual(seen, {
    own: [true, true, true], back: "Größe 7 🦊", url: true, anybodys: [null, "0.Chat"], wrong: ["bad-name", "bad-name"],
  });
});

test("an identity from before there were several is found with its groups", async (t) => {
  const page = await openPage(t, "older");
  const seen = await page.evaluate(async () => {
    const here = { storage: "ids-older" };
    const peer = await Peer.open({ name: "Ada", ...here });
    await peer.createGroup({ name: "Old friends" });
    const { id } = peer;
    await peer.close();
    // As it was laid down then: one identity under its own name, groups and records in the same database.
    const open = (name) => new Promise((resolve, reject) => {
      const request = indexedDB.open(name);
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    const [list, records] = [await open("ids-older"), await open(`ids-older:${id}`)];
    const asked = (request) => new Promise((resolve) => { request.onsuccess = () => resolve(request.result); });
    const from = records.transaction("entries").objectStore("entries");
    const [keys, values] = await Promise.all([asked(from.getAllKeys()), asked(from.getAll())]);
    const change = list.transaction(["own", "entries"], "readwrite");
    const own = change.objectStore("own");
    const { version, key, nonce, sealed } = await asked(own.get(`identity:${id}`));
    await asked(own.clear());
    own.put({ version, key, nonce, sealed }, "identity");
    keys.forEach((name, place) => change.objectStore("entries").put(values[place], name));
    await new Promise((resolve) => { change.oncomplete = resolve; });
    list.close();
    records.close();
    await asked(indexedDB.deleteDatabase(`ids-older:${id}`));

    const again = await Peer.open({ name: "Somebody else", ...here });
    const found = [again.id === id, again.name, (await again.groups()).map((it) => it.name)];
    await again.close();
    const listed = (await identities.list(here)).map((it) => [it.id === id, it.default]);
    return { found, listed, inUse: await codeOf(identities.delete(id, here)) };
  });
  assert.deepEqual(seen, {
    found: [true, "Ada", ["Old friends"]], listed: [[true, true]], inUse: "identity-in-use",
  });
});
