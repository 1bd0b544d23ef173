//! Flood: a crowd gathers in bursts; then one, random and all members publish.
//!
//! A record costs work at every node, so that all of n members publishing costs n²: of large crowds `many` publish at
//! once, `--senders` of them.
use super::crowd::Crowd;
use super::{Scenario, Setup};
use crate::host::HostId;
use crate::report::{Meter, Report};
use std::time::Duration;

/// Between two records of one phase. Virtual.
const PACE: Duration = Duration::from_millis(50);
/// How long the records of a phase may take to everybody. Virtual.
const SETTLE_WITHIN: Duration = Duration::from_secs(120);
/// Stores that are compared record by record at the end.
const COMPARED: usize = 8;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "flood",
    about: "Nodes join in bursts; then one, random and all nodes publish",
    records: 20,
    run,
};

fn run(setup: &Setup) -> Report {
    // Neighbours are still being chosen when the last one is ready.
    let (mut crowd, mut meter) = Crowd::gathered(setup, Duration::from_secs(10));

    let one = *crowd.world.chance.of(&crowd.world.live().clone());
    let senders = vec![one; setup.records];
    publish(setup, &mut crowd, &mut meter, "one", &senders, PACE);

    let live = crowd.world.live();
    let senders: Vec<HostId> = (0..setup.records).map(|_| *crowd.world.chance.of(&live)).collect();
    publish(setup, &mut crowd, &mut meter, "random", &senders, PACE);

    let senders = crowd.some(setup.knobs.senders);
    let name = if senders.len() == live.len() { "all" } else { "many" };
    publish(setup, &mut crowd, &mut meter, name, &senders, Duration::ZERO);

    let some = crowd.some(COMPARED);
    crowd.assert_equal_stores(&some);
    crowd.finish(setup, meter)
}

/// Publishes a record at each of `senders`, one after the other, and reports what became of them.
pub(super) fn publish(
    setup: &Setup,
    crowd: &mut Crowd,
    meter: &mut Meter,
    name: &str,
    senders: &[HostId],
    pace: Duration,
) {
    let from = crowd.published();
    let requests: Vec<_> = senders
        .iter()
        .map(|&sender| {
            let request = crowd.publish(sender);
            crowd.world.run_for(pace);
            (sender, request)
        })
        .collect();
    let reach = crowd.settle(from, SETTLE_WITHIN);
    for (sender, request) in requests {
        let answer = crowd.world.answer(sender, request);
        assert!(matches!(answer, Some(Ok(_))), "host {sender} published: {answer:?}");
    }
    if reach.missed > 0 {
        let gaps = crowd.delivery().gaps(from, &crowd.world.live());
        setup.tell(|| format!("missing (record, publisher, host): {gaps:?}"));
    }
    let phase = meter.phase(&crowd.world, name, senders.len(), reach);
    setup.tell(|| phase.to_string());
}
