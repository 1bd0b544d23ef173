//! Reading records, and showing one no more.
use super::{Ctx, Group};
use crate::error::Error;
use crate::id::RecordId;
use crate::io::{Cursor, Filter, Output, Reply, RequestId};
use crate::limits;
use crate::record::{Meta, Signed};
use crate::storage::{self, Class, Page, Pending};
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
        let hidden = |meta: &Meta| self.hidden.get(&meta.id) == Some(&meta.version);
        let (now, plausible) = (self.peer_time(ctx.now.wall), self.is_plausible(ctx.now));
        // Records that are kept since the time is not plausible have ended all the same.
        let ended = |meta: &Meta| !plausible && meta.expires <= now;
        let wanted = |meta: &&Meta| {
            !(meta.deleted || hidden(meta) || ended(meta))
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
        let records: Vec<_> =
            ids.iter().map(|at| (at.id, self.bytes_at_hand(ctx, at.id))).collect();
        let missing: Vec<Bytes> = records
            .iter()
            .filter(|(_, bytes)| bytes.is_none())
            .map(|(id, _)| storage::record_key(self.id, Class::Application, *id))
            .collect();
        let page = Page { request, records, next };
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
    let records = page
        .records
        .into_iter()
        .filter_map(|(_, bytes)| bytes.or_else(|| read.next().flatten()))
        .filter_map(|bytes| Some(Signed::decode(bytes).ok()?.into_record()))
        .collect();
    let result = Ok(Reply::Records { records, next: page.next });
    ctx.out.push_back(Output::Done { request: page.request, result });
}
