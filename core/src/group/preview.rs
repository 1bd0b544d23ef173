//! Previews: what an invitation is about, before anybody joins.
//!
//! ```text
//! newcomer   OPEN(tag)                                    ───►
//!                                                         ◄───  OPENED(tag)                         any member
//!            LOOK(invitation, inviter)                    ───►
//!                                                         ◄───  SHOWN(certificates, records)
//! ```
//!
//! A short link names the group and pins its root certificate; it holds neither. The newcomer opens the graph, which shows
//! that it knows the group's id, and asks. The member answers with its own certificates, with the record of the invitation and
//! the certificates of its signer, and with the properties of the group, as they were signed. The newcomer checks the root
//! against its pin before anything else, and every signature. Nothing is redeemed.
//!
//! A group that is only looked at is one that we are no member of, as while joining; a join goes on with the links that it
//! has. It is forgotten some time after the answer.
use super::internal::{Meaning, read_invitation, read_properties};
use super::{Group, Joining, SlotState, Timer};
use crate::cert::{self, VerifiedChain};
use crate::error::{BadRecord, Error, Misbehaved};
use crate::group::Ctx;
use crate::id::{PeerId, PeerPrefix, RecordId};
use crate::identity::PublicKey;
use crate::invitation::{Invitation, InvitationKind, InvitationState};
use crate::io::{LinkId, OpenPreview, Output, Preview, Reply, RequestId};
use crate::link::Links;
use crate::provider::Checks;
use crate::record::{RecordType, Signed};
use crate::sorted::SortedSet;
use crate::storage::{self, Class, Pending};
use crate::time::WallTime;
use crate::wire::{self, Look, Shown, kind};
use bytes::Bytes;
use minicbor::bytes::ByteVec;
use std::time::Duration;

#[cfg(test)]
mod tests;

/// How long a member is looked for. Guess: a look-up, a handshake and an answer, twice over; people wait no longer.
const LOOK_TIMEOUT: Duration = Duration::from_secs(20);
/// How long links are kept after the answer. Guess: people read it, and press "join".
const KEPT: Duration = Duration::from_secs(60);
/// Records of an answer: the invitation and the properties. A longer one is refused.
const RECORDS_MAX: usize = 2;
/// Requests for one preview. Guess. A further one is refused as busy.
const REQUESTS_MAX: usize = 16;

/// The wish of a newcomer to know what its invitation is about.
#[derive(Default)]
pub(super) struct Looking {
    /// The invitation, until somebody asked for a preview.
    what: Option<What>,
    requests: Vec<RequestId>,
    /// Links on which we asked.
    asked: SortedSet<LinkId>,
    shown: Option<Preview>,
}

/// Which invitation.
#[derive(Clone, Copy, PartialEq, Eq)]
struct What {
    name: Named,
    inviter: PeerPrefix,
}

/// How the record of an invitation is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    Key(PublicKey),
    Record(RecordId),
}

impl What {
    fn of(invitation: &Invitation) -> Option<Self> {
        let name = match &invitation.kind {
            InvitationKind::Bound { .. } => return None,
            InvitationKind::Bearer { secret, .. } => Named::Key(secret.public_key()),
            InvitationKind::Password { id, .. } => Named::Record(*id),
        };
        Some(Self { name, inviter: invitation.inviter })
    }
}

/// The preview of a bound invitation: it says all of it itself.
///
/// # Errors
/// [`Error::InvitationInvalid`] if its certificates do not hold.
pub(crate) fn preview_of_bound(ctx: &Ctx<'_>, invitation: &Invitation) -> Result<Preview, Error> {
    let chain = invitation.verified(ctx.checks.verify).map_err(Error::InvitationInvalid)?;
    let preview = preview_of(ctx, &chain, invitation.expires.unwrap_or(chain.not_after()));
    Ok(Preview { state: invitation.state(ctx.now.wall), ..preview })
}

/// The preview of a membership of ours.
fn preview_of(ctx: &Ctx<'_>, chain: &VerifiedChain, expires: WallTime) -> Preview {
    let issuer = chain.certificates().iter().rev().nth(1).unwrap_or(chain.root());
    Preview {
        group: chain.group(),
        name: chain.root().name().to_owned(),
        policy: chain.policy().clone(),
        told_by: ctx.identity.peer_id(),
        open: Some(OpenPreview {
            inviter: issuer.peer_id(),
            inviter_name: issuer.name().to_owned(),
            grant: chain.grant().clone(),
            uses: None,
            used: 0,
            expires,
        }),
        state: InvitationState::of(None, 0, expires, ctx.now.wall),
    }
}

impl Group {
    /// Begins to ask members what a short invitation is about.
    pub(crate) fn look(ctx: &Ctx<'_>, invitation: &Invitation, request: RequestId) -> Self {
        let mut group = Self::newcomer(ctx, invitation);
        group.joining = Some(Joining::new());
        group.ask_to_look(ctx, invitation, request);
        group.timers.set(Timer::Maintain, ctx.now.mono);
        group
    }

    /// The same where a join, or another preview, is under way.
    ///
    /// # Errors
    /// [`Error::Busy`] if it is about another invitation, or too many ask.
    pub(crate) fn look_too(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        invitation: &Invitation,
        request: RequestId,
    ) -> Result<(), Error> {
        let looking = &self.joining.as_ref().ok_or(Error::Busy)?.preview;
        let other = looking.what.is_some_and(|what| Some(what) != What::of(invitation));
        if other || invitation.root != self.pin || looking.requests.len() >= REQUESTS_MAX {
            return Err(Error::Busy);
        }
        if let Some(shown) = looking.shown.clone() {
            let result = Ok(Reply::Preview(Box::new(shown)));
            ctx.out.push_back(Output::Done { request, result });
            return Ok(());
        }
        self.ask_to_look(ctx, invitation, request);
        let opened =
            |state| matches!(state, SlotState::Looking | SlotState::Redeeming | SlotState::GuestOf);
        let slots = self.slots.iter().filter(|(_, slot)| opened(slot.state));
        for link in slots.map(|(&link, _)| link).collect::<Vec<_>>() {
            self.look_on(ctx, links, link);
        }
        Ok(())
    }

    fn ask_to_look(&mut self, ctx: &Ctx<'_>, invitation: &Invitation, request: RequestId) {
        let Some(joining) = &mut self.joining else { return };
        joining.preview.what = What::of(invitation);
        joining.preview.requests.push(request);
        self.timers.set(Timer::Preview, ctx.now.mono.after(LOOK_TIMEOUT));
    }

    /// Whether this group is one that is only looked at.
    pub(crate) fn is_looked_at(&self) -> bool {
        self.joining.as_ref().is_some_and(|joining| joining.wanted.is_none())
    }

    /// Whether a join can go on with what this preview or this earlier join has found.
    pub(crate) fn goes_on_with(&self, invitation: &Invitation) -> bool {
        let bound = matches!(invitation.kind, InvitationKind::Bound { .. });
        self.joining.is_some() && !bound && self.pin == invitation.root
    }

    /// Whether all that was asked is answered, and nobody wants to join: no further links are of use.
    pub(super) fn has_seen_enough(&self) -> bool {
        let answered = |joining: &Joining| joining.preview.shown.is_some();
        self.is_looked_at() && self.joining.as_ref().is_some_and(answered)
    }

    /// Asks over this link, if anything is asked.
    pub(super) fn look_on(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId) {
        let Some(Joining { preview, .. }) = &mut self.joining else { return };
        let Some(What { name, inviter }) = preview.what.filter(|_| preview.shown.is_none()) else {
            return;
        };
        if !preview.asked.insert(link) {
            return;
        }
        let (key, id) = match name {
            Named::Key(key) => (Some(key), None),
            Named::Record(id) => (None, Some(id)),
        };
        if let Some(slot) = self.slots.get_mut(&link) {
            slot.looks = slot.looks.saturating_add(1);
        }
        self.send(ctx, links, link, kind::LOOK, &Look { key, id, inviter });
    }

    /// Nothing more comes over this link.
    pub(super) fn look_no_more_on(&mut self, link: LinkId) {
        self.showing.remove(&link);
        if let Some(joining) = &mut self.joining {
            joining.preview.asked.remove(&link);
        }
    }

    /// The time is over: for who asked, or for a preview that nobody followed.
    pub(super) fn stop_looking(&mut self, ctx: &mut Ctx<'_>) {
        let error = Error::NobodyToAsk(Box::new(self.tell_tried(ctx.dialer)));
        self.fail_previews(ctx, &error);
        if self.is_looked_at() {
            self.joining = None;
        }
    }

    /// Whether somebody waits for a preview.
    pub(super) fn has_waiting_previews(&self) -> bool {
        self.joining.as_ref().is_some_and(|joining| !joining.preview.requests.is_empty())
    }

    fn fail_previews(&mut self, ctx: &mut Ctx<'_>, error: &Error) {
        let Some(Joining { preview, .. }) = &mut self.joining else { return };
        for request in std::mem::take(&mut preview.requests) {
            let result = Err(error.clone());
            ctx.out.push_back(Output::Done { request, result });
        }
    }

    /// We are a member before an answer came: what we were given says it.
    pub(super) fn answer_previews_as_member(&mut self, ctx: &mut Ctx<'_>) {
        let (Some(Joining { preview, .. }), Some(chain)) = (&mut self.joining, &self.chain) else {
            return;
        };
        for request in std::mem::take(&mut preview.requests) {
            let result = preview_of(ctx, chain, chain.not_after());
            let result = Ok(Reply::Preview(Box::new(result)));
            ctx.out.push_back(Output::Done { request, result });
        }
    }

    /// Answers whoever waits for a join or a preview: neither comes.
    pub(crate) fn abandon(&mut self, ctx: &mut Ctx<'_>, error: &Error) {
        self.fail_previews(ctx, error);
        self.fail_joining(ctx, error.clone());
        self.joining = None;
    }

    /// Leaves the graph on every link, so that another group of this id can open it.
    pub(crate) fn close_slots(&mut self, links: &mut Links) {
        for (link, slot) in std::mem::take(&mut self.slots) {
            links.free_slot(link, slot.number);
        }
    }

    // --- the member ----------------------------------------------------------------------------------------

    /// The record of an invitation that is open.
    fn record_of_invitation(&self, name: Named, inviter: PeerPrefix) -> Option<RecordId> {
        let by_key = |key| self.invitations.iter().filter(move |(_, open)| open.key == key);
        let mut ids: Vec<RecordId> = match name {
            Named::Key(key) => by_key(key).map(|(&id, _)| id).collect(),
            Named::Record(id) => vec![id],
        };
        ids.retain(|id| {
            let open = self.invitations.get(id);
            open.is_some_and(|open| PeerPrefix::of(open.inviter) == inviter)
        });
        ids.pop()
    }

    /// Whether an invitation was taken back.
    fn was_withdrawn(&self, name: Named) -> bool {
        match name {
            Named::Key(key) => self.withdrawn_with(&key).is_some(),
            Named::Record(id) => self.withdrawn_by(id).is_some(),
        }
    }

    /// The preview of an invitation to one of our own groups, by what that knows of it.
    ///
    /// # Errors
    /// [`Error::Revoked`] and [`Error::MembershipExpired`]: whoever is out does not hear of new ones.
    pub(crate) fn preview_here(
        &self,
        ctx: &Ctx<'_>,
        invitation: &Invitation,
    ) -> Result<Preview, Error> {
        self.valid_chain(ctx)?;
        let what = What::of(invitation);
        let id = what.and_then(|it| self.record_of_invitation(it.name, it.inviter));
        let withdrawn = what.is_some_and(|it| self.was_withdrawn(it.name));
        let open = id.and_then(|id| Some((id, self.invitations.get(&id)?)));
        let open = open.map(|(id, open)| OpenPreview {
            inviter: open.inviter,
            inviter_name: {
                let chain = self.roll.best_of(open.inviter, self.clock(ctx.now.wall));
                chain.map(|chain| chain.name().to_owned()).unwrap_or_default()
            },
            grant: open.grant.clone(),
            uses: Some(open.uses),
            used: self.times_used(id),
            expires: open.expires,
        });
        Ok(Preview {
            group: self.id,
            name: self.name.clone(),
            policy: self.root().policy().clone(),
            told_by: ctx.identity.peer_id(),
            state: state_of(open.as_ref(), withdrawn, self.clock(ctx.now.wall)),
            open,
        })
    }

    /// A newcomer asks what its invitation is about. One answer at a time.
    pub(super) fn on_look(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        let Look { key, id, inviter } = wire::decode(body)?;
        let name = match (key, id) {
            (Some(key), _) => Named::Key(key),
            (None, Some(id)) => Named::Record(id),
            (None, None) => return Err(Misbehaved::BadMessage),
        };
        if self.showing.contains_key(&link) {
            return Ok(());
        }
        let properties = self.properties_id();
        let id = self.record_of_invitation(name, inviter);
        self.showing.insert(link, id.is_none() && self.was_withdrawn(name));
        let (mut records, mut missing) = (Vec::new(), Vec::new());
        for id in id.into_iter().chain(properties) {
            let held = self.index(Class::Membership).get(&id);
            match ctx.storage.cached(self.id, id) {
                Some(bytes) => records.push(bytes),
                None if held.is_some() => {
                    missing.push(storage::record_key(self.id, Class::Membership, id));
                }
                None => {}
            }
        }
        if missing.is_empty() {
            self.show(ctx, links, link, records);
        } else {
            let pending = Pending::Show { group: self.id, link, records };
            ctx.read(missing, pending);
        }
        Ok(())
    }

    /// Answers with these records: the invitation, if it is open, and the properties.
    pub(crate) fn show(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        records: Vec<Bytes>,
    ) {
        let Some(withdrawn) = self.showing.remove(&link) else { return };
        let Some(chain) = self.chain.clone() else { return };
        let read = |bytes: &Bytes| Signed::decode(bytes.clone()).ok();
        let is_invitation = |signed: &Signed| {
            signed.record().kind.as_str() == RecordType::INVITATION && !signed.record().deleted
        };
        let invitation = records.iter().filter_map(read).find(is_invitation);
        let signer = invitation.as_ref().and_then(|it| self.roll.chain(it.record().certificate));
        let open = invitation.as_ref().map(|it| it.record().id);
        let open = open.filter(|id| self.invitations.contains_key(id));
        let shown = Shown {
            chain: cert::encode_chain(chain.certificates()),
            signer: signer.map(|chain| cert::encode_chain(chain.certificates())),
            records: records.iter().map(|bytes| ByteVec::from(bytes.to_vec())).collect(),
            used: open.map_or(0, |id| self.times_used(id)),
            withdrawn: withdrawn.then_some(true),
            line: self.line_beside(&chain),
        };
        self.send(ctx, links, link, kind::SHOWN, &shown);
    }

    pub(super) fn times_used(&self, invitation: RecordId) -> u32 {
        u32::try_from(self.roll.redemptions().came(invitation).len()).unwrap_or(u32::MAX)
    }

    // --- the newcomer --------------------------------------------------------------------------------------

    pub(super) fn on_shown(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        let shown: Shown = wire::decode(body)?;
        if let Some(slot) = self.slots.get_mut(&link) {
            slot.looks = slot.looks.saturating_sub(1);
        }
        self.look_no_more_on(link);
        // Nobody may want to know it any longer.
        let Some(Joining { preview, .. }) = &self.joining else { return Ok(()) };
        let Some(what) = preview.what else { return Ok(()) };
        if shown.records.len() > RECORDS_MAX {
            return Err(Misbehaved::TooMuch);
        }
        // Whether it covers this moment is not asked: our clock may be wrong, and nothing depends on it.
        if !self.hears_line(ctx, &shown.chain, shown.line.as_deref())? {
            return Ok(());
        }
        let teller = self.verify_membership(ctx, links, link, &shown.chain)?;
        let mut preview = self.read_shown(ctx.checks, &shown, &teller, what)?;
        let withdrawn = shown.withdrawn.unwrap_or_default();
        preview.state = state_of(preview.open.as_ref(), withdrawn, self.clock(ctx.now.wall));
        let Some(joining) = &mut self.joining else { return Ok(()) };
        joining.preview.shown = Some(preview.clone());
        for request in std::mem::take(&mut joining.preview.requests) {
            let result = Ok(Reply::Preview(Box::new(preview.clone())));
            ctx.out.push_back(Output::Done { request, result });
        }
        self.timers.set(Timer::Preview, ctx.now.mono.after(KEPT));
        Ok(())
    }

    fn read_shown(
        &self,
        checks: Checks,
        shown: &Shown,
        teller: &VerifiedChain,
        what: What,
    ) -> Result<Preview, Misbehaved> {
        let root = teller.root();
        let mut preview = Preview {
            group: self.id,
            name: root.name().to_owned(),
            policy: root.policy().clone(),
            told_by: teller.peer(),
            open: None,
            state: InvitationState::Unknown,
        };
        for bytes in &shown.records {
            let signed =
                Signed::decode(Bytes::copy_from_slice(bytes)).map_err(Misbehaved::Record)?;
            if signed.record().deleted {
                continue;
            }
            match signed.record().kind.as_str() {
                RecordType::PROPERTIES => {
                    // One by an heir that we do not know yet says nothing to us.
                    let owner = self.roll.chain(signed.record().certificate);
                    let Some(owner) = owner.filter(|it| it.depth() == 0) else { continue };
                    check_signed(checks, &signed, owner)?;
                    if let Meaning::Properties(properties) =
                        read_properties(&signed.record().payload).map_err(Misbehaved::Record)?
                    {
                        preview.name = properties.name;
                    }
                }
                RecordType::INVITATION => {
                    preview.open = Some(self.read_open(checks, shown, &signed, what)?);
                }
                _ => {}
            }
        }
        Ok(preview)
    }

    fn read_open(
        &self,
        checks: Checks,
        shown: &Shown,
        signed: &Signed,
        what: What,
    ) -> Result<OpenPreview, Misbehaved> {
        let signer = shown.signer.as_deref().ok_or(Misbehaved::Membership)?;
        let certificates = cert::decode_chain(signer).map_err(|_| Misbehaved::Membership)?;
        self.check_root(&certificates)?;
        let signer = cert::verify_chain(&certificates, self.id, checks.verify)
            .map_err(|_| Misbehaved::Membership)?;
        check_signed(checks, signed, &signer)?;
        let record = signed.record();
        let Meaning::Invitation(open) = read_invitation(record).map_err(Misbehaved::Record)? else {
            return Err(Misbehaved::Record(BadRecord::Encoding));
        };
        let named = match what.name {
            Named::Key(key) => open.key == key,
            Named::Record(id) => record.id == id,
        };
        if !named || PeerPrefix::of(open.inviter) != what.inviter {
            return Err(Misbehaved::Redemption);
        }
        if !signer.policy().may_issue(signer.grant(), &open.grant) {
            return Err(Misbehaved::Record(BadRecord::Right));
        }
        Ok(OpenPreview {
            inviter: open.inviter,
            inviter_name: signer.name().to_owned(),
            grant: open.grant.clone(),
            uses: Some(open.uses),
            used: shown.used,
            expires: open.expires,
        })
    }
}

/// Whether an invitation can be used that a member tells of.
fn state_of(open: Option<&OpenPreview>, withdrawn: bool, now: WallTime) -> InvitationState {
    match open {
        Some(open) => InvitationState::of(open.uses, open.used, open.expires, now),
        None if withdrawn => InvitationState::Withdrawn,
        None => InvitationState::Unknown,
    }
}

/// Whether a record is its creator's, signed with this membership.
fn check_signed(checks: Checks, signed: &Signed, signer: &VerifiedChain) -> Result<(), Misbehaved> {
    let record = signed.record();
    let creator: PeerId = record.creator;
    if creator != signer.peer() || record.modifier.is_some_and(|it| it != creator) {
        return Err(Misbehaved::Record(BadRecord::Modifier));
    }
    if record.certificate != signer.id() || !record.id.fits(creator, record.kind.as_str()) {
        return Err(Misbehaved::Record(BadRecord::Certificate));
    }
    (checks.verify_all)(&[signed.claim(signer)])
        .map_err(|_| Misbehaved::Record(BadRecord::Signature))
}
