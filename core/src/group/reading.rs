//! Reading records, and showing one no more.
use super::{Ctx, Group};
use crate::error::Error;
use crate::id::RecordId;
use crate::io::{Changes, Cursor, Filter, Found, Output, Placed, Reply, RequestId};
use crate::limits;
use crate::record::{Meta, Signed};
use crate::storage::{self, Answer, Class, Page, Pending};
use crate::time::Now;
use bytes::Bytes;

impl Group {
    /// Shows a record no more, as it stands.
    pub(crate) fn delete_here(&mut self, ctx: &mut Ctx<'_>, id: RecordId) -> Result<(), Error> {
        let index = &self.indexes[Class::Application as usize];
        let meta = index.get(&id).filter(|meta| !meta.deleted).ok_or(Error::UnknownRecord)?;
        if self.hidden.len() >= limits::HIDDEN_MAX {
            // Later versions are shown, so that earlier ones need no place.
            self.hidden.retain(|id, version| index.get(id).is_some_and(|m| m.version == *version));
        }
        if self.hidden.len() >= limits::HIDDEN_MAX {
            return Err(Error::TooManyRecords);
        }
        self.hidden.insert(id, meta.version);
        self.found_may_change();
        self.save(ctx);
        Ok(())
    }

    /// Answers a page of records.
    pub(crate) fn read(&self, ctx: &mut Ctx<'_>, filter: &Filter, request: RequestId) {
        let limit = match filter.limit {
            0 => limits::PAGE_MAX,
            limit => limit.min(limits::PAGE_MAX),
        };
        let index = self.index(Class::Application);
        let shown = self.shown(ctx.now);
        let wanted = |meta: &&Meta| {
            shown(meta)
                && filter.kind.as_ref().is_none_or(|kind| meta.kind == *kind)
                && filter.creator.is_none_or(|creator| meta.creator() == creator)
        };
        let mut ids: Vec<Cursor> = match filter.id {
            Some(id) => index.get(&id).filter(wanted).map(Meta::cursor).into_iter().collect(),
            None if filter.newest_first => {
                let found = index.before(filter.after).filter(wanted);
                found.take(limit + 1).map(Meta::cursor).collect()
            }
            None => {
                index.after(filter.after).filter(wanted).take(limit + 1).map(Meta::cursor).collect()
            }
        };
        let more = ids.len() > limit;
        ids.truncate(limit);
        let next = more.then(|| ids.last().copied()).flatten();
        let ids = ids.into_iter().map(|at| at.id);
        self.read_page(ctx, request, ids, Answer::Records(next));
    }

    /// Whether the application may see a record of its own, as things are at this moment.
    pub(super) fn shown(&self, now: Now) -> impl Fn(&Meta) -> bool + '_ {
        let hidden = |meta: &Meta| self.hidden.get(&meta.id) == Some(&meta.version);
        let (time, plausible) = (self.peer_time(now.wall), self.is_plausible(now));
        // Records that are kept since the time is not plausible have ended all the same.
        let ended = move |meta: &Meta| !plausible && meta.expires <= time;
        move |meta| !(meta.deleted || hidden(meta) || ended(meta))
    }

    /// Answers with these records, once the disk has given what is not in memory.
    pub(super) fn read_page(
        &self,
        ctx: &mut Ctx<'_>,
        request: RequestId,
        ids: impl Iterator<Item = RecordId>,
        answer: Answer,
    ) {
        let records: Vec<_> = ids.map(|id| (id, self.bytes_at_hand(ctx, id))).collect();
        let missing: Vec<Bytes> = records
            .iter()
            .filter(|(_, bytes)| bytes.is_none())
            .map(|(id, _)| storage::record_key(self.id, Class::Application, *id))
            .collect();
        let page = Page { request, records, answer };
        if missing.is_empty() {
            answer_page(ctx, page, Vec::new());
        } else {
            ctx.read(missing, Pending::Page(page));
        }
    }
}

/// Answers a page once the disk has given what the cache lacked.
pub(crate) fn answer_page(ctx: &mut Ctx<'_>, page: Page, read: Vec<Option<Bytes>>) {
    let mut read = read.into_iter();
    let records = page.records.into_iter().map(|(_, bytes)| {
        let bytes = bytes.or_else(|| read.next().flatten())?;
        Some(Signed::decode(bytes).ok()?.into_record())
    });
    let reply = match page.answer {
        Answer::Records(next) => Reply::Records { records: records.flatten().collect(), next },
        Answer::Found(found) => {
            Reply::Found(Found { records: records.flatten().collect(), ..found })
        }
        Answer::Changes(changes, places) => {
            let placed = records
                .zip(places)
                .filter_map(|(record, (at, is_new))| Some(Placed { at, is_new, record: record? }));
            Reply::Changes(Changes { placed: placed.collect(), ..changes })
        }
    };
    ctx.out.push_back(Output::Done { request: page.request, result: Ok(reply) });
}
