//! Finding records, and following what a query finds.
use crate::each_seed;
use peergraph_core::error::Error;
use peergraph_core::id::{GroupId, RecordId};
use peergraph_core::io::{
    Changes, Command, Draft, Found, GroupCommand, Keep, QueryId, Reply, RequestId, Search,
    StoreFault,
};
use peergraph_core::record::{Attribute, Record, Value};
use peergraph_core::roll::{Reason, Target};
use peergraph_core::search::{Order, Query};
use peergraph_core::sorted::SortedMap;
use peergraph_tests::story::{deletion, draft};
use peergraph_tests::{HostId, World};
use std::time::Duration;

fn query(text: &str) -> Query {
    Query::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn search(text: &str) -> Search {
    Search { query: query(text), order: Order::Newest, after: None, limit: 0, count: true }
}

fn ask(world: &mut World, at: HostId, group: GroupId, search: Search) -> Found {
    match world.ask(at, Command::Group(group, GroupCommand::Search { search })) {
        Ok(Reply::Found(found)) => found,
        other => panic!("search answered {other:?}"),
    }
}

fn text(record: &Record) -> String {
    String::from_utf8_lossy(&record.payload).into_owned()
}

/// The texts that a query finds, newest first.
fn found(world: &mut World, at: HostId, group: GroupId, query: &str) -> Vec<String> {
    let found = ask(world, at, group, search(query));
    assert_eq!(found.count, Some(found.records.len() as u64));
    assert_eq!((found.next, found.unsearched), (None, 0));
    found.records.iter().map(text).collect()
}

#[test]
fn what_is_said_is_found_everywhere_and_no_longer_once_it_is_gone() {
    let name = "what_is_said_is_found_everywhere_and_no_longer_once_it_is_gone";
    each_seed(name, 50, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let [ada, bob] = hosts[..] else { panic!("two hosts") };
        let regretted = world.say_to(ada, group, "Off to Lisbon, I regret", &hosts);
        let short =
            Draft { expires_in: Some(Duration::from_secs(120)), ..draft("Lisbon, soon over") };
        let short = world.publish(bob, group, short).expect("two minutes are a lifetime");
        world.await_record(&hosts, short.id);
        let room = Attribute { name: "room".into(), value: Value::String("Été".into()) };
        let tagged = Draft { attributes: vec![room], ..draft("See you in LISBON") };
        let tagged = world.publish(ada, group, tagged).expect("it is good");
        world.await_record(&hosts, tagged.id);
        let cleo = world.native("cleo");
        world.let_in(ada, group, cleo, &[ada]);
        for host in [ada, bob, cleo] {
            assert_eq!(found(world, host, group, "lisbon").len(), 3, "host {host}");
            assert_eq!(found(world, host, group, "lisbon author:bob"), ["Lisbon, soon over"]);
            assert_eq!(found(world, host, group, "room:ete \"you in\""), ["See you in LISBON"]);
            assert_eq!(found(world, host, group, "type:peergraph.*"), [""; 0], "internal records");
        }
        world.publish(ada, group, deletion(&regretted)).expect("it is Ada's");
        world.run_for(Duration::from_secs(180));
        for host in [ada, bob, cleo] {
            assert_eq!(found(world, host, group, "lisbon"), ["See you in LISBON"], "host {host}");
            assert_eq!(found(world, host, group, "deleted"), [""; 0]);
        }
        world.say_to(bob, group, "Lisbon, says Bob", &[ada, bob, cleo]);
        let target = Target::Peer(world.hosts()[bob].peer_id());
        let (reason, keep) = (Reason::Misconduct, Keep::NOTHING);
        let revoke = GroupCommand::Revoke { target, reason, keep };
        world.ask(ada, Command::Group(group, revoke)).expect("Ada is the owner");
        world.run_for(Duration::from_secs(10));
        for host in [ada, cleo] {
            assert_eq!(found(world, host, group, "lisbon"), ["See you in LISBON"], "host {host}");
        }
        let hide = GroupCommand::DeleteHere { id: tagged.id };
        world.ask(ada, Command::Group(group, hide)).expect("it is here");
        assert_eq!(found(world, ada, group, "*"), [""; 0]);
        assert_eq!(found(world, cleo, group, "*"), ["See you in LISBON"]);
    });
}

#[test]
fn the_first_search_after_a_restart_waits_until_all_records_are_read() {
    each_seed("the_first_search_after_a_restart_waits_until_all_records_are_read", 5, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let [ada, bob] = hosts[..] else { panic!("two hosts") };
        for n in 0..700 {
            world.say(
                ada,
                group,
                &format!("number {n} {}", if n % 7 == 0 { "seven" } else { "other" }),
            );
        }
        world.stop(ada);
        world.start(ada);
        world.await_opened(ada);
        let command = |search| Command::Group(group, GroupCommand::Search { search });
        let first = world.command(ada, command(search("seven")));
        // A record that comes meanwhile is found as well.
        let late = world.say(ada, group, "seven, late");
        let changed = Draft { id: Some(late.id), ..draft("seven, changed") };
        world.publish(ada, group, changed).expect("it is Ada's");
        let answered =
            world.run_until(Duration::from_secs(60), |world| world.is_answered(ada, first));
        assert!(answered, "the index is made");
        let Some(Ok(Reply::Found(it))) = world.answer(ada, first) else { panic!("it is found") };
        assert!([100, 101].contains(&it.records.len()), "{}", it.records.len());
        let all = found(world, ada, group, "seven");
        assert_eq!((all.len(), &*all[0]), (101, "seven, changed"));
        assert_eq!(found(world, ada, group, "seven -late").len(), 101);
        // Page by page, in each order.
        for order in [Order::Newest, Order::Oldest, Order::Best] {
            let (mut ids, mut after) = (Vec::<RecordId>::new(), None);
            loop {
                let page =
                    ask(world, ada, group, Search { order, after, limit: 30, ..search("seven") });
                ids.extend(page.records.iter().map(|record| record.id));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            let mut different = ids.clone();
            different.sort_unstable();
            different.dedup();
            assert_eq!((ids.len(), different.len()), (101, 101), "{order:?}");
        }
        world.run_for(Duration::from_secs(30));
        assert_eq!(found(world, bob, group, "seven").len(), 101);
    });
}

#[test]
fn a_version_that_the_disk_refuses_is_not_found_and_the_earlier_one_is() {
    let name = "a_version_that_the_disk_refuses_is_not_found_and_the_earlier_one_is";
    each_seed(name, 20, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let first = world.say(ada, group, "the first edition");
        assert_eq!(found(world, ada, group, "edition"), ["the first edition"]);
        world.host(ada).disk.fault = Some(StoreFault::QuotaExceeded);
        let second = Draft { id: Some(first.id), ..draft("the second edition") };
        let refused = world.publish(ada, group, second);
        assert_eq!(refused, Err(Error::Store(StoreFault::QuotaExceeded)));
        world.host(ada).disk.fault = None;
        assert_eq!(found(world, ada, group, "edition"), ["the first edition"]);
        assert_eq!(found(world, ada, group, "second"), [""; 0]);
    });
}

/// Somebody who follows a query.
struct Follower {
    host: HostId,
    group: GroupId,
    query: QueryId,
    list: Vec<Record>,
    /// The request that waits for changes.
    waits: Option<RequestId>,
}

impl Follower {
    fn new(world: &mut World, host: HostId, group: GroupId, text: &str, limit: usize) -> Self {
        let id = QueryId(7);
        let follow = || {
            let (query, order) = (query(text), Order::Newest);
            Command::Group(group, GroupCommand::Query { id, query, order, limit })
        };
        assert!(matches!(world.ask(host, follow()), Ok(Reply::Ok)));
        assert!(matches!(world.ask(host, follow()), Err(Error::Busy)), "it is followed already");
        Self { host, group, query: id, list: Vec::new(), waits: None }
    }

    /// Waits for changes, and brings the list up to date.
    fn next(&mut self, world: &mut World) -> Changes {
        let wait = GroupCommand::Changes { query: self.query };
        let Ok(Reply::Changes(changes)) = world.ask(self.host, Command::Group(self.group, wait))
        else {
            panic!("there are changes")
        };
        changes.clone().apply(&mut self.list);
        changes
    }

    /// Takes the changes of the next 100 ms, if there are any.
    fn catch_up(&mut self, world: &mut World) {
        let end = world.time() + Duration::from_millis(100);
        while let Some(left) = end.checked_sub(world.time()).filter(|left| !left.is_zero()) {
            let wait = GroupCommand::Changes { query: self.query };
            let command = || Command::Group(self.group, wait);
            let waits = self.waits.take().unwrap_or_else(|| world.command(self.host, command()));
            let answered = |world: &World| world.is_answered(self.host, waits);
            if !world.run_until(left, answered) {
                self.waits = Some(waits);
                world.run_for(left);
                return;
            }
            match world.answer(self.host, waits) {
                Some(Ok(Reply::Changes(changes))) => changes.apply(&mut self.list),
                other => panic!("changes answered {other:?}"),
            }
        }
    }

    fn texts(&self) -> Vec<String> {
        self.list.iter().map(text).collect()
    }
}

#[test]
fn who_follows_a_query_is_told_what_is_added_changed_and_removed() {
    let name = "who_follows_a_query_is_told_what_is_added_changed_and_removed";
    each_seed(name, 30, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let [ada, bob] = hosts[..] else { panic!("two hosts") };
        let one = world.say_to(ada, group, "one fish", &hosts);
        world.say_to(bob, group, "no such thing", &hosts);
        let mut follower = Follower::new(world, bob, group, "fish*", 3);
        follower.next(world);
        assert_eq!(follower.texts(), ["one fish"]);
        for n in ["two", "three", "four"] {
            world.say_to(ada, group, &format!("{n} fishes"), &hosts);
            world.run_for(Duration::from_millis(100));
        }
        let changes = follower.next(world);
        assert_eq!(follower.texts(), ["four fishes", "three fishes", "two fishes"]);
        assert_eq!(changes.removed, [one.id], "others have pushed it out");
        assert!(changes.placed.iter().all(|placed| placed.is_new));
        let changed = Draft { id: Some(one.id), ..draft("one fish again") };
        let changed = world.publish(ada, group, changed).expect("it is Ada's");
        follower.next(world);
        assert_eq!(follower.texts(), ["one fish again", "four fishes", "three fishes"]);
        world.publish(ada, group, deletion(&changed)).expect("it is Ada's");
        let changes = follower.next(world);
        assert_eq!(follower.texts(), ["four fishes", "three fishes", "two fishes"]);
        assert_eq!(changes.removed, [one.id]);
        assert_eq!(changes.placed.len(), 1, "the next one takes its place");

        // Nothing of it changes, so nobody is woken; then the query ends.
        let command = |command| Command::Group(group, command);
        let waits = world.command(bob, command(GroupCommand::Changes { query: follower.query }));
        world.say_to(ada, group, "meat", &hosts);
        world.run_for(Duration::from_secs(5));
        assert!(!world.is_answered(bob, waits));
        world
            .ask(bob, command(GroupCommand::EndQuery { query: follower.query }))
            .expect("it is followed");
        assert!(matches!(world.answer(bob, waits), Some(Err(Error::UnknownQuery))));
        let late = world.ask(bob, command(GroupCommand::Changes { query: follower.query }));
        assert!(matches!(late, Err(Error::UnknownQuery)));
    });
}

#[test]
fn who_waits_for_a_search_or_for_changes_is_answered_when_the_node_closes_or_leaves() {
    let name = "who_waits_for_a_search_or_for_changes_is_answered_when_the_node_closes_or_leaves";
    each_seed(name, 20, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        for (host, end, error) in [
            (hosts[0], Command::Close, Error::Closing),
            (hosts[1], Command::Leave { group }, Error::UnknownGroup),
        ] {
            let mut follower = Follower::new(world, host, group, "nothing", 3);
            assert_eq!(follower.next(world), Changes::default());
            let wait = GroupCommand::Changes { query: follower.query };
            let waits = world.command(host, Command::Group(group, wait));
            world.run_for(Duration::from_secs(1));
            assert!(!world.is_answered(host, waits));
            world.ask(host, end).expect("it ends");
            assert_eq!(world.answer(host, waits).expect("it is answered").err(), Some(error));
        }
    });
}

/// Goal: whatever a store goes through, a search finds what the records are, and a follower's list is what a search finds.
/// Method: two members say, change and delete at random while one crashes and comes back.
#[test]
fn searches_agree_with_the_records_whatever_happens() {
    each_seed("searches_agree_with_the_records_whatever_happens", 30, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let words = ["lisbon", "trip", "hello", "fish", "two words"];
        let mut follower: Option<Follower> = None;
        let mut random = world.seed().wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        for round in 0..60_u64 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let at = hosts[(random % 2) as usize];
            let said = format!(
                "{} {} {round}",
                words[(random / 2 % 5) as usize],
                words[(random / 16 % 5) as usize]
            );
            let mine = world.records(at, group);
            let me = world.hosts()[at].peer_id();
            let mine: Vec<_> = mine.into_iter().filter(|record| record.creator == me).collect();
            let nth = mine.get((random / 128 % 8) as usize);
            match (random / 1_024 % 8, nth) {
                (0, Some(record)) => drop(world.publish(at, group, deletion(record))),
                (1 | 2, Some(record)) => {
                    let change = Draft { id: Some(record.id), ..draft(said) };
                    drop(world.publish(at, group, change));
                }
                (3, _) if round % 8 == 0 => {
                    world.crash(hosts[1]);
                    world.start(hosts[1]);
                    world.await_opened(hosts[1]);
                    follower = None;
                }
                _ => drop(world.say(at, group, &said)),
            }
            world.run_for(Duration::from_millis(random % 300));
            let records = world.records(hosts[1], group);
            for text in ["*", "lisbon", "\"two words\" OR fish*", "trip -hello author:ada"] {
                let names: SortedMap<_, _> = (0..2)
                    .map(|n| (world.hosts()[hosts[n]].peer_id(), ["ada", "bob"][n].to_owned()))
                    .collect();
                let query = query(text);
                let mut expected: Vec<_> =
                    records.iter().filter(|record| query.matches(record, &names)).collect();
                expected.sort_by_key(|record| std::cmp::Reverse((record.modified, record.id)));
                let found = ask(world, hosts[1], group, search(text));
                assert_eq!(
                    found.records.iter().collect::<Vec<_>>(),
                    expected,
                    "{text} in round {round}"
                );
            }
            let follower = follower
                .get_or_insert_with(|| Follower::new(world, hosts[1], group, "lisbon OR trip", 4));
            // Nothing is on its way then.
            world.run_for(Duration::from_secs(1));
            follower.catch_up(world);
            let same = Search { limit: 4, ..search("lisbon OR trip") };
            assert_eq!(follower.list, ask(world, hosts[1], group, same).records, "round {round}");
        }
    });
}
