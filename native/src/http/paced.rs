//! A connection whose other end has to take what it is sent.
//!
//! A reader that stands still costs a place among those of its address, for which others wait. So a connection ends once its
//! writes have waited for [`STALLED_MAX`] without that [`PACE_BYTES`] were taken. Time in which nothing is to be written does
//! not count.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// Guess: a train in a tunnel.
const STALLED_MAX: Duration = Duration::from_secs(60);
/// Guess: with that time, slower than any connection that people would wait for.
const PACE_BYTES: usize = 16 * 1024;

/// A connection that ends if its other end stands still.
pub(super) struct Paced<S> {
    stream: S,
    pace: Pace,
    /// When a write that waits has waited for too long.
    over: Pin<Box<Sleep>>,
}

/// How fast the other end takes what is written.
#[derive(Default)]
struct Pace {
    /// Bytes that were taken since the count began.
    taken: usize,
    /// For how long writes have waited meanwhile, and since when one does.
    stalled: Duration,
    since: Option<Instant>,
}

impl Pace {
    /// A write waits. When that is too long, if it has just begun to.
    fn waits(&mut self, now: Instant) -> Option<Instant> {
        let begins = self.since.is_none();
        self.since.get_or_insert(now);
        begins.then(|| now + STALLED_MAX.saturating_sub(self.stalled))
    }

    /// So many bytes were taken.
    fn took(&mut self, now: Instant, bytes: usize) {
        self.stalled += self.since.take().map_or(Duration::ZERO, |since| now - since);
        self.taken += bytes;
        if self.taken >= PACE_BYTES {
            (self.taken, self.stalled) = (0, Duration::ZERO);
        }
    }
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, pace: Pace::default(), over: Box::pin(sleep_until(Instant::now())) }
    }

    /// The outcome of a write that ended so, or waits.
    fn pace(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let now = Instant::now();
        if let Poll::Ready(written) = written {
            self.pace.took(now, written.as_ref().map_or(0, |bytes| *bytes));
            return Poll::Ready(written);
        }
        if let Some(over) = self.pace.waits(now) {
            self.over.as_mut().reset(over);
        }
        ready!(self.over.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the other end reads nothing")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.pace(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.pace(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// After how long a connection ends whose other end takes so many bytes after each pause; nothing after an hour.
    fn ends(bytes: usize, pause: Duration) -> Option<Duration> {
        let (mut pace, began) = (Pace::default(), Instant::now());
        let mut now = began;
        while now - began < 3_600 * SECOND {
            let over = pace.waits(now).expect("it begins to wait");
            if over <= now + pause {
                return Some(over - began);
            }
            now += pause;
            pace.took(now, bytes);
        }
        None
    }

    #[test]
    fn reader_that_stands_still_loses_its_connection_and_a_slow_one_keeps_it() {
        assert_eq!(ends(0, 3_600 * SECOND), Some(STALLED_MAX), "it reads nothing");
        assert_eq!(ends(1, SECOND), Some(STALLED_MAX), "it reads a byte a second");
        assert_eq!(ends(1_000, SECOND), None, "a kilobyte a second");
        assert_eq!(ends(20_000, 50 * SECOND), None, "a tunnel after each page");
    }

    #[test]
    fn time_in_which_nothing_is_written_does_not_count() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        for _ in 0..10 {
            let over = pace.waits(now).expect("it begins to wait");
            assert!(over > now + 40 * SECOND);
            now += SECOND;
            pace.took(now, 2_000);
            now += 600 * SECOND;
        }
    }
}
