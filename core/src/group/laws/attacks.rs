//! Attacks by members who sign by hand. Each once cost somebody its records, its membership or its link.
use super::*;

fn member(story: &Story, n: u8, name: &str, role: Role, serial: [u8; 16], hours: u32) -> Signer {
    let identity = Identity::generate([n; 32], [n; 16], name, NOW).unwrap();
    let subject = Subject::of_identity(identity.certificate()).unwrap();
    let (from, end) = (NOW.before(HOUR), NOW.after(HOUR * hours));
    let root = story.owner.root();
    let issued =
        cert::issue_by_owner(&story.key, root, subject, &role.into(), serial, from, end).unwrap();
    let all = [root.clone(), issued];
    let chain = cert::verify_chain(&all, story.group(), identity::verify).unwrap();
    Signer { identity, chain }
}

fn record(
    story: &Story,
    by: &Signer,
    kind: &str,
    nth: u64,
    payload: Vec<u8>,
    until: WallTime,
) -> Signed {
    let creator = by.identity.peer_id();
    Record {
        id: RecordId::new(creator, kind, nth),
        kind: RecordType::new(kind).unwrap(),
        version: next_version(NOW, 0, 0),
        creator,
        modifier: None,
        created: NOW,
        modified: NOW,
        expires: until,
        deleted: false,
        attributes: Vec::new(),
        payload: payload.into(),
        certificate: by.chain.id(),
        signature: [0; 64],
    }
    .sign(story.group(), &by.identity)
}

fn membership(story: &Story, by: &Signer, of: &VerifiedChain) -> Signed {
    let payload = cert::encode_chain(of.certificates());
    let until = of.not_after().min(by.chain.not_after());
    record(story, by, RecordType::MEMBERSHIP, u64::from(of.id().as_bytes()[31]), payload, until)
}

/// A membership with somebody else's serial takes nothing from it, and costs no honest sender its link.
#[test]
fn serial_taken_twice_harms_nobody() {
    let story = Story::new(1);
    let ada = member(&story, 50, "Ada", Role::Administrator, [50; 16], 20);
    let mal = member(&story, 51, "Mallory", Role::Inviting, [51; 16], 20);
    let puppet = Identity::generate([52; 32], [52; 16], "P", NOW).unwrap();
    let subject = Subject::of_identity(puppet.certificate()).unwrap();
    let squat = cert::issue_member(
        &mal.identity,
        &mal.chain,
        subject,
        &Role::Member.into(),
        *ada.chain.leaf().serial().as_bytes(),
        NOW.before(HOUR),
        NOW.after(HOUR * 10),
    )
    .unwrap();
    let all = [mal.chain.certificates(), &[squat]].concat();
    let squat = cert::verify_chain(&all, story.group(), identity::verify).unwrap();
    let until = NOW.after(HOUR * 9);
    let all = [
        membership(&story, &mal, &mal.chain),
        membership(&story, &mal, &squat),
        membership(&story, &ada, &ada.chain),
        record(&story, &ada, "note", 1, b"hello".to_vec(), until),
    ];
    for order in [[0, 2, 1, 3], [0, 1, 2, 3]] {
        let mut newcomer = Replica::new(&story);
        newcomer.group = Group::new(0, "laws".into(), story.owner.clone());
        let blame: Vec<_> = order.iter().map(|&at| newcomer.offer(&all[at])).collect();
        assert_eq!(newcomer.held().len(), 1, "{order:?}: {blame:?}");
        assert!(blame.iter().all(Result::is_ok), "{order:?}: {blame:?}");
    }
}
