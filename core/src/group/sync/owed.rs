//! What a neighbour is owed: records and answers in their order, and before them what it wants first.
use super::Syncing;
use crate::error::Misbehaved;
use crate::id::RecordId;
use crate::index::Index;
use crate::limits;
use crate::record::RecordType;
use crate::storage::Class;
use std::collections::VecDeque;

/// Records owed to one neighbour. Guess; what is over it comes with the next sync.
pub(super) const OWED_MAX: usize = 1_000_000;

/// One thing that is owed.
pub(super) enum Owed {
    Record(RecordId),
    /// A `WANT` is answered by what stands before.
    Answer(Class),
    /// What the neighbour wanted first stands before.
    First,
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

    /// Records that are owed.
    pub(super) fn owes(&self) -> usize {
        self.owed.len() + self.owed_first.values().map(VecDeque::len).sum::<usize>()
    }

    /// More records are owed, some of them before others.
    pub(super) fn owe_all(&mut self, index: &Index, ids: impl IntoIterator<Item = RecordId>) {
        for id in ids {
            self.tracked_before.remove(&id);
            let kind = index.get(&id).filter(|_| !self.priorities.is_empty()).map(|it| &it.kind);
            match kind.and_then(|kind| self.priorities.iter().position(|first| first == kind)) {
                Some(place) => self.owed_first.entry(place).or_default().push_back(id),
                None => self.owed.push_back(Owed::Record(id)),
            }
        }
    }

    /// The record that is to be given next.
    pub(super) fn next_owed(&self) -> Option<RecordId> {
        if let Some(first) = self.owed_first.first_key_value() {
            return first.1.front().copied();
        }
        match self.owed.front() {
            Some(&Owed::Record(id)) => Some(id),
            Some(Owed::Answer(_) | Owed::First) | None => None,
        }
    }

    /// It is given. Whether it was the last of those that the neighbour wanted first.
    pub(super) fn pay(&mut self) -> bool {
        let Some(mut first) = self.owed_first.first_entry() else {
            self.owed.pop_front();
            return false;
        };
        first.get_mut().pop_front();
        if first.get().is_empty() {
            first.remove();
        }
        self.owed_first.is_empty()
    }

    /// One more record is owed.
    pub(in crate::group) fn owe(&mut self, id: RecordId) -> Result<(), Misbehaved> {
        if self.owes() >= OWED_MAX {
            return Err(Misbehaved::TooMuch);
        }
        self.tracked_before.remove(&id);
        self.owed.push_back(Owed::Record(id));
        Ok(())
    }
}
