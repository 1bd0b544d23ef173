//! Whether a stored value is what was written.
//!
//! ```text
//! value   check (16) ‖ bytes          check = first half of SHA-256(key ‖ bytes)
//! ```
//!
//! Disks and browsers lose bits, pages and ends of files, and what holds the store does not tell. A value that does not
//! fit its check is damaged: it is neither shown nor sent, whatever it holds. The key is part of it, since a value may
//! turn up under another one. Anybody who can write the store can make a check as well: it is no signature.
use bytes::{Bytes, BytesMut};
use sha2::{Digest as _, Sha256};

/// Bytes of a check. Guess: damage goes unnoticed in one of 2^128 cases.
pub(crate) const CHECK_BYTES: usize = 16;

#[expect(clippy::expect_used, reason = "16 of 32 bytes")]
fn check(key: &[u8], bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let hash: [u8; 32] = Sha256::new().chain_update(key).chain_update(bytes).finalize().into();
    *hash.first_chunk().expect("16 of 32 bytes")
}

/// The value that is written under `key`.
pub(crate) fn checked(key: &[u8], bytes: &[u8]) -> Bytes {
    let mut value = BytesMut::with_capacity(CHECK_BYTES + bytes.len());
    value.extend_from_slice(&check(key, bytes));
    value.extend_from_slice(bytes);
    value.freeze()
}

/// The content that was written under `key`. `None` if it is damaged. It shares the memory of `value`.
pub(crate) fn whole(key: &[u8], value: &Bytes) -> Option<Bytes> {
    let (expected, bytes) = value.split_first_chunk::<CHECK_BYTES>()?;
    (check(key, bytes) == *expected).then(|| value.slice(CHECK_BYTES..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_damage_to_a_value_or_its_key_is_noticed() {
        let (key, bytes) = (b"key", b"what was written");
        let value = checked(key, bytes);
        assert_eq!(whole(key, &value).as_deref(), Some(&bytes[..]));
        assert_eq!(whole(key, &checked(key, b"")).as_deref(), Some(&b""[..]));
        for bit in 0..value.len() * 8 {
            let mut damaged = value.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(whole(key, &damaged.into()), None, "bit {bit}");
        }
        for length in 0..value.len() {
            assert_eq!(whole(key, &value.slice(..length)), None, "{length} bytes");
        }
        assert_eq!(whole(key, &Bytes::from(vec![0; value.len()])), None);
        assert_eq!(whole(b"yek", &value), None, "another key");
    }
}
