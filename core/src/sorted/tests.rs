use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ops::Index;

/// For tests alone: what is not there is a panic.
impl<K: Ord, V> Index<&K> for SortedMap<K, V> {
    type Output = V;

    fn index(&self, key: &K) -> &V {
        self.get(key).unwrap()
    }
}

/// Values of which 8 fill a chunk.
type Large = (u16, [u64; 40]);

#[derive(Clone, Debug)]
enum Act {
    Insert(u16),
    Ascending,
    Remove(u16),
    RemoveFound(u16),
    Entry(u16),
    PopFirst,
    Retain(u16),
    FirstEntry,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let key = || 0..300u16;
    let act = prop_oneof![
        20 => key().prop_map(Act::Insert),
        20 => Just(Act::Ascending),
        4 => key().prop_map(Act::Remove),
        12 => any::<u16>().prop_map(Act::RemoveFound),
        8 => key().prop_map(Act::Entry),
        2 => Just(Act::PopFirst),
        1 => (2..9u16).prop_map(Act::Retain),
        1 => Just(Act::FirstEntry),
    ];
    prop::collection::vec(act, 0..400)
}

/// The promises of a map about its chunks.
fn check<K: Ord, V>(map: &SortedMap<K, V>) {
    let most = SortedMap::<K, V>::CHUNK_MAX;
    assert!(!map.first.is_empty() || map.rest.is_empty());
    assert!(map.rest.iter().all(|chunk| !chunk.is_empty()));
    assert!(map.rest.iter().chain([&map.first]).all(|chunk| chunk.len() <= most));
    assert_eq!(map.len, map.iter().count());
    assert_eq!(map.iter().size_hint(), (map.len, Some(map.len)));
    assert!(map.keys().is_sorted());
}

fn large(nth: usize) -> Large {
    (nth as u16, [nth as u64; 40])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Goal: whatever is done to it, a map answers as the search tree of the standard library does.
    #[test]
    fn a_sorted_map_is_a_search_tree(acts in acts(), bounds in prop::collection::vec((0..800u16, 0..800u16), 8)) {
        let mut map = SortedMap::<u16, Large>::new();
        let mut tree = BTreeMap::<u16, Large>::new();
        for (nth, act) in acts.into_iter().enumerate() {
            let value = large(nth);
            match act {
                Act::Insert(key) => prop_assert_eq!(map.insert(key, value), tree.insert(key, value)),
                Act::Ascending => {
                    let key = tree.last_key_value().map_or(0, |(key, _)| key + 1);
                    prop_assert_eq!(map.insert(key, value), tree.insert(key, value));
                }
                Act::Remove(key) => prop_assert_eq!(map.remove(&key), tree.remove(&key)),
                Act::RemoveFound(nth) => {
                    let key = tree.keys().nth(usize::from(nth) % tree.len().max(1)).copied();
                    if let Some(key) = key {
                        prop_assert_eq!(map.remove(&key), tree.remove(&key));
                    }
                }
                Act::Entry(key) => {
                    let (ours, other) = (map.entry(key).or_insert(value), tree.entry(key).or_insert(value));
                    (ours.0, other.0) = (ours.0.wrapping_add(1), other.0.wrapping_add(1));
                    prop_assert_eq!(ours, other);
                    if nth % 3 == 0 && let Entry::Occupied(entry) = map.entry(key) {
                        prop_assert_eq!(Some(entry.remove()), tree.remove(&key));
                    }
                }
                Act::PopFirst => prop_assert_eq!(map.pop_first(), tree.pop_first()),
                Act::Retain(one_in) => {
                    map.retain(|key, _| key % one_in != 0);
                    tree.retain(|key, _| key % one_in != 0);
                }
                Act::FirstEntry => {
                    if let Some(mut entry) = map.first_entry() {
                        entry.get_mut().0 = 7;
                        prop_assert_eq!(Some(entry.key()), tree.first_key_value().map(|(key, _)| key));
                        tree.first_entry().unwrap().get_mut().0 = 7;
                    }
                }
            }
            check(&map);
            prop_assert_eq!(map.first_key_value(), tree.first_key_value());
            prop_assert_eq!(map.last_key_value(), tree.last_key_value());
        }
        prop_assert!(map.iter().eq(&tree) && map.iter().rev().eq(tree.iter().rev()));
        for (from, to) in bounds {
            prop_assert_eq!(map.get(&from), tree.get(&from));
            prop_assert!(map.range(from..).eq(tree.range(from..)));
            prop_assert!(map.range(..=to).rev().eq(tree.range(..=to).rev()));
            if from < to {
                let behind = (Bound::Excluded(from), Bound::Excluded(to));
                prop_assert!(map.range(behind).eq(tree.range(behind)));
                prop_assert!(map.range(from..to).eq(tree.range(from..to)));
            } else {
                prop_assert_eq!(map.range(from..to).count(), 0, "the standard library panics");
            }
            // Both ends meet once.
            let mut iter = map.range(from..);
            let count = tree.range(from..).count();
            prop_assert_eq!(iter.size_hint(), (count, Some(count)));
            let both = std::iter::from_fn(|| Some([iter.next()?, iter.next_back()?])).count();
            prop_assert_eq!(both, count / 2);
            prop_assert_eq!(iter.size_hint(), (0, Some(0)));
        }
        prop_assert_eq!(map.iter_mut().size_hint(), (tree.len(), Some(tree.len())));
        prop_assert_eq!(map.clone().into_iter().size_hint(), (tree.len(), Some(tree.len())));
        map.values_mut().for_each(|value| value.0 = 1);
        prop_assert!(map.values().all(|value| value.0 == 1));
        prop_assert!(map.clone().into_iter().map(|(key, _)| key).eq(tree.into_keys()));
        prop_assert_eq!(map.iter().map(|(key, value)| (*key, *value)).collect::<SortedMap<_, _>>(), map);
    }
}

#[test]
fn entries_that_come_in_order_fill_their_chunks() {
    let set: SortedSet<u64> = (0..10_000).collect();
    let most = SortedMap::<u64, ()>::CHUNK_MAX;
    assert_eq!(set.0.rest.len(), 10_000usize.div_ceil(most) - 1);
    assert_eq!((set.first(), set.last()), (Some(&0), Some(&9_999)));
    assert!(set.range(500..=600).copied().eq(500..=600));
}
