//! The group's own key in other hands: rotated, or handed over to another member.
//!
//! ```text
//! rotate      owner: makes a key ─► act and key durable ─► act takes effect, old key wiped ─► neighbours
//! hand over   heir:  makes a key ─► key durable ─► offer (its public key, its consent) ─► everybody
//!             owner: names the heir ─► act durable ─► act takes effect, old key wiped ─► neighbours
//!             heir:  sees the act ─► acts as the owner ─► act durable ─► nothing else is kept
//! ```
//!
//! The effect of an act on others is the roll's (`roll/line.rs`). Here is who has which key. A node has at most one key that
//! is the group's own ([`Group::key`]), and spare ones: one that it offered, and one that was the group's own until the
//! act that says so is durable. No key is wiped before, so that a crash between any two steps loses nothing: at the next
//! start the line of the group says which of the keys is what.
//!
//! An act goes out only when it is durable, with the key of the heir if that is ours. Until then the owner signs nothing
//! else: the act lists what of its stays.
use super::internal::{Meaning, bad, decode};
use super::membership::{Internal, kind_of, not_behind};
use super::{Group, Timer};
use crate::cert::{self, CertError, VerifiedChain};
use crate::error::{BadRecord, Error, Misbehaved};
use crate::group::Ctx;
use crate::id::{CertificateId, GroupId, PeerId, RecordId, RootPin};
use crate::identity::{Domain, GroupKey, PublicKey};
use crate::io::{Event, Output, Reply, RequestId, StoreFault};
use crate::limits;
use crate::record::{Meta, Record, RecordType, Signed};
use crate::roll::{Handover, Kept, digest_of_lists};
use crate::sorted::SortedSet;
use crate::storage::{self, Class, Commit};
use crate::time::WallTime;
use crate::wire;
use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};

/// Payload of a handover record.
#[derive(Encode, Decode)]
#[cbor(map)]
struct HandoverSays {
    /// The heir's certificate.
    #[cbor(n(0), with = "minicbor::bytes")]
    heir: Vec<u8>,
    /// By the heir's key.
    #[n(1)]
    consent: ByteArray<64>,
    /// Digests of certificates, one after another, sorted.
    #[cbor(n(2), with = "minicbor::bytes")]
    standing: Vec<u8>,
    /// Beginnings of digests, as in a revocation.
    #[cbor(n(3), with = "minicbor::bytes")]
    kept: Vec<u8>,
}

/// Payload of the record in which a member offers itself as the heir.
#[derive(Encode, Decode)]
#[cbor(map)]
struct OfferSays {
    #[n(0)]
    key: PublicKey,
    /// The certificate of the group's own key that it would follow.
    #[n(1)]
    after: CertificateId,
    #[n(2)]
    consent: ByteArray<64>,
}

/// An offer of a member to follow the group's own key.
#[derive(Clone)]
pub(super) struct HeirOffer {
    key: PublicKey,
    after: CertificateId,
    consent: [u8; 64],
}

/// The one record in which a key hands over.
pub(super) fn handover_id(signer: PeerId) -> RecordId {
    RecordId::new(signer, RecordType::HANDOVER, 0)
}

/// The one record in which a member offers itself.
pub(super) fn offer_id(member: PeerId) -> RecordId {
    RecordId::new(member, RecordType::HEIR, 0)
}

/// The bytes that an heir signs: that it holds its key, and would follow this one of the group's own.
fn consent_to(group: GroupId, after: CertificateId) -> Vec<u8> {
    [&group.as_bytes()[..], after.as_bytes()].concat()
}

/// An act of handing over that is to be signed.
pub(super) struct Act<'a> {
    /// The line of the key that signs it.
    pub(super) owner: &'a VerifiedChain,
    pub(super) offer: &'a HeirOffer,
    pub(super) standing: SortedSet<CertificateId>,
    pub(super) kept: Kept,
    pub(super) serial: [u8; 16],
    /// When the heir's certificate begins.
    pub(super) begin: WallTime,
    pub(super) version: u64,
    pub(super) modified: WallTime,
}

impl Act<'_> {
    /// Makes the heir's certificate and the record.
    pub(super) fn sign(&self, key: &GroupKey) -> Result<Signed, CertError> {
        let Act { owner, offer, standing, kept, modified, .. } = self;
        let lists = digest_of_lists(standing, kept);
        let heir = cert::issue_heir(key, owner, offer.key, lists, self.serial, self.begin)?;
        let says = HandoverSays {
            heir: heir.der().to_vec(),
            consent: offer.consent.into(),
            standing: standing.iter().flat_map(CertificateId::as_bytes).copied().collect(),
            kept: kept.to_bytes(),
        };
        let record = Record {
            id: handover_id(owner.peer()),
            kind: kind_of(RecordType::HANDOVER),
            version: self.version,
            creator: owner.peer(),
            modifier: None,
            created: *modified,
            modified: *modified,
            expires: owner.not_after(),
            deleted: false,
            attributes: Vec::new(),
            payload: wire::encode(&says).into(),
            certificate: owner.id(),
            beginning: None,
            signature: [0; 64],
        };
        Ok(record.sign_as_owner(owner.group(), key))
    }
}

impl HeirOffer {
    /// The offer of who holds `key`.
    pub(super) fn by(key: &GroupKey, group: GroupId, after: CertificateId) -> Self {
        let consent = key.sign(Domain::Heir, &consent_to(group, after));
        Self { key: key.public_key(), after, consent }
    }

    pub(super) fn to_payload(&self) -> Vec<u8> {
        let Self { key, after, consent } = *self;
        wire::encode(&OfferSays { key, after, consent: consent.into() })
    }
}

fn consents(ctx: &Ctx<'_>, group: GroupId, offer: &HeirOffer) -> bool {
    let message = Domain::Heir.message(&consent_to(group, offer.after));
    (ctx.checks.verify)(&offer.key, &message, &offer.consent)
}

// --- reading -----------------------------------------------------------------------------------------------

impl Group {
    /// Nothing while the key that signed it is not known as the group's own.
    pub(super) fn read_handover(
        &self,
        ctx: &Ctx<'_>,
        signed: &Signed,
    ) -> Result<Option<Handover>, BadRecord> {
        let record = signed.record();
        let Some(signer) = self.roll.chain(record.certificate) else { return Ok(None) };
        if signer.depth() > 0 {
            return Err(BadRecord::Right);
        }
        let says: HandoverSays = decode(&record.payload)?;
        let heir = (ctx.checks.certificate)(&says.heir).map_err(bad)?;
        let heir = match self.roll.chain(heir.id()) {
            Some(known) => known.clone(),
            None => {
                let line = [signer.certificates(), &[heir]].concat();
                cert::verify_line(&line, self.id, ctx.checks.verify).map_err(bad)?
            }
        };
        let consent = says.consent.into();
        let offer = HeirOffer { key: heir.key(), after: signer.id(), consent };
        if !consents(ctx, self.id, &offer) {
            return Err(BadRecord::Signature);
        }
        let (standing, []) = says.standing.as_chunks() else { return Err(BadRecord::Encoding) };
        let kept = Kept::from_bytes(&says.kept).ok_or(BadRecord::Encoding)?;
        if standing.len() > limits::REVOCATION_STANDING_MAX
            || kept.len() > limits::REVOCATION_KEPT_MAX
        {
            return Err(BadRecord::PayloadTooLong);
        }
        let standing: SortedSet<_> =
            standing.iter().map(|id| CertificateId::from_bytes(*id)).collect();
        if heir.leaf().lists() != Some(digest_of_lists(&standing, &kept)) {
            return Err(BadRecord::Encoding);
        }
        let signer = signer.clone();
        Ok(Some(Handover { digest: signed.digest(), signer, heir, standing, kept }))
    }

    pub(super) fn read_offer(&self, ctx: &Ctx<'_>, record: &Record) -> Result<Meaning, BadRecord> {
        let OfferSays { key, after, consent } = decode(&record.payload)?;
        let offer = HeirOffer { key, after, consent: consent.into() };
        if record.id != offer_id(record.creator) {
            return Err(BadRecord::ForeignId);
        }
        if !consents(ctx, self.id, &offer) {
            return Err(BadRecord::Signature);
        }
        Ok(Meaning::HeirOffer(Box::new(offer)))
    }

    /// Whether a handover counts. If its signer has handed over otherwise, its key is in two hands: the application is
    /// told once, and who brought it is not to blame.
    pub(super) fn counts(&mut self, ctx: &mut Ctx<'_>, act: &Handover) -> bool {
        let counts = self.roll.may_hand_over(act);
        // As many as the line has keys.
        if !counts && self.contested.insert(act.signer.id()) {
            let group = self.id;
            self.event(ctx, Event::HandoverContested { group });
        }
        counts
    }

    // --- what follows ----------------------------------------------------------------------------------------

    /// A handover has come.
    pub(super) fn take_over(&mut self, ctx: &mut Ctx<'_>, id: RecordId, act: Handover) {
        if self.roll.hand_over(id, act) {
            self.line_went_on(ctx);
        }
        self.standing_changed(ctx);
    }

    /// Learns of the group's own keys from a member that refuses us: a handover goes to members that stand, and one that
    /// does not may be the heir.
    pub(super) fn hear_own_keys(
        &mut self,
        ctx: &mut Ctx<'_>,
        line: &[u8],
    ) -> Result<(), CertError> {
        let line = cert::decode_chain_knowing(line, |_| None, ctx.checks.certificate)?;
        let line = cert::verify_line(&line, self.id, ctx.checks.verify)?;
        if self.roll.know_line(line) {
            self.line_went_on(ctx);
        }
        Ok(())
    }

    fn line_went_on(&mut self, ctx: &mut Ctx<'_>) {
        self.settle_keys();
        self.timers.set_if_unarmed(Timer::Save, ctx.now.mono);
        // The new owner publishes what it has to.
        self.timers.set(Timer::Renew, ctx.now.mono);
        self.tell_group(ctx);
    }

    /// Takes up the key that is the group's own, if we have it. The others are spare.
    pub(super) fn settle_keys(&mut self) {
        let owner = self.roll.owner().key();
        self.spare.extend(self.key.take());
        let ours = self.spare.iter().position(|key| key.public_key() == owner);
        self.key = ours.map(|at| self.spare.swap_remove(at));
    }

    /// Wipes the keys that a handover, which is durable, has made useless: what was the group's own, and what was offered
    /// to follow that. A key that is about to be offered stays: the handover may be an old one that we have just got.
    pub(super) fn wipe_keys(&mut self, ctx: &mut Ctx<'_>) {
        // One of them may be that of the heir.
        if self.handing_over {
            return;
        }
        let offered = self.heirs.get(&ctx.identity.peer_id()).cloned();
        let offered = offered.filter(|offer| offer.after == self.roll.owner().id());
        let (roll, count, offering) = (&self.roll, self.spare.len(), self.offering > 0);
        self.spare.retain(|key| {
            let public = key.public_key();
            match roll.nth_own_key(public.peer_id()) {
                Some(nth) => {
                    let its = roll.owner().certificates().get(nth);
                    its.is_none_or(|its| roll.handover_by(its.id()).is_none())
                }
                None => offering || offered.as_ref().is_some_and(|offer| offer.key == public),
            }
        });
        if self.spare.len() != count {
            self.save(ctx);
        }
    }

    /// As the new owner: says again what the earlier one said of the group.
    pub(super) fn keep_properties(&mut self, ctx: &mut Ctx<'_>) {
        let id = RecordId::new(self.roll.owner().peer(), RecordType::PROPERTIES, 0);
        if self.key.is_some() && self.index(Class::Membership).get(&id).is_none() {
            let properties = self.properties();
            // It is tried again with the next renewals.
            let _ = self.publish_properties(ctx, &properties, None);
        }
    }

    /// The properties record that counts: that of the latest own key which has made one.
    pub(super) fn properties_id(&self) -> Option<RecordId> {
        let line = self.roll.owner().certificates().iter().rev();
        let ids = line.map(|own| RecordId::new(own.peer_id(), RecordType::PROPERTIES, 0));
        ids.into_iter().find(|id| self.index(Class::Membership).get(id).is_some())
    }

    /// Notes what a member offers, for as long as its record is in the index.
    pub(super) fn note_heir(&mut self, member: PeerId, offer: HeirOffer) {
        self.heirs.insert(member, offer);
    }

    /// The offer of a member, if it can be taken.
    fn heir(&self, member: PeerId) -> Option<&HeirOffer> {
        let meta = self.index(Class::Membership).get(&offer_id(member))?;
        let offer = self.heirs.get(&member).filter(|_| !meta.deleted)?;
        (offer.after == self.roll.owner().id()).then_some(offer)
    }

    /// Whether a member offers itself as the next owner.
    pub(super) fn offers_ownership(&self, member: PeerId) -> bool {
        self.heir(member).is_some()
    }

    // --- acting ------------------------------------------------------------------------------------------------

    /// Puts another key in the place of the group's own.
    pub(crate) fn rotate_key(
        &mut self,
        ctx: &mut Ctx<'_>,
        request: RequestId,
    ) -> Result<(), Error> {
        let key = GroupKey::generate(ctx.rng.secret());
        let offer = HeirOffer::by(&key, self.id, self.roll.owner().id());
        self.hand_over_to(ctx, &offer, Some(key), request)
    }

    /// Hands the group over to a member that has offered itself.
    pub(crate) fn hand_over_ownership(
        &mut self,
        ctx: &mut Ctx<'_>,
        peer: PeerId,
        request: RequestId,
    ) -> Result<(), Error> {
        if self.key.is_none() {
            return Err(Error::NotOwner);
        }
        let now = self.clock(ctx.now.wall);
        let member = self.roll.best_of(peer, now).ok_or(Error::UnknownMember)?;
        if !self.roll.standing(member, now).is_member() {
            return Err(Error::UnknownMember);
        }
        let offer = self.heir(peer).cloned().ok_or(Error::NotOffered)?;
        self.hand_over_to(ctx, &offer, None, request)
    }

    fn hand_over_to(
        &mut self,
        ctx: &mut Ctx<'_>,
        offer: &HeirOffer,
        heirs_key: Option<GroupKey>,
        request: RequestId,
    ) -> Result<(), Error> {
        let key = self.key.as_ref().ok_or(Error::NotOwner)?;
        self.valid_chain(ctx)?;
        if self.handing_over {
            return Err(Error::Busy);
        }
        let now = self.clock(ctx.now.wall);
        not_behind(now)?;
        let owner = self.roll.owner().clone();
        let standing = self.roll.issued_by_owner();
        let said = self.index(Class::Membership).iter();
        let said = said.filter(|meta| meta.certificate() == owner.id());
        let kept = Kept::new(ctx.random_bytes(), said.map(|meta| meta.digest));
        if standing.len() > limits::REVOCATION_STANDING_MAX
            || kept.len() > limits::REVOCATION_KEPT_MAX
        {
            return Err(Error::TooMuchToKeep);
        }
        let act = Act {
            owner: &owner,
            offer,
            standing,
            kept,
            serial: ctx.random_bytes(),
            begin: now.before(limits::CERTIFICATE_CLOCK_SKEW),
            version: self.next_version(ctx, None),
            modified: self.peer_time(ctx.now.wall),
        };
        let too_often = |error| {
            let often = error == CertError::ChainLength;
            if often { Error::HandedOverTooOften } else { Error::NotOffered }
        };
        let signed = act.sign(key).map_err(too_often)?;
        let id = signed.record().id;
        // An act that does not hold by our own rules is of no use to others.
        let (chain, meaning) = self.read_record(ctx, &signed)?.ok_or(Error::MembershipExpired)?;
        self.check_rights(signed.record(), &chain, &meaning)?;
        Self::check_size(&signed.record().kind, signed.bytes().len())?;
        self.handing_over = true;
        self.spare.extend(heirs_key);
        let place = storage::record_key(self.id, Class::Membership, id);
        let value = storage::checked(&place, signed.bytes());
        ctx.storage.write(place, Some(value));
        self.write_info(ctx);
        let (group, signed) = (self.id, Box::new(signed));
        self.commit(ctx, Commit::Handover { group, signed, request });
        Ok(())
    }

    /// Our act of handing over is durable, and the key of the heir if that is ours.
    pub(crate) fn handed_over(&mut self, ctx: &mut Ctx<'_>, signed: &Signed, request: RequestId) {
        self.handing_over = false;
        let (id, bytes) = (signed.record().id, signed.bytes().clone());
        let read = self.read_record(ctx, signed);
        let result = match read {
            Ok(Some((_, meaning @ Meaning::Handover(_)))) => {
                self.put(Class::Membership, Meta::from(signed));
                ctx.storage.remember(self.id, id, bytes.clone());
                self.take_effect(ctx, signed.record(), meaning);
                self.wipe_keys(ctx);
                self.flood(ctx, &bytes, None);
                self.arm_expiry(ctx);
                Ok(Reply::Ok)
            }
            Ok(_) => Err(Error::NotOwner),
            Err(bad) => Err(bad.into()),
        };
        ctx.out.push_back(Output::Done { request, result });
    }

    /// The disk refused our act: nothing has happened.
    pub(crate) fn not_handed_over(
        &mut self,
        ctx: &mut Ctx<'_>,
        fault: StoreFault,
        request: RequestId,
    ) {
        self.handing_over = false;
        self.wipe_keys(ctx);
        ctx.out.push_back(Output::Done { request, result: Err(Error::Store(fault)) });
    }

    /// Offers us as the next owner.
    pub(crate) fn offer_ownership(
        &mut self,
        ctx: &mut Ctx<'_>,
        request: RequestId,
    ) -> Result<(), Error> {
        self.valid_chain(ctx)?;
        if self.key.is_some() {
            return Err(Error::AlreadyOwner);
        }
        // One that was offered before to follow another owner is of no use.
        self.wipe_keys(ctx);
        if self.heirs_key().is_none() {
            self.spare.push(GroupKey::generate(ctx.rng.secret()));
        }
        self.offering += 1;
        self.write_info(ctx);
        self.commit(ctx, Commit::Offer { group: self.id, request });
        Ok(())
    }

    /// The disk refused the key that was to be offered.
    pub(crate) fn not_offered(&mut self, ctx: &mut Ctx<'_>) {
        self.offering = self.offering.saturating_sub(1);
        self.wipe_keys(ctx);
    }

    /// The key with which we would follow the group's own.
    fn heirs_key(&self) -> Option<&GroupKey> {
        let own = |key: &&GroupKey| self.roll.nth_own_key(key.public_key().peer_id()).is_some();
        self.spare.iter().find(|key| !own(key))
    }

    /// Our key is durable: the offer may go out.
    pub(crate) fn publish_offer(
        &mut self,
        ctx: &mut Ctx<'_>,
        request: RequestId,
    ) -> Result<(), Error> {
        self.offering = self.offering.saturating_sub(1);
        // An earlier offer of the same key may have been taken meanwhile, or the group left and joined again.
        let gone = if self.key.is_some() { Error::AlreadyOwner } else { Error::UnknownGroup };
        let key = self.heirs_key().ok_or(gone)?;
        let offer = HeirOffer::by(key, self.id, self.roll.owner().id());
        let id = Some(offer_id(ctx.identity.peer_id()));
        let how = Internal { id, request: Some(request), ..Internal::default() };
        let payload = offer.to_payload();
        self.publish_internal(ctx, kind_of(RecordType::HEIR), &payload, how).map(drop)
    }

    // --- newcomers ---------------------------------------------------------------------------------------------

    /// The pin that ties a newcomer to the group as it is: the digest of the certificate of the group's own key, which names
    /// those above it.
    pub(super) fn owner_pin(&self) -> RootPin {
        RootPin::of(self.roll.owner().leaf().der())
    }

    /// The line of the group's own keys, for a newcomer who is shown `chain`; nothing if that names all of it.
    pub(super) fn line_beside(&self, chain: &VerifiedChain) -> Option<Vec<u8>> {
        let line = self.roll.owner().certificates();
        (line != chain.line()).then(|| cert::encode_chain(line))
    }

    /// As a newcomer: learns the line as far as our invitation names it, from the chain that a member shows, and the line
    /// beside it. Whether what the invitation names is there: a member that has not heard of that owner is not to blame.
    pub(super) fn hears_line(
        &mut self,
        ctx: &Ctx<'_>,
        chain: &[u8],
        line: Option<&[u8]>,
    ) -> Result<bool, Misbehaved> {
        let learned = self.learn_line(ctx, line.unwrap_or(chain));
        learned.map_err(|_| Misbehaved::Membership)
    }

    fn learn_line(&mut self, ctx: &Ctx<'_>, shown: &[u8]) -> Result<bool, CertError> {
        if self.root.is_some() {
            return Ok(true);
        }
        let shown = cert::decode_chain_knowing(shown, |_| None, ctx.checks.certificate)?;
        let own =
            |it: &&cert::Certificate| matches!(it.kind(), cert::Kind::Root | cert::Kind::Heir);
        let line: Vec<_> = shown.iter().take_while(own).cloned().collect();
        let pinned = line.iter().position(|own| RootPin::of(own.der()) == self.pin);
        let line = cert::verify_line(
            &line[..pinned.map_or(line.len(), |at| at + 1)],
            self.id,
            ctx.checks.verify,
        )?;
        if pinned.is_some() {
            self.know_line(line);
        }
        Ok(pinned.is_some())
    }
}

/// Checks the rules of handovers and offers that come on top of those of all internal records.
pub(super) fn check_heir_record(
    record: &Record,
    chain: &VerifiedChain,
    meaning: &Meaning,
) -> Result<(), BadRecord> {
    let of_owner = chain.depth() == 0;
    match () {
        () if of_owner != matches!(meaning, Meaning::Handover(_)) => Err(BadRecord::Right),
        () if !of_owner => Ok(()),
        () if record.id != handover_id(record.creator) => Err(BadRecord::ForeignId),
        () if record.modifier.is_some() => Err(BadRecord::Modifier),
        // It must not end before what it takes away.
        () if record.expires != chain.not_after() => Err(BadRecord::Life),
        () => Ok(()),
    }
}
