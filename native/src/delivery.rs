//! Telling when records have reached others.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use peergraph_core::id::RecordId;
use tokio::sync::Notify;

/// Records that are followed for another program. Guess: twice what a node follows.
const TOLD_MAX: usize = 2_048;

/// Follows the records that are published [`with`](crate::Publish::with) it until a neighbour holds each of them
/// durably. Cheap to clone; all clones follow the same records.
#[derive(Clone, Debug, Default)]
pub struct Delivery(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    unsent: Mutex<BTreeSet<RecordId>>,
    changed: Notify,
    /// Those that a neighbour holds, if that is told elsewhere. As many as are followed at one time.
    held: Option<Mutex<Vec<RecordId>>>,
}

impl Delivery {
    /// Follows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Follows nothing yet, and tells of each record.
    #[cfg(unix)]
    pub(crate) fn telling() -> Self {
        let held = Some(Mutex::default());
        Self(Arc::new(Shared { held, ..Shared::default() }))
    }

    /// Waits for records that a neighbour holds, and takes them.
    #[cfg(unix)]
    pub(crate) async fn next_held(&self) -> Vec<RecordId> {
        let Some(held) = &self.0.held else { return std::future::pending().await };
        loop {
            let changed = self.0.changed.notified();
            let taken = std::mem::take(&mut *held.lock().expect("no panic under this lock"));
            if !taken.is_empty() {
                return taken;
            }
            changed.await;
        }
    }

    /// How many records are stored here only.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.0.unsent.lock().expect("no panic under this lock").len()
    }

    /// Waits until every record is held by a neighbour. Alone in its group, that is for ever: combine it with a
    /// timeout.
    pub async fn all_sent(&self) {
        self.at_most(0).await;
    }

    /// Waits until at most `count` records are stored here only. A node follows its latest 1,024 records or so: who
    /// publishes more waits in between, or does not learn of the rest.
    pub async fn at_most(&self, count: usize) {
        loop {
            let changed = self.0.changed.notified();
            if self.unsent() <= count {
                return;
            }
            changed.await;
        }
    }

    pub(crate) fn add(&self, id: RecordId) {
        let mut unsent = self.0.unsent.lock().expect("no panic under this lock");
        // The other end counts its own: here is what the node may still tell of.
        if self.0.held.is_some() && unsent.len() >= TOLD_MAX {
            unsent.pop_first();
        }
        unsent.insert(id);
    }

    /// Tells whether nothing is left to follow.
    pub(crate) fn sent(&self, id: RecordId) -> bool {
        let mut unsent = self.0.unsent.lock().expect("no panic under this lock");
        if unsent.remove(&id) {
            if let Some(held) = &self.0.held {
                held.lock().expect("no panic under this lock").push(id);
            }
            self.0.changed.notify_waiters();
        }
        unsent.is_empty()
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether nobody but the registry holds it.
    pub(crate) fn is_forgotten(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}
