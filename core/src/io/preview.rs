//! A member's description of an invitation.
use crate::id::{GroupId, PeerId};
use crate::invitation::InvitationState;
use crate::policy::{Grant, Policy};
use crate::time::WallTime;

/// A description of an invitation: told by a member, over a link, before anybody joins.
///
/// Names, policy and grant are as signed by the group's own key, the inviter and those above.
/// Whether the invitation is still open, and how many have used it, is only that member's word.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Preview {
    /// The group.
    pub group: GroupId,
    /// Its name, as its owner set it last; that of the root certificate if the member has no other.
    pub name: String,
    /// The rules of the group, as its creator set them.
    pub policy: Policy,
    /// The member who told it; the invitee's own node for a bound invitation, or a group that it is in.
    pub told_by: PeerId,
    /// The invitation. Nothing if the member knows of none that is open: it was withdrawn or has ended, or the member has
    /// not heard of it yet: see `state`.
    pub open: Option<OpenPreview>,
    /// Whether it can be used, as that member says and by our clock.
    pub state: InvitationState,
}

/// An invitation that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct OpenPreview {
    /// The member who made it.
    pub inviter: PeerId,
    /// The inviter's friendly name, as its membership says. Chosen by its owner: show it as text.
    pub inviter_name: String,
    /// The role and application roles that it grants.
    pub grant: Grant,
    /// How many may join by it; nothing for a bound one.
    pub uses: Option<u32>,
    /// How many did, as far as the member knows.
    pub used: u32,
    /// When it ends.
    pub expires: WallTime,
}

impl OpenPreview {
    /// How many can still join by it; nothing for a bound one.
    pub fn left(&self) -> Option<u32> {
        self.uses.map(|uses| uses.saturating_sub(self.used))
    }
}
