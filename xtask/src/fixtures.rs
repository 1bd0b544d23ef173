//! Writes the fixtures of this version, and the seeds of the fuzz corpus.
//!
//! The code that knows the forms makes them, in tests that are ignored otherwise: `core/src/fixtures.rs`, then
//! `native/src/storage/tests.rs` (a store as a file, of the entries that the core made), then `tests/fuzz/replay.rs`.
use crate::shell::{cargo, run, say};
use anyhow::Result;

const WRITERS: [(&str, &[&str], &str); 3] = [
    ("peergraph-core", &["--lib"], "fixtures::write"),
    ("peergraph", &["--lib"], "storage::tests::releases::write_fixture"),
    ("peergraph-tests", &["--test", "corpus"], "write_seeds"),
];

pub(crate) fn write() -> Result<()> {
    for (package, target, test) in WRITERS {
        say(format!("{package}: {test}"));
        let mut command = cargo();
        command.args(["test", "--quiet", "--locked", "-p", package]).args(target);
        run(command.args(["--", "--ignored", "--exact", test]))?;
    }
    say("see `git diff tests` for what has changed");
    Ok(())
}
