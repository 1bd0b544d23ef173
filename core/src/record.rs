//! Records.
use crate::id::{PeerId, RecordId, Serial};
use crate::time::WallTime;
use bytes::Bytes;

/// Name of a kind of record, such as `chat.message`: 1–64 characters of `[a-z0-9.-]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordType(String);

/// A piece of searchable metadata.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// 1–40 letters and digits; may repeat.
    pub name: String,
    /// The value.
    pub value: Value,
}
impl Eq for Attribute {}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
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

/// A record.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Which.
    pub id: RecordId,
    /// Its type.
    pub kind: RecordType,
    /// Hybrid logical clock: 48 bits milliseconds of peer time, 16 bits counter.
    pub version: u64,
    /// Who made it.
    pub creator: PeerId,
    /// Who changed it last, if it was changed.
    pub modifier: Option<PeerId>,
    /// When made. Peer time.
    pub created: WallTime,
    /// When changed last. Peer time.
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
    pub serial: Serial,
    /// Ed25519 over all of it and the group id.
    pub signature: [u8; 64],
}
