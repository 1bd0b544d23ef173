//! Security providers of applications: what they do not let in, and what that costs nobody.
use crate::each_seed;
use bytes::Bytes;
use peergraph_core::cert::VerifiedChain;
use peergraph_core::error::Error;
use peergraph_core::id::{GroupId, PeerId, RecordId};
use peergraph_core::io::{Command, Draft, Event, GroupCommand, Invite};
use peergraph_core::limits::DEFERRED_PER_CERTIFICATE_MAX;
use peergraph_core::provider::{Channel, Meeting, Provider, Verdict, Why};
use peergraph_core::record::{Attribute, Record, Value};
use peergraph_tests::story::draft;
use peergraph_tests::{HostId, World};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Larger than everything else that a quiet group says in half an hour.
const LARGE_BYTES: usize = 200_000;

/// Defers or refuses what begins so, until it is told to let everything in; lets near who is on its list.
#[derive(Debug, Default)]
struct Strict {
    lenient: AtomicBool,
    asked: AtomicUsize,
    list: Option<Mutex<BTreeSet<PeerId>>>,
}

impl Strict {
    fn relax(&self) {
        self.lenient.store(true, Ordering::Relaxed);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Provider for Strict {
    fn authenticate(&self, meeting: &Meeting<'_>) -> Verdict {
        let Some(list) = &self.list else { return Verdict::Valid };
        if list
            .lock()
            .expect("nobody panics while holding it")
            .contains(&meeting.identity.peer_id())
        {
            Verdict::Valid
        } else {
            Verdict::Invalid("you are not on the list".into())
        }
    }

    fn validate(&self, record: &Record, signer: &VerifiedChain) -> Verdict {
        assert_eq!(signer.peer(), record.modifier.unwrap_or(record.creator));
        let strict = !self.lenient.load(Ordering::Relaxed);
        let verdict = match &record.payload {
            text if strict && text.starts_with(b"later") => Verdict::Deferred,
            text if strict && text.starts_with(b"never") => Verdict::Invalid("rude".into()),
            _ => return Verdict::Valid,
        };
        self.asked.fetch_add(1, Ordering::Relaxed);
        verdict
    }
}

/// A group of three, of which the second has this provider.
fn group_with(world: &mut World, provider: &Arc<Strict>) -> (GroupId, [HostId; 3]) {
    let (group, hosts) = world.group_of(&["ada", "bob", "cleo"]);
    let [ada, bob, cleo] = hosts[..] else { panic!("three hosts") };
    world.host(bob).provider = provider.clone();
    world.crash(bob);
    world.start(bob);
    world.await_synced(bob);
    world.run_for(Duration::from_secs(30));
    (group, [ada, bob, cleo])
}

fn withheld(world: &World, host: HostId) -> Vec<(RecordId, Verdict)> {
    let events = world.hosts()[host].events.iter();
    let told = events.filter_map(|(_, event)| match event {
        Event::Withheld { id, verdict, .. } => Some((*id, verdict.clone())),
        _ => None,
    });
    told.collect()
}

/// Nobody was blamed, and all three are neighbours of each other.
fn nobody_is_blamed(world: &World) {
    for (host, story) in world.hosts().iter().enumerate() {
        let blamed = |event: &Event| matches!(event, Event::PeerMisbehaved { .. });
        assert!(!world.has_event(host, blamed), "host {host}");
        assert_eq!(story.neighbours, 2, "host {host}");
    }
}

fn revalidate(world: &mut World, host: HostId, group: GroupId) {
    let answer =
        world.ask(host, Command::Group(group, GroupCommand::Revalidate { records: Vec::new() }));
    assert!(answer.is_ok(), "{answer:?}");
}

/// Goal: what is not let in costs its sender nothing, comes once, and is asked about once. Method: half an hour with a
/// comparison of stores every two minutes; every wire is counted.
#[test]
fn records_that_are_not_let_in_come_once_and_cost_nobody_a_link() {
    let test = "records_that_are_not_let_in_come_once_and_cost_nobody_a_link";
    each_seed(test, 20, |world| {
        let provider = Arc::new(Strict::default());
        let (group, [ada, bob, cleo]) = group_with(world, &provider);
        let large = |text: &str| {
            let mut payload = text.as_bytes().to_vec();
            payload.resize(LARGE_BYTES, b'.');
            draft(Bytes::from(payload))
        };
        let later = world.publish(ada, group, large("later")).expect("ada may");
        let never = world.publish(cleo, group, large("never")).expect("cleo may");
        world.await_record(&[ada, cleo], later.id);
        world.await_record(&[ada, cleo], never.id);
        world.run_for(Duration::from_secs(300));
        let floods = |world: &World| world.kinds.by_name()["flood"].bytes;
        let before = floods(world);
        world.run_for(Duration::from_secs(1_800));
        let given = floods(world) - before;
        assert!(given < LARGE_BYTES as u64, "{given} bytes of records in a quiet group");
        nobody_is_blamed(world);
        assert!(world.records(bob, group).is_empty());
        assert!(!world.host(bob).disk.holds(b"later") && !world.host(bob).disk.holds(b"never"));
        let mut told = withheld(world, bob);
        told.sort_by_key(|(id, _)| *id != later.id);
        let never_told = (never.id, Verdict::Invalid("rude".into()));
        assert_eq!(told, [(later.id, Verdict::Deferred), never_told]);
        assert_eq!(provider.asked(), 2);
        // Told that it may, the node has both: the one was kept, the other is asked for.
        provider.relax();
        revalidate(world, bob, group);
        world.await_record(&[bob], later.id);
        world.await_record(&[bob], never.id);
        assert_eq!(world.records(bob, group), world.records(ada, group));
        nobody_is_blamed(world);
    });
}

#[test]
fn deferred_records_are_bounded_and_none_is_lost() {
    each_seed("deferred_records_are_bounded_and_none_is_lost", 10, |world| {
        let provider = Arc::new(Strict::default());
        let (group, [ada, bob, _]) = group_with(world, &provider);
        let many = 2 * DEFERRED_PER_CERTIFICATE_MAX;
        for number in 0..many {
            world.say(ada, group, &format!("later {number}"));
        }
        world.run_for(Duration::from_secs(600));
        assert_eq!(withheld(world, bob).len(), many, "each is told of once");
        assert_eq!(provider.asked(), many, "each is asked about once");
        provider.relax();
        revalidate(world, bob, group);
        let all = world.texts(ada, group);
        let at_once = world.records(bob, group).len();
        assert_eq!(at_once, DEFERRED_PER_CERTIFICATE_MAX, "those that were kept whole");
        world.run_for(Duration::from_secs(10));
        assert_eq!(world.texts(bob, group), all, "the others were asked for");
        nobody_is_blamed(world);
    });
}

#[test]
fn change_that_is_not_let_in_leaves_what_stood_before() {
    each_seed("change_that_is_not_let_in_leaves_what_stood_before", 20, |world| {
        let provider = Arc::new(Strict::default());
        let (group, [ada, bob, cleo]) = group_with(world, &provider);
        let first = world.say_to(ada, group, "good", &[bob, cleo]);
        let change = Draft { id: Some(first.id), ..draft("never mind") };
        world.publish(ada, group, change).expect("its creator may change it");
        world.run_for(Duration::from_secs(400));
        assert_eq!(world.texts(cleo, group), ["never mind"]);
        assert_eq!(world.texts(bob, group), ["good"]);
        let change = Draft { id: Some(first.id), ..draft("better") };
        world.publish(ada, group, change).expect("its creator may change it");
        world.run_for(Duration::from_secs(10));
        assert_eq!(world.texts(bob, group), ["better"], "a later one is asked about anew");
        assert_eq!(provider.asked(), 1);
        let own = world.publish(bob, group, draft("never"));
        assert_eq!(own.err(), Some(Error::NotValid("rude".into())), "it holds for us as well");
    });
}

/// Goal: if a change is not let in, the earlier version is not sent to those that have the change,
/// nor the change again. Method: both are large, and stores are compared every two minutes for half
/// an hour.
#[test]
fn change_that_is_not_let_in_costs_nothing_afterwards() {
    each_seed("change_that_is_not_let_in_costs_nothing_afterwards", 20, |world| {
        let provider = Arc::new(Strict::default());
        let (group, [ada, bob, cleo]) = group_with(world, &provider);
        let large = |text: &str| [text.as_bytes(), &[b'.'; LARGE_BYTES]].concat();
        let first = world.publish(ada, group, draft(large("good"))).expect("ada may");
        world.await_record(&[bob, cleo], first.id);
        let change = Draft { id: Some(first.id), ..draft(large("never mind")) };
        world.publish(ada, group, change).expect("its creator may change it");
        world.run_for(Duration::from_secs(300));
        let floods = |world: &World| world.kinds.by_name()["flood"].bytes;
        let before = floods(world);
        world.run_for(Duration::from_secs(1_800));
        let bytes = floods(world) - before;
        assert!(bytes < LARGE_BYTES as u64, "{bytes} bytes of records in half an hour");
        let stands = |world: &mut World, host| world.records(host, group)[0].payload.clone();
        assert!(stands(world, bob).starts_with(b"good"), "at bob");
        assert!(stands(world, cleo).starts_with(b"never"), "at cleo");
        let latecomer = world.native("dan");
        world.let_in(ada, group, latecomer, &[bob]);
        world.run_for(Duration::from_secs(30));
        assert!(stands(world, latecomer).starts_with(b"never"), "a latecomer has the latest");
    });
}

#[test]
fn records_of_the_store_are_judged_again_at_the_start() {
    each_seed("records_of_the_store_are_judged_again_at_the_start", 20, |world| {
        let provider = Arc::new(Strict::default());
        provider.relax();
        let (group, [ada, bob, cleo]) = group_with(world, &provider);
        for text in ["good", "never this", "later that"] {
            world.say_to(ada, group, text, &[bob, cleo]);
        }
        world.crash(bob);
        world.host(bob).provider = Arc::new(Strict::default());
        world.start(bob);
        world.await_synced(bob);
        world.run_for(Duration::from_secs(300));
        assert_eq!(world.texts(bob, group), ["good", "later that"]);
        assert!(!world.host(bob).disk.holds(b"never this"));
    });
}

/// Goal: a member that is not on a list is told why, keeps its other neighbours, and comes in when
/// the list has it.
#[test]
fn member_that_is_turned_away_is_told_why_and_may_come_later() {
    let test = "member_that_is_turned_away_is_told_why_and_may_come_later";
    each_seed(test, 20, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo"]);
        let [ada, bob, cleo] = hosts[..] else { panic!("three hosts") };
        let list = BTreeSet::from([world.host(ada).peer_id()]);
        let provider = Arc::new(Strict { list: Some(list.into()), ..Strict::default() });
        world.host(bob).provider = provider.clone();
        world.crash(bob);
        world.start(bob);
        world.await_synced(bob);
        world.point(cleo, bob);
        world.run_for(Duration::from_secs(120));
        let bobs = world.host(bob).peer_id();
        let told = |event: &Event| {
            matches!(event, Event::NotAdmitted { peer, why, .. }
                if *peer == bobs && why == "you are not on the list")
        };
        assert!(world.has_event(cleo, told));
        let (cleos, adas) = (world.host(cleo).peer_id(), world.host(ada).peer_id());
        let turned_away: BTreeSet<PeerId> = peers_turned_away(world, bob);
        assert_eq!(turned_away, BTreeSet::from([cleos]));
        assert_eq!(neighbours(world, bob, group), BTreeSet::from([adas]));
        // Through others it still hears all.
        world.say_to(cleo, group, "hello", &hosts);
        assert!(!world.has_event(bob, |event| matches!(event, Event::PeerMisbehaved { .. })));
        provider.list.as_ref().expect("it has one").lock().unwrap().insert(cleos);
        revalidate(world, bob, group);
        world.run_for(Duration::from_secs(60));
        assert_eq!(neighbours(world, bob, group), BTreeSet::from([adas, cleos]));
        // And who leaves the list leaves.
        provider.list.as_ref().expect("it has one").lock().unwrap().remove(&cleos);
        revalidate(world, bob, group);
        world.run_for(Duration::from_secs(5));
        assert_eq!(neighbours(world, bob, group), BTreeSet::from([adas]));
    });
}

fn peers_turned_away(world: &World, host: HostId) -> BTreeSet<PeerId> {
    let events = world.hosts()[host].events.iter();
    let away = events.filter_map(|(_, event)| match event {
        Event::TurnedAway { peer, .. } => Some(*peer),
        _ => None,
    });
    away.collect()
}

fn neighbours(world: &mut World, host: HostId, group: GroupId) -> BTreeSet<PeerId> {
    let links = world.links(host).into_iter().filter(|link| link.graphs.contains(&group));
    links.filter_map(|link| link.peer).collect()
}

#[test]
fn newcomer_who_is_not_on_the_list_is_not_made_a_member() {
    each_seed("newcomer_who_is_not_on_the_list_is_not_made_a_member", 20, |world| {
        let list = Some(Mutex::default());
        let provider = Arc::new(Strict { list, ..Strict::default() });
        let ada = world.native("ada");
        world.host(ada).provider = provider.clone();
        world.crash(ada);
        world.start(ada);
        world.await_opened(ada);
        let group = world.create_group(ada, "talk");
        let bob = world.native("bob");
        let grant = peergraph_core::cert::Role::Member.into();
        let day = Duration::from_secs(86_400);
        let invite = Invite::Bearer { grant, uses: 1, expires_in: day };
        let mut invitation = world.invite(ada, group, invite).expect("the owner may invite");
        invitation.addresses = vec![peergraph_tests::host::rtc_address(ada)];
        let answer = world.join(bob, invitation.clone());
        assert!(matches!(answer, Err(Error::NobodyFound(_))), "{answer:?}");
        let bobs = world.host(bob).peer_id();
        assert_eq!(peers_turned_away(world, ada), BTreeSet::from([bobs]));
        provider.list.as_ref().expect("it has one").lock().unwrap().insert(bobs);
        assert_eq!(world.join(bob, invitation), Ok(group), "its one use is not spent");
    });
}

/// Stamps what is published, and says how often.
#[derive(Debug)]
struct Stamping;

impl Provider for Stamping {
    fn secure(&self, _: GroupId, draft: &mut Draft) -> Result<(), Why> {
        if draft.payload.starts_with(b"secret") {
            return Err("a secret stays here".into());
        }
        let value = Value::String("green".to_owned());
        draft.attributes.push(Attribute { name: "label".to_owned(), value });
        Ok(())
    }
}

#[test]
fn provider_adds_security_data_to_what_is_published() {
    each_seed("provider_adds_security_data_to_what_is_published", 10, |world| {
        let ada = world.native("ada");
        world.host(ada).provider = Arc::new(Stamping);
        world.crash(ada);
        world.start(ada);
        world.await_opened(ada);
        let group = world.create_group(ada, "talk");
        let bob = world.native("bob");
        world.let_in(ada, group, bob, &[ada]);
        let record = world.say_to(ada, group, "hello", &[bob]);
        let [read] = &world.records(bob, group)[..] else { panic!("one record") };
        assert_eq!(read.attributes, record.attributes);
        assert_eq!(read.attributes[0].value, Value::String("green".to_owned()));
        let refused = world.publish(ada, group, draft("secret"));
        assert_eq!(refused.err(), Some(Error::NotValid("a secret stays here".into())));
    });
}

/// Only who has its secret gets a link.
#[derive(Debug)]
struct Closed(u8);

impl Provider for Closed {
    fn channel(&self) -> Channel {
        Channel { secret: Some([self.0; 32].into()), ..Channel::default() }
    }
}

#[test]
fn closed_network_is_closed_to_who_lacks_its_secret() {
    each_seed("closed_network_is_closed_to_who_lacks_its_secret", 10, |world| {
        let mut hosts = Vec::new();
        for (name, secret) in
            [("ada", Some(1)), ("bob", Some(1)), ("eve", Some(2)), ("mallory", None)]
        {
            let host = world.native(name);
            if let Some(secret) = secret {
                world.host(host).provider = Arc::new(Closed(secret));
                world.crash(host);
                world.start(host);
                world.await_opened(host);
            }
            hosts.push(host);
        }
        let [ada, bob, eve, mallory] = hosts[..] else { panic!("four hosts") };
        let group = world.create_group(ada, "talk");
        world.let_in(ada, group, bob, &[ada]);
        for stranger in [eve, mallory] {
            let mut invitation =
                world.invite_bound(ada, group, stranger, peergraph_core::cert::Role::Member);
            invitation.addresses = vec![peergraph_tests::host::rtc_address(ada)];
            assert_eq!(world.join(stranger, invitation), Ok(group), "a bound one needs nobody");
            world.run_for(Duration::from_secs(60));
            assert!(!world.is_ready(stranger));
        }
        world.say_to(ada, group, "among us", &[bob]);
    });
}
