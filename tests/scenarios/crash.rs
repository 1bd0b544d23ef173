//! Nodes die, disks fill up: nothing acknowledged is lost.
use crate::each_seed;
use peergraph_core::cert::Role;
use peergraph_core::error::Error;
use peergraph_core::id::RecordId;
use peergraph_core::io::{Command, Event, GroupCommand, Reply, StoreFault, SyncPhase};
use peergraph_tests::story::draft;
use peergraph_tests::{HostId, World};
use std::collections::BTreeSet;
use std::time::Duration;

#[test]
fn record_acknowledged_before_a_crash_survives_and_spreads() {
    each_seed("record_acknowledged_before_a_crash_survives_and_spreads", 200, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        world.host(hosts[1]).disk.write_delay = (1_000, 200_000);
        let mut asked = Vec::new();
        for number in 0..20 {
            let draft = draft(format!("{number}"));
            asked.push(
                world.command(hosts[1], Command::Group(group, GroupCommand::Publish { draft })),
            );
            let pause = world.chance.within(0..60);
            world.run_for(Duration::from_millis(pause));
        }
        let mut acknowledged = BTreeSet::new();
        for request in asked {
            match world.answer(hosts[1], request) {
                Some(Ok(Reply::Record(record))) => drop(acknowledged.insert(record.id)),
                None => {}
                other => panic!("publish answered {other:?}"),
            }
        }
        world.crash(hosts[1]);
        world.run_for(Duration::from_secs(5));
        world.start(hosts[1]);
        world.await_opened(hosts[1]);
        let held: BTreeSet<_> = world.records(hosts[1], group).iter().map(|r| r.id).collect();
        assert!(acknowledged.is_subset(&held), "{acknowledged:?} are not all in {held:?}");
        world.await_synced(hosts[1]);
        world.run_for(Duration::from_secs(30));
        assert_eq!(world.records(hosts[0], group), world.records(hosts[1], group));
    });
}

#[test]
fn node_that_dies_at_any_moment_of_a_join_can_join_again() {
    each_seed("node_that_dies_at_any_moment_of_a_join_can_join_again", 200, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        world.say(ada, group, "hello");
        let bob = world.native("bob");
        world.host(bob).disk.write_delay = (1_000, 100_000);
        let invitation = world.invite_bearer(ada, group, 1, Duration::from_secs(3600));
        let request =
            world.command(bob, Command::Join { invitation: invitation.clone(), password: None });
        let moment = world.chance.within(0..2_000);
        world.run_for(Duration::from_millis(moment));
        let joined = world.answer(bob, request);
        let stored = world.has_event(bob, |event| matches!(event, Event::Group(_)));
        world.crash(bob);
        world.run_for(Duration::from_secs(1));
        world.start(bob);
        world.await_opened(bob);
        let groups = world.ask(bob, Command::Groups);
        let Ok(Reply::Groups(groups)) = groups else { panic!("groups answered {groups:?}") };
        if stored {
            assert_eq!(groups.len(), 1, "a membership that was told as stored is kept");
        }
        assert_eq!(world.join(bob, invitation), Ok(group), "the same identity may ask again");
        if let Some(Ok(Reply::Group(before))) = joined {
            let groups = world.ask(bob, Command::Groups);
            let Ok(Reply::Groups(after)) = groups else { panic!("groups answered {groups:?}") };
            assert_eq!(after[0].expires, before.expires, "it is the membership of before");
        }
        world.await_synced(bob);
        world.run_for(Duration::from_secs(5));
        assert_eq!(world.texts(bob, group), ["hello"]);
    });
}

#[test]
fn full_disk_is_an_error_and_loses_nothing() {
    each_seed("full_disk_is_an_error_and_loses_nothing", 50, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        world.say_to(hosts[0], group, "early", &hosts);
        let used = world.host(hosts[0]).disk.bytes();
        world.host(hosts[0]).disk.quota = Some(used + 100);
        let answer = world.publish(hosts[0], group, draft("x".repeat(5_000)));
        assert_eq!(answer, Err(Error::Store(StoreFault::QuotaExceeded)));
        // From here on what is published waits for the disk, and is nowhere when that refuses.
        let answer = world.publish(hosts[0], group, draft("y".repeat(5_000)));
        assert_eq!(answer, Err(Error::Store(StoreFault::QuotaExceeded)));
        world.run_for(Duration::from_secs(10));
        assert_eq!(world.texts(hosts[0], group), ["early"], "it is not here");
        let there = world.texts(hosts[1], group);
        assert_eq!(there, ["early".to_owned(), "x".repeat(5_000)], "the first was ahead");
        world.host(hosts[0]).disk.quota = None;
        world.say_to(hosts[0], group, "later", &hosts);
        world.crash(hosts[0]);
        world.start(hosts[0]);
        world.await_opened(hosts[0]);
        assert_eq!(world.texts(hosts[0], group), ["early", "later"]);
    });
}

#[test]
fn record_that_does_not_fit_is_told_and_comes_again_when_there_is_room() {
    let name = "record_that_does_not_fit_is_told_and_comes_again_when_there_is_room";
    each_seed(name, 50, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        world.run_for(Duration::from_secs(30));
        let used = world.host(hosts[1]).disk.bytes();
        world.host(hosts[1]).disk.quota = Some(used + 1_000);
        let record =
            world.publish(hosts[0], group, draft("x".repeat(5_000))).expect("ada has room");
        let full = |event: &Event| {
            matches!(event, Event::StoreFailed { fault: StoreFault::QuotaExceeded })
        };
        let told =
            world.run_until(Duration::from_secs(10), |world| world.has_event(hosts[1], full));
        assert!(told, "the application learns that the disk is full");
        let held = |event: &Event| matches!(event, Event::Status { id, held_by, .. } if *id == record.id && *held_by > 0);
        world.run_for(Duration::from_secs(5));
        assert!(!world.has_event(hosts[0], held), "what is not durable is not acknowledged");
        world.host(hosts[1]).disk.quota = None;
        world.cut_between(hosts[0], hosts[1]);
        world.run_until(Duration::from_secs(180), |world| world.has_seen(hosts[1], record.id));
        assert!(world.has_seen(hosts[1], record.id), "a later sync brings it");
    });
}

/// Goal: "held by" counts nobody whose disk refused a record, however the stores were compared.
/// Method: while two are apart each publishes some; one disk is full when they meet. The records
/// that fit are counted, the rest once there is room.
#[test]
fn status_counts_nobody_whose_disk_is_full() {
    each_seed("status_counts_nobody_whose_disk_is_full", 60, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let (ada, bob) = (hosts[0], hosts[1]);
        world.run_for(Duration::from_secs(30));
        world.partition(vec![0, 1]);
        let (by_ada, by_bob) =
            (*world.chance.of(&[1, 5, 40, 300]), *world.chance.of(&[0, 1, 20, 200]));
        let publish = |world: &mut World, host: HostId, count: u64| -> Vec<RecordId> {
            (0..count).map(|nth| world.say(host, group, &format!("{host} {nth}")).id).collect()
        };
        let missed = publish(world, ada, by_ada);
        publish(world, bob, by_bob);
        let room = if world.chance.with(0.5) { 0 } else { 3_000 };
        let used = world.hosts()[bob].disk.bytes();
        world.host(bob).disk.quota = Some(used + room);
        world.run_for(Duration::from_secs(60));
        world.heal();
        let told = world.hosts()[ada].events.len();
        let complete = |world: &World| {
            let mut since = world.hosts()[ada].events[told..].iter();
            since.any(|(_, e)| matches!(e, Event::Sync { phase: SyncPhase::Complete, .. }))
        };
        assert!(world.run_until(Duration::from_secs(180), complete), "the sync ends all the same");
        for _ in 0..12 {
            world.run_for(Duration::from_secs(5));
            let there: BTreeSet<RecordId> = on_disk(world, bob);
            let wrong = held(world, ada).difference(&there).count();
            assert_eq!(wrong, 0, "of {by_ada} and {by_bob} with room for {room} bytes");
        }
        world.host(bob).disk.quota = None;
        let all = |world: &World| missed.iter().all(|id| held(world, ada).contains(id));
        assert!(
            world.run_until_every(100, Duration::from_secs(300), all),
            "with room all are held"
        );
    });
}

/// Goal: what others hold is told again after a restart. Method: ada publishes with bob there and without him, and starts
/// anew; the first sync tells of the one record, and its gifts of the other.
#[test]
fn status_is_told_again_after_a_restart() {
    each_seed("status_is_told_again_after_a_restart", 40, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let (ada, bob) = (hosts[0], hosts[1]);
        world.run_for(Duration::from_secs(30));
        let both = world.say_to(ada, group, "both have it", &hosts);
        let others = world.say_to(bob, group, "not by ada", &hosts);
        world.partition(vec![0, 1]);
        let alone = world.say(ada, group, "only ada has it");
        world.crash(ada);
        world.start(ada);
        world.await_opened(ada);
        let told = world.hosts()[ada].events.len();
        world.run_for(Duration::from_secs(20));
        assert_eq!(held_since(world, ada, told), BTreeSet::new(), "nobody is there");
        world.heal();
        let complete = |world: &World| {
            let mut since = world.hosts()[ada].events[told..].iter();
            since.any(|(_, e)| matches!(e, Event::Sync { phase: SyncPhase::Complete, .. }))
        };
        assert!(world.run_until(Duration::from_secs(180), complete), "they meet");
        assert!(held_since(world, ada, told).contains(&both.id), "with the end of the sync");
        world.run_for(Duration::from_secs(10));
        let held = held_since(world, ada, told);
        assert!(held.contains(&alone.id), "once bob has it");
        assert!(!held.contains(&others.id), "of records of others nothing is told");
    });
}

/// The records that others hold, as `host` was told.
fn held(world: &World, host: HostId) -> BTreeSet<RecordId> {
    held_since(world, host, 0)
}

/// The same of what it was told after so many events.
fn held_since(world: &World, host: HostId, told: usize) -> BTreeSet<RecordId> {
    let held = world.hosts()[host].events[told..].iter().filter_map(|(_, event)| match event {
        Event::Status { id, held_by, .. } if *held_by > 0 => Some(*id),
        _ => None,
    });
    held.collect()
}

/// The records on a disk.
fn on_disk(world: &World, host: HostId) -> BTreeSet<RecordId> {
    let keys = world.hosts()[host].disk.iter().map(|(key, _)| key);
    keys.filter_map(|key| Some(RecordId::from_bytes(*key.last_chunk()?))).collect()
}

#[test]
fn disk_that_cannot_be_written_is_an_error() {
    each_seed("disk_that_cannot_be_written_is_an_error", 10, |world| {
        let ada = world.native("ada");
        for fault in [StoreFault::ReadOnly, StoreFault::Broken] {
            world.host(ada).disk.fault = Some(fault);
            let answer = world.ask(
                ada,
                Command::CreateGroup {
                    name: "talk".to_owned(),
                    policy: peergraph_core::policy::Policy::default(),
                },
            );
            assert_eq!(answer.err(), Some(Error::Store(fault)));
        }
        world.host(ada).disk.fault = None;
        let group = world.create_group(ada, "talk");
        world.host(ada).disk.fault = Some(StoreFault::ReadOnly);
        let answer = world.publish(ada, group, draft("x"));
        assert_eq!(answer, Err(Error::Store(StoreFault::ReadOnly)));
        assert!(world.texts(ada, group).is_empty());
    });
}

/// Goal: a membership that is stored was told, and one that was told is stored, whichever write it was. Method: the disk
/// refuses while somebody joins, and takes writes again at any moment.
#[test]
fn membership_that_a_disk_refused_is_told_when_it_is_stored() {
    each_seed("membership_that_a_disk_refused_is_told_when_it_is_stored", 50, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let bob = world.native("bob");
        world.await_opened(bob);
        let invitation = world.invite_bearer(ada, group, 1, Duration::from_secs(3600));
        world.host(bob).disk.fault = Some(StoreFault::ReadOnly);
        assert_eq!(world.join(bob, invitation), Ok(group), "the disk is not waited for");
        let moment = world.chance.within(0..10_000);
        world.run_for(Duration::from_millis(moment));
        let told = |event: &Event| matches!(event, Event::Group(_));
        assert!(!world.has_event(bob, told), "nothing is stored");
        world.host(bob).disk.fault = None;
        let later = world.chance.within(0..120_000);
        world.run_for(Duration::from_millis(later));
        let told = world.has_event(bob, told);
        assert!(told || later < 40_000, "it is written again");
        world.crash(bob);
        world.start(bob);
        world.await_opened(bob);
        let groups = world.ask(bob, Command::Groups);
        let Ok(Reply::Groups(groups)) = groups else { panic!("groups answered {groups:?}") };
        assert_eq!(!groups.is_empty(), told, "what is stored was told");
    });
}

#[test]
fn everything_is_there_after_everybody_was_killed() {
    each_seed("everything_is_there_after_everybody_was_killed", 50, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo"]);
        for (number, &host) in hosts.iter().enumerate() {
            world.say_to(host, group, &format!("{number}"), &hosts);
        }
        for &host in &hosts {
            world.crash(host);
        }
        world.run_for(Duration::from_secs(60));
        for &host in &hosts {
            world.start(host);
        }
        for &host in &hosts {
            world.await_synced(host);
            assert_eq!(world.texts(host, group), ["0", "1", "2"]);
        }
        world.say_to(hosts[2], group, "again", &hosts);
    });
}

/// Goal: a program that ends as soon as it has met somebody knows at its next start where that one is. Method: Ada cannot
/// be dialled, and is told once where Bob is.
#[test]
fn member_that_closes_right_after_a_meeting_finds_back() {
    each_seed("member_that_closes_right_after_a_meeting_finds_back", 50, |world| {
        let (ada, bob) = (world.browser("ada"), world.native("bob"));
        let group = world.create_group(ada, "talk");
        let invitation = world.invite_bound(ada, group, bob, Role::Member);
        assert_eq!(world.join(bob, invitation), Ok(group));
        world.point(ada, bob);
        let met = |world: &World| world.hosts()[ada].neighbours > 0;
        assert!(world.run_until(Duration::from_secs(60), met), "they never met");
        world.stop(ada);
        world.start(ada);
        world.await_opened(ada);
        assert!(world.run_until(Duration::from_secs(60), met), "they met once only");
    });
}
