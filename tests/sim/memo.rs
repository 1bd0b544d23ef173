//! Verified signatures, certificates that were read and keys that were agreed on, remembered for all nodes of a thread:
//! what is so for one is so for all.
//!
//! A simulation of a thousand nodes would otherwise spend its time on verifying every record a thousand
//! times. One CI run goes without it, so that the shortcut cannot hide anything.
use bytes::Bytes;
use peergraph_core::cert::{CertError, Certificate, VerifiedChain};
use peergraph_core::id::{CertificateId, Digest};
use peergraph_core::identity::{PublicKey, verify};
use peergraph_core::node::Share;
use peergraph_core::provider::Curve;
use peergraph_core::verify::{Claim, verify_all};
use sha2::{Digest as _, Sha256};
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;
use std::thread::LocalKey;

/// Entries kept. Guess: some 100 MB. All are forgotten at the bound.
const ENTRIES_MAX: usize = 1 << 20;

/// Records from this length on are not shared. Bytes. Guess: worlds of thousands have short ones, and what is remembered is
/// not forgotten when the last node forgets it.
const SHARED_BYTES_MAX: usize = 4096;

/// Answers by what was asked.
type Memo<K, V> = RefCell<HashMap<K, V>>;

thread_local! {
    static SEEN: Memo<[u8; 32], bool> = Memo::default();
    static READ: Memo<Bytes, Certificate> = Memo::default();
    static RECORDS: Memo<Digest, Bytes> = Memo::default();
    static MEMBERSHIPS: Memo<CertificateId, VerifiedChain> = Memo::default();
    static PUBLIC: Memo<[u8; 32], [u8; 32]> = Memo::default();
    static AGREED: Memo<[[u8; 32]; 2], Option<[u8; 32]>> = Memo::default();
}

/// [`verify`], asked once for each (key, message, signature) on this thread.
pub fn remembered(key: &PublicKey, message: &[u8], signature: &[u8; 64]) -> bool {
    remember(key.as_bytes(), message, signature, || verify(key, message, signature))
}

/// [`verify_all`], asked once for each claim on this thread.
pub fn remembered_all(claims: &[Claim]) -> Result<(), usize> {
    let wrong = claims.iter().position(|claim| {
        let check = || verify_all(std::slice::from_ref(claim)).is_ok();
        !remember(claim.key(), claim.message(), claim.signature(), check)
    });
    wrong.map_or(Ok(()), Err)
}

fn remember(
    key: &[u8; 32],
    message: &[u8],
    signature: &[u8; 64],
    check: impl FnOnce() -> bool,
) -> bool {
    // Key and signature have fixed lengths, so the concatenation is unambiguous.
    let hash = Sha256::new().chain_update(key).chain_update(signature).chain_update(message);
    let id: [u8; 32] = hash.finalize().into();
    once(&SEEN, id, check)
}

/// Returns the answer that `key` had on this thread before, or else that of `answer`.
fn once<K: Eq + Hash, V: Clone>(
    memo: &'static LocalKey<Memo<K, V>>,
    key: K,
    answer: impl FnOnce() -> V,
) -> V {
    if let Some(known) = memo.with_borrow(|known| known.get(&key).cloned()) {
        return known;
    }
    let value = answer();
    memo.with_borrow_mut(|known| {
        if known.len() >= ENTRIES_MAX {
            known.clear();
        }
        known.insert(key, value.clone());
    });
    value
}

/// [`Curve::default`], asked once for what two keys have in common: both ends of a link want to know it.
pub(crate) const CURVE: Curve = Curve {
    public: |secret| once(&PUBLIC, *secret, || (Curve::default().public)(secret)),
    agree: |secret, theirs| {
        let ours = (CURVE.public)(secret);
        let pair = if ours < *theirs { [ours, *theirs] } else { [*theirs, ours] };
        once(&AGREED, pair, || (Curve::default().agree)(secret, theirs))
    },
};

/// One copy of each record and membership for all nodes of this thread.
pub(crate) const SHARE: Share = Share {
    record: |bytes, digest| match bytes.len() {
        // A copy of its own: what came is a slice of a much larger frame.
        ..SHARED_BYTES_MAX => once(&RECORDS, *digest, || Bytes::copy_from_slice(bytes)),
        SHARED_BYTES_MAX.. => bytes.clone(),
    },
    membership: |chain| once(&MEMBERSHIPS, chain.id(), || chain.clone()),
};

/// Reads a certificate, once for each on this thread. All nodes share the copy. One that cannot be read is read again
/// each time.
pub(crate) fn certificate(der: &[u8]) -> Result<Certificate, CertError> {
    if let Some(known) = READ.with_borrow(|read| read.get(der).cloned()) {
        return Ok(known);
    }
    let certificate = Certificate::from_der(der)?;
    READ.with_borrow_mut(|read| {
        if read.len() >= ENTRIES_MAX {
            read.clear();
        }
        read.insert(certificate.der().clone(), certificate.clone());
    });
    Ok(certificate)
}

/// Forgets everything, so that one run's time does not depend on the run before it.
pub fn forget() {
    READ.with_borrow_mut(HashMap::clear);
    SEEN.with_borrow_mut(HashMap::clear);
    RECORDS.with_borrow_mut(HashMap::clear);
    MEMBERSHIPS.with_borrow_mut(HashMap::clear);
    PUBLIC.with_borrow_mut(HashMap::clear);
    AGREED.with_borrow_mut(HashMap::clear);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::WORLD_BEGINS;
    use peergraph_core::identity::{Domain, Identity};

    #[test]
    fn memo_answers_as_verification_does_and_no_answer_serves_another() {
        forget();
        let of = |n| Identity::generate([n; 32], [n; 16], "ada", WORLD_BEGINS).unwrap();
        let (ada, bob) = (of(1), of(2));
        let message = Domain::Record.message(b"hi");
        let signature = ada.sign(Domain::Record, b"hi");
        let mut other = signature;
        other[3] ^= 1;
        for _ in 0..2 {
            assert!(remembered(&ada.public_key(), &message, &signature));
            assert!(!remembered(&bob.public_key(), &message, &signature));
            assert!(!remembered(&ada.public_key(), b"ho", &signature));
            assert!(!remembered(&ada.public_key(), &message, &other));
        }
        assert_eq!(SEEN.with_borrow(HashMap::len), 4);
    }

    #[test]
    fn both_ends_are_told_the_same_key_as_without_a_memo() {
        forget();
        let real = Curve::default();
        let secrets = [[1; 32], [2; 32], [3; 32]];
        for ours in &secrets {
            for theirs in secrets.map(|secret| (real.public)(&secret)) {
                assert_eq!((CURVE.agree)(ours, &theirs), (real.agree)(ours, &theirs));
            }
            assert_eq!((CURVE.agree)(ours, &[0; 32]), None, "a point of low order");
        }
        assert_eq!(AGREED.with_borrow(HashMap::len), 6 + 3);
    }
}
