//! A record before it is one.
use super::{Attribute, RecordType};
use crate::id::RecordId;
use bytes::Bytes;
use std::time::Duration;

/// A record to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Draft {
    /// The record to replace or delete; a new one if absent. A record of another member stays that
    /// member's: it keeps its creator and time of creation, and carries the creator's proof that it
    /// made it.
    pub id: Option<RecordId>,
    /// Its type; on replacement it must be the same.
    pub kind: RecordType,
    /// Searchable metadata. Empty on deletion.
    pub attributes: Vec<Attribute>,
    /// The content. Empty on deletion.
    pub payload: Bytes,
    /// How long it lives from now. If absent, a new record lives for
    /// [`RECORD_LIFETIME_DEFAULT`](crate::limits::RECORD_LIFETIME_DEFAULT), and a replaced record
    /// until it would have ended anyway. A record of another member always lives as long as its
    /// creator wanted, or as our membership lasts.
    pub expires_in: Option<Duration>,
    /// Whether this is a deletion, which needs an `id`.
    pub delete: bool,
    /// Whether this node renews the record before it ends, as long as the node is up and in the
    /// group, across restarts. A renewal has a higher version, the content that stands then, and as
    /// long a life again. The record lives at least
    /// [`REFRESH_LIFETIME_MIN`](crate::limits::REFRESH_LIFETIME_MIN). Replacing the record without
    /// this flag, or deleting it, ends the renewals. Refused for a record of another member, whose
    /// lifetime is its creator's choice.
    pub refresh: bool,
    /// Publish only if this version of the record with that `id` still stands; otherwise fail with
    /// [`Error::ChangedMeanwhile`](crate::error::Error::ChangedMeanwhile). It cannot detect that
    /// two members change one version at the same time, apart from each other: then the creator's
    /// change stands, else the higher version.
    pub if_version: Option<u64>,
    /// Names a new record: its id is made of its creator, its type and this number instead of a random one. If such a record
    /// of ours stands, it is replaced; so a program that does not know whether a record was published can publish it again.
    #[cfg_attr(feature = "serde", serde(default))]
    pub nonce: Option<u64>,
}
