//! Graphs that fall apart: how they see it, and how they mend.
use crate::each_seed;
use peergraph_core::cert::Role;
use peergraph_core::id::{GroupId, NodeId};
use peergraph_core::io::{Command, Draft, Event};
use peergraph_tests::host::rtc_address;
use peergraph_tests::scenario::{self, Setup};
use peergraph_tests::story::draft;
use peergraph_tests::{HostId, Kind, World};
use std::collections::BTreeSet;
use std::time::Duration;

const NAMES: [&str; 8] = ["ada", "bob", "cleo", "dan", "eve", "fay", "gus", "hal"];
/// A minute without beats, at most 19 s of back-off, and the way. Virtual.
const ELECTED_WITHIN: Duration = Duration::from_secs(90);
/// Every wait before a node becomes a contact is over. Virtual.
const SETTLED_AFTER: Duration = Duration::from_secs(400);
/// The bar for a thousand nodes. Virtual.
const MENDED_WITHIN: Duration = Duration::from_secs(60);

/// The lowest node and the others, by id.
fn ranked(world: &World, hosts: &[HostId]) -> Vec<HostId> {
    let mut ranked = hosts.to_vec();
    ranked.sort_by_key(|&host| world.node_id(host));
    ranked
}

/// Cuts `part` off from all others.
fn cut_off(world: &mut World, part: &[HostId]) {
    let sides = (0..world.hosts().len()).map(|host| u8::from(part.contains(&host))).collect();
    world.partition(sides);
}

fn assert_mends(world: &mut World, group: GroupId, hosts: &[HostId], within: Duration) {
    let whole = world.run_until_every(5, within, |world| world.is_one_graph(group, hosts));
    assert!(whole, "still broken after {within:?}");
}

#[test]
fn signature_becomes_the_lowest_id_whatever_the_order_of_joining() {
    each_seed("signature_becomes_the_lowest_id_whatever_the_order_of_joining", 30, |world| {
        let (group, hosts) = world.group_of(&NAMES);
        world.await_signature(&hosts, group, ELECTED_WITHIN);
    });
}

#[test]
fn when_the_signature_node_leaves_normally_one_other_speaks_up() {
    let name = "when_the_signature_node_leaves_normally_one_other_speaks_up";
    let more_than_one = std::cell::Cell::new(0);
    each_seed(name, 30, |world| {
        let (group, hosts) = world.group_of(&NAMES);
        world.await_signature(&hosts, group, ELECTED_WITHIN);
        let by_id = ranked(world, &hosts);
        world.stop(by_id[0]);
        let rest = &by_id[1..];
        let mut seen: BTreeSet<Option<NodeId>> = BTreeSet::new();
        for _ in 0..200 {
            world.run_for(Duration::from_millis(100));
            let host = *world.chance.of(rest);
            seen.insert(world.info(host, group).signature);
        }
        world.await_signature(rest, group, Duration::from_secs(5));
        // The one before, and the one after.
        more_than_one.set(more_than_one.get() + usize::from(seen.len() > 2));
    });
    assert!(more_than_one.get() <= 3, "{} elections of 30 had several", more_than_one.get());
}

#[test]
fn signature_of_a_node_that_crashed_runs_out_and_the_next_is_elected() {
    let name = "signature_of_a_node_that_crashed_runs_out_and_the_next_is_elected";
    each_seed(name, 30, |world| {
        let (group, hosts) = world.group_of(&NAMES);
        world.await_signature(&hosts, group, ELECTED_WITHIN);
        let by_id = ranked(world, &hosts);
        world.crash(by_id[0]);
        world.await_signature(&by_id[1..], group, ELECTED_WITHIN);
    });
}

#[test]
fn contacts_stay_in_their_band_and_are_the_lowest_ids() {
    each_seed("contacts_stay_in_their_band_and_are_the_lowest_ids", 5, |world| {
        let (group, hosts) = world.group_of_many(30);
        world.run_for(SETTLED_AFTER);
        let by_id = ranked(world, &hosts);
        for &host in &by_id[..5] {
            assert!(world.info(host, group).contact, "the lowest are contacts");
        }
        let is_contact = |world: &mut World, host| world.info(host, group).contact;
        let count = by_id.iter().filter(|&&host| is_contact(world, host)).count();
        // Five, and a band of five; an estimate that is too high by far would want a sixth.
        assert!((5..=11).contains(&count), "{count} contacts");
        // All thirty say that they are here, so that no estimate is below that.
        assert!(world.info(hosts[0], group).nodes >= 30);
    });
}

#[test]
fn six_node_story_of_the_reference_ends_as_described() {
    let story = scenario::named("seed-example").expect("there is such a scenario");
    for seed in 1..=20 {
        let report = scenario::run(&Setup::new(story, 6, seed, None));
        assert_eq!((report.missed, report.misbehaved), (0, 0), "seed {seed}");
    }
}

#[test]
fn part_that_lost_the_signature_elects_and_connects_to_a_contact_of_the_other() {
    let name = "part_that_lost_the_signature_elects_and_connects_to_a_contact_of_the_other";
    each_seed(name, 20, |world| {
        let (group, hosts) = world.group_of(&NAMES);
        world.run_for(SETTLED_AFTER);
        let by_id = ranked(world, &hosts);
        let (low, high) = by_id.split_at(4);
        cut_off(world, high);
        world.await_signature(high, group, ELECTED_WITHIN);
        world.await_signature(low, group, Duration::from_secs(2));
        world.heal();
        assert_mends(world, group, &hosts, MENDED_WITHIN);
        world.await_signature(&hosts, group, MENDED_WITHIN);
    });
}

#[test]
fn cut_of_hours_mends_within_minutes() {
    each_seed("cut_of_hours_mends_within_minutes", 10, |world| {
        let (group, hosts) = world.group_of(&NAMES);
        world.run_for(SETTLED_AFTER);
        let mut drawn = hosts.clone();
        world.chance.shuffle(&mut drawn);
        cut_off(world, &drawn[..4]);
        world.run_for(Duration::from_secs(2 * 3_600));
        world.heal();
        // Eight contacts look every five minutes each, after hours.
        assert_mends(world, group, &hosts, MENDED_WITHIN * 4);
        world.say_to(drawn[0], group, "back", &hosts);
    });
}

#[test]
fn part_that_is_cut_off_asks_its_application_for_a_connection() {
    let name = "part_that_is_cut_off_asks_its_application_for_a_connection";
    each_seed(name, 10, |world| {
        let (_, hosts) = world.group_of(&NAMES);
        world.run_for(SETTLED_AFTER);
        cut_off(world, &hosts[..4]);
        let asked = |world: &World, part: &[HostId]| {
            let asks = |event: &Event| matches!(event, Event::ConnectionRequired { .. });
            part.iter().any(|&host| world.has_event(host, asks))
        };
        assert!(!asked(world, &hosts), "nobody is missing before");
        world.run_for(Duration::from_secs(300));
        assert!(asked(world, &hosts[..4]) && asked(world, &hosts[4..]));
    });
}

/// A rendezvous node that is in no group.
fn relay(world: &mut World) -> HostId {
    let relay = world.add_stopped(Kind::Native, "relay");
    world.host(relay).rendezvous = true;
    world.start(relay);
    world.await_opened(relay);
    relay
}

fn connect(world: &mut World, host: HostId, to: HostId) {
    let answer = world.ask(host, Command::Connect { node: rtc_address(to).into() });
    assert!(answer.is_ok(), "{answer:?}");
}

#[test]
fn browsers_that_nobody_can_dial_come_together_at_a_rendezvous_node() {
    let name = "browsers_that_nobody_can_dial_come_together_at_a_rendezvous_node";
    each_seed(name, 15, |world| {
        let relay = relay(world);
        let ada = world.browser("ada");
        connect(world, ada, relay);
        let group = world.create_group(ada, "talk");
        let mut hosts = vec![ada];
        for name in &NAMES[1..] {
            let host = world.browser(name);
            connect(world, host, relay);
            world.let_in(ada, group, host, &[relay]);
            hosts.push(host);
        }
        world.run_for(SETTLED_AFTER);
        let mut drawn = hosts.clone();
        world.chance.shuffle(&mut drawn);
        cut_off(world, &drawn[..4]);
        world.run_for(Duration::from_secs(180));
        assert!(!world.is_one_graph(group, &hosts));
        world.heal();
        // Up to a minute until they have the rendezvous node again, and one look of a contact.
        assert_mends(world, group, &hosts, MENDED_WITHIN * 2);
        world.say_to(drawn[0], group, "back", &hosts);
    });
}

#[test]
fn parts_that_share_no_record_of_each_other_merge() {
    each_seed("parts_that_share_no_record_of_each_other_merge", 15, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let mut parts = [vec![ada], Vec::new()];
        for (number, name) in NAMES.iter().enumerate().skip(1) {
            let host = world.native(name);
            let mut invitation = world.invite_bound(ada, group, host, Role::Member);
            // Four know ada; four others know each other only, and nobody knows of both.
            let part = &mut parts[number / 4];
            invitation.addresses = part.iter().map(|&door| rtc_address(door)).collect();
            part.push(host);
            assert_eq!(world.join(host, invitation), Ok(group));
        }
        world.run_for(SETTLED_AFTER);
        let [one, other] = &parts;
        assert!(world.is_one_graph(group, one) && world.is_one_graph(group, other));
        let hosts = [&one[..], other].concat();
        assert!(!world.is_one_graph(group, &hosts));
        let relay = relay(world);
        for &host in &hosts {
            connect(world, host, relay);
        }
        // A contact that misses nobody looks every five minutes.
        assert_mends(world, group, &hosts, Duration::from_secs(400));
        world.say_to(one[1], group, "who are you?", &hosts);
        world.say_to(other[1], group, "and who are you?", &hosts);
    });
}

#[test]
fn merged_parts_hold_the_union_and_resolve_conflicts_alike() {
    each_seed("merged_parts_hold_the_union_and_resolve_conflicts_alike", 20, |world| {
        let (group, hosts) = world.group_of(&NAMES);
        let (ada, bob) = (hosts[0], hosts[1]);
        let before = world.say_to(bob, group, "before", &hosts);
        world.run_for(SETTLED_AFTER);
        // Ada, who made the group, may change what bob said; both do so.
        let part: Vec<HostId> = [bob, hosts[3], hosts[5], hosts[7]].to_vec();
        cut_off(world, &part);
        let change = |text: &str| Draft { id: Some(before.id), ..draft(text.to_owned()) };
        for (host, text) in [(ada, "ada's"), (bob, "bob's")] {
            let changed = world.publish(host, group, change(text));
            assert!(changed.is_ok(), "{changed:?}");
            world.say(host, group, &format!("said with {text} part"));
        }
        world.run_for(Duration::from_secs(180));
        world.heal();
        assert_mends(world, group, &hosts, MENDED_WITHIN);
        world.run_for(Duration::from_secs(10));
        let texts = world.texts(ada, group);
        assert_eq!(texts.len(), 3);
        assert!(texts.iter().any(|text| text == "ada's") != texts.iter().any(|t| t == "bob's"));
        for &host in &hosts {
            assert_eq!(world.texts(host, group), texts, "host {host}");
        }
    });
}

#[test]
fn crowd_of_a_hundred_cut_in_four_mends_within_a_minute() {
    let cut = scenario::named("partition").expect("there is such a scenario");
    for seed in 1..=3 {
        let mut setup = Setup::new(cut, 100, seed, Some(12));
        setup.knobs.parts = 4;
        let report = scenario::run(&setup);
        let heal_ms = report.measures["heal_ms"];
        assert!(heal_ms <= MENDED_WITHIN.as_millis() as f64, "{heal_ms}: {}", setup.command());
        assert_eq!(report.missed, 0, "{}", setup.command());
    }
}
