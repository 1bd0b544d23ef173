use super::*;
use std::collections::BTreeSet;
use std::io::{Error, ErrorKind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

const BLOCK_BYTES: u64 = 4096;

/// A disk in memory that can be full, forbidden, slow, and that counts its syncs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backend(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    bytes: RwLock<Vec<u8>>,
    /// Blocks that were ever written: a disk has to find room only for these.
    blocks: Mutex<BTreeSet<u64>>,
    /// Most blocks; 0 means no bound.
    blocks_max: AtomicUsize,
    /// Bytes of a write that is refused as not fitting; 0 means none.
    refused_bytes: AtomicUsize,
    forbidden: std::sync::atomic::AtomicBool,
    slow_ms: AtomicU64,
    syncs: AtomicUsize,
}

impl redb::StorageBackend for Backend {
    fn len(&self) -> Result<u64, Error> {
        Ok(self.0.bytes.read().expect("not poisoned").len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        let bytes = self.0.bytes.read().expect("not poisoned");
        let from = offset as usize;
        out.copy_from_slice(bytes.get(from..from + out.len()).ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), Error> {
        self.0.bytes.write().expect("not poisoned").resize(len as usize, 0);
        let mut blocks = self.0.blocks.lock().expect("not poisoned");
        blocks.retain(|block| block * BLOCK_BYTES < len);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), Error> {
        self.0.syncs.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(self.0.slow_ms.load(Ordering::Relaxed)));
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        if self.0.forbidden.load(Ordering::Relaxed) {
            return Err(ErrorKind::PermissionDenied.into());
        }
        let refused = self.0.refused_bytes.load(Ordering::Relaxed);
        if refused != 0 && data.len() >= refused {
            return Err(ErrorKind::QuotaExceeded.into());
        }
        let end = offset as usize + data.len();
        let max = self.0.blocks_max.load(Ordering::Relaxed);
        let mut blocks = self.0.blocks.lock().expect("not poisoned");
        for block in offset / BLOCK_BYTES..(end as u64).div_ceil(BLOCK_BYTES) {
            if max != 0 && blocks.len() >= max && !blocks.contains(&block) {
                return Err(ErrorKind::StorageFull.into());
            }
            blocks.insert(block);
        }
        let mut bytes = self.0.bytes.write().expect("not poisoned");
        bytes.get_mut(offset as usize..end).ok_or(ErrorKind::UnexpectedEof)?.copy_from_slice(data);
        Ok(())
    }

    fn try_lock_range(
        &self,
        _: std::ops::Bound<u64>,
        _: std::ops::Bound<u64>,
    ) -> Result<bool, redb::BackendError> {
        Ok(true)
    }
}

impl Backend {
    /// Leaves room for so many blocks and no more.
    fn fill_up(&self, left: usize) {
        let used = self.0.blocks.lock().expect("not poisoned").len();
        self.0.blocks_max.store(used + left, Ordering::Relaxed);
    }

    fn make_room(&self) {
        self.0.blocks_max.store(0, Ordering::Relaxed);
    }
}

struct Bench {
    storage: Storage,
    replies: mpsc::Receiver<Outcome>,
    next: u64,
}

impl Bench {
    fn open(place: Place) -> Result<Self, OpenError> {
        let (sender, replies) = mpsc::channel();
        let storage = Storage::open(place, move |outcome| {
            let _ = sender.send(outcome);
        })?;
        Ok(Self { storage, replies, next: 0 })
    }

    fn submit(&mut self, task: StoreTask) {
        self.storage.submit(StoreId(self.next), task);
        self.next += 1;
    }

    fn reply(&mut self) -> Outcome {
        let outcome = self.replies.recv_timeout(Duration::from_secs(20)).expect("a reply");
        self.storage.replied();
        outcome
    }

    fn run(&mut self, task: StoreTask) -> Result<StoreReply, StoreFault> {
        self.submit(task);
        self.reply().1
    }

    fn values(&mut self, keys: &[&str]) -> Vec<Option<Bytes>> {
        let keys = keys.iter().map(|key| copy(key.as_bytes())).collect();
        match self.run(StoreTask::Read { keys }) {
            Ok(StoreReply::Values(values)) => values,
            other => panic!("{other:?}"),
        }
    }
}

fn put(key: &str, value: impl Into<Bytes>) -> StoreTask {
    StoreTask::Write { batch: vec![(copy(key.as_bytes()), Some(value.into()))] }
}

fn scan(from: &'static str, to: &'static str, limit: usize) -> StoreTask {
    StoreTask::Scan { from: from.into(), to: to.into(), limit }
}

#[test]
fn tasks_are_applied_and_answered_in_order() {
    let mut bench = Bench::open(Place::Memory).expect("opens");
    bench.submit(put("a", "1"));
    bench.submit(StoreTask::Read { keys: vec!["a".into(), "b".into()] });
    bench.submit(StoreTask::Write {
        batch: vec![("a".into(), None), ("b".into(), Some("2".into()))],
    });
    bench.submit(StoreTask::Read { keys: vec!["a".into(), "b".into()] });
    assert_eq!(bench.storage.waiting(), 4);
    let replies: Vec<Outcome> = (0..4).map(|_| bench.reply()).collect();
    assert_eq!(bench.storage.waiting(), 0);
    let ids: Vec<u64> = replies.iter().map(|(op, _)| op.0).collect();
    assert_eq!(ids, [0, 1, 2, 3]);
    let values = |n: usize| match &replies[n].1 {
        Ok(StoreReply::Values(values)) => values.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(values(1), [Some("1".into()), None]);
    assert_eq!(values(3), [None, Some("2".into())]);
}

#[test]
fn scan_keeps_key_order_bounds_and_limit() {
    let mut bench = Bench::open(Place::Memory).expect("opens");
    for key in ["a/2", "a/1", "b/1", "a/3"] {
        bench.run(put(key, key)).expect("written");
    }
    let mut keys = |from, to, limit| match bench.run(scan(from, to, limit)) {
        Ok(StoreReply::Entries(entries)) => {
            entries.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(keys("a/", "a0", 10), ["a/1", "a/2", "a/3"]);
    assert_eq!(keys("a/2", "b/1", 10), ["a/2", "a/3"]);
    assert_eq!(keys("a/", "c", 2), ["a/1", "a/2"]);
    assert!(keys("c", "a", 10).is_empty());
}

#[test]
fn data_survive_closing_and_opening() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = Place::File(folder.path().join("store.redb"));
    let mut bench = Bench::open(place.clone()).expect("opens");
    bench.run(put("key", "value")).expect("written");
    assert!(matches!(Bench::open(place.clone()), Err(OpenError::InUse)));
    drop(bench);
    assert_eq!(Bench::open(place).expect("opens again").values(&["key"]), [Some("value".into())]);
}

/// Goal: writes that wait share a sync. Method: one slow sync, 200 writes behind it.
#[test]
fn writes_that_wait_share_one_commit() {
    let backend = Backend::default();
    let mut bench = Bench::open(Place::Faulty(backend.clone())).expect("opens");
    backend.0.slow_ms.store(50, Ordering::Relaxed);
    let before = backend.0.syncs.load(Ordering::Relaxed);
    for n in 0..200 {
        bench.submit(put(&format!("key {n}"), "value"));
    }
    for _ in 0..200 {
        assert!(matches!(bench.reply().1, Ok(StoreReply::Written)));
    }
    let syncs = backend.0.syncs.load(Ordering::Relaxed) - before;
    assert!(syncs <= 10, "{syncs} syncs for 200 writes");
}

#[test]
fn full_disk_refuses_the_write_keeps_the_rest_and_heals() {
    let backend = Backend::default();
    let mut bench = Bench::open(Place::Faulty(backend.clone())).expect("opens");
    bench.run(put("early", "kept")).expect("written");
    backend.fill_up(200);
    let big = Bytes::from(vec![7; 8 * 1024 * 1024]);
    assert_eq!(bench.run(put("big", big.clone())).err(), Some(StoreFault::QuotaExceeded));
    assert_eq!(bench.values(&["early", "big"]), [Some("kept".into()), None]);
    bench.run(put("small", "fits")).expect("a small write fits still");
    backend.make_room();
    bench.run(put("big", big.clone())).expect("there is room again");
    assert_eq!(bench.values(&["small", "big"]), [Some("fits".into()), Some(big)]);
}

#[test]
fn a_write_that_does_not_fit_fails_alone() {
    let backend = Backend::default();
    let mut bench = Bench::open(Place::Faulty(backend.clone())).expect("opens");
    bench.run(put("early", "kept")).expect("written");
    backend.0.refused_bytes.store(1024 * 1024, Ordering::Relaxed);
    backend.0.slow_ms.store(50, Ordering::Relaxed);
    bench.submit(put("first", "1"));
    bench.submit(put("big", vec![7; 8 * 1024 * 1024]));
    bench.submit(put("second", "2"));
    assert!(bench.reply().1.is_ok());
    assert_eq!(bench.reply().1.err(), Some(StoreFault::QuotaExceeded));
    assert!(bench.reply().1.is_ok());
    assert_eq!(
        bench.values(&["first", "big", "second"]),
        [Some("1".into()), None, Some("2".into())]
    );
}

#[test]
fn forbidden_disk_says_read_only() {
    let backend = Backend::default();
    let mut bench = Bench::open(Place::Faulty(backend.clone())).expect("opens");
    backend.0.forbidden.store(true, Ordering::Relaxed);
    assert_eq!(bench.run(put("a", "1")).err(), Some(StoreFault::ReadOnly));
    backend.0.forbidden.store(false, Ordering::Relaxed);
    bench.run(put("a", "1")).expect("allowed again");
}

#[test]
fn a_file_that_is_no_store_is_refused_and_untouched() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.redb");
    let text = "Dear diary, this is no database at all. ".repeat(500);
    std::fs::write(&path, &text).expect("written");
    let error = Bench::open(Place::File(path.clone())).err().expect("refused");
    assert!(matches!(error, OpenError::Damaged(_)), "{error:?}");
    assert_eq!(std::fs::read_to_string(&path).expect("readable"), text);
}

#[test]
fn a_folder_that_is_a_file_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "x").expect("written");
    assert!(Bench::open(Place::File(file.join("store.redb"))).is_err());
}

/// Goal: what was acknowledged survives kill -9 at any moment. Method: a child process (this test again) writes
/// numbered entries and prints each number once acknowledged; it is killed in full flight, five times on one file.
#[test]
fn acknowledged_writes_survive_a_killed_process() {
    const CHILD: &str = "PEERGRAPH_TEST_STORE";
    if let Some(path) = std::env::var_os(CHILD) {
        write_until_killed(path.into());
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.redb");
    let mut acknowledged = 0_u64;
    for _ in 0..5 {
        let me = std::env::current_exe().expect("this test program");
        let mut child = std::process::Command::new(me)
            .args(["--exact", "storage::tests::acknowledged_writes_survive_a_killed_process"])
            .args(["--nocapture"])
            .env(CHILD, &path)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("a child");
        let output = std::io::BufReader::new(child.stdout.take().expect("piped"));
        let numbers = std::io::BufRead::lines(output).map_while(Result::ok);
        let mut numbers = numbers.filter_map(|line| line.trim().parse::<u64>().ok());
        for number in numbers.by_ref().take(60) {
            acknowledged = acknowledged.max(number);
        }
        child.kill().expect("killed");
        child.wait().expect("ended");
        // Numbers that it printed before it died count too.
        for number in numbers {
            acknowledged = acknowledged.max(number);
        }
        let mut bench = Bench::open(Place::File(path.clone())).expect("opens after the kill");
        let keys: Vec<Bytes> =
            (1..=acknowledged).map(|n| n.to_be_bytes().to_vec().into()).collect();
        let Ok(StoreReply::Values(values)) = bench.run(StoreTask::Read { keys }) else {
            panic!("cannot be read")
        };
        assert!(values.iter().all(Option::is_some), "lost one of {acknowledged}");
    }
    assert!(acknowledged >= 60, "the child wrote only {acknowledged}");
}

fn write_until_killed(path: PathBuf) -> ! {
    use std::io::Write as _;
    let mut bench = Bench::open(Place::File(path)).expect("opens");
    let Ok(StoreReply::Entries(entries)) = bench.run(StoreTask::Scan {
        from: Bytes::new(),
        to: vec![255; 9].into(),
        limit: usize::MAX,
    }) else {
        panic!("cannot be read")
    };
    for n in entries.len() as u64 + 1.. {
        let key = Bytes::from(n.to_be_bytes().to_vec());
        bench
            .run(StoreTask::Write { batch: vec![(key, Some(vec![n as u8; 700].into()))] })
            .expect("written");
        let mut output = std::io::stdout().lock();
        let _ = writeln!(output, "{n}").and_then(|()| output.flush());
    }
    unreachable!("the loop does not end")
}

/// The stores left by releases, see `core/src/fixtures.rs`.
mod releases {
    use super::*;
    use std::path::Path;

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures")
    }

    /// The entries of a release's store.
    fn entries(release: &Path) -> Vec<(Bytes, Bytes)> {
        let text = std::fs::read_to_string(release.join("store.txt")).expect("it has a store");
        let bytes = |hex: &str| {
            data_encoding::HEXLOWER.decode(hex.as_bytes()).expect("hexadecimal digits").into()
        };
        let line = |line: &str| line.split_once(' ').map(|(key, value)| (bytes(key), bytes(value)));
        text.lines().filter_map(line).collect()
    }

    /// A copy of the file: to open one is to write into it.
    #[test]
    fn file_of_each_release_holds_its_entries() {
        for release in std::fs::read_dir(folder()).expect("the fixtures can be listed") {
            let release = release.expect("an entry").path();
            let scratch = tempfile::tempdir().expect("a scratch folder");
            let path = scratch.path().join("store.redb");
            std::fs::copy(release.join("store.redb"), &path)
                .expect("run `cargo xtask fixtures`: it writes the file");
            let mut bench = Bench::open(Place::File(path)).expect("today's code opens it");
            let (from, to) = (Bytes::new(), copy(&[0xff]));
            let found = bench.run(StoreTask::Scan { from, to, limit: usize::MAX });
            let Ok(StoreReply::Entries(found)) = found else { panic!("{found:?}") };
            assert_eq!(found, entries(&release), "{release:?}: run `cargo xtask fixtures`");
        }
    }

    #[test]
    #[ignore = "writes a fixture: `cargo xtask fixtures`"]
    fn write_fixture() {
        let release = folder().join("1");
        let path = release.join("store.redb");
        let _ = std::fs::remove_file(&path);
        let mut bench = Bench::open(Place::File(path.clone())).expect("a new store");
        let batch = entries(&release).into_iter().map(|(key, value)| (key, Some(value))).collect();
        assert!(matches!(bench.run(StoreTask::Write { batch }), Ok(StoreReply::Written)));
        drop(bench);
        compact(&path).expect("nobody else has it open");
    }
}
