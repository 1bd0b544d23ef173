//! Invitations, on both sides.
//!
//! **By link.** The maker publishes a record that names the invitation's public key, role, uses and expiry; the link
//! carries the secret key. A newcomer opens the graph on a link (it knows the group id), and proves the secret over the
//! handshake hash and its own peer id. Any member checks the proof; one that may issue such a membership does, and
//! publishes a redemption record, which is durable before the certificate goes out. Others refer to those who may and
//! carry the signals there. The same identity redeems twice for one use. How uses are counted across partitions says
//! `roll.rs`, rule 7.
use super::internal::redemption_payload;
use super::membership::{Internal, Signer, kind_of};
use super::{Group, OpenInvitation, Proof, SlotState};
use crate::cert::{self, Role, VerifiedChain};
use crate::error::{Error, Misbehaved};
use crate::id::RecordId;
use crate::identity::PublicKey;
use crate::invitation::{self, BearerSecret, Invitation, InvitationKind};
use crate::io::{Event, InvitationInfo, Invite, LinkId, RequestId};
use crate::limits;
use crate::link::Links;
use crate::node::Ctx;
use crate::policy::Grant;
use crate::provider::Verdict;
use crate::record::RecordType;
use crate::roll::Redemption;
use crate::storage::Commit;
use crate::time::WallTime;
use crate::wire::{self, Granted, NotGranted, Redeem, kind};
use bytes::Bytes;
use std::time::Duration;

impl Group {
    /// Makes an invitation.
    pub(crate) fn invite(
        &mut self,
        ctx: &mut Ctx<'_>,
        invite: Invite,
        addresses: Vec<crate::address::Address>,
    ) -> Result<Invitation, Error> {
        let chain = self.valid_chain(ctx)?.clone();
        let (grant, expires) = match &invite {
            Invite::Bound { grant, .. } => (grant.clone(), chain.not_after()),
            Invite::Bearer { grant, expires_in, .. }
            | Invite::Password { grant, expires_in, .. } => {
                (grant.clone(), ctx.now.wall.after(*expires_in))
            }
        };
        let grant = Grant::new(grant.role, grant.app_roles).map_err(|_| {
            Error::BadInvite("a role of the application has 1 to 32 of a-z, 0-9, '-'")
        })?;
        let signer = self.signer_for(&chain, &grant)?;
        let kind = match invite {
            Invite::Bound { identity, .. } => {
                let subject = cert::Subject::of_identity(&identity)
                    .map_err(|_| Error::BadInvite("that is not an identity certificate"))?;
                let chain = self.issue(ctx, subject, &grant, signer)?;
                InvitationKind::Bound { for_peer: identity.peer_id(), chain }
            }
            Invite::Bearer { uses, .. } => {
                let secret = BearerSecret::from_bytes(ctx.random_bytes());
                let open = (secret.public_key(), grant.clone(), uses, expires);
                let id = self.open_invitation(ctx, &chain, signer, open)?;
                InvitationKind::Bearer { id, secret, grant }
            }
            Invite::Password { uses, password, .. } => {
                if !chain.policy().passwords {
                    return Err(Error::NotAllowed);
                }
                // Nobody keeps the other half of this key: it only names the invitation.
                let key = BearerSecret::from_bytes(ctx.random_bytes()).public_key();
                let open = (key, grant.clone(), uses, expires);
                let id = self.open_invitation(ctx, &chain, signer, open)?;
                self.passwords.known.insert(id, password.secret(self.id, id));
                self.save(ctx);
                InvitationKind::Password { id, grant }
            }
        };
        Ok(Invitation {
            group: self.id,
            // The name that the certificate vouches for; properties may have another by now.
            name: self.root.name().to_owned(),
            inviter: ctx.identity.name().to_owned(),
            root: self.root.clone(),
            addresses,
            expires,
            kind,
        })
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
            return Err(Error::BadInvite("it must be good for at least one use"));
        }
        if signer == Signer::Owner {
            // Any member of that role can redeem it, and the owner's key is on one device only.
            return Err(Error::NotAllowed);
        }
        if expires > chain.not_after() {
            return Err(Error::BadInvite("it would outlive your own membership"));
        }
        if self.invitations.len() >= limits::INVITATIONS_MAX {
            return Err(Error::BadInvite("too many invitations are open"));
        }
        let inviter = ctx.identity.peer_id();
        let open = OpenInvitation { key, inviter, grant, uses, expires };
        let until = Some(self.peer_time(expires));
        let record = self.publish_internal(
            ctx,
            kind_of(RecordType::INVITATION),
            &open.to_payload(),
            Internal { until, ..Internal::default() },
        );
        Ok(record.record().id)
    }

    /// Whose key issues a membership with `grant`: ours, or the group's own where we may not and have it.
    fn signer_for(&self, chain: &VerifiedChain, grant: &Grant) -> Result<Signer, Error> {
        match () {
            () if chain.policy().may_issue(chain.grant(), grant) => Ok(Signer::Member),
            () if self.key.is_some() => Ok(Signer::Owner),
            () => Err(Error::NotAllowed),
        }
    }

    /// The invitations that are open.
    pub(crate) fn invitation_infos(&self) -> Vec<InvitationInfo> {
        let info = |(&id, open): (&RecordId, &OpenInvitation)| InvitationInfo {
            id,
            inviter: open.inviter,
            grant: open.grant.clone(),
            uses: open.uses,
            used: u32::try_from(self.roll.redeemed(open.key).len()).unwrap_or(u32::MAX),
            expires: open.expires,
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
        self.take_back(ctx, id, false, Some(request))
    }

    /// Proves the invitation to a member, over this very link.
    pub(super) fn redeem_on(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId) {
        let (Some(joining), Some(ready)) = (&self.joining, links.ready(link)) else { return };
        let Proof::Link(secret) = &joining.proof else { return };
        let redeem = Redeem {
            invitation: secret.public_key().as_bytes().to_vec(),
            proof: secret.prove(&ready.hash, ctx.identity.peer_id()).to_vec(),
        };
        self.set_state(link, SlotState::Redeeming);
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
        let ready = links.ready(link).ok_or(Misbehaved::Unexpected)?;
        let (peer, hash) = (ready.peer, ready.hash);
        let key: Option<&[u8; 32]> = redeem.invitation.as_slice().try_into().ok();
        let key = key.and_then(PublicKey::from_bytes);
        let proof: Option<[u8; 64]> = redeem.proof.as_slice().try_into().ok();
        let (Some(key), Some(proof)) = (key, proof) else { return Err(Misbehaved::Redemption) };
        if !invitation::check_proof(&key, &hash, peer, &proof, ctx.checks.verify) {
            return Err(Misbehaved::Redemption);
        }
        let found = self.invitations.iter().find(|(_, open)| open.key == key).map(|(&id, _)| id);
        let Some(invitation) = found else {
            self.send(ctx, links, link, kind::NOT_GRANTED, &NotGranted::ask(Vec::new()));
            return Ok(());
        };
        // From here on it is known to hold the secret: signals of its are carried.
        self.set_state(link, SlotState::Guest);
        self.let_in(ctx, links, link, invitation)
    }

    /// Issues a membership to the newcomer at the other end of `link`, who has proved its invitation.
    pub(super) fn let_in(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        invitation: RecordId,
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
        let (key, uses, grant) = (open.key, open.uses, open.grant.clone());
        let expired = open.expires < ctx.now.wall;
        let came = self.roll.redeemed(key);
        if expired || !came.contains(&peer) && came.len() >= uses as usize {
            self.send(ctx, links, link, kind::NOT_GRANTED, &NotGranted::over());
            return Ok(());
        }
        let subject = cert::Subject::of_identity(&identity).map_err(|_| Misbehaved::Redemption)?;
        let issued = match self.issue(ctx, subject, &grant, Signer::Member) {
            Ok(issued) if self.roll.redemptions() < limits::REDEMPTIONS_MAX => issued,
            Ok(_) | Err(_) => {
                let answer = NotGranted::ask(self.referrals_to_issuers_of(ctx, &grant));
                self.send(ctx, links, link, kind::NOT_GRANTED, &answer);
                return Ok(());
            }
        };
        let Some(leaf) = issued.last() else { return Ok(()) };
        let (serial, ends) = (leaf.serial(), leaf.not_after());
        let used = Redemption { invitation: key, uses, peer, serial, version: 0 };
        self.publish_internal(
            ctx,
            kind_of(RecordType::REDEMPTION),
            &redemption_payload(&used),
            Internal { until: Some(ends), ..Internal::default() },
        );
        let slot = self.slots.get(&link).map_or(0, |slot| slot.number);
        let chain = cert::encode_chain(&issued);
        self.commit(ctx, Commit::Grant { group: self.id, link, slot, chain });
        Ok(())
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
            self.send(ctx, links, link, kind::GRANTED, &Granted { chain });
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
        let certificates =
            cert::decode_chain(&granted.chain).map_err(|_| Misbehaved::Membership)?;
        let chain = cert::verify_chain(&certificates, self.id, ctx.checks.verify)
            .map_err(|_| Misbehaved::Membership)?;
        if chain.peer() != ctx.identity.peer_id() || !chain.covers(ctx.now.wall) {
            return Err(Misbehaved::Membership);
        }
        if let Some(joining) = &self.joining {
            let request = joining.request;
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
        self.attempts.remove(&link);
        if answer.over {
            // Whoever says so knows the group. A lie ends this attempt; the invitation can be used again.
            if let Some(slot) = self.slots.get_mut(&link) {
                slot.state = SlotState::Idle;
            }
            self.fail_joining(ctx, Error::InvitationUsedUp);
            return Ok(());
        }
        if let Some(wait) = answer.wait_ms {
            self.fail_joining(ctx, Error::TooManyTries(Duration::from_millis(wait)));
            return Ok(());
        }
        // We stay a guest here: signals to those who can grant it pass through.
        self.set_state(link, SlotState::GuestOf);
        self.add_referrals(ctx, answer.referrals)?;
        self.maintain(ctx, links, false);
        Ok(())
    }
}
