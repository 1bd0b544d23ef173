//! Parts of a record, as [`serde`] writes and reads them.
use super::Beginning;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

impl Serialize for Beginning {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&self.to_bytes())
    }
}

impl<'de> Deserialize<'de> for Beginning {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let bytes = bytes::Bytes::deserialize(from)?;
        Self::from_bytes(&bytes).ok_or_else(|| D::Error::custom("not a beginning of a record"))
    }
}

/// The 64 bytes of a signature.
pub(crate) mod signature {
    use super::{Deserialize as _, Deserializer, Serializer};
    use serde::de::Error as _;

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8; 64], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 64], D::Error> {
        let bytes = bytes::Bytes::deserialize(from)?;
        bytes[..].try_into().map_err(|_| D::Error::custom("not the 64 bytes of a signature"))
    }
}
