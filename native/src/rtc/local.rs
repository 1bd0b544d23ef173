//! Which of our addresses others are told, best first.
//!
//! An address is of use to others if it means the same to them: never an unspecified or link-local
//! one, and a loopback one only if there is no other, since everybody whom it reaches is on this
//! machine then. Public addresses come first, then the one that packets to the world leave from,
//! then those of other private networks, such as a bridge for containers. The families alternate,
//! so that a reader who takes the first few has both.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use super::signal;

/// Where the probes of [`routed`] point to: any address of the world. Source: RFC 5737 and RFC
/// 3849, nobody's.
const WORLD: [&str; 2] = ["192.0.2.1:9", "[2001:db8::1]:9"];

/// How far an address is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Public,
    /// Private, and the one that packets to the world leave from.
    Routed,
    Private,
    Loopback,
}

/// The addresses of the interfaces that are up. Empty if the system does not tell.
pub(crate) fn interfaces() -> Vec<IpAddr> {
    let found = if_addrs::get_if_addrs().unwrap_or_default();
    found.into_iter().filter(if_addrs::Interface::is_oper_up).map(|it| it.ip()).collect()
}

/// The addresses that packets to the world leave from, at most one of each family. Connecting a UDP
/// socket sends nothing; it makes the system choose a route.
pub(crate) fn routed() -> Vec<IpAddr> {
    let probe = |to: &str| {
        let to: SocketAddr = to.parse().ok()?;
        let any: IpAddr = if to.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect(to).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    WORLD.iter().filter_map(|to| probe(to)).collect()
}

/// Those of `addresses` that others are told, best first.
pub(super) fn best(addresses: Vec<SocketAddr>, routed: &[IpAddr]) -> Vec<SocketAddr> {
    let mut scoped: BTreeSet<(Scope, SocketAddr)> =
        addresses.into_iter().filter_map(|it| Some((scope(it, routed)?, it))).collect();
    if scoped.iter().any(|(scope, _)| *scope != Scope::Loopback) {
        scoped.retain(|(scope, _)| *scope != Scope::Loopback);
    }
    // The first of each family, then the second of each, within one scope.
    let mut counts = [0; 2];
    let mut last = None;
    let mut placed: Vec<_> = Vec::new();
    for (scope, address) in scoped {
        if last.replace(scope) != Some(scope) {
            counts = [0; 2];
        }
        let count = &mut counts[usize::from(address.is_ipv4())];
        placed.push((scope, *count, address));
        *count += 1;
    }
    placed.sort_unstable();
    placed.into_iter().map(|(_, _, address)| address).collect()
}

/// `None`: of no use to anybody else.
fn scope(address: SocketAddr, routed: &[IpAddr]) -> Option<Scope> {
    if !signal::is_usable(address) {
        return None;
    }
    let private = match address.ip() {
        IpAddr::V4(ip) if ip.is_link_local() => return None,
        // RFC 6598: behind the translator of a provider.
        IpAddr::V4(ip) => ip.is_private() || (ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64),
        IpAddr::V6(ip) => ip.is_unique_local(),
    };
    Some(match () {
        () if address.ip().is_loopback() => Scope::Loopback,
        () if !private => Scope::Public,
        () if routed.contains(&address.ip()) => Scope::Routed,
        () => Scope::Private,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(addresses: &[&str], routed: &[&str]) -> Vec<String> {
        let addresses = addresses.iter().map(|it| it.parse().expect("an address")).collect();
        let routed: Vec<IpAddr> = routed.iter().map(|it| it.parse().expect("an address")).collect();
        best(addresses, &routed).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn public_addresses_come_first_then_the_routed_one_and_the_families_alternate() {
        let bridge = "172.17.0.1:7";
        let addresses =
            [bridge, "192.168.1.5:7", "198.51.100.4:7", "[2001:db8::4]:7", "[2001:db8::5]:7"];
        let order =
            ["198.51.100.4:7", "[2001:db8::4]:7", "[2001:db8::5]:7", "192.168.1.5:7", bridge];
        assert_eq!(told(&addresses, &["192.168.1.5"]), order);
    }

    #[test]
    fn what_means_nothing_elsewhere_is_not_told() {
        let nowhere =
            ["0.0.0.0:7", "[::]:7", "[fe80::1]:7", "169.254.3.4:7", "[::ffff:10.0.0.1]:7"];
        assert_eq!(told(&nowhere, &[]), [""; 0]);
        assert_eq!(told(&["127.0.0.1:7", "[::1]:7", "10.0.0.1:7"], &[]), ["10.0.0.1:7"]);
        assert_eq!(told(&["127.0.0.1:7"], &[]), ["127.0.0.1:7"], "alone on this machine");
    }
}
