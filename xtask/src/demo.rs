//! `cargo xtask demo`: a node on loopback that serves the demo pages.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::shell::{self, say};
use crate::wasm::{self, Profile};

/// Builds what is missing and becomes the node, which runs until it is interrupted.
pub(crate) fn run(port: u16, data: Option<PathBuf>, release: bool) -> Result<ExitCode> {
    // Before minutes of compilation, not after them. The node itself has the last word.
    drop(TcpListener::bind(("127.0.0.1", port)).with_context(|| {
        format!("port {port} of 127.0.0.1 cannot be had: name another one with --port")
    })?);
    let package = wasm::package(Profile::Web)?;
    wasm::graph()?;
    say("building the native program peergraph");
    let program = native(release)?;
    // Named by the user: from where the user stands. Ours: in the target folder.
    let data = match data {
        Some(data) => std::path::absolute(data)?,
        None => shell::target()?.join("demo"),
    };
    std::fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
    say(format!("starting the node, its data is in {}", data.display()));
    println!(
        "\n  Open http://127.0.0.1:{port}/ in two browsers, or a private window. Ctrl-C stops the node.\n"
    );
    shell::become_program(node(&program, port, &data, &package))
}

/// Builds the native program and returns its path.
pub(crate) fn native(release: bool) -> Result<PathBuf> {
    let mut cargo = shell::cargo();
    cargo.args(["build", "--locked", "-p", "peergraph", "--bin", "peergraph"]);
    if release {
        cargo.arg("--release");
    }
    shell::run(&mut cargo)?;
    let folder = if release { "release" } else { "debug" };
    Ok(shell::target()?
        .join(folder)
        .join("peergraph")
        .with_extension(std::env::consts::EXE_EXTENSION))
}

/// The command line of the node: the pages at `/`, the npm package at `/peergraph/`.
fn node(program: &Path, port: u16, data: &Path, package: &Path) -> Command {
    let mut node = shell::command(program);
    node.arg("node");
    node.arg("--http").arg(format!("127.0.0.1:{port}"));
    node.arg("--data").arg(data);
    node.arg("--pages").arg(shell::root().join("examples"));
    node.arg("--package").arg(package);
    node
}
