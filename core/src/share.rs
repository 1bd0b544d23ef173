//! Bounds that several parties share.
//!
//! A number alone does not say whose it is: the party that comes first takes all of it, and every other is refused. A
//! [`Pool`] says how much one party may hold of the whole, and how much is left for seniors; [`Shares`] keeps the
//! account. A [`Pool`] cannot be made without a share, and no share is the whole pool, so a limit that parties have in
//! common cannot be a bare number by mistake.
//!
//! ```text
//!   |<------------------------ all ------------------------->|
//!   |  party a (<= each)  |  b  |  c  |  free  |  reserved   |
//!                                              '- seniors only
//! ```
//!
//! # What a party is guaranteed
//!
//! 1. One party holds at most `each`. So whatever one party does, all others together have `all - reserved - each`.
//! 2. Juniors hold at most `all - reserved` together. So whatever they do, seniors have `reserved`.
//! 3. If holdings can be taken back, [`gives_way`](Shares::gives_way) names the party that must give: the one that
//!    holds most. So of `n` parties each gets the smaller of `each` and `(all - reserved) / n`, whoever came first.
//!
//! Parties must cost something to make. Ids of strangers are free, so what strangers share is divided by the place that
//! they come from, and not by id.
use crate::sorted::{SortedMap, SortedSet};

mod crowd;

pub use crowd::Crowd;

/// How much there is in all, how much of it one party may hold, and how much only seniors may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    all: u64,
    each: u64,
    reserved: u64,
}

impl Pool {
    /// A pool of `all` units, of which one party holds at most `each`.
    ///
    /// # Panics
    /// If one party could hold nothing, or all. For a constant that is an error of the compiler.
    pub const fn of(all: u64, each: u64) -> Self {
        assert!(0 < each && each < all, "a share is a part of the pool");
        Self { all, each, reserved: 0 }
    }

    /// The same pool, in which the last `places` units are for seniors only.
    ///
    /// # Panics
    /// If less than one share is left for juniors. For a constant that is an error of the compiler.
    pub const fn reserving(self, places: u64) -> Self {
        assert!(places <= self.all && self.each <= self.all - places, "juniors have a share");
        Self { reserved: places, ..self }
    }

    /// Units in all.
    pub const fn all(&self) -> u64 {
        self.all
    }

    /// Units that one party may hold.
    pub const fn each(&self) -> u64 {
        self.each
    }

    /// Units that a party of this rank finds at most, all parties together.
    pub const fn open_to(&self, rank: Rank) -> u64 {
        match rank {
            Rank::Junior => self.all - self.reserved,
            Rank::Senior => self.all,
        }
    }
}

/// Whether a party may use the places that a pool reserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// It may not.
    Junior,
    /// It may: it stands above those who could fill the rest.
    Senior,
}

/// Why a party gets no more of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// It has its share. Nobody else must give way.
    Share,
    /// All parties together have what is open to its rank.
    Pool,
}

/// The holdings of all parties in a pool.
#[derive(Clone, Debug)]
pub struct Shares<P> {
    pool: Pool,
    held: SortedMap<P, u64>,
    /// The same by amount, so that the greatest is found at once. It is kept from the time at which half of the pool is held
    /// until less than a quarter is: somebody must give way only when a pool is full.
    by_amount: Option<SortedSet<(u64, P)>>,
    total: u64,
}

impl<P: Ord + Clone> Shares<P> {
    /// Nobody holds anything.
    pub fn new(pool: Pool) -> Self {
        Self { pool, held: SortedMap::new(), by_amount: None, total: 0 }
    }

    /// The pool that is shared.
    pub fn pool(&self) -> Pool {
        self.pool
    }

    /// Gives a party some more.
    ///
    /// # Errors
    /// [`Full`]; nothing has changed.
    pub fn take(&mut self, party: &P, amount: u64, rank: Rank) -> Result<(), Full> {
        self.fits(party, amount, rank)?;
        self.set(party, self.held(party) + amount);
        Ok(())
    }

    /// Notes what a party holds already, whatever the pool allows: what is too much is taken from the one that
    /// [gives way](Self::gives_way).
    pub(crate) fn book(&mut self, party: &P, amount: u64) {
        self.set(party, self.held(party).saturating_add(amount));
    }

    /// The parties that hold something, those that hold most first.
    pub(crate) fn descending(&self) -> impl Iterator<Item = &P> {
        let kept = self.by_amount.iter().flatten().rev().map(|(_, party)| party);
        let mut found: Vec<(&u64, &P)> = match self.by_amount {
            Some(_) => Vec::new(),
            None => self.held.iter().map(|(party, amount)| (amount, party)).collect(),
        };
        found.sort_unstable();
        kept.chain(found.into_iter().rev().map(|(_, party)| party))
    }

    /// Whether [`take`](Self::take) would succeed.
    ///
    /// # Errors
    /// [`Full`].
    pub fn fits(&self, party: &P, amount: u64, rank: Rank) -> Result<(), Full> {
        let fits = |used: u64, most: u64| used.checked_add(amount).is_some_and(|sum| sum <= most);
        if !fits(self.held(party), self.pool.each) {
            return Err(Full::Share);
        }
        if fits(self.total, self.pool.open_to(rank)) { Ok(()) } else { Err(Full::Pool) }
    }

    /// Takes back from a party, at most what it holds.
    pub fn give_back(&mut self, party: &P, amount: u64) {
        self.set(party, self.held(party).saturating_sub(amount));
    }

    /// Takes back all that a party holds.
    pub fn leave(&mut self, party: &P) {
        self.set(party, 0);
    }

    /// The holding of a party.
    pub fn held(&self, party: &P) -> u64 {
        self.held.get(party).copied().unwrap_or(0)
    }

    /// The holdings of all parties together.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Parties that hold something.
    pub fn parties(&self) -> usize {
        self.held.len()
    }

    /// The party that holds most; of several the last in their order.
    pub fn greatest(&self) -> Option<&P> {
        self.most().map(|(_, party)| party)
    }

    /// The party whose oldest gives way if the pool is full, so that `party` gets `amount`: the one that holds most, if
    /// that is more than `party` would then have. Nobody if `party` itself would hold as much, or holds most.
    pub fn gives_way(&self, party: &P, amount: u64) -> Option<&P> {
        let (most, greatest) = self.most()?;
        let would = self.held(party).saturating_add(amount);
        (greatest != party && most > would.min(self.pool.each)).then_some(greatest)
    }

    /// The greatest amount, and the last of the parties that hold it.
    fn most(&self) -> Option<(u64, &P)> {
        match &self.by_amount {
            Some(by_amount) => by_amount.last().map(|(most, party)| (*most, party)),
            None => self.held.iter().map(|(party, amount)| (*amount, party)).max(),
        }
    }

    fn set(&mut self, party: &P, amount: u64) {
        let before = match (self.held.get_mut(party), amount) {
            (Some(_), 0) => self.held.remove(party).unwrap_or(0),
            (Some(held), _) => std::mem::replace(held, amount),
            (None, 0) => return,
            (None, _) => self.held.insert(party.clone(), amount).unwrap_or(0),
        };
        self.total = (self.total - before).saturating_add(amount);
        if let Some(by_amount) = &mut self.by_amount {
            by_amount.remove(&(before, party.clone()));
            if amount > 0 {
                by_amount.insert((amount, party.clone()));
            }
            if self.total < self.pool.all / 4 {
                self.by_amount = None;
            }
        } else if self.total > self.pool.all / 2 {
            let pairs = self.held.iter().map(|(party, amount)| (*amount, party.clone()));
            self.by_amount = Some(pairs.collect());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An act of a hostile party.
    #[derive(Clone, Debug)]
    enum Act {
        Take(u8, u64),
        Back(u8, u64),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let amount = || prop_oneof![Just(0), 1..9u64, Just(u64::MAX)];
        let act = prop_oneof![
            3 => (0..4u8, amount()).prop_map(|(party, amount)| Act::Take(party, amount)),
            1 => (0..4u8, amount()).prop_map(|(party, amount)| Act::Back(party, amount)),
        ];
        prop::collection::vec(act, 0..200)
    }

    fn pool() -> impl Strategy<Value = Pool> {
        (2..60u64).prop_flat_map(|all| {
            (1..all).prop_flat_map(move |each| {
                (0..=all - each).prop_map(move |places| Pool::of(all, each).reserving(places))
            })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// Goal: the first two laws, and that the books are right. Method: hostile juniors 0 to 3 take and give back at
        /// will; then one that has nothing takes unit by unit, and a senior after it.
        #[test]
        fn parties_at_their_maximum_leave_every_other_its_part(pool in pool(), acts in acts()) {
            for hostile in 1..=4 {
                let mut shares = Shares::new(pool);
                for act in &acts {
                    match *act {
                        Act::Take(party, amount) => {
                            let _ = shares.take(&(party % hostile), amount, Rank::Junior);
                        }
                        Act::Back(party, amount) => shares.give_back(&(party % hostile), amount),
                    }
                    let sum = (0..4).map(|party| shares.held(&party)).sum::<u64>();
                    prop_assert_eq!(shares.total(), sum);
                    prop_assert!(sum <= pool.open_to(Rank::Junior));
                    prop_assert!((0..4).all(|party| shares.held(&party) <= pool.each()));
                    let most = (0..4).map(|party| shares.held(&party)).max().unwrap();
                    prop_assert_eq!(shares.greatest().map_or(0, |it| shares.held(it)), most);
                }
                let others = pool.open_to(Rank::Junior) - u64::from(hostile).saturating_mul(pool.each())
                    .min(pool.open_to(Rank::Junior));
                while shares.take(&9, 1, Rank::Junior).is_ok() {}
                prop_assert!(shares.held(&9) >= others.min(pool.each()));
                while shares.take(&10, 1, Rank::Senior).is_ok() {}
                let reserved = pool.all() - pool.open_to(Rank::Junior);
                prop_assert!(shares.held(&10) >= reserved.min(pool.each()));
            }
        }

        /// Goal: the third law: if the greatest gives way, no party is worse off for having come
        /// last. Method: parties come one after the other and each takes what it gets, until
        /// nothing moves any longer.
        #[test]
        fn whoever_came_first_gives_way_down_to_an_equal_part(pool in pool(), parties in 1..9u64) {
            let mut shares = Shares::new(pool);
            for party in 0..parties {
                loop {
                    if shares.take(&party, 1, Rank::Junior).is_ok() {
                        continue;
                    }
                    let Some(greatest) = shares.gives_way(&party, 1).copied() else { break };
                    shares.give_back(&greatest, 1);
                }
            }
            let part = (pool.open_to(Rank::Junior) / parties).min(pool.each());
            for party in 0..parties {
                prop_assert!(shares.held(&party) >= part, "{party}: {} of {part}", shares.held(&party));
            }
        }
    }

    #[test]
    fn a_full_share_is_told_from_a_full_pool() {
        let mut shares = Shares::new(Pool::of(10, 4).reserving(2));
        assert_eq!(shares.take(&'a', 5, Rank::Senior), Err(Full::Share));
        assert_eq!(shares.take(&'a', 4, Rank::Junior), Ok(()));
        assert_eq!(shares.take(&'b', 4, Rank::Junior), Ok(()));
        assert_eq!(shares.take(&'c', 1, Rank::Junior), Err(Full::Pool));
        assert_eq!(shares.gives_way(&'c', 1), Some(&'b'));
        assert_eq!(shares.take(&'c', 2, Rank::Senior), Ok(()));
        shares.leave(&'a');
        assert_eq!((shares.total(), shares.parties()), (6, 2));
        assert_eq!(shares.take(&'a', u64::MAX, Rank::Senior), Err(Full::Share));
    }
}
