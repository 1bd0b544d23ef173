//! Backups: made of an open peer, and put back into a database.
use crate::failure::Failure;
use crate::lock::Lock;
use crate::store::Store;
use crate::{identity, slices};
use peergraph_core::backup::{Backup, BackupError, Making};
use peergraph_core::error::Error;
use peergraph_core::identity::Identity;

/// Entries that are written back at once. Guess.
const PUT_BACK_MAX: usize = 256;

/// The file of a backup.
pub(crate) async fn make(
    store: &Store,
    identity: Identity,
    password: &str,
    records: bool,
) -> Result<Vec<u8>, Failure> {
    let mut making = Making::new(identity, records);
    while let Some(((from, to), limit)) = making.next() {
        making.take(store.scan(&from, &to, limit).await.map_err(|it| Failure::no_store(&it))?)?;
        if slices::is_over() {
            slices::next().await;
        }
    }
    Ok(making.done().seal(password, identity::random()?))
}

/// Puts what is lacking or damaged in a database back from a backup. Data that stand there stay, since they are newer.
pub(crate) async fn put_back(backup: &Backup, database: &str) -> Result<(), Failure> {
    // Held by a peer that has it open, in this tab or another.
    let lock = Lock::take(database, false, || {}).await?;
    let store = Store::open(database).await.map_err(|it| Failure::no_store(&it))?;
    let done = put_entries_back(&store, backup).await;
    store.close().await;
    drop(lock);
    done
}

async fn put_entries_back(store: &Store, backup: &Backup) -> Result<(), Failure> {
    let mut entries = backup.entries().peekable();
    while entries.peek().is_some() {
        let some = entries.by_ref().take(PUT_BACK_MAX).collect();
        store.put_back(some).await.map_err(Error::Store)?;
    }
    Ok(())
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        let code = match error {
            BackupError::WrongPassword => "wrong-password",
            BackupError::Damaged => "storage-damaged",
            BackupError::TooLong => "backup-too-long",
            BackupError::NotABackup | BackupError::Version | BackupError::TooCostly | _ => {
                "bad-backup"
            }
        };
        Self::new(code, error)
    }
}
