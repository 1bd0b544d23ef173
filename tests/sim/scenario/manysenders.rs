//! Many senders: a settled crowd in which one member publishes, then some, then any.
//!
//! Every group of senders publishes twice: while its trees form, and when they are there.
use super::crowd::Crowd;
use super::flood::publish;
use super::{Scenario, Setup};
use crate::host::HostId;
use crate::report::Report;
use std::time::Duration;

/// Between two records. Virtual.
const PACE: Duration = Duration::from_millis(100);
/// How long the graph has before the first record. Virtual.
const SETTLED_AFTER: Duration = Duration::from_secs(60);
/// Senders between one and all.
const SOME: usize = 20;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "manysenders",
    about: "One, some and random nodes publish, each twice: while their trees form, and when they are there",
    records: 50,
    run,
};

fn run(setup: &Setup) -> Report {
    let (mut crowd, mut meter) = Crowd::gathered(setup, SETTLED_AFTER);
    for (count, forming, settled) in
        [(1, "one", "one-2"), (SOME, "some", "some-2"), (usize::MAX, "random", "random-2")]
    {
        let among = crowd.some(count);
        for name in [forming, settled] {
            let senders: Vec<HostId> =
                (0..setup.records).map(|_| *crowd.world.chance.of(&among)).collect();
            publish(setup, &mut crowd, &mut meter, name, &senders, PACE);
        }
    }
    crowd.finish(setup, meter)
}
