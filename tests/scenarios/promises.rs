//! Members who announce records that there are not: it costs those nothing who pass their word on.
use crate::each_seed;
use peergraph_core::id::GroupId;
use peergraph_tests::story::draft;
use peergraph_tests::{HostId, World};
use std::time::Duration;

/// Records of this size are never sent unasked: they come if their announcement is heard. Bytes.
const LARGE: usize = 20_000;
/// How long a record takes whose announcement is heard. Virtual.
const AT_ONCE: Duration = Duration::from_secs(3);

/// Publishes a large record. Whether all of `to` have it at once.
fn is_heard(world: &mut World, from: HostId, group: GroupId, to: &[HostId]) -> bool {
    let payload = vec![world.chance.within(0..256) as u8; LARGE];
    let record = world.publish(from, group, draft(payload)).expect("an honest publication");
    world.run_until(AT_ONCE, |world| to.iter().all(|&host| world.has_seen(host, record.id)))
}

/// R8. Goal: an honest relay of a member's promises keeps its links, and what it announces itself is heard; the member is
/// believed no longer. Method: Dan has one neighbour, Bob, to whom he announces six hundred records a second that never come.
/// Bob passes on what he must believe. All the while both publish records that others must ask for.
#[test]
fn promises_that_are_not_kept_cost_an_honest_relay_nothing() {
    each_seed("promises_that_are_not_kept_cost_an_honest_relay_nothing", 10, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "eve", "dan"]);
        let [ada, bob, eve, dan] = hosts[..] else { panic!("four hosts") };
        for &host in &hosts {
            world.say_to(host, group, &format!("host {host} is here"), &hosts);
        }
        world.block(dan, ada);
        world.block(dan, eve);
        let alone = world.run_until(Duration::from_secs(120), |world| {
            world.neighbours_of(dan, group) == [bob]
                && [ada, eve].iter().all(|&host| world.neighbours_of(host, group).contains(&bob))
        });
        assert!(alone, "Bob is between Dan and the others");
        assert!(is_heard(world, dan, group, &[ada, bob, eve]), "Dan is believed so far");

        world.host(dan).liar = true;
        let mut believed = 0;
        for second in 0..180 {
            world.promise(dan, 300);
            world.promise(dan, 300);
            world.run_for(Duration::from_secs(1));
            if second % 10 == 5 && second > 10 {
                believed += u32::from(is_heard(world, dan, group, &[bob]));
            }
            if second % 10 == 9 {
                assert!(is_heard(world, bob, group, &[ada, eve]), "Bob at second {second}");
            }
        }
        // Stores are compared now and then, which brings what nobody asks for.
        assert!(believed <= 4, "Dan was believed in {believed} of 17 looks");
        assert_eq!(world.counts.misbehaved, 0, "an honest link was closed");
        assert_eq!(world.counts.caught, 0, "promises are no fault");
        for host in [ada, eve] {
            assert!(world.neighbours_of(host, group).contains(&bob), "Bob lost host {host}");
        }
    });
}
