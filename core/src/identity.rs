//! Identities: keys that never leave this module.
//!
//! An [`Identity`] is an Ed25519 key pair with a self-signed X.509 certificate that says who it is. A
//! [`GroupKey`] is the key pair of a group; only its owner has it. Both print nothing of themselves
//! and are wiped on drop. They leave the process in two forms only: [`Identity::to_bytes`] for the host's own
//! private storage, and [`Identity::export`] under a password. [`Identity::public_document`] holds no secret:
//! it is what an inviter needs.
//!
//! Every signature says what it is for: the signed bytes are the name of a [`Domain`], a zero byte, and the
//! message, so that a signature made for one purpose is worthless for another. The one exception is X.509,
//! where DER is signed as it stands; it begins with `0x30`, and no domain name does.
//!
//! Private storage is a CBOR map: 0 version (1), 1 secret key (32 bytes), 2 certificate (DER; identities only).
use crate::cert::{self, CertError, Certificate};
use crate::id::{GroupId, PeerId};
use crate::limits::CERTIFICATE_BYTES_MAX;
use crate::name::PeerName;
pub use crate::name::{NameError, check_name};
use crate::sealed::Sealer;
use crate::time::WallTime;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use minicbor::bytes::{ByteArray, ByteVec};
use sha2::{Digest as _, Sha256};
use std::fmt;
use zeroize::{Zeroize as _, Zeroizing};

mod export;
pub(crate) use export::PasswordKey;
#[cfg(test)]
mod tests;

/// How signatures are checked, those of records excepted ([`VerifyAll`](crate::verify::VerifyAll)): [`verify`], or a function that remembers what it has checked, so that one
/// process that runs thousands of nodes checks each signature once.
pub type Verify = fn(&PublicKey, &[u8], &[u8; 64]) -> bool;

/// Whether `signature` is `key`'s over `message`. Strict: weak keys and malleable signatures are refused.
pub fn verify(key: &PublicKey, message: &[u8], signature: &[u8; 64]) -> bool {
    key.decoded().verify_strict(message, &Signature::from_bytes(signature)).is_ok()
}

/// A SubjectPublicKeyInfo of Ed25519 without its last 32 bytes, the key. Source: RFC 8410 §4.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0];

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

    /// Whether this key's owner made `signature` over `message` with [`Identity::sign_message`].
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
    /// A message of an application.
    Application,
}

impl Domain {
    /// Every purpose that there is.
    pub const ALL: [Self; 6] = [
        Self::Handshake,
        Self::Record,
        Self::Redemption,
        Self::Signal,
        Self::Heir,
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

/// Why bytes or text do not give an identity or group key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Something else altogether.
    #[error("this is not an exported identity")]
    NotAnIdentity,
    /// It was one, and is cut off or changed.
    #[error("this identity is damaged; use another copy")]
    Damaged,
    /// The password does not open it.
    #[error("the password is wrong")]
    WrongPassword,
    /// Written by a later release.
    #[error("this identity was made by a newer version of this program; update it")]
    Version,
    /// It asks for more memory or time than any export of ours, to harm the one who opens it.
    #[error("this identity asks for too much memory or time to be opened")]
    TooCostly,
}

/// Version of the private storage form. Others are refused, so that a downgrade does not lose anything.
const STORED_VERSION: u32 = 1;

#[derive(minicbor::Encode, minicbor::Decode)]
#[cbor(map)]
struct Stored {
    #[n(0)]
    version: u32,
    #[n(1)]
    secret: Option<ByteArray<32>>,
    #[n(2)]
    certificate: Option<ByteVec>,
}

impl Drop for Stored {
    fn drop(&mut self) {
        if let Some(secret) = &mut self.secret {
            secret.zeroize();
        }
    }
}

impl Stored {
    fn new(key: &SigningKey, certificate: Option<&Certificate>) -> Self {
        Self {
            version: STORED_VERSION,
            secret: Some(key.to_bytes().into()),
            certificate: certificate.map(|certificate| certificate.der().to_vec().into()),
        }
    }

    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // Room for all of it: a buffer that grows leaves copies of the secret behind.
        let room = 64 + self.certificate.as_ref().map_or(0, |certificate| certificate.len());
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        minicbor::encode(self, &mut *bytes).expect("a vector takes every byte");
        debug_assert!(bytes.len() <= room);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, IdentityError> {
        if bytes.len() > CERTIFICATE_BYTES_MAX + 64 {
            return Err(IdentityError::NotAnIdentity);
        }
        let mut decoder = minicbor::Decoder::new(bytes);
        let stored: Self = decoder.decode().map_err(|_| IdentityError::NotAnIdentity)?;
        if stored.version != STORED_VERSION {
            return Err(IdentityError::Version);
        }
        if decoder.position() != bytes.len() {
            return Err(IdentityError::Damaged);
        }
        Ok(stored)
    }

    fn key(&self) -> Result<SigningKey, IdentityError> {
        let secret = self.secret.as_ref().ok_or(IdentityError::Damaged)?;
        Ok(SigningKey::from_bytes(secret))
    }
}

/// An Ed25519 key pair with its self-signed certificate.
#[derive(Clone)]
pub struct Identity {
    key: SigningKey,
    certificate: Certificate,
}

impl Identity {
    /// Makes an identity from 32 secret and 16 public random bytes. `name` is shown to people; it need not be
    /// unique.
    pub fn generate(
        secret: impl Into<Zeroizing<[u8; 32]>>,
        serial: [u8; 16],
        name: &str,
        now: WallTime,
    ) -> Result<Self, NameError> {
        let secret = secret.into();
        Self::certified(SigningKey::from_bytes(&secret), name, "", serial, now)
    }

    /// The same key and peer id under another friendly name, and with the classifier that it goes by, or none
    /// (`""`). `serial` is 16 public random bytes.
    ///
    /// Certificates that others hold stay as they are: a group goes on showing the name that stands in the membership,
    /// until that is renewed.
    pub fn reissue(
        &self,
        name: &str,
        classifier: &str,
        serial: [u8; 16],
        now: WallTime,
    ) -> Result<Self, NameError> {
        Self::certified(self.key.clone(), name, classifier, serial, now)
    }

    fn certified(
        key: SigningKey,
        name: &str,
        classifier: &str,
        serial: [u8; 16],
        now: WallTime,
    ) -> Result<Self, NameError> {
        check_name(name)?;
        let public = public_key(&key);
        let peer_name = PeerName::secured(public.peer_id(), classifier)?;
        let host = (!classifier.is_empty()).then(|| peer_name.to_host()).transpose()?;
        let sign = |tbs: &[u8]| sign(&key, tbs);
        let certificate = cert::issue_identity(public, name, host.as_deref(), serial, now, sign);
        Ok(Self { key, certificate })
    }

    /// The id of this identity.
    pub fn peer_id(&self) -> PeerId {
        self.certificate.peer_id()
    }

    /// The friendly name.
    pub fn name(&self) -> &str {
        self.certificate.name()
    }

    /// The peer name that it goes by; [`PeerName::with_classifier`] makes others of it, without another key.
    pub fn peer_name(&self) -> &PeerName {
        self.certificate.peer_name()
    }

    /// The public half of the key.
    pub fn public_key(&self) -> PublicKey {
        self.certificate.subject_key()
    }

    /// The self-signed identity certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Signs `message` for one purpose. To check: `verify(&key, &domain.message(message), &signature)`.
    pub fn sign(&self, domain: Domain, message: &[u8]) -> [u8; 64] {
        sign(&self.key, &domain.message(message))
    }

    /// Signs whatever an application likes. The signature stands apart from the message, and is worthless as proof of
    /// anything that the core signs. To check: [`PublicKey::signed`], on the key of the public document.
    pub fn sign_message(&self, message: &[u8]) -> [u8; 64] {
        self.sign(Domain::Application, message)
    }

    /// Signs the part of a certificate that is signed.
    pub(crate) fn sign_certificate(&self, tbs: &[u8]) -> [u8; 64] {
        sign(&self.key, tbs)
    }

    /// The keys that seal and open the secrets in this identity's store.
    pub(crate) fn sealer(&self) -> Sealer {
        Sealer::of(self.key.as_bytes())
    }

    /// Secret key and certificate, for the host's own private file or database. Not protected by anything.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Stored::new(&self.key, Some(&self.certificate)).to_bytes()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. A key and certificate that do not fit are
    /// [`Damaged`](IdentityError::Damaged).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IdentityError> {
        let stored = Stored::from_bytes(bytes)?;
        let key = stored.key()?;
        let der = stored.certificate.as_ref().ok_or(IdentityError::Damaged)?;
        let certificate =
            Certificate::from_der(der.as_slice()).map_err(|_| IdentityError::Damaged)?;
        let genuine = cert::verify_identity(&certificate, verify).is_ok();
        if !genuine || certificate.subject_key() != public_key(&key) {
            return Err(IdentityError::Damaged);
        }
        Ok(Self { key, certificate })
    }

    /// The identity as text that only `password` opens, to be kept or carried to another device. `random` must
    /// be fresh: 16 bytes of salt and 24 of nonce.
    ///
    /// The password is taken as its UTF-8 bytes, unchanged; an empty one is allowed and protects nothing.
    pub fn export(&self, password: &str, random: [u8; 40]) -> String {
        export::seal(&self.to_bytes(), password, random)
    }

    /// Reads what [`export`](Self::export) wrote; text around it does not matter.
    pub fn import(text: &str, password: &str) -> Result<Self, IdentityError> {
        let bytes = export::open(text, password)?;
        Self::from_bytes(&bytes)
    }

    /// The public document that an inviter needs, without any secret: the identity certificate in
    /// PEM, read with [`read_public_document`]. It contains the key, the friendly name, and the
    /// classifier if there is one.
    pub fn public_document(&self) -> String {
        self.certificate.to_pem()
    }
}

/// Reads what [`Identity::public_document`] wrote, text around it does not matter, and checks that it is genuine:
/// signed by the key that it names.
pub fn read_public_document(text: &str) -> Result<Certificate, CertError> {
    let certificate = Certificate::from_pem(text)?;
    cert::verify_identity(&certificate, verify)?;
    Ok(certificate)
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({:?})", self.peer_id())
    }
}

/// A key pair that is a group's own: the one after whose id the group is named, which signs its root certificate, or an
/// heir of that one.
pub struct GroupKey {
    key: SigningKey,
}

impl GroupKey {
    /// Makes a group key from 32 secret random bytes.
    pub fn generate(secret: impl Into<Zeroizing<[u8; 32]>>) -> Self {
        let secret = secret.into();
        Self { key: SigningKey::from_bytes(&secret) }
    }

    /// The id of the group that begins with this key.
    pub fn group_id(&self) -> GroupId {
        self.public_key().peer_id().into()
    }

    /// The public half of the key.
    pub fn public_key(&self) -> PublicKey {
        public_key(&self.key)
    }

    /// Signs `message` for one purpose, as the group itself.
    pub fn sign(&self, domain: Domain, message: &[u8]) -> [u8; 64] {
        sign(&self.key, &domain.message(message))
    }

    /// Signs the part of a certificate that is signed.
    pub(crate) fn sign_certificate(&self, tbs: &[u8]) -> [u8; 64] {
        sign(&self.key, tbs)
    }

    /// The secret key. Not protected by anything: a store holds it sealed ([`sealed`](crate::sealed)).
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Stored::new(&self.key, None).to_bytes()
    }

    /// The secret bytes of which the key was made.
    pub(crate) fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes())
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IdentityError> {
        let stored = Stored::from_bytes(bytes)?;
        if stored.certificate.is_some() {
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

/// The public half of any key pair. Every secret seed gives a usable key.
pub(crate) fn public_key(key: &SigningKey) -> PublicKey {
    PublicKey(key.verifying_key().to_bytes())
}

/// Signs bytes as they stand.
pub(crate) fn sign(key: &SigningKey, bytes: &[u8]) -> [u8; 64] {
    key.sign(bytes).to_bytes()
}
