//! Live queries: what each finds, told as changes to who waits for them.
//!
//! A query that nobody waits for costs nothing: it is looked at again when somebody does, and the difference to what was
//! told last is the answer. So a slow reader gets fewer and larger changes, and no queue grows.
use super::Searching;
use crate::error::Error;
use crate::group::{Ctx, Group, Timer};
use crate::id::RecordId;
use crate::io::{Changes, Output, QueryId, RequestId, Search};
use crate::limits;
use crate::sorted::SortedMap;
use crate::storage::{Answer, Class};

/// A query that is followed.
pub(super) struct Live {
    search: Search,
    /// The records as they were told, in order, each with the beginning of its digest.
    told: Vec<(RecordId, u64)>,
    /// Whether anything was told.
    begun: bool,
    /// Whether what it finds may have changed since.
    stale: bool,
    /// The request that waits for changes.
    pub(super) waiting: Option<RequestId>,
}

impl Live {
    fn is_due(&self) -> bool {
        self.waiting.is_some() && self.stale
    }

    /// How what is found now differs from what was told: what is gone, and the places of what is new, or was changed or moved,
    /// with whether it is new.
    fn difference(&self, now: &[(RecordId, u64)]) -> (Vec<RecordId>, Vec<(usize, bool)>) {
        let numbered = self.told.iter().enumerate();
        let mut before: SortedMap<RecordId, (usize, u64)> =
            numbered.map(|(at, (id, digest))| (*id, (at, *digest))).collect();
        let mut placed = Vec::new();
        // Where the last one was that stays. A record that was before it and comes behind it has moved.
        let mut last = None;
        for (at, (id, digest)) in now.iter().enumerate() {
            let was = before.remove(id);
            match was {
                Some((was, same)) if same == *digest && last.is_none_or(|last| last < was) => {
                    last = Some(was);
                }
                Some(_) => placed.push((at, false)),
                None => placed.push((at, true)),
            }
        }
        (before.into_keys().collect(), placed)
    }
}

impl Group {
    /// Follows a query from here on.
    pub(in crate::group) fn follow_query(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: QueryId,
        search: Search,
    ) -> Result<(), Error> {
        let live = &self.searching.live;
        if live.len() >= limits::LIVE_QUERIES_MAX || live.contains_key(&id) {
            return Err(Error::Busy);
        }
        self.begin_searching(ctx);
        let live = Live { search, told: Vec::new(), begun: false, stale: true, waiting: None };
        self.searching.live.insert(id, live);
        Ok(())
    }

    /// Answers this request when there are changes.
    pub(in crate::group) fn await_changes(
        &mut self,
        ctx: &mut Ctx<'_>,
        query: QueryId,
        request: RequestId,
    ) -> Result<(), Error> {
        let live = self.searching.live.get_mut(&query).ok_or(Error::UnknownQuery)?;
        if let Some(request) = live.waiting.replace(request) {
            ctx.out.push_back(Output::Done { request, result: Err(Error::Busy) });
        }
        if live.stale {
            self.timers.set_earlier(Timer::Search, self.searching.next.max(ctx.now.mono));
        }
        Ok(())
    }

    /// Follows a query no longer.
    pub(in crate::group) fn end_query(
        &mut self,
        ctx: &mut Ctx<'_>,
        query: QueryId,
    ) -> Result<(), Error> {
        let live = self.searching.live.remove(&query).ok_or(Error::UnknownQuery)?;
        if let Some(request) = live.waiting {
            let result = Err(Error::UnknownQuery);
            ctx.out.push_back(Output::Done { request, result });
        }
        Ok(())
    }

    /// The records that queries find may have changed.
    pub(in crate::group) fn found_may_change(&mut self) {
        let Searching { live, next, .. } = &mut self.searching;
        live.values_mut().for_each(|live| live.stale = true);
        if live.values().any(Live::is_due) {
            self.timers.set_earlier(Timer::Search, *next);
        }
    }

    /// Answers those who wait for changes, if there are any and it is time.
    pub(super) fn answer_live(&mut self, ctx: &mut Ctx<'_>) {
        let due = self.searching.live.iter().filter(|(_, live)| live.is_due());
        let due: Vec<QueryId> = due.map(|(id, _)| *id).collect();
        if due.is_empty() {
            return;
        }
        if ctx.now.mono < self.searching.next {
            self.timers.set_earlier(Timer::Search, self.searching.next);
            return;
        }
        self.searching.next = ctx.now.mono.after(limits::LIVE_EVERY);
        for id in due {
            self.answer_changes(ctx, id);
        }
    }

    fn answer_changes(&mut self, ctx: &mut Ctx<'_>, id: QueryId) {
        let Some(mut live) = self.searching.live.remove(&id) else { return };
        let found = match self.find(ctx, &live.search) {
            Ok(found) => found,
            Err(error) => {
                // It ends with that.
                if let Some(request) = live.waiting {
                    ctx.out.push_back(Output::Done { request, result: Err(error) });
                }
                return;
            }
        };
        let records = self.index(Class::Application);
        let digest = |id: &RecordId| records.get(id).map_or(0, |meta| meta.digest.short());
        let now: Vec<_> = found.records.iter().map(|it| (it.at.id, digest(&it.at.id))).collect();
        let (removed, placed) = live.difference(&now);
        live.stale = false;
        let differs = !removed.is_empty() || !placed.is_empty() || !live.begun;
        if differs && let Some(request) = live.waiting.take() {
            (live.begun, live.told) = (true, now);
            let unsearched = self.searching.unsearched.len() as u64;
            let changes = Changes { removed, placed: Vec::new(), unsearched };
            let ids: Vec<_> = placed.iter().map(|(at, _)| live.told[*at].0).collect();
            self.read_page(ctx, request, ids.into_iter(), Answer::Changes(changes, placed));
        }
        self.searching.live.insert(id, live);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::{Order, Query};
    use proptest::prelude::*;

    fn live(told: Vec<(RecordId, u64)>) -> Live {
        let query = Query::all();
        let search = Search { query, order: Order::Best, after: None, limit: 0, count: false };
        Live { search, told, begun: true, stale: true, waiting: None }
    }

    fn lists() -> impl Strategy<Value = Vec<(RecordId, u64)>> {
        let ids = prop::collection::vec((0..12_u8, 0..2_u64), 0..12);
        ids.prop_map(|ids| {
            let mut list: Vec<(RecordId, u64)> = Vec::new();
            for (id, digest) in ids {
                let id = RecordId::from_bytes([id; 16]);
                if list.iter().all(|(other, _)| *other != id) {
                    list.push((id, digest));
                }
            }
            list
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn who_applies_the_changes_has_the_list_as_it_is(told in lists(), now in lists()) {
            let (removed, placed) = live(told.clone()).difference(&now);
            let mut list = told.clone();
            let of = |at: usize| now[at].0;
            list.retain(|(id, _)| !removed.contains(id) && !placed.iter().any(|(at, _)| of(*at) == *id));
            for (at, is_new) in &placed {
                prop_assert_eq!(*is_new, told.iter().all(|(id, _)| *id != of(*at)));
                list.insert(*at, now[*at]);
            }
            prop_assert_eq!(&list, &now);
            let nothing = live(now.clone()).difference(&now);
            prop_assert_eq!(nothing, (Vec::new(), Vec::new()));
        }
    }
}
