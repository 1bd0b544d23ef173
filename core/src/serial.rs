//! The types of the border, as [`serde`] writes and reads them: for hosts whose application runs in
//! another process.
//!
//! The types of [`io`](crate::io) derive it. Here are those that keep rules of their own: they travel in the form that
//! people know (text, DER, PEM), and are read by the same functions as anything from outside.
use crate::address::Address;
use crate::cert::Certificate;
use crate::id::{
    CertificateId, Digest, Fingerprint, GroupId, NodeId, NodeNonce, PeerId, PeerPrefix, RecordId,
    RootPin, Serial,
};
use crate::invitation::BearerSecret;
use crate::node_url::NodeUrl;
use crate::password::Password;
use crate::record_type::RecordType;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Ids and addresses: as people write them.
macro_rules! as_text {
    ($($name:ty),* $(,)?) => { $(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(D::Error::custom)
            }
        }
    )* };
}

as_text!(PeerId, GroupId, RecordId, CertificateId, Digest, Fingerprint, NodeId, NodeNonce, Serial);
as_text!(Address, NodeUrl, PeerPrefix, RootPin);

impl Serialize for RecordType {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for RecordType {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

impl Serialize for Certificate {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(self.der())
    }
}

impl<'de> Deserialize<'de> for Certificate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let der = bytes::Bytes::deserialize(from)?;
        Self::from_der(&der).map_err(D::Error::custom)
    }
}

impl Serialize for BearerSecret {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.as_bytes().serialize(to)
    }
}

impl<'de> Deserialize<'de> for BearerSecret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        <[u8; 16]>::deserialize(from).map(Self::from_bytes)
    }
}

impl Serialize for Password {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(from)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::IntoDeserializer;
    use serde::de::value::{Error as Broken, StrDeserializer};

    fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Broken> {
        let from: StrDeserializer<'a, Broken> = text.into_deserializer();
        T::deserialize(from)
    }

    #[test]
    fn what_keeps_rules_is_read_by_them() {
        let peer = PeerId::from_bytes([7; 32]);
        assert_eq!(read::<PeerId>(&peer.to_string()), Ok(peer));
        assert!(read::<PeerId>("abc").is_err());
        assert_eq!(
            read::<RecordType>("chat.message").map(|it| it.as_str().to_owned()),
            Ok("chat.message".to_owned())
        );
        assert!(read::<RecordType>("Chat message").is_err());
        assert!(read::<Password>("short").is_err());
        assert!(read::<Address>("rtc://nowhere").is_err());
    }
}
