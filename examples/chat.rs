//! A chat in the terminal, in one room with the chat page.
//!
//! `cargo run -p peergraph-examples --example chat -- DATA_FOLDER NODE_URL < invitation-link` joins and chats;
//! without the link (`< /dev/null` or a second start) it goes on in the first group of the data folder.
use std::io::{BufRead as _, IsTerminal as _};

use anyhow::Context as _;
use futures::StreamExt as _;
use peergraph::Host;
use tokio::sync::mpsc;

const TYPE: &str = "chat.message";

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().context("usage: chat DATA_FOLDER NODE_URL")?;
    let node = arguments.next().context("usage: chat DATA_FOLDER NODE_URL")?.parse()?;
    let name = std::env::var("USER").unwrap_or_else(|_| "somebody".to_owned());
    let host = Host::builder().name(name).data(folder).node(node).start().await?;

    // Lines are read on a thread of their own: waiting for a keyboard must stop nothing.
    let (sender, mut lines) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    let group = match host.groups().await?.into_iter().next() {
        Some(group) => group,
        None => {
            if std::io::stdin().is_terminal() {
                println!("Paste the invitation link:");
            }
            host.join(lines.recv().await.context("no invitation link")?).await?
        }
    };
    println!("In {}. Type a line to send it.", group.name());

    let mut messages = group.watch(TYPE);
    loop {
        tokio::select! {
            Some(record) = messages.next() => {
                let members = group.members().await?;
                let author = members.iter().find(|member| member.peer == record.creator);
                let name = author.map_or("somebody", |member| member.name.as_str());
                println!("{}: {}", name.escape_debug(), text(&record.payload).escape_debug());
            }
            line = lines.recv() => match line {
                Some(line) => drop(group.publish(TYPE, payload(&line)).await?),
                None => break,
            },
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    host.shutdown().await?;
    Ok(())
}

/// The chat page writes `{"text": …}`.
fn payload(line: &str) -> String {
    serde_json::json!({ "text": line }).to_string()
}

fn text(payload: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(payload).ok();
    let text = json.as_ref().and_then(|json| json["text"].as_str());
    text.map_or_else(|| String::from_utf8_lossy(payload).into_owned(), str::to_owned)
}
