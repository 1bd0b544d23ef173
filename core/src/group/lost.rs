//! Records that the store has lost, or holds damaged: forgotten, and fetched again.
//!
//! Neither the application nor a neighbour gets a byte of them. To forget one is what brings it back: the next sync finds
//! that we lack it. That is soon with neighbours to whom we opened the link, and with the others in their own time; at the
//! start it is the first one. If nobody else holds it, it is gone.
use super::{Group, Timer};
use crate::group::Ctx;
use crate::id::RecordId;
use crate::storage::{self, Class};
use std::time::Duration;

/// After which a record that is lost is looked for. Guess: what is read at one time may have lost many.
const FETCH_AFTER: Duration = Duration::from_secs(1);

impl Group {
    /// What the disk was asked for is not there as it was written. Whether it was to be.
    pub(crate) fn lost(&mut self, ctx: &mut Ctx<'_>, class: Class, id: RecordId) -> bool {
        // It may have been removed, or written again, since it was asked for.
        if self.index(class).get(&id).is_none() || ctx.storage.cached(self.id, id).is_some() {
            return false;
        }
        self.take_out(class, &id);
        ctx.storage.write(storage::record_key(self.id, class, id), None);
        self.timers.set_earlier(Timer::SafetyNet, ctx.now.mono.after(FETCH_AFTER));
        true
    }
}
