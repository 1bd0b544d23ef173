//! Build automation: everything that takes more than one cargo call.
//!
//! | file | what |
//! |---|---|
//! | `shell.rs` | where things are, running programs, saying what is done |
//! | `toolchain.rs` | a Rust toolchain with the wasm32 target |
//! | `wasm.rs` | `cargo xtask wasm`: the npm package in `web/pkg` |
//! | `imports.rs` | what a wasm module imports |
//! | `browser.rs` | Chromium and its driver |
//! | `demo.rs` | `cargo xtask demo`: a node on loopback with the demo pages |
//! | `test.rs` | `cargo xtask test`: every check, with a table at the end |

mod browser;
mod demo;
mod imports;
mod shell;
mod test;
mod toolchain;
mod wasm;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::wasm::Profile;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Build automation of Peergraph")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the npm package into web/pkg
    Wasm {
        /// web: small and optimised; dev: quick to build, with function names
        #[arg(long, value_enum, default_value_t = Profile::Web)]
        profile: Profile,
    },
    /// Start a node on loopback that serves the demo pages, and print the address
    Demo {
        /// TCP port on 127.0.0.1
        #[arg(long, default_value_t = 8080)]
        port: u16,
        /// Folder that keeps the node's identity and records [default: target/demo]
        #[arg(long)]
        data: Option<PathBuf>,
        /// Build the native program with optimisations
        #[arg(long)]
        release: bool,
    },
    /// Run every check of the project; the exit code is 1 when one of them failed
    Test {
        /// Leave out what needs a browser or npm
        #[arg(long)]
        fast: bool,
    },
    /// Run a scenario in the simulator: cargo xtask sim flood --nodes 1000 --seed 7 --json
    #[command(disable_help_flag = true)]
    Sim(Forwarded),
    /// Run a benchmark
    #[command(disable_help_flag = true)]
    Bench(Forwarded),
}

#[derive(clap::Args)]
struct Forwarded {
    /// What is run and its options, passed on as they are
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

fn main() -> ExitCode {
    let done = match Args::parse().task {
        Task::Wasm { profile } => wasm::package(profile).map(|_| ExitCode::SUCCESS),
        Task::Demo { port, data, release } => demo::run(port, data, release),
        Task::Test { fast } => test::run(fast),
        Task::Sim(forwarded) => forward("sim", &forwarded.args),
        Task::Bench(forwarded) => forward("bench", &forwarded.args),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// Runs a program of the tests package in release, with the arguments and the exit code passed on.
fn forward(bin: &str, args: &[String]) -> anyhow::Result<ExitCode> {
    let mut cargo = shell::cargo();
    cargo.args(["run", "--quiet", "--locked", "--release", "-p", "peergraph-tests", "--bin", bin]);
    cargo.arg("--").args(args);
    shell::become_program(cargo)
}
