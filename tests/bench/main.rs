//! Benchmarks without a network: CPU seconds, not wall time.
//!
//! `cargo run --release -p peergraph-tests --bin bench -- [RECORDS]`
//!
//! *Accept*: what one node spends on a flood that others publish. A world runs the flood and records every
//! input of one member; then a fresh node of the same identity gets the same inputs, with nothing else
//! running, and without a memo of signatures. The simulated disk costs nothing.
use peergraph_core::io::Command;
use peergraph_tests::World;
use peergraph_tests::report::CpuClock;
use peergraph_tests::scenario::Crypto;
use peergraph_tests::story::draft;
use std::time::Duration;

/// Repetitions; the median is reported.
const ROUNDS: usize = 5;
/// Members of the group.
const MEMBERS: usize = 6;
/// Bytes of a payload. Guess: a line of chat.
const PAYLOAD_BYTES: usize = 120;

fn main() {
    let records = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(5_000);
    accept(records);
}

fn accept(records: usize) {
    let repeat = format!("cargo run --release -p peergraph-tests --bin bench -- {records}");
    let mut world = World::new(1, repeat);
    world.keep_events = false;
    let owner = world.native("owner");
    let group = world.create_group(owner, "bench");
    let member = 1;
    world.record(member);
    for number in 1..MEMBERS {
        let host = world.native(&format!("m{number}"));
        world.let_in(owner, group, host, &[owner]);
    }
    world.run_for(Duration::from_secs(30));
    let gathered = world.recording().inputs();
    for number in 0..records {
        // Everybody publishes but the one that is measured.
        let sender = [0, 2, 3, 4, 5][number % 5];
        let command = Command::Publish { group, draft: draft(vec![b'.'; PAYLOAD_BYTES]) };
        let _request = world.command(sender, command);
        world.run_for(Duration::from_millis(2));
    }
    world.run_for(Duration::from_secs(30));
    let heard = world.recording().inputs() - gathered;
    assert_eq!(world.records(member, group).len(), records, "the member has everything");

    let mut times: Vec<f64> = Vec::new();
    for _ in 0..ROUNDS {
        let mut again = world.recording().replay(&world.hosts()[member], Crypto::Full, gathered);
        let clock = CpuClock::start();
        again.advance(heard, false);
        times.push(clock.millis());
    }
    times.sort_by(f64::total_cmp);
    let median = times[ROUNDS / 2];
    println!(
        "accept: {records} records of {PAYLOAD_BYTES} bytes, {} inputs: {median:.0} ms of CPU, \
         {:.0} records per CPU second (median of {ROUNDS}, {:.0} to {:.0} ms)",
        heard,
        records as f64 / (median / 1e3),
        times[0],
        times[ROUNDS - 1],
    );
}
