//! The randomness of a node: one stream, made of the seed and of what the host mixes in.
//!
//! Three rules keep a secret from being drawn twice, or read afterwards:
//!
//! 1. [`Random::stir`] folds 32 fresh bytes of the host into the key of the stream. A host does so whenever it wakes, so
//!    that two copies of one state (a restored snapshot of a virtual machine, a process that was cloned) go on apart.
//! 2. [`Random::secret`] takes a new key from the stream after each secret, so that a later image of the memory does not
//!    tell earlier secrets.
//! 3. Secrets are handed out in a buffer that is wiped when it is dropped.
//!
//! Two copies stay alike from the moment of the snapshot to the first stir of either. A host stirs with an input in hand
//! and before the node sees it: what is alike until then is computed from the same state and the same input.
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Infallible, Rng as _, SeedableRng as _, TryCryptoRng, TryRng};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// A stream of random bytes. Its key changes with every secret and every stir.
pub(crate) struct Random {
    stream: ChaCha12Rng,
    /// The bytes that were mixed in since the last draw: hashing waits until somebody draws.
    fresh: Option<Zeroizing<[u8; 32]>>,
}

impl Random {
    /// Begins with 32 secret bytes.
    pub(crate) fn new(seed: &[u8; 32]) -> Self {
        Self { stream: ChaCha12Rng::from_seed(*seed), fresh: None }
    }

    /// Mixes fresh bytes in. Bytes that an attacker knows or chose take nothing away.
    pub(crate) fn stir(&mut self, fresh: &[u8; 32]) {
        let fresh = match &self.fresh {
            Some(earlier) => mixed(b"peergraph fresh\0", earlier, fresh),
            None => Zeroizing::new(*fresh),
        };
        self.fresh = Some(fresh);
    }

    /// Draws a secret, and forgets how it was made.
    pub(crate) fn secret<const N: usize>(&mut self) -> Zeroizing<[u8; N]> {
        let mut bytes = Zeroizing::new([0; N]);
        self.fill_bytes(&mut bytes[..]);
        self.forget();
        bytes
    }

    /// Takes a new key, so that what was drawn before cannot be computed from what is in memory now.
    pub(crate) fn forget(&mut self) {
        let mut key = Zeroizing::new([0; 32]);
        self.stream().fill_bytes(&mut key[..]);
        // The buffer of the old stream is written over.
        self.stream = ChaCha12Rng::from_seed(*key);
    }

    /// The stream, after everything that was mixed in.
    fn stream(&mut self) -> &mut ChaCha12Rng {
        if let Some(fresh) = self.fresh.take() {
            let mut key = Zeroizing::new([0; 32]);
            self.stream.fill_bytes(&mut key[..]);
            self.stream = ChaCha12Rng::from_seed(*mixed(b"peergraph random\0", &key, &fresh));
        }
        &mut self.stream
    }
}

fn mixed(purpose: &[u8], one: &[u8; 32], other: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    let hash = Sha256::new().chain_update(purpose).chain_update(one).chain_update(other);
    Zeroizing::new(hash.finalize().into())
}

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.stream().next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.stream().next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.stream().fill_bytes(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Random {}

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Random(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(random: &Random) -> Random {
        Random { stream: random.stream.clone(), fresh: random.fresh.clone() }
    }

    #[test]
    fn the_same_seed_and_the_same_fresh_bytes_give_the_same_secrets() {
        let draw = || {
            let mut random = Random::new(&[1; 32]);
            random.stir(&[2; 32]);
            random.stir(&[3; 32]);
            let first = random.secret::<32>();
            (first, random.next_u64(), random.secret::<16>())
        };
        assert_eq!(draw(), draw());
    }

    #[test]
    fn copies_of_one_state_part_with_different_fresh_bytes() {
        let mut first = Random::new(&[1; 32]);
        first.secret::<32>();
        let mut second = copy(&first);
        assert_eq!(copy(&first).secret::<32>(), copy(&second).secret::<32>(), "copies are alike");
        first.stir(&[2; 32]);
        second.stir(&[3; 32]);
        for _ in 0..100 {
            assert_ne!(first.secret::<32>(), second.secret::<32>());
            assert_ne!(first.next_u64(), second.next_u64());
        }
    }

    #[test]
    fn several_stirs_before_one_draw_all_count_and_so_does_what_was_there() {
        let drawn = |seed: u8, fresh: &[u8]| {
            let mut random = Random::new(&[seed; 32]);
            fresh.iter().for_each(|byte| random.stir(&[*byte; 32]));
            random.secret::<32>()
        };
        let all = [
            drawn(1, &[]),
            drawn(1, &[2]),
            drawn(1, &[2, 3]),
            drawn(1, &[4, 3]),
            drawn(1, &[2, 4]),
            // Fresh bytes that are known do not tell what comes.
            drawn(5, &[2, 3]),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(all[at + 1..].iter().all(|other| other != one), "{at}");
        }
    }

    #[test]
    fn what_is_in_memory_after_a_secret_does_not_tell_it() {
        let mut random = Random::new(&[1; 32]);
        let secret = random.secret::<32>();
        // The stream itself, from its beginning, is all that an image of the memory has.
        let mut image = random.stream.clone();
        image.set_word_pos(0);
        let mut told = vec![0; 4096];
        image.fill_bytes(&mut told);
        let key = image.get_seed();
        assert!(!told.windows(32).any(|window| window == &secret[..]) && key != *secret);
        assert_eq!(format!("{random:?}"), "Random(…)");
    }
}
