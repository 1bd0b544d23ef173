//! Errors: what the application sees.
use super::{DirectError, StoreFault, Tried};
use crate::cert::CertError;
use crate::invitation::Unusable;
use crate::search::QueryError;
use crate::time::WallTime;
use std::fmt;

pub use crate::fault::Misbehaved;
pub use crate::record::BadRecord;

/// Why a command failed. Each says what the caller can do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Error {
    /// The group is not one of this node's.
    #[error("this node is not in that group; join it with an invitation first")]
    UnknownGroup,
    /// The node has [`GROUPS_MAX`](crate::limits::GROUPS_MAX) groups.
    #[error("too many groups; leave one first")]
    TooManyGroups,
    /// The group name does not pass [`check_name`](crate::name::check_name).
    #[error(
        "a name has 1 to 255 characters, at least one that can be seen, and none that controls or turns the text around it"
    )]
    BadName,
    /// Our role does not allow it.
    #[error("your role in this group does not allow that; ask an administrator")]
    NotAllowed,
    /// Only an administrator that is senior to the member may do it.
    #[error(
        "that member is senior to you in this group; ask the owner, or a more senior administrator"
    )]
    NotSenior,
    /// Only with the group's own key.
    #[error("only the owner of the group may change that")]
    NotOwner,
    /// The member has not offered itself as the next owner, or not since the group was handed over last.
    #[error(
        "that member has not offered to become the owner of this group; ask it to offer itself"
    )]
    NotOffered,
    /// We are the owner already.
    #[error("you are the owner of this group already")]
    AlreadyOwner,
    /// The group has had [as many owners' keys](crate::limits::HEIRS_MAX) as it can.
    #[error("the key of this group was replaced as often as it can be; make another group")]
    HandedOverTooOften,
    /// Nobody of this id is known in the group.
    #[error("there is no such member in this group; list its members")]
    UnknownMember,
    /// The invitation is not open.
    #[error("there is no such invitation, or it is not open any more")]
    UnknownInvitation,
    /// A revocation can name so many records and certificates, and there are more.
    #[error("they published more than a revocation can keep; revoke without keeping their records")]
    TooMuchToKeep,
    /// The group's policy cannot be.
    #[error("the policy is not possible: {0}")]
    BadPolicy(CertError),
    /// Our membership was revoked.
    #[error("your membership of this group was revoked; ask for a new invitation")]
    Revoked,
    /// Our membership has ended.
    #[error("your membership of this group has expired; ask for a new invitation")]
    MembershipExpired,
    /// Too many invitations are open, or `uses` is 0, or it would outlive the inviter's membership.
    #[error("the invitation cannot be made: {0}")]
    BadInvite(crate::provider::Why),
    /// Our clock shows a time before [this program was made](crate::limits::RELEASED): nothing that lasts is signed by it.
    #[error(
        "the clock of this device says {0}, which is before this program was made; set the clock and try again"
    )]
    ClockBehind(WallTime),
    /// The invitation's time is over.
    #[error("this invitation has expired; ask for a new one")]
    InvitationExpired,
    /// The invitation's time is over by our clock, and nobody was asked.
    #[error(
        "this invitation ended on {ended}, and the clock of this device says {shows}; if that clock is wrong, set it and try again, else ask for a new invitation"
    )]
    InvitationEnded {
        /// When it ended.
        ended: WallTime,
        /// The time that our clock shows.
        shows: WallTime,
    },
    /// The invitation's time has not begun by our clock.
    #[error(
        "this invitation is valid from {0} on; if it is later than that, the clock of this device is wrong: set it and try again"
    )]
    InvitationNotYetValid(WallTime),
    /// The invitation is bound to another identity.
    #[error("this invitation is for somebody else; ask for one that is bound to your identity")]
    InvitationForAnother,
    /// The invitation's certificates do not hold.
    #[error("this invitation is not genuine: {0}")]
    InvitationInvalid(CertError),
    /// Nobody who can redeem the invitation was found in time: what was tried, and what to do.
    #[error("no member who can let you in was found: {0}")]
    NobodyFound(Box<Tried>),
    /// All places for named nodes are taken by nodes that are linked.
    #[error("too many nodes are named; name fewer")]
    TooManyNodes,
    /// Nobody who can tell what the invitation is about was found in time: what was tried, and what to do.
    #[error("no member who tells what this invitation is about was reached: {0}")]
    NobodyToAsk(Box<Tried>),
    /// As many have joined by the invitation as may, says who can let us in.
    #[error("this invitation is used up; ask for a new one")]
    InvitationUsedUp,
    /// The invitation was taken back, says who can let us in.
    #[error("this invitation was withdrawn; ask for a new one")]
    InvitationWithdrawn,
    /// The member who knows the password was found, and it is another one.
    #[error("the password is wrong; ask for it again")]
    WrongPassword,
    /// Passwords were tried too often.
    #[error("too many tries; wait {} s and try again", .0.as_secs().max(1))]
    TooManyTries(std::time::Duration),
    /// The invitation is by password, and there is none.
    #[error("this invitation needs a password; ask who sent it to you")]
    PasswordNeeded,
    /// The record to replace or delete is not in the store.
    #[error("there is no such record")]
    UnknownRecord,
    /// A text or a JSON value is no query: where, and why.
    #[error("this is no query: {0}")]
    BadQuery(QueryError),
    /// The query is followed no longer, or never was.
    #[error("that query is followed no longer; ask again")]
    UnknownQuery,
    /// The search takes more than [`SEARCH_STEPS_MAX`](crate::limits::SEARCH_STEPS_MAX) steps.
    #[error("too much has to be looked at; begin words with letters instead of *, or ask for less")]
    TooBroad,
    /// Another version of the record stands than the change was made for.
    #[error("the record was changed meanwhile; look at the other change, and try again")]
    ChangedMeanwhile,
    /// The record to replace is somebody else's.
    #[error("only its creator can change or delete this record")]
    NotYourRecord,
    /// The record breaks a rule.
    #[error("the record cannot be published: {0}")]
    BadRecord(BadRecord),
    /// Our own security provider does not let it be published.
    #[error("it is not let in here: {0}")]
    NotValid(crate::provider::Why),
    /// We hold as many records of this kind in the group, or as many bytes of them, as one member may.
    #[error(
        "you have published as much in this group as its policy allows a member; shorten large records, or wait until some expire"
    )]
    Quota,
    /// The group holds [as many records](crate::limits::RECORDS) as it can, or this node as many of another kind.
    #[error("the group holds as many records as it can; delete some, or wait until some expire")]
    TooManyRecords,
    /// The message to all is longer than [`BROADCAST_BYTES_MAX`](crate::limits::BROADCAST_BYTES_MAX), or its media type than
    /// [`MEDIA_TYPE_MAX`](crate::limits::MEDIA_TYPE_MAX).
    #[error("a message to all who are here has at most 4,096 bytes; publish a record instead")]
    BroadcastTooLong,
    /// A direct link, or something that goes over it, has failed.
    #[error("{0}")]
    Direct(DirectError),
    /// The store failed; nothing was published.
    #[error("{0}")]
    Store(StoreFault),
    /// The node closes.
    #[error("the node is closing")]
    Closing,
    /// Too many requests wait.
    #[error("too many requests at once; wait for some to finish")]
    Busy,
}

/// No source: the message has it already.
impl From<BadRecord> for Error {
    fn from(bad: BadRecord) -> Self {
        Self::BadRecord(bad)
    }
}

/// No source: as above.
impl From<DirectError> for Error {
    fn from(why: DirectError) -> Self {
        Self::Direct(why)
    }
}

/// No source: as above.
impl From<QueryError> for Error {
    fn from(why: QueryError) -> Self {
        Self::BadQuery(why)
    }
}

impl From<Unusable> for Error {
    fn from(why: Unusable) -> Self {
        match why {
            Unusable::Ended { ended, shows } => Self::InvitationEnded { ended, shows },
            Unusable::NotYetValid(begin) => Self::InvitationNotYetValid(begin),
            Unusable::ForAnother => Self::InvitationForAnother,
            Unusable::NotGenuine(error) => Self::InvitationInvalid(error),
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Error::from(*self).fmt(f)
    }
}

impl std::error::Error for Unusable {}

impl Error {
    /// The attempts to find a member, if nobody was found.
    pub fn tried(&self) -> Option<&Tried> {
        let (Self::NobodyFound(tried) | Self::NobodyToAsk(tried)) = self else { return None };
        Some(tried)
    }

    /// A short stable word for programs, the same in every host.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownGroup => "unknown-group",
            Self::TooManyGroups => "too-many-groups",
            Self::BadName => "bad-name",
            Self::NotAllowed => "not-allowed",
            Self::NotSenior => "not-senior",
            Self::NotOwner => "not-owner",
            Self::NotOffered => "not-offered",
            Self::AlreadyOwner => "already-owner",
            Self::HandedOverTooOften => "handed-over-too-often",
            Self::UnknownMember => "unknown-member",
            Self::UnknownInvitation => "unknown-invitation",
            Self::TooMuchToKeep => "too-much-to-keep",
            Self::BadPolicy(_) => "bad-policy",
            Self::Revoked => "revoked",
            Self::MembershipExpired => "membership-expired",
            Self::ClockBehind(_) => "clock-behind",
            Self::BadInvite(_) => "bad-invite",
            Self::InvitationExpired | Self::InvitationEnded { .. } => "invitation-expired",
            Self::InvitationNotYetValid(_) => "invitation-not-yet-valid",
            Self::InvitationForAnother => "invitation-for-another",
            Self::InvitationInvalid(_) => "invitation-invalid",
            Self::NobodyFound(_) => "nobody-found",
            Self::TooManyNodes => "too-many-nodes",
            Self::NobodyToAsk(_) => "nobody-to-ask",
            Self::InvitationUsedUp => "invitation-used-up",
            Self::InvitationWithdrawn => "invitation-withdrawn",
            Self::WrongPassword => "wrong-password",
            Self::TooManyTries(_) => "too-many-tries",
            Self::PasswordNeeded => "password-needed",
            Self::UnknownRecord => "unknown-record",
            Self::BadQuery(_) => "bad-query",
            Self::UnknownQuery => "unknown-query",
            Self::TooBroad => "too-broad",
            Self::ChangedMeanwhile => "changed-meanwhile",
            Self::NotYourRecord => "not-your-record",
            Self::BadRecord(_) => "bad-record",
            Self::NotValid(_) => "not-valid",
            Self::Quota => "quota",
            Self::TooManyRecords => "too-many-records",
            Self::Store(StoreFault::QuotaExceeded) => "storage-full",
            Self::Store(StoreFault::ReadOnly) => "storage-read-only",
            Self::Store(StoreFault::Broken) => "storage-failed",
            Self::Store(StoreFault::Damaged) => "storage-damaged",
            Self::Store(StoreFault::OtherIdentity) => "storage-of-another",
            Self::Store(StoreFault::OtherVersion) => "storage-of-another-version",
            Self::Closing => "closing",
            Self::BroadcastTooLong => "too-long",
            Self::Direct(why) => why.code(),
            Self::Busy => "busy",
        }
    }
}
