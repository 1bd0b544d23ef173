//! Commands and options of `peergraph`, and what all commands share.
//!
//! Results go to standard output, everything else to standard error. Errors read `what was tried: what happened; what
//! to do`. Exit codes: 0 done, 1 failed, 2 wrong usage. No secret is ever an argument that must be given as one:
//! `ps` shows arguments.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Args, Parser, Subcommand};
use peergraph::peergraph_core::name::check_name;
use peergraph::{Folder, Group, Host, HostBuilder, Neighbours, NodeUrl, PeerId, RecordType};

/// Says something to the user. The reader may be gone, for example `head` once it has read enough.
macro_rules! note {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}
pub(crate) use note;

pub(crate) use found::places_of;

mod broadcast;
mod cert;
mod direct;
mod found;
mod group;
mod identity;
mod input;
mod invitation;
mod members;
mod node;
mod output;
mod password;
mod policy;
mod qr;
mod records;
mod search;
mod store;
mod warning;

/// Secure, serverless groups: chat, publish and watch signed records over direct links.
#[derive(Debug, Parser)]
#[command(name = "peergraph", version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Args, Debug)]
pub(crate) struct Global {
    /// Data folder: identities, groups, records [default: the platform's, or PEERGRAPH_DATA]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Identity to use: name, id, or the beginning of the id [default: that of `identity default`]
    #[arg(long, global = true, value_name = "WHO")]
    identity: Option<String>,
    /// Name of the identity, if one has to be made [default: your user name]
    #[arg(id = "own_name", long = "name", global = true, value_name = "NAME")]
    name: Option<String>,
    /// A node through which members can be found (http://…, https://…, rtc://…, ws://…); repeatable. Once it is reached
    /// it is kept for later commands, see `peergraph node list`
    #[arg(long = "node", global = true, value_name = "URL")]
    nodes: Vec<NodeUrl>,
    /// A STUN server to ask for our own addresses (stun:HOST:PORT), besides the nodes that are reached; repeatable
    #[arg(long = "stun", global = true, value_name = "URL")]
    stun: Vec<peergraph::StunUrl>,
    /// A PEM file with the certificate of an authority, or of a node itself, to trust at https:// and wss://, besides those of
    /// the system; repeatable
    #[arg(long, global = true, value_name = "FILE")]
    tls_ca: Vec<PathBuf>,
    /// Record type that a sync brings before the rest, such as chat.message; repeatable, the first one first
    #[arg(long, global = true, value_name = "TYPE", value_parser = record_type)]
    first: Vec<RecordType>,
    /// Neighbours to have in a group: fewest, best, most [default: 3,5,7]
    #[arg(long, global = true, value_name = "MIN,IDEAL,MAX")]
    neighbours: Option<Neighbours>,
    /// Tell nobody but known members that this node is in their group; newcomers are let in by others
    #[arg(long, global = true)]
    members_only: bool,
    /// Print one JSON object a line
    #[arg(long, global = true)]
    json: bool,
    /// Longest wait for others, such as 30s or 2m
    #[arg(long, global = true, value_name = "TIME", default_value = "30s", value_parser = duration)]
    timeout: Duration,
    /// Say more; twice for everything. PEERGRAPH_LOG=debug does the same
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node: rendezvous, pages, and member of the groups in its data folder
    Node(node::NodeArguments),
    /// Your identities
    #[command(subcommand)]
    Identity(identity::IdentityCommand),
    /// Certificates: show, verify, export
    #[command(subcommand)]
    Cert(cert::CertCommand),
    /// Groups, invitations, members
    #[command(subcommand)]
    Group(Box<group::GroupCommand>),
    /// The contents of an invitation, before joining
    #[command(subcommand)]
    Invitation(invitation::InvitationCommand),
    /// Publish records
    Publish(records::PublishArguments),
    /// Delete a record, for everybody or here
    Delete(records::DeleteArguments),
    /// List the records of a group
    Records(records::RecordsArguments),
    /// Find records of a group
    Search(search::SearchArguments),
    /// Print the records of a group, and go on as they arrive
    Watch(records::WatchArguments),
    /// Send a message to all who are here, which nobody stores
    Broadcast(broadcast::BroadcastArguments),
    /// Print the messages that others send to all who are here
    Listen(broadcast::ListenArguments),
    /// Call what another member serves, and print its responses
    Call(direct::CallArguments),
    /// Serve calls of other members: a command is run for each
    Serve(direct::ServeArguments),
    /// Join standard input and output to those of another member
    Pipe(direct::PipeArguments),
    /// Reach a TCP port of another member, or offer one to members of a role
    Forward(direct::ForwardArguments),
    /// Write everything of an identity that cannot be had again into one file, under a password
    Backup(store::BackupArguments),
    /// Take an identity and its groups from a backup; what stands here stays
    Restore(store::RestoreArguments),
    /// Upkeep of what is stored
    #[command(subcommand)]
    Store(store::StoreCommand),
}

/// Runs one command.
pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let global = arguments.global;
    match arguments.command {
        Command::Node(arguments) => node::run(&global, arguments).await,
        Command::Identity(command) => identity::run(&global, command),
        Command::Cert(command) => cert::run(&global, command).await,
        Command::Group(command) => group::run(&global, *command).await,
        Command::Invitation(command) => invitation::run(&global, command).await,
        Command::Publish(arguments) => records::publish(&global, arguments).await,
        Command::Delete(arguments) => records::delete(&global, arguments).await,
        Command::Records(arguments) => records::records(&global, arguments).await,
        Command::Search(arguments) => search::search(&global, arguments).await,
        Command::Watch(arguments) => records::watch(&global, arguments).await,
        Command::Broadcast(arguments) => broadcast::broadcast(&global, arguments).await,
        Command::Listen(arguments) => broadcast::listen(&global, arguments).await,
        Command::Call(arguments) => direct::call(&global, arguments).await,
        Command::Serve(arguments) => direct::serve(&global, arguments).await,
        Command::Pipe(arguments) => direct::pipe(&global, arguments).await,
        Command::Forward(arguments) => direct::forward(&global, arguments).await,
        Command::Backup(arguments) => store::backup(&global, arguments).await,
        Command::Restore(arguments) => store::restore(&global, &arguments),
        Command::Store(command) => store::run(&global, command).await,
    }
}

/// Logs to standard error: warnings, or what `PEERGRAPH_LOG` or `--verbose` ask for.
pub(crate) fn log(verbose: u8) {
    use tracing_subscriber::filter::LevelFilter;
    let asked = std::env::var("PEERGRAPH_LOG").ok().and_then(|level| level.parse().ok());
    let level = match verbose {
        0 => asked.unwrap_or(LevelFilter::WARN),
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        // A closed stderr is no reason to panic.
        .log_internal_errors(false);
    if verbose == 0 && asked.is_none() {
        log.event_format(warning::ForPeople).init();
    } else {
        log.init();
    }
}

/// Whether the reader of our output has gone.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>();
        io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

fn record_type(text: &str) -> Result<RecordType, String> {
    RecordType::new(text).map_err(|error| error.to_string())
}

/// `90s`, `5m`, `2h`, `7d`; seconds without a letter.
fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let seconds = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err("expected a time such as 30s, 5m, 2h or 7d".to_owned()),
    };
    let number: u64 =
        digits.parse().map_err(|_| "expected a time such as 30s, 5m, 2h or 7d".to_owned())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(|| "too long".to_owned())
}

/// How long something lives.
fn lifetime(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    let nothing =
        || "it would have ended at once; give a time such as 30s, 5m, 2h or 7d".to_owned();
    if time.is_zero() { Err(nothing()) } else { Ok(time) }
}

impl Global {
    /// The data folder, made if there is none.
    fn folder(&self) -> Result<Folder> {
        let given = self.data.clone().or_else(|| variable("PEERGRAPH_DATA"));
        let path = match given.or_else(platform_folder) {
            Some(path) => path,
            None => bail!("no data folder: this system names none; give one with --data DIR"),
        };
        Ok(Folder::open(path)?)
    }

    /// Whether there is an identity to use.
    fn has_identity(&self) -> Result<bool> {
        Ok(self.folder()?.find(self.identity.as_deref())?.is_some())
    }

    /// A host to be, with identity, data folder, and all nodes that are known.
    fn host(&self, folder: &Folder) -> Result<HostBuilder> {
        let peer = match folder.find(self.identity.as_deref())? {
            Some(peer) => {
                self.tell_of_name(folder, peer)?;
                peer
            }
            None => {
                let name = self.name.clone().unwrap_or_else(user_name);
                let (peer, is_new) = folder.default_or_new(&name)?;
                if is_new {
                    let (name, place) = (output::plain(&name), folder.path().display());
                    note!("New identity {name} ({peer}) in {place}");
                } else {
                    // Another command has just made it.
                    self.tell_of_name(folder, peer)?;
                }
                peer
            }
        };
        let mut builder = Host::builder().data(folder.path()).identity(peer);
        for url in self.all_nodes(folder)? {
            builder = builder.node(url);
        }
        for url in &self.stun {
            builder = builder.stun_server(url.clone());
        }
        for file in &self.tls_ca {
            builder = builder.tls_ca(file);
        }
        for kind in &self.first {
            builder = builder.priority(kind.clone());
        }
        if let Some(limits) = self.neighbours {
            builder = builder.neighbours(limits);
        }
        Ok(builder.members_only(self.members_only))
    }

    /// A name that is given when there is one already is not taken in silence.
    fn tell_of_name(&self, folder: &Folder, peer: PeerId) -> Result<()> {
        let Some(wanted) = &self.name else { return Ok(()) };
        let identity = folder.identity(peer)?;
        if identity.name() != wanted {
            let (name, id) = (identity.name(), &peer.to_string()[..8]);
            note!(
                "--name {wanted:?} is for a new identity, and this one is called {name:?}: `peergraph identity rename {id} \
                 {wanted:?}` renames it."
            );
        }
        Ok(())
    }

    /// The nodes that are kept, and those that are named.
    fn all_nodes(&self, folder: &Folder) -> Result<Vec<NodeUrl>> {
        let kept = folder.nodes()?;
        let new = self.nodes.iter().filter(|url| !kept.contains(url)).cloned();
        Ok(new.chain(kept.iter().cloned()).collect())
    }

    /// Sees that the nodes that are named are kept, once they are reached.
    async fn keep_nodes(&self, host: &Host) -> Result<()> {
        for url in &self.nodes {
            host.keep_node(url.clone()).await.context("using a node")?;
        }
        Ok(())
    }

    /// Says what became of the nodes that are named now and were not kept before.
    async fn tell_of_nodes(&self, host: &Host, before: &[NodeUrl], begun: Instant) {
        let new: Vec<&NodeUrl> = self.nodes.iter().filter(|url| !before.contains(url)).collect();
        let wait = found::NODES_WAIT.saturating_sub(begun.elapsed());
        found::nodes_settled(host, wait, |url| new.contains(&url)).await;
        let states = host.nodes();
        for (url, state) in states.iter().filter(|(url, _)| new.contains(&url)) {
            note!("Node {url} {}.", found::kept_text(url, state));
        }
    }

    /// Starts a host for one command, or uses the one of a program that runs in the data folder.
    async fn start(&self) -> Result<Host> {
        self.attach(self.host(&self.folder()?)?).await
    }

    /// The same for a command that stays, and so listens everywhere.
    async fn start_to_stay(&self) -> Result<Host> {
        self.attach(self.host(&self.folder()?)?.udp_everywhere()).await
    }

    async fn attach(&self, builder: HostBuilder) -> Result<Host> {
        let host = builder.shared().start().await?;
        let chosen = self.neighbours.is_some() || !self.first.is_empty() || self.members_only;
        if host.is_shared() && chosen {
            note!(
                "A program runs in this data folder: its --neighbours, --first and --members-only are used."
            );
        }
        self.keep_nodes(&host).await?;
        Ok(host)
    }
}

/// How long a command that is done waits for others that work through it. Guess: those that look for members wait for ten
/// seconds, and give what they changed ten more.
const OTHERS_WAIT: Duration = Duration::from_secs(20);

/// Runs `work` with a host of an identity that is there: no command makes one to tell that it is in no group.
async fn with_host<T>(global: &Global, work: impl AsyncFnOnce(&Host) -> Result<T>) -> Result<T> {
    if !global.has_identity()? {
        bail!(
            "there is no identity yet, which is so in no group; make one with `peergraph group create NAME`, or join one with \
             `peergraph group join`"
        );
    }
    with_new_host(global, work).await
}

/// Runs `work` with a host, and shuts that down whatever comes of it, so that members learn that we are gone.
async fn with_new_host<T>(
    global: &Global,
    work: impl AsyncFnOnce(&Host) -> Result<T>,
) -> Result<T> {
    let kept = global.folder()?.nodes()?;
    let host = global.start().await?;
    let begun = Instant::now();
    let working = async {
        let result = work(&host).await;
        global.tell_of_nodes(&host, &kept, begun).await;
        result
    };
    let result = tokio::select! {
        result = async {
            let result = working.await;
            // Commands of the same moment work through this one.
            let _ = tokio::time::timeout(OTHERS_WAIT, host.close_door()).await;
            result
        } => result,
        () = stop_signal() => Err(anyhow!("interrupted")),
    };
    let ended = host.shutdown().await;
    if !host.is_shared() {
        // Another program's host may end when it likes, once our work is done.
        ended?;
    }
    result
}

/// Waits for Ctrl-C or the request to end.
async fn stop_signal() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let told = async |kind, heeded| match signal(kind) {
            Ok(mut signal) if heeded => drop(signal.recv().await),
            Ok(_) | Err(_) => std::future::pending().await,
        };
        tokio::select! {
            () = interrupt => {}
            () = told(SignalKind::terminate(), true) => {}
            // The terminal is gone.
            () = told(SignalKind::hangup(), heeds_hangup()) => {}
        }
    }
    #[cfg(not(unix))]
    interrupt.await;
}

/// Whether the end of the terminal is the end of the program. Not if we were begun to outlive it, as by `nohup`, which has
/// the signal ignored; only Linux tells that without unsafe code, so that other systems keep what they do by themselves.
#[cfg(unix)]
fn heeds_hangup() -> bool {
    const HANGUP: u64 = 1;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & HANGUP == 0)
}

/// The group that `wanted` names: by id, by the beginning of its id, or by name.
async fn find_group(host: &Host, wanted: &str) -> Result<Group> {
    let groups = host.groups().await.context("listing groups")?;
    let mut found: Vec<&Group> = groups.iter().filter(|group| group.name() == wanted).collect();
    if found.is_empty() && !wanted.is_empty() {
        let start = wanted.to_lowercase();
        found = groups.iter().filter(|group| group.id().to_string().starts_with(&start)).collect();
    }
    match found.as_slice() {
        [group] => Ok((*group).clone()),
        [] if groups.is_empty() => {
            bail!(
                "no group {wanted:?}: this identity is in no group; make one with `peergraph group create NAME`, or \
                   join one with `peergraph group join`"
            )
        }
        [] => bail!("no group {wanted:?}; see `peergraph group list`"),
        _ => bail!(
            "more than one group is called {wanted:?}; name it by its id, see `peergraph group list`"
        ),
    }
}

/// A path of the environment. An empty one is none.
fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Where this kind of system keeps the data of programs.
fn platform_folder() -> Option<PathBuf> {
    if cfg!(windows) {
        return variable("APPDATA").map(|path| path.join("peergraph"));
    }
    if cfg!(target_os = "macos") {
        return variable("HOME").map(|home| home.join("Library/Application Support/peergraph"));
    }
    let data = variable("XDG_DATA_HOME").filter(|path| path.is_absolute());
    let data = data.or_else(|| variable("HOME").map(|home| home.join(".local/share")));
    data.map(|path| path.join("peergraph"))
}

fn user_name() -> String {
    let names = ["USER", "LOGNAME", "USERNAME"];
    let legal = |name: &String| check_name(name).is_ok();
    let name = names.iter().filter_map(|name| std::env::var(name).ok()).find(legal);
    name.unwrap_or_else(|| "anonymous".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_consistent() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(604_800)));
        for text in ["", "d", "5 m", "-1s", "1w", "99999999999999999999s", "999999999999999999d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
