//! Where members were dialled in earlier times, or say that they can be: where to begin after a restart.
use super::{Ctx, Group, Known, Timer};
use crate::address::Address;
use crate::id::{Fingerprint, PeerId};
use crate::limits;
use std::time::Duration;

/// A place that is learned is saved after so long. Guess: more of them may come at once.
const SAVED_AFTER: Duration = Duration::from_secs(1);

/// The certificate that an address names.
fn certificate(address: &Address) -> Option<Fingerprint> {
    match address {
        Address::Rtc { fingerprint, .. } => Some(*fingerprint),
        Address::WebSocket { .. } => None,
    }
}

impl Group {
    /// Remembers where a member was reached or says it can be, for the next start. A set of the same peer that names the
    /// same certificate is an older one of the same node, and forgotten.
    pub(super) fn know(&mut self, ctx: &mut Ctx<'_>, peer: PeerId, addresses: &[Address]) {
        if addresses.is_empty() || self.known.back().is_some_and(|it| it.addresses == addresses) {
            return;
        }
        let certificates: Vec<Fingerprint> = addresses.iter().filter_map(certificate).collect();
        let older = |known: &Known| {
            let mut named = known.addresses.iter().filter_map(certificate);
            known.peer == Some(peer) && named.any(|it| certificates.contains(&it))
        };
        if !self.known.iter().any(|known| known.addresses == addresses) {
            self.repair.learned();
        }
        self.known.retain(|known| known.addresses != addresses && !older(known));
        self.known.push_back(Known { peer: Some(peer), addresses: addresses.to_vec() });
        // Nobody takes the places of others: what one peer says makes way for what it said first.
        let is_theirs = |known: &Known| known.peer == Some(peer);
        let theirs = self.known.iter().filter(|known| is_theirs(known)).count() as u64;
        let oldest = match theirs > limits::KNOWN_ADDRESSES.each() {
            true => self.known.iter().position(is_theirs),
            false => (self.known.len() as u64 > limits::KNOWN_ADDRESSES.all()).then_some(0),
        };
        if let Some(oldest) = oldest {
            self.known.remove(oldest);
        }
        self.timers.set_if_unarmed(Timer::Save, ctx.now.mono.after(SAVED_AFTER));
    }
}
