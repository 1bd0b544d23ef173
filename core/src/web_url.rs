//! The place that a web or WebSocket URL names: host, port and path.
//!
//! A URL is read once, here, and only in forms that every reader of it understands alike: no user name, no query, no
//! fragment, IPv4 as four decimal numbers, no dot at the end of a name. `http://127.1/`, `http://2130706433/` and
//! `http://a@127.0.0.1/` are refused, since a reader that does not know these spellings takes them for names.
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Longest URL of a node. Characters. Guess.
pub const URL_CHARS_MAX: usize = 256;

/// Host, port and path of a URL, and whether TLS protects the way there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Web {
    tls: bool,
    host: Host,
    /// `None` for the usual one.
    port: Option<u16>,
    /// Begins with a slash.
    path: String,
}

/// The host of a URL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Host {
    Ip(IpAddr),
    /// In lower case.
    Name(String),
}

/// Text that is no such URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadUrl {
    Host,
    Port,
    /// Too long, or with a user name or characters that do not belong there.
    Text,
}

impl Web {
    /// Reads what stands behind the scheme and `://`. A query or fragment is dropped.
    pub(crate) fn read(tls: bool, rest: &str) -> Result<Self, BadUrl> {
        if rest.len() > URL_CHARS_MAX || !rest.chars().all(|c| c.is_ascii_graphic()) {
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            // A host beyond ASCII must be written in its ASCII form.
            return Err(if host.is_ascii() { BadUrl::Text } else { BadUrl::Host });
        }
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        // Some readers take a backslash for a slash, and so another host for this one.
        if authority.contains(['@', '\\']) {
            return Err(BadUrl::Text);
        }
        let (host, port) = read_authority(authority)?;
        let usual = if tls { 443 } else { 80 };
        let path = if path.is_empty() { "/" } else { path }.to_owned();
        Ok(Self { tls, host, port: port.filter(|&port| port != usual), path })
    }

    /// The same place with a path that ends with a slash.
    pub(crate) fn folder(mut self) -> Self {
        if !self.path.ends_with('/') {
            self.path.push('/');
        }
        self
    }

    /// The place below this one; the path of this one ends with a slash.
    pub(crate) fn below(&self, what: &str) -> Self {
        Self { path: format!("{}{what}", self.path), ..self.clone() }
    }

    /// As text. `scheme` is the one without TLS.
    pub(crate) fn text(&self, scheme: &str) -> String {
        let secure = if self.tls { "s" } else { "" };
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{scheme}{secure}://{}{port}{}", self.host, self.path)
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// Whether TLS protects the way there.
    pub(crate) fn is_secure(&self) -> bool {
        self.tls
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

/// Reads `HOST` or `HOST:PORT`.
fn read_authority(authority: &str) -> Result<(Host, Option<u16>), BadUrl> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or(BadUrl::Host)?;
            let address: Ipv6Addr = address.parse().map_err(|_| BadUrl::Host)?;
            (Host::Ip(address.into()), port)
        }
        None => {
            let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
            (read_host(host)?, port)
        }
    };
    if port.is_empty() || port == ":" {
        return Ok((host, None));
    }
    let digits = port.strip_prefix(':').ok_or(BadUrl::Host)?;
    let number: u16 = digits.parse().map_err(|_| BadUrl::Port)?;
    let good = number > 0 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if good { Ok((host, Some(number))) } else { Err(BadUrl::Port) }
}

/// Reads a name or an IPv4 address. Source for what is a number: the URL standard of WHATWG, "ends in a number checker".
fn read_host(host: &str) -> Result<Host, BadUrl> {
    if let Ok(ip) = host.parse::<Ipv4Addr>() {
        return Ok(Host::Ip(ip.into()));
    }
    let host = host.to_ascii_lowercase();
    let last = host.rsplit('.').next().unwrap_or_default();
    let hex =
        last.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
    let number = hex || last.bytes().all(|byte| byte.is_ascii_digit());
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    // An empty last label is a dot at the end; `number` holds for it too.
    if number || host.starts_with('.') || host.contains("..") || !host.chars().all(plain) {
        return Err(BadUrl::Host);
    }
    Ok(Host::Name(host))
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// The URL of a WebSocket: `ws://HOST:PORT/PATH` or `wss://HOST/PATH`, without query and fragment.
///
/// Two texts for one place are equal: the host is kept in lower case and the usual port is left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketUrl(Web);

impl SocketUrl {
    pub(crate) fn at(web: Web) -> Self {
        Self(web)
    }

    pub(crate) fn web(&self) -> &Web {
        &self.0
    }
}

/// Text that is not the URL of a WebSocket: not `ws:` or `wss:`, longer than [`URL_CHARS_MAX`], or with a user name, a
/// query, a fragment, or a host in an unusual spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not the URL of a WebSocket: expected ws://HOST:PORT/PATH or wss://HOST/PATH, without user name, query and fragment"
)]
pub struct BadSocketUrl;

impl FromStr for SocketUrl {
    type Err = BadSocketUrl;

    fn from_str(text: &str) -> Result<Self, BadSocketUrl> {
        let (tls, rest) = match text.split_once("://") {
            Some(("ws", rest)) => (false, rest),
            Some(("wss", rest)) => (true, rest),
            _ => return Err(BadSocketUrl),
        };
        if rest.contains(['?', '#']) {
            return Err(BadSocketUrl);
        }
        Web::read(tls, rest).map(Self).map_err(|_| BadSocketUrl)
    }
}

impl fmt::Display for SocketUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text("ws"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn socket(text: &str) -> Result<String, BadSocketUrl> {
        text.parse::<SocketUrl>().map(|url| url.to_string())
    }

    #[test]
    fn one_place_has_one_text() {
        for (text, same) in [
            ("ws://127.0.0.1:8080/link", "ws://127.0.0.1:8080/link"),
            ("ws://Node.Example:80", "ws://node.example/"),
            ("wss://[::0001]:443/link", "wss://[::1]/link"),
        ] {
            assert_eq!(socket(text).as_deref(), Ok(same));
        }
    }

    #[test]
    fn spellings_that_other_readers_resolve_are_refused() {
        for host in [
            "127.1",
            "2130706433",
            "0x7f.1",
            "0x7F000001",
            "0177.0.0.1",
            "127.0.0.1.",
            "localhost.",
            "a.b@127.0.0.1",
            "a@localhost",
            "127.0.0.256",
            "1.2.3.4.5",
            "[::1%1]",
            "[fe80::1%eth0]",
            ".",
            "..",
            "a..b",
            ".a",
            "",
            "a\\b",
            "a b",
            "ａ.example",
        ] {
            for path in ["", "/link", ":8080/link"] {
                assert_eq!(
                    socket(&format!("ws://{host}{path}")),
                    Err(BadSocketUrl),
                    "{host}{path}"
                );
            }
        }
        for text in ["ws://a/link?x", "ws://a/link#x", "ws://a:0/", "ws://a:+1/", "http://a/"] {
            assert_eq!(socket(text), Err(BadSocketUrl), "{text}");
        }
    }

    proptest! {
        /// A URL is written in a form that is read as the same URL.
        #[test]
        fn text_is_read_as_it_was_written(host in "[a-zA-Z0-9._:@\\[\\]x-]{0,24}", path in "(/[a-z?#]{0,4}){0,2}") {
            if let Ok(url) = format!("ws://{host}{path}").parse::<SocketUrl>() {
                prop_assert_eq!(url.to_string().parse(), Ok(url));
            }
        }
    }
}
