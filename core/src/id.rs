//! Names of things: newtypes over bytes, with a short `Debug` and a full `Display`.
use data_encoding::{Encoding, Specification};
use sha2::{Digest as _, Sha256};
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

/// RFC 4648 base32, lower case, no padding: names that survive being read aloud.
static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut spec = Specification::new();
    spec.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    spec.translate.from.push_str("ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    spec.translate.to.push_str("abcdefghijklmnopqrstuvwxyz");
    spec.encoding().expect("the alphabet has 32 distinct symbols")
});

/// Text that is not an id of the expected length in lower-case base32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected {expected} characters of base32 (a-z, 2-7)")]
pub struct ParseIdError {
    /// How many characters an id of this kind has.
    pub expected: usize,
}

macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident, $len:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
        pub struct $name([u8; $len]);

        impl Ord for $name {
            /// The order of the bytes, word by word: ids are the keys of most maps, and a call for each comparison is a
            /// twentieth of a busy node's time.
            fn cmp(&self, other: &Self) -> Ordering {
                let (ours, _) = self.0.as_chunks::<8>();
                let (theirs, _) = other.0.as_chunks::<8>();
                let word = |bytes: &[u8; 8]| u64::from_be_bytes(*bytes);
                ours.iter().map(word).cmp(theirs.iter().map(word))
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        const _: () = assert!($len % 8 == 0, "the order compares whole words");

        impl $name {
            /// Bytes of an id.
            pub const BYTES: usize = $len;

            /// Wraps raw bytes.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The raw bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&BASE32.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let [a, b, c, ..] = self.0;
                write!(f, concat!(stringify!($name), "({:02x}{:02x}{:02x})"), a, b, c)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let error = ParseIdError { expected: ($len * 8_usize).div_ceil(5) };
                let bytes = BASE32.decode(text.as_bytes()).map_err(|_| error)?;
                Ok(Self(bytes.try_into().map_err(|_| error)?))
            }
        }

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.bytes(&self.0)?.ok()
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(
                d: &mut minicbor::Decoder<'b>,
                _: &mut C,
            ) -> Result<Self, minicbor::decode::Error> {
                let bytes = d.bytes()?.try_into();
                Ok(Self(bytes.map_err(|_| minicbor::decode::Error::message("wrong id length"))?))
            }
        }
    };
}

byte_id! {
    /// An identity: SHA-256 of its SubjectPublicKeyInfo. Shown as 52 lower-case base32 characters.
    PeerId, 32
}
byte_id! {
    /// A group: the peer id of the group's own key.
    GroupId, 32
}
byte_id! {
    /// A record: 24 bits of the creator's peer id, 40 random, 64 of a hash of these, the whole peer id and the
    /// record's type. So nobody takes another's id, and no record becomes one of another type.
    RecordId, 16
}
byte_id! {
    /// Serial number of a certificate: 16 bytes that its issuer chose. It decides nothing.
    Serial, 16
}
byte_id! {
    /// A certificate: SHA-256 of its DER. Nobody chooses it. All 32 bytes, since with 16 an issuer could in 2^64 tries
    /// make two certificates of one name, about which nodes that heard of either first would disagree.
    ///
    /// A membership names the certificate above it in the same way, so that its own name stands for its whole chain.
    CertificateId, 32
}
byte_id! {
    /// The part of a node's id besides its peer id: 16 fresh random bytes at each open. Shown with
    /// it.
    NodeNonce, 16
}
byte_id! {
    /// SHA-256 of a DTLS certificate in DER.
    Fingerprint, 32
}
byte_id! {
    /// SHA-256 of some content.
    Digest, 32
}
byte_id! {
    /// The first half of a peer id, where the whole takes too much room. To make an identity that has a given one takes
    /// 2^128 tries.
    PeerPrefix, 16
}
byte_id! {
    /// The first half of the SHA-256 of a group's root certificate in DER: what a newcomer knows of it beforehand. To make
    /// another root that has a given one takes 2^128 tries; for the owner of the group as well.
    RootPin, 16
}

impl PeerPrefix {
    /// That of a peer.
    pub fn of(peer: PeerId) -> Self {
        Self(*peer.0.first_chunk().expect("16 of 32 bytes"))
    }
}

impl RootPin {
    /// That of a root certificate in DER.
    pub fn of(der: &[u8]) -> Self {
        Self(*Digest::of(der).0.first_chunk().expect("16 of 32 bytes"))
    }
}

impl Digest {
    /// SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Its first 8 bytes as a number.
    pub(crate) fn short(&self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|i| self.0[i]))
    }
}

impl RecordId {
    /// Bits of `random` that an id has room for, the lower ones.
    pub const RANDOM_BITS: u32 = 40;

    /// The id of a record of type `kind` that `creator` makes. Of one creator and type, ids are in the order of `random`.
    pub fn new(creator: PeerId, kind: &str, random: u64) -> Self {
        let [.., a, b, c, d, e] = random.to_be_bytes();
        Self::bound([a, b, c, d, e], creator, kind)
    }

    fn bound(random: [u8; 5], creator: PeerId, kind: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(creator.0);
        hash.update(random);
        hash.update(kind);
        let mut bytes = [0; 16];
        bytes[..3].copy_from_slice(&creator.0[..3]);
        bytes[3..8].copy_from_slice(&random);
        bytes[8..].copy_from_slice(&hash.finalize()[..8]);
        Self(bytes)
    }

    /// Whether a record of type `kind` by `creator` may have this id.
    pub fn fits(&self, creator: PeerId, kind: &str) -> bool {
        let [_, _, _, a, b, c, d, e, ..] = self.0;
        *self == Self::bound([a, b, c, d, e], creator, kind)
    }

    /// The random part of the id, from which it is made together with creator and type.
    pub fn random(&self) -> u64 {
        let [_, _, _, a, b, c, d, e, ..] = self.0;
        u64::from_be_bytes([0, 0, 0, a, b, c, d, e])
    }

    /// The part that is the same in all ids of one creator, and now and then in those of two.
    pub fn creator_bits(&self) -> [u8; 3] {
        let [a, b, c, ..] = self.0;
        [a, b, c]
    }
}

impl From<PeerId> for GroupId {
    fn from(id: PeerId) -> Self {
        Self(id.0)
    }
}

impl From<GroupId> for PeerId {
    fn from(id: GroupId) -> Self {
        Self(id.0)
    }
}

/// One running instance of an identity: 64 bits of a hash of the peer id and a fresh nonce. Another identity's node has this
/// id after 2^64 tries, so that a node id stands for both. The lowest one in a connected graph is the graph's signature.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode,
)]
#[cbor(transparent)]
pub struct NodeId(#[n(0)] pub u64);

impl NodeId {
    /// The id of the node that `peer` opened with this nonce.
    pub fn of(peer: PeerId, nonce: NodeNonce) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"peergraph node\0");
        hash.update(peer.0);
        hash.update(nonce.0);
        Self(Digest(hash.finalize().into()).short())
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({:06x})", self.0 >> 40)
    }
}

impl FromStr for NodeId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_of_a_peer_id_round_trips_in_52_characters() {
        let id = PeerId::from_bytes(std::array::from_fn(|i| i as u8 * 7));
        let text = id.to_string();
        assert_eq!(text.len(), 52);
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(text.to_uppercase().parse(), Ok(id));
        assert_eq!("abc".parse::<PeerId>(), Err(ParseIdError { expected: 52 }));
    }

    #[test]
    fn record_id_is_bound_to_its_creator_and_type() {
        let mut near = [1; 32];
        near[31] = 2;
        let (a, b) = (PeerId::from_bytes([1; 32]), PeerId::from_bytes(near));
        let id = RecordId::new(a, "note", 5);
        assert!(id.fits(a, "note"));
        assert!(!id.fits(b, "note") && !id.fits(a, "picture"));
        assert_eq!(id.creator_bits(), RecordId::new(b, "picture", 6).creator_bits());
        assert!(id < RecordId::new(a, "note", 6), "in the order in which they were made");
    }
}
