//! The store on disk: runs each [`StoreTask`] on one blocking thread, in order.
//!
//! ```text
//!  host thread                      storage thread
//!  Storage::submit ── jobs ──►  all jobs that wait become one group
//!                               one redb transaction, one fsync
//!  replies        ◄─ in order ─ only then every job of the group is answered
//! ```
//!
//! **Group commit**: an fsync takes milliseconds whatever it covers, so jobs that arrive during one share the next.
//! A read that follows a write in its group sees that write and is answered after the commit, so that nobody learns
//! of what is not durable. When a group fails, its jobs are tried one by one: a write that does not fit does not take
//! others with it. After an input or output error the database is opened anew, since redb refuses to go on; a full
//! disk heals that way as soon as there is room again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;

use bytes::Bytes;
use peergraph_core::io::{StoreFault, StoreId, StoreReply, StoreTask};
use redb::{Database, ReadableDatabase as _, ReadableTable, TableDefinition};
use tokio::time::Instant;

use self::opened::Opened;
use crate::secret;
use crate::warned::Warned;

/// Memory for pages of the database. Bytes. Guess: the core keeps its own cache of records.
const CACHE_BYTES: usize = 32 * 1024 * 1024;
/// Jobs of one group. Guess: bounds how long the first of them waits.
const GROUP_JOBS_MAX: usize = 1_024;
/// Bytes written by one group, give or take its last job. Guess: as above.
const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;

const ENTRIES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("entries");

/// The outcome of one job.
pub(crate) type Outcome = (StoreId, Result<StoreReply, StoreFault>);

/// Where the entries are kept.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// In this file, which is created if there is none.
    File(PathBuf),
    /// In memory, gone with the host.
    Memory,
    #[cfg(test)]
    Faulty(tests::Backend),
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it open.
    #[error("another process uses it; stop that one, or use another data folder")]
    InUse,
    /// It may not be written.
    #[error("it cannot be written: {0}; check its owner and permissions")]
    ReadOnly(std::io::Error),
    /// There is no room.
    #[error("there is no room left on its disk: {0}; free some space and try again")]
    Full(std::io::Error),
    /// It is not one of our stores, or it is damaged.
    #[error(
        "it is damaged or not a Peergraph store: {0}; restore it from a backup (`peergraph restore FILE`). Without one keep \
         it: it may hold the only key of a group that you own"
    )]
    Damaged(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// The storage thread.
pub(crate) struct Storage {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    waiting: usize,
}

#[derive(Debug)]
struct Job {
    op: StoreId,
    task: StoreTask,
}

impl Storage {
    /// Opens the store and starts its thread. Every job is answered exactly once through `reply`, in the order of
    /// submission.
    pub(crate) fn open(
        place: Place,
        reply: impl Fn(Outcome) + Send + 'static,
    ) -> Result<Self, OpenError> {
        let database = open(&place)?;
        let mut disk = Disk { place, database: Some(database), warned: Warned::default() };
        let (jobs, queue) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("peergraph-storage".to_owned())
            .spawn(move || disk.run(&queue, &reply))
            .map_err(|error| OpenError::Other(error.to_string()))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), waiting: 0 })
    }

    /// Hands a job to the thread. The queue has no bound of its own: its length is [`Storage::waiting`], and the
    /// host takes no new work while it is long.
    pub(crate) fn submit(&mut self, op: StoreId, task: StoreTask) {
        self.waiting += 1;
        let jobs = self.jobs.as_ref().expect("the queue closes with the storage");
        jobs.send(Job { op, task }).expect("the thread ends only after its queue");
    }

    /// Tells that one reply was taken.
    pub(crate) fn replied(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// Jobs without reply.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }
}

impl Drop for Storage {
    /// Finishes every job, then closes the store.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the storage thread panicked");
        }
    }
}

fn open(place: &Place) -> Result<Opened, OpenError> {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    if let Place::File(path) = place
        && !path.exists()
    {
        begin(path, &builder)?;
    }
    let opened = caught(|| match place {
        Place::File(path) => {
            let facts = std::fs::metadata(path).map_err(redb::Error::Io)?;
            // The database would take it for a new one.
            if facts.len() == 0 {
                return Err(redb::Error::Corrupted("the file is empty".to_owned()));
            }
            Ok(builder.create(path)?)
        }
        Place::Memory => Ok(builder.create_with_backend(redb::backends::InMemoryBackend::new())?),
        #[cfg(test)]
        Place::Faulty(backend) => Ok(builder.create_with_backend(backend.clone())?),
    });
    let database = Opened::new(opened.map_err(open_error)?);
    // The first transaction shows whether it can be written, and makes the table for readers.
    caught(|| write(&database, &mut [], &mut Vec::new())).map_err(open_error)?;
    Ok(database)
}

/// Makes a new store: beside its place, so that no half of one is ever found there.
fn begin(path: &Path, builder: &redb::Builder) -> Result<(), OpenError> {
    let beside = path.with_extension("redb.new");
    let made = || -> Result<(), redb::Error> {
        if beside.exists() {
            std::fs::remove_file(&beside).map_err(redb::Error::Io)?;
        }
        let file = secret::private_file().create_new(true).open(&beside);
        let database = Opened::new(builder.create_file(file.map_err(redb::Error::Io)?)?);
        write(&database, &mut [], &mut Vec::new())?;
        drop(database);
        std::fs::rename(&beside, path).map_err(redb::Error::Io)?;
        #[cfg(unix)]
        if let Some(folder) = path.parent() {
            let synced = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
            synced.map_err(redb::Error::Io)?;
        }
        Ok(())
    };
    caught(made).map_err(open_error)
}

/// Does `work`. A panic of the database becomes an error: its structure contradicts itself.
fn caught<T>(work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, redb::Error> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(redb::Error::Corrupted("its structure contradicts itself".into())))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the errors of others are many")]
fn open_error(error: redb::Error) -> OpenError {
    match error {
        redb::Error::DatabaseAlreadyOpen => OpenError::InUse,
        redb::Error::Corrupted(what) => OpenError::Damaged(what),
        redb::Error::UpgradeRequired(version) => {
            OpenError::Damaged(format!("version {version} of the file format"))
        }
        redb::Error::Io(error) => match (io_fault(&error), error.kind()) {
            (StoreFault::QuotaExceeded, _) => OpenError::Full(error),
            (StoreFault::ReadOnly, _) => OpenError::ReadOnly(error),
            (_, std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof) => {
                OpenError::Damaged(error.to_string())
            }
            _ => OpenError::Other(error.to_string()),
        },
        other => OpenError::Damaged(other.to_string()),
    }
}

struct Disk {
    place: Place,
    /// Absent after a failure, until it could be opened anew.
    database: Option<Opened>,
    warned: Warned,
}

impl Disk {
    fn run(&mut self, queue: &mpsc::Receiver<Job>, reply: &impl Fn(Outcome)) {
        while let Ok(first) = queue.recv() {
            let mut group = vec![first];
            let mut bytes = size(&group[0].task);
            while group.len() < GROUP_JOBS_MAX && bytes < GROUP_BYTES_MAX {
                let Ok(job) = queue.try_recv() else { break };
                bytes += size(&job.task);
                group.push(job);
            }
            self.group(group, reply);
        }
    }

    fn group(&mut self, mut group: Vec<Job>, reply: &impl Fn(Outcome)) {
        match self.apply(&mut group) {
            Ok(replies) => {
                for (job, answer) in group.into_iter().zip(replies) {
                    reply((job.op, Ok(answer)));
                }
            }
            Err(fault) if group.len() == 1 => reply((group[0].op, Err(fault))),
            Err(_) => {
                for mut job in group {
                    let result = self.apply(std::slice::from_mut(&mut job));
                    reply((job.op, result.map(|mut replies| replies.remove(0))));
                }
            }
        }
    }

    /// A disk that fails fails every job: each cause is told once in a while.
    fn warn(&mut self, what: &str, error: &dyn std::error::Error) {
        if let Some(untold) = self.warned.tell(&format!("{what}: {error}"), Instant::now()) {
            tracing::warn!(untold, "{what}: {error}");
        }
    }

    /// Runs jobs in one transaction: all or none. One reply for each.
    fn apply(&mut self, jobs: &mut [Job]) -> Result<Vec<StoreReply>, StoreFault> {
        let database = match &self.database {
            Some(database) => database,
            None => {
                let opened = open(&self.place).map_err(|error| {
                    self.warn("the store cannot be opened again", &error);
                    match error {
                        OpenError::Full(_) => StoreFault::QuotaExceeded,
                        OpenError::ReadOnly(_) => StoreFault::ReadOnly,
                        OpenError::InUse | OpenError::Damaged(_) | OpenError::Other(_) => {
                            StoreFault::Broken
                        }
                    }
                })?;
                self.database.insert(opened)
            }
        };
        let writes = jobs.iter().any(|job| matches!(job.task, StoreTask::Write { .. }));
        let mut replies = Vec::with_capacity(jobs.len());
        let result = catch_unwind(AssertUnwindSafe(|| {
            if writes {
                write(database, jobs, &mut replies)
            } else {
                read(database, jobs, &mut replies)
            }
        }));
        let error = match result {
            Ok(Ok(())) => return Ok(replies),
            Ok(Err(error)) => error,
            Err(_) => redb::Error::Corrupted("its structure contradicts itself".to_owned()),
        };
        self.warn("the store failed", &error);
        self.database = None;
        Err(if let redb::Error::Io(error) = &error { io_fault(error) } else { StoreFault::Broken })
    }
}

fn write(
    database: &Database,
    jobs: &mut [Job],
    replies: &mut Vec<StoreReply>,
) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(ENTRIES)?;
        for job in jobs {
            let StoreTask::Write { batch } = &job.task else {
                replies.push(look_up(&table, &job.task)?);
                continue;
            };
            for (key, value) in batch {
                match value {
                    Some(value) => table.insert(key.as_ref(), value.as_ref())?,
                    None => table.remove(key.as_ref())?,
                };
            }
            replies.push(StoreReply::Written);
        }
    }
    transaction.commit()?;
    Ok(())
}

fn read(
    database: &Database,
    jobs: &mut [Job],
    replies: &mut Vec<StoreReply>,
) -> Result<(), redb::Error> {
    let table = database.begin_read()?.open_table(ENTRIES)?;
    for job in jobs {
        replies.push(look_up(&table, &job.task)?);
    }
    Ok(())
}

fn look_up(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    task: &StoreTask,
) -> Result<StoreReply, redb::Error> {
    match task {
        // A range that is upside down is empty; redb would panic.
        StoreTask::Scan { from, to, .. } if from >= to => Ok(StoreReply::Entries(Vec::new())),
        StoreTask::Scan { from, to, limit } => {
            let mut entries = Vec::new();
            for entry in table.range::<&[u8]>(from.as_ref()..to.as_ref())?.take(*limit) {
                let (key, value) = entry?;
                entries.push((copy(key.value()), copy(value.value())));
            }
            Ok(StoreReply::Entries(entries))
        }
        StoreTask::Read { keys } => {
            let value = |key: &Bytes| {
                let value = table.get(key.as_ref())?;
                Ok(value.map(|value| copy(value.value())))
            };
            Ok(StoreReply::Values(keys.iter().map(value).collect::<Result<_, redb::Error>>()?))
        }
        StoreTask::Write { .. } => unreachable!("writes are told apart before"),
    }
}

fn copy(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn size(task: &StoreTask) -> usize {
    match task {
        StoreTask::Write { batch } => {
            batch.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Bytes::len)).sum()
        }
        StoreTask::Scan { .. } | StoreTask::Read { .. } => 0,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the errors of others are many")]
fn io_fault(error: &std::io::Error) -> StoreFault {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            StoreFault::QuotaExceeded
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreFault::ReadOnly,
        _ => StoreFault::Broken,
    }
}

mod opened;
mod upkeep;

pub use upkeep::StoreCheck;
pub(crate) use upkeep::{check, compact, groups, put_back};

#[cfg(test)]
mod tests;
