//! Browsers, which nobody can dial, find each other through a node that then vanishes.
use crate::each_seed;
use peergraph_core::cert::Role;
use peergraph_core::id::GroupId;
use peergraph_tests::host::{rtc_address, socket_address};
use peergraph_tests::liar::Act;
use peergraph_tests::{HostId, Kind, World};
use std::time::Duration;

/// A rendezvous node that is in no group, and three browsers in one group that know only it.
fn three_browsers(
    world: &mut World,
    door: impl Fn(HostId) -> peergraph_core::address::Address,
) -> (GroupId, HostId, [HostId; 3]) {
    let relay = world.add_stopped(Kind::Native, "relay");
    world.host(relay).rendezvous = true;
    world.start(relay);
    world.await_opened(relay);
    let connect = |address: peergraph_core::address::Address| {
        peergraph_core::io::Command::Connect { node: address.into() }
    };
    let ada = world.browser("ada");
    let answer = world.ask(ada, connect(door(relay)));
    assert!(answer.is_ok(), "{answer:?}");
    let group = world.create_group(ada, "talk");
    let mut hosts = [ada, 0, 0];
    for (place, name) in [(1, "bob"), (2, "cleo")] {
        let guest = world.browser(name);
        let answer = world.ask(guest, connect(door(relay)));
        assert!(answer.is_ok(), "{answer:?}");
        let mut invitation = world.invite_bound(ada, group, guest, Role::Member);
        invitation.addresses = vec![door(relay)];
        assert_eq!(world.join(guest, invitation), Ok(group));
        world.await_synced(guest);
        hosts[place] = guest;
    }
    (group, relay, hosts)
}

#[test]
fn browsers_meet_at_a_node_and_go_on_when_it_dies() {
    each_seed("browsers_meet_at_a_node_and_go_on_when_it_dies", 50, |world| {
        let (group, relay, hosts) = three_browsers(world, rtc_address);
        world.run_for(Duration::from_secs(30));
        assert!(world.texts(hosts[0], group).is_empty());
        world.crash(relay);
        assert!(world.is_connected(&hosts), "they have links of their own");
        world.say_to(hosts[0], group, "alone at last", &hosts);
        world.say_to(hosts[2], group, "indeed", &hosts);
    });
}

#[test]
fn browsers_meet_over_a_web_socket_too() {
    each_seed("browsers_meet_over_a_web_socket_too", 30, |world| {
        let (group, relay, hosts) = three_browsers(world, socket_address);
        world.run_for(Duration::from_secs(30));
        world.crash(relay);
        world.say_to(hosts[1], group, "hello", &hosts);
    });
}

#[test]
fn members_carry_offers_when_the_node_is_gone() {
    each_seed("members_carry_offers_when_the_node_is_gone", 50, |world| {
        let (group, relay, hosts) = three_browsers(world, rtc_address);
        world.run_for(Duration::from_secs(30));
        world.crash(relay);
        world.run_for(Duration::from_secs(60));
        let [ada, bob, cleo] = hosts;
        assert!(world.wired_to(cleo).contains(&bob) && world.wired_to(cleo).contains(&ada));
        world.cut_between(ada, bob);
        // Only cleo can carry their offers.
        let linked = world.run_until_every(20, Duration::from_secs(180), |world| {
            world.wired_to(ada).contains(&bob)
        });
        assert!(linked, "an offer travels over the graph");
        world.say_to(ada, group, "there you are", &hosts);
    });
}

#[test]
fn browser_that_reloads_finds_its_way_back_through_a_native_member() {
    let name = "browser_that_reloads_finds_its_way_back_through_a_native_member";
    each_seed(name, 50, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let (bob, cleo) = (world.browser("bob"), world.browser("cleo"));
        world.let_in(ada, group, bob, &[ada]);
        world.let_in(ada, group, cleo, &[ada]);
        world.say_to(bob, group, "before", &[ada, bob, cleo]);
        world.run_for(Duration::from_secs(60));
        world.crash(bob);
        world.run_for(Duration::from_secs(2));
        world.start(bob);
        world.await_opened(bob);
        assert_eq!(world.texts(bob, group), ["before"], "the history is there at once");
        world.await_synced(bob);
        world.say_to(cleo, group, "after", &[ada, bob]);
        world.say_to(bob, group, "back", &[ada, cleo]);
    });
}

#[test]
fn rendezvous_node_learns_no_group_and_no_record() {
    each_seed("rendezvous_node_learns_no_group_and_no_record", 20, |world| {
        world.record(0);
        let (group, relay, hosts) = three_browsers(world, socket_address);
        world.say_to(hosts[0], group, "a secret among members", &hosts);
        world.run_for(Duration::from_secs(30));
        assert_eq!(relay, 0);
        for secret in [&group.as_bytes()[..], b"a secret among members"] {
            assert!(!world.recording().heard(secret), "the node saw what only members may see");
        }
        let names = world.links(relay);
        assert!(names.iter().all(|link| link.graphs.is_empty()));
    });
}

#[test]
fn browsers_at_a_rendezvous_node_fall_quiet() {
    each_seed("browsers_at_a_rendezvous_node_fall_quiet", 20, |world| {
        let (_, relay, hosts) = three_browsers(world, rtc_address);
        world.run_for(Duration::from_secs(60));
        let before = world.counts;
        world.run_for(Duration::from_secs(1_800));
        let opened = world.counts.links_opened - before.links_opened;
        // Each tries the address of its invitation about once a minute, and no other.
        assert!(opened <= 100, "{opened} links were opened in half an hour");
        let inputs = world.counts.events - before.events;
        assert!(inputs <= 12_000, "{inputs} inputs in half an hour");
        assert!(world.is_connected(&hosts));
        assert!(world.wired_to(relay).len() == 3, "and stay within reach of newcomers");
    });
}

/// Goal: a wrong clock costs nobody the way to a group. Method: a newcomer whose clock is wrong by days or years redeems a
/// link, and finds at a node that is in no group the member that gave it, whose clock is right.
#[test]
fn newcomer_with_a_wrong_clock_meets_members_at_a_node() {
    let day = 86_400_000;
    let offsets = [3 * day, 11 * 365 * day, 30 * 3_600_000];
    each_seed("newcomer_with_a_wrong_clock_meets_members_at_a_node", 30, |world| {
        let (group, relay, hosts) = three_browsers(world, socket_address);
        let mut invitation = world.invite_bearer(hosts[0], group, 1, Duration::from_secs(86_400));
        invitation.addresses = vec![socket_address(relay)];
        let dan = world.browser("dan");
        world.host(dan).clock.offset_ms += offsets[world.seed() as usize % offsets.len()];
        assert_eq!(world.join(dan, invitation), Ok(group));
        world.say_to(dan, group, "what day is it?", &hosts);
        assert_eq!(world.counts.misbehaved, 0);
    });
}

/// Goal: whoever has waited at a node for days is found there. Method: a member sits alone while its tables change, and
/// a second one comes.
#[test]
fn member_that_has_waited_for_days_is_found() {
    each_seed("member_that_has_waited_for_days_is_found", 3, |world| {
        let relay = world.add_stopped(Kind::Native, "relay");
        world.host(relay).rendezvous = true;
        world.start(relay);
        world.await_opened(relay);
        let ada = world.browser("ada");
        let connect = peergraph_core::io::Command::Connect { node: socket_address(relay).into() };
        assert!(world.ask(ada, connect).is_ok());
        let group = world.create_group(ada, "talk");
        world.run_for(Duration::from_secs(60 * 3_600));
        let bob = world.browser("bob");
        let mut invitation = world.invite_bound(ada, group, bob, Role::Member);
        invitation.addresses = vec![socket_address(relay)];
        assert_eq!(world.join(bob, invitation), Ok(group));
        world.say_to(bob, group, "still there?", &[ada]);
    });
}

/// Goal: what one member signs at its maximum leaves the others their part, also where all comes over one neighbour (R9).
/// Method: only cleo can carry the offers of two others, and she looks for nodes that there are not, all the time.
#[test]
fn member_that_searches_without_end_keeps_no_two_others_apart() {
    let name = "member_that_searches_without_end_keeps_no_two_others_apart";
    each_seed(name, 3, |world| {
        let (group, relay, hosts) = three_browsers(world, rtc_address);
        world.run_for(Duration::from_secs(30));
        world.crash(relay);
        world.run_for(Duration::from_secs(60));
        let [ada, bob, cleo] = hosts;
        world.host(cleo).liar = true;
        world.cut_between(ada, bob);
        let linked = (0..180).any(|_| {
            for _ in 0..2_000 {
                world.lie(cleo, group, Act::Chatter);
            }
            world.run_for(Duration::from_secs(1));
            world.wired_to(ada).contains(&bob)
        });
        assert!(linked, "offers of others have their part");
        assert_eq!(world.counts.misbehaved, 0);
    });
}
