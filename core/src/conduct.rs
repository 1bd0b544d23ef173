//! How peers behave towards this node: how often they speak, and how often they broke the protocol.
//!
//! Data that a peer brings and asks for have budgets where they are handled (`group/waste.rs`, `group/sync/budget.rs`). Here is
//! what is left: messages that are small, and cost more than they weigh.
//!
//! * **Signals** may come from anybody of the graph, carried by whoever is between; what counts is what is new
//!   (`group/carriage.rs`), and here the copies with it. A signal over a budget is dropped: it is nobody's fault, and whoever
//!   wants a link tries again. The same with those that go by way of a rendezvous node.
//! * **Words** are the neighbour's own. An honest one never uses its budget up, so whoever does has broken the protocol.
//! * **Penance.** A peer that breaks the protocol loses its link, and may come back at once: it may be a mistake of a moment.
//!   Each fault takes a while to be forgiven; who has too many to be forgiven is not let near until some are. An act that
//!   somebody on the way could have done is nobody's fault.
//!
//! A closed link changes nothing in it: what counts is who is at the other end.
use crate::budget::Accounts;
use crate::fault::Misbehaved;
use crate::id::PeerId;
use crate::limits::{
    PENANCE, PENANCE_MAX, PENANCE_OF_EXCESS, SIGNAL_COPIES_TIMES, SIGNALS, SIGNALS_PER_SECOND,
    WORDS_PER_SECOND, WORDS_SPARE,
};
use crate::time::Time;
use crate::wire::kind::{self, Kind};

/// Milliseconds in a second: penance is done at the pace of time.
const MS_PER_SECOND: u64 = 1_000;

/// The peers that have spoken to this node.
pub(crate) struct Conduct {
    signals: Accounts,
    /// At rendezvous nodes.
    carried: Accounts,
    words: Accounts,
    /// In milliseconds.
    penance: Accounts,
}

impl Default for Conduct {
    fn default() -> Self {
        Self {
            signals: Accounts::new(SIGNAL_COPIES_TIMES * SIGNALS_PER_SECOND.all()),
            carried: Accounts::new(SIGNALS_PER_SECOND.all()),
            words: Accounts::new(WORDS_PER_SECOND),
            penance: Accounts::new(MS_PER_SECOND),
        }
    }
}

impl Conduct {
    /// Takes note of a message that is not bulk. Whether it is to be looked at.
    pub(crate) fn hear(&mut self, now: Time, peer: PeerId, kind: Kind) -> Result<bool, Misbehaved> {
        let signals = match kind {
            kind::SIGNAL => Some((&mut self.signals, SIGNAL_COPIES_TIMES * SIGNALS.all())),
            kind::CARRY => Some((&mut self.carried, SIGNALS.all())),
            _ => None,
        };
        if let Some((signals, most)) = signals {
            let heard = signals.over(now, &peer, most - 1) == 0;
            if heard {
                signals.add(now, peer, 1);
            }
            return Ok(heard);
        }
        self.words.add(now, peer, 1);
        let over = self.words.over(now, &peer, WORDS_SPARE) > 0;
        if over { Err(Misbehaved::Excess) } else { Ok(true) }
    }

    /// A peer broke the protocol.
    pub(crate) fn blame(&mut self, now: Time, peer: PeerId, fault: Misbehaved) {
        // Anybody on the way can forge what is not authenticated.
        if fault == Misbehaved::Handshake {
            return;
        }
        let penance = if fault == Misbehaved::Excess { PENANCE_OF_EXCESS } else { PENANCE };
        self.penance.add(now, peer, penance.as_millis() as u64);
    }

    /// Whether a peer is not to be let near.
    pub(crate) fn is_banned(&mut self, now: Time, peer: PeerId) -> bool {
        self.penance.over(now, &peer, PENANCE_MAX.as_millis() as u64) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::KEEPALIVE_EVERY;
    use std::time::Duration;

    fn peer(number: u16) -> PeerId {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        PeerId::from_bytes(bytes)
    }

    #[test]
    fn who_says_what_a_neighbour_has_to_say_is_heard_for_ever() {
        let (mut conduct, mut now) = (Conduct::default(), Time::ZERO);
        for _ in 0..100_000 {
            now = now.after(KEEPALIVE_EVERY / 100);
            assert_eq!(conduct.hear(now, peer(1), kind::PING), Ok(true));
            assert_eq!(conduct.hear(now, peer(1), kind::SIGNAL), Ok(true));
        }
        assert!(!conduct.is_banned(now, peer(1)));
    }

    #[test]
    fn words_beyond_the_budget_are_a_fault_and_signals_are_dropped() {
        let (mut conduct, now) = (Conduct::default(), Time::ZERO);
        for _ in 0..WORDS_SPARE {
            assert_eq!(conduct.hear(now, peer(1), kind::OPEN), Ok(true));
        }
        assert_eq!(conduct.hear(now, peer(1), kind::OPEN), Err(Misbehaved::Excess));
        assert_eq!(conduct.hear(now, peer(2), kind::OPEN), Ok(true), "another is another");
        for (kind, times) in [(kind::SIGNAL, SIGNAL_COPIES_TIMES), (kind::CARRY, 1)] {
            let (all, per_second) = (times * SIGNALS.all(), times * SIGNALS_PER_SECOND.all());
            for _ in 0..all {
                assert_eq!(conduct.hear(now, peer(1), kind), Ok(true));
            }
            for _ in 0..3 * all {
                assert_eq!(conduct.hear(now, peer(1), kind), Ok(false));
            }
            let later = now.after(Duration::from_secs(1));
            let heard = (0..all).filter(|_| conduct.hear(later, peer(1), kind) == Ok(true));
            assert_eq!(heard.count() as u64, per_second, "what is dropped costs nothing more");
        }
    }

    #[test]
    fn faults_are_forgiven_and_too_many_keep_a_peer_away_for_a_while() {
        let (mut conduct, now) = (Conduct::default(), Time::ZERO);
        let faults = PENANCE_MAX.as_secs() / PENANCE.as_secs();
        for _ in 0..faults {
            conduct.blame(now, peer(1), Misbehaved::BadFrame);
            conduct.blame(now, peer(2), Misbehaved::Handshake);
            conduct.blame(now, peer(2), Misbehaved::Handshake);
        }
        assert!(!conduct.is_banned(now, peer(1)), "so many may be open");
        conduct.blame(now, peer(1), Misbehaved::BadFrame);
        assert!(conduct.is_banned(now, peer(1)));
        assert!(!conduct.is_banned(now, peer(2)), "anybody on the way could have done that");
        assert!(conduct.is_banned(now.after(PENANCE / 2), peer(1)));
        assert!(!conduct.is_banned(now.after(PENANCE), peer(1)));
        conduct.blame(now, peer(3), Misbehaved::Excess);
        assert!(conduct.is_banned(now, peer(3)), "no mistake of a moment");
        assert!(!conduct.is_banned(now.after(PENANCE_OF_EXCESS - PENANCE_MAX), peer(3)));
    }
}
