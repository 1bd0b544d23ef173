//! Signals that are on their way through ada: what she carries for whom.
use super::crowded::members;
use super::*;
use crate::limits::{SIGNALS, SIGNALS_PER_SECOND};
use crate::wire::{Origin, Signal};

/// A signal of a node of `who` to another.
fn signal(group: GroupId, who: &Identity, to: NodeId, number: u32, text: &[u8]) -> Bytes {
    let nonce = NodeNonce::default();
    let origin = Origin { key: *who.public_key().as_bytes(), nonce, signature: [0; 64] };
    let (from, signal) = (NodeId::of(who.peer_id(), nonce), Bytes::copy_from_slice(text));
    let mut signal = Signal { from, to, attempt: 1, number, hops: 0, origin, signal };
    signal.origin.signature = who.sign(Domain::Signal, &signal.message(group));
    Bytes::copy_from_slice(wire::signal(2, &signal).bytes())
}

/// The signals that ada has sent since this was asked last, and what they carry.
fn said(ada: &mut Ada) -> Vec<Signal> {
    let frames = ada.frames.drain(..).filter(|frame| frame[1] == kind::SIGNAL.number());
    frames.map(|frame| wire::decode_signal(&frame.slice(4..)).expect("she is honest")).collect()
}

/// Goal: what is for nobody makes nobody carry content (R9). Method: the most that a signal holds, to a node that there is
/// not; then a search for it.
#[test]
fn content_for_nobody_is_not_carried_and_a_search_carries_none() {
    let mut ada = Ada::new();
    let group = ada.group();
    let [bob, _carol, _dan] = members(&mut ada, group, [2, 3, 4]);
    said(&mut ada);
    let content = vec![7; limits::SIGNAL_BYTES_MAX];
    bob.send(&mut ada, &signal(group, &someone(2), NodeId(9), 0, &content));
    assert_eq!(said(&mut ada), []);
    bob.send(&mut ada, &signal(group, &someone(2), NodeId(9), Signal::SEARCH, b""));
    let searches = said(&mut ada);
    assert_eq!(searches.len(), 2, "to both others");
    assert!(searches.iter().all(|search| search.signal.is_empty() && search.hops == 1));
    assert_eq!(ada.faults(), []);
}

/// Goal: whoever is looked for answers, and what comes then goes the way that the answer took. Method: bob looks for carol,
/// carol answers, bob offers.
#[test]
fn content_goes_the_way_that_the_answer_took() {
    let mut ada = Ada::new();
    let group = ada.group();
    let [bob, dan] = members(&mut ada, group, [2, 4]);
    // Eve is behind dan.
    let (node, eve) =
        (|who: &Identity| NodeId::of(who.peer_id(), NodeNonce::default()), someone(5));
    said(&mut ada);
    bob.send(&mut ada, &signal(group, &someone(2), node(&eve), Signal::SEARCH, b""));
    assert_eq!(said(&mut ada).len(), 1);
    dan.send(&mut ada, &signal(group, &eve, node(&someone(2)), Signal::FOUND, b""));
    assert_eq!(said(&mut ada).len(), 1, "the answer");
    bob.send(&mut ada, &signal(group, &someone(2), node(&eve), 1, b"offer"));
    let offers = said(&mut ada);
    assert_eq!(offers.len(), 1);
    assert_eq!(&offers[0].signal[..], b"offer");
    // She is looked for herself.
    let hers = ada.node.id();
    bob.send(&mut ada, &signal(group, &someone(2), hers, Signal::SEARCH | 5, b""));
    let found = said(&mut ada);
    assert_eq!(found.len(), 1);
    assert!(found[0].is_found() && found[0].from == hers && found[0].attempt == 1);
    assert_eq!(ada.faults(), []);
}

/// Goal: one member's signals at their maximum leave every other its part, at a node to which all come over one neighbour,
/// and copies cost the one that brings them nothing (R9). Method: bob brings as many of dan's searches as he may, each
/// twice; then carol's, as many as a share.
#[test]
fn signals_of_one_origin_leave_every_other_its_part() {
    let mut ada = Ada::new();
    let group = ada.group();
    let [bob, carol, dan] = members(&mut ada, group, [2, 3, 4]);
    let others = [carol.link, dan.link];
    said(&mut ada);
    let (carol, dan) = (someone(3), someone(4));
    let mut search = |who: &Identity, n: u64, times: u64| {
        let message = signal(group, who, NodeId(9), Signal::SEARCH | n as u32, b"");
        (0..times).for_each(|_| bob.send(&mut ada, &message));
        for link in others {
            ada.handle(Input::Buffered { link, bytes: 0 });
        }
        said(&mut ada).len()
    };
    let carried = (0..SIGNALS.all()).filter(|&n| search(&dan, n, 2) > 0).count() as u64;
    assert!(carried <= SIGNALS.each() + SIGNALS_PER_SECOND.each(), "{carried}");
    let carried = (0..SIGNALS.each()).filter(|&n| search(&carol, n, 1) > 0).count() as u64;
    assert_eq!(carried, SIGNALS.each(), "carol has her part");
}
