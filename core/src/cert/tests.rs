//! Rules 11–20 of certificates and chains, one by one.
use super::profile::Template;
use super::*;
use crate::id::GroupId;
use crate::identity::{GroupKey, Identity, verify};
use crate::limits::{CERTIFICATES_MAX, CHAIN_MAX};
use proptest::prelude::*;
use std::time::Duration;

pub(super) const NOW: WallTime = WallTime(1_800_000_000_000);
pub(super) const DAY: Duration = Duration::from_secs(86_400);
const SERIAL: [u8; 16] = [0x55; 16];

/// The root of a group whose creator decided nothing unusual.
pub(crate) fn issue_root(
    key: &GroupKey,
    name: &str,
    serial: [u8; 16],
    not_before: WallTime,
    not_after: WallTime,
) -> Certificate {
    super::issue_root(key, name, &Policy::default(), serial, not_before, not_after).unwrap()
}

/// The membership of whom the group's own key lets in.
pub(crate) fn issue_first(
    key: &GroupKey,
    root: &Certificate,
    subject: &Certificate,
    role: Role,
    serial: [u8; 16],
    not_before: WallTime,
    not_after: WallTime,
) -> Result<Certificate, CertError> {
    let subject = Subject::of_identity(subject)?;
    issue_by_owner(key, root, subject, &role.into(), serial, not_before, not_after)
}

/// The membership of whom a member lets in.
pub(crate) fn issue_member(
    issuer: &Identity,
    chain: &VerifiedChain,
    subject: &Certificate,
    role: Role,
    serial: [u8; 16],
    not_before: WallTime,
    not_after: WallTime,
) -> Result<Certificate, CertError> {
    let subject = Subject::of_identity(subject)?;
    super::issue_member(issuer, chain, subject, &role.into(), serial, not_before, not_after)
}

pub(super) fn identity(n: u8, name: &str) -> Identity {
    Identity::generate([n; 32], [n ^ 0xa5; 16], name, NOW).unwrap()
}

/// A group with its creator, an administrator called Ada.
pub(super) struct Group {
    pub(super) key: GroupKey,
    pub(super) root: Certificate,
    pub(super) ada: Identity,
    pub(super) ada_chain: VerifiedChain,
}

pub(super) fn group() -> Group {
    group_named("Chess")
}

pub(super) fn group_named(name: &str) -> Group {
    let key = GroupKey::generate([200; 32]);
    let root = issue_root(&key, name, [0; 16], NOW, NOW.after(DAY * 3650));
    let ada = identity(1, "Ada");
    let role = Role::Administrator;
    let end = NOW.after(DAY * 28);
    let first = issue_first(&key, &root, ada.certificate(), role, [9; 16], NOW, end).unwrap();
    let ada_chain = verify_chain(&[root.clone(), first], key.group_id(), verify).unwrap();
    Group { key, root, ada, ada_chain }
}

impl Group {
    pub(super) fn id(&self) -> GroupId {
        self.key.group_id()
    }

    /// The error of `verify_chain` for Ada's chain with a certificate for Bob that `edit` has changed, signed by Ada.
    fn refusal(&self, edit: impl FnOnce(&mut Template<'_>)) -> Option<CertError> {
        let forged = self.forged(&identity(2, "Bob"), edit);
        let chain = [self.ada_chain.certificates(), &[forged]].concat();
        verify_chain(&chain, self.id(), verify).err()
    }

    fn forged(&self, who: &Identity, edit: impl FnOnce(&mut Template<'_>)) -> Certificate {
        let issuer = self.ada_chain.leaf();
        let mut template = Template {
            app_roles: &[],
            policy: None,
            above: Some(issuer.id()),
            since: None,
            lists: None,
            kind: Kind::Member(Role::Member),
            serial: SERIAL,
            issuer: issuer.name(),
            subject: who.name(),
            key: who.public_key(),
            host: None,
            issuer_key_id: Some(issuer.parsed.key_id()),
            not_before: NOW,
            not_after: NOW.after(DAY),
            path_len: None,
        };
        edit(&mut template);
        template.above = template.above.filter(|_| matches!(template.kind, Kind::Member(_)));
        Certificate::from_der(template.to_der(|tbs| self.ada.as_ref().sign_certificate(tbs)))
            .unwrap()
    }
}

pub(super) fn issue(
    issuer: &Identity,
    chain: &VerifiedChain,
    subject: &Identity,
    role: Role,
) -> Result<Certificate, CertError> {
    let end = NOW.after(DAY * 28);
    issue_member(issuer, chain, subject.certificate(), role, SERIAL, NOW, end)
}

/// The chain of `subject`, a member by `issuer`.
pub(super) fn join(
    issuer: &Identity,
    chain: &VerifiedChain,
    subject: &Identity,
    role: Role,
) -> VerifiedChain {
    let leaf = issue(issuer, chain, subject, role).unwrap();
    let group = chain.group();
    verify_chain(&[chain.certificates(), &[leaf]].concat(), group, verify).unwrap()
}

/// The longest chain that there can be: everybody is called `name`.
pub(super) fn longest(group: &Group, name: &str) -> VerifiedChain {
    let mut chain = group.ada_chain.clone();
    let mut issuer = identity(1, "Ada");
    for n in 2..CHAIN_MAX as u8 {
        let next = identity(n, name);
        let last = usize::from(n) == CHAIN_MAX - 1;
        let role = if last { Role::Member } else { Role::Administrator };
        chain = join(&issuer, &chain, &next, role);
        issuer = next;
    }
    chain
}

#[test]
fn member_of_a_member_has_a_chain_that_holds() {
    let group = group();
    let bob = identity(2, "Bob");
    let chain = join(&group.ada, &group.ada_chain, &bob, Role::Member);
    assert_eq!((chain.group(), chain.peer()), (group.id(), bob.peer_id()));
    assert_eq!((chain.key(), chain.name()), (bob.public_key(), "Bob"));
    assert_eq!((chain.role(), chain.depth()), (Role::Member, 2));
    assert_eq!((chain.not_before(), chain.not_after()), (NOW, NOW.after(DAY * 28)));
    assert_eq!((chain.root(), chain.leaf().issuer_name()), (&group.root, "Ada"));
    assert!(chain.certificates().iter().all(|certificate| certificate.der().len() < 500));
    assert_eq!(group.refusal(|_| ()), None);
}

#[test]
fn every_changed_bit_or_byte_of_a_member_certificate_is_refused() {
    let group = group();
    let chain = join(&group.ada, &group.ada_chain, &identity(2, "Bob"), Role::Member);
    let der = chain.leaf().der();
    for place in 0..der.len() {
        for mask in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
            let mut changed = der.to_vec();
            changed[place] ^= mask;
            let Ok(leaf) = Certificate::from_der(&changed) else { continue };
            let chain = [group.ada_chain.certificates(), &[leaf]].concat();
            let verdict = verify_chain(&chain, group.id(), verify);
            assert!(verdict.is_err(), "byte {place} xor {mask}: {verdict:?}");
        }
    }
}

#[test]
fn rule_11_identities_and_roots_are_signed_by_their_own_key() {
    let group = group();
    let ada = identity(1, "Ada");
    assert_eq!(verify_identity(ada.certificate(), verify), Ok(ada.peer_id()));
    assert_eq!(verify_root(&group.root, verify), Ok(group.id()));
    assert_eq!(verify_identity(&group.root, verify), Err(CertError::Kind));
    assert_eq!(verify_root(ada.certificate(), verify), Err(CertError::Kind));
    // Ada signs for Bob.
    let bob = identity(2, "Bob");
    let bobs = |edit: fn(&mut Template<'_>)| {
        let forged = group.forged(&bob, |template| {
            template.kind = Kind::Identity;
            template.issuer = template.subject;
            template.issuer_key_id = None;
            edit(template);
        });
        verify_identity(&forged, verify)
    };
    assert_eq!(bobs(|_| ()), Err(CertError::Signature));
    assert_eq!(bobs(|template| template.issuer = "Ada"), Err(CertError::Issuer));
    assert_eq!(bobs(|template| template.issuer_key_id = Some([0; 20])), Err(CertError::Issuer));
}

#[test]
fn rule_12_chains_of_other_lengths_or_kinds_are_refused() {
    let group = group();
    let chain = group.ada_chain.certificates();
    let verdict = |chain: &[Certificate]| verify_chain(chain, group.id(), verify).err();
    assert_eq!(verdict(&[]), Some(CertError::ChainLength));
    assert_eq!(verdict(&chain[..1]), Some(CertError::ChainLength));
    let identity = group.ada.certificate().clone();
    assert_eq!(verdict(&[group.root.clone(), identity.clone()]), Some(CertError::Kind));
    assert_eq!(verdict(&[identity, chain[1].clone()]), Some(CertError::Kind));
    assert_eq!(verdict(&[group.root.clone(), group.root.clone()]), Some(CertError::Kind));
    assert_eq!(verdict(&[chain[1].clone(), group.root.clone()]), Some(CertError::Kind));
    let longest = longest(&group, "Bob");
    assert_eq!(longest.certificates().len(), CHAIN_MAX);
    let longer = [longest.certificates(), &[longest.leaf().clone()]].concat();
    assert_eq!(verdict(&longer), Some(CertError::ChainLength));
}

#[test]
fn rule_13_chains_of_other_groups_are_refused() {
    let group = group();
    let chain = group.ada_chain.certificates();
    let other = GroupId::from_bytes([3; 32]);
    assert_eq!(verify_chain(chain, other, verify), Err(CertError::OtherGroup));
    // A root that somebody else signed.
    let mut der = group.root.der().to_vec();
    let last = der.len() - 1;
    der[last] ^= 1;
    let forged = Certificate::from_der(der).unwrap();
    assert_eq!(verify_root(&forged, verify), Err(CertError::Signature));
    let issued_by_the_other = [forged, chain[1].clone()];
    assert_eq!(verify_chain(&issued_by_the_other, group.id(), verify), Err(CertError::Issuer));
}

/// One key makes two roots: a certificate that was issued under one has no place under the other, though issuer and key
/// are the same. So whoever has the group's key changes the policy for nobody.
#[test]
fn rule_14_a_certificate_belongs_to_one_root() {
    let group = group();
    let (name, end) = (group.root.name(), group.root.not_after());
    let again = issue_root(&group.key, name, [9; 16], group.root.not_before(), end);
    let chain = [again, group.ada_chain.leaf().clone()];
    assert_eq!(verify_chain(&chain, group.id(), verify), Err(CertError::Issuer));
}

#[test]
fn rule_14_certificates_of_another_issuer_are_refused() {
    let group = group();
    assert_eq!(group.refusal(|template| template.issuer = "Eve"), Some(CertError::Issuer));
    let refused = Some(CertError::Issuer);
    assert_eq!(group.refusal(|template| template.issuer_key_id = None), refused);
    assert_eq!(group.refusal(|template| template.issuer_key_id = Some([0; 20])), refused);
}

#[test]
fn rule_15_certificates_that_the_issuer_did_not_sign_are_refused() {
    let group = group();
    let bob = identity(2, "Bob");
    let good = issue(&group.ada, &group.ada_chain, &bob, Role::Member).unwrap();
    let mut der = good.der().to_vec();
    let last = der.len() - 20;
    der[last] ^= 1;
    let forged = Certificate::from_der(der).unwrap();
    let chain = [group.ada_chain.certificates(), &[forged]].concat();
    assert_eq!(verify_chain(&chain, group.id(), verify), Err(CertError::Signature));
    let trusting: Verify = |_, _, _| true;
    assert!(verify_chain(&chain, group.id(), trusting).is_ok(), "only the signature is wrong");
}

#[test]
fn rule_16_roles_issue_what_the_table_says() {
    use Role::{Administrator, Inviting, Member};
    let group = group();
    for (issuer, allowed) in [
        (Administrator, &[Member, Inviting, Administrator][..]),
        (Inviting, &[Member, Inviting]),
        (Member, &[]),
    ] {
        assert_eq!(issuer.may_invite(), !allowed.is_empty());
        let bob = identity(2, "Bob");
        let bobs = join(&group.ada, &group.ada_chain, &bob, issuer);
        for role in [Member, Inviting, Administrator] {
            let issued = issue(&bob, &bobs, &identity(3, "Cleo"), role);
            let verdict = if allowed.contains(&role) { None } else { Some(CertError::NotAllowed) };
            assert_eq!(issued.err(), verdict, "{issuer} issues {role}");
        }
    }
}

#[test]
fn rule_16_is_judged_by_the_verifier_too() {
    // Bob may invite, and issues an administrator.
    let group = group();
    let bob = identity(2, "Bob");
    let cleo = identity(3, "Cleo");
    for role in [Role::Inviting, Role::Member] {
        let bobs = join(&group.ada, &group.ada_chain, &bob, role);
        let template = Template {
            app_roles: &[],
            policy: None,
            above: Some(bobs.leaf().id()),
            since: None,
            lists: None,
            kind: Kind::Member(Role::Administrator),
            serial: SERIAL,
            issuer: "Bob",
            subject: "Cleo",
            key: cleo.public_key(),
            host: None,
            issuer_key_id: Some(bobs.leaf().parsed.key_id()),
            not_before: NOW,
            not_after: NOW.after(DAY),
            path_len: Some(0),
        };
        let forged =
            Certificate::from_der(template.to_der(|tbs| bob.as_ref().sign_certificate(tbs)));
        let chain = [bobs.certificates(), &[forged.unwrap()]].concat();
        assert_eq!(verify_chain(&chain, group.id(), verify), Err(CertError::NotAllowed));
    }
}

#[test]
fn rule_17_path_lengths_that_do_not_fall_are_refused() {
    let group = group();
    let ours = group.ada_chain.leaf().parsed.path_len.unwrap();
    let ca = |path_len| {
        move |template: &mut Template<'_>| {
            template.kind = Kind::Member(Role::Inviting);
            template.path_len = Some(path_len);
        }
    };
    assert_eq!(group.refusal(ca(ours - 1)), None);
    assert_eq!(group.refusal(ca(0)), None);
    assert_eq!(group.refusal(ca(ours)), Some(CertError::PathLength));
    assert_eq!(group.refusal(ca(255)), Some(CertError::PathLength));
}

#[test]
fn rule_17_last_issuer_of_the_longest_chain_issues_plain_members_only() {
    let group = group();
    let longest = longest(&group, "Bob");
    let issuer = identity(CHAIN_MAX as u8 - 2, "Bob");
    let above = &longest.certificates()[..CHAIN_MAX - 1];
    let above = verify_chain(above, group.id(), verify).unwrap();
    let refused = issue(&issuer, &above, &identity(99, "Zoe"), Role::Inviting);
    assert_eq!(refused, Err(CertError::PathLength));
    assert!(issue(&issuer, &above, &identity(99, "Zoe"), Role::Member).is_ok());
}

#[test]
fn rule_18_validity_outside_the_issuers_is_refused_and_never_issued() {
    let group = group();
    let second = Duration::from_secs(1);
    let end = group.ada_chain.not_after();
    let refused = Some(CertError::Nesting);
    assert_eq!(group.refusal(|template| template.not_before = NOW.before(second)), refused);
    assert_eq!(group.refusal(|template| template.not_after = end.after(second)), refused);
    assert_eq!(group.refusal(|template| template.not_after = end), None);
    let bob = identity(2, "Bob");
    let long = |from, to| {
        let subject = bob.certificate();
        issue_member(&group.ada, &group.ada_chain, subject, Role::Member, SERIAL, from, to)
    };
    let cut = long(WallTime(0), WallTime(u64::MAX)).unwrap();
    assert_eq!((cut.not_before(), cut.not_after()), (NOW, end));
    assert_eq!(long(end, end.after(DAY)), Err(CertError::Validity));
}

#[test]
fn rule_19_circles_are_refused_and_never_issued() {
    let group = group();
    let bob = identity(2, "Bob");
    let bobs = join(&group.ada, &group.ada_chain, &bob, Role::Administrator);
    let circle = Err(CertError::Cycle);
    assert_eq!(issue(&bob, &bobs, &group.ada, Role::Member), circle);
    assert_eq!(issue(&bob, &bobs, &bob, Role::Member), circle);
    // Bob makes Ada a member all the same; and Ada the group itself.
    let forge = |key, subject: &str| {
        let template = Template {
            app_roles: &[],
            policy: None,
            above: Some(bobs.leaf().id()),
            since: None,
            lists: None,
            kind: Kind::Member(Role::Member),
            serial: SERIAL,
            issuer: "Bob",
            subject,
            key,
            host: None,
            issuer_key_id: Some(bobs.leaf().parsed.key_id()),
            not_before: NOW,
            not_after: NOW.after(DAY),
            path_len: None,
        };
        let forged =
            Certificate::from_der(template.to_der(|tbs| bob.as_ref().sign_certificate(tbs)));
        let chain = [bobs.certificates(), &[forged.unwrap()]].concat();
        verify_chain(&chain, group.id(), verify).err()
    };
    assert_eq!(forge(group.ada.public_key(), "Ada"), circle.clone().err());
    assert_eq!(forge(bob.public_key(), "Bob"), circle.clone().err());
    assert_eq!(forge(group.key.public_key(), "Chess"), circle.err());
}

#[test]
fn rule_20_chain_covers_its_validity_and_five_minutes_around_it() {
    let chain = group().ada_chain;
    let (begin, end) = (chain.not_before(), chain.not_after());
    let skew = Duration::from_secs(300);
    let more = Duration::from_millis(300_001);
    assert!(chain.covers(begin) && chain.covers(end));
    assert!(chain.covers(begin.before(skew)) && chain.covers(end.after(skew)));
    assert!(!chain.covers(begin.before(more)) && !chain.covers(end.after(more)));
}

#[test]
fn only_genuine_identities_are_made_members() {
    let group = group();
    let bob = identity(2, "Bob");
    let forged = group.forged(&bob, |template| {
        template.kind = Kind::Identity;
        template.issuer = template.subject;
        template.issuer_key_id = None;
    });
    let end = NOW.after(DAY);
    let refusal = |subject: &Certificate| {
        issue_member(&group.ada, &group.ada_chain, subject, Role::Member, SERIAL, NOW, end).err()
    };
    assert_eq!(refusal(&forged), Some(CertError::Signature));
    let other = issue_root(&GroupKey::generate([9; 32]), "Go", SERIAL, NOW, end);
    assert_eq!(refusal(&other), Some(CertError::Kind));
    assert_eq!(refusal(bob.certificate()), None);
    let not_adas = issue(&bob, &group.ada_chain, &identity(3, "Cleo"), Role::Member);
    assert_eq!(not_adas, Err(CertError::Issuer));
}

#[test]
fn pem_round_trips_with_text_around_it() {
    let root = group().root;
    let mail = format!("> here it is\r\n{}\r\nregards", root.to_pem().replace('\n', "\r\n"));
    assert_eq!(Certificate::from_pem(&mail), Ok(root.clone()));
    assert_eq!(Certificate::from_pem("hello"), Err(CertError::NotPem));
    let cut = &root.to_pem()[..200];
    assert_eq!(Certificate::from_pem(cut), Err(CertError::Encoding));
}

#[test]
fn names_of_roles_round_trip_in_order() {
    assert!(Role::Member < Role::Inviting && Role::Inviting < Role::Administrator);
    for role in [Role::Member, Role::Inviting, Role::Administrator] {
        assert_eq!(role.to_string().parse(), Ok(role));
        assert_eq!(Role::from_number(role.number()), Some(role));
    }
    assert_eq!("owner".parse::<Role>(), Err(ParseRoleError));
}

#[test]
fn encoded_chains_come_back_and_bad_ones_are_told_apart() {
    let group = group();
    let chain = longest(&group, "Bob");
    let bytes = encode_chain(chain.certificates());
    assert_eq!(decode_chain(&bytes).unwrap(), chain.certificates());
    assert_eq!(decode_chain(&[&bytes[..], &[0]].concat()), Err(CertError::Encoding));
    assert_eq!(decode_chain(&bytes[..bytes.len() - 1]), Err(CertError::Encoding));
    let many = vec![group.root; CERTIFICATES_MAX + 1];
    assert_eq!(decode_chain(&encode_chain(&many)), Err(CertError::ChainLength));
    // A claimed length of 2^64 - 1 is not believed, and neither is one without an end.
    assert_eq!(
        decode_chain(&[0x9b, 255, 255, 255, 255, 255, 255, 255, 255]),
        Err(CertError::ChainLength)
    );
    assert_eq!(decode_chain(&[0x9f, 0xff]), Err(CertError::Encoding));
}

proptest! {
    #[test]
    fn any_bytes_are_a_chain_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode_chain(&bytes);
    }

    /// Law: whatever names, serials and times are asked for, what is issued holds.
    #[test]
    fn whatever_is_issued_holds(
        names in proptest::array::uniform3(
            "\\PC{1,255}".prop_filter("a name", |name| crate::name::check_name(name).is_ok()),
        ),
        serial in any::<[u8; 16]>(),
        from in any::<u64>(),
        length in any::<u64>(),
    ) {
        let [group_name, ada, bob] = names;
        let key = GroupKey::generate([7; 32]);
        let root = issue_root(&key, &group_name, serial, WallTime(0), WallTime(u64::MAX));
        let ada = Identity::generate([1; 32], serial, &ada, NOW).unwrap();
        let bob = Identity::generate([2; 32], serial, &bob, NOW).unwrap();
        let end = WallTime(u64::MAX);
        let role = Role::Administrator;
        let first =
            issue_first(&key, &root, ada.certificate(), role, serial, WallTime(0), end).unwrap();
        let chain = verify_chain(&[root, first], key.group_id(), verify).unwrap();
        let (from, to) = (WallTime(from), WallTime(from.saturating_add(length)));
        match issue_member(&ada, &chain, bob.certificate(), Role::Inviting, serial, from, to) {
            Ok(leaf) => {
                let chain = [chain.certificates(), &[leaf]].concat();
                prop_assert!(verify_chain(&chain, key.group_id(), verify).is_ok());
            }
            Err(error) => prop_assert_eq!(error, CertError::Validity),
        }
    }
}

/// Goal: what is known of a group spares signatures and parsing, and changes no verdict.
#[test]
fn known_chains_spare_signatures_and_change_no_verdict() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static CHECKED: AtomicUsize = AtomicUsize::new(0);
    fn counting(key: &PublicKey, message: &[u8], signature: &[u8; 64]) -> bool {
        CHECKED.fetch_add(1, Ordering::Relaxed);
        verify(key, message, signature)
    }
    let group = group();
    let ada = &group.ada_chain;
    let bob = join(&group.ada, ada, &identity(2, "Bob"), Role::Member);
    let knowing = |bytes: &[u8], known: &[&VerifiedChain]| {
        let known = |id| known.iter().find(|chain| chain.id() == id).copied();
        let certificates = decode_chain_knowing(bytes, known, read_certificate)?;
        CHECKED.store(0, Ordering::Relaxed);
        let chain = verify_chain_knowing(&certificates, group.id(), counting, known)?;
        Ok::<_, CertError>((chain, CHECKED.load(Ordering::Relaxed)))
    };
    let bytes = encode_chain(bob.certificates());
    assert_eq!(knowing(&bytes, &[]), Ok((bob.clone(), 3)));
    assert_eq!(knowing(&bytes, &[ada]), Ok((bob.clone(), 1)));
    assert_eq!(knowing(&bytes, &[ada, &bob]), Ok((bob.clone(), 0)));
    // After any change, at any place, nobody is taken for somebody known.
    for place in (0..bytes.len()).step_by(7) {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        let cold = decode_chain(&changed).and_then(|c| verify_chain(&c, group.id(), verify));
        let warm = knowing(&changed, &[ada, &bob]).map(|(chain, _)| chain);
        assert_eq!(warm, cold, "byte {place}");
        assert!(cold.is_err());
    }
    // A forged certificate under a known serial.
    let forged = group.forged(&identity(3, "Eve"), |template| template.serial = [0x55; 16]);
    let eve = encode_chain(&[ada.certificates(), &[forged]].concat());
    let cold = decode_chain(&eve).and_then(|c| verify_chain(&c, group.id(), verify));
    assert_eq!(knowing(&eve, &[ada, &bob]).map(|(chain, _)| chain), cold);
}
