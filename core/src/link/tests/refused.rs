//! Tests of what is heard of a member that was refused, and of one that refuses us.
use super::crowded::members;
use super::*;
use crate::id::RecordId;
use crate::io::Keep;
use crate::record::{Record, RecordType, Signed, next_version};
use crate::roll::{Reason as Why, Target};
use crate::wire::{Origin, Referral, Signal};

/// The only node of somebody in these tests.
fn node(who: &Identity) -> NodeId {
    NodeId::of(who.peer_id(), NodeNonce::default())
}

/// A record of a member.
fn record(
    group: GroupId,
    (by, chain): (&Identity, &[Certificate]),
    kind: &str,
    (random, payload): (u64, Vec<u8>),
) -> Signed {
    Record {
        id: RecordId::new(by.peer_id(), kind, random),
        kind: RecordType::new(kind).unwrap(),
        version: next_version(NOW, 0, 0),
        creator: by.peer_id(),
        modifier: None,
        created: NOW,
        modified: NOW,
        expires: NOW.after(YEAR / 2),
        deleted: false,
        attributes: Vec::new(),
        payload: payload.into(),
        certificate: chain.last().unwrap().id(),
        beginning: None,
        signature: [0; 64],
    }
    .sign(group, by)
}

/// A neighbour shows its membership to all.
pub(super) fn put_in(
    ada: &mut Ada,
    group: GroupId,
    (link, n): (&Stranger, u8),
    chain: &[Certificate],
) {
    let who = someone(n);
    let shown = crate::group::membership_shown_by(who.peer_id(), chain);
    let shown = record(group, (&who, chain), RecordType::MEMBERSHIP, shown);
    link.send(ada, wire::flood(2, &[shown.bytes().clone()]).bytes());
}

/// Ada puts a neighbour out, of whom she has the membership.
fn put_out(ada: &mut Ada, group: GroupId, (link, n): (&Stranger, u8), chain: &[Certificate]) {
    put_in(ada, group, (link, n), chain);
    let who = someone(n);
    let (target, reason) = (Target::Peer(who.peer_id()), Why::Misconduct);
    ada.ask(Command::Group(group, GroupCommand::Revoke { target, reason, keep: Keep::ALL }));
    ada.handle(Input::Timeout);
    assert!(ada.closed.contains(&(link.link, CloseReason::Revoked)));
}

/// How many signals ada passes on if `who` sends one over its link.
fn passed_on(ada: &mut Ada, group: GroupId, (link, who): (&Stranger, u8), attempt: u64) -> usize {
    let (who, to) = (someone(who), node(&someone(3)));
    let (key, nonce) = (*who.public_key().as_bytes(), NodeNonce::default());
    let origin = Origin { key, nonce, signature: [0; 64] };
    let signal = Bytes::from_static(br#"{"type":"offer","sdp":"v=0"}"#);
    let mut signal = Signal { from: node(&who), to, attempt, number: 0, hops: 0, origin, signal };
    signal.origin.signature = who.sign(Domain::Signal, &signal.message(group));
    ada.frames.clear();
    link.send(ada, wire::signal(2, &signal).bytes());
    let is_signal = |frame: &&Bytes| frame[1] == kind::SIGNAL.number();
    ada.frames.iter().filter(is_signal).count()
}

/// S9. Goal: a member that was put out has no voice in the graph, over whatever link it comes.
/// Method: Bob signals to Carol as a member; then, revoked, after his `CONNECT` was refused, and as
/// a guest with an invitation that is still open.
#[test]
fn who_was_put_out_may_ask_to_connect_and_says_nothing_else() {
    let mut ada = Ada::new();
    let group = ada.group();
    let bob = Stranger::honest(&mut ada, 2);
    let chain = ada.membership(group, &someone(2));
    bob.open(&mut ada, group);
    bob.connect(&mut ada, &chain);
    let [_carol] = members(&mut ada, group, [3]);
    let grant = cert::Role::Member.into();
    let invite = Invite::Bearer { grant, uses: 9, expires_in: YEAR / 2 };
    let Reply::Invitation(invitation) =
        ada.ask(Command::Group(group, GroupCommand::Invite { invite }))
    else {
        panic!("an invitation")
    };
    let InvitationKind::Bearer { secret, .. } = invitation.kind else { panic!("a bearer's") };
    assert_eq!(passed_on(&mut ada, group, (&bob, 2), 1), 1, "as a member");
    put_out(&mut ada, group, (&bob, 2), &chain);

    let bob = Stranger::honest(&mut ada, 2);
    bob.open(&mut ada, group);
    assert_eq!(passed_on(&mut ada, group, (&bob, 2), 2), 0, "before it is refused");
    bob.connect(&mut ada, &chain);
    assert!(ada.frames.iter().any(|frame| frame[1] == kind::REFUSE.number()));
    assert_eq!(passed_on(&mut ada, group, (&bob, 2), 3), 0, "refused");
    let address = "ws://192.0.2.1:80/link".parse().expect("an address");
    let (node, peer) = (node(&someone(9)), someone(9).peer_id());
    let referrals = vec![Referral { node, peer, addresses: vec![address] }];
    for kind in [kind::DISCONNECT, kind::REFUSE] {
        let refuse = Refuse::because(Reason::Busy, referrals.clone());
        bob.send(&mut ada, wire::graph_message(kind, 2, &refuse).bytes());
    }
    assert_eq!((ada.faults(), ada.opened.as_slice()), (Vec::new(), [].as_slice()));
    ada.handle(Input::LinkDown { link: bob.link });

    let bob = Stranger::honest(&mut ada, 2);
    bob.open(&mut ada, group);
    let (key, who) = (secret.public_key(), someone(2));
    let consent = who.sign(Domain::Redemption, &proof_message(group, &key, who.peer_id()));
    let proof = secret.prove(group, who.peer_id()).to_vec();
    let redeem = Redeem { invitation: key.as_bytes().to_vec(), proof, consent: consent.to_vec() };
    bob.send(&mut ada, wire::graph_message(kind::REDEEM, 2, &redeem).bytes());
    assert_eq!(ada.frames.last().map(|frame| frame[1]), Some(kind::NOT_GRANTED.number()));
    assert_eq!(passed_on(&mut ada, group, (&bob, 2), 4), 0, "as a guest");
    assert_eq!(ada.faults(), []);
}

/// R17, S8. Goal: a refusal is no way in for records. Method: Bob, who may invite, refuses Ada with
/// an invitation of his as the reason, unasked and in answer to her `CONNECT`.
#[test]
fn record_that_is_not_about_us_does_not_come_in_by_a_refusal() {
    let mut ada = Ada::new();
    let group = ada.group();
    let bobs = someone(2);
    let (chain, _) = ada.membership_as(group, &bobs, cert::Role::Inviting);
    let bob = Stranger::honest(&mut ada, 2);
    bob.open(&mut ada, group);
    bob.connect(&mut ada, &chain);
    let invitation = crate::group::invitation_by(bobs.peer_id(), NOW.after(YEAR / 4));
    let invitation = record(group, (&bobs, &chain), RecordType::INVITATION, invitation);
    let refuse = not_standing(&chain, &[invitation]);
    let open = |ada: &mut Ada| match ada.ask(Command::Group(group, GroupCommand::Invitations)) {
        Reply::Invitations(open) => open.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(open(&mut ada), 0);
    bob.send(&mut ada, refuse.bytes());
    assert_eq!((open(&mut ada), ada.faults()), (0, Vec::new()), "unasked");
    wait_for_connect(&mut ada, &bob);
    bob.send(&mut ada, refuse.bytes());
    assert_eq!((open(&mut ada), ada.faults()), (0, Vec::new()), "in answer");
}

/// R17. Goal: a proof is heard in answer to our `CONNECT`, and once a link. Method: Bob, an
/// administrator, has really revoked Ada, and shows that unasked; then as his second answer; then
/// over a new link.
#[test]
fn proof_is_heard_only_as_the_first_answer_of_a_link() {
    let (mut owner, mut ada) = (Ada::of(9), Ada::new());
    let group = owner.group();
    let (bobs, role) = (someone(2), cert::Role::Administrator);
    let (chain, _) = owner.membership_as(group, &bobs, role);
    let (adas, invitation) = owner.membership_as(group, &someone(1), cert::Role::Member);
    ada.ask(Command::Join { invitation, password: None });
    let revocation = crate::group::revocation_by(group, &chain, &adas);
    let revocation = record(group, (&bobs, &chain), RecordType::REVOCATION, revocation);
    let (empty, proof) = (not_standing(&chain, &[]), not_standing(&chain, &[revocation]));
    let stands = |ada: &mut Ada| match ada.ask(Command::Groups) {
        Reply::Groups(groups) => groups[0].standing.is_member(),
        other => panic!("{other:?}"),
    };
    let meet = |ada: &mut Ada| {
        let bob = Stranger::honest(ada, 2);
        bob.open(ada, group);
        bob.connect(ada, &chain);
        bob
    };
    let bob = meet(&mut ada);
    let bye = Refuse::because(Reason::Leaving, Vec::new());
    bob.send(&mut ada, wire::graph_message(kind::DISCONNECT, 2, &bye).bytes());
    bob.send(&mut ada, proof.bytes());
    assert!(stands(&mut ada), "unasked");
    wait_for_connect(&mut ada, &bob);
    bob.send(&mut ada, empty.bytes());
    assert!(stands(&mut ada), "an answer that proves nothing");
    wait_for_connect(&mut ada, &bob);
    bob.send(&mut ada, proof.bytes());
    assert!(stands(&mut ada), "the second answer");
    ada.handle(Input::LinkDown { link: bob.link });
    let bob = meet(&mut ada);
    bob.send(&mut ada, proof.bytes());
    assert!(!stands(&mut ada), "the first answer of a link");
    assert_eq!(ada.faults(), []);
}

/// A refusal because the other end's membership does not stand, which these records prove.
fn not_standing(by: &[Certificate], proof: &[Signed]) -> Message {
    let refuse = Refuse {
        proof: proof.iter().map(|signed| signed.bytes().to_vec().into()).collect(),
        chain: Some(encode_chain(by)),
        ..Refuse::because(Reason::NotStanding, Vec::new())
    };
    wire::graph_message(kind::REFUSE, 2, &refuse)
}

/// Waits until ada asks to connect. `other` is the other end of her only link.
fn wait_for_connect(ada: &mut Ada, other: &Stranger) {
    ada.frames.clear();
    let connects = |ada: &Ada| {
        ada.frames.iter().any(|frame| frame.len() > 4 && frame[1] == kind::CONNECT.number())
    };
    for _ in 0..120 {
        let second = Duration::from_secs(1);
        ada.now = Now { mono: ada.now.mono.after(second), wall: ada.now.wall.after(second) };
        ada.handle(Input::Timeout);
        if connects(ada) {
            return;
        }
        other.send(ada, Message::PONG.bytes());
    }
    panic!("she has nobody else");
}

/// R25. Goal: what is bulk from a neighbour is no way to keep a node busy for anybody else. Method:
/// a stranger and a refused member send as many floods as words are free, and one more; one that
/// was a neighbour just now sends as many and may.
#[test]
fn bulk_of_who_is_no_neighbour_costs_a_word() {
    let mut ada = Ada::new();
    let group = ada.group();
    let bob = Stranger::honest(&mut ada, 2);
    let chain = ada.membership(group, &someone(2));
    bob.open(&mut ada, group);
    bob.connect(&mut ada, &chain);
    let [carol] = members(&mut ada, group, [3]);
    let flood = |slot| wire::flood(slot, &[Bytes::from(vec![7; 100])]);
    let floods = |ada: &mut Ada, from: &Stranger, slot| {
        (0..limits::WORDS_SPARE + 1).for_each(|_| from.send(ada, flood(slot).bytes()));
        std::mem::take(&mut ada.events);
    };
    let bye = Refuse::because(Reason::Leaving, Vec::new());
    carol.send(&mut ada, wire::graph_message(kind::DISCONNECT, 2, &bye).bytes());
    floods(&mut ada, &carol, 2);
    let blamed = |ada: &Ada, who: &Stranger| {
        let excess = CloseReason::Misbehaved(Misbehaved::Excess);
        ada.closed.contains(&(who.link, excess))
    };
    assert!(!blamed(&ada, &carol), "they were on their way");
    let stranger = Stranger::honest(&mut ada, 4);
    floods(&mut ada, &stranger, 2);
    assert!(blamed(&ada, &stranger), "to a slot that never was");
    put_out(&mut ada, group, (&bob, 2), &chain);
    let bob = Stranger::honest(&mut ada, 2);
    bob.open(&mut ada, group);
    bob.connect(&mut ada, &chain);
    floods(&mut ada, &bob, 2);
    assert!(blamed(&ada, &bob), "as a member that was refused");
}

/// R18. Goal: only what carries records may be as long as a record is, whatever a decoder would make of it. Method: a
/// neighbour sends a flood that is as long as a payload, which is fine, and an acknowledgement of nothing that is.
#[test]
fn only_floods_are_as_long_as_records() {
    let mut ada = Ada::new();
    let group = ada.group();
    let [bob, carol] = members(&mut ada, group, [2, 3]);
    let send = |ada: &mut Ada, from: &Stranger, message: &[u8]| {
        let mut parts = message.chunks(limits::FRAME_BYTES_MAX - 1).peekable();
        while let Some(part) = parts.next() {
            let first = if parts.peek().is_some() { wire::PART } else { wire::LAST };
            let bytes = Bytes::from([&[first], part].concat());
            ada.handle(Input::Frame { link: from.link, bytes });
        }
    };
    let nothing = wire::graph_message(kind::ACK, 2, &wire::Ack { acks: Vec::new() });
    let ack = |bytes: usize| {
        let mut message = nothing.bytes().to_vec();
        message.resize(bytes, 0);
        message
    };
    send(&mut ada, &carol, &ack(limits::MESSAGE_OVERHEAD_BYTES_MAX));
    assert_eq!(ada.faults(), []);
    let long = vec![Bytes::from(vec![7; limits::PAYLOAD_BYTES_DEFAULT_MAX])];
    send(&mut ada, &bob, wire::flood(2, &long).bytes());
    let bad = Misbehaved::Record(crate::error::BadRecord::Encoding);
    assert_eq!(ada.faults(), [bad], "it was read as a record");
    send(&mut ada, &carol, &ack(limits::MESSAGE_OVERHEAD_BYTES_MAX + 1));
    assert_eq!(ada.faults(), [bad, Misbehaved::MessageTooLong]);
}
