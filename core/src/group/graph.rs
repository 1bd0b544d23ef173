//! The graph on one link: from strangers to neighbours, and back.
//!
//! ```text
//!            we open                                   they open
//!  Opening ──OPENED──► Connecting ──WELCOME──┐   Opened ──CONNECT──► Neighbour
//!     │                    │                 ▼      │
//!     │  (no membership)   └──REFUSE──► Idle │      └──REDEEM──► Guest ──CONNECT──► Neighbour
//!     ├─► Redeeming ──GRANTED─► Connecting   Neighbour
//!     │        └──NOT_GRANTED─► GuestOf
//!     └─► Looking (no join yet: `preview.rs`)
//! ```
//!
//! A node that refuses shows its membership too; one that does not stand, or does not show that it does, is `Refused`, not
//! `Idle`: it may ask again, and nothing else that it says is heard.
//!
//! Two questions are not waited for. A newcomer that meets somebody at a table proves its invitation right behind `OPEN`: who
//! sits there knows of the group, or is the node that has the table, which learns no more by it. A member that grants a
//! membership answers the newcomer's `CONNECT` before it comes, right behind `GRANTED`.
//!
//! Above the maximum we refuse, with referrals, unless who asks has nobody: then a neighbour makes room. How many there
//! are otherwise is the matter of upkeep (`upkeep.rs`). Source: reference 3.3–3.6.
use super::announce::Late;
use super::sync::Syncing;
use super::upkeep::Attempt;
use super::waste::InVain;
use super::withheld::Gate;
use super::{Group, Timer};
use crate::address::Address;
use crate::cert::VerifiedChain;
use crate::config::Config;
use crate::error::Misbehaved;
use crate::group::Ctx;
use crate::id::{Digest, NodeId, PeerId};
use crate::io::{Event, LinkId, Outcome};
use crate::limits;
use crate::link::Links;
use crate::reach::dial::Want;
use crate::reach::tried::Trace;
use crate::roll::Standing;
use crate::time::{Time, WallTime};
use crate::wire::{self, AckOf, Connect, Open, Reason, Refuse, Welcome, kind};
use bytes::Bytes;
use std::time::Duration;
use subtle::ConstantTimeEq as _;

/// How long records are under way that a neighbour has sent before it heard that it is none. Guess: a full queue at a
/// megabyte a second.
const BULK_UNDER_WAY: Duration = Duration::from_secs(60);

/// One graph on one link.
pub(super) struct Slot {
    pub(super) number: u16,
    /// Whether we opened it, or were the one who asked when we became neighbours: we begin to compare stores.
    pub(super) opener: bool,
    pub(super) state: SlotState,
    pub(super) node: NodeId,
    pub(super) peer: PeerId,
    /// The membership that the other end showed.
    pub(super) chain: Option<VerifiedChain>,
    pub(super) addresses: Vec<Address>,
    pub(super) acks: Vec<AckOf>,
    pub(super) late: Late,
    pub(super) utility: u32,
    pub(super) since: Time,
    /// When the last neighbourhood over it ended.
    pub(super) ended: Option<Time>,
    pub(super) sync: Syncing,
    pub(super) synced: bool,
    /// Whether our security provider did not let it be a neighbour.
    pub(super) turned_away: bool,
    /// Whether the application was told that we could not let it in.
    pub(super) not_let_in: bool,
    /// Whether we proved our invitation before the other end answered to `OPEN`.
    pub(super) proved_ahead: bool,
    /// Whether we became its neighbour with the membership that we granted: its `CONNECT` is still to come.
    pub(super) welcomed_ahead: bool,
    /// Questions of ours what an invitation is about that are not answered.
    pub(super) looks: u32,
    pub(super) gate: Gate,
    /// The account of what the link did in vain.
    pub(super) in_vain: InVain,
}

/// How far a graph on a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlotState {
    /// We asked for it.
    Opening,
    /// They asked for it, and know the group.
    Opened,
    /// We asked what our invitation is about.
    Looking,
    /// We proved our invitation.
    Redeeming,
    /// We asked to become a neighbour.
    Connecting,
    /// They proved an invitation.
    Guest,
    /// They could not grant our membership; others may, through them.
    GuestOf,
    /// One of us was refused, and the other end has shown no membership that stands. It may show one.
    Refused,
    /// Members both, not neighbours.
    Idle,
    /// Neighbours.
    Neighbour,
}

impl SlotState {
    pub(super) fn is_member(self) -> bool {
        matches!(self, Self::Idle | Self::Neighbour)
    }

    /// Whether both ends were neighbours, or may have been, and are none.
    pub(super) fn was_neighbour(self) -> bool {
        matches!(self, Self::Idle | Self::Refused | Self::Connecting)
    }

    /// Whether signals may pass, unless the other end does not stand: see [`Group::carries_signals`].
    pub(super) fn has_signals(self) -> bool {
        matches!(self, Self::Idle | Self::Neighbour | Self::Guest | Self::GuestOf)
    }
}

impl Group {
    /// Links to neighbours.
    pub(super) fn neighbours(&self) -> impl Iterator<Item = (LinkId, &Slot)> {
        let all = self.slots.iter().map(|(&link, slot)| (link, slot));
        all.filter(|(_, slot)| slot.state == SlotState::Neighbour)
    }

    /// Whether `link` is a neighbour link of this graph.
    pub(crate) fn is_neighbour(&self, link: LinkId) -> bool {
        self.slots.get(&link).is_some_and(|slot| slot.state == SlotState::Neighbour)
    }

    /// Whether records and syncs may come over a link: it leads to a neighbour, or to one that may not know yet that it is
    /// none.
    pub(crate) fn takes_bulk(&self, now: Time, link: LinkId) -> bool {
        let knows = |ended: Time| now.since(ended) >= BULK_UNDER_WAY;
        self.slots.get(&link).is_some_and(|slot| {
            slot.state == SlotState::Neighbour || slot.ended.is_some_and(|ended| !knows(ended))
        })
    }

    /// Whether more than a stranger's word may come over a link: its other end has shown a membership, or answers us.
    pub(crate) fn expects_of(&self, link: LinkId) -> bool {
        let expects = |slot: &Slot| match slot.state {
            SlotState::Opened | SlotState::Guest | SlotState::Refused => slot.looks > 0,
            SlotState::Opening
            | SlotState::Looking
            | SlotState::Redeeming
            | SlotState::Connecting
            | SlotState::GuestOf
            | SlotState::Idle
            | SlotState::Neighbour => true,
        };
        self.slots.get(&link).is_some_and(expects)
    }

    /// Notes what the other end of a link says of the group, for people who wait.
    pub(super) fn tell_trace(&mut self, link: LinkId, outcome: Outcome) {
        if let Some(slot) = self.slots.get(&link) {
            self.trace.told(link, (slot.peer, slot.node), outcome);
        }
    }

    pub(super) fn set_state(&mut self, link: LinkId, state: SlotState) {
        if let Some(slot) = self.slots.get_mut(&link) {
            slot.state = state;
        }
    }

    /// Asks for this graph on a ready link.
    pub(crate) fn open_on(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId) {
        if self.slots.contains_key(&link) {
            return;
        }
        let Some(ready) = links.ready(link) else { return };
        if !self.tells(ctx.config, ready.peer, ctx.now.wall) {
            return;
        }
        let tag = wire::group_tag(self.id, &ready.hash, true);
        let (node, peer) = (ready.node, ready.peer);
        let Some(number) = links.take_slot(link, self.id) else { return };
        self.slots.insert(link, Slot::new(number, true, SlotState::Opening, node, peer, ctx));
        self.send(ctx, links, link, kind::OPEN, &Open { tag });
        if self.attempts.get(&link) == Some(&Attempt::Seat) {
            self.redeem_ahead(ctx, links, link);
        }
    }

    /// Whether a peer may learn from us that we are in this group: a known member, unless a node tells anybody. A node that
    /// joins asks everybody.
    pub(crate) fn tells(&self, config: &Config, peer: PeerId, wall: WallTime) -> bool {
        !(config.members_only && self.ready) | self.knows_member(peer, wall)
    }

    /// Whether a tag names this group.
    pub(crate) fn is_meant(&self, tag: &Digest, hash: &[u8; 32]) -> bool {
        let ours = wire::group_tag(self.id, hash, true);
        bool::from(ours.as_bytes().ct_eq(tag.as_bytes())) & self.chain.is_some()
    }

    /// Whether a tag names this group, of which we want to become a member.
    pub(crate) fn is_wanted(&self, tag: &Digest, hash: &[u8; 32]) -> bool {
        let ours = wire::group_tag(self.id, hash, true);
        bool::from(ours.as_bytes().ct_eq(tag.as_bytes())) & self.chain.is_none()
    }

    /// The other end asks for this graph.
    pub(crate) fn on_open(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        number: u16,
    ) -> Result<bool, Misbehaved> {
        let Some(ready) = links.ready(link) else { return Ok(false) };
        let (node, peer) = (ready.node, ready.peer);
        let tag = wire::group_tag(self.id, &ready.hash, false);
        let ended = self.slots.get(&link).and_then(|slot| slot.ended);
        if let Some(slot) = self.slots.get(&link) {
            // Both asked at once: the initiator of the link has its way.
            let initiator = links.get(link).is_some_and(|link| link.initiator);
            if matches!(slot.state, SlotState::Opening) && initiator {
                return Ok(false);
            }
            if slot.state == SlotState::Neighbour {
                return Err(Misbehaved::Unexpected);
            }
            links.free_slot(link, slot.number);
        }
        links.bind_slot(link, number, self.id)?;
        let slot = Slot::new(number, false, SlotState::Opened, node, peer, ctx);
        self.slots.insert(link, Slot { ended, ..slot });
        self.send(ctx, links, link, kind::OPENED, &Open { tag });
        Ok(true)
    }

    pub(super) fn on_opened(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        let Open { tag } = wire::decode(body)?;
        let ready = links.ready(link).ok_or(Misbehaved::Unexpected)?;
        let expected = wire::group_tag(self.id, &ready.hash, false);
        if !bool::from(expected.as_bytes().ct_eq(tag.as_bytes())) {
            return Err(Misbehaved::Membership);
        }
        if self.slots.get(&link).is_some_and(|slot| slot.proved_ahead) {
            // Even if others have let us in meanwhile: the answer comes.
            self.set_state(link, SlotState::Redeeming);
            self.look_on(ctx, links, link);
        } else if self.is_member() {
            self.connect_on(ctx, links, link);
        } else {
            // If all that was asked is answered already, a later join finds this link.
            self.set_state(link, SlotState::Looking);
            self.look_on(ctx, links, link);
            self.prove_on(ctx, links, link);
        }
        Ok(())
    }

    /// A member asks for this graph, which we want to join: we ask back. If we have asked already, we ask again when it
    /// has refused, since it does so where both ask at once.
    pub(crate) fn ask_back(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId) {
        if self.slots.get(&link).is_some_and(|slot| slot.state == SlotState::Opening) {
            self.asked_back.insert(link);
        }
        self.open_on(ctx, links, link);
    }

    pub(super) fn on_not_opened(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId) {
        self.tell_trace(link, Outcome::NotInGroup);
        self.attempts.remove(&link);
        if let Some(slot) = self.slots.remove(&link) {
            links.free_slot(link, slot.number);
        }
        if self.asked_back.remove(&link) {
            self.open_on(ctx, links, link);
        }
    }

    /// Asks to become a neighbour.
    pub(super) fn connect_on(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId) {
        let Some(chain) = &self.chain else { return };
        let connect = Connect {
            chain: crate::cert::encode_chain(chain.certificates()),
            addresses: ctx.addresses.to_vec(),
            lonely: self.living(ctx.now, links).next().is_none(),
            signature: self.signature.current,
            times: Some(self.times(ctx.now)),
        };
        if let Some(slot) = self.slots.get_mut(&link) {
            slot.state = SlotState::Connecting;
            slot.since = ctx.now.mono;
        }
        self.send(ctx, links, link, kind::CONNECT, &connect);
    }

    /// Asks again over a link on which one of us was refused before. Where both ask at once, `message` decides.
    pub(super) fn connect_idle(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId) {
        let asks = |slot: &Slot| matches!(slot.state, SlotState::Idle | SlotState::Refused);
        if self.slots.get(&link).is_some_and(asks) {
            self.connect_on(ctx, links, link);
        }
    }

    pub(super) fn on_connect(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        let Connect { chain, addresses, lonely, signature, times } = wire::decode(body)?;
        // Nobody becomes the neighbour of a newcomer, which may not even know the root.
        if !self.is_member() {
            return Err(Misbehaved::Unexpected);
        }
        if addresses.len() > limits::ADDRESSES_MAX {
            return Err(Misbehaved::TooMuch);
        }
        let chain = self.verify_membership(ctx, links, link, &chain)?;
        if let Some(times) = times {
            self.hear_time(ctx, link, &chain, times, None);
        }
        if !self.admit_at(ctx, links, link, chain) {
            return Ok(());
        }
        let slot = self.slots.get(&link).ok_or(Misbehaved::Unexpected)?;
        let (node, newcomer) = (slot.node, slot.state == SlotState::Guest);
        // The same node over a second link: it gave up the first, whatever we still think of it.
        let stale = self.neighbours().find(|(other, slot)| *other != link && slot.node == node);
        if let Some((stale, _)) = stale {
            self.neighbour_down(ctx, stale);
        }
        let maximum = ctx.config.neighbours.maximum;
        let full = |group: &Self| group.neighbours().count() >= maximum;
        // Where all are full, whoever has nobody would stay alone, and a broken graph broken: a neighbour that has
        // others makes room.
        if (lonely || self.is_apart(signature)) && full(self) {
            self.make_room(ctx, links);
        }
        if full(self) {
            let referrals = self.referrals(ctx, node);
            self.set_state(link, SlotState::Idle);
            self.refuse(ctx, links, link, Refuse::because(Reason::Busy, referrals));
            return Ok(());
        }
        self.welcome(ctx, links, link, addresses);
        if newcomer {
            self.give_newest(ctx, link);
        }
        Ok(())
    }

    /// Becomes the neighbour of a newcomer that we have just given its membership, without being asked, if there is room.
    pub(super) fn welcome_ahead(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        chain: &[u8],
    ) {
        let Some(slot) = self.slots.get(&link).filter(|slot| slot.state == SlotState::Guest) else {
            return;
        };
        let node = slot.node;
        let full = self.neighbours().count() >= ctx.config.neighbours.maximum;
        if full || self.neighbours().any(|(_, slot)| slot.node == node) {
            return;
        }
        // It may have been revoked meanwhile, or ended.
        let Ok(chain) = self.verify_membership(ctx, links, link, chain) else { return };
        if self.roll.standing(&chain, self.clock(ctx.now.wall)) != Standing::Member
            || !self.admit_at(ctx, links, link, chain)
        {
            return;
        }
        if let Some(slot) = self.slots.get_mut(&link) {
            slot.welcomed_ahead = true;
        }
        self.welcome(ctx, links, link, Vec::new());
        self.give_newest(ctx, link);
    }

    /// A neighbour asks to become one whom we have welcomed ahead: what it says of itself is new.
    pub(super) fn on_late_connect(
        &mut self,
        ctx: &mut Ctx<'_>,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        let Connect { addresses, times, .. } = wire::decode(body)?;
        if addresses.len() > limits::ADDRESSES_MAX {
            return Err(Misbehaved::TooMuch);
        }
        let Some(slot) = self.slots.get_mut(&link) else { return Ok(()) };
        slot.welcomed_ahead = false;
        slot.addresses.clone_from(&addresses);
        let (peer, chain) = (slot.peer, slot.chain.clone());
        self.know(ctx, peer, &addresses);
        if let (Some(chain), Some(times)) = (chain, times) {
            self.hear_time(ctx, link, &chain, times, None);
        }
        Ok(())
    }

    fn welcome(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        addresses: Vec<Address>,
    ) {
        let Some(node) = self.slots.get(&link).map(|slot| slot.node) else { return };
        let Some(ours) = &self.chain else { return };
        let welcome = Welcome {
            chain: crate::cert::encode_chain(ours.certificates()),
            addresses: ctx.addresses.to_vec(),
            referrals: self.referrals(ctx, node),
            times: self.times(ctx.now),
        };
        self.send(ctx, links, link, kind::WELCOME, &welcome);
        self.neighbour_up(ctx, links, link, false, addresses);
    }

    pub(super) fn on_welcome(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        let welcome: Welcome = wire::decode(body)?;
        if welcome.addresses.len() > limits::ADDRESSES_MAX {
            return Err(Misbehaved::TooMuch);
        }
        let chain = self.verify_membership(ctx, links, link, &welcome.chain)?;
        let asked = self.slots.get(&link).map_or(ctx.now.mono, |slot| slot.since);
        let asked = ctx.now.mono.since(asked);
        self.hear_time(ctx, link, &chain, welcome.times, Some(asked));
        if !self.admit_at(ctx, links, link, chain) {
            self.attempts.remove(&link);
            return Ok(());
        }
        self.add_referrals(ctx, link, welcome.referrals)?;
        self.neighbour_up(ctx, links, link, true, welcome.addresses);
        if !self.ready && self.neighbours().count() == 1 {
            // Records that a newcomer has published since it holds a membership do not wait for the comparison.
            self.give_newest(ctx, link);
        }
        self.begin_sync(ctx, links, link);
        Ok(())
    }

    pub(super) fn on_refuse(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        let refuse: Refuse = wire::decode(body)?;
        let heard =
            |slot: &Slot| matches!(slot.state, SlotState::Connecting | SlotState::Neighbour);
        let heard = self.slots.get(&link).is_some_and(heard);
        self.tell_trace(link, refusal(refuse.reason));
        self.attempts.remove(&link);
        if self.is_neighbour(link) {
            self.neighbour_down(ctx, link);
        }
        self.repair.probed(link, true);
        // A node that refuses us shows who it is, or is not listened to.
        let chain = match &refuse.chain {
            Some(chain) => Some(self.verify_membership(ctx, links, link, chain)?),
            None => None,
        };
        if let (Some(chain), Some(times)) = (&chain, refuse.times) {
            self.hear_time(ctx, link, chain, times, None);
        }
        let now = self.clock(ctx.now.wall);
        let is_member = chain.as_ref().is_some_and(|it| self.roll.standing(it, now).is_member());
        self.set_state(link, if is_member { SlotState::Idle } else { SlotState::Refused });
        if !is_member {
            self.maintain(ctx, links, false);
            return Ok(());
        }
        if let Some(slot) = self.slots.get_mut(&link) {
            slot.chain = chain;
        }
        if refuse.reason == Reason::NotStanding && heard {
            return self.on_not_standing(ctx, links, link, refuse);
        }
        if matches!(refuse.reason, Reason::NotAdmitted | Reason::PutOff) {
            self.on_turned_away(ctx, link, &refuse)?;
        }
        if !refuse.referrals.is_empty() {
            // There are members to turn to: places of earlier times are of no use while there are.
            ctx.asks.settled.insert(self.id);
        }
        self.add_referrals(ctx, link, refuse.referrals)?;
        self.maintain(ctx, links, false);
        Ok(())
    }

    /// Refuses the other end, and shows that we may.
    pub(super) fn refuse(
        &self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        refuse: Refuse,
    ) {
        let chain = self.chain.as_ref();
        let chain = chain.map(|chain| crate::cert::encode_chain(chain.certificates()));
        let times = chain.is_some().then(|| self.times(ctx.now));
        self.send(ctx, links, link, kind::REFUSE, &Refuse { chain, times, ..refuse });
    }

    pub(super) fn on_disconnect(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        let disconnect: Refuse = wire::decode(body)?;
        let now = self.clock(ctx.now.wall);
        // A member whose membership has ended since we looked last refers us to nobody.
        if self.slots.get(&link).is_some_and(|slot| !self.has_fallen(slot, now)) {
            self.add_referrals(ctx, link, disconnect.referrals)?;
        }
        if self.is_neighbour(link) {
            self.neighbour_down(ctx, link);
            self.set_state(link, SlotState::Idle);
        }
        self.maintain(ctx, links, false);
        Ok(())
    }

    fn neighbour_up(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        opener: bool,
        addresses: Vec<Address>,
    ) {
        self.attempts.remove(&link);
        self.trace = Trace::default();
        ctx.asks.settled.insert(self.id);
        self.lonely_rounds = 0;
        self.fruitless_rounds = 0;
        let Some(peer) = self.slots.get(&link).map(|slot| slot.peer) else { return };
        self.know(ctx, peer, &addresses);
        let Some(slot) = self.slots.get_mut(&link) else { return };
        slot.state = SlotState::Neighbour;
        slot.opener = opener;
        slot.turned_away = false;
        slot.since = ctx.now.mono;
        slot.addresses = addresses;
        slot.in_vain = self.waste.link();
        let (group, peer, node) = (self.id, slot.peer, slot.node);
        self.repair.probed(link, true);
        self.repair.found(node);
        ctx.asks.turned.insert(link);
        self.event(ctx, Event::Neighbour { group, link, peer, node, up: true });
        if self.ready {
            self.maintain(ctx, links, false);
        }
    }

    pub(super) fn neighbour_down(&mut self, ctx: &mut Ctx<'_>, link: LinkId) {
        let Some(slot) = self.slots.get_mut(&link) else { return };
        slot.state = SlotState::Idle;
        slot.since = ctx.now.mono;
        slot.ended = Some(ctx.now.mono);
        slot.sync = Syncing::default();
        slot.synced = false;
        slot.acks.clear();
        slot.late.clear();
        slot.gate = Gate::default();
        let (group, peer, node) = (self.id, slot.peer, slot.node);
        self.outgoing.remove(&link);
        self.trees.forget(link);
        self.mend_broadcasts(link);
        self.awaited.lost(link, ctx.now.mono);
        self.hurry(ctx.now.mono);
        self.arm_graft();
        self.fruitless_rounds = 0;
        self.routes.forget(link);
        self.lost_turn(ctx);
        ctx.asks.turned.insert(link);
        self.event(ctx, Event::Neighbour { group, link, peer, node, up: false });
    }

    /// Whether we opened this graph on a link.
    pub(crate) fn opened(&self, link: LinkId) -> bool {
        self.slots.get(&link).is_some_and(|slot| slot.opener)
    }

    /// A link is gone. `moved`: another link to the same node takes its place.
    pub(crate) fn link_down(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        moved: bool,
    ) {
        self.passwords.link_down(link);
        self.look_no_more_on(link);
        self.asked_back.remove(&link);
        self.argued.remove(&link);
        if let Some(Attempt::Node(node)) = self.attempts.remove(&link)
            && !moved
            && !ctx.dialer.is_racing(Want::Member(self.id, node))
        {
            // Nobody answers there: somebody else's turn.
            self.referrals.failed(node);
            self.soon(ctx);
        }
        self.repair.probed(link, moved);
        let lost = self.is_neighbour(link);
        if lost {
            self.neighbour_down(ctx, link);
            self.soon(ctx);
        }
        if lost && !moved {
            self.ask_neighbours(ctx, links);
        }
        if let Some(slot) = self.slots.remove(&link) {
            self.routes.forget(link);
            if lost && !moved {
                self.suspect(ctx, slot.node);
                self.miss(ctx, slot.node, slot.addresses, Vec::new());
            }
        }
    }

    /// Whether this graph needs `link` to stay.
    pub(crate) fn needs(&self, link: LinkId) -> bool {
        let guest = |slot: &Slot| {
            matches!(slot.state, SlotState::GuestOf | SlotState::Looking) && self.joining.is_some()
        };
        self.is_neighbour(link) || self.slots.get(&link).is_some_and(guest)
    }

    /// Leaves the graph: presence withdrawn, neighbours told whom they may turn to.
    pub(crate) fn leave_graph(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
        self.withdraw_presence(ctx);
        self.withdraw_contact(ctx);
        self.flush_floods(ctx, links);
        self.send_acks(ctx, links);
        let neighbours: Vec<(LinkId, NodeId)> =
            self.neighbours().map(|(link, slot)| (link, slot.node)).collect();
        for (link, node) in neighbours {
            let referrals = self.referrals(ctx, node);
            let bye = Refuse::because(Reason::Leaving, referrals);
            self.send(ctx, links, link, kind::DISCONNECT, &bye);
            self.neighbour_down(ctx, link);
        }
        self.timers.clear(Timer::Maintain);
        // Addresses are saved a little after they are learnt: now, if the group closes before that.
        if self.timers.at(Timer::Save).is_some() {
            self.save(ctx);
        }
    }
}

/// A refusal, for people.
fn refusal(reason: Reason) -> Outcome {
    match reason {
        Reason::Busy | Reason::LeastUseful | Reason::Leaving => Outcome::Full,
        Reason::Duplicate => Outcome::Same,
        Reason::NotStanding | Reason::NotAdmitted | Reason::PutOff | Reason::Unknown => {
            Outcome::NotAccepted
        }
    }
}

impl Slot {
    fn new(
        number: u16,
        opener: bool,
        state: SlotState,
        node: NodeId,
        peer: PeerId,
        ctx: &Ctx<'_>,
    ) -> Self {
        Self {
            number,
            opener,
            state,
            node,
            peer,
            chain: None,
            addresses: Vec::new(),
            acks: Vec::new(),
            late: Late::default(),
            utility: 0,
            since: ctx.now.mono,
            ended: None,
            sync: Syncing::default(),
            synced: false,
            turned_away: false,
            not_let_in: false,
            proved_ahead: false,
            welcomed_ahead: false,
            looks: 0,
            gate: Gate::default(),
            in_vain: InVain::default(),
        }
    }
}
