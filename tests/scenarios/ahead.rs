//! Records travel and are shown before the disk has answered; nothing is acknowledged before.
use crate::each_seed;
use peergraph_core::error::Error;
use peergraph_core::id::{GroupId, RecordId};
use peergraph_core::io::{Command, Draft, Event, GroupCommand, Reply, StoreFault};
use peergraph_core::limits;
use peergraph_core::record::Record;
use peergraph_tests::story::{deletion, draft};
use peergraph_tests::{HostId, World};
use std::collections::BTreeSet;
use std::time::Duration;

/// Whether the disk of `host` holds a record.
fn on_disk(world: &World, host: HostId, id: RecordId) -> bool {
    let mut keys = world.hosts()[host].disk.iter();
    keys.any(|(key, _)| key.last_chunk() == Some(id.as_bytes()))
}

/// How many neighbours hold a record, as its publisher was told.
fn held_by(world: &World, host: HostId, id: RecordId) -> u32 {
    let told = world.hosts()[host].events.iter().rev().find_map(|(_, event)| match event {
        Event::Status { id: of, held_by, .. } if *of == id => Some(*held_by),
        _ => None,
    });
    told.unwrap_or(0)
}

fn shown(world: &World, host: HostId, text: &str) -> Option<Record> {
    world.hosts()[host].events.iter().find_map(|(_, event)| match event {
        Event::Record { record, .. } if record.payload == text.as_bytes() => {
            Some((**record).clone())
        }
        _ => None,
    })
}

fn is_withdrawn(world: &World, host: HostId, id: RecordId) -> bool {
    world.has_event(host, |event| matches!(event, Event::Withdrawn { id: gone, .. } if *gone == id))
}

/// Goal: a hop costs no disk, and what is told about it stays true. Method: all disks take a
/// second; a record crosses the graph in less, and at every step every node that counts as a holder
/// has it on disk.
#[test]
fn record_is_shown_before_and_acknowledged_after_the_disk() {
    each_seed("record_is_shown_before_and_acknowledged_after_the_disk", 50, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo", "dan"]);
        world.run_for(Duration::from_secs(10));
        for &host in &hosts {
            world.host(host).disk.write_delay = (1_000_000, 2_000_000);
        }
        let draft = draft("now");
        let request =
            world.command(hosts[0], Command::Group(group, GroupCommand::Publish { draft }));
        let all = |world: &World| hosts.iter().all(|&host| shown(world, host, "now").is_some());
        assert!(world.run_until(Duration::from_millis(900), all), "no disk is waited for");
        let record = shown(world, hosts[0], "now").expect("it is shown to its publisher too");
        assert!(!world.is_answered(hosts[0], request), "publishing ends on the disk");
        for &host in &hosts {
            assert!(!world.has_stored(host, record.id) && !on_disk(world, host, record.id));
        }
        assert_eq!(held_by(world, hosts[0], record.id), 0);
        let told = |world: &World| {
            let holders = hosts[1..].iter().filter(|&&host| on_disk(world, host, record.id));
            let (held, holders) = (held_by(world, hosts[0], record.id), holders.count());
            assert!(held as usize <= holders, "{held} are counted, {holders} hold it");
            for &host in &hosts {
                let (stored, there) =
                    (world.has_stored(host, record.id), on_disk(world, host, record.id));
                assert!(!stored || there, "host {host} calls it stored");
            }
            let own = on_disk(world, hosts[0], record.id);
            assert!(own || held == 0, "no neighbour is counted before the publisher has it");
            assert!(own || !world.is_answered(hosts[0], request));
            hosts.iter().all(|&host| world.has_stored(host, record.id)) && held > 0
        };
        assert!(world.run_until(Duration::from_secs(10), told), "all of it is told in the end");
        assert!(matches!(world.answer(hosts[0], request), Some(Ok(Reply::Record(_)))));
    });
}

/// A change of a record to this text.
fn change(record: &Record, text: &str) -> Draft {
    Draft { id: Some(record.id), ..draft(text.to_owned()) }
}

/// Goal: a publisher that dies between sending and writing loses nothing that others have, and
/// signs no two contents under one version. Method: it dies at any step of a publication, a change
/// or a deletion; its clock may be set back meanwhile; it changes the record again.
#[test]
fn publisher_that_dies_at_any_step_uses_no_version_twice() {
    let name = "publisher_that_dies_at_any_step_uses_no_version_twice";
    each_seed(name, 200, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo"]);
        let ada = hosts[0];
        let record = world.say_to(ada, group, "first", &hosts);
        world.run_for(Duration::from_secs(5));
        world.host(ada).disk.write_delay = (1_000, 100_000);
        let what = match world.chance.within(0..3) {
            0 => change(&record, "changed"),
            1 => deletion(&record),
            _ => draft("second"),
        };
        let request =
            world.command(ada, Command::Group(group, GroupCommand::Publish { draft: what }));
        let mut steps = world.chance.within(0..60);
        world.run_until(Duration::from_secs(1), |_| {
            steps = steps.saturating_sub(1);
            steps == 0
        });
        let answered = world.answer(ada, request);
        world.crash(ada);
        let back = *world.chance.of(&[0, 1, 20, 100, 5_000]);
        world.host(ada).clock.offset_ms -= back;
        let pause = world.chance.within(0..200);
        world.run_for(Duration::from_millis(pause));
        world.host(ada).disk.write_delay = (500, 3_000);
        world.start(ada);
        world.await_opened(ada);
        if let Some(Ok(Reply::Record(told))) = answered {
            assert!(on_disk(world, ada, told.id), "what was answered is there");
        }
        // It may be deleted by now.
        let again = world.publish(ada, group, change(&record, "again"));
        assert!(matches!(again, Ok(_) | Err(Error::UnknownRecord)), "{again:?}");
        world.say(ada, group, "last");
        let seen = |world: &World| hosts.iter().all(|&host| shown(world, host, "last").is_some());
        assert!(world.run_until_every(10, Duration::from_secs(120), seen));
        world.run_for(Duration::from_secs(150));
        let held = world.records(ada, group);
        for &host in &hosts {
            assert_eq!(world.records(host, group), held, "host {host}");
            let conflict = |event: &Event| matches!(event, Event::Conflict { .. });
            assert!(!world.has_event(host, conflict), "a version has one content");
        }
    });
}

/// Goal: a disk that refuses a record which is under way leaves nothing half done. Method: its
/// publisher's disk is full; others have the record; once there is room it comes back by itself.
#[test]
fn record_that_the_publishers_disk_refuses_comes_back_by_sync() {
    each_seed("record_that_the_publishers_disk_refuses_comes_back_by_sync", 50, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo"]);
        let ada = hosts[0];
        let first = world.say_to(ada, group, "first", &hosts);
        world.run_for(Duration::from_secs(10));
        let fault = *world.chance.of(&[
            StoreFault::QuotaExceeded,
            StoreFault::ReadOnly,
            StoreFault::Broken,
        ]);
        world.host(ada).disk.fault = Some(fault);
        let answer = world.publish(ada, group, change(&first, "second"));
        assert_eq!(answer, Err(Error::Store(fault)));
        let second = shown(world, ada, "second").expect("it went ahead");
        assert!(is_withdrawn(world, ada, first.id), "the application learns that it is taken back");
        world.run_for(Duration::from_secs(5));
        assert_eq!(world.texts(ada, group), ["first"], "what the disk holds stands again");
        assert_eq!(world.texts(hosts[1], group), ["second"], "who has it keeps it");
        assert!(!world.has_event(ada, |event| {
            matches!(event, Event::Stored { records, .. } if records.contains(&(second.id, second.version)))
        }));
        // Changes that are tried meanwhile go nowhere, and never under the version that went out.
        for text in ["third", "fourth"] {
            assert!(world.publish(ada, group, change(&first, text)).is_err());
            assert!(shown(world, ada, text).is_none() && shown(world, hosts[1], text).is_none());
        }
        world.host(ada).disk.fault = None;
        let is_back = |world: &World| world.hosts()[ada].disk.holds(b"second");
        assert!(world.run_until_every(10, Duration::from_secs(300), is_back), "a sync brings it");
        let fifth = world.publish(ada, group, change(&first, "fifth")).expect("there is room");
        assert!(fifth.version > second.version);
        world.await_record(&hosts[1..], fifth.id);
        world.run_for(Duration::from_secs(10));
        for &host in &hosts {
            assert_eq!(world.texts(host, group), ["fifth"]);
            assert!(!world.has_event(host, |event| matches!(event, Event::Conflict { .. })));
        }
    });
}

/// Payload of records that fill what may go ahead.
const BYTES: usize = 200_000;

/// Goal: what is not durable is bounded, and what is over it is late and not lost. Method: a disk
/// that takes no write for a while, and more records than may go ahead of it.
#[test]
fn beyond_the_bound_records_wait_for_the_disk() {
    each_seed("beyond_the_bound_records_wait_for_the_disk", 5, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        world.run_for(Duration::from_secs(10));
        world.host(hosts[1]).disk.write_delay = (30_000_000, 30_000_000);
        let count = 2 * limits::AHEAD_BYTES_MAX / BYTES;
        let payload = |n: usize| format!("{n:03}{}", ".".repeat(BYTES - 3));
        for number in 0..count {
            let draft = draft(payload(number));
            let _request =
                world.command(hosts[0], Command::Group(group, GroupCommand::Publish { draft }));
        }
        world.run_for(Duration::from_secs(20));
        let ahead = told(world, hosts[1], group);
        let bytes = ahead.len() * BYTES;
        assert!(bytes <= limits::AHEAD_BYTES_MAX, "{bytes} bytes are shown and not durable");
        assert!(bytes > limits::AHEAD_BYTES_MAX / 2, "only {bytes} are");
        let all = |world: &World| told(world, hosts[1], group).len() == count;
        assert!(world.run_until_every(10, Duration::from_secs(3_000), all), "all come");
        let shown = told(world, hosts[1], group);
        assert_eq!(shown.iter().collect::<BTreeSet<_>>().len(), count, "each once");
        world.host(hosts[1]).disk.write_delay = (500, 3_000);
        world.run_for(Duration::from_secs(3_000));
        assert_eq!(world.records(hosts[0], group), world.records(hosts[1], group));
    });
}

/// The records that the application at `host` was shown, in that order.
fn told(world: &World, host: HostId, group: GroupId) -> Vec<RecordId> {
    let events = world.hosts()[host].events.iter();
    let shown = events.filter_map(|(_, event)| match event {
        Event::Record { group: of, record } if *of == group => Some(record.id),
        _ => None,
    });
    shown.collect()
}
