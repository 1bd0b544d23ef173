//! Questions to an index.
use super::SearchIndex;
use super::matcher::{Matcher, PhraseMatcher, Place, Steps};
use super::plan::{self, Keys, PhrasePlan, Plan, Planner};
use super::segment::Segment;
use crate::index::Index;
use crate::record::{Cursor, Meta};
use crate::search::naive::{self, Names};
use crate::search::query::Query;
use crate::search::rank::{self, Rated};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// In which order records are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Order {
    /// The one that was changed last comes first.
    #[default]
    Newest,
    /// The one that was changed last comes last.
    Oldest,
    /// The one that fits the words of the query best comes first (BM25); of those that fit alike the newest.
    Best,
}

/// A place in what a query finds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SearchCursor {
    /// How well the record fits, in the order of that; else 0. It changes with other records, so that a page of the best may
    /// have a record again, or leave one out.
    pub score: f64,
    /// The record.
    pub at: Cursor,
}

/// A question to the index.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// Which records.
    pub query: &'a Query,
    /// In which order.
    pub order: Order,
    /// Only after this one, in that order.
    pub after: Option<SearchCursor>,
    /// At most so many.
    pub limit: usize,
    /// Whether to count all that there are.
    pub count: bool,
    /// The steps that it may take, see [`SEARCH_STEPS_MAX`](crate::limits::SEARCH_STEPS_MAX).
    pub steps: u64,
}

/// The answer of the index.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The records, in order.
    pub records: Vec<SearchCursor>,
    /// Whether there are more.
    pub more: bool,
    /// How many there are in all, if that was to be counted.
    pub count: Option<u64>,
    /// The steps that it took: a comparison, or some bytes that were read.
    pub steps: u64,
}

/// A question takes more steps than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooBroad;

impl SearchIndex {
    /// Finds records of `index`. With `visible`, only those of them that it allows.
    ///
    /// # Errors
    /// [`TooBroad`].
    pub fn find<V: Fn(&Meta) -> bool>(
        &mut self,
        index: &Index,
        names: &impl Names,
        wanted: &Wanted<'_>,
        visible: Option<V>,
    ) -> Result<Found, TooBroad> {
        self.freeze(index);
        let tree = &wanted.query.tree;
        let plan = Planner { index, names, segments: &self.segments }.plan(tree);
        let rated = match wanted.order {
            Order::Best => naive::rated(tree),
            Order::Newest | Order::Oldest => Vec::new(),
        };
        let phrases = rated.into_iter().map(|(field, phrase)| plan::of_phrase(field, phrase));
        let phrases: Vec<PhrasePlan> = phrases.collect();
        let search = Search { index, at: self, plan: &plan, wanted, visible };
        let mut steps = Steps(wanted.steps);
        let mut found = match wanted.order {
            Order::Newest => search.newest(&mut steps),
            Order::Oldest => search.oldest(&mut steps),
            Order::Best => search.best(&phrases, &mut steps),
        };
        if wanted.count {
            found.count = Some(search.count(&mut steps));
        }
        found.steps = wanted.steps - steps.0;
        if steps.0 == 0 { Err(TooBroad) } else { Ok(found) }
    }
}

struct Search<'a, V> {
    index: &'a Index,
    at: &'a SearchIndex,
    plan: &'a Plan,
    wanted: &'a Wanted<'a>,
    visible: Option<V>,
}

/// A segment that is gone through, newest document first.
struct Open<'a> {
    place: Place<'a>,
    matcher: Matcher<'a>,
}

impl<'a, V: Fn(&Meta) -> bool> Search<'a, V> {
    /// The segments, the one with the newest document first.
    fn places(&self) -> Vec<Place<'a>> {
        let numbered = (0_u16..).zip(&self.at.segments);
        let of = |(number, segment): (u16, &'a Option<Segment>)| {
            let segment = segment.as_ref()?;
            Some(Place { index: self.index, segment, number, places: &self.at.places })
        };
        let mut places: Vec<_> = numbered.filter_map(of).collect();
        places.sort_by_key(|place| Reverse(place.segment.newest()));
        places
    }

    fn open(&self, place: Place<'a>, steps: &mut Steps) -> Open<'a> {
        Open { matcher: Matcher::new(self.plan, place, steps), place }
    }

    fn is_visible(&self, meta: &Meta) -> bool {
        self.visible.as_ref().is_none_or(|visible| visible(meta))
    }

    /// The next document of a segment that was not taken out.
    fn next(open: &mut Open<'a>, mut from: u32, steps: &mut Steps) -> Option<u16> {
        loop {
            let document = open.matcher.next(from, open.place, steps)?;
            if !open.place.segment.is_dead(document) {
                return Some(document);
            }
            from = u32::from(document) + 1;
        }
    }

    fn meta(&self, place: Place<'a>, document: u16) -> &'a Meta {
        self.index.at(place.segment.slot(document))
    }

    /// The newest records: of the segments in turn, each opened only when its newest document could be next.
    fn newest(&self, steps: &mut Steps) -> Found {
        let after = self.wanted.after.map(|after| after.at);
        let mut places = self.places().into_iter().peekable();
        let mut open: Vec<Open<'a>> = Vec::new();
        let mut heads: BinaryHeap<(Cursor, usize, u16)> = BinaryHeap::new();
        let mut found = Found::default();
        loop {
            let highest = heads.peek().map(|(cursor, ..)| *cursor);
            let could_be = |place: &Place<'a>| place.segment.newest() >= highest;
            if let Some(place) = places.next_if(could_be) {
                let mut opened = self.open(place, steps);
                let from = after.map_or(0, |after| place.segment.begin_after(after));
                if let Some((cursor, document)) = self.head(&mut opened, from, after, steps) {
                    heads.push((cursor, open.len(), document));
                    open.push(opened);
                }
                continue;
            }
            let Some((cursor, at, document)) = heads.pop() else { return found };
            if found.records.len() == self.wanted.limit {
                found.more = true;
                return found;
            }
            found.records.push(SearchCursor { score: 0.0, at: cursor });
            let from = u32::from(document) + 1;
            if let Some((cursor, document)) = self.head(&mut open[at], from, after, steps) {
                heads.push((cursor, at, document));
            }
        }
    }

    /// The first document from there on that may be shown, and that comes after a cursor.
    fn head(
        &self,
        open: &mut Open<'a>,
        mut from: u32,
        after: Option<Cursor>,
        steps: &mut Steps,
    ) -> Option<(Cursor, u16)> {
        loop {
            let document = Self::next(open, from, steps)?;
            let meta = self.meta(open.place, document);
            let cursor = meta.cursor();
            if after.is_none_or(|after| cursor < after) && self.is_visible(meta) {
                return Some((cursor, document));
            }
            from = u32::from(document) + 1;
        }
    }

    /// The oldest records: of each segment all are gone through, since that goes forwards only.
    fn oldest(&self, steps: &mut Steps) -> Found {
        let after = self.wanted.after.map(|after| after.at);
        let mut kept = Kept::new(self.wanted.limit);
        for place in self.places() {
            let mut open = self.open(place, steps);
            let (mut from, mut documents) = (0, Vec::new());
            while let Some(document) = Self::next(&mut open, from, steps) {
                documents.push(document);
                from = u32::from(document) + 1;
            }
            let mut taken = 0;
            for document in documents.into_iter().rev() {
                let meta = self.meta(place, document);
                let cursor = meta.cursor();
                if after.is_none_or(|after| cursor > after) && self.is_visible(meta) {
                    kept.offer(Reverse(cursor));
                    taken += 1;
                }
                if taken > self.wanted.limit {
                    break;
                }
            }
        }
        let (cursors, more) = kept.end();
        let records = cursors.into_iter().map(|Reverse(at)| SearchCursor { score: 0.0, at });
        Found { records: records.collect(), more, ..Found::default() }
    }

    /// The records that fit best: all that are found are rated.
    fn best(&self, phrases: &[PhrasePlan], steps: &mut Steps) -> Found {
        let after = self.wanted.after.map(|it| Rated::new(it.score, it.at.modified, it.at.id));
        let places = self.places();
        let rarities: Vec<f64> = phrases.iter().map(|it| self.rarity(it, &places, steps)).collect();
        let words = places.iter().map(|place| place.segment.words()).sum();
        let mean = rank::mean(words, self.at.len as u64);
        // A document that is found has been counted already if nothing else is asked for.
        let only = matches!((self.plan, phrases), (Plan::Keys(Keys::One(key)), [PhrasePlan { words }])
            if matches!(&words[..], [(_, Keys::One(word))] if word == key));
        let mut kept = Kept::new(self.wanted.limit);
        for place in places {
            let mut open = self.open(place, steps);
            let mut raters: Vec<Matcher<'_>> =
                phrases.iter().map(|phrase| rater(phrase, place.segment, steps)).collect();
            let mut from = 0;
            while let Some(document) = Self::next(&mut open, from, steps) {
                from = u32::from(document) + 1;
                let length = place.segment.length(document);
                let rarity = rarities.iter().copied();
                let score = if let Matcher::List(list) = &open.matcher
                    && only
                {
                    rank::score([list.count()].into_iter().zip(rarity), length, mean)
                } else {
                    let counts = raters.iter_mut().map(|it| it.count(document, place, steps));
                    rank::score(counts.zip(rarity), length, mean)
                };
                if kept.lowest().is_some_and(|lowest: Rated| {
                    let at = Cursor { modified: lowest.modified, id: lowest.id };
                    score < lowest.score
                        || score == lowest.score && place.segment.newest() <= Some(at)
                }) {
                    kept.more = kept.more
                        || self.visible.is_none()
                        || self.is_visible(self.meta(place, document));
                    continue;
                }
                let meta = self.meta(place, document);
                let rated = Rated::new(score, meta.modified, meta.id);
                if after.is_none_or(|after| rated < after) && self.is_visible(meta) {
                    kept.offer(rated);
                }
            }
        }
        let (rated, more) = kept.end();
        let cursor = |it: Rated| SearchCursor {
            score: it.score,
            at: Cursor { modified: it.modified, id: it.id },
        };
        Found { records: rated.into_iter().map(cursor).collect(), more, ..Found::default() }
    }

    /// How much it says that a record has a phrase.
    fn rarity(&self, phrase: &PhrasePlan, places: &[Place<'a>], steps: &mut Steps) -> f64 {
        let mut holders = 0;
        for place in places {
            let segment = place.segment;
            let mut open = Open { matcher: rater(phrase, segment, steps), place: *place };
            if let Matcher::List(list) = &open.matcher
                && !segment.has_dead()
            {
                holders += u64::from(list.documents());
                continue;
            }
            holders += count_in::<V>(&mut open, steps, |_| true);
        }
        rank::rarity(self.at.len as u64, holders)
    }

    /// How many records there are.
    fn count(&self, steps: &mut Steps) -> u64 {
        let mut count = 0;
        for place in self.places() {
            let segment = place.segment;
            let mut open = self.open(place, steps);
            count += match (&open.matcher, &self.visible) {
                (Matcher::All, None) => segment.living() as u64,
                (Matcher::List(list), None) if !segment.has_dead() => list.documents().into(),
                (_, None) => count_in::<V>(&mut open, steps, |_| true),
                (_, Some(visible)) => {
                    count_in::<V>(&mut open, steps, |document| visible(self.meta(place, document)))
                }
            };
        }
        count
    }
}

/// How many documents of a segment are found and counted.
fn count_in<V: Fn(&Meta) -> bool>(
    open: &mut Open<'_>,
    steps: &mut Steps,
    counts: impl Fn(u16) -> bool,
) -> u64 {
    let (mut from, mut count) = (0, 0);
    while let Some(document) = Search::<V>::next(open, from, steps) {
        count += u64::from(counts(document));
        from = u32::from(document) + 1;
    }
    count
}

/// Counts a phrase in the documents of a segment.
fn rater<'a>(phrase: &'a PhrasePlan, segment: &'a Segment, steps: &mut Steps) -> Matcher<'a> {
    if let [(_, Keys::One(key))] = &phrase.words[..] {
        steps.take(16);
        let entry = segment.dictionary().find(key);
        return entry
            .map_or(Matcher::Nothing, |entry| Matcher::List(Box::new(segment.list(key, entry))));
    }
    PhraseMatcher::new(phrase, segment, steps)
        .map_or(Matcher::Nothing, |phrase| Matcher::Phrase(Box::new(phrase)))
}

/// The highest of some things.
struct Kept<T> {
    heap: BinaryHeap<Reverse<T>>,
    limit: usize,
    more: bool,
}

impl<T: Ord + Copy> Kept<T> {
    fn new(limit: usize) -> Self {
        Self { heap: BinaryHeap::new(), limit, more: false }
    }

    /// The score that one has to exceed, once there are as many as wanted.
    fn lowest(&self) -> Option<T> {
        (self.heap.len() >= self.limit).then(|| self.heap.peek().map(|Reverse(it)| *it)).flatten()
    }

    fn offer(&mut self, one: T) {
        self.heap.push(Reverse(one));
        if self.heap.len() > self.limit {
            self.heap.pop();
            self.more = true;
        }
    }

    /// Them, the highest first, and whether there were more.
    fn end(self) -> (Vec<T>, bool) {
        let sorted = self.heap.into_sorted_vec();
        (sorted.into_iter().map(|Reverse(it)| it).collect(), self.more)
    }
}
