//! The pages and links that a host serves over HTTP: settings, and the port once it is open.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper::Uri;
use peergraph_core::id::PeerId;
use peergraph_core::node_url::NodeUrl;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::builder::{HostBuilder, StartError, check_few};
use crate::addresses::Addresses;
use crate::bind::{self, BINDS_MAX};
use crate::http::{self, Files, NETWORKS_MAX, Network, Site, Tls, Wanted};
use crate::rtc;
use crate::websocket::Report;

/// Where to serve what.
#[derive(Clone, Debug, Default)]
pub(super) struct Served {
    http: Vec<SocketAddr>,
    public_url: Option<String>,
    trusted: Vec<Network>,
    pages: Option<PathBuf>,
    package: Option<PathBuf>,
    tls: Option<Wanted>,
}

impl HostBuilder {
    /// Where to listen for HTTP: pages, the description of this node, WebSocket links. Not at all without it. May be
    /// called up to 4 times; `[::]` is understood as by [`udp`](HostBuilder::udp).
    #[must_use]
    pub fn http(mut self, address: SocketAddr) -> Self {
        self.served.http.push(address);
        self
    }

    /// How others reach the HTTP port, if that is not its own address (`https://node.example`). With a path
    /// (`https://node.example/chat/`) everything is found below that, whether or not the proxy takes it away.
    #[must_use]
    pub fn public_url(mut self, url: impl Into<String>) -> Self {
        self.served.public_url = Some(url.into());
        self
    }

    /// A reverse proxy before the HTTP port whose `X-Forwarded-For` or `Forwarded` names the
    /// client. Without it all clients behind one proxy count as one source of connections. May be
    /// called up to 64 times.
    #[must_use]
    pub fn trusted_proxy(mut self, network: Network) -> Self {
        self.served.trusted.push(network);
        self
    }

    /// A folder of pages to serve at `/`.
    #[must_use]
    pub fn pages(mut self, folder: impl Into<PathBuf>) -> Self {
        self.served.pages = Some(folder.into());
        self
    }

    /// Has the HTTP port speak TLS, with this certificate (and those of its authorities) and its private key, in PEM. Files
    /// that change are read again within some seconds.
    #[must_use]
    pub fn tls(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        let (certificate, key) = (certificate.into(), key.into());
        self.served.tls = Some(Wanted::Files(Files { certificate, key }));
        self
    }

    /// Has the HTTP port speak TLS with a certificate that it makes itself, for a local network: pages are then secure
    /// contexts on other machines too, once a person has compared the [fingerprint](super::Host::tls_fingerprint). It is kept
    /// in the data folder.
    #[must_use]
    pub fn tls_self_signed(mut self) -> Self {
        self.served.tls = Some(Wanted::Own);
        self
    }

    /// The folder of the npm package, to serve at `/peergraph/`.
    #[must_use]
    pub fn package(mut self, folder: impl Into<PathBuf>) -> Self {
        self.served.package = Some(folder.into());
        self
    }
}

impl Served {
    pub(super) fn check(&self) -> Result<(), StartError> {
        check_few("addresses for HTTP", self.http.len(), BINDS_MAX)?;
        check_few("trusted proxies", self.trusted.len(), NETWORKS_MAX)
    }

    pub(super) fn public_url(&self) -> Result<Option<Uri>, StartError> {
        let Some(text) = &self.public_url else { return Ok(None) };
        let wrong = || StartError::PublicUrl(text.clone());
        let url: NodeUrl = text.parse().map_err(|_| wrong())?;
        if !url.is_web() {
            return Err(wrong());
        }
        url.to_string().parse().map(Some).map_err(|_| wrong())
    }

    /// Opens the port. A certificate of our own is kept in `folder`.
    pub(super) fn listen(&self, folder: Option<&Path>) -> Result<Listening, StartError> {
        let listeners = bind::listen(&self.http).map_err(|failed| failed.into_start("TCP"))?;
        let tls = match &self.tls {
            None => None,
            Some(Wanted::Files(files)) => Some(Tls::open(files.clone())?),
            Some(Wanted::Own) => {
                let folder = folder.ok_or(StartError::NoPlaceForTls)?;
                let files =
                    Files { certificate: folder.join("tls.crt"), key: folder.join("tls.key") };
                let bound = self.http.iter().map(SocketAddr::ip);
                let all = self.http.iter().any(|it| it.ip().is_unspecified());
                let found = if all { rtc::interfaces() } else { Vec::new() };
                Some(Tls::own(files, &http::own_names(bound.chain(found)))?)
            }
        };
        Ok(Listening { listeners, served: self.clone(), tls })
    }
}

/// The open port, at which connections wait.
pub(super) struct Listening {
    listeners: Vec<TcpListener>,
    served: Served,
    tls: Option<Tls>,
}

impl Listening {
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// The fingerprint of the certificate that is shown, and its file.
    pub(super) fn tls(&self) -> Option<(String, PathBuf)> {
        let tls = self.tls.as_ref()?;
        Some((tls.fingerprint(), tls.certificate_file().to_owned()))
    }

    /// Serves connections, if there is a port, until the task is aborted.
    pub(super) fn serve(
        self,
        (peer, addresses): (PeerId, Arc<Addresses>),
        reports: mpsc::Sender<Report>,
    ) -> Option<JoinHandle<()>> {
        let (Served { trusted, pages, package, .. }, tls) = (self.served, self.tls);
        let site = Site { peer, addresses, trusted, pages, package, shelf: Arc::default(), tls };
        (!self.listeners.is_empty())
            .then(|| tokio::spawn(http::serve(self.listeners, site, reports)))
    }
}
