//! `cargo xtask compare REVISION`: the same simulated worlds with the code of a revision and with the code that is here, side by
//! side.
//!
//! The revision is checked out into the target folder. Both programs are built with the same dependencies. Figures in virtual
//! time and counts are exact: any difference is a change of behaviour. CPU time and memory are those of this machine.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::shell::{self, say};

/// The worlds. A minute on two cores, all told.
const WORLDS: &[&[&str]] = &[
    &["flood", "--nodes", "100"],
    &["join", "--nodes", "30"],
    &["sync", "--nodes", "2"],
    &["crash", "--nodes", "60"],
    &["partition", "--nodes", "24"],
    &["tabs", "--nodes", "30"],
];

/// Prints a table for each world.
pub(crate) fn print(revision: &str) -> Result<()> {
    let folder = shell::target()?.join("compare");
    let before = program_of(&checkout(revision, &folder)?, &folder.join("before"))?;
    let after = program_of(shell::root(), &folder.join("after"))?;
    for world in WORLDS {
        say(world.join(" "));
        let (old, new) = (report(&before, world)?, report(&after, world)?);
        println!("{:<26}{revision:>20}{:>20}{:>9}", world.join(" "), "here", "change");
        for row in rows(&figures(&old), &figures(&new)) {
            println!("{row}");
        }
        println!();
    }
    Ok(())
}

/// The files of a revision, in a folder of their own.
fn checkout(revision: &str, folder: &Path) -> Result<PathBuf> {
    let tree = folder.join("tree");
    let git = |arguments: &[&str]| shell::output(shell::command("git").args(arguments));
    let commit = git(&["rev-parse", "--verify", &format!("{revision}^{{commit}}")])
        .with_context(|| format!("git knows no revision {revision}"))?;
    if tree.exists() {
        fs::remove_dir_all(&tree).with_context(|| format!("cannot remove {}", tree.display()))?;
    }
    git(&["worktree", "prune"])?;
    let path = tree.to_str().context("the path of the target folder is not text")?;
    git(&["worktree", "add", "--quiet", "--detach", path, &commit])?;
    Ok(tree)
}

/// Builds the simulator of the workspace in `tree`, and keeps it as `name`.
fn program_of(tree: &Path, name: &Path) -> Result<PathBuf> {
    say(format!("building the simulator of {}", tree.display()));
    let mut cargo = shell::cargo();
    cargo.args(["build", "--quiet", "--locked", "--release", "-p", "peergraph-tests"]);
    cargo.args(["--bin", "sim"]).current_dir(tree);
    shell::run(cargo.env("CARGO_TARGET_DIR", shell::target()?))?;
    let built =
        shell::target()?.join("release/sim").with_extension(std::env::consts::EXE_EXTENSION);
    fs::copy(&built, name).with_context(|| format!("cannot copy {}", built.display()))?;
    Ok(name.to_path_buf())
}

fn report(program: &Path, world: &[&str]) -> Result<String> {
    shell::output(shell::command(program).args(world).args(["--seed", "7", "--json", "--quiet"]))
}

/// The figures of a whole run, by their names: what a report says before its parts.
fn figures(report: &str) -> Vec<(&str, &str)> {
    let whole = report.split_once(",\"kinds\"").map_or(report, |(whole, _)| whole);
    let fields = whole.trim_matches(['{', '}']).split(',');
    let fields = fields.filter_map(|field| field.split_once(':'));
    fields.map(|(name, value)| (name.trim_matches('"'), value.trim_matches('"'))).collect()
}

/// Figures that differ, or are of this machine: all else is equal, and is said in one line.
fn rows(old: &[(&str, &str)], new: &[(&str, &str)]) -> Vec<String> {
    let mut rows = Vec::new();
    let mut equal = 0;
    for &(name, now) in new {
        let before = old.iter().find(|(other, _)| *other == name).map_or("-", |(_, value)| value);
        if before == now {
            equal += 1;
        } else {
            rows.push(format!("  {name:<24}{before:>20}{now:>20}{:>9}", change(before, now)));
        }
    }
    rows.push(format!("  {equal} figures are equal"));
    rows
}

/// By how much a figure is larger or smaller; nothing if it is no number.
fn change(before: &str, now: &str) -> String {
    match (before.parse::<f64>(), now.parse::<f64>()) {
        (Ok(before), Ok(now)) if before > 0.0 => {
            format!("{:+.1} %", (now - before) / before * 100.0)
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str =
        r#"{"scenario":"flood","nodes":9,"cpu_ms":100,"digest":"ab","kinds":{"ack":{"bytes":1}}}"#;
    const NEW: &str = r#"{"scenario":"flood","nodes":9,"cpu_ms":125,"digest":"cd","new":0.5}"#;

    #[test]
    fn what_differs_stands_side_by_side() {
        assert_eq!(figures(OLD).len(), 4);
        let rows = rows(&figures(OLD), &figures(NEW));
        let words: Vec<Vec<&str>> =
            rows.iter().map(|row| row.split_whitespace().collect()).collect();
        assert_eq!(words[0], ["cpu_ms", "100", "125", "+25.0", "%"]);
        assert_eq!(words[1], ["digest", "ab", "cd"]);
        assert_eq!(words[2], ["new", "-", "0.5"]);
        assert_eq!(words[3], ["2", "figures", "are", "equal"]);
    }
}
