//! The node's HTTP port: pages, the npm package, the node's description, and WebSocket links.
//!
//! | path | what |
//! |---|---|
//! | `/link` | WebSocket, one frame a binary message |
//! | `/.well-known/peergraph` | how to reach this node, as JSON: `{"version":1,"peer":…,"addresses":[…]}` |
//! | `/peergraph/…` | the npm package, where `--package` names it |
//! | anything else | pages, where `--pages` names them |
//!
//! Anybody may ask, from any page: groups authenticate themselves, and nothing here is secret. So origins are not
//! checked, but connections are bounded, in total and per source.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::{TokioIo, TokioTimer};
use peergraph_core::address::Address;
use peergraph_core::id::{Fingerprint, PeerId};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::websocket::{self, Report};

mod pages;

/// Connections at once, WebSockets among them. Guess: as many as links of the core.
const CONNECTIONS_MAX: usize = peergraph_core::limits::LINKS_MAX;
/// Connections at once of one source (an IPv4 address or an IPv6 /64). Guess: a class behind one router.
const CONNECTIONS_PER_SOURCE_MAX: usize = 512;
/// Time for a request's head. Guess.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a request's head. Guess.
const HEAD_BYTES_MAX: usize = 16 * 1024;

type Body = Full<Bytes>;

/// What the HTTP port serves.
#[derive(Debug)]
pub(crate) struct Site {
    /// Who runs this node.
    pub(crate) peer: PeerId,
    /// SHA-256 of the certificate of its data channels.
    pub(crate) fingerprint: Fingerprint,
    /// Where those are reached.
    pub(crate) udp: Vec<SocketAddr>,
    /// How browsers reach this port, where it is not what they asked for (behind a proxy).
    pub(crate) public_url: Option<Uri>,
    /// Folder of `/`.
    pub(crate) pages: Option<PathBuf>,
    /// Folder of `/peergraph/`.
    pub(crate) package: Option<PathBuf>,
}

/// Serves connections until the task is dropped.
pub(crate) async fn serve(listener: TcpListener, site: Arc<Site>, reports: mpsc::Sender<Report>) {
    let counts = Arc::new(Counts::default());
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, mostly: others may be closed in the meantime.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(seat) = Seat::take(&counts, from.ip()) else {
            tracing::debug!("connection refused: too many");
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (site, reports) = (site.clone(), reports.clone());
        tokio::spawn(async move {
            let seat = Arc::new(seat);
            let service = hyper::service::service_fn(|request| {
                answer(request, site.clone(), reports.clone(), seat.clone())
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .max_buf_size(HEAD_BYTES_MAX)
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            if let Err(error) = connection.await {
                tracing::debug!(%error, "HTTP connection ended");
            }
        });
    }
}

/// Connections by source.
#[derive(Default)]
struct Counts(Mutex<BTreeMap<IpAddr, usize>>);

/// One connection's place among [`CONNECTIONS_MAX`].
struct Seat {
    counts: Arc<Counts>,
    source: IpAddr,
}

impl Seat {
    fn take(counts: &Arc<Counts>, from: IpAddr) -> Option<Self> {
        let source = match from.to_canonical() {
            IpAddr::V4(ip) => IpAddr::V4(ip),
            IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() >> 64 << 64).into()),
        };
        let mut table = counts.0.lock().expect("no panic under this lock");
        let total: usize = table.values().sum();
        let mine = table.get(&source).copied().unwrap_or(0);
        if total >= CONNECTIONS_MAX || mine >= CONNECTIONS_PER_SOURCE_MAX {
            return None;
        }
        table.insert(source, mine + 1);
        drop(table);
        Some(Self { counts: counts.clone(), source })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut table = self.counts.0.lock().expect("no panic under this lock");
        let left = table.get(&self.source).copied().unwrap_or(1) - 1;
        if left == 0 {
            table.remove(&self.source);
        } else {
            table.insert(self.source, left);
        }
    }
}

async fn answer(
    mut request: Request<Incoming>,
    site: Arc<Site>,
    reports: mpsc::Sender<Report>,
    seat: Arc<Seat>,
) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    let mut response = match path.as_str() {
        websocket::PATH => upgrade(&mut request, reports, seat),
        "/.well-known/peergraph" => description(request.method(), request.headers(), &site),
        _ if !matches!(*request.method(), Method::GET | Method::HEAD) => {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD.\n");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            response
        }
        path => {
            let head = *request.method() == Method::HEAD;
            pages::answer(path, head, request.headers(), &site).await
        }
    };
    guard(response.headers_mut());
    Ok(response)
}

/// Headers that make every page safe by default: nothing from elsewhere, no inline script, no framing.
fn guard(headers: &mut HeaderMap) {
    const POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; \
        connect-src 'self' ws: wss: http: https:; img-src 'self' data: blob:; style-src 'self'; \
        base-uri 'none'; frame-ancestors 'none'";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

fn upgrade(
    request: &mut Request<Incoming>,
    reports: mpsc::Sender<Report>,
    seat: Arc<Seat>,
) -> Response<Body> {
    let headers = request.headers();
    let has = |name, value: &str| {
        let found = headers.get(name).and_then(|found: &HeaderValue| found.to_str().ok());
        found.is_some_and(|found| found.split(',').any(|it| it.trim().eq_ignore_ascii_case(value)))
    };
    let key = headers.get(header::SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()));
    let accept = key.and_then(|key| HeaderValue::from_str(&key).ok());
    let Some(accept) = accept.filter(|_| {
        *request.method() == Method::GET
            && has(header::UPGRADE, "websocket")
            && has(header::CONNECTION, "upgrade")
            && has(header::SEC_WEBSOCKET_VERSION, "13")
    }) else {
        let mut response =
            text(StatusCode::UPGRADE_REQUIRED, "This is the door for WebSocket links.\n");
        response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        let version = HeaderValue::from_static("13");
        response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, version);
        return response;
    };
    let upgraded = hyper::upgrade::on(request);
    tokio::spawn(async move {
        let Ok(stream) = upgraded.await else { return };
        let stream = TokioIo::new(stream);
        let config = Some(websocket::config());
        let stream = WebSocketStream::from_raw_socket(stream, Role::Server, config).await;
        websocket::serve(stream, reports).await;
        drop(seat);
    });
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    response
}

/// Tells anybody, from any origin, how this node is reached.
fn description(method: &Method, headers: &HeaderMap, site: &Site) -> Response<Body> {
    if !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "Only GET.\n");
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let addresses: Vec<String> =
        site.addresses(host).iter().map(|address| address.to_string()).collect();
    let json = serde_json::json!({
        "version": 1,
        "peer": site.peer.to_string(),
        "addresses": addresses,
    });
    let mut response = text(StatusCode::OK, json.to_string());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl Site {
    /// The addresses of this node for somebody who reached it as `host`, a `Host` header.
    fn addresses(&self, host: Option<&str>) -> Vec<Address> {
        let url = match &self.public_url {
            Some(url) => Some(link_url(url)),
            None => host.map(|host| format!("ws://{host}{}", websocket::PATH)),
        };
        let asked: Option<Uri> = url.as_ref().and_then(|url| url.parse().ok());
        let mut udp = self.udp.clone();
        // Behind a port forward the interfaces do not know the address by which we are reached; who asked does.
        let ip = asked.as_ref().and_then(Uri::host).and_then(|host| {
            host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok()
        });
        if let (Some(ip), Some(port)) = (ip, self.udp.first().map(SocketAddr::port))
            && !udp.iter().any(|address| address.ip() == ip)
            && udp.iter().any(|address| !address.ip().is_loopback())
        {
            udp.insert(0, SocketAddr::new(ip, port));
        }
        let rtc = |socket| Address::Rtc { socket, fingerprint: self.fingerprint };
        let mut addresses: Vec<Address> = udp.into_iter().map(rtc).collect();
        addresses.extend(url.and_then(|url| url.parse().ok()));
        addresses.truncate(peergraph_core::limits::ADDRESSES_MAX);
        addresses
    }
}

/// `https://node.example/x/` becomes `wss://node.example/x/link`.
pub(crate) fn link_url(url: &Uri) -> String {
    let scheme = if url.scheme_str() == Some("https") { "wss" } else { "ws" };
    let authority = url.authority().map_or("", |authority| authority.as_str());
    format!("{scheme}://{authority}{}{}", url.path().trim_end_matches('/'), websocket::PATH)
}

#[cfg(test)]
mod tests;
