use super::*;
use crate::id::Digest;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn short(nth: u64) -> u64 {
    let digest = Digest::of(&nth.to_be_bytes());
    u64::from_le_bytes(std::array::from_fn(|i| digest.as_bytes()[i]))
}

fn symbols(kept: usize, shorts: impl IntoIterator<Item = u64>) -> Vec<Symbol> {
    Symbols::of(kept, shorts.into_iter()).0
}

/// The least number of symbols from which these many differences are read, half of them on each side.
fn least(differences: u64, salt: u64) -> usize {
    let from = salt << 32;
    let most = 8 * differences as usize + 8;
    let ours = symbols(most, (from..from + differences / 2).map(short));
    let theirs = symbols(most, (from + differences / 2..from + differences).map(short));
    let (mut low, mut high) = (0, most);
    while low + 1 < high {
        let middle = usize::midpoint(low, high);
        let read = peel(&theirs[..middle], &ours[..middle]).is_some();
        *if read { &mut high } else { &mut low } = middle;
    }
    high
}

/// Goal: the places are those of the source, which rounds up with `ceil`: both ends of a link must agree on them.
#[test]
fn places_are_rounded_up() {
    for nth in 0..1_000 {
        let (mut state, mut place) = (short(nth), 0_u64);
        for at in places(short(nth), 1_000_000) {
            assert_eq!(at as u64, place, "record {nth}");
            state = state.wrapping_mul(0xda94_2042_e4dd_58b5);
            let share = 4_294_967_296.0 / (state as f64 + 1.0).sqrt() - 1.0;
            place += (((place as f64 + 1.5) * share).ceil() as u64).max(1);
        }
    }
}

/// Goal: the paper's figures. Method: the mean over some sets; prints a table.
#[test]
fn symbols_needed_follow_the_difference() {
    println!("| differences | symbols for each |\n|---|---|");
    for (differences, runs, at_most) in
        [(1, 20, 1.1), (10, 50, 2.0), (100, 20, 1.6), (1_000, 10, 1.45), (10_000, 2, 1.4)]
    {
        let sum: usize = (0..runs).map(|run| least(differences, run + 1)).sum();
        let each = sum as f64 / (runs * differences) as f64;
        println!("| {differences} | {each:.2} |");
        assert!(each < at_most, "{each} symbols for each of {differences}");
    }
}

#[test]
fn estimate_is_near() {
    for (ours, theirs) in [(0, 1_000), (500, 500), (30, 20), (9_000, 1_000)] {
        let (mine, other) =
            (symbols(512, (0..ours).map(short)), symbols(512, (ours..ours + theirs).map(short)));
        let all = (ours + theirs) as usize;
        let near = estimate(&other, &mine, theirs as i64 - ours as i64);
        assert!((all * 3 / 4..all * 4 / 3).contains(&near), "{near} of {all}");
    }
    assert_eq!(estimate(&[], &[], -3), 3);
}

/// Goal: what is kept is what would be made anew. Method: records come and go.
#[test]
fn symbols_kept_are_those_of_the_set() {
    let mut kept = Symbols::of(512, (0..100).map(short));
    for nth in 0..200 {
        kept.toggle(short(nth), if nth < 100 { -1 } else { 1 });
    }
    assert_eq!(kept.0, symbols(512, (100..200).map(short)));
    assert_eq!(Symbols::default().outgrown(0), Some(KEPT_MIN));
    assert_eq!(kept.outgrown(2_048), None);
    assert_eq!(kept.outgrown(2_049), Some(4_096));
}

/// Symbols that nobody's set has.
fn any_symbol() -> impl Strategy<Value = Symbol> {
    let single = (any::<u64>(), any::<bool>()).prop_map(|(id, less)| Symbol {
        id,
        check: check(id),
        count: if less { -1 } else { 1 },
    });
    prop_oneof![single, any::<[u8; SYMBOL_BYTES]>().prop_map(|bytes| Symbol::from_bytes(&bytes))]
}

proptest! {
    #[test]
    fn what_is_read_is_the_difference(
        common in btree_set(any::<u64>(), 0..50),
        mine in btree_set(any::<u64>(), 0..50),
        other in btree_set(any::<u64>(), 0..50),
        kept in 1..300_usize,
    ) {
        let ours: BTreeSet<u64> = &common | &mine;
        let theirs: BTreeSet<u64> = &common | &other;
        if let Some(mut read) = peel(&symbols(kept, theirs.clone()), &symbols(kept, ours.clone())) {
            read.ours.sort_unstable();
            read.theirs.sort_unstable();
            prop_assert_eq!(read.ours, (&ours - &theirs).into_iter().collect::<Vec<_>>());
            prop_assert_eq!(read.theirs, (&theirs - &ours).into_iter().collect::<Vec<_>>());
        } else {
            prop_assert!(kept < 300, "always enough for a hundred");
        }
    }

    #[test]
    fn lies_end_and_give_no_more_than_symbols(theirs in vec(any_symbol(), 0..100), ours in btree_set(any::<u64>(), 0..50)) {
        if let Some(read) = peel(&theirs, &symbols(100, ours)) {
            prop_assert!(read.ours.len() + read.theirs.len() <= 100);
        }
    }

    #[test]
    fn parts_survive_the_wire(from in 0..100_000_usize, records in 0..2_000_000_u32, symbols in vec(any_symbol(), 0..50), cut in any::<usize>()) {
        let mut part = Part { from, records: u64::from(records), symbols };
        let bytes = minicbor::to_vec(&part).unwrap();
        // A larger number than a store may hold is taken for that of a full one.
        part.records = part.records.min(RECORDS.all());
        prop_assert_eq!(decode::<Part>(&bytes).unwrap(), part);
        let _ = decode::<Part>(&bytes[..cut % bytes.len()]);
    }

    #[test]
    fn any_bytes_decode_or_fail(from in any::<u32>(), records in any::<u32>(), bytes in vec(any::<u8>(), 0..200)) {
        let mut message = Vec::new();
        let mut encoder = Encoder::new(&mut message);
        encoder.array(3).unwrap().u32(from).unwrap().u32(records).unwrap().bytes(&bytes).unwrap();
        let _ = decode::<Part>(&message);
    }
}

#[test]
fn too_many_symbols_are_refused() {
    let bytes = |len| {
        minicbor::to_vec(Part { from: 0, records: 0, symbols: vec![Symbol::default(); len] })
            .unwrap()
    };
    assert!(decode::<Part>(&bytes(SYMBOLS_MESSAGE_MAX)).is_ok());
    assert!(decode::<Part>(&bytes(SYMBOLS_MESSAGE_MAX + 1)).is_err());
}
