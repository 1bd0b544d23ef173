//! A group, and what can be done in it.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use peergraph_core::cert::VerifiedChain;
use peergraph_core::error::Error;
use peergraph_core::id::{GroupId, RecordId};
use peergraph_core::io::{
    Command, Cursor, Draft, Filter, GroupCommand, GroupInfo, LinkInfo, MemberInfo, NodeInfo, Reply,
    StoreFault, StoreReply, StoreTask, Tried,
};
use peergraph_core::record::{Attribute, Record, RecordType, Value};
use peergraph_core::stored::{self, StoredGroup};

use crate::delivery::Delivery;
use crate::requests::{CommandError, Requests, WRONG_REPLY};
use crate::watch::{Registry, Watch};

mod broadcast;
mod direct;
mod search;
mod sink;

pub use broadcast::{Broadcast, Broadcasts, SendBroadcast};
pub use direct::{
    Call, CallRequest, Calls, Direct, DirectMessages, DirectRequest, DirectRequests, DirectStream,
    IncomingCall, IncomingDirects, IncomingStreams, IntoDirectTo, Responses, SendDirect, Serving,
};
pub use search::{IntoQuery, LiveQuery, Search};
pub use sink::Publisher;

/// A group of a [`Host`](crate::Host). Cheap to clone.
#[derive(Clone, Debug)]
pub struct Group {
    id: GroupId,
    name: Arc<str>,
    pub(crate) requests: Requests,
    pub(crate) registry: Arc<Registry>,
}

impl Group {
    pub(crate) fn new(info: GroupInfo, requests: Requests, registry: Arc<Registry>) -> Self {
        Self { id: info.id, name: info.name.into(), requests, registry }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> GroupId {
        self.id
    }

    /// Its name, as it was when this handle was made.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its state at this moment.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn info(&self) -> Result<GroupInfo, CommandError> {
        self.requests.info(self.id).await
    }

    /// The attempts to find members since the group last had a neighbour, with advice.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn explain(&self) -> Result<Tried, CommandError> {
        let Reply::Tried(tried) =
            self.requests.ask(Command::Group(self.id, GroupCommand::Explain)).await?
        else {
            unreachable!("{WRONG_REPLY}")
        };
        Ok(*tried)
    }

    /// Begins to publish a record: `group.publish("chat.message", "Hello").attribute("room", "general").await?`.
    /// It goes to the neighbours and to every [`watch`](Group::watch) at once, and resolves to the record when that is
    /// durable here. If the disk refuses it, it is not here, but the neighbours that got it meanwhile have it, and bring it
    /// back once there is room. While the disk or every neighbour is behind it waits for its turn: a program that awaits
    /// each, or uses a [`sink`](Group::sink), publishes as fast as that is taken.
    pub fn publish(&self, kind: impl Into<String>, payload: impl Payload) -> Publish {
        Publish {
            group: self.clone(),
            kind: kind.into(),
            id: None,
            attributes: None,
            payload: payload.into_payload(),
            expires_in: None,
            refresh: false,
            if_version: None,
            nonce: None,
            delivery: None,
        }
    }

    /// A sink that publishes what is fed to it, in order and with back-pressure: it is ready while fewer than 64 are not
    /// durable yet, and flushed when all are.
    pub fn sink<P: Payload>(&self, kind: impl Into<String>) -> Publisher<P> {
        Publisher::new(self.clone(), kind.into())
    }

    /// Deletes a record of ours, or of others if the group's policy lets us.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn delete(&self, record: &Record) -> Result<Record, CommandError> {
        let draft = Draft {
            id: Some(record.id),
            kind: record.kind.clone(),
            attributes: Vec::new(),
            payload: Bytes::new(),
            expires_in: None,
            delete: true,
            refresh: false,
            if_version: None,
            nonce: None,
        };
        self.requests.publish(self.id, draft, None).await
    }

    /// Has the security provider of this host decide again about records that it did not let in;
    /// without any, about all of them, and about every node that is or was to be a neighbour. Those
    /// that are let in follow, as records and events do.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn revalidate(&self, records: &[RecordId]) -> Result<(), CommandError> {
        let command =
            Command::Group(self.id, GroupCommand::Revalidate { records: records.to_vec() });
        self.requests.ask(command).await.map(drop)
    }

    /// Stops showing a record on this node, until it is changed; nobody else is concerned. Watches
    /// that run have seen it already.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn delete_here(&self, id: RecordId) -> Result<(), CommandError> {
        self.requests.ask(Command::Group(self.id, GroupCommand::DeleteHere { id })).await?;
        Ok(())
    }

    /// Reads one page of records, and tells where the next one begins.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn page(
        &self,
        filter: Filter,
    ) -> Result<(Vec<Record>, Option<Cursor>), CommandError> {
        let Reply::Records { records, next } =
            self.requests.ask(Command::Group(self.id, GroupCommand::Records { filter })).await?
        else {
            unreachable!("{WRONG_REPLY}")
        };
        Ok((records, next))
    }

    /// Reads all records that `filter` lets through, oldest change first. They are all in memory then; for large
    /// groups use [`Group::page`] or [`Group::watch`].
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn records(&self, mut filter: Filter) -> Result<Vec<Record>, CommandError> {
        let (mut all, wanted) = (Vec::new(), filter.limit);
        loop {
            let (mut records, next) = self.page(filter.clone()).await?;
            all.append(&mut records);
            let enough = wanted != 0 && all.len() >= wanted;
            let Some(next) = next.filter(|_| !enough) else {
                return Ok(all);
            };
            filter.after = Some(next);
            filter.limit = wanted.saturating_sub(all.len());
        }
    }

    /// Reads one record.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn record(&self, id: RecordId) -> Result<Option<Record>, CommandError> {
        let filter = Filter { id: Some(id), ..Filter::default() };
        Ok(self.page(filter).await?.0.pop())
    }

    /// Records of one type: first what is stored, then what arrives. A type that no record can have ends at once.
    #[must_use]
    pub fn watch(&self, kind: &str) -> Watch {
        match RecordType::new(kind) {
            Ok(kind) => self.watch_kind(Some(kind)),
            Err(_) => Watch::empty(),
        }
    }

    /// Records of every type: first what is stored, then what arrives.
    #[must_use]
    pub fn watch_all(&self) -> Watch {
        self.watch_kind(None)
    }

    fn watch_kind(&self, kind: Option<RecordType>) -> Watch {
        Watch::new(&self.registry, self.requests.clone(), self.id, kind)
    }

    /// Everybody who is or was a member, by peer id: what they may do, whether their membership stands, and their
    /// nodes that are present.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn members(&self) -> Result<Vec<MemberInfo>, CommandError> {
        let Reply::Members(members) =
            self.requests.ask(Command::Group(self.id, GroupCommand::Members)).await?
        else {
            unreachable!("{WRONG_REPLY}")
        };
        Ok(members)
    }

    /// Our membership: the certificates from the group's root to ours.
    ///
    /// # Errors
    /// [`CommandError`]; [`StoreFault::Broken`] if the store does not hold it as it should.
    pub async fn membership(&self) -> Result<VerifiedChain, CommandError> {
        let (from, to) = stored::range_of(self.id);
        let read = self.requests.scan(StoreTask::Scan { from, to, limit: 1 }).await?;
        let broken = CommandError::Node(Error::Store(StoreFault::Broken));
        let StoreReply::Entries(entries) = read.map_err(Error::Store)? else { return Err(broken) };
        let first = entries.first().and_then(|(key, value)| StoredGroup::read(key, value));
        first.and_then(|group| group.membership().ok()).ok_or(broken)
    }

    /// The nodes that say that they are here, by node id; ours among them.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn nodes(&self) -> Result<Vec<NodeInfo>, CommandError> {
        let Reply::Nodes(nodes) =
            self.requests.ask(Command::Group(self.id, GroupCommand::Nodes)).await?
        else {
            unreachable!("{WRONG_REPLY}")
        };
        Ok(nodes)
    }

    /// Sets the attributes that this node shows to all members until it closes: names and values.
    /// With `forced` the node announces its presence even if the group's properties would keep it
    /// silent.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn present(
        &self,
        attributes: Vec<Attribute>,
        forced: bool,
    ) -> Result<(), CommandError> {
        self.requests
            .ask(Command::Group(self.id, GroupCommand::Present { attributes, forced }))
            .await
            .map(drop)
    }

    /// The links that carry this group.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn neighbours(&self) -> Result<Vec<LinkInfo>, CommandError> {
        let Reply::Links(mut links) = self.requests.ask(Command::Links).await? else {
            unreachable!("{WRONG_REPLY}")
        };
        links.retain(|link| link.graphs.contains(&self.id));
        Ok(links)
    }
}

/// A record on its way; `.await` publishes it.
#[derive(Debug)]
#[must_use = "nothing is published before it is awaited"]
pub struct Publish {
    group: Group,
    kind: String,
    id: Option<RecordId>,
    attributes: Option<Vec<Attribute>>,
    payload: Bytes,
    expires_in: Option<Duration>,
    refresh: bool,
    if_version: Option<u64>,
    nonce: Option<u64>,
    delivery: Option<Delivery>,
}

impl Publish {
    /// Adds searchable metadata. A name may be used several times.
    pub fn attribute(mut self, name: impl Into<String>, value: impl IntoValue) -> Self {
        let attribute = Attribute { name: name.into(), value: value.into_value() };
        self.attributes.get_or_insert_default().push(attribute);
        self
    }

    /// Has no attributes, where it replaces a record that has some.
    pub fn without_attributes(mut self) -> Self {
        self.attributes = Some(Vec::new());
        self
    }

    /// How long the record lives.
    pub fn expires_in(mut self, time: Duration) -> Self {
        self.expires_in = Some(time);
        self
    }

    /// Has this node renew the record before it ends, as long as it is up; see
    /// [`Draft::refresh`](peergraph_core::io::Draft::refresh).
    pub fn refreshed(mut self) -> Self {
        self.refresh = true;
        self
    }

    /// Replaces a record only if this version of it still stands; see
    /// [`Draft::if_version`](peergraph_core::io::Draft::if_version).
    pub fn if_version(mut self, version: u64) -> Self {
        self.if_version = Some(version);
        self
    }

    /// Names a new record: its id is made of this number, its creator and its type instead of a random one. Publishing it again
    /// makes no second record but replaces the first: for a program that does not know whether it was published.
    pub fn nonce(mut self, nonce: u64) -> Self {
        self.nonce = Some(nonce);
        self
    }

    /// Replaces this record. Its life and its attributes stay unless others are given. A record of another stays that
    /// one's and carries its creator's proof; it lives as long as its creator wanted, or as our membership lasts.
    pub fn replacing(mut self, record: RecordId) -> Self {
        self.id = Some(record);
        self
    }

    /// Follows the record until a neighbour holds it.
    pub fn with(mut self, delivery: &Delivery) -> Self {
        self.delivery = Some(delivery.clone());
        self
    }
}

impl IntoFuture for Publish {
    type Output = Result<Record, CommandError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let kind = RecordType::new(&self.kind).map_err(|bad| Error::BadRecord(bad.into()))?;
            let attributes = match (self.attributes, self.id) {
                (Some(attributes), _) => attributes,
                (None, None) => Vec::new(),
                (None, Some(id)) => {
                    self.group.record(id).await?.map_or_else(Vec::new, |record| record.attributes)
                }
            };
            let draft = Draft {
                id: self.id,
                kind,
                attributes,
                payload: self.payload,
                expires_in: self.expires_in,
                delete: false,
                refresh: self.refresh,
                if_version: self.if_version,
                nonce: self.nonce,
            };
            self.group.requests.publish(self.group.id, draft, self.delivery).await
        })
    }
}

/// A possible content of a record.
pub trait Payload {
    /// Its bytes.
    fn into_payload(self) -> Bytes;
}

impl Payload for Bytes {
    fn into_payload(self) -> Bytes {
        self
    }
}
impl Payload for Vec<u8> {
    fn into_payload(self) -> Bytes {
        self.into()
    }
}
impl Payload for String {
    fn into_payload(self) -> Bytes {
        self.into()
    }
}
impl Payload for &str {
    fn into_payload(self) -> Bytes {
        Bytes::copy_from_slice(self.as_bytes())
    }
}
impl Payload for &[u8] {
    fn into_payload(self) -> Bytes {
        Bytes::copy_from_slice(self)
    }
}
impl<const N: usize> Payload for &[u8; N] {
    fn into_payload(self) -> Bytes {
        Bytes::copy_from_slice(self)
    }
}

/// A possible value of an attribute.
pub trait IntoValue {
    /// The value.
    fn into_value(self) -> Value;
}

impl IntoValue for Value {
    fn into_value(self) -> Value {
        self
    }
}
impl IntoValue for String {
    fn into_value(self) -> Value {
        Value::String(self)
    }
}
impl IntoValue for &str {
    fn into_value(self) -> Value {
        Value::String(self.to_owned())
    }
}
impl IntoValue for i64 {
    fn into_value(self) -> Value {
        Value::Integer(self)
    }
}
impl IntoValue for f64 {
    fn into_value(self) -> Value {
        Value::Real(self)
    }
}
impl IntoValue for bool {
    fn into_value(self) -> Value {
        Value::Boolean(self)
    }
}
