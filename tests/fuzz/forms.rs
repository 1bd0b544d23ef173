//! Bytes and texts that come from outside: what is accepted means the same when it is written again.
use bytes::Bytes;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use peergraph_core::address::Address;
use peergraph_core::cert::{self, Certificate, Role, Subject, VerifiedChain};
use peergraph_core::id::{
    CertificateId, Fingerprint, GroupId, PeerId, PeerPrefix, RecordId, RootPin,
};
use peergraph_core::identity::{self, GroupKey, Identity, PublicKey};
use peergraph_core::invitation::{BearerSecret, Invitation, InvitationKind};
use peergraph_core::limits::{CERTIFICATE_BYTES_MAX, CERTIFICATES_MAX, PAYLOAD_BYTES_DEFAULT_MAX};
use peergraph_core::policy::Policy;
use peergraph_core::record::{Attribute, Record, RecordType, Signed, Value};
use peergraph_core::time::WallTime;
use sha2::{Digest as _, Sha256};
use std::time::Duration;

pub(crate) const NOW: WallTime = WallTime(1_800_000_000_000);
const YEAR: Duration = Duration::from_secs(31_536_000);
const PASSWORD: &str = "password";

/// Stands for every signature being good: what lies behind the checks of signatures is reached too.
pub(crate) fn trust(_: &PublicKey, _: &[u8], _: &[u8; 64]) -> bool {
    true
}

/// A certificate in DER or PEM.
pub fn certificate(data: &[u8]) {
    if let Ok(certificate) = Certificate::from_der(data) {
        assert_eq!(certificate.der(), data);
        assert!(data.len() <= CERTIFICATE_BYTES_MAX);
        assert_eq!(certificate.peer_id(), certificate.subject_key().peer_id());
        assert!(certificate.not_before() < certificate.not_after());
        assert_eq!(Certificate::from_pem(&certificate.to_pem()), Ok(certificate.clone()));
        let _ = cert::verify_identity(&certificate, identity::verify);
        let _ = cert::verify_root(&certificate, identity::verify);
    }
    let _ = Certificate::from_pem(&String::from_utf8_lossy(data));
}

/// A chain of certificates, as it travels.
pub fn chain(data: &[u8]) {
    let Ok(certificates) = cert::decode_chain(data) else { return };
    assert_eq!(cert::decode_chain(&cert::encode_chain(&certificates)).as_ref(), Ok(&certificates));
    let Some(root) = certificates.first() else { return };
    let group = GroupId::from(root.peer_id());
    let genuine = cert::verify_chain(&certificates, group, identity::verify);
    let formal = cert::verify_chain(&certificates, group, trust);
    if let Ok(chain) = &genuine {
        assert_eq!(formal.as_ref(), Ok(chain), "signatures are checked last");
    }
    if let Ok(chain) = formal {
        assert!((2..=CERTIFICATES_MAX).contains(&certificates.len()));
        let leaf = chain.leaf();
        for above in &certificates {
            assert!(above.not_before() <= leaf.not_before());
            assert!(above.not_after() >= leaf.not_after());
        }
        for issuer in &certificates[1..certificates.len() - 1] {
            let role = issuer.role().expect("memberships have roles");
            assert!(role.may_invite() && role >= chain.role());
        }
    }
}

/// An invitation: as text, and as the bytes inside with a check sum that fits.
pub fn invitation(data: &[u8]) {
    let sum: [u8; 32] = Sha256::digest(data).into();
    let inside = format!("pgi2{}", BASE64URL_NOPAD.encode(&[data, &sum[..4]].concat()));
    for text in [String::from_utf8_lossy(data).into_owned(), inside] {
        let Ok(found) = Invitation::from_text(&text) else { continue };
        // Parts without room in a short link are left out; all else comes back, and comes back
        // again.
        let read = |text: &str| Invitation::from_text(text).expect("it was just written");
        let invitation = read(&found.to_text());
        assert_eq!((invitation.group, &invitation.kind), (found.group, &found.kind));
        assert_eq!(invitation.expires, found.expires);
        assert_eq!(read(&invitation.to_text()), invitation);
        let page = "https://node.example/chat/";
        assert_eq!(read(&read(&found.to_link(page)).to_link(page)), read(&found.to_link(page)));
        let summary = invitation.summary();
        assert_eq!(summary.group, invitation.group);
        let me = match &invitation.kind {
            InvitationKind::Bound { for_peer, .. } => *for_peer,
            InvitationKind::Bearer { .. } | InvitationKind::Password { .. } => {
                PeerId::from_bytes([1; 32])
            }
        };
        let genuine = invitation.check(me, NOW, identity::verify);
        let formal = invitation.check(me, NOW, trust);
        assert!(genuine.is_err() || formal.is_ok());
    }
}

/// An identity: its private form, that of a group's key, and the file under a password. The first byte says which.
pub fn identity(data: &[u8]) {
    let Some((which, data)) = data.split_first() else { return };
    match which {
        0 => {
            if let Ok(identity) = Identity::from_bytes(data) {
                let again =
                    Identity::from_bytes(&identity.to_bytes()).expect("it was just written");
                assert_eq!(again.peer_id(), identity.peer_id());
            }
        }
        1 => {
            if let Ok(key) = GroupKey::from_bytes(data) {
                let again = GroupKey::from_bytes(&key.to_bytes()).expect("it was just written");
                assert_eq!(again.group_id(), key.group_id());
            }
        }
        2 => _ = Identity::import(&String::from_utf8_lossy(data), PASSWORD),
        _ => {
            let sum: [u8; 32] = Sha256::digest(data).into();
            let body = BASE64.encode(&[data, &sum[..8]].concat());
            let label = "PEERGRAPH IDENTITY";
            let text = format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
            let _ = Identity::import(&text, PASSWORD);
        }
    }
}

/// The bytes of a record.
pub fn record(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let peeked = Signed::peek(&bytes);
    let Ok(signed) = Signed::decode(bytes) else { return };
    let record = signed.record();
    assert_eq!(peeked, Some((record.id, record.edition())));
    assert_eq!(signed.bytes(), data);
    if record.check(PAYLOAD_BYTES_DEFAULT_MAX).is_ok() {
        assert!(record.created <= record.modified && record.modified < record.expires);
    }
    // It has one form: written again, only the signature differs.
    let (ada, group) = (someone(1), GroupId::from_bytes([9; 32]));
    let again = record.clone().sign(group, &ada);
    assert_eq!(again.bytes().len(), data.len());
    let differ = again.bytes().iter().zip(data).filter(|(a, b)| a != b).count();
    assert!(differ <= record.signature.len());
    assert!(again.verify(group, &ada.public_key()));
}

pub(crate) fn someone(number: u8) -> Identity {
    Identity::generate([number; 32], [number; 16], "someone", NOW).expect("a good name")
}

/// Root, creator, inviting member, member.
fn members() -> VerifiedChain {
    let key = GroupKey::generate([9; 32]);
    let end = NOW.after(YEAR);
    let root = cert::issue_root(&key, "talk", &Policy::default(), [0; 16], NOW, end);
    let root = root.expect("the default policy is a good one");
    let mut issuer = someone(1);
    let subject = Subject::of_identity(issuer.certificate()).expect("an identity");
    let grant = Role::Administrator.into();
    let first = cert::issue_by_owner(&key, &root, subject, &grant, [1; 16], NOW, end);
    let mut certificates = vec![root, first.expect("the group's key may issue")];
    for (number, role) in [(2, Role::Inviting), (3, Role::Member)] {
        let above = cert::verify_chain(&certificates, key.group_id(), identity::verify);
        let above = above.expect("just issued");
        let next = someone(number);
        let subject = Subject::of_identity(next.certificate()).expect("an identity");
        let (grant, serial) = (role.into(), [number; 16]);
        let issued = cert::issue_member(&issuer, &above, subject, &grant, serial, NOW, end);
        certificates.push(issued.expect("it may issue"));
        issuer = next;
    }
    cert::verify_chain(&certificates, key.group_id(), identity::verify).expect("just issued")
}

pub(crate) fn certificate_seeds() -> Vec<Vec<u8>> {
    let chain = members();
    let der = |certificate: &Certificate| certificate.der().to_vec();
    let mut seeds: Vec<_> = chain.certificates().iter().map(der).collect();
    seeds.push(der(someone(4).certificate()));
    seeds.push(chain.leaf().to_pem().into_bytes());
    seeds
}

pub(crate) fn chain_seeds() -> Vec<Vec<u8>> {
    let chain = members();
    let all = chain.certificates();
    vec![cert::encode_chain(all), cert::encode_chain(&all[..2]), cert::encode_chain(&all[1..])]
}

pub(crate) fn invitation_seeds() -> Vec<Vec<u8>> {
    let chain = members();
    let address: Address = "ws://localhost:80/".parse().expect("an address");
    let socket = "[2001:db8::1]:4000".parse().expect("a socket");
    let fingerprint = Fingerprint::from_bytes([7; 32]);
    let bound = Invitation {
        group: chain.group(),
        root: RootPin::of(chain.root().der()),
        inviter: PeerPrefix::of(someone(2).peer_id()),
        nodes: vec!["https://node.example/".parse().expect("a URL")],
        addresses: vec![address, Address::Rtc { socket, fingerprint }],
        expires: Some(NOW.after(YEAR)),
        kind: InvitationKind::Bound {
            chain: chain.certificates().to_vec(),
            for_peer: chain.peer(),
            inviter: "someone".to_owned(),
        },
    };
    let (secret, role) = (BearerSecret::from_bytes([5; 16]), Role::Inviting);
    let kind = InvitationKind::Bearer { id: None, secret, role };
    let bearer = Invitation { kind, ..bound.clone() };
    let kind = InvitationKind::Password { id: RecordId::from_bytes([5; 16]), role };
    let password = Invitation { kind, ..bound.clone() };
    let link = bearer.to_link("https://node.example/chat/");
    let mut seeds = vec![link.replace('#', "%23").into_bytes(), format!("<{link}>.").into_bytes()];
    for invitation in [bound, bearer, password] {
        let text = invitation.to_text();
        let bytes = BASE64URL_NOPAD.decode(&text.as_bytes()[4..]).expect("its own text");
        seeds.extend([text.into_bytes(), bytes[..bytes.len() - 4].to_vec()]);
    }
    seeds
}

pub(crate) fn identity_seeds() -> Vec<Vec<u8>> {
    let ada = someone(1);
    let with = |which: u8, bytes: &[u8]| [&[which], bytes].concat();
    let file = ada.export(PASSWORD, [7; 40]);
    vec![
        with(0, &ada.to_bytes()),
        with(1, &GroupKey::generate([9; 32]).to_bytes()),
        with(2, file.as_bytes()),
        // A map of everything but the secret, with little memory.
        with(3, &[0xa4, 0, 1, 1, 8, 2, 1, 3, 1]),
    ]
}

pub(crate) fn record_seeds() -> Vec<Vec<u8>> {
    let ada = someone(1);
    let attribute = |name: &str, value| Attribute { name: name.to_owned(), value };
    let full = Record {
        id: RecordId::new(ada.peer_id(), "chat.message", 7),
        kind: RecordType::new("chat.message").expect("a good type"),
        version: NOW.0 << 16,
        creator: ada.peer_id(),
        modifier: Some(ada.peer_id()),
        created: NOW,
        modified: NOW.after(Duration::from_secs(1)),
        expires: NOW.after(YEAR),
        deleted: false,
        attributes: vec![
            attribute("text", Value::String("hello".to_owned())),
            attribute("number", Value::Integer(-5)),
            attribute("real", Value::Real(0.5)),
            attribute("date", Value::Date(NOW)),
            attribute("truth", Value::Boolean(true)),
        ],
        payload: Bytes::from_static(b"hello"),
        certificate: CertificateId::from_bytes([0x41; 32]),
        beginning: None,
        signature: [0; 64],
    };
    let plain = Record { modifier: None, modified: NOW, attributes: Vec::new(), ..full.clone() };
    let deleted =
        Record { deleted: true, attributes: Vec::new(), payload: Bytes::new(), ..full.clone() };
    let group = GroupId::from_bytes([9; 32]);
    let signed = |record: Record| record.sign(group, &ada);
    let bob = someone(2);
    let beginning = Some(signed(plain.clone()).record().beginning_by(ada.public_key()));
    let version = full.version + 1;
    let edited = Record { modifier: Some(bob.peer_id()), beginning, version, ..full.clone() };
    let edited = edited.sign(group, &bob);
    [signed(full), signed(plain), signed(deleted), edited].map(|it| it.bytes().to_vec()).into()
}
