//! How records travel: floods, acknowledgements, announcements, requests, and the comparison of two stores.
use super::kind::{self, Kind};
use super::{Message, WHOLE};
use crate::fault::Misbehaved;
use crate::id::RecordId;
use crate::limits;
use crate::reconcile::Step;
use crate::record::Edition;
use bytes::Bytes;
use minicbor::{Decode, Decoder, Encode, Encoder};

/// Tells what became of flooded records.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Ack {
    #[n(0)]
    pub(crate) acks: Vec<AckOf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct AckOf {
    #[n(0)]
    pub(crate) id: RecordId,
    #[n(1)]
    pub(crate) version: u64,
    /// Whether it was new to the sender of this message.
    #[n(2)]
    pub(crate) useful: bool,
}

/// Names a version of a record: one that the sender holds or has asked for, or, where it asks, the one that is too old
/// (the lowest if it has none).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Announced {
    pub(crate) id: RecordId,
    pub(crate) edition: Edition,
}

impl Announced {
    /// Fewest bytes of one.
    pub(crate) const BYTES_MIN: usize = RecordId::BYTES + Edition::BYTES_MIN;

    fn from_front(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (&id, rest) = bytes.split_first_chunk()?;
        let (edition, rest) = Edition::from_front(rest)?;
        Some((Self { id: RecordId::from_bytes(id), edition }, rest))
    }
}

/// A step of the reconciliation of one class.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Sync {
    #[n(0)]
    pub(crate) class: u8,
    /// Whether this begins one.
    #[n(1)]
    pub(crate) first: bool,
    /// None where the sender finds nothing more to compare.
    #[n(2)]
    pub(crate) step: Option<Step>,
    /// Types of which the sender wants records first, in the first message of either end.
    #[n(3)]
    pub(crate) priorities: Option<Vec<String>>,
}

/// Asks for records by id, and by short id; they come as floods.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Want {
    #[n(0)]
    pub(crate) class: u8,
    #[n(1)]
    pub(crate) ids: Vec<RecordId>,
    /// 8 bytes each, little endian.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) shorts: Vec<u8>,
}

/// About a class: one [`Want`] of the receiver is answered ([`kind::GIVEN`]), or the sender wants and owes nothing
/// more ([`kind::SYNC_END`]).
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct OfClass {
    #[n(0)]
    pub(crate) class: u8,
    /// Whether it only says that what the receiver wanted first stands before it.
    #[n(1)]
    pub(crate) first: Option<bool>,
    /// At an end: whether the sender's disk refused records, so that it does not hold what it seemed to hold.
    #[n(2)]
    pub(crate) lacks: Option<bool>,
}

/// Encodes an announcement: an id and an edition each, and one more byte if they are too large to be sent unasked.
/// Not CBOR, since there are more of these messages than of all others together.
pub(crate) fn announce(slot: u16, announced: &[Announced], large: bool) -> Message {
    packed(kind::ANNOUNCE, slot, items(announced).chain(large.then_some(1)))
}

fn items(announced: &[Announced]) -> impl Iterator<Item = u8> {
    announced.iter().flat_map(|Announced { id, edition }| {
        id.as_bytes().iter().copied().chain(edition.to_bytes())
    })
}

/// Takes an announcement apart: what is announced, and whether that is large. Later versions may add bytes.
pub(crate) fn decode_announce(
    body: &[u8],
) -> Result<(impl Iterator<Item = Announced>, bool), Misbehaved> {
    let most = limits::PAGE_MAX.min(body.len() / Announced::BYTES_MIN);
    let (mut all, mut rest) = (Vec::with_capacity(most), body);
    while let Some((announced, after)) = Announced::from_front(rest) {
        if all.len() >= limits::PAGE_MAX {
            return Err(Misbehaved::TooMuch);
        }
        all.push(announced);
        rest = after;
    }
    Ok((all.into_iter(), rest.first() == Some(&1)))
}

/// Encodes a request for what is newer than this; the records come as floods.
pub(crate) fn request(slot: u16, held: &[Announced]) -> Message {
    packed(kind::REQUEST, slot, items(held))
}

/// Encodes what the sender does not let in, by short ids: not to be given again before it is requested.
pub(crate) fn decline(slot: u16, shorts: &[u64]) -> Message {
    packed(kind::DECLINE, slot, shorts.iter().flat_map(|short| short.to_le_bytes()))
}

/// Takes it apart.
pub(crate) fn decode_decline(body: &[u8]) -> Result<impl Iterator<Item = u64>, Misbehaved> {
    let (shorts, _) = body.as_chunks();
    if shorts.len() > limits::PAGE_MAX {
        return Err(Misbehaved::TooMuch);
    }
    Ok(shorts.iter().map(|short| u64::from_le_bytes(*short)))
}

/// Takes a request apart. Later versions may add bytes.
pub(crate) fn decode_request(body: &[u8]) -> Result<impl Iterator<Item = Announced>, Misbehaved> {
    Ok(decode_announce(body)?.0)
}

fn packed(kind: Kind, slot: u16, body: impl Iterator<Item = u8>) -> Message {
    let [high, low] = slot.to_be_bytes();
    Message([WHOLE, kind.number(), high, low].into_iter().chain(body).collect::<Vec<u8>>().into())
}

/// Encodes a flood: an array of byte strings, each one record.
pub(crate) fn flood(slot: u16, records: &[Bytes]) -> Message {
    let size: usize = records.iter().map(|record| record.len() + 5).sum();
    let mut bytes = Vec::with_capacity(size + 9);
    let [high, low] = slot.to_be_bytes();
    bytes.extend_from_slice(&[WHOLE, kind::FLOOD.number(), high, low]);
    let mut encoder = Encoder::new(&mut bytes);
    let array = encoder.array(records.len() as u64);
    array.expect("a vector takes everything");
    for record in records {
        encoder.bytes(record).expect("a vector takes everything");
    }
    Message(bytes.into())
}

/// Takes a flood apart without copying the records.
pub(crate) fn decode_flood(body: &Bytes) -> Result<Vec<Bytes>, Misbehaved> {
    let mut decoder = Decoder::new(body);
    let count = decoder.array().ok().flatten().ok_or(Misbehaved::BadMessage)?;
    let count = usize::try_from(count).map_err(|_| Misbehaved::TooMuch)?;
    if count > limits::FLOOD_RECORDS_MAX {
        return Err(Misbehaved::TooMuch);
    }
    let mut records = Vec::with_capacity(count);
    for _ in 0..count {
        let record = decoder.bytes().map_err(|_| Misbehaved::BadMessage)?;
        records.push(body.slice_ref(record));
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RecordType;

    #[test]
    fn announcements_and_requests_come_back_as_they_were_and_take_later_bytes() {
        let kind = RecordType::new("note").unwrap();
        let announced: Vec<Announced> = (0..3_u8)
            .map(|n| Announced {
                id: RecordId::from_bytes([n; 16]),
                // One of a creator's own version, one of a change, one of a deletion.
                edition: [(5, 5, false), (u64::MAX, 5, false), (7, 6, true)]
                    .map(|(version, base, deleted)| Edition::of(&kind, (version, base), deleted))
                    [usize::from(n)],
            })
            .collect();
        let bytes = 3 * Announced::BYTES_MIN + 2 * 8;
        for large in [false, true] {
            let mut message = announce(0x0203, &announced, large).bytes().to_vec();
            assert_eq!(message.len(), 3 + bytes + usize::from(large));
            let (decoded, is_large) = decode_announce(&message[3..]).unwrap();
            assert_eq!((decoded.collect::<Vec<_>>(), is_large), (announced.clone(), large));
            if large {
                message.extend([7, 7]);
                assert_eq!(decode_announce(&message[3..]).unwrap().0.count(), 3);
            }
        }
        let message = request(0x0203, &announced);
        let message = message.bytes();
        assert_eq!(message[..3], [kind::REQUEST.number(), 2, 3]);
        assert_eq!(decode_request(&message[3..]).unwrap().collect::<Vec<_>>(), announced);
    }

    #[test]
    fn more_ids_than_a_page_are_a_fault() {
        let bytes = vec![0; (limits::PAGE_MAX + 1) * Announced::BYTES_MIN];
        assert_eq!(decode_announce(&bytes).err(), Some(Misbehaved::TooMuch));
        assert_eq!(decode_request(&bytes).err(), Some(Misbehaved::TooMuch));
        let most = vec![Bytes::from_static(b"a record"); limits::FLOOD_RECORDS_MAX];
        let flooded = |records: &[Bytes]| {
            let message = Bytes::copy_from_slice(flood(1, records).bytes());
            decode_flood(&message.slice(3..)).map(|records| records.len())
        };
        assert_eq!(flooded(&most), Ok(most.len()));
        assert_eq!(flooded(&[&most[..], &most[..1]].concat()), Err(Misbehaved::TooMuch));
    }
}
