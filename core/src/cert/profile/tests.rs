//! Rules 1–10, one by one: each test breaks one rule in a certificate that is otherwise good, and signs it again.
use super::super::Certificate;
use super::super::tests::{NOW, group, identity};
use super::*;
use crate::identity::Identity;
use proptest::prelude::*;

/// An identity certificate after `edit`, signed again.
fn edited(who: &Identity, edit: impl FnOnce(&mut Tbs)) -> Vec<u8> {
    let mut signed = Signed::from_der(who.certificate().der()).unwrap();
    edit(&mut signed.tbs);
    let tbs = signed.tbs.to_der().unwrap();
    signed.signature = BitString::from_bytes(&who.as_ref().sign_certificate(&tbs)).unwrap();
    signed.to_der().unwrap()
}

/// The error of `from_der` for Ada's identity certificate after `edit`.
fn refusal(edit: impl FnOnce(&mut Tbs)) -> Option<CertError> {
    Certificate::from_der(edited(&identity(1, "Ada"), edit)).err()
}

fn find(tbs: &mut Tbs, id: ObjectIdentifier) -> &mut Extension {
    let extensions = tbs.extensions.as_mut().unwrap();
    extensions.iter_mut().find(|extension| extension.extn_id == id).unwrap()
}

fn replace(tbs: &mut Tbs, id: ObjectIdentifier, value: &impl der::Encode) {
    find(tbs, id).extn_value = OctetString::new(value.to_der().unwrap()).unwrap();
}

/// The digest of some certificate.
fn above() -> OctetString {
    OctetString::new([7; 32]).unwrap()
}

fn remove(tbs: &mut Tbs, id: ObjectIdentifier) {
    tbs.extensions.as_mut().unwrap().retain(|extension| extension.extn_id != id);
}

#[test]
fn unedited_certificate_is_accepted_and_signed_again_to_the_same_bytes() {
    let ada = identity(1, "Ada");
    assert_eq!(ada.certificate().der(), &edited(&ada, |_| ()));
    assert_eq!(refusal(|_| ()), None);
}

#[test]
fn rule_1_longer_than_4_kib_is_refused() {
    assert_eq!(Certificate::from_der([0; 4097]), Err(CertError::TooLong));
    let long = vec![0; 4096];
    let padding = |tbs: &mut Tbs| {
        let value = OctetString::new(long).unwrap();
        let id = ObjectIdentifier::new_unwrap("1.2.3");
        let extension = Extension { extn_id: id, critical: false, extn_value: value };
        tbs.extensions.as_mut().unwrap().push(extension);
    };
    assert_eq!(refusal(padding), Some(CertError::TooLong));
}

#[test]
fn rule_1_other_encodings_of_the_same_certificate_are_refused() {
    let der = identity(1, "Ada").certificate().der().to_vec();
    let trailing = [&der[..], &[0]].concat();
    // The length of the outer sequence in three bytes, where two are enough.
    assert_eq!(der[..2], [0x30, 0x82]);
    let long_length = [&[0x30, 0x83, 0][..], &der[2..]].concat();
    // One unused bit in the signature: `raw_bytes` would not notice.
    let mut unused_bits = der.clone();
    let place = der.len() - 65;
    assert_eq!(unused_bits[place], 0);
    unused_bits[place] = 1;
    for bytes in [&trailing, &long_length, &unused_bits, &der[..der.len() - 1].to_vec()] {
        assert_eq!(Certificate::from_der(bytes), Err(CertError::Encoding));
    }
}

#[test]
fn rule_2_other_versions_and_algorithms_are_refused() {
    let algorithm = Some(CertError::Algorithm);
    let ed448 = ObjectIdentifier::new_unwrap("1.3.101.113");
    assert_eq!(refusal(|tbs| tbs.version = Version::V2), algorithm);
    assert_eq!(refusal(|tbs| tbs.algorithm.oid = ed448), algorithm);
    assert_eq!(refusal(|tbs| tbs.algorithm.parameters = Some(Any::null())), algorithm);
    assert_eq!(refusal(|tbs| tbs.key.algorithm.oid = ed448), algorithm);
    let mut signed = Signed::from_der(identity(1, "Ada").certificate().der()).unwrap();
    signed.algorithm.oid = ed448;
    let outside = Certificate::from_der(signed.to_der().unwrap());
    assert_eq!(outside, Err(CertError::Algorithm));
}

#[test]
fn rule_3_serials_of_other_forms_are_refused() {
    for bytes in [&[1][..], &[0x40; 15], &[0x40; 17], &[0x80; 16], &[0x3f; 16]] {
        let number = SerialNumber::new(bytes).unwrap();
        assert_eq!(refusal(|tbs| tbs.serial = number), Some(CertError::Serial), "{bytes:x?}");
    }
}

#[test]
fn rule_3_every_serial_takes_16_bytes_and_comes_back() {
    for random in [[0; 16], [0xff; 16], [0x80; 16], [0x40; 16]] {
        let ada = Identity::generate([1; 32], random, "Ada", NOW).unwrap();
        let mut expected = random;
        expected[0] = expected[0] & 0x3f | 0x40;
        assert_eq!(ada.certificate().serial().as_bytes(), &expected);
    }
}

#[test]
fn rule_4_weak_keys_and_other_bytes_are_refused() {
    // The neutral element, a point of order 8, and 32 bytes that are no point.
    let order_8 = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a";
    let order_8 = data_encoding::HEXLOWER.decode(order_8.as_bytes()).unwrap();
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut no_point = [0; 32];
    no_point[0] = 2;
    for bytes in [&neutral[..], &order_8, &no_point, &[7; 31], &[7; 33]] {
        let key = BitString::from_bytes(bytes).unwrap();
        let edit = |tbs: &mut Tbs| tbs.key.subject_public_key = key;
        assert_eq!(refusal(edit), Some(CertError::Key), "{bytes:x?}");
    }
}

#[test]
fn rule_5_names_of_other_forms_are_refused() {
    let country = ObjectIdentifier::new_unwrap("2.5.4.6");
    let part = |oid, tag, text: &str| {
        let value = Any::new(tag, text.as_bytes()).unwrap();
        RelativeDistinguishedName::try_from(vec![AttributeTypeAndValue { oid, value }]).unwrap()
    };
    let ada = part(COMMON_NAME, Tag::Utf8String, "Ada");
    for parts in [
        vec![],
        vec![ada.clone(), ada.clone()],
        vec![part(country, Tag::Utf8String, "Ada")],
        vec![part(COMMON_NAME, Tag::PrintableString, "Ada")],
        vec![part(COMMON_NAME, Tag::Utf8String, "")],
        vec![part(COMMON_NAME, Tag::Utf8String, "Ada\n")],
        vec![part(COMMON_NAME, Tag::Utf8String, &"a".repeat(256))],
        vec![ada, part(country, Tag::PrintableString, "GB")],
    ] {
        let subject = RdnSequence::from(parts.clone());
        let issuer = RdnSequence::from(parts);
        assert_eq!(refusal(|tbs| tbs.subject = subject), Some(CertError::Name));
        assert_eq!(refusal(|tbs| tbs.issuer = issuer), Some(CertError::Name));
    }
}

#[test]
fn rule_5_text_that_looks_like_a_name_adds_no_attribute() {
    for text in ["Ada,O=Bank", "CN=Bob+C=GB", "\"; #", "Zoë 🦊", &"ß".repeat(255)] {
        let who = identity(1, text);
        assert_eq!(who.name(), text);
        assert_eq!(Signed::from_der(who.certificate().der()).unwrap().tbs.subject.len(), 1);
    }
}

#[test]
fn rule_6_end_before_begin_is_refused() {
    for end in [NOW, WallTime(0)] {
        let validity = Validity::new(time(NOW), time(end));
        assert_eq!(refusal(|tbs| tbs.validity = validity), Some(CertError::Validity));
    }
}

#[test]
fn rule_7_another_peer_in_the_alternative_name_is_refused() {
    let refused = Some(CertError::PeerName);
    let bob = identity(2, "Bob").peer_id();
    let bobs = peer_uri(bob).unwrap();
    let adas = peer_uri(identity(1, "Ada").peer_id()).unwrap();
    let key_id = SubjectKeyIdentifier(OctetString::new(key_id(bob)).unwrap());
    for names in [vec![bobs.clone()], vec![], vec![adas.clone(), bobs], vec![adas.clone(), adas]] {
        assert_eq!(refusal(|tbs| replace(tbs, SUBJECT_ALT_NAME, &names)), refused);
    }
    assert_eq!(refusal(|tbs| remove(tbs, SUBJECT_ALT_NAME)), refused);
    assert_eq!(refusal(|tbs| replace(tbs, SUBJECT_KEY_ID, &key_id)), refused);
    assert_eq!(refusal(|tbs| remove(tbs, SUBJECT_KEY_ID)), refused);
}

#[test]
fn rule_7_classifier_is_the_host_form_of_an_own_name_of_an_identity() {
    let (ada, bob) = (identity(1, "Ada"), identity(2, "Bob"));
    let uri = peer_uri(ada.peer_id()).unwrap();
    let host = |peer, classifier| PeerName::secured(peer, classifier).unwrap().to_host().unwrap();
    let dns = |host: &str| GeneralName::DnsName(Ia5String::new(host).unwrap());
    let said = |names: Vec<GeneralName>| {
        let edited = edited(&ada, |tbs| replace(tbs, SUBJECT_ALT_NAME, &names));
        Certificate::from_der(edited).map(|it| it.peer_name().clone())
    };
    let chat = host(ada.peer_id(), "Chat");
    let name = PeerName::secured(ada.peer_id(), "Chat").unwrap();
    assert_eq!(said(vec![uri.clone(), dns(&chat)]), Ok(name.clone()));
    assert_eq!(*ada.reissue("Ada", "Chat", [1; 16], NOW).unwrap().certificate().peer_name(), name);
    let anybodys = PeerName::unsecured("chat").unwrap().to_host().unwrap();
    for wrong in [
        vec![dns(&chat), uri.clone()],
        vec![dns(&chat)],
        vec![uri.clone(), dns(&chat), dns(&chat)],
        vec![uri.clone(), dns(&host(bob.peer_id(), "Chat"))],
        vec![uri.clone(), dns(&host(ada.peer_id(), ""))],
        vec![uri.clone(), dns(&anybodys)],
        vec![uri.clone(), dns(&chat.to_uppercase())],
        vec![uri.clone(), dns("example.org")],
    ] {
        assert_eq!(said(wrong), Err(CertError::PeerName));
    }
    // Memberships and roots have none.
    let root = group().root;
    let mut signed = Signed::from_der(root.der()).unwrap();
    let own = host(root.peer_id(), "Chat");
    let names = vec![peer_uri(root.peer_id()).unwrap(), dns(&own)];
    replace(&mut signed.tbs, SUBJECT_ALT_NAME, &names);
    let refused = Certificate::from_der(signed.to_der().unwrap()).err();
    assert_eq!(refused, Some(CertError::PeerName));
}

#[test]
fn rule_8_missing_and_unknown_kinds_and_roles_are_refused() {
    let refused = Some(CertError::Role);
    for (kind, role) in [(0, None), (5, None), (1, None), (1, Some(3)), (2, Some(0)), (3, Some(2))]
    {
        let above = (kind == 1).then(above);
        let extension = KindExtension {
            kind,
            role,
            app_roles: None,
            policy: None,
            above,
            since: None,
            lists: None,
        };
        assert_eq!(refusal(|tbs| replace(tbs, OURS, &extension)), refused, "{kind} {role:?}");
    }
    // Memberships name the certificate above them, by all of its digest, and others name none.
    let short = OctetString::new([7; 31]).unwrap();
    for (kind, role, above) in [
        (1, Some(0), None),
        (1, Some(0), Some(short)),
        (2, None, Some(above())),
        (3, None, Some(above())),
    ] {
        let (app_roles, policy, since, lists) = (None, None, None, None);
        let extension = KindExtension { kind, role, app_roles, policy, above, since, lists };
        assert_eq!(refusal(|tbs| replace(tbs, OURS, &extension)), refused, "{kind}");
    }
    // Heirs name what of the earlier key's stays, by all of its digest, and others name nothing.
    let short = OctetString::new([7; 31]).unwrap();
    for (kind, role, lists) in [
        (4, None, None),
        (4, None, Some(short)),
        (1, Some(0), Some(above())),
        (2, None, Some(above())),
    ] {
        let above = (kind != 2).then(above);
        let (app_roles, policy, since) = (None, None, None);
        let extension = KindExtension { kind, role, app_roles, policy, above, since, lists };
        assert_eq!(refusal(|tbs| replace(tbs, OURS, &extension)), refused, "{kind} lists");
    }
    assert_eq!(refusal(|tbs| remove(tbs, OURS)), refused);
    assert_eq!(refusal(|tbs| find(tbs, OURS).critical = true), refused);
}

#[test]
fn rule_9_constraints_that_disagree_with_the_role_are_refused() {
    let refused = Some(CertError::Usage);
    for (ca, path_len_constraint) in [(true, Some(3)), (true, None), (false, Some(3))] {
        let basic = BasicConstraints { ca, path_len_constraint };
        assert_eq!(refusal(|tbs| replace(tbs, BASIC_CONSTRAINTS, &basic)), refused);
    }
    assert_eq!(refusal(|tbs| replace(tbs, KEY_USAGE, &key_usage(true))), refused);
    for id in [BASIC_CONSTRAINTS, KEY_USAGE] {
        assert_eq!(refusal(|tbs| remove(tbs, id)), refused);
        assert_eq!(refusal(|tbs| find(tbs, id).critical = false), refused);
    }
    let role = Some(Role::Administrator.number());
    let above = Some(above());
    let administrator = KindExtension {
        kind: 1,
        role,
        app_roles: None,
        policy: None,
        above,
        since: None,
        lists: None,
    };
    assert_eq!(refusal(|tbs| replace(tbs, OURS, &administrator)), refused);
}

#[test]
fn rule_10_repeated_and_unknown_critical_extensions_are_refused() {
    let refused = Some(CertError::Extension);
    let unknown = |critical| {
        let value = OctetString::new(vec![5, 0]).unwrap();
        Extension { extn_id: ObjectIdentifier::new_unwrap("1.2.3"), critical, extn_value: value }
    };
    let add = |tbs: &mut Tbs, extension| tbs.extensions.as_mut().unwrap().push(extension);
    assert_eq!(refusal(|tbs| add(tbs, unknown(true))), refused);
    assert_eq!(refusal(|tbs| add(tbs, unknown(false))), None);
    let twice = |tbs: &mut Tbs| {
        add(tbs, unknown(false));
        add(tbs, unknown(false));
    };
    assert_eq!(refusal(twice), refused);
    for id in [BASIC_CONSTRAINTS, KEY_USAGE, SUBJECT_ALT_NAME, SUBJECT_KEY_ID, OURS] {
        let again = |tbs: &mut Tbs| {
            let extension = find(tbs, id).clone();
            add(tbs, extension);
        };
        assert_eq!(refusal(again), refused);
    }
}

#[test]
fn times_beyond_2049_and_at_the_end_of_time_come_back() {
    for millis in [0, 1, 2_524_607_999_000, 2_524_608_000_000, 253_402_300_799_000, u64::MAX] {
        let who = Identity::generate([1; 32], [0; 16], "Ada", WallTime(millis)).unwrap();
        let begin = whole_seconds(WallTime(millis)).min(WallTime(END_OF_TIME.0 - 1_000));
        assert_eq!(who.certificate().not_before(), begin);
        assert_eq!(who.certificate().not_after(), END_OF_TIME);
    }
}

proptest! {
    #[test]
    fn any_bytes_decode_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = Certificate::from_der(&bytes);
    }

    /// Bytes that are mostly a certificate get further than noise does.
    #[test]
    fn damaged_certificates_decode_or_fail(
        cuts in proptest::collection::vec((any::<u16>(), 0..4_u16, any::<u32>()), 1..4),
    ) {
        let mut der = group().ada_chain.leaf().der().to_vec();
        for (place, removed, inserted) in cuts {
            let place = usize::from(place) % der.len();
            let end = (place + usize::from(removed)).min(der.len());
            let inserted = inserted.to_be_bytes();
            der.splice(place..end, inserted[usize::from(removed)..].iter().copied());
        }
        if let Ok(certificate) = Certificate::from_der(&der) {
            prop_assert_eq!(certificate.der(), &der);
        }
    }
}
