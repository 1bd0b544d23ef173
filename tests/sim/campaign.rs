//! A campaign: many small worlds, each from a seed of its own, in which everything that can go wrong does.
//!
//! A world that fails does not end the campaign: its message and the command that repeats it are kept.
use crate::chance::Chance;
use crate::report::{CpuClock, Report};
use crate::scenario::{self, Knobs, Scenario, Setup};
use serde::Serialize;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The parts of a campaign.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The scenario of each world.
    pub scenario: &'static Scenario,
    /// The first seed.
    pub seed: u64,
    /// How many worlds.
    pub seeds: u64,
    /// Nodes of a world, from–to.
    pub nodes: (usize, usize),
    /// The other choices.
    pub knobs: Knobs,
}

/// The outcome of a campaign.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Outcome {
    /// Worlds.
    pub seeds: u64,
    /// Inputs handled in those that came to their end.
    pub events: u64,
    /// CPU time of all.
    pub cpu_ms: u64,
    /// Links that were closed because somebody lied.
    pub caught: u64,
    /// Those that did not hold.
    pub failures: Vec<Failure>,
}

/// A world that did not hold.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// The fault.
    pub why: String,
    /// How to see it again.
    pub repeat: String,
}

impl Campaign {
    /// The world of one seed: its size is drawn from it too.
    pub fn setup(&self, seed: u64) -> Setup {
        let (from, to) = (self.nodes.0 as u64, self.nodes.1 as u64);
        // Not the stream of the world itself.
        let nodes = Chance::new(!seed).within(from..to + 1) as usize;
        let records = Chance::new(!seed).within(5..60) as usize;
        let mut setup = Setup::new(self.scenario, nodes, seed, Some(records));
        setup.knobs = self.knobs.clone();
        setup
    }

    /// Runs all worlds; `told` hears of each how it ended.
    pub fn run(&self, mut told: impl FnMut(u64, Option<&Failure>)) -> Outcome {
        let clock = CpuClock::start();
        let mut outcome = Outcome { seeds: self.seeds, ..Outcome::default() };
        for seed in self.seed..self.seed + self.seeds {
            let setup = self.setup(seed);
            let ran = catch_unwind(AssertUnwindSafe(|| scenario::run(&setup)));
            let why = match &ran {
                Ok(report) => {
                    outcome.events += report.events;
                    outcome.caught += report.caught;
                    wrong(report)
                }
                Err(panic) => Some(
                    panic
                        .downcast_ref::<String>()
                        .cloned()
                        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                        .unwrap_or_else(|| "it panicked".to_owned()),
                ),
            };
            let failure = why.map(|why| Failure { seed, why, repeat: setup.command() });
            told(seed, failure.as_ref());
            outcome.failures.extend(failure);
        }
        outcome.cpu_ms = clock.millis() as u64;
        outcome
    }
}

/// The fault that a report shows, if any.
fn wrong(report: &Report) -> Option<String> {
    match (report.missed, report.misbehaved) {
        (0, 0) => None,
        (0, links) => Some(format!("{links} links between honest nodes were closed for a fault")),
        (records, _) => Some(format!("{records} records were missed")),
    }
}
