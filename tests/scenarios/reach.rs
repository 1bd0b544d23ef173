//! Finding one another: dead addresses, several groups, restarts, duplicate links.
use crate::each_seed;
use peergraph_core::error::Error;
use peergraph_core::id::GroupId;
use peergraph_core::io::{Command, Event, GroupCommand, NodeState, Outcome, PlaceSource, Reply};
use peergraph_tests::host::{node_url, rtc_address, socket_address};
use peergraph_tests::{HostId, Kind, World};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

/// A rendezvous node that is in no group.
fn relay(world: &mut World) -> HostId {
    let relay = world.add_stopped(Kind::Native, "relay");
    world.host(relay).rendezvous = true;
    world.start(relay);
    world.await_opened(relay);
    relay
}

fn name(world: &mut World, host: HostId, node: HostId) {
    let answer = world.ask(host, Command::Connect { node: node_url(node) });
    assert!(answer.is_ok(), "{answer:?}");
}

/// Five hosts that are gone, and two to which nothing passes.
fn seven_in_vain(world: &mut World, guest: HostId) -> Vec<HostId> {
    let mut vain = Vec::new();
    for n in 0..7 {
        let host = world.native("gone");
        if n < 5 {
            world.crash(host);
        } else {
            world.block(guest, host);
        }
        vain.push(host);
    }
    vain
}

/// Runs until a condition holds, and fails when that takes too long.
fn within(world: &mut World, span: Duration, what: &str, condition: impl FnMut(&World) -> bool) {
    let since = world.time();
    let held = world.run_until(span, condition);
    assert!(held, "{what}: not within {span:?} from {since:?}");
}

#[test]
fn seven_addresses_in_vain_do_not_keep_from_the_eighth() {
    each_seed("seven_addresses_in_vain_do_not_keep_from_the_eighth", 100, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let bob = world.native("bob");
        let mut invitation = world.invite_bearer(ada, group, 1, HOUR);
        let mut doors = seven_in_vain(world, bob);
        doors.push(ada);
        invitation.addresses = doors.into_iter().map(rtc_address).collect();
        let before = world.time();
        assert_eq!(world.join(bob, invitation), Ok(group));
        let took = world.time() - before;
        assert!(took < Duration::from_secs(3), "{took:?}");
    });
}

#[test]
fn node_is_used_while_seven_addresses_hang() {
    each_seed("node_is_used_while_seven_addresses_hang", 100, |world| {
        let relay = relay(world);
        let (ada, bob) = (world.browser("ada"), world.browser("bob"));
        name(world, ada, relay);
        let group = world.create_group(ada, "talk");
        let mut invitation = world.invite_bearer(ada, group, 1, HOUR);
        invitation.addresses = seven_in_vain(world, bob).into_iter().map(rtc_address).collect();
        world.run_for(Duration::from_secs(2));
        let before = world.time();
        name(world, bob, relay);
        assert_eq!(world.join(bob, invitation), Ok(group));
        let took = world.time() - before;
        assert!(took < Duration::from_secs(3), "{took:?}");
    });
}

#[test]
fn four_groups_of_one_inviter_are_joined_one_after_the_other() {
    each_seed("four_groups_of_one_inviter_are_joined_one_after_the_other", 50, |world| {
        let ada = world.add_stopped(Kind::Native, "ada");
        world.host(ada).rendezvous = true;
        world.start(ada);
        world.await_opened(ada);
        let bob = world.native("bob");
        for n in 0..4 {
            let group = world.create_group(ada, "talk");
            let mut invitation = world.invite_bearer(ada, group, 1, HOUR);
            invitation.addresses = vec![rtc_address(ada), socket_address(ada)];
            name(world, bob, ada);
            let before = world.time();
            assert_eq!(world.join(bob, invitation), Ok(group));
            let took = world.time() - before;
            assert!(took < Duration::from_secs(2), "group {n}: {took:?}");
            let neighbours = move |world: &World| world.neighbours_of(bob, group) == [ada];
            within(world, Duration::from_secs(2), "a neighbour", neighbours);
            world.run_for(Duration::from_secs(2));
            world.stop(bob);
            world.start(bob);
            world.await_opened(bob);
        }
    });
}

#[test]
fn four_groups_of_one_inviter_are_joined_at_once() {
    each_seed("four_groups_of_one_inviter_are_joined_at_once", 50, |world| {
        let (ada, bob) = (world.native("ada"), world.native("bob"));
        let mut groups: Vec<GroupId> = Vec::new();
        let mut asked = Vec::new();
        for _ in 0..4 {
            let group = world.create_group(ada, "talk");
            let mut invitation = world.invite_bearer(ada, group, 1, HOUR);
            invitation.addresses = vec![rtc_address(ada), socket_address(ada)];
            asked.push(world.command(bob, Command::Join { invitation, password: None }));
            groups.push(group);
        }
        name(world, bob, ada);
        let all = move |world: &World| asked.iter().all(|&it| world.is_answered(bob, it));
        within(world, Duration::from_secs(3), "all are joined", all);
        let all = |world: &World| groups.iter().all(|&it| world.neighbours_of(bob, it) == [ada]);
        within(world, Duration::from_secs(2), "neighbours in all", all);
    });
}

#[test]
fn both_restart_elsewhere_and_meet_at_the_node() {
    each_seed("both_restart_elsewhere_and_meet_at_the_node", 50, |world| {
        let relay = relay(world);
        let (ada, bob) = (world.native("ada"), world.native("bob"));
        name(world, ada, relay);
        name(world, bob, relay);
        let group = world.create_group(ada, "talk");
        world.let_in(ada, group, bob, &[ada]);
        world.say_to(ada, group, "before", &[bob]);
        // The addresses that they remember of one another lead nowhere: their ports were others.
        let nowhere = |n: usize| vec![rtc_address(500 + n)];
        world.tell_addresses(ada, nowhere(0));
        world.tell_addresses(bob, nowhere(1));
        world.run_for(Duration::from_secs(10));
        let first = if world.seed_is_even() { ada } else { bob };
        let second = ada + bob - first;
        for (n, host) in [first, second].into_iter().enumerate() {
            world.stop(host);
            world.start(host);
            world.tell_addresses(host, nowhere(2 + n));
            world.await_opened(host);
            name(world, host, relay);
        }
        let met = |world: &World| world.neighbours_of(ada, group) == [bob];
        within(world, Duration::from_secs(5), "they meet", met);
        world.say_to(bob, group, "after", &[ada]);
    });
}

#[test]
fn offers_outlive_a_duplicate_link_to_the_node() {
    each_seed("offers_outlive_a_duplicate_link_to_the_node", 100, |world| {
        let relay = relay(world);
        let (ada, bob) = (world.browser("ada"), world.browser("bob"));
        name(world, ada, relay);
        let group = world.create_group(ada, "talk");
        let invitation = world.invite_bearer(ada, group, 1, HOUR);
        world.run_for(Duration::from_secs(2));
        // The same node under three names: links to it come up while offers are under way.
        for node in [socket_address(relay).into(), rtc_address(relay).into(), node_url(relay)] {
            let wait = world.chance.within(0..400);
            world.run_for(Duration::from_millis(wait));
            world.command(bob, Command::Connect { node });
        }
        assert_eq!(world.join(bob, invitation), Ok(group));
        within(world, Duration::from_secs(5), "neighbours", move |world| {
            world.neighbours_of(bob, group) == [ada]
        });
        world.run_for(Duration::from_secs(60));
        assert_eq!(world.wired_to(bob), [relay, ada]);
        assert_eq!(world.links(bob).len(), 2, "one link to each");
    });
}

#[test]
fn browser_whose_node_died_finds_the_others_through_a_native_member() {
    let name_of_test = "browser_whose_node_died_finds_the_others_through_a_native_member";
    each_seed(name_of_test, 50, |world| {
        let relay = relay(world);
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let (bob, cleo) = (world.browser("bob"), world.browser("cleo"));
        for host in [ada, bob, cleo] {
            name(world, host, relay);
        }
        world.let_in(ada, group, bob, &[ada]);
        world.let_in(ada, group, cleo, &[ada]);
        world.say_to(bob, group, "before", &[ada, cleo]);
        world.run_for(Duration::from_secs(30));
        world.crash(relay);
        world.crash(bob);
        world.run_for(Duration::from_secs(2));
        world.start(bob);
        world.await_opened(bob);
        name(world, bob, relay);
        let met = |world: &World| !world.neighbours_of(bob, group).is_empty();
        within(world, Duration::from_secs(5), "somebody is found", met);
        world.say_to(bob, group, "after", &[ada, cleo]);
    });
}

#[test]
fn join_that_finds_nobody_tells_what_was_tried() {
    each_seed("join_that_finds_nobody_tells_what_was_tried", 20, |world| {
        let relay = relay(world);
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let mut invitation = world.invite_bearer(ada, group, 1, HOUR);
        invitation.addresses = vec![rtc_address(ada), socket_address(ada)];
        world.crash(ada);
        let bob = world.native("bob");
        name(world, bob, relay);
        let request = world.command(bob, Command::Join { invitation, password: None });
        world.run_for(Duration::from_secs(12));
        let explained = world.ask(bob, Command::Group(group, GroupCommand::Explain));
        let Ok(Reply::Tried(so_far)) = explained else { panic!("explained {explained:?}") };
        assert!((2..=6).contains(&so_far.addresses), "{so_far:?}");
        within(world, Duration::from_secs(30), "an answer", move |world| {
            world.is_answered(bob, request)
        });
        let Some(Err(Error::NobodyFound(tried))) = world.answer(bob, request) else {
            panic!("nobody was there")
        };
        // Those of the last round may be under way still.
        assert!((2..=tried.addresses).contains(&tried.unreached), "{tried:?}");
        assert_eq!((tried.seats, tried.offers, tried.members), (0, 0, 0));
        // Every place is told, with where it comes from and how it ended.
        let places = tried.places.iter().map(|place| (place.from, place.outcome));
        let mut places: Vec<_> = places.collect();
        places.retain(|(_, outcome)| !matches!(outcome, Outcome::Trying));
        let failed = |(from, outcome): &(PlaceSource, Outcome)| {
            *from == PlaceSource::Invitation && matches!(outcome, Outcome::Failed(_))
        };
        assert!(places.iter().any(failed), "{tried:?}");
        let reached = |(from, outcome): &(PlaceSource, Outcome)| {
            *from == PlaceSource::Node && *outcome == Outcome::NotInGroup
        };
        assert_eq!(places.iter().filter(|place| reached(place)).count(), 1, "{tried:?}");
        assert!(places.iter().all(|place| failed(place) || reached(place)), "{tried:?}");
        let [(url, NodeState::Linked { .. })] = &tried.nodes[..] else { panic!("{tried:?}") };
        assert_eq!(*url, node_url(relay));
        assert!(tried.cure().contains("nobody of the group is at it"), "{tried}");
        let told = |event: &Event| {
            matches!(event, Event::NamedNode { state: NodeState::Linked { .. }, .. })
        };
        assert!(world.has_event(bob, told));
    });
}

/// Goal: an inviter that comes back while somebody waits is found soon, by every way there is. Method: it is away when the
/// join begins; the link names its address, its node, its node that is away as well, or a member who may not let anybody
/// in. A dial or look-up that begins before it comes back is in vain for 5 s in this world, so it has twice that time; real
/// ones go on asking meanwhile (`native/tests/cli/meeting.rs`).
#[test]
fn inviter_that_comes_back_during_a_join_is_found() {
    each_seed("inviter_that_comes_back_during_a_join_is_found", 100, |world| {
        let relay = relay(world);
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let cleo = world.native("cleo");
        world.let_in(ada, group, cleo, &[ada]);
        world.say_to(cleo, group, "before", &[ada]);
        // Both say that they are here, and remember one another.
        world.run_for(Duration::from_secs(30));
        let mut invitation = world.invite_bearer(ada, group, 1, HOUR);
        let way = world.chance.within(0..4);
        (invitation.nodes, invitation.addresses) = match way {
            0 => (vec![], vec![rtc_address(ada), socket_address(ada)]),
            1 | 2 => (vec![node_url(relay)], vec![]),
            _ => (vec![], vec![rtc_address(cleo)]),
        };
        let mut away = if way == 3 { vec![ada] } else { vec![ada, cleo] };
        if way == 2 {
            away.push(relay);
        }
        away.iter().for_each(|&host| world.crash(host));
        let bob = world.native("bob");
        let request = world.command(bob, Command::Join { invitation, password: None });
        let wait = world.chance.within(5_000..15_000);
        world.run_for(Duration::from_millis(wait));
        assert!(!world.is_answered(bob, request));
        away.retain(|&host| host != cleo);
        for &host in away.iter().rev() {
            world.start(host);
            world.await_opened(host);
        }
        if way != 0 {
            name(world, ada, relay);
        }
        let answered = move |world: &World| world.is_answered(bob, request);
        within(world, Duration::from_secs(10), &format!("way {way}: an answer"), answered);
        assert!(matches!(world.answer(bob, request), Some(Ok(_))), "way {way}");
    });
}

#[test]
fn node_of_a_preview_is_forgotten_when_that_is_done_and_kept_by_a_join() {
    let name_of_test = "node_of_a_preview_is_forgotten_when_that_is_done_and_kept_by_a_join";
    each_seed(name_of_test, 30, |world| {
        let relay = relay(world);
        let (ada, bob) = (world.browser("ada"), world.browser("bob"));
        name(world, ada, relay);
        let group = world.create_group(ada, "talk");
        let invitation = world.invite_bearer(ada, group, 1, HOUR);
        assert_eq!(invitation.nodes, [node_url(relay)]);
        let joins = world.seed_is_even();
        let previewed = world.ask(bob, Command::Preview { invitation: invitation.clone() });
        assert!(previewed.is_ok(), "{previewed:?}");
        if joins {
            assert_eq!(world.join(bob, invitation.clone()), Ok(group));
        }
        world.run_for(Duration::from_secs(150));
        let forgotten =
            |event: &Event| matches!(event, Event::NamedNode { state: NodeState::Forgotten, .. });
        assert_eq!(world.has_event(bob, forgotten), !joins);
        assert_eq!(world.wired_to(bob).contains(&relay), joins);
        if joins {
            assert!(world.ask(bob, Command::Leave { group }).is_ok());
            world.run_for(Duration::from_secs(150));
            assert!(world.has_event(bob, forgotten));
            assert!(world.wired_to(bob).is_empty());
        } else {
            assert_eq!(world.join(bob, invitation), Ok(group), "it can be used all the same");
        }
    });
}

#[test]
fn invitation_names_the_nodes_of_its_group_and_no_others() {
    each_seed("invitation_names_the_nodes_of_its_group_and_no_others", 30, |world| {
        let (ours, theirs) = (relay(world), relay(world));
        let (ada, bob) = (world.native("ada"), world.native("bob"));
        name(world, ada, theirs);
        let talk = world.create_group(ada, "talk");
        let mut invitation = world.invite_bearer(ada, talk, 1, HOUR);
        invitation.addresses.clear();
        assert_eq!(world.join(bob, invitation), Ok(talk));
        name(world, bob, ours);
        let own = world.create_group(bob, "own");
        world.run_for(Duration::from_secs(2));
        let mut nodes = world.invite_bearer(bob, own, 1, HOUR).nodes;
        nodes.sort_unstable();
        let mut linked = [node_url(ours), node_url(theirs)];
        linked.sort_unstable();
        assert_eq!(nodes, linked, "both are where it takes seats");
        world.crash(theirs);
        world.run_for(Duration::from_secs(120));
        assert_eq!(world.invite_bearer(bob, own, 1, HOUR).nodes, [node_url(ours)]);
    });
}

#[test]
fn invitation_that_was_shown_outlives_a_crash() {
    each_seed("invitation_that_was_shown_outlives_a_crash", 100, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let mut invitation = world.invite_bearer(ada, group, 1, HOUR);
        world.crash(ada);
        world.start(ada);
        world.await_opened(ada);
        invitation.addresses = vec![rtc_address(ada)];
        let bob = world.native("bob");
        assert_eq!(world.join(bob, invitation), Ok(group));
    });
}

#[test]
fn later_link_to_a_group_leads_where_it_says() {
    each_seed("later_link_to_a_group_leads_where_it_says", 50, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let mut earlier = world.invite_bearer(ada, group, 2, HOUR);
        let mut later = world.invite_bearer(ada, group, 2, HOUR);
        earlier.addresses = vec![rtc_address(500), socket_address(501)];
        later.addresses = vec![rtc_address(ada)];
        let bob = world.native("bob");
        let request = world.command(bob, Command::Join { invitation: earlier, password: None });
        let wait = world.chance.within(0..10_000);
        world.run_for(Duration::from_millis(wait));
        let before = world.time();
        assert_eq!(world.join(bob, later), Ok(group));
        let took = world.time() - before;
        assert!(took < Duration::from_secs(3), "{took:?}");
        assert!(matches!(world.answer(bob, request), Some(Err(Error::Busy))));
    });
}
