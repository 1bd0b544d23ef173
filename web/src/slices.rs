//! Slices: how long this package keeps the only thread of a page in one go.
//!
//! ```text
//!  a task of the browser ─► we begin ── inputs, news, answers, what the page does with them ──► over
//!                              │ a message to ourselves                                           │ whoever has more to
//!                              ▼                                                                  ▼ do waits in a queue
//!                           a task of its own: a new slice; those that wait have it in turn ◄─────┘
//! ```
//!
//! Between two slices the browser does what it has: it draws, and takes what the user does. The time of a slice runs from
//! the moment at which anything of this package began, so that listeners of the page, which run in between, count as well.
//! All peers of a page share its slices, as they share its thread.
use crate::browser;
use futures::channel::oneshot;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::MessageChannel;

/// How long a slice is. Milliseconds. Guess: half a frame at 60 Hz; what is begun within it is ended, which may take as long
/// again.
const SLICE_MS: f64 = 8.0;

/// The slices of a page.
#[derive(Default)]
struct Slices {
    /// When the one that runs began.
    begun_ms: Cell<Option<f64>>,
    /// How many have begun.
    count: Cell<u64>,
    /// Whether a message is on its way to us.
    posted: Cell<bool>,
    channel: RefCell<Option<Channel>>,
    /// In the order in which they came: one for each thing that may go on.
    waiting: RefCell<VecDeque<oneshot::Sender<()>>>,
}

/// To ourselves: the quickest way to a task of its own, which no browser holds back in hidden pages.
struct Channel {
    channel: MessageChannel,
    _arrived: Closure<dyn Fn()>,
}

thread_local! {
    static SLICES: Slices = Slices::default();
}

/// Whether whoever has more to do must wait for the [`next`] slice. Begins one if none runs.
pub(crate) fn is_over() -> bool {
    SLICES.with(|slices| {
        let now_ms = browser::monotonic_ms();
        match slices.begun_ms.get() {
            Some(begun_ms) => now_ms - begun_ms >= SLICE_MS,
            None => {
                slices.begin(now_ms);
                false
            }
        }
    })
}

/// The number of the slice that runs, from one. Begins one if none runs.
pub(crate) fn current() -> u64 {
    SLICES.with(|slices| {
        if slices.begun_ms.get().is_none() {
            slices.begin(browser::monotonic_ms());
        }
        slices.count.get()
    })
}

/// Waits for a slice in which there is time.
pub(crate) async fn next() {
    let (sender, turn) = oneshot::channel();
    SLICES.with(|slices| {
        slices.waiting.borrow_mut().push_back(sender);
        slices.post();
    });
    // The sender is used, or dropped with the page.
    let _ = turn.await;
}

/// Lets everything that is ready go on within this task.
pub(crate) async fn pass() {
    let _ = JsFuture::from(js_sys::Promise::resolve(&JsValue::UNDEFINED)).await;
}

impl Slices {
    fn begin(&self, now_ms: f64) {
        self.begun_ms.set(Some(now_ms));
        self.count.set(self.count.get() + 1);
        self.post();
    }

    fn post(&self) {
        if self.posted.replace(true) {
            return;
        }
        if self.channel.borrow().is_none() {
            // No browser refuses one. If it did, nobody would wait.
            let Ok(channel) = MessageChannel::new() else { return self.arrived() };
            let arrived = Closure::<dyn Fn()>::new(|| SLICES.with(Self::arrived));
            channel.port1().set_onmessage(Some(arrived.as_ref().unchecked_ref()));
            self.channel.replace(Some(Channel { channel, _arrived: arrived }));
        }
        if let Some(Channel { channel, .. }) = &*self.channel.borrow() {
            let _ = channel.port2().post_message(&JsValue::NULL);
        }
    }

    /// A new slice: those that wait go on, one after the other, until it is over.
    fn arrived(&self) {
        self.posted.set(false);
        self.begun_ms.set(None);
        if self.waiting.borrow().is_empty() {
            return;
        }
        spawn_local(async {
            while let Some(turn) = SLICES.with(|slices| slices.waiting.borrow_mut().pop_front()) {
                // Nobody waits if what it was for is gone.
                if turn.send(()).is_ok() {
                    pass().await;
                }
                if is_over() {
                    break;
                }
            }
            SLICES.with(|slices| {
                if !slices.waiting.borrow().is_empty() {
                    slices.post();
                }
            });
        });
    }
}
