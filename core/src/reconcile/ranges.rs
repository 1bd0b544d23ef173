//! Range-based set reconciliation.
//!
//! One side sends fingerprints of ranges that cover all its records ([`recent`]); from then on each side answers a
//! message with what still differs ([`respond`]), until one has no answer. A message divides the whole order of (modified, id)
//! into ranges, the last one open-ended, and says of each one of three things:
//!
//! | content | meaning | answer for that range |
//! |---|---|---|
//! | skip | nothing left to say | skip |
//! | fingerprint | of the sender's records in it | skip if equal; a list of at most [`LIST_MAX`] records; else [`SPLIT_INTO`] fingerprints |
//! | list | id, version and digest of each of the sender's records | skip: the receiver knows what to need and to give |
//!
//! ```text
//! Ranges  = [*range]                    at least one; only the last has no bound
//! range   = [content, modified: uint, id: bytes(0..16)] / [content]
//! content = null / fingerprint: bytes(16) / [bytes(n * 40)]     id (16), version (8), digest (first 16)
//! ```
//!
//! `modified` is the difference to the bound before, the id lacks its trailing zeros.
//!
//! **Bounds.** A message has at most [`RANGE_ITEMS_MAX`] ranges and listed records together. Parts
//! that do not fit are told by coarser fingerprints and come again, leftmost first, so that every
//! message brings the lowest difference one step further. An answer gives at most [`GIVE_MAX`]
//! records; the rest of that range is asked for again by fingerprint. Neither side keeps anything
//! between messages, so a store may change in between.
//!
//! Source: A. Meyer, "Range-Based Set Reconciliation" (2023); reference 3.9 and its erratum 7 (the last range is
//! open-ended).
use crate::fault::Misbehaved;
use crate::id::{Digest, RecordId};
use crate::index::{Fingerprint128, Index};
use crate::record::{Cursor, Meta};
use std::cmp::Ordering;

mod codec;
#[cfg(test)]
mod tests;

/// Ranges and listed records of one message. Source: as many listed records take 160 KiB, so that a message
/// stays under [`MESSAGE_OVERHEAD_BYTES_MAX`](crate::limits::MESSAGE_OVERHEAD_BYTES_MAX). A message with more is refused.
pub const RANGE_ITEMS_MAX: usize = 4_096;
/// Records given in one answer. Guess: 4 MB of records of 1 KB a round. The rest comes in the next rounds.
pub const GIVE_MAX: usize = 4_096;
/// Records of a range that is listed, not split. Guess: as negentropy.
pub const LIST_MAX: usize = 32;
/// Parts into which a range is split. Guess: as negentropy.
pub const SPLIT_INTO: usize = 16;
/// Records of the most recent range of a first message, and how much longer the one before it is. Guess.
const RECENT: usize = 256;
const RECENT_GROW: usize = 32;
/// Ranges of a message after a split: leaves room to list some of them in the answer.
const RANGES_MAX: usize = RANGE_ITEMS_MAX / 2;

/// Bytes of a digest in a list: nobody makes two records that agree in so many.
const MARK_BYTES: usize = 16;

/// One message of a reconciliation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranges(Vec<Range>);

impl Ranges {
    /// Ranges and listed records.
    pub(super) fn len(&self) -> usize {
        let listed = |range: &Range| match &range.content {
            Content::List(items) => items.len(),
            Content::Skip | Content::Fingerprint(_) => 0,
        };
        self.0.len() + self.0.iter().map(listed).sum::<usize>()
    }
}

/// The records from the bound of the range before (inclusive).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Range {
    /// Exclusive; `None` in the last range, and only there.
    upper: Option<Cursor>,
    content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Skip,
    Fingerprint(Fingerprint128),
    List(Vec<Item>),
}

/// The entry of a record in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Item {
    id: RecordId,
    version: u64,
    mark: [u8; MARK_BYTES],
}

impl From<&Meta> for Item {
    fn from(meta: &Meta) -> Self {
        Self { id: meta.id, version: meta.version, mark: mark(&meta.digest) }
    }
}

fn mark(digest: &Digest) -> [u8; MARK_BYTES] {
    std::array::from_fn(|i| digest.as_bytes()[i])
}

/// The consequences of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// The message to send back; `None` if nothing is left to say.
    pub(super) reply: Option<Ranges>,
    /// Records that the other side has newer, or that we lack.
    pub(super) need: Vec<RecordId>,
    /// Records that we have newer, or that the other side lacks; at most [`GIVE_MAX`] and the
    /// listed ones. A record stands in both lists if two contents claim one version: each side
    /// decides when it has both.
    pub(super) give: Vec<RecordId>,
}

/// The first message: fingerprints of ranges that end 256, 8,192 … records before the last, so that what is
/// recent is found in fewer steps; or a list of none.
pub(super) fn recent(index: &Index) -> Ranges {
    let mut reply = Reply { ranges: Vec::new(), used: 0, expanded: false };
    if index.is_empty() {
        reply.push(None, Content::List(Vec::new()));
    } else {
        let steps = (0..).map_while(|nth| {
            (RECENT * RECENT_GROW.pow(nth) < index.len()).then_some(RECENT * RECENT_GROW.pow(nth))
        });
        let mut places: Vec<usize> = steps.map(|newer| index.len() - newer).collect();
        places.reverse();
        reply.divide(index, Cursor::default(), None, &places);
    }
    Ranges(reply.ranges)
}

/// Whether the lowest range of a first message is equal here: then only later records differ.
pub(super) fn begins_equal(index: &Index, Ranges(ranges): &Ranges) -> bool {
    matches!(
        ranges.first(),
        Some(Range { upper: Some(upper), content: Content::Fingerprint(theirs) })
            if index.summary(Cursor::default(), Some(*upper)).fingerprint == *theirs
    )
}

/// Answers a message of the other side.
///
/// # Errors
/// [`Misbehaved::Sync`] if the bounds do not rise or a record is listed twice; nothing follows then.
pub(super) fn respond(index: &Index, message: &Ranges) -> Result<Answer, Misbehaved> {
    let listed = check(message)?;
    let mut reply = Reply { ranges: Vec::new(), used: 0, expanded: false };
    let mut differences = Differences { listed, need: Vec::new(), give: Vec::new() };
    let mut lower = Cursor::default();
    for (at, range) in message.0.iter().enumerate() {
        let rest = message.0.len() - 1 - at;
        match &range.content {
            Content::Skip => reply.push(range.upper, Content::Skip),
            Content::Fingerprint(theirs) => {
                if !reply.fingerprint(index, lower, range.upper, theirs, rest) {
                    break;
                }
            }
            Content::List(items) => match differences.list(index, lower, range.upper, items) {
                None => reply.push(range.upper, Content::Skip),
                Some(unsaid) => reply.unsaid(index, lower, unsaid, range.upper, rest),
            },
        }
        if let Some(upper) = range.upper {
            lower = upper;
        }
    }
    Ok(Answer { reply: reply.finish(), need: differences.need, give: differences.give })
}

fn fingerprint(index: &Index, lower: Cursor, upper: Option<Cursor>) -> Content {
    Content::Fingerprint(index.summary(lower, upper).fingerprint)
}

/// Bounds must rise, and a store holds an id once. Returns the listed ids, in order.
fn check(message: &Ranges) -> Result<Vec<RecordId>, Misbehaved> {
    let mut listed = Vec::new();
    let mut lower = Cursor::default();
    for range in &message.0 {
        if let Some(upper) = range.upper {
            if upper <= lower {
                return Err(Misbehaved::Sync);
            }
            lower = upper;
        }
        if let Content::List(items) = &range.content {
            listed.extend(items.iter().map(|item| item.id));
        }
    }
    listed.sort_unstable();
    let twice = listed.windows(2).any(|pair| pair[0] == pair[1]);
    if twice { Err(Misbehaved::Sync) } else { Ok(listed) }
}

/// Collects what the lists of one message show.
struct Differences {
    /// All ids of all its lists, in order.
    listed: Vec<RecordId>,
    need: Vec<RecordId>,
    give: Vec<RecordId>,
}

impl Differences {
    /// Compares a list with our records. If [`GIVE_MAX`] is reached, returns the place in the range from which
    /// on nothing was given.
    fn list(
        &mut self,
        index: &Index,
        lower: Cursor,
        upper: Option<Cursor>,
        items: &[Item],
    ) -> Option<Cursor> {
        for item in items {
            // By id, wherever it stands in our order: another version has another time.
            let Some(ours) = index.get(&item.id) else {
                self.need.push(item.id);
                continue;
            };
            let order = ours.version.cmp(&item.version);
            let conflict = order == Ordering::Equal && mark(&ours.digest) != item.mark;
            if order == Ordering::Less || conflict {
                self.need.push(item.id);
            }
            if order == Ordering::Greater || conflict {
                self.give.push(item.id);
            }
        }
        for ours in index.range(lower, upper) {
            if self.listed.binary_search(&ours.id).is_ok() {
                continue;
            }
            if self.give.len() >= GIVE_MAX {
                return Some(ours.cursor());
            }
            self.give.push(ours.id);
        }
        None
    }
}

/// Builds the message to send back.
struct Reply {
    ranges: Vec<Range>,
    /// Ranges and listed records so far.
    used: usize,
    /// Whether a range was split, listed or given from, which brings both sides nearer to the end.
    expanded: bool,
}

impl Reply {
    fn push(&mut self, upper: Option<Cursor>, content: Content) {
        if let (Content::Skip, Some(last)) = (&content, self.ranges.last_mut())
            && last.content == Content::Skip
        {
            last.upper = upper;
            return;
        }
        self.used += 1;
        if let Content::List(items) = &content {
            self.used += items.len();
        }
        self.ranges.push(Range { upper, content });
    }

    /// Answers one fingerprint, after which `rest` ranges follow. Returns whether there is room for those;
    /// otherwise they are covered by one fingerprint.
    fn fingerprint(
        &mut self,
        index: &Index,
        lower: Cursor,
        upper: Option<Cursor>,
        theirs: &Fingerprint128,
        rest: usize,
    ) -> bool {
        let ours = index.summary(lower, upper);
        if ours.fingerprint == *theirs {
            self.push(upper, Content::Skip);
            return true;
        }
        let listed = ours.count <= LIST_MAX;
        let items = if listed { 1 + ours.count } else { SPLIT_INTO };
        let ranges = self.ranges.len() + items + rest;
        let fits = self.used + items + rest <= RANGE_ITEMS_MAX && (listed || ranges <= RANGES_MAX);
        if !fits && self.expanded {
            self.push(upper, Content::Fingerprint(ours.fingerprint));
            return true;
        }
        // The lowest difference always gets its room: in front of it there is one range to skip at most.
        self.expanded = true;
        if listed {
            let items = index.range(lower, upper).map(Item::from).collect();
            self.push(upper, Content::List(items));
        } else {
            let places: Vec<usize> =
                (1..SPLIT_INTO).map(|part| ours.count * part / SPLIT_INTO).collect();
            self.divide(index, lower, upper, &places);
        }
        if let (false, Some(upper)) = (fits, upper) {
            self.push(None, fingerprint(index, upper, None));
        }
        fits
    }

    /// Fingerprints of the parts of a range that begin at these records of it, counted from 0.
    fn divide(&mut self, index: &Index, lower: Cursor, upper: Option<Cursor>, places: &[usize]) {
        let mut lower = lower;
        for bound in index.bounds(lower, upper, places) {
            self.push(Some(bound), fingerprint(index, lower, Some(bound)));
            lower = bound;
        }
        self.push(upper, fingerprint(index, lower, upper));
    }

    /// Covers a listed range of which everything from `unsaid` on must come again.
    fn unsaid(
        &mut self,
        index: &Index,
        lower: Cursor,
        unsaid: Cursor,
        upper: Option<Cursor>,
        rest: usize,
    ) {
        self.expanded = true;
        let mut from = lower;
        if unsaid > lower && self.used + 2 + rest <= RANGE_ITEMS_MAX {
            self.push(Some(unsaid), Content::Skip);
            from = unsaid;
        }
        self.push(upper, fingerprint(index, from, upper));
    }

    fn finish(self) -> Option<Ranges> {
        let silent = self.ranges.iter().all(|range| range.content == Content::Skip);
        (!silent).then_some(Ranges(self.ranges))
    }
}
