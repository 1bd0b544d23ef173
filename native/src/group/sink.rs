//! A sink of records.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::stream::{FuturesOrdered, StreamExt as _};
use futures::{FutureExt as _, Sink};

use super::{Group, Payload};
use crate::requests::CommandError;
use peergraph_core::record::Record;

/// Records that are not durable yet; a further one waits. Guess: what a disk writes together.
const UNDER_WAY_MAX: usize = 64;

/// Publishes everything that is fed to it, see [`Group::sink`]. The first publication that fails is the sink's error.
#[must_use = "sinks do nothing unless something is sent to them"]
pub struct Publisher<P> {
    group: Group,
    kind: String,
    under_way: FuturesOrdered<BoxFuture<'static, Result<Record, CommandError>>>,
    payload: PhantomData<fn(P)>,
}

impl<P> Publisher<P> {
    pub(crate) fn new(group: Group, kind: String) -> Self {
        Self { group, kind, under_way: FuturesOrdered::new(), payload: PhantomData }
    }

    /// Waits until at most `count` are not durable yet.
    fn poll_at_most(
        &mut self,
        count: usize,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), CommandError>> {
        loop {
            // Also where there is room: what was fed is begun by this.
            match self.under_way.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending if self.under_way.len() <= count => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<P: Payload> Sink<P> for Publisher<P> {
    type Error = CommandError;

    fn poll_ready(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), CommandError>> {
        self.poll_at_most(UNDER_WAY_MAX - 1, context)
    }

    fn start_send(mut self: Pin<&mut Self>, payload: P) -> Result<(), CommandError> {
        let published = self.group.publish(self.kind.clone(), payload).into_future();
        self.under_way.push_back(published.boxed());
        Ok(())
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), CommandError>> {
        self.poll_at_most(0, context)
    }

    fn poll_close(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), CommandError>> {
        self.poll_flush(context)
    }
}

impl<P> std::fmt::Debug for Publisher<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").field("kind", &self.kind).finish_non_exhaustive()
    }
}
