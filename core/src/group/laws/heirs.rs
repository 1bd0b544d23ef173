//! The group's own key in other hands: what a thief of an earlier one signs by hand changes nothing, and blames nobody.
use super::attacks::record;
use super::*;
use crate::group::heir::{Act as Handing, HeirOffer};
use crate::group::internal::{revocation_id, revocation_payload};
use crate::group::membership::issued_id;
use crate::id::{CertificateId, PeerId};
use crate::roll::{Kept, Reason, Revocation, Standing, Target};

/// A key that takes the place of the story's.
fn heirs_key(n: u8) -> GroupKey {
    GroupKey::generate([210 + n; 32])
}

/// The handover of the story's key to this one.
fn handover(story: &Story, to: u8, stay: &[&Signer], kept: &[&Signed], at: WallTime) -> Signed {
    let offer = HeirOffer::by(&heirs_key(to), story.group(), story.owner.id());
    let act = Handing {
        owner: &story.owner,
        offer: &offer,
        standing: stay.iter().map(|signer| signer.chain.id()).collect(),
        kept: Kept::new([7; 16], kept.iter().map(|signed| signed.digest())),
        serial: [to; 16],
        begin: NOW.before(HOUR),
        version: next_version(at, 0, 0),
        modified: at,
    };
    act.sign(&story.key).unwrap()
}

/// The line of the heir that a handover names.
fn heir_in(replica: &Replica) -> VerifiedChain {
    replica.group.roll.owner().clone()
}

struct Said<'a> {
    key: &'a GroupKey,
    line: &'a VerifiedChain,
    kind: &'a str,
    id: RecordId,
    payload: Vec<u8>,
    at: WallTime,
    deleted: bool,
}

impl Said<'_> {
    fn sign(self, story: &Story) -> Signed {
        let me = self.line.peer();
        Record {
            id: self.id,
            kind: RecordType::new(self.kind).unwrap(),
            version: next_version(self.at, 0, 0),
            creator: me,
            modifier: None,
            created: self.at,
            modified: self.at,
            expires: self.line.not_after(),
            deleted: self.deleted,
            attributes: Vec::new(),
            payload: self.payload.into(),
            certificate: self.line.id(),
            beginning: None,
            signature: [0; 64],
        }
        .sign_as_owner(story.group(), self.key)
    }
}

/// One of the group's own keys, with its line.
type Own<'a> = (&'a GroupKey, &'a VerifiedChain);

fn revocation(
    story: &Story,
    (key, line): Own<'_>,
    of: &VerifiedChain,
    by_peer: bool,
    at: WallTime,
) -> Signed {
    let target = if by_peer { Target::Peer(of.peer()) } else { Target::Certificate(of.id()) };
    let act = Revocation {
        version: 0,
        digest: Digest::default(),
        signer: line.clone(),
        target_chain: of.clone(),
        target,
        reason: Reason::Misconduct,
        standing: SortedSet::new(),
        kept: Kept::default(),
    };
    let id = revocation_id(line.peer(), target, 0);
    let payload = revocation_payload(&act, 0);
    let kind = RecordType::REVOCATION;
    Said { key, line, kind, id, payload, at, deleted: false }.sign(story)
}

fn properties(story: &Story, (key, line): Own<'_>, name: &str, at: WallTime) -> Signed {
    let (name, comment) = (name.to_owned(), String::new());
    let payload = crate::io::Properties { name, comment, presence_max: 50 }.to_payload();
    let kind = RecordType::PROPERTIES;
    let id = RecordId::new(line.peer(), kind, 0);
    Said { key, line, kind, id, payload, at, deleted: false }.sign(story)
}

/// A membership that one of the group's own keys issues, and offers by a record.
fn membership(story: &Story, (key, line): Own<'_>, n: u8, at: WallTime) -> (Signed, VerifiedChain) {
    let who = Identity::generate([n; 32], [n; 16], "who", NOW).unwrap();
    let subject = Subject::of_identity(who.certificate()).unwrap();
    let (role, end) = (Role::Administrator.into(), line.not_after());
    let leaf =
        cert::issue_by_owner(key, line.leaf(), subject, &role, [n; 16], NOW.before(HOUR), end);
    let certificates = [line.certificates(), &[leaf.unwrap()]].concat();
    let chain = cert::verify_chain(&certificates, story.group(), identity::verify).unwrap();
    let payload = cert::encode_chain(&certificates);
    let id = issued_id(line.peer(), chain.id());
    let kind = RecordType::MEMBERSHIP;
    (Said { key, line, kind, id, payload, at, deleted: false }.sign(story), chain)
}

/// All that a thief of the story's key signs, dated before and after the handover.
fn stolen(story: &Story, handed: &[Signed]) -> Vec<Signed> {
    let own = (&story.key, &story.owner);
    let mut all = Vec::new();
    for at in [NOW.before(HOUR / 2), NOW.after(Duration::from_millis(900))] {
        for (of, by_peer) in [(&story.bob, true), (&story.ada, false), (&story.eve, true)] {
            all.push(revocation(story, own, &of.chain, by_peer, at));
        }
        all.push(properties(story, own, "stolen", at));
        all.push(membership(story, own, 77, at).0);
        // The revocations that it said before, taken back.
        for said in handed.iter().map(Signed::record) {
            if said.kind.as_str() == RecordType::REVOCATION {
                let (key, line) = own;
                let (kind, id, payload) = (RecordType::REVOCATION, said.id, Vec::new());
                all.push(Said { key, line, kind, id, payload, at, deleted: true }.sign(story));
            }
        }
    }
    all
}

/// The view of a node: who stands, what the group is called, whose it is, and what is held.
type Seen = (Vec<Standing>, String, PeerId, Held, SortedSet<RecordId>);

fn seen(story: &Story, replica: &mut Replica) -> Seen {
    replica.group.roll.settle();
    let roll = &replica.group.roll;
    let all = [&story.bob, &story.eve, &story.mallory, &story.ada];
    let standing = all.map(|it| roll.standing(&it.chain, NOW)).to_vec();
    let acts = roll.acts().filter(|(_, act)| roll.has_effect(act)).map(|(id, _)| id).collect();
    (standing, replica.group.name.clone(), roll.owner().peer(), replica.held(), acts)
}

/// Does what follows from what came.
fn enforce(replica: &mut Replica) {
    let mut links = crate::link::Links::default();
    replica.with(|group, ctx| group.enforce(ctx, &mut links));
}

/// Goal: the law. Method: mallory is revoked and the group has a name; then it is handed over, and bob publishes. The records
/// that a thief of the old key signs come in chance order, all of them after the handover, or some before; another handover
/// among them.
#[test]
fn thief_of_an_earlier_key_changes_nothing_in_any_order() {
    each_seed("thief_of_an_earlier_key_changes_nothing_in_any_order", |story| {
        let own = (&story.key, &story.owner);
        let early = NOW.before(HOUR / 4);
        let handed = [
            revocation(story, own, &story.mallory.chain, true, early),
            properties(story, own, "honest", early),
        ];
        let stay = [&story.bob, &story.eve, &story.mallory, &story.ada];
        let act = handover(story, 1, &stay, &handed.each_ref(), NOW);
        let second = handover(story, 2, &[], &[], NOW.before(HOUR / 3));
        let third = handover(story, 3, &stay, &[], NOW.after(Duration::from_millis(800)));
        let same_heir_later =
            handover(story, 1, &stay, &handed.each_ref(), NOW.after(Duration::from_millis(1)));
        let notes: Vec<Signed> = (0..3)
            .map(|nth| {
                let (by, kind) = (&story.bob, "note");
                let made = Act { nth, by, kind, made: kind, step: 0, content: nth, delete: false };
                story.signed(&made)
            })
            .collect();
        let mut honest = Replica::new(story);
        honest.take(&handed);
        honest.take(std::slice::from_ref(&act));
        honest.take(&notes);
        enforce(&mut honest);
        let expected = seen(story, &mut honest);
        assert_eq!(expected.1, "honest");
        assert_eq!(expected.0[..2], [Standing::Member; 2]);
        assert!(matches!(expected.0[2], Standing::Revoked { .. }));
        assert_eq!(expected.2, heirs_key(1).public_key().peer_id());

        // An heir that is not the group's: its acts wait for a handover that never counts.
        let wrong = cert::verify_line(
            &[
                story.owner.certificates(),
                &[cert::issue_heir(
                    &story.key,
                    &story.owner,
                    heirs_key(2).public_key(),
                    Digest::of(b"nothing"),
                    [9; 16],
                    NOW.before(HOUR),
                )
                .unwrap()],
            ]
            .concat(),
            story.group(),
            identity::verify,
        )
        .unwrap();
        let wrongs = (&heirs_key(2), &wrong);
        let mut bad = stolen(story, &handed);
        bad.push(revocation(story, wrongs, &story.bob.chain, true, NOW));
        bad.push(properties(story, wrongs, "other", NOW));
        story.shuffle(&mut bad);
        let before = story.below(bad.len() as u64 + 1) as usize;
        let (before, after) = bad.split_at(before);

        let mut replica = Replica::new(story);
        replica.take(&handed);
        replica.take(before);
        if story.below(2) == 0 {
            enforce(&mut replica);
        }
        replica.take(std::slice::from_ref(&act));
        enforce(&mut replica);
        let mut after = after.to_vec();
        after.extend([second, third]);
        story.shuffle(&mut after);
        replica.take(&after);
        replica.take(&notes);
        enforce(&mut replica);
        // Records that the thief changed before are brought back by those who have them.
        replica.take(&handed);
        enforce(&mut replica);
        assert_eq!(seen(story, &mut replica), expected);
        // The same handover, signed again later.
        replica.take(std::slice::from_ref(&same_heir_later));
        enforce(&mut replica);
        assert_eq!(seen(story, &mut replica), expected);
    });
}

/// Goal: the law at a newcomer that knows the heir by its invitation before the handover itself has come. Method: it hears what
/// a thief of the earlier key signs, as the group and as an administrator that the thief lets in, then the handover, and what
/// the owner had said and kept before and after that.
#[test]
fn thief_of_an_earlier_key_changes_nothing_at_a_newcomer_that_knows_the_heir() {
    let story = Story::new(1);
    let own = (&story.key, &story.owner);
    let early = NOW.before(HOUR / 4);
    let handed = [
        revocation(&story, own, &story.mallory.chain, true, early),
        properties(&story, own, "honest", early),
    ];
    let stay = [&story.bob, &story.eve, &story.mallory, &story.ada];
    let act = handover(&story, 1, &stay, &handed.each_ref(), NOW);
    let mut honest = Replica::new(&story);
    honest.take(&handed);
    honest.take(std::slice::from_ref(&act));
    enforce(&mut honest);
    let (expected, line) = (seen(&story, &mut honest), heir_in(&honest));

    let mut bad = stolen(&story, &handed);
    let (let_in, chain) = membership(&story, own, 77, NOW.before(HOUR / 2));
    let puppet = Identity::generate([77; 32], [77; 16], "who", NOW).unwrap();
    bad.push(let_in);
    for of in [&story.bob, &story.eve] {
        let by_thief = revocation(&story, (&story.key, &chain), &of.chain, true, NOW);
        bad.push(by_thief.into_record().sign(story.group(), &puppet));
    }
    for honest_first in [false, true] {
        let mut newcomer = Replica::new(&story);
        assert!(newcomer.group.roll.know_line(line.clone()));
        if honest_first {
            newcomer.take(&handed);
        }
        newcomer.take(&bad);
        enforce(&mut newcomer);
        let (standing, name, ..) = seen(&story, &mut newcomer);
        assert_eq!(standing[..2], [Standing::Member; 2], "bob and eve");
        assert_eq!((standing[3], name.as_str()), (Standing::Member, "laws"), "ada");
        newcomer.take(std::slice::from_ref(&act));
        enforce(&mut newcomer);
        if !honest_first {
            newcomer.take(&handed);
            enforce(&mut newcomer);
        }
        assert_eq!(seen(&story, &mut newcomer), expected);
    }
}

/// An offer ends with its record.
#[test]
fn offer_is_forgotten_with_its_record() {
    let story = Story::new(1);
    let mut replica = Replica::new(&story);
    let bob = story.bob.identity.peer_id();
    let offer = HeirOffer::by(&heirs_key(1), story.group(), story.owner.id());
    let until = NOW.after(HOUR);
    replica.take(&[record(&story, &story.bob, RecordType::HEIR, 0, offer.to_payload(), until)]);
    assert!(replica.group.offers_ownership(bob));
    assert_eq!(replica.group.heirs.len(), 1);
    replica.pass(HOUR * 2);
    assert!(!replica.group.offers_ownership(bob));
    assert_eq!(replica.group.heirs.len(), 0);
}

/// Goal: what the heir says waits for the handover, whatever comes first. Method: all orders.
#[test]
fn what_an_heir_says_waits_for_the_handover() {
    let story = Story::new(1);
    let stay = [&story.bob, &story.eve, &story.mallory, &story.ada];
    let act = handover(&story, 1, &stay, &[], NOW);
    let mut first = Replica::new(&story);
    first.take(std::slice::from_ref(&act));
    let line = heir_in(&first);
    let key = heirs_key(1);
    let own = (&key, &line);
    let at = NOW.after(Duration::from_millis(10));
    let (member, chain) = membership(&story, own, 78, at);
    let all = [
        act,
        revocation(&story, own, &story.eve.chain, true, at),
        properties(&story, own, "by the heir", at),
        member,
    ];
    for turn in 0..all.len() {
        let mut order = all.clone();
        order.rotate_left(turn);
        let mut replica = Replica::new(&story);
        replica.take(&order);
        enforce(&mut replica);
        let now = seen(&story, &mut replica);
        assert_eq!((now.1.as_str(), now.2), ("by the heir", line.peer()), "{turn}");
        assert!(matches!(now.0[1], Standing::Revoked { by, .. } if by == story.group().into()));
        assert_eq!(replica.group.roll.standing(&chain, NOW), Standing::Member);
    }
}

/// Acts that lie are their bringer's fault: each breaks a rule that can be seen in it alone.
#[test]
fn handovers_that_break_a_rule_are_blamed() {
    let story = Story::new(1);
    let good = handover(&story, 1, &[&story.bob], &[], NOW);
    let blame = |record: Record, key: &GroupKey| {
        Replica::new(&story).offer(&record.sign_as_owner(story.group(), key))
    };
    let record = || good.record().clone();
    assert_eq!(blame(record(), &story.key), Ok(()));
    assert_eq!(blame(record(), &heirs_key(1)), Err(BadRecord::Signature));
    let ends = Record { expires: NOW.after(HOUR), ..record() };
    assert_eq!(blame(ends, &story.key), Err(BadRecord::Life));
    let other = RecordId::new(story.owner.peer(), RecordType::HANDOVER, 1);
    assert_eq!(blame(Record { id: other, ..record() }, &story.key), Err(BadRecord::ForeignId));
    let changed = Record {
        modifier: Some(story.owner.peer()),
        modified: NOW.after(Duration::from_millis(1)),
        ..record()
    };
    assert_eq!(blame(changed, &story.key), Err(BadRecord::Modifier));
    let gone = Record { deleted: true, payload: Bytes::new(), ..record() };
    assert_eq!(blame(gone, &story.key), Err(BadRecord::Modifier));
    let mut payload = record().payload.to_vec();
    let last = payload.len() - 1;
    payload[last] ^= 1;
    assert!(blame(Record { payload: payload.into(), ..record() }, &story.key).is_err());
    // By a member.
    let by_ada = Record {
        id: RecordId::new(story.ada.identity.peer_id(), RecordType::HANDOVER, 0),
        creator: story.ada.identity.peer_id(),
        certificate: story.ada.chain.id(),
        ..record()
    };
    let by_ada = by_ada.sign(story.group(), &story.ada.identity);
    assert_eq!(Replica::new(&story).offer(&by_ada), Err(BadRecord::Right));
    // Without the heir's consent.
    let offer = HeirOffer::by(&heirs_key(1), story.group(), CertificateId::from_bytes([1; 32]));
    let act = Handing {
        owner: &story.owner,
        offer: &offer,
        standing: SortedSet::new(),
        kept: Kept::default(),
        serial: [1; 16],
        begin: NOW.before(HOUR),
        version: next_version(NOW, 0, 0),
        modified: NOW,
    };
    let refused = Replica::new(&story).offer(&act.sign(&story.key).unwrap());
    assert_eq!(refused, Err(BadRecord::Signature));
}
