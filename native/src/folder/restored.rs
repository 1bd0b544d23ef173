//! Restoring a backup, and upkeep of the stores of a folder.

use std::path::PathBuf;

use peergraph_core::backup::Backup;
use peergraph_core::id::PeerId;

use super::{Folder, FolderError, replace, show};
use crate::storage::{self, StoreCheck};

/// The result of restoring a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// The identity that it restored.
    pub peer: PeerId,
    /// How many groups are in it.
    pub groups: usize,
    /// How many records are in it.
    pub records: usize,
    /// The place to which the store that could not be opened was moved.
    pub moved: Option<PathBuf>,
}

impl Folder {
    /// Restores a backup: the identity, if it is not here or its file is damaged, and the entries
    /// that its store lacks or has damaged. Whole entries here stay, since they are newer. A store
    /// that can no longer be opened is moved aside, not deleted.
    ///
    /// # Errors
    /// [`FolderError::Restore`] for a wrong password or another file, [`FolderError::InUse`] while a host runs, and others.
    pub fn restore(&self, file: &[u8], password: &str) -> Result<Restored, FolderError> {
        let backup = Backup::open(file, password).map_err(FolderError::Restore)?;
        let peer = backup.peer_id();
        match self.identity(peer) {
            Ok(_) => {}
            Err(FolderError::NoSuchIdentity(_)) => self.add(backup.identity())?,
            Err(FolderError::Damaged { .. }) => {
                let path = self.identity_path(peer).join("identity");
                replace(&path, &backup.identity().to_bytes())?;
            }
            Err(error) => return Err(error),
        }
        let _lock = self.lock(peer)?;
        let path = self.store_path(peer);
        let moved = storage::put_back(&path, backup.entries());
        let moved = moved.map_err(|error| FolderError::Store { path: show(&path), error })?;
        let groups = backup.groups().len();
        Ok(Restored { peer, groups, records: backup.records(), moved })
    }

    /// Reads the store of an identity from end to end, and checks every entry. No host may run with it;
    /// [`Host::check_store`](crate::Host::check_store) does it then.
    ///
    /// # Errors
    /// [`FolderError::InUse`] and others.
    pub fn check_store(&self, peer: PeerId) -> Result<StoreCheck, FolderError> {
        let _lock = self.lock(peer)?;
        let path = self.store_path(peer);
        storage::check(&path).map_err(|error| FolderError::Store { path: show(&path), error })
    }

    /// Gives the room of what was deleted back to the disk. Bytes of the store before and after. No host may run with it.
    ///
    /// # Errors
    /// [`FolderError::InUse`] and others.
    pub fn compact_store(&self, peer: PeerId) -> Result<(u64, u64), FolderError> {
        let _lock = self.lock(peer)?;
        let path = self.store_path(peer);
        storage::compact(&path).map_err(|error| FolderError::Store { path: show(&path), error })
    }
}
