//! Paths, running programs, and telling what is done.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// The folder of the workspace.
///
/// As cargo tells at run time, which is the one that the user stands in; this program may have been
/// compiled in another work tree that shares the target folder.
pub(crate) fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let xtask = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let xtask = xtask.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        xtask.parent().expect("xtask is a folder of the workspace").to_path_buf()
    })
}

/// The folder that cargo builds into: this program lies in its subfolder `debug`.
pub(crate) fn target() -> Result<PathBuf> {
    let program = env::current_exe().context("where does this program lie?")?;
    let folder = program.ancestors().nth(2).context("this program lies in no target folder")?;
    Ok(folder.to_path_buf())
}

/// Tells the user what is being done, with the seconds since the start.
///
/// On standard error: the output of what is run belongs to standard output.
pub(crate) fn say(what: impl AsRef<str>) {
    eprintln!("[{:6.1} s] {}", start().elapsed().as_secs_f64(), what.as_ref());
}

/// When this was first asked for, which is when the first line was said.
fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

/// The default toolchain's cargo.
pub(crate) fn cargo() -> Command {
    command("cargo")
}

/// A program of the tests package, in release; its arguments follow.
pub(crate) fn tests_program(program: &str) -> Command {
    let mut cargo = cargo();
    cargo.args(["run", "--quiet", "--locked", "--release", "-p", "peergraph-tests"]);
    cargo.args(["--bin", program, "--"]);
    with_huge_pages(cargo)
}

/// The benchmarks beside rivals, in release; their arguments follow. Their lock file follows the workspace's packages.
pub(crate) fn rivals_program() -> Result<Command> {
    let mut cargo = cargo();
    cargo.args(["run", "--quiet", "--release", "--manifest-path", "tests/rivals/Cargo.toml"]);
    cargo.arg("--target-dir").arg(target()?.join("rivals")).arg("--");
    Ok(with_huge_pages(cargo))
}

/// A simulation goes all over its memory: with huge pages it takes a tenth to a quarter less CPU. Other C libraries than that
/// of GNU pay no heed.
fn with_huge_pages(mut program: Command) -> Command {
    if env::var_os("GLIBC_TUNABLES").is_none() {
        program.env("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1");
    }
    program
}

/// A command run in the workspace's folder.
///
/// `cargo run` describes the package xtask in the environment. A build script that asks to be run
/// again when such a variable changes would be, at every change between `cargo xtask` and a plain
/// `cargo build`, so children do not see them.
pub(crate) fn command(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    command.current_dir(root());
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let describes_xtask = text.starts_with("CARGO_PKG_")
            || ["CARGO", "CARGO_BIN_NAME", "CARGO_CRATE_NAME"].contains(&&*text)
            || ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH"].contains(&&*text);
        if describes_xtask {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs to the end, with the child's output passed through. An exit code but 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(())
}

/// Runs to the end and returns what the child wrote on standard output, without white space at
/// the ends. Its standard error is passed through.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| cannot_start(command))?;
    if !output.status.success() {
        bail!("`{}` failed ({})", shown(command), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether the command can be started and ends well. Says nothing either way.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Replaces this program by another, so that signals and the exit code go straight to and from it.
/// If the system cannot do that, runs it to the end.
pub(crate) fn become_program(mut command: Command) -> Result<ExitCode> {
    #[cfg(unix)]
    {
        let error = std::os::unix::process::CommandExt::exec(&mut command);
        Err(error).with_context(|| cannot_start(&command))
    }
    #[cfg(not(unix))]
    {
        let status = command.status().with_context(|| cannot_start(&command))?;
        Ok(status.code().map_or(ExitCode::FAILURE, |code| ExitCode::from(code.clamp(0, 255) as u8)))
    }
}

/// npm, in a folder.
pub(crate) fn npm(folder: &Path, args: &[&str]) -> Result<()> {
    let mut npm = command("npm");
    run(npm.args(args).args(["--no-audit", "--no-fund"]).current_dir(folder))
}

/// The first of the names that is a program on the search path.
pub(crate) fn find_program(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|candidate| candidate.is_file())
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start `{}`: is it installed?", command.get_program().to_string_lossy())
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut shown =
        program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    for arg in command.get_args() {
        shown.push(' ');
        shown.push_str(&arg.to_string_lossy());
    }
    shown
}
