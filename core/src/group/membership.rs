//! Becoming a member, and letting others become one.
//!
//! **Bearer invitation.** The maker publishes a record that names the invitation's public key, role, uses and expiry; the
//! link carries the secret key. A newcomer opens the graph on a link (it knows the group id), and proves the secret over
//! the handshake hash and its own peer id. Any member checks the proof; the maker issues the certificate, anybody
//! else refers to the maker's nodes and carries the signals there. A use is durable at the maker before the
//! certificate goes out; the same identity redeems twice for one use.
use super::{Group, Joining, OpenInvitation, SlotState, Timer};
use crate::cert::{self, Certificate, Role};
use crate::error::{Error, Misbehaved};
use crate::id::{PeerId, RecordId};
use crate::identity::{GroupKey, PublicKey};
use crate::invitation::{self, BearerSecret, Invitation, InvitationKind};
use crate::io::{Event, Invite, LinkId, Output, Reply, RequestId};
use crate::limits;
use crate::link::Links;
use crate::node::Ctx;
use crate::record::{Record, RecordType};
use crate::storage::{Class, Commit};
use crate::time::WallTime;
use crate::wire::{self, Granted, NotGranted, Redeem, kind};
use bytes::Bytes;
use minicbor::{Decode, Encode};
use rand_chacha::rand_core::Rng as _;
use std::time::Duration;

/// How long a join looks for somebody who can let us in. Guess: several rounds of looking.
const JOIN_TIMEOUT: Duration = Duration::from_secs(60);

/// Payload of a properties record.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct Properties {
    #[n(0)]
    pub(super) name: String,
    #[n(1)]
    pub(super) payload_bytes_max: u64,
    #[n(2)]
    pub(super) presence_max: u64,
}

/// Payload of an invitation record.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct Announced {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(super) key: Vec<u8>,
    #[n(1)]
    pub(super) role: u8,
    #[n(2)]
    pub(super) uses: u32,
    #[n(3)]
    pub(super) expires: u64,
}

impl Announced {
    pub(super) fn open(&self, inviter: PeerId) -> Option<(PublicKey, OpenInvitation)> {
        let key = PublicKey::from_bytes(self.key.as_slice().try_into().ok()?)?;
        let role = role_of(self.role)?;
        let expires = WallTime(self.expires);
        Some((key, OpenInvitation { inviter, role, uses: self.uses, expires }))
    }
}

fn role_of(byte: u8) -> Option<Role> {
    [Role::Member, Role::Inviting, Role::Administrator].into_iter().find(|&role| role as u8 == byte)
}

impl Group {
    /// Makes a new group with us as its administrator.
    pub(crate) fn create(ctx: &mut Ctx<'_>, name: String, request: RequestId) -> Self {
        let mut secret = zeroize::Zeroizing::new([0; 32]);
        ctx.rng.fill_bytes(&mut secret[..]);
        let key = GroupKey::generate(*secret);
        let not_before = ctx.now.wall.before(limits::CERTIFICATE_CLOCK_SKEW);
        let not_after = ctx.now.wall.after(limits::ROOT_LIFETIME);
        let root = cert::issue_root(&key, &name, ctx.random_bytes(), not_before, not_after);
        let first = cert::issue_first(
            &key,
            &root,
            ctx.identity.certificate(),
            Role::Administrator,
            ctx.random_bytes(),
            not_before,
            not_after,
        )
        .expect("the group key issues its first administrator");
        let chain = cert::verify_chain(&[root.clone(), first], key.group_id(), ctx.config.verify)
            .expect("a chain of our own making holds");
        let mut group = Self::new(key.group_id(), name, root);
        group.key = Some(key);
        group.add_member(chain.clone());
        group.chain = Some(chain);
        group.ready = true;
        group.save(ctx);
        group.commit(ctx, Commit::Group { group: group.id, request: Some(request) });
        let properties = Properties {
            name: group.name.clone(),
            payload_bytes_max: group.payload_bytes_max as u64,
            presence_max: group.presence_max,
        };
        group.publish_internal(
            ctx,
            kind_of(RecordType::PROPERTIES),
            None,
            &wire::encode(&properties),
            None,
        );
        group.start(ctx);
        group
    }

    /// Begins to join by invitation. A bound one makes us a member at once.
    pub(crate) fn join(
        ctx: &mut Ctx<'_>,
        invitation: Invitation,
        request: RequestId,
    ) -> Result<Self, Error> {
        invitation.check(ctx.identity.peer_id(), ctx.now.wall, ctx.config.verify)?;
        let mut group = Self::new(invitation.group, invitation.name, invitation.root);
        group.known = invitation.addresses.iter().map(|address| vec![address.clone()]).collect();
        match invitation.kind {
            InvitationKind::Bound { chain, .. } => {
                let chain = cert::verify_chain(&chain, group.id, ctx.config.verify)
                    .map_err(Error::InvitationInvalid)?;
                group.become_member(ctx, chain, request);
            }
            InvitationKind::Bearer { secret, .. } => {
                group.joining = Some(Joining { request, secret, addresses: invitation.addresses });
                group.timers.set(Timer::Joining, ctx.now.mono.after(JOIN_TIMEOUT));
            }
        }
        group.timers.set(Timer::Maintain, ctx.now.mono);
        Ok(group)
    }

    fn become_member(&mut self, ctx: &mut Ctx<'_>, chain: cert::VerifiedChain, request: RequestId) {
        self.add_member(chain.clone());
        self.chain = Some(chain);
        self.joining = None;
        self.timers.clear(Timer::Joining);
        self.save(ctx);
        self.commit(ctx, Commit::Group { group: self.id, request: Some(request) });
    }

    /// Our own certificate chain as a record, so that everybody can check what we publish. It goes out before the
    /// first record of ours: a group whose members only read does not carry their certificates.
    pub(super) fn publish_membership_once(&mut self, ctx: &mut Ctx<'_>) {
        let Some(chain) = &self.chain else { return };
        let random = chain.serial().as_bytes().first_chunk::<8>().copied().unwrap_or_default();
        let id = RecordId::new(ctx.identity.peer_id(), u64::from_be_bytes(random));
        if self.index(Class::Membership).get(&id).is_some() {
            return;
        }
        let payload = cert::encode_chain(chain.certificates());
        let until = chain.not_after();
        self.publish_internal(
            ctx,
            kind_of(RecordType::MEMBERSHIP),
            Some(id),
            &payload,
            Some(until),
        );
    }

    /// Makes an invitation.
    pub(crate) fn invite(
        &mut self,
        ctx: &mut Ctx<'_>,
        invite: Invite,
        addresses: Vec<crate::address::Address>,
    ) -> Result<Invitation, Error> {
        let chain = self.valid_chain(ctx)?.clone();
        let (role, expires) = match &invite {
            Invite::Bound { role, .. } => (*role, chain.not_after()),
            Invite::Bearer { role, expires_in, .. } => (*role, ctx.now.wall.after(*expires_in)),
        };
        if !chain.role().may_issue(role) {
            return Err(Error::NotAllowed);
        }
        let kind = match invite {
            Invite::Bound { identity, role } => {
                cert::verify_identity(&identity, ctx.config.verify)
                    .map_err(|_| Error::BadInvite("that is not an identity certificate"))?;
                let member = self.issue(ctx, &identity, role)?;
                let mut certificates = chain.certificates().to_vec();
                certificates.push(member);
                InvitationKind::Bound { for_peer: identity.peer_id(), chain: certificates }
            }
            Invite::Bearer { role, uses, .. } => {
                if uses == 0 {
                    return Err(Error::BadInvite("it must be good for at least one use"));
                }
                if expires > chain.not_after() {
                    return Err(Error::BadInvite("it would outlive your own membership"));
                }
                if self.invitations.len() >= limits::INVITATIONS_MAX {
                    return Err(Error::BadInvite("too many invitations are open"));
                }
                let secret = BearerSecret::from_bytes(ctx.random_bytes());
                let announced = Announced {
                    key: secret.public_key().as_bytes().to_vec(),
                    role: role as u8,
                    uses,
                    expires: expires.0,
                };
                let until = self.peer_time(expires);
                let kind = kind_of(RecordType::INVITATION);
                let id =
                    self.publish_internal(ctx, kind, None, &wire::encode(&announced), Some(until));
                InvitationKind::Bearer { id, secret, role }
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

    /// Issues a membership below ours.
    fn issue(
        &self,
        ctx: &mut Ctx<'_>,
        identity: &Certificate,
        role: Role,
    ) -> Result<Certificate, Error> {
        let chain = self.chain.as_ref().ok_or(Error::UnknownGroup)?;
        let not_before = ctx.now.wall.before(limits::CERTIFICATE_CLOCK_SKEW);
        let not_after = ctx.now.wall.after(limits::MEMBERSHIP_LIFETIME);
        let serial = ctx.random_bytes();
        cert::issue_member(ctx.identity, chain, identity, role, serial, not_before, not_after)
            .map_err(|_| Error::NotAllowed)
    }

    /// Our membership, if it has not ended.
    pub(super) fn valid_chain(&self, ctx: &Ctx<'_>) -> Result<&cert::VerifiedChain, Error> {
        let chain = self.chain.as_ref().ok_or(Error::UnknownGroup)?;
        if !chain.covers(ctx.now.wall) {
            return Err(Error::MembershipExpired);
        }
        Ok(chain)
    }

    /// Proves the invitation to a member, over this very link.
    pub(super) fn redeem_on(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId) {
        let (Some(joining), Some(ready)) = (&self.joining, links.ready(link)) else { return };
        let redeem = Redeem {
            invitation: joining.secret.public_key().as_bytes().to_vec(),
            proof: joining.secret.prove(&ready.hash, ctx.identity.peer_id()).to_vec(),
        };
        self.set_state(link, SlotState::Redeeming);
        self.send(ctx, links, link, kind::REDEEM, &redeem);
    }

    /// Asks those again who could not let us in: they may know more by now.
    pub(super) fn redeem_again(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
        let guest_of = self.slots.iter().filter(|(_, slot)| slot.state == SlotState::GuestOf);
        let hosts: Vec<LinkId> = guest_of.map(|(&link, _)| link).collect();
        for link in hosts {
            self.redeem_on(ctx, links, link);
        }
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
        let (peer, hash, identity) = (ready.peer, ready.hash, ready.certificate.clone());
        let key: Option<&[u8; 32]> = redeem.invitation.as_slice().try_into().ok();
        let key = key.and_then(PublicKey::from_bytes);
        let proof: Option<[u8; 64]> = redeem.proof.as_slice().try_into().ok();
        let (Some(key), Some(proof)) = (key, proof) else { return Err(Misbehaved::Redemption) };
        if !invitation::check_proof(&key, &hash, peer, &proof, ctx.config.verify) {
            return Err(Misbehaved::Redemption);
        }
        let Some(open) = self.invitations.get(&key) else {
            let answer = NotGranted { over: false, referrals: Vec::new() };
            self.send(ctx, links, link, kind::NOT_GRANTED, &answer);
            return Ok(());
        };
        // From here on it is known to hold the secret: signals of its are carried.
        let (role, uses, inviter) = (open.role, open.uses, open.inviter);
        let expired = open.expires < ctx.now.wall;
        self.set_state(link, SlotState::Guest);
        if expired {
            self.send(ctx, links, link, kind::NOT_GRANTED, &over());
            return Ok(());
        }
        if inviter != ctx.identity.peer_id() {
            let answer = NotGranted { over: false, referrals: self.referrals_to(inviter) };
            self.send(ctx, links, link, kind::NOT_GRANTED, &answer);
            return Ok(());
        }
        let used = self.redeemed.iter().filter(|(redeemed, _)| *redeemed == key).count();
        let again = self.redeemed.contains(&(key, peer));
        if !again && used >= uses as usize {
            self.send(ctx, links, link, kind::NOT_GRANTED, &over());
            return Ok(());
        }
        let Ok(member) = self.issue(ctx, &identity, role) else {
            self.send(ctx, links, link, kind::NOT_GRANTED, &over());
            return Ok(());
        };
        self.redeemed.insert((key, peer));
        self.save(ctx);
        let mut certificates =
            self.chain.as_ref().map(|chain| chain.certificates().to_vec()).unwrap_or_default();
        certificates.push(member);
        let slot = self.slots.get(&link).map_or(0, |slot| slot.number);
        let chain = cert::encode_chain(&certificates);
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
        let chain = cert::verify_chain(&certificates, self.id, ctx.config.verify)
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
            if let Some(joining) = self.joining.take() {
                self.timers.clear(Timer::Joining);
                let result = Err(Error::InvitationUsedUp);
                ctx.out.push_back(Output::Done { request: joining.request, result });
            }
            return Ok(());
        }
        // We stay a guest here: signals to those who can grant it pass through.
        self.set_state(link, SlotState::GuestOf);
        self.add_referrals(ctx, answer.referrals)?;
        self.maintain(ctx, links, false);
        Ok(())
    }

    /// Whether a join has come to its end without a membership.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.chain.is_none() && self.joining.is_none()
    }

    /// The membership is durable.
    pub(crate) fn joined(&mut self, ctx: &mut Ctx<'_>, request: Option<RequestId>) {
        let info = self.info();
        if let Some(request) = request {
            let result = Ok(Reply::Group(info.clone()));
            ctx.out.push_back(Output::Done { request, result });
        }
        self.event(ctx, Event::Group(info));
    }

    /// Publishes a record of the core's own kinds. It is ours, so its rules hold by construction.
    pub(super) fn publish_internal(
        &mut self,
        ctx: &mut Ctx<'_>,
        kind: RecordType,
        id: Option<RecordId>,
        payload: &[u8],
        until: Option<WallTime>,
    ) -> RecordId {
        if kind.as_str() != RecordType::MEMBERSHIP {
            self.publish_membership_once(ctx);
        }
        let chain = self.chain.as_ref().expect("only members publish");
        let peer = ctx.identity.peer_id();
        let id = id.unwrap_or_else(|| RecordId::new(peer, ctx.rng.next_u64()));
        let now = self.peer_time(ctx.now.wall);
        let before = self.meta(id).map(|(_, meta)| (meta.version, meta.created));
        let (seen, created) = before.unwrap_or((0, now));
        let modified =
            if before.is_some() { now.max(created.after(Duration::from_millis(1))) } else { now };
        let expires = until.unwrap_or(chain.not_after()).min(chain.not_after());
        let record = Record {
            id,
            kind,
            version: crate::record::next_version(now, seen),
            creator: peer,
            modifier: before.is_some().then_some(peer),
            created,
            modified,
            expires: expires.max(modified.after(Duration::from_millis(1))),
            deleted: false,
            attributes: Vec::new(),
            payload: Bytes::copy_from_slice(payload),
            serial: chain.serial(),
            signature: [0; 64],
        };
        let signed = record.sign(self.id, ctx.identity);
        let chain = chain.clone();
        self.store_record(ctx, signed, &chain, None, None);
        id
    }
}

/// One of the core's own types.
pub(super) fn kind_of(name: &str) -> RecordType {
    RecordType::new(name).expect("the core's own names are well formed")
}

fn over() -> NotGranted {
    NotGranted { over: true, referrals: Vec::new() }
}
