use super::*;
use crate::index::tests::{filled, meta};
use crate::limits::MESSAGE_OVERHEAD_BYTES_MAX;
use crate::time::WallTime;
use proptest::collection::vec;
use proptest::prelude::*;

/// The conversation of two stores.
#[derive(Default)]
struct Talk {
    messages: usize,
    bytes: usize,
    given: usize,
}

/// Copies a record where it stands above what is held.
fn offer(to: &mut Index, meta: &Meta) {
    if to.get(&meta.id).is_none_or(|held| held.order() < meta.order()) {
        to.insert(meta.clone());
    }
}

/// Lets two stores talk until neither has an answer, over the wire, records handed over after each message.
fn talk(a: &mut Index, b: &mut Index) -> Talk {
    let mut talk = Talk::default();
    let mut next = Some(recent(a));
    let (mut ours, mut theirs) = (b, a);
    while let Some(message) = next {
        let bytes = minicbor::to_vec(&message).unwrap();
        assert!(bytes.len() < MESSAGE_OVERHEAD_BYTES_MAX);
        let read: Ranges = minicbor::decode(&bytes).unwrap();
        assert_eq!(read, message);
        talk.messages += 1;
        talk.bytes += bytes.len();
        assert!(talk.messages < 2_000, "does not end");
        let answer = respond(ours, &read).unwrap();
        assert!(answer.give.len() <= GIVE_MAX + RANGE_ITEMS_MAX);
        assert!(answer.need.len() <= RANGE_ITEMS_MAX);
        talk.given += answer.need.len() + answer.give.len();
        let give: Vec<Meta> = answer.give.iter().map(|id| ours.get(id).unwrap().clone()).collect();
        for id in &answer.need {
            offer(ours, theirs.get(id).unwrap());
        }
        give.iter().for_each(|meta| offer(theirs, meta));
        next = answer.reply;
        std::mem::swap(&mut ours, &mut theirs);
    }
    talk
}

fn assert_equal(a: &Index, b: &Index) {
    assert_eq!(a.len(), b.len());
    assert!(a.iter().eq(b.iter()));
}

#[test]
fn equal_stores_need_one_short_message() {
    for count in [0, 1, 5_000] {
        let (mut a, mut b) = (filled(0..count), filled(0..count));
        let talk = talk(&mut a, &mut b);
        assert_eq!(talk.messages, 1);
        assert!(talk.bytes < 100 && talk.given == 0);
    }
}

#[test]
fn empty_store_gets_everything_in_bounded_answers() {
    let full = filled(0..20_000);
    let (mut a, mut b) = (Index::default(), full.clone());
    assert_eq!(talk(&mut a, &mut b).given, 20_000);
    assert_equal(&a, &full);
    let (mut a, mut b) = (full.clone(), Index::default());
    assert_eq!(talk(&mut a, &mut b).given, 20_000);
    assert_equal(&b, &full);
}

/// Goal: differences in every range, more than a message holds, end too. Method: each side has what the other lacks.
#[test]
fn dense_differences_end() {
    let mut a = filled((0..60_000).filter(|nth| nth % 3 != 0));
    let mut b = filled((0..60_000).filter(|nth| nth % 3 != 1));
    let talk = talk(&mut a, &mut b);
    assert_equal(&a, &filled(0..60_000));
    assert_equal(&b, &a);
    println!("60,000 with 40,000 differences: {} messages, {} bytes", talk.messages, talk.bytes);
    assert!(talk.bytes < 60_000 * 40 * 2);
}

fn open(content: Content) -> Range {
    Range { upper: None, content }
}

fn until(modified: u64, content: Content) -> Range {
    let id = RecordId::default();
    Range { upper: Some(Cursor { modified: WallTime(modified), id }), content }
}

#[test]
fn bounds_that_do_not_rise_are_misbehaviour() {
    let index = filled(0..100);
    for (first, second) in [(5, 5), (6, 5), (0, 5)] {
        let ranges =
            vec![until(first, Content::Skip), until(second, Content::Skip), open(Content::Skip)];
        assert_eq!(respond(&index, &Ranges(ranges)), Err(Misbehaved::Sync));
    }
}

#[test]
fn record_listed_twice_is_misbehaviour() {
    let item = Item::from(&meta(1, 1, 1));
    let list = Content::List(vec![item]);
    let ranges = Ranges(vec![until(9, list.clone()), open(list)]);
    assert_eq!(respond(&Index::default(), &ranges), Err(Misbehaved::Sync));
}

/// Goal: a peer cannot make an answer grow. Method: as many wrong fingerprints as fit.
#[test]
fn answer_to_a_hostile_message_is_bounded() {
    let index = filled(0..50_000);
    let mut ranges: Vec<Range> = (1..RANGE_ITEMS_MAX as u64)
        .map(|nth| until(nth * 12_000, Content::Fingerprint([0; 16])))
        .collect();
    ranges.push(open(Content::Fingerprint([0; 16])));
    let reply = respond(&index, &Ranges(ranges)).unwrap().reply.unwrap();
    let bytes = minicbor::to_vec(&reply).unwrap();
    assert!(bytes.len() < MESSAGE_OVERHEAD_BYTES_MAX);
    assert!(minicbor::decode::<Ranges>(&bytes).is_ok());
}

#[test]
fn too_many_items_are_refused() {
    let item = Item::from(&meta(1, 1, 1));
    let bytes =
        |count| minicbor::to_vec(Ranges(vec![open(Content::List(vec![item; count]))])).unwrap();
    assert!(minicbor::decode::<Ranges>(&bytes(RANGE_ITEMS_MAX - 1)).is_ok());
    assert!(minicbor::decode::<Ranges>(&bytes(RANGE_ITEMS_MAX)).is_err());
}

#[test]
fn two_contents_of_one_version_go_both_ways() {
    let (mut a, mut b) = (filled(0..50), filled(0..50));
    let mut other = a.get(&meta(7, 0, 1).id).unwrap().clone();
    other.digest = Digest::of(b"other");
    a.insert(other);
    let talk = talk(&mut a, &mut b);
    assert_eq!(talk.given, 2);
    assert_equal(&a, &b);
}

prop_compose! {
    /// Numbers, times and versions that collide often.
    fn any_store(len: usize)(
        records in vec((0..400_u64, 0..50_u64, 0..3_u64), 0..len)
    ) -> Index {
        let mut index = Index::default();
        for (nth, modified, version) in records {
            offer(&mut index, &meta(nth, modified, version));
        }
        index
    }
}

fn any_ranges() -> impl Strategy<Value = Ranges> {
    let item = (0..400_u64, 0..3_u64).prop_map(|(nth, version)| Item::from(&meta(nth, 0, version)));
    let content = prop_oneof![
        Just(Content::Skip),
        any::<[u8; 16]>().prop_map(Content::Fingerprint),
        vec(item, 0..5).prop_map(Content::List),
    ];
    let bound = (0..60_u64, any::<bool>());
    (vec((bound, content.clone()), 0..10), content).prop_map(|(mut ranges, last)| {
        ranges.sort_by_key(|(bound, _)| *bound);
        let bounded = ranges.into_iter().map(|((modified, high), content)| {
            let id = RecordId::from_bytes([u8::from(high); 16]);
            Range { upper: Some(Cursor { modified: WallTime(modified), id }), content }
        });
        Ranges(bounded.chain([open(last)]).collect())
    })
}

proptest! {
    #[test]
    fn two_stores_become_equal(a in any_store(600), b in any_store(600), small in any_store(30)) {
        let mut expected = a.clone();
        b.iter().for_each(|meta| offer(&mut expected, meta));
        let (mut one, mut two) = (a.clone(), b);
        talk(&mut one, &mut two);
        assert_equal(&one, &expected);
        assert_equal(&two, &expected);
        let (mut one, mut two) = (a, small);
        talk(&mut one, &mut two);
        assert_equal(&one, &two);
    }

    #[test]
    fn any_message_is_answered_within_bounds(index in any_store(600), message in any_ranges()) {
        if let Ok(answer) = respond(&index, &message) {
            let reply = minicbor::to_vec(answer.reply.unwrap_or(Ranges(vec![open(Content::Skip)])));
            prop_assert!(minicbor::decode::<Ranges>(&reply.unwrap()).is_ok());
        }
    }

    #[test]
    fn any_bytes_decode_or_fail(mut bytes in vec(any::<u8>(), 0..200), message in any_ranges(), place in any::<usize>(), byte in any::<u8>()) {
        let _ = minicbor::decode::<Ranges>(&bytes);
        bytes = minicbor::to_vec(&message).unwrap();
        let len = bytes.len();
        bytes[place % len] = byte;
        if let Ok(read) = minicbor::decode::<Ranges>(&bytes) {
            let _ = respond(&Index::default(), &read);
        }
    }
}
