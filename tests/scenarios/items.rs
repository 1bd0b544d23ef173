//! Items of the reference's checklist that no other story tells, by their numbers.
use crate::each_seed;
use peergraph_core::io::{Command, Draft, Event, GroupCommand, Reply, StoreFault, SyncPhase};
use peergraph_core::node::Neighbours;
use peergraph_core::record::RecordType;
use peergraph_core::time::WallTime;
use peergraph_tests::story::draft;
use peergraph_tests::{HostId, Kind, World};
use std::collections::BTreeMap;
use std::time::Duration;

/// C37: a group is made, opened again from the store, and deleted. Joining it twice is joining it once.
#[test]
fn c37_groups_are_made_opened_and_deleted() {
    each_seed("c37_groups_are_made_opened_and_deleted", 10, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let [ada, bob] = hosts[..] else { panic!("two hosts") };
        let other = world.create_group(ada, "talk");
        assert_ne!(group, other, "each group has a key of its own");
        let serial = world.members(bob, group).into_iter().map(|member| member.certificate);
        let serials: Vec<_> = serial.collect();
        let invitation = world.invite_bearer(ada, group, 1, Duration::from_secs(600));
        assert_eq!(world.join(bob, invitation), Ok(group));
        let again = world.members(bob, group).into_iter().map(|member| member.certificate);
        assert!(again.eq(serials), "nothing changed");
        world.say_to(ada, group, "hello", &hosts);
        world.stop(bob);
        world.start(bob);
        world.await_synced(bob);
        assert_eq!(world.texts(bob, group), ["hello"]);
        world.ask(bob, Command::Leave { group }).expect("whoever is in may leave");
        let unknown = world.publish(bob, group, draft("from nowhere"));
        assert_eq!(unknown.err(), Some(peergraph_core::error::Error::UnknownGroup));
        world.run_for(Duration::from_secs(5));
        assert!(world.hosts()[bob].disk.records(group).is_empty(), "nothing of it is left");
        assert_eq!(world.texts(ada, group), ["hello"]);
    });
}

/// C50: a node that can be dialled only later tells its neighbours so over the links that are
/// there.
#[test]
fn c50_late_listener_tells_its_addresses_over_its_links() {
    each_seed("c50_late_listener_tells_its_addresses_over_its_links", 10, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo"]);
        let [ada, bob, cleo] = hosts[..] else { panic!("three hosts") };
        world.tell_addresses(cleo, Vec::new());
        let node = world.node_id(cleo);
        let told = |world: &mut World, host| {
            let nodes = world.nodes(host, group).into_iter();
            nodes.filter(|info| info.node == node).map(|info| info.addresses).next()
        };
        world.run_for(Duration::from_secs(600));
        let links = |world: &mut World| -> Vec<_> {
            world.links(cleo).into_iter().map(|link| link.link).collect()
        };
        let before = links(world);
        for host in [ada, bob] {
            assert_eq!(told(world, host), Some(Vec::new()));
        }
        let address = peergraph_tests::host::rtc_address(cleo);
        world.tell_addresses(cleo, vec![address.clone()]);
        world.run_for(Duration::from_secs(10));
        for host in [ada, bob] {
            assert_eq!(told(world, host), Some(vec![address.clone()]));
        }
        assert_eq!(links(world), before, "nobody connected anew");
    });
}

/// C41: two nodes have one link, however often they dial each other, and none to themselves.
#[test]
fn c41_two_nodes_keep_one_link_and_none_to_themselves() {
    each_seed("c41_two_nodes_keep_one_link_and_none_to_themselves", 30, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let [ada, bob] = hosts[..] else { panic!("two hosts") };
        for _ in 0..3 {
            world.point(ada, bob);
            world.point(bob, ada);
            world.point(ada, ada);
            let pause = world.chance.within(0..2_000);
            world.run_for(Duration::from_millis(pause));
        }
        world.run_for(Duration::from_secs(30));
        for host in [ada, bob] {
            let links = world.links(host);
            let graphs = links.iter().filter(|link| link.graphs.contains(&group)).count();
            assert_eq!(graphs, 1, "host {host}: {links:?}");
            assert_eq!(world.hosts()[host].neighbours, 1);
            let own = world.node_id(host);
            assert!(links.iter().all(|link| link.node != Some(own)), "host {host} met itself");
        }
        world.say_to(ada, group, "once", &hosts);
    });
}

/// C45 and C47: above the ideal one link goes in a round of maintenance, and no more.
#[test]
fn c45_one_link_above_the_ideal_goes_at_a_time() {
    each_seed("c45_one_link_above_the_ideal_goes_at_a_time", 5, |world| {
        let ada = world.add_stopped(Kind::Native, "ada");
        world.host(ada).wants = Neighbours::new(1, 3, 7).expect("a graph can be of these");
        world.start(ada);
        world.await_opened(ada);
        let group = world.create_group(ada, "talk");
        for name in ["bob", "cleo", "dan", "eve", "fay"] {
            let host = world.native(name);
            world.let_in(ada, group, host, &[ada]);
        }
        let mut before = world.hosts()[ada].neighbours;
        let mut dropped = 0;
        assert!(before > 3, "ada is the door of all");
        for _ in 0..200 {
            world.run_for(Duration::from_secs(5));
            let have = world.hosts()[ada].neighbours;
            assert!(have + 1 >= before, "{before} neighbours became {have} within 5 s");
            dropped += u32::from(have < before);
            before = have;
        }
        assert!(dropped > 0, "links above the ideal stay for ever");
    });
}

/// When the contact records on the disk of a host were modified.
fn contacts(world: &World, host: HostId, group: peergraph_core::id::GroupId) -> Vec<WallTime> {
    let records = world.hosts()[host].disk.records(group).into_iter();
    let contacts = records.filter(|record| record.kind.as_str() == RecordType::CONTACT);
    contacts.filter(|record| !record.deleted).map(|record| record.modified).collect()
}

/// C58: contacts say again how to reach them, when the signature changes and before their record ends.
#[test]
fn c58_contact_records_follow_the_signature_and_are_refreshed() {
    each_seed("c58_contact_records_follow_the_signature_and_are_refreshed", 10, |world| {
        let (group, mut hosts) = world.group_of(&["ada", "bob", "cleo", "dan"]);
        world.run_for(Duration::from_secs(400));
        hosts.sort_by_key(|&host| world.node_id(host));
        let (lowest, rest) = (hosts[0], &hosts[1..]);
        assert_eq!(
            contacts(world, rest[0], group).len(),
            4,
            "all are contacts of so small a graph"
        );
        let crashed = world.hosts()[rest[0]].clock.wall(world.time().as_micros() as u64);
        world.crash(lowest);
        world.run_for(Duration::from_secs(110));
        let newer = contacts(world, rest[0], group).into_iter().filter(|at| *at > crashed);
        assert_eq!(newer.count(), 3, "the three that are left say which signature they see");
        let later = world.hosts()[rest[0]].clock.wall(world.time().as_micros() as u64);
        world.run_for(Duration::from_secs(300));
        let refreshed = contacts(world, rest[0], group).into_iter().filter(|at| *at > later);
        assert_eq!(refreshed.count(), 3);
    });
}

/// C69: what is deleted here stays deleted here, across a restart, and with everybody else it stays.
#[test]
fn c69_record_that_is_deleted_here_stays_with_the_others() {
    each_seed("c69_record_that_is_deleted_here_stays_with_the_others", 10, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo"]);
        let [ada, bob, cleo] = hosts[..] else { panic!("three hosts") };
        let record = world.say_to(ada, group, "hello", &hosts);
        world.say_to(ada, group, "world", &hosts);
        let deleted =
            world.ask(bob, Command::Group(group, GroupCommand::DeleteHere { id: record.id }));
        assert!(matches!(deleted, Ok(Reply::Ok)), "{deleted:?}");
        assert_eq!(world.texts(bob, group), ["world"]);
        world.run_for(Duration::from_secs(300));
        world.stop(bob);
        world.start(bob);
        world.await_synced(bob);
        assert_eq!(world.texts(bob, group), ["world"], "after a restart and several syncs");
        for host in [ada, cleo] {
            assert_eq!(world.texts(host, group).len(), 2, "host {host}");
        }
        let change = Draft { id: Some(record.id), ..draft("hello again") };
        world.publish(ada, group, change).expect("it is ada's");
        world.run_for(Duration::from_secs(30));
        assert_eq!(world.texts(bob, group).len(), 2, "what is changed is shown");
    });
}

/// C78: a newcomer gets the types that it wants first before the rest, and is told when it has them.
#[test]
fn c78_newcomer_gets_the_types_that_it_wants_first() {
    each_seed("c78_newcomer_gets_the_types_that_it_wants_first", 5, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let kinds = ["plain", "second", "first"].map(|kind| RecordType::new(kind).expect("a name"));
        for number in 0..600 {
            let kind = kinds[number % 3].clone();
            let draft = Draft { kind, ..draft(format!("{number}{}", ".".repeat(200))) };
            world.command(ada, Command::Group(group, GroupCommand::Publish { draft }));
        }
        world.run_for(Duration::from_secs(10));
        let bob = world.add_stopped(Kind::Native, "bob");
        world.host(bob).priorities = vec![kinds[2].clone(), kinds[1].clone()];
        world.start(bob);
        world.let_in(ada, group, bob, &[ada]);
        world.run_for(Duration::from_secs(30));
        let mut order: Vec<String> = Vec::new();
        for (_, event) in &world.hosts()[bob].events {
            match event {
                Event::Record { record, .. } => order.push(record.kind.to_string()),
                Event::Sync { phase: SyncPhase::Prioritised, .. } => order.push("told".to_owned()),
                _ => {}
            }
        }
        order.retain(|word| kinds.iter().any(|kind| kind.as_str() == word) || word == "told");
        let mut places: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, word) in order.iter().enumerate() {
            places.entry(word).or_default().push(at);
        }
        assert_eq!(places["first"].len(), 200);
        assert!(places["first"].last() < places["second"].first(), "{places:?}");
        assert!(places["second"].last() < places["plain"].first(), "{places:?}");
        assert_eq!(places["told"].len(), 1);
    });
}

/// Disks that refuse do not have the same records sent to them again and again; once they take them, all have all.
#[test]
fn disks_that_refuse_cost_no_storm_of_requests() {
    each_seed("disks_that_refuse_cost_no_storm_of_requests", 10, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo", "dan", "eve", "fay"]);
        world.run_for(Duration::from_secs(60));
        for &host in &hosts[1..] {
            world.host(host).disk.fault = Some(StoreFault::QuotaExceeded);
        }
        let before = world.counts.frame_bytes;
        for number in 0..20 {
            world.say(hosts[0], group, &format!("{number}"));
        }
        world.run_for(Duration::from_secs(60));
        let bytes = world.counts.frame_bytes - before;
        // Each of five gets each of twenty records from each of five at most twice, and a minute of the rest.
        assert!(bytes < 400_000, "{bytes} bytes");
        for &host in &hosts[1..] {
            world.host(host).disk.fault = None;
        }
        let all = |world: &mut World| hosts.iter().all(|&h| world.texts(h, group).len() == 20);
        for _ in 0..40 {
            world.run_for(Duration::from_secs(10));
            if all(world) {
                return;
            }
        }
        panic!("not all have all");
    });
}
