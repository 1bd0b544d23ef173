//! Signals that came before the offer of their attempt, since they overtook it on the way.
use crate::limits::{EARLY_SIGNAL_BYTES_MAX, EARLY_SIGNALS};
use crate::link::Offerer;
use crate::share::Crowd;
use crate::sorted::SortedMap;
use bytes::Bytes;

/// Signals that wait for their offers: a share for each that could have sent them.
pub(crate) struct Early {
    crowd: Crowd<Offerer, u64>,
    /// By the order in which they came: the other end and attempt, and the signal.
    signals: SortedMap<u64, ((u64, u64), Bytes)>,
    came: u64,
}

impl Default for Early {
    fn default() -> Self {
        Self { crowd: Crowd::new(EARLY_SIGNALS), signals: SortedMap::new(), came: 0 }
    }
}

impl Early {
    /// Keeps a signal of an attempt whose offer has not come. One that is too long for a candidate is dropped.
    pub(crate) fn keep(&mut self, offerer: Offerer, attempt: (u64, u64), signal: Bytes) {
        if signal.len() > EARLY_SIGNAL_BYTES_MAX {
            return;
        }
        self.came += 1;
        if let Some(gone) = self.crowd.enter(&offerer, self.came) {
            self.signals.remove(&gone);
        }
        // A copy: what it was cut from is larger.
        self.signals.insert(self.came, (attempt, Bytes::copy_from_slice(&signal)));
    }

    /// The offer of an attempt came: what came before it, in order.
    pub(crate) fn take(&mut self, attempt: (u64, u64)) -> Vec<Bytes> {
        let meant = self.signals.iter().filter(|(_, (of, _))| *of == attempt);
        let meant: Vec<u64> = meant.map(|(&number, _)| number).collect();
        let mut taken = Vec::new();
        for number in meant {
            self.crowd.leave(&number);
            taken.extend(self.signals.remove(&number).map(|(_, signal)| signal));
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::PeerId;

    #[test]
    fn one_neighbours_signals_never_take_anothers_place() {
        let [eve, bob] = [1, 2].map(|n| Offerer::Bringer(PeerId::from_bytes([n; 32])));
        let mut early = Early::default();
        early.keep(bob, (1, 1), Bytes::from_static(b"a"));
        early.keep(bob, (1, 2), Bytes::from_static(b"b"));
        early.keep(bob, (1, 1), Bytes::from_static(b"c"));
        for n in 0..2 * EARLY_SIGNALS.all() {
            early.keep(eve, (2, n), Bytes::from_static(b"x"));
        }
        early.keep(eve, (2, 0), vec![0; EARLY_SIGNAL_BYTES_MAX + 1].into());
        assert!(early.signals.len() as u64 <= EARLY_SIGNALS.each() + 3);
        assert_eq!(early.signals.len(), early.crowd.len());
        assert_eq!(early.take((1, 1)), [Bytes::from_static(b"a"), Bytes::from_static(b"c")]);
        assert!(early.take((1, 1)).is_empty() && early.take((2, 0)).is_empty());
    }
}
