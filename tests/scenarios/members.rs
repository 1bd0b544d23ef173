//! Members that do what their membership does not let them, and one that has none any longer.
use crate::changes::wiki;
use crate::each_seed;
use peergraph_core::error::{BadRecord, Misbehaved};
use peergraph_core::id::GroupId;
use peergraph_core::io::Event;
use peergraph_core::record::{Record, RecordType};
use peergraph_tests::liar::{Act, Origin, Pretence};
use peergraph_tests::scenario::{self, Knobs, Setup};
use peergraph_tests::{HostId, World};
use std::collections::BTreeSet;
use std::time::Duration;

const NAMES: [&str; 4] = ["ada", "bob", "eve", "dan"];

/// For what the sender of a pretence loses its link.
fn fault_of(pretence: Pretence) -> BadRecord {
    match pretence {
        Pretence::ForeignId => BadRecord::ForeignId,
        Pretence::Counterfeit | Pretence::OtherGroup => BadRecord::Signature,
        Pretence::Impersonate
        | Pretence::BorrowCertificate
        | Pretence::Outlive
        | Pretence::Predate
        | Pretence::Issue
        | Pretence::Redeem
        | Pretence::Squat => BadRecord::Certificate,
        Pretence::Bury | Pretence::Unjoin => BadRecord::Modifier,
        Pretence::Rename | Pretence::Invite => BadRecord::Right,
        Pretence::Revoke => BadRecord::NotSenior,
        Pretence::Present => BadRecord::NotIssuer,
        Pretence::NoSuchType => BadRecord::Type,
    }
}

/// All that the honest hold but presence, which comes and goes.
fn held(world: &World, hosts: &[HostId], group: GroupId) -> Vec<Vec<Record>> {
    let lasting = |record: &Record| {
        ![RecordType::PRESENCE, RecordType::CONTACT].contains(&record.kind.as_str())
    };
    let of = |&host: &HostId| {
        let records = world.hosts()[host].disk.records(group);
        records.into_iter().filter(lasting).collect()
    };
    hosts.iter().map(of).collect()
}

/// A group in which Dan tells one lie, after all have published. Answers the faults that the honest told of, and demands
/// that they hold what they held, and go on.
fn one_lie(world: &mut World, act: Act) -> BTreeSet<Misbehaved> {
    let (group, hosts) = world.group_of(&NAMES);
    one_lie_in(world, group, &hosts, act)
}

/// The same in a group that is there.
fn one_lie_in(
    world: &mut World,
    group: GroupId,
    hosts: &[HostId],
    act: Act,
) -> BTreeSet<Misbehaved> {
    let [honest @ .., dan] = hosts else { panic!("four hosts") };
    for &host in hosts {
        world.say_to(host, group, &format!("host {host} is here"), hosts);
    }
    // Acknowledgements and syncs of what was said are over.
    world.run_for(Duration::from_secs(20));
    world.host(*dan).liar = true;
    let before = held(world, honest, group);
    let infos: Vec<_> = honest.iter().map(|&host| world.info(host, group)).collect();
    assert!(world.lie(*dan, group, act), "{act:?} could be told");
    world.run_for(Duration::from_secs(5));
    assert_eq!(held(world, honest, group), before, "{act:?} changed a store");
    for (&host, info) in honest.iter().zip(&infos) {
        assert_eq!(world.info(host, group).name, info.name);
    }
    assert_eq!(world.counts.misbehaved, 0, "{act:?} cost an honest link");
    let told = honest.iter().flat_map(|&host| &world.hosts()[host].events);
    let faults = told
        .filter_map(|(_, event)| match event {
            Event::PeerMisbehaved { fault, .. } => Some(*fault),
            _ => None,
        })
        .collect();
    world.say_to(honest[1], group, "we go on", honest);
    faults
}

#[test]
fn each_pretence_is_refused_for_what_it_is() {
    for pretence in Pretence::ALL {
        each_seed("each_pretence_is_refused_for_what_it_is", 5, |world| {
            let faults = one_lie(world, Act::Pretend(pretence));
            let expected = Misbehaved::Record(fault_of(pretence));
            assert_eq!(faults, BTreeSet::from([expected]), "{pretence:?}");
        });
    }
}

#[test]
fn each_lie_about_an_origin_is_refused_for_what_it_is() {
    for origin in Origin::ALL {
        each_seed("each_lie_about_an_origin_is_refused_for_what_it_is", 5, |world| {
            let (group, hosts) = wiki(world, &NAMES);
            let faults = one_lie_in(world, group, &hosts, Act::Begin(origin));
            let fault = match origin {
                Origin::Shorter => BadRecord::Life,
                Origin::Missing
                | Origin::Foreign
                | Origin::OtherVersion
                | Origin::Earlier
                | Origin::Countersigned
                | Origin::Distorted
                | Origin::Invented => BadRecord::Beginning,
            };
            assert_eq!(faults, BTreeSet::from([Misbehaved::Record(fault)]), "{origin:?}");
        });
    }
}

#[test]
fn member_that_connects_with_anothers_membership_loses_its_link() {
    each_seed("member_that_connects_with_anothers_membership_loses_its_link", 20, |world| {
        let faults = one_lie(world, Act::Masquerade);
        assert_eq!(faults, BTreeSet::from([Misbehaved::Membership]));
    });
}

/// An honest node that begins a sync has something to compare. A member that could begin and end a
/// sync at once could make us look through our records as often as it likes.
#[test]
fn sync_that_compares_nothing_costs_its_link() {
    each_seed("sync_that_compares_nothing_costs_its_link", 20, |world| {
        assert_eq!(one_lie(world, Act::Hollow), BTreeSet::from([Misbehaved::Sync]));
    });
}

/// A member that passes on an old record, one from a clock that is ahead, or one of a member who is
/// not known yet, may be honest.
#[test]
fn what_an_honest_member_could_send_is_refused_in_silence() {
    let silent = [Act::Repeat, Act::Rollback, Act::Future, Act::Past, Act::Nobody];
    for act in silent.into_iter().chain(Act::EXCESSES) {
        each_seed("what_an_honest_member_could_send_is_refused_in_silence", 5, |world| {
            assert_eq!(one_lie(world, act), BTreeSet::new(), "{act:?}");
        });
    }
}

#[test]
fn nothing_of_a_revoked_member_is_accepted_later() {
    let scenario = scenario::named("revoke").expect("it is one of ours");
    for seed in 0..4 {
        let knobs = Knobs { crypto: scenario::Crypto::Full, ..Knobs::default() };
        let report = scenario::run(&Setup { knobs, ..Setup::new(scenario, 12, seed, None) });
        assert_eq!((report.missed, report.misbehaved), (0, 0), "seed {seed}");
        assert_eq!(report.measures["accepted_after"], 0.0, "seed {seed}");
        assert!(report.measures["planted"] > 0.0 && report.measures["knocked"] > 0.0);
        assert!(report.measures["refused_max_ms"] < 5_000.0, "{:?}", report.measures);
    }
}
