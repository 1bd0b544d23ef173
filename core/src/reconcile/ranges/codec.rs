//! The bytes of a message; see the table at the head of [`reconcile`](super).
use super::{Content, Item, MARK_BYTES, RANGE_ITEMS_MAX, Range, Ranges};
use crate::id::RecordId;
use crate::record::Cursor;
use crate::time::WallTime;
use minicbor::data::Type;
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

const ITEM_BYTES: usize = RecordId::BYTES + 8 + MARK_BYTES;

impl<C> Encode<C> for Ranges {
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        e.array(self.0.len() as u64)?;
        let mut lower = 0;
        for range in &self.0 {
            e.array(if range.upper.is_some() { 3 } else { 1 })?;
            match &range.content {
                Content::Skip => e.null()?,
                Content::Fingerprint(fingerprint) => e.bytes(fingerprint)?,
                Content::List(items) => e.array(1)?.bytes(&list_bytes(items))?,
            };
            if let Some(Cursor { modified, id }) = range.upper {
                let id = id.as_bytes();
                let len = id.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
                e.u64(modified.0.saturating_sub(lower))?.bytes(&id[..len])?;
                lower = modified.0;
            }
        }
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for Ranges {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        let count = d.array()?.unwrap_or(0);
        if count == 0 || count > RANGE_ITEMS_MAX as u64 {
            return Err(decode::Error::message("number of ranges"));
        }
        let mut ranges = Vec::new();
        let mut room = RANGE_ITEMS_MAX - count as usize;
        let mut lower = 0_u64;
        for nth in 1..=count {
            let last = nth == count;
            if d.array()? != Some(if last { 1 } else { 3 }) {
                return Err(decode::Error::message("only the last range has no bound"));
            }
            let content = read_content(d, &mut room)?;
            let upper = if last { None } else { Some(read_bound(d, lower)?) };
            lower = upper.map_or(lower, |upper| upper.modified.0);
            ranges.push(Range { upper, content });
        }
        Ok(Self(ranges))
    }
}

fn read_bound(d: &mut Decoder<'_>, lower: u64) -> Result<Cursor, decode::Error> {
    let modified = lower.checked_add(d.u64()?);
    let modified = modified.ok_or_else(|| decode::Error::message("time of a bound"))?;
    let prefix = d.bytes()?;
    let mut id = [0; RecordId::BYTES];
    let place = id.get_mut(..prefix.len());
    place.ok_or_else(|| decode::Error::message("id of a bound"))?.copy_from_slice(prefix);
    Ok(Cursor { modified: WallTime(modified), id: RecordId::from_bytes(id) })
}

/// Reads what a range says; listed records use up `room`.
fn read_content(d: &mut Decoder<'_>, room: &mut usize) -> Result<Content, decode::Error> {
    let kind = d.datatype()?;
    if kind == Type::Null {
        d.null()?;
        return Ok(Content::Skip);
    }
    if kind == Type::Bytes {
        let fingerprint = d.bytes()?.try_into();
        return fingerprint
            .map(Content::Fingerprint)
            .map_err(|_| decode::Error::message("length of a fingerprint"));
    }
    if d.array()? != Some(1) {
        return Err(decode::Error::message("content of a range"));
    }
    let list = d.bytes()?;
    let (items, []) = list.as_chunks::<ITEM_BYTES>() else {
        return Err(decode::Error::message("length of a list"));
    };
    let left = room.checked_sub(items.len());
    *room = left.ok_or_else(|| decode::Error::message("too many listed records"))?;
    Ok(Content::List(items.iter().map(read_item).collect()))
}

fn list_bytes(items: &[Item]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(items.len() * ITEM_BYTES);
    for item in items {
        bytes.extend_from_slice(item.id.as_bytes());
        bytes.extend_from_slice(&item.version.to_be_bytes());
        bytes.extend_from_slice(&item.mark);
    }
    bytes
}

fn read_item(bytes: &[u8; ITEM_BYTES]) -> Item {
    Item {
        id: RecordId::from_bytes(std::array::from_fn(|i| bytes[i])),
        version: u64::from_be_bytes(std::array::from_fn(|i| bytes[RecordId::BYTES + i])),
        mark: std::array::from_fn(|i| bytes[RecordId::BYTES + 8 + i]),
    }
}
