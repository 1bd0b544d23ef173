//! The browser host of Peergraph: the same core as everywhere, on WebRTC, IndexedDB and Web Locks.
//!
//! Two layers face the application: the class here, which is thin and typed by [`convert`], and `js/index.js`, which
//! makes of it what `js/index.d.ts` describes. Order of reading: `host.rs` (the loop), `rtc.rs`, `ws.rs`,
//! `store.rs`, `lock.rs`.
mod browser;
mod convert;
mod host;
mod identity;
pub mod lock;
mod qr;
pub mod rtc;
pub mod sdp;
pub mod store;
pub mod ws;

use convert::{Failure, from_js, parse, to_js};
use futures::channel::oneshot;
use host::Host;
use js_sys::Function;
use lock::{Lock, LockError};
use peergraph_core::address::Address;
use peergraph_core::id::GroupId;
use peergraph_core::identity::Identity;
use peergraph_core::invitation::Invitation;
use peergraph_core::io::{Command, Input, Reply};
use std::rc::Rc;
use store::Store;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;

/// Where a part of the host reports what happened.
pub type Report = Rc<dyn Fn(Input)>;

/// One open identity. `js/index.js` has exactly one of them for each `Peer`.
#[wasm_bindgen]
pub struct PeerHandle {
    host: Rc<Host>,
    id: String,
    name: String,
    document: String,
    /// For exports. The node has a copy of its own.
    identity: Identity,
}

#[wasm_bindgen]
impl PeerHandle {
    /// Opens store and identity and starts the node. `listener` gets all news, one object each.
    pub async fn open(options: JsValue, listener: Function) -> Result<PeerHandle, JsValue> {
        Ok(open(from_js(options)?, listener).await?)
    }

    /// The peer id.
    #[wasm_bindgen(getter)]
    pub fn id(&self) -> String {
        self.id.clone()
    }

    /// The friendly name.
    #[wasm_bindgen(getter)]
    pub fn name(&self) -> String {
        self.name.clone()
    }

    /// The public certificate in PEM.
    #[wasm_bindgen(getter)]
    pub fn document(&self) -> String {
        self.document.clone()
    }

    /// The identity, encrypted.
    pub fn export(&self, password: &str) -> Result<String, JsValue> {
        let mut random = [0; 40];
        getrandom::fill(&mut random).map_err(|_| Failure::internal("no randomness"))?;
        Ok(self.identity.export(password, random))
    }

    /// Makes a group.
    #[wasm_bindgen(js_name = createGroup)]
    pub async fn create_group(&self, name: String) -> Result<JsValue, JsValue> {
        self.ask(Command::CreateGroup { name }).await
    }

    /// Joins by the text or link of an invitation.
    pub async fn join(&self, text: String) -> Result<JsValue, JsValue> {
        let invitation = Invitation::from_text(&text).map_err(Failure::from)?;
        self.ask(Command::Join { invitation }).await
    }

    /// What an invitation says, unverified.
    pub fn preview(&self, text: &str) -> Result<JsValue, JsValue> {
        Ok(convert::summary(&Invitation::from_text(text).map_err(Failure::from)?))
    }

    /// All groups.
    pub async fn groups(&self) -> Result<JsValue, JsValue> {
        self.ask(Command::Groups).await
    }

    /// All links.
    pub async fn links(&self) -> Result<JsValue, JsValue> {
        self.ask(Command::Links).await
    }

    /// The members of a group.
    pub async fn members(&self, group: String) -> Result<JsValue, JsValue> {
        self.ask(Command::Members { group: parse(&group)? }).await
    }

    /// Publishes, replaces or deletes a record.
    pub async fn publish(
        &self,
        group: String,
        draft: JsValue,
        payload: Vec<u8>,
    ) -> Result<JsValue, JsValue> {
        let group: GroupId = parse(&group)?;
        let draft = from_js::<convert::DraftJs>(draft)?.into_draft(payload)?;
        self.ask(Command::Publish { group, draft }).await
    }

    /// Reads records.
    pub async fn records(&self, group: String, filter: JsValue) -> Result<JsValue, JsValue> {
        let group: GroupId = parse(&group)?;
        let filter = from_js::<convert::FilterJs>(filter)?.into_filter()?;
        self.ask(Command::Records { group, filter }).await
    }

    /// Makes an invitation.
    pub async fn invite(&self, group: String, invite: JsValue) -> Result<JsValue, JsValue> {
        let group: GroupId = parse(&group)?;
        let invite = from_js::<convert::InviteJs>(invite)?.into_invite()?;
        self.ask(Command::Invite { group, invite }).await
    }

    /// Forgets a group.
    pub async fn leave(&self, group: String) -> Result<JsValue, JsValue> {
        self.ask(Command::Leave { group: parse(&group)? }).await
    }

    /// Uses the addresses of one node. Those of unknown kinds are skipped.
    pub async fn connect(&self, addresses: Vec<String>) -> Result<JsValue, JsValue> {
        let known: Vec<Address> = addresses.iter().filter_map(|it| it.parse().ok()).collect();
        if known.is_empty() {
            let text = "none of these addresses can be used here; update this package";
            return Err(Failure::bad_argument(text).into());
        }
        self.ask(Command::Connect { addresses: known }).await
    }

    /// Leaves every graph and closes the store.
    pub async fn close(&self) {
        self.host.close(None).await;
    }

    /// The page goes away: says so to the neighbours, without waiting.
    pub fn goodbye(&self) {
        self.host.goodbye();
    }
}

impl PeerHandle {
    async fn ask(&self, command: Command) -> Result<JsValue, JsValue> {
        Ok(match self.host.ask(command).await? {
            Reply::Ok => JsValue::UNDEFINED,
            Reply::Group(info) => to_js(&convert::GroupJs::from(info)),
            Reply::Groups(groups) => list::<convert::GroupJs, _>(groups),
            Reply::Invitation(invitation) => convert::invitation(&invitation),
            Reply::Record(record) => to_js(&convert::RecordJs::from(*record)),
            Reply::Records { records, next } => to_js(&convert::PageJs::new(records, next)),
            Reply::Members(members) => list::<convert::MemberJs, _>(members),
            Reply::Links(links) => list::<convert::LinkJs, _>(links),
            _ => return Err(Failure::internal("unknown reply").into()),
        })
    }
}

fn list<T: From<U> + serde::Serialize, U>(items: Vec<U>) -> JsValue {
    to_js(&items.into_iter().map(T::from).collect::<Vec<T>>())
}

/// A fault of ours ends the module; at least the console of the page says where.
#[wasm_bindgen(start)]
pub fn begin() {
    std::panic::set_hook(Box::new(|panic| {
        browser::log_error("peergraph: a fault of this package:", &panic.to_string().into());
    }));
}

/// A link as an SVG image of a QR code.
#[wasm_bindgen]
pub fn qr(text: &str) -> Result<String, JsValue> {
    qr::svg(text).ok_or_else(|| Failure::too_long().into())
}

async fn open(options: convert::Options, listener: Function) -> Result<PeerHandle, Failure> {
    // The lock comes first: whoever does not get it must not touch the store.
    let (lose, lost) = oneshot::channel();
    // Where the receiver is gone, so is the peer.
    let on_lost = move || {
        let _ = lose.send(());
    };
    let lock = Lock::take(&options.storage, options.take_over, on_lost).await;
    let lock = lock.map_err(|error| match error {
        LockError::Held => Failure::locked(),
        LockError::Unavailable(_) => Failure::internal("this browser refuses Web Locks"),
    })?;
    let store = Store::open(&options.storage).await.map_err(|it| Failure::no_store(&it))?;
    let identity = match stored_identity(&options, &store).await {
        Ok(identity) => identity,
        Err(failure) => {
            store.close().await;
            return Err(failure);
        }
    };
    let kept = Identity::from_bytes(&identity.to_bytes())?;
    let id = identity.peer_id().to_string();
    let (name, document) = (identity.name().to_owned(), identity.public_document());
    let host = Host::start(identity, store, lock, listener).await?;
    let weak = Rc::downgrade(&host);
    spawn_local(async move {
        if lost.await.is_ok()
            && let Some(host) = weak.upgrade()
        {
            host.close(Some(Failure::taken_over())).await;
        }
    });
    Ok(PeerHandle { host, id, name, document, identity: kept })
}

/// The identity of the store; at the first time, the one given, or a new one.
async fn stored_identity(options: &convert::Options, store: &Store) -> Result<Identity, Failure> {
    if let Some(identity) = identity::load(store).await? {
        return Ok(identity);
    }
    let identity = match &options.identity {
        Some((text, password)) => Identity::import(text, password)?,
        None => identity::generate(&options.name)?,
    };
    identity::save(store, &identity).await?;
    Ok(identity)
}
