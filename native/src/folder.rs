//! The data folder.
//!
//! ```text
//! DATA/
//!   nodes                              URLs of nodes, one a line
//!   default                            peer id of the identity that is used when none is named
//!   lock                               held for moments, while one of the above changes
//!   identities/PEER/identity           secret key and certificate; only its owner may read it
//!   identities/PEER/port               UDP port of data channels: the same at every start; below it, if a start was told
//!                                      where to listen, the IP addresses, one a line
//!   identities/PEER/link.pem           secret key and certificate of data channels (no identity in it)
//!   identities/PEER/store.redb         all groups and records of this identity
//!   identities/PEER/lock               held while a host runs; holds its process id
//!   identities/PEER/control            socket by which other programs use that host
//! ```
//!
//! Files are replaced whole: written beside, synced, renamed. A crash leaves the old one or the new one.
//!
//! # What protects the secrets
//!
//! `identity` holds the secret key as it is; a reader of it is that identity. The permissions of
//! the system protect it: on Unix the folders of identities are 0700, and every file of secrets is
//! 0600, the store among them. They are set again whenever a folder is opened. The secrets in
//! `store.redb` (group keys, derived passwords) are sealed under the identity, so that a store that
//! is copied alone tells none of them. The records in it are not sealed: a reader of the store
//! reads what members read. A thief of the whole folder has everything; the protections against
//! that are an encrypted disk and the revocation of the stolen membership.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use peergraph_core::backup::BackupError;
use peergraph_core::id::PeerId;
use peergraph_core::identity::IdentityError;
use peergraph_core::name::NameError;
use peergraph_core::node_url::NodeUrl;

use crate::bind::BINDS_MAX;
use crate::rtc;
use crate::secret::private_file;
use crate::storage::OpenError;

mod identities;
mod restored;

pub use identities::IdentityEntry;
pub use restored::Restored;

/// Nodes remembered. Guess. The oldest goes.
const NODES_MAX: usize = 32;

/// Files of an identity that only its owner may read.
const SECRET_FILES: [&str; 5] = ["identity", "link.pem", "tls.key", "store.redb", "lock"];

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
        /// The act that failed.
        action: &'static str,
        /// The path of the file or folder.
        path: String,
        /// The cause.
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
    #[error(
        "{path} is damaged: {what}; restore it from a backup (`peergraph restore FILE`) or an export. Keep what is there: \
         it may be mended"
    )]
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
    /// Groups use this identity, by their names.
    #[error("the identity {peer} is a member of {}; leave {} first", .groups.join(", "), them(.groups))]
    InGroups {
        /// Which identity.
        peer: PeerId,
        /// The names of the groups, or their ids if a name cannot be read.
        groups: Vec<String>,
    },
    /// The default identity cannot be deleted while there are others.
    #[error("{0} is the default identity; make another one the default first")]
    Default(PeerId),
    /// The store of an identity cannot be read.
    #[error("the store {path} cannot be opened: {error}")]
    Store {
        /// Which.
        path: String,
        /// Why.
        error: OpenError,
    },
    /// A file that is no backup, or a wrong password.
    #[error("{0}")]
    Restore(BackupError),
    /// A text that gives no identity, or a wrong password.
    #[error("{0}")]
    Import(IdentityError),
}

fn them(groups: &[String]) -> &'static str {
    if groups.len() == 1 { "it" } else { "them" }
}

fn who(process: &Option<u32>) -> String {
    process.map(|id| format!(" (process {id})")).unwrap_or_default()
}

/// Where data channels are listened for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) number: u16,
    /// The addresses that somebody chose for a program that stays, such as a node; none if it listens everywhere.
    pub(crate) ips: Vec<IpAddr>,
}

impl Folder {
    /// Opens a folder, and makes it if there is none.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, FolderError> {
        let folder = Self { root: root.into() };
        folder.make(&folder.identities_path())?;
        // Made by an earlier version, or copied from elsewhere, it may be open to others.
        private(&folder.identities_path(), 0o700)?;
        Ok(folder)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The nodes that were remembered, oldest first. Lines that are no URL of a node are logged and skipped.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn nodes(&self) -> Result<Vec<NodeUrl>, FolderError> {
        let text = read_text(&self.root.join("nodes"))?.unwrap_or_default();
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let read = |line: &str| match line.parse::<NodeUrl>() {
            Ok(url) => Some(url),
            Err(error) => {
                tracing::warn!(line, %error, "a line of the file `nodes` is skipped");
                None
            }
        };
        Ok(lines.filter_map(read).collect())
    }

    /// Remembers a node for later starts. Answers whether it was not known yet.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn remember_node(&self, url: &NodeUrl) -> Result<bool, FolderError> {
        let _guard = self.guard()?;
        let mut nodes = self.nodes()?;
        if nodes.contains(url) {
            return Ok(false);
        }
        nodes.push(url.clone());
        let late = nodes.len().saturating_sub(NODES_MAX);
        self.write_nodes(&nodes[late..])?;
        Ok(true)
    }

    /// Forgets a node. Answers whether it was remembered.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn forget_node(&self, url: &NodeUrl) -> Result<bool, FolderError> {
        let _guard = self.guard()?;
        let mut nodes = self.nodes()?;
        let count = nodes.len();
        nodes.retain(|node| node != url);
        if nodes.len() == count {
            return Ok(false);
        }
        self.write_nodes(&nodes)?;
        Ok(true)
    }

    fn write_nodes(&self, nodes: &[NodeUrl]) -> Result<(), FolderError> {
        let text: String = nodes.iter().map(|node| format!("{node}\n")).collect();
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
                // If locks are mandatory the process id cannot be read; it is only a help.
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

    /// Where the last start listened for data channels. Addresses that were given away name it.
    pub(crate) fn port(&self, peer: PeerId) -> Result<Option<Port>, FolderError> {
        let text = read_text(&self.identity_path(peer).join("port"))?.unwrap_or_default();
        let mut lines = text.lines().map(str::trim);
        let number = lines.next().and_then(|line| line.parse().ok()).filter(|port| *port != 0);
        let ips = lines.filter_map(|line| line.parse().ok()).take(BINDS_MAX).collect();
        Ok(number.map(|number| Port { number, ips }))
    }

    /// Keeps where this start listens for the next one.
    pub(crate) fn keep_port(&self, peer: PeerId, port: &Port) -> Result<(), FolderError> {
        let mut text = format!("{}\n", port.number);
        for ip in &port.ips {
            text.push_str(&format!("{ip}\n"));
        }
        replace(&self.identity_path(peer).join("port"), text.as_bytes())
    }

    /// Makes sure that nobody else reads what is kept for an identity.
    pub(crate) fn close_to_others(&self, peer: PeerId) -> Result<(), FolderError> {
        let folder = self.identity_path(peer);
        private(&folder, 0o700)?;
        for name in SECRET_FILES {
            let path = folder.join(name);
            if path.exists() {
                private(&path, 0o600)?;
            }
        }
        Ok(())
    }

    /// Where the store of an identity is.
    pub(crate) fn store_path(&self, peer: PeerId) -> PathBuf {
        self.identity_path(peer).join("store.redb")
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

    pub(crate) fn identity_path(&self, peer: PeerId) -> PathBuf {
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

/// Takes the permissions of all others away, if the system knows such.
fn private(path: &Path, mode: u32) -> Result<(), FolderError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let facts = fs::metadata(path).map_err(|error| failed("reading", path, error))?;
        if facts.permissions().mode() & 0o077 != 0 {
            let mode = fs::Permissions::from_mode(mode);
            fs::set_permissions(path, mode).map_err(|error| failed("closing", path, error))?;
        }
    }
    #[cfg(not(unix))]
    let _ = (path, mode);
    Ok(())
}

fn open_lock(path: &Path) -> Result<File, FolderError> {
    let file = private_file().truncate(false).open(path);
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
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), FolderError> {
    let beside = path.with_extension(format!("{}.tmp", std::process::id()));
    let write = || {
        let mut file = private_file().truncate(true).open(&beside)?;
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
    #[cfg(unix)]
    use crate::storage::{Place, Storage};

    pub(super) fn folder() -> (tempfile::TempDir, Folder) {
        let place = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(place.path().join("data")).expect("opens");
        (place, folder)
    }

    #[cfg(unix)]
    #[test]
    fn secrets_are_readable_by_their_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_place, folder) = folder();
        let peer = folder.new_identity("Ada", "").expect("made").peer_id();
        folder.link_certificate(peer).expect("made");
        let place = folder.identity_path(peer);
        replace(&place.join("tls.key"), b"a key").expect("made");
        let open = || {
            folder.close_to_others(peer).expect("closed");
            drop(folder.lock(peer).expect("free"));
            let place = Place::File(folder.store_path(peer));
            drop(Storage::open(place, |_| {}).expect("opens"));
        };
        let mode = |path: &Path| fs::metadata(path).expect("exists").permissions().mode() & 0o777;
        let look = || {
            for name in SECRET_FILES {
                assert_eq!(mode(&place.join(name)), 0o600, "{name}");
            }
            assert_eq!(mode(&place), 0o700);
            assert_eq!(mode(&folder.identities_path()), 0o700);
        };
        open();
        look();
        // As an earlier version, or a careless copy, left them.
        for name in SECRET_FILES {
            let mode = fs::Permissions::from_mode(0o644);
            fs::set_permissions(place.join(name), mode).expect("opened to others");
        }
        for folder in [&place, &folder.identities_path()] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
                .expect("opened to others");
        }
        Folder::open(folder.path()).expect("opens");
        open();
        look();
    }

    #[test]
    fn link_certificate_stays_the_same() {
        let (_place, folder) = folder();
        let peer = folder.new_identity("Ada", "").expect("made").peer_id();
        let first = folder.link_certificate(peer).expect("made").fingerprint();
        assert_eq!(folder.link_certificate(peer).expect("read").fingerprint(), first);
    }

    #[test]
    fn port_is_kept_and_one_that_is_none_is_not_read() {
        let (_place, folder) = folder();
        let peer = folder.new_identity("Ada", "").expect("made").peer_id();
        assert_eq!(folder.port(peer).expect("readable"), None);
        let ips = [&[][..], &["127.0.0.1", "::1"]];
        for ips in ips.map(|ips| ips.iter().map(|ip| ip.parse().expect("an address")).collect()) {
            let port = Port { number: 20_001, ips };
            folder.keep_port(peer, &port).expect("kept");
            assert_eq!(folder.port(peer).expect("readable"), Some(port));
        }
        for text in ["", "0", "99999", "what", "\n20001"] {
            fs::write(folder.identity_path(peer).join("port"), text).expect("written");
            assert_eq!(folder.port(peer).expect("readable"), None, "{text}");
        }
    }

    #[test]
    fn second_host_on_one_identity_is_refused() {
        let (_place, folder) = folder();
        let peer = folder.new_identity("Ada", "").expect("made").peer_id();
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
        assert!(folder.forget_node(&nodes[0]).expect("forgotten"));
        assert!(!folder.forget_node(&nodes[0]).expect("not there"));
        assert_eq!(folder.nodes().expect("readable"), nodes[1..]);
    }
}
