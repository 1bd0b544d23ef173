//! Messages of a later version, and messages that no version sends at this moment.
use super::*;
use crate::random::Random;
use crate::wire::is_direct;
use crate::wire::kind::{FIRST_OF_NODE, Kind};
use minicbor::Encoder;
use minicbor::data::Type;
use rand_chacha::rand_core::Rng as _;

/// A stranger whose membership is in order, and who has opened the graph.
struct Member {
    stranger: Stranger,
    chain: Vec<Certificate>,
}

impl Member {
    fn opened(ada: &mut Ada) -> Self {
        let group = ada.group();
        let chain = ada.membership(group, &someone(2));
        let stranger = Stranger::honest(ada, 2);
        stranger.open(ada, group);
        Self { stranger, chain }
    }

    fn neighbour(ada: &mut Ada) -> Self {
        let member = Self::opened(ada);
        member.stranger.connect(ada, &member.chain);
        assert!(ada.frames.iter().any(|frame| frame[1] == kind::WELCOME.number()));
        member
    }

    fn refuse(&self, reason: Reason) -> Vec<u8> {
        let chain = Some(encode_chain(&self.chain));
        wire::encode(&Refuse { chain, ..Refuse::because(reason, Vec::new()) })
    }
}

fn graph(number: u8, body: &[u8]) -> Vec<u8> {
    [&[number, 0, 2], body].concat()
}

/// Anything that is well formed.
fn anything(rng: &mut Random, depth: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut e = Encoder::new(&mut bytes);
    let long = (rng.next_u64() % 40) as usize;
    match rng.next_u64() % if depth > 2 { 5 } else { 8 } {
        0 => e.u64(rng.next_u64() >> (rng.next_u64() % 64)).map(drop),
        1 => e.i64(-((rng.next_u64() >> 1) as i64)).map(drop),
        2 => e.bytes(&vec![7; long]).map(drop),
        3 => e.str(&"é".repeat(long)).map(drop),
        4 => e.bool(true).map(drop),
        5 => e.null().map(drop),
        n => {
            let items = rng.next_u64() % 4;
            let pairs = if n == 6 { 1 } else { 2 };
            let head = if n == 6 { e.array(items) } else { e.map(items) };
            head.expect("a vector takes everything");
            for _ in 0..items * pairs {
                bytes.extend(anything(rng, depth + 1));
            }
            Ok(())
        }
    }
    .expect("a vector takes everything");
    bytes
}

/// The same message with fields, and bytes behind it, of which nobody has heard.
fn extended(rng: &mut Random, body: &[u8]) -> Vec<u8> {
    let known = body[0] - 0xa0;
    let more = 1 + (rng.next_u64() % 6) as u8;
    let mut bytes = [&[0xa0 + known + more], &body[1..]].concat();
    for n in 0..u64::from(more) {
        let key = 100 + n + (rng.next_u64() % 1_000) * 10;
        bytes.extend(wire::encode(&key));
        bytes.extend(anything(rng, 0));
    }
    bytes.extend((0..rng.next_u64() % 3).map(|_| 0xff));
    bytes
}

/// A list of addresses, of which only the given one is of a kind that this version knows.
fn addresses(rng: &mut Random, known: &str) -> Vec<u8> {
    let before = rng.next_u64() % 4;
    let mut bytes = wire::encode(&Vec::<u8>::new());
    bytes[0] += before as u8 + 2;
    for n in 0..before + 2 {
        if n == before {
            bytes.extend(wire::encode(&known));
            continue;
        }
        match rng.next_u64() % 3 {
            0 => bytes.extend(wire::encode(&"quic://[2001:db8::1]:443/key")),
            1 => bytes.extend(wire::encode(&"rtc://192.0.2.1:1/a?later")),
            _ => bytes.extend(anything(rng, 0)),
        }
    }
    bytes
}

/// Goal: a node of a later version is a good neighbour of one that knows less. Method: kinds, fields, reasons and addresses
/// that this version does not know, drawn by chance, in each state of a link, and more of them than words have a budget.
#[test]
fn what_only_a_later_version_knows_costs_nothing() {
    for seed in 0..30 {
        let mut rng = Random::new(&[seed; 32]);
        let mut ada = Ada::new();
        let unknown = |ada: &mut Ada, rng: &mut Random, stranger: &Stranger, count: usize| {
            let said = ada.frames.len();
            for _ in 0..count {
                let number = rng.next_u64() as u8;
                if Kind::of(number).is_some() {
                    continue;
                }
                let mut message = vec![number];
                if !rng.next_u64().is_multiple_of(8) {
                    message.extend([0, 2]);
                    message.extend(anything(rng, 0));
                }
                stranger.send(ada, &message);
            }
            assert_eq!((ada.faults(), ada.frames.len()), (Vec::new(), said), "{seed}");
        };
        let group = ada.group();
        let chain = ada.membership(group, &someone(2));
        let stranger = Stranger::honest(&mut ada, 2);
        let member = Member { stranger, chain };
        let link = &member.stranger;
        unknown(&mut ada, &mut rng, link, 50);
        let tag = wire::group_tag(group, &link.hash, true);
        let open = extended(&mut rng, &wire::encode(&Open { tag }));
        link.send(&mut ada, &graph(kind::OPEN.number(), &open));
        unknown(&mut ada, &mut rng, link, 50);

        let chain = encode_chain(&member.chain);
        let connect =
            Connect { chain, addresses: Vec::new(), lonely: true, signature: None, times: None };
        let connect = wire::encode(&connect);
        let known = "ws://192.0.2.7:80/link";
        let told = addresses(&mut rng, known);
        let at = field(&connect, 1);
        let connect = [&connect[..at], &told, &connect[at + 1..]].concat();
        link.send(&mut ada, &graph(kind::CONNECT.number(), &extended(&mut rng, &connect)));
        assert_eq!(ada.faults(), [], "{seed}");
        let up = |event: &Event| matches!(event, Event::Neighbour { up: true, .. });
        assert!(ada.events.iter().any(up), "{seed}");
        unknown(&mut ada, &mut rng, link, 1_000);

        // For any reason, it is no neighbour any longer, and may be one again.
        let mut refuse = member.refuse(Reason::Busy);
        let reason = wire::encode(&(7 + (rng.next_u64() >> (rng.next_u64() % 64)) / 2));
        let at = field(&refuse, 0);
        refuse.splice(at..=at, reason);
        link.send(&mut ada, &graph(kind::REFUSE.number(), &extended(&mut rng, &refuse)));
        assert_eq!(ada.faults(), [], "{seed}");
        let down = |event: &Event| matches!(event, Event::Neighbour { up: false, .. });
        assert!(ada.events.iter().any(down), "{seed}");
        unknown(&mut ada, &mut rng, link, 50);
        ada.events.clear();
        link.connect(&mut ada, &member.chain);
        assert!(ada.events.iter().any(up), "{seed}");
    }
}

/// Where the value of a field stands in a map.
fn field(body: &[u8], key: u8) -> usize {
    let mut d = minicbor::Decoder::new(body);
    d.map().expect("a map");
    loop {
        assert_eq!(d.datatype().expect("a key"), Type::U8);
        if d.u8().expect("a key") == key {
            return d.position();
        }
        d.skip().expect("a value");
    }
}

/// Goal: what no state allows costs the link, whatever kind it is. Method: each kind in the states that a link with one graph
/// has at a node that is no rendezvous; what a state allows is written down here once more.
#[test]
fn known_kind_in_a_wrong_state_costs_the_link() {
    /// The state: what to do first, and what is allowed then.
    type State = (&'static str, fn(&mut Ada) -> Stranger, &'static [Kind]);
    let states: [State; 4] = [
        ("no graph", |ada| Stranger::honest(ada, 2), &[kind::PING, kind::PONG]),
        (
            "opened",
            |ada| Member::opened(ada).stranger,
            &[
                kind::OPEN,
                kind::CONNECT,
                kind::REDEEM,
                kind::ASK_PASSWORD,
                kind::LOOK,
                kind::SIGNAL,
            ],
        ),
        (
            "neighbour",
            |ada| Member::neighbour(ada).stranger,
            &[
                kind::OPEN,
                kind::REFUSE,
                kind::DISCONNECT,
                kind::BEAT,
                kind::SIGNAL,
                kind::ASK_TIME,
                kind::TIME,
            ],
        ),
        (
            "idle",
            |ada| {
                let member = Member::neighbour(ada);
                let refuse = member.refuse(Reason::Busy);
                member.stranger.send(ada, &graph(kind::REFUSE.number(), &refuse));
                member.stranger
            },
            &[
                kind::OPEN,
                kind::CONNECT,
                kind::REFUSE,
                kind::DISCONNECT,
                kind::BEAT,
                kind::SIGNAL,
                kind::ASK_TIME,
                kind::TIME,
            ],
        ),
    ];
    for (state, reach, allowed) in states {
        let has_neighbour = matches!(state, "neighbour" | "idle");
        for kind in Kind::all().filter(|kind| state != "no graph" || !kind.is_of_graph()) {
            let mut ada = Ada::new();
            let stranger = reach(&mut ada);
            assert_eq!(ada.faults(), []);
            let body = graph(kind.number(), &[0xa0; 16]);
            let message = if kind.is_of_graph() { body } else { vec![kind.number(), 0xa0] };
            stranger.send(&mut ada, &message);
            let relay =
                (kind::RELAY_ASK.number()..=kind::RELAY_ENDED.number()).contains(&kind.number());
            // Of circuits and direct links that have ended meanwhile.
            let node_wide = relay || is_direct(kind) || matches!(kind, kind::PING | kind::PONG);
            let bulk = kind.is_bulk() && has_neighbour;
            let unexpected = ada.faults() == [Misbehaved::Unexpected];
            let expected = allowed.contains(&kind) || node_wide || bulk;
            assert_eq!(unexpected, !expected, "{kind:?} when {state}: {:?}", ada.faults());
        }
    }
}

#[test]
fn numbers_of_graph_and_node_are_apart_and_both_ranges_are_open() {
    for number in 0..=u8::MAX {
        let Some(kind) = Kind::of(number) else { continue };
        assert_eq!((kind.number(), kind.is_of_graph()), (number, number < FIRST_OF_NODE));
    }
    let free = |numbers: std::ops::RangeInclusive<u8>| numbers.filter(|&n| Kind::of(n).is_none());
    assert!(free(1..=127).count() > 60 && free(128..=255).count() > 60);
}
