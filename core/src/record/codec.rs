//! The bytes of a record. CBOR, of which exactly one form is accepted: what this module itself would write.
//!
//! ```text
//! record    = [header, signature: bytes(64), payload: bytes]
//! header    = [format: 1, id: bytes(16), version: bytes(8, big-endian), deleted: bool,
//!              beginning: bytes(148) / null, type: text, creator: bytes(32), modifier: bytes(32) / null,
//!              created: uint, modified: uint, expires: uint, attributes: [*attribute], certificate: bytes(32)]
//! attribute = [name: text, kind: uint, value]          kind 0 text, 1 int, 2 float64, 3 uint (date), 4 bool
//!
//! byte      0     1     2     3     4 … 19    20    21 … 28   29
//!           0x83  0x8d  0x01  0x50  id        0x48  version   deleted
//!
//! signed    = [group: bytes(32), id, type, creator, created, version: bytes(8), expires, size: uint,
//!              rest: bytes(32)]
//! size      = the number of bytes of the record
//! rest      = SHA-256([format, modifier, modified, deleted, attributes, certificate, beginning,
//!              SHA-256 of the payload: bytes(32)])
//! beginning = key (32) ‖ version (8) ‖ expires (8) ‖ size (4) ‖ rest (32) ‖ signature (64), numbers big-endian
//! ```
//!
//! Header and payload can travel apart, since the signature covers the payload's digest only. The
//! fields that the creator of a record alone decides stand open in the signed message, and all
//! others behind one digest. So the creator's signature can be checked in the changes of others,
//! which carry it as their `beginning`. The fields that decide which version stands come first, so
//! that known and superseded records are recognised before they are decoded. A header with another
//! format number is refused: what is signed must be understood whole.
use super::{Attribute, BadRecord, Beginning, Edition, Record, RecordType, Value};
use crate::id::{CertificateId, Digest, GroupId, PeerId, RecordId};
use crate::limits::ATTRIBUTES_MAX;
use crate::time::WallTime;
use bytes::Bytes;
use minicbor::encode::Write;
use minicbor::{Decoder, Encoder, decode, encode};
use sha2::{Digest as _, Sha256};
use std::convert::Infallible;

/// Where the header begins in a record's bytes: after the head of the outer array.
pub(super) const HEADER_AT: usize = 1;
/// The first bytes of every record, up to the id.
const FRONT: [u8; 4] = [0x83, 0x8d, FORMAT, 0x50];
/// Number of this format. Below 24, so that it takes one byte.
const FORMAT: u8 = 1;
const HEADER_FIELDS: u64 = 13;
/// Fields of what is signed, and of its rest.
const SIGNED_FIELDS: u64 = 9;
const REST_FIELDS: u64 = 8;
const ID_AT: usize = FRONT.len();
const VERSION_AT: usize = ID_AT + RecordId::BYTES + 1;
/// CBOR head of a version: 8 bytes follow.
const VERSION_HEAD: u8 = 0x48;
/// The flag that follows the version.
const DELETED_AT: usize = VERSION_AT + 8;
/// First capacity of a buffer for writing. Source: a header, or a signed message, of a record with
/// a few short attributes.
pub(super) const WRITTEN_BYTES: usize = 256;
/// CBOR's null.
const NULL: u8 = 0xf6;

/// The outcome of writing into `W`.
type Written<W> = Result<(), encode::Error<<W as Write>::Error>>;

pub(super) fn header(record: &Record) -> Vec<u8> {
    written(|e| write_header(e, record))
}

fn write_header<W: Write>(e: &mut Encoder<W>, record: &Record) -> Written<W> {
    e.array(HEADER_FIELDS)?.u8(FORMAT)?;
    e.encode(record.id)?.bytes(&record.version.to_be_bytes())?;
    e.bool(record.deleted)?.encode(&record.beginning)?;
    e.str(record.kind.as_str())?.encode(record.creator)?.encode(record.modifier)?;
    e.u64(record.created.0)?.u64(record.modified.0)?.u64(record.expires.0)?;
    write_attributes(e, &record.attributes)?;
    e.encode(record.certificate)?.ok()
}

/// Digest of all that a signature covers besides the open fields.
pub(super) fn rest(record: &Record) -> Digest {
    let mut hashed = Hashed(Sha256::new());
    let write = |e: &mut Encoder<&mut Hashed>| -> Written<Hashed> {
        e.array(REST_FIELDS)?.u8(FORMAT)?;
        e.encode(record.modifier)?.u64(record.modified.0)?.bool(record.deleted)?;
        write_attributes(e, &record.attributes)?;
        e.encode(record.certificate)?.encode(&record.beginning)?;
        e.encode(Digest::of(&record.payload))?.ok()
    };
    write(&mut Encoder::new(&mut hashed)).expect("hashing cannot fail, as above");
    Digest::from_bytes(hashed.0.finalize().into())
}

pub(crate) fn attributes_bytes(list: &[Attribute]) -> usize {
    written(|e| write_attributes(e, list)).len()
}

/// Bytes of a record with a header and a payload of these lengths.
pub(super) fn size(header: usize, payload: usize) -> u32 {
    let head = match payload {
        0..24 => 1,
        24..0x100 => 2,
        0x100..0x1_0000 => 3,
        _ => 5,
    };
    let signature = 2 + 64;
    u32::try_from(HEADER_AT + header + signature + head + payload).unwrap_or(u32::MAX)
}

/// Adds the message that the signer of a record of this size signs to `bytes`, which may begin with
/// a domain.
pub(super) fn signed_message(
    bytes: Vec<u8>,
    group: GroupId,
    record: &Record,
    size: u32,
) -> Vec<u8> {
    let Record { version, expires, .. } = *record;
    message(bytes, group, record, &Open { version, expires, size, rest: rest(record) })
}

/// Adds the message that the creator of a record has signed for the version of which this is a
/// change.
pub(super) fn begun_message(
    bytes: Vec<u8>,
    group: GroupId,
    record: &Record,
    beginning: &Beginning,
) -> Vec<u8> {
    let Beginning { version, expires, size, rest, .. } = *beginning;
    message(bytes, group, record, &Open { version, expires, size, rest })
}

/// The fields that stand open in the signature under one version, besides those that all versions
/// have in common.
struct Open {
    version: u64,
    expires: WallTime,
    size: u32,
    rest: Digest,
}

fn message(mut bytes: Vec<u8>, group: GroupId, record: &Record, open: &Open) -> Vec<u8> {
    append(&mut bytes, |e| {
        e.array(SIGNED_FIELDS)?.encode(group)?.encode(record.id)?.str(record.kind.as_str())?;
        e.encode(record.creator)?.u64(record.created.0)?.bytes(&open.version.to_be_bytes())?;
        e.u64(open.expires.0)?.u32(open.size)?.encode(open.rest)?.ok()
    });
    bytes
}

/// All bytes of a record.
pub(super) fn whole(header: &[u8], signature: &[u8; 64], payload: &[u8]) -> Vec<u8> {
    let mut bytes = [&FRONT[..HEADER_AT], header].concat();
    append(&mut bytes, |e| e.bytes(signature)?.bytes(payload)?.ok());
    bytes
}

pub(super) fn peek(bytes: &[u8]) -> Option<(RecordId, Edition)> {
    let (id, version) = front(bytes)?;
    let mut d = Decoder::new(bytes);
    d.set_position(DELETED_AT);
    let deleted = d.bool().ok()?;
    let base = if bytes.get(d.position()) == Some(&NULL) {
        d.skip().ok()?;
        version
    } else {
        Beginning::peek_version(d.bytes().ok()?)?
    };
    let reserved = RecordType::is_reserved_name(d.str().ok()?);
    Some((id, Edition::new(reserved, (version, base), deleted)))
}

/// Id and version of a record.
fn front(bytes: &[u8]) -> Option<(RecordId, u64)> {
    if !bytes.starts_with(&FRONT) || *bytes.get(VERSION_AT - 1)? != VERSION_HEAD {
        return None;
    }
    let id = bytes.get(ID_AT..VERSION_AT - 1)?.try_into().ok()?;
    let version = bytes.get(VERSION_AT..VERSION_AT + 8)?.try_into().ok()?;
    Some((RecordId::from_bytes(id), u64::from_be_bytes(version)))
}

pub(super) fn read(bytes: &Bytes) -> Result<Record, BadRecord> {
    let (id, version) = front(bytes).ok_or(BadRecord::Encoding)?;
    let mut d = Decoder::new(bytes);
    d.set_position(DELETED_AT);
    let deleted = d.bool()?;
    let beginning = d.decode::<Option<Beginning>>()?;
    let kind = RecordType::new(d.str()?)?;
    let creator = d.decode::<PeerId>()?;
    let modifier = d.decode::<Option<PeerId>>()?;
    let [created, modified, expires] = [d.u64()?, d.u64()?, d.u64()?].map(WallTime);
    let attributes = read_attributes(&mut d)?;
    let certificate = d.decode::<CertificateId>()?;
    let signature = d.bytes()?.try_into().map_err(|_| BadRecord::Encoding)?;
    let payload = bytes.slice_ref(d.bytes()?);
    let record = Record {
        id,
        kind,
        version,
        creator,
        modifier,
        created,
        modified,
        expires,
        deleted,
        attributes,
        payload,
        certificate,
        beginning,
        signature,
    };
    // One form only: the bytes are those that we would write, to the last.
    let mut again = Encoder::new(Same(&bytes[HEADER_AT..]));
    write_header(&mut again, &record).map_err(|_| BadRecord::Encoding)?;
    let ours = again.bytes(&signature).and_then(|e| e.bytes(&record.payload)).is_ok();
    let canonical = ours && again.writer().0.is_empty();
    if canonical { Ok(record) } else { Err(BadRecord::Encoding) }
}

/// Takes what it expects and nothing else.
struct Same<'a>(&'a [u8]);

impl Write for Same<'_> {
    type Error = BadRecord;

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), BadRecord> {
        self.0 = self.0.strip_prefix(bytes).ok_or(BadRecord::Encoding)?;
        Ok(())
    }
}

fn write_attributes<W: Write>(e: &mut Encoder<W>, list: &[Attribute]) -> Written<W> {
    e.array(list.len() as u64)?;
    for Attribute { name, value } in list {
        e.array(3)?.str(name)?;
        match value {
            Value::String(text) => e.u8(0)?.str(text)?,
            Value::Integer(number) => e.u8(1)?.i64(*number)?,
            Value::Real(number) => e.u8(2)?.f64(*number)?,
            Value::Date(time) => e.u8(3)?.u64(time.0)?,
            Value::Boolean(truth) => e.u8(4)?.bool(*truth)?,
        };
    }
    Ok(())
}

fn read_attributes(d: &mut Decoder<'_>) -> Result<Vec<Attribute>, BadRecord> {
    let count = d.array()?.ok_or(BadRecord::Encoding)?;
    if count > ATTRIBUTES_MAX as u64 {
        return Err(BadRecord::TooManyAttributes);
    }
    (0..count).map(|_| read_attribute(d)).collect()
}

fn read_attribute(d: &mut Decoder<'_>) -> Result<Attribute, BadRecord> {
    if d.array()? != Some(3) {
        return Err(BadRecord::Encoding);
    }
    let name = d.str()?.to_owned();
    let value = match d.u8()? {
        0 => Value::String(d.str()?.to_owned()),
        1 => Value::Integer(d.i64()?),
        2 => Value::Real(d.f64()?),
        3 => Value::Date(WallTime(d.u64()?)),
        4 => Value::Boolean(d.bool()?),
        _ => return Err(BadRecord::Encoding),
    };
    Ok(Attribute { name, value })
}

fn written(
    write: impl FnOnce(&mut Encoder<&mut Vec<u8>>) -> Result<(), encode::Error<Infallible>>,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(WRITTEN_BYTES);
    append(&mut bytes, write);
    bytes
}

/// A digest of what is written, without the bytes.
struct Hashed(Sha256);

impl Write for Hashed {
    type Error = Infallible;

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
        self.0.update(bytes);
        Ok(())
    }
}

fn append(
    bytes: &mut Vec<u8>,
    write: impl FnOnce(&mut Encoder<&mut Vec<u8>>) -> Result<(), encode::Error<Infallible>>,
) {
    write(&mut Encoder::new(bytes))
        .expect("writing to a vector cannot fail, and no value here refuses to be encoded");
}

impl From<decode::Error> for BadRecord {
    fn from(_: decode::Error) -> Self {
        Self::Encoding
    }
}
