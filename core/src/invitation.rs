//! Invitations: what lets somebody join, as a value and as a link.
//!
//! A **bound** invitation carries a membership that was issued to one identity; it is useless to others, and
//! can be used while no inviter is online. A **bearer** invitation carries a secret: whoever holds the link
//! can ask an inviting member for a membership. The secret's public key stands in a signed record of the group, so
//! that the group never holds the secret. The newcomer proves that it has the secret by signing the group
//! and its own peer id with it and with its own key ([`Proof`]): nobody else can use that proof. A **password**
//! invitation holds no secret: the newcomer proves the password to its maker (`password.rs`).
//!
//! # Text
//!
//! `pgi2` and base64url of some bytes and a check sum, the first 4 bytes of their SHA-256; it stands in the fragment of a
//! link, `https://host/#pgi2…`, which browsers do not send to the host. The digit is the version.
//!
//! Bearer and password invitations are **short** (`short.rs`): the whole link has at most [`LINK_CHARS_MAX`] characters where
//! the URLs of page and node are of ordinary length. Names and certificates follow on the link to a member, and are
//! checked against the group's id and the [`RootPin`]; [`Command::Preview`](crate::io::Command::Preview) asks for them before
//! joining. Bound invitations are **long** (`long.rs`), since they work alone: a text or a file of some thousand characters.
//!
//! The bytes are in base64url, and not in an alphabet of QR codes. In base 32, in capitals, the code of the longest short link
//! has 49 modules a side and not 53, but the link has 257 characters and not 220 (measured, `native/src/cli/qr.rs`). Links are
//! sent more often than they are drawn, and zbar reads 53 modules at 200 pixels, tilted and blurred.
use crate::address::Address;
use crate::cert::{CertError, Certificate, Role, VerifiedChain, verify_chain};
use crate::id::{GroupId, PeerId, PeerPrefix, RecordId, RootPin};
use crate::key::Verify;
use crate::limits::{
    CERTIFICATE_BYTES_MAX, CERTIFICATE_CLOCK_SKEW, CERTIFICATES_MAX, INVITATION_TEXT_MAX,
};
use crate::node_url::NodeUrl;
use crate::policy::{Grant, Policy};
use crate::time::WallTime;
use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest as _, Sha256};
use std::fmt;
use zeroize::Zeroizing;

mod find;
mod long;
mod secret;
mod short;
#[cfg(test)]
mod tests;

pub(crate) use secret::proof_message;
pub use secret::{BearerSecret, Proof};

/// An invitation, which lets somebody join. Anybody who sees a bearer one can use it: `Debug` does not show the secret,
/// [`to_text`](Self::to_text) and [`to_link`](Self::to_link) do.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Invitation {
    /// The group.
    pub group: GroupId,
    /// The root certificate that it has: a newcomer accepts no other.
    pub root: RootPin,
    /// The member who made the invitation; of a bound one, who issued the membership.
    pub inviter: PeerPrefix,
    /// Nodes at which members can be found, the most useful first. At most
    /// [`INVITATION_NODES_MAX`](crate::limits::INVITATION_NODES_MAX).
    pub nodes: Vec<NodeUrl>,
    /// Where the inviter can be dialled, the most useful first. At most
    /// [`ADDRESSES_MAX`](crate::limits::ADDRESSES_MAX); what finds no room in a short link is not written.
    pub addresses: Vec<Address>,
    /// When it ends, if that is known. A short link says it in seconds, rounded up.
    pub expires: Option<WallTime>,
    /// The membership that it leads to.
    pub kind: InvitationKind,
}

/// The way in which an invitation leads to a membership.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum InvitationKind {
    /// A membership for one identity.
    Bound {
        /// Root first, the invitee's certificate last.
        chain: Vec<Certificate>,
        /// The invitee.
        for_peer: PeerId,
        /// The friendly name of the inviter. Nobody vouches for it.
        inviter: String,
    },
    /// The right to ask for a membership.
    Bearer {
        /// The record of the group that names the public key of `secret`. Its maker knows it; a link does not carry it.
        id: Option<RecordId>,
        /// Proves the right.
        secret: BearerSecret,
        /// The role of members by this invitation, as the inviter says; the record decides.
        role: Role,
    },
    /// The right to ask for a membership, for who knows a password.
    Password {
        /// The record of the group that announces it.
        id: RecordId,
        /// As above.
        role: Role,
    },
}

/// Whether newcomers can use an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum InvitationState {
    /// They can, as far as is known.
    Usable,
    /// As many have joined by it as may.
    UsedUp,
    /// Its time is over.
    Expired,
    /// It was taken back.
    Withdrawn,
    /// Its time has not begun: or a clock is wrong.
    NotYetValid,
    /// The member that was asked does not know it.
    Unknown,
}

impl InvitationState {
    /// The state of an invitation that is good for so many uses until `expires`.
    pub(crate) fn of(uses: Option<u32>, used: u32, expires: WallTime, now: WallTime) -> Self {
        match uses {
            _ if expires < now => Self::Expired,
            Some(uses) if used >= uses => Self::UsedUp,
            Some(_) | None => Self::Usable,
        }
    }

    /// A short stable word for programs, the same in every host.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Usable => "usable",
            Self::UsedUp => "used-up",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::NotYetValid => "not-yet-valid",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for InvitationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Usable => "usable",
            Self::UsedUp => "used up",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::NotYetValid => "not yet valid, or a clock is wrong",
            Self::Unknown => "not known there",
        })
    }
}

/// The content of an invitation by itself, without secrets. Nothing of a short one is verified: the group is asked for the
/// rest, see [`Preview`](crate::io::Preview).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The group.
    pub group: GroupId,
    /// Its friendly name, as its root certificate says; of a bound invitation only.
    pub name: Option<String>,
    /// The member who made it.
    pub inviter: PeerPrefix,
    /// The inviter's friendly name, for which nobody vouches; of a bound invitation only.
    pub inviter_name: Option<String>,
    /// The role of the invited; nothing if the certificates say nothing.
    pub role: Option<Role>,
    /// Their roles of the application; nothing if it does not say: a short one does not.
    pub app_roles: Option<Vec<String>>,
    /// Whether it needs a password.
    pub password: bool,
    /// For whom it is, with the friendly name that was given then; nothing if for whoever holds it.
    pub invitee: Option<(PeerId, String)>,
    /// When it ends, if that is known.
    pub expires: Option<WallTime>,
    /// Nodes at which members can be found.
    pub nodes: Vec<NodeUrl>,
    /// Where the inviter can be dialled.
    pub addresses: Vec<Address>,
}

/// Why an invitation cannot be used, as far as it and the clock tell. Shown as the [`Error`](crate::error::Error) that it
/// becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unusable {
    /// Its time is over by our clock.
    Ended {
        /// When it ended.
        ended: WallTime,
        /// The time that our clock shows.
        shows: WallTime,
    },
    /// Its time has not begun by our clock.
    NotYetValid(WallTime),
    /// It is bound to another identity.
    ForAnother,
    /// The certificates of a bound one do not hold.
    NotGenuine(CertError),
}

/// Why a text is not an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvitationError {
    /// Something else, or nonsense that somebody made with care.
    #[error("this is not an invitation; paste the whole link that you were sent")]
    NotAnInvitation,
    /// The check sum does not fit.
    #[error("this invitation is cut off or mistyped; copy the whole link again")]
    Truncated,
    /// Longer than [`TEXT_CHARS_MAX`].
    #[error("this text is too long for an invitation; paste the link alone")]
    TooLong,
    /// Made by another release.
    #[error("this invitation was made by another version of this program; update the older one")]
    Version,
}

const MAGIC: &str = "pgi";
const VERSION: char = '2';
const CHECK_BYTES: usize = 4;

/// Longest link of a short invitation, page and all. Characters. Source: design. Where the URL of the first node does not
/// fit, the link is longer.
pub const LINK_CHARS_MAX: usize = 220;

/// Longest text that is read. Bytes. Source: the longest chain that there can be, in base64, and as much again
/// as an invitation without it has at most. [`fits_code`](Invitation::fits_code) tells what fits a QR code.
pub const TEXT_CHARS_MAX: usize = CERTIFICATES_MAX * CERTIFICATE_BYTES_MAX / 3 * 4 + 16 * 1024;

impl Invitation {
    /// Whether `me` can use this at `now`, as far as one can tell without asking the group.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn check(&self, me: PeerId, now: WallTime, verify: Verify) -> Result<(), Unusable> {
        if let InvitationKind::Bound { for_peer, .. } = &self.kind {
            let chain = self.verified(verify).map_err(Unusable::NotGenuine)?;
            if *for_peer != me || chain.peer() != me {
                return Err(Unusable::ForAnother);
            }
            if !chain.covers(now) {
                let begin = chain.not_before();
                let early = now < begin;
                return Err(if early {
                    Unusable::NotYetValid(begin)
                } else {
                    Unusable::Ended { ended: chain.not_after(), shows: now }
                });
            }
        }
        let ended = |end: &WallTime| end.after(CERTIFICATE_CLOCK_SKEW) < now;
        match self.expires.filter(ended) {
            Some(ended) => Err(Unusable::Ended { ended, shows: now }),
            None => Ok(()),
        }
    }

    /// The same for who tries to join by this: what speaks against it at a clock that may be wrong. A bound one that has not
    /// begun shows that the clock is behind; by a link or a password, members say whether it has ended.
    pub(crate) fn doubt(
        &self,
        me: PeerId,
        now: WallTime,
        verify: Verify,
    ) -> Result<Option<Unusable>, Unusable> {
        let bound = matches!(self.kind, InvitationKind::Bound { .. });
        match self.check(me, now, verify) {
            Err(Unusable::NotYetValid(_)) | Ok(()) => Ok(None),
            Err(ended @ Unusable::Ended { .. }) if !bound => Ok(Some(ended)),
            Err(error) => Err(error),
        }
    }

    /// Whether newcomers can use this, as far as it says itself. Unlike [`check`](Self::check), which leaves some time for
    /// clocks that are wrong, this calls it expired when it is.
    pub fn state(&self, now: WallTime) -> InvitationState {
        let leaf = match &self.kind {
            InvitationKind::Bound { chain, .. } => chain.last(),
            InvitationKind::Bearer { .. } | InvitationKind::Password { .. } => None,
        };
        let begin =
            leaf.map_or(WallTime(0), |leaf| leaf.not_before().before(CERTIFICATE_CLOCK_SKEW));
        let end = self.expires.or(leaf.map(Certificate::not_after));
        match end {
            _ if now < begin => InvitationState::NotYetValid,
            Some(end) if end < now => InvitationState::Expired,
            Some(_) | None => InvitationState::Usable,
        }
    }

    /// The verified membership of a bound invitation; [`CertError::Kind`] for others.
    pub fn verified(&self, verify: Verify) -> Result<VerifiedChain, CertError> {
        let InvitationKind::Bound { chain, .. } = &self.kind else { return Err(CertError::Kind) };
        if chain.first().map(|root| RootPin::of(root.der())) != Some(self.root) {
            return Err(CertError::OtherGroup);
        }
        verify_chain(chain, self.group, verify)
    }

    /// The rules that the creator of the group set; of a bound invitation only.
    pub fn policy(&self) -> Option<&Policy> {
        match &self.kind {
            InvitationKind::Bound { chain, .. } => chain.first().map(Certificate::policy),
            InvitationKind::Bearer { .. } | InvitationKind::Password { .. } => None,
        }
    }

    /// The record of the group that announces it, if that is known.
    pub fn id(&self) -> Option<RecordId> {
        match self.kind {
            InvitationKind::Bound { .. } => None,
            InvitationKind::Bearer { id, .. } => id,
            InvitationKind::Password { id, .. } => Some(id),
        }
    }

    /// The content of the invitation by itself.
    pub fn summary(&self) -> Summary {
        let mut summary = Summary {
            group: self.group,
            name: None,
            inviter: self.inviter,
            inviter_name: None,
            role: None,
            app_roles: None,
            password: matches!(self.kind, InvitationKind::Password { .. }),
            invitee: None,
            expires: self.expires,
            nodes: self.nodes.clone(),
            addresses: self.addresses.clone(),
        };
        match &self.kind {
            InvitationKind::Bound { chain, for_peer, inviter } => {
                let leaf = chain.last();
                let grant: Option<Grant> = leaf.and_then(Certificate::grant);
                let name = leaf.map_or_else(String::new, |leaf| leaf.name().to_owned());
                summary.name = chain.first().map(|root| root.name().to_owned());
                summary.inviter_name = Some(inviter.clone());
                summary.role = grant.as_ref().map(|grant| grant.role);
                summary.app_roles = grant.map(|grant| grant.app_roles);
                summary.invitee = Some((*for_peer, name));
            }
            InvitationKind::Bearer { role, .. } | InvitationKind::Password { role, .. } => {
                summary.role = Some(*role);
            }
        }
        summary
    }

    /// The text that can be used alone. Deterministic. Secret, if this is a bearer invitation.
    pub fn to_text(&self) -> String {
        self.text_below(None)
    }

    /// The link to a page, with the invitation as its fragment. A node of which the page is a part is not named again.
    pub fn to_link(&self, page: &str) -> String {
        let page = page.split('#').next().unwrap_or_default();
        format!("{page}#{}", self.text_below(Some(page)))
    }

    fn text_below(&self, page: Option<&str>) -> String {
        let mut bytes = Zeroizing::new(Vec::with_capacity(1024));
        if short::write(self, page, &mut bytes).is_none() {
            long::write(self, &mut bytes);
        }
        let sum = check_sum(&bytes);
        bytes.extend(sum);
        let mut text = format!("{MAGIC}{VERSION}");
        BASE64URL_NOPAD.encode_append(&bytes, &mut text);
        text
    }

    /// Whether a text is short enough for a QR code.
    pub fn fits_code(text: &str) -> bool {
        text.len() <= INVITATION_TEXT_MAX
    }

    /// Reads a link, a text, or anything that holds one: other text, quotes, line breaks, invisible characters and
    /// percent-encoding do not matter. Whether it can be used is for [`check`](Self::check) to say.
    ///
    /// # Errors
    /// [`InvitationError`].
    pub fn from_text(text: &str) -> Result<Self, InvitationError> {
        if text.len() > TEXT_CHARS_MAX {
            return Err(InvitationError::TooLong);
        }
        let found = find::find(text)?;
        let read = match found.bytes.first() {
            Some(0) => long::read(&found.bytes).map(Ok),
            _ => short::read(&found.bytes, found.page.as_ref()),
        };
        read.ok_or(InvitationError::NotAnInvitation)?
    }
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invitation")
            .field("group", &self.group)
            .field("inviter", &self.inviter)
            .field("expires", &self.expires)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for InvitationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bound { for_peer, .. } => write!(f, "Bound({for_peer:?})"),
            Self::Bearer { id, role, .. } => write!(f, "Bearer({id:?}, {role})"),
            Self::Password { id, role } => write!(f, "Password({id:?}, {role})"),
        }
    }
}

fn check_sum(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let hash: [u8; 32] = Sha256::digest(bytes).into();
    *hash.first_chunk().expect("4 of 32 bytes")
}
