//! One link: a peer connection of the WebRTC stack with its one data channel.
//!
//! The stack is sans-IO. After each input it is drained in the order events, messages, packets,
//! until nothing moves: an event can make a packet (the DTLS handshake ends, SCTP begins).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rtc::data_channel::RTCDataChannelId;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::peer_connection::configuration::RTCConfigurationBuilder;
use rtc::peer_connection::configuration::setting_engine::{
    SctpMaxMessageSize, SettingEngineBuilder,
};
use rtc::peer_connection::event::{RTCDataChannelEvent, RTCPeerConnectionEvent};
use rtc::peer_connection::message::RTCMessage;
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::state::{RTCIceConnectionState, RTCPeerConnectionState};
use rtc::peer_connection::transport::{RTCDtlsRole, RTCIceCandidateInit};
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use rtc::sansio::Protocol;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};
use sha2::{Digest, Sha256};

use super::certificate::crypto;
use super::guarded::Guarded;
use super::hello::Hello;
use super::place::Pair;
use super::signal::{self, CANDIDATES_MAX, Description, SignalError};
use super::stun::{self, TransactionId};
use super::{Certificate, MESSAGE_BYTES_MAX, OUTSTANDING_BYTES_MAX, RtcId};

/// The label of the one channel.
pub(super) const CHANNEL: &str = "peergraph";
/// Time between connectivity checks, and how many. Measured: with a budget of 1.4 s 40 of 1,000
/// links that opened at once failed; with 5 s, 3,000 of 3,000 opened.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);
const CHECKS_MAX: u16 = 250;
/// How long a pair is not taken of which the other end's address was unknown before it asked. Measured: with 100 ms two
/// behind NATs, whose checks overtake their candidates, take as much longer.
const REFLEXIVE_WAIT: Duration = Duration::ZERO;
/// A silent other end is suspected after the first and given up after both. Ours: five missed
/// keep-alives, then five more.
const SILENCE_SUSPECT: Duration = Duration::from_secs(5);
const SILENCE_FAIL: Duration = Duration::from_secs(10);
const KEEPALIVE: Duration = Duration::from_secs(2);
/// A link must be open this long after its last signalling step. Guess, many times the slowest
/// seen.
const OPEN_WITHIN: Duration = Duration::from_secs(20);
/// A stranger must answer our check in this time: a forged source address never does.
const STRANGER_CHECKED_WITHIN: Duration = Duration::from_secs(5);
/// A stranger's link keeps its place against others of its source so long: until its handshake has begun, and in all.
/// Guess: a round trip, and a handshake, over a slow network or at a busy program.
const COMES_ABOUT: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(3));
/// A link whose other end was refused is kept so long, to refuse it again if that is lost. Ours: two checks of a browser.
const REFUSED_FOR: Duration = Duration::from_secs(6);
/// Most messages taken from one link before the next link has its turn. Ours: 1 MiB.
const READS_AT_ONCE: usize = 64;
/// Nominations kept for the stack, see [`Link::packet`]. Guess: one for each address of the other end. The oldest is
/// dropped beyond.
const NOMINATIONS_MAX: usize = 4;
/// Checks of one link that wait for answers. Guess: what goes to a few addresses within a slow
/// network's round trip. The answer to an earlier one proves nothing.
const ASKED_MAX: usize = 128;
/// A link on which nothing was heard for so long, while the other end owed us an acknowledgement, is told as quiet. Source: the
/// stack repeats what is not acknowledged after one second, and the answer may take half a second.
pub(super) const OWED_FOR: Duration = Duration::from_millis(1_500);
/// A packet that is read so soon after the network has changed may have come before. Guess: those that waited in the socket.
const UNDER_WAY: Duration = Duration::from_millis(20);
/// An address is not dialled again where a link was heard so lately: two keep-alives.
const HEARD_LATELY: Duration = Duration::from_secs(4);

/// How much earlier than it asks the stack's timers run during the handshake, at a DTLS server and
/// at a client that has heard the server's hello.
///
/// Both ends repeat a lost flight after one second, and (as of `rtc-dtls` 0.21.1) a repeated one
/// that arrives while an end waits cancels that end's own timer: if the wrong end repeats first,
/// the handshake hangs. So whoever knows more repeats first. Measured: with 2 % loss 9 of 200
/// links hung without this.
const SERVER_EARLY: Duration = Duration::from_millis(150);
const CLIENT_EARLY: Duration = Duration::from_millis(300);

/// How a link came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// We dialled a node.
    Dialled,
    /// A stranger dialled us.
    Stranger,
    /// We offer; the answer comes by signalling.
    Offerer,
    /// We answer; the offer comes by signalling.
    Answerer,
}

/// One result of draining a link.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The channel is open; SHA-256 of the other end's certificate.
    Open([u8; 32]),
    Message(Bytes),
    /// Nothing was heard for [`SILENCE_SUSPECT`].
    Quiet,
}

/// Our end of the ICE credentials.
pub(super) struct Credentials {
    pub(super) ufrag: String,
    pub(super) password: String,
}

pub(super) struct Link {
    stack: Guarded<RTCPeerConnection>,
    channel: Option<RTCDataChannelId>,
    pub(super) origin: Origin,
    pub(super) credentials: Credentials,
    /// Pairs of addresses that this link uses.
    pub(super) addresses: Vec<Pair>,
    /// The other end's ICE name, once it is known.
    theirs: String,
    /// Checks that were not answered yet, the oldest first: where they went, and how they are named.
    asked: VecDeque<(Pair, TransactionId)>,
    /// The link that was begun next after this one had opened, if it has.
    pub(super) opened_before: Option<RtcId>,
    /// When the timer queue will wake this link.
    pub(super) wake: Option<Instant>,
    pub(super) dirty: bool,
    pub(super) paused: bool,
    /// The channel is open and the application knows.
    pub(super) open: bool,
    /// Send progress must be reported.
    pub(super) report: bool,
    checked: bool,
    /// ICE has just found a pair.
    paired: bool,
    /// Of a stranger's link that is not open.
    hello: Option<Hello>,
    /// Requests that nominated a pair before our check of it was answered, and where they came from.
    nominations: VecDeque<(SocketAddr, BytesMut)>,
    early_by: Duration,
    dead: bool,
    begun: Instant,
    deadline: Instant,
    check_deadline: Option<Instant>,
    heard: Option<Instant>,
    /// Since when it is not known whether it still carries, as nothing was heard since.
    doubted: Option<Instant>,
    /// Since when the other end owes us an acknowledgement.
    owed: Option<Instant>,
    described: bool,
    /// Our description was told to the other end.
    pub(super) has_spoken: bool,
    /// Addresses of ours that the other end was told; the first ones are those in our description.
    pub(super) told: Vec<SocketAddr>,
    pub(super) locals: usize,
    candidates: usize,
    /// Candidates that came before the description.
    early: Vec<SocketAddr>,
    held: Option<TaggedBytesMut>,
    filled: bool,
}

impl Link {
    pub(super) fn new(
        origin: Origin,
        credentials: Credentials,
        locals: &[SocketAddr],
        certificate: &Certificate,
        receive_window_bytes: u32,
        now: Instant,
    ) -> Option<Self> {
        let mut settings = SettingEngineBuilder::new()
            .with_include_loopback_candidate(true)
            .with_multicast_dns_mode(MulticastDnsMode::Disabled)
            .with_sctp_max_message_size(SctpMaxMessageSize::Bounded(MESSAGE_BYTES_MAX as u32))
            .with_sctp_max_receive_buffer_size(receive_window_bytes)
            .with_ice_credentials(credentials.ufrag.clone(), credentials.password.clone())
            .with_ice_connection_attempts(Some(CHECK_INTERVAL), Some(CHECKS_MAX))
            .with_prflx_acceptance_min_wait(Some(REFLEXIVE_WAIT))
            .with_ice_timeouts(Some(SILENCE_SUSPECT), Some(SILENCE_FAIL), Some(KEEPALIVE));
        if origin == Origin::Stranger {
            // His certificate is unknown before the handshake; the layer above binds it.
            settings = settings
                .with_lite(true)
                .with_disable_certificate_fingerprint_verification(true)
                .with_answering_dtls_role(RTCDtlsRole::Server);
        }
        let configuration =
            RTCConfigurationBuilder::new().with_certificates(vec![certificate.inner()]).build();
        let mut stack = Guarded::build(|| {
            RTCPeerConnectionBuilder::new()
                .with_configuration(configuration)
                .with_setting_engine(settings.build())
                .build(now)
        })?;
        for local in locals {
            let candidate = signal::candidate_text(*local);
            let init = RTCIceCandidateInit { candidate, ..Default::default() };
            stack.call(|stack| stack.add_local_candidate(init))?;
        }
        let mut channel = None;
        if matches!(origin, Origin::Dialled | Origin::Offerer) {
            let created =
                |stack: &mut RTCPeerConnection| Ok(stack.create_data_channel(CHANNEL, None)?.id());
            channel = Some(stack.call(created)?);
        }
        Some(Self {
            stack,
            channel,
            origin,
            credentials,
            addresses: Vec::new(),
            theirs: String::new(),
            asked: VecDeque::new(),
            opened_before: None,
            wake: None,
            dirty: false,
            paused: false,
            open: false,
            report: false,
            checked: false,
            paired: false,
            hello: (origin == Origin::Stranger).then_some(Hello::Awaited(now)),
            nominations: VecDeque::new(),
            early_by: Duration::ZERO,
            dead: false,
            begun: now,
            deadline: now + OPEN_WITHIN,
            check_deadline: (origin == Origin::Stranger).then(|| now + STRANGER_CHECKED_WITHIN),
            heard: None,
            doubted: None,
            owed: None,
            described: false,
            has_spoken: false,
            told: locals.to_vec(),
            locals: locals.len(),
            candidates: 0,
            early: Vec::new(),
            held: None,
            filled: false,
        })
    }

    /// Our offer.
    pub(super) fn offer(&mut self, now: Instant) -> Option<String> {
        let described = self.stack.call(|stack| {
            let offer = stack.create_offer(None)?;
            stack.set_local_description(now, offer)?;
            Ok(stack.local_description())
        });
        Some(described??.sdp)
    }

    /// Takes the answer to our offer.
    pub(super) fn take_answer(
        &mut self,
        answer: &Description,
        now: Instant,
    ) -> Result<(), SignalError> {
        self.expect_description(matches!(self.origin, Origin::Dialled | Origin::Offerer))?;
        let description = RTCSessionDescription::answer(answer.to_sdp());
        let description = description.map_err(|_| SignalError::Refused)?;
        self.stack
            .call(|stack| stack.set_remote_description(now, description))
            .ok_or(SignalError::Refused)?;
        self.theirs.clone_from(&answer.ufrag);
        self.take_early(answer.candidates.len(), now);
        Ok(())
    }

    /// Takes an offer; returns our answer.
    pub(super) fn take_offer(
        &mut self,
        offer: &Description,
        now: Instant,
    ) -> Result<String, SignalError> {
        self.expect_description(matches!(self.origin, Origin::Answerer | Origin::Stranger))?;
        let description = RTCSessionDescription::offer(offer.to_sdp());
        let description = description.map_err(|_| SignalError::Refused)?;
        let local = self.stack.call(|stack| {
            stack.set_remote_description(now, description)?;
            let answer = stack.create_answer(None)?;
            stack.set_local_description(now, answer)?;
            Ok(stack.local_description())
        });
        let sdp = local.flatten().ok_or(SignalError::Refused)?.sdp;
        self.theirs.clone_from(&offer.ufrag);
        self.take_early(offer.candidates.len(), now);
        Ok(sdp)
    }

    pub(super) fn awaits_offer(&self) -> bool {
        self.origin == Origin::Answerer && !self.described
    }

    /// Takes one more candidate of the other end. Beyond the bound they are ignored.
    pub(super) fn take_candidate(&mut self, address: SocketAddr) {
        if self.candidates >= CANDIDATES_MAX {
            return;
        }
        self.candidates += 1;
        if self.described {
            self.add_candidate(address);
        } else {
            self.early.push(address);
        }
    }

    fn add_candidate(&mut self, address: SocketAddr) {
        let init = RTCIceCandidateInit {
            candidate: signal::candidate_text(address),
            sdp_mid: Some("0".into()),
            sdp_mline_index: Some(0),
            ..Default::default()
        };
        // One that the stack does not want (no local address of its family) is of no use.
        let _ = self.stack.call(|stack| {
            let _ = stack.add_remote_candidate(init);
            Ok(())
        });
    }

    fn expect_description(&self, fits: bool) -> Result<(), SignalError> {
        if fits && !self.described { Ok(()) } else { Err(SignalError::Unexpected) }
    }

    fn take_early(&mut self, candidates: usize, now: Instant) {
        self.described = true;
        self.candidates += candidates;
        self.deadline = now + OPEN_WITHIN;
        for address in std::mem::take(&mut self.early) {
            self.add_candidate(address);
        }
    }

    /// It may carry no longer: what was heard before counts no longer.
    pub(super) fn doubt(&mut self, now: Instant) {
        self.doubted = Some(now);
    }

    /// Says whether nothing was heard since it may carry no longer.
    pub(super) fn is_stale(&self) -> bool {
        self.doubted.is_some()
    }

    /// Says whether another link may use its pairs.
    pub(super) fn gives_way(&self) -> bool {
        !self.open || self.is_stale()
    }

    /// When nothing was heard for too long while the other end owes us something.
    fn owed_until(&self) -> Option<Instant> {
        let since = self.owed.filter(|_| self.open && !self.is_stale())?;
        Some(since.max(self.heard.unwrap_or(since)) + OWED_FOR)
    }

    /// Says, once, whether nothing was heard for too long while the other end owes us something.
    pub(super) fn owes(&mut self, now: Instant) -> bool {
        if self.owed.is_some() && self.outstanding() == 0 {
            self.owed = None;
        }
        let quiet = self.owed_until().is_some_and(|at| at <= now);
        if quiet {
            self.doubt(now);
        }
        quiet
    }

    /// Says whether something came lately that was for this link.
    pub(super) fn is_heard(&self, now: Instant) -> bool {
        self.heard.is_some_and(|at| now.saturating_duration_since(at) < HEARD_LATELY)
    }

    /// Takes note that another link uses one of its pairs of addresses.
    pub(super) fn shares_pair(&mut self) {
        self.hello.iter_mut().for_each(Hello::may_be_elsewhere);
    }

    /// Says whether a stranger's link may be expected to open soon.
    pub(super) fn comes_about(&self, now: Instant) -> bool {
        let (unheard, heard) = COMES_ABOUT;
        let most = if self.hello == Some(Hello::Heard) { heard } else { unheard };
        now.saturating_duration_since(self.begun) < most
    }

    /// Says whether it is our dial, and not open.
    pub(super) fn is_dialling(&self) -> bool {
        self.origin == Origin::Dialled && !self.open
    }

    /// Of two links that both ends hold, and that came about in different ways, both prefer the
    /// lower one: the direct one, which comes without others' help.
    pub(super) fn rank(&self) -> (bool, &str, &str) {
        let signalled = matches!(self.origin, Origin::Offerer | Origin::Answerer);
        let (ours, theirs) = (&*self.credentials.ufrag, &*self.theirs);
        (signalled, ours.min(theirs), ours.max(theirs))
    }

    /// Notes a check that goes out.
    pub(super) fn asks(&mut self, pair: Pair, id: TransactionId) {
        if self.asked.len() >= ASKED_MAX {
            self.asked.pop_front();
        }
        self.asked.push_back((pair, id));
    }

    /// Says whether an answer from there is to a check of this link, which then is answered.
    pub(super) fn has_asked(&mut self, pair: Pair, id: TransactionId) -> bool {
        let found = self.asked.iter().position(|asked| *asked == (pair, id));
        found.and_then(|at| self.asked.remove(at)).is_some()
    }

    /// Takes one packet.
    ///
    /// The stack (as of `rtc-ice` 0.21.1) answers a request that nominates a pair only after our own check of that pair
    /// was answered, and until then takes no note of it: a browser waits 50 ms before it nominates again, and sends no
    /// data before. So the stack gets the same request once more when the answer to our check has come.
    pub(super) fn packet(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        packet: &[u8],
        now: Instant,
    ) {
        self.heard = Some(now);
        if self.doubted.is_some_and(|since| now.saturating_duration_since(since) > UNDER_WAY) {
            self.doubted = None;
        }
        if let Some(hello) = &mut self.hello {
            hello.hear(packet, now);
            if *hello == Hello::Missing {
                self.deadline = self.deadline.min(now + REFUSED_FOR);
                return self.refuse(local, remote, packet, now);
            }
        }
        // Record type 22 is a handshake's; its first message, 1 and 2 are the hellos.
        match (packet.first(), packet.get(13)) {
            (Some(22), Some(1)) if !self.open => self.early_by = SERVER_EARLY,
            (Some(22), Some(2)) if !self.open => self.early_by = CLIENT_EARLY,
            _ => {}
        }
        self.read(local, remote, BytesMut::from(packet), now);
        if self.checked {
            self.nominations.clear();
        } else if stun::nominates(packet) {
            self.nominations.retain(|(from, _)| *from != remote);
            self.nominations.truncate(NOMINATIONS_MAX - 1);
            self.nominations.push_front((remote, BytesMut::from(packet)));
        } else if stun::is_success(packet)
            && let Some(at) = self.nominations.iter().position(|(from, _)| *from == remote)
            && let Some((_, nomination)) = self.nominations.remove(at)
        {
            self.read(local, remote, nomination, now);
        }
    }

    fn read(&mut self, local: SocketAddr, remote: SocketAddr, message: BytesMut, now: Instant) {
        let transport = udp(local, remote);
        let _ = self.stack.call(|stack| {
            // A packet that is refused is one that is dropped.
            let _ = stack.handle_read(TaggedBytesMut { now, transport, message });
            Ok(())
        });
    }

    /// Refuses a check of an other end that means no link of ours.
    fn refuse(&mut self, local: SocketAddr, remote: SocketAddr, packet: &[u8], now: Instant) {
        if let Some(message) = stun::refusal(packet, &self.credentials.password, crypto().crypto())
        {
            self.hold(TaggedBytesMut { now, transport: udp(local, remote), message });
        }
    }

    /// Takes the answer to a check of ours that is not a success: a node that we dialled may say that it has no such link.
    pub(super) fn answered_badly(&mut self, answer: &[u8]) {
        // The name of a node that is dialled is its password too.
        self.dead |= self.origin == Origin::Dialled
            && stun::is_refusal(answer)
            && stun::has_integrity(answer, &self.theirs, crypto().crypto());
    }

    /// Queues one message; false when it is too long, too much waits, or the link is not open.
    pub(super) fn send(&mut self, bytes: &[u8], now: Instant) -> bool {
        if !self.open || bytes.len() > MESSAGE_BYTES_MAX || self.is_dead() {
            return false;
        }
        if self.outstanding() + bytes.len() > OUTSTANDING_BYTES_MAX {
            return false;
        }
        let id = self.channel;
        let sent = self.stack.call(|stack| {
            let channel = id.and_then(|id| stack.data_channel(id));
            Ok(channel.is_some_and(|mut it| it.send(now, BytesMut::from(bytes)).is_ok()))
        });
        self.report |= sent == Some(true);
        if sent == Some(true) {
            self.owed.get_or_insert(now);
        }
        sent == Some(true)
    }

    /// Bytes accepted and not yet acknowledged by the other end.
    pub(super) fn outstanding(&mut self) -> usize {
        let Some(id) = self.channel else { return 0 };
        let outstanding = self
            .stack
            .call(|stack| Ok(stack.data_channel(id).map_or(0, |it| it.outstanding_bytes())));
        outstanding.unwrap_or(0)
    }

    /// How much waits, when that must be reported: after sends, and once when it has fallen.
    pub(super) fn progress(&mut self, low: usize) -> Option<usize> {
        let fell = self.filled && self.outstanding() <= low;
        if !self.open || !(std::mem::take(&mut self.report) || fell) {
            return None;
        }
        let outstanding = self.outstanding();
        self.filled = outstanding > low;
        Some(outstanding)
    }

    /// The next event or message, of at most `budget` messages.
    pub(super) fn step(&mut self, budget: &mut Reads) -> Option<Step> {
        while let Some(Some(event)) = self.stack.call(|stack| Ok(stack.poll_event())) {
            if let Some(step) = self.event(event) {
                return Some(step);
            }
        }
        while self.open && !self.paused && budget.left() {
            let read = self.stack.call(|stack| Ok(stack.poll_read()))??;
            if let RTCMessage::DataChannelMessage(id, message) = read.message {
                if Some(id) == self.channel {
                    budget.take();
                    return Some(Step::Message(message.data.freeze()));
                }
                self.dead = true;
            }
        }
        None
    }

    /// The next packet to send.
    ///
    /// The stack (as of `rtc` 0.21.1) keeps the first message of a DTLS client until its next timeout, up to 200 ms after ICE
    /// has found a pair. So it has one as soon as there is a pair, but behind its last answer to a check: until that has
    /// come, the other end has no pair, and drops the message.
    pub(super) fn poll_packet(&mut self, now: Instant) -> Option<TaggedBytesMut> {
        if let Some(held) = self.held.take() {
            return Some(held);
        }
        loop {
            let packet = self.stack.call(|stack| Ok(stack.poll_write())).flatten();
            if packet.is_some() || !std::mem::take(&mut self.paired) {
                return packet;
            }
            let _ = self.stack.call(|stack| stack.handle_timeout(now));
        }
    }

    /// Whether the other end has answered a check.
    pub(super) fn has_answered(&self) -> bool {
        self.checked
    }

    /// Gives back a packet that could not be sent; it is the next one again.
    pub(super) fn hold(&mut self, packet: TaggedBytesMut) {
        self.held = Some(packet);
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most of the stack's events are of media")]
    fn event(&mut self, event: RTCPeerConnectionEvent) -> Option<Step> {
        match event {
            RTCPeerConnectionEvent::OnDataChannel(RTCDataChannelEvent::OnOpen(id)) => {
                return self.opened(id);
            }
            // The other end's close ends its DTLS, but shows only as the close of the channel:
            // the connection state stays Connected. A link without its channel is useless too.
            RTCPeerConnectionEvent::OnDataChannel(RTCDataChannelEvent::OnClose(_)) => {
                self.dead = true;
            }
            RTCPeerConnectionEvent::OnIceConnectionStateChangeEvent(state) => {
                self.checked |= state == RTCIceConnectionState::Connected;
                self.paired |= state == RTCIceConnectionState::Connected && !self.open;
                self.dead |= state == RTCIceConnectionState::Failed;
                if self.open && state == RTCIceConnectionState::Disconnected {
                    return Some(Step::Quiet);
                }
            }
            RTCPeerConnectionEvent::OnConnectionStateChangeEvent(
                RTCPeerConnectionState::Failed | RTCPeerConnectionState::Closed,
            ) => self.dead = true,
            _ => {}
        }
        None
    }

    fn opened(&mut self, id: RTCDataChannelId) -> Option<Step> {
        let ours = *self.channel.get_or_insert(id);
        let (fits, theirs) = self.stack.call(|stack| {
            let fits = stack.data_channel(id).is_some_and(|channel| {
                channel.label() == CHANNEL
                    && channel.ordered()
                    && channel.max_retransmits().is_none()
                    && channel.max_packet_life_time().is_none()
            });
            let transport = stack.sctp().map(|sctp| sctp.transport());
            let theirs = transport.and_then(|it| it.get_remote_certificates().first());
            let theirs: Option<[u8; 32]> = theirs.map(|der| Sha256::digest(der).into());
            Ok((fits, theirs))
        })?;
        match theirs {
            Some(theirs) if fits && ours == id && !self.open => {
                self.open = true;
                self.hello = None;
                Some(Step::Open(theirs))
            }
            _ => {
                self.dead = true;
                None
            }
        }
    }

    /// Does what is due. Early calls are harmless.
    pub(super) fn timeout(&mut self, now: Instant) {
        let early = now + self.early();
        let _ = self.stack.call(|stack| match stack.poll_timeout() {
            Some(at) if at <= early => stack.handle_timeout(early),
            Some(_) | None => Ok(()),
        });
        let unchecked = !self.checked && self.check_deadline.is_some_and(|at| at <= now);
        self.dead |= !self.open && (unchecked || self.deadline <= now);
    }

    /// When [`Link::timeout`] must be called.
    pub(super) fn poll_timeout(&mut self, now: Instant) -> Instant {
        let early = self.early();
        let inner = self.stack.call(|stack| Ok(stack.poll_timeout())).flatten();
        let inner = inner.map(|at| at.checked_sub(early).unwrap_or(at));
        let ours = if self.open { None } else { Some(self.deadline) };
        let check = self.check_deadline.filter(|_| !self.open && !self.checked);
        // The stack of an open link always asks: for its next keep-alive at least.
        [inner, ours, check, self.owed_until()]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(now + KEEPALIVE)
    }

    fn early(&self) -> Duration {
        if self.open { Duration::ZERO } else { self.early_by }
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead || self.stack.has_failed()
    }

    /// Ends the link. Data that SCTP can still send go out with the next packets; then the other end
    /// is told.
    pub(super) fn close(&mut self) {
        self.dead = true;
        let _ = self.stack.call(|stack| stack.close());
    }
}

fn udp(local_addr: SocketAddr, peer_addr: SocketAddr) -> TransportContext {
    let transport_protocol = TransportProtocol::UDP;
    TransportContext { local_addr, peer_addr, ecn: None, transport_protocol }
}

/// How many messages may still be taken: from this link, and from all of them in this turn.
pub(super) struct Reads<'a> {
    here: usize,
    all: &'a mut usize,
}

impl<'a> Reads<'a> {
    pub(super) fn new(all: &'a mut usize) -> Self {
        Self { here: READS_AT_ONCE, all }
    }

    pub(super) fn left(&self) -> bool {
        self.here > 0 && *self.all > 0
    }

    fn take(&mut self) {
        self.here -= 1;
        *self.all -= 1;
    }
}
