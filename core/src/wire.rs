//! The wire format of a link: frames, and the messages inside them.
//!
//! ```text
//! frame     1 byte  0 = whole message, 1 = first or middle part, 2 = last part
//!           rest    the message, or a part of it
//!
//! message   1 byte  kind, see `kind.rs`
//!           2 bytes slot, big endian: which graph of this link; only for kinds of a graph, those below 128
//!           rest    body: CBOR, integer keys; words in a row for announcements, requests and signals
//! ```
//!
//! Before the handshake is complete a message is one of Noise's, without kind. On a link that a third party carries,
//! each frame is sealed after it.
//!
//! **Later versions may add** these without being asked: kinds of message, fields, bytes behind a body, reasons of a
//! refusal or a revocation, kinds of address. All of these are skipped, and nobody is blamed. A *known* kind that the
//! state of its link or graph does not allow is [`Misbehaved::Unexpected`].
//!
//! The kinds of message stand in `kind.rs`, what is in them in `link.rs` (outside any graph), `direct.rs` (between two nodes), `graph.rs` (neighbours),
//! `joining.rs` (newcomers), `records.rs`, `relay.rs` and `signal.rs`. Which version two ends speak is the matter of `version.rs`.
pub(crate) use crate::cbor::encode;
use crate::fault::Misbehaved;
use bytes::Bytes;
use minicbor::{Decode, Encode};

mod broadcast;
mod direct;
mod graph;
mod joining;
pub mod kind;
mod link;
mod records;
mod relay;
mod signal;
mod version;

pub(crate) use broadcast::*;
pub(crate) use direct::*;
pub(crate) use graph::*;
pub(crate) use joining::*;
use kind::Kind;
pub use kind::{carries_records, kind_name};
pub(crate) use link::*;
pub(crate) use records::*;
pub(crate) use relay::*;
pub(crate) use signal::*;
pub use version::Versions;

/// First byte of a frame.
pub(crate) const WHOLE: u8 = 0;
pub(crate) const PART: u8 = 1;
pub(crate) const LAST: u8 = 2;

/// A message as it leaves on most links: whole, in one frame, with that frame's first byte before it.
#[derive(Clone)]
pub(crate) struct Message(Bytes);

impl Message {
    pub(crate) const PING: Self = Self(Bytes::from_static(&[WHOLE, kind::PING.number()]));
    pub(crate) const PONG: Self = Self(Bytes::from_static(&[WHOLE, kind::PONG.number()]));

    /// A message of the handshake, or any other that is encoded.
    pub(crate) fn of(encoded: &[u8]) -> Self {
        Self([&[WHOLE], encoded].concat().into())
    }

    /// The frame, if it is sent in one and unsealed.
    pub(crate) fn frame(&self) -> &Bytes {
        &self.0
    }

    /// The bytes that the other end reads.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0[1..]
    }
}

/// Encodes a message outside any graph.
pub(crate) fn message(kind: Kind, body: &impl Encode<()>) -> Message {
    debug_assert!(!kind.is_of_graph());
    let mut bytes = vec![WHOLE, kind.number()];
    minicbor::encode(body, &mut bytes).expect("a vector takes everything");
    Message(bytes.into())
}

/// Encodes a message of a graph.
pub(crate) fn graph_message(kind: Kind, slot: u16, body: &impl Encode<()>) -> Message {
    debug_assert!(kind.is_of_graph());
    let [high, low] = slot.to_be_bytes();
    let mut bytes = vec![WHOLE, kind.number(), high, low];
    minicbor::encode(body, &mut bytes).expect("a vector takes everything");
    Message(bytes.into())
}

/// Decodes the body of any other message.
pub(crate) fn decode<'b, T: Decode<'b, ()>>(body: &'b [u8]) -> Result<T, Misbehaved> {
    minicbor::decode(body).map_err(|_| Misbehaved::BadMessage)
}

/// Splits a graph message into its slot and body.
pub(crate) fn slot_of(message: &Bytes) -> Result<(u16, Bytes), Misbehaved> {
    let slot = slot_in(message).ok_or(Misbehaved::BadMessage)?;
    Ok((slot, message.slice(3..)))
}

/// The slot of a graph message.
pub(crate) fn slot_in(message: &[u8]) -> Option<u16> {
    let [_, high, low, ..] = *message else { return None };
    Some(u16::from_be_bytes([high, low]))
}
