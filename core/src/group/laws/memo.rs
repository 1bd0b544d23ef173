//! Signatures that were checked once are not checked again: most of the time of a law would go into the same ones, at node
//! after node.
use crate::identity::{self, PublicKey};
use crate::provider::Checks;
use crate::verify::{Claim, verify_all};
use sha2::{Digest as _, Sha256};
use std::cell::RefCell;
use std::collections::HashMap;

/// Answers kept. Guess: those of a hundred cases. All are forgotten at the bound.
const ANSWERS_MAX: usize = 1 << 14;

thread_local! {
    static ANSWERS: RefCell<HashMap<[u8; 32], bool>> = RefCell::default();
}

/// The usual checks, each done once on this thread.
pub(super) fn remembering() -> Checks {
    Checks { verify: remembered, verify_all: remembered_all, ..Checks::default() }
}

fn remembered(key: &PublicKey, message: &[u8], signature: &[u8; 64]) -> bool {
    let check = || identity::verify(key, message, signature);
    once(0, (key.as_bytes(), message, signature), check)
}

fn remembered_all(claims: &[Claim]) -> Result<(), usize> {
    let wrong = claims.iter().position(|claim| {
        let check = || verify_all(std::slice::from_ref(claim)).is_ok();
        !once(1, (claim.key(), claim.message(), claim.signature()), check)
    });
    wrong.map_or(Ok(()), Err)
}

fn once(
    way: u8,
    (key, message, signature): (&[u8; 32], &[u8], &[u8; 64]),
    check: impl FnOnce() -> bool,
) -> bool {
    // Key and signature have fixed lengths, so the concatenation is unambiguous.
    let hash = Sha256::new().chain_update([way]).chain_update(key).chain_update(signature);
    let id: [u8; 32] = hash.chain_update(message).finalize().into();
    ANSWERS.with_borrow_mut(|answers| {
        if answers.len() >= ANSWERS_MAX {
            answers.clear();
        }
        *answers.entry(id).or_insert_with(check)
    })
}

#[test]
fn what_is_remembered_is_what_was_found() {
    let checks = remembering();
    let who = |n| {
        let now = crate::time::WallTime(1_800_000_000_000);
        identity::Identity::generate([n; 32], [n; 16], "who", now).unwrap()
    };
    let (ada, bob) = (who(1), who(2));
    let message = identity::Domain::Record.message(b"hi");
    let signature = ada.sign(identity::Domain::Record, b"hi");
    for _ in 0..2 {
        assert!((checks.verify)(&ada.public_key(), &message, &signature));
        assert!(!(checks.verify)(&bob.public_key(), &message, &signature));
        assert!(!(checks.verify)(&ada.public_key(), b"ho", &signature));
    }
}
