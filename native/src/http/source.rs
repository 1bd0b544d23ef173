//! The client at the other end of a connection, and the number of connections that it may have.
//!
//! Behind a reverse proxy all connections come from the proxy. If the operator trusts it, the
//! address that it names in
//! `X-Forwarded-For` or `Forwarded` counts. Of several addresses the last one that is no trusted proxy counts: it was
//! written by a proxy of ours, those before it by anybody. A client can add the header that the
//! proxy does not write; so both must say the same, and otherwise the proxy itself counts as the
//! source.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Arc, Mutex};

use hyper::header::{self, HeaderMap, HeaderName};
use hyper::{Request, Version};
use peergraph_core::share::{Crowd, Full, Pool};
use peergraph_core::source::Source;
use tokio::sync::Notify;

/// Connections at once of trusted proxies. Guess: as many as links of the core.
const CONNECTIONS_MAX: usize = peergraph_core::limits::LINKS_MAX;
/// Connections at once, WebSockets among them, and those of one source; requests that come through proxies likewise. Guess:
/// a class behind one router. One source is refused more; if all are taken, the oldest of the source that has most gives way.
pub(super) const CONNECTIONS: Pool = Pool::of(CONNECTIONS_MAX as u64, 512);
/// Networks of proxies that can be trusted. Guess.
pub(crate) const NETWORKS_MAX: usize = 64;
/// Addresses of one header that are looked at, from the last. Guess.
const HOPS_MAX: usize = 16;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The addresses that begin alike: `192.0.2.0/24`, `2001:db8::/32`, or one address alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    ip: IpAddr,
    prefix: u8,
}

/// Text that is not a [`Network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a network: expected an IP address, or one with the length of its prefix, such as 10.0.0.0/8"
)]
pub struct ParseNetworkError;

impl FromStr for Network {
    type Err = ParseNetworkError;

    fn from_str(text: &str) -> Result<Self, ParseNetworkError> {
        let (ip, prefix) = match text.split_once('/') {
            Some((ip, prefix)) => (ip, Some(prefix)),
            None => (text, None),
        };
        let ip: IpAddr = ip.parse().map_err(|_| ParseNetworkError)?;
        let bits = if ip.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => bits,
            Some(prefix) => prefix.parse().map_err(|_| ParseNetworkError)?,
        };
        if prefix > bits {
            return Err(ParseNetworkError);
        }
        Ok(Self { ip, prefix })
    }
}

impl Network {
    /// Whether an address belongs to it.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        let differ = match (self.ip, ip.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            _ => return false,
        };
        differ >= u32::from(self.prefix)
    }
}

/// The sender of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Client {
    pub(super) ip: IpAddr,
    /// Whether somebody stands between: a proxy, trusted or not.
    pub(super) proxied: bool,
    /// Whether a trusted proxy says that it was asked over HTTPS.
    pub(super) tls: bool,
}

/// Reads who sent a request that came over a connection from `peer`.
pub(super) fn client<B>(peer: IpAddr, request: &Request<B>, trusted: &[Network]) -> Client {
    let peer = peer.to_canonical();
    let headers = request.headers();
    if !is_trusted(peer, trusted) {
        // Clients of today speak 1.1; proxies speak 1.0 unless they are told otherwise, and say
        // nothing of themselves.
        let proxied = request.version() < Version::HTTP_11
            || [FORWARDED_FOR, FORWARDED_PROTO, header::FORWARDED, header::VIA]
                .iter()
                .any(|name| headers.contains_key(name));
        return Client { ip: peer, proxied, tls: false };
    }
    let elements = elements(headers);
    let forwarded = elements.iter().copied().map(|element| parameter(element, "for"));
    let forwarded = last_untrusted(forwarded, trusted);
    let plain = values(headers, &FORWARDED_FOR);
    let plain = last_untrusted(plain.into_iter().map(Some), trusted);
    let ip = match (forwarded, plain) {
        (Named::Nobody, Named::One(ip)) | (Named::One(ip), Named::Nobody) => Some(ip),
        (Named::One(a), Named::One(b)) => (a == b).then_some(a),
        _ => None,
    };
    let proto = values(headers, &FORWARDED_PROTO);
    let proto = proto.first().copied().or_else(|| parameter(elements.first()?, "proto"));
    let tls = proto.is_some_and(|proto| proto.eq_ignore_ascii_case("https"));
    Client { ip: ip.unwrap_or(peer), proxied: true, tls }
}

pub(super) fn is_trusted(ip: IpAddr, trusted: &[Network]) -> bool {
    trusted.iter().any(|network| network.contains(ip))
}

/// The address that the headers of one kind name.
enum Named {
    Nobody,
    One(IpAddr),
    Unreadable,
}

/// The last address that is no trusted proxy. From the last on; `None` stands for an element
/// without an address.
fn last_untrusted<'a>(
    named: impl DoubleEndedIterator<Item = Option<&'a str>>,
    trusted: &[Network],
) -> Named {
    let mut result = Named::Nobody;
    for text in named.rev().take(HOPS_MAX) {
        let Some(ip) = text.and_then(address) else { return Named::Unreadable };
        result = Named::One(ip);
        if !is_trusted(ip, trusted) {
            break;
        }
    }
    result
}

/// The parts of all headers of one name, in order. Those that are not ASCII count as one part that
/// cannot be read.
fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    let text = |value: &'a header::HeaderValue| value.to_str().unwrap_or("?");
    headers.get_all(name).iter().flat_map(|value| text(value).split(',')).map(str::trim).collect()
}

fn elements(headers: &HeaderMap) -> Vec<&str> {
    values(headers, &header::FORWARDED)
}

/// The value of a parameter of one element of `Forwarded`. Source: RFC 7239.
fn parameter<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    element.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.split(']').next());
    let ip = text.parse::<IpAddr>().ok();
    let ip = ip.or_else(|| bare?.parse().ok());
    let ip = ip.or_else(|| text.split_once(':')?.0.parse().ok());
    ip.map(|ip| ip.to_canonical())
}

/// Connections and requests by source.
pub(super) struct Counts(Mutex<Table>);

struct Table {
    /// Connections of those that are counted, then requests that came through a trusted proxy.
    crowds: [Crowd<Source, u64>; 2],
    /// Connections of trusted proxies.
    proxies: usize,
    /// The notices of places that others may take from their holders, by number.
    told: BTreeMap<u64, Arc<Notify>>,
    taken: u64,
}

impl Default for Counts {
    fn default() -> Self {
        let crowds = [(); 2].map(|()| Crowd::new(CONNECTIONS));
        Self(Mutex::new(Table { crowds, proxies: 0, told: BTreeMap::new(), taken: 0 }))
    }
}

/// One place, among those of a source or those of proxies.
pub(super) struct Seat {
    counts: Arc<Counts>,
    /// Nothing for the connection of a proxy.
    place: Option<Place>,
}

struct Place {
    number: u64,
    given_way: Arc<Notify>,
}

impl Seat {
    /// For a connection from somebody who is counted.
    pub(super) fn take(counts: &Arc<Counts>, from: IpAddr) -> Option<Self> {
        Self::among(counts, 0, from)
    }

    /// For a request that came through a trusted proxy.
    pub(super) fn of_request(counts: &Arc<Counts>, from: IpAddr) -> Option<Self> {
        Self::among(counts, 1, from)
    }

    /// For a connection of a trusted proxy.
    pub(super) fn of_proxy(counts: &Arc<Counts>) -> Option<Self> {
        let mut table = counts.0.lock().expect("no panic under this lock");
        if table.proxies >= CONNECTIONS_MAX {
            return None;
        }
        table.proxies += 1;
        Some(Self { counts: counts.clone(), place: None })
    }

    fn among(counts: &Arc<Counts>, crowd: usize, from: IpAddr) -> Option<Self> {
        let source = Source::of(from);
        let mut table = counts.0.lock().expect("no panic under this lock");
        if table.crowds[crowd].fits(&source) == Err(Full::Share) {
            return None;
        }
        table.taken += 1;
        let number = table.taken;
        let gone = table.crowds[crowd].enter(&source, number);
        if let Some(told) = gone.and_then(|gone| table.told.remove(&gone)) {
            told.notify_one();
        }
        let given_way = Arc::new(Notify::new());
        table.told.insert(number, given_way.clone());
        Some(Self { counts: counts.clone(), place: Some(Place { number, given_way }) })
    }

    /// Waits until another has this place.
    pub(super) async fn given_way(&self) {
        match &self.place {
            Some(place) => place.given_way.notified().await,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut table = self.counts.0.lock().expect("no panic under this lock");
        let Some(Place { number, .. }) = &self.place else {
            table.proxies -= 1;
            return;
        };
        table.told.remove(number);
        for crowd in &mut table.crowds {
            crowd.leave(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn networks(texts: &[&str]) -> Vec<Network> {
        texts.iter().map(|it| it.parse().expect("a network")).collect()
    }

    #[test]
    fn networks_contain_what_begins_alike() {
        let contains = |network: &str, it: &str| networks(&[network])[0].contains(ip(it));
        assert!(contains("10.0.0.0/8", "10.255.1.2") && !contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("10.0.0.0/8", "::ffff:10.1.1.1"));
        assert!(contains("192.0.2.1", "192.0.2.1") && !contains("192.0.2.1", "192.0.2.2"));
        assert!(contains("2001:db8::/32", "2001:db8:1::1") && !contains("::/0", "192.0.2.1"));
        assert!(contains("0.0.0.0/0", "192.0.2.1"));
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "node.example", "10.0.0.0/-1"] {
            assert_eq!(text.parse::<Network>(), Err(ParseNetworkError), "{text}");
        }
    }

    #[test]
    fn trusted_proxy_names_the_client_and_nobody_else_does() {
        let trusted = networks(&["127.0.0.1", "10.0.0.0/8"]);
        let seen = |peer: &str, headers: &[(&str, &str)]| {
            let mut request = Request::builder();
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            client(ip(peer), &request.body(()).expect("a request"), &trusted).ip
        };
        let plain = "X-Forwarded-For";
        for (peer, headers, expected) in [
            ("127.0.0.1", &[(plain, "192.0.2.7")][..], "192.0.2.7"),
            ("127.0.0.1", &[(plain, "1.1.1.1, 192.0.2.7, 10.0.0.3")], "192.0.2.7"),
            ("127.0.0.1", &[(plain, "1.1.1.1"), (plain, "192.0.2.7:999")], "192.0.2.7"),
            (
                "127.0.0.1",
                &[("Forwarded", "for=\"[2001:db8::1]:4711\";proto=https")],
                "2001:db8::1",
            ),
            ("127.0.0.1", &[("Forwarded", "for=1.1.1.1, by=x;For=192.0.2.7")], "192.0.2.7"),
            // The client wrote one of the two.
            ("127.0.0.1", &[("Forwarded", "for=1.1.1.1"), (plain, "192.0.2.7")], "127.0.0.1"),
            ("127.0.0.1", &[(plain, "192.0.2.7, unknown")], "127.0.0.1"),
            ("127.0.0.1", &[("Forwarded", "proto=https"), (plain, "192.0.2.7")], "127.0.0.1"),
            ("127.0.0.1", &[], "127.0.0.1"),
            ("192.0.2.9", &[(plain, "192.0.2.7")], "192.0.2.9"),
        ] {
            assert_eq!(seen(peer, headers), ip(expected), "{peer} {headers:?}");
        }
    }

    fn taken(seat: Option<Seat>) -> Seat {
        seat.expect("there is room")
    }

    #[test]
    fn one_source_gets_so_many_connections_and_no_more() {
        let counts = Arc::new(Counts::default());
        let from = ip("192.0.2.1");
        let seats: Vec<Seat> =
            std::iter::from_fn(|| Seat::take(&counts, from)).take(CONNECTIONS_MAX).collect();
        assert_eq!(seats.len() as u64, CONNECTIONS.each());
        drop(taken(Seat::take(&counts, ip("192.0.2.2"))));
        let proxies: Vec<Seat> =
            std::iter::from_fn(|| Seat::of_proxy(&counts)).take(2 * CONNECTIONS_MAX).collect();
        assert_eq!(proxies.len(), CONNECTIONS_MAX);
        drop(taken(Seat::of_request(&counts, from)));
        drop((seats, proxies));
        let table = counts.0.lock().expect("not poisoned");
        assert!(table.crowds.iter().all(Crowd::is_empty) && table.proxies == 0);
        assert!(table.told.is_empty());
    }

    /// Goal: a client with many addresses leaves others their part. Method: twenty sources take all
    /// that they get; a connection of the greatest is told to go when another comes.
    #[tokio::test]
    async fn where_all_places_are_taken_the_greatest_source_gives_way() {
        let counts = Arc::new(Counts::default());
        let greedy = |n: u8| ip(&format!("192.0.2.{n}"));
        let all = (0..20).flat_map(|n| (0..CONNECTIONS.each()).map(move |_| n));
        let seats: Vec<Option<Seat>> = all.map(|n| Seat::take(&counts, greedy(n))).collect();
        let honest = taken(Seat::take(&counts, ip("198.51.100.1")));
        let told = seats
            .iter()
            .flatten()
            .filter(|seat| futures::FutureExt::now_or_never(seat.given_way()).is_some());
        assert_eq!(
            told.count() as u64,
            seats.iter().flatten().count() as u64 + 1 - CONNECTIONS.all()
        );
        assert!(futures::FutureExt::now_or_never(honest.given_way()).is_none());
    }
}
