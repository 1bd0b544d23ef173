//! The commands in and about a group, and what they are given.
use super::{Cursor, Draft, QueryId, Search};
use crate::cert::Certificate;
use crate::id::{PeerId, RecordId};
use crate::password::Password;
use crate::policy::Grant;
use crate::record::{Attribute, RecordType};
use crate::roll::{Reason, Target};
use crate::search::{Order, Query};
use bytes::Bytes;
use std::time::Duration;

/// A request of an application to a group, see [`Command::Group`](super::Command::Group). If this node is not in the group, the
/// answer is [`Error::UnknownGroup`](crate::error::Error::UnknownGroup).
#[derive(Clone, Debug)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum GroupCommand {
    /// Change the name, comment and presence limit of a group; only a node that has the group's own
    /// key can. → [`Reply::Ok`](super::Reply::Ok), when durable
    SetProperties {
        /// All of them, the unchanged ones too.
        properties: Properties,
    },
    /// Issue another membership to a member: with another role, or for longer. Earlier ones that grant something
    /// beyond it are revoked; what it published stays. → [`Reply::Ok`](super::Reply::Ok), when durable
    Issue {
        /// The member.
        peer: PeerId,
        /// The role and application roles that the membership grants.
        grant: Grant,
    },
    /// Take away a membership, or all of a peer. → [`Reply::Ok`](super::Reply::Ok), when durable
    Revoke {
        /// One membership, or all of a peer.
        target: Target,
        /// Why.
        reason: Reason,
        /// Whether their records stay, and the members whom they let in.
        keep: Keep,
    },
    /// Delete our revocations of a peer. → [`Reply::Ok`](super::Reply::Ok), when durable
    Reinstate {
        /// The peer.
        peer: PeerId,
    },
    /// Put another key in the place of the group's own; only where that is. The old key counts for nothing from then on,
    /// who holds it stays the owner, and all members stay. → [`Reply::Ok`](super::Reply::Ok), when durable
    RotateKey,
    /// Offer us as the next owner of a group. The owner may then hand it over, which
    /// [`Event::Group`](super::Event::Group) tells; until then nothing changes. → [`Reply::Ok`](super::Reply::Ok), when durable
    OfferOwnership,
    /// Hand a group over to a member that has offered itself: from then on it is the owner, and we are not. All members
    /// stay what they are, we among them. → [`Reply::Ok`](super::Reply::Ok), when durable
    HandOver {
        /// To whom, see [`MemberInfo::offers_ownership`](super::MemberInfo::offers_ownership).
        peer: PeerId,
    },
    /// The invitations of a group that are open. → [`Reply::Invitations`](super::Reply::Invitations)
    Invitations,
    /// Close an invitation: nobody can join by it any longer. It must be ours, unless we are an
    /// administrator. → [`Reply::Ok`](super::Reply::Ok), when durable
    Withdraw {
        /// The invitation, as in [`InvitationInfo::id`](super::InvitationInfo::id).
        invitation: RecordId,
    },
    /// Make an invitation; only members whose role may invite. → [`Reply::Invitation`](super::Reply::Invitation) once its record is durable; the record
    /// may travel before
    Invite {
        /// For whom.
        invite: Invite,
    },
    /// Publish a new record, replace one, or delete one. Done when durable here; while the disk, or every neighbour,
    /// is behind, it waits for its turn first. → [`Reply::Record`](super::Reply::Record)
    Publish {
        /// The record, its change or its deletion.
        draft: Draft,
    },
    /// Send a message to all members who are here, which nobody stores: a cursor, or that somebody is typing. It comes at most
    /// once and may get lost; who may publish records of its type may send it. → [`Reply::Ok`](super::Reply::Ok) once it is on
    /// its way, [`Error::Busy`](super::Error::Busy) beyond [`BROADCASTS`](crate::limits::BROADCASTS)
    Broadcast {
        /// The type, such as `cursor`.
        kind: RecordType,
        /// At most [`BROADCAST_BYTES_MAX`](crate::limits::BROADCAST_BYTES_MAX).
        payload: Bytes,
        /// The form of the payload, such as `application/json`, of at most
        /// [`MEDIA_TYPE_MAX`](crate::limits::MEDIA_TYPE_MAX) bytes.
        media_type: Option<String>,
    },
    /// Stop showing this version of a record here; a later version is shown again. The record stays
    /// with everybody else, and the group's replica of it on this node stays as well, for others.
    /// Kept across restarts. Done when that is on its way to the disk. → [`Reply::Ok`](super::Reply::Ok)
    DeleteHere {
        /// The record.
        id: RecordId,
    },
    /// Read records. → [`Reply::Records`](super::Reply::Records)
    Records {
        /// Which.
        filter: Filter,
    },
    /// Find records. The first search of a group makes its index, which reads all of its records; those that come meanwhile
    /// wait for it. → [`Reply::Found`](super::Reply::Found)
    Search {
        /// What.
        search: Search,
    },
    /// Follow what a query finds. → [`Reply::Ok`](super::Reply::Ok)
    Query {
        /// A name for it, that no other query of the group has.
        id: QueryId,
        /// Which records.
        query: Query,
        /// In which order.
        order: Order,
        /// The first ones, at most [`PAGE_MAX`](crate::limits::PAGE_MAX). 0 means as many as that.
        limit: usize,
    },
    /// Wait until there are changes of what a query finds since they were told last; at first all of it is new. Of two who
    /// wait for one query, the later gets the answer, and the other fails with
    /// [`Error::Busy`](crate::error::Error::Busy). → [`Reply::Changes`](super::Reply::Changes)
    Changes {
        /// As it was named.
        query: QueryId,
    },
    /// Follow a query no longer. A request that waits for its changes gets
    /// [`Error::UnknownQuery`](crate::error::Error::UnknownQuery). → [`Reply::Ok`](super::Reply::Ok)
    EndQuery {
        /// As it was named.
        query: QueryId,
    },
    /// The members of a group and their nodes. → [`Reply::Members`](super::Reply::Members)
    Members,
    /// The nodes of a group that say that they are here, by node id; ours among them. → [`Reply::Nodes`](super::Reply::Nodes)
    Nodes,
    /// Set the attributes that this node's presence shows in a group, until the node closes. →
    /// [`Reply::Ok`](super::Reply::Ok)
    Present {
        /// For all members to see.
        attributes: Vec<Attribute>,
        /// Whether the node announces its presence even if the group's properties would keep it
        /// silent.
        forced: bool,
    },
    /// Tell what a group has done to find members since it last had a neighbour, also while a join
    /// is under way. → [`Reply::Tried`](super::Reply::Tried)
    Explain,
    /// Ask the security provider again about the records and nodes that it did not let in. →
    /// [`Reply::Ok`](super::Reply::Ok); whatever it lets in now follows as events
    Revalidate {
        /// Which records. Without any, all that were deferred or refused, and everybody who is or was to be a neighbour.
        records: Vec<RecordId>,
    },
}

/// For whom an invitation is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Invite {
    /// One identity; useless to others. It can join while no inviter is online.
    Bound {
        /// Its public certificate.
        identity: Certificate,
        /// The role and application roles of the new member.
        grant: Grant,
    },
    /// Anybody who holds the link. It is redeemed with any inviting member online.
    Bearer {
        /// The role and application roles of each new member.
        grant: Grant,
        /// How many may join. At least 1.
        uses: u32,
        /// How long it can be used.
        expires_in: Duration,
    },
    /// Anybody who knows the password. It is redeemed with its maker online.
    Password {
        /// The role and application roles of each new member.
        grant: Grant,
        /// Told to them in another way than the invitation.
        password: Password,
        /// How many may join. At least 1.
        uses: u32,
        /// How long it can be used.
        expires_in: Duration,
    },
}

/// Which works of a revoked member outlast it: its records, and the members whom it let in. Counted
/// as far as this node knows of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Keep {
    /// Its records stay.
    pub records: bool,
    /// The members whom it let in stay.
    pub members: bool,
}

impl Keep {
    /// All stays.
    pub const ALL: Self = Self { records: true, members: true };
    /// Nothing stays.
    pub const NOTHING: Self = Self { records: false, members: false };
}

/// The properties of a group that can be changed later.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Properties {
    /// Shown to people. 1–255 characters.
    pub name: String,
    /// Shown to people. At most 255 characters.
    pub comment: String,
    /// The number of present nodes up to which every node announces its presence. 0: no node does.
    pub presence_max: u64,
}

/// Which records to read. Fields that are absent do not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Filter {
    /// Only this record.
    pub id: Option<RecordId>,
    /// Only this type.
    pub kind: Option<RecordType>,
    /// Only this creator's.
    pub creator: Option<PeerId>,
    /// Only after this cursor, in the order that is wanted.
    pub after: Option<Cursor>,
    /// In the order of (modified, id), or the other way round: the newest first.
    pub newest_first: bool,
    /// At most so many, at most [`PAGE_MAX`](crate::limits::PAGE_MAX). 0 means as many as that.
    pub limit: usize,
}
