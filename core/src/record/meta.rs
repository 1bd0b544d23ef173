//! The part of every record that stays in memory.
use super::{Edition, Order, RecordType, Signed};
use crate::id::{CertificateId, Digest, PeerId, RecordId};
use crate::time::WallTime;
use std::sync::Arc;

/// The compact part of a record: enough to find, order, compare and expire it without its bytes. 144 bytes; the
/// peers, the certificate and the type are shared if an [`Index`](crate::index::Index) holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Which.
    pub id: RecordId,
    /// Its version.
    pub version: u64,
    /// Of a change by another the version of the creator that it is a change of, else its own.
    pub base: u64,
    /// When made. Peer time.
    pub created: WallTime,
    /// When changed last. Peer time.
    pub modified: WallTime,
    /// When it ends. Peer time.
    pub expires: WallTime,
    /// SHA-256 of its exact bytes.
    pub digest: Digest,
    /// How many bytes those are.
    pub size: u32,
    /// For how many of them its creator answers.
    pub charged: u32,
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// Its type.
    pub kind: RecordType,
    pub(crate) certificate: Arc<CertificateId>,
    pub(crate) creator: Arc<PeerId>,
    pub(crate) modifier: Option<Arc<PeerId>>,
}

impl Meta {
    /// The certificate on which it relies.
    pub fn certificate(&self) -> CertificateId {
        *self.certificate
    }

    /// The member who made it.
    pub fn creator(&self) -> PeerId {
        *self.creator
    }

    /// The member who changed it last, if it was changed.
    pub fn modifier(&self) -> Option<PeerId> {
        self.modifier.as_deref().copied()
    }

    /// Its place in the order of (modified, id).
    pub fn cursor(&self) -> Cursor {
        Cursor { modified: self.modified, id: self.id }
    }

    /// Its name in [`symbols`](crate::symbols).
    pub fn short(&self) -> u64 {
        self.digest.short()
    }

    /// Where this version stands among those of its id, but for ties.
    pub fn edition(&self) -> Edition {
        Edition::of(&self.kind, (self.version, self.base), self.deleted)
    }

    /// Its place among the records of one id.
    pub fn order(&self) -> Order {
        Order {
            edition: self.edition(),
            modifier: self.modifier(),
            modified: self.modified,
            digest: self.digest,
        }
    }
}

/// A place in the order of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Cursor {
    /// When modified, peer time.
    pub modified: WallTime,
    /// The record.
    pub id: RecordId,
}

impl From<&Signed> for Meta {
    fn from(signed: &Signed) -> Self {
        let record = signed.record();
        Self {
            id: record.id,
            version: record.version,
            base: record.base(),
            created: record.created,
            modified: record.modified,
            expires: record.expires,
            digest: signed.digest(),
            size: signed.size(),
            charged: signed.charged(),
            deleted: record.deleted,
            certificate: Arc::new(record.certificate),
            kind: record.kind.clone(),
            creator: Arc::new(record.creator),
            modifier: record.modifier.map(Arc::new),
        }
    }
}
