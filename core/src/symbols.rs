//! Coded symbols: what differs between two sets, at a cost set by the difference alone, wherever it is.
//!
//! Every record has a *short id*: the first 8 bytes of its digest. A set of short ids has an endless sequence of
//! symbols; symbol `i` sums up a share of 2 / (i + 2) of the set, chosen by hash, and symbol 0 all of it:
//!
//! ```text
//! symbol   id     8 bytes   short ids of its records, xor, little endian
//!          count  1 byte    how many, modulo 256
//!          check  3 bytes   a hash of each of them, xor
//! ```
//!
//! Subtracting a symbol of one set from that of another leaves the records that only one of the two
//! has. A symbol with one record left can be read. That record can then be taken out of all other
//! symbols, so that others can be read ([`peel`]). About 1.35 symbols a difference are needed if
//! there are thousands, 1.75 if there are ten; they tell which side has what. The counts estimate
//! the number of differences before that ([`estimate`]).
//!
//! The symbols do not depend on who asks. `Symbols` keeps the first of them up to date: a record that comes or goes
//! touches about 2 ln n of n.
//!
//! **Attackers.** The author of records can choose among their digests, 2^32 tries for two of their
//! own with one short id, 2^44 for one of somebody's million. Two records with one short id, on one
//! side each, look like no difference. The collision is noticed, since the fingerprint of all
//! records (`index.rs`) covers whole digests, and then the ranges compare these records: the
//! attacker wins one slower sync. Symbols that lie are seen in what is left, and end the same way.
//!
//! Source: Yang, Gilad, Alizadeh, "Practical Rateless Set Reconciliation" (2024), mapping and α = 0.5 as there.
use crate::limits::{RECORDS, SYMBOLS_MESSAGE_MAX};
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};
use std::ops::Range;

#[cfg(test)]
mod tests;

/// Bits of a count. The rest of the upper word is the check. Guess: together with the place, which an id must fit, one of
/// 100,000 readings of 10,000 differences goes wrong.
const COUNT_BITS: u32 = 8;
/// Bytes of a symbol on the wire.
const SYMBOL_BYTES: usize = 12;
/// Symbols kept of an empty set, and by what they grow: whenever the set outgrows four times their number they are made
/// anew, which costs each record once more.
const KEPT_MIN: usize = 64;
const KEPT_GROW: usize = 8;

/// A sum of some records of a set, or of the difference of two sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Symbol {
    id: u64,
    /// Above the count.
    check: u32,
    count: i8,
}

impl Symbol {
    pub(crate) fn to_bytes(self) -> [u8; SYMBOL_BYTES] {
        let mut bytes = [0; SYMBOL_BYTES];
        let (id, rest) = bytes.split_at_mut(8);
        id.copy_from_slice(&self.id.to_le_bytes());
        rest.copy_from_slice(&(self.check | u32::from(self.count as u8)).to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; SYMBOL_BYTES]) -> Self {
        let [a, b, c, d, e, f, g, h, count, rest @ ..] = *bytes;
        let [x, y, z] = rest;
        Self {
            id: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            check: u32::from_le_bytes([0, x, y, z]),
            count: count as i8,
        }
    }

    fn toggle(&mut self, short: u64, check: u32, count: i8) {
        self.id ^= short;
        self.check ^= check;
        self.count = self.count.wrapping_add(count);
    }

    /// The records that `self` has and `other` has not, less, as negative count, those that only
    /// `other` has.
    fn less(&self, other: &Self) -> Self {
        Self {
            id: self.id ^ other.id,
            check: self.check ^ other.check,
            count: self.count.wrapping_sub(other.count),
        }
    }

    /// Whether it looks like one record.
    fn is_single(&self) -> bool {
        (self.count == 1 || self.count == -1) && self.check == check(self.id)
    }
}

fn check(short: u64) -> u32 {
    // The finaliser of MurmurHash3: every bit depends on every other.
    let mut hash = short;
    hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    (hash ^ hash >> 33) as u32 >> COUNT_BITS << COUNT_BITS
}

/// Which of the first `end` symbols sum up a record, rising from 0.
fn places(short: u64, end: usize) -> impl Iterator<Item = usize> {
    Places { state: short, next: 0 }.take_while(move |&at| at < end as u64).map(|at| at as usize)
}

struct Places {
    state: u64,
    next: u64,
}

impl Iterator for Places {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let place = self.next;
        self.state = self.state.wrapping_mul(0xda94_2042_e4dd_58b5);
        // Division and square root are exact to the last bit on every platform.
        let share = 4_294_967_296.0 / (self.state as f64 + 1.0).sqrt() - 1.0;
        let step = (place as f64 + 1.5) * share;
        // Rounded up: `ceil` is a call if the processor may lack it.
        let whole = step as i64;
        let step = (whole as u64).saturating_add(u64::from(step > whole as f64));
        self.next = place.saturating_add(step.max(1));
        Some(place)
    }
}

/// The first symbols of a set that changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Symbols(Vec<Symbol>);

impl Symbols {
    pub(crate) fn as_slice(&self) -> &[Symbol] {
        &self.0
    }

    /// Takes a record in (`count` 1) or out (-1).
    pub(crate) fn toggle(&mut self, short: u64, count: i8) {
        let all = 0..self.0.len();
        toggle(&mut self.0, all, short, count);
    }

    /// Whether more symbols should be kept of a set of so many records, and how many.
    pub(crate) fn outgrown(&self, records: usize) -> Option<usize> {
        let mut kept = self.0.len();
        while kept == 0 || records > 4 * kept {
            kept = if kept == 0 { KEPT_MIN } else { kept * KEPT_GROW };
        }
        (kept > self.0.len()).then_some(kept)
    }

    /// The first `kept` symbols of a set.
    pub(crate) fn of(kept: usize, shorts: impl Iterator<Item = u64>) -> Self {
        let mut symbols = Self(vec![Symbol::default(); kept]);
        shorts.for_each(|short| symbols.toggle(short, 1));
        symbols
    }
}

/// Takes a record into, or out of, the symbols of `range`, which are `symbols`.
pub(crate) fn toggle(symbols: &mut [Symbol], range: Range<usize>, short: u64, count: i8) {
    let check = check(short);
    for at in places(short, range.end).filter_map(|at| at.checked_sub(range.start)) {
        symbols[at].toggle(short, check, count);
    }
}

/// The difference of two sets, as short ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Of our records.
    pub ours: Vec<u64>,
    /// Of theirs.
    pub theirs: Vec<u64>,
}

impl Difference {
    /// Whether the sets are equal.
    pub fn is_empty(&self) -> bool {
        self.ours.is_empty() && self.theirs.is_empty()
    }
}

/// Reads the difference of two sets from as many of the first symbols as there are of both. `None` if they are too
/// few, or lie.
pub fn peel(theirs: &[Symbol], ours: &[Symbol]) -> Option<Difference> {
    let mut left: Vec<Symbol> = theirs.iter().zip(ours).map(|(t, o)| t.less(o)).collect();
    let mut single: Vec<usize> = (0..left.len()).filter(|&at| left[at].is_single()).collect();
    let mut difference = Difference::default();
    let (mut read, mut summed) = (0, Vec::new());
    while let Some(at) = single.pop() {
        let Symbol { id, check, count } = left[at];
        if !left[at].is_single() {
            continue;
        }
        summed.clear();
        summed.extend(places(id, left.len()));
        if summed.binary_search(&at).is_err() {
            continue;
        }
        // More than there are symbols cannot be read from true ones.
        read += 1;
        if read > left.len() {
            return None;
        }
        if count > 0 { &mut difference.theirs } else { &mut difference.ours }.push(id);
        for &at in &summed {
            left[at].toggle(id, check, -count);
            if left[at].is_single() {
                single.push(at);
            }
        }
    }
    left.iter().all(|symbol| *symbol == Symbol::default()).then_some(difference)
}

/// About how many records only one of two sets has, by the counts of the first symbols; at least as many as one has
/// `more`. From n symbols it is off by a factor of √(2 / n), from the first 16 alone it is too low above 10,000.
pub fn estimate(theirs: &[Symbol], ours: &[Symbol], more: i64) -> usize {
    let left = theirs.iter().zip(ours).map(|(theirs, ours)| theirs.less(ours).count);
    // A symbol has a share p of the differences, each with its sign: their sum scatters by p (1 - p) of their number.
    // In the first of many symbols that is more than a count can tell.
    let (mut sum, mut seen) = (0.0, 0.0);
    for (at, count) in left.enumerate().skip(theirs.len() / 16 + 1) {
        let share = 2.0 / (at as f64 + 2.0);
        let expected = share * more as f64;
        let off = count.wrapping_sub(expected as i64 as i8);
        sum += f64::from(off) * f64::from(off) / (share * (1.0 - share));
        seen += 1.0;
    }
    let estimate: f64 = if seen > 0.0 { sum / seen } else { 0.0 };
    (estimate as usize).max(more.unsigned_abs() as usize)
}

/// Successive symbols, as they are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Place of the first one.
    pub(crate) from: usize,
    /// Records of the whole set.
    pub(crate) records: u64,
    pub(crate) symbols: Vec<Symbol>,
}

impl<C> Encode<C> for Part {
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        let bytes: Vec<u8> = self.symbols.iter().flat_map(|symbol| symbol.to_bytes()).collect();
        e.array(3)?.u64(self.from as u64)?.u64(self.records)?.bytes(&bytes)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Part {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        if d.array()? != Some(3) {
            return Err(decode::Error::message("symbols"));
        }
        // A larger number than a store may hold is taken for that of a full one.
        let (from, records) = (d.u32()? as usize, u64::from(d.u32()?).min(RECORDS.all()));
        let (symbols, []) = d.bytes()?.as_chunks() else {
            return Err(decode::Error::message("length of symbols"));
        };
        if symbols.len() > SYMBOLS_MESSAGE_MAX {
            return Err(decode::Error::message("number of symbols"));
        }
        let symbols = symbols.iter().map(Symbol::from_bytes).collect();
        Ok(Self { from, records, symbols })
    }
}
