//! Large runs with a report: what the `sim` binary does.
mod churn;
pub mod crowd;
mod flood;
mod join;
mod manysenders;
mod partition;

use crate::report::Report;

/// Which run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Scenario {
    /// Nodes join in bursts; then one, random and all nodes publish.
    Flood,
    /// One, some and random nodes publish, each twice: while their trees form, and when they are there.
    Manysenders,
    /// A latecomer, and one who was away, catch up with `--records` records.
    Join,
    /// Nodes leave, crash and come back, links die, while records are published.
    Churn,
    /// The network splits and heals while both sides publish.
    Partition,
}

impl Scenario {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flood => "flood",
            Self::Manysenders => "manysenders",
            Self::Join => "join",
            Self::Churn => "churn",
            Self::Partition => "partition",
        }
    }
}

/// What a run is drawn from.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Which run.
    pub scenario: Scenario,
    /// Nodes.
    pub nodes: usize,
    /// Decides everything else.
    pub seed: u64,
    /// Records: of each phase, or that a latecomer catches up with.
    pub records: usize,
    /// Nodes that publish at once in the last phase of a flood, at most.
    pub senders: usize,
    /// Share of nodes that are browsers.
    pub browsers: f64,
    /// Whether nodes share one memo of verified signatures.
    pub memo: bool,
    /// Whether progress is told on standard error.
    pub progress: bool,
}

impl Setup {
    /// The command that repeats the run.
    pub fn command(&self) -> String {
        let mut command = format!(
            "cargo xtask sim {} --nodes {} --seed {} --records {} --senders {}",
            self.scenario.name(),
            self.nodes,
            self.seed,
            self.records,
            self.senders
        );
        if self.browsers > 0.0 {
            command += &format!(" --browsers {}", self.browsers);
        }
        if !self.memo {
            command += " --no-memo";
        }
        command
    }

    fn tell(&self, text: impl FnOnce() -> String) {
        if self.progress {
            eprintln!("{}", text());
        }
    }
}

/// Runs a scenario to its end.
///
/// # Panics
/// If something that must always hold does not: the command that repeats the run is printed then.
pub fn run(setup: &Setup) -> Report {
    crate::memo::forget();
    setup.tell(|| setup.command());
    match setup.scenario {
        Scenario::Flood => flood::run(setup),
        Scenario::Manysenders => manysenders::run(setup),
        Scenario::Join => join::run(setup),
        Scenario::Churn => churn::run(setup),
        Scenario::Partition => partition::run(setup),
    }
}
