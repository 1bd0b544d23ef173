//! Where on the network an address is, and the parties that may make us dial there.
//!
//! The law, for addresses that are not the application's own word:
//!
//! 1. No address of a broadcast, a group of receivers, or none at all is dialled, whoever names it.
//! 2. An address that the application names itself may be anywhere.
//! 3. A WebSocket or description that others name is dialled at the usual path only (`/link` and
//!    `/.well-known/peergraph`, below any path if the host is public): a stranger chooses no
//!    request.
//! 4. An invitation, or the description of a node, may name this machine and its local network at that path.
//! 5. Members may name them only if we are there too: one of our own addresses is, or one that the application named.
//! 6. A name counts as what it resolves to: the host checks that with [`Places::hold`] for each address of a name.
use crate::address::Address;
use crate::web_url::Host;
use std::net::{IpAddr, Ipv4Addr};

/// Where nodes take links over WebSockets, at the root of a host.
const LINK_PATH: &str = "/link";

/// Where an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// This machine.
    Here,
    /// A network of the machine's own.
    Near,
    Public,
    /// No program can be there.
    Nowhere,
    /// A name. The host has to check the addresses to which it resolves.
    Named,
}

/// The places at which an address may be dialled. Public ones always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Places {
    /// This machine.
    here: bool,
    /// Its local networks.
    near: bool,
}

impl Places {
    /// Everywhere: for what the application names.
    pub const ALL: Self = Self { here: true, near: true };
    /// Neither this machine nor its local networks.
    pub const PUBLIC: Self = Self { here: false, near: false };

    /// Whether an address of a name may be dialled.
    pub fn hold(self, ip: IpAddr) -> bool {
        self.hold_place(place_of(ip))
    }

    /// The places of these addresses.
    pub(crate) fn of<'a>(addresses: impl IntoIterator<Item = &'a Address>) -> Self {
        let none = Self::PUBLIC;
        addresses.into_iter().map(place).fold(none, |Self { here, near }, place| Self {
            here: here || place == Place::Here,
            near: near || place == Place::Near,
        })
    }

    /// The place of a host.
    pub(crate) fn of_host(host: &Host) -> Self {
        let place = place_of_host(host);
        Self { here: place == Place::Here, near: place == Place::Near }
    }

    /// The places of these and of others.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        Self { here: self.here || other.here, near: self.near || other.near }
    }

    fn hold_place(self, place: Place) -> bool {
        match place {
            Place::Here => self.here,
            Place::Near => self.near,
            Place::Public | Place::Named => true,
            Place::Nowhere => false,
        }
    }
}

/// The party that named an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// The application.
    Own,
    /// An invitation, or a description.
    Given,
    /// A member. We are at these places.
    Told(Places),
}

/// Returns the places at which an address may be dialled that `word` named. Nothing if it must not
/// be dialled at all.
pub(crate) fn judge(address: &Address, word: Word) -> Option<Places> {
    let usual = match address {
        Address::Rtc { .. } => true,
        Address::WebSocket { url } => {
            let path = url.web().path();
            if word != Word::Own && !path.ends_with(LINK_PATH) {
                return None;
            }
            path == LINK_PATH
        }
    };
    word.places(usual, place(address))
}

impl Word {
    /// Returns where a target at `place` may be dialled. `usual`: the path is the usual one, so
    /// that nobody chooses it.
    fn places(self, usual: bool, place: Place) -> Option<Places> {
        let places = match self {
            Self::Own => Places::ALL,
            Self::Given if usual => Places::ALL,
            Self::Told(there) if usual => there,
            Self::Given | Self::Told(_) => Places::PUBLIC,
        };
        places.hold_place(place).then_some(places)
    }

    /// Returns where the description of a node at a host may be fetched. `usual`: it is at the root of the host.
    pub(crate) fn places_of_host(self, usual: bool, host: &Host) -> Option<Places> {
        self.places(usual, place_of_host(host))
    }
}

/// Whether an address can lead to the node whose description, at `host`, names it. A node behind a proxy names its own
/// loopback, which is not ours.
pub(crate) fn fits(address: &Address, host: &Host) -> bool {
    let unspecified = match address {
        Address::Rtc { socket, .. } => socket.ip().is_unspecified(),
        Address::WebSocket { url } => {
            matches!(url.web().host(), Host::Ip(ip) if ip.is_unspecified())
        }
    };
    let place = place(address);
    let elsewhere = place == Place::Here && place_of_host(host) != Place::Here;
    !unspecified && !elsewhere && place != Place::Nowhere
}

fn place(address: &Address) -> Place {
    match address {
        Address::Rtc { socket, .. } => place_of(socket.ip()),
        Address::WebSocket { url } => place_of_host(url.web().host()),
    }
}

fn place_of_host(host: &Host) -> Place {
    match host {
        Host::Ip(ip) => place_of(*ip),
        Host::Name(name) if name == "localhost" || name.ends_with(".localhost") => Place::Here,
        // A name without a dot is one of the local network.
        Host::Name(name) if !name.contains('.') => Place::Near,
        Host::Name(_) => Place::Named,
    }
}

fn place_of(ip: IpAddr) -> Place {
    match ip.to_canonical() {
        ip if ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST) => Place::Nowhere,
        // A connection to the unspecified address is one to this machine.
        ip if ip.is_loopback() || ip.is_unspecified() => Place::Here,
        IpAddr::V4(v4) if v4.is_private() || v4.is_link_local() || is_shared(v4) => Place::Near,
        IpAddr::V6(v6) if v6.is_unique_local() || v6.is_unicast_link_local() => Place::Near,
        IpAddr::V4(_) | IpAddr::V6(_) => Place::Public,
    }
}

/// 100.64.0.0/10, RFC 6598: what providers and overlay networks use inside.
fn is_shared(ip: Ipv4Addr) -> bool {
    ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 0x40
}

#[cfg(test)]
mod tests {
    use super::*;

    const THERE: Places = Places::ALL;
    const ELSEWHERE: Places = Places::PUBLIC;

    fn rtc(socket: &str) -> Address {
        let fingerprint = crate::id::Fingerprint::from_bytes([1; 32]);
        Address::Rtc { socket: socket.parse().expect("a socket"), fingerprint }
    }

    fn socket(url: &str) -> Address {
        url.parse().expect("a WebSocket")
    }

    #[test]
    fn places_are_told_apart() {
        for (address, expected) in [
            (socket("ws://127.0.0.1:8080/link"), Place::Here),
            (socket("ws://localhost/link"), Place::Here),
            (socket("ws://a.localhost/link"), Place::Here),
            (socket("ws://[::1]:1/"), Place::Here),
            (socket("ws://[::ffff:127.0.0.1]:1/"), Place::Here),
            (socket("ws://0.0.0.0/"), Place::Here),
            (socket("ws://192.168.1.1/"), Place::Near),
            (socket("ws://router/"), Place::Near),
            (socket("ws://100.100.1.1/"), Place::Near),
            (socket("ws://[fe80::1]/"), Place::Near),
            (socket("wss://node.example/link"), Place::Named),
            (socket("wss://255.255.255.255/link"), Place::Nowhere),
            (rtc("10.0.0.1:1"), Place::Near),
            (rtc("[2001:db8::1]:1"), Place::Public),
            (rtc("224.0.0.251:5353"), Place::Nowhere),
            (rtc("[ff02::fb]:5353"), Place::Nowhere),
        ] {
            assert_eq!(place(&address), expected, "{address}");
        }
    }

    #[test]
    fn rule_1_nobody_makes_us_shout() {
        for address in [rtc("224.0.0.251:5353"), rtc("255.255.255.255:9"), rtc("[ff02::fb]:1")] {
            for word in [Word::Own, Word::Given, Word::Told(THERE)] {
                assert_eq!(judge(&address, word), None, "{address} {word:?}");
            }
        }
    }

    #[test]
    fn rules_2_to_5_say_who_may_name_what() {
        let (own, given) = (Word::Own, Word::Given);
        let (here, away) = (Word::Told(THERE), Word::Told(ELSEWHERE));
        for (address, allowed) in [
            (socket("wss://a.example/link"), vec![own, given, here, away]),
            (socket("wss://a.example/b/link"), vec![own, given, here, away]),
            (socket("wss://a.example/logout"), vec![own]),
            (socket("ws://127.0.0.1:631/link"), vec![own, given, here]),
            (socket("ws://192.168.1.1/link"), vec![own, given, here]),
            (socket("ws://192.168.1.1/reboot/link"), vec![own]),
            (socket("ws://router/reboot/link"), vec![own]),
            (socket("ws://localhost/reboot/link"), vec![own]),
            (rtc("127.0.0.1:53"), vec![own, given, here]),
            (rtc("192.168.1.9:53"), vec![own, given, here]),
            (rtc("192.0.2.1:53"), vec![own, given, here, away]),
        ] {
            for word in [own, given, here, away] {
                let may = judge(&address, word).is_some();
                assert_eq!(may, allowed.contains(&word), "{address} {word:?}");
            }
        }
    }

    #[test]
    fn rule_6_a_name_leads_no_further_than_an_address() {
        let private = "10.0.0.1".parse().expect("an address");
        let places = |url, word| judge(&socket(url), word).expect("may be dialled");
        assert!(places("ws://a.example/link", Word::Given).hold(private));
        assert!(!places("ws://a.example/b/link", Word::Given).hold(private));
        assert!(!places("ws://a.example/link", Word::Told(ELSEWHERE)).hold(private));
        let places = places("ws://a.example/b/link", Word::Given);
        for ip in ["127.0.0.1", "0.0.0.0", "::", "::1", "::ffff:127.0.0.1", "fd00::1", "ff02::1"] {
            assert!(!places.hold(ip.parse().expect("an address")), "{ip}");
        }
        assert!(places.hold("2001:db8::1".parse().expect("an address")));
    }
}
