//! Crash: many nodes die at one moment, without a word. A record that has reached any survivor must
//! come to all survivors.
//!
//! A record whose publisher dies before anybody else held it is gone with that disk; those are counted as vanished, not as
//! missed.
use super::crowd::Crowd;
use super::{Scenario, Setup};
use crate::host::HostId;
use crate::report::Report;
use std::time::Duration;

/// Records are this far apart. Virtual.
const PACE: Duration = Duration::from_millis(50);
/// How long records before the crash may take to everybody. Virtual.
const SETTLE_WITHIN: Duration = Duration::from_secs(120);
/// Between two looks at the graph after the crash. Virtual.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long the survivors may take to be one graph, and to have every record. Virtual.
const HEALED_WITHIN: Duration = Duration::from_secs(600);

pub(super) const SCENARIO: Scenario = Scenario {
    name: "crash",
    about: "A share of the nodes (--fraction) dies at one moment, while records are published",
    records: 40,
    run,
};

fn run(setup: &Setup) -> Report {
    let (mut crowd, mut meter) = Crowd::gathered(setup, Duration::from_secs(10));

    publish(&mut crowd, setup.records);
    let reach = crowd.settle(0, SETTLE_WITHIN);
    let phase = meter.phase(&crowd.world, "before", setup.records, reach);
    setup.tell(|| phase.to_string());

    // Some are on their way when it happens.
    let caught = crowd.published();
    publish(&mut crowd, setup.records.div_ceil(4));
    let mut order = crowd.world.live();
    crowd.world.chance.shuffle(&mut order);
    let dying = ((order.len() as f64 * setup.knobs.fraction) as usize).min(order.len() - 2);
    for &host in &order[..dying] {
        crowd.world.crash(host);
        crowd.close_door(host);
    }
    let crashed_at = crowd.world.time();
    let survivors = crowd.world.live();
    let after = crowd.published();
    publish(&mut crowd, setup.records);

    let mut healed = None;
    let end = crashed_at + HEALED_WITHIN;
    let complete = |crowd: &Crowd| missing(crowd, caught, after, &survivors) == 0;
    while crowd.world.time() < end && !(healed.is_some() && complete(&crowd)) {
        crowd.world.run_for(LOOK_EVERY);
        if healed.is_none() && crowd.world.is_connected(&survivors) {
            healed = Some(crowd.world.time());
        }
    }
    let since = |at: Duration| (at - crashed_at).as_millis() as f64;
    // Not healed within the time is not healed: the bound stands for it.
    meter.note("heal_ms", since(healed.unwrap_or(end)));
    meter.note("complete_ms", since(crowd.world.time()));
    meter.note("survivors", survivors.len() as f64);
    meter.note("vanished", vanished(&crowd, caught, after, &survivors).len() as f64);
    let to = crowd.published();
    let mut reach = crowd.delivery().reach(after, to, &survivors);
    reach.missed = missing(&crowd, caught, after, &survivors);
    let phase = meter.phase(&crowd.world, "after", to - after, reach);
    setup.tell(|| phase.to_string());
    let missed = reach.missed.max(u64::from(healed.is_none()));
    crowd.finish_missing(setup, meter, missed)
}

fn publish(crowd: &mut Crowd, count: usize) {
    let live = crowd.world.live();
    for _ in 0..count {
        let sender = *crowd.world.chance.of(&live);
        let _request = crowd.publish(sender);
        crowd.world.run_for(PACE);
    }
}

/// Records that were on their way at the crash (`from..to`) and that no survivor ever held.
fn vanished(crowd: &Crowd, from: usize, to: usize, survivors: &[HostId]) -> Vec<usize> {
    let nobody = |record: &usize| !crowd.delivery().is_seen_by_any(*record, survivors);
    (from..to).filter(nobody).collect()
}

/// Records that survivors lack, but for the vanished ones.
fn missing(crowd: &Crowd, from: usize, to: usize, survivors: &[HostId]) -> u64 {
    let delivery = crowd.delivery();
    let gone = vanished(crowd, from, to, survivors).len() * survivors.len();
    delivery.lacking(0, delivery.len(), survivors) - gone as u64
}
