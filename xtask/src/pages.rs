//! `cargo xtask bench pages`: two pages that meet and talk, beside rivals.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;

use crate::browser::Browser;
use crate::wasm::{self, Profile};
use crate::{demo, shell};

/// Builds what users get, a small module and an optimised node, and runs the rounds.
pub(crate) fn run(args: Vec<OsString>) -> Result<ExitCode> {
    let package = wasm::package(Profile::Web)?;
    let program = demo::native(true)?;
    let browser = Browser::find()?;
    let folder = shell::root().join("tests/rivals/pages");
    shell::npm(&folder, &["ci"])?;
    let mut node = shell::command("node");
    node.arg("pages.mjs").args(args).current_dir(folder);
    node.env("CHROMIUM", browser.chromium);
    node.env("PEERGRAPH_BIN", program).env("PEERGRAPH_PACKAGE", package);
    shell::become_program(node)
}
