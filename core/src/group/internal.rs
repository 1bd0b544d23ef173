//! The core's own records: what they say, and who may say it.
//!
//! | type | made by | says |
//! |---|---|---|
//! | `properties` | the group's own key | name, comment, presence |
//! | `membership` | the member, or who issued it | a chain of certificates |
//! | `invitation` | who may let members in | an invitation that is open |
//! | `redemption` | who let the newcomer in | a use of it |
//! | `revocation` | an administrator, the group's own key, or the member itself | what does not stand any more |
//! | `handover` | the group's own key | which key is the group's own from then on, see `heir.rs` |
//! | `heir` | the member | that it would be the next owner |
//! | `presence` and the like | every member | `presence.rs` |
//!
//! They are checked whole before they are stored, as the applications' records are: one that does not say what its type
//! says costs its sender the link.
use super::heir::{HeirOffer, check_heir_record};
use super::membership::issued_id;
use super::presence::check_life;
use super::{Group, OpenInvitation, contacts, presence};
use crate::cert::{self, Certificate, Kind, Role, VerifiedChain};
use crate::error::BadRecord;
use crate::group::Ctx;
use crate::id::{CertificateId, Digest, PeerId, RecordId};
use crate::identity::{PublicKey, check_name};
use crate::invitation::Proof;
use crate::io;
use crate::limits;
use crate::policy::{Act, Grant};
use crate::record::{Record, RecordType, Signed};
use crate::roll::{Handover, Kept, Reason, Redemption, Revocation, Target};
use crate::time::WallTime;
use crate::wire;
use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};

/// Payload of a properties record.
#[derive(Encode, Decode)]
#[cbor(map)]
struct PropertiesSay {
    #[n(0)]
    name: String,
    #[n(1)]
    comment: String,
    #[n(2)]
    presence_max: u64,
}

/// Payload of an invitation record.
#[derive(Encode, Decode)]
#[cbor(map)]
struct InvitationSays {
    #[n(0)]
    key: PublicKey,
    #[n(1)]
    role: Role,
    #[n(2)]
    app_roles: Vec<String>,
    #[n(3)]
    uses: u32,
    #[n(4)]
    expires: u64,
}

/// Payload of a redemption record. One by password has no proof, and counts if who made the invitation signs it.
#[derive(Encode, Decode)]
#[cbor(map)]
struct RedemptionSays {
    #[n(0)]
    invitation: RecordId,
    /// The membership that the newcomer was issued, below that on which the record relies.
    #[cbor(n(1), with = "minicbor::bytes")]
    certificate: Vec<u8>,
    /// The invitation's key.
    #[n(2)]
    key: Option<PublicKey>,
    /// The signatures of that key and of the newcomer's own.
    #[n(3)]
    proof: Option<[ByteArray<64>; 2]>,
}

/// Payload of a revocation record.
#[derive(Encode, Decode)]
#[cbor(map)]
struct RevocationSays {
    /// One certificate; without it all of the peer that the target's chain ends with.
    #[n(0)]
    certificate: Option<CertificateId>,
    #[n(1)]
    reason: Reason,
    /// Digests of certificates, one after another.
    #[cbor(n(2), with = "minicbor::bytes")]
    standing: Vec<u8>,
    /// Beginnings of digests, one after another, sorted.
    #[cbor(n(3), with = "minicbor::bytes")]
    kept: Vec<u8>,
    /// The signer's chain below the root.
    #[cbor(n(4), with = "minicbor::bytes")]
    signer: Vec<u8>,
    /// The target's.
    #[cbor(n(5), with = "minicbor::bytes")]
    target: Vec<u8>,
    /// Which of the few that the signer has of this target.
    #[n(6)]
    nth: u8,
}

/// The meaning of a record to the core.
pub(super) enum Meaning {
    /// Nothing: it is the application's, or is read elsewhere.
    Nothing,
    /// It takes back what an earlier one said.
    TakenBack,
    Properties(io::Properties),
    Membership(VerifiedChain),
    Invitation(Box<OpenInvitation>),
    Redemption(Box<Redemption>),
    Revocation(Box<Revocation>),
    Handover(Box<Handover>),
    HeirOffer(Box<HeirOffer>),
}

impl io::Properties {
    /// Whether these can be the properties of a group.
    pub(super) fn is_legal(&self) -> bool {
        let comment = self.comment.chars().count() <= limits::FRIENDLY_NAME_MAX;
        comment && check_name(&self.name).is_ok()
    }

    pub(super) fn to_payload(&self) -> Vec<u8> {
        wire::encode(&PropertiesSay {
            name: self.name.clone(),
            comment: self.comment.clone(),
            presence_max: self.presence_max,
        })
    }
}

impl OpenInvitation {
    pub(super) fn to_payload(&self) -> Vec<u8> {
        wire::encode(&InvitationSays {
            key: self.key,
            role: self.grant.role,
            app_roles: self.grant.app_roles.clone(),
            uses: self.uses,
            expires: self.expires.0,
        })
    }
}

/// The payload of a redemption.
pub(super) fn redemption_payload(
    invitation: RecordId,
    issued: &Certificate,
    proof: Option<&Proof>,
) -> Vec<u8> {
    wire::encode(&RedemptionSays {
        invitation,
        certificate: issued.der().to_vec(),
        key: proof.map(|proof| proof.key),
        proof: proof.map(|proof| [proof.by_link, proof.by_newcomer].map(ByteArray::from)),
    })
}

/// The id of the record in which `signer` says that it let `newcomer` in: one for each invitation.
pub(super) fn redemption_id(signer: PeerId, invitation: RecordId, newcomer: PeerId) -> RecordId {
    let of = Digest::of(&[&invitation.as_bytes()[..], newcomer.as_bytes()].concat());
    RecordId::new(signer, RecordType::REDEMPTION, of.short())
}

/// The id of the `nth` record in which `signer` revokes `target`.
pub(super) fn revocation_id(signer: PeerId, target: Target, nth: u8) -> RecordId {
    let number = target.number().wrapping_add(u64::from(nth));
    RecordId::new(signer, RecordType::REVOCATION, number)
}

/// The id of an invitation. Its uses stand in it, as far as they fit, so that whoever made it changes them for nobody who
/// has come by it.
pub(super) fn invitation_id(inviter: PeerId, uses: u32, random: u64) -> RecordId {
    let uses = u64::from(uses).min(USES_IN_ID_MAX);
    let random = (uses << USES_SHIFT) | (random % (1 << USES_SHIFT));
    RecordId::new(inviter, RecordType::INVITATION, random)
}

/// The random part of the id of an invitation with this key, as far as the id has room: who holds its link can be told that
/// it was withdrawn by who has the id alone.
pub(super) fn invitation_mark(key: &PublicKey) -> u64 {
    Digest::of(key.as_bytes()).short() % (1 << USES_SHIFT)
}

/// Whether an invitation of this id bears the mark of a key.
pub(super) fn is_marked(id: RecordId, key: &PublicKey) -> bool {
    id.random() % (1 << USES_SHIFT) == invitation_mark(key)
}

/// Where the uses of an invitation stand in the random part of its id, and the highest that do.
const USES_SHIFT: u32 = 24;
const USES_IN_ID_MAX: u64 = 0xffff;

/// The payload of a revocation.
pub(super) fn revocation_payload(act: &Revocation, nth: u8) -> Vec<u8> {
    let below_root =
        |chain: &VerifiedChain| cert::encode_chain(chain.certificates().get(1..).unwrap_or(&[]));
    wire::encode(&RevocationSays {
        certificate: match act.target {
            Target::Certificate(id) => Some(id),
            Target::Peer(_) => None,
        },
        reason: act.reason,
        standing: act.standing.iter().flat_map(CertificateId::as_bytes).copied().collect(),
        kept: act.kept.to_bytes(),
        signer: below_root(&act.signer),
        target: below_root(&act.target_chain),
        nth,
    })
}

impl Group {
    /// The membership that a record relies on, and what the record says. Nothing while that membership is unknown.
    pub(super) fn read_record(
        &self,
        ctx: &Ctx<'_>,
        signed: &Signed,
    ) -> Result<Option<(VerifiedChain, Meaning)>, BadRecord> {
        let record = signed.record();
        let relied_on = || self.roll.chain(record.certificate).cloned();
        if record.deleted {
            let says =
                if record.kind.is_reserved() { Meaning::TakenBack } else { Meaning::Nothing };
            return Ok(relied_on().map(|chain| (chain, says)));
        }
        let (chain, meaning) = match record.kind.as_str() {
            RecordType::MEMBERSHIP => {
                let issued = self.read_chain(ctx, &record.payload, false)?;
                let own = issued.id() == record.certificate;
                let chain = if own { Some(issued.clone()) } else { relied_on() };
                (chain, Meaning::Membership(issued))
            }
            RecordType::REVOCATION => {
                let act = self.read_revocation(ctx, signed)?;
                // An heir is the group's own key once the handover to it has come.
                if act.is_by_owner() && self.roll.chain(act.signer.id()).is_none() {
                    return Ok(None);
                }
                (Some(act.signer.clone()), Meaning::Revocation(Box::new(act)))
            }
            RecordType::PROPERTIES => (relied_on(), read_properties(&record.payload)?),
            RecordType::INVITATION => (relied_on(), read_invitation(record)?),
            RecordType::REDEMPTION => {
                let Some(chain) = relied_on() else { return Ok(None) };
                let used = self.read_redemption(ctx, record, &chain)?;
                (Some(chain), Meaning::Redemption(Box::new(used)))
            }
            RecordType::HANDOVER => {
                let Some(act) = self.read_handover(ctx, signed)? else { return Ok(None) };
                (Some(act.signer.clone()), Meaning::Handover(Box::new(act)))
            }
            RecordType::HEIR => (relied_on(), self.read_offer(ctx, record)?),
            RecordType::PRESENCE => {
                presence::check(record)?;
                (relied_on(), Meaning::Nothing)
            }
            RecordType::CONTACT => {
                contacts::check(record)?;
                (relied_on(), Meaning::Nothing)
            }
            _ => (relied_on(), Meaning::Nothing),
        };
        Ok(chain.map(|chain| (chain, meaning)))
    }

    /// A chain in a payload, with the root or without it.
    fn read_chain(
        &self,
        ctx: &Ctx<'_>,
        bytes: &[u8],
        below_root: bool,
    ) -> Result<VerifiedChain, BadRecord> {
        let known = |id| self.roll.chain(id);
        let mut certificates =
            cert::decode_chain_knowing(bytes, known, ctx.checks.certificate).map_err(bad)?;
        if below_root {
            certificates.insert(0, self.root().clone());
            let last = certificates.last();
            if let Some(owner) = last.filter(|it| matches!(it.kind(), Kind::Root | Kind::Heir)) {
                if let Some(known) = self.roll.chain(owner.id()) {
                    return Ok(known.clone());
                }
                return cert::verify_line(&certificates, self.id, ctx.checks.verify).map_err(bad);
            }
        }
        self.verify_chain(&certificates, ctx).map_err(bad)
    }

    pub(super) fn read_revocation(
        &self,
        ctx: &Ctx<'_>,
        signed: &Signed,
    ) -> Result<Revocation, BadRecord> {
        let record = signed.record();
        let says: RevocationSays = decode(&record.payload)?;
        let signer = self.read_chain(ctx, &says.signer, true)?;
        let target_chain = self.read_chain(ctx, &says.target, true)?;
        if signer.id() != record.certificate {
            return Err(BadRecord::Certificate);
        }
        let (standing, []) = says.standing.as_chunks() else { return Err(BadRecord::Encoding) };
        let kept = Kept::from_bytes(&says.kept).ok_or(BadRecord::Encoding)?;
        if standing.len() > limits::REVOCATION_STANDING_MAX
            || kept.len() > limits::REVOCATION_KEPT_MAX
        {
            return Err(BadRecord::PayloadTooLong);
        }
        let target =
            says.certificate.map_or(Target::Peer(target_chain.peer()), Target::Certificate);
        if says.nth >= limits::REVOCATIONS_PER_TARGET_MAX
            || record.id != revocation_id(signer.peer(), target, says.nth)
        {
            return Err(BadRecord::ForeignId);
        }
        let act = Revocation {
            version: record.version,
            digest: signed.digest(),
            signer,
            target_chain,
            target,
            reason: says.reason,
            standing: standing.iter().map(|id| CertificateId::from_bytes(*id)).collect(),
            kept,
        };
        if act.is_allowed() { Ok(act) } else { Err(BadRecord::NotSenior) }
    }

    fn read_redemption(
        &self,
        ctx: &Ctx<'_>,
        record: &Record,
        signer: &VerifiedChain,
    ) -> Result<Redemption, BadRecord> {
        let says: RedemptionSays = decode(&record.payload)?;
        let issued = (ctx.checks.certificate)(&says.certificate).map_err(bad)?;
        let certificates = [signer.certificates(), &[issued]].concat();
        let newcomer = self.verify_chain(&certificates, ctx).map_err(bad)?;
        if record.id != redemption_id(signer.peer(), says.invitation, newcomer.peer()) {
            return Err(BadRecord::ForeignId);
        }
        let proof = match (says.key, says.proof) {
            (Some(key), Some([by_link, by_newcomer])) => {
                let (by_link, by_newcomer) = (by_link.into(), by_newcomer.into());
                Some(Proof { key, by_link, by_newcomer })
            }
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(BadRecord::Encoding),
        };
        let holds = |proof: &Proof| proof.holds(self.id, &newcomer.key(), ctx.checks.verify);
        if proof.as_ref().is_some_and(|proof| !holds(proof)) {
            return Err(BadRecord::Signature);
        }
        Ok(Redemption {
            invitation: says.invitation,
            signer: signer.clone(),
            newcomer,
            proved: proof.map(|proof| proof.key),
            version: record.version,
        })
    }

    /// Checks that the signer may sign this, by the policy and the role that `chain` proves.
    pub(super) fn check_rights(
        &self,
        record: &Record,
        chain: &VerifiedChain,
        meaning: &Meaning,
    ) -> Result<(), BadRecord> {
        let signer = record.modifier.unwrap_or(record.creator);
        if chain.peer() != signer {
            return Err(BadRecord::Certificate);
        }
        // No act outlives the membership of its signer, or one who has expired could date another one back. A revocation
        // lasts as long as others may still believe that this membership, or that of the same time which it revokes, holds.
        let until = match record.kind.as_str() {
            RecordType::REVOCATION => chain.not_after().after(limits::CERTIFICATE_CLOCK_SKEW),
            _ => chain.not_after(),
        };
        // The clock of its signer may be ahead of that of its issuer by the tolerated skew.
        if !chain.covers(record.modified) || record.expires > until {
            return Err(BadRecord::Certificate);
        }
        let own = signer == record.creator;
        if record.kind.is_reserved() {
            return check_internal(record, chain, meaning, own);
        }
        let act = match (own, record.deleted) {
            (true, true) => return Ok(()),
            (true, false) => Act::Publish,
            (false, false) => Act::Update,
            (false, true) => Act::Delete,
        };
        let allowed = chain.policy().allows(chain.grant(), &record.kind, act);
        match (allowed, act) {
            (true, Act::Update) => check_end(record, chain),
            (true, Act::Publish | Act::Delete) => Ok(()),
            (false, Act::Publish) => Err(BadRecord::Right),
            (false, Act::Update | Act::Delete) => Err(BadRecord::Modifier),
        }
    }
}

/// A change by another lets a record live as long as its creator wanted, or as the other's own membership allows. If it
/// could be shorter, a change would be a deletion; if it could be longer, it would bring back what was deleted once the
/// tombstone ends.
fn check_end(record: &Record, chain: &VerifiedChain) -> Result<(), BadRecord> {
    let wanted = record.beginning.as_ref().map_or(WallTime(0), |beginning| beginning.expires);
    if record.expires == wanted.min(chain.not_after()) { Ok(()) } else { Err(BadRecord::Life) }
}

fn check_internal(
    record: &Record,
    chain: &VerifiedChain,
    meaning: &Meaning,
    own: bool,
) -> Result<(), BadRecord> {
    let owner = chain.depth() == 0;
    let role = chain.role();
    let kind = record.kind.as_str();
    // A record of another can only be taken back, and only by those above.
    if !own {
        let above = match kind {
            RecordType::INVITATION => role == Role::Administrator,
            RecordType::REVOCATION => owner,
            _ => false,
        };
        let allowed = record.deleted && above;
        return if allowed { Ok(()) } else { Err(BadRecord::Modifier) };
    }
    if record.kind.as_str() != RecordType::PRESENCE && !record.attributes.is_empty() {
        return Err(BadRecord::TooManyAttributes);
    }
    if record.deleted {
        match kind {
            RecordType::PRESENCE => check_life(record, presence::PRESENCE_LIFETIME)?,
            RecordType::CONTACT => check_life(record, contacts::CONTACT_LIFETIME)?,
            _ => {}
        }
        let lasting = [
            RecordType::MEMBERSHIP,
            RecordType::PROPERTIES,
            RecordType::REDEMPTION,
            RecordType::HANDOVER,
        ];
        return if lasting.contains(&kind) { Err(BadRecord::Modifier) } else { Ok(()) };
    }
    match (kind, meaning) {
        // Those who came by it did so on these terms.
        (RecordType::INVITATION, _) if record.modifier.is_some() => Err(BadRecord::Modifier),
        (RecordType::PROPERTIES, _) if !owner => Err(BadRecord::Right),
        (RecordType::PROPERTIES, _) if record.id != RecordId::new(record.creator, kind, 0) => {
            Err(BadRecord::ForeignId)
        }
        (RecordType::MEMBERSHIP, Meaning::Membership(issued)) => {
            let issuer = issued.certificates().len().checked_sub(2);
            let issuer = issuer.and_then(|at| issued.certificates().get(at));
            let by_issuer = issuer.map(Certificate::id) == Some(chain.id());
            let by_member = issued.id() == chain.id();
            // One record of each certificate by each who may show it.
            match by_issuer || by_member {
                true if record.id == issued_id(record.creator, issued.id()) => Ok(()),
                true => Err(BadRecord::ForeignId),
                false => Err(BadRecord::NotIssuer),
            }
        }
        (RecordType::INVITATION, Meaning::Invitation(open)) => {
            let may = owner || chain.policy().may_issue(chain.grant(), &open.grant);
            if may { Ok(()) } else { Err(BadRecord::Right) }
        }
        (RecordType::HANDOVER | RecordType::HEIR, _) => check_heir_record(record, chain, meaning),
        (RecordType::REDEMPTION, _) if role < chain.policy().invite => Err(BadRecord::Right),
        (
            RecordType::PROPERTIES
            | RecordType::REDEMPTION
            | RecordType::REVOCATION
            | RecordType::PRESENCE
            | RecordType::CONTACT,
            _,
        ) => Ok(()),
        _ => Err(BadRecord::Type),
    }
}

pub(super) fn read_properties(payload: &[u8]) -> Result<Meaning, BadRecord> {
    let PropertiesSay { name, comment, presence_max } = decode(payload)?;
    let properties = io::Properties { name, comment, presence_max };
    if !properties.is_legal() {
        return Err(BadRecord::Encoding);
    }
    Ok(Meaning::Properties(properties))
}

pub(super) fn read_invitation(record: &Record) -> Result<Meaning, BadRecord> {
    let says: InvitationSays = decode(&record.payload)?;
    let grant = Grant::new(says.role, says.app_roles).map_err(|unfit| bad(unfit.into()))?;
    let id = invitation_id(record.creator, says.uses, record.id.random());
    // The invitation in a record ends with it.
    if says.uses == 0 || record.id != id || WallTime(says.expires) > record.expires {
        return Err(BadRecord::Encoding);
    }
    Ok(Meaning::Invitation(Box::new(OpenInvitation {
        key: says.key,
        inviter: record.creator,
        grant,
        uses: says.uses,
        expires: WallTime(says.expires),
        version: record.version,
    })))
}

pub(super) fn decode<'b, T: Decode<'b, ()>>(payload: &'b [u8]) -> Result<T, BadRecord> {
    minicbor::decode(payload).map_err(|_| BadRecord::Encoding)
}

pub(super) fn bad(_: cert::CertError) -> BadRecord {
    BadRecord::Certificate
}
