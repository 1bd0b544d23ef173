//! The whole border between a [`Node`](crate::node::Node) and its host.
//!
//! Inputs are facts, outputs are imperatives. **The drain rule**: after each
//! [`handle`](crate::node::Node::handle), call [`poll`](crate::node::Node::poll) to [`Output::Idle`] before
//! the next `handle`.
//!
//! # What a host does
//!
//! | output | the host | then |
//! |---|---|---|
//! | [`Output::LookUp`] | fetches the description of a node | [`Input::LookedUp`] |
//! | [`Output::StunServers`] | asks them for our addresses | [`Input::Signal`] with candidates, if a transport is under way |
//! | [`Output::Open`] | starts a transport | [`Input::Signal`] as its description and candidates appear, [`Input::LinkUp`], or [`Input::LinkDown`] or [`Input::LinkFailed`] |
//! | [`Output::Signal`] | gives it to that transport | |
//! | [`Output::Send`] | puts one message into the transport | [`Input::Buffered`] |
//! | [`Output::Close`] | closes the transport; no `LinkDown` is owed | |
//! | [`Output::Store`] | runs the task, in the order given | [`Input::Stored`] |
//! | [`Output::Done`] | resolves the request | |
//! | [`Output::Event`] | tells the application | |
//! | [`Output::Idle`] | waits for the next fact, or until `wake` | [`Input::Timeout`] |
//!
//! Before each batch of inputs a host mixes fresh randomness in: [`Node::stir`](crate::node::Node::stir).
//!
//! A transport that a stranger opened gets its name from [`Node::new_link`](crate::node::Node::new_link),
//! then `LinkUp`.
//!
//! This module holds what a host has to know. The questions of an application and their answers are
//! in `io/command.rs`, the news for it in `io/event.rs`.
mod command;
mod direct;
pub mod error;
mod event;
mod group;
mod preview;
mod search;
mod tried;

pub use command::{Command, Reply};
pub use direct::{
    ChannelId, DirectAdmit, DirectCall, DirectChange, DirectCommand, DirectError, DirectId,
    DirectInfo, DirectMessage, DirectState, DirectTo,
};
pub use event::{
    Event, GroupInfo, InvitationInfo, LinkInfo, MemberInfo, NodeChange, NodeFault, NodeInfo,
    NodeState, SyncPhase,
};
pub use group::{Filter, GroupCommand, Invite, Keep, Properties};
pub use preview::{OpenPreview, Preview};
pub use search::{Changes, Found, Placed, QueryId, Search};
pub use tried::{Outcome, Place, PlaceSource, Tried};

pub use crate::address::Transport;
pub use crate::record::{Cursor, Draft};

use crate::address::Address;
use crate::fault::Misbehaved;
use crate::node_url::LookUp;
use crate::place::Places;
use crate::time::Time;
use bytes::Bytes;
use error::Error;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// Outputs of one input, in order. Shared by all modules of a node.
pub type Outbox = VecDeque<Output>;

/// One transport connection, named by the node. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LinkId(pub u64);
/// One application request, named by the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);
/// One storage operation, named by the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreId(pub u64);

/// Something happened outside.
#[derive(Clone, Debug)]
pub enum Input {
    /// Time passed. Early or repeated calls are harmless.
    Timeout,
    /// The channel of `link` is open in both directions.
    LinkUp {
        /// The link: ours from [`Output::Open`], or a stranger's from `new_link`.
        link: LinkId,
        /// The kind of transport, and the fingerprints that it proved.
        transport: Transport,
    },
    /// The transport of `link` is gone, or could not be opened.
    LinkDown {
        /// The link.
        link: LinkId,
    },
    /// The transport of `link` could not be opened: as [`Input::LinkDown`], from a host that knows why.
    LinkFailed {
        /// The link.
        link: LinkId,
        /// Why, for people.
        fault: LinkFault,
    },
    /// The transport of `link` hears nothing from its other end, which may be gone or come back. A hint, sooner than
    /// the node's own questions would tell.
    LinkQuiet {
        /// The link.
        link: LinkId,
    },
    /// The network of this machine has changed, as far as the host can tell: an interface, an address or a route has come or
    /// gone, it is online again, or the machine or the page has slept. All links are asked whether their other end is still
    /// there, and those that do not answer soon are replaced. A host that is not sure reports it: the price is a question a link.
    PathsChanged {
        /// Whether links may have gone over an address that is no longer ours: others are begun at once, not after a moment.
        gone: bool,
    },
    /// One whole message of the transport arrived on `link`.
    Frame {
        /// The link.
        link: LinkId,
        /// Untrusted.
        bytes: Bytes,
    },
    /// So many bytes wait in the transport of `link`. Reported after a batch of sends, and when the number
    /// falls to [`BUFFERED_LOW_BYTES`](crate::limits::BUFFERED_LOW_BYTES) or below.
    Buffered {
        /// The link.
        link: LinkId,
        /// Bytes not yet sent.
        bytes: usize,
    },
    /// The local transport of `link` produced an offer, an answer or a candidate.
    Signal {
        /// The link.
        link: LinkId,
        /// JSON as in [`Output::Signal`].
        signal: Bytes,
    },
    /// A storage operation finished.
    Stored {
        /// The operation.
        op: StoreId,
        /// Its outcome.
        result: Result<StoreReply, StoreFault>,
    },
    /// The application asks for something.
    Command {
        /// Echoed in [`Output::Done`].
        request: RequestId,
        /// The command.
        command: Command,
    },
    /// The addresses at which this node can be dialled without signalling, all of them. Browsers have none.
    Addresses(Vec<Address>),
    /// The description of a node was fetched, or could not be.
    LookedUp {
        /// As in [`Output::LookUp`].
        url: String,
        /// The strings of its list `addresses`, as they stand there; at most
        /// [`DESCRIBED_MAX`](crate::limits::DESCRIBED_MAX) are looked at. Untrusted.
        found: Result<Vec<String>, LookupFault>,
    },
}

/// Why no transport could be opened, as far as the host can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum LinkFault {
    /// The machine answers that no program listens there.
    Refused,
    /// There is no way to that machine: no network, no route, no such name.
    Unreachable,
    /// No answer within the time.
    Silent,
    /// Something answers and does not complete the set-up: another program, one with another certificate, or one that has
    /// no room.
    Rejected,
    /// Another reason, or one that the system does not tell.
    Unknown,
}

/// Why a description could not be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum LookupFault {
    /// No connection: name, network, TLS, or a redirect that may not be followed.
    #[error("it cannot be reached; check the URL and the network")]
    Unreachable,
    /// It is on this machine or in its local network, and is not the application's word.
    #[error(
        "it is on this machine or in the local network, where an invitation may not choose what is asked for; if you \
         trust it, name this node yourself"
    )]
    Forbidden,
    /// No whole answer within the time.
    #[error("it did not answer in time; check the network")]
    Timeout,
    /// An HTTP status other than 200.
    #[error("it answered with status {0}; check the path of the URL")]
    Status(u16),
    /// An answer that is not the description of a node.
    #[error("it is not a Peergraph node; check the URL")]
    NotANode,
}

/// How to start a transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dial {
    /// To an address, without signalling. Addresses of a name that `places` does not hold are not dialled.
    Address(Address, Places),
    /// Make an offer; the answer comes as [`Output::Signal`].
    Offer,
    /// Answer the offer that follows as [`Output::Signal`].
    Answer,
}

/// Something the host must do.
#[derive(Clone, Debug)]
#[must_use]
pub enum Output {
    /// Fetch the description of a node by HTTP `GET`: at most 64 KiB, 10 s and 2 redirects, each as
    /// [`LookUp::redirected`] allows. Addresses of a name that its `places` do not hold are not asked. The description is
    /// a JSON object with `"version": 1` and a list `addresses`. The host tries once and answers with
    /// [`Input::LookedUp`]; the node asks again if that is of use.
    LookUp(LookUp),
    /// From here on, ask these by STUN (RFC 8489) for our own addresses, best first; the host adds those of its application.
    /// Their answers become candidates of the transports that are offered and answered. At most four.
    StunServers(Vec<SocketAddr>),
    /// Start a transport for `link`.
    Open {
        /// The link.
        link: LinkId,
        /// How.
        dial: Dial,
    },
    /// Give the local transport of `link` a signal from the other end: one of
    /// `{"type":"offer","sdp":…}`, `{"type":"answer","sdp":…}`,
    /// `{"candidate":…,"sdpMid":…,"sdpMLineIndex":…}`. Untrusted.
    Signal {
        /// The link.
        link: LinkId,
        /// As it left the other end.
        signal: Bytes,
    },
    /// Send one message of at most [`FRAME_BYTES_MAX`](crate::limits::FRAME_BYTES_MAX) bytes on `link`.
    Send {
        /// The link.
        link: LinkId,
        /// The message.
        bytes: Bytes,
    },
    /// Close the transport of `link`, after what was sent on it.
    Close {
        /// The link.
        link: LinkId,
        /// Why; for logs and counts.
        reason: CloseReason,
    },
    /// Run one storage operation and answer with [`Input::Stored`].
    Store {
        /// The operation.
        op: StoreId,
        /// The task.
        task: StoreTask,
    },
    /// A request finished.
    Done {
        /// As given.
        request: RequestId,
        /// Its outcome.
        result: Result<Reply, Error>,
    },
    /// News for the application.
    Event(Event),
    /// Nothing left. Call `handle` again on the next input, or at `wake`.
    Idle {
        /// When and why.
        wake: Option<Wake>,
    },
}

/// The node's next deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wake {
    /// No later than this.
    pub at: Time,
    /// For logs only.
    pub why: &'static str,
}

/// Why the node closed a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer broke the protocol.
    Misbehaved(Misbehaved),
    /// There is a link to the same node already.
    Duplicate,
    /// The other end is this very node.
    Myself,
    /// Too many links.
    Full,
    /// Nothing was heard for too long, or the handshake took too long.
    Silent,
    /// The neighbour reads too slowly.
    Slow,
    /// No graph needs it.
    Unused,
    /// This node closes.
    Leaving,
    /// The membership of its other end was revoked or has ended, and nothing else needs it.
    Revoked,
    /// Its other end broke the protocol too often lately.
    Banned,
    /// The other end speaks only newer versions of the protocol: this program has to be updated.
    WeAreOlder,
    /// The other end speaks only older versions of the protocol: it has to be updated.
    TheyAreOlder,
}

/// A storage operation. Tasks are applied in the order in which they were given.
#[derive(Clone, Debug)]
pub enum StoreTask {
    /// Read the entries with `from <= key < to`, in key order, at most `limit` of them.
    Scan {
        /// Inclusive.
        from: Bytes,
        /// Exclusive.
        to: Bytes,
        /// At least 1.
        limit: usize,
    },
    /// Read these keys.
    Read {
        /// At most [`PAGE_MAX`](crate::limits::PAGE_MAX).
        keys: Vec<Bytes>,
    },
    /// Apply all writes or none; reply only once durable.
    Write {
        /// `None` deletes.
        batch: Vec<(Bytes, Option<Bytes>)>,
    },
}

/// The answer to a [`StoreTask`].
#[derive(Clone, Debug)]
pub enum StoreReply {
    /// To [`StoreTask::Scan`].
    Entries(Vec<(Bytes, Bytes)>),
    /// To [`StoreTask::Read`], in the order of its keys.
    Values(Vec<Option<Bytes>>),
    /// To [`StoreTask::Write`].
    Written,
}

/// Why storage failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum StoreFault {
    /// No room left; the batch was not applied.
    #[error("the storage is full; free some space and try again")]
    QuotaExceeded,
    /// The place cannot be written; the batch was not applied.
    #[error("the storage cannot be written; check its permissions")]
    ReadOnly,
    /// Anything else; the batch may or may not be applied.
    #[error("the storage failed; see the log of the host")]
    Broken,
    /// The stored membership of a group does not verify. Nothing of it was changed.
    #[error(
        "what the store says of a group is damaged; restore it from a backup, or move it away and join again"
    )]
    Damaged,
    /// It belongs to another identity, so its secrets stay closed. Nothing of it was changed.
    #[error("the store belongs to another identity; open it with the identity that made it")]
    OtherIdentity,
    /// It was written by another version of this program. Nothing of it was changed.
    #[error("the store was written by another version of this program; open it with that one")]
    OtherVersion,
}
