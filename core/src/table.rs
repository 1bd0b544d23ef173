//! Tables for looking things up where nothing depends on an order: one look costs one or two cache lines, where a
//! search tree of a busy node costs ten.
//!
//! Nobody goes through them, so that a run stays the same from seed to seed. Others choose many of the keys, and cannot
//! choose them to collide: each node mixes them with a secret of its own.
use std::hash::{BuildHasher, Hasher};

/// A map that is only looked up.
pub(crate) type Table<K, V> = hashbrown::HashMap<K, V, Mixer>;

/// Makes hashes of keys, with a secret.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mixer {
    secret: u64,
}

impl Mixer {
    pub(crate) const fn new(secret: u64) -> Self {
        Self { secret }
    }
}

impl BuildHasher for Mixer {
    type Hasher = Mix;

    fn build_hasher(&self) -> Mix {
        Mix { state: self.secret, secret: self.secret.rotate_left(32) ^ ODD }
    }
}

/// The hash of one key: for each word one multiplication, whose two halves are folded.
pub(crate) struct Mix {
    state: u64,
    secret: u64,
}

/// Bits without a pattern: the golden ratio.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Mix {
    fn word(&mut self, word: u64) {
        let wide = u128::from(self.state ^ word) * u128::from(self.secret | 1);
        let [low, high] = [wide as u64, (wide >> 64) as u64];
        self.state = low ^ high ^ self.secret;
    }
}

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.word(u64::from_le_bytes(*word)));
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_le_bytes(last));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.word(word);
    }

    fn write_usize(&mut self, word: usize) {
        self.word(word as u64);
    }

    fn finish(&self) -> u64 {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RecordId;
    use crate::sorted::SortedSet;

    #[test]
    fn keys_that_differ_in_little_spread_and_secrets_matter() {
        let id = |n: u64| {
            let [a, b] = [n / 64, n % 64].map(u64::to_be_bytes);
            RecordId::from_bytes(std::array::from_fn(|i| if i < 8 { a[i] } else { b[i - 8] }))
        };
        let hashes = |secret| (0..4096).map(move |n| Mixer::new(secret).hash_one(id(n)));
        let some = hashes(1).collect::<SortedSet<_>>();
        assert_eq!(some.len(), 4096);
        // The top bits and the low ones are what a table looks at.
        assert!(some.iter().map(|hash| hash >> 57).collect::<SortedSet<_>>().len() == 128);
        let low = some.iter().map(|hash| hash & 4095).collect::<SortedSet<_>>().len();
        assert!((2_400..2_800).contains(&low), "as many as by chance, about 2,590: {low}");
        assert!(hashes(2).all(|hash| !some.contains(&hash)));
    }
}
