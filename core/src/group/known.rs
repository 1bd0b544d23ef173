//! Where members were dialled in earlier times, or say that they can be: where to begin after a restart.
use super::{Ctx, Group, Timer};
use crate::address::Address;
use crate::id::{Fingerprint, PeerId};
use crate::limits;
use crate::reach::dial::Source;
use std::collections::VecDeque;
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

/// Where a node could be dialled in earlier times.
#[derive(Clone)]
pub(super) struct Known {
    /// The peer that said so; nobody we know if it stood in an invitation.
    pub(super) peer: Option<PeerId>,
    pub(super) addresses: Vec<Address>,
}

impl Known {
    /// The source of the addresses.
    pub(super) fn source(&self) -> Source {
        if self.peer.is_some() { Source::Remembered } else { Source::Invited }
    }

    fn names(&self, certificates: &[Fingerprint]) -> bool {
        self.addresses.iter().filter_map(certificate).any(|it| certificates.contains(&it))
    }
}

/// Places of nodes, the newest last: those that worked, and those that an invitation names.
#[derive(Default)]
pub(super) struct Places(VecDeque<Known>);

impl FromIterator<Known> for Places {
    fn from_iter<T: IntoIterator<Item = Known>>(places: T) -> Self {
        Self(places.into_iter().collect())
    }
}

impl Places {
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Known> {
        self.0.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Forgets the nodes at an address.
    pub(super) fn forget(&mut self, address: &Address) {
        self.0.retain(|known| !known.addresses.contains(address));
    }

    /// Whether these are the newest.
    fn ends_with(&self, addresses: &[Address]) -> bool {
        self.0.back().is_some_and(|known| known.addresses == addresses)
    }

    /// Adds the addresses of a node as the newest. Returns whether they are news. A set of the same peer that names the same
    /// certificate is an older one of the same node, and forgotten.
    fn add(&mut self, peer: PeerId, addresses: &[Address]) -> bool {
        let certificates: Vec<Fingerprint> = addresses.iter().filter_map(certificate).collect();
        let older = |known: &Known| known.peer == Some(peer) && known.names(&certificates);
        let news = !self.0.iter().any(|known| known.addresses == addresses);
        self.0.retain(|known| known.addresses != addresses && !older(known));
        self.0.push_back(Known { peer: Some(peer), addresses: addresses.to_vec() });
        // Nobody takes the places of others: what one peer says makes way for what it said first.
        let is_theirs = |known: &Known| known.peer == Some(peer);
        let theirs = self.0.iter().filter(|known| is_theirs(known)).count() as u64;
        let oldest = match theirs > limits::KNOWN_ADDRESSES.each() {
            true => self.0.iter().position(is_theirs),
            false => (self.0.len() as u64 > limits::KNOWN_ADDRESSES.all()).then_some(0),
        };
        if let Some(oldest) = oldest {
            self.0.remove(oldest);
        }
        news
    }
}

impl Group {
    /// Remembers where a member was reached or says it can be, for the next start.
    pub(super) fn know(&mut self, ctx: &mut Ctx<'_>, peer: PeerId, addresses: &[Address]) {
        if addresses.is_empty() || self.known.ends_with(addresses) {
            return;
        }
        if self.known.add(peer, addresses) {
            self.repair.learned();
        }
        self.timers.set_if_unarmed(Timer::Save, ctx.now.mono.after(SAVED_AFTER));
    }
}
