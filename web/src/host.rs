//! The loop: facts in, imperatives out, one timer.
//!
//! ```text
//!  RTC, WebSocket, IndexedDB, timer, application
//!        │ feed(input): queued; whoever comes first drains, whoever comes while it drains only queues;
//!        │              what is left when the slice is over (`slices.rs`) waits for the next one
//!        ▼
//!     node.handle ─► node.poll until Idle ─► perform
//!                                              │ news and answers: a queue of its own, emptied slice by slice by a
//!                                              ▼ task that borrows nothing, so that listeners may call back
//!                                         application
//! ```
use crate::convert;
use crate::failure::Failure;
use crate::ice::IceServers;
use crate::lock::Lock;
use crate::lookup::Early;
use crate::news::{Answer, LinkState, News};
use crate::rtc::RtcLink;
use crate::slices;
use crate::store::Store;
use crate::turns::Turns;
use crate::ws::SocketLink;
use crate::{Report, browser};
use futures::StreamExt;
use futures::channel::{mpsc, oneshot};
use futures::future::select;
use gloo_timers::callback::Timeout;
use gloo_timers::future::TimeoutFuture;
use js_sys::Function;
use peergraph_core::address::Address;
use peergraph_core::error::Error;
use peergraph_core::id::GroupId;
use peergraph_core::identity::Identity;
use peergraph_core::io::{
    CloseReason, Command, Dial, Draft, Event, GroupCommand, Input, LinkId, Output, Reply,
    RequestId, StoreFault, Wake,
};
use peergraph_core::node::{Config, Node};
use peergraph_core::node_url::NodeUrl;
use peergraph_core::sorted::{SortedMap, SortedSet};
use peergraph_core::time::{Now, Time, WallTime};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use zeroize::Zeroizing;

/// How long a node may take to say goodbye. Milliseconds. Guess.
const GOODBYE_MS_MAX: u32 = 2_000;
/// Longest delay of the timer. Milliseconds. Source: `setTimeout` takes 31 bits, and fires at once beyond.
const TIMER_MS_MAX: u64 = 24 * 3_600_000;

/// One node with everything around it.
pub(crate) struct Host {
    me: Weak<Self>,
    node: RefCell<Node>,
    /// When the node was made, by the browser's monotonic clock.
    origin_ms: f64,
    /// Inputs that came while another was handled, or after the slice was over. As much as the browser would keep otherwise.
    inputs: RefCell<VecDeque<Input>>,
    draining: Cell<bool>,
    /// The slice in which fresh randomness was mixed in last: a page wakes for a slice.
    stirred: Cell<u64>,
    /// Whether the next slice is waited for.
    waits: Cell<bool>,
    /// Whether the page ends: there is no further slice.
    hurries: Cell<bool>,
    /// The servers that tell us our addresses.
    ice: RefCell<IceServers>,
    transports: RefCell<SortedMap<LinkId, Carrier>>,
    /// Links on which something was sent since their buffer was last reported.
    sent_on: RefCell<SortedSet<LinkId>>,
    /// Bounded by the node, which answers `Busy`; publications by their turns.
    requests: RefCell<SortedMap<RequestId, Answer>>,
    requests_made: Cell<u64>,
    turns: Turns,
    timer: RefCell<Option<(Time, Timeout)>>,
    /// Whether anybody listens for records. Else they need not cross.
    hears_records: Rc<Cell<bool>>,
    /// Emptied after every drain, as far as the slice goes.
    news: mpsc::UnboundedSender<News>,
    store: Store,
    early: RefCell<Early>,
    lock: RefCell<Option<Lock>>,
    closing: Cell<bool>,
    opened: RefCell<Option<oneshot::Sender<Result<(), StoreFault>>>>,
}

/// The transport that carries a link.
enum Carrier {
    Rtc(RtcLink),
    Socket(SocketLink),
}

impl Carrier {
    fn send(&self, bytes: &[u8]) -> Result<(), JsValue> {
        match self {
            Self::Rtc(link) => link.send(bytes),
            Self::Socket(link) => link.send(bytes),
        }
    }

    fn buffered(&self) -> usize {
        match self {
            Self::Rtc(link) => link.buffered(),
            Self::Socket(link) => link.buffered(),
        }
    }

    fn close(self) {
        match self {
            Self::Rtc(link) => link.close(),
            Self::Socket(link) => link.close(),
        }
    }

    fn is_direct(&self) -> bool {
        matches!(self, Self::Rtc(_))
    }
}

impl Host {
    /// Starts a node on an open store, and waits until it has read it. `listener` gets all news. The nodes are dialled
    /// meanwhile.
    pub(crate) async fn start(
        config: Config,
        identity: Identity,
        store: Store,
        lock: Lock,
        (nodes, early, ice): (Vec<NodeUrl>, Early, IceServers),
        listener: Function,
    ) -> Result<Rc<Self>, Failure> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut()).map_err(|_| Failure::internal("no randomness"))?;
        let origin_ms = browser::monotonic_ms();
        let now = Now { mono: Time::ZERO, wall: wall() };
        let (news, heard) = mpsc::unbounded();
        let (sender, opened) = oneshot::channel();
        let hears_records = Rc::new(Cell::new(true));
        let host = Rc::new_cyclic(|me: &Weak<Self>| Self {
            me: me.clone(),
            node: RefCell::new(Node::new(config, identity, &seed, now)),
            origin_ms,
            inputs: RefCell::default(),
            draining: Cell::new(false),
            stirred: Cell::new(0),
            waits: Cell::new(false),
            hurries: Cell::new(false),
            ice: RefCell::new(ice),
            transports: RefCell::default(),
            sent_on: RefCell::default(),
            requests: RefCell::default(),
            requests_made: Cell::new(0),
            turns: Turns::default(),
            timer: RefCell::default(),
            hears_records: hears_records.clone(),
            news,
            store,
            early: RefCell::new(early),
            lock: RefCell::new(Some(lock)),
            closing: Cell::new(false),
            opened: RefCell::new(Some(sender)),
        });
        spawn_local(tell(heard, listener, hears_records));
        host.store.start(host.report());
        host.run();
        for node in nodes {
            // The script that opens the peer connects to each again, and learns of errors then.
            drop(host.request(Command::Connect { node }));
        }
        match opened.await {
            Ok(Ok(())) => Ok(host),
            Ok(Err(fault)) => {
                host.shut_down(None).await;
                Err(Error::Store(fault).into())
            }
            Err(_) => Err(Failure::closed()),
        }
    }

    /// The disk of this node.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Whether records are told whole from now on.
    pub(crate) fn hear_records(&self, hears: bool) {
        self.hears_records.set(hears);
    }

    /// Asks the node for something and waits for its answer.
    pub(crate) async fn ask(&self, command: Command) -> Result<Reply, Failure> {
        if self.closing.get() {
            return Err(Failure::closed());
        }
        let answer = self.request(command);
        match answer.await {
            Ok(result) => Ok(result?),
            Err(_) => Err(Failure::closed()),
        }
    }

    /// Publishes when its turn comes, and waits until that is durable.
    pub(crate) async fn publish(&self, group: GroupId, draft: Draft) -> Result<Reply, Failure> {
        let turn = self.turns.begin(draft.payload.len()).await?;
        let result = self.ask(Command::Group(group, GroupCommand::Publish { draft })).await;
        self.turns.end(turn);
        result
    }

    /// Leaves every graph properly and lets go of everything. `error` is why, where nobody asked for it.
    pub(crate) async fn close(&self, error: Option<Failure>) {
        if self.closing.replace(true) {
            return;
        }
        let goodbye = self.request(Command::Close);
        select(goodbye, TimeoutFuture::new(GOODBYE_MS_MAX)).await;
        self.shut_down(error).await;
    }

    /// The page's last act: there is no time to wait for anything.
    pub(crate) fn goodbye(&self) {
        if !self.closing.replace(true) {
            self.hurries.set(true);
            self.store.hurry();
            drop(self.request(Command::Close));
            self.drop_transports();
        }
    }

    async fn shut_down(&self, error: Option<Failure>) {
        self.closing.set(true);
        self.timer.take();
        self.drop_transports();
        self.requests.take();
        self.turns.close();
        self.store.close().await;
        self.lock.take();
        // Nobody listens where the page has dropped the peer.
        let _ = self.news.unbounded_send(News::Closed(error));
        self.news.close_channel();
    }

    fn drop_transports(&self) {
        for (_, carrier) in self.transports.take() {
            carrier.close();
        }
    }

    fn request(&self, command: Command) -> oneshot::Receiver<Result<Reply, Error>> {
        let request = RequestId(self.requests_made.get());
        self.requests_made.set(request.0 + 1);
        let (sender, answer) = oneshot::channel();
        self.requests.borrow_mut().insert(request, sender);
        self.feed(Input::Command { request, command });
        answer
    }

    fn report(&self) -> Report {
        let me = self.me.clone();
        Rc::new(move |input| {
            if let Some(host) = me.upgrade() {
                host.feed(input);
            }
        })
    }

    /// Handles one input and performs every output. Safe to call from inside anything.
    pub(crate) fn feed(&self, input: Input) {
        self.inputs.borrow_mut().push_back(input);
        self.run();
    }

    /// Handles inputs that wait: all of them when the page ends, else until the slice is over.
    fn run(&self) {
        if self.draining.get() || self.is_to_wait() {
            return;
        }
        self.draining.set(true);
        // Nothing, but for a new node: it asks for its store unasked.
        let mut wake = self.drain();
        self.stir();
        while let Some(input) = self.next_input() {
            self.before(&input);
            self.node.borrow_mut().handle(self.now(), input);
            wake = self.drain();
            if self.is_to_wait() {
                break;
            }
        }
        self.draining.set(false);
        self.arm(wake);
    }

    /// Whether there is more to do and the slice is over. Then the next one goes on.
    fn is_to_wait(&self) -> bool {
        let has_more = !self.inputs.borrow().is_empty() || self.node.borrow().has_more();
        if self.hurries.get() || !has_more || !slices::is_over() {
            return false;
        }
        if !self.waits.replace(true) {
            let me = self.me.clone();
            spawn_local(async move {
                slices::next().await;
                if let Some(host) = me.upgrade() {
                    host.waits.set(false);
                    host.run();
                }
            });
        }
        true
    }

    /// Mixes fresh randomness of the browser into the node's, once a slice. If there is none, which no browser documents,
    /// what there is goes on.
    fn stir(&self) {
        let slice = slices::current();
        if self.stirred.replace(slice) == slice {
            return;
        }
        let mut fresh = Zeroizing::new([0; 32]);
        if getrandom::fill(fresh.as_mut()).is_ok() {
            self.node.borrow_mut().stir(&fresh);
        }
    }

    /// The next input: first the rest of the one before. After the last one, how much waits on the links that were used.
    fn next_input(&self) -> Option<Input> {
        if self.node.borrow().has_more() {
            return Some(Input::Timeout);
        }
        if let Some(input) = self.inputs.borrow_mut().pop_front() {
            return Some(input);
        }
        let link = self.sent_on.borrow_mut().pop_first()?;
        let bytes = self.transports.borrow().get(&link).map(Carrier::buffered);
        match bytes {
            Some(bytes) => Some(Input::Buffered { link, bytes }),
            None => self.next_input(),
        }
    }

    /// Notes what the host itself learns from an input.
    fn before(&self, input: &Input) {
        match input {
            Input::LinkUp { link, .. } => self.tell_link(*link, LinkState::Open, None),
            Input::LinkDown { link } | Input::LinkFailed { link, .. } => {
                self.tell_link(*link, LinkState::Closed, None);
                self.transports.borrow_mut().remove(link);
            }
            Input::Stored { result: Err(fault), .. } => {
                // Before it has opened, the node can do nothing without its store.
                if let Some(opened) = self.opened.take() {
                    let _ = opened.send(Err(*fault));
                }
            }
            Input::Timeout
            | Input::LinkQuiet { .. }
            | Input::PathsChanged { .. }
            | Input::Frame { .. }
            | Input::Buffered { .. }
            | Input::Signal { .. }
            | Input::Stored { .. }
            | Input::Command { .. }
            | Input::Addresses(_)
            | Input::LookedUp { .. } => {}
        }
    }

    /// Performs outputs until the node has none.
    fn drain(&self) -> Option<Wake> {
        loop {
            let output = self.node.borrow_mut().poll();
            match output {
                Output::LookUp(look_up) => self.look_up(look_up.url),
                Output::StunServers(servers) => self.ice.borrow_mut().know(&servers),
                Output::Open { link, dial } => self.open(link, dial),
                Output::Signal { link, signal } => {
                    if let Some(Carrier::Rtc(carrier)) = self.transports.borrow().get(&link) {
                        carrier.signal(&signal);
                    }
                }
                Output::Send { link, bytes } => self.send(link, &bytes),
                Output::Close { link, reason } => {
                    self.tell_link(link, LinkState::Closed, Some(reason));
                    let carrier = self.transports.borrow_mut().remove(&link);
                    if let Some(carrier) = carrier {
                        carrier.close();
                    }
                }
                Output::Store { op, task } => self.store.run(op, task),
                Output::Done { request, result } => {
                    if let Some(answer) = self.requests.borrow_mut().remove(&request) {
                        let _ = self.news.unbounded_send(News::Answer(answer, Box::new(result)));
                    }
                }
                Output::Event(event) => self.tell(event),
                Output::Idle { wake } => return wake,
            }
        }
    }

    fn look_up(&self, url: String) {
        let report = self.report();
        let found = self.early.borrow_mut().take(url.clone());
        spawn_local(async move {
            let found = found.await;
            report(Input::LookedUp { url, found });
        });
    }

    fn open(&self, link: LinkId, dial: Dial) {
        if self.closing.get() {
            self.inputs.borrow_mut().push_back(Input::LinkDown { link });
            return;
        }
        let carrier = match dial {
            // The address to which a name resolves is the browser's secret, and its matter.
            Dial::Address(Address::WebSocket { url }, _) => {
                SocketLink::open(link, &url.to_string(), self.report()).map(Carrier::Socket)
            }
            dial @ (Dial::Address(Address::Rtc { .. }, _) | Dial::Offer | Dial::Answer) => {
                RtcLink::open(link, dial, &self.ice.borrow(), self.report()).map(Carrier::Rtc)
            }
        };
        match carrier {
            Ok(carrier) => {
                self.transports.borrow_mut().insert(link, carrier);
                self.tell_link(link, LinkState::Opening, None);
            }
            // Too many connections, or a kind that this page may not open.
            Err(_) => self.inputs.borrow_mut().push_back(Input::LinkDown { link }),
        }
    }

    fn send(&self, link: LinkId, bytes: &[u8]) {
        let sent = self.transports.borrow().get(&link).map(|carrier| carrier.send(bytes));
        match sent {
            Some(Ok(())) => {
                self.sent_on.borrow_mut().insert(link);
            }
            // Its channel is closing: what was sent before may arrive, this will not.
            Some(Err(_)) => self.inputs.borrow_mut().push_back(Input::LinkDown { link }),
            // Gone; the node is about to read that.
            None => {}
        }
    }

    fn tell(&self, event: Event) {
        // A store that is not this identity's, or not of this version, is not opened. Damage within one is told.
        let refused = if let Event::StoreFailed { fault } = &event
            && matches!(fault, StoreFault::OtherIdentity | StoreFault::OtherVersion)
        {
            Some(*fault)
        } else {
            None
        };
        if (refused.is_some() || matches!(event, Event::Opened))
            && let Some(opened) = self.opened.take()
        {
            let _ = opened.send(refused.map_or(Ok(()), Err));
        }
        let _ = self.news.unbounded_send(News::Core(Box::new(event)));
    }

    fn tell_link(&self, link: LinkId, state: LinkState, reason: Option<CloseReason>) {
        if let Some(carrier) = self.transports.borrow().get(&link) {
            let direct = carrier.is_direct();
            let _ = self.news.unbounded_send(News::Link { link, state, direct, reason });
        }
    }

    /// Sets the only timer to the node's next deadline.
    fn arm(&self, wake: Option<Wake>) {
        let wake = wake.filter(|_| !self.closing.get() || !self.requests.borrow().is_empty());
        let Some(Wake { at, .. }) = wake else {
            self.timer.take();
            return;
        };
        if self.timer.borrow().as_ref().is_some_and(|(armed, _)| *armed == at) {
            return;
        }
        let delay = at.since(self.now().mono);
        // Rounded up: the clock, not the timer, says when it is time.
        let delay_ms = delay.as_micros().div_ceil(1_000).min(u128::from(TIMER_MS_MAX)) as u32;
        let me = self.me.clone();
        let timeout = Timeout::new(delay_ms, move || {
            if let Some(host) = me.upgrade() {
                host.timer.take();
                host.feed(Input::Timeout);
            }
        });
        self.timer.replace(Some((at, timeout)));
    }

    fn now(&self) -> Now {
        let elapsed_ms = (browser::monotonic_ms() - self.origin_ms).max(0.0);
        Now { mono: Time::from_micros((elapsed_ms * 1_000.0) as u64), wall: wall() }
    }
}

/// The wall clock of the browser.
pub(crate) fn wall() -> WallTime {
    WallTime(js_sys::Date::now().max(0.0) as u64)
}

/// Hands news to the application, one by one, with nothing of the host borrowed.
async fn tell(
    mut heard: mpsc::UnboundedReceiver<News>,
    listener: Function,
    hears_records: Rc<Cell<bool>>,
) {
    while let Some(news) = heard.next().await {
        while slices::is_over() {
            slices::next().await;
        }
        if let News::Answer(answer, result) = news {
            // Nobody waits: the application gave up.
            if answer.send(*result).is_ok() {
                // The application's work with it is a part of the slice.
                slices::pass().await;
            }
            continue;
        }
        let Some(value) = convert::news(news, hears_records.get()) else { continue };
        if let Err(error) = listener.call1(&JsValue::UNDEFINED, &value) {
            browser::log_error("peergraph: a listener failed", &error);
        }
    }
}
