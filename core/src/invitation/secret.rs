//! The secret of an invitation by link, and how it is proved.
use crate::id::{GroupId, PeerId};
use crate::key::{Domain, KeyPair, PublicKey, Verify};
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
    pub fn from_bytes(seed: impl Into<Zeroizing<[u8; SECRET_BYTES]>>) -> Self {
        Self { seed: seed.into() }
    }

    /// The secret bytes, for what carries the invitation.
    pub(crate) fn as_bytes(&self) -> &[u8; SECRET_BYTES] {
        &self.seed
    }

    /// The key that the group's invitation record names.
    pub fn public_key(&self) -> PublicKey {
        self.key().public()
    }

    /// Proves to everybody in `group` that `peer` holds the invitation.
    pub fn prove(&self, group: GroupId, peer: PeerId) -> [u8; 64] {
        self.key().sign(Domain::Redemption, &proof_message(group, &self.public_key(), peer))
    }

    fn key(&self) -> KeyPair {
        let hash =
            Sha256::new().chain_update(b"peergraph invitation\0").chain_update(&self.seed[..]);
        let expanded = Zeroizing::new(<[u8; 32]>::from(hash.finalize()));
        KeyPair::of(&expanded)
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

/// The proof to everybody in a group that a newcomer came by an invitation: its link's key and the newcomer's own have both
/// signed that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The invitation's public key.
    pub key: PublicKey,
    /// By that key.
    pub by_link: [u8; 64],
    /// By the newcomer's.
    pub by_newcomer: [u8; 64],
}

impl Proof {
    /// Whether it shows that the holder of the key `newcomer` came into `group` by the invitation.
    #[must_use]
    pub fn holds(&self, group: GroupId, newcomer: &PublicKey, verify: Verify) -> bool {
        let message = proof_message(group, &self.key, newcomer.peer_id());
        let message = Domain::Redemption.message(&message);
        verify(&self.key, &message, &self.by_link) && verify(newcomer, &message, &self.by_newcomer)
    }
}

/// The message that both keys sign under their domain.
pub(crate) fn proof_message(group: GroupId, key: &PublicKey, newcomer: PeerId) -> Vec<u8> {
    [&group.as_bytes()[..], key.as_bytes(), newcomer.as_bytes()].concat()
}
