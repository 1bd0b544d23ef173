//! Outgoing byte streams: TCP, with TLS if the URL asks for it. Under WebSockets and the lookup of nodes.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use hyper::Uri;
use peergraph_core::io::{LinkFault, LookupFault};
use peergraph_core::place::Places;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error, RootCertStore};

/// Time for name lookup, TCP and TLS together. Guess: half of what the node gives a link.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Addresses of one name that are tried. Guess.
const ADDRESSES_MAX: usize = 8;
/// Troubles that people were told of. Guess: all nodes that an application names.
const TOLD_MAX: usize = 64;
/// From one attempt to the next, while none has failed. Source: RFC 8305.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// A byte stream of either kind.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Why no stream could be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("the URL needs the form SCHEME://HOST[:PORT]/PATH with http, https, ws or wss")]
    Url,
    #[error("no connection to {host}:{port}: {error}")]
    Tcp { host: String, port: u16, error: io::Error },
    #[error("no connection to {host}:{port} within {} s", CONNECT_TIMEOUT.as_secs())]
    Timeout { host: String, port: u16 },
    #[error(
        "{host} is on this machine or in the local network, where only you may send this program; \
         if you trust it, name this node yourself"
    )]
    Forbidden { host: String },
    #[error("no TLS connection to {host}: {error}")]
    Tls { host: String, error: String },
}

impl ConnectError {
    /// The same in few words, for the node.
    pub(crate) fn fault(&self) -> LinkFault {
        match self {
            Self::Tcp { error, .. } if error.kind() == io::ErrorKind::ConnectionRefused => {
                LinkFault::Refused
            }
            Self::Tcp { error, .. } if error.kind() == io::ErrorKind::TimedOut => LinkFault::Silent,
            // Names that there are not, networks and hosts that are not reached.
            Self::Tcp { .. } => LinkFault::Unreachable,
            Self::Forbidden { .. } => LinkFault::Unreachable,
            Self::Timeout { .. } => LinkFault::Silent,
            Self::Tls { .. } => LinkFault::Rejected,
            Self::Url => LinkFault::Unknown,
        }
    }

    /// The same for a look-up.
    pub(crate) fn lookup_fault(&self) -> LookupFault {
        match self {
            Self::Forbidden { .. } => LookupFault::Forbidden,
            Self::Timeout { .. } => LookupFault::Timeout,
            Self::Url | Self::Tcp { .. } | Self::Tls { .. } => LookupFault::Unreachable,
        }
    }
}

/// The authorities whose certificates are believed: those of the system (`SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured),
/// which are read once when they are needed, and those of the application.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust(Arc<Authorities>);

#[derive(Debug, Default)]
struct Authorities {
    own: Vec<CertificateDer<'static>>,
    /// Troubles that people were told of, so that each is told once.
    told: Mutex<BTreeSet<String>>,
    config: OnceLock<Result<Arc<ClientConfig>, String>>,
}

/// Why the certificates of an authority cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustError {
    #[error("cannot read it: {0}")]
    Read(io::Error),
    #[error(
        "it holds no certificate in PEM; it is the file that begins with -----BEGIN CERTIFICATE-----"
    )]
    NoCertificate,
}

impl Trust {
    /// Believes also what is in these files.
    pub(crate) fn with(files: &[PathBuf]) -> Result<Self, (PathBuf, TrustError)> {
        let mut own = Vec::new();
        for file in files {
            let failed = |error| (file.clone(), error);
            let bytes = std::fs::read(file).map_err(|error| failed(TrustError::Read(error)))?;
            let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
            let found = found.ok().filter(|found| !found.is_empty());
            own.extend(found.ok_or_else(|| failed(TrustError::NoCertificate))?);
        }
        Ok(Self(Arc::new(Authorities { own, ..Authorities::default() })))
    }

    /// Whether people were not told this yet.
    pub(crate) fn is_news(&self, words: &str) -> bool {
        let mut told = self.0.told.lock().expect("no panic under this lock");
        if told.len() >= TOLD_MAX {
            told.pop_first();
        }
        told.insert(words.to_owned())
    }

    fn config(&self) -> Result<Arc<ClientConfig>, String> {
        self.0.config.get_or_init(|| tls_config(&self.0.own)).clone()
    }
}

/// Why TLS does not come about, and what to do.
#[expect(clippy::wildcard_enum_match_arm, reason = "the reasons of the library are many")]
fn tls_words(error: &io::Error, host: &str) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        Some(Error::InvalidCertificate(certificate)) => match certificate {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired; its operator has to renew it, unless the clock of this device is wrong"
                    .to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet; set the clock of this device".to_owned()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!(
                    "its certificate is for other names than {host}; use a name that it is for, or somebody stands between"
                )
            }
            CertificateError::UnknownIssuer => {
                "its certificate is signed by nobody whom this system trusts; if you trust it, name the certificate of its \
                 authority, or its own, with --tls-ca FILE"
                    .to_owned()
            }
            other if other.to_string().contains("CaUsedAsEndEntity") => {
                "its certificate is that of an authority, which is none for a node; make one without CA:TRUE".to_owned()
            }
            other => format!("its certificate is refused: {other}"),
        },
        Some(Error::InvalidMessage(_)) => {
            "what answers there does not speak TLS; is it http:// or ws://?".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Opens a stream to the host of `url`, if it is at one of `places`; with TLS for `https:` and
/// `wss:`.
pub(crate) async fn connect(
    url: &Uri,
    places: Places,
    trust: &Trust,
) -> Result<Box<dyn Stream>, ConnectError> {
    let (host, port, tls) = target(url).ok_or(ConnectError::Url)?;
    let opened = async {
        let failed = |error| ConnectError::Tcp { host: host.clone(), port, error };
        let found = tokio::net::lookup_host((host.as_str(), port)).await.map_err(failed)?;
        let (held, forbidden): (Vec<_>, Vec<_>) = found.partition(|found| places.hold(found.ip()));
        if held.is_empty() && !forbidden.is_empty() {
            return Err(ConnectError::Forbidden { host: host.clone() });
        }
        let tcp = tcp(held).await.map_err(failed)?;
        // Frames are whole messages: waiting for more of them only delays.
        let _ = tcp.set_nodelay(true);
        if !tls {
            return Ok(Box::new(tcp) as Box<dyn Stream>);
        }
        let failed = |error: String| ConnectError::Tls { host: host.clone(), error };
        let name = ServerName::try_from(host.clone()).map_err(|error| failed(error.to_string()))?;
        let connector = TlsConnector::from(trust.config().map_err(failed)?);
        let stream = connector.connect(name, tcp).await;
        Ok(Box::new(stream.map_err(|error| failed(tls_words(&error, &host)))?) as Box<dyn Stream>)
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, opened).await {
        Ok(result) => result,
        Err(_) => Err(ConnectError::Timeout { host: host.clone(), port }),
    }
}

/// Connects to the first address of a name that answers: the next one is tried beside those that hang.
async fn tcp(found: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut left = alternating(found).into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        if let Some(next) = left.next() {
            attempts.push(TcpStream::connect(next));
        }
        let more = left.len() > 0;
        tokio::select! {
            done = attempts.next() => match done {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => last = error,
                None => return Err(last),
            },
            () = tokio::time::sleep(ATTEMPT_DELAY), if more => {}
        }
    }
}

/// The families in turn, beginning with that of the first.
fn alternating(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first = found.first().is_some_and(SocketAddr::is_ipv4);
    let (a, b): (Vec<_>, Vec<_>) = found.into_iter().partition(|it| it.is_ipv4() == first);
    let (mut a, mut b) = (a.into_iter(), b.into_iter());
    let mut all = Vec::new();
    while all.len() < ADDRESSES_MAX && (a.len() > 0 || b.len() > 0) {
        all.extend(a.next());
        all.extend(b.next());
    }
    all
}

/// Host without brackets, port, whether TLS.
fn target(url: &Uri) -> Option<(String, u16, bool)> {
    let (tls, default) = match url.scheme_str()? {
        "http" | "ws" => (false, 80),
        "https" | "wss" => (true, 443),
        _ => return None,
    };
    // A port that there is not is none to `Uri`, and must not become the usual one.
    if url.port().is_none() && url.authority()?.as_str().rsplit(']').next()?.contains(':') {
        return None;
    }
    let host = url.host()?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Some((host.to_owned(), url.port_u16().unwrap_or(default), tls))
}

fn tls_config(own: &[CertificateDer<'static>]) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs().certs;
    let (added, _) = roots.add_parsable_certificates(system.into_iter().chain(own.iter().cloned()));
    if added == 0 {
        return Err("the system has no CA certificates; install them (package ca-certificates), set SSL_CERT_FILE, or use \
                    --tls-ca FILE"
            .to_owned());
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_of_a_url_has_host_port_and_tls() {
        let target = |text: &str| target(&text.parse().expect("a URL"));
        assert_eq!(target("http://a.example/x"), Some(("a.example".into(), 80, false)));
        assert_eq!(target("wss://a.example"), Some(("a.example".into(), 443, true)));
        assert_eq!(target("ws://[::1]:9/link"), Some(("::1".into(), 9, false)));
        assert_eq!(target("ftp://a.example"), None);
        assert_eq!(target("ws://[::1]"), Some(("::1".into(), 80, false)));
        for port in ["http://127.0.0.1:99999/", "ws://[::1]:99999/link"] {
            assert_eq!(target(port), None, "{port}");
        }
    }

    #[test]
    fn families_of_a_name_are_tried_in_turn() {
        let all = ["[::1]:1", "[::2]:1", "127.0.0.1:1", "127.0.0.2:1"];
        let all = all.iter().map(|it| it.parse().expect("an address")).collect();
        let order: Vec<String> = alternating(all).iter().map(ToString::to_string).collect();
        assert_eq!(order, ["[::1]:1", "127.0.0.1:1", "[::2]:1", "127.0.0.2:1"]);
    }

    async fn reach(url: &str, places: Places) -> Result<(), ConnectError> {
        connect(&url.parse().expect("a URL"), places, &Trust::default()).await.map(drop)
    }

    #[tokio::test]
    async fn name_without_anybody_at_its_first_addresses_is_reached_at_the_last() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let at = listener.local_addr().expect("bound");
        // `localhost` is `::1` first if there is IPv6, and nobody listens there.
        let url = format!("ws://localhost:{}/link", at.port());
        reach(&url, Places::ALL).await.expect("connected");
        drop(listener);
        assert!(reach(&format!("ws://{at}/link"), Places::ALL).await.is_err());
    }

    /// A name can resolve to this machine, whatever it looks like.
    #[tokio::test]
    async fn name_of_a_place_where_it_must_not_lead_is_not_dialled() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let port = listener.local_addr().expect("bound").port();
        for host in ["localhost", "127.0.0.1", "0.0.0.0"] {
            let reached = reach(&format!("ws://{host}:{port}/link"), Places::PUBLIC).await;
            assert!(matches!(reached, Err(ConnectError::Forbidden { .. })), "{host}: {reached:?}");
        }
        let accepted = tokio::time::timeout(Duration::from_millis(200), listener.accept()).await;
        assert!(accepted.is_err(), "nobody came");
    }
}
