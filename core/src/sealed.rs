//! Secrets in a store: sealed under the identity whose store it is.
//!
//! `Secrets` names everything secret that a store holds of a group. It is written in one sealed piece and in no other
//! way; what is not in that list is public among members, or is not stored. The key is derived from the secret key of the
//! identity. So a store is protected as its identity is: whoever copies a store without the identity has no secret of
//! it, and whoever has both has all of them.
//!
//! ```text
//! sealed = 24 bytes of nonce ‖ XChaCha20-Poly1305 of the secrets, bound to the place in which they stand
//! nonce  = HMAC(second key, place ‖ secrets): the same only for the same secrets, whatever a snapshot repeats
//! ```
//!
//! The keys are HMAC-SHA256 of two purposes under the identity's secret key, which never keys an
//! HMAC elsewhere. The sealed bytes show only how long the secrets are, and whether they changed.
use crate::id::RecordId;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{Key, KeyInit as _, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

/// Bytes of a nonce.
const NONCE_BYTES: usize = 24;

/// Why sealed secrets cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secrets in it were sealed by another identity, or are damaged")]
pub struct NotOpened;

/// The keys that seal and open the secrets of one identity's store.
pub(crate) struct Sealer {
    key: Zeroizing<[u8; 32]>,
    nonces: Zeroizing<[u8; 32]>,
}

impl Sealer {
    /// Derives the keys from a secret key.
    pub(crate) fn of(secret: &[u8; 32]) -> Self {
        let derive = |purpose: &[u8]| Zeroizing::new(hmac(secret, &[purpose]));
        Self { key: derive(b"peergraph store key"), nonces: derive(b"peergraph store nonce") }
    }

    /// Seals what stands at `place` in the store.
    pub(crate) fn seal(&self, place: &[u8], secrets: &[u8]) -> Vec<u8> {
        let length = (place.len() as u64).to_be_bytes();
        let hash = hmac(&self.nonces, &[&length, place, secrets]);
        let nonce: [u8; NONCE_BYTES] = *hash.first_chunk().expect("24 of 32 bytes");
        let sealed =
            self.cipher().encrypt(&XNonce::from(nonce), Payload { msg: secrets, aad: place });
        let sealed = sealed.expect("secrets are far below the limit of the cipher");
        [&nonce[..], &sealed].concat()
    }

    /// Opens what [`seal`](Self::seal) made for the same place.
    pub(crate) fn open(
        &self,
        place: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, NotOpened> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(NotOpened)?;
        let opened =
            self.cipher().decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: place });
        opened.map(Zeroizing::new).map_err(|_| NotOpened)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(*self.key))
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(…)")
    }
}

fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key).expect("a key of any length");
    parts.iter().fold(mac, |mac, part| mac.chain_update(part)).finalize().into_bytes().into()
}

/// All secrets that a store holds of one group.
#[derive(Default)]
pub(crate) struct Secrets {
    /// The group's own key, in its private form.
    pub(crate) group_key: Option<Zeroizing<Vec<u8>>>,
    /// The derived passwords of open invitations, by invitation.
    pub(crate) passwords: Vec<(RecordId, Zeroizing<[u8; 32]>)>,
    /// Keys that may become the group's own, or were: in their private form.
    pub(crate) spare_keys: Vec<Zeroizing<Vec<u8>>>,
}

impl Secrets {
    /// Whether there is nothing to seal.
    pub(crate) fn is_empty(&self) -> bool {
        self.group_key.is_none() && self.passwords.is_empty() && self.spare_keys.is_empty()
    }

    /// As CBOR: the key or an empty string, then pairs of an invitation and its bytes, then the spare keys if there are any.
    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // Room for all of it: a buffer that grows leaves copies of secrets behind.
        let key = self.group_key.as_ref().map_or(0, |key| key.len());
        let spare = self.spare_keys.iter().map(|key| key.len() + 9).sum::<usize>();
        let room = key + 32 + self.passwords.len() * 64 + spare;
        let mut encoder = minicbor::Encoder::new(Vec::with_capacity(room));
        self.write(&mut encoder).expect("a vector takes every byte");
        let bytes = Zeroizing::new(encoder.into_writer());
        debug_assert!(bytes.len() <= room);
        bytes
    }

    fn write(
        &self,
        encoder: &mut minicbor::Encoder<Vec<u8>>,
    ) -> Result<(), minicbor::encode::Error<std::convert::Infallible>> {
        encoder.array(if self.spare_keys.is_empty() { 2 } else { 3 })?;
        encoder.bytes(self.group_key.as_ref().map_or(&[], |key| &key[..]))?;
        encoder.array(2 * self.passwords.len() as u64)?;
        for (id, password) in &self.passwords {
            encoder.encode(id)?.bytes(&password[..])?;
        }
        if !self.spare_keys.is_empty() {
            encoder.array(self.spare_keys.len() as u64)?;
            for key in &self.spare_keys {
                encoder.bytes(key)?;
            }
        }
        Ok(())
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, NotOpened> {
        let mut decoder = minicbor::Decoder::new(bytes);
        let read = Self::read(&mut decoder).ok_or(NotOpened)?;
        if decoder.position() == bytes.len() { Ok(read) } else { Err(NotOpened) }
    }

    fn read(decoder: &mut minicbor::Decoder<'_>) -> Option<Self> {
        let parts = decoder.array().ok()?.filter(|parts| (2..=3).contains(parts))?;
        let key = decoder.bytes().ok()?;
        let group_key = (!key.is_empty()).then(|| Zeroizing::new(key.to_vec()));
        let mut passwords = Vec::new();
        for _ in 0..decoder.array().ok()?? / 2 {
            let id = decoder.decode().ok()?;
            let password = decoder.bytes().ok()?.try_into().ok()?;
            passwords.push((id, Zeroizing::new(password)));
        }
        let mut spare_keys = Vec::new();
        if parts == 3 {
            for _ in 0..decoder.array().ok()?? {
                spare_keys.push(Zeroizing::new(decoder.bytes().ok()?.to_vec()));
            }
        }
        Some(Self { group_key, passwords, spare_keys })
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secrets() -> Secrets {
        let passwords = (1..4).map(|n| (RecordId::from_bytes([n; 16]), Zeroizing::new([n; 32])));
        Secrets {
            group_key: Some(Zeroizing::new(vec![9; 40])),
            passwords: passwords.collect(),
            spare_keys: vec![Zeroizing::new(vec![8; 40]), Zeroizing::new(vec![7; 40])],
        }
    }

    #[test]
    fn secrets_round_trip_in_their_place_and_nowhere_else() {
        let (ours, others) = (Sealer::of(&[1; 32]), Sealer::of(&[2; 32]));
        let sealed = ours.seal(b"here", &secrets().to_bytes());
        let read = Secrets::from_bytes(&ours.open(b"here", &sealed).unwrap()).unwrap();
        assert_eq!(read.passwords, secrets().passwords);
        assert_eq!(read.group_key, secrets().group_key);
        assert_eq!(read.spare_keys, secrets().spare_keys);
        let few = Secrets { spare_keys: Vec::new(), ..secrets() };
        let read = Secrets::from_bytes(&few.to_bytes()).unwrap();
        assert_eq!((read.passwords, read.spare_keys.len()), (few.passwords, 0));
        assert_eq!(ours.open(b"there", &sealed), Err(NotOpened));
        assert_eq!(others.open(b"here", &sealed), Err(NotOpened));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(ours.open(b"here", &changed), Err(NotOpened), "{at}");
            assert_eq!(ours.open(b"here", &sealed[..at]), Err(NotOpened), "{at}");
        }
        let none = Secrets::default();
        assert!(none.is_empty() && Secrets::from_bytes(&none.to_bytes()).unwrap().is_empty());
    }

    #[test]
    fn a_nonce_comes_again_only_with_the_same_secrets_in_the_same_place() {
        let sealer = Sealer::of(&[1; 32]);
        let nonce =
            |place: &[u8], secrets: &[u8]| sealer.seal(place, secrets)[..NONCE_BYTES].to_vec();
        assert_eq!(sealer.seal(b"a", b"x"), sealer.seal(b"a", b"x"));
        assert_ne!(nonce(b"a", b"x"), nonce(b"a", b"y"));
        assert_ne!(nonce(b"a", b"x"), nonce(b"b", b"x"));
        assert_ne!(nonce(b"ab", b"x"), nonce(b"a", b"bx"), "place and secrets are apart");
    }

    proptest! {
        #[test]
        fn any_bytes_are_secrets_or_are_refused(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = Secrets::from_bytes(&bytes);
            prop_assert!(Sealer::of(&[1; 32]).open(b"", &bytes).is_err());
        }
    }
}
