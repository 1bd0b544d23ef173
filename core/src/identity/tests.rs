//! Identities keep their secrets and survive storage, export and damage.
use super::*;
use crate::key::SPKI_PREFIX;
use crate::policy::Policy;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

const NOW: WallTime = WallTime(1_800_000_000_000);
const RANDOM: [u8; 40] = [3; 40];

fn ada() -> Identity {
    Identity::generate([1; 32], [2; 16], "Ada", NOW).unwrap()
}

fn bob() -> Identity {
    Identity::generate([2; 32], [2; 16], "Bob", NOW).unwrap()
}

#[test]
fn peer_id_is_the_hash_of_the_public_key_in_der() {
    // Source: openssl 3.0, from the private key of 32 bytes of 1:
    // (printf 302e020100300506032b657004220420; printf 01%.0s {1..32}) | xxd -r -p |
    //   openssl pkey -inform DER -pubout -outform DER | sha256sum
    let expected = "fd110d301d2f077de1414b8f99f441b1403fab207b2052fbd2c065e4ee8e7dc2";
    let id = ada().public_key().peer_id();
    assert_eq!(data_encoding::HEXLOWER.encode(id.as_bytes()), expected);
    assert_eq!(id, ada().peer_id());
}

#[test]
fn signatures_hold_in_their_own_domain_only() {
    let ada = ada();
    let key = ada.public_key();
    for made in Domain::ALL {
        let signature = ada.sign(made, b"hello");
        for checked in Domain::ALL {
            let holds = verify(&key, &checked.message(b"hello"), &signature);
            assert_eq!(holds, made == checked, "{made:?} checked as {checked:?}");
        }
        assert!(!verify(&key, &made.message(b"hallo"), &signature));
        assert!(!verify(&key, b"hello", &signature));
        // A certificate begins with 0x30; and no message can end the name of its domain, or begin another.
        assert!(made.bytes()[0] != 0x30 && !made.bytes().contains(&0));
        for other in Domain::ALL {
            assert!(made == other || !other.message(b"").starts_with(&made.message(b"")));
        }
    }
}

#[test]
fn application_signature_is_never_taken_for_a_certificate_record_or_handshake() {
    // C8. Method: an application signs exactly what the core would, and every check of the core refuses it.
    let ada = ada();
    let key = ada.public_key();
    let signature = ada.sign_message(b"hello");
    assert!(key.signed(b"hello", &signature) && !key.signed(b"hallo", &signature));
    assert!(!bob().public_key().signed(b"hello", &signature));
    let der = ada.certificate().der();
    // The signed part of the certificate is all but its header, algorithm (7 bytes) and signature (67).
    let tbs = &der[4..der.len() - 74];
    assert!(verify(&key, tbs, der.last_chunk().unwrap()), "the place of the signed part");
    let domains = Domain::ALL.into_iter().filter(|domain| *domain != Domain::Application);
    let core = domains.map(|domain| domain.message(b"hello")).chain([tbs.to_vec()]);
    for message in core {
        let signature = ada.sign_message(&message);
        assert!(key.signed(&message, &signature));
        assert!(!verify(&key, &message, &signature));
        let mut forged = der.to_vec();
        *forged.last_chunk_mut().unwrap() = signature;
        let forged = Certificate::from_der(&forged).unwrap();
        assert_eq!(cert::verify_identity(&forged, verify), Err(CertError::Signature));
    }
    // And what the core signs is no message of an application.
    assert!(!key.signed(b"hello", &ada.sign(Domain::Record, b"hello")));
    assert!(!key.signed(tbs, der.last_chunk().unwrap()));
}

#[test]
fn malleable_signature_is_refused() {
    // s + L in place of s: the same equation, other bytes.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let ada = ada();
    let message = Domain::Record.message(b"hello");
    let mut signature = ada.sign(Domain::Record, b"hello");
    assert!(verify(&ada.public_key(), &message, &signature));
    let mut carry = 0;
    for (byte, order) in signature[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert!(!verify(&ada.public_key(), &message, &signature));
}

#[test]
fn bad_names_are_refused() {
    let make = |name: &str| Identity::generate([1; 32], [2; 16], name, NOW).err();
    assert_eq!(make(""), Some(NameError::FriendlyNameEmpty));
    assert_eq!(make(&"ß".repeat(256)), Some(NameError::FriendlyNameTooLong));
    for name in ["a\nb", "\u{7f}", "\u{85}"] {
        assert_eq!(make(name), Some(NameError::ControlCharacter), "{name:?}");
    }
    for name in ["a\u{202e}b", "\u{2066}a", "a\u{200f}", "a\u{2028}b"] {
        assert_eq!(make(name), Some(NameError::DirectionCharacter), "{name:?}");
    }
    for name in [" ", "\u{a0}\u{3000}", "\u{200d}", "\u{2800}", "\u{e0001}\u{fe0f}"] {
        assert_eq!(make(name), Some(NameError::FriendlyNameInvisible), "{name:?}");
    }
    for name in ["دانش\u{200c}آموز", "👩\u{200d}🚀", "❤\u{fe0f}", "e\u{301}", "-"] {
        assert_eq!(make(name), None, "{name:?}");
    }
    for name in ["a", "O'Neil, \"Bob\"", &"ß".repeat(255)] {
        assert_eq!(make(name), None, "{name:?}");
    }
    let classified = |classifier: &str| ada().reissue("Ada", classifier, [2; 16], NOW).err();
    assert_eq!(classified(&"a".repeat(150)), Some(NameError::ClassifierTooLong));
    assert_eq!(classified(&"a".repeat(139)), Some(NameError::PeerNameTooLong));
    assert_eq!(classified(&"a".repeat(138)), None);
    let chinese: String = (0..138).filter_map(|n| char::from_u32(0x4e00 + n * 151)).collect();
    assert_eq!(classified(&chinese), Some(NameError::HostTooLong));
}

#[test]
fn secured_name_is_the_hash_of_the_key_and_no_two_identities_share_it() {
    // C1.
    let ada = ada().reissue("Ada", "Book club", [3; 16], NOW).unwrap();
    let hash = Sha256::digest([&SPKI_PREFIX[..], ada.public_key().as_bytes()].concat());
    let authority = PeerId::from_bytes(hash.into());
    assert_eq!(ada.peer_name().to_string(), format!("{authority}.Book club"));
    let mut authorities = crate::sorted::SortedSet::new();
    for n in 0..=255 {
        let identity = Identity::generate([n; 32], [2; 16], "Ada", NOW).unwrap();
        let identity = identity.reissue("Ada", "Book club", [3; 16], NOW).unwrap();
        assert!(authorities.insert(identity.peer_name().peer()), "{n}");
        let name = identity.peer_name().clone();
        assert_eq!(name.may_be_claimed_by(ada.peer_id()), identity.peer_id() == ada.peer_id());
    }
}

#[test]
fn renaming_makes_another_certificate_for_the_same_key() {
    // C5, the part of the core.
    let ada = ada().reissue("Ada", "chat", [3; 16], NOW).unwrap();
    let countess = ada.reissue("Countess of Lovelace", "", [4; 16], NOW).unwrap();
    assert_eq!((countess.peer_id(), countess.name()), (ada.peer_id(), "Countess of Lovelace"));
    assert_eq!(countess.public_key(), ada.public_key());
    assert_ne!(countess.certificate().serial(), ada.certificate().serial());
    assert_eq!(cert::verify_identity(countess.certificate(), verify), Ok(ada.peer_id()));
    assert_eq!((ada.peer_name().classifier(), countess.peer_name().classifier()), ("chat", ""));
    assert_eq!(countess.sign_message(b"x"), ada.sign_message(b"x"));
    assert_eq!(Identity::from_bytes(&countess.to_bytes()).unwrap().name(), countess.name());
    assert_eq!(ada.reissue("", "chat", [4; 16], NOW).err(), Some(NameError::FriendlyNameEmpty));
}

#[test]
fn stored_identity_comes_back() {
    let ada = ada();
    let again = Identity::from_bytes(&ada.to_bytes()).unwrap();
    assert_eq!(again.certificate(), ada.certificate());
    assert_eq!(again.sign(Domain::Record, b"x"), ada.sign(Domain::Record, b"x"));
    assert_eq!((again.peer_id(), again.name()), (ada.peer_id(), "Ada"));
}

#[test]
fn stored_identity_that_is_not_one_is_refused() {
    let bytes = ada().to_bytes();
    let refusal = |bytes: &[u8]| Identity::from_bytes(bytes).err();
    assert_eq!(refusal(b""), Some(IdentityError::NotAnIdentity));
    assert_eq!(refusal(&bytes[..bytes.len() - 1]), Some(IdentityError::NotAnIdentity));
    assert_eq!(refusal(&[&bytes[..], &[0]].concat()), Some(IdentityError::Damaged));
    assert_eq!(refusal(&[0; 10_000]), Some(IdentityError::NotAnIdentity));
    let mut version = bytes.to_vec();
    assert_eq!(version[..3], [0xa3, 0, 1]);
    version[2] = 2;
    assert_eq!(refusal(&version), Some(IdentityError::Version));
    // The key of another, with Ada's certificate.
    let mut other = bytes.to_vec();
    assert_eq!(other[6..38], [1; 32]);
    other[6] = 9;
    assert_eq!(refusal(&other), Some(IdentityError::Damaged));
    let key = GroupKey::generate([1; 32]);
    assert_eq!(refusal(&key.to_bytes()), Some(IdentityError::Damaged));
}

#[test]
fn group_key_comes_back() {
    let key = GroupKey::generate([5; 32]);
    let again = GroupKey::from_bytes(&key.to_bytes()).unwrap();
    assert_eq!(again.group_id(), key.group_id());
    assert_eq!(again.sign(Domain::Record, b"x"), key.sign(Domain::Record, b"x"));
    let identity = GroupKey::from_bytes(&ada().to_bytes()).err();
    assert_eq!(identity, Some(IdentityError::NotAnIdentity));
}

#[test]
fn exported_identity_opens_with_its_password_only() {
    let ada = ada();
    let text = ada.export("correct horse", RANDOM);
    let mail = format!("Dear me,\r\n{}\r\n", text.replace('\n', "\r\n"));
    let again = Identity::import(&mail, "correct horse").unwrap();
    assert_eq!(again.certificate(), ada.certificate());
    let wrong = Identity::import(&text, "correct horse ").err();
    assert_eq!(wrong, Some(IdentityError::WrongPassword));
    assert_eq!(text, ada.export("correct horse", RANDOM), "nothing but its arguments decides");
    assert_ne!(text, ada.export("correct horse", [4; 40]));
}

#[test]
fn damaged_and_foreign_exports_are_told_from_a_wrong_password() {
    let text = ada().export("p", RANDOM);
    let refusal = |text: &str| Identity::import(text, "p").err();
    assert_eq!(refusal("hello"), Some(IdentityError::NotAnIdentity));
    assert_eq!(refusal(&ada().public_document()), Some(IdentityError::NotAnIdentity));
    assert_eq!(refusal(&text[..text.len() / 2]), Some(IdentityError::Damaged));
    let typo = text.replacen("AAAA", "AABA", 1);
    let typo = if typo == text { text.replacen('a', "b", 1) } else { typo };
    assert_eq!(refusal(&typo), Some(IdentityError::Damaged));
    let line = text.lines().nth(3).unwrap();
    assert_eq!(refusal(&text.replace(line, "")), Some(IdentityError::Damaged));
}

#[test]
fn no_secret_is_printed() {
    let ada = ada();
    let key = GroupKey::generate([1; 32]);
    let secrets = ["01010101", "1, 1, 1, 1"];
    for text in [format!("{ada:?}"), format!("{key:?}"), ada.public_document()] {
        assert!(secrets.iter().all(|secret| !text.contains(secret)), "{text}");
    }
    assert!(format!("{ada:?}").len() < 30);
    let base64 = data_encoding::BASE64.encode(&[1; 30]);
    assert!(!ada.export("p", RANDOM).replace('\n', "").contains(&base64[2..30]));
}

#[test]
fn public_document_is_what_an_inviter_needs_and_holds_no_secret() {
    // C7.
    let ada = ada().reissue("Ada", "Book club", [3; 16], NOW).unwrap();
    let mail = format!("Please invite me:\r\n{}", ada.public_document().replace('\n', "\r\n"));
    let document = read_public_document(&mail).unwrap();
    assert_eq!(document.peer_id(), ada.peer_id());
    assert_eq!(document.subject_key(), ada.public_key());
    assert_eq!((document.name(), document.peer_name()), ("Ada", ada.peer_name()));
    let secret = *ada.key.seed();
    let mut windows = document.der().windows(8);
    assert!(windows.all(|bytes| !secret.windows(8).any(|part| part == bytes)));
    // Somebody else's membership or a root is none, and a changed one is refused.
    let key = GroupKey::generate([9; 32]);
    let root = cert::issue_root(
        &key,
        "Ada",
        &Policy::default(),
        [0; 16],
        NOW,
        WallTime(NOW.0 + 1_000_000),
    )
    .unwrap();
    assert_eq!(read_public_document(&root.to_pem()), Err(CertError::Kind));
    let mut changed = document.der().to_vec();
    *changed.last_mut().unwrap() ^= 1;
    let changed = Certificate::from_der(changed).unwrap();
    assert_eq!(read_public_document(&changed.to_pem()), Err(CertError::Signature));
    assert_eq!(read_public_document("hello"), Err(CertError::NotPem));
}

proptest! {
    #[test]
    fn any_bytes_are_an_identity_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Identity::from_bytes(&bytes).is_err());
        let _ = GroupKey::from_bytes(&bytes);
        let _ = PublicKey::from_bytes(&std::array::from_fn(|i| bytes.get(i).copied().unwrap_or(0)));
    }

    #[test]
    fn damaged_identities_come_back_whole_or_fail(place in any::<u16>(), mask in 1..=255_u8) {
        let ada = ada();
        let mut bytes = ada.to_bytes().to_vec();
        let place = usize::from(place) % bytes.len();
        bytes[place] ^= mask;
        prop_assert!(Identity::from_bytes(&bytes).is_err(), "byte {}", place);
    }
}
