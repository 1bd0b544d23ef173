//! Signing again what we dated wrongly.
//!
//! A record that was signed while our clock was ahead is for everybody else of a time that has not come: they refuse it until
//! then. Once we know better, at the start or when peer time has moved, each such record of ours is signed again, with the
//! time that it is, in the order in which they were: the membership, what else the core says, what the application published.
//! The version is lower than before. That is right: a version whose time has not come counts at no node (`has_come`).
//!
//! A record that was dated too early needs nothing: others take it.
use super::records::has_come;
use super::{Group, Timer};
use crate::group::Ctx;
use crate::id::{PeerId, RecordId};
use crate::record::{self, Meta, Record, RecordType, Signed};
use crate::storage::{self, Class, Pending};
use crate::time::WallTime;
use bytes::Bytes;
use std::time::Duration;

/// Records signed again in one go, and how long it is until the next ones. Guesses: some ms of work.
const AT_ONCE: usize = 64;
const NEXT_AFTER: Duration = Duration::from_millis(20);
/// When it is tried again what could not be: the disk failed, or the store is busy with the same. Guess.
const TRIED_AGAIN_AFTER: Duration = Duration::from_secs(60);

impl Group {
    /// Reads what is dated wrongly, the oldest first.
    pub(super) fn sign_again(&mut self, ctx: &mut Ctx<'_>) {
        let ids = self.dated_wrongly(ctx);
        let keys: Vec<Bytes> =
            ids.iter().map(|&(class, id)| storage::record_key(self.id, class, id)).collect();
        let at_hand: Vec<Option<Bytes>> =
            ids.iter().map(|&(_, id)| self.bytes_at_hand(ctx, id)).collect();
        if keys.is_empty() {
            return;
        }
        if at_hand.iter().all(Option::is_some) {
            self.again_read(ctx, at_hand);
        } else {
            self.timers.set(Timer::Again, ctx.now.mono.after(TRIED_AGAIN_AFTER));
            let pending = Pending::Again { group: self.id };
            ctx.read(keys, pending);
        }
    }

    /// Our first records of a time that has not come.
    fn dated_wrongly(&self, ctx: &Ctx<'_>) -> Vec<(Class, RecordId)> {
        let (me, now) = (ctx.identity.peer_id(), self.peer_time(ctx.now.wall));
        let early = |meta: &&Meta| !has_come(meta.version, meta.modified, now);
        let ours = |meta: &&Meta| {
            let signer = meta.modifier().unwrap_or(meta.creator());
            // A record that another made at a time that has not come is signed again when that time has come.
            let made = meta.creator() == signer || meta.created <= now;
            made && self.is_signed_by_us(me, signer)
        };
        let mut found = Vec::new();
        for class in Class::ALL {
            // The index is in the order of their dates, and nearly all are of the past. A version may be ahead of its date.
            let of_class = self.index(class).newest().take_while(early).filter(ours);
            let mut ids: Vec<_> = of_class.map(|meta| (class, meta.id)).collect();
            ids.reverse();
            found.extend(ids);
        }
        found.truncate(AT_ONCE);
        found
    }

    fn is_signed_by_us(&self, me: PeerId, signer: PeerId) -> bool {
        signer == me || (self.key.is_some() && signer == self.roll.owner().peer())
    }

    /// Signs again what was read.
    pub(crate) fn again_read(&mut self, ctx: &mut Ctx<'_>, values: Vec<Option<Bytes>>) {
        let now = self.peer_time(ctx.now.wall);
        let records: Vec<Signed> =
            values.into_iter().flatten().filter_map(|bytes| Signed::decode(bytes).ok()).collect();
        // They keep their order.
        let first = now.before(Duration::from_millis(records.len() as u64));
        let mut done = 0;
        for (nth, signed) in records.into_iter().enumerate() {
            let record = signed.into_record();
            let held = self.meta(record.id).map(|(_, meta)| meta);
            let stands = held.is_some_and(|meta| meta.version == record.version);
            if stands && !has_come(record.version, record.modified, now) {
                let at = first.after(Duration::from_millis(nth as u64));
                done += usize::from(self.sign_one_again(ctx, record, at).is_some());
            }
        }
        self.roll.settle();
        let wait = if done > 0 { NEXT_AFTER } else { TRIED_AGAIN_AFTER };
        if !self.dated_wrongly(ctx).is_empty() {
            self.timers.set(Timer::Again, ctx.now.mono.after(wait));
        }
    }

    fn sign_one_again(&mut self, ctx: &mut Ctx<'_>, record: Record, at: WallTime) -> Option<()> {
        let me = ctx.identity.peer_id();
        let signer = record.modifier.unwrap_or(record.creator);
        if !self.is_signed_by_us(me, signer) {
            return None;
        }
        let as_owner = signer != me;
        let relied_on = self.roll.chain(record.certificate).filter(|chain| chain.covers(at));
        let chain = match as_owner {
            true => self.roll.owner(),
            false => relied_on.or(self.chain.as_ref()).filter(|chain| chain.covers(at))?,
        };
        let chain = chain.clone();
        let earlier = record.modified.0.saturating_sub(at.0);
        // A record that another made keeps the time at which it was made.
        let created = match (record.creator == signer, record.modifier) {
            (true, None) => at,
            (true, Some(_)) => record.created.min(at.before(Duration::from_millis(1))),
            (false, _) => record.created,
        };
        // A record that lasts as long as a membership still does so, and any other lives as long as it was to.
        let lasts = record.kind.is_reserved()
            && ![RecordType::PRESENCE, RecordType::CONTACT].contains(&record.kind.as_str());
        let expires = match lasts {
            true => record.expires,
            false => WallTime(record.expires.0.saturating_sub(earlier)).min(chain.not_after()),
        };
        let record = Record {
            version: record::next_version(at, self.refused.version(record.id), ctx.version_salt),
            created,
            modified: at,
            expires,
            certificate: chain.id(),
            signature: [0; 64],
            ..record
        };
        record.check(self.payload_bytes_max().max(record.payload.len())).ok()?;
        let signed = match &self.key {
            Some(key) if as_owner => record.sign_as_owner(self.id, key),
            _ => ctx.sign(self.id, record),
        };
        let (chain, meaning) = self.read_record(ctx, &signed).ok()??;
        self.check_rights(signed.record(), &chain, &meaning).ok()?;
        self.store_record(ctx, signed, &chain, meaning, None, None);
        Some(())
    }
}
