//! What a node needs besides inputs: its identity and its tunables.
use crate::host::Host;
use crate::memo;
use crate::scenario::Crypto;
use peergraph_core::identity::Identity;
use peergraph_core::node::{Config, Curve};
use sha2::{Digest as _, Sha256};

/// The identity of a host, the same at every start.
pub(crate) fn identity(host: &Host) -> Identity {
    Identity::from_bytes(&host.identity).expect("it was written by an identity")
}

/// Tunables of a host's node.
pub(crate) fn config(host: &Host, crypto: Crypto) -> Config {
    let full = Config {
        neighbours: host.wants,
        rendezvous: host.rendezvous,
        priorities: host.priorities.clone(),
        ..Config::default()
    };
    let memo = Config { certificate: memo::certificate, ..full.clone() };
    match crypto {
        Crypto::Full => full,
        Crypto::Memo => {
            Config { verify: memo::remembered, verify_all: memo::remembered_all, ..memo }
        }
        Crypto::None => {
            Config { verify: |_, _, _| true, verify_all: |_| Ok(()), curve: NO_CURVE, ..memo }
        }
    }
}

/// Not a curve at all: both ends find the same number, and so does everybody else.
const NO_CURVE: Curve = Curve {
    public: |secret| Sha256::digest(secret).into(),
    agree: |secret, theirs| {
        let ours: [u8; 32] = Sha256::digest(secret).into();
        let (low, high) = if ours < *theirs { (&ours, theirs) } else { (theirs, &ours) };
        Some(Sha256::new().chain_update(low).chain_update(high).finalize().into())
    },
};
