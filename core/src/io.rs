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
//! | [`Output::Open`] | starts a transport | [`Input::Signal`] as its description and candidates appear, [`Input::LinkUp`] or [`Input::LinkDown`] |
//! | [`Output::Signal`] | gives it to that transport | |
//! | [`Output::Send`] | puts one message into the transport | [`Input::Buffered`] |
//! | [`Output::Close`] | closes the transport; no `LinkDown` is owed | |
//! | [`Output::Store`] | runs the task, in the order given | [`Input::Stored`] |
//! | [`Output::Done`] | resolves the request | |
//! | [`Output::Event`] | tells the application | |
//! | [`Output::Idle`] | waits for the next fact, or until `wake` | [`Input::Timeout`] |
//!
//! A transport that a stranger opened gets its name from [`Node::new_link`](crate::node::Node::new_link),
//! then `LinkUp`.
use crate::address::Address;
use crate::cert::Certificate;
use crate::error::{Error, Misbehaved};
use crate::id::{Fingerprint, GroupId, NodeId, PeerId, RecordId, Serial};
use crate::invitation::Invitation;
use crate::password::Password;
use crate::policy::{Grant, Policy};
use crate::provider::Verdict;
use crate::record::{Attribute, Record, RecordType};
use crate::roll::{Reason, Standing, Target};
use crate::time::{Time, WallTime};
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Duration;

/// Outputs of one input, in order. Shared by all modules of a node.
pub type Outbox = VecDeque<Output>;

/// One transport connection, named by the node. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
        /// What carries it, and what the transport proved.
        transport: Transport,
    },
    /// The transport of `link` is gone, or could not be opened.
    LinkDown {
        /// The link.
        link: LinkId,
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
        /// What is asked.
        command: Command,
    },
    /// The addresses at which this node can be dialled without signalling, all of them. Browsers have none.
    Addresses(Vec<Address>),
}

/// What carries a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A WebRTC data channel straight to the other end. DTLS protects its frames once the handshake has
    /// bound both certificates.
    Rtc {
        /// SHA-256 of our DTLS certificate.
        ours: Fingerprint,
        /// SHA-256 of the certificate that the other end really showed.
        theirs: Fingerprint,
    },
    /// A WebSocket. Whoever carries it must not read it: frames stay sealed.
    WebSocket,
}

/// How to start a transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dial {
    /// To an address, without signalling.
    Address(Address),
    /// Make an offer; the answer comes as [`Output::Signal`].
    Offer,
    /// Answer the offer that follows as [`Output::Signal`].
    Answer,
}

/// Something the host must do.
#[derive(Clone, Debug)]
#[must_use]
pub enum Output {
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
        /// What to do.
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
}

/// What the application can ask for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Command {
    /// Make a group. → [`Reply::Group`]
    CreateGroup {
        /// Shown to people. 1–255 characters.
        name: String,
        /// What is decided once and for all.
        policy: Policy,
    },
    /// Change what may be changed of a group; only where its own key is. → [`Reply::Ok`], when durable
    SetProperties {
        /// The group.
        group: GroupId,
        /// All of them.
        properties: Properties,
    },
    /// Issue another membership to a member: with another role, or for longer. Earlier ones that grant something
    /// beyond it are revoked; what it published stays. → [`Reply::Ok`], when durable
    Issue {
        /// The group.
        group: GroupId,
        /// Who.
        peer: PeerId,
        /// What it may do.
        grant: Grant,
    },
    /// Take away a membership, or all of a peer. → [`Reply::Ok`], when durable
    Revoke {
        /// The group.
        group: GroupId,
        /// Which.
        target: Target,
        /// Why.
        reason: Reason,
        /// What becomes of what they published and of whom they let in.
        keep: Keep,
    },
    /// Delete our revocations of a peer. → [`Reply::Ok`], when durable
    Reinstate {
        /// The group.
        group: GroupId,
        /// Whom.
        peer: PeerId,
    },
    /// The invitations of a group that are open. → [`Reply::Invitations`]
    Invitations {
        /// The group.
        group: GroupId,
    },
    /// Close an invitation: nobody joins by it any more. Ours, or as administrator anybody's. → [`Reply::Ok`], when
    /// durable
    Withdraw {
        /// The group.
        group: GroupId,
        /// The invitation, as in [`InvitationInfo::id`].
        invitation: RecordId,
    },
    /// Make an invitation; only members whose role may invite. → [`Reply::Invitation`]
    Invite {
        /// The group.
        group: GroupId,
        /// For whom.
        invite: Invite,
    },
    /// Join the group of an invitation. Done when a membership is held, durable; events tell of links and sync.
    /// A group that this identity is in already is done at once. → [`Reply::Group`]
    Join {
        /// The invitation.
        invitation: Invitation,
        /// For one by password.
        password: Option<Password>,
    },
    /// Publish a new record, replace one, or delete one. Done when durable here; while the disk, or every neighbour,
    /// is behind, it waits for its turn first. → [`Reply::Record`]
    Publish {
        /// The group.
        group: GroupId,
        /// What.
        draft: Draft,
    },
    /// Show a record here no more, as it stands: a later version is shown. It stays with everybody else, and the group's
    /// replica of it on this node as well, for others. Kept across restarts. Done when that is on its way to the disk.
    /// → [`Reply::Ok`]
    DeleteHere {
        /// The group.
        group: GroupId,
        /// Which.
        id: RecordId,
    },
    /// Read records. → [`Reply::Records`]
    Records {
        /// The group.
        group: GroupId,
        /// Which.
        filter: Filter,
    },
    /// The groups of this node. → [`Reply::Groups`]
    Groups,
    /// The members of a group and their nodes. → [`Reply::Members`]
    Members {
        /// The group.
        group: GroupId,
    },
    /// The nodes of a group that say that they are here, by node id; ours among them. → [`Reply::Nodes`]
    Nodes {
        /// The group.
        group: GroupId,
    },
    /// What this node says of itself in a group, until it closes. → [`Reply::Ok`]
    Present {
        /// The group.
        group: GroupId,
        /// For all members to see.
        attributes: Vec<Attribute>,
        /// Whether it says that it is here where the group's properties would have it silent.
        forced: bool,
    },
    /// The links of this node. → [`Reply::Links`]
    Links,
    /// Keep a link to this node, and find members through it: a rendezvous node, or a member. Tried again with growing
    /// delay until close. → [`Reply::Ok`]
    Connect {
        /// Where one and the same node can be dialled, best first; at most
        /// [`ADDRESSES_MAX`](crate::limits::ADDRESSES_MAX). The next is tried when one fails.
        addresses: Vec<Address>,
    },
    /// Leave a group: our membership is revoked for everybody, what we published stays with the others, and the group
    /// and its records are forgotten on this device. → [`Reply::Ok`]
    Leave {
        /// The group.
        group: GroupId,
    },
    /// Ask the security provider again about what it did not let in. → [`Reply::Ok`]; what is let in follows as events
    Revalidate {
        /// The group.
        group: GroupId,
        /// Which records. Without any, all that were deferred or refused, and everybody who is or was to be a neighbour.
        records: Vec<RecordId>,
    },
    /// Leave every graph properly: presence withdrawn, neighbours told, referrals given. Then the host drops the
    /// node. → [`Reply::Ok`]
    Close,
}

/// For whom an invitation is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Invite {
    /// One identity; useless to others. It can join while no inviter is online.
    Bound {
        /// Its public certificate.
        identity: Certificate,
        /// What it may do.
        grant: Grant,
    },
    /// Whoever holds the link, redeemed with any inviting member online.
    Bearer {
        /// What they may do.
        grant: Grant,
        /// How many may join. At least 1.
        uses: u32,
        /// How long it can be used.
        expires_in: Duration,
    },
    /// Whoever knows the password, redeemed with its maker online.
    Password {
        /// What they may do.
        grant: Grant,
        /// Told to them in another way than the invitation.
        password: Password,
        /// How many may join. At least 1.
        uses: u32,
        /// How long it can be used.
        expires_in: Duration,
    },
}

/// What becomes of what a revoked member published and of whom it let in, as far as this node knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Its records stay.
    pub records: bool,
    /// Those that it let in stay.
    pub members: bool,
}

impl Keep {
    /// All stays.
    pub const ALL: Self = Self { records: true, members: true };
    /// Nothing stays.
    pub const NOTHING: Self = Self { records: false, members: false };
}

/// What may be changed of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Properties {
    /// Shown to people. 1–255 characters.
    pub name: String,
    /// Shown to people. At most 255 characters.
    pub comment: String,
    /// Nodes present up to which everybody says that it is here. 0: nobody does.
    pub presence_max: u64,
}

/// An invitation that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvitationInfo {
    /// The record that announces it.
    pub id: RecordId,
    /// Who made it.
    pub inviter: PeerId,
    /// What newcomers may do.
    pub grant: Grant,
    /// How many may join by it.
    pub uses: u32,
    /// How many did, as far as this node knows.
    pub used: u32,
    /// When it ends.
    pub expires: WallTime,
}

/// A record to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The record to replace or delete; a new one where there is none.
    pub id: Option<RecordId>,
    /// Its type; on replacement it must be the same.
    pub kind: RecordType,
    /// Searchable metadata. Empty on deletion.
    pub attributes: Vec<Attribute>,
    /// The content. Empty on deletion.
    pub payload: Bytes,
    /// How long it lives; [`RECORD_LIFETIME_DEFAULT`](crate::limits::RECORD_LIFETIME_DEFAULT) where absent.
    pub expires_in: Option<Duration>,
    /// Whether this is a deletion, which needs an `id`.
    pub delete: bool,
    /// Whether this node renews the record before it ends, as long as it is up and in the group, across restarts: under a
    /// higher version, with the content that stands then and as long a life again. It lives at least
    /// [`REFRESH_LIFETIME_MIN`](crate::limits::REFRESH_LIFETIME_MIN). Replacing the record without this, or deleting it,
    /// ends that.
    pub refresh: bool,
}

/// Which records to read. Fields that are absent do not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this record.
    pub id: Option<RecordId>,
    /// Only this type.
    pub kind: Option<RecordType>,
    /// Only this creator's.
    pub creator: Option<PeerId>,
    /// Only after this cursor, in the order of (modified, id).
    pub after: Option<Cursor>,
    /// At most so many, at most [`PAGE_MAX`](crate::limits::PAGE_MAX). 0 means as many as that.
    pub limit: usize,
}

/// A place in the order of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// When modified, peer time.
    pub modified: WallTime,
    /// Which.
    pub id: RecordId,
}

/// The answer to a [`Command`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Reply {
    /// Done.
    Ok,
    /// A group.
    Group(GroupInfo),
    /// All groups.
    Groups(Vec<GroupInfo>),
    /// An invitation. For bearer ones: whoever reads it can join.
    Invitation(Invitation),
    /// The record as it was stored.
    Record(Box<Record>),
    /// A page of records in the order of (modified, id), tombstones and internal records left out.
    Records {
        /// The page.
        records: Vec<Record>,
        /// Where to go on, when there are more.
        next: Option<Cursor>,
    },
    /// Members, by peer id.
    Members(Vec<MemberInfo>),
    /// Nodes that are present, by node id.
    Nodes(Vec<NodeInfo>),
    /// Links, by id.
    Links(Vec<LinkInfo>),
    /// Open invitations, by record id.
    Invitations(Vec<InvitationInfo>),
}

/// A group as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupInfo {
    /// Its id.
    pub id: GroupId,
    /// Its name.
    pub name: String,
    /// Its comment.
    pub comment: String,
    /// Nodes present up to which everybody says that it is here.
    pub presence_max: u64,
    /// What its creator decided.
    pub policy: Policy,
    /// Whether we have the group's own key.
    pub owner: bool,
    /// Our role in it, and our application roles.
    pub grant: Grant,
    /// Whether our membership stands.
    pub standing: Standing,
    /// When our membership ends.
    pub expires: WallTime,
    /// Application records in the store.
    pub records: u64,
    /// Neighbours in its graph.
    pub neighbours: usize,
    /// Whether a sync has been completed, or we are its creator.
    pub ready: bool,
    /// The graph signature: the lowest node id in our part of the graph. None before one is found.
    pub signature: Option<NodeId>,
    /// Whether this node is a contact, one of the few that mend the graph when it breaks.
    pub contact: bool,
    /// How many nodes our part of the graph has, estimated: above 5, by a standard error of about half; see the head
    /// of `group/contacts.rs`.
    pub nodes: u64,
    /// How far the graph's time is ahead of our clock. Milliseconds. See [`GroupInfo::peer_time`].
    pub clock_shift_ms: i64,
}

impl GroupInfo {
    /// What the graph calls a moment of our clock: records are dated so.
    pub fn peer_time(&self, wall: WallTime) -> WallTime {
        WallTime(wall.0.saturating_add_signed(self.clock_shift_ms))
    }

    /// When a moment of the graph is by our clock.
    pub fn wall_time(&self, peer_time: WallTime) -> WallTime {
        WallTime(peer_time.0.saturating_add_signed(self.clock_shift_ms.saturating_neg()))
    }
}

/// A node that says that it is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    /// Which.
    pub node: NodeId,
    /// Whose.
    pub peer: PeerId,
    /// Where it can be dialled. Browsers cannot.
    pub addresses: Vec<Address>,
    /// What it says of itself. Chosen by its owner: never trust it.
    pub attributes: Vec<Attribute>,
}

/// What became of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeChange {
    /// It says that it is here.
    Connected,
    /// It says something else of itself.
    Updated,
    /// It left, or was not heard of for too long.
    Disconnected,
}

/// A member as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberInfo {
    /// Who.
    pub peer: PeerId,
    /// Friendly name. Chosen by its owner: show it as text, never trust it.
    pub name: String,
    /// What it may do, or might.
    pub grant: Grant,
    /// Whether it is a member.
    pub standing: Standing,
    /// Serial of the certificate that says so.
    pub serial: Serial,
    /// Who issued that certificate; the group's own key has the group's id.
    pub issuer: PeerId,
    /// When that certificate ends.
    pub expires: WallTime,
    /// Its nodes that are present, by presence record; ours among them.
    pub nodes: Vec<NodeId>,
}

/// A link as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkInfo {
    /// The link.
    pub link: LinkId,
    /// Who is at the other end, once the handshake proved it.
    pub peer: Option<PeerId>,
    /// Which node of theirs.
    pub node: Option<NodeId>,
    /// Whether a data channel, or a WebSocket.
    pub direct: bool,
    /// The graphs for which it is a neighbour link.
    pub graphs: Vec<GroupId>,
    /// How useful it is to the graph that it serves best: 0, to 4,096 where every record over it was news.
    pub utility: u32,
}

/// News for the application.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The store is read; commands are answered from here on.
    Opened,
    /// A record is new or changed, and durable here. Tombstones come too (`deleted`), internal records do not.
    Record {
        /// The group.
        group: GroupId,
        /// The record.
        record: Box<Record>,
    },
    /// A record of ours reached further.
    Status {
        /// The group.
        group: GroupId,
        /// The record.
        id: RecordId,
        /// Neighbours that hold it durably.
        held_by: u32,
    },
    /// A record is gone: its time has come.
    Expired {
        /// The group.
        group: GroupId,
        /// The record.
        id: RecordId,
    },
    /// A record is gone: it relied on a membership that was revoked.
    Withdrawn {
        /// The group.
        group: GroupId,
        /// The record.
        id: RecordId,
    },
    /// Somebody joined, came, went, changed role, or was revoked.
    Member {
        /// The group.
        group: GroupId,
        /// As it is after the change.
        member: MemberInfo,
    },
    /// A node that says that it is here came, changed or went; ours too.
    Node {
        /// The group.
        group: GroupId,
        /// As it says; as it said last, where it went.
        node: NodeInfo,
        /// What became of it.
        change: NodeChange,
    },
    /// A neighbour was won or lost.
    Neighbour {
        /// The group.
        group: GroupId,
        /// The link.
        link: LinkId,
        /// Who.
        peer: PeerId,
        /// Which node.
        node: NodeId,
        /// Whether won.
        up: bool,
    },
    /// A sync with a neighbour went on.
    Sync {
        /// The group.
        group: GroupId,
        /// The neighbour.
        link: LinkId,
        /// How far.
        phase: SyncPhase,
    },
    /// A group was joined, changed its properties, or our membership changed.
    Group(GroupInfo),
    /// No neighbour can be found for this group with what is known. The application can
    /// [`Connect`](Command::Connect).
    ConnectionRequired {
        /// The group.
        group: GroupId,
    },
    /// A peer broke the protocol; its link is closed.
    PeerMisbehaved {
        /// The link.
        link: LinkId,
        /// How.
        fault: Misbehaved,
    },
    /// Two different contents under one version: evidence against their signer.
    Conflict {
        /// The group.
        group: GroupId,
        /// The record.
        id: RecordId,
        /// The signer.
        peer: PeerId,
    },
    /// Our security provider does not let in a record. Told once, and again after each
    /// [`Revalidate`](Command::Revalidate).
    Withheld {
        /// The group.
        group: GroupId,
        /// The record.
        id: RecordId,
        /// Who signed it.
        peer: PeerId,
        /// Why, or that it may be later.
        verdict: Verdict,
    },
    /// Our security provider does not let a node be a neighbour, or a newcomer be a member by our hand.
    TurnedAway {
        /// The group.
        group: GroupId,
        /// Who.
        peer: PeerId,
        /// Which node of theirs.
        node: NodeId,
        /// Why, or that it may be later.
        verdict: Verdict,
    },
    /// A member's security provider does not let us be a neighbour. It is tried again after a while.
    NotAdmitted {
        /// The group.
        group: GroupId,
        /// Whose.
        peer: PeerId,
        /// Which node of theirs.
        node: NodeId,
        /// Why; empty where that is not settled. Chosen by the other end: show it as text, never trust it.
        why: String,
    },
    /// The store failed for a record that came from others. It is not acknowledged and comes again at a later sync.
    StoreFailed {
        /// How.
        fault: StoreFault,
    },
}

/// How far a sync is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SyncPhase {
    /// Properties and memberships are equal.
    Membership,
    /// Presence too.
    Presence,
    /// The neighbour gave what it had of the types that we want first. Only where we named some, and it had some.
    Prioritised,
    /// Everything.
    Complete,
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
}
