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
//! [`reconcile`]; [`share`] (whose part of a bound is whose). Secrets: `key.rs`, [`identity`], [`sealed`] (in a store), [`password`], `random.rs`, `noise.rs`.
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
#[cfg(feature = "serde")]
mod serial;
pub mod share;
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
