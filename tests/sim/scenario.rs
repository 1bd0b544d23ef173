//! Large runs with a report: what the `sim` binary does.
//!
//! A scenario is a file here that offers one [`Scenario`], and a line in [`ALL`].
mod churn;
mod crash;
pub mod crowd;
mod flood;
mod glutton;
mod join;
mod latecomer;
mod manysenders;
mod partition;
mod revoke;
mod seed_example;
mod slow;
mod sync;
mod tabs;

use crate::report::Report;
use peergraph_core::node::Neighbours;
use std::fmt;

/// A kind of run.
#[derive(Debug)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// A sentence about it.
    pub about: &'static str,
    /// The number of records if `--records` does not say.
    records: usize,
    run: fn(&Setup) -> Report,
}

/// All of them, in the order of their names.
pub const ALL: &[Scenario] = &[
    churn::SCENARIO,
    crash::SCENARIO,
    flood::SCENARIO,
    glutton::SCENARIO,
    join::SCENARIO,
    latecomer::SCENARIO,
    manysenders::SCENARIO,
    partition::SCENARIO,
    revoke::SCENARIO,
    seed_example::SCENARIO,
    slow::SCENARIO,
    sync::SCENARIO,
    tabs::SCENARIO,
];

/// The scenario of this name.
pub fn named(name: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|scenario| scenario.name == name)
}

/// The choices from which a run is drawn.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The scenario.
    pub scenario: &'static Scenario,
    /// Nodes.
    pub nodes: usize,
    /// Decides everything else.
    pub seed: u64,
    /// Records: of each phase, or that a latecomer catches up with.
    pub records: usize,
    /// The other choices.
    pub knobs: Knobs,
    /// Whether progress is told on standard error.
    pub progress: bool,
}

/// The choices besides scenario, size and seed. Each scenario uses those that concern it.
#[derive(Clone, Debug, PartialEq, clap::Args)]
pub struct Knobs {
    /// Nodes that publish at once in the last phase of a flood: all, up to this number of them. Each record costs
    /// work at every node.
    #[arg(long, default_value_t = 50)]
    pub senders: usize,
    /// Share of nodes that nobody can dial, 0 to 1.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub browsers: f64,
    /// Share of nodes that something happens to, 0 to 1: in a crash, those that die.
    #[arg(long, default_value_t = 0.5, value_parser = share)]
    pub fraction: f64,
    /// How often something happens, per second and hundred nodes. Default: drawn by chance.
    #[arg(long)]
    pub rate: Option<f64>,
    /// Into how many parts the network is cut.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..))]
    pub parts: u8,
    /// How long it stays cut. Virtual seconds.
    #[arg(long, default_value_t = 180)]
    pub cut: u64,
    /// Records in which two stores differ.
    #[arg(long, default_value_t = 100)]
    pub difference: usize,
    /// Where those are.
    #[arg(long, value_enum, default_value_t = Spread::Scattered)]
    pub spread: Spread,
    /// Neighbours that a node wants: minimum, ideal and maximum. Default: as applications get them.
    #[arg(long, value_name = "MIN,IDEAL,MAX")]
    pub neighbours: Option<Neighbours>,
    /// The cryptography of the nodes.
    #[arg(long, value_enum, default_value_t = Crypto::Memo)]
    pub crypto: Crypto,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            senders: 50,
            browsers: 0.0,
            fraction: 0.5,
            rate: None,
            parts: 2,
            cut: 180,
            difference: 100,
            spread: Spread::Scattered,
            neighbours: None,
            crypto: Crypto::Memo,
        }
    }
}

/// Where the records are in which two stores differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Spread {
    /// Anywhere in the order of modification.
    Scattered,
    /// At its end.
    Recent,
}

/// The cryptography of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Crypto {
    /// Each node does all of its own.
    Full,
    /// The same, but a signature is verified, a certificate read, and a key agreed on once for all nodes,
    /// which share one copy of each record.
    #[default]
    Memo,
    /// Signatures are made and never verified, handshakes agree on what everybody could know: for crowds in which nobody
    /// lies.
    None,
}

impl Crypto {
    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Memo => "memo",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scattered => "scattered",
            Self::Recent => "recent",
        })
    }
}

/// Reads a share.
fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a share is a number from 0 to 1".to_owned()),
    }
}

impl Setup {
    /// A run as the command line would set it up: `records` or as many as fit the scenario.
    pub fn new(
        scenario: &'static Scenario,
        nodes: usize,
        seed: u64,
        records: Option<usize>,
    ) -> Self {
        let records = records.unwrap_or(scenario.records);
        Self { scenario, nodes, seed, records, knobs: Knobs::default(), progress: false }
    }

    /// The command that repeats the run.
    pub fn command(&self) -> String {
        let mut command = format!(
            "cargo xtask sim {} --nodes {} --seed {} --records {}",
            self.scenario.name, self.nodes, self.seed, self.records
        );
        let Knobs {
            senders,
            browsers,
            fraction,
            rate,
            parts,
            cut,
            difference,
            spread,
            neighbours,
            crypto,
        } = &self.knobs;
        let usual = Knobs::default();
        let mut add = |differs: bool, option: &str, value: &dyn fmt::Display| {
            if differs {
                command += &format!(" --{option} {value}");
            }
        };
        add(*senders != usual.senders, "senders", senders);
        add(*browsers != usual.browsers, "browsers", browsers);
        add(*fraction != usual.fraction, "fraction", fraction);
        add(rate.is_some(), "rate", &rate.unwrap_or_default());
        add(*parts != usual.parts, "parts", parts);
        add(*cut != usual.cut, "cut", cut);
        add(*difference != usual.difference, "difference", difference);
        add(*spread != usual.spread, "spread", spread);
        if let Some(neighbours) = neighbours {
            add(true, "neighbours", neighbours);
        }
        add(*crypto != usual.crypto, "crypto", &crypto.name());
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
    (setup.scenario.run)(setup)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_are_found_by_name_and_stand_in_order() {
        assert!(ALL.is_sorted_by_key(|scenario| scenario.name));
        for scenario in ALL {
            assert!(named(scenario.name).is_some_and(|found| found.about == scenario.about));
        }
        assert!(named("nothing").is_none());
    }

    #[test]
    fn the_command_names_what_is_unusual() {
        let mut setup = Setup::new(&flood::SCENARIO, 30, 7, None);
        assert_eq!(setup.command(), "cargo xtask sim flood --nodes 30 --seed 7 --records 20");
        setup.knobs.rate = Some(1.5);
        setup.knobs.crypto = Crypto::Full;
        assert!(setup.command().ends_with(" --rate 1.5 --crypto full"), "{}", setup.command());
    }
}
