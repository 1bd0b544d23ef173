//! Chains: rules 12–20 of the parent module.
use super::profile::{Kind, certificate_id};
use super::{CertError, Certificate, ReadCertificate, Role, read_certificate, verify_root};
use crate::id::{CertificateId, GroupId, PeerId};
use crate::key::{PublicKey, Verify};
use crate::limits::{CERTIFICATE_CLOCK_SKEW, CERTIFICATES_MAX, CHAIN_MAX, HEIRS_MAX};
use crate::policy::{Grant, Policy};
use crate::time::WallTime;
use ed25519_dalek::VerifyingKey;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Memberships begin a little before they are issued, for clocks that are behind, and last so much longer.
pub(super) const ISSUED_EARLY: Duration = CERTIFICATE_CLOCK_SKEW;

/// The membership of a peer in a group, proved by a chain of certificates; or the line of the group's own keys. Only
/// [`verify_chain`], [`verify_line`] and [`VerifiedChain::owner`] make one. It says nothing about the clock ([`covers`](Self::covers)) and nothing about
/// revocation.
///
/// Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifiedChain(Arc<Proved>);

#[derive(PartialEq, Eq)]
struct Proved {
    /// Root first, leaf last; the root and its heirs alone for the group's own key.
    certificates: Vec<Certificate>,
    /// How many of them are the root and its heirs.
    line: usize,
    grant: Grant,
}

impl VerifiedChain {
    /// The group's first own key, on which nothing but the root stands: its acts are above every administrator's.
    ///
    /// # Errors
    /// As [`verify_root`].
    pub fn owner(root: &Certificate, verify: Verify) -> Result<Self, CertError> {
        verify_root(root, verify)?;
        Ok(Self::new(vec![root.clone()], 1, Role::Administrator.into()))
    }

    fn new(certificates: Vec<Certificate>, line: usize, grant: Grant) -> Self {
        Self(Arc::new(Proved { certificates, line, grant }))
    }

    /// The group.
    pub fn group(&self) -> GroupId {
        self.root().peer_id().into()
    }

    /// The member.
    pub fn peer(&self) -> PeerId {
        self.leaf().peer_id()
    }

    /// The member's key.
    pub fn key(&self) -> PublicKey {
        self.leaf().subject_key()
    }

    /// That key, to check many signatures with.
    pub(crate) fn verifying_key(&self) -> VerifyingKey {
        self.leaf().parsed.point
    }

    /// The member's friendly name.
    pub fn name(&self) -> &str {
        self.leaf().name()
    }

    /// The member's role.
    pub fn role(&self) -> Role {
        self.0.grant.role
    }

    /// The rights of the member.
    pub fn grant(&self) -> &Grant {
        &self.0.grant
    }

    /// The rules that the creator of the group set.
    pub fn policy(&self) -> &Policy {
        self.root().policy()
    }

    /// The name of the leaf, which stands for the whole chain.
    pub fn id(&self) -> CertificateId {
        self.leaf().id()
    }

    /// When the membership begins.
    pub fn not_before(&self) -> WallTime {
        self.leaf().not_before()
    }

    /// When the membership ends.
    pub fn not_after(&self) -> WallTime {
        self.leaf().not_after()
    }

    /// The issuer of the leaf; each of the group's own keys has the group's id. Nobody above that.
    pub fn issuer(&self) -> Option<PeerId> {
        match self.depth() {
            0 => None,
            1 => Some(self.root().peer_id()),
            _ => self.certificates().iter().nth_back(1).map(Certificate::peer_id),
        }
    }

    /// All certificates, root first, leaf last.
    pub fn certificates(&self) -> &[Certificate] {
        &self.0.certificates
    }

    /// The group's root certificate.
    pub fn root(&self) -> &Certificate {
        self.certificates().first().expect("a chain has a root")
    }

    /// The member's own certificate.
    pub fn leaf(&self) -> &Certificate {
        self.certificates().last().expect("a chain has a root")
    }

    /// How many memberships are in it: 0 for the group's own key, 1 for the creator, at most 23.
    pub fn depth(&self) -> usize {
        self.certificates().len() - self.0.line
    }

    /// The root and the heirs in it, root first.
    pub fn line(&self) -> &[Certificate] {
        &self.certificates()[..self.0.line]
    }

    /// The chain of each key of its line, the root's first.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Self> {
        let line = self.line();
        (1..=line.len())
            .map(|count| Self::new(line[..count].to_vec(), count, Role::Administrator.into()))
    }

    /// The depth of the certificate at this place: 0 for the group's own keys.
    pub(crate) fn depth_at(&self, at: usize) -> usize {
        (at + 1).saturating_sub(self.0.line)
    }

    /// The memberships in it, each at its depth, from 1 on.
    pub(crate) fn memberships(&self) -> impl Iterator<Item = (&Certificate, usize)> {
        self.certificates().iter().skip(self.0.line).zip(1..)
    }

    /// Whether the membership is valid at `now`, give or take
    /// [`CERTIFICATE_CLOCK_SKEW`]. Issuers need not be asked: their validity includes this one.
    pub fn covers(&self, now: WallTime) -> bool {
        let begin = self.not_before().before(CERTIFICATE_CLOCK_SKEW);
        let end = self.not_after().after(CERTIFICATE_CLOCK_SKEW);
        begin <= now && now <= end
    }
}

impl fmt::Debug for VerifiedChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedChain")
            .field("group", &self.group())
            .field("peer", &self.peer())
            .field("role", &self.role())
            .field("depth", &self.depth())
            .finish()
    }
}

/// Verifies that `certificates`, root first and leaf last, make the leaf's key a member of `group`: rules
/// 12–19. The clock is the caller's to judge, with [`VerifiedChain::covers`].
///
/// Signatures are checked last, so that a chain that cannot hold costs nothing.
pub fn verify_chain(
    certificates: &[Certificate],
    group: GroupId,
    verify: Verify,
) -> Result<VerifiedChain, CertError> {
    verify_chain_knowing(certificates, group, verify, |_| None)
}

/// The same, where some chains were verified before: those that end at a certificate of this one, by its name. Their
/// signatures are not checked again, and their certificates are shared.
pub fn verify_chain_knowing<'a>(
    certificates: &[Certificate],
    group: GroupId,
    verify: Verify,
    known: impl Fn(CertificateId) -> Option<&'a VerifiedChain>,
) -> Result<VerifiedChain, CertError> {
    if certificates.len() < 2 {
        return Err(CertError::ChainLength);
    }
    let chain = check(certificates, group, verify, known)?;
    if chain.depth() > 0 { Ok(chain) } else { Err(CertError::Kind) }
}

/// Verifies that `certificates` are the root of `group` and heirs, each issued by the one before: rules 11–19. It is the
/// chain of the group's own key, the last one's. That the earlier ones have handed over is for others to say.
pub fn verify_line(
    certificates: &[Certificate],
    group: GroupId,
    verify: Verify,
) -> Result<VerifiedChain, CertError> {
    let chain = check(certificates, group, verify, |_| None)?;
    if chain.depth() == 0 { Ok(chain) } else { Err(CertError::Kind) }
}

fn check<'a>(
    certificates: &[Certificate],
    group: GroupId,
    verify: Verify,
    known: impl Fn(CertificateId) -> Option<&'a VerifiedChain>,
) -> Result<VerifiedChain, CertError> {
    let proven = (1..=certificates.len()).rev().find_map(|count| {
        let known = known(certificates[count - 1].id())?;
        (known.certificates() == &certificates[..count] && known.group() == group).then_some(known)
    });
    if let Some(known) = proven.filter(|known| known.certificates().len() == certificates.len()) {
        return Ok(known.clone());
    }
    let (root, below) = certificates.split_first().ok_or(CertError::ChainLength)?;
    let heirs = below.iter().take_while(|it| it.parsed.kind == Kind::Heir).count();
    if heirs > HEIRS_MAX || certificates.len() - heirs > CHAIN_MAX {
        return Err(CertError::ChainLength);
    }
    let line = 1 + heirs;
    if root.parsed.kind != Kind::Root {
        return Err(CertError::Kind);
    }
    if GroupId::from(root.peer_id()) != group {
        return Err(CertError::OtherGroup);
    }
    let mut grant = Grant { role: Role::Administrator, app_roles: Vec::new() };
    for (i, certificate) in certificates.iter().enumerate().skip(1) {
        if i < line {
            check_heir(&certificates[i - 1], certificate)?;
        } else {
            let above = (i > line).then_some(&grant);
            grant = check_link(&certificates[i - 1], above, certificate, root.policy())?;
        }
        let peer = certificate.peer_id();
        if certificates[..i].iter().any(|earlier| earlier.peer_id() == peer) {
            return Err(CertError::Cycle);
        }
    }
    let proven = proven.map_or(&[][..], VerifiedChain::certificates);
    if proven.is_empty() {
        verify_root(root, verify)?;
    }
    for pair in certificates[proven.len().saturating_sub(1)..].windows(2) {
        pair[1].is_signed_by(&pair[0].parsed.key, verify)?;
    }
    let certificates = [proven, &certificates[proven.len()..]].concat();
    Ok(VerifiedChain::new(certificates, line, grant))
}

/// Rules 14, 17 and 18 of an heir.
fn check_heir(issuer: &Certificate, heir: &Certificate) -> Result<(), CertError> {
    check_issuer(issuer, heir)?;
    if heir.parsed.subject != issuer.parsed.subject {
        return Err(CertError::Issuer);
    }
    if heir.parsed.path_len != issuer.parsed.path_len {
        return Err(CertError::PathLength);
    }
    check_nesting(issuer, heir)
}

/// Rule 14.
fn check_issuer(issuer: &Certificate, certificate: &Certificate) -> Result<(), CertError> {
    let (above, below) = (&issuer.parsed, &certificate.parsed);
    let same = below.issuer == above.subject
        && below.issuer_key_id == Some(above.key_id())
        && below.above == Some(issuer.id());
    if same { Ok(()) } else { Err(CertError::Issuer) }
}

/// Rule 18.
fn check_nesting(issuer: &Certificate, certificate: &Certificate) -> Result<(), CertError> {
    let (above, below) = (&issuer.parsed, &certificate.parsed);
    let nests = below.not_before >= above.not_before && below.not_after <= above.not_after;
    if nests { Ok(()) } else { Err(CertError::Nesting) }
}

/// Rules 14 and 16–18 between two neighbours of a chain; the group's own keys grant whatever they like. Returns what
/// `certificate` grants.
fn check_link(
    issuer: &Certificate,
    issuer_grant: Option<&Grant>,
    certificate: &Certificate,
    policy: &Policy,
) -> Result<Grant, CertError> {
    let (above, below) = (&issuer.parsed, &certificate.parsed);
    let grant = certificate.grant().ok_or(CertError::Kind)?;
    check_issuer(issuer, certificate)?;
    if let Some(above) = issuer_grant {
        let longest = below.not_before.after(policy.membership_lifetime + ISSUED_EARLY);
        if !policy.may_issue(above, &grant) || below.not_after > longest {
            return Err(CertError::NotAllowed);
        }
    }
    if below.path_len.is_some() && below.path_len >= above.path_len {
        return Err(CertError::PathLength);
    }
    check_nesting(issuer, certificate)?;
    Ok(grant)
}

/// A CBOR array of the certificates in DER.
pub fn encode_chain(certificates: &[Certificate]) -> Vec<u8> {
    let mut encoder = minicbor::Encoder::new(Vec::new());
    write_chain(certificates, &mut encoder).expect("a vector takes every byte");
    encoder.into_writer()
}

/// Reads what [`encode_chain`] wrote: at most [`CERTIFICATES_MAX`] certificates, of rules 1–10, and nothing else.
pub fn decode_chain(bytes: &[u8]) -> Result<Vec<Certificate>, CertError> {
    decode_chain_knowing(bytes, |_| None, read_certificate)
}

/// The same, without parsing those certificates at which a known chain ends: members of one group share most of their
/// chains.
pub fn decode_chain_knowing<'a>(
    bytes: &[u8],
    known: impl Fn(CertificateId) -> Option<&'a VerifiedChain>,
    read: ReadCertificate,
) -> Result<Vec<Certificate>, CertError> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let certificates = read_chain_knowing(&mut decoder, known, read)?;
    let whole = decoder.position() == bytes.len();
    if whole { Ok(certificates) } else { Err(CertError::Encoding) }
}

pub(crate) fn write_chain<W: minicbor::encode::Write>(
    certificates: &[Certificate],
    encoder: &mut minicbor::Encoder<W>,
) -> Result<(), minicbor::encode::Error<W::Error>> {
    encoder.array(certificates.len() as u64)?;
    for certificate in certificates {
        encoder.bytes(certificate.der())?;
    }
    Ok(())
}

pub(crate) fn read_chain(
    decoder: &mut minicbor::Decoder<'_>,
) -> Result<Vec<Certificate>, CertError> {
    read_chain_knowing(decoder, |_| None, read_certificate)
}

fn read_chain_knowing<'a>(
    decoder: &mut minicbor::Decoder<'_>,
    known: impl Fn(CertificateId) -> Option<&'a VerifiedChain>,
    read: ReadCertificate,
) -> Result<Vec<Certificate>, CertError> {
    let count = decoder.array().ok().flatten().ok_or(CertError::Encoding)?;
    if count > CERTIFICATES_MAX as u64 {
        return Err(CertError::ChainLength);
    }
    let mut certificates = Vec::new();
    for _ in 0..count {
        let der = decoder.bytes().map_err(|_| CertError::Encoding)?;
        certificates.push(match known(certificate_id(der)) {
            Some(chain) => chain.leaf().clone(),
            None => read(der)?,
        });
    }
    Ok(certificates)
}
