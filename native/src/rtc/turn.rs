//! One turn of the engine: what arrives, timers that are due, and what every link has to say.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::link::{Origin, Reads, Step};
use super::socket::{self, Inbox, Port, Sent};
use super::{BUFFERED_BYTES_LOW, Engine, Happened, RtcId};

/// Most messages taken from all links in one turn. Ours: 8 MiB at full length.
const READS_PER_TURN: usize = 512;
/// Most receive calls on one socket in one turn. Measured: 4 × 8 buffers.
const RECEIVES_PER_TURN: usize = 4;
/// How long a full send buffer is waited for; then what waits is dropped, as a network would.
const SEND_WAIT: Duration = Duration::from_millis(5);
/// A deadline that stays in the past is looked at again after this, so that nothing spins.
const TIMER_MIN: Duration = Duration::from_millis(1);

impl Engine {
    /// Waits until a packet arrives or a timer is due, and handles it; returns at once when
    /// [`Engine::poll`] has something. Safe to drop at any time, as `select!` does.
    pub async fn turn(&mut self) {
        self.run();
        if !self.happened.is_empty() {
            return;
        }
        if let Some(index) = self.full {
            let port = &self.ports[index];
            let writable = poll_fn(|context| port.poll_writable(context));
            let _ = tokio::time::timeout(SEND_WAIT, writable).await;
            self.unblock(index);
        } else if wait(&self.ports, self.deadline()).await {
            self.receive();
        }
        self.run();
    }

    fn deadline(&self) -> Option<Instant> {
        let timer = self.timers.first().map(|(at, _)| *at);
        timer.into_iter().chain(self.reflexive.deadline()).min()
    }

    fn receive(&mut self) {
        for index in 0..self.ports.len() {
            for _ in 0..RECEIVES_PER_TURN {
                let Ok(count) = self.ports[index].receive(&mut self.inbox) else {
                    self.stats.failures += 1;
                    break;
                };
                let now = Instant::now();
                let inbox = std::mem::replace(&mut self.inbox, Inbox::empty());
                for (from, to, datagram) in inbox.datagrams(count) {
                    let local = self.ports[index].local(to);
                    self.datagram(index, local, from, datagram, now);
                }
                self.inbox = inbox;
                if !socket::is_full(count) {
                    break;
                }
                // Acknowledgements go out, or the senders wait for them.
                self.run();
            }
        }
    }

    /// Timers that are due, then every link that something happened to.
    fn run(&mut self) {
        let now = Instant::now();
        while let Some(&(at, id)) = self.timers.first() {
            if at > now {
                break;
            }
            self.timers.pop_first();
            if let Some(link) = self.links.get_mut(&id) {
                link.wake = None;
                link.timeout(now);
                self.touch(id);
            }
        }
        if self.reflexive.deadline().is_some_and(|at| at <= now) {
            self.ask_servers(now);
        }
        let mut reads = READS_PER_TURN.saturating_sub(self.happened.len());
        for _ in 0..self.dirty.len() {
            if self.full.is_some() {
                return;
            }
            let Some(id) = self.dirty.pop_front() else { break };
            if let Some(link) = self.links.get_mut(&id) {
                link.dirty = false;
                self.drain(id, &mut reads, now);
            }
        }
        for index in 0..self.ports.len() {
            self.flush(index);
        }
    }

    /// Drains one link: events and messages, then packets, until nothing moves.
    fn drain(&mut self, id: RtcId, reads: &mut usize, now: Instant) {
        let mut reads = Reads::new(reads);
        loop {
            let mut moved = false;
            while let Some(step) = self.links.get_mut(&id).and_then(|it| it.step(&mut reads)) {
                moved = true;
                self.report(id, step);
            }
            while let Some(packet) = self.links.get_mut(&id).and_then(|it| it.poll_packet(now)) {
                moved = true;
                if !self.push(id, &packet) {
                    if let Some(link) = self.links.get_mut(&id) {
                        link.hold(packet);
                    }
                    self.touch(id);
                    return;
                }
            }
            if !moved {
                break;
            }
        }
        self.settle(id, reads.left(), now);
    }

    /// After a drain: is the link alive, what has it sent, when must it be woken?
    fn settle(&mut self, id: RtcId, drained: bool, now: Instant) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.is_dead() {
            let answered = link.has_answered();
            self.close(id);
            self.happened.push_back(Happened::Gone { link: id, answered });
            return;
        }
        if let Some(bytes) = link.progress(BUFFERED_BYTES_LOW) {
            self.happened.push_back(Happened::Buffered { link: id, bytes });
        }
        if link.owes(now) {
            self.happened.push_back(Happened::Quiet { link: id });
            // A router may have given us another address.
            self.reflexive.forget_old(now);
            self.gather(now);
        }
        let Some(link) = self.links.get_mut(&id) else { return };
        let at = link.poll_timeout(now).max(now + TIMER_MIN);
        // Only ever earlier: a timer that fires too early is armed again.
        if link.wake.is_none_or(|wake| at < wake) {
            if let Some(wake) = link.wake.replace(at) {
                self.timers.remove(&(wake, id));
            }
            self.timers.insert((at, id));
        }
        if !drained {
            self.touch(id);
        }
    }

    fn report(&mut self, id: RtcId, step: Step) {
        match step {
            Step::Message(bytes) => {
                self.happened.push_back(Happened::Message { link: id, bytes });
            }
            Step::Quiet => self.happened.push_back(Happened::Quiet { link: id }),
            Step::Open(theirs) => {
                let Some(link) = self.links.get(&id) else { return };
                if link.origin == Origin::Stranger {
                    self.half_open.leave(&id);
                    if let Some((_, from)) = link.addresses.first().copied() {
                        self.happened.push_back(Happened::Incoming { link: id, from });
                    }
                }
                let ours = self.fingerprint;
                self.opened(id);
                self.happened.push_back(Happened::Open { link: id, ours, theirs });
            }
        }
    }

    /// Puts a packet into its socket's batch; `false` when the socket is full.
    pub(super) fn push(&mut self, id: RtcId, packet: &rtc::shared::TaggedBytesMut) -> bool {
        let (local, to) = (packet.transport.local_addr, packet.transport.peer_addr);
        let Some(index) = self.ports.iter().position(|port| port.owns(local)) else {
            self.stats.dropped += 1;
            return true;
        };
        if !self.may_send(id, (index, to), &packet.message) {
            return true;
        }
        if !self.ports[index].joins(local, to, packet.message.len()) && !self.flush(index) {
            return false;
        }
        self.ports[index].push(local, to, &packet.message);
        true
    }

    /// Puts a datagram that is of no link into its socket's batch. It is dropped if the socket is full: whoever waits for it
    /// asks again.
    pub(super) fn push_to(&mut self, port: usize, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let joins = self.ports[port].joins(from, to, bytes.len());
        if self.full == Some(port) || (!joins && !self.flush(port)) {
            self.stats.dropped += 1;
            return;
        }
        self.ports[port].push(from, to, bytes);
    }

    /// Sends what waits at a socket; `false` when it is full.
    pub(super) fn flush(&mut self, index: usize) -> bool {
        match self.ports[index].send() {
            Sent::Out(0) => {}
            Sent::Out(count) => {
                self.stats.sends += 1;
                self.stats.sent += count as u64;
            }
            Sent::Dropped(count) => self.stats.dropped += count as u64,
            Sent::Full => {
                self.full = Some(index);
                return false;
            }
        }
        true
    }

    /// Tries once more to send what a full socket held, and else drops it.
    fn unblock(&mut self, index: usize) {
        self.full = None;
        if !self.flush(index) {
            self.full = None;
            self.stats.dropped += self.ports[index].discard() as u64;
        }
    }
}

/// Waits for a packet (`true`) or until `deadline`.
async fn wait(ports: &[Port], deadline: Option<Instant>) -> bool {
    let readable = poll_fn(|context| {
        let mut ready = Poll::Pending;
        for port in ports {
            if port.poll_readable(context).is_ready() {
                ready = Poll::Ready(());
            }
        }
        ready
    });
    match deadline {
        Some(at) => tokio::time::timeout_at(at.into(), readable).await.is_ok(),
        None => {
            readable.await;
            true
        }
    }
}
