//! A query as an index answers it: which keys, and what is seen from the records' index alone.
use super::segment::{self, Segment};
use super::term::{self, Kind};
use crate::id::{PeerId, RecordId};
use crate::index::Index;
use crate::record::{Meta, Value};
use crate::search::compare::{is_within, satisfies};
use crate::search::naive::{Names, is_called, is_peer};
use crate::search::pattern::Part;
use crate::search::phrase::{Phrase, WordPattern};
use crate::search::query::{AttributeName, Clause, Comparison, Field, Operand, Tree};
use crate::sorted::SortedSet;
use crate::time::WallTime;

/// A query, or a part of one.
#[derive(Debug)]
pub(crate) enum Plan {
    All,
    Nothing,
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    /// Documents with any of these keys.
    Keys(Keys),
    Phrase(PhrasePlan),
    Test(Test),
    /// The document of this slot.
    Slot(u32),
    /// Documents that were changed last between these moments, both included, and perhaps some before and after them.
    About(WallTime, WallTime),
}

/// Words, each with how many places it is behind the beginning of the phrase.
#[derive(Debug)]
pub(crate) struct PhrasePlan {
    pub(crate) words: Vec<(u32, Keys)>,
}

/// Some keys.
#[derive(Debug)]
pub(crate) enum Keys {
    One(Vec<u8>),
    /// Those from one inclusive to one exclusive that pass.
    Range(Vec<u8>, Vec<u8>, KeyTest),
    Several(Vec<Self>),
}

/// Whether a key is meant. Numbers say where in it the word or value begins.
#[derive(Debug)]
pub(crate) enum KeyTest {
    Any,
    Word(usize, WordPattern),
    Compare(usize, Comparison, Operand),
    Within(usize, Operand, Operand),
    Peers(SortedSet<PeerId>),
}

impl KeyTest {
    pub(crate) fn passes(&self, key: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Word(begun, pattern) => {
                let word = key.get(*begun..).and_then(|word| std::str::from_utf8(word).ok());
                word.is_some_and(|word| pattern.matches(word))
            }
            Self::Compare(begun, comparison, operand) => {
                let value = term::value_of(key, *begun);
                value.is_some_and(|value| satisfies(&value, *comparison, operand))
            }
            Self::Within(begun, from, to) => {
                term::value_of(key, *begun).is_some_and(|value| is_within(&value, from, to))
            }
            Self::Peers(peers) => peer_of(key).is_some_and(|peer| peers.contains(&peer)),
        }
    }
}

/// The peer of a key.
pub(crate) fn peer_of(key: &[u8]) -> Option<PeerId> {
    Some(PeerId::from_bytes(key.get(1..)?.try_into().ok()?))
}

/// A test that needs no key.
#[derive(Debug)]
pub(crate) enum Test {
    Compare(Field, Comparison, Operand),
    Within(Field, Operand, Operand),
}

impl Test {
    pub(crate) fn passes(&self, meta: &Meta) -> bool {
        match self {
            Self::Compare(field, comparison, operand) => {
                value(field, meta).is_some_and(|value| satisfies(&value, *comparison, operand))
            }
            Self::Within(field, from, to) => {
                value(field, meta).is_some_and(|value| is_within(&value, from, to))
            }
        }
    }
}

/// The value of a field that is no key.
fn value(field: &Field, meta: &Meta) -> Option<Value> {
    let integer = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    Some(match field {
        Field::Id => Value::String(meta.id.to_string()),
        Field::Created => Value::Date(meta.created),
        Field::Modified => Value::Date(meta.modified),
        Field::Expires => Value::Date(meta.expires),
        Field::Version => integer(meta.version),
        Field::Deleted => Value::Boolean(meta.deleted),
        Field::Size => integer(meta.size.into()),
        Field::Text | Field::Type | Field::Creator | Field::Modifier | Field::Attribute(_) => {
            return None;
        }
    })
}

/// Peers that are looked up one by one; of more, all that there are are gone through. Guess.
const PEERS_LOOKED_UP: usize = 16;

/// Makes plans.
pub(crate) struct Planner<'a, N> {
    pub(crate) index: &'a Index,
    pub(crate) names: &'a N,
    pub(crate) segments: &'a [Option<Segment>],
}

impl<N: Names> Planner<'_, N> {
    pub(crate) fn plan(&self, tree: &Tree) -> Plan {
        let parts = |parts: &[Tree]| parts.iter().map(|part| self.plan(part)).collect();
        match tree {
            Tree::All => Plan::All,
            Tree::And(of) => Plan::And(parts(of)),
            Tree::Or(of) => Plan::Or(parts(of)),
            Tree::Not(part) => Plan::Not(Box::new(self.plan(part))),
            Tree::Clause(clause) => self.clause(clause),
        }
    }

    fn clause(&self, clause: &Clause) -> Plan {
        match clause {
            Clause::Has(field @ (Field::Creator | Field::Modifier), phrase) => {
                self.peers(field, |peer| is_called(peer, phrase, self.names))
            }
            Clause::Has(field, phrase) => has(field, phrase),
            Clause::Compare(field @ (Field::Creator | Field::Modifier), comparison, operand) => {
                self.peers(field, |peer| is_peer(peer, *comparison, operand, self.names))
            }
            Clause::Compare(Field::Type, comparison, operand) => {
                of_values(Kind::Type, None, *comparison, operand)
            }
            Clause::Compare(Field::Attribute(name), comparison, operand) => {
                of_values(kind_of(operand), Some(name), *comparison, operand)
            }
            Clause::Compare(Field::Id, comparison, Operand::Text(text)) => {
                let slot = self.slot(text).map_or(Plan::Nothing, Plan::Slot);
                if *comparison == Comparison::Equal { slot } else { Plan::Not(Box::new(slot)) }
            }
            Clause::Compare(field, comparison, operand) => {
                let test = Test::Compare(field.clone(), *comparison, operand.clone());
                let Operand::Date(moment) = operand else { return Plan::Test(test) };
                let from = match comparison {
                    Comparison::Less | Comparison::LessOrEqual | Comparison::NotEqual => None,
                    Comparison::Greater | Comparison::GreaterOrEqual | Comparison::Equal => {
                        Some(moment.from())
                    }
                };
                let to = match comparison {
                    Comparison::Greater | Comparison::GreaterOrEqual | Comparison::NotEqual => None,
                    Comparison::Less | Comparison::LessOrEqual | Comparison::Equal => {
                        Some(moment.to())
                    }
                };
                of_time(field, from, to, test)
            }
            Clause::Within(Field::Attribute(name), from, to) => {
                let begun = term::begun(kind_of(from), Some(name.as_str()));
                let (low, _) = bounds(&begun, Comparison::GreaterOrEqual, from);
                let (_, high) = bounds(&begun, Comparison::LessOrEqual, to);
                let test = KeyTest::Within(begun.len(), from.clone(), to.clone());
                Plan::Keys(Keys::Range(low, high, test))
            }
            Clause::Within(field, from, to) => {
                let test = Test::Within(field.clone(), from.clone(), to.clone());
                match (from, to) {
                    (Operand::Date(from), Operand::Date(to)) => {
                        of_time(field, Some(from.from()), Some(to.to()), test)
                    }
                    _ => Plan::Test(test),
                }
            }
            Clause::Exists(Field::Attribute(name)) => {
                let kinds = [Kind::Text, Kind::Number, Kind::Date, Kind::Truth];
                let all = kinds.map(|kind| any(&term::begun(kind, Some(name.as_str()))));
                Plan::Keys(Keys::Several(all.into()))
            }
            Clause::Exists(_) => Plan::Keys(any(&term::begun(Kind::Modifier, None))),
        }
    }

    /// The slot of a record whose id is written so.
    fn slot(&self, text: &str) -> Option<u32> {
        let id: RecordId = text.parse().ok()?;
        // There is one form of an id.
        self.index.slot(&id).filter(|_| id.to_string() == text)
    }

    /// Records of the peers that are meant.
    fn peers(&self, field: &Field, is_meant: impl Fn(PeerId) -> bool) -> Plan {
        let kind = if *field == Field::Creator { Kind::Creator } else { Kind::Modifier };
        let mut peers = SortedSet::new();
        let begun = term::begun(kind, None);
        for segment in self.segments.iter().flatten() {
            let mut keys = segment::Keys::from(segment, &begun);
            while let Some((key, _)) = keys.next(&term::after(&begun)) {
                peers.extend(peer_of(key));
            }
        }
        peers.retain(|peer| is_meant(*peer));
        if peers.len() <= PEERS_LOOKED_UP {
            let keys = peers.iter().map(|peer| Keys::One(term::of_peer(kind, *peer)));
            return Plan::Keys(Keys::Several(keys.collect()));
        }
        Plan::Keys(Keys::Range(begun.clone(), term::after(&begun), KeyTest::Peers(peers)))
    }
}

/// Documents that pass, of which those of a time are looked at. A record is changed last when it is made, or later.
fn of_time(field: &Field, from: Option<WallTime>, to: Option<WallTime>, test: Test) -> Plan {
    let (first, last) = (WallTime(0), WallTime(u64::MAX));
    let about = if *field == Field::Modified {
        Plan::About(from.unwrap_or(first), to.unwrap_or(last))
    } else if *field == Field::Created {
        Plan::About(from.unwrap_or(first), last)
    } else {
        return Plan::Test(test);
    };
    Plan::And(vec![about, Plan::Test(test)])
}

/// Documents that have the words of a phrase.
pub(crate) fn has(field: &Field, phrase: &Phrase) -> Plan {
    let mut words = of_phrase(field, phrase).words;
    match words.pop() {
        Some((_, only)) if words.is_empty() => Plan::Keys(only),
        Some(last) => {
            words.push(last);
            Plan::Phrase(PhrasePlan { words })
        }
        None => Plan::Nothing,
    }
}

/// The words of a phrase, as keys.
pub(crate) fn of_phrase(field: &Field, phrase: &Phrase) -> PhrasePlan {
    let begun = field.attribute_name().map_or_else(
        || term::begun(Kind::Word, None),
        |name| term::begun(Kind::AttributeWord, Some(name.as_str())),
    );
    let keys = |pattern: &WordPattern| {
        let key = [&begun, pattern.prefix().as_bytes()].concat();
        match pattern {
            WordPattern::Exact(_) => Keys::One(key),
            WordPattern::Prefix(_) => any(&key),
            WordPattern::Glob(..) => {
                let test = KeyTest::Word(begun.len(), pattern.clone());
                Keys::Range(key.clone(), term::after(&key), test)
            }
        }
    };
    let words = phrase.words().iter().map(|word| (word.offset, keys(&word.pattern)));
    PhrasePlan { words: words.collect() }
}

/// All keys that begin so.
fn any(begun: &[u8]) -> Keys {
    Keys::Range(begun.to_vec(), term::after(begun), KeyTest::Any)
}

/// The kind of values that an operand is compared with.
fn kind_of(operand: &Operand) -> Kind {
    match operand {
        Operand::Text(_) | Operand::Like(_) => Kind::Text,
        Operand::Integer(_) | Operand::Real(_) => Kind::Number,
        Operand::Date(_) => Kind::Date,
        Operand::Boolean(_) => Kind::Truth,
    }
}

fn of_values(
    kind: Kind,
    name: Option<&AttributeName>,
    comparison: Comparison,
    operand: &Operand,
) -> Plan {
    let begun = term::begun(kind, name.map(AttributeName::as_str));
    if let (Comparison::Equal, Operand::Text(text)) = (comparison, operand) {
        return Plan::Keys(Keys::One([&begun, text.as_bytes()].concat()));
    }
    let (from, to) = bounds(&begun, comparison, operand);
    let test = KeyTest::Compare(begun.len(), comparison, operand.clone());
    Plan::Keys(Keys::Range(from, to, test))
}

/// The keys between which all are that satisfy a comparison.
fn bounds(begun: &[u8], comparison: Comparison, operand: &Operand) -> (Vec<u8>, Vec<u8>) {
    let with = |rest: &[u8]| [begun, rest].concat();
    // The first key at the operand, and the first behind it.
    let (first, behind) = match operand {
        Operand::Text(text) => (with(text.as_bytes()), with(&[text.as_bytes(), &[0]].concat())),
        Operand::Like(pattern) => match (comparison, pattern.parts().first()) {
            (Comparison::Equal, Some(Part::Text(text))) => {
                let key = with(text.as_bytes());
                return (key.clone(), term::after(&key));
            }
            _ => return (begun.to_vec(), term::after(begun)),
        },
        Operand::Integer(number) => of_number(begun, *number as f64),
        Operand::Real(number) => of_number(begun, *number),
        Operand::Date(moment) => {
            (with(&moment.from().0.to_be_bytes()), with(&moment.to().0.to_be_bytes()))
        }
        Operand::Boolean(truth) => {
            let key = with(&[u8::from(*truth)]);
            (key.clone(), term::after(&key))
        }
    };
    let is_number = matches!(operand, Operand::Integer(_) | Operand::Real(_));
    match comparison {
        Comparison::Equal => (first, behind),
        Comparison::NotEqual => (begun.to_vec(), term::after(begun)),
        // Numbers with one order may still differ.
        Comparison::Less if !is_number => (begun.to_vec(), first),
        Comparison::Less | Comparison::LessOrEqual => (begun.to_vec(), behind),
        Comparison::Greater if !is_number => (behind, term::after(begun)),
        Comparison::Greater | Comparison::GreaterOrEqual => (first, term::after(begun)),
    }
}

fn of_number(begun: &[u8], number: f64) -> (Vec<u8>, Vec<u8>) {
    let key = [begun, &term::order(number)].concat();
    let behind = term::after(&key);
    (key, behind)
}
