//! Attacks by members who sign by hand. Each once cost somebody its records, its membership or its link.
use super::*;
use crate::group::internal::{revocation_id, revocation_payload};
use crate::limits;
use crate::roll::{Kept, Reason, Revocation, Standing, Target};

pub(super) fn member(
    story: &Story,
    n: u8,
    name: &str,
    role: Role,
    serial: [u8; 16],
    hours: u32,
) -> Signer {
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

pub(super) fn record(
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
        beginning: None,
        signature: [0; 64],
    }
    .sign(story.group(), &by.identity)
}

pub(super) fn membership(story: &Story, by: &Signer, of: &VerifiedChain) -> Signed {
    let payload = cert::encode_chain(of.certificates());
    let until = of.not_after().min(by.chain.not_after());
    let nth = u64::from_be_bytes(*of.id().as_bytes().first_chunk().unwrap());
    record(story, by, RecordType::MEMBERSHIP, nth, payload, until)
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
        newcomer.group = empty(&story);
        let blame: Vec<_> = order.iter().map(|&at| newcomer.offer(&all[at])).collect();
        assert_eq!(newcomer.held().len(), 1, "{order:?}: {blame:?}");
        assert!(blame.iter().all(Result::is_ok), "{order:?}: {blame:?}");
    }
}

pub(super) fn revocation(story: &Story, by: &Signer, act: &Revocation, until: WallTime) -> Signed {
    let id = revocation_id(by.identity.peer_id(), act.target, 0);
    let kind = RecordType::REVOCATION;
    record(story, by, kind, id.random(), revocation_payload(act, 0), until)
}

/// An administrator whose membership has ended revokes nobody.
#[test]
fn who_has_expired_revokes_nobody() {
    let story = Story::new(1);
    let old = member(&story, 53, "Old", Role::Administrator, [53; 16], 1);
    let mut replica = Replica::new(&story);
    replica.wall = NOW.after(HOUR * 10);
    let act = Revocation {
        version: 0,
        digest: Digest::default(),
        signer: old.chain.clone(),
        target_chain: story.bob.chain.clone(),
        target: Target::Peer(story.bob.chain.peer()),
        reason: Reason::Misconduct,
        standing: SortedSet::new(),
        kept: Kept::default(),
    };
    let now = replica.wall;
    assert_eq!(replica.group.roll.standing(&old.chain, now), Standing::Expired);
    let until = old.chain.not_after().after(limits::CERTIFICATE_CLOCK_SKEW);
    for until in [story.owner.not_after(), until, old.chain.not_after()] {
        let blame = replica.offer(&revocation(&story, &old, &act, until));
        let standing = replica.group.roll.standing(&story.bob.chain, now);
        assert_eq!(standing, Standing::Member, "{blame:?}");
    }
    // While it lasted it could.
    replica.wall = NOW;
    assert_eq!(replica.offer(&revocation(&story, &old, &act, until)), Ok(()));
    let standing = replica.group.roll.standing(&story.bob.chain, NOW);
    assert!(matches!(standing, Standing::Revoked { .. }));
    // And what it did ends with it.
    replica.wall = now;
    replica.pass(HOUR);
    assert_eq!(replica.group.roll.standing(&story.bob.chain, now), Standing::Member);
}

/// A member that leaves takes with it nothing that is others'.
#[test]
fn leaving_with_nothing_kept_withdraws_nothing_of_others() {
    let story = Story::new(1);
    let mal = member(&story, 54, "Mallory", Role::Inviting, [54; 16], 20);
    let eve = Identity::generate([55; 32], [55; 16], "Carol", NOW).unwrap();
    let subject = Subject::of_identity(eve.certificate()).unwrap();
    let c = cert::issue_member(
        &mal.identity,
        &mal.chain,
        subject,
        &Role::Member.into(),
        [56; 16],
        NOW.before(HOUR),
        NOW.after(HOUR * 10),
    )
    .unwrap();
    let all = [mal.chain.certificates(), &[c]].concat();
    let chain = cert::verify_chain(&all, story.group(), identity::verify).unwrap();
    let carol = Signer { identity: eve, chain };
    let mut replica = Replica::new(&story);
    let note = record(&story, &carol, "other", 1, b"carol".to_vec(), NOW.after(HOUR * 9));
    replica.take(&[
        membership(&story, &mal, &mal.chain),
        membership(&story, &carol, &carol.chain),
        note,
    ]);
    assert_eq!(replica.held().len(), 1);
    let act = Revocation {
        version: 0,
        digest: Digest::default(),
        signer: mal.chain.clone(),
        target_chain: mal.chain.clone(),
        target: Target::Certificate(mal.chain.id()),
        reason: Reason::Left,
        standing: SortedSet::new(),
        kept: Kept::default(),
    };
    let leave = revocation(&story, &mal, &act, mal.chain.not_after());
    let blame = replica.offer(&leave);
    let mut links = crate::link::Links::default();
    replica.with(|group, ctx| group.enforce(ctx, &mut links));
    let standing = replica.group.roll.standing(&carol.chain, replica.wall);
    assert_eq!((replica.held().len(), standing), (1, Standing::Member), "{blame:?}");
    let left = replica.group.roll.standing(&mal.chain, replica.wall);
    assert!(matches!(left, Standing::Revoked { reason: Reason::Left, .. }));
}

/// A member that leaves has changed what others made: that stays, however low the version of its act, while its own goes.
#[test]
fn who_leaves_takes_back_its_own_and_nothing_that_it_changed() {
    let story = Story::new(1);
    let eve = &story.eve;
    let act = |nth, by, step| Act {
        nth,
        by,
        kind: "note",
        made: "note",
        step,
        content: 1,
        delete: false,
    };
    let [made, changed] = [act(1, &story.bob, 0), act(1, eve, 1)].map(|act| story.signed(&act));
    let own = record(&story, eve, "other", 2, b"eve's".to_vec(), NOW.after(HOUR));
    let mut replica = Replica::new(&story);
    replica.take(&[made, changed.clone(), own]);
    assert_eq!(replica.held().len(), 2);
    let leaves = Revocation {
        version: 0,
        digest: Digest::default(),
        signer: eve.chain.clone(),
        target_chain: eve.chain.clone(),
        target: Target::Certificate(eve.chain.id()),
        reason: Reason::Left,
        standing: SortedSet::new(),
        kept: Kept::default(),
    };
    let leave = revocation(&story, eve, &leaves, eve.chain.not_after());
    let leave = Record { version: 1, ..leave.into_record() }.sign(story.group(), &eve.identity);
    replica.take(&[leave]);
    let mut links = crate::link::Links::default();
    replica.with(|group, ctx| group.enforce(ctx, &mut links));
    assert_eq!(replica.held(), Held::from([(changed.record().id, changed.digest())]));
}

/// The group's key signs a second root, with another policy: what stands under it is another group's, though its certificates
/// hold. And what a group that began with it holds does not open under this one.
#[test]
fn memberships_under_another_root_of_one_key_are_no_memberships() {
    let story = Story::new(1);
    let policy = Policy { rights: Vec::new(), ..Policy::default() };
    let other = Story::under(1, &policy);
    assert_eq!(other.group(), story.group());
    assert_eq!(other.bob.chain.group(), story.bob.chain.group());
    let mut replica = Replica::new(&story);
    let shows = membership(&other, &other.bob, &other.bob.chain);
    assert_eq!(replica.offer(&shows), Err(BadRecord::Certificate));
    let certificates = other.bob.chain.certificates();
    let verdict = replica.with(|group, ctx| group.verify_chain(certificates, ctx));
    assert_eq!(verdict, Err(cert::CertError::OtherGroup));
}
