//! Records: the unit of replication, and its exact bytes.
//!
//! A [`Record`] is what the application sees. [`Record::sign`] makes it a [`Signed`]: the record together with
//! the bytes that are stored and sent. Those bytes have one form only (`codec.rs`), so that their SHA-256
//! names content, signature and all. [`Meta`] is the part of a record that stays in memory.
//!
//! **Conflicts.** Of two records with one id the one with the higher [`Order`] stands, see `record/order.rs`: deletions
//! first, then what the creator said last and what others have made of that, then the higher version.
//!
//! **Changes by others.** A record that another than its creator changed or deleted carries a [`Beginning`]: the
//! creator's own signature over its id, type, creator, time of creation and version. So nobody makes a record in
//! another's name, no change alters when a record was made, and each says which version of the creator it is a change
//! of.
//!
//! **Versions** are hybrid logical clocks: 48 bits milliseconds of peer time, 16 bits counter
//! ([`next_version`]).
use crate::cert::VerifiedChain;
use crate::id::{CertificateId, Digest, GroupId, PeerId, RecordId};
use crate::identity::{Domain, GroupKey, Identity, PublicKey};
use crate::time::WallTime;
use crate::verify::{Claim, verify_all};
use bytes::Bytes;
use ed25519_dalek::VerifyingKey;
use std::cmp::Ordering;

mod beginning;
mod codec;
mod draft;
mod error;
mod meta;
mod order;
mod rules;
#[cfg(feature = "serde")]
mod serial;
#[cfg(test)]
mod tests;

pub use crate::record_type::{ParseTypeError, RecordType};
pub use beginning::Beginning;
pub(crate) use codec::attributes_bytes;
pub use draft::Draft;
pub use error::BadRecord;
pub use meta::{Cursor, Meta};
pub use order::{Edition, Order};
pub(crate) use rules::check_attributes;

/// Name of the attribute that tells what a payload is: a media type, as text. The core does not look at it. The
/// JavaScript package writes it, and reads a payload as JSON only if it says `application/json`; a payload without it
/// is bytes there, whatever they look like. A program that publishes JSON for web pages gives it, too.
pub const MEDIA_TYPE: &str = "mediaType";

/// A piece of searchable metadata.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Attribute {
    /// 1–40 letters and digits; may repeat.
    pub name: String,
    /// The value.
    pub value: Value,
}
impl Eq for Attribute {}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Value {
    /// Text.
    String(String),
    /// A whole number.
    Integer(i64),
    /// A finite number.
    Real(f64),
    /// A moment, milliseconds since 1970.
    Date(WallTime),
    /// A truth value.
    Boolean(bool),
}

impl Value {
    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Integer(_) | Self::Real(_) | Self::Date(_) | Self::Boolean(_) => None,
        }
    }
}

/// A record.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Record {
    /// Which.
    pub id: RecordId,
    /// Its type.
    pub kind: RecordType,
    /// Hybrid logical clock: 48 bits milliseconds of peer time, 16 bits counter.
    pub version: u64,
    /// The member who made it.
    pub creator: PeerId,
    /// The member who changed it last, if it was changed.
    pub modifier: Option<PeerId>,
    /// The time of creation. Peer time.
    pub created: WallTime,
    /// The time of the last change. Peer time.
    pub modified: WallTime,
    /// When it ends. Peer time.
    pub expires: WallTime,
    /// Whether this is a tombstone.
    pub deleted: bool,
    /// Searchable metadata.
    pub attributes: Vec<Attribute>,
    /// The content.
    pub payload: Bytes,
    /// The certificate on which the signature relies.
    pub certificate: CertificateId,
    /// The creator's proof that it made the record, if another changed it last.
    pub beginning: Option<Beginning>,
    /// Ed25519 over all of it and the group id.
    #[cfg_attr(feature = "serde", serde(with = "serial::signature"))]
    pub signature: [u8; 64],
}

impl Record {
    /// Signs the record for `group` (whatever `signature` holds is replaced) and fixes its bytes. Does not
    /// [`check`](Self::check) it.
    pub fn sign(self, group: GroupId, identity: &Identity) -> Signed {
        self.sign_with(group, |message| identity.sign(Domain::Record, message))
    }

    /// Signs the record as the group itself, with its own key.
    pub(crate) fn sign_as_owner(self, group: GroupId, key: &GroupKey) -> Signed {
        self.sign_with(group, |message| key.sign(Domain::Record, message))
    }

    /// The beginning that a change of this record by another carries: that of this record, or, if its creator
    /// signed it, that very signature. `creator` is the creator's key.
    pub fn beginning_by(&self, creator: PublicKey) -> Beginning {
        let made = || Beginning {
            key: creator,
            version: self.version,
            size: self.size(),
            expires: self.expires,
            rest: codec::rest(self),
            signature: self.signature,
        };
        self.beginning.clone().unwrap_or_else(made)
    }

    /// Of a change by another the version of the creator that it is a change of, else its own.
    pub fn base(&self) -> u64 {
        self.beginning.as_ref().map_or(self.version, |beginning| beginning.version)
    }

    /// Where this version stands among those of its id, but for ties.
    pub fn edition(&self) -> Edition {
        Edition::of(&self.kind, (self.version, self.base()), self.deleted)
    }

    /// How many bytes it takes, all told.
    pub(crate) fn size(&self) -> u32 {
        codec::size(codec::header(self).len(), self.payload.len())
    }

    pub(crate) fn sign_with(
        mut self,
        group: GroupId,
        sign: impl FnOnce(&[u8]) -> [u8; 64],
    ) -> Signed {
        self.signature = sign(&codec::signed_message(Vec::new(), group, &self, self.size()));
        Signed::assemble(self)
    }
}

/// A record together with its exact bytes: what is stored and sent.
#[derive(Clone, Debug)]
pub struct Signed {
    record: Record,
    bytes: Bytes,
    digest: Digest,
}

impl Signed {
    fn assemble(mut record: Record) -> Self {
        let header = codec::header(&record);
        let bytes = Bytes::from(codec::whole(&header, &record.signature, &record.payload));
        record.payload = bytes.slice(bytes.len() - record.payload.len()..);
        let digest = Digest::of(&bytes);
        Self { record, bytes, digest }
    }

    /// Reads a record in its one form. The payload is a slice of `bytes`. Checks neither rules
    /// ([`Record::check`]) nor signature ([`verify`](Self::verify)).
    ///
    /// # Errors
    /// [`BadRecord::Type`] for a bad type name, [`BadRecord::TooManyAttributes`] before more attributes are read than
    /// a record may have, [`BadRecord::Encoding`] for everything else, another form of the same content, trailing bytes
    /// and unknown format versions included.
    pub fn decode(bytes: Bytes) -> Result<Self, BadRecord> {
        let record = codec::read(&bytes)?;
        let digest = Digest::of(&bytes);
        Ok(Self { record, bytes, digest })
    }

    /// Id and edition of a record in bytes, from their front: to recognise known and superseded records before anything
    /// is decoded. `None` if no record begins so.
    pub fn peek(bytes: &[u8]) -> Option<(RecordId, Edition)> {
        codec::peek(bytes)
    }

    /// The record.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The record, without its bytes.
    pub fn into_record(self) -> Record {
        self.record
    }

    /// Its exact bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How many they are.
    pub fn size(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }

    /// How many of them its creator answers for: all, or at most as many as the version had of which another made this one.
    pub fn charged(&self) -> u32 {
        let size = self.size();
        self.record.beginning.as_ref().map_or(size, |beginning| size.min(beginning.size))
    }

    /// SHA-256 of the exact bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Whether `key` signed this record for `group`, and its creator the beginning, if it has one.
    #[must_use]
    pub fn verify(&self, group: GroupId, key: &PublicKey) -> bool {
        let beginning = self.beginning_claim(group);
        let claims: Vec<_> =
            [self.claim_of(group, key.decoded())].into_iter().chain(beginning).collect();
        verify_all(&claims).is_ok()
    }

    /// That `signer` signed this record for its group.
    pub fn claim(&self, signer: &VerifiedChain) -> Claim {
        self.claim_of(signer.group(), signer.verifying_key())
    }

    /// That its creator began it, if it is a change by another.
    pub fn beginning_claim(&self, group: GroupId) -> Option<Claim> {
        let beginning = self.record.beginning.as_ref()?;
        let begun = Domain::Record.begin(codec::WRITTEN_BYTES);
        let message = codec::begun_message(begun, group, &self.record, beginning);
        Some(Claim::new(&beginning.key, message, beginning.signature))
    }

    fn claim_of(&self, group: GroupId, key: VerifyingKey) -> Claim {
        let begun = Domain::Record.begin(codec::WRITTEN_BYTES);
        let message = codec::signed_message(begun, group, &self.record, self.size());
        Claim { key, message, signature: self.record.signature }
    }

    /// Its place among the records of one id.
    pub fn order(&self) -> Order {
        Order {
            edition: self.record.edition(),
            modifier: self.record.modifier,
            modified: self.record.modified,
            digest: self.digest,
        }
    }

    /// `Greater` where this record takes the place of `held`, which has the same id; `Equal` where it is that
    /// very record.
    pub fn supersedes(&self, held: &Meta) -> Ordering {
        self.order().cmp(&held.order())
    }
}

/// Bits of a version below its milliseconds.
const COUNTER_BITS: u32 = 16;
/// Highest salt: half of the counter is left for changes in one millisecond.
const SALT_MAX: u16 = u16::MAX >> 1;

/// The version for a change made now that must stand over `seen` (0 if there is none): the peer time and `salt` where
/// that is higher, else one more than `seen`. Stays at the highest number once that is reached.
///
/// `salt` is where a node begins to count within a millisecond: at random, since two nodes of one peer, or one that lost
/// its last version in a crash and whose clock was set back, could else sign two contents under one version.
pub fn next_version(peer_now: WallTime, seen: u64, salt: u16) -> u64 {
    let now = peer_now.0.min(u64::MAX >> COUNTER_BITS) << COUNTER_BITS;
    (now | u64::from(salt & SALT_MAX)).max(seen.saturating_add(1))
}

/// The peer time in a version, rounded down to the millisecond.
pub fn version_time(version: u64) -> WallTime {
    WallTime(version >> COUNTER_BITS)
}
