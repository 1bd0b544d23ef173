//! The URL of a STUN server (RFC 7064).

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

/// The port of STUN. Source: RFC 8489, section 18.6.
const PORT: u16 = 3478;
/// Longest host name. Source: RFC 1035, section 2.3.4.
const HOST_CHARS_MAX: usize = 253;
/// How long the names of servers may take to be resolved. Guess; what is late is of no use to the first links.
const RESOLVE_MAX: Duration = Duration::from_secs(5);

/// A server that tells us our address as it sees it: `stun:HOST` or `stun:HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StunUrl {
    host: String,
    port: u16,
}

/// Text that is no URL of a STUN server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected stun:HOST or stun:HOST:PORT, such as stun:stun.example:3478 or stun:[2001:db8::1]"
)]
pub struct BadStunUrl;

impl FromStr for StunUrl {
    type Err = BadStunUrl;

    fn from_str(text: &str) -> Result<Self, BadStunUrl> {
        let rest = text.strip_prefix("stun:").ok_or(BadStunUrl)?;
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (ip, behind) = rest.split_once(']').ok_or(BadStunUrl)?;
                ip.parse::<std::net::Ipv6Addr>().map_err(|_| BadStunUrl)?;
                match behind {
                    "" => (ip, None),
                    _ => (ip, Some(behind.strip_prefix(':').ok_or(BadStunUrl)?)),
                }
            }
            None => rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map_or(Ok(PORT), str::parse).map_err(|_| BadStunUrl)?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
        let fits = !host.is_empty() && host.len() <= HOST_CHARS_MAX && host.bytes().all(plain);
        if fits && port != 0 { Ok(Self { host: host.into(), port }) } else { Err(BadStunUrl) }
    }
}

impl fmt::Display for StunUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            write!(f, "stun:[{host}]:{port}")
        } else {
            write!(f, "stun:{host}:{port}")
        }
    }
}

/// Resolves the names. A server whose name leads nowhere is left out, with a warning.
pub(crate) async fn resolve(urls: Vec<StunUrl>) -> Vec<SocketAddr> {
    let mut servers: Vec<SocketAddr> = Vec::new();
    for url in urls {
        let found = tokio::net::lookup_host((url.host.as_str(), url.port));
        match tokio::time::timeout(RESOLVE_MAX, found).await {
            Ok(Ok(found)) => {
                let found: Vec<SocketAddr> = found.collect();
                // One address of each family.
                let first = |v4: bool| found.iter().copied().find(|it| it.is_ipv4() == v4);
                servers.extend([first(true), first(false)].into_iter().flatten());
            }
            Ok(Err(error)) => tracing::warn!(%url, %error, "the STUN server is not asked"),
            Err(_) => tracing::warn!(%url, "the name of the STUN server takes too long"),
        }
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_read() {
        for (text, shown) in [
            ("stun:stun.example", "stun:stun.example:3478"),
            ("stun:192.0.2.1:19302", "stun:192.0.2.1:19302"),
            ("stun:[2001:db8::1]", "stun:[2001:db8::1]:3478"),
            ("stun:[2001:db8::1]:9", "stun:[2001:db8::1]:9"),
        ] {
            assert_eq!(text.parse::<StunUrl>().map(|url| url.to_string()), Ok(shown.to_owned()));
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "stun:",
            "turn:a",
            "stun.example",
            "stun:a:0",
            "stun:a:x",
            "stun:a b",
            "stun://a",
            "stun:[a]",
            "stun:[::1",
            "stun:[::1]9",
        ] {
            assert_eq!(text.parse::<StunUrl>(), Err(BadStunUrl), "{text}");
        }
    }
}
