//! Wires between hosts: set-up, latency, bandwidth, death, partitions.
//!
//! A wire is an ordered, reliable channel, as a WebRTC data channel is: no single frame is lost.
//! Instead, a wire dies with everything in flight, and its ends notice at different times, or
//! never.
use crate::chance::Chance;
use crate::host::{
    HostId, Kind, Slot, described_host, fingerprint, host_at, owner, rtc_address, socket_address,
};
use crate::kinds::Saying;
use crate::nat::{Side, meet};
use crate::world::{Pending, World};
use bytes::Bytes;
use peergraph_core::address::Address;
use peergraph_core::id::GroupId;
use peergraph_core::io::{Dial, Input, LinkId, LinkInfo, LookupFault, Transport};
use peergraph_core::limits::BUFFERED_LOW_BYTES;
use peergraph_core::wire::kind;
use std::net::SocketAddr;

/// Bytes on a wire beside each frame: IP, UDP, DTLS, SCTP headers.
pub const OVERHEAD_BYTES: u64 = 90;
/// A host reports what waits in its transport after so many bytes. Less often than a real one, which may
/// report after every batch: each report is an input.
const REPORT_AFTER_BYTES: u32 = 32 * 1024;
/// How long a dial to nobody takes to fail. Microseconds. Source: ICE gives up after some seconds.
const DIAL_TIMEOUT: u64 = 5_000_000;
/// Length of a simulated offer or answer. Bytes. Measured: Chromium's are under 1 KiB.
const SDP_BYTES: usize = 512;

/// The properties of the network between hosts.
#[derive(Clone, Copy, Debug)]
pub struct NetworkOptions {
    /// One-way latency of a pair of hosts. Microseconds, from–to, drawn once for each pair.
    pub latency: (u64, u64),
    /// Bytes per second of a wire, each way.
    pub rate: u64,
    /// How long it takes at most until the end of a dead wire hears of it. Microseconds.
    pub notice_max: u64,
    /// With which probability an end of a dead wire hears nothing at all.
    pub silence: f64,
}

impl Default for NetworkOptions {
    fn default() -> Self {
        Self { latency: (10_000, 50_000), rate: 5_000_000, notice_max: 10_000_000, silence: 0.1 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Opening,
    Up,
    Closed,
}

#[derive(Clone, Copy, Debug)]
struct End {
    host: u32,
    incarnation: u32,
    /// Unknown at the accepting end until it is up.
    link: Option<LinkId>,
    state: State,
    /// No frame arrives earlier. World time.
    up_at: u64,
    /// When the last byte sent here has left. World time.
    sent_at: u64,
    unreported: u32,
    low_armed: bool,
    /// The state of the messages that it sends.
    saying: Saying,
}

/// One transport connection.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    ends: [End; 2],
    latency: u64,
    rate: u64,
    pub(crate) web_socket: bool,
    /// When something passed last. World time.
    used: u64,
    /// The wire carries nothing any longer.
    pub(crate) dead: bool,
    /// The side that compared stores last, and how often that was another one than before.
    comparing: Option<usize>,
    turns: u64,
}

impl Wire {
    fn backlog(&self, side: usize, now: u64) -> u64 {
        let micros = self.ends[side].sent_at.saturating_sub(now);
        (u128::from(micros) * u128::from(self.rate) / 1_000_000) as u64
    }

    fn micros(&self, bytes: u64) -> u64 {
        bytes * 1_000_000 / self.rate
    }

    /// The host that an end reaches, and the number under which this end speaks of a graph, if it
    /// does and the wire carries.
    pub(crate) fn graph_of(&self, side: usize) -> Option<(HostId, u16)> {
        let graph = self.ends[side].saying.graph.filter(|_| self.carries())?;
        Some((self.ends[1 - side].host as HostId, graph))
    }

    /// The host at the other end.
    pub(crate) fn other(&self, side: usize) -> HostId {
        self.ends[1 - side].host as HostId
    }

    /// Both hosts.
    pub(crate) fn hosts(&self) -> [HostId; 2] {
        [self.ends[0].host as HostId, self.ends[1].host as HostId]
    }

    /// Whether something has passed within a second.
    pub(crate) fn is_busy(&self, now: u64) -> bool {
        now.saturating_sub(self.used) < 1_000_000
    }

    /// The host and the link of an end that is up.
    pub(crate) fn end_up(&self, side: usize) -> Option<(HostId, LinkId)> {
        let end = self.ends[side];
        Some((end.host as HostId, end.link.filter(|_| end.state == State::Up)?))
    }

    /// How often its ends went back and forth to compare their stores.
    pub(crate) fn round_trips(&self) -> u64 {
        self.turns.div_ceil(2)
    }

    pub(crate) fn carries(&self) -> bool {
        !self.dead && self.ends.iter().all(|end| end.state == State::Up)
    }
}

/// One-way latency between two hosts, the same each time it is asked.
pub fn latency(seed: u64, range: (u64, u64), a: HostId, b: HostId) -> u64 {
    let mut digest = crate::digest::RunDigest::default();
    for number in [seed, a.min(b) as u64, a.max(b) as u64] {
        digest.add(number);
    }
    range.0 + digest.value() % (range.1 - range.0 + 1)
}

/// A simulated description: says which link of which node made it, padded to the length of a real one.
fn description(kind: &str, tokens: &[u64]) -> Bytes {
    let words: Vec<String> = tokens.iter().map(u64::to_string).collect();
    let sdp = format!("sim {}", words.join(" "));
    Bytes::from(format!("{{\"type\":\"{kind}\",\"sdp\":\"{sdp:<SDP_BYTES$}\"}}"))
}

/// Reads what [`description`] wrote. Anything else is `None`: it may come from an adversary.
fn read_description(signal: &[u8]) -> Option<(&str, Vec<u64>)> {
    let text = std::str::from_utf8(signal).ok()?;
    let kind = text.strip_prefix("{\"type\":\"")?.split('"').next()?;
    let sdp = text.split("\"sdp\":\"sim ").nth(1)?.split('"').next()?;
    let tokens = sdp.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    Some((kind, tokens))
}

impl World {
    /// Bytes per second of a wire between two hosts.
    fn rate_between(&self, a: HostId, b: HostId) -> u64 {
        self.network.rate.min(self.hosts[a].rate_max).min(self.hosts[b].rate_max).max(1)
    }

    /// From here on no wire of `host` carries more than this, each way. Bytes per second.
    pub fn throttle(&mut self, host: HostId, rate_max: u64) {
        self.hosts[host].rate_max = rate_max;
        for wire in 0..self.wires.len() {
            let [a, b] = self.wires[wire].hosts();
            if a == host || b == host {
                self.wires[wire].rate = self.rate_between(a, b);
            }
        }
    }

    /// Whether anything can pass between two hosts.
    pub fn reachable(&self, a: HostId, b: HostId) -> bool {
        let side = |host: HostId| self.sides.get(host).copied().unwrap_or(0);
        let off = self.off.contains(&a) || self.off.contains(&b);
        !off && side(a) == side(b) && !self.blocked.contains(&(a.min(b), a.max(b)))
    }

    /// Nothing passes between two hosts from here on.
    pub fn block(&mut self, a: HostId, b: HostId) {
        self.blocked.insert((a.min(b), a.max(b)));
        self.cut_between(a, b);
    }

    /// Splits the world: hosts with different numbers cannot reach each other. Hosts beyond the list have 0.
    /// Wires across the split die.
    pub fn partition(&mut self, sides: Vec<u8>) {
        self.sides = sides;
        for wire in 0..self.wires.len() {
            let [a, b] = self.wires[wire].hosts();
            if !self.wires[wire].dead && !self.reachable(a, b) {
                self.cut(wire as u32);
            }
        }
    }

    /// Makes the world whole again.
    pub fn heal(&mut self) {
        self.sides.clear();
        self.blocked.clear();
    }

    /// Kills a wire with what is in flight on it. Each end hears of it at its own time, or never.
    pub(crate) fn cut(&mut self, wire: u32) {
        self.wires[wire as usize].dead = true;
        for side in 0..2 {
            if !self.chance.with(self.network.silence) {
                let after = self.chance.within(0..self.network.notice_max + 1);
                self.after(after, Pending::Down { wire, side });
            }
        }
    }

    /// Kills one live wire, drawn by chance. False if there is none.
    pub fn cut_any(&mut self) -> bool {
        let live: Vec<u32> =
            (0..self.wires.len() as u32).filter(|&w| self.wires[w as usize].carries()).collect();
        if live.is_empty() {
            return false;
        }
        let wire = *self.chance.of(&live);
        self.cut(wire);
        true
    }

    /// Kills every wire between two hosts.
    pub fn cut_between(&mut self, a: HostId, b: HostId) {
        for wire in 0..self.wires.len() {
            let hosts = self.wires[wire].hosts();
            if self.wires[wire].carries() && (hosts == [a, b] || hosts == [b, a]) {
                self.cut(wire as u32);
            }
        }
    }

    /// How often a host and another went back and forth to compare their stores: on the wire, of those from number `from`
    /// on, on which that was most.
    pub(crate) fn round_trips(&self, host: HostId, from: usize) -> u64 {
        let of_host = self.wires[from..].iter().filter(|wire| wire.hosts().contains(&host));
        of_host.map(Wire::round_trips).max().unwrap_or(0)
    }

    /// Hosts to which `host` has a live wire, in order.
    pub fn wired_to(&self, host: HostId) -> Vec<HostId> {
        let mut others = Vec::new();
        for slot in self.hosts[host].links.values() {
            if let Slot::Wire(wire, side) = *slot {
                let wire = &self.wires[wire as usize];
                if wire.carries() {
                    others.push(wire.ends[1 - side].host as HostId);
                }
            }
        }
        others.sort_unstable();
        others.dedup();
        others
    }

    /// Hosts with which `host` has a living link on which both are neighbours in `group`.
    pub fn neighbours_of(&self, host: HostId, group: GroupId) -> Vec<HostId> {
        let neighbours =
            |host: HostId, link| self.hosts[host].neighbour_links.contains(&(group, link));
        let mut others = Vec::new();
        for (&link, slot) in &self.hosts[host].links {
            let Slot::Wire(wire, side) = *slot else { continue };
            let wire = &self.wires[wire as usize];
            let end = wire.ends[1 - side];
            if wire.carries()
                && neighbours(host, link)
                && end.link.is_some_and(|link| neighbours(end.host as HostId, link))
            {
                others.push(end.host as HostId);
            }
        }
        others
    }

    /// Whether the neighbours of neighbours … of any of `hosts` are all of them.
    pub fn is_one_graph(&self, group: GroupId, hosts: &[HostId]) -> bool {
        let Some(&first) = hosts.first() else { return true };
        let mut reached = vec![false; self.hosts.len()];
        reached[first] = true;
        let mut next = vec![first];
        while let Some(host) = next.pop() {
            for other in self.neighbours_of(host, group) {
                if !std::mem::replace(&mut reached[other], true) {
                    next.push(other);
                }
            }
        }
        hosts.iter().all(|&host| reached[host])
    }

    /// The links of the node of `host`, at this moment.
    pub fn links_of(&self, host: HostId) -> Vec<LinkInfo> {
        self.hosts[host].node.as_ref().map(|node| node.links()).unwrap_or_default()
    }

    /// The neighbours of `host` in any graph over live wires, and how useful its links to them are.
    pub fn neighbours(&self, host: HostId) -> Vec<(HostId, u32)> {
        let this = &self.hosts[host];
        let links = this.node.as_ref().map(|node| node.links()).unwrap_or_default();
        let neighbour = |link: &LinkInfo| match this.links.get(&link.link)? {
            &Slot::Wire(wire, side) => {
                let wire = &self.wires[wire as usize];
                let other = wire.ends[1 - side].host as HostId;
                (wire.carries() && !link.graphs.is_empty()).then_some((other, link.utility))
            }
            Slot::Signalling => None,
        };
        links.iter().filter_map(neighbour).collect()
    }

    /// Fetches the description of a host. Nobody answers for one that is down or cannot be reached.
    pub(crate) fn look_up(&mut self, host: HostId, url: String) {
        let found = described_host(&url).filter(|&of| {
            let native = self.hosts.get(of).is_some_and(|it| it.is_up() && it.kind == Kind::Native);
            native && self.reachable(host, of)
        });
        // A connection and a question: two round trips.
        let after = match found {
            Some(of) => 4 * latency(self.seed, self.network.latency, host, of),
            None => DIAL_TIMEOUT,
        };
        let incarnation = self.hosts[host].incarnation;
        self.after(after, Pending::LookedUp { host: host as u32, incarnation, url, found });
    }

    /// The addresses in the description of a host, if the host is still up.
    pub(crate) fn described_by(&self, host: Option<HostId>) -> Result<Vec<String>, LookupFault> {
        let of = host.filter(|&of| self.hosts[of].is_up()).ok_or(LookupFault::Unreachable)?;
        Ok(vec![rtc_address(of).to_string(), socket_address(of).to_string()])
    }

    /// Starts the transport for which [`Output::Open`](peergraph_core::io::Output::Open) asks.
    pub(crate) fn open(&mut self, host: HostId, link: LinkId, dial: Dial) {
        self.counts.links_opened += 1;
        match dial {
            Dial::Address(address, _) => self.dial(host, link, &address),
            Dial::Offer => {
                self.hosts[host].links.insert(link, Slot::Signalling);
                let token = [host as u64, u64::from(self.hosts[host].incarnation), link.0];
                self.signal(host, link, description("offer", &token));
            }
            Dial::Answer => {
                self.hosts[host].links.insert(link, Slot::Signalling);
            }
        }
    }

    /// A local description appears after a moment.
    fn signal(&mut self, host: HostId, link: LinkId, signal: Bytes) {
        let incarnation = self.hosts[host].incarnation;
        let after = self.chance.within(1_000..5_000);
        self.after(after, Pending::Signal { host: host as u32, incarnation, link, signal });
    }

    fn dial(&mut self, host: HostId, link: LinkId, address: &Address) {
        let callee = owner(address).filter(|&(callee, genuine)| {
            genuine
                && callee != host
                && self.hosts.get(callee).is_some_and(|h| h.is_up() && h.kind == Kind::Native)
                && self.hosts[callee].nat.is_none()
                && self.reachable(host, callee)
        });
        let Some((callee, _)) = callee else {
            self.hosts[host].links.insert(link, Slot::Signalling);
            self.give_up(host, link, DIAL_TIMEOUT);
            return;
        };
        let web_socket = matches!(address, Address::WebSocket { .. });
        self.connect((host, Some(link)), (callee, None), web_socket);
    }

    /// The transport of a link that has no wire fails after `after`.
    fn give_up(&mut self, host: HostId, link: LinkId, after: u64) {
        self.counts.links_failed += 1;
        let incarnation = self.hosts[host].incarnation;
        self.after(after, Pending::Failed { host: host as u32, incarnation, link });
    }

    /// Lays a wire. The ends come up one after the other, as they do when a channel opens.
    fn connect(
        &mut self,
        a: (HostId, Option<LinkId>),
        b: (HostId, Option<LinkId>),
        web_socket: bool,
    ) {
        let latency = latency(self.seed, self.network.latency, a.0, b.0);
        // ICE or TCP, then DTLS or TLS, then the channel: about four times there and back, and some work.
        let work = self.chance.within(5_000..20_000);
        let first = self.now + 8 * latency + work;
        // With descriptions on both sides either end may be first; otherwise the dialled end is up
        // before the dialler.
        let a_first = b.1.is_some() && self.chance.with(0.5);
        let wire = self.wires.len() as u32;
        let end = |side, (host, link): (HostId, Option<LinkId>), up_at| End {
            host: host as u32,
            incarnation: self.hosts[host].incarnation,
            link,
            state: State::Opening,
            up_at,
            sent_at: 0,
            unreported: 0,
            low_armed: false,
            saying: Saying::new(web_socket, side == 0),
        };
        let (a_up, b_up) =
            if a_first { (first, first + latency) } else { (first + latency, first) };
        let ends = [end(0, a, a_up), end(1, b, b_up)];
        let rate = self.rate_between(a.0, b.0);
        let (comparing, turns) = (None, 0);
        let (used, dead) = (first, false);
        self.wires.push(Wire { ends, latency, rate, web_socket, used, dead, comparing, turns });
        for (side, (host, link)) in [a, b].into_iter().enumerate() {
            if let Some(link) = link {
                self.hosts[host].links.insert(link, Slot::Wire(wire, side));
            }
            let up_at = self.wires[wire as usize].ends[side].up_at;
            self.at(up_at, Pending::Up { wire, side });
        }
    }

    /// A description or candidate reached the host of its addressee.
    pub(crate) fn described(&mut self, host: HostId, link: LinkId, signal: &[u8]) {
        if self.hosts[host].links.get(&link) != Some(&Slot::Signalling) {
            return;
        }
        let incarnation = u64::from(self.hosts[host].incarnation);
        match read_description(signal) {
            Some(("offer", token)) if token.len() == 3 => {
                let mut both = token;
                both.extend([host as u64, incarnation, link.0]);
                self.signal(host, link, description("answer", &both));
            }
            Some(("answer", both)) if both.len() == 6 => {
                let theirs = (both[3] as HostId, LinkId(both[5]));
                let fits = both[..3] == [host as u64, incarnation, link.0]
                    && self.hosts.get(theirs.0).is_some_and(|other| {
                        u64::from(other.incarnation) == both[4]
                            && other.links.get(&theirs.1) == Some(&Slot::Signalling)
                    });
                let meet = fits && meet(self.side(host), self.side(theirs.0));
                if meet && theirs.0 != host && self.reachable(host, theirs.0) {
                    self.connect((host, Some(link)), (theirs.0, Some(theirs.1)), false);
                } else {
                    self.give_up(host, link, DIAL_TIMEOUT);
                }
            }
            // A real host gives up on a description that it cannot read.
            _ => self.give_up(host, link, 1_000),
        }
    }

    /// A host as one end of a link that is signalled.
    fn side(&self, host: HostId) -> Side {
        let answers = |socket: &SocketAddr| {
            let server = host_at(socket).and_then(|it| Some((it, self.hosts.get(it)?)));
            server.is_some_and(|(it, server)| {
                server.is_up() && server.nat.is_none() && self.reachable(host, it)
            })
        };
        let knows_address = self.hosts[host].stun_servers.iter().any(answers);
        Side { nat: self.hosts[host].nat, knows_address }
    }

    /// A router forgets a wire on which nothing has passed for long: it dies.
    fn forget_idle(&mut self, wire: u32) {
        let w = &self.wires[wire as usize];
        let idle = self.now.saturating_sub(w.used);
        let routers = w.hosts().into_iter().filter_map(|host| self.hosts[host].nat);
        let forgets = routers.map(|nat| nat.expires).min().is_some_and(|least| idle > least);
        if forgets && !w.web_socket && !w.dead {
            self.cut(wire);
        }
        self.wires[wire as usize].used = self.now;
    }

    /// One end of a wire is up.
    pub(crate) fn up(&mut self, wire: u32, side: usize) {
        let index = wire as usize;
        let Wire { ends, latency, web_socket, dead, .. } = self.wires[index];
        let (ours, theirs) = (ends[side], ends[1 - side]);
        if ours.state != State::Opening || dead {
            return;
        }
        let host = ours.host as HostId;
        let alive = |world: &Self, end: End| {
            let host = &world.hosts[end.host as HostId];
            host.is_up() && host.incarnation == end.incarnation
        };
        if !alive(self, ours) {
            self.wires[index].ends[side].state = State::Closed;
            self.after(DIAL_TIMEOUT, Pending::Down { wire, side: 1 - side });
            return;
        }
        if theirs.state == State::Closed || !alive(self, theirs) {
            // A dialler finds that its callee has hung up already; a callee never hears of a dialler who did.
            self.after(latency, Pending::Down { wire, side });
            return;
        }
        let link = match ours.link {
            Some(link) => link,
            None => {
                let link = self.new_link(host, theirs.host as HostId);
                self.hosts[host].links.insert(link, Slot::Wire(wire, side));
                link
            }
        };
        if !web_socket {
            self.replaced(host, theirs.host as HostId);
        }
        self.wires[index].ends[side].link = Some(link);
        self.wires[index].ends[side].state = State::Up;
        let transport = if web_socket {
            Transport::WebSocket
        } else {
            let theirs = fingerprint(theirs.host as HostId);
            Transport::Rtc { ours: fingerprint(host), theirs }
        };
        self.handle(host, Input::LinkUp { link, transport });
    }

    /// A data channel from one host to another is open: one that is dead gives way to it, since a pair of addresses has one.
    fn replaced(&mut self, host: HostId, other: HostId) {
        let slots: Vec<Slot> = self.hosts[host].links.values().copied().collect();
        for slot in slots {
            let Slot::Wire(wire, side) = slot else { continue };
            let dead = &self.wires[wire as usize];
            if dead.dead && !dead.web_socket && dead.other(side) == other {
                self.down(wire, side);
            }
        }
    }

    /// One end of a wire hears that the wire is gone.
    pub(crate) fn down(&mut self, wire: u32, side: usize) {
        let end = &mut self.wires[wire as usize].ends[side];
        if end.state == State::Closed {
            return;
        }
        end.state = State::Closed;
        let (host, incarnation, link) = (end.host as HostId, end.incarnation, end.link);
        if let Some(link) = link
            && self.hosts[host].incarnation == incarnation
            && self.hosts[host].links.remove(&link).is_some()
        {
            self.handle(host, Input::LinkDown { link });
        }
    }

    /// Puts a frame on its way. Nothing happens if the link is gone: its node will hear of that.
    pub(crate) fn send(&mut self, host: HostId, link: LinkId, bytes: Bytes) {
        let Some(&Slot::Wire(wire, side)) = self.hosts[host].links.get(&link) else { return };
        self.forget_idle(wire);
        let length = bytes.len() as u64;
        let now = self.now;
        let index = wire as usize;
        let w = &mut self.wires[index];
        if w.ends[side].state != State::Up {
            return;
        }
        w.ends[side].sent_at = w.ends[side].sent_at.max(now) + w.micros(length + OVERHEAD_BYTES);
        let arrival = (w.ends[side].sent_at + w.latency).max(w.ends[1 - side].up_at);
        let to = w.ends[1 - side].host as HostId;
        w.ends[side].unreported += length as u32;
        let report = w.ends[side].unreported >= REPORT_AFTER_BYTES;
        let backlog = w.backlog(side, now);
        self.counts.backlog_bytes_max = self.counts.backlog_bytes_max.max(backlog);
        let arm = backlog > BUFFERED_LOW_BYTES as u64 && !w.ends[side].low_armed;
        w.ends[side].low_armed |= arm;
        let low_at = now + w.micros(backlog.saturating_sub(BUFFERED_LOW_BYTES as u64)) + 1;
        let dead = w.dead;
        let (said, ended) = w.ends[side].saying.frame(&bytes);
        self.kinds.add(said, ended, length);
        if said == kind::SYNC.number() && w.comparing.replace(side) != Some(side) {
            w.turns += 1;
        }
        if arm {
            self.at(low_at, Pending::Low { wire, side });
        }
        if report && !self.reports.contains(&(wire, side)) {
            self.reports.push((wire, side));
        }
        self.counts.frames += 1;
        self.counts.frame_bytes += length;
        self.hosts[host].traffic.0 += length;
        if let Some(delivery) = &mut self.delivery {
            let payload = delivery.sent((host, to), &bytes, now, arrival);
            self.counts.payload_messages += payload;
            if payload > 0 {
                self.counts.payload_bytes += length;
            } else {
                self.counts.control_bytes += length;
            }
        }
        let heard = said != kind::REFUSE.number() || !self.hosts[to].heedless;
        if !dead && heard {
            let bytes = self.adversary.tamper(&mut self.chance, bytes);
            for bytes in self.relayed(host, bytes) {
                self.at(arrival, Pending::Frame { wire, side: 1 - side, bytes });
            }
        }
    }

    /// The frames that a host sends in the place of one that it relays.
    fn relayed(&mut self, host: HostId, bytes: Bytes) -> Vec<Bytes> {
        match self.hosts[host].relay_lie {
            Some(lie) => lie.tell(&mut self.chance, bytes),
            None => vec![bytes],
        }
    }

    /// A frame arrives.
    pub(crate) fn frame(&mut self, wire: u32, side: usize, bytes: Bytes) {
        let w = &self.wires[wire as usize];
        let end = w.ends[side];
        if w.dead || end.state != State::Up {
            return;
        }
        if let Some(link) = end.link {
            if self.hosts[end.host as HostId].swallows_signals
                && bytes.starts_with(&[0, kind::SIGNAL.number()])
            {
                return;
            }
            self.hosts[end.host as HostId].traffic.1 += bytes.len() as u64;
            self.handle(end.host as HostId, Input::Frame { link, bytes });
        }
    }

    /// Tells a node how much waits in a transport.
    pub(crate) fn buffered(&mut self, wire: u32, side: usize) {
        let now = self.now;
        let w = &mut self.wires[wire as usize];
        w.ends[side].unreported = 0;
        let bytes = w.backlog(side, now) as usize;
        let end = w.ends[side];
        if let (State::Up, Some(link)) = (end.state, end.link) {
            self.handle(end.host as HostId, Input::Buffered { link, bytes });
        }
    }

    /// The bytes that wait in a transport may have fallen to the low mark.
    pub(crate) fn low(&mut self, wire: u32, side: usize) {
        let now = self.now;
        let w = &mut self.wires[wire as usize];
        let over = w.backlog(side, now).saturating_sub(BUFFERED_LOW_BYTES as u64);
        if over > 0 && !w.dead {
            let again = now + w.micros(over) + 1;
            self.at(again, Pending::Low { wire, side });
            return;
        }
        w.ends[side].low_armed = false;
        if !w.dead {
            self.buffered(wire, side);
        }
    }

    /// A node closes a link: what it sent still arrives, then the other end hears of it.
    pub(crate) fn close(&mut self, host: HostId, link: LinkId) {
        let Some(Slot::Wire(wire, side)) = self.hosts[host].links.remove(&link) else { return };
        let w = &mut self.wires[wire as usize];
        w.ends[side].state = State::Closed;
        let heard = (w.ends[side].sent_at.max(self.now) + w.latency).max(w.ends[1 - side].up_at);
        if !w.dead {
            self.at(heard, Pending::Down { wire, side: 1 - side });
        }
    }

    /// All wires of a host die with it. Its peers hear of that at their own times, or never.
    pub(crate) fn unplug(&mut self, host: HostId) {
        for (_, slot) in std::mem::take(&mut self.hosts[host].links) {
            if let Slot::Wire(wire, side) = slot {
                let w = &mut self.wires[wire as usize];
                w.ends[side].state = State::Closed;
                if !w.dead {
                    self.cut(wire);
                }
            }
        }
    }

    /// Every live wire carries frames from `host`; sends `bytes` on one of them as if the node had.
    pub fn inject(&mut self, host: HostId, to: HostId, bytes: Bytes) -> bool {
        let found = self.hosts[host].links.values().find_map(|slot| match *slot {
            Slot::Wire(wire, side) => {
                let w = &self.wires[wire as usize];
                (w.carries() && w.ends[1 - side].host as HostId == to).then_some((wire, side))
            }
            Slot::Signalling => None,
        });
        let Some((wire, side)) = found else { return false };
        let w = &mut self.wires[wire as usize];
        let arrival = w.ends[side].sent_at.max(self.now) + w.latency;
        self.at(arrival, Pending::Frame { wire, side: 1 - side, bytes });
        true
    }
}

/// Draws a split of `hosts` hosts into two sides; the smaller has at least one.
pub fn split(chance: &mut Chance, hosts: usize) -> Vec<u8> {
    let share = 0.1 + 0.4 * (chance.within(0..1_000) as f64 / 1_000.0);
    let mut sides: Vec<u8> = (0..hosts).map(|_| u8::from(chance.with(share))).collect();
    if !sides.contains(&1) {
        sides[chance.within(0..hosts as u64) as usize] = 1;
    }
    sides
}

/// Draws a cut of `hosts` hosts into `parts` parts of almost one size.
pub fn cut_in_parts(chance: &mut Chance, hosts: usize, parts: u8) -> Vec<u8> {
    let mut sides: Vec<u8> = (0..hosts).map(|host| (host % usize::from(parts)) as u8).collect();
    chance.shuffle(&mut sides);
    sides
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_cut_are_almost_of_one_size() {
        let sides = cut_in_parts(&mut Chance::new(1), 100, 3);
        for part in 0..3 {
            assert!((33..=34).contains(&sides.iter().filter(|&&side| side == part).count()));
        }
    }

    #[test]
    fn descriptions_round_trip_and_garbage_is_refused() {
        let signal = description("offer", &[1, 2, 3]);
        assert!(signal.len() > SDP_BYTES && signal.len() < 1024);
        assert_eq!(read_description(&signal), Some(("offer", vec![1, 2, 3])));
        for garbage in [&b""[..], b"{}", b"\xff", b"{\"type\":\"offer\",\"sdp\":\"sim x\"}"] {
            assert_eq!(read_description(garbage), None);
        }
    }

    #[test]
    fn latency_is_symmetric_and_in_its_range() {
        for host in 1..100 {
            let there = latency(7, (10, 50), 0, host);
            assert_eq!(there, latency(7, (10, 50), host, 0));
            assert!((10..=50).contains(&there));
        }
    }
}
