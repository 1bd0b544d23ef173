//! Networks that change under two who talk: another address, a link that is down for a while, a router that forgets.
//!
//! In all stories two members say something ten times a second, each in turn. Everything that was said is held by both in the
//! end, and was told to each application once. How long the other hears nothing is the gap.
use crate::each_seed;
use peergraph_core::id::GroupId;
use peergraph_core::io::{Command, Event};
use peergraph_tests::host::{node_url, rtc_address};
use peergraph_tests::{HostId, Kind, World};
use std::collections::BTreeMap;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);
/// The longest time after a change in which nothing that is said arrives, if the host is told. Virtual. Aim: 2 s.
const GAP_MAX: Duration = Duration::from_secs(2);
/// The same where only the transport notices: it takes 1.5 s to.
const GAP_UNTOLD_MAX: Duration = Duration::from_millis(4_000);
const EVERY: Duration = Duration::from_millis(100);

/// How the two came to their link.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// The one who moves has dialled the other.
    Dials,
    /// The other has dialled; nobody dials the one who moves any longer, who knows where the other is.
    Dialled,
    /// A node has carried their signals.
    Signalled,
    /// A node relays.
    Relayed,
}

const WAYS: [Way; 4] = [Way::Dials, Way::Dialled, Way::Signalled, Way::Relayed];

/// A group of two, of which the first one moves.
struct Story<'a> {
    world: &'a mut World,
    way: Way,
    group: GroupId,
    two: [HostId; 2],
    said: Vec<String>,
}

impl<'a> Story<'a> {
    fn begin(world: &'a mut World, way: Way) -> Self {
        world.network.latency = (5_000, 40_000);
        let node = world.add_stopped(Kind::Native, "node");
        world.host(node).rendezvous = true;
        world.start(node);
        world.await_opened(node);
        let native = matches!(way, Way::Dials | Way::Dialled);
        let two = ["ada", "bob"].map(|name| {
            let host = if native { world.native(name) } else { world.browser(name) };
            let answer = world.ask(host, Command::Connect { node: node_url(node) });
            assert!(answer.is_ok(), "{answer:?}");
            host
        });
        if matches!(way, Way::Relayed) {
            world.block(two[0], two[1]);
        }
        let [inviter, guest] = match way {
            Way::Dials | Way::Signalled | Way::Relayed => [two[1], two[0]],
            Way::Dialled => two,
        };
        let group = world.create_group(inviter, "talk");
        let mut invitation = world.invite_bearer(inviter, group, 1, HOUR);
        if !native {
            invitation.addresses = vec![rtc_address(node)];
        }
        assert_eq!(world.join(guest, invitation), Ok(group));
        world.await_synced(guest);
        let mut story = Self { world, way, group, two, said: Vec::new() };
        story.talk(Duration::from_secs(5));
        story
    }

    fn talk(&mut self, span: Duration) {
        for _ in 0..span.as_millis() / EVERY.as_millis() {
            let words = format!("word {}", self.said.len());
            self.world.say(self.two[self.said.len() % 2], self.group, &words);
            self.said.push(words);
            self.world.run_for(EVERY);
        }
    }

    /// The words that the application of a host was told, and when.
    fn told(&self, host: HostId) -> BTreeMap<String, Vec<u64>> {
        let mut told: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for (at, event) in &self.world.hosts()[host].events {
            if let Event::Record { record, .. } = event
                && record.payload.starts_with(b"word ")
            {
                let text = String::from_utf8_lossy(&record.payload).into_owned();
                told.entry(text).or_default().push(*at);
            }
        }
        told
    }

    /// The longest time from `since` on in which an end was told nothing that the other had said, or until the end.
    fn gap(&self, since: Duration) -> Duration {
        let mut longest = 0;
        for (n, host) in self.two.into_iter().enumerate() {
            let told = self.told(host);
            let of_other = |text: &String| self.said.iter().position(|it| it == text);
            let of_other =
                told.iter().filter(|(text, _)| of_other(text).is_some_and(|it| it % 2 != n));
            let mut at: Vec<u64> = of_other.filter_map(|(_, at)| at.first().copied()).collect();
            at.sort_unstable();
            let mut before = since.as_micros() as u64;
            for at in at.into_iter().filter(|at| *at >= since.as_micros() as u64) {
                longest = longest.max(at - before);
                before = at;
            }
            longest = longest.max(self.world.time().as_micros() as u64 - before);
        }
        Duration::from_micros(longest)
    }

    /// Nothing is lost, and nothing came twice.
    fn ends(self, since: Duration, gap_max: Duration) {
        let gap = self.gap(since);
        let told = self.two.map(|host| self.told(host));
        let Self { world, way, group, two, said: mut expected } = self;
        assert!(gap <= gap_max, "{way:?}: {gap:?}; links {:?}", world.links(two[0]));
        expected.sort();
        for (host, told) in two.into_iter().zip(told) {
            let mut texts = world.texts(host, group);
            texts.sort();
            assert_eq!(texts, expected);
            assert!(told.values().all(|at| at.len() == 1), "told twice: {told:?}");
        }
        assert_eq!(world.counts.misbehaved, 0);
    }
}

#[test]
fn address_that_changes_costs_no_record_and_a_short_gap() {
    for way in WAYS {
        for gone in [true, false] {
            each_seed("address_that_changes_costs_no_record_and_a_short_gap", 20, |world| {
                let mut story = Story::begin(world, way);
                let since = story.world.time();
                story.world.change_paths(story.two[0], gone);
                story.talk(Duration::from_secs(10));
                story.world.run_for(Duration::from_secs(1));
                story.ends(since, GAP_MAX);
            });
        }
    }
}

#[test]
fn link_that_is_down_for_ten_seconds_costs_no_record() {
    for way in WAYS {
        each_seed("link_that_is_down_for_ten_seconds_costs_no_record", 20, |world| {
            let mut story = Story::begin(world, way);
            let moving = story.two[0];
            story.world.take_off(moving);
            story.talk(Duration::from_secs(10));
            let since = story.world.time();
            story.world.bring_back(moving);
            story.talk(Duration::from_secs(10));
            story.world.run_for(Duration::from_secs(1));
            story.ends(since, GAP_MAX);
        });
    }
}

#[test]
fn router_that_forgets_under_load_costs_no_record() {
    for way in WAYS {
        each_seed("router_that_forgets_under_load_costs_no_record", 20, |world| {
            let mut story = Story::begin(world, way);
            let since = story.world.time();
            story.world.forget_mappings(story.two[0]);
            story.talk(Duration::from_secs(15));
            story.world.run_for(Duration::from_secs(1));
            story.ends(since, GAP_UNTOLD_MAX);
        });
    }
}
