// The JavaScript that the documents show: one program for each document, made of its blocks ```js in their order.
//
// A line of a program has the number that it has in the document, so what a compiler or a browser says of it names the
// place. Lines that a program needs and a reader does not stand in the document between `<!-- js` and `-->`.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "../..");

/** The documents, in the order in which they are read. */
export const DOCUMENTS = [
  "README.md", "web/README.md",
  ...["first-group", "rights", "offline", "node", "testing"].map((name) => `web/guides/${name}.md`),
];

/** How documents import the package: by its name, or from where the native program serves it. */
const PACKAGE = /from "(?:peergraph|\/peergraph\/index\.js)"/g;

/** The program of a document, which imports the package from `source`, and the lines at which its blocks begin. */
export function programOf(document, source) {
  let end = null;
  const begins = [];
  const code = readFileSync(join(ROOT, document), "utf8").split("\n").map((line, index) => {
    if (end === null) {
      end = { "```js": "```", "<!-- js": "-->" }[line] ?? null;
      if (end === null) return "";
      begins.push(index + 1);
      return "";
    }
    if (line !== end) return line;
    end = null;
    return "";
  });
  if (end !== null) throw new Error(`${document}:${begins.at(-1)}: the block does not end`);
  return { code: code.join("\n").replace(PACKAGE, `from "${source}"`), begins };
}
