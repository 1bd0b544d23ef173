//! The commands of an application, and the replies to them.
use super::{
    Changes, ChannelId, Cursor, DirectCall, DirectCommand, DirectInfo, DirectMessage, Found,
    GroupCommand, GroupInfo, InvitationInfo, LinkInfo, MemberInfo, NodeInfo, Preview, Tried,
};
use crate::id::GroupId;
use crate::invitation::Invitation;
use crate::node_url::NodeUrl;
use crate::password::Password;
use crate::policy::Policy;
use crate::record::Record;
use bytes::Bytes;

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
    /// The groups of this node. → [`Reply::Groups`]
    Groups,
    /// The links of this node. → [`Reply::Links`]
    Links,
    /// Keep a link to this node, and find members through it: a rendezvous node, or a member. It is looked up, dialled,
    /// tried again with growing delay until close, and looked up again when it has moved;
    /// [`Event::NamedNode`](super::Event::NamedNode) tells how that goes. → [`Reply::Ok`]
    Connect {
        /// Which.
        node: NodeUrl,
    },
    /// Do something in or about a group that this node is in, or joins.
    Group(GroupId, GroupCommand),
    /// Do something about direct links.
    Direct(DirectCommand),
    /// Leave a group: our membership is revoked for everybody, what we published stays with the others, and the group
    /// and its records are forgotten on this device. → [`Reply::Ok`]
    Leave {
        /// The group.
        group: GroupId,
    },
    /// Leave every graph properly: presence withdrawn, neighbours told, referrals given. Then the host drops the
    /// node. → [`Reply::Ok`]
    Close,
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
    /// The records that a search has found.
    Found(Found),
    /// Changes of what a query finds.
    Changes(Changes),
    /// Members, by peer id.
    Members(Vec<MemberInfo>),
    /// Nodes that are present, by node id.
    Nodes(Vec<NodeInfo>),
    /// Links, by id.
    Links(Vec<LinkInfo>),
    /// To [`GroupCommand::Explain`].
    Tried(Box<Tried>),
    /// A direct link.
    Direct(DirectInfo),
    /// Direct links, by name.
    Directs(Vec<DirectInfo>),
    /// A message that came.
    Message(DirectMessage),
    /// A call that came.
    Call(DirectCall),
    /// A response to a call, nothing after the last one.
    Response(Option<DirectMessage>),
    /// A call or a stream that was begun.
    Channel(ChannelId),
    /// A stream that came.
    Stream {
        /// To read and to write.
        stream: ChannelId,
        /// As the other end names it.
        name: String,
    },
    /// Bytes of a stream.
    Bytes(Bytes),
    /// Open invitations, by record id.
    Invitations(Vec<InvitationInfo>),
}
