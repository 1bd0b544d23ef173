//! A backup: everything of an identity that cannot be had again, in one file under a password.
//!
//! That is its key, and what is kept of each group: memberships, the group's own key where we have it, secrets of
//! invitations by password. Records can be had from other members; they are in it if the application wants them.
//!
//! ```text
//! file    MAGIC ‖ CBOR map (0 version, 1–3 Argon2id: KiB, passes, lanes, 4 salt, 5 nonce) ‖ sealed
//! sealed  XChaCha20-Poly1305 of the content, which authenticates all before it
//! content CBOR map (0 private form of the identity, 1 list of keys and values of the store, as they were written)
//! ```
//!
//! A host that restores it is the same peer with the same groups, wherever it is. A restored group goes on as any that was
//! away: the first neighbour brings what it lacks.
use crate::cbor;
use crate::id::PeerId;
use crate::identity::{Identity, IdentityError, PasswordKey};
use crate::limits::CERTIFICATE_BYTES_MAX;
use crate::sorted::SortedMap;
use crate::storage::{self, Key};
use crate::stored::StoredGroup;
use bytes::Bytes;
use chacha20poly1305::XNonce;
use chacha20poly1305::aead::{Aead as _, Payload};
use minicbor::bytes::{ByteArray, ByteVec};
use std::fmt;
use zeroize::Zeroizing;

mod making;

pub use making::Making;

/// The bytes with which a file begins.
const MAGIC: &[u8; 17] = b"peergraph backup\n";
const VERSION: u32 = 1;
/// Longest content. Bytes. Guess: it is in memory as a whole, twice, and a browser has no more.
pub const BACKUP_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Why there is no backup, or none that can be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// Something else.
    #[error("this is not a backup")]
    NotABackup,
    /// Of a later release.
    #[error("this backup is of a later version; update this program")]
    Version,
    /// Cut off or changed, if the password is right.
    #[error("the password is wrong, or the backup is damaged")]
    WrongPassword,
    /// Its password would take too long to try.
    #[error("this backup asks for too much memory or time")]
    TooCostly,
    /// The store's entry of a group is damaged, so that the backup would lack its key.
    #[error("what is kept of a group is damaged; restore it from an earlier backup first")]
    Damaged,
    /// Longer than [`BACKUP_BYTES_MAX`].
    #[error("the backup would be too long; leave out the records, which other members hold")]
    TooLong,
}

/// A backup. `Debug` does not show what is in it.
pub struct Backup {
    identity: Identity,
    /// By key, as they were written.
    entries: SortedMap<Bytes, Bytes>,
    bytes: usize,
}

#[derive(minicbor::Encode, minicbor::Decode)]
#[cbor(map)]
struct Header {
    #[n(0)]
    version: u32,
    #[n(1)]
    memory_kib: u32,
    #[n(2)]
    passes: u32,
    #[n(3)]
    lanes: u32,
    #[n(4)]
    salt: ByteArray<16>,
    #[n(5)]
    nonce: ByteArray<24>,
}

/// Reads the version alone, so that a later release may change everything else.
#[derive(minicbor::Decode)]
#[cbor(map)]
struct Version {
    #[n(0)]
    version: u32,
}

#[derive(minicbor::Encode, minicbor::Decode)]
#[cbor(map)]
struct Content {
    #[n(0)]
    identity: ByteVec,
    #[n(1)]
    entries: Vec<(ByteVec, ByteVec)>,
}

impl Backup {
    /// Of an identity that is in no group yet.
    pub fn new(identity: Identity) -> Self {
        Self { identity, entries: SortedMap::new(), bytes: CERTIFICATE_BYTES_MAX }
    }

    /// Takes up an entry of the store: what is known of a group, or a record. Answers whether it is whole; a damaged one is
    /// left out.
    ///
    /// # Errors
    /// [`BackupError::TooLong`].
    pub fn add(&mut self, key: Bytes, value: &Bytes) -> Result<bool, BackupError> {
        let Some(value) = storage::whole(&key, value) else { return Ok(false) };
        if storage::parse_key(&key).is_none() {
            return Ok(false);
        }
        self.bytes += key.len() + value.len() + 16;
        if self.bytes > BACKUP_BYTES_MAX {
            return Err(BackupError::TooLong);
        }
        self.entries.insert(key, value);
        Ok(true)
    }

    /// The file, which `password` opens. `random`: fresh randomness. Slow on purpose.
    pub fn seal(&self, password: &str, random: [u8; 40]) -> Vec<u8> {
        let [salt, nonce] = [&random[..16], &random[16..]];
        let costs = PasswordKey::COSTS;
        let header = Header {
            version: VERSION,
            memory_kib: costs.memory_kib,
            passes: costs.passes,
            lanes: costs.lanes,
            salt: <[u8; 16]>::try_from(salt).expect("16 of 40 bytes").into(),
            nonce: <[u8; 24]>::try_from(nonce).expect("24 of 40 bytes").into(),
        };
        let vec = |bytes: &[u8]| ByteVec::from(bytes.to_vec());
        let content = Content {
            identity: vec(&self.identity.to_bytes()),
            entries: self.entries.iter().map(|(key, value)| (vec(key), vec(value))).collect(),
        };
        let content = Zeroizing::new(cbor::encode(&content));
        let mut file = MAGIC.to_vec();
        file.extend(cbor::encode(&header));
        let cipher = PasswordKey { salt: *header.salt, ..costs }.cipher(password);
        let cipher = cipher.expect("our own costs are allowed");
        let payload = Payload { msg: &content, aad: &file };
        let sealed = cipher.encrypt(&XNonce::from(*header.nonce), payload);
        file.extend(sealed.expect("it is far below the limit of the cipher"));
        file
    }

    /// Opens what [`seal`](Self::seal) made.
    ///
    /// # Errors
    /// [`BackupError`].
    pub fn open(file: &[u8], password: &str) -> Result<Self, BackupError> {
        let rest = file.strip_prefix(MAGIC).ok_or(BackupError::NotABackup)?;
        let Version { version } = minicbor::decode(rest).map_err(|_| BackupError::NotABackup)?;
        if version != VERSION {
            return Err(BackupError::Version);
        }
        let mut decoder = minicbor::Decoder::new(rest);
        let header: Header = decoder.decode().map_err(|_| BackupError::NotABackup)?;
        let (before, sealed) = file.split_at(MAGIC.len() + decoder.position());
        let Header { memory_kib, passes, lanes, salt, nonce, .. } = header;
        let cipher = PasswordKey { memory_kib, passes, lanes, salt: *salt }.cipher(password);
        let cipher = cipher.map_err(|error| match error {
            IdentityError::TooCostly => BackupError::TooCostly,
            IdentityError::NotAnIdentity
            | IdentityError::Damaged
            | IdentityError::Version
            | IdentityError::WrongPassword => BackupError::NotABackup,
        })?;
        let opened = cipher.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: before });
        let content = Zeroizing::new(opened.map_err(|_| BackupError::WrongPassword)?);
        Self::read(&content).ok_or(BackupError::NotABackup)
    }

    fn read(content: &[u8]) -> Option<Self> {
        let Content { identity, entries } = minicbor::decode(content).ok()?;
        let identity = Zeroizing::new(Vec::from(identity));
        let identity = Identity::from_bytes(&identity).ok()?;
        let entries = entries.into_iter().map(|(key, value)| {
            let (key, value) = (Bytes::from(Vec::from(key)), Bytes::from(Vec::from(value)));
            storage::parse_key(&key).map(|_| (key, value))
        });
        Some(Self { identity, entries: entries.collect::<Option<_>>()?, bytes: content.len() })
    }

    /// The identity whose backup it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The id of that identity.
    pub fn peer_id(&self) -> PeerId {
        self.identity.peer_id()
    }

    /// The groups in it.
    pub fn groups(&self) -> Vec<StoredGroup> {
        let infos = self.entries.iter().filter(|(key, _)| is_info(key));
        infos
            .filter_map(|(key, value)| StoredGroup::read(key, &storage::checked(key, value)))
            .collect()
    }

    /// How many records are in it.
    pub fn records(&self) -> usize {
        self.entries.keys().filter(|key| !is_info(key)).count()
    }

    /// The entries that are to be written into a store. A store that holds something whole under a key keeps it: that is newer.
    pub fn entries(&self) -> impl Iterator<Item = (Bytes, Bytes)> {
        self.entries.iter().map(|(key, value)| (key.clone(), storage::checked(key, value)))
    }
}

impl fmt::Debug for Backup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Backup({:?}, {} entries)", self.identity.peer_id(), self.entries.len())
    }
}

fn is_info(key: &[u8]) -> bool {
    matches!(storage::parse_key(key), Some(Key::Info(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::GroupId;
    use crate::time::WallTime;

    const NOW: WallTime = WallTime(1_800_000_000_000);

    fn backup() -> Backup {
        let ada = Identity::generate([1; 32], [2; 16], "Ada", NOW).unwrap();
        let mut backup = Backup::new(ada);
        let key = storage::info_key(GroupId::from_bytes([7; 32]));
        let value = storage::checked(&key, b"what is known of a group");
        assert_eq!(backup.add(key.clone(), &value), Ok(true));
        assert_eq!(backup.add(key, &value.slice(1..)), Ok(false), "damaged");
        let foreign = Bytes::from_static(b"x");
        assert_eq!(backup.add(foreign.clone(), &storage::checked(&foreign, b"")), Ok(false));
        backup
    }

    #[test]
    fn backup_comes_back_whole_with_its_password_alone() {
        let made = backup();
        let file = made.seal("correct horse", [3; 40]);
        let opened = Backup::open(&file, "correct horse").unwrap();
        assert_eq!(opened.peer_id(), made.peer_id());
        assert_eq!(opened.identity().to_bytes(), made.identity().to_bytes());
        assert_eq!(opened.entries, made.entries);
        assert_eq!(opened.groups().len(), 1);
        assert!(opened.entries().all(|(key, value)| storage::whole(&key, &value).is_some()));
        assert_eq!(Backup::open(&file, "battery staple").err(), Some(BackupError::WrongPassword));
        let plain = b"what is known";
        assert!(!file.windows(plain.len()).any(|window| window == plain), "it is sealed");
    }

    #[test]
    fn damaged_foreign_and_costly_files_are_refused() {
        let file = backup().seal("correct horse", [3; 40]);
        for length in [0, 5, MAGIC.len(), MAGIC.len() + 3, file.len() - 1] {
            assert!(Backup::open(&file[..length], "correct horse").is_err(), "{length} bytes");
        }
        let mut changed = file.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(Backup::open(&changed, "correct horse").err(), Some(BackupError::WrongPassword));
        let header = Header {
            version: VERSION,
            memory_kib: 1 << 30,
            passes: 1,
            lanes: 1,
            salt: [0; 16].into(),
            nonce: [0; 24].into(),
        };
        let costly = [&MAGIC[..], &minicbor::to_vec(&header).unwrap(), &[0; 16]].concat();
        assert_eq!(Backup::open(&costly, "x").err(), Some(BackupError::TooCostly));
        let later =
            [&MAGIC[..], &minicbor::to_vec(&Header { version: 2, ..header }).unwrap()].concat();
        assert_eq!(Backup::open(&later, "x").err(), Some(BackupError::Version));
        assert_eq!(Backup::open(b"-----BEGIN", "x").err(), Some(BackupError::NotABackup));
    }
}
