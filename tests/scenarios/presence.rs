//! Presence, under the clocks of the nodes and of the group.
use crate::each_seed;
use peergraph_core::cert::Role;
use peergraph_core::id::{GroupId, NodeId};
use peergraph_core::io::{Command, Draft, Event, GroupCommand, NodeChange, NodeInfo, Reply};
use peergraph_core::record::{Attribute, Value};
use peergraph_tests::host::rtc_address;
use peergraph_tests::story::draft;
use peergraph_tests::{HostId, World};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

fn present_as(world: &mut World, host: HostId, group: GroupId, mood: &str, forced: bool) {
    let value = Value::String(mood.to_owned());
    let attributes = vec![Attribute { name: "mood".to_owned(), value }];
    let answer =
        world.ask(host, Command::Group(group, GroupCommand::Present { attributes, forced }));
    assert!(matches!(answer, Ok(Reply::Ok)), "{answer:?}");
}

fn mood(info: &NodeInfo) -> Option<&str> {
    info.attributes.iter().find_map(|attribute| match &attribute.value {
        Value::String(mood) if attribute.name == "mood" => Some(mood.as_str()),
        _ => None,
    })
}

/// The news that `host` was told of `node`, in order.
fn told(world: &World, host: HostId, of: NodeId) -> Vec<NodeChange> {
    let events = world.hosts()[host].events.iter();
    let changes = events.filter_map(|(_, event)| match event {
        Event::Node { node, change, .. } if node.node == of => Some(*change),
        _ => None,
    });
    changes.collect()
}

#[test]
fn nodes_say_of_themselves_what_their_application_wants() {
    each_seed("nodes_say_of_themselves_what_their_application_wants", 20, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo"]);
        world.run_for(Duration::from_secs(10));
        present_as(world, hosts[1], group, "happy", false);
        world.run_for(Duration::from_secs(5));
        let bob = world.node_id(hosts[1]);
        for &host in &hosts {
            let nodes = world.nodes(host, group);
            assert_eq!(nodes.len(), 3, "host {host}");
            let info = nodes.iter().find(|info| info.node == bob).expect("bob is here");
            assert_eq!(mood(info), Some("happy"));
            assert_eq!(info.peer, world.hosts()[hosts[1]].peer_id());
            assert_eq!(info.addresses, [rtc_address(hosts[1])]);
        }
        // A renewal is no news.
        world.run_for(Duration::from_secs(600));
        use NodeChange::{Connected, Disconnected, Updated};
        assert_eq!(told(world, hosts[0], bob), [Connected, Updated]);
        world.stop(hosts[1]);
        world.run_for(Duration::from_secs(2));
        assert_eq!(told(world, hosts[0], bob), [Connected, Updated, Disconnected]);
    });
}

/// Goal: a node that crashed is gone within 45 s, at every other one, and is here again once it has started. Method: groups
/// of two to nine, natives and browsers; the wires of the one that crashes die without a word.
#[test]
fn node_that_crashed_is_gone_within_45_seconds() {
    each_seed("node_that_crashed_is_gone_within_45_seconds", 100, |world| {
        let count = world.chance.within(2..10) as usize;
        let (group, hosts) = world.group_of_many(count);
        let age = Duration::from_secs(world.chance.within(10..400));
        world.run_for(age);
        let (lost, rest) = (hosts[count - 1], &hosts[..count - 1]);
        let node = world.node_id(lost);
        let before = world.counts.departures;
        world.crash(lost);
        world.run_for(Duration::from_secs(45));
        for &host in rest {
            let nodes = world.nodes(host, group);
            assert!(nodes.iter().all(|info| info.node != node), "host {host} of {count} shows it");
            assert_eq!(nodes.len(), rest.len(), "host {host} of {count}");
            assert_eq!(told(world, host, node).last(), Some(&NodeChange::Disconnected));
            let here = world.members(host, group).into_iter().flat_map(|member| member.nodes);
            assert!(here.into_iter().all(|it| it != node), "host {host}: a member is there by it");
        }
        // Its presence ends without another word.
        world.run_for(Duration::from_secs(400));
        assert_eq!(world.counts.departures - before, rest.len() as u64);
        world.start(lost);
        world.await_opened(lost);
        world.await_synced(lost);
        world.run_for(Duration::from_secs(10));
        for &host in &hosts {
            assert_eq!(world.nodes(host, group).len(), count, "host {host}");
        }
    });
}

/// Goal: a member that lies about a loss hides nobody, whether it asks everybody or some, and whenever it asks. Method: eve
/// says once a second that she has lost bob's node, to all, to some, or to all but bob, as if it had come any number of hops;
/// beside it she swallows nothing, since her node is an honest one.
#[test]
fn member_that_lies_about_a_loss_hides_nobody() {
    each_seed("member_that_lies_about_a_loss_hides_nobody", 40, |world| {
        let count = world.chance.within(3..20) as usize;
        let (group, hosts) = world.group_of_many(count);
        world.run_for(Duration::from_secs(60));
        let (eve, bob) = (hosts[count - 1], hosts[0]);
        world.host(eve).liar = true;
        let node = world.node_id(bob);
        let before = world.counts;
        for _ in 0..120 {
            world.lose(eve, group, node);
            let pause = Duration::from_millis(world.chance.within(200..2_000));
            world.run_for(pause);
        }
        world.run_for(Duration::from_secs(20));
        assert_eq!(world.counts.departures, before.departures, "nobody was hidden");
        assert!(world.is_one_graph(group, &hosts));
        let blamed = |event: &Event| matches!(event, Event::PeerMisbehaved { .. });
        for &host in &hosts {
            assert!(!world.has_event(host, blamed), "host {host} blames somebody");
        }
    });
}

/// Goal: a node of which nobody hears for a while is gone, and here again as soon as it is. Method: bob is cut off for two
/// minutes, and finds back.
#[test]
fn node_that_was_cut_off_is_gone_and_comes_back() {
    each_seed("node_that_was_cut_off_is_gone_and_comes_back", 40, |world| {
        let (group, hosts) = world.group_of_many(5);
        world.run_for(Duration::from_secs(60));
        let (bob, rest) = (hosts[4], &hosts[..4]);
        let node = world.node_id(bob);
        let sides = (0..world.hosts().len()).map(|host| u8::from(host == bob)).collect();
        world.partition(sides);
        world.run_for(Duration::from_secs(45));
        for &host in rest {
            assert_eq!(world.nodes(host, group).len(), 4, "host {host}");
        }
        world.run_for(Duration::from_secs(75));
        world.heal();
        let here = |world: &mut World| {
            hosts.iter().all(|&host| world.nodes(host, group).iter().any(|it| it.node == node))
        };
        let mut waited = 0;
        while !here(world) {
            world.run_for(Duration::from_secs(1));
            waited += 1;
            assert!(waited < 60, "it is not here again");
        }
        use NodeChange::{Connected, Disconnected};
        let ends = [Connected, Disconnected, Connected];
        for &host in rest {
            assert_eq!(told(world, host, node), ends, "host {host}");
        }
    });
}

/// Goal: a newcomer is not shown for minutes who crashed before it came. Method: it joins a minute after a crash.
#[test]
fn newcomer_is_told_of_whom_nobody_hears() {
    each_seed("newcomer_is_told_of_whom_nobody_hears", 40, |world| {
        let (group, hosts) = world.group_of_many(4);
        world.run_for(Duration::from_secs(30));
        let node = world.node_id(hosts[3]);
        world.crash(hosts[3]);
        world.run_for(Duration::from_secs(50));
        let late = world.native("late");
        world.let_in(hosts[0], group, late, &hosts[..2]);
        world.await_synced(late);
        world.run_for(Duration::from_secs(15));
        let nodes = world.nodes(late, group);
        assert!(nodes.iter().all(|info| info.node != node), "it shows the node");
        assert_eq!(nodes.len(), 4);
    });
}

/// Goal: of many, about as many as the group wants say that they are here; a node whose application
/// wants it does in any case. Method: 66 join a group that wants 50; then 13 of those that are
/// silent are told to speak.
#[test]
fn about_as_many_are_present_as_the_group_wants_and_whoever_must() {
    each_seed("about_as_many_are_present_as_the_group_wants_and_whoever_must", 3, |world| {
        let (group, hosts) = world.group_of_many(66);
        world.run_for(Duration::from_secs(200));
        let nodes = world.nodes(hosts[0], group);
        assert!((50..=60).contains(&nodes.len()), "{} are present", nodes.len());
        let is_silent = |world: &World, host: HostId| {
            let node = world.node_id(host);
            !nodes.iter().any(|info| info.node == node)
        };
        let silent: Vec<HostId> =
            hosts.iter().copied().filter(|&host| is_silent(world, host)).take(13).collect();
        for &host in &silent {
            present_as(world, host, group, "heard", true);
        }
        // Longer than a node waits before it withdraws, and renews what it says.
        world.run_for(Duration::from_secs(400));
        let nodes = world.nodes(hosts[0], group);
        assert!((50..=60).contains(&nodes.len()), "{} are present", nodes.len());
        for &host in &silent {
            let node = world.node_id(host);
            assert!(nodes.iter().any(|info| info.node == node), "host {host} was told to");
        }
    });
}

#[test]
fn hidden_tabs_do_not_flicker_even_where_all_are_hidden() {
    each_seed("hidden_tabs_do_not_flicker_even_where_all_are_hidden", 40, |world| {
        let count = world.chance.within(2..7) as usize;
        let names = ["ada", "bob", "cleo", "dan", "eve", "fay"];
        let (group, hosts) = world.group_of(&names[..count]);
        world.run_for(Duration::from_secs(200));
        for &host in &hosts {
            world.host(host).clock.timer_step = 60_000_000;
        }
        let before = world.counts;
        world.run_for(HOUR);
        assert_eq!(world.counts.departures, before.departures, "nobody left");
        assert_eq!(world.counts.silenced, before.silenced, "nobody fell silent");
        assert!(world.is_one_graph(group, &hosts));
        // If nobody's timers run, a message that waits for company waits for the next minute.
        let record = world.say(hosts[0], group, "still here");
        let seen = |world: &World| hosts[1..].iter().all(|&host| world.has_seen(host, record.id));
        assert!(world.run_until(Duration::from_secs(180), seen));
    });
}

/// Goal: members whose clocks are hours apart call the same now, so that all see a record, and it ends for all at once.
/// Method: one clock runs two hours late, one three hours early; both publish.
#[test]
fn members_whose_clocks_are_hours_apart_agree_on_expiry() {
    each_seed("members_whose_clocks_are_hours_apart_agree_on_expiry", 10, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let (late, early) = (world.native("late"), world.native("early"));
        let invitations = [late, early].map(|guest| {
            let mut invitation = world.invite_bound(ada, group, guest, Role::Member);
            invitation.addresses = vec![rtc_address(ada)];
            invitation
        });
        // By a clock that is two hours late, a certificate is not valid before two hours have passed.
        world.run_for(2 * HOUR);
        world.host(late).clock.offset_ms -= 2 * 3_600_000;
        world.host(early).clock.offset_ms += 3 * 3_600_000;
        for (guest, invitation) in [late, early].into_iter().zip(invitations) {
            assert_eq!(world.join(guest, invitation), Ok(group));
            world.await_synced(guest);
        }
        let hosts = [ada, late, early];
        let minutes = |n: u64| Duration::from_secs(60 * n);
        for &host in &hosts {
            let brief = Draft { expires_in: Some(minutes(10)), ..draft("ten minutes") };
            let record = world.publish(host, group, brief).expect("members may publish");
            let others: Vec<HostId> = hosts.iter().copied().filter(|&h| h != host).collect();
            world.await_record(&others, record.id);
        }
        world.run_for(minutes(9));
        for &host in &hosts {
            assert_eq!(world.texts(host, group).len(), 3, "host {host}");
        }
        world.run_for(minutes(2));
        for &host in &hosts {
            assert!(world.texts(host, group).is_empty(), "host {host}");
            // A time of the graph is converted back to the time that the host's clock shows.
            let info = world.info(host, group);
            let wall = world.hosts()[host].clock.wall(world.time().as_micros() as u64);
            assert_eq!(info.wall_time(info.peer_time(wall)), wall);
            let adas = world.hosts()[ada].clock.wall(world.time().as_micros() as u64);
            assert!(info.peer_time(wall).0.abs_diff(adas.0) < 5_000, "host {host}");
        }
        // It is kept over a restart.
        let before = world.info(early, group).clock_shift_ms;
        assert!(before < -2 * 3_600_000);
        world.stop(early);
        world.start(early);
        world.await_opened(early);
        assert!(world.info(early, group).clock_shift_ms.abs_diff(before) < 5_000);
    });
}

#[test]
fn member_whose_clock_was_set_right_finds_back_to_the_time_of_its_graph() {
    let name = "member_whose_clock_was_set_right_finds_back_to_the_time_of_its_graph";
    each_seed(name, 10, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo", "dan", "eve"]);
        world.run_for(Duration::from_secs(60));
        let eve = hosts[4];
        world.stop(eve);
        world.host(eve).clock.offset_ms += 3 * 3_600_000;
        world.start(eve);
        world.await_opened(eve);
        world.await_synced(eve);
        world.run_for(Duration::from_secs(120));
        // Three neighbours agree, so that it is eve who was wrong; the others can take what she says.
        let others: Vec<HostId> = hosts[..4].to_vec();
        let record = world.say(eve, group, "what time is it?");
        world.await_record(&others, record.id);
    });
}
