//! Sync: two members whose stores differ in some records meet, and their stores become equal.
//!
//! One publishes everything. Then, while both are away, its disk is copied to the other's, and each
//! loses half of the differences. The figures count all messages by which they compare, ask and
//! end; the records are floods.
use super::crowd::Crowd;
use super::{Scenario, Setup, Spread};
use crate::chance::Chance;
use crate::check::delivery::Reach;
use crate::host::HostId;
use crate::report::{Meter, Report};
use crate::story::draft;
use crate::world::World;
use bytes::Bytes;
use peergraph_core::io::{Command, GroupCommand, StoreId, StoreReply, StoreTask};
use peergraph_core::record::Signed;
use peergraph_core::stored;
use std::time::Duration;

/// How long the stores may take to become equal. Virtual.
const SYNCED_WITHIN: Duration = Duration::from_secs(600);
/// Records that are published at once.
const BATCH: usize = 100;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "sync",
    about: "Two members whose stores differ meet (--difference, --spread)",
    records: 10_000,
    run,
};

fn run(setup: &Setup) -> Report {
    let mut crowd = Crowd::new(setup);
    let mut meter = Meter::default();
    crowd.grow(setup, 1);
    crowd.world.run_for(Duration::from_secs(5));
    crowd.world.stop(1);
    publish(setup, &mut crowd);
    crowd.world.stop(0);
    part(setup, &mut crowd);
    let phase = meter.phase(&crowd.world, "publish", setup.records, Reach::default());
    setup.tell(|| phase.to_string());

    let (before, laid) = (crowd.world.kinds.by_name(), crowd.world.wires.len());
    for host in [0, 1] {
        crowd.world.start(host);
        crowd.world.await_opened(host);
    }
    let synced = |world: &World| world.hosts().iter().all(|host| host.synced);
    assert!(crowd.world.run_until(SYNCED_WITHIN, synced), "no sync in {SYNCED_WITHIN:?}");
    let (mut bytes, mut messages) = (0, 0);
    for (kind, count) in crowd.world.kinds.by_name() {
        let before = before.get(kind).copied().unwrap_or_default();
        if ["sync", "want", "given", "sync end"].contains(&kind) {
            bytes += count.bytes - before.bytes;
        }
        if kind == "sync" {
            messages += count.messages - before.messages;
        }
    }
    meter.note("sync_bytes", bytes as f64);
    // Of all three classes; two of them are said to be equal in two messages each.
    meter.note("sync_messages", messages as f64);
    meter.note("round_trips", crowd.world.round_trips(0, laid) as f64);
    let phase = meter.phase(&crowd.world, "sync", 0, Reach::default());
    setup.tell(|| phase.to_string());
    crowd.world.run_for(Duration::from_secs(10));
    crowd.assert_equal_stores(&[0, 1]);
    crowd.finish(setup, meter)
}

fn publish(setup: &Setup, crowd: &mut Crowd) {
    for nth in 0..setup.records {
        let command =
            Command::Group(crowd.group, GroupCommand::Publish { draft: draft(format!("{nth}")) });
        let _request = crowd.world.command(0, command);
        if nth % BATCH == 0 {
            crowd.world.run_for(Duration::from_millis(20));
        }
    }
    crowd.world.run_for(Duration::from_secs(10));
}

/// Copies the records of the first host to the second, and takes half of the differences from each.
fn part(setup: &Setup, crowd: &mut Crowd) {
    // Keys of the applications' records, see `core/src/storage.rs`.
    let from: Bytes = [b"g", &crowd.group.as_bytes()[..], b"r\x02"].concat().into();
    let to: Bytes = [b"g", &crowd.group.as_bytes()[..], b"r\x03"].concat().into();
    let scan = StoreTask::Scan { from, to, limit: usize::MAX };
    let Ok(StoreReply::Entries(mut records)) = disk(&mut crowd.world, 0, scan) else {
        panic!("a healthy disk can be read");
    };
    assert_eq!(records.len(), setup.records, "everything was published");
    records.sort_by_cached_key(|(key, value)| {
        let signed = Signed::decode(stored::whole(key, value)?).ok()?;
        Some((signed.record().modified, signed.digest()))
    });
    let count = setup.knobs.difference.min(records.len());
    let mut places: Vec<usize> = match setup.knobs.spread {
        Spread::Scattered => (0..records.len()).collect(),
        Spread::Recent => (records.len() - count..records.len()).collect(),
    };
    crowd.world.chance.shuffle(&mut places);
    let (lost, never_had) = places[..count].split_at(count / 2);
    let lost = lost.iter().map(|&place| (records[place].0.clone(), None)).collect();
    let mut copied: Vec<_> =
        records.iter().map(|(key, bytes)| (key.clone(), Some(bytes.clone()))).collect();
    never_had.iter().for_each(|&place| copied[place].1 = None);
    for (host, batch) in [(0, lost), (1, copied)] {
        let written = disk(&mut crowd.world, host, StoreTask::Write { batch });
        assert!(matches!(written, Ok(StoreReply::Written)), "{written:?}");
    }
}

/// Does something on the disk of a host on which no node runs.
fn disk(
    world: &mut World,
    host: HostId,
    task: StoreTask,
) -> Result<StoreReply, peergraph_core::io::StoreFault> {
    let disk = &mut world.host(host).disk;
    disk.submit(0, StoreId(0), task, &mut Chance::new(0));
    disk.finish().expect("a task was just given").1
}
