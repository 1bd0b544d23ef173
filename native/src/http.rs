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
//! checked, but connections are bounded, in total and per source (`http/source.rs`), and one whose other end reads nothing ends
//! (`http/paced.rs`). If the public URL has a path,
//! everything is found below that as well.
//!
//! With a certificate (`http/tls.rs`) the port speaks TLS. A client that speaks plain HTTP to it is told the `https:` URL.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use peergraph_core::id::PeerId;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use self::paced::Paced;
use self::source::{Client, Counts, Seat, client, is_trusted};
use crate::addresses::{Addresses, Asker};
use crate::connect::Stream;
use crate::rtc::budget::{Allowance, Budget};
use crate::websocket::{self, Report};

mod paced;
mod pages;
mod shelf;
mod source;
mod tls;

pub(crate) use self::shelf::Shelf;
pub(crate) use self::source::NETWORKS_MAX;
pub use self::source::{Network, ParseNetworkError};
pub use self::tls::TlsError;
pub(crate) use self::tls::{Files, Tls, Wanted, own_names};

/// Time for a request's head. Guess.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a request's head. Guess.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Connections that are being told that there is no room for them. Guess. A further one is closed without a word.
const REFUSALS_MAX: usize = 64;
/// Time for such a connection, all in all. Guess.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(5);
/// How often one source may begin a WebSocket link. Guess: all connections that it may have at once, and then a class that
/// comes back in some seconds.
const LINKS_OF_SOURCE: Allowance = Allowance { burst: 512, per_second: 32 };
/// The type of a TLS record of a handshake. Source: RFC 8446, section 5.1.
const HANDSHAKE: u8 = 22;
/// How often refusals are logged. Guess.
const REFUSALS_LOGGED_EVERY: Duration = Duration::from_secs(10);

const NO_ROOM: &str = "Too many connections from your network at once. Try again in a moment.\n";

type Body = Full<Bytes>;

/// The contents of the HTTP port.
#[derive(Debug)]
pub(crate) struct Site {
    /// The identity of this node.
    pub(crate) peer: PeerId,
    /// Where it is reached.
    pub(crate) addresses: Arc<Addresses>,
    /// Proxies that are believed about the addresses of clients.
    pub(crate) trusted: Vec<Network>,
    /// Folder of `/`.
    pub(crate) pages: Option<PathBuf>,
    /// Folder of `/peergraph/`.
    pub(crate) package: Option<PathBuf>,
    /// The files read from both.
    pub(crate) shelf: Arc<Shelf>,
    /// The certificate, if the port speaks TLS.
    pub(crate) tls: Option<Tls>,
}

impl Site {
    /// The path of a request below the path of the public URL. A proxy may have taken that away, or not.
    fn path<'a>(&self, path: &'a str) -> &'a str {
        let own = self.addresses.public_url.as_ref().map_or("", |url| url.path());
        let own = own.trim_end_matches('/');
        path.strip_prefix(own).filter(|rest| rest.starts_with('/')).unwrap_or(path)
    }
}

/// The state that all listeners of a site share.
struct Server {
    site: Site,
    reports: mpsc::Sender<Report>,
    counts: Arc<Counts>,
    refusals: Arc<Semaphore>,
    refused: Mutex<Refused>,
    /// How often each source may begin a link.
    links: Mutex<Budget>,
}

/// Refusals that were not logged yet.
struct Refused {
    count: u64,
    logged: Option<Instant>,
}

/// Serves connections until the future is dropped.
pub(crate) async fn serve(listeners: Vec<TcpListener>, site: Site, reports: mpsc::Sender<Report>) {
    let server = Arc::new(Server {
        site,
        reports,
        counts: Arc::default(),
        refusals: Arc::new(Semaphore::new(REFUSALS_MAX)),
        refused: Mutex::new(Refused { count: 0, logged: None }),
        links: Mutex::new(Budget::new(LINKS_OF_SOURCE)),
    });
    let accepting = listeners.iter().map(|listener| accept(listener, &server));
    let following = async {
        if let Some(tls) = &server.site.tls {
            tls.follow().await;
        }
    };
    futures::future::join(futures::future::join_all(accepting), following).await;
}

async fn accept(listener: &TcpListener, server: &Arc<Server>) {
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
        let _ = stream.set_nodelay(true);
        let seat = match is_trusted(from.ip(), &server.site.trusted) {
            true => Seat::of_proxy(&server.counts),
            false => Seat::take(&server.counts, from.ip()),
        };
        match seat {
            Some(seat) => drop(tokio::spawn(connection(server.clone(), stream, from, seat))),
            None => {
                server.log_refusal(from.ip());
                server.refuse(stream);
            }
        }
    }
}

async fn connection(server: Arc<Server>, stream: TcpStream, from: SocketAddr, seat: Seat) {
    let seat = Arc::new(seat);
    let serving = async {
        let Some(tls) = &server.site.tls else {
            return serve_one(&server, Paced::new(stream), (from, false), &seat).await;
        };
        match tokio::time::timeout(HEAD_TIMEOUT, speaks_tls(&stream)).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => return redirect(stream).await,
            Ok(Err(_)) | Err(_) => return,
        }
        let accepted = tls.acceptor().accept(Paced::new(stream));
        match tokio::time::timeout(HEAD_TIMEOUT, accepted).await {
            Ok(Ok(stream)) => serve_one(&server, stream, (from, true), &seat).await,
            Ok(Err(error)) => tracing::debug!(%error, "no TLS with a client"),
            Err(_) => tracing::debug!("no TLS with a client in time"),
        }
    };
    tokio::select! {
        () = serving => {}
        () = seat.given_way() => tracing::debug!("HTTP connection gives way to another source"),
    }
}

/// Serves a connection to its end. With `tls`, its client speaks TLS with us.
async fn serve_one(
    server: &Arc<Server>,
    stream: impl Stream + 'static,
    (from, tls): (SocketAddr, bool),
    seat: &Arc<Seat>,
) {
    let service = hyper::service::service_fn(|request| {
        answer(request, server.clone(), (from, tls), seat.clone())
    });
    let connection = http().serve_connection(TokioIo::new(stream), service).with_upgrades();
    if let Err(error) = connection.await {
        tracing::debug!(%error, "HTTP connection ended");
    }
}

/// Whether the first byte of a connection is that of a TLS handshake.
async fn speaks_tls(stream: &TcpStream) -> std::io::Result<bool> {
    let mut first = [0];
    let read = stream.peek(&mut first).await?;
    Ok(read == 1 && first[0] == HANDSHAKE)
}

/// Tells a client that speaks plain HTTP where to go.
async fn redirect(stream: TcpStream) {
    let service = hyper::service::service_fn(async |request: Request<Incoming>| {
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        let to = host.map(|host| format!("https://{host}{}", request.uri()));
        let to = to.and_then(|to| HeaderValue::from_str(&to).ok());
        let mut response =
            text(StatusCode::PERMANENT_REDIRECT, "This port speaks HTTPS: use https://\n");
        if let Some(to) = to {
            response.headers_mut().insert(header::LOCATION, to);
        }
        Ok::<_, Infallible>(response)
    });
    let mut http = http();
    let told = http.keep_alive(false).serve_connection(TokioIo::new(stream), service);
    let _ = tokio::time::timeout(REFUSAL_TIMEOUT, told).await;
}

fn http() -> hyper::server::conn::http1::Builder {
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_BYTES_MAX);
    http
}

impl Server {
    /// Tells a connection for which there is no room so, if not too many are being told.
    fn refuse(&self, stream: TcpStream) {
        let Ok(permit) = self.refusals.clone().try_acquire_owned() else { return };
        tokio::spawn(async move {
            let service = hyper::service::service_fn(async |_: Request<Incoming>| {
                Ok::<_, Infallible>(no_room())
            });
            let mut http = http();
            let told = http.keep_alive(false).serve_connection(TokioIo::new(stream), service);
            let _ = tokio::time::timeout(REFUSAL_TIMEOUT, told).await;
            drop(permit);
        });
    }

    /// Whether a source may begin one more link: the node shakes hands with each.
    fn may_begin(&self, from: IpAddr) -> bool {
        let (from, now) = (SocketAddr::new(from, 0), std::time::Instant::now());
        let mut links = self.links.lock().expect("no panic under this lock");
        let may = links.allows(from, now);
        if may {
            links.take(from, now);
        }
        may
    }

    /// Logs the first refusal, and the number of those that follow now and then.
    fn log_refusal(&self, source: IpAddr) {
        let mut refused = self.refused.lock().expect("no panic under this lock");
        refused.count += 1;
        if refused.logged.is_some_and(|at| at.elapsed() < REFUSALS_LOGGED_EVERY) {
            return;
        }
        let count = std::mem::take(&mut refused.count);
        refused.logged = Some(Instant::now());
        drop(refused);
        tracing::warn!(
            count,
            %source,
            "connections refused: too many at once. If this is a reverse proxy, name it as a trusted one"
        );
    }
}

fn no_room() -> Response<Body> {
    let mut response = text(StatusCode::SERVICE_UNAVAILABLE, NO_ROOM);
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
    // A page of any origin may read why a node does not answer.
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

async fn answer(
    request: Request<Incoming>,
    server: Arc<Server>,
    (from, tls): (SocketAddr, bool),
    mut seat: Arc<Seat>,
) -> Result<Response<Body>, Infallible> {
    let mut client = client(from.ip(), &request, &server.site.trusted);
    client.tls |= tls;
    if is_trusted(from.ip(), &server.site.trusted) {
        // The connection is the proxy's; the request has a place of its own until it is answered, or its link ends.
        let Some(own) = Seat::of_request(&server.counts, client.ip) else {
            server.log_refusal(client.ip);
            return Ok(no_room());
        };
        seat = Arc::new(own);
    }
    let mut response = respond(request, &server, client, &seat).await;
    guard(response.headers_mut());
    Ok(response)
}

async fn respond(
    mut request: Request<Incoming>,
    server: &Server,
    client: Client,
    seat: &Arc<Seat>,
) -> Response<Body> {
    let site = &server.site;
    let path = site.path(request.uri().path()).to_owned();
    match path.as_str() {
        websocket::PATH if !server.may_begin(client.ip) => {
            server.log_refusal(client.ip);
            no_room()
        }
        websocket::PATH => upgrade(&mut request, client.ip, server.reports.clone(), seat.clone()),
        "/.well-known/peergraph" => description(request.method(), request.headers(), client, site),
        _ if !matches!(*request.method(), Method::GET | Method::HEAD) => {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD.\n");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            response
        }
        path => {
            let head = *request.method() == Method::HEAD;
            pages::answer(path, head, request.headers(), site).await
        }
    }
}

/// Headers that make every page safe by default: nothing from elsewhere, no inline script, no
/// framing. A page connects to any nodes that its user names or members tell, so connections to
/// every host are allowed.
fn guard(headers: &mut HeaderMap) {
    const POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; \
        connect-src 'self' ws: wss: http: https:; img-src 'self' data: blob:; style-src 'self'; \
        object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    // The page that opened this one keeps no handle on it.
    let opener = HeaderName::from_static("cross-origin-opener-policy");
    headers.insert(opener, HeaderValue::from_static("same-origin"));
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
    from: IpAddr,
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
        websocket::serve(stream, from, reports, seat.given_way()).await;
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
fn description(
    method: &Method,
    headers: &HeaderMap,
    client: Client,
    site: &Site,
) -> Response<Body> {
    if !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "Only GET.\n");
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let asker = Asker { host, here: is_here(client, host, site), tls: client.tls };
    let addresses: Vec<String> =
        site.addresses.told(asker).iter().map(|address| address.to_string()).collect();
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

/// Whether who asks is a program on this machine, as far as one can see: it came by a name of this machine, without a
/// proxy, and we know of no public way in that a proxy would lead to.
fn is_here(client: Client, host: Option<&str>, site: &Site) -> bool {
    let local = |text: &str| {
        let uri: Option<hyper::Uri> = text.parse().ok();
        let host = uri.as_ref().and_then(|uri| uri.host()).unwrap_or(text);
        let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
    };
    let public = site.addresses.public_url.as_ref().and_then(|url| url.host());
    client.ip.is_loopback() && !client.proxied && host.is_none_or(local) && public.is_none_or(local)
}

#[cfg(test)]
mod tests;
