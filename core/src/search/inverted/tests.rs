use super::*;
use crate::id::{PeerId, RecordId};
use crate::limits::SEARCH_STEPS_MAX;
use crate::record::{Cursor, Meta, Value};
use crate::search::document::tests::{attribute, meta, record};
use crate::search::tests::{names, queries};
use crate::search::{Names, Query};
use crate::sorted::SortedMap;
use crate::time::WallTime;
use bytes::Bytes;
use proptest::prelude::*;

/// Records as a list, as their index, and as the index to be tested.
pub(crate) struct Store {
    records: SortedMap<RecordId, Record>,
    index: Index,
    pub(crate) search: SearchIndex,
}

impl Store {
    fn new() -> Self {
        Self { records: SortedMap::new(), index: Index::new(7), search: SearchIndex::new(7) }
    }

    fn put(&mut self, record: Record) -> u64 {
        self.take(&record.id);
        self.index.insert(meta(&record));
        let slot = self.index.slot(&record.id).unwrap();
        let steps = self.search.add(&self.index, slot, &record);
        self.records.insert(record.id, record);
        steps
    }

    fn take(&mut self, id: &RecordId) {
        if let Some(slot) = self.index.slot(id) {
            self.search.remove(slot);
            self.index.remove(id);
            self.records.remove(id);
        }
    }

    fn find(&mut self, wanted: &Wanted<'_>, names: &impl Names) -> Found {
        self.search.find(&self.index, names, wanted, None::<fn(&Meta) -> bool>).unwrap()
    }

    /// The ids of all that a query finds in an order, page by page.
    fn pages(&mut self, query: &Query, order: Order, limit: usize) -> Vec<RecordId> {
        let (mut ids, mut after) = (Vec::new(), None);
        loop {
            let wanted =
                Wanted { query, order, after, limit, count: true, steps: SEARCH_STEPS_MAX };
            let found = self.find(&wanted, &names());
            after = found.records.last().copied();
            ids.extend(found.records.iter().map(|it| it.at.id));
            assert!(found.records.len() <= limit);
            assert_eq!(found.more, (ids.len() as u64) < found.count.unwrap());
            if !found.more {
                assert_eq!(Some(ids.len() as u64), found.count, "{query}");
                return ids;
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Act {
    Put(Record),
    /// Another version of one that is there.
    Change(usize, Record),
    Take(usize),
    Ask(Query, usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        12 => records().prop_map(Act::Put),
        2 => (any::<usize>(), records()).prop_map(|(at, record)| Act::Change(at, record)),
        2 => any::<usize>().prop_map(Act::Take),
        6 => (queries(), 1..9_usize).prop_map(|(query, limit)| Act::Ask(query, limit)),
    ];
    prop::collection::vec(act, 0..160)
}

fn records() -> impl Strategy<Value = Record> {
    let texts = [
        "general",
        "General talk",
        "Ada",
        "",
        "true",
        "10",
        "a b",
        "2026-11-01",
        "hello \"you\" *",
        "東京",
    ];
    let value = prop_oneof![
        4 => prop::sample::select(texts.to_vec()).prop_map(|text| Value::String(text.into())),
        2 => (-3..60_i64).prop_map(Value::Integer),
        1 => any::<i64>().prop_map(Value::Integer),
        2 => (-3..12_i32).prop_map(|it| Value::Real(f64::from(it) / 2.0)),
        1 => (0..100_u64).prop_map(|it| Value::Date(WallTime(it))),
        1 => (1_793_000_000_000..1_794_000_000_000_u64).prop_map(|it| Value::Date(WallTime(it))),
        1 => any::<bool>().prop_map(Value::Boolean),
    ];
    let names = ["room", "Room", "n", "due", "done", "type", "deleted", "0day", "text"];
    let attributes = (prop::sample::select(names.to_vec()), value);
    let words = [
        "hello", "Lisbon", "to", "see", "you", "wörld", "help", "deleted", "AND", "東京", "京都",
        "2026", "trip",
    ];
    let words = prop::collection::vec(prop::sample::select(words.to_vec()), 0..12);
    (
        (0..200_u64, 1..4_u8, prop::sample::select(vec!["chat.message", "note"])),
        (0..100_u64, prop::option::of(1..3_u8), any::<bool>()),
        prop::collection::vec(attributes, 0..4),
        words,
        0..4_u8,
    )
        .prop_map(
            |((random, creator, kind), (time, modifier, deleted), attributes, words, form)| {
                let mut record = record(kind, creator, random, time);
                record.modifier = modifier.map(|it| PeerId::from_bytes([it; 32]));
                record.attributes =
                    attributes.into_iter().map(|(name, value)| attribute(name, value)).collect();
                record.deleted = deleted && random % 7 == 0;
                record.payload = match form {
                    0 => Bytes::from(format!(
                        "{{\"text\": \"{}\", \"tags\": [\"{}\"]}}",
                        words.join(" "),
                        words.concat()
                    )),
                    1 => Bytes::from_static(b"\xff\0"),
                    _ => Bytes::from(words.join(" ")),
                };
                record
            },
        )
}

/// The ids that the definition gives, in this order.
fn defined(records: &[Record], query: &Query, order: Order) -> Vec<RecordId> {
    if order == Order::Best {
        return query.ranked(records, &names()).into_iter().map(|record| record.id).collect();
    }
    let found = records.iter().filter(|record| query.matches(record, &names()));
    let mut found: Vec<_> =
        found.map(|record| Cursor { modified: record.modified, id: record.id }).collect();
    found.sort_unstable();
    if order == Order::Newest {
        found.reverse();
    }
    found.into_iter().map(|cursor| cursor.id).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    /// Goal: whatever a store goes through, the index finds what the definition says, in every order, page by page. Method:
    /// some 10,000 random queries between random changes. Each query makes a segment, so that many are merged.
    #[test]
    fn an_index_finds_what_a_look_at_every_record_finds(acts in acts()) {
        let mut store = Store::new();
        for act in acts {
            match act {
                Act::Put(record) => _ = store.put(record),
                Act::Change(at, other) => {
                    let nth = at.checked_rem(store.records.len());
                    let Some(mut record) = nth.and_then(|n| store.records.values().nth(n)).cloned() else { continue };
                    record.version += 1;
                    record.modified = other.modified.max(record.created);
                    (record.attributes, record.payload) = (other.attributes, other.payload);
                    store.put(record);
                }
                Act::Take(at) => {
                    let nth = at.checked_rem(store.records.len());
                    if let Some(id) = nth.and_then(|n| store.records.keys().nth(n)).copied() {
                        store.take(&id);
                    }
                }
                Act::Ask(query, limit) => {
                    let records: Vec<_> = store.records.values().cloned().collect();
                    for order in [Order::Newest, Order::Oldest, Order::Best] {
                        let found = store.pages(&query, order, limit);
                        prop_assert_eq!(&found, &defined(&records, &query, order), "{} {:?}", query, order);
                    }
                }
            }
            prop_assert_eq!(store.search.len(), store.records.len());
        }
    }
}

/// A store of notes: a word that all have, one that every tenth has, and one of its own each.
fn notes(count: u64) -> Store {
    let mut store = Store::new();
    (0..count).for_each(|n| _ = store.put(note(n)));
    store
}

fn note(n: u64) -> Record {
    let mut note = record("note", 1, n, 1_000 + n);
    let tenth = if n.is_multiple_of(10) { "tenth" } else { "other" };
    note.payload = format!("every {tenth} own{n} {}", n % 100).into();
    note
}

fn steps_of(store: &mut Store, query: &str, order: Order) -> u64 {
    let query = &Query::parse(query).unwrap();
    let wanted =
        Wanted { query, order, after: None, limit: 20, count: false, steps: SEARCH_STEPS_MAX };
    store.find(&wanted, &names()).steps
}

#[test]
fn the_newest_are_found_in_as_many_steps_however_many_there_are() {
    for query in [
        "every",
        "tenth",
        "every tenth -own5",
        "type:note",
        "created:>1970-01-01T00:00:02.500Z",
        "own77",
    ] {
        let [few, many] = [3_000, 24_000].map(|n| steps_of(&mut notes(n), query, Order::Newest));
        assert!(few < 900 && many < 900, "{query}: {few} {many}");
    }
    let [few, many] = [3_000, 24_000].map(|n| steps_of(&mut notes(n), "tenth", Order::Best));
    assert!(few < 1_500 && many < 9_000, "all that have it are rated: {few} {many}");
}

#[test]
fn a_record_that_comes_waits_for_no_more_than_its_part_of_the_merges() {
    let mut store = Store::new();
    let (mut all, mut longest) = (0, 0);
    for n in 0..20_000 {
        let steps = store.put(note(n));
        all += steps;
        longest = longest.max(steps);
    }
    // 6 keys each; the longest key of a merge is one that all have.
    assert!(longest <= 60 + 8_192, "{longest}");
    assert!(all < 20_000 * 60, "{all}");
    let segments = store.search.segments.iter().flatten().count();
    assert!(segments <= 24, "{segments}");
}

#[test]
fn nothing_is_left_of_what_was_taken_out() {
    let mut store = notes(5_000);
    let full = store.search.memory();
    for round in 0..5 {
        // Every record is changed, most are taken out and come again.
        for n in 0..5_000 {
            let mut record = note(n);
            record.version += round;
            if n % 3 > 0 {
                store.take(&record.id);
            }
            store.put(record);
        }
    }
    assert!(store.search.memory() < 3 * full, "{} {full}", store.search.memory());
    let ids: Vec<_> = store.records.keys().copied().collect();
    ids.iter().for_each(|id| store.take(id));
    assert!(store.search.is_empty());
    assert_eq!(store.pages(&Query::all(), Order::Newest, 5), []);
    assert!(store.search.memory() < full / 2, "{} {full}", store.search.memory());
}

#[test]
fn questions_that_take_too_long_end() {
    let mut store = notes(3_000);
    let hostile = format!("({})", vec!["*w*n*9*"; 200].join(" OR "));
    for (query, order) in
        [(&*hostile, Order::Newest), ("-nothing -size:0", Order::Oldest), ("every", Order::Best)]
    {
        let query = &Query::parse(query).unwrap();
        let wanted = Wanted { query, order, after: None, limit: 20, count: true, steps: 2_000 };
        let found = store.search.find(&store.index, &names(), &wanted, None::<fn(&Meta) -> bool>);
        assert_eq!(found, Err(TooBroad), "{query}");
    }
}

#[test]
fn only_what_may_be_shown_is_found_and_counted() {
    let mut store = notes(100);
    let query = &Query::parse("every").unwrap();
    for order in [Order::Newest, Order::Oldest, Order::Best] {
        let wanted =
            Wanted { query, order, after: None, limit: 7, count: true, steps: SEARCH_STEPS_MAX };
        let visible = |meta: &Meta| meta.modified.0.is_multiple_of(10);
        let found = store.search.find(&store.index, &names(), &wanted, Some(visible)).unwrap();
        assert_eq!((found.records.len(), found.more, found.count), (7, true, Some(10)));
        assert!(found.records.iter().all(|it| it.at.modified.0.is_multiple_of(10)), "{order:?}");
    }
}
