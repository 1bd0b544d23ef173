//! The debt to a neighbour: records and answers in their order, and before them what it wants
//! first.
//!
//! Each record is owed once, and only one that we have. How many there are is bounded, and nobody
//! is to blame at the bound: a step of a comparison is answered once few are owed, so that the
//! neighbour finds what is beyond by asking again; what it wants beyond four messages full it asks
//! for when those are answered; and a request for more is not heard, since the neighbour then asks
//! others, and the next sync brings the rest. A neighbour that does not read therefore costs a list
//! of ids, and not one that grows.
use super::Syncing;
use crate::error::Misbehaved;
use crate::id::RecordId;
use crate::index::Index;
use crate::limits;
use crate::reconcile::{GIVE_MAX, RANGE_ITEMS_MAX};
use crate::record::RecordType;
use crate::sorted::{SortedMap, SortedSet};
use crate::storage::Class;
use std::collections::VecDeque;

/// Records and answers owed to one neighbour. Guess: less than a MB of ids, and longer than any
/// answer under way.
pub(super) const OWED_MAX: usize = 16_384;
/// A step of a comparison is answered, and what is ours alone is owed, while less than this is.
/// Guess: as much as a step gives, so that the next one is asked for while this one is given.
pub(super) const FEW_OWED: usize = 4_096;
/// Requests of announced records are heard while less than this is owed. Source: so many that we
/// announced may be awaited.
const REQUESTED_MAX: usize = 4_096;
/// `WANT`s of ours that are not answered yet. Guess: the next is on its way while the first is
/// answered.
pub(super) const WANTS_MAX: usize = 4;
// All that an honest neighbour has under way finds room.
const _: () = assert!(FEW_OWED <= REQUESTED_MAX);
const _: () = assert!(
    REQUESTED_MAX + GIVE_MAX + RANGE_ITEMS_MAX + WANTS_MAX * (limits::PAGE_MAX + 1) <= OWED_MAX
);

/// One thing that is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Record(RecordId),
    /// A `WANT` is answered by what stood before.
    Answer(Class),
    /// All that the neighbour wanted first stood before.
    First,
}

/// The records and answers that one neighbour is owed.
#[derive(Debug, Default)]
pub(super) struct Debts {
    due: VecDeque<Due>,
    /// By the place of their type among those that the neighbour wants first.
    first: SortedMap<usize, VecDeque<RecordId>>,
    /// All of those records.
    records: SortedSet<RecordId>,
}

impl Debts {
    /// Records and answers that are owed.
    pub(super) fn len(&self) -> usize {
        self.due.len() + self.first.values().map(VecDeque::len).sum::<usize>()
    }

    /// Whether so few are owed that more may follow.
    pub(super) fn are_few(&self) -> bool {
        self.len() < FEW_OWED
    }

    /// A record is owed, before others if its type is wanted first. Nothing changes if it is
    /// already, or at the bound.
    fn add(&mut self, id: RecordId, place: Option<usize>) {
        if self.len() >= OWED_MAX || !self.records.insert(id) {
            return;
        }
        match place {
            Some(place) => self.first.entry(place).or_default().push_back(id),
            None => self.due.push_back(Due::Record(id)),
        }
    }

    /// All that was wanted so far is to be answered. An answer that finds no room is a fault:
    /// nobody has so many open.
    pub(super) fn answer(&mut self, class: Class) -> Result<(), Misbehaved> {
        if self.len() >= OWED_MAX {
            return Err(Misbehaved::TooMuch);
        }
        self.due.push_back(Due::Answer(class));
        Ok(())
    }

    /// The record that is to be given next.
    pub(super) fn next_record(&self) -> Option<RecordId> {
        if let Some(first) = self.first.first_key_value() {
            return first.1.front().copied();
        }
        match self.due.front() {
            Some(&Due::Record(id)) => Some(id),
            Some(Due::Answer(_) | Due::First) | None => None,
        }
    }

    /// That record is given.
    pub(super) fn pay(&mut self) {
        let Some(mut first) = self.first.first_entry() else {
            if let Some(Due::Record(id)) = self.due.pop_front() {
                self.records.remove(&id);
            }
            return;
        };
        if let Some(id) = first.get_mut().pop_front() {
            self.records.remove(&id);
        }
        if first.get().is_empty() {
            first.remove();
        }
        if self.first.is_empty() {
            self.due.push_front(Due::First);
        }
    }

    /// The answer that is to be given next, if no record stands before it.
    pub(super) fn pop_answer(&mut self) -> Option<Due> {
        if self.next_record().is_some() { None } else { self.due.pop_front() }
    }
}

impl Syncing {
    /// Notes what the neighbour wants first.
    pub(super) fn prioritise(&mut self, names: &[String]) -> Result<(), Misbehaved> {
        if names.len() > limits::PRIORITIES_MAX {
            return Err(Misbehaved::TooMuch);
        }
        let kinds = names.iter().map(|name| RecordType::new(name));
        self.priorities = kinds.collect::<Result<_, _>>().map_err(|_| Misbehaved::BadMessage)?;
        Ok(())
    }

    /// More records are owed, those that we have, some of them before others.
    pub(super) fn owe_all(&mut self, index: &Index, ids: impl IntoIterator<Item = RecordId>) {
        for id in ids {
            let Some(meta) = index.get(&id) else { continue };
            self.tracked_before.remove(&id);
            let place = self.priorities.iter().position(|first| *first == meta.kind);
            self.owed.add(id, place);
        }
    }

    /// A record that we have announced is owed as well, unless a lot is.
    pub(in crate::group) fn owe(&mut self, id: RecordId) {
        if self.owed.len() < REQUESTED_MAX {
            self.tracked_before.remove(&id);
            self.owed.add(id, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::tests::{filled, meta};
    use proptest::prelude::*;

    fn id(n: u16) -> RecordId {
        RecordId::from_bytes(std::array::from_fn(|at| if at < 2 { n.to_be_bytes()[at] } else { 0 }))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// Goal: each record is owed once, in its order, and never more than the bound. Method:
        /// what a neighbour asks for is added, wanted first or not, answered and given in any
        /// order; a plain list says what should be owed.
        #[test]
        fn each_record_is_owed_once(acts in prop::collection::vec((0..6u8, 0..40u16), 0..400)) {
            let mut debts = Debts::default();
            let mut model: Vec<(usize, Option<RecordId>)> = Vec::new();
            for (act, n) in acts {
                match act {
                    0..3 => {
                        let place = (act > 0).then_some(usize::from(act));
                        if !model.iter().any(|(_, known)| *known == Some(id(n))) {
                            model.push((place.unwrap_or(usize::MAX), Some(id(n))));
                        }
                        debts.add(id(n), place);
                    }
                    3 => {
                        debts.answer(Class::Application).unwrap();
                        model.push((usize::MAX, None));
                    }
                    _ => {
                        let first = (0..model.len()).min_by_key(|&at| (model[at].0, at));
                        match first.map(|at| model[at].1) {
                            Some(Some(next)) => {
                                prop_assert_eq!(debts.next_record(), Some(next));
                                let wanted_first = model[first.unwrap()].0 < usize::MAX;
                                debts.pay();
                                model.remove(first.unwrap());
                                let others = model.iter().any(|(place, _)| *place < usize::MAX);
                                if wanted_first && !others {
                                    prop_assert_eq!(debts.pop_answer(), Some(Due::First));
                                }
                            }
                            Some(None) => {
                                let answer = Some(Due::Answer(Class::Application));
                                prop_assert_eq!(debts.pop_answer(), answer);
                                model.remove(first.unwrap());
                            }
                            None => prop_assert_eq!(debts.pop_answer(), None),
                        }
                    }
                }
                prop_assert_eq!(debts.len(), model.len());
                let records = model.iter().filter(|(_, record)| record.is_some()).count();
                prop_assert_eq!(debts.records.len(), records);
            }
        }
    }

    #[test]
    fn debts_end_at_their_bound() {
        let mut debts = Debts::default();
        (0..u16::MAX).for_each(|n| debts.add(id(n), (n % 2 == 0).then_some(1)));
        assert_eq!((debts.len(), debts.records.len()), (OWED_MAX, OWED_MAX));
        assert_eq!(debts.answer(Class::Application), Err(Misbehaved::TooMuch));
        while debts.next_record().is_some() {
            debts.pay();
        }
        assert_eq!(debts.pop_answer(), Some(Due::First));
        assert_eq!((debts.len(), debts.records.len()), (OWED_MAX / 2, OWED_MAX / 2));
    }

    /// R18. Goal: a neighbour that asks a lot is owed what we have, once. Method: a million ids,
    /// those that we have among them a hundred times each; in the order in which they were asked
    /// for first.
    #[test]
    fn only_what_we_have_is_owed_and_that_once() {
        let index = filled(0..100);
        let mut sync = Syncing::default();
        let ids = || (0..10_000).map(|nth| meta(nth, 0, 1).id);
        (0..100).for_each(|_| sync.owe_all(&index, ids()));
        (0..100).for_each(|nth| sync.owe(meta(nth, 0, 1).id));
        assert_eq!(sync.owed.len(), 100);
        let due: Vec<Due> = sync.owed.due.iter().copied().collect();
        assert_eq!(due, ids().take(100).map(Due::Record).collect::<Vec<_>>());
        // A record that was given may be asked for again: that is on the account of who asks.
        sync.owed.pay();
        sync.owe_all(&index, ids());
        assert_eq!(sync.owed.due.back(), ids().next().map(Due::Record).as_ref());
    }

    /// Goal: one neighbour at its maximum leaves every other its guaranteed part. Method: to one
    /// everything is owed that may be; what the next one asks for is owed all the same.
    #[test]
    fn what_one_is_owed_takes_nothing_from_another() {
        let index = filled(0..OWED_MAX as u64 + 100);
        let all = || index.iter().map(|meta| meta.id);
        let [mut greedy, mut other] = [Syncing::default(), Syncing::default()];
        greedy.owe_all(&index, all());
        all().for_each(|id| greedy.owe(id));
        assert_eq!(greedy.owed.len(), OWED_MAX);
        all().for_each(|id| other.owe(id));
        assert_eq!(other.owed.len(), REQUESTED_MAX, "requests leave room for the comparison");
        other.owe_all(&index, all().skip(REQUESTED_MAX).take(GIVE_MAX + RANGE_ITEMS_MAX));
        assert_eq!(other.owed.len(), REQUESTED_MAX + GIVE_MAX + RANGE_ITEMS_MAX);
        assert_eq!(other.owed.answer(Class::Application), Ok(()));
    }
}
