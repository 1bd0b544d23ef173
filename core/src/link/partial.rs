//! Messages of which only a part has come, and whose share of the memory for them is full.
//!
//! A message longer than a frame waits for its last part, and the other end decides when that
//! comes. Links to neighbours are few, and how long their messages may be is the group's policy.
//! All other links share one account, in bytes: those of strangers by the place that they come
//! from, those that we began each by itself. The oldest message of the holder that has most gives
//! way: its link is closed, as nothing can follow on an ordered channel from which a part is
//! missing.
use crate::io::LinkId;
use crate::limits::PARTIAL_BYTES;
use crate::share::{Full, Rank, Shares};
use crate::sorted::{SortedMap, SortedSet};
use crate::source::Source;

/// On whose account the parts of a message wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holder {
    /// Strangers from there.
    From(Source),
    /// The other end of a link that we began, or were offered by a signal.
    Of(LinkId),
}

/// One message of which a part has come.
struct Partial {
    holder: Holder,
    /// Messages that were begun later have higher numbers.
    begun: u64,
    bytes: u64,
}

/// The unfinished messages of all links but those to neighbours.
pub(super) struct Partials {
    shares: Shares<Holder>,
    messages: SortedMap<LinkId, Partial>,
    by_age: SortedMap<Holder, SortedSet<(u64, LinkId)>>,
    begun: u64,
}

impl Default for Partials {
    fn default() -> Self {
        Self {
            shares: Shares::new(PARTIAL_BYTES),
            messages: SortedMap::new(),
            by_age: SortedMap::new(),
            begun: 0,
        }
    }
}

impl Partials {
    /// So many bytes of a message of `link` wait by now. Answers the links whose messages give way,
    /// maybe its own.
    pub(super) fn hold(&mut self, link: LinkId, holder: Holder, bytes: usize) -> Vec<LinkId> {
        let begun = self.messages.get(&link).map(|known| known.begun);
        self.end(link);
        let bytes = bytes as u64;
        if bytes == 0 {
            return Vec::new();
        }
        let begun = begun.unwrap_or_else(|| {
            self.begun += 1;
            self.begun
        });
        let mut gone = Vec::new();
        while let Err(full) = self.shares.fits(&holder, bytes, Rank::Junior) {
            let gives = match full {
                Full::Share => None,
                Full::Pool => self.shares.gives_way(&holder, bytes).copied(),
            };
            let gives = gives.unwrap_or(holder);
            let oldest = self.by_age.get(&gives).and_then(|all| all.first().copied());
            match oldest {
                Some((age, oldest)) if gives != holder || age < begun => {
                    self.end(oldest);
                    gone.push(oldest);
                }
                // No other of its holder is older, or there is none.
                Some(_) | None => {
                    gone.push(link);
                    return gone;
                }
            }
        }
        self.shares.book(&holder, bytes);
        self.messages.insert(link, Partial { holder, begun, bytes });
        self.by_age.entry(holder).or_default().insert((begun, link));
        gone
    }

    /// The message of a link is whole, or the link is gone or leads to a neighbour.
    pub(super) fn end(&mut self, link: LinkId) {
        let Some(Partial { holder, begun, bytes }) = self.messages.remove(&link) else { return };
        self.shares.give_back(&holder, bytes);
        if let Some(all) = self.by_age.get_mut(&holder) {
            all.remove(&(begun, link));
            if all.is_empty() {
                self.by_age.remove(&holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::STRANGER_BYTES_MAX;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    fn from(n: u8) -> Holder {
        Holder::From(Source::of(Ipv4Addr::new(192, 0, n, 1).into()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// Goal: hostile places at their maximum leave every other its part, and all together stay
        /// within the pool. Method: links of `hostile` places hold parts of any length, grow and
        /// end in any order; an honest one holds no more than its part, and none of its messages
        /// gives way.
        #[test]
        fn parts_within_a_places_share_never_give_way(
            hostile in 1..12u8,
            acts in prop::collection::vec((0..14u8, 0..60u64, 0..=STRANGER_BYTES_MAX), 0..600),
        ) {
            let part = (PARTIAL_BYTES.all() / (u64::from(hostile) + 1)).min(PARTIAL_BYTES.each());
            let mut partials = Partials::default();
            let mut honest: SortedMap<u64, u64> = SortedMap::new();
            for (who, nth, bytes) in acts {
                let link = LinkId(u64::from(who.min(hostile)) * 100 + nth);
                if who < hostile {
                    for gone in partials.hold(link, from(who), bytes) {
                        prop_assert!(gone.0 / 100 != u64::from(hostile), "an honest one gave way");
                    }
                } else {
                    let others = honest.iter().filter(|(at, _)| **at != nth);
                    let others: u64 = others.map(|(_, bytes)| bytes).sum();
                    let bytes = (bytes as u64).min(part.saturating_sub(others));
                    let gone = partials.hold(link, from(200), bytes as usize);
                    prop_assert!(gone.iter().all(|gone| gone.0 / 100 != u64::from(hostile)));
                    honest.insert(nth, bytes);
                }
                prop_assert!(partials.shares.total() <= PARTIAL_BYTES.all());
                let sum: u64 = partials.messages.values().map(|it| it.bytes).sum();
                prop_assert_eq!(partials.shares.total(), sum);
            }
        }
    }

    #[test]
    fn oldest_of_a_place_that_has_its_share_gives_way() {
        let mut partials = Partials::default();
        let share = PARTIAL_BYTES.each() as usize;
        assert!(partials.hold(LinkId(1), from(1), share / 2).is_empty());
        assert!(partials.hold(LinkId(2), from(1), share / 2).is_empty());
        assert_eq!(partials.hold(LinkId(3), from(1), share / 2), [LinkId(1)]);
        // The one that grows is the oldest by now.
        assert_eq!(partials.hold(LinkId(2), from(1), share / 2 + 1), [LinkId(2)]);
        assert!(partials.hold(LinkId(4), from(1), share / 2).is_empty(), "that one is gone");
        partials.end(LinkId(3));
        partials.end(LinkId(4));
        assert_eq!((partials.shares.total(), partials.by_age.len()), (0, 0));
    }
}
