//! Streams: bytes both ways.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::unfold;
use futures::{FutureExt as _, Stream};
use peergraph_core::io::{ChannelId, Command, DirectCommand, Reply};
use peergraph_core::limits::DIRECT_WRITE_BYTES_MAX;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Direct, Open, is_closed, stream_of};
use crate::requests::{CommandError, WRONG_REPLY};

/// Bytes read at once. Guess: as are written at once.
const READ_MAX: usize = DIRECT_WRITE_BYTES_MAX;

impl Direct {
    /// Begins a stream: bytes both ways, each end of which ends by itself ([`shutdown`](tokio::io::AsyncWriteExt::shutdown)).
    /// The other end gets it from [`streams`](Self::streams). It waits for its reader, and goes after everything that is
    /// small.
    ///
    /// # Errors
    /// [`Error::Busy`](peergraph_core::error::Error::Busy) beyond 32 at one time; as the direct link ends.
    pub async fn stream(&self, name: impl Into<String>) -> Result<DirectStream, CommandError> {
        let begin = DirectCommand::Stream { id: self.info.id, name: name.into() };
        let Reply::Channel(stream) = self.open.ask(begin).await? else {
            unreachable!("{WRONG_REPLY}")
        };
        Ok(DirectStream::new(self.open.clone(), stream))
    }

    /// The streams that the other end begins, with their names, as they come. Ends when the direct link is closed; with an error
    /// if it is lost.
    #[must_use]
    pub fn streams(&self) -> IncomingStreams {
        let id = self.info.id;
        IncomingStreams(Box::pin(unfold(Some(self.open.clone()), move |open| async move {
            let open = open?;
            match open.wait(DirectCommand::NextStream { id }).await {
                Ok(Reply::Stream { stream, name }) => {
                    Some((Ok((name, DirectStream::new(open.clone(), stream))), Some(open)))
                }
                Ok(_) => unreachable!("{WRONG_REPLY}"),
                Err(error) => (!is_closed(&error)).then_some((Err(error), None)),
            }
        })))
    }
}

/// A stream that the other end has begun, with its name.
type Named = Result<(String, DirectStream), CommandError>;

/// Streams that the other end begins, as they come.
pub struct IncomingStreams(Pin<Box<dyn Stream<Item = Named> + Send>>);

stream_of!(IncomingStreams, Named);

/// A stream of a direct link. It is given up when this is dropped before both ends have ended.
pub struct DirectStream {
    open: Arc<Open>,
    stream: ChannelId,
    /// Bytes that came and were not read.
    left: Bytes,
    read_end: bool,
    reading: Option<BoxFuture<'static, Result<Reply, CommandError>>>,
    write_end: bool,
    writing: Option<BoxFuture<'static, Result<Reply, CommandError>>>,
}

impl DirectStream {
    fn new(open: Arc<Open>, stream: ChannelId) -> Self {
        let (left, reading, writing) = (Bytes::new(), None, None);
        Self { open, stream, left, read_end: false, reading, write_end: false, writing }
    }

    /// Waits until what was written last is taken.
    fn poll_written(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(writing) = &mut self.writing {
            let done = ready!(writing.poll_unpin(context));
            self.writing = None;
            done.map_err(io::Error::other)?;
        }
        Poll::Ready(Ok(()))
    }

    fn write(&mut self, command: DirectCommand) {
        let open = self.open.clone();
        self.writing = Some(Box::pin(async move {
            let _place = open.requests.place_to_send().await;
            open.ask(command).await
        }));
    }
}

impl AsyncRead for DirectStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.left.is_empty() && !this.read_end && buffer.remaining() > 0 {
            let (open, stream) = (&this.open, this.stream);
            let reading = this.reading.get_or_insert_with(|| {
                let open = open.clone();
                let read = DirectCommand::Read { id: open.id, stream, most: READ_MAX };
                Box::pin(async move { open.wait(read).await })
            });
            let read = ready!(reading.poll_unpin(context));
            this.reading = None;
            let Reply::Bytes(bytes) = read.map_err(io::Error::other)? else {
                unreachable!("{WRONG_REPLY}")
            };
            this.read_end = bytes.is_empty();
            this.left = bytes;
        }
        let many = this.left.len().min(buffer.remaining());
        buffer.put_slice(&this.left.split_to(many));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for DirectStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_written(context))?;
        let many = bytes.len().min(DIRECT_WRITE_BYTES_MAX);
        if many > 0 {
            let (id, stream) = (self.open.id, self.stream);
            let bytes = Bytes::copy_from_slice(&bytes[..many]);
            self.write(DirectCommand::Write { id, stream, bytes });
            // It is on its way; how that went is told with the next one.
            if let Poll::Ready(Err(error)) = self.poll_written(context) {
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(many))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_written(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_written(context))?;
        if !self.write_end {
            self.write_end = true;
            let (id, channel) = (self.open.id, self.stream);
            self.write(DirectCommand::Finish { id, channel });
        }
        self.poll_written(context)
    }
}

impl Drop for DirectStream {
    fn drop(&mut self) {
        if !(self.read_end && self.write_end) {
            let (id, channel, why) = (self.open.id, self.stream, String::new());
            let reset = DirectCommand::Reset { id, channel, why };
            self.open.requests.tell(Command::Direct(reset));
        }
    }
}

impl std::fmt::Debug for DirectStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DirectStream").field(&self.stream).finish()
    }
}
