//! Direct links: the members of a group, and the links that it opens for these.
use super::{Ctx, Group};
use crate::address::Address;
use crate::cert::{self, VerifiedChain};
use crate::error::Error;
use crate::id::{NodeId, PeerId};
use crate::io::{Dial, DirectTo, LinkId, Output};
use crate::link::{Begun, Links};
use crate::reach::purpose::Purpose;
use crate::time::WallTime;
use rand_chacha::rand_core::Rng as _;

impl Group {
    /// Our membership as it is shown to others, if it stands.
    pub(crate) fn standing_chain(&self, ctx: &Ctx<'_>) -> Result<Vec<u8>, Error> {
        Ok(cert::encode_chain(self.valid_chain(ctx)?.certificates()))
    }

    /// Whether a membership that a peer has shown stands, or a later one does.
    pub(crate) fn stands(&self, chain: &VerifiedChain, wall: WallTime) -> bool {
        let now = self.clock(wall);
        let mut known = self.roll.best_of(chain.peer(), now).into_iter().chain([chain]);
        let stands = known.any(|chain| self.roll.standing(chain, now).is_member());
        stands && !self.is_put_out(chain.peer(), now)
    }

    /// The best membership that we know of the subject of this one.
    pub(crate) fn best_chain<'a>(
        &'a self,
        chain: &'a VerifiedChain,
        wall: WallTime,
    ) -> &'a VerifiedChain {
        self.roll.best_of(chain.peer(), self.clock(wall)).unwrap_or(chain)
    }

    /// The nodes that are meant and may be here, best first: those with a link, then those that say that they are.
    pub(crate) fn nodes_meant(
        &self,
        ctx: &Ctx<'_>,
        links: &Links,
        to: DirectTo,
    ) -> Vec<(PeerId, NodeId)> {
        let meant = |peer: PeerId, node: NodeId| match to {
            DirectTo::Peer(it) => it == peer,
            DirectTo::Node(it) => it == node,
        };
        let linked = self.slots.values().map(|slot| (slot.peer, slot.node));
        let others = links.iter().filter_map(|(link, _)| links.ready(link));
        let linked = linked.chain(others.map(|ready| (ready.peer, ready.node)));
        let here = self.present.iter().filter(|(node, _)| !self.silence.is_silent(**node));
        let mut here: Vec<_> = here.map(|(&node, it)| (it.sign, it.peer, node)).collect();
        here.sort_unstable_by_key(|(sign, ..)| std::cmp::Reverse(*sign));
        let mut found = Vec::new();
        for (peer, node) in linked.chain(here.into_iter().map(|(_, peer, node)| (peer, node))) {
            let new = !found.contains(&(peer, node)) && node != ctx.node;
            if new && meant(peer, node) && self.knows_member(peer, ctx.now.wall) {
                found.push((peer, node));
            }
        }
        found
    }

    /// Where a node can be dialled, as far as that is known.
    pub(crate) fn addresses_of(&mut self, node: NodeId) -> Vec<Address> {
        let own = self.present.get(&node).map_or(&[][..], |present| &present.addresses);
        self.referrals.addresses(node, own)
    }

    /// Offers a link to a node over the graph, which is not to be a neighbour.
    pub(crate) fn offer_direct(
        &self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        node: NodeId,
    ) -> Option<LinkId> {
        if !self.can_signal() || !links.may_begin(Some(self.id)) {
            return None;
        }
        let link = links.create(ctx.now, Begun::Ours(Some(self.id)));
        let attempt = ctx.rng.next_u64();
        ctx.ways.offer_over_graph(link, self.id, node, attempt);
        ctx.purposes.insert(link, Purpose::default());
        ctx.out.push_back(Output::Open { link, dial: Dial::Offer });
        Some(link)
    }
}
