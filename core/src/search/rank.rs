//! How well a record fits: BM25 (Robertson and Zaragoza, 2009), with the usual constants.
use crate::id::RecordId;
use crate::time::WallTime;
use std::cmp::Ordering;

/// How fast further occurrences of a word count less. Source: usual, as in Lucene and SQLite.
const K1: f64 = 1.2;
/// How much the length of a record counts. Source: as above.
const B: f64 = 0.75;

/// How much a word says of which there are `holders` among `records`: ln(1 + (N - n + 0.5) / (n + 0.5)).
pub(crate) fn rarity(records: u64, holders: u64) -> f64 {
    let (records, holders) = (records as f64, holders as f64);
    ln(1.0 + (records - holders + 0.5) / (holders + 0.5))
}

/// The mean number of words of a record, at least 1.
pub(crate) fn mean(words: u64, records: u64) -> f64 {
    (words as f64 / records.max(1) as f64).max(1.0)
}

/// The score of a record of so many words, from how often it has each word and how much that says.
pub(crate) fn score(words: impl Iterator<Item = (u32, f64)>, length: u32, mean: f64) -> f64 {
    let damping = K1 * (1.0 - B + B * f64::from(length) / mean);
    let of_word = |(count, rarity): (u32, f64)| {
        let count = f64::from(count);
        rarity * (count * (K1 + 1.0) / (count + damping))
    };
    words.map(of_word).sum()
}

/// The natural logarithm of a number of at least 1. In steps that are the same on every platform, which those of the
/// standard library are not.
fn ln(number: f64) -> f64 {
    let mut mantissa = number;
    let mut exponent = 0.0;
    while mantissa > 1.5 {
        mantissa /= 2.0;
        exponent += 1.0;
    }
    // ln(m) = 2 artanh((m - 1) / (m + 1)), of which the 14th term is below 1e-20.
    let ratio = (mantissa - 1.0) / (mantissa + 1.0);
    let square = ratio * ratio;
    let terms = (0..14_u8).rev().map(|term| 1.0 / f64::from(2 * term + 1));
    let series = terms.fold(0.0, |sum, term| sum * square + term);
    exponent * std::f64::consts::LN_2 + 2.0 * ratio * series
}

/// A record and how well it fits, in the order of that; of two that fit alike the newer is higher.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rated {
    pub(crate) score: f64,
    pub(crate) modified: WallTime,
    pub(crate) id: RecordId,
}

impl Rated {
    pub(crate) fn new(score: f64, modified: WallTime, id: RecordId) -> Self {
        Self { score, modified, id }
    }
}

impl Ord for Rated {
    fn cmp(&self, other: &Self) -> Ordering {
        let score = self.score.total_cmp(&other.score);
        score.then((self.modified, self.id).cmp(&(other.modified, other.id)))
    }
}

impl PartialOrd for Rated {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Rated {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Rated {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithm_is_that_of_the_standard_library_to_the_last_digits() {
        for number in [1.0, 1.000_1, 1.3, 1.5, 1.6, 2.0, 10.0, 12_345.678, 1e6, 1e18] {
            let (ours, theirs) = (ln(number), f64::ln(number));
            assert!((ours - theirs).abs() <= 1e-15 * theirs.max(1.0), "{number}: {ours} {theirs}");
        }
    }

    #[test]
    fn rare_words_often_in_short_records_fit_best() {
        let (rare, common) = (rarity(1_000, 3), rarity(1_000, 500));
        let of = |count, rarity, length| score([(count, rarity)].into_iter(), length, 20.0);
        assert!(of(1, rare, 20) > of(1, common, 20));
        assert!(of(2, common, 20) > of(1, common, 20));
        assert!(of(1, common, 10) > of(1, common, 20));
        assert!(of(1, rarity(1_000, 1_000), 20) > 0.0);
        assert_eq!(of(0, rare, 20), 0.0);
    }
}
