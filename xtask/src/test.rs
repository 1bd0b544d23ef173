//! `cargo xtask test`: every check of the project, from the quick ones to the slow ones.
//!
//! A failed step does not stop the others; what it was needed for counts as failed too. A table at
//! the end says it all, and the exit code is 1 when anything failed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use crate::browser::{self, Browser};
use crate::shell::{self, say};
use crate::toolchain::{self, TARGET, Toolchain};
use crate::wasm::{self, Profile};
use crate::{demo, documents, habits, imports, layers};

/// The packages that are built for this machine; the other one, peergraph-web, is for browsers.
const NATIVE: [&str; 3] = ["--workspace", "--exclude", "peergraph-web"];

/// The libraries with fewer features than the workspace has them with.
const FEATURES: [&[&str]; 3] = [
    &["-p", "peergraph-core", "--no-default-features"],
    &["-p", "peergraph", "--no-default-features"],
    &["-p", "peergraph", "--no-default-features", "--features", "serve"],
];

/// Runs the checks; `fast` leaves out what needs a browser or npm.
pub(crate) fn run(fast: bool) -> Result<ExitCode> {
    let mut steps = Steps::default();
    steps.run("formatting", formatting);
    steps.run("spelling", habits::spelling);
    steps.run("dependencies", habits::dependencies);
    steps.run("documents", documents::check);
    steps.run("layers", layers::check);
    steps.run("lints", native_lints);
    steps.run("programs of the tests", browser::need_test_programs);
    steps.run("tests", || {
        shell::run(shell::cargo().args(["test", "--locked", "--no-fail-fast"]).args(NATIVE))
    });
    steps.run("simulation", simulation);
    let found = steps.run("wasm toolchain", Toolchain::find);
    let toolchain = found.as_ref();
    steps.run_with("lints for wasm", toolchain, wasm_lints);
    steps.run_with("core imports nothing", toolchain, imports::check_core);
    steps.run_with("documentation", toolchain, documentation);
    if !fast {
        browser_steps(&mut steps, toolchain);
    }
    steps.print_table();
    Ok(if steps.all_passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn browser_steps(steps: &mut Steps, toolchain: Option<&Toolchain>) {
    let package = steps.run("npm package", || wasm::package(Profile::Web));
    steps.run("wasm of the page graph", wasm::graph);
    let verify = steps.run("wasm of the verify test", wasm::verify);
    let browser = steps.run("browser", Browser::find);
    let both = toolchain.zip(browser.as_ref());
    steps.run_with("wasm tests in Chromium", both, |(toolchain, browser)| {
        wasm_tests(toolchain, browser)
    });
    let both = package.as_ref().zip(browser.as_ref());
    steps.run_with("browser tests", both.zip(verify), |((package, browser), verify)| {
        browser_tests(package, &verify, browser)
    });
    steps.run_with("packed npm package", both, |(package, browser)| {
        packed_package(package, browser)
    });
}

fn formatting() -> Result<()> {
    toolchain::need("fmt", "rustfmt")?;
    shell::run(shell::cargo().args(["fmt", "--all", "--check"]))
}

fn native_lints() -> Result<()> {
    toolchain::need("clippy", "clippy")?;
    let clippy = |what: &[&str]| {
        let lints = ["--", "-D", "warnings"];
        shell::run(shell::cargo().args(["clippy", "--locked"]).args(what).args(lints))
    };
    clippy(&[&["--all-targets"], &NATIVE[..]].concat())?;
    FEATURES.iter().try_for_each(|features| clippy(features))
}

/// A flood through a thousand nodes, twice: nobody may miss a record (the simulator itself fails
/// then), and the same seed must give the same log of events.
fn simulation() -> Result<()> {
    let flood = || {
        let mut cargo = shell::tests_program("sim");
        shell::output(cargo.args(["flood", "--nodes", "1000", "--seed", "7", "--json", "--quiet"]))
    };
    let (first, again) = (flood()?, flood()?);
    println!("{first}");
    let digest = digest(&first).with_context(|| format!("a report without digest: {first}"))?;
    ensure!(again.contains(digest), "the same seed gave two digests:\n{first}\n{again}");
    Ok(())
}

/// `"digest":"…"` in a report of the simulator.
fn digest(report: &str) -> Option<&str> {
    let from = &report[report.find("\"digest\":\"")?..];
    let end = from.match_indices('"').nth(3)?.0;
    Some(&from[..=end])
}

/// Lints of the browser host; the compiler's own if the toolchain has no clippy.
fn wasm_lints(toolchain: &Toolchain) -> Result<()> {
    let web = ["--locked", "-p", "peergraph-web", "--target", TARGET];
    let deny = ["--", "-D", "warnings"];
    let mut cargo = toolchain.cargo()?;
    if toolchain.has_clippy()? {
        cargo.args(["clippy", "--all-targets"]).args(web).args(deny);
    } else {
        say("no clippy for this toolchain: warnings of the compiler only");
        cargo.args(["rustc", "--lib"]).args(web).args(deny);
    }
    shell::run(&mut cargo)
}

fn documentation(toolchain: &Toolchain) -> Result<()> {
    let doc = |mut cargo: Command, packages: &[&str]| {
        cargo.env("RUSTDOCFLAGS", "-D warnings");
        shell::run(cargo.args(["doc", "--locked", "--no-deps"]).args(packages))
    };
    doc(shell::cargo(), &NATIVE)?;
    doc(toolchain.cargo()?, &["-p", "peergraph-web", "--target", TARGET])
}

/// The tests of the browser host, each inside a page. `web/webdriver.json` says how the browser is
/// started.
fn wasm_tests(toolchain: &Toolchain, browser: &Browser) -> Result<()> {
    let runner = wasm::test_runner()?;
    shell::run(
        toolchain
            .cargo()?
            .args(["test", "--locked", "-p", "peergraph-web", "--target", TARGET])
            .args(["--lib", "--tests"])
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", runner)
            .env("CHROMEDRIVER", &browser.driver),
    )
}

/// People in browser tabs and a native program, driven by Playwright.
fn browser_tests(package: &Path, verify: &Path, browser: &Browser) -> Result<()> {
    let folder = &shell::root().join("tests/web");
    browser::need_fortunes();
    say("building the native program that the tabs meet");
    let program = demo::native(false)?;
    shell::npm(folder, &["ci"])?;
    let mut node = node_tests(folder, browser);
    node.env("PEERGRAPH_BIN", program).env("PEERGRAPH_PACKAGE", package);
    shell::run(node.env("PEERGRAPH_VERIFY", verify))
}

/// The package as its users get it: packed, installed, and used in Node, in a plain page, and in one
/// that every bundler has built.
fn packed_package(package: &Path, browser: &Browser) -> Result<()> {
    let folder = shell::root().join("tests/packaging");
    let packed = pack(package)?;
    shell::npm(&folder, &["ci"])?;
    shell::npm(&folder, &["install", "--no-save", &packed.to_string_lossy()])?;
    shell::run(&mut node_tests(&folder, browser))
}

/// Packs the package as `npm publish` would and returns the path of the file.
fn pack(package: &Path) -> Result<PathBuf> {
    let to = shell::target()?.join("npm");
    fs::create_dir_all(&to)?;
    let mut npm = shell::command("npm");
    npm.args(["pack", "--loglevel", "error", "--pack-destination"]).arg(&to).current_dir(package);
    let said = shell::output(&mut npm)?;
    let name = said.lines().last().context("npm pack names no file")?;
    Ok(to.join(name))
}

fn node_tests(folder: &Path, browser: &Browser) -> Command {
    let mut node = shell::command("node");
    node.args(["--test", "--test-concurrency", "1", "--test-reporter", "spec"]).current_dir(folder);
    node.env("CHROMIUM", &browser.chromium);
    node
}

/// The steps that have been run so far.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<Step>,
}

struct Step {
    name: &'static str,
    outcome: Outcome,
    took: Duration,
}

enum Outcome {
    Passed,
    Failed(anyhow::Error),
}

impl Steps {
    /// Runs a step. Returns its result if it passed.
    pub(crate) fn run<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<T>,
    ) -> Option<T> {
        say(format!("-- {name}"));
        let start = Instant::now();
        let result = work();
        let took = start.elapsed();
        let (outcome, value) = match result {
            Ok(value) => (Outcome::Passed, Some(value)),
            Err(error) => {
                say(format!("-- {name} FAILED: {error:#}"));
                (Outcome::Failed(error), None)
            }
        };
        self.done.push(Step { name, outcome, took });
        value
    }

    /// Runs a step with what earlier steps made; without it, the step has failed.
    pub(crate) fn run_with<I, T>(
        &mut self,
        name: &'static str,
        input: Option<I>,
        work: impl FnOnce(I) -> Result<T>,
    ) -> Option<T> {
        self.run(name, || work(input.ok_or_else(|| anyhow!("a step that it needs has failed"))?))
    }

    pub(crate) fn all_passed(&self) -> bool {
        !self.done.iter().any(|step| matches!(step.outcome, Outcome::Failed(_)))
    }

    pub(crate) fn print_table(&self) {
        println!("\n{:<26} {:<8} {:>8}", "step", "result", "seconds");
        for Step { name, outcome, took } in &self.done {
            let (result, why) = match outcome {
                Outcome::Passed => ("ok", String::new()),
                Outcome::Failed(error) => ("FAILED", format!("  {error:#}")),
            };
            println!("{name:<26} {result:<8} {:>8.1}{why}", took.as_secs_f64());
        }
        let failed =
            self.done.iter().filter(|step| matches!(step.outcome, Outcome::Failed(_))).count();
        println!("{} steps, {failed} failed", self.done.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_without_what_it_needs_has_failed() {
        let mut steps = Steps::default();
        let made = steps.run("makes", || Ok(7));
        assert_eq!(steps.run_with("uses", made, |seven| Ok(seven + 1)), Some(8));
        assert!(steps.all_passed());
        let missing: Option<u8> = steps.run("breaks", || Err(anyhow!("no")));
        steps.run_with("needs", missing, |_| Ok(()));
        assert!(!steps.all_passed());
        assert_eq!(steps.done.len(), 4);
        assert!(matches!(steps.done[3].outcome, Outcome::Failed(_)));
    }

    #[test]
    fn digest_of_a_report_is_found() {
        let report = r#"{"seed":7,"digest":"c0ffee","missed":0}"#;
        assert_eq!(digest(report), Some("\"digest\":\"c0ffee\""));
        assert_eq!(digest("{}"), None);
    }
}
