//! A record that comes in is billed in one place, by its bytes; and what is shown to us as an
//! argument is no way in.
use super::attacks::{member, membership, record, revocation};
use super::*;
use crate::group::internal::{invitation_id, redemption_id, redemption_payload};
use crate::group::records::Accepted;
use crate::group::waste::{in_vain, units};
use crate::group::{OpenInvitation, batch::Taken};
use crate::invitation::BearerSecret;
use crate::limits;
use crate::roll::{Kept, Reason, Revocation, Target};

fn accept(replica: &mut Replica, records: &[Signed]) -> Vec<Taken> {
    let bytes = records.iter().map(|signed| signed.bytes().clone()).collect();
    let (taken, blame) = replica.with(|group, ctx| group.accept_all(ctx, bytes, None));
    assert_eq!(blame, Ok(()));
    taken
}

/// The same, each in a message of its own.
fn accept_each(replica: &mut Replica, records: &[Signed]) -> Vec<Taken> {
    records.chunks(1).flat_map(|one| accept(replica, one)).collect()
}

/// R23. Goal: good records in the same message hide no waste. Method: a record of a MB that is
/// known, alone and among 999 that are small and new.
#[test]
fn what_came_in_vain_is_billed_by_its_own_bytes() {
    let story = Story::new(1);
    let note =
        |nth, bytes| record(&story, &story.bob, "other", nth, vec![7; bytes], NOW.after(HOUR));
    let large = note(0, 1_000_000);
    let mut replica = Replica::new(&story);
    replica.take(std::slice::from_ref(&large));
    let alone = in_vain(&accept(&mut replica, std::slice::from_ref(&large)));
    assert_eq!(alone, 1 + large.bytes().len() as u64 / 1024);
    let mut message: Vec<Signed> = (1..1_000).map(|nth| note(nth, 10)).collect();
    message.insert(500, large);
    assert_eq!(in_vain(&accept(&mut replica, &message)), alone);
    assert_eq!(replica.held().len(), 1_000);
}

/// R13. Goal: records that come faster than the disk writes are put off at a bound of bytes, at
/// nobody's cost, and nothing is lost. Method: forty of 900 KB while nothing is written; then, as
/// often as it takes, the disk catches up and they come again. A host that stops reading by itself
/// takes them all.
#[test]
fn what_comes_faster_than_the_disk_writes_is_put_off_by_its_bytes() {
    let story = Story::new(1);
    let until = NOW.after(HOUR);
    let note = |nth| record(&story, &story.bob, "other", nth, vec![7; 900_000], until);
    let notes: Vec<Signed> = (0..40).map(note).collect();
    let mut replica = Replica::new(&story);
    assert_eq!(accept_each(&mut replica, &notes).len(), 40);
    assert_eq!(replica.held().len(), 40);

    let mut replica = Replica::new(&story);
    replica.config.reads_on = true;
    // One more than a share holds, since the last one is looked at before it is weighed.
    let share = (limits::WRITES_WAITING.each() / 900_000 + 1) as usize;
    let mut rounds = 0;
    while replica.held().len() < 40 {
        let known = rounds * share;
        let taken = accept_each(&mut replica, &notes);
        rounds += 1;
        let put_off = taken.iter().filter(|it| it.outcome == Accepted::PutOff).count();
        assert_eq!((replica.held().len(), put_off), (rounds * share, 40 - rounds * share));
        let vain = units(notes[0].bytes().len()) * known as u64;
        assert_eq!(in_vain(&taken), vain, "what is put off is no waste");
        assert!(replica.storage.waiting_bytes() <= limits::WRITES_WAITING.each() + 1_000_000);
        let mut out = Outbox::new();
        replica.storage.flush(&mut out);
        for output in out {
            if let Output::Store { op, .. } = output {
                replica.storage.answered(op);
            }
        }
        assert_eq!(replica.storage.waiting_bytes(), 0);
    }
    assert_eq!(rounds, 40 / share);
}

/// Goal: a revocation waits for no disk. Method: it comes while more waits than may.
#[test]
fn revocation_is_never_put_off() {
    let story = Story::new(1);
    let mut replica = Replica::new(&story);
    replica.config.reads_on = true;
    let until = NOW.after(HOUR * 9);
    let note = |nth| record(&story, &story.bob, "other", nth, vec![7; 900_000], until);
    accept_each(&mut replica, &(0..30).map(note).collect::<Vec<_>>());
    let act = act(&story.ada, &story.bob.chain);
    let taken = accept_each(&mut replica, &[note(99), revocation(&story, &story.ada, &act, until)]);
    let outcomes: Vec<Accepted> = taken.iter().map(|it| it.outcome).collect();
    assert_eq!(outcomes, [Accepted::PutOff, Accepted::New]);
}

/// R26. Goal: one whose key has the same 64 bits of hash takes nobody's record. Method: the index
/// holds a record of another creator, or of another type, under the very id of a note of Bob's.
#[test]
fn id_of_two_creators_or_types_stands_for_the_first() {
    let story = Story::new(1);
    let note = |by, kind, step: u64| {
        let signed = record(&story, by, kind, 1, vec![step as u8], NOW.after(HOUR));
        let version = next_version(NOW.after(Duration::from_millis(step)), 0, 0);
        Record { version, ..signed.into_record() }.sign(story.group(), &by.identity)
    };
    let bobs = note(&story.bob, "other", 9);
    for (held, outcome) in [
        (note(&story.bob, "other", 1), Accepted::New),
        (note(&story.eve, "other", 1), Accepted::Refused),
        (note(&story.bob, "another", 1), Accepted::Refused),
    ] {
        let mut replica = Replica::new(&story);
        let meta = Meta { id: bobs.record().id, ..Meta::from(&held) };
        replica.group.put(Class::Application, meta);
        assert_eq!(accept(&mut replica, std::slice::from_ref(&bobs))[0].outcome, outcome);
    }
}

fn act(by: &Signer, of: &VerifiedChain) -> Revocation {
    Revocation {
        version: 0,
        digest: Digest::default(),
        signer: by.chain.clone(),
        target_chain: of.clone(),
        target: Target::Certificate(of.id()),
        reason: Reason::Misconduct,
        standing: SortedSet::new(),
        kept: Kept::default(),
    }
}

fn invitation(story: &Story, by: &Signer, nth: u64) -> Signed {
    let inviter = by.identity.peer_id();
    let open = OpenInvitation {
        key: BearerSecret::from_bytes([7; 16]).public_key(),
        inviter,
        grant: Role::Member.into(),
        uses: 1,
        expires: NOW.after(HOUR),
        version: 0,
    };
    let id = invitation_id(inviter, 1, nth);
    record(story, by, RecordType::INVITATION, id.random(), open.to_payload(), NOW.after(HOUR * 2))
}

/// One whom `by` let in by an invitation, and the record that says so.
fn let_in(story: &Story, by: &Signer, n: u8, invitation: RecordId) -> (Signer, Signed) {
    let identity = Identity::generate([n; 32], [n; 16], "came", NOW).unwrap();
    let subject = Subject::of_identity(identity.certificate()).unwrap();
    let (from, end, role) = (NOW.before(HOUR), NOW.after(HOUR * 9), Role::Member.into());
    let issued =
        cert::issue_member(&by.identity, &by.chain, subject, &role, [n; 16], from, end).unwrap();
    let payload = redemption_payload(invitation, &issued, None);
    let all = [by.chain.certificates(), &[issued]].concat();
    let chain = cert::verify_chain(&all, story.group(), identity::verify).unwrap();
    let id = redemption_id(by.identity.peer_id(), invitation, identity.peer_id());
    let kind = RecordType::REDEMPTION;
    let used = record(story, by, kind, id.random(), payload, end);
    (Signer { identity, chain }, used)
}

impl Replica {
    fn argument(&mut self, shown: &[&Signed]) -> Vec<Bytes> {
        let proof = shown.iter().map(|signed| signed.bytes().to_vec().into()).collect();
        self.with(|group, ctx| group.argument(ctx, proof))
    }
}

fn bytes(shown: &[&Signed]) -> Vec<Bytes> {
    shown.iter().map(|signed| signed.bytes().clone()).collect()
}

/// R17, S8. Goal: what a node shows as the reason why our membership does not stand is heard as far
/// as it is about that membership. Method: real records of every kind that are about others, among
/// those that hit ours; then more than are looked at.
#[test]
fn proof_is_heard_as_far_as_it_hits_our_own_membership() {
    let story = Story::new(1);
    let (ada, bob, eve) = (&story.ada, &story.bob, &story.eve);
    let mal = member(&story, 60, "Mal", Role::Inviting, [60; 16], 20);
    let until = NOW.after(HOUR * 9);
    let revoked = |of: &Signer| revocation(&story, ada, &act(ada, &of.chain), until);
    let (of_bob, of_eve) = (revoked(bob), revoked(eve));
    let note = record(&story, ada, "other", 1, b"mail".to_vec(), until);
    let shown = membership(&story, &mal, &mal.chain);
    let foreign = invitation(&story, ada, 1);
    let (_, foreign_use) = let_in(&story, ada, 61, foreign.record().id);
    let others = [&note, &shown, &foreign, &foreign_use, &of_eve];
    let mut replica = Replica::new(&story);
    replica.group.chain = Some(bob.chain.clone());
    let mut all = others.to_vec();
    all.insert(2, &of_bob);
    assert_eq!(replica.argument(&all), bytes(&[&of_bob]));
    let junior = member(&story, 62, "Junior", Role::Administrator, [62; 16], 20);
    let own = revocation(
        &story,
        bob,
        &Revocation { reason: Reason::Left, ..act(bob, &bob.chain) },
        until,
    );
    assert_eq!(replica.argument(&[&own]), bytes(&[&own]), "by another node of ours");
    let by_junior = revocation(&story, &junior, &act(&junior, &eve.chain), until);
    assert_eq!(replica.argument(&[&by_junior]), bytes(&[]));
    // Those who came by the same invitation as we did.
    let invitation = invitation(&story, ada, 2);
    let (ours, our_use) = let_in(&story, ada, 63, invitation.record().id);
    let (_, another) = let_in(&story, ada, 64, invitation.record().id);
    replica.group.chain = Some(ours.chain.clone());
    let proof = [&invitation, &foreign_use, &another, &of_bob, &our_use, &foreign];
    let counting = [&invitation, &another, &our_use];
    assert_eq!(replica.argument(&proof), bytes(&counting));
    replica.take(&counting.map(Clone::clone));
    assert_eq!(replica.argument(&[&another, &foreign_use]), bytes(&[&another]), "ours is known");
    // Records beyond the bound are not looked at.
    replica.group.chain = Some(bob.chain.clone());
    let mut many = vec![&note; limits::PROOF_RECORDS_MAX - 1];
    many.extend([&of_bob, &of_bob]);
    assert_eq!(replica.argument(&many), bytes(&[&of_bob]));
}
