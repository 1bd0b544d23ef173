//! WebRTC links: data channels to browsers and native nodes, over one UDP port.
//!
//! An [`Engine`] owns the sockets and every link on them. It is driven from one task: await
//! [`Engine::turn`], take everything that [`Engine::poll`] has, call what follows from it, and
//! again. Nothing is sent or received outside `turn`; no other method waits.
//!
//! ```text
//!   turn ──► datagrams ──► which link? ──► stack ──► events, messages ──► poll
//!              ▲            by address      │
//!              │            by ufrag        ▼
//!            socket ◄──── GSO batches ◄── packets
//! ```
//!
//! The WebRTC stack is the sans-IO crate `rtc`, one peer connection a link (`link.rs`); datagrams
//! are batched both ways (`socket.rs`), turn by turn (`turn.rs`). A link is one ordered, reliable channel. It comes to be in
//! one of two ways:
//!
//! * **direct**: the dialler knows address and certificate fingerprint. There is no signalling: it
//!   invents the node's username fragment, and puts its own ICE password into it
//!   (`"d1/" ‖ password ‖ random`), so that the node can answer the first packet that it ever sees.
//!   The node checks that packet's integrity, the caps and the budget of its source
//!   (`budget.rs`) before it allocates anything. Dialler pins node; node learns who dialled from
//!   the layer above, which binds both fingerprints of [`Happened::Open`];
//! * **signalled**: offer and answer travel by other means, as the JSON that browsers use
//!   (`signal.rs`). The addresses of our interfaces are in our descriptions; those that STUN servers see follow as
//!   candidates (`reflexive.rs`), so that two ends behind routers meet.
//!
//! Links are told apart by remote address. So there is **one open link per pair of local socket and
//! remote address** (`place.rs`): another one replaces it once it is open itself, which takes the
//! program at that address. We do not dial an address that was heard in the last 4 seconds. When
//! two nodes dial each other at once, one of the two links stays.
//!
//! Everything is bounded: links by [`Config::links_max`], those of strangers that are not open by
//! [`Config::half_open`], messages in a turn, bytes to send by [`OUTSTANDING_BYTES_MAX`], bytes
//! received of a paused link by its window and 256 messages; the windows of links that others began by
//! [`Config::large_windows`] and the number of links (`window.rs`).

pub(crate) mod budget;
mod certificate;
mod demux;
mod guarded;
mod hello;
mod link;
mod local;
mod place;
mod reflexive;
mod signal;
mod socket;
mod stun;
mod turn;
mod window;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use peergraph_core::limits::HALF_OPEN_STRANGERS;
use peergraph_core::share::{Crowd, Pool};
use peergraph_core::source::Source;
use rtc::crypto::RTCCryptoProvider;

pub use self::budget::Allowance;
pub use self::certificate::{Certificate, CertificateError};
pub(crate) use self::local::{interfaces, routed};
pub use self::signal::{SIGNAL_BYTES_MAX, SignalError};

use self::budget::Budget;
use self::certificate::crypto;
use self::link::{Credentials, Link, Origin};
use self::place::{Pair, Place};
use self::reflexive::Reflexive;
use self::signal::{Description, PASSWORD_CHARS, Signal};
use self::socket::{Inbox, Port};
use self::window::{Holder, Windows};

/// Longest message. Bytes. Ours: a 16 KiB frame and what seals it. The stack keeps one buffer of
/// this size a link (measured: 64 KiB here cost 48 KB more a link and gained no speed).
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024 + 256;
/// Most bytes of one link accepted and not yet acknowledged; [`Engine::send`] says no beyond.
pub const OUTSTANDING_BYTES_MAX: usize = 1024 * 1024;
/// [`Happened::Buffered`] tells when a link's outstanding bytes have fallen to this.
pub const BUFFERED_BYTES_LOW: usize = 64 * 1024;

/// Most sockets of one engine. Ours: a few interfaces of both families.
const PORTS_MAX: usize = 8;
/// Most local addresses offered to another end.
const LOCALS_MAX: usize = 16;
/// Remote addresses remembered for one link: of a NAT that maps anew, of several interfaces.
const ADDRESSES_MAX: usize = 32;
/// A link of one engine. Never used again within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RtcId(u64);

/// The configuration of an engine.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where to listen, at most 8. Wildcards are fine; an IPv6 one does not include IPv4.
    pub bind: Vec<SocketAddr>,
    /// The DTLS certificate of all links.
    pub certificate: Certificate,
    /// Most links at once; beyond, dials fail and strangers are ignored.
    pub links_max: usize,
    /// Strangers' links at once that are not open, and those of one source. The oldest of the source that has most gives
    /// way.
    pub half_open: Pool,
    /// Whether strangers may dial us directly.
    pub accept_direct: bool,
    /// Whether whoever asks by STUN is told its address.
    pub answers_stun: bool,
    /// How often one source may dial us directly.
    pub allowance: Allowance,
    /// SCTP's receive window of a link. Bytes.
    pub receive_window_bytes: u32,
    /// Bytes of such windows for links that others began, and for those from one source. Further ones have a window of
    /// 256 KiB.
    pub large_windows: Pool,
}

impl Config {
    /// The measured settings: 4 MiB windows, 64 of them for links that others began, 512 half-open
    /// links, and at most 4,096 links (about 400 MB of memory when idle).
    #[must_use]
    pub fn new(bind: Vec<SocketAddr>, certificate: Certificate) -> Self {
        Self {
            bind,
            certificate,
            links_max: 4096,
            half_open: HALF_OPEN_STRANGERS,
            accept_direct: true,
            answers_stun: true,
            allowance: Allowance::default(),
            receive_window_bytes: 4 * 1024 * 1024,
            large_windows: Pool::of(256 * 1024 * 1024, 32 * 1024 * 1024),
        }
    }
}

/// Something that happened to a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// A stranger's direct dial became open; its `Open` follows.
    Incoming {
        /// Its link.
        link: RtcId,
        /// Where it comes from.
        from: SocketAddr,
    },
    /// The link carries messages.
    Open {
        /// Which.
        link: RtcId,
        /// SHA-256 of our DTLS certificate.
        ours: [u8; 32],
        /// SHA-256 of the certificate that the other end showed in the handshake.
        theirs: [u8; 32],
    },
    /// A message arrived.
    Message {
        /// On which link.
        link: RtcId,
        /// At most [`MESSAGE_BYTES_MAX`].
        bytes: Bytes,
    },
    /// How much was sent and not yet acknowledged: in the turn after a send, and when it has
    /// fallen to [`BUFFERED_BYTES_LOW`].
    Buffered {
        /// Of which link.
        link: RtcId,
        /// How many.
        bytes: usize,
    },
    /// A description to carry to the other end.
    Signal {
        /// Of which link.
        link: RtcId,
        /// At most a few KB.
        json: String,
    },
    /// Nothing was heard from the other end for 5 seconds, or for 1.5 seconds in which it owed us an answer. It may come back.
    Quiet {
        /// Of which link.
        link: RtcId,
    },
    /// The link is no more: closed by the other end, dead, refused, or never opened. A link that
    /// we closed ourselves is not reported.
    Gone {
        /// Which.
        link: RtcId,
        /// Whether its other end has ever answered.
        answered: bool,
    },
}

/// Why no link was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// As many links as [`Config::links_max`].
    #[error("too many links")]
    TooManyLinks,
    /// Another link to this address is alive.
    #[error("a link to this address exists")]
    Busy,
    /// No socket of ours can reach this address.
    #[error("no route to this address")]
    NoRoute,
    /// The WebRTC stack refused.
    #[error("the link could not be made")]
    Failed,
}

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Datagrams received.
    pub received: u64,
    /// Datagrams sent.
    pub sent: u64,
    /// System calls that sent them.
    pub sends: u64,
    /// Datagrams that the system would not take.
    pub dropped: u64,
    /// Datagrams that belong to no link.
    pub unknown: u64,
    /// Requests with a wrong or without integrity.
    pub forged: u64,
    /// Strangers who were told their addresses.
    pub reflected: u64,
    /// Requests ignored: caps, budget, or an address that another link has.
    pub refused: u64,
    /// Receive calls that the system failed.
    pub failures: u64,
}

/// All links over one UDP port (or a few).
pub struct Engine {
    config: Config,
    crypto: Arc<dyn RTCCryptoProvider>,
    fingerprint: [u8; 32],
    ports: Vec<Port>,
    inbox: Inbox,
    links: BTreeMap<RtcId, Box<Link>>,
    next: u64,
    /// Looked up for each datagram, never iterated.
    places: HashMap<Pair, Place>,
    by_ufrag: BTreeMap<String, RtcId>,
    timers: BTreeSet<(Instant, RtcId)>,
    dirty: VecDeque<RtcId>,
    half_open: Crowd<Source, RtcId>,
    windows: Windows,
    budget: Budget,
    reflexive: Reflexive,
    /// Of those who ask for their addresses.
    asks: Budget,
    /// The socket whose buffer is full.
    full: Option<usize>,
    happened: VecDeque<Happened>,
    stats: Stats,
}

impl Engine {
    /// Opens the sockets. Must be called within a tokio runtime with I/O and time.
    ///
    /// # Errors
    /// Of the system, such as a port in use; `InvalidInput` without or with too many addresses.
    #[expect(
        clippy::unused_async,
        reason = "keeps callers inside the runtime that the sockets need"
    )]
    pub async fn bind(config: Config) -> io::Result<Self> {
        if config.bind.is_empty() || config.bind.len() > PORTS_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let ports: io::Result<_> = config.bind.iter().map(|address| Port::bind(*address)).collect();
        Ok(Self {
            crypto: crypto(),
            fingerprint: config.certificate.fingerprint(),
            ports: ports?,
            inbox: Inbox::new(),
            links: BTreeMap::new(),
            next: 1,
            places: HashMap::new(),
            by_ufrag: BTreeMap::new(),
            timers: BTreeSet::new(),
            dirty: VecDeque::new(),
            half_open: Crowd::new(config.half_open),
            windows: Windows::new(config.receive_window_bytes, config.large_windows),
            budget: Budget::new(config.allowance),
            reflexive: Reflexive::default(),
            asks: Budget::new(reflexive::ASKED),
            full: None,
            happened: VecDeque::new(),
            stats: Stats::default(),
            config,
        })
    }

    /// The addresses where other hosts may reach us, best first: for a wildcard those of the interfaces that are up,
    /// public ones before private ones, and loopback only when there is no other. At most 16.
    #[must_use]
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        let interfaces = interfaces();
        let all = self.ports.iter().flat_map(|port| port.addresses(&interfaces)).collect();
        let mut addresses = local::best(all, &routed());
        addresses.truncate(LOCALS_MAX);
        addresses
    }

    /// The addresses that the sockets are bound to, with their ports.
    #[must_use]
    pub fn bound_addrs(&self) -> Vec<SocketAddr> {
        self.ports.iter().map(Port::bound).collect()
    }

    /// SHA-256 of our DTLS certificate: what direct diallers pin.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// Number of links, those that are not open yet included.
    #[must_use]
    pub fn links(&self) -> usize {
        self.links.len()
    }

    /// Counters since the start.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Dials a node of which address and certificate fingerprint are known. `Open` or `Gone`
    /// follows, the latter within 20 seconds.
    ///
    /// # Errors
    /// [`DialError::Busy`] while another link to that address was heard in the last 4 seconds or
    /// is being dialled.
    pub fn dial(&mut self, to: SocketAddr, fingerprint: [u8; 32]) -> Result<RtcId, DialError> {
        let now = Instant::now();
        if !signal::is_usable(to) {
            return Err(DialError::NoRoute);
        }
        let route = |(index, port): (usize, &Port)| Some((index, port.route(to)?));
        let found = self.ports.iter().enumerate().find_map(route);
        let (port, local) = found.ok_or(DialError::NoRoute)?;
        let owner = self.owner((port, to)).and_then(|id| self.links.get(&id));
        let lives = |it: &Link| it.open && it.is_heard(now) && !it.is_stale();
        if owner.is_some_and(|it| it.is_dialling() || lives(it)) {
            return Err(DialError::Busy);
        }
        let credentials = credentials();
        let fragment = signal::direct_fragment(&credentials.password, &random_hex(16));
        let id = self.begin(Origin::Dialled, None, credentials, &[local], now)?;
        let link = self.links.get_mut(&id).expect("just begun");
        let answer = Description::of_node(to, fingerprint, &fragment);
        if link.offer(now).is_none() || link.take_answer(&answer, now).is_err() {
            self.remove(id);
            return Err(DialError::Failed);
        }
        self.enter(id, (port, to));
        Ok(id)
    }

    /// The network of this machine has changed: what was heard before does not show that a link carries, so that others may
    /// be begun to the same address, and our addresses are asked for anew.
    pub fn paths_changed(&mut self) {
        let now = Instant::now();
        for link in self.links.values_mut() {
            link.doubt(now);
        }
        self.reflexive.forget();
        self.gather(now);
    }

    /// Begins a link by signalling. Our offer follows as `Signal`.
    ///
    /// # Errors
    /// [`DialError`].
    pub fn offer(&mut self) -> Result<RtcId, DialError> {
        let now = Instant::now();
        let locals = self.local_addrs();
        let id = self.begin(Origin::Offerer, None, credentials(), &locals, now)?;
        let Some(sdp) = self.links.get_mut(&id).and_then(|link| link.offer(now)) else {
            self.remove(id);
            return Err(DialError::Failed);
        };
        let json = signal::description_json("offer", &sdp);
        self.happened.push_back(Happened::Signal { link: id, json });
        self.spoken(id, now);
        Ok(id)
    }

    /// Begins the other end of an offer, which is then given to [`Engine::signal`].
    ///
    /// # Errors
    /// [`DialError`].
    pub fn answer(&mut self) -> Result<RtcId, DialError> {
        let locals = self.local_addrs();
        let holder = Some(Holder::Signalled);
        let now = Instant::now();
        let id = self.begin(Origin::Answerer, holder, credentials(), &locals, now)?;
        // Until the offer is read, the servers may have answered.
        self.gather(now);
        Ok(id)
    }

    /// Our description of a link was told: addresses that servers see follow.
    fn spoken(&mut self, id: RtcId, now: Instant) {
        if let Some(link) = self.links.get_mut(&id) {
            link.has_spoken = true;
            self.gather(now);
            self.tell_reflexive(id, now);
        }
    }

    /// Takes a signal of the other end, which may be anything.
    ///
    /// # Errors
    /// [`SignalError`]; the link is as it was, except after `Refused`, which ends it.
    pub fn signal(&mut self, link: RtcId, json: &str) -> Result<(), SignalError> {
        let now = Instant::now();
        let found = self.links.get_mut(&link).ok_or(SignalError::NoLink)?;
        let result = match Signal::parse(json)? {
            Signal::Offer(_) if found.origin != Origin::Answerer => Err(SignalError::Unexpected),
            Signal::Answer(_) if found.origin != Origin::Offerer => Err(SignalError::Unexpected),
            Signal::Answer(answer) => found.take_answer(&answer, now),
            Signal::Offer(offer) => found.take_offer(&offer, now).map(|sdp| {
                let json = signal::description_json("answer", &sdp);
                self.happened.push_back(Happened::Signal { link, json });
                self.spoken(link, now);
            }),
            Signal::Candidate(candidate) => {
                candidate.into_iter().for_each(|address| found.take_candidate(address));
                Ok(())
            }
        };
        self.touch(link);
        result
    }

    /// Whether a link is to answer an offer that it was not given yet.
    #[must_use]
    pub fn awaits_offer(&self, link: RtcId) -> bool {
        self.links.get(&link).is_some_and(|link| link.awaits_offer())
    }

    /// Queues a message. `false`: the link is not open, the message longer than
    /// [`MESSAGE_BYTES_MAX`], or [`OUTSTANDING_BYTES_MAX`] reached; wait for `Buffered` then.
    pub fn send(&mut self, link: RtcId, bytes: &[u8]) -> bool {
        let now = Instant::now();
        let sent = self.links.get_mut(&link).is_some_and(|link| link.send(bytes, now));
        self.touch(link);
        sent
    }

    /// Stops or resumes reading from a link. A paused one takes what its window holds and then
    /// stops the other end; nothing is lost. A native sender whose window was closed asks again
    /// at growing intervals, so it may resume as late again as the pause was long (60 seconds at
    /// most): the stack does not announce a window that opened.
    pub fn pause(&mut self, link: RtcId, paused: bool) {
        if let Some(found) = self.links.get_mut(&link) {
            found.paused = paused;
            self.touch(link);
        }
    }

    /// Ends a link and tells the other end. Its messages that wait in [`Engine::poll`] stay there;
    /// what was sent and has not gone out may be lost.
    pub fn close(&mut self, link: RtcId) {
        let Some(found) = self.links.get_mut(&link) else { return };
        found.close();
        // At most what the windows held: a few packets, and the two that say goodbye.
        let now = Instant::now();
        while let Some(packet) = self.links.get_mut(&link).and_then(|link| link.poll_packet(now)) {
            if !self.push(link, &packet) {
                break;
            }
        }
        self.remove(link);
    }

    /// The next thing that happened. Call until `None` after each [`Engine::turn`].
    pub fn poll(&mut self) -> Option<Happened> {
        self.happened.pop_front()
    }

    fn begin(
        &mut self,
        origin: Origin,
        holder: Option<Holder>,
        credentials: Credentials,
        locals: &[SocketAddr],
        now: Instant,
    ) -> Result<RtcId, DialError> {
        if self.links.len() >= self.config.links_max {
            return Err(DialError::TooManyLinks);
        }
        let ufrag = credentials.ufrag.clone();
        let id = RtcId(self.next);
        self.next += 1;
        let (certificate, window) = (&self.config.certificate, self.windows.begin(id, holder));
        let Some(link) = Link::new(origin, credentials, locals, certificate, window, now) else {
            self.windows.end(id);
            return Err(DialError::Failed);
        };
        self.links.insert(id, Box::new(link));
        self.by_ufrag.insert(ufrag, id);
        self.touch(id);
        Ok(id)
    }

    fn remove(&mut self, id: RtcId) {
        let Some(link) = self.links.remove(&id) else { return };
        self.by_ufrag.remove(&link.credentials.ufrag);
        self.leave(id, &link.addresses);
        if let Some(at) = link.wake {
            self.timers.remove(&(at, id));
        }
        self.half_open.leave(&id);
        self.windows.end(id);
    }

    fn touch(&mut self, id: RtcId) {
        if let Some(link) = self.links.get_mut(&id)
            && !std::mem::replace(&mut link.dirty, true)
        {
            self.dirty.push_back(id);
        }
    }
}

impl Drop for Engine {
    /// Tells the other ends, as far as the sockets take it.
    fn drop(&mut self) {
        while let Some(id) = self.links.keys().next().copied() {
            self.close(id);
        }
        for index in 0..self.ports.len() {
            self.flush(index);
        }
    }
}

fn credentials() -> Credentials {
    Credentials { ufrag: random_hex(8), password: random_hex(PASSWORD_CHARS / 2) }
}

/// Random hexadecimal digits, two for each byte.
fn random_hex(bytes: usize) -> String {
    let mut random = [0; 16];
    let random = &mut random[..bytes];
    crate::secret::fill(random);
    data_encoding::HEXLOWER.encode(random)
}
