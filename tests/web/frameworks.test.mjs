// Goal: components of React, Vue and Svelte show what is stored, now and when it changes, and leave nothing behind. Method: one
// page with a group, and in it a component of each; another browser publishes. React runs in its strict mode.
import assert from "node:assert/strict";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { build } from "esbuild";
import { openProfile } from "./browser.mjs";
import { folder, ROOT, startNode } from "./native.mjs";

const PACKAGE = process.env.PEERGRAPH_PACKAGE ?? join(ROOT, "web/pkg");
const MODULES = join(import.meta.dirname, "node_modules");

/** How often a component is mounted and unmounted. */
const MOUNTS = 1_000;

const PAGE = `
  import { createElement, Component, StrictMode } from "react";
  import { createRoot } from "react-dom/client";
  import { flushSync } from "react-dom";
  import { createApp, effectScope, h, ref } from "vue";
  import { get } from "svelte/store";
  import { Peer, LiveQuery } from "./index.js";
  import * as react from "./react.js";
  import * as vue from "./vue.js";
  import * as svelte from "./svelte.js";
  Object.assign(globalThis, {
    createElement, Component, StrictMode, createRoot, flushSync, createApp, effectScope, h, ref, get, Peer, LiveQuery, react, vue, svelte,
  });`;

const bundle = (contents, options) => build({
  stdin: { contents, resolveDir: PACKAGE },
  nodePaths: [MODULES], bundle: true, format: "esm", logLevel: "error",
  define: { "process.env.NODE_ENV": '"development"', __VUE_OPTIONS_API__: "true", __VUE_PROD_DEVTOOLS__: "false", __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "false" },
  ...options,
});

async function pages(t) {
  const served = folder(t, "pages");
  await bundle(PAGE, { outfile: join(served, "page.js") });
  copyFileSync(join(PACKAGE, "peergraph_web_bg.wasm"), join(served, "peergraph_web_bg.wasm"));
  const html = '<!doctype html><title>Frameworks</title><link rel="icon" href="data:,"><div id="react"></div><div id="vue"></div>'
    + '<script type="module" src="page.js"></script>';
  writeFileSync(join(served, "index.html"), html);
  return served;
}

test("components follow a group, and leave nothing behind", { timeout: 900_000 }, async (t) => {
  const node = await startNode(t, { pages: await pages(t) });
  const [ada, ben] = await Promise.all(["Ada", "Ben"].map(async (name) => {
    const page = await (await openProfile(t, name)).page();
    await page.goto(`${node.origin}/`);
    await page.waitForFunction(() => globalThis.svelte);
    return page;
  }));
  const { id, link } = await ben.evaluate(async () => {
    globalThis.peer = await globalThis.Peer.open({ name: "Ben", nodes: [location.origin] });
    globalThis.group = await globalThis.peer.createGroup({ name: "Tasks" });
    await globalThis.group.publish("task", { text: "first" });
    const { id } = globalThis.group;
    return { id, link: (await globalThis.group.invite()).link };
  });

  // React opens the peer itself.
  await ada.evaluate(showReact);
  await ada.waitForFunction(() => globalThis.seen.peer);
  await ada.evaluate(async (link) => { globalThis.group = await globalThis.seen.peer.join(link); }, link);
  await ada.waitForFunction(() => document.querySelector("#react li")?.textContent === "first");
  await ada.evaluate(showVue);
  await ada.waitForFunction(() => document.querySelector("#vue li")?.textContent === "first");

  await ben.evaluate(() => globalThis.group.publish("task", { text: "second" }));
  for (const place of ["#react", "#vue"]) {
    await ada.waitForFunction((place) => [...document.querySelectorAll(`${place} li`)].map((it) => it.textContent).join() === "second,first", place);
  }
  assert.deepEqual(await ada.evaluate(() => [globalThis.seen.groups, globalThis.seen.members, globalThis.seen.kept]), [[id], ["Ada", "Ben"], true]);
  await ada.waitForFunction(() => globalThis.seen.neighbours >= 1 && globalThis.seen.nodes >= 1);

  // Another query shows what it finds, and never what the other one found.
  await ada.evaluate(() => globalThis.ask("first"));
  await ada.waitForFunction(() => document.querySelector("#react").textContent === "first");
  await ada.waitForFunction(() => document.querySelector("#vue").textContent === "first");
  await ada.evaluate(() => globalThis.ask("("));
  await ada.waitForFunction(() => document.querySelector("#react").textContent === "bad-query");
  await ada.evaluate(() => globalThis.ask("type:task"));

  assert.deepEqual(await ada.evaluate(stores), { values: [[], ["second", "first"], ["third", "second", "first"]], late: 0, got: 3 });
  const left = await ada.evaluate(mounts, MOUNTS);
  assert.deepEqual(left, { react: 0, vue: 0, queries: 62 });

  // The peer closes with the component that opened it.
  assert.equal(await ada.evaluate(leave), true);
});

test("on a server there is nothing, and no error", { timeout: 120_000 }, async (t) => {
  const outfile = join(folder(t, "server"), "server.mjs");
  const contents = `
    import { createElement } from "react";
    import { renderToString } from "react-dom/server.node";
    import { createSSRApp, h } from "vue";
    import * as react from "./react.js";
    import * as vue from "./vue.js";
    import { records } from "./svelte.js";
    const Tasks = () => {
      const group = react.useGroup("none");
      const found = react.useRecords(group, "type:task");
      return createElement("p", {}, String(react.usePeer()), found.length, react.useMembers(group).length);
    };
    export const page = renderToString(createElement(react.PeergraphProvider, { options: { name: "Ada" } }, createElement(Tasks)));
    export const store = [];
    records(null, "*").subscribe((value) => store.push(value.length))();`;
  await bundle(contents, { outfile, platform: "node", banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' } });
  const { page, store } = await import(outfile);
  assert.equal(page, "<p>null<!-- -->0<!-- -->0</p>");
  assert.deepEqual(store, [0]);
});

/** Runs in the page: a list of what a query finds, in React. */
function showReact() {
  const { createElement, Component, StrictMode, createRoot, react } = globalThis;
  globalThis.seen = { lists: new Set() };
  const setters = [];
  globalThis.ask = (query) => setters.forEach((set) => set(query));
  globalThis.onAsk = (set) => setters.push(set);
  const Tasks = ({ query }) => {
    const peer = react.usePeer();
    const groups = react.useGroups();
    const group = react.useGroup(groups[0]?.id);
    const records = react.useRecords(group, query);
    const members = react.useMembers(group);
    Object.assign(globalThis.seen, {
      peer, groups: groups.map(({ id }) => id), members: members.map(({ name }) => name).toSorted(),
      neighbours: react.useNeighbours(group).length, nodes: react.usePresence(group).length,
      status: react.useStatus(group, records[0]),
      // A component that is drawn again for another reason gets the same list.
      kept: globalThis.seen.last?.length !== records.length || globalThis.seen.last === records,
      last: records,
    });
    return createElement("ul", {}, records.map(({ id, data }) => createElement("li", { key: id }, data.text)));
  };
  class Boundary extends Component {
    state = { error: null };
    static getDerivedStateFromError(error) { return { error }; }
    render() { return this.state.error ? this.state.error.code : this.props.children; }
  }
  class Root extends Component {
    state = { query: "type:task" };
    componentDidMount() { globalThis.onAsk((query) => this.setState({ query })); }
    render() {
      const { query } = this.state;
      return createElement(react.PeergraphProvider, { options: { name: "Ada", nodes: [location.origin] } },
        createElement(Boundary, { key: query }, createElement(Tasks, { query })));
    }
  }
  globalThis.root = createRoot(document.querySelector("#react"), { onCaughtError() {} });
  globalThis.root.render(createElement(StrictMode, {}, createElement(Root)));
}

/** Runs in the page: the same in Vue. */
function showVue() {
  const { createApp, h, ref, vue, group } = globalThis;
  const query = ref("type:task");
  globalThis.onAsk((text) => { if (text !== "(") query.value = text; });
  globalThis.app = createApp({
    setup() {
      const records = vue.useRecords(group, query);
      const members = vue.useMembers(() => group);
      return () => h("ul", { title: members.value.length }, records.value.map(({ data }) => h("li", data.text)));
    },
  });
  globalThis.app.mount("#vue");
}

/** Runs in the page: a store of Svelte, while it is subscribed and after. */
async function stores() {
  const { svelte, group, get } = globalThis;
  const values = [];
  const records = svelte.records(group, "type:task");
  const leave = records.subscribe((list) => values.push(list.map(({ data }) => data.text)));
  const until = async (holds) => { while (!holds()) await new Promise((done) => setTimeout(done, 20)); };
  await until(() => values.length === 2);
  await group.publish("task", { text: "third" });
  await until(() => values.length === 3);
  leave();
  const had = values.length;
  const fourth = await group.publish("task", { text: "fourth" });
  await group.delete(fourth);
  await new Promise((done) => setTimeout(done, 200));
  const late = values.length - had;
  // The value that is there at once is the last one.
  return { values: values.slice(0, 3), late, got: get(records).length };
}

/** Runs in the page: mounts and unmounts, and counts what is left. */
async function mounts(count) {
  const { createElement, createRoot, flushSync, effectScope, react, vue, group } = globalThis;
  let listeners = 0;
  const { addEventListener, removeEventListener } = group;
  group.addEventListener = (...given) => { listeners += 1; return addEventListener.apply(group, given); };
  group.removeEventListener = (...given) => { listeners -= 1; return removeEventListener.apply(group, given); };
  const Part = () => {
    const records = react.useRecords(group, "type:task");
    react.useMembers(group);
    react.usePresence(group);
    react.useNeighbours(group);
    react.useStatus(group, records[0]);
    return null;
  };
  const root = createRoot(document.createElement("div"));
  for (let nth = 0; nth < count; nth += 1) {
    flushSync(() => root.render(createElement(Part)));
    flushSync(() => root.render(null));
    if (nth % 20 === 0) await new Promise((done) => setTimeout(done));
  }
  await new Promise((done) => setTimeout(done, 500));
  const inReact = listeners;
  for (let nth = 0; nth < count; nth += 1) {
    const scope = effectScope();
    scope.run(() => [vue.useRecords(group, "type:task"), vue.useMembers(group), vue.usePresence(group)]);
    scope.stop();
    if (nth % 20 === 0) await new Promise((done) => setTimeout(done));
  }
  await new Promise((done) => setTimeout(done, 500));
  const inVue = listeners - inReact;
  group.addEventListener = addEventListener;
  group.removeEventListener = removeEventListener;
  // Beside those that are shown, as many queries as there can be are open again.
  const open = Array.from({ length: 62 }, () => group.query("*", { limit: 1 }));
  while (!open.every(({ loaded, closed }) => loaded || closed)) await new Promise((done) => setTimeout(done, 20));
  const queries = open.filter(({ closed }) => !closed).length;
  for (const one of open) one.close();
  return { react: inReact, vue: inVue, queries };
}

/** Runs in the page: the component goes. */
async function leave() {
  const { peer } = globalThis.seen;
  globalThis.root.unmount();
  await new Promise((done) => { if (peer.closed) done(); else peer.addEventListener("closed", done); });
  return true;
}
