//! Maps and sets in the order of their keys, of little code.
//!
//! A search tree is compiled again for every pair of key and value, 6 KB each, and most of that balances nodes.
//! This crate has about 100 such pairs. A [`SortedMap`] is a list of sorted vectors instead:
//!
//! ```text
//!   first  [a b d e]            the lowest entries: all, in a small map
//!   rest   [f g k] [m p q s]    chunks with the higher ones, none of them empty
//! ```
//!
//! A look is one or two binary searches. A change moves at most one chunk of `CHUNK_BYTES`, and the list of chunks
//! when one is split or emptied. A map of ten entries is one vector. Chunks that entries have left are not joined: a map
//! keeps at most the memory of its fullest moment, until it is empty.
//!
//! Keys decide the order alone, so that a run stays the same from seed to seed.
use std::borrow::Borrow;
use std::fmt;
use std::ops::{Bound, RangeBounds};
use std::{mem, slice, vec};

/// The items of a full chunk. Guess: a few cache lines more than a search reads, and quick to move.
const CHUNK_BYTES: usize = 2_048;

/// A map whose entries are in the order of their keys.
#[derive(Clone)]
pub struct SortedMap<K, V> {
    /// Empty only if the map is.
    first: Vec<(K, V)>,
    /// Each chunk is above those before it, and none is empty.
    rest: Vec<Vec<(K, V)>>,
    len: usize,
}

/// Where an entry is: the number of its chunk (`first` is 0) and its index there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    chunk: usize,
    index: usize,
}

impl<K, V> SortedMap<K, V> {
    /// Entries of a full chunk: at least 8, for values that are large.
    const CHUNK_MAX: usize = {
        let size = size_of::<(K, V)>();
        match CHUNK_BYTES.checked_div(size) {
            Some(most) if most < 8 => 8,
            Some(most) => most,
            None => CHUNK_BYTES,
        }
    };

    /// A map of nothing, which takes no memory of the heap.
    pub const fn new() -> Self {
        Self { first: Vec::new(), rest: Vec::new(), len: 0 }
    }

    /// How many entries.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no entry.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes all entries out.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// The entries, in order.
    pub fn iter(&self) -> Iter<'_, K, V> {
        Iter { front: self.first.iter(), chunks: self.rest.iter(), back: [].iter() }
    }

    /// The entries with values to change, in order.
    pub fn iter_mut(&mut self) -> IterMut<'_, K, V> {
        IterMut { chunk: self.first.iter_mut(), rest: self.rest.iter_mut() }
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + Clone {
        self.iter().map(|(key, _)| key)
    }

    /// The values, in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + Clone {
        self.iter().map(|(_, value)| value)
    }

    /// The values to change, in the order of their keys.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.iter_mut().map(|(_, value)| value)
    }

    /// The keys, in order, of a map that is given up.
    pub fn into_keys(self) -> impl Iterator<Item = K> {
        self.into_iter().map(|(key, _)| key)
    }

    /// The entry with the lowest key.
    pub fn first_key_value(&self) -> Option<(&K, &V)> {
        self.first.first().map(|(key, value)| (key, value))
    }

    /// The entry with the highest key.
    pub fn last_key_value(&self) -> Option<(&K, &V)> {
        self.rest.last().unwrap_or(&self.first).last().map(|(key, value)| (key, value))
    }

    /// Takes out the entry with the lowest key.
    pub fn pop_first(&mut self) -> Option<(K, V)> {
        (!self.is_empty()).then(|| self.take(Place { chunk: 0, index: 0 }))
    }

    /// Keeps the entries for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        let mut len = 0;
        for chunk in std::iter::once(&mut self.first).chain(&mut self.rest) {
            chunk.retain_mut(|(key, value)| keep(key, value));
            len += chunk.len();
        }
        self.len = len;
        self.rest.retain(|chunk| !chunk.is_empty());
        self.fill_first();
    }

    fn chunk(&self, chunk: usize) -> &Vec<(K, V)> {
        if chunk == 0 { &self.first } else { &self.rest[chunk - 1] }
    }

    fn chunk_mut(&mut self, chunk: usize) -> &mut Vec<(K, V)> {
        if chunk == 0 { &mut self.first } else { &mut self.rest[chunk - 1] }
    }

    /// Takes out the entry at a place where there is one.
    fn take(&mut self, at: Place) -> (K, V) {
        let chunk = self.chunk_mut(at.chunk);
        let entry = chunk.remove(at.index);
        let emptied = chunk.is_empty();
        self.len -= 1;
        if emptied && at.chunk > 0 {
            self.rest.remove(at.chunk - 1);
        } else if emptied {
            self.fill_first();
        }
        entry
    }

    /// Makes the first chunk of the rest the first one if that is empty.
    fn fill_first(&mut self) {
        if self.first.is_empty() && !self.rest.is_empty() {
            self.first = self.rest.remove(0);
        }
    }

    /// Puts an entry at its place, and returns where it is then.
    fn put(&mut self, mut at: Place, entry: (K, V)) -> Place {
        if self.chunk(at.chunk).len() >= Self::CHUNK_MAX {
            at = self.split(at);
        }
        self.len += 1;
        self.chunk_mut(at.chunk).insert(at.index, entry);
        at
    }

    /// Makes room in a full chunk, and returns where the place is then.
    fn split(&mut self, at: Place) -> Place {
        let is_last = at.chunk == self.rest.len();
        let chunk = self.chunk_mut(at.chunk);
        // Entries that come in order fill their chunks.
        let middle = if is_last && at.index == chunk.len() { at.index } else { chunk.len() / 2 };
        let upper = chunk.split_off(middle);
        self.rest.insert(at.chunk, upper);
        match at.index.checked_sub(middle) {
            Some(index) => Place { chunk: at.chunk + 1, index },
            None => at,
        }
    }
}

impl<K: Ord, V> SortedMap<K, V> {
    /// Where the entry with this key is, or else where it would be.
    fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Result<Place, Place>
    where
        K: Borrow<Q>,
    {
        let mut chunk = 0;
        if !self.rest.is_empty() {
            chunk = self.rest.partition_point(|chunk| chunk[0].0.borrow() <= key);
        }
        match self.chunk(chunk).binary_search_by(|(other, _)| other.borrow().cmp(key)) {
            Ok(index) => Ok(Place { chunk, index }),
            Err(index) => Err(Place { chunk, index }),
        }
    }

    /// The value of this key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let at = self.find(key).ok()?;
        Some(&self.chunk(at.chunk)[at.index].1)
    }

    /// The value of this key, to change.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let at = self.find(key).ok()?;
        Some(&mut self.chunk_mut(at.chunk)[at.index].1)
    }

    /// Whether there is an entry with this key.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.find(key).is_ok()
    }

    /// Puts an entry in, and returns the earlier value of its key.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.find(&key) {
            Ok(at) => Some(mem::replace(&mut self.chunk_mut(at.chunk)[at.index].1, value)),
            Err(at) => {
                self.put(at, (key, value));
                None
            }
        }
    }

    /// Takes out the entry with this key, and returns its value.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let at = self.find(key).ok()?;
        Some(self.take(at).1)
    }

    /// The entry of this key, there or not.
    pub fn entry(&mut self, key: K) -> Entry<'_, K, V> {
        match self.find(&key) {
            Ok(at) => Entry::Occupied(Occupied { map: self, at }),
            Err(at) => Entry::Vacant(Vacant { map: self, at, key }),
        }
    }

    /// The entry with the lowest key, to change or to take out.
    pub fn first_entry(&mut self) -> Option<Occupied<'_, K, V>> {
        let at = Place { chunk: 0, index: 0 };
        (!self.is_empty()).then_some(Occupied { map: self, at })
    }

    /// The entries whose keys are in a range, in order.
    pub fn range<Q: Ord + ?Sized>(&self, range: impl RangeBounds<Q>) -> Iter<'_, K, V>
    where
        K: Borrow<Q>,
    {
        let place = |key: &Q, behind: bool| match self.find(key) {
            Ok(Place { chunk, index }) => Place { chunk, index: index + usize::from(behind) },
            Err(at) => at,
        };
        let from = match range.start_bound() {
            Bound::Included(key) => place(key, false),
            Bound::Excluded(key) => place(key, true),
            Bound::Unbounded => Place { chunk: 0, index: 0 },
        };
        let to = match range.end_bound() {
            Bound::Included(key) => place(key, true),
            Bound::Excluded(key) => place(key, false),
            Bound::Unbounded => {
                let chunk = self.rest.len();
                Place { chunk, index: self.chunk(chunk).len() }
            }
        };
        self.between(from, to)
    }
}

impl<K, V> SortedMap<K, V> {
    /// The entries from one place to before another.
    fn between(&self, from: Place, to: Place) -> Iter<'_, K, V> {
        let last = self.chunk(to.chunk);
        if from.chunk >= to.chunk {
            // A range whose end is before its start holds nothing.
            let inside = if from.chunk == to.chunk { last.get(from.index..to.index) } else { None };
            return Iter {
                front: inside.unwrap_or_default().iter(),
                chunks: [].iter(),
                back: [].iter(),
            };
        }
        Iter {
            front: self.chunk(from.chunk)[from.index..].iter(),
            chunks: self.rest[from.chunk..to.chunk - 1].iter(),
            back: last[..to.index].iter(),
        }
    }
}

/// An entry of a map that is there or not.
pub enum Entry<'a, K, V> {
    /// It is there.
    Occupied(Occupied<'a, K, V>),
    /// It is not there.
    Vacant(Vacant<'a, K, V>),
}

/// An entry that is there.
pub struct Occupied<'a, K, V> {
    map: &'a mut SortedMap<K, V>,
    at: Place,
}

/// The place of an entry that is not there.
pub struct Vacant<'a, K, V> {
    map: &'a mut SortedMap<K, V>,
    at: Place,
    key: K,
}

impl<'a, K, V> Entry<'a, K, V> {
    /// The value that is there, or else this one, put in.
    pub fn or_insert(self, value: V) -> &'a mut V {
        self.or_insert_with(|| value)
    }

    /// The value that is there, or else the one that `make` returns, put in.
    pub fn or_insert_with(self, make: impl FnOnce() -> V) -> &'a mut V {
        match self {
            Self::Occupied(entry) => entry.into_mut(),
            Self::Vacant(entry) => entry.insert(make()),
        }
    }

    /// The value that is there, or else the default one, put in.
    pub fn or_default(self) -> &'a mut V
    where
        V: Default,
    {
        self.or_insert_with(V::default)
    }
}

impl<'a, K, V> Occupied<'a, K, V> {
    /// Its key.
    pub fn key(&self) -> &K {
        &self.map.chunk(self.at.chunk)[self.at.index].0
    }

    /// Its value.
    pub fn get(&self) -> &V {
        &self.map.chunk(self.at.chunk)[self.at.index].1
    }

    /// Its value, to change.
    pub fn get_mut(&mut self) -> &mut V {
        &mut self.map.chunk_mut(self.at.chunk)[self.at.index].1
    }

    /// Its value, to change for as long as the map is borrowed.
    pub fn into_mut(self) -> &'a mut V {
        &mut self.map.chunk_mut(self.at.chunk)[self.at.index].1
    }

    /// Takes the entry out, and returns its value.
    pub fn remove(self) -> V {
        self.map.take(self.at).1
    }
}

impl<'a, K, V> Vacant<'a, K, V> {
    /// Puts the entry in.
    pub fn insert(self, value: V) -> &'a mut V {
        let at = self.map.put(self.at, (self.key, value));
        &mut self.map.chunk_mut(at.chunk)[at.index].1
    }
}

/// How many entries an iterator has left: those at its ends, and those of whole chunks. It is told exactly, since signatures
/// are checked together only if their number is known.
fn exactly<T>(at_ends: usize, chunks: &[Vec<T>]) -> (usize, Option<usize>) {
    let left = at_ends + chunks.iter().map(Vec::len).sum::<usize>();
    (left, Some(left))
}

/// Entries of a map in order, from both ends.
pub struct Iter<'a, K, V> {
    front: slice::Iter<'a, (K, V)>,
    chunks: slice::Iter<'a, Vec<(K, V)>>,
    back: slice::Iter<'a, (K, V)>,
}

impl<K, V> Clone for Iter<'_, K, V> {
    fn clone(&self) -> Self {
        Self { front: self.front.clone(), chunks: self.chunks.clone(), back: self.back.clone() }
    }
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        while self.front.as_slice().is_empty() {
            let Some(chunk) = self.chunks.next() else {
                return self.back.next().map(|(key, value)| (key, value));
            };
            self.front = chunk.iter();
        }
        self.front.next().map(|(key, value)| (key, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        exactly(self.front.len() + self.back.len(), self.chunks.as_slice())
    }
}

impl<K, V> DoubleEndedIterator for Iter<'_, K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        while self.back.as_slice().is_empty() {
            let Some(chunk) = self.chunks.next_back() else {
                return self.front.next_back().map(|(key, value)| (key, value));
            };
            self.back = chunk.iter();
        }
        self.back.next_back().map(|(key, value)| (key, value))
    }
}

/// Entries of a map with values to change, in order.
pub struct IterMut<'a, K, V> {
    chunk: slice::IterMut<'a, (K, V)>,
    rest: slice::IterMut<'a, Vec<(K, V)>>,
}

impl<'a, K, V> Iterator for IterMut<'a, K, V> {
    type Item = (&'a K, &'a mut V);

    fn next(&mut self) -> Option<Self::Item> {
        while self.chunk.as_slice().is_empty() {
            self.chunk = self.rest.next()?.iter_mut();
        }
        self.chunk.next().map(|(key, value)| (&*key, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        exactly(self.chunk.len(), self.rest.as_slice())
    }
}

/// Entries of a map that is given up, in order.
pub struct IntoIter<K, V> {
    chunk: vec::IntoIter<(K, V)>,
    rest: vec::IntoIter<Vec<(K, V)>>,
}

impl<K, V> Iterator for IntoIter<K, V> {
    type Item = (K, V);

    fn next(&mut self) -> Option<(K, V)> {
        while self.chunk.as_slice().is_empty() {
            self.chunk = self.rest.next()?.into_iter();
        }
        self.chunk.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        exactly(self.chunk.len(), self.rest.as_slice())
    }
}

impl<K, V> IntoIterator for SortedMap<K, V> {
    type Item = (K, V);
    type IntoIter = IntoIter<K, V>;

    fn into_iter(self) -> IntoIter<K, V> {
        IntoIter { chunk: self.first.into_iter(), rest: self.rest.into_iter() }
    }
}

impl<'a, K, V> IntoIterator for &'a SortedMap<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Iter<'a, K, V> {
        self.iter()
    }
}

impl<'a, K, V> IntoIterator for &'a mut SortedMap<K, V> {
    type Item = (&'a K, &'a mut V);
    type IntoIter = IterMut<'a, K, V>;

    fn into_iter(self) -> IterMut<'a, K, V> {
        self.iter_mut()
    }
}

impl<K: Ord, V> Extend<(K, V)> for SortedMap<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for SortedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        map.extend(entries);
        map
    }
}

impl<K: Ord, V, const N: usize> From<[(K, V); N]> for SortedMap<K, V> {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

/// Equal if the entries are, whatever chunks they are in.
impl<K: PartialEq, V: PartialEq> PartialEq for SortedMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K: Eq, V: Eq> Eq for SortedMap<K, V> {}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for SortedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// A set whose members are in order.
#[derive(Clone, PartialEq, Eq)]
pub struct SortedSet<T>(SortedMap<T, ()>);

impl<T> SortedSet<T> {
    /// A set of nothing, which takes no memory of the heap.
    pub const fn new() -> Self {
        Self(SortedMap::new())
    }

    /// How many members.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no member.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes all members out.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The members, in order.
    pub fn iter(&self) -> Members<'_, T> {
        Members(self.0.iter())
    }

    /// The lowest member.
    pub fn first(&self) -> Option<&T> {
        self.0.first_key_value().map(|(member, ())| member)
    }

    /// The highest member.
    pub fn last(&self) -> Option<&T> {
        self.0.last_key_value().map(|(member, ())| member)
    }

    /// Takes out the lowest member.
    pub fn pop_first(&mut self) -> Option<T> {
        self.0.pop_first().map(|(member, ())| member)
    }

    /// Keeps the members for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.0.retain(|member, ()| keep(member));
    }
}

impl<T: Ord> SortedSet<T> {
    /// The member that equals this one.
    pub fn get<Q: Ord + ?Sized>(&self, member: &Q) -> Option<&T>
    where
        T: Borrow<Q>,
    {
        let at = self.0.find(member).ok()?;
        Some(&self.0.chunk(at.chunk)[at.index].0)
    }

    /// Whether this is a member.
    pub fn contains<Q: Ord + ?Sized>(&self, member: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.0.contains_key(member)
    }

    /// Puts a member in. Returns whether it is new.
    pub fn insert(&mut self, member: T) -> bool {
        self.0.insert(member, ()).is_none()
    }

    /// Takes a member out. Returns whether it was there.
    pub fn remove<Q: Ord + ?Sized>(&mut self, member: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.0.remove(member).is_some()
    }

    /// The members in a range, in order.
    pub fn range<Q: Ord + ?Sized>(&self, range: impl RangeBounds<Q>) -> Members<'_, T>
    where
        T: Borrow<Q>,
    {
        Members(self.0.range(range))
    }

    /// Whether every member of the other set is one of this.
    pub fn is_superset(&self, other: &Self) -> bool {
        other.iter().all(|member| self.contains(member))
    }
}

/// Members of a set in order, from both ends.
pub struct Members<'a, T>(Iter<'a, T, ()>);

impl<T> Clone for Members<'_, T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<'a, T> Iterator for Members<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        self.0.next().map(|(member, ())| member)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<T> DoubleEndedIterator for Members<'_, T> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(|(member, ())| member)
    }
}

/// Members of a set that is given up, in order.
pub struct IntoMembers<T>(IntoIter<T, ()>);

impl<T> Iterator for IntoMembers<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.next().map(|(member, ())| member)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<T> IntoIterator for SortedSet<T> {
    type Item = T;
    type IntoIter = IntoMembers<T>;

    fn into_iter(self) -> IntoMembers<T> {
        IntoMembers(self.0.into_iter())
    }
}

impl<'a, T> IntoIterator for &'a SortedSet<T> {
    type Item = &'a T;
    type IntoIter = Members<'a, T>;

    fn into_iter(self) -> Members<'a, T> {
        self.iter()
    }
}

impl<T: Ord> Extend<T> for SortedSet<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, members: I) {
        for member in members {
            self.insert(member);
        }
    }
}

impl<T: Ord> FromIterator<T> for SortedSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(members: I) -> Self {
        let mut set = Self::new();
        set.extend(members);
        set
    }
}

impl<T: Ord, const N: usize> From<[T; N]> for SortedSet<T> {
    fn from(members: [T; N]) -> Self {
        members.into_iter().collect()
    }
}

impl<T> Default for SortedSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for SortedSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests;
