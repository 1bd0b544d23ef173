// Native peers: the binary `peergraph`, each process with a data folder of its own, ended by its own id.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { afterwards } from "./cleanup.mjs";
import { openProfile } from "./browser.mjs";

export const ROOT = resolve(import.meta.dirname, "../..");
export const BINARY = process.env.PEERGRAPH_BIN ?? join(ROOT, "target/debug/peergraph");
const PACKAGE = process.env.PEERGRAPH_PACKAGE ?? join(ROOT, "web/pkg");
/** How long a process may take to do what it is asked. Generous: the machine may be busy. */
const WAIT_MS = 60_000;

for (const [path, how] of [[BINARY, "cargo build -p peergraph"], [join(PACKAGE, "index.js"), "cargo xtask wasm"]]) {
  if (!existsSync(path)) throw new Error(`${path} is missing: build it with \`${how}\``);
}

/** A folder that is removed after the test. */
export function folder(t, name) {
  const path = mkdtempSync(join(tmpdir(), `peergraph-${name}-`));
  afterwards(t, () => rmSync(path, { recursive: true, force: true, maxRetries: 5 }));
  return path;
}

/** A running process: its lines, and a way to wait for one of them. */
class Running {
  constructor(t, args, { input = "ignore" } = {}) {
    this.args = args;
    this.lines = [];
    this.log = "";
    this.waiting = new Set();
    this.process = spawn(BINARY, args, { stdio: [input, "pipe", "pipe"] });
    this.ended = new Promise((done) => this.process.on("exit", (code, signal) => {
      this.exit = { code, signal };
      done(this.exit);
      this.waiting.forEach((check) => check());
    }));
    this.process.stderr.setEncoding("utf8").on("data", (text) => {
      this.log += text;
      if (process.env.CONSOLE) process.stdout.write(`[${args[0]}] ${text}`);
    });
    createInterface({ input: this.process.stdout }).on("line", (line) => {
      this.lines.push(line);
      this.waiting.forEach((check) => check());
    });
    afterwards(t, () => this.kill());
  }

  /** Ends it at once, as a crash does. */
  async kill() {
    if (!this.exit) this.process.kill("SIGKILL");
    await this.ended;
  }

  /** Ends it as a user does. */
  async stop() {
    if (!this.exit) this.process.kill("SIGINT");
    return this.ended;
  }

  /** The first line (parsed, where it is JSON) for which `wanted` holds. */
  line(wanted, { timeout = WAIT_MS, from = 0 } = {}) {
    return new Promise((done, fail) => {
      let at = from;
      const end = (finish, value) => {
        this.waiting.delete(check);
        clearTimeout(timer);
        finish(value);
      };
      const check = () => {
        for (; at < this.lines.length; at += 1) {
          const parsed = parse(this.lines[at]);
          if (wanted(parsed)) return end(done, parsed);
        }
        if (this.exit) end(fail, new Error(`peergraph ${this.args.join(" ")} ended: ${JSON.stringify(this.exit)}\n${this.log}`));
      };
      const timer = setTimeout(() => end(fail, new Error(
        `no such line from peergraph ${this.args.join(" ")}; last: ${this.lines.slice(-3).join("\n")}\n${this.log}`)), timeout);
      this.waiting.add(check);
      check();
    });
  }
}

function parse(line) {
  try {
    return JSON.parse(line);
  } catch {
    return line;
  }
}

/** Starts something that goes on until it is ended. */
export const start = (t, args, options) => new Running(t, args, options);

/** Runs a command to its end. Fails unless its exit code is `code`. */
export async function run(args, { input, code = 0, timeout = 120_000 } = {}) {
  const child = spawn(BINARY, args, { stdio: ["pipe", "pipe", "pipe"] });
  const timer = setTimeout(() => child.kill("SIGKILL"), timeout);
  const text = (stream) => new Promise((done) => {
    let all = "";
    stream.setEncoding("utf8").on("data", (part) => { all += part; }).on("end", () => done(all));
  });
  child.stdin.on("error", () => {});
  child.stdin.end(input ?? "");
  const [stdout, stderr, exit] = await Promise.all(
    [text(child.stdout), text(child.stderr), new Promise((done) => child.on("close", done))]);
  clearTimeout(timer);
  assert.equal(exit, code, `peergraph ${args.join(" ")} ended with ${exit}\n${stderr}`);
  return { stdout, stderr, json: () => JSON.parse(stdout) };
}

/** Starts a node that serves the pages and the package. `origin` is where. */
export async function startNode(t, { data = folder(t, "node"), pages = join(ROOT, "examples"), port } = {}) {
  // Port 0 is one that the system chooses; the node tells which, and a data folder keeps that of UDP.
  const node = start(t, ["node", "--json", "--http", `127.0.0.1:${port ?? 0}`, "--udp", "127.0.0.1:0", "--data", data,
    "--pages", pages, "--package", PACKAGE]);
  const { url } = await node.line((line) => typeof line?.url === "string");
  node.origin = new URL(url).origin;
  node.data = data;
  node.port = Number(new URL(url).port);
  const until = Date.now() + WAIT_MS;
  for (;;) {
    try {
      const { ok } = await fetch(`${node.origin}/.well-known/peergraph`);
      if (ok) return node;
    } catch {
      // Not yet.
    }
    if (node.exit || Date.now() > until) throw new Error(`the node does not answer\n${node.log}`);
    await sleep(50);
  }
}

/** A native member with a data folder of its own. */
export class Member {
  /** A new identity of this name, which finds others through `node`. */
  static async make(t, name, { node } = {}) {
    const member = new Member();
    member.t = t;
    member.shared = ["--data", folder(t, name), ...(node ? ["--node", node.origin] : [])];
    await member.run(["identity", "new", name]);
    return member;
  }

  /** Runs a command as this member. One at a time: a data folder has one owner. */
  run(args, options) {
    return run([...args, ...this.shared], options);
  }

  /** Starts a command that goes on, such as `watch`. */
  start(args, options) {
    return start(this.t, [...args, ...this.shared], options);
  }

  /** Joins by a link, which is not shown to `ps`. Returns the group's id. */
  async join(link) {
    return (await this.run(["group", "join", "--json"], { input: `${link}\n` })).json().id;
  }

  /** Makes a group and returns its id. */
  async createGroup(name) {
    return (await this.run(["group", "create", name, "--json"])).json().id;
  }

  /** Makes an invitation and returns its link. */
  async invite(group, origin, ...options) {
    return (await this.run(["group", "invite", group, "--page", `${origin}/chat/`, "--json", ...options])).json().link;
  }
}

/** A node of its own, and a fresh profile with a page of that node. */
export async function openPage(t, name, options) {
  const node = await startNode(t);
  const profile = await openProfile(t, name, options);
  const page = await profile.page();
  await page.goto(`${node.origin}/`);
  return { page, profile, node };
}
