//! Every kind of message: number, name, owner, and whether it is bulk.
//!
//! A graph's kinds have numbers below [`FIRST_OF_NODE`] and carry a slot; the node's have the others. Both ranges are open:
//! a message of a kind that is not in the table is a later version's, and is skipped. No number is ever given twice, and 0
//! stays free.
use super::{PART, WHOLE};

/// The first number that belongs to the node, not to a graph of it.
pub const FIRST_OF_NODE: u8 = 128;

/// A message that names no record is shorter: its kind, a slot, the short id of one.
const RECORD_NAMED_BYTES: usize = 1 + 2 + 8;

/// A kind of message that this version knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(u8);

/// One kind's row in the table.
struct Row {
    kind: Kind,
    name: &'static str,
    bulk: bool,
    node: bool,
}

/// Reads the table: `NAME = number, "name for statistics"`, then `bulk` if there are as many messages like this as there
/// are records, or steps of a sync. First the kinds of a graph, then those of the node.
macro_rules! kinds {
    (@is) => { false };
    (@is bulk) => { true };
    (
        graph { $($(#[$graph_doc:meta])+ $graph:ident = $graph_number:literal, $graph_name:literal $(, $bulk:ident)?;)* }
        node { $($(#[$node_doc:meta])+ $node:ident = $node_number:literal, $node_name:literal;)* }
    ) => {
        $($(#[$graph_doc])+ pub const $graph: Kind = Kind($graph_number);)*
        $($(#[$node_doc])+ pub const $node: Kind = Kind($node_number);)*

        const TABLE: &[Row] = &[
            $(Row { kind: $graph, name: $graph_name, bulk: kinds!(@is $($bulk)?), node: false },)*
            $(Row { kind: $node, name: $node_name, bulk: false, node: true },)*
        ];
    };
}

kinds! {
    graph {
        // --- who is a neighbour
        /// Asks for a graph on this link.
        OPEN = 1, "open";
        /// The graph is there.
        OPENED = 2, "opened";
        /// No such graph, or none that is told of.
        NOT_OPENED = 3, "not opened";
        /// Asks to become a neighbour.
        CONNECT = 4, "connect";
        /// Accepts a neighbour.
        WELCOME = 5, "welcome";
        /// Refuses one.
        REFUSE = 6, "refuse";
        /// Ends a neighbourhood.
        DISCONNECT = 7, "disconnect";
        /// The holder of the graph signature lives.
        BEAT = 8, "beat";
        /// A connection signal on its way through the graph.
        SIGNAL = 9, "signal";
        /// Asks a neighbour for the time.
        ASK_TIME = 10, "ask time";
        /// The time.
        TIME = 11, "time";

        // --- how a newcomer becomes a member
        /// Redeems an invitation by link.
        REDEEM = 16, "redeem";
        /// The answer: a membership.
        GRANTED = 17, "granted";
        /// The answer: none.
        NOT_GRANTED = 18, "not granted";
        /// Begins to prove a password.
        ASK_PASSWORD = 19, "ask password";
        /// The member's half of that.
        ANSWER_PASSWORD = 20, "answer password";
        /// The newcomer's proof.
        PROVE_PASSWORD = 21, "prove password";
        /// Asks what an invitation is about.
        LOOK = 22, "look";
        /// The answer.
        SHOWN = 23, "shown";

        // --- records
        /// Records.
        FLOOD = 32, "flood", bulk;
        /// Tells what became of them.
        ACK = 33, "ack", bulk;
        /// Names records that can be requested.
        ANNOUNCE = 34, "announce", bulk;
        /// Requests some.
        REQUEST = 35, "request", bulk;
        /// Names records that the sender does not let in.
        DECLINE = 36, "decline", bulk;
        /// A step of the comparison of two stores.
        SYNC = 37, "sync", bulk;
        /// Asks for what that has found missing.
        WANT = 38, "want", bulk;
        /// That is given.
        GIVEN = 39, "given", bulk;
        /// The comparison is over.
        SYNC_END = 40, "sync end", bulk;

        // --- what nobody stores
        /// A message of an application to all who are here.
        BROADCAST = 48, "broadcast", bulk;
        /// Asks for the broadcasts of some nodes, or not to be sent them.
        BROADCAST_WISHES = 49, "broadcast wishes", bulk;
    }
    node {
        /// Asks for a sign of life.
        PING = 128, "ping";
        /// A sign of life.
        PONG = 129, "pong";

        // --- rendezvous
        /// Takes, or keeps, a seat at a table.
        SIT = 144, "sit";
        /// Tells who else sits there.
        SEATS = 145, "seats";
        /// A connection signal to, or from, another seat.
        CARRY = 146, "carry";
        /// Frees a seat.
        RISE = 147, "rise";

        // --- relay
        /// Asks for a circuit to whoever shows the same token.
        RELAY_ASK = 160, "relay ask";
        /// Names the circuit to both.
        RELAYED = 161, "relayed";
        /// A frame of a circuit, to the relay.
        RELAY_DATA = 162, "relay data";
        /// The same, from the relay.
        RELAYED_DATA = 163, "relayed data";
        /// Tells the relay how much of them was taken.
        RELAY_TAKEN = 164, "relay taken";
        /// Tells the other end, from the relay.
        RELAY_CREDIT = 165, "relay credit";
        /// Leaves a circuit.
        RELAY_END = 166, "relay end";
        /// A circuit is no more, from the relay.
        RELAY_ENDED = 167, "relay ended";

        // --- direct links
        /// Asks for a direct link.
        DIRECT_ASK = 176, "direct ask";
        /// Agrees to it.
        DIRECT_AGREED = 177, "direct agreed";
        /// Refuses it, or ends it.
        DIRECT_END = 178, "direct end";
        /// A frame of it.
        DIRECT_FRAME = 179, "direct frame";
        /// Tells how much has come, and how much more may.
        DIRECT_ACK = 180, "direct ack";
    }
}

/// The table by number. A number that is given twice, or to the wrong owner, does not compile.
static BY_NUMBER: [Option<&Row>; 256] = {
    let mut rows = [None; 256];
    let mut n = 0;
    while n < TABLE.len() {
        let row = &TABLE[n];
        let number = row.kind.0 as usize;
        assert!(number > 0 && rows[number].is_none(), "each number is given once");
        assert!(row.node == (row.kind.0 >= FIRST_OF_NODE), "each owner has its range");
        rows[number] = Some(row);
        n += 1;
    }
    rows
};

impl Kind {
    /// The kind of this number, unless only a later version knows it.
    pub fn of(number: u8) -> Option<Self> {
        BY_NUMBER[usize::from(number)].map(|row| row.kind)
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.kind)
    }

    /// As it travels.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Whether it is of a graph, so that a slot follows.
    pub const fn is_of_graph(self) -> bool {
        self.0 < FIRST_OF_NODE
    }

    /// Whether there are as many messages of it as there are records, or steps of a sync.
    pub fn is_bulk(self) -> bool {
        BY_NUMBER[usize::from(self.0)].is_some_and(|row| row.bulk)
    }
}

/// Whether a message of this kind is one of those that come with the records.
pub(crate) fn is_bulk(kind: Kind, message: &[u8]) -> bool {
    kind.is_bulk() && message.len() >= RECORD_NAMED_BYTES
}

/// Tells what an unsealed frame carries, for statistics: whether it is (the beginning of) a flood.
pub fn carries_records(frame: &[u8]) -> bool {
    matches!(frame, [WHOLE | PART, kind, ..] if *kind == FLOOD.0)
}

/// The name of the kind of this number, for statistics.
pub fn kind_name(number: u8) -> &'static str {
    BY_NUMBER[usize::from(number)].map_or("other", |row| row.name)
}
