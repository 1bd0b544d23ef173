//! Issuing: each function makes what the rules of the parent module accept, or says why not.
use super::chain::ISSUED_EARLY;
use super::profile::{END_OF_TIME, Kind, Template, whole_seconds};
use super::{CertError, Certificate, Role, VerifiedChain, verify_identity, verify_root};
use crate::id::Digest;
use crate::key::{self, GroupKey, KeyPair, PublicKey};
use crate::limits::{CHAIN_MAX, HEIRS_MAX};
use crate::name::check_name;
use crate::policy::{Grant, Policy};
use crate::time::WallTime;
use std::time::Duration;

/// Certificates between root and leaf at most: the path length of the root.
const ROOT_PATH_LEN: u8 = (CHAIN_MAX - 2) as u8;

/// A self-signed identity certificate that never ends. `name` has been checked, and so has `host`, the host form of a
/// name of this key.
pub(crate) fn issue_identity(
    key: PublicKey,
    name: &str,
    host: Option<&str>,
    serial: [u8; 16],
    now: WallTime,
    sign: impl FnOnce(&[u8]) -> [u8; 64],
) -> Certificate {
    let (not_before, not_after) = self_signed_validity(now, END_OF_TIME);
    let template = Template {
        kind: Kind::Identity,
        app_roles: &[],
        policy: None,
        above: None,
        since: None,
        lists: None,
        serial,
        issuer: name,
        subject: name,
        key,
        host,
        issuer_key_id: None,
        not_before,
        not_after,
        path_len: None,
    };
    finish(&template, sign)
}

/// The root certificate of a group. A validity shorter than a second is made one second long.
///
/// # Errors
/// [`CertError::Policy`] if `policy` does not pass [`Policy::check`], [`CertError::TooLong`] if it does not fit.
///
/// # Panics
/// If `name` does not pass [`check_name`].
pub fn issue_root(
    key: &GroupKey,
    name: &str,
    policy: &Policy,
    serial: [u8; 16],
    not_before: WallTime,
    not_after: WallTime,
) -> Result<Certificate, CertError> {
    check_name(name).expect("the caller has checked the name of the group");
    policy.check()?;
    let (not_before, not_after) = self_signed_validity(not_before, not_after);
    let template = Template {
        kind: Kind::Root,
        app_roles: &[],
        policy: policy.to_bytes(),
        above: None,
        since: None,
        lists: None,
        serial,
        issuer: name,
        subject: name,
        key: key.public_key(),
        host: None,
        issuer_key_id: None,
        not_before,
        not_after,
        path_len: Some(ROOT_PATH_LEN),
    };
    Certificate::from_der(template.to_der(|tbs| key.sign_certificate(tbs)))
}

/// The peer that a membership is for.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    key: PublicKey,
    name: &'a str,
    /// The membership that it has.
    held: Option<&'a VerifiedChain>,
    /// As the owner: since when its line is said to go back.
    owner: Option<WallTime>,
}

impl<'a> Subject<'a> {
    /// The holder of an identity certificate.
    ///
    /// # Errors
    /// As [`verify_identity`].
    pub fn of_identity(certificate: &'a Certificate) -> Result<Self, CertError> {
        verify_identity(certificate, key::verify)?;
        let (key, name) = (certificate.subject_key(), certificate.name());
        Ok(Self { key, name, held: None, owner: None })
    }

    /// The holder of a membership, for another one: an administrator that stays one, as near to the root as before,
    /// keeps its seniority.
    pub fn of_member(chain: &'a VerifiedChain) -> Self {
        Self { key: chain.key(), name: chain.name(), held: Some(chain), owner: None }
    }

    /// The same as the owner of the group, who holds the `nth` of its own keys, counted from one. The membership will be
    /// senior to that of every other administrator.
    pub fn as_owner(self, nth: usize) -> Self {
        Self { owner: Some(owner_since(nth)), ..self }
    }

    /// Since when the line of a certificate that is renewed at this depth goes back.
    fn since(&self, grant: &Grant, depth: usize) -> Option<WallTime> {
        if self.owner.is_some() {
            return self.owner;
        }
        let held = self.held.filter(|held| held.depth() == depth);
        let stays = |held: &&VerifiedChain| {
            held.role() == Role::Administrator && grant.role == Role::Administrator
        };
        held.filter(stays).map(|held| held.leaf().since())
    }
}

/// Since when the membership of an owner is said to go back: before any group began, so that it is senior to all others; and
/// that of a later owner before that of an earlier one, which keeps its own.
pub(crate) fn owner_since(nth: usize) -> WallTime {
    WallTime((HEIRS_MAX + 1).saturating_sub(nth) as u64 * 1_000)
}

/// The certificate by which `heir` takes the place of the key that `line` ends with, as the group's own, for the rest of
/// the root's time. `lists`: what of the earlier key's stays, which the certificate commits to.
///
/// # Errors
/// [`CertError::OtherGroup`] if `key` is not that key, [`CertError::ChainLength`] after [`HEIRS_MAX`] heirs,
/// [`CertError::Cycle`] if `heir` was the group's own before.
pub fn issue_heir(
    key: &GroupKey,
    line: &VerifiedChain,
    heir: PublicKey,
    lists: Digest,
    serial: [u8; 16],
    not_before: WallTime,
) -> Result<Certificate, CertError> {
    let above = line.leaf();
    if line.depth() > 0 || above.subject_key() != key.public_key() {
        return Err(CertError::OtherGroup);
    }
    if line.line().len() > HEIRS_MAX {
        return Err(CertError::ChainLength);
    }
    if line.line().iter().any(|earlier| earlier.subject_key() == heir) {
        return Err(CertError::Cycle);
    }
    let last = above.not_after().before(Duration::from_secs(1));
    let template = Template {
        kind: Kind::Heir,
        app_roles: &[],
        policy: None,
        above: Some(above.id()),
        since: None,
        lists: Some(lists),
        serial,
        issuer: above.name(),
        subject: above.name(),
        key: heir,
        host: None,
        issuer_key_id: Some(above.parsed.key_id()),
        not_before: whole_seconds(not_before).max(above.not_before()).min(last),
        not_after: above.not_after(),
        path_len: above.parsed.path_len,
    };
    Ok(finish(&template, |tbs| key.sign_certificate(tbs)))
}

/// A membership issued by the group's own key, whose certificate is `owner`: the root or an heir's. The validity is cut to
/// that of the owner.
///
/// # Errors
/// [`CertError::OtherGroup`] if `owner` is another key's, [`CertError::Kind`] if it is no owner's, and as [`verify_root`].
pub fn issue_by_owner(
    key: &GroupKey,
    owner: &Certificate,
    subject: Subject<'_>,
    grant: &Grant,
    serial: [u8; 16],
    not_before: WallTime,
    not_after: WallTime,
) -> Result<Certificate, CertError> {
    match owner.kind() {
        Kind::Root => _ = verify_root(owner, key::verify)?,
        Kind::Heir => {}
        Kind::Identity | Kind::Member(_) => return Err(CertError::Kind),
    }
    if owner.subject_key() != key.public_key() {
        return Err(CertError::OtherGroup);
    }
    let order = Order { subject, grant, serial, not_before, not_after, longest: None, depth: 1 };
    order.issue_under(owner, |tbs| key.sign_certificate(tbs))
}

/// A membership issued by a member, whose chain is `chain`. The validity is cut to the issuer's and to what the
/// policy allows; if nothing is left: [`CertError::Validity`].
pub fn issue_member(
    issuer: &impl AsRef<KeyPair>,
    chain: &VerifiedChain,
    subject: Subject<'_>,
    grant: &Grant,
    serial: [u8; 16],
    not_before: WallTime,
    not_after: WallTime,
) -> Result<Certificate, CertError> {
    let issuer = issuer.as_ref();
    if issuer.public() != chain.key() {
        return Err(CertError::Issuer);
    }
    if !chain.policy().may_issue(chain.grant(), grant) {
        return Err(CertError::NotAllowed);
    }
    if chain.depth() + 1 >= CHAIN_MAX {
        return Err(CertError::ChainLength);
    }
    let peer = subject.key.peer_id();
    if chain.certificates().iter().any(|earlier| earlier.peer_id() == peer) {
        return Err(CertError::Cycle);
    }
    let longest = Some(chain.policy().membership_lifetime + ISSUED_EARLY);
    let depth = chain.depth() + 1;
    let order = Order { subject, grant, serial, not_before, not_after, longest, depth };
    order.issue_under(chain.leaf(), |tbs| issuer.sign_certificate(tbs))
}

/// A certificate to be issued.
struct Order<'a> {
    subject: Subject<'a>,
    grant: &'a Grant,
    serial: [u8; 16],
    not_before: WallTime,
    not_after: WallTime,
    longest: Option<Duration>,
    /// How far below the group's own key it will be.
    depth: usize,
}

impl Order<'_> {
    fn issue_under(
        &self,
        issuer: &Certificate,
        sign: impl FnOnce(&[u8]) -> [u8; 64],
    ) -> Result<Certificate, CertError> {
        if self.subject.key == issuer.subject_key() {
            return Err(CertError::Cycle);
        }
        let kind = Kind::Member(self.grant.role);
        let path_len = match (kind.is_ca(), issuer.parsed.path_len) {
            (false, _) => None,
            (true, Some(above @ 1..)) => Some(above - 1),
            (true, Some(0) | None) => return Err(CertError::PathLength),
        };
        let not_before = whole_seconds(self.not_before).max(issuer.not_before());
        let longest = self.longest.map_or(END_OF_TIME, |longest| not_before.after(longest));
        let not_after = whole_seconds(self.not_after).min(issuer.not_after()).min(longest);
        if not_before >= not_after {
            return Err(CertError::Validity);
        }
        let since = self.subject.since(self.grant, self.depth);
        let template = Template {
            kind,
            app_roles: &self.grant.app_roles,
            policy: None,
            above: Some(issuer.id()),
            since: since.filter(|since| *since < not_before),
            lists: None,
            serial: self.serial,
            issuer: issuer.name(),
            subject: self.subject.name,
            key: self.subject.key,
            host: None,
            issuer_key_id: Some(issuer.parsed.key_id()),
            not_before,
            not_after,
            path_len,
        };
        Ok(finish(&template, sign))
    }
}

fn self_signed_validity(not_before: WallTime, not_after: WallTime) -> (WallTime, WallTime) {
    let second = Duration::from_secs(1);
    let not_before = whole_seconds(not_before).min(END_OF_TIME.before(second));
    (not_before, whole_seconds(not_after).max(not_before.after(second)))
}

fn finish(template: &Template<'_>, sign: impl FnOnce(&[u8]) -> [u8; 64]) -> Certificate {
    Certificate::from_der(template.to_der(sign)).expect("what we issue follows our rules")
}
