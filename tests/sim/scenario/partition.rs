//! Partition: a settled graph is cut into parts, all of them publish, the cut ends, and it becomes one graph with equal
//! stores.
use super::crowd::Crowd;
use super::{Scenario, Setup};
use crate::check::delivery::Reach;
use crate::network;
use crate::report::Report;
use std::time::Duration;

/// How long the graph settles before the cut: every wait before a node becomes a contact is over then. Virtual.
const SETTLED_AFTER: Duration = Duration::from_secs(190);
/// How long the members may take to be one graph, and then to be equal. Virtual.
const REPAIRED_WITHIN: Duration = Duration::from_secs(600);
/// Steps between two looks at the whole graph. About a tenth of a virtual second if a thousand nodes are busy.
const LOOK_EVERY: u64 = 100;
/// Hosts whose stores are compared record by record; all others must have every record that was published.
const COMPARED: usize = 16;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "partition",
    about: "A settled graph is cut into --parts for --cut seconds, and mends while all publish",
    records: 100,
    run,
};

fn run(setup: &Setup) -> Report {
    let (mut crowd, mut meter) = Crowd::gathered(setup, Duration::ZERO);
    crowd.world.run_for(SETTLED_AFTER);
    let phase = meter.phase(&crowd.world, "settle", 0, Reach::default());
    setup.tell(|| phase.to_string());

    let (group, live) = (crowd.group, crowd.world.live());
    let sides = network::cut_in_parts(&mut crowd.world.chance, setup.nodes, setup.knobs.parts);
    crowd.world.partition(sides);
    let pace = Duration::from_secs(setup.knobs.cut) / setup.records.max(1) as u32;
    for _ in 0..setup.records {
        let sender = *crowd.world.chance.of(&live);
        let _request = crowd.publish(sender);
        crowd.world.run_for(pace);
    }
    let split = crowd.delivery().reach(0, crowd.published(), &live);
    assert!(split.missed > 0, "a record crossed the cut, or nothing was published");
    let phase = meter.phase(&crowd.world, "cut", setup.records, split);
    setup.tell(|| phase.to_string());

    crowd.world.heal();
    let healed = crowd.world.time();
    let since = |crowd: &Crowd| (crowd.world.time() - healed).as_millis() as f64;
    let whole = crowd
        .world
        .run_until_every(LOOK_EVERY, REPAIRED_WITHIN, |world| world.is_one_graph(group, &live));
    assert!(whole, "the graph is still broken {REPAIRED_WITHIN:?} after the cut ended");
    meter.note("heal_ms", since(&crowd));
    let mut reach = crowd.settle(0, REPAIRED_WITHIN);
    meter.note("equal_ms", since(&crowd));
    reach.delivered -= split.delivered.min(reach.delivered);
    let phase = meter.phase(&crowd.world, "repair", 0, reach);
    setup.tell(|| phase.to_string());
    if reach.missed == 0 {
        let some = crowd.some(COMPARED);
        crowd.assert_equal_stores(&some);
        meter.note("stores_equal", 1.0);
    }
    crowd.finish(setup, meter)
}
