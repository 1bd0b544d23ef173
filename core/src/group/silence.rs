//! Silence: a node that crashed goes from the lists soon, long before its presence record ends.
//!
//! ```text
//!                    ask                      ANSWER_WITHIN
//!   Suspected ────────────────────► Asked ────────────────────► Silent
//!   (we lost it)                    ▲   │                         │
//!             another has lost it ──┘   └── a sign of its life ◄──┘
//! ```
//!
//! Neighbours notice first: a link to the node does not answer, or is gone. They do not decide for others. A neighbour that
//! has lost the node asks everybody whether it is there, by a signed signal that each member passes on at once; the question
//! reaches the node too, unless that is gone. It answers everybody by a sign of life with the time, which nobody else can
//! sign, and of which only a later one than the last is taken. Each node doubts by itself:
//!
//! 1. A node of which a sign came within [`FRESH_FOR`] is not doubted; nor is one that answers us over a link of our own.
//! 2. A node of which no sign comes within [`ANSWER_WITHIN`] is silent: it is shown no longer. It is shown again once a
//!    later sign comes: an answer, or a presence record.
//! 3. A node answers one question in [`ANSWER_EVERY`], however often it is asked. That is less than [`FRESH_FOR`], so a
//!    question that others take is one that it answers.
//! 4. A member has a budget for questions, see [`limits::LOSSES_SPARE`], and a share of what is doubted at one time.
//!
//! So one who lies about a loss gains a question and an answer; one who swallows questions or answers is passed by, if the
//! node has another neighbour. A node that comes later is told which nodes nobody hears of, when it has learnt who is present.
use super::{Group, Present, Timer};
use crate::budget::Accounts;
use crate::group::Ctx;
use crate::id::{NodeId, PeerId};
use crate::identity::Domain;
use crate::io::{Event, LinkId, NodeChange};
use crate::limits;
use crate::link::Links;
use crate::share::{Rank, Shares};
use crate::sorted::SortedMap;
use crate::time::Time;
use crate::wire::{self, Origin, Signal};
use bytes::Bytes;
use std::time::Duration;

/// A sign of life suffices for this long before we ask others. Guess: what passes between a link's last word and our
/// doubt of it.
const ASK_AFTER: Duration = limits::KEEPALIVE_EVERY;
/// The same where others ask. Guess: less than [`ASK_AFTER`], since a sign reaches them at another moment.
const FRESH_FOR: Duration = Duration::from_secs(10);
/// A node answers one question in this time. Guess: less than [`FRESH_FOR`] by more than a question travels.
const ANSWER_EVERY: Duration = Duration::from_secs(5);
/// A sign of life says this much of the time at which it is seen. Guess: as slow as a group passes anything on. An older one
/// may be repeated by anybody, long after its node is gone.
const SIGN_AGE_MAX: Duration = Duration::from_secs(120);
/// An answer comes within this time. Guess: some seconds for a page that is busy, and as many for the way. A neighbour asks
/// at the latest 33 s after the last word (twice [`limits::KEEPALIVE_EVERY`] and [`limits::DOUBTED_AFTER`]), so that a node
/// that crashed is silent within 41 s.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);

/// The nodes that are doubted.
pub(super) struct Silence {
    doubts: SortedMap<NodeId, Doubt>,
    /// Of whose questions how many are open.
    shares: Shares<PeerId>,
    asked: Accounts,
    /// When we answered last, and the time that the answer named.
    said: Option<Time>,
    named: u64,
}

impl Default for Silence {
    fn default() -> Self {
        Self {
            doubts: SortedMap::new(),
            shares: Shares::new(limits::SILENT),
            asked: Accounts::new(1),
            said: None,
            named: 0,
        }
    }
}

/// How far the doubt of a present node is.
enum Doubt {
    /// We have lost it, and ask then.
    Suspected(Time),
    /// A member has asked, and no answer has come.
    Asked(Question),
    /// None came in time.
    Silent(Question),
}

struct Question {
    signal: Signal,
    asker: PeerId,
    until: Time,
    /// The latest sign of the node's life when it was asked.
    sign: u64,
}

impl Doubt {
    /// When something is to be done.
    fn due(&self) -> Option<Time> {
        match self {
            Self::Suspected(at) => Some(*at),
            Self::Asked(question) => Some(question.until),
            Self::Silent(_) => None,
        }
    }

    fn question(&self) -> Option<&Question> {
        match self {
            Self::Suspected(_) => None,
            Self::Asked(question) | Self::Silent(question) => Some(question),
        }
    }
}

impl Silence {
    /// Whether a node is not heard of.
    pub(super) fn is_silent(&self, node: NodeId) -> bool {
        matches!(self.doubts.get(&node), Some(Doubt::Silent(_)))
    }

    /// A node is doubted no longer. Whether it was silent.
    pub(super) fn forget(&mut self, node: NodeId) -> bool {
        let silent = self.is_silent(node);
        if let Some(Doubt::Asked(question) | Doubt::Silent(question)) = self.doubts.remove(&node) {
            self.shares.give_back(&question.asker, 1);
        }
        silent
    }

    /// Notes a question, unless there are too many.
    fn ask(&mut self, now: Time, signal: Signal, asker: PeerId, sign: u64) -> bool {
        let over = self.asked.over(now, &asker, limits::LOSSES_SPARE - limits::LOSS_COSTS) > 0;
        if over || self.shares.fits(&asker, 1, Rank::Junior).is_err() {
            return false;
        }
        self.asked.add(now, asker, limits::LOSS_COSTS);
        self.shares.book(&asker, 1);
        let until = now.after(ANSWER_WITHIN);
        self.doubts.insert(signal.to, Doubt::Asked(Question { signal, asker, until, sign }));
        true
    }

    /// Whether we may answer.
    fn may_answer(&self, now: Time) -> bool {
        self.said.is_none_or(|said| now.since(said) >= ANSWER_EVERY)
    }
}

impl Present {
    /// Whether a sign of its life came within this time.
    fn was_heard(&self, now: Time, within: Duration) -> bool {
        self.heard.is_some_and(|heard| now.since(heard) < within)
    }
}

impl Group {
    /// A neighbour is lost, or its link does not answer: we ask others, unless it gave a sign of life just now.
    pub(super) fn suspect(&mut self, ctx: &Ctx<'_>, node: NodeId) {
        let Some(present) = self.present.get(&node).filter(|_| node != ctx.node) else { return };
        let suffices = present.heard.map(|heard| heard.after(ASK_AFTER));
        let at = ctx.now.mono.max(suffices.unwrap_or_default());
        self.silence.doubts.entry(node).or_insert(Doubt::Suspected(at));
        self.arm_silence();
    }

    fn arm_silence(&mut self) {
        if let Some(at) = self.silence.doubts.values().filter_map(Doubt::due).min() {
            self.timers.set(Timer::Silence, at);
        }
    }

    /// Whether a node answers over a link of ours.
    fn answers_us(&self, ctx: &Ctx<'_>, links: &Links, node: NodeId) -> bool {
        let mut slots = self.slots.iter().filter(|(_, slot)| slot.node == node);
        slots.any(|(&link, _)| links.ready(link).is_some() && !links.is_doubted(ctx.now, link))
    }

    /// Asks after those that we lost, and shows those no longer that have not answered.
    pub(super) fn review_silence(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
        let now = ctx.now.mono;
        let due = |doubt: &Doubt| doubt.due().is_some_and(|at| at <= now);
        let doubts = self.silence.doubts.iter().filter(|(_, doubt)| due(doubt));
        let due: Vec<NodeId> = doubts.map(|(&node, _)| node).collect();
        for node in due {
            let asked = matches!(self.silence.doubts.get(&node), Some(Doubt::Asked(_)));
            let heard = self.present.get(&node).and_then(|present| present.heard);
            let suffices = heard.map(|heard| heard.after(ASK_AFTER)).filter(|until| *until > now);
            if self.answers_us(ctx, links, node) {
                self.silence.forget(node);
            } else if asked {
                self.fall_silent(ctx, node);
            } else if let Some(later) = suffices {
                self.silence.doubts.insert(node, Doubt::Suspected(later));
            } else {
                self.ask_after(ctx, links, node);
            }
        }
        self.arm_silence();
    }

    fn fall_silent(&mut self, ctx: &mut Ctx<'_>, node: NodeId) {
        if let Some(Doubt::Asked(question)) = self.silence.doubts.remove(&node) {
            self.silence.doubts.insert(node, Doubt::Silent(question));
            self.tell_silence(ctx, node, NodeChange::Disconnected);
        }
    }

    fn tell_silence(&mut self, ctx: &mut Ctx<'_>, node: NodeId, change: NodeChange) {
        if let Some(present) = self.present.get(&node) {
            let (group, peer, node) = (self.id, present.peer, present.info(node));
            self.tell_of_member(ctx, peer);
            self.event(ctx, Event::Node { group, node, change });
        }
    }

    /// Asks everybody after a node that we lost. If we have asked too much, we ask later.
    fn ask_after(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, node: NodeId) {
        let attempt = u64::from_be_bytes(ctx.random_bytes());
        let signal = self.word(ctx, node, attempt, Signal::LOST);
        let (now, me, sign) = (ctx.now.mono, ctx.identity.peer_id(), self.sign_of(node));
        if self.silence.ask(now, signal.clone(), me, sign) {
            self.signals_seen.note((signal.from, signal.attempt, signal.number));
            self.spread(ctx, links, &signal, None);
        } else {
            self.silence.doubts.insert(node, Doubt::Suspected(now.after(FRESH_FOR)));
        }
    }

    /// The latest sign of a node's life.
    fn sign_of(&self, node: NodeId) -> u64 {
        self.present.get(&node).map_or(0, |present| present.sign)
    }

    /// A signal of ours that carries nothing.
    fn word(&self, ctx: &Ctx<'_>, to: NodeId, attempt: u64, number: u32) -> Signal {
        let key = *ctx.identity.public_key().as_bytes();
        let origin = Origin { key, nonce: ctx.nonce, signature: [0; 64] };
        let (from, signal) = (ctx.node, Bytes::new());
        let word = Signal { from, to, attempt, number, hops: 0, origin, signal };
        let provider = &ctx.config.provider;
        word.signed(self.id, |message| provider.sign(ctx.identity, Domain::Signal, message))
    }

    /// Whether a signal may say what we do not know: of one about a loss or a life that is seen before its signature is
    /// checked.
    pub(super) fn may_be_news(&self, ctx: &Ctx<'_>, signal: &Signal) -> bool {
        let now = ctx.now.mono;
        let present = |node| self.present.get(&node).filter(|_| node != ctx.node);
        if signal.is_loss() {
            if signal.to == ctx.node {
                return self.own_presence.is_some() && self.silence.may_answer(now);
            }
            let doubt = self.silence.doubts.get(&signal.to);
            return present(signal.to).is_some_and(|it| !it.was_heard(now, FRESH_FOR))
                && doubt.and_then(Doubt::question).is_none();
        }
        if signal.is_life() {
            let now = self.peer_time(ctx.now.wall);
            let earliest = now.0.saturating_sub(SIGN_AGE_MAX.as_millis() as u64);
            return signal.to == signal.from
                && present(signal.from).is_some_and(|it| it.sign < signal.attempt)
                && (earliest..=now.after(limits::FUTURE_MAX).0).contains(&signal.attempt);
        }
        true
    }

    /// A member has lost a node, or a node says that it is there. It is news, and its origin has signed it.
    pub(super) fn on_sign(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        signal: Signal,
    ) {
        if signal.is_loss() && signal.to == ctx.node {
            return self.answer_loss(ctx, links);
        }
        let name = (signal.from, signal.attempt, signal.number);
        if signal.is_life() {
            let Some(present) = self.present.get_mut(&signal.from) else { return };
            // One that says it all the time is passed on now and then.
            let often = present.was_heard(ctx.now.mono, ANSWER_EVERY / 2);
            (present.sign, present.heard) = (signal.attempt, Some(ctx.now.mono));
            self.repair.found(signal.from);
            if self.silence.forget(signal.from) {
                self.tell_silence(ctx, signal.from, NodeChange::Connected);
            } else if often {
                return;
            }
        } else {
            let (node, Some(asker)) = (signal.to, signal.origin.peer()) else { return };
            // A question that finds no room here is passed on: else it would be one that the node does not hear.
            let sign = self.sign_of(node);
            if self.silence.ask(ctx.now.mono, signal.clone(), asker, sign) {
                self.arm_silence();
            }
            let beside = self.slots.iter().filter(|(_, slot)| slot.node == node);
            beside.for_each(|(&link, _)| links.ask(ctx.now, link, ctx.out));
        }
        self.signals_seen.note(name);
        // However many hops it says: those are not signed, and each node passes it on once.
        self.spread(ctx, links, &signal, Some(link));
    }

    /// Says to everybody that we are there.
    fn answer_loss(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
        // Later than all that others know, even if our time was set back.
        let known = self.present.get(&ctx.node).map_or(0, |present| present.sign);
        let time = self.peer_time(ctx.now.wall).0.max(known.max(self.silence.named) + 1);
        let life = self.word(ctx, ctx.node, time, Signal::LIVES);
        (self.silence.said, self.silence.named) = (Some(ctx.now.mono), time);
        self.signals_seen.note((life.from, life.attempt, life.number));
        self.spread(ctx, links, &life, None);
    }

    /// Sends a signal to everybody but the one that brought it, over busy links too: a sign of life that comes late is still
    /// one, and no other follows soon.
    fn spread(&self, ctx: &mut Ctx<'_>, links: &mut Links, signal: &Signal, but: Option<LinkId>) {
        for link in self.everywhere(ctx.now.wall, but) {
            if let Some(slot) = self.slots.get(&link) {
                links.send(ctx.now, link, &wire::signal(slot.number, signal), ctx.out);
            }
        }
    }

    /// The record of a node that is present has come anew. Whether the node was silent, and is shown again.
    pub(super) fn end_doubt(&mut self, ctx: &Ctx<'_>, node: NodeId) -> bool {
        let doubt = self.silence.doubts.get(&node);
        let Some(question) = doubt.and_then(Doubt::question) else { return false };
        if self.sign_of(node) <= question.sign {
            return false;
        }
        let ours = question.asker == ctx.identity.peer_id();
        let silent = self.silence.forget(node);
        if ours {
            // It may have been on its way when the node was lost.
            self.suspect(ctx, node);
        }
        silent
    }

    /// Tells a neighbour that knows by now who is present after whom members have asked in vain.
    pub(super) fn tell_losses(&self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId) {
        let questions = self.silence.doubts.values().filter_map(Doubt::question);
        for question in questions {
            self.carry(ctx, links, &question.signal, vec![link]);
        }
    }
}
