//! What the border needs besides inputs: identities and tunables.
use crate::host::Host;
use peergraph_core::identity::Identity;
use peergraph_core::node::Config;
use peergraph_core::time::WallTime;

/// The identity of a host, the same at every start.
pub(crate) fn identity(host: &Host, _now: WallTime) -> Identity {
    let _ = host.secret;
    Identity {}
}

/// Tunables; with `memo`, signatures are verified once for all nodes of the thread.
pub(crate) fn config(memo: bool) -> Config {
    let _ = memo;
    Config::default()
}
