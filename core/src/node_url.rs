//! How people write down a node, and how its addresses follow from that: one function for every host and every way to
//! name a node.
//!
//! ```text
//!   https://host/path  ──►  https://host/path/.well-known/peergraph  ──►  {"version":1,"addresses":["rtc://…","wss://…"]}
//!   rtc://… or ws://…  ──►  itself
//! ```
//!
//! The URL stays the same when the node moves; its addresses change. The host fetches the description
//! ([`Output::LookUp`](crate::io::Output::LookUp)), the core decides when, and what to make of it.
use crate::address::{Address, ParseAddressError, URL_CHARS_MAX};
use crate::limits::{ADDRESSES_MAX, DESCRIBED_MAX};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Below the path of a node's URL: where it describes itself.
const DESCRIPTION: &str = ".well-known/peergraph";
/// Below the path of a node's URL: where it takes links over WebSockets.
const LINK: &str = "link";

/// How to find a node: its URL, or one address.
///
/// Text forms: `https://node.example/path/`, `http://127.0.0.1:8080`, `rtc://127.0.0.1:4000/FINGERPRINT`,
/// `ws://127.0.0.1:8080/link`. At most [`URL_CHARS_MAX`] characters. Two texts for one place are equal: the scheme and
/// the host are kept in lower case, the usual port is left out, the path ends with a slash, and a query or fragment is
/// dropped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeUrl(Kind);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    Web(Web),
    Address(Address),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Web {
    tls: bool,
    /// In lower case; IPv6 with its brackets.
    host: String,
    /// `None` for the usual one.
    port: Option<u16>,
    /// Begins and ends with a slash.
    path: String,
}

/// Text that does not say how to find a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseNodeUrlError {
    /// Neither a web URL nor an address.
    #[error("not a node: expected https://HOST, http://HOST:PORT, rtc://… or ws://…")]
    Scheme,
    /// The host of a web URL.
    #[error(
        "not a node: the host must be a name of letters, digits, '-' and '.', an IPv4 address, or an IPv6 address in \
         brackets such as [::1]"
    )]
    Host,
    /// The port of a web URL.
    #[error("not a node: the port must be a number from 1 to 65535")]
    Port,
    /// Longer than [`URL_CHARS_MAX`], or with a user name, white space or other characters that do not belong there.
    #[error("not a node: the URL is too long or has characters that do not belong there")]
    Url,
    /// An address that is none.
    #[error("not a node: {0}")]
    Address(#[from] ParseAddressError),
}

/// A description in which no address can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum BadDescription {
    /// It names none of a kind that this release knows.
    #[error("it names no address of a known kind; update this program, or the node")]
    NoAddress,
}

impl FromStr for NodeUrl {
    type Err = ParseNodeUrlError;

    fn from_str(text: &str) -> Result<Self, ParseNodeUrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(ParseNodeUrlError::Scheme)?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            "rtc" | "ws" | "wss" => return Ok(Self(Kind::Address(text.parse()?))),
            _ => return Err(ParseNodeUrlError::Scheme),
        };
        if text.len() > URL_CHARS_MAX || !text.chars().all(|c| c.is_ascii_graphic()) {
            return Err(if text.is_ascii() { ParseNodeUrlError::Url } else { bad_text(rest) });
        }
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = read_authority(authority)?;
        let usual = if tls { 443 } else { 80 };
        let port = port.filter(|&port| port != usual);
        let slash = if path.ends_with('/') { "" } else { "/" };
        Ok(Self(Kind::Web(Web { tls, host, port, path: format!("{path}{slash}") })))
    }
}

/// What to say of text with characters beyond ASCII: a host must be written in its ASCII form.
fn bad_text(rest: &str) -> ParseNodeUrlError {
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.is_ascii() { ParseNodeUrlError::Url } else { ParseNodeUrlError::Host }
}

/// Reads `HOST` or `HOST:PORT`.
fn read_authority(authority: &str) -> Result<(String, Option<u16>), ParseNodeUrlError> {
    if authority.contains('@') {
        return Err(ParseNodeUrlError::Url);
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or(ParseNodeUrlError::Host)?;
            let address: Ipv6Addr = address.parse().map_err(|_| ParseNodeUrlError::Host)?;
            (format!("[{address}]"), port)
        }
        None => {
            let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
            let named = host.chars().any(|c| c.is_ascii_alphanumeric());
            if !named || !host.chars().all(plain) {
                return Err(ParseNodeUrlError::Host);
            }
            (host.to_ascii_lowercase(), port)
        }
    };
    if port.is_empty() || port == ":" {
        return Ok((host, None));
    }
    let digits = port.strip_prefix(':').ok_or(ParseNodeUrlError::Host)?;
    let number: u16 = digits.parse().map_err(|_| ParseNodeUrlError::Port)?;
    let good = number > 0 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if good { Ok((host, Some(number))) } else { Err(ParseNodeUrlError::Port) }
}

impl fmt::Display for NodeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Web(web) => f.write_str(&web.below("http", "")),
            Kind::Address(address) => address.fmt(f),
        }
    }
}

impl From<Address> for NodeUrl {
    fn from(address: Address) -> Self {
        Self(Kind::Address(address))
    }
}

impl Web {
    /// The URL of something below this one. `scheme` is the one without TLS.
    fn below(&self, scheme: &str, what: &str) -> String {
        let secure = if self.tls { "s" } else { "" };
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{scheme}{secure}://{}{port}{}{what}", self.host, self.path)
    }

    /// Whether it is on this machine.
    fn is_here(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || host.ends_with(".localhost")
            || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl NodeUrl {
    /// The URL of its description: `.well-known/peergraph` below its own path. `None` if it is an address already.
    pub fn description(&self) -> Option<String> {
        match &self.0 {
            Kind::Web(web) => Some(web.below("http", DESCRIPTION)),
            Kind::Address(_) => None,
        }
    }

    /// Whether people can open it in a browser.
    pub fn is_web(&self) -> bool {
        matches!(self.0, Kind::Web(_))
    }

    /// The address, if it is one.
    pub fn address(&self) -> Option<&Address> {
        match &self.0 {
            Kind::Web(_) => None,
            Kind::Address(address) => Some(address),
        }
    }

    /// The addresses that follow from a description: `described` is its list of `addresses`. At most
    /// [`ADDRESSES_MAX`], in the order in which to dial.
    ///
    /// Kinds that a later release invents are skipped, as are addresses of another machine's loopback: a node behind a
    /// proxy names its own. If no WebSocket is left, the one below the URL is added, since every node takes links there.
    ///
    /// # Errors
    /// [`BadDescription`] if it names no address of a known kind at all.
    pub fn addresses(&self, described: &[String]) -> Result<Vec<Address>, BadDescription> {
        let web = match &self.0 {
            Kind::Web(web) => web,
            Kind::Address(address) => return Ok(vec![address.clone()]),
        };
        let known: Vec<Address> =
            described.iter().take(DESCRIBED_MAX).filter_map(|text| text.parse().ok()).collect();
        if known.is_empty() {
            return Err(BadDescription::NoAddress);
        }
        let mut addresses: Vec<Address> = Vec::new();
        for address in known {
            if fits(&address, web.is_here()) && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        let is_socket = |address: &Address| matches!(address, Address::WebSocket { .. });
        if !addresses.iter().take(ADDRESSES_MAX).any(is_socket) {
            let socket = addresses.iter().find(|address| is_socket(address)).cloned();
            addresses.truncate(ADDRESSES_MAX - 1);
            let below = || Address::WebSocket { url: web.below("ws", LINK) };
            addresses.push(socket.unwrap_or_else(below));
        }
        addresses.truncate(ADDRESSES_MAX);
        Ok(addresses)
    }
}

/// Whether an address of a description can lead to the node that it describes. `here`: the description is this machine's.
fn fits(address: &Address, here: bool) -> bool {
    let ip = match address {
        Address::Rtc { socket, .. } => Some(socket.ip()),
        Address::WebSocket { url } => host_of(url).parse().ok(),
    };
    let named_here = matches!(address, Address::WebSocket { url } if host_of(url) == "localhost");
    let nowhere = ip.is_some_and(|ip| ip.is_unspecified() || is_broadcast(ip));
    let loopback = named_here || ip.is_some_and(|ip| ip.is_loopback());
    !nowhere && (here || !loopback)
}

fn is_broadcast(ip: IpAddr) -> bool {
    ip == IpAddr::V4(Ipv4Addr::BROADCAST) || ip.is_multicast()
}

/// The host of a URL, without brackets.
pub(crate) fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINGERPRINT: &str = "aeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaq";

    fn node(text: &str) -> NodeUrl {
        text.parse().expect(text)
    }

    #[test]
    fn texts_for_one_place_are_one_url() {
        for (text, same) in [
            ("https://node.example", "https://node.example/"),
            ("HTTPS://Node.Example:443/", "https://node.example/"),
            ("http://node.example:80/a/b?c#d", "http://node.example/a/b/"),
            ("http://[::0001]:8080", "http://[::1]:8080/"),
            ("ws://127.0.0.1:8080/link", "ws://127.0.0.1:8080/link"),
        ] {
            assert_eq!(node(text).to_string(), same);
            assert_eq!(node(same), node(text));
        }
    }

    #[test]
    fn bad_urls_say_what_is_wrong() {
        use ParseNodeUrlError::{Host, Port, Scheme, Url};
        for (text, error) in [
            ("", Scheme),
            ("node.example", Scheme),
            ("ftp://a.example", Scheme),
            ("https://", Host),
            ("https:///path", Host),
            ("https://::1/", Host),
            ("http://[::1", Host),
            ("http://[1.2.3.4]/", Host),
            ("http://a]b/", Host),
            ("http://münchen.example/", Host),
            ("http://host:99999", Port),
            ("http://host:0", Port),
            ("http://host:+8", Port),
            ("http://host:8a", Port),
            ("http://ann@host/", Url),
            ("http://host/a b", Url),
        ] {
            assert_eq!(text.parse::<NodeUrl>(), Err(error), "{text}");
        }
        let wrong = "rtc://127.0.0.1/x".parse::<NodeUrl>();
        assert!(matches!(wrong, Err(ParseNodeUrlError::Address(_))));
    }

    #[test]
    fn description_is_below_the_path() {
        for (text, url) in [
            ("https://node.example", "https://node.example/.well-known/peergraph"),
            ("http://h:8080/a/b", "http://h:8080/a/b/.well-known/peergraph"),
        ] {
            assert_eq!(node(text).description().as_deref(), Some(url));
        }
        assert_eq!(node("ws://127.0.0.1:8080/link").description(), None);
    }

    #[test]
    fn addresses_are_those_that_can_lead_there() {
        let addresses = |url: &str, described: &[&str]| {
            let described: Vec<String> = described.iter().map(|&text| text.to_owned()).collect();
            let found = node(url).addresses(&described);
            found.map(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let rtc = |socket: &str| format!("rtc://{socket}/{FINGERPRINT}");
        let (near, far) = (rtc("127.0.0.1:4000"), rtc("192.0.2.1:4000"));
        let local = "http://localhost:8080/";
        let found = addresses(local, &["quic://later", &near, "ws://127.0.0.1:8080/link"]);
        assert_eq!(found, Ok(vec![near.clone(), "ws://127.0.0.1:8080/link".to_owned()]));
        // Behind a proxy: the loopback of the node is not ours.
        let found = addresses("https://h/p", &[&near, &far, "ws://127.0.0.1:8080/link"]);
        assert_eq!(found, Ok(vec![far.clone(), "wss://h/p/link".to_owned()]));
        let found = addresses("https://h/p", &[&rtc("0.0.0.0:1"), &rtc("[::]:1")]);
        assert_eq!(found, Ok(vec!["wss://h/p/link".to_owned()]));
        assert_eq!(addresses("https://h", &["quic://later"]), Err(BadDescription::NoAddress));
        assert_eq!(addresses("https://h", &[]), Err(BadDescription::NoAddress));
        // The way that works everywhere has a place among many.
        let many: Vec<String> = (1..20).map(|n| rtc(&format!("192.0.2.{n}:1"))).collect();
        let mut many: Vec<&str> = many.iter().map(String::as_str).collect();
        many.push("wss://h/link");
        let found = addresses("https://h", &many).expect("found");
        assert_eq!((found.len(), found[7].as_str()), (ADDRESSES_MAX, "wss://h/link"));
    }
}
