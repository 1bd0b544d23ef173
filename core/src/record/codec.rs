//! The bytes of a record. CBOR, of which exactly one form is accepted: what this module itself would write.
//!
//! ```text
//! record    = [header, signature: bytes(64), payload: bytes]
//! header    = [format: 1, id: bytes(16), version: bytes(8, big-endian), type: text, creator: bytes(32),
//!              modifier: bytes(32) / null, created: uint, modified: uint, expires: uint, deleted: bool,
//!              attributes: [*attribute], serial: bytes(16)]
//! attribute = [name: text, kind: uint, value]          kind 0 text, 1 int, 2 float64, 3 uint (date), 4 bool
//!
//! byte      0     1     2     3     4 … 19    20    21 … 28
//!           0x83  0x8c  0x01  0x50  id        0x48  version
//!
//! signed    = [group: bytes(32), header, SHA-256 of the payload: bytes(32)]
//! ```
//!
//! Header and payload can travel apart, since the signature covers the payload's digest only. Id and version
//! have fixed places, so that a known record is recognised by comparing bytes. A header with another format
//! number is refused: what is signed must be understood whole.
use super::{Attribute, Record, RecordType, Value};
use crate::error::BadRecord;
use crate::id::{Digest, GroupId, PeerId, RecordId, Serial};
use crate::limits::ATTRIBUTES_MAX;
use crate::time::WallTime;
use bytes::Bytes;
use minicbor::{Decoder, Encoder, decode, encode};
use std::convert::Infallible;

/// Where the header begins in a record's bytes: after the head of the outer array.
pub(super) const HEADER_AT: usize = 1;
/// The first bytes of every record, up to the id.
const FRONT: [u8; 4] = [0x83, 0x8c, FORMAT, 0x50];
/// Number of this format. Below 24, so that it takes one byte.
const FORMAT: u8 = 1;
const HEADER_FIELDS: u64 = 12;
const ID_AT: usize = FRONT.len();
const VERSION_AT: usize = ID_AT + RecordId::BYTES + 1;
/// CBOR head of a version: 8 bytes follow.
const VERSION_HEAD: u8 = 0x48;

type Written = Result<(), encode::Error<Infallible>>;

pub(super) fn header(record: &Record) -> Vec<u8> {
    written(|e| {
        e.array(HEADER_FIELDS)?.u8(FORMAT)?;
        e.encode(record.id)?.bytes(&record.version.to_be_bytes())?;
        e.str(record.kind.as_str())?.encode(record.creator)?.encode(record.modifier)?;
        e.u64(record.created.0)?.u64(record.modified.0)?.u64(record.expires.0)?;
        e.bool(record.deleted)?;
        attributes(e, &record.attributes)?;
        e.encode(record.serial)?.ok()
    })
}

pub(super) fn attributes_bytes(list: &[Attribute]) -> usize {
    written(|e| attributes(e, list)).len()
}

/// What an identity signs, before its domain is put in front.
pub(super) fn signed_message(group: GroupId, header: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut message = written(|e| e.array(3)?.encode(group)?.ok());
    message.extend_from_slice(header);
    message.extend(written(|e| e.encode(Digest::of(payload))?.ok()));
    message
}

/// All bytes of a record.
pub(super) fn whole(header: &[u8], signature: &[u8; 64], payload: &[u8]) -> Vec<u8> {
    let mut bytes = front(header, signature, payload.len());
    bytes.extend_from_slice(payload);
    bytes
}

/// All bytes of a record in front of the content of its payload.
fn front(header: &[u8], signature: &[u8; 64], payload_len: usize) -> Vec<u8> {
    let tail = written(|e| e.bytes(signature)?.bytes_len(payload_len as u64)?.ok());
    [&FRONT[..HEADER_AT], header, &tail].concat()
}

pub(super) fn peek(bytes: &[u8]) -> Option<(RecordId, u64)> {
    if !bytes.starts_with(&FRONT) || *bytes.get(VERSION_AT - 1)? != VERSION_HEAD {
        return None;
    }
    let id = bytes.get(ID_AT..VERSION_AT - 1)?.try_into().ok()?;
    let version = bytes.get(VERSION_AT..VERSION_AT + 8)?.try_into().ok()?;
    Some((RecordId::from_bytes(id), u64::from_be_bytes(version)))
}

/// A record and the end of its header.
pub(super) fn read(bytes: &Bytes) -> Result<(Record, usize), BadRecord> {
    let (id, version) = peek(bytes).ok_or(BadRecord::Encoding)?;
    let mut d = Decoder::new(bytes);
    d.set_position(VERSION_AT + 8);
    let kind = RecordType::new(d.str()?)?;
    let creator = d.decode::<PeerId>()?;
    let modifier = d.decode::<Option<PeerId>>()?;
    let [created, modified, expires] = [d.u64()?, d.u64()?, d.u64()?].map(WallTime);
    let deleted = d.bool()?;
    let attributes = read_attributes(&mut d)?;
    let serial = d.decode::<Serial>()?;
    let header_end = d.position();
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
        serial,
        signature,
    };
    // One form only: the bytes in front of the content are those that we would write, and the content ends them.
    let front = front(&header(&record), &signature, record.payload.len());
    let canonical = bytes.len() == front.len() + record.payload.len() && bytes.starts_with(&front);
    if canonical { Ok((record, header_end)) } else { Err(BadRecord::Encoding) }
}

fn attributes(e: &mut Encoder<Vec<u8>>, list: &[Attribute]) -> Written {
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

fn written(write: impl FnOnce(&mut Encoder<Vec<u8>>) -> Written) -> Vec<u8> {
    let mut e = Encoder::new(Vec::new());
    write(&mut e)
        .expect("writing to a vector cannot fail, and no value here refuses to be encoded");
    e.into_writer()
}

impl From<decode::Error> for BadRecord {
    fn from(_: decode::Error) -> Self {
        Self::Encoding
    }
}
