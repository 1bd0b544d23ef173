//! The base of a change: which of the creator's versions it is a change of. No change of an earlier one takes anything from
//! a later one, and none brings back what was deleted.
use super::changes::{draft, edited, node_of, note, standing, story};
use super::*;
use crate::io::Draft;
use crate::record::Beginning;

/// The version that Bob makes of his note later: `step` seconds on, with another end.
fn later(story: &Story, note: &Signed, step: u64, life: Duration) -> Signed {
    let held = note.record();
    let modified = NOW.after(Duration::from_secs(step));
    let record = Record {
        version: next_version(modified, held.version, 0),
        modifier: Some(held.creator),
        modified,
        expires: NOW.after(life),
        payload: Bytes::from(step.to_be_bytes().to_vec()),
        ..held.clone()
    };
    record.sign(story.group(), &story.bob.identity)
}

/// A change of this version of Bob's by another, so many seconds on.
fn change(story: &Story, base: &Signed, by: &Signer, step: u64) -> Record {
    let modified = NOW.after(Duration::from_secs(step));
    let version = next_version(modified, base.record().version, 0);
    Record { version, modified, deleted: false, ..edited(story, base, by) }
}

fn grave(record: Record) -> Record {
    Record { deleted: true, attributes: Vec::new(), payload: Bytes::new(), ..record }
}

/// The same node after a restart: what it held, read from its store.
fn restarted(story: &Story, node: &Replica) -> Replica {
    let mut again = Replica::new(story);
    again.wall = node.wall;
    for signed in node.records() {
        let bytes = signed.bytes().clone();
        again.with(|group, ctx| {
            ctx.storage.remember(group.id, signed.record().id, bytes.clone());
            group.load(ctx, Class::Application, bytes);
        });
    }
    again
}

/// Every order of up to four records.
fn orders(records: &[Signed]) -> Vec<Vec<Signed>> {
    let Some((last, rest)) = records.split_last() else { return vec![Vec::new()] };
    let with_last = |order: Vec<Signed>| {
        (0..=order.len()).map(move |at| {
            let mut order = order.clone();
            order.insert(at, last.clone());
            order
        })
    };
    orders(rest).into_iter().flat_map(with_last).collect()
}

/// The records that every node holds in the end if it takes these, in any order, with a restart after each of them.
fn stands(story: &Story, records: &[Signed]) -> Held {
    let mut all = orders(records).into_iter().map(|order| {
        let mut node = Replica::new(story);
        for signed in &order {
            node.take(std::slice::from_ref(signed));
            node = restarted(story, &node);
        }
        node.held()
    });
    let first = all.next().unwrap();
    assert!(all.all(|other| other == first));
    first
}

/// S13, the gap. Bob has lengthened the life of his note since; Eve makes a change of its first version, under a version as
/// high as she likes.
#[test]
fn change_of_an_older_version_takes_nothing_from_a_newer_one_of_the_creator() {
    let story = story(1);
    let first = note(&story, 0, HOUR);
    let second = later(&story, &first, 10, HOUR * 10);
    let of_first = change(&story, &first, &story.eve, 300).sign(story.group(), &story.eve.identity);
    let id = first.record().id;
    let all = [first.clone(), second.clone(), of_first.clone()];
    assert_eq!(stands(&story, &all), Held::from([(id, second.digest())]));
    // Nor if the second came and went where the change was made.
    let of_second =
        change(&story, &second, &story.eve, 20).sign(story.group(), &story.eve.identity);
    let all = [first, second, of_first, of_second.clone()];
    assert_eq!(stands(&story, &all), Held::from([(id, of_second.digest())]));
    assert_eq!(of_second.record().expires, NOW.after(HOUR * 10));
}

/// S13, the gap. A record that its creator, or another that may, has deleted stays deleted, whatever Eve makes a change of, and
/// Bob's deletion too is one of his versions.
#[test]
fn change_brings_nothing_back_that_was_deleted() {
    let story = story(1);
    let first = note(&story, 0, HOUR * 2);
    let id = first.record().id;
    let second = later(&story, &first, 10, HOUR * 2);
    let bobs = grave(later(&story, &second, 20, HOUR * 2).into_record());
    let bobs = bobs.sign(story.group(), &story.bob.identity);
    let adas = grave(change(&story, &first, &story.ada, 20));
    let adas = adas.sign(story.group(), &story.ada.identity);
    for grave in [&bobs, &adas] {
        for base in [&first, &second, &bobs] {
            let lie = change(&story, base, &story.eve, 300);
            let lie = lie.sign(story.group(), &story.eve.identity);
            let all = [first.clone(), second.clone(), grave.clone(), lie.clone()];
            assert_eq!(stands(&story, &all), Held::from([(id, grave.digest())]));
            // Nor does it come back once the tombstone has ended.
            let mut node = Replica::new(&story);
            node.take(&all);
            node.pass(HOUR * 2);
            assert_eq!(node.held(), Held::new());
            node.take(&[lie]);
            assert_eq!(node.held(), Held::new());
        }
    }
}

/// A moderator deletes what its creator's node renews at the same moment, unknown to each other. It stays deleted, and a
/// node that may delete it as well hides it for as long as it would have lived, whichever came first.
#[test]
fn deletion_stands_over_what_the_creator_says_at_the_same_time() {
    let story = story(1);
    let first = note(&story, 0, HOUR);
    let renewed = later(&story, &first, 30, HOUR * 10);
    let adas = grave(change(&story, &first, &story.ada, 20));
    let adas = adas.sign(story.group(), &story.ada.identity);
    let id = first.record().id;
    let all = [first, renewed.clone(), adas.clone()];
    assert_eq!(stands(&story, &all), Held::from([(id, adas.digest())]));
    for order in orders(&all) {
        let mut node = Replica::new(&story);
        node.identity = Identity::generate([5; 32], [5; 16], "who", NOW).unwrap();
        node.group.chain = Some(story.ada.chain.clone());
        node.take(&order);
        assert_eq!(node.held(), Held::from([(id, adas.digest())]));
        node.with(Group::confirm_deletions);
        let confirmed = node.records().remove(0);
        assert_eq!(
            (confirmed.record().deleted, confirmed.record().expires),
            (true, NOW.after(HOUR * 10))
        );
        let mut other = Replica::new(&story);
        other.take(&[renewed.clone(), confirmed]);
        other.pass(HOUR * 2);
        other.take(std::slice::from_ref(&renewed));
        assert!(other.metas().all(|meta| meta.deleted));
    }
}

/// A change names a base below its own version, which the creator signed.
#[test]
fn base_cannot_be_made_up() {
    let story = story(1);
    let first = note(&story, 0, HOUR);
    let true_one = change(&story, &first, &story.eve, 10);
    let begun = true_one.beginning.clone().unwrap();
    // At a node that holds nothing, and one that holds what the change is of.
    let offer = |record: Record| {
        let signed = record.sign(story.group(), &story.eve.identity);
        let mut holder = Replica::new(&story);
        holder.take(std::slice::from_ref(&first));
        let _ = holder.offer(&signed);
        let stands = holder.held()[&first.record().id] == first.digest();
        (Replica::new(&story).offer(&signed), stands)
    };
    assert_eq!(offer(true_one.clone()), (Ok(()), false));
    let bad = (Err(BadRecord::Beginning), true);
    for version in [0, begun.version - 1, begun.version + 1, true_one.version - 1, u64::MAX] {
        let beginning = Some(Beginning { version, ..begun.clone() });
        assert_eq!(offer(Record { beginning, ..true_one.clone() }), bad, "{version}");
    }
    for version in [begun.version, begun.version - 1, 0] {
        assert_eq!(offer(Record { version, ..true_one.clone() }), bad, "{version}");
    }
}

/// The history of one note: everything that anybody signed.
struct History {
    all: Vec<Signed>,
    /// The versions that Bob signed, in their order.
    bobs: Vec<Signed>,
    deleted: bool,
}

/// Bob's versions with lives that he draws by chance, Eve's changes of any of them, with lies in one of three, and in one
/// history of two a deletion by Bob or Ada.
fn history(story: &mut Story, nth: u64) -> History {
    let life = HOUR * (4 + story.below(4) as u32);
    let mut bobs = vec![note(story, nth, life)];
    for _ in 0..story.below(4) {
        let last = bobs.last().unwrap().clone();
        let step = (last.record().version >> 16) - NOW.0;
        let (step, life) = (step / 1_000 + 1 + story.below(60), HOUR * (4 + story.below(4) as u32));
        bobs.push(later(story, &last, step, life));
    }
    let deleted = story.below(2) == 0;
    let mut all = bobs.clone();
    if deleted {
        let base = bobs[story.below(bobs.len() as u64) as usize].clone();
        let step = story.below(400);
        let (record, by) = match story.below(2) {
            0 => (change(story, &base, &story.ada, step), &story.ada),
            _ => (later(story, bobs.last().unwrap(), 300, HOUR).into_record(), &story.bob),
        };
        let record = Record { expires: NOW.after(HOUR * 8), ..grave(record) };
        let signed = record.sign(story.group(), &by.identity);
        if by.identity.peer_id() == story.bob.identity.peer_id() {
            bobs.push(signed.clone());
        }
        all.push(signed);
    }
    for _ in 0..story.below(8) {
        let base = bobs[story.below(bobs.len() as u64) as usize].clone();
        let step = 1 + story.below(590);
        let mut record = change(story, &base, &story.eve, step);
        record.payload = Bytes::from(story.below(9).to_be_bytes().to_vec());
        match story.below(12) {
            0 => record.expires = NOW.after(HOUR * (1 + story.below(9) as u32)),
            1 => record.beginning.as_mut().unwrap().version = story.below(2).wrapping_sub(1),
            2 => record.version = base.record().version,
            3 => (record.deleted, record.payload) = (true, Bytes::new()),
            _ => {}
        }
        all.push(record.sign(story.group(), &story.eve.identity));
    }
    History { all, bobs, deleted }
}

/// Goal: the law as a property. Method: histories of three notes, with lies, at three nodes in any order, any number of
/// times, with restarts in between; then they tell each other what they hold.
#[test]
fn any_history_of_creator_changer_and_deleter_ends_in_one_state() {
    let seeds = seeds(SEEDS * 5);
    let whole = seeds.end - seeds.start >= SEEDS * 5;
    let test = "any_history_of_creator_changer_and_deleter_ends_in_one_state";
    let (mut changed, mut gone, mut refused) = (0, 0, 0);
    for seed in seeds {
        let repeat = Repeat(format!("SEED={seed} cargo test -p peergraph-core {test}"));
        let mut story = story(seed);
        let histories: Vec<History> = (0..3).map(|nth| history(&mut story, nth)).collect();
        let mut nodes: Vec<Replica> = Vec::new();
        for _ in 0..3 {
            let mut node = Replica::new(&story);
            // As late as Eve dates her changes.
            node.wall = NOW.after(Duration::from_secs(1));
            let mut all: Vec<Signed> =
                histories.iter().flat_map(|history| history.all.clone()).collect();
            for nth in 0..story.below(9) as usize {
                all.push(all[nth % all.len()].clone());
            }
            story.shuffle(&mut all);
            for signed in &all {
                let blame = node.offer(signed);
                let by_eve = signed.record().modifier == Some(story.eve.identity.peer_id());
                assert!(blame.is_ok() || by_eve, "{blame:?}");
                refused += usize::from(blame.is_err());
                if story.below(4) == 0 {
                    node = restarted(&story, &node);
                }
            }
            nodes.push(node);
        }
        for (from, to) in [(0, 1), (1, 2), (2, 0), (0, 1)] {
            let held = nodes[from].records();
            nodes[to].take(&held);
        }
        let expected = nodes[0].held();
        assert!(nodes.iter().all(|node| node.held() == expected));
        for history in &histories {
            let (first, last) = (&history.bobs[0], history.bobs.last().unwrap().record());
            let meta = nodes[0].metas().find(|meta| meta.id == last.id).unwrap();
            assert_eq!(meta.created, first.record().created);
            assert_eq!(meta.deleted, history.deleted);
            if !meta.deleted {
                assert_eq!((meta.base, meta.expires), (last.version, last.expires));
            }
            changed += usize::from(meta.modifier() == Some(story.eve.identity.peer_id()));
            gone += usize::from(meta.deleted);
        }
        // Once Bob's lives and the tombstones have ended nothing is left, and nothing comes back.
        for node in &mut nodes {
            node.pass(HOUR * 9);
            assert_eq!(node.held(), Held::new());
            for signed in histories.iter().flat_map(|history| &history.all) {
                let _ = node.offer(signed);
            }
            assert_eq!(node.held(), Held::new());
        }
        std::mem::forget(repeat);
    }
    eprintln!("{changed} notes stand changed, {gone} deleted, {refused} lies refused");
    assert!(!whole || changed > 200 && gone > 200 && refused > 200);
}

/// Goal: a life is its creator's. Method: Eve publishes over Bob's note with other lives, and with the wish to renew it;
/// Bob publishes over that, and his version is the base of what follows.
#[test]
fn life_of_anothers_record_is_its_creators_to_say() {
    use crate::error::Error;
    let story = story(1);
    let bobs = note(&story, 0, HOUR * 5);
    let id = bobs.record().id;
    let draft = |life, refresh| Draft { expires_in: life, refresh, ..draft(id, "words") };
    let mut eves = node_of(&story, 3, &story.eve);
    eves.take(std::slice::from_ref(&bobs));
    for life in [None, Some(Duration::from_secs(60)), Some(HOUR * 20)] {
        let blame = eves.with(|group, ctx| group.publish(ctx, draft(life, true), None));
        assert_eq!(blame, Err(Error::NotYourRecord));
        let done = eves.with(|group, ctx| group.publish(ctx, draft(life, false), None));
        assert_eq!(done, Ok(()));
        let record = standing(&eves, id).into_record();
        assert_eq!((record.expires, record.base()), (NOW.after(HOUR * 5), bobs.record().version));
    }
    let changed = standing(&eves, id);
    let mut mine = node_of(&story, 2, &story.bob);
    mine.take(&[bobs, changed.clone()]);
    let longer = draft(Some(HOUR * 20), true);
    assert_eq!(mine.with(|group, ctx| group.publish(ctx, longer, None)), Ok(()));
    let second = standing(&mine, id);
    assert!(second.record().base() > changed.record().version);
    eves.take(std::slice::from_ref(&second));
    assert_eq!(eves.with(|group, ctx| group.publish(ctx, draft(None, false), None)), Ok(()));
    let last = standing(&eves, id).into_record();
    assert_eq!((last.base(), last.expires), (second.record().version, second.record().expires));
}
