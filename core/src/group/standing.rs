//! Changing who stands, and what follows when it changes.
//!
//! When a revocation takes effect, here or at any node: the links to who does not stand any more are closed, what does
//! not hold leaves the index and the disk, and stores are compared again, since a revocation may also bring
//! something back. We hear of our own like everybody else, or from a node that refuses us because of it.
use super::internal::revocation_payload;
use super::membership::{Internal, Signer, kind_of};
use super::{Group, SlotState, Timer};
use crate::cert::{self, Certificate, Role, VerifiedChain};
use crate::error::{Error, Misbehaved};
use crate::id::{Digest, PeerId, RecordId, Serial};
use crate::io::{CloseReason, Event, Keep, LinkId, RequestId};
use crate::limits;
use crate::link::Links;
use crate::node::Ctx;
use crate::policy::Grant;
use crate::record::{Meta, RecordType, Signed};
use crate::roll::{Kept, Reason, Revocation, Standing, Target, may_revoke};
use crate::storage::{self, Class};
use crate::wire::{self, Refuse};
use minicbor::bytes::ByteVec;
use std::collections::BTreeSet;
use std::time::Duration;

/// How often memberships that we issued are looked through for those that end soon: at most so often, at least so
/// often, and else this part of a membership's life. Guess: a renewal is not missed.
const RENEW_EVERY: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(6 * 3_600);
const RENEWALS_LOOKED_FOR: u32 = 16;
/// A membership is renewed when less than this part of its life is left. Guess.
const RENEWED_AT: u32 = 4;
/// Memberships renewed in one go. Guess: each is a record for everybody.
const RENEWED_MAX: usize = 64;

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
        let held = self.roll.best_of(peer, ctx.now.wall).ok_or(Error::UnknownMember)?.clone();
        let mut beyond = self.standing_of(ctx, peer);
        beyond.retain(|chain| !grant.includes(chain.grant()));
        for chain in &beyond {
            // What it has beyond that must go, or it would go on using it.
            self.check_senior(ctx, chain)?;
        }
        self.publish_issued(ctx, &held, &grant, Some(request))?;
        for chain in &beyond {
            self.publish_revocation(ctx, chain, false, Reason::Superseded, Keep::ALL, None)?;
        }
        Ok(())
    }

    fn standing_of(&self, ctx: &Ctx<'_>, peer: PeerId) -> Vec<VerifiedChain> {
        let stands =
            |chain: &&VerifiedChain| self.roll.standing(chain, ctx.now.wall) == Standing::Member;
        self.roll.of_peer(peer).filter(stands).cloned().collect()
    }

    /// Issues a membership to who has one, as a record, so that it reaches a member that is not here.
    fn publish_issued(
        &mut self,
        ctx: &mut Ctx<'_>,
        held: &VerifiedChain,
        grant: &Grant,
        request: Option<RequestId>,
    ) -> Result<(), Error> {
        // Where the group's own key is, chains stay short.
        let as_owner = self.key.is_some();
        let signer = if as_owner { Signer::Owner } else { Signer::Member };
        let certificates = self.issue(ctx, cert::Subject::of_member(held), grant, signer)?;
        let payload = cert::encode_chain(&certificates);
        let until = certificates.last().map(Certificate::not_after);
        let how = Internal { until, request, as_owner, ..Internal::default() };
        self.publish_internal(ctx, kind_of(RecordType::MEMBERSHIP), &payload, how);
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
            Target::Serial(serial) => self.roll.chain(serial).filter(|chain| chain.depth() > 0),
            Target::Peer(peer) => self.roll.best_of(peer, ctx.now.wall),
        };
        let chain = chain.ok_or(Error::UnknownMember)?.clone();
        let by_peer = matches!(target, Target::Peer(_));
        self.publish_revocation(ctx, &chain, by_peer, reason, keep, Some(request))?;
        Ok(())
    }

    /// Whether we may revoke a membership, ourselves or with the group's own key.
    fn check_senior(&self, ctx: &Ctx<'_>, target: &VerifiedChain) -> Result<(), Error> {
        if self.key.is_some() {
            return Ok(());
        }
        let signer = self.valid_chain(ctx)?;
        let own = signer.peer() == target.peer();
        match () {
            () if own || may_revoke(signer, target) => Ok(()),
            () if signer.role() < Role::Administrator => Err(Error::NotAllowed),
            () => Err(Error::NotSenior),
        }
    }

    fn publish_revocation(
        &mut self,
        ctx: &mut Ctx<'_>,
        chain: &VerifiedChain,
        by_peer: bool,
        reason: Reason,
        keep: Keep,
        request: Option<RequestId>,
    ) -> Result<Signed, Error> {
        self.check_senior(ctx, chain)?;
        if self.roll.revocations() >= limits::REVOCATIONS_MAX {
            return Err(Error::TooManyRecords);
        }
        let own = self.chain.as_ref().is_some_and(|ours| ours.peer() == chain.peer());
        // Whoever has the group's own key acts as the group, but leaves as itself.
        let as_owner = self.key.is_some() && !own;
        let signer = if as_owner { self.roll.owner() } else { self.valid_chain(ctx)? }.clone();
        let target = match by_peer {
            true => Target::Peer(chain.peer()),
            false => Target::Serial(chain.serial()),
        };
        let standing = if keep.members { self.roll.issued_under(target) } else { BTreeSet::new() };
        let kept = if keep.records { self.kept(target, &standing) } else { Kept::default() };
        if standing.len() > limits::REVOCATION_STANDING_MAX
            || kept.len() > limits::REVOCATION_KEPT_MAX
        {
            return Err(Error::TooMuchToKeep);
        }
        let until = match target {
            Target::Serial(_) => chain.not_after().after(limits::CERTIFICATE_CLOCK_SKEW),
            Target::Peer(_) => self.root().not_after(),
        };
        let act = Revocation {
            version: 0,
            digest: Digest::default(),
            signer,
            target_chain: chain.clone(),
            target,
            reason,
            standing,
            kept,
        };
        let payload = revocation_payload(&act);
        let until = Some(self.peer_time(until).min(self.root().not_after()));
        let how = Internal { until, request, as_owner, ..Internal::default() };
        Ok(self.publish_internal(ctx, kind_of(RecordType::REVOCATION), &payload, how))
    }

    /// The records in the store that rely on what a revocation of `target` takes away, those by which others could
    /// still be let in left out.
    fn kept(&self, target: Target, standing: &BTreeSet<Serial>) -> Kept {
        let under = self.roll.under(target, standing);
        let invites = |meta: &Meta| meta.kind.as_str() == RecordType::INVITATION && !meta.deleted;
        let relies = |meta: &&Meta| under.contains(&meta.serial) && !invites(meta);
        let classes = [Class::Membership, Class::Application];
        let metas = classes.iter().flat_map(|&class| self.index(class).iter());
        Kept::new(metas.filter(relies).map(|meta| meta.digest))
    }

    /// Deletes our revocations of a peer.
    pub(crate) fn reinstate(
        &mut self,
        ctx: &mut Ctx<'_>,
        peer: PeerId,
        request: RequestId,
    ) -> Result<(), Error> {
        let me = self.valid_chain(ctx)?.peer();
        let mut ids: Vec<(RecordId, bool)> =
            self.roll.revocations_of(peer, me).into_iter().map(|id| (id, false)).collect();
        if self.key.is_some() {
            let owner = self.roll.owner().peer();
            ids.extend(self.roll.revocations_of(peer, owner).into_iter().map(|id| (id, true)));
        }
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
        // All that stand, or an earlier one would go on. The one with which we sign comes last: what it signs then does
        // not hold. Where there is too much to keep, leaving without it would take it from the others.
        let mut all = self.standing_of(ctx, chain.peer());
        all.sort_by_key(|held| held.serial() == chain.serial());
        let neighbours: Vec<LinkId> = self.neighbours().map(|(link, _)| link).collect();
        for held in all {
            let (reason, keep) = (Reason::Left, Keep::ALL);
            let Ok(signed) = self.publish_revocation(ctx, &held, false, reason, keep, None) else {
                return;
            };
            // To every neighbour at once: nobody could ask us for it later.
            for &link in &neighbours {
                self.flood_to(link, signed.bytes().clone());
            }
        }
    }

    /// Something about who stands has changed: what follows is done once for all that this input brings.
    pub(super) fn standing_changed(&mut self, ctx: &Ctx<'_>) {
        self.timers.set(Timer::Judge, ctx.now.mono);
    }

    /// Does what follows from who stands.
    pub(super) fn enforce(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
        self.drop_what_does_not_hold(ctx);
        self.drop_who_does_not_stand(ctx, links);
        let roll = &self.roll;
        let now = ctx.now.wall;
        self.invitations.retain(|_, open| {
            let inviter = roll.best_of(open.inviter, now);
            inviter.is_some_and(|chain| roll.standing(chain, now) == Standing::Member)
        });
        self.choose_own_chain(ctx, links);
        self.call_back(ctx, links);
        self.timers.set_earlier(Timer::SafetyNet, ctx.now.mono.after(Duration::from_secs(1)));
    }

    fn drop_what_does_not_hold(&mut self, ctx: &mut Ctx<'_>) {
        for class in Class::ALL {
            let holds = |meta: &Meta| {
                self.roll.act(meta.id).map_or_else(
                    || match self.roll.chain(meta.serial) {
                        Some(chain) => self.roll.admits(chain, &meta.digest),
                        None => true,
                    },
                    |act| self.roll.has_effect(act),
                )
            };
            let gone: Vec<RecordId> =
                self.index(class).iter().filter(|meta| !holds(meta)).map(|meta| meta.id).collect();
            for id in gone {
                let deleted =
                    self.indexes[class as usize].remove(&id).is_some_and(|meta| meta.deleted);
                ctx.storage.write(storage::record_key(self.id, class, id), None);
                ctx.storage.forget(self.id, id);
                self.roll.forget(id);
                self.invitations.remove(&id);
                let group = self.id;
                match class {
                    Class::Application if !deleted => {
                        self.event(ctx, Event::Withdrawn { group, id });
                    }
                    Class::Presence => {
                        let here = self.present.iter().find(|(_, here)| here.record == id);
                        if let Some((&node, here)) = here {
                            self.exile(node, here.peer, here.addresses.clone(), false);
                        }
                        self.presence_expired(ctx, id);
                        self.contact_expired(ctx, id);
                    }
                    Class::Application | Class::Membership => {}
                }
            }
        }
    }

    pub(super) fn drop_who_does_not_stand(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
        let now = ctx.now.wall;
        let out: Vec<LinkId> = self
            .slots
            .iter()
            .filter(|(_, slot)| slot.state.is_member())
            .filter(|(_, slot)| {
                let best = self.roll.best_of(slot.peer, now);
                // A member that has published nothing is on no record; its chain was judged when it connected.
                let chain = best.or(slot.chain.as_ref());
                chain.is_some_and(|chain| self.roll.standing(chain, now) != Standing::Member)
            })
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
            ctx.unwanted.insert(link, CloseReason::Revoked);
        }
    }

    /// Takes the membership that the other end showed, if it stands and the provider lets it in. Otherwise says why not.
    pub(super) fn admit_at(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        chain: VerifiedChain,
    ) -> bool {
        let stands = self.roll.standing(&chain, ctx.now.wall) == Standing::Member;
        if let Some(slot) = self.slots.get_mut(&link) {
            slot.chain = Some(chain);
        }
        if !stands {
            self.refuse_standing(ctx, links, link);
            self.set_state(link, SlotState::Idle);
        }
        stands && self.lets_near(ctx, links, link)
    }

    /// Leaves the neighbours, as who has no place among them.
    fn quit_graph(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
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
        let best = self.roll.best_of(slot.peer, ctx.now.wall).or(slot.chain.as_ref());
        let stands =
            |chain: &&VerifiedChain| self.roll.standing(chain, ctx.now.wall) == Standing::Member;
        let refuse = Refuse {
            reason: wire::Reason::NotStanding,
            referrals: Vec::new(),
            proof: best.map_or_else(Vec::new, |chain| self.proof(ctx, chain)),
            // What it showed may be older than what we know of it.
            renewed: best.filter(stands).map(|chain| cert::encode_chain(chain.certificates())),
            why: None,
        };
        self.send(ctx, links, link, wire::kind::REFUSE, &refuse);
    }

    /// The records by which a membership does not stand, those that are at hand and fit into a message.
    fn proof(&self, ctx: &Ctx<'_>, chain: &VerifiedChain) -> Vec<ByteVec> {
        let mut room = limits::MESSAGE_OVERHEAD_BYTES_MAX / 2;
        let records = self.roll.proof(chain).into_iter();
        let records = records.filter_map(|id| ctx.storage.cached(self.id, id));
        let fitting = records.take(limits::PAGE_MAX).take_while(|bytes| {
            let fits = bytes.len() <= room;
            room = room.saturating_sub(bytes.len());
            fits
        });
        fitting.map(|bytes| bytes.to_vec().into()).collect()
    }

    /// Uses the best membership that we know of ours.
    pub(super) fn choose_own_chain(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
        let now = ctx.now.wall;
        let Some(ours) = &self.chain else { return };
        let was = self.own_standing;
        let best = self.roll.best_of(ours.peer(), now).unwrap_or(ours).clone();
        let standing = self.roll.standing(&best, now);
        let changed = best.serial() != ours.serial();
        if !changed && standing == was {
            return;
        }
        self.own_standing = standing;
        self.chain = Some(best);
        self.save(ctx);
        let info = self.info();
        self.event(ctx, Event::Group(info));
        if standing == Standing::Member {
            self.maintain(ctx, links, false);
        } else {
            self.quit_graph(ctx, links);
            self.ask_soon(ctx);
        }
    }

    /// A neighbour says why it refuses us.
    pub(super) fn on_not_standing(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        refuse: Refuse,
    ) -> Result<(), Misbehaved> {
        // What it shows must hold like any record; what does not is its fault.
        let proof = refuse.proof.into_iter().map(|bytes| Vec::from(bytes).into()).collect();
        self.accept_all(ctx, proof, None).1.map_err(super::records::fault)?;
        if let Some(renewed) = refuse.renewed {
            let certificates = cert::decode_chain(&renewed).map_err(|_| Misbehaved::Membership)?;
            let chain =
                self.verify_chain(&certificates, ctx).map_err(|_| Misbehaved::Membership)?;
            if chain.peer() != ctx.identity.peer_id() {
                return Err(Misbehaved::Membership);
            }
            self.roll.add(chain);
        }
        self.choose_own_chain(ctx, links);
        Ok(())
    }

    /// Renews the memberships that we issued and that end soon.
    pub(super) fn renew(&mut self, ctx: &mut Ctx<'_>) {
        let life = self.root().policy().membership_lifetime;
        let wait = (life / RENEWALS_LOOKED_FOR).clamp(*RENEW_EVERY.start(), *RENEW_EVERY.end());
        self.timers.set(Timer::Renew, ctx.now.mono.after(wait));
        let Ok(ours) = self.valid_chain(ctx) else { return };
        let (me, until, now) = (ours.peer(), ours.not_after(), ctx.now.wall);
        let due = |chain: &VerifiedChain| {
            let life = chain.not_after().0.saturating_sub(chain.not_before().0);
            let left = chain.not_after().0.saturating_sub(now.0);
            left < life / u64::from(RENEWED_AT)
        };
        let best = self.roll.peers().filter_map(|peer| self.roll.best_of(peer, now));
        let ending: Vec<VerifiedChain> = best
            .filter(|chain| chain.issuer() == Some(me) && chain.not_after() < until && due(chain))
            .filter(|chain| self.roll.standing(chain, now) == Standing::Member)
            .take(RENEWED_MAX)
            .cloned()
            .collect();
        for chain in ending {
            // Where the policy has it otherwise, it ends.
            let _ = self.publish_issued(ctx, &chain, &chain.grant().clone(), None);
        }
    }
}
