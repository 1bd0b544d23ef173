//! The report of a run: one JSON object, or a table for people.
use crate::check::delivery::Reach;
use crate::kinds::KindCount;
use crate::scenario::Setup;
use crate::world::{Counts, World};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

/// CPU time of this thread.
#[derive(Debug)]
pub struct CpuClock {
    begun: Instant,
    nanos: Option<u64>,
}

impl CpuClock {
    /// Starts counting.
    pub fn start() -> Self {
        Self { begun: Instant::now(), nanos: thread_nanos() }
    }

    /// Milliseconds of CPU since the start; of wall time if the system does not tell.
    pub fn millis(&self) -> f64 {
        let nanos = match (self.nanos, thread_nanos()) {
            (Some(begun), Some(now)) => now - begun,
            _ => self.begun.elapsed().as_nanos() as u64,
        };
        nanos as f64 / 1e6
    }
}

/// Nanoseconds that this thread has run, as Linux counts them.
fn thread_nanos() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// Most memory that this process has had, as Linux counts it.
fn peak_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// One part of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Phase {
    /// The name of the phase.
    pub phase: String,
    /// Records that were published in it.
    pub records: u64,
    /// Records at members that did not publish them.
    pub delivered: u64,
    /// Records that a member lacks at the end of the phase.
    pub missed: u64,
    /// Copies of records on the wires.
    pub payload_messages: u64,
    /// Copies for each delivery, less one: 0 is a tree.
    pub redundancy: f64,
    /// Bytes of frames without a record.
    pub control_bytes: u64,
    /// Most hops of a delivery.
    pub last_hop: u8,
    /// Mean hops.
    pub mean_hop: f64,
    /// From publication to the last delivery, the longest. Virtual.
    pub slowest_ms: u64,
    /// How long it took. Virtual.
    pub virtual_ms: u64,
    /// Inputs handled.
    pub events: u64,
    /// CPU time.
    pub cpu_ms: u64,
}

/// A whole run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Which run.
    pub scenario: String,
    /// Nodes.
    pub nodes: usize,
    /// The seed from which it was drawn.
    pub seed: u64,
    /// Records, as asked for.
    pub records: usize,
    /// Share of browsers.
    pub browsers: f64,
    /// The cryptography of the nodes.
    pub crypto: &'static str,
    /// Records at members that did not publish them.
    pub delivered: u64,
    /// Records that a member lacks at the end.
    pub missed: u64,
    /// Copies of records on the wires.
    pub payload_messages: u64,
    /// Copies for each delivery, less one.
    pub redundancy: f64,
    /// Bytes of frames with a record.
    pub payload_bytes: u64,
    /// Bytes of all other frames.
    pub control_bytes: u64,
    /// Frames.
    pub frames: u64,
    /// Most hops of a delivery.
    pub last_hop: u8,
    /// Transports that nodes asked for.
    pub links_opened: u64,
    /// Links lost because a node saw a fault of its peer.
    pub misbehaved: u64,
    /// The same, if the peer lied.
    pub caught: u64,
    /// Virtual time.
    pub virtual_ms: u64,
    /// Inputs handled.
    pub events: u64,
    /// CPU time.
    pub cpu_ms: u64,
    /// Inputs handled in each second of it.
    pub events_per_cpu_s: u64,
    /// Most memory that the process has had so far, for each node. 0 if the system does not tell.
    pub bytes_per_node: u64,
    /// Fingerprint of everything that happened.
    pub digest: String,
    /// The other figures of the scenario.
    #[serde(flatten)]
    pub measures: BTreeMap<&'static str, f64>,
    /// Messages and their bytes on the wires, by kind.
    pub kinds: BTreeMap<&'static str, KindCount>,
    /// The parts.
    pub phases: Vec<Phase>,
}

/// Takes the measures of a run while it goes on.
#[derive(Debug)]
pub struct Meter {
    clock: CpuClock,
    phase: CpuClock,
    counts: Counts,
    began: u64,
    phases: Vec<Phase>,
    measures: BTreeMap<&'static str, f64>,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            clock: CpuClock::start(),
            phase: CpuClock::start(),
            counts: Counts::default(),
            began: 0,
            phases: Vec::new(),
            measures: BTreeMap::new(),
        }
    }
}

impl Meter {
    /// Ends a phase in which `records` records were published and reached as `reach` says.
    pub fn phase(&mut self, world: &World, name: &str, records: usize, reach: Reach) -> &Phase {
        let (now, was) = (world.counts, self.counts);
        let virtual_us = world.time().as_micros() as u64;
        let payload_messages = now.payload_messages - was.payload_messages;
        self.phases.push(Phase {
            phase: name.to_owned(),
            records: records as u64,
            delivered: reach.delivered,
            missed: reach.missed,
            payload_messages,
            redundancy: redundancy(payload_messages, reach.delivered),
            control_bytes: now.control_bytes - was.control_bytes,
            last_hop: reach.last_hop,
            mean_hop: (reach.mean_hop * 100.0).round() / 100.0,
            slowest_ms: reach.slowest / 1_000,
            virtual_ms: (virtual_us - self.began) / 1_000,
            events: now.events - was.events,
            cpu_ms: self.phase.millis() as u64,
        });
        self.phase = CpuClock::start();
        self.counts = now;
        self.began = virtual_us;
        self.phases.last().expect("one was just added")
    }

    /// Notes what the scenario measures besides. Names end with their unit: a summary of many runs has percentiles of
    /// those that end with `_ms`.
    pub fn note(&mut self, name: &'static str, value: f64) {
        self.measures.insert(name, value);
    }

    /// Ends the run; `missed` is what members lack now, whatever the phases saw.
    pub fn finish(self, setup: &Setup, world: &World, missed: u64) -> Report {
        let delivered = self.phases.iter().map(|phase| phase.delivered).sum();
        let cpu_ms = self.clock.millis();
        Report {
            scenario: setup.scenario.name.to_owned(),
            nodes: setup.nodes,
            seed: setup.seed,
            records: setup.records,
            browsers: setup.knobs.browsers,
            crypto: setup.knobs.crypto.name(),
            delivered,
            missed,
            payload_messages: world.counts.payload_messages,
            redundancy: redundancy(world.counts.payload_messages, delivered),
            payload_bytes: world.counts.payload_bytes,
            control_bytes: world.counts.control_bytes,
            frames: world.counts.frames,
            last_hop: self.phases.iter().map(|phase| phase.last_hop).max().unwrap_or(0),
            links_opened: world.counts.links_opened,
            misbehaved: world.counts.misbehaved,
            caught: world.counts.caught,
            virtual_ms: world.time().as_millis() as u64,
            events: world.counts.events,
            cpu_ms: cpu_ms as u64,
            events_per_cpu_s: (world.counts.events as f64 / (cpu_ms / 1e3).max(1e-3)) as u64,
            bytes_per_node: peak_bytes().unwrap_or(0) / setup.nodes.max(1) as u64,
            digest: format!("{:016x}", world.digest()),
            measures: self.measures,
            kinds: world.kinds.by_name(),
            phases: self.phases,
        }
    }
}

fn redundancy(messages: u64, delivered: u64) -> f64 {
    if delivered == 0 {
        return 0.0;
    }
    ((messages as f64 / delivered as f64 - 1.0) * 1_000.0).round() / 1_000.0
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<10} {:>8} {:>10} {:>7} {:>10} {:>7.3} {:>6.1} {:>5} {:>6.2} {:>8} {:>9} {:>10} {:>7}",
            self.phase,
            self.records,
            self.delivered,
            self.missed,
            self.payload_messages,
            self.redundancy,
            self.control_bytes as f64 / 1e6,
            self.last_hop,
            self.mean_hop,
            self.slowest_ms,
            self.virtual_ms,
            self.events,
            self.cpu_ms
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} nodes ({:.0} % browsers), seed {}",
            self.scenario,
            self.nodes,
            self.browsers * 100.0,
            self.seed
        )?;
        writeln!(
            f,
            "phase       records  delivered  missed   payloads  redund  ctl-MB  last   mean  slow-ms   virt-ms     events  cpu-ms"
        )?;
        for phase in &self.phases {
            writeln!(f, "{phase}")?;
        }
        writeln!(
            f,
            "delivered {}, missed {}; {} frames, {:.1} MB control, {:.1} MB with records; {} links opened, {} faults",
            self.delivered,
            self.missed,
            self.frames,
            self.control_bytes as f64 / 1e6,
            self.payload_bytes as f64 / 1e6,
            self.links_opened,
            self.misbehaved
        )?;
        for (name, value) in &self.measures {
            writeln!(f, "{name} {value}")?;
        }
        write!(
            f,
            "{:.1} s virtual, {} events, {:.2} CPU s ({} events per CPU s), {} KB a node, digest {}",
            self.virtual_ms as f64 / 1e3,
            self.events,
            self.cpu_ms as f64 / 1e3,
            self.events_per_cpu_s,
            self.bytes_per_node / 1_000,
            self.digest
        )
    }
}
