//! Invitations survive being sent, say what is wrong with them, and keep their secret.
use super::*;
use crate::cert::tests::{issue_first, issue_member, issue_root};
use crate::id::Fingerprint;
use crate::identity::{Domain, GroupKey, Identity, verify};
use crate::limits::CERTIFICATES_MAX;
use crate::limits::{ADDRESSES_MAX, FRIENDLY_NAME_MAX, INVITATION_NODES_MAX};
use proptest::prelude::*;
use std::time::Duration;

const NOW: WallTime = WallTime(1_800_000_000_000);
const DAY: Duration = Duration::from_secs(86_400);
const PAGE: &str = "https://node.example/chat/";

fn identity(n: u8, name: &str) -> Identity {
    Identity::generate([n; 32], [n; 16], name, NOW).unwrap()
}

fn node(url: &str) -> NodeUrl {
    url.parse().unwrap()
}

fn rtc(socket: &str) -> Address {
    Address::Rtc { socket: socket.parse().unwrap(), fingerprint: Fingerprint::from_bytes([7; 32]) }
}

/// Bob, and three invitations to Ada's group: one that is bound to him, one for whoever holds it, one by password.
fn invitations() -> (Identity, [Invitation; 3]) {
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
    let (for_peer, inviter) = (bob.peer_id(), "Ada".to_owned());
    let bound = Invitation {
        group: key.group_id(),
        root: RootPin::of(root.der()),
        inviter: PeerPrefix::of(ada.peer_id()),
        nodes: vec![node("https://node.example")],
        addresses: vec![rtc("192.0.2.1:4000"), rtc("198.51.100.7:65535")],
        expires: Some(NOW.after(DAY * 7)),
        kind: InvitationKind::Bound { chain, for_peer, inviter },
    };
    let secret = BearerSecret::from_bytes([1; 16]);
    let bearer = InvitationKind::Bearer { id: None, secret, role: Role::Member };
    let password = InvitationKind::Password { id: RecordId::from_bytes([5; 16]), role };
    let [bearer, password] = [bearer, password].map(|kind| Invitation { kind, ..bound.clone() });
    (bob, [bound, bearer, password])
}

fn bearer() -> Invitation {
    let (_, [_, bearer, _]) = invitations();
    bearer
}

/// A text whose check sum holds, whatever the bytes say.
fn text_of(bytes: &[u8]) -> String {
    format!("pgi2{}", BASE64URL_NOPAD.encode(&[bytes, &check_sum(bytes)].concat()))
}

/// The bytes in a text.
fn bytes_of(invitation: &Invitation) -> Vec<u8> {
    let bytes = BASE64URL_NOPAD.decode(&invitation.to_text().as_bytes()[4..]).unwrap();
    bytes[..bytes.len() - CHECK_BYTES].to_vec()
}

/// The bytes of a long invitation with another map.
fn long_of(map: &[u8]) -> Vec<u8> {
    let length = u32::try_from(map.len()).unwrap().to_be_bytes();
    [&[0], &length[1..], map].concat()
}

#[test]
fn text_comes_back_bare_and_in_any_url() {
    for invitation in invitations().1 {
        let text = invitation.to_text();
        assert_eq!(Invitation::from_text(&text), Ok(invitation.clone()));
        for page in [PAGE, "http://127.0.0.1:8080/demo/?a=b", "peergraph:", "https://other.example"]
        {
            let link = invitation.to_link(page);
            assert!(link.starts_with(&format!("{page}#pgi2")), "{link}");
            let read = Invitation::from_text(&link).unwrap();
            assert_eq!((&read.nodes, &read.kind), (&invitation.nodes, &invitation.kind), "{link}");
            assert!(invitation.addresses.starts_with(&read.addresses), "{link}");
        }
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        assert!(Invitation::fits_code(&text), "{} characters", text.len());
    }
}

#[test]
fn link_with_a_node_and_two_addresses_is_short() {
    let (_, [bound, bearer, password]) = invitations();
    for invitation in [bearer, password] {
        let link = invitation.to_link(PAGE);
        assert!(link.len() <= LINK_CHARS_MAX, "{} characters: {link}", link.len());
        let read = Invitation::from_text(&link).unwrap();
        assert_eq!((read.nodes.len(), read.addresses.len()), (1, 2), "{link}");
    }
    assert!(bound.to_link(PAGE).len() > 1_000, "certificates take room");
}

#[test]
fn page_that_is_a_part_of_the_node_is_not_repeated() {
    for (url, page, named) in [
        ("https://node.example", PAGE, false),
        ("https://node.example", "https://node.example/chat/index.html?utm_source=x", false),
        ("https://node.example/a/b", "https://node.example/a/b/chat/", false),
        ("https://node.example", "https://node.example:8443/chat/", true),
        ("https://node.example/a", "https://node.example/chat/", true),
        ("https://node.example", "http://node.example/chat/", true),
    ] {
        let alone = Invitation { nodes: vec![node(url)], addresses: Vec::new(), ..bearer() };
        let link = alone.to_link(page);
        assert_eq!(link.len() - page.len() > 4 + 4 * 93 / 3 + 1, named, "{url} {link}");
        assert_eq!(Invitation::from_text(&link), Ok(alone), "{link}");
    }
}

#[test]
fn what_finds_no_room_is_left_out_but_the_first_node_never() {
    let many = |n: u8| (0..n).map(|i| rtc(&format!("192.0.2.{i}:4000"))).collect::<Vec<_>>();
    let socket: Address = "wss://elsewhere.example/link".parse().unwrap();
    let mut invitation = bearer();
    invitation.addresses = [vec![socket], many(7)].concat();
    invitation.nodes.push(node("https://spare.example"));
    let link = invitation.to_link(PAGE);
    assert!(link.len() <= LINK_CHARS_MAX, "{}", link.len());
    let read = Invitation::from_text(&link).unwrap();
    assert_eq!(read.nodes[0], invitation.nodes[0]);
    assert_eq!(read.addresses[0], invitation.addresses[0], "in the order that was given");
    assert!(read.addresses.len() < 8);
    let long = node(&format!("https://node.example/{}", "a".repeat(230)));
    invitation.nodes.insert(0, long.clone());
    let read = Invitation::from_text(&invitation.to_link(PAGE)).unwrap();
    assert_eq!((read.nodes, read.addresses), (vec![long], Vec::new()));
}

#[test]
fn bound_invitation_is_for_its_invitee_and_its_time() {
    let (bob, [bound, ..]) = invitations();
    let check =
        |invitation: &Invitation, who: &Identity, now| invitation.check(who.peer_id(), now, verify);
    assert_eq!(check(&bound, &bob, NOW), Ok(()));
    let eve = identity(3, "Eve");
    assert_eq!(check(&bound, &eve, NOW), Err(Unusable::ForAnother));
    assert!(matches!(check(&bound, &bob, NOW.after(DAY * 8)), Err(Unusable::Ended { .. })));
    let states = [NOW.before(DAY), NOW, NOW.after(DAY * 8)].map(|now| bound.state(now));
    let expected =
        [InvitationState::NotYetValid, InvitationState::Usable, InvitationState::Expired];
    assert_eq!(states, expected);
    let early = check(&bound, &bob, NOW.before(DAY)).unwrap_err();
    assert!(matches!(early, Unusable::NotYetValid(from) if from <= NOW), "{early:?}");
    assert!(early.to_string().contains("clock"), "{early}");
    // Its membership ends before the invitation does.
    let long = Invitation { expires: Some(NOW.after(DAY * 90)), ..bound.clone() };
    assert!(matches!(check(&long, &bob, NOW.after(DAY * 29)), Err(Unusable::Ended { .. })));
    // A label for another changes nothing.
    let InvitationKind::Bound { chain, inviter, .. } = bound.kind.clone() else { panic!("bound") };
    let kind = InvitationKind::Bound { chain, for_peer: eve.peer_id(), inviter };
    let relabelled = Invitation { kind, ..bound.clone() };
    assert_eq!(check(&relabelled, &eve, NOW), Err(Unusable::ForAnother));
    assert_eq!(bound.verified(verify).unwrap().role(), Role::Inviting);
    assert_eq!(bearer().check(eve.peer_id(), NOW, verify), Ok(()));
    let late = bearer().check(eve.peer_id(), NOW.after(DAY * 8), verify);
    assert!(matches!(late, Err(Unusable::Ended { .. })));
}

#[test]
fn bound_invitations_that_are_not_genuine_are_refused() {
    use CertError::{ChainLength, Issuer, OtherGroup};
    let (bob, [bound, ..]) = invitations();
    let check = |invitation: &Invitation| invitation.check(bob.peer_id(), NOW, verify);
    let invalid = |error| Err(Unusable::NotGenuine(error));
    let InvitationKind::Bound { chain, for_peer, inviter } = bound.kind.clone() else {
        panic!("bound")
    };
    let with = |chain: Vec<Certificate>| Invitation {
        root: RootPin::of(chain[0].der()),
        kind: InvitationKind::Bound { chain, for_peer, inviter: inviter.clone() },
        ..bound.clone()
    };
    let other = issue_root(&GroupKey::generate([201; 32]), "Chess", [0; 16], NOW, NOW.after(DAY));
    let mut foreign = chain.clone();
    foreign[0] = other;
    assert_eq!(check(&with(foreign)), invalid(OtherGroup));
    let group = GroupId::from_bytes([1; 32]);
    assert_eq!(check(&Invitation { group, ..bound.clone() }), invalid(OtherGroup));
    let root = RootPin::from_bytes([1; 16]);
    assert_eq!(check(&Invitation { root, ..bound.clone() }), invalid(OtherGroup));
    let mut der = chain[0].der().to_vec();
    *der.last_mut().unwrap() ^= 1;
    let mut forged = chain.clone();
    forged[0] = Certificate::from_der(der).unwrap();
    // The certificate that it issued names it by all of its bytes.
    assert_eq!(check(&with(forged)), invalid(Issuer));
    assert_eq!(check(&with(chain[..1].to_vec())), invalid(ChainLength));
}

#[test]
fn proof_holds_for_its_group_peer_and_secret_only_and_needs_both_keys() {
    let secret = BearerSecret::from_bytes([1; 16]);
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
    let another = BearerSecret::from_bytes([6; 16]);
    let by_link = another.prove(group, bob.peer_id());
    assert!(!Proof { by_link, ..proof }.holds(group, &bob.public_key(), verify));
    let key = another.public_key();
    assert!(!Proof { key, ..proof }.holds(group, &bob.public_key(), verify));
}

#[test]
fn texts_that_are_not_invitations_say_what_to_do() {
    use InvitationError::{NotAnInvitation, TooLong, Truncated, Version};
    let refusal = |text: &str| Invitation::from_text(text).unwrap_err();
    for other in
        ["", "hello", "https://host/", "https://host/#", "pgix", "#pgi🦊", "PGI2abc", "pgi"]
    {
        assert_eq!(refusal(other), NotAnInvitation, "{other}");
    }
    for invitation in invitations().1 {
        let text = invitation.to_text();
        for end in 4..text.len() {
            assert_eq!(refusal(&text[..end]), Truncated, "first {end} characters");
        }
        assert_eq!(refusal(&text.replacen("pgi2", "pgi3", 1)), Version);
    }
    assert_eq!(refusal(&"a".repeat(TEXT_CHARS_MAX + 1)), TooLong);
    // A kind, a role and a flag that a later release invents.
    let bytes = bytes_of(&bearer());
    for header in [0b1_0011, 0b1_1101, 0b11_0001] {
        assert_eq!(refusal(&text_of(&[&[header], &bytes[1..]].concat())), Version);
    }
}

#[test]
fn no_mistyped_character_makes_another_invitation() {
    let invitation = bearer();
    let text = invitation.to_text();
    for place in 4..text.len() {
        for other in ["A", "b", "-"] {
            let mut typo = text.clone();
            typo.replace_range(place..=place, other);
            match Invitation::from_text(&typo) {
                Err(error) => assert_eq!(error, InvitationError::Truncated, "{place}"),
                // Some bits of the last character mean nothing.
                Ok(read) => assert_eq!(read, invitation, "{place}"),
            }
        }
    }
}

#[test]
fn links_that_other_programs_touched_are_understood() {
    let invitation = bearer();
    let link = invitation.to_link(PAGE);
    let (page, text) = link.split_once('#').unwrap();
    let (a, b) = text.split_at(70);
    let encoded: String = link.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let escaped = link.replace(':', "%3A").replace('/', "%2F").replace('#', "%23");
    let twice = escaped.replace('%', "%25");
    for touched in [
        format!("  {link}\r\n"),
        format!("{link}."),
        format!("{link}, and bring a board"),
        format!("({link})!"),
        format!("<{link}>"),
        format!("\"{link}\""),
        format!("„{link}“"),
        format!("[Join us]({link})"),
        format!("Join us: {link} is your link, it is good for a week"),
        format!("Join us:{link}Thanks"),
        format!("{page}?utm_source=mail&fbclid=x#{text}"),
        format!("{page}#{text}?utm_source=mail"),
        format!("{page}#{text}&utm_source=mail"),
        format!("{page}#{a}\r\n {b}"),
        format!("> {page}#{a}\n> {b}\n> On Monday"),
        format!("{page}#{a}=\r\n{b}"),
        [page, "#", a, "\u{200b}", b, "\u{feff}"].concat(),
        ["\u{202a}", &link, "\u{202c}"].concat(),
        link.replace('_', "\\_"),
        link.replace("--", "—").replace('-', "‑"),
        encoded.clone(),
        encoded.to_lowercase(),
        escaped.clone(),
        format!("https://mail.example/redirect?to={escaped}&sum=abc"),
        format!("https://mail.example/redirect?to={twice}"),
        format!("https://mail.example/r?u=https://node.example/chat/%23{text}"),
        format!("pgi2 or pgi1 is how they begin: {link}"),
        format!("node.example/chat/#{text}"),
    ] {
        let read = Invitation::from_text(&touched);
        assert_eq!(read.as_ref(), Ok(&invitation), "{touched}");
    }
    // A long one too.
    let (_, [bound, ..]) = invitations();
    let text = bound.to_text();
    let lines: Vec<&str> =
        text.as_bytes().chunks(72).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let mail = format!("Hi Bob,\n> {}\n> Ada", lines.join("\n> "));
    assert_eq!(Invitation::from_text(&mail), Ok(bound));
}

#[test]
fn fields_and_places_of_later_releases_are_skipped() {
    let (_, [bound, bearer, _]) = invitations();
    let mut bytes = bytes_of(&bearer);
    bytes.extend([0x55, 3, 1, 2, 3]);
    assert_eq!(Invitation::from_text(&text_of(&bytes)), Ok(bearer.clone()));
    // A socket of a later kind behind one of ours.
    bytes.extend([3, 32 + 7 + 2]);
    bytes.extend([9; 32]);
    bytes.extend([4, 127, 0, 0, 1, 0, 80, 99, 1]);
    let read = Invitation::from_text(&text_of(&bytes)).unwrap();
    assert_eq!(read.addresses.len(), bearer.addresses.len() + 1);
    assert!(Invitation::from_text(&text_of(&[&bytes[..], &[3, 200, 1]].concat())).is_err());

    let mut map = bytes_of(&bound)[4..].to_vec();
    map[0] += 1;
    // Key 20: an array with a map and a text in it.
    map.extend([0x14, 0x82, 0xa1, 1, 0xf6, 0x61, b'x']);
    assert_eq!(Invitation::from_text(&text_of(&long_of(&map))), Ok(bound.clone()));
    // Nested as deep as the longest text allows.
    let mut deep = bytes_of(&bound)[4..].to_vec();
    deep[0] += 1;
    deep.push(0x14);
    deep.extend([0x81; 90_000]);
    deep.push(0);
    assert_eq!(Invitation::from_text(&text_of(&long_of(&deep))), Ok(bound));
    let mut odd = Vec::new();
    let mut e = minicbor::Encoder::new(&mut odd);
    e.array(4).unwrap().str("quic://host").unwrap().u8(3).unwrap();
    e.str("wss://a/").unwrap().array(1).unwrap().null().unwrap();
    let read = long::read_texts::<Address>(&mut minicbor::Decoder::new(&odd), ADDRESSES_MAX);
    assert_eq!(read.unwrap(), ["wss://a/".parse().unwrap()]);
}

#[test]
fn contradicting_fields_are_refused() {
    let (_, [bound, bearer, _]) = invitations();
    let nonsense = Some(InvitationError::NotAnInvitation);
    let refusal = |map: &[u8]| Invitation::from_text(&text_of(&long_of(map))).err();
    let map = bytes_of(&bound)[4..].to_vec();
    assert_eq!(refusal(&[&map[..], &[0]].concat()), nonsense, "something follows");
    let mut twice = map.clone();
    twice[0] += 1;
    twice.extend([4, 0]);
    assert_eq!(refusal(&twice), nonsense);
    assert_eq!(refusal(&[0xbf, 0xff]), nonsense);
    assert_eq!(refusal(&[0xa0]), nonsense, "everything is missing");
    let bytes = bytes_of(&bearer);
    for end in 1..85 {
        assert_eq!(Invitation::from_text(&text_of(&bytes[..end])).err(), nonsense, "{end} bytes");
    }
}

#[test]
fn no_more_addresses_and_nodes_than_allowed_are_written_or_read() {
    let (_, [mut bound, ..]) = invitations();
    bound.addresses = vec![bound.addresses[1].clone(); ADDRESSES_MAX + 3];
    bound.nodes = vec![bound.nodes[0].clone(); INVITATION_NODES_MAX + 3];
    let read = Invitation::from_text(&bound.to_text()).unwrap();
    assert_eq!(read.addresses.len(), ADDRESSES_MAX);
    assert_eq!(read.nodes.len(), INVITATION_NODES_MAX);
    let mut bytes = bytes_of(&Invitation { nodes: Vec::new(), addresses: Vec::new(), ..bearer() });
    for n in 0..20 {
        bytes.extend([0x82, 4, 1, b'a' + n, b'.', b'b']);
        bytes.extend([2, 4, 3, b'a' + n, b'.', b'b']);
    }
    let read = Invitation::from_text(&text_of(&bytes)).unwrap();
    assert_eq!((read.addresses.len(), read.nodes.len()), (ADDRESSES_MAX, INVITATION_NODES_MAX));
}

#[test]
fn largest_invitation_that_there_can_be_is_read_again() {
    let name = "\u{1f98a}".repeat(FRIENDLY_NAME_MAX);
    let key = GroupKey::generate([1; 32]);
    let root = issue_root(&key, &name, [0; 16], NOW, NOW.after(DAY));
    let long = format!("ws://{}", "a".repeat(crate::web_url::URL_CHARS_MAX - 5));
    let chain = vec![root.clone(); CERTIFICATES_MAX];
    let largest = Invitation {
        group: key.group_id(),
        root: RootPin::of(root.der()),
        inviter: PeerPrefix::of(key.group_id().into()),
        nodes: vec![node(&long); INVITATION_NODES_MAX],
        addresses: vec![long.parse().unwrap(); ADDRESSES_MAX],
        expires: Some(WallTime(u64::MAX)),
        kind: InvitationKind::Bound { chain, for_peer: key.group_id().into(), inviter: name },
    };
    let text = largest.to_text();
    assert!(!Invitation::fits_code(&text));
    assert_eq!(Invitation::from_text(&text), Ok(largest));
}

#[test]
fn no_secret_is_printed() {
    let bearer = bearer();
    let InvitationKind::Bearer { secret, .. } = &bearer.kind else { panic!("bearer") };
    for text in [format!("{bearer:?}"), format!("{secret:?}"), format!("{:?}", bearer.summary())] {
        assert!(!text.contains("0101") && !text.contains("1, 1, 1"), "{text}");
    }
    assert!(format!("{bearer:?}").contains("Bearer(None, member)"));
}

#[test]
fn summary_tells_people_what_they_join() {
    let (bob, [bound, bearer, password]) = invitations();
    let summary = bound.summary();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!((summary.name, summary.inviter_name), (text("Chess"), text("Ada")));
    assert_eq!(summary.invitee, Some((bob.peer_id(), "Bob".to_owned())));
    assert_eq!((summary.role, summary.app_roles), (Some(Role::Inviting), Some(Vec::new())));
    let summary = bearer.summary();
    assert_eq!((summary.role, summary.app_roles), (Some(Role::Member), None));
    assert_eq!((summary.name, summary.inviter_name, summary.invitee), (None, None, None));
    assert_eq!((summary.group, summary.expires), (bearer.group, bearer.expires));
    assert!(password.summary().password && !summary.password);
}

/// Any short invitation.
fn any_short() -> impl Strategy<Value = Invitation> {
    let host = "[a-z]{1,12}(\\.[a-z]{2,8}){1,2}";
    let url = (any::<bool>(), host, proptest::option::of(1..u16::MAX), "(/[a-z0-9]{1,9}){0,2}");
    let url = url.prop_map(|(tls, host, port, path)| {
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        node(&format!("http{}://{host}{port}{path}", if tls { "s" } else { "" }))
    });
    let socket = any::<([u8; 16], bool, u16)>().prop_map(|(ip, v6, port)| match v6 {
        true => (std::net::IpAddr::from(ip), port).into(),
        false => (std::net::IpAddr::from([ip[0], ip[1], ip[2], ip[3]]), port).into(),
    });
    let address = (0..3_u8, socket).prop_map(|(print, socket)| match print {
        0 => Address::WebSocket { url: format!("ws://{socket}/link").parse().expect("a URL") },
        _ => Address::Rtc { socket, fingerprint: Fingerprint::from_bytes([print; 32]) },
    });
    let node = prop_oneof![4 => url, 1 => address.clone().prop_map(NodeUrl::from)];
    let nodes = proptest::collection::vec(node, 0..4);
    let addresses = proptest::collection::vec(address, 0..10);
    let fixed = any::<([u8; 32], [u8; 16], [u8; 16], [u8; 16])>();
    let rest = (proptest::option::of(any::<u32>()), any::<bool>(), 0..3_u8);
    (fixed, nodes, addresses, rest).prop_map(|(fixed, nodes, addresses, (end, password, role))| {
        let role = Role::from_number(role).unwrap();
        Invitation {
            group: GroupId::from_bytes(fixed.0),
            root: RootPin::from_bytes(fixed.1),
            inviter: PeerPrefix::from_bytes(fixed.2),
            nodes,
            addresses,
            expires: end.map(|end| WallTime(u64::from(end) * 1000)),
            kind: match password {
                true => InvitationKind::Password { id: RecordId::from_bytes(fixed.3), role },
                false => InvitationKind::Bearer {
                    id: None,
                    secret: BearerSecret::from_bytes(fixed.3),
                    role,
                },
            },
        }
    })
}

proptest! {
    #[test]
    fn short_links_come_back_and_are_short(invitation in any_short(), page in "https?://[a-z.]{3,20}/([a-z]{1,6}/){0,2}") {
        let page = page.as_str();
        let linked = |it: &Invitation| it.to_link(page);
        for write in [&linked as &dyn Fn(&Invitation) -> String, &Invitation::to_text] {
            let link = write(&invitation);
            let read = Invitation::from_text(&link).unwrap();
            let fixed = |it: &Invitation| (it.group, it.root, it.inviter, it.expires, it.kind.clone());
            prop_assert_eq!(fixed(&read), fixed(&invitation));
            prop_assert_eq!(read.nodes.first(), invitation.nodes.first());
            prop_assert!(read.nodes.iter().all(|node| invitation.nodes.contains(node)));
            prop_assert!(read.addresses.iter().all(|it| invitation.addresses.contains(it)));
            let alone = Invitation { addresses: Vec::new(), ..read.clone() };
            let alone = Invitation { nodes: read.nodes.iter().take(1).cloned().collect(), ..alone };
            prop_assert!(link.len() <= LINK_CHARS_MAX.max(write(&alone).len()));
            // Written again it says the same.
            prop_assert_eq!(Invitation::from_text(&write(&read)), Ok(read));
        }
    }

    #[test]
    fn any_text_is_an_invitation_or_fails(text in "\\PC{0,200}") {
        prop_assert!(Invitation::from_text(&text).is_err());
        let _ = Invitation::from_text(&format!("pgi2{text}"));
    }

    #[test]
    fn text_around_a_link_does_not_matter(before in "[^#]{0,40}", after in "[^A-Za-z0-9]{0,40}") {
        let invitation = bearer();
        let read = Invitation::from_text(&format!("{before} {}{after}", invitation.to_text()));
        prop_assert_eq!(read, Ok(invitation));
    }

    #[test]
    fn any_bytes_with_a_check_sum_are_an_invitation_or_fail(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        if let Ok(read) = Invitation::from_text(&text_of(&bytes)) {
            prop_assert_eq!(read.to_text().len(), Invitation::from_text(&read.to_text()).unwrap().to_text().len());
        }
    }

    /// Bytes that are mostly an invitation get further than noise does; and reading is the inverse of writing.
    #[test]
    fn damaged_bytes_are_an_invitation_or_fail(
        which in 0..3_usize,
        place in any::<u16>(),
        removed in 0..4_u16,
        inserted in any::<u32>(),
    ) {
        let mut bytes = bytes_of(&invitations().1[which]);
        let place = usize::from(place) % bytes.len();
        let end = (place + usize::from(removed)).min(bytes.len());
        bytes.splice(place..end, inserted.to_be_bytes()[usize::from(removed)..].iter().copied());
        if let Ok(invitation) = Invitation::from_text(&text_of(&bytes)) {
            let again = Invitation::from_text(&invitation.to_text()).unwrap();
            prop_assert_eq!(Invitation::from_text(&again.to_text()), Ok(again));
        }
    }
}
