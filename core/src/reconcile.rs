//! Comparing two stores: what each side lacks, at a cost set by their difference.
//!
//! Two ways lead there. **Ranges** (`reconcile/ranges.rs`) compare fingerprints of ranges of
//! (modified, id), ever smaller ones: exact, and cheapest if one side lacks only recent records.
//! **Symbols** ([`symbols`](mod@crate::symbols)) cost about 16 bytes a difference, wherever it is.
//! The side that hears the first message of a comparison decides which one is taken:
//!
//! ```text
//! opener                       other
//!   CHECK(fingerprint) ───────►                       if the stores should be equal: nothing follows then
//!   OPEN(fingerprint, ranges, 16 symbols) ────────►   a dozen differences can be read from these
//!                        ◄──── SYMBOLS                as many as the estimate says: the opener reads them
//!   MORE(how many)     ──────►                        … the rest, as the better estimate says
//!                        ◄──── SYMBOLS
//!                        ◄───► RANGES                 in place of all that: until one side has no answer
//! ```
//!
//! Ranges are taken if a store is empty, if one side is behind and everything but recent records is
//! equal, or if more differs than symbols are kept for. They also follow if symbols fail: if
//! nothing can be read from as many as there are, or if the symbols show no difference though the
//! fingerprints do (short ids collide).
//!
//! The side that reads the symbols knows both halves of the difference: it sends its own records,
//! and asks for the rest by short id. A [`Comparison`] is one side's part in it. Records may come
//! and go meanwhile: symbols are answered as of the first answer, and the reader compares them with
//! the records that it has then.
use crate::fault::Misbehaved;
use crate::id::RecordId;
use crate::index::{Fingerprint128, Index};
use crate::limits::SYMBOLS_MESSAGE_MAX;
use crate::symbols::{self, Difference, Part, Symbol};
use minicbor::{Decode, Encode};

mod ranges;
#[cfg(test)]
mod tests;

pub use ranges::{GIVE_MAX, LIST_MAX, RANGE_ITEMS_MAX, Ranges, SPLIT_INTO};

/// Symbols of an opening. Guess: a dozen differences can be read, and the estimate is off by a third.
const OPEN_SYMBOLS: usize = 16;
/// Symbols sent beyond as many as the estimated differences: small differences are then read at once.
const SYMBOLS_SPARE: usize = 48;

/// From so many symbols an estimate is off by a tenth.
const SURE_SYMBOLS: usize = 256;

/// A message of one side.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Step {
    /// Begins if the stores should be equal.
    #[n(0)]
    Check(#[cbor(n(0), with = "minicbor::bytes")] Fingerprint128),
    /// Begins, or answers a [`Check`](Self::Check) that differs.
    #[n(1)]
    Open {
        /// Of all records.
        #[cbor(n(0), with = "minicbor::bytes")]
        fingerprint: Fingerprint128,
        /// Of ranges that are the shorter the more recent they are.
        #[n(1)]
        ranges: Ranges,
        /// The first symbols.
        #[n(2)]
        symbols: Part,
    },
    /// Symbols, from the first one on or behind those sent before.
    #[n(2)]
    Symbols(#[n(0)] Part),
    /// Asks for symbols up to this number.
    #[n(3)]
    More(#[n(0)] u32),
    /// Compares ranges.
    #[n(4)]
    Ranges(#[n(0)] Ranges),
}

impl Step {
    /// How many ranges, listed records and symbols there are in it.
    pub(crate) fn work(&self) -> u64 {
        let parts = match self {
            Self::Check(_) | Self::More(_) => 0,
            Self::Open { ranges, symbols, .. } => ranges.len() + symbols.symbols.len(),
            Self::Symbols(part) => part.symbols.len(),
            Self::Ranges(ranges) => ranges.len(),
        };
        parts as u64
    }
}

/// The consequences of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The message to send back; `None` if nothing is left to say.
    pub reply: Option<Step>,
    /// Records that the other side has newer, or that we lack.
    pub need: Vec<RecordId>,
    /// Records that we have newer, or that the other side lacks; at most [`GIVE_MAX`] and the
    /// listed ones. A record stands in both lists if two contents claim one version: each side
    /// decides when it has both.
    pub give: Vec<RecordId>,
    /// Records that only one side has, by short id. An older version counts too, if the other side
    /// has a newer one.
    pub differ: Difference,
}

/// One side's part in a comparison.
#[derive(Debug, Default)]
pub struct Comparison {
    phase: Phase,
}

#[derive(Debug, Default)]
enum Phase {
    /// Nothing was said, or a check.
    #[default]
    New,
    /// Our opening was sent.
    Opened,
    /// We read symbols: these have come.
    Reading(Vec<Symbol>),
    /// We send symbols: so many, of the records that there were after so many changes.
    Sending { sent: usize, as_of: u64 },
    /// Ranges are compared.
    Ranges,
}

impl Comparison {
    /// Begins with a store that should be equal.
    pub fn check(index: &Index) -> (Self, Step) {
        (Self::default(), Step::Check(index.fingerprint()))
    }

    /// Begins with a store of which nothing is known.
    pub fn open(index: &Index) -> (Self, Step) {
        let symbols = index.symbols();
        let step = Step::Open {
            fingerprint: index.fingerprint(),
            ranges: ranges::recent(index),
            symbols: part(index, 0, symbols[..symbols.len().min(OPEN_SYMBOLS)].to_vec()),
        };
        (Self { phase: Phase::Opened }, step)
    }

    /// Answers what the other side says.
    ///
    /// # Errors
    /// [`Misbehaved::Sync`] where it does not follow from what was said before, or holds a contradiction.
    pub fn respond(&mut self, index: &Index, step: &Step) -> Result<Answer, Misbehaved> {
        match (std::mem::take(&mut self.phase), step) {
            (Phase::New, Step::Check(theirs)) => {
                if index.fingerprint() == *theirs {
                    return Ok(Answer::default());
                }
                let (opened, open) = Self::open(index);
                *self = opened;
                Ok(Answer { reply: Some(open), ..Answer::default() })
            }
            (Phase::New, Step::Open { fingerprint, ranges, symbols }) => {
                if symbols.from > 0 {
                    return Err(Misbehaved::Sync);
                }
                if index.fingerprint() == *fingerprint {
                    return Ok(Answer::default());
                }
                self.opened(index, ranges, symbols)
            }
            (Phase::Opened, Step::Symbols(part)) => self.read(index, Vec::new(), part),
            (Phase::Reading(had), Step::Symbols(part)) => self.read(index, had, part),
            (Phase::Sending { sent, as_of }, &Step::More(upto)) => {
                let upto = upto as usize;
                if upto <= sent || upto > sent + SYMBOLS_MESSAGE_MAX {
                    return Err(Misbehaved::Sync);
                }
                Ok(self.send(index, sent, upto, as_of))
            }
            (
                Phase::Opened | Phase::Reading(_) | Phase::Sending { .. } | Phase::Ranges,
                Step::Ranges(ranges),
            ) => self.ranges(index, ranges),
            (_, Step::Check(_) | Step::Open { .. } | Step::Symbols(_))
            | (_, Step::More(_) | Step::Ranges(_)) => Err(Misbehaved::Sync),
        }
    }

    /// Answers an opening that differs.
    fn opened(
        &mut self,
        index: &Index,
        theirs: &Ranges,
        part: &Part,
    ) -> Result<Answer, Misbehaved> {
        let ours = index.symbols();
        let few = index.is_empty() || part.records == 0;
        if !few && let Some(differ) = symbols::peel(&part.symbols, ours) {
            return Ok(self.done(index, differ));
        }
        let more = part.records as i64 - index.len() as i64;
        let differences = symbols::estimate(&part.symbols, ours, more);
        let behind =
            more.unsigned_abs() * 5 > differences as u64 * 3 && ranges::begins_equal(index, theirs);
        if few || behind || needed(differences, OPEN_SYMBOLS) > ours.len() {
            return self.ranges(index, theirs);
        }
        let upto =
            differences.saturating_add(SYMBOLS_SPARE).min(SYMBOLS_MESSAGE_MAX).min(ours.len());
        Ok(self.send(index, 0, upto, index.changes()))
    }

    /// Reads symbols, `had` and those of `part` together.
    fn read(
        &mut self,
        index: &Index,
        mut had: Vec<Symbol>,
        part: &Part,
    ) -> Result<Answer, Misbehaved> {
        if part.from != had.len() || part.symbols.is_empty() {
            return Err(Misbehaved::Sync);
        }
        had.extend_from_slice(&part.symbols);
        let ours = index.symbols();
        let more = part.records as i64 - index.len() as i64;
        let differences = symbols::estimate(&had, ours, more);
        // So few symbols of so many are not worth the try.
        let hopeless = differences > had.len() && had.len() > SURE_SYMBOLS;
        if !hopeless && let Some(differ) = symbols::peel(&had, ours) {
            return Ok(self.done(index, differ));
        }
        let needed = needed(differences, had.len());
        // Symbols that cannot be read from twice as many as are needed can never be read.
        if needed.max(had.len()) >= ours.len() || had.len() > 2 * needed {
            return Ok(self.compare_ranges(index));
        }
        let upto = needed.max(had.len() + had.len() / 4).min(had.len() + SYMBOLS_MESSAGE_MAX);
        let upto = upto.min(ours.len());
        self.phase = Phase::Reading(had);
        Ok(Answer { reply: Some(Step::More(upto as u32)), ..Answer::default() })
    }

    fn send(&mut self, index: &Index, from: usize, upto: usize, as_of: u64) -> Answer {
        let Some(symbols) = index.symbols_as_of(from..upto, as_of) else {
            return self.compare_ranges(index);
        };
        self.phase = Phase::Sending { sent: upto, as_of };
        let reply = Some(Step::Symbols(part(index, from, symbols)));
        Answer { reply, ..Answer::default() }
    }

    /// All is read. If the difference is empty, ranges must show what the fingerprints saw.
    fn done(&mut self, index: &Index, differ: Difference) -> Answer {
        if differ.is_empty() {
            return self.compare_ranges(index);
        }
        Answer { differ, ..Answer::default() }
    }

    fn compare_ranges(&mut self, index: &Index) -> Answer {
        self.phase = Phase::Ranges;
        let reply = Some(Step::Ranges(ranges::recent(index)));
        Answer { reply, ..Answer::default() }
    }

    fn ranges(&mut self, index: &Index, theirs: &Ranges) -> Result<Answer, Misbehaved> {
        self.phase = Phase::Ranges;
        let ranges::Answer { reply, need, give } = ranges::respond(index, theirs)?;
        Ok(Answer { reply: reply.map(Step::Ranges), need, give, ..Answer::default() })
    }
}

fn part(index: &Index, from: usize, symbols: Vec<Symbol>) -> Part {
    Part { from, records: index.len() as u64, symbols }
}

/// Symbols with which so many differences, estimated from `seen` symbols, can be read almost certainly.
fn needed(differences: usize, seen: usize) -> usize {
    let uncertain = 1.0 + 2.0 * (2.0 / seen as f64).sqrt();
    ((differences as f64 * 1.36 * uncertain) as usize).saturating_add(OPEN_SYMBOLS)
}
