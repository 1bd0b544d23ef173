//! The pages and links that a host serves over HTTP: settings, and the port once it is open.

use std::net::SocketAddr;
use std::path::PathBuf;
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
use crate::http::{self, NETWORKS_MAX, Network, Site};
use crate::websocket::Report;

/// Where to serve what.
#[derive(Clone, Debug, Default)]
pub(super) struct Served {
    http: Vec<SocketAddr>,
    public_url: Option<String>,
    trusted: Vec<Network>,
    pages: Option<PathBuf>,
    package: Option<PathBuf>,
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

    /// Opens the port.
    pub(super) fn listen(&self) -> Result<Listening, StartError> {
        let listeners = bind::listen(&self.http).map_err(|failed| failed.into_start("TCP"))?;
        Ok(Listening { listeners, served: self.clone() })
    }
}

/// The open port, at which connections wait.
pub(super) struct Listening {
    listeners: Vec<TcpListener>,
    served: Served,
}

impl Listening {
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Serves connections, if there is a port, until the task is aborted.
    pub(super) fn serve(
        self,
        (peer, addresses): (PeerId, Arc<Addresses>),
        reports: mpsc::Sender<Report>,
    ) -> Option<JoinHandle<()>> {
        let Served { trusted, pages, package, .. } = self.served;
        let site = Site { peer, addresses, trusted, pages, package, shelf: Arc::default() };
        (!self.listeners.is_empty())
            .then(|| tokio::spawn(http::serve(self.listeners, site, reports)))
    }
}
