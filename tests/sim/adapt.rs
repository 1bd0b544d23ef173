//! What a node needs besides inputs: its identity and its tunables.
use crate::host::Host;
use crate::memo;
use crate::scenario::Crypto;
use peergraph_core::identity::{self, Identity, Verify};
use peergraph_core::node::Config;

/// The identity of a host, the same at every start.
pub(crate) fn identity(host: &Host) -> Identity {
    Identity::from_bytes(&host.identity).expect("it was written by an identity")
}

/// Tunables of a host's node.
pub(crate) fn config(host: &Host, crypto: Crypto) -> Config {
    let verify: Verify = match crypto {
        Crypto::Full => identity::verify,
        Crypto::Memo => memo::remembered,
    };
    Config { verify, neighbours: host.wants, rendezvous: host.rendezvous }
}
