//! Backup and restore, and what a store is made of, read as it stands.

use bytes::Bytes;
use peergraph_core::backup::{Backup, BackupError};
use peergraph_core::error::Error;
use peergraph_core::io::{StoreFault, StoreReply, StoreTask};
use peergraph_core::stored::{self, StoredGroup};
use tokio::sync::oneshot;

use crate::folder::fill;
use crate::host::{CommandError, Host};

/// Entries that are read at once. Guess: each may hold the longest record.
const SCAN_MAX: usize = 64;

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MakeBackupError {
    /// The store or the host.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A fault of the backup's contents.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// A group of the store is damaged, so that the backup would lack its key.
    #[error("what is kept of a group is damaged; restore it from an earlier backup first")]
    Damaged,
}

/// The result of checking a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreCheck {
    /// Groups, and records.
    pub entries: u64,
    /// How many of them are damaged.
    pub damaged: u64,
}

impl StoreCheck {
    pub(crate) fn add(&mut self, key: &[u8], value: &Bytes) {
        self.entries += 1;
        self.damaged += u64::from(stored::whole(key, value).is_none());
    }
}

impl Host {
    /// A backup of this identity: its key, and all that is kept of its groups, their own keys among
    /// it; with `records` also the records, which other members hold too. A holder of the backup
    /// and its password is this identity. [`Folder::restore`](crate::Folder::restore) takes it.
    ///
    /// # Errors
    /// [`MakeBackupError`].
    pub async fn backup(&self, password: &str, records: bool) -> Result<Vec<u8>, MakeBackupError> {
        let mut backup = Backup::new(self.identity().clone());
        let mut range = stored::first_range();
        loop {
            let limit = if records { SCAN_MAX } else { 1 };
            let entries = self.scan(range.clone(), limit).await?;
            let Some((last, _)) = entries.last() else { break };
            let group = StoredGroup::read(last, &[]).ok_or(MakeBackupError::Damaged)?;
            range = if records { after(last) } else { group.next_range() };
            for (key, value) in entries {
                let of_group = stored::is_group(&key);
                // Without records, what comes first of a group that was left may be one of them.
                let whole = (of_group || records) && backup.add(key, &value)?;
                if of_group && !whole {
                    return Err(MakeBackupError::Damaged);
                }
            }
        }
        let mut random = [0; 40];
        fill(&mut random);
        let password = zeroize::Zeroizing::new(password.to_owned());
        // It is slow on purpose, and not for the thread of an application's loop.
        let (sealed, done) = oneshot::channel();
        std::thread::spawn(move || drop(sealed.send(backup.seal(&password, random))));
        Ok(done.await.map_err(|_| CommandError::Stopped)?)
    }

    /// Checks every entry of the store, as it stands. A damaged entry is never shown or sent in any
    /// case.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn check_store(&self) -> Result<StoreCheck, CommandError> {
        let (mut check, mut range) = (StoreCheck::default(), stored::first_range());
        loop {
            let entries = self.scan(range, SCAN_MAX).await?;
            let Some((last, _)) = entries.last() else { return Ok(check) };
            range = after(last);
            entries.iter().for_each(|(key, value)| check.add(key, value));
        }
    }

    async fn scan(
        &self,
        (from, to): (Bytes, Bytes),
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, CommandError> {
        match self.requests.scan(StoreTask::Scan { from, to, limit }).await? {
            Ok(StoreReply::Entries(entries)) => Ok(entries),
            Ok(_) => Err(Error::Store(StoreFault::Broken).into()),
            Err(fault) => Err(Error::Store(fault).into()),
        }
    }
}

/// The rest of the store after this key.
fn after(key: &[u8]) -> (Bytes, Bytes) {
    ([key, &[0]].concat().into(), stored::first_range().1)
}
