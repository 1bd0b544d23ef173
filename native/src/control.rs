//! One running program, used by others: every program with the data folder of a running host works through that host.
//!
//! ```text
//!  peergraph publish …                               peergraph node
//!  Host ── Requests ──► client ◄── Unix socket ──► server ── Requests ──► host/driver.rs
//!       ◄─ Registry ──┘  identities/PEER/control         └◄─ Registry ◄──┘
//! ```
//!
//! The socket carries what goes between a [`Host`](crate::Host) and its loop, so that [`Host`](crate::Host),
//! [`Group`](crate::Group), [`Watch`](crate::Watch) and the command line are the same on either side:
//!
//! ```text
//! first bytes of both ends    MAGIC ‖ VERSION (1)
//! then frames                 length (4, big endian) ‖ CBOR of an Ask or a Tell
//! ```
//!
//! * The program that holds the lock of an identity serves; its end ends the connections. A client
//!   that goes on after that starts a host of its own, and serves from then on.
//! * The socket is inside the folder of the identity, which its owner alone may enter. Both ends also check that the
//!   other one runs as the same user.
//! * Bounds: [`CONNECTIONS_MAX`], [`CALLS_MAX`] for each, [`FRAME_BYTES_MAX`]; a page goes record
//!   by record. A client that reads slowly is told of records by id once its queue is full, as any
//!   [`Watch`](crate::Watch) is.
//! * Both programs must be of one [`VERSION`]: it changes with the contents of the frames.
//!
//! Windows has no such socket in the standard library: it needs a named pipe `\\.\pipe\peergraph-PEER` whose security
//! descriptor names the user alone. Until then a second program is refused there, as being in use.

use std::time::Duration;

use bytes::Bytes;
use peergraph_core::address::Address;
use peergraph_core::error::Error;
use peergraph_core::id::{GroupId, RecordId};
use peergraph_core::io::{Command, Event, NodeState, Placed, Reply, StoreFault};
use peergraph_core::node_url::NodeUrl;
use peergraph_core::record::Record;
use serde::{Deserialize, Serialize};

mod client;
mod frames;
mod server;
mod socket;

pub use client::AttachError;
pub(crate) use client::{Attached, attach};
pub(crate) use server::{Port, serve};
pub(crate) use socket::Listening;

/// The beginning of both directions.
const MAGIC: &[u8; 9] = b"peergraph";
/// Of the frames.
const VERSION: u8 = 3;
/// Longest frame. Bytes. Guess: the longest record is 60 MiB, and a list of 100,000 members takes 30.
const FRAME_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Programs that use one running one at a time. Guess.
const CONNECTIONS_MAX: usize = 64;
/// Calls of one program that wait for their answers. Guess; as many as wait in the channel of a loop.
const CALLS_MAX: usize = 64;
/// Groups whose records one program watches. As many as a node has.
const WATCHED_MAX: usize = peergraph_core::limits::GROUPS_MAX;
/// Time for the first bytes. Guess: the other program may still be reading a large store.
const HELLO_TIMEOUT: Duration = Duration::from_secs(60);

/// A message of the program that uses another one.
#[derive(Debug, Serialize, Deserialize)]
enum Ask {
    /// A command for the node, and whether its record is to be followed until a neighbour holds it.
    Call { call: u64, command: Box<Command>, follow: bool },
    /// Entries of the store, as it stands.
    Scan { call: u64, from: Bytes, to: Bytes, limit: u32 },
    /// Tell of the records of this group.
    Watch { call: u64, group: GroupId },
    /// Keep a node in the data folder.
    Keep { node: NodeUrl },
}

/// A message of the running program.
#[derive(Debug, Serialize, Deserialize)]
enum Tell {
    /// The description of the running host; comes first.
    About {
        addresses: Vec<Address>,
        http: Vec<std::net::SocketAddr>,
        nodes: Vec<(NodeUrl, NodeState)>,
    },
    /// A record of the page that a call asked for.
    Row { call: u64, record: Box<Record> },
    /// A record of the changes that a call asked for.
    Placed { call: u64, placed: Box<Placed> },
    /// The answer to a call. The records of a page came before it.
    Done { call: u64, result: Result<Reply, Error> },
    /// An entry of the store.
    Entry { call: u64, key: Bytes, value: Bytes },
    /// The answer to a scan. The entries came before it.
    Entries { call: u64, result: Result<(), StoreFault> },
    /// The records of the group are told from here on.
    Watching { call: u64 },
    /// A record of a group that is watched.
    Record { group: GroupId, record: Box<Record> },
    /// A record of a group that is watched has changed: this end was too slow to be sent all of them.
    Changed { group: GroupId, id: RecordId },
    /// Followed records that a neighbour holds.
    Held { records: Vec<RecordId> },
    /// Anything else that happened.
    Event(Event),
}
