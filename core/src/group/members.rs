//! The members of a group, as the application sees them.
use super::{Ctx, Group};
use crate::id::PeerId;
use crate::io::{Event, MemberInfo};
use crate::limits;
use crate::time::WallTime;

impl Group {
    pub(super) fn tell_of_member(&mut self, ctx: &mut Ctx<'_>, peer: PeerId) {
        // Names of members can be searched for.
        self.found_may_change();
        if let Some(member) = self.member_info(peer, self.clock(ctx.now.wall)) {
            let group = self.id;
            self.event(ctx, Event::Member { group, member });
        }
    }

    /// All members, by peer id.
    pub(crate) fn member_infos(&self, wall: WallTime) -> Vec<MemberInfo> {
        let now = self.clock(wall);
        self.roll.peers().filter_map(|peer| self.member_info(peer, now)).collect()
    }

    fn member_info(&self, peer: PeerId, now: WallTime) -> Option<MemberInfo> {
        let chain = self.roll.best_of(peer, now)?;
        Some(MemberInfo {
            peer,
            name: self.roll.name_of(peer).unwrap_or(chain.name()).to_owned(),
            grant: chain.grant().clone(),
            standing: self.roll.standing(chain, now),
            certificate: chain.id(),
            issuer: chain.issuer().unwrap_or(peer),
            expires: chain.not_after(),
            offers_ownership: self.offers_ownership(peer),
            nodes: {
                let nodes = self.present_of.get(&peer).into_iter().flatten();
                let nodes = nodes.filter(|node| !self.silence.is_silent(**node));
                nodes.take(limits::NODES_PER_PEER_MAX).copied().collect()
            },
        })
    }
}
