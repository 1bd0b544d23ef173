//! The ambient of a node: the same for every machine while one input is handled.
use crate::address::Address;
use crate::config::Config;
use crate::id::{GroupId, NodeId, NodeNonce};
use crate::identity::{Domain, Identity};
use crate::io::Outbox;
use crate::noise::StaticKey;
use crate::provider::{Channel, Checks};
use crate::random::Random;
use crate::record::{Record, Signed};
use crate::time::Now;
use rand_chacha::rand_core::Rng as _;

/// The moment, the node itself, and where its outputs go: the same for every machine.
pub(crate) struct Ambient<'a> {
    pub(crate) now: Now,
    pub(crate) rng: &'a mut Random,
    pub(crate) identity: &'a Identity,
    pub(crate) config: &'a Config,
    pub(crate) checks: Checks,
    pub(crate) channel: &'a Channel,
    pub(crate) node: NodeId,
    /// It makes that id ours.
    pub(crate) nonce: NodeNonce,
    /// With which tables are hashed, see `table.rs`.
    pub(crate) table_secret: u64,
    /// See [`next_version`](crate::record::next_version).
    pub(crate) version_salt: u16,
    pub(crate) noise: &'a StaticKey,
    /// Where we can be dialled.
    pub(crate) addresses: &'a [Address],
    pub(crate) out: &'a mut Outbox,
}

impl Ambient<'_> {
    /// Random bytes that others may see. Secrets come from [`Random::secret`].
    pub(crate) fn random_bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// Signs a record as this node's identity.
    pub(crate) fn sign(&self, group: GroupId, record: Record) -> Signed {
        let sign =
            |message: &[u8]| self.config.provider.sign(self.identity, Domain::Record, message);
        record.sign_with(group, sign)
    }
}
