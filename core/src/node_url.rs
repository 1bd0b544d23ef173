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
use crate::address::{Address, ParseAddressError};
use crate::limits::{ADDRESSES_MAX, DESCRIBED_MAX};
use crate::place::{self, Places, Word};
use crate::web_url::{BadUrl, Host, SocketUrl, Web};
use std::fmt;
use std::str::FromStr;

/// Below the path of a node's URL: where it describes itself.
const DESCRIPTION: &str = ".well-known/peergraph";
/// Below the path of a node's URL: where it takes links over WebSockets.
const LINK: &str = "link";

/// How to find a node: its URL, or one address.
///
/// Text forms: `https://node.example/path/`, `http://127.0.0.1:8080`, `rtc://127.0.0.1:4000/FINGERPRINT`,
/// `ws://127.0.0.1:8080/link`. At most [`URL_CHARS_MAX`](crate::web_url::URL_CHARS_MAX) characters. Two texts for one place are equal: the scheme and
/// the host are kept in lower case, the usual port is left out, the path ends with a slash, and a query or fragment is
/// dropped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeUrl(Kind);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    Web(Web),
    Address(Address),
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
    /// Longer than [`URL_CHARS_MAX`](crate::web_url::URL_CHARS_MAX), or with a user name, white space or other characters that do not belong there.
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
        Ok(Self(Kind::Web(Web::read(tls, rest)?.folder())))
    }
}

impl fmt::Display for NodeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Web(web) => f.write_str(&web.text("http")),
            Kind::Address(address) => address.fmt(f),
        }
    }
}

impl From<Address> for NodeUrl {
    fn from(address: Address) -> Self {
        Self(Kind::Address(address))
    }
}

impl From<BadUrl> for ParseNodeUrlError {
    fn from(bad: BadUrl) -> Self {
        match bad {
            BadUrl::Host => Self::Host,
            BadUrl::Port => Self::Port,
            BadUrl::Text => Self::Url,
        }
    }
}

impl NodeUrl {
    /// The URL of its description: `.well-known/peergraph` below its own path. `None` if it is an address already.
    pub fn description(&self) -> Option<String> {
        match &self.0 {
            Kind::Web(web) => Some(web.below(DESCRIPTION).text("http")),
            Kind::Address(_) => None,
        }
    }

    /// Where its description may be fetched that is somebody's word. Nothing if it must not be fetched at all.
    pub(crate) fn places(&self, word: Word) -> Option<Places> {
        match &self.0 {
            Kind::Web(web) => word.places_of_host(web.path() == "/", web.host()),
            Kind::Address(_) => None,
        }
    }

    /// The party that named an address which follows from this URL, if `word` named the URL.
    pub(crate) fn word_of(&self, address: &Address, word: Word) -> Word {
        let same = match (&self.0, address) {
            (Kind::Address(_), _) => true,
            (Kind::Web(web), Address::WebSocket { url }) => web.host() == url.web().host(),
            (Kind::Web(web), Address::Rtc { socket, .. }) => *web.host() == Host::Ip(socket.ip()),
        };
        if same { word } else { Word::Given }
    }

    /// Whether it is on this machine or in its local network, as far as the URL itself shows.
    pub(crate) fn here(&self) -> Places {
        match &self.0 {
            Kind::Web(web) => Places::of_host(web.host()),
            Kind::Address(address) => Places::of([address]),
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
            if place::fits(&address, web.host()) && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        let is_socket = |address: &Address| matches!(address, Address::WebSocket { .. });
        if !addresses.iter().take(ADDRESSES_MAX).any(is_socket) {
            let socket = addresses.iter().find(|address| is_socket(address)).cloned();
            addresses.truncate(ADDRESSES_MAX - 1);
            let below = || Address::WebSocket { url: SocketUrl::at(web.below(LINK)) };
            addresses.push(socket.unwrap_or_else(below));
        }
        addresses.truncate(ADDRESSES_MAX);
        Ok(addresses)
    }
}

/// The description of a node, and where it may be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookUp {
    /// The URL of the description.
    pub url: String,
    /// Where the host of the URL, which may be a name, may be.
    pub places: Places,
}

impl LookUp {
    /// Returns where a look-up goes on if the server at `from` redirects it to `to`, an absolute
    /// URL. Nothing if it must not: a redirect leads to the description of a node, never from TLS
    /// to where anybody on the way can answer, and to this machine and its local network as an
    /// invitation may.
    #[must_use]
    pub fn redirected(from: &str, to: &str) -> Option<Self> {
        let node: NodeUrl = to.strip_suffix(DESCRIPTION)?.parse().ok()?;
        let Kind::Web(web) = &node.0 else { return None };
        if from.starts_with("https:") && !web.is_secure() {
            return None;
        }
        let places = node.places(Word::Given)?;
        Some(Self { url: node.description()?, places })
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
    fn redirects_lead_to_descriptions_and_never_away_from_tls() {
        let to = |from: &str, to: &str| {
            let found = LookUp::redirected(&format!("{from}/{DESCRIPTION}"), to);
            found.map(|found| (found.url, found.places))
        };
        let (http, tls) = ("http://a.example", "https://a.example");
        let moved = "https://b.example/pg/.well-known/peergraph";
        assert_eq!(to(http, moved), Some((moved.to_owned(), Places::PUBLIC)));
        let moved = "http://a.example/.well-known/peergraph";
        assert_eq!(to(http, moved), Some((moved.to_owned(), Places::ALL)));
        assert_eq!(to(tls, moved), None);
        // No query is passed on.
        let asking = "http://127.0.0.1:631/?cancel=all/.well-known/peergraph";
        let asked = "http://127.0.0.1:631/.well-known/peergraph";
        assert_eq!(to(http, asking), Some((asked.to_owned(), Places::ALL)));
        for elsewhere in [
            "http://127.0.0.1:631/jobs?cancel=all",
            "http://127.0.0.1:631/jobs/cancel/.well-known/peergraph",
            "http://192.168.1.1/reboot/.well-known/peergraph",
            "http://127.1/.well-known/peergraph",
            "http://ann@b.example/.well-known/peergraph",
            "file:///.well-known/peergraph",
            "rtc://127.0.0.1:1/.well-known/peergraph",
            "http://b.example/",
        ] {
            assert_eq!(to(http, elsewhere), None, "{elsewhere}");
        }
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
