//! `peergraph search`.

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use peergraph::{Order, Query};
use serde_json::json;

use super::records::{Names, print};
use super::{Global, find_group, output, with_host};

#[derive(Args, Debug)]
pub(crate) struct SearchArguments {
    /// Id, beginning of the id, or name
    group: String,
    /// The query, in one argument: words, "phrases", hel*, type:NAME, author:NAME, created:>2026-11-01,
    /// ATTRIBUTE:VALUE, OR, -, parentheses; * for everything. Or a query in JSON
    #[arg(value_name = "TEXT", value_parser = query, allow_hyphen_values = true)]
    query: Query,
    /// At most so many; 0 for all
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// Which come first: those changed last, those changed first, or those that fit the words best
    #[arg(long, default_value = "newest")]
    order: OrderArgument,
    /// Print only how many there are
    #[arg(long)]
    count: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OrderArgument {
    Newest,
    Oldest,
    Best,
}

fn query(text: &str) -> Result<Query, String> {
    let read = if text.starts_with('{') { Query::from_json(text) } else { Query::parse(text) };
    read.map_err(|error| error.to_string())
}

pub(super) async fn search(global: &Global, arguments: SearchArguments) -> Result<()> {
    let order = match arguments.order {
        OrderArgument::Newest => Order::Newest,
        OrderArgument::Oldest => Order::Oldest,
        OrderArgument::Best => Order::Best,
    };
    with_host(global, async |host| {
        let group = find_group(host, &arguments.group).await?;
        let mut search = group.search(arguments.query).order(order);
        if arguments.count {
            let found = search.limit(1).count().await.context("searching")?;
            tell_unsearched(found.unsearched);
            let count = found.count.unwrap_or_default();
            return match global.json {
                true => output::line(json!({ "count": count })),
                false => output::line(count),
            };
        }
        let mut names = Names::new(&group);
        let mut left = arguments.limit;
        loop {
            let found = search.clone().limit(left).await.context("searching")?;
            for record in &found.records {
                let name = names.of(record.creator).await;
                print(global, record, name)?;
            }
            let enough = left != 0 && found.records.len() >= left;
            left = left.saturating_sub(found.records.len());
            match found.next {
                Some(next) if !enough => search = search.after(next),
                next => {
                    if next.is_some() {
                        note!("There are more; --limit 0 shows all of them.");
                    }
                    tell_unsearched(found.unsearched);
                    return Ok(());
                }
            }
        }
    })
    .await
}

fn tell_unsearched(count: u64) {
    if count > 0 {
        note!("{count} records are not searched: the group has more text than can be.");
    }
}
