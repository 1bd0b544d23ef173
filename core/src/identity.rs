//! Identities: a key pair, and a self-signed X.509 certificate that says who it is.
//!
//! An [`Identity`] prints nothing of its key, and is wiped on drop. It leaves the process in two forms only:
//! [`Identity::to_bytes`] for the host's own private storage, and [`Identity::export`] under a password.
//! [`Identity::public_document`] holds no secret: it is what an inviter needs.
use crate::cert::{self, CertError, Certificate};
use crate::id::PeerId;
use crate::key::Stored;
pub use crate::key::{Domain, GroupKey, IdentityError, KeyPair, PublicKey, Verify, verify};
use crate::name::PeerName;
pub use crate::name::{NameError, check_name};
use crate::sealed::Sealer;
use crate::time::WallTime;
use std::fmt;
use zeroize::Zeroizing;

mod export;
pub(crate) use export::PasswordKey;
#[cfg(test)]
mod tests;

/// An Ed25519 key pair with its self-signed certificate.
#[derive(Clone)]
pub struct Identity {
    key: KeyPair,
    certificate: Certificate,
}

/// The key that signs the certificates which this identity issues.
impl AsRef<KeyPair> for Identity {
    fn as_ref(&self) -> &KeyPair {
        &self.key
    }
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
        Self::certified(KeyPair::of(&secret.into()), name, "", serial, now)
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
        key: KeyPair,
        name: &str,
        classifier: &str,
        serial: [u8; 16],
        now: WallTime,
    ) -> Result<Self, NameError> {
        check_name(name)?;
        let public = key.public();
        let peer_name = PeerName::secured(public.peer_id(), classifier)?;
        let host = (!classifier.is_empty()).then(|| peer_name.to_host()).transpose()?;
        let sign = |tbs: &[u8]| key.sign_certificate(tbs);
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
        self.key.sign(domain, message)
    }

    /// Signs whatever an application likes. The signature stands apart from the message, and is worthless as proof of
    /// anything that the core signs. To check: [`PublicKey::signed`], on the key of the public document.
    pub fn sign_message(&self, message: &[u8]) -> [u8; 64] {
        self.sign(Domain::Application, message)
    }

    /// The keys that seal and open the secrets in this identity's store.
    pub(crate) fn sealer(&self) -> Sealer {
        Sealer::of(self.key.seed())
    }

    /// Secret key and certificate, for the host's own private file or database. Not protected by anything.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Stored::new(&self.key, Some(self.certificate.der())).to_bytes()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. A key and certificate that do not fit are
    /// [`Damaged`](IdentityError::Damaged).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IdentityError> {
        let stored = Stored::from_bytes(bytes)?;
        let key = stored.key()?;
        let der = stored.certificate().ok_or(IdentityError::Damaged)?;
        let certificate = Certificate::from_der(der).map_err(|_| IdentityError::Damaged)?;
        let genuine = cert::verify_identity(&certificate, verify).is_ok();
        if !genuine || certificate.subject_key() != key.public() {
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
