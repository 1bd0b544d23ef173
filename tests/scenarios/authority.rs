//! The effects of one member's word on others who never agreed to it.
//!
//! Each story tells what it saw, and fails if a member lost something by a word that was not its
//! own.
use crate::world;
use bytes::Bytes;
use peergraph_core::cert::Role;
use peergraph_core::id::{CertificateId, GroupId, NodeId, PeerId, RecordId};
use peergraph_core::identity::PublicKey;
use peergraph_core::invitation::BearerSecret;
use peergraph_core::io::{
    Command, Event, GroupCommand, Keep, MemberInfo, NodeInfo, Properties, Reply,
};
use peergraph_core::policy::Policy;
use peergraph_core::record::{Record, RecordType};
use peergraph_core::roll::{Reason, Standing, Target};
use peergraph_tests::host::rtc_address;
use peergraph_tests::liar::{Came, Claim};
use peergraph_tests::{HostId, Kind, World};
use std::collections::BTreeMap;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// Tells a story for several seeds, prints what it saw, and fails at the end if any seed saw something wrong.
fn tell(test: &str, count: u64, story: impl Fn(&mut World, &mut Vec<String>)) {
    let only: Option<u64> = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let mut wrong = Vec::new();
    for seed in only.map_or(0..count, |seed| seed..seed + 1) {
        let mut found = Vec::new();
        story(&mut world(test, seed), &mut found);
        wrong.extend(found.into_iter().map(|what| format!("seed {seed}: {what}")));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

macro_rules! saw {
    ($world:expr, $($what:tt)*) => {
        eprintln!("  seed {} at {:>8.1} s: {}", $world.seed(), $world.time().as_secs_f64(), format!($($what)*))
    };
}

fn peer(world: &World, host: HostId) -> PeerId {
    world.hosts()[host].peer_id()
}

fn ok(answer: Result<Reply, peergraph_core::error::Error>) {
    assert!(matches!(answer, Ok(Reply::Ok)), "{answer:?}");
}

fn member(world: &mut World, at: HostId, group: GroupId, who: HostId) -> MemberInfo {
    let who = peer(world, who);
    let members = world.members(at, group);
    members.into_iter().find(|member| member.peer == who).expect("a member")
}

fn promote(world: &mut World, at: HostId, group: GroupId, who: HostId, role: Role) {
    let who = peer(world, who);
    ok(world.ask(at, Command::Group(group, GroupCommand::Issue { peer: who, grant: role.into() })));
    world.run_for(SOON);
}

/// A map in CBOR whose keys count from 0.
fn map(values: &[Vec<u8>]) -> Bytes {
    let mut bytes = vec![0xa0 | values.len() as u8];
    for (key, value) in (0..).zip(values) {
        bytes.push(key);
        bytes.extend_from_slice(value);
    }
    Bytes::from(bytes)
}

/// `liar` publishes a redemption by its own word.
fn redeem(world: &mut World, group: GroupId, liar: HostId, invitation: RecordId, came: Came) {
    let key = BearerSecret::from_bytes([7; 16]).public_key();
    let signed = world.redemption_by(liar, group, invitation, key, came).expect("it has published");
    world.bring(liar, std::slice::from_ref(&signed));
}

/// Ada's group: Bob an administrator, Eve one who invites, both made by Ada; Dan let in by Ada, Cem by Bob. All have published.
struct Court {
    group: GroupId,
    /// Ada, Bob, Cem, Dan, Eve.
    hosts: [HostId; 5],
}

const NAMES: [&str; 5] = ["ada", "bob", "cem", "dan", "eve"];

impl Court {
    fn gather(world: &mut World) -> Self {
        let (group, hosts) = world.group_of(&["ada", "bob", "dan", "eve"]);
        let [ada, bob, dan, eve] = hosts[..] else { panic!("four hosts") };
        for &host in &hosts {
            world.say_to(host, group, &format!("host {host} is here"), &hosts);
        }
        promote(world, ada, group, bob, Role::Administrator);
        promote(world, ada, group, eve, Role::Inviting);
        let cem = world.native("cem");
        world.let_in(bob, group, cem, &[ada, bob]);
        let all = [ada, bob, cem, dan, eve];
        world.say_to(bob, group, "bob as administrator", &all);
        world.say_to(eve, group, "eve as inviting member", &all);
        for number in 0..3 {
            world.say_to(cem, group, &format!("cem {number}"), &all);
        }
        world.run_for(SOON);
        world.host(eve).liar = true;
        Self { group, hosts: all }
    }

    fn seen(&self, world: &mut World, at: HostId) -> String {
        let members = world.members(at, self.group);
        let standing = |(name, who): (&str, HostId)| {
            let who = peer(world, who);
            let how = match members.iter().find(|member| member.peer == who) {
                Some(MemberInfo { standing: Standing::Member, grant, .. }) => {
                    format!("{:?}", grant.role)
                }
                Some(MemberInfo { standing: Standing::Revoked { reason, .. }, .. }) => {
                    format!("OUT({reason:?})")
                }
                other => format!("{other:?}"),
            };
            format!("{name} {how}")
        };
        let all: Vec<String> = NAMES.into_iter().zip(self.hosts).map(standing).collect();
        format!("{}; {} texts", all.join(", "), world.texts(at, self.group).len())
    }

    /// The members that are no longer what they were, in the eyes of `at`. Eve does not count.
    fn fallen(&self, world: &mut World, at: HostId) -> Vec<String> {
        let was = [Role::Administrator, Role::Administrator, Role::Member, Role::Member];
        let is = |world: &mut World, host| {
            let member = member(world, at, self.group, host);
            (member.standing, member.grant.role)
        };
        let mut fallen = Vec::new();
        for ((name, host), was) in NAMES.into_iter().zip(self.hosts).zip(was) {
            let (standing, role) = is(world, host);
            if standing != Standing::Member {
                fallen.push(format!("{name} is out"));
            } else if role != was {
                fallen.push(format!("{name} is {role:?}, was {was:?}"));
            }
        }
        fallen
    }
}

/// B1. A forged redemption: a use too many of an invitation that never was, with a certificate that
/// another holds.
fn forged_redemption(
    world: &mut World,
    wrong: &mut Vec<String>,
    (uses, whose, keep): (u8, usize, Keep),
) {
    let court = Court::gather(world);
    let Court { group, hosts: [ada, bob, cem, _, eve] } = court;
    let victim = court.hosts[whose];
    let witness = [bob, ada][whose];
    saw!(world, "before, at ada: {}", court.seen(world, ada));
    let texts = world.texts(ada, group).len();
    // An invitation of hers with so many uses, and a use too many. First by those whom she lets in herself, so that all of
    // it is genuine; then one whose certificate the victim holds.
    let secret = BearerSecret::from_bytes([7; 16]);
    let open =
        world.invitation_by(eve, group, secret.public_key(), uses.max(1)).expect("published");
    world.bring(eve, std::slice::from_ref(&open));
    let invitation = open.record().id;
    let mut forged = 0;
    for _ in 0..=uses {
        redeem(world, group, eve, invitation, Came::Puppet);
        world.run_for(Duration::from_secs(2));
        forged += 1;
    }
    let victims = peer(world, victim);
    for _ in 0..3 {
        redeem(world, group, eve, invitation, Came::Another(victims));
        world.run_for(SOON);
        forged += 1;
        saw!(world, "{forged} redemptions, {uses} uses; at ada: {}", court.seen(world, ada));
    }
    saw!(world, "at bob: {}", court.seen(world, bob));
    saw!(world, "at cem: {}", court.seen(world, cem));
    let neighbours = court.hosts.map(|host| world.hosts()[host].neighbours);
    let withdrawn = world.hosts()[ada].events.iter();
    let withdrawn = withdrawn.filter(|(_, event)| matches!(event, Event::Withdrawn { .. })).count();
    let caught = world.counts.caught;
    saw!(
        world,
        "neighbours {neighbours:?}; ada told of {withdrawn} withdrawn; faults of eve seen: {caught}"
    );
    let fallen = court.fallen(world, witness);
    if !fallen.is_empty() {
        wrong.push(format!("uses {uses}: {}", fallen.join(", ")));
    }
    let lost = texts - world.texts(witness, group).len();
    if lost > 0 {
        wrong.push(format!("uses {uses}: {lost} of {texts} texts are gone"));
    }
    // Healing.
    let eves = peer(world, eve);
    let mut acts = vec![("eve revoked", Some(keep))];
    if keep == Keep::ALL {
        acts.push(("eve revoked once more", Some(Keep::NOTHING)));
        acts.push(("eve taken back", None));
        acts.push(("eve revoked then", Some(Keep::NOTHING)));
    }
    for (what, keep) in acts {
        let (target, reason) = (Target::Peer(eves), Reason::Misconduct);
        let command = match keep {
            Some(keep) => Command::Group(group, GroupCommand::Revoke { target, reason, keep }),
            None => Command::Group(group, GroupCommand::Reinstate { peer: eves }),
        };
        let answer = world.ask(ada, command).map(|_| "done");
        world.run_for(SOON * 5);
        let kept = keep.map(|keep| if keep == Keep::ALL { "all kept" } else { "nothing kept" });
        saw!(world, "{what}, {kept:?}: {answer:?}; at ada: {}", court.seen(world, ada));
        let fallen = [ada, bob].map(|at| court.fallen(world, at));
        if fallen.iter().any(|fallen| !fallen.is_empty()) {
            wrong.push(format!("{what}, {kept:?}, {answer:?}: at ada and bob {fallen:?}"));
        }
    }
    saw!(world, "at the end, at bob: {}", court.seen(world, bob));
}

#[test]
fn b1_redemption_by_an_inviting_member_unseats_nobody() {
    tell("b1_redemption_by_an_inviting_member_unseats_nobody", 3, |world, wrong| {
        forged_redemption(world, wrong, (0, 1, Keep::ALL));
    });
}

#[test]
fn b1_redemption_with_one_use_unseats_nobody() {
    tell("b1_redemption_with_one_use_unseats_nobody", 3, |world, wrong| {
        forged_redemption(world, wrong, (1, 1, Keep::NOTHING));
    });
}

#[test]
fn b1_redemption_of_the_creators_certificate_unseats_nobody() {
    tell("b1_redemption_of_the_creators_certificate_unseats_nobody", 3, |world, wrong| {
        forged_redemption(world, wrong, (0, 0, Keep::ALL));
    });
}

#[test]
fn b1_creator_unseated_by_a_redemption_is_healed_by_a_revocation_that_keeps_nothing() {
    tell(
        "b1_creator_unseated_by_a_redemption_is_healed_by_a_revocation_that_keeps_nothing",
        3,
        |world, wrong| {
            forged_redemption(world, wrong, (0, 0, Keep::NOTHING));
        },
    );
}

/// B1, the other way round: a use that never was, of an invitation that Bob made.
#[test]
fn b1_invitation_is_used_up_by_those_who_came_only() {
    tell("b1_invitation_is_used_up_by_those_who_came_only", 3, |world, wrong| {
        let Court { group, hosts: [ada, bob, _, _, eve] } = Court::gather(world);
        let mut invitation = world.invite_bearer(bob, group, 1, HOUR);
        invitation.addresses = vec![rtc_address(ada), rtc_address(bob)];
        world.run_for(Duration::from_secs(10));
        let of_invitation = |record: &Record| record.kind.as_str() == RecordType::INVITATION;
        let open = world.hosts()[eve].disk.records(group).into_iter().find(of_invitation);
        let open = open.expect("an invitation is for all to read");
        // Its key: the first field.
        let at = open.payload.windows(2).position(|at| at == [0x58, 0x20]).expect("a key") + 2;
        let key = PublicKey::from_bytes(open.payload[at..at + 32].try_into().expect("32 bytes"));
        let key = key.expect("a key");
        // With a proof that does not hold, and with none.
        for came in [Came::Puppet, Came::Unproved] {
            let signed = world.redemption_by(eve, group, open.id, key, came).expect("published");
            world.bring(eve, std::slice::from_ref(&signed));
        }
        world.run_for(Duration::from_secs(10));
        let Ok(Reply::Invitations(open)) =
            world.ask(bob, Command::Group(group, GroupCommand::Invitations))
        else {
            panic!("a list of invitations");
        };
        let used: Vec<_> = open.iter().map(|open| (open.uses, open.used)).collect();
        let fay = world.native("fay");
        let joined = world.join(fay, invitation);
        saw!(
            world,
            "uses and used at bob {used:?}; fay, who has the link: {joined:?}; faults seen {}",
            world.counts.caught
        );
        if joined.is_err() {
            wrong.push(format!("the invitation says {used:?} and answers {joined:?}"));
        }
    });
}

/// B2. Ada, who made the group, is there for five terms; so are those that she let in, those that she promoted, and one whom
/// an administrator let in.
#[test]
fn b2_memberships_are_renewed_every_time() {
    tell("b2_memberships_are_renewed_every_time", 3, |world, wrong| {
        let ada = world.native("ada");
        let mut policy = Policy::default();
        policy.membership_lifetime = HOUR;
        let group = world.create_group_under(ada, "brief", policy);
        let [bob, dan, eve] = ["bob", "dan", "eve"].map(|name| {
            let host = world.native(name);
            world.let_in(ada, group, host, &[ada]);
            host
        });
        let all = [ada, bob, dan, eve];
        for host in all {
            world.say_to(host, group, &format!("host {host} is here"), &all);
        }
        promote(world, ada, group, dan, Role::Administrator);
        world.say_to(dan, group, "dan as administrator", &all);
        let cem = world.native("cem");
        world.let_in(dan, group, cem, &[ada, dan]);
        world.say_to(cem, group, "cem is here", &all);
        if std::env::var_os("RESTART").is_some() {
            // A node that joined in this run of its program looks for memberships to renew only
            // from its next start on.
            world.stop(dan);
            world.start(dan);
            world.await_opened(dan);
            world.await_synced(dan);
        }
        let began = world.time();
        let watched = [
            ("bob, let in by ada", bob),
            ("dan, promoted by ada", dan),
            ("cem, let in by dan", cem),
        ];
        let mut seen_at: BTreeMap<HostId, Vec<(u64, CertificateId, PeerId)>> = BTreeMap::new();
        let mut out: BTreeMap<HostId, u64> = BTreeMap::new();
        while world.time() - began < HOUR * 5 {
            world.run_for(SOON * 3);
            let minutes = (world.time() - began).as_secs() / 60;
            for (_, host) in watched {
                let info = member_or_none(world, ada, group, host);
                let Some(info) = info else {
                    out.entry(host).or_insert(minutes);
                    continue;
                };
                let seen = seen_at.entry(host).or_default();
                if seen.last().is_none_or(|last| last.1 != info.certificate) {
                    seen.push((minutes, info.certificate, info.issuer));
                }
                if info.standing != Standing::Member {
                    out.entry(host).or_insert(minutes);
                }
            }
        }
        for (name, host) in watched {
            let issuers: Vec<String> = seen_at[&host]
                .iter()
                .map(|&(at, _, issuer)| {
                    let by = match () {
                        () if issuer == PeerId::from(group) => "group key",
                        () if issuer == peer(world, ada) => "ada",
                        () if issuer == peer(world, dan) => "dan",
                        () => "another",
                    };
                    format!("{at} min by {by}")
                })
                .collect();
            let own = world.info(host, group).standing;
            saw!(
                world,
                "{name}: certificates at {issuers:?}; out at {:?} min of 300; says itself {own:?}",
                out.get(&host)
            );
            if let Some(at) = out.get(&host) {
                wrong.push(format!(
                    "{name} is no member after {at} min of 300, renewed {} times",
                    seen_at[&host].len() - 1
                ));
            }
        }
    });
}

fn member_or_none(
    world: &mut World,
    at: HostId,
    group: GroupId,
    who: HostId,
) -> Option<MemberInfo> {
    let who = peer(world, who);
    world.members(at, group).into_iter().find(|member| member.peer == who)
}

/// The presence of a node, with no address.
fn presence(nonce: &[u8]) -> Bytes {
    map(&[[&[0x50], nonce].concat(), vec![0x80]])
}

fn listed(world: &mut World, at: HostId, group: GroupId, node: NodeId) -> Option<NodeInfo> {
    world.nodes(at, group).into_iter().find(|info| info.node == node)
}

/// B3. Eve says that she is Bob's node, then that she is not.
#[test]
fn b3_presence_speaks_for_ones_own_node_only() {
    tell("b3_presence_speaks_for_ones_own_node_only", 3, |world, wrong| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cem", "eve"]);
        let [ada, bob, cem, eve] = hosts[..] else { panic!("four hosts") };
        for &host in &hosts {
            world.say_to(host, group, &format!("host {host} is here"), &hosts);
        }
        world.run_for(SOON);
        world.host(eve).liar = true;
        let bobs = world.node_id(bob);
        let (disk, bobs_peer) = (&world.hosts()[cem].disk, peer(world, bob));
        let is_his = |record: &Record| {
            record.creator == bobs_peer && record.kind.as_str() == RecordType::PRESENCE
        };
        let his = disk.records(group).into_iter().find(is_his).expect("he says that he is here");
        // A map whose first value is a byte string of 16.
        let nonce = his.payload[3..19].to_vec();
        let names: BTreeMap<PeerId, &str> =
            [("ada", ada), ("bob", bob), ("cem", cem), ("eve", eve)]
                .into_iter()
                .map(|(n, h)| (peer(world, h), n))
                .collect();
        let describe = |info: Option<NodeInfo>| {
            info.map_or("nobody".to_owned(), |info| {
                format!("{} with {} addresses", names[&info.peer], info.addresses.len())
            })
        };
        saw!(
            world,
            "before, bob's node is listed at cem as {}",
            describe(listed(world, cem, group, bobs))
        );
        let kind = RecordType::PRESENCE;
        let lifetime = Duration::from_secs(300);
        let mut last: Option<Record> = None;
        let mut say = |world: &mut World, deleted: bool| {
            let payload = if deleted { Bytes::new() } else { presence(&nonce) };
            let claim =
                Claim { kind, random: bobs.0, payload, replaces: last.as_ref(), deleted, lifetime };
            let signed = world.claim(eve, group, &claim).expect("eve has published");
            world.bring(eve, std::slice::from_ref(&signed));
            last = Some(signed.into_record());
        };
        say(world, false);
        world.run_for(Duration::from_secs(3));
        let now = [ada, bob, cem].map(|at| describe(listed(world, at, group, bobs)));
        saw!(world, "eve names bob's node: listed at ada, bob, cem as {now:?}");
        let bobs_nodes = member(world, cem, group, bob).nodes.len();
        let eves_nodes = member(world, cem, group, eve).nodes.len();
        saw!(world, "members at cem: bob has {bobs_nodes} nodes, eve {eves_nodes}");
        if listed(world, cem, group, bobs).map(|info| info.peer) != Some(peer(world, bob)) {
            wrong.push(format!("bob's node is listed as {now:?}"));
        }
        say(world, true);
        world.run_for(Duration::from_secs(3));
        let now = [ada, bob, cem].map(|at| describe(listed(world, at, group, bobs)));
        saw!(world, "eve takes it back: listed at ada, bob, cem as {now:?}");
        if listed(world, cem, group, bobs).is_none() {
            wrong.push("bob's node is hidden".to_owned());
        }
        let mut back = None;
        let began = world.time();
        while back.is_none() && world.time() - began < SOON * 10 {
            world.run_for(Duration::from_secs(5));
            back = listed(world, cem, group, bobs).map(|_| (world.time() - began).as_secs());
        }
        saw!(world, "bob's own renewal shows it again after {back:?} s");
        // Again and again.
        let (mut hidden, mut samples) = (0, 0);
        for _ in 0..120 {
            say(world, false);
            world.run_for(Duration::from_secs(1));
            say(world, true);
            world.run_for(Duration::from_secs(4));
            samples += 1;
            hidden += usize::from(listed(world, cem, group, bobs).is_none());
        }
        let faults = world.counts.caught;
        saw!(
            world,
            "said and taken back every 5 s: hidden in {hidden} of {samples} looks; {faults} faults of eve were seen"
        );
    });
}

/// B4. Eve introduces herself with Bob's node id to Ada, who is the only one whom Bob reaches.
#[test]
fn b4_neighbour_is_not_dropped_for_one_who_claims_its_node() {
    tell("b4_neighbour_is_not_dropped_for_one_who_claims_its_node", 3, |world, wrong| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cem", "eve"]);
        let [ada, bob, cem, eve] = hosts[..] else { panic!("four hosts") };
        // Nobody says that it is here: what follows has nothing to do with presence.
        let properties =
            Properties { name: "talk".into(), comment: String::new(), presence_max: 0 };
        ok(world.ask(ada, Command::Group(group, GroupCommand::SetProperties { properties })));
        world.run_for(SOON);
        world.block(bob, cem);
        world.block(bob, eve);
        world.run_for(SOON);
        for &host in &hosts {
            world.say_to(host, group, &format!("host {host} is here"), &hosts);
        }
        world.run_for(SOON * 3);
        saw!(
            world,
            "before: neighbours of bob {:?}, of ada {:?}",
            world.neighbours_of(bob, group),
            world.neighbours_of(ada, group)
        );
        world.stop(eve);
        world.run_for(SOON);
        world.host(eve).liar = true;
        let (bobs, bob_node) = (peer(world, bob), world.node_id(bob));
        let lost = |world: &World, at: HostId, whom: PeerId, from: u64| -> Vec<f64> {
            let events = world.hosts()[at].events.iter();
            let lost = events.filter(|(when, event)| {
                *when >= from
                    && matches!(event, Event::Neighbour { peer, up: false, .. } if *peer == whom)
            });
            lost.map(|(when, _)| (*when - from) as f64 / 1e6).collect()
        };
        let began = world.time().as_micros() as u64;
        world.start_as(eve, bob);
        world.await_opened(eve);
        // She shows the nonce of Bob's node.
        assert_ne!(world.node_id(eve), bob_node, "it makes another node of her");
        world.point(eve, ada);
        let dropped = world.run_until(SOON * 2, |world| !lost(world, ada, bobs, began).is_empty());
        saw!(
            world,
            "ada dropped bob: {dropped}, {:?} s after eve began; bob counts {} neighbours, ada {}",
            lost(world, ada, bobs, began),
            world.hosts()[bob].neighbours,
            world.hosts()[ada].neighbours
        );
        if dropped {
            wrong.push("ada dropped bob for eve".to_owned());
        }
        let adas = peer(world, ada);
        let bob_knew = !lost(world, bob, adas, began).is_empty();
        let said = world.time();
        let record = world.say(bob, group, "does anybody hear me?");
        let heard = world.run_until(SOON * 10, |world| world.has_seen(ada, record.id));
        let after = (world.time() - said).as_secs_f64();
        saw!(
            world,
            "bob knew when he published: {bob_knew}; ada has his record: {heard}, after {after:.1} s"
        );
        if !heard || after > 5.0 {
            wrong.push(format!("bob's record took {after:.1} s to ada, or never came ({heard})"));
        }
        // Both go on, as honest programs do.
        let span = SOON * 10;
        let before = lost(world, ada, bobs, began).len();
        let mut late = Vec::new();
        let end = world.time() + span;
        let mut number = 0;
        while world.time() < end {
            number += 1;
            let said = world.time();
            let record = world.say(bob, group, &format!("number {number}"));
            let heard = world.run_until(SOON * 5, |world| world.has_seen(ada, record.id));
            late.push(if heard { (world.time() - said).as_secs_f64() } else { f64::INFINITY });
            world.run_for(Duration::from_secs(5));
        }
        let drops = lost(world, ada, bobs, began).len() - before;
        let worst = late.iter().copied().fold(0.0, f64::max);
        let slow = late.iter().filter(|after| **after > 2.0).count();
        let faults = world.counts.caught;
        saw!(
            world,
            "in the next {} s ada dropped bob {drops} times; {slow} of {} records of bob took over 2 s, the worst {worst:.1} s; {faults} faults of eve were seen",
            span.as_secs(),
            late.len()
        );
    });
}

/// The description that a simulated transport makes: a link of `host`, which nobody will answer with a wire.
fn offer_of(host: HostId, attempt: u64) -> Vec<u8> {
    format!("{{\"type\":\"offer\",\"sdp\":\"sim {host} 0 {attempt} \"}}").into_bytes()
}

/// Ada and Bob in browsers, Cem and Eve beside them; Ada and Bob cannot reach each other yet.
fn apart(world: &mut World) -> (GroupId, [HostId; 4]) {
    let cem = world.native("cem");
    let group = world.create_group(cem, "talk");
    let (ada, bob) = (world.browser("ada"), world.browser("bob"));
    world.block(ada, bob);
    let eve = world.add_stopped(Kind::Native, "eve");
    world.record(eve);
    world.start(eve);
    world.await_opened(eve);
    for host in [eve, ada, bob] {
        let mut invitation = world.invite_bound(cem, group, host, Role::Member);
        invitation.addresses = vec![rtc_address(cem)];
        assert_eq!(world.join(host, invitation), Ok(group));
        world.await_synced(host);
    }
    let all = [ada, bob, cem, eve];
    for host in all {
        world.say_to(host, group, &format!("host {host} is here"), &all);
    }
    world.run_for(SOON * 3);
    (group, [ada, bob, cem, eve])
}

/// B5. Eve signals to Ada as if she were Bob's node.
#[test]
fn b5_answer_to_a_signal_does_not_go_to_who_only_says_whose_it_is() {
    tell("b5_answer_to_a_signal_does_not_go_to_who_only_says_whose_it_is", 3, |world, wrong| {
        let (group, [ada, bob, cem, eve]) = apart(world);
        world.host(eve).liar = true;
        let (adas, bobs) = (world.node_id(ada), world.node_id(bob));
        let near = world.neighbours_of(ada, group);
        saw!(world, "neighbours of ada {near:?} (bob {bob}, cem {cem}, eve {eve})");
        let attempt = 0x0bad_0bad_0bad_0bad;
        let before = world.recording().frames().len();
        let said = world.signal_in_the_name_of(
            group,
            (eve, ada),
            (bobs, adas),
            attempt,
            &offer_of(eve, attempt),
        );
        world.run_for(Duration::from_secs(5));
        let words = [adas.0, bobs.0, attempt].map(u64::to_be_bytes).concat();
        let answers = world.recording().frames().into_iter().skip(before).filter(|frame| {
            frame.get(1) == Some(&47) && frame.len() > 28 && frame[4..28] == words[..]
        });
        let answers = answers.count();
        saw!(
            world,
            "said: {said}; ada's answers to bob's node that came to eve: {answers}; faults seen: {}",
            world.counts.caught
        );
        if answers > 0 {
            wrong.push(format!("{answers} answers for bob went to eve"));
        }
    });
}

/// B5. How long Ada and Bob take to each other once they can: with Eve honest, with Eve who carries no signals, with Eve who
/// says that she is the other one, and with Eve who does both.
#[test]
fn b5_offers_reach_whom_they_are_for() {
    tell("b5_offers_reach_whom_they_are_for", 3, |first, wrong| {
        let seed = first.seed();
        let mut took = Vec::new();
        for (swallows, lies) in [(false, false), (true, false), (false, true), (true, true)] {
            let world = &mut world("b5_offers_reach_whom_they_are_for", seed);
            let (group, [ada, bob, _, eve]) = apart(world);
            world.host(eve).liar = true;
            world.host(eve).swallows_signals = swallows;
            let (adas, bobs) = (world.node_id(ada), world.node_id(bob));
            let mut attempt = (seed + 1) << 32;
            let mut forge = |world: &mut World| {
                for (to, from, target) in [(ada, bobs, adas), (bob, adas, bobs)] {
                    for _ in 0..4 {
                        attempt += 1;
                        let offer = offer_of(eve, attempt);
                        world.signal_in_the_name_of(
                            group,
                            (eve, to),
                            (from, target),
                            attempt,
                            &offer,
                        );
                    }
                }
            };
            for _ in 0..6 {
                if lies {
                    forge(world);
                }
                world.run_for(Duration::from_secs(5));
            }
            world.heal();
            let began = world.time();
            let met = |world: &World| world.wired_to(ada).contains(&bob);
            while !met(world) && world.time() - began < SOON * 20 {
                if lies {
                    forge(world);
                }
                world.run_until(Duration::from_secs(5), met);
            }
            let after = (world.time() - began).as_secs_f64();
            let met = met(world);
            saw!(
                world,
                "eve carries no signals: {swallows}, forges: {lies}; a link: {met}, after {after:.1} s; attempts {attempt:x}; faults seen {}",
                world.counts.caught
            );
            took.push((met, after));
        }
        for (at, what) in [(1, "carries no signals"), (2, "forges"), (3, "does both")] {
            if took[0].0 && (!took[at].0 || took[at].1 > 3.0 * took[0].1 + 60.0) {
                wrong.push(format!(
                    "with an honest eve {:?}, where she {what} {:?}",
                    took[0], took[at]
                ));
            }
        }
    });
}

/// S6. Fay has a link for one use, and loses her disk. When she redeems it again she gets the
/// membership that she had; once that was revoked, nothing.
#[test]
fn s6_who_redeems_again_is_given_what_it_has_and_nothing_once_that_is_revoked() {
    let test = "s6_who_redeems_again_is_given_what_it_has_and_nothing_once_that_is_revoked";
    tell(test, 10, |world, wrong| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let [ada, bob] = hosts[..] else { panic!("two hosts") };
        let fay = world.native("fay");
        let all = [ada, bob, fay];
        let mut invitation = world.invite_bearer(ada, group, 1, HOUR);
        invitation.addresses = vec![rtc_address(ada), rtc_address(bob)];
        let join = |world: &mut World| {
            let joined = world.join(fay, invitation.clone());
            world.run_for(SOON);
            joined
        };
        assert_eq!(join(world), Ok(group));
        world.say_to(fay, group, "fay is here", &all);
        let first = member(world, ada, group, fay).certificate;
        let lose_disk = |world: &mut World| {
            world.crash(fay);
            drop(std::mem::take(&mut world.host(fay).disk));
            world.run_for(SOON);
            world.start(fay);
            world.await_opened(fay);
        };
        for _ in 0..3 {
            lose_disk(world);
            if join(world) != Ok(group) {
                wrong.push("she cannot come back".to_owned());
            }
        }
        world.say_to(fay, group, "fay is back", &all);
        let now = member(world, ada, group, fay).certificate;
        if now != first {
            wrong.push("she was given another certificate".to_owned());
        }
        let redemptions = world.hosts()[ada].disk.records(group).into_iter();
        let redemptions = redemptions.filter(|it| it.kind.as_str() == RecordType::REDEMPTION);
        let count = redemptions.count();
        if count != 1 {
            wrong.push(format!("{count} redemptions"));
        }
        let target = Target::Certificate(first);
        let (reason, keep) = (Reason::Misconduct, Keep::ALL);
        ok(world.ask(ada, Command::Group(group, GroupCommand::Revoke { target, reason, keep })));
        world.run_for(SOON);
        lose_disk(world);
        let joined = join(world);
        if joined.is_ok() {
            wrong.push(format!("revoked, and back again: {joined:?}"));
        }
        let standing = member(world, bob, group, fay).standing;
        if !matches!(standing, Standing::Revoked { .. }) {
            wrong.push(format!("she is {standing:?} again"));
        }
    });
}
