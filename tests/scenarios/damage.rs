//! Disks that lose bits: nothing of it is shown or sent, and it comes back.
use crate::each_seed;
use peergraph_core::io::{Command, Event, Filter, GroupCommand, Reply};
use peergraph_tests::{HostId, World};
use std::time::Duration;

/// Damages some entries of a group on the disk of a host: records only, and at least one.
fn damage_some(world: &mut World, host: HostId) -> usize {
    let entries = world.host(host).disk.copy();
    let records: Vec<_> = entries.into_iter().filter(|(key, _)| key.len() > 34).collect();
    let mut damaged = 0;
    for (key, value) in &records {
        if world.chance.within(0..3) == 0 || damaged == 0 {
            let bit = world.chance.within(0..value.len() as u64 * 8);
            let cut = world.chance.within(0..4) == 0;
            damaged += usize::from(world.host(host).disk.damage(key, bit, cut));
        }
    }
    damaged
}

fn told(world: &World, host: HostId) -> u64 {
    let records = |(_, event): &(_, Event)| match event {
        Event::Damaged { records, membership: false, .. } => *records,
        _ => 0,
    };
    world.hosts()[host].events.iter().map(records).sum()
}

#[test]
fn damaged_records_are_told_at_the_start_and_come_back_from_a_neighbour() {
    each_seed(
        "damaged_records_are_told_at_the_start_and_come_back_from_a_neighbour",
        100,
        |world| {
            let (group, hosts) = world.group_of(&["ada", "bob"]);
            for number in 0..10 {
                world.say_to(hosts[0], group, &format!("{number}"), &hosts);
            }
            world.run_for(Duration::from_secs(5));
            let (all, before) = (world.texts(hosts[1], group), told(world, hosts[0]));
            world.crash(hosts[0]);
            let damaged = damage_some(world, hosts[0]);
            world.start(hosts[0]);
            world.await_opened(hosts[0]);
            assert!(told(world, hosts[0]) - before >= 1, "{damaged} are damaged");
            let shown = world.texts(hosts[0], group);
            assert!(shown.iter().all(|text| all.contains(text)), "{shown:?}");
            world.await_synced(hosts[0]);
            world.run_for(Duration::from_secs(10));
            assert_eq!(world.texts(hosts[0], group), all);
            assert_eq!(world.texts(hosts[1], group), all, "and nothing wrong was sent");
            let blamed = |event: &Event| matches!(event, Event::PeerMisbehaved { .. });
            for &host in &hosts {
                assert!(!world.hosts()[host].events.iter().any(|(_, event)| blamed(event)));
            }
        },
    );
}

#[test]
fn record_that_is_damaged_while_the_node_runs_is_not_shown_and_comes_back() {
    each_seed(
        "record_that_is_damaged_while_the_node_runs_is_not_shown_and_comes_back",
        30,
        |world| {
            let (group, hosts) = world.group_of(&["ada", "bob"]);
            for number in 0..10 {
                world.say_to(hosts[0], group, &format!("{number}"), &hosts);
            }
            let all = world.texts(hosts[1], group);
            // After a start the records are on the disk alone.
            world.crash(hosts[0]);
            world.start(hosts[0]);
            world.await_synced(hosts[0]);
            let damaged = damage_some(world, hosts[0]);
            let filter = Filter::default();
            let Ok(Reply::Records { records, .. }) =
                world.ask(hosts[0], Command::Group(group, GroupCommand::Records { filter }))
            else {
                panic!("a page is answered")
            };
            let shown: Vec<_> =
                records.iter().map(|it| String::from_utf8_lossy(&it.payload)).collect();
            assert!(
                shown.iter().all(|text| all.contains(&text.to_string())),
                "{damaged}: {shown:?}"
            );
            // At once, on whichever side the link was opened.
            world.run_for(Duration::from_secs(5));
            assert_eq!(world.texts(hosts[0], group), all);
        },
    );
}
