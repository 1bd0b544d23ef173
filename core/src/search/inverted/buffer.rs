//! Documents that came last, before they are a segment.
use super::segment::{Builder, Segment};
use super::term::{self, Kind};
use crate::index::Index;
use crate::record::Record;
use crate::search::document::{attribute_words, payload_words};
use crate::table::Mixer;
use hashbrown::HashTable;
use std::hash::BuildHasher as _;

/// Documents of a buffer. Guess: few enough to be sorted in a millisecond.
const DOCUMENTS_MAX: usize = 1_024;
/// Keys of its documents, each as often as it stands there. Guess: as above.
const TOKENS_MAX: usize = 65_536;

/// Documents that came last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffer {
    mixer: Mixer,
    keys: Keys,
    documents: Vec<Document>,
    /// Of one document after the other.
    tokens: Vec<Token>,
}

#[derive(Clone, Debug)]
struct Document {
    slot: u32,
    /// Where its tokens end.
    end: usize,
    words: u16,
    dead: bool,
}

/// A key of a document, and a place where it stands.
#[derive(Clone, Copy, Debug)]
struct Token {
    key: u32,
    place: u32,
}

/// One copy of each key.
#[derive(Clone, Debug, Default)]
struct Keys {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
    numbers: HashTable<u32>,
}

impl Keys {
    fn get(&self, number: u32) -> &[u8] {
        let number = number as usize;
        let from = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[from..self.ends[number]]
    }

    fn number(&mut self, key: &[u8], mixer: Mixer) -> u32 {
        let hash = mixer.hash_one(key);
        let found = self.numbers.find(hash, |&number| self.get(number) == key);
        if let Some(number) = found {
            return *number;
        }
        let number = self.ends.len() as u32;
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len());
        let Self { bytes, ends, numbers } = self;
        let hash_of = |&number: &u32| {
            let number = number as usize;
            let from = number.checked_sub(1).map_or(0, |before| ends[before]);
            mixer.hash_one(&bytes[from..ends[number]])
        };
        numbers.insert_unique(hash, number, hash_of);
        number
    }
}

impl Buffer {
    pub(crate) fn new(secret: u64) -> Self {
        Self { mixer: Mixer::new(secret), ..Self::default() }
    }

    /// Whether it is to become a segment.
    pub(crate) fn is_full(&self) -> bool {
        self.documents.len() >= DOCUMENTS_MAX || self.tokens.len() >= TOKENS_MAX
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }

    /// Bytes in memory.
    pub(crate) fn memory(&self) -> usize {
        self.keys.bytes.capacity()
            + 8 * self.keys.ends.capacity()
            + 5 * self.keys.numbers.capacity()
            + size_of::<Document>() * self.documents.capacity()
            + size_of::<Token>() * self.tokens.capacity()
    }

    /// Takes in a record that is in this slot. Returns its number here, and how many tokens it has.
    pub(crate) fn add(&mut self, slot: u32, record: &Record) -> (u16, usize) {
        let before = self.tokens.len();
        let mut words = 0_u16;
        let mut key = term::begun(Kind::Word, None);
        payload_words(record, |word, place| {
            words = words.saturating_add(1);
            self.token_of(&mut key, 1, word.as_bytes(), place);
        });
        self.flag(&[&[Kind::Type.byte()], record.kind.as_str().as_bytes()].concat());
        self.flag(&term::of_peer(Kind::Creator, record.creator));
        if let Some(modifier) = record.modifier {
            self.flag(&term::of_peer(Kind::Modifier, modifier));
        }
        for (n, attribute) in record.attributes.iter().enumerate() {
            self.flag(&term::of_value(&attribute.name, &attribute.value));
            let same = |other: &str| other.eq_ignore_ascii_case(&attribute.name);
            // Values of one name are one field.
            if record.attributes[..n].iter().any(|earlier| same(&earlier.name)) {
                continue;
            }
            let named = record.attributes[n..].iter().filter(|other| same(&other.name));
            let texts = named.filter_map(|other| other.value.text());
            let mut key = term::begun(Kind::AttributeWord, Some(&attribute.name));
            let begun = key.len();
            attribute_words(texts, |word, place| {
                words = words.saturating_add(1);
                self.token_of(&mut key, begun, word.as_bytes(), place);
            });
        }
        self.documents.push(Document { slot, end: self.tokens.len(), words, dead: false });
        ((self.documents.len() - 1) as u16, self.tokens.len() - before)
    }

    /// Takes a document out.
    pub(crate) fn kill(&mut self, document: u16) {
        self.documents[usize::from(document)].dead = true;
    }

    fn flag(&mut self, key: &[u8]) {
        let key = self.keys.number(key, self.mixer);
        self.tokens.push(Token { key, place: 0 });
    }

    fn token_of(&mut self, key: &mut Vec<u8>, begun: usize, rest: &[u8], place: u32) {
        key.truncate(begun);
        key.extend_from_slice(rest);
        let key = self.keys.number(key, self.mixer);
        self.tokens.push(Token { key, place });
    }

    /// Makes a segment of the documents that were not taken out, and is empty then. `moved` is told the slot and the new
    /// number of each.
    pub(crate) fn freeze(&mut self, index: &Index, mut moved: impl FnMut(u32, u16)) -> Segment {
        let mut order: Vec<usize> = (0..self.documents.len()).collect();
        order.retain(|&at| !self.documents[at].dead);
        let cursor = |at: usize| index.at(self.documents[at].slot).cursor();
        order.sort_unstable_by_key(|&at| std::cmp::Reverse(cursor(at)));
        let mut builder = Builder::default();
        for (number, &at) in order.iter().enumerate() {
            let document = &self.documents[at];
            builder.document(document.slot, document.words, cursor(at));
            moved(document.slot, number as u16);
        }
        let (postings, ends) = self.by_key(&order);
        let mut sorted: Vec<u32> = (0..self.keys.ends.len() as u32).collect();
        sorted.sort_unstable_by_key(|&key| self.keys.get(key));
        for number in sorted {
            let key = self.keys.get(number);
            let from = (number as usize).checked_sub(1).map_or(0, |before| ends[before]);
            let of_key = &postings[from..ends[number as usize]];
            builder.key(key);
            for of_document in of_key.chunk_by(|one, other| one.0 == other.0) {
                builder.posting(of_document[0].0, of_document.iter().map(|(_, place)| *place));
            }
            builder.end_key(key);
        }
        *self = Self { mixer: self.mixer, ..Self::default() };
        builder.end()
    }

    /// The documents, by their places in this order, and the places of each key, one key after the other; and where
    /// each key ends.
    fn by_key(&self, order: &[usize]) -> (Vec<(u16, u32)>, Vec<usize>) {
        let tokens_of = |at: usize| {
            let from = at.checked_sub(1).map_or(0, |before| self.documents[before].end);
            &self.tokens[from..self.documents[at].end]
        };
        let mut ends = vec![0; self.keys.ends.len()];
        for &at in order {
            tokens_of(at).iter().for_each(|token| ends[token.key as usize] += 1);
        }
        let mut sum = 0;
        for end in &mut ends {
            sum += std::mem::replace(end, sum);
        }
        let mut postings = vec![(0, 0); sum];
        for (number, &at) in order.iter().enumerate() {
            for token in tokens_of(at) {
                let next = &mut ends[token.key as usize];
                postings[*next] = (number as u16, token.place);
                *next += 1;
            }
        }
        (postings, ends)
    }
}
