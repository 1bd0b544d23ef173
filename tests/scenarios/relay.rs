//! Two that no direct path joins: behind routers, or cut off from each other. A node that is in no group relays.
use crate::each_seed;
use peergraph_core::id::GroupId;
use peergraph_core::io::{Command, LinkInfo};
use peergraph_tests::host::{node_url, rtc_address};
use peergraph_tests::nat::{Filtering, Mapping, Nat, Side, meet};
use peergraph_tests::{HostId, Kind, RelayLie, World};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);
/// How long two may take until the path is the best one. Virtual.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);

/// A rendezvous node that is in no group, and two browsers that know it.
fn node_and_two(world: &mut World) -> (HostId, [HostId; 2]) {
    let node = world.add_stopped(Kind::Native, "node");
    world.host(node).rendezvous = true;
    world.start(node);
    world.await_opened(node);
    let two = ["ada", "bob"].map(|name| {
        let host = world.browser(name);
        let answer = world.ask(host, Command::Connect { node: node_url(node) });
        assert!(answer.is_ok(), "{answer:?}");
        host
    });
    (node, two)
}

/// Bob joins a group of Ada by a link that names the node.
fn join(world: &mut World, node: HostId, [ada, bob]: [HostId; 2]) -> GroupId {
    let group = world.create_group(ada, "talk");
    let mut invitation = world.invite_bearer(ada, group, 1, HOUR);
    invitation.addresses = vec![rtc_address(node)];
    assert_eq!(world.join(bob, invitation), Ok(group));
    world.await_synced(bob);
    group
}

/// Runs until a condition that asks the nodes holds; whether it does within `span`.
fn soon(world: &mut World, span: Duration, mut condition: impl FnMut(&mut World) -> bool) -> bool {
    let end = world.time() + span;
    while world.time() < end {
        if condition(world) {
            return true;
        }
        world.run_for(Duration::from_secs(1));
    }
    condition(world)
}

/// The link over which a host has its neighbour.
fn neighbour_link(world: &World, host: HostId, group: GroupId) -> Option<LinkInfo> {
    world.links_of(host).into_iter().find(|link| link.graphs.contains(&group))
}

fn is_relayed(world: &World, host: HostId, group: GroupId) -> bool {
    neighbour_link(world, host, group).is_some_and(|link| link.relayed)
}

fn is_direct(world: &World, host: HostId, group: GroupId) -> bool {
    neighbour_link(world, host, group).is_some_and(|link| link.direct)
}

#[test]
fn two_that_cannot_reach_each_other_meet_through_the_node() {
    each_seed("two_that_cannot_reach_each_other_meet_through_the_node", 100, |world| {
        world.record(0);
        let (node, two) = node_and_two(world);
        world.block(two[0], two[1]);
        let group = join(world, node, two);
        assert!(is_relayed(world, two[0], group) && is_relayed(world, two[1], group));
        world.say_to(two[0], group, "a secret among members", &two);
        world.say_to(two[1], group, "and another one", &two);
        world.run_for(Duration::from_secs(300));
        world.say_to(two[0], group, "still here", &two);
        assert_eq!(node, 0);
        for secret in [&group.as_bytes()[..], b"a secret among members", b"and another one"] {
            assert!(!world.recording().heard(secret), "the node saw what only members may see");
        }
        assert!(world.links(node).iter().all(|link| link.graphs.is_empty()));
    });
}

/// Goal: a direct path replaces the relayed one as soon as there is one, and no record is lost or comes twice. Method: what
/// kept two apart ends while one of them talks.
#[test]
fn direct_path_takes_the_place_of_the_relay() {
    each_seed("direct_path_takes_the_place_of_the_relay", 50, |world| {
        let (node, two) = node_and_two(world);
        world.block(two[0], two[1]);
        let group = join(world, node, two);
        assert!(is_relayed(world, two[1], group));
        world.heal();
        let mut said = Vec::new();
        for n in 0..120 {
            let words = format!("word {n}");
            world.say(two[n % 2], group, &words);
            said.push(words);
            world.run_for(Duration::from_millis(500));
        }
        let direct = world.run_until(SETTLED_WITHIN, |world| is_direct(world, two[0], group));
        assert!(direct, "{:?}", world.links(two[0]));
        world.crash(node);
        world.say_to(two[0], group, "on our own", &two);
        said.push("on our own".to_owned());
        for host in two {
            let mut texts = world.texts(host, group);
            texts.sort();
            let mut expected = said.clone();
            expected.sort();
            assert_eq!(texts, expected);
        }
    });
}

/// Goal: two homes meet, directly wherever theory allows, else through the node; and stay together while nothing is said,
/// though routers forget. Method: routers by chance.
#[test]
fn two_homes_meet() {
    each_seed("two_homes_meet", 200, |world| {
        let (node, two) = node_and_two(world);
        let nats = two.map(|host| {
            let nat = Nat::draw(&mut world.chance);
            world.host(host).nat = Some(nat);
            nat
        });
        let group = join(world, node, two);
        let [a, b] = nats.map(|nat| Side { nat: Some(nat), knows_address: true });
        let direct = meet(a, b);
        let settled = world.run_until(SETTLED_WITHIN, |world| {
            two.iter().all(|&host| {
                is_direct(world, host, group) == direct
                    && neighbour_link(world, host, group).is_some()
            })
        });
        assert!(settled, "{nats:?} {:?}", world.links(two[0]));
        world.say_to(two[0], group, "hello", &two);
        world.run_for(Duration::from_secs(600));
        assert_eq!(is_direct(world, two[0], group), direct, "the path lives while nothing is said");
        world.say_to(two[1], group, "still here", &two);
    });
}

/// Goal: a mapping that nobody knows leads nowhere: the relay is what joins two without a server that tells addresses.
#[test]
fn symmetric_routers_are_relayed() {
    each_seed("symmetric_routers_are_relayed", 30, |world| {
        let (node, two) = node_and_two(world);
        for host in two {
            let (mapping, filtering) = (Mapping::Another, Filtering::Port);
            world.host(host).nat = Some(Nat { mapping, filtering, expires: 30_000_000 });
        }
        let group = join(world, node, two);
        assert!(is_relayed(world, two[0], group));
        world.say_to(two[0], group, "hello", &two);
    });
}

/// Goal: a relay that lies learns nothing, changes nothing, and stands in the way no longer than it lies. Method: it
/// changes, repeats, swaps or drops some of what it relays; the two have no other way. Then it is honest.
#[test]
fn relay_that_lies_changes_nothing() {
    for lie in [RelayLie::Drop, RelayLie::Flip, RelayLie::Repeat, RelayLie::Truncate] {
        each_seed("relay_that_lies_changes_nothing", 30, |world| {
            let (node, two) = node_and_two(world);
            world.block(two[0], two[1]);
            let group = join(world, node, two);
            world.host(node).relay_lie = Some(lie);
            for n in 0..20 {
                world.say(two[n % 2], group, &format!("word {n}"));
                world.run_for(Duration::from_secs(1));
            }
            for host in two {
                let texts = world.texts(host, group);
                assert!(texts.iter().all(|text| text.starts_with("word ")), "{lie:?} {texts:?}");
            }
            world.host(node).relay_lie = None;
            let whole =
                |world: &mut World| two.iter().all(|&host| world.texts(host, group).len() == 20);
            assert!(soon(world, Duration::from_secs(180), whole), "{lie:?}");
        });
    }
}

/// Goal: traffic that is relayed for one party has a rate; whatever is over it waits, and is not lost. Method: everybody is
/// near, so that nothing else keeps it back.
#[test]
fn relayed_traffic_keeps_to_its_rate() {
    each_seed("relayed_traffic_keeps_to_its_rate", 3, |world| {
        world.network.latency = (500, 1_000);
        let (node, two) = node_and_two(world);
        world.block(two[0], two[1]);
        let group = join(world, node, two);
        let spare = peergraph_core::limits::RELAY_SPARE_BYTES;
        let rate = peergraph_core::limits::RELAY_BYTES_PER_SECOND;
        let records = (spare + 60 * rate) / (512 * 1024);
        let begun = world.time();
        for n in 0..records {
            let text = format!("{n} {}", "x".repeat(512 * 1024));
            world.say(two[0], group, &text);
        }
        let whole = |world: &mut World| world.texts(two[1], group).len() as u64 == records;
        assert!(soon(world, Duration::from_secs(600), whole));
        let took = world.time() - begun;
        assert!(took >= Duration::from_secs(50), "{took:?}");
        assert!(is_relayed(world, two[1], group), "it was never lost");
    });
}
