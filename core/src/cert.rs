//! Certificates: who is who, and who may do what in a group.
//!
//! Four kinds, all X.509 v3 with Ed25519. An **identity** certificate is self-signed. A group **root** is
//! self-signed by the group's own key, whose peer id is the group id. An **heir** certificate is signed by that key and
//! names another one, which takes its place as the group's own; that one names the next. A **membership** is signed by
//! the root's or an heir's key (the creator's) or by a member whose role may issue it, so that every member holds a chain
//! that ends at the root. `openssl verify` accepts every chain that we accept.
//!
//! # Rules
//!
//! Of one certificate, judged by [`Certificate::from_der`]:
//!
//! 1. It has at most 4 KiB, and is DER: encoding what was decoded gives the same bytes, so that none of them
//!    can change without the signature noticing.
//! 2. It is X.509 v3, and Ed25519 without parameters is its algorithm, inside and outside.
//! 3. Its serial number has 16 bytes, of which the first two bits are 01: always positive, never shortened.
//! 4. Its key is an Ed25519 key, and not a weak one.
//! 5. Issuer and subject are each one common name, in UTF-8, of 1–255 characters without control characters.
//! 6. It ends after it begins.
//! 7. Its subject alternative name is `urn:peergraph:` and the peer id of its key, once. An identity that goes by a
//!    classifier has the host form of that [peer name](crate::name) as second one. There are no others. Its
//!    subject key identifier is the first 20 bytes of that peer id.
//! 8. Our own extension says its kind; for memberships and heirs only, the digest of the issuer's certificate; for
//!    memberships only, a known role and at most 16 application roles, sorted, and, if they are renewed, since when their
//!    line of renewals goes back; for heirs only, the digest of what of the earlier key's stays (`roll/line.rs`); for
//!    roots only, the [`Policy`] of the group, where it is not the default. It is not critical, so that other programs
//!    can read the certificate; we insist on it all the same.
//! 9. Basic constraints and key usage are critical and agree with kind and role: roots, heirs, inviting members and
//!    administrators are CAs with a path length and sign certificates; identities and plain members are not
//!    and do not. All make digital signatures.
//! 10. No extension comes twice. An unknown one is refused if it is critical and ignored otherwise.
//!
//! Of a self-signed certificate, judged by [`verify_identity`] and [`verify_root`]:
//!
//! 11. Issuer and subject are the same, no other issuer's key is named, and the signature is by its own key.
//!
//! Of a chain, judged by [`verify_chain`]:
//!
//! 12. It is the root, then up to 8 heirs, and then 1 to 23 memberships, each issued by the one before. The root and its
//!     heirs are the **line** of the group's own keys, which [`verify_line`] judges alone. Heirs do not count as depth.
//! 13. The root is one by rule 11, and its key's peer id is the group id.
//! 14. The issuer's name and key identifier are the subject's name and key identifier of the one before, and the
//!     digest of the issuer's certificate is the digest of the one before. So the digest of a membership
//!     ([`Certificate::id`]) names its whole chain, the root and its policy included.
//! 15. The signature is by the key of the one before.
//! 16. The holder of the one before may issue this one ([`Policy::may_issue`]): administrators issue any role, inviting
//!     members issue inviting and plain members with application roles of their own, plain members none, unless the
//!     policy allows less; and for no longer than the policy says. The root and heirs issue any.
//! 17. Path lengths fall: a CA below another has a smaller one, and below a path length of 0 there are no CAs. An heir
//!     has its issuer's name and its issuer's path length: other programs do not count such certificates either (RFC 5280
//!     §4.2.1.9, self-issued).
//! 18. The validity lies within that of the one before.
//! 19. No peer is in a chain twice, and the group's own keys are in its line only.
//! 20. The clock: [`VerifiedChain::covers`] a moment from 5 minutes before the leaf begins to 5 minutes after it
//!     ends, by the judge's clock, set right as far as that is known to be wrong. Identities do not expire.
use crate::id::{CertificateId, Digest, PeerId, Serial};
use crate::key::{PublicKey, Verify};
use crate::name::PeerName;
use crate::policy::{Grant, Policy, Unfit};
pub use crate::policy::{ParseRoleError, Role};
use crate::time::WallTime;
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

mod chain;
mod files;
#[cfg(test)]
mod heir_tests;
mod issue;
#[cfg(test)]
mod openssl_tests;
pub(crate) mod pem;
mod profile;
#[cfg(test)]
pub(crate) mod tests;

pub use chain::{
    VerifiedChain, decode_chain, decode_chain_knowing, encode_chain, verify_chain,
    verify_chain_knowing, verify_line,
};
pub(crate) use chain::{read_chain, write_chain};
pub use files::{chain_from_file, chain_to_der, chain_to_pem};
pub use issue::{Subject, issue_by_owner, issue_heir, issue_member, issue_root};
pub(crate) use issue::{issue_identity, owner_since};
pub use profile::Kind;
use profile::Parsed;

/// Why a certificate or chain does not hold. Each names the rule that it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum CertError {
    /// Rule 1: not a certificate in DER, or not a chain of them.
    #[error("not a certificate of the expected form")]
    Encoding,
    /// The text holds no `CERTIFICATE` block.
    #[error("there is no certificate in this text")]
    NotPem,
    /// Rule 1: too long.
    #[error("a certificate is too long")]
    TooLong,
    /// Rule 2.
    #[error("a certificate is not X.509 v3 with Ed25519")]
    Algorithm,
    /// Rule 3.
    #[error("a certificate has a serial number of the wrong form")]
    Serial,
    /// Rule 4.
    #[error("a certificate has a key that cannot be used")]
    Key,
    /// Rule 5.
    #[error("a certificate has a name of the wrong form")]
    Name,
    /// Rule 6, and issuing for no time at all.
    #[error("a certificate ends before it begins")]
    Validity,
    /// Rule 7.
    #[error("a certificate names another peer than its key's")]
    PeerName,
    /// Rule 8: the kind or role is missing, unknown, or of the wrong form.
    #[error("{}", Unfit::Role)]
    Role,
    /// Rule 8: a policy that is none, or that stands in another certificate than the root.
    #[error("{}", Unfit::Policy)]
    Policy,
    /// Rule 9.
    #[error("a certificate allows its key other uses than its role does")]
    Usage,
    /// Rule 10.
    #[error("a certificate has an extension that is repeated or not understood")]
    Extension,
    /// Rules 11 and 12: an identity, root or membership where another kind must be.
    #[error("a certificate is of another kind than expected")]
    Kind,
    /// Rule 12.
    #[error("a chain of certificates is too short or too long")]
    ChainLength,
    /// Rule 13.
    #[error("the certificates are another group's")]
    OtherGroup,
    /// Rules 11 and 14.
    #[error("a certificate was issued by another than the one before it")]
    Issuer,
    /// Rules 11 and 15.
    #[error("a certificate's signature does not hold")]
    Signature,
    /// Rule 16.
    #[error("a certificate was issued by a member whose role does not allow it")]
    NotAllowed,
    /// Rule 17.
    #[error("a certificate is too far from the root of its group")]
    PathLength,
    /// Rule 18.
    #[error("a certificate is valid when its issuer is not")]
    Nesting,
    /// Rule 19.
    #[error("a chain of certificates goes in a circle")]
    Cycle,
    /// Rule 20.
    #[error("a certificate has expired, or is not valid yet")]
    Expired,
}

impl From<Unfit> for CertError {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Role => Self::Role,
            Unfit::Policy => Self::Policy,
        }
    }
}

impl CertError {
    /// The numbers of the rules that it can mean. None for a text without certificates.
    pub const fn rules(self) -> &'static [u8] {
        match self {
            Self::NotPem => &[],
            Self::Encoding | Self::TooLong => &[1],
            Self::Algorithm => &[2],
            Self::Serial => &[3],
            Self::Key => &[4],
            Self::Name => &[5],
            Self::Validity => &[6],
            Self::PeerName => &[7],
            Self::Role | Self::Policy => &[8],
            Self::Usage => &[9],
            Self::Extension => &[10],
            Self::Kind => &[11, 12],
            Self::ChainLength => &[12],
            Self::OtherGroup => &[13],
            Self::Issuer => &[11, 14],
            Self::Signature => &[11, 15],
            Self::NotAllowed => &[16],
            Self::PathLength => &[17],
            Self::Nesting => &[18],
            Self::Cycle => &[19],
            Self::Expired => &[20],
        }
    }
}

/// An X.509 certificate of our profile (rules 1–10). That it is genuine is for [`verify_chain`] to say.
///
/// Cheap to clone. Two are equal if their bytes are.
#[derive(Clone)]
pub struct Certificate {
    der: Bytes,
    parsed: Arc<Parsed>,
}

impl Certificate {
    /// Reads DER, at most 4 KiB of it. Copies it, so that a certificate never keeps a whole message alive.
    pub fn from_der(der: impl AsRef<[u8]>) -> Result<Self, CertError> {
        let der = der.as_ref();
        let parsed = Arc::new(Parsed::from_der(der)?);
        Ok(Self { der: Bytes::copy_from_slice(der), parsed })
    }

    /// The bytes.
    pub fn der(&self) -> &Bytes {
        &self.der
    }

    /// Text for people to carry, label `CERTIFICATE`.
    pub fn to_pem(&self) -> String {
        pem::encode(PEM_LABEL, &self.der)
    }

    /// Reads the first `CERTIFICATE` block of a text. [`chain_from_file`] reads all of them.
    pub fn from_pem(text: &str) -> Result<Self, CertError> {
        let mut certificates = files::blocks(text);
        certificates.next().ok_or(CertError::NotPem)?
    }

    /// The key that it is about.
    pub fn subject_key(&self) -> PublicKey {
        self.parsed.key
    }

    /// The peer id of that key.
    pub fn peer_id(&self) -> PeerId {
        self.parsed.peer
    }

    /// The friendly name of its subject: chosen by the subject, not unique, shown to people as text.
    pub fn name(&self) -> &str {
        &self.parsed.subject
    }

    /// The peer name that the subject goes by: its peer id, and for identities a classifier, if they chose one.
    pub fn peer_name(&self) -> &PeerName {
        &self.parsed.peer_name
    }

    /// The friendly name of its issuer.
    pub fn issuer_name(&self) -> &str {
        &self.parsed.issuer
    }

    /// Its name: the digest of its bytes.
    pub fn id(&self) -> CertificateId {
        self.parsed.id
    }

    /// Its serial number, which other programs show. It was chosen by the issuer and decides nothing.
    pub fn serial(&self) -> Serial {
        self.parsed.serial
    }

    /// When it begins. Whole seconds.
    pub fn not_before(&self) -> WallTime {
        self.parsed.not_before
    }

    /// When it ends. Whole seconds.
    pub fn not_after(&self) -> WallTime {
        self.parsed.not_after
    }

    /// When it begins or, where it renews another one, when the first of them began. Whole seconds.
    pub fn since(&self) -> WallTime {
        self.parsed.since
    }

    /// Of an heir: the digest of what of the earlier key's stays.
    pub(crate) fn lists(&self) -> Option<Digest> {
        self.parsed.lists
    }

    /// The purpose of the certificate.
    pub fn kind(&self) -> Kind {
        self.parsed.kind
    }

    /// Of issuers: how many further issuers may stand below.
    pub fn path_length(&self) -> Option<u8> {
        self.parsed.path_len
    }

    /// The rules that the creator of a group set; the default but for roots.
    pub fn policy(&self) -> &Policy {
        &self.parsed.policy
    }

    /// The rights that a membership grants; nothing for others.
    pub fn grant(&self) -> Option<Grant> {
        let app_roles = self.parsed.app_roles.clone();
        self.role().map(|role| Grant { role, app_roles })
    }

    /// The role of a membership; nothing for others.
    pub fn role(&self) -> Option<Role> {
        match self.parsed.kind {
            Kind::Member(role) => Some(role),
            Kind::Identity | Kind::Root | Kind::Heir => None,
        }
    }

    /// Whether `key` signed this.
    fn is_signed_by(&self, key: &PublicKey, verify: Verify) -> Result<(), CertError> {
        let tbs = &self.der[self.parsed.tbs.clone()];
        if verify(key, tbs, &self.parsed.signature) { Ok(()) } else { Err(CertError::Signature) }
    }

    /// Rule 11.
    fn is_self_signed(&self, verify: Verify) -> Result<(), CertError> {
        if self.parsed.issuer != self.parsed.subject || self.parsed.issuer_key_id.is_some() {
            return Err(CertError::Issuer);
        }
        self.is_signed_by(&self.parsed.key, verify)
    }
}

const PEM_LABEL: &str = "CERTIFICATE";

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}
impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parsed { kind, peer, serial, .. } = &*self.parsed;
        write!(f, "Certificate({kind:?}, {peer:?}, {serial:?})")
    }
}

impl<C> minicbor::Encode<C> for Certificate {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.der)?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Certificate {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::from_der(d.bytes()?)
            .map_err(|_| minicbor::decode::Error::message("not a certificate"))
    }
}

/// How certificates are read: [`Certificate::from_der`], or a function that remembers what it has read, so that one
/// process that runs thousands of nodes keeps one copy of each.
pub type ReadCertificate = fn(&[u8]) -> Result<Certificate, CertError>;

/// [`Certificate::from_der`] as a plain function.
pub fn read_certificate(der: &[u8]) -> Result<Certificate, CertError> {
    Certificate::from_der(der)
}

/// The owner of this identity certificate, if it is a genuine one (rule 11). Validity is not judged: identities do
/// not expire, memberships do.
pub fn verify_identity(certificate: &Certificate, verify: Verify) -> Result<PeerId, CertError> {
    if certificate.parsed.kind != Kind::Identity {
        return Err(CertError::Kind);
    }
    certificate.is_self_signed(verify)?;
    Ok(certificate.peer_id())
}

/// Which group's root certificate this is, if it is a genuine one (rule 11).
pub fn verify_root(
    certificate: &Certificate,
    verify: Verify,
) -> Result<crate::id::GroupId, CertError> {
    if certificate.parsed.kind != Kind::Root {
        return Err(CertError::Kind);
    }
    certificate.is_self_signed(verify)?;
    Ok(certificate.peer_id().into())
}
