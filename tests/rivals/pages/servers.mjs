// The server of each system, as its users run it, on a port of this machine alone.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Aedes } from "aedes";
import { createWebSocketStream, WebSocketServer } from "ws";

const HERE = import.meta.dirname;
const HOST = "127.0.0.1";

/** A port that is free now. */
async function freePort() {
  const server = createServer().listen(0, HOST);
  await new Promise((done) => server.once("listening", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

async function listens(port) {
  for (let tries = 0; tries < 600; tries += 1) {
    const up = await new Promise((done) => {
      const socket = connect(port, HOST, () => (socket.destroy(), done(true))).on("error", () => done(false));
    });
    if (up) return;
    await sleep(50);
  }
  throw new Error(`nobody listens at ${HOST}:${port}`);
}

function run(command, args, env = {}) {
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "inherit"], env: { ...process.env, ...env } });
  const gone = new Promise((done) => child.once("exit", done));
  return async () => {
    child.kill("SIGKILL");
    await gone;
  };
}

export const servers = {
  async peergraph({ binary }) {
    const port = await freePort();
    const data = mkdtempSync(join(tmpdir(), "peergraph-rivals-"));
    const stop = run(binary, ["node", "--json", "--http", `${HOST}:${port}`, "--udp", `${HOST}:${port}`, "--data", data]);
    await listens(port);
    return {
      server: `http://${HOST}:${port}`,
      stop: async () => (await stop(), rmSync(data, { recursive: true, force: true, maxRetries: 5 })),
    };
  },

  async trystero() {
    const port = await freePort();
    const broker = await Aedes.createBroker();
    const http = createServer();
    new WebSocketServer({ server: http }).on("connection", (socket, request) => {
      broker.handle(createWebSocketStream(socket), request);
    });
    http.listen(port, HOST);
    await listens(port);
    return { server: `ws://${HOST}:${port}`, stop: () => (http.closeAllConnections(), http.close(), broker.close()) };
  },

  async "y-webrtc"() {
    const port = await freePort();
    // Its server listens at all addresses; it is kept on this machine.
    const local = "data:text/javascript," + encodeURIComponent(
      `import net from "node:net"; const listen = net.Server.prototype.listen;
       net.Server.prototype.listen = function (port) { return listen.call(this, Number(port), "${HOST}"); };`);
    const program = join(HERE, "node_modules/y-webrtc/bin/server.js");
    const stop = run(process.execPath, ["--import", local, program], { PORT: String(port) });
    await listens(port);
    return { server: `ws://${HOST}:${port}`, stop };
  },
};
