//! The needs of a node besides inputs: its identity and its tunables.
use crate::host::{Host, Kind};
use crate::memo;
use crate::scenario::Crypto;
use peergraph_core::cert::VerifiedChain;
use peergraph_core::id::GroupId;
use peergraph_core::identity::{Domain, Identity};
use peergraph_core::io::Draft;
use peergraph_core::limits::{FLOOD_RECORDS_MAX, RECORDS_IN_A_SLICE};
use peergraph_core::node::{Config, Share};
use peergraph_core::provider::{Channel, Checks, Curve, Meeting, Provider, Verdict, Why};
use peergraph_core::record::Record;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// The identity of a host, the same at every start.
pub(crate) fn identity(host: &Host) -> Identity {
    Identity::from_bytes(&host.identity).expect("it was written by an identity")
}

/// Tunables of a host's node.
pub(crate) fn config(host: &Host, crypto: Crypto) -> Config {
    let provider = match crypto {
        Crypto::Full => host.provider.clone(),
        Crypto::Memo | Crypto::None => Arc::new(Cheap { crypto, provider: host.provider.clone() }),
    };
    let share = if crypto == Crypto::Full { Share::default() } else { memo::SHARE };
    let is_browser = host.kind == Kind::Browser;
    Config {
        relay: true,
        neighbours: host.wants,
        priorities: host.priorities.clone(),
        rendezvous: host.rendezvous,
        members_only: host.members_only,
        versions: host.versions,
        provider,
        reads_on: is_browser,
        records_at_once: if is_browser { RECORDS_IN_A_SLICE } else { FLOOD_RECORDS_MAX },
        share,
    }
}

/// A provider whose arithmetic is cheap. Everything else is left to the provider of the host.
#[derive(Debug)]
struct Cheap {
    crypto: Crypto,
    provider: Arc<dyn Provider>,
}

impl Provider for Cheap {
    fn checks(&self) -> Checks {
        let certificate = memo::certificate;
        match self.crypto {
            Crypto::None => Checks { certificate, verify: |_, _, _| true, verify_all: |_| Ok(()) },
            Crypto::Full | Crypto::Memo => {
                let (verify, verify_all) = (memo::remembered, memo::remembered_all);
                Checks { certificate, verify, verify_all }
            }
        }
    }

    fn channel(&self) -> Channel {
        let channel = self.provider.channel();
        match self.crypto {
            Crypto::Full => channel,
            Crypto::Memo => Channel { curve: memo::CURVE, ..channel },
            Crypto::None => Channel { curve: NO_CURVE, ..channel },
        }
    }

    fn authenticate(&self, meeting: &Meeting<'_>) -> Verdict {
        self.provider.authenticate(meeting)
    }

    fn secure(&self, group: GroupId, draft: &mut Draft) -> Result<(), Why> {
        self.provider.secure(group, draft)
    }

    fn sign(&self, identity: &Identity, domain: Domain, message: &[u8]) -> [u8; 64] {
        self.provider.sign(identity, domain, message)
    }

    fn validate(&self, record: &Record, signer: &VerifiedChain) -> Verdict {
        self.provider.validate(record, signer)
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
