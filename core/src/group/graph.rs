//! The graph: which neighbours to keep.
//!
//! ```text
//!            we open                                   they open
//!  Opening ──OPENED──► Connecting ──WELCOME──┐   Opened ──CONNECT──► Neighbour
//!     │                    │                 ▼      │
//!     │  (no membership)   └──REFUSE──► Idle │      └──REDEEM──► Guest ──CONNECT──► Neighbour
//!     └─► Redeeming ──GRANTED─► Connecting   Neighbour
//!              └──NOT_GRANTED─► GuestOf
//! ```
//!
//! Below the minimum we look for neighbours at once, below the ideal now and then; above the maximum we refuse, with
//! referrals, unless who asks has nobody: then the least useful one makes room; above the ideal the least useful one goes, one at a time, once it is old enough. A node joins with one
//! link, and looks for more when its first sync is complete. Source: reference 3.3–3.6; numbers in
//! [`Neighbours`](crate::config::Neighbours).
use super::announce::Late;
use super::sync::Syncing;
use super::waste::InVain;
use super::{Group, Present, Timer};
use crate::address::Address;
use crate::cert::VerifiedChain;
use crate::error::Misbehaved;
use crate::id::{Digest, GroupId, NodeId, PeerId, RecordId};
use crate::io::{Dial, Event, LinkId, Output};
use crate::limits;
use crate::link::Links;
use crate::node::Ctx;
use crate::policy::Grant;
use crate::roll::Standing;
use crate::time::{Now, Time};
use crate::wire::{self, AckOf, Connect, Open, Reason, Referral, Refuse, Welcome, kind};
use bytes::Bytes;
use rand_chacha::rand_core::Rng as _;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use subtle::ConstantTimeEq as _;

/// A node is not tried again for this long. Guess.
const TRIED_FOR: Duration = Duration::from_secs(30);
/// Time between maintenance rounds without neighbours at first; doubles up to [`LONELY_MAX`]. Guess.
const LONELY_FIRST: Duration = Duration::from_secs(1);
const LONELY_MAX: Duration = Duration::from_secs(30);
/// The same below the minimum (doubles up to [`CONTENT`] while nobody new is known), below the ideal, and else.
/// Guesses.
const BELOW_MINIMUM: Duration = Duration::from_secs(2);
const BELOW_IDEAL: Duration = Duration::from_secs(10);
const CONTENT: Duration = Duration::from_secs(60);
/// A link younger than this is not dropped for its utility. Guess: it had no time to be useful.
const PRUNED_AFTER: Duration = Duration::from_secs(300);
/// A link younger than this does not make room for a newcomer. Guess: bursts of newcomers must not displace each other.
const ROOM_MADE_AFTER: Duration = Duration::from_secs(5);
/// Rounds without anybody after which the application is asked for an address. Guess.
const LONELY_ROUNDS_MAX: u32 = 4;

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
    pub(super) sync: Syncing,
    pub(super) synced: bool,
    /// Whether our security provider did not let it be a neighbour.
    pub(super) turned_away: bool,
    /// Records that it does not let in, by short id.
    pub(super) declined: BTreeSet<u64>,
    /// Records of which it has a version that we do not let in: which.
    pub(super) refused: BTreeMap<RecordId, u64>,
    /// What the link did in vain.
    pub(super) in_vain: InVain,
}

/// How far a graph on a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlotState {
    /// We asked for it.
    Opening,
    /// They asked for it, and know the group.
    Opened,
    /// We proved our invitation.
    Redeeming,
    /// We asked to become a neighbour.
    Connecting,
    /// They proved an invitation.
    Guest,
    /// They could not grant our membership; others may, through them.
    GuestOf,
    /// Members both, not neighbours.
    Idle,
    /// Neighbours.
    Neighbour,
}

impl SlotState {
    pub(super) fn is_member(self) -> bool {
        matches!(self, Self::Idle | Self::Neighbour)
    }

    pub(super) fn carries_signals(self) -> bool {
        matches!(self, Self::Idle | Self::Neighbour | Self::Guest | Self::GuestOf)
    }
}

/// What a link was opened for.
#[derive(Clone, Debug)]
pub(crate) enum Plan {
    /// To a node that the application named: which of them.
    Configured(usize),
    /// To a member's address, which is `dialled`; the rest of its addresses are for when this one fails.
    Member { group: GroupId, node: Option<NodeId>, dialled: Address, rest: Vec<Address> },
    /// Over signals, as offerer.
    Offered { group: GroupId },
    /// Over signals, as answerer; or a stranger's.
    Accepted,
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
        let Some(number) = links.take_slot(link, self.id) else { return };
        let Some(ready) = links.ready(link) else { return };
        let tag = wire::group_tag(self.id, &ready.hash, true);
        let (node, peer) = (ready.node, ready.peer);
        self.slots.insert(link, Slot::new(number, true, SlotState::Opening, node, peer, ctx));
        self.send(ctx, links, link, kind::OPEN, &Open { tag });
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
        self.slots.insert(link, Slot::new(number, false, SlotState::Opened, node, peer, ctx));
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
        if self.is_member() {
            self.connect_on(ctx, links, link);
        } else {
            self.prove_on(ctx, links, link);
        }
        Ok(())
    }

    pub(super) fn on_not_opened(&mut self, links: &mut Links, link: LinkId) {
        self.attempts.remove(&link);
        if let Some(slot) = self.slots.remove(&link) {
            links.free_slot(link, slot.number);
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
        };
        if let Some(slot) = self.slots.get_mut(&link) {
            slot.state = SlotState::Connecting;
            slot.since = ctx.now.mono;
        }
        self.send(ctx, links, link, kind::CONNECT, &connect);
    }

    /// Asks again over a link on which one of us was refused before. Where both ask at once, `message` decides.
    pub(super) fn connect_idle(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId) {
        if self.slots.get(&link).is_some_and(|slot| slot.state == SlotState::Idle) {
            self.connect_on(ctx, links, link);
        }
    }

    /// Whoever has nobody asks those again who refused it when it had others: for one who is alone there is room. They
    /// are there, while of those whom one was referred to many may be gone.
    fn ask_idle(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
        let may_let_in = |link: LinkId, slot: &Slot| {
            slot.state == SlotState::Idle
                && !slot.turned_away
                && ctx.now.mono.since(slot.since) >= BELOW_MINIMUM
                && !links.is_doubted(ctx.now, link)
        };
        let idle = self.slots.iter().filter(|(link, slot)| may_let_in(**link, slot));
        let mut idle: Vec<_> = idle.map(|(&link, slot)| (slot.since, link, slot.node)).collect();
        idle.sort_unstable();
        for (_, link, node) in idle.into_iter().take(limits::ATTEMPTS_MAX) {
            self.attempts.insert(link, Some(node));
            self.connect_idle(ctx, links, link);
        }
    }

    pub(super) fn on_connect(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        let Connect { chain, addresses, lonely, signature } = wire::decode(body)?;
        if addresses.len() > limits::ADDRESSES_MAX {
            return Err(Misbehaved::TooMuch);
        }
        let chain = self.verify_membership(ctx, links, link, &chain)?;
        if !self.admit_at(ctx, links, link, chain) {
            return Ok(());
        }
        let node = self.slots.get(&link).map(|slot| slot.node).ok_or(Misbehaved::Unexpected)?;
        // The same node over a second link: it gave up the first, whatever we still think of it.
        let stale = self.neighbours().find(|(other, slot)| *other != link && slot.node == node);
        if let Some((stale, _)) = stale {
            self.neighbour_down(ctx, stale);
        }
        let full = |group: &Self| group.neighbours().count() >= ctx.config.neighbours.maximum;
        // Where all are full, whoever has nobody would stay alone, and a broken graph broken: a neighbour that has
        // others makes room.
        if (lonely || self.is_apart(signature)) && full(self) {
            self.prune(ctx, links, ROOM_MADE_AFTER);
        }
        if full(self) {
            let referrals = self.referrals(ctx, node);
            self.set_state(link, SlotState::Idle);
            self.send(ctx, links, link, kind::REFUSE, &Refuse::because(Reason::Busy, referrals));
            return Ok(());
        }
        let Some(ours) = &self.chain else { return Err(Misbehaved::Unexpected) };
        let welcome = Welcome {
            chain: crate::cert::encode_chain(ours.certificates()),
            addresses: ctx.addresses.to_vec(),
            referrals: self.referrals(ctx, node),
            peer_time: self.peer_time(ctx.now.wall).0,
        };
        self.send(ctx, links, link, kind::WELCOME, &welcome);
        self.neighbour_up(ctx, links, link, false, addresses);
        Ok(())
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
        if !self.admit_at(ctx, links, link, chain) {
            self.attempts.remove(&link);
            return Ok(());
        }
        self.add_referrals(ctx, welcome.referrals)?;
        let asked = self.slots.get(&link).map_or(ctx.now.mono, |slot| slot.since);
        self.adjust_peer_time(ctx, link, welcome.peer_time, ctx.now.mono.since(asked));
        self.neighbour_up(ctx, links, link, true, welcome.addresses);
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
        self.attempts.remove(&link);
        if self.is_neighbour(link) {
            self.neighbour_down(ctx, link);
        }
        self.repair.probed(link, true);
        self.set_state(link, SlotState::Idle);
        if refuse.reason == Reason::NotStanding {
            return self.on_not_standing(ctx, links, refuse);
        }
        if matches!(refuse.reason, Reason::NotAdmitted | Reason::PutOff) {
            self.on_turned_away(ctx, link, &refuse)?;
        }
        self.add_referrals(ctx, refuse.referrals)?;
        self.maintain(ctx, links, false);
        Ok(())
    }

    pub(super) fn on_disconnect(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        let disconnect: Refuse = wire::decode(body)?;
        self.add_referrals(ctx, disconnect.referrals)?;
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
        self.lonely_rounds = 0;
        self.fruitless_rounds = 0;
        self.know(ctx, &addresses);
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
        self.event(ctx, Event::Neighbour { group, link, peer, node, up: true });
        if self.ready {
            self.maintain(ctx, links, false);
        }
    }

    pub(super) fn neighbour_down(&mut self, ctx: &mut Ctx<'_>, link: LinkId) {
        let Some(slot) = self.slots.get_mut(&link) else { return };
        slot.state = SlotState::Idle;
        slot.since = ctx.now.mono;
        slot.sync = Syncing::default();
        slot.synced = false;
        slot.acks.clear();
        slot.late.clear();
        slot.declined.clear();
        slot.refused.clear();
        let (group, peer, node) = (self.id, slot.peer, slot.node);
        self.outgoing.remove(&link);
        self.trees.forget(link);
        self.awaited.lost(link, ctx.now.mono);
        self.hurry(ctx.now.mono);
        self.arm_graft();
        self.fruitless_rounds = 0;
        self.forget_routes(link);
        self.lost_turn(ctx);
        self.event(ctx, Event::Neighbour { group, link, peer, node, up: false });
    }

    /// A link is gone.
    pub(crate) fn link_down(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId) {
        self.passwords.link_down(link);
        if let Some(Some(node)) = self.attempts.remove(&link) {
            // Nobody answers there: somebody else's turn.
            self.referrals.retain(|referral| referral.node != node);
            self.soon(ctx);
        }
        self.repair.probed(link, false);
        let lost = self.is_neighbour(link);
        if lost {
            self.neighbour_down(ctx, link);
            self.soon(ctx);
            self.ask_neighbours(ctx, links);
        }
        if let Some(slot) = self.slots.remove(&link) {
            self.forget_routes(link);
            if lost {
                self.miss(ctx, slot.node, slot.addresses, Vec::new());
            }
        }
    }

    /// A link does not answer: others are looked for meanwhile.
    pub(crate) fn doubt(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId) {
        if self.is_neighbour(link) {
            self.soon(ctx);
            self.ask_neighbours(ctx, links);
        }
    }

    /// One neighbour is gone: are the others still there? What cut it off may have cut off more, and who counts on the
    /// dead is alone without knowing.
    fn ask_neighbours(&self, ctx: &mut Ctx<'_>, links: &mut Links) {
        for (link, _) in self.neighbours() {
            links.ask(ctx.now, link, ctx.out);
        }
    }

    /// Links to neighbours on whom we count.
    fn living(&self, now: Now, links: &Links) -> impl Iterator<Item = LinkId> {
        self.neighbours().map(|(link, _)| link).filter(move |link| !links.is_doubted(now, *link))
    }

    /// Attempts that are not doubted.
    fn promising(&self, now: Now, links: &Links) -> usize {
        self.attempts.keys().filter(|link| !links.is_doubted(now, **link)).count()
    }

    /// Whether this graph needs `link` to stay.
    pub(crate) fn needs(&self, link: LinkId) -> bool {
        let guest = |slot: &Slot| slot.state == SlotState::GuestOf && self.joining.is_some();
        self.is_neighbour(link) || self.slots.get(&link).is_some_and(guest)
    }

    /// Maintenance follows shortly; a little later than at once, so that what happens together is seen together.
    fn soon(&mut self, ctx: &mut Ctx<'_>) {
        let wait = Self::jitter(ctx, Duration::from_millis(100));
        self.timers.set_earlier(Timer::Maintain, ctx.now.mono.after(wait));
    }

    /// Looks for neighbours where there are too few, drops one where there are too many.
    pub(crate) fn maintain(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, on_timer: bool) {
        if self.is_abandoned() {
            return;
        }
        if on_timer {
            self.publishing.asked();
            // Memberships end by the clock, ours and others'.
            self.drop_who_does_not_stand(ctx, links);
            self.choose_own_chain(ctx, links);
        }
        let revoked = matches!(self.own_standing, Standing::Revoked { .. });
        if revoked && !on_timer {
            return;
        }
        let ask_again = revoked.then(|| self.ask_to_return(ctx, links));
        let wish = ctx.config.neighbours;
        self.tried.retain(|_, at| ctx.now.mono.since(*at) < TRIED_FOR);
        let have = self.living(ctx.now, links).count();
        if have == 0 {
            self.ask_idle(ctx, links);
        }
        let promising = self.promising(ctx.now, links);
        let coming = have + promising;
        let minimum = if self.ready { wish.minimum } else { 1 };
        let wanted = match () {
            () if coming < minimum => minimum - coming,
            () if on_timer && self.ready && coming < wish.ideal => 1,
            () => 0,
        };
        let mut wanted = wanted.min(limits::ATTEMPTS_MAX.saturating_sub(promising));
        while wanted > 0 {
            let Some((node, addresses)) = self.candidate(ctx, links) else { break };
            self.dial_member(ctx, links, node, addresses);
            wanted -= 1;
        }
        if on_timer {
            // Who is not there is not found by asking again and again.
            let fruitless = wanted > 0 && have < minimum;
            self.fruitless_rounds =
                if fruitless { self.fruitless_rounds.saturating_add(1) } else { 0 };
        }
        if on_timer && have == 0 {
            self.lonely_rounds = self.lonely_rounds.saturating_add(1);
            if self.lonely_rounds == LONELY_ROUNDS_MAX {
                let group = self.id;
                self.event(ctx, Event::ConnectionRequired { group });
            }
        }
        if on_timer && self.joining.is_some() {
            self.redeem_again(ctx, links);
        }
        if wanted > 0 && have < minimum {
            ctx.sit.insert(self.id);
            // Whoever is present is a candidate; addresses of earlier times are for when nobody is. With few
            // neighbours each has its turn once: who has come back in order is missed by nobody.
            if on_timer && self.attempts.is_empty() {
                if have == 0 {
                    self.dial_known(ctx, links);
                } else if self.fruitless_rounds as usize <= self.known.len() {
                    self.patrol(ctx, links);
                }
            }
        }
        if on_timer && have > wish.ideal {
            self.prune(ctx, links, PRUNED_AFTER);
        }
        let wait = if let Some(ask_again) = ask_again {
            ask_again
        } else if have == 0 && !self.attempts.is_empty() {
            // There is somebody to try: after a crash of many, most of those are gone.
            BELOW_MINIMUM
        } else if have == 0 {
            LONELY_FIRST.saturating_mul(1 << self.lonely_rounds.min(5)).min(LONELY_MAX)
        } else if have < minimum {
            BELOW_MINIMUM.saturating_mul(1 << self.fruitless_rounds.min(5)).min(CONTENT)
        } else if have < wish.ideal {
            BELOW_IDEAL
        } else {
            CONTENT
        };
        let wait = Self::jitter(ctx, wait);
        if on_timer {
            self.timers.set(Timer::Maintain, ctx.now.mono.after(wait));
        } else {
            self.timers.set_if_unarmed(Timer::Maintain, ctx.now.mono.after(wait));
        }
    }

    /// Whether an offer to somebody at a rendezvous would help.
    pub(crate) fn wants_more(&self, ctx: &Ctx<'_>, links: &Links) -> bool {
        let minimum = if self.ready { ctx.config.neighbours.minimum } else { 1 };
        let promising = self.promising(ctx.now, links);
        !self.is_abandoned()
            && promising < limits::ATTEMPTS_MAX
            && self.living(ctx.now, links).count() + promising < minimum
    }

    /// Notes a link that is being opened for this graph.
    pub(crate) fn attempt(&mut self, link: LinkId, node: Option<NodeId>) {
        self.attempts.insert(link, node);
    }

    /// A node to connect to, at random: mostly one that we were referred to, sometimes one that is present.
    fn candidate(&mut self, ctx: &mut Ctx<'_>, links: &Links) -> Option<(NodeId, Vec<Address>)> {
        let signals = self.can_signal();
        let fits = |node: NodeId, addresses: &[Address]| {
            node != ctx.node
                && !self.tried.contains_key(&node)
                && !self.attempts.values().any(|&n| n == Some(node))
                && !self.slots.values().any(|slot| slot.node == node)
                && (signals || !addresses.is_empty() || links.to_node(node).is_some())
        };
        let present = self.present.iter().map(|(&node, present)| (node, &present.addresses));
        let referred = self.referrals.iter().map(|referral| (referral.node, &referral.addresses));
        // Who says that it is here is known to all, and soon full; whom one is referred to is not.
        let (mut first, mut second): (Vec<_>, Vec<_>) = (referred.collect(), present.collect());
        if ctx.rng.next_u64().is_multiple_of(4) {
            std::mem::swap(&mut first, &mut second);
        }
        for mut candidates in [first, second] {
            candidates.retain(|(node, addresses)| fits(*node, addresses));
            if !candidates.is_empty() {
                let at = (ctx.rng.next_u64() % candidates.len() as u64) as usize;
                let (node, addresses) = candidates[at];
                return Some((node, addresses.clone()));
            }
        }
        None
    }

    fn dial_member(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        node: NodeId,
        addresses: Vec<Address>,
    ) {
        self.tried.insert(node, ctx.now.mono);
        if let Some(link) = links.to_node(node) {
            self.attempts.insert(link, Some(node));
            self.open_on(ctx, links, link);
            return;
        }
        if addresses.is_empty() {
            self.offer_to(ctx, links, node);
        } else {
            self.dial_addresses(ctx, links, Some(node), addresses);
        }
    }

    /// Offers a link to a node over the graph.
    pub(crate) fn offer_to(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, node: NodeId) {
        if !self.can_signal() || links.len() >= limits::LINKS_MAX {
            return;
        }
        let link = links.create(ctx.now, true);
        let attempt = ctx.rng.next_u64();
        ctx.ways.offer_over_graph(link, self.id, node, attempt);
        ctx.plans.insert(link, Plan::Offered { group: self.id });
        self.attempts.insert(link, Some(node));
        ctx.out.push_back(Output::Open { link, dial: Dial::Offer });
    }

    /// Dials the first of a node's addresses, if there is room for a link.
    pub(crate) fn dial_addresses(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        node: Option<NodeId>,
        mut addresses: Vec<Address>,
    ) -> Option<LinkId> {
        if addresses.is_empty() || links.len() >= limits::LINKS_MAX {
            return None;
        }
        let address = addresses.remove(0);
        if ctx.addresses.contains(&address) {
            return None;
        }
        let link = links.create(ctx.now, true);
        let dialled = address.clone();
        ctx.plans.insert(link, Plan::Member { group: self.id, node, dialled, rest: addresses });
        self.attempts.insert(link, node);
        ctx.out.push_back(Output::Open { link, dial: Dial::Address(address) });
        Some(link)
    }

    /// Tries addresses of earlier times, the newest first with some luck; not those of our neighbours.
    fn dial_known(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
        let mut known: Vec<Vec<Address>> = self.known.iter().rev().cloned().collect();
        if let Some(joining) = &self.joining {
            known.extend(joining.addresses.iter().map(|address| vec![address.clone()]));
            known.dedup();
        }
        // Later rounds begin elsewhere, so that every address has its turn.
        let turn = self.lonely_rounds as usize * limits::ATTEMPTS_MAX;
        let joined: Vec<&Address> =
            self.neighbours().flat_map(|(_, slot)| &slot.addresses).collect();
        known.retain(|addresses| !addresses.iter().any(|address| joined.contains(&address)));
        let count = known.len();
        if count > 0 {
            known.rotate_left(turn % count);
        }
        // Nodes that the application named are dialled already.
        known.retain(|addresses| !addresses.iter().any(|address| ctx.named.names(address)));
        for addresses in known.into_iter().take(limits::ATTEMPTS_MAX) {
            self.dial_addresses(ctx, links, None, addresses);
        }
    }

    /// An address led to `node`, which is ourselves, or linked already. It is of no use where that is a neighbour and does
    /// not name it.
    pub(crate) fn leads_to(&mut self, ctx: &Ctx<'_>, address: &Address, node: NodeId) {
        let unnamed = |slot: &Slot| slot.node == node && !slot.addresses.contains(address);
        let unnamed = self.neighbours().any(|(_, slot)| unnamed(slot));
        if unnamed || node == ctx.node {
            self.known.retain(|known| !known.contains(address));
        }
    }

    /// Drops the least useful neighbour that is old enough; first of all one that does not answer.
    fn prune(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, age: Duration) {
        let old = |slot: &Slot| ctx.now.mono.since(slot.since) >= age;
        let least = self.neighbours().filter(|(_, slot)| old(slot) && slot.synced);
        let use_of =
            |link: LinkId, slot: &Slot| (!links.is_doubted(ctx.now, link), slot.utility, link);
        let Some((link, _)) = least.min_by_key(|(link, slot)| use_of(*link, slot)) else {
            return;
        };
        let node = self.slots.get(&link).map_or(NodeId(0), |slot| slot.node);
        let referrals = self.referrals(ctx, node);
        let bye = Refuse::because(Reason::LeastUseful, referrals);
        self.send(ctx, links, link, kind::DISCONNECT, &bye);
        self.neighbour_down(ctx, link);
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
    }

    /// Whom another node may turn to: our neighbours, then some of who is present, at random.
    fn referrals(&self, ctx: &mut Ctx<'_>, except: NodeId) -> Vec<Referral> {
        let neighbours = self.neighbours().map(|(_, slot)| Referral {
            node: slot.node,
            peer: slot.peer,
            addresses: slot.addresses.clone(),
        });
        let mut chosen: Vec<Referral> =
            neighbours.filter(|referral| referral.node != except).collect();
        let known = |chosen: &[Referral], node| {
            node == except
                || node == ctx.node
                || chosen.iter().any(|referral| referral.node == node)
        };
        let mut present: Vec<NodeId> =
            self.present.keys().copied().filter(|&node| !known(&chosen, node)).collect();
        while !present.is_empty() && chosen.len() < limits::REFERRALS_SENT_MAX {
            let at = (ctx.rng.next_u64() % present.len() as u64) as usize;
            let node = present.swap_remove(at);
            if let Some(Present { peer, addresses, .. }) = self.present.get(&node) {
                chosen.push(Referral { node, peer: *peer, addresses: addresses.clone() });
            }
        }
        chosen.truncate(limits::REFERRALS_SENT_MAX);
        chosen
    }

    /// The nodes of one peer that are present.
    pub(super) fn referrals_to(&self, peer: PeerId) -> Vec<Referral> {
        self.referrals_of(|other| other == peer)
    }

    /// The nodes that are present of members who may issue such a membership.
    pub(super) fn referrals_to_issuers_of(&self, ctx: &Ctx<'_>, grant: &Grant) -> Vec<Referral> {
        let policy = self.root.policy();
        let issues = |peer: PeerId| {
            let best = self.roll.best_of(peer, ctx.now.wall);
            best.is_some_and(|chain| policy.may_issue(chain.grant(), grant))
        };
        self.referrals_of(issues)
    }

    fn referrals_of(&self, wanted: impl Fn(PeerId) -> bool) -> Vec<Referral> {
        let here = self.present.iter().filter(|(_, present)| wanted(present.peer));
        let referrals = here.map(|(&node, present)| Referral {
            node,
            peer: present.peer,
            addresses: present.addresses.clone(),
        });
        referrals.take(limits::REFERRALS_SENT_MAX).collect()
    }

    pub(super) fn add_referrals(
        &mut self,
        ctx: &Ctx<'_>,
        referrals: Vec<Referral>,
    ) -> Result<(), Misbehaved> {
        if referrals.len() > limits::REFERRALS_SENT_MAX {
            return Err(Misbehaved::TooMuch);
        }
        for referral in referrals {
            if referral.addresses.len() > limits::ADDRESSES_MAX {
                return Err(Misbehaved::TooMuch);
            }
            if referral.node == ctx.node {
                continue;
            }
            self.referrals.retain(|known| known.node != referral.node);
            self.referrals.push_back(referral);
            if self.referrals.len() > limits::REFERRALS_MAX {
                self.referrals.pop_front();
            }
        }
        Ok(())
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
            sync: Syncing::default(),
            synced: false,
            turned_away: false,
            declined: BTreeSet::new(),
            refused: BTreeMap::new(),
            in_vain: InVain::default(),
        }
    }
}
