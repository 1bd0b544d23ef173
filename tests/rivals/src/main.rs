//! The core beside its rivals: `cargo xtask bench NAME [OPTION…]`.
//!
//! Both run in one process on one machine, one after the other, with the same load, network and seed. A benchmark
//! prints what each needed, and the ratio of ours to theirs.
mod gossip;
mod search;
mod sync;

use clap::Parser;

/// The core beside its rivals.
#[derive(Parser)]
enum Benchmark {
    /// Flooding, beside iroh-gossip's state machines under the same simulated network.
    Gossip(gossip::Options),
    /// Searching, beside FTS5 and tantivy.
    Search(search::Options),
    /// Comparing stores, beside negentropy.
    Sync(sync::Options),
}

fn main() {
    match Benchmark::parse() {
        Benchmark::Gossip(options) => gossip::run(&options),
        Benchmark::Search(options) => search::run(&options),
        Benchmark::Sync(options) => sync::run(&options),
    }
}
