//! Clocks that are wrong, or are set while a node runs: everything arrives, nobody is blamed, and it is told.
use crate::each_seed;
use peergraph_core::cert::Role;
use peergraph_core::error::Error;
use peergraph_core::id::GroupId;
use peergraph_core::io::{Command, Draft, Event, Invite, Reply};
use peergraph_core::limits;
use peergraph_core::password::Password;
use peergraph_core::record::Record;
use peergraph_core::roll::Standing;
use peergraph_tests::host::HostId;
use peergraph_tests::story::{deletion, draft};
use peergraph_tests::{Kind, World};
use std::time::Duration;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;
/// How wrong the clocks of newcomers are.
const OFFSETS: [i64; 9] = [
    15 * MINUTE,
    -15 * MINUTE,
    HOUR,
    -HOUR,
    3 * HOUR,
    -3 * HOUR,
    6 * MINUTE,
    -400 * DAY,
    11 * YEAR,
];
const SEEDS: u64 = 20;
/// How long a record may take to everybody.
const SOON: Duration = Duration::from_secs(40);

/// Sets a clock.
fn turn(world: &mut World, host: HostId, by: i64) {
    world.host(host).clock.offset_ms += by;
}

/// Nobody lost a link for anything that it did wrong.
fn nobody_is_blamed(world: &World) {
    for (nth, host) in world.hosts().iter().enumerate() {
        for (at, event) in &host.events {
            let blamed = matches!(event, Event::PeerMisbehaved { .. });
            assert!(!blamed, "host {nth} at {at}: {event:?}");
        }
    }
}

/// Nobody of these was told that its membership has ended.
fn nobody_expires(world: &World, hosts: &[HostId]) {
    for &host in hosts {
        for (at, event) in &world.hosts()[host].events {
            let expired = matches!(event, Event::Group(info) if info.standing == Standing::Expired);
            assert!(!expired, "host {host} at {at}");
        }
    }
}

/// Whether a newcomer whose clock shows a time before the program was made is told just that.
fn is_told(world: &World, host: HostId, joined: &Result<GroupId, Error>) -> bool {
    let clock = world.hosts()[host].clock.wall(world.time().as_micros() as u64);
    let behind = clock < limits::RELEASED;
    assert_eq!(behind, matches!(joined, Err(Error::ClockBehind(_))), "{joined:?}");
    behind
}

/// The last report to a host about its clock: how far it is ahead.
fn told_of_clock(world: &World, host: HostId) -> Option<i64> {
    world.hosts()[host].events.iter().rev().find_map(|(_, event)| match event {
        Event::Clock { ahead_ms, .. } => Some(*ahead_ms),
        _ => None,
    })
}

/// A host is told that its clock is ahead by so much, give or take a minute.
fn knows_its_clock(world: &World, host: HostId, ahead: i64) {
    let told = told_of_clock(world, host);
    let fits = told.is_some_and(|told| told.abs_diff(ahead) < 61_000);
    assert!(fits, "host {host} is {ahead} ms ahead, and was told {told:?}");
}

/// A record is at all others, and its publisher is told so.
fn arrives(world: &mut World, from: HostId, record: &Record, others: &[HostId]) {
    let held = |world: &World| {
        world.has_event(from, |event| {
            matches!(event, Event::Status { id, held_by, .. } if *id == record.id && *held_by > 0)
        })
    };
    let there = |world: &World| others.iter().all(|&host| world.has_stored(host, record.id));
    let all = world.run_until_every(10, SOON, |world| there(world) && held(world));
    let lacking: Vec<_> = others.iter().filter(|&&it| !world.has_stored(it, record.id)).collect();
    assert!(all, "not at {lacking:?}; its publisher is told: {}", held(world));
}

/// The same texts are at all of them.
fn agree(world: &mut World, group: GroupId, hosts: &[HostId], count: usize) {
    for &host in hosts {
        let texts = world.texts(host, group);
        assert_eq!(texts.len(), count, "host {host}: {texts:?}");
    }
}

fn offset(world: &World) -> i64 {
    OFFSETS[(world.seed() / SEEDS) as usize % OFFSETS.len()]
}

/// I1, C3. Goal: a newcomer whose clock is wrong publishes right after its join, and everything is at everybody's. Method:
/// by link; native or a browser; 20 seeds of each offset.
#[test]
fn newcomer_with_a_wrong_clock_is_heard() {
    let name = "newcomer_with_a_wrong_clock_is_heard";
    each_seed(name, SEEDS * OFFSETS.len() as u64, |world| {
        let ahead = offset(world);
        let (group, mut hosts) = world.group_of(&["ada", "bob"]);
        let before = world.say(hosts[0], group, "before");
        // By the clock of most newcomers it has ended, or is not made yet.
        let bearer = world.invite_bearer(hosts[0], group, 1, Duration::from_secs(240));
        let kind = if world.seed_is_even() { Kind::Native } else { Kind::Browser };
        let cleo = world.add(kind, "cleo");
        world.await_opened(cleo);
        turn(world, cleo, ahead);
        let joined = world.join(cleo, bearer);
        if is_told(world, cleo, &joined) {
            return;
        }
        assert_eq!(joined, Ok(group), "{ahead} ms ahead");
        let first = world.say(cleo, group, "first");
        arrives(world, cleo, &first, &hosts);
        hosts.push(cleo);
        let last = world.say(hosts[1], group, "last");
        world.await_record(&hosts, last.id);
        world.await_record(&hosts, before.id);
        world.run_for(Duration::from_secs(200));
        agree(world, group, &hosts, 3);
        assert_eq!(world.nodes(hosts[1], group).len(), 3, "all are here");
        nobody_is_blamed(world);
        nobody_expires(world, &hosts);
        knows_its_clock(world, cleo, ahead);
    });
}

/// The same by an invitation that makes it a member before it meets anybody. The one who is years ahead is told that its
/// invitation has ended by its clock.
#[test]
fn guest_with_a_wrong_clock_is_heard() {
    each_seed("guest_with_a_wrong_clock_is_heard", SEEDS * OFFSETS.len() as u64, |world| {
        let ahead = offset(world);
        let (group, mut hosts) = world.group_of(&["ada", "bob"]);
        let cleo = world.native("cleo");
        let mut bound = world.invite_bound(hosts[0], group, cleo, Role::Member);
        bound.addresses = vec![peergraph_tests::host::rtc_address(hosts[0])];
        turn(world, cleo, ahead);
        let joined = world.join(cleo, bound);
        if is_told(world, cleo, &joined) {
            return;
        }
        if ahead == 11 * YEAR {
            assert!(matches!(joined, Err(Error::InvitationEnded { .. })), "{joined:?}");
            assert!(joined.unwrap_err().to_string().contains("clock"));
            return;
        }
        assert_eq!(joined, Ok(group), "{ahead} ms ahead");
        let first = world.say(cleo, group, "first");
        arrives(world, cleo, &first, &hosts);
        hosts.push(cleo);
        world.say_to(hosts[1], group, "last", &hosts);
        world.run_for(Duration::from_secs(200));
        agree(world, group, &hosts, 2);
        nobody_is_blamed(world);
        nobody_expires(world, &hosts);
        knows_its_clock(world, cleo, ahead);
    });
}

/// C3: a member's word on an invitation is believed whatever the clock of the newcomer shows, and a
/// wrong clock costs a newcomer that knows the password no link.
#[test]
fn newcomer_with_a_wrong_clock_is_told_what_its_invitation_is() {
    let name = "newcomer_with_a_wrong_clock_is_told_what_its_invitation_is";
    each_seed(name, SEEDS * OFFSETS.len() as u64, |world| {
        let ahead = offset(world);
        let (ada, bob, cleo) = (world.native("ada"), world.native("bob"), world.native("cleo"));
        let group = world.create_group(ada, "garden");
        let day = Duration::from_secs(86_400);
        let once = world.invite_bearer(ada, group, 1, day);
        assert_eq!(world.join(bob, once.clone()), Ok(group));
        turn(world, cleo, ahead);
        let joined = world.join(cleo, once);
        if is_told(world, cleo, &joined) {
            return;
        }
        assert_eq!(joined, Err(Error::InvitationUsedUp), "{ahead}");

        let password = || Password::new("a good long password").expect("a password");
        let grant = Role::Member.into();
        let invite = Invite::Password { grant, uses: 1, expires_in: day, password: password() };
        let invitation = world.invite(ada, group, invite).expect("it is allowed");
        let join = Command::Join { invitation, password: Some(password()) };
        let joined = world.ask_within(cleo, join, Duration::from_secs(60));
        assert!(matches!(joined, Ok(Reply::Group(_))), "{ahead} ms ahead: {joined:?}");
        let first = world.say(cleo, group, "first");
        arrives(world, cleo, &first, &[ada, bob]);
        nobody_is_blamed(world);
        knows_its_clock(world, cleo, ahead);
    });
}

/// How wrong the clock of a member is when it starts again.
const RESTARTS: [i64; 7] = [HOUR, -HOUR, 3 * HOUR, -3 * HOUR, -400 * DAY, 11 * YEAR, -56 * YEAR];

/// Goal: a member that starts with a wrong clock, writes alone, and meets the others loses nothing
/// and blames nobody, whichever member it is. Method: it is stopped or killed, its clock is set, it
/// starts alone; the others are there a minute later, and say how wrong its clock is. Then the
/// clock is set right, and it starts again.
#[test]
fn member_that_starts_with_a_wrong_clock_loses_nothing() {
    let name = "member_that_starts_with_a_wrong_clock_loses_nothing";
    each_seed(name, SEEDS * RESTARTS.len() as u64, |world| {
        let ahead = RESTARTS[(world.seed() / SEEDS) as usize % RESTARTS.len()];
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo"]);
        world.run_for(Duration::from_secs(3 * 3600));
        let before = world.say_to(hosts[0], group, "before", &hosts);
        world.run_for(Duration::from_secs(20));
        // The owner, or one who was let in.
        let it = hosts[(world.seed() % 2) as usize];
        let others: Vec<HostId> = hosts.iter().copied().filter(|&host| host != it).collect();
        let stop = |world: &mut World, host| {
            if world.chance.within(0..2) == 0 { world.stop(host) } else { world.crash(host) }
        };
        for &host in &hosts {
            stop(world, host);
        }
        turn(world, it, ahead);
        world.start(it);
        world.await_opened(it);
        let alone = world.say(it, group, "alone");
        world.run_for(Duration::from_secs(60));
        for &host in &others {
            world.start(host);
        }
        arrives(world, it, &alone, &others);
        assert_eq!(world.texts(it, group), ["alone", "before"]);
        knows_its_clock(world, it, ahead);
        let together = world.say(it, group, "together");
        arrives(world, it, &together, &others);
        let theirs = world.say(others[0], group, "theirs");
        arrives(world, others[0], &theirs, &hosts);
        world.run_for(Duration::from_secs(200));
        nobody_expires(world, &hosts);

        stop(world, it);
        turn(world, it, -ahead);
        world.start(it);
        world.await_opened(it);
        let right = world.say(it, group, "right");
        arrives(world, it, &right, &others);
        world.run_for(Duration::from_secs(200));
        agree(world, group, &hosts, 5);
        for &host in &others {
            let shift = world.info(host, group).clock_shift_ms;
            assert!(shift.abs() < 20 * MINUTE, "host {host} was led away: {shift}");
            assert!(told_of_clock(world, host).is_none_or(|ahead| ahead == 0), "host {host}");
        }
        for host in others {
            assert!([&before, &alone, &theirs].iter().all(|it| world.has_stored(host, it.id)));
        }
        nobody_is_blamed(world);
        nobody_expires(world, &hosts);
    });
}

/// I7. Goal: a clock that is set while the node runs, forth and back, changes nothing: no record waits, no neighbour is lost,
/// no membership ends. Method: in company; with large and small steps.
#[test]
fn clock_that_is_set_while_a_node_runs_changes_nothing() {
    each_seed("clock_that_is_set_while_a_node_runs_changes_nothing", SEEDS, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo"]);
        world.run_for(Duration::from_secs(30));
        let it = hosts[(world.seed() % 3) as usize];
        let others: Vec<HostId> = hosts.iter().copied().filter(|&host| host != it).collect();
        let begun = world.hosts()[it].events.len();
        let steps = [HOUR, -HOUR, -HOUR, HOUR, 11 * YEAR, -11 * YEAR, -400 * DAY, 400 * DAY];
        let steps = steps.into_iter().chain([HOUR, -2 * HOUR, 3 * HOUR]);
        let mut ahead = 0;
        let mut count = 0;
        for step in steps {
            turn(world, it, step);
            ahead += step;
            let said = world.say(it, group, &format!("{step}"));
            arrives(world, it, &said, &others);
            let wait = world.chance.within(0..400);
            world.run_for(Duration::from_secs(wait));
            world.say_to(others[0], group, "theirs", &hosts);
            count += 2;
            if ahead == 0 {
                assert_eq!(told_of_clock(world, it), Some(0), "it is right again");
            } else {
                knows_its_clock(world, it, ahead);
            }
        }
        agree(world, group, &hosts, count);
        let lost = |(_, event): &(u64, Event)| matches!(event, Event::Neighbour { up: false, .. });
        assert!(!world.hosts()[it].events[begun..].iter().any(lost), "no neighbour is lost");
        nobody_is_blamed(world);
        nobody_expires(world, &hosts);
        let removed =
            |event: &Event| matches!(event, Event::Expired { .. } | Event::Withdrawn { .. });
        assert!(!world.has_event(it, removed));
    });
}

/// The same of one who is alone meanwhile: what it wrote under a wrong clock is signed again when the clock is right, or
/// when others tell it.
#[test]
fn what_was_written_alone_under_a_wrong_clock_is_signed_again() {
    each_seed("what_was_written_alone_under_a_wrong_clock_is_signed_again", SEEDS * 2, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let (it, other) = match world.seed_is_even() {
            true => (hosts[0], hosts[1]),
            false => (hosts[1], hosts[0]),
        };
        let kept = world.say_to(it, group, "kept", &hosts);
        let gone = world.say_to(it, group, "gone", &hosts);
        world.run_for(Duration::from_secs(10));
        world.stop(other);
        world.run_for(Duration::from_secs(60));
        let mut written = Vec::new();
        for step in [HOUR, -HOUR, 3 * HOUR] {
            turn(world, it, step);
            written.push(world.say(it, group, &format!("at {step}")));
            world.run_for(Duration::from_secs(60));
        }
        let change = Draft { id: Some(kept.id), ..draft("changed") };
        written.push(world.publish(it, group, change).expect("it is there"));
        world.publish(it, group, deletion(&gone)).expect("it is there");
        turn(world, it, 11 * YEAR);
        written.push(world.say(it, group, "years ahead"));
        if world.seed() >= SEEDS {
            let again = world.chance.within(0..2) == 0;
            if again {
                world.stop(it);
            }
            turn(world, it, -3 * HOUR - 11 * YEAR);
            if again {
                world.start(it);
                world.await_opened(it);
            }
            world.run_for(Duration::from_secs(60));
        }
        world.start(other);
        for record in &written {
            arrives(world, it, record, &[other]);
        }
        world.run_for(Duration::from_secs(200));
        let deleted = |world: &World| world.has_seen_deletion(other, gone.id);
        assert!(world.run_until(SOON, deleted), "the deletion arrives too");
        for host in hosts {
            agree(world, group, &[host], written.len());
            assert!(world.texts(host, group).contains(&"changed".to_owned()));
        }
        let edit = Draft { id: Some(kept.id), ..draft("again") };
        let edited = world.publish(it, group, edit).expect("it is there");
        arrives(world, it, &edited, &[other]);
        nobody_is_blamed(world);
    });
}

/// Goal: of a leap ahead nothing is told, and nothing is written into the past, if the device has slept. Method: all of a group
/// sleep together, as several windows of one laptop do, and their links last; or one sleeps alone, and the others have gone
/// meanwhile. Sleeps last from a minute to years.
#[test]
fn sleep_is_not_told_as_a_wrong_clock() {
    each_seed("sleep_is_not_told_as_a_wrong_clock", SEEDS, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo"]);
        world.run_for(Duration::from_secs(30));
        let together = world.seed_is_even();
        let it = hosts[(world.seed() % 3) as usize];
        for slept in [MINUTE, 9 * HOUR, 30 * DAY] {
            if together {
                for &host in &hosts {
                    turn(world, host, slept);
                }
            } else {
                let others: Vec<HostId> =
                    hosts.iter().copied().filter(|&host| host != it).collect();
                for &other in &others {
                    world.crash(other);
                }
                for &host in &hosts {
                    turn(world, host, slept);
                }
                world.run_for(Duration::from_secs(10));
                for &other in &others {
                    world.start(other);
                }
            }
            // A host notices it with its next input.
            world.run_for(Duration::from_secs(20));
            let said = world.say_to(it, group, &format!("after {slept}"), &hosts);
            let clock = world.hosts()[it].clock.wall(world.time().as_micros() as u64);
            let off = said.modified.0.abs_diff(clock.0);
            assert!(off < 60_000, "after {slept}: {off} ms");
            world.run_for(Duration::from_secs(60));
        }
        for host in hosts {
            assert!(told_of_clock(world, host).is_none_or(|ahead| ahead == 0), "host {host}");
        }
        nobody_is_blamed(world);
    });
}

/// Goal: a device whose monotonic clock stops while it sleeps takes the time that passed for what it is. Method: its clock
/// leaps ahead of that, and so do those of the others, which were started meanwhile.
#[test]
fn device_that_slept_follows_its_clock() {
    each_seed("device_that_slept_follows_its_clock", SEEDS, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo"]);
        world.run_for(Duration::from_secs(30));
        let others = [hosts[1], hosts[2]];
        for host in others {
            world.crash(host);
        }
        for &host in &hosts {
            turn(world, host, 9 * HOUR);
        }
        for host in others {
            world.start(host);
        }
        world.run_for(Duration::from_secs(60));
        let said = world.say(hosts[0], group, "awake");
        arrives(world, hosts[0], &said, &others);
        world.say_to(others[0], group, "hello", &hosts);
        let shift = world.info(hosts[0], group).clock_shift_ms;
        assert!(shift.abs() < 20 * MINUTE, "its clock is right: {shift}");
        assert!(told_of_clock(world, hosts[0]).is_none_or(|ahead| ahead == 0));
        nobody_is_blamed(world);
    });
}
