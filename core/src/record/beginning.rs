//! The proof that the creator of a record made it.
use crate::id::Digest;
use crate::key::PublicKey;
use crate::time::WallTime;
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

/// The creator's signature under a version of a record, and what it covers besides the fields that every version has:
/// id, type, creator and time of creation. The changes of others carry it, and are changes of that version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// The creator's key.
    pub key: PublicKey,
    /// Which version of the creator it is: the base of every change that carries it.
    pub version: u64,
    /// Bytes of that version, all told.
    pub size: u32,
    /// When the record was to end, as its creator wanted it.
    pub expires: WallTime,
    /// Digest of the other fields of that version.
    pub rest: Digest,
    /// The creator's signature.
    pub signature: [u8; 64],
}

impl Beginning {
    /// Encoded bytes.
    pub const BYTES: usize = 148;

    /// Key, version, end and size (big-endian), rest and signature, one after another.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let [version, end] = [self.version, self.expires.0].map(u64::to_be_bytes);
        let size = self.size.to_be_bytes();
        let (rest, signature) = (self.rest.as_bytes(), &self.signature);
        let parts = [&self.key.as_bytes()[..], &version, &end, &size, rest, signature];
        let mut bytes = parts.into_iter().flatten();
        std::array::from_fn(|_| bytes.next().copied().unwrap_or_default())
    }

    /// The same read. `None` for another length, or a key that is none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (key, rest) = bytes.split_first_chunk()?;
        let (version, rest) = rest.split_first_chunk()?;
        let (end, rest) = rest.split_first_chunk()?;
        let (size, rest) = rest.split_first_chunk()?;
        let (digest, signature) = rest.split_first_chunk()?;
        Some(Self {
            key: PublicKey::from_bytes(key)?,
            version: u64::from_be_bytes(*version),
            size: u32::from_be_bytes(*size),
            expires: WallTime(u64::from_be_bytes(*end)),
            rest: Digest::from_bytes(*digest),
            signature: signature.try_into().ok()?,
        })
    }

    /// The version alone, behind the key.
    pub(super) fn peek_version(bytes: &[u8]) -> Option<u64> {
        let (version, _) = bytes.get(32..)?.split_first_chunk()?;
        Some(u64::from_be_bytes(*version))
    }
}

impl<C> Encode<C> for Beginning {
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        e.bytes(&self.to_bytes())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Beginning {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        Self::from_bytes(d.bytes()?).ok_or_else(|| decode::Error::message("not a beginning"))
    }
}
