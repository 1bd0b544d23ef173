//! Latecomer: a node joins late a group that has many records, and gets all of them.
//!
//! The figures count everything that passes its wires, from its start until some seconds after it
//! has every record: handshakes, memberships and the records themselves. Beside them stands the
//! amount that it needs: all that is on its disk then.
use super::crowd::Crowd;
use super::{Scenario, Setup};
use crate::check::delivery::Reach;
use crate::report::{Meter, Report};
use std::time::Duration;

/// Between two records. Virtual.
const PACE: Duration = Duration::from_millis(5);
/// How long records may take to everybody, and all of them to the latecomer. Virtual.
const WITHIN: Duration = Duration::from_secs(300);
/// How long it is looked at once it has all of them. Virtual.
const AFTERWARDS: Duration = Duration::from_secs(10);

pub(super) const SCENARIO: Scenario = Scenario {
    name: "latecomer",
    about: "A node joins late a group with --records records",
    records: 1000,
    run,
};

fn run(setup: &Setup) -> Report {
    let mut crowd = Crowd::new(setup);
    let mut meter = Meter::default();
    crowd.grow(setup, setup.nodes - 1);
    for _ in 0..setup.records {
        let live = crowd.world.live();
        let sender = *crowd.world.chance.of(&live);
        let _request = crowd.publish(sender);
        crowd.world.run_for(PACE);
    }
    let reach = crowd.settle(0, WITHIN);
    assert_eq!(reach.missed, 0, "the group is not complete {WITHIN:?} after its last record");
    let phase = meter.phase(&crowd.world, "publish", setup.records, reach);
    setup.tell(|| phase.to_string());

    crowd.grow(setup, 1);
    let latecomer = crowd.world.hosts().len() - 1;
    let has_all = |crowd: &Crowd| crowd.delivery().complete(0, &[latecomer]);
    let end = crowd.world.time() + WITHIN;
    while !has_all(&crowd) && crowd.world.time() < end {
        crowd.world.run_for(Duration::from_millis(10));
    }
    let host = &crowd.world.hosts()[latecomer];
    let equal = crowd.delivery().last_seen(latecomer).saturating_sub(host.clock.started);
    meter.note("equal_ms", equal as f64 / 1e3);
    meter.note("round_trips", crowd.world.round_trips(latecomer, 0) as f64);
    // Others than the first may still be bringing what it has.
    crowd.world.run_for(AFTERWARDS);
    let host = &crowd.world.hosts()[latecomer];
    meter.note("bytes_needed", host.disk.iter().map(|(_, value)| value.len() as f64).sum());
    let traffic = host.traffic;
    meter.note("bytes", (traffic.0 + traffic.1) as f64);
    meter.note("bytes_in", traffic.1 as f64);
    let reach = crowd.delivery().reach(0, crowd.published(), &[latecomer]);
    let phase = meter.phase(&crowd.world, "latecomer", 0, Reach { slowest: 0, ..reach });
    setup.tell(|| phase.to_string());
    crowd.assert_equal_stores(&[0, latecomer]);
    crowd.finish(setup, meter)
}
