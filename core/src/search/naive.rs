//! The meaning of a query: whether it finds a record, and how well. This is the definition that an index has to agree with, and
//! looks at one record after the other.
use super::compare::{is_within, satisfies};
use super::document::{attribute_words, payload_words};
use super::phrase::Phrase;
use super::query::{AttributeName, Clause, Comparison, Field, Operand, Query, Tree};
use super::rank::{self, Rated};
use crate::id::PeerId;
use crate::record::{Record, Value};
use crate::sorted::SortedMap;

/// The friendly names of members.
pub trait Names {
    /// The name of a peer, if it is known.
    fn of(&self, peer: PeerId) -> Option<&str>;
}

impl Names for SortedMap<PeerId, String> {
    fn of(&self, peer: PeerId) -> Option<&str> {
        self.get(&peer).map(String::as_str)
    }
}

impl Query {
    /// Whether it finds a record.
    #[must_use]
    pub fn matches(&self, record: &Record, names: &impl Names) -> bool {
        finds(&self.tree, record, names)
    }

    /// The records that it finds, the one that fits best first; of those that fit alike, the newest first. All of `records`
    /// together say how rare a word is.
    pub fn ranked<'a>(&self, records: &'a [Record], names: &impl Names) -> Vec<&'a Record> {
        let phrases = rated(&self.tree);
        let lengths = records.iter().map(length);
        let words = lengths.map(u64::from).sum();
        let holders = |(field, phrase): &(&Field, &Phrase)| {
            let has = |record: &&Record| count(field, phrase, record) > 0;
            records.iter().filter(has).count() as u64
        };
        let rarities =
            phrases.iter().map(|phrase| rank::rarity(records.len() as u64, holders(phrase)));
        let rarities: Vec<f64> = rarities.collect();
        let mean = rank::mean(words, records.len() as u64);
        let score = |record: &Record| {
            let counts = phrases.iter().map(|(field, phrase)| count(field, phrase, record));
            rank::score(counts.zip(rarities.iter().copied()), length(record), mean)
        };
        let found = records.iter().filter(|record| self.matches(record, names));
        let mut found: Vec<_> = found
            .map(|record| (Rated::new(score(record), record.modified, record.id), record))
            .collect();
        found.sort_unstable_by_key(|(rated, _)| std::cmp::Reverse(*rated));
        found.into_iter().map(|(_, record)| record).collect()
    }
}

/// The words of a query that say how well a record fits: those of payload and attributes, if they are asked for.
pub(crate) fn rated(tree: &Tree) -> Vec<(&Field, &Phrase)> {
    match tree {
        Tree::All | Tree::Not(_) => Vec::new(),
        Tree::And(parts) | Tree::Or(parts) => parts.iter().flat_map(rated).collect(),
        Tree::Clause(Clause::Has(field @ (Field::Text | Field::Attribute(_)), phrase)) => {
            vec![(field, phrase)]
        }
        Tree::Clause(_) => Vec::new(),
    }
}

fn finds(tree: &Tree, record: &Record, names: &impl Names) -> bool {
    match tree {
        Tree::All => true,
        Tree::And(parts) => parts.iter().all(|part| finds(part, record, names)),
        Tree::Or(parts) => parts.iter().any(|part| finds(part, record, names)),
        Tree::Not(part) => !finds(part, record, names),
        Tree::Clause(clause) => holds(clause, record, names),
    }
}

fn holds(clause: &Clause, record: &Record, names: &impl Names) -> bool {
    match clause {
        Clause::Has(Field::Creator, phrase) => is_called(record.creator, phrase, names),
        Clause::Has(Field::Modifier, phrase) => {
            record.modifier.is_some_and(|modifier| is_called(modifier, phrase, names))
        }
        Clause::Has(field, phrase) => count(field, phrase, record) > 0,
        Clause::Compare(field @ (Field::Creator | Field::Modifier), comparison, operand) => {
            let peer =
                if *field == Field::Creator { Some(record.creator) } else { record.modifier };
            peer.is_some_and(|peer| is_peer(peer, *comparison, operand, names))
        }
        Clause::Compare(field, comparison, operand) => {
            values(field, record).iter().any(|value| satisfies(value, *comparison, operand))
        }
        Clause::Within(field, from, to) => {
            values(field, record).iter().any(|value| is_within(value, from, to))
        }
        Clause::Exists(Field::Modifier) => record.modifier.is_some(),
        Clause::Exists(field) => !values(field, record).is_empty(),
    }
}

/// Whether a peer has these words in its name, or this id.
pub(crate) fn is_called(peer: PeerId, phrase: &Phrase, names: &impl Names) -> bool {
    let mut found = Vec::new();
    let name = names.of(peer);
    attribute_words(name.into_iter(), |word, place| found.push((word.to_owned(), place)));
    let is_id = |id: String| phrase.single().is_some_and(|word| word.matches_whole(&id));
    count_in(phrase, &found) > 0 || is_id(peer.to_string())
}

/// Whether a peer compares so, by its id or its name.
pub(crate) fn is_peer(
    peer: PeerId,
    comparison: Comparison,
    operand: &Operand,
    names: &impl Names,
) -> bool {
    let is = |text: &str| satisfies(&Value::String(text.into()), Comparison::Equal, operand);
    let same = is(&peer.to_string()) || names.of(peer).is_some_and(is);
    same == (comparison == Comparison::Equal)
}

/// The values of a field that are compared.
fn values(field: &Field, record: &Record) -> Vec<Value> {
    let integer = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    vec![match field {
        Field::Type => Value::String(record.kind.as_str().into()),
        Field::Id => Value::String(record.id.to_string()),
        Field::Created => Value::Date(record.created),
        Field::Modified => Value::Date(record.modified),
        Field::Expires => Value::Date(record.expires),
        Field::Version => integer(record.version),
        Field::Deleted => Value::Boolean(record.deleted),
        Field::Size => integer(record.size().into()),
        Field::Attribute(name) => return of_attribute(name, record).cloned().collect(),
        Field::Text | Field::Creator | Field::Modifier => return Vec::new(),
    }]
}

fn of_attribute<'a>(name: &AttributeName, record: &'a Record) -> impl Iterator<Item = &'a Value> {
    let named = record.attributes.iter().filter(|attribute| name.is(&attribute.name));
    named.map(|attribute| &attribute.value)
}

/// How often a phrase stands in a field of words.
fn count(field: &Field, phrase: &Phrase, record: &Record) -> u32 {
    let mut found = Vec::new();
    let take = |word: &str, place| found.push((word.to_owned(), place));
    match field.attribute_name() {
        None if *field == Field::Text => payload_words(record, take),
        Some(name) => {
            let texts = of_attribute(name, record).filter_map(Value::text);
            attribute_words(texts, take);
        }
        None => {}
    }
    count_in(phrase, &found)
}

fn count_in(phrase: &Phrase, words: &[(String, u32)]) -> u32 {
    let words: Vec<_> = words.iter().map(|(word, place)| (word.as_str(), *place)).collect();
    phrase.count(&words)
}

/// How many words a record has: in its payload, and in the texts of its attributes.
fn length(record: &Record) -> u32 {
    let mut count = 0;
    payload_words(record, |_, _| count += 1);
    for attribute in &record.attributes {
        if let Value::String(text) = &attribute.value {
            attribute_words(std::iter::once(text.as_str()), |_, _| count += 1);
        }
    }
    count
}
