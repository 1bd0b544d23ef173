//! The identities of a data folder: make, find, rename, choose, move, delete.
//!
//! All of it holds the lock of the folder while it changes something, so that two processes never undo each other's
//! work. A running host keeps the certificate with which it began; what is renamed meanwhile shows at its next start.

use std::fs;

use peergraph_core::id::PeerId;
use peergraph_core::identity::{Identity, IdentityError};
use peergraph_core::name::PeerName;
use peergraph_core::stored::StoredGroup;
use zeroize::Zeroizing;

use super::{Folder, FolderError, failed, read_text, replace, show};
use crate::secret::fill;
use crate::{clock, storage};

/// One identity of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityEntry {
    /// Who.
    pub peer: PeerId,
    /// Its friendly name.
    pub name: String,
    /// The peer name that it goes by.
    pub peer_name: PeerName,
    /// Whether it is used when none is named.
    pub default: bool,
}

impl Folder {
    /// The identities, by peer id.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn identities(&self) -> Result<Vec<IdentityEntry>, FolderError> {
        let default = self.default_peer()?;
        let mut entries = Vec::new();
        for peer in self.peers()? {
            let identity = self.identity(peer)?;
            entries.push(IdentityEntry {
                peer,
                name: identity.name().to_owned(),
                peer_name: identity.peer_name().clone(),
                default: default == Some(peer),
            });
        }
        Ok(entries)
    }

    /// The identities here, by peer id.
    fn peers(&self) -> Result<Vec<PeerId>, FolderError> {
        let path = self.identities_path();
        let list = fs::read_dir(&path).map_err(|error| failed("reading", &path, error))?;
        let mut peers = Vec::new();
        for item in list {
            let item = item.map_err(|error| failed("reading", &path, error))?;
            // Other names are not ours: half-made folders, notes of the operator.
            let Some(peer) = item.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            if item.path().join("identity").exists() {
                peers.push(peer);
            }
        }
        peers.sort();
        Ok(peers)
    }

    /// Finds an identity by id, beginning of the id, or name; the default one for `None`.
    ///
    /// # Errors
    /// [`FolderError::NoSuchIdentity`], [`FolderError::Ambiguous`] and others.
    pub fn find(&self, wanted: Option<&str>) -> Result<Option<PeerId>, FolderError> {
        let Some(wanted) = wanted else { return self.default_peer() };
        let entries = self.identities()?;
        // Nobody hides behind a friendly name that is another's id.
        let tests: [&dyn Fn(&IdentityEntry) -> bool; 3] =
            [&|entry| entry.peer.to_string() == wanted, &|entry| entry.name == wanted, &|entry| {
                !wanted.is_empty() && entry.peer.to_string().starts_with(&wanted.to_lowercase())
            }];
        let matching = |test: &dyn Fn(&IdentityEntry) -> bool| {
            entries.iter().filter(|entry| test(entry)).map(|entry| entry.peer).collect::<Vec<_>>()
        };
        let found = tests.into_iter().map(matching).find(|found| !found.is_empty());
        let found = found.unwrap_or_default();
        match found.as_slice() {
            [] => Err(FolderError::NoSuchIdentity(wanted.to_owned())),
            [peer] => Ok(Some(*peer)),
            _ => Err(FolderError::Ambiguous(wanted.to_owned())),
        }
    }

    /// Reads an identity. It signs, says its names and its public document.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn identity(&self, peer: PeerId) -> Result<Identity, FolderError> {
        let path = self.identity_path(peer).join("identity");
        let bytes = match fs::read(&path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(FolderError::NoSuchIdentity(peer.to_string()));
            }
            Err(error) => return Err(failed("reading", &path, error)),
        };
        let damaged = |what: String| FolderError::Damaged { path: show(&path), what };
        let identity = Identity::from_bytes(&bytes)
            .map_err(|error: IdentityError| damaged(error.to_string()))?;
        if identity.peer_id() != peer {
            return Err(damaged("it holds another identity".to_owned()));
        }
        Ok(identity)
    }

    /// Makes a new identity. The first one of a folder becomes the default. `classifier` may be empty.
    ///
    /// # Errors
    /// [`FolderError::Name`] and others.
    pub fn new_identity(&self, name: &str, classifier: &str) -> Result<Identity, FolderError> {
        let identity = generate(name, classifier)?;
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
            self.write_default(peer)?;
        }
        Ok(())
    }

    /// The default identity; a new one called `name` if there is none, and whether it was made. Of several programs that
    /// begin at once in a new folder one makes it, and the others use it.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn default_or_new(&self, name: &str) -> Result<(PeerId, bool), FolderError> {
        if let Some(peer) = self.default_peer()? {
            return Ok((peer, false));
        }
        let identity = generate(name, "")?;
        let _guard = self.guard()?;
        // Another program may have made one meanwhile.
        if let Some(peer) = self.default_peer()? {
            return Ok((peer, false));
        }
        self.add_guarded(&identity)?;
        Ok((identity.peer_id(), true))
    }

    /// Makes an identity the one that is used when none is named.
    ///
    /// # Errors
    /// [`FolderError::NoSuchIdentity`] and others.
    pub fn set_default(&self, peer: PeerId) -> Result<(), FolderError> {
        let _guard = self.guard()?;
        self.identity(peer)?;
        self.write_default(peer)
    }

    /// Gives an identity another friendly name, and the classifier that it goes by, or none (`""`). Key and peer id
    /// stay. Its groups show the old name until its memberships are renewed.
    ///
    /// # Errors
    /// [`FolderError::Name`] and others.
    pub fn rename(
        &self,
        peer: PeerId,
        name: &str,
        classifier: &str,
    ) -> Result<Identity, FolderError> {
        let _guard = self.guard()?;
        let renamed = self.identity(peer)?.reissue(name, classifier, random(), clock::wall());
        let renamed = renamed.map_err(FolderError::Name)?;
        replace(&self.identity_path(peer).join("identity"), &renamed.to_bytes())?;
        Ok(renamed)
    }

    /// Deletes an identity and all that is kept for it, for good.
    ///
    /// # Errors
    /// [`FolderError::InGroups`] while it is in groups, [`FolderError::InUse`] while a host runs,
    /// [`FolderError::Default`] while it is the default and not the last one, and others.
    pub fn delete(&self, peer: PeerId) -> Result<(), FolderError> {
        let _guard = self.guard()?;
        self.identity(peer)?;
        let lock = self.lock(peer)?;
        let groups = self.stored_groups(peer)?;
        if !groups.is_empty() {
            let name = |group: StoredGroup| group.name.unwrap_or_else(|| group.id.to_string());
            return Err(FolderError::InGroups {
                peer,
                groups: groups.into_iter().map(name).collect(),
            });
        }
        if self.default_peer()? == Some(peer) {
            if self.peers()?.len() > 1 {
                return Err(FolderError::Default(peer));
            }
            let path = self.root.join("default");
            fs::remove_file(&path).map_err(|error| failed("deleting", &path, error))?;
        }
        let folder = self.identity_path(peer);
        // First of all the key: without it, what a crash leaves is no identity.
        let path = folder.join("identity");
        fs::remove_file(&path).map_err(|error| failed("deleting", &path, error))?;
        drop(lock);
        fs::remove_dir_all(&folder).map_err(|error| failed("deleting", &folder, error))
    }

    /// The groups of an identity, with its memberships, as its store has them. No host may run with it.
    ///
    /// # Errors
    /// [`FolderError::InUse`] and others.
    pub fn groups(&self, peer: PeerId) -> Result<Vec<StoredGroup>, FolderError> {
        self.identity(peer)?;
        let _lock = self.lock(peer)?;
        self.stored_groups(peer)
    }

    fn stored_groups(&self, peer: PeerId) -> Result<Vec<StoredGroup>, FolderError> {
        let path = self.store_path(peer);
        storage::groups(&path).map_err(|error| FolderError::Store { path: show(&path), error })
    }

    /// An identity as text that only `password` opens, to be kept or carried elsewhere.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn export(&self, peer: PeerId, password: &str) -> Result<String, FolderError> {
        Ok(self.identity(peer)?.export(password, random()))
    }

    /// Keeps an identity that was exported elsewhere.
    ///
    /// # Errors
    /// [`FolderError::Import`] for a wrong password or another text, [`FolderError::Exists`], and others.
    pub fn import(&self, text: &str, password: &str) -> Result<Identity, FolderError> {
        let identity = Identity::import(text, password).map_err(FolderError::Import)?;
        self.add(&identity)?;
        Ok(identity)
    }

    fn default_peer(&self) -> Result<Option<PeerId>, FolderError> {
        let path = self.root.join("default");
        let Some(text) = read_text(&path)? else { return Ok(None) };
        match text.trim().parse() {
            Ok(peer) => Ok(Some(peer)),
            Err(error) => Err(FolderError::Damaged { path: show(&path), what: format!("{error}") }),
        }
    }

    fn write_default(&self, peer: PeerId) -> Result<(), FolderError> {
        replace(&self.root.join("default"), format!("{peer}\n").as_bytes())
    }
}

fn generate(name: &str, classifier: &str) -> Result<Identity, FolderError> {
    let mut secret = Zeroizing::new([0; 32]);
    fill(secret.as_mut());
    let identity = Identity::generate(secret, random(), name, clock::wall());
    identity
        .and_then(|it| it.reissue(name, classifier, random(), clock::wall()))
        .map_err(FolderError::Name)
}

fn random<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    fill(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::tests::folder;
    use super::*;
    use crate::Host;

    #[test]
    fn first_identity_is_the_default_and_all_are_found() {
        let (_place, folder) = folder();
        assert_eq!(folder.find(None).expect("readable"), None);
        let ada = folder.new_identity("Ada", "").expect("made").peer_id();
        let bob = folder.new_identity("Bob", "").expect("made").peer_id();
        assert_eq!(folder.find(None).expect("found"), Some(ada));
        assert_eq!(folder.find(Some("Bob")).expect("found"), Some(bob));
        assert_eq!(folder.find(Some(&bob.to_string()[..20])).expect("found"), Some(bob));
        assert!(matches!(folder.find(Some("Eve")), Err(FolderError::NoSuchIdentity(_))));
        let bob_too = folder.new_identity("Bob", "").expect("made").peer_id();
        assert_ne!(bob, bob_too);
        assert!(matches!(folder.find(Some("Bob")), Err(FolderError::Ambiguous(_))));
        let names: Vec<String> =
            folder.identities().expect("listed").into_iter().map(|entry| entry.name).collect();
        assert_eq!(names.len(), 3);
        assert_eq!(folder.default_or_new("Eve").expect("found"), (ada, false));
    }

    #[test]
    fn damaged_identity_is_an_error_that_names_the_file() {
        let (_place, folder) = folder();
        let peer = folder.new_identity("Ada", "").expect("made").peer_id();
        let path = folder.identity_path(peer).join("identity");
        let bytes = fs::read(&path).expect("readable");
        fs::write(&path, &bytes[..bytes.len() / 2]).expect("written");
        let error = folder.identity(peer).expect_err("refused").to_string();
        assert!(error.contains("identity") && error.contains("damaged"), "{error}");
    }

    #[test]
    fn identity_keeps_key_and_classifier_when_it_is_renamed() {
        let (_place, folder) = folder();
        let ada = folder.new_identity("Ada", "chat").expect("made");
        let renamed = folder.rename(ada.peer_id(), "Countess", "chat").expect("renamed");
        assert_eq!(renamed.public_key(), ada.public_key());
        let entry = folder.identities().expect("listed").remove(0);
        assert_eq!((entry.peer, entry.name.as_str()), (ada.peer_id(), "Countess"));
        assert_eq!(entry.peer_name.to_string(), format!("{}.chat", ada.peer_id()));
        assert!(entry.default);
        let refused = folder.rename(ada.peer_id(), "", "chat").expect_err("refused");
        assert!(matches!(refused, FolderError::Name(_)), "{refused}");
        assert_eq!(folder.identity(ada.peer_id()).expect("kept").name(), "Countess");
        let nobody = folder.rename(PeerId::from_bytes([1; 32]), "Eve", "").expect_err("refused");
        assert!(matches!(nobody, FolderError::NoSuchIdentity(_)), "{nobody}");
    }

    #[test]
    fn default_identity_is_chosen_and_is_deleted_last() {
        let (_place, folder) = folder();
        let ada = folder.new_identity("Ada", "").expect("made").peer_id();
        let bob = folder.new_identity("Bob", "").expect("made").peer_id();
        let refused = folder.delete(ada).expect_err("refused");
        assert!(matches!(refused, FolderError::Default(peer) if peer == ada), "{refused}");
        folder.set_default(bob).expect("chosen");
        assert_eq!(folder.find(None).expect("found"), Some(bob));
        folder.delete(ada).expect("deleted");
        assert!(matches!(folder.delete(ada), Err(FolderError::NoSuchIdentity(_))));
        assert!(matches!(folder.set_default(ada), Err(FolderError::NoSuchIdentity(_))));
        folder.delete(bob).expect("deleted");
        assert_eq!(folder.identities().expect("listed"), []);
        assert_eq!(folder.find(None).expect("readable"), None);
        assert_eq!(fs::read_dir(folder.identities_path()).expect("readable").count(), 0);
    }

    #[tokio::test]
    async fn identity_is_not_deleted_while_a_group_or_a_host_uses_it() {
        let (_place, folder) = folder();
        let peer = folder.new_identity("Ada", "").expect("made").peer_id();
        let host = Host::builder().data(folder.path()).start().await.expect("started");
        let refused = folder.delete(peer).expect_err("refused");
        assert!(matches!(refused, FolderError::InUse { .. }), "{refused}");
        let mut groups = Vec::new();
        for name in ["Trip to Lisbon", "Chess"] {
            groups.push(host.create_group(name).await.expect("made"));
        }
        host.shutdown().await.expect("ended");
        let refused = folder.delete(peer).expect_err("refused");
        let FolderError::InGroups { peer: whose, groups: mut names } = refused else {
            panic!("{refused}");
        };
        names.sort();
        assert_eq!((whose, names), (peer, vec!["Chess".to_owned(), "Trip to Lisbon".to_owned()]));
        let stored = folder.groups(peer).expect("readable");
        assert_eq!(stored.len(), 2);
        assert!(stored.iter().all(|group| group.membership().expect("ours").peer() == peer));
        assert_eq!(folder.identity(peer).expect("kept").peer_id(), peer);

        let host = Host::builder().data(folder.path()).start().await.expect("started");
        for group in host.groups().await.expect("listed") {
            group.leave().await.expect("left");
        }
        host.shutdown().await.expect("ended");
        folder.delete(peer).expect("deleted");
        assert_eq!(folder.identities().expect("listed"), []);
    }

    #[test]
    fn exported_identity_comes_in_elsewhere_once_and_only_with_its_password() {
        let ((_place, first), (_elsewhere, second)) = (folder(), folder());
        let ada = first.new_identity("Ada", "chat").expect("made");
        let text = first.export(ada.peer_id(), "correct horse").expect("exported");
        let wrong = second.import(&text, "battery staple").expect_err("refused");
        assert!(matches!(wrong, FolderError::Import(IdentityError::WrongPassword)), "{wrong}");
        assert_eq!(second.identities().expect("listed"), []);
        let there = second.import(&text, "correct horse").expect("imported");
        assert_eq!(there.certificate(), ada.certificate());
        assert_eq!(there.sign_message(b"x"), ada.sign_message(b"x"));
        for folder in [&first, &second] {
            let again = folder.import(&text, "correct horse").expect_err("refused");
            assert!(matches!(again, FolderError::Exists(peer) if peer == ada.peer_id()), "{again}");
        }
    }
}
