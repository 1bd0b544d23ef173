//! Nothing goes wrong: records reach everybody.
use crate::each_seed;
use peergraph_core::io::Event;
use std::time::Duration;

#[test]
fn two_nodes_chat() {
    each_seed("two_nodes_chat", 200, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        world.say_to(hosts[0], group, "hello", &hosts);
        world.say_to(hosts[1], group, "hi", &hosts);
        for &host in &hosts {
            assert_eq!(world.texts(host, group), ["hello", "hi"]);
        }
    });
}

#[test]
fn record_crosses_a_line_of_three() {
    each_seed("record_crosses_a_line_of_three", 100, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let [ada, bob] = hosts[..] else { panic!("two hosts") };
        let cleo = world.native("cleo");
        world.block(ada, cleo);
        world.let_in(ada, group, cleo, &[bob]);
        let all = [ada, bob, cleo];
        assert_eq!(world.wired_to(bob), [ada, cleo]);
        world.say_to(ada, group, "from one end", &all);
        world.say_to(cleo, group, "from the other", &all);
        for host in all {
            assert_eq!(world.texts(host, group), ["from one end", "from the other"]);
        }
    });
}

#[test]
fn application_learns_that_a_neighbour_holds_its_record() {
    each_seed("application_learns_that_a_neighbour_holds_its_record", 50, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo"]);
        world.run_for(Duration::from_secs(30));
        let record = world.say_to(hosts[0], group, "kept?", &hosts);
        let held = |event: &Event| matches!(event, Event::Status { id, held_by, .. } if *id == record.id && *held_by >= 2);
        let told =
            world.run_until(Duration::from_secs(10), |world| world.has_event(hosts[0], held));
        assert!(told, "both neighbours acknowledge");
    });
}

#[test]
fn members_go_on_when_one_is_killed() {
    each_seed("members_go_on_when_one_is_killed", 100, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo", "dan"]);
        world.run_for(Duration::from_secs(30));
        world.crash(hosts[0]);
        let rest = &hosts[1..];
        world.say_to(rest[0], group, "still here", rest);
        world.say_to(rest[2], group, "so am I", rest);
    });
}

#[test]
fn everybody_sees_the_members_and_their_presence() {
    each_seed("everybody_sees_the_members_and_their_presence", 30, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo"]);
        world.run_for(Duration::from_secs(60));
        for &host in &hosts {
            let members = world.members(host, group);
            let mut names: Vec<&str> = members.iter().map(|m| m.name.as_str()).collect();
            names.sort_unstable();
            assert_eq!(names, ["ada", "bob", "cleo"], "at host {host}");
            for member in &members {
                assert_eq!(member.nodes.len(), 1, "{} is present once at host {host}", member.name);
            }
        }
    });
}

#[test]
fn wrong_clocks_and_late_timers_do_not_stop_a_chat() {
    each_seed("wrong_clocks_and_late_timers_do_not_stop_a_chat", 50, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let bob = world.add_stopped(peergraph_tests::Kind::Native, "bob");
        // Within what certificates tolerate, and a tab in the background.
        world.host(bob).clock.offset_ms = 240_000;
        world.host(bob).clock.late_max = 60_000_000;
        world.start(bob);
        world.let_in(ada, group, bob, &[ada]);
        for round in 0..5 {
            world.say_to(ada, group, &format!("ada {round}"), &[bob]);
            world.say_to(bob, group, &format!("bob {round}"), &[ada]);
            world.run_for(Duration::from_secs(60));
        }
    });
}
