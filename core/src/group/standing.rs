//! Changing who stands, and what follows when it changes.
//!
//! When a revocation takes effect, here or at any node: the links to who does not stand any more are closed, what does
//! not hold leaves the index and the disk, and stores are compared again, since a revocation may also bring
//! something back. We hear of our own like everybody else, or from a node that refuses us because of it.
use super::graph::Slot;
use super::internal::{revocation_id, revocation_payload};
use super::membership::{Internal, Signer, issued_id, kind_of};
use super::records::said;
use super::{Group, SlotState, Timer};
use crate::cert::{self, Certificate, Role, VerifiedChain};
use crate::error::Error;
use crate::group::Ctx;
use crate::id::{CertificateId, Digest, PeerId, RecordId};
use crate::index::Index;
use crate::io::{CloseReason, Event, Keep, LinkId, RequestId};
use crate::limits;
use crate::link::Links;
use crate::policy::Grant;
use crate::record::{Meta, RecordType, Signed};
use crate::roll::{Kept, Reason, Revocation, Standing, Target, may_revoke};
use crate::sorted::SortedSet;
use crate::storage::{self, Class};
use crate::time::WallTime;
use crate::wire::{self, Refuse};
use std::time::Duration;

/// How often memberships that we issued are looked through for those that end soon: at most so often, at least so
/// often, and else this part of a membership's life. Guess: a renewal is not missed.
const RENEW_EVERY: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(6 * 3_600);
const RENEWALS_LOOKED_FOR: u32 = 16;
/// A membership is renewed when less than this part of its life is left. Guess.
const RENEWED_AT: u32 = 4;
/// A revocation by another is signed anew when it ends sooner than this part of a membership's life. Guess: later than its
/// signer would have done it.
const TAKEN_OVER_AT: u32 = 8;
/// A revocation is signed anew only if it then lasts longer by more than this. Guess: certificates end with whole seconds,
/// and peer time moves.
const EVEN_LONGER: Duration = Duration::from_secs(60);
/// Records of the store, or acts of the roll, for each millisecond from one look through all of them to the next. Guess: a
/// fraction of a core; four seconds for as many records as a group may have.
const JUDGED_IN_A_MILLISECOND: usize = 250;
/// Memberships renewed in one go. Guess: each is a record for everybody.
const RENEWED_MAX: usize = 64;

/// How long a look through so many records or acts is not repeated.
fn pause_after(many: usize) -> Duration {
    Duration::from_millis((many / JUDGED_IN_A_MILLISECOND) as u64)
}

impl Group {
    /// Issues another membership to a member.
    pub(crate) fn issue_again(
        &mut self,
        ctx: &mut Ctx<'_>,
        peer: PeerId,
        grant: Grant,
        request: RequestId,
    ) -> Result<(), Error> {
        self.valid_chain(ctx)?;
        let held =
            self.roll.best_of(peer, self.clock(ctx.now.wall)).ok_or(Error::UnknownMember)?.clone();
        let mut beyond = self.standing_of(ctx, peer);
        beyond.retain(|chain| !grant.includes(chain.grant()));
        // The memberships that it has beyond that must go, or it would go on using them. Nothing is given that cannot be taken.
        let (reason, keep) = (Reason::Superseded, Keep::ALL);
        let acts: Result<Vec<Revocation>, Error> =
            beyond.iter().map(|chain| self.prepare(ctx, chain, false, reason, keep)).collect();
        let acts = acts?;
        // Where the group's own key is, chains stay short.
        let signer = if self.key.is_some() { Signer::Owner } else { Signer::Member };
        let issued = self.issue(ctx, cert::Subject::of_member(&held), &grant, signer)?;
        // It takes away first: if that fails, nothing was given, and the member has no more than it had.
        for act in acts {
            self.publish_revocation(ctx, act, None)?;
        }
        self.publish_issued(ctx, &issued, signer, Some(request))
    }

    fn standing_of(&self, ctx: &Ctx<'_>, peer: PeerId) -> Vec<VerifiedChain> {
        let stands = |chain: &&VerifiedChain| {
            self.roll.standing(chain, self.clock(ctx.now.wall)) == Standing::Member
        };
        self.roll.of_peer(peer).filter(stands).cloned().collect()
    }

    /// Publishes a membership that we issued to who has one, as a record, so that it reaches a member that is not here.
    fn publish_issued(
        &mut self,
        ctx: &mut Ctx<'_>,
        certificates: &[Certificate],
        signer: Signer,
        request: Option<RequestId>,
    ) -> Result<(), Error> {
        let as_owner = signer == Signer::Owner;
        let payload = cert::encode_chain(certificates);
        let until = certificates.last().map(Certificate::not_after);
        let by = if as_owner { self.roll.owner().peer() } else { ctx.identity.peer_id() };
        let id = certificates.last().map(|leaf| issued_id(by, leaf.id()));
        let how = Internal { id, until, request, as_owner, ..Internal::default() };
        self.publish_internal(ctx, kind_of(RecordType::MEMBERSHIP), &payload, how)?;
        Ok(())
    }

    /// Takes a membership away.
    pub(crate) fn revoke(
        &mut self,
        ctx: &mut Ctx<'_>,
        target: Target,
        reason: Reason,
        keep: Keep,
        request: RequestId,
    ) -> Result<(), Error> {
        let chain = match target {
            Target::Certificate(id) => self.roll.chain(id).filter(|chain| chain.depth() > 0),
            Target::Peer(peer) => self.roll.best_of(peer, self.clock(ctx.now.wall)),
        };
        let chain = chain.ok_or(Error::UnknownMember)?.clone();
        let by_peer = matches!(target, Target::Peer(_));
        let act = self.prepare(ctx, &chain, by_peer, reason, keep)?;
        self.publish_revocation(ctx, act, Some(request))?;
        Ok(())
    }

    /// Whether we may revoke a membership, ourselves or with the group's own key.
    fn check_senior(&self, ctx: &Ctx<'_>, target: &VerifiedChain) -> Result<(), Error> {
        if self.key.is_some() || ctx.identity.peer_id() == target.peer() {
            return Ok(());
        }
        let signer = self.valid_chain(ctx)?;
        match () {
            () if may_revoke(signer, target) => Ok(()),
            () if signer.role() < Role::Administrator => Err(Error::NotAllowed),
            () => Err(Error::NotSenior),
        }
    }

    /// Makes a revocation, if we may.
    fn prepare(
        &self,
        ctx: &mut Ctx<'_>,
        chain: &VerifiedChain,
        by_peer: bool,
        reason: Reason,
        keep: Keep,
    ) -> Result<Revocation, Error> {
        self.check_senior(ctx, chain)?;
        let own = ctx.identity.peer_id() == chain.peer();
        // A member that has the group's own key acts as the group, but leaves as itself. A member that leaves relies on what it
        // leaves: so the act lasts as long as that.
        let signer = match (own, self.key.is_some()) {
            (true, _) => chain,
            (false, true) => self.roll.owner(),
            (false, false) => self.valid_chain(ctx)?,
        };
        let target = match by_peer && !own {
            true => Target::Peer(chain.peer()),
            false => Target::Certificate(chain.id()),
        };
        let members = keep.members && !own;
        let standing = if members { self.roll.issued_under(target) } else { SortedSet::new() };
        let records = keep.records && !own;
        let kept = if records { self.kept(ctx, target, &standing) } else { Kept::default() };
        if standing.len() > limits::REVOCATION_STANDING_MAX
            || kept.len() > limits::REVOCATION_KEPT_MAX
        {
            return Err(Error::TooMuchToKeep);
        }
        let act = Revocation {
            // Later than all that we have made.
            version: u64::MAX,
            digest: Digest::default(),
            signer: signer.clone(),
            target_chain: chain.clone(),
            target,
            reason,
            standing,
            kept,
        };
        if self.roll.has_effect(&act) { Ok(act) } else { Err(Error::TooManyRecords) }
    }

    fn publish_revocation(
        &mut self,
        ctx: &mut Ctx<'_>,
        act: Revocation,
        request: Option<RequestId>,
    ) -> Result<Signed, Error> {
        let as_owner = act.is_by_owner();
        let signer = act.signer.peer();
        // The record of ours about this target, or a free one.
        let of_target = |nth: &u8| {
            let id = revocation_id(signer, act.target, *nth);
            let known = self.roll.act(id);
            known.map_or_else(
                || self.meta(id).is_none_or(|(_, meta)| meta.deleted),
                |known| known.target == act.target,
            )
        };
        let nth = (0..limits::REVOCATIONS_PER_TARGET_MAX).find(of_target).unwrap_or_default();
        let id = Some(revocation_id(signer, act.target, nth));
        let until = Some(self.peer_time(self.needed_until(&act)));
        let under = (!as_owner).then(|| act.signer.clone());
        let how = Internal { id, until, request, as_owner, under, ..Internal::default() };
        let payload = revocation_payload(&act, nth);
        self.publish_internal(ctx, kind_of(RecordType::REVOCATION), &payload, how)
    }

    /// Until when a revocation is needed, by our clock.
    fn needed_until(&self, act: &Revocation) -> WallTime {
        let until = match act.target {
            Target::Certificate(_) => act.target_chain.not_after(),
            Target::Peer(_) => self.root().not_after(),
        };
        until.after(limits::CERTIFICATE_CLOCK_SKEW)
    }

    /// The records in the store that rely on what a revocation of `target` takes away, those by which others could
    /// still be let in left out.
    fn kept(&self, ctx: &mut Ctx<'_>, target: Target, standing: &SortedSet<CertificateId>) -> Kept {
        let under = self.roll.under(target, standing);
        let invites = |meta: &Meta| meta.kind.as_str() == RecordType::INVITATION && !meta.deleted;
        let relies = |meta: &&Meta| under.contains(&meta.certificate()) && !invites(meta);
        let classes = [Class::Membership, Class::Application];
        let metas = classes.iter().flat_map(|&class| self.index(class).iter());
        Kept::new(ctx.random_bytes(), metas.filter(relies).map(|meta| meta.digest))
    }

    /// Deletes our revocations of a peer.
    pub(crate) fn reinstate(
        &mut self,
        ctx: &mut Ctx<'_>,
        peer: PeerId,
        request: RequestId,
    ) -> Result<(), Error> {
        let me = self.valid_chain(ctx)?.peer();
        let is_ours =
            |act: &Revocation| act.signer.peer() == me || act.is_by_owner() && self.key.is_some();
        let ours = self.roll.acts().filter(|(_, act)| act.target_chain.peer() == peer);
        let ours = ours.filter(|(_, act)| is_ours(act));
        let mut ids: Vec<(RecordId, bool)> =
            ours.map(|(id, act)| (id, act.is_by_owner())).collect();
        let last = ids.pop().ok_or(Error::UnknownMember)?;
        self.will_call_back(peer);
        for (id, as_owner) in ids {
            self.take_back(ctx, id, as_owner, None)?;
        }
        self.take_back(ctx, last.0, last.1, Some(request))
    }

    /// Leaving for good: everybody learns that our membership is over.
    pub(crate) fn resign(&mut self, ctx: &mut Ctx<'_>) {
        let Some(chain) = self.chain.clone() else { return };
        // Nobody has heard of a membership under which nothing was published.
        if !self.membership_published() {
            return;
        }
        // All that stand, or an earlier one would go on.
        let all = self.standing_of(ctx, chain.peer());
        let neighbours: Vec<LinkId> = self.neighbours().map(|(link, _)| link).collect();
        for held in all {
            let Ok(act) = self.prepare(ctx, &held, false, Reason::Left, Keep::ALL) else {
                continue;
            };
            // An act that does not hold by our own rules is of no use to others.
            let Ok(signed) = self.publish_revocation(ctx, act, None) else { continue };
            // To every neighbour at once: nobody could ask us for it later.
            for &link in &neighbours {
                self.flood_to(link, signed.bytes().clone());
            }
        }
    }

    /// Something about who stands has changed: what follows is done once for all that this input brings. All records are
    /// looked through for it, so in a large store it is done again only after a while: a member may have one record after
    /// another that changes something.
    pub(super) fn standing_changed(&mut self, ctx: &Ctx<'_>) {
        let records: usize = self.indexes.iter().map(Index::len).sum();
        let at = self.judged.map_or(ctx.now.mono, |judged| judged.after(pause_after(records)));
        self.timers.set(Timer::Judge, at.max(ctx.now.mono).max(self.settles_from));
    }

    /// Settles the roll with the records of one input. All revocations may have to be looked through for it, so if there are
    /// many, it is done again only after a while, with what follows: a member may send one message after another that changes
    /// something.
    pub(super) fn settle_in_turn(&mut self, ctx: &Ctx<'_>) {
        match ctx.now.mono < self.settles_from {
            _ if self.roll.is_settled() => {}
            true => self.standing_changed(ctx),
            false => self.settle_roll(ctx),
        }
    }

    fn settle_roll(&mut self, ctx: &Ctx<'_>) {
        let looked_at = self.roll.settle();
        self.settles_from = ctx.now.mono.after(pause_after(looked_at));
    }

    /// Does what follows from who stands.
    pub(super) fn enforce(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
        self.judged = Some(ctx.now.mono);
        self.settle_roll(ctx);
        self.drop_what_does_not_hold(ctx);
        self.keep_quotas(ctx);
        self.drop_who_does_not_stand(ctx, links);
        let roll = &self.roll;
        let now = self.clock(ctx.now.wall);
        self.invitations.retain(|_, open| {
            let inviter = roll.best_of(open.inviter, now);
            inviter.is_some_and(|chain| roll.standing(chain, now) == Standing::Member)
        });
        self.forget_passwords(ctx);
        self.choose_own_chain(ctx, links);
        self.call_back(ctx, links);
        self.timers.set_earlier(Timer::SafetyNet, ctx.now.mono.after(Duration::from_secs(1)));
    }

    fn drop_what_does_not_hold(&mut self, ctx: &mut Ctx<'_>) {
        for class in Class::ALL {
            let holds = |meta: &Meta| {
                if meta.kind.as_str() == RecordType::HANDOVER {
                    return self.roll.is_handover(meta.id, meta.digest);
                }
                self.roll.act(meta.id).map_or_else(
                    || match self.roll.chain(meta.certificate()) {
                        Some(chain) => {
                            let creator = meta.creator();
                            let said = said(chain, creator, &meta.kind, meta.version, meta.digest);
                            self.roll.admits(chain, &said)
                        }
                        None => true,
                    },
                    |act| self.roll.has_effect(act),
                )
            };
            let gone: Vec<RecordId> =
                self.index(class).iter().filter(|meta| !holds(meta)).map(|meta| meta.id).collect();
            for id in gone {
                let deleted = self.take_out(class, &id).is_some_and(|meta| meta.deleted);
                ctx.storage.write(storage::record_key(self.id, class, id), None);
                ctx.storage.forget(self.id, id);
                self.roll.forget(id);
                self.close_invitation(id);
                let group = self.id;
                match class {
                    Class::Application if !deleted => {
                        self.event(ctx, Event::Withdrawn { group, id });
                    }
                    Class::Presence => {
                        if let Some(node) = self.present_by(id)
                            && let Some(here) = self.present.get(&node)
                        {
                            self.exile(node, here.peer, here.addresses.clone(), false);
                        }
                        self.presence_expired(ctx, id);
                        self.contact_expired(ctx, id);
                    }
                    Class::Application | Class::Membership => {}
                }
            }
        }
        self.roll.settle();
    }

    pub(super) fn drop_who_does_not_stand(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
        ctx.asks.fallen.insert(self.id);
        let now = self.clock(ctx.now.wall);
        let out: Vec<LinkId> = self
            .slots
            .iter()
            .filter(|(_, slot)| slot.state.is_member())
            .filter(|(_, slot)| self.has_fallen(slot, now))
            .map(|(&link, _)| link)
            .collect();
        for link in out {
            self.refuse_standing(ctx, links, link);
            if self.is_neighbour(link) {
                self.neighbour_down(ctx, link);
            }
            if let Some(slot) = self.slots.remove(&link) {
                links.free_slot(link, slot.number);
                self.exile(slot.node, slot.peer, slot.addresses, true);
            }
            ctx.asks.unwanted.insert(link, CloseReason::Revoked);
        }
    }

    /// Whether none of the memberships of the other end that we know of stands.
    pub(super) fn has_fallen(&self, slot: &Slot, now: WallTime) -> bool {
        // A member that has published nothing is on no record; it has shown its chain when it connected.
        let known = self.roll.best_of(slot.peer, now).into_iter().chain(&slot.chain);
        let mut known = known.peekable();
        known.peek().is_some() && !known.any(|chain| self.roll.standing(chain, now).is_member())
    }

    /// Whether a peer was put out of the group by others. A member that has left, or whose time was over, may come back.
    pub(super) fn is_put_out(&self, peer: PeerId, now: WallTime) -> bool {
        let best = self.roll.best_of(peer, now);
        let revoked = best.is_some_and(|chain| match self.roll.standing(chain, now) {
            Standing::Revoked { reason, .. } => reason != Reason::Left,
            Standing::Member | Standing::Expired => false,
        });
        revoked || self.roll.is_banned(peer)
    }

    /// Takes the membership that the other end showed, if it stands and the provider lets it in. Otherwise says why not.
    pub(super) fn admit_at(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        chain: VerifiedChain,
    ) -> bool {
        let stands = self.roll.standing(&chain, self.clock(ctx.now.wall)) == Standing::Member;
        if let Some(slot) = self.slots.get_mut(&link) {
            slot.chain = Some(chain);
        }
        if !stands {
            self.refuse_standing(ctx, links, link);
            self.set_state(link, SlotState::Refused);
        }
        stands && self.lets_near(ctx, links, link)
    }

    /// Leaves the neighbours, as who has no place among them.
    fn quit_graph(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
        ctx.asks.fallen.insert(self.id);
        self.own_presence = None;
        self.timers.clear(Timer::Presence);
        let neighbours: Vec<LinkId> = self.neighbours().map(|(link, _)| link).collect();
        for link in neighbours {
            let bye = Refuse::because(wire::Reason::Leaving, Vec::new());
            self.send(ctx, links, link, wire::kind::DISCONNECT, &bye);
            self.neighbour_down(ctx, link);
        }
    }

    /// Tells the other end why it is no neighbour any more, so that it does not come again and again.
    pub(super) fn refuse_standing(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId) {
        let Some(slot) = self.slots.get(&link) else { return };
        let best = self.roll.best_of(slot.peer, self.clock(ctx.now.wall)).or(slot.chain.as_ref());
        let stands = |chain: &&VerifiedChain| {
            self.roll.standing(chain, self.clock(ctx.now.wall)) == Standing::Member
        };
        let refuse = Refuse {
            reason: wire::Reason::NotStanding,
            referrals: Vec::new(),
            proof: best.map_or_else(Vec::new, |chain| self.proof(ctx, chain)),
            // The membership that it showed may be older than what we know of it.
            renewed: best.filter(stands).map(|chain| cert::encode_chain(chain.certificates())),
            why: None,
            chain: None,
            times: None,
            line: best.and_then(|chain| self.line_beside(chain)),
        };
        self.refuse(ctx, links, link, refuse);
    }

    /// Uses the best membership that we know of ours.
    pub(super) fn choose_own_chain(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
        self.hold_office(ctx);
        let now = self.clock(ctx.now.wall);
        let Some(ours) = &self.chain else { return };
        let was = self.own_standing;
        let best = self.roll.offer(ours, ctx.identity.name(), now).clone();
        let standing = self.roll.standing(&best, now);
        let changed = best.id() != ours.id();
        if !changed && standing == was {
            return;
        }
        self.own_standing = standing;
        self.chain = Some(best);
        self.save(ctx);
        self.tell_group(ctx);
        if standing == Standing::Member {
            if changed {
                // An offer counts once we have signed with it: at the latest with the next record of ours.
                let _ = self.publish_membership_once(ctx);
            }
            self.maintain(ctx, links, false);
        } else {
            self.quit_graph(ctx, links);
            self.ask_soon(ctx);
        }
    }

    /// As the owner: sees to it that our membership is that of an administrator, and senior to all others. An heir's need not
    /// be, and may have been revoked by an administrator who was its senior: the group's own key issues another. One that
    /// we, or the own key, took away ourselves stays away.
    pub(super) fn hold_office(&mut self, ctx: &mut Ctx<'_>) {
        let Some(ours) = self.chain.as_ref().filter(|_| self.key.is_some()) else { return };
        let (now, me) = (self.clock(ctx.now.wall), ours.peer());
        let nth = self.roll.owner().certificates().len();
        let since = cert::owner_since(nth);
        let holds = |chain: &VerifiedChain| {
            chain.role() == Role::Administrator
                && chain.leaf().since() <= since
                && self.roll.standing(chain, now) == Standing::Member
        };
        if self.roll.of_peer(me).any(holds) {
            return;
        }
        match self.roll.standing(ours, now) {
            Standing::Revoked { by, .. } if by == me || by == self.id.into() => return,
            Standing::Member | Standing::Expired | Standing::Revoked { .. } => {}
        }
        let grant = Grant { role: Role::Administrator, ..ours.grant().clone() };
        let subject = cert::Subject::of_member(ours).as_owner(nth);
        let issued = self.issue(ctx, subject, &grant, Signer::Owner);
        // It is tried again with the next renewals, or when our standing changes.
        let _ = issued.and_then(|it| self.publish_issued(ctx, &it, Signer::Owner, None));
    }

    /// Renews the memberships that we issued and that end soon, with the key that issued them; and what revokes others.
    pub(super) fn renew(&mut self, ctx: &mut Ctx<'_>) {
        let life = self.root().policy().membership_lifetime;
        let wait = (life / RENEWALS_LOOKED_FOR).clamp(*RENEW_EVERY.start(), *RENEW_EVERY.end());
        self.timers.set(Timer::Renew, ctx.now.mono.after(wait));
        self.hold_office(ctx);
        if self.valid_chain(ctx).is_ok() {
            self.keep_properties(ctx);
        }
        let Ok(ours) = self.valid_chain(ctx) else { return };
        let (me, group) = (ours.peer(), PeerId::from(self.id));
        let (ours_until, owner_until, now) =
            (ours.not_after(), self.root().not_after(), self.clock(ctx.now.wall));
        let signer = |chain: &VerifiedChain| match chain.issuer() {
            Some(issuer) if issuer == me && chain.not_after() < ours_until => Some(Signer::Member),
            Some(issuer) if issuer == group && chain.not_after() < owner_until => {
                self.key.as_ref().map(|_| Signer::Owner)
            }
            Some(_) | None => None,
        };
        let due = |chain: &VerifiedChain| {
            let life = chain.not_after().0.saturating_sub(chain.not_before().0);
            let left = chain.not_after().0.saturating_sub(now.0);
            left < life / u64::from(RENEWED_AT)
        };
        let best = self.roll.peers().filter_map(|peer| self.roll.best_of(peer, now));
        let ending: Vec<(VerifiedChain, Signer)> = best
            .filter(|chain| due(chain) && !self.roll.is_renewed(chain))
            .filter(|chain| self.roll.standing(chain, now) == Standing::Member)
            .filter_map(|chain| Some((chain.clone(), signer(chain)?)))
            .take(RENEWED_MAX)
            .collect();
        for (chain, signer) in ending {
            // Where the policy has it otherwise, it ends.
            let subject = cert::Subject::of_member(&chain);
            if let Ok(issued) = self.issue(ctx, subject, chain.grant(), signer) {
                let _ = self.publish_issued(ctx, &issued, signer, None);
            }
        }
        self.renew_revocations(ctx, life);
    }

    /// Signs anew what revokes others and ends before they do: a revocation ends with the membership of who signed it.
    /// The signer does so once it is renewed, and others who may take over later, if it has not.
    fn renew_revocations(&mut self, ctx: &mut Ctx<'_>, life: Duration) {
        let Ok(ours) = self.valid_chain(ctx) else { return };
        let signer = if self.key.is_some() { self.roll.owner() } else { ours };
        let signer_until = signer.not_after().after(limits::CERTIFICATE_CLOCK_SKEW);
        let (signer, now) = (signer.clone(), self.peer_time(ctx.now.wall));
        let ends = |id: &RecordId| self.index(Class::Membership).get(id).map(|meta| meta.expires);
        let due = |(id, act): &(RecordId, &Revocation)| {
            let Some(until) = ends(id) else { return false };
            let parts = if act.signer.peer() == signer.peer() { RENEWED_AT } else { TAKEN_OVER_AT };
            let longer = until.after(EVEN_LONGER) < self.needed_until(act).min(signer_until);
            longer && until < now.after(life / parts)
        };
        let lasts = |(id, act): &(RecordId, &Revocation)| {
            let later = |(other, its): (RecordId, &Revocation)| {
                its.target == act.target && ends(&other) > ends(id)
            };
            self.roll.acts().any(later)
        };
        let again: Vec<Revocation> = self
            .roll
            .acts()
            .filter(|entry| due(entry) && entry.1.signer.peer() != entry.1.target_chain.peer())
            .filter(|(_, act)| may_revoke(&signer, &act.target_chain) && self.roll.has_effect(act))
            .filter(|entry| !lasts(entry))
            .take(RENEWED_MAX)
            .map(|(_, act)| Revocation { signer: signer.clone(), ..act.clone() })
            .collect();
        for act in again {
            // It is tried again the next time.
            let _ = self.publish_revocation(ctx, act, None);
        }
    }
}
