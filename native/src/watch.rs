//! Streams of events and records: records of a group without a gap, and all events with one.
//!
//! A [`Watch`] loses nothing and never stops the host. Records that arrive wait in its queue. When
//! the application is so slow that the queue is full, only ids are kept (one for each record,
//! however often it changes) and the records are read from the store when their turn comes. Its
//! memory is bounded by the number of records in the group.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};

use futures::Stream;
use futures::stream::unfold;
use peergraph_core::address::Address;
use peergraph_core::id::{GroupId, RecordId};
use peergraph_core::io::{Command, Cursor, Event, Filter, GroupCommand, NodeState, Reply};
use peergraph_core::node_url::NodeUrl;
use peergraph_core::record::{Record, RecordType};
use tokio::sync::{Notify, broadcast};

use crate::delivery::Delivery;
use crate::requests::Requests;

/// Records that wait whole for one watcher. Guess.
const QUEUE_MAX: usize = 1_024;
/// Bytes of payload that wait for one watcher. Guess.
const QUEUE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Events that wait for one listener. Guess. The oldest are lost.
const EVENTS_MAX: usize = 1_024;

/// Named nodes of which we know how far they are. Guess: twice what the core keeps.
const NODES_MAX: usize = 128;

/// The listeners of a host.
#[derive(Debug)]
pub(crate) struct Registry {
    feeds: Mutex<Vec<Weak<Feed>>>,
    deliveries: Mutex<Vec<Delivery>>,
    /// The nodes that were named, and how far each is. As many as the core keeps.
    nodes: Mutex<BTreeMap<NodeUrl, NodeState>>,
    /// Where invitations say that this data folder is reached, if that is not where this host listens.
    stays_at: Vec<Address>,
    door: tokio::sync::watch::Sender<Door>,
    /// Absent once the host has ended.
    events: Mutex<Option<broadcast::Sender<Event>>>,
}

/// Other programs that use this host.
#[derive(Debug, Default)]
struct Door {
    /// Those that do so for one command.
    guests: usize,
    closed: bool,
}

/// Another program that uses this host for one command, until this is dropped.
pub(crate) struct Guest(Arc<Registry>);

impl Guest {
    /// Lets one in, unless the door is closed.
    pub(crate) fn enter(registry: Arc<Registry>) -> Option<Self> {
        let entered = registry.door.send_if_modified(|door| {
            door.guests += usize::from(!door.closed);
            !door.closed
        });
        entered.then(|| Self(registry))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.door.send_modify(|door| door.guests -= 1);
    }
}

impl Registry {
    /// For a host that begins with these nodes.
    pub(crate) fn new(nodes: &[NodeUrl], stays_at: Vec<Address>) -> Self {
        Self::knowing(nodes.iter().map(|url| (url.clone(), NodeState::Trying)).collect(), stays_at)
    }

    /// For a host that has named these nodes before.
    pub(crate) fn knowing(nodes: Vec<(NodeUrl, NodeState)>, stays_at: Vec<Address>) -> Self {
        let nodes = nodes.into_iter().take(NODES_MAX).collect();
        Self {
            feeds: Mutex::default(),
            deliveries: Mutex::default(),
            nodes: Mutex::new(nodes),
            stays_at,
            door: tokio::sync::watch::Sender::default(),
            events: Mutex::new(Some(broadcast::Sender::new(EVENTS_MAX))),
        }
    }

    /// Takes no further guests, and waits until those that are here have gone.
    pub(crate) async fn close_door(&self) {
        self.door.send_modify(|door| door.closed = true);
        self.await_door(|door| door.guests == 0).await;
    }

    /// Waits until no further guest is to be taken.
    pub(crate) async fn door_closed(&self) {
        self.await_door(|door| door.closed).await;
    }

    async fn await_door(&self, so: impl FnMut(&Door) -> bool) {
        // The sender is ours, so it is there.
        let _ = self.door.subscribe().wait_for(so).await;
    }

    /// Tells everybody.
    pub(crate) fn tell(&self, event: Event) {
        if let Event::Record { group, record } = &event {
            self.feeds.lock().expect("no panic under this lock").retain(|feed| {
                let Some(feed) = feed.upgrade() else { return false };
                feed.push(*group, record);
                true
            });
        }
        if let Event::NamedNode { url, state } = &event {
            let mut nodes = self.nodes.lock().expect("no panic under this lock");
            if matches!(state, NodeState::Forgotten) {
                nodes.remove(url);
            } else if nodes.len() < NODES_MAX || nodes.contains_key(url) {
                nodes.insert(url.clone(), state.clone());
            }
        }
        if let Some(events) = &*self.events.lock().expect("no panic under this lock") {
            // An error says that nobody listens.
            let _ = events.send(event);
        }
    }

    /// Where invitations say that this data folder is reached, if that is not where this host listens.
    pub(crate) fn stays_at(&self) -> Option<&[Address]> {
        (!self.stays_at.is_empty()).then_some(&self.stays_at)
    }

    /// A node is named from here on.
    pub(crate) fn trying(&self, url: &NodeUrl) {
        let mut nodes = self.nodes.lock().expect("no panic under this lock");
        if nodes.len() < NODES_MAX {
            nodes.entry(url.clone()).or_insert(NodeState::Trying);
        }
    }

    /// How far a node is that was named.
    pub(crate) fn node(&self, url: &NodeUrl) -> Option<NodeState> {
        self.nodes.lock().expect("no panic under this lock").get(url).cloned()
    }

    /// The nodes that were named, and how far each is.
    pub(crate) fn nodes(&self) -> Vec<(NodeUrl, NodeState)> {
        let nodes = self.nodes.lock().expect("no panic under this lock");
        nodes.iter().map(|(url, state)| (url.clone(), state.clone())).collect()
    }

    /// Ends every stream.
    pub(crate) fn close(&self) {
        *self.events.lock().expect("no panic under this lock") = None;
        for feed in self.feeds.lock().expect("no panic under this lock").drain(..) {
            if let Some(feed) = feed.upgrade() {
                feed.waiting.lock().expect("no panic under this lock").closed = true;
                feed.changed.notify_one();
            }
        }
    }

    pub(crate) fn track(&self, delivery: &Delivery, id: RecordId) {
        delivery.add(id);
        let mut deliveries = self.deliveries.lock().expect("no panic under this lock");
        if !deliveries.iter().any(|known| known.is(delivery)) {
            deliveries.push(delivery.clone());
        }
    }

    pub(crate) fn sent(&self, id: RecordId) {
        let mut deliveries = self.deliveries.lock().expect("no panic under this lock");
        deliveries.retain(|delivery| !delivery.sent(id) && !delivery.is_forgotten());
    }

    fn feed(&self, group: GroupId, kind: Option<RecordType>) -> Arc<Feed> {
        self.feed_of([group].into(), kind)
    }

    /// Of no group yet.
    #[cfg(unix)]
    pub(crate) fn feed_of_many(&self) -> Arc<Feed> {
        self.feed_of(BTreeSet::new(), None)
    }

    fn feed_of(&self, groups: BTreeSet<GroupId>, kind: Option<RecordType>) -> Arc<Feed> {
        let feed = Arc::new(Feed {
            groups: Mutex::new(groups),
            kind,
            waiting: Mutex::default(),
            changed: Notify::new(),
        });
        let closed = self.events.lock().expect("no panic under this lock").is_none();
        feed.waiting.lock().expect("no panic under this lock").closed = closed;
        self.feeds.lock().expect("no panic under this lock").push(Arc::downgrade(&feed));
        feed
    }

    /// A record of a group has changed, and is to be read from the store.
    #[cfg(unix)]
    pub(crate) fn changed(&self, group: GroupId, id: RecordId) {
        for feed in self.feeds.lock().expect("no panic under this lock").iter() {
            if let Some(feed) = feed.upgrade().filter(|feed| feed.is_of(group)) {
                let mut waiting = feed.waiting.lock().expect("no panic under this lock");
                waiting.overflow.entry((group, id)).or_insert(None);
                feed.changed.notify_one();
            }
        }
    }

    pub(crate) fn events(&self) -> Events {
        let events = self.events.lock().expect("no panic under this lock");
        let Some(events) = events.as_ref().map(broadcast::Sender::subscribe) else {
            return Events(Box::pin(futures::stream::empty()));
        };
        let stream = unfold(events, |mut events| async {
            loop {
                match events.recv().await {
                    Ok(event) => return Some((event, events)),
                    Err(broadcast::error::RecvError::Lagged(lost)) => {
                        tracing::warn!(lost, "an application is too slow for its events");
                    }
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        });
        Events(Box::pin(stream))
    }
}

/// The queue of one watcher.
#[derive(Debug)]
pub(crate) struct Feed {
    groups: Mutex<BTreeSet<GroupId>>,
    kind: Option<RecordType>,
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    queue: VecDeque<(GroupId, Record)>,
    bytes: usize,
    /// Records that did not fit: read from the store when their turn comes. A tombstone is no
    /// longer in the store, so it is kept here.
    overflow: BTreeMap<(GroupId, RecordId), Option<Record>>,
    closed: bool,
}

#[expect(clippy::large_enum_variant, reason = "one at a time, moved once")]
pub(crate) enum Next {
    Record(GroupId, Record),
    Stored(GroupId, RecordId),
    Nothing,
    Closed,
}

impl Feed {
    fn push(&self, group: GroupId, record: &Record) {
        if !self.is_of(group) || self.kind.as_ref().is_some_and(|kind| *kind != record.kind) {
            return;
        }
        let mut waiting = self.waiting.lock().expect("no panic under this lock");
        let full = waiting.queue.len() >= QUEUE_MAX || waiting.bytes >= QUEUE_BYTES_MAX;
        if full || !waiting.overflow.is_empty() {
            waiting.overflow.insert((group, record.id), record.deleted.then(|| record.clone()));
        } else {
            waiting.bytes += record.payload.len();
            waiting.queue.push_back((group, record.clone()));
        }
        self.changed.notify_one();
    }

    fn is_of(&self, group: GroupId) -> bool {
        self.groups.lock().expect("no panic under this lock").contains(&group)
    }

    /// Takes up one more group, if there are fewer than `most`.
    #[cfg(unix)]
    pub(crate) fn add(&self, group: GroupId, most: usize) {
        let mut groups = self.groups.lock().expect("no panic under this lock");
        if groups.len() < most {
            groups.insert(group);
        }
    }

    /// Waits until there may be more.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(crate) fn next(&self) -> Next {
        let mut waiting = self.waiting.lock().expect("no panic under this lock");
        if let Some((group, record)) = waiting.queue.pop_front() {
            waiting.bytes -= record.payload.len();
            return Next::Record(group, record);
        }
        match waiting.overflow.pop_first() {
            Some(((group, _), Some(record))) => Next::Record(group, record),
            Some(((group, id), None)) => Next::Stored(group, id),
            None if waiting.closed => Next::Closed,
            None => Next::Nothing,
        }
    }
}

/// Records of a group: first what is stored, oldest change first, then what arrives, before it is durable. A deletion
/// comes as a record that is `deleted`. Ends when the host does.
pub struct Watch(Pin<Box<dyn Stream<Item = Record> + Send>>);

/// The events of a host, as they happen. A listener that is more than 1,024 events late loses the
/// oldest. Ends when the host does.
pub struct Events(Pin<Box<dyn Stream<Item = Event> + Send>>);

impl Stream for Watch {
    type Item = Record;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Record>> {
        self.0.as_mut().poll_next(context)
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.0.as_mut().poll_next(context)
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch")
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}

impl Watch {
    /// Ends at once.
    pub(crate) fn empty() -> Self {
        Self(Box::pin(futures::stream::empty()))
    }

    pub(crate) fn new(
        registry: &Registry,
        requests: Requests,
        group: GroupId,
        kind: Option<RecordType>,
    ) -> Self {
        // Registered before the first page is read, so that nothing falls between.
        let feed = registry.feed(group, kind);
        let watcher = Watcher {
            feed,
            group,
            requests,
            page: VecDeque::new(),
            after: Some(None),
            told: BTreeMap::new(),
        };
        Self(Box::pin(unfold(watcher, |mut watcher| async {
            let record = watcher.next().await?;
            Some((record, watcher))
        })))
    }
}

struct Watcher {
    feed: Arc<Feed>,
    group: GroupId,
    requests: Requests,
    page: VecDeque<Record>,
    /// Where the next page of the stored records begins; `None` once they are all told.
    after: Option<Option<Cursor>>,
    /// The stored records that were told, each by the beginning of its signature, which covers
    /// everything. A record that arrives meanwhile may be on a page and in the queue. Forgotten as
    /// soon as the queue is empty.
    told: BTreeMap<RecordId, [u8; 8]>,
}

impl Watcher {
    async fn next(&mut self) -> Option<Record> {
        loop {
            if let Some(record) = self.page.pop_front() {
                self.told.insert(record.id, stamp(&record));
                return Some(record);
            }
            if self.after == Some(None) {
                // If the host is in another program, that program must tell before the first page
                // is read.
                self.requests.watch(self.group).await.ok()?;
            }
            if let Some(after) = self.after {
                self.after = self.read(Filter { after, ..Filter::default() }).await?.map(Some);
                continue;
            }
            match self.feed.next() {
                Next::Record(_, record) => {
                    if self.told.get(&record.id) != Some(&stamp(&record)) {
                        return Some(record);
                    }
                }
                Next::Stored(_, id) => {
                    self.read(Filter { id: Some(id), ..Filter::default() }).await?;
                    if let Some(record) = self.page.pop_front()
                        && self.told.get(&id) != Some(&stamp(&record))
                    {
                        return Some(record);
                    }
                }
                Next::Nothing => {
                    self.told.clear();
                    self.feed.changed().await;
                }
                Next::Closed => return None,
            }
        }
    }

    /// Reads a page, and tells where the next one begins. `None` ends the watch: the group or the host is gone.
    async fn read(&mut self, filter: Filter) -> Option<Option<Cursor>> {
        let filter = Filter { kind: self.feed.kind.clone(), ..filter };
        let group = self.group;
        match self.requests.ask(Command::Group(group, GroupCommand::Records { filter })).await {
            Ok(Reply::Records { records, next }) => {
                self.page = records.into();
                Some(next)
            }
            Ok(_) => None,
            Err(error) => {
                tracing::warn!(%error, "a watch ends");
                None
            }
        }
    }
}

fn stamp(record: &Record) -> [u8; 8] {
    let mut stamp = [0; 8];
    stamp.copy_from_slice(&record.signature[..8]);
    stamp
}
