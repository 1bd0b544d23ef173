//! `peergraph broadcast` and `listen`: messages to all who are here, which nobody stores.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use futures::StreamExt as _;
use peergraph::peergraph_core::limits::BROADCAST_BYTES_MAX;
use peergraph::{Broadcast, Group, Host, RecordType};

use super::found::found;
use super::group::MEET_WAIT;
use super::input::Source;
use super::records::Names;
use super::{Global, find_group, output, record_type, stop_signal, with_host};

/// How often neighbours are looked for. Guess.
const LOOKED_EVERY: Duration = Duration::from_millis(50);
/// How long a message has to leave before the program ends. Guess: a turn of its loop.
const LEAVES_WITHIN: Duration = Duration::from_millis(200);

#[derive(Args, Debug)]
pub(crate) struct BroadcastArguments {
    /// Id, beginning of the id, or name
    group: String,
    /// Type of the message, such as typing
    #[arg(value_name = "TYPE", value_parser = record_type)]
    kind: RecordType,
    /// The content, at most 4 KiB, byte for byte; `-` for standard input
    #[arg(default_value = "-")]
    file: Source,
}

#[derive(Args, Debug)]
pub(crate) struct ListenArguments {
    /// Id, beginning of the id, or name
    group: String,
    /// Only messages of this type
    #[arg(long = "type", value_name = "TYPE", value_parser = record_type)]
    kind: Option<RecordType>,
}

pub(super) async fn broadcast(global: &Global, arguments: BroadcastArguments) -> Result<()> {
    let payload = arguments.file.read(BROADCAST_BYTES_MAX).context("sending")?;
    with_host(global, async |host| {
        let group = find_group(host, &arguments.group).await?;
        meet(global, host, &group).await?;
        group.broadcast(arguments.kind.as_str(), payload).await.context("sending")?;
        // Nobody says whether it has come.
        tokio::time::sleep(LEAVES_WITHIN).await;
        Ok(())
    })
    .await
}

/// Waits for a neighbour, since nobody hears later what is sent now.
async fn meet(global: &Global, host: &Host, group: &Group) -> Result<()> {
    let met = async {
        while group.neighbours().await?.is_empty() {
            tokio::time::sleep(LOOKED_EVERY).await;
        }
        Ok(())
    };
    match tokio::time::timeout(MEET_WAIT.min(global.timeout), met).await {
        Ok(met) => met,
        Err(_) => bail!(
            "sending: nobody else is here; publish a record for those who come later.\n{}",
            found(host, group).await
        ),
    }
}

pub(super) async fn listen(global: &Global, arguments: ListenArguments) -> Result<()> {
    let host = global.start_to_stay().await?;
    let heard = tokio::select! {
        heard = listen_on(global, &arguments, &host) => heard,
        // To be told to end is no failure of a command that would go on for ever.
        () = stop_signal() => Ok(()),
        () = output::reader_gone() => Ok(()),
    };
    host.shutdown().await?;
    heard
}

async fn listen_on(global: &Global, arguments: &ListenArguments, host: &Host) -> Result<()> {
    let group = find_group(host, &arguments.group).await?;
    let mut messages = match &arguments.kind {
        Some(kind) => group.broadcasts(kind.as_str()),
        None => group.all_broadcasts(),
    };
    let mut names = Names::new(&group);
    note!("Listening; Ctrl-C ends.");
    while let Some(message) = messages.next().await {
        let name = names.of(message.peer).await;
        print(global, &message, name)?;
    }
    bail!("listening: the host has ended")
}

fn print(global: &Global, message: &Broadcast, name: Option<&str>) -> Result<()> {
    match global.json {
        true => output::line(output::broadcast_json(message, name)),
        false => output::line(output::broadcast_text(message, name)),
    }
}
