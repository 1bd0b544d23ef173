//! The holders of half-open links, and from whom they are taken.
use super::*;
use crate::limits::{HALF_OPEN_OFFERED, HALF_OPEN_STRANGERS, PARTIAL_BYTES, STRANGER_BYTES_MAX};
use crate::wire::{Origin, Signal};

/// A link from there whose other end says nothing.
fn silent(ada: &mut Ada, from: Ipv4Addr) {
    let link = ada.node.new_link(Source::of(from.into()));
    ada.handle(Input::LinkUp { link, transport: Transport::WebSocket });
}

/// Goal: one source at its maximum keeps no other out (R7). Method: between any two steps of an honest stranger's handshake
/// one address opens as many silent links as all strangers together may have.
#[test]
fn silent_links_of_one_source_keep_no_other_out() {
    let mut ada = Ada::new();
    let eve = Ipv4Addr::new(127, 0, 0, 2);
    let flood = |ada: &mut Ada| (0..HALF_OPEN_STRANGERS.all()).for_each(|_| silent(ada, eve));
    for n in 2..52 {
        flood(&mut ada);
        let stranger = Stranger::knock_from(&mut ada, n, Ipv4Addr::new(192, 0, 2, n));
        flood(&mut ada);
        let honest = stranger.prove(&mut ada, n);
        assert!(ada.closed.iter().all(|(link, _)| *link != honest.link), "{n} is let in");
        assert!(ada.node.links.ready(honest.link).is_some());
    }
    let open = 50 + HALF_OPEN_STRANGERS.each() as usize;
    assert_eq!(ada.node.links.len(), open, "a share is all that one source holds");
    assert!(ada.closed.iter().all(|(_, reason)| *reason == CloseReason::Full));
}

/// Members of ada's group, and their links to her.
pub(super) fn members<const N: usize>(
    ada: &mut Ada,
    group: GroupId,
    numbers: [u8; N],
) -> [Stranger; N] {
    numbers.map(|n| {
        let chain = ada.membership(group, &someone(n));
        let member = Stranger::honest(ada, n);
        member.open(ada, group);
        member.connect(ada, &chain);
        member
    })
}

/// A signal to ada that `who` has signed.
fn signal(ada: &Ada, group: GroupId, who: &Identity, attempt: u64, text: &'static [u8]) -> Bytes {
    let nonce = NodeNonce::default();
    let origin = Origin { key: *who.public_key().as_bytes(), nonce, signature: [0; 64] };
    let (from, to) = (NodeId::of(who.peer_id(), nonce), ada.node.id());
    let signal = Bytes::from_static(text);
    let mut signal = Signal { from, to, attempt, number: 0, hops: 0, origin, signal };
    signal.origin.signature = who.sign(Domain::Signal, &signal.message(group));
    Bytes::copy_from_slice(wire::signal(2, &signal).bytes())
}

const OFFER: &[u8] = br#"{"type":"offer","sdp":"v=0"}"#;

/// Goal: a member that brings signals at its maximum keeps nobody out (R6). Method: Bob brings signals of identities that he
/// makes up, first ones that begin no link, then offers; a stranger knocks, and Carol's offer comes, by Bob too.
#[test]
fn signals_that_one_neighbour_brings_keep_no_other_out() {
    let mut ada = Ada::new();
    let group = ada.group();
    let [bob, _carol] = members(&mut ada, group, [2, 3]);
    assert_eq!(ada.faults(), []);
    let made_up = |n: u64| {
        let mut seed = [9; 32];
        seed[..8].copy_from_slice(&n.to_be_bytes());
        Identity::generate(seed, [9; 16], "nobody", NOW).unwrap()
    };
    let all = HALF_OPEN_OFFERED.all();
    for n in 0..all + 1 {
        let text: &[u8] = if n % 2 == 0 { b"x" } else { br#"{"type":"answer","sdp":"v=0"}"# };
        let message = signal(&ada, group, &made_up(n), n, text);
        bob.send(&mut ada, &message);
    }
    assert_eq!(ada.opened, [], "nothing is made for what begins no link");
    for n in 0..all + 1 {
        let message = signal(&ada, group, &made_up(n), all + n, OFFER);
        bob.send(&mut ada, &message);
    }
    let links = ada.node.links.len() as u64;
    assert_eq!(links, 2 + HALF_OPEN_OFFERED.each(), "a share is all that one bringer holds");
    ada.closed.clear();
    ada.opened.clear();
    let offer = signal(&ada, group, &someone(3), 7, OFFER);
    bob.send(&mut ada, &offer);
    assert_eq!(ada.opened.len(), 1, "a member's offer is its own");
    let stranger = Stranger::knock(&mut ada, 4).prove(&mut ada, 4);
    assert!(ada.node.links.ready(stranger.link).is_some());
    assert_eq!(ada.closed, []);
}

/// Sends so many bytes of a message that goes on.
fn part(ada: &mut Ada, link: LinkId, mut bytes: usize) {
    while bytes > 0 {
        let now = bytes.min(limits::FRAME_BYTES_MAX - 1);
        let bytes_now = Bytes::from([&[wire::PART][..], &vec![0; now]].concat());
        ada.handle(Input::Frame { link, bytes: bytes_now });
        bytes -= now;
    }
}

/// R12. Goal: messages that never end take a bounded part of the memory, and nobody else's. Method: as many strangers as this
/// test can name, of seven places, each with the longest message that it may begin; then one of an eighth says as much, and
/// is heard.
#[test]
fn messages_that_never_end_take_a_share_and_no_more() {
    let mut ada = Ada::new();
    let group = ada.group();
    let chain = ada.membership(group, &someone(2));
    let mut all = Vec::new();
    for n in 3..150 {
        let source = Ipv4Addr::new(192, 0, 2 + n % 7, 1);
        let stranger = Stranger::knock_from(&mut ada, n, source).prove(&mut ada, n);
        part(&mut ada, stranger.link, STRANGER_BYTES_MAX);
        all.push(stranger.link);
    }
    assert_eq!(ada.faults(), []);
    let full = |(link, reason): &(LinkId, CloseReason)| {
        *reason == CloseReason::Full && all[..14].contains(link)
    };
    assert!(!ada.closed.is_empty() && ada.closed.iter().all(full), "the oldest: {:?}", ada.closed);
    let held: usize = ada.node.links.iter().map(|(_, link)| link.incoming.len()).sum();
    assert!(held as u64 <= 7 * PARTIAL_BYTES.each(), "{held} bytes");
    ada.closed.clear();
    let bob = Stranger::knock_from(&mut ada, 2, Ipv4Addr::new(192, 0, 9, 1)).prove(&mut ada, 2);
    bob.open(&mut ada, group);
    let chain = encode_chain(&chain);
    let addresses = Vec::new();
    let connect = Connect { chain, addresses, lonely: true, signature: None, times: None };
    let message = wire::graph_message(kind::CONNECT, 2, &connect);
    let (head, tail) = message.bytes().split_at(100);
    ada.handle(Input::Frame { link: bob.link, bytes: [&[wire::PART], head].concat().into() });
    ada.handle(Input::Frame { link: bob.link, bytes: [&[wire::LAST], tail].concat().into() });
    let welcomed = |frame: &Bytes| frame.len() > 4 && frame[1] == kind::WELCOME.number();
    assert!(ada.frames.iter().any(welcomed) && ada.closed.is_empty());
    // A message longer than all that a stranger has to say is its fault.
    let eve = Stranger::knock_from(&mut ada, 151, Ipv4Addr::new(192, 0, 9, 1)).prove(&mut ada, 151);
    part(&mut ada, eve.link, STRANGER_BYTES_MAX + 1);
    assert_eq!(ada.faults(), [Misbehaved::MessageTooLong]);
}

/// Goal: what was under way when a neighbourhood ended costs nobody its link. Method: Bob sends a part of a record of a MB,
/// Ada leaves, and he sends the rest, and one more.
#[test]
fn long_messages_under_way_are_nobodys_fault() {
    let mut ada = Ada::new();
    let group = ada.group();
    let [bob] = members(&mut ada, group, [2]);
    part(&mut ada, bob.link, 500_000);
    ada.ask(Command::Leave { group });
    part(&mut ada, bob.link, 500_000);
    ada.handle(Input::Frame { link: bob.link, bytes: Bytes::from_static(&[wire::LAST]) });
    part(&mut ada, bob.link, 1_000_000);
    assert_eq!((ada.faults(), ada.closed.as_slice()), (Vec::new(), [].as_slice()));
}
