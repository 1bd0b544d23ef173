//! Small worlds in which everything goes wrong at once; larger ones in which one thing goes very wrong.
use crate::each_seed;
use peergraph_core::io::{Command, Event, GroupCommand, Reply};
use peergraph_core::limits;
use peergraph_tests::campaign::Campaign;
use peergraph_tests::liar::Act;
use peergraph_tests::report::Report;
use peergraph_tests::scenario::{self, Knobs, Setup};
use peergraph_tests::story::draft;
use std::time::Duration;

fn churn(seed: u64, seeds: u64) -> Campaign {
    let scenario = scenario::named("churn").expect("it is one of ours");
    Campaign { scenario, seed, seeds, nodes: (3, 9), knobs: Knobs::default() }
}

fn run(name: &str, nodes: usize, knobs: Knobs) -> Report {
    let scenario = scenario::named(name).expect("it is one of ours");
    scenario::run(&Setup { knobs, ..Setup::new(scenario, nodes, 1, None) })
}

#[test]
fn small_worlds_withstand_everything() {
    let only: Option<u64> = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let campaign = only.map_or_else(|| churn(0, 60), |seed| churn(seed, 1));
    let outcome = campaign.run(|_, _| ());
    assert!(outcome.failures.is_empty(), "{:#?}", outcome.failures);
    assert!(only.is_some() || outcome.caught > 0, "somebody lied and was caught");
}

/// Seeds that once failed, each for another reason: a disk that refused a removal, a record whose life was shortened by its
/// own creator, a deletion that was durable but not told, an expiry at the very moment of a restart, a sync
/// whose end came while the disk was being read for something else, two writes of one record that both failed, two pairs
/// of members who had come back in order, and missed only those who were gone for good.
#[test]
fn worlds_that_once_failed_hold() {
    for seed in [8, 27, 79, 213, 256, 276, 311, 393, 446, 732, 926, 1540, 3607, 4135] {
        let outcome = churn(seed, 1).run(|_, _| ());
        assert!(outcome.failures.is_empty(), "{:#?}", outcome.failures);
    }
}

#[test]
fn records_reach_all_survivors_of_a_crash() {
    for fraction in [0.1, 0.5, 0.8] {
        let report = run("crash", 40, Knobs { fraction, ..Knobs::default() });
        assert_eq!((report.missed, report.misbehaved), (0, 0), "of {fraction} dead");
        assert!(report.measures["survivors"] >= 8.0);
        assert!(report.measures["heal_ms"] < 300_000.0, "{:?}", report.measures);
    }
}

/// Goal: one member that sends all it can costs the others nothing that they say to each other, and no more of their disks than
/// the policy allows it. Method: `cargo xtask sim glutton`, smaller; it asserts the bounds itself.
#[test]
fn glutton_delays_nobody_and_is_out_in_the_end() {
    let scenario = scenario::named("glutton").expect("it is one of ours");
    let report = scenario::run(&Setup::new(scenario, 8, 1, Some(90)));
    assert_eq!((report.missed, report.misbehaved), (0, 0));
    assert!(report.caught > 0 && report.measures["alone_share"] > 0.0, "{:?}", report.measures);
    let slowest = report.phases.iter().map(|phase| phase.slowest_ms).max();
    assert!(slowest < Some(5_000), "a record of another took {slowest:?} ms");
}

#[test]
fn slow_member_delays_nobody_and_gets_everything() {
    let report = run("slow", 40, Knobs::default());
    assert_eq!((report.missed, report.misbehaved), (0, 0));
    let (usual, slow) = (report.measures["usual_last_ms"], report.measures["slow_last_ms"]);
    // A node that asks the slow one for a record that it announced asks the next announcer after a
    // second; nothing else waits for the slow one.
    assert!(slow < usual + 1_000.0, "{slow} ms rather than {usual} ms");
    // A node looks how full a transport is, then hands it one frame more.
    let most = limits::IN_TRANSPORT_BYTES_MAX + 2 * limits::FRAME_BYTES_MAX;
    assert!(report.measures["transport_bytes_max"] <= most as f64, "{:?}", report.measures);
}

#[test]
fn member_who_does_not_read_delays_nobody_and_catches_up_later() {
    each_seed("member_who_does_not_read_delays_nobody_and_catches_up_later", 1, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo"]);
        let [ada, bob, cleo] = hosts[..] else { panic!("three hosts") };
        world.run_for(Duration::from_secs(30));
        world.throttle(bob, 10);
        // More than a link's queue holds: what nobody asks for is not put there.
        let records = limits::LINK_QUEUE_BYTES_MAX / 8_000 + 500;
        let mut asked = Vec::new();
        for number in 0..records {
            let mut text = format!("{number} ").into_bytes();
            // Short enough to be sent unasked: see `LARGE_BYTES` of the core.
            text.resize(7_900, b'.');
            let draft = draft(text);
            asked.push(world.command(ada, Command::Group(group, GroupCommand::Publish { draft })));
            if number % 100 == 0 {
                world.run_for(Duration::from_millis(100));
            }
        }
        world.run_for(Duration::from_secs(20));
        assert_eq!(world.records(cleo, group).len(), records, "cleo is not slow");
        assert!(
            asked.into_iter().all(|request| {
                matches!(world.answer(ada, request), Some(Ok(Reply::Record(_))))
            })
        );
        world.throttle(bob, u64::MAX);
        let told = |world: &peergraph_tests::World| {
            let events = world.hosts()[bob].events.iter();
            events.filter(|(_, event)| matches!(event, Event::Record { .. })).count()
        };
        world.run_until_every(1_000, Duration::from_secs(600), |world| told(world) == records);
        assert_eq!(world.records(bob, group).len(), records);
    });
}

/// A liar changes its own record into one that says it was made at another time. The order decides between the two, and
/// nobody is blamed for passing one on.
#[test]
fn change_of_what_must_not_change_costs_no_honest_link() {
    each_seed("change_of_what_must_not_change_costs_no_honest_link", 50, |world| {
        world.model();
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo", "dan"]);
        let [ada, bob, cleo, dan] = hosts[..] else { panic!("four hosts") };
        world.host(dan).liar = true;
        world.crash(cleo);
        world.say_to(dan, group, "trust me", &[ada, bob]);
        // Only the liar is there when cleo comes back, and is quicker than its own sync.
        world.block(cleo, ada);
        world.block(cleo, bob);
        world.start(cleo);
        world.run_until(Duration::from_secs(120), |world| world.hosts()[cleo].neighbours > 0);
        for _ in 0..8 {
            world.lie(dan, group, Act::Recreate);
        }
        world.run_for(Duration::from_secs(5));
        world.crash(dan);
        world.heal();
        world.run_for(Duration::from_secs(120));
        assert_eq!(world.counts.misbehaved, 0, "honest links were closed");
        let wrong = world.await_model(group, 3, Duration::from_secs(300));
        assert!(wrong.is_empty(), "{wrong:#?}");
    });
}
