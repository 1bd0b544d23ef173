//! The surroundings of one simulated node: its identity, clocks, disk, addresses, and the view of
//! its application.
use crate::clock::Clock;
use crate::nat::Nat;
use crate::relay_lie::RelayLie;
use crate::store::Disk;
use peergraph_core::address::Address;
use peergraph_core::cert::Certificate;
use peergraph_core::error::Error;
use peergraph_core::id::{Digest, Fingerprint, GroupId, PeerId};
use peergraph_core::identity::Identity;
use peergraph_core::io::{Event, LinkId, Reply, RequestId};
use peergraph_core::node::{Neighbours, Node};
use peergraph_core::node_url::NodeUrl;
use peergraph_core::provider::{Membership, Provider};
use peergraph_core::record::RecordType;
use peergraph_core::wire::Versions;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// The first octet of all addresses of the world. They are public ones.
const NET: u8 = 44;

/// A host of the world, by number.
pub type HostId = usize;

/// UDP port of every simulated native host.
const PORT: u16 = 4_000;
/// Hosts of a world: their numbers are written into the last three bytes of 10.0.0.0/8.
pub const HOSTS_MAX: usize = 1 << 24;

/// The kind of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Has an address at which it can be dialled.
    Native,
    /// Can be reached only by offer and answer.
    Browser,
}

/// The host's side of a link of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// An offer was made, or one is awaited: no wire yet.
    Signalling,
    /// One end of a wire.
    Wire(u32, usize),
}

/// One host.
pub struct Host {
    /// Whether it can be dialled.
    pub kind: Kind,
    /// Friendly name of its identity.
    pub name: String,
    /// Its identity with the key, as a real host keeps it: the same at every start.
    pub(crate) identity: Vec<u8>,
    /// Its key, for lies that no identity signs.
    pub(crate) secret: [u8; 32],
    /// Its public certificate.
    pub certificate: Certificate,
    /// Whether its node serves as rendezvous. Takes effect at the next start.
    pub rendezvous: bool,
    /// Whether its node tells only members that it is in their group. Takes effect at the next start.
    pub members_only: bool,
    /// Which versions of the protocol its node speaks. Takes effect at the next start.
    pub versions: Versions,
    /// How many neighbours its node wants. Takes effect at the next start.
    pub wants: Neighbours,
    /// The security provider of its node. Takes effect at the next start.
    pub provider: Arc<dyn Provider>,
    /// Types that its node wants first in a sync. Takes effect at the next start.
    pub priorities: Vec<RecordType>,
    /// Bytes per second of each of its wires at most, each way. Wires that are laid keep what they were laid with:
    /// [`World::throttle`](crate::World::throttle) changes those too.
    pub rate_max: u64,
    /// Whether it lies. A node that blames it is then right.
    pub liar: bool,
    /// The host with which it shares the address that others see.
    pub behind: Option<HostId>,
    /// The router before it: nobody dials it then.
    pub nat: Option<Nat>,
    /// How its node lies about the frames that it relays.
    pub relay_lie: Option<RelayLie>,
    /// The servers that tell its node its outside address, as the node has named them.
    pub(crate) stun_servers: Vec<SocketAddr>,
    /// Whether it does not heed it when others refuse it.
    pub heedless: bool,
    /// Whether it keeps signals to itself that it should carry on, or heed.
    pub swallows_signals: bool,
    /// From what its node that runs, or ran last, was made.
    pub(crate) seed: [u8; 32],
    /// Its clocks.
    pub clock: Clock,
    /// Its disk.
    pub disk: Disk,
    /// The running node.
    pub(crate) node: Option<Box<Node>>,
    /// Counts starts, so that what was meant for an earlier node does not reach a later one.
    pub(crate) incarnation: u32,
    pub(crate) links: BTreeMap<LinkId, Slot>,
    /// When the node wants to be woken, and the earliest wake in the queue. World time.
    pub(crate) wanted: u64,
    pub(crate) scheduled: u64,
    /// Wakes in a row at one moment.
    pub(crate) wakes_at_once: u32,
    pub(crate) last_wake: u64,
    /// Answers to commands that nobody took yet.
    pub(crate) done: BTreeMap<RequestId, Result<Reply, Error>>,
    /// The events that the node told its application, with the world time, if the world keeps them.
    pub events: Vec<(u64, Event)>,
    /// Whether the store was read.
    pub opened: bool,
    /// Neighbours that it won and did not lose, over all groups.
    pub neighbours: u32,
    /// The links to them.
    pub(crate) neighbour_links: BTreeSet<(GroupId, LinkId)>,
    /// Whether a sync was completed since the start.
    pub synced: bool,
    /// Bytes of frames that left and that arrived.
    pub traffic: (u64, u64),
    /// Inputs after which a part of a message was left.
    pub parts: u64,
}

impl Host {
    pub(crate) fn new(
        kind: Kind,
        name: String,
        identity: &Identity,
        secret: [u8; 32],
        clock: Clock,
    ) -> Self {
        Self {
            kind,
            name,
            identity: identity.to_bytes().to_vec(),
            secret,
            certificate: identity.certificate().clone(),
            rendezvous: false,
            members_only: false,
            versions: Versions::OURS,
            wants: Neighbours::default(),
            provider: Arc::new(Membership),
            priorities: Vec::new(),
            rate_max: u64::MAX,
            liar: false,
            behind: None,
            nat: None,
            relay_lie: None,
            stun_servers: Vec::new(),
            heedless: false,
            swallows_signals: false,
            seed: [0; 32],
            clock,
            disk: Disk::default(),
            node: None,
            incarnation: 0,
            links: BTreeMap::new(),
            wanted: u64::MAX,
            scheduled: u64::MAX,
            wakes_at_once: 0,
            last_wake: 0,
            done: BTreeMap::new(),
            events: Vec::new(),
            opened: false,
            neighbours: 0,
            neighbour_links: BTreeSet::new(),
            synced: false,
            traffic: (0, 0),
            parts: 0,
        }
    }

    /// The identity of the host's node.
    pub fn peer_id(&self) -> PeerId {
        self.certificate.peer_id()
    }

    /// Bytes that the node waits for its disk to write.
    pub fn writes_waiting(&self) -> u64 {
        self.node.as_ref().map_or(0, |node| node.writes_waiting())
    }

    /// Whether a node runs here.
    pub fn is_up(&self) -> bool {
        self.node.is_some()
    }
}

/// The made-up DTLS certificate of a host.
pub fn fingerprint(host: HostId) -> Fingerprint {
    Fingerprint::from_bytes(*Digest::of(&(host as u64).to_le_bytes()).as_bytes())
}

/// Where `host` can be dialled over WebRTC. It answers only while it is up, and only if it is native.
pub fn rtc_address(host: HostId) -> Address {
    assert!(host < HOSTS_MAX, "the address space of a world is full");
    let [_, a, b, c] = (host as u32).to_be_bytes();
    let socket = SocketAddr::from((Ipv4Addr::new(NET, a, b, c), PORT));
    Address::Rtc { socket, fingerprint: fingerprint(host) }
}

/// Where `host` can be dialled over a WebSocket. It answers only while it is up, and only if it is native.
pub fn socket_address(host: HostId) -> Address {
    let url = format!("wss://n{host}.world.example/link");
    Address::WebSocket { url: url.parse().expect("a URL") }
}

/// The host that has a socket.
pub(crate) fn host_at(socket: &SocketAddr) -> Option<HostId> {
    let SocketAddr::V4(socket) = socket else { return None };
    let [net, a, b, c] = socket.ip().octets();
    (net == NET && socket.port() == PORT).then(|| u32::from_be_bytes([0, a, b, c]) as HostId)
}

/// The URL of `host`, where it describes itself while it is up.
///
/// # Panics
/// Never: the URL is good.
pub fn node_url(host: HostId) -> NodeUrl {
    format!("https://n{host}.world.example/").parse().expect("a good URL")
}

/// The host whose description has this URL.
pub(crate) fn described_host(url: &str) -> Option<HostId> {
    let name = url.strip_prefix("https://n")?;
    name.strip_suffix(".world.example/.well-known/peergraph")?.parse().ok()
}

/// The host that owns an address, and whether what it would show there is what the address says.
pub(crate) fn owner(address: &Address) -> Option<(HostId, bool)> {
    match address {
        Address::Rtc { socket: SocketAddr::V4(socket), fingerprint: expected } => {
            let [net, a, b, c] = socket.ip().octets();
            let host = u32::from_be_bytes([0, a, b, c]) as HostId;
            (net == NET && socket.port() == PORT).then(|| (host, *expected == fingerprint(host)))
        }
        Address::Rtc { .. } => None,
        Address::WebSocket { url } => {
            let url = url.to_string();
            let name = url.strip_prefix("wss://n")?.strip_suffix(".world.example/link")?;
            Some((name.parse().ok()?, true))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lead_to_descriptions() {
        let url = node_url(70_000).description().expect("a web URL");
        assert_eq!(described_host(&url), Some(70_000));
    }

    #[test]
    fn addresses_lead_back_to_their_host() {
        for host in [0, 1, 255, 256, 70_000, HOSTS_MAX - 1] {
            assert_eq!(owner(&rtc_address(host)), Some((host, true)));
            assert_eq!(owner(&socket_address(host)), Some((host, true)));
        }
        let Address::Rtc { socket, .. } = rtc_address(3) else { panic!("an rtc address") };
        let wrong = Address::Rtc { socket, fingerprint: fingerprint(4) };
        assert_eq!(owner(&wrong), Some((3, false)));
    }
}
