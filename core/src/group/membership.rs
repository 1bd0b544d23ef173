//! Becoming a member, and what members issue and publish in the group's name or their own.
use super::graph::Slot;
use super::known::Known;
use super::quota::Comer;
use super::{Group, Joining, Proof, SlotState, Timer, Wanted};
use crate::cert::{self, Certificate, Role, VerifiedChain};
use crate::error::Error;
use crate::group::Ctx;
use crate::id::{CertificateId, PeerId, RecordId};
use crate::identity::GroupKey;
use crate::invitation::{Invitation, InvitationKind};
use crate::io::{Event, Output, Properties, Reply, RequestId, StoreFault};
use crate::limits;
use crate::link::Links;
use crate::password::Password;
use crate::policy::{Grant, Policy};
use crate::record::{Record, RecordType, Signed};
use crate::roll::Standing;
use crate::storage::{Class, Commit};
use crate::time::WallTime;
use bytes::Bytes;
use rand_chacha::rand_core::Rng as _;
use std::mem;
use std::time::Duration;

/// How long a join looks for somebody who can let us in. Guess: twice what attempts that hang take, and less than the
/// patience of a command, whose user is to read what was tried.
const JOIN_TIMEOUT: Duration = Duration::from_secs(25);
/// When a membership is written again that the disk refused. Guess: people make room in minutes, and it costs little.
const SAVED_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// How the core publishes a record of its own. The default is a new one of ours, as long as our membership.
#[derive(Default)]
pub(super) struct Internal {
    /// The record to make or replace; a new one where there is none.
    pub(super) id: Option<RecordId>,
    /// When it ends.
    pub(super) until: Option<WallTime>,
    /// Whether the group's own key signs it.
    pub(super) as_owner: bool,
    /// On which of our memberships it relies; where there is none, on the one that we use.
    pub(super) under: Option<VerifiedChain>,
    /// Whether it takes back what stands there.
    pub(super) deleted: bool,
    /// The request that waits for it.
    pub(super) request: Option<RequestId>,
}

impl Group {
    /// Makes a new group with us as its administrator.
    #[expect(clippy::expect_used, reason = "nothing but our own key and identity is looked at")]
    pub(crate) fn create(
        ctx: &mut Ctx<'_>,
        name: String,
        policy: &Policy,
        request: RequestId,
    ) -> Result<Self, Error> {
        not_behind(ctx.now.wall)?;
        let key = GroupKey::generate(ctx.rng.secret());
        let not_before = ctx.now.wall.before(limits::CERTIFICATE_CLOCK_SKEW);
        let not_after = ctx.now.wall.after(limits::ROOT_LIFETIME);
        let serial = ctx.random_bytes();
        let root = cert::issue_root(&key, &name, policy, serial, not_before, not_after)
            .map_err(Error::BadPolicy)?;
        let subject = cert::Subject::of_identity(ctx.identity.certificate())
            .expect("our own identity certificate holds")
            .as_owner(1);
        let grant = Grant::from(Role::Administrator);
        let serial = ctx.random_bytes();
        let first =
            cert::issue_by_owner(&key, &root, subject, &grant, serial, not_before, not_after)
                .expect("the group key issues its first administrator");
        let certificates = [root.clone(), first];
        let chain = cert::verify_chain(&certificates, key.group_id(), ctx.checks.verify)
            .expect("a chain of our own making holds");
        let owner =
            VerifiedChain::owner(&root, ctx.checks.verify).expect("a root of our own making holds");
        let mut group = Self::new(ctx.table_secret, name, owner);
        group.plausible.agreed(ctx.now.wall, 0);
        group.key = Some(key);
        group.roll.choose(chain.clone(), 0);
        group.chain = Some(chain);
        group.ready = true;
        group.write_info(ctx);
        group.commit(ctx, Commit::Group { group: group.id, request: Some(request) });
        let properties = group.properties();
        group.publish_properties(ctx, &properties, None)?;
        group.start(ctx);
        Ok(group)
    }

    /// The properties of the group that may be changed.
    pub(super) fn properties(&self) -> Properties {
        Properties {
            name: self.name.clone(),
            comment: self.comment.clone(),
            presence_max: self.presence_max,
        }
    }

    /// Changes what may be changed of the group.
    pub(crate) fn set_properties(
        &mut self,
        ctx: &mut Ctx<'_>,
        properties: &Properties,
        request: RequestId,
    ) -> Result<(), Error> {
        if self.key.is_none() {
            return Err(Error::NotOwner);
        }
        if !properties.is_legal() {
            return Err(Error::BadName);
        }
        self.publish_properties(ctx, properties, Some(request))
    }

    pub(super) fn publish_properties(
        &mut self,
        ctx: &mut Ctx<'_>,
        properties: &Properties,
        request: Option<RequestId>,
    ) -> Result<(), Error> {
        // One record of each own key: its id is the same wherever that key is.
        let id = Some(RecordId::new(self.roll.owner().peer(), RecordType::PROPERTIES, 0));
        let kind = kind_of(RecordType::PROPERTIES);
        let how = Internal { id, as_owner: true, request, ..Internal::default() };
        self.publish_internal(ctx, kind, &properties.to_payload(), how).map(|_| ())
    }

    /// Begins to join by invitation. A bound one makes us a member at once.
    pub(crate) fn join(
        ctx: &mut Ctx<'_>,
        invitation: Invitation,
        password: Option<Password>,
        request: RequestId,
    ) -> Result<Self, Error> {
        not_behind(ctx.now.wall)?;
        let doubt = invitation.doubt(ctx.identity.peer_id(), ctx.now.wall, ctx.checks.verify)?;
        let mut group = Self::newcomer(ctx, &invitation);
        if matches!(invitation.kind, InvitationKind::Bound { .. }) {
            let chain = invitation.verified(ctx.checks.verify).map_err(Error::InvitationInvalid)?;
            let line = cert::verify_line(chain.line(), chain.group(), ctx.checks.verify)
                .map_err(Error::InvitationInvalid)?;
            group.know_line(line);
            group.become_member(ctx, chain, request);
        } else {
            group.joining = Some(Joining::new());
            group.want(ctx, invitation, password, request)?;
            doubt.into_iter().for_each(|why| group.may_be_why(why.into()));
        }
        group.timers.set(Timer::Maintain, ctx.now.mono);
        Ok(group)
    }

    /// A group of which we know what a short invitation says.
    pub(super) fn newcomer(ctx: &Ctx<'_>, invitation: &Invitation) -> Self {
        let mut group = Self::unknown(ctx.table_secret, invitation.group, invitation.root);
        // The newest of what is known is dialled first, and the last one counts as that.
        let known = invitation.addresses.iter().rev().cloned();
        group.known = known.map(|address| Known { peer: None, addresses: vec![address] }).collect();
        group.nodes.clone_from(&invitation.nodes);
        group
    }

    /// A preview of this invitation, or an earlier join, is under way: from here on we want to join by this one, over the
    /// links that there are. The earlier join fails as busy.
    pub(crate) fn join_later(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        invitation: Invitation,
        password: Option<Password>,
        request: RequestId,
    ) -> Result<(), Error> {
        not_behind(ctx.now.wall)?;
        let doubt = invitation.doubt(ctx.identity.peer_id(), ctx.now.wall, ctx.checks.verify)?;
        let later = Self::newcomer(ctx, &invitation);
        self.want(ctx, invitation, password, request)?;
        doubt.into_iter().for_each(|why| self.may_be_why(why.into()));
        (self.known, self.nodes) = (later.known, later.nodes);
        // A node that was away for the earlier join may be back.
        self.tried.clear();
        let ahead = |slot: &Slot| slot.state == SlotState::Opening && slot.proved_ahead;
        let asked = self.slots.iter();
        let asked = asked.filter(|(_, slot)| slot.state == SlotState::Redeeming || ahead(slot));
        if let Some(joining) = &mut self.joining {
            joining.outdated.extend(asked.map(|(&link, _)| link));
        }
        let asks = |slot: &Slot| matches!(slot.state, SlotState::Looking | SlotState::GuestOf);
        let hosts = self.slots.iter().filter(|(_, slot)| asks(slot));
        for link in hosts.map(|(&link, _)| link).collect::<Vec<_>>() {
            self.prove_on(ctx, links, link);
        }
        self.timers.set(Timer::Maintain, ctx.now.mono);
        Ok(())
    }

    fn want(
        &mut self,
        ctx: &mut Ctx<'_>,
        invitation: Invitation,
        password: Option<Password>,
        request: RequestId,
    ) -> Result<(), Error> {
        let (proof, role) = match invitation.kind {
            InvitationKind::Bound { .. } => return Err(Error::Busy),
            InvitationKind::Bearer { secret, role, .. } => (Proof::Link(secret), role),
            InvitationKind::Password { id, role } => {
                let password = password.ok_or(Error::PasswordNeeded)?;
                (Proof::Password(id, password.secret(self.id, id)), role)
            }
        };
        let wanted = Wanted { request, proof, inviter: invitation.inviter, role, may_be_why: None };
        if let Some(joining) = &mut self.joining
            && let Some(earlier) = joining.wanted.replace(wanted)
        {
            let (request, result) = (earlier.request, Err(Error::Busy));
            ctx.out.push_back(Output::Done { request, result });
        }
        self.timers.set(Timer::Joining, ctx.now.mono.after(JOIN_TIMEOUT));
        Ok(())
    }

    pub(super) fn become_member(
        &mut self,
        ctx: &mut Ctx<'_>,
        chain: VerifiedChain,
        request: RequestId,
    ) {
        self.roll.choose(chain.clone(), 0);
        self.chain = Some(chain);
        self.timers.clear(Timer::Joining);
        self.answer_previews_as_member(ctx);
        self.joining = None;
        self.settle_clock(ctx);
        // We renew the members that we let in from now on.
        self.timers.set(Timer::Renew, ctx.now.mono);
        self.save(ctx);
        // Not when it is durable: after a crash before that the invitation is good for the same membership, and who waits
        // for the disk sees its first record later.
        let result = Ok(Reply::Group(self.info()));
        ctx.out.push_back(Output::Done { request, result });
    }

    /// The disk refused the membership: we are a member until we end, and try again.
    pub(crate) fn not_joined(&mut self, ctx: &mut Ctx<'_>, fault: StoreFault) {
        self.event(ctx, Event::StoreFailed { fault });
        self.timers.set_if_unarmed(Timer::Save, ctx.now.mono.after(SAVED_AGAIN_AFTER));
    }

    /// Our own certificate chain as a record, so that everybody can check what we publish. It goes out before the
    /// first record of ours: a group whose members only read does not carry their certificates.
    pub(super) fn publish_membership_once(&mut self, ctx: &mut Ctx<'_>) -> Result<(), Error> {
        let Some(chain) = &self.chain else { return Ok(()) };
        let id = membership_id(chain);
        if self.index(Class::Membership).get(&id).is_some() {
            return Ok(());
        }
        let payload = cert::encode_chain(chain.certificates());
        let until = Some(chain.not_after());
        let how = Internal { id: Some(id), until, ..Internal::default() };
        self.publish_internal(ctx, kind_of(RecordType::MEMBERSHIP), &payload, how).map(|_| ())
    }

    /// Whether others can know of our membership.
    pub(super) fn membership_published(&self) -> bool {
        let id = self.chain.as_ref().map(membership_id);
        id.is_some_and(|id| self.index(Class::Membership).get(&id).is_some())
    }

    /// Issues a membership for as long as the policy gives one, see [`issue_until`](Self::issue_until).
    pub(super) fn issue(
        &self,
        ctx: &mut Ctx<'_>,
        subject: cert::Subject<'_>,
        grant: &Grant,
        signer: Signer,
    ) -> Result<Vec<Certificate>, Error> {
        self.issue_until(ctx, subject, grant, signer, None)
    }

    /// Issues a membership: below ours, or below the group's own key where that is and we may not. It ends at `until`,
    /// or before if the policy has it so. Returns it with the certificates above it.
    pub(super) fn issue_until(
        &self,
        ctx: &mut Ctx<'_>,
        subject: cert::Subject<'_>,
        grant: &Grant,
        signer: Signer,
        until: Option<WallTime>,
    ) -> Result<Vec<Certificate>, Error> {
        let now = self.clock(ctx.now.wall);
        not_behind(now)?;
        let not_before = now.before(limits::CERTIFICATE_CLOCK_SKEW);
        let longest = now.after(self.root().policy().membership_lifetime);
        let not_after = until.map_or(longest, |until| until.min(longest));
        let serial = ctx.random_bytes();
        let (above, certificate) = match (signer, &self.key) {
            (Signer::Owner, Some(key)) => {
                let line = self.roll.owner().certificates();
                let owner = self.roll.owner().leaf();
                let issued =
                    cert::issue_by_owner(key, owner, subject, grant, serial, not_before, not_after);
                (line, issued)
            }
            (Signer::Owner, None) => return Err(Error::NotOwner),
            (Signer::Member, _) => {
                let chain = self.valid_chain(ctx)?;
                let issued = cert::issue_member(
                    ctx.identity,
                    chain,
                    subject,
                    grant,
                    serial,
                    not_before,
                    not_after,
                );
                (chain.certificates(), issued)
            }
        };
        let mut certificates = above.to_vec();
        certificates.push(certificate.map_err(|_| Error::NotAllowed)?);
        Ok(certificates)
    }

    /// Our membership, if it stands and has not ended.
    pub(super) fn valid_chain(&self, ctx: &Ctx<'_>) -> Result<&VerifiedChain, Error> {
        let chain = self.chain.as_ref().ok_or(Error::UnknownGroup)?;
        match self.roll.standing(chain, self.clock(ctx.now.wall)) {
            Standing::Member => Ok(chain),
            Standing::Expired => Err(Error::MembershipExpired),
            Standing::Revoked { .. } => Err(Error::Revoked),
        }
    }

    /// Whether a join has come to its end without a membership.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.chain.is_none() && self.joining.is_none()
    }

    /// The membership is durable.
    pub(crate) fn joined(&mut self, ctx: &mut Ctx<'_>, request: Option<RequestId>) {
        let before = mem::replace(&mut self.joined, true);
        if let Some(request) = request {
            let result = Ok(Reply::Group(self.info()));
            ctx.out.push_back(Output::Done { request, result });
        }
        if !before {
            self.tell_group(ctx);
            self.tell_clock(ctx);
        }
    }

    /// Tells what the group is now. Nothing before our membership is durable: that is told by this event.
    pub(super) fn tell_group(&self, ctx: &mut Ctx<'_>) {
        if self.joined {
            self.event(ctx, Event::Group(self.info()));
        }
    }

    /// Takes back what a record of the core's own types says.
    pub(super) fn take_back(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: RecordId,
        as_owner: bool,
        request: Option<RequestId>,
    ) -> Result<(), Error> {
        let Some((_, meta)) = self.meta(id) else { return Err(Error::UnknownRecord) };
        let (kind, until) = (meta.kind.clone(), Some(meta.expires));
        let how = Internal {
            id: Some(id),
            until,
            as_owner,
            deleted: true,
            request,
            ..Internal::default()
        };
        self.publish_internal(ctx, kind, &[], how).map(|_| ())
    }

    /// Publishes a record of the core's own types.
    ///
    /// # Errors
    /// [`Error::UnknownGroup`] where we are no member, [`Error::MembershipExpired`] where peer time says that our membership
    /// is over though our own clock does not: others would refuse the record. [`Error::TooManyRecords`] where we have our
    /// share of such records. [`Error::Busy`] for the owner while it hands over.
    pub(super) fn publish_internal(
        &mut self,
        ctx: &mut Ctx<'_>,
        kind: RecordType,
        payload: &[u8],
        how: Internal,
    ) -> Result<Signed, Error> {
        let Internal { id, until, as_owner, under, deleted, request } = how;
        if as_owner && self.handing_over {
            return Err(Error::Busy);
        }
        if kind.as_str() != RecordType::MEMBERSHIP {
            self.publish_membership_once(ctx)?;
        }
        let own = self.chain.as_ref().ok_or(Error::UnknownGroup)?;
        let own = under.as_ref().unwrap_or(own);
        let chain = if as_owner { self.roll.owner() } else { own }.clone();
        let signer = chain.peer();
        let id = id.unwrap_or_else(|| self.free_id(signer, &kind, ctx.rng.next_u64()));
        let now = self.peer_time(ctx.now.wall);
        let before = self.meta(id).map(|(_, meta)| meta.clone());
        let beginning = match &before {
            Some(meta) => self.take_beginning(ctx, meta, signer)?,
            None => None,
        };
        let before = before.map(|meta| (meta.version, meta.created, meta.creator()));
        let (seen, created, creator) = before.unwrap_or((0, now, signer));
        let modified =
            if before.is_some() { now.max(created.after(Duration::from_millis(1))) } else { now };
        // Others judge by this: their time is peer time.
        if !chain.covers(modified) {
            return Err(Error::MembershipExpired);
        }
        let last = match kind.as_str() {
            RecordType::REVOCATION => chain.not_after().after(limits::CERTIFICATE_CLOCK_SKEW),
            _ => chain.not_after(),
        };
        let expires = until.unwrap_or(last).min(last);
        let record = Record {
            id,
            kind,
            version: self.next_version(ctx, Some((id, seen))),
            creator,
            modifier: before.is_some().then_some(signer),
            created,
            modified,
            expires: expires.max(modified.after(Duration::from_millis(1))),
            deleted,
            attributes: Vec::new(),
            payload: Bytes::copy_from_slice(payload),
            certificate: chain.id(),
            beginning,
            signature: [0; 64],
        };
        let signed = match &self.key {
            Some(key) if as_owner => record.sign_as_owner(self.id, key),
            _ => ctx.sign(self.id, record),
        };
        let read = self.read_record(ctx, &signed)?;
        let (chain, meaning) = read.ok_or(Error::MembershipExpired)?;
        let record = signed.record();
        let (kind, base, charged) = (&record.kind, record.edition().base(), signed.charged());
        Self::check_size(kind, signed.bytes().len())?;
        if !record.deleted {
            self.check_quota(ctx, &Comer { kind, creator, base, id, charged })?;
        }
        self.store_record(ctx, signed.clone(), &chain, meaning, None, request);
        self.roll.settle();
        Ok(signed)
    }
}

/// Anything signed before the clock is set would be over, or not yet valid, once it is.
pub(super) fn not_behind(wall: WallTime) -> Result<(), Error> {
    if wall < limits::RELEASED { Err(Error::ClockBehind(wall)) } else { Ok(()) }
}

/// The key that issues a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signer {
    /// Ours.
    Member,
    /// The group's own.
    Owner,
}

/// The record in which a member shows its own membership.
pub(super) fn membership_id(chain: &VerifiedChain) -> RecordId {
    issued_id(chain.peer(), chain.id())
}

/// The record in which `by` shows a certificate.
pub(super) fn issued_id(by: PeerId, certificate: CertificateId) -> RecordId {
    let random = certificate.as_bytes().first_chunk::<8>().copied().unwrap_or_default();
    RecordId::new(by, RecordType::MEMBERSHIP, u64::from_be_bytes(random))
}

/// One of the core's own types.
#[expect(clippy::expect_used, reason = "the names are constants of ours, which are well formed")]
pub(super) fn kind_of(name: &str) -> RecordType {
    RecordType::new(name).expect("the core's own names are well formed")
}
