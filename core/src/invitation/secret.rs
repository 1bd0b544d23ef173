//! The secret of an invitation by link, and how it is proved.
use crate::id::PeerId;
use crate::identity::{self, Domain, PublicKey, Verify};
use ed25519_dalek::SigningKey;
use sha2::{Digest as _, Sha256};
use std::fmt;
use zeroize::Zeroizing;

/// Bytes of the secret. Source: to guess one of so many takes 2^128 tries, as it does to break the key made of it.
pub(super) const SECRET_BYTES: usize = 16;

/// The secret of a bearer invitation: the seed of an Ed25519 key. Wiped on drop.
#[derive(Clone)]
pub struct BearerSecret {
    seed: Zeroizing<[u8; SECRET_BYTES]>,
}

impl BearerSecret {
    /// Takes 16 secret random bytes.
    pub fn from_bytes(seed: [u8; SECRET_BYTES]) -> Self {
        Self { seed: Zeroizing::new(seed) }
    }

    /// The secret bytes, for the text of the invitation.
    pub(super) fn as_bytes(&self) -> &[u8; SECRET_BYTES] {
        &self.seed
    }

    /// The key that the group's invitation record names.
    pub fn public_key(&self) -> PublicKey {
        identity::public_key(&self.key())
    }

    /// Proves, over the link with this handshake hash, that `peer` holds the invitation.
    pub fn prove(&self, handshake_hash: &[u8; 32], peer: PeerId) -> [u8; 64] {
        identity::sign(&self.key(), &proof_message(handshake_hash, peer))
    }

    fn key(&self) -> SigningKey {
        let hash = Sha256::new().chain_update(b"peergraph invitation\0").chain_update(&*self.seed);
        let expanded = Zeroizing::new(<[u8; 32]>::from(hash.finalize()));
        SigningKey::from_bytes(&expanded)
    }
}

impl PartialEq for BearerSecret {
    fn eq(&self, other: &Self) -> bool {
        subtle::ConstantTimeEq::ct_eq(&self.seed[..], &other.seed[..]).into()
    }
}
impl Eq for BearerSecret {}

impl fmt::Debug for BearerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerSecret(…)")
    }
}

/// Whether `proof` shows that `peer`, at the other end of the link with this handshake hash, holds the bearer
/// invitation with the public key `key`.
pub fn check_proof(
    key: &PublicKey,
    handshake_hash: &[u8; 32],
    peer: PeerId,
    proof: &[u8; 64],
    verify: Verify,
) -> bool {
    verify(key, &proof_message(handshake_hash, peer), proof)
}

fn proof_message(handshake_hash: &[u8; 32], peer: PeerId) -> Vec<u8> {
    Domain::Redemption.message(&[&handshake_hash[..], peer.as_bytes()].concat())
}
