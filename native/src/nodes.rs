//! The lookup of nodes: fetches the description that a node's URL leads to.
//!
//! When, how often, and what follows from it is the core's matter. Whatever the answer, it is only where to knock: who
//! is there, the link's handshake proves.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use peergraph_core::io::LookupFault;
use serde::Deserialize;

use crate::connect;

pub use peergraph_core::node_url::{NodeUrl, ParseNodeUrlError};

/// Bytes of a node's description. Guess: eight addresses are under 3 KiB.
const DESCRIPTION_BYTES_MAX: usize = 64 * 1024;
/// Time for a whole lookup. Guess.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// Fetches a description once. Answers the addresses that it names, as they stand there.
pub(crate) async fn look_up(url: &str) -> Result<Vec<String>, LookupFault> {
    let fetched = async {
        let url: Uri = url.parse().map_err(|_| LookupError::Url)?;
        fetch(&url).await
    };
    let error = match tokio::time::timeout(LOOKUP_TIMEOUT, fetched).await {
        Ok(Ok(addresses)) => return Ok(addresses),
        Ok(Err(error)) => error,
        Err(_) => LookupError::Timeout,
    };
    tracing::warn!(%url, %error, "node not looked up; it is tried again");
    Err(error.fault())
}

/// Why a node's addresses are not known.
#[derive(Debug, thiserror::Error)]
enum LookupError {
    #[error("that is no URL")]
    Url,
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

impl LookupError {
    /// What the node is told.
    fn fault(&self) -> LookupFault {
        match self {
            Self::Url | Self::Connect(_) => LookupFault::Unreachable,
            Self::Timeout => LookupFault::Timeout,
            Self::Status(status) => LookupFault::Status(status.as_u16()),
            Self::Http(_) | Self::Description(_) => LookupFault::NotANode,
        }
    }
}

/// A description; members that are not known are skipped.
#[derive(Deserialize)]
struct Description {
    version: u64,
    addresses: Vec<String>,
}

async fn fetch(url: &Uri) -> Result<Vec<String>, LookupError> {
    let stream = TokioIo::new(connect::connect(url).await?);
    let http = |error: hyper::Error| LookupError::Http(error.to_string());
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(stream).await.map_err(http)?;
    let connection = tokio::spawn(connection);
    let host = url.authority().map_or("", |authority| authority.as_str());
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
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

fn parse(body: &[u8]) -> Result<Vec<String>, LookupError> {
    let wrong = |what: String| LookupError::Description(what);
    let description: Description =
        serde_json::from_slice(body).map_err(|error| wrong(error.to_string()))?;
    if description.version != 1 {
        return Err(wrong(format!("version {}", description.version)));
    }
    Ok(description.addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn description_skips_what_it_does_not_know() {
        let body = br#"{"version":1,"peer":"x","colour":"blue",
            "addresses":["quic://later","ws://127.0.0.1:8080/link"]}"#;
        let addresses = parse(body).expect("understood");
        assert_eq!(addresses, ["quic://later", "ws://127.0.0.1:8080/link"]);
        for body in ["", "[]", r#"{"version":2,"addresses":[]}"#, r#"{"version":1}"#] {
            assert!(matches!(parse(body.as_bytes()), Err(LookupError::Description(_))), "{body}");
        }
    }
}
