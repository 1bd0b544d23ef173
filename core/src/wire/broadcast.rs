//! Broadcasts: messages of an application to all who are here, which nobody stores.
use super::{Message, WHOLE, encode, kind};
use crate::cert::VerifiedChain;
use crate::fault::Misbehaved;
use crate::id::{CertificateId, GroupId, NodeId, NodeNonce};
use crate::key::Domain;
use crate::limits;
use crate::verify::Claim;
use bytes::Bytes;
use minicbor::{Decode, Encode};

/// The content of a broadcast, which its sender signs as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Broadcast {
    /// With the peer of the certificate, it makes the id of the sender's node.
    #[n(0)]
    pub(crate) nonce: NodeNonce,
    /// Counts the broadcasts of that node in this group, from 1 on.
    #[n(1)]
    pub(crate) number: u64,
    /// When it was sent. Milliseconds of peer time.
    #[n(2)]
    pub(crate) sent: u64,
    /// The membership under which it was sent.
    #[n(3)]
    pub(crate) certificate: CertificateId,
    /// The name of its type.
    #[n(4)]
    pub(crate) kind: String,
    #[n(5)]
    #[cbor(with = "minicbor::bytes")]
    pub(crate) payload: Vec<u8>,
    /// The form of the payload, such as `application/json`, if its sender says so.
    #[n(6)]
    pub(crate) media_type: Option<String>,
}

/// A broadcast on its way: content and signature, as they came and as they go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Carried {
    content: Bytes,
    signature: [u8; 64],
}

impl Broadcast {
    /// Signs it for a group.
    pub(crate) fn signed(&self, group: GroupId, sign: impl FnOnce(&[u8]) -> [u8; 64]) -> Carried {
        let content = Bytes::from(encode(self));
        let signature = sign(&of_group(group, &content));
        Carried { content, signature }
    }
}

impl Carried {
    /// Reads its content, if nothing in that is too long.
    pub(crate) fn read(&self) -> Result<Broadcast, Misbehaved> {
        let read: Broadcast = super::decode(&self.content)?;
        let form = read.media_type.as_ref().map_or(0, String::len);
        let fits = read.payload.len() <= limits::BROADCAST_BYTES_MAX
            && read.kind.len() <= limits::TYPE_NAME_MAX
            && form <= limits::MEDIA_TYPE_MAX;
        if fits { Ok(read) } else { Err(Misbehaved::TooMuch) }
    }

    /// That the subject of a membership signed it.
    pub(crate) fn claim(&self, signer: &VerifiedChain) -> Claim {
        let message = Domain::Broadcast.message(&of_group(signer.group(), &self.content));
        Claim { key: signer.verifying_key(), message, signature: self.signature }
    }

    /// Its length on the wire.
    pub(crate) fn len(&self) -> usize {
        self.signature.len() + self.content.len()
    }
}

fn of_group(group: GroupId, content: &[u8]) -> Vec<u8> {
    [group.as_bytes(), content].concat()
}

/// Encodes a broadcast: its signature (64 bytes), then its content.
pub(crate) fn broadcast(slot: u16, carried: &Carried) -> Message {
    let [high, low] = slot.to_be_bytes();
    let head = [WHOLE, kind::BROADCAST.number(), high, low];
    Message([&head[..], &carried.signature, &carried.content].concat().into())
}

/// Takes a broadcast apart without copying it.
pub(crate) fn decode_broadcast(body: &Bytes) -> Result<Carried, Misbehaved> {
    let (&signature, content) = body.split_first_chunk().ok_or(Misbehaved::BadMessage)?;
    if content.len() > limits::BROADCAST_BYTES_MAX + limits::BROADCAST_HEAD_BYTES_MAX {
        return Err(Misbehaved::TooMuch);
    }
    Ok(Carried { content: body.slice_ref(content), signature })
}

/// Whether the broadcasts of some nodes are wanted of a neighbour. At most [`PAGE_MAX`](limits::PAGE_MAX).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Wishes {
    #[n(0)]
    pub(crate) of: Vec<Wish>,
}

/// Asks a neighbour not to pass on the broadcasts of a node, since they come by another way, or to do so again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Wish {
    /// The sender of the broadcasts.
    #[n(0)]
    pub(crate) node: NodeId,
    /// Whether they are wanted.
    #[n(1)]
    pub(crate) wanted: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(payload: usize) -> Broadcast {
        Broadcast {
            nonce: NodeNonce::from_bytes([1; 16]),
            number: 2,
            sent: 3,
            certificate: CertificateId::default(),
            kind: "cursor".to_owned(),
            payload: vec![4; payload],
            media_type: Some("application/json".to_owned()),
        }
    }

    #[test]
    fn broadcast_comes_back_as_it_was() {
        let said = content(limits::BROADCAST_BYTES_MAX);
        let carried = said.signed(GroupId::from_bytes([5; 32]), |_| [6; 64]);
        let body = broadcast(7, &carried).frame().slice(4..);
        let read = decode_broadcast(&body).unwrap();
        assert_eq!((read.read(), &read), (Ok(said), &carried));
    }

    #[test]
    fn broadcast_that_is_too_long_or_too_short_is_none() {
        let group = GroupId::from_bytes([5; 32]);
        let long = content(limits::BROADCAST_BYTES_MAX + 1).signed(group, |_| [0; 64]);
        assert_eq!(long.read(), Err(Misbehaved::TooMuch));
        let named = Broadcast { kind: "x".repeat(limits::TYPE_NAME_MAX + 1), ..content(1) };
        assert_eq!(named.signed(group, |_| [0; 64]).read(), Err(Misbehaved::TooMuch));
        let form = Some("x".repeat(limits::MEDIA_TYPE_MAX + 1));
        let formed = Broadcast { media_type: form, ..content(1) };
        assert_eq!(formed.signed(group, |_| [0; 64]).read(), Err(Misbehaved::TooMuch));
        let most = limits::BROADCAST_BYTES_MAX + limits::BROADCAST_HEAD_BYTES_MAX;
        for (bytes, said) in [(63, Misbehaved::BadMessage), (64 + most + 1, Misbehaved::TooMuch)] {
            assert_eq!(decode_broadcast(&vec![0; bytes].into()).err(), Some(said));
        }
    }
}
