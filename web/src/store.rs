//! Storage in IndexedDB: one object store from key bytes to value bytes.
//!
//! Tasks are done strictly in the order in which they were given, one transaction at a time. Writes that wait one
//! behind the other share a transaction; a write is answered on the **transaction's** `complete`, the only moment
//! that means durable, and every failure is read from its `abort`, which is where a full disk shows.
use crate::{Report, browser};
use bytes::Bytes;
use futures::StreamExt;
use futures::channel::{mpsc, oneshot};
use idb::event::{DatabaseEvent as _, VersionChangeEvent};
use idb::request::{DeleteStoreRequest, PutStoreRequest};
use idb::{Database, Factory, KeyRange, ObjectStoreParams, Query, Transaction, TransactionMode};
use js_sys::{Object, Uint8Array};
use peergraph_core::io::{Input, StoreFault, StoreId, StoreReply, StoreTask};
use peergraph_core::stored::{self, StoredGroup};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::IdbDatabase;

/// The node's entries.
const ENTRIES: &str = "entries";
/// Entries that this host keeps for itself: identities.
const OWN: &str = "own";
/// Entries that are written in one go. Guess: two milliseconds.
const CHUNK: usize = 64;
/// Version of this layout.
const VERSION: u32 = 1;
/// Writes that share a transaction. Bytes of keys and values. Guess: a transaction this large takes some ms.
const MERGED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// All writes of one task.
type Batch = Vec<(Bytes, Option<Bytes>)>;
/// Gone once everything is done and the database is closed.
type Ended = oneshot::Receiver<()>;

/// An open database.
pub struct Store {
    raw: IdbDatabase,
    database: Database,
    // Bounded by the node: it puts off what others send while too many bytes wait, and publications wait in turn.
    tasks: RefCell<Option<mpsc::UnboundedSender<(StoreId, StoreTask)>>>,
    ended: RefCell<Option<Ended>>,
    begin: RefCell<Option<Worker>>,
    gone: RefCell<Option<oneshot::Receiver<()>>>,
    at_once: Rc<Cell<bool>>,
}

/// The loop that does the tasks.
struct Worker {
    raw: IdbDatabase,
    database: Database,
    tasks: mpsc::UnboundedReceiver<(StoreId, StoreTask)>,
    /// Whether the page ends: there are no further tasks to wait for.
    at_once: Rc<Cell<bool>>,
    _ended: oneshot::Sender<()>,
}

impl Store {
    /// Opens the database `name`, made where it is not there.
    ///
    /// # Errors
    /// IndexedDB is switched off, full, or holds a later layout.
    pub async fn open(name: &str) -> Result<Self, JsValue> {
        let factory = Factory::new().map_err(cause)?;
        let mut request = factory.open(name, Some(VERSION)).map_err(cause)?;
        request.on_upgrade_needed(|event| {
            // A failure leaves a store out, and then every transaction fails with `NotFoundError`.
            let _ = upgrade(&event);
        });
        let raw: IdbDatabase = request.await.map_err(cause)?.into();
        let mut database = Database::from(raw.clone());
        let (tell, gone) = oneshot::channel();
        let tell = Rc::new(RefCell::new(Some(tell)));
        let told = move || {
            // Nobody listens to a store that is opened for a moment only.
            let _ = tell.take().map(|tell| tell.send(()));
        };
        // Somebody deletes the database, or a later version of this package wants it: do not stand in the way.
        let (giving_way, tell_so) = (raw.clone(), told.clone());
        database.on_version_change(move |_| {
            giving_way.close();
            tell_so();
        });
        // The browser has closed it by itself: the data of this site were cleared, or the disk is gone.
        database.on_close(move |_| told());
        let (sender, tasks) = mpsc::unbounded();
        let (end, ended) = oneshot::channel();
        let at_once = Rc::<Cell<bool>>::default();
        let worker = Worker {
            database: raw.clone().into(),
            raw: raw.clone(),
            tasks,
            at_once: at_once.clone(),
            _ended: end,
        };
        Ok(Self {
            raw,
            database,
            tasks: RefCell::new(Some(sender)),
            ended: RefCell::new(Some(ended)),
            begin: RefCell::new(Some(worker)),
            gone: RefCell::new(Some(gone)),
            at_once,
        })
    }

    /// Begins to do tasks, answering each with [`Input::Stored`].
    pub fn start(&self, report: Report) {
        if let Some(worker) = self.begin.take() {
            spawn_local(worker.run(report));
        }
    }

    /// Does `task` after those before it.
    pub fn run(&self, op: StoreId, task: StoreTask) {
        if let Some(tasks) = &*self.tasks.borrow() {
            // After `close` nobody waits for an answer.
            let _ = tasks.unbounded_send((op, task));
        }
    }

    /// The page ends: what is written from now on is given to the browser in the same task.
    pub(crate) fn hurry(&self) {
        self.at_once.set(true);
    }

    /// Ends once all tasks are done and the database is closed.
    pub async fn close(&self) {
        self.tasks.take();
        self.begin.take();
        let ended = self.ended.take();
        if let Some(ended) = ended {
            // The sender is dropped, never used.
            let _ = ended.await;
        }
        self.database.close();
    }

    /// Ends when the database is taken away underneath; with an error when the store is dropped before. Once.
    pub(crate) fn gone(&self) -> oneshot::Receiver<()> {
        self.gone.take().unwrap_or_else(|| oneshot::channel().1)
    }

    /// Reads something that the host keeps for itself; undefined where it is not there.
    pub async fn own(&self, key: &str) -> Result<JsValue, JsValue> {
        let transaction = self.database.transaction(&[OWN], TransactionMode::ReadOnly);
        let store = transaction.map_err(cause)?.object_store(OWN).map_err(cause)?;
        let request = store.get(JsValue::from(key)).map_err(cause)?;
        Ok(request.await.map_err(cause)?.unwrap_or(JsValue::UNDEFINED))
    }

    /// Everything that the host keeps for itself, by key.
    pub(crate) async fn all_own(&self) -> Result<Vec<(String, JsValue)>, JsValue> {
        let transaction = self.database.transaction(&[OWN], TransactionMode::ReadOnly);
        let store = transaction.map_err(cause)?.object_store(OWN).map_err(cause)?;
        let keys = store.get_all_keys(None, None).map_err(cause)?;
        let values = store.get_all(None, None).map_err(cause)?;
        let (keys, values) =
            futures::try_join!(keys.into_future(), values.into_future()).map_err(cause)?;
        Ok(keys.iter().map(|key| key.as_string().unwrap_or_default()).zip(values).collect())
    }

    /// Keeps or forgets things for the host, all or none. Done when durable.
    pub async fn change_own(
        &self,
        changes: &[(String, Option<JsValue>)],
    ) -> Result<(), StoreFault> {
        let transaction = durable(&self.raw, OWN)?;
        let store = transaction.object_store(OWN).map_err(|_| StoreFault::Broken)?;
        for (key, value) in changes {
            let key = JsValue::from(key);
            let done = match value {
                Some(value) => store.put(value, Some(&key)).map(drop),
                None => store.delete(key).map(drop),
            };
            done.map_err(|it| fault(&cause(it)))?;
        }
        complete(transaction).await
    }

    /// The first entries of a range, in the order of their keys.
    pub(crate) async fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, JsValue> {
        scan(&self.database, from, to, limit).await
    }

    /// Writes what is not here, or damaged. Done when durable.
    pub(crate) async fn put_back(&self, entries: Vec<(Bytes, Bytes)>) -> Result<(), StoreFault> {
        let keys: Vec<Bytes> = entries.iter().map(|(key, _)| key.clone()).collect();
        let held = read(&self.database, &keys).await.map_err(|it| fault(&it))?;
        let lacking = |(key, _): &&(Bytes, Bytes), held: &Option<Bytes>| {
            held.as_ref().is_none_or(|held| stored::whole(key, held).is_none())
        };
        let lacking = entries.iter().zip(&held).filter(|(entry, held)| lacking(entry, held));
        let batch: Batch =
            lacking.map(|((key, value), _)| (key.clone(), Some(value.clone()))).collect();
        write(&self.raw, [&batch], &self.at_once).await
    }

    /// The groups whose records are here.
    pub(crate) async fn groups(&self) -> Result<Vec<StoredGroup>, JsValue> {
        let mut groups: Vec<StoredGroup> = Vec::new();
        let mut range = stored::first_range();
        loop {
            let entries = scan(&self.database, &range.0, &range.1, 1).await?;
            let Some((key, value)) = entries.first() else { return Ok(groups) };
            let group = StoredGroup::read(key, value).ok_or("an entry of no group")?;
            range = group.next_range();
            groups.push(group);
        }
    }

    /// Deletes a database that nobody has open.
    pub(crate) async fn delete(name: &str) -> Result<(), JsValue> {
        let factory = Factory::new().map_err(cause)?;
        factory.delete(name).map_err(cause)?.await.map_err(cause)
    }
}

impl Worker {
    async fn run(mut self, report: Report) {
        let mut waiting = VecDeque::new();
        loop {
            while let Ok(job) = self.tasks.try_recv() {
                waiting.push_back(job);
            }
            let Some((op, task)) = waiting.pop_front() else {
                match self.tasks.next().await {
                    Some(job) => waiting.push_back(job),
                    None => break,
                }
                continue;
            };
            match task {
                StoreTask::Scan { from, to, limit } => {
                    let result = scan(&self.database, &from, &to, limit).await;
                    let result = result.map(StoreReply::Entries).map_err(|it| fault(&it));
                    report(Input::Stored { op, result });
                }
                StoreTask::Read { keys } => {
                    let result = read(&self.database, &keys).await;
                    let result = result.map(StoreReply::Values).map_err(|it| fault(&it));
                    report(Input::Stored { op, result });
                }
                StoreTask::Write { batch } => {
                    // News that came with it is shown first, and a message is on its way before the disk takes a core.
                    if !self.at_once.get() {
                        browser::next_task().await;
                    }
                    while let Ok(job) = self.tasks.try_recv() {
                        waiting.push_back(job);
                    }
                    let batches = merge((op, batch), &mut waiting);
                    self.write_all(batches, &report).await;
                }
            }
        }
        self.database.close();
    }

    /// Writes several batches at once; where that fails each one alone, since one of them may be at fault.
    async fn write_all(&self, batches: Vec<(StoreId, Batch)>, report: &Report) {
        let all = batches.iter().map(|(_, batch)| batch);
        let together = write(&self.raw, all, &self.at_once).await;
        let alone = batches.len() == 1;
        for (op, batch) in batches {
            let result = match together {
                Err(_) if !alone => write(&self.raw, [&batch], &self.at_once).await,
                result => result,
            };
            report(Input::Stored { op, result: result.map(|()| StoreReply::Written) });
        }
    }
}

/// The values under these keys, in their order.
async fn read(database: &Database, keys: &[Bytes]) -> Result<Vec<Option<Bytes>>, JsValue> {
    let transaction = database.transaction(&[ENTRIES], TransactionMode::ReadOnly);
    let store = transaction.map_err(cause)?.object_store(ENTRIES).map_err(cause)?;
    let requests: Result<Vec<_>, _> = keys.iter().map(|it| store.get(key(it))).collect();
    let requests = requests.map_err(cause)?.into_iter().map(IntoFuture::into_future);
    let values = futures::future::try_join_all(requests).await.map_err(cause)?;
    Ok(values.iter().map(|it| it.as_ref().map(bytes)).collect())
}

/// Writes batches, all or none, chunk by chunk unless `at_once`. Done when durable.
async fn write(
    database: &IdbDatabase,
    batches: impl IntoIterator<Item = &Batch>,
    at_once: &Cell<bool>,
) -> Result<(), StoreFault> {
    let transaction = durable(database, ENTRIES)?;
    let store = transaction.object_store(ENTRIES).map_err(|_| StoreFault::Broken)?;
    // The next chunk follows once the browser has done a part of this one: the transaction would end if it had nothing.
    let mut first = None;
    for (nth, (name, value)) in batches.into_iter().flatten().enumerate() {
        let done = match value {
            Some(value) => store.put(&key(value), Some(&key(name))).map(Change::Put),
            None => store.delete(key(name)).map(Change::Delete),
        };
        match done {
            Ok(change) => first = first.or(Some(change)),
            Err(error) => {
                // It may have ended by itself, and says why.
                let why = transaction.error().map(JsValue::from);
                let _ = transaction.abort();
                return Err(fault(&why.unwrap_or_else(|| cause(error))));
            }
        }
        if nth % CHUNK == CHUNK - 1
            && !at_once.get()
            && let Some(first) = first.take()
        {
            // A request that fails ends the transaction, which tells why.
            first.done().await;
        }
    }
    complete(transaction).await
}

/// A change that the browser was given.
enum Change {
    Put(PutStoreRequest),
    Delete(DeleteStoreRequest),
}

impl Change {
    async fn done(self) {
        match self {
            Self::Put(request) => drop(request.await),
            Self::Delete(request) => drop(request.await),
        }
    }
}

/// The first entries of a range, in the order of their keys.
async fn scan(
    database: &Database,
    from: &[u8],
    to: &[u8],
    limit: usize,
) -> Result<Vec<(Bytes, Bytes)>, JsValue> {
    if from >= to {
        // A key range of this kind cannot be made.
        return Ok(Vec::new());
    }
    let transaction = database.transaction(&[ENTRIES], TransactionMode::ReadOnly);
    let store = transaction.map_err(cause)?.object_store(ENTRIES).map_err(cause)?;
    let range = || {
        let range = KeyRange::bound(&key(from), &key(to), Some(false), Some(true));
        range.map(|it| Some(Query::from(it))).map_err(cause)
    };
    let limit = Some(u32::try_from(limit).unwrap_or(u32::MAX));
    let keys = store.get_all_keys(range()?, limit).map_err(cause)?;
    let values = store.get_all(range()?, limit).map_err(cause)?;
    let (keys, values) =
        futures::try_join!(keys.into_future(), values.into_future()).map_err(cause)?;
    Ok(keys.iter().map(bytes).zip(values.iter().map(bytes)).collect())
}

/// Takes the writes that directly follow `first`, as many as fit into one transaction.
fn merge(
    first: (StoreId, Batch),
    waiting: &mut VecDeque<(StoreId, StoreTask)>,
) -> Vec<(StoreId, Batch)> {
    let size = |batch: &Batch| -> usize {
        batch.iter().map(|(k, v)| k.len() + v.as_ref().map_or(0, Bytes::len)).sum()
    };
    let mut total = size(&first.1);
    let mut batches = vec![first];
    while let Some((_, StoreTask::Write { batch })) = waiting.front() {
        total += size(batch);
        if total > MERGED_BYTES_MAX {
            break;
        }
        if let Some((op, StoreTask::Write { batch })) = waiting.pop_front() {
            batches.push((op, batch));
        }
    }
    batches
}

fn upgrade(event: &VersionChangeEvent) -> Result<(), idb::Error> {
    let database = event.database()?;
    for name in [ENTRIES, OWN] {
        database.create_object_store(name, ObjectStoreParams::new())?;
    }
    Ok(())
}

/// A transaction for writing that is complete only when the disk has it, in browsers that can promise that.
fn durable(database: &IdbDatabase, store: &str) -> Result<Transaction, StoreFault> {
    let options = Object::new();
    browser::set(&options, "durability", &"strict".into());
    let database: &browser::DurableDatabase = database.unchecked_ref();
    let transaction = database.transaction(store, "readwrite", &options);
    Transaction::try_from(transaction.map_err(|it| fault(&it))?).map_err(|_| StoreFault::Broken)
}

/// Waits until `transaction` is durable, or has failed as a whole.
async fn complete(mut transaction: Transaction) -> Result<(), StoreFault> {
    let (sender, outcome) = oneshot::channel();
    let sender = Rc::new(RefCell::new(Some(sender)));
    let failed = sender.clone();
    transaction.on_complete(move |_| {
        if let Some(sender) = sender.take() {
            let _ = sender.send(Ok(()));
        }
    });
    transaction.on_abort(move |event| {
        let transaction = event.target().and_then(|it| Transaction::try_from(it).ok());
        let error = transaction.and_then(|it| it.error());
        if let Some(sender) = failed.take() {
            let _ = sender.send(Err(error.map_or(StoreFault::Broken, |it| fault(&it))));
        }
    });
    let why = transaction.error();
    let Ok(_transaction) = transaction.commit() else {
        return Err(why.map_or(StoreFault::Broken, |it| fault(&it)));
    };
    outcome.await.unwrap_or(Err(StoreFault::Broken))
}

fn key(bytes: &[u8]) -> JsValue {
    Uint8Array::from(bytes).into()
}

/// Keys come back as `ArrayBuffer`, values as they were stored.
fn bytes(value: &JsValue) -> Bytes {
    Bytes::from(Uint8Array::new(value).to_vec())
}

/// The error as the browser gave it.
#[expect(clippy::wildcard_enum_match_arm, reason = "forty kinds that our calls do not cause")]
fn cause(error: idb::Error) -> JsValue {
    use idb::Error::*;
    match error {
        DomException(exception) => exception.into(),
        IndexedDbNotFound(value)
        | IndexedDbOpenFailed(value)
        | TransactionOpenFailed(value)
        | ObjectStoreNotFound(value)
        | GetFailed(value)
        | GetAllFailed(value)
        | GetAllKeysFailed(value)
        | UpdateFailed(value)
        | DeleteFailed(value) => value,
        other => js_sys::Error::new(&other.to_string()).into(),
    }
}

fn fault(error: &JsValue) -> StoreFault {
    match browser::error_name(error).as_str() {
        "QuotaExceededError" => StoreFault::QuotaExceeded,
        "ReadOnlyError" => StoreFault::ReadOnly,
        _ => StoreFault::Broken,
    }
}
