//! The work that a peer may have us do for its syncs.
//!
//! Every peer may have what a comparison of everything and two copies of our records take, at once; after that it
//! is served at a steady pace. A request over that is not refused but answered later: a peer has one step of a
//! comparison under way, so that no more than one answer waits. A peer's links share its budget, and a closed one
//! gives nothing back.
use crate::budget::Accounts;
use crate::id::PeerId;
use crate::limits::{SYNC_WORK_PER_SECOND, SYNC_WORK_SPARE};
use crate::time::Time;
use std::time::Duration;

/// Work of each peer, in units: a symbol, a range, a listed or wanted record, a KB of records given.
pub(in crate::group) struct Budgets(Accounts);

impl Default for Budgets {
    fn default() -> Self {
        Self(Accounts::new(SYNC_WORK_PER_SECOND))
    }
}

impl Budgets {
    /// Notes work that was done for a peer.
    pub(super) fn spend(&mut self, now: Time, peer: PeerId, work: u64) {
        self.0.add(now, peer, work);
    }

    /// How long a peer has to wait, who may have two copies of records of so many units.
    pub(super) fn wait(&mut self, now: Time, peer: PeerId, records: u64) -> Option<Duration> {
        let most = records.saturating_mul(2).saturating_add(SYNC_WORK_SPARE);
        let over = self.0.over(now, &peer, most);
        let wait = Duration::from_millis(over.saturating_mul(1_000) / SYNC_WORK_PER_SECOND + 1);
        (over > 0).then_some(wait)
    }

    /// Forgets who has nothing left to pay off.
    pub(super) fn sweep(&mut self, now: Time) {
        self.0.sweep(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_spends_too_much_waits_and_others_do_not() {
        let (now, mut budgets) = (Time::from_micros(5_000_000), Budgets::default());
        let [greedy, other] = [1, 2].map(|byte| PeerId::from_bytes([byte; 32]));
        budgets.spend(now, greedy, SYNC_WORK_SPARE + 2_000);
        assert_eq!(budgets.wait(now, greedy, 1_000), None, "two copies and the spare");
        budgets.spend(now, greedy, 10 * SYNC_WORK_PER_SECOND);
        let wait = budgets.wait(now, greedy, 1_000).unwrap();
        assert_eq!(wait, Duration::from_millis(10_001));
        assert_eq!(budgets.wait(now, other, 0), None);
        assert_eq!(budgets.wait(now.after(wait), greedy, 1_000), None);
        budgets.sweep(now.after(wait));
        assert_eq!(budgets.0.len(), 1, "a closed link is no way out");
        budgets.sweep(now.after(Duration::from_secs(86_400)));
        assert_eq!(budgets.0.len(), 0);
    }
}
