//! One WebSocket, for one link.
//!
//! Everything that happens is reported as an [`Input`]. After [`SocketLink::close`] or a drop nothing is.
use crate::Report;
use bytes::Bytes;
use gloo_timers::callback::Interval;
use js_sys::{ArrayBuffer, Uint8Array};
use peergraph_core::io::{Input, LinkId, Transport};
use peergraph_core::limits::BUFFERED_LOW_BYTES;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use web_sys::{BinaryType, Event, MessageEvent, WebSocket};

/// How often a full socket is looked at: it has no event that tells when it has drained. Milliseconds. Guess.
const POLL_MS: u32 = 20;

/// A link on a WebSocket.
pub struct SocketLink {
    link: LinkId,
    report: Report,
    socket: WebSocket,
    poll: Rc<RefCell<Option<Interval>>>,
    _closures: Vec<Closure<dyn Fn(Event)>>,
}

impl SocketLink {
    /// Starts a connection. Everything that becomes of it is told to `report`.
    ///
    /// # Errors
    /// The browser refuses the URL: malformed, or `ws:` from a page that came over HTTPS.
    pub fn open(link: LinkId, url: &str, report: Report) -> Result<Self, JsValue> {
        let socket = WebSocket::new(url)?;
        socket.set_binary_type(BinaryType::Arraybuffer);
        let up = report.clone();
        let on_open = Closure::<dyn Fn(Event)>::new(move |_| {
            up(Input::LinkUp { link, transport: Transport::WebSocket });
        });
        let (frame, ended) = (report.clone(), report.clone());
        let on_message = Closure::<dyn Fn(Event)>::new(move |event: Event| {
            let event: MessageEvent = event.unchecked_into();
            match event.data().dyn_into::<ArrayBuffer>() {
                Ok(buffer) => {
                    let bytes = Bytes::from(Uint8Array::new(&buffer).to_vec());
                    frame(Input::Frame { link, bytes });
                }
                // Text: not our protocol. The host drops this link for it.
                Err(_) => frame(Input::LinkDown { link }),
            }
        });
        // An error is always followed by a close.
        let on_close = Closure::<dyn Fn(Event)>::new(move |_| ended(Input::LinkDown { link }));
        socket.set_onopen(Some(on_open.as_ref().unchecked_ref()));
        socket.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        socket.set_onclose(Some(on_close.as_ref().unchecked_ref()));
        let closures = vec![on_open, on_message, on_close];
        Ok(Self { link, report, socket, poll: Rc::default(), _closures: closures })
    }

    /// Puts one message into the socket.
    ///
    /// # Errors
    /// The socket is not open.
    pub fn send(&self, bytes: &[u8]) -> Result<(), JsValue> {
        if self.socket.ready_state() != WebSocket::OPEN {
            return Err("not open".into());
        }
        self.socket.send_with_u8_array(bytes)
    }

    /// Bytes that wait in the socket. Where they are many, a report follows once they are few.
    pub fn buffered(&self) -> usize {
        let bytes = self.socket.buffered_amount() as usize;
        if bytes > BUFFERED_LOW_BYTES {
            let (link, report, socket) = (self.link, self.report.clone(), self.socket.clone());
            let poll = self.poll.clone();
            self.poll.borrow_mut().get_or_insert_with(|| {
                Interval::new(POLL_MS, move || {
                    let bytes = socket.buffered_amount() as usize;
                    if bytes <= BUFFERED_LOW_BYTES {
                        poll.take();
                        report(Input::Buffered { link, bytes });
                    }
                })
            });
        }
        bytes
    }

    /// Closes it after what was sent, without a report.
    pub fn close(self) {
        drop(self);
    }
}

impl Drop for SocketLink {
    fn drop(&mut self) {
        self.poll.take();
        self.socket.set_onopen(None);
        self.socket.set_onmessage(None);
        self.socket.set_onclose(None);
        // Sends what it holds first, RFC 6455 §7.
        let _ = self.socket.close();
    }
}
