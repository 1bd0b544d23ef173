//! Makes the JavaScript glue of a compiled module, as `wasm-bindgen --target web` does, without the
//! command's own dependencies: `wasm-glue MODULE FOLDER NAME names|bare`.
//!
//! `names` keeps the names of functions for stack traces, `bare` removes them and the list of
//! compilers, and puts the functions in an order that compresses better. Beside the module stands
//! `NAME_inline.js`, which has it in itself: compressed with gzip and in base64, as text that any
//! bundler takes.

mod order;

use std::env;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
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
        .generate(folder)?;
    let folder = Path::new(folder);
    let path = folder.join(format!("{name}_bg.wasm"));
    let mut module = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    if bare {
        module = order::reorder(&module)?;
        fs::write(&path, &module)?;
    }
    inline(folder, name, &module)
}

/// Writes the module as text in a script.
fn inline(folder: &Path, name: &str, module: &[u8]) -> Result<()> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(module)?;
    let text = STANDARD.encode(gzip.finish()?);
    let script = format!("// {name}_bg.wasm: gzip, base64.\nexport default \"{text}\";\n");
    fs::write(folder.join(format!("{name}_inline.js")), script)?;
    Ok(())
}
