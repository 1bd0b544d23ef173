//! Making one segment of several, step by step, so that no input of the node waits for it.
use super::dictionary::{Entry, Reader};
use super::segment::{Builder, Segment};
use super::term;
use crate::index::Index;
use crate::record::Cursor;

/// Stands for the number of a document that is not taken over.
const GONE: u16 = u16::MAX;

/// Documents that are put in order in one step.
const DOCUMENTS_A_STEP: usize = 64;

/// A merge that is under way: first the documents are put in order, then the keys.
pub(crate) struct Merge {
    inputs: Vec<Input>,
    builder: Builder,
    /// The documents, newest first: which input, and which number there.
    documents: Vec<(u16, u16)>,
    ordered: bool,
    /// The key that is written, and places: memory that is used again.
    key: Vec<u8>,
    postings: Vec<(u16, u32, u32)>,
    places: Vec<u32>,
}

struct Input {
    segment: u16,
    /// The document that is next in order, and where it is; nothing at the end.
    head: Option<(u16, Cursor)>,
    /// The new numbers of its documents.
    numbers: Vec<u16>,
    reader: Reader,
    /// The key at which it is; nothing at the end.
    next: Option<Entry>,
}

/// The first document of a segment from there on that was not taken out.
fn head(segment: &Segment, from: usize, index: &Index) -> Option<(u16, Cursor)> {
    let mut living = (from..segment.len()).map(|document| document as u16);
    let document = living.find(|document| !segment.is_dead(*document))?;
    Some((document, index.at(segment.slot(document)).cursor()))
}

impl Merge {
    /// Begins to merge these segments, which have less than 65,535 documents together.
    pub(crate) fn begin(inputs: Vec<u16>, segments: &[Option<Segment>], index: &Index) -> Self {
        let input = |number: u16| {
            let segment = segments[usize::from(number)].as_ref()?;
            let mut reader = Reader::default();
            let next = reader.next(segment.dictionary());
            let (head, numbers) = (head(segment, 0, index), vec![GONE; segment.len()]);
            Some(Input { segment: number, head, numbers, reader, next })
        };
        Self {
            inputs: inputs.into_iter().filter_map(input).collect(),
            builder: Builder::default(),
            documents: Vec::new(),
            ordered: false,
            key: Vec::new(),
            postings: Vec::new(),
            places: Vec::new(),
        }
    }

    /// The segments that are merged.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = u16> {
        self.inputs.iter().map(|input| input.segment)
    }

    /// Bytes in memory.
    pub(crate) fn memory(&self) -> usize {
        let inputs = self.inputs.iter().map(|input| 2 * input.numbers.capacity());
        self.builder.memory() + 4 * self.documents.capacity() + inputs.sum::<usize>()
    }

    /// Takes over some documents, or the next key. Returns the work that was; nothing if all are taken over.
    pub(crate) fn step(&mut self, segments: &[Option<Segment>], index: &Index) -> Option<u64> {
        if !self.ordered {
            let more = (0..DOCUMENTS_A_STEP).all(|_| self.take_document(segments, index));
            self.ordered = !more;
            return Some(DOCUMENTS_A_STEP as u64);
        }
        self.take_key(segments)
    }

    /// Takes over the newest document that is left. Returns whether there was one.
    fn take_document(&mut self, segments: &[Option<Segment>], index: &Index) -> bool {
        let heads = self.inputs.iter().enumerate();
        let heads = heads.filter_map(|(at, input)| Some((input.head?.1, at)));
        let Some((cursor, at)) = heads.max() else { return false };
        let input = &mut self.inputs[at];
        let segment = segments[usize::from(input.segment)].as_ref();
        let (Some((document, _)), Some(segment)) = (input.head, segment) else { return false };
        input.numbers[usize::from(document)] = self.documents.len() as u16;
        // It may have been taken out since it was looked at; then its slot is another's.
        let (slot, length) = (segment.slot(document), segment.length(document) as u16);
        self.builder.document(slot, length, cursor);
        self.documents.push((at as u16, document));
        input.head = head(segment, usize::from(document) + 1, index);
        true
    }

    /// Takes over the next key.
    fn take_key(&mut self, segments: &[Option<Segment>]) -> Option<u64> {
        let Self { inputs, builder, key, postings, places, .. } = self;
        let ahead = inputs.iter().filter(|input| input.next.is_some());
        let lowest = ahead.min_by(|one, other| one.reader.key().cmp(other.reader.key()))?;
        key.clear();
        key.extend_from_slice(lowest.reader.key());
        postings.clear();
        places.clear();
        let mut work = 1;
        for input in inputs.iter_mut() {
            let Some(entry) = input.next.filter(|_| input.reader.key() == &key[..]) else {
                continue;
            };
            let Some(segment) = &segments[usize::from(input.segment)] else { continue };
            let mut list = segment.list(key, entry);
            let mut from = 0;
            while let (Some(document), _) = list.seek(from) {
                from = u32::from(document) + 1;
                work += 1;
                let number = input.numbers[usize::from(document)];
                if number != GONE {
                    let begin = places.len() as u32;
                    if term::has_places(key) {
                        list.places(places);
                    }
                    postings.push((number, begin, places.len() as u32));
                }
            }
            input.next = input.reader.next(segment.dictionary());
        }
        // Some runs in order.
        postings.sort();
        builder.key(key);
        for &(number, from, to) in postings.iter() {
            let of_document = &places[from as usize..to as usize];
            builder.posting(number, of_document.iter().copied());
        }
        builder.end_key(key);
        Some(work)
    }

    /// The segment, of which documents that were taken out meanwhile are marked. `moved` is told the slot and the new number
    /// of each other document.
    pub(crate) fn end(
        self,
        segments: &[Option<Segment>],
        mut moved: impl FnMut(u32, u16),
    ) -> Segment {
        let mut merged = self.builder.end();
        for (number, (at, document)) in self.documents.into_iter().enumerate() {
            let number = number as u16;
            let input = &segments[usize::from(self.inputs[usize::from(at)].segment)];
            match input {
                Some(segment) if !segment.is_dead(document) => moved(merged.slot(number), number),
                Some(_) | None => merged.kill(number),
            }
        }
        merged
    }
}
