//! Which address is dialled first.
//!
//! Addresses that led to somebody come before unknown ones, and those that failed last. Within each of the three,
//! kinds take turns: a data channel over IPv6, one over IPv4, a WebSocket. So a host whose IPv6 leads nowhere, or whose
//! UDP is blocked, loses one interval and not one for each address. Source: RFC 8305, section 4.
use super::dial::Source;
use crate::address::Address;
use crate::place::Places;
use std::collections::VecDeque;

/// The outcome of earlier attempts at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Past {
    /// The last attempt led to somebody.
    Good,
    /// There was none.
    Unknown,
    /// The last attempt failed.
    Bad,
}

/// Kinds that take turns.
const KINDS: usize = 3;

fn kind(address: &Address) -> usize {
    match address {
        Address::Rtc { socket, .. } if socket.is_ipv6() => 0,
        Address::Rtc { .. } => 1,
        Address::WebSocket { .. } => 2,
    }
}

/// An address that a race may dial, and where its host may be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub(super) address: Address,
    pub(super) places: Places,
    pub(super) source: Source,
}

/// Orders addresses; those that are alike stay in the order in which they are given.
pub(super) fn order(
    candidates: VecDeque<Candidate>,
    past: impl Fn(&Address) -> Past,
) -> VecDeque<Candidate> {
    let mut ordered = VecDeque::with_capacity(candidates.len());
    for wanted in [Past::Good, Past::Unknown, Past::Bad] {
        let mut kinds: [VecDeque<&Candidate>; KINDS] = Default::default();
        for candidate in candidates.iter().filter(|it| past(&it.address) == wanted) {
            kinds[kind(&candidate.address)].push_back(candidate);
        }
        while kinds.iter().any(|kind| !kind.is_empty()) {
            ordered.extend(kinds.iter_mut().filter_map(VecDeque::pop_front).cloned());
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rtc(socket: &str) -> Address {
        let fingerprint = crate::id::Fingerprint::from_bytes([1; 32]);
        Address::Rtc { socket: socket.parse().expect("a socket"), fingerprint }
    }

    fn socket(url: &str) -> Address {
        url.parse().expect("a WebSocket")
    }

    fn order(addresses: &[Address], past: impl Fn(&Address) -> Past) -> Vec<Address> {
        let candidate = |address: &Address| Candidate {
            address: address.clone(),
            places: Places::ALL,
            source: Source::Told,
        };
        let ordered = super::order(addresses.iter().map(candidate).collect(), past);
        ordered.into_iter().map(|it| it.address).collect()
    }

    #[test]
    fn kinds_take_turns() {
        let given: Vec<Address> = (1..4)
            .map(|n| rtc(&format!("192.0.2.{n}:1")))
            .chain([rtc("[2001:db8::1]:1")])
            .collect();
        let given = [given, vec![socket("wss://a.example/"), socket("wss://b.example/")]].concat();
        let kinds: Vec<usize> = order(&given, |_| Past::Unknown).iter().map(kind).collect();
        assert_eq!(kinds, [0, 1, 2, 1, 2, 1]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_what_failed_comes_last(kinds in proptest::collection::vec((0..3_u8, 0..3_u8), 0..40)) {
            let addresses: Vec<(Address, Past)> = kinds.iter().enumerate().map(|(n, (kind, past))| {
                let address = match kind {
                    0 => rtc(&format!("[2001:db8::{n:x}]:1")),
                    1 => rtc(&format!("192.0.2.{n}:1")),
                    _ => socket(&format!("wss://n{n}.example/")),
                };
                (address, [Past::Good, Past::Unknown, Past::Bad][usize::from(*past)])
            }).collect();
            let past = |address: &Address| {
                addresses.iter().find(|(known, _)| known == address).map_or(Past::Unknown, |(_, past)| *past)
            };
            let given: Vec<Address> = addresses.iter().map(|(address, _)| address.clone()).collect();
            let mut ordered = order(&given, past);
            prop_assert!(ordered.iter().map(past).is_sorted());
            let mut given = given;
            ordered.sort_unstable();
            given.sort_unstable();
            prop_assert_eq!(ordered, given);
        }
    }
}
