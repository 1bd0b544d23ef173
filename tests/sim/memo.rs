//! Verified signatures, remembered for all nodes of a thread: what is valid for one is valid for all.
//!
//! A simulation of a thousand nodes would otherwise spend its time on verifying every record a thousand
//! times. One CI run goes without it, so that the shortcut cannot hide anything.
use sha2::{Digest as _, Sha256};
use std::cell::RefCell;
use std::collections::HashMap;

/// Entries kept. Guess: some 100 MB. All are forgotten at the bound.
const ENTRIES_MAX: usize = 1 << 20;

thread_local! {
    static SEEN: RefCell<HashMap<[u8; 32], bool>> = RefCell::new(HashMap::new());
}

/// Answers `verify` for (key, message, signature), which is asked once for each.
pub fn remembered(
    key: &[u8; 32],
    message: &[u8],
    signature: &[u8; 64],
    verify: impl FnOnce() -> bool,
) -> bool {
    // Key and signature have fixed lengths, so the concatenation is unambiguous.
    let id: [u8; 32] = Sha256::new()
        .chain_update(key)
        .chain_update(signature)
        .chain_update(message)
        .finalize()
        .into();
    if let Some(known) = SEEN.with_borrow(|seen| seen.get(&id).copied()) {
        return known;
    }
    let valid = verify();
    SEEN.with_borrow_mut(|seen| {
        if seen.len() >= ENTRIES_MAX {
            seen.clear();
        }
        seen.insert(id, valid);
    });
    valid
}

/// Forgets everything, so that one run's time does not depend on the run before it.
pub fn forget() {
    SEEN.with_borrow_mut(HashMap::clear);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_question_is_asked_once_and_no_answer_serves_another() {
        forget();
        let mut asked = 0;
        let mut ask = |message: &[u8], answer| {
            remembered(&[1; 32], message, &[2; 64], || {
                asked += 1;
                answer
            })
        };
        assert!(ask(b"a", true));
        assert!(ask(b"a", false), "the first answer stands");
        assert!(!ask(b"b", false), "another message is another question");
        assert_eq!(asked, 2);
    }
}
