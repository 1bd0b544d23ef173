//! Partition: the network splits, both sides publish, it heals, and the stores become equal.
use super::crowd::Crowd;
use super::{Scenario, Setup};
use crate::check::delivery::Reach;
use crate::network;
use crate::report::{Meter, Report};
use std::time::Duration;

/// How long the network stays split. Virtual.
const SPLIT_FOR: Duration = Duration::from_secs(90);
/// How long the members may take to find each other again and be equal. Virtual.
const REPAIRED_WITHIN: Duration = Duration::from_secs(600);

pub(super) const SCENARIO: Scenario = Scenario {
    name: "partition",
    about: "The network splits and heals while both sides publish",
    records: 100,
    run,
};

fn run(setup: &Setup) -> Report {
    let mut crowd = Crowd::new(setup);
    let mut meter = Meter::default();
    crowd.grow(setup, setup.nodes - 1);
    let phase = meter.phase(&crowd.world, "gather", 0, Reach::default());
    setup.tell(|| phase.to_string());

    let sides = network::split(&mut crowd.world.chance, setup.nodes);
    crowd.world.partition(sides);
    let pace = SPLIT_FOR / setup.records.max(1) as u32;
    let live = crowd.world.live();
    for _ in 0..setup.records {
        let sender = *crowd.world.chance.of(&live);
        let _request = crowd.publish(sender);
        crowd.world.run_for(pace);
    }
    let split = crowd.delivery().reach(0, crowd.published(), &live);
    assert!(split.missed > 0, "a record crossed the split, or nothing was published");
    let phase = meter.phase(&crowd.world, "split", setup.records, split);
    setup.tell(|| phase.to_string());

    crowd.world.heal();
    let mut reach = crowd.settle(0, REPAIRED_WITHIN);
    reach.delivered -= split.delivered.min(reach.delivered);
    let phase = meter.phase(&crowd.world, "repair", 0, reach);
    setup.tell(|| phase.to_string());
    let some = crowd.some(16);
    if reach.missed == 0 {
        crowd.assert_equal_stores(&some);
    }
    crowd.finish(setup, meter)
}
