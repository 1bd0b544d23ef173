//! Backups: made of an open peer, and restored into the databases of an origin.
use crate::failure::Failure;
use crate::lock::Lock;
use crate::store::Store;
use crate::wallet::Wallet;
use crate::{browser, identity, slices};
use js_sys::Object;
use peergraph_core::backup::{Backup, BackupError, Making};
use peergraph_core::error::Error;
use peergraph_core::identity::Identity;
use wasm_bindgen::prelude::*;

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

/// Restores a backup: the identity, if it is not here, and what is lacking or damaged in its store. Data that stand here stay,
/// since they are newer. Tells whose it was, and how much was in it.
pub(crate) async fn restore(
    wallet: &Wallet,
    file: &[u8],
    password: &str,
) -> Result<JsValue, Failure> {
    let backup = Backup::open(file, password)?;
    let entry = wallet.find_or_add(backup.identity()).await?;
    // Held by whoever has it open, in this tab or another.
    let lock = Lock::take(&entry.database, false, || {}).await?;
    let store = Store::open(&entry.database).await.map_err(|it| Failure::no_store(&it))?;
    let done = put_back(&store, &backup).await;
    store.close().await;
    drop(lock);
    done?;
    let restored: Object = entry.about().unchecked_into();
    browser::set(&restored, "groups", &JsValue::from(backup.groups().len()));
    browser::set(&restored, "records", &JsValue::from(backup.records()));
    Ok(restored.into())
}

async fn put_back(store: &Store, backup: &Backup) -> Result<(), Failure> {
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
