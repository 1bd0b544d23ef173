//! Networks that change under load: what two members miss while the network of the first one becomes another one.
//!
//! Both publish a record every [`EVERY`], and watch. In each trial the network changes, and is left alone for a while. The
//! **gap** is the longest time, from the change on, in which a member gets nothing of what the other one publishes; where the link
//! was down, from the moment at which it is up again. A record that never comes is lost; one that is shown twice counts too.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Stdio};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::Kind;
use super::cell::{READY_MAX, Running, Scene};
use crate::shell;

/// Time between two records of one member.
const EVERY: Duration = Duration::from_millis(50);
/// How long the members talk before the first change.
const BEFORE: Duration = Duration::from_secs(4);
/// How long a changed network is left alone.
const AFTER: Duration = Duration::from_secs(8);
/// How long the link is down.
const DOWN: Duration = Duration::from_secs(10);
/// How long what was published may take to come, in the end.
const LAST: Duration = Duration::from_secs(20);

/// A change of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// The first uplink goes, and there is a second one; and back.
    Switch,
    /// Another address on the same link.
    Address,
    /// The link is down for ten seconds.
    Down,
    /// The router forgets its mappings, and makes others.
    Flush,
}

pub(super) const MOVES: [(Move, &str); 4] = [
    (Move::Switch, "switch"),
    (Move::Address, "address"),
    (Move::Down, "down"),
    (Move::Flush, "flush"),
];
/// The networks of both, if nothing else is asked for: the first one is dialled, signalled, and relayed for.
pub(super) const PAIRS: [(Kind, Kind); 3] =
    [(Kind::Public, Kind::Public), (Kind::Port, Kind::Port), (Kind::Symmetric, Kind::Symmetric)];

impl Move {
    fn name(self) -> &'static str {
        MOVES.iter().find(|(it, _)| *it == self).map_or("", |(_, name)| name)
    }

    /// Whether there is such a move in a network: a public address has no router that could forget.
    pub(super) fn is_of(self, kind: Kind) -> bool {
        let known = matches!(kind, Kind::Public | Kind::Port | Kind::Symmetric);
        known && (self != Self::Flush || kind == Kind::Port)
    }
}

impl FromStr for Move {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = MOVES.iter().find(|(_, name)| *name == text);
        let names = || MOVES.map(|(_, name)| name).join(", ");
        found.map(|(it, _)| *it).with_context(|| format!("no move {text:?}; there are {}", names()))
    }
}

/// The outcome of all trials of a move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) what: Move,
    pub(crate) pair: (Kind, Kind),
    /// Of each trial, in order of length. Milliseconds.
    pub(crate) gaps: Vec<u64>,
    pub(crate) lost: usize,
    pub(crate) twice: usize,
    pub(crate) fault: Option<String>,
}

impl Moved {
    pub(super) fn failed(what: Move, pair: (Kind, Kind), fault: String) -> Self {
        Self { what, pair, gaps: Vec::new(), lost: 0, twice: 0, fault: Some(fault) }
    }

    /// As it goes from the inside to the outside.
    pub(super) fn line(&self) -> String {
        let mut line = format!(
            "{} {} {} {}",
            self.what.name(),
            self.pair.0.name(),
            self.pair.1.name(),
            self.lost
        );
        let _ = write!(line, " {}", self.twice);
        for gap in &self.gaps {
            let _ = write!(line, " {gap}");
        }
        line
    }

    /// The gap that so many percent of the trials do not exceed.
    fn gap(&self, percent: usize) -> u64 {
        let at = (self.gaps.len() * percent).div_ceil(100).max(1) - 1;
        self.gaps.get(at).copied().unwrap_or(0)
    }

    fn json(&self) -> String {
        format!(
            "{{\"move\":\"{}\",\"from\":\"{}\",\"to\":\"{}\",\"trials\":{},\"gap_ms\":{{\"p50\":{},\"p99\":{}}},\
             \"lost\":{},\"twice\":{}}}",
            self.what.name(),
            self.pair.0.name(),
            self.pair.1.name(),
            self.gaps.len(),
            self.gap(50),
            self.gap(99),
            self.lost,
            self.twice
        )
    }
}

impl FromStr for Moved {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let line = text.lines().last().unwrap_or_default();
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [what, from, to, lost, twice, gaps @ ..] = &words[..] else {
            bail!("no move: {line:?}")
        };
        let gaps: Result<Vec<u64>, _> = gaps.iter().map(|it| it.parse()).collect();
        let mut gaps = gaps?;
        gaps.sort_unstable();
        let pair = (from.parse()?, to.parse()?);
        let (lost, twice) = (lost.parse()?, twice.parse()?);
        Ok(Self { what: what.parse()?, pair, gaps, lost, twice, fault: None })
    }
}

impl std::fmt::Display for Moved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:<8} {} to {}: ", self.what.name(), self.pair.0.name(), self.pair.1.name())?;
        if let Some(fault) = &self.fault {
            return write!(f, "the laboratory failed: {fault}");
        }
        let (p50, p99) = (self.gap(50), self.gap(99));
        write!(f, "gap p50 {p50} ms, p99 {p99} ms of {}; ", self.gaps.len())?;
        write!(f, "{} lost, {} twice", self.lost, self.twice)
    }
}

/// All of them as one object.
pub(super) fn json(moved: &[Moved]) -> String {
    let list: Vec<String> = moved.iter().map(Moved::json).collect();
    format!("{{\"moves\":[{}]}}", list.join(","))
}

/// Plays the scene: both join as in a cell, talk, and the network of the first one changes so often.
pub(super) fn play(
    (lab, program): (&Path, &Path),
    what: Move,
    pair: (Kind, Kind),
    trials: usize,
    logs: Option<PathBuf>,
) -> Result<Moved> {
    let scene = Scene { program, logs };
    let (_node, ada, link) = scene.begin()?;
    scene.run("b", &["--name", "Bob", "--timeout", "30s", "group", "join", link.trim()])?;
    let mut bob = scene.start("b", &["--json", "watch", "Trip"])?;
    bob.line(READY_MAX).context("the second member is not ready")?;

    let talks = Arc::new(AtomicBool::new(true));
    let said: [Arc<Mutex<usize>>; 2] = Default::default();
    let mut speakers = Vec::new();
    let mut running = Vec::new();
    for (who, said) in ["a", "b"].into_iter().zip(&said) {
        let arguments = ["publish", "Trip", "chat.message", "--lines", "--wait", "stored"];
        let mut child = scene.command(who, &arguments)?;
        if scene.logs.is_none() {
            child.stderr(Stdio::null());
        }
        let mut child = child.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        let input = child.stdin.take().expect("piped");
        running.push(child);
        let (talks, said) = (Arc::clone(&talks), Arc::clone(said));
        speakers.push(thread::spawn(move || speak(who, input, &talks, &said)));
    }
    let ears = [Ear::of(ada, "b"), Ear::of(bob, "a")];
    thread::sleep(BEFORE);
    let mut gaps = Vec::new();
    for trial in 0..trials {
        let step = |name: &str| {
            let mut command = shell::command("sh");
            shell::run(command.arg("-e").arg(lab).args(["--move", name, pair.0.name()]))
        };
        let changed = Instant::now();
        match (what, trial % 2) {
            (Move::Switch, 0) => step("switch")?,
            (Move::Switch, _) => step("back")?,
            (Move::Address, 0) => step("address")?,
            (Move::Address, _) => step("first")?,
            (Move::Flush, _) => step("flush")?,
            (Move::Down, _) => {
                step("down")?;
                thread::sleep(DOWN);
                step("up")?;
            }
        }
        let since = if what == Move::Down { Instant::now() } else { changed };
        thread::sleep(AFTER);
        let until = Instant::now();
        let gap = ears.iter().map(|ear| ear.gap(since, until)).max().unwrap_or_default();
        gaps.push(gap.as_millis() as u64);
    }
    talks.store(false, Ordering::Relaxed);
    for speaker in speakers {
        speaker.join().map_err(|_| anyhow::anyhow!("a speaker failed"))?;
    }
    let counts = [said[1].lock().map_or(0, |it| *it), said[0].lock().map_or(0, |it| *it)];
    let begun = Instant::now();
    while ears.iter().zip(counts).any(|(ear, count)| ear.heard() < count) && begun.elapsed() < LAST
    {
        thread::sleep(EVERY);
    }
    let lost = ears.iter().zip(counts).map(|(ear, count)| count - ear.heard().min(count)).sum();
    let twice = ears.iter().map(Ear::twice).sum();
    for mut child in running {
        let _ = child.kill();
        let _ = child.wait();
    }
    Ok(Moved { what, pair, gaps, lost, twice, fault: None })
}

/// Publishes a record every moment, until nobody is to talk any longer.
fn speak(who: &str, mut input: ChildStdin, talks: &AtomicBool, said: &Mutex<usize>) {
    let begun = Instant::now();
    for n in 0_usize.. {
        if !talks.load(Ordering::Relaxed) || writeln!(input, "word {who} {n} .").is_err() {
            return;
        }
        if let Ok(mut said) = said.lock() {
            *said = n + 1;
        }
        let next = EVERY * u32::try_from(n + 1).unwrap_or(u32::MAX);
        thread::sleep(next.saturating_sub(begun.elapsed()));
    }
}

/// The words of the other member that one is shown, and when.
struct Ear {
    shown: Arc<Mutex<BTreeMap<usize, Vec<Instant>>>>,
    _program: Running,
}

impl Ear {
    fn of(program: Running, whose: &'static str) -> Self {
        let shown: Arc<Mutex<BTreeMap<usize, Vec<Instant>>>> = Arc::default();
        let (into, lines) = (Arc::clone(&shown), Arc::clone(&program.lines));
        thread::spawn(move || {
            loop {
                let Ok(line) = lines.lock().expect("no panic under this lock").recv() else {
                    return;
                };
                if let Some(n) = word_of(&line, whose) {
                    let mut into = into.lock().expect("no panic under this lock");
                    into.entry(n).or_default().push(Instant::now());
                }
            }
        });
        Self { shown, _program: program }
    }

    fn gap(&self, since: Instant, until: Instant) -> Duration {
        let shown = self.shown.lock().expect("no panic under this lock");
        let mut at: Vec<Instant> = shown.values().filter_map(|at| at.first().copied()).collect();
        at.retain(|at| (since..until).contains(at));
        at.sort_unstable();
        at.push(until);
        let mut before = since;
        let mut gap = Duration::ZERO;
        for at in at {
            gap = gap.max(at - before);
            before = at;
        }
        gap
    }

    fn heard(&self) -> usize {
        self.shown.lock().expect("no panic under this lock").len()
    }

    fn twice(&self) -> usize {
        let shown = self.shown.lock().expect("no panic under this lock");
        shown.values().filter(|at| at.len() > 1).count()
    }
}

/// The number of a word of this member in a line of JSON.
fn word_of(line: &str, whose: &str) -> Option<usize> {
    let (_, rest) = line.split_once(&format!("\"word {whose} "))?;
    rest.split_once(' ')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcome_goes_out_as_it_was() {
        let moved = Moved {
            what: Move::Down,
            pair: (Kind::Port, Kind::Public),
            gaps: vec![100, 200, 900],
            lost: 1,
            twice: 0,
            fault: None,
        };
        assert_eq!(moved.line().parse::<Moved>().expect("a line"), moved);
        assert_eq!((moved.gap(50), moved.gap(99)), (200, 900));
        assert_eq!(
            json(&[moved]),
            "{\"moves\":[{\"move\":\"down\",\"from\":\"port\",\"to\":\"public\",\"trials\":3,\
             \"gap_ms\":{\"p50\":200,\"p99\":900},\"lost\":1,\"twice\":0}]}"
        );
    }

    #[test]
    fn words_are_found_in_what_a_watcher_prints() {
        let line = "{\"id\":\"x\",\"payload\":\"word b 12 .\"}";
        assert_eq!((word_of(line, "b"), word_of(line, "a")), (Some(12), None));
    }
}
