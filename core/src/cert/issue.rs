//! Issuing: each function makes what the rules of the parent module accept, or says why not.
use super::profile::{END_OF_TIME, Kind, Template, whole_seconds};
use super::{CertError, Certificate, Role, VerifiedChain, verify_identity, verify_root};
use crate::identity::{self, GroupKey, Identity, PublicKey, check_name};
use crate::limits::CHAIN_MAX;
use crate::time::WallTime;
use std::time::Duration;

/// Certificates between root and leaf at most: the path length of the root.
const ROOT_PATH_LEN: u8 = (CHAIN_MAX - 2) as u8;

/// A self-signed identity certificate that never ends. `name` has been checked.
pub(crate) fn issue_identity(
    key: PublicKey,
    name: &str,
    serial: [u8; 16],
    now: WallTime,
    sign: impl FnOnce(&[u8]) -> [u8; 64],
) -> Certificate {
    let (not_before, not_after) = self_signed_validity(now, END_OF_TIME);
    let template = Template {
        kind: Kind::Identity,
        serial,
        issuer: name,
        subject: name,
        key,
        issuer_key_id: None,
        not_before,
        not_after,
        path_len: None,
    };
    finish(&template, sign)
}

/// The root certificate of a group. A validity shorter than a second is made one second long.
///
/// # Panics
/// If `name` does not pass [`check_name`].
pub fn issue_root(
    key: &GroupKey,
    name: &str,
    serial: [u8; 16],
    not_before: WallTime,
    not_after: WallTime,
) -> Certificate {
    check_name(name).expect("the caller has checked the name of the group");
    let (not_before, not_after) = self_signed_validity(not_before, not_after);
    let template = Template {
        kind: Kind::Root,
        serial,
        issuer: name,
        subject: name,
        key: key.public_key(),
        issuer_key_id: None,
        not_before,
        not_after,
        path_len: Some(ROOT_PATH_LEN),
    };
    finish(&template, |tbs| key.sign_certificate(tbs))
}

/// The first membership of a group, its creator's, issued by the group's key to the holder of the identity
/// certificate `subject`. The validity is cut to that of the root.
pub fn issue_first(
    key: &GroupKey,
    root: &Certificate,
    subject: &Certificate,
    role: Role,
    serial: [u8; 16],
    not_before: WallTime,
    not_after: WallTime,
) -> Result<Certificate, CertError> {
    if verify_root(root, identity::verify)? != key.group_id() {
        return Err(CertError::OtherGroup);
    }
    let order = Order { subject, role, serial, not_before, not_after };
    order.issue_under(root, |tbs| key.sign_certificate(tbs))
}

/// A membership issued by a member, whose chain is `chain`, to the holder of the identity certificate
/// `subject`. The validity is cut to the issuer's; if nothing is left: [`CertError::Validity`].
pub fn issue_member(
    issuer: &Identity,
    chain: &VerifiedChain,
    subject: &Certificate,
    role: Role,
    serial: [u8; 16],
    not_before: WallTime,
    not_after: WallTime,
) -> Result<Certificate, CertError> {
    if issuer.peer_id() != chain.peer() {
        return Err(CertError::Issuer);
    }
    if !chain.role().may_issue(role) {
        return Err(CertError::NotAllowed);
    }
    if chain.certificates().len() >= CHAIN_MAX {
        return Err(CertError::ChainLength);
    }
    if chain.certificates().iter().any(|earlier| earlier.peer_id() == subject.peer_id()) {
        return Err(CertError::Cycle);
    }
    let order = Order { subject, role, serial, not_before, not_after };
    order.issue_under(chain.leaf(), |tbs| issuer.sign_certificate(tbs))
}

/// What is to be issued.
struct Order<'a> {
    subject: &'a Certificate,
    role: Role,
    serial: [u8; 16],
    not_before: WallTime,
    not_after: WallTime,
}

impl Order<'_> {
    fn issue_under(
        &self,
        issuer: &Certificate,
        sign: impl FnOnce(&[u8]) -> [u8; 64],
    ) -> Result<Certificate, CertError> {
        verify_identity(self.subject, identity::verify)?;
        if self.subject.peer_id() == issuer.peer_id() {
            return Err(CertError::Cycle);
        }
        let kind = Kind::Member(self.role);
        let path_len = match (kind.is_ca(), issuer.parsed.path_len) {
            (false, _) => None,
            (true, Some(above @ 1..)) => Some(above - 1),
            (true, Some(0) | None) => return Err(CertError::PathLength),
        };
        let not_before = whole_seconds(self.not_before).max(issuer.not_before());
        let not_after = whole_seconds(self.not_after).min(issuer.not_after());
        if not_before >= not_after {
            return Err(CertError::Validity);
        }
        let template = Template {
            kind,
            serial: self.serial,
            issuer: issuer.name(),
            subject: self.subject.name(),
            key: self.subject.subject_key(),
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
