//! The future of a world, by (time, sequence).
//!
//! The heap holds 24-byte entries; the things due lie in slots that are used again, so that a
//! running world allocates nothing per event.
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A queue of things that are due at a virtual time. Equal times keep the order of insertion.
#[derive(Debug)]
pub struct Queue<T> {
    heap: BinaryHeap<Reverse<(u64, u64, u32)>>,
    slots: Vec<Option<T>>,
    free: Vec<u32>,
    sequence: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), slots: Vec::new(), free: Vec::new(), sequence: 0 }
    }
}

impl<T> Queue<T> {
    /// Adds `item`, due at `at` microseconds.
    pub fn push(&mut self, at: u64, item: T) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 things are due")
        });
        self.slots[slot as usize] = Some(item);
        self.sequence += 1;
        self.heap.push(Reverse((at, self.sequence, slot)));
    }

    /// When the earliest is due.
    pub fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((at, _, _))| *at)
    }

    /// Takes the earliest.
    pub fn pop(&mut self) -> Option<(u64, T)> {
        let Reverse((at, _, slot)) = self.heap.pop()?;
        self.free.push(slot);
        let item = self.slots[slot as usize].take().expect("a queued slot is full");
        Some((at, item))
    }

    /// How many are due.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nothing is due.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earliest_comes_first_and_equal_times_keep_their_order() {
        let mut queue = Queue::default();
        for (at, item) in [(5, 'b'), (1, 'a'), (5, 'c'), (9, 'e'), (5, 'd')] {
            queue.push(at, item);
        }
        let taken: String = std::iter::from_fn(|| queue.pop()).map(|(_, item)| item).collect();
        assert_eq!(taken, "abcde");
    }

    #[test]
    fn slots_are_used_again() {
        let mut queue = Queue::default();
        for at in 0..1_000 {
            queue.push(at, at);
            assert_eq!(queue.pop(), Some((at, at)));
        }
        assert_eq!(queue.slots.len(), 1);
    }
}
