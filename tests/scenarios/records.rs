//! Changing, deleting, expiring, and what is refused.
use crate::each_seed;
use bytes::Bytes;
use peergraph_core::error::{BadRecord, Error};
use peergraph_core::io::{Command, Draft, Event, Filter, GroupCommand, Reply};
use peergraph_core::limits::PAYLOAD_BYTES_DEFAULT_MAX;
use peergraph_core::record::{Attribute, Record, Value};
use peergraph_tests::story::{deletion, draft};
use std::time::Duration;

#[test]
fn latest_version_is_everywhere() {
    each_seed("latest_version_is_everywhere", 100, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo"]);
        let first = world.say_to(hosts[0], group, "draft", &hosts);
        let mut second = draft("final");
        second.id = Some(first.id);
        let changed = world.publish(hosts[0], group, second).expect("its creator may change it");
        assert!(changed.version > first.version);
        assert_eq!(changed.created, first.created);
        world.run_for(Duration::from_secs(10));
        for &host in &hosts {
            assert_eq!(world.texts(host, group), ["final"]);
        }
    });
}

#[test]
fn deleted_record_does_not_come_back_with_a_member_who_was_away() {
    let name = "deleted_record_does_not_come_back_with_a_member_who_was_away";
    each_seed(name, 100, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo"]);
        let record = world.say_to(hosts[0], group, "regretted", &hosts);
        world.crash(hosts[1]);
        let deleted = world.publish(hosts[0], group, deletion(&record));
        assert!(deleted.is_ok_and(|deleted| deleted.deleted));
        world.run_for(Duration::from_secs(5));
        world.start(hosts[1]);
        world.point(hosts[1], hosts[2]);
        let told = world.run_until(Duration::from_secs(120), |world| {
            world.has_seen_deletion(hosts[1], record.id)
        });
        assert!(told, "who was away learns of the deletion");
        world.run_for(Duration::from_secs(30));
        for &host in &hosts {
            assert!(world.texts(host, group).is_empty(), "host {host}");
        }
    });
}

#[test]
fn expired_record_is_gone_everywhere_and_from_every_disk() {
    each_seed("expired_record_is_gone_everywhere_and_from_every_disk", 50, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let short = Draft { expires_in: Some(Duration::from_secs(60)), ..draft("soon gone") };
        let record = world.publish(hosts[0], group, short).expect("a minute is a lifetime");
        world.await_record(&hosts[1..], record.id);
        world.say_to(hosts[1], group, "stays", &hosts);
        assert!(hosts.iter().all(|&host| world.host(host).disk.holds(b"soon gone")));
        world.run_for(Duration::from_secs(120));
        for &host in &hosts {
            assert_eq!(world.texts(host, group), ["stays"]);
            let gone =
                |event: &Event| matches!(event, Event::Expired { id, .. } if *id == record.id);
            assert!(world.has_event(host, gone), "host {host} tells its application");
            assert!(!world.host(host).disk.holds(b"soon gone"), "host {host} keeps it on disk");
        }
    });
}

#[test]
fn only_its_creator_changes_or_deletes_a_record() {
    each_seed("only_its_creator_changes_or_deletes_a_record", 20, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let record = world.say_to(hosts[0], group, "mine", &hosts);
        let answer = world.publish(hosts[1], group, deletion(&record));
        assert_eq!(answer, Err(Error::NotYourRecord));
        let taken = Draft { id: Some(record.id), ..draft("yours") };
        assert_eq!(world.publish(hosts[1], group, taken), Err(Error::NotYourRecord));
        assert_eq!(world.texts(hosts[1], group), ["mine"]);
    });
}

#[test]
fn change_of_a_version_that_no_longer_stands_is_refused() {
    each_seed("change_of_a_version_that_no_longer_stands_is_refused", 20, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let first = world.say(ada, group, "one");
        let change = |of: &Record, text: &str| Draft {
            id: Some(of.id),
            if_version: Some(of.version),
            ..draft(text.to_owned())
        };
        let second = world.publish(ada, group, change(&first, "two")).expect("it stands");
        for late in [change(&first, "three"), Draft { id: None, ..change(&second, "new") }] {
            assert_eq!(world.publish(ada, group, late), Err(Error::ChangedMeanwhile));
        }
        let late = Draft { if_version: Some(first.version), ..deletion(&second) };
        assert_eq!(world.publish(ada, group, late), Err(Error::ChangedMeanwhile));
        assert_eq!(world.texts(ada, group), ["two"]);
        let deleted = Draft { if_version: Some(second.version), ..deletion(&second) };
        assert!(world.publish(ada, group, deleted).is_ok());
    });
}

#[test]
fn record_of_a_nonce_is_published_once() {
    each_seed("record_of_a_nonce_is_published_once", 20, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let [ada, bob] = hosts[..] else { unreachable!("two") };
        let named = |text: &str| Draft { nonce: Some(7), ..draft(text.to_owned()) };
        let first = world.publish(ada, group, named("once")).expect("it is new");
        // It does not know whether the answer was lost, even over a restart.
        world.crash(ada);
        world.start(ada);
        let again = world.publish(ada, group, named("once")).expect("it stands");
        assert_eq!((again.id, again.created), (first.id, first.created));
        assert!(again.version > first.version);
        let theirs = world.publish(bob, group, named("of bob")).expect("another member's");
        assert_ne!(theirs.id, first.id);
        world.run_for(Duration::from_secs(600));
        for &host in &hosts {
            assert_eq!(world.texts(host, group), ["of bob", "once"]);
        }
        world.publish(ada, group, deletion(&again)).expect("it stands");
        assert_eq!(world.publish(ada, group, named("once")), Err(Error::UnknownRecord));
    });
}

#[test]
fn records_are_read_newest_first_page_by_page() {
    each_seed("records_are_read_newest_first_page_by_page", 5, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        for number in 0..25 {
            world.say(ada, group, &format!("{number:02}"));
        }
        let (mut texts, mut after) = (Vec::new(), None);
        loop {
            let filter = Filter { after, newest_first: true, limit: 10, ..Filter::default() };
            let Ok(Reply::Records { records, next }) =
                world.ask(ada, Command::Group(group, GroupCommand::Records { filter }))
            else {
                panic!("no page")
            };
            assert!(records.len() <= 10);
            texts.extend(records.into_iter().map(|record| record.payload));
            after = next;
            if after.is_none() {
                break;
            }
        }
        let expected: Vec<String> = (0..25).rev().map(|number| format!("{number:02}")).collect();
        assert_eq!(texts, expected);
    });
}

#[test]
fn bad_drafts_are_refused_with_the_reason() {
    each_seed("bad_drafts_are_refused_with_the_reason", 5, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let long = draft(vec![0; PAYLOAD_BYTES_DEFAULT_MAX + 1]);
        let attribute = |name: &str| Attribute { name: name.to_owned(), value: Value::Integer(1) };
        let named = Draft { attributes: vec![attribute("not a name")], ..draft("x") };
        let many = Draft { attributes: vec![attribute("n"); 65], ..draft("x") };
        for (draft, fault) in [
            (long, BadRecord::PayloadTooLong),
            (named, BadRecord::AttributeName),
            (many, BadRecord::TooManyAttributes),
        ] {
            assert_eq!(world.publish(ada, group, draft), Err(Error::BadRecord(fault)));
        }
        let nowhere = Draft { id: Some(Default::default()), delete: true, ..draft(Bytes::new()) };
        assert_eq!(world.publish(ada, group, nowhere), Err(Error::UnknownRecord));
        assert!(world.texts(ada, group).is_empty());
        let elsewhere = peergraph_core::id::GroupId::default();
        assert_eq!(world.publish(ada, elsewhere, draft("x")), Err(Error::UnknownGroup));
    });
}

#[test]
fn large_record_arrives_whole_over_slow_links() {
    each_seed("large_record_arrives_whole_over_slow_links", 20, |world| {
        world.network.rate = 500_000;
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo"]);
        let payload: Vec<u8> =
            (0..PAYLOAD_BYTES_DEFAULT_MAX).map(|i| ((i * 31) >> 3) as u8).collect();
        let record = world.publish(hosts[0], group, draft(payload.clone())).expect("it fits");
        world.say_to(hosts[0], group, "after it", &hosts);
        world.await_record(&hosts[1..], record.id);
        for &host in &hosts {
            let found = world.records(host, group);
            assert!(found.iter().any(|record| record.payload == payload), "host {host}");
        }
    });
}
