//! The simulated world: thousands of real nodes in one thread, from one seed.
//!
//! ```text
//!             ┌────────── World ──────────┐
//!   seed ───► │ queue of (time, sequence) │ ──► digest, counts, checks
//!             │   │ input        ▲        │
//!             │   ▼              │ output │
//!             │ Node  Node  Node …        │     the nodes that run in browsers and servers
//!             │   wires · disks · clocks  │     what surrounds them, bent by chance
//!             └───────────────────────────┘
//! ```
//!
//! A run is a function of its seed: one generator, one virtual clock, events ordered by (time, sequence).
//! Faults come first, with safety checked at every step; then the world falls quiet, and everything that must
//! happen has to happen within bounded virtual time. A failure prints the command that repeats it.
pub mod adapt;
pub mod adversary;
pub mod campaign;
pub mod chance;
pub mod check;
pub mod clock;
pub mod digest;
pub mod host;
pub mod kinds;
pub mod liar;
pub mod memo;
pub mod nat;
pub mod network;
mod paths;
pub mod queue;
pub mod relay_lie;
pub mod replay;
pub mod report;
pub mod scenario;
pub mod store;
pub mod story;
pub mod summary;
mod world;

pub use host::{HostId, Kind};
pub use relay_lie::RelayLie;
pub use world::{Counts, World};

// The chapter on testing of the guide for Rust is run.
#[cfg(doctest)]
#[doc = include_str!("../../native/src/guide/testing.md")]
mod guide {}
