//! The browser host of Peergraph: the same core as everywhere, on WebRTC, IndexedDB and Web Locks.
//!
//! Two layers face the application: the class here, which is thin and typed by `convert.rs`, and `js/index.js`, which
//! makes of it what `js/index.d.ts` describes. Order of reading: `host.rs` (the loop), `rtc.rs`, `ws.rs`,
//! `store.rs`, `lock.rs`.
mod backup;
mod browser;
mod convert;
mod failure;
mod host;
pub mod ice;
mod identity;
pub mod lock;
mod lookup;
mod news;
mod qr;
pub mod rehearsal;
pub mod rtc;
pub mod sdp;
mod slices;
pub mod store;
mod tried;
mod turns;
mod wallet;
pub mod ws;

use browser::to_js;
use convert::{from_js, parse};
use failure::Failure;
use futures::channel::oneshot;
use host::Host;
use js_sys::{Function, Promise};
use lock::Lock;
use lookup::Early;
use peergraph_core::identity::{Identity, read_public_document};
use peergraph_core::invitation::Invitation;
use peergraph_core::io::{Command, GroupCommand, Input, QueryId, Reply, Search};
use peergraph_core::name::PeerName;
use peergraph_core::node_url::NodeUrl;
use peergraph_core::password::Password;
use peergraph_core::record::RecordType;
use std::rc::Rc;
use store::Store;
use wallet::Wallet;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{future_to_promise, spawn_local};
use zeroize::Zeroizing;

#[cfg(all(test, target_arch = "wasm32"))]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);

/// Where a part of the host reports what happened.
pub type Report = Rc<dyn Fn(Input)>;

/// An identity of this browser, open or not: what it can do without its node.
#[wasm_bindgen]
pub struct Me {
    identity: Identity,
    database: String,
}

#[wasm_bindgen]
impl Me {
    /// Finds the identity that these options of an opening mean, or makes it.
    pub async fn find(options: JsValue) -> Result<Me, JsValue> {
        let options: convert::Options = from_js(options)?;
        let wallet = Wallet::open(&options.storage).await?;
        let found = find(&wallet, &options).await;
        wallet.close().await;
        let (identity, database) = found?;
        Ok(Self { identity, database })
    }

    /// The peer id.
    #[wasm_bindgen(getter)]
    pub fn id(&self) -> String {
        self.identity.peer_id().to_string()
    }

    /// The friendly name.
    #[wasm_bindgen(getter)]
    pub fn name(&self) -> String {
        self.identity.name().to_owned()
    }

    /// The name of the database that has its records.
    #[wasm_bindgen(getter)]
    pub fn database(&self) -> String {
        self.database.clone()
    }

    /// The public certificate in PEM.
    #[wasm_bindgen(getter)]
    pub fn document(&self) -> String {
        self.identity.public_document()
    }

    /// The peer name that it goes by, in both forms.
    #[wasm_bindgen(getter, js_name = peerName)]
    pub fn peer_name(&self) -> JsValue {
        convert::peer_name(self.identity.peer_name())
    }

    /// The identity, encrypted.
    pub fn export(&self, password: &str) -> Result<String, JsValue> {
        Ok(identity::export(&self.identity, password)?)
    }

    /// Signs for the application.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.identity.sign_message(message).to_vec()
    }
}

/// The node of one identity. Of all tabs that have an identity open, one has its node: see `js/tabs.js`.
#[wasm_bindgen]
pub struct PeerHandle {
    host: Rc<Host>,
    /// For backups. The node has a copy of its own.
    identity: Identity,
}

#[wasm_bindgen]
impl PeerHandle {
    /// Opens store and identity and starts the node. `listener` gets all news, one object each.
    pub async fn open(options: JsValue, listener: Function) -> Result<PeerHandle, JsValue> {
        Ok(open(from_js(options)?, listener).await?)
    }

    /// A backup of the identity and its groups, with their records if these are wanted: a file as `Uint8Array`.
    pub fn backup(&self, password: String, records: bool) -> Promise {
        let (host, identity) = (self.host.clone(), self.identity.clone());
        let password = Zeroizing::new(password);
        future_to_promise(async move {
            let file = backup::make(host.store(), identity, &password, records).await?;
            Ok(js_sys::Uint8Array::from(&file[..]).into())
        })
    }

    /// Makes a group.
    #[wasm_bindgen(js_name = createGroup)]
    pub fn create_group(&self, name: String, policy: JsValue) -> Promise {
        let policy = from_js(policy).and_then(convert::PolicyJs::into_policy);
        self.ask(policy.map(|policy| Command::CreateGroup { name, policy }))
    }

    /// Changes what may be changed of a group.
    #[wasm_bindgen(js_name = setProperties)]
    pub fn set_properties(&self, group: &str, properties: JsValue) -> Promise {
        self.ask(parse(group).and_then(|group| {
            let properties = from_js::<convert::PropertiesJs>(properties)?.into();
            Ok(Command::Group(group, GroupCommand::SetProperties { properties }))
        }))
    }

    /// Joins by the text or link of an invitation.
    pub fn join(&self, text: &str, password: Option<String>) -> Promise {
        let invitation = Invitation::from_text(text).map_err(Failure::from);
        self.ask(invitation.and_then(|invitation| {
            let password = password.map(Password::new).transpose();
            let password = password.map_err(Failure::bad_argument)?;
            Ok(Command::Join { invitation, password })
        }))
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
        self.ask(parse(group).map(|group| Command::Group(group, GroupCommand::Members)))
    }

    /// The nodes of a group that say that they are here.
    pub fn nodes(&self, group: &str) -> Promise {
        self.ask(parse(group).map(|group| Command::Group(group, GroupCommand::Nodes)))
    }

    /// Sets what this node says of itself.
    pub fn present(&self, group: &str, present: JsValue) -> Promise {
        self.ask(parse(group).and_then(|group| {
            let (attributes, forced) = from_js::<convert::PresentJs>(present)?.into_parts()?;
            Ok(Command::Group(group, GroupCommand::Present { attributes, forced }))
        }))
    }

    /// Publishes, replaces or deletes a record.
    pub fn publish(&self, group: &str, draft: JsValue, payload: Vec<u8>) -> Promise {
        let (host, group) = (self.host.clone(), parse(group));
        future_to_promise(async move {
            // A page may publish thousands in one go, which is its own time.
            let draft = from_js::<convert::DraftJs>(draft)?.into_draft(payload)?;
            Ok(reply(host.publish(group?, draft).await?)?)
        })
    }

    /// Sends a message to all who are here.
    pub fn broadcast(
        &self,
        group: &str,
        kind: &str,
        payload: Vec<u8>,
        media_type: Option<String>,
    ) -> Promise {
        self.ask(parse(group).and_then(|group| {
            let kind = RecordType::new(kind).map_err(Failure::bad_argument)?;
            let payload = payload.into();
            Ok(Command::Group(group, GroupCommand::Broadcast { kind, payload, media_type }))
        }))
    }

    /// Does something about direct links; see `convert/direct.rs`.
    #[expect(clippy::too_many_arguments, reason = "one call for all operations")]
    pub fn direct(
        &self,
        op: &str,
        at: String,
        channel: u32,
        text: String,
        to: String,
        bytes: Option<Vec<u8>>,
        media_type: Option<String>,
        number: f64,
    ) -> Promise {
        let asked = convert::Asked { at, channel, text, to, bytes, media_type, number };
        self.ask(asked.command(op).map(Command::Direct))
    }

    /// Deletes a record on this node only.
    #[wasm_bindgen(js_name = deleteHere)]
    pub fn delete_here(&self, group: &str, id: &str) -> Promise {
        self.ask(parse(group).and_then(|group| {
            Ok(Command::Group(group, GroupCommand::DeleteHere { id: parse(id)? }))
        }))
    }

    /// Reads records.
    pub fn records(&self, group: &str, filter: JsValue) -> Promise {
        self.ask(parse(group).and_then(|group| {
            let filter = from_js::<convert::FilterJs>(filter)?.into_filter()?;
            Ok(Command::Group(group, GroupCommand::Records { filter }))
        }))
    }

    /// Finds records.
    pub fn search(&self, group: &str, search: JsValue) -> Promise {
        self.ask(parse(group).and_then(|group| {
            let search = from_js::<convert::SearchJs>(search)?.into_search()?;
            Ok(Command::Group(group, GroupCommand::Search { search }))
        }))
    }

    /// Follows what a query finds, under a number that no other query of the group has.
    pub fn query(&self, group: &str, id: f64, search: JsValue) -> Promise {
        self.ask(parse(group).and_then(|group| {
            let Search { query, order, limit, .. } =
                from_js::<convert::SearchJs>(search)?.into_search()?;
            let id = QueryId(id as u64);
            Ok(Command::Group(group, GroupCommand::Query { id, query, order, limit }))
        }))
    }

    /// Waits until what a query finds has changed.
    pub fn changes(&self, group: &str, query: f64) -> Promise {
        let query = QueryId(query as u64);
        self.ask(parse(group).map(|group| Command::Group(group, GroupCommand::Changes { query })))
    }

    /// Follows a query no longer.
    #[wasm_bindgen(js_name = endQuery)]
    pub fn end_query(&self, group: &str, query: f64) -> Promise {
        let query = QueryId(query as u64);
        self.ask(parse(group).map(|group| Command::Group(group, GroupCommand::EndQuery { query })))
    }

    /// Makes an invitation, whose link opens a page.
    pub fn invite(&self, group: &str, invite: JsValue, page: String) -> Promise {
        let command = parse(group).and_then(|group| {
            let invite = from_js::<convert::InviteJs>(invite)?.into_invite()?;
            Ok(Command::Group(group, GroupCommand::Invite { invite }))
        });
        let host = self.host.clone();
        future_to_promise(async move {
            let Reply::Invitation(invitation) = host.ask(command?).await? else {
                return Err(Failure::internal("unknown reply").into());
            };
            Ok(convert::invitation(&invitation, &page))
        })
    }

    /// Asks a member what an invitation is about.
    pub fn preview(&self, text: &str) -> Promise {
        let invitation = Invitation::from_text(text).map_err(Failure::from);
        self.ask(invitation.map(|invitation| Command::Preview { invitation }))
    }

    /// The invitations that are open.
    pub fn invitations(&self, group: &str) -> Promise {
        self.ask(parse(group).map(|group| Command::Group(group, GroupCommand::Invitations)))
    }

    /// Closes an invitation.
    pub fn withdraw(&self, group: &str, invitation: &str) -> Promise {
        self.ask(parse(group).and_then(|group| {
            let invitation = parse(invitation)?;
            Ok(Command::Group(group, GroupCommand::Withdraw { invitation }))
        }))
    }

    /// Issues another membership to a member.
    pub fn promote(&self, group: &str, peer: &str, grant: JsValue) -> Promise {
        self.ask(parse(group).and_then(|group| {
            let grant = from_js::<convert::GrantJs>(grant)?.into_grant()?;
            Ok(Command::Group(group, GroupCommand::Issue { peer: parse(peer)?, grant }))
        }))
    }

    /// Takes a membership away.
    pub fn revoke(&self, group: &str, revoke: JsValue) -> Promise {
        self.ask(parse(group).and_then(|group| {
            let (target, reason, keep) = from_js::<convert::RevokeJs>(revoke)?.into_parts()?;
            Ok(Command::Group(group, GroupCommand::Revoke { target, reason, keep }))
        }))
    }

    /// Deletes our revocations of a peer.
    pub fn reinstate(&self, group: &str, peer: &str) -> Promise {
        self.ask(parse(group).and_then(|group| {
            Ok(Command::Group(group, GroupCommand::Reinstate { peer: parse(peer)? }))
        }))
    }

    /// Puts another key in the place of a group's own.
    #[wasm_bindgen(js_name = rotateKey)]
    pub fn rotate_key(&self, group: &str) -> Promise {
        self.ask(parse(group).map(|group| Command::Group(group, GroupCommand::RotateKey)))
    }

    /// Offers us as the next owner of a group.
    #[wasm_bindgen(js_name = offerOwnership)]
    pub fn offer_ownership(&self, group: &str) -> Promise {
        self.ask(parse(group).map(|group| Command::Group(group, GroupCommand::OfferOwnership)))
    }

    /// Hands a group over to a member that has offered itself.
    #[wasm_bindgen(js_name = handOver)]
    pub fn hand_over(&self, group: &str, peer: &str) -> Promise {
        self.ask(parse(group).and_then(|group| {
            Ok(Command::Group(group, GroupCommand::HandOver { peer: parse(peer)? }))
        }))
    }

    /// Leaves a group, and forgets it here.
    pub fn leave(&self, group: &str) -> Promise {
        self.ask(parse(group).map(|group| Command::Leave { group }))
    }

    /// The steps that a group took to find members since it had a neighbour last.
    pub fn explain(&self, group: &str) -> Promise {
        self.ask(parse(group).map(|group| Command::Group(group, GroupCommand::Explain)))
    }

    /// The same of a join or preview that is under way.
    #[wasm_bindgen(js_name = explainInvitation)]
    pub fn explain_invitation(&self, text: &str) -> Promise {
        let invitation = Invitation::from_text(text).map_err(Failure::from);
        self.ask(
            invitation.map(|invitation| Command::Group(invitation.group, GroupCommand::Explain)),
        )
    }

    /// Uses a node, or hurries with one that is used already.
    pub fn connect(&self, node: &str) -> Promise {
        self.ask(parse(node).map(|node| Command::Connect { node }))
    }

    /// Whether anybody listens for records. While nobody does, they are not told whole.
    #[wasm_bindgen(js_name = hearRecords)]
    pub fn hear_records(&self, hears: bool) {
        self.host.hear_records(hears);
    }

    /// Leaves every graph and closes the store.
    pub async fn close(&self) {
        self.host.close(None).await;
    }

    /// The network, or the page's sleep, may have cut links. `gone`: the path that there was is gone for certain.
    #[wasm_bindgen(js_name = pathsChanged)]
    pub fn paths_changed(&self, gone: bool) {
        self.host.feed(Input::PathsChanged { gone });
    }

    /// The page goes away: says so to the neighbours, without waiting.
    pub fn goodbye(&self) {
        self.host.goodbye();
    }
}

impl PeerHandle {
    /// The node's answer to a command. One future for all commands: each kind of its own would cost kilobytes.
    fn ask(&self, command: Result<Command, Failure>) -> Promise {
        let host = self.host.clone();
        future_to_promise(async move { Ok(reply(host.ask(command?).await?)?) })
    }
}

fn reply(reply: Reply) -> Result<JsValue, Failure> {
    Ok(match reply {
        Reply::Direct(_)
        | Reply::Message(_)
        | Reply::Call(_)
        | Reply::Response(_)
        | Reply::Channel(_)
        | Reply::Stream { .. }
        | Reply::Bytes(_) => {
            return convert::direct_reply(reply).ok_or_else(|| Failure::internal("unknown reply"));
        }
        Reply::Ok => JsValue::UNDEFINED,
        Reply::Group(info) => to_js(&convert::GroupJs::from(info)),
        Reply::Groups(groups) => list::<convert::GroupJs, _>(groups),
        Reply::Preview(preview) => convert::preview(*preview),
        Reply::Record(record) => to_js(&convert::RecordJs::from(*record)),
        Reply::Records { records, next } => to_js(&convert::PageJs::new(records, next)),
        Reply::Found(found) => to_js(&convert::FoundJs::from(found)),
        Reply::Changes(changes) => to_js(&convert::ChangesJs::from(changes)),
        Reply::Members(members) => list::<convert::MemberJs, _>(members),
        Reply::Links(links) => list::<convert::LinkJs, _>(links),
        Reply::Invitations(open) => list::<convert::OpenInvitationJs, _>(open),
        Reply::Nodes(nodes) => list::<convert::NodeJs, _>(nodes),
        Reply::Tried(tried) => to_js(&tried::TriedJs::from(&*tried)),
        Reply::Invitation(_) | _ => return Err(Failure::internal("unknown reply")),
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

/// The content of an invitation, unverified.
#[wasm_bindgen(js_name = readInvitation)]
pub fn read_invitation(text: &str) -> Result<JsValue, JsValue> {
    Ok(convert::summary(&Invitation::from_text(text).map_err(Failure::from)?))
}

/// Does something with the identities of an origin: see `wallet::Asked`. `bytes` are what is to be signed, or a backup.
#[wasm_bindgen]
pub async fn identities(
    storage: String,
    asked: JsValue,
    bytes: Vec<u8>,
) -> Result<JsValue, JsValue> {
    let asked = from_js(asked)?;
    let wallet = Wallet::open(&storage).await?;
    let result = wallet.act(asked, &bytes).await;
    wallet.close().await;
    Ok(result?)
}

/// The signer of this signature for an application: the identity of the public document; nothing if it is not.
#[wasm_bindgen]
pub fn verify(document: &str, message: &[u8], signature: &[u8]) -> Result<JsValue, JsValue> {
    let certificate = read_public_document(document).map_err(Failure::from)?;
    let signature: Option<&[u8; 64]> = signature.try_into().ok();
    let valid = signature.is_some_and(|it| certificate.subject_key().signed(message, it));
    Ok(if valid { convert::identity(&certificate, false) } else { JsValue::NULL })
}

/// A peer name, given in either form, in both.
#[wasm_bindgen(js_name = peerName)]
pub fn peer_name(text: &str) -> Result<JsValue, JsValue> {
    let name = PeerName::from_host(text).or_else(|_| text.parse()).map_err(Failure::from)?;
    Ok(convert::peer_name(&name))
}

/// The URL of a node as events name it.
#[wasm_bindgen(js_name = nodeUrl)]
pub fn node_url(text: &str) -> Result<String, JsValue> {
    Ok(parse::<NodeUrl>(text)?.to_string())
}

/// A promise of time, if whoever has more to do should wait for it; see `slices.rs`.
#[wasm_bindgen]
pub fn pause() -> Option<Promise> {
    slices::is_over().then(|| {
        future_to_promise(async {
            slices::next().await;
            Ok(JsValue::UNDEFINED)
        })
    })
}

/// A link as an SVG image of a QR code.
#[wasm_bindgen]
pub fn qr(text: &str) -> Result<String, JsValue> {
    qr::svg(text).ok_or_else(|| Failure::too_long().into())
}

async fn open(options: convert::Options, listener: Function) -> Result<PeerHandle, Failure> {
    let config = options.config()?;
    let nodes = options.nodes()?;
    let ice = options.ice_servers()?;
    let early = Early::begin(&nodes);
    rehearsal::begin();
    // Held until the identity is locked, so that nobody deletes it meanwhile.
    let wallet = Wallet::open(&options.storage).await?;
    let chosen = choose(&wallet, &options).await;
    wallet.close().await;
    let (identity, database, lock, lost) = chosen?;
    let store = Store::open(&database).await.map_err(|it| Failure::no_store(&it))?;
    let (kept, gone) = (identity.clone(), store.gone());
    let host = Host::start(config, identity, store, lock, (nodes, early, ice), listener).await?;
    close_when(&host, lost, Failure::taken_over());
    close_when(&host, gone, Failure::storage_gone());
    Ok(PeerHandle { host, identity: kept })
}

/// Closes the host for this reason when it comes to it.
fn close_when(host: &Rc<Host>, event: oneshot::Receiver<()>, why: Failure) {
    let host = Rc::downgrade(host);
    spawn_local(async move {
        if event.await.is_ok()
            && let Some(host) = host.upgrade()
        {
            host.close(Some(why)).await;
        }
    });
}

/// Finds or makes the identity, and locks its records: whoever does not get the lock must not touch them.
async fn choose(
    wallet: &Wallet,
    options: &convert::Options,
) -> Result<(Identity, String, Lock, oneshot::Receiver<()>), Failure> {
    let (identity, database) = find(wallet, options).await?;
    let (lose, lost) = oneshot::channel();
    // Where the receiver is gone, so is the peer.
    let on_lost = move || {
        let _ = lose.send(());
    };
    let lock = Lock::take(&database, options.take_over, on_lost).await?;
    Ok((identity, database, lock, lost))
}

/// Finds or makes the identity, and the name of its database.
async fn find(wallet: &Wallet, options: &convert::Options) -> Result<(Identity, String), Failure> {
    let entry = wallet.choose(options).await?;
    Ok((entry.identity().await?, entry.database))
}
