//! `cargo xtask reach`: which two members connect, each behind a network of its kind, and how.
//!
//! Each cell has network namespaces of its own (`reach/lab.sh`): a public node, two members and the routers before them,
//! all real programs (`reach/cell.rs`). They join nothing else, so no packet leaves the machine, and they vanish with the
//! programs in them. No privileges are needed if the system lets its users make namespaces; `ip` and `nft` are.
//!
//! A cell is **connected** if the newcomer gets the record of the other member, and **direct** if a data channel joins the
//! two. **Direct is possible** by theory if both have UDP and a family in common, and at most one of them has another
//! mapping for each destination beside one that lets in only whom it has asked.
//!
//! With `--moves` the network of the first member changes while both talk (`reach/moves.rs`).

mod cell;
mod moves;

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::str::FromStr;
use std::sync::Mutex;

use anyhow::{Context as _, Result, bail};

use crate::shell::{self, say};

pub(crate) use self::cell::Cell;
pub(crate) use self::moves::Move;
use self::moves::{MOVES, Moved, PAIRS};

const LAB: &str = include_str!("reach/lab.sh");
/// Cells at a time, if nothing else is asked for. One: times are of use only on a machine that is not busy.
const JOBS: usize = 1;
/// Trials of a move, if nothing else is asked for.
const TRIALS: usize = 10;

/// The network of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// An address of each family.
    Public,
    /// NAT: one mapping for an endpoint, which lets in everybody.
    Full,
    /// NAT: one mapping, which lets in addresses that were sent to.
    Addr,
    /// NAT: one mapping, which lets in addresses and ports that were sent to.
    Port,
    /// NAT: another mapping for each destination, which lets in that one.
    Symmetric,
    /// Two NATs of the kind `Port`, one behind the other.
    Cgnat,
    /// IPv6 alone, behind a firewall that lets in what was asked for.
    V6Only,
    /// NAT that lets out TCP alone.
    NoUdp,
    /// NAT that lets out TCP to port 443 alone.
    Only443,
}

const KINDS: [(Kind, &str); 9] = [
    (Kind::Public, "public"),
    (Kind::Full, "full"),
    (Kind::Addr, "addr"),
    (Kind::Port, "port"),
    (Kind::Symmetric, "symmetric"),
    (Kind::Cgnat, "cgnat"),
    (Kind::V6Only, "v6only"),
    (Kind::NoUdp, "noudp"),
    (Kind::Only443, "only443"),
];

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    fn has_udp(self) -> bool {
        !matches!(self, Self::NoUdp | Self::Only443)
    }

    fn has_v4(self) -> bool {
        self != Self::V6Only
    }

    fn has_v6(self) -> bool {
        matches!(self, Self::Public | Self::V6Only)
    }

    /// Whether it lets in only the very endpoints that were sent to.
    fn is_strict(self) -> bool {
        matches!(self, Self::Port | Self::Cgnat | Self::Symmetric)
    }
}

impl FromStr for Kind {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = KINDS.iter().find(|(_, name)| *name == text);
        let names = || KINDS.map(|(_, name)| name).join(", ");
        found
            .map(|(kind, _)| *kind)
            .with_context(|| format!("no kind {text:?}; there are {}", names()))
    }
}

/// Whether theory lets two kinds of network have a direct path.
fn direct_is_possible(a: Kind, b: Kind) -> bool {
    let family = (a.has_v4() && b.has_v4()) || (a.has_v6() && b.has_v6());
    let symmetric = |a: Kind, b: Kind| a == Kind::Symmetric && b.is_strict();
    a.has_udp() && b.has_udp() && family && !symmetric(a, b) && !symmetric(b, a)
}

/// The options of the task.
#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    /// Pairs of kinds, or all.
    pub(crate) cells: Option<Vec<(Kind, Kind)>>,
    /// Changes of the network, instead of joins.
    pub(crate) moves: Option<Vec<Move>>,
    pub(crate) trials: usize,
    pub(crate) json: bool,
    pub(crate) jobs: usize,
    /// Where the programs' logs go.
    pub(crate) logs: Option<PathBuf>,
    /// The program to run, instead of the one that is built.
    pub(crate) program: Option<PathBuf>,
    pub(crate) release: bool,
}

impl Default for Options {
    fn default() -> Self {
        let (cells, moves, logs, program) = (None, None, None, None);
        let (json, release) = (false, false);
        Self { cells, moves, trials: TRIALS, json, jobs: JOBS, logs, program, release }
    }
}

/// Reads `KIND:KIND,…`.
pub(crate) fn parse_cells(text: &str) -> Result<Vec<(Kind, Kind)>> {
    let pair = |text: &str| {
        let (from, to) = text.split_once(':').context("a cell is KIND:KIND")?;
        Ok((from.parse()?, to.parse()?))
    };
    text.split(',').map(pair).collect()
}

/// Reads `MOVE,…`, or `all`.
pub(crate) fn parse_moves(text: &str) -> Result<Vec<Move>> {
    if text == "all" {
        return Ok(MOVES.map(|(it, _)| it).to_vec());
    }
    text.split(',').map(str::parse).collect()
}

fn all_cells() -> Vec<(Kind, Kind)> {
    let kinds = KINDS.map(|(kind, _)| kind);
    let after = |from: usize| kinds[from..].iter().map(move |to| (kinds[from], *to));
    (0..kinds.len()).flat_map(after).collect()
}

/// Runs the cells, and prints them.
pub(crate) fn run(options: Options) -> Result<ExitCode> {
    let lab = shell::target()?.join("reach-lab.sh");
    fs::write(&lab, LAB).with_context(|| format!("cannot write {}", lab.display()))?;
    if let Err(missing) = can_run(&lab) {
        say(format!("skipped: {missing}"));
        return Ok(ExitCode::SUCCESS);
    }
    let program = match &options.program {
        Some(program) => program.clone(),
        None => build(options.release)?,
    };
    if let Some(moves) = &options.moves {
        return run_moves((&lab, &program), moves, &options);
    }
    let cells = options.cells.clone().unwrap_or_else(all_cells);
    let todo: Mutex<VecDeque<(usize, (Kind, Kind))>> =
        Mutex::new(cells.iter().copied().enumerate().collect());
    let done: Mutex<Vec<Option<Cell>>> = Mutex::new(vec![None; cells.len()]);
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.clamp(1, cells.len().max(1)) {
            scope.spawn(|| {
                while let Some((at, pair)) = pop(&todo) {
                    let cell = one(&lab, &program, pair, options.logs.as_deref());
                    say(cell.to_string());
                    done.lock().expect("no panic under this lock")[at] = Some(cell);
                }
            });
        }
    });
    let done = done.into_inner().expect("no panic under this lock");
    let cells: Vec<Cell> = done.into_iter().flatten().collect();
    if options.json {
        println!("{}", json(&cells));
    } else {
        print!("{}", table(&cells));
    }
    let failed = cells.iter().any(|cell| cell.fault.is_some());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Runs the moves one after the other, and prints them.
fn run_moves(
    (lab, program): (&Path, &Path),
    moves: &[Move],
    options: &Options,
) -> Result<ExitCode> {
    let pairs = options.cells.clone().unwrap_or_else(|| PAIRS.to_vec());
    let mut done = Vec::new();
    for &pair in &pairs {
        for &what in moves.iter().filter(|what| what.is_of(pair.0)) {
            let moved = one_move((lab, program), what, pair, options);
            let moved =
                moved.unwrap_or_else(|error| Moved::failed(what, pair, format!("{error:#}")));
            say(moved.to_string());
            done.push(moved);
        }
    }
    if options.json {
        println!("{}", moves::json(&done));
    }
    let failed = done.iter().any(|moved| moved.fault.is_some());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Runs one move in namespaces of its own.
fn one_move(
    (lab, program): (&Path, &Path),
    what: Move,
    pair: (Kind, Kind),
    options: &Options,
) -> Result<Moved> {
    let name = MOVES.iter().find(|(it, _)| *it == what).map_or("", |(_, name)| *name);
    let mut command = inside()?;
    command.arg(std::env::current_exe()?).args(["reach", "--inside", "--two"]);
    command.arg(lab).arg(program).args([pair.0.name(), pair.1.name(), name]);
    command.arg(options.trials.to_string());
    if let Some(logs) = &options.logs {
        let logs = logs.join(format!("{name}-{}-{}", pair.0.name(), pair.1.name()));
        fs::create_dir_all(&logs)?;
        command.arg(fs::canonicalize(logs)?);
    }
    shell::output(&mut command)?.parse()
}

fn pop<T>(queue: &Mutex<VecDeque<T>>) -> Option<T> {
    queue.lock().expect("no panic under this lock").pop_front()
}

/// Fails with the name of the thing that the laboratory needs and this machine lacks.
fn can_run(lab: &Path) -> Result<()> {
    if !cfg!(target_os = "linux") {
        bail!("the laboratory is made of Linux network namespaces");
    }
    for (program, package) in [("unshare", "util-linux"), ("ip", "iproute2"), ("nft", "nftables")] {
        let folders = ["/usr/sbin", "/sbin"].map(Path::new);
        let there = folders.iter().any(|folder| folder.join(program).is_file());
        if !there && shell::find_program(&[program]).is_none() {
            bail!("the laboratory needs `{program}` (Debian: apt-get install {package})");
        }
    }
    let mut command = inside()?;
    command.args(["sh", "-e"]).arg(lab).args(["port", "v6only"]);
    if !shell::succeeds(&mut command) {
        bail!("no network namespaces, or no NAT in them, can be made here");
    }
    Ok(())
}

/// The beginning of a command in namespaces of its own, which end with it.
fn inside() -> Result<Command> {
    let mut command = shell::command("unshare");
    command.args(["--user", "--map-root-user", "--net", "--mount", "--pid"]);
    command.args(["--fork", "--mount-proc", "--kill-child"]);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    Ok(command)
}

fn build(release: bool) -> Result<PathBuf> {
    let mut cargo = shell::cargo();
    cargo.args(["build", "--locked", "-p", "peergraph"]);
    if release {
        cargo.arg("--release");
    }
    shell::run(&mut cargo)?;
    let profile = if release { "release" } else { "debug" };
    Ok(shell::target()?.join(profile).join("peergraph"))
}

/// Runs one cell in namespaces of its own.
fn one(lab: &Path, program: &Path, pair: (Kind, Kind), logs: Option<&Path>) -> Cell {
    let run = || -> Result<Cell> {
        let mut command = inside()?;
        command.arg(std::env::current_exe()?).args(["reach", "--inside"]);
        command.arg(lab).arg(program).args([pair.0.name(), pair.1.name()]);
        if let Some(logs) = logs {
            let logs = logs.join(format!("{}-{}", pair.0.name(), pair.1.name()));
            fs::create_dir_all(&logs)?;
            command.arg(fs::canonicalize(logs)?);
        }
        shell::output(&mut command)?.parse()
    };
    run().unwrap_or_else(|error| Cell::failed(pair, format!("{error:#}")))
}

fn sums(cells: &[Cell]) -> [(&'static str, usize); 4] {
    let count = |is: fn(&Cell) -> bool| cells.iter().filter(|cell| is(cell)).count();
    [
        ("connected", count(|cell| cell.ms.is_some())),
        ("total", cells.len()),
        ("direct", count(|cell| cell.direct)),
        ("direct_possible", count(|cell| direct_is_possible(cell.pair.0, cell.pair.1))),
    ]
}

fn json(cells: &[Cell]) -> String {
    let cell = |cell: &Cell| {
        let ms = cell.ms.map_or("null".to_owned(), |ms| ms.to_string());
        let (from, to) = (cell.pair.0.name(), cell.pair.1.name());
        format!(
            "{{\"from\":\"{from}\",\"to\":\"{to}\",\"connected\":{},\"direct\":{},\"ms\":{ms}}}",
            cell.ms.is_some(),
            cell.direct
        )
    };
    let list: Vec<String> = cells.iter().map(cell).collect();
    let sums: Vec<String> =
        sums(cells).iter().map(|(name, count)| format!("\"{name}\":{count}")).collect();
    format!("{{\"cells\":[{}],{}}}", list.join(","), sums.join(","))
}

/// A row for each kind of the first member, a column for each of the second: milliseconds, with `*` if the path is not
/// direct, and `-` if there is none.
fn table(cells: &[Cell]) -> String {
    let mut kinds: Vec<Kind> = cells.iter().flat_map(|cell| [cell.pair.0, cell.pair.1]).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let mut text = format!("{:<10}", "");
    for to in &kinds {
        text.push_str(&format!("{:>10}", to.name()));
    }
    text.push('\n');
    for from in &kinds {
        text.push_str(&format!("{:<10}", from.name()));
        for to in &kinds {
            let found = cells.iter().find(|cell| cell.pair == (*from, *to));
            let shown = found.map_or(String::new(), |cell| match cell.ms {
                Some(ms) if cell.direct => ms.to_string(),
                Some(ms) => format!("{ms}*"),
                None => "-".to_owned(),
            });
            text.push_str(&format!("{shown:>10}"));
        }
        text.push('\n');
    }
    let sums: Vec<String> = sums(cells).iter().map(|(name, n)| format!("{name} {n}")).collect();
    text.push_str(&format!("{} (* not direct)\n", sums.join(", ").replace('_', " ")));
    text
}

/// Runs in the namespaces of one cell: makes the laboratory, and plays the scene.
pub(crate) fn run_inside(arguments: &[String]) -> Result<ExitCode> {
    if let [two, lab, program, from, to, what, trials, rest @ ..] = arguments
        && two == "--two"
    {
        shell::run(shell::command("sh").arg("-e").arg(lab).args(["--two", from, to]))?;
        let (pair, logs) = ((from.parse()?, to.parse()?), rest.first().map(PathBuf::from));
        let files = (Path::new(lab), Path::new(program));
        let moved = moves::play(files, what.parse()?, pair, trials.parse()?, logs)?;
        println!("{}", moved.line());
        return Ok(ExitCode::SUCCESS);
    }
    let [lab, program, from, to, rest @ ..] = arguments else { bail!("--inside LAB PROGRAM A B") };
    shell::run(shell::command("sh").arg("-e").arg(lab).args([from, to]))?;
    let pair = (from.parse()?, to.parse()?);
    let logs = rest.first().map(PathBuf::from);
    let cell = cell::play(Path::new(program), pair, direct_is_possible(pair.0, pair.1), logs)?;
    println!("{}", cell.line());
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn theory_is_the_one_of_hole_punching() {
        use Kind::{Addr, Cgnat, Full, NoUdp, Only443, Port, Public, Symmetric, V6Only};
        for (a, b, direct) in [
            (Public, Symmetric, true),
            (Full, Symmetric, true),
            (Addr, Symmetric, true),
            (Port, Symmetric, false),
            (Cgnat, Symmetric, false),
            (Symmetric, Symmetric, false),
            (Cgnat, Port, true),
            (Public, V6Only, true),
            (V6Only, V6Only, true),
            (V6Only, Full, false),
            (Public, NoUdp, false),
            (Only443, NoUdp, false),
        ] {
            assert_eq!((direct_is_possible(a, b), direct_is_possible(b, a)), (direct, direct));
        }
        assert_eq!(all_cells().len(), 45);
        let possible = all_cells().into_iter().filter(|&(a, b)| direct_is_possible(a, b)).count();
        assert_eq!(possible, 20);
    }

    #[test]
    fn cells_are_named_by_two_kinds() {
        let cells = parse_cells("port:symmetric,public:public").expect("two");
        assert_eq!(cells, [(Kind::Port, Kind::Symmetric), (Kind::Public, Kind::Public)]);
        assert!(parse_cells("port").is_err());
        assert!(parse_cells("port:x").is_err_and(|error| error.to_string().contains("only443")));
    }

    #[test]
    fn cells_are_counted_and_shown() {
        let pair = (Kind::Public, Kind::Port);
        let cells = [
            Cell { pair, ms: Some(120), direct: true, fault: None },
            Cell { pair: (Kind::Port, Kind::NoUdp), ms: None, direct: false, fault: None },
        ];
        assert_eq!(
            json(&cells),
            "{\"cells\":[{\"from\":\"public\",\"to\":\"port\",\"connected\":true,\"direct\":true,\"ms\":120},\
             {\"from\":\"port\",\"to\":\"noudp\",\"connected\":false,\"direct\":false,\"ms\":null}],\
             \"connected\":1,\"total\":2,\"direct\":1,\"direct_possible\":1}"
        );
        assert!(
            table(&cells)
                .ends_with("connected 1, total 2, direct 1, direct possible 1 (* not direct)\n")
        );
    }
}
