//! The end of a program that uses a running host.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use peergraph_core::address::Address;
use peergraph_core::error::Error;
use peergraph_core::io::{
    Command, Event, NodeState, Placed, Reply, StoreFault, StoreReply, StoreTask,
};
use peergraph_core::node_url::NodeUrl;
use peergraph_core::record::Record;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};

use super::frames::{self, Reader};
use super::{Ask, Tell, VERSION, socket};
use crate::delivery::Delivery;
use crate::requests::Request;
use crate::watch::Registry;

/// Why a running program is not used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// It does not answer, or not what it should.
    #[error("it does not let other programs use it ({0})")]
    Io(#[from] io::Error),
    /// It is of another version.
    #[error("it is of another version of Peergraph: stop it, or use the same version")]
    Version,
}

/// A connection to the running program, and what that said of itself.
pub(crate) struct Attached {
    reader: Reader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    pub(crate) addresses: Vec<Address>,
    pub(crate) http: Vec<SocketAddr>,
    pub(crate) nodes: Vec<(NodeUrl, NodeState)>,
}

/// Connects to the program that runs a host with the identity of this folder.
pub(crate) async fn attach(folder: &Path) -> Result<Attached, AttachError> {
    let (mut read, mut writer) = socket::connect(folder).await?.into_split();
    if frames::hello(&mut read, &mut writer).await? != VERSION {
        return Err(AttachError::Version);
    }
    let mut reader = Reader::new(read);
    let hello = tokio::time::timeout(super::HELLO_TIMEOUT, reader.next()).await;
    match hello.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?? {
        Some(Tell::About { addresses, http, nodes }) => {
            Ok(Attached { reader, writer, addresses, http, nodes })
        }
        Some(_) | None => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
    }
}

/// A caller that waits for an answer.
enum Waiting {
    Reply {
        reply: oneshot::Sender<Result<Reply, Error>>,
        delivery: Option<Delivery>,
        rows: Vec<Record>,
        placed: Vec<Placed>,
    },
    Entries {
        reply: oneshot::Sender<Result<StoreReply, StoreFault>>,
        rows: Vec<(Bytes, Bytes)>,
    },
    Watching(oneshot::Sender<()>),
}

type Calls = RefCell<BTreeMap<u64, Waiting>>;

impl Attached {
    /// Carries requests and news until the handles are gone, one of them ends it, or the other program ends.
    pub(crate) async fn run(self, mut requests: mpsc::Receiver<Request>, registry: Arc<Registry>) {
        let Self { mut reader, mut writer, .. } = self;
        let calls = Calls::default();
        let asking = async {
            let mut call = 0;
            while let Some(request) = requests.recv().await {
                call += 1;
                let Some(ask) = ask(call, request, &calls, &registry) else { return Ok(()) };
                frames::write(&mut writer, &ask).await?;
            }
            io::Result::Ok(())
        };
        let telling = async {
            while let Some(tell) = reader.next().await? {
                tell_on(tell, &calls, &registry);
            }
            io::Result::Ok(())
        };
        let ended = tokio::select! {
            ended = asking => ended,
            ended = telling => ended,
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "the program that was used has gone");
        }
        registry.close();
    }
}

/// The message that passes a request to the other program. Nothing if the request ends this
/// program.
fn ask(call: u64, request: Request, calls: &Calls, registry: &Registry) -> Option<Ask> {
    let (waiting, ask) = match request {
        Request::Command { command, reply, delivery } => {
            if let Command::Connect { node } = &*command {
                registry.trying(node);
            }
            let follow = delivery.is_some();
            let (rows, placed) = (Vec::new(), Vec::new());
            let waiting = Waiting::Reply { reply, delivery, rows, placed };
            (waiting, Ask::Call { call, command, follow })
        }
        Request::Scan { task: StoreTask::Scan { from, to, limit }, reply } => {
            let limit = u32::try_from(limit).unwrap_or(u32::MAX);
            (Waiting::Entries { reply, rows: Vec::new() }, Ask::Scan { call, from, to, limit })
        }
        Request::Scan { task: StoreTask::Read { .. } | StoreTask::Write { .. }, .. } => {
            unreachable!("handles scan, and nothing else")
        }
        Request::Watch { group, reply } => (Waiting::Watching(reply), Ask::Watch { call, group }),
        Request::Keep(node) => return Some(Ask::Keep { node }),
        Request::Shutdown => return None,
    };
    calls.borrow_mut().insert(call, waiting);
    Some(ask)
}

/// Hands on a message of the other program. The caller may have gone.
fn tell_on(tell: Tell, calls: &Calls, registry: &Registry) {
    let mut calls = calls.borrow_mut();
    match tell {
        Tell::Row { call, record } => {
            if let Some(Waiting::Reply { rows, .. }) = calls.get_mut(&call) {
                rows.push(*record);
            }
        }
        Tell::Placed { call, placed: one } => {
            if let Some(Waiting::Reply { placed, .. }) = calls.get_mut(&call) {
                placed.push(*one);
            }
        }
        Tell::Entry { call, key, value } => {
            if let Some(Waiting::Entries { rows, .. }) = calls.get_mut(&call) {
                rows.push((key, value));
            }
        }
        Tell::Done { call, mut result } => {
            let Some(Waiting::Reply { reply, delivery, rows, placed }) = calls.remove(&call) else {
                return;
            };
            if let Ok(Reply::Records { records, .. }) = &mut result {
                *records = rows;
            } else if let Ok(Reply::Found(found)) = &mut result {
                found.records = rows;
            } else if let Ok(Reply::Changes(changes)) = &mut result {
                changes.placed = placed;
            }
            if let (Some(delivery), Ok(Reply::Record(record))) = (delivery, &result) {
                registry.track(&delivery, record.id);
            }
            let _ = reply.send(result);
        }
        Tell::Entries { call, result } => {
            let Some(Waiting::Entries { reply, rows }) = calls.remove(&call) else { return };
            let _ = reply.send(result.map(|()| StoreReply::Entries(rows)));
        }
        Tell::Watching { call } => {
            let Some(Waiting::Watching(reply)) = calls.remove(&call) else { return };
            let _ = reply.send(());
        }
        Tell::Record { group, record } => registry.tell(Event::Record { group, record }),
        Tell::Changed { group, id } => registry.changed(group, id),
        Tell::Held { records } => records.into_iter().for_each(|id| registry.sent(id)),
        Tell::Event(event) => registry.tell(event),
        Tell::About { .. } => {}
    }
}
