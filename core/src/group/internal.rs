//! The core's own records: what they say, and who may say it.
//!
//! | type | made by | says |
//! |---|---|---|
//! | `properties` | the group's own key | name, comment, presence |
//! | `membership` | the member, or who issued it | a chain of certificates |
//! | `invitation` | who may let members in | an invitation that is open |
//! | `redemption` | who let the newcomer in | a use of it |
//! | `revocation` | an administrator, the group's own key, or the member itself | what does not stand any more |
//! | `presence` and the like | every member | `presence.rs` |
//!
//! They are checked whole before they are stored, as the applications' records are: one that does not say what its type
//! says costs its sender the link.
use super::{Group, OpenInvitation};
use crate::cert::{self, Certificate, Role, VerifiedChain};
use crate::error::BadRecord;
use crate::id::{PeerId, Serial};
use crate::identity::{PublicKey, check_name};
use crate::io;
use crate::limits;
use crate::node::Ctx;
use crate::policy::{Act, Grant};
use crate::record::{Record, RecordType, Signed};
use crate::roll::{Kept, Reason, Redemption, Revocation, Target};
use crate::time::WallTime;
use crate::wire;
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

/// Payload of a redemption record.
#[derive(Encode, Decode)]
#[cbor(map)]
struct RedemptionSays {
    #[n(0)]
    invitation: PublicKey,
    #[n(1)]
    uses: u32,
    #[n(2)]
    peer: PeerId,
    #[n(3)]
    serial: Serial,
}

/// Payload of a revocation record.
#[derive(Encode, Decode)]
#[cbor(map)]
struct RevocationSays {
    /// One certificate; without it all of the peer that the target's chain ends with.
    #[n(0)]
    serial: Option<Serial>,
    #[n(1)]
    reason: Reason,
    /// Serials, one after another.
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
}

/// What a record says to the core.
pub(super) enum Meaning {
    /// Nothing: it is the application's, or is read elsewhere.
    Nothing,
    /// It takes back what an earlier one said.
    TakenBack,
    Properties(io::Properties),
    Membership(VerifiedChain),
    Invitation(Box<OpenInvitation>),
    Redemption(Redemption),
    Revocation(Box<Revocation>),
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
pub(super) fn redemption_payload(used: &Redemption) -> Vec<u8> {
    let Redemption { invitation, uses, peer, serial, .. } = *used;
    wire::encode(&RedemptionSays { invitation, uses, peer, serial })
}

/// The payload of a revocation.
pub(super) fn revocation_payload(act: &Revocation) -> Vec<u8> {
    let below_root =
        |chain: &VerifiedChain| cert::encode_chain(chain.certificates().get(1..).unwrap_or(&[]));
    wire::encode(&RevocationSays {
        serial: match act.target {
            Target::Serial(serial) => Some(serial),
            Target::Peer(_) => None,
        },
        reason: act.reason,
        standing: act.standing.iter().flat_map(Serial::as_bytes).copied().collect(),
        kept: act.kept.to_bytes(),
        signer: below_root(&act.signer),
        target: below_root(&act.target_chain),
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
        let relied_on = || self.roll.chain(record.serial).cloned();
        if record.deleted {
            let says =
                if record.kind.is_reserved() { Meaning::TakenBack } else { Meaning::Nothing };
            return Ok(relied_on().map(|chain| (chain, says)));
        }
        let (chain, meaning) = match record.kind.as_str() {
            RecordType::MEMBERSHIP => {
                let issued = self.read_chain(ctx, &record.payload, false)?;
                let own = issued.serial() == record.serial;
                let chain = if own { Some(issued.clone()) } else { relied_on() };
                (chain, Meaning::Membership(issued))
            }
            RecordType::REVOCATION => {
                let act = self.read_revocation(ctx, signed)?;
                (Some(act.signer.clone()), Meaning::Revocation(Box::new(act)))
            }
            RecordType::PROPERTIES => (relied_on(), read_properties(&record.payload)?),
            RecordType::INVITATION => (relied_on(), read_invitation(record)?),
            RecordType::REDEMPTION => (relied_on(), read_redemption(record)?),
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
        let known = |serial| self.roll.chain(serial);
        let mut certificates =
            cert::decode_chain_knowing(bytes, known, ctx.checks.certificate).map_err(bad)?;
        if below_root {
            if certificates.is_empty() {
                return Ok(self.roll.owner().clone());
            }
            certificates.insert(0, self.root().clone());
        }
        self.verify_chain(&certificates, ctx).map_err(bad)
    }

    fn read_revocation(&self, ctx: &Ctx<'_>, signed: &Signed) -> Result<Revocation, BadRecord> {
        let record = signed.record();
        let says: RevocationSays = decode(&record.payload)?;
        let signer = self.read_chain(ctx, &says.signer, true)?;
        let target_chain = self.read_chain(ctx, &says.target, true)?;
        if signer.serial() != record.serial {
            return Err(BadRecord::Certificate);
        }
        let (serials, []) = says.standing.as_chunks() else { return Err(BadRecord::Encoding) };
        let kept = Kept::from_bytes(&says.kept).ok_or(BadRecord::Encoding)?;
        if serials.len() > limits::REVOCATION_STANDING_MAX
            || kept.len() > limits::REVOCATION_KEPT_MAX
        {
            return Err(BadRecord::PayloadTooLong);
        }
        let target = says.serial.map_or(Target::Peer(target_chain.peer()), Target::Serial);
        let act = Revocation {
            version: record.version,
            digest: signed.digest(),
            signer,
            target_chain,
            target,
            reason: says.reason,
            standing: serials.iter().map(|serial| Serial::from_bytes(*serial)).collect(),
            kept,
        };
        if act.is_allowed() { Ok(act) } else { Err(BadRecord::NotSenior) }
    }

    /// Who may sign what, by the policy and the role that `chain` proves.
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
        // A revocation may outlive who made it, or it would end before what it revokes.
        let until = match record.kind.as_str() {
            RecordType::REVOCATION => self.root().not_after(),
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
            (true, _) => Ok(()),
            (false, Act::Publish) => Err(BadRecord::Right),
            (false, Act::Update | Act::Delete) => Err(BadRecord::Modifier),
        }
    }
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
    // What others said can only be taken back, and only by those above.
    if !own {
        let above = match kind {
            RecordType::INVITATION => role == Role::Administrator,
            RecordType::REVOCATION => owner,
            _ => false,
        };
        let allowed = record.deleted && above;
        return if allowed { Ok(()) } else { Err(BadRecord::Modifier) };
    }
    if record.deleted {
        let lasting = [RecordType::MEMBERSHIP, RecordType::PROPERTIES, RecordType::REDEMPTION];
        return if lasting.contains(&kind) { Err(BadRecord::Modifier) } else { Ok(()) };
    }
    match (kind, meaning) {
        (RecordType::PROPERTIES, _) if !owner => Err(BadRecord::Right),
        (RecordType::MEMBERSHIP, Meaning::Membership(issued)) => {
            let issuer = issued.certificates().len().checked_sub(2);
            let issuer = issuer.and_then(|at| issued.certificates().get(at));
            let by_issuer = issuer.map(Certificate::serial) == Some(chain.serial());
            let by_member = issued.serial() == chain.serial();
            if by_issuer || by_member { Ok(()) } else { Err(BadRecord::NotIssuer) }
        }
        (RecordType::INVITATION, Meaning::Invitation(open)) => {
            let may = owner || chain.policy().may_issue(chain.grant(), &open.grant);
            if may { Ok(()) } else { Err(BadRecord::Right) }
        }
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
    let grant = Grant::new(says.role, says.app_roles).map_err(bad)?;
    if says.uses == 0 {
        return Err(BadRecord::Encoding);
    }
    Ok(Meaning::Invitation(Box::new(OpenInvitation {
        key: says.key,
        inviter: record.creator,
        grant,
        uses: says.uses,
        expires: WallTime(says.expires),
    })))
}

fn read_redemption(record: &Record) -> Result<Meaning, BadRecord> {
    let RedemptionSays { invitation, uses, peer, serial } = decode(&record.payload)?;
    let version = record.version;
    Ok(Meaning::Redemption(Redemption { invitation, uses, peer, serial, version }))
}

fn decode<'b, T: Decode<'b, ()>>(payload: &'b [u8]) -> Result<T, BadRecord> {
    minicbor::decode(payload).map_err(|_| BadRecord::Encoding)
}

fn bad(_: cert::CertError) -> BadRecord {
    BadRecord::Certificate
}
