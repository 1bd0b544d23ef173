//! Which of several versions of one record stands.
//!
//! Every store keeps the highest version by [`Order`], and nothing else decides. The order is total, so that all stores
//! decide alike whatever arrives first. Of two versions of one id that one is higher
//!
//! 1. which is a deletion: as long as a tombstone lasts, nobody brings back what it hides;
//! 2. which has the higher **base**: the version that the creator signed last, as far as its signer knew. That of a
//!    version by the creator is its own; that of a change by another stands in its [`Beginning`](super::Beginning), which
//!    the creator signed. So nothing that others make of an older version takes the place of what the creator has said
//!    since, its life included;
//! 3. which has the higher version;
//! 4. which was modified by another, then by the higher modifier id, then later, then with the higher digest. (The last
//!    step of the reference is the larger signature. The digest covers the signature, differs whenever anything differs,
//!    and is kept in memory anyway.)
//!
//! The core's own kinds go by 3 and 4 alone: the maker of such a record takes it back and says it
//! again under one id. Others change none of them, except that members above its maker may take
//! them back.
//!
//! Of two that change a record at the same time, one of them its creator, the creator's change stands. A member that publishes
//! over a version that it holds takes a higher one, and a creator's next version is so the base of what it has seen.
use super::RecordType;
use crate::id::{Digest, PeerId};
use crate::time::WallTime;
use std::fmt;

/// Where a version of a record stands among those of its id: steps 1 to 3. Two that differ in none of these are told apart
/// by [`Order`]. The lowest is that of no record at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edition {
    deleted: bool,
    base: u64,
    version: u64,
}

impl Edition {
    /// Fewest bytes of an edition on the wire.
    pub(crate) const BYTES_MIN: usize = 9;
    const DELETED: u8 = 1;
    const CHANGE: u8 = 2;

    /// Of a record of this type, with this version and base.
    pub fn of(kind: &RecordType, (version, base): (u64, u64), deleted: bool) -> Self {
        Self::new(kind.is_reserved(), (version, base), deleted)
    }

    pub(super) fn new(reserved: bool, (version, base): (u64, u64), deleted: bool) -> Self {
        match reserved {
            true => Self { deleted: false, base: version, version },
            false => Self { deleted, base, version },
        }
    }

    /// The version.
    pub fn version(self) -> u64 {
        self.version
    }

    /// The creator's version that it is, or is a change of.
    pub(crate) fn base(self) -> u64 {
        self.base
    }

    /// Flags, version, and the base if that is another: 9 or 17 bytes.
    pub(crate) fn to_bytes(self) -> impl Iterator<Item = u8> {
        let is_change = self.base != self.version;
        let deleted = u8::from(self.deleted) * Self::DELETED;
        let flags = deleted | (u8::from(is_change) * Self::CHANGE);
        let base = is_change.then(|| self.base.to_be_bytes()).into_iter().flatten();
        std::iter::once(flags).chain(self.version.to_be_bytes()).chain(base)
    }

    /// Reads one from the front of `bytes`. Returns it with what follows; flags of later versions are ignored.
    pub(crate) fn from_front(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (&flags, rest) = bytes.split_first()?;
        let (version, rest) = rest.split_first_chunk()?;
        let version = u64::from_be_bytes(*version);
        let (base, rest) = match flags & Self::CHANGE {
            0 => (version, rest),
            _ => rest.split_first_chunk().map(|(base, rest)| (u64::from_be_bytes(*base), rest))?,
        };
        Some((Self { deleted: flags & Self::DELETED != 0, base, version }, rest))
    }
}

/// A digit for a deletion, the base and the version in 20 digits each: compared as text it is the same order.
impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:020}{:020}", u8::from(self.deleted), self.base, self.version)
    }
}

/// The conflict order of the versions of one record: the highest stands. Fields in the order of their weight; an absent
/// modifier is lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Order {
    pub(super) edition: Edition,
    pub(super) modifier: Option<PeerId>,
    pub(super) modified: WallTime,
    pub(super) digest: Digest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edition_comes_back_from_its_bytes_and_leaves_the_rest() {
        for (deleted, base) in [(false, 7), (true, 7), (false, 3), (true, u64::MAX)] {
            let edition = Edition { deleted, base, version: 7 };
            let bytes: Vec<u8> = edition.to_bytes().chain([9]).collect();
            assert_eq!(bytes.len(), if base == 7 { 10 } else { 18 });
            assert_eq!(Edition::from_front(&bytes), Some((edition, &[9][..])));
            for end in 0..bytes.len() - 1 {
                assert_eq!(Edition::from_front(&bytes[..end]), None);
            }
        }
    }

    /// The rules of the module head, step by step.
    #[test]
    fn conflict_order_is_total_and_weighs_its_fields_in_order() {
        let order = |edition, modifier: Option<u8>, modified, digest| Order {
            edition,
            modifier: modifier.map(|byte| PeerId::from_bytes([byte; 32])),
            modified: WallTime(modified),
            digest: Digest::from_bytes([digest; 32]),
        };
        let edition = |base, version| Edition::new(false, (version, base), false);
        let grave = |base, version| Edition::new(false, (version, base), true);
        let rising = [
            order(Edition::default(), None, 0, 0),
            order(edition(1, 1), None, 9, 9),
            order(edition(1, 2), Some(1), 1, 9),
            order(edition(1, 2), Some(2), 1, 1),
            order(edition(1, 2), Some(2), 2, 1),
            order(edition(1, 2), Some(2), 2, 2),
            order(edition(1, 9), Some(2), 0, 0),
            order(edition(5, 5), None, 0, 0),
            order(edition(5, 6), Some(1), 0, 0),
            order(grave(1, 3), Some(1), 0, 0),
            order(grave(5, 5), None, 0, 0),
        ];
        assert!(rising.is_sorted_by(|a, b| a < b));
        assert!(rising.map(|it| it.edition.to_string()).is_sorted());
        let of = |kind: &str, version, deleted| {
            Edition::of(&RecordType::new(kind).unwrap(), (version, 1), deleted)
        };
        assert!(of(RecordType::INVITATION, 2, true) < of(RecordType::INVITATION, 3, false));
        assert!(of("note", 2, true) > of("note", 3, false));
    }
}
