// Every bundler over the same page, with no setting that concerns the package.

import { execFile } from "node:child_process";
import { copyFile, cp, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import nodeResolve from "@rollup/plugin-node-resolve";
import * as esbuild from "esbuild";
import { rollup } from "rollup";
import * as vite8 from "vite";
import * as vite7 from "vite7";
import webpack from "webpack";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const PAGE = join(HERE, "page");
const MAIN = join(PAGE, "main.js");

const run = (program, args, cwd) => promisify(execFile)(
  join(HERE, "node_modules/.bin", program), args,
  { cwd, env: { ...process.env, NEXT_TELEMETRY_DISABLED: "1", PARCEL_WORKERS: "0" } });

/** The page for bundlers that make scripts only. */
async function withPage(outDir) {
  await mkdir(outDir, { recursive: true });
  await copyFile(join(PAGE, "index.html"), join(outDir, "index.html"));
}

const viteBuild = (vite) => (outDir) => vite.build({
  root: PAGE, configFile: false, logLevel: "warn", build: { outDir, emptyOutDir: true } });

/** Those that build files: `[name, build(outDir)]`, and whether they take the module along. */
export const BUILDS = [
  ["Vite 8", viteBuild(vite8), true],
  ["Vite 7", viteBuild(vite7), true],
  ["webpack 5", async (outDir) => {
    await withPage(outDir);
    const compiler = webpack({
      mode: "production", entry: MAIN, output: { path: outDir, filename: "main.js", module: true },
      experiments: { outputModule: true },
    });
    const stats = await promisify(compiler.run.bind(compiler))();
    if (stats.hasErrors()) throw new Error(stats.toString());
  }, true],
  ["Parcel 2", async (outDir) => {
    await run("parcel", ["build", join(PAGE, "index.html"), "--dist-dir", outDir, "--no-cache",
      "--no-source-maps", "--log-level", "warn"], HERE);
  }, true],
  ["Next 16", async (outDir) => {
    await run("next", ["build"], join(HERE, "next"));
    await cp(join(HERE, "next/out"), outDir, { recursive: true });
  }, true],
  ["esbuild", async (outDir) => {
    await withPage(outDir);
    await esbuild.build({ entryPoints: [MAIN], bundle: true, format: "esm", outdir: outDir, logLevel: "error" });
  }, false],
  ["esbuild with splitting", async (outDir) => {
    await withPage(outDir);
    await esbuild.build({
      entryPoints: [MAIN], bundle: true, format: "esm", splitting: true, minify: true, outdir: outDir, logLevel: "error",
    });
  }, false],
  ["Rollup", async (outDir) => {
    await withPage(outDir);
    const bundle = await rollup({ input: MAIN, plugins: [nodeResolve({ browser: true })] });
    await bundle.write({ dir: outDir, format: "es" });
    await bundle.close();
  }, false],
];

/** A page in one file: a script that is no module, with everything in it. */
export async function buildOneFile(outDir) {
  await mkdir(outDir, { recursive: true });
  const { outputFiles: [script] } = await esbuild.build({
    entryPoints: [MAIN], bundle: true, format: "iife", minify: true, write: false, logLevel: "error",
    alias: { peergraph: "peergraph/inline" }, charset: "utf8", logOverride: { "empty-import-meta": "silent" },
  });
  return script.text;
}

/** Development servers: `[name, start(folder for its cache)]`, which gives address and `close`. */
export const SERVERS = [["Vite 8", vite8], ["Vite 7", vite7]].map(([name, vite]) => [name, async (cacheDir) => {
  const server = await vite.createServer({
    root: PAGE, configFile: false, logLevel: "error", cacheDir,
    server: { host: "127.0.0.1", port: 0, fs: { allow: [HERE] } },
  });
  await server.listen();
  const { port } = server.httpServer.address();
  return { address: `http://127.0.0.1:${port}/`, close: () => server.close() };
}]);
