//! Things that are given up again: the oldest of the party that holds most gives way to a newcomer.
use super::{Full, Pool, Rank, Shares};
use crate::sorted::{SortedMap, SortedSet};
use std::cmp::Reverse;

/// Things of several parties, at most a [`Pool`] of them. The order of things is their age: the least is the oldest.
///
/// A further thing is never turned away. If its party has its share, the oldest of that party gives way; if all places are
/// taken, the oldest of the parties that hold most. So of `n` parties each keeps the smaller of its share and `all / n`,
/// and what more parties than there are places bring stays for as long as it is among the youngest.
#[derive(Clone, Debug)]
pub struct Crowd<P, T> {
    shares: Shares<P>,
    parties: SortedMap<T, P>,
    things: SortedMap<P, SortedSet<T>>,
    /// The parties by what they hold and by their oldest: the last one gives way.
    order: SortedSet<(u64, Reverse<T>, P)>,
}

impl<P: Ord + Clone, T: Ord + Clone> Crowd<P, T> {
    /// Nobody is there.
    pub fn new(pool: Pool) -> Self {
        let (parties, things, order) = (SortedMap::new(), SortedMap::new(), SortedSet::new());
        Self { shares: Shares::new(pool), parties, things, order }
    }

    /// Takes in one thing more. Answers the one that has given way to it.
    pub fn enter(&mut self, party: &P, thing: T) -> Option<T> {
        let gives = self.gives_way(party);
        let oldest = gives.and_then(|gives| self.things.get(&gives)?.first().cloned());
        if let Some(oldest) = &oldest {
            self.leave(oldest);
        }
        self.change(party, |crowd| {
            crowd.shares.book(party, 1);
            crowd.parties.insert(thing.clone(), party.clone());
            crowd.things.entry(party.clone()).or_default().insert(thing);
        });
        oldest
    }

    /// The oldest thing of a party, if that would give way to one thing more of the same party. A party whose things need a
    /// while to be done with keeps them by bringing no more meanwhile.
    pub fn own_in_the_way(&self, party: &P) -> Option<&T> {
        let own = self.gives_way(party).is_some_and(|gives| gives == *party);
        own.then(|| self.things.get(party)?.first()).flatten()
    }

    /// Whether one thing more of a party would find a place without that another gives way.
    ///
    /// # Errors
    /// [`Full`].
    pub fn fits(&self, party: &P) -> Result<(), Full> {
        self.shares.fits(party, 1, Rank::Junior)
    }

    /// A thing is no longer there. Whether it was.
    pub fn leave(&mut self, thing: &T) -> bool {
        let Some(party) = self.parties.remove(thing) else { return false };
        self.change(&party, |crowd| {
            crowd.shares.give_back(&party, 1);
            if let Some(things) = crowd.things.get_mut(&party) {
                things.remove(thing);
                if things.is_empty() {
                    crowd.things.remove(&party);
                }
            }
        });
        true
    }

    /// How many things there are.
    pub fn len(&self) -> usize {
        self.parties.len()
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.parties.is_empty()
    }

    /// The party whose oldest thing gives way to one thing more of `newcomer`, if one must: `newcomer` itself if it has its
    /// share or would hold most; else, of the parties that hold most, the one whose oldest thing is the oldest.
    fn gives_way(&self, newcomer: &P) -> Option<P> {
        match self.fits(newcomer) {
            Ok(()) => return None,
            Err(Full::Share) => return Some(newcomer.clone()),
            Err(Full::Pool) => {}
        }
        let (most, _, greatest) = self.order.last()?;
        let gives = if self.shares.held(newcomer) >= *most { newcomer } else { greatest };
        Some(gives.clone())
    }

    /// Changes what a party has, and then its place in the order.
    fn change(&mut self, party: &P, change: impl FnOnce(&mut Self)) {
        if let Some(place) = self.place(party) {
            self.order.remove(&place);
        }
        change(self);
        self.order.extend(self.place(party));
    }

    /// Where a party is in the order.
    fn place(&self, party: &P) -> Option<(u64, Reverse<T>, P)> {
        let oldest = self.things.get(party)?.first()?;
        Some((self.shares.held(party), Reverse(oldest.clone()), party.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        /// Goal: hostile parties at their maximum leave every other its guaranteed part. Method: `hostile` parties and an
        /// honest one bring and take away things in any order; the honest one never has more than its part, and whatever
        /// it brought stays until it takes it away.
        #[test]
        fn what_is_within_a_partys_part_never_gives_way(
            all in 2..40u64,
            each in 1..40u64,
            hostile in 1..12u64,
            acts in prop::collection::vec((0..14u64, 0..4u8), 0..400),
        ) {
            let each = each.min(all - 1);
            let part = (all / (hostile + 1)).min(each);
            let mut crowd = Crowd::new(Pool::of(all, each));
            let mut honest = SortedSet::new();
            for (thing, (who, act)) in acts.into_iter().enumerate() {
                let leaves = act == 0;
                if who < hostile {
                    let gone = if leaves { crowd.things.get(&who).and_then(|it| it.last().copied()) } else { None };
                    match gone {
                        Some(gone) => prop_assert!(crowd.leave(&gone)),
                        None => if let Some(gone) = crowd.enter(&who, thing) {
                            prop_assert!(!honest.contains(&gone));
                        }
                    }
                } else if leaves {
                    if let Some(gone) = honest.pop_first() {
                        prop_assert!(crowd.leave(&gone));
                    }
                } else if (honest.len() as u64) < part {
                    honest.insert(thing);
                    prop_assert!(crowd.enter(&u64::MAX, thing).is_none_or(|gone| !honest.contains(&gone)));
                }
                prop_assert!(crowd.len() as u64 <= all);
                prop_assert_eq!(crowd.order.len(), crowd.things.len());
                prop_assert!((0..hostile).all(|who| crowd.shares.held(&who) <= each));
            }
        }
    }

    #[test]
    fn of_more_parties_than_places_the_youngest_stay() {
        let mut crowd = Crowd::new(Pool::of(4, 2));
        let gone: Vec<Option<u32>> = (0..10).map(|n| crowd.enter(&(100 - n), n)).collect();
        let oldest = (0..6).map(Some);
        assert_eq!(gone, [None; 4].into_iter().chain(oldest).collect::<Vec<_>>());
        assert!(crowd.leave(&9) && !crowd.leave(&9) && crowd.len() == 3);
        assert!(crowd.fits(&1).is_ok() && crowd.enter(&1, 10).is_none());
        assert_eq!(crowd.fits(&1), Err(Full::Pool));
    }
}
