//! Makes the JavaScript glue of a compiled module, as `wasm-bindgen --target web` does, without the
//! command's own dependencies: `wasm-glue MODULE FOLDER NAME names|bare`.
//!
//! `names` keeps the names of functions for stack traces, `bare` removes them and the list of
//! compilers.

use std::env;

use anyhow::{Result, bail};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [module, folder, name, sections] = args.as_slice() else {
        bail!("usage: wasm-glue MODULE FOLDER NAME names|bare");
    };
    let bare = match sections.as_str() {
        "names" => false,
        "bare" => true,
        other => bail!("expected names or bare, not {other}"),
    };
    Bindgen::new()
        .input_path(module)
        .out_name(name)
        .web(true)?
        .typescript(false)
        .omit_default_module_path(false)
        .remove_name_section(bare)
        .remove_producers_section(bare)
        .generate(folder)
}
