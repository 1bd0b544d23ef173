//! Fetching the description of a node: one HTTP request, and those to which it is redirected. When
//! to ask, and what the answer means, the core decides.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, Response, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use peergraph_core::io::LookupFault;
use peergraph_core::limits::DESCRIBED_MAX;
use serde::Deserialize;
use url::Url;

use crate::connect;

/// Bytes of a description. Guess: eight addresses are under 3 KiB.
const DESCRIPTION_BYTES_MAX: usize = 64 * 1024;
/// Time for a whole look-up, redirects included. Guess.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);
/// Redirects of one look-up. Guess: a site that moved, to HTTPS, to another name, below a path.
const REDIRECTS_MAX: usize = 5;
/// How the path of every description ends. A redirect elsewhere is not followed, since it would be
/// a request of its sender's choice into the network of this machine.
const DESCRIPTION_PATH: &str = "/.well-known/peergraph";

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

/// Fetches the addresses that the description at `url` names, as they stand there.
pub(crate) async fn fetch(url: &str) -> Result<Vec<String>, Failure> {
    match tokio::time::timeout(LOOKUP_TIMEOUT, follow(url)).await {
        Ok(result) => result,
        Err(_) => {
            let seconds = LOOKUP_TIMEOUT.as_secs();
            Err(failure(LookupFault::Timeout, format!("no answer within {seconds} s")))
        }
    }
}

async fn follow(url: &str) -> Result<Vec<String>, Failure> {
    let unreachable = |cause: String| failure(LookupFault::Unreachable, cause);
    let mut url = Url::parse(url).map_err(|error| unreachable(error.to_string()))?;
    for _ in 0..=REDIRECTS_MAX {
        let response = get(&url).await?;
        if !response.status().is_redirection() {
            return read(response).await;
        }
        let to = response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
        let to = to.and_then(|to| url.join(to).ok()).filter(|to| may_follow(&url, to));
        let to = to.ok_or_else(|| {
            unreachable(format!("{url} redirects to where no description of a node can be"))
        })?;
        tracing::debug!(%url, %to, "redirected");
        url = to;
    }
    Err(unreachable(format!("more than {REDIRECTS_MAX} redirects, the last one to {url}")))
}

fn may_follow(from: &Url, to: &Url) -> bool {
    let scheme = to.scheme() == "https" || (to.scheme() == "http" && from.scheme() == "http");
    scheme && to.path().ends_with(DESCRIPTION_PATH) && to.username().is_empty()
}

async fn get(url: &Url) -> Result<Response<hyper::body::Incoming>, Failure> {
    let unreachable = |cause: String| failure(LookupFault::Unreachable, cause);
    let uri: Uri = url.as_str().parse().map_err(|_| unreachable(format!("not a URL: {url}")))?;
    let stream = connect::connect(&uri).await.map_err(|error| unreachable(error.to_string()))?;
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

    #[test]
    fn redirects_lead_to_descriptions_and_never_away_from_tls() {
        let url = |text: &str| Url::parse(text).expect("a URL");
        let may = |from: &str, to: &str| {
            let from = url(&format!("{from}{DESCRIPTION_PATH}"));
            may_follow(&from, &from.join(to).expect("a URL"))
        };
        assert!(may("http://a.example", "https://b.example/pg/.well-known/peergraph"));
        assert!(may("http://a.example", "/pg/.well-known/peergraph"));
        assert!(!may("https://a.example", "http://a.example/.well-known/peergraph"));
        assert!(!may("http://a.example", "http://127.0.0.1:631/jobs?cancel=all"));
        assert!(!may("http://a.example", "file:///.well-known/peergraph"));
        assert!(!may("http://a.example", "/"));
    }
}
