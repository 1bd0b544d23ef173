//! Refresh: records that their publisher's node keeps alive while it is up.
//!
//! The draft of a record asks for it. Its id and its life are kept with the group, so that they survive a restart. A
//! quarter of that life before the record ends, and no later than
//! [`REFRESH_LEAD_MIN`](limits::REFRESH_LEAD_MIN) before, the node publishes what stands then once more, by the way of
//! everything that the application publishes. One that ended while the node was down is forgotten.
use super::{Group, Timer};
use crate::error::Error;
use crate::group::Ctx;
use crate::id::RecordId;
use crate::io::Draft;
use crate::limits;
use crate::record::{Meta, Signed};
use crate::storage::{self, Class, Pending};
use crate::time::WallTime;
use bytes::Bytes;
use std::time::Duration;

/// Looks again no sooner than this: a refresh that cannot be (the disk fails, the membership ends with the record) is
/// tried again, and many may be due at once. Guess.
const REFRESH_STEP: Duration = Duration::from_secs(15);

/// When a record is to be refreshed.
fn due(meta: &Meta, life: Duration) -> WallTime {
    meta.expires.before((life / 4).max(limits::REFRESH_LEAD_MIN))
}

impl Group {
    /// Whether one more record can be kept alive.
    pub(super) fn check_refresh(&self, draft: &Draft) -> Result<(), Error> {
        let held = draft.id.is_some_and(|id| self.refreshed.contains_key(&id));
        let full = !held && self.refreshed.len() >= limits::REFRESHED_MAX;
        if full { Err(Error::TooManyRecords) } else { Ok(()) }
    }

    /// Keeps a record alive that was just published, or no longer.
    pub(super) fn keep_alive(&mut self, ctx: &mut Ctx<'_>, id: RecordId, life: Option<Duration>) {
        let before = match life {
            Some(life) => self.refreshed.insert(id, life),
            None => self.refreshed.remove(&id),
        };
        if before != life {
            self.save(ctx);
        }
        if life.is_some() {
            self.arm_refresh(ctx);
        }
    }

    /// Arms the timer for the record that is due first.
    pub(super) fn arm_refresh(&mut self, ctx: &Ctx<'_>) {
        let index = self.index(Class::Application);
        let due = |(id, &life): (&RecordId, &Duration)| Some(due(index.get(id)?, life));
        let Some(first) = self.refreshed.iter().filter_map(due).min() else { return };
        let wait = Duration::from_millis(first.0.saturating_sub(self.peer_time(ctx.now.wall).0));
        let wait = wait.clamp(REFRESH_STEP, Duration::from_secs(86_400));
        self.timers.set(Timer::Refresh, ctx.now.mono.after(wait));
    }

    /// Reads what is due.
    pub(super) fn refresh(&mut self, ctx: &mut Ctx<'_>) {
        let index = &self.indexes[Class::Application as usize];
        let before = self.refreshed.len();
        self.refreshed.retain(|id, _| index.get(id).is_some_and(|meta| !meta.deleted));
        if self.refreshed.len() < before {
            self.save(ctx);
        }
        let now = self.peer_time(ctx.now.wall);
        let ids = self.refreshed.keys().filter(|id| self.is_due(**id, now));
        let keys: Vec<Bytes> =
            ids.map(|&id| storage::record_key(self.id, Class::Application, id)).collect();
        if !keys.is_empty() {
            let pending = Pending::Refresh { group: self.id };
            ctx.read(keys, pending);
        }
        self.arm_refresh(ctx);
    }

    /// Whether a record is to be refreshed, and a refresh would lengthen its life.
    fn is_due(&self, id: RecordId, now: WallTime) -> bool {
        let meta = self.index(Class::Application).get(&id).filter(|meta| !meta.deleted);
        let (Some(meta), Some(&life)) = (meta, self.refreshed.get(&id)) else { return false };
        let until = self.chain.as_ref().map_or(WallTime(0), |chain| chain.not_after());
        due(meta, life) <= now && meta.expires < until
    }

    /// Publishes anew what was read.
    pub(crate) fn refresh_read(&mut self, ctx: &mut Ctx<'_>, values: Vec<Option<Bytes>>) {
        let now = self.peer_time(ctx.now.wall);
        for bytes in values.into_iter().flatten() {
            let Ok(signed) = Signed::decode(bytes) else { continue };
            let digest = signed.digest();
            let record = signed.into_record();
            let held = self.index(Class::Application).get(&record.id);
            // It may have changed since it was asked for.
            let stands = held.is_some_and(|meta| meta.digest == digest);
            if !stands || !self.is_due(record.id, now) {
                continue;
            }
            let draft = Draft {
                id: Some(record.id),
                kind: record.kind,
                attributes: record.attributes,
                payload: record.payload,
                expires_in: self.refreshed.get(&record.id).copied(),
                delete: false,
                refresh: true,
                if_version: None,
                nonce: None,
            };
            // A record that may not be published at this moment is tried again.
            let _ = self.publish(ctx, draft, None);
        }
    }
}
