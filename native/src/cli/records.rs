//! `peergraph publish`, `records` and `watch`.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Args, ValueEnum};
use futures::StreamExt as _;
use peergraph::peergraph_core::limits::PAYLOAD_BYTES_MAX;
use peergraph::{
    Attribute, CommandError, Delivery, Filter, Group, Host, PeerId, Publish, Record, RecordId,
    RecordType, Value,
};

use super::found::found;
use super::group::{MEET_WAIT, has_others};
use super::input::Source;
use super::{Global, find_group, lifetime, output, record_type, stop_signal, with_host};

/// How long to wait for a neighbour when nobody said how long. Guess: link, handshake and one commit there.
const SENT_WAIT: Duration = Duration::from_secs(5);
/// Records on their way to the disk at once. Guess: they share commits.
const IN_FLIGHT_MAX: usize = 256;
/// Records that no neighbour has acknowledged yet. Half of what the node follows.
const UNSENT_MAX: usize = 512;
/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

#[derive(Args, Debug)]
pub(crate) struct PublishArguments {
    /// Id, beginning of the id, or name
    group: String,
    /// Type of the record, such as chat.message
    #[arg(value_name = "TYPE", value_parser = record_type)]
    kind: RecordType,
    /// The payload, byte for byte; `-` for standard input
    #[arg(default_value = "-")]
    file: Source,
    /// Replace this record, by its id as `records --json` shows it; its life and attributes stay unless others are given
    #[arg(long, value_name = "ID", conflicts_with = "lines")]
    replace: Option<RecordId>,
    /// Searchable metadata, NAME=TEXT; repeatable
    #[arg(long = "attribute", short = 'a', value_name = "NAME=TEXT", value_parser = attribute)]
    attributes: Vec<(String, String)>,
    /// How long the record lives, such as 12h or 30d
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    expires: Option<Duration>,
    /// Renew the record before it ends, whenever a program runs with this data folder
    #[arg(long)]
    refresh: bool,
    /// Publish each line as a record of its own, without its line end
    #[arg(long)]
    lines: bool,
    /// The event to wait for: `stored` here, or `sent` to a neighbour [default: stored, and up to 5
    /// s for sent]
    #[arg(long, value_name = "WHAT")]
    wait: Option<Wait>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Wait {
    Stored,
    Sent,
}

#[derive(Args, Debug)]
pub(crate) struct DeleteArguments {
    /// Id, beginning of the id, or name
    group: String,
    /// The record's id, as `records --json` shows it
    record: RecordId,
    /// Only on this node, as long as nobody changes the record
    #[arg(long)]
    here: bool,
}

#[derive(Args, Debug)]
pub(crate) struct RecordsArguments {
    /// Id, beginning of the id, or name
    group: String,
    /// Only records of this type
    #[arg(long = "type", value_name = "TYPE", value_parser = record_type)]
    kind: Option<RecordType>,
    /// Only records of this creator, by peer id
    #[arg(long, value_name = "PEER")]
    creator: Option<PeerId>,
    /// At most so many
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    limit: usize,
}

#[derive(Args, Debug)]
pub(crate) struct WatchArguments {
    /// Id, beginning of the id, or name
    group: String,
    /// Only records of this type
    #[arg(long = "type", value_name = "TYPE", value_parser = record_type)]
    kind: Option<RecordType>,
    /// An attribute to show to all members while this runs, NAME=TEXT; repeatable
    #[arg(long = "present", value_name = "NAME=TEXT", value_parser = attribute)]
    present: Vec<(String, String)>,
}

fn attribute(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err("expected NAME=TEXT".to_owned()),
    }
}

pub(super) async fn publish(global: &Global, arguments: PublishArguments) -> Result<()> {
    if arguments.file.is_stdin() && std::io::stdin().is_terminal() {
        note!("Type the content, then Ctrl-D.");
    }
    // A single payload is read before anything is started, so that a wrong name costs nothing.
    let payload = match arguments.lines {
        true => None,
        false => Some(arguments.file.read(PAYLOAD_BYTES_MAX).context("publishing")?),
    };
    with_host(global, async |host| {
        let group = find_group(host, &arguments.group).await?;
        let delivery = Delivery::new();
        match payload {
            Some(payload) => {
                let record = draft(&group, &arguments, payload, &delivery).await;
                print(global, &record.context("publishing")?, None)?;
            }
            None => publish_lines(global, &group, &arguments, &delivery).await?,
        }
        wait_sent(global, host, &group, arguments.wait, &delivery).await
    })
    .await
}

fn draft(
    group: &Group,
    arguments: &PublishArguments,
    payload: Vec<u8>,
    delivery: &Delivery,
) -> Publish {
    let mut publish = group.publish(arguments.kind.as_str(), payload).with(delivery);
    for (name, value) in &arguments.attributes {
        publish = publish.attribute(name.as_str(), value.as_str());
    }
    if let Some(time) = arguments.expires {
        publish = publish.expires_in(time);
    }
    if arguments.refresh {
        publish = publish.refreshed();
    }
    if let Some(record) = arguments.replace {
        publish = publish.replacing(record);
    }
    publish
}

async fn publish_lines(
    global: &Global,
    group: &Group,
    arguments: &PublishArguments,
    delivery: &Delivery,
) -> Result<()> {
    let (started, mut told) = (Instant::now(), Instant::now());
    let lines = arguments.file.lines(PAYLOAD_BYTES_MAX, IN_FLIGHT_MAX)?;
    let lines =
        futures::stream::unfold(lines, |mut lines| async { Some((lines.recv().await?, lines)) });
    let drafts = lines.map(|line| async {
        let line = line.with_context(|| format!("reading {}", arguments.file))?;
        draft(group, arguments, line, delivery).await.context("publishing")
    });
    let mut published = std::pin::pin!(drafts.buffered(IN_FLIGHT_MAX));
    let (mut count, mut alone) = (0_u64, arguments.wait == Some(Wait::Stored));
    while let Some(record) = published.next().await {
        let record = record.with_context(|| format!("line {}", count + 1))?;
        count += 1;
        if global.json {
            print(global, &record, None)?;
        }
        if !alone && delivery.unsent() >= UNSENT_MAX {
            // Without any neighbour the import goes on: what is stored is safe, and goes out at a later sync.
            let wait =
                tokio::time::timeout(wait_limit(global, arguments.wait), delivery.at_most(0));
            alone = wait.await.is_err();
        }
        if told.elapsed() >= PROGRESS_EVERY {
            told = Instant::now();
            note!("{count} records stored, {} of them not sent …", delivery.unsent());
        }
    }
    note!("{count} records stored in {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

async fn wait_sent(
    global: &Global,
    host: &Host,
    group: &Group,
    wait: Option<Wait>,
    delivery: &Delivery,
) -> Result<()> {
    if wait == Some(Wait::Stored) {
        return Ok(());
    }
    let limit = wait_limit(global, wait);
    if tokio::time::timeout(limit, delivery.all_sent()).await.is_ok() {
        note!("Stored here, and held by a neighbour.");
        return Ok(());
    }
    let (left, seconds) = (delivery.unsent(), limit.as_secs());
    let records = if left == 1 { "1 record".to_owned() } else { format!("{left} records") };
    let what = format!(
        "{records} reached no neighbour within {seconds} s: stored here, and sent when a member is met.\n{}",
        found(host, group).await
    );
    if wait == Some(Wait::Sent) {
        return Err(anyhow!(what));
    }
    note!("{what}");
    Ok(())
}

fn wait_limit(global: &Global, wait: Option<Wait>) -> Duration {
    if wait == Some(Wait::Sent) { global.timeout } else { SENT_WAIT.min(global.timeout) }
}

pub(super) async fn delete(global: &Global, arguments: DeleteArguments) -> Result<()> {
    with_host(global, async |host| {
        let group = find_group(host, &arguments.group).await?;
        if arguments.here {
            return group.delete_here(arguments.record).await.context("deleting the record here");
        }
        let record = group.record(arguments.record).await?.context("no such record is stored")?;
        group.delete(&record).await.context("deleting the record")?;
        Ok(())
    })
    .await
}

pub(super) async fn records(global: &Global, arguments: RecordsArguments) -> Result<()> {
    with_host(global, async |host| {
        let group = find_group(host, &arguments.group).await?;
        let mut names = Names::new(&group);
        let mut filter =
            Filter { kind: arguments.kind, creator: arguments.creator, ..Filter::default() };
        let mut left = arguments.limit;
        loop {
            filter.limit = left;
            let (page, next) = group.page(filter.clone()).await.context("reading records")?;
            for record in &page {
                let name = names.of(record.creator).await;
                print(global, record, name)?;
            }
            let enough = left != 0 && page.len() >= left;
            left = left.saturating_sub(page.len());
            filter.after = next;
            if enough || filter.after.is_none() {
                return Ok(());
            }
        }
    })
    .await
}

pub(super) async fn watch(global: &Global, arguments: WatchArguments) -> Result<()> {
    let mut printed = Printed::default();
    loop {
        let host = global.start_to_stay().await?;
        let result = tokio::select! {
            result = watch_on(global, &arguments, &host, &mut printed) => result.map(|()| true),
            // To be told to end is no failure of a command that would go on for ever.
            () = stop_signal() => Ok(false),
            // Nor is a reader that has enough, as `head` has.
            () = output::reader_gone() => Ok(false),
        };
        // The other program has ended, which is at an end for us only if we cannot take its place.
        let left = host.is_shared() && matches!(result, Ok(true));
        if host.is_shared() && !left && !arguments.present.is_empty() {
            // The attributes belong to a node that goes on without us.
            if let Ok(group) = find_group(&host, &arguments.group).await {
                let _ = group.present(Vec::new(), false).await;
            }
        }
        let ended = host.shutdown().await;
        match result {
            Ok(true) if left => {
                note!("The program that ran in this data folder has ended; this one goes on.");
            }
            Ok(true) => bail!("watching: the host has ended"),
            Ok(false) => return Ok(ended?),
            Err(error) => return Err(error),
        }
    }
}

/// The printed version of each record, as the beginning of its signature, which covers everything.
type Printed = BTreeMap<RecordId, [u8; 8]>;

/// Prints records until the host ends.
async fn watch_on(
    global: &Global,
    arguments: &WatchArguments,
    host: &Host,
    printed: &mut Printed,
) -> Result<()> {
    let group = find_group(host, &arguments.group).await?;
    if !arguments.present.is_empty() {
        let attribute = |(name, value): &(String, String)| Attribute {
            name: name.clone(),
            value: Value::String(value.clone()),
        };
        let attributes = arguments.present.iter().map(attribute).collect();
        group.present(attributes, true).await.context("telling that you are here")?;
    }
    let mut names = Names::new(&group);
    let mut records = match &arguments.kind {
        Some(kind) => group.watch(kind.as_str()),
        None => group.watch_all(),
    };
    let printing = async {
        while let Some(record) = records.next().await {
            let stamp = *record.signature.first_chunk().expect("it is longer");
            if printed.insert(record.id, stamp) != Some(stamp) {
                let name = names.of(record.creator).await;
                print(global, &record, name)?;
            }
        }
        Ok(())
    };
    tokio::select! {
        result = printing => result,
        Err(error) = tell_if_alone(host, &group) => match error.downcast_ref() {
            // The stream of records ends as well.
            Some(CommandError::Left) => Ok(()),
            _ => Err(error),
        },
    }
}

/// Says once that nobody is met, and why, if the group has others.
async fn tell_if_alone(host: &Host, group: &Group) -> Result<()> {
    tokio::time::sleep(MEET_WAIT).await;
    if has_others(host, group).await? && group.neighbours().await?.is_empty() {
        note!("No other member is met yet; looking on.\n{}", found(host, group).await);
    }
    std::future::pending().await
}

pub(super) fn print(global: &Global, record: &Record, name: Option<&str>) -> Result<()> {
    if global.json {
        output::line(output::record_json(record, name))
    } else {
        output::line(output::record_text(record, name))
    }
}

/// Names of members, asked for once, and again when somebody unknown has written.
pub(super) struct Names<'a> {
    group: &'a Group,
    known: BTreeMap<PeerId, String>,
}

impl<'a> Names<'a> {
    pub(super) fn new(group: &'a Group) -> Self {
        Self { group, known: BTreeMap::new() }
    }

    pub(super) async fn of(&mut self, peer: PeerId) -> Option<&str> {
        if !self.known.contains_key(&peer)
            && let Ok(members) = self.group.members().await
        {
            self.known = members.into_iter().map(|member| (member.peer, member.name)).collect();
        }
        self.known.get(&peer).map(String::as_str)
    }
}
