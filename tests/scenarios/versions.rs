//! Nodes of several releases in one group.
use crate::each_seed;
use peergraph_core::cert::Role;
use peergraph_core::error::Error;
use peergraph_core::id::GroupId;
use peergraph_core::io::{Command, GroupCommand, Reply};
use peergraph_core::wire::Versions;
use peergraph_tests::{HostId, World};
use std::time::Duration;

/// A program that speaks these versions.
fn program(world: &mut World, name: &str, (lowest, highest): (u32, u32)) -> HostId {
    let host = world.native(name);
    world.stop(host);
    world.host(host).versions = Versions::new(lowest, highest).expect("a range");
    world.start(host);
    world.await_opened(host);
    host
}

/// Its attempt to join.
fn join(world: &mut World, inviter: HostId, group: GroupId, guest: HostId) -> Result<(), Error> {
    let invitation = world.invite_bound(inviter, group, guest, Role::Inviting);
    let joined = world.join(guest, invitation);
    joined.map(|_| world.await_synced(guest))
}

/// The versions that its links speak, each with the host at the other end.
fn spoken(world: &mut World, host: HostId, hosts: &[HostId]) -> Vec<(HostId, u32)> {
    let links = world.links(host).into_iter();
    let with = |peer| hosts.iter().copied().find(|&host| world.hosts()[host].peer_id() == peer);
    let mut spoken: Vec<_> =
        links.filter_map(|link| Some((with(link.peer?)?, link.version?))).collect();
    spoken.sort_unstable();
    spoken
}

/// Goal: an update of a group takes as long as it likes. Method: old programs beside new ones, whichever made the group and
/// whichever dials; every two of them speak the highest version that both know.
#[test]
fn old_and_new_programs_are_one_group() {
    each_seed("old_and_new_programs_are_one_group", 10, |world| {
        let ranges = match world.chance.within(0..3) {
            0 => [(1, 1), (1, 3), (2, 3), (1, 2)],
            1 => [(1, 3), (1, 1), (1, 2), (1, 3)],
            _ => [(2, 3), (1, 2), (2, 2), (2, 9)],
        };
        let common = |a: (u32, u32), b: (u32, u32)| {
            let version = a.1.min(b.1);
            (version >= a.0.max(b.0)).then_some(version)
        };
        let hosts = ["ada", "bob", "cleo", "dan"].map(|name| {
            let nth = ["ada", "bob", "cleo", "dan"].iter().position(|it| *it == name);
            program(world, name, ranges[nth.expect("it is one of them")])
        });
        let group = world.create_group(hosts[0], "talk");
        for nth in 1..4 {
            // A host that speaks a version with the newcomer lets it in.
            let host = (0..nth).find(|&other| common(ranges[other], ranges[nth]).is_some());
            let inviter = hosts[host.expect("somebody does")];
            assert_eq!(join(world, inviter, group, hosts[nth]), Ok(()));
        }
        for nth in 0..4 {
            for (other, version) in spoken(world, hosts[nth], &hosts) {
                let at = hosts.iter().position(|&host| host == other).expect("one of them");
                assert_eq!(Some(version), common(ranges[nth], ranges[at]), "{nth} and {at}");
            }
        }
        for host in hosts {
            world.say_to(host, group, "hello", &hosts);
        }
    });
}

/// Goal: a program that finds only programs with which it cannot speak is told which of them is
/// older, and what to do. Method: a newer one joins an older one, and the reverse.
#[test]
fn programs_without_a_common_version_say_which_is_older() {
    each_seed("programs_without_a_common_version_say_which_is_older", 4, |world| {
        for (host, guest, word, cure) in [
            ((1, 2), (3, 4), "they-are-older", "ask them to update"),
            ((3, 4), (1, 2), "we-are-older", "update it"),
        ] {
            let ada = program(world, "ada", host);
            let bob = program(world, "bob", guest);
            let group = world.create_group(ada, "talk");
            // The invitation is a membership: what it cannot bring is a neighbour.
            let invitation = world.invite_bound(ada, group, bob, Role::Member);
            assert_eq!(world.join(bob, invitation), Ok(group));
            world.run_for(Duration::from_secs(20));
            assert_eq!((world.hosts()[ada].neighbours, world.hosts()[bob].neighbours), (0, 0));
            let explained = world.ask(bob, Command::Group(group, GroupCommand::Explain));
            let Ok(Reply::Tried(tried)) = explained else { panic!("{explained:?}") };
            assert!(tried.places.iter().any(|place| place.outcome.word() == word), "{tried}");
            assert!(tried.cure().ends_with(cure), "{tried}");
            assert_eq!(world.counts.misbehaved, 0, "nobody is to blame");
        }
    });
}
