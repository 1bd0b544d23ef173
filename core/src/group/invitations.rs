//! Invitations, on both sides.
//!
//! **By link.** The maker publishes a record that names the invitation's public key, role, uses and expiry; the link
//! carries the secret key. A newcomer opens the graph on a link (it knows the group id), and signs with the secret, and with
//! its own key, that it comes to this group by this invitation. Any member checks the proof; one that may issue such a
//! membership does, and publishes a redemption record with both signatures, which is durable before the certificate goes
//! out: a use that a crash forgot could be made once more, and nobody would see it. With it comes the root
//! certificate, which must be the one that the link pins. Others refer to those who may and carry
//! the signals there. An identity that redeems again is given what it has, or the same under another name
//! for the rest of its time: an invitation renews no membership. One that was revoked is given nothing. How uses
//! are counted across partitions says `roll.rs`, rule 7.
//!
//! **Not let in.** The word of a peer about an invitation ends only the attempt with that peer, and the join goes on with
//! others. A join ends if the end of the invitation is told by its maker, or by a member that could let the newcomer in, and
//! that shows its membership with it. A member that has made an invitation, or may issue such memberships, says of a withdrawn
//! one that it was withdrawn: its record is gone, but the id, which bears a mark of its key, stands in the record that took it
//! back.
use super::internal::{
    invitation_id, invitation_mark, is_marked, redemption_id, redemption_payload,
};
use super::membership::{Internal, Signer, kind_of, not_behind};
use super::{Group, OpenInvitation, Proof, SlotState, Wanted};
use crate::cert::{self, Role, VerifiedChain};
use crate::error::{Error, Misbehaved};
use crate::group::Ctx;
use crate::id::{PeerId, PeerPrefix, RecordId, RootPin};
use crate::identity::{Domain, PublicKey};
use crate::invitation::{self, BearerSecret, Invitation, InvitationKind, InvitationState};
use crate::io::{Event, InvitationInfo, Invite, LinkId, Outcome, RequestId};
use crate::limits;
use crate::link::Links;
use crate::node_url::NodeUrl;
use crate::policy::Grant;
use crate::provider::Verdict;
use crate::record::{Meta, RecordType};
use crate::roll::{Reason, Standing};
use crate::share::{Rank, Shares};
use crate::storage::{Change, Class, Commit, Pending};
use crate::time::WallTime;
use crate::wire::{self, Ended, Granted, NotGranted, Redeem, kind};
use bytes::Bytes;
use std::time::Duration;

/// An invitation whose time is over is known for so long, for who comes by it to be told so; and since our clock may be wrong.
/// Source: what `plausible.rs` allows.
const ENDED_KEPT: Duration = Duration::from_secs(86_400);

impl Group {
    /// Makes an invitation. It is answered once its record is durable: after a crash nobody could redeem another. The
    /// record itself may travel before.
    pub(crate) fn invite(
        &mut self,
        ctx: &mut Ctx<'_>,
        invite: Invite,
        nodes: Vec<NodeUrl>,
        request: RequestId,
    ) -> Result<(), Error> {
        let now = self.clock(ctx.now.wall);
        not_behind(now)?;
        let chain = self.valid_chain(ctx)?.clone();
        let (grant, expires) = match &invite {
            Invite::Bound { grant, .. } => (grant.clone(), chain.not_after()),
            Invite::Bearer { grant, expires_in, .. }
            | Invite::Password { grant, expires_in, .. } => (grant.clone(), now.after(*expires_in)),
        };
        // A link says it in seconds, and must not end before its record.
        let expires = WallTime(expires.0.div_ceil(1000).saturating_mul(1000));
        let grant = Grant::new(grant.role, grant.app_roles).map_err(|_| {
            Error::BadInvite("a role of the application has 1 to 32 of a-z, 0-9, '-'".into())
        })?;
        let signer = self.signer_for(&chain, &grant)?;
        let inviter = match signer {
            Signer::Member => PeerPrefix::of(chain.peer()),
            Signer::Owner => PeerPrefix::of(self.id.into()),
        };
        let kind = match invite {
            Invite::Bound { identity, .. } => {
                let subject = cert::Subject::of_identity(&identity)
                    .map_err(|_| Error::BadInvite("that is not an identity certificate".into()))?;
                let chain = self.issue(ctx, subject, &grant, signer)?;
                let inviter = ctx.identity.name().to_owned();
                InvitationKind::Bound { for_peer: identity.peer_id(), chain, inviter }
            }
            Invite::Bearer { uses, .. } => {
                let secret = BearerSecret::from_bytes(ctx.rng.secret());
                let open = (secret.public_key(), grant.clone(), uses, expires);
                let id = self.open_invitation(ctx, &chain, signer, open)?;
                InvitationKind::Bearer { id: Some(id), secret, role: grant.role }
            }
            Invite::Password { uses, password, .. } => {
                if !chain.policy().passwords {
                    return Err(Error::NotAllowed);
                }
                // Nobody keeps the other half of this key: it only names the invitation.
                let key = BearerSecret::from_bytes(ctx.rng.secret()).public_key();
                let open = (key, grant.clone(), uses, expires);
                let id = self.open_invitation(ctx, &chain, signer, open)?;
                self.passwords.known.insert(id, password.secret(self.id, id));
                self.save(ctx);
                self.arm_expiry(ctx);
                InvitationKind::Password { id, role: grant.role }
            }
        };
        let addresses = ctx.addresses.to_vec();
        // A bound one shows its chain, which begins with the root.
        let root = match &kind {
            InvitationKind::Bound { .. } => RootPin::of(self.root().der()),
            InvitationKind::Bearer { .. } | InvitationKind::Password { .. } => self.owner_pin(),
        };
        let (group, expires) = (self.id, Some(expires));
        let invitation = Invitation { group, root, inviter, nodes, addresses, expires, kind };
        self.commit(ctx, Commit::Invitation { request, invitation: Box::new(invitation) });
        Ok(())
    }

    /// Publishes that an invitation is open.
    fn open_invitation(
        &mut self,
        ctx: &mut Ctx<'_>,
        chain: &VerifiedChain,
        signer: Signer,
        (key, grant, uses, expires): (PublicKey, Grant, u32, WallTime),
    ) -> Result<RecordId, Error> {
        if uses == 0 {
            return Err(Error::BadInvite("it must be good for at least one use".into()));
        }
        if signer == Signer::Owner {
            // Any member of that role can redeem it, and the owner's key is on one device only.
            return Err(Error::NotAllowed);
        }
        if expires > chain.not_after() {
            return Err(Error::BadInvite("it would outlive your own membership".into()));
        }
        let inviter = ctx.identity.peer_id();
        if self.open_shares(ctx.now.wall).fits(&inviter, 1, self.rank(ctx, inviter)).is_err() {
            return Err(Error::BadInvite("too many invitations are open".into()));
        }
        let open = OpenInvitation { key, inviter, grant, uses, expires, version: 0 };
        let mark = invitation_mark(&key);
        let mut ids = (0..).map(|n| invitation_id(inviter, uses, mark.wrapping_add(n)));
        // A member has few of them.
        let id = ids.find(|id| self.meta(*id).is_none());
        // The record stays as long as it can, for those who came by it to be counted.
        let record = self.publish_internal(
            ctx,
            kind_of(RecordType::INVITATION),
            &open.to_payload(),
            Internal { id, ..Internal::default() },
        )?;
        Ok(record.record().id)
    }

    /// How many invitations each member holds open.
    fn open_shares(&self, wall: WallTime) -> Shares<PeerId> {
        let (mut shares, now) = (Shares::new(limits::INVITATIONS), self.clock(wall));
        let open = self.invitations.values().filter(|open| open.expires >= now);
        open.for_each(|open| shares.book(&open.inviter, 1));
        shares
    }

    /// Whether an invitation that ends then is to be known.
    pub(super) fn keeps_invitation(&self, expires: WallTime, wall: WallTime) -> bool {
        expires.after(ENDED_KEPT) >= self.clock(wall)
    }

    /// Forgets the invitations that ended long ago, or first if there are too many.
    pub(super) fn forget_ended_invitations(&mut self, wall: WallTime) {
        let now = self.clock(wall);
        self.invitations.retain(|_, open| open.expires.after(ENDED_KEPT) >= now);
        let ended = self.invitations.iter().filter(|(_, open)| open.expires < now);
        let mut ended: Vec<_> = ended.map(|(&id, open)| (open.expires, id)).collect();
        ended.sort_unstable();
        let surplus = ended.len().saturating_sub(limits::INVITATIONS.all() as usize);
        for (_, id) in ended.into_iter().take(surplus) {
            self.invitations.remove(&id);
        }
    }

    /// Opens an invitation. The oldest of its maker, or of who holds most, is closed where there are too many.
    pub(super) fn open(&mut self, ctx: &Ctx<'_>, id: RecordId, open: OpenInvitation) {
        let inviter = open.inviter;
        self.invitations.insert(id, open);
        if self.invitations.len() as u64 > 2 * limits::INVITATIONS.all() {
            self.forget_ended_invitations(ctx.now.wall);
        }
        let (shares, rank) = (self.open_shares(ctx.now.wall), self.rank(ctx, inviter));
        let whose = match () {
            () if shares.held(&inviter) > limits::INVITATIONS.each() => Some(inviter),
            () if shares.total() > limits::INVITATIONS.open_to(rank) => {
                let junior = |it: &&PeerId| self.rank(ctx, **it) == Rank::Junior;
                shares.descending().find(junior).or(shares.greatest()).copied()
            }
            () => None,
        };
        let now = self.clock(ctx.now.wall);
        let open = self.invitations.iter().filter(|(_, open)| open.expires >= now);
        let theirs = open.filter(|(_, open)| Some(open.inviter) == whose);
        let oldest = theirs.min_by_key(|(id, open)| (open.version, **id)).map(|(&id, _)| id);
        if let Some(oldest) = oldest {
            self.invitations.remove(&oldest);
        }
    }

    /// An invitation's record is gone, or was taken back.
    pub(super) fn close_invitation(&mut self, id: RecordId) {
        self.invitations.remove(&id);
    }

    /// The key that issues a membership with `grant`: ours, or the group's own where we may not and have it.
    fn signer_for(&self, chain: &VerifiedChain, grant: &Grant) -> Result<Signer, Error> {
        match () {
            () if chain.policy().may_issue(chain.grant(), grant) => Ok(Signer::Member),
            () if self.key.is_some() => Ok(Signer::Owner),
            () => Err(Error::NotAllowed),
        }
    }

    /// The invitations that were not taken back, and of what ended those that are not forgotten yet.
    pub(crate) fn invitation_infos(&self, wall: WallTime) -> Vec<InvitationInfo> {
        let now = self.clock(wall);
        let info = |(&id, open): (&RecordId, &OpenInvitation)| {
            let used = self.times_used(id);
            InvitationInfo {
                id,
                inviter: open.inviter,
                grant: open.grant.clone(),
                uses: open.uses,
                used,
                expires: open.expires,
                state: InvitationState::of(Some(open.uses), used, open.expires, now),
            }
        };
        self.invitations.iter().map(info).collect()
    }

    /// Closes an invitation.
    pub(crate) fn withdraw_invitation(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: RecordId,
        request: RequestId,
    ) -> Result<(), Error> {
        let ours = self.valid_chain(ctx)?;
        let open = self.invitations.get(&id).ok_or(Error::UnknownInvitation)?;
        if open.inviter != ours.peer() && ours.role() < Role::Administrator {
            return Err(Error::NotAllowed);
        }
        if let Some(key) = self.only_on_disk(ctx, Class::Membership, id) {
            let change = Change::Withdraw(id, request);
            let pending = Pending::Change { group: self.id, change };
            ctx.read(vec![key], pending);
            return Ok(());
        }
        self.take_back(ctx, id, false, Some(request))
    }

    /// Proves the invitation to a member, over this very link.
    pub(super) fn redeem_on(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        secret: &BearerSecret,
    ) {
        self.set_state(link, SlotState::Redeeming);
        self.send_redeem(ctx, links, link, secret);
    }

    /// The same right behind our `OPEN`, before we are answered.
    pub(super) fn redeem_ahead(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId) {
        let wanted = self.joining.as_ref().and_then(|joining| joining.wanted.as_ref());
        let Some(Wanted { proof: Proof::Link(secret), .. }) = wanted else { return };
        let secret = secret.clone();
        if let Some(slot) = self.slots.get_mut(&link) {
            slot.proved_ahead = true;
        }
        self.send_redeem(ctx, links, link, &secret);
    }

    fn send_redeem(
        &self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        secret: &BearerSecret,
    ) {
        let (key, me) = (secret.public_key(), ctx.identity.peer_id());
        let message = invitation::proof_message(self.id, &key, me);
        let consent = ctx.config.provider.sign(ctx.identity, Domain::Redemption, &message);
        let redeem = Redeem {
            invitation: key.as_bytes().to_vec(),
            proof: secret.prove(self.id, me).to_vec(),
            consent: consent.to_vec(),
        };
        self.send(ctx, links, link, kind::REDEEM, &redeem);
    }

    /// Asks those again who could not let us in: they may know more by now.
    pub(super) fn redeem_again(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
        for link in self.hosts() {
            self.prove_on(ctx, links, link);
        }
    }

    /// The links on which we are a guest.
    pub(super) fn hosts(&self) -> Vec<LinkId> {
        let guest_of = self.slots.iter().filter(|(_, slot)| slot.state == SlotState::GuestOf);
        guest_of.map(|(&link, _)| link).collect()
    }

    pub(super) fn on_redeem(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        let redeem: Redeem = wire::decode(body)?;
        let newcomer = links.ready(link).ok_or(Misbehaved::Unexpected)?.certificate.subject_key();
        let proof = read_proof(&redeem).ok_or(Misbehaved::Redemption)?;
        if !proof.holds(self.id, &newcomer, ctx.checks.verify) {
            return Err(Misbehaved::Redemption);
        }
        let found =
            self.invitations.iter().find(|(_, open)| open.key == proof.key).map(|(&id, _)| id);
        let Some(invitation) = found else {
            let withdrawn = self.withdrawn_with(&proof.key);
            self.answer_unknown(ctx, links, link, withdrawn);
            return Ok(());
        };
        // From here on it is known to hold the secret: signals of its are carried.
        self.set_state(link, SlotState::Guest);
        self.hurry_for_guest(ctx, links);
        self.let_in(ctx, links, link, invitation, Some(&proof))
    }

    /// Issues a membership to the newcomer at the other end of `link`, who has proved its invitation.
    pub(super) fn let_in(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        invitation: RecordId,
        proof: Option<&invitation::Proof>,
    ) -> Result<(), Misbehaved> {
        let ready = links.ready(link).ok_or(Misbehaved::Unexpected)?;
        let (peer, node, identity) = (ready.peer, ready.node, ready.certificate.clone());
        let verdict = self.judge(ctx, links, link);
        if verdict != Verdict::Valid {
            // Others may have no objection.
            self.send(ctx, links, link, kind::NOT_GRANTED, &NotGranted::ask(Vec::new()));
            let group = self.id;
            self.event(ctx, Event::TurnedAway { group, peer, node, verdict });
            return Ok(());
        }
        let Some(open) = self.invitations.get(&invitation) else { return Ok(()) };
        let (inviter, uses, mut grant, expired) = (
            open.inviter,
            open.uses as usize,
            open.grant.clone(),
            open.expires < self.clock(ctx.now.wall),
        );
        let came = self.roll.redemptions().came(invitation);
        let returns = self.returns(ctx, invitation, peer);
        let ended = match &returns {
            Returns::Newcomer if expired => Some(Ended::Expired),
            Returns::Newcomer if !came.contains(&peer) && came.len() >= uses => Some(Ended::UsedUp),
            Returns::Revoked => Some(Ended::Revoked),
            Returns::Newcomer | Returns::Member(_) => None,
        };
        if let Some(why) = ended {
            self.say_over(ctx, links, link, why, (inviter, &grant));
            return Ok(());
        }
        let mut until = None;
        match returns {
            Returns::Member(chain) if chain.name() == identity.name() => {
                self.hand_over(ctx, link, chain.certificates());
                return Ok(());
            }
            // It goes by another name by now. That name lasts as long as the membership that it has.
            Returns::Member(chain) => {
                until = Some(chain.not_after());
                grant = chain.grant().clone();
            }
            Returns::Newcomer | Returns::Revoked => {}
        }
        let subject = cert::Subject::of_identity(&identity).map_err(|_| Misbehaved::Redemption)?;
        let issued = match self.issue_until(ctx, subject, &grant, Signer::Member, until) {
            Ok(issued) => issued,
            Err(error) => return self.leave_to_others(ctx, links, link, &grant, error),
        };
        let Some(leaf) = issued.last() else { return Ok(()) };
        let id = redemption_id(ctx.identity.peer_id(), invitation, peer);
        let published = self.publish_internal(
            ctx,
            kind_of(RecordType::REDEMPTION),
            &redemption_payload(invitation, leaf, proof),
            Internal { id: Some(id), until: Some(leaf.not_after()), ..Internal::default() },
        );
        // A member that has let in as many as one may, or whose time is over, leaves it to others.
        if let Err(error) = published {
            return self.leave_to_others(ctx, links, link, &grant, error);
        }
        self.hand_over(ctx, link, &issued);
        Ok(())
    }

    /// Tells a newcomer that its invitation, which `inviter` made with `grant`, is at its end. We show that we may say so
    /// if we may; the newcomer goes on looking otherwise.
    pub(super) fn say_over(
        &self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        why: Ended,
        (inviter, grant): (PeerId, &Grant),
    ) {
        let chain = self.valid_chain(ctx).ok();
        let may =
            |it: &&VerifiedChain| it.peer() == inviter || it.policy().may_issue(it.grant(), grant);
        let shown = if chain.is_some_and(|it| may(&it)) { self.shown_chain() } else { None };
        let line = if shown.is_some() { self.shown_line() } else { None };
        let answer = NotGranted { line, ..NotGranted::over(why, shown) };
        self.send(ctx, links, link, kind::NOT_GRANTED, &answer);
    }

    /// Answers to an invitation that is not open here: it was withdrawn, by this record's creator, or we do not know it.
    pub(super) fn answer_unknown(
        &self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        withdrawn: Option<PeerId>,
    ) {
        match withdrawn {
            Some(inviter) => {
                let grant = Role::Member.into();
                self.say_over(ctx, links, link, Ended::Withdrawn, (inviter, &grant));
            }
            None => self.send(ctx, links, link, kind::NOT_GRANTED, &NotGranted::ask(Vec::new())),
        }
    }

    /// Our membership, for who has to believe what we say of an invitation.
    pub(super) fn shown_chain(&self) -> Option<Vec<u8>> {
        self.chain.as_ref().map(|chain| cert::encode_chain(chain.certificates()))
    }

    /// The line of the group's own keys, for the same, if our membership does not name all of it.
    pub(super) fn shown_line(&self) -> Option<Vec<u8>> {
        self.chain.as_ref().and_then(|chain| self.line_beside(chain))
    }

    /// The maker of this invitation, if it was withdrawn.
    pub(super) fn withdrawn_by(&self, id: RecordId) -> Option<PeerId> {
        let meta = self.index(Class::Membership).get(&id)?;
        is_withdrawal(meta).then(|| meta.creator())
    }

    /// The maker of the invitation of this key, if it was withdrawn. Only its id is left of it, which bears a mark of the key.
    pub(super) fn withdrawn_with(&self, key: &PublicKey) -> Option<PeerId> {
        let is_its = |meta: &&Meta| is_withdrawal(meta) && is_marked(meta.id, key);
        self.index(Class::Membership).iter().find(is_its).map(Meta::creator)
    }

    /// Others may be able to let a newcomer in. The application is told why we could not, unless our role does not let us.
    fn leave_to_others(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        grant: &Grant,
        error: Error,
    ) -> Result<(), Misbehaved> {
        let slot = self.slots.get_mut(&link).filter(|slot| !slot.not_let_in);
        if let Some(slot) = slot.filter(|_| error != Error::NotAllowed) {
            slot.not_let_in = true;
            let (group, peer, node) = (self.id, slot.peer, slot.node);
            let error = Box::new(error);
            self.event(ctx, Event::CouldNotLetIn { group, peer, node, error });
        }
        let answer = NotGranted::ask(self.referrals_to_issuers_of(ctx, grant));
        self.send(ctx, links, link, kind::NOT_GRANTED, &answer);
        Ok(())
    }

    /// Gives a newcomer its membership once all that was written before is durable.
    fn hand_over(&self, ctx: &mut Ctx<'_>, link: LinkId, certificates: &[cert::Certificate]) {
        let slot = self.slots.get(&link).map_or(0, |slot| slot.number);
        let chain = cert::encode_chain(certificates);
        self.commit(ctx, Commit::Grant { group: self.id, link, slot, chain });
    }

    /// The standing of a peer that redeems an invitation.
    fn returns(&self, ctx: &Ctx<'_>, invitation: RecordId, peer: PeerId) -> Returns {
        if self.roll.is_banned(peer) {
            return Returns::Revoked;
        }
        let now = self.clock(ctx.now.wall);
        let best = self.roll.best_of(peer, now);
        let first = self.roll.redemptions().first(invitation, peer);
        let standing = |chain: &VerifiedChain| self.roll.standing(chain, now);
        match (best.map(standing), first.map(standing)) {
            (Some(Standing::Member), _) => best.cloned().map_or(Returns::Newcomer, Returns::Member),
            // A member that left of its own accord may come back.
            (Some(Standing::Revoked { reason: Reason::Left, .. }), _) => Returns::Newcomer,
            // A peer that was let in by a key that was handed over meanwhile, and was forgotten.
            (Some(Standing::Revoked { reason: Reason::HandedOver, .. }), _) => Returns::Newcomer,
            (Some(Standing::Revoked { .. }), _) | (_, Some(Standing::Revoked { .. })) => {
                Returns::Revoked
            }
            (Some(Standing::Expired) | None, _) => Returns::Newcomer,
        }
    }

    /// The use is durable: the certificate goes out.
    pub(crate) fn grant(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        slot: u16,
        chain: Vec<u8>,
    ) {
        if self.slots.get(&link).is_some_and(|here| here.number == slot) {
            let line = self.roll.owner().certificates();
            let line = (line.len() > 1).then(|| cert::encode_chain(line));
            let granted = Granted { chain, times: Some(self.times(ctx.now)), line };
            self.send(ctx, links, link, kind::GRANTED, &granted);
            self.welcome_ahead(ctx, links, link, &granted.chain);
        }
    }

    pub(super) fn on_granted(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        let granted: Granted = wire::decode(body)?;
        if !self.hears_line(ctx, &granted.chain, granted.line.as_deref())? {
            // It has not heard of the owner that our invitation names: others have.
            self.set_state(link, SlotState::GuestOf);
            self.maintain(ctx, links, false);
            return Ok(());
        }
        let certificates =
            cert::decode_chain(&granted.chain).map_err(|_| Misbehaved::Membership)?;
        let chain = self.verify_chain(&certificates, ctx).map_err(|_| Misbehaved::Membership)?;
        // Whether it covers this moment is not asked: our clock may be wrong.
        if chain.peer() != ctx.identity.peer_id() {
            return Err(Misbehaved::Membership);
        }
        // Nobody else names us.
        if chain.name() != ctx.identity.name() {
            return Err(Misbehaved::Membership);
        }
        if let Some(wanted) = self.joining.as_ref().and_then(|it| it.wanted.as_ref()) {
            let request = wanted.request;
            if let Some(times) = granted.times {
                // The issuer of the membership says what the time is: it begins then.
                self.hear_time(ctx, link, &chain, times, None);
            }
            self.become_member(ctx, chain, request);
        }
        self.connect_on(ctx, links, link);
        Ok(())
    }

    pub(super) fn on_not_granted(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        let answer: NotGranted = wire::decode(body)?;
        self.tell_trace(link, if answer.over { Outcome::Over } else { Outcome::CannotLetIn });
        self.attempts.remove(&link);
        if self.is_outdated(link) {
            self.set_state(link, SlotState::GuestOf);
            self.prove_on(ctx, links, link);
            return Ok(());
        }
        // We stay a guest here: signals to those who can grant it pass through.
        self.set_state(link, SlotState::GuestOf);
        if let Some(error) = answer.verdict()
            && let Some(surely) = self.is_believed(ctx, links, link, &answer)?
        {
            if surely {
                self.fail_joining(ctx, error);
                return Ok(());
            }
            self.may_be_why(error);
        }
        self.add_referrals(ctx, link, answer.referrals)?;
        self.maintain(ctx, links, false);
        Ok(())
    }

    /// Whether the other end of a link may end our join, and has shown it: it made the invitation, or could let us in by it.
    /// That a password was tried too often only its maker knows. Not surely if its membership is not valid by our clock: one
    /// of both is wrong.
    fn is_believed(
        &mut self,
        ctx: &Ctx<'_>,
        links: &Links,
        link: LinkId,
        answer: &NotGranted,
    ) -> Result<Option<bool>, Misbehaved> {
        let Some(chain) = &answer.chain else { return Ok(None) };
        if !self.hears_line(ctx, chain, answer.line.as_deref())? {
            return Ok(None);
        }
        let chain = self.verify_membership(ctx, links, link, chain)?;
        let Some(wanted) = self.joining.as_ref().and_then(|it| it.wanted.as_ref()) else {
            return Ok(None);
        };
        let issues = chain.policy().may_issue(chain.grant(), &wanted.role.into());
        let may = self.is_inviter(chain.peer()) || (answer.over && issues);
        Ok(may.then(|| chain.covers(ctx.now.wall)))
    }

    /// Whether this peer made the invitation by which we want to join, as that says.
    pub(super) fn is_inviter(&self, peer: PeerId) -> bool {
        let wanted = self.joining.as_ref().and_then(|it| it.wanted.as_ref());
        wanted.is_some_and(|wanted| wanted.inviter == PeerPrefix::of(peer))
    }
}

/// Whether a record says that an invitation was taken back.
fn is_withdrawal(meta: &Meta) -> bool {
    meta.deleted && meta.kind.as_str() == RecordType::INVITATION
}

/// The standing of a peer that redeems an invitation.
enum Returns {
    /// A member, with this membership.
    Member(VerifiedChain),
    /// One whose membership was taken away.
    Revoked,
    /// Nobody yet, or no longer.
    Newcomer,
}

fn read_proof(redeem: &Redeem) -> Option<invitation::Proof> {
    let key = PublicKey::from_bytes(redeem.invitation.as_slice().try_into().ok()?)?;
    let by_link = redeem.proof.as_slice().try_into().ok()?;
    let by_newcomer = redeem.consent.as_slice().try_into().ok()?;
    Some(invitation::Proof { key, by_link, by_newcomer })
}
