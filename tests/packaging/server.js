// A server of files as small as they come: any static web server does for the package.

import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".wasm": "application/wasm",
};

/**
 * Serves files on loopback. `folders` are tried in order: `[["/prefix/", folder], …]`.
 * @returns {Promise<{ address: string, close: () => Promise<void> }>}
 */
export async function serve(folders) {
  const server = createServer(async (request, response) => {
    let path = normalize(decodeURIComponent(new URL(request.url, "http://localhost").pathname));
    if (path.endsWith("/")) path += "index.html";
    for (const [prefix, folder] of folders) {
      const file = join(folder, path.slice(prefix.length));
      if (!path.startsWith(prefix) || !(await isFile(file))) continue;
      const type = TYPES[extname(file)] ?? "application/octet-stream";
      response.writeHead(200, { "content-type": type });
      createReadStream(file).pipe(response);
      return;
    }
    response.writeHead(404).end();
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  return {
    address: `http://127.0.0.1:${server.address().port}`,
    close: () => new Promise((closed) => {
      server.close(closed);
      server.closeAllConnections();
    }),
  };
}

async function isFile(path) {
  return stat(path).then((found) => found.isFile(), () => false);
}
