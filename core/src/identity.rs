//! Identities: keys that never leave this module.
use crate::id::PeerId;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};

/// An Ed25519 public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

/// Checks a signature over exact bytes.
pub type Verify = fn(&PublicKey, &[u8], &[u8; 64]) -> bool;

/// What a signature is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// A record.
    Record,
}

/// What is signed: the domain string, a zero, the message.
pub fn signed_bytes(domain: Domain, message: &[u8]) -> Vec<u8> {
    let domain: &[u8] = match domain {
        Domain::Record => b"peergraph record\0",
    };
    [domain, message].concat()
}

/// Checks with Ed25519.
pub fn verify(key: &PublicKey, bytes: &[u8], signature: &[u8; 64]) -> bool {
    let signature = ed25519_dalek::Signature::from_bytes(signature);
    VerifyingKey::from_bytes(&key.0).is_ok_and(|key| key.verify_strict(bytes, &signature).is_ok())
}

/// An Ed25519 key pair with its self-signed certificate.
pub struct Identity {
    key: SigningKey,
}

impl Identity {
    /// An identity of this key.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self { key: SigningKey::from_bytes(&seed) }
    }

    /// Its public key.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.key.verifying_key().to_bytes())
    }

    /// Its peer id.
    pub fn peer_id(&self) -> PeerId {
        PeerId::from_bytes(*crate::id::Digest::of(&self.public_key().0).as_bytes())
    }

    /// Signs a message.
    pub fn sign(&self, domain: Domain, message: &[u8]) -> [u8; 64] {
        self.key.sign(&signed_bytes(domain, message)).to_bytes()
    }
}
