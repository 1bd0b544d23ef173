//! Determinism: of a world, and of a single node.
use crate::{each_seed, world};
use peergraph_tests::World;
use peergraph_tests::scenario::Crypto;
use std::time::Duration;

fn busy_minute(world: &mut World) {
    let (group, hosts) = world.group_of(&["ada", "bob", "cleo", "dan"]);
    for number in 0..10 {
        let from = *world.chance.of(&hosts);
        world.say(from, group, &format!("{number}"));
        if number == 5 {
            world.cut_any();
        }
    }
    world.crash(hosts[2]);
    world.run_for(Duration::from_secs(30));
    world.start(hosts[2]);
    world.run_for(Duration::from_secs(30));
}

#[test]
fn same_seed_same_run() {
    let run = |seed| {
        let mut world = world("same_seed_same_run", seed);
        busy_minute(&mut world);
        (world.digest(), world.counts)
    };
    for seed in 0..10 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
    assert_ne!(run(1).0, run(2).0);
}

#[test]
fn memo_of_signatures_changes_nothing() {
    let run = |seed, crypto| {
        let mut world = world("memo_of_signatures_changes_nothing", seed);
        world.crypto = crypto;
        busy_minute(&mut world);
        (world.digest(), world.counts)
    };
    for seed in 0..5 {
        assert_eq!(run(seed, Crypto::Memo), run(seed, Crypto::Full), "seed {seed}");
    }
}

#[test]
fn replayed_inputs_give_equal_outputs() {
    each_seed("replayed_inputs_give_equal_outputs", 20, |world| {
        world.record(1);
        busy_minute(world);
        let recording = world.recording();
        assert!(recording.inputs() > 100, "{} inputs", recording.inputs());
        let again = recording.replay(&world.hosts()[1], world.crypto, recording.inputs());
        assert_eq!(again.outputs(), recording.outputs());
    });
}
