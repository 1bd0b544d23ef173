//! Telling when records have reached others.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use peergraph_core::id::RecordId;
use tokio::sync::Notify;

/// Follows the records that are published [`with`](crate::Publish::with) it until a neighbour holds each of them
/// durably. Cheap to clone; all clones follow the same records.
#[derive(Clone, Debug, Default)]
pub struct Delivery(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    unsent: Mutex<BTreeSet<RecordId>>,
    changed: Notify,
}

impl Delivery {
    /// Follows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many records are stored here only.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.0.unsent.lock().expect("no panic under this lock").len()
    }

    /// Waits until every record is held by a neighbour. Alone in its group, that is for ever: combine it with a
    /// timeout.
    pub async fn all_sent(&self) {
        loop {
            let changed = self.0.changed.notified();
            if self.unsent() == 0 {
                return;
            }
            changed.await;
        }
    }

    pub(crate) fn add(&self, id: RecordId) {
        self.0.unsent.lock().expect("no panic under this lock").insert(id);
    }

    /// Tells whether nothing is left to follow.
    pub(crate) fn sent(&self, id: RecordId) -> bool {
        let mut unsent = self.0.unsent.lock().expect("no panic under this lock");
        if unsent.remove(&id) {
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
