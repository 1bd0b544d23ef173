//! A host without the feature `serve`: it dials others, and serves nothing.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::Uri;
use peergraph_core::id::PeerId;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::builder::StartError;
use crate::addresses::Addresses;
use crate::websocket::Report;

/// No settings.
#[derive(Clone, Debug, Default)]
pub(super) struct Served;

#[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the same as with the feature")]
impl Served {
    pub(super) fn check(&self) -> Result<(), StartError> {
        Ok(())
    }

    pub(super) fn public_url(&self) -> Result<Option<Uri>, StartError> {
        Ok(None)
    }

    pub(super) fn listen(&self, _: Option<&std::path::Path>) -> Result<Listening, StartError> {
        Ok(Listening)
    }
}

/// No port.
pub(super) struct Listening;

#[expect(clippy::unused_self, reason = "the same as with the feature")]
impl Listening {
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        Vec::new()
    }

    pub(super) fn tls(&self) -> Option<(String, std::path::PathBuf)> {
        None
    }

    pub(super) fn serve(
        self,
        _: (PeerId, Arc<Addresses>),
        _: mpsc::Sender<Report>,
    ) -> Option<JoinHandle<()>> {
        None
    }
}
