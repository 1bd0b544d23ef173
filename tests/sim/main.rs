//! `cargo xtask sim SCENARIO --nodes N --seed S`: thousands of nodes in one process, repeatable.
//!
//! `cargo xtask sim campaign --seeds N`: many small worlds in which everything goes wrong.
use clap::Parser;
use clap::builder::PossibleValue;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser as _;
use peergraph_tests::campaign::Campaign;
use peergraph_tests::report::Report;
use peergraph_tests::scenario::{self, Knobs, Scenario, Setup};
use peergraph_tests::summary::{self, Summary};
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs real nodes in a simulated world. The same seed gives the same digest.
#[derive(Parser)]
#[command(name = "sim")]
struct Options {
    /// The scenario.
    #[arg(value_parser = scenarios())]
    scenario: &'static Scenario,
    /// How many nodes; several sizes, separated by commas, are run one after the other.
    #[arg(
        long,
        default_value = "100",
        value_delimiter = ',',
        value_parser = clap::value_parser!(u32).range(2..=100_000)
    )]
    nodes: Vec<u32>,
    /// The seed from which everything else is drawn.
    #[arg(long, env = "SEED", default_value_t = 1)]
    seed: u64,
    /// Runs of each size, from this seed on.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    seeds: u32,
    /// Records that are published: in each phase, or before the latecomer comes. Default: as fits the scenario.
    #[arg(long)]
    records: Option<usize>,
    #[command(flatten)]
    knobs: Knobs,
    /// Print one JSON object, for several sizes or seeds one for each size.
    #[arg(long)]
    json: bool,
    /// Say nothing while running.
    #[arg(long, short)]
    quiet: bool,
}

/// Reads the name of a scenario.
fn scenarios() -> impl clap::builder::TypedValueParser<Value = &'static Scenario> {
    let values = scenario::ALL.iter().map(|one| PossibleValue::new(one.name).help(one.about));
    PossibleValuesParser::new(values)
        .map(|name| scenario::named(&name).expect("only these names are possible"))
}

/// Runs many small worlds, each from a seed of its own, and keeps what failed.
#[derive(Parser)]
#[command(name = "sim campaign")]
struct CampaignOptions {
    /// The scenario of each world.
    #[arg(long, default_value = "churn", value_parser = scenarios())]
    scenario: &'static Scenario,
    /// How many worlds.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first seed.
    #[arg(long, env = "SEED", default_value_t = 0)]
    seed: u64,
    /// Nodes of a world at least.
    #[arg(long, default_value_t = 3)]
    nodes_min: usize,
    /// Nodes of a world at most.
    #[arg(long, default_value_t = 9)]
    nodes_max: usize,
    #[command(flatten)]
    knobs: Knobs,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

fn campaign(options: CampaignOptions) -> ExitCode {
    let campaign = Campaign {
        scenario: options.scenario,
        seed: options.seed,
        seeds: options.seeds,
        nodes: (options.nodes_min.max(2), options.nodes_max.max(options.nodes_min.max(2))),
        knobs: options.knobs,
    };
    let outcome = campaign.run(|seed, failure| {
        if let Some(failure) = failure {
            eprintln!("seed {seed} FAILED; repeat with: {}", failure.repeat);
        }
    });
    if options.json {
        println!("{}", serde_json::to_string(&outcome).expect("an outcome is plain data"));
    } else {
        for failure in &outcome.failures {
            println!("seed {}: {}\n  {}", failure.seed, failure.why, failure.repeat);
        }
        println!(
            "{} worlds, {} failed; {} events, {} lies caught, {:.1} CPU s",
            outcome.seeds,
            outcome.failures.len(),
            outcome.events,
            outcome.caught,
            outcome.cpu_ms as f64 / 1e3
        );
    }
    if outcome.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn main() -> ExitCode {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    if args.get(1).is_some_and(|arg| arg == "campaign") {
        args.remove(1);
        return campaign(CampaignOptions::parse_from(args));
    }
    let options = Options::parse_from(args);
    let single = options.nodes.len() == 1 && options.seeds == 1;
    let mut good = true;
    let mut summaries = Vec::new();
    for &nodes in &options.nodes {
        let mut reports = Vec::new();
        for seed in (options.seed..).take(options.seeds as usize) {
            let mut setup = Setup::new(options.scenario, nodes as usize, seed, options.records);
            setup.knobs = options.knobs.clone();
            setup.progress = single && !options.quiet;
            let report = scenario::run(&setup);
            good &= is_good(&setup, &report);
            if single {
                print_one(&report, options.json);
            } else if !options.quiet {
                eprintln!(
                    "{nodes} nodes, seed {seed}: {} ms of CPU; {:?}",
                    report.cpu_ms, report.measures
                );
            }
            reports.push(report);
        }
        summaries.push(Summary::of(&reports));
        if options.json && !single {
            let summary = summaries.last().expect("one was just added");
            println!("{}", serde_json::to_string(summary).expect("a summary is plain data"));
        }
    }
    if !single && !options.json {
        println!("{}: {}", options.scenario.name, options.scenario.about);
        println!("{}", summary::table(&summaries));
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print_one(report: &Report, json: bool) {
    if json {
        println!("{}", serde_json::to_string(report).expect("a report is plain data"));
    } else {
        println!("{report}");
    }
}

/// Says what must not be in a report, with the command that repeats it.
fn is_good(setup: &Setup, report: &Report) -> bool {
    if report.missed > 0 {
        eprintln!("{} records were missed; repeat with: {}", report.missed, setup.command());
    }
    // Nobody lies in these scenarios: every host that lost a link for a fault was honest.
    if report.misbehaved > 0 {
        eprintln!("{} honest links were lost; repeat with: {}", report.misbehaved, setup.command());
    }
    report.missed == 0 && report.misbehaved == 0
}
