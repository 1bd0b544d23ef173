// The package with its module in it: `peergraph/inline`. For a page in one file, and for whatever takes no files along.
import * as glue from "./peergraph_web.js";
import text from "./peergraph_web_inline.js";
import { offer } from "./load.js";

offer(glue, text);

export * from "./index.js";
