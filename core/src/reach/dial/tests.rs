//! Laws of the machine: order, pace, bounds, shares, named nodes.
use super::*;
use crate::id::Fingerprint;

const NODE: NodeId = NodeId(7);

fn at(ms: u64) -> Time {
    Time::from_micros(ms * 1_000)
}

fn rtc(n: u8) -> Address {
    let fingerprint = Fingerprint::from_bytes([n; 32]);
    Address::Rtc { socket: format!("192.0.2.{n}:1").parse().expect("a socket"), fingerprint }
}

fn group(n: u8) -> GroupId {
    GroupId::from_bytes([n; 32])
}

fn wish(want: Want, source: Source, addresses: Vec<Address>) -> Wish {
    Wish { want, source, addresses }
}

/// A machine and what it did, with links that are numbered as they are dialled.
struct Bench {
    dialer: Dialer,
    now: Time,
    links: u64,
    dialled: Vec<(u64, Address, LinkId)>,
    ended: Vec<LinkId>,
    vain: Vec<Want>,
    looked_up: Vec<String>,
    served: Vec<(Want, LinkId)>,
}

impl Bench {
    fn new() -> Self {
        Self {
            dialer: Dialer::new(1),
            now: Time::ZERO,
            links: 0,
            dialled: Vec::new(),
            ended: Vec::new(),
            vain: Vec::new(),
            looked_up: Vec::new(),
            served: Vec::new(),
        }
    }

    fn wish(&mut self, want: Want, source: Source, addresses: Vec<Address>) {
        self.dialer.wish(self.now, wish(want, source, addresses), &[]);
        self.pump();
    }

    fn pump(&mut self) {
        while let Some(step) = self.dialer.next(self.now, &[]) {
            match step {
                Step::LookUp(look_up) => self.looked_up.push(look_up.url),
                Step::Dial(address, _) => {
                    self.links += 1;
                    let link = LinkId(self.links);
                    self.dialer.dialled(self.now, &address, link);
                    self.dialled.push((self.now.as_micros() / 1_000, address, link));
                }
                Step::End(link) => {
                    self.dialer.lost(self.now, link);
                    self.ended.push(link);
                }
                Step::Share(..) => {}
                Step::Serve(want, link) => self.served.push((want, link)),
                Step::Vain(want) => self.vain.push(want),
            }
        }
    }

    /// Lets time pass to `ms`, deadline by deadline.
    fn run_to(&mut self, ms: u64) {
        while let Some(next) = self.dialer.deadline().filter(|&next| next <= at(ms)) {
            self.now = self.now.max(next);
            self.pump();
        }
        self.now = at(ms);
    }

    fn fail(&mut self, link: LinkId) {
        self.dialer.lost(self.now, link);
        self.pump();
    }

    fn win(&mut self, link: LinkId) -> Won {
        let won = self.dialer.ready(self.now, link, NODE, PeerId::default());
        for &loser in &won.losers {
            self.dialer.lost(self.now, loser);
            self.ended.push(loser);
        }
        self.pump();
        won
    }

    fn times(&self) -> Vec<u64> {
        self.dialled.iter().map(|(ms, ..)| *ms).collect()
    }
}

#[test]
fn hanging_attempts_delay_nobody() {
    let mut bench = Bench::new();
    bench.wish(Want::Patrol(group(1)), Source::Invited, (1..=8).map(rtc).collect());
    bench.run_to(2_000);
    assert_eq!(bench.times(), [0, 250, 500, 750, 1_000, 1_250, 1_500, 1_750]);
    assert!(bench.vain.is_empty());
}

#[test]
fn failed_attempt_is_followed_at_once() {
    let mut bench = Bench::new();
    bench.wish(Want::Patrol(group(1)), Source::Invited, (1..=4).map(rtc).collect());
    bench.run_to(100);
    bench.fail(LinkId(1));
    assert_eq!(bench.times(), [0, 100]);
    bench.run_to(360);
    assert_eq!(bench.times(), [0, 100, 350]);
}

#[test]
fn more_addresses_than_may_run_have_their_turn_when_the_oldest_hang() {
    let mut bench = Bench::new();
    bench.wish(Want::Any(group(1)), Source::Invited, (1..=20).map(rtc).collect());
    bench.run_to(4_999);
    assert_eq!(bench.dialled.len(), RACE_MAX);
    bench.run_to(60_000);
    assert_eq!(bench.dialled.len(), 20, "each once");
    assert_eq!(bench.ended.len(), 20, "none for ever");
    assert_eq!(bench.vain, [Want::Any(group(1))]);
    assert_eq!(bench.dialer.deadline(), None);
}

#[test]
fn socket_waits_for_data_channels_and_not_for_ones_that_failed() {
    let socket: Address = "wss://n.example/link".parse().expect("an address");
    let mut bench = Bench::new();
    bench.wish(Want::Any(group(1)), Source::Invited, vec![socket.clone(), rtc(1)]);
    bench.run_to(1_000);
    assert_eq!(bench.times(), [0, 600]);
    assert_eq!(bench.dialled[1].1, socket);
    let mut bench = Bench::new();
    bench.wish(Want::Any(group(1)), Source::Invited, vec![socket, rtc(1)]);
    bench.run_to(10);
    bench.fail(LinkId(1));
    assert_eq!(bench.times(), [0, 10]);
}

#[test]
fn address_is_dialled_once_for_all_who_want_it() {
    let mut bench = Bench::new();
    let wants = [Want::Any(group(1)), Want::Member(group(2), NODE), Want::Member(group(3), NODE)];
    for want in wants {
        bench.wish(want, Source::Told, vec![rtc(1)]);
    }
    assert_eq!(bench.dialled.len(), 1);
    let won = bench.win(LinkId(1));
    assert_eq!(won.wants, wants);
    // While the link is there, it serves whoever comes later.
    bench.wish(Want::Member(group(4), NODE), Source::Told, vec![rtc(2), rtc(1)]);
    assert_eq!(bench.served, [(Want::Member(group(4), NODE), LinkId(1))]);
    assert_eq!(bench.dialled.len(), 1);
    bench.dialer.lost(bench.now, LinkId(1));
    bench.wish(Want::Member(group(5), NODE), Source::Told, vec![rtc(1)]);
    assert_eq!(bench.dialled.len(), 2);
}

#[test]
fn race_ends_with_its_winner_unless_another_want_needs_the_loser() {
    let mut bench = Bench::new();
    bench.wish(Want::Member(group(1), NODE), Source::Told, vec![rtc(1), rtc(2), rtc(3)]);
    bench.run_to(600);
    bench.wish(Want::Member(group(2), NodeId(8)), Source::Told, vec![rtc(2)]);
    assert_eq!(bench.win(LinkId(1)).losers, [LinkId(3)]);
    bench.run_to(20_000);
    assert_eq!(bench.vain, [Want::Member(group(2), NodeId(8))], "it hung");
    assert_eq!(bench.dialled.len(), 3);
}

#[test]
fn race_for_any_member_goes_on_until_it_is_stopped() {
    let mut bench = Bench::new();
    bench.wish(Want::Any(group(1)), Source::Invited, vec![rtc(1), rtc(2)]);
    bench.win(LinkId(1));
    bench.run_to(REST.as_millis() as u64);
    assert_eq!(bench.times(), [0, 1_000]);
    bench.wish(Want::Any(group(1)), Source::Invited, vec![rtc(3)]);
    bench.dialer.stop(bench.now, Want::Any(group(1)));
    bench.run_to(1_500);
    assert!(bench.ended.is_empty(), "what is under way may arrive");
    bench.win(LinkId(2));
    bench.run_to(20_000);
    let begun = bench.dialled.len();
    assert!(begun <= 3, "{begun}");
    assert!(!bench.dialer.is_racing(Want::Any(group(1))));
}

#[test]
fn what_members_tell_crowds_out_nothing() {
    let mut bench = Bench::new();
    for n in 0..100_u8 {
        let wants = Want::Member(group(1), NodeId(u64::from(n)));
        bench.wish(wants, Source::Told, vec![rtc(n)]);
    }
    assert_eq!(bench.dialled.len(), Source::Told.share());
    bench.dialer.name(bench.now, rtc(200).into(), By::Application).expect("room");
    bench.pump();
    assert_eq!(bench.dialled.last().map(|(_, address, _)| address.clone()), Some(rtc(200)));
    for n in 0..2 * RACES_MAX as u64 {
        bench.wish(Want::Member(group(2), NodeId(n)), Source::Told, vec![rtc(201)]);
    }
    assert!(bench.dialer.races.len() <= RACES_MAX);
}

#[test]
fn members_cannot_have_us_knock_in_our_own_network() {
    let near: Address = "ws://192.168.1.1/link".parse().expect("an address");
    let here: Address = "ws://localhost:631/link".parse().expect("an address");
    let far: Address = "wss://node.example/link".parse().expect("an address");
    let given = vec![near.clone(), here.clone(), far.clone()];
    let mut bench = Bench::new();
    bench.wish(Want::Member(group(1), NODE), Source::Told, given.clone());
    bench.run_to(2_000);
    let dialled = |bench: &Bench| -> Vec<Address> {
        bench.dialled.iter().map(|(_, address, _)| address.clone()).collect()
    };
    assert_eq!(dialled(&bench), [far]);
    // A node that is in the local network itself has members there.
    let own = ["ws://192.168.1.7/link".parse().expect("an address")];
    bench.dialer.wish(bench.now, wish(Want::Patrol(group(1)), Source::Told, given.clone()), &own);
    bench.run_to(4_000);
    assert_eq!(dialled(&bench)[1..], [near]);
    bench.wish(Want::Any(group(1)), Source::Invited, given);
    bench.run_to(6_000);
    assert!(dialled(&bench).contains(&here));
}

#[test]
fn addresses_that_failed_come_last() {
    let mut bench = Bench::new();
    bench.wish(Want::Patrol(group(1)), Source::Remembered, vec![rtc(1)]);
    bench.fail(LinkId(1));
    bench.run_to(1_000);
    bench.wish(Want::Any(group(1)), Source::Remembered, vec![rtc(1), rtc(2), rtc(3)]);
    bench.run_to(2_000);
    let order: Vec<Address> = bench.dialled[1..].iter().map(|it| it.1.clone()).collect();
    assert_eq!(order, [rtc(2), rtc(3), rtc(1)]);
}

#[test]
fn named_node_is_looked_up_dialled_and_looked_up_again() {
    let mut bench = Bench::new();
    let url: NodeUrl = "https://node.example/".parse().expect("a URL");
    let description = url.description().expect("a web URL");
    let mut told = Vec::new();
    bench.dialer.name(bench.now, url.clone(), By::Application).expect("room");
    bench.pump();
    told.extend(bench.dialer.news());
    assert_eq!(bench.looked_up.len(), 1);
    bench.dialer.looked_up(bench.now, &description, Err(LookupFault::Timeout));
    told.extend(bench.dialer.news());
    bench.run_to(1_500);
    assert_eq!(bench.looked_up.len(), 2, "within a second and a quarter");
    let found = vec![rtc(1).to_string(), "wss://node.example/link".to_owned()];
    bench.dialer.looked_up(bench.now, &description, Ok(found.clone()));
    bench.pump();
    assert_eq!(bench.dialled[0].1, rtc(1));
    bench.win(LinkId(1));
    told.extend(bench.dialer.news());
    assert!(bench.dialer.is_named(LinkId(1)));
    // Lost after a while: dialled at once where it was, then looked up since it may have moved.
    bench.run_to(60_000);
    assert_eq!(bench.looked_up.len(), 2);
    bench.fail(LinkId(1));
    assert_eq!(bench.dialled.len(), 2);
    bench.fail(LinkId(2));
    bench.fail(LinkId(3));
    bench.run_to(62_000);
    assert_eq!(bench.looked_up.len(), 3);
    told.extend(bench.dialer.news());
    let words: Vec<&NodeState> = told.iter().map(|(_, state)| state).collect();
    assert!(matches!(
        words[..],
        [
            NodeState::Trying,
            NodeState::Failed { .. },
            NodeState::Linked { .. },
            NodeState::Failed { .. }
        ]
    ));
}

#[test]
fn node_that_stays_away_is_tried_ever_more_rarely_and_at_once_when_somebody_waits() {
    let mut bench = Bench::new();
    bench.dialer.name(bench.now, rtc(1).into(), By::Application).expect("room");
    bench.pump();
    for _ in 0..600 {
        if let Some(&(ms, _, link)) = bench.dialled.last()
            && ms == bench.now.as_micros() / 1_000
        {
            bench.fail(link);
        }
        let next = bench.dialer.deadline().expect("it is tried again");
        bench.run_to(next.as_micros().div_ceil(1_000));
        if bench.now > at(600_000) {
            break;
        }
    }
    let tries = bench.dialled.len();
    assert!((20..40).contains(&tries), "{tries} tries in ten minutes");
    if let Some(&(_, _, link)) = bench.dialled.last() {
        bench.fail(link);
    }
    bench.dialer.hurry(bench.now);
    bench.pump();
    assert_eq!(bench.dialled.len(), tries + 1);
}

#[test]
fn further_node_takes_the_place_of_none_that_is_linked() {
    let mut bench = Bench::new();
    let names = |n: u8| NodeUrl::from(rtc(n));
    for n in 0..64 {
        bench.dialer.name(bench.now, names(n), By::Application).expect("room");
        bench.pump();
        let link = LinkId(bench.links);
        if n != 5 {
            bench.win(link);
        }
    }
    bench.dialer.name(bench.now, names(64), By::Application).expect("node 5 makes room");
    bench.pump();
    // A report of the removed node's link concerns nobody.
    bench.fail(LinkId(6));
    bench.win(LinkId(65));
    assert!((1..=65).all(|link| bench.dialer.is_named(LinkId(link)) == (link != 6)));
    assert_eq!(bench.dialer.name(bench.now, names(65), By::Application), Err(TooMany));
    assert_eq!(bench.dialer.states().count(), 64);
}

#[test]
fn node_of_an_invitation_is_forgotten_unless_the_application_names_it() {
    let mut bench = Bench::new();
    for n in 1..=4 {
        bench.dialer.name(bench.now, rtc(n).into(), By::Group).expect("room");
    }
    bench.dialer.name(bench.now, rtc(2).into(), By::Application).expect("it is there");
    bench.pump();
    assert_eq!(bench.dialled.len(), 4);
    bench.win(LinkId(4));
    let needed = NodeUrl::from(rtc(3));
    let gone = bench.dialer.forget(|url| *url == needed);
    assert_eq!(gone, [NodeUrl::from(rtc(1)), NodeUrl::from(rtc(4))]);
    bench.pump();
    assert_eq!(bench.ended, [LinkId(1)], "its dial is of no use");
    assert!(!bench.dialer.is_named(LinkId(4)), "nothing keeps that link");
    assert_eq!(bench.dialer.states().count(), 2);
    bench.run_to(60_000);
    assert!(bench.dialled.iter().skip(4).all(|(_, address, _)| [rtc(2), rtc(3)].contains(address)));
}

#[test]
fn node_that_waits_has_its_next_try_when_a_join_goes_on() {
    let mut bench = Bench::new();
    let url: NodeUrl = "https://node.example/".parse().expect("a URL");
    let description = url.description().expect("a web URL");
    bench.dialer.name(bench.now, url, By::Group).expect("room");
    bench.pump();
    for second in 0..60 {
        bench.run_to(second * 1_000);
        bench.dialer.looked_up(bench.now, &description, Err(LookupFault::Unreachable));
        bench.dialer.again(bench.now);
        bench.pump();
    }
    // A node that comes back is found within five seconds, and not every look asks its server.
    assert!((12..=20).contains(&bench.looked_up.len()), "{} in a minute", bench.looked_up.len());
}

#[test]
fn members_cannot_turn_us_against_a_machine() {
    let mut bench = Bench::new();
    let fingerprint = Fingerprint::from_bytes([1; 32]);
    for n in 0..600_u16 {
        let socket = std::net::SocketAddr::from(([192, 0, 2, 1], n + 1));
        let want = Want::Member(group(1), NodeId(u64::from(n)));
        bench.wish(want, Source::Told, vec![Address::Rtc { socket, fingerprint }]);
        bench.run_to(u64::from(n) * 100);
        for link in bench.dialer.attempts.keys().copied().collect::<Vec<_>>() {
            bench.fail(link);
        }
    }
    let dialled = bench.dialled.len();
    assert!((60..=100).contains(&dialled), "{dialled} dials of one machine in a minute");
    bench.wish(Want::Member(group(1), NODE), Source::Told, vec![rtc(2)]);
    assert_eq!(bench.dialled.len(), dialled + 1, "others are dialled as before");
}

#[test]
fn address_that_fails_rests_ever_longer() {
    let mut bench = Bench::new();
    for second in 0..60 {
        bench.run_to(second * 1_000);
        bench.wish(Want::Any(group(1)), Source::Invited, vec![rtc(1)]);
        bench.wish(Want::Any(group(2)), Source::Told, vec![rtc(2)]);
        for link in bench.dialer.attempts.keys().copied().collect::<Vec<_>>() {
            bench.fail(link);
        }
    }
    let dials = |address| bench.dialled.iter().filter(|it| it.1 == address).count();
    assert!((28..=32).contains(&dials(rtc(1))), "{} for who waits", dials(rtc(1)));
    assert!((8..=12).contains(&dials(rtc(2))), "{}", dials(rtc(2)));
}

#[test]
fn what_an_invitation_may_name_is_not_what_members_may() {
    let mut bench = Bench::new();
    let here: Address = "ws://127.0.0.1:631/link".parse().expect("an address");
    let near = Address::Rtc {
        socket: "127.0.0.1:53".parse().expect("a socket"),
        fingerprint: Fingerprint::from_bytes([1; 32]),
    };
    // One race, of both sources.
    bench.wish(Want::Any(group(1)), Source::Invited, vec![rtc(1)]);
    bench.wish(Want::Any(group(1)), Source::Told, vec![here.clone(), near.clone()]);
    bench.run_to(3_000);
    assert_eq!(bench.dialled.len(), 1);
    bench.wish(Want::Any(group(1)), Source::Invited, vec![here, near]);
    bench.run_to(6_000);
    assert_eq!(bench.dialled.len(), 3);
}

#[test]
fn invitations_make_us_forget_no_node_of_the_application() {
    let mut bench = Bench::new();
    bench.dialer.name(bench.now, rtc(1).into(), By::Application).expect("room");
    for n in 0..200_u8 {
        bench.dialer.name(bench.now, rtc(n).into(), By::Group).expect("room");
    }
    assert!(
        bench
            .dialer
            .states()
            .any(|(url, by, _)| { *url == NodeUrl::from(rtc(1)) && by == By::Application })
    );
    for n in 0..200_u8 {
        let named = bench.dialer.name(bench.now, rtc(n).into(), By::Application);
        named.expect("those of invitations make room, then the oldest");
    }
    assert_eq!(bench.dialer.name(bench.now, rtc(255).into(), By::Group), Err(TooMany));
}

#[test]
fn node_of_an_invitation_chooses_no_request_here() {
    let mut bench = Bench::new();
    for url in ["http://127.0.0.1:631/jobs/cancel", "http://router/reboot/", "http://[::1]/x"] {
        bench.dialer.name(bench.now, url.parse().expect(url), By::Group).expect("room");
    }
    bench.run_to(10_000);
    assert_eq!((bench.looked_up.len(), bench.dialled.len()), (0, 0));
    let forbidden = NodeState::Failed { fault: LookupFault::Forbidden.into() };
    assert!(bench.dialer.states().all(|(_, _, state)| *state == forbidden));
    // At the root nobody chooses anything, and a description names no other place of ours.
    bench
        .dialer
        .name(bench.now, "http://127.0.0.1:1/".parse().expect("a URL"), By::Group)
        .expect("room");
    bench.pump();
    let asked = "http://127.0.0.1:1/.well-known/peergraph";
    assert_eq!(bench.looked_up, [asked]);
    let found =
        ["ws://127.0.0.1:631/jobs/link", "ws://router/reboot/link", "ws://127.0.0.1:1/link"];
    let found = found.map(str::to_owned).to_vec();
    bench.dialer.looked_up(bench.now, asked, Ok(found));
    bench.run_to(13_000);
    let dialled: Vec<String> = bench.dialled.iter().map(|it| it.1.to_string()).collect();
    assert_eq!(dialled, ["ws://127.0.0.1:1/link"]);
}

#[test]
fn link_that_takes_over_serves_what_the_other_did() {
    let mut bench = Bench::new();
    bench.dialer.name(bench.now, rtc(1).into(), By::Application).expect("room");
    bench.pump();
    bench.win(LinkId(1));
    bench.dialer.moved(LinkId(1), LinkId(9));
    bench.fail(LinkId(1));
    assert!(bench.dialer.is_named(LinkId(9)));
    bench.run_to(100_000);
    assert_eq!(bench.dialled.len(), 1);
    bench.wish(Want::Member(group(1), NODE), Source::Told, vec![rtc(1)]);
    assert_eq!(bench.served, [(Want::Member(group(1), NODE), LinkId(9))]);
}

#[test]
fn link_that_is_there_serves_though_no_dial_is_left() {
    let mut bench = Bench::new();
    let fingerprint = Fingerprint::from_bytes([1; 32]);
    let address = |n: u16| Address::Rtc { socket: ([192, 0, 2, 1], n + 1).into(), fingerprint };
    let member = |n: u16| Want::Member(group(1), NodeId(u64::from(n)));
    bench.wish(member(0), Source::Told, vec![address(0)]);
    bench.win(LinkId(1));
    for n in 1..100 {
        bench.wish(member(n), Source::Told, vec![address(n)]);
        for link in bench.dialer.attempts.keys().copied().collect::<Vec<_>>() {
            bench.fail(link);
        }
    }
    assert!(bench.dialled.len() < 50, "what one destination is dialled at once is spent");
    bench.wish(member(100), Source::Told, vec![address(0)]);
    assert_eq!(bench.served, [(member(100), LinkId(1))]);
}

#[test]
fn node_whose_link_does_not_answer_is_dialled_beside_it() {
    let mut bench = Bench::new();
    bench.dialer.name(bench.now, rtc(1).into(), By::Application).expect("room");
    bench.pump();
    bench.win(LinkId(1));
    bench.run_to(60_000);
    bench.dialer.doubted(bench.now, LinkId(1));
    bench.pump();
    assert_eq!(bench.dialled.len(), 2);
    bench.dialer.doubted(bench.now, LinkId(1));
    bench.pump();
    assert_eq!(bench.dialled.len(), 2, "once");
    bench.win(LinkId(2));
    bench.fail(LinkId(1));
    assert!(bench.dialer.is_named(LinkId(2)) && !bench.dialer.is_named(LinkId(1)));
    bench.run_to(120_000);
    assert_eq!(bench.dialled.len(), 2);
    // One that answers after all is kept in the place of the second.
    bench.dialer.doubted(bench.now, LinkId(2));
    bench.pump();
    bench.win(LinkId(3));
    bench.dialer.moved(LinkId(3), LinkId(2));
    bench.fail(LinkId(3));
    assert!(bench.dialer.is_named(LinkId(2)));
    assert_eq!(bench.dialled.len(), 3);
}
