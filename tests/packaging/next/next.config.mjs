// A site of files alone, so that the same server as everywhere serves it.
import { fileURLToPath } from "node:url";

export default {
  output: "export",
  turbopack: { root: fileURLToPath(new URL("..", import.meta.url)) },
};
