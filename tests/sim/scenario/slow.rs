//! Slow: one member's wires carry a hundredth of what they should. Its neighbours' other links must not notice, what waits
//! for it must stay bounded, and it gets everything in the end.
use super::crowd::{Crowd, PAYLOAD_BYTES};
use super::{Scenario, Setup};
use crate::check::delivery::Reach;
use crate::host::HostId;
use crate::report::{Meter, Report};
use std::time::Duration;

/// The divisor of the rate of the slow one's wires.
const SLOWER: u64 = 100;
/// Records are this far apart. Virtual.
const PACE: Duration = Duration::from_millis(20);
/// Payloads are this many times a usual one: together far more than the slow one's wires carry in the time.
const LONGER: usize = 50;
/// How long records may take to everybody but the slow one. Virtual.
const SETTLE_WITHIN: Duration = Duration::from_secs(60);
/// How long the slow one may take. Virtual.
const SLOW_WITHIN: Duration = Duration::from_secs(900);

pub(super) const SCENARIO: Scenario = Scenario {
    name: "slow",
    about: "One member reads at 1 % of the usual speed while long records are published",
    records: 200,
    run,
};

fn run(setup: &Setup) -> Report {
    let (mut crowd, mut meter) = Crowd::gathered(setup, Duration::from_secs(10));

    let slow = crowd.world.chance.within(1..setup.nodes as u64) as HostId;
    let others: Vec<HostId> = crowd.world.live().into_iter().filter(|&host| host != slow).collect();
    // The same loads, without the slow one and with it.
    let usual = publish(setup, &mut crowd, &mut meter, "usual", &others);
    crowd.world.throttle(slow, crowd.world.network.rate / SLOWER);
    let from = crowd.published();
    let slowed = publish(setup, &mut crowd, &mut meter, "slow", &others);
    meter.note("usual_last_ms", usual.slowest as f64 / 1e3);
    meter.note("slow_last_ms", slowed.slowest as f64 / 1e3);
    meter.note("usual_mean_hop", usual.mean_hop);
    meter.note("slow_mean_hop", slowed.mean_hop);

    let began = crowd.world.time();
    let reach = crowd.settle(from, SLOW_WITHIN);
    meter.note("catch_up_ms", (crowd.world.time() - began).as_millis() as f64);
    meter.note("transport_bytes_max", crowd.world.counts.backlog_bytes_max as f64);
    meter.note("closed_slow", crowd.world.counts.closed_slow as f64);
    let phase = meter.phase(&crowd.world, "catch up", 0, reach);
    setup.tell(|| phase.to_string());
    crowd.finish(setup, meter)
}

/// Publishes long records at some of `others`, and waits until all of them have all.
fn publish(
    setup: &Setup,
    crowd: &mut Crowd,
    meter: &mut Meter,
    name: &str,
    others: &[HostId],
) -> Reach {
    let from = crowd.published();
    for _ in 0..setup.records {
        let sender = *crowd.world.chance.of(others);
        let _request = crowd.publish_bytes(sender, PAYLOAD_BYTES * LONGER);
        crowd.world.run_for(PACE);
    }
    let reach = crowd.settle_at(others, from, SETTLE_WITHIN);
    let phase = meter.phase(&crowd.world, name, setup.records, reach);
    setup.tell(|| phase.to_string());
    reach
}
