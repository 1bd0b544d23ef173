//! Heirs: what rules 12–19 say of the line of a group's own keys.
use super::profile::Template;
use super::tests::{DAY, Group, NOW, group, group_named, identity, join};
use super::*;
use crate::id::Digest;
use crate::identity::{GroupKey, verify};
use crate::limits::{CHAIN_MAX, HEIRS_MAX};

/// The digest of what stays of an earlier key's, whatever that is.
const LISTS: Digest = Digest::from_bytes([5; 32]);

/// The group's own key after this many heirs.
pub(super) fn key(nth: u8) -> GroupKey {
    GroupKey::generate([200 + nth; 32])
}

fn next(key: &GroupKey, line: &VerifiedChain, heir: &GroupKey) -> VerifiedChain {
    let heir = issue_heir(key, line, heir.public_key(), LISTS, [3; 16], NOW.after(DAY)).unwrap();
    let line = [line.certificates(), &[heir]].concat();
    verify_line(&line, key_of(&line).into(), verify).unwrap()
}

fn key_of(line: &[Certificate]) -> PeerId {
    line[0].peer_id()
}

/// The line of a group after so many heirs.
pub(super) fn line(group: &Group, heirs: u8) -> VerifiedChain {
    let first = VerifiedChain::owner(&group.root, verify).unwrap();
    (0..heirs).fold(first, |line, nth| next(&key(nth), &line, &key(nth + 1)))
}

/// A member whom the last of a line lets in.
pub(super) fn by_heir(line: &VerifiedChain, n: u8, role: Role) -> VerifiedChain {
    let (who, end) = (identity(n, "Ada"), NOW.after(DAY * 28));
    let key = key(line.line().len() as u8 - 1);
    let subject = Subject::of_identity(who.certificate()).unwrap();
    let (grant, begin) = (role.into(), line.not_before());
    let leaf = issue_by_owner(&key, line.leaf(), subject, &grant, [9; 16], begin, end).unwrap();
    verify_chain(&[line.certificates(), &[leaf]].concat(), line.group(), verify).unwrap()
}

#[test]
fn heirs_are_the_group_and_do_not_count_as_depth() {
    let group = group();
    for heirs in 0..=HEIRS_MAX as u8 {
        let line = line(&group, heirs);
        assert_eq!((line.group(), line.depth(), line.issuer()), (group.id(), 0, None));
        assert_eq!(line.line(), line.certificates());
        assert_eq!(line.not_after(), group.root.not_after());
        assert_eq!(line.peer(), key(heirs).public_key().peer_id());
        let mut chain = by_heir(&line, 1, Role::Administrator);
        assert_eq!((chain.depth(), chain.issuer()), (1, Some(group.id().into())));
        assert_eq!(chain.line(), line.certificates());
        assert_eq!(chain.policy(), group.root.policy());
        for n in 2..CHAIN_MAX as u8 {
            let last = usize::from(n) == CHAIN_MAX - 1;
            let role = if last { Role::Member } else { Role::Administrator };
            chain = join(&identity(n - 1, "Ada"), &chain, &identity(n, "Ada"), role);
        }
        assert_eq!(chain.depth(), CHAIN_MAX - 1, "as deep as without heirs");
        let depths: Vec<usize> = chain.memberships().map(|(_, depth)| depth).collect();
        assert_eq!(depths, (1..CHAIN_MAX).collect::<Vec<_>>());
    }
}

#[test]
fn rule_12_a_line_is_no_membership_and_the_other_way_round() {
    let group = group();
    let line = line(&group, 2);
    let chain = by_heir(&line, 1, Role::Member);
    let verdict = |chain: &[Certificate]| verify_chain(chain, group.id(), verify).err();
    assert_eq!(verdict(line.certificates()), Some(CertError::Kind));
    let as_line = |chain: &[Certificate]| verify_line(chain, group.id(), verify).err();
    assert_eq!(as_line(chain.certificates()), Some(CertError::Kind));
    assert_eq!(as_line(&[]), Some(CertError::ChainLength));
    assert_eq!(as_line(&line.certificates()[1..]), Some(CertError::Kind));
    let other = crate::id::GroupId::from_bytes([3; 32]);
    assert_eq!(verify_line(line.certificates(), other, verify), Err(CertError::OtherGroup));
    // An heir below a membership.
    let all = line.certificates();
    let below = [&all[..1], &group.ada_chain.certificates()[1..], &all[1..2]].concat();
    assert_eq!(verdict(&below), Some(CertError::Kind));
}

#[test]
fn rule_12_there_are_at_most_eight_heirs() {
    let group = group();
    let line = line(&group, HEIRS_MAX as u8);
    let (last, one_more) = (key(HEIRS_MAX as u8), key(HEIRS_MAX as u8 + 1).public_key());
    let refused = issue_heir(&last, &line, one_more, LISTS, [3; 16], NOW);
    assert_eq!(refused, Err(CertError::ChainLength));
    let forged = forged(&line, &last, |template| template.key = one_more);
    let longer = [line.certificates(), &[forged]].concat();
    assert_eq!(verify_line(&longer, group.id(), verify), Err(CertError::ChainLength));
}

/// A certificate for an heir of a line, signed by its last key and changed by `edit`.
fn forged(
    line: &VerifiedChain,
    by: &GroupKey,
    edit: impl FnOnce(&mut Template<'_>),
) -> Certificate {
    let above = line.leaf();
    let mut template = Template {
        kind: Kind::Heir,
        app_roles: &[],
        policy: None,
        above: Some(above.id()),
        since: None,
        lists: Some(LISTS),
        serial: [4; 16],
        issuer: above.name(),
        subject: above.name(),
        key: key(40).public_key(),
        host: None,
        issuer_key_id: Some(above.parsed.key_id()),
        not_before: NOW.after(DAY),
        not_after: above.not_after(),
        path_len: above.parsed.path_len,
    };
    edit(&mut template);
    Certificate::from_der(template.to_der(|tbs| by.sign_certificate(tbs))).unwrap()
}

#[test]
fn rules_14_to_19_hold_for_heirs() {
    let group = group();
    let line = line(&group, 1);
    let verdict = |edit: &dyn Fn(&mut Template<'_>)| {
        let forged = forged(&line, &key(1), edit);
        verify_line(&[line.certificates(), &[forged]].concat(), group.id(), verify).err()
    };
    assert_eq!(verdict(&|_| ()), None);
    assert_eq!(verdict(&|it| it.issuer = "Go"), Some(CertError::Issuer));
    assert_eq!(verdict(&|it| it.subject = "Go"), Some(CertError::Issuer));
    assert_eq!(verdict(&|it| it.issuer_key_id = None), Some(CertError::Issuer));
    assert_eq!(verdict(&|it| it.above = Some(group.root.id())), Some(CertError::Issuer));
    let ours = line.leaf().parsed.path_len.unwrap();
    assert_eq!(verdict(&|it| it.path_len = Some(ours - 1)), Some(CertError::PathLength));
    assert_eq!(verdict(&|it| it.path_len = Some(ours + 1)), Some(CertError::PathLength));
    let (early, late) = (NOW.before(DAY), group.root.not_after().after(DAY));
    assert_eq!(verdict(&|it| it.not_before = early), Some(CertError::Nesting));
    assert_eq!(verdict(&|it| it.not_after = late), Some(CertError::Nesting));
    assert_eq!(verdict(&|it| it.key = key(0).public_key()), Some(CertError::Cycle));
    // By the key that was the group's own before.
    let stolen = forged(&line, &key(0), |_| ());
    let stolen = [line.certificates(), &[stolen]].concat();
    assert_eq!(verify_line(&stolen, group.id(), verify), Err(CertError::Signature));
    let refused = issue_heir(&key(0), &line, key(3).public_key(), LISTS, [3; 16], NOW);
    assert_eq!(refused, Err(CertError::OtherGroup));
    let refused = issue_heir(&key(1), &line, key(0).public_key(), LISTS, [3; 16], NOW);
    assert_eq!(refused, Err(CertError::Cycle));
    let refused = issue_heir(&key(1), &group.ada_chain, key(3).public_key(), LISTS, [3; 16], NOW);
    assert_eq!(refused, Err(CertError::OtherGroup));
}

/// The same key with another certificate: what was issued under one has no place under the other.
#[test]
fn rule_14_a_membership_belongs_to_one_heir() {
    let group = group_named("Ada");
    let line = line(&group, 1);
    let chain = by_heir(&line, 1, Role::Member);
    let root = VerifiedChain::owner(&group.root, verify).unwrap();
    let again =
        issue_heir(&key(0), &root, key(1).public_key(), LISTS, [8; 16], NOW.after(DAY)).unwrap();
    let moved = [group.root.clone(), again, chain.leaf().clone()];
    assert_eq!(verify_chain(&moved, group.id(), verify), Err(CertError::Issuer));
    let without = [group.root.clone(), chain.leaf().clone()];
    assert_eq!(verify_chain(&without, group.id(), verify), Err(CertError::Issuer));
}
