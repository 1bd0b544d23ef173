//! Benchmarks without a network: CPU seconds, not wall time.
//!
//! `cargo xtask bench NAME`, or `cargo run --release -p peergraph-tests --bin bench -- NAME`. Two hosts never run at once,
//! and disks cost nothing.
mod accept;
mod verify;

use clap::{Parser, Subcommand};
use peergraph_tests::report::CpuClock;

/// Measures what costs CPU.
#[derive(Parser)]
#[command(name = "bench")]
struct Options {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// The work of one member in a flood that others publish, one record a message.
    Accept {
        /// How many.
        #[arg(default_value_t = 5_000)]
        records: usize,
    },
    /// Signatures, accepted records and certificate chains, beside plain ed25519-dalek.
    Verify(verify::Options),
}

fn main() {
    match Options::parse().bench {
        Bench::Accept { records } => accept::run(records),
        Bench::Verify(options) => verify::run(&options),
    }
}

/// Seconds of CPU that `work` takes.
fn seconds(work: impl FnOnce()) -> f64 {
    let clock = CpuClock::start();
    work();
    clock.millis() / 1e3
}

/// The middle one.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
