//! Stories of a few nodes, told over many seeds.
//!
//! `SEED=17 cargo test -p peergraph-tests --test scenarios NAME` repeats one of them.
// Stories look for one event or answer among all.
#![allow(clippy::wildcard_enum_match_arm)]
mod adversary;
mod ahead;
mod authority;
mod broadcast;
mod campaign;
mod changes;
mod chat;
mod clocks;
mod crash;
mod damage;
mod direct;
mod excess;
mod flow;
mod graph;
mod heirs;
mod items;
mod joining;
mod lives;
mod members;
mod members_only;
mod partition;
mod password;
mod paths;
mod presence;
mod promises;
mod provider;
mod quota;
mod reach;
mod records;
mod relay;
mod rendezvous;
mod replay;
mod search;
mod skew;
mod standing;
mod sync;
mod versions;

use peergraph_tests::World;

/// Tells a story once for each seed from 0 on, or for `SEED` alone. The world prints `test` when it fails.
fn each_seed(test: &str, count: u64, story: impl Fn(&mut World)) {
    let only: Option<u64> = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in only.map_or(0..count, |seed| seed..seed + 1) {
        story(&mut world(test, seed));
    }
}

/// The world of one seed.
fn world(test: &str, seed: u64) -> World {
    let repeat = format!("SEED={seed} cargo test -p peergraph-tests --test scenarios {test}");
    World::new(seed, repeat)
}
