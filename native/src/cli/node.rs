//! `peergraph node`: runs until it is told to end.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use futures::StreamExt as _;
use peergraph::Event;
use serde_json::json;

use super::{Global, output, stop_signal};

#[derive(Args, Debug)]
pub(crate) struct NodeArguments {
    /// Where to serve pages, the node's description and WebSocket links
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = socket)]
    http: SocketAddr,
    /// Where to take data channels [default: the same address and port as --http, over UDP]
    #[arg(long, value_name = "ADDR", value_parser = socket)]
    udp: Option<SocketAddr>,
    /// How others reach the HTTP port, such as https://node.example
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Folder of pages to serve
    #[arg(long, value_name = "DIR")]
    pages: Option<PathBuf>,
    /// Folder of the npm package, to serve at /peergraph/
    #[arg(long, value_name = "DIR")]
    package: Option<PathBuf>,
}

fn socket(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "expected an IP address and a port, such as 127.0.0.1:8080")
}

pub(super) async fn run(global: &Global, arguments: NodeArguments) -> Result<()> {
    for folder in [&arguments.pages, &arguments.package].into_iter().flatten() {
        if !folder.is_dir() {
            bail!("serving pages: {} is not a folder; build the pages first", folder.display());
        }
    }
    let folder = global.folder()?;
    let udp = arguments.udp.unwrap_or(arguments.http);
    let mut builder = global.host(&folder)?.http(arguments.http).udp(udp).rendezvous(true);
    if let Some(url) = arguments.public_url.clone() {
        builder = builder.public_url(url);
    }
    if let Some(pages) = arguments.pages {
        builder = builder.pages(pages);
    }
    if let Some(package) = arguments.package {
        builder = builder.package(package);
    }
    let host = builder.start().await?;
    let http = host.http_address().unwrap_or(arguments.http);
    let url = arguments.public_url.unwrap_or_else(|| format!("http://{http}"));
    let addresses: Vec<String> = host.addresses().iter().map(ToString::to_string).collect();
    let groups = host.groups().await?;
    if global.json {
        output::line(json!({
            "event": "ready",
            "url": url,
            "peer": host.peer_id().to_string(),
            "name": host.name(),
            "addresses": addresses,
            "groups": groups.iter().map(|group| group.id().to_string()).collect::<Vec<_>>(),
        }))?;
    } else {
        output::line(format!("Node {} ({})", output::plain(host.name()), host.peer_id()))?;
        output::line(format!("  open     {url}"))?;
        for address in addresses {
            output::line(format!("  address  {address}"))?;
        }
        for group in &groups {
            output::line(format!("  member of {} ({})", output::plain(group.name()), group.id()))?;
        }
        output::line("Ctrl-C ends it.")?;
    }
    let mut events = host.events();
    let telling = async {
        while let Some(event) = events.next().await {
            if let Event::Neighbour { group, peer, up, .. } = event {
                tracing::info!(%peer, %group, up, "neighbour");
            }
        }
    };
    tokio::select! {
        () = stop_signal() => {}
        () = telling => bail!("the node ended by itself; see its log above"),
    }
    note!("Ending …");
    host.shutdown().await?;
    Ok(())
}
