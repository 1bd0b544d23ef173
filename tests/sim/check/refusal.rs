//! The time at which each node knew that a member no longer stands.
use crate::host::HostId;
use peergraph_core::id::PeerId;
use peergraph_core::io::MemberInfo;
use peergraph_core::roll::Standing;
use std::collections::BTreeMap;

/// Follows one member.
#[derive(Debug)]
pub struct Refusal {
    peer: PeerId,
    at: BTreeMap<HostId, u64>,
}

impl Refusal {
    /// Follows `peer`.
    pub fn of(peer: PeerId) -> Self {
        Self { peer, at: BTreeMap::new() }
    }

    /// A node told its application of a member. World time.
    pub fn told(&mut self, host: HostId, now: u64, member: &MemberInfo) {
        if member.peer == self.peer && matches!(member.standing, Standing::Revoked { .. }) {
            self.at.entry(host).or_insert(now);
        }
    }

    /// When a host first knew, if it does. Microseconds of world time.
    pub fn at(&self, host: HostId) -> Option<u64> {
        self.at.get(&host).copied()
    }
}
