//! The commands of an application, and the replies to them.
use super::{
    Cursor, Draft, GroupInfo, InvitationInfo, LinkInfo, MemberInfo, NodeInfo, Preview, Tried,
};
use crate::cert::Certificate;
use crate::id::{GroupId, PeerId, RecordId};
use crate::invitation::Invitation;
use crate::node_url::NodeUrl;
use crate::password::Password;
use crate::policy::{Grant, Policy};
use crate::record::{Attribute, Record, RecordType};
use crate::roll::{Reason, Target};
use std::time::Duration;

/// A command of the application.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Command {
    /// Make a group. → [`Reply::Group`]
    CreateGroup {
        /// Shown to people. 1–255 characters.
        name: String,
        /// The rules of the group, which never change.
        policy: Policy,
    },
    /// Change the name, comment and presence limit of a group; only a node that has the group's own
    /// key can. → [`Reply::Ok`], when durable
    SetProperties {
        /// The group.
        group: GroupId,
        /// All of them, the unchanged ones too.
        properties: Properties,
    },
    /// Issue another membership to a member: with another role, or for longer. Earlier ones that grant something
    /// beyond it are revoked; what it published stays. → [`Reply::Ok`], when durable
    Issue {
        /// The group.
        group: GroupId,
        /// The member.
        peer: PeerId,
        /// The role and application roles that the membership grants.
        grant: Grant,
    },
    /// Take away a membership, or all of a peer. → [`Reply::Ok`], when durable
    Revoke {
        /// The group.
        group: GroupId,
        /// One membership, or all of a peer.
        target: Target,
        /// Why.
        reason: Reason,
        /// Whether their records stay, and the members whom they let in.
        keep: Keep,
    },
    /// Delete our revocations of a peer. → [`Reply::Ok`], when durable
    Reinstate {
        /// The group.
        group: GroupId,
        /// The peer.
        peer: PeerId,
    },
    /// Put another key in the place of the group's own; only where that is. The old key counts for nothing from then on,
    /// who holds it stays the owner, and all members stay. → [`Reply::Ok`], when durable
    RotateKey {
        /// The group.
        group: GroupId,
    },
    /// Offer us as the next owner of a group. The owner may then hand it over, which
    /// [`Event::Group`](super::Event::Group) tells; until then nothing changes. → [`Reply::Ok`], when durable
    OfferOwnership {
        /// The group.
        group: GroupId,
    },
    /// Hand a group over to a member that has offered itself: from then on it is the owner, and we are not. All members
    /// stay what they are, we among them. → [`Reply::Ok`], when durable
    HandOver {
        /// The group.
        group: GroupId,
        /// To whom, see [`MemberInfo::offers_ownership`].
        peer: PeerId,
    },
    /// The invitations of a group that are open. → [`Reply::Invitations`]
    Invitations {
        /// The group.
        group: GroupId,
    },
    /// Close an invitation: nobody can join by it any longer. It must be ours, unless we are an
    /// administrator. → [`Reply::Ok`], when durable
    Withdraw {
        /// The group.
        group: GroupId,
        /// The invitation, as in [`InvitationInfo::id`].
        invitation: RecordId,
    },
    /// Make an invitation; only members whose role may invite. → [`Reply::Invitation`] once its record is durable; the record
    /// may travel before
    Invite {
        /// The group.
        group: GroupId,
        /// For whom.
        invite: Invite,
    },
    /// Join the group of an invitation. Done when a membership is held; it is durable a moment later, which
    /// [`Event::Group`](super::Event::Group) tells. After a crash in that moment the same identity joins again, by the
    /// same invitation and whatever its uses, and gets the same membership.
    /// A group that this identity is in already is done at once. A later one for the same group takes the place of one
    /// that is under way, which fails with [`Error::Busy`](crate::error::Error::Busy). → [`Reply::Group`]
    Join {
        /// The invitation.
        invitation: Invitation,
        /// For one by password.
        password: Option<Password>,
    },
    /// Ask a member what an invitation is about, without joining or redeeming: members are looked for as by a join,
    /// which can follow at any time and does not wait for this. Done within some twenty seconds; without a member that
    /// can be reached, [`Error::NobodyToAsk`](crate::error::Error::NobodyToAsk). → [`Reply::Preview`]
    Preview {
        /// The invitation.
        invitation: Invitation,
    },
    /// Publish a new record, replace one, or delete one. Done when durable here; while the disk, or every neighbour,
    /// is behind, it waits for its turn first. → [`Reply::Record`]
    Publish {
        /// The group.
        group: GroupId,
        /// The record, its change or its deletion.
        draft: Draft,
    },
    /// Stop showing this version of a record here; a later version is shown again. The record stays
    /// with everybody else, and the group's replica of it on this node stays as well, for others.
    /// Kept across restarts. Done when that is on its way to the disk. → [`Reply::Ok`]
    DeleteHere {
        /// The group.
        group: GroupId,
        /// The record.
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
    /// Set the attributes that this node's presence shows in a group, until the node closes. →
    /// [`Reply::Ok`]
    Present {
        /// The group.
        group: GroupId,
        /// For all members to see.
        attributes: Vec<Attribute>,
        /// Whether the node announces its presence even if the group's properties would keep it
        /// silent.
        forced: bool,
    },
    /// The links of this node. → [`Reply::Links`]
    Links,
    /// Tell what a group has done to find members since it last had a neighbour, also while a join
    /// is under way. → [`Reply::Tried`]
    Explain {
        /// The group.
        group: GroupId,
    },
    /// Keep a link to this node, and find members through it: a rendezvous node, or a member. It is looked up, dialled,
    /// tried again with growing delay until close, and looked up again when it has moved;
    /// [`Event::NamedNode`](super::Event::NamedNode) tells how that goes. → [`Reply::Ok`]
    Connect {
        /// Which.
        node: NodeUrl,
    },
    /// Leave a group: our membership is revoked for everybody, what we published stays with the others, and the group
    /// and its records are forgotten on this device. → [`Reply::Ok`]
    Leave {
        /// The group.
        group: GroupId,
    },
    /// Ask the security provider again about the records and nodes that it did not let in. →
    /// [`Reply::Ok`]; whatever it lets in now follows as events
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

/// The answer to a [`Command`].
#[derive(Clone, Debug)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Reply {
    /// Done.
    Ok,
    /// A group.
    Group(GroupInfo),
    /// All groups.
    Groups(Vec<GroupInfo>),
    /// An invitation. Anybody who reads a bearer invitation can join.
    Invitation(Invitation),
    /// A member's description of an invitation.
    Preview(Box<Preview>),
    /// The record as it was stored.
    Record(Box<Record>),
    /// A page of records in the order that was wanted, tombstones and internal records left out.
    Records {
        /// The page.
        records: Vec<Record>,
        /// Where to go on, if there are more.
        next: Option<Cursor>,
    },
    /// Members, by peer id.
    Members(Vec<MemberInfo>),
    /// Nodes that are present, by node id.
    Nodes(Vec<NodeInfo>),
    /// Links, by id.
    Links(Vec<LinkInfo>),
    /// To [`Command::Explain`].
    Tried(Box<Tried>),
    /// Open invitations, by record id.
    Invitations(Vec<InvitationInfo>),
}
