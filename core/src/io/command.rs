//! What the application asks, and what it is answered.
use super::{GroupInfo, InvitationInfo, LinkInfo, MemberInfo, NodeInfo, Preview, Tried};
use crate::cert::Certificate;
use crate::id::{GroupId, PeerId, RecordId};
use crate::invitation::Invitation;
use crate::node_url::NodeUrl;
use crate::password::Password;
use crate::policy::{Grant, Policy};
use crate::record::{Attribute, Record, RecordType};
use crate::roll::{Reason, Target};
use crate::time::WallTime;
use bytes::Bytes;
use std::time::Duration;

/// What the application can ask for.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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
    /// Close an invitation: nobody joins by it any more. Ours, or as administrator anybody's. → [`Reply::Ok`], when
    /// durable
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
    /// What a group did to find members since it had a neighbour last; also while a join is under way. →
    /// [`Reply::Tried`]
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
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Properties {
    /// Shown to people. 1–255 characters.
    pub name: String,
    /// Shown to people. At most 255 characters.
    pub comment: String,
    /// Nodes present up to which everybody says that it is here. 0: nobody does.
    pub presence_max: u64,
}

/// A record to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Draft {
    /// The record to replace or delete; a new one where there is none. A record of another stays that one's: it keeps its
    /// creator and time of creation, and carries the creator's proof that it made it.
    pub id: Option<RecordId>,
    /// Its type; on replacement it must be the same.
    pub kind: RecordType,
    /// Searchable metadata. Empty on deletion.
    pub attributes: Vec<Attribute>,
    /// The content. Empty on deletion.
    pub payload: Bytes,
    /// How long it lives from now. Where absent a new record lives for
    /// [`RECORD_LIFETIME_DEFAULT`](crate::limits::RECORD_LIFETIME_DEFAULT), and one that is replaced until it would have ended.
    /// A record of another always lives as long as its creator wanted, or as our membership lasts.
    pub expires_in: Option<Duration>,
    /// Whether this is a deletion, which needs an `id`.
    pub delete: bool,
    /// Whether this node renews the record before it ends, as long as it is up and in the group, across restarts: under a
    /// higher version, with the content that stands then and as long a life again. It lives at least
    /// [`REFRESH_LIFETIME_MIN`](crate::limits::REFRESH_LIFETIME_MIN). Replacing the record without this, or deleting it,
    /// ends that. Of a record of another it is refused: how long it lives is its creator's to say.
    pub refresh: bool,
    /// Only if this version of the record with that `id` still stands; otherwise
    /// [`Error::ChangedMeanwhile`](crate::error::Error::ChangedMeanwhile). Two members that change one version apart
    /// from each other are not found out by this: of their changes the creator's stands, else the higher version.
    pub if_version: Option<u64>,
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

/// A place in the order of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Cursor {
    /// When modified, peer time.
    pub modified: WallTime,
    /// Which.
    pub id: RecordId,
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
    /// An invitation. For bearer ones: whoever reads it can join.
    Invitation(Invitation),
    /// What an invitation is about.
    Preview(Box<Preview>),
    /// The record as it was stored.
    Record(Box<Record>),
    /// A page of records in the order that was wanted, tombstones and internal records left out.
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
    /// To [`Command::Explain`].
    Tried(Box<Tried>),
    /// Open invitations, by record id.
    Invitations(Vec<InvitationInfo>),
}
