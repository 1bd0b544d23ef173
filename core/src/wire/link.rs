//! Messages outside any graph: the handshake, and what a rendezvous node is asked for.
use super::Versions;
use crate::id::{Digest, GroupId, NodeId, NodeNonce};
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
    /// What the responder speaks. The initiator has said it in its [`Hello`].
    #[n(0)]
    pub(crate) versions: Option<Versions>,
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
