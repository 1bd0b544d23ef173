//! The rights of members, and their end when a membership no longer stands.
use crate::each_seed;
use peergraph_core::cert::Role;
use peergraph_core::error::Error;
use peergraph_core::id::{CertificateId, GroupId, PeerId};
use peergraph_core::io::{
    Command, Event, GroupCommand, Invite, Keep, MemberInfo, Properties, Reply,
};
use peergraph_core::policy::{Grant, Policy, Right};
use peergraph_core::roll::{Reason, Standing, Target};
use peergraph_tests::host::rtc_address;
use peergraph_tests::story::draft;
use peergraph_tests::{HostId, Kind, World};
use std::collections::BTreeMap;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_secs(60);

fn peer(world: &World, host: HostId) -> PeerId {
    world.hosts()[host].peer_id()
}

fn member(world: &mut World, at: HostId, group: GroupId, who: PeerId) -> Option<MemberInfo> {
    world.members(at, group).into_iter().find(|member| member.peer == who)
}

fn ok(answer: Result<Reply, Error>) {
    assert!(matches!(answer, Ok(Reply::Ok)), "{answer:?}");
}

fn revoke(world: &mut World, at: HostId, group: GroupId, who: PeerId, keep: Keep) {
    let (target, reason) = (Target::Peer(who), Reason::Misconduct);
    ok(world.ask(at, Command::Group(group, GroupCommand::Revoke { target, reason, keep })));
}

fn promote(world: &mut World, at: HostId, group: GroupId, who: PeerId, grant: impl Into<Grant>) {
    let grant = grant.into();
    ok(world.ask(at, Command::Group(group, GroupCommand::Issue { peer: who, grant })));
}

/// Publishes something so that its membership is known, and waits until all have it.
fn introduce(world: &mut World, group: GroupId, hosts: &[HostId]) {
    for &host in hosts {
        world.say_to(host, group, &format!("host {host} is here"), hosts);
    }
}

fn sides(world: &World, apart: &[HostId]) -> Vec<u8> {
    (0..world.hosts().len()).map(|host| u8::from(apart.contains(&host))).collect()
}

#[test]
fn revoked_member_is_cut_off_and_told_and_what_it_published_stays() {
    each_seed("revoked_member_is_cut_off_and_told_and_what_it_published_stays", 30, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo", "eve"]);
        let [ada, bob, cleo, eve] = hosts[..] else { panic!("four hosts") };
        introduce(world, group, &hosts);
        let eves = peer(world, eve);
        revoke(world, ada, group, eves, Keep::ALL);
        let alone = world.run_until(SOON, |world| world.hosts()[eve].neighbours == 0);
        assert!(alone, "eve has {} neighbours", world.hosts()[eve].neighbours);
        world.run_for(SOON);
        let said = Standing::Revoked { by: group.into(), reason: Reason::Misconduct };
        assert_eq!(world.info(eve, group).standing, said);
        let refused = world.publish(eve, group, draft("nobody hears this"));
        assert_eq!(refused.err(), Some(Error::Revoked));
        for at in [ada, bob, cleo] {
            assert_eq!(world.texts(at, group).len(), 4, "all that was said stays");
            let standing = member(world, at, group, eves).map(|member| member.standing);
            assert_eq!(standing, Some(said));
        }
        world.say_to(bob, group, "without eve", &[ada, bob, cleo]);
        assert_eq!(world.texts(eve, group).len(), 4);
    });
}

/// Goal: a member that is taken back is among us in a few seconds, however long it was out. Method:
/// a native member is called, a browser asks; time until the returned one sees that it stands and
/// has a neighbour.
#[test]
fn member_that_is_taken_back_returns_in_seconds() {
    for (kind, out, back_within) in [
        (Kind::Native, Duration::from_secs(3), 10),
        (Kind::Native, 2 * HOUR, 5),
        // It has asked after 5 s, 15 s and 35 s.
        (Kind::Browser, Duration::from_secs(20), 30),
        (Kind::Browser, 2 * HOUR, 400),
    ] {
        each_seed("member_that_is_taken_back_returns_in_seconds", 10, |world| {
            let (group, hosts) = world.group_of(&["ada", "bob", "cleo"]);
            let ada = hosts[0];
            let eve = match kind {
                Kind::Native => world.native("eve"),
                Kind::Browser => world.browser("eve"),
            };
            world.let_in(ada, group, eve, &hosts);
            introduce(world, group, &[ada, hosts[1], hosts[2], eve]);
            world.run_for(Duration::from_secs(20));
            let eves = peer(world, eve);
            revoke(world, ada, group, eves, Keep::ALL);
            world.run_for(out);
            assert_ne!(world.info(eve, group).standing, Standing::Member);
            assert_eq!(world.host(eve).neighbours, 0);
            ok(world.ask(ada, Command::Group(group, GroupCommand::Reinstate { peer: eves })));
            let within = Duration::from_secs(back_within);
            let back = world.run_until(within, |world| world.hosts()[eve].neighbours > 0);
            assert!(back, "{kind:?}, out for {out:?}");
            world.run_for(Duration::from_secs(5));
            assert_eq!(world.info(eve, group).standing, Standing::Member);
            world.say_to(eve, group, "here I am again", &[hosts[1], hosts[2]]);
        });
    }
}

#[test]
fn what_a_revoked_member_published_goes_where_the_revocation_says_so() {
    each_seed("what_a_revoked_member_published_goes_where_the_revocation_says_so", 30, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "eve"]);
        let [ada, bob, eve] = hosts[..] else { panic!("three hosts") };
        introduce(world, group, &hosts);
        let eves = peer(world, eve);
        revoke(world, ada, group, eves, Keep::NOTHING);
        let gone = |e: &Event| matches!(e, Event::Withdrawn { .. });
        assert!(world.run_until(SOON, |world| world.has_event(bob, gone)));
        for at in [ada, bob] {
            assert_eq!(world.texts(at, group), ["host 0 is here", "host 1 is here"]);
        }
        // It stays away over a restart, and later members never see it.
        world.stop(bob);
        world.start(bob);
        world.await_synced(bob);
        let cleo = world.native("cleo");
        world.let_in(ada, group, cleo, &[bob]);
        for at in [bob, cleo] {
            assert_eq!(world.texts(at, group), ["host 0 is here", "host 1 is here"]);
        }
    });
}

/// Goal: a record that a revoked member signs after its revocation is refused everywhere, however
/// it is dated, and whoever brings it. Method: Eve and her friend Mallory are cut off when Ada
/// revokes her. On their side Eve goes on publishing, and sets her clock back for it. Then the
/// world is whole again.
#[test]
fn what_a_revoked_member_backdates_is_refused_whoever_brings_it() {
    each_seed("what_a_revoked_member_backdates_is_refused_whoever_brings_it", 30, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "eve", "mallory"]);
        let [ada, bob, eve, mallory] = hosts[..] else { panic!("four hosts") };
        introduce(world, group, &hosts);
        let before = world.texts(ada, group);
        let apart = sides(world, &[eve, mallory]);
        world.partition(apart);
        world.run_for(SOON * 2);
        let eves = peer(world, eve);
        revoke(world, ada, group, eves, Keep::ALL);
        world.run_for(SOON);
        // A minute before the revocation, by her clock.
        world.host(eve).clock.offset_ms -= 10 * 60_000;
        world.say(eve, group, "as if it had been earlier");
        world.run_for(SOON);
        world.heal();
        let whole = world.run_until(SOON * 10, |world| world.is_connected(&[ada, bob, mallory]));
        assert!(whole, "the graph is whole again without eve");
        world.run_for(SOON * 5);
        for at in [ada, bob, mallory] {
            assert_eq!(world.texts(at, group), before, "host {at}");
            // She may believe for a moment to have a neighbour, until she is told why not.
            let links = world.host(at).events.iter().filter_map(|(_, event)| match event {
                Event::Neighbour { link, peer, up, .. } if *peer == eves => Some((*link, *up)),
                _ => None,
            });
            let up: BTreeMap<_, _> = links.collect();
            assert!(!up.values().any(|up| *up), "eve is a neighbour of host {at}");
        }
    });
}

#[test]
fn administrator_can_be_made_and_unmade_and_keeps_what_it_published() {
    each_seed("administrator_can_be_made_and_unmade_and_keeps_what_it_published", 20, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo"]);
        let [ada, bob, cleo] = hosts[..] else { panic!("three hosts") };
        introduce(world, group, &hosts);
        let bobs = peer(world, bob);
        promote(world, ada, group, bobs, Role::Administrator);
        let role = |world: &mut World, at| {
            member(world, at, group, bobs).map(|member| (member.grant.role, member.standing))
        };
        world.run_for(SOON);
        assert_eq!(role(world, cleo), Some((Role::Administrator, Standing::Member)));
        assert_eq!(world.info(bob, group).grant.role, Role::Administrator);
        // Bob changes what Cleo said.
        let cleos = world.records(cleo, group).into_iter().find(|r| r.creator == peer(world, cleo));
        let cleos = cleos.expect("Cleo said something");
        let mut other = draft("bob was here");
        other.id = Some(cleos.id);
        assert!(world.publish(bob, group, other.clone()).is_ok());
        world.run_for(SOON);
        promote(world, ada, group, bobs, Role::Member);
        world.run_for(SOON);
        assert_eq!(role(world, cleo), Some((Role::Member, Standing::Member)));
        assert_eq!(world.publish(bob, group, other).err(), Some(Error::NotYourRecord));
        let record = world.say_to(bob, group, "still here", &hosts);
        assert_eq!(record.creator, bobs);
        assert!(world.texts(cleo, group).contains(&"bob was here".to_owned()));
    });
}

/// Goal: two administrators who revoke each other while the group is cut in two end as the roll says: the senior stands.
#[test]
fn administrators_who_revoke_each_other_end_alike_everywhere() {
    each_seed("administrators_who_revoke_each_other_end_alike_everywhere", 30, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo", "dan"]);
        let [ada, bob, cleo, dan] = hosts[..] else { panic!("four hosts") };
        introduce(world, group, &hosts);
        let (bobs, cleos, dans) = (peer(world, bob), peer(world, cleo), peer(world, dan));
        promote(world, ada, group, bobs, Role::Administrator);
        world.run_for(SOON);
        promote(world, ada, group, cleos, Role::Administrator);
        world.run_for(SOON);
        let apart = sides(world, &[cleo, dan]);
        world.partition(apart);
        world.run_for(SOON * 2);
        revoke(world, bob, group, cleos, Keep::ALL);
        let (target, reason) = (Target::Peer(bobs), Reason::Unspecified);
        let command =
            Command::Group(group, GroupCommand::Revoke { target, reason, keep: Keep::ALL });
        // Bob became an administrator first: Cleo may not.
        assert_eq!(world.ask(cleo, command).err(), Some(Error::NotSenior));
        // She may revoke Dan; but she was revoked when she did, and Bob has not heard of it.
        revoke(world, cleo, group, dans, Keep::ALL);
        world.run_for(SOON);
        world.heal();
        let whole = world.run_until(SOON * 10, |world| world.is_connected(&[ada, bob, dan]));
        assert!(whole, "Ada, Bob and Dan find each other");
        world.run_for(SOON * 5);
        for at in [ada, bob, dan] {
            let standing = |world: &mut World, who| {
                let member = member(world, at, group, who).expect("known to all");
                member.standing == Standing::Member
            };
            assert!(standing(world, bobs) && standing(world, dans), "host {at}");
            assert!(!standing(world, cleos), "host {at}");
        }
    });
}

#[test]
fn invitation_with_one_use_lets_one_in_once_partitions_have_met() {
    each_seed("invitation_with_one_use_lets_one_in_once_partitions_have_met", 30, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let [ada, bob] = hosts[..] else { panic!("two hosts") };
        let bobs = peer(world, bob);
        introduce(world, group, &hosts);
        promote(world, ada, group, bobs, Role::Inviting);
        world.run_for(SOON);
        let mut invitation = world.invite_bearer(ada, group, 1, HOUR);
        invitation.addresses = vec![rtc_address(ada), rtc_address(bob)];
        world.run_for(SOON);
        let (cleo, dan) = (world.native("cleo"), world.native("dan"));
        let apart = sides(world, &[bob, dan]);
        world.partition(apart);
        assert_eq!(world.join(cleo, invitation.clone()), Ok(group));
        assert_eq!(world.join(dan, invitation), Ok(group), "Bob cannot know");
        world.run_for(SOON * 2);
        world.heal();
        world.run_for(SOON * 10);
        let standing: Vec<bool> = [cleo, dan]
            .into_iter()
            .map(|host| world.info(host, group).standing == Standing::Member)
            .collect();
        assert_eq!(standing.iter().filter(|stands| **stands).count(), 1, "{standing:?}");
    });
}

#[test]
fn withdrawn_invitation_lets_nobody_in() {
    each_seed("withdrawn_invitation_lets_nobody_in", 20, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let mut invitation = world.invite_bearer(hosts[0], group, 5, HOUR);
        invitation.addresses = vec![rtc_address(hosts[1])];
        let Ok(Reply::Invitations(open)) =
            world.ask(hosts[0], Command::Group(group, GroupCommand::Invitations))
        else {
            panic!("no list of invitations");
        };
        let [only] = &open[..] else { panic!("one invitation is open") };
        assert_eq!((only.uses, only.used), (5, 0));
        ok(world
            .ask(hosts[0], Command::Group(group, GroupCommand::Withdraw { invitation: only.id })));
        world.run_for(SOON);
        let cleo = world.native("cleo");
        let answer = world.join(cleo, invitation);
        assert!(matches!(answer, Err(Error::NobodyFound(_))), "{answer:?}");
    });
}

#[test]
fn who_leaves_is_seen_to_have_left() {
    each_seed("who_leaves_is_seen_to_have_left", 20, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo"]);
        let [ada, bob, cleo] = hosts[..] else { panic!("three hosts") };
        introduce(world, group, &hosts);
        let bobs = peer(world, bob);
        ok(world.ask(bob, Command::Leave { group }));
        world.run_for(SOON);
        for at in [ada, cleo] {
            let standing = member(world, at, group, bobs).map(|member| member.standing);
            assert_eq!(standing, Some(Standing::Revoked { by: bobs, reason: Reason::Left }));
            assert_eq!(world.texts(at, group).len(), 3, "what Bob said stays");
        }
        // A new invitation brings Bob back.
        world.let_in(ada, group, bob, &[ada]);
        world.say_to(bob, group, "back again", &hosts);
    });
}

/// Goal: a member with several memberships leaves with all of them. Method: Bob is promoted, which
/// lets his first one stand.
#[test]
fn who_was_promoted_leaves_with_every_membership() {
    each_seed("who_was_promoted_leaves_with_every_membership", 20, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo"]);
        let [ada, bob, cleo] = hosts[..] else { panic!("three hosts") };
        introduce(world, group, &hosts);
        let bobs = peer(world, bob);
        promote(world, ada, group, bobs, Role::Inviting);
        world.run_for(SOON);
        assert_eq!(world.info(bob, group).grant.role, Role::Inviting);
        world.say_to(bob, group, "promoted", &hosts);
        ok(world.ask(bob, Command::Leave { group }));
        world.run_for(SOON);
        for at in [ada, cleo] {
            let standing = member(world, at, group, bobs).map(|member| member.standing);
            assert_eq!(standing, Some(Standing::Revoked { by: bobs, reason: Reason::Left }));
            assert_eq!(world.texts(at, group).len(), 4, "what Bob said stays");
        }
    });
}

#[test]
fn types_with_rights_are_for_those_who_have_them() {
    each_seed("types_with_rights_are_for_those_who_have_them", 10, |world| {
        let ada = world.native("ada");
        let right = Right {
            types: "chat.*".into(),
            roles: vec!["speaker".into()],
            publish: true,
            update: false,
            delete: false,
        };
        let mut policy = Policy::default();
        policy.rights.push(right);
        let group = world.create_group_under(ada, "hall", policy);
        let (bob, cleo) = (world.native("bob"), world.native("cleo"));
        let speaker = Grant::new(Role::Member, vec!["speaker".into()]).expect("a good name");
        let invite = |world: &mut World, host: HostId, grant: Grant| {
            let identity = world.hosts()[host].certificate.clone();
            let made = world.invite(ada, group, Invite::Bound { identity, grant });
            let mut invitation = made.expect("an administrator invites");
            invitation.addresses = vec![rtc_address(ada)];
            assert_eq!(world.join(host, invitation), Ok(group));
            world.await_synced(host);
        };
        invite(world, bob, Role::Member.into());
        invite(world, cleo, speaker);
        assert_eq!(world.publish(bob, group, draft("me too")).err(), Some(Error::NotAllowed));
        world.say_to(cleo, group, "welcome to my talk", &[ada, bob, cleo]);
        assert_eq!(world.info(cleo, group).grant.app_roles, ["speaker"]);
    });
}

#[test]
fn only_the_owner_changes_name_and_comment() {
    each_seed("only_the_owner_changes_name_and_comment", 10, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo"]);
        let properties =
            Properties { name: "walks".into(), comment: "On Sundays".into(), presence_max: 10 };
        let set = |properties| Command::Group(group, GroupCommand::SetProperties { properties });
        let refused = world.ask(hosts[1], set(properties.clone()));
        assert_eq!(refused.err(), Some(Error::NotOwner));
        ok(world.ask(hosts[0], set(properties)));
        world.run_for(SOON);
        for &host in &hosts {
            let info = world.info(host, group);
            assert_eq!((info.name.as_str(), info.comment.as_str()), ("walks", "On Sundays"));
        }
    });
}

#[test]
fn renewed_membership_reaches_a_member_that_was_away_when_it_ended() {
    each_seed("renewed_membership_reaches_a_member_that_was_away_when_it_ended", 10, |world| {
        let ada = world.native("ada");
        let mut policy = Policy::default();
        policy.membership_lifetime = HOUR;
        let group = world.create_group_under(ada, "brief", policy);
        let bob = world.native("bob");
        world.let_in(ada, group, bob, &[ada]);
        introduce(world, group, &[ada, bob]);
        let first: CertificateId = group_serial(world, ada, group, bob);
        world.stop(bob);
        world.run_for(HOUR + HOUR / 4);
        world.start(bob);
        world.run_for(SOON * 2);
        let serial = group_serial(world, ada, group, bob);
        assert_ne!(serial, first, "Ada renewed it");
        assert_eq!(world.info(bob, group).standing, Standing::Member);
        world.say_to(bob, group, "as if nothing had been", &[ada, bob]);
    });
}

fn group_serial(world: &mut World, at: HostId, group: GroupId, who: HostId) -> CertificateId {
    let who = peer(world, who);
    member(world, at, group, who).expect("a member").certificate
}
