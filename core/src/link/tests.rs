//! Tests of what the other end of a link claims to be, and is not. A node here is a real one; who knocks at it is made by hand,
//! as a changed program would be.
#![allow(clippy::wildcard_enum_match_arm, reason = "tests look for one event among all")]
use super::*;
use crate::cert::{Certificate, encode_chain};
use crate::id::{Fingerprint, NodeNonce};
use crate::identity::{Domain, Identity};
use crate::invitation::{Invitation, InvitationKind, proof_message};
use crate::io::{
    Command, Event, GroupCommand, Input, Invite, Output, Reply, RequestId, StoreReply, StoreTask,
    Transport,
};
use crate::node::{Config, Node};
use crate::noise::{Channel, StaticKey};
use crate::policy::Policy;
use crate::source::Source;
use crate::time::WallTime;
use crate::wire::kind;
use crate::wire::{Connect, Open, Reason, Redeem, Refuse, Versions};
use std::net::Ipv4Addr;
use std::time::Duration;
use zeroize::Zeroizing;

mod copies;
mod crowded;
mod later;
mod paths;
mod refused;
mod rendezvous;
mod searches;
mod silent;
mod versions;

const NOW: WallTime = WallTime(1_800_000_000_000);
const YEAR: Duration = Duration::from_secs(31_536_000);

fn someone(n: u8) -> Identity {
    Identity::generate([n; 32], [n; 16], "someone", NOW).unwrap()
}

/// Ada's node, and what it said.
struct Ada {
    node: Node,
    now: Now,
    requests: u64,
    frames: Vec<Bytes>,
    opened: Vec<LinkId>,
    closed: Vec<(LinkId, CloseReason)>,
    look_ups: Vec<String>,
    events: Vec<Event>,
    replies: Vec<Reply>,
}

impl Ada {
    fn new() -> Self {
        Self::of(1)
    }

    /// The node of somebody else, who does what Ada does.
    fn of(n: u8) -> Self {
        let now = Now { mono: Time::ZERO, wall: NOW };
        let node = Node::new(Config::default(), someone(n), &[n; 32], now);
        let (frames, events, replies) = (Vec::new(), Vec::new(), Vec::new());
        let (opened, closed, look_ups) = (Vec::new(), Vec::new(), Vec::new());
        let requests = 0;
        let mut ada =
            Self { node, now, requests, frames, opened, closed, look_ups, events, replies };
        ada.drain();
        ada
    }

    fn drain(&mut self) {
        let mut stored = Vec::new();
        loop {
            match self.node.poll() {
                Output::Idle { .. } => break,
                Output::Send { bytes, .. } => self.frames.push(bytes),
                Output::Event(event) => self.events.push(event),
                Output::Done { result, .. } => self.replies.push(result.expect("ada may")),
                Output::Store { op, task } => {
                    let reply = match task {
                        StoreTask::Scan { .. } => StoreReply::Entries(Vec::new()),
                        StoreTask::Read { keys } => StoreReply::Values(vec![None; keys.len()]),
                        StoreTask::Write { .. } => StoreReply::Written,
                    };
                    stored.push((op, Ok(reply)));
                }
                Output::Open { link, .. } => self.opened.push(link),
                Output::LookUp(look_up) => self.look_ups.push(look_up.url),
                Output::StunServers(_) => {}
                Output::Close { link, reason } => self.closed.push((link, reason)),
                Output::Signal { .. } => {}
            }
        }
        for (op, result) in stored {
            self.handle(Input::Stored { op, result });
        }
    }

    fn handle(&mut self, input: Input) {
        self.node.handle(self.now, input);
        self.drain();
    }

    fn ask(&mut self, command: Command) -> Reply {
        self.requests += 1;
        self.handle(Input::Command { request: RequestId(self.requests), command });
        self.replies.pop().expect("it is answered")
    }

    fn group(&mut self) -> GroupId {
        let (name, policy) = ("talk".to_owned(), Policy::default());
        let Reply::Group(info) = self.ask(Command::CreateGroup { name, policy }) else {
            panic!("a group")
        };
        info.id
    }

    /// The membership of somebody else.
    fn membership(&mut self, group: GroupId, of: &Identity) -> Vec<Certificate> {
        self.membership_as(group, of, cert::Role::Member).0
    }

    /// The same with this role, and the invitation that brings it.
    fn membership_as(
        &mut self,
        group: GroupId,
        of: &Identity,
        role: cert::Role,
    ) -> (Vec<Certificate>, Invitation) {
        let invite = Invite::Bound { identity: of.certificate().clone(), grant: role.into() };
        let Reply::Invitation(invitation) =
            self.ask(Command::Group(group, GroupCommand::Invite { invite }))
        else {
            panic!("an invitation")
        };
        let InvitationKind::Bound { chain, .. } = &invitation.kind else { panic!("a bound one") };
        (chain.clone(), invitation)
    }

    /// The faults that she holds against who knocked.
    fn faults(&self) -> Vec<Misbehaved> {
        let faults = self.events.iter().filter_map(|event| match event {
            Event::PeerMisbehaved { fault, .. } => Some(*fault),
            _ => None,
        });
        faults.collect()
    }
}

/// The other end of a link to her.
struct Stranger {
    link: LinkId,
    handshake: Option<Handshake>,
    key: StaticKey,
    hash: [u8; 32],
}

impl Stranger {
    /// Opens a link, and takes the handshake to where it must say who it is.
    fn knock(ada: &mut Ada, n: u8) -> Self {
        Self::knock_with(ada, n, Ipv4Addr::LOCALHOST, Versions::OURS)
    }

    /// The same, from there.
    fn knock_from(ada: &mut Ada, n: u8, from: Ipv4Addr) -> Self {
        Self::knock_with(ada, n, from, Versions::OURS)
    }

    /// The same in these versions.
    fn knock_with(ada: &mut Ada, n: u8, from: Ipv4Addr, versions: Versions) -> Self {
        let channel = Channel::default();
        let key = StaticKey::new(Zeroizing::new([n; 32]), channel.curve);
        let (ours, theirs) = (Fingerprint::from_bytes([n; 32]), Fingerprint::from_bytes([1; 32]));
        let link = ada.node.new_link(Source::of(from.into()));
        let transport = Transport::Rtc { ours: theirs, theirs: ours };
        ada.handle(Input::LinkUp { link, transport });
        let transport = Transport::Rtc { ours, theirs };
        let ephemeral = Zeroizing::new([n + 100; 32]);
        let mut handshake = Handshake::new(true, transport, &key, ephemeral, &channel);
        let hello = handshake.write(&wire::encode(&Hello { versions }));
        let mut stranger = Self { link, handshake: None, key, hash: [0; 32] };
        stranger.send(ada, &hello);
        let answer = ada.frames.pop().expect("she answers");
        handshake.read(&answer[1..]).expect("she is honest");
        stranger.handshake = Some(handshake);
        stranger
    }

    fn send(&self, ada: &mut Ada, message: &[u8]) {
        let bytes = Bytes::from([&[wire::WHOLE], message].concat());
        ada.handle(Input::Frame { link: self.link, bytes });
    }

    /// Says who it is, and ends the handshake. Answers the message.
    fn introduce(&mut self, ada: &mut Ada, certificate: Vec<u8>, signature: Vec<u8>) -> Vec<u8> {
        self.introduce_instead(ada, certificate, signature, None)
    }

    /// The same on a link that takes the place of the one of that handshake.
    fn introduce_instead(
        &mut self,
        ada: &mut Ada,
        certificate: Vec<u8>,
        signature: Vec<u8>,
        instead: Option<[u8; 32]>,
    ) -> Vec<u8> {
        let mut handshake = self.handshake.take().expect("it was not ended");
        let message = handshake.write(&wire::encode(&Introduction {
            versions: None,
            certificate,
            signature,
            nonce: NodeNonce::default(),
            rendezvous: None,
            relay: None,
            instead,
        }));
        self.hash = handshake.finish().0;
        self.send(ada, &message);
        message
    }

    /// The same as whom it is.
    fn honest(ada: &mut Ada, n: u8) -> Self {
        Self::knock(ada, n).prove(ada, n)
    }

    fn prove(mut self, ada: &mut Ada, n: u8) -> Self {
        let identity = someone(n);
        let proof = self.proof(&identity);
        self.introduce(ada, identity.certificate().der().to_vec(), proof);
        assert_eq!(ada.faults(), []);
        self
    }

    /// The claim to be signed in this handshake by the end of this role.
    fn claim(&self, initiator: bool) -> Vec<u8> {
        let handshake = self.handshake.as_ref().expect("it is under way");
        noise::claim(initiator, &handshake.hash(), self.key.public())
    }

    /// The proof that `identity` is here.
    fn proof(&self, identity: &Identity) -> Vec<u8> {
        identity.sign(Domain::Handshake, &self.claim(true)).to_vec()
    }

    /// Opens the graph of a group, as who knows it.
    fn open(&self, ada: &mut Ada, group: GroupId) {
        let tag = wire::group_tag(group, &self.hash, true);
        self.send(ada, wire::graph_message(kind::OPEN, 2, &Open { tag }).bytes());
        let answer = ada.frames.last().expect("she answers");
        assert_eq!(answer[1], kind::OPENED.number());
    }

    fn connect(&self, ada: &mut Ada, chain: &[Certificate]) {
        let chain = encode_chain(chain);
        let connect =
            Connect { chain, addresses: Vec::new(), lonely: true, signature: None, times: None };
        self.send(ada, wire::graph_message(kind::CONNECT, 2, &connect).bytes());
    }
}

#[test]
fn anothers_certificate_without_its_key_is_no_proof_of_identity() {
    let (mut ada, bob, eve) = (Ada::new(), someone(2), someone(3));
    let mut stranger = Stranger::knock(&mut ada, 3);
    let own = stranger.proof(&eve);
    stranger.introduce(&mut ada, bob.certificate().der().to_vec(), own);
    assert_eq!(ada.faults(), [Misbehaved::IdentityProof]);
}

#[test]
fn anothers_proof_does_not_hold_on_another_channel() {
    let (mut ada, bob) = (Ada::new(), someone(2));
    let bobs = Stranger::knock(&mut ada, 2);
    let proof = bobs.proof(&bob);
    // Everybody bob ever spoke with has his certificate and this proof. A thief of his node's key has the key too.
    for key in [3, 2] {
        let mut stranger = Stranger::knock(&mut ada, key);
        stranger.introduce(&mut ada, bob.certificate().der().to_vec(), proof.clone());
        assert_eq!(ada.faults(), [Misbehaved::IdentityProof], "{key}");
        ada.events.clear();
    }
}

#[test]
fn key_of_a_node_alone_is_nobody() {
    // A claim that was signed before handshakes were bound to their hash: for all time, in either role.
    let (mut ada, bob) = (Ada::new(), someone(2));
    for n in 0..3 {
        let mut stranger = Stranger::knock(&mut ada, 2);
        let claim = match n {
            0 => stranger.key.public().to_vec(),
            // The other end's role: a proof that was asked of bob as responder does not make an initiator of anybody.
            1 => stranger.claim(false),
            // The hash of another moment.
            _ => noise::claim(true, &[0; 32], stranger.key.public()),
        };
        let proof = bob.sign(Domain::Handshake, &claim).to_vec();
        stranger.introduce(&mut ada, bob.certificate().der().to_vec(), proof);
        assert_eq!(ada.faults(), [Misbehaved::IdentityProof], "{n}");
        ada.events.clear();
    }
}

#[test]
fn clocks_that_are_years_apart_cost_no_handshake() {
    for years in [1, 40] {
        let mut ada = Ada::new();
        ada.now.wall = NOW.after(YEAR * years);
        Stranger::honest(&mut ada, 2);
    }
}

#[test]
fn ones_own_proof_that_comes_back_does_not_hold() {
    // A stranger that sends ada's own answer back to her on a second link is not taken for her.
    let mut ada = Ada::new();
    let link = ada.node.new_link(Source::of(Ipv4Addr::LOCALHOST.into()));
    ada.handle(Input::LinkUp { link, transport: Transport::WebSocket });
    let key = StaticKey::new(Zeroizing::new([2; 32]), Channel::default().curve);
    let hello = wire::encode(&Hello { versions: Versions::OURS });
    let begin = |n: u8| {
        let ephemeral = Zeroizing::new([n; 32]);
        Handshake::new(true, Transport::WebSocket, &key, ephemeral, &Channel::default())
    };
    let whole = |message: &[u8]| Bytes::from([&[wire::WHOLE], message].concat());
    let mut handshake = begin(7);
    ada.handle(Input::Frame { link, bytes: whole(&handshake.write(&hello)) });
    let answer = ada.frames.pop().expect("she answers");
    let payload = handshake.read(&answer[1..]).expect("she is honest");
    let hers: Introduction = wire::decode(&payload).expect("an introduction");
    let message = handshake.write(&wire::encode(&Introduction {
        nonce: NodeNonce::default(),
        versions: None,
        ..hers
    }));
    ada.handle(Input::Frame { link, bytes: whole(&message) });
    assert_eq!(ada.faults(), [Misbehaved::IdentityProof]);
}

#[test]
fn anothers_proof_for_another_purpose_does_not_hold() {
    let (mut ada, bob) = (Ada::new(), someone(2));
    let mut stranger = Stranger::knock(&mut ada, 3);
    for domain in [Domain::Record, Domain::Redemption, Domain::Application] {
        let proof = bob.sign(domain, &stranger.claim(true));
        stranger.introduce(&mut ada, bob.certificate().der().to_vec(), proof.to_vec());
        assert_eq!(ada.faults(), [Misbehaved::IdentityProof]);
        ada.events.clear();
        stranger = Stranger::knock(&mut ada, 3);
    }
}

#[test]
fn anothers_message_is_worthless_in_another_handshake() {
    let mut ada = Ada::new();
    let mut bobs = Stranger::knock(&mut ada, 2);
    let bob = someone(2);
    let proof = bobs.proof(&bob);
    let message = bobs.introduce(&mut ada, bob.certificate().der().to_vec(), proof);
    assert_eq!(ada.faults(), []);
    let replay = Stranger::knock(&mut ada, 2);
    replay.send(&mut ada, &message);
    assert_eq!(ada.faults(), [Misbehaved::Handshake]);
}

#[test]
fn identity_that_did_not_sign_itself_is_refused() {
    let (mut ada, bob) = (Ada::new(), someone(2));
    let mut stranger = Stranger::knock(&mut ada, 3);
    let mut der = bob.certificate().der().to_vec();
    *der.last_mut().unwrap() ^= 1;
    let proof = stranger.proof(&bob);
    stranger.introduce(&mut ada, der, proof);
    assert_eq!(ada.faults(), [Misbehaved::IdentityCertificate]);
    // A membership is no identity, though its owner signs.
    let mut ada = Ada::new();
    let group = ada.group();
    let chain = ada.membership(group, &bob);
    let mut stranger = Stranger::knock(&mut ada, 2);
    let proof = stranger.proof(&bob);
    let leaf = chain.last().unwrap().der().to_vec();
    stranger.introduce(&mut ada, leaf, proof);
    assert_eq!(ada.faults(), [Misbehaved::IdentityCertificate]);
}

#[test]
fn anothers_membership_does_not_connect() {
    let mut ada = Ada::new();
    let group = ada.group();
    let bobs = ada.membership(group, &someone(2));
    let eve = Stranger::honest(&mut ada, 3);
    eve.open(&mut ada, group);
    eve.connect(&mut ada, &bobs);
    assert_eq!(ada.faults(), [Misbehaved::Membership]);
}

#[test]
fn membership_of_another_group_does_not_connect() {
    let mut ada = Ada::new();
    let (group, other) = (ada.group(), ada.group());
    let bobs = ada.membership(other, &someone(2));
    let bob = Stranger::honest(&mut ada, 2);
    bob.open(&mut ada, group);
    bob.connect(&mut ada, &bobs);
    assert_eq!(ada.faults(), [Misbehaved::Membership]);
}

/// Goal: who knows a group only from another's link does not learn whether a node is in it. Method: the tag by which
/// bob asked, on eve's link.
#[test]
fn anothers_tag_opens_nothing_on_another_channel() {
    let mut ada = Ada::new();
    let group = ada.group();
    let bob = Stranger::honest(&mut ada, 2);
    bob.open(&mut ada, group);
    let tag = wire::group_tag(group, &bob.hash, true);
    let eve = Stranger::honest(&mut ada, 3);
    eve.send(&mut ada, wire::graph_message(kind::OPEN, 2, &Open { tag }).bytes());
    assert_eq!(ada.frames.last().map(|frame| frame[1]), Some(kind::NOT_OPENED.number()));
    assert_eq!(ada.faults(), []);
}

#[test]
fn anothers_redemption_does_not_hold() {
    let mut ada = Ada::new();
    let group = ada.group();
    let grant = cert::Role::Member.into();
    let invite = Invite::Bearer { grant, uses: 1, expires_in: YEAR / 2 };
    let Reply::Invitation(invitation) =
        ada.ask(Command::Group(group, GroupCommand::Invite { invite }))
    else {
        panic!("an invitation")
    };
    let InvitationKind::Bearer { secret, .. } = invitation.kind else { panic!("a bearer's") };
    let redeem = |n| {
        let (key, bob) = (secret.public_key(), someone(n));
        let proof = secret.prove(group, bob.peer_id()).to_vec();
        let message = proof_message(group, &key, bob.peer_id());
        let consent = bob.sign(Domain::Redemption, &message).to_vec();
        let invitation = key.as_bytes().to_vec();
        wire::graph_message(kind::REDEEM, 2, &Redeem { invitation, proof, consent })
    };
    let bob = Stranger::honest(&mut ada, 2);
    // A member to whom bob redeems it, by mistake or not, cannot use what he shows.
    let eve = Stranger::honest(&mut ada, 3);
    eve.open(&mut ada, group);
    eve.send(&mut ada, redeem(2).bytes());
    assert_eq!(ada.faults(), [Misbehaved::Redemption]);
    ada.events.clear();
    bob.open(&mut ada, group);
    bob.send(&mut ada, redeem(2).bytes());
    assert_eq!(ada.faults(), []);
    assert!(
        ada.frames.iter().any(|frame| frame[1] == kind::GRANTED.number()),
        "and a welcome behind it"
    );
}

#[test]
fn membership_that_has_ended_is_refused_and_nobody_is_blamed() {
    let mut ada = Ada::new();
    let group = ada.group();
    let bobs = ada.membership(group, &someone(2));
    // The tolerated skew apart, it ends after a year.
    for (span, stands) in [(YEAR, true), (Duration::from_secs(301), false)] {
        ada.now = Now { mono: ada.now.mono.after(span), wall: ada.now.wall.after(span) };
        ada.handle(Input::Timeout);
        let bob = Stranger::honest(&mut ada, 2);
        bob.open(&mut ada, group);
        bob.connect(&mut ada, &bobs);
        assert_eq!(ada.faults(), []);
        let graph = |frame: &&Bytes| frame.len() > 4 && frame[1] < kind::FIRST_OF_NODE;
        let answers: Vec<&Bytes> = ada.frames.iter().filter(graph).collect();
        if stands {
            assert!(answers.iter().any(|frame| frame[1] == kind::WELCOME.number()));
        } else {
            let last = answers.last().expect("she answers");
            assert_eq!(last[1], kind::REFUSE.number());
            let refuse: Refuse = wire::decode(&last[4..]).expect("she speaks the protocol");
            assert_eq!(refuse.reason, Reason::NotStanding);
            let up = |event: &Event| matches!(event, Event::Neighbour { up: true, .. });
            assert!(!ada.events.iter().any(up));
        }
        ada.handle(Input::LinkDown { link: bob.link });
        ada.frames.clear();
        ada.events.clear();
    }
}
