//! Nodes that tell nobody but members that they are in a group: strangers learn nothing, and the group holds together.
use crate::each_seed;
use peergraph_core::cert::Role;
use peergraph_core::io::{Command, GroupCommand};
use peergraph_tests::host::rtc_address;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
const SOON: Duration = Duration::from_secs(120);

/// Goal: a group of which some tell only members lets newcomers in, and stays one graph. Method: Ada and Bob tell only
/// members, Cleo anybody, and she may invite. Dan knocks at Ada's and Bob's doors with a link, in vain, and joins at Cleo's. Then all but he start
/// again, and he finds them.
#[test]
fn newcomers_are_let_in_by_members_that_tell_anybody() {
    each_seed("newcomers_are_let_in_by_members_that_tell_anybody", 10, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo"]);
        let [ada, bob, cleo] = hosts[..] else { panic!("three hosts") };
        world.say_to(bob, group, "we begin", &hosts);
        let (peer, grant) = (world.hosts()[cleo].peer_id(), Role::Inviting.into());
        assert!(world.ask(ada, Command::Group(group, GroupCommand::Issue { peer, grant })).is_ok());
        world.run_for(SOON);
        for host in [ada, bob] {
            world.host(host).members_only = true;
            world.stop(host);
            world.start(host);
            world.await_opened(host);
            world.await_synced(host);
        }
        let dan = world.native("dan");
        let mut link = world.invite_bearer(ada, group, 1, DAY);
        link.addresses = [ada, bob].map(rtc_address).into();
        assert!(world.join(dan, link.clone()).is_err(), "nobody there tells him anything");
        link.addresses = [ada, bob, cleo].map(rtc_address).into();
        assert_eq!(world.join(dan, link), Ok(group));
        let all = [ada, bob, cleo, dan];
        world.say_to(dan, group, "here I am", &all);
        for host in [ada, bob, cleo] {
            world.stop(host);
            world.start(host);
            world.await_opened(host);
        }
        let together = world.run_until(SOON, |world| {
            all.iter().all(|&host| world.is_ready(host)) && world.is_connected(&all)
        });
        assert!(together, "they find each other");
        world.say_to(ada, group, "we go on", &all);
        assert_eq!(world.counts.misbehaved, 0);
    });
}
