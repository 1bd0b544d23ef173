//! A Rust toolchain with the standard library for `wasm32-unknown-unknown`.
//!
//! In this order: the default toolchain where it has the target; one that an earlier run made from
//! Debian's packages; `rustup target add`; Debian's packages, by `wasm-toolchain.sh`. On most
//! machines the first or the third is all that ever happens.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::shell::{self, say};

/// The target of everything that runs in a browser.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// How long `rustup target add` may take. Guess: 27 MB at a slow 2 Mbit/s; where its server cannot
/// be reached it would try for much longer before it gives up.
const RUSTUP_SECONDS_MAX: u64 = 120;

/// A toolchain that builds for [`TARGET`].
#[derive(Default)]
pub(crate) struct Toolchain {
    /// Folder of `cargo` and `rustc`. `None` is the default toolchain.
    bin: Option<PathBuf>,
}

impl Toolchain {
    /// Finds one, or makes one, which may install packages.
    pub(crate) fn find() -> Result<Toolchain> {
        let default = Toolchain::default();
        if default.has_target()? {
            return Ok(default);
        }
        if let Ok(bin) = shell::output(script().arg("--ready")) {
            return Ok(Toolchain { bin: Some(bin.into()) });
        }
        if shell::find_program(&["rustup"]).is_some() {
            say(format!("adding the target {TARGET} to the default toolchain"));
            match rustup_target_add() {
                Ok(()) if default.has_target()? => return Ok(default),
                Ok(()) => say("rustup added the target, but not to the rustc on the search path"),
                Err(error) => say(format!("rustup could not: {error:#}")),
            }
        }
        if shell::find_program(&["apt-get"]).is_none() {
            bail!(
                "no standard library for {TARGET}: run `rustup target add {TARGET}`, or install \
                 the one of your system's rustc"
            );
        }
        say(format!("making a toolchain for {TARGET} from Debian's packages, once"));
        let bin = shell::output(&mut script()).context("see xtask/wasm-toolchain.sh")?;
        Ok(Toolchain { bin: Some(bin.into()) })
    }

    /// This toolchain's cargo.
    pub(crate) fn cargo(&self) -> Result<Command> {
        let Some(bin) = &self.bin else { return Ok(shell::cargo()) };
        let mut cargo = shell::command(bin.join("cargo"));
        cargo.env("PATH", first_on_path(bin)?).env_remove("RUSTUP_TOOLCHAIN");
        Ok(cargo)
    }

    /// Makes clippy of this toolchain available if that is easy, and says whether it is there.
    pub(crate) fn has_clippy(&self) -> Result<bool> {
        let made = match &self.bin {
            Some(_) => shell::output(script().arg("--clippy")).map(drop),
            None => need("clippy", "clippy"),
        };
        if let Err(error) = made {
            say(format!("{error:#}"));
        }
        Ok(shell::succeeds(self.cargo()?.args(["clippy", "--version"])))
    }

    fn has_target(&self) -> Result<bool> {
        let mut rustc = shell::command("rustc");
        let Ok(folder) =
            shell::output(rustc.args(["--print", "target-libdir", "--target", TARGET]))
        else {
            return Ok(false);
        };
        let Ok(files) = fs::read_dir(folder) else { return Ok(false) };
        Ok(files.filter_map(Result::ok).any(|file| {
            let name = file.file_name().to_string_lossy().into_owned();
            name.starts_with("libstd-") && name.ends_with(".rlib")
        }))
    }
}

/// Makes a subcommand of the default cargo available, from the component of rustup that holds it.
pub(crate) fn need(subcommand: &str, component: &str) -> Result<()> {
    if shell::succeeds(shell::cargo().args([subcommand, "--version"])) {
        return Ok(());
    }
    say(format!("adding {component} to the default toolchain"));
    shell::run(shell::command("rustup").args(["component", "add", component]))
        .with_context(|| format!("`cargo {subcommand}` is missing"))
}

/// The recipe for Debian. Its only line on standard output is the folder of the programs.
fn script() -> Command {
    let mut script = shell::command("bash");
    script.arg("xtask/wasm-toolchain.sh");
    script
}

fn first_on_path(bin: &Path) -> Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(bin.to_path_buf()).chain(env::split_paths(&path));
    env::join_paths(folders).context("the search path cannot be extended")
}

/// Runs `rustup target add`, for at most [`RUSTUP_SECONDS_MAX`].
fn rustup_target_add() -> Result<()> {
    let mut rustup = shell::command("rustup").args(["target", "add", TARGET]).spawn()?;
    let deadline = Instant::now() + Duration::from_secs(RUSTUP_SECONDS_MAX);
    loop {
        if let Some(status) = rustup.try_wait()? {
            if status.success() {
                return Ok(());
            }
            bail!("{status}");
        }
        if Instant::now() > deadline {
            rustup.kill()?;
            rustup.wait()?;
            bail!("no result within {RUSTUP_SECONDS_MAX} s");
        }
        thread::sleep(Duration::from_millis(100));
    }
}
