//! Upkeep of a store that no host has open: list its groups, check it, make it smaller, put entries
//! back.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use peergraph_core::stored::{self, StoredGroup};
use redb::{ReadableDatabase as _, ReadableTable as _};

use super::opened::Opened;
use super::{ENTRIES, OpenError, Place, caught, open, open_error};

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

/// The groups of a store. None if there is no store.
pub(crate) fn groups(path: &Path) -> Result<Vec<StoredGroup>, OpenError> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let database = open(&Place::File(path.to_owned()))?;
    let read = || {
        let table = database.begin_read()?.open_table(ENTRIES)?;
        let mut groups: Vec<StoredGroup> = Vec::new();
        let mut range = stored::first_range();
        while let Some(entry) = table.range::<&[u8]>(range.0.as_ref()..range.1.as_ref())?.next() {
            let (key, value) = entry?;
            let Some(group) = StoredGroup::read(key.value(), value.value()) else {
                return Err(redb::Error::Corrupted("an entry of no group".to_owned()));
            };
            range = group.next_range();
            groups.push(group);
        }
        Ok(groups)
    };
    caught(read).map_err(open_error)
}

/// Reads a store from end to end, and checks every entry. Damage to what orders them is an error.
pub(crate) fn check(path: &Path) -> Result<StoreCheck, OpenError> {
    let mut check = StoreCheck::default();
    if !path.exists() {
        return Ok(check);
    }
    let database = open(&Place::File(path.to_owned()))?;
    let read = || {
        let table = database.begin_read()?.open_table(ENTRIES)?;
        for entry in table.iter()? {
            let (key, value) = entry?;
            check.add(key.value(), &Bytes::copy_from_slice(value.value()));
        }
        Ok(())
    };
    caught(read).map_err(open_error)?;
    Ok(check)
}

/// Gives the room of what was deleted back to the disk. Bytes before and after.
pub(crate) fn compact(path: &Path) -> Result<(u64, u64), OpenError> {
    if !path.exists() {
        return Ok((0, 0));
    }
    let size = || fs::metadata(path).map(|facts| facts.len());
    let failed = |error: std::io::Error| OpenError::Other(error.to_string());
    let before = size().map_err(failed)?;
    let mut database = open(&Place::File(path.to_owned()))?;
    // Each round moves what it can; the last one finds nothing.
    while caught(|| database.compact().map_err(redb::Error::from)).map_err(open_error)? {}
    drop(database);
    Ok((before, size().map_err(failed)?))
}

/// Opens a store whose file is sound: every entry can be read, and every page has its check sum, so that it can be written
/// as well.
fn open_sound(path: &Path) -> Result<Opened, OpenError> {
    check(path)?;
    let mut database = open(&Place::File(path.to_owned()))?;
    caught(|| database.check_integrity().map_err(redb::Error::from)).map_err(open_error)?;
    Ok(database)
}

/// Puts entries into a store, where it has none under their keys or damaged ones. A store whose file is damaged is moved
/// aside first; answers where to.
pub(crate) fn put_back(
    path: &Path,
    entries: impl Iterator<Item = (Bytes, Bytes)>,
) -> Result<Option<PathBuf>, OpenError> {
    let (database, aside) = match open_sound(path) {
        Ok(database) => (database, None),
        Err(OpenError::Damaged(what)) => {
            tracing::warn!(what, "the store opens no more");
            let aside = free_name(path);
            fs::rename(path, &aside).map_err(|error| OpenError::Other(error.to_string()))?;
            (open(&Place::File(path.to_owned()))?, Some(aside))
        }
        Err(error) => return Err(error),
    };
    let write = || {
        let transaction = database.begin_write()?;
        {
            let mut table = transaction.open_table(ENTRIES)?;
            for (key, value) in entries {
                let held = table.get(key.as_ref())?.map(|it| Bytes::copy_from_slice(it.value()));
                if held.and_then(|held| stored::whole(&key, &held)).is_none() {
                    table.insert(key.as_ref(), value.as_ref())?;
                }
            }
        }
        transaction.commit()?;
        Ok(())
    };
    caught(write).map_err(open_error)?;
    Ok(aside)
}

/// A name beside a store that nothing has yet.
fn free_name(path: &Path) -> PathBuf {
    let name = |n: u32| path.with_extension(format!("redb.damaged-{n}"));
    (1..).map(name).find(|path| !path.exists()).expect("numbers go on")
}
