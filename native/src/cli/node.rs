//! `peergraph node`: runs until it is told to end. `peergraph node list` and `forget`: the nodes that are kept.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use futures::StreamExt as _;
use peergraph::{Address, Event, Host, Network, NodeUrl, ParseNodeUrlError};
use serde_json::json;

use super::{Global, output, stop_signal};

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct NodeArguments {
    #[command(subcommand)]
    kept: Option<KeptCommand>,
    /// Where to serve pages, the node's description and WebSocket links; repeatable. [::]:PORT takes both families
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = socket)]
    http: Vec<SocketAddr>,
    /// Where to take data channels; repeatable [default: the same addresses and ports as --http, over UDP]
    #[arg(long, value_name = "ADDR", value_parser = socket)]
    udp: Vec<SocketAddr>,
    /// How others reach the HTTP port, such as https://node.example
    #[arg(long, value_name = "URL", value_parser = web_url)]
    public_url: Option<NodeUrl>,
    /// Certificate of the HTTP port in PEM, with those of its authorities: serves https:// and wss://. A changed file is read
    /// again
    #[arg(long, value_name = "FILE", requires = "tls_key", conflicts_with = "tls")]
    tls_cert: Option<PathBuf>,
    /// Its private key in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Serve https:// with a certificate that this node makes itself: for a local network, where phones need https
    #[arg(long, value_name = "self")]
    tls: Option<OwnTls>,
    /// A reverse proxy that says in X-Forwarded-For or Forwarded who asks, such as 127.0.0.1 or 10.0.0.0/8; repeatable
    #[arg(long, value_name = "ADDR|NET")]
    trusted_proxy: Vec<Network>,
    /// Do not relay for two that no direct path joins; what is relayed is sealed
    #[arg(long)]
    no_relay: bool,
    /// Folder of pages to serve
    #[arg(long, value_name = "DIR")]
    pages: Option<PathBuf>,
    /// Folder of the npm package, to serve at /peergraph/
    #[arg(long, value_name = "DIR")]
    package: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OwnTls {
    #[value(name = "self")]
    Own,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeptCommand {
    /// List the nodes that every command uses: those that --node or an invitation named, and that were reached
    List,
    /// Forget nodes
    Forget {
        /// As `node list` prints them
        #[arg(required = true, value_name = "URL")]
        urls: Vec<NodeUrl>,
    },
}

fn kept(global: &Global, command: &KeptCommand) -> Result<()> {
    let folder = global.folder()?;
    match command {
        KeptCommand::List => {
            folder.nodes()?.iter().try_for_each(|url| told(global, "url", "", url))
        }
        KeptCommand::Forget { urls } => urls.iter().try_for_each(|url| {
            if folder.forget_node(url)? {
                return told(global, "forgotten", "Forgotten: ", url);
            }
            bail!("forgetting {url}: it is not kept; see `peergraph node list`")
        }),
    }
}

fn told(global: &Global, field: &str, words: &str, url: &NodeUrl) -> Result<()> {
    match global.json {
        true => output::line(json!({ field: url.to_string() })),
        false => output::line(format!("{words}{url}")),
    }
}

fn socket(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "expected an IP address and a port, such as 127.0.0.1:8080")
}

/// The URL of a node that browsers open.
fn web_url(text: &str) -> Result<NodeUrl, String> {
    let url: NodeUrl = text.parse().map_err(|error: ParseNodeUrlError| error.to_string())?;
    let wrong = || "expected http://HOST… or https://HOST…".to_owned();
    if url.is_web() { Ok(url) } else { Err(wrong()) }
}

/// Whether browsers on other machines are served pages from which they cannot join: WebRTC needs HTTPS there.
fn is_insecure(url: &str, bound: &[SocketAddr]) -> bool {
    let elsewhere = bound.iter().any(|it| !it.ip().is_loopback());
    elsewhere && !url.starts_with("https://")
}

/// An address that a browser on this machine opens: pages of another than loopback may not use WebRTC without HTTPS.
fn openable(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        // It takes both families, or this one.
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, bound.port())
}

/// Tells people how a browser comes to open pages under a certificate of our own.
fn tell_own_tls(host: &Host) {
    let (Some(fingerprint), Some(file)) = (host.tls_fingerprint(), host.tls_certificate()) else {
        return;
    };
    let ports: Vec<u16> = host.http_addresses().iter().map(SocketAddr::port).collect();
    let port = ports.first().copied().unwrap_or_default();
    let bound = host.http_addresses().iter().map(SocketAddr::ip);
    let mut ips: Vec<IpAddr> = bound.filter(|ip| !ip.is_unspecified()).collect();
    for address in host.addresses() {
        if let Address::Rtc { socket, .. } = address
            && !ips.contains(&socket.ip())
        {
            ips.push(socket.ip());
        }
    }
    let urls = ips.iter().map(|ip| format!("https://{}", SocketAddr::new(*ip, port)));
    let urls: Vec<String> = urls.collect();
    note!(
        "\nThe certificate of this node is its own, so every browser warns of it, once:\n\
         1. Open {} there.\n\
         2. The browser says that the connection is not private. Look at the certificate (Details, or Advanced), and compare \
         its SHA-256 fingerprint with\n   {fingerprint}\n\
         3. If it is the same, go on. If it is another one, somebody stands between: stop.\n\
         Programs trust this node with --tls-ca and a copy of {}.",
        urls.join(" or "),
        file.display()
    );
}

pub(super) async fn run(global: &Global, arguments: NodeArguments) -> Result<()> {
    if let Some(command) = &arguments.kept {
        return kept(global, command);
    }
    for folder in [&arguments.pages, &arguments.package].into_iter().flatten() {
        if !folder.is_dir() {
            bail!("serving pages: {} is not a folder; build the pages first", folder.display());
        }
    }
    let serves_pages = arguments.pages.is_some();
    let folder = global.folder()?;
    let udp = if arguments.udp.is_empty() { &arguments.http } else { &arguments.udp };
    let mut builder = global.host(&folder)?.rendezvous(true).relay(!arguments.no_relay);
    for address in &arguments.http {
        builder = builder.http(*address);
    }
    for address in udp {
        builder = builder.udp(*address);
    }
    for network in arguments.trusted_proxy {
        builder = builder.trusted_proxy(network);
    }
    if let Some(url) = &arguments.public_url {
        builder = builder.public_url(url.to_string());
    }
    if let (Some(certificate), Some(key)) = (&arguments.tls_cert, &arguments.tls_key) {
        builder = builder.tls(certificate, key);
    }
    if arguments.tls.is_some() {
        builder = builder.tls_self_signed();
    }
    if let Some(pages) = arguments.pages {
        builder = builder.pages(pages);
    }
    if let Some(package) = arguments.package {
        builder = builder.package(package);
    }
    let host = builder.start().await?;
    global.keep_nodes(&host).await?;
    let scheme = if host.tls_fingerprint().is_some() { "https" } else { "http" };
    let named = arguments.public_url.is_some();
    let url = match (arguments.public_url, host.http_address()) {
        (Some(url), _) => url.to_string(),
        (None, Some(http)) => format!("{scheme}://{}", openable(http)),
        (None, None) => bail!("the node serves no HTTP"),
    };
    let addresses: Vec<String> = host.addresses().iter().map(ToString::to_string).collect();
    let groups = host.groups().await?;
    if global.json {
        output::line(json!({
            "event": "ready",
            "url": url,
            "http": host.http_addresses().iter().map(ToString::to_string).collect::<Vec<_>>(),
            "peer": host.peer_id().to_string(),
            "name": host.name(),
            "addresses": addresses,
            "groups": groups.iter().map(|group| group.id().to_string()).collect::<Vec<_>>(),
            "tls": host.tls_fingerprint().map(|sha256| json!({
                "sha256": sha256,
                "certificate": host.tls_certificate().map(|file| file.display().to_string()),
            })),
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
    if arguments.tls.is_some() {
        tell_own_tls(&host);
    } else if host.tls_fingerprint().is_some() && !named {
        note!(
            "Name this node with --public-url https://NAME, or members are not told its https:// address."
        );
    }
    if serves_pages && is_insecure(&url, host.http_addresses()) {
        note!(
            "Browsers on other machines open these pages over HTTPS only: give this node a certificate with --tls-cert and \
             --tls-key, or --tls self in a local network; or put a reverse proxy with a certificate before it, and name \
             that with --public-url https://…"
        );
    }
    let mut events = host.events();
    let telling = async {
        while let Some(event) = events.next().await {
            if let Event::Neighbour { group, peer, up, .. } = event {
                tracing::info!(%peer, %group, up, "neighbour");
            } else if let Event::CouldNotLetIn { group, peer, error, .. } = event {
                tracing::warn!(%peer, %group, %error, "a newcomer could not be let in");
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
