//! An index of the records of a group by words, attributes and metadata: kept in step with their
//! [`Index`], record by record.
//!
//! ```text
//!   add ──► buffer ──► segment, segment, …  ──► larger segments, up to 65,000 documents
//!            (last    newest first, each with    merged step by step, 10 steps for each
//!           documents)   all of its keys          key of a record that comes
//! ```
//!
//! A record that is taken out is marked in its segment; merges leave it out, and a segment in which most are marked is merged
//! alone. A question looks into each segment, newest first, and stops when it has enough; it makes a segment of the
//! buffer first, so that there is one form of everything.
//!
//! The index is in memory. Segments do not change and point nowhere but to slots, so that a store can come to keep them.
use crate::index::Index;
use crate::record::Record;
use buffer::Buffer;
use merge::Merge;
use segment::Segment;

mod bits;
mod buffer;
mod dictionary;
mod find;
mod list;
mod matcher;
mod merge;
mod plan;
mod segment;
mod term;
#[cfg(test)]
mod tests;
mod varint;

pub use find::{Found, Order, SearchCursor, TooBroad, Wanted};

/// Documents of a segment. Source: their numbers have 16 bits, and one stands for none. A million records make 18 segments.
const DOCUMENTS_MAX: usize = 65_000;
/// Postings and documents of a segment. Guess: a hundred words a document.
const WEIGHT_MAX: u64 = 4_000_000;
/// Segments of about one size that are merged. Guess: few enough to be looked into, and each posting is written again some
/// four times.
const FAN: usize = 8;
/// Steps of merges for each key of a record that comes. Source: more than a posting takes until it is in a full segment.
const STEPS_PER_KEY: u64 = 10;

/// Where the document of a slot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    segment: u16,
    document: u16,
}

impl Place {
    /// There is none.
    const NOWHERE: Self = Self { segment: u16::MAX, document: 0 };
    /// Stands for the buffer.
    const BUFFER: u16 = u16::MAX - 1;
}

/// An index by words, attributes and metadata.
#[derive(Default)]
pub struct SearchIndex {
    buffer: Buffer,
    segments: Vec<Option<Segment>>,
    /// By slots of the index of records.
    places: Vec<Place>,
    /// At most one of each level.
    merges: Vec<(u32, Merge)>,
    /// Whether there may be something to merge.
    unsettled: bool,
    len: usize,
}

impl SearchIndex {
    /// An index of nothing, whose tables are hashed with this secret.
    pub fn new(secret: u64) -> Self {
        Self { buffer: Buffer::new(secret), ..Self::default() }
    }

    /// How many records.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes in memory, about.
    pub fn memory(&self) -> usize {
        let segments = self.segments.iter().flatten().map(Segment::memory);
        let merges = self.merges.iter().map(|(_, merge)| merge.memory());
        self.buffer.memory()
            + segments.chain(merges).sum::<usize>()
            + size_of::<Place>() * self.places.capacity()
    }

    /// Whether it holds the record in this slot of the index of records.
    pub fn holds(&self, slot: u32) -> bool {
        self.place(slot) != Place::NOWHERE
    }

    fn place(&self, slot: u32) -> Place {
        self.places.get(slot as usize).copied().unwrap_or(Place::NOWHERE)
    }

    /// Takes in the record that `index` has in this slot, unless it is held already. Returns the steps of merges that it
    /// took: 10 for each key of the record, and at most one key of a merge more.
    pub fn add(&mut self, index: &Index, slot: u32, record: &Record) -> u64 {
        if self.holds(slot) {
            return 0;
        }
        if self.places.len() <= slot as usize {
            self.places.resize(slot as usize + 1, Place::NOWHERE);
        }
        let (document, keys) = self.buffer.add(slot, record);
        self.places[slot as usize] = Place { segment: Place::BUFFER, document };
        self.len += 1;
        if self.buffer.is_full() {
            self.freeze(index);
        }
        self.work(index, STEPS_PER_KEY * keys as u64)
    }

    /// Takes out the record in this slot, if it is held: before `index` has another one there.
    pub fn remove(&mut self, slot: u32) {
        let Place { segment: number, document } = self.place(slot);
        if self.holds(slot) {
            self.places[slot as usize] = Place::NOWHERE;
            self.len -= 1;
        }
        if number == Place::BUFFER {
            self.buffer.kill(document);
        } else if let Some(Some(segment)) = self.segments.get_mut(usize::from(number)) {
            segment.kill(document);
            self.unsettled |= is_sparse(segment);
            if segment.living() == 0 && !self.is_busy(number) {
                self.segments[usize::from(number)] = None;
            }
        }
    }

    /// Makes a segment of the buffer.
    fn freeze(&mut self, index: &Index) {
        if self.buffer.is_empty() {
            return;
        }
        let number = self.free_number();
        let places = &mut self.places;
        let segment = self.buffer.freeze(index, |slot, document| {
            places[slot as usize] = Place { segment: number, document };
        });
        if segment.len() > 0 {
            self.segments[usize::from(number)] = Some(segment);
            self.unsettled = true;
        }
    }

    fn free_number(&mut self) -> u16 {
        let free = self.segments.iter().position(Option::is_none);
        let number = free.unwrap_or_else(|| {
            self.segments.push(None);
            self.segments.len() - 1
        });
        number as u16
    }

    /// Goes on with merges, the smallest first, for about so many steps. Returns how many it took.
    fn work(&mut self, index: &Index, most: u64) -> u64 {
        let mut taken = 0;
        while taken < most {
            if std::mem::take(&mut self.unsettled) {
                self.begin_merges(index);
            }
            let lowest = (0..self.merges.len()).min_by_key(|at| self.merges[*at].0);
            let Some(at) = lowest else { break };
            match self.merges[at].1.step(&self.segments, index) {
                Some(steps) => taken += steps,
                None => self.end_merge(at),
            }
        }
        taken
    }

    fn end_merge(&mut self, at: usize) {
        let (_, merge) = self.merges.swap_remove(at);
        let inputs: Vec<u16> = merge.inputs().collect();
        let number = self.free_number();
        let places = &mut self.places;
        let merged = merge.end(&self.segments, |slot, document| {
            places[slot as usize] = Place { segment: number, document };
        });
        for input in inputs {
            self.segments[usize::from(input)] = None;
        }
        if merged.living() > 0 {
            self.segments[usize::from(number)] = Some(merged);
        }
        self.unsettled = true;
    }

    /// Begins what is to be merged.
    fn begin_merges(&mut self, index: &Index) {
        while let Some((level, inputs)) = self.next_merge() {
            self.merges.push((level, Merge::begin(inputs, &self.segments, index)));
        }
    }

    /// Whether a segment is being merged.
    fn is_busy(&self, number: u16) -> bool {
        self.merges.iter().any(|(_, merge)| merge.inputs().any(|input| input == number))
    }

    /// Segments that are to be merged, with their level.
    fn next_merge(&self) -> Option<(u32, Vec<u16>)> {
        let running = |level: u32| self.merges.iter().any(|(other, _)| *other == level);
        let numbered = (0_u16..).zip(&self.segments);
        let free = numbered.filter_map(|(number, it)| Some((number, it.as_ref()?)));
        let free: Vec<_> = free.filter(|(number, _)| !self.is_busy(*number)).collect();
        let mut levels: Vec<u32> = free.iter().map(|(_, segment)| level(segment)).collect();
        levels.sort_unstable();
        levels.dedup();
        for of_level in levels.into_iter().filter(|level| !running(*level)) {
            let same = free.iter().filter(|(_, it)| level(it) == of_level && !is_full(it));
            let mut same: Vec<_> = same.collect();
            if same.len() >= FAN {
                // Neighbours in time, so that a question for the newest ones looks into few.
                same.sort_unstable_by_key(|(_, segment)| segment.newest());
                let inputs = fitting(&same);
                if inputs.len() > 1 {
                    return Some((of_level, inputs));
                }
            }
        }
        // One that is merged alone, if none is.
        let sparse = free.iter().find(|(_, segment)| is_sparse(segment));
        sparse.filter(|_| !running(ALONE)).map(|(number, _)| (ALONE, vec![*number]))
    }
}

/// Stands for the level of a segment that is merged alone.
const ALONE: u32 = u32::MAX;

/// Segments of a level weigh about the same.
fn level(segment: &Segment) -> u32 {
    segment.weight().max(1).ilog2() / FAN.ilog2()
}

/// Whether a segment is as large as one may become, about.
fn is_full(segment: &Segment) -> bool {
    segment.living() > DOCUMENTS_MAX / 2 || segment.weight() > WEIGHT_MAX / 2
}

/// Whether most of a segment was taken out.
fn is_sparse(segment: &Segment) -> bool {
    2 * segment.living() < segment.len()
}

/// As many of the first ones as make one segment.
fn fitting(segments: &[&(u16, &Segment)]) -> Vec<u16> {
    let (mut documents, mut weight) = (0, 0);
    let fits = segments.iter().take_while(|(_, segment)| {
        documents += segment.living();
        weight += segment.weight();
        documents <= DOCUMENTS_MAX && weight <= WEIGHT_MAX
    });
    fits.map(|(number, _)| *number).take(FAN).collect()
}
