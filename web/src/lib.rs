//! The browser host of Peergraph: the same core as everywhere, on WebRTC, IndexedDB and Web Locks.
//!
//! Two layers face the application: the class here, which is thin and typed by `convert.rs`, and `js/index.js`, which
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
use js_sys::{Function, Promise};
use lock::{Lock, LockError};
use peergraph_core::address::Address;
use peergraph_core::identity::Identity;
use peergraph_core::invitation::Invitation;
use peergraph_core::io::{Command, Input, Reply};
use peergraph_core::policy::Policy;
use std::rc::Rc;
use store::Store;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{future_to_promise, spawn_local};

#[cfg(all(test, target_arch = "wasm32"))]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);

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
    pub fn create_group(&self, name: String) -> Promise {
        self.ask(Ok(Command::CreateGroup { name, policy: Policy::default() }))
    }

    /// Joins by the text or link of an invitation.
    pub fn join(&self, text: &str) -> Promise {
        let invitation = Invitation::from_text(text);
        self.ask(invitation.map(|invitation| Command::Join { invitation }).map_err(Failure::from))
    }

    /// What an invitation says, unverified.
    pub fn preview(&self, text: &str) -> Result<JsValue, JsValue> {
        Ok(convert::summary(&Invitation::from_text(text).map_err(Failure::from)?))
    }

    /// All groups.
    pub fn groups(&self) -> Promise {
        self.ask(Ok(Command::Groups))
    }

    /// All links.
    pub fn links(&self) -> Promise {
        self.ask(Ok(Command::Links))
    }

    /// The members of a group.
    pub fn members(&self, group: &str) -> Promise {
        self.ask(parse(group).map(|group| Command::Members { group }))
    }

    /// Publishes, replaces or deletes a record.
    pub fn publish(&self, group: &str, draft: JsValue, payload: Vec<u8>) -> Promise {
        self.ask(parse(group).and_then(|group| {
            let draft = from_js::<convert::DraftJs>(draft)?.into_draft(payload)?;
            Ok(Command::Publish { group, draft })
        }))
    }

    /// Reads records.
    pub fn records(&self, group: &str, filter: JsValue) -> Promise {
        self.ask(parse(group).and_then(|group| {
            let filter = from_js::<convert::FilterJs>(filter)?.into_filter()?;
            Ok(Command::Records { group, filter })
        }))
    }

    /// Makes an invitation.
    pub fn invite(&self, group: &str, invite: JsValue) -> Promise {
        self.ask(parse(group).and_then(|group| {
            let invite = from_js::<convert::InviteJs>(invite)?.into_invite()?;
            Ok(Command::Invite { group, invite })
        }))
    }

    /// Forgets a group.
    pub fn leave(&self, group: &str) -> Promise {
        self.ask(parse(group).map(|group| Command::Leave { group }))
    }

    /// Uses the addresses of one node. Those of unknown kinds are skipped.
    pub fn connect(&self, addresses: Vec<String>) -> Promise {
        let addresses: Vec<Address> = addresses.iter().filter_map(|it| it.parse().ok()).collect();
        let text = "none of these addresses can be used here; update this package";
        self.ask(match addresses.is_empty() {
            true => Err(Failure::bad_argument(text)),
            false => Ok(Command::Connect { addresses }),
        })
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
    /// What the node says to a command. One future for all commands: each kind of its own would cost kilobytes.
    fn ask(&self, command: Result<Command, Failure>) -> Promise {
        let host = self.host.clone();
        future_to_promise(async move { Ok(reply(host.ask(command?).await?)?) })
    }
}

fn reply(reply: Reply) -> Result<JsValue, Failure> {
    Ok(match reply {
        Reply::Ok => JsValue::UNDEFINED,
        Reply::Group(info) => to_js(&convert::GroupJs::from(info)),
        Reply::Groups(groups) => list::<convert::GroupJs, _>(groups),
        Reply::Invitation(invitation) => convert::invitation(&invitation),
        Reply::Record(record) => to_js(&convert::RecordJs::from(*record)),
        Reply::Records { records, next } => to_js(&convert::PageJs::new(records, next)),
        Reply::Members(members) => list::<convert::MemberJs, _>(members),
        Reply::Links(links) => list::<convert::LinkJs, _>(links),
        _ => return Err(Failure::internal("unknown reply")),
    })
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
