//! Nodes that the application named: a link to each is kept, and tried again with growing delay.
use crate::address::Address;
use crate::id::NodeId;
use crate::io::{LinkId, LookupFault, NodeState};
use crate::node_url::NodeUrl;
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
    url: NodeUrl,
    /// Empty until it is looked up.
    addresses: Vec<Address>,
    /// Look-ups in a row that failed.
    unknown: u32,
    /// Which of them is next.
    next: usize,
    link: Option<LinkId>,
    /// The node, if it turned out to be one that another link joins already.
    twin: Option<NodeId>,
    failures: u32,
}

impl Dialer {
    /// Adds a node, or finds it.
    pub(crate) fn add(&mut self, now: Now, url: NodeUrl) {
        if self.targets.iter().any(|target| target.url == url) {
            return;
        }
        let addresses = url.address().cloned().into_iter().collect();
        let target =
            Target { url, addresses, unknown: 0, next: 0, link: None, twin: None, failures: 0 };
        let at = if self.targets.len() < TARGETS_MAX {
            self.targets.push(target);
            self.targets.len() - 1
        } else {
            self.targets[0] = target;
            0
        };
        self.due.set(at, now.mono);
    }

    /// A description was fetched, or not. Answers what the application is told.
    pub(crate) fn looked_up(
        &mut self,
        now: Now,
        url: &str,
        found: Result<Vec<String>, LookupFault>,
    ) -> Option<(NodeUrl, NodeState)> {
        let is_meant = |target: &Target| target.url.description().as_deref() == Some(url);
        let at = self.targets.iter().position(is_meant)?;
        let target = &mut self.targets[at];
        let addresses = match found {
            Ok(described) => target.url.addresses(&described).map_err(Into::into),
            Err(fault) => Err(fault.into()),
        };
        let state = match addresses {
            Ok(addresses) => {
                (target.unknown, target.next) = (0, 0);
                target.addresses.clone_from(&addresses);
                if target.link.is_none() {
                    self.due.set(at, now.mono);
                }
                NodeState::Known { addresses }
            }
            Err(fault) => {
                target.unknown = target.unknown.saturating_add(1);
                let wait = RETRY_FIRST.saturating_mul(1 << target.unknown.min(6)).min(RETRY_MAX);
                self.due.set(at, now.mono.after(wait));
                NodeState::Failed { fault }
            }
        };
        Some((target.url.clone(), state))
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

    /// The nodes, in the order in which they were named.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &NodeUrl> {
        self.targets.iter().map(|target| &target.url)
    }

    /// Whether an address is one of a named node.
    pub(crate) fn names(&self, address: &Address) -> bool {
        self.addresses().any(|named| named == address)
    }

    /// When a node is to be dialled.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.due.next().map(|(at, _)| at)
    }

    /// The next node to look up or to dial. `is_linked` tells whether a link joins us to a node.
    pub(crate) fn pop_due(&mut self, now: Now, is_linked: impl Fn(NodeId) -> bool) -> Option<Due> {
        while let Some(at) = self.due.pop_due(now.mono) {
            let Some(target) = self.targets.get_mut(at) else { continue };
            if target.link.is_some() {
                continue;
            }
            if target.twin.is_some_and(&is_linked) {
                self.due.set(at, now.mono.after(RETRY_MAX / 4));
                continue;
            }
            if target.addresses.is_empty() {
                // The answer to a look-up comes within seconds; this is for one that never does.
                self.due.set(at, now.mono.after(RETRY_MAX));
                let Some(url) = target.url.description() else { continue };
                return Some(Due::LookUp(url));
            }
            let address = target.addresses[target.next % target.addresses.len()].clone();
            return Some(Due::Dial(at, address));
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
        if target.addresses.is_empty() {
            return;
        }
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
        if turn_over && target.url.address().is_none() {
            // It may have moved.
            target.addresses.clear();
        }
        self.due.set(at, now.mono.after(wait));
    }
}

/// What is to be done for a node.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Fetch its description.
    LookUp(String),
    /// Dial it: which, and where.
    Dial(usize, Address),
}
