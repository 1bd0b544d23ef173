//! Invitations: who gets in, who does not, and what they are told.
use crate::each_seed;
use peergraph_core::cert::{CertError, Role};
use peergraph_core::error::Error;
use peergraph_core::invitation::Invitation;
use peergraph_core::io::{Command, Invite, Reply};
use peergraph_core::password::Password;
use peergraph_tests::host::rtc_address;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
/// Generous: a member that starts again looks for the others first.
const JOIN_WITHIN: Duration = Duration::from_secs(90);

#[test]
fn bound_invitation_lets_its_owner_in_while_the_inviter_is_away() {
    each_seed("bound_invitation_lets_its_owner_in_while_the_inviter_is_away", 100, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let [ada, bob] = hosts[..] else { panic!("two hosts") };
        let cleo = world.native("cleo");
        let mut invitation = world.invite_bound(ada, group, cleo, Role::Member);
        invitation.addresses = vec![rtc_address(bob)];
        world.crash(ada);
        assert_eq!(world.join(cleo, invitation), Ok(group));
        world.await_synced(cleo);
        world.say_to(cleo, group, "hello", &[bob]);
        world.say_to(bob, group, "welcome", &[cleo]);
    });
}

#[test]
fn bearer_invitation_is_redeemed_after_a_trip_through_its_text() {
    each_seed("bearer_invitation_is_redeemed_after_a_trip_through_its_text", 100, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let text = world.invite_bearer(ada, group, 2, HOUR).to_text();
        for name in ["bob", "cleo"] {
            let guest = world.native(name);
            let invitation = Invitation::from_text(&text).expect("it was written by us");
            assert_eq!(world.join(guest, invitation), Ok(group));
            world.await_synced(guest);
        }
        world.say_to(1, group, "we are in", &[0, 2]);
    });
}

#[test]
fn bearer_invitation_is_redeemed_through_another_member() {
    each_seed("bearer_invitation_is_redeemed_through_another_member", 50, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let mut invitation = world.invite_bearer(hosts[0], group, 1, HOUR);
        invitation.addresses = vec![rtc_address(hosts[1])];
        let cleo = world.native("cleo");
        assert_eq!(world.join(cleo, invitation), Ok(group));
    });
}

#[test]
fn used_up_invitation_is_refused() {
    each_seed("used_up_invitation_is_refused", 50, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let invitation = world.invite_bearer(ada, group, 1, HOUR);
        let (bob, cleo) = (world.native("bob"), world.native("cleo"));
        assert_eq!(world.join(bob, invitation.clone()), Ok(group));
        assert_eq!(world.join(cleo, invitation), Err(Error::InvitationUsedUp));
        let peer = world.hosts()[cleo].peer_id();
        assert!(world.members(ada, group).iter().all(|member| member.peer != peer));
    });
}

#[test]
fn expired_invitations_are_refused() {
    each_seed("expired_invitations_are_refused", 30, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let bearer = world.invite_bearer(ada, group, 1, Duration::from_secs(60));
        let bob = world.native("bob");
        world.run_for(Duration::from_secs(600));
        assert_eq!(world.join(bob, bearer), Err(Error::InvitationExpired));
    });
}

#[test]
fn newcomer_with_a_slow_clock_cannot_use_an_expired_invitation() {
    each_seed("newcomer_with_a_slow_clock_cannot_use_an_expired_invitation", 30, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let bearer = world.invite_bearer(ada, group, 1, Duration::from_secs(60));
        let bob = world.native("bob");
        world.run_for(Duration::from_secs(900));
        world.host(bob).clock.offset_ms -= 900_000;
        // Whether the inviter has forgotten the invitation by then depends on when it looked last.
        let answer = world.join(bob, bearer);
        assert!(matches!(answer, Err(Error::InvitationUsedUp | Error::NobodyFound)), "{answer:?}");
        assert_eq!(world.members(ada, group).len(), 1);
    });
}

#[test]
fn invitation_for_another_identity_is_refused() {
    each_seed("invitation_for_another_identity_is_refused", 30, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let (bob, cleo) = (world.native("bob"), world.native("cleo"));
        let invitation = world.invite_bound(ada, group, bob, Role::Member);
        assert_eq!(world.join(cleo, invitation), Err(Error::InvitationForAnother));
    });
}

#[test]
fn invitation_that_names_another_group_is_refused() {
    each_seed("invitation_that_names_another_group_is_refused", 30, |world| {
        let ada = world.native("ada");
        let (talk, work) = (world.create_group(ada, "talk"), world.create_group(ada, "work"));
        let bob = world.native("bob");
        let of_talk = world.invite_bound(ada, talk, bob, Role::Member);
        let of_work = world.invite_bound(ada, work, bob, Role::Member);
        let forged = Invitation { kind: of_talk.kind, ..of_work };
        let answer = world.join(bob, forged);
        assert!(matches!(answer, Err(Error::InvitationInvalid(_))), "{answer:?}");
        let renamed =
            Invitation { name: "bank".to_owned(), ..of_talk_again(world, ada, talk, bob) };
        let answer = world.join(bob, renamed);
        assert_eq!(answer, Err(Error::InvitationInvalid(CertError::Name)));
    });
}

fn of_talk_again(
    world: &mut peergraph_tests::World,
    owner: usize,
    group: peergraph_core::id::GroupId,
    guest: usize,
) -> Invitation {
    world.invite_bound(owner, group, guest, Role::Member)
}

#[test]
fn bearer_invitation_waits_for_an_inviter_and_then_says_that_nobody_was_found() {
    let name = "bearer_invitation_waits_for_an_inviter_and_then_says_that_nobody_was_found";
    each_seed(name, 30, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let invitation = world.invite_bearer(ada, group, 1, HOUR);
        world.crash(ada);
        let bob = world.native("bob");
        assert_eq!(world.join(bob, invitation), Err(Error::NobodyFound));
        assert_eq!(group_count(world, bob), 0, "nothing is left of the attempt");
    });
}

fn group_count(world: &mut peergraph_tests::World, host: usize) -> usize {
    use peergraph_core::io::{Command, Reply};
    match world.ask(host, Command::Groups) {
        Ok(Reply::Groups(groups)) => groups.len(),
        other => panic!("groups answered {other:?}"),
    }
}

#[test]
fn joining_again_is_done_at_once() {
    each_seed("joining_again_is_done_at_once", 30, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let bob = world.native("bob");
        let mut invitation = world.invite_bound(ada, group, bob, Role::Member);
        invitation.addresses = vec![rtc_address(ada)];
        assert_eq!(world.join(bob, invitation.clone()), Ok(group));
        let before = world.time();
        assert_eq!(world.join(bob, invitation), Ok(group));
        assert_eq!(world.time(), before);
    });
}

#[test]
fn member_without_the_role_cannot_invite() {
    each_seed("member_without_the_role_cannot_invite", 20, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let cleo = world.native("cleo");
        let identity = world.hosts()[cleo].certificate.clone();
        let bound = Invite::Bound { identity, grant: Role::Member.into() };
        assert_eq!(world.invite(hosts[1], group, bound).err(), Some(Error::NotAllowed));
        let bearer = Invite::Bearer { grant: Role::Member.into(), uses: 1, expires_in: HOUR };
        assert_eq!(world.invite(hosts[1], group, bearer).err(), Some(Error::NotAllowed));
    });
}

#[test]
fn stranger_with_the_address_alone_gets_no_record() {
    each_seed("stranger_with_the_address_alone_gets_no_record", 50, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        world.say_to(hosts[0], group, "between us", &hosts);
        let eve = world.native("eve");
        // She has a group of her own, and knows the id of theirs from hearsay.
        world.create_group(eve, "mine");
        world.point(eve, hosts[0]);
        world.run_for(Duration::from_secs(60));
        assert!(world.links(eve).iter().all(|link| link.graphs.is_empty()));
        assert!(
            world
                .links(hosts[0])
                .iter()
                .all(|link| link.peer != Some(world.hosts()[eve].peer_id())
                    || link.graphs.is_empty())
        );
        let (_, received) = world.hosts()[eve].traffic;
        assert!(received < 8_000, "{received} bytes for a stranger in a minute");
    });
}

/// Goal: a join that nobody waits for any longer is not in the way of the next one. Method: the only member that
/// lets others in is away; the newcomer is linked to another one, waits in vain, and tries again with another link.
#[test]
fn later_join_takes_the_place_of_one_under_way() {
    each_seed("later_join_takes_the_place_of_one_under_way", 50, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let password = || Password::new("correct horse").expect("long enough");
        let grant = Role::Member.into();
        let how = Invite::Password { grant, password: password(), uses: 1, expires_in: HOUR };
        let mut by_password = world.invite(hosts[0], group, how).expect("an administrator invites");
        let mut bearer = world.invite_bearer(hosts[0], group, 1, HOUR);
        for invitation in [&mut by_password, &mut bearer] {
            invitation.addresses = vec![rtc_address(hosts[1])];
        }
        world.run_for(Duration::from_secs(5));
        world.crash(hosts[0]);
        let cleo = world.native("cleo");
        let join = Command::Join { invitation: by_password, password: Some(password()) };
        let first = world.command(cleo, join);
        world.run_for(Duration::from_secs(10));
        assert!(!world.is_answered(cleo, first), "nobody is there who could let it in");
        let second = world.command(cleo, Command::Join { invitation: bearer, password: None });
        world.start(hosts[0]);
        world.run_until(JOIN_WITHIN, |world| world.is_answered(cleo, second));
        assert!(matches!(world.answer(cleo, second), Some(Ok(Reply::Group(_)))));
        assert_eq!(world.answer(cleo, first).and_then(Result::err), Some(Error::Busy));
        world.await_synced(cleo);
        world.say_to(cleo, group, "hello", &[hosts[1]]);
    });
}
