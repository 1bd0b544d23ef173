//! Many runs of one scenario: what is usual, what is rare, and a table with one column for each size.
use crate::report::Report;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The runs of one size.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The scenario of the runs.
    pub scenario: String,
    /// Nodes.
    pub nodes: usize,
    /// How many runs, each from a seed of its own.
    pub seeds: usize,
    /// Every number of a report: of times `…_p50_ms`, `…_p99_ms` and `…_max_ms`, of all others the mean, and `…_max` where
    /// that is another.
    #[serde(flatten)]
    pub fields: BTreeMap<String, f64>,
}

/// Numbers of a report that are the same in all of its runs.
const GIVEN: [&str; 3] = ["nodes", "seed", "records"];

impl Summary {
    /// Of at least one report, all of one scenario and size.
    ///
    /// # Panics
    /// If there is none.
    pub fn of(reports: &[Report]) -> Self {
        let first = reports.first().expect("at least one run");
        let mut values = BTreeMap::<String, Vec<f64>>::new();
        for report in reports {
            let report = serde_json::to_value(report).expect("a report is plain data");
            for (name, value) in report.as_object().into_iter().flatten() {
                if let Some(value) = value.as_f64()
                    && !GIVEN.contains(&name.as_str())
                {
                    values.entry(name.clone()).or_default().push(value);
                }
            }
        }
        let mut fields = BTreeMap::new();
        for (name, mut of) in values {
            of.sort_unstable_by(f64::total_cmp);
            let max = of.last().copied().unwrap_or_default();
            if let Some(name) = name.strip_suffix("_ms") {
                fields.insert(format!("{name}_p50_ms"), percentile(&of, 0.50));
                fields.insert(format!("{name}_p99_ms"), percentile(&of, 0.99));
                fields.insert(format!("{name}_max_ms"), max);
            } else {
                let mean = of.iter().sum::<f64>() / of.len() as f64;
                if mean != max {
                    fields.insert(format!("{name}_max"), max);
                }
                fields.insert(name, (mean * 1e3).round() / 1e3);
            }
        }
        let (scenario, nodes) = (first.scenario.clone(), first.nodes);
        Self { scenario, nodes, seeds: reports.len(), fields }
    }
}

/// The lowest value that at least this share of `sorted` is not above.
pub(crate) fn percentile(sorted: &[f64], share: f64) -> f64 {
    let nth = (sorted.len() as f64 * share).ceil() as usize;
    sorted[nth.clamp(1, sorted.len()) - 1]
}

/// Fields down, sizes across.
pub fn table(summaries: &[Summary]) -> String {
    let names: BTreeSet<&String> =
        summaries.iter().flat_map(|summary| summary.fields.keys()).collect();
    let mut table = format!("{:<26}", "nodes");
    for summary in summaries {
        let _ = write!(table, " {:>16}", summary.nodes);
    }
    let _ = write!(table, "\n{:<26}", "seeds");
    for summary in summaries {
        let _ = write!(table, " {:>16}", summary.seeds);
    }
    for name in names {
        let _ = write!(table, "\n{name:<26}");
        for summary in summaries {
            match summary.fields.get(name) {
                Some(value) => _ = write!(table, " {value:>16}"),
                None => _ = write!(table, " {:>16}", "-"),
            }
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let sorted: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&sorted, 0.5), 50.0);
        assert_eq!(percentile(&sorted, 0.99), 99.0);
        assert_eq!(percentile(&sorted[..3], 0.99), 3.0);
        assert_eq!(percentile(&sorted[..1], 0.5), 1.0);
    }
}
