//! Names have limits, and host forms lose nothing.
use super::*;
use proptest::prelude::*;

fn peer() -> PeerId {
    PeerId::from_bytes(std::array::from_fn(|i| i as u8 * 7))
}

fn secured(classifier: &str) -> PeerName {
    PeerName::secured(peer(), classifier).unwrap()
}

/// Checks the rules on which every resolver of host names insists. Source: RFC 1123 §2.1.
#[track_caller]
fn check_dns_safe(host: &str) {
    assert!(host.len() <= 253, "{} characters: {host}", host.len());
    for label in host.split('.') {
        assert!((1..=63).contains(&label.len()), "{host}");
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        assert!(label.bytes().all(allowed), "{host}");
        assert!(!label.starts_with('-') && !label.ends_with('-'), "{host}");
        assert_ne!(label.get(2..4), Some("--"), "reserved by RFC 5891 §4.2.3.1: {host}");
    }
}

#[track_caller]
fn check_lossless(name: &PeerName) {
    let host = name.to_host().unwrap_or_else(|error| panic!("{name:?}: {error}"));
    check_dns_safe(&host);
    assert_eq!(PeerName::from_host(&host).as_ref(), Ok(name), "{host}");
    assert_eq!(PeerName::from_host(&format!("{}.", host.to_uppercase())).as_ref(), Ok(name));
}

#[test]
fn over_long_classifiers_names_and_friendly_names_are_refused_with_typed_errors() {
    // C4. An unsecured name is short enough for the longest classifier, a secured one is not.
    let letters = |count| "ä".repeat(count);
    assert!(PeerName::unsecured(&letters(149)).is_ok());
    assert_eq!(PeerName::unsecured(&letters(150)), Err(NameError::ClassifierTooLong));
    assert_eq!(PeerName::secured(peer(), &letters(150)), Err(NameError::ClassifierTooLong));
    let longest = secured(&letters(191 - 53));
    assert_eq!(longest.to_string().chars().count(), 191);
    assert_eq!(PeerName::secured(peer(), &letters(191 - 52)), Err(NameError::PeerNameTooLong));
    assert_eq!(check_name(&letters(255)), Ok(()));
    assert_eq!(check_name(&letters(256)), Err(NameError::FriendlyNameTooLong));
    assert_eq!(check_name(""), Err(NameError::FriendlyNameEmpty));
    for control in ["a\nb", "\u{7f}", "\u{85}"] {
        assert_eq!(check_name(control), Err(NameError::ControlCharacter));
        assert_eq!(PeerName::unsecured(control), Err(NameError::ControlCharacter));
    }
}

#[test]
fn further_names_of_one_identity_have_its_authority_and_another_classifier() {
    // C2.
    let own = secured("");
    let names: Vec<_> =
        ["chat", "Chat", "chat.lobby"].map(|it| own.with_classifier(it).unwrap()).into();
    for name in &names {
        assert_eq!(name.peer(), Some(peer()));
        assert_eq!(name.to_string(), format!("{}.{}", peer(), name.classifier()));
        assert_eq!(name.to_string().parse().as_ref(), Ok(name));
    }
    assert!(names[0] != names[1] && names[1] != names[2]);
    assert_eq!(own.to_string(), peer().to_string());
    assert_eq!(own.to_string().parse(), Ok(own));
}

#[test]
fn unsecured_names_may_be_claimed_by_anyone_and_secured_ones_by_their_key_only() {
    // C3, the part that names themselves decide.
    let other = PeerId::from_bytes([9; 32]);
    let anybodys = PeerName::unsecured("chat").unwrap();
    assert_eq!(anybodys.to_string(), "0.chat");
    assert!(anybodys.may_be_claimed_by(peer()) && anybodys.may_be_claimed_by(other));
    let own = secured("chat");
    assert!(own.may_be_claimed_by(peer()) && !own.may_be_claimed_by(other));
    assert!(own.is_secured() && !anybodys.is_secured());
}

#[test]
fn texts_that_are_no_peer_names_are_refused() {
    let parse = |text: &str| text.parse::<PeerName>();
    let empty = [format!("{}.", peer()), "0.".to_owned(), "0".to_owned()];
    for text in empty {
        assert_eq!(parse(&text), Err(NameError::ClassifierEmpty), "{text}");
    }
    for text in ["", ".", ".chat", "chat", "1.chat", "00.chat", "abc.chat"] {
        assert!(parse(text).is_err(), "{text}");
    }
    assert_eq!(parse("1.chat"), Err(NameError::Authority));
}

#[test]
fn host_form_shows_what_it_can_and_hides_the_rest_in_digits() {
    let id = peer();
    let host = |classifier: &str| secured(classifier).to_host().unwrap();
    assert_eq!(host(""), format!("{id}.peergraph.alt"));
    assert_eq!(host("chat7"), format!("chat7.{id}.peergraph.alt"));
    assert!(host("Chat").ends_with(&format!(".hat.{id}.peergraph.alt")));
    assert!(host("x-abc").starts_with("x-"), "a hyphen is no literal");
    assert_eq!(PeerName::unsecured("chat").unwrap().to_host().unwrap(), "chat.0.peergraph.alt");
    check_lossless(&secured("Übung macht den Meister, 3. Auflage (größer)"));
    check_lossless(&PeerName::unsecured("x-.--0.peergraph.alt").unwrap());
}

#[test]
fn host_forms_that_no_name_has_are_refused() {
    let good = secured("Chat").to_host().unwrap();
    let id = peer().to_string();
    let wrong = [
        "",
        ".",
        "peergraph.alt",
        ".peergraph.alt",
        "0.peergraph.alt",
        "chat.1.peergraph.alt",
        "chat.0.peergraph.example",
        // Another split, an empty label, a literal in digits, digits without end, what is no digit.
        "ch.at.0.peergraph.alt",
        ".chat.0.peergraph.alt",
        "x-.chat.0.peergraph.alt",
        "x-zzzzzzzzzzzzzzzz.chat.0.peergraph.alt",
        "x-9.chat.0.peergraph.alt",
        "x-a_.chat.0.peergraph.alt",
        "chät.0.peergraph.alt",
        &good.replace(&id, &id[1..]),
        &format!("{good}.."),
        &format!("hat.{good}"),
        &"a".repeat(300),
    ];
    for host in wrong {
        assert_eq!(PeerName::from_host(host), Err(NameError::NotAHost), "{host}");
    }
}

/// The longest beginning of `text` that has a host form under a peer id.
fn longest_host(text: &str) -> usize {
    let chars: Vec<char> = text.chars().collect();
    let fits = |len: &usize| {
        let classifier: String = chars[..*len].iter().collect();
        PeerName::secured(peer(), &classifier).is_ok_and(|name| name.to_host().is_ok())
    };
    (1..=chars.len()).rev().find(fits).unwrap_or(0)
}

#[test]
fn longest_classifiers_that_have_a_host_form_are_as_long_as_documented() {
    // The more characters a script has, the more digits each of them needs.
    for (least, text) in [
        (138, "The quick brown fox jumps over the lazy dog, twice a day. "),
        (138, "Große Übungen ändern öfter, als Fuß und Maß. "),
        (100, "Съешь же ещё этих мягких французских булок, да выпей чаю. "),
        (100, "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. "),
        (100, "نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر. "),
        (100, "दिल्ली में आज मौसम बहुत अच्छा है। "),
        (
            60,
            "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏闰余成岁律吕调阳云腾致雨露结为霜金生丽水玉出昆冈剑号巨阙珠称夜光",
        ),
    ] {
        let text: String = text.chars().cycle().take(PEER_NAME_MAX - 53).collect();
        let longest = longest_host(&text);
        assert!(longest >= least, "{longest}: {text}");
        check_lossless(&secured(&text.chars().take(longest).collect::<String>()));
    }
}

#[test]
fn any_thirty_characters_have_a_host_form() {
    // Method: what costs most digits is a long way from each character to the next.
    let spread = |step: u32, from: u32| {
        let chars = (0..30).filter_map(|i| char::from_u32((from + i * step) % 0x11_0000));
        chars.filter(|c| !c.is_control()).collect::<String>()
    };
    for step in [1, 100, 997, 10_007, 36_000, 37_137, 0x11_0000 - 36_000] {
        for from in [0x20, 0x2_0000, 0x10_ffff] {
            check_lossless(&secured(&spread(step, from)));
        }
    }
}

fn characters() -> impl Strategy<Value = char> {
    prop_oneof![
        4 => prop::char::range('a', 'z'),
        2 => prop::char::range(' ', '~'),
        2 => prop::char::range('\u{a0}', '\u{5ff}'),
        1 => prop::char::range('\u{1f300}', '\u{1f6ff}'),
        1 => any::<char>(),
    ]
}

fn classifier(
    characters: impl Strategy<Value = char>,
    max: usize,
) -> impl Strategy<Value = String> {
    let characters = characters.prop_filter("a control character", |c| !c.is_control());
    prop::collection::vec(characters, 1..=max).prop_map(String::from_iter)
}

proptest! {
    #[test]
    fn host_form_is_dns_safe_and_lossless(
        classifier in classifier(characters(), CLASSIFIER_MAX),
        own in any::<bool>(),
    ) {
        // C10.
        let peer = own.then(peer);
        if let Ok(name) = PeerName::new(peer, &classifier) {
            match name.to_host() {
                Ok(_) => check_lossless(&name),
                Err(error) => prop_assert_eq!(error, NameError::HostTooLong),
            }
            prop_assert_eq!(name.to_string().parse(), Ok(name));
        }
    }

    #[test]
    fn any_thirty_random_characters_have_a_host_form(
        classifier in classifier(any::<char>(), 30),
    ) {
        check_lossless(&secured(&classifier));
    }

    #[test]
    fn any_text_is_a_name_or_fails(text in any::<String>(), host in "[a-z0-9.x-]{0,60}") {
        let _ = text.parse::<PeerName>();
        let _ = PeerName::from_host(&text);
        for host in [format!("{host}.0.peergraph.alt"), format!("x-{host}.0.peergraph.alt")] {
            // No two hosts are one name.
            if let Ok(name) = PeerName::from_host(&host) {
                prop_assert_eq!(name.to_host(), Ok(host));
            }
        }
    }
}
