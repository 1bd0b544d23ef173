//! `peergraph call`, `serve`, `pipe` and `forward`: direct links to other members.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use futures::StreamExt as _;
use peergraph::peergraph_core::limits::{DIRECT_MESSAGE_BYTES_MAX, DIRECT_WRITE_BYTES_MAX};
use peergraph::{
    CommandError, Direct, DirectError, DirectMessage, DirectRequest, DirectStream, Error, Group,
    Host, PeerId,
};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::input::{self, Source};
use super::members::find_member;
use super::{Global, find_group, output, stop_signal, with_host};

/// How often somebody is looked for who is not here. Guess.
const LOOKED_EVERY: Duration = Duration::from_millis(200);
/// The purpose of a direct link that joins two programs.
const PIPE: &str = "pipe";
/// How the purposes of the others begin.
const CALL: &str = "call ";
const FORWARD: &str = "forward ";

#[derive(Args, Debug)]
pub(crate) struct CallArguments {
    /// Id, beginning of the id, or name
    group: String,
    /// The member: name, peer id, or the beginning of the peer id
    member: String,
    /// The name of a call that it serves, see `peergraph serve`
    #[arg(value_name = "NAME")]
    called: String,
    /// The request, at most 64 KiB, byte for byte; `-` for standard input
    #[arg(default_value = "-")]
    file: Source,
}

#[derive(Args, Debug)]
pub(crate) struct ServeArguments {
    /// Id, beginning of the id, or name
    group: String,
    /// By which others call it
    #[arg(value_name = "NAME")]
    served: String,
    /// Only for members of this role, or role of the application
    #[arg(long)]
    role: Option<String>,
    /// Is run for each call: its input is the request, its output the response
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct PipeArguments {
    /// Id, beginning of the id, or name
    group: String,
    /// The member: name, peer id, or the beginning of the peer id. With --listen, anybody if it is left out
    #[arg(required_unless_present = "listen")]
    member: Option<String>,
    /// Wait for the other one, who names us
    #[arg(long)]
    listen: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ForwardArguments {
    /// Id, beginning of the id, or name
    group: String,
    /// The name of the port that is offered
    #[arg(value_name = "NAME")]
    port: String,
    /// The member that offers it: name, peer id, or the beginning of the peer id
    #[arg(long, value_name = "MEMBER", requires = "listen")]
    from: Option<String>,
    /// Where programs of this machine reach it
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Offer this port
    #[arg(
        long,
        value_name = "ADDRESS",
        requires = "role",
        required_unless_present = "from",
        conflicts_with = "from"
    )]
    to: Option<SocketAddr>,
    /// To members of this role, or role of the application
    #[arg(long)]
    role: Option<String>,
}

fn is(error: &CommandError, why: &DirectError) -> bool {
    matches!(error, CommandError::Node(Error::Direct(it)) if it == why)
}

/// Opens a direct link to the member that `wanted` names, as soon as it is here.
async fn open(global: &Global, group: &Group, wanted: &str, purpose: &str) -> Result<Direct> {
    let until = Instant::now() + global.timeout;
    loop {
        let members = group.members().await.context("listing members")?;
        let failed = match find_member(&members, wanted).map(|member| member.peer) {
            Ok(peer) => match group.direct(peer, purpose).await {
                Ok(direct) => return Ok(direct),
                Err(error) if is(&error, &DirectError::NotHere) => anyhow!(error),
                Err(error) => return Err(error).context(format!("reaching {wanted}")),
            },
            // A group that was joined a moment ago does not know its members yet.
            Err(error) => error,
        };
        if Instant::now() >= until {
            return Err(failed.context(format!("reaching {wanted}")));
        }
        tokio::time::sleep(LOOKED_EVERY).await;
    }
}

/// Whether a member has a role, or there is none to have.
async fn has_role(group: &Group, peer: PeerId, role: Option<&str>) -> bool {
    let Some(role) = role else { return true };
    let members = group.members().await.unwrap_or_default();
    let grant = members.into_iter().find(|member| member.peer == peer).map(|member| member.grant);
    grant.is_some_and(|grant| {
        grant.role.to_string() == role || grant.app_roles.iter().any(|it| it == role)
    })
}

/// Agrees to those requests of this purpose whose members have the role, and holds each until it is over.
async fn admit(
    group: Group,
    purpose: String,
    role: Option<String>,
    then: impl Fn(Direct),
) -> Result<()> {
    let mut requests = group.direct_requests();
    while let Some(request) = requests.next().await {
        if request.purpose() != purpose {
            continue;
        }
        if !has_role(&group, request.peer(), role.as_deref()).await {
            let _ = request.refuse("you have not the role for this").await;
        } else if let Ok(direct) = request.accept().await {
            then(direct);
        }
    }
    bail!("the host has ended")
}

/// Runs a command that stays until it is told to end.
async fn stay(global: &Global, work: impl AsyncFnOnce(&Host) -> Result<()>) -> Result<()> {
    let host = global.start_to_stay().await?;
    let done = tokio::select! {
        done = work(&host) => done,
        // To be told to end is no failure of a command that would go on for ever.
        () = stop_signal() => Ok(()),
    };
    host.shutdown().await?;
    done
}

pub(super) async fn call(global: &Global, arguments: CallArguments) -> Result<()> {
    let CallArguments { group, member, called, file } = arguments;
    let request = file.read(DIRECT_MESSAGE_BYTES_MAX).context("calling")?;
    with_host(global, async |host| {
        let group = find_group(host, &group).await?;
        let direct = open(global, &group, &member, &format!("{CALL}{called}")).await?;
        let mut responses =
            direct.call(called.as_str(), request).within(global.timeout).responses();
        while let Some(response) = responses.next().await {
            print(global, &response.with_context(|| format!("calling {called}"))?)?;
        }
        Ok(())
    })
    .await
}

fn print(global: &Global, response: &DirectMessage) -> Result<()> {
    let text = String::from_utf8_lossy(&response.payload);
    match global.json {
        true => output::line(json!({ "payload": text, "media_type": response.media_type })),
        false => output::bytes(&response.payload),
    }
}

pub(super) async fn serve(global: &Global, arguments: ServeArguments) -> Result<()> {
    let ServeArguments { group, served, role, command } = arguments;
    stay(global, async |host| {
        let group = find_group(host, &group).await?;
        let command = Arc::new(command);
        let handler = move |request: peergraph::CallRequest| {
            let command = command.clone();
            async move {
                let run = tokio::task::spawn_blocking(move || answer(&command, &request.payload));
                match run.await {
                    Ok(Ok(response)) => Ok(response),
                    // The fault is nobody's business at the other end.
                    Ok(Err(error)) => {
                        note!("peergraph: answering a call: {error:#}");
                        Err("the command failed".to_owned())
                    }
                    Err(_) => Err("the command failed".to_owned()),
                }
            }
        };
        let _serving = group.serve(served.as_str(), handler).await.context("serving")?;
        note!("Serving {served}; Ctrl-C ends.");
        admit(group, format!("{CALL}{served}"), role, hold).await.context("serving")
    })
    .await
}

/// Keeps a direct link until its other end closes it.
fn hold(direct: Direct) {
    drop(tokio::spawn(async move { direct.closed().await }));
}

/// Runs a command with a request as its input. Its output is the response.
fn answer(command: &[String], request: &[u8]) -> Result<Vec<u8>> {
    use std::io::{Read as _, Write as _};
    let (program, arguments) = command.split_first().context("no command")?;
    let mut child = Command::new(program);
    let child = child.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = child.spawn().with_context(|| format!("running {program}"))?;
    let mut output = Vec::new();
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // A program that needs no input does not read it.
            let _ = stdin.map(|mut stdin| stdin.write_all(request));
        });
        let most = DIRECT_MESSAGE_BYTES_MAX as u64 + 1;
        stdout.map_or(Ok(0), |stdout| stdout.take(most).read_to_end(&mut output))
    })?;
    let status = child.wait()?;
    if output.len() > DIRECT_MESSAGE_BYTES_MAX {
        bail!("{program} says more than {DIRECT_MESSAGE_BYTES_MAX} bytes");
    }
    if !status.success() {
        bail!("{program}: {status}");
    }
    Ok(output)
}

pub(super) async fn pipe(global: &Global, arguments: PipeArguments) -> Result<()> {
    let PipeArguments { group, member, listen } = arguments;
    if listen {
        return stay(global, async |host| {
            let group = find_group(host, &group).await?;
            note!("Waiting; Ctrl-C ends.");
            let direct = first_pipe(&group, member.as_deref()).await?.accept().await;
            let direct = direct.context("joining")?;
            let first = direct.streams().next().await;
            let (_, stream) = first.context("the other end has left")?.context("joining")?;
            join(stream).await?;
            direct.closed().await;
            Ok(())
        })
        .await;
    }
    let member = member.context("give a member")?;
    with_host(global, async |host| {
        let group = find_group(host, &group).await?;
        let direct = open(global, &group, &member, PIPE).await?;
        let stream = direct.stream(PIPE).await.context("joining")?;
        join(stream).await
    })
    .await
}

/// The first request for a pipe, of this member if one is named.
async fn first_pipe(group: &Group, wanted: Option<&str>) -> Result<DirectRequest> {
    let mut requests = group.direct_requests();
    while let Some(request) = requests.next().await {
        let members = group.members().await.context("listing members")?;
        let meant = match wanted {
            Some(wanted) => find_member(&members, wanted).is_ok_and(|it| it.peer == request.peer()),
            None => true,
        };
        if request.purpose() == PIPE && meant {
            return Ok(request);
        }
    }
    bail!("the host has ended")
}

/// Joins standard input and output to a stream, until both have ended.
async fn join(stream: DirectStream) -> Result<()> {
    let (mut read, mut write) = tokio::io::split(stream);
    let mut input = input::pieces(DIRECT_WRITE_BYTES_MAX);
    let there = async {
        while let Some(piece) = input.recv().await {
            let piece = piece.context("reading standard input")?;
            if piece.is_empty() {
                break;
            }
            write.write_all(&piece).await.context("sending")?;
        }
        write.shutdown().await.context("sending")
    };
    let here = async {
        let mut piece = vec![0; DIRECT_WRITE_BYTES_MAX];
        loop {
            let many = read.read(&mut piece).await.context("receiving")?;
            if many == 0 {
                return Ok(());
            }
            output::bytes(&piece[..many])?;
        }
    };
    tokio::try_join!(there, here).map(drop)
}

pub(super) async fn forward(global: &Global, arguments: ForwardArguments) -> Result<()> {
    let ForwardArguments { group, port, from, listen, to, role } = arguments;
    let purpose = format!("{FORWARD}{port}");
    stay(global, async |host| {
        let group = find_group(host, &group).await?;
        let (Some(member), Some(listen)) = (from, listen) else {
            let to = to.context("give --to ADDRESS, or --from MEMBER")?;
            note!("Offering {to} as {port}; Ctrl-C ends.");
            let serve = move |direct: Direct| drop(tokio::spawn(serve_port(direct, to)));
            return admit(group, purpose, role, serve).await.context("forwarding");
        };
        let direct = open(global, &group, &member, &purpose).await?;
        let listener = TcpListener::bind(listen).await;
        let listener = listener.with_context(|| format!("listening at {listen}"))?;
        note!("Forwarding {} to {port} of {member}; Ctrl-C ends.", listener.local_addr()?);
        loop {
            let socket = tokio::select! {
                socket = listener.accept() => socket.context("forwarding")?.0,
                why = direct.closed() => bail!("forwarding: {why}"),
            };
            // Too many at one time are refused, as by a port that is busy.
            if let Ok(stream) = direct.stream(port.as_str()).await {
                drop(tokio::spawn(splice(socket, stream)));
            }
        }
    })
    .await
}

/// Joins each stream of a direct link to a port of its own.
async fn serve_port(direct: Direct, to: SocketAddr) {
    let mut streams = direct.streams();
    while let Some(Ok((_, stream))) = streams.next().await {
        drop(tokio::spawn(async move {
            if let Ok(socket) = TcpStream::connect(to).await {
                splice(socket, stream).await;
            }
        }));
    }
}

async fn splice(mut socket: TcpStream, mut stream: DirectStream) {
    // Either end may close or break off at any time.
    let _ = tokio::io::copy_bidirectional(&mut socket, &mut stream).await;
}
