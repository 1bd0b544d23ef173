//! An open database, closed with care.

use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};

use redb::Database;

/// A database. If a file contradicts itself, redb panics, also while it closes a file that it could
/// not write. Such a panic is caught here and does not end the program.
pub(super) struct Opened(Option<Database>);

impl Opened {
    pub(super) fn new(database: Database) -> Self {
        Self(Some(database))
    }
}

impl Deref for Opened {
    type Target = Database;

    fn deref(&self) -> &Database {
        self.0.as_ref().expect("only the end takes it")
    }
}

impl DerefMut for Opened {
    fn deref_mut(&mut self) -> &mut Database {
        self.0.as_mut().expect("only the end takes it")
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let database = self.0.take();
        if catch_unwind(AssertUnwindSafe(|| drop(database))).is_err() {
            tracing::error!("the store could not be closed: its structure contradicts itself");
        }
    }
}
