//! The group's own key, rotated and handed over: who the owner is, and what an earlier key is worth.
use crate::each_seed;
use peergraph_core::cert::Role;
use peergraph_core::error::Error;
use peergraph_core::id::{GroupId, PeerId};
use peergraph_core::invitation::Invitation;
use peergraph_core::io::{Command, Event, GroupCommand, Invite, Keep, Properties, Reply};
use peergraph_core::policy::Policy;
use peergraph_core::roll::{Reason, Standing, Target};
use peergraph_tests::story::draft;
use peergraph_tests::{HostId, Kind, World};
use std::collections::BTreeSet;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);
const SEEDS: u64 = 20;

fn ok(answer: Result<Reply, Error>) {
    assert!(matches!(answer, Ok(Reply::Ok)), "{answer:?}");
}

fn peer(world: &World, host: HostId) -> PeerId {
    world.hosts()[host].peer_id()
}

/// Runs until it is so, for a few minutes at most.
fn soon(world: &mut World, what: &str, mut so: impl FnMut(&mut World) -> bool) {
    for _ in 0..180 {
        if so(world) {
            return;
        }
        world.run_for(Duration::from_secs(1));
    }
    panic!("not in three minutes: {what}");
}

/// Publishes something at each, and waits until all have it.
fn introduce(world: &mut World, group: GroupId, hosts: &[HostId]) {
    for &host in hosts {
        world.say_to(host, group, &format!("host {host} is here"), hosts);
    }
}

fn group_of(world: &mut World, names: &[&str]) -> (GroupId, Vec<HostId>) {
    let (group, hosts) = world.group_of(names);
    introduce(world, group, &hosts);
    (group, hosts)
}

/// Waits until all agree with the first about which key is the group's own.
fn agree(world: &mut World, group: GroupId, hosts: &[HostId]) -> PeerId {
    let key = world.info(hosts[0], group).own_key;
    soon(world, "one own key", |world| {
        hosts.iter().all(|&host| world.info(host, group).own_key == key)
    });
    key
}

fn rotate(world: &mut World, at: HostId, group: GroupId) {
    ok(world.ask(at, Command::Group(group, GroupCommand::RotateKey)));
}

fn offer(world: &mut World, from: HostId, to: HostId, group: GroupId) {
    ok(world.ask(to, Command::Group(group, GroupCommand::OfferOwnership)));
    let heir = peer(world, to);
    soon(world, "the offer", |world| {
        world.members(from, group).iter().any(|it| it.peer == heir && it.offers_ownership)
    });
}

fn hand_over(world: &mut World, from: HostId, to: HostId, group: GroupId) {
    offer(world, from, to, group);
    let peer = peer(world, to);
    ok(world.ask(from, Command::Group(group, GroupCommand::HandOver { peer })));
    soon(world, "the new owner", |world| world.info(to, group).owner);
}

fn rename(world: &mut World, at: HostId, group: GroupId, name: &str) -> Result<Reply, Error> {
    let (name, comment) = (name.to_owned(), String::new());
    let properties = Properties { name, comment, presence_max: 50 };
    world.ask(at, Command::Group(group, GroupCommand::SetProperties { properties }))
}

fn revoke(world: &mut World, at: HostId, group: GroupId, who: PeerId) -> Result<Reply, Error> {
    let (target, reason) = (Target::Peer(who), Reason::Misconduct);
    world.ask(at, Command::Group(group, GroupCommand::Revoke { target, reason, keep: Keep::ALL }))
}

/// The peers that stand, as a member sees it.
fn standing(world: &mut World, at: HostId, group: GroupId) -> BTreeSet<PeerId> {
    let members = world.members(at, group).into_iter();
    members.filter(|it| it.standing == Standing::Member).map(|it| it.peer).collect()
}

fn peers(world: &World, hosts: &[HostId]) -> BTreeSet<PeerId> {
    hosts.iter().map(|&host| peer(world, host)).collect()
}

/// The owner can do what owners do: it names the group, and all see it.
fn acts_as_owner(world: &mut World, owner: HostId, group: GroupId, hosts: &[HostId], name: &str) {
    ok(rename(world, owner, group, name));
    soon(world, "the name", |world| hosts.iter().all(|&host| world.info(host, group).name == name));
}

fn nobody_was_blamed(world: &World, hosts: &[HostId]) {
    for &host in hosts {
        let blamed = world.has_event(host, |it| matches!(it, Event::PeerMisbehaved { .. }));
        assert!(!blamed, "by host {host}");
    }
}

fn link(world: &mut World, at: HostId, group: GroupId) -> Invitation {
    world.invite_bearer(at, group, 5, HOUR)
}

#[test]
fn rotated_key_leaves_everybody_and_everything_in_place() {
    each_seed("rotated_key_leaves_everybody_and_everything_in_place", SEEDS, |world| {
        let (group, hosts) = group_of(world, &["ada", "bob", "cleo"]);
        let [ada, bob, cleo] = hosts[..] else { panic!("three hosts") };
        let (old, texts) = (link(world, ada, group), world.texts(bob, group));
        assert_eq!(world.info(bob, group).own_key, PeerId::from(group));
        rotate(world, ada, group);
        let first = agree(world, group, &hosts);
        assert_ne!(first, PeerId::from(group));
        rotate(world, ada, group);
        assert_ne!(agree(world, group, &hosts), first, "and once more");
        world.run_for(Duration::from_secs(10));
        for &host in &hosts {
            assert_eq!(standing(world, host, group), peers(world, &hosts));
            assert_eq!(world.texts(host, group), texts);
            assert_eq!(world.info(host, group).owner, host == ada);
        }
        acts_as_owner(world, ada, group, &hosts, "after");
        // Old and new links let in, and so does a bound invitation.
        let new = link(world, ada, group);
        let [dora, emil, fay] = ["dora", "emil", "fay"].map(|name| world.native(name));
        assert_eq!(world.join(dora, old), Ok(group));
        assert_eq!(world.join(emil, new), Ok(group));
        world.let_in(ada, group, fay, &[ada]);
        let all = [&hosts[..], &[dora, emil, fay]].concat();
        introduce(world, group, &all);
        agree(world, group, &all);
        assert_eq!(world.info(emil, group).name, "after");
        ok(revoke(world, ada, group, peer(world, cleo)));
        soon(world, "the revocation", |world| {
            !standing(world, emil, group).contains(&peer(world, cleo))
        });
        // And all of it is there after restarts.
        for &host in &[ada, bob, emil] {
            world.crash(host);
            world.start(host);
            world.await_opened(host);
        }
        agree(world, group, &[ada, bob, emil]);
        acts_as_owner(world, ada, group, &[bob, emil], "again");
        nobody_was_blamed(world, &all);
    });
}

#[test]
fn group_is_handed_over_and_the_earlier_owner_stays_a_member() {
    each_seed("group_is_handed_over_and_the_earlier_owner_stays_a_member", SEEDS, |world| {
        let (group, hosts) = group_of(world, &["ada", "bob", "cleo"]);
        let [ada, bob, cleo] = hosts[..] else { panic!("three hosts") };
        let [adas, bobs] = [ada, bob].map(|host| peer(world, host));
        // Natural errors.
        let not_owner = Err(Error::NotOwner);
        let hand = |peer| Command::Group(group, GroupCommand::HandOver { peer });
        let said = |answer: Result<Reply, Error>| answer.map(|_| ());
        assert_eq!(said(world.ask(bob, Command::Group(group, GroupCommand::RotateKey))), not_owner);
        assert_eq!(said(world.ask(bob, hand(adas))), not_owner);
        assert_eq!(said(world.ask(ada, hand(bobs))), Err(Error::NotOffered));
        let nobody = PeerId::from_bytes([1; 32]);
        assert_eq!(said(world.ask(ada, hand(nobody))), Err(Error::UnknownMember));
        let offers = Command::Group(group, GroupCommand::OfferOwnership);
        assert_eq!(said(world.ask(ada, offers.clone())), Err(Error::AlreadyOwner));
        hand_over(world, ada, bob, group);
        agree(world, group, &[bob, ada, cleo]);
        assert!(!world.info(ada, group).owner);
        assert_eq!(said(world.ask(ada, hand(bobs))), not_owner, "already handed over");
        assert_eq!(said(rename(world, ada, group, "mine")), not_owner);
        assert_eq!(said(world.ask(bob, offers)), Err(Error::AlreadyOwner));
        for &host in &hosts {
            assert_eq!(standing(world, host, group), peers(world, &hosts));
        }
        acts_as_owner(world, bob, group, &hosts, "bob's");
        // It is an administrator by its membership, too: it ends an invitation of another.
        let role = |world: &mut World| world.info(bob, group).grant.role;
        soon(world, "an administrator", |world| role(world) == Role::Administrator);
        link(world, ada, group);
        let mut open = Vec::new();
        soon(world, "the invitation", |world| {
            match world.ask(bob, Command::Group(group, GroupCommand::Invitations)) {
                Ok(Reply::Invitations(listed)) => open = listed,
                other => panic!("{other:?}"),
            }
            !open.is_empty()
        });
        ok(world
            .ask(bob, Command::Group(group, GroupCommand::Withdraw { invitation: open[0].id })));
        // The new owner is above the creator.
        ok(revoke(world, bob, group, adas));
        soon(world, "the revocation", |world| !standing(world, cleo, group).contains(&adas));
        let standing = world.members(cleo, group).into_iter().find(|it| it.peer == adas);
        let (by, reason) = (group.into(), Reason::Misconduct);
        let expected = Standing::Revoked { by, reason };
        assert_eq!(standing.map(|it| it.standing), Some(expected));
        nobody_was_blamed(world, &hosts);
    });
}

#[test]
fn group_hands_over_as_often_as_it_can_and_no_more() {
    each_seed("group_hands_over_as_often_as_it_can_and_no_more", 3, |world| {
        let (group, hosts) = group_of(world, &["ada", "bob"]);
        for nth in 0..peergraph_core::limits::HEIRS_MAX {
            match nth % 3 {
                0 => rotate(world, hosts[nth / 3 % 2], group),
                1 => hand_over(world, hosts[nth / 3 % 2], hosts[1 - nth / 3 % 2], group),
                _ => rotate(world, hosts[1 - nth / 3 % 2], group),
            }
            let owner = hosts.iter().copied().find(|&host| world.info(host, group).owner);
            let owner = owner.expect("one is the owner");
            agree(world, group, &[owner, hosts[0], hosts[1]]);
        }
        let owner = hosts[1];
        let answer = world.ask(owner, Command::Group(group, GroupCommand::RotateKey)).map(|_| ());
        assert_eq!(answer, Err(Error::HandedOverTooOften));
        acts_as_owner(world, owner, group, &hosts, "last");
        nobody_was_blamed(world, &hosts);
    });
}

/// Goal: memberships go on under the heir. Method: memberships of an hour; ten of them long, the earlier owner away.
#[test]
fn memberships_are_renewed_ten_times_after_a_handover() {
    each_seed("memberships_are_renewed_ten_times_after_a_handover", SEEDS, |world| {
        let ada = world.native("ada");
        let mut policy = Policy::default();
        policy.membership_lifetime = HOUR;
        let group = world.create_group_under(ada, "talk", policy);
        let [bob, cleo] = ["bob", "cleo"].map(|name| world.native(name));
        for host in [bob, cleo] {
            world.let_in(ada, group, host, &[ada]);
        }
        let hosts = [ada, bob, cleo];
        introduce(world, group, &hosts);
        // The heir holds its membership of the group's own key: else it would end with its issuer's.
        let (bobs, grant) = (peer(world, bob), Role::Administrator.into());
        ok(world.ask(ada, Command::Group(group, GroupCommand::Issue { peer: bobs, grant })));
        let cleos = peer(world, cleo);
        ok(world.ask(
            ada,
            Command::Group(
                group,
                GroupCommand::Issue { peer: cleos, grant: Role::Inviting.into() },
            ),
        ));
        soon(world, "the other role", |world| {
            world.info(bob, group).grant.role == Role::Administrator
                && world.info(cleo, group).grant.role == Role::Inviting
        });
        introduce(world, group, &hosts);
        hand_over(world, ada, bob, group);
        agree(world, group, &[bob, ada, cleo]);
        world.stop(ada);
        for _ in 0..40 {
            world.run_for(HOUR / 4);
            for host in [bob, cleo] {
                let standing = world.info(host, group).standing;
                assert_eq!(standing, Standing::Member, "host {host} at {:?}", world.time());
            }
        }
        world.say_to(cleo, group, "still here", &[bob, cleo]);
        let members = world.members(bob, group);
        let cleo = members.iter().find(|it| it.peer == cleos).expect("cleo is known");
        assert_eq!((cleo.standing, cleo.issuer), (Standing::Member, group.into()));
        nobody_was_blamed(world, &[bob]);
    });
}

/// Goal: a crash between any two steps loses nothing. Method: slow disks; both nodes die at any moment while the key is
/// rotated or handed over, and it is asked for again until it is done.
#[test]
fn crashes_at_any_moment_lose_no_key() {
    each_seed("crashes_at_any_moment_lose_no_key", 4 * SEEDS, |world| {
        let (group, hosts) = group_of(world, &["ada", "bob", "cleo"]);
        let [ada, bob, _] = hosts[..] else { panic!("three hosts") };
        for host in [ada, bob] {
            world.host(host).disk.write_delay = (1_000, 100_000);
        }
        let handing = world.seed_is_even();
        let bobs = peer(world, bob);
        for _ in 0..4 {
            if handing {
                world.command(bob, Command::Group(group, GroupCommand::OfferOwnership));
                let pause = world.chance.within(0..1_500);
                world.run_for(Duration::from_millis(pause));
                world.command(ada, Command::Group(group, GroupCommand::HandOver { peer: bobs }));
            } else {
                world.command(ada, Command::Group(group, GroupCommand::RotateKey));
            }
            let pause = world.chance.within(0..300);
            world.run_for(Duration::from_millis(pause));
            let dies = match world.chance.within(0..3) {
                0 => vec![ada],
                1 => vec![bob],
                _ => vec![ada, bob],
            };
            dies.iter().for_each(|&host| world.crash(host));
            let pause = world.chance.within(0..2_000);
            world.run_for(Duration::from_millis(pause));
            for &host in &dies {
                world.start(host);
                world.await_opened(host);
            }
            for host in [ada, bob] {
                world.await_synced(host);
            }
            agree(world, group, &hosts);
            let owners = |world: &mut World| -> Vec<HostId> {
                hosts.iter().copied().filter(|&host| world.info(host, group).owner).collect()
            };
            soon(world, "one owner", |world| owners(world).len() == 1);
            let owner = owners(world)[0];
            assert!(handing || owner == ada);
            let name = format!("at {:?}", world.time());
            acts_as_owner(world, owner, group, &hosts, &name);
            if owner == bob {
                break;
            }
        }
        for &host in &hosts {
            assert_eq!(standing(world, host, group), peers(world, &hosts));
        }
        nobody_was_blamed(world, &hosts);
    });
}

/// Goal: nobody puts the owner out. Method: Ada, who let Bob in, and Dora, an administrator since before Bob was one, revoke
/// him as soon as he has the group, or just before; Bob still owns it, and puts both out.
#[test]
fn new_owner_is_senior_to_those_who_were_before() {
    each_seed("new_owner_is_senior_to_those_who_were_before", SEEDS, |world| {
        let (group, hosts) = group_of(world, &["ada", "bob", "cleo", "dora"]);
        let [ada, bob, cleo, dora] = hosts[..] else { panic!("four hosts") };
        let [adas, bobs, doras] = [ada, bob, dora].map(|host| peer(world, host));
        let (peer, grant) = (doras, Role::Administrator.into());
        ok(world.ask(ada, Command::Group(group, GroupCommand::Issue { peer, grant })));
        soon(world, "the promotion", |world| {
            world.info(dora, group).grant.role == Role::Administrator
        });
        offer(world, ada, bob, group);
        ok(world.ask(ada, Command::Group(group, GroupCommand::HandOver { peer: bobs })));
        // Their rights are theirs to tell until they know better.
        for host in [dora, ada] {
            let _ = revoke(world, host, group, bobs);
        }
        soon(world, "the owner stands", |world| {
            let all = peers(world, &hosts);
            world.info(bob, group).owner
                && hosts.iter().all(|&host| standing(world, host, group) == all)
        });
        world.run_for(Duration::from_secs(30));
        for host in [ada, dora] {
            let answer = revoke(world, host, group, bobs).map(|_| ());
            assert_eq!(answer, Err(Error::NotSenior), "host {host}");
        }
        acts_as_owner(world, bob, group, &hosts, "bob's");
        ok(revoke(world, bob, group, adas));
        ok(revoke(world, bob, group, doras));
        let left = peers(world, &[bob, cleo]);
        soon(world, "both are out", |world| standing(world, cleo, group) == left);
        nobody_was_blamed(world, &hosts);
    });
}

/// Goal: a newcomer can offer itself at once. Method: the key was rotated before it came; it offers while that act, and what
/// else the group has, arrives and is written, and the owner takes the offer.
#[test]
fn offer_of_a_newcomer_stands_though_an_old_handover_arrives() {
    each_seed("offer_of_a_newcomer_stands_though_an_old_handover_arrives", 2 * SEEDS, |world| {
        let (group, hosts) = group_of(world, &["ada", "bob"]);
        rotate(world, hosts[0], group);
        agree(world, group, &hosts);
        let cleo = world.native("cleo");
        world.host(cleo).disk.write_delay = (1_000, 300_000);
        let link = link(world, hosts[0], group);
        assert_eq!(world.join(cleo, link), Ok(group));
        let pause = world.chance.within(0..1_000);
        world.run_for(Duration::from_millis(pause));
        hand_over(world, hosts[0], cleo, group);
        let all = [&hosts[..], &[cleo]].concat();
        acts_as_owner(world, cleo, group, &all, "of cleo");
        nobody_was_blamed(world, &all);
    });
}

#[test]
fn disk_that_refuses_the_act_changes_nothing() {
    each_seed("disk_that_refuses_the_act_changes_nothing", SEEDS, |world| {
        let (group, hosts) = group_of(world, &["ada", "bob"]);
        world.run_for(Duration::from_secs(30));
        let before = world.info(hosts[0], group).own_key;
        let used = world.host(hosts[0]).disk.bytes();
        world.host(hosts[0]).disk.quota = Some(used);
        let answer = world.ask(hosts[0], Command::Group(group, GroupCommand::RotateKey));
        assert!(matches!(answer, Err(Error::Store(_))), "{answer:?}");
        world.host(hosts[0]).disk.quota = None;
        world.run_for(Duration::from_secs(10));
        assert_eq!(agree(world, group, &hosts), before);
        acts_as_owner(world, hosts[0], group, &hosts, "as before");
        rotate(world, hosts[0], group);
        assert_ne!(agree(world, group, &hosts), before);
    });
}

/// Goal: a member that was away learns of all handovers at once, though the owners of before are gone.
#[test]
fn member_that_was_away_over_two_handovers_finds_back() {
    each_seed("member_that_was_away_over_two_handovers_finds_back", SEEDS, |world| {
        let (group, hosts) = group_of(world, &["ada", "bob", "cleo", "dora"]);
        let [ada, bob, cleo, dora] = hosts[..] else { panic!("four hosts") };
        world.stop(cleo);
        hand_over(world, ada, bob, group);
        rotate(world, bob, group);
        agree(world, group, &[bob, ada, dora]);
        acts_as_owner(world, bob, group, &[ada, dora], "later");
        let link = link(world, ada, group);
        let emil = world.native("emil");
        assert_eq!(world.join(emil, link), Ok(group));
        world.say_to(emil, group, "new", &[ada, bob, dora, emil]);
        world.stop(ada);
        world.start(cleo);
        world.await_opened(cleo);
        agree(world, group, &[bob, cleo, dora, emil]);
        soon(world, "the name", |world| world.info(cleo, group).name == "later");
        let all = [ada, bob, cleo, dora, emil];
        soon(world, "everybody", |world| standing(world, cleo, group) == peers(world, &all));
        world.say_to(cleo, group, "back", &[bob, cleo, dora, emil]);
        nobody_was_blamed(world, &[bob, cleo, dora, emil]);
    });
}

/// Goal: a thief of the old key changes nothing at nodes that have seen the handover, and blames nobody. Method: a copy of
/// the owner's disk from before runs apart; there the old key revokes, lets in, renames, rotates. Then all meet.
#[test]
fn thief_of_the_old_key_changes_nothing() {
    each_seed("thief_of_the_old_key_changes_nothing", SEEDS, |world| {
        let (group, hosts) = group_of(world, &["ada", "bob", "cleo"]);
        let [ada, bob, cleo] = hosts[..] else { panic!("three hosts") };
        let stolen = world.host(ada).disk.copy();
        let thief = world.add_device(Kind::Native, "ada", ada);
        let mallory = world.native("mallory");
        world.crash(thief);
        let sides = |world: &World| -> Vec<u8> {
            let apart = [thief, mallory];
            (0..world.hosts().len()).map(|host| u8::from(apart.contains(&host))).collect()
        };
        let apart = sides(world);
        world.partition(apart);
        hand_over(world, ada, bob, group);
        let key = agree(world, group, &[bob, ada, cleo]);
        acts_as_owner(world, bob, group, &hosts, "honest");
        // The thief, with the key as it was.
        world.host(thief).disk.restore(stolen);
        world.start(thief);
        world.await_opened(thief);
        assert!(world.info(thief, group).owner);
        for who in [bob, cleo] {
            ok(revoke(world, thief, group, peer(world, who)));
        }
        ok(rename(world, thief, group, "stolen"));
        let identity = world.hosts()[mallory].certificate.clone();
        let invite = Invite::Bound { identity, grant: Role::Administrator.into() };
        let invitation = world.invite(thief, group, invite).expect("it is the owner there");
        assert_eq!(world.join(mallory, invitation), Ok(group));
        if world.seed_is_even() {
            rotate(world, thief, group);
        }
        world.run_for(Duration::from_secs(30));
        let (texts, members) = (world.texts(cleo, group), peers(world, &hosts));
        world.heal();
        for _ in 0..12 {
            world.run_for(Duration::from_secs(10));
            for host in [ada, bob, cleo] {
                assert_eq!(world.info(host, group).own_key, key);
                assert_eq!(world.info(host, group).name, "honest");
                assert!(standing(world, host, group).is_superset(&members));
            }
        }
        assert_eq!(world.texts(cleo, group)[..texts.len()], texts[..]);
        acts_as_owner(world, bob, group, &hosts, "still honest");
        nobody_was_blamed(world, &hosts);
        // Over a restart of those who saw the true one.
        for &host in &hosts {
            world.crash(host);
            world.start(host);
            world.await_opened(host);
        }
        world.run_for(Duration::from_secs(60));
        for host in [ada, bob, cleo] {
            assert_eq!(world.info(host, group).own_key, key);
            assert!(standing(world, host, group).is_superset(&members));
        }
        let _ = world.publish(cleo, group, draft("over")).expect("cleo is a member");
    });
}
