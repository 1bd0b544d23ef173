//! Secure, serverless groups: the part that decides, without I/O.
//!
//! **A group is a key, membership is a certificate, data is a signed, replicated store that every member holds, and
//! every connection is direct.** This crate holds all of the rules, and touches nothing: no socket, clock, randomness,
//! task, lock or file. A host (the crate `peergraph` natively, the package `peergraph` in browsers, the simulator in
//! tests) reports what happened and does what is asked:
//!
//! ```text
//!              Input: a frame came, a transport opened, a write is durable, a command, time
//!                │
//!                ▼
//!   ┌──────────────────────────── Node ───────────────────────────┐
//!   │ link        handshake, frames, queue, silence               │
//!   │ group       membership · records · graph · flood · sync     │
//!   │ reach       dialling · rendezvous · signals                 │
//!   │ storage     what is to become durable, what is to be read   │
//!   └──────────────────────────────┬──────────────────────────────┘
//!                                  ▼
//!              Output: open, send, close, store, done, event, idle until
//! ```
//!
//! # The contract
//!
//! * **The drain rule.** After each [`handle`](node::Node::handle), [`poll`](node::Node::poll) to
//!   [`Output::Idle`](io::Output::Idle) before the next. `handle` asserts it. The deadline rides on `Idle`.
//! * The same seed, the same inputs and the same fresh bytes give the same outputs, on every platform.
//! * Whenever it wakes, a host gives 32 fresh bytes of its system to [`stir`](node::Node::stir), before it hands the node
//!   what woke it. So copies of one state, such as restored snapshots of a virtual machine, repeat no key and no nonce.
//! * A peer's fault costs that peer its link, and nobody else anything. Network bytes never panic.
//! * A record that was checked travels on and is shown at once. It is acknowledged to others, answered to its publisher
//!   and told as [`Stored`](io::Event::Stored) only when the host says that it is durable.
//! * A host stops reading links while too much [waits for its disk](node::Node::writes_waiting); one that cannot says so
//!   by [`reads_on`](node::Config::reads_on).
//! * Everything is bounded; the bounds stand in [`limits`].
//!
//! # Where to read
//!
//! [`io`] (the whole border; its two parts are for the application), [`node`] (routing), `link.rs` and [`wire`] (what travels), `group.rs` and its parts;
//! [`provider`] (what an application can replace); beside them the pure parts: [`cert`], [`invitation`], [`identity`], [`record`], [`index`], [`symbols`],
//! [`reconcile`]; [`sorted`] (maps); [`share`] (whose part of a bound is whose). Secrets: `key.rs`, [`identity`], [`sealed`] (in a store), [`password`], `random.rs`, `noise.rs`.
//!
//! # A running example
//!
//! Two nodes, a loop, a record. A real host differs in its sockets, its disk and its clock.
//!
//! ```
//! use bytes::Bytes;
//! use peergraph_core::cert::Role;
//! use peergraph_core::identity::Identity;
//! use peergraph_core::io::{
//!     Command, Draft, Event, GroupCommand, Input, Invite, LinkId, Output, Reply, RequestId,
//!     StoreReply, StoreTask, Transport,
//! };
//! use peergraph_core::node::{Config, Node};
//! use peergraph_core::policy::Policy;
//! use peergraph_core::record::{Record, RecordType};
//! use peergraph_core::source::Source;
//! use peergraph_core::time::{Now, Time, WallTime};
//! use std::collections::{BTreeMap, VecDeque};
//! use std::time::Duration;
//!
//! /// A moment after this program was made: before that, nothing is signed.
//! const START: WallTime = WallTime(1_800_000_000_000);
//!
//! /// A node, its store, what happened to it meanwhile, and what came out.
//! struct Host {
//!     node: Node,
//!     store: BTreeMap<Bytes, Bytes>,
//!     inputs: VecDeque<Input>,
//!     wake: Option<Time>,
//!     reply: Option<Reply>,
//!     record: Option<Record>,
//! }
//!
//! impl Host {
//!     fn new(name: &str, secret: [u8; 32]) -> Self {
//!         let now = Now { mono: Time::ZERO, wall: START };
//!         let identity = Identity::generate(secret, [0; 16], name, now.wall).expect("a good name");
//!         let node = Node::new(Config::default(), identity, &secret, now);
//!         let (store, inputs) = (BTreeMap::new(), VecDeque::new());
//!         Self { node, store, inputs, wake: None, reply: None, record: None }
//!     }
//!
//!     fn run(&mut self, task: StoreTask) -> StoreReply {
//!         match task {
//!             StoreTask::Scan { from, to, limit } => {
//!                 let found = self.store.range(from..to).take(limit);
//!                 StoreReply::Entries(found.map(|(k, v)| (k.clone(), v.clone())).collect())
//!             }
//!             StoreTask::Read { keys } => {
//!                 StoreReply::Values(keys.iter().map(|key| self.store.get(key).cloned()).collect())
//!             }
//!             StoreTask::Write { batch } => {
//!                 for (key, value) in batch {
//!                     match value {
//!                         Some(value) => self.store.insert(key, value),
//!                         None => self.store.remove(&key),
//!                     };
//!                 }
//!                 StoreReply::Written
//!             }
//!         }
//!     }
//! }
//!
//! /// Two hosts, the wires between them, and a clock that goes straight to the next deadline.
//! struct World {
//!     hosts: [Host; 2],
//!     wires: BTreeMap<(usize, LinkId), LinkId>,
//!     time: Time,
//! }
//!
//! impl World {
//!     /// Does what a node asks for, to the end.
//!     fn drain(&mut self, at: usize) {
//!         let other = 1 - at;
//!         loop {
//!             match self.hosts[at].node.poll() {
//!                 Output::Open { link, .. } => {
//!                     // There is one other host, so the address need not be looked at.
//!                     let from = Source::of([192, 0, 2, 1].into());
//!                     let theirs = self.hosts[other].node.new_link(from);
//!                     self.wires.extend([((at, link), theirs), ((other, theirs), link)]);
//!                     let transport = Transport::WebSocket;
//!                     self.hosts[at].inputs.push_back(Input::LinkUp { link, transport });
//!                     let up = Input::LinkUp { link: theirs, transport };
//!                     self.hosts[other].inputs.push_front(up);
//!                 }
//!                 Output::Send { link, bytes } => {
//!                     if let Some(&theirs) = self.wires.get(&(at, link)) {
//!                         let frame = Input::Frame { link: theirs, bytes };
//!                         self.hosts[other].inputs.push_back(frame);
//!                         self.hosts[at].inputs.push_back(Input::Buffered { link, bytes: 0 });
//!                     }
//!                 }
//!                 Output::Close { link, .. } => {
//!                     if let Some(theirs) = self.wires.remove(&(at, link)) {
//!                         self.wires.remove(&(other, theirs));
//!                         self.hosts[other].inputs.push_back(Input::LinkDown { link: theirs });
//!                     }
//!                 }
//!                 Output::Store { op, task } => {
//!                     let result = Ok(self.hosts[at].run(task));
//!                     self.hosts[at].inputs.push_back(Input::Stored { op, result });
//!                 }
//!                 Output::Done { result, .. } => {
//!                     self.hosts[at].reply = Some(result.expect("the command is good"));
//!                 }
//!                 Output::Event(Event::Record { record, .. }) => {
//!                     self.hosts[at].record = Some(*record);
//!                 }
//!                 Output::Event(_) | Output::Signal { .. } => {}
//!                 Output::LookUp(_) | Output::StunServers(_) => {}
//!                 Output::Idle { wake } => {
//!                     self.hosts[at].wake = wake.map(|wake| wake.at);
//!                     return;
//!                 }
//!             }
//!         }
//!     }
//!
//!     fn handle(&mut self, at: usize, input: Input) {
//!         let passed = self.time.since(Time::ZERO);
//!         let now = Now { mono: self.time, wall: START.after(passed) };
//!         // A real host takes 32 fresh bytes from its system here.
//!         self.hosts[at].node.stir(&[0; 32]);
//!         self.hosts[at].node.handle(now, input);
//!         self.drain(at);
//!     }
//!
//!     /// The loop: what happened comes first, time passes when nothing did.
//!     fn until<T>(&mut self, at: usize, wanted: impl Fn(&mut Host) -> Option<T>) -> T {
//!         loop {
//!             if let Some(found) = wanted(&mut self.hosts[at]) {
//!                 return found;
//!             }
//!             let happened = (0..2).find_map(|at| Some((at, self.hosts[at].inputs.pop_front()?)));
//!             let (at, input) = happened.unwrap_or_else(|| {
//!                 let deadlines = (0..2).filter_map(|at| Some((self.hosts[at].wake?, at)));
//!                 let (time, at) = deadlines.min().expect("somebody waits for something");
//!                 self.time = self.time.max(time);
//!                 (at, Input::Timeout)
//!             });
//!             self.handle(at, input);
//!         }
//!     }
//!
//!     fn ask(&mut self, at: usize, command: Command) -> Reply {
//!         self.handle(at, Input::Command { request: RequestId(0), command });
//!         self.until(at, |host| host.reply.take())
//!     }
//! }
//!
//! let hosts = [Host::new("Ada", [1; 32]), Host::new("Bob", [2; 32])];
//! let mut world = World { hosts, wires: BTreeMap::new(), time: Time::ZERO };
//! let (ada, bob) = (0, 1);
//! world.drain(ada);
//! world.drain(bob);
//! world.handle(ada, Input::Addresses(vec!["ws://192.0.2.1:8080/link".parse().unwrap()]));
//!
//! let (name, policy) = ("Trip to Lisbon".to_owned(), Policy::default());
//! let Reply::Group(trip) = world.ask(ada, Command::CreateGroup { name, policy }) else { panic!() };
//! let (group, expires_in) = (trip.id, Duration::from_secs(3_600));
//! let invite = Invite::Bearer { grant: Role::Member.into(), uses: 1, expires_in };
//! let invite = Command::Group(group, GroupCommand::Invite { invite });
//! let Reply::Invitation(invitation) = world.ask(ada, invite) else { panic!() };
//! world.ask(bob, Command::Join { invitation, password: None });
//!
//! let draft = Draft {
//!     id: None,
//!     kind: RecordType::new("chat.message").unwrap(),
//!     attributes: Vec::new(),
//!     payload: "Hello".into(),
//!     expires_in: None,
//!     delete: false,
//!     refresh: false,
//!     if_version: None,
//!     nonce: None,
//! };
//! world.ask(ada, Command::Group(group, GroupCommand::Publish { draft }));
//! let record = world.until(bob, |host| host.record.take());
//! assert_eq!(record.payload, "Hello");
//! ```
pub mod address;
#[allow(clippy::expect_used, reason = "encoding into a vector cannot fail")]
pub mod backup;
mod budget;
#[allow(clippy::expect_used, reason = "encoding into a vector cannot fail")]
mod cbor;
// Nothing that depends on state is expected: `clippy::expect_used` is on, and these are the exceptions.
#[allow(
    clippy::expect_used,
    reason = "chains that were checked have a root, and checked parts can be encoded"
)]
pub mod cert;
mod conduct;
pub mod config;
mod context;
mod direct;
pub mod fault;
#[cfg(test)]
mod fixtures;
mod group;
#[allow(clippy::expect_used, reason = "lengths are those of the types")]
pub mod id;
#[allow(
    clippy::expect_used,
    reason = "encoding into a vector cannot fail, and lengths are those of the types"
)]
pub mod identity;
pub mod index;
#[allow(
    clippy::expect_used,
    reason = "encoding into a vector cannot fail, and lengths are those of the types"
)]
pub mod invitation;
pub mod io;
#[allow(
    clippy::expect_used,
    reason = "encoding into a vector cannot fail, and only bytes of a point become a key"
)]
mod key;
pub mod limits;
#[allow(clippy::expect_used, reason = "a handshake that ended has both introductions")]
mod link;
#[allow(clippy::expect_used, reason = "digits are below 36")]
pub mod name;
pub mod node;
pub mod node_url;
#[allow(
    clippy::expect_used,
    reason = "patterns and lengths are ours, and turns are kept by the caller"
)]
mod noise;
#[allow(clippy::expect_used, reason = "a key may have any length")]
pub mod password;
pub mod place;
pub mod policy;
pub mod provider;
mod random;
mod reach;
mod recent;
pub mod reconcile;
#[allow(clippy::expect_used, reason = "encoding into a vector cannot fail")]
pub mod record;
mod record_type;
pub mod roll;
#[allow(
    clippy::expect_used,
    reason = "encoding into a vector cannot fail, and keys and nonces have their lengths"
)]
pub mod sealed;
pub mod search;
#[cfg(feature = "serde")]
mod serial;
pub mod share;
pub mod sorted;
pub mod source;
mod storage;
pub mod stored;
mod stretch;
pub mod symbols;
mod table;
pub mod time;
pub mod verify;
pub mod web_url;
pub use io::error;
#[allow(
    clippy::expect_used,
    reason = "encoding into a vector cannot fail, and a key may have any length"
)]
pub mod wire;
