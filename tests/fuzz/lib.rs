//! The fuzzed parts: every form that comes from outside, and whole nodes.
//!
//! A target takes any bytes, and panics when something that must hold does not. The fuzzer (`bin`) and the replay of the
//! corpus on a stable compiler (`replay.rs`) run the same functions.
mod forms;
mod nodes;
mod pair;

pub use forms::{certificate, chain, identity, invitation, record};
pub use nodes::{handshake, message, node};

/// A target with its name and the inputs from which the fuzzer sets out.
pub struct Target {
    /// Folder of its corpus.
    pub name: &'static str,
    /// Itself.
    pub run: fn(&[u8]),
    /// Good inputs, and interesting ones.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: [Target; 8] = [
    Target { name: "certificate", run: certificate, seeds: forms::certificate_seeds },
    Target { name: "chain", run: chain, seeds: forms::chain_seeds },
    Target { name: "invitation", run: invitation, seeds: forms::invitation_seeds },
    Target { name: "identity", run: identity, seeds: forms::identity_seeds },
    Target { name: "record", run: record, seeds: forms::record_seeds },
    Target { name: "handshake", run: handshake, seeds: nodes::handshake_seeds },
    Target { name: "message", run: message, seeds: nodes::message_seeds },
    Target { name: "node", run: node, seeds: nodes::node_seeds },
];
