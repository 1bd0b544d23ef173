//! The data folder.
//!
//! ```text
//! DATA/
//!   nodes                              URLs of nodes, one a line
//!   default                            peer id of the identity that is used when none is named
//!   lock                               held for moments, while one of the above changes
//!   identities/PEER/identity           secret key and certificate; only its owner may read it
//!   identities/PEER/link.pem           secret key and certificate of data channels (no identity in it)
//!   identities/PEER/store.redb         all groups and records of this identity
//!   identities/PEER/lock               held while a host runs; holds its process id
//! ```
//!
//! Files are replaced whole: written beside, synced, renamed. A crash leaves the old one or the new one.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use peergraph_core::id::PeerId;
use peergraph_core::identity::{Identity, IdentityError, NameError};

use crate::clock;
use crate::nodes::NodeUrl;
use crate::rtc;

/// Nodes remembered. Guess. The oldest goes.
const NODES_MAX: usize = 32;

/// A data folder.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
}

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// A file or folder in it cannot be read or written.
    #[error(
        "{action} {path} failed: {error}; check that the folder exists, is yours, and has room"
    )]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: String,
        /// What happened.
        error: io::Error,
    },
    /// A process runs a host with this identity.
    #[error("{path} is in use by another process{}; stop that one, or use another data folder", who(.process))]
    InUse {
        /// The folder of the identity.
        path: String,
        /// That process.
        process: Option<u32>,
    },
    /// A file does not hold what it should.
    #[error("{path} is damaged: {what}; restore it from a backup or an export, or move it away")]
    Damaged {
        /// Which.
        path: String,
        /// In which way.
        what: String,
    },
    /// No identity of that name or id.
    #[error("there is no identity {0} here; see `peergraph identity list`")]
    NoSuchIdentity(String),
    /// More than one identity of that name or beginning.
    #[error("more than one identity is called {0}; name it by its full id")]
    Ambiguous(String),
    /// This identity is here already.
    #[error("the identity {0} is here already")]
    Exists(PeerId),
    /// A name that nobody can have.
    #[error("{0}")]
    Name(NameError),
}

fn who(process: &Option<u32>) -> String {
    process.map(|id| format!(" (process {id})")).unwrap_or_default()
}

/// One identity of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityEntry {
    /// Who.
    pub peer: PeerId,
    /// Its friendly name.
    pub name: String,
    /// Whether it is used when none is named.
    pub default: bool,
}

impl Folder {
    /// Opens a folder, and makes it where there is none.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, FolderError> {
        let folder = Self { root: root.into() };
        folder.make(&folder.identities_path())?;
        Ok(folder)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The identities, by peer id.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn identities(&self) -> Result<Vec<IdentityEntry>, FolderError> {
        let default = self.default_peer()?;
        let path = self.identities_path();
        let list = fs::read_dir(&path).map_err(|error| failed("reading", &path, error))?;
        let mut entries = Vec::new();
        for item in list {
            let item = item.map_err(|error| failed("reading", &path, error))?;
            // Other names are not ours: half-made folders, notes of the operator.
            let Some(peer) = item.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            if !item.path().join("identity").exists() {
                continue;
            }
            let name = self.identity(peer)?.name().to_owned();
            entries.push(IdentityEntry { peer, name, default: default == Some(peer) });
        }
        entries.sort_by_key(|entry| entry.peer);
        Ok(entries)
    }

    /// Finds an identity by id, beginning of the id, or name; the default one for `None`.
    ///
    /// # Errors
    /// [`FolderError::NoSuchIdentity`], [`FolderError::Ambiguous`] and others.
    pub fn find(&self, wanted: Option<&str>) -> Result<Option<PeerId>, FolderError> {
        let Some(wanted) = wanted else { return self.default_peer() };
        let entries = self.identities()?;
        let by = |matches: &dyn Fn(&IdentityEntry) -> bool| {
            entries
                .iter()
                .filter(|entry| matches(entry))
                .map(|entry| entry.peer)
                .collect::<Vec<_>>()
        };
        let mut found = by(&|entry| entry.name == wanted);
        if found.is_empty() && !wanted.is_empty() {
            found = by(&|entry| entry.peer.to_string().starts_with(&wanted.to_lowercase()));
        }
        match found.as_slice() {
            [] => Err(FolderError::NoSuchIdentity(wanted.to_owned())),
            [peer] => Ok(Some(*peer)),
            _ => Err(FolderError::Ambiguous(wanted.to_owned())),
        }
    }

    /// Reads an identity.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn identity(&self, peer: PeerId) -> Result<Identity, FolderError> {
        let path = self.identity_path(peer).join("identity");
        let bytes = zeroize::Zeroizing::new(
            fs::read(&path).map_err(|error| failed("reading", &path, error))?,
        );
        let damaged = |what: String| FolderError::Damaged { path: show(&path), what };
        let identity = Identity::from_bytes(&bytes)
            .map_err(|error: IdentityError| damaged(error.to_string()))?;
        if identity.peer_id() != peer {
            return Err(damaged("it holds another identity".to_owned()));
        }
        Ok(identity)
    }

    /// Makes a new identity. The first one of a folder becomes the default.
    ///
    /// # Errors
    /// [`FolderError::Name`] and others.
    pub fn new_identity(&self, name: &str) -> Result<Identity, FolderError> {
        let mut secret = zeroize::Zeroizing::new([0; 32]);
        let mut serial = [0; 16];
        fill(secret.as_mut());
        fill(&mut serial);
        let identity = Identity::generate(*secret, serial, name, clock::wall());
        let identity = identity.map_err(FolderError::Name)?;
        self.add(&identity)?;
        Ok(identity)
    }

    /// Keeps an identity that comes from elsewhere. The first one of a folder becomes the default.
    ///
    /// # Errors
    /// [`FolderError::Exists`] and others.
    pub fn add(&self, identity: &Identity) -> Result<(), FolderError> {
        let _guard = self.guard()?;
        self.add_guarded(identity)
    }

    /// The default identity; a new one called `name` where there is none.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn default_or_new(&self, name: &str) -> Result<PeerId, FolderError> {
        if let Some(peer) = self.default_peer()? {
            return Ok(peer);
        }
        Ok(self.new_identity(name)?.peer_id())
    }

    /// The nodes that were remembered, oldest first. Lines that are no URL of a node are skipped.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn nodes(&self) -> Result<Vec<NodeUrl>, FolderError> {
        let text = read_text(&self.root.join("nodes"))?.unwrap_or_default();
        Ok(text.lines().filter_map(|line| line.trim().parse().ok()).collect())
    }

    /// Remembers a node for later starts.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn remember_node(&self, url: &NodeUrl) -> Result<(), FolderError> {
        let _guard = self.guard()?;
        let mut nodes = self.nodes()?;
        if nodes.contains(url) {
            return Ok(());
        }
        nodes.push(url.clone());
        let late = nodes.len().saturating_sub(NODES_MAX);
        let text: String = nodes[late..].iter().map(|node| format!("{node}\n")).collect();
        replace(&self.root.join("nodes"), text.as_bytes())
    }

    /// Claims an identity for a running host.
    pub(crate) fn lock(&self, peer: PeerId) -> Result<Lock, FolderError> {
        let folder = self.identity_path(peer);
        let path = folder.join("lock");
        let mut file = open_lock(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Where locks are mandatory the process id cannot be read; it is only a help.
                let _ = file.read_to_string(&mut text);
                let process = text.trim().parse().ok();
                return Err(FolderError::InUse { path: show(&folder), process });
            }
            Err(TryLockError::Error(error)) => return Err(failed("locking", &path, error)),
        }
        let note = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        note.map_err(|error| failed("writing", &path, error))?;
        Ok(Lock { _file: file })
    }

    /// The certificate of data channels: made at the first start, kept since addresses name its fingerprint.
    pub(crate) fn link_certificate(&self, peer: PeerId) -> Result<rtc::Certificate, FolderError> {
        let path = self.identity_path(peer).join("link.pem");
        if let Some(text) = read_text(&path)? {
            match rtc::Certificate::from_pem(&text) {
                Ok(certificate) => return Ok(certificate),
                Err(error) => {
                    tracing::warn!(%error, "the certificate of data channels is made anew")
                }
            }
        }
        let certificate = rtc::Certificate::generate().map_err(|error| FolderError::Io {
            action: "making",
            path: show(&path),
            error: io::Error::other(error.to_string()),
        })?;
        replace(&path, certificate.to_pem().as_bytes())?;
        Ok(certificate)
    }

    /// Where the store of an identity is.
    pub(crate) fn store_path(&self, peer: PeerId) -> PathBuf {
        self.identity_path(peer).join("store.redb")
    }

    fn add_guarded(&self, identity: &Identity) -> Result<(), FolderError> {
        let peer = identity.peer_id();
        let folder = self.identity_path(peer);
        let path = folder.join("identity");
        if path.exists() {
            return Err(FolderError::Exists(peer));
        }
        self.make(&folder)?;
        replace(&path, &identity.to_bytes())?;
        if self.default_peer()?.is_none() {
            replace(&self.root.join("default"), format!("{peer}\n").as_bytes())?;
        }
        Ok(())
    }

    fn default_peer(&self) -> Result<Option<PeerId>, FolderError> {
        let path = self.root.join("default");
        let Some(text) = read_text(&path)? else { return Ok(None) };
        match text.trim().parse() {
            Ok(peer) => Ok(Some(peer)),
            Err(error) => Err(FolderError::Damaged { path: show(&path), what: format!("{error}") }),
        }
    }

    /// Keeps other processes from changing the folder for a moment.
    fn guard(&self) -> Result<Lock, FolderError> {
        let path = self.root.join("lock");
        let file = open_lock(&path)?;
        file.lock().map_err(|error| failed("locking", &path, error))?;
        Ok(Lock { _file: file })
    }

    fn identities_path(&self) -> PathBuf {
        self.root.join("identities")
    }

    fn identity_path(&self, peer: PeerId) -> PathBuf {
        self.identities_path().join(peer.to_string())
    }

    fn make(&self, path: &Path) -> Result<(), FolderError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path).map_err(|error| failed("making the folder", path, error))
    }
}

/// A claim, until it is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Fills `bytes` with randomness of the operating system.
pub(crate) fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the system has randomness, or nothing here is safe");
}

fn open_lock(path: &Path) -> Result<File, FolderError> {
    let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path);
    file.map_err(|error| failed("opening", path, error))
}

fn read_text(path: &Path) -> Result<Option<String>, FolderError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("reading", path, error)),
    }
}

/// Replaces a file whole. Only its owner may read it.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), FolderError> {
    let beside = path.with_extension(format!("{}.tmp", std::process::id()));
    let write = || {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&beside, path)?;
        #[cfg(unix)]
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&beside);
        failed("writing", path, error)
    })
}

fn failed(action: &'static str, path: &Path, error: io::Error) -> FolderError {
    FolderError::Io { action, path: show(path), error }
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Folder) {
        let place = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(place.path().join("data")).expect("opens");
        (place, folder)
    }

    #[test]
    fn first_identity_is_the_default_and_all_are_found() {
        let (_place, folder) = folder();
        assert_eq!(folder.find(None).expect("readable"), None);
        let ada = folder.new_identity("Ada").expect("made").peer_id();
        let bob = folder.new_identity("Bob").expect("made").peer_id();
        assert_eq!(folder.find(None).expect("found"), Some(ada));
        assert_eq!(folder.find(Some("Bob")).expect("found"), Some(bob));
        assert_eq!(folder.find(Some(&bob.to_string()[..20])).expect("found"), Some(bob));
        assert!(matches!(folder.find(Some("Eve")), Err(FolderError::NoSuchIdentity(_))));
        let bob_too = folder.new_identity("Bob").expect("made").peer_id();
        assert_ne!(bob, bob_too);
        assert!(matches!(folder.find(Some("Bob")), Err(FolderError::Ambiguous(_))));
        let names: Vec<String> =
            folder.identities().expect("listed").into_iter().map(|entry| entry.name).collect();
        assert_eq!(names.len(), 3);
        assert_eq!(folder.default_or_new("Eve").expect("found"), ada);
    }

    #[cfg(unix)]
    #[test]
    fn secrets_are_readable_by_their_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_place, folder) = folder();
        let peer = folder.new_identity("Ada").expect("made").peer_id();
        folder.link_certificate(peer).expect("made");
        for name in ["identity", "link.pem"] {
            let facts = fs::metadata(folder.identity_path(peer).join(name)).expect("exists");
            assert_eq!(facts.permissions().mode() & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn link_certificate_stays_the_same() {
        let (_place, folder) = folder();
        let peer = folder.new_identity("Ada").expect("made").peer_id();
        let first = folder.link_certificate(peer).expect("made").fingerprint();
        assert_eq!(folder.link_certificate(peer).expect("read").fingerprint(), first);
    }

    #[test]
    fn damaged_identity_is_an_error_that_names_the_file() {
        let (_place, folder) = folder();
        let peer = folder.new_identity("Ada").expect("made").peer_id();
        let path = folder.identity_path(peer).join("identity");
        let bytes = fs::read(&path).expect("readable");
        fs::write(&path, &bytes[..bytes.len() / 2]).expect("written");
        let error = folder.identity(peer).expect_err("refused").to_string();
        assert!(error.contains("identity") && error.contains("damaged"), "{error}");
    }

    #[test]
    fn second_host_on_one_identity_is_refused() {
        let (_place, folder) = folder();
        let peer = folder.new_identity("Ada").expect("made").peer_id();
        let lock = folder.lock(peer).expect("free");
        let error = folder.lock(peer).expect_err("taken").to_string();
        assert!(error.contains("in use by another process"), "{error}");
        drop(lock);
        folder.lock(peer).expect("free again");
    }

    #[test]
    fn nodes_are_remembered_once_and_bounded() {
        let (_place, folder) = folder();
        for n in 0..NODES_MAX + 3 {
            let url = format!("http://node{n}.example/").parse().expect("a URL");
            folder.remember_node(&url).expect("remembered");
            folder.remember_node(&url).expect("remembered");
        }
        let nodes = folder.nodes().expect("readable");
        assert_eq!(nodes.len(), NODES_MAX);
        assert_eq!(nodes[0].to_string(), "http://node3.example/");
    }
}
