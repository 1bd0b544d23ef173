//! How much SCTP may hold of what others send, link by link.
//!
//! The other end of a link decides how much of its window it fills: it sends everything but the
//! first chunk. The stack takes the window when a link begins (as of `rtc-sctp` 0.21.1 it cannot be
//! changed later), and who is at the other end is known after that only. So the large windows are
//! shared: links that others began have one while their place has its share of them, and a small
//! one beyond. A small window carries everything, at long round trips slower.

use std::collections::BTreeMap;

use peergraph_core::share::{Pool, Rank, Shares};
use peergraph_core::source::Source;

use super::RtcId;

/// The window of a link for which there is no large one. Bytes. Ours: 5 MB/s at a round trip of 50
/// ms, more than SCTP gets there where a packet is lost now and then.
pub(super) const SMALL_WINDOW_BYTES: u32 = 256 * 1024;

/// On whose account the window of a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holder {
    /// Strangers from there that dialled us.
    From(Source),
    /// Peers that offer links by signals.
    Signalled,
}

/// The large windows of links that others began.
pub(super) struct Windows {
    shares: Shares<Holder>,
    large: BTreeMap<RtcId, Holder>,
    bytes: u32,
}

impl Windows {
    /// Large windows of so many bytes each, of which this pool is divided.
    pub(super) fn new(bytes: u32, pool: Pool) -> Self {
        Self { shares: Shares::new(pool), large: BTreeMap::new(), bytes }
    }

    /// The window of a new link, which others began or, without a holder, we.
    pub(super) fn begin(&mut self, link: RtcId, holder: Option<Holder>) -> u32 {
        let Some(holder) = holder else { return self.bytes };
        match self.shares.take(&holder, u64::from(self.bytes), Rank::Junior) {
            Ok(()) => {
                self.large.insert(link, holder);
                self.bytes
            }
            Err(_) => self.bytes.min(SMALL_WINDOW_BYTES),
        }
    }

    /// A link is gone.
    pub(super) fn end(&mut self, link: RtcId) {
        if let Some(holder) = self.large.remove(&link) {
            self.shares.give_back(&holder, u64::from(self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    /// Goal: one place at its maximum leaves every other its part, and all windows together are
    /// bounded. Method: as many links as an engine takes, of one place, then of many; some end, and
    /// their windows are free again.
    #[test]
    fn large_windows_are_shared_and_small_ones_are_for_everybody() {
        let mib = 1024 * 1024;
        let mut windows = Windows::new(4 * mib, Pool::of(64 * u64::from(mib), 8 * u64::from(mib)));
        let place = |n: u8| Some(Holder::From(Source::of(Ipv4Addr::new(192, 0, n, 1).into())));
        let mut sum = 0;
        let mut begin = |nth: u64, holder| {
            let window = windows.begin(RtcId(nth), holder);
            sum += u64::from(window);
            window
        };
        let large = |windows: &[u32]| windows.iter().filter(|window| **window == 4 * mib).count();
        let greedy: Vec<u32> = (0..4_096).map(|nth| begin(nth, place(1))).collect();
        assert_eq!(large(&greedy), 2);
        assert_eq!(greedy[4_095], SMALL_WINDOW_BYTES);
        for n in 2..8 {
            assert_eq!(large(&[begin(5_000 + u64::from(n), place(n))]), 1, "its part");
        }
        let many: Vec<u32> = (10..200).map(|n| begin(6_000 + u64::from(n), place(n))).collect();
        assert_eq!(large(&many), 16 - 2 - 6, "all that are left");
        assert_eq!(large(&[begin(7_000, Some(Holder::Signalled))]), 0);
        assert_eq!(large(&[begin(7_001, None)]), 1, "ours are ours");
        let small = (4_096 + 6 + 190 + 1 - 16) * u64::from(SMALL_WINDOW_BYTES);
        assert_eq!(sum, (64 + 4) * u64::from(mib) + small);
        (0..4_096).for_each(|nth| windows.end(RtcId(nth)));
        windows.end(RtcId(3));
        assert_eq!(windows.begin(RtcId(8_000), Some(Holder::Signalled)), 4 * mib);
    }
}
