//! News and answers of the host for the application.
use crate::failure::Failure;
use futures::channel::oneshot;
use peergraph_core::error::Error;
use peergraph_core::io::{CloseReason, Event, LinkId, Reply};

/// News for the application, and answers to it, in the order in which they came.
pub(crate) enum News {
    /// From the core.
    Core(Box<Event>),
    /// A transport is being opened, is open, or is closed.
    Link { link: LinkId, state: LinkState, direct: bool, reason: Option<CloseReason> },
    /// The outcome of a request.
    Answer(Answer, Box<Result<Reply, Error>>),
    /// The last news.
    Closed(Option<Failure>),
}

/// To whom an answer goes.
pub(crate) type Answer = oneshot::Sender<Result<Reply, Error>>;

/// The state of a transport.
#[derive(Clone, Copy)]
pub(crate) enum LinkState {
    Opening,
    Open,
    Closed,
}
