//! The records that a revocation keeps.
//!
//! A revoked member can sign records with old dates for ever, so a revocation lists those that were there. A record is named
//! by the beginning of a hash over its digest and a **salt**, which is drawn when the revocation is made. A member that
//! prepares two records of one name, to publish one and keep the other for later, would have to know the salt before. The only
//! way left is to find, afterwards, a record with one of the names that were listed: with 2^18 names that takes 2^78
//! signatures. Without the salt names of this length would be worth 2^48. They are short because all that one member may hold
//! has to fit into one record: a member whose records cannot be listed could not be revoked without losing them.
use crate::id::Digest;
use crate::limits::{MEMBER_RECORDS_DEFAULT, REVOCATION_KEPT_MAX};

/// Bytes of a name.
pub(crate) const NAME_BYTES: usize = 12;
const SALT_BYTES: usize = 16;

const _: () = assert!(REVOCATION_KEPT_MAX > MEMBER_RECORDS_DEFAULT as usize);

/// The list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    salt: [u8; SALT_BYTES],
    /// Sorted, each once.
    names: Vec<[u8; NAME_BYTES]>,
}

impl Kept {
    pub(crate) fn new(salt: [u8; SALT_BYTES], digests: impl IntoIterator<Item = Digest>) -> Self {
        let mut names: Vec<_> =
            digests.into_iter().map(|digest| Self::name(&salt, &digest)).collect();
        names.sort_unstable();
        names.dedup();
        Self { salt, names }
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::default());
        }
        let (&salt, names) = bytes.split_first_chunk()?;
        let (names, []) = names.as_chunks() else { return None };
        let sorted = names.windows(2).all(|pair| pair[0] < pair[1]);
        (sorted && !names.is_empty()).then(|| Self { salt, names: names.to_vec() })
    }

    /// The salt, then the names in order; nothing if nothing is kept.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        if self.names.is_empty() {
            return Vec::new();
        }
        [&self.salt[..], self.names.as_flattened()].concat()
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn contains(&self, digest: &Digest) -> bool {
        self.names.binary_search(&Self::name(&self.salt, digest)).is_ok()
    }

    fn name(salt: &[u8; SALT_BYTES], digest: &Digest) -> [u8; NAME_BYTES] {
        let hash = Digest::of(&[&salt[..], digest.as_bytes()].concat());
        std::array::from_fn(|at| hash.as_bytes()[at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_comes_back_as_it_was_and_in_one_form_only() {
        let digests = || (0..100_u64).map(|n| Digest::of(&n.to_be_bytes()));
        let kept = Kept::new([7; 16], digests().chain(digests()));
        assert_eq!(kept.len(), 100);
        assert!(digests().all(|digest| kept.contains(&digest)));
        assert!(!kept.contains(&Digest::of(b"another")));
        let bytes = kept.to_bytes();
        assert_eq!(Kept::from_bytes(&bytes).as_ref(), Some(&kept));
        let mut turned = bytes.clone();
        turned[SALT_BYTES..][..2 * NAME_BYTES].rotate_left(NAME_BYTES);
        for wrong in [&bytes[..bytes.len() - 1], &turned, &bytes[..SALT_BYTES], &[0]] {
            assert_eq!(Kept::from_bytes(wrong), None);
        }
        assert_eq!(Kept::from_bytes(&Kept::new([7; 16], []).to_bytes()), Some(Kept::default()));
    }

    /// Two records that have one name under one salt have two under another: nobody can prepare them.
    #[test]
    fn names_depend_on_the_salt() {
        let [ours, theirs] =
            [[1; 16], [2; 16]].map(|salt| Kept::new(salt, [Digest::of(b"record")]));
        assert_ne!(ours.names, theirs.names);
    }
}
