//! Keys, and what a signature is for. Secret halves never leave this module but to be stored.
//!
//! Every signature says what it is for: the signed bytes are the name of a [`Domain`], a zero byte, and the
//! message, so that a signature made for one purpose is worthless for another. The one exception is X.509,
//! where DER is signed as it stands; it begins with `0x30`, and no domain name does.
//!
//! A [`KeyPair`] is one of an identity or of a group; a [`GroupKey`] is a group's own, and only its owner has it. The
//! form in which both are stored is in `key/stored.rs`.
use crate::id::{GroupId, PeerId};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use std::fmt;
use zeroize::Zeroizing;

mod stored;

pub use stored::IdentityError;
pub(crate) use stored::Stored;

/// How signatures are checked, those of records excepted ([`VerifyAll`](crate::verify::VerifyAll)): [`verify`], or a function that remembers what it has checked, so that one
/// process that runs thousands of nodes checks each signature once.
pub type Verify = fn(&PublicKey, &[u8], &[u8; 64]) -> bool;

/// Whether `signature` is `key`'s over `message`. Strict: weak keys and malleable signatures are refused.
pub fn verify(key: &PublicKey, message: &[u8], signature: &[u8; 64]) -> bool {
    key.decoded().verify_strict(message, &Signature::from_bytes(signature)).is_ok()
}

/// A SubjectPublicKeyInfo of Ed25519 without its last 32 bytes, the key. Source: RFC 8410 §4.
pub(crate) const SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0];

/// An Ed25519 public key. 32 bytes that are a point of the curve, not one of the few weak ones.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Takes 32 bytes if they are a usable key.
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        Self::decode(bytes).map(|(key, _)| key)
    }

    /// The same, with the point that it stands for.
    pub(crate) fn decode(bytes: &[u8; 32]) -> Option<(Self, VerifyingKey)> {
        let point = VerifyingKey::from_bytes(bytes).ok()?;
        (!point.is_weak()).then_some((Self(*bytes), point))
    }

    /// The raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether this key's owner made `signature` over `message` with
    /// [`Identity::sign_message`](crate::identity::Identity::sign_message).
    pub fn signed(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        verify(self, &Domain::Application.message(message), signature)
    }

    /// The point that it stands for, for many checks.
    pub(crate) fn decoded(&self) -> VerifyingKey {
        VerifyingKey::from_bytes(&self.0).expect("only bytes of a point become a key")
    }

    /// SHA-256 of the key's SubjectPublicKeyInfo in DER.
    pub fn peer_id(&self) -> PeerId {
        let hash = Sha256::new().chain_update(SPKI_PREFIX).chain_update(self.0).finalize();
        PeerId::from_bytes(hash.into())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, ..] = self.0;
        write!(f, "PublicKey({a:02x}{b:02x}{c:02x})")
    }
}

impl<C> minicbor::Encode<C> for PublicKey {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for PublicKey {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let bytes = d.bytes()?.try_into().ok();
        bytes
            .and_then(Self::from_bytes)
            .ok_or_else(|| minicbor::decode::Error::message("not a public key"))
    }
}

/// The purpose of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Domain {
    /// Proof, inside a Noise handshake, that the identity is at this end.
    Handshake,
    /// A record of a group.
    Record,
    /// Use of a bearer invitation by a newcomer.
    Redemption,
    /// A connection signal that members carry.
    Signal,
    /// The consent to be the next owner of a group.
    Heir,
    /// A message of an application that nobody stores, to all members who are here.
    Broadcast,
    /// A message of an application.
    Application,
}

impl Domain {
    /// Every purpose that there is.
    pub const ALL: [Self; 7] = [
        Self::Handshake,
        Self::Record,
        Self::Redemption,
        Self::Signal,
        Self::Heir,
        Self::Broadcast,
        Self::Application,
    ];

    /// The prefix of every message of this domain, without the zero byte that follows it.
    pub const fn bytes(self) -> &'static [u8] {
        match self {
            Self::Handshake => b"peergraph handshake",
            Self::Record => b"peergraph record",
            Self::Redemption => b"peergraph redemption",
            Self::Signal => b"peergraph signal",
            Self::Heir => b"peergraph heir",
            Self::Broadcast => b"peergraph broadcast",
            Self::Application => b"peergraph application",
        }
    }

    /// The bytes that are signed for `message`, to be given to a [`Verify`].
    pub fn message(self, message: &[u8]) -> Vec<u8> {
        let mut bytes = self.begin(message.len());
        bytes.extend_from_slice(message);
        bytes
    }

    /// The beginning of those bytes, with room for a message of this length.
    pub(crate) fn begin(self, length: usize) -> Vec<u8> {
        let name = self.bytes();
        let mut bytes = Vec::with_capacity(name.len() + 1 + length);
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes
    }
}

/// An Ed25519 key pair. It prints nothing of itself, and is wiped on drop.
#[derive(Clone)]
pub struct KeyPair(SigningKey);

impl KeyPair {
    /// Makes a key pair from 32 secret random bytes. Every seed gives a usable key.
    pub(crate) fn of(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The public half.
    pub(crate) fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// The secret bytes of which it was made.
    pub(crate) fn seed(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Signs `message` for one purpose.
    pub(crate) fn sign(&self, domain: Domain, message: &[u8]) -> [u8; 64] {
        self.0.sign(&domain.message(message)).to_bytes()
    }

    /// Signs the part of a certificate that is signed, as it stands.
    pub(crate) fn sign_certificate(&self, tbs: &[u8]) -> [u8; 64] {
        self.0.sign(tbs).to_bytes()
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({:?})", self.public())
    }
}

/// A key pair that is a group's own: the one after whose id the group is named, which signs its root certificate, or an
/// heir of that one.
pub struct GroupKey {
    key: KeyPair,
}

impl GroupKey {
    /// Makes a group key from 32 secret random bytes.
    pub fn generate(secret: impl Into<Zeroizing<[u8; 32]>>) -> Self {
        Self { key: KeyPair::of(&secret.into()) }
    }

    /// The id of the group that begins with this key.
    pub fn group_id(&self) -> GroupId {
        self.public_key().peer_id().into()
    }

    /// The public half of the key.
    pub fn public_key(&self) -> PublicKey {
        self.key.public()
    }

    /// Signs `message` for one purpose, as the group itself.
    pub fn sign(&self, domain: Domain, message: &[u8]) -> [u8; 64] {
        self.key.sign(domain, message)
    }

    /// Signs the part of a certificate that is signed.
    pub(crate) fn sign_certificate(&self, tbs: &[u8]) -> [u8; 64] {
        self.key.sign_certificate(tbs)
    }

    /// The secret key. Not protected by anything: a store holds it sealed ([`sealed`](crate::sealed)).
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Stored::new(&self.key, None).to_bytes()
    }

    /// The secret bytes of which the key was made.
    pub(crate) fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(*self.key.seed())
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IdentityError> {
        let stored = Stored::from_bytes(bytes)?;
        if stored.certificate().is_some() {
            return Err(IdentityError::NotAnIdentity);
        }
        Ok(Self { key: stored.key()? })
    }
}

impl fmt::Debug for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupKey({:?})", self.group_id())
    }
}
