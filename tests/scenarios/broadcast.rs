//! Broadcasts: messages to all who are here, which nobody stores.
use crate::each_seed;
use bytes::Bytes;
use peergraph_core::cert::Role;
use peergraph_core::error::Error;
use peergraph_core::id::{GroupId, NodeId};
use peergraph_core::io::{Command, Event, GroupCommand, Keep, Reply};
use peergraph_core::limits::{BROADCAST_BYTES_MAX, BROADCASTS};
use peergraph_core::policy::{Policy, Right};
use peergraph_core::record::RecordType;
use peergraph_core::roll::{Reason, Target};
use peergraph_tests::{HostId, World};
use std::time::Duration;

fn broadcast(
    world: &mut World,
    host: HostId,
    group: GroupId,
    kind: &str,
    payload: impl Into<Bytes>,
) -> Result<Reply, Error> {
    let (kind, payload) = (RecordType::new(kind).expect("a type"), payload.into());
    let broadcast = GroupCommand::Broadcast { kind, payload, media_type: None };
    world.ask(host, Command::Group(group, broadcast))
}

/// The numbers that `host` has heard of `from`, in order.
fn heard(world: &World, host: HostId, from: NodeId) -> Vec<u32> {
    let number = |payload: &Bytes| payload.first_chunk().map(|it| u32::from_be_bytes(*it));
    let events = world.hosts()[host].events.iter();
    let numbers = events.filter_map(|(_, event)| match event {
        Event::Broadcast { node, payload, .. } if *node == from => number(payload),
        _ => None,
    });
    numbers.collect()
}

/// Sends `numbers` from one host, 20 a second.
fn send(world: &mut World, host: HostId, group: GroupId, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let payload = number.to_be_bytes().repeat(8);
        assert!(matches!(broadcast(world, host, group, "cursor", payload), Ok(Reply::Ok)));
        world.run_for(Duration::from_millis(50));
    }
}

/// Goal: everybody hears every message once, in a group that does not change, and nobody stores it. Method: two members of a
/// group of 2 to 30 send; sets are compared.
#[test]
fn everybody_hears_everything_once() {
    each_seed("everybody_hears_everything_once", 40, |world| {
        let count = world.chance.within(2..30) as usize;
        let (group, hosts) = world.group_of_many(count);
        world.run_for(Duration::from_secs(20));
        let before = world.info(hosts[0], group).records;
        for &host in &hosts[..2] {
            send(world, host, group, 0..40);
        }
        world.run_for(Duration::from_secs(2));
        for &from in &hosts[..2] {
            let node = world.node_id(from);
            for &host in hosts.iter().filter(|host| **host != from) {
                let mut numbers = heard(world, host, node);
                numbers.sort_unstable();
                assert_eq!(numbers, Vec::from_iter(0..40), "host {host} of {from}");
            }
            assert_eq!(heard(world, from, node), [0_u32; 0], "its own");
        }
        assert_eq!(world.info(hosts[0], group).records, before);
        assert_eq!(world.counts.misbehaved, 0);
    });
}

/// Goal: messages go along a tree. Method: 30 members, messages of 4 KB, after some to find the tree; the bytes of all frames
/// are compared with those of one copy for each who hears it.
#[test]
fn messages_are_sent_to_each_about_once() {
    each_seed("messages_are_sent_to_each_about_once", 10, |world| {
        let (group, hosts) = world.group_of_many(30);
        world.run_for(Duration::from_secs(20));
        send(world, hosts[3], group, 0..20);
        let before = world.counts.frame_bytes;
        let many = 100;
        for _ in 0..many {
            let payload = vec![7; BROADCAST_BYTES_MAX];
            assert!(matches!(broadcast(world, hosts[3], group, "cursor", payload), Ok(Reply::Ok)));
            world.run_for(Duration::from_millis(200));
        }
        world.run_for(Duration::from_secs(1));
        let sent = world.counts.frame_bytes - before;
        let needed = many * (hosts.len() as u64 - 1) * BROADCAST_BYTES_MAX as u64;
        assert!(sent * 10 <= needed * 13, "{:.2} copies", sent as f64 / needed as f64);
    });
}

/// Goal: if a branch breaks, the rest of the tree hears again. Method: members leave one after the other while another sends;
/// everybody who stays hears what is sent a second after each.
#[test]
fn messages_find_another_way_when_a_member_leaves() {
    each_seed("messages_find_another_way_when_a_member_leaves", 40, |world| {
        let (group, hosts) = world.group_of_many(14);
        world.run_for(Duration::from_secs(20));
        let (from, node) = (hosts[0], world.node_id(hosts[0]));
        let mut sent = 0;
        for gone in 0..5 {
            send(world, from, group, sent..sent + 20);
            world.stop(hosts[13 - gone]);
            world.run_for(Duration::from_secs(1));
            send(world, from, group, sent + 20..sent + 30);
            world.run_for(Duration::from_secs(1));
            for &host in &hosts[1..13 - gone] {
                let missing: Vec<u32> = {
                    let numbers = heard(world, host, node);
                    (sent + 20..sent + 30).filter(|it| !numbers.contains(it)).collect()
                };
                assert_eq!(missing, [0_u32; 0], "host {host} after {} left", gone + 1);
            }
            sent += 30;
        }
    });
}

/// Goal: the sender is told what it may not send, and a member that was put out is not heard. Method: a role is needed for one
/// type; too long; too many; revoked.
#[test]
fn rights_and_bounds_are_those_of_records() {
    each_seed("rights_and_bounds_are_those_of_records", 10, |world| {
        let right = Right {
            types: "move".into(),
            roles: vec!["player".into()],
            publish: true,
            update: false,
            delete: false,
        };
        let mut policy = Policy::default();
        policy.rights.push(right);
        let [ada, bob] = ["ada", "bob"].map(|name| world.native(name));
        let group = world.create_group_under(ada, "game", policy);
        let invitation = world.invite_bound(ada, group, bob, Role::Member);
        world.join(bob, invitation).expect("let in");
        world.await_synced(bob);
        world.run_for(Duration::from_secs(10));
        assert_eq!(broadcast(world, bob, group, "move", "x").err(), Some(Error::NotAllowed));
        assert_eq!(
            broadcast(world, bob, group, "cursor", vec![0; BROADCAST_BYTES_MAX + 1]).err(),
            Some(Error::BroadcastTooLong)
        );
        let mut said = 0;
        while broadcast(world, bob, group, "cursor", vec![0, 0, 0, said]).is_ok() {
            said += 1;
            assert!(u64::from(said) <= 2 * BROADCASTS.each(), "no bound");
        }
        world.run_for(Duration::from_secs(2));
        let node = world.node_id(bob);
        assert_eq!(heard(world, ada, node).len(), usize::from(said), "those before it was busy");
        let target = Target::Peer(world.hosts()[bob].peer_id());
        let (reason, keep) = (Reason::Misconduct, Keep::ALL);
        let revoke = GroupCommand::Revoke { target, reason, keep };
        world.ask(ada, Command::Group(group, revoke)).expect("revoked");
        world.run_for(Duration::from_secs(5));
        assert_eq!(broadcast(world, bob, group, "cursor", "x").err(), Some(Error::Revoked));
    });
}
