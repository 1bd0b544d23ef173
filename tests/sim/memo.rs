//! Verified signatures and certificates that were read, remembered for all nodes of a thread: what is valid for one is
//! valid for all.
//!
//! A simulation of a thousand nodes would otherwise spend its time on verifying every record a thousand
//! times. One CI run goes without it, so that the shortcut cannot hide anything.
use bytes::Bytes;
use peergraph_core::cert::{CertError, Certificate};
use peergraph_core::identity::{PublicKey, verify};
use peergraph_core::verify::{Claim, verify_all};
use sha2::{Digest as _, Sha256};
use std::cell::RefCell;
use std::collections::HashMap;

/// Entries kept. Guess: some 100 MB. All are forgotten at the bound.
const ENTRIES_MAX: usize = 1 << 20;

thread_local! {
    static SEEN: RefCell<HashMap<[u8; 32], bool>> = RefCell::new(HashMap::new());
    static READ: RefCell<HashMap<Bytes, Certificate>> = RefCell::new(HashMap::new());
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
    if let Some(known) = SEEN.with_borrow(|seen| seen.get(&id).copied()) {
        return known;
    }
    let valid = check();
    SEEN.with_borrow_mut(|seen| {
        if seen.len() >= ENTRIES_MAX {
            seen.clear();
        }
        seen.insert(id, valid);
    });
    valid
}

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
}
