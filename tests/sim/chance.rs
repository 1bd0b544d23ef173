//! The one source of chance of a world.
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// A stream of numbers that is the same on every machine for the same seed.
#[derive(Debug)]
pub struct Chance(ChaCha12Rng);

impl Chance {
    /// The stream of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(ChaCha12Rng::seed_from_u64(seed))
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// 32 bytes.
    pub fn bytes32(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// A number in `range`, evenly enough for tests (the bias is below 2^-32 for spans below 2^32).
    ///
    /// # Panics
    /// If `range` is empty.
    pub fn within(&mut self, range: std::ops::Range<u64>) -> u64 {
        assert!(range.start < range.end, "nothing to choose from");
        range.start + self.any() % (range.end - range.start)
    }

    /// True with probability `p`.
    pub fn with(&mut self, p: f64) -> bool {
        (self.any() >> 11) as f64 / ((1_u64 << 53) as f64) < p
    }

    /// One of `items`.
    ///
    /// # Panics
    /// If there is none.
    pub fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.within(0..items.len() as u64) as usize]
    }

    /// Puts `items` into an order drawn by chance.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.within(0..last as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_same_stream() {
        let draw = |seed| {
            let mut chance = Chance::new(seed);
            (chance.any(), chance.within(5..9), chance.with(0.5), chance.bytes32())
        };
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }

    #[test]
    fn probability_is_kept() {
        let mut chance = Chance::new(1);
        let hits = (0..10_000).filter(|_| chance.with(0.25)).count();
        assert!((2_300..2_700).contains(&hits), "{hits}");
    }
}
