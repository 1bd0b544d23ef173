use super::*;
use crate::sorted::SortedMap;
use proptest::collection::vec;
use proptest::prelude::*;

/// A record's part in memory, made of numbers. Its digest depends on all of them.
pub(crate) fn meta(nth: u64, modified: u64, version: u64) -> Meta {
    let creator = PeerId::from_bytes([nth as u8 % 7; 32]);
    let id = Digest::of(&nth.to_be_bytes());
    Meta {
        id: RecordId::from_bytes(std::array::from_fn(|i| id.as_bytes()[i])),
        version,
        base: version,
        created: WallTime(0),
        modified: WallTime(modified),
        expires: WallTime(modified + nth % 13 + 1),
        digest: Digest::of(&[nth, modified, version].map(u64::to_be_bytes).concat()),
        size: 300,
        charged: 300,
        deleted: false,
        certificate: Arc::new(CertificateId::default()),
        kind: RecordType::new(["a", "b"][nth as usize % 2]).unwrap(),
        creator: Arc::new(creator),
        modifier: None,
    }
}

/// An index of such parts, a second from each other.
pub(crate) fn filled(numbers: impl IntoIterator<Item = u64>) -> Index {
    let mut index = Index::default();
    for nth in numbers {
        index.insert(meta(nth, nth * 1_000, 1));
    }
    index
}

fn fingerprint(metas: &[Meta]) -> Summary {
    // A way of adding that differs from the index's: byte by byte.
    let mut sum = [0_u8; 32];
    for meta in metas {
        let mut carry = 0;
        for (byte, other) in sum.iter_mut().zip(meta.digest.as_bytes()) {
            let total = u16::from(*byte) + u16::from(*other) + carry;
            (*byte, carry) = (total as u8, total >> 8);
        }
    }
    let hash = Digest::of(&[&sum[..], &(metas.len() as u64).to_le_bytes()].concat());
    let fingerprint = std::array::from_fn(|i| hash.as_bytes()[i]);
    Summary { count: metas.len(), fingerprint }
}

/// Compares an index with the sorted list of what should be in it.
fn compare(index: &Index, model: &SortedMap<RecordId, Meta>, bounds: (Cursor, Option<Cursor>)) {
    let mut all: Vec<Meta> = model.values().cloned().collect();
    all.sort_by_key(Meta::cursor);
    assert_eq!(index.len(), all.len());
    assert!(index.iter().eq(&all));
    assert!(index.newest().eq(all.iter().rev()));
    assert!(all.iter().all(|meta| index.get(&meta.id) == Some(meta)));
    let expiry = all.iter().map(|meta| (meta.expires, meta.id)).min();
    assert_eq!(index.next_expiry(), expiry);

    let (lower, upper) = bounds;
    let below = |meta: &Meta| upper.is_none_or(|upper| meta.cursor() < upper);
    let part: Vec<Meta> = all.iter().filter(|m| m.cursor() >= lower && below(m)).cloned().collect();
    assert!(index.range(lower, upper).eq(&part));
    assert_eq!(index.summary(lower, upper), fingerprint(&part));
    assert_eq!(index.count(lower, upper), part.len());
    assert!(index.after(Some(lower)).eq(all.iter().filter(|meta| meta.cursor() > lower)));
    assert!(index.before(Some(lower)).eq(all.iter().rev().filter(|meta| meta.cursor() < lower)));
    assert!(index.before(None).eq(all.iter().rev()));

    let places: Vec<usize> = (1..16).map(|nth| part.len() * nth / 16).collect();
    let bounds = index.bounds(lower, upper, &places);
    assert_eq!(bounds.len(), part.len().clamp(1, 16) - 1);
    let (mut from, mut sizes) = (lower, Vec::new());
    for to in bounds.iter().copied().map(Some).chain([upper]) {
        assert!(to.is_none_or(|to| to > from));
        sizes.push(index.count(from, to));
        from = to.unwrap_or_default();
    }
    let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
    assert!(most - least <= 1 && sizes.iter().sum::<usize>() == part.len());
}

fn cursor((nth, modified): (u64, u64)) -> Cursor {
    meta(nth, modified, 0).cursor()
}

/// A number and a time; versions and removals come from them.
fn step() -> impl Strategy<Value = (bool, u64, u64)> {
    (prop::bool::weighted(0.75), 0..2_000_u64, 0..100_u64)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn index_is_what_a_plain_list_says(
        steps in vec(step(), 0..3_000),
        a in (0..2_000_u64, 0..100_u64),
        b in (0..2_000_u64, 0..100_u64),
        open in any::<bool>(),
    ) {
        let (mut index, mut model) = (Index::default(), SortedMap::new());
        let (a, b) = (cursor(a), cursor(b));
        let bounds = (a.min(b), (!open).then_some(a.max(b)));
        let total = steps.len();
        for (nth, (insert, number, modified)) in steps.into_iter().enumerate() {
            let meta = meta(number, modified, nth as u64);
            if insert {
                prop_assert_eq!(index.insert(meta.clone()), model.insert(meta.id, meta));
            } else {
                prop_assert_eq!(index.remove(&meta.id), model.remove(&meta.id));
            }
            if nth == total / 2 {
                compare(&index, &model, bounds);
            }
        }
        compare(&index, &model, bounds);
    }
}

#[test]
fn peers_and_types_are_kept_once() {
    let mut index = Index::default();
    (0..1_000).for_each(|nth| _ = index.insert(meta(nth, nth, 1)));
    assert_eq!(index.shared.peers.len(), 7);
    assert_eq!(index.shared.kinds.len(), 2);
    let (a, b) = (index.get(&meta(0, 0, 1).id).unwrap(), index.get(&meta(14, 0, 1).id).unwrap());
    assert!(Arc::ptr_eq(&a.creator, &b.creator));
}

#[test]
fn names_without_records_are_forgotten() {
    let mut index = Index::default();
    for nth in 0..10_000_u64 {
        let mut meta = meta(1, 1, nth);
        meta.creator = Arc::new(PeerId::from_bytes(*Digest::of(&nth.to_be_bytes()).as_bytes()));
        index.insert(meta);
    }
    assert!(index.shared.peers.len() <= UNUSED_NAMES_MAX + 3);
}

#[test]
fn fingerprint_does_not_depend_on_the_order_of_arrival() {
    let (mut up, mut down) = (Index::default(), Index::default());
    (0..5_000).for_each(|nth| _ = up.insert(meta(nth, nth % 10, 1)));
    (0..5_000).rev().for_each(|nth| _ = down.insert(meta(nth, nth % 10, 1)));
    let all = |index: &Index| index.summary(Cursor::default(), None);
    assert_eq!(all(&up), all(&down));
    down.insert(meta(77, 7, 2));
    assert_ne!(all(&up), all(&down));
}
