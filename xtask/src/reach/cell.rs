//! One cell: the programs, and the scene that they play.
//!
//! ```text
//!   node at hub.example:443
//!   a: makes a group through it, publishes, watches
//!   b: joins by the link (the time is that of this command, until it has the record), then watches
//!   b: says who its neighbour is, and whether that is direct
//! ```

use std::fmt;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::Kind;
use crate::shell;

/// The node, by a name that leads to an address of each family. Plain HTTP: what is open is the port.
const NODE: &str = "http://hub.example:443";
/// Longest join. Bar of a cell that is connected.
const JOIN_MAX: &str = "30s";
/// How long a program may take to say that it is ready.
pub(super) const READY_MAX: Duration = Duration::from_secs(20);
/// After the join, how long two may take until a neighbour is there, and then until a direct path is.
const NEIGHBOUR_MAX: Duration = Duration::from_secs(15);
const DIRECT_MAX: Duration = Duration::from_secs(12);
/// A member has its seat at the node by then.
const SETTLED: Duration = Duration::from_secs(2);

/// The outcome of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) pair: (Kind, Kind),
    /// From the start of the join to the record, if it came.
    pub(crate) ms: Option<u64>,
    pub(crate) direct: bool,
    /// The laboratory itself has failed.
    pub(crate) fault: Option<String>,
}

impl Cell {
    pub(crate) fn failed(pair: (Kind, Kind), fault: String) -> Self {
        Self { pair, ms: None, direct: false, fault: Some(fault) }
    }

    /// As it goes from the inside to the outside.
    pub(crate) fn line(&self) -> String {
        let ms = self.ms.map_or("-".to_owned(), |ms| ms.to_string());
        format!("{} {} {ms} {}", self.pair.0.name(), self.pair.1.name(), self.direct)
    }
}

impl FromStr for Cell {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let line = text.lines().last().unwrap_or_default();
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [from, to, ms, direct] = words[..] else { bail!("no cell: {line:?}") };
        let ms = if ms == "-" { None } else { Some(ms.parse()?) };
        Ok(Self { pair: (from.parse()?, to.parse()?), ms, direct: direct.parse()?, fault: None })
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}: ", self.pair.0.name(), self.pair.1.name())?;
        match (&self.fault, self.ms) {
            (Some(fault), _) => write!(f, "the laboratory failed: {fault}"),
            (None, Some(ms)) if self.direct => write!(f, "{ms} ms, direct"),
            (None, Some(ms)) => write!(f, "{ms} ms, not direct"),
            (None, None) => write!(f, "not connected"),
        }
    }
}

/// Plays the scene. `direct`: whether theory says that a direct path comes about, so that it is waited for.
pub(super) fn play(
    program: &Path,
    pair: (Kind, Kind),
    direct: bool,
    logs: Option<PathBuf>,
) -> Result<Cell> {
    let scene = Scene { program, logs };
    let (_node, _ada, link) = scene.begin()?;

    let begun = Instant::now();
    let join = ["--name", "Bob", "--json", "--timeout", JOIN_MAX, "group", "join", link.trim()];
    let joined = scene.run("b", &join);
    let ms = begun.elapsed().as_millis() as u64;
    let mut cell = Cell { pair, ms: None, direct: false, fault: None };
    match joined {
        Ok(joined) if joined.contains("\"records\":1") => cell.ms = Some(ms),
        Ok(_) => return Ok(cell),
        Err(error) => {
            eprintln!("{error:#}");
            return Ok(cell);
        }
    }
    let mut bob = scene.start("b", &["--json", "watch", "Trip"])?;
    bob.line(READY_MAX).context("the second member is not ready")?;
    cell.direct = scene.is_direct(direct)?;
    Ok(cell)
}

pub(super) struct Scene<'a> {
    pub(super) program: &'a Path,
    pub(super) logs: Option<PathBuf>,
}

impl Scene<'_> {
    /// The node, and the first member with its group, which has one record. Answers both, which end when they are dropped, and
    /// the link of an invitation.
    pub(super) fn begin(&self) -> Result<(Running, Running, String)> {
        let mut node =
            self.start("hub", &["--name", "Node", "--json", "node", "--http", "[::]:443"])?;
        node.line(READY_MAX).context("the node is not ready")?;
        self.run("a", &["--name", "Ada", "--node", NODE, "group", "create", "Trip"])?;
        self.run("a", &["publish", "Trip", "chat.message", "/run/hosts", "--wait", "stored"])?;
        let link = self.run("a", &["group", "invite", "Trip"])?;
        let mut ada = self.start("a", &["--json", "watch", "Trip"])?;
        ada.line(READY_MAX).context("the first member is not ready")?;
        std::thread::sleep(SETTLED);
        Ok((node, ada, link))
    }

    /// A command of a member, in its namespace and with its folder.
    pub(super) fn command(&self, who: &str, arguments: &[&str]) -> Result<Command> {
        let mut command = shell::command("ip");
        command.args(["netns", "exec", who]).arg(self.program);
        command.arg("--data").arg(format!("/run/{who}")).args(arguments);
        command.stdin(Stdio::null());
        if let Some(logs) = &self.logs {
            let log = File::options().create(true).append(true).open(logs.join(who))?;
            command.env("PEERGRAPH_LOG", "debug").stderr(log);
        }
        Ok(command)
    }

    /// Runs a command to its end, and answers what it said.
    pub(super) fn run(&self, who: &str, arguments: &[&str]) -> Result<String> {
        let mut command = self.command(who, arguments)?;
        if self.logs.is_none() {
            command.stderr(Stdio::piped());
        }
        let output = command.stdout(Stdio::piped()).output().context("cannot start it")?;
        if !output.status.success() {
            bail!("{who}: {arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    pub(super) fn start(&self, who: &str, arguments: &[&str]) -> Result<Running> {
        let mut command = self.command(who, arguments)?;
        if self.logs.is_none() {
            command.stderr(Stdio::null());
        }
        let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start it")?;
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Running { child, lines: Arc::new(Mutex::new(lines)) })
    }

    /// Whether a data channel joins the two, once they are neighbours.
    fn is_direct(&self, expected: bool) -> Result<bool> {
        let begun = Instant::now();
        let mut met: Option<Instant> = None;
        loop {
            let said = self.run("b", &["group", "explain", "Trip"])?;
            if said.contains(", direct") {
                return Ok(true);
            }
            if said.contains("neighbour ") {
                met.get_or_insert_with(Instant::now);
            }
            let over = match met {
                Some(met) => !expected || met.elapsed() > DIRECT_MAX,
                None => begun.elapsed() > NEIGHBOUR_MAX,
            };
            if over {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(300));
        }
    }
}

/// A program that runs until this is dropped.
pub(super) struct Running {
    child: Child,
    pub(super) lines: Arc<Mutex<Receiver<String>>>,
}

impl Running {
    pub(super) fn line(&mut self, most: Duration) -> Result<String> {
        let lines = self.lines.lock().expect("no panic under this lock");
        lines.recv_timeout(most).context("it said nothing in time")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
