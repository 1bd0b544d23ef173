//! Catching up: what is missing comes, and little else.
use crate::each_seed;
use peergraph_core::cert::Role;
use peergraph_core::id::GroupId;
use peergraph_core::io::{Command, Event, SyncPhase};
use peergraph_tests::host::rtc_address;
use peergraph_tests::liar::Act;
use peergraph_tests::scenario::{self, Setup};
use peergraph_tests::story::draft;
use peergraph_tests::{HostId, World};
use std::cell::Cell;
use std::time::Duration;

fn fill(world: &mut World, host: HostId, group: GroupId, count: usize) -> usize {
    let before = world.hosts()[host].disk.bytes();
    for number in 0..count {
        let text = format!("record {number} {}", ".".repeat(100));
        let answer = world.publish(host, group, draft(text));
        assert!(answer.is_ok(), "{answer:?}");
    }
    world.hosts()[host].disk.bytes() - before
}

#[test]
fn latecomer_gets_a_thousand_records_once() {
    each_seed("latecomer_gets_a_thousand_records_once", 10, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let stored = fill(world, hosts[0], group, 1_000) as u64;
        world.run_for(Duration::from_secs(30));
        let cleo = world.native("cleo");
        world.let_in(hosts[0], group, cleo, &[hosts[1]]);
        world.run_for(Duration::from_secs(30));
        assert_eq!(world.records(cleo, group), world.records(hosts[0], group));
        assert_eq!(world.records(cleo, group).len(), 1_000);
        let (sent, received) = world.hosts()[cleo].traffic;
        assert!(received < stored * 5 / 4, "{received} bytes for {stored} bytes of records");
        assert!(sent < stored / 2, "{sent} bytes sent for {stored} bytes of records");
        let complete = |e: &Event| matches!(e, Event::Sync { phase: SyncPhase::Complete, .. });
        assert!(world.has_event(cleo, complete));
    });
}

/// Goal: a host with one thread takes a long message in parts, and nothing that comes meanwhile overtakes one. Method: a
/// newcomer in a browser wakes late, and publishes while it gets a thousand records; when its sync is complete, it has all.
#[test]
fn browser_takes_long_messages_in_parts() {
    each_seed("browser_takes_long_messages_in_parts", 10, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        fill(world, hosts[0], group, 1_000);
        world.run_for(Duration::from_secs(30));
        let cleo = world.browser("cleo");
        world.host(cleo).clock.late_max = 20_000;
        let mut invitation = world.invite_bound(hosts[0], group, cleo, Role::Member);
        invitation.addresses = vec![rtc_address(hosts[1])];
        assert_eq!(world.join(cleo, invitation), Ok(group));
        let complete = |e: &Event| matches!(e, Event::Sync { phase: SyncPhase::Complete, .. });
        let mut said = 0;
        while !world.has_event(cleo, complete) {
            world.say(cleo, group, &format!("cleo {said}"));
            said += 1;
            world.run_for(Duration::from_millis(5));
        }
        assert_eq!(world.records(cleo, group).len(), 1_000 + said);
        world.run_for(Duration::from_secs(20));
        assert_eq!(world.records(hosts[0], group), world.records(cleo, group));
        let parts = world.hosts()[cleo].parts;
        assert!(parts > 0, "nothing was taken in parts");
        assert_eq!(world.hosts()[hosts[1]].parts, 0, "a native host takes all in one go");
    });
}

#[test]
fn who_was_away_gets_what_it_missed_and_little_else() {
    each_seed("who_was_away_gets_what_it_missed_and_little_else", 10, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        fill(world, hosts[0], group, 1_000);
        world.run_for(Duration::from_secs(30));
        world.stop(hosts[1]);
        let missed = fill(world, hosts[0], group, 50) as u64;
        let (sent, received) = world.hosts()[hosts[1]].traffic;
        world.start(hosts[1]);
        world.await_synced(hosts[1]);
        world.run_for(Duration::from_secs(10));
        assert_eq!(world.records(hosts[1], group), world.records(hosts[0], group));
        let traffic = world.hosts()[hosts[1]].traffic;
        let (sent, received) = (traffic.0 - sent, traffic.1 - received);
        assert!(received < missed * 5 / 4 + 10_000, "{received} bytes for {missed} missed");
        assert!(sent < 20_000, "{sent} bytes sent");
    });
}

#[test]
fn both_sides_of_a_split_end_with_the_union() {
    each_seed("both_sides_of_a_split_end_with_the_union", 50, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo", "dan"]);
        world.run_for(Duration::from_secs(30));
        world.partition(vec![0, 1, 0, 1]);
        for (number, &host) in hosts.iter().enumerate() {
            world.say(host, group, &format!("side {number}"));
        }
        world.run_for(Duration::from_secs(60));
        assert!(world.texts(hosts[0], group).len() < 4, "nothing crosses the split");
        world.heal();
        let healed = |world: &World, host: HostId| world.hosts()[host].neighbours;
        world.run_until(Duration::from_secs(180), |world| {
            hosts.iter().all(|&h| healed(world, h) >= 2)
        });
        world.run_for(Duration::from_secs(60));
        for &host in &hosts {
            assert_eq!(world.texts(host, group), ["side 0", "side 1", "side 2", "side 3"]);
        }
    });
}

/// Goal: what arrived before a link was lost stays. Method: the network splits when a third of the records has come.
#[test]
fn sync_that_is_cut_off_goes_on_with_what_is_left() {
    each_seed("sync_that_is_cut_off_goes_on_with_what_is_left", 10, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let bob = hosts[1];
        world.run_for(Duration::from_secs(30));
        world.stop(bob);
        let missed = fill(world, hosts[0], group, 1_000) as u64;
        let entries = |world: &World| world.hosts()[bob].disk.entries();
        let (had, before) = (entries(world), world.hosts()[bob].traffic.1);
        world.start(bob);
        let partly = |world: &World| entries(world) > had + 300;
        assert!(world.run_until_every(1, Duration::from_secs(60), partly));
        world.partition(vec![0, 1]);
        world.run_for(Duration::from_secs(90));
        assert!(entries(world) < had + 900, "{} of 1,000 came", entries(world) - had);
        world.heal();
        world.run_until(Duration::from_secs(180), |world| entries(world) >= had + 1_000);
        world.run_for(Duration::from_secs(30));
        assert_eq!(world.records(bob, group), world.records(hosts[0], group));
        let received = world.hosts()[bob].traffic.1 - before;
        assert!(received < missed * 3 / 2 + 20_000, "{received} bytes for {missed} missed");
    });
}

/// Goal: what a neighbour says of a sync reaches the application as often as it means something.
/// Method: as Bob catches up, Ada says again and again that she gave what he wants first. If she
/// says it between the frames of one message, it costs the link instead.
#[test]
fn promise_that_is_repeated_is_told_once() {
    let heard = Cell::new(0);
    each_seed("promise_that_is_repeated_is_told_once", 10, |world| {
        let (ada, bob) = (world.native("ada"), world.native("bob"));
        let group = world.create_group(ada, "talk");
        fill(world, ada, group, 1_000);
        let mut invitation = world.invite_bound(ada, group, bob, Role::Member);
        invitation.addresses = vec![rtc_address(ada)];
        world.command(bob, Command::Join { invitation, password: None });
        let next = |event: &Event| matches!(event, Event::Sync { phase: SyncPhase::Presence, .. });
        assert!(world.run_until(Duration::from_secs(60), |world| world.has_event(bob, next)));
        world.host(ada).liar = true;
        for _ in 0..100 {
            assert!(world.lie(ada, group, Act::Promise));
        }
        world.run_for(Duration::from_secs(60));
        let told = |(_, event): &&(u64, Event)| {
            matches!(event, Event::Sync { phase: SyncPhase::Prioritised, .. })
        };
        let told = world.hosts()[bob].events.iter().filter(told).count();
        assert!(told <= 1, "told {told} times");
        heard.set(heard.get() + told);
        assert_eq!(world.records(bob, group).len(), 1_000);
    });
    assert!(heard.get() > 0, "never heard");
}

#[test]
fn latecomer_gets_all_records_in_few_round_trips() {
    let latecomer = scenario::named("latecomer").expect("it is one of ours");
    for seed in 0..4 {
        let report = scenario::run(&Setup::new(latecomer, 8, seed, Some(60)));
        assert_eq!((report.missed, report.misbehaved), (0, 0), "seed {seed}");
        let measured = &report.measures;
        // It takes all that there is, once, and a comparison takes at least a question and an answer.
        assert!(measured["bytes_in"] > 60.0 * 120.0, "seed {seed}: {measured:?}");
        assert!((1.0..=10.0).contains(&measured["round_trips"]), "seed {seed}: {measured:?}");
        assert!((1.0..=30_000.0).contains(&measured["equal_ms"]), "seed {seed}: {measured:?}");
    }
}

/// Goal: a latecomer receives what it lacks once, though several neighbours have it. Method: bytes
/// of all its wires beside those of the records on its disk.
#[test]
fn latecomer_receives_what_it_needs_and_little_else() {
    let latecomer = scenario::named("latecomer").expect("it is one of ours");
    for seed in 0..8 {
        let report = scenario::run(&Setup::new(latecomer, 8, seed, Some(2_000)));
        assert_eq!((report.missed, report.misbehaved), (0, 0), "seed {seed}");
        let measured = &report.measures;
        let ratio = measured["bytes_in"] / measured["bytes_needed"];
        println!("seed {seed}: ratio {ratio:.3}, equal after {} ms", measured["equal_ms"]);
        assert!((0.9..=1.25).contains(&ratio), "seed {seed}: ratio {ratio:.3}, {measured:?}");
    }
}

/// Goal: a member that was away receives what it missed once, though it finds several neighbours
/// again, and loses some of them meanwhile. Method: one of six is away while records are published;
/// when it is back, links die.
#[test]
fn who_comes_back_receives_what_it_missed_once() {
    each_seed("who_comes_back_receives_what_it_missed_once", 20, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo", "dan", "eve", "fay"]);
        world.run_for(Duration::from_secs(60));
        let away = hosts[5];
        world.stop(away);
        let missed = fill(world, hosts[0], group, 4_000) as u64;
        world.run_for(Duration::from_secs(30));
        let (had, before) = (world.hosts()[away].disk.entries(), world.hosts()[away].traffic.1);
        world.start(away);
        let lose = world.chance.with(0.5);
        if lose {
            let some = |world: &World| world.hosts()[away].disk.entries() > had + 1_000;
            assert!(world.run_until_every(1, Duration::from_secs(60), some));
            // The neighbour that brings them is among these.
            for &other in &hosts[..3] {
                world.cut_between(other, away);
            }
        }
        let all = |world: &World| world.hosts()[away].disk.entries() >= had + 4_000;
        assert!(world.run_until_every(10, Duration::from_secs(60), all), "all came");
        world.run_for(Duration::from_secs(10));
        assert_eq!(world.records(away, group), world.records(hosts[0], group));
        let received = world.hosts()[away].traffic.1 - before;
        let ratio = received as f64 / missed as f64;
        println!("{} links lost: ratio {ratio:.3}", if lose { "some" } else { "no" });
        // Records that were on their way when a link died come again. Measured over 40 seeds: 0.88
        // at most.
        assert!(ratio < 1.1, "{received} bytes for {missed} missed, links lost: {lose}");
    });
}
