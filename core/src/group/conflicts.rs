//! Two contents under one version: evidence, told once.
//!
//! Both are genuine, so their signer is to blame and not who brings them. The one that loses is remembered: when it comes
//! again it is old, without a look at its signature and without a word to the application.
use crate::id::{Digest, RecordId};
use std::collections::{BTreeSet, VecDeque};

/// Contents that lost and are remembered. Guess: 64 KB. One that was forgotten is told again.
const CONFLICTS_MAX: usize = 1_024;

/// The contents that lost lately.
#[derive(Default)]
pub(super) struct Conflicts {
    lost: BTreeSet<(RecordId, Digest)>,
    order: VecDeque<(RecordId, Digest)>,
}

impl Conflicts {
    /// Whether this content lost.
    pub(super) fn knows(&self, id: RecordId, digest: Digest) -> bool {
        self.lost.contains(&(id, digest))
    }

    /// A content lost.
    pub(super) fn note(&mut self, id: RecordId, digest: Digest) {
        if !self.lost.insert((id, digest)) {
            return;
        }
        self.order.push_back((id, digest));
        if self.order.len() > CONFLICTS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.lost.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::PeerId;

    #[test]
    fn contents_that_lost_are_known_and_the_oldest_is_forgotten() {
        let mut conflicts = Conflicts::default();
        let id = |n| RecordId::new(PeerId::default(), "note", n);
        for n in 0..=CONFLICTS_MAX as u64 {
            conflicts.note(id(n), Digest::of(b"one"));
            conflicts.note(id(n), Digest::of(b"one"));
        }
        assert!(!conflicts.knows(id(0), Digest::of(b"one")));
        assert!(conflicts.knows(id(1), Digest::of(b"one")));
        assert!(!conflicts.knows(id(1), Digest::of(b"another")));
        assert_eq!((conflicts.lost.len(), conflicts.order.len()), (CONFLICTS_MAX, CONFLICTS_MAX));
    }
}
