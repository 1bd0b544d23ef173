//! What a node needs besides inputs: its identity and its tunables.
use crate::host::Host;
use crate::memo;
use peergraph_core::identity::{self, Identity, Verify};
use peergraph_core::node::Config;

/// The identity of a host, the same at every start.
pub(crate) fn identity(host: &Host) -> Identity {
    Identity::from_bytes(&host.identity).expect("it was written by an identity")
}

/// Tunables of a host's node; with `memo`, signatures are verified once for all nodes of the thread.
pub(crate) fn config(host: &Host, memo: bool) -> Config {
    let verify: Verify = if memo { memo::remembered } else { identity::verify };
    Config { verify, neighbours: host.wants, rendezvous: host.rendezvous }
}
