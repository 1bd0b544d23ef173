//! Searches, live queries, and what they find.
use crate::id::RecordId;
use crate::record::Record;
use crate::search::{Order, Query, SearchCursor};

/// A question about the records of a group.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Search {
    /// Which records. Tombstones, internal records and those that are hidden here are never found.
    pub query: Query,
    /// In which order.
    pub order: Order,
    /// Only after this place in that order, see [`Found::next`].
    pub after: Option<SearchCursor>,
    /// At most so many, at most [`PAGE_MAX`](crate::limits::PAGE_MAX). 0 means as many as that.
    pub limit: usize,
    /// Whether to count all that there are.
    pub count: bool,
}

/// A page of what a search has found.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Found {
    /// The records, in order.
    pub records: Vec<Record>,
    /// Where to go on, if there are more.
    pub next: Option<SearchCursor>,
    /// How many there are in all, if that was to be counted.
    pub count: Option<u64>,
    /// Records of the group that no search finds, since they or their creators are over
    /// [`SEARCHABLE_BYTES`](crate::limits::SEARCHABLE_BYTES).
    pub unsearched: u64,
}

/// A query that is followed, named by the host: so that a host which is not told any more that a query is followed can
/// end it all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct QueryId(pub u64);

/// Changes of what a query finds. A reader that takes the removed and the placed records out of its list, and then puts in each placed
/// record, has the list as it is now: see [`apply`](Self::apply).
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Changes {
    /// Records that are found no longer, or that others have pushed out.
    pub removed: Vec<RecordId>,
    /// Records that were found newly, or that were changed or moved, by rising places.
    pub placed: Vec<Placed>,
    /// As in [`Found::unsearched`].
    pub unsearched: u64,
}

/// A record and its place in what a query finds.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Placed {
    /// How many records come before it.
    pub at: usize,
    /// Whether it was not in the list before.
    pub is_new: bool,
    /// The record.
    pub record: Record,
}

impl Changes {
    /// Brings a list up to date.
    pub fn apply(self, list: &mut Vec<Record>) {
        let placed = |id: RecordId| self.placed.iter().any(|placed| placed.record.id == id);
        list.retain(|record| !self.removed.contains(&record.id) && !placed(record.id));
        for Placed { at, record, .. } in self.placed {
            list.insert(at.min(list.len()), record);
        }
    }
}
