//! The rival: the state machines of `iroh-gossip` (HyParView and Plumtree, its default settings) on our wires.
//!
//! This module does the work of its runtime around them: one connection between two hosts, made
//! when the first message is sent; a message is encoded with a length before it, and without the
//! topic, which the head of a stream carries.
use super::{Net, Options, Sent};
use bytes::Bytes;
use iroh_gossip::TopicId;
use iroh_gossip::proto::state::{InEvent, Message, OutEvent, State, Timer};
use iroh_gossip::proto::{Command, Config, Event, PeerData, Scope};
use peergraph_tests::HostId;
use peergraph_tests::chance::Chance;
use peergraph_tests::check::delivery::Delivery;
use peergraph_tests::network::{self, NetworkOptions, OVERHEAD_BYTES};
use peergraph_tests::queue::Queue;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Bytes of the length before a message, and of the topic that is left out.
const LENGTH_BYTES: u64 = 4;
const TOPIC_BYTES: u64 = 32;
/// Nodes that a newcomer is told.
const DOORS: usize = 3;
/// How long a dial to nobody takes to fail, and after which silence a connection is dead. Microseconds. Source: those
/// of our simulator; the idle timeout of QUIC.
const DIAL_TIMEOUT: u64 = 5_000_000;
const IDLE_TIMEOUT: u64 = 30_000_000;

/// A swarm of simulated nodes.
pub struct Swarm {
    seed: u64,
    topic: TopicId,
    nodes: Vec<Option<State<u32, StdRng>>>,
    neighbours: Vec<BTreeSet<HostId>>,
    wires: BTreeMap<(u32, u32), Wire>,
    queue: Queue<Pending>,
    now: u64,
    /// The time that the virtual clock shows at its beginning, in the only form that the rival
    /// takes.
    epoch: Instant,
    network: NetworkOptions,
    chance: Chance,
    delivery: Delivery,
    sent: Sent,
}

#[derive(Clone, Copy)]
struct Wire {
    up_at: u64,
    /// When the last byte has left, from the lower and from the higher host.
    sent_at: [u64; 2],
}

enum Pending {
    Frame { from: u32, to: u32, bytes: Vec<u8> },
    Timer { host: u32, timer: Timer<u32> },
    Gone { host: u32, peer: u32 },
}

impl Swarm {
    fn handle(&mut self, host: u32, event: InEvent<u32>) {
        let now = self.epoch + Duration::from_micros(self.now);
        let Some(mut node) = self.nodes[host as usize].take() else { return };
        for out in node.handle(event, now.into(), None) {
            match out {
                OutEvent::SendMessage(to, message) => self.send(host, to, &message),
                OutEvent::ScheduleTimer(after, timer) => {
                    let at = self.now + after.as_micros() as u64;
                    self.queue.push(at, Pending::Timer { host, timer });
                }
                OutEvent::DisconnectPeer(peer) => self.disconnect(host, peer),
                OutEvent::EmitEvent(_, Event::NeighborUp(peer)) => {
                    self.neighbours[host as usize].insert(peer as HostId);
                }
                OutEvent::EmitEvent(_, Event::NeighborDown(peer)) => {
                    self.neighbours[host as usize].remove(&(peer as HostId));
                }
                OutEvent::EmitEvent(_, Event::Received(event)) => {
                    self.delivery.seen(host as HostId, self.now, &event.content);
                }
                OutEvent::PeerData(..) => {}
            }
        }
        self.nodes[host as usize] = Some(node);
    }

    fn send(&mut self, from: u32, to: u32, message: &Message<u32>) {
        if self.nodes[to as usize].is_none() {
            // A connection that died is noticed at its own time; one that cannot be made, when the dial fails.
            if !self.wires.contains_key(&pair(from, to)) {
                self.queue.push(self.now + DIAL_TIMEOUT, Pending::Gone { host: from, peer: to });
            }
            return;
        }
        let bytes = postcard::to_allocvec(message).expect("a message of the rival has an encoding");
        let length = bytes.len() as u64 - TOPIC_BYTES + LENGTH_BYTES;
        let latency =
            network::latency(self.seed, self.network.latency, from as HostId, to as HostId);
        let wire = self.wires.entry(pair(from, to)).or_insert_with(|| {
            let work = self.chance.within(5_000..20_000);
            Wire { up_at: self.now + 9 * latency + work, sent_at: [0; 2] }
        });
        let sent_at = &mut wire.sent_at[usize::from(from > to)];
        *sent_at = (*sent_at).max(self.now).max(wire.up_at)
            + (length + OVERHEAD_BYTES) * 1_000_000 / self.network.rate;
        let arrival = *sent_at + latency;
        self.sent.frames += 1;
        self.sent.bytes += length;
        let ends = (from as HostId, to as HostId);
        self.sent.payloads += self.delivery.sent(ends, &bytes, self.now, arrival);
        self.queue.push(arrival, Pending::Frame { from, to, bytes });
    }

    fn disconnect(&mut self, host: u32, peer: u32) {
        let Some(wire) = self.wires.remove(&pair(host, peer)) else { return };
        let latency =
            network::latency(self.seed, self.network.latency, host as HostId, peer as HostId);
        let heard = wire.sent_at[usize::from(host > peer)].max(self.now) + latency + 1;
        self.queue.push(heard, Pending::Gone { host: peer, peer: host });
    }

    fn step(&mut self) {
        let Some((at, pending)) = self.queue.pop() else { return };
        self.now = at;
        match pending {
            Pending::Frame { from, to, bytes } => {
                let message = postcard::from_bytes(&bytes).expect("the rival reads what it wrote");
                self.handle(to, InEvent::RecvMessage(from, message));
            }
            Pending::Timer { host, timer } => self.handle(host, InEvent::TimerExpired(timer)),
            Pending::Gone { host, peer } => {
                self.wires.remove(&pair(host, peer));
                self.handle(host, InEvent::PeerDisconnected(peer));
            }
        }
    }

    fn command(&mut self, host: u32, command: Command<u32>) {
        self.handle(host, InEvent::Command(self.topic, command));
    }
}

fn pair(a: u32, b: u32) -> (u32, u32) {
    (a.min(b), a.max(b))
}

impl Net for Swarm {
    fn gather(options: &Options) -> Self {
        let mut chance = Chance::new(options.seed);
        let delivery = Delivery::new(chance.any());
        let mut swarm = Self {
            seed: options.seed,
            topic: TopicId::from_bytes([7; 32]),
            nodes: Vec::new(),
            neighbours: Vec::new(),
            wires: BTreeMap::new(),
            queue: Queue::default(),
            now: 0,
            epoch: Instant::now(),
            network: NetworkOptions::default(),
            chance,
            delivery,
            sent: Sent::default(),
        };
        // In bursts, as ours.
        let total = options.nodes;
        let burst_max = (u64::from(total) / 10).clamp(1, 100) + 1;
        while (swarm.nodes.len() as u32) < total {
            let there = swarm.nodes.len() as u32;
            let burst = (swarm.chance.within(1..burst_max) as u32).min(total - there);
            for host in there..there + burst {
                let rng = StdRng::seed_from_u64(swarm.chance.any());
                let node = State::new(host, PeerData::default(), Config::default(), rng);
                swarm.nodes.push(Some(node));
                swarm.neighbours.push(BTreeSet::new());
                let mut doors: Vec<u32> = (0..DOORS)
                    .filter(|_| there > 0)
                    .map(|_| swarm.chance.within(0..u64::from(there)) as u32)
                    .collect();
                doors.sort_unstable();
                doors.dedup();
                if there == 0 && host > 0 {
                    doors.push(0);
                }
                swarm.command(host, Command::Join(doors));
            }
            let pause = swarm.chance.within(50..400);
            swarm.run_for(Duration::from_millis(pause));
        }
        swarm
    }

    fn publish(&mut self, host: HostId, bytes: usize) {
        let payload: Bytes = self.delivery.publish(host, self.now, self.nodes.len(), bytes);
        self.command(host as u32, Command::Broadcast(payload, Scope::Swarm));
    }

    fn run_for(&mut self, span: Duration) {
        let end = self.now + span.as_micros() as u64;
        while self.queue.next_at().is_some_and(|at| at <= end) {
            self.step();
        }
        self.now = end;
    }

    fn settle(&mut self, from: usize, within: Duration) {
        let end = self.now + within.as_micros() as u64;
        let live = self.live();
        while !self.delivery.complete(from, &live)
            && self.queue.next_at().is_some_and(|at| at <= end)
        {
            for _ in 0..200 {
                self.step();
            }
        }
    }

    fn crash(&mut self, hosts: &[HostId]) {
        for &host in hosts {
            self.nodes[host] = None;
        }
        let dead: Vec<(u32, u32)> = self
            .wires
            .keys()
            .copied()
            .filter(|&(a, b)| self.nodes[a as usize].is_none() || self.nodes[b as usize].is_none())
            .collect();
        for (a, b) in dead {
            for (host, peer) in [(a, b), (b, a)] {
                let silent = self.chance.with(self.network.silence);
                let notice = self.chance.within(0..self.network.notice_max + 1);
                let after = if silent { IDLE_TIMEOUT } else { notice };
                self.queue.push(self.now + after, Pending::Gone { host, peer });
            }
        }
    }

    fn live(&self) -> Vec<HostId> {
        (0..self.nodes.len()).filter(|&host| self.nodes[host].is_some()).collect()
    }

    fn neighbours(&self) -> Vec<Vec<HostId>> {
        self.neighbours.iter().map(|others| others.iter().copied().collect()).collect()
    }

    fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    fn sent(&self) -> Sent {
        self.sent
    }
}
