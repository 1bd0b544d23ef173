//! Ways to nodes: over which link something of a node came last.
//!
//! Of nodes that say that they are present there are few for each member, so the ways to them share one table. Anybody may
//! call by signals under ever new node ids: the ways back to those are kept by whose identity called, each with its share
//! ([`CALLERS`]), so that no caller makes us forget the ways to others.
use crate::id::{NodeId, PeerId};
use crate::io::LinkId;
use crate::limits::CALLERS;
use crate::share::Crowd;
use crate::sorted::SortedMap;

/// Ways to nodes that are present. Guess. All are forgotten at the bound, and learnt again.
pub(super) const ROUTES_MAX: usize = 16_384;

/// The ways of one graph.
pub(super) struct Routes {
    present: SortedMap<NodeId, LinkId>,
    callers: SortedMap<NodeId, (LinkId, u64)>,
    crowd: Crowd<PeerId, (u64, NodeId)>,
    heard: u64,
}

impl Default for Routes {
    fn default() -> Self {
        let (present, callers) = (SortedMap::new(), SortedMap::new());
        Self { present, callers, crowd: Crowd::new(CALLERS), heard: 0 }
    }
}

impl Routes {
    /// The way to a node.
    pub(super) fn way(&self, node: NodeId) -> Option<LinkId> {
        let caller = || self.callers.get(&node).map(|(link, _)| *link);
        self.present.get(&node).copied().or_else(caller)
    }

    /// A node said over a link that it is present, or a node that is present called.
    pub(super) fn present(&mut self, node: NodeId, link: LinkId) {
        if self.present.len() >= ROUTES_MAX {
            self.present.clear();
        }
        self.present.insert(node, link);
    }

    /// A node of a peer called over a link.
    pub(super) fn called(&mut self, node: NodeId, peer: PeerId, link: LinkId) {
        if let Some(known) = self.present.get_mut(&node) {
            *known = link;
            return;
        }
        self.heard += 1;
        if let Some((_, before)) = self.callers.insert(node, (link, self.heard)) {
            self.crowd.leave(&(before, node));
        }
        if let Some((_, gone)) = self.crowd.enter(&peer, (self.heard, node)) {
            self.callers.remove(&gone);
        }
    }

    /// Ways over a lost link lead nowhere.
    pub(super) fn forget(&mut self, link: LinkId) {
        self.present.retain(|_, way| *way != link);
        let crowd = &mut self.crowd;
        self.callers.retain(|&node, (way, heard)| {
            let stays = *way != link;
            if !stays {
                crowd.leave(&(*heard, node));
            }
            stays
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::testing::peer;

    /// Goal: whoever calls under ever new node ids makes us forget no other's way. Method: one peer calls as often as there
    /// are ways, between the calls of others.
    #[test]
    fn one_caller_at_its_maximum_leaves_every_other_its_way() {
        let mut routes = Routes::default();
        routes.present(NodeId(1), LinkId(1));
        let others = CALLERS.all() / 2;
        for n in 0..others {
            routes.called(NodeId(1_000 + n), peer(n), LinkId(2));
            for k in 0..8 {
                routes.called(NodeId(1_000_000 + 8 * n + k), peer(u64::MAX), LinkId(3));
            }
        }
        assert_eq!(routes.way(NodeId(1)), Some(LinkId(1)));
        assert!((0..others).all(|n| routes.way(NodeId(1_000 + n)) == Some(LinkId(2))));
        assert_eq!(routes.callers.len() as u64, others + CALLERS.each());
        routes.called(NodeId(1), peer(0), LinkId(4));
        assert_eq!(routes.way(NodeId(1)), Some(LinkId(4)), "the newest way");
        routes.forget(LinkId(2));
        routes.forget(LinkId(4));
        assert_eq!(routes.crowd.len(), routes.callers.len());
        assert_eq!(routes.way(NodeId(1)), None);
    }
}
