//! `cargo xtask sim SCENARIO --nodes N --seed S`: thousands of nodes in one process, repeatable.
use clap::Parser;
use peergraph_tests::scenario::{Scenario, Setup, run};
use std::process::ExitCode;

/// Runs real nodes in a simulated world. The same seed gives the same digest.
#[derive(Parser)]
#[command(name = "sim")]
struct Options {
    /// What happens.
    scenario: Scenario,
    /// How many nodes.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    nodes: u32,
    /// What everything else is drawn from.
    #[arg(long, env = "SEED", default_value_t = 1)]
    seed: u64,
    /// Records that are published: in each phase, or before the latecomer comes. Default: as fits the scenario.
    #[arg(long)]
    records: Option<u32>,
    /// Nodes that publish at once in the last phase of a flood: all, up to this number of them. Each record costs
    /// work at every node.
    #[arg(long, default_value_t = 50)]
    senders: u32,
    /// Share of nodes that nobody can dial, 0 to 1.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    browsers: f64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Let every node verify every signature itself.
    #[arg(long)]
    no_memo: bool,
    /// Say nothing while running.
    #[arg(long, short)]
    quiet: bool,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a share is a number from 0 to 1".to_owned()),
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let records = match (options.records, options.scenario) {
        (Some(records), _) => records as usize,
        (None, Scenario::Join) => 1_000,
        (None, Scenario::Flood) => 20,
        (None, Scenario::Manysenders) => 50,
        (None, Scenario::Churn | Scenario::Partition) => 100,
    };
    let setup = Setup {
        scenario: options.scenario,
        nodes: options.nodes as usize,
        seed: options.seed,
        records,
        senders: options.senders as usize,
        browsers: options.browsers,
        memo: !options.no_memo,
        progress: !options.quiet,
    };
    let report = run(&setup);
    if options.json {
        println!("{}", serde_json::to_string(&report).expect("a report is plain data"));
    } else {
        println!("{report}");
    }
    if report.missed > 0 {
        eprintln!("{} records were missed; repeat with: {}", report.missed, setup.command());
        return ExitCode::FAILURE;
    }
    // Nobody lies in these scenarios: whoever lost a link for a fault was honest.
    if report.misbehaved > 0 {
        eprintln!("{} honest links were lost; repeat with: {}", report.misbehaved, setup.command());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
