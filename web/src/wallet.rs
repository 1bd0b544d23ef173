//! The identities of one origin.
//!
//! They stand in the database that the application named, each under `identity:PEER` with the place of its records, and
//! beside them `default`, the peer id of the one that is used when none is named. Work that one identity does with
//! its records is locked for itself (`lock.rs`); the list of identities is locked as a whole, for moments.
//!
//! ```text
//! STORAGE        own: identity:PEER → { …sealed key…, document, database }, default → PEER
//! STORAGE:PEER   entries: groups and records of that identity
//! ```
//!
//! A database from before there were several identities has one under `identity`, with its records beside it. It is
//! found, and becomes one of the list.
use crate::convert;
use crate::failure::Failure;
use crate::identity;
use crate::lock::{self, Held, Lock};
use crate::store::Store;
use crate::{backup, browser};
use js_sys::{Object, Reflect};
use peergraph_core::backup::Backup;
use peergraph_core::cert::Certificate;
use peergraph_core::error::Error;
use peergraph_core::id::PeerId;
use peergraph_core::identity::{Identity, read_public_document};
use serde::Deserialize;
use wasm_bindgen::prelude::*;

/// Before the peer id in the keys of identities.
const PLACE: &str = "identity:";
/// Where the default one is named.
const DEFAULT: &str = "default";
/// Where the only identity stood before there were several.
const ONLY: &str = "identity";

/// The open list, locked until it is closed.
pub(crate) struct Wallet {
    name: String,
    store: Store,
    _lock: Held,
}

/// One identity of the list, its key still sealed.
pub(crate) struct Entry {
    /// The entry as it is stored.
    stored: JsValue,
    certificate: Certificate,
    /// Where its groups and records are.
    pub(crate) database: String,
    default: bool,
}

impl Entry {
    fn peer(&self) -> PeerId {
        self.certificate.peer_id()
    }

    /// Opens its key.
    pub(crate) async fn identity(&self) -> Result<Identity, Failure> {
        let identity = identity::open(&self.stored).await.map_err(|_| Failure::unreadable())?;
        let same = identity.certificate() == &self.certificate;
        if same { Ok(identity) } else { Err(Failure::unreadable()) }
    }

    /// The description that applications are told.
    pub(crate) fn about(&self) -> JsValue {
        convert::identity(&self.certificate, self.default)
    }
}

/// The request of an application about its identities: what is to be done, and what that needs. One structure for all,
/// since a variant with fields for each action takes ten times the code to read.
#[derive(Deserialize)]
pub(crate) struct Asked {
    action: Action,
    who: Option<String>,
    name: Option<String>,
    classifier: Option<String>,
    file: Option<String>,
    password: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Action {
    List,
    Create,
    Rename,
    Default,
    Delete,
    Export,
    Import,
    Document,
    Name,
    Sign,
    Restore,
}

impl Wallet {
    /// Opens the list in the database `name`, made where it is not there.
    pub(crate) async fn open(name: &str) -> Result<Self, Failure> {
        let lock = lock::wait_for(&format!("peergraph-identities:{name}")).await;
        let lock = lock.map_err(|_| Failure::no_locks())?;
        let store = Store::open(name).await.map_err(|it| Failure::no_store(&it))?;
        let wallet = Self { name: name.to_owned(), store, _lock: lock };
        match wallet.adopt_the_only_one().await {
            Ok(()) => Ok(wallet),
            Err(failure) => {
                wallet.close().await;
                Err(failure)
            }
        }
    }

    /// Lets go of the list.
    pub(crate) async fn close(self) {
        self.store.close().await;
    }

    async fn adopt_the_only_one(&self) -> Result<(), Failure> {
        let stored = self.store.own(ONLY).await.map_err(|_| Failure::unreadable())?;
        if stored.is_undefined() {
            return Ok(());
        }
        let identity = identity::open(&stored).await.map_err(|_| Failure::unreadable())?;
        let peer = identity.peer_id().to_string();
        fill_in(&stored, &identity, &self.name);
        self.change(&[
            (format!("{PLACE}{peer}"), Some(stored)),
            (DEFAULT.to_owned(), Some(peer.into())),
            (ONLY.to_owned(), None),
        ])
        .await
    }

    /// All identities, by peer id.
    pub(crate) async fn entries(&self) -> Result<Vec<Entry>, Failure> {
        let all = self.store.all_own().await.map_err(|_| Failure::unreadable())?;
        let named = |wanted: &str| all.iter().find(|(key, _)| key == wanted);
        let default = named(DEFAULT).and_then(|(_, peer)| peer.as_string()).unwrap_or_default();
        let mut entries = Vec::new();
        for (key, stored) in &all {
            let Some(peer) = key.strip_prefix(PLACE) else { continue };
            let text = |name: &str| {
                Reflect::get(stored, &name.into()).ok().and_then(|value| value.as_string())
            };
            let certificate = text("document").and_then(|it| read_public_document(&it).ok());
            let certificate = certificate.filter(|it| it.peer_id().to_string() == peer);
            let (certificate, database) =
                certificate.zip(text("database")).ok_or_else(Failure::unreadable)?;
            let (stored, default) = (stored.clone(), peer == default);
            entries.push(Entry { stored, certificate, database, default });
        }
        Ok(entries)
    }

    /// An identity by id, beginning of the id, or name; the default one for `None`, nothing if there is none.
    pub(crate) async fn find(&self, who: Option<&str>) -> Result<Option<Entry>, Failure> {
        let mut entries = self.entries().await?;
        let Some(who) = who else {
            return Ok(entries.into_iter().find(|entry| entry.default));
        };
        // Nobody hides behind a friendly name that is another's id.
        let tests: [&dyn Fn(&Entry) -> bool; 3] = [
            &|entry| entry.peer().to_string() == who,
            &|entry| entry.certificate.name() == who,
            &|entry| !who.is_empty() && entry.peer().to_string().starts_with(&who.to_lowercase()),
        ];
        match tests.into_iter().find(|test| entries.iter().any(test)) {
            Some(test) => entries.retain(test),
            None => entries.clear(),
        }
        match (entries.pop(), entries.is_empty()) {
            (Some(entry), true) => Ok(Some(entry)),
            (Some(_), false) => {
                Err(Failure::unknown_identity("more than one identity is called that; give its id"))
            }
            (None, _) => Err(Failure::unknown_identity(
                "there is no such identity here; list those that are",
            )),
        }
    }

    async fn must_find(&self, who: &str) -> Result<Entry, Failure> {
        let found = self.find(Some(who)).await?;
        found.ok_or_else(|| Failure::internal("a search by name finds or fails"))
    }

    /// The identity to open: the one that is wanted, the default one, or a new one that is the first.
    pub(crate) async fn choose(&self, options: &convert::Options) -> Result<Entry, Failure> {
        if let Some((file, password)) = &options.identity {
            return self.find_or_add(&Identity::import(file, password)?).await;
        }
        if let Some(entry) = self.find(options.who.as_deref()).await? {
            return Ok(entry);
        }
        let identity = identity::generate(&options.name, "")?;
        self.add(&identity).await?;
        self.must_find(&identity.peer_id().to_string()).await
    }

    /// The entry of an identity, which is kept from now on if it is not here.
    async fn find_or_add(&self, identity: &Identity) -> Result<Entry, Failure> {
        let peer = identity.peer_id();
        if !self.entries().await?.into_iter().any(|entry| entry.peer() == peer) {
            self.add(identity).await?;
        }
        self.must_find(&peer.to_string()).await
    }

    /// Does what an application wants. `bytes` are what is to be signed, or a backup.
    pub(crate) async fn act(&self, asked: Asked, bytes: &[u8]) -> Result<JsValue, Failure> {
        let Asked { action, who, name, classifier, file, password } = asked;
        match action {
            Action::List => {
                let entries = self.entries().await?;
                Ok(entries.iter().map(Entry::about).collect::<js_sys::Array>().into())
            }
            Action::Create => {
                let identity =
                    identity::generate(&given(name, "name")?, &classifier.unwrap_or_default())?;
                self.add(&identity).await?;
                self.about(identity.peer_id()).await
            }
            Action::Rename => {
                let entry = self.must_find(&given(who, "who")?).await?;
                let old = entry.identity().await?;
                let name = name.as_deref().unwrap_or(old.name());
                let classifier = classifier.as_deref();
                let classifier = classifier.unwrap_or(old.peer_name().classifier());
                let renamed = identity::reissue(&old, name, classifier)?;
                self.put(&renamed, &entry.database, false).await?;
                self.about(renamed.peer_id()).await
            }
            Action::Default => {
                let Some(who) = who else {
                    return Ok(self.find(None).await?.map_or(JsValue::NULL, |entry| entry.about()));
                };
                let peer = self.must_find(&who).await?.peer();
                let text = JsValue::from(peer.to_string());
                self.change(&[(DEFAULT.to_owned(), Some(text))]).await?;
                self.about(peer).await
            }
            Action::Delete => self.delete(&self.must_find(&given(who, "who")?).await?).await,
            Action::Export => {
                let password = given(password, "password")?;
                let identity = self.must_find(&given(who, "who")?).await?.identity().await?;
                Ok(identity::export(&identity, &password)?.into())
            }
            Action::Import => {
                let password = given(password, "password")?;
                let identity = Identity::import(&given(file, "file")?, &password)?;
                self.add(&identity).await?;
                self.about(identity.peer_id()).await
            }
            Action::Document => {
                Ok(self.must_find(&given(who, "who")?).await?.certificate.to_pem().into())
            }
            Action::Name => {
                let entry = self.must_find(&given(who, "who")?).await?;
                let own = entry.certificate.peer_name();
                let other = classifier.map(|it| own.with_classifier(&it)).transpose()?;
                Ok(convert::peer_name(other.as_ref().unwrap_or(own)))
            }
            Action::Sign => {
                let identity = self.must_find(&given(who, "who")?).await?.identity().await?;
                Ok(js_sys::Uint8Array::from(identity.sign_message(bytes).as_slice()).into())
            }
            Action::Restore => self.restore(bytes, &given(password, "password")?).await,
        }
    }

    /// Restores a backup: the identity, if it is not here, and what its store lacks. Tells whose it was, and how much was in it.
    async fn restore(&self, file: &[u8], password: &str) -> Result<JsValue, Failure> {
        let backup = Backup::open(file, password)?;
        let entry = self.find_or_add(backup.identity()).await?;
        backup::put_back(&backup, &entry.database).await?;
        let restored: Object = entry.about().unchecked_into();
        browser::set(&restored, "groups", &JsValue::from(backup.groups().len()));
        browser::set(&restored, "records", &JsValue::from(backup.records()));
        Ok(restored.into())
    }

    async fn about(&self, peer: PeerId) -> Result<JsValue, Failure> {
        Ok(self.must_find(&peer.to_string()).await?.about())
    }

    /// Keeps one more identity. The first one becomes the default.
    async fn add(&self, identity: &Identity) -> Result<(), Failure> {
        let entries = self.entries().await?;
        let peer = identity.peer_id();
        if entries.iter().any(|entry| entry.peer() == peer) {
            return Err(Failure::identity_exists(peer));
        }
        self.put(identity, &format!("{}:{peer}", self.name), entries.is_empty()).await
    }

    async fn put(&self, identity: &Identity, database: &str, first: bool) -> Result<(), Failure> {
        let stored = identity::seal(identity).await;
        let stored = stored.map_err(|_| Failure::internal("WebCrypto failed"))?;
        fill_in(&stored, identity, database);
        let peer = identity.peer_id().to_string();
        let mut changes = vec![(format!("{PLACE}{peer}"), Some(stored))];
        if first {
            changes.push((DEFAULT.to_owned(), Some(peer.into())));
        }
        self.change(&changes).await
    }

    async fn delete(&self, entry: &Entry) -> Result<JsValue, Failure> {
        let peer = entry.peer();
        // A peer that has it open, in this tab or another, keeps it.
        let lock = Lock::take(&entry.database, false, || {}).await?;
        let records = Store::open(&entry.database).await.map_err(|it| Failure::no_store(&it))?;
        let groups = records.groups().await;
        records.close().await;
        let groups = groups.map_err(|it| Failure::no_store(&it))?;
        if !groups.is_empty() {
            let name = |it: &peergraph_core::stored::StoredGroup| {
                it.name.clone().unwrap_or_else(|| it.id.to_string())
            };
            return Err(Failure::identity_in_use(&groups.iter().map(name).collect::<Vec<_>>()));
        }
        let mut changes = vec![(format!("{PLACE}{peer}"), None)];
        if entry.default {
            if self.entries().await?.len() > 1 {
                return Err(Failure::default_identity());
            }
            changes.push((DEFAULT.to_owned(), None));
        }
        self.change(&changes).await?;
        if entry.database != self.name {
            // The key is gone; what is left of an empty database harms nobody.
            let _ = Store::delete(&entry.database).await;
        }
        drop(lock);
        Ok(JsValue::UNDEFINED)
    }

    async fn change(&self, changes: &[(String, Option<JsValue>)]) -> Result<(), Failure> {
        self.store.change_own(changes).await.map_err(|fault| Error::Store(fault).into())
    }
}

/// A part that an action needs, if the application gave it.
fn given(part: Option<String>, name: &str) -> Result<String, Failure> {
    part.ok_or_else(|| Failure::bad_argument(format!("{name} is missing")))
}

/// Adds what can be read without opening the key.
fn fill_in(stored: &JsValue, identity: &Identity, database: &str) {
    let stored: &Object = stored.unchecked_ref();
    browser::set(stored, "document", &identity.public_document().into());
    browser::set(stored, "database", &database.into());
}
