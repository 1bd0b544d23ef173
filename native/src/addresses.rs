//! The addresses that a host tells, and to whom.
//!
//! Members, invitations and referrals get [`Addresses::own`]: the addresses that are right for
//! everybody. A client of the HTTP port gets [`Addresses::told`], which knows more: by which host
//! the client came, and whether it is on this machine. The address by which a client came leads
//! here even if no interface has it, as behind a port forward. So data channels are told at that
//! address, if a UDP socket takes its family.

use std::net::{IpAddr, SocketAddr};
#[cfg(feature = "serve")]
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::RwLock;

use hyper::Uri;
use peergraph_core::address::Address;
use peergraph_core::id::Fingerprint;
use peergraph_core::limits::ADDRESSES_MAX;

use crate::websocket;

/// Where a host is reached.
#[derive(Debug)]
pub(crate) struct Addresses {
    /// SHA-256 of the certificate of its data channels.
    pub(crate) fingerprint: Fingerprint,
    /// The addresses to which its UDP sockets are bound.
    pub(crate) bound: Vec<SocketAddr>,
    /// The addresses to which its HTTP sockets are bound.
    pub(crate) http: Vec<SocketAddr>,
    /// How others reach the HTTP port, if that is not its own address.
    pub(crate) public_url: Option<Uri>,
    /// Whether the HTTP port speaks TLS. Its own address is then none for everybody: a certificate is for names.
    pub(crate) tls: bool,
    /// Where the UDP sockets are reached, best first. Changes with the interfaces.
    pub(crate) local: RwLock<Vec<SocketAddr>>,
}

/// A client that asks for our addresses.
#[cfg(feature = "serve")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<'a> {
    /// The host and port of ours by which it came, a `Host` header.
    pub(crate) host: Option<&'a str>,
    /// Whether it is a program on this machine, as far as one can see.
    pub(crate) here: bool,
    /// Whether it speaks HTTPS to the proxy between us.
    pub(crate) tls: bool,
}

impl Addresses {
    /// Where the UDP sockets are reached at this moment.
    pub(crate) fn local(&self) -> Vec<SocketAddr> {
        self.local.read().expect("no panic under this lock").clone()
    }

    /// Replaces the addresses of the UDP sockets. Returns those before, if they were others.
    pub(crate) fn moved(&self, local: Vec<SocketAddr>) -> Option<Vec<SocketAddr>> {
        let mut current = self.local.write().expect("no panic under this lock");
        if *current == local {
            return None;
        }
        Some(std::mem::replace(&mut *current, local))
    }

    /// Where we can be dialled without signalling, for everybody.
    pub(crate) fn own(&self) -> Vec<Address> {
        let mut udp = self.local();
        if let Some(ip) = self.public_url.as_ref().and_then(Uri::host).and_then(ip_of) {
            self.insert(&mut udp, ip);
        }
        let url = match &self.public_url {
            Some(url) if !self.http.is_empty() => Some(link_url(url)),
            None if self.tls => None,
            _ => self.reached_http(&udp).map(|http| format!("ws://{http}{}", websocket::PATH)),
        };
        self.list(udp, url)
    }

    /// One address of the HTTP port: its own, or for a wildcard the best one of UDP in its family.
    /// A loopback one only if UDP has no other.
    fn reached_http(&self, udp: &[SocketAddr]) -> Option<SocketAddr> {
        let elsewhere = udp.iter().any(|it| !it.ip().is_loopback());
        let reached = |bound: &SocketAddr| {
            if !bound.ip().is_unspecified() {
                return (!elsewhere || !bound.ip().is_loopback()).then_some(*bound);
            }
            let ip = udp.iter().map(SocketAddr::ip).find(|ip| ip.is_ipv4() == bound.is_ipv4());
            ip.map(|ip| SocketAddr::new(ip, bound.port()))
        };
        self.http.iter().find_map(reached)
    }

    /// The addresses at which this asker can dial us.
    #[cfg(feature = "serve")]
    pub(crate) fn told(&self, asker: Asker<'_>) -> Vec<Address> {
        let scheme = if asker.tls { "wss" } else { "ws" };
        let url = match &self.public_url {
            Some(url) => Some(link_url(url)),
            None => asker.host.map(|host| format!("{scheme}://{host}{}", websocket::PATH)),
        };
        let host = url.as_ref().and_then(|url| url.parse::<Uri>().ok());
        let host = host.as_ref().and_then(Uri::host).unwrap_or_default();
        let mut udp = self.local();
        if !asker.here {
            udp.retain(|it| !it.ip().is_loopback());
        }
        let by = match host {
            "localhost" if asker.here => {
                vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()]
            }
            _ => ip_of(host).into_iter().filter(|ip| asker.here || !ip.is_loopback()).collect(),
        };
        for ip in by {
            self.insert(&mut udp, ip);
        }
        self.list(udp, url)
    }

    /// Puts the address by which somebody came first, if a UDP socket takes it.
    fn insert(&self, udp: &mut Vec<SocketAddr>, ip: IpAddr) {
        if let Some(port) = self.port_for(ip) {
            let address = SocketAddr::new(ip, port);
            udp.retain(|known| *known != address);
            udp.insert(0, address);
        }
    }

    /// The port of a UDP socket that takes packets to this address, perhaps through a forwarded
    /// port.
    fn port_for(&self, ip: IpAddr) -> Option<u16> {
        let takes = |bound: &&SocketAddr| {
            let (own, family) = (bound.ip(), bound.is_ipv4() == ip.is_ipv4());
            family
                && (own.is_unspecified() || own == ip || !(own.is_loopback() || ip.is_loopback()))
        };
        let found = self.bound.iter().find(takes)?;
        (!ip.is_unspecified()).then(|| found.port())
    }

    fn list(&self, udp: Vec<SocketAddr>, url: Option<String>) -> Vec<Address> {
        let fingerprint = self.fingerprint;
        let rtc = udp.into_iter().map(|socket| Address::Rtc { socket, fingerprint });
        let socket = url.and_then(|url| url.parse().ok());
        let mut addresses: Vec<Address> =
            rtc.take(ADDRESSES_MAX - usize::from(socket.is_some())).collect();
        addresses.extend(socket);
        addresses
    }
}

/// A numeric host of a URL.
fn ip_of(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// `https://node.example/x/` becomes `wss://node.example/x/link`.
pub(crate) fn link_url(url: &Uri) -> String {
    let scheme = if url.scheme_str() == Some("https") { "wss" } else { "ws" };
    let authority = url.authority().map_or("", |authority| authority.as_str());
    format!("{scheme}://{authority}{}{}", url.path().trim_end_matches('/'), websocket::PATH)
}

#[cfg(all(test, feature = "serve"))]
mod tests {
    use super::*;

    fn sockets(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|it| it.parse().expect("an address")).collect()
    }

    /// A host bound to `udp` and reached at `local`, with HTTP at `http`.
    fn at(udp: &[&str], local: &[&str], http: &[&str], public: Option<&str>) -> Addresses {
        Addresses {
            fingerprint: Fingerprint::from_bytes([2; 32]),
            bound: sockets(udp),
            http: sockets(http),
            public_url: public.map(|url| url.parse().expect("a URL")),
            tls: false,
            local: RwLock::new(sockets(local)),
        }
    }

    /// As text, without the fingerprint.
    fn texts(addresses: &[Address]) -> Vec<String> {
        let text = |address: &Address| match address {
            Address::Rtc { socket, .. } => format!("rtc://{socket}"),
            Address::WebSocket { url } => url.to_string(),
        };
        addresses.iter().map(text).collect()
    }

    fn told(addresses: &Addresses, host: &str, here: bool) -> Vec<String> {
        texts(&addresses.told(Asker { host: Some(host), here, tls: false }))
    }

    #[test]
    fn who_comes_by_a_forwarded_port_is_told_that_address_first() {
        let host = at(&["0.0.0.0:7"], &["192.168.1.5:7"], &["0.0.0.0:80"], None);
        let expected = ["rtc://203.0.113.9:7", "rtc://192.168.1.5:7", "ws://203.0.113.9:8080/link"];
        assert_eq!(told(&host, "203.0.113.9:8080", false), expected);
    }

    #[test]
    fn data_channels_are_told_only_in_families_that_udp_takes() {
        let four = at(&["0.0.0.0:7"], &["192.0.2.2:7"], &["[::]:80"], None);
        let expected = ["rtc://192.0.2.2:7", "ws://[2001:db8::1]/link"];
        assert_eq!(told(&four, "[2001:db8::1]:80", false), expected);
        let here = at(&["127.0.0.1:7"], &["127.0.0.1:7"], &["0.0.0.0:80"], None);
        assert_eq!(told(&here, "192.0.2.2", false), ["ws://192.0.2.2/link"]);
    }

    #[test]
    fn loopback_is_told_to_this_machine_only() {
        let host = at(&["0.0.0.0:7"], &["192.0.2.2:7"], &["0.0.0.0:80"], None);
        let expected = ["rtc://127.0.0.1:7", "rtc://192.0.2.2:7", "ws://127.0.0.1/link"];
        assert_eq!(told(&host, "127.0.0.1", true), expected);
        assert_eq!(told(&host, "localhost", true)[0], "rtc://127.0.0.1:7");
        assert_eq!(told(&host, "node.example", false)[..1], ["rtc://192.0.2.2:7"]);
        // A proxy before us asks as if it came from here; the public URL says that its clients do
        // not.
        let public = Some("https://node.example/pg/");
        let host = at(&["127.0.0.1:7"], &["127.0.0.1:7"], &["127.0.0.1:80"], public);
        assert_eq!(told(&host, "127.0.0.1", false), ["wss://node.example/pg/link"]);
    }

    #[test]
    fn everybody_is_told_what_is_true_for_everybody() {
        let host = at(&["0.0.0.0:7"], &["192.0.2.2:7"], &["127.0.0.1:80"], None);
        assert_eq!(texts(&host.own()), ["rtc://192.0.2.2:7"], "no WebSocket of this machine");
        let host = at(&["0.0.0.0:7"], &["192.0.2.2:7"], &["0.0.0.0:80"], None);
        assert_eq!(texts(&host.own()), ["rtc://192.0.2.2:7", "ws://192.0.2.2/link"]);
        let local = ["192.168.1.5:7"];
        let host = at(&["0.0.0.0:7"], &local, &["0.0.0.0:80"], Some("http://203.0.113.9/"));
        let expected = ["rtc://203.0.113.9:7", "rtc://192.168.1.5:7", "ws://203.0.113.9/link"];
        assert_eq!(texts(&host.own()), expected);
    }

    #[test]
    fn socket_is_told_however_many_interfaces_there_are() {
        let many: Vec<String> = (1..40).map(|n| format!("192.0.2.{n}:7")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let host = at(&["0.0.0.0:7"], &many, &["0.0.0.0:80"], None);
        let told = told(&host, "node.example", false);
        assert_eq!(told.len(), ADDRESSES_MAX);
        assert_eq!(told.last().map(String::as_str), Some("ws://node.example/link"));
    }

    #[test]
    fn public_url_names_the_way_in() {
        let url = |text: &str| link_url(&text.parse().expect("a URL"));
        assert_eq!(url("https://node.example"), "wss://node.example/link");
        assert_eq!(url("http://node.example:8080/p/"), "ws://node.example:8080/p/link");
    }
}
