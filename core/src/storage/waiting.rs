//! Bytes that wait for the disk, and who brought them.
//!
//! A peer that sends faster than a disk writes fills the memory of the node in between. A host that
//! can stop reading does so while [`WRITES_WAITING`] are waiting in all. A browser gets whatever is
//! sent, so there the node puts off the records that it is brought: those of a link that has its
//! share, and those of all links once everything is used. Nobody is to blame, nothing is
//! acknowledged, and a later sync brings these records.
use crate::io::{LinkId, StoreId};
use crate::limits::WRITES_WAITING;
use crate::share::{Rank, Shares};
use crate::sorted::SortedMap;

/// Writes that wait, by the link that brought them; our own by none.
pub(super) struct Waiting {
    shares: Shares<Option<LinkId>>,
    /// Of the batch that was not sent yet.
    batch: SortedMap<Option<LinkId>, u64>,
    /// Of those that were not answered yet.
    sent: SortedMap<StoreId, SortedMap<Option<LinkId>, u64>>,
}

impl Default for Waiting {
    fn default() -> Self {
        let shares = Shares::new(WRITES_WAITING);
        Self { shares, batch: SortedMap::new(), sent: SortedMap::new() }
    }
}

impl Waiting {
    /// A write of so many bytes is part of the next batch.
    pub(super) fn add(&mut self, from: Option<LinkId>, bytes: usize) {
        self.shares.book(&from, bytes as u64);
        *self.batch.entry(from).or_default() += bytes as u64;
    }

    /// The batch goes to the host under this name.
    pub(super) fn send(&mut self, op: StoreId) {
        let batch = std::mem::take(&mut self.batch);
        if !batch.is_empty() {
            self.sent.insert(op, batch);
        }
    }

    /// The host answered.
    pub(super) fn answered(&mut self, op: StoreId) {
        for (from, bytes) in self.sent.remove(&op).unwrap_or_default() {
            self.shares.give_back(&from, bytes);
        }
    }

    /// Whether what a link brings may wait as well.
    pub(super) fn has_room(&self, from: Option<LinkId>) -> bool {
        self.shares.fits(&from, 1, Rank::Junior).is_ok()
    }

    /// Bytes of all of it.
    pub(super) fn bytes(&self) -> u64 {
        self.shares.total()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// Goal: links that bring all they may leave every other its part, and all together stay
        /// within the pool but for the last record of each. Method: hostile links bring while they
        /// have room, in any order and between any answers of the disk; an honest one then has room
        /// for its part.
        #[test]
        fn links_that_bring_too_much_leave_every_other_its_part(
            hostile in 1..4u64,
            acts in prop::collection::vec((0..4u64, 1..2_000_000usize, 0..5u8), 0..200),
        ) {
            let mut waiting = Waiting::default();
            let (mut op, mut answered, mut largest) = (0, 0, 0);
            for (who, bytes, act) in acts {
                let from = Some(LinkId(who % hostile));
                match act {
                    0 if answered < op => {
                        waiting.answered(StoreId(answered));
                        answered += 1;
                    }
                    1 => {
                        waiting.send(StoreId(op));
                        op += 1;
                    }
                    _ if waiting.has_room(from) => {
                        largest = largest.max(bytes as u64);
                        waiting.add(from, bytes);
                    }
                    _ => {}
                }
                prop_assert!(waiting.bytes() <= WRITES_WAITING.all() + largest);
            }
            let theirs = hostile * (WRITES_WAITING.each() + largest);
            let others = WRITES_WAITING.all().saturating_sub(theirs);
            let honest = Some(LinkId(99));
            let mut had = 0;
            while had < others.min(WRITES_WAITING.each()) {
                prop_assert!(waiting.has_room(honest), "{had} of {others}");
                waiting.add(honest, 1_000);
                had += 1_000;
            }
            waiting.send(StoreId(op));
            (answered..=op).for_each(|op| waiting.answered(StoreId(op)));
            prop_assert_eq!((waiting.bytes(), waiting.shares.parties()), (0, 0));
        }
    }
}
