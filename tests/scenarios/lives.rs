//! How long records live: what may shorten it (nothing), keep them past their end, or keep them alive.
use crate::each_seed;
use peergraph_core::cert::Role;
use peergraph_core::id::{GroupId, RecordId};
use peergraph_core::io::{Draft, Event};
use peergraph_core::limits::REFRESH_LEAD_MIN;
use peergraph_core::policy::Policy;
use peergraph_core::record::Record;
use peergraph_tests::host::rtc_address;
use peergraph_tests::story::{deletion, draft};
use peergraph_tests::{HostId, World};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// A draft that lives so long.
fn living(text: &str, life: Duration) -> Draft {
    Draft { expires_in: Some(life), ..draft(text.to_owned()) }
}

fn is_told_of_end(world: &World, host: HostId, id: RecordId) -> bool {
    world.has_event(host, |event| matches!(event, Event::Expired { id: ended, .. } if *ended == id))
}

#[test]
fn a_change_or_deletion_lasts_as_long_as_what_it_hides() {
    each_seed("a_change_or_deletion_lasts_as_long_as_what_it_hides", 20, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let [ada, bob] = hosts[..] else { panic!("two hosts") };
        let made = |world: &mut World, text| {
            let made = world.publish(ada, group, living(text, MINUTE * 30)).expect("half an hour");
            world.await_record(&[bob], made.id);
            made
        };
        let (changed, deleted) = (made(world, "first words"), made(world, "regretted"));
        // Bob comes back with the old copies, long after the lives that were asked for now.
        world.crash(bob);
        let shorter = Draft { id: Some(changed.id), ..living("last words", MINUTE) };
        let change = world.publish(ada, group, shorter).expect("its creator may change it");
        let shorter = Draft { expires_in: Some(MINUTE), ..deletion(&deleted) };
        let tombstone = world.publish(ada, group, shorter).expect("its creator may delete it");
        assert!(change.expires >= changed.expires && tombstone.expires >= deleted.expires);
        world.run_for(MINUTE * 5);
        world.start(bob);
        world.point(bob, ada);
        world.run_for(MINUTE * 5);
        for host in hosts {
            assert_eq!(world.texts(host, group), ["last words"], "host {host}");
        }
    });
}

/// A group of two whose policy defers expiry.
fn patient_group(world: &mut World) -> (GroupId, HostId, HostId) {
    let (ada, bob) = (world.native("ada"), world.native("bob"));
    let mut policy = Policy::default();
    policy.defer_expiry = true;
    let group = world.create_group_under(ada, "patience", policy);
    let mut invitation = world.invite_bound(ada, group, bob, Role::Member);
    invitation.addresses = vec![rtc_address(ada)];
    assert_eq!(world.join(bob, invitation), Ok(group));
    world.await_synced(bob);
    (group, ada, bob)
}

#[test]
fn who_is_alone_keeps_what_has_ended_where_the_group_wants_it() {
    each_seed("who_is_alone_keeps_what_has_ended_where_the_group_wants_it", 20, |world| {
        let (group, ada, bob) = patient_group(world);
        let ends = world.publish(ada, group, living("soon gone", MINUTE * 5)).expect("a life");
        world.await_record(&[bob], ends.id);
        world.crash(ada);
        world.run_for(MINUTE * 10);
        assert_eq!(world.texts(bob, group), ["soon gone"]);
        world.crash(bob);
        world.start(bob);
        world.await_opened(bob);
        world.run_for(MINUTE);
        assert_eq!(world.texts(bob, group), ["soon gone"], "after a restart too");
        assert!(!is_told_of_end(world, bob, ends.id));
        world.start(ada);
        world.point(bob, ada);
        let gone = world.run_until(MINUTE * 5, |world| {
            [ada, bob].iter().all(|&host| is_told_of_end(world, host, ends.id))
        });
        assert!(gone, "both are told that it is over");
        world.run_for(Duration::from_secs(5));
        for host in [ada, bob] {
            assert!(world.texts(host, group).is_empty(), "host {host}");
            assert!(!world.host(host).disk.holds(b"soon gone"), "host {host} keeps it on disk");
        }
        // Among others it ends in time.
        let ends = world.publish(ada, group, living("gone at once", MINUTE)).expect("a life");
        world.await_record(&[bob], ends.id);
        world.run_for(MINUTE * 2);
        assert!([ada, bob].iter().all(|&host| is_told_of_end(world, host, ends.id)));
    });
}

#[test]
fn refreshed_record_lives_while_its_publisher_is_up() {
    each_seed("refreshed_record_lives_while_its_publisher_is_up", 10, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let [ada, bob] = hosts[..] else { panic!("two hosts") };
        let kept = Draft { refresh: true, ..living("still here", MINUTE * 10) };
        let kept = world.publish(bob, group, kept).expect("it may be refreshed");
        let let_go = Draft { refresh: true, ..living("for now", MINUTE * 10) };
        let let_go = world.publish(bob, group, let_go).expect("another");
        world
            .publish(bob, group, Draft { id: Some(let_go.id), ..living("no more", MINUTE) })
            .expect("its publisher may change it");
        world.await_record(&[ada], kept.id);
        for minute in 0..50 {
            if minute == 25 {
                world.crash(bob);
                world.start(bob);
                world.await_opened(bob);
                world.point(bob, ada);
            }
            world.run_for(MINUTE);
            let found = |record: &Record| record.id == kept.id;
            let at_ada = world.records(ada, group).into_iter().find(found);
            let record = at_ada.unwrap_or_else(|| panic!("it is gone after {minute} minutes"));
            assert_eq!((&record.payload[..], record.created), (&b"still here"[..], kept.created));
            let now = world.hosts()[bob].clock.wall(world.time().as_micros() as u64);
            let lead = record.expires.0.saturating_sub(now.0);
            let least = REFRESH_LEAD_MIN - MINUTE / 4;
            assert!(u128::from(lead) >= least.as_millis(), "{lead} ms before its end");
        }
        assert!(is_told_of_end(world, ada, let_go.id), "what is refreshed no more ends");
        let told = world.hosts()[ada].events.iter().filter(
            |(_, event)| matches!(event, Event::Record { record, .. } if record.id == kept.id),
        );
        // One every six minutes, and the first.
        let told = told.count();
        assert!((6..=12).contains(&told), "published {told} times in 50 minutes");
        world.crash(bob);
        world.run_for(MINUTE * 12);
        assert!(is_told_of_end(world, ada, kept.id), "it ends without its publisher");
        assert!(world.texts(ada, group).is_empty());
    });
}
