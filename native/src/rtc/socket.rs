//! UDP sockets with batched input and segmented output.
//!
//! Receiving takes several datagrams with one system call, and several from each buffer where the
//! kernel joins them (GRO). Sending joins equally long datagrams for one destination into one
//! system call (GSO). Both come from `quinn-udp`, which falls back where a platform has neither.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::task::{Context, Poll};

use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;

/// Socket buffers, each way. Bytes. Measured: with the system's default one burst of segments
/// overflows it and throughput collapses (loopback, 2 cores). The system may grant less.
const BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// Buffers filled by one system call. Measured: 8 × 64 KiB.
const BATCH: usize = 8;
const BATCH_BUFFER_BYTES: usize = 65_536;
/// Most segments in one send, by the kernel's limit.
const SEGMENTS_MAX: usize = 64;
/// Most bytes in one send: a UDP datagram's limit with room for headers.
const SEND_BYTES_MAX: usize = 65_000;

/// Where received datagrams are put. One for all sockets.
pub(super) struct Inbox {
    buffers: Vec<Vec<u8>>,
    meta: [RecvMeta; BATCH],
}

impl Inbox {
    pub(super) fn new() -> Self {
        let buffers = (0..BATCH).map(|_| vec![0; BATCH_BUFFER_BYTES]).collect();
        Self { buffers, meta: [RecvMeta::default(); BATCH] }
    }

    /// One without buffers, to hold the place of one that is read.
    pub(super) fn empty() -> Self {
        Self { buffers: Vec::new(), meta: [RecvMeta::default(); BATCH] }
    }

    /// The datagrams of the last receive, each with its source and the address it was sent to.
    pub(super) fn datagrams(
        &self,
        count: usize,
    ) -> impl Iterator<Item = (SocketAddr, Option<IpAddr>, &[u8])> {
        self.meta.iter().zip(&self.buffers).take(count).flat_map(|(meta, buffer)| {
            let bytes = &buffer[..meta.len.min(buffer.len())];
            let source = plain(meta.addr);
            bytes.chunks(meta.stride.max(1)).map(move |datagram| (source, meta.dst_ip, datagram))
        })
    }
}

/// Says whether a receive filled all buffers, so that more may wait.
pub(super) fn is_full(count: usize) -> bool {
    count == BATCH
}

/// One bound socket and the datagrams that wait to be sent together.
pub(super) struct Port {
    socket: tokio::net::UdpSocket,
    state: UdpSocketState,
    bound: SocketAddr,
    out: Batch,
}

#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    segment_bytes: usize,
    segments: usize,
    to: Option<SocketAddr>,
    from: Option<IpAddr>,
}

/// The outcome of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// This many datagrams went out (none, if none waited).
    Out(usize),
    /// The system's buffer is full; they still wait.
    Full,
    /// The system refused them; this many are gone.
    Dropped(usize),
}

impl Port {
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            // Each family has a socket of its own, so that addresses are never mapped.
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        // Best effort: a smaller buffer costs speed, not function.
        let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
        let _ = socket.set_send_buffer_size(BUFFER_BYTES);
        socket.bind(&address.into())?;
        let socket = UdpSocket::from(socket);
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let bound = socket.local_addr()?;
        let socket = tokio::net::UdpSocket::from_std(socket)?;
        Ok(Self { socket, state, bound, out: Batch::default() })
    }

    pub(super) fn bound(&self) -> SocketAddr {
        self.bound
    }

    fn is_wildcard(&self) -> bool {
        self.bound.ip().is_unspecified()
    }

    /// Says whether packets from this local address leave through this socket.
    pub(super) fn owns(&self, local: SocketAddr) -> bool {
        self.bound.port() == local.port()
            && self.bound.is_ipv4() == local.is_ipv4()
            && (self.is_wildcard() || self.bound.ip() == local.ip())
    }

    /// The concrete addresses of this socket, where `interfaces` are those of the machine.
    pub(super) fn addresses(&self, interfaces: &[IpAddr]) -> Vec<SocketAddr> {
        if !self.is_wildcard() {
            return vec![self.bound];
        }
        let mine = interfaces.iter().filter(|ip| ip.is_ipv4() == self.bound.is_ipv4());
        mine.map(|ip| SocketAddr::new(*ip, self.bound.port())).collect()
    }

    /// The local address from which packets to `to` would leave.
    pub(super) fn route(&self, to: SocketAddr) -> Option<SocketAddr> {
        if self.bound.is_ipv4() != to.is_ipv4() {
            return None;
        }
        if !self.is_wildcard() {
            // A loopback socket reaches loopback only.
            let reaches = !self.bound.ip().is_loopback() || to.ip().is_loopback();
            return reaches.then_some(self.bound);
        }
        // Connecting a UDP socket sends nothing; it makes the system choose a route.
        let probe = UdpSocket::bind(SocketAddr::new(self.bound.ip(), 0)).ok()?;
        probe.connect(to).ok()?;
        Some(SocketAddr::new(probe.local_addr().ok()?.ip(), self.bound.port()))
    }

    /// The local address of a received datagram.
    pub(super) fn local(&self, destination: Option<IpAddr>) -> SocketAddr {
        match destination {
            Some(ip) if self.is_wildcard() => plain(SocketAddr::new(ip, self.bound.port())),
            _ => self.bound,
        }
    }

    pub(super) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.socket.poll_recv_ready(context).map(|_| ())
    }

    pub(super) fn poll_writable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.socket.poll_send_ready(context).map(|_| ())
    }

    /// Takes what has arrived; returns the number of buffers filled, 0 when nothing has. An error
    /// is of one packet (an ICMP message, mostly); the next call has the next one.
    pub(super) fn receive(&self, inbox: &mut Inbox) -> io::Result<usize> {
        let Inbox { buffers, meta } = inbox;
        let mut slices: Vec<_> = buffers.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
        let receive = || self.state.recv(UdpSockRef::from(&self.socket), &mut slices, meta);
        match self.socket.try_io(Interest::READABLE, receive) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            result => result,
        }
    }

    /// Says whether this datagram fits the ones that wait.
    pub(super) fn joins(&self, from: SocketAddr, to: SocketAddr, bytes: usize) -> bool {
        let out = &self.out;
        let room = out.segments < self.state.max_gso_segments().min(SEGMENTS_MAX)
            && out.bytes.len() + bytes <= SEND_BYTES_MAX;
        // A shorter segment ends a batch, so the last one must still be of full length.
        let whole = out.bytes.len() == out.segments * out.segment_bytes;
        let same = out.to == Some(to) && out.from == self.source(from);
        out.segments == 0 || (room && whole && same && bytes <= out.segment_bytes)
    }

    /// Adds a datagram to the ones that wait. It must join them.
    pub(super) fn push(&mut self, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        let from = self.source(from);
        let out = &mut self.out;
        if out.segments == 0 {
            out.segment_bytes = datagram.len();
            (out.to, out.from) = (Some(to), from);
        }
        out.bytes.extend_from_slice(datagram);
        out.segments += 1;
    }

    /// Sends what waits.
    pub(super) fn send(&mut self) -> Sent {
        let Some(destination) = self.out.to else { return Sent::Out(0) };
        let segment_size = (self.out.segments > 1).then_some(self.out.segment_bytes);
        let transmit = Transmit {
            destination,
            ecn: None,
            contents: &self.out.bytes,
            segment_size,
            src_ip: self.out.from,
        };
        let send = || self.state.try_send(UdpSockRef::from(&self.socket), &transmit);
        match self.socket.try_io(Interest::WRITABLE, send) {
            Ok(()) => Sent::Out(self.discard()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Sent::Full,
            Err(_) => Sent::Dropped(self.discard()),
        }
    }

    /// Forgets what waits; returns the number of datagrams.
    pub(super) fn discard(&mut self) -> usize {
        let segments = self.out.segments;
        self.out.bytes.clear();
        (self.out.segments, self.out.to) = (0, None);
        segments
    }

    fn source(&self, from: SocketAddr) -> Option<IpAddr> {
        self.is_wildcard().then_some(from.ip())
    }
}

/// The address without flow label and scope, which routable addresses do not need.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port())
}
