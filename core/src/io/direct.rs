//! Direct links, and what goes over them: messages, calls and streams.
use crate::id::{GroupId, NodeId, PeerId};
use crate::record::RecordType;
use bytes::Bytes;
use std::time::Duration;

/// A direct link, as this node names it. The host draws the names of those that it opens, at random, so that it can close one
/// whose answer nobody waits for any longer; the node draws those that others open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct DirectId(pub u64);

/// A call or a stream of a direct link, as its two ends name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ChannelId(pub u32);

/// A command about direct links, see [`Command::Direct`](super::Command::Direct).
///
/// One request at a time waits for a message, a call, a response, a stream or bytes: of two, the earlier one fails with
/// [`DirectError::TakenOver`].
#[derive(Clone, Debug)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum DirectCommand {
    /// Open a direct link. Done once the other end has agreed. → [`Reply::Direct`](super::Reply::Direct)
    Open {
        /// Drawn at random.
        id: DirectId,
        /// The group in which both are members.
        group: GroupId,
        /// To whom.
        to: DirectTo,
        /// For people and programs at the other end. At most
        /// [`DIRECT_WORDS_BYTES_MAX`](crate::limits::DIRECT_WORDS_BYTES_MAX).
        purpose: String,
    },
    /// Decide who may open direct links to this node in a group, until it closes. At first the application is
    /// [asked](DirectAdmit::Ask). Those that are open stay. → [`Reply::Ok`](super::Reply::Ok)
    Admit {
        /// The group.
        group: GroupId,
        /// The members that may.
        admit: DirectAdmit,
    },
    /// Agree to a direct link that somebody [asks](DirectChange::Asked) for. → [`Reply::Ok`](super::Reply::Ok)
    Accept {
        /// Which.
        id: DirectId,
    },
    /// Refuse one. → [`Reply::Ok`](super::Reply::Ok)
    Refuse {
        /// Which.
        id: DirectId,
        /// Words for the other end, at most [`DIRECT_WORDS_BYTES_MAX`](crate::limits::DIRECT_WORDS_BYTES_MAX).
        why: String,
    },
    /// The direct links of this node, those included that are being opened. → [`Reply::Directs`](super::Reply::Directs)
    List,
    /// Close a direct link, or give up opening it. The other end is told. → [`Reply::Ok`](super::Reply::Ok)
    Close {
        /// Which.
        id: DirectId,
    },
    /// Send a message. Done once the other node has it; all of one sender come in their order, each once. While the other
    /// application does not take what it has, messages wait, as long as there is
    /// [room](crate::limits::DIRECT_WAITING_MAX). → [`Reply::Ok`](super::Reply::Ok)
    Send {
        /// Over which direct link.
        id: DirectId,
        /// The message. It has a type.
        message: DirectMessage,
        /// Whether only the latest message of its type counts: one that is not yet sent, or not yet taken, gives way to it, and
        /// its order among others does not matter. Done at once.
        latest: bool,
    },
    /// Wait for the next message. → [`Reply::Message`](super::Reply::Message)
    Receive {
        /// Over which direct link.
        id: DirectId,
    },
    /// Serve calls of a name on all direct links of a group, until [`StopServing`](Self::StopServing) or the node closes. Calls
    /// of other names fail at their callers. → [`Reply::Ok`](super::Reply::Ok)
    Serve {
        /// The group.
        group: GroupId,
        /// 1 to [`DIRECT_NAME_BYTES_MAX`](crate::limits::DIRECT_NAME_BYTES_MAX).
        name: String,
    },
    /// Serve it no longer. Calls that wait fail at their callers. → [`Reply::Ok`](super::Reply::Ok)
    StopServing {
        /// The group.
        group: GroupId,
        /// As it was given.
        name: String,
    },
    /// Wait for the next call of a name that is served. → [`Reply::Call`](super::Reply::Call)
    NextCall {
        /// The group.
        group: GroupId,
        /// As it was given.
        name: String,
    },
    /// Call somebody who serves this name. Done at once; wait for the [responses](Self::Response). →
    /// [`Reply::Channel`](super::Reply::Channel)
    Call {
        /// Over which direct link.
        id: DirectId,
        /// 1 to [`DIRECT_NAME_BYTES_MAX`](crate::limits::DIRECT_NAME_BYTES_MAX).
        name: String,
        /// The content. Its type is left out.
        request: DirectMessage,
        /// After this the call is given up, whether it has had responses or not.
        within: Option<Duration>,
    },
    /// Send a response to a call. Done once the other node has it. → [`Reply::Ok`](super::Reply::Ok)
    Respond {
        /// Over which direct link.
        id: DirectId,
        /// The call.
        call: ChannelId,
        /// The content. Its type is left out.
        response: DirectMessage,
        /// Whether it is the last one.
        last: bool,
    },
    /// Wait for the next response to a call. A server that waits for one learns that its caller has given up. →
    /// [`Reply::Response`](super::Reply::Response)
    Response {
        /// Over which direct link.
        id: DirectId,
        /// The call.
        call: ChannelId,
    },
    /// Begin a stream. Done at once. → [`Reply::Channel`](super::Reply::Channel)
    Stream {
        /// Over which direct link.
        id: DirectId,
        /// 1 to [`DIRECT_NAME_BYTES_MAX`](crate::limits::DIRECT_NAME_BYTES_MAX).
        name: String,
    },
    /// Wait for the next stream that the other end begins. → [`Reply::Stream`](super::Reply::Stream)
    NextStream {
        /// Over which direct link.
        id: DirectId,
    },
    /// Write to a stream. Done once that is on its way or in its place to be; so it waits while the other end does not read. →
    /// [`Reply::Ok`](super::Reply::Ok)
    Write {
        /// Over which direct link.
        id: DirectId,
        /// The stream.
        stream: ChannelId,
        /// At most [`DIRECT_WRITE_BYTES_MAX`](crate::limits::DIRECT_WRITE_BYTES_MAX).
        bytes: Bytes,
    },
    /// Write no more: the other end reads the end after all that was written. Also ends the responses to a call. →
    /// [`Reply::Ok`](super::Reply::Ok)
    Finish {
        /// Over which direct link.
        id: DirectId,
        /// The stream, or call.
        channel: ChannelId,
    },
    /// Read from a stream, at least one byte. → [`Reply::Bytes`](super::Reply::Bytes), empty at the end
    Read {
        /// Over which direct link.
        id: DirectId,
        /// The stream.
        stream: ChannelId,
        /// At most so many bytes.
        most: usize,
    },
    /// Give up a call or a stream, in both directions. Bytes that were not read are lost, and the other end is told. →
    /// [`Reply::Ok`](super::Reply::Ok)
    Reset {
        /// Over which direct link.
        id: DirectId,
        /// The call, or stream.
        channel: ChannelId,
        /// Words for the other end, at most [`DIRECT_WORDS_BYTES_MAX`](crate::limits::DIRECT_WORDS_BYTES_MAX).
        why: String,
    },
}

/// The other end of a direct link that is to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum DirectTo {
    /// Any node of a member that is here.
    Peer(PeerId),
    /// This node.
    Node(NodeId),
}

/// The members that may open direct links to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum DirectAdmit {
    /// The application is asked each time, see [`DirectChange::Asked`].
    Ask,
    /// Each member.
    Members,
    /// Members that have this role, or this application role.
    Role(String),
    /// Nobody.
    Nobody,
}

/// A direct link as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct DirectInfo {
    /// Its name here.
    pub id: DirectId,
    /// The group.
    pub group: GroupId,
    /// The member at its other end.
    pub peer: PeerId,
    /// Its node.
    pub node: NodeId,
    /// As the end that opened it says. Never trust it if that is the other one.
    pub purpose: String,
    /// Whether we opened it.
    pub ours: bool,
    /// How far it is.
    pub state: DirectState,
}

/// How far a direct link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum DirectState {
    /// A link to the other node is looked for.
    Seeking,
    /// The other end is asked.
    Asking,
    /// Our application is asked.
    Asked,
    /// It can be used.
    Open,
    /// It can be used, and nothing comes or goes, since its link is lost; another one is looked for.
    Apart,
}

/// A change of a direct link, see [`Event::Direct`](super::Event::Direct).
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum DirectChange {
    /// Somebody asks for it: [`Accept`](DirectCommand::Accept) or [`Refuse`](DirectCommand::Refuse). After
    /// [`DIRECT_ANSWER_WITHIN`](crate::limits::DIRECT_ANSWER_WITHIN) it is refused.
    Asked,
    /// It can be used from here on.
    Connected,
    /// It is over, or what somebody has asked for is asked no longer.
    Closed(DirectError),
}

/// A message, a request or a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct DirectMessage {
    /// The type of a message, such as `move`. Nothing in calls.
    pub kind: Option<RecordType>,
    /// At most [`DIRECT_MESSAGE_BYTES_MAX`](crate::limits::DIRECT_MESSAGE_BYTES_MAX). If it came from others: never trust it.
    pub payload: Bytes,
    /// The form of the payload, such as `application/json`, of at most
    /// [`MEDIA_TYPE_MAX`](crate::limits::MEDIA_TYPE_MAX) bytes.
    pub media_type: Option<String>,
}

/// A call that came.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct DirectCall {
    /// The direct link over which it came.
    pub id: DirectId,
    /// Its name, to [respond](DirectCommand::Respond).
    pub call: ChannelId,
    /// The caller.
    pub peer: PeerId,
    /// Its node.
    pub node: NodeId,
    /// The request.
    pub request: DirectMessage,
    /// How long it waits for the last response, from when the call came.
    pub within: Option<Duration>,
}

/// Why something about a direct link failed, or why it ended. Each says what can be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum DirectError {
    /// No node of the member is here.
    #[error("that member is not here; try again when it is")]
    NotHere,
    /// There is no way to its node.
    #[error("that member says that it is here, and there is no way to it; try again later")]
    Unreachable,
    /// Its policy admits no such member.
    #[error("that member admits no direct links of yours")]
    NotAdmitted,
    /// It refuses, with these words, which may be empty and are its own.
    #[error("that member refuses: {0}")]
    Declined(String),
    /// Nobody answered there.
    #[error("nobody answered there; try again later")]
    NoAnswer,
    /// There are too many direct links, there or here.
    #[error("there are too many direct links there or here; close some")]
    TooMany,
    /// A membership does not stand, or has ended.
    #[error("a membership has ended; ask an administrator")]
    NotStanding,
    /// This end closed it.
    #[error("this direct link was closed")]
    Closed,
    /// The other end closed it.
    #[error("the other end has closed this direct link")]
    ClosedThere,
    /// The other node is gone, or there is no way to it any longer.
    #[error("the other node is gone; open another direct link when it is back")]
    Lost,
    /// The other end broke the protocol.
    #[error("the other end broke the protocol; update it, or do without it")]
    Broken,
    /// There is no such direct link, call or stream, or it is over.
    #[error("there is no such direct link, call or stream")]
    Unknown,
    /// A name, a purpose, words, or a message that are empty or too long.
    #[error(
        "a message has at most 65,536 bytes, a name 1 to 64, a purpose 256; use a stream for more"
    )]
    TooLong,
    /// Nobody serves calls of this name there.
    #[error("nobody serves that there")]
    NotServed,
    /// The deadline of the call has passed.
    #[error("there was no answer in time")]
    TimedOut,
    /// The other end has given up the call or stream, with these words, which may be empty and are its own.
    #[error("the other end has given up: {0}")]
    Reset(String),
    /// Another one waits for the same.
    #[error("somebody else waits for the same; wait in one place")]
    TakenOver,
}

impl DirectError {
    /// A short stable word for programs, the same in every host.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotHere => "not-here",
            Self::Unreachable => "unreachable",
            Self::NotAdmitted => "not-admitted",
            Self::Declined(_) => "declined",
            Self::NoAnswer => "no-answer",
            Self::TooMany => "too-many-directs",
            Self::NotStanding => "not-standing",
            Self::Closed => "closed",
            Self::ClosedThere => "closed-there",
            Self::Lost => "lost",
            Self::Broken => "broken",
            Self::Unknown => "unknown-direct",
            Self::TooLong => "too-long",
            Self::NotServed => "not-served",
            Self::TimedOut => "timed-out",
            Self::Reset(_) => "reset",
            Self::TakenOver => "another-waits",
        }
    }
}
