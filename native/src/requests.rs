//! The requests of handles to the loop of a host, and why they get no answer.

use std::sync::Arc;

use peergraph_core::error::Error;
use peergraph_core::id::GroupId;
use peergraph_core::io::{
    Command, Draft, GroupCommand, GroupInfo, Reply, StoreFault, StoreReply, StoreTask,
};
use peergraph_core::node_url::NodeUrl;
use peergraph_core::record::Record;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use crate::delivery::Delivery;

/// Requests without reply at which no more are taken. Guess.
pub(crate) const REQUESTS_MAX: usize = 1_024;
/// Requests in the channel. Guess: they wait there while the loop is busy.
pub(crate) const REQUESTS_QUEUED_MAX: usize = 64;

/// Queries that are followed at one time: each waits for an answer all the time. Guess: a part of the requests above.
const FOLLOWED_MAX: usize = REQUESTS_MAX / 4;
/// The same where the loop is in another program, which takes fewer calls. Guess: a half of those.
#[cfg(unix)]
const FOLLOWED_ELSEWHERE_MAX: usize = 32;

/// Why a reply is never of another kind.
pub(crate) const WRONG_REPLY: &str = "the node answers a command with the reply that it names";

/// Why a command got no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The node says no.
    #[error(transparent)]
    Node(#[from] Error),
    /// The host has ended.
    #[error("the host has ended; start it again")]
    Stopped,
    /// The host was run by another program, which has ended.
    #[error("the program that ran in this data folder has ended; try again")]
    Left,
}

/// A request of a handle to the loop.
pub(crate) enum Request {
    /// A command for the node.
    Command {
        command: Box<Command>,
        reply: oneshot::Sender<Result<Reply, Error>>,
        /// Told when the record that the command publishes is held by a neighbour.
        delivery: Option<Delivery>,
    },
    /// Read entries of the store, as it stands.
    Scan {
        /// A [`StoreTask::Scan`].
        task: StoreTask,
        reply: oneshot::Sender<Result<StoreReply, StoreFault>>,
    },
    /// See that the records of a group are told here. In the program of the host they are anyway.
    Watch { group: GroupId, reply: oneshot::Sender<()> },
    /// Keep a node in the data folder, once it is known that it is one.
    Keep(NodeUrl),
    /// Leave, then end.
    Shutdown,
}

/// Asks the loop.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    sender: mpsc::Sender<Request>,
    stopped: watch::Receiver<()>,
    /// Kilobytes of publications that may be under way.
    room: Arc<Semaphore>,
    /// Held by the one that takes its place.
    turn: Arc<Mutex<()>>,
    /// Queries that may be followed, and what may be waited for on direct links.
    followed: Arc<Semaphore>,
    /// Places for messages of direct links that wait until the other end has them.
    sent: Arc<Semaphore>,
    /// Whether the loop is in another program.
    elsewhere: bool,
}

/// Asks the loop for as long as others keep it.
#[cfg(unix)]
#[derive(Clone, Debug)]
pub(crate) struct WeakRequests {
    sender: mpsc::WeakSender<Request>,
    stopped: watch::Receiver<()>,
    room: Arc<Semaphore>,
    turn: Arc<Mutex<()>>,
    followed: Arc<Semaphore>,
    sent: Arc<Semaphore>,
}

#[cfg(unix)]
impl WeakRequests {
    /// Nothing once the host has no handles left.
    pub(crate) fn upgrade(&self) -> Option<Requests> {
        let Self { sender, stopped, room, turn, followed, sent } = self.clone();
        Some(Requests {
            sender: sender.upgrade()?,
            stopped,
            room,
            turn,
            followed,
            sent,
            elsewhere: false,
        })
    }
}

/// Kilobytes of publications under way. Guess; fewer than may wait in the core, which refuses what is over that.
const PUBLISHING_KB_MAX: u32 = 16 * 1024;
/// The least that one publication takes: 512 of them at one time leave the loop room for other
/// requests.
const PUBLISHING_KB_LEAST: u32 = 32;
const _: () = assert!((PUBLISHING_KB_MAX / PUBLISHING_KB_LEAST) as usize <= REQUESTS_MAX / 2);

impl Requests {
    pub(crate) fn new(sender: mpsc::Sender<Request>, stopped: watch::Receiver<()>) -> Self {
        let room = Arc::new(Semaphore::new(PUBLISHING_KB_MAX as usize));
        let followed = Arc::new(Semaphore::new(FOLLOWED_MAX));
        let sent = Arc::new(Semaphore::new(FOLLOWED_MAX / 2));
        Self { sender, stopped, room, turn: Arc::default(), followed, sent, elsewhere: false }
    }

    #[cfg(unix)]
    pub(crate) fn elsewhere(self) -> Self {
        let followed = Arc::new(Semaphore::new(FOLLOWED_ELSEWHERE_MAX));
        let sent = Arc::new(Semaphore::new(FOLLOWED_ELSEWHERE_MAX / 2));
        Self { elsewhere: true, followed, sent, ..self }
    }

    #[cfg(unix)]
    pub(crate) fn weak(&self) -> WeakRequests {
        let Self { sender, stopped, room, turn, followed, sent, .. } = self.clone();
        WeakRequests { sender: sender.downgrade(), stopped, room, turn, followed, sent }
    }

    /// Why nothing is answered.
    fn gone(&self) -> CommandError {
        if self.elsewhere { CommandError::Left } else { CommandError::Stopped }
    }

    async fn send(&self, request: Request) -> Result<(), CommandError> {
        self.sender.send(request).await.map_err(|_| self.gone())
    }

    /// Ends the loop, and waits until it has ended.
    pub(crate) async fn shut_down(&self) -> Result<(), CommandError> {
        let asked = self.send(Request::Shutdown).await;
        let mut stopped = self.stopped.clone();
        // An error is the news: the other end goes when the thread does.
        while stopped.changed().await.is_ok() {}
        asked
    }

    pub(crate) async fn ask(&self, command: Command) -> Result<Reply, CommandError> {
        self.ask_tracked(command, None).await
    }

    pub(crate) async fn ask_tracked(
        &self,
        command: Command,
        delivery: Option<Delivery>,
    ) -> Result<Reply, CommandError> {
        let (reply, done) = oneshot::channel();
        let request = Request::Command { command: Box::new(command), reply, delivery };
        self.send(request).await?;
        Ok(done.await.map_err(|_| self.gone())??)
    }

    /// A place for one more message, response or piece of a stream that waits until the other end has it.
    pub(crate) async fn place_to_send(&self) -> OwnedSemaphorePermit {
        self.sent.clone().acquire_owned().await.expect("it is never closed")
    }

    /// A place for one more query that is followed, or wait on a direct link.
    pub(crate) fn place_to_follow(&self) -> Result<OwnedSemaphorePermit, CommandError> {
        self.followed.clone().try_acquire_owned().map_err(|_| CommandError::Node(Error::Busy))
    }

    /// Gives a command whose answer nobody waits for.
    pub(crate) fn tell(&self, command: Command) {
        let (reply, _) = oneshot::channel();
        let request = Request::Command { command: Box::new(command), reply, delivery: None };
        // The loop may be busy, or have ended.
        if let Err(mpsc::error::TrySendError::Full(request)) = self.sender.try_send(request)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let sender = self.sender.clone();
            drop(runtime.spawn(async move { sender.send(request).await }));
        }
    }

    /// Keeps a node for later starts, once it is known that it is one.
    pub(crate) async fn keep(&self, node: NodeUrl) -> Result<(), CommandError> {
        self.send(Request::Keep(node)).await
    }

    /// Reads entries of the store, as it stands.
    pub(crate) async fn scan(
        &self,
        task: StoreTask,
    ) -> Result<Result<StoreReply, StoreFault>, CommandError> {
        let (reply, done) = oneshot::channel();
        self.send(Request::Scan { task, reply }).await?;
        done.await.map_err(|_| self.gone())
    }

    /// Sees that the records of a group are told here.
    pub(crate) async fn watch(&self, group: GroupId) -> Result<(), CommandError> {
        let (reply, done) = oneshot::channel();
        self.send(Request::Watch { group, reply }).await?;
        done.await.map_err(|_| self.gone())
    }

    /// Publishes when there is room, and waits until that is durable. Publications take their places in the order in which
    /// they are polled first, whatever wakes when.
    pub(crate) async fn publish(
        &self,
        group: GroupId,
        draft: Draft,
        delivery: Option<Delivery>,
    ) -> Result<Record, CommandError> {
        let size = u32::try_from(draft.payload.len() / 1024).unwrap_or(u32::MAX);
        let size = size.clamp(PUBLISHING_KB_LEAST, PUBLISHING_KB_MAX);
        let (reply, done) = oneshot::channel();
        let command = Box::new(Command::Group(group, GroupCommand::Publish { draft }));
        let request = Request::Command { command, reply, delivery };
        // Tasks that wait for the turn get it in order; a budget that is used up must not keep any
        // of them from the queue.
        let place = tokio::task::unconstrained(async {
            let _turn = self.turn.lock().await;
            let room = self.room.acquire_many(size).await.expect("it is never closed");
            self.send(request).await.map(|()| room)
        });
        let _room = place.await?;
        let Reply::Record(record) = done.await.map_err(|_| self.gone())?? else {
            unreachable!("{WRONG_REPLY}")
        };
        Ok(*record)
    }

    /// The group that the node knows under this id.
    pub(crate) async fn info(&self, group: GroupId) -> Result<GroupInfo, CommandError> {
        let Reply::Groups(groups) = self.ask(Command::Groups).await? else {
            unreachable!("{WRONG_REPLY}")
        };
        let found = groups.into_iter().find(|info| info.id == group);
        found.ok_or(CommandError::Node(Error::UnknownGroup))
    }
}
