//! Comparing stores: ours and `negentropy`, the same records and differences.
//!
//! Half of the differences are on each side. Counted are all bytes but the records themselves: on our side the
//! messages with their heads, what asks for records, and what ends a class; on the rival's its messages alone, though it
//! would have to ask too. A round trip is a message and its answer. CPU is that of both sides together: the first
//! time a store is built and compared, again it is compared with another peer's.
use bytes::Bytes;
use negentropy::{Id, Negentropy, NegentropyStorageVector};
use peergraph_core::id::{CertificateId, GroupId, RecordId};
use peergraph_core::identity::Identity;
use peergraph_core::index::Index;
use peergraph_core::limits::PAGE_MAX;
use peergraph_core::reconcile::{Answer, Comparison, Step};
use peergraph_core::record::{Meta, Record, RecordType};
use peergraph_core::time::WallTime;
use peergraph_tests::chance::Chance;
use peergraph_tests::report::CpuClock;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Comparisons are repeated until they took so much CPU: the system counts it in steps of a few milliseconds.
const AGAIN_MILLIS: f64 = 500.0;
/// Bytes of a message of ours besides the step or the short ids in it, at most: frame, kind, slot, class, lengths.
const HEAD_BYTES: usize = 13;

/// The choices of a comparison.
#[derive(clap::Args)]
pub struct Options {
    /// Records of both stores together.
    #[arg(long, default_value_t = 1_000_000)]
    records: u32,
    /// The seed from which everything else is drawn.
    #[arg(long, env = "SEED", default_value_t = 1)]
    seed: u64,
    /// Differences scattered over all records, one comparison each.
    #[arg(long, value_delimiter = ',', default_values_t = [0, 1, 100, 10_000])]
    scattered: Vec<usize>,
    /// Differences among the newest records, one comparison each.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 10_000])]
    recent: Vec<usize>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// One comparison, or the ratio of two.
#[derive(Clone, Serialize)]
struct Measured {
    sync_bytes: f64,
    bytes_per_difference: f64,
    round_trips: f64,
    cpu_s_first: f64,
    cpu_s_again: f64,
}

type Side = BTreeMap<String, Measured>;

#[derive(Serialize)]
struct Compared {
    ours: Side,
    rival: Side,
    ratio: Side,
}

/// Two stores of one kind.
trait Stores: Sized {
    /// Stores of all records but, each, some.
    fn new(all: &[Meta], lacks: [&[usize]; 2]) -> Self;
    /// Compares them: bytes, messages, differences found.
    fn compare(&self) -> [usize; 3];
}

/// Runs the comparison and prints it.
pub fn run(options: &Options) {
    eprintln!("making and signing {} records", options.records);
    let all = records(options);
    if !options.json {
        println!("Two stores of {} records, half of the differences on each side:\n", all.len());
    }
    let mut compared = Compared { ours: Side::new(), rival: Side::new(), ratio: Side::new() };
    let mut chance = Chance::new(options.seed);
    let scattered = options.scattered.iter().map(|&count| ("scattered", count));
    for (spread, count) in scattered.chain(options.recent.iter().map(|&count| ("recent", count))) {
        let mut places: Vec<usize> = match spread {
            "recent" => (all.len() - count..all.len()).collect(),
            _ => (0..all.len()).collect(),
        };
        chance.shuffle(&mut places);
        let lacks = places[..count].split_at(count / 2);
        let ours = measure::<Ours>(&all, [lacks.0, lacks.1]);
        let rival = measure::<Theirs>(&all, [lacks.0, lacks.1]);
        let name = format!("{spread}_{count}");
        eprintln!("{name} is compared");
        let ratio = ours.over(&rival);
        if !options.json {
            print(&format!("{count} {spread}"), [&ours, &rival, &ratio]);
        }
        compared.ratio.insert(name.clone(), ratio);
        compared.ours.insert(name.clone(), ours);
        compared.rival.insert(name, rival);
    }
    if options.json {
        println!("{}", serde_json::to_string(&compared).expect("a comparison is plain data"));
    }
}

/// Prints one comparison: ours, theirs and the ratio side by side.
fn print(differences: &str, [ours, rival, ratio]: [&Measured; 3]) {
    println!("{:<24}{:>12}{:>14}{:>9}", format!("{differences}:"), "ours", "negentropy", "ratio");
    let rows = ours.fields().into_iter().zip(rival.fields()).zip(ratio.fields());
    for (((name, decimals, ours), (.., rival)), (.., ratio)) in rows {
        println!("  {name:<22}{ours:>12.decimals$}{rival:>14.decimals$}{ratio:>9.3}");
    }
    println!();
}

/// Small signed records, one a millisecond.
fn records(options: &Options) -> Vec<Meta> {
    let mut chance = Chance::new(options.seed);
    let identity =
        Identity::generate(chance.bytes32(), [1; 16], "ada", WallTime(0)).expect("a short name");
    let (creator, group) = (identity.peer_id(), GroupId::from_bytes([7; 32]));
    let kind = RecordType::new("chat.message").expect("a type");
    let record = |nth: u32| {
        let created = WallTime(1_700_000_000_000 + u64::from(nth));
        Record {
            id: RecordId::new(creator, kind.as_str(), u64::from(nth)),
            kind: kind.clone(),
            version: created.0 << 16,
            creator,
            modifier: None,
            created,
            modified: created,
            expires: WallTime(created.0 + 1_000_000_000),
            deleted: false,
            attributes: Vec::new(),
            payload: Bytes::new(),
            certificate: CertificateId::from_bytes([1; 32]),
            beginning: None,
            signature: [0; 64],
        }
    };
    (0..options.records).map(|nth| Meta::from(&record(nth).sign(group, &identity))).collect()
}

fn measure<S: Stores>(all: &[Meta], lacks: [&[usize]; 2]) -> Measured {
    let clock = CpuClock::start();
    let stores = S::new(all, lacks);
    let [bytes, messages, found] = stores.compare();
    let first = clock.millis();
    let differences = lacks[0].len() + lacks[1].len();
    assert_eq!(found, differences, "every difference is found, and nothing else");
    let (clock, mut rounds) = (CpuClock::start(), 0.0);
    while clock.millis() < AGAIN_MILLIS {
        stores.compare();
        rounds += 1.0;
    }
    let again = clock.millis() / rounds;
    Measured {
        sync_bytes: bytes as f64,
        bytes_per_difference: bytes as f64 / differences.max(1) as f64,
        round_trips: messages.div_ceil(2) as f64,
        cpu_s_first: first / 1e3,
        cpu_s_again: again / 1e3,
    }
}

struct Ours([Index; 2]);

impl Stores for Ours {
    fn new(all: &[Meta], lacks: [&[usize]; 2]) -> Self {
        Self(lacks.map(|lacks| {
            let mut index = Index::default();
            all.iter().for_each(|meta| _ = index.insert(meta.clone()));
            lacks.iter().for_each(|&place| _ = index.remove(&all[place].id));
            index
        }))
    }

    fn compare(&self) -> [usize; 3] {
        let Self([asks, answers]) = self;
        let (asker, step) = Comparison::open(asks);
        let mut turn = ((answers, Comparison::default()), (asks, asker));
        // The message that nothing is left to compare, and the ends of both sides.
        let mut bytes = 3 * HEAD_BYTES;
        let (mut messages, mut found) = (0, 0);
        let mut next = Some(step);
        while let Some(step) = next {
            let message = minicbor::to_vec(&step).expect("a vector takes everything");
            bytes += HEAD_BYTES + message.len();
            messages += 1;
            let read: Step = minicbor::decode(&message).expect("our own message");
            let ((ours, comparison), (theirs, _)) = &mut turn;
            let Answer { reply, need, give, differ } =
                comparison.respond(ours, &read).expect("an honest message");
            bytes += ask_bytes(need.len(), 1 + RecordId::BYTES) + ask_bytes(differ.theirs.len(), 8);
            let given = differ.ours.iter().flat_map(|&short| ours.by_short(short));
            let got = differ.theirs.iter().flat_map(|&short| theirs.by_short(short));
            found += need.len() + give.len() + given.count() + got.count();
            next = reply;
            std::mem::swap(&mut turn.0, &mut turn.1);
        }
        [bytes, messages, found]
    }
}

/// Bytes to ask for records by ids of so many bytes, and to be told that they came.
fn ask_bytes(count: usize, each: usize) -> usize {
    count * each + count.div_ceil(PAGE_MAX) * 2 * HEAD_BYTES
}

struct Theirs([NegentropyStorageVector; 2]);

impl Stores for Theirs {
    fn new(all: &[Meta], lacks: [&[usize]; 2]) -> Self {
        Self(lacks.map(|lacks| {
            let mut storage = NegentropyStorageVector::with_capacity(all.len());
            let lacks: BTreeSet<usize> = lacks.iter().copied().collect();
            for (_, meta) in all.iter().enumerate().filter(|(place, _)| !lacks.contains(place)) {
                let id = Id::from_byte_array(*meta.digest.as_bytes());
                storage.insert(meta.modified.0, id).expect("not sealed");
            }
            storage.seal().expect("sealed once");
            storage
        }))
    }

    fn compare(&self) -> [usize; 3] {
        let Self([asks, answers]) = self;
        // No limit of a message: that is the fewest bytes and rounds.
        let mut asker = Negentropy::borrowed(asks, 0).expect("no limit");
        let mut answerer = Negentropy::borrowed(answers, 0).expect("no limit");
        let (mut have, mut need) = (Vec::new(), Vec::new());
        let (mut bytes, mut messages) = (0, 0);
        let mut next = Some(asker.initiate().expect("initiated once"));
        while let Some(question) = next {
            let answer = answerer.reconcile(&question).expect("an honest message");
            bytes += question.len() + answer.len();
            messages += 2;
            next = asker.reconcile_with_ids(&answer, &mut have, &mut need).expect("an honest one");
        }
        [bytes, messages, have.len() + need.len()]
    }
}

impl Measured {
    /// The printed figures, each with its number of decimals.
    fn fields(&self) -> [(&'static str, usize, f64); 5] {
        [
            ("sync bytes", 0, self.sync_bytes),
            ("bytes a difference", 1, self.bytes_per_difference),
            ("round trips", 0, self.round_trips),
            ("CPU s, first time", 4, self.cpu_s_first),
            ("CPU s, again", 6, self.cpu_s_again),
        ]
    }

    /// The ratio to another.
    fn over(&self, other: &Self) -> Self {
        Self {
            sync_bytes: self.sync_bytes / other.sync_bytes,
            bytes_per_difference: self.bytes_per_difference / other.bytes_per_difference,
            round_trips: self.round_trips / other.round_trips,
            cpu_s_first: self.cpu_s_first / other.cpu_s_first,
            cpu_s_again: self.cpu_s_again / other.cpu_s_again,
        }
    }
}
