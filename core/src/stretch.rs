//! Keys from passwords: Argon2id, slow on purpose, so that guessing is expensive.
//!
//! Measured with [`Cost::USUAL`] on a shared core: 20 ms of CPU natively, 70 ms in Chromium (the module of the npm package).
use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

/// The cost of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cost {
    /// KiB of memory.
    pub(crate) memory_kib: u32,
    pub(crate) passes: u32,
    pub(crate) lanes: u32,
}

impl Cost {
    /// Source: OWASP Password Storage Cheat Sheet, "m=19456 (19 MiB), t=2, p=1".
    pub(crate) const USUAL: Self = Self { memory_kib: 19 * 1024, passes: 2, lanes: 1 };

    /// The key of a password, taken as its bytes, and of at least 8 bytes of salt. Nothing if no Argon2id has such a
    /// cost.
    pub(crate) fn key(self, password: &[u8], salt: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
        let Self { memory_kib, passes, lanes } = self;
        let params = Params::new(memory_kib, passes, lanes, Some(32)).ok()?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut key = Zeroizing::new([0; 32]);
        argon2.hash_password_into(password, salt, &mut *key).ok()?;
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_argon2id() {
        // Source: the tests of the reference program, version 0x13, t = 2, m = 2^8 KiB, p = 1.
        let cost = Cost { memory_kib: 256, passes: 2, lanes: 1 };
        let key = cost.key(b"password", b"somesalt").unwrap();
        let expected = "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe";
        assert_eq!(data_encoding::HEXLOWER.encode(&key[..]), expected);
    }

    #[test]
    fn costs_that_no_argon2id_has_give_no_key() {
        for (memory_kib, passes, lanes) in [(0, 1, 1), (8, 0, 1), (8, 1, 0)] {
            assert_eq!(Cost { memory_kib, passes, lanes }.key(b"p", &[0; 16]), None);
        }
    }
}
