//! Tabs: a third of the nodes are hidden tabs, whose timers run once a minute. Nobody takes them for gone, and what is
//! published reaches them as it reaches all others.
use super::crowd::Crowd;
use super::{Scenario, Setup};
use crate::report::Report;
use std::time::Duration;

/// Chromium's timers in a tab that has been hidden for five minutes. Microseconds.
const TIMER_STEP: u64 = 60_000_000;
/// The graph settles before tabs are hidden. Virtual.
const SETTLED_AFTER: Duration = Duration::from_secs(190);
/// How long tabs stay hidden: several lives of a presence record. Virtual.
const HIDDEN_FOR: Duration = Duration::from_secs(1_200);
/// How long the last record may take. Virtual.
const DELIVERED_WITHIN: Duration = Duration::from_secs(30);

pub(super) const SCENARIO: Scenario = Scenario {
    name: "tabs",
    about: "A third of the nodes have timers that run once a minute, while all publish",
    records: 100,
    run,
};

fn run(setup: &Setup) -> Report {
    let (mut crowd, mut meter) = Crowd::gathered(setup, SETTLED_AFTER);

    let live = crowd.world.live();
    let mut hidden = live.clone();
    crowd.world.chance.shuffle(&mut hidden);
    hidden.truncate(live.len() / 3);
    for &host in &hidden {
        crowd.world.host(host).clock.timer_step = TIMER_STEP;
    }
    let before = crowd.world.counts;
    for _ in 0..setup.records {
        let sender = *crowd.world.chance.of(&live);
        let _request = crowd.publish(sender);
        crowd.world.run_for(HIDDEN_FOR / setup.records.max(1) as u32);
    }
    let reach = crowd.settle(0, DELIVERED_WITHIN);
    let phase = meter.phase(&crowd.world, "hidden", setup.records, reach);
    setup.tell(|| phase.to_string());
    let group = crowd.group;
    assert!(crowd.world.is_one_graph(group, &live), "hidden tabs were lost");
    let departures = crowd.world.counts.departures - before.departures;
    assert_eq!(departures, 0, "nobody left, but hidden tabs seem to come and go");
    meter.note("silenced_links", (crowd.world.counts.silenced - before.silenced) as f64);
    meter.note("departures", departures as f64);
    crowd.finish(setup, meter)
}
