//! Finding records of the application, and following what a query finds.
//!
//! The index is made when it is needed first: all records are read, the newest first, and searches wait until they are in it.
//! From then on records go into it as they are taken in, with the content that is at hand.
//!
//! ```text
//! taken in ──► index          Search ──► wait until it is made ──► find ──► read from the disk ──► Found
//!     └─► live queries: looked at again, at once and then every 50 ms ──► what differs from what was told ──► Changes
//! ```
use super::{Ctx, Group, Timer};
use crate::error::Error;
use crate::id::{PeerId, RecordId};
use crate::io::{Found, Output, QueryId, RequestId, Search};
use crate::limits;
use crate::record::{Cursor, Meta, Record, Signed};
use crate::roll::Roll;
use crate::search::inverted::Wanted;
use crate::search::{Names, SearchIndex};
use crate::share::{Rank, Shares};
use crate::sorted::{SortedMap, SortedSet};
use crate::storage::{self, Answer, Class, Pending};
use crate::time::{Time, WallTime};
use bytes::Bytes;
use std::time::Duration;

mod live;

use live::Live;

/// Bytes of a record that are no content: its envelope of keys, times and signatures. Guess.
const ENVELOPE_BYTES: u32 = 200;

/// When the next records go into the index: in an input of its own.
const SOON: Duration = Duration::from_micros(1);

/// The searches of a group.
#[derive(Default)]
pub(super) struct Searching {
    /// Nothing before it was needed first.
    index: Option<Box<SearchIndex>>,
    /// The records that the index lacks.
    lacking: Lacking,
    /// Searches that wait for it.
    waiting: Vec<(RequestId, Search)>,
    live: SortedMap<QueryId, Live>,
    /// When live queries may be answered again.
    next: Time,
    /// Bytes of the records that are in the index, by creator.
    shares: Option<Shares<PeerId>>,
    /// Records that are over the bound of those. At most as many as there are records.
    unsearched: SortedSet<RecordId>,
}

/// The records that are still to come into the index.
#[derive(Default)]
struct Lacking {
    /// All before this one in their order, or just all; nothing if there are none.
    before: Option<Option<Cursor>>,
    /// Those that stand again since a later version could not be written. Few, and read at once.
    again: SortedSet<RecordId>,
    /// Whether some are being read.
    reading: bool,
}

impl Lacking {
    fn is_over(&self) -> bool {
        self.before.is_none() && self.again.is_empty() && !self.reading
    }
}

impl Searching {
    /// All requests that wait, which are forgotten.
    pub(super) fn requests(&mut self) -> Vec<RequestId> {
        let waiting = std::mem::take(&mut self.waiting).into_iter().map(|(request, _)| request);
        let live = std::mem::take(&mut self.live).into_iter();
        waiting.chain(live.filter_map(|(_, live)| live.waiting)).collect()
    }
}

/// The names of the members of a group.
struct MemberNames<'a> {
    roll: &'a Roll,
    now: WallTime,
}

impl Names for MemberNames<'_> {
    fn of(&self, peer: PeerId) -> Option<&str> {
        let best = || Some(self.roll.best_of(peer, self.now)?.name());
        self.roll.name_of(peer).or_else(best)
    }
}

impl Group {
    /// Finds records, now or when the index is made.
    pub(super) fn search_records(
        &mut self,
        ctx: &mut Ctx<'_>,
        search: Search,
        request: RequestId,
    ) -> Result<(), Error> {
        self.begin_searching(ctx);
        if self.searching.lacking.is_over() {
            return self.answer_search(ctx, &search, request);
        }
        if self.searching.waiting.len() >= limits::SEARCHES_WAITING_MAX {
            return Err(Error::Busy);
        }
        self.searching.waiting.push((request, search));
        Ok(())
    }

    /// Begins to make the index, if there is none.
    fn begin_searching(&mut self, ctx: &mut Ctx<'_>) {
        if self.searching.index.is_none() {
            self.searching.index = Some(Box::new(SearchIndex::new(ctx.table_secret)));
            self.searching.shares = Some(Shares::new(limits::SEARCHABLE_BYTES));
            self.searching.lacking.before = Some(None);
            self.go_on_searching(ctx);
        }
    }

    /// Goes on with making the index; once it is made, answers whoever waits.
    pub(super) fn go_on_searching(&mut self, ctx: &mut Ctx<'_>) {
        if !self.searching.lacking.is_over() {
            self.fill_index(ctx);
        }
        if self.searching.index.is_some() && self.searching.lacking.is_over() {
            for (request, search) in std::mem::take(&mut self.searching.waiting) {
                if let Err(error) = self.answer_search(ctx, &search, request) {
                    ctx.out.push_back(Output::Done { request, result: Err(error) });
                }
            }
            self.answer_live(ctx);
        }
    }

    /// Takes some records that are lacking into the index, and asks the disk for the others.
    fn fill_index(&mut self, ctx: &mut Ctx<'_>) {
        if self.searching.lacking.reading {
            return;
        }
        let ids = self.next_lacking();
        if ids.is_empty() {
            return;
        }
        let mut unread = Vec::new();
        for id in ids {
            match self.bytes_at_hand(ctx, id) {
                Some(bytes) => self.take_into_index(bytes),
                None => unread.push(id),
            }
        }
        if unread.is_empty() {
            // Not all at once, whatever is in memory.
            self.timers.set(Timer::Search, ctx.now.mono.after(SOON));
            return;
        }
        let key = |id: &RecordId| storage::record_key(self.id, Class::Application, *id);
        let keys = unread.iter().map(key).collect();
        self.searching.lacking.reading = true;
        ctx.read(keys, Pending::Index { group: self.id, ids: unread });
    }

    /// The next records that the index lacks, which it is taken to have from here on.
    fn next_lacking(&mut self) -> Vec<RecordId> {
        let records = &self.indexes[Class::Application as usize];
        let Searching { lacking, index: Some(index), .. } = &mut self.searching else {
            return Vec::new();
        };
        let mut ids: Vec<RecordId> = std::mem::take(&mut lacking.again).into_iter().collect();
        let Some(before) = lacking.before else { return ids };
        let is_held = |meta: &Meta| records.slot(&meta.id).is_some_and(|slot| index.holds(slot));
        let mut metas = records.before(before).peekable();
        let mut looked_at = 0;
        while ids.len() < limits::LOAD_PAGE_MAX && looked_at < limits::PAGE_MAX {
            let Some(meta) = metas.next() else { break };
            looked_at += 1;
            lacking.before = Some(Some(meta.cursor()));
            if !meta.deleted && !is_held(meta) {
                ids.push(meta.id);
            }
        }
        if metas.peek().is_none() {
            lacking.before = None;
        }
        ids
    }

    /// The disk was asked for these records.
    pub(crate) fn index_read(
        &mut self,
        ctx: &mut Ctx<'_>,
        ids: &[RecordId],
        values: Vec<Option<Bytes>>,
    ) {
        self.searching.lacking.reading = false;
        for bytes in values.into_iter().flatten() {
            self.take_into_index(bytes);
        }
        let lacks = |id: &&RecordId| {
            let records = self.index(Class::Application);
            let found = records.get(id).is_some_and(|meta| !meta.deleted);
            found && !self.is_in_index(id)
        };
        // They are there, and cannot be read.
        let lost: Vec<RecordId> = ids.iter().filter(lacks).copied().collect();
        self.searching.unsearched.extend(lost);
        self.go_on_searching(ctx);
    }

    fn is_in_index(&self, id: &RecordId) -> bool {
        let slot = self.index(Class::Application).slot(id);
        let index = self.searching.index.as_ref();
        slot.zip(index).is_some_and(|(slot, index)| index.holds(slot))
    }

    /// Takes a record into the index, if it stands as it is in these bytes.
    fn take_into_index(&mut self, bytes: Bytes) {
        let Ok(signed) = Signed::decode(bytes) else { return };
        let held = self.index(Class::Application).get(&signed.record().id);
        if held.is_some_and(|meta| meta.digest == signed.digest()) {
            self.record_came(signed.record());
        }
    }

    /// A record of the application is in the records' index, with this content.
    pub(super) fn record_came(&mut self, record: &Record) {
        let records = &self.indexes[Class::Application as usize];
        let Searching { index: Some(index), shares: Some(shares), lacking, unsearched, .. } =
            &mut self.searching
        else {
            return;
        };
        lacking.again.remove(&record.id);
        let Some(slot) = records.slot(&record.id).filter(|_| !record.deleted) else { return };
        let bytes = charge(records.at(slot));
        match shares.take(&record.creator, bytes, Rank::Junior) {
            Ok(()) => _ = index.add(records, slot, record),
            Err(_) => _ = unsearched.insert(record.id),
        }
    }

    /// A record of the application came into the records' index. Its content follows, or has to be read.
    pub(super) fn record_lacks_content(&mut self, meta: &Meta) {
        if self.searching.index.is_some() && !meta.deleted {
            self.searching.lacking.again.insert(meta.id);
        }
    }

    /// A record of the application is to leave the records' index, if it is there.
    pub(super) fn record_leaves(&mut self, id: &RecordId) {
        let records = &self.indexes[Class::Application as usize];
        if let Some(slot) = records.slot(id)
            && let Searching {
                index: Some(index), shares: Some(shares), lacking, unsearched, ..
            } = &mut self.searching
        {
            if index.holds(slot) {
                let meta = records.at(slot);
                shares.give_back(&meta.creator(), charge(meta));
                index.remove(slot);
            }
            lacking.again.remove(id);
            unsearched.remove(id);
        }
        self.found_may_change();
    }

    /// Finds records in the index, which is made.
    fn find(
        &mut self,
        ctx: &Ctx<'_>,
        search: &Search,
    ) -> Result<crate::search::inverted::Found, Error> {
        let Some(mut index) = self.searching.index.take() else { return Err(Error::Busy) };
        let names = MemberNames { roll: &self.roll, now: self.clock(ctx.now.wall) };
        let limit = match search.limit {
            0 => limits::PAGE_MAX,
            limit => limit.min(limits::PAGE_MAX),
        };
        let wanted = Wanted {
            query: &search.query,
            order: search.order,
            after: search.after,
            limit,
            count: search.count,
            steps: limits::SEARCH_STEPS_MAX,
        };
        let hides = !self.hidden.is_empty() || !self.is_plausible(ctx.now);
        let visible = hides.then(|| self.shown(ctx.now));
        let found = index.find(self.index(Class::Application), &names, &wanted, visible);
        self.searching.index = Some(index);
        found.map_err(|_| Error::TooBroad)
    }

    fn answer_search(
        &mut self,
        ctx: &mut Ctx<'_>,
        search: &Search,
        request: RequestId,
    ) -> Result<(), Error> {
        let found = self.find(ctx, search)?;
        let next = found.records.last().copied().filter(|_| found.more);
        let unsearched = self.searching.unsearched.len() as u64;
        let answer = Found { records: Vec::new(), next, count: found.count, unsearched };
        let ids = found.records.into_iter().map(|found| found.at.id);
        self.read_page(ctx, request, ids, Answer::Found(answer));
        Ok(())
    }
}

/// Bytes of a record for which its creator answers in the index.
fn charge(meta: &Meta) -> u64 {
    let content = meta.size.saturating_sub(ENVELOPE_BYTES) as usize;
    content.clamp(1, limits::SEARCHED_BYTES_MAX) as u64
}
