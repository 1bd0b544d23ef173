//! Which address is dialled first.
//!
//! Addresses that led to somebody come before unknown ones, and those that failed last. Within each of the three,
//! kinds take turns: a data channel over IPv6, one over IPv4, a WebSocket. So a host whose IPv6 leads nowhere, or whose
//! UDP is blocked, loses one interval and not one for each address. Source: RFC 8305, section 4.
use crate::address::Address;
use std::collections::VecDeque;
use std::net::IpAddr;

/// What is known of an address from earlier attempts.
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

/// Orders addresses; those that are alike stay in the order in which they are given.
pub(super) fn order(addresses: Vec<Address>, past: impl Fn(&Address) -> Past) -> VecDeque<Address> {
    let mut ordered = VecDeque::with_capacity(addresses.len());
    for wanted in [Past::Good, Past::Unknown, Past::Bad] {
        let mut kinds: [VecDeque<&Address>; KINDS] = Default::default();
        for address in addresses.iter().filter(|address| past(address) == wanted) {
            kinds[kind(address)].push_back(address);
        }
        while kinds.iter().any(|kind| !kind.is_empty()) {
            ordered.extend(kinds.iter_mut().filter_map(VecDeque::pop_front).cloned());
        }
    }
    ordered
}

/// Where an address is, as far as it decides who may make us dial it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// This machine.
    Loopback,
    /// A network of the machine's own.
    Private,
    /// Anywhere, or a name.
    Public,
}

/// Where an address is.
pub(super) fn place(address: &Address) -> Place {
    let ip = match address {
        Address::Rtc { socket, .. } => socket.ip(),
        Address::WebSocket { url } => {
            let host = crate::node_url::host_of(url);
            match host.parse() {
                Ok(ip) => ip,
                Err(_) if host == "localhost" || host.ends_with(".localhost") => {
                    return Place::Loopback;
                }
                // A name without a dot is one of the local network.
                Err(_) if !host.contains('.') => return Place::Private,
                Err(_) => return Place::Public,
            }
        }
    };
    place_of(ip)
}

fn place_of(ip: IpAddr) -> Place {
    match ip {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
            place_of(v6.to_ipv4_mapped().map_or(ip, IpAddr::V4))
        }
        _ if ip.is_loopback() || ip.is_unspecified() => Place::Loopback,
        IpAddr::V4(v4) if v4.is_private() || v4.is_link_local() || is_shared(v4.octets()) => {
            Place::Private
        }
        IpAddr::V6(v6) if v6.is_unique_local() || v6.is_unicast_link_local() => Place::Private,
        IpAddr::V4(_) | IpAddr::V6(_) => Place::Public,
    }
}

/// 100.64.0.0/10, RFC 6598: what providers and overlay networks use inside.
fn is_shared(octets: [u8; 4]) -> bool {
    octets[0] == 100 && octets[1] & 0xc0 == 0x40
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

    #[test]
    fn kinds_take_turns() {
        let given: Vec<Address> = (1..4)
            .map(|n| rtc(&format!("192.0.2.{n}:1")))
            .chain([rtc("[2001:db8::1]:1")])
            .collect();
        let given = [given, vec![socket("wss://a.example/"), socket("wss://b.example/")]].concat();
        let kinds: Vec<usize> = order(given, |_| Past::Unknown).iter().map(kind).collect();
        assert_eq!(kinds, [0, 1, 2, 1, 2, 1]);
    }

    #[test]
    fn places_are_told_apart() {
        for (address, expected) in [
            (socket("ws://127.0.0.1:8080/link"), Place::Loopback),
            (socket("ws://localhost/link"), Place::Loopback),
            (socket("ws://[::1]:1/"), Place::Loopback),
            (socket("ws://[::ffff:127.0.0.1]:1/"), Place::Loopback),
            (socket("ws://0.0.0.0/"), Place::Loopback),
            (socket("ws://192.168.1.1/"), Place::Private),
            (socket("ws://router/"), Place::Private),
            (socket("ws://100.100.1.1/"), Place::Private),
            (socket("ws://[fe80::1]/"), Place::Private),
            (socket("wss://node.example/link"), Place::Public),
            (rtc("10.0.0.1:1"), Place::Private),
            (rtc("[2001:db8::1]:1"), Place::Public),
        ] {
            assert_eq!(place(&address), expected, "{address}");
        }
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
            let ordered = order(given.clone(), past);
            prop_assert!(ordered.iter().map(past).is_sorted());
            let mut ordered: Vec<Address> = ordered.into();
            let mut given = given;
            ordered.sort_unstable();
            given.sort_unstable();
            prop_assert_eq!(ordered, given);
        }
    }
}
