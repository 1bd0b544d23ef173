//! Flooding: ours and that of `iroh-gossip`, node for node over the same links.
//!
//! The rival is driven without sockets, as its own simulator does it, but over the wires of our simulator: the
//! latency of a pair of hosts, the rate of a wire, the overhead of a frame and the time that a connection takes are
//! ours, drawn from the same seed. Both encode every message and decode it at the other end. Signatures are not
//! verified on our side, since the rival has none.
//!
//! Each load is published twice; the report covers the second half, when the trees have settled.
//! Only `random` is published by members that may be new: with its first record a member of ours
//! publishes its membership, whose bytes count.
mod ours;
mod theirs;

use peergraph_tests::HostId;
use peergraph_tests::chance::Chance;
use peergraph_tests::check::delivery::Delivery;
use peergraph_tests::report::CpuClock;
use serde::Serialize;
use std::collections::VecDeque;
use std::time::Duration;

/// Between two records. Virtual.
const PACE: Duration = Duration::from_millis(100);
/// How long the graph has to settle once everybody has joined. Virtual.
const SETTLED_AFTER: Duration = Duration::from_secs(120);
/// How long nobody publishes. Virtual.
const IDLE: Duration = Duration::from_secs(30);
/// How long records may take to everybody, crashes and their repair included. Virtual.
const DELIVERED_WITHIN: Duration = Duration::from_secs(180);
/// Publishers of the load between one and all.
const SOME: usize = 20;

/// The choices of a comparison.
#[derive(clap::Args)]
pub struct Options {
    /// How many nodes.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(4..=100_000))]
    nodes: u32,
    /// The seed from which everything else is drawn.
    #[arg(long, env = "SEED", default_value_t = 1)]
    seed: u64,
    /// Records of one half of a load.
    #[arg(long, default_value_t = 100)]
    records: u32,
    /// Bytes of a payload.
    #[arg(long, default_value_t = 1_024)]
    bytes: u32,
    /// Shares of the nodes that crash at once before the last loads, one run each.
    #[arg(long, value_delimiter = ',', default_values_t = [0.5, 0.8])]
    crash: Vec<f64>,
    /// Run ours alone, for tuning.
    #[arg(long)]
    alone: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// A network of nodes that publish to each other.
trait Net {
    /// Adds the nodes of `options`, and waits until all belong together.
    fn gather(options: &Options) -> Self;
    /// Publishes a tracked record.
    fn publish(&mut self, host: HostId, bytes: usize);
    /// Lets virtual time pass.
    fn run_for(&mut self, span: Duration);
    /// Lets virtual time pass until the live nodes have all records from number `from` on.
    fn settle(&mut self, from: usize, within: Duration);
    /// Kills nodes without warning.
    fn crash(&mut self, hosts: &[HostId]);
    /// Nodes that run.
    fn live(&self) -> Vec<HostId>;
    /// Neighbours of each node.
    fn neighbours(&self) -> Vec<Vec<HostId>>;
    /// The deliveries so far.
    fn delivery(&self) -> &Delivery;
    /// The traffic so far.
    fn sent(&self) -> Sent;
}

/// The traffic since the beginning.
#[derive(Clone, Copy, Default)]
struct Sent {
    frames: u64,
    bytes: u64,
    payloads: u64,
}

/// One load, or the ratio of two.
#[derive(Clone, Default, Serialize)]
struct Measured {
    /// Copies received for each needed copy, less one.
    redundancy: f64,
    /// Most hops of a delivery, and what a breadth-first flood over the same links takes from the same publishers.
    last_hop: f64,
    ideal_hop: f64,
    mean_hop: f64,
    /// From publication to the last node, over the records of the load. Virtual milliseconds.
    last_ms_p50: f64,
    last_ms_p99: f64,
    last_ms_max: f64,
    /// Bytes of all frames for each delivered byte of payload, and the same with the headers of a packet each.
    bytes_per_byte: f64,
    bytes_per_byte_in_packets: f64,
    frames_per_delivery: f64,
    cpu_us_per_delivery: f64,
    /// Records that a live node lacks at the end.
    missed: f64,
}

/// One side.
#[derive(Clone, Default, Serialize)]
struct Side {
    nodes: f64,
    neighbours_mean: f64,
    /// The cost of the graph while nobody publishes. CPU microseconds a node and second.
    idle_cpu_us: f64,
    one: Measured,
    /// Some that published before, and as many as there are records.
    some: Measured,
    many: Measured,
    /// Any members: most of them publish for the first time.
    random: Measured,
    /// Random senders right after a crash: by the share that crashed.
    crash: Vec<Measured>,
}

#[derive(Serialize)]
struct Comparison {
    ours: Side,
    rival: Side,
    ratio: Side,
}

/// Runs the comparison and prints it.
pub fn run(options: &Options) {
    let ours = side::<ours::Crowd>(options, "ours");
    if options.alone {
        print("ours", &ours);
        return;
    }
    let rival = side::<theirs::Swarm>(options, "rival");
    let ratio = ours.over(&rival);
    let comparison = Comparison { ours, rival, ratio };
    if options.json {
        println!("{}", serde_json::to_string(&comparison).expect("a comparison is plain data"));
        return;
    }
    print("ours", &comparison.ours);
    print("rival", &comparison.rival);
    print("ratio", &comparison.ratio);
}

fn side<N: Net>(options: &Options, name: &str) -> Side {
    let mut side = Side { nodes: f64::from(options.nodes), ..Side::default() };
    let mut chance = Chance::new(options.seed ^ 0x6c6f_6164);
    let mut net = N::gather(options);
    net.run_for(SETTLED_AFTER);
    eprintln!("{name}: {} nodes are there", options.nodes);
    let links: usize = net.neighbours().iter().map(Vec::len).sum();
    side.neighbours_mean = links as f64 / f64::from(options.nodes);
    let clock = CpuClock::start();
    net.run_for(IDLE);
    side.idle_cpu_us = clock.millis() * 1e3 / side.nodes / IDLE.as_secs_f64();
    let live = net.live();
    let draw = |chance: &mut Chance, count: usize| -> Vec<HostId> {
        (0..count).map(|_| *chance.of(&live)).collect()
    };
    let records = options.records as usize;
    for (measured, count) in [(&mut side.one, 1), (&mut side.some, SOME), (&mut side.many, records)]
    {
        let senders = draw(&mut chance, count);
        let each_in_turn: Vec<HostId> = senders.iter().copied().cycle().take(records).collect();
        half(&mut net, options, &each_in_turn);
        let any: Vec<HostId> = (0..records).map(|_| *chance.of(&senders)).collect();
        *measured = half(&mut net, options, &any);
    }
    let strangers = draw(&mut chance, records);
    side.random = half(&mut net, options, &strangers);
    for (nth, &share) in options.crash.iter().enumerate() {
        if nth > 0 {
            net = N::gather(options);
            net.run_for(SETTLED_AFTER);
        }
        let mut hosts = net.live();
        chance.shuffle(&mut hosts);
        let survivors = hosts.split_off((hosts.len() as f64 * share) as usize);
        net.crash(&hosts);
        let any: Vec<HostId> = (0..records).map(|_| *chance.of(&survivors)).collect();
        side.crash.push(half(&mut net, options, &any));
    }
    side
}

/// Each of `publishers` publishes a record, one after the other.
fn half(net: &mut impl Net, options: &Options, publishers: &[HostId]) -> Measured {
    let (from, before, clock) = (net.delivery().len(), net.sent(), CpuClock::start());
    for &publisher in publishers {
        net.publish(publisher, options.bytes as usize);
        net.run_for(PACE);
    }
    net.settle(from, DELIVERED_WITHIN);
    // Late announcements and acknowledgements belong to this load.
    net.run_for(Duration::from_secs(2));
    let cpu_ms = clock.millis();
    let (live, delivery, after) = (net.live(), net.delivery(), net.sent());
    let reach = delivery.reach(from, delivery.len(), &live);
    let mut last_us: Vec<u64> =
        (from..delivery.len()).map(|number| delivery.last_arrival(number, &live)).collect();
    last_us.sort_unstable();
    let at = |share: f64| last_us[((last_us.len() - 1) as f64 * share) as usize] as f64 / 1e3;
    let delivered = reach.delivered as f64;
    let (frames, bytes) = (after.frames - before.frames, after.bytes - before.bytes);
    let in_packets = bytes + frames * peergraph_tests::network::OVERHEAD_BYTES;
    let payload = delivered * f64::from(options.bytes);
    Measured {
        redundancy: (after.payloads - before.payloads) as f64 / delivered - 1.0,
        last_hop: f64::from(reach.last_hop),
        ideal_hop: ideal_hop(&net.neighbours(), publishers) as f64,
        mean_hop: reach.mean_hop,
        last_ms_p50: at(0.5),
        last_ms_p99: at(0.99),
        last_ms_max: at(1.0),
        bytes_per_byte: bytes as f64 / payload,
        bytes_per_byte_in_packets: in_packets as f64 / payload,
        frames_per_delivery: frames as f64 / delivered,
        cpu_us_per_delivery: cpu_ms * 1e3 / delivered,
        missed: reach.missed as f64,
    }
}

/// Hops of a breadth-first flood from the publishers to the farthest node that it reaches.
fn ideal_hop(neighbours: &[Vec<HostId>], publishers: &[HostId]) -> usize {
    let depth = |from: HostId| {
        let mut hops = vec![usize::MAX; neighbours.len()];
        let mut queue = VecDeque::from([from]);
        hops[from] = 0;
        let mut last = 0;
        while let Some(at) = queue.pop_front() {
            last = hops[at];
            for &next in &neighbours[at] {
                if hops[next] == usize::MAX {
                    hops[next] = hops[at] + 1;
                    queue.push_back(next);
                }
            }
        }
        last
    };
    publishers.iter().map(|&from| depth(from)).max().unwrap_or(0)
}

impl Measured {
    fn fields(&self) -> [(&'static str, f64); 12] {
        [
            ("redundancy", self.redundancy),
            ("last_hop", self.last_hop),
            ("ideal_hop", self.ideal_hop),
            ("mean_hop", self.mean_hop),
            ("last_ms_p50", self.last_ms_p50),
            ("last_ms_p99", self.last_ms_p99),
            ("last_ms_max", self.last_ms_max),
            ("bytes_per_byte", self.bytes_per_byte),
            ("in_packets", self.bytes_per_byte_in_packets),
            ("frames", self.frames_per_delivery),
            ("cpu_us", self.cpu_us_per_delivery),
            ("missed", self.missed),
        ]
    }

    /// The ratio to another; 1 if both are nothing, none if only theirs is.
    fn over(&self, other: &Self) -> Self {
        let ratio = |ours: f64, theirs: f64| match theirs == 0.0 {
            true if ours == 0.0 => 1.0,
            true => f64::NAN,
            false => ours / theirs,
        };
        Self {
            redundancy: ratio(self.redundancy, other.redundancy),
            last_hop: ratio(self.last_hop, other.last_hop),
            ideal_hop: ratio(self.ideal_hop, other.ideal_hop),
            mean_hop: ratio(self.mean_hop, other.mean_hop),
            last_ms_p50: ratio(self.last_ms_p50, other.last_ms_p50),
            last_ms_p99: ratio(self.last_ms_p99, other.last_ms_p99),
            last_ms_max: ratio(self.last_ms_max, other.last_ms_max),
            bytes_per_byte: ratio(self.bytes_per_byte, other.bytes_per_byte),
            bytes_per_byte_in_packets: ratio(
                self.bytes_per_byte_in_packets,
                other.bytes_per_byte_in_packets,
            ),
            frames_per_delivery: ratio(self.frames_per_delivery, other.frames_per_delivery),
            cpu_us_per_delivery: ratio(self.cpu_us_per_delivery, other.cpu_us_per_delivery),
            missed: ratio(self.missed, other.missed),
        }
    }
}

impl Side {
    fn over(&self, other: &Self) -> Self {
        Self {
            nodes: self.nodes / other.nodes,
            neighbours_mean: self.neighbours_mean / other.neighbours_mean,
            idle_cpu_us: self.idle_cpu_us / other.idle_cpu_us,
            one: self.one.over(&other.one),
            some: self.some.over(&other.some),
            many: self.many.over(&other.many),
            random: self.random.over(&other.random),
            crash: self.crash.iter().zip(&other.crash).map(|(a, b)| a.over(b)).collect(),
        }
    }
}

fn print(name: &str, side: &Side) {
    println!(
        "{name}: {:.1} neighbours, idle {:.1} CPU µs a node and second",
        side.neighbours_mean, side.idle_cpu_us
    );
    let loads =
        [("one", &side.one), ("some", &side.some), ("many", &side.many), ("random", &side.random)];
    let crashes = side.crash.iter().map(|measured| ("crash", measured));
    for (load, measured) in loads.into_iter().chain(crashes) {
        let fields = measured.fields().map(|(field, value)| format!("{field} {value:.2}"));
        println!("  {load:<6} {}", fields.join(", "));
    }
}
