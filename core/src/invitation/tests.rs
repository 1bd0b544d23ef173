//! Invitations survive being sent, say what is wrong with them, and keep their secret.
use super::*;
use crate::cert::tests::{issue_first, issue_member, issue_root};
use crate::identity::{GroupKey, Identity, verify};
use crate::limits::FRIENDLY_NAME_MAX;
use proptest::prelude::*;
use std::time::Duration;

const NOW: WallTime = WallTime(1_800_000_000_000);
const DAY: Duration = Duration::from_secs(86_400);

fn identity(n: u8, name: &str) -> Identity {
    Identity::generate([n; 32], [n; 16], name, NOW).unwrap()
}

/// Bob, and two invitations to Ada's group: one that is bound to him, one for whoever holds it.
fn invitations() -> (Identity, Invitation, Invitation) {
    let key = GroupKey::generate([200; 32]);
    let root = issue_root(&key, "Chess", [0; 16], NOW, NOW.after(DAY * 3650));
    let (ada, bob) = (identity(1, "Ada"), identity(2, "Bob"));
    let role = Role::Administrator;
    let end = NOW.after(DAY * 28);
    let first = issue_first(&key, &root, ada.certificate(), role, [9; 16], NOW, end).unwrap();
    let mut chain = vec![root.clone(), first];
    let adas = verify_chain(&chain, key.group_id(), verify).unwrap();
    let bobs = issue_member(&ada, &adas, bob.certificate(), Role::Inviting, [8; 16], NOW, end);
    chain.push(bobs.unwrap());
    let fingerprint = crate::id::Fingerprint::from_bytes([7; 32]);
    let socket = "192.0.2.1:4000".parse().unwrap();
    let bound = Invitation {
        group: key.group_id(),
        name: "Chess".to_owned(),
        inviter: "Ada".to_owned(),
        root,
        addresses: vec![
            Address::Rtc { socket, fingerprint },
            "wss://node.example/link".parse().unwrap(),
        ],
        expires: NOW.after(DAY * 7),
        kind: InvitationKind::Bound { chain, for_peer: bob.peer_id() },
    };
    let bearer = InvitationKind::Bearer {
        id: RecordId::from_bytes([5; 16]),
        secret: BearerSecret::from_bytes([1; 32]),
        grant: Role::Member.into(),
    };
    let bearer = Invitation { kind: bearer, ..bound.clone() };
    (bob, bound, bearer)
}

/// A text whose check sum holds, whatever the map says.
fn text_of(map: &[u8]) -> String {
    format!("pgi1{}", BASE64URL_NOPAD.encode(&[map, &check_sum(map)].concat()))
}

/// The map in a text.
fn map_of(invitation: &Invitation) -> Vec<u8> {
    let bytes = BASE64URL_NOPAD.decode(&invitation.to_text().as_bytes()[4..]).unwrap();
    bytes[..bytes.len() - CHECK_BYTES].to_vec()
}

#[test]
fn text_comes_back_bare_and_in_any_url() {
    let (_, bound, bearer) = invitations();
    for invitation in [bound, bearer] {
        let text = invitation.to_text();
        assert_eq!(Invitation::from_text(&text), Ok(invitation.clone()));
        let (a, b) = text.split_at(70);
        for url in [
            format!("https://host/#{text}"),
            format!("http://127.0.0.1:8080/demo/?a=b#{text}"),
            format!("  {text}\r\n"),
            format!("https://host/#{a}\r\n {b}"),
        ] {
            assert_eq!(Invitation::from_text(&url), Ok(invitation.clone()), "{url}");
        }
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        assert!(Invitation::fits_code(&text), "{} characters", text.len());
        println!("{:?}: {} characters", invitation.kind, text.len());
    }
}

#[test]
fn bound_invitation_is_for_its_invitee_and_its_time() {
    let (bob, bound, _) = invitations();
    let check =
        |invitation: &Invitation, who: &Identity, now| invitation.check(who.peer_id(), now, verify);
    assert_eq!(check(&bound, &bob, NOW), Ok(()));
    let eve = identity(3, "Eve");
    assert_eq!(check(&bound, &eve, NOW), Err(Error::InvitationForAnother));
    assert_eq!(check(&bound, &bob, NOW.after(DAY * 8)), Err(Error::InvitationExpired));
    assert_eq!(check(&bound, &bob, NOW.before(DAY)), Err(Error::InvitationExpired));
    // Its membership ends before the invitation does.
    let long = Invitation { expires: NOW.after(DAY * 90), ..bound.clone() };
    assert_eq!(check(&long, &bob, NOW.after(DAY * 29)), Err(Error::InvitationExpired));
    // A label for another changes nothing.
    let InvitationKind::Bound { chain, .. } = bound.kind.clone() else { panic!("bound") };
    let kind = InvitationKind::Bound { chain, for_peer: eve.peer_id() };
    let relabelled = Invitation { kind, ..bound.clone() };
    assert_eq!(check(&relabelled, &eve, NOW), Err(Error::InvitationForAnother));
    assert_eq!(bound.verified(verify).unwrap().role(), Role::Inviting);
}

#[test]
fn invitations_that_are_not_genuine_are_refused() {
    use CertError::{ChainLength, Name, OtherGroup, Signature};
    let (bob, bound, bearer) = invitations();
    let check = |invitation: &Invitation| invitation.check(bob.peer_id(), NOW, verify);
    let invalid = |error| Err(Error::InvitationInvalid(error));
    let other = issue_root(&GroupKey::generate([201; 32]), "Chess", [0; 16], NOW, NOW.after(DAY));
    let mut der = bound.root.der().to_vec();
    *der.last_mut().unwrap() ^= 1;
    let forged = Certificate::from_der(der).unwrap();
    for invitation in [&bound, &bearer] {
        let renamed = Invitation { name: "Bank".to_owned(), ..invitation.clone() };
        assert_eq!(check(&renamed), invalid(Name));
        let foreign = Invitation { root: other.clone(), ..invitation.clone() };
        assert_eq!(check(&foreign), invalid(OtherGroup));
        let group = GroupId::from_bytes([1; 32]);
        assert_eq!(check(&Invitation { group, ..invitation.clone() }), invalid(OtherGroup));
    }
    let unsigned = Invitation { root: forged, ..bearer.clone() };
    assert_eq!(check(&unsigned), invalid(Signature));
    let InvitationKind::Bound { chain, for_peer } = bound.kind.clone() else { panic!("bound") };
    let kind = InvitationKind::Bound { chain: chain[..1].to_vec(), for_peer };
    assert_eq!(check(&Invitation { kind, ..bound }), invalid(ChainLength));
    assert_eq!(check(&bearer), Ok(()));
    assert_eq!(
        bearer.check(bob.peer_id(), NOW.after(DAY * 8), verify),
        Err(Error::InvitationExpired)
    );
}

#[test]
fn proof_holds_for_its_group_peer_and_secret_only_and_needs_both_keys() {
    let secret = BearerSecret::from_bytes([1; 32]);
    let bob = Identity::generate([2; 32], [0; 16], "Bob", NOW).unwrap();
    let eve = Identity::generate([3; 32], [0; 16], "Eve", NOW).unwrap();
    let (group, other) = (GroupId::from_bytes([4; 32]), GroupId::from_bytes([5; 32]));
    let key = secret.public_key();
    let proof_of = |who: &Identity, domain| Proof {
        key,
        by_link: secret.prove(group, who.peer_id()),
        by_newcomer: who.sign(domain, &proof_message(group, &key, who.peer_id())),
    };
    let proof = proof_of(&bob, Domain::Redemption);
    assert!(proof.holds(group, &bob.public_key(), verify));
    assert!(!proof.holds(other, &bob.public_key(), verify));
    assert!(!proof.holds(group, &eve.public_key(), verify));
    assert!(!proof_of(&bob, Domain::Application).holds(group, &bob.public_key(), verify));
    let by_newcomer = proof_of(&eve, Domain::Redemption).by_newcomer;
    assert!(!Proof { by_newcomer, ..proof }.holds(group, &bob.public_key(), verify));
    let another = BearerSecret::from_bytes([6; 32]);
    let by_link = another.prove(group, bob.peer_id());
    assert!(!Proof { by_link, ..proof }.holds(group, &bob.public_key(), verify));
    let key = another.public_key();
    assert!(!Proof { key, ..proof }.holds(group, &bob.public_key(), verify));
}

#[test]
fn texts_that_are_not_invitations_say_what_to_do() {
    use InvitationError::{NotAnInvitation, TooLong, Truncated, Version};
    let (_, bound, _) = invitations();
    let text = bound.to_text();
    let refusal = |text: &str| Invitation::from_text(text).unwrap_err();
    for other in ["", "hello", "https://host/", "https://host/#", "pgix", "#pgi🦊", "PGI1abc"] {
        assert_eq!(refusal(other), NotAnInvitation, "{other}");
    }
    for end in 3..text.len() {
        assert_eq!(refusal(&text[..end]), Truncated, "first {end} characters");
    }
    assert_eq!(refusal(&format!("{text}.")), Truncated);
    assert_eq!(refusal(&text.replacen("pgi1", "pgi2", 1)), Version);
    assert_eq!(refusal(&"a".repeat(TEXT_CHARS_MAX + 1)), TooLong);
    // A kind that a later release invents.
    let mut map = map_of(&bound);
    assert_eq!(map[..3], [0xa6, 0, 0]);
    map[2] = 3;
    assert_eq!(refusal(&text_of(&map)), Version);
}

#[test]
fn every_mistyped_character_is_noticed() {
    let (_, _, bearer) = invitations();
    let text = bearer.to_text();
    for place in 4..text.len() {
        let other = if text.as_bytes()[place] == b'A' { "B" } else { "A" };
        let mut typo = text.clone();
        typo.replace_range(place..=place, other);
        assert_eq!(Invitation::from_text(&typo), Err(InvitationError::Truncated), "{place}");
    }
}

#[test]
fn fields_and_addresses_of_later_releases_are_skipped() {
    let (_, bound, _) = invitations();
    let mut map = map_of(&bound);
    map[0] += 1;
    // Key 20: an array with a map and a text in it.
    map.extend([0x14, 0x82, 0xa1, 1, 0xf6, 0x61, b'x']);
    assert_eq!(Invitation::from_text(&text_of(&map)), Ok(bound.clone()));
    // Nested as deep as the longest text allows.
    let mut deep = map_of(&bound);
    deep[0] += 1;
    deep.push(0x14);
    deep.extend([0x81; 90_000]);
    deep.push(0);
    assert_eq!(Invitation::from_text(&text_of(&deep)), Ok(bound));
    let mut odd = Vec::new();
    let mut e = minicbor::Encoder::new(&mut odd);
    e.array(4).unwrap().str("quic://host").unwrap().u8(3).unwrap();
    e.str("wss://a/").unwrap().array(1).unwrap().null().unwrap();
    let read = read_addresses(&mut minicbor::Decoder::new(&odd)).unwrap();
    assert_eq!(read, ["wss://a/".parse().unwrap()]);
}

#[test]
fn contradicting_fields_are_refused() {
    let (_, bound, bearer) = invitations();
    let refusal = |map: &[u8]| Invitation::from_text(&text_of(map)).err();
    let nonsense = Some(InvitationError::NotAnInvitation);
    let mut missing = map_of(&bearer);
    // Without the last field, the role.
    missing[0] -= 1;
    missing.truncate(missing.len() - 2);
    assert_eq!(refusal(&missing), nonsense);
    let mut trailing = map_of(&bound);
    trailing.push(0);
    assert_eq!(refusal(&trailing), nonsense);
    // A bearer invitation with a whole chain, and a key that comes twice.
    let mut chain = map_of(&bound);
    chain[2] = 1;
    assert_eq!(refusal(&chain), nonsense);
    let mut twice = map_of(&bound);
    twice[0] += 1;
    twice.extend([5, 0]);
    assert_eq!(refusal(&twice), nonsense);
    assert_eq!(refusal(&[0xbf, 0xff]), nonsense);
}

#[test]
fn application_roles_are_told_before_joining() {
    let (_, _, bearer) = invitations();
    let plain = map_of(&bearer);
    let roles = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let grant = Grant::new(Role::Member, roles(&["editor", "cook"])).unwrap();
    let InvitationKind::Bearer { id, secret, .. } = bearer.kind.clone() else { panic!("bearer") };
    for kind in [
        InvitationKind::Bearer { id, secret, grant: grant.clone() },
        InvitationKind::Password { id, grant: grant.clone() },
    ] {
        let invitation = Invitation { kind, ..bearer.clone() };
        let read = Invitation::from_text(&invitation.to_text()).unwrap();
        assert_eq!(read, invitation);
        assert_eq!(read.summary().grant, Some(grant.clone()));
    }
    // A role of the core is none of an application, and there are not more than a membership may have.
    let many: Vec<String> = (0..=APP_ROLES_MAX).map(|number| format!("role-{number}")).collect();
    for names in [roles(&["administrator"]), roles(&["Editor"]), many] {
        let mut map = plain.clone();
        map[0] += 1;
        map.push(9);
        minicbor::encode(&names, &mut map).unwrap();
        let read = Invitation::from_text(&text_of(&map));
        assert_eq!(read.err(), Some(InvitationError::NotAnInvitation), "{names:?}");
    }
}

#[test]
fn no_more_addresses_than_allowed_are_written_or_read() {
    let (_, mut bound, _) = invitations();
    bound.addresses = vec![bound.addresses[1].clone(); ADDRESSES_MAX + 3];
    let read = Invitation::from_text(&bound.to_text()).unwrap();
    assert_eq!(read.addresses.len(), ADDRESSES_MAX);
    let many = minicbor::to_vec(&bound.addresses).unwrap();
    let read = read_addresses(&mut minicbor::Decoder::new(&many)).unwrap();
    assert_eq!(read.len(), ADDRESSES_MAX);
}

#[test]
fn largest_invitation_that_there_can_be_is_read_again() {
    let name = "\u{1f98a}".repeat(FRIENDLY_NAME_MAX);
    let key = GroupKey::generate([1; 32]);
    let root = issue_root(&key, &name, [0; 16], NOW, NOW.after(DAY));
    let long = format!("ws://{}", "a".repeat(crate::address::URL_CHARS_MAX - 5));
    let largest = Invitation {
        group: key.group_id(),
        name: name.clone(),
        inviter: name,
        root: root.clone(),
        addresses: vec![long.parse().unwrap(); ADDRESSES_MAX],
        expires: WallTime(u64::MAX),
        kind: InvitationKind::Bound {
            chain: vec![root; CHAIN_MAX],
            for_peer: key.group_id().into(),
        },
    };
    let text = largest.to_text();
    assert!(!Invitation::fits_code(&text));
    assert_eq!(Invitation::from_text(&text), Ok(largest));
}

#[test]
fn no_secret_is_printed() {
    let (_, _, bearer) = invitations();
    let InvitationKind::Bearer { secret, .. } = &bearer.kind else { panic!("bearer") };
    for text in [format!("{bearer:?}"), format!("{secret:?}"), format!("{:?}", bearer.summary())] {
        assert!(!text.contains("0101") && !text.contains("1, 1, 1"), "{text}");
    }
    assert!(format!("{bearer:?}").contains("Bearer(RecordId(050505), member)"));
}

#[test]
fn summary_tells_people_what_they_join() {
    let (bob, bound, bearer) = invitations();
    let summary = bound.summary();
    assert_eq!((summary.name.as_str(), summary.inviter.as_str()), ("Chess", "Ada"));
    assert_eq!(summary.invitee, Some((bob.peer_id(), "Bob".to_owned())));
    assert_eq!(summary.grant.map(|grant| grant.role), Some(Role::Inviting));
    let summary = bearer.summary();
    assert_eq!((summary.grant, summary.invitee), (Some(Role::Member.into()), None));
    assert_eq!((summary.group, summary.expires), (bearer.group, bearer.expires));
}

proptest! {
    #[test]
    fn any_text_is_an_invitation_or_fails(text in "\\PC{0,200}") {
        prop_assert!(Invitation::from_text(&text).is_err());
        let _ = Invitation::from_text(&format!("pgi1{text}"));
    }

    #[test]
    fn any_map_with_a_check_sum_is_an_invitation_or_fails(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        prop_assert!(Invitation::from_text(&text_of(&bytes)).is_err());
    }

    /// Maps that are mostly an invitation get further than noise does; and reading is the inverse of writing.
    #[test]
    fn damaged_maps_are_an_invitation_or_fail(
        place in any::<u16>(),
        removed in 0..4_u16,
        inserted in any::<u32>(),
    ) {
        let (_, _, bearer) = invitations();
        let mut map = map_of(&bearer);
        let place = usize::from(place) % map.len();
        let end = (place + usize::from(removed)).min(map.len());
        map.splice(place..end, inserted.to_be_bytes()[usize::from(removed)..].iter().copied());
        if let Ok(invitation) = Invitation::from_text(&text_of(&map)) {
            prop_assert_eq!(Invitation::from_text(&invitation.to_text()), Ok(invitation));
        }
    }
}
