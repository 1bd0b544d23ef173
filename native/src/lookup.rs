//! Fetching the description of a node: one HTTP request, and those to which it is redirected. When
//! to ask, and what the answer means, the core decides.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, Response, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use peergraph_core::io::LookupFault;
use peergraph_core::limits::DESCRIBED_MAX;
use peergraph_core::node_url::LookUp;
use peergraph_core::place::Places;
use serde::Deserialize;
use url::Url;

use crate::connect::{self, Trust};

/// Bytes of a description. Guess: eight addresses are under 3 KiB.
const DESCRIPTION_BYTES_MAX: usize = 64 * 1024;
/// Time for a whole look-up, redirects included. Guess.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);
/// Redirects of one look-up. Guess: to HTTPS, then to another name or below a path.
const REDIRECTS_MAX: usize = 2;

/// A description that could not be fetched.
#[derive(Debug)]
pub(crate) struct Failure {
    /// For the core.
    pub(crate) fault: LookupFault,
    /// For people: what happened, where.
    pub(crate) cause: String,
}

fn failure(fault: LookupFault, cause: impl ToString) -> Failure {
    Failure { fault, cause: cause.to_string() }
}

/// Fetches the addresses that a description names, as they stand there.
pub(crate) async fn fetch(look_up: &LookUp, trust: &Trust) -> Result<Vec<String>, Failure> {
    match tokio::time::timeout(LOOKUP_TIMEOUT, follow(look_up, trust)).await {
        Ok(result) => result,
        Err(_) => {
            let seconds = LOOKUP_TIMEOUT.as_secs();
            Err(failure(LookupFault::Timeout, format!("no answer within {seconds} s")))
        }
    }
}

async fn follow(look_up: &LookUp, trust: &Trust) -> Result<Vec<String>, Failure> {
    let unreachable = |cause: String| failure(LookupFault::Unreachable, cause);
    let mut url = Url::parse(&look_up.url).map_err(|error| unreachable(error.to_string()))?;
    let mut places = look_up.places;
    for _ in 0..=REDIRECTS_MAX {
        let response = get(&url, places, trust).await?;
        if !response.status().is_redirection() {
            return read(response).await;
        }
        let to = response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
        let to = to.and_then(|to| url.join(to).ok());
        let to = to.and_then(|to| LookUp::redirected(url.as_str(), to.as_str()));
        let to = to.ok_or_else(|| {
            unreachable(format!("{url} redirects to where no description of a node can be"))
        })?;
        tracing::debug!(%url, to = to.url, "redirected");
        url = Url::parse(&to.url).map_err(|error| unreachable(error.to_string()))?;
        places = to.places;
    }
    Err(unreachable(format!("more than {REDIRECTS_MAX} redirects, the last one to {url}")))
}

async fn get(
    url: &Url,
    places: Places,
    trust: &Trust,
) -> Result<Response<hyper::body::Incoming>, Failure> {
    let unreachable = |cause: String| failure(LookupFault::Unreachable, cause);
    let uri: Uri = url.as_str().parse().map_err(|_| unreachable(format!("not a URL: {url}")))?;
    let stream = connect::connect(&uri, places, trust).await;
    let stream = stream.map_err(|error| failure(error.lookup_fault(), error))?;
    let http = |error: hyper::Error| unreachable(format!("{url} does not speak HTTP: {error}"));
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
    tokio::spawn(connection);
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let request = Request::get(target)
        .header(header::HOST, host)
        .header(header::ACCEPT, "application/json")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| unreachable(error.to_string()))?;
    sender.send_request(request).await.map_err(http)
}

/// Members that are not known are skipped.
#[derive(Deserialize)]
struct Description {
    version: u64,
    addresses: Vec<serde_json::Value>,
}

async fn read(response: Response<hyper::body::Incoming>) -> Result<Vec<String>, Failure> {
    let status = response.status();
    if status != StatusCode::OK {
        let fault = LookupFault::Status(status.as_u16());
        return Err(failure(fault, format!("it answered {status}")));
    }
    let no_node = |cause: String| failure(LookupFault::NotANode, cause);
    let body = Limited::new(response.into_body(), DESCRIPTION_BYTES_MAX).collect().await;
    let body = body.map_err(|error| no_node(format!("its description: {error}")))?.to_bytes();
    parse(&body).map_err(|what| no_node(format!("its description is not understood: {what}")))
}

fn parse(body: &[u8]) -> Result<Vec<String>, String> {
    let description: Description =
        serde_json::from_slice(body).map_err(|error| error.to_string())?;
    if description.version != 1 {
        return Err(format!("version {}", description.version));
    }
    let texts = description.addresses.iter().filter_map(serde_json::Value::as_str);
    Ok(texts.take(DESCRIBED_MAX).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn description_skips_what_it_does_not_know() {
        let body = br#"{"version":1,"peer":"x","colour":"blue",
            "addresses":["quic://later",7,"ws://127.0.0.1:8080/link"]}"#;
        let expected = ["quic://later".to_owned(), "ws://127.0.0.1:8080/link".to_owned()];
        assert_eq!(parse(body), Ok(expected.to_vec()), "the core knows which it can use");
        for body in ["", "[]", r#"{"version":2,"addresses":[]}"#, r#"{"version":1}"#] {
            assert!(parse(body.as_bytes()).is_err(), "{body}");
        }
    }
}
