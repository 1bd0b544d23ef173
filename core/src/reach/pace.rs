//! How often an address, and the machine behind it, is dialled again.
//!
//! An address that failed rests for a while, longer each time. All dials of one destination draw on
//! one budget, however many addresses, nodes and groups lead there: members that tell addresses of
//! a stranger's machine cannot turn a group against it. Addresses that the application names have a
//! ladder of their own (`named`), and are not held back here.
use super::dial::Source;
use super::order::Past;
use crate::address::Address;
use crate::budget::Accounts;
use crate::sorted::SortedMap;
use crate::source;
use crate::time::Time;
use crate::web_url::Host;
use std::time::Duration;

/// Addresses of which the past is known. Guess. The one touched longest ago is forgotten.
const PASTS_MAX: usize = 512;
/// An address rests so long after its first failure; doubles with each further one. Guess.
const REST_FIRST: Duration = Duration::from_millis(500);
/// The longest rest of an address of an invitation, for which somebody waits. Guess: an inviter that comes back is found
/// within 5 s.
const REST_INVITED_MAX: Duration = Duration::from_secs(2);
/// The longest rest of other addresses. Guess: members that come back in order are found within a few rounds.
const REST_MAX: Duration = Duration::from_secs(8);
/// Dials of one destination at once that led to nobody. Guess: the members behind one router, and dead ports of a program
/// that was started often.
const DIALS_BURST: u64 = 32;
/// Dials of one destination in a second beyond them. Guess: what a person causes who waits and tries again.
const DIALS_PER_SECOND: u64 = 1;

/// A destination: one machine, or everything that one subscriber has. All of its addresses share a
/// budget.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Destination {
    Ip(source::Source),
    Name(String),
}

fn destination(address: &Address) -> Destination {
    match address {
        Address::Rtc { socket, .. } => Destination::Ip(source::Source::of(socket.ip())),
        Address::WebSocket { url } => match url.web().host() {
            Host::Ip(ip) => Destination::Ip(source::Source::of(*ip)),
            Host::Name(name) => Destination::Name(name.clone()),
        },
    }
}

/// The history of earlier dials.
pub(super) struct Pace {
    pasts: SortedMap<Address, Known>,
    destinations: Accounts<Destination>,
}

#[derive(Clone, Copy)]
struct Known {
    past: Past,
    at: Time,
    /// In a row.
    failures: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { pasts: SortedMap::new(), destinations: Accounts::new(DIALS_PER_SECOND) }
    }
}

impl Pace {
    /// How the last dial of an address ended.
    pub(super) fn past(&self, address: &Address) -> Past {
        self.pasts.get(address).map_or(Past::Unknown, |known| known.past)
    }

    /// Whether an address may be dialled now.
    pub(super) fn may_dial(&mut self, now: Time, address: &Address, source: Source) -> bool {
        let most = match source {
            Source::Named => return true,
            Source::Invited => REST_INVITED_MAX,
            Source::Remembered | Source::Told => REST_MAX,
        };
        let rests =
            self.pasts.get(address).filter(|known| known.failures > 0).is_some_and(|known| {
                let rest = REST_FIRST.saturating_mul(1 << (known.failures - 1).min(6)).min(most);
                now.since(known.at) < rest
            });
        !rests && self.destinations.over(now, &destination(address), DIALS_BURST - 1) == 0
    }

    /// An address is dialled.
    pub(super) fn dialled(&mut self, now: Time, address: &Address) {
        self.destinations.add(now, destination(address), 1);
    }

    /// A dial led to somebody, or was not needed: it was no burden.
    pub(super) fn spared(&mut self, address: &Address) {
        self.destinations.give(&destination(address), 1);
    }

    /// The network is another one: what failed over the old one may be reached.
    pub(super) fn forgive(&mut self) {
        self.pasts.retain(|_, known| known.past == Past::Good);
    }

    /// A dial ended.
    pub(super) fn note(&mut self, now: Time, address: &Address, past: Past) {
        let before = self.pasts.get(address).map_or(0, |known| known.failures);
        let failures = if past == Past::Bad { before.saturating_add(1) } else { 0 };
        self.pasts.insert(address.clone(), Known { past, at: now, failures });
        if self.pasts.len() > PASTS_MAX {
            let oldest = self.pasts.iter().min_by_key(|(_, known)| known.at);
            if let Some(oldest) = oldest.map(|(address, _)| address.clone()) {
                self.pasts.remove(&oldest);
            }
        }
    }
}
