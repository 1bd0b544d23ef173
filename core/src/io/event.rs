//! News for the application, and groups, members, nodes, links and invitations as this node sees
//! them.
use super::error::Error;
use super::{DirectChange, DirectInfo, LinkId, LookupFault, StoreFault};
use crate::address::Address;
use crate::fault::Misbehaved;
use crate::id::{CertificateId, GroupId, NodeId, PeerId, RecordId};
use crate::invitation::InvitationState;
use crate::node_url::{BadDescription, NodeUrl};
use crate::policy::{Grant, Policy};
use crate::provider::Verdict;
use crate::record::{Attribute, Record, RecordType};
use crate::roll::Standing;
use crate::time::WallTime;
use bytes::Bytes;

/// News for the application.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Event {
    /// The store is read; commands are answered from here on.
    Opened,
    /// A record is new or changed: its signature and its signer's rights are checked, and it is on its way to the disk.
    /// [`Stored`](Self::Stored) follows once it is durable, [`Withdrawn`](Self::Withdrawn) if the disk refuses it.
    /// Tombstones come too (`deleted`), internal records do not.
    Record {
        /// The group.
        group: GroupId,
        /// The record.
        record: Box<Record>,
    },
    /// Records that [`Record`](Self::Record) told are durable here.
    Stored {
        /// The group.
        group: GroupId,
        /// The records, with the versions that are durable, in the order in which they were told.
        records: Vec<(RecordId, u64)>,
    },
    /// A record of ours reached further. Told only once the record is durable here too. After a restart the count begins
    /// anew: the end of a sync tells it for each record that the neighbour holds.
    Status {
        /// The group.
        group: GroupId,
        /// The record.
        id: RecordId,
        /// Neighbours that hold it durably.
        held_by: u32,
    },
    /// A member has sent a message to all who are here, see [`Broadcast`](super::GroupCommand::Broadcast). Its signature and its
    /// sender's rights are checked. Our own are not told.
    Broadcast {
        /// The group.
        group: GroupId,
        /// The sender.
        peer: PeerId,
        /// Its node; ours has another, also if the sender is us elsewhere.
        node: NodeId,
        /// The type.
        kind: RecordType,
        /// The content. Chosen by its sender: never trust it.
        payload: Bytes,
        /// The form of the content, if its sender says so.
        media_type: Option<String>,
    },
    /// Somebody asks for a direct link, it can be used, or it is over.
    Direct {
        /// As it is after the change.
        direct: DirectInfo,
        /// The change.
        change: DirectChange,
    },
    /// A record is gone: its time has come.
    Expired {
        /// The group.
        group: GroupId,
        /// The record.
        id: RecordId,
    },
    /// A record is gone: it relied on a membership that was revoked, it gave way to others because its creator has more
    /// than its [quota](crate::policy::Policy::member_records), its version was signed under a wrong clock and one with the
    /// right time follows, or the disk refused a version that
    /// [`Record`](Self::Record) had told; then an earlier version may stand again, and a later sync may bring it back.
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
        /// As the node describes itself; if it went, its last description.
        node: NodeInfo,
        /// The kind of change.
        change: NodeChange,
    },
    /// A change of a node that the application or an invitation named.
    NamedNode {
        /// The URL by which it was named.
        url: NodeUrl,
        /// How far it is.
        state: NodeState,
    },
    /// A neighbour was won or lost.
    Neighbour {
        /// The group.
        group: GroupId,
        /// The link.
        link: LinkId,
        /// The neighbour's identity.
        peer: PeerId,
        /// The neighbour's node.
        node: NodeId,
        /// Whether it was won.
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
    /// A group was made or joined, and that is durable; it changed its properties, or our membership changed.
    Group(GroupInfo),
    /// No neighbour can be found for this group with what is known. The application can
    /// [`Connect`](super::Command::Connect).
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
    /// A key that was the group's own has handed the group over to two: it is in other hands. The first handover that this
    /// node has seen counts here. Told once for each key while the node runs.
    HandoverContested {
        /// The group.
        group: GroupId,
    },
    /// Our clock is wrong, as the members of a group show, or as our own membership does; or it is right again. Nothing
    /// depends on it from here on: the group's time is kept. It should be set all the same.
    Clock {
        /// The group.
        group: GroupId,
        /// How far our clock is ahead of the group's time; below 0 if it is behind, 0 if it is right. Milliseconds. Within
        /// [`CERTIFICATE_CLOCK_SKEW`](crate::limits::CERTIFICATE_CLOCK_SKEW) it counts as right.
        ahead_ms: i64,
    },
    /// Our security provider does not let in a record. Told once, and again after each
    /// [`Revalidate`](super::GroupCommand::Revalidate).
    Withheld {
        /// The group.
        group: GroupId,
        /// The record.
        id: RecordId,
        /// The member who signed it.
        peer: PeerId,
        /// Why, or that it may be later.
        verdict: Verdict,
    },
    /// Our security provider does not let a node be a neighbour, or a newcomer be a member by our hand.
    TurnedAway {
        /// The group.
        group: GroupId,
        /// The peer.
        peer: PeerId,
        /// Its node.
        node: NodeId,
        /// Why, or that it may be later.
        verdict: Verdict,
    },
    /// A newcomer proved its invitation, and we, whose role lets it in, could not do so. Told once for each link; other
    /// members may let it in.
    CouldNotLetIn {
        /// The group.
        group: GroupId,
        /// The peer.
        peer: PeerId,
        /// Its node.
        node: NodeId,
        /// Why, and what to do.
        error: Box<Error>,
    },
    /// A member's security provider does not let us be a neighbour. It is tried again after a while.
    NotAdmitted {
        /// The group.
        group: GroupId,
        /// The member.
        peer: PeerId,
        /// Its node.
        node: NodeId,
        /// Why; empty if that is not settled. Chosen by the other end: show it as text, never trust
        /// it.
        why: String,
    },
    /// Part of the store was damaged: what the disk gave is not what was written. It is neither shown nor sent. Records are
    /// forgotten, and come again from other members, if any holds them. Told at the start, and when it is found later.
    Damaged {
        /// The group, as far as that can be told.
        group: Option<GroupId>,
        /// The number of records.
        records: u64,
        /// Whether the damage concerns the group itself, for example its key: then the group is not
        /// opened, and nothing of it is changed. A backup restores it.
        membership: bool,
    },
    /// The store failed for a record that came from others. It is not acknowledged and comes again at a later sync.
    StoreFailed {
        /// How.
        fault: StoreFault,
    },
}

impl Event {
    /// Its name, for logs: what it carries may be private.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Record { .. } => "record",
            Self::Stored { .. } => "stored",
            Self::Status { .. } => "status",
            Self::Broadcast { .. } => "broadcast",
            Self::Direct { .. } => "direct",
            Self::Expired { .. } => "expired",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Member { .. } => "member",
            Self::Neighbour { .. } => "neighbour",
            Self::Sync { .. } => "sync",
            Self::Group(_) => "group",
            Self::ConnectionRequired { .. } => "connection required",
            Self::PeerMisbehaved { .. } => "peer misbehaved",
            Self::Conflict { .. } => "conflict",
            Self::HandoverContested { .. } => "handover contested",
            Self::StoreFailed { .. } => "store failed",
            Self::Damaged { .. } => "damaged",
            Self::Node { .. } => "node",
            Self::NamedNode { .. } => "named node",
            Self::Withheld { .. } => "withheld",
            Self::TurnedAway { .. } => "turned away",
            Self::CouldNotLetIn { .. } => "could not let in",
            Self::NotAdmitted { .. } => "not admitted",
            Self::Clock { .. } => "clock",
        }
    }
}

/// How far a named node is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum NodeState {
    /// It is being looked up.
    Trying,
    /// These are its addresses, and they are dialled.
    Known {
        /// At most [`ADDRESSES_MAX`](crate::limits::ADDRESSES_MAX).
        addresses: Vec<Address>,
    },
    /// A link leads to it.
    Linked {
        /// The node at the other end.
        node: NodeId,
        /// Its identity.
        peer: PeerId,
    },
    /// It is not reached. It is tried again by itself.
    Failed {
        /// Why.
        fault: NodeFault,
    },
    /// It is no longer one of ours: only an invitation named it, whose preview is done, or whose join has failed, or the
    /// group was left.
    Forgotten,
}

impl NodeState {
    /// A short stable word for programs, the same in every host.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Trying => "trying",
            Self::Known { .. } => "known",
            Self::Linked { .. } => "linked",
            Self::Failed { .. } => "unreachable",
            Self::Forgotten => "forgotten",
        }
    }
}

/// Why a named node is not reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum NodeFault {
    /// Its description could not be fetched.
    #[error(transparent)]
    LookUp(#[from] LookupFault),
    /// Its description names no address that can be used.
    #[error(transparent)]
    Description(#[from] BadDescription),
    /// None of its addresses answers.
    #[error("none of its addresses answers; it is down, or a firewall is between")]
    Silent,
}

/// How far a sync is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum SyncPhase {
    /// Properties and memberships are equal.
    Membership,
    /// Presence too.
    Presence,
    /// The neighbour has sent what it had of the types that we want first. Told only if we named
    /// some and it had some.
    Prioritised,
    /// Everything.
    Complete,
}

/// A group as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct GroupInfo {
    /// Its id.
    pub id: GroupId,
    /// Its name.
    pub name: String,
    /// Its comment.
    pub comment: String,
    /// The number of present nodes up to which every node announces its presence.
    pub presence_max: u64,
    /// The rules of the group, as its creator set them.
    pub policy: Policy,
    /// Whether we have the group's own key.
    pub owner: bool,
    /// Which key is the group's own: that of the group's id until it is rotated or handed over.
    pub own_key: PeerId,
    /// Our role in it, and our application roles.
    pub grant: Grant,
    /// Whether our membership stands.
    pub standing: Standing,
    /// When our membership ends.
    pub expires: WallTime,
    /// Whether our membership is published, so that others can know of it. It goes out before our first record. So a
    /// member that only reads, in a group where enough others say that they are here, is known to nobody.
    pub announced: bool,
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
    /// How far our clock is ahead of the group's time, if that is so much that it is wrong; else 0. See [`Event::Clock`].
    pub clock_ahead_ms: i64,
}

impl GroupInfo {
    /// Converts a moment of our clock to the group's time, in which records are dated.
    pub fn peer_time(&self, wall: WallTime) -> WallTime {
        WallTime(wall.0.saturating_add_signed(self.clock_shift_ms))
    }

    /// Converts a moment of the group's time to our clock.
    pub fn wall_time(&self, peer_time: WallTime) -> WallTime {
        WallTime(peer_time.0.saturating_add_signed(self.clock_shift_ms.saturating_neg()))
    }
}

/// A member as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MemberInfo {
    /// The member's identity.
    pub peer: PeerId,
    /// Friendly name. Chosen by its owner: show it as text, never trust it.
    pub name: String,
    /// Its role and application roles, or those that it would have if it stood.
    pub grant: Grant,
    /// Whether it is a member.
    pub standing: Standing,
    /// The certificate that grants this membership.
    pub certificate: CertificateId,
    /// The issuer of that certificate; the group's own key has the group's id.
    pub issuer: PeerId,
    /// When that certificate ends.
    pub expires: WallTime,
    /// Whether it offers itself as the next owner, see [`GroupCommand::OfferOwnership`](super::GroupCommand::OfferOwnership).
    pub offers_ownership: bool,
    /// Its nodes that are present, by presence record; ours among them.
    pub nodes: Vec<NodeId>,
}

/// A node that says that it is here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct NodeInfo {
    /// The node.
    pub node: NodeId,
    /// Its identity.
    pub peer: PeerId,
    /// Where it can be dialled. Browsers cannot.
    pub addresses: Vec<Address>,
    /// The attributes that the node shows. Chosen by its owner: never trust them.
    pub attributes: Vec<Attribute>,
}

/// The kind of change of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum NodeChange {
    /// It announces its presence.
    Connected,
    /// It changed its description.
    Updated,
    /// It left; or its neighbours have lost it, and it answers nobody. If it is heard of again, it is connected.
    Disconnected,
}

/// A link as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LinkInfo {
    /// The link.
    pub link: LinkId,
    /// The peer at the other end, once the handshake proved it.
    pub peer: Option<PeerId>,
    /// Its node.
    pub node: Option<NodeId>,
    /// Which version of the protocol both ends speak, once the handshake has settled it.
    pub version: Option<u32>,
    /// Whether it is a data channel rather than a WebSocket or a relayed link.
    pub direct: bool,
    /// Whether another node carries it, which sees sizes and times alone.
    pub relayed: bool,
    /// The graphs for which it is a neighbour link.
    pub graphs: Vec<GroupId>,
    /// How useful it is to the graph that it serves best: 0, to 4,096 if every record over it was
    /// news.
    pub utility: u32,
}

/// An invitation that was not taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct InvitationInfo {
    /// The record that announces it.
    pub id: RecordId,
    /// The member who made it.
    pub inviter: PeerId,
    /// The role and application roles of newcomers.
    pub grant: Grant,
    /// How many may join by it.
    pub uses: u32,
    /// How many did, as far as this node knows.
    pub used: u32,
    /// When it ends.
    pub expires: WallTime,
    /// Whether newcomers can use it, as far as this node knows.
    pub state: InvitationState,
}
