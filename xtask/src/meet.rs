//! `cargo xtask meet`: the bars of meeting, on real hosts of this machine.
//!
//! Everything runs in a network namespace of its own, where that can be had (Linux, `unshare` and `ip`; no privileges, if the
//! system lets its users make namespaces). It has both families, and routes into a hole, at whose addresses nobody answers.
//! Without it the same tests run on loopback, with sockets that do not answer in the place of those addresses. The
//! distance of 40 ms is made by the tests themselves, which carry every packet and byte later.
//!
//! Each row is one test of `native/tests/cli`, repeated. Tests print their times; the table says which rows hold.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::shell::{self, say};
use crate::test::Steps;

/// Addresses at which nobody answers. Source: RFC 5737 and RFC 3849, nobody's.
const UNREACHABLE: &str = "198.51.100.7,2001:db8:dead::7";
/// The network of a program in the namespace: an interface with addresses of both families, and
/// nobody at its other end. The two unreachable hosts have a link-layer address, so that packets to
/// them vanish, and no error comes back.
const NAMESPACE: &str = "\
ip link set lo up
ip link add here type veth peer name there
ip link set there up
ip addr add 192.0.2.1/24 dev here
ip addr add 2001:db8:1::1/64 dev here nodad
ip link set here up
ip route add 198.51.100.7/32 dev here
ip neigh add 198.51.100.7 lladdr 02:00:00:00:00:07 dev here nud permanent
ip -6 route add 2001:db8:dead::7/128 dev here
ip -6 neigh add 2001:db8:dead::7 lladdr 02:00:00:00:00:07 dev here nud permanent
exec \"$@\"";
/// Loops that take the processors while a row runs.
const BUSY: usize = 2;

/// One row.
struct Bar {
    name: &'static str,
    test: &'static str,
    /// The rounds within one run of the test.
    rounds: u32,
    /// How often the test is run.
    runs: u32,
    /// Longest time of a join or of meeting again, if there is a bar.
    bound: Option<Duration>,
    busy: bool,
}

const DEAD: &str = "dead::link_full_of_dead_places_leads_to_the_one_that_lives";
const COMMANDS: &str = "meeting::readme_flow_through_a_node_40_ms_away";
const RUST: &str = "meeting::rust_flow_through_a_node_40_ms_away";
const FOUR: &str = "meeting::every_group_of_one_inviter_is_joined";
const BACK: &str = "meeting::inviter_that_comes_back_during_a_join_is_found";
const GOES: &str = "together::newcomer_that_goes_at_once_is_known_to_who_let_it_in";

fn bars() -> Vec<Bar> {
    let three = Some(Duration::from_secs(3));
    let five = Some(Duration::from_secs(5));
    let bar = |name, test| Bar { name, test, rounds: 1, runs: 1, bound: None, busy: false };
    vec![
        Bar { rounds: 100, bound: three, ..bar("dead places first", DEAD) },
        Bar { rounds: 20, bound: three, busy: true, ..bar("dead places first, busy", DEAD) },
        Bar { rounds: 20, bound: five, ..bar("README commands, 40 ms", COMMANDS) },
        Bar { rounds: 20, bound: five, ..bar("README Rust, 40 ms", RUST) },
        Bar { bound: three, ..bar("four groups, one inviter", FOUR) },
        Bar { bound: five, ..bar("inviter comes back", BACK) },
        Bar { runs: 50, ..bar("newcomer goes at once", GOES) },
        Bar { runs: 50, busy: true, ..bar("goes at once, busy", GOES) },
    ]
}

/// Runs the rows; `few` a tenth of the repetitions.
pub(crate) fn run(few: bool) -> Result<ExitCode> {
    let mut steps = Steps::default();
    let program = steps.run("build", test_program);
    let namespace = has_namespace();
    if !namespace {
        say("no network namespace can be made here: on loopback instead");
    }
    for bar in bars() {
        steps.run_with(bar.name, program.as_ref(), |program| bar.run(program, namespace, few));
    }
    steps.print_table();
    Ok(if steps.all_passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Bar {
    fn run(&self, program: &Path, namespace: bool, few: bool) -> Result<()> {
        let times = |many: u32| if few { many.div_ceil(10) } else { many };
        let _busy = self.busy.then(Busy::start);
        for _ in 0..times(self.runs) {
            let mut command = if namespace { inside(program)? } else { shell::command(program) };
            command.current_dir(shell::root().join("native"));
            command.args(["--exact", self.test, "--nocapture"]);
            command.env("ROUNDS", times(self.rounds).to_string());
            if let Some(bound) = self.bound {
                command.env("BOUND_MS", bound.as_millis().to_string());
            }
            if namespace {
                command.env("UNREACHABLE", UNREACHABLE);
            }
            shell::run(&mut command)?;
        }
        Ok(())
    }
}

/// Builds the tests of the command line, and answers the program that runs them.
fn test_program() -> Result<PathBuf> {
    let mut cargo = shell::cargo();
    cargo.args(["test", "--locked", "-p", "peergraph", "--test", "cli", "--no-run"]);
    let said = shell::output(cargo.arg("--message-format=json"))?;
    executable(&said).context("cargo names no program of the tests")
}

/// The program of a test target among what cargo says that it built; the command that the tests run is built as well.
fn executable(said: &str) -> Option<PathBuf> {
    let line = said.lines().rfind(|line| line.contains("\"kind\":[\"test\"]"))?;
    let (_, path) = line.split_once("\"executable\":\"")?;
    Some(PathBuf::from(path.split('"').next()?.replace("\\\\", "\\")))
}

/// A program in a namespace of its own.
fn inside(program: &Path) -> Result<Command> {
    let script = shell::target()?.join("namespace.sh");
    fs::write(&script, NAMESPACE).with_context(|| format!("cannot write {}", script.display()))?;
    let mut command = shell::command("unshare");
    command.args(["--net", "--user", "--map-root-user", "sh", "-e"]).arg(script).arg(program);
    Ok(command)
}

fn has_namespace() -> bool {
    cfg!(target_os = "linux")
        && inside(Path::new("true")).is_ok_and(|mut command| shell::succeeds(&mut command))
}

/// Threads that do nothing, as fast as they can, until this is dropped.
struct Busy(Arc<AtomicBool>);

impl Busy {
    fn start() -> Self {
        let goes_on = Arc::new(AtomicBool::new(true));
        for _ in 0..BUSY {
            let goes_on = goes_on.clone();
            std::thread::spawn(move || {
                while goes_on.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        Self(goes_on)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_of_the_tests_is_told_from_the_command_that_they_run() {
        let artifact = |kind: &str, name: &str| {
            format!(
                "{{\"target\":{{\"kind\":[\"{kind}\"]}},\"executable\":\"/target/debug/{name}\"}}\n"
            )
        };
        let said = artifact("test", "deps/cli-1") + &artifact("bin", "peergraph");
        assert_eq!(executable(&said), Some(PathBuf::from("/target/debug/deps/cli-1")));
        assert_eq!(executable(&artifact("bin", "peergraph")), None);
    }
}
