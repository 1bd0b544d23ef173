//! One `RTCPeerConnection` with one data channel, for one link.
//!
//! ```text
//!  Dial::Offer    channel, offer ─► signal out     answer, candidates in ─┐
//!  Dial::Answer   offer in ─► answer ─► signal out    channel appears ────┼─► channel open ─► LinkUp
//!  Dial::Address  channel, offer, answer written by ourselves ────────────┘
//! ```
//!
//! Everything that happens is reported as an [`Input`]. After [`RtcLink::close`] or a drop nothing is.
use crate::ice::IceServers;
use crate::sdp;
use crate::{Report, browser};
use bytes::Bytes;
use futures::StreamExt;
use futures::channel::{mpsc, oneshot};
use futures::future::{AbortHandle, abortable, select};
use gloo_timers::future::TimeoutFuture;
use js_sys::{ArrayBuffer, JSON, Object, Reflect, Uint8Array};
use peergraph_core::address::Address;
use peergraph_core::id::Fingerprint;
use peergraph_core::io::{Dial, Input, LinkFault, LinkId, Transport};
use peergraph_core::limits::{BUFFERED_LOW_BYTES, SIGNAL_BYTES_MAX};
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    Event, MessageEvent, RtcDataChannel, RtcDataChannelEvent, RtcDataChannelState,
    RtcDataChannelType, RtcIceCandidateInit, RtcPeerConnection, RtcPeerConnectionIceEvent,
    RtcPeerConnectionState, RtcSdpType, RtcSessionDescriptionInit,
};

/// The label of the channel. The one who offers or dials creates it.
const LABEL: &str = "peergraph";
/// Signals of one link that wait for their turn. Guess: twice the candidates of a well-connected laptop. Further
/// ones are dropped: a candidate less costs a path, not the link.
const SIGNALS_MAX: usize = 64;
/// How long a closed link may take to send what was put into it. Milliseconds. Guess.
const CLOSE_MS_MAX: u32 = 1_500;

/// A link on a data channel.
pub struct RtcLink {
    shared: Rc<Shared>,
    signals: RefCell<mpsc::Sender<String>>,
    negotiation: AbortHandle,
}

/// A fault of the other end or of the browser; costs the link. The text is for the debugger.
type Failed = JsValue;

/// A function for the browser to call.
type Callback = Closure<dyn Fn(Event)>;

/// State that the callbacks of one connection share. They hold it weakly, it holds them.
struct Shared {
    link: LinkId,
    report: Report,
    connection: RtcPeerConnection,
    channel: RefCell<Option<RtcDataChannel>>,
    /// Whether `LinkUp` was reported: a channel that arrives open still fires its event.
    is_up: Cell<bool>,
    /// Candidates that appeared before the description they belong to was reported; `None` after it.
    early: RefCell<Option<Vec<Bytes>>>,
    callbacks: RefCell<Vec<Callback>>,
}

impl RtcLink {
    /// Starts a connection, which asks `servers` for our addresses if it is signalled. Everything that becomes of it is told to `report`.
    ///
    /// # Errors
    /// The browser refuses (too many connections, WebRTC switched off), or the address is of another kind.
    pub fn open(
        link: LinkId,
        dial: Dial,
        servers: &IceServers,
        report: Report,
    ) -> Result<Self, JsValue> {
        let target = match dial {
            Dial::Address(Address::Rtc { socket, fingerprint }, _) => Some((socket, fingerprint)),
            Dial::Address(Address::WebSocket { .. }, _) => return Err("not an rtc address".into()),
            Dial::Offer | Dial::Answer => None,
        };
        // A node that is dialled at its address has no use for ours.
        let connection = match target {
            Some(_) => RtcPeerConnection::new()?,
            None => servers.connection()?,
        };
        let shared = Rc::new(Shared {
            link,
            report,
            connection,
            channel: RefCell::default(),
            is_up: Cell::new(false),
            early: RefCell::new(Some(Vec::new())),
            callbacks: RefCell::default(),
        });
        shared.listen();
        if dial != Dial::Answer {
            shared.adopt(shared.connection.create_data_channel(LABEL));
        }
        let (sender, signals) = mpsc::channel(SIGNALS_MAX);
        let weak = Rc::downgrade(&shared);
        let connection = shared.connection.clone();
        let offers = dial == Dial::Offer;
        let (task, negotiation) = abortable(async move {
            let outcome = match target {
                Some(target) => dial_direct(&connection, target).await,
                None => negotiate(&weak, &connection, offers, signals).await,
            };
            if outcome.is_err() {
                report_down(&weak);
            }
        });
        spawn_local(async move {
            // An aborted negotiation belongs to a link that is closed already.
            let _ = task.await;
        });
        Ok(Self { shared, signals: RefCell::new(sender), negotiation })
    }

    /// Gives it an offer, an answer or a candidate from the other end. Untrusted.
    pub fn signal(&self, signal: &[u8]) {
        if signal.len() > SIGNAL_BYTES_MAX {
            return;
        }
        if let Ok(text) = std::str::from_utf8(signal) {
            // Full: see `SIGNALS_MAX`.
            let _ = self.signals.borrow_mut().try_send(text.to_owned());
        }
    }

    /// Puts one message into the channel.
    ///
    /// # Errors
    /// The channel is not open, or full: the link is of no more use.
    pub fn send(&self, bytes: &[u8]) -> Result<(), JsValue> {
        match &*self.shared.channel.borrow() {
            Some(channel) => channel.send_with_u8_array(bytes),
            None => Err("no channel".into()),
        }
    }

    /// Bytes that wait in the channel.
    pub fn buffered(&self) -> usize {
        self.shared.channel.borrow().as_ref().map_or(0, |it| it.buffered_amount() as usize)
    }

    /// Closes it after what was sent, without a report.
    pub fn close(self) {
        self.negotiation.abort();
        self.shared.deafen();
        let Some(channel) = self.shared.channel.borrow().clone() else { return };
        if channel.ready_state() != RtcDataChannelState::Open {
            return;
        }
        // A channel that is closed first sends what it holds; a connection that is closed does not.
        let (sender, closed) = oneshot::channel::<()>();
        let on_close = Closure::once(move |_: Event| drop(sender));
        channel.set_onclose(Some(on_close.as_ref().unchecked_ref()));
        channel.close();
        spawn_local(async move {
            select(closed, TimeoutFuture::new(CLOSE_MS_MAX)).await;
            channel.set_onclose(None);
            drop(on_close);
            drop(self);
        });
    }
}

impl Drop for RtcLink {
    fn drop(&mut self) {
        self.negotiation.abort();
        self.shared.deafen();
        self.shared.connection.close();
    }
}

impl Shared {
    /// Registers the callbacks of the connection.
    fn listen(self: &Rc<Self>) {
        let on_candidate = self.closure(|this, event: RtcPeerConnectionIceEvent| {
            this.local_candidate(&event);
        });
        self.connection.set_onicecandidate(Some(&on_candidate));
        let on_state = self.closure(|this, _: Event| {
            use RtcPeerConnectionState::{Closed, Disconnected, Failed};
            let state = this.connection.connection_state();
            if state == Failed {
                // Of one that never was open: no check was answered, or the keys did not fit, and browsers do not tell.
                this.deafen();
                let fault = LinkFault::Silent;
                (this.report)(Input::LinkFailed { link: this.link, fault });
            } else if state == Closed {
                this.down();
            } else if state == Disconnected {
                // It may heal; if it does not, the browser tells `failed` after a while.
                (this.report)(Input::LinkQuiet { link: this.link });
            }
        });
        self.connection.set_onconnectionstatechange(Some(&on_state));
        let on_channel = self.closure(|this, event: RtcDataChannelEvent| {
            let channel = event.channel();
            if channel.label() == LABEL && this.channel.borrow().is_none() {
                this.adopt(channel);
            } else {
                channel.close();
            }
        });
        self.connection.set_ondatachannel(Some(&on_channel));
    }

    /// Makes `channel` the one of this link.
    fn adopt(self: &Rc<Self>, channel: RtcDataChannel) {
        channel.set_binary_type(RtcDataChannelType::Arraybuffer);
        channel.set_buffered_amount_low_threshold(BUFFERED_LOW_BYTES as u32);
        let on_open = self.closure(|this, _: Event| this.up());
        channel.set_onopen(Some(&on_open));
        let on_message = self.closure(|this, event: MessageEvent| {
            match event.data().dyn_into::<ArrayBuffer>() {
                Ok(buffer) => {
                    let bytes = Bytes::from(Uint8Array::new(&buffer).to_vec());
                    (this.report)(Input::Frame { link: this.link, bytes });
                }
                // Text: not our protocol.
                Err(_) => this.down(),
            }
        });
        channel.set_onmessage(Some(&on_message));
        let on_low = self.closure(|this, _: Event| {
            let bytes =
                this.channel.borrow().as_ref().map_or(0, |it| it.buffered_amount() as usize);
            (this.report)(Input::Buffered { link: this.link, bytes });
        });
        channel.set_onbufferedamountlow(Some(&on_low));
        let on_end = self.closure(|this, _: Event| this.down());
        channel.set_onclose(Some(&on_end));
        channel.set_onerror(Some(&on_end));
        let open = channel.ready_state() == RtcDataChannelState::Open;
        self.channel.replace(Some(channel));
        if open {
            self.up();
        }
    }

    /// A callback that lives as long as this and does nothing afterwards.
    fn closure<E: JsCast>(
        self: &Rc<Self>,
        callback: impl Fn(&Rc<Self>, E) + 'static,
    ) -> js_sys::Function {
        let weak = Rc::downgrade(self);
        let closure = Closure::<dyn Fn(Event)>::new(move |event: Event| {
            if let Some(this) = weak.upgrade() {
                callback(&this, event.unchecked_into());
            }
        });
        let function = closure.as_ref().unchecked_ref::<js_sys::Function>().clone();
        self.callbacks.borrow_mut().push(closure);
        function
    }

    fn local_candidate(&self, event: &RtcPeerConnectionIceEvent) {
        // No candidate, or an empty one, means that there are no more.
        let Some(candidate) = event.candidate().filter(|it| !it.candidate().is_empty()) else {
            return;
        };
        let object = Object::new();
        browser::set(&object, "candidate", &candidate.candidate().into());
        browser::set(&object, "sdpMid", &candidate.sdp_mid().into());
        browser::set(&object, "sdpMLineIndex", &candidate.sdp_m_line_index().into());
        let Ok(signal) = stringify(&object) else { return };
        if let Some(early) = &mut *self.early.borrow_mut() {
            early.push(signal);
            return;
        }
        (self.report)(Input::Signal { link: self.link, signal });
    }

    /// Reports a description, then the candidates that came before it.
    fn described(&self, signal: Bytes) {
        (self.report)(Input::Signal { link: self.link, signal });
        for signal in self.early.take().unwrap_or_default() {
            (self.report)(Input::Signal { link: self.link, signal });
        }
    }

    fn up(&self) {
        if self.is_up.replace(true) {
            return;
        }
        let local = self.connection.local_description();
        let remote = self.connection.remote_description();
        let ours = local.and_then(|it| sdp::fingerprint(&it.sdp()));
        let theirs = remote.and_then(|it| sdp::fingerprint(&it.sdp()));
        match (ours, theirs) {
            (Some(ours), Some(theirs)) => {
                let transport = Transport::Rtc { ours, theirs };
                (self.report)(Input::LinkUp { link: self.link, transport });
            }
            // The handshake could not be bound to this connection.
            _ => self.down(),
        }
    }

    fn down(&self) {
        self.deafen();
        (self.report)(Input::LinkDown { link: self.link });
    }

    /// Ends all callbacks.
    fn deafen(&self) {
        self.connection.set_onicecandidate(None);
        self.connection.set_onconnectionstatechange(None);
        self.connection.set_ondatachannel(None);
        if let Some(channel) = &*self.channel.borrow() {
            channel.set_onopen(None);
            channel.set_onmessage(None);
            channel.set_onbufferedamountlow(None);
            channel.set_onclose(None);
            channel.set_onerror(None);
        }
    }
}

fn report_down(shared: &Weak<Shared>) {
    if let Some(shared) = shared.upgrade() {
        shared.down();
    }
}

/// Sets both descriptions without anybody's help: see [`sdp`].
async fn dial_direct(
    connection: &RtcPeerConnection,
    (socket, fingerprint): (SocketAddr, Fingerprint),
) -> Result<(), Failed> {
    let offer = describe(connection, connection.create_offer()).await?;
    let mut random = [0; sdp::RANDOM_BYTES];
    getrandom::fill(&mut random).map_err(|_| "no randomness")?;
    let answer = sdp::direct_answer(&offer, socket, &fingerprint, random).ok_or("unusual offer")?;
    set_remote(connection, RtcSdpType::Answer, &answer).await
}

/// Exchanges descriptions and candidates with the other end until the link is closed.
async fn negotiate(
    shared: &Weak<Shared>,
    connection: &RtcPeerConnection,
    offers: bool,
    mut signals: mpsc::Receiver<String>,
) -> Result<(), Failed> {
    let described = |kind, sdp: &str| -> Result<(), Failed> {
        let signal = description_signal(kind, sdp)?;
        if let Some(shared) = shared.upgrade() {
            shared.described(signal);
        }
        Ok(())
    };
    if offers {
        let sdp = describe(connection, connection.create_offer()).await?;
        described("offer", &sdp)?;
    }
    let mut early = Vec::new();
    while let Some(signal) = signals.next().await {
        match Remote::parse(&signal)? {
            Remote::Candidate(candidate) if connection.remote_description().is_none() => {
                // Signals carried over the graph may overtake each other.
                if early.len() < SIGNALS_MAX {
                    early.push(candidate);
                }
                continue;
            }
            Remote::Candidate(candidate) => {
                add_candidate(connection, candidate).await;
                continue;
            }
            Remote::Description(kind, sdp) => {
                let expected = if offers { RtcSdpType::Answer } else { RtcSdpType::Offer };
                if kind != expected || connection.remote_description().is_some() {
                    return Err("unexpected description".into());
                }
                if !sdp::is_data_only(&sdp) || sdp::fingerprint(&sdp).is_none() {
                    return Err("unusual description".into());
                }
                set_remote(connection, kind, &sdp).await?;
            }
        }
        for candidate in early.drain(..) {
            add_candidate(connection, candidate).await;
        }
        if !offers {
            let sdp = describe(connection, connection.create_answer()).await?;
            described("answer", &sdp)?;
        }
    }
    Ok(())
}

/// Sets the description that the browser made, unchanged, and returns its text.
async fn describe(connection: &RtcPeerConnection, made: js_sys::Promise) -> Result<String, Failed> {
    let made: RtcSessionDescriptionInit = JsFuture::from(made).await?.unchecked_into();
    let sdp = made.get_sdp().ok_or("no description")?;
    JsFuture::from(connection.set_local_description(&made)).await?;
    Ok(sdp)
}

async fn set_remote(
    connection: &RtcPeerConnection,
    kind: RtcSdpType,
    sdp: &str,
) -> Result<(), Failed> {
    let description = RtcSessionDescriptionInit::new(kind);
    description.set_sdp(sdp);
    JsFuture::from(connection.set_remote_description(&description)).await.map(drop)
}

/// Candidates that cannot be used are ignored: others may do.
async fn add_candidate(connection: &RtcPeerConnection, candidate: RtcIceCandidateInit) {
    let added = connection.add_ice_candidate_with_opt_rtc_ice_candidate_init(Some(&candidate));
    let _ = JsFuture::from(added).await;
}

/// A signal from the other end.
enum Remote {
    Description(RtcSdpType, String),
    Candidate(RtcIceCandidateInit),
}

impl Remote {
    fn parse(text: &str) -> Result<Self, Failed> {
        let value = JSON::parse(text)?;
        let read = |key: &str| Reflect::get(&value, &key.into()).ok();
        let read_text = |key: &str| read(key)?.as_string();
        if let Some(kind) = read_text("type") {
            let kind = match kind.as_str() {
                "offer" => RtcSdpType::Offer,
                "answer" => RtcSdpType::Answer,
                _ => return Err("unknown description".into()),
            };
            return Ok(Self::Description(kind, read_text("sdp").ok_or("no sdp")?));
        }
        let candidate = RtcIceCandidateInit::new(&read_text("candidate").ok_or("unknown signal")?);
        candidate.set_sdp_mid(read_text("sdpMid").as_deref());
        let index = read("sdpMLineIndex").and_then(|it| it.as_f64()).map(|it| it as u16);
        candidate.set_sdp_m_line_index(index);
        Ok(Self::Candidate(candidate))
    }
}

fn description_signal(kind: &str, sdp: &str) -> Result<Bytes, Failed> {
    let object = Object::new();
    browser::set(&object, "type", &kind.into());
    browser::set(&object, "sdp", &sdp.into());
    stringify(&object)
}

fn stringify(object: &Object) -> Result<Bytes, Failed> {
    Ok(Bytes::from(String::from(JSON::stringify(object)?)))
}
