use super::*;
use crate::limits::{ATTRIBUTES_MAX, PAYLOAD_BYTES_DEFAULT_MAX};
use proptest::collection::vec;
use proptest::prelude::*;

const GROUP: GroupId = GroupId::from_bytes([9; 32]);

fn somebody(seed: u8) -> Identity {
    Identity::generate([seed; 32], [seed; 16], "Ada", WallTime(0)).unwrap()
}

/// A record that breaks no rule.
fn record(creator: PeerId, random: u64) -> Record {
    Record {
        id: RecordId::new(creator, "chat.message", random),
        kind: RecordType::new("chat.message").unwrap(),
        version: next_version(WallTime(1_000), 0, 0),
        creator,
        modifier: None,
        created: WallTime(1_000),
        modified: WallTime(1_000),
        expires: WallTime(2_000),
        deleted: false,
        attributes: vec![Attribute { name: "author".into(), value: Value::String("Ada".into()) }],
        payload: Bytes::from_static(b"hello"),
        certificate: CertificateId::from_bytes([5; 32]),
        beginning: None,
        signature: [0; 64],
    }
}

fn signed() -> Signed {
    let ada = somebody(1);
    record(ada.peer_id(), 7).sign(GROUP, &ada)
}

#[test]
fn signed_record_comes_back_and_verifies_for_its_group_and_signer_only() {
    let (ada, eve) = (somebody(1), somebody(2));
    let signed = signed();
    let read = Signed::decode(signed.bytes().clone()).unwrap();
    assert_eq!(read.record(), signed.record());
    assert_eq!(read.digest(), Digest::of(signed.bytes()));
    assert!(read.verify(GROUP, &ada.public_key()));
    assert!(!read.verify(GROUP, &eve.public_key()));
    let other = GroupId::from_bytes([8; 32]);
    assert!(!read.verify(other, &ada.public_key()));
}

#[test]
fn payload_is_a_slice_of_the_bytes() {
    let bytes = signed().bytes().clone();
    let read = Signed::decode(bytes.clone()).unwrap();
    let payload = read.record().payload.as_ptr() as usize;
    assert_eq!(payload, bytes.as_ptr() as usize + bytes.len() - 5);
}

/// Goal: nothing of a record can be changed by another. Method: flip every bit of every byte.
#[test]
fn every_changed_bit_is_noticed() {
    let signed = signed();
    let key = somebody(1).public_key();
    for bit in 0..signed.bytes().len() * 8 {
        let mut bytes = signed.bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let holds = Signed::decode(bytes.into()).is_ok_and(|changed| changed.verify(GROUP, &key));
        assert!(!holds, "bit {bit}");
    }
}

/// Eve's change of Ada's record.
fn edited() -> Signed {
    let (ada, eve) = (somebody(1), somebody(2));
    let record = Record {
        modifier: Some(eve.peer_id()),
        modified: WallTime(1_500),
        version: next_version(WallTime(1_500), 0, 0),
        payload: Bytes::from_static(b"goodbye"),
        beginning: Some(signed().record().beginning_by(ada.public_key())),
        ..record(ada.peer_id(), 7)
    };
    record.sign(GROUP, &eve)
}

/// The same for a record that another changed: neither the change nor its beginning.
#[test]
fn every_changed_bit_of_a_change_by_another_is_noticed() {
    let (edited, eve) = (edited(), somebody(2).public_key());
    assert_eq!(edited.record().check(PAYLOAD_BYTES_DEFAULT_MAX), Ok(()));
    assert!(edited.verify(GROUP, &eve));
    assert!(!edited.verify(GroupId::from_bytes([8; 32]), &eve));
    for bit in 0..edited.bytes().len() * 8 {
        let mut bytes = edited.bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let holds = Signed::decode(bytes.into()).is_ok_and(|changed| changed.verify(GROUP, &eve));
        assert!(!holds, "bit {bit}");
    }
}

/// Goal: a beginning proves one creator's record in one group. Method: Eve puts that of one record into another whose
/// id, type, creator, time of creation or group differs, or says that it is of another version, and signs that.
#[test]
fn beginning_proves_one_record_and_nothing_else() {
    let eve = somebody(2);
    let holds = |group: GroupId, change: &dyn Fn(&mut Record)| {
        let mut record = edited().into_record();
        change(&mut record);
        record.sign(group, &eve).verify(group, &eve.public_key())
    };
    assert!(holds(GROUP, &|_| {}));
    let decided_by_eve: [Change; 5] = [
        |r| r.version += 1,
        |r| r.modified = WallTime(1_600),
        |r| r.expires = WallTime(9_000),
        |r| (r.deleted, r.payload) = (true, Bytes::new()),
        |r| r.attributes.clear(),
    ];
    assert!(decided_by_eve.iter().all(|change| holds(GROUP, change)));
    let decided_by_ada: [Change; 4] = [
        |r| r.id = RecordId::new(r.creator, "chat.message", 8),
        |r| r.kind = RecordType::new("chat.picture").unwrap(),
        |r| r.creator = PeerId::from_bytes([3; 32]),
        |r| r.created = WallTime(999),
    ];
    assert!(!decided_by_ada.iter().any(|change| holds(GROUP, change)));
    let of_another: [Change; 4] = [
        |r| r.beginning.as_mut().unwrap().size += 1,
        |r| r.beginning.as_mut().unwrap().version += 1,
        |r| r.beginning.as_mut().unwrap().version = 0,
        |r| r.beginning.as_mut().unwrap().expires = WallTime(9_000),
    ];
    assert!(!of_another.iter().any(|change| holds(GROUP, change)));
    assert!(!holds(GroupId::from_bytes([8; 32]), &|_| {}));
}

#[test]
fn record_has_a_beginning_exactly_if_another_than_its_creator_changed_it() {
    let verdict = |change: Change| {
        let mut record = edited().into_record();
        change(&mut record);
        record.check(PAYLOAD_BYTES_DEFAULT_MAX)
    };
    assert_eq!(verdict(|_| {}), Ok(()));
    let bad: [Change; 6] = [
        |r| r.version = r.base(),
        |r| r.version = 0,
        |r| r.beginning = None,
        |r| r.modifier = Some(r.creator),
        |r| (r.modifier, r.modified) = (None, r.created),
        |r| r.beginning.as_mut().unwrap().key = somebody(2).public_key(),
    ];
    for change in bad {
        assert_eq!(verdict(change), Err(BadRecord::Beginning));
    }
}

#[test]
fn truncated_or_longer_bytes_are_refused() {
    let bytes = signed().bytes().clone();
    for end in 0..bytes.len() {
        assert_eq!(Signed::decode(bytes.slice(..end)).unwrap_err(), BadRecord::Encoding);
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(Signed::decode(longer.into()).unwrap_err(), BadRecord::Encoding);
}

#[test]
fn another_form_of_the_same_content_is_refused() {
    let bytes = signed().bytes().clone();
    // The payload's length 5 in two bytes where one would do.
    let at = bytes.len() - 6;
    assert_eq!(bytes[at], 0x45);
    let long = [&bytes[..at], &[0x58, 5], &bytes[at + 1..]].concat();
    assert_eq!(Signed::decode(long.into()).unwrap_err(), BadRecord::Encoding);
}

#[test]
fn unknown_format_is_refused() {
    let mut bytes = signed().bytes().to_vec();
    bytes[2] = 2;
    assert_eq!(Signed::decode(bytes.into()).unwrap_err(), BadRecord::Encoding);
}

#[test]
fn peek_reads_id_and_edition_from_the_front() {
    let deleted = Record { deleted: true, ..edited().into_record() }.sign(GROUP, &somebody(2));
    for (signed, front) in [(signed(), 31), (edited(), 180), (deleted, 180)] {
        // The type follows, behind two bytes of its length at most.
        let front = front + 1 + signed.record().kind.as_str().len();
        let expected = (signed.record().id, signed.record().edition());
        assert_eq!(Signed::peek(&signed.bytes()[..front]), Some(expected));
        for end in 0..front {
            assert_eq!(Signed::peek(&signed.bytes()[..end]), None);
        }
    }
}

type Change = fn(&mut Record);

#[test]
fn each_rule_has_its_error() {
    let good = record(somebody(1).peer_id(), 7);
    assert_eq!(good.check(PAYLOAD_BYTES_DEFAULT_MAX), Ok(()));
    let attribute = |name: &str, value| Attribute { name: name.into(), value };
    let cases: [(Change, BadRecord); 13] = [
        (
            |r| r.id = RecordId::new(PeerId::from_bytes([3; 32]), "chat.message", 7),
            BadRecord::ForeignId,
        ),
        (|r| r.kind = RecordType::new("chat.picture").unwrap(), BadRecord::ForeignId),
        (|r| r.created = WallTime(1_001), BadRecord::Times),
        (|r| r.expires = r.modified, BadRecord::Times),
        (|r| r.modified = WallTime(1_001), BadRecord::Times),
        (|r| r.modifier = Some(r.creator), BadRecord::Times),
        (|r| (r.deleted, r.payload) = (true, Bytes::new()), BadRecord::DeletedWithContent),
        (|r| (r.deleted, r.attributes) = (true, vec![]), BadRecord::DeletedWithContent),
        (|r| r.payload = vec![0; PAYLOAD_BYTES_DEFAULT_MAX + 1].into(), BadRecord::PayloadTooLong),
        (|r| r.attributes = vec![r.attributes[0].clone(); 65], BadRecord::TooManyAttributes),
        (|r| r.attributes[0].name.clear(), BadRecord::AttributeName),
        (|r| r.attributes[0].name = "two words".into(), BadRecord::AttributeName),
        (|r| r.attributes[0].name = "PeerCreatorId".into(), BadRecord::AttributeName),
    ];
    assert_eq!(ATTRIBUTES_MAX, 64);
    for (nth, (change, error)) in cases.into_iter().enumerate() {
        let mut record = good.clone();
        change(&mut record);
        assert_eq!(record.check(PAYLOAD_BYTES_DEFAULT_MAX), Err(error), "case {nth}");
    }
    let mut record = good.clone();
    record.attributes = vec![attribute("text", Value::String("x".repeat(17_000)))];
    assert_eq!(record.check(100), Err(BadRecord::TooManyAttributes));
    record.attributes = vec![attribute("real", Value::Real(f64::NAN))];
    assert_eq!(record.check(100), Err(BadRecord::Encoding));
}

#[test]
fn type_names_are_checked() {
    for good in ["a", "chat.message", "0-9.z", RecordType::PRESENCE, &"a".repeat(64)] {
        assert_eq!(RecordType::new(good).unwrap().as_str(), good);
    }
    for bad in ["", "Chat", "a b", "ä", "a_b", &"a".repeat(65)] {
        assert_eq!(RecordType::new(bad), Err(ParseTypeError));
    }
    assert!(RecordType::new("peergraph.anything").unwrap().is_reserved());
    assert!(!RecordType::new("peergraphs").unwrap().is_reserved());
}

#[test]
fn version_follows_peer_time_and_never_falls() {
    let noon = WallTime(1_700_000_000_000);
    for salt in [0, 1, u16::MAX] {
        let first = next_version(noon, 0, salt);
        assert_eq!(version_time(first), noon);
        assert_eq!(next_version(noon, first, salt), first + 1);
        assert_eq!(next_version(WallTime(0), first, salt), first + 1);
        assert_eq!(next_version(WallTime(u64::MAX), u64::MAX, salt), u64::MAX);
    }
    assert_eq!(next_version(WallTime(u64::MAX), 0, 0), u64::MAX << 16);
    assert_ne!(next_version(noon, 0, 1), next_version(noon, 0, 2), "what chance tells apart");
}

#[test]
fn order_of_a_record_and_of_its_meta_are_the_same() {
    let ada = somebody(1);
    let mut changed = record(ada.peer_id(), 7);
    (changed.modified, changed.modifier) = (WallTime(1_500), Some(ada.peer_id()));
    let (old, new) = (signed(), changed.sign(GROUP, &ada));
    assert_eq!(Meta::from(&old).order(), old.order());
    assert_eq!(Meta::from(&new).order(), new.order());
    assert_eq!(new.supersedes(&Meta::from(&old)), Ordering::Greater);
    assert_eq!(old.supersedes(&Meta::from(&new)), Ordering::Less);
    assert_eq!(old.supersedes(&Meta::from(&old)), Ordering::Equal);
    let by_eve = edited();
    assert_eq!(Meta::from(&by_eve).order(), by_eve.order());
    assert_eq!(by_eve.supersedes(&Meta::from(&old)), Ordering::Greater);
    assert_eq!(by_eve.record().base(), old.record().version);
}

#[test]
fn meta_is_small() {
    assert!(size_of::<Meta>() <= 144, "{} bytes", size_of::<Meta>());
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<String>().prop_map(Value::String),
        any::<i64>().prop_map(Value::Integer),
        any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Value::Real),
        any::<u64>().prop_map(|time| Value::Date(WallTime(time))),
        any::<bool>().prop_map(Value::Boolean),
    ]
}

prop_compose! {
    fn any_record()(
        random in any::<u64>(), version in any::<u64>(), changed in any::<bool>(),
        begun in any::<bool>(), times in any::<[u64; 3]>(), deleted in any::<bool>(), kind in "[a-z0-9.-]{1,64}",
        attributes in vec(("[a-zA-Z0-9]{1,40}", any_value()), 0..5), payload in vec(any::<u8>(), 0..300),
    ) -> Record {
        let creator = somebody(1).peer_id();
        let [created, modified, expires] = times.map(WallTime);
        Record {
            kind: RecordType::new(&kind).unwrap(),
            version, created, modified, expires, deleted,
            modifier: changed.then(|| somebody(2).peer_id()),
            attributes: attributes.into_iter().map(|(name, value)| Attribute { name, value }).collect(),
            payload: payload.into(),
            beginning: begun.then(|| signed().record().beginning_by(somebody(1).public_key())),
            ..record(creator, random)
        }
    }
}

proptest! {
    #[test]
    fn any_record_comes_back(record in any_record()) {
        let signed = record.clone().sign(GROUP, &somebody(1));
        let read = Signed::decode(signed.bytes().clone()).unwrap();
        prop_assert_eq!(read.record(), signed.record());
        prop_assert_eq!(signed.record().size(), signed.size());
        prop_assert_eq!(Signed::peek(signed.bytes()), Some((record.id, record.edition())));
        let unsigned = Record { signature: [0; 64], ..read.into_record() };
        prop_assert_eq!(unsigned, record);
    }

    #[test]
    fn any_bytes_are_refused_or_the_one_form(
        mut bytes in vec(any::<u8>(), 0..400), record in any_record(), places in vec(any::<(usize, u8)>(), 0..4),
    ) {
        let _ = Signed::decode(bytes.clone().into());
        bytes = record.sign(GROUP, &somebody(1)).bytes().to_vec();
        for (place, byte) in places {
            let len = bytes.len();
            bytes[place % len] = byte;
        }
        if let Ok(read) = Signed::decode(bytes.clone().into()) {
            let again = codec::whole(&codec::header(read.record()), &read.record().signature, &read.record().payload);
            prop_assert_eq!(again, bytes);
        }
    }
}
