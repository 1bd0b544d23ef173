//! The settings of a host, and its start: everything that can fail is opened first, then its loop
//! runs on a thread.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};

use peergraph_core::address::Address;
use peergraph_core::id::{Fingerprint, PeerId};
use peergraph_core::identity::Identity;
use peergraph_core::io::StoreFault;
use peergraph_core::name::NameError;
use peergraph_core::node::{BadConfig, Config, Neighbours, Node};
use peergraph_core::node_url::NodeUrl;
use peergraph_core::provider::Provider;
use peergraph_core::record::RecordType;
use tokio::sync::{mpsc, oneshot, watch};

use super::driver::{Driver, Parts};
use super::served::{Listening, Served};
use super::{About, Host, Reached};
use crate::addresses::Addresses;
use crate::bind::{self, BINDS_MAX, BindError};
use crate::clock::{self, Ahead, Clock};
use crate::connect::Trust;
#[cfg(unix)]
use crate::control;
use crate::folder::{Folder, FolderError, Lock, Port};
use crate::requests::{REQUESTS_QUEUED_MAX, Requests};
use crate::rtc::{self, Engine};
use crate::secret;
use crate::storage::{OpenError, Place, Storage};
use crate::stun_url::StunUrl;
use crate::watch::Registry;
use crate::websocket;

/// Why a host did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The node cannot be as it is to be.
    #[error(transparent)]
    Config(#[from] BadConfig),
    /// The data folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The store in it.
    #[error("the store {path} cannot be opened: {error}")]
    Store {
        /// Which.
        path: String,
        /// Why.
        error: OpenError,
    },
    /// The store was opened, and then could not be read.
    #[error(
        "the store cannot be read: {0}; if it does not pass, restore it from a backup (`peergraph restore FILE`)"
    )]
    Read(StoreFault),
    /// A network address.
    #[error("cannot listen on {protocol} {address}: {error}{}", advice(.error))]
    Listen {
        /// `UDP` or `TCP`.
        protocol: &'static str,
        /// Which.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// The name for the new identity.
    #[error("{0}")]
    Name(NameError),
    /// More addresses to listen on, or trusted proxies, than there can be.
    #[error("too many {what}: at most {most}")]
    TooMany {
        /// Of which kind.
        what: &'static str,
        /// How many there can be.
        most: usize,
    },
    /// The public URL is not one.
    #[error("the public URL must be http://HOST… or https://HOST…, not {0}")]
    PublicUrl(String),
    /// Another program runs with this identity, and cannot be used.
    #[cfg(unix)]
    #[error("{folder}: {error}; stop that program, or use another data folder")]
    Shared {
        /// The data folder is in use, and by which process.
        folder: FolderError,
        /// Why that cannot be used.
        error: control::AttachError,
    },
    /// The certificate of the HTTP port.
    #[cfg(feature = "serve")]
    #[error("TLS: {0}")]
    Tls(#[from] crate::http::TlsError),
    /// A certificate of its own has to be kept somewhere.
    #[error("TLS: a certificate of this node's own needs a data folder to be kept in")]
    NoPlaceForTls,
    /// A file with the certificates of authorities to trust.
    #[error("trusting {path}: {error}")]
    Trust {
        /// Which.
        path: String,
        /// Why.
        error: String,
    },
    /// The operating system.
    #[error("{0}")]
    System(std::io::Error),
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the kinds of the standard library are many")]
fn advice(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::AddrInUse => "; another program uses this port: stop it, or take another port",
        ErrorKind::PermissionDenied => "; ports below 1024 need privileges: take a higher one",
        ErrorKind::AddrNotAvailable => "; this machine has no such address",
        _ => "",
    }
}

/// The settings of a host to be started. Begins with [`Host::builder`].
#[derive(Debug, Default)]
pub struct HostBuilder {
    name: Option<String>,
    folder: Option<PathBuf>,
    identity: Option<PeerId>,
    pub(super) nodes: Vec<NodeUrl>,
    udp: Vec<SocketAddr>,
    everywhere: bool,
    pub(super) served: Served,
    shared: bool,
    stun: Vec<StunUrl>,
    authorities: Vec<PathBuf>,
    config: Config,
    clock: Ahead,
}

impl HostBuilder {
    /// The friendly name of the identity, if one has to be made. `anonymous` if none is given.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Where identity and records are kept. Without it they are in memory, and gone with the host.
    #[must_use]
    pub fn data(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Has the wall clock of this host differ from that of the operating system: a seam for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn clock(mut self, ahead: Ahead) -> Self {
        self.clock = ahead;
        self
    }

    /// Which identity of the data folder to be; its default one if none is named.
    #[must_use]
    pub fn identity(mut self, peer: PeerId) -> Self {
        self.identity = Some(peer);
        self
    }

    /// A node through which members can be found. May be called several times. A node that cannot be reached is
    /// tried again; the start does not wait for it.
    #[must_use]
    pub fn node(mut self, url: NodeUrl) -> Self {
        self.nodes.push(url);
        self
    }

    /// A STUN server to ask for our addresses, besides the nodes that we reach, which are asked anyway. May be called several
    /// times; as many as the first two, in each family, are asked.
    #[must_use]
    pub fn stun_server(mut self, url: StunUrl) -> Self {
        self.stun.push(url);
        self
    }

    /// A PEM file with certificates of authorities, or of nodes themselves, that are trusted beside those of the system:
    /// for nodes at `https:` and `wss:`.
    #[must_use]
    pub fn tls_ca(mut self, file: impl Into<PathBuf>) -> Self {
        self.authorities.push(file.into());
        self
    }

    /// A type of records that a sync brings before the rest; several in the order in which they were named, at most
    /// [`PRIORITIES_MAX`](peergraph_core::limits::PRIORITIES_MAX).
    #[must_use]
    pub fn priority(mut self, kind: RecordType) -> Self {
        self.config.priorities.push(kind);
        self
    }

    /// How many neighbours to have in each group, instead of 3 to 7.
    #[must_use]
    pub fn neighbours(mut self, limits: Neighbours) -> Self {
        self.config.neighbours = limits;
        self
    }

    /// Where to listen for data channels, instead of on every interface. May be called up to 4 times. `[::]` takes
    /// both families, unless an IPv4 address with its port is named as well. Port 0 is the one of the last start, which a
    /// data folder keeps, or a free one.
    #[must_use]
    pub fn udp(mut self, address: SocketAddr) -> Self {
        self.udp.push(address);
        self
    }

    /// Listens for data channels on every interface, as by default, and means to stay: what an earlier start of the data
    /// folder was told by [`udp`](HostBuilder::udp) is forgotten. Without it that still says which addresses invitations
    /// name, since a short command makes them for the program that stays.
    #[must_use]
    pub fn udp_everywhere(mut self) -> Self {
        self.everywhere = true;
        self
    }

    /// Whether to help members of any group to find each other.
    #[must_use]
    pub fn rendezvous(mut self, serve: bool) -> Self {
        self.config.rendezvous = serve;
        self
    }

    /// Whether to carry sealed frames for two that no direct path joins, as by default: a rendezvous node for anybody, within
    /// a budget for each source, another for members of its groups.
    #[must_use]
    pub fn relay(mut self, serve: bool) -> Self {
        self.config.relay = serve;
        self
    }

    /// Whether only members that this node knows are told that it is in their group, and strangers that know the group's id,
    /// newcomers with an invitation among them, are not. At least one member of a group that newcomers reach must do without.
    #[must_use]
    pub fn members_only(mut self, only: bool) -> Self {
        self.config.members_only = only;
        self
    }

    /// Sets the security provider, which decides on trust in the place of our own
    /// [`Membership`](peergraph_core::provider::Membership). It is called on the thread of the
    /// host, in the midst of its work: it must be quick, and must not wait for the host.
    #[must_use]
    pub fn provider(mut self, provider: impl Provider + 'static) -> Self {
        self.config.provider = Arc::new(provider);
        self
    }

    /// If another program runs a host with this identity, uses that one instead of failing with
    /// [`FolderError::InUse`]: everything is done there, with its nodes, addresses and limits, and
    /// [`shutdown`](Host::shutdown) ends our use of it only. Nodes that are named here are named there too.
    /// [`Host::is_shared`] tells. Of [`Event::Record`](peergraph_core::io::Event::Record) those of groups are told that are
    /// watched. Unix only; elsewhere it does nothing.
    #[must_use]
    pub fn shared(mut self) -> Self {
        self.shared = true;
        self
    }

    /// Starts the host on a thread of its own. Done when its store is read.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running then.
    pub async fn start(self) -> Result<Host, StartError> {
        let (started, start) = oneshot::channel();
        let thread = std::thread::Builder::new().name("peergraph".to_owned());
        let spawned = thread.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(self.run(started)),
                Err(error) => drop(started.send(Err(StartError::System(error)))),
            }
        });
        spawned.map_err(StartError::System)?;
        let ended = || StartError::System(std::io::Error::other("the host ended while it started"));
        start.await.unwrap_or_else(|_| Err(ended()))
    }

    async fn run(self, started: oneshot::Sender<Result<Host, StartError>>) {
        #[cfg(unix)]
        if self.shared {
            return self.run_shared(started).await;
        }
        match self.open().await {
            Ok(opened) => opened.run(started).await,
            Err(error) => drop(started.send(Err(error))),
        }
    }

    /// Opens everything that can fail.
    pub(super) async fn open(&self) -> Result<Opened, StartError> {
        self.config.check()?;
        check_few("addresses for UDP", self.udp.len(), BINDS_MAX)?;
        self.served.check()?;
        let kept = self.kept()?;
        let (outcomes, outcome) = mpsc::unbounded_channel();
        let reply = move |done| drop(outcomes.send(done));
        let storage = Storage::open(kept.place.clone(), reply).map_err(|error| {
            let path = match &kept.place {
                Place::File(path) => path.display().to_string(),
                Place::Memory => "in memory".to_owned(),
                #[cfg(test)]
                Place::Faulty(_) => "of a test".to_owned(),
            };
            StartError::Store { path, error }
        })?;
        let public_url = self.served.public_url()?;
        let trust = Trust::with(&self.authorities).map_err(|(path, error)| StartError::Trust {
            path: path.display().to_string(),
            error: error.to_string(),
        })?;
        let own = kept.folder.as_ref().map(|it| it.identity_path(kept.identity.peer_id()));
        let listening = self.served.listen(own.as_deref())?;
        let http = listening.addresses();
        let port = kept.port.as_ref().map(|port| port.number);
        let engine = bind::engine(&self.udp, &kept.certificate, port, kept.lock.is_some());
        let engine = engine.await.map_err(|failed| failed.into_start("UDP"))?;
        let stays_at = self.keep_port(&kept, &engine)?;
        let addresses = Arc::new(Addresses {
            fingerprint: Fingerprint::from_bytes(engine.fingerprint()),
            bound: engine.bound_addrs(),
            http: http.clone(),
            public_url,
            tls: listening.tls().is_some(),
            local: RwLock::new(engine.local_addrs()),
        });
        let about = Arc::new(About {
            identity: kept.identity.clone(),
            document: kept.identity.public_document(),
            http,
            tls: listening.tls(),
            addresses: Reached::Here(addresses.clone()),
        });
        Ok(Opened {
            #[cfg(unix)]
            folder_of: kept.folder.as_ref().map(|it| it.identity_path(kept.identity.peer_id())),
            folder: kept.folder,
            identity: kept.identity,
            lock: kept.lock,
            storage,
            outcome,
            engine,
            listening,
            about,
            addresses,
            config: self.config.clone(),
            clock: self.clock.clone(),
            nodes: self.nodes.clone(),
            stun: self.stun.clone(),
            trust,
            stays_at,
        })
    }

    /// The parts that outlive the host: in the data folder, or nothing.
    fn kept(&self) -> Result<Kept, StartError> {
        let name = self.name.as_deref().unwrap_or("anonymous");
        let Some(root) = &self.folder else {
            let (mut secret, mut serial) = (zeroize::Zeroizing::new([0; 32]), [0; 16]);
            secret::fill(secret.as_mut());
            secret::fill(&mut serial);
            let identity = Identity::generate(secret, serial, name, clock::wall());
            let certificate = rtc::Certificate::generate();
            let system = |error: rtc::CertificateError| {
                StartError::System(std::io::Error::other(error.to_string()))
            };
            return Ok(Kept {
                identity: identity.map_err(StartError::Name)?,
                certificate: certificate.map_err(system)?,
                place: Place::Memory,
                folder: None,
                port: None,
                lock: None,
            });
        };
        let (folder, peer) = self.place_in(root)?;
        let identity = folder.identity(peer)?;
        let lock = folder.lock(peer)?;
        folder.close_to_others(peer)?;
        let certificate = folder.link_certificate(peer)?;
        let place = Place::File(folder.store_path(peer));
        let port = folder.port(peer)?;
        let folder = Some(folder);
        Ok(Kept { identity, certificate, place, folder, port, lock: Some(lock) })
    }

    /// The data folder, and which identity of it to be.
    fn place_in(&self, root: &std::path::Path) -> Result<(Folder, PeerId), FolderError> {
        let folder = Folder::open(root)?;
        let peer = match self.identity {
            Some(peer) => peer,
            None => folder.default_or_new(self.name.as_deref().unwrap_or("anonymous"))?.0,
        };
        Ok((folder, peer))
    }

    /// The same for a host that is in use, and so has a folder.
    #[cfg(unix)]
    pub(super) fn place(&self) -> Result<(Folder, PeerId), FolderError> {
        self.place_in(self.folder.as_deref().unwrap_or_else(|| std::path::Path::new("")))
    }

    /// Keeps the UDP port for later starts, since invitations and other members' memory name it;
    /// and the addresses, if this start was told where to listen. Returns where the program that
    /// stays with this data folder can be dialled, if that is another one, which was told so.
    fn keep_port(&self, kept: &Kept, engine: &Engine) -> Result<Vec<Address>, StartError> {
        let Some(number) = engine.bound_addrs().first().map(SocketAddr::port) else {
            return Ok(Vec::new());
        };
        let ips = match (&kept.port, self.udp.as_slice()) {
            (Some(port), []) if !self.everywhere => port.ips.clone(),
            (_, named) if named.iter().any(|it| it.ip().is_unspecified()) => Vec::new(),
            (_, named) => named.iter().map(SocketAddr::ip).collect(),
        };
        let port = Port { number, ips };
        if let Some(folder) = &kept.folder
            && kept.port.as_ref() != Some(&port)
        {
            folder.keep_port(kept.identity.peer_id(), &port)?;
        }
        if !self.udp.is_empty() {
            return Ok(Vec::new());
        }
        let fingerprint = Fingerprint::from_bytes(engine.fingerprint());
        let address = |ip| Address::Rtc { socket: SocketAddr::new(ip, number), fingerprint };
        let elsewhere = port.ips.iter().any(|ip| !ip.is_loopback());
        let told = port.ips.iter().copied().filter(|ip| !(elsewhere && ip.is_loopback()));
        Ok(told.map(address).collect())
    }
}

struct Kept {
    identity: Identity,
    certificate: rtc::Certificate,
    place: Place,
    folder: Option<Folder>,
    /// Where the last start listened.
    port: Option<Port>,
    lock: Option<Lock>,
}

pub(super) struct Opened {
    folder: Option<Folder>,
    /// Of the identity.
    #[cfg(unix)]
    folder_of: Option<PathBuf>,
    identity: Identity,
    lock: Option<Lock>,
    storage: Storage,
    outcome: mpsc::UnboundedReceiver<crate::storage::Outcome>,
    engine: Engine,
    listening: Listening,
    about: Arc<About>,
    addresses: Arc<Addresses>,
    config: Config,
    clock: Ahead,
    nodes: Vec<NodeUrl>,
    stun: Vec<StunUrl>,
    trust: Trust,
    /// See [`HostBuilder::keep_port`].
    stays_at: Vec<Address>,
}

impl Opened {
    pub(super) async fn run(self, started: oneshot::Sender<Result<Host, StartError>>) {
        let mut seed = zeroize::Zeroizing::new([0; 32]);
        secret::fill(seed.as_mut());
        let mut clock = Clock::start(self.clock);
        let node = Node::new(self.config, self.identity, &seed, clock.now());
        drop(seed);
        let (ask, requests) = mpsc::channel(REQUESTS_QUEUED_MAX);
        let (report, reports) = mpsc::channel(websocket::REPORTS_MAX);
        let (opened, open) = oneshot::channel();
        let (running, stopped) = watch::channel(());
        let registry = Arc::new(Registry::new(&self.nodes, self.stays_at));
        let host = Host {
            requests: Requests::new(ask.clone(), stopped),
            registry: registry.clone(),
            about: self.about.clone(),
        };
        let site = (self.about.identity.peer_id(), self.addresses.clone());
        let serving = self.listening.serve(site, report.clone());
        drop(ask);
        let driver = Driver::new(Parts {
            node,
            clock,
            engine: self.engine,
            storage: self.storage,
            outcomes: self.outcome,
            requests,
            reports,
            report,
            registry,
            addresses: self.addresses.clone(),
            folder: self.folder,
            stun: self.stun,
            trust: self.trust,
            opened,
        });
        #[cfg(unix)]
        let control = {
            let (requests, registry) = (host.requests.weak(), host.registry.clone());
            let port = control::Port { requests, registry, addresses: self.addresses };
            self.folder_of.as_deref().and_then(listen).map(|it| (it, port))
        };
        let telling = tokio::spawn(async move {
            match open.await {
                Ok(Ok(())) => {
                    let _ = started.send(Ok(host));
                    // Others use it only once it can answer.
                    #[cfg(unix)]
                    let sharing = control
                        .map(|(listening, port)| tokio::spawn(control::serve(listening, port)));
                    #[cfg(not(unix))]
                    let sharing = None;
                    (None, sharing)
                }
                Ok(Err(fault)) => (Some((started, fault)), None),
                Err(_) => (None, None),
            }
        });
        driver.run(self.nodes).await;
        let (refused, sharing) = telling.await.unwrap_or_default();
        if let Some(sharing) = sharing {
            // Its socket goes before the lock does.
            sharing.abort();
            let _ = sharing.await;
        }
        if let Some(serving) = serving {
            serving.abort();
        }
        // Last: only now may another process take over.
        drop(self.lock);
        drop(running);
        if let Some((started, fault)) = refused {
            // Nothing is left running by now, as `start` promises.
            let _ = started.send(Err(StartError::Read(fault)));
        }
    }
}

/// Listens for other programs with this data folder.
#[cfg(unix)]
fn listen(folder: &std::path::Path) -> Option<control::Listening> {
    let listening = control::Listening::open(folder);
    if let Err(error) = &listening {
        tracing::warn!(%error, "other programs cannot use this one: no socket in {}", folder.display());
    }
    listening.ok()
}

/// Refuses more of something than there can be.
pub(super) fn check_few(what: &'static str, count: usize, most: usize) -> Result<(), StartError> {
    if count > most { Err(StartError::TooMany { what, most }) } else { Ok(()) }
}

impl BindError {
    pub(super) fn into_start(self, protocol: &'static str) -> StartError {
        StartError::Listen { protocol, address: self.address, error: self.error }
    }
}
