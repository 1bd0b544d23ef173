//! How direct links begin: a link to the other node, the question, and the answer.
//!
//! ```text
//!   seek ── its addresses are dialled ── an offer over the graph ── a relay, after RELAY_AFTER ── again every RETRY
//!     └────────────── a link is there ──► ASK ──► AGREED
//! ```
use super::commands::words_of;
use super::end::{End, Hand, MESSAGES, Seeking, State};
use super::{Direct, Duration};
use crate::cert::VerifiedChain;
use crate::fault::Misbehaved;
use crate::group::{Ctx, Group};
use crate::id::{GroupId, NodeId, PeerId};
use crate::io::error::Error;
use crate::io::{
    DirectAdmit, DirectChange, DirectError, DirectId, DirectTo, LinkId, Outbox, Reply, RequestId,
};
use crate::limits;
use crate::link::Links;
use crate::policy::Grant;
use crate::reach::dial::{Source, Want, Wish};
use crate::time::Now;
use crate::wire::{self, DirectAgreed, DirectAsk, DirectEnd, DirectReason, group_tag, kind};
use rand_chacha::rand_core::Rng as _;

/// The next way to a node is tried after this, and all of them again. Guess: some round trips.
const RETRY: Duration = Duration::from_secs(3);
/// How much longer than its application has the other end may take to answer. Guess.
const ANSWER_SPARE: Duration = Duration::from_secs(10);

fn admits(admit: &DirectAdmit, grant: &Grant) -> bool {
    match admit {
        DirectAdmit::Ask | DirectAdmit::Members => true,
        DirectAdmit::Role(role) => {
            grant.role.to_string() == *role || grant.app_roles.contains(role)
        }
        DirectAdmit::Nobody => false,
    }
}

impl Direct {
    // --- the end that asks ---------------------------------------------------------------------------

    /// Opens a direct link: the answer follows.
    pub(crate) fn ask(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        group: &mut Group,
        (id, to, purpose): (DirectId, DirectTo, String),
        request: RequestId,
    ) -> Result<(), Error> {
        words_of(purpose.clone())?;
        if self.ends.contains_key(&id) {
            return Err(Error::Busy);
        }
        group.standing_chain(ctx)?;
        let mut meant = group.nodes_meant(ctx, links, to).into_iter();
        let (peer, node) = meant.next().ok_or(DirectError::NotHere)?;
        let others = meant.map(|(_, node)| node).collect();
        let number = ctx.rng.next_u64();
        let mut end = End::new(id, group.id, (peer, node), number, true, purpose);
        end.request = Some(request);
        let until = ctx.now.mono.after(limits::DIRECT_REACHED_WITHIN);
        end.seeking = Some(Seeking { others, ..Seeking::until(until) });
        self.add(end)?;
        self.seek(ctx, links, group, id);
        Ok(())
    }

    /// Looks for a link to the other node, by the next way.
    pub(crate) fn seek(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        group: &mut Group,
        id: DirectId,
    ) {
        let Some(end) = self.ends.get_mut(&id) else { return };
        let (node, peer, apart) = (end.node, end.peer, end.state == State::Open);
        if let Some(link) = links.to(node, peer) {
            self.reached(ctx, links, group, id, link);
            return;
        }
        let now = ctx.now.mono;
        let seeking = end.seeking.get_or_insert_with(|| {
            let within = limits::DIRECT_APART_MAX;
            Seeking::until(now.after(if apart { within } else { limits::DIRECT_REACHED_WITHIN }))
        });
        if seeking.until <= now {
            self.unreached(ctx, links, group, id);
            return;
        }
        let mut wait = RETRY;
        let addresses = group.addresses_of(node);
        if !seeking.dialled && !addresses.is_empty() {
            seeking.dialled = true;
            let want = Want::Direct(group.id, node);
            ctx.asks.wishes.push(Wish { want, source: Source::Told, addresses });
        } else if seeking.offers > 0 && !seeking.relayed {
            seeking.relayed = true;
            ctx.asks.relays.push((id, group.id, node));
        } else if seeking.offered.is_empty() {
            seeking.dialled = false;
            if let Some(link) = group.offer_direct(ctx, links, node) {
                seeking.offered.push(link);
                seeking.offers += 1;
                wait = if seeking.relayed { RETRY } else { limits::RELAY_AFTER };
            }
        }
        let at = now.after(wait).min(seeking.until);
        self.due.set((id, MESSAGES), at);
    }

    /// A link to the other node was offered, or a relay was asked for one.
    pub(crate) fn offered(&mut self, id: DirectId, link: LinkId) {
        if let Some(seeking) = self.ends.get_mut(&id).and_then(|end| end.seeking.as_mut()) {
            seeking.offered.push(link);
        }
    }

    /// No address of a node answers. Answers who looks for another way.
    pub(crate) fn vain(&self, group: GroupId, node: NodeId) -> Vec<DirectId> {
        let seeks = |end: &&End| end.group == group && end.node == node && end.seeking.is_some();
        self.ends.values().filter(seeks).map(|end| end.id).collect()
    }

    /// There is no way to a node: another one of the same member is tried.
    fn unreached(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, group: &mut Group, id: DirectId) {
        let Some(end) = self.ends.get_mut(&id) else { return };
        let others = end.seeking.as_mut().map(|it| std::mem::take(&mut it.others));
        let mut others = others.unwrap_or_default();
        if end.state == State::Asking && !others.is_empty() {
            self.by_number.remove(&(end.node, end.number));
            end.node = others.remove(0);
            self.by_number.insert((end.node, end.number), id);
            let until = ctx.now.mono.after(limits::DIRECT_REACHED_WITHIN);
            end.seeking = Some(Seeking { others, ..Seeking::until(until) });
            self.seek(ctx, links, group, id);
            return;
        }
        let open = end.state == State::Open;
        let why = if open { DirectError::Lost } else { DirectError::Unreachable };
        let hand = &mut Hand { now: ctx.now, links, out: &mut *ctx.ambient.out };
        self.remove(id, &why, None, hand);
    }

    /// The direct links that wait for a link to this node, with their groups.
    pub(crate) fn awaits(&self, node: NodeId, peer: PeerId) -> Vec<(DirectId, GroupId)> {
        let waits = |end: &&End| {
            end.link.is_none()
                && (end.node, end.peer) == (node, peer)
                && (end.state == State::Open || end.ours)
        };
        self.ends.values().filter(waits).map(|end| (end.id, end.group)).collect()
    }

    /// A link leads to the other node: it is asked, or frames go on.
    pub(crate) fn reached(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        group: &mut Group,
        id: DirectId,
        link: LinkId,
    ) {
        let Some(end) = self.ends.get_mut(&id) else { return };
        self.dirty.insert(id);
        if end.state == State::Open {
            let hand = &mut Hand { now: ctx.now, links, out: &mut *ctx.ambient.out };
            end.move_to(link, hand, true);
            self.due.clear((id, MESSAGES));
            return;
        }
        let (Ok(chain), Some(ready)) = (group.standing_chain(ctx), links.ready(link)) else {
            return;
        };
        end.link = Some(link);
        end.seeking = None;
        let tag = group_tag(group.id, &ready.hash, true);
        let ask = DirectAsk { number: end.number, tag, chain, purpose: end.purpose.clone() };
        links.send(ctx.now, link, &wire::message(kind::DIRECT_ASK, &ask), ctx.ambient.out);
        let wait = limits::DIRECT_ANSWER_WITHIN.saturating_add(ANSWER_SPARE);
        self.due.set((id, MESSAGES), ctx.now.mono.after(wait));
    }

    /// The group of a direct link of ours on which the other end agrees.
    pub(crate) fn agreed_in(
        &self,
        links: &Links,
        link: LinkId,
        body: &[u8],
    ) -> Result<Option<(DirectId, GroupId, Vec<u8>)>, Misbehaved> {
        let DirectAgreed { number, chain } = wire::decode(body)?;
        let id = self.at(link, number, links);
        let Some(end) = id.and_then(|id| self.ends.get(&id)) else { return Ok(None) };
        match end.state {
            State::Asking => Ok(Some((end.id, end.group, chain))),
            // Said again, since the answer may have been lost with a link.
            State::Open if end.ours => Ok(None),
            State::Open | State::Asked => Err(Misbehaved::Unexpected),
        }
    }

    /// The other end agrees.
    pub(crate) fn on_agreed(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        group: &mut Group,
        link: LinkId,
        (id, chain): (DirectId, &[u8]),
    ) -> Result<(), Misbehaved> {
        let read = group.verify_membership(ctx, links, link, chain);
        let hand = &mut Hand { now: ctx.now, links, out: &mut *ctx.ambient.out };
        let chain = match read {
            Ok(chain) if group.stands(&chain, ctx.ambient.now.wall) => chain,
            Ok(_) => {
                let reason = Some((DirectReason::NotStanding, None));
                self.remove(id, &DirectError::NotStanding, reason, hand);
                return Ok(());
            }
            Err(fault) => {
                self.remove(id, &DirectError::Broken, None, hand);
                return Err(fault);
            }
        };
        let Some(end) = self.ends.get_mut(&id) else { return Ok(()) };
        end.chain = Some(chain);
        end.state = State::Open;
        end.link = Some(link);
        self.due.clear((id, MESSAGES));
        if let Some(request) = end.request.take() {
            let info = end.info();
            super::channel::done(hand.out, request, Ok(Reply::Direct(info)));
        }
        self.tell(id, DirectChange::Connected, hand.out);
        Ok(())
    }

    // --- the end that is asked -----------------------------------------------------------------------

    /// Somebody asks for a direct link in this group.
    pub(crate) fn on_ask(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        group: Option<&mut Group>,
        link: LinkId,
        ask: DirectAsk,
    ) -> Result<(), Misbehaved> {
        let Some(ready) = links.ready(link) else { return Ok(()) };
        let (peer, node, number) = (ready.peer, ready.node, ask.number);
        if ask.purpose.len() > limits::DIRECT_WORDS_BYTES_MAX {
            return Err(Misbehaved::TooMuch);
        }
        let (spare, now) = (limits::DIRECT_ASKS_SPARE, ctx.now.mono);
        self.asks.add(now, peer, limits::DIRECT_ASK_COSTS_MS);
        let often = self.asks.over(now, &peer, spare * limits::DIRECT_ASK_COSTS_MS) > 0;
        let known = self.by_number.get(&(node, number)).copied();
        let refusal = match group {
            None => Some(DirectReason::Unknown),
            Some(_) if often => Some(DirectReason::Full),
            Some(group) => match known {
                Some(id) => return self.asked_again(ctx, links, group, (id, link)),
                None => self.take_up(ctx, links, group, (link, peer, node), ask)?.err(),
            },
        };
        if let Some(reason) = refusal {
            let message = wire::direct_end(number, reason, None);
            links.send(ctx.now, link, &message, ctx.ambient.out);
        }
        Ok(())
    }

    /// The same question comes again, over another link: the answer may have been lost.
    fn asked_again(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        group: &Group,
        (id, link): (DirectId, LinkId),
    ) -> Result<(), Misbehaved> {
        let Some(end) = self.ends.get_mut(&id) else { return Ok(()) };
        let same = links.ready(link).is_some_and(|ready| ready.peer == end.peer);
        if end.ours || end.group != group.id || !same {
            return Err(Misbehaved::Unexpected);
        }
        end.link = Some(link);
        if end.state == State::Open {
            self.due.clear((id, MESSAGES));
            self.agree(ctx, links, group, id);
        }
        Ok(())
    }

    /// A new question. Why it is refused at once, if it is.
    fn take_up(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        group: &mut Group,
        (link, peer, node): (LinkId, PeerId, NodeId),
        ask: DirectAsk,
    ) -> Result<Result<(), DirectReason>, Misbehaved> {
        let chain = group.verify_membership(ctx, links, link, &ask.chain)?;
        if !group.stands(&chain, ctx.now.wall) {
            return Ok(Err(DirectReason::NotStanding));
        }
        if group.standing_chain(ctx).is_err() {
            return Ok(Err(DirectReason::Unknown));
        }
        let admit = self.admits.get(&group.id).unwrap_or(&DirectAdmit::Ask).clone();
        let best: &VerifiedChain = group.best_chain(&chain, ctx.now.wall);
        if !admits(&admit, best.grant()) {
            return Ok(Err(DirectReason::NotAllowed));
        }
        let id = loop {
            let id = DirectId(ctx.rng.next_u64());
            if !self.ends.contains_key(&id) {
                break id;
            }
        };
        let mut end = End::new(id, group.id, (peer, node), ask.number, false, ask.purpose);
        end.link = Some(link);
        end.chain = Some(chain);
        if self.add(end).is_err() {
            return Ok(Err(DirectReason::Full));
        }
        if admit == DirectAdmit::Ask {
            let until = ctx.now.mono.after(limits::DIRECT_ANSWER_WITHIN);
            self.due.set((id, MESSAGES), until);
            self.tell(id, DirectChange::Asked, ctx.ambient.out);
        } else {
            self.opened(ctx, links, group, id);
        }
        Ok(Ok(()))
    }

    /// The application agrees.
    pub(crate) fn accept(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        group: &Group,
        id: DirectId,
    ) -> Result<Reply, Error> {
        let asked = self.ends.get(&id).is_some_and(|end| end.state == State::Asked);
        if !asked {
            return Err(DirectError::Unknown.into());
        }
        group.standing_chain(ctx)?;
        self.opened(ctx, links, group, id);
        Ok(Reply::Ok)
    }

    fn opened(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, group: &Group, id: DirectId) {
        let Some(end) = self.ends.get_mut(&id) else { return };
        end.state = State::Open;
        self.dirty.insert(id);
        match end.link {
            Some(_) => self.due.clear((id, MESSAGES)),
            None => self.due.set((id, MESSAGES), ctx.now.mono.after(limits::DIRECT_APART_MAX)),
        }
        self.agree(ctx, links, group, id);
        self.tell(id, DirectChange::Connected, ctx.ambient.out);
    }

    fn agree(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, group: &Group, id: DirectId) {
        let Some(end) = self.ends.get_mut(&id) else { return };
        let (Some(link), Ok(chain)) = (end.link, group.standing_chain(ctx)) else { return };
        let agreed = DirectAgreed { number: end.number, chain };
        links.send(ctx.now, link, &wire::message(kind::DIRECT_AGREED, &agreed), ctx.ambient.out);
    }

    // --- both ----------------------------------------------------------------------------------------

    /// The other end refuses, or ends a direct link.
    pub(crate) fn on_end(
        &mut self,
        now: Now,
        links: &mut Links,
        out: &mut Outbox,
        link: LinkId,
        body: &[u8],
    ) -> Result<(), Misbehaved> {
        let DirectEnd { number, reason, why } = wire::decode(body)?;
        let why = why.unwrap_or_default();
        if why.len() > limits::DIRECT_WORDS_BYTES_MAX {
            return Err(Misbehaved::TooMuch);
        }
        let Some(id) = self.at(link, number, links) else { return Ok(()) };
        let open = self.ends.get(&id).is_some_and(|end| end.state == State::Open);
        let why = match reason {
            DirectReason::Closed | DirectReason::Leaving | DirectReason::Other => {
                DirectError::ClosedThere
            }
            DirectReason::Unknown if open => DirectError::Lost,
            // A member that is in the group and does not tell us has no business with us.
            DirectReason::Unknown | DirectReason::NotAllowed => DirectError::NotAdmitted,
            DirectReason::Declined => DirectError::Declined(why),
            DirectReason::NoAnswer => DirectError::NoAnswer,
            DirectReason::Full => DirectError::TooMany,
            DirectReason::NotStanding => DirectError::NotStanding,
        };
        self.remove(id, &why, None, &mut Hand { now, links, out });
        Ok(())
    }

    /// A direct link is due: an answer has not come, or a way is to be tried.
    pub(crate) fn end_due(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        group: &mut Group,
        id: DirectId,
    ) {
        let Some(end) = self.ends.get(&id) else { return };
        let (state, linked) = (end.state, end.link.is_some());
        if end.ours && !linked {
            self.seek(ctx, links, group, id);
            return;
        }
        let (why, reason) = match state {
            State::Asked => (DirectError::NoAnswer, Some(DirectReason::NoAnswer)),
            State::Asking => (DirectError::NoAnswer, Some(DirectReason::Closed)),
            State::Open if linked => return,
            State::Open => (DirectError::Lost, None),
        };
        let hand = &mut Hand { now: ctx.now, links, out: &mut *ctx.ambient.out };
        self.remove(id, &why, reason.map(|reason| (reason, None)), hand);
    }
}
