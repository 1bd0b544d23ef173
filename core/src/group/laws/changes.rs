//! Changes of others' records: whoever may change them and not delete them ends none of them, alters nothing of their
//! making, and makes none in another's name. The version that a change is a change of: `bases.rs`.
use super::*;
use crate::io::{Draft, RequestId, StoreFault, StoreTask};
use crate::link::Links;
use crate::record::Beginning;
use crate::storage::Change;

const REQUEST: RequestId = RequestId(7);

/// A group in which editors change notes and others' texts, and do not delete them. Eve is one.
pub(super) fn story(seed: u64) -> Story {
    let rights = Right { delete: false, ..right("*", "editor") };
    let open = Right { update: false, ..rights.clone() };
    let open = Right { roles: vec!["member".into()], ..open };
    Story::under(seed, &Policy { rights: vec![rights, open], ..Policy::default() })
}

/// Bob's note of this number, which lives for this long.
pub(super) fn note(story: &Story, nth: u64, life: Duration) -> Signed {
    let (by, kind) = (&story.bob, "note");
    let act = Act { nth, by, kind, made: kind, step: 0, content: nth, delete: false };
    let record = story.signed(&act).into_record();
    Record { expires: NOW.after(life), ..record }.sign(story.group(), &story.bob.identity)
}

/// The change that `by` makes of it, a millisecond later, with nothing else changed.
pub(super) fn edited(story: &Story, note: &Signed, by: &Signer) -> Record {
    let held = note.record();
    Record {
        version: held.version + (1 << 16),
        modifier: Some(by.identity.peer_id()),
        modified: held.modified.after(Duration::from_millis(1)),
        payload: Bytes::from_static(b"edited"),
        certificate: by.chain.id(),
        beginning: Some(held.beginning_by(story.bob.identity.public_key())),
        ..held.clone()
    }
}

/// The verdict of a node that holds `note` and is given this record, signed by `by`. A refused record leaves the note alone.
fn verdict(story: &Story, note: &Signed, record: Record, by: &Signer) -> Result<(), BadRecord> {
    let signed = record.sign(story.group(), &by.identity);
    let mut replica = Replica::new(story);
    replica.group.roll.add(by.chain.clone());
    replica.take(std::slice::from_ref(note));
    let blame = replica.offer(&signed);
    let stands = if blame.is_ok() { &signed } else { note };
    let (id, digest) = (stands.record().id, stands.digest());
    assert_eq!(replica.held().get(&id), Some(&digest), "{blame:?}");
    blame
}

/// A membership of an editor that ends so soon.
fn editor_for(story: &Story, life: Duration) -> Signer {
    let identity = Identity::generate([70; 32], [70; 16], "Dan", NOW).unwrap();
    let subject = Subject::of_identity(identity.certificate()).unwrap();
    let grant = Grant::new(Role::Member, vec!["editor".into()]).unwrap();
    let (root, from, end) = (story.owner.root(), NOW.before(HOUR), NOW.after(life));
    let issued =
        cert::issue_by_owner(&story.key, root, subject, &grant, [70; 16], from, end).unwrap();
    let all = [root.clone(), issued];
    let chain = cert::verify_chain(&all, story.group(), identity::verify).unwrap();
    Signer { identity, chain }
}

/// S13. A change that ends in three seconds would be a deletion, and one that lives for longer would bring back what was
/// deleted once the tombstone has ended.
#[test]
fn change_by_another_ends_when_the_creator_wanted() {
    let story = story(1);
    let (eve, ada) = (&story.eve, &story.ada);
    let (soon, ends) = (Duration::from_secs(3), HOUR * 10);
    let bobs = note(&story, 0, ends);
    let lives = |by: &Signer, life: Duration| {
        let record = Record { expires: NOW.after(life), ..edited(&story, &bobs, by) };
        verdict(&story, &bobs, record, by)
    };
    let moment = Duration::from_millis(1);
    for life in [soon, HOUR, ends - moment, ends + moment, HOUR * 20] {
        // An administrator deletes what it wants gone.
        for by in [eve, ada] {
            assert_eq!(lives(by, life), Err(BadRecord::Life), "{life:?}");
        }
    }
    assert_eq!(lives(eve, ends), Ok(()));
    assert_eq!(lives(ada, ends), Ok(()));
    // Nothing lasts longer than the membership of its signer; and no shorter than that, either.
    let dan = editor_for(&story, HOUR * 2);
    assert_eq!(lives(&dan, HOUR * 2), Ok(()));
    assert_eq!(lives(&dan, HOUR), Err(BadRecord::Life));
    assert_eq!(lives(&dan, ends), Err(BadRecord::Certificate));
    // After Dan's change the creator's wish is still what counts.
    let record = Record { expires: NOW.after(HOUR * 2), ..edited(&story, &bobs, &dan) };
    let dans = record.sign(story.group(), &dan.identity);
    let again = |life| {
        let record = Record { expires: NOW.after(life), ..edited(&story, &dans, eve) };
        let mut replica = Replica::new(&story);
        replica.group.roll.add(dan.chain.clone());
        replica.take(std::slice::from_ref(&dans));
        replica.offer(&record.sign(story.group(), &eve.identity))
    };
    assert_eq!(again(HOUR * 3), Err(BadRecord::Life));
    assert_eq!(again(ends), Ok(()));
    let grave = Record { deleted: true, payload: Bytes::new(), ..edited(&story, &bobs, eve) };
    assert_eq!(verdict(&story, &bobs, grave, eve), Err(BadRecord::Modifier));
}

/// A change that somebody makes to a record.
type Lie<'a> = &'a dyn Fn(&mut Record);

/// S13, variant: the time at which a record was made, its type and its creator are its creator's to say.
#[test]
fn change_alters_nothing_of_the_making_of_a_record() {
    let story = story(1);
    let bobs = note(&story, 0, HOUR * 10);
    let (bob, mallory) = (story.bob.identity.peer_id(), story.mallory.identity.peer_id());
    let cases: [(&str, Lie<'_>, BadRecord); 6] = [
        ("earlier", &|r| r.created = NOW.before(HOUR), BadRecord::Beginning),
        ("later", &|r| r.created = r.modified.before(Duration::ZERO), BadRecord::Times),
        ("type", &|r| r.kind = RecordType::new("text").unwrap(), BadRecord::ForeignId),
        (
            "type and id",
            &|r| {
                r.kind = RecordType::new("text").unwrap();
                r.id = RecordId::new(bob, "text", 0);
            },
            BadRecord::Beginning,
        ),
        ("creator", &|r| r.creator = mallory, BadRecord::ForeignId),
        (
            "creator and id",
            &|r| (r.creator, r.id) = (mallory, RecordId::new(mallory, "note", 0)),
            BadRecord::Beginning,
        ),
    ];
    for by in [&story.eve, &story.ada] {
        for (name, change, bad) in &cases {
            let mut record = edited(&story, &bobs, by);
            change(&mut record);
            assert_eq!(verdict(&story, &bobs, record, by), Err(*bad), "{name}");
        }
    }
}

/// S14. Goal: nothing is shown as Bob's that Bob did not make. Method: every beginning that one can have without him, by
/// an editor and by an administrator, as a change and as a deletion.
#[test]
fn record_that_its_creator_never_made_is_refused_and_its_sender_blamed() {
    let story = story(1);
    let bobs = note(&story, 0, HOUR * 10);
    let bob_key = story.bob.identity.public_key();
    let elsewhere = GroupId::from_bytes([8; 32]);
    for by in [&story.eve, &story.ada] {
        let mine =
            Record { modifier: None, modified: NOW, beginning: None, ..edited(&story, &bobs, by) };
        let mine = mine.sign(story.group(), &by.identity);
        let other = bobs.record().clone().sign(elsewhere, &story.bob.identity);
        let by_me = mine.record().beginning_by(by.identity.public_key());
        let beginnings = [
            None,
            Some(bobs.record().beginning_by(bob_key)),
            Some(other.record().beginning_by(bob_key)),
            Some(by_me.clone()),
            Some(Beginning { key: bob_key, ..by_me }),
        ];
        for (nth, beginning) in beginnings.into_iter().enumerate() {
            for deleted in [false, by.chain.role() == Role::Administrator] {
                let id = RecordId::new(bobs.record().creator, "note", 99);
                let payload = if deleted { Bytes::new() } else { Bytes::from_static(b"Bob's") };
                let record = Record { id, deleted, payload, ..edited(&story, &bobs, by) };
                let record = Record { beginning: beginning.clone(), ..record };
                let blame = verdict(&story, &bobs, record, by);
                assert_eq!(blame, Err(BadRecord::Beginning), "{nth} {deleted}");
            }
        }
    }
}

/// One wrong beginning among many records: those before it come in, and its sender is blamed for that.
#[test]
fn batch_ends_at_the_first_wrong_beginning() {
    let story = story(1);
    let notes: Vec<Signed> = (0..4).map(|nth| note(&story, nth, HOUR * 10)).collect();
    let change = |nth: usize, of: usize| {
        let beginning = edited(&story, &notes[of], &story.eve).beginning;
        let record = Record { beginning, ..edited(&story, &notes[nth], &story.eve) };
        record.sign(story.group(), &story.eve.identity)
    };
    let all = [change(0, 0), change(1, 1), change(2, 3), change(3, 3)];
    let mut replica = Replica::new(&story);
    let bytes = all.iter().map(|signed| signed.bytes().clone()).collect();
    let (accepted, blame) = replica.with(|group, ctx| group.accept_all(ctx, bytes, None));
    assert_eq!((accepted.len(), blame), (2, Err(BadRecord::Beginning)));
    assert_eq!(replica.held().len(), 2);
}

/// Goal: the law as a property. Method: Bob's notes and a score of Eve's lies about them and about notes that never were,
/// every field drawn by chance, in any order at two nodes, which then tell each other what they hold.
#[test]
fn whatever_an_editor_signs_bobs_notes_live_as_bob_made_them() {
    let seeds = seeds(SEEDS * 2);
    let whole = seeds.end - seeds.start >= SEEDS * 2;
    let (mut changed, mut refused) = (0, 0);
    for seed in seeds {
        let repeat = Repeat(format!("SEED={seed} cargo test -p peergraph-core whatever_an_editor"));
        let mut story = story(seed);
        let notes: Vec<Signed> = (0..3).map(|nth| note(&story, nth, HOUR * 10)).collect();
        let lies: Vec<Signed> = (0..20).map(|_| lie(&mut story, &notes)).collect();
        let mut nodes = [Replica::new(&story), Replica::new(&story)];
        for node in &mut nodes {
            let mut all = [&notes[..], &lies].concat();
            story.shuffle(&mut all);
            for signed in &all {
                refused += usize::from(node.offer(signed).is_err());
            }
        }
        for _ in 0..2 {
            let held = nodes.each_ref().map(Replica::records);
            nodes[0].take(&held[1]);
            nodes[1].take(&held[0]);
        }
        assert_eq!(nodes[0].held(), nodes[1].held());
        for node in &mut nodes {
            node.pass(HOUR * 9);
            let bob = story.bob.identity.peer_id();
            let of_bob: Vec<&Meta> = node.metas().filter(|meta| meta.creator() == bob).collect();
            assert_eq!(of_bob.len(), notes.len(), "none has gone, and none was added");
            for meta in of_bob {
                let made = notes.iter().find(|note| note.record().id == meta.id).unwrap().record();
                assert!(meta.expires >= made.expires && !meta.deleted);
                assert_eq!((meta.created, &meta.kind), (made.created, &made.kind));
                changed += usize::from(meta.modifier().is_some());
            }
        }
        std::mem::forget(repeat);
    }
    eprintln!("{changed} notes stand changed, {refused} lies refused");
    assert!(!whole || changed > 100 && refused > 1_000);
}

/// Something about a note of Bob's that Eve signs.
fn lie(story: &mut Story, notes: &[Signed]) -> Signed {
    let nth = story.below(3) as usize;
    let true_one = edited(story, &notes[nth], &story.eve);
    let mut record = true_one.clone();
    record.version += story.below(9);
    record.payload = story.below(1_000).to_string().into();
    let genuine = record.beginning.clone().unwrap();
    // One field in three is a lie.
    let mut lies = || story.below(3) == 0;
    let [end, made, name, begun, grave] = std::array::from_fn(|_| lies());
    if end {
        record.expires = NOW.after(HOUR / 4 * (1 + story.below(80) as u32));
    }
    if made {
        record.created = NOW.before(HOUR / 4 * story.below(3) as u32);
    }
    if name && begun {
        record.id = RecordId::new(record.creator, "note", story.below(5));
    }
    if grave && end {
        (record.deleted, record.payload) = (true, Bytes::new());
    }
    if begun {
        let bob = story.bob.identity.public_key();
        let mine = true_one.sign(story.group(), &story.eve.identity);
        let Record { expires, signature, .. } = *mine.record();
        record.beginning = match story.below(6) {
            0 => None,
            1 => Some(notes[story.below(3) as usize].record().beginning_by(bob)),
            2 => Some(Beginning { signature, ..genuine }),
            3 => Some(Beginning { expires: NOW.after(HOUR), ..genuine }),
            4 => Some(Beginning {
                expires,
                key: story.eve.identity.public_key(),
                signature,
                ..genuine
            }),
            _ => {
                let mut bytes = genuine.to_bytes();
                bytes[story.below(136) as usize] ^= 1 << story.below(8);
                Beginning::from_bytes(&bytes)
            }
        };
    }
    record.sign(story.group(), &story.eve.identity)
}

pub(super) fn draft(id: RecordId, text: &str) -> Draft {
    Draft {
        id: Some(id),
        kind: RecordType::new("note").unwrap(),
        attributes: Vec::new(),
        payload: Bytes::copy_from_slice(text.as_bytes()),
        expires_in: Some(Duration::from_secs(60)),
        delete: false,
        refresh: false,
        if_version: None,
        nonce: None,
    }
}

/// A node of one whose identity was made of this number.
pub(super) fn node_of(story: &Story, n: u8, signer: &Signer) -> Replica {
    let mut node = Replica::new(story);
    node.identity = Identity::generate([n; 32], [n; 16], "who", NOW).unwrap();
    assert_eq!(node.identity.peer_id(), signer.identity.peer_id());
    node.group.chain = Some(signer.chain.clone());
    node
}

pub(super) fn standing(node: &Replica, id: RecordId) -> Signed {
    node.records().into_iter().find(|signed| signed.record().id == id).unwrap()
}

/// Goal: a change of a change says whose the record is by the same proof; one that its creator changed since, by the newer.
#[test]
fn change_of_a_change_keeps_the_first_beginning() {
    let story = story(1);
    let bobs = note(&story, 0, HOUR * 10);
    let id = bobs.record().id;
    let mut nodes =
        [(3, &story.eve), (5, &story.ada), (2, &story.bob)].map(|(n, by)| node_of(&story, n, by));
    let mut all = vec![bobs.clone()];
    let mut publish = |at: usize, text| {
        nodes[at].take(&all);
        let published = nodes[at].with(|group, ctx| group.publish(ctx, draft(id, text), None));
        assert_eq!(published, Ok(()));
        let signed = standing(&nodes[at], id);
        all.push(signed.clone());
        Replica::new(&story).take(&all);
        assert_eq!(signed.record().payload, text.as_bytes());
        assert!(signed.record().expires >= bobs.record().expires, "as long as Bob wanted");
        signed
    };
    let first = bobs.record().beginning_by(story.bob.identity.public_key());
    assert_eq!(publish(0, "by eve").record().beginning, Some(first.clone()));
    assert_eq!(publish(1, "by ada").record().beginning, Some(first.clone()));
    assert_eq!(publish(0, "by eve again").record().beginning, Some(first));
    let own = publish(2, "by bob");
    assert_eq!(own.record().beginning, None);
    let newer = own.record().beginning_by(story.bob.identity.public_key());
    assert_eq!(publish(1, "by ada again").record().beginning, Some(newer));
}

/// The keys that the node asks of its disk to change records, and its answers to requests.
#[expect(clippy::wildcard_enum_match_arm, reason = "nothing else is looked for")]
fn asked(outbox: &mut Outbox) -> (Vec<Bytes>, Vec<Result<(), crate::error::Error>>) {
    let (mut keys, mut done) = (Vec::new(), Vec::new());
    for output in std::mem::take(outbox) {
        match output {
            Output::Store { task: StoreTask::Read { keys: more }, .. } => keys.extend(more),
            Output::Done { result, .. } => done.push(result.map(drop)),
            _ => {}
        }
    }
    (keys, done)
}

/// Goal: a change of a record that only the disk holds waits for the disk, and what is published after it waits as well.
/// Method: Eve's node has forgotten the bytes; the disk answers, holds nothing, or fails.
#[test]
fn change_of_a_record_that_only_the_disk_holds_waits_for_it_in_its_order() {
    use crate::error::Error;
    let story = story(1);
    let bobs = note(&story, 0, HOUR * 10);
    let id = bobs.record().id;
    let links = Links::default();
    let new = || Draft { id: None, ..draft(id, "new") };
    let read = |result: Result<Vec<Option<Bytes>>, StoreFault>| {
        let mut node = node_of(&story, 3, &story.eve);
        node.take(std::slice::from_ref(&bobs));
        let group = node.group.id;
        node.with(|group, ctx| ctx.storage.forget(group.id, id));
        // It is durable as well, as after a start.
        node.group.writing = crate::group::writing::Writing::new(0);
        let (keys, before) = node.with(|group, ctx| {
            assert_eq!(group.publish_in_turn(ctx, &links, draft(id, "edited"), REQUEST), Ok(()));
            assert_eq!(group.publish_in_turn(ctx, &links, new(), RequestId(8)), Ok(()));
            group.publish_waiting(ctx, &links);
            group.publish_waiting(ctx, &links);
            asked(ctx.out)
        });
        assert_eq!(keys, [crate::storage::record_key(group, Class::Application, id)], "once");
        assert_eq!((before.len(), node.held().len()), (0, 1), "both wait");
        let (keys, done) = node.with(|group, ctx| {
            group.change_read(ctx, Change::Publish(id), result);
            group.publish_waiting(ctx, &links);
            asked(ctx.out)
        });
        assert!(keys.is_empty());
        (node, done)
    };
    let (node, done) = read(Ok(vec![Some(bobs.bytes().clone())]));
    assert_eq!((done.len(), node.held().len()), (0, 2), "both go on to the disk");
    let all =
        [standing(&node, id), node.records().into_iter().find(|r| r.record().id != id).unwrap()];
    assert!(all[0].record().version < all[1].record().version, "in their order");
    assert_eq!(all[0].record().payload, "edited");
    Replica::new(&story).take(&all);
    let (node, done) = read(Err(StoreFault::Broken));
    assert_eq!(done, [Err(Error::Store(StoreFault::Broken))]);
    assert_eq!((node.held().len(), node.held()[&id]), (2, bobs.digest()));
    let (node, done) = read(Ok(vec![Some(Bytes::from_static(b"no record"))]));
    assert_eq!((done.len(), node.held()[&id]), (1, bobs.digest()));
}

/// Goal: the deletion of a record that only the disk holds is confirmed all the same. Method: Ada's node has forgotten the
/// bytes of the tombstone, which ends too soon.
#[test]
fn deletion_that_only_the_disk_holds_is_confirmed() {
    let story = story(1);
    let bobs = note(&story, 0, HOUR * 10);
    let id = bobs.record().id;
    let grave =
        Record { deleted: true, payload: Bytes::new(), ..edited(&story, &bobs, &story.ada) };
    let grave =
        Record { expires: NOW.after(HOUR), ..grave }.sign(story.group(), &story.ada.identity);
    let mut node = node_of(&story, 5, &story.ada);
    node.take(&[bobs.clone(), grave.clone()]);
    node.with(|group, ctx| ctx.storage.forget(group.id, id));
    node.group.writing = crate::group::writing::Writing::new(0);
    let keys = node.with(|group, ctx| {
        group.confirm_deletions(ctx);
        asked(ctx.out).0
    });
    assert_eq!(keys.len(), 1);
    assert_eq!(node.held()[&id], grave.digest());
    let read = Ok(vec![Some(grave.bytes().clone())]);
    node.with(|group, ctx| group.change_read(ctx, Change::Confirm, read));
    let confirmed = standing(&node, id);
    assert!(confirmed.record().deleted);
    assert_eq!(confirmed.record().expires, bobs.record().expires);
    assert_eq!(confirmed.record().beginning, grave.record().beginning);
    Replica::new(&story).take(&[confirmed]);
}

/// Goal: nobody makes creators. Method: an editor and an administrator sign changes and deletions of records by a made-up key,
/// which are nobody's fault and in no store; of records by a member that a node does not know yet, which wait for its
/// membership; and one that outlives that.
#[test]
fn change_waits_for_the_membership_of_its_creator() {
    let story = story(1);
    let bobs = note(&story, 0, HOUR * 10);
    let nobody = Identity::generate([77; 32], [77; 16], "nobody", NOW).unwrap();
    let id = RecordId::new(nobody.peer_id(), "note", 1);
    let made = Record { id, creator: nobody.peer_id(), ..bobs.record().clone() };
    let made = made.sign(story.group(), &nobody);
    for by in [&story.eve, &story.ada] {
        for deleted in [false, by.chain.role() == Role::Administrator] {
            let payload = if deleted { Bytes::new() } else { Bytes::from_static(b"whose?") };
            let record = Record { creator: nobody.peer_id(), id, ..edited(&story, &bobs, by) };
            let beginning = Some(made.record().beginning_by(nobody.public_key()));
            let record = Record { beginning, deleted, payload, ..record };
            let mut node = Replica::new(&story);
            assert_eq!(node.offer(&record.sign(story.group(), &by.identity)), Ok(()));
            assert_eq!(node.held(), Held::new());
        }
    }
    // Dan's membership comes behind what others make of his note, and before.
    let dan = editor_for(&story, HOUR * 2);
    let peer = dan.identity.peer_id();
    let note_for = |life| Record {
        id: RecordId::new(peer, "note", 1),
        creator: peer,
        certificate: dan.chain.id(),
        expires: NOW.after(life),
        ..bobs.record().clone()
    };
    let changed = |life| {
        let dans = note_for(life).sign(story.group(), &dan.identity);
        let beginning = Some(dans.record().beginning_by(dan.identity.public_key()));
        let edited = edited(&story, &dans, &story.eve);
        let record = Record { beginning, ..edited };
        record.sign(story.group(), &story.eve.identity)
    };
    let joins = attacks::membership(&story, &dan, &dan.chain);
    for (life, holds) in [(HOUR * 2, true), (HOUR * 2 + Duration::from_millis(1), false)] {
        let changed = changed(life);
        for order in [[&changed, &joins], [&joins, &changed]] {
            let mut node = Replica::new(&story);
            order.into_iter().for_each(|signed| node.take(std::slice::from_ref(signed)));
            let expected = holds.then(|| (changed.record().id, changed.digest()));
            assert_eq!(node.held(), expected.into_iter().collect(), "{holds}");
        }
    }
}
