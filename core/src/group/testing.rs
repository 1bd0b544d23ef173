//! Parts of the tests of several files.
use crate::id::{PeerId, RecordId};
use crate::record::{Edition, RecordType};
use crate::time::Time;
use crate::wire::Announced;

pub(super) fn edition(version: u64) -> Edition {
    Edition::of(&RecordType::new("note").unwrap(), (version, version), false)
}

/// One record in a version.
pub(super) fn version(version: u64) -> Announced {
    Announced { id: RecordId::from_bytes([1; 16]), edition: edition(version) }
}

pub(super) fn second(n: u64) -> Time {
    Time::from_micros(n * 1_000_000)
}

pub(super) fn peer(n: u64) -> PeerId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    PeerId::from_bytes(bytes)
}
