//! Nodes that the application named: a link to each is kept, and tried again with growing delay.
use crate::address::Address;
use crate::id::NodeId;
use crate::io::LinkId;
use crate::time::{Deadlines, Now, Time};
use std::time::Duration;

/// Delay before the second try; doubles up to [`RETRY_MAX`]. Guess.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);
/// Named nodes. Guess. A further one replaces the oldest.
const TARGETS_MAX: usize = 64;

/// All named nodes.
#[derive(Default)]
pub(crate) struct Dialer {
    targets: Vec<Target>,
    due: Deadlines<usize>,
}

struct Target {
    addresses: Vec<Address>,
    /// Which of them is next.
    next: usize,
    link: Option<LinkId>,
    /// The node, if it turned out to be one that another link joins already.
    twin: Option<NodeId>,
    failures: u32,
}

impl Dialer {
    /// Adds a node, or finds it.
    pub(crate) fn add(&mut self, now: Now, addresses: Vec<Address>) {
        if addresses.is_empty() || self.targets.iter().any(|target| target.addresses == addresses) {
            return;
        }
        let target = Target { addresses, next: 0, link: None, twin: None, failures: 0 };
        let at = if self.targets.len() < TARGETS_MAX {
            self.targets.push(target);
            self.targets.len() - 1
        } else {
            self.targets[0] = target;
            0
        };
        self.due.set(at, now.mono);
    }

    /// Somebody waits: nodes that are not reached are dialled at once.
    pub(crate) fn hurry(&mut self, now: Now) {
        let waiting = self.targets.iter().enumerate().filter(|(_, target)| target.link.is_none());
        for (at, _) in waiting {
            self.due.set(at, now.mono);
        }
    }

    /// Addresses of all named nodes, for invitations.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.targets.iter().flat_map(|target| &target.addresses)
    }

    /// Whether an address is one of a named node.
    pub(crate) fn names(&self, address: &Address) -> bool {
        self.addresses().any(|named| named == address)
    }

    /// When a node is to be dialled.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.due.next().map(|(at, _)| at)
    }

    /// The next node to dial, and where. `is_linked` tells whether a link joins us to a node.
    pub(crate) fn pop_due(
        &mut self,
        now: Now,
        is_linked: impl Fn(NodeId) -> bool,
    ) -> Option<(usize, Address)> {
        while let Some(at) = self.due.pop_due(now.mono) {
            let Some(target) = self.targets.get_mut(at) else { continue };
            if target.link.is_some() {
                continue;
            }
            if target.twin.is_some_and(&is_linked) {
                self.due.set(at, now.mono.after(RETRY_MAX / 4));
                continue;
            }
            let address = target.addresses[target.next % target.addresses.len()].clone();
            return Some((at, address));
        }
        None
    }

    /// The dial has begun.
    pub(crate) fn dialled(&mut self, at: usize, link: LinkId) {
        if let Some(target) = self.targets.get_mut(at) {
            target.link = Some(link);
        }
    }

    /// The link is usable.
    pub(crate) fn reached(&mut self, at: usize) {
        if let Some(target) = self.targets.get_mut(at) {
            target.failures = 0;
        }
    }

    /// The link is gone, or never came to be.
    pub(crate) fn lost(&mut self, now: Now, at: usize, twin: Option<NodeId>) {
        let Some(target) = self.targets.get_mut(at) else { return };
        target.link = None;
        target.twin = twin.or(target.twin);
        target.next = (target.next + 1) % target.addresses.len();
        // Every address of a node has its first turn at once.
        let round = target.failures / target.addresses.len() as u32;
        let turn_over =
            target.failures as usize % target.addresses.len() + 1 == target.addresses.len();
        target.failures = target.failures.saturating_add(1);
        let wait = if turn_over || twin.is_some() {
            RETRY_FIRST.saturating_mul(1 << round.min(6)).min(RETRY_MAX)
        } else {
            Duration::ZERO
        };
        self.due.set(at, now.mono.after(wait));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::WallTime;

    fn now(seconds: u64) -> Now {
        Now { mono: Time::from_micros(seconds * 1_000_000), wall: WallTime(0) }
    }

    fn address(n: u8) -> Address {
        Address::WebSocket { url: format!("ws://n{n}") }
    }

    #[test]
    fn all_addresses_of_a_node_are_tried_before_it_waits() {
        let mut dialer = Dialer::default();
        dialer.add(now(0), vec![address(1), address(2)]);
        for expected in [1, 2] {
            let (at, dialled) = dialer.pop_due(now(0), |_| false).expect("due at once");
            assert_eq!(dialled, address(expected));
            dialer.dialled(at, LinkId(u64::from(expected)));
            dialer.lost(now(0), at, None);
        }
        assert_eq!(dialer.pop_due(now(0), |_| false), None);
        assert_eq!(dialer.pop_due(now(1), |_| false), Some((0, address(1))));
    }

    #[test]
    fn a_node_that_was_lost_is_dialled_at_once_when_somebody_waits() {
        let mut dialer = Dialer::default();
        dialer.add(now(0), vec![address(1)]);
        for second in [0, 1, 3, 7, 15] {
            let (at, _) = dialer.pop_due(now(second), |_| false).expect("due by now");
            dialer.dialled(at, LinkId(second));
            dialer.lost(now(second), at, None);
        }
        assert_eq!(dialer.pop_due(now(16), |_| false), None);
        dialer.hurry(now(16));
        assert_eq!(dialer.pop_due(now(16), |_| false), Some((0, address(1))));
    }

    #[test]
    fn a_node_that_another_link_joins_is_left_alone_while_it_lasts() {
        let mut dialer = Dialer::default();
        dialer.add(now(0), vec![address(1)]);
        let (at, _) = dialer.pop_due(now(0), |_| false).expect("due at once");
        dialer.lost(now(0), at, Some(NodeId(7)));
        assert_eq!(dialer.pop_due(now(100), |node| node == NodeId(7)), None);
        assert_eq!(dialer.pop_due(now(200), |_| false), Some((0, address(1))));
    }
}
