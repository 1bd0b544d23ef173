//! The records of one class of one group: by id, and in the order of (modified, id) with fingerprints of ranges.
//!
//! The order is a list of chunks of at most 256 records, each with the sum of its records' digests.
//! A range costs its two end chunks and one look at each chunk between, so that a million records take about
//! 8,000 looks, and a change costs one chunk.
//!
//! **Fingerprint of a range**: SHA-256 of the sum of its records' digests modulo 2^256 and of their
//! number, cut to 16 bytes. A digest covers id and version with everything else. Adding lets a
//! record come and go without a look at the others. One attack stays possible: a member that may
//! publish tens of thousands of records can, with much work, choose two sets of its *own* records
//! with one sum. Two stores then stay different in these records until another record between them
//! differs.
use crate::id::{CertificateId, Digest, PeerId, RecordId};
use crate::record::{Cursor, Meta, RecordType};
use crate::sorted::SortedSet;
use crate::symbols::{self, Symbol, Symbols};
use crate::table::{Mixer, Table};
use crate::time::WallTime;
use hashbrown::HashTable;
use sha2::{Digest as _, Sha256};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::hash::{BuildHasher as _, Hash};
use std::ops::Range;
use std::sync::Arc;

#[cfg(test)]
pub(crate) mod tests;

/// Records of one chunk. Guess: a change moves 8 KB at most, and a million records make 4,000 to 8,000 chunks.
const CHUNK_MAX: usize = 256;
/// Changes remembered, so that symbols of one moment can be told while records come and go. Guess:
/// more than come in a round trip. A comparison that takes longer goes on with ranges.
const JOURNAL_MAX: usize = 1_024;
/// Ends of records that are gone, beside as many as there are records. Guess.
const GONE_ENDS_MAX: usize = 64;
/// Symbols that the fingerprint of all records covers.
const HASHED_SYMBOLS: usize = 16;

/// A fingerprint, by which two stores compare the records of a range.
pub type Fingerprint128 = [u8; 16];

/// Number and fingerprint of the records of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How many records.
    pub count: usize,
    /// Equal exactly if the records are (but for a collision).
    pub fingerprint: Fingerprint128,
}

/// The records of one class of one group.
#[derive(Clone, Debug, Default)]
pub struct Index {
    /// In the order of (modified, id); none is empty.
    chunks: Vec<Chunk>,
    slots: Slots,
    /// Slots by id, and by short id.
    by_id: HashTable<u32>,
    by_short: HashTable<u32>,
    mixer: Mixer,
    /// Ends of records, those that are gone included until they come up.
    by_expiry: BinaryHeap<Reverse<(WallTime, RecordId)>>,
    symbols: Symbols,
    /// Of all records together.
    bytes: u64,
    changes: u64,
    /// The last changes: a short id and whether it came (1) or went (-1).
    journal: VecDeque<(u64, i8)>,
    shared: Shared,
}

impl Index {
    /// An empty index whose tables are hashed with this secret.
    pub fn new(secret: u64) -> Self {
        let mixer = Mixer::new(secret);
        let shared = Shared {
            peers: Table::with_hasher(mixer),
            certificates: Table::with_hasher(mixer),
            ..Shared::default()
        };
        Self { mixer, shared, ..Self::default() }
    }

    /// Takes in a record, in the place of the one with its id, which is returned. The caller
    /// decides whether it *should* take that place ([`Meta::order`]).
    pub fn insert(&mut self, mut meta: Meta) -> Option<Meta> {
        self.shared.adopt(&mut meta);
        let old = self.remove(&meta.id);
        let (id, short, cursor) = (meta.id, meta.short(), meta.cursor());
        let (size, sum) = (meta.size, Sum::of(&meta.digest));
        self.by_expiry.push(Reverse((meta.expires, id)));
        let Self { slots, mixer, .. } = self;
        let slot = slots.add(meta);
        let by_id = |&slot: &u32| mixer.hash_one(slots.get(slot).id);
        self.by_id.insert_unique(mixer.hash_one(id), slot, by_id);
        let by_short = |&slot: &u32| mixer.hash_one(slots.get(slot).short());
        self.by_short.insert_unique(mixer.hash_one(short), slot, by_short);
        self.bytes += u64::from(size);
        self.changed(short, 1);
        self.place(Entry { cursor, slot }, sum);
        old
    }

    /// Takes out a record.
    pub fn remove(&mut self, id: &RecordId) -> Option<Meta> {
        let Self { slots, mixer, .. } = self;
        let hash = mixer.hash_one(id);
        let found = self.by_id.find_entry(hash, |&slot| slots.get(slot).id == *id).ok()?;
        let (slot, _) = found.remove();
        let meta = slots.take(slot);
        let hash = mixer.hash_one(meta.short());
        if let Ok(found) = self.by_short.find_entry(hash, |&other| other == slot) {
            found.remove();
        }
        self.settle_expiry();
        self.bytes -= u64::from(meta.size);
        self.changed(meta.short(), -1);
        let cursor = meta.cursor();
        let at = self.chunk_of(&cursor);
        self.chunks[at].remove(&cursor, &Sum::of(&meta.digest));
        if self.chunks[at].entries.is_empty() {
            self.chunks.remove(at);
        } else {
            self.merge(at);
        }
        self.shared.sweep(self.by_id.len());
        Some(meta)
    }

    /// The record with this id.
    pub fn get(&self, id: &RecordId) -> Option<&Meta> {
        Some(self.slots.get(self.slot(id)?))
    }

    /// The slot of the record with this id: a number below the most records that there ever were, which stays the same until
    /// the record is changed or taken out.
    pub fn slot(&self, id: &RecordId) -> Option<u32> {
        let hash = self.mixer.hash_one(id);
        self.by_id.find(hash, |&slot| self.slots.get(slot).id == *id).copied()
    }

    /// The record in a slot, which must have one.
    pub(crate) fn at(&self, slot: u32) -> &Meta {
        self.slots.get(slot)
    }

    /// How many records.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Bytes of all records together.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// All records, in the order of (modified, id).
    pub fn iter(&self) -> impl Iterator<Item = &Meta> {
        self.range(Cursor::default(), None)
    }

    /// All records, in the reverse of that order.
    pub fn newest(&self) -> impl Iterator<Item = &Meta> {
        let entries = self.chunks.iter().rev().flat_map(|chunk| chunk.entries.iter().rev());
        entries.map(|entry| self.slots.get(entry.slot))
    }

    /// The records after `cursor`, in order; all if there is none.
    pub fn after(&self, cursor: Option<Cursor>) -> impl Iterator<Item = &Meta> {
        let from = cursor.unwrap_or_default();
        self.range(from, None).skip_while(move |meta| cursor == Some(meta.cursor()))
    }

    /// The records at or after `lower` and before `upper`, in order; without `upper` to the last.
    pub fn range(&self, lower: Cursor, upper: Option<Cursor>) -> impl Iterator<Item = &Meta> {
        let first = self.chunk_of(&lower);
        let skip = self.chunks.get(first).map_or(0, |chunk| chunk.place(&lower));
        let chunks = self.chunks.get(first..).unwrap_or_default();
        chunks
            .iter()
            .flat_map(|chunk| &chunk.entries)
            .skip(skip)
            .take_while(move |entry| upper.is_none_or(|upper| entry.cursor < upper))
            .map(|entry| self.slots.get(entry.slot))
    }

    /// The records before `cursor`, the last one first; all without it.
    pub fn before(&self, cursor: Option<Cursor>) -> impl Iterator<Item = &Meta> {
        let last = cursor.map_or(self.chunks.len(), |cursor| self.chunk_of(&cursor) + 1);
        let chunks = self.chunks.get(..last.min(self.chunks.len())).unwrap_or_default();
        chunks
            .iter()
            .rev()
            .flat_map(|chunk| chunk.entries.iter().rev())
            .skip_while(move |entry| cursor.is_some_and(|cursor| entry.cursor >= cursor))
            .map(|entry| self.slots.get(entry.slot))
    }

    /// The record that ends first, with that time; the lower id of two.
    pub fn next_expiry(&self) -> Option<(WallTime, RecordId)> {
        self.by_expiry.peek().map(|Reverse(end)| *end)
    }

    /// Removes the ends of records that are gone from the front, and all of them once they are most
    /// of the ends.
    fn settle_expiry(&mut self) {
        let mut ends = std::mem::take(&mut self.by_expiry);
        let stands =
            |(at, id): &(WallTime, RecordId)| self.get(id).is_some_and(|meta| meta.expires == *at);
        if ends.len() > 2 * self.len() + GONE_ENDS_MAX {
            ends.retain(|Reverse(end)| stands(end));
        }
        while ends.peek().is_some_and(|Reverse(end)| !stands(end)) {
            ends.pop();
        }
        self.by_expiry = ends;
    }

    /// Number and fingerprint of the records at or after `lower` and before `upper`; without `upper` to the last.
    pub fn summary(&self, lower: Cursor, upper: Option<Cursor>) -> Summary {
        let mut sum = Sum::default();
        let mut count = 0;
        for (chunk, from, to) in self.slices(lower, upper) {
            count += to - from;
            if to - from == chunk.entries.len() {
                sum.add(&chunk.sum);
            } else {
                chunk.entries[from..to].iter().for_each(|entry| sum.add(&self.slots.sum(entry)));
            }
        }
        Summary { count, fingerprint: sum.fingerprint(count) }
    }

    /// How many records are at or after `lower` and before `upper`.
    pub fn count(&self, lower: Cursor, upper: Option<Cursor>) -> usize {
        self.slices(lower, upper).map(|(_, from, to)| to - from).sum()
    }

    /// Divides the range at its records `places`, counted from 0 and rising. Returns the places between the parts:
    /// each is the first record of its part and above the record before, as a cursor with as few bytes of an id as
    /// tell the two apart.
    pub fn bounds(&self, lower: Cursor, upper: Option<Cursor>, places: &[usize]) -> Vec<Cursor> {
        let mut wanted = places.iter().copied().filter(|&nth| nth > 0).peekable();
        let mut bounds = Vec::new();
        let mut seen = 0;
        let mut last = None;
        for (chunk, from, to) in self.slices(lower, upper) {
            while let Some(nth) = wanted.next_if(|&nth| nth < seen + to - from) {
                let at = from + nth - seen;
                let before = if at > from { Some(&chunk.entries[at - 1]) } else { last };
                let bound = before.map(|before| between(before.cursor, chunk.entries[at].cursor));
                bounds.extend(bound.filter(|bound| bounds.last() != Some(bound)));
            }
            seen += to - from;
            last = chunk.entries[from..to].last();
        }
        bounds
    }

    /// The fingerprint of all records and of their first symbols. It is stronger than the
    /// fingerprint of a range: two sets of records with one sum need not agree in their symbols
    /// too.
    pub fn fingerprint(&self) -> Fingerprint128 {
        let all = self.summary(Cursor::default(), None);
        let mut hash = Sha256::new();
        hash.update(all.fingerprint);
        let symbols = self.symbols().iter().copied().chain(std::iter::repeat(Symbol::default()));
        symbols.take(HASHED_SYMBOLS).for_each(|symbol| hash.update(symbol.to_bytes()));
        cut(&hash.finalize())
    }

    /// The first symbols of all records; at least a quarter as many as there are records.
    pub fn symbols(&self) -> &[Symbol] {
        self.symbols.as_slice()
    }

    /// How many records came and went so far.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Some of the first symbols, as they were after so many changes. `None` if there are not so many, or if that
    /// is longer ago than is remembered.
    pub fn symbols_as_of(&self, range: Range<usize>, changes: u64) -> Option<Vec<Symbol>> {
        let mut symbols = self.symbols().get(range.clone())?.to_vec();
        let undone = usize::try_from(self.changes.checked_sub(changes)?).ok()?;
        let first = self.journal.len().checked_sub(undone)?;
        for &(short, count) in self.journal.range(first..) {
            symbols::toggle(&mut symbols, range.clone(), short, -count);
        }
        Some(symbols)
    }

    /// The records with this short id: one, none, or by collision several.
    pub fn by_short(&self, short: u64) -> impl Iterator<Item = RecordId> {
        let candidates = self.by_short.iter_hash(self.mixer.hash_one(short));
        let metas = candidates.map(|&slot| self.slots.get(slot));
        metas.filter(move |meta| meta.short() == short).map(|meta| meta.id)
    }

    /// A record of this short id came (`count` 1) or went (-1).
    fn changed(&mut self, short: u64, count: i8) {
        match self.symbols.outgrown(self.by_id.len()) {
            Some(kept) => self.symbols = Symbols::of(kept, self.slots.iter().map(Meta::short)),
            None => self.symbols.toggle(short, count),
        }
        self.changes += 1;
        self.journal.push_back((short, count));
        if self.journal.len() > JOURNAL_MAX {
            self.journal.pop_front();
        }
    }

    /// The chunks that a range touches, each with the part of it that is inside.
    fn slices(
        &self,
        lower: Cursor,
        upper: Option<Cursor>,
    ) -> impl Iterator<Item = (&Chunk, usize, usize)> {
        let first = self.chunk_of(&lower);
        let chunks = self.chunks.get(first..).unwrap_or_default();
        let inside = move |chunk: &&Chunk| upper.is_none_or(|upper| chunk.first < upper);
        chunks.iter().take_while(inside).enumerate().map(move |(i, chunk)| {
            let from = if i == 0 { chunk.place(&lower) } else { 0 };
            let whole = upper.is_none_or(|upper| chunk.last() < upper);
            let to = if whole { chunk.entries.len() } else { upper.map_or(0, |u| chunk.place(&u)) };
            (chunk, from, to.max(from))
        })
    }

    /// Puts a record into its chunk, after room was made there.
    fn place(&mut self, entry: Entry, sum: Sum) {
        let at = self.chunk_of(&entry.cursor);
        let is_last = at + 1 >= self.chunks.len();
        match self.chunks.get_mut(at) {
            Some(chunk) if chunk.entries.len() < CHUNK_MAX => chunk.insert(entry, &sum),
            // Records that come in order fill their chunks.
            Some(chunk) if is_last && chunk.last() < entry.cursor => {
                self.chunks.push(Chunk::of(entry, sum));
            }
            Some(chunk) => {
                let mut upper = chunk.split(&self.slots);
                let half = if upper.first <= entry.cursor { &mut upper } else { chunk };
                half.insert(entry, &sum);
                self.chunks.insert(at + 1, upper);
            }
            None => self.chunks.push(Chunk::of(entry, sum)),
        }
    }

    /// The chunk in which a record of this cursor is or would be; 0 if there is none.
    fn chunk_of(&self, cursor: &Cursor) -> usize {
        self.chunks.partition_point(|chunk| chunk.first <= *cursor).saturating_sub(1)
    }

    /// Joins a chunk that became small with its successor, so that chunks stay a quarter full on average.
    fn merge(&mut self, at: usize) {
        let Some(next) = self.chunks.get(at + 1) else { return };
        if self.chunks[at].entries.len() + next.entries.len() <= CHUNK_MAX / 2 {
            let next = self.chunks.remove(at + 1);
            self.chunks[at].sum.add(&next.sum);
            self.chunks[at].entries.extend(next.entries);
        }
    }
}

/// The lowest cursor in the fewest bytes that is above `left` and not above `right`.
fn between(left: Cursor, right: Cursor) -> Cursor {
    let mut id = [0; RecordId::BYTES];
    if left.modified == right.modified {
        let (left, right) = (left.id.as_bytes(), right.id.as_bytes());
        let differ = left.iter().zip(right).take_while(|(l, r)| l == r).count();
        let len = (differ + 1).min(id.len());
        id[..len].copy_from_slice(&right[..len]);
    }
    Cursor { modified: right.modified, id: RecordId::from_bytes(id) }
}

/// The records themselves, each in a slot of its own that it keeps.
#[derive(Clone, Debug, Default)]
struct Slots {
    metas: Vec<Option<Meta>>,
    free: Vec<u32>,
}

#[expect(clippy::expect_used, reason = "an index names only slots that it has filled")]
impl Slots {
    fn add(&mut self, meta: Meta) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.metas[slot as usize] = Some(meta);
            return slot;
        }
        self.metas.push(Some(meta));
        u32::try_from(self.metas.len() - 1).expect("a group holds fewer records")
    }

    fn take(&mut self, slot: u32) -> Meta {
        self.free.push(slot);
        self.metas[slot as usize].take().expect(TAKEN)
    }

    fn get(&self, slot: u32) -> &Meta {
        self.metas[slot as usize].as_ref().expect(TAKEN)
    }

    fn sum(&self, entry: &Entry) -> Sum {
        Sum::of(&self.get(entry.slot).digest)
    }

    /// All, in no order that means anything.
    fn iter(&self) -> impl Iterator<Item = &Meta> {
        self.metas.iter().flatten()
    }
}

/// Why a slot holds a record.
const TAKEN: &str = "tables and order name slots that are taken";

/// A record's place in the order.
#[derive(Clone, Copy, Debug)]
struct Entry {
    cursor: Cursor,
    slot: u32,
}

/// Neighbours in the order, at least one.
#[derive(Clone, Debug)]
struct Chunk {
    /// Cursor of the first record: looked at in every search, so it stands outside the vector.
    first: Cursor,
    entries: Vec<Entry>,
    sum: Sum,
}

impl Chunk {
    fn of(entry: Entry, sum: Sum) -> Self {
        Self { first: entry.cursor, entries: vec![entry], sum }
    }

    fn last(&self) -> Cursor {
        self.entries[self.entries.len() - 1].cursor
    }

    /// Where the first record at or above `cursor` is.
    fn place(&self, cursor: &Cursor) -> usize {
        self.entries.partition_point(|entry| entry.cursor < *cursor)
    }

    fn insert(&mut self, entry: Entry, sum: &Sum) {
        self.sum.add(sum);
        self.first = self.first.min(entry.cursor);
        self.entries.insert(self.place(&entry.cursor), entry);
    }

    fn remove(&mut self, cursor: &Cursor, sum: &Sum) {
        let entry = self.entries.remove(self.place(cursor));
        assert_eq!(entry.cursor, *cursor, "ids and order tell of the same records");
        self.sum.subtract(sum);
        self.first = self.entries.first().map_or(self.first, |entry| entry.cursor);
    }

    /// Takes the upper half, of a chunk of two and more.
    fn split(&mut self, slots: &Slots) -> Self {
        let entries = self.entries.split_off(self.entries.len() / 2);
        let mut sum = Sum::default();
        entries.iter().for_each(|entry| sum.add(&slots.sum(entry)));
        self.sum.subtract(&sum);
        Self { first: entries[0].cursor, entries, sum }
    }
}

/// A number modulo 2^256, lowest part first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum([u64; 4]);

impl Sum {
    fn of(digest: &Digest) -> Self {
        let mut parts = [0; 4];
        let (chunks, _) = digest.as_bytes().as_chunks();
        for (part, bytes) in parts.iter_mut().zip(chunks) {
            *part = u64::from_le_bytes(*bytes);
        }
        Self(parts)
    }

    fn add(&mut self, other: &Self) {
        let mut carry = false;
        for (mine, other) in self.0.iter_mut().zip(other.0) {
            let (sum, over) = mine.overflowing_add(other);
            let (sum, carried) = sum.overflowing_add(u64::from(carry));
            *mine = sum;
            carry = over || carried;
        }
    }

    fn subtract(&mut self, other: &Self) {
        let mut borrow = false;
        for (mine, other) in self.0.iter_mut().zip(other.0) {
            let (rest, under) = mine.overflowing_sub(other);
            let (rest, borrowed) = rest.overflowing_sub(u64::from(borrow));
            *mine = rest;
            borrow = under || borrowed;
        }
    }

    fn fingerprint(&self, count: usize) -> Fingerprint128 {
        let mut hash = Sha256::new();
        self.0.iter().for_each(|part| hash.update(part.to_le_bytes()));
        hash.update((count as u64).to_le_bytes());
        cut(&hash.finalize())
    }
}

fn cut(hash: &[u8]) -> Fingerprint128 {
    std::array::from_fn(|i| hash[i])
}

/// One copy of each peer id, certificate and type for all records that name it.
#[derive(Clone, Debug, Default)]
struct Shared {
    peers: Table<PeerId, Arc<PeerId>>,
    certificates: Table<CertificateId, Arc<CertificateId>>,
    kinds: SortedSet<RecordType>,
}

/// Names kept that no record may need, before they are looked through. Guess.
const UNUSED_NAMES_MAX: usize = 1_024;

impl Shared {
    fn adopt(&mut self, meta: &mut Meta) {
        meta.creator = one_copy(&mut self.peers, &meta.creator);
        if let Some(modifier) = &mut meta.modifier {
            *modifier = one_copy(&mut self.peers, modifier);
        }
        meta.certificate = one_copy(&mut self.certificates, &meta.certificate);
        match self.kinds.get(meta.kind.as_str()) {
            Some(kind) => meta.kind = kind.clone(),
            None => _ = self.kinds.insert(meta.kind.clone()),
        }
    }

    /// Forgets names that no record uses, once there are more names than `records` can have by much.
    fn sweep(&mut self, records: usize) {
        if self.peers.len() > 2 * records + UNUSED_NAMES_MAX {
            self.peers.retain(|_, peer| Arc::strong_count(peer) > 1);
        }
        if self.certificates.len() > records + UNUSED_NAMES_MAX {
            self.certificates.retain(|_, certificate| Arc::strong_count(certificate) > 1);
        }
        if self.kinds.len() > records + UNUSED_NAMES_MAX {
            self.kinds.retain(RecordType::is_shared);
        }
    }
}

fn one_copy<N: Copy + Eq + Hash>(known: &mut Table<N, Arc<N>>, name: &Arc<N>) -> Arc<N> {
    Arc::clone(known.entry(**name).or_insert_with(|| Arc::clone(name)))
}
