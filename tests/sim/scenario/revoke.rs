//! Revoke: the owner revokes a member of a crowd, which then does all it can to get records in.
//!
//! It puts back the copy of its disk from before, sets its clock back, dates records before the revocation and hands them to an
//! accomplice that was cut off when it was revoked; later it knocks at many doors and floods them with those records
//! without heeding any refusal. The accomplice is honest in this: it did not know. Nobody may take such a record in, or keep
//! it once the revocation is known; and no honest node may lose a link for passing one on.
use super::crowd::{Crowd, PAYLOAD_BYTES};
use super::{Scenario, Setup};
use crate::check::delivery::Reach;
use crate::check::refusal::Refusal;
use crate::host::HostId;
use crate::report::Report;
use crate::summary::percentile;
use peergraph_core::id::RecordId;
use peergraph_core::io::{Command, GroupCommand, Keep, Reply};
use peergraph_core::record::Signed;
use peergraph_core::roll::{Reason, Target};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a published record may take to everybody. Virtual.
const SETTLE_WITHIN: Duration = Duration::from_secs(300);
/// How long all may take to know. Virtual.
const REFUSED_WITHIN: Duration = Duration::from_secs(600);
/// How long the accomplice is away before the revocation: its neighbours may or may not have noticed. Virtual.
const AWAY_BEFORE: Duration = Duration::from_secs(5);
/// The victim dates its records so long before the revocation. Virtual.
const BACKDATED: Duration = Duration::from_secs(10);
/// Records that the victim's own program publishes by its clock that was set back, and records that it makes up.
const PLANTED: usize = 5;
/// Doors at which the victim knocks, one after another, at most.
const DOORS: usize = 50;
/// Between two knocks, and how long it goes on flooding afterwards. Virtual.
const KNOCK_EVERY: Duration = Duration::from_millis(500);
const FLOOD_ON: Duration = Duration::from_secs(30);
/// Between two looks of the flooding victim at its links. Virtual.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long the accomplice may take to be among the others again and to know. Virtual.
const HEALED_WITHIN: Duration = Duration::from_secs(600);
/// How long stores may take to be equal in the end. Virtual.
const QUIET: Duration = Duration::from_secs(60);

pub(super) const SCENARIO: Scenario = Scenario {
    name: "revoke",
    about: "A member is revoked, and tries everything to get backdated records in",
    records: 20,
    run,
};

/// Hosts of the story. The owner is the first, and has no part in it but to revoke.
const OWNER: HostId = 0;
const VICTIM: HostId = 1;
const ACCOMPLICE: HostId = 2;

fn run(setup: &Setup) -> Report {
    assert!(setup.nodes >= 4, "an owner, a victim, its accomplice, and somebody else");
    let (mut crowd, mut meter) = Crowd::gathered(setup, Duration::ZERO);
    let everybody = crowd.world.live();

    // The victim is on record everywhere, and so are others.
    for nth in 0..setup.records.max(2) {
        let sender = if nth % 2 == 0 { VICTIM } else { *crowd.world.chance.of(&everybody) };
        let _request = crowd.publish(sender);
        crowd.world.run_for(Duration::from_millis(200));
    }
    let reach = crowd.settle(0, SETTLE_WITHIN);
    let phase = meter.phase(&crowd.world, "before", crowd.published(), reach);
    setup.tell(|| phase.to_string());
    let rightful = records_of_victim(&crowd, OWNER);

    let honest: Vec<HostId> = everybody.iter().copied().filter(|&host| host != VICTIM).collect();
    let others: Vec<HostId> = honest.iter().copied().filter(|&host| host != ACCOMPLICE).collect();
    let sides = |apart: &[HostId]| -> Vec<u8> {
        everybody.iter().map(|host| u8::from(apart.contains(host))).collect()
    };
    crowd.world.partition(sides(&[ACCOMPLICE]));
    crowd.world.run_for(AWAY_BEFORE);
    let copy = crowd.world.hosts()[VICTIM].disk.copy();
    let revoked_at = revoke(&mut crowd);
    let knows = |crowd: &Crowd, host: HostId| crowd.world.refusal.as_ref()?.at(host);
    let mut left = others.clone();
    let all_know = |crowd: &mut Crowd, left: &mut Vec<HostId>, within| {
        crowd.world.run_until_every(100, within, |world| {
            let knows = |host| world.refusal.as_ref().is_some_and(|r| r.at(host).is_some());
            left.retain(|&host| !knows(host));
            left.is_empty()
        })
    };
    let told = all_know(&mut crowd, &mut left, REFUSED_WITHIN);
    assert!(told, "{} nodes do not know after {REFUSED_WITHIN:?}: {left:?}", left.len());
    let mut refused: Vec<f64> = others
        .iter()
        .filter_map(|&host| knows(&crowd, host))
        .map(|at| at.saturating_sub(revoked_at) as f64 / 1_000.0)
        .collect();
    refused.sort_by(f64::total_cmp);
    meter.note("refused_p50_ms", percentile(&refused, 0.5));
    meter.note("refused_p99_ms", percentile(&refused, 0.99));
    meter.note("refused_max_ms", refused.last().copied().unwrap_or(0.0));
    let cut_off = crowd.world.run_until(QUIET, |world| world.hosts()[VICTIM].neighbours == 0);
    assert!(cut_off, "the victim has neighbours {QUIET:?} after all know");
    let phase = meter.phase(&crowd.world, "revoke", 0, Reach::default());
    setup.tell(|| phase.to_string());

    // Life goes on; then the victim plants its records at the accomplice.
    let sender = *crowd.world.chance.of(&others);
    let _request = crowd.publish(sender);
    crowd.world.run_for(Duration::from_secs(2));
    let legitimate = crowd.published();
    crowd.world.partition(sides(&[VICTIM, ACCOMPLICE]));
    let lies = plant(&mut crowd, copy, revoked_at);
    let planted = records_of_victim(&crowd, ACCOMPLICE).difference(&rightful).count();
    meter.note("planted", planted as f64);
    assert_eq!(planted, 2 * PLANTED, "the accomplice, which did not know, took them all in");
    let phase = meter.phase(&crowd.world, "plant", planted, Reach::default());
    setup.tell(|| phase.to_string());

    // The accomplice comes back with them, the victim knocks everywhere.
    crowd.world.heal();
    crowd.world.block(VICTIM, ACCOMPLICE);
    let knocked = besiege(&mut crowd, &others, &lies);
    meter.note("knocked", knocked as f64);
    let mut left = vec![ACCOMPLICE];
    let told = all_know(&mut crowd, &mut left, HEALED_WITHIN);
    assert!(told, "the accomplice never hears of the revocation");
    // The accomplice did not know that the records which it passed on were bad. Even a late copy
    // costs it nothing.
    crowd.world.bring(ACCOMPLICE, &lies);
    crowd.world.run_for(QUIET);

    let seen = (others.len() * (crowd.published() - legitimate)) as u64
        - crowd.delivery().lacking(legitimate, crowd.published(), &others);
    let kept: usize = honest
        .iter()
        .map(|&host| records_of_victim(&crowd, host).difference(&rightful).count())
        .sum();
    meter.note("accepted_after", (seen as usize + kept) as f64);
    let missed = crowd.delivery().reach(0, legitimate, &honest).missed;
    let phase = meter.phase(&crowd.world, "siege", 0, Reach::default());
    setup.tell(|| phase.to_string());
    let mut compared = vec![ACCOMPLICE];
    compared.extend(others.iter().take(8));
    crowd.assert_equal_stores(&compared);
    meter.finish(setup, &crowd.world, missed)
}

/// The owner revokes the victim. Answers when that was acknowledged.
fn revoke(crowd: &mut Crowd) -> u64 {
    let victim = crowd.world.hosts()[VICTIM].peer_id();
    crowd.world.refusal = Some(Refusal::of(victim));
    let (target, reason, keep) = (Target::Peer(victim), Reason::Misconduct, Keep::ALL);
    let command = Command::Group(crowd.group, GroupCommand::Revoke { target, reason, keep });
    let answer = crowd.world.ask(OWNER, command);
    assert!(matches!(answer, Ok(Reply::Ok)), "the revocation was answered {answer:?}");
    crowd.world.hosts[VICTIM].liar = true;
    crowd.world.now
}

/// The ids of application records of the victim on the disk of a host.
fn records_of_victim(crowd: &Crowd, host: HostId) -> BTreeSet<RecordId> {
    let victim = crowd.world.hosts()[VICTIM].peer_id();
    let records = crowd.world.hosts()[host].disk.records(crowd.group);
    let of_victim =
        records.into_iter().filter(|record| !record.kind.is_reserved() && record.creator == victim);
    of_victim.map(|record| record.id).collect()
}

/// The victim, as it was before the revocation and by a clock from then, publishes at the accomplice. Answers all
/// that it made.
fn plant(
    crowd: &mut Crowd,
    copy: Vec<(bytes::Bytes, bytes::Bytes)>,
    revoked_at: u64,
) -> Vec<Signed> {
    let group = crowd.group;
    let mut before = BTreeSet::new();
    crowd.world.drop_node(VICTIM);
    let back = crowd.world.now - revoked_at + BACKDATED.as_micros() as u64;
    let this = crowd.world.host(VICTIM);
    this.disk.restore(copy);
    this.clock.offset_ms -= (back / 1_000) as i64;
    this.heedless = true;
    before.extend(this.disk.records(group).iter().map(|record| record.id));
    crowd.world.start(VICTIM);
    crowd.world.await_opened(VICTIM);
    // Among a thousand the two need not have met before; who conspires knows where the other is.
    let _request = crowd.world.point(VICTIM, ACCOMPLICE);
    let together = crowd
        .world
        .run_until(HEALED_WITHIN, |world| world.neighbours_of(VICTIM, group).contains(&ACCOMPLICE));
    assert!(together, "the victim does not find its accomplice");
    for _ in 0..PLANTED {
        let request = crowd.publish(VICTIM);
        crowd.world.run_until(QUIET, |world| world.is_answered(VICTIM, request));
        let answer = crowd.world.answer(VICTIM, request);
        assert!(matches!(answer, Some(Ok(Reply::Record(_)))), "the victim published: {answer:?}");
    }
    let made_up: Vec<Signed> = (0..PLANTED).map(|_| made_up(crowd)).collect();
    crowd.world.bring(VICTIM, &made_up);
    crowd.world.run_for(Duration::from_secs(10));
    let group = crowd.group;
    let mut lies = crowd.world.hosts()[VICTIM].disk.signed(group);
    lies.retain(|signed| {
        !before.contains(&signed.record().id) && !signed.record().kind.is_reserved()
    });
    lies.extend(made_up);
    lies
}

/// A record that says that it was made before the revocation.
fn made_up(crowd: &mut Crowd) -> Signed {
    let (now, hosts) = (crowd.world.now, crowd.world.hosts().len());
    let delivery = crowd.world.delivery.as_mut().expect("a crowd tracks its records");
    let payload = delivery.publish(VICTIM, now, hosts, PAYLOAD_BYTES);
    crowd.world.make_up(VICTIM, crowd.group, payload).expect("the victim has published")
}

/// The victim knocks at doors, and floods every node that lets it speak. Returns over how many
/// links it did.
fn besiege(crowd: &mut Crowd, others: &[HostId], lies: &[Signed]) -> usize {
    let mut doors = others.to_vec();
    crowd.world.chance.shuffle(&mut doors);
    doors.truncate(DOORS);
    let mut spoken = BTreeSet::new();
    let mut speak = |crowd: &mut Crowd, span: Duration| {
        let end = crowd.world.time() + span;
        while crowd.world.time() < end {
            crowd.world.run_for(LOOK_EVERY);
            spoken.extend(crowd.world.bring(VICTIM, lies));
        }
    };
    for door in doors {
        let _request = crowd.world.point(VICTIM, door);
        speak(crowd, KNOCK_EVERY);
    }
    speak(crowd, FLOOD_ON);
    spoken.len()
}
