//! Secure, serverless groups for native programs.
//!
//! A [`Host`] runs one node of one identity: it keeps records in a data folder, and direct, encrypted links to
//! other members, browsers among them. A [`Group`] is a set of members who hold the same signed records.
//!
//! ```no_run
//! use futures::StreamExt as _;
//! use peergraph::{Host, InviteOptions, Role};
//!
//! # async fn run() -> anyhow::Result<()> {
//! let host =
//!     Host::builder().name("Ada").data("./ada").node("https://node.example".parse()?).start().await?;
//! let group = host.create_group("Trip to Lisbon").await?;
//! let invitation = group.invite(InviteOptions::bearer(Role::Member).uses(5)).await?;
//! println!("{}", invitation.to_link("https://node.example/"));
//! group.publish("chat.message", "Hello").attribute("room", "general").await?;
//! let mut messages = group.watch("chat.message");
//! while let Some(record) = messages.next().await {
//!     println!("{}: {}", record.creator, String::from_utf8_lossy(&record.payload));
//! }
//! host.shutdown().await?;
//! # Ok(())
//! # }
//! ```
//!
//! The module [`guide`] has five short chapters.
//!
//! # Features
//!
//! | feature | what for |
//! |---|---|
//! | `cli` (default) | the program `peergraph`; brings `serve` |
//! | `serve` | the HTTP port: pages, the npm package, WebSocket links of others. Without it a host dials |
//!
//! A library needs neither: `peergraph = { version = "…", default-features = false }`.
//!
//! The core ([`peergraph_core`]) decides everything; this crate moves its bytes:
//!
//! ```text
//!   Host, Group, Watch ──► host/driver.rs ──► peergraph_core::Node
//!   (any thread)            (one thread)  ├─► rtc           data channels, one UDP port
//!                                         ├─► websocket     through http, or dialled
//!                                         ├─► storage       redb, on a thread of its own
//!                                         └─► control       other programs with this data folder
//! ```

mod addresses;
mod backup;
mod bind;
mod clock;
mod connect;
#[cfg(unix)]
mod control;
mod delivery;
mod folder;
mod group;
#[cfg(any(doc, doctest))]
pub mod guide;
mod host;
#[cfg(feature = "serve")]
mod http;
mod lookup;
mod membership;
mod network;
mod requests;
pub mod rtc;
mod secret;
mod storage;
mod stun_url;
mod warned;
mod watch;
mod websocket;

pub use backup::MakeBackupError;
#[doc(hidden)]
pub use clock::Ahead;
#[cfg(unix)]
pub use control::AttachError;
pub use delivery::Delivery;
pub use folder::{Folder, FolderError, IdentityEntry, Restored};
pub use group::{
    Broadcast, Broadcasts, Call, CallRequest, Calls, Direct, DirectMessages, DirectRequest,
    DirectRequests, DirectStream, Group, IncomingCall, IncomingDirects, IncomingStreams,
    IntoDirectTo, IntoQuery, IntoValue, LiveQuery, Payload, Publish, Publisher, Responses, Search,
    SendBroadcast, SendDirect, Serving,
};
pub use host::{Host, HostBuilder, JoinError, StartError, parse_invitation};
#[cfg(feature = "serve")]
pub use http::{Network, ParseNetworkError, TlsError};
pub use membership::{CreateGroup, InviteOptions, Revoke, SetProperties};
pub use requests::CommandError;
pub use storage::{OpenError, StoreCheck};
pub use stun_url::{BadStunUrl, StunUrl};
pub use watch::{Events, Watch};

pub use peergraph_core;
pub use peergraph_core::address::Address;
pub use peergraph_core::cert::{Certificate, Role};
pub use peergraph_core::error::Error;
pub use peergraph_core::id::{CertificateId, GroupId, NodeId, PeerId, RecordId};
pub use peergraph_core::identity::{Identity, read_public_document};
pub use peergraph_core::invitation::{Invitation, InvitationState};
pub use peergraph_core::io::{
    Changes, DirectAdmit, DirectError, DirectInfo, DirectMessage, DirectState, DirectTo, Event,
    Filter, Found, GroupInfo, InvitationInfo, LinkFault, LinkInfo, LookupFault, MemberInfo,
    NodeFault, NodeInfo, NodeState, OpenPreview, Outcome, Place, PlaceSource, Placed, Preview,
    Tried,
};
pub use peergraph_core::name::{NameError, PeerName};
pub use peergraph_core::node::{BadConfig, Neighbours, UnfitNeighbours};
pub use peergraph_core::node_url::{NodeUrl, ParseNodeUrlError};
pub use peergraph_core::password::{Password, PasswordError};
pub use peergraph_core::policy::{Grant, Policy, Right};
pub use peergraph_core::provider::{self, Provider, Verdict};
pub use peergraph_core::record::{Attribute, Record, RecordType, Value};
pub use peergraph_core::roll::{Reason, Standing, Target};
pub use peergraph_core::search::{self, Order, Query, QueryError, SearchCursor};
pub use peergraph_core::time::WallTime;

// The snippets of the README of the project are compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}
