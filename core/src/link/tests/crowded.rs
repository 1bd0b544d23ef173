//! Who holds half-open links, and from whom they are taken.
use super::*;
use crate::limits::{HALF_OPEN_OFFERED, HALF_OPEN_STRANGERS};
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
