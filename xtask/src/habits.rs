//! Steps of `cargo xtask test` that look at the project as a whole with tools that others keep: spelling, and what the
//! dependencies are. A tool is taken from the search path, else built once into the target folder.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::shell::{self, say};

/// A program of crates.io.
struct Tool {
    program: &'static str,
    package: &'static str,
}

const TYPOS: Tool = Tool { program: "typos", package: "typos-cli@1.52.0" };
const DENY: Tool = Tool { program: "cargo-deny", package: "cargo-deny@0.20.2" };

/// Spelling of code, comments and documents: `.typos.toml`.
pub(crate) fn spelling() -> Result<()> {
    shell::run(TYPOS.command()?.args(["--hidden", "."]))
}

/// Licences and sources of the dependencies: `.cargo/deny.toml`.
pub(crate) fn dependencies() -> Result<()> {
    let mut deny = DENY.command()?;
    deny.args(["--locked", "--config", ".cargo/deny.toml", "check", "bans", "licenses", "sources"]);
    shell::run(&mut deny)
}

impl Tool {
    fn command(&self) -> Result<Command> {
        if let Some(there) = shell::find_program(&[self.program]) {
            return Ok(shell::command(there));
        }
        let folder = shell::target()?.join("tools");
        let program: PathBuf = folder.join("bin").join(self.program);
        if !program.is_file() {
            say(format!("building {}, once", self.package));
            let mut cargo = shell::cargo();
            cargo.args(["install", "--quiet", "--locked", "--debug", "--no-default-features"]);
            cargo.arg("--root").arg(&folder).arg("--target-dir").arg(folder.join("build"));
            shell::run(cargo.arg(self.package))
                .with_context(|| format!("or install `{}` yourself", self.program))?;
        }
        Ok(shell::command(program))
    }
}
