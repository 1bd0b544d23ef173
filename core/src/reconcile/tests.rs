use super::*;
use crate::index::tests::{filled, meta};
use crate::limits::MESSAGE_OVERHEAD_BYTES_MAX;
use crate::record::Meta;
use proptest::collection::vec;
use proptest::prelude::*;

/// The conversation of two stores, without the records.
#[derive(Debug, Default)]
struct Talk {
    steps: Vec<Step>,
    bytes: usize,
    given: usize,
}

impl Talk {
    fn used_ranges(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Ranges(_)))
    }
}

/// Copies a record where it stands above what is held.
fn offer(to: &mut Index, meta: &Meta) {
    if to.get(&meta.id).is_none_or(|held| held.order() < meta.order()) {
        to.insert(meta.clone());
    }
}

fn offer_all(to: &mut Index, from: &Index, ids: impl IntoIterator<Item = RecordId>) -> usize {
    let ids = ids.into_iter();
    ids.map(|id| from.get(&id).map(|meta| offer(to, meta))).filter(Option::is_some).count()
}

/// Lets two stores talk over the wire until neither has an answer. After each step records are handed over, and
/// `meanwhile` may change the stores: first the one that answered.
fn talk_while(
    a: &mut Index,
    b: &mut Index,
    begin: fn(&Index) -> (Comparison, Step),
    mut meanwhile: impl FnMut(usize, &mut Index, &mut Index),
) -> Talk {
    let mut talk = Talk::default();
    let (asker, first) = begin(a);
    let mut next = Some(first);
    let (mut one, mut two) = ((b, Comparison::default()), (a, asker));
    while let Some(step) = next {
        let bytes = minicbor::to_vec(&step).unwrap();
        assert!(bytes.len() < MESSAGE_OVERHEAD_BYTES_MAX);
        let read: Step = minicbor::decode(&bytes).unwrap();
        assert_eq!(read, step);
        talk.steps.push(step);
        talk.bytes += bytes.len();
        assert!(talk.steps.len() < 2_000, "does not end");
        let (ours, comparison) = &mut one;
        let theirs = &mut *two.0;
        let Answer { reply, need, give, differ } = comparison.respond(ours, &read).unwrap();
        talk.bytes += 16 * need.len() + 8 * differ.theirs.len();
        let of: Vec<RecordId> =
            differ.ours.iter().flat_map(|&short| ours.by_short(short)).collect();
        let wanted: Vec<RecordId> =
            differ.theirs.iter().flat_map(|&short| theirs.by_short(short)).collect();
        talk.given += offer_all(ours, theirs, need.into_iter().chain(wanted));
        talk.given += offer_all(theirs, ours, give.into_iter().chain(of));
        meanwhile(talk.steps.len(), ours, theirs);
        next = reply;
        std::mem::swap(&mut one, &mut two);
    }
    talk
}

fn talk(a: &mut Index, b: &mut Index) -> Talk {
    talk_while(a, b, Comparison::open, |_, _, _| {})
}

fn assert_equal(a: &Index, b: &Index) {
    assert_eq!(a.len(), b.len());
    assert!(a.iter().eq(b.iter()));
    assert_eq!(a.fingerprint(), b.fingerprint());
}

#[test]
fn equal_stores_need_one_short_message() {
    for count in [0, 1, 5_000] {
        let (mut a, mut b) = (filled(0..count), filled(0..count));
        let again = talk_while(&mut a, &mut b, Comparison::check, |_, _, _| {});
        assert_eq!((again.steps.len(), again.given), (1, 0));
        assert!(again.bytes < 25, "{} bytes", again.bytes);
        let first = talk(&mut a, &mut b);
        assert_eq!((first.steps.len(), first.given), (1, 0));
        assert!(first.bytes < 400, "{} bytes", first.bytes);
    }
}

#[test]
fn check_that_fails_opens_a_comparison() {
    let (mut a, mut b) = (filled(0..1_000), filled(1..1_000));
    let talk = talk_while(&mut a, &mut b, Comparison::check, |_, _, _| {});
    assert_eq!((talk.steps.len(), talk.given), (2, 1));
    assert_equal(&a, &b);
}

/// Which of two stores has a record, by its number.
type Has = fn(u64) -> [bool; 2];

const N: u64 = 100_000;

/// Prints the table of costs. The million of the bars is measured beside its rival.
#[test]
fn cost_follows_the_difference() {
    let rows: [(&str, Has, usize, usize); 8] = [
        ("equal", |_| [true; 2], 400, 1),
        ("1 scattered", |nth| [true, nth != 77_777], 1_000, 1),
        ("100 scattered", |nth| [nth % 2_000 != 1, nth % 2_000 != 2], 3_500, 4),
        ("1,000 scattered", |nth| [nth % 200 != 1, nth % 200 != 2], 26_000, 4),
        ("10,000 scattered", |nth| [nth % 20 != 1, nth % 20 != 2], 250_000, 4),
        (
            "1,000 newest",
            |nth| [nth < N - 1_000 || nth % 2 == 0, nth < N - 1_000 || nth % 2 == 1],
            26_000,
            4,
        ),
        ("30,000 newest, one side", |nth| [true, nth < N - 30_000], 10_000, 20),
        ("nothing there", |nth| [nth >= N, true], 2_000, 60),
    ];
    println!("| N = {N} | messages | bytes | records given |\n|---|---|---|---|");
    for (name, has, bytes_max, steps_max) in rows {
        let kept = |side: usize| filled((0..N).filter(move |&nth| has(nth)[side]));
        let (mut a, mut b) = (kept(0), kept(1));
        let talk = talk(&mut a, &mut b);
        println!("| {name} | {} | {} | {} |", talk.steps.len(), talk.bytes, talk.given);
        assert_equal(&a, &filled(0..N));
        assert_equal(&b, &a);
        assert!(talk.bytes <= bytes_max, "{name}: {} bytes", talk.bytes);
        assert!(talk.steps.len() <= steps_max, "{name}: {} messages", talk.steps.len());
    }
}

/// Goal: differences in every range, more than symbols are kept for, end too. Method: each side has what the other lacks.
#[test]
fn dense_differences_end_by_ranges() {
    let mut a = filled((0..30_000).filter(|nth| nth % 3 != 0));
    let mut b = filled((0..30_000).filter(|nth| nth % 3 != 1));
    let talk = talk(&mut a, &mut b);
    assert!(talk.used_ranges());
    assert_equal(&a, &filled(0..30_000));
    assert_equal(&b, &a);
}

/// Goal: records that come during a comparison do not spoil it. Method: one more on each side at every step.
#[test]
fn records_that_come_meanwhile_do_not_spoil_symbols() {
    let mut a = filled((0..50_000).filter(|nth| nth % 50 != 0));
    let mut b = filled(0..50_000);
    let talk = talk_while(&mut a, &mut b, Comparison::open, |at, one, two| {
        offer(one, &meta(100_000 + at as u64, 1, 1));
        offer(two, &meta(200_000 + at as u64, 1, 1));
    });
    assert!(!talk.used_ranges() && talk.steps.len() > 2, "{} steps", talk.steps.len());
    assert!((0..50_000).all(|nth| a.get(&meta(nth, 0, 1).id).is_some()));
}

/// Goal: more changes than are remembered end a comparison by ranges. Method: they come between two parts of symbols.
#[test]
fn flood_of_changes_meanwhile_ends_by_ranges() {
    let mut b = filled(0..50_000);
    let mut a = filled((0..50_000).filter(|nth| nth % 50 != 0));
    let talk = talk_while(&mut a, &mut b, Comparison::open, |at, one, _| {
        if at == 1 {
            (60_000..65_000).for_each(|nth| offer(one, &meta(nth, nth * 1_000, 1)));
        }
    });
    assert!(talk.used_ranges());
    assert_equal(&a, &b);
}

/// Two records with one short id.
fn twins() -> [Meta; 2] {
    let one = meta(1_000_000, 500, 1);
    let mut two = meta(1_000_001, 600, 1);
    let mut digest = *two.digest.as_bytes();
    digest[..8].copy_from_slice(&one.digest.as_bytes()[..8]);
    two.digest = crate::id::Digest::from_bytes(digest);
    [one, two]
}

/// Goal: an author of two records with one short id keeps no stores apart. Method: one on each
/// side, alone and with others.
#[test]
fn short_ids_that_collide_are_found_by_ranges() {
    for others in [0, 5] {
        let (mut a, mut b) = (filled(0..1_000), filled(others..1_000));
        let [one, two] = twins();
        a.insert(one.clone());
        b.insert(two);
        let first = talk(&mut a, &mut b);
        assert_eq!(first.used_ranges(), others == 0);
        if others > 0 {
            let second = talk_while(&mut a, &mut b, Comparison::check, |_, _, _| {});
            assert!(second.used_ranges());
        }
        assert_equal(&a, &b);
        assert_eq!(a.by_short(one.short()).count(), 2);
    }
}

/// Goal: symbols that lie cost a round, not the comparison. Method: wrong symbols in the answer to an opening.
#[test]
fn symbols_that_lie_end_by_ranges() {
    let index = filled(0..1_000);
    let other = filled(1..900);
    let (mut comparison, _) = Comparison::open(&index);
    let mut sent = 0;
    for _ in 0..50 {
        let lies = other.symbols()[100..132].to_vec();
        let step = Step::Symbols(Part { from: sent, records: 900, symbols: lies });
        sent += 32;
        match comparison.respond(&index, &step).unwrap().reply {
            Some(Step::More(upto)) => assert!(upto as usize > sent),
            Some(Step::Ranges(ranges)) => {
                let mut liar = Comparison { phase: Phase::Sending { sent, as_of: 0 } };
                assert!(liar.respond(&other, &Step::Ranges(ranges)).unwrap().reply.is_some());
                return;
            }
            answer => panic!("{answer:?}"),
        }
    }
    panic!("believed for ever");
}

#[test]
fn steps_out_of_turn_are_misbehaviour() {
    let index = filled(0..1_000);
    let other = filled(500..1_500);
    let (_, open) = Comparison::open(&other);
    let symbols = |from, len: usize| {
        Step::Symbols(Part { from, records: 1, symbols: other.symbols()[..len].to_vec() })
    };
    let refused = |mut comparison: Comparison, step: &Step| {
        assert_eq!(comparison.respond(&index, step), Err(Misbehaved::Sync), "{step:?}");
    };
    refused(Comparison::default(), &symbols(0, 9));
    refused(Comparison::default(), &Step::More(9));
    refused(Comparison::default(), &Step::Ranges(ranges::recent(&other)));
    refused(Comparison::open(&index).0, &open);
    refused(Comparison::open(&index).0, &Step::More(99));
    refused(Comparison::open(&index).0, &symbols(3, 9));
    refused(Comparison::open(&index).0, &symbols(0, 0));
    for upto in [0, 100, 101 + SYMBOLS_MESSAGE_MAX as u32, u32::MAX] {
        refused(Comparison { phase: Phase::Sending { sent: 100, as_of: 0 } }, &Step::More(upto));
    }
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

proptest! {
    #[test]
    fn two_stores_become_equal(a in any_store(600), b in any_store(600), small in any_store(30), few in any_store(5)) {
        let mut near = a.clone();
        few.iter().for_each(|meta| offer(&mut near, meta));
        for (mut one, mut two) in [(a.clone(), b), (a.clone(), small), (a, near)] {
            let mut expected = one.clone();
            two.iter().for_each(|meta| offer(&mut expected, meta));
            talk(&mut one, &mut two);
            assert_equal(&one, &expected);
            assert_equal(&two, &expected);
        }
    }

    #[test]
    fn symbols_of_one_moment_can_be_told_later(start in any_store(200), changes in vec((0..400_u64, any::<bool>()), 0..100), range in (0..40_usize, 0..30_usize)) {
        let mut index = start.clone();
        for (nth, comes) in changes {
            let meta = meta(nth, 1, 1);
            if comes { index.insert(meta); } else { index.remove(&meta.id); }
        }
        let range = range.0..range.0 + range.1;
        let then = start.symbols().get(range.clone()).map(<[Symbol]>::to_vec);
        let told = index.symbols_as_of(range, start.changes());
        prop_assert!(told == then || start.is_empty() || index.changes() - start.changes() > 1_024);
    }

    #[test]
    fn any_bytes_decode_or_fail(bytes in vec(any::<u8>(), 0..200), place in any::<usize>(), byte in any::<u8>(), store in any_store(100)) {
        let _ = minicbor::decode::<Step>(&bytes);
        let (_, open) = Comparison::open(&store);
        let mut bytes = minicbor::to_vec(&open).unwrap();
        let len = bytes.len();
        bytes[place % len] = byte;
        if let Ok(read) = minicbor::decode::<Step>(&bytes) {
            let _ = Comparison::default().respond(&Index::default(), &read);
            let _ = Comparison::default().respond(&store, &read);
        }
    }
}
