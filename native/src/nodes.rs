//! Where other nodes are: what people write down for one, and the lookup of its addresses.
//!
//! A node's URL (`http://` or `https://`) is looked up at `/.well-known/peergraph`, which names its addresses; they
//! change when the node moves, the URL does not. Addresses can be given directly too. Whatever the answer, it is
//! only where to knock: who is there, the link's handshake proves.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use peergraph_core::address::{Address, ParseAddressError};
use peergraph_core::limits::ADDRESSES_MAX;
use serde::Deserialize;

use crate::connect;

/// Bytes of a node's description. Guess: eight addresses are under 3 KiB.
const DESCRIPTION_BYTES_MAX: usize = 64 * 1024;
/// Time for a whole lookup. Guess.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(15);

/// How to find a node: its URL, or one address.
///
/// Text forms: `https://node.example`, `rtc://127.0.0.1:4000/FINGERPRINT`, `ws://127.0.0.1:8080/link`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeUrl(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Web(Uri),
    Address(Address),
}

/// Text that does not say how to find a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseNodeUrlError {
    /// A web URL without host.
    #[error("not a node: expected https://HOST, http://HOST:PORT, rtc://… or ws://…")]
    Url,
    /// An address that is none.
    #[error("not a node: {0}")]
    Address(#[from] ParseAddressError),
}

impl FromStr for NodeUrl {
    type Err = ParseNodeUrlError;

    fn from_str(text: &str) -> Result<Self, ParseNodeUrlError> {
        if text.starts_with("rtc://") || text.starts_with("ws://") || text.starts_with("wss://") {
            return Ok(Self(Kind::Address(text.parse()?)));
        }
        let url: Uri = text.parse().map_err(|_| ParseNodeUrlError::Url)?;
        let web = matches!(url.scheme_str(), Some("http" | "https"));
        if !web || url.host().is_none_or(str::is_empty) {
            return Err(ParseNodeUrlError::Url);
        }
        Ok(Self(Kind::Web(url)))
    }
}

impl fmt::Display for NodeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Web(url) => url.fmt(f),
            Kind::Address(address) => address.fmt(f),
        }
    }
}

impl NodeUrl {
    /// Whether people can open it in a browser.
    #[must_use]
    pub fn is_web(&self) -> bool {
        matches!(self.0, Kind::Web(_))
    }

    /// Finds the addresses of the node.
    pub(crate) async fn look_up(&self) -> Result<Vec<Address>, LookupError> {
        let url = match &self.0 {
            Kind::Address(address) => return Ok(vec![address.clone()]),
            Kind::Web(url) => url,
        };
        match tokio::time::timeout(LOOKUP_TIMEOUT, look_up(url)).await {
            Ok(result) => result,
            Err(_) => Err(LookupError::Timeout),
        }
    }
}

/// Why a node's addresses are not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookupError {
    #[error("{0}")]
    Connect(#[from] connect::ConnectError),
    #[error("it did not answer in time")]
    Timeout,
    #[error("it does not speak HTTP: {0}")]
    Http(String),
    #[error("it answered {0}: is this a Peergraph node?")]
    Status(StatusCode),
    #[error("its description is not understood: {0}")]
    Description(String),
}

/// `/.well-known/peergraph`; members that are not known are skipped.
#[derive(Deserialize)]
struct Description {
    version: u64,
    addresses: Vec<String>,
}

async fn look_up(url: &Uri) -> Result<Vec<Address>, LookupError> {
    let stream = TokioIo::new(connect::connect(url).await?);
    let http = |error: hyper::Error| LookupError::Http(error.to_string());
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(stream).await.map_err(http)?;
    let connection = tokio::spawn(connection);
    let host = url.authority().map_or("", |authority| authority.as_str());
    let request = Request::get("/.well-known/peergraph")
        .header(header::HOST, host)
        .header(header::ACCEPT, "application/json")
        .body(Empty::<Bytes>::new())
        .map_err(|error| LookupError::Http(error.to_string()))?;
    let response = sender.send_request(request).await.map_err(http)?;
    if response.status() != StatusCode::OK {
        return Err(LookupError::Status(response.status()));
    }
    let body = Limited::new(response.into_body(), DESCRIPTION_BYTES_MAX).collect().await;
    let body = body.map_err(|error| LookupError::Http(error.to_string()))?.to_bytes();
    connection.abort();
    parse(&body)
}

fn parse(body: &[u8]) -> Result<Vec<Address>, LookupError> {
    let wrong = |what: String| LookupError::Description(what);
    let description: Description =
        serde_json::from_slice(body).map_err(|error| wrong(error.to_string()))?;
    if description.version != 1 {
        return Err(wrong(format!("version {}", description.version)));
    }
    // Kinds of address that a later release invents are skipped.
    let known = description.addresses.iter().filter_map(|text| text.parse().ok());
    let addresses: Vec<Address> = known.take(ADDRESSES_MAX).collect();
    if addresses.is_empty() {
        return Err(wrong("no address of a known kind".to_owned()));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_urls_round_trip_or_say_what_is_wrong() {
        for text in ["https://node.example/", "http://127.0.0.1:8080/", "ws://127.0.0.1:8080/link"]
        {
            assert_eq!(text.parse::<NodeUrl>().expect(text).to_string(), text);
        }
        for text in ["", "node.example", "ftp://a.example", "/x"] {
            assert_eq!(text.parse::<NodeUrl>(), Err(ParseNodeUrlError::Url), "{text}");
        }
        let wrong = "rtc://127.0.0.1/x".parse::<NodeUrl>();
        assert!(matches!(wrong, Err(ParseNodeUrlError::Address(_))));
    }

    #[test]
    fn description_skips_what_it_does_not_know() {
        let body = br#"{"version":1,"peer":"x","colour":"blue",
            "addresses":["quic://later","ws://127.0.0.1:8080/link"]}"#;
        let addresses = parse(body).expect("understood");
        assert_eq!(addresses, ["ws://127.0.0.1:8080/link".parse().expect("an address")]);
        for body in ["", "[]", r#"{"version":2,"addresses":[]}"#, r#"{"version":1,"addresses":[]}"#]
        {
            assert!(matches!(parse(body.as_bytes()), Err(LookupError::Description(_))), "{body}");
        }
    }
}
