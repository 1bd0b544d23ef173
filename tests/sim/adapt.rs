//! What a node needs besides inputs: its identity and its tunables.
use crate::host::Host;
use crate::memo;
use peergraph_core::identity::{self, Identity, Verify};
use peergraph_core::node::Config;
use peergraph_core::verify::{self, VerifyAll};

/// The identity of a host, the same at every start.
pub(crate) fn identity(host: &Host) -> Identity {
    Identity::from_bytes(&host.identity).expect("it was written by an identity")
}

/// Tunables of a host's node; with `memo`, signatures are verified once for all nodes of the thread.
pub(crate) fn config(host: &Host, memo: bool) -> Config {
    let verify: Verify = if memo { memo::remembered } else { identity::verify };
    let verify_all: VerifyAll = if memo { memo::remembered_all } else { verify::verify_all };
    Config { verify, verify_all, neighbours: host.wants, rendezvous: host.rendezvous }
}
