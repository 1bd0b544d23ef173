//! Build automation: everything that takes more than one cargo call.
//!
//! | file | what |
//! |---|---|
//! | `shell.rs` | where things are, running programs, saying what is done |
//! | `toolchain.rs` | a Rust toolchain with the wasm32 target |
//! | `wasm.rs` | `cargo xtask wasm`: the npm package in `web/pkg` |
//! | `imports.rs` | what a wasm module imports |
//! | `browser.rs` | Chromium and its driver |
//! | `demo.rs` | `cargo xtask demo`: a node on loopback with the demo pages |
//! | `meet.rs` | `cargo xtask meet`: people meet on real hosts, as often and as quickly as promised |
//! | `reach.rs` | `cargo xtask reach`: which members connect, behind routers of every kind |
//! | `pages.rs` | `cargo xtask bench pages`: two browsers with each system in turn |
//! | `habits.rs` | spelling, and what the dependencies are: steps of `cargo xtask test` |
//! | `documents.rs` | links between documents, and the length of the README: a step of `cargo xtask test` |
//! | `layers.rs` | `cargo xtask layers`: which parts may use which, and how comments begin |
//! | `shape.rs` | `cargo xtask shape`: lengths of functions and files, and fields that others use |
//! | `compare.rs` | `cargo xtask compare`: simulated worlds with the code of a revision and with this |
//! | `fixtures.rs` | `cargo xtask fixtures`: writes `tests/fixtures` and the seeds of the fuzz corpus anew |
//! | `test.rs` | `cargo xtask test`: every check, with a table at the end |

mod browser;
mod compare;
mod demo;
mod documents;
mod fixtures;
mod habits;
mod imports;
mod layers;
mod meet;
mod pages;
mod reach;
mod shape;
mod shell;
mod test;
mod toolchain;
mod wasm;

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::ValueExt;
use lexopt::prelude::{Long, Short, Value};

use crate::wasm::Profile;

const USAGE: &str = "\
Build automation of Peergraph

Usage: cargo xtask TASK [OPTION…]

  demo                    start a node on loopback that serves the demo pages
      --port N            TCP port on 127.0.0.1 [8080]
      --data DIR          folder of the node's identity and records [demo, in the target folder]
      --release           build the native program with optimisations

  test                    run every check of the project; exit code 1 when one of them failed
      --fast              leave out what needs a browser or npm

  meet                    the bars of meeting, on real hosts in a network of their own: dead addresses, a far node,
                          restarts, busy processors; exit code 1 when one of them is missed
      --few               a tenth of the repetitions

  reach                   which two members connect, each behind a router of its kind, in network namespaces (Linux)
      --cells A:B,…       these pairs of kinds, instead of all: public, full, addr, port, symmetric, cgnat, v6only, noudp,
                          only443
      --moves M,…         the network of the first one changes while both publish: switch, address, down, flush, or all;
                          prints how long nothing came, and what was lost or came twice
      --trials N          changes of each kind [10]
      --json              one object with the cells and the sums, instead of a table
      --jobs N            cells at a time; times are of use with one only [1]
      --logs DIR          keep what the programs log
      --program FILE      run this `peergraph` instead of building it
      --release           build it with optimisations

  wasm                    build the npm package into web/pkg, and the module of examples/graph
      --profile web|dev   of the package: small and optimised, or quick to build and with function names [web]

  layers                  the step of that name alone: which parts use which, and how comments begin

  shape [REVISION]        figures of the layout: lengths of functions and files, and fields that other files use; beside
                          those of a revision

  compare REVISION        run simulated worlds with the code of a revision and with the code that is here, side by side

  fixtures                write what this version writes into tests/fixtures, which later versions have to read

  sim SCENARIO [OPTION…]  run a scenario in the simulator:
                          cargo xtask sim flood --nodes 1000 --seed 7 --json
  bench NAME [OPTION…]    run the core beside a rival (gossip, search, sync), pages beside rivals (pages), or a benchmark of its own:
                          cargo xtask bench gossip --nodes 1000 --seed 7 --json
                          cargo xtask bench pages --rounds 15
";

/// A task of the user.
#[derive(Debug, PartialEq)]
enum Task {
    Demo {
        port: u16,
        data: Option<PathBuf>,
        release: bool,
    },
    Test {
        fast: bool,
    },
    Meet {
        few: bool,
    },
    Reach(reach::Options),
    /// One cell, within its namespaces.
    ReachInside(Vec<String>),
    Wasm {
        profile: Profile,
    },
    Layers,
    Shape {
        before: Option<String>,
    },
    Compare {
        revision: String,
    },
    Fixtures,
    /// The core beside its rivals, with arguments.
    Rivals(Vec<OsString>),
    /// Pages beside their rivals, with arguments.
    Pages(Vec<OsString>),
    /// A program of the tests package, with its arguments.
    Forward {
        program: &'static str,
        args: Vec<OsString>,
    },
    Help,
}

fn main() -> ExitCode {
    let task = match Task::parse(env::args_os().skip(1)) {
        Ok(task) => task,
        Err(error) => {
            eprintln!("error: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let done = match task {
        Task::Demo { port, data, release } => demo::run(port, data, release),
        Task::Test { fast } => test::run(fast),
        Task::Meet { few } => meet::run(few),
        Task::Reach(options) => reach::run(options),
        Task::ReachInside(arguments) => reach::run_inside(&arguments),
        Task::Wasm { profile } => {
            wasm::package(profile).and_then(|_| wasm::graph()).map(|()| ExitCode::SUCCESS)
        }
        Task::Layers => layers::check().map(|()| ExitCode::SUCCESS),
        Task::Shape { before } => shape::print(before.as_deref()).map(|()| ExitCode::SUCCESS),
        Task::Compare { revision } => compare::print(&revision).map(|()| ExitCode::SUCCESS),
        Task::Fixtures => fixtures::write().map(|()| ExitCode::SUCCESS),
        Task::Forward { program, args } => {
            let mut command = shell::tests_program(program);
            command.args(args);
            shell::become_program(command)
        }
        Task::Rivals(args) => {
            let program = shell::rivals_program();
            program.and_then(|mut command| {
                command.args(args);
                shell::become_program(command)
            })
        }
        Task::Pages(args) => pages::run(args),
        Task::Help => {
            print!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

impl Task {
    fn parse(args: impl Iterator<Item = OsString>) -> Result<Task, lexopt::Error> {
        let mut args = lexopt::Parser::from_args(args);
        let mut task = match args.next()? {
            Some(Value(name)) => match name.to_str() {
                Some("demo") => Task::Demo { port: 8080, data: None, release: false },
                Some("test") => Task::Test { fast: false },
                Some("meet") => Task::Meet { few: false },
                Some("reach") => return Task::reach(args),
                Some("wasm") => Task::Wasm { profile: Profile::Web },
                Some("layers") => Task::Layers,
                Some("shape") => Task::Shape { before: None },
                Some("compare") => return Task::compare(args),
                Some("fixtures") => Task::Fixtures,
                Some("sim") => return Task::forward("sim", args),
                Some("bench") => return Task::bench(args),
                Some("help") => return Ok(Task::Help),
                _ => return Err(format!("there is no task {name:?}").into()),
            },
            Some(Short('h') | Long("help")) => return Ok(Task::Help),
            Some(other) => return Err(other.unexpected()),
            None => return Err("which task?".into()),
        };
        while let Some(option) = args.next()? {
            match (&mut task, option) {
                (_, Short('h') | Long("help")) => return Ok(Task::Help),
                (Task::Demo { port, .. }, Long("port")) => *port = args.value()?.parse()?,
                (Task::Demo { data, .. }, Long("data")) => *data = Some(args.value()?.into()),
                (Task::Demo { release, .. }, Long("release")) => *release = true,
                (Task::Test { fast }, Long("fast")) => *fast = true,
                (Task::Meet { few }, Long("few")) => *few = true,
                (Task::Shape { before }, Value(revision)) if before.is_none() => {
                    *before = Some(revision.string()?);
                }
                (Task::Wasm { profile }, Long("profile")) => {
                    *profile = args.value()?.parse_with(Profile::named)?;
                }
                (_, other) => return Err(other.unexpected()),
            }
        }
        Ok(task)
    }

    fn reach(mut args: lexopt::Parser) -> Result<Task, lexopt::Error> {
        let mut options = reach::Options::default();
        while let Some(option) = args.next()? {
            match option {
                Short('h') | Long("help") => return Ok(Task::Help),
                Long("cells") => {
                    options.cells = Some(args.value()?.parse_with(reach::parse_cells)?)
                }
                Long("moves") => {
                    options.moves = Some(args.value()?.parse_with(reach::parse_moves)?)
                }
                Long("trials") => options.trials = args.value()?.parse()?,
                Long("json") => options.json = true,
                Long("jobs") => options.jobs = args.value()?.parse()?,
                Long("logs") => options.logs = Some(args.value()?.into()),
                Long("program") => options.program = Some(args.value()?.into()),
                Long("release") => options.release = true,
                Long("inside") => {
                    let rest = args.raw_args()?.map(|it| it.to_string_lossy().into_owned());
                    return Ok(Task::ReachInside(rest.collect()));
                }
                other @ (Short(_) | Long(_) | Value(_)) => return Err(other.unexpected()),
            }
        }
        Ok(Task::Reach(options))
    }

    fn compare(mut args: lexopt::Parser) -> Result<Task, lexopt::Error> {
        let task = match args.next()? {
            Some(Value(revision)) => Task::Compare { revision: revision.string()? },
            Some(Short('h') | Long("help")) => return Ok(Task::Help),
            Some(other) => return Err(other.unexpected()),
            None => return Err("with which revision? For example: compare main".into()),
        };
        match args.next()? {
            Some(other) => Err(other.unexpected()),
            None => Ok(task),
        }
    }

    /// Benchmarks beside a rival have a name; others belong to the tests package.
    fn bench(mut args: lexopt::Parser) -> Result<Task, lexopt::Error> {
        let args: Vec<OsString> = args.raw_args()?.collect();
        Ok(match args.first().and_then(|name| name.to_str()) {
            Some("gossip" | "search" | "sync") => Task::Rivals(args),
            Some("pages") => Task::Pages(args[1..].to_vec()),
            _ => Task::Forward { program: "bench", args },
        })
    }

    fn forward(program: &'static str, mut args: lexopt::Parser) -> Result<Task, lexopt::Error> {
        Ok(Task::Forward { program, args: args.raw_args()?.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Task, String> {
        let args = line.split_whitespace().map(OsString::from);
        Task::parse(args).map_err(|error| error.to_string())
    }

    #[test]
    fn options_are_those_of_their_task() {
        assert_eq!(
            parse("demo --port=81 --data here --release"),
            Ok(Task::Demo { port: 81, data: Some("here".into()), release: true })
        );
        assert_eq!(parse("layers"), Ok(Task::Layers));
        assert_eq!(parse("shape main"), Ok(Task::Shape { before: Some("main".to_owned()) }));
        assert!(parse("shape main next").is_err());
        assert_eq!(parse("fixtures"), Ok(Task::Fixtures));
        assert_eq!(parse("test --fast"), Ok(Task::Test { fast: true }));
        assert_eq!(parse("meet --few"), Ok(Task::Meet { few: true }));
        assert_eq!(parse("wasm --profile dev"), Ok(Task::Wasm { profile: Profile::Dev }));
        let cells = Some(reach::parse_cells("port:full").expect("a cell"));
        assert_eq!(
            parse("reach --cells port:full --json"),
            Ok(Task::Reach(reach::Options { cells, json: true, ..reach::Options::default() }))
        );
        assert!(parse("reach --cells port:none").is_err_and(|error| error.contains("only443")));
        assert_eq!(parse("compare main"), Ok(Task::Compare { revision: "main".into() }));
        assert_eq!(parse("demo --help"), Ok(Task::Help));
        assert_eq!(parse("test --port 81"), Err("invalid option '--port'".into()));
    }

    #[test]
    fn arguments_of_the_simulator_are_passed_on_as_they_are() {
        let args = ["flood", "--nodes", "10", "--json", "--help"].map(OsString::from).to_vec();
        assert_eq!(
            parse("sim flood --nodes 10 --json --help"),
            Ok(Task::Forward { program: "sim", args })
        );
    }

    #[test]
    fn benchmarks_beside_rivals_have_names() {
        let args = ["gossip", "--json"].map(OsString::from).to_vec();
        assert_eq!(parse("bench gossip --json"), Ok(Task::Rivals(args)));
        let args = ["--rounds", "3"].map(OsString::from).to_vec();
        assert_eq!(parse("bench pages --rounds 3"), Ok(Task::Pages(args)));
        let args = vec![OsString::from("100")];
        assert_eq!(parse("bench 100"), Ok(Task::Forward { program: "bench", args }));
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(parse(""), Err("which task?".into()));
        assert_eq!(parse("demmo"), Err("there is no task \"demmo\"".into()));
        assert!(parse("demo --port 99999").is_err_and(|error| error.contains("99999")));
        assert!(parse("wasm --profile fast").is_err_and(|error| error.contains("web or dev")));
        assert!(parse("demo --release=yes").is_err());
        assert!(parse("test now").is_err());
        assert!(parse("compare").is_err_and(|error| error.contains("compare main")));
    }
}
