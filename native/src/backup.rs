//! Backup and restore, and what a store is made of, read as it stands.

use bytes::Bytes;
use peergraph_core::backup::{BackupError, Making};
use peergraph_core::error::Error;
use peergraph_core::io::{StoreFault, StoreReply, StoreTask};
use peergraph_core::stored;
use tokio::sync::oneshot;

use crate::host::Host;
use crate::requests::CommandError;
use crate::secret;
use crate::storage::StoreCheck;

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
}

impl Host {
    /// A backup of this identity: its key, and all that is kept of its groups, their own keys among
    /// it; with `records` also the records, which other members hold too. A holder of the backup
    /// and its password is this identity. [`Folder::restore`](crate::Folder::restore) takes it.
    ///
    /// # Errors
    /// [`MakeBackupError`].
    pub async fn backup(&self, password: &str, records: bool) -> Result<Vec<u8>, MakeBackupError> {
        let mut making = Making::new(self.identity().clone(), records);
        while let Some((range, limit)) = making.next() {
            making.take(self.scan(range, limit).await?)?;
        }
        let backup = making.done();
        let mut random = [0; 40];
        secret::fill(&mut random);
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
            range = stored::range_after(last);
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
