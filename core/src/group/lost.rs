//! Records that the store has lost, or holds damaged: forgotten, and fetched again.
//!
//! Neither the application nor a neighbour gets a byte of them. A record that is found damaged while the node runs is
//! requested from one neighbour after another at once; all of them are asked before it is given up. A comparison with those to
//! whom we opened the link follows, for what was too much at one time; with the others it comes in their own time. At the
//! start it is the first sync that brings what is lacking. If nobody else holds it, it is gone.
use super::awaited::ANNOUNCERS_MAX;
use super::{Group, Timer};
use crate::group::Ctx;
use crate::id::RecordId;
use crate::storage::{self, Class};
use crate::wire::Announced;
use std::time::Duration;

/// After which stores are compared for a record that is lost. Guess: what is read at one time may have lost many.
const FETCH_AFTER: Duration = Duration::from_secs(1);

impl Group {
    /// A record that the disk was asked for is not there as it was written. Whether it was to be.
    pub(crate) fn lost(&mut self, ctx: &mut Ctx<'_>, class: Class, id: RecordId) -> bool {
        // It may have been removed, or written again, since it was asked for.
        if ctx.storage.cached(self.id, id).is_some() {
            return false;
        }
        let Some(meta) = self.take_out(class, &id) else { return false };
        let neighbours = self.neighbours().map(|(link, _)| link).take(ANNOUNCERS_MAX).collect();
        let it = Announced { id, edition: meta.edition() };
        self.awaited.seek(ctx.now.mono, it, neighbours, meta.size as usize);
        self.arm_graft();
        ctx.storage.write(storage::record_key(self.id, class, id), None);
        self.timers.set_earlier(Timer::SafetyNet, ctx.now.mono.after(FETCH_AFTER));
        true
    }
}
