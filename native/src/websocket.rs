//! WebSockets: the transport for when UDP is blocked, and the other door for a first link.
//!
//! One binary message is one frame of the core. Nothing else is a link: a text message or one that is too long ends
//! it. Each socket is one task with a reading and a writing half; all report to the host through one bounded
//! channel, so that a socket which floods waits for its turn like the others.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use hyper::Uri;
use peergraph_core::io::{LinkFault, LinkId};
use peergraph_core::limits::{BUFFERED_LOW_BYTES, FRAME_BYTES_MAX, IN_TRANSPORT_BYTES_MAX};
use peergraph_core::place::Places;
use peergraph_core::web_url::SocketUrl;
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::connect::{self, ConnectError, Stream, Trust};
use crate::lookup::Failure;

/// Path of links on a node's HTTP port.
pub(crate) const PATH: &str = "/link";
/// The cost of a queued frame beyond its bytes, so that many small ones are bounded too. Guess.
const FRAME_COST_BYTES: usize = 64;
/// Bytes waiting in one socket before it is given up. The core stops at a quarter of it.
const QUEUE_BYTES_MAX: usize = 4 * IN_TRANSPORT_BYTES_MAX;
/// Reports of all sockets that wait for the host. Guess: 4 MiB of frames.
pub(crate) const REPORTS_MAX: usize = 256;
/// Time for what waits to leave a socket that is being closed. Guess.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A message of a socket to the host.
pub(crate) enum Report {
    /// A stranger connected from there. The host answers with the link's name, or drops `name` to refuse.
    #[cfg_attr(not(feature = "serve"), expect(dead_code, reason = "nobody can connect then"))]
    Accepted { socket: Socket, from: IpAddr, name: oneshot::Sender<LinkId> },
    /// Our dial succeeded.
    Up { link: LinkId },
    /// A frame arrived.
    Frame { link: LinkId, bytes: Bytes },
    /// So many bytes wait; told when few are left.
    Buffered { link: LinkId, bytes: usize },
    /// The socket is gone.
    Down { link: LinkId },
    /// The socket could not be opened.
    Failed { link: LinkId, fault: LinkFault },
    /// No socket's: a node was looked up.
    LookedUp { url: String, found: Result<Vec<String>, Failure> },
    /// No socket's: the addresses of the application's STUN servers.
    StunServers(Vec<SocketAddr>),
}

/// The host's end of a socket. Dropping it closes the socket after what was sent.
pub(crate) struct Socket {
    frames: mpsc::UnboundedSender<Bytes>,
    queued: Arc<AtomicUsize>,
}

/// The frames that wait in a socket.
struct Queue {
    frames: mpsc::UnboundedReceiver<Bytes>,
    queued: Arc<AtomicUsize>,
}

impl Socket {
    fn new() -> (Self, Queue) {
        let (sender, frames) = mpsc::unbounded_channel();
        let queued = Arc::new(AtomicUsize::new(0));
        (Self { frames: sender, queued: queued.clone() }, Queue { frames, queued })
    }

    /// Queues one frame. `false`: the socket is gone, or does not keep up at all.
    pub(crate) fn send(&self, bytes: Bytes) -> bool {
        let cost = bytes.len() + FRAME_COST_BYTES;
        let queued = self.queued.fetch_add(cost, Ordering::Relaxed) + cost;
        queued <= QUEUE_BYTES_MAX && self.frames.send(bytes).is_ok()
    }

    /// Bytes that wait.
    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }
}

/// Starts to dial `url` for `link`, if it leads to one of `places`.
pub(crate) fn dial(
    link: LinkId,
    url: SocketUrl,
    places: Places,
    trust: Trust,
    reports: mpsc::Sender<Report>,
) -> Socket {
    let (socket, queue) = Socket::new();
    tokio::spawn(async move {
        match open(&url.to_string(), places, &trust).await {
            Ok(stream) => {
                if reports.send(Report::Up { link }).await.is_ok() {
                    run(link, stream, queue, &reports).await;
                }
                let _ = reports.send(Report::Down { link }).await;
            }
            Err((fault, error)) => {
                tracing::debug!(link = link.0, error, "WebSocket not opened");
                let _ = reports.send(Report::Failed { link, fault }).await;
            }
        }
    });
    socket
}

/// An error is why, for the node and for the log.
async fn open(
    url: &str,
    places: Places,
    trust: &Trust,
) -> Result<WebSocketStream<Box<dyn Stream>>, (LinkFault, String)> {
    let target: Uri = url.parse().map_err(|_| (LinkFault::Unknown, "not a URL".to_owned()))?;
    let stream = connect::connect(&target, places, trust).await;
    let stream = stream.map_err(|error| {
        let words = error.to_string();
        // One that the application has named: somebody can do something about it.
        if matches!(error, ConnectError::Tls { .. })
            && places == Places::ALL
            && trust.is_news(&words)
        {
            tracing::warn!("{url} is not reached: {words}; it is tried again");
        }
        (error.fault(), words)
    })?;
    let opening = tokio_tungstenite::client_async_with_config(url, stream, Some(config()));
    match tokio::time::timeout(connect::CONNECT_TIMEOUT, opening).await {
        Ok(Ok((stream, _))) => Ok(stream),
        Ok(Err(error)) => Err((LinkFault::Rejected, error.to_string())),
        Err(_) => Err((LinkFault::Silent, "the server did not answer in time".to_owned())),
    }
}

/// Serves a stranger's socket until it ends, or `end` comes.
#[cfg(feature = "serve")]
pub(crate) async fn serve(
    stream: WebSocketStream<impl Stream>,
    from: IpAddr,
    reports: mpsc::Sender<Report>,
    end: impl Future<Output = ()>,
) {
    let (socket, queue) = Socket::new();
    let (name, named) = oneshot::channel();
    if reports.send(Report::Accepted { socket, from, name }).await.is_err() {
        return;
    }
    let Ok(link) = named.await else { return };
    tokio::select! {
        () = run(link, stream, queue, &reports) => {}
        () = end => {}
    }
    let _ = reports.send(Report::Down { link }).await;
}

/// Longest messages and buffers of a socket.
pub(crate) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX))
        .read_buffer_size(FRAME_BYTES_MAX)
        .write_buffer_size(FRAME_BYTES_MAX)
        .max_write_buffer_size(4 * FRAME_BYTES_MAX)
}

async fn run(
    link: LinkId,
    stream: WebSocketStream<impl Stream>,
    mut queue: Queue,
    reports: &mpsc::Sender<Report>,
) {
    let (mut sink, mut source) = stream.split();
    let reading = async {
        while let Some(message) = source.next().await {
            match message {
                Ok(Message::Binary(bytes)) => {
                    if reports.send(Report::Frame { link, bytes }).await.is_err() {
                        return;
                    }
                }
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(Message::Text(_) | Message::Close(_) | Message::Frame(_)) => return,
                Err(error) => {
                    tracing::debug!(link = link.0, %error, "WebSocket ended");
                    return;
                }
            }
        }
    };
    let writing = async {
        while let Some(first) = queue.frames.recv().await {
            let mut cost = first.len() + FRAME_COST_BYTES;
            sink.feed(Message::Binary(first)).await?;
            while let Ok(frame) = queue.frames.try_recv() {
                cost += frame.len() + FRAME_COST_BYTES;
                sink.feed(Message::Binary(frame)).await?;
            }
            sink.flush().await?;
            let before = queue.queued.fetch_sub(cost, Ordering::Relaxed);
            let left = before.saturating_sub(cost);
            // Any number that the host was told since the last report is at most `before`.
            if before > BUFFERED_LOW_BYTES && left <= BUFFERED_LOW_BYTES {
                let _ = reports.send(Report::Buffered { link, bytes: left }).await;
            }
        }
        // The host let go of the socket.
        tokio::time::timeout(CLOSE_TIMEOUT, sink.close()).await.unwrap_or(Ok(()))
    };
    let mut reading = std::pin::pin!(reading);
    let result: Result<(), Error> = tokio::select! {
        () = &mut reading => return,
        result = writing => result,
    };
    match result {
        // Dropping a socket with unread bytes makes TCP forget the bytes written last: so the other
        // end goes first.
        Ok(()) => drop(tokio::time::timeout(CLOSE_TIMEOUT, reading).await),
        Err(error) => tracing::debug!(link = link.0, %error, "WebSocket ended"),
    }
}
