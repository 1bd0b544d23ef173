//! A host that another program runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use super::builder::{HostBuilder, StartError};
use super::{About, Host, Reached};
use crate::control::{self, AttachError, Attached};
use crate::folder::FolderError;
use crate::requests::{REQUESTS_QUEUED_MAX, Requests};
use crate::watch::Registry;
use peergraph_core::identity::Identity;

/// How long a program that has the folder may take to begin, or to end. Guess: its store may be large.
const ATTACH_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is tried. Guess.
const ATTACH_EVERY: Duration = Duration::from_millis(50);

type Started = oneshot::Sender<Result<Host, StartError>>;

impl HostBuilder {
    /// Starts the host, or uses one that runs: whichever comes first.
    pub(super) async fn run_shared(self, started: Started) {
        let deadline = Instant::now() + ATTACH_TIMEOUT;
        loop {
            let in_use = match self.open().await {
                Ok(opened) => return opened.run(started).await,
                Err(StartError::Folder(folder @ FolderError::InUse { .. })) => folder,
                Err(error) => return drop(started.send(Err(error))),
            };
            let error = match self.attach().await {
                Ok(Ok((attached, identity))) => {
                    return self.run_attached(attached, identity, started).await;
                }
                Ok(Err(error)) => error,
                Err(error) => return drop(started.send(Err(error.into()))),
            };
            // It may have begun a moment ago, or be about to end.
            let passing = matches!(error, AttachError::Io(_));
            if !passing || Instant::now() >= deadline {
                let error = StartError::Shared { folder: in_use, error };
                return drop(started.send(Err(error)));
            }
            tokio::time::sleep(ATTACH_EVERY).await;
        }
    }

    async fn attach(&self) -> Result<Result<(Attached, Identity), AttachError>, FolderError> {
        let (folder, peer) = self.place()?;
        match control::attach(&folder.identity_path(peer)).await {
            Ok(attached) => Ok(Ok((attached, folder.identity(peer)?))),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn run_attached(self, attached: Attached, identity: Identity, started: Started) {
        let (ask, requests) = mpsc::channel(REQUESTS_QUEUED_MAX);
        let (running, stopped) = watch::channel(());
        let registry = Arc::new(Registry::knowing(attached.nodes.clone(), Vec::new()));
        let about = About {
            document: identity.public_document(),
            identity,
            http: attached.http.clone(),
            tls: None,
            addresses: Reached::Elsewhere(attached.addresses.clone()),
        };
        let host = Host {
            requests: Requests::new(ask, stopped).elsewhere(),
            registry: registry.clone(),
            about: Arc::new(about),
        };
        let named = self.nodes;
        let telling = tokio::spawn(async move {
            for node in named {
                // That the program has ended shows at the next request.
                let known = host.nodes().iter().any(|(url, _)| *url == node);
                if !known && host.connect(node).await.is_err() {
                    break;
                }
            }
            let _ = started.send(Ok(host));
        });
        attached.run(requests, registry).await;
        telling.abort();
        drop(running);
    }
}
