//! Clocks that are wrong, and what they may not cost.
use crate::each_seed;
use peergraph_core::cert::Role;
use peergraph_core::error::Error;
use peergraph_core::io::{Command, Draft, Event, Reply};
use peergraph_core::policy::Policy;
use peergraph_core::time::WallTime;
use peergraph_tests::World;
use peergraph_tests::host::{HostId, rtc_address};
use peergraph_tests::story::draft;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

/// Sets a host's clock to what one without a battery shows at boot. Returns by how many milliseconds it is behind now.
fn set_to_1970(world: &mut World, host: HostId) -> i64 {
    let at = world.time().as_micros() as u64;
    let behind = world.hosts()[host].clock.wall(at).0 as i64 - 60_000;
    world.host(host).clock.offset_ms -= behind;
    behind
}

/// Whether that is an error which names the clock, by what it shows.
fn names_the_clock<T>(answer: Result<T, Error>) -> bool {
    let Err(error) = answer else { return false };
    matches!(error, Error::ClockBehind(WallTime(shown)) if shown < 600_000)
        && error.to_string().contains("1970-01-01T00:0")
}

/// C2: a group, a membership or an invitation that is dated 1970 would be dead once the clock is set.
/// Method: each is asked for while the clock shows 1970, and again once it is right.
#[test]
fn nothing_that_lasts_is_signed_before_the_clock_is_set() {
    each_seed("nothing_that_lasts_is_signed_before_the_clock_is_set", 10, |world| {
        let (ada, bob) = (world.native("ada"), world.native("bob"));
        let behind = set_to_1970(world, ada);
        let create = Command::CreateGroup { name: "garden".into(), policy: Policy::default() };
        assert!(names_the_clock(world.ask(ada, create)));
        world.host(ada).clock.offset_ms += behind;

        let group = world.create_group(ada, "garden");
        let day = Duration::from_secs(86_400);
        let invitation = world.invite_bearer(ada, group, 1, day);
        let behind = set_to_1970(world, bob);
        assert!(names_the_clock(world.join(bob, invitation.clone())));
        world.host(bob).clock.offset_ms += behind;
        assert_eq!(world.join(bob, invitation), Ok(group));

        world.await_synced(bob);
        world.say_to(ada, group, "hello", &[bob]);
    });
}

/// C1. Goal: one start with a clock that is years ahead hides what has ended and removes nothing. Method: a diary of one
/// who is alone, with nobody to contradict the clock; killed or stopped before and after.
#[test]
fn one_start_with_the_clock_years_ahead_removes_nothing() {
    each_seed("one_start_with_the_clock_years_ahead_removes_nothing", 20, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "diary");
        let note = world.say(ada, group, "one");
        world.await_record(&[ada], note.id);
        world.stop(ada);
        let years = 11 * 365 * 86_400_000;
        world.host(ada).clock.offset_ms += years;
        world.start(ada);
        world.run_for(HOUR * 3);
        assert!(world.texts(ada, group).is_empty(), "what has ended is not shown");
        if world.seed_is_even() {
            world.crash(ada);
        } else {
            world.stop(ada);
        }
        world.host(ada).clock.offset_ms -= years;
        world.start(ada);
        assert_eq!(world.texts(ada, group), ["one"]);
        let note = world.say(ada, group, "two");
        world.await_record(&[ada], note.id);
        assert_eq!(world.texts(ada, group).len(), 2);
    });
}

/// Goal: a device that was off for months removes what has ended, though nobody confirms the time. Method: it runs for a day.
#[test]
fn what_ended_while_a_device_was_off_goes_after_a_day() {
    each_seed("what_ended_while_a_device_was_off_goes_after_a_day", 5, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "diary");
        let draft = Draft { expires_in: Some(HOUR * 48), ..draft("one") };
        let note = world.publish(ada, group, draft).expect("published");
        world.await_record(&[ada], note.id);
        world.stop(ada);
        world.host(ada).clock.offset_ms += 100 * 86_400_000;
        world.start(ada);
        let stored = |world: &World| world.hosts()[ada].disk.records(group);
        let kept = |world: &World| stored(world).iter().any(|record| record.id == note.id);
        world.run_for(HOUR * 23);
        assert!(kept(world) && world.texts(ada, group).is_empty());
        world.run_for(HOUR * 3);
        assert!(!kept(world));
    });
}

/// Goal: a member whose clock is set to 1970 while it runs lets a newcomer in as before: its own membership shows that the clock is
/// wrong, and it is told so.
#[test]
fn member_whose_clock_is_set_to_1970_lets_a_newcomer_in() {
    each_seed("member_whose_clock_is_set_to_1970_lets_a_newcomer_in", 10, |world| {
        let (ada, bob) = (world.native("ada"), world.native("bob"));
        let group = world.create_group(ada, "garden");
        let invitation = world.invite_bearer(ada, group, 1, Duration::from_secs(86_400));
        let behind = set_to_1970(world, ada);
        assert_eq!(world.join(bob, invitation), Ok(group));
        world.await_synced(bob);
        world.say_to(ada, group, "hello", &[bob]);
        world.say_to(bob, group, "hello", &[ada]);
        let told = |event: &Event| {
            let Event::Clock { ahead_ms, .. } = event else { return false };
            ahead_ms.abs_diff(-behind) < 60_000
        };
        assert!(world.has_event(ada, told));
        world.host(ada).clock.offset_ms += behind;
        world.say_to(bob, group, "right", &[ada]);
        world.run_for(Duration::from_secs(60));
        let right = |event: &Event| matches!(event, Event::Clock { ahead_ms: 0, .. });
        assert!(world.has_event(ada, right));
    });
}

/// Goal: a member that cannot let a newcomer in, though its role lets it, is told why, once. Method: its own membership has ended
/// when the newcomer comes to it; the owner is there a little later.
#[test]
fn member_that_cannot_let_a_newcomer_in_is_told_why() {
    each_seed("member_that_cannot_let_a_newcomer_in_is_told_why", 10, |world| {
        let (ada, bob, cleo) = (world.native("ada"), world.native("bob"), world.native("cleo"));
        let mut policy = Policy::default();
        policy.membership_lifetime = HOUR * 2;
        let group = world.create_group_under(ada, "garden", policy);
        let mut bound = world.invite_bound(ada, group, bob, Role::Inviting);
        bound.addresses = vec![rtc_address(ada)];
        assert_eq!(world.join(bob, bound), Ok(group));
        world.await_synced(bob);
        let mut invitation = world.invite_bearer(ada, group, 1, Duration::from_secs(86_400));
        invitation.addresses = vec![rtc_address(bob), rtc_address(ada)];
        world.run_for(Duration::from_secs(60));
        world.stop(ada);
        world.run_for(HOUR * 2 + Duration::from_secs(600));
        let request = world.command(cleo, Command::Join { invitation, password: None });
        world.run_for(Duration::from_secs(10));
        assert!(!world.is_answered(cleo, request), "{:?}", world.answer(cleo, request));
        let peer = world.hosts()[cleo].peer_id();
        let told = world.hosts()[bob].events.iter().filter(|(_, event)| {
            matches!(event, Event::CouldNotLetIn { peer: who, error, .. }
                if *who == peer && matches!(**error, Error::MembershipExpired))
        });
        assert_eq!(told.count(), 1);
        world.start(ada);
        world.run_until(Duration::from_secs(30), |world| world.is_answered(cleo, request));
        let answer = world.answer(cleo, request);
        assert!(matches!(answer, Some(Ok(Reply::Group(_)))), "{answer:?}");
    });
}
