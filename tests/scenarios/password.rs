//! Joining by password.
use crate::each_seed;
use peergraph_core::cert::Role;
use peergraph_core::error::Error;
use peergraph_core::id::{GroupId, PeerPrefix};
use peergraph_core::invitation::Invitation;
use peergraph_core::io::{Command, Invite, Reply};
use peergraph_core::password::Password;
use peergraph_core::policy::Policy;
use peergraph_tests::host::rtc_address;
use peergraph_tests::{HostId, World};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn password(text: &str) -> Password {
    Password::new(text).expect("long enough")
}

fn invite(world: &mut World, host: HostId, group: GroupId, text: &str) -> Invitation {
    let grant = Role::Member.into();
    let invite = Invite::Password { grant, password: password(text), uses: 10, expires_in: HOUR };
    let mut invitation = world.invite(host, group, invite).expect("an administrator invites");
    invitation.addresses = vec![rtc_address(host)];
    invitation
}

fn join(
    world: &mut World,
    host: HostId,
    invitation: &Invitation,
    text: &str,
) -> Result<Reply, Error> {
    let (invitation, password) = (invitation.clone(), Some(password(text)));
    world.ask_within(host, Command::Join { invitation, password }, Duration::from_secs(90))
}

#[test]
fn password_lets_in_who_knows_it_and_tells_who_does_not() {
    each_seed("password_lets_in_who_knows_it_and_tells_who_does_not", 30, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let invitation = invite(world, ada, group, "correct horse");
        let text = invitation.to_text();
        assert!(!text.contains("correct"));
        let invitation = Invitation::from_text(&text).expect("it was written by us");
        assert!(invitation.summary().password);
        let bob = world.native("bob");
        assert_eq!(world.join(bob, invitation.clone()), Err(Error::PasswordNeeded));
        let wrong = join(world, bob, &invitation, "battery staple");
        assert_eq!(wrong.err(), Some(Error::WrongPassword));
        assert!(join(world, bob, &invitation, "correct horse").is_ok());
        world.await_synced(bob);
        world.say_to(bob, group, "hello", &[ada, bob]);
    });
}

#[test]
fn who_guesses_must_wait_longer_and_longer() {
    each_seed("who_guesses_must_wait_longer_and_longer", 20, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let invitation = invite(world, ada, group, "correct horse");
        let eve = world.native("eve");
        let mut wrong = 0;
        let mut waits = Vec::new();
        for guess in 0..8 {
            match join(world, eve, &invitation, &format!("guess {guess:08}")).err() {
                Some(Error::WrongPassword) => wrong += 1,
                Some(Error::TooManyTries(wait)) => waits.push(wait),
                other => panic!("guess {guess} ended as {other:?}"),
            }
        }
        assert!(wrong >= 3 && !waits.is_empty(), "{wrong} wrong, then {waits:?}");
        // A newcomer that knows the password gets in meanwhile.
        let bob = world.native("bob");
        assert!(join(world, bob, &invitation, "correct horse").is_ok());
    });
}

/// Goal: new names and restarts give no more guesses, and an honest newcomer who comes the same way gets in when it was
/// told to come; one who comes from elsewhere does not wait. Method: strangers at one address dial the maker and guess, each
/// under several names, until they must wait long.
#[test]
fn new_names_and_restarts_give_no_more_guesses() {
    each_seed("new_names_and_restarts_give_no_more_guesses", 3, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        world.run_for(Duration::from_secs(10));
        let invitation = invite(world, hosts[0], group, "correct horse");
        let mut guesses = 0;
        let mut first = None;
        loop {
            let eve = world.native("eve");
            world.host(eve).behind = Some(*first.get_or_insert(eve));
            match join(world, eve, &invitation, &format!("guess {guesses:08}")).err() {
                Some(Error::WrongPassword) => guesses += 1,
                Some(Error::TooManyTries(wait)) if wait > Duration::from_secs(30) => break,
                Some(Error::TooManyTries(wait)) => world.run_for(wait),
                other => panic!("guess {guesses} ended as {other:?}"),
            }
            assert!(guesses < 30, "{guesses} guesses");
        }
        let fay = world.native("fay");
        assert!(join(world, fay, &invitation, "correct horse").is_ok(), "she comes from elsewhere");
        let dan = world.native("dan");
        world.host(dan).behind = first;
        let told = |world: &mut World| match join(world, dan, &invitation, "correct horse").err() {
            Some(Error::TooManyTries(wait)) => wait,
            other => panic!("ended as {other:?}"),
        };
        told(world);
        world.run_for(Duration::from_secs(4));
        world.stop(hosts[0]);
        world.start(hosts[0]);
        world.await_synced(hosts[0]);
        let wait = told(world);
        assert!(wait < Duration::from_secs(120), "{wait:?}");
        world.run_for(wait);
        assert!(join(world, dan, &invitation, "correct horse").is_ok());
    });
}

#[test]
fn password_is_proved_to_its_maker_through_another_member() {
    each_seed("password_is_proved_to_its_maker_through_another_member", 30, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        world.run_for(Duration::from_secs(10));
        let mut invitation = invite(world, hosts[0], group, "correct horse");
        invitation.addresses = vec![rtc_address(hosts[1])];
        let cleo = world.native("cleo");
        assert!(join(world, cleo, &invitation, "correct horse").is_ok());
        // Its maker knows it still after a restart.
        world.stop(hosts[0]);
        world.start(hosts[0]);
        world.await_synced(hosts[0]);
        let dan = world.native("dan");
        assert!(join(world, dan, &invitation, "correct horse").is_ok());
    });
}

/// Goal: a member that has not heard of an invitation yet does not say that it is over. Method: it is away while the
/// invitation is made, and the only one that is there when a newcomer comes; its maker comes a little later.
#[test]
fn member_that_does_not_know_an_invitation_yet_says_so() {
    each_seed("member_that_does_not_know_an_invitation_yet_says_so", 20, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let [ada, bob] = hosts[..] else { panic!("two hosts") };
        world.run_for(Duration::from_secs(10));
        world.crash(bob);
        let mut invitation = invite(world, ada, group, "correct horse");
        invitation.addresses = vec![rtc_address(bob)];
        world.run_for(Duration::from_secs(5));
        world.stop(ada);
        world.start(bob);
        world.await_opened(bob);
        let cleo = world.native("cleo");
        let password = Some(password("correct horse"));
        let request = world.command(cleo, Command::Join { invitation, password });
        world.run_for(Duration::from_secs(6));
        assert!(!world.is_answered(cleo, request), "{:?}", world.answer(cleo, request));
        world.start(ada);
        world.run_until(Duration::from_secs(90), |world| world.is_answered(cleo, request));
        let answer = world.answer(cleo, request);
        assert!(matches!(answer, Some(Ok(Reply::Group(_)))), "{answer:?}");
    });
}

/// Goal: only who made an invitation knows whether a password is wrong. Method: a link that names another member as its maker
/// leads to one that has another password, as a member would that makes one up.
#[test]
fn member_that_did_not_make_the_invitation_calls_no_password_wrong() {
    each_seed("member_that_did_not_make_the_invitation_calls_no_password_wrong", 5, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let mut invitation = invite(world, hosts[0], group, "made up by ada");
        invitation.inviter = PeerPrefix::of(world.hosts()[hosts[1]].peer_id());
        let cleo = world.native("cleo");
        let answer = join(world, cleo, &invitation, "correct horse");
        assert!(matches!(answer, Err(Error::NobodyFound(_))), "{answer:?}");
    });
}

#[test]
fn creator_can_rule_passwords_out() {
    each_seed("creator_can_rule_passwords_out", 3, |world| {
        let ada = world.native("ada");
        let mut policy = Policy::default();
        policy.passwords = false;
        let group = world.create_group_under(ada, "talk", policy);
        let grant = Role::Member.into();
        let password = password("correct horse");
        let invite = Invite::Password { grant, password, uses: 1, expires_in: HOUR };
        assert_eq!(world.invite(ada, group, invite).err(), Some(Error::NotAllowed));
    });
}
