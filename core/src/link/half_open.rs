//! Links whose handshake is not complete, and whose share of them is full.
//!
//! Three crowds never compete for places: links that we dial, links of strangers, and links that were offered to us by
//! signals. Each is shared by whoever makes us hold them: the group for which we dial; the place that a stranger comes from,
//! since identities cost nothing; and for signals the member that signed, or the neighbour that brought the signal of somebody
//! whom we do not know.
use crate::id::{GroupId, PeerId};
use crate::io::LinkId;
use crate::limits::{HALF_OPEN_OFFERED, HALF_OPEN_OURS, HALF_OPEN_STRANGERS};
use crate::share::Crowd;
use crate::source::Source;

/// Why a link was begun, and on whose account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// We dial it, or offer it, for a group; or for a node that was named.
    Ours(Option<GroupId>),
    /// A stranger from there dialled us.
    Stranger(Source),
    /// A signal offered it.
    Offered(Offerer),
}

/// On whose account a link is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Offerer {
    /// A member that signed the offer.
    Member(PeerId),
    /// The neighbour, or rendezvous node, that brought the offer of somebody whom we do not know.
    Bringer(PeerId),
}

/// All links whose handshake is not complete.
pub(super) struct HalfOpen {
    ours: Crowd<Option<GroupId>, LinkId>,
    strangers: Crowd<Source, LinkId>,
    offered: Crowd<Offerer, LinkId>,
}

impl Default for HalfOpen {
    fn default() -> Self {
        Self {
            ours: Crowd::new(HALF_OPEN_OURS),
            strangers: Crowd::new(HALF_OPEN_STRANGERS),
            offered: Crowd::new(HALF_OPEN_OFFERED),
        }
    }
}

impl HalfOpen {
    /// A link is begun. Answers the one that gives way to it.
    pub(super) fn begin(&mut self, link: LinkId, begun: Begun) -> Option<LinkId> {
        match begun {
            Begun::Ours(group) => self.ours.enter(&group, link),
            Begun::Stranger(source) => self.strangers.enter(&source, link),
            Begun::Offered(offerer) => self.offered.enter(&offerer, link),
        }
    }

    /// Whether one more of ours for a group takes no other's place.
    pub(super) fn has_room(&self, group: Option<GroupId>) -> bool {
        self.ours.fits(&group).is_ok()
    }

    /// A link is open, or gone.
    pub(super) fn end(&mut self, link: LinkId) {
        let _ = self.ours.leave(&link) || self.strangers.leave(&link) || self.offered.leave(&link);
    }
}
