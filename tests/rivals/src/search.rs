//! Searching: our index in memory, SQLite's FTS5 and `tantivy`, the same records and questions.
//!
//! A record has words whose frequencies follow Zipf's law, as those of people do. All three keep what a phrase needs, in
//! memory, and work on one thread. Counted for a build is the CPU from texts to the answer of a first question; memory is
//! what each counts of its index: ours of its segments, SQLite of its pages, `tantivy` of its files. A question is asked with the word of a rank: rank 1 is in
//! most records. CPU of a question is that of its thread, which the system counts in nanoseconds.
use bytes::Bytes;
use cpu_time::ThreadTime;
use peergraph_core::id::{CertificateId, GroupId, PeerId, RecordId};
use peergraph_core::identity::Identity;
use peergraph_core::index::Index;
use peergraph_core::limits::SEARCH_STEPS_MAX;
use peergraph_core::record::{Attribute, MEDIA_TYPE, Meta, Record, RecordType, Value};
use peergraph_core::search::inverted::Wanted;
use peergraph_core::search::{Names, Order, Query, SearchIndex};
use peergraph_core::time::WallTime;
use peergraph_tests::chance::Chance;
use rusqlite::Connection;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use tantivy::collector::{Count, TopDocs};
use tantivy::directory::RamDirectory;
use tantivy::query::QueryParser;
use tantivy::schema::{FAST, INDEXED, Schema, TEXT};
use tantivy::{Index as TheirIndex, IndexReader, Order as TheirOrder, TantivyDocument};

/// Words that there are.
const VOCABULARY: usize = 50_000;
/// Words of a record.
const WORDS: usize = 20;
/// Results of a question.
const LIMIT: usize = 20;
/// How often a question of one kind is asked, each time with other words.
const TIMES: usize = 40;

/// The choices of a comparison.
#[derive(clap::Args)]
pub struct Options {
    /// Records.
    #[arg(long, default_value_t = 1_000_000)]
    records: u32,
    /// The seed from which everything else is drawn.
    #[arg(long, env = "SEED", default_value_t = 1)]
    seed: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// The figures of one system.
#[derive(Clone, Default, Serialize)]
struct Side {
    docs_per_cpu_s: f64,
    memory_mb: f64,
    /// CPU of questions by kind and order: the median and the 99th percentile.
    #[serde(flatten)]
    questions: BTreeMap<String, f64>,
}

#[derive(Serialize)]
struct Compared {
    records: u32,
    ours: Side,
    rival: Side,
    tantivy: Side,
    ratio: BTreeMap<String, f64>,
}

/// A question in the notations of all three, and how many records it finds.
struct Question {
    kind: String,
    ours: String,
    fts5: String,
    tantivy: String,
}

/// A system that finds records.
trait Finds {
    /// How many records it finds in this order, at most [`LIMIT`].
    fn find(&mut self, question: &Question, best: bool) -> usize;
    /// How many there are in all.
    fn count(&mut self, question: &Question) -> u64;
}

/// Runs the comparison and prints it.
pub fn run(options: &Options) {
    let mut chance = Chance::new(options.seed);
    let words = Zipf::new();
    let texts: Vec<String> = (0..options.records).map(|_| words.text(&mut chance)).collect();
    let questions = questions(&mut chance);
    eprintln!("{} texts are made", texts.len());

    let (ours, counts) = measure::<Ours>(&texts, &questions, None);
    eprintln!("ours is measured");
    let (rival, _) = measure::<Fts5>(&texts, &questions, Some(&counts));
    eprintln!("FTS5 is measured");
    let (tantivy, _) = measure::<Tantivy>(&texts, &questions, Some(&counts));

    let mut ratio: BTreeMap<String, f64> = ours
        .questions
        .iter()
        .map(|(name, cpu)| (name.clone(), cpu / rival.questions[name]))
        .collect();
    ratio.insert("docs_per_cpu_s".to_owned(), ours.docs_per_cpu_s / rival.docs_per_cpu_s);
    ratio.insert("memory_mb".to_owned(), ours.memory_mb / rival.memory_mb);
    let compared = Compared { records: options.records, ours, rival, tantivy, ratio };
    if options.json {
        println!("{}", serde_json::to_string(&compared).expect("a comparison is plain data"));
    } else {
        print(&compared);
    }
}

fn print(compared: &Compared) {
    let Compared { records, ours, rival, tantivy, ratio } = compared;
    println!("{records} records of {WORDS} words, {LIMIT} results:\n");
    println!("{:<30}{:>12}{:>12}{:>12}{:>9}", "", "ours", "FTS5", "tantivy", "ratio");
    let row = |name: &str, [a, b, c]: [f64; 3], decimals: usize| {
        println!(
            "{name:<30}{a:>12.decimals$}{b:>12.decimals$}{c:>12.decimals$}{:>9.3}",
            ratio[name]
        );
    };
    row("docs_per_cpu_s", [ours, rival, tantivy].map(|side| side.docs_per_cpu_s), 0);
    row("memory_mb", [ours, rival, tantivy].map(|side| side.memory_mb), 1);
    for name in ours.questions.keys() {
        row(name, [ours, rival, tantivy].map(|side| side.questions[name]), 3);
    }
}

/// Builds a system and asks it. `counts` are those that the first one found.
fn measure<F: Finds + Built>(
    texts: &[String],
    questions: &[Question],
    counts: Option<&[u64]>,
) -> (Side, Vec<u64>) {
    let prepared = F::prepare(texts);
    let clock = ThreadTime::now();
    let mut system = F::build(prepared, texts);
    system.find(&questions[0], false);
    let built = clock.elapsed();
    let mut side = Side {
        docs_per_cpu_s: texts.len() as f64 / built.as_secs_f64(),
        memory_mb: system.memory() as f64 / 1e6,
        ..Side::default()
    };
    let mut found = Vec::new();
    for (nth, question) in questions.iter().enumerate() {
        let count = system.count(question);
        if let Some(counts) = counts {
            assert_eq!(
                count, counts[nth],
                "{} {:?}: all find the same",
                question.kind, question.ours
            );
        }
        found.push(count);
    }
    for (order, best) in [("newest", false), ("best", true)] {
        let mut cpu: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
        for question in questions {
            let clock = ThreadTime::now();
            system.find(question, best);
            cpu.entry(&question.kind).or_default().push(clock.elapsed());
        }
        for (kind, mut cpu) in cpu {
            cpu.sort_unstable();
            let ms = |it: Duration| it.as_secs_f64() * 1e3;
            let name = |what: &str| format!("{order} {kind} {what} ms");
            side.questions.insert(name("p50"), ms(cpu[cpu.len() / 2]));
            side.questions.insert(name("p99"), ms(cpu[(cpu.len() * 99).div_ceil(100) - 1]));
        }
    }
    (side, found)
}

/// Words by rank, drawn as often as people use theirs.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new() -> Self {
        let mut sum = 0.0;
        let sums = (1..=VOCABULARY).map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        });
        Self(sums.collect())
    }

    fn text(&self, chance: &mut Chance) -> String {
        let words: Vec<String> = (0..WORDS).map(|_| word(self.rank(chance))).collect();
        words.join(" ")
    }

    fn rank(&self, chance: &mut Chance) -> usize {
        let at = chance.within(0..1 << 40) as f64 / (1_u64 << 40) as f64 * self.0[VOCABULARY - 1];
        self.0.partition_point(|sum| *sum < at) + 1
    }
}

/// The word of a rank.
fn word(rank: usize) -> String {
    format!("w{rank}x")
}

/// Questions of all kinds.
fn questions(chance: &mut Chance) -> Vec<Question> {
    let mut questions = Vec::new();
    let mut one = |kind: &str, from: u64, to: u64, join: &str, count: usize| {
        for _ in 0..TIMES {
            let words: Vec<String> =
                (0..count).map(|_| word(chance.within(from..to + 1) as usize)).collect();
            let joined = words.join(join);
            questions.push(Question {
                kind: kind.to_owned(),
                ours: joined.clone(),
                fts5: joined.clone(),
                tantivy: joined,
            });
        }
    };
    one("word, rank 1 to 10", 1, 10, "", 1);
    one("word, rank 100 to 1000", 100, 1_000, "", 1);
    one("word, rank 10000 to 50000", 10_000, 50_000, "", 1);
    one("two words, rank 1 to 100", 1, 100, " AND ", 2);
    one("three words by OR, rank 1 to 10", 1, 10, " OR ", 3);
    one("three words by OR, rank 100 to 1000", 100, 1_000, " OR ", 3);
    for _ in 0..TIMES {
        let [a, b] = [(); 2].map(|()| word(chance.within(1..101) as usize));
        let phrase = format!("\"{a} {b}\"");
        questions.push(Question {
            kind: "phrase, rank 1 to 100".to_owned(),
            ours: phrase.clone(),
            fts5: phrase.clone(),
            tantivy: phrase,
        });
    }
    questions
}

/// A system that is built of texts.
trait Built: Sized {
    /// Something that is made before, and is not counted.
    type Prepared;
    fn prepare(texts: &[String]) -> Self::Prepared;
    fn build(prepared: Self::Prepared, texts: &[String]) -> Self;
    /// Bytes of its index.
    fn memory(&self) -> usize;
}

struct Ours {
    index: Index,
    search: SearchIndex,
}

struct Nobody;

impl Names for Nobody {
    fn of(&self, _: PeerId) -> Option<&str> {
        None
    }
}

impl Built for Ours {
    type Prepared = (Index, Vec<Record>);

    /// The records and the index that every store has of them.
    fn prepare(texts: &[String]) -> Self::Prepared {
        let identity =
            Identity::generate([1; 32], [1; 16], "ada", WallTime(0)).expect("a short name");
        let (creator, group) = (identity.peer_id(), GroupId::from_bytes([7; 32]));
        let kind = RecordType::new("chat.message").expect("a type");
        let text_type = Attribute {
            name: MEDIA_TYPE.to_owned(),
            value: Value::String("text/plain".to_owned()),
        };
        let mut index = Index::default();
        let mut records = Vec::new();
        for (nth, text) in (0_u64..).zip(texts) {
            let created = WallTime(1_700_000_000_000 + nth);
            let record = Record {
                id: RecordId::new(creator, kind.as_str(), nth),
                kind: kind.clone(),
                version: created.0 << 16,
                creator,
                modifier: None,
                created,
                modified: created,
                expires: WallTime(created.0 + 1_000_000_000),
                deleted: false,
                attributes: vec![text_type.clone()],
                payload: Bytes::copy_from_slice(text.as_bytes()),
                certificate: CertificateId::from_bytes([1; 32]),
                beginning: None,
                signature: [0; 64],
            };
            let meta = Meta::from(&record.clone().sign(group, &identity));
            assert!(index.insert(meta).is_none(), "each has an id of its own");
            records.push(record);
        }
        (index, records)
    }

    fn build((index, records): Self::Prepared, _: &[String]) -> Self {
        let mut search = SearchIndex::new(7);
        for record in &records {
            let slot = index.slot(&record.id).expect("it is held");
            search.add(&index, slot, record);
        }
        Self { index, search }
    }

    fn memory(&self) -> usize {
        self.search.memory()
    }
}

impl Ours {
    fn ask(&mut self, question: &Question, order: Order, count: bool) -> (usize, u64) {
        let query = Query::parse(&question.ours).expect("a query");
        let wanted = Wanted {
            query: &query,
            order,
            after: None,
            limit: LIMIT,
            count,
            steps: SEARCH_STEPS_MAX,
        };
        let visible: Option<fn(&Meta) -> bool> = None;
        let found = self.search.find(&self.index, &Nobody, &wanted, visible).expect("enough steps");
        (found.records.len(), found.count.unwrap_or_default())
    }
}

impl Finds for Ours {
    fn find(&mut self, question: &Question, best: bool) -> usize {
        self.ask(question, if best { Order::Best } else { Order::Newest }, false).0
    }

    fn count(&mut self, question: &Question) -> u64 {
        self.ask(question, Order::Newest, true).1
    }
}

struct Fts5(Connection);

impl Built for Fts5 {
    type Prepared = ();
    fn prepare(_: &[String]) {}

    fn build((): (), texts: &[String]) -> Self {
        let mut connection = Connection::open_in_memory().expect("memory");
        // Without a copy of the texts, as ours.
        let table = "CREATE VIRTUAL TABLE notes USING fts5(text, content='')";
        connection.execute_batch(table).expect("FTS5 is built in");
        let transaction = connection.transaction().expect("a transaction");
        {
            let insert = "INSERT INTO notes(rowid, text) VALUES (?1, ?2)";
            let mut insert = transaction.prepare(insert).expect("a statement");
            for (nth, text) in (1_i64..).zip(texts) {
                insert.execute((nth, text)).expect("room");
            }
        }
        transaction.commit().expect("room");
        Self(connection)
    }

    fn memory(&self) -> usize {
        let pragma = |name: &str| -> i64 {
            self.0.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).expect("a pragma")
        };
        (pragma("page_count") * pragma("page_size")) as usize
    }
}

impl Finds for Fts5 {
    fn find(&mut self, question: &Question, best: bool) -> usize {
        let order = if best { "rank" } else { "rowid DESC" };
        let text =
            format!("SELECT rowid FROM notes WHERE notes MATCH ?1 ORDER BY {order} LIMIT {LIMIT}");
        let mut select = self.0.prepare_cached(&text).expect("a statement");
        let rows = select.query_map([&question.fts5], |row| row.get::<_, i64>(0)).expect("a query");
        rows.map(|row| row.expect("a row")).count()
    }

    fn count(&mut self, question: &Question) -> u64 {
        let text = "SELECT count(*) FROM notes WHERE notes MATCH ?1";
        self.0.query_row(text, [&question.fts5], |row| row.get::<_, i64>(0)).expect("a query")
            as u64
    }
}

struct Tantivy {
    files: RamDirectory,
    parser: QueryParser,
    reader: IndexReader,
}

impl Built for Tantivy {
    type Prepared = ();
    fn prepare(_: &[String]) {}

    fn build((): (), texts: &[String]) -> Self {
        let mut schema = Schema::builder();
        let text = schema.add_text_field("text", TEXT);
        let time = schema.add_u64_field("time", FAST | INDEXED);
        // Threads of its own have a clock of their own; so everything is done on this one.
        let index = TheirIndex::builder().schema(schema.build());
        let memory = 256 * 1024 * 1024;
        let files = RamDirectory::create();
        let writer = index.single_segment_index_writer(files.clone(), memory);
        let mut writer = writer.expect("room");
        for (nth, words) in (0_u64..).zip(texts) {
            let mut document = TantivyDocument::new();
            document.add_text(text, words);
            document.add_u64(time, nth);
            writer.add_document(document).expect("room");
        }
        let index = writer.finalize().expect("room");
        let parser = QueryParser::for_index(&index, vec![text]);
        Self { files, parser, reader: index.reader().expect("a reader") }
    }

    fn memory(&self) -> usize {
        self.files.total_mem_usage()
    }
}

impl Finds for Tantivy {
    fn find(&mut self, question: &Question, best: bool) -> usize {
        let query = self.parser.parse_query(&question.tantivy).expect("a query");
        let searcher = self.reader.searcher();
        if best {
            let top = TopDocs::with_limit(LIMIT).order_by_score();
            searcher.search(&query, &top).expect("an answer").len()
        } else {
            let top =
                TopDocs::with_limit(LIMIT).order_by_fast_field::<u64>("time", TheirOrder::Desc);
            searcher.search(&query, &top).expect("an answer").len()
        }
    }

    fn count(&mut self, question: &Question) -> u64 {
        let query = self.parser.parse_query(&question.tantivy).expect("a query");
        self.reader.searcher().search(&query, &Count).expect("an answer") as u64
    }
}
