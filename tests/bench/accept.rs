//! *Accept*: what one node spends on a flood that others publish. A world runs the flood and records every
//! input of one member; then a fresh node of the same identity gets the same inputs, with nothing else
//! running, and without a memo of signatures.
use crate::{median, seconds};
use peergraph_core::io::{Command, GroupCommand};
use peergraph_tests::World;
use peergraph_tests::scenario::Crypto;
use peergraph_tests::story::draft;
use std::time::Duration;

/// Repetitions; the median is reported.
const ROUNDS: usize = 5;
/// Members of the group.
const MEMBERS: usize = 6;
/// Bytes of a payload. Guess: a line of chat.
pub(crate) const PAYLOAD_BYTES: usize = 120;

pub(crate) fn run(records: usize) {
    let mut world = World::new(1, format!("cargo xtask bench accept {records}"));
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
        let command = Command::Group(
            group,
            GroupCommand::Publish { draft: draft(vec![b'.'; PAYLOAD_BYTES]) },
        );
        let _request = world.command(sender, command);
        world.run_for(Duration::from_millis(2));
    }
    world.run_for(Duration::from_secs(30));
    let heard = world.recording().inputs() - gathered;
    assert_eq!(world.records(member, group).len(), records, "the member has everything");

    let round = |_| {
        let mut again = world.recording().replay(&world.hosts()[member], Crypto::Full, gathered);
        seconds(|| again.advance(heard, false))
    };
    let times: Vec<f64> = (0..ROUNDS).map(round).collect();
    let (least, most) =
        times.iter().fold((f64::MAX, 0.0_f64), |(least, most), &t| (least.min(t), most.max(t)));
    let middle = median(times);
    println!(
        "accept: {records} records of {PAYLOAD_BYTES} bytes, {heard} inputs: {:.0} ms of CPU, \
         {:.0} records per CPU second (median of {ROUNDS}, {:.0} to {:.0} ms)",
        middle * 1e3,
        records as f64 / middle,
        least * 1e3,
        most * 1e3,
    );
}
