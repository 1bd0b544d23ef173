//! Members who publish as much as they can: the group holds a bounded part of it, and everybody else gets everything.
use crate::each_seed;
use bytes::Bytes;
use peergraph_core::error::Error;
use peergraph_core::id::{GroupId, PeerId};
use peergraph_core::io::{Command, GroupCommand, Keep, Reply};
use peergraph_core::policy::Policy;
use peergraph_core::roll::{Reason, Standing, Target};
use peergraph_tests::story::draft;
use peergraph_tests::{HostId, World};
use std::time::Duration;

/// Records and bytes of one member in these groups.
const RECORDS: usize = 32;
const BYTES: u64 = 64 * 1024;

fn group_of(world: &mut World, names: &[&str]) -> (GroupId, Vec<HostId>) {
    let mut policy = Policy::default();
    policy.payload_bytes_max = 4 * 1024;
    policy.member_records = RECORDS as u32;
    policy.member_bytes = BYTES;
    let owner = world.native(names[0]);
    let group = world.create_group_under(owner, "talk", policy);
    let mut hosts = vec![owner];
    for name in &names[1..] {
        let host = world.native(name);
        world.let_in(owner, group, host, &[owner]);
        hosts.push(host);
    }
    (group, hosts)
}

/// How many records of one member a host shows.
fn of(world: &mut World, at: HostId, group: GroupId, who: PeerId) -> usize {
    world.records(at, group).iter().filter(|record| record.creator == who).count()
}

/// Goal: one member at its maximum delays nobody, and is out in the end. Method: Dan signs by hand twenty records a second for
/// a minute, and brings them to all of his neighbours. Meanwhile the others publish; then the owner revokes him.
#[test]
fn member_at_its_maximum_leaves_everybody_else_everything() {
    each_seed("member_at_its_maximum_leaves_everybody_else_everything", 10, |world| {
        let (group, hosts) = group_of(world, &["ada", "bob", "eve", "dan"]);
        for &host in &hosts {
            world.say_to(host, group, &format!("host {host} is here"), &hosts);
        }
        world.run_for(Duration::from_secs(20));
        let (&dan, honest) = hosts.split_last().expect("four hosts");
        let [ada, bob, eve] = honest[..] else { panic!("three others") };
        world.host(dan).liar = true;
        let dans = world.hosts()[dan].peer_id();
        let mut sent = 0;
        for second in 0..60_u64 {
            let mut batch = Vec::new();
            for nth in 0..20_u64 {
                let size = 1 + (second * 131 + nth * 977) % 4_000;
                let payload = Bytes::from(vec![nth as u8; size as usize]);
                batch.extend(world.make_up(dan, group, payload));
            }
            sent += batch.len();
            world.bring(dan, &batch);
            world.run_for(Duration::from_secs(1));
            if second % 10 == 5 {
                let speaker = [bob, eve, ada][second as usize / 10 % 3];
                world.say_to(speaker, group, &format!("second {second}"), honest);
            }
        }
        assert_eq!(sent, 1_200);
        assert_eq!(world.counts.misbehaved, 0, "what was within the quota is nobody's fault");
        for &host in honest {
            let held = of(world, host, group, dans);
            assert!((1..=RECORDS).contains(&held), "host {host} holds {held} of Dan's");
        }
        let (target, reason) = (Target::Peer(dans), Reason::Misconduct);
        let keep = Keep { members: false, records: false };
        let answer =
            world.ask(ada, Command::Group(group, GroupCommand::Revoke { target, reason, keep }));
        assert!(matches!(answer, Ok(Reply::Ok)), "{answer:?}");
        let everywhere =
            world.run_until(Duration::from_secs(60), |world| world.hosts()[dan].neighbours == 0);
        assert!(everywhere, "Dan has neighbours");
        world.run_for(Duration::from_secs(30));
        for &host in honest {
            let info = world.members(host, group).into_iter().find(|it| it.peer == dans);
            let revoked = info.is_none_or(|it| matches!(it.standing, Standing::Revoked { .. }));
            assert!(revoked, "host {host} has not heard of it");
            assert_eq!(of(world, host, group, dans), 0);
        }
        world.say_to(bob, group, "he is gone", honest);
    });
}

/// Goal: an honest member at its quota is told so and loses nothing; what it holds is the same everywhere. Method: Bob
/// publishes on two devices' worth of records, while a neighbour is away that comes back with the old ones.
#[test]
fn honest_member_at_its_quota_is_told_and_stores_agree() {
    each_seed("honest_member_at_its_quota_is_told_and_stores_agree", 10, |world| {
        let (group, hosts) = group_of(world, &["ada", "bob", "eve"]);
        let [ada, bob, eve] = hosts[..] else { panic!("three hosts") };
        let mut records = Vec::new();
        for n in 0..RECORDS {
            records.push(world.say(bob, group, &format!("record {n}")));
            if n == RECORDS / 2 {
                world.await_record(&[eve], records[n].id);
                world.stop(eve);
            }
        }
        let refused = world.publish(bob, group, draft("one too many"));
        assert_eq!(refused.map(|_| ()), Err(Error::Quota));
        world.start(eve);
        for record in &records {
            world.await_record(&[ada, eve], record.id);
        }
        let bobs = world.hosts()[bob].peer_id();
        for host in hosts {
            assert_eq!(of(world, host, group, bobs), RECORDS);
        }
        assert_eq!(world.counts.misbehaved, 0);
    });
}
