//! Messages outside any graph: the handshake, and what a rendezvous node is asked for.
use super::Versions;
use crate::id::{Digest, GroupId, NodeId, NodeNonce, PeerId};
use hmac::{Hmac, KeyInit as _, Mac as _};
use minicbor::{Decode, Encode};
use sha2::{Digest as _, Sha256};

/// First Noise message of the initiator, in clear: what it speaks.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Hello {
    #[n(0)]
    pub(crate) versions: Versions,
}

/// Payload of the second and third Noise message: who we are.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Introduction {
    /// The versions that the responder speaks. The initiator has said it in its [`Hello`].
    #[n(0)]
    pub(crate) versions: Option<Versions>,
    /// Identity certificate, DER.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) certificate: Vec<u8>,
    /// By the identity, over what `noise::claim` says: role, handshake hash, Noise static key.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) signature: Vec<u8>,
    /// The nonce of which the node's id is made besides the peer id.
    #[n(3)]
    pub(crate) nonce: NodeNonce,
    /// Whether this node serves as rendezvous.
    #[n(4)]
    pub(crate) rendezvous: Option<bool>,
    /// Whether this node relays for the other end.
    #[n(5)]
    pub(crate) relay: Option<bool>,
    /// The handshake of an earlier link to the same node, which the initiator has lost, or which does not answer it. This link
    /// takes its place.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub(crate) instead: Option<[u8; 32]>,
}

/// A table of a rendezvous node, as one that sits there names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Table {
    #[n(0)]
    pub(crate) name: Digest,
    /// Which part of a broken graph the sender is in, if it is a contact: see [`part_of`].
    #[n(1)]
    pub(crate) part: Option<u64>,
}

/// Takes a seat at some tables of one group, or keeps the seat that one of them has, at these.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Sit {
    /// At most [`TABLES_PER_SEAT_MAX`](crate::limits::TABLES_PER_SEAT_MAX). The first one names the seat.
    #[n(0)]
    pub(crate) tables: Vec<Table>,
}

/// Tells who else sits at those tables: a random choice.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Seats {
    /// The first table of the question.
    #[n(0)]
    pub(crate) table: Digest,
    #[n(1)]
    pub(crate) seats: Vec<u64>,
    /// Seats of contacts that are in another part than the receiver said.
    #[n(2)]
    pub(crate) apart: Option<Vec<u64>>,
    /// The time that the clock of the rendezvous node shows.
    #[n(3)]
    pub(crate) clock: u64,
}

/// Frees a seat: its holder needs it no longer, or the rendezvous node gives it to another.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Rise {
    /// A table at which that seat is.
    #[n(0)]
    pub(crate) table: Digest,
}

/// A signal to, or from, another seat of a table.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Carry {
    /// A table at which the one that sends or gets this has its own seat.
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

/// Where the members of a group meet at a rendezvous node in one [period](crate::reach::sitting). Nobody else can tell that
/// two tables, of two nodes or of two periods, are of one group.
pub(crate) fn table_of(group: GroupId, rendezvous: PeerId, period: u64) -> Digest {
    let mut hash = Sha256::new();
    hash.update(b"peergraph rendezvous\0");
    hash.update(group.as_bytes());
    hash.update(rendezvous.as_bytes());
    hash.update(period.to_be_bytes());
    Digest::from_bytes(hash.finalize().into())
}

/// Names a part of a broken graph to those who sit at a table: equal numbers are one part, and say nothing else, nor
/// anything at another table.
pub(crate) fn part_of(group: GroupId, table: Digest, signature: NodeId) -> u64 {
    let mut mac = Hmac::<Sha256>::new_from_slice(group.as_bytes()).expect("any length is a key");
    mac.update(b"peergraph part");
    mac.update(table.as_bytes());
    mac.update(&signature.0.to_be_bytes());
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(mac.finalize().into_bytes());
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}
