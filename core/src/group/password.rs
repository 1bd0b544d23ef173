//! Joining a group by password, on both sides: see `password.rs` for the exchange.
//!
//! The password is known to who made the invitation, and to whom it was told; the group knows only that there is such an
//! invitation. Members that do not know the password refer to the nodes of its maker and carry the signals there.
use super::preview::Looking;
use super::{Group, Joining, Proof, SlotState, Timer, Wanted};
use crate::cert;
use crate::error::{Error, Misbehaved};
use crate::group::Ctx;
use crate::id::RecordId;
use crate::io::{LinkId, Outcome, Output};
use crate::link::Links;
use crate::password::{Answered, Asked, Between, Origin, Secret, Throttle, WAIT_LONGEST};
use crate::reach::signals::Over;
use crate::sorted::{SortedMap, SortedSet};
use crate::time::{Time, WallTime};
use crate::wire::{self, AnswerPassword, AskPassword, Ended, NotGranted, ProvePassword, kind};
use bytes::Bytes;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long after a try the failures are stored. Guess: a restart within it forgets what was tried since.
const TRIES_SAVED_AFTER: Duration = Duration::from_secs(2);

/// All that a node knows of passwords.
#[derive(Default)]
pub(super) struct Passwords {
    /// Of the invitations that this node made.
    pub(super) known: SortedMap<RecordId, Secret>,
    throttles: SortedMap<RecordId, Throttle>,
    /// Members' runs, by the newcomer's link.
    answered: SortedMap<LinkId, (RecordId, Answered)>,
    /// Newcomers' runs.
    asked: SortedMap<LinkId, Asked>,
}

impl Passwords {
    pub(super) fn link_down(&mut self, link: LinkId) {
        self.answered.remove(&link);
        self.asked.remove(&link);
    }
}

impl Group {
    /// Begins to prove the password to a member, over this very link.
    pub(super) fn ask_password(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        invitation: RecordId,
        secret: &Secret,
    ) {
        let Some(ready) = links.ready(link) else { return };
        let between =
            Between { newcomer: ctx.identity.peer_id(), member: ready.peer, link: ready.hash };
        let (asked, message) = Asked::new(secret, between, ctx.rng);
        self.passwords.asked.insert(link, asked);
        self.set_state(link, SlotState::Redeeming);
        self.send(ctx, links, link, kind::ASK_PASSWORD, &AskPassword { invitation, message });
    }

    pub(super) fn on_ask_password(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        let AskPassword { invitation, message } = wire::decode(body)?;
        let ready = links.ready(link).ok_or(Misbehaved::Unexpected)?;
        let (newcomer, hash) = (ready.peer, ready.hash);
        let Some(open) = self.invitations.get(&invitation) else {
            let withdrawn = self.withdrawn_by(invitation);
            self.answer_unknown(ctx, links, link, withdrawn);
            return Ok(());
        };
        let inviter = open.inviter;
        if open.expires < self.clock(ctx.now.wall) {
            let grant = open.grant.clone();
            self.say_over(ctx, links, link, Ended::Expired, (inviter, &grant));
            return Ok(());
        }
        self.set_state(link, SlotState::Guest);
        self.hurry_for_guest(ctx, links);
        let Some(secret) = self.passwords.known.get(&invitation).cloned() else {
            let answer = NotGranted::ask(self.referrals_to(inviter));
            self.send(ctx, links, link, kind::NOT_GRANTED, &answer);
            return Ok(());
        };
        let origin = self.origin_of(ctx, links, link);
        let throttle = self.passwords.throttles.entry(invitation).or_default();
        let tried = throttle.try_at(ctx.now.mono, origin, newcomer);
        // The tries are kept for the next start.
        self.timers.set_if_unarmed(Timer::Save, ctx.now.mono.after(TRIES_SAVED_AFTER));
        if let Err(wait) = tried {
            let answer = NotGranted {
                chain: self.shown_chain(),
                line: self.shown_line(),
                ..NotGranted::wait(wait)
            };
            self.send(ctx, links, link, kind::NOT_GRANTED, &answer);
            return Ok(());
        }
        let between = Between { newcomer, member: ctx.identity.peer_id(), link: hash };
        let run = Answered::new(&secret, between, &message, ctx.rng);
        let (answered, message, proof) = run.ok_or(Misbehaved::Redemption)?;
        let Some(chain) = &self.chain else { return Err(Misbehaved::Unexpected) };
        let chain = cert::encode_chain(chain.certificates());
        self.passwords.answered.insert(link, (invitation, answered));
        let line = self.shown_line();
        let answer = AnswerPassword { message, proof: proof.to_vec(), chain, line };
        self.send(ctx, links, link, kind::ANSWER_PASSWORD, &answer);
        Ok(())
    }

    pub(super) fn on_answer_password(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        let AnswerPassword { message, proof, chain, line } = wire::decode(body)?;
        let asked = self.passwords.asked.remove(&link).ok_or(Misbehaved::Unexpected)?;
        // Genuine first, by the pinned root: only then does a wrong proof mean a wrong password.
        if !self.hears_line(ctx, &chain, line.as_deref())? {
            self.set_state(link, SlotState::GuestOf);
            self.tell_trace(link, Outcome::CannotLetIn);
            return Ok(());
        }
        let chain = self.verify_membership(ctx, links, link, &chain)?;
        if self.is_outdated(link) {
            self.set_state(link, SlotState::GuestOf);
            self.prove_on(ctx, links, link);
            return Ok(());
        }
        let Some(proof) = asked.finish(&message, &proof) else {
            self.set_state(link, SlotState::GuestOf);
            // Only who made the invitation knows whether it is wrong.
            match (self.is_inviter(chain.peer()), chain.covers(ctx.now.wall)) {
                (true, true) => self.fail_joining(ctx, Error::WrongPassword),
                // Its membership has ended, or our clock is wrong.
                (true, false) => self.may_be_why(Error::WrongPassword),
                (false, _) => self.tell_trace(link, Outcome::CannotLetIn),
            }
            return Ok(());
        };
        let proof = ProvePassword { proof: proof.to_vec() };
        self.send(ctx, links, link, kind::PROVE_PASSWORD, &proof);
        Ok(())
    }

    pub(super) fn on_prove_password(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        let ProvePassword { proof } = wire::decode(body)?;
        let run = self.passwords.answered.remove(&link).ok_or(Misbehaved::Unexpected)?;
        let (invitation, answered) = run;
        if !answered.is_proved(&proof) {
            return Err(Misbehaved::Redemption);
        }
        let newcomer = links.ready(link).ok_or(Misbehaved::Unexpected)?.peer;
        let origin = self.origin_of(ctx, links, link);
        if let Some(throttle) = self.passwords.throttles.get_mut(&invitation) {
            throttle.succeeded(ctx.now.mono, origin, newcomer);
        }
        self.let_in(ctx, links, link, invitation, None)
    }

    /// Notes the error that ends our join if nobody lets us in: it was said by one whose membership is not valid by our clock.
    pub(super) fn may_be_why(&mut self, error: Error) {
        if let Some(wanted) = self.joining.as_mut().and_then(|joining| joining.wanted.as_mut()) {
            wanted.may_be_why = Some(error);
        }
    }

    /// Why nobody has let us in, as far as anything is known.
    pub(crate) fn why_in_vain(&self) -> Option<&Error> {
        self.joining.as_ref()?.wanted.as_ref()?.may_be_why.as_ref()
    }

    /// A join comes to its end without a membership.
    pub(super) fn fail_joining(&mut self, ctx: &mut Ctx<'_>, error: Error) {
        let Some(joining) = &mut self.joining else { return };
        if let Some(Wanted { request, .. }) = joining.wanted.take() {
            self.timers.clear(Timer::Joining);
            ctx.out.push_back(Output::Done { request, result: Err(error) });
        }
        // An application that still wants to know what the invitation is about is told; one that joins again finds the links
        // there.
        if !self.has_waiting_previews() {
            self.joining = None;
        }
    }

    /// Whether an answer on this link is to the proof of an earlier join. The next one is to ours.
    pub(super) fn is_outdated(&mut self, link: LinkId) -> bool {
        self.joining.as_mut().is_some_and(|joining| joining.outdated.remove(&link))
    }

    /// Forgets the passwords of invitations that were withdrawn or have ended, here and in the store.
    pub(super) fn forget_passwords(&mut self, ctx: &Ctx<'_>) {
        let plausible = self.is_plausible(ctx.now);
        let now = if plausible { self.clock(ctx.now.wall) } else { WallTime(0) };
        let (all, passwords) = (&self.invitations, &mut self.passwords);
        let open = |id: &RecordId| all.get(id).is_some_and(|open| open.expires >= now);
        let known = passwords.known.len();
        passwords.known.retain(|id, _| open(id));
        passwords.throttles.retain(|id, _| open(id));
        passwords.answered.retain(|_, (id, _)| open(id));
        if passwords.known.len() < known {
            self.timers.set(Timer::Save, ctx.now.mono);
        }
    }

    /// How long it is until the first of our passwords has to be forgotten. Milliseconds; the highest number for never.
    pub(super) fn passwords_end_in(&self, now: WallTime) -> u64 {
        let open = self.passwords.known.keys().filter_map(|id| self.invitations.get(id));
        let ends = open.map(|open| open.expires.0.saturating_sub(now.0).saturating_add(1));
        ends.min().unwrap_or(u64::MAX)
    }

    /// How often the open passwords were tried in vain: invitation, source, failures.
    pub(super) fn password_tries(&self) -> Vec<(RecordId, u64, u32)> {
        let throttles = self.passwords.throttles.iter();
        let tries = throttles.flat_map(|(&id, throttle)| {
            throttle.failures().map(move |(source, failures)| (id, source.number(), failures))
        });
        tries.collect()
    }

    /// Takes up what [`password_tries`](Self::password_tries) said before a restart.
    pub(super) fn take_password_tries(&mut self, now: Time, tries: Vec<(RecordId, u64, u32)>) {
        for (id, source, failures) in tries {
            if self.passwords.known.contains_key(&id) {
                let throttle = self.passwords.throttles.entry(id).or_default();
                throttle.restore(now, Origin::from_number(source), failures);
            }
        }
    }

    /// The secrets that are kept of the passwords of invitations that are open.
    pub(super) fn password_secrets(&self) -> Vec<(RecordId, Zeroizing<[u8; 32]>)> {
        self.passwords.known.iter().map(|(&id, secret)| (id, secret.to_bytes())).collect()
    }

    /// Proves what this newcomer has to prove.
    pub(super) fn prove_on(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId) {
        let Some(wanted) = self.joining.as_ref().and_then(|it| it.wanted.as_ref()) else {
            return;
        };
        match &wanted.proof {
            Proof::Link(secret) => {
                let secret = secret.clone();
                self.redeem_on(ctx, links, link, &secret);
            }
            Proof::Password(invitation, secret) => {
                let (invitation, secret) = (*invitation, secret.clone());
                self.ask_password(ctx, links, link, invitation, &secret);
            }
        }
    }

    /// From where a newcomer comes: the network of one that dials us, the neighbour over which the signals of one come, or the
    /// rendezvous node. Newcomers that come the same way share it. Those whom we dial share one place.
    fn origin_of(&self, ctx: &Ctx<'_>, links: &Links, link: LinkId) -> Origin {
        let peer = |link| links.ready(link).map(|ready| ready.peer).unwrap_or_default();
        match (ctx.ways.over(link), links.get(link).and_then(|link| link.source)) {
            (None, Some(source)) => Origin::of(b"direct", &source.to_bytes()),
            (None, None) => Origin::of(b"dialled", &[]),
            (Some(Over::Graph { to, .. }), _) => {
                let neighbour = self.routes.way(to).map(peer).unwrap_or_default();
                Origin::of(b"graph", neighbour.as_bytes())
            }
            (Some(Over::Table { via, .. }), _) => Origin::of(b"rendezvous", peer(via).as_bytes()),
        }
    }
}

impl Joining {
    /// Nobody wants anything yet.
    pub(super) fn new() -> Self {
        let (preview, outdated) = (Looking::default(), SortedSet::new());
        Self { wanted: None, preview, outdated }
    }
}

impl NotGranted {
    /// The invitation is at its end. `chain` shows that we may say so.
    pub(super) fn over(why: Ended, chain: Option<Vec<u8>>) -> Self {
        Self { over: true, why: Some(why), chain, ..Self::ask(Vec::new()) }
    }

    /// Others may know more.
    pub(super) fn ask(referrals: Vec<wire::Referral>) -> Self {
        Self { over: false, referrals, wait_ms: None, why: None, chain: None, line: None }
    }

    /// Too many tries.
    fn wait(wait: Duration) -> Self {
        let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        Self { wait_ms: Some(wait), ..Self::ask(Vec::new()) }
    }

    /// The error that a join by the invitation comes to, if the sender is believed.
    pub(super) fn verdict(&self) -> Option<Error> {
        if !self.over {
            let wait = Duration::from_millis(self.wait_ms?);
            return Some(Error::TooManyTries(wait.min(WAIT_LONGEST)));
        }
        Some(match self.why {
            Some(Ended::Expired) => Error::InvitationExpired,
            Some(Ended::Withdrawn) => Error::InvitationWithdrawn,
            Some(Ended::Revoked) => Error::Revoked,
            Some(Ended::UsedUp | Ended::Unspecified) | None => Error::InvitationUsedUp,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_a_newcomer_wait_longer_than_the_longest_wait() {
        let told = NotGranted { wait_ms: Some(u64::MAX), ..NotGranted::ask(Vec::new()) };
        assert_eq!(told.verdict(), Some(Error::TooManyTries(WAIT_LONGEST)));
        let short = Duration::from_secs(5);
        assert_eq!(NotGranted::wait(short).verdict(), Some(Error::TooManyTries(short)));
        assert_eq!(NotGranted::ask(Vec::new()).verdict(), None);
    }
}
