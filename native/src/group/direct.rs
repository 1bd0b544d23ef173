//! Direct links to other members: messages, calls and streams between two nodes.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::stream::unfold;
use futures::{Stream, StreamExt as _};
use peergraph_core::error::Error;
use peergraph_core::id::{GroupId, NodeId, PeerId};
use peergraph_core::io::{
    Command, DirectAdmit, DirectChange, DirectCommand, DirectError, DirectId, DirectInfo,
    DirectMessage, DirectState, DirectTo, Event, Reply,
};
use peergraph_core::record::RecordType;

use super::{Group, Payload};
use crate::requests::{CommandError, Requests, WRONG_REPLY};
use crate::secret;
use crate::watch::Registry;

mod calls;
mod stream;

pub use calls::{Call, CallRequest, Calls, IncomingCall, Responses, Serving};
pub use stream::{DirectStream, IncomingStreams};

/// The other end of a direct link that is to be opened: a member ([`PeerId`]), whichever of its nodes is here, or one node
/// ([`NodeId`]).
pub trait IntoDirectTo {
    /// It.
    fn into_direct_to(self) -> DirectTo;
}

impl IntoDirectTo for PeerId {
    fn into_direct_to(self) -> DirectTo {
        DirectTo::Peer(self)
    }
}
impl IntoDirectTo for NodeId {
    fn into_direct_to(self) -> DirectTo {
        DirectTo::Node(self)
    }
}
impl IntoDirectTo for DirectTo {
    fn into_direct_to(self) -> DirectTo {
        self
    }
}

/// A direct link to another member's node. Cheap to clone; it is closed when the last clone, and all streams and calls of it,
/// are dropped.
#[derive(Clone, Debug)]
pub struct Direct {
    open: Arc<Open>,
    info: Arc<DirectInfo>,
}

/// The hold on a direct link: it is closed when this is dropped.
#[derive(Debug)]
struct Open {
    id: DirectId,
    requests: Requests,
    registry: Arc<Registry>,
}

impl Open {
    async fn ask(&self, command: DirectCommand) -> Result<Reply, CommandError> {
        self.requests.ask(Command::Direct(command)).await
    }

    /// The same for what may wait long.
    async fn wait(&self, command: DirectCommand) -> Result<Reply, CommandError> {
        let _place = self.requests.place_to_follow()?;
        self.ask(command).await
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.requests.tell(Command::Direct(DirectCommand::Close { id: self.id }));
    }
}

impl Group {
    /// Opens a direct link to another member: `group.direct(member, "chess").await?`. The other end is asked, see
    /// [`direct_requests`](Self::direct_requests) and [`admit_directs`](Self::admit_directs); at most 256 bytes tell it what
    /// for. It goes over whatever link joins the two nodes, or over one that is found for it, end to end; it carries no
    /// records, and its node is no neighbour by it.
    ///
    /// # Errors
    /// [`Error::Direct`] tells why not: nobody is there, there is no way, the other end refuses or does not answer.
    pub async fn direct(
        &self,
        to: impl IntoDirectTo,
        purpose: impl Into<String>,
    ) -> Result<Direct, CommandError> {
        let mut name = [0; 8];
        secret::fill(&mut name);
        let id = DirectId(u64::from_le_bytes(name));
        // From here on it is closed, whether the answer comes or nobody waits for it any longer.
        let open = self.hold(id);
        let (to, purpose) = (to.into_direct_to(), purpose.into());
        let ask = DirectCommand::Open { id, group: self.id, to, purpose };
        let Reply::Direct(info) = open.wait(ask).await? else { unreachable!("{WRONG_REPLY}") };
        Ok(Direct { open: Arc::new(open), info: Arc::new(info) })
    }

    fn hold(&self, id: DirectId) -> Open {
        let (requests, registry) = (self.requests.clone(), self.registry.clone());
        Open { id, requests, registry }
    }

    /// Decides who may open direct links to this node in this group, until the host ends. At first each
    /// [asks](Self::direct_requests).
    ///
    /// # Errors
    /// If the host has ended.
    pub async fn admit_directs(&self, admit: DirectAdmit) -> Result<(), CommandError> {
        let admit = DirectCommand::Admit { group: self.id, admit };
        self.requests.ask(Command::Direct(admit)).await.map(drop)
    }

    /// The requests of others for direct links, from now on. One that nobody answers within
    /// [`DIRECT_ANSWER_WITHIN`](peergraph_core::limits::DIRECT_ANSWER_WITHIN) is refused.
    #[must_use]
    pub fn direct_requests(&self) -> DirectRequests {
        let group = self.clone();
        let requests = self.direct_events().filter_map(move |(info, change)| {
            let request = DirectRequest { group: group.clone(), info };
            std::future::ready((change == DirectChange::Asked).then_some(request))
        });
        DirectRequests(Box::pin(requests))
    }

    /// The direct links that others open to this node, from now on, and that a [policy](Self::admit_directs) admits. Drop what
    /// is not wanted.
    #[must_use]
    pub fn incoming_directs(&self) -> IncomingDirects {
        let group = self.clone();
        let opened = self.direct_events().filter_map(move |(info, change)| {
            let theirs = change == DirectChange::Connected && !info.ours;
            let direct = theirs
                .then(|| Direct { open: Arc::new(group.hold(info.id)), info: Arc::new(info) });
            std::future::ready(direct)
        });
        IncomingDirects(Box::pin(opened))
    }

    fn direct_events(&self) -> impl Stream<Item = (DirectInfo, DirectChange)> + Send + use<> {
        let group = self.id;
        self.registry.events().filter_map(move |event| {
            let of = if let Event::Direct { direct, change } = event {
                (direct.group == group).then_some((direct, change))
            } else {
                None
            };
            std::future::ready(of)
        })
    }

    /// The direct links of this group, those included that are being opened.
    ///
    /// # Errors
    /// If the host has ended.
    pub async fn directs(&self) -> Result<Vec<DirectInfo>, CommandError> {
        let Reply::Directs(mut all) =
            self.requests.ask(Command::Direct(DirectCommand::List)).await?
        else {
            unreachable!("{WRONG_REPLY}")
        };
        all.retain(|info| info.group == self.id);
        Ok(all)
    }
}

/// Requests for direct links, as they come. Ends when the host does.
pub struct DirectRequests(Pin<Box<dyn Stream<Item = DirectRequest> + Send>>);

/// Direct links that others have opened, as they come. Ends when the host does.
pub struct IncomingDirects(Pin<Box<dyn Stream<Item = Direct> + Send>>);

/// Messages of the other end of a direct link, in order. Ends when the direct link is closed; with an error if it is lost.
pub struct DirectMessages(Pin<Box<dyn Stream<Item = Result<DirectMessage, CommandError>> + Send>>);

macro_rules! stream_of {
    ($name:ident, $item:ty) => {
        impl Stream for $name {
            type Item = $item;

            fn poll_next(
                mut self: Pin<&mut Self>,
                context: &mut Context<'_>,
            ) -> Poll<Option<Self::Item>> {
                self.0.as_mut().poll_next(context)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    };
}
use stream_of;

stream_of!(DirectRequests, DirectRequest);
stream_of!(IncomingDirects, Direct);
stream_of!(DirectMessages, Result<DirectMessage, CommandError>);

/// A request for a direct link. One that is dropped is left to others who listen.
#[derive(Clone, Debug)]
pub struct DirectRequest {
    group: Group,
    info: DirectInfo,
}

impl DirectRequest {
    /// The member that asks. It has proved to be that member.
    #[must_use]
    pub fn peer(&self) -> PeerId {
        self.info.peer
    }

    /// Its node.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.info.node
    }

    /// Its purpose, in the words of that member.
    #[must_use]
    pub fn purpose(&self) -> &str {
        &self.info.purpose
    }

    /// Agrees.
    ///
    /// # Errors
    /// [`DirectError::Unknown`] if it is asked no longer.
    pub async fn accept(self) -> Result<Direct, CommandError> {
        let Self { group, mut info } = self;
        let open = group.hold(info.id);
        open.ask(DirectCommand::Accept { id: info.id }).await?;
        info.state = DirectState::Open;
        Ok(Direct { open: Arc::new(open), info: Arc::new(info) })
    }

    /// Refuses, with words of at most 256 bytes.
    ///
    /// # Errors
    /// [`DirectError::Unknown`] if it is asked no longer.
    pub async fn refuse(self, why: impl Into<String>) -> Result<(), CommandError> {
        let refuse = DirectCommand::Refuse { id: self.info.id, why: why.into() };
        self.group.requests.ask(Command::Direct(refuse)).await.map(drop)
    }
}

impl Direct {
    /// Its name here.
    #[must_use]
    pub fn id(&self) -> DirectId {
        self.info.id
    }

    /// The group.
    #[must_use]
    pub fn group(&self) -> GroupId {
        self.info.group
    }

    /// The member at its other end.
    #[must_use]
    pub fn peer(&self) -> PeerId {
        self.info.peer
    }

    /// Its node.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.info.node
    }

    /// Its purpose, in the words of the end that has opened it.
    #[must_use]
    pub fn purpose(&self) -> &str {
        &self.info.purpose
    }

    /// Sends a message: `direct.send("move", "e4").await?`. Done once the other node has it. Messages come in the order in which
    /// they are awaited, each once; at most 64 KiB, use a [`stream`](Self::stream) for more. While the other application
    /// takes none, it waits.
    pub fn send(&self, kind: impl Into<String>, payload: impl Payload) -> SendDirect {
        SendDirect {
            open: self.open.clone(),
            kind: kind.into(),
            message: DirectMessage { payload: payload.into_payload(), ..DirectMessage::default() },
            latest: false,
        }
    }

    /// The messages of the other end. Of two who wait for the next one, the earlier fails.
    #[must_use]
    pub fn messages(&self) -> DirectMessages {
        let id = self.info.id;
        let messages = unfold(Some(self.open.clone()), move |open| async move {
            let open = open?;
            match open.wait(DirectCommand::Receive { id }).await {
                Ok(Reply::Message(message)) => Some((Ok(message), Some(open))),
                Ok(_) => unreachable!("{WRONG_REPLY}"),
                Err(error) => (!is_closed(&error)).then_some((Err(error), None)),
            }
        });
        DirectMessages(Box::pin(messages))
    }

    /// Waits until the direct link is over. Answers why.
    pub async fn closed(&self) -> DirectError {
        let id = self.info.id;
        let mut events = self.open.registry.events();
        let known = self.open.ask(DirectCommand::List).await;
        if !matches!(known, Ok(Reply::Directs(all)) if all.iter().any(|info| info.id == id)) {
            return DirectError::Unknown;
        }
        while let Some(event) = events.next().await {
            if let Event::Direct { direct, change: DirectChange::Closed(why) } = event
                && direct.id == id
            {
                return why;
            }
        }
        DirectError::Lost
    }

    /// Closes it, whatever clones there are. The other end is told.
    ///
    /// # Errors
    /// [`DirectError::Unknown`] if it is over already.
    pub async fn close(&self) -> Result<(), CommandError> {
        self.open.ask(DirectCommand::Close { id: self.info.id }).await.map(drop)
    }
}

/// Whether a direct link has ended as it should.
fn is_closed(error: &CommandError) -> bool {
    let CommandError::Node(Error::Direct(error)) = error else { return false };
    matches!(error, DirectError::Closed | DirectError::ClosedThere | DirectError::Unknown)
}

/// A message on its way; `.await` sends it.
#[derive(Debug)]
#[must_use = "nothing is sent before it is awaited"]
pub struct SendDirect {
    open: Arc<Open>,
    kind: String,
    message: DirectMessage,
    latest: bool,
}

impl SendDirect {
    /// Says which form the payload has, such as `application/json`: pages read that as a value.
    pub fn media_type(mut self, media_type: impl Into<String>) -> Self {
        self.message.media_type = Some(media_type.into());
        self
    }

    /// Only the latest message of its type counts: it takes the place of one that is not yet sent or taken, and is not waited
    /// for.
    pub fn latest_only(mut self) -> Self {
        self.latest = true;
        self
    }
}

impl IntoFuture for SendDirect {
    type Output = Result<(), CommandError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { open, kind, mut message, latest } = self;
        Box::pin(async move {
            let kind = RecordType::new(&kind).map_err(|bad| Error::BadRecord(bad.into()))?;
            message.kind = Some(kind);
            let _place = open.requests.place_to_send().await;
            open.ask(DirectCommand::Send { id: open.id, message, latest }).await.map(drop)
        })
    }
}

/// The payload of a request or response.
fn spoken(payload: Bytes, media_type: Option<String>) -> DirectMessage {
    DirectMessage { kind: None, payload, media_type }
}
