//! Part of an index: some documents, newest first, with all their keys. Nothing is added to it, and what is taken out is
//! only marked until it is merged with others.
//!
//! Everything but those marks is the same from its making to its end, and nothing in it points outside but the slots of
//! its documents: a store could keep it as it is.
use super::dictionary::{Dictionary, Entry, Reader};
use super::list::{List, Writer};
use super::term;
use crate::record::Cursor;
use crate::time::WallTime;

/// Documents between two whose places in the order are kept beside them. Guess: some comparisons, and little memory.
const MARK_EVERY: usize = 64;

/// Documents and their keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Segment {
    dictionary: Dictionary,
    lists: Vec<u8>,
    /// The slots of the documents in the index of records.
    slots: Vec<u32>,
    /// How many words each has.
    lengths: Vec<u16>,
    /// Where every 64th is in the order of records.
    marks: Vec<Cursor>,
    /// Those that were taken out.
    dead: Vec<u64>,
    dead_count: usize,
    /// Words of those that were not.
    words: u64,
    /// Postings and documents, of all.
    weight: u64,
}

impl Segment {
    /// How many documents, those that were taken out included.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// How many were not taken out.
    pub(crate) fn living(&self) -> usize {
        self.len() - self.dead_count
    }

    /// Words of those.
    pub(crate) fn words(&self) -> u64 {
        self.words
    }

    /// How much work it is to go through it: postings and documents.
    pub(crate) fn weight(&self) -> u64 {
        self.weight
    }

    /// Bytes in memory.
    pub(crate) fn memory(&self) -> usize {
        self.dictionary.memory()
            + self.lists.capacity()
            + 4 * self.slots.capacity()
            + 2 * self.lengths.capacity()
            + size_of::<Cursor>() * self.marks.capacity()
            + 8 * self.dead.capacity()
    }

    pub(crate) fn dictionary(&self) -> &Dictionary {
        &self.dictionary
    }

    /// The list that an entry names.
    pub(crate) fn list(&self, key: &[u8], entry: Entry) -> List<'_> {
        let bytes = self.lists.get(entry.from as usize..entry.to as usize).unwrap_or_default();
        List::new(bytes, entry.documents, term::has_places(key))
    }

    /// The slot of a document.
    pub(crate) fn slot(&self, document: u16) -> u32 {
        self.slots[usize::from(document)]
    }

    /// How many words a document has.
    pub(crate) fn length(&self, document: u16) -> u32 {
        self.lengths[usize::from(document)].into()
    }

    /// Whether a document was taken out.
    pub(crate) fn is_dead(&self, document: u16) -> bool {
        self.dead[usize::from(document) / 64] >> (document % 64) & 1 == 1
    }

    /// Whether any was.
    pub(crate) fn has_dead(&self) -> bool {
        self.dead_count > 0
    }

    /// Takes a document out.
    pub(crate) fn kill(&mut self, document: u16) {
        if !self.is_dead(document) {
            self.dead[usize::from(document) / 64] |= 1 << (document % 64);
            self.dead_count += 1;
            self.words -= u64::from(self.lengths[usize::from(document)]);
        }
    }

    /// Where its newest document is in the order, or was.
    pub(crate) fn newest(&self) -> Option<Cursor> {
        self.marks.first().copied()
    }

    /// The documents that were changed last between two moments, both included, and at most some before and after them.
    pub(crate) fn about(&self, from: WallTime, to: WallTime) -> (u32, u32) {
        let later = self.marks.partition_point(|mark| mark.modified > to).saturating_sub(1);
        let end = self.marks.partition_point(|mark| mark.modified >= from);
        ((later * MARK_EVERY) as u32, (end * MARK_EVERY).min(self.len()) as u32)
    }

    /// A document at or before the first one that comes after a cursor, when the newest comes first.
    pub(crate) fn begin_after(&self, cursor: Cursor) -> u32 {
        let marks = self.marks.partition_point(|mark| *mark >= cursor);
        (marks.saturating_sub(1) * MARK_EVERY) as u32
    }
}

/// Writes a segment: its documents, then its keys in order.
#[derive(Default)]
pub(crate) struct Builder {
    segment: Segment,
    writer: Writer,
}

impl Builder {
    /// Adds a document, older than all before.
    pub(crate) fn document(&mut self, slot: u32, length: u16, cursor: Cursor) {
        let segment = &mut self.segment;
        if segment.slots.len().is_multiple_of(MARK_EVERY) {
            segment.marks.push(cursor);
            segment.dead.push(0);
        }
        segment.slots.push(slot);
        segment.lengths.push(length);
        segment.words += u64::from(length);
        segment.weight += 1;
    }

    /// Begins the list of a key, higher than all before.
    pub(crate) fn key(&mut self, key: &[u8]) {
        self.writer.begin(term::has_places(key));
    }

    /// Adds a document, higher than all before, with its places, which rise.
    pub(crate) fn posting(&mut self, document: u16, places: impl ExactSizeIterator<Item = u32>) {
        self.segment.weight += 1;
        self.writer.add(document, places);
    }

    /// Ends the list of the key, which is none if no document has it.
    pub(crate) fn end_key(&mut self, key: &[u8]) {
        if self.writer.documents > 0 {
            let bytes = self.writer.end(&mut self.segment.lists);
            self.segment.dictionary.add(key, self.writer.documents, bytes);
        }
    }

    /// Bytes in memory.
    pub(crate) fn memory(&self) -> usize {
        self.segment.memory()
    }

    /// The segment.
    pub(crate) fn end(self) -> Segment {
        let mut segment = self.segment;
        segment.dictionary.end();
        segment.lists.shrink_to_fit();
        segment.slots.shrink_to_fit();
        segment.lengths.shrink_to_fit();
        segment.marks.shrink_to_fit();
        segment.dead.shrink_to_fit();
        segment
    }
}

/// The keys of a segment in order, each with its list.
pub(crate) struct Keys<'a> {
    segment: &'a Segment,
    reader: Reader,
}

impl<'a> Keys<'a> {
    /// From the first key on that is not below this one.
    pub(crate) fn from(segment: &'a Segment, key: &[u8]) -> Self {
        Self { segment, reader: segment.dictionary.from(key) }
    }

    /// The next key that is below `to`, with what is said of it.
    pub(crate) fn next(&mut self, to: &[u8]) -> Option<(&[u8], Entry)> {
        let entry = self.reader.next(&self.segment.dictionary)?;
        (self.reader.key() < to).then(|| (self.reader.key(), entry))
    }
}
