//! The storage operations of the node: keys, batches, and the steps that follow their answers.
//!
//! ```text
//! key   "g" ‖ group id (32) ‖ "i"                            what we know of the group, see `group.rs`
//!       "g" ‖ group id (32) ‖ "r" ‖ class (1) ‖ id (16)      one record, its exact bytes
//! ```
//!
//! Every value stands behind a check, see `storage/whole.rs`: a value that does not fit its check
//! is treated as missing.
//!
//! Everything that one input writes goes out as one batch, so that a record and the fact that depends on it are durable
//! together. Encoded records stay in a cache of [`CACHE_BYTES_MAX`](limits::CACHE_BYTES_MAX); the disk is read for the
//! rest.
use crate::id::{GroupId, RecordId};
use crate::invitation::Invitation;
use crate::io::{Changes, Found, LinkId, Outbox, Output, RequestId, StoreId, StoreTask};
use crate::limits;
use crate::record::{Cursor, Signed};
use crate::sorted::{SortedMap, SortedSet};
use crate::table::{Mixer, Table};
use bytes::Bytes;
use std::collections::VecDeque;

mod waiting;
mod whole;

use waiting::Waiting;
pub(crate) use whole::{CHECK_BYTES, checked, whole};

/// Which part of a group's records: each is synchronised on its own, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Properties, memberships, invitations.
    Membership = 0,
    /// Presence records.
    Presence = 1,
    /// Records of applications.
    Application = 2,
}

impl Class {
    pub(crate) const ALL: [Self; 3] = [Self::Membership, Self::Presence, Self::Application];

    pub(crate) fn from_wire(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte)).copied()
    }

    pub(crate) fn next(self) -> Option<Self> {
        Self::ALL.get(self as usize + 1).copied()
    }
}

/// The consequences of a batch, due once it is durable.
pub(crate) enum Commit {
    /// A record.
    Record { group: GroupId, written: Box<Written> },
    /// A new group, which a request waits for, or a membership of one.
    Group { group: GroupId, request: Option<RequestId> },
    /// A redemption: the membership may go out.
    Grant { group: GroupId, link: LinkId, slot: u16, chain: Vec<u8> },
    /// The record of an invitation: its link may be shown.
    Invitation { request: RequestId, invitation: Box<Invitation> },
    /// The act by which we hand a group over: it takes effect.
    Handover { group: GroupId, signed: Box<Signed>, request: RequestId },
    /// The key with which we would be the next owner: the offer may go out.
    Offer { group: GroupId, request: RequestId },
}

/// A record that is being written.
pub(crate) struct Written {
    pub(crate) class: Class,
    pub(crate) signed: Signed,
    /// How long it is, encoded.
    pub(crate) bytes: usize,
    /// The link from which it came, which waits for an acknowledgement.
    pub(crate) from: Option<LinkId>,
    /// The request that waits for it.
    pub(crate) request: Option<RequestId>,
    /// Whether it is shown and passed on already, see `group/writing.rs`.
    pub(crate) ahead: bool,
    /// Whether it is passed on already.
    pub(crate) sent: bool,
}

/// The purpose of a storage operation.
pub(crate) enum Pending {
    /// A batch.
    Write(Vec<Commit>),
    /// Reading the store at the start.
    Load,
    /// Records for a page; those from the cache stand already.
    Page(Page),
    /// Records for a neighbour, by id.
    Give { group: GroupId, link: LinkId },
    /// Records for a newcomer who asks what its invitation is about, besides those that stand here.
    Show { group: GroupId, link: LinkId, records: Vec<Bytes> },
    /// Own records that end soon, to publish them anew.
    Refresh { group: GroupId },
    /// Own records that are dated wrongly, to sign them again.
    Again { group: GroupId },
    /// Records of others that are to be changed.
    Change { group: GroupId, change: Change },
    /// Records for the index of searches.
    Index { group: GroupId, ids: Vec<RecordId> },
    /// Deleting the records of a group that was left.
    Clear { group: GroupId, request: RequestId },
}

/// The change that goes on once its record was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The change or deletion that is to be published first.
    Publish(RecordId),
    /// Withdrawing an invitation.
    Withdraw(RecordId, RequestId),
    /// Confirming deletions.
    Confirm,
}

impl Change {
    /// The request that waits for that alone.
    pub(crate) fn request(self) -> Option<RequestId> {
        match self {
            Self::Withdraw(_, request) => Some(request),
            Self::Publish(_) | Self::Confirm => None,
        }
    }
}

/// A page of records that is being read.
pub(crate) struct Page {
    pub(crate) request: RequestId,
    /// In order; `None` if the disk must be asked.
    pub(crate) records: Vec<(RecordId, Option<Bytes>)>,
    pub(crate) answer: Answer,
}

/// The answer that a page belongs to, besides the records.
pub(crate) enum Answer {
    /// Where the next page of all records begins.
    Records(Option<Cursor>),
    /// The page of a search.
    Found(Found),
    /// Changes of what a query finds; for each record its place, and whether it is new.
    Changes(Changes, Vec<(usize, bool)>),
}

/// The node's side of its store.
#[derive(Default)]
pub(crate) struct Storage {
    asked: u64,
    pending: SortedMap<StoreId, Pending>,
    /// The keys that are being read.
    reading: SortedMap<StoreId, Vec<Bytes>>,
    batch: Vec<(Bytes, Option<Bytes>)>,
    commits: Vec<Commit>,
    waiting: Waiting,
    cache: Cache,
    /// Groups that are in the store and could not be read. As many as there are in it.
    unread: SortedSet<GroupId>,
}

impl Storage {
    /// Nothing asked yet; tables are hashed with this secret.
    pub(crate) fn new(secret: u64) -> Self {
        let entries = Table::with_hasher(Mixer::new(secret));
        Self { cache: Cache { entries, ..Cache::default() }, ..Self::default() }
    }

    /// Adds a write to the batch of this input. Values are [`checked`].
    pub(crate) fn write(&mut self, key: Bytes, value: Option<Bytes>) {
        self.write_from(None, key, value);
    }

    /// The same of what a link brought.
    pub(crate) fn write_from(&mut self, from: Option<LinkId>, key: Bytes, value: Option<Bytes>) {
        self.waiting.add(from, key.len() + value.as_ref().map_or(0, Bytes::len));
        self.batch.push((key, value));
    }

    /// Bytes of writes that were not answered yet.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        self.waiting.bytes()
    }

    /// Whether records that a link brings may wait for the disk as well.
    pub(crate) fn has_room(&self, from: Option<LinkId>) -> bool {
        self.waiting.has_room(from)
    }

    /// Adds a consequence that is due when the batch of this input is durable.
    pub(crate) fn commit(&mut self, commit: Commit) {
        self.commits.push(commit);
    }

    /// Sends the batch of this input to the host.
    pub(crate) fn flush(&mut self, out: &mut Outbox) {
        if self.batch.is_empty() && self.commits.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        let commits = std::mem::take(&mut self.commits);
        self.ask(StoreTask::Write { batch }, Pending::Write(commits), out);
    }

    /// Asks the host for something.
    pub(crate) fn ask(&mut self, task: StoreTask, pending: Pending, out: &mut Outbox) {
        self.asked += 1;
        let op = StoreId(self.asked);
        if matches!(task, StoreTask::Write { .. }) {
            self.waiting.send(op);
        }
        if let StoreTask::Read { keys } = &task {
            self.reading.insert(op, keys.clone());
        }
        self.pending.insert(op, pending);
        out.push_back(Output::Store { op, task });
    }

    /// Returns the purpose of an answered operation, and the keys that it was to read.
    pub(crate) fn answered(&mut self, op: StoreId) -> Option<(Pending, Vec<Bytes>)> {
        self.waiting.answered(op);
        let keys = self.reading.remove(&op).unwrap_or_default();
        Some((self.pending.remove(&op)?, keys))
    }

    /// Whether anything is still to become durable.
    pub(crate) fn is_quiet(&self) -> bool {
        self.batch.is_empty()
            && self.commits.is_empty()
            && !self.pending.values().any(|pending| matches!(pending, Pending::Write(_)))
    }

    /// The last write so far, this input's batch included: for [`Storage::is_durable`].
    pub(crate) fn barrier(&self) -> StoreId {
        let batch = !self.batch.is_empty() || !self.commits.is_empty();
        StoreId(self.asked + u64::from(batch))
    }

    /// Whether every write up to `barrier` is durable.
    pub(crate) fn is_durable(&self, barrier: StoreId) -> bool {
        let write = |pending: &Pending| matches!(pending, Pending::Write(_));
        barrier.0 <= self.asked && !self.pending.range(..=barrier).any(|(_, p)| write(p))
    }

    /// A group could not be read: nothing of it is deleted.
    pub(crate) fn leave_unread(&mut self, group: GroupId) {
        self.unread.insert(group);
    }

    /// Whether a group is in the store and could not be read.
    pub(crate) fn is_unread(&self, group: GroupId) -> bool {
        self.unread.contains(&group)
    }

    /// Remembers the bytes of a record.
    pub(crate) fn remember(&mut self, group: GroupId, id: RecordId, bytes: Bytes) {
        self.cache.insert((group, id), bytes);
    }

    /// Forgets the bytes of a record.
    pub(crate) fn forget(&mut self, group: GroupId, id: RecordId) {
        self.cache.remove(&(group, id));
    }

    /// The bytes of a record, if they are in memory.
    pub(crate) fn cached(&self, group: GroupId, id: RecordId) -> Option<Bytes> {
        self.cache.entries.get(&(group, id)).cloned()
    }
}

/// Returns the values of these keys, with `None` for damaged and missing ones; and the keys of all
/// of these.
pub(crate) fn whole_values(
    keys: Vec<Bytes>,
    values: Vec<Option<Bytes>>,
) -> (Vec<Option<Bytes>>, Vec<Bytes>) {
    // A host that answers with fewer values has none for the rest.
    let values = values.into_iter().chain(std::iter::repeat(None));
    let read: Vec<Option<Bytes>> =
        keys.iter().zip(values).map(|(key, value)| whole(key, &value?)).collect();
    let lost = keys.into_iter().zip(&read).filter(|(_, value)| value.is_none());
    let lost = lost.map(|(key, _)| key).collect();
    (read, lost)
}

/// Key of what we know of a group.
pub(crate) fn info_key(group: GroupId) -> Bytes {
    [b"g", &group.as_bytes()[..], b"i"].concat().into()
}

/// Key of a record.
pub(crate) fn record_key(group: GroupId, class: Class, id: RecordId) -> Bytes {
    [b"g", &group.as_bytes()[..], b"r", &[class as u8], id.as_bytes()].concat().into()
}

/// All keys of a group, as a range.
pub(crate) fn group_range(group: GroupId) -> (Bytes, Bytes) {
    let from = [b"g", &group.as_bytes()[..]].concat();
    let to = [&from[..], &[0xff]].concat();
    (from.into(), to.into())
}

/// The meaning of a key.
pub(crate) enum Key {
    Info(GroupId),
    Record(GroupId, Class, RecordId),
}

/// Reads a key. `None` if it is not one of ours.
pub(crate) fn parse_key(key: &[u8]) -> Option<Key> {
    let rest = key.strip_prefix(b"g")?;
    let (group, rest) = rest.split_first_chunk::<32>()?;
    let group = GroupId::from_bytes(*group);
    match rest {
        b"i" => Some(Key::Info(group)),
        [b'r', class, id @ ..] => {
            let id = RecordId::from_bytes(id.try_into().ok()?);
            Some(Key::Record(group, Class::from_wire(*class)?, id))
        }
        _ => None,
    }
}

/// Encoded records in memory; the oldest go first.
#[derive(Default)]
struct Cache {
    entries: Table<(GroupId, RecordId), Bytes>,
    order: VecDeque<(GroupId, RecordId)>,
    bytes: usize,
}

impl Cache {
    fn insert(&mut self, key: (GroupId, RecordId), bytes: Bytes) {
        if bytes.len() > limits::CACHE_BYTES_MAX / 8 {
            self.remove(&key);
            return;
        }
        self.bytes += bytes.len();
        match self.entries.insert(key, bytes) {
            Some(old) => self.bytes -= old.len(),
            None => self.order.push_back(key),
        }
        while self.bytes > limits::CACHE_BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else { return };
            if let Some(old) = self.entries.remove(&oldest) {
                self.bytes -= old.len();
            }
        }
        // Keys that were removed stay in the order until they come up; they must not pile up either.
        if self.order.len() > 2 * self.entries.len() + 64 {
            self.order.retain(|key| self.entries.contains_key(key));
        }
    }

    fn remove(&mut self, key: &(GroupId, RecordId)) {
        if let Some(old) = self.entries.remove(key) {
            self.bytes -= old.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_round_trip_and_stay_inside_their_group() {
        let group = GroupId::from_bytes([7; 32]);
        let id = RecordId::from_bytes([9; 16]);
        let key = record_key(group, Class::Presence, id);
        assert!(
            matches!(parse_key(&key), Some(Key::Record(g, Class::Presence, i)) if g == group && i == id)
        );
        assert!(matches!(parse_key(&info_key(group)), Some(Key::Info(g)) if g == group));
        let (from, to) = group_range(group);
        assert!(from <= key && key < to);
        assert!(parse_key(&key[..20]).is_none());
    }

    #[test]
    fn cache_stays_below_its_bound_and_drops_the_oldest() {
        let mut cache = Cache::default();
        let key = |n: u8| (GroupId::default(), RecordId::from_bytes([n; 16]));
        for n in 0..20 {
            cache.insert(key(n), Bytes::from(vec![n; 1024 * 1024]));
        }
        assert!(cache.bytes <= limits::CACHE_BYTES_MAX);
        assert!(!cache.entries.contains_key(&key(0)));
        assert!(cache.entries.contains_key(&key(19)));
    }
}
