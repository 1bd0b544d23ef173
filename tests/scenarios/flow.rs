//! Back-pressure: publications wait while the disk or every neighbour is behind, and nothing is lost.
use crate::each_seed;
use peergraph_core::error::Error;
use peergraph_core::id::GroupId;
use peergraph_core::io::{Command, Event, GroupCommand, Reply, RequestId};
use peergraph_core::limits;
use peergraph_tests::story::draft;
use peergraph_tests::{HostId, World};
use std::time::Duration;

const PAYLOAD_BYTES: usize = 1_000;
/// A record in a frame, roughly: payload, ids, certificate number, signature.
const RECORD_BYTES: usize = PAYLOAD_BYTES + 300;

/// Publishes `count` records at once, numbered.
fn publish_all(world: &mut World, host: HostId, group: GroupId, count: usize) -> Vec<RequestId> {
    let payload = |n: usize| format!("{n:06}{}", ".".repeat(PAYLOAD_BYTES - 6));
    let mut publish = |n| {
        let draft = draft(payload(n));
        world.command(host, Command::Group(group, GroupCommand::Publish { draft }))
    };
    (0..count).map(&mut publish).collect()
}

fn answered(world: &World, host: HostId, requests: &[RequestId]) -> usize {
    requests.iter().filter(|&&request| world.is_answered(host, request)).count()
}

/// The numbers of the records of which the application at `host` was told, in that order.
fn told(world: &World, host: HostId) -> Vec<usize> {
    let number = |event: &Event| match event {
        Event::Record { record, .. } => {
            std::str::from_utf8(&record.payload).ok()?.get(..6)?.parse().ok()
        }
        _ => None,
    };
    world.hosts()[host].events.iter().filter_map(|(_, event)| number(event)).collect()
}

#[test]
fn publications_wait_for_the_only_neighbour() {
    each_seed("publications_wait_for_the_only_neighbour", 3, |world| {
        world.network.rate = 200_000;
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let (ada, bob) = (hosts[0], hosts[1]);
        world.run_for(Duration::from_secs(2));
        let requests = publish_all(world, ada, group, 4_000);
        // Records for which nobody has asked, those that were asked for then, and those that go
        // unasked.
        let ahead_max = 3 * limits::PUBLISH_BACKLOG_BYTES_MAX
            + limits::PUBLISH_WRITING_BYTES_MAX
            + limits::IN_TRANSPORT_BYTES_MAX;
        let mut ahead_most = 0;
        while answered(world, ada, &requests) < requests.len() {
            assert!(world.time() < Duration::from_secs(120), "the publisher is never done");
            world.run_for(Duration::from_millis(200));
            let ahead = answered(world, ada, &requests) - told(world, bob).len();
            ahead_most = ahead_most.max(ahead * RECORD_BYTES);
        }
        assert!(ahead_most <= ahead_max, "{ahead_most} bytes ahead of the neighbour");
        for request in requests {
            let answer = world.answer(ada, request);
            assert!(matches!(answer, Some(Ok(Reply::Record(_)))), "{answer:?}");
        }
        world.run_for(Duration::from_secs(20));
        let mut arrived = told(world, bob);
        arrived.sort_unstable();
        assert!(arrived.into_iter().eq(0..4_000), "all, each once");
        assert_eq!(world.counts.misbehaved, 0);
    });
}

#[test]
fn a_slow_neighbour_does_not_delay_a_fast_one() {
    each_seed("a_slow_neighbour_does_not_delay_a_fast_one", 3, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let (ada, bob) = (hosts[0], hosts[1]);
        world.network.rate = 50_000;
        let carol = world.native("carol");
        world.let_in(ada, group, carol, &[ada]);
        world.run_for(Duration::from_secs(2));
        assert!(world.wired_to(ada).contains(&carol), "she is a neighbour of the publisher");
        let begun = world.time();
        let requests = publish_all(world, ada, group, 3_000);
        world
            .run_until_every(100, Duration::from_secs(60), |world| told(world, bob).len() == 3_000);
        let took = world.time() - begun;
        // 4 MB at 5 MB a second, and the disk. To carol they take over a minute.
        assert!(took < Duration::from_secs(8), "the fast neighbour waited {took:?}");
        assert!(told(world, carol).len() < 1_000, "the other one is slow");
        assert_eq!(answered(world, ada, &requests), 3_000);
        world.run_for(Duration::from_secs(180));
        let mut numbers = told(world, carol);
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..3_000), "she has all in the end");
    });
}

#[test]
fn beyond_the_bound_a_publication_is_refused_and_no_other_one_lost() {
    each_seed("beyond_the_bound_a_publication_is_refused_and_no_other_one_lost", 3, |world| {
        let (group, hosts) = world.group_of(&["ada"]);
        world.host(hosts[0]).disk.write_delay = (5_000_000, 6_000_000);
        let count = 2 * limits::PUBLISHES_WAITING_MAX;
        let requests = publish_all(world, hosts[0], group, count);
        world.run_for(Duration::from_millis(1));
        let refused = answered(world, hosts[0], &requests);
        assert!(refused > 0 && refused < limits::PUBLISHES_WAITING_MAX, "{refused} are refused");
        world.host(hosts[0]).disk.write_delay = (500, 3_000);
        // The writes that are under way follow one another.
        world.run_for(Duration::from_secs(20_000));
        let mut stored = 0;
        for request in requests {
            match world.answer(hosts[0], request) {
                Some(Ok(Reply::Record(_))) => stored += 1,
                Some(Err(Error::Busy)) => {}
                other => panic!("a publication was answered {other:?}"),
            }
        }
        assert_eq!(stored, count - refused);
        assert_eq!(told(world, hosts[0]).len(), stored);
    });
}

#[test]
fn what_waits_is_answered_when_its_group_or_node_ends() {
    for (end, error) in [(None, Error::Closing), (Some(()), Error::UnknownGroup)] {
        each_seed("what_waits_is_answered_when_its_group_or_node_ends", 2, |world| {
            let (group, hosts) = world.group_of(&["ada"]);
            let requests = publish_all(world, hosts[0], group, 3_000);
            let command = end.map_or(Command::Close, |()| Command::Leave { group });
            let ended = world.command(hosts[0], command);
            world.run_for(Duration::from_secs(60));
            assert!(matches!(world.answer(hosts[0], ended), Some(Ok(Reply::Ok))));
            let answers = requests.iter().map(|&request| world.answer(hosts[0], request));
            let refused = |answer: &Option<Result<Reply, Error>>| matches!(answer, Some(Err(found)) if *found == error);
            let (waited, others): (Vec<_>, Vec<_>) = answers.partition(refused);
            assert!(!waited.is_empty(), "some have not had their turn");
            let fine = |answer: &Option<Result<Reply, Error>>| matches!(answer, Some(Ok(_)));
            assert!(others.iter().all(fine), "those under way are durable");
        });
    }
}

/// R13. Goal: records that come faster than a browser writes them take a bounded part of its memory, cost nobody a link, and
/// all arrive. Method: its disk takes ten seconds for each write; its only neighbour publishes 30 MB at once.
#[test]
fn browser_with_a_slow_disk_puts_off_what_comes_and_gets_all_of_it() {
    each_seed("browser_with_a_slow_disk_puts_off_what_comes_and_gets_all_of_it", 3, |world| {
        let (group, hosts) = world.group_of(&["ada"]);
        let ada = hosts[0];
        let bob = world.browser("bob");
        world.let_in(ada, group, bob, &[ada]);
        world.run_for(Duration::from_secs(2));
        world.host(bob).disk.write_delay = (10_000_000, 10_000_000);
        let payload = |n: usize| format!("{n:06}{}", ".".repeat(500_000));
        for n in 0..60 {
            world.command(
                ada,
                Command::Group(group, GroupCommand::Publish { draft: draft(payload(n)) }),
            );
        }
        let (mut most, mut all) = (0, false);
        while !all {
            assert!(world.time() < Duration::from_secs(400), "{} arrived", told(world, bob).len());
            world.run_for(Duration::from_millis(100));
            most = most.max(world.hosts()[bob].writes_waiting());
            all = told(world, bob).len() >= 60;
        }
        let mut arrived = told(world, bob);
        arrived.sort_unstable();
        assert!(arrived.into_iter().eq(0..60), "all, each once");
        let bound = limits::WRITES_WAITING.each() + 1_000_000;
        assert!((bound / 2..=bound).contains(&most), "{most} bytes waited");
        assert_eq!(world.counts.misbehaved, 0);
    });
}
