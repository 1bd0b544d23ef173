//! Messages to all who are here, which nobody stores.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use peergraph_core::error::Error;
use peergraph_core::id::{NodeId, PeerId};
use peergraph_core::io::{Command, Event, GroupCommand};
use peergraph_core::record::RecordType;

use super::{Group, Payload};
use crate::requests::CommandError;

/// A message of another node to all who are here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Broadcast {
    /// The member who sent it.
    pub peer: PeerId,
    /// Its node.
    pub node: NodeId,
    /// The type, such as `cursor`.
    pub kind: RecordType,
    /// The content. Chosen by its sender: never trust it.
    pub payload: Bytes,
    /// The form of the content, such as `application/json`, if its sender says so.
    pub media_type: Option<String>,
}

/// A message on its way; `.await` sends it.
#[derive(Debug)]
#[must_use = "nothing is sent before it is awaited"]
pub struct SendBroadcast {
    group: Group,
    kind: String,
    payload: Bytes,
    media_type: Option<String>,
}

impl SendBroadcast {
    /// Says which form the payload has, such as `application/json`: pages read that as a value.
    pub fn media_type(mut self, media_type: impl Into<String>) -> Self {
        self.media_type = Some(media_type.into());
        self
    }
}

impl IntoFuture for SendBroadcast {
    type Output = Result<(), CommandError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { group, kind, payload, media_type } = self;
        Box::pin(async move {
            let kind = RecordType::new(&kind).map_err(|bad| Error::BadRecord(bad.into()))?;
            let broadcast = GroupCommand::Broadcast { kind, payload, media_type };
            group.requests.ask(Command::Group(group.id, broadcast)).await.map(drop)
        })
    }
}

/// Messages to all who are here, as they come. A listener that is more than 1,024 events late loses the oldest. Ends when the
/// host does.
pub struct Broadcasts(Pin<Box<dyn Stream<Item = Broadcast> + Send>>);

impl Stream for Broadcasts {
    type Item = Broadcast;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Broadcast>> {
        self.0.as_mut().poll_next(context)
    }
}

impl std::fmt::Debug for Broadcasts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Broadcasts")
    }
}

impl Group {
    /// Sends a message to all members who are here, and stores it nowhere: `group.broadcast("cursor", "3,4").await?`. It comes
    /// at most once, and may get lost; publish a record if it must not. Members who may publish records of a type may send
    /// messages of it.
    ///
    /// Awaiting it fails with [`Error::Busy`] if this node sends more than
    /// [`BROADCASTS_PER_SECOND`](peergraph_core::limits::BROADCASTS_PER_SECOND) allows a member, and with
    /// [`Error::BroadcastTooLong`].
    pub fn broadcast(&self, kind: impl Into<String>, payload: impl Payload) -> SendBroadcast {
        let (kind, payload) = (kind.into(), payload.into_payload());
        SendBroadcast { group: self.clone(), kind, payload, media_type: None }
    }

    /// The messages of others to all who are here, from now on. A type that no record can have has none.
    #[must_use]
    pub fn broadcasts(&self, kind: &str) -> Broadcasts {
        let kind = kind.to_owned();
        self.listen(move |message| message.kind.as_str() == kind)
    }

    /// The same of every type.
    #[must_use]
    pub fn all_broadcasts(&self) -> Broadcasts {
        self.listen(|_| true)
    }

    fn listen(&self, wanted: impl Fn(&Broadcast) -> bool + Send + 'static) -> Broadcasts {
        let ours = self.id;
        let message = move |event| {
            let Event::Broadcast { group, peer, node, kind, payload, media_type } = event else {
                return std::future::ready(None);
            };
            let message = Broadcast { peer, node, kind, payload, media_type };
            std::future::ready((group == ours && wanted(&message)).then_some(message))
        };
        Broadcasts(Box::pin(self.registry.events().filter_map(message)))
    }
}
