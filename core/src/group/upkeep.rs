//! Upkeep: how many neighbours there are, and who may become one.
//!
//! Below the minimum we look for neighbours at once, below the ideal now and then; above the ideal the least useful one
//! goes, one at a time, once it is old enough. A node joins with one link, and looks for more when its first sync is
//! complete. A neighbour that does not answer is not counted. Source: reference 3.3–3.6; numbers in
//! [`Neighbours`](crate::config::Neighbours).
use super::graph::{Slot, SlotState};
use super::{Group, Present, Timer};
use crate::address::Address;
use crate::error::Misbehaved;
use crate::group::Ctx;
use crate::id::{NodeId, PeerId};
use crate::io::{Dial, Event, LinkId, Output, PlaceSource, Tried};
use crate::limits;
use crate::link::{Begun, Links};
use crate::policy::Grant;
use crate::reach::dial::{Dialer, Source, Want, Wish};
use crate::reach::purpose::Purpose;
use crate::roll::Standing;
use crate::sorted::SortedSet;
use crate::time::Now;
use crate::wire::{Reason, Referral, Refuse, kind};
use rand_chacha::rand_core::Rng as _;
use std::time::Duration;

/// A node is not tried again for this long. Guess.
const TRIED_FOR: Duration = Duration::from_secs(30);
/// The same for a newcomer, which can turn to few: the inviter may come back while somebody waits. Guess.
const TRIED_BY_NEWCOMER_FOR: Duration = Duration::from_secs(1);
/// Longest time between maintenance rounds of a newcomer, and of a member whose guest waits for another one who can let it
/// in: all ways are tried again in each. Guess: with what a dial takes, an inviter that comes back is found within 5 s.
const NEWCOMER_ROUND: Duration = Duration::from_secs(2);
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
/// Offers to seats under way while there is no neighbour. Guess: one of them may be gone, or behind a firewall.
const OFFERS_MAX: usize = 2;

/// To whom a link is being opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// This node.
    Node(NodeId),
    /// Any node that has a seat at a rendezvous node.
    Seat,
    /// The same in another part of the graph, as this rendezvous node says.
    Apart(LinkId),
    /// Any node that is at an address.
    Place,
}

impl Group {
    /// A node that has nobody asks those again who refused it when it had others: for one who is alone there is room. They
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
            self.attempts.insert(link, Attempt::Node(node));
            self.connect_idle(ctx, links, link);
        }
    }

    /// A link does not answer: others are looked for meanwhile.
    pub(crate) fn doubt(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId) {
        if let Some(node) = self.slots.get(&link).map(|slot| slot.node)
            && self.is_neighbour(link)
        {
            self.soon(ctx);
            self.ask_neighbours(ctx, links);
            self.suspect(ctx, node);
        }
    }

    /// The network is another one: those who could not be reached may be reached now.
    pub(crate) fn paths_changed(&mut self, ctx: &mut Ctx<'_>) {
        self.tried.clear();
        (self.lonely_rounds, self.fruitless_rounds) = (0, 0);
        self.soon(ctx);
    }

    /// A link does not answer since the network has changed: its node is dialled or signalled anew, beside it. `way`: the
    /// address at which we dialled it, and whether signals over the graph brought it about.
    pub(crate) fn replace(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        (address, signalled): (Option<Address>, bool),
    ) {
        let Some(slot) = self.slots.get(&link) else { return };
        let node = slot.node;
        let beside = self.attempts.iter().any(|(&other, attempt)| {
            *attempt == Attempt::Node(node) && !links.is_doubted(ctx.now, other)
        });
        if beside || ctx.dialer.is_racing(Want::Member(self.id, node)) {
            return;
        }
        let mut addresses: Vec<Address> = address.into_iter().collect();
        for told in &slot.addresses {
            if !addresses.contains(told) {
                addresses.push(told.clone());
            }
        }
        let carried = self.living(ctx.now, links).any(|other| other != link);
        if carried && (signalled || addresses.is_empty()) {
            self.offer_to(ctx, links, node);
        } else if !addresses.is_empty() {
            self.wish_for(ctx, node, addresses);
        }
    }

    /// One neighbour is gone: are the others still there? The cause that cut it off may have cut off more, and who counts on
    /// the dead is alone without knowing.
    pub(super) fn ask_neighbours(&self, ctx: &mut Ctx<'_>, links: &mut Links) {
        for (link, _) in self.neighbours() {
            links.ask(ctx.now, link, ctx.out);
        }
    }

    /// Links to neighbours on whom we count.
    pub(super) fn living(&self, now: Now, links: &Links) -> impl Iterator<Item = LinkId> {
        self.neighbours().map(|(link, _)| link).filter(move |link| !links.is_doubted(now, *link))
    }

    /// How many may become neighbours: links under way that are not doubted, those to one node once, and nodes that are about
    /// to be dialled. `places`: also those to addresses of earlier times, where nobody knows who is there.
    fn promising(&self, ctx: &Ctx<'_>, links: &Links, places: bool) -> usize {
        let hopeful = self.attempts.iter().filter(|(link, _)| !links.is_doubted(ctx.now, **link));
        let mut nodes = SortedSet::new();
        let mut others = 0;
        for (_, attempt) in hopeful {
            match *attempt {
                Attempt::Node(node) => drop(nodes.insert(node)),
                Attempt::Seat | Attempt::Apart(_) => others += 1,
                Attempt::Place => others += usize::from(places),
            }
        }
        nodes.extend(ctx.asks.wishes.iter().filter_map(|wish| match wish.want {
            Want::Member(group, node) if group == self.id => Some(node),
            Want::Member(..) | Want::Named(_) | Want::Any(_) => None,
            Want::Patrol(_) | Want::Missing(..) | Want::Direct(..) => None,
        }));
        nodes.len() + others
    }

    /// Links that we offered to seats and that are not doubted.
    fn offers(&self, ctx: &Ctx<'_>, links: &Links) -> usize {
        let hopeful = self.attempts.iter().filter(|(link, _)| !links.is_doubted(ctx.now, **link));
        hopeful.filter(|(_, attempt)| **attempt == Attempt::Seat).count()
    }

    /// Whether there is nobody on whom we count.
    pub(crate) fn is_lonely(&self, now: Now, links: &Links) -> bool {
        !self.is_abandoned() && self.living(now, links).next().is_none()
    }

    /// Whether a newcomer waits here for somebody who can let it in.
    fn has_guests(&self) -> bool {
        self.slots.values().any(|slot| slot.state == SlotState::Guest)
    }

    /// A newcomer waits here. A node that has nobody to send it to looks for others at once, not when its own turn comes.
    pub(super) fn hurry_for_guest(&mut self, ctx: &Ctx<'_>, links: &Links) {
        if self.is_lonely(ctx.now, links) {
            self.timers.set_earlier(Timer::Maintain, ctx.now.mono.after(NEWCOMER_ROUND));
        }
    }

    /// Maintenance follows shortly; a little later than at once, so that what happens together is seen together.
    pub(crate) fn soon(&mut self, ctx: &mut Ctx<'_>) {
        let wait = Self::jitter(ctx, Duration::from_millis(100));
        self.timers.set_earlier(Timer::Maintain, ctx.now.mono.after(wait));
    }

    /// Looks for neighbours where there are too few, drops one where there are too many.
    pub(crate) fn maintain(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, on_timer: bool) {
        if self.is_abandoned() || self.has_seen_enough() {
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
        let tried_for = if self.joining.is_some() { TRIED_BY_NEWCOMER_FOR } else { TRIED_FOR };
        self.tried.retain(|_, at| ctx.now.mono.since(*at) < tried_for);
        let have = self.living(ctx.now, links).count();
        if have == 0 {
            self.ask_idle(ctx, links);
        }
        let promising = self.promising(ctx, links, !(on_timer && have == 0));
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
            // A node that is not there is not found by asking again and again.
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
        let waited_for = self.joining.is_some() || (have == 0 && self.has_guests());
        if on_timer && waited_for {
            self.redeem_again(ctx, links);
            ctx.asks.again = true;
        }
        if (wanted > 0 && have < minimum) || (on_timer && have == 0) {
            ctx.asks.sit.insert(self.id);
            // A node that has nobody tries all ways at once: who is said to be present may be gone. With few neighbours each
            // address of earlier times has its turn once: who has come back in order is missed by nobody.
            if on_timer && have == 0 && (promising == 0 || self.lonely_rounds <= 1) {
                self.dial_known(ctx);
            } else if on_timer
                && self.attempts.is_empty()
                && self.fruitless_rounds as usize <= self.known.len()
            {
                self.patrol(ctx);
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
        let wait = if waited_for { wait.min(NEWCOMER_ROUND) } else { wait };
        let wait = Self::jitter(ctx, wait);
        if on_timer {
            self.timers.set(Timer::Maintain, ctx.now.mono.after(wait));
        } else {
            self.timers.set_if_unarmed(Timer::Maintain, ctx.now.mono.after(wait));
        }
    }

    /// Whether an offer to somebody at a rendezvous would help. A node that has nobody does not wait for what else it tries.
    pub(crate) fn wants_more(&self, ctx: &Ctx<'_>, links: &Links) -> bool {
        if self.is_abandoned() || self.has_seen_enough() {
            return false;
        }
        let have = self.living(ctx.now, links).count();
        if have == 0 {
            return self.offers(ctx, links) < OFFERS_MAX;
        }
        let minimum = if self.ready { ctx.config.neighbours.minimum } else { 1 };
        let promising = self.promising(ctx, links, true);
        promising < limits::ATTEMPTS_MAX && have + promising < minimum
    }

    /// Whether there are fewer neighbours than there have to be.
    pub(crate) fn has_too_few(&self, ctx: &Ctx<'_>, links: &Links) -> bool {
        let minimum = if self.ready { ctx.config.neighbours.minimum } else { 1 };
        let have = self.living(ctx.now, links).count();
        !self.is_abandoned() && !self.has_seen_enough() && have < minimum
    }

    /// Notes a link that is being dialled for this graph.
    pub(crate) fn attempt(&mut self, link: LinkId, want: Want) {
        let attempt = match want {
            Want::Member(_, node) => Attempt::Node(node),
            Want::Missing(_, node) => {
                self.repair.probe_begun(link, node);
                Attempt::Place
            }
            Want::Any(_) | Want::Patrol(_) | Want::Named(_) | Want::Direct(..) => Attempt::Place,
        };
        self.attempts.insert(link, attempt);
    }

    /// Notes where somebody is looked for, for people who wait. A person whose node has a neighbour does not wait.
    pub(crate) fn dialled(&mut self, link: LinkId, address: &Address, from: PlaceSource) {
        if self.neighbours().next().is_none() {
            self.trace.dialled(link, Some(address), from);
        }
    }

    /// All that was tried to find somebody since we had a neighbour last.
    pub(crate) fn tell_tried(&self, dialer: &Dialer) -> Tried {
        let nodes = dialer.states().map(|(url, _, state)| (url.clone(), state.clone()));
        let neighbours = u32::try_from(self.neighbours().count()).unwrap_or(u32::MAX);
        self.trace.tell(nodes.collect(), neighbours)
    }

    /// Whether an offer to somebody who a rendezvous node says is in another part would help: one of each such node, and not
    /// more attempts than there may be.
    pub(crate) fn may_join_parts(&self, ctx: &Ctx<'_>, links: &Links, via: LinkId) -> bool {
        let apart = self.attempts.values().any(|attempt| *attempt == Attempt::Apart(via));
        let contact = self.seen_as_contact().is_some() && !self.is_abandoned();
        contact && !apart && self.promising(ctx, links, true) < limits::ATTEMPTS_MAX
    }

    /// Notes a link that is being offered for this graph.
    pub(crate) fn offered(&mut self, link: LinkId, attempt: Attempt) {
        if self.neighbours().next().is_none() {
            self.trace.offered(link);
        }
        self.attempts.insert(link, attempt);
    }

    /// None of a member's addresses answers. It is offered a link by signals only if it says that it is here, and we have
    /// too few neighbours: the search for one who crashed, or is cut off, goes through the whole graph in vain.
    pub(crate) fn unreached(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, node: NodeId) {
        self.referrals.failed(node);
        self.soon(ctx);
        if links.to_node(node).is_none() && self.is_present(node) && self.wants_more(ctx, links) {
            self.offer_to(ctx, links, node);
        }
    }

    /// A node to connect to, at random: mostly one that we were referred to, sometimes one that is present.
    fn candidate(&mut self, ctx: &mut Ctx<'_>, links: &Links) -> Option<(NodeId, Vec<Address>)> {
        let signals = self.can_signal();
        let (ours, dialer) = (ctx.node, ctx.dialer);
        let fits = |node: NodeId, has_address: bool| {
            node != ours
                && !self.tried.contains_key(&node)
                && !self.attempts.values().any(|attempt| *attempt == Attempt::Node(node))
                && !dialer.is_racing(Want::Member(self.id, node))
                && !self.slots.values().any(|slot| slot.node == node)
                && (signals || has_address || links.to_node(node).is_some())
        };
        let tells = |present: &Present| !present.addresses.is_empty();
        let present = self.present.iter().map(|(&node, present)| (node, tells(present)));
        let says = |node: &NodeId| self.present.get(node).is_some_and(tells);
        let referred = self.referrals.nodes().map(|(node, said)| (node, said || says(&node)));
        // A node that says that it is here is known to all, and soon full; one that we are referred to is not.
        let (mut first, mut second): (Vec<_>, Vec<_>) = (referred.collect(), present.collect());
        if ctx.rng.next_u64().is_multiple_of(4) {
            std::mem::swap(&mut first, &mut second);
        }
        for mut candidates in [first, second] {
            candidates.retain(|&(node, has_address)| fits(node, has_address));
            if !candidates.is_empty() {
                let at = (ctx.rng.next_u64() % candidates.len() as u64) as usize;
                let (node, _) = candidates[at];
                let own = self.present.get(&node).map_or(&[][..], |present| &present.addresses);
                return Some((node, self.referrals.addresses(node, own)));
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
            self.attempts.insert(link, Attempt::Node(node));
            self.open_on(ctx, links, link);
            return;
        }
        if addresses.is_empty() {
            self.offer_to(ctx, links, node);
        } else {
            self.wish_for(ctx, node, addresses);
        }
    }

    /// Has a member's addresses dialled.
    pub(super) fn wish_for(&self, ctx: &mut Ctx<'_>, node: NodeId, addresses: Vec<Address>) {
        let (want, source) = (Want::Member(self.id, node), Source::Told);
        ctx.asks.wishes.push(Wish { want, source, addresses });
    }

    /// Offers a link to a node over the graph.
    pub(crate) fn offer_to(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, node: NodeId) {
        if !self.can_signal() || !links.may_begin(Some(self.id)) {
            return;
        }
        let link = links.create(ctx.now, Begun::Ours(Some(self.id)));
        let attempt = ctx.rng.next_u64();
        ctx.ways.offer_over_graph(link, self.id, node, attempt);
        ctx.purposes.insert(link, Purpose::of([self.id]));
        self.offered(link, Attempt::Node(node));
        ctx.out.push_back(Output::Open { link, dial: Dial::Offer });
    }

    /// Has the addresses of earlier times, or of the invitation, dialled, the newest first; not those of our neighbours, and
    /// not those of named nodes, which are dialled already.
    fn dial_known(&mut self, ctx: &mut Ctx<'_>) {
        let joined: Vec<&Address> =
            self.neighbours().flat_map(|(_, slot)| &slot.addresses).collect();
        let wish = |source: Source| {
            let mut addresses: Vec<Address> = Vec::new();
            let known = self.known.iter().rev().filter(|known| known.source() == source);
            for address in known.flat_map(|known| &known.addresses) {
                let elsewhere = joined.contains(&address) || ctx.dialer.names(address);
                if !elsewhere && !addresses.contains(address) {
                    addresses.push(address.clone());
                }
            }
            Wish { want: Want::Any(self.id), source, addresses }
        };
        let wishes = [Source::Invited, Source::Remembered].map(wish);
        ctx.asks.wishes.extend(wishes.into_iter().filter(|wish| !wish.addresses.is_empty()));
    }

    /// An address led to `node`, which is ourselves (`own`), or linked already. It is of no use if that is a neighbour
    /// and does not name it.
    pub(crate) fn leads_to(&mut self, own: NodeId, address: &Address, node: NodeId) {
        let unnamed = |slot: &Slot| slot.node == node && !slot.addresses.contains(address);
        let unnamed = self.neighbours().any(|(_, slot)| unnamed(slot));
        if unnamed || node == own {
            self.known.forget(address);
        }
    }

    /// A neighbour that has others makes room for who has nobody.
    pub(super) fn make_room(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
        self.prune(ctx, links, ROOM_MADE_AFTER);
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

    /// The nodes that another node may turn to: our neighbours, then some of who is present, at random.
    pub(super) fn referrals(&self, ctx: &mut Ctx<'_>, except: NodeId) -> Vec<Referral> {
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
        let policy = self.root().policy();
        let issues = |peer: PeerId| {
            let best = self.roll.best_of(peer, self.clock(ctx.now.wall));
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

    /// Notes whom the other end of a link refers us to.
    pub(super) fn add_referrals(
        &mut self,
        ctx: &Ctx<'_>,
        link: LinkId,
        referrals: Vec<Referral>,
    ) -> Result<(), Misbehaved> {
        if referrals.len() > limits::REFERRALS_SENT_MAX {
            return Err(Misbehaved::TooMuch);
        }
        let by = self.slots.get(&link).ok_or(Misbehaved::Unexpected)?.peer;
        for referral in referrals {
            if referral.addresses.len() > limits::ADDRESSES_MAX {
                return Err(Misbehaved::TooMuch);
            }
            if referral.node != ctx.node {
                self.referrals.add(by, referral);
            }
        }
        Ok(())
    }
}
