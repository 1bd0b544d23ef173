//! The documents of one segment that a plan finds, in their order.
use super::list::List;
use super::plan::{Keys, PhrasePlan, Plan, Test};
use super::segment::{self, Segment};
use crate::index::Index;

/// The steps that a question may still take. At 0 it finds nothing more, and is answered with an error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steps(pub(crate) u64);

impl Steps {
    pub(crate) fn take(&mut self, steps: u32) {
        self.0 = self.0.saturating_sub(steps.into());
    }

    fn are_over(&self) -> bool {
        self.0 == 0
    }
}

/// Finds documents. It is asked for documents that never fall.
pub(crate) enum Matcher<'a> {
    Nothing,
    All,
    List(Box<List<'a>>),
    Bits(Bits),
    Phrase(Box<PhraseMatcher<'a>>),
    Document(u16),
    /// From one to before another.
    Range(u32, u32),
    Test(&'a Test),
    /// Those that can be sought, the rarest first, and those that are only asked about one document after the other.
    And(Vec<Self>, Vec<Self>),
    /// Each with the document that it has found and that was not asked for yet.
    Or(Vec<(Self, Found)>),
    Not(Box<Self>),
}

/// How far a part has looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Unknown,
    At(u16),
    End,
}

/// Where matchers look.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) index: &'a Index,
    pub(crate) segment: &'a Segment,
    pub(crate) number: u16,
    /// Where a slot's document is: in which segment, and which number there.
    pub(crate) places: &'a [super::Place],
}

impl<'a> Matcher<'a> {
    /// Of a plan in a segment.
    pub(crate) fn new(plan: &'a Plan, place: Place<'a>, steps: &mut Steps) -> Self {
        let mut parts = |of: &'a [Plan]| -> Vec<Self> {
            of.iter().map(|part| Self::new(part, place, steps)).collect()
        };
        match plan {
            Plan::All => Self::All,
            Plan::Nothing => Self::Nothing,
            Plan::And(of) => {
                let parts = parts(of).into_iter();
                let (mut seekers, testers): (Vec<_>, _) = parts.partition(Self::is_sought);
                seekers.sort_by_key(|part| part.estimate(place.segment));
                Self::And(seekers, testers)
            }
            Plan::Or(of) => {
                Self::Or(parts(of).into_iter().map(|part| (part, Found::Unknown)).collect())
            }
            Plan::Not(part) => Self::Not(Box::new(Self::new(part, place, steps))),
            Plan::Keys(keys) => Self::of_keys(keys, place.segment, steps),
            Plan::Phrase(phrase) => PhraseMatcher::new(phrase, place.segment, steps)
                .map_or(Self::Nothing, |phrase| Self::Phrase(Box::new(phrase))),
            Plan::Test(test) => Self::Test(test),
            Plan::About(from, to) => {
                let (from, to) = place.segment.about(*from, *to);
                Self::Range(from, to)
            }
            Plan::Slot(slot) => match place.places.get(*slot as usize) {
                Some(it) if it.segment == place.number => Self::Document(it.document),
                Some(_) | None => Self::Nothing,
            },
        }
    }

    fn of_keys(keys: &'a Keys, segment: &'a Segment, steps: &mut Steps) -> Self {
        let mut lists = Vec::new();
        let mut bits = None;
        each_list(keys, segment, steps, &mut |list, steps| {
            // Many lists are put together at once, so that few are open.
            lists.push(list);
            if lists.len() > LISTS_MAX {
                let bits = bits.get_or_insert_with(|| Bits::new(segment.len()));
                lists.drain(..).for_each(|list| bits.add(list, steps));
            }
        });
        match (bits, lists.pop()) {
            (None, None) => Self::Nothing,
            (None, Some(only)) if lists.is_empty() => Self::List(Box::new(only)),
            (bits, last) => {
                let mut bits = bits.unwrap_or_else(|| Bits::new(segment.len()));
                lists.into_iter().chain(last).for_each(|list| bits.add(list, steps));
                Self::Bits(bits)
            }
        }
    }

    /// Whether its documents are found without looking at others.
    fn is_sought(&self) -> bool {
        match self {
            Self::Nothing
            | Self::List(_)
            | Self::Bits(_)
            | Self::Phrase(_)
            | Self::Document(_)
            | Self::Range(..) => true,
            Self::All | Self::Test(_) | Self::Not(_) => false,
            Self::And(seekers, _) => !seekers.is_empty(),
            Self::Or(parts) => parts.iter().all(|(part, _)| part.is_sought()),
        }
    }

    /// How many documents it finds at most.
    fn estimate(&self, segment: &Segment) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Document(_) => 1,
            Self::Range(from, to) => to.saturating_sub(*from) as usize,
            Self::All | Self::Test(_) | Self::Not(_) => segment.len(),
            Self::List(list) => list.documents() as usize,
            Self::Bits(bits) => bits.count,
            Self::Phrase(phrase) => phrase.estimate(),
            Self::And(seekers, _) => {
                seekers.first().map_or(segment.len(), |part| part.estimate(segment))
            }
            Self::Or(parts) => parts.iter().map(|(part, _)| part.estimate(segment)).sum(),
        }
    }

    /// The first document that is found and not below `from`.
    pub(crate) fn next(&mut self, from: u32, place: Place<'_>, steps: &mut Steps) -> Option<u16> {
        let len = place.segment.len() as u32;
        if from >= len || steps.are_over() {
            return None;
        }
        steps.take(1);
        match self {
            Self::Nothing => None,
            Self::All => u16::try_from(from).ok(),
            Self::List(list) => sought(list, from, steps),
            Self::Bits(bits) => bits.next(from),
            Self::Phrase(phrase) => phrase.next(from, steps),
            Self::Range(first, end) => {
                let document = from.max(*first);
                u16::try_from(document).ok().filter(|_| document < *end)
            }
            Self::Document(document) => Some(*document).filter(|it| u32::from(*it) >= from),
            Self::Test(_) => (from..len)
                .find(|document| self.is_found(*document as u16, place, steps))
                .map(|document| document as u16),
            Self::And(seekers, testers) => and(seekers, testers, from, place, steps),
            Self::Or(parts) => {
                let nexts = parts.iter_mut().filter_map(|(part, found)| {
                    let stale = match *found {
                        Found::Unknown => true,
                        Found::At(document) => u32::from(document) < from,
                        Found::End => false,
                    };
                    if stale {
                        *found = part.next(from, place, steps).map_or(Found::End, Found::At);
                    }
                    if let Found::At(document) = *found { Some(document) } else { None }
                });
                nexts.min()
            }
            Self::Not(part) => (from..len)
                .find(|document| {
                    steps.take(1);
                    steps.are_over() || !part.is_found(*document as u16, place, steps)
                })
                .map(|document| document as u16),
        }
    }

    /// Whether a document is found.
    pub(crate) fn is_found(&mut self, document: u16, place: Place<'_>, steps: &mut Steps) -> bool {
        match self {
            Self::All => true,
            Self::Test(test) => {
                steps.take(1);
                // A record that was taken out has left its slot, perhaps to another.
                steps.are_over()
                    || !place.segment.is_dead(document)
                        && test.passes(place.index.at(place.segment.slot(document)))
            }
            Self::Not(part) => !part.is_found(document, place, steps),
            Self::And(seekers, testers) => {
                let mut all = seekers.iter_mut().chain(testers);
                all.all(|part| part.is_found(document, place, steps))
            }
            Self::Or(parts) => {
                parts.iter_mut().any(|(part, _)| part.is_found(document, place, steps))
            }
            Self::Nothing
            | Self::List(_)
            | Self::Bits(_)
            | Self::Phrase(_)
            | Self::Document(_)
            | Self::Range(..) => self.next(document.into(), place, steps) == Some(document),
        }
    }

    /// How often a document has what is looked for.
    pub(crate) fn count(&mut self, document: u16, place: Place<'_>, steps: &mut Steps) -> u32 {
        if !self.is_found(document, place, steps) {
            return 0;
        }
        match self {
            Self::List(list) => list.count(),
            Self::Phrase(phrase) => phrase.count,
            Self::Nothing | Self::All | Self::Bits(..) | Self::Document(..) | Self::Range(..) => 1,
            Self::Test(..) | Self::And(..) | Self::Or(..) | Self::Not(..) => 1,
        }
    }
}

/// Lists that are open at once. Guess: 20 KB.
const LISTS_MAX: usize = 32;

/// Gives the list of each of these keys.
fn each_list<'a>(
    keys: &Keys,
    segment: &'a Segment,
    steps: &mut Steps,
    each: &mut impl FnMut(List<'a>, &mut Steps),
) {
    match keys {
        Keys::One(key) => {
            steps.take(16);
            if let Some(entry) = segment.dictionary().find(key) {
                each(segment.list(key, entry), steps);
            }
        }
        Keys::Range(from, to, test) => {
            steps.take(16);
            let mut keys = segment::Keys::from(segment, from);
            while let Some((key, entry)) = keys.next(to) {
                steps.take(4);
                if steps.are_over() {
                    return;
                }
                if test.passes(key) {
                    each(segment.list(key, entry), steps);
                }
            }
        }
        Keys::Several(several) => {
            several.iter().for_each(|keys| each_list(keys, segment, steps, each));
        }
    }
}

fn sought(list: &mut List<'_>, from: u32, steps: &mut Steps) -> Option<u16> {
    let (found, taken) = list.seek(from);
    steps.take(taken);
    found
}

/// The first document that all find.
fn and(
    seekers: &mut [Matcher<'_>],
    testers: &mut [Matcher<'_>],
    mut from: u32,
    place: Place<'_>,
    steps: &mut Steps,
) -> Option<u16> {
    let len = place.segment.len() as u32;
    'candidate: while from < len && !steps.are_over() {
        steps.take(1);
        for part in &mut *seekers {
            let found = part.next(from, place, steps)?;
            if u32::from(found) > from {
                from = found.into();
                // The rarer ones are asked again.
                continue 'candidate;
            }
        }
        let document = u16::try_from(from).ok()?;
        if testers.iter_mut().all(|part| part.is_found(document, place, steps)) {
            return Some(document);
        }
        from += 1;
    }
    None
}

/// A set of documents.
pub(crate) struct Bits {
    words: Vec<u64>,
    count: usize,
}

impl Bits {
    fn new(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(64)], count: 0 }
    }

    fn set(&mut self, document: u16) {
        let word = &mut self.words[usize::from(document) / 64];
        let bit = 1 << (document % 64);
        self.count += usize::from(*word & bit == 0);
        *word |= bit;
    }

    fn add(&mut self, mut list: List<'_>, steps: &mut Steps) {
        let mut from = 0;
        while let (Some(document), taken) = list.seek(from) {
            steps.take(taken);
            self.set(document);
            from = u32::from(document) + 1;
        }
    }

    fn next(&self, from: u32) -> Option<u16> {
        let mut at = from as usize / 64;
        let mut word = self.words.get(at)? & (u64::MAX << (from % 64));
        while word == 0 {
            at += 1;
            word = *self.words.get(at)?;
        }
        Some((at * 64 + word.trailing_zeros() as usize) as u16)
    }
}

/// Finds words that follow each other, and counts how often they do.
pub(crate) struct PhraseMatcher<'a> {
    words: Vec<(u32, Word<'a>)>,
    /// How often the document that was found last has the phrase.
    count: u32,
    /// Places of each word in it.
    places: Vec<Vec<u32>>,
}

/// A word of a phrase.
enum Word<'a> {
    One(Box<List<'a>>),
    /// Of several keys: each document with each of its places, in order, and how far it is read.
    Several(Vec<(u16, u32)>, usize),
}

impl<'a> Word<'a> {
    fn new(keys: &'a Keys, segment: &'a Segment, steps: &mut Steps) -> Option<Self> {
        if let Keys::One(key) = keys {
            steps.take(16);
            let entry = segment.dictionary().find(key)?;
            return Some(Self::One(Box::new(segment.list(key, entry))));
        }
        let mut found = Vec::new();
        let mut places = Vec::new();
        each_list(keys, segment, steps, &mut |mut list, steps| {
            let mut from = 0;
            while let (Some(document), taken) = list.seek(from) {
                places.clear();
                list.places(&mut places);
                steps.take(taken + places.len() as u32);
                found.extend(places.iter().map(|place| (document, *place)));
                from = u32::from(document) + 1;
            }
        });
        found.sort_unstable();
        (!found.is_empty()).then_some(Self::Several(found, 0))
    }

    fn estimate(&self) -> usize {
        match self {
            Self::One(list) => list.documents() as usize,
            Self::Several(found, _) => found.len(),
        }
    }

    fn seek(&mut self, from: u32, steps: &mut Steps) -> Option<u16> {
        match self {
            Self::One(list) => sought(list, from, steps),
            Self::Several(found, at) => {
                steps.take(4);
                let rest = &found[*at..];
                *at += rest.partition_point(|(document, _)| u32::from(*document) < from);
                found.get(*at).map(|(document, _)| *document)
            }
        }
    }

    /// The places in the document that was found last.
    fn places(&mut self, places: &mut Vec<u32>) {
        match self {
            Self::One(list) => list.places(places),
            Self::Several(found, at) => {
                let document = found.get(*at).map(|(document, _)| *document);
                let of_it = found[*at..].iter().take_while(|(it, _)| Some(*it) == document);
                places.extend(of_it.map(|(_, place)| *place));
            }
        }
    }
}

impl<'a> PhraseMatcher<'a> {
    /// Of a phrase in a segment; nothing if a word of it is not there.
    pub(crate) fn new(
        plan: &'a PhrasePlan,
        segment: &'a Segment,
        steps: &mut Steps,
    ) -> Option<Self> {
        let words = plan.words.iter();
        let words = words.map(|(offset, keys)| Some((*offset, Word::new(keys, segment, steps)?)));
        let words: Vec<_> = words.collect::<Option<_>>()?;
        let places = words.iter().map(|_| Vec::new()).collect();
        Some(Self { words, count: 0, places })
    }

    fn estimate(&self) -> usize {
        self.words.iter().map(|(_, word)| word.estimate()).min().unwrap_or_default()
    }

    fn next(&mut self, mut from: u32, steps: &mut Steps) -> Option<u16> {
        'candidate: while !steps.are_over() {
            for (_, word) in &mut self.words {
                let found = word.seek(from, steps)?;
                if u32::from(found) > from {
                    from = found.into();
                    continue 'candidate;
                }
            }
            self.count = self.count_here(steps);
            if self.count > 0 {
                return u16::try_from(from).ok();
            }
            from += 1;
        }
        None
    }

    /// How often the document at which all words are has the phrase.
    fn count_here(&mut self, steps: &mut Steps) -> u32 {
        for ((_, word), places) in self.words.iter_mut().zip(&mut self.places) {
            places.clear();
            word.places(places);
            steps.take(places.len() as u32);
        }
        let offsets = self.words.iter().map(|(offset, _)| *offset);
        let mut of_words = offsets.zip(&self.places);
        let Some((first, starts)) = of_words.next() else { return 0 };
        let rest: Vec<_> = of_words.collect();
        let is_whole = |start: &&u32| {
            rest.iter()
                .all(|(offset, places)| places.binary_search(&(*start + offset - first)).is_ok())
        };
        starts.iter().filter(is_whole).count() as u32
    }
}
