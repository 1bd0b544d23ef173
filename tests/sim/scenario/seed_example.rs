//! The six-node story of the reference: a graph of 1, 2, 5, 7, 8 and 9 is cut into 1, 2, 5 and 7, 8, 9. The second part
//! finds that it lost the signature and elects 7; the contacts of both say what they see; when the cut ends, one that
//! misses a contact of the other part connects to it; the stores become equal, and 1 is the signature of all again.
//!
//! Node ids are drawn by chance; the ranks of the story are what counts.
use super::crowd::Crowd;
use super::{Scenario, Setup};
use crate::check::delivery::Reach;
use crate::host::HostId;
use crate::report::{Meter, Report};
use std::time::Duration;

/// Nodes of the story.
const NODES: usize = 6;
/// Every wait before a node becomes a contact is over. Virtual. Source: reference 2.1 (180 s).
const SETTLED_AFTER: Duration = Duration::from_secs(190);
/// From the cut to a new signature: a minute without beats, and at most 19 s of back-off. Virtual.
const ELECTED_WITHIN: Duration = Duration::from_secs(90);
/// From the end of the cut to one graph, and to one signature. Virtual.
const MENDED_WITHIN: Duration = Duration::from_secs(60);

pub(super) const SCENARIO: Scenario = Scenario {
    name: "seed-example",
    about: "Six nodes are cut in two, each part has its signature, and they become one again",
    records: 4,
    run,
};

fn run(setup: &Setup) -> Report {
    let setup = &Setup { nodes: NODES, ..setup.clone() };
    let mut crowd = Crowd::new(setup);
    let mut meter = Meter::default();
    crowd.grow(setup, NODES - 1);
    let group = crowd.group;
    let mut ranked: Vec<HostId> = crowd.world.live();
    ranked.sort_by_key(|&host| crowd.world.node_id(host));
    let (low, high) = (ranked[..3].to_vec(), ranked[3..].to_vec());
    let first = crowd.world.await_signature(&ranked, group, ELECTED_WITHIN);
    crowd.world.run_for(SETTLED_AFTER);
    for &host in &ranked[..5] {
        assert!(crowd.world.info(host, group).contact, "the five lowest are contacts");
    }
    let phase = meter.phase(&crowd.world, "gather", 0, Reach::default());
    setup.tell(|| phase.to_string());

    let mut sides = vec![0; NODES];
    for &host in &high {
        sides[host] = 1;
    }
    let cut = crowd.world.time();
    crowd.world.partition(sides);
    let second = crowd.world.await_signature(&high, group, ELECTED_WITHIN);
    assert_ne!(first, second);
    meter.note("elected_ms", (crowd.world.time() - cut).as_millis() as f64);
    for host in [low[0], low[2], high[0], high[2]].into_iter().cycle().take(setup.records) {
        let _request = crowd.publish(host);
    }
    crowd.world.run_for(Duration::from_secs(30));
    assert_eq!(crowd.world.await_signature(&low, group, Duration::ZERO), first);
    assert!(!crowd.world.is_one_graph(group, &ranked));
    let split = crowd.delivery().reach(0, crowd.published(), &ranked);
    let phase = meter.phase(&crowd.world, "cut", setup.records, split);
    setup.tell(|| phase.to_string());

    crowd.world.heal();
    let healed = crowd.world.time();
    let whole = crowd.world.run_until(MENDED_WITHIN, |world| world.is_one_graph(group, &ranked));
    assert!(whole, "the parts do not find each other within {MENDED_WITHIN:?}");
    meter.note("heal_ms", (crowd.world.time() - healed).as_millis() as f64);
    let mut reach = crowd.settle(0, MENDED_WITHIN);
    reach.delivered -= split.delivered.min(reach.delivered);
    assert_eq!(crowd.world.await_signature(&ranked, group, MENDED_WITHIN), first);
    meter.note("agreed_ms", (crowd.world.time() - healed).as_millis() as f64);
    crowd.assert_equal_stores(&ranked);
    let phase = meter.phase(&crowd.world, "repair", 0, reach);
    setup.tell(|| phase.to_string());
    crowd.finish(setup, meter)
}
