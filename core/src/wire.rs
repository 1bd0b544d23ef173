//! What travels on a link: frames, and the messages inside them.
//!
//! ```text
//! frame     1 byte  0 = whole message, 1 = first or middle part, 2 = last part
//!           rest    the message, or a part of it
//!
//! message   1 byte  kind, see [`Kind`]
//!           2 bytes slot, big endian: which graph of this link; only for kinds of 32 and above
//!           rest    body: CBOR, integer keys; words in a row for announcements, requests and signals
//! ```
//!
//! Before the handshake is complete a message is one of Noise's, without kind. On a link that a third party carries,
//! each frame is sealed after it. Unknown kinds and unknown fields are skipped, so that later versions can add both.
use crate::address::Address;
use crate::error::Misbehaved;
use crate::id::{Digest, GroupId, NodeId, NodeNonce, PeerId, PeerPrefix, RecordId};
use crate::identity::{Domain, PublicKey, Verify};
use crate::limits;
use crate::reconcile::Step;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use minicbor::{Decode, Decoder, Encode, Encoder};
use sha2::{Digest as _, Sha256};

/// Highest protocol version that we speak. Both ends use the lower of their highest ones.
pub(crate) const VERSION: u32 = 1;

/// First byte of a frame.
pub(crate) const WHOLE: u8 = 0;
pub(crate) const PART: u8 = 1;
pub(crate) const LAST: u8 = 2;

/// A message as it leaves on most links: whole, in one frame, with that frame's first byte before it.
#[derive(Clone)]
pub(crate) struct Message(Bytes);

impl Message {
    pub(crate) const PING: Self = Self(Bytes::from_static(&[WHOLE, kind::PING]));
    pub(crate) const PONG: Self = Self(Bytes::from_static(&[WHOLE, kind::PONG]));

    /// A message of the handshake, or any other that is encoded.
    pub(crate) fn of(encoded: &[u8]) -> Self {
        Self([&[WHOLE], encoded].concat().into())
    }

    /// The frame, if it is sent in one and unsealed.
    pub(crate) fn frame(&self) -> &Bytes {
        &self.0
    }

    /// What the other end takes it for.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0[1..]
    }
}

/// Kinds of message. Those from [`FIRST_OF_GRAPH`](kind::FIRST_OF_GRAPH) on carry a slot.
pub(crate) mod kind {
    pub(crate) const PING: u8 = 1;
    pub(crate) const PONG: u8 = 2;
    pub(crate) const SIT: u8 = 10;
    pub(crate) const SEATS: u8 = 11;
    pub(crate) const CARRY: u8 = 12;
    pub(crate) const RISE: u8 = 13;
    pub(crate) const FIRST_OF_GRAPH: u8 = 32;
    pub(crate) const OPEN: u8 = 32;
    pub(crate) const OPENED: u8 = 33;
    pub(crate) const NOT_OPENED: u8 = 34;
    pub(crate) const CONNECT: u8 = 35;
    pub(crate) const WELCOME: u8 = 36;
    pub(crate) const REFUSE: u8 = 37;
    pub(crate) const DISCONNECT: u8 = 38;
    pub(crate) const REDEEM: u8 = 39;
    pub(crate) const GRANTED: u8 = 40;
    pub(crate) const NOT_GRANTED: u8 = 41;
    pub(crate) const FLOOD: u8 = 42;
    pub(crate) const ACK: u8 = 43;
    pub(crate) const SYNC: u8 = 44;
    pub(crate) const WANT: u8 = 45;
    pub(crate) const SYNC_END: u8 = 46;
    pub(crate) const SIGNAL: u8 = 47;
    pub(crate) const GIVEN: u8 = 48;
    pub(crate) const ANNOUNCE: u8 = 49;
    pub(crate) const REQUEST: u8 = 50;
    pub(crate) const BEAT: u8 = 56;
    pub(crate) const ASK_PASSWORD: u8 = 57;
    pub(crate) const ANSWER_PASSWORD: u8 = 58;
    pub(crate) const PROVE_PASSWORD: u8 = 59;
    pub(crate) const DECLINE: u8 = 60;
    pub(crate) const LOOK: u8 = 61;
    pub(crate) const SHOWN: u8 = 62;

    /// A message that names no record is shorter: its kind, a slot, the short id of one.
    const RECORD_NAMED_BYTES: usize = 1 + 2 + 8;

    /// Whether there are as many messages like this as there are records, or steps of a sync.
    pub(crate) fn is_bulk(message: &[u8]) -> bool {
        let &[kind, ..] = message else { return false };
        matches!(kind, FLOOD | ACK | ANNOUNCE | REQUEST | DECLINE | SYNC | WANT | GIVEN | SYNC_END)
            && message.len() >= RECORD_NAMED_BYTES
    }
}

/// What an unsealed frame carries, for statistics: whether it is (the beginning of) a flood.
pub fn carries_records(frame: &[u8]) -> bool {
    matches!(frame, [WHOLE | PART, kind::FLOOD, ..])
}

/// What a kind of message is called, for statistics.
pub fn kind_name(kind: u8) -> &'static str {
    match kind {
        kind::PING => "ping",
        kind::PONG => "pong",
        kind::SIT => "sit",
        kind::SEATS => "seats",
        kind::CARRY => "carry",
        kind::RISE => "rise",
        kind::OPEN => "open",
        kind::OPENED => "opened",
        kind::NOT_OPENED => "not_opened",
        kind::CONNECT => "connect",
        kind::WELCOME => "welcome",
        kind::REFUSE => "refuse",
        kind::DISCONNECT => "disconnect",
        kind::REDEEM => "redeem",
        kind::GRANTED => "granted",
        kind::NOT_GRANTED => "not_granted",
        kind::FLOOD => "flood",
        kind::ACK => "ack",
        kind::SYNC => "sync",
        kind::WANT => "want",
        kind::SYNC_END => "sync_end",
        kind::SIGNAL => "signal",
        kind::GIVEN => "given",
        kind::ANNOUNCE => "announce",
        kind::REQUEST => "request",
        kind::BEAT => "beat",
        kind::ASK_PASSWORD => "ask password",
        kind::ANSWER_PASSWORD => "answer password",
        kind::PROVE_PASSWORD => "prove password",
        kind::DECLINE => "decline",
        kind::LOOK => "look",
        kind::SHOWN => "shown",
        _ => "other",
    }
}

/// First Noise message of the initiator, in clear: what it speaks.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Hello {
    #[n(0)]
    pub(crate) version: u32,
}

/// Payload of the second and third Noise message: who we are.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Introduction {
    #[n(0)]
    pub(crate) version: u32,
    /// Identity certificate, DER.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) certificate: Vec<u8>,
    /// By the identity, over what `noise::claim` says: role, handshake hash, Noise static key.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) signature: Vec<u8>,
    /// What the node's id is made of besides the peer id.
    #[n(3)]
    pub(crate) nonce: NodeNonce,
    /// Whether this node serves as rendezvous.
    #[n(4)]
    pub(crate) rendezvous: Option<bool>,
}

/// Takes, or keeps, a seat at a table.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Sit {
    #[n(0)]
    pub(crate) table: Digest,
    /// Which part of a broken graph the sender is in, if it is a contact: see [`part_of`].
    #[n(1)]
    pub(crate) part: Option<u64>,
}

/// Who else sits there: a random choice.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Seats {
    #[n(0)]
    pub(crate) table: Digest,
    #[n(1)]
    pub(crate) seats: Vec<u64>,
    /// Seats of contacts that are in another part than the receiver said.
    #[n(2)]
    pub(crate) apart: Option<Vec<u64>>,
}

/// A signal to, or from, another seat of a table.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Carry {
    #[n(0)]
    pub(crate) table: Digest,
    #[n(1)]
    pub(crate) seat: u64,
    /// Names the connection attempt; chosen by who offers.
    #[n(2)]
    pub(crate) attempt: u64,
    #[cbor(n(3), with = "minicbor::bytes")]
    pub(crate) signal: Vec<u8>,
}

/// Asks for a graph on this link; or says that it is there.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Open {
    #[n(0)]
    pub(crate) tag: Digest,
}

/// Asks to become a neighbour.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Connect {
    /// Membership chain, encoded.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) chain: Vec<u8>,
    /// Where the sender can be dialled.
    #[n(1)]
    pub(crate) addresses: Vec<Address>,
    /// Whether the sender has no neighbour: room is made for it.
    #[n(2)]
    pub(crate) lonely: bool,
    /// The graph signature as the sender sees it: room is made for who sees another.
    #[n(3)]
    pub(crate) signature: Option<NodeId>,
}

/// Accepts a neighbour.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Welcome {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) chain: Vec<u8>,
    #[n(1)]
    pub(crate) addresses: Vec<Address>,
    #[n(2)]
    pub(crate) referrals: Vec<Referral>,
    /// The sender's peer time, milliseconds.
    #[n(3)]
    pub(crate) peer_time: u64,
}

/// Refuses a neighbour, or ends a neighbourhood.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Refuse {
    #[n(0)]
    pub(crate) reason: Reason,
    #[n(1)]
    pub(crate) referrals: Vec<Referral>,
    /// With [`Reason::NotStanding`]: the records that say so.
    #[n(2)]
    pub(crate) proof: Vec<minicbor::bytes::ByteVec>,
    /// With the same: a membership of the other end that stands, in the place of the one that it showed.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub(crate) renewed: Option<Vec<u8>>,
    /// With [`Reason::NotAdmitted`]: for people, at most [`FRIENDLY_NAME_MAX`](limits::FRIENDLY_NAME_MAX) characters.
    #[n(4)]
    pub(crate) why: Option<String>,
    /// The membership of who refuses.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub(crate) chain: Option<Vec<u8>>,
}

impl Refuse {
    /// For a reason that says all.
    pub(crate) fn because(reason: Reason, referrals: Vec<Referral>) -> Self {
        Self { reason, referrals, proof: Vec::new(), renewed: None, why: None, chain: None }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(crate) enum Reason {
    /// As many neighbours as allowed.
    #[n(0)]
    Busy,
    /// The sender closes.
    #[n(1)]
    Leaving,
    /// Too many neighbours, and this one was the least useful.
    #[n(2)]
    LeastUseful,
    /// Another link joins the two nodes already.
    #[n(3)]
    Duplicate,
    /// The other end's membership was revoked, or has ended.
    #[n(4)]
    NotStanding,
    /// The sender's security provider does not let the other end in.
    #[n(5)]
    NotAdmitted,
    /// It cannot say yet.
    #[n(6)]
    PutOff,
}

/// A node that one might connect to.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Referral {
    #[n(0)]
    pub(crate) node: NodeId,
    #[n(1)]
    pub(crate) peer: PeerId,
    #[n(2)]
    pub(crate) addresses: Vec<Address>,
}

/// Redeems a bearer invitation.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Redeem {
    /// Public key of the invitation.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) invitation: Vec<u8>,
    /// By that key, over the group, itself and the sender's peer id.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) proof: Vec<u8>,
    /// By the sender's key, over the same.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) consent: Vec<u8>,
}

/// The answer: a membership.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Granted {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) chain: Vec<u8>,
}

/// The answer: none.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct NotGranted {
    /// Whether the invitation is at its end; else others may know more.
    #[n(0)]
    pub(crate) over: bool,
    /// Who could grant it, reachable through this link.
    #[n(1)]
    pub(crate) referrals: Vec<Referral>,
    /// Passwords were tried too often: how long to wait.
    #[n(2)]
    pub(crate) wait_ms: Option<u64>,
}

/// Asks what an invitation is about. See `group/preview.rs`.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Look {
    /// Public key of an invitation by link.
    #[n(0)]
    pub(crate) key: Option<PublicKey>,
    /// Record of one by password.
    #[n(1)]
    pub(crate) id: Option<RecordId>,
    #[n(2)]
    pub(crate) inviter: PeerPrefix,
}

/// The answer.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Shown {
    /// The sender's membership chain, encoded.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) chain: Vec<u8>,
    /// That of who signed the invitation.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) signer: Option<Vec<u8>>,
    /// The invitation, if it is open, and the properties of the group.
    #[n(2)]
    pub(crate) records: Vec<minicbor::bytes::ByteVec>,
    /// How often it was used.
    #[n(3)]
    pub(crate) used: u32,
}

/// Begins to prove a password. See `password.rs`.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct AskPassword {
    #[n(0)]
    pub(crate) invitation: RecordId,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) message: Vec<u8>,
}

/// The member's half.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct AnswerPassword {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) message: Vec<u8>,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) proof: Vec<u8>,
    /// Shows that the member is one.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) chain: Vec<u8>,
}

/// The newcomer's proof.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct ProvePassword {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) proof: Vec<u8>,
}

/// What became of flooded records.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Ack {
    #[n(0)]
    pub(crate) acks: Vec<AckOf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct AckOf {
    #[n(0)]
    pub(crate) id: RecordId,
    #[n(1)]
    pub(crate) version: u64,
    /// Whether it was new to the sender of this message.
    #[n(2)]
    pub(crate) useful: bool,
}

/// Names a version of a record: one that the sender holds or has asked for, or, where it asks, the one that is too old
/// (0 where it has none).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Announced {
    pub(crate) id: RecordId,
    pub(crate) version: u64,
}

impl Announced {
    pub(crate) const BYTES: usize = RecordId::BYTES + 8;
}

/// A step of the reconciliation of one class.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Sync {
    #[n(0)]
    pub(crate) class: u8,
    /// Whether this begins one.
    #[n(1)]
    pub(crate) first: bool,
    /// None where the sender finds nothing more to compare.
    #[n(2)]
    pub(crate) step: Option<Step>,
    /// Types of which the sender wants records first, in the first message of either end.
    #[n(3)]
    pub(crate) priorities: Option<Vec<String>>,
}

/// The holder of the graph signature lives.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Beat {
    #[n(0)]
    pub(crate) node: NodeId,
    /// Counts from 1 in each edition of its contact record.
    #[n(1)]
    pub(crate) number: u32,
    /// What hashes to the beat before.
    #[n(2)]
    pub(crate) value: Digest,
}

/// Asks for records by id, and by short id; they come as floods.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Want {
    #[n(0)]
    pub(crate) class: u8,
    #[n(1)]
    pub(crate) ids: Vec<RecordId>,
    /// 8 bytes each, little endian.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) shorts: Vec<u8>,
}

/// About a class: one [`Want`] of the receiver is answered ([`kind::GIVEN`]), or the sender wants and owes nothing
/// more ([`kind::SYNC_END`]).
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct OfClass {
    #[n(0)]
    pub(crate) class: u8,
    /// Whether it only says that what the receiver wanted first stands before it.
    #[n(1)]
    pub(crate) first: Option<bool>,
    /// At an end: whether the sender's disk refused records, so that it does not hold what it seemed to hold.
    #[n(2)]
    pub(crate) lacks: Option<bool>,
}

/// A connection signal, carried over the graph from node to node, and signed by the one that it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signal {
    pub(crate) from: NodeId,
    pub(crate) to: NodeId,
    pub(crate) attempt: u64,
    /// Counts the signals of one attempt and sender, so that copies are recognised.
    pub(crate) number: u32,
    pub(crate) hops: u8,
    pub(crate) origin: Origin,
    pub(crate) signal: Bytes,
}

/// What shows that a signal comes from the node that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The key of its identity.
    pub(crate) key: [u8; 32],
    pub(crate) nonce: NodeNonce,
    pub(crate) signature: [u8; 64],
}

impl Signal {
    /// What the origin signs, under its domain: everything but the hops.
    pub(crate) fn message(&self, group: GroupId) -> Vec<u8> {
        let Self { from, to, attempt, number, signal, .. } = self;
        let words = [from.0, to.0, *attempt].map(u64::to_be_bytes);
        [group.as_bytes(), &words.concat()[..], &number.to_be_bytes(), signal].concat()
    }

    /// Whether the node that it names signed it.
    pub(crate) fn is_genuine(&self, group: GroupId, verify: Verify) -> bool {
        let Some(key) = PublicKey::from_bytes(&self.origin.key) else { return false };
        let message = Domain::Signal.message(&self.message(group));
        self.from == NodeId::of(key.peer_id(), self.origin.nonce)
            && verify(&key, &message, &self.origin.signature)
    }
}

/// Encodes a signal: from, to and attempt (8 bytes each), number (4), hops (1), key (32), nonce (16), signature (64), then
/// the signal itself. Not CBOR, since where a graph has broken most messages are these, and most of these are copies that
/// are dropped for their name.
pub(crate) fn signal(slot: u16, signal: &Signal) -> Message {
    let Signal { from, to, attempt, number, hops, origin, signal } = signal;
    let [high, low] = slot.to_be_bytes();
    let mut bytes = Vec::with_capacity(4 + 29 + 112 + signal.len());
    bytes.extend_from_slice(&[WHOLE, kind::SIGNAL, high, low]);
    for word in [from.0, to.0, *attempt] {
        bytes.extend(word.to_be_bytes());
    }
    bytes.extend(number.to_be_bytes());
    bytes.push(*hops);
    bytes.extend_from_slice(&origin.key);
    bytes.extend_from_slice(origin.nonce.as_bytes());
    bytes.extend_from_slice(&origin.signature);
    bytes.extend_from_slice(signal);
    Message(bytes.into())
}

/// Takes a signal apart without copying it.
pub(crate) fn decode_signal(body: &Bytes) -> Result<Signal, Misbehaved> {
    let word = |bytes: &[u8; 8]| u64::from_be_bytes(*bytes);
    let read = || {
        let (from, rest) = body.split_first_chunk()?;
        let (to, rest) = rest.split_first_chunk()?;
        let (attempt, rest) = rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (&hops, rest) = rest.split_first()?;
        let (&key, rest) = rest.split_first_chunk()?;
        let (&nonce, rest) = rest.split_first_chunk()?;
        let (&signature, rest) = rest.split_first_chunk()?;
        Some(Signal {
            from: NodeId(word(from)),
            to: NodeId(word(to)),
            attempt: word(attempt),
            number: u32::from_be_bytes(*number),
            hops,
            origin: Origin { key, nonce: NodeNonce::from_bytes(nonce), signature },
            signal: body.slice_ref(rest),
        })
    };
    let signal = read().ok_or(Misbehaved::BadMessage)?;
    if signal.signal.len() > limits::SIGNAL_BYTES_MAX {
        return Err(Misbehaved::TooMuch);
    }
    Ok(signal)
}

/// Encodes an announcement: items of [`Announced::BYTES`], and one more byte if they are too large to be sent unasked.
/// Not CBOR, since there are more of these messages than of all others together.
pub(crate) fn announce(slot: u16, announced: &[Announced], large: bool) -> Message {
    packed(kind::ANNOUNCE, slot, items(announced).chain(large.then_some(1)))
}

fn items(announced: &[Announced]) -> impl Iterator<Item = u8> {
    announced.iter().flat_map(|Announced { id, version }| {
        id.as_bytes().iter().copied().chain(version.to_be_bytes())
    })
}

/// Takes an announcement apart: what is announced, and whether that is large. Later versions may add bytes.
pub(crate) fn decode_announce(
    body: &[u8],
) -> Result<(impl Iterator<Item = Announced>, bool), Misbehaved> {
    let (items, rest) = body.as_chunks::<{ Announced::BYTES }>();
    if items.len() > limits::PAGE_MAX {
        return Err(Misbehaved::TooMuch);
    }
    let announced = |item: &[u8; Announced::BYTES]| {
        let (&id, version) = item.split_first_chunk()?;
        let version = u64::from_be_bytes(version.try_into().ok()?);
        Some(Announced { id: RecordId::from_bytes(id), version })
    };
    Ok((items.iter().filter_map(announced), rest.first() == Some(&1)))
}

/// Encodes a request for what is newer than this; the records come as floods.
pub(crate) fn request(slot: u16, held: &[Announced]) -> Message {
    packed(kind::REQUEST, slot, items(held))
}

/// Encodes what the sender does not let in, by short ids: not to be given again before it is requested.
pub(crate) fn decline(slot: u16, shorts: &[u64]) -> Message {
    packed(kind::DECLINE, slot, shorts.iter().flat_map(|short| short.to_le_bytes()))
}

/// Takes it apart.
pub(crate) fn decode_decline(body: &[u8]) -> Result<impl Iterator<Item = u64>, Misbehaved> {
    let (shorts, _) = body.as_chunks();
    if shorts.len() > limits::PAGE_MAX {
        return Err(Misbehaved::TooMuch);
    }
    Ok(shorts.iter().map(|short| u64::from_le_bytes(*short)))
}

/// Takes a request apart. Later versions may add bytes.
pub(crate) fn decode_request(body: &[u8]) -> Result<impl Iterator<Item = Announced>, Misbehaved> {
    Ok(decode_announce(body)?.0)
}

fn packed(kind: u8, slot: u16, body: impl Iterator<Item = u8>) -> Message {
    let [high, low] = slot.to_be_bytes();
    Message([WHOLE, kind, high, low].into_iter().chain(body).collect::<Vec<u8>>().into())
}

/// Encodes a body, a payload, or anything else of ours.
pub(crate) fn encode(body: &impl Encode<()>) -> Vec<u8> {
    minicbor::to_vec(body).expect("a vector takes everything")
}

/// Encodes a message outside any graph.
pub(crate) fn message(kind: u8, body: &impl Encode<()>) -> Message {
    debug_assert!(kind < kind::FIRST_OF_GRAPH);
    let mut bytes = vec![WHOLE, kind];
    minicbor::encode(body, &mut bytes).expect("a vector takes everything");
    Message(bytes.into())
}

/// Encodes a message of a graph.
pub(crate) fn graph_message(kind: u8, slot: u16, body: &impl Encode<()>) -> Message {
    debug_assert!(kind >= kind::FIRST_OF_GRAPH);
    let [high, low] = slot.to_be_bytes();
    let mut bytes = vec![WHOLE, kind, high, low];
    minicbor::encode(body, &mut bytes).expect("a vector takes everything");
    Message(bytes.into())
}

/// Encodes a flood: an array of byte strings, each one record.
pub(crate) fn flood(slot: u16, records: &[Bytes]) -> Message {
    let size: usize = records.iter().map(|record| record.len() + 5).sum();
    let mut bytes = Vec::with_capacity(size + 9);
    let [high, low] = slot.to_be_bytes();
    bytes.extend_from_slice(&[WHOLE, kind::FLOOD, high, low]);
    let mut encoder = Encoder::new(&mut bytes);
    let array = encoder.array(records.len() as u64);
    array.expect("a vector takes everything");
    for record in records {
        encoder.bytes(record).expect("a vector takes everything");
    }
    Message(bytes.into())
}

/// Takes a flood apart without copying the records.
pub(crate) fn decode_flood(body: &Bytes) -> Result<Vec<Bytes>, Misbehaved> {
    let mut decoder = Decoder::new(body);
    let count = decoder.array().ok().flatten().ok_or(Misbehaved::BadMessage)?;
    let count = usize::try_from(count).map_err(|_| Misbehaved::TooMuch)?;
    if count > limits::PAGE_MAX {
        return Err(Misbehaved::TooMuch);
    }
    let mut records = Vec::with_capacity(count);
    for _ in 0..count {
        let record = decoder.bytes().map_err(|_| Misbehaved::BadMessage)?;
        records.push(body.slice_ref(record));
    }
    Ok(records)
}

/// Decodes the body of any other message.
pub(crate) fn decode<'b, T: Decode<'b, ()>>(body: &'b [u8]) -> Result<T, Misbehaved> {
    minicbor::decode(body).map_err(|_| Misbehaved::BadMessage)
}

/// Splits a graph message into its slot and body.
pub(crate) fn slot_of(message: &Bytes) -> Result<(u16, Bytes), Misbehaved> {
    let [_, high, low, ..] = message[..] else { return Err(Misbehaved::BadMessage) };
    Ok((u16::from_be_bytes([high, low]), message.slice(3..)))
}

/// What an end of a link says to show that it knows the group. Who does not know the group id learns nothing from it.
pub(crate) fn group_tag(group: GroupId, handshake_hash: &[u8; 32], opener: bool) -> Digest {
    let mut mac = Hmac::<Sha256>::new_from_slice(group.as_bytes()).expect("any length is a key");
    mac.update(if opener { b"peergraph open" } else { b"peergraph opened" });
    mac.update(handshake_hash);
    Digest::from_bytes(mac.finalize().into_bytes().into())
}

/// Where the members of a group meet at a rendezvous node, which learns from it only that they belong together.
pub(crate) fn table_of(group: GroupId) -> Digest {
    let mut hash = Sha256::new();
    hash.update(b"peergraph rendezvous\0");
    hash.update(group.as_bytes());
    Digest::from_bytes(hash.finalize().into())
}

/// Names a part of a broken graph to a rendezvous node: equal numbers are one part, and say nothing else.
pub(crate) fn part_of(group: GroupId, signature: NodeId) -> u64 {
    let mut mac = Hmac::<Sha256>::new_from_slice(group.as_bytes()).expect("any length is a key");
    mac.update(b"peergraph part");
    mac.update(&signature.0.to_be_bytes());
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(mac.finalize().into_bytes());
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announcements_and_requests_come_back_as_they_were_and_take_later_bytes() {
        let announced: Vec<Announced> = (0..3_u8)
            .map(|n| Announced {
                id: RecordId::from_bytes([n; 16]),
                version: u64::MAX - u64::from(n),
            })
            .collect();
        for large in [false, true] {
            let mut message = announce(0x0203, &announced, large).bytes().to_vec();
            assert_eq!(message.len(), 3 + 3 * Announced::BYTES + usize::from(large));
            let (decoded, is_large) = decode_announce(&message[3..]).unwrap();
            assert_eq!((decoded.collect::<Vec<_>>(), is_large), (announced.clone(), large));
            if large {
                message.extend([7, 7]);
                assert_eq!(decode_announce(&message[3..]).unwrap().0.count(), 3);
            }
        }
        let message = request(0x0203, &announced);
        let message = message.bytes();
        assert_eq!(message[..3], [kind::REQUEST, 2, 3]);
        assert_eq!(decode_request(&message[3..]).unwrap().collect::<Vec<_>>(), announced);
    }

    #[test]
    fn signals_come_back_as_they_were_and_nothing_shorter_does() {
        let signal = |bytes: usize| Signal {
            from: NodeId(u64::MAX - 1),
            to: NodeId(2),
            attempt: 3,
            number: u32::MAX - 4,
            hops: 5,
            origin: Origin {
                key: [7; 32],
                nonce: NodeNonce::from_bytes([8; 16]),
                signature: [9; 64],
            },
            signal: vec![6; bytes].into(),
        };
        let encoded = |signal: &Signal| super::signal(2, signal).frame().slice(4..);
        for bytes in [0, 1, limits::SIGNAL_BYTES_MAX] {
            let body = encoded(&signal(bytes));
            assert_eq!(decode_signal(&body), Ok(signal(bytes)));
        }
        let empty = encoded(&signal(0));
        for bytes in 0..empty.len() {
            assert_eq!(decode_signal(&empty.slice(..bytes)), Err(Misbehaved::BadMessage));
        }
        let long = encoded(&signal(limits::SIGNAL_BYTES_MAX + 1));
        assert_eq!(decode_signal(&long), Err(Misbehaved::TooMuch));
        let message = super::signal(0x0203, &signal(0));
        assert_eq!(message.bytes()[..3], [kind::SIGNAL, 2, 3]);
    }

    /// A signal is that of its node in its group only, whatever else is changed; how far it has come may be.
    #[test]
    fn signal_of_another_node_group_or_content_is_not_genuine() {
        use crate::identity::{Identity, verify};
        use crate::time::WallTime;
        let [bob, eve] = [1, 2].map(|n| {
            Identity::generate([n; 32], [n; 16], "who", WallTime(1_800_000_000_000)).unwrap()
        });
        let (group, nonce) = (GroupId::from_bytes([3; 32]), NodeNonce::from_bytes([4; 16]));
        let signed = |who: &Identity, from| {
            let key = *who.public_key().as_bytes();
            let origin = Origin { key, nonce, signature: [0; 64] };
            let signal = Bytes::from_static(b"offer");
            let mut signal =
                Signal { from, to: NodeId(5), attempt: 6, number: 7, hops: 0, origin, signal };
            signal.origin.signature = who.sign(Domain::Signal, &signal.message(group));
            signal
        };
        let good = signed(&bob, NodeId::of(bob.peer_id(), nonce));
        let genuine = |signal: &Signal| signal.is_genuine(group, verify);
        assert!(genuine(&good) && genuine(&Signal { hops: 9, ..good.clone() }));
        assert!(!good.is_genuine(GroupId::from_bytes([8; 32]), verify));
        assert!(!genuine(&signed(&eve, good.from)), "nobody has another's node id");
        let other = Origin { nonce: NodeNonce::default(), ..good.origin };
        for changed in [
            Signal { from: NodeId(1), ..good.clone() },
            Signal { to: NodeId(1), ..good.clone() },
            Signal { attempt: 1, ..good.clone() },
            Signal { number: 1, ..good.clone() },
            Signal { origin: other, ..good.clone() },
            Signal { signal: Bytes::from_static(b"answer"), ..good.clone() },
        ] {
            assert!(!genuine(&changed), "{changed:?}");
        }
    }

    #[test]
    fn more_ids_than_a_page_are_a_fault() {
        let bytes = vec![0; (limits::PAGE_MAX + 1) * Announced::BYTES];
        assert_eq!(decode_announce(&bytes).err(), Some(Misbehaved::TooMuch));
        assert_eq!(decode_request(&bytes).err(), Some(Misbehaved::TooMuch));
    }
}
