//! The end of the program that runs the host.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use peergraph_core::error::Error;
use peergraph_core::id::GroupId;
use peergraph_core::io::{
    Command, DirectCommand, DirectId, Event, GroupCommand, QueryId, Reply, StoreReply, StoreTask,
};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;

use super::frames::{self, Reader};
use super::{Ask, CALLS_MAX, CONNECTIONS_MAX, Listening, Tell, VERSION, WATCHED_MAX};
use crate::addresses::Addresses;
use crate::delivery::Delivery;
use crate::requests::{CommandError, WeakRequests};
use crate::watch::{Feed, Guest, Next, Registry};

/// Entries of the store that are read at once. Guess: each may hold the longest record.
const SCAN_MAX: u32 = 64;

/// The host to which a connection leads. It does not keep the host alive.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    pub(crate) requests: WeakRequests,
    pub(crate) registry: Arc<Registry>,
    pub(crate) addresses: Arc<Addresses>,
}

/// Serves other programs for as long as it is polled. Takes no further ones once the door is closed.
pub(crate) async fn serve(listening: Listening, port: Port) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = room.clone().acquire_owned().await.expect("it is never closed");
        let accepted = tokio::select! {
            accepted = listening.accept() => accepted,
            () = port.registry.door_closed() => return,
        };
        match accepted {
            Ok(stream) => {
                let port = port.clone();
                let Some(guest) = Guest::enter(port.registry.clone()) else { return };
                tokio::spawn(async move {
                    if let Err(error) = connection(stream, port, guest).await {
                        tracing::debug!(%error, "a program that used this one has gone");
                    }
                    drop(place);
                });
            }
            // Too many open files, for one: it may be better later.
            Err(error) => {
                tracing::warn!(%error, "other programs do not reach this one");
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
        }
    }
}

type Answers = FuturesUnordered<BoxFuture<'static, Option<(u64, Answer)>>>;

enum Answer {
    Reply(Box<Result<Reply, Error>>),
    Entries(Result<StoreReply, peergraph_core::io::StoreFault>),
    Watching,
    /// None is owed.
    Kept,
}

async fn connection(stream: UnixStream, port: Port, guest: Guest) -> io::Result<()> {
    let mut guest = Some(guest);
    let (mut read, mut write) = stream.into_split();
    if frames::hello(&mut read, &mut write).await? != VERSION {
        return Ok(());
    }
    let mut asks = Reader::new(read);
    let feed = port.registry.feed_of_many();
    let mut events = port.registry.events();
    let (followed, mut answers) = (Delivery::telling(), Answers::new());
    let mut opened = Opened::by(port.requests.clone());
    let addresses = port.addresses.own();
    let (http, nodes) = (port.addresses.http.clone(), port.registry.nodes());
    frames::write(&mut write, &Tell::About { addresses, http, nodes }).await?;
    loop {
        // An answer goes before the news that its record is held, and calls begin in their order.
        let tell = tokio::select! {
            biased;
            Some(answer) = answers.next(), if !answers.is_empty() => match answer {
                Some((call, answer)) => told(&mut write, call, answer).await?,
                // The host ends.
                None => return Ok(()),
            },
            records = followed.next_held() => Some(Tell::Held { records }),
            ask = asks.next(), if answers.len() < CALLS_MAX => match ask? {
                Some(ask) => {
                    if matches!(ask, Ask::Watch { .. }) {
                        // It goes on by itself when this program ends.
                        drop(guest.take());
                    }
                    opened.note(&ask);
                    begin(ask, &port, &feed, &followed, &answers)
                }
                None => return Ok(()),
            },
            tell = next_record(&feed) => match tell {
                Some(tell) => Some(tell),
                None => return Ok(()),
            },
            event = events.next() => match event {
                Some(Event::Record { .. }) => None,
                Some(event) => Some(Tell::Event(event)),
                None => return Ok(()),
            },
        };
        if let Some(tell) = tell {
            frames::write(&mut write, &tell).await?;
        }
    }
}

/// The queries, direct links and served names of the other program. All of these end with it.
struct Opened {
    requests: WeakRequests,
    queries: BTreeSet<(GroupId, QueryId)>,
    directs: BTreeSet<DirectId>,
    served: BTreeSet<(GroupId, String)>,
}

impl Opened {
    fn by(requests: WeakRequests) -> Self {
        let (queries, directs, served) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        Self { requests, queries, directs, served }
    }

    fn note(&mut self, ask: &Ask) {
        let Ask::Call { command, .. } = ask else { return };
        if let Command::Group(group, GroupCommand::Query { id, .. }) = &**command {
            self.queries.insert((*group, *id));
        } else if let Command::Group(group, GroupCommand::EndQuery { query }) = &**command {
            self.queries.remove(&(*group, *query));
        } else if let Command::Direct(command) = &**command {
            self.note_direct(command);
        }
    }

    fn note_direct(&mut self, command: &DirectCommand) {
        if let DirectCommand::Open { id, .. } | DirectCommand::Accept { id } = command {
            self.directs.insert(*id);
        } else if let DirectCommand::Close { id } = command {
            self.directs.remove(id);
        } else if let DirectCommand::Serve { group, name } = command {
            self.served.insert((*group, name.clone()));
        } else if let DirectCommand::StopServing { group, name } = command {
            self.served.remove(&(*group, name.clone()));
        }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let Some(requests) = self.requests.upgrade() else { return };
        for &(group, query) in &self.queries {
            requests.tell(Command::Group(group, GroupCommand::EndQuery { query }));
        }
        for &id in &self.directs {
            requests.tell(Command::Direct(DirectCommand::Close { id }));
        }
        for (group, name) in std::mem::take(&mut self.served) {
            requests.tell(Command::Direct(DirectCommand::StopServing { group, name }));
        }
    }
}

/// Begins what is asked; what can be said at once is the answer.
fn begin(
    ask: Ask,
    port: &Port,
    feed: &Arc<Feed>,
    followed: &Delivery,
    answers: &Answers,
) -> Option<Tell> {
    let requests = port.requests.clone();
    let answer: BoxFuture<'static, Option<(u64, Answer)>> = match ask {
        Ask::Call { call, command, follow } => {
            let followed = follow.then(|| followed.clone());
            async move {
                let requests = requests.upgrade()?;
                let result =
                    if let Command::Group(group, GroupCommand::Publish { draft }) = *command {
                        // In turn with those of this program's own.
                        let record = requests.publish(group, draft, followed).await;
                        record.map(|record| Reply::Record(Box::new(record)))
                    } else if let Command::Close = *command {
                        // It ends the host, which is for the program that runs it.
                        Err(CommandError::Node(Error::Busy))
                    } else {
                        requests.ask_tracked(*command, followed).await
                    };
                let result = match result {
                    Ok(reply) => Ok(reply),
                    Err(CommandError::Node(error)) => Err(error),
                    Err(_) => return None,
                };
                Some((call, Answer::Reply(Box::new(result))))
            }
            .boxed()
        }
        Ask::Scan { call, from, to, limit } => async move {
            let limit = limit.clamp(1, SCAN_MAX) as usize;
            let task = StoreTask::Scan { from, to, limit };
            let result = requests.upgrade()?.scan(task).await.ok()?;
            Some((call, Answer::Entries(result)))
        }
        .boxed(),
        Ask::Watch { call, group } => {
            feed.add(group, WATCHED_MAX);
            std::future::ready(Some((call, Answer::Watching))).boxed()
        }
        Ask::Keep { node } => {
            let keep = async move { requests.upgrade()?.keep(node).await.ok() };
            keep.map(|kept| kept.map(|()| (0, Answer::Kept))).boxed()
        }
    };
    answers.push(answer);
    None
}

/// Sends an answer; a page record by record, so that no frame holds all of them.
async fn told(
    write: &mut (impl tokio::io::AsyncWrite + Unpin),
    call: u64,
    answer: Answer,
) -> io::Result<Option<Tell>> {
    Ok(Some(match answer {
        Answer::Reply(mut result) => {
            let (mut rows, mut placed) = (Vec::new(), Vec::new());
            if let Ok(Reply::Records { records, .. }) = &mut *result {
                rows = std::mem::take(records);
            } else if let Ok(Reply::Found(found)) = &mut *result {
                rows = std::mem::take(&mut found.records);
            } else if let Ok(Reply::Changes(changes)) = &mut *result {
                placed = std::mem::take(&mut changes.placed);
            }
            for record in rows.into_iter().map(Box::new) {
                frames::write(write, &Tell::Row { call, record }).await?;
            }
            for placed in placed.into_iter().map(Box::new) {
                frames::write(write, &Tell::Placed { call, placed }).await?;
            }
            Tell::Done { call, result: *result }
        }
        Answer::Entries(Ok(StoreReply::Entries(entries))) => {
            for (key, value) in entries {
                frames::write(write, &Tell::Entry { call, key, value }).await?;
            }
            Tell::Entries { call, result: Ok(()) }
        }
        Answer::Entries(Ok(_)) => Tell::Entries { call, result: Ok(()) },
        Answer::Entries(Err(fault)) => Tell::Entries { call, result: Err(fault) },
        Answer::Watching => Tell::Watching { call },
        Answer::Kept => return Ok(None),
    }))
}

/// The next record of the groups that are watched. Nothing once the host has ended.
async fn next_record(feed: &Feed) -> Option<Tell> {
    loop {
        match feed.next() {
            Next::Record(group, record) => {
                return Some(Tell::Record { group, record: Box::new(record) });
            }
            Next::Stored(group, id) => return Some(Tell::Changed { group, id }),
            Next::Nothing => feed.changed().await,
            Next::Closed => return None,
        }
    }
}
