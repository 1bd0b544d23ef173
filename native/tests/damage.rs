//! Stores that lost bits, pages or their end: no wrong byte is shown or sent, and everything comes back.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt as _;
use peergraph::{
    Event, Filter, Folder, Group, Host, HostBuilder, InviteOptions, NodeUrl, RecordId, Role,
    StartError,
};

const STORES: u64 = 200;
const RECORDS: usize = 60;
const PAGE_BYTES: usize = 4_096;
const PATIENCE: Duration = Duration::from_secs(60);
const PASSWORD: &str = "correct horse";

type Contents = BTreeMap<RecordId, Vec<u8>>;

/// Chance that is the same for the same seed (SplitMix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }
}

/// Flips bits, cuts the tail, or zeroes pages.
fn damage(bytes: &mut Vec<u8>, seed: u64) -> String {
    let mut chance = Chance(seed);
    match seed % 3 {
        0 => {
            let flips = 1 + chance.below(200);
            for _ in 0..flips {
                let bit = chance.below(bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            format!("{flips} bits flipped")
        }
        1 => {
            bytes.truncate(chance.below(bytes.len()));
            format!("cut to {} bytes", bytes.len())
        }
        _ => {
            let pages = 1 + chance.below(12);
            for _ in 0..pages {
                let from = chance.below(bytes.len() / PAGE_BYTES) * PAGE_BYTES;
                bytes[from..from + PAGE_BYTES].fill(0);
            }
            format!("{pages} pages zeroed")
        }
    }
}

fn builder(folder: &Path) -> HostBuilder {
    Host::builder().data(folder).udp("127.0.0.1:0".parse().expect("an address"))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("there") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        match entry.file_type().expect("known") {
            kind if kind.is_dir() => copy(&entry.path(), &target),
            kind if kind.is_file() => drop(fs::copy(entry.path(), target).expect("copied")),
            _ => {}
        }
    }
}

fn store_of(folder: &Path) -> PathBuf {
    let mut identities = fs::read_dir(folder.join("identities")).expect("there");
    identities.next().expect("one").expect("readable").path().join("store.redb")
}

async fn contents(group: &Group) -> Option<Contents> {
    let records = group.records(Filter::default()).await.ok()?;
    Some(records.into_iter().map(|record| (record.id, record.payload.to_vec())).collect())
}

/// Checks that all shown records are as they were written, even if some are missing.
fn check(shown: &Contents, written: &Contents, what: &str) {
    for (id, payload) in shown {
        assert_eq!(Some(payload), written.get(id), "{what}: {id}");
    }
}

/// Returns whether the group is here and ours, and all records come back. It is false if the file
/// can no longer be written, which the host has to tell.
async fn comes_back(host: &Host, written: &Contents, what: &str) -> bool {
    let mut events = host.events();
    let fails = async {
        while let Some(event) = events.next().await {
            if matches!(event, Event::StoreFailed { .. }) {
                return;
            }
        }
    };
    let wait = async {
        loop {
            let groups = host.groups().await.ok()?;
            let group = groups.first()?;
            let shown = contents(group).await?;
            check(&shown, written, what);
            if shown.len() == written.len() {
                return group.info().await.ok().filter(|info| info.owner);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let ends = async {
        tokio::select! {
            back = wait => back.is_some(),
            () = fails => false,
        }
    };
    match tokio::time::timeout(PATIENCE, ends).await {
        Ok(back) => back,
        Err(_) => panic!("{what}: not all records came back"),
    }
}

/// Starts a host on a damaged store. If it cannot be opened, the error has to say what to do.
async fn start(folder: &Path, node: &NodeUrl, what: &str) -> Option<Host> {
    match builder(folder).node(node.clone()).start().await {
        Ok(host) => Some(host),
        Err(error @ (StartError::Store { .. } | StartError::Read(_))) => {
            let text = error.to_string();
            assert!(
                text.contains("peergraph restore") && !text.contains("move it away"),
                "{what}: {text}"
            );
            None
        }
        Err(error) => panic!("{what}: {error}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_stores_show_and_send_no_wrong_byte_and_are_whole_again() {
    let place = tempfile::tempdir().expect("a folder");
    let (adas, copied) = (place.path().join("ada"), place.path().join("copy"));
    let bob = Host::builder().name("Bob").udp("127.0.0.1:0".parse().expect("an address"));
    let bob = bob.http("127.0.0.1:0".parse().expect("an address")).rendezvous(true);
    let bob = bob.start().await.expect("starts");
    let http = bob.http_address().expect("served");
    let node: NodeUrl = format!("http://{http}").parse().expect("a URL");

    let ada = builder(&adas).name("Ada").node(node.clone()).start().await.expect("starts");
    let group = ada.create_group("Diary").await.expect("made");
    let invitation = group.invite(InviteOptions::bearer(Role::Member)).await.expect("invited");
    let joined = bob.join(&invitation.to_text()).await.expect("joined");
    for number in 0..RECORDS {
        // Some are longer than a page.
        let text = format!("{number} ").repeat(1 + number % 7 * 400);
        group.publish("note", text).await.expect("published");
    }
    let written = contents(&group).await.expect("readable");
    let backup = ada.backup(PASSWORD, false).await.expect("made");
    let at_bob = async {
        while contents(&joined).await.expect("readable") != written {
            tokio::time::sleep(Duration::from_millis(20)).await
        }
    };
    tokio::time::timeout(PATIENCE, at_bob).await.expect("Bob has all");
    ada.shutdown().await.expect("ended");
    let whole = fs::read(store_of(&adas)).expect("readable");

    let mut news = bob.events();
    let blamed = tokio::spawn(async move {
        let mut blamed = Vec::new();
        while let Some(event) = news.next().await {
            if let Event::PeerMisbehaved { fault, .. } = event {
                blamed.push(fault);
            }
        }
        blamed
    });
    let (mut restored, mut opened) = (0, 0);
    for seed in 0..STORES {
        let _ = fs::remove_dir_all(&copied);
        copy(&adas, &copied);
        let mut bytes = whole.clone();
        let what = format!("seed {seed}, {}", damage(&mut bytes, seed));
        fs::write(store_of(&copied), bytes).expect("written");
        let mut back = false;
        if let Some(host) = start(&copied, &node, &what).await {
            back = comes_back(&host, &written, &what).await;
            host.shutdown().await.expect("ended");
        }
        opened += u64::from(back);
        if !back {
            restored += 1;
            let folder = Folder::open(&copied).expect("opens");
            folder.restore(&backup, PASSWORD).unwrap_or_else(|error| panic!("{what}: {error}"));
            let host = start(&copied, &node, &what).await;
            let host = host.unwrap_or_else(|| panic!("{what}: it does not start after restore"));
            assert!(comes_back(&host, &written, &what).await, "{what}: not whole after restore");
            host.shutdown().await.expect("ended");
        }
    }
    println!("{STORES} stores: {opened} mended by themselves, {restored} restored from a backup");
    assert_eq!(contents(&joined).await.expect("readable"), written, "Bob was sent nothing wrong");
    bob.shutdown().await.expect("ended");
    assert_eq!(blamed.await.expect("ends"), [], "nobody was blamed");
}

#[tokio::test]
async fn backup_makes_another_device_and_an_empty_folder_the_same_owner() {
    let place = tempfile::tempdir().expect("a folder");
    let ada = builder(&place.path().join("ada")).name("Ada").start().await.expect("starts");
    let group = ada.create_group("Diary").await.expect("made");
    group.publish("note", "Hello").await.expect("published");
    for (name, records) in [("phone", false), ("laptop", true)] {
        let backup = ada.backup(PASSWORD, records).await.expect("made");
        let elsewhere = place.path().join(name);
        let folder = Folder::open(&elsewhere).expect("opens");
        let wrong = folder.restore(&backup, "battery staple").expect_err("refused");
        assert!(wrong.to_string().contains("password"), "{wrong}");
        let restored = folder.restore(&backup, PASSWORD).expect("restored");
        assert_eq!((restored.peer, restored.groups, restored.moved), (ada.peer_id(), 1, None));
        let host = builder(&elsewhere).start().await.expect("starts");
        assert_eq!(host.peer_id(), ada.peer_id());
        let again = host.groups().await.expect("listed").remove(0);
        assert_eq!(again.id(), group.id());
        assert!(again.info().await.expect("there").owner);
        let shown = contents(&again).await.expect("readable");
        assert_eq!(shown.len(), usize::from(records), "{name}");
        // The owner still owns: it can let others in and change the group.
        again.invite(InviteOptions::bearer(Role::Administrator)).await.expect("invited");
        again.set().name("Journal").await.expect("renamed");
        host.shutdown().await.expect("ended");
        // The store here is newer than the backup, and stays.
        folder.restore(&backup, PASSWORD).expect("restored");
        let host = builder(&elsewhere).start().await.expect("starts");
        assert_eq!(host.groups().await.expect("listed").remove(0).name(), "Journal");
        host.shutdown().await.expect("ended");
    }
    ada.shutdown().await.expect("ended");
}

#[tokio::test]
async fn replacing_keeps_life_and_attributes() {
    let place = tempfile::tempdir().expect("a folder");
    let ada = builder(place.path()).name("Ada").start().await.expect("starts");
    let group = ada.create_group("Diary").await.expect("made");
    let hour = Duration::from_secs(3_600);
    let first = group.publish("note", "one").attribute("room", "general").expires_in(hour).await;
    let first = first.expect("published");
    let second = group.publish("note", "two").replacing(first.id).await.expect("published");
    assert_eq!((second.expires, &second.attributes), (first.expires, &first.attributes));
    let third = group.publish("note", "three").replacing(first.id).attribute("room", "side");
    let third = third.expires_in(2 * hour).await.expect("published");
    assert!(third.expires > first.expires && third.attributes != first.attributes);
    let fourth = group.publish("note", "four").replacing(first.id).without_attributes();
    assert_eq!(fourth.await.expect("published").attributes, []);
    ada.shutdown().await.expect("ended");
}
