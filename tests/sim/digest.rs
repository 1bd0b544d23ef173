//! The fingerprint of a run: equal seeds must give equal ones.

/// A running hash over everything that happens. Not cryptographic: it compares runs of one program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunDigest(u64);

impl Default for RunDigest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl RunDigest {
    /// Takes one number in.
    pub fn add(&mut self, number: u64) {
        // The mixing step of MurmurHash3, with the state folded in.
        let mut x = self.0.rotate_left(23) ^ number;
        x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        self.0 = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    }

    /// Takes bytes in.
    pub fn add_bytes(&mut self, bytes: &[u8]) {
        self.add(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.add(u64::from_le_bytes(word));
        }
    }

    /// The value so far.
    pub fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_content_matter() {
        let of = |numbers: &[u64]| {
            let mut digest = RunDigest::default();
            numbers.iter().for_each(|&n| digest.add(n));
            digest.value()
        };
        assert_eq!(of(&[1, 2]), of(&[1, 2]));
        assert_ne!(of(&[1, 2]), of(&[2, 1]));
        assert_ne!(of(&[1]), of(&[1, 0]));
    }
}
