//! The keys of one segment in their order, and where their lists are.
//!
//! ```text
//! block = where its first list begins ‖ *entry                     of 16 entries
//! entry = bytes in common with the key before (0 in the first) ‖ length of the rest ‖ rest ‖ documents ‖ bytes of the list
//! ```
use super::varint;
use std::cmp::Ordering;

/// Entries of a block. Guess: few enough to be read through, and the whole key that each block begins with costs little.
const BLOCK: usize = 16;

/// Keys and where their lists are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dictionary {
    bytes: Vec<u8>,
    /// Where each block begins.
    blocks: Vec<u32>,
    entries: u32,
    lists_end: u32,
    /// While it is written.
    last: Vec<u8>,
}

/// The entry of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// How many documents have it.
    pub(crate) documents: u32,
    /// Where its list begins and ends.
    pub(crate) from: u32,
    pub(crate) to: u32,
}

impl Dictionary {
    /// Adds a key, higher than all before, whose list of so many bytes follows the one before.
    pub(crate) fn add(&mut self, key: &[u8], documents: u32, bytes: usize) {
        let mut shared = 0;
        if (self.entries as usize).is_multiple_of(BLOCK) {
            self.blocks.push(self.bytes.len() as u32);
            varint::write(self.lists_end, &mut self.bytes);
        } else {
            shared = self.last.iter().zip(key).take_while(|(a, b)| a == b).count();
        }
        varint::write(shared as u32, &mut self.bytes);
        varint::write((key.len() - shared) as u32, &mut self.bytes);
        self.bytes.extend_from_slice(&key[shared..]);
        varint::write(documents, &mut self.bytes);
        varint::write(bytes as u32, &mut self.bytes);
        self.lists_end += bytes as u32;
        self.entries += 1;
        self.last.truncate(shared);
        self.last.extend_from_slice(&key[shared..]);
    }

    /// Nothing is added any more.
    pub(crate) fn end(&mut self) {
        self.last = Vec::new();
        self.bytes.shrink_to_fit();
        self.blocks.shrink_to_fit();
    }

    /// Bytes in memory.
    pub(crate) fn memory(&self) -> usize {
        self.bytes.capacity() + 4 * self.blocks.capacity() + self.last.capacity()
    }

    /// The key that a block begins with.
    fn first_of(&self, block: usize) -> &[u8] {
        let mut at = self.blocks[block] as usize;
        varint::skip(&self.bytes, &mut at, 2);
        let length = varint::read(&self.bytes, &mut at) as usize;
        self.bytes.get(at..at.saturating_add(length)).unwrap_or_default()
    }

    /// The entry of a key.
    pub(crate) fn find(&self, key: &[u8]) -> Option<Entry> {
        let mut reader = self.from(key);
        reader.next(self).filter(|_| reader.key() == key)
    }

    /// Reads from the first key on that is not below this one.
    pub(crate) fn from(&self, key: &[u8]) -> Reader {
        let (mut low, mut high) = (0, self.blocks.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.first_of(middle) <= key { low = middle + 1 } else { high = middle }
        }
        let mut reader = Reader { entry: low.saturating_sub(1) * BLOCK, ..Reader::default() };
        let mut before = reader.clone();
        while reader.next(self).is_some() && reader.key().cmp(key) == Ordering::Less {
            before.clone_from(&reader);
        }
        before
    }
}

/// A place in a dictionary. It borrows nothing, so that a merge can keep it between its steps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reader {
    /// Number of the next entry.
    entry: usize,
    /// Where it is, unless it begins a block.
    at: usize,
    key: Vec<u8>,
    /// Where the list of the entry before ends.
    to: u32,
}

impl Reader {
    /// The key that was read last.
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    /// Reads the next key.
    pub(crate) fn next(&mut self, dictionary: &Dictionary) -> Option<Entry> {
        if self.entry >= dictionary.entries as usize {
            return None;
        }
        let bytes = &dictionary.bytes;
        if self.entry.is_multiple_of(BLOCK) {
            self.at = dictionary.blocks[self.entry / BLOCK] as usize;
            self.to = varint::read(bytes, &mut self.at);
        }
        let shared = varint::read(bytes, &mut self.at) as usize;
        let length = varint::read(bytes, &mut self.at) as usize;
        self.key.truncate(shared);
        let end = self.at.saturating_add(length);
        self.key.extend_from_slice(bytes.get(self.at..end).unwrap_or_default());
        self.at = end;
        let documents = varint::read(bytes, &mut self.at);
        let from = self.to;
        self.to = from.wrapping_add(varint::read(bytes, &mut self.at));
        self.entry += 1;
        Some(Entry { documents, from, to: self.to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sorted::SortedMap;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keys_are_found_and_read_in_their_order(
            keys in prop::collection::vec(prop::collection::vec(0..4_u8, 0..6), 0..200),
            sought in prop::collection::vec(prop::collection::vec(0..4_u8, 0..6), 0..50),
        ) {
            let mut model = SortedMap::new();
            let mut dictionary = Dictionary::default();
            for (n, key) in keys.into_iter().enumerate() {
                model.insert(key, (n as u32, n % 40));
            }
            let mut end = 0;
            let mut entries = SortedMap::new();
            for (key, (documents, bytes)) in &model {
                dictionary.add(key, *documents, *bytes);
                let to = end + *bytes as u32;
                entries.insert(key.clone(), Entry { documents: *documents, from: end, to });
                end = to;
            }
            dictionary.end();
            for key in &sought {
                prop_assert_eq!(dictionary.find(key), entries.get(key).copied());
                let mut reader = dictionary.from(key);
                for (expected, entry) in entries.range(key.clone()..) {
                    prop_assert_eq!(reader.next(&dictionary), Some(*entry));
                    prop_assert_eq!(reader.key(), &expected[..]);
                }
                prop_assert_eq!(reader.next(&dictionary), None);
            }
        }
    }
}
