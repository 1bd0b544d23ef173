// Goal: the JavaScript face of the package keeps what index.d.ts promises, in a real browser.
// Method: one page, a peer of its own for each story, nothing but the package's own functions.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openProfile } from "./browser.mjs";
import { Member, openPage, startNode } from "./native.mjs";

test("values of all kinds come back as they were published", async (t) => {
  const { page } = await openPage(t, "values");
  const seen = await page.evaluate(async () => {
    const { Peer } = await import("/peergraph/index.js");
    const peer = await Peer.open({ name: "Ada", storage: "face-values" });
    const group = await peer.createGroup({ name: "Values" });
    const attributes = {
      text: "général", whole: -5, large: 2n ** 62n, real: 1.5, yes: true,
      day: new Date(1_000_000_000_000), tag: ["a", "b"],
    };
    const record = await group.publish("test.value", { text: "Olá 🌍" }, { attributes, expiresIn: "7d" });
    const raw = await group.publish("test.raw", new Uint8Array([0xff, 0, 1]));
    const updated = await group.update(record, { text: "again" });
    const again = await group.get(record.id);
    await group.delete(raw);
    const result = {
      data: record.data,
      same: Object.entries(attributes).every(([name, value]) =>
        String(again.attributes[name]) === String(value)
        && (name === "large" || typeof again.attributes[name] === typeof value)),
      kinds: [again.attributes.day instanceof Date, Array.isArray(again.attributes.tag)],
      newer: updated.version > record.version && again.version === updated.version,
      lives: Math.abs(updated.expires - record.expires) < 60_000
        && Math.abs(record.expires - record.created - 7 * 86_400_000) < 1_000,
      bytes: raw.data instanceof Uint8Array ? [...raw.data] : "not bytes",
      gone: await group.get(raw.id),
      creator: [again.creator.name, again.creator.me, again.creator.id === peer.id],
      status: record.status,
    };
    await peer.close();
    return result;
  });
  assert.deepEqual(seen, {
    data: { text: "Olá 🌍" }, same: true, kinds: [true, true], newer: true, lives: true,
    bytes: [255, 0, 1], gone: null, creator: ["Ada", true, true], status: "stored",
  });
});

test("a slow watcher misses nothing, and sees changes and deletions", async (t) => {
  const { page } = await openPage(t, "slow");
  const seen = await page.evaluate(async () => {
    const { Peer } = await import("/peergraph/index.js");
    const peer = await Peer.open({ storage: "face-slow" });
    const group = await peer.createGroup({ name: "Slow" });
    for (let i = 0; i < 250; i += 1) await group.publish("test.item", i);
    const stop = new AbortController();
    const values = [];
    let deleted = 0;
    const reading = (async () => {
      for await (const record of group.watch("test.item", { signal: stop.signal })) {
        if (record.deleted) deleted += 1;
        else values.push(record.data);
        // The first one holds the reader up while everything below happens.
        if (values.length === 1) await new Promise((resolve) => { window.goOn = resolve; });
      }
    })();
    while (!window.goOn) await new Promise((resolve) => setTimeout(resolve, 5));
    const made = await Promise.all(Array.from({ length: 500 }, (_, i) => group.publish("test.item", 1_000 + i)));
    await group.publish("test.other", "not for this watcher");
    await group.update(made[0], "changed");
    await group.delete(made[1]);
    window.goOn();
    while (values.length < 749 || deleted < 1) await new Promise((resolve) => setTimeout(resolve, 10));
    stop.abort();
    await reading;
    await peer.close();
    return { total: values.length, distinct: new Set(values).size, deleted, changed: values.includes("changed"),
      overwritten: values.includes(1_000), removed: values.includes(1_001) };
  });
  assert.deepEqual(seen, {
    total: 749, distinct: 749, deleted: 1, changed: true, overwritten: false, removed: false,
  });
});

test("mistakes and misfortunes are errors with a code", async (t) => {
  const { page } = await openPage(t, "errors");
  const codes = await page.evaluate(async () => {
    const { Peer, PeergraphError, readInvitation } = await import("/peergraph/index.js");
    const peer = await Peer.open({ name: "Ada", storage: "face-errors" });
    const group = await peer.createGroup({ name: "Errors" });
    const document = peer.identityDocument();
    const file = await peer.exportIdentity("correct horse");
    const copy = await Peer.open({ storage: "face-copy", identity: { file, password: "correct horse" } });
    const sameIdentity = copy.id === peer.id && copy.name === "Ada";
    await copy.close();
    const attempts = {
      type: () => group.publish("Not A Type", 1),
      nothing: () => group.publish("test.a", undefined),
      span: () => group.publish("test.a", 1, { expiresIn: "7x" }),
      large: () => group.publish("test.a", new Uint8Array(2 << 20)),
      aborted: () => group.publish("test.a", 1, { signal: AbortSignal.abort() }),
      unknown: () => group.delete("a".repeat(26)),
      cursor: () => group.records({ after: "x" }),
      role: () => group.invite({ role: "king" }),
      person: () => group.invite({ for: document.slice(0, 200) }),
      roles: () => group.invite({ roles: ["Editor"] }),
      short: () => group.invite({ password: "1234567" }),
      both: () => group.invite({ password: "12345678", for: document }),
      cutOff: async () => readInvitation((await group.invite()).link.slice(0, -9)),
      policy: () => peer.createGroup({ name: "X", policy: { membershipLifetime: "1s" } }),
      policyField: () => peer.createGroup({ name: "X", policy: { colour: "red" } }),
      right: () => peer.createGroup({ name: "X", policy: { rights: [{ types: "a", roles: ["b"], may: ["read"] }] } }),
      stranger: () => group.promote("a".repeat(52), { role: "inviting" }),
      nobody: () => group.revoke({}),
      reason: () => group.revoke(peer.id, { reason: "bored" }),
      records: () => group.revoke(peer.id, { records: "burn" }),
      reinstate: () => group.reinstate(peer.id),
      ownOffer: () => group.offerOwnership(),
      notOffered: () => group.handOver(peer.id),
      invitation: () => group.withdraw("a".repeat(26)),
      noInvitation: () => peer.join("https://example.org/"),
      noName: () => peer.createGroup({ name: "" }),
      twice: () => Peer.open({ storage: "face-errors", shared: false }),
      password: () => Peer.open({ storage: "face-wrong", identity: { file, password: "wrong" } }),
      node: async () => peer.connect("ftp://example.org"),
      hidden: () => group.delete("a".repeat(26), { here: true }),
      priority: () => Peer.open({ storage: "face-tuned", priorities: ["Not A Type"] }),
      priorities: () => Peer.open({ storage: "face-tuned", priorities: Array(17).fill("note") }),
      noPriorities: () => Peer.open({ storage: "face-tuned", priorities: "note" }),
      neighbours: () => Peer.open({ storage: "face-tuned", neighbours: { min: 5, ideal: 3, max: 7 } }),
      noNeighbours: () => Peer.open({ storage: "face-tuned", neighbours: { min: 3 } }),
    };
    const result = { sameIdentity };
    for (const [name, attempt] of Object.entries(attempts)) {
      result[name] = await attempt().then(() => "no error",
        (error) => (error instanceof PeergraphError ? error.code : String(error)));
    }
    await peer.close();
    result.closed = await peer.groups().then(() => "no error", (error) => error.code);
    return result;
  });
  assert.deepEqual(codes, {
    sameIdentity: true, type: "bad-record", nothing: "bad-argument", span: "bad-argument", large: "bad-record",
    aborted: "aborted", unknown: "unknown-record", cursor: "bad-argument", role: "bad-argument",
    person: "bad-argument", roles: "bad-argument", short: "bad-argument", both: "bad-argument", policy: "bad-policy", policyField: "bad-argument",
    right: "bad-argument", stranger: "unknown-member", nobody: "bad-argument", reason: "bad-argument",
    records: "bad-argument", reinstate: "unknown-member", ownOffer: "already-owner", notOffered: "not-offered", invitation: "unknown-invitation", cutOff: "bad-invitation",
    noInvitation: "bad-invitation", noName: "bad-name",
    twice: "locked", password: "wrong-password", node: "bad-argument", closed: "closed",
    hidden: "unknown-record", priority: "bad-argument", priorities: "bad-argument", noPriorities: "bad-argument",
    neighbours: "bad-argument", noNeighbours: "bad-argument",
  });
});

// Goal: what is deleted here is gone here, what is wanted first comes first. Method: a native member publishes; a page
// that has joined deletes, closes, and opens again when there is more.
test("records are deleted on this device alone, and some types come first", async (t) => {
  const { page, node } = await openPage(t, "first");
  const ada = await Member.make(t, "Ada", { node });
  const group = await ada.createGroup("Daily");
  const link = await ada.invite(group, node.origin);
  const publish = (type, texts) => ada.run(["publish", group, type, "--wait", "stored", "--lines"], { input: texts.join("\n") });
  await publish("news", ["old", "older"]);
  const texts = async () => (await ada.run(["records", group, "--type", "news", "--json"])).stdout.trim().split("\n").length;

  let watch = ada.start(["watch", group]);
  await page.evaluate(async (link) => {
    const { Peer } = await import("/peergraph/index.js");
    const peer = await Peer.open({ storage: "face-first", nodes: [location.origin] });
    const group = await peer.join(link);
    const seen = [];
    for await (const record of group.watch("news")) if (seen.push(record) === 2) break;
    await group.delete(seen[0], { here: true });
    if (await group.get(seen[0].id) !== null) throw new Error("it is still here");
    await peer.close();
  }, link);
  await watch.stop();
  assert.equal(await texts(), 2, "the others keep it");

  const notes = Array(200).fill("a note of some length, so that all of them take many messages".repeat(20));
  await publish("note", notes);
  await publish("news", ["new", "newer"]);
  await publish("note", notes);
  watch = ada.start(["watch", group]);
  const seen = await page.evaluate(async () => {
    const { Peer } = await import("/peergraph/index.js");
    const peer = await Peer.open({ storage: "face-first", nodes: [location.origin], priorities: ["news"] });
    const [group] = await peer.groups();
    const order = [];
    await new Promise((done) => {
      group.addEventListener("record", ({ detail }) => order.push(detail.record.type));
      group.addEventListener("sync", ({ detail }) => {
        if (detail.phase === "prioritised") order.push("told");
        if (detail.phase === "complete") done();
      });
    });
    const news = (await group.records({ type: "news" })).length;
    await peer.close();
    return { order, news };
  });
  const { order, news } = seen;
  assert.deepEqual(order.slice(0, 3).sort(), ["news", "news", "told"]);
  assert.equal(order.filter((type) => type === "note").length, 400);
  assert.equal(news, 3, "what was deleted here stays deleted");
});

test("a peer keeps to the neighbours that it was told to have", async (t) => {
  const { page } = await openPage(t, "neighbours");
  const seen = await page.evaluate(async () => {
    const { Peer } = await import("/peergraph/index.js");
    const nodes = [location.origin];
    const ada = await Peer.open({ storage: "face-few", nodes, neighbours: { min: 1, ideal: 3, max: 4 } });
    const group = await ada.createGroup({ name: "Few" });
    const { link } = await group.invite({ uses: 6 });
    const others = [];
    for (const name of ["bob", "cleo", "dan", "eve", "finn", "gus"]) {
      const peer = await Peer.open({ storage: `face-${name}`, nodes });
      others.push({ peer, group: await peer.join(link) });
    }
    const heard = others.map(async (other) => {
      for await (const record of other.group.watch("note")) return record.data;
    });
    await group.publish("note", "to all");
    const texts = await Promise.all(heard);
    const count = (await group.neighbours()).length;
    const figures = await group.info();
    for (const { peer } of [...others, { peer: ada }]) await peer.close();
    return { texts, count, figures };
  });
  assert.deepEqual(seen.texts, Array(6).fill("to all"));
  assert.ok(seen.count >= 1 && seen.count <= 4, `${seen.count} neighbours`);
  const { records, neighbours, nodes, signature } = seen.figures;
  assert.equal(records, 1);
  assert.ok(neighbours >= 1 && neighbours <= 4 && nodes >= 1, JSON.stringify(seen.figures));
  assert.ok(signature === null || /^[0-9a-f]{16}$/.test(signature));
});

test("a group has a policy, properties, roles and invitations that can be read and closed", async (t) => {
  const { page } = await openPage(t, "policy");
  const seen = await page.evaluate(async () => {
    const { Peer, readInvitation } = await import("/peergraph/index.js");
    const peer = await Peer.open({ name: "Ada", storage: "face-policy" });
    const rights = [{ types: "news.*", roles: ["editor"], may: ["publish", "update"] }];
    const group = await peer.createGroup({ name: "Daily", policy: { invite: "administrator", rights } });
    const again = await peer.createGroup({ name: "Weekly", policy: group.policy });
    const changed = new Promise((done) => group.addEventListener("group", done, { once: true }));
    await group.set({ name: "Nightly", comment: "What happened" });
    await changed;
    const invitation = await group.invite({ roles: ["editor"], uses: 3, expiresIn: "1h" });
    const read = await readInvitation(`Join us: <${invitation.link}>!`);
    const told = await peer.preview(invitation.link);
    const [open] = await group.invitations();
    await invitation.withdraw();
    const left = (await group.invitations()).length;
    const [me] = await group.members();
    const result = {
      policy: group.policy, same: JSON.stringify(again.policy) === JSON.stringify(group.policy),
      group: [group.name, group.comment, group.owner, group.role, group.roles, group.standing, group.revoked],
      figures: await group.info(),
      read: [read.kind, read.name, read.role, read.roles, read.invitee, read.policy, read.group === group.id],
      link: [invitation.link.length <= 220, peer.id.startsWith(read.inviter.slice(0, -1))],
      told: [told.name, told.toldBy === peer.id, told.open.inviter.name, told.open.roles, told.open.left, told.policy.invite],
      open: [open.id === invitation.id, open.inviter.me, open.role, open.roles, open.uses, open.used],
      left,
      me: [me.me, me.role, me.roles, me.standing, me.issuer.owner, me.expires > new Date(), me.certificate.length],
    };
    await peer.close();
    return result;
  });
  assert.deepEqual(seen, {
    policy: {
      invite: "administrator", administrators: true, passwords: true, membershipLifetime: 31_536_000_000,
      payloadBytesMax: 1_048_576, deferExpiry: false, memberRecords: 131_072, memberBytes: 1_073_741_824,
      rights: [{ types: "news.*", roles: ["editor"], may: ["publish", "update"] }],
    },
    same: true,
    group: ["Nightly", "What happened", true, "administrator", [], "member", null],
    figures: { records: 0, neighbours: 0, nodes: 1, clockShiftMs: 0, signature: null },
    read: ["bearer", null, "member", null, null, null, true],
    link: [true, true],
    told: ["Nightly", true, "Ada", ["editor"], 3, "administrator"],
    open: [true, true, "member", ["editor"], 3, 0],
    left: 0,
    me: [true, "administrator", [], "member", true, true, 52],
  });
});

test("who is revoked hears of it, and so does everybody", async (t) => {
  const node = await startNode(t);
  const [ada, eve] = [await openProfile(t, "face-ada"), await openProfile(t, "face-eve")];
  const [a, e] = [await ada.page(), await eve.page()];
  for (const page of [a, e]) await page.goto(`${node.origin}/`);
  const link = await a.evaluate(async () => {
    const { Peer } = await import("/peergraph/index.js");
    window.peer = await Peer.open({ name: "Ada", nodes: [location.origin] });
    window.group = await peer.createGroup({ name: "Trip" });
    return (await group.invite()).link;
  });
  const told = e.evaluate(async (link) => {
    const { Peer } = await import("/peergraph/index.js");
    window.peer = await Peer.open({ name: "Eve", nodes: [location.origin] });
    const group = await peer.join(link);
    const out = new Promise((done) => group.addEventListener("group", () => group.standing === "revoked" && done()));
    await group.publish("note", "from Eve");
    await out;
    const code = await group.publish("note", "again").then(() => "published", (error) => error.code);
    return [group.standing, group.revoked.by.owner, group.revoked.reason, code];
  }, link);
  const seen = await a.evaluate(async () => {
    for await (const record of group.watch("note")) {
      if (record.data.includes("Eve")) break;
    }
    const eve = (await group.members()).find((member) => !member.me);
    const withdrawn = new Promise((done) => group.addEventListener("withdrawn", done, { once: true }));
    const told = (wanted) => new Promise((done) => group.addEventListener("member", ({ detail }) => {
      if (wanted(detail.member)) done(detail.member);
    }));
    const [editor, member] = [told(({ roles }) => roles.length > 0), told(({ standing }) => standing !== "member")];
    await group.promote(eve, { roles: ["editor"] });
    // A promotion is an offer: it counts once Eve has taken it.
    const { roles } = await editor;
    await group.revoke(eve, { reason: "misconduct", records: "drop" });
    await withdrawn;
    const { standing, revoked } = await member;
    return [roles, standing, revoked.by.me, revoked.reason, (await group.records()).length];
  });
  assert.deepEqual(seen, [["editor"], "revoked", true, "misconduct", 0]);
  assert.deepEqual(await told, ["revoked", true, "misconduct", "revoked"]);
});

test("a listener that throws stops nothing", async (t) => {
  const { page, profile } = await openPage(t, "listener");
  profile.allowed.push(/fails on purpose/);
  const data = await page.evaluate(async () => {
    const { Peer } = await import("/peergraph/index.js");
    const peer = await Peer.open({ storage: "face-listener" });
    const group = await peer.createGroup({ name: "Listener" });
    group.addEventListener("record", () => { throw new Error("fails on purpose"); });
    await group.publish("test.a", 1);
    await group.publish("test.a", 2);
    const stored = (await group.records()).map((record) => record.data);
    await peer.close();
    return stored;
  });
  assert.deepEqual(data, [1, 2]);
});

for (const [lack, code] of [["RTCPeerConnection", "no-webrtc"], ["indexedDB", "no-indexeddb"]]) {
  test(`without ${lack} nothing is made`, async (t) => {
    // As with a setting or an extension that takes it away.
    const before = `Object.defineProperty(window, ${JSON.stringify(lack)}, { value: undefined })`;
    const { page } = await openPage(t, "without", { before });
    const seen = await page.evaluate(async () => {
      const { Peer } = await import("/peergraph/index.js");
      const error = await Peer.open({ storage: "face-without" }).catch((thrown) => thrown);
      const fetched = performance.getEntriesByType("resource").filter((it) => it.name.endsWith(".wasm")).length;
      const held = (await navigator.locks.query()).held.length;
      const databases = window.indexedDB ? (await indexedDB.databases()).map((it) => it.name) : [];
      return { code: error.code, hint: error.hint.length > 0, fetched, held, made: databases.includes("face-without") };
    });
    assert.deepEqual(seen, { code, hint: true, fetched: 0, held: 0, made: false });
  });
}
