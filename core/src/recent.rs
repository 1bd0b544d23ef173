//! A memory of what happened lately: a set that forgets its oldest entries.
use crate::sorted::SortedSet;
use std::collections::VecDeque;

/// At most `MAX` entries, each once. The oldest goes when another comes.
pub(crate) struct Recent<T, const MAX: usize> {
    entries: SortedSet<T>,
    order: VecDeque<T>,
}

impl<T, const MAX: usize> Default for Recent<T, MAX> {
    fn default() -> Self {
        Self { entries: SortedSet::new(), order: VecDeque::new() }
    }
}

impl<T: Copy + Ord, const MAX: usize> Recent<T, MAX> {
    /// Whether an entry is remembered.
    pub(crate) fn knows(&self, entry: &T) -> bool {
        self.entries.contains(entry)
    }

    /// Remembers an entry. Returns whether it is new.
    pub(crate) fn note(&mut self, entry: T) -> bool {
        let new = self.entries.insert(entry);
        if new {
            self.order.push_back(entry);
            if self.order.len() > MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.entries.remove(&oldest);
            }
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_entries_are_known_and_the_oldest_is_forgotten() {
        let mut recent = Recent::<u32, 3>::default();
        for entry in 0..4 {
            assert!(recent.note(entry));
            assert!(!recent.note(entry));
        }
        let known: Vec<u32> = (0..6).filter(|entry| recent.knows(entry)).collect();
        assert_eq!(known, [1, 2, 3]);
        assert_eq!((recent.entries.len(), recent.order.len()), (3, 3));
        assert!(recent.note(0), "what was forgotten is new");
    }
}
