//! Nodes that somebody wrote down: the application, or the maker of an invitation. Each is looked
//! up, dialled, and kept linked.
//!
//! ```text
//!   Asking ──found──► Dialling ──a link──► Linked
//!     ▲  └──not found──► Waiting ◄──all failed──┘ │
//!     └──────── the wait is over ───┘   ▲         └─ lost: Dialling at once
//!                                       └─ the wait doubles up to RETRY_MAX, give or take a quarter
//! ```
//!
//! When all addresses of a node fail it is looked up again, since it may have moved.
use crate::address::Address;
use crate::id::{NodeId, PeerId};
use crate::io::{LinkId, LookupFault, NodeFault, NodeState};
use crate::node_url::{LookUp, NodeUrl};
use crate::place::{Places, Word};
use crate::sorted::SortedMap;
use crate::time::{Deadlines, Time};
use std::time::Duration;

/// Delay before the second try; doubles up to [`RETRY_MAX`]. Guess.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// Guess: a node that comes back is found within half a minute, and a thousand clients of one that does not are 33
/// requests a second.
const RETRY_MAX: Duration = Duration::from_secs(30);
/// The longest wait of a node while a join goes on. Guess: a node that comes back is found within 5 s.
const AGAIN_MAX: Duration = Duration::from_secs(4);
/// A look-up that the host has not answered after this counts as failed. Guess: three times what a host gives it.
const LOOKUP_MAX: Duration = Duration::from_secs(30);
/// A link that lasted so long was no failure. Guess.
const STAYS_AFTER: Duration = Duration::from_secs(5);
/// Named nodes. Guess. A further one replaces the oldest that is not linked.
const NAMED_MAX: usize = 64;

/// Names a node for as long as the program runs. Never reused.
pub(crate) type Name = u64;

/// The party that named a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum By {
    /// A group, by the invitation through which we came, or look at it: for as long as the group needs it.
    Group,
    /// The application: until the end.
    Application,
}

/// How long a node rests after so many failures in a row.
fn rest(failures: u32) -> Duration {
    RETRY_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(6))
}

impl By {
    /// The word on which the URL rests.
    fn word(self) -> Word {
        match self {
            Self::Group => Word::Given,
            Self::Application => Word::Own,
        }
    }
}

/// All named nodes.
#[derive(Default)]
pub(super) struct Named {
    nodes: SortedMap<Name, Node>,
    made: Name,
    due: Deadlines<Name>,
    /// For delays that differ from node to node.
    seed: u64,
}

struct Node {
    url: NodeUrl,
    by: By,
    /// As the last description said; empty before the first.
    addresses: Vec<Address>,
    step: Step,
    /// Tries in a row that failed.
    failures: u32,
    /// When the last try failed.
    failed: Time,
    /// When it was linked last.
    since: Time,
    state: NodeState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It waits for its next try.
    Waiting,
    /// Its description is being fetched.
    Asking,
    /// Its addresses are being dialled.
    Dialling,
    /// A link leads to it.
    Linked(LinkId),
}

/// The action for a node that is due.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Fetch its description.
    LookUp(LookUp),
    /// Dial one of its addresses.
    Dial(Name, Vec<Address>),
}

/// All places for named nodes are taken by linked ones.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

impl Named {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Adds a node, or hurries with one that is there. Answers the name of one that makes room for it.
    pub(super) fn add(&mut self, now: Time, url: NodeUrl, by: By) -> Result<Option<Name>, TooMany> {
        if let Some(name) = self.named(&url) {
            if let Some(node) = self.nodes.get_mut(&name) {
                node.by = node.by.max(by);
            }
            self.hurry_one(now, name);
            return Ok(None);
        }
        // A group does not make us forget what the application named.
        let oldest = || {
            let idle =
                |(_, node): &(&Name, &Node)| node.by <= by && !matches!(node.step, Step::Linked(_));
            let idle = self.nodes.iter().filter(idle);
            idle.map(|(&name, node)| (node.by, name)).min().map(|(_, name)| name).ok_or(TooMany)
        };
        let gone = if self.nodes.len() >= NAMED_MAX { Some(oldest()?) } else { None };
        if let Some(gone) = gone {
            self.nodes.remove(&gone);
            self.due.clear(gone);
        }
        self.made += 1;
        let addresses = url.address().cloned().into_iter().collect();
        let (step, state) = (Step::Waiting, NodeState::Trying);
        let node = Node { url, by, addresses, step, failures: 0, failed: now, since: now, state };
        self.nodes.insert(self.made, node);
        self.due.set(self.made, now);
        Ok(gone)
    }

    fn named(&self, url: &NodeUrl) -> Option<Name> {
        self.nodes.iter().find(|(_, node)| node.url == *url).map(|(&name, _)| name)
    }

    fn hurry_one(&mut self, now: Time, name: Name) {
        let Some(node) = self.nodes.get_mut(&name) else { return };
        if node.step == Step::Waiting {
            node.failures = 0;
            self.due.set(name, now);
        }
    }

    /// Forgets the nodes that only groups named, and that none of them needs any longer.
    pub(super) fn forget(&mut self, needed: impl Fn(&NodeUrl) -> bool) -> Vec<(Name, NodeUrl)> {
        let idle = |node: &Node| node.by == By::Group && !needed(&node.url);
        let idle = self.nodes.iter().filter(|(_, node)| idle(node));
        let idle: Vec<_> = idle.map(|(&name, node)| (name, node.url.clone())).collect();
        for (name, _) in &idle {
            self.nodes.remove(name);
            self.due.clear(*name);
        }
        idle
    }

    /// A join goes on: nodes that wait for their next try have it soon. One that has failed is looked up again.
    pub(super) fn again(&mut self, now: Time) {
        for (&name, node) in self.nodes.iter().filter(|(_, node)| node.step == Step::Waiting) {
            let rest = rest(node.failures).min(AGAIN_MAX);
            self.due.set_earlier(name, now.max(node.failed.after(rest)));
        }
    }

    /// Somebody waits: nodes that are not reached are tried at once.
    pub(super) fn hurry(&mut self, now: Time) {
        for name in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.hurry_one(now, name);
        }
    }

    /// The network is another one: nodes that are not reached are tried at once, and what was asked over the old one is asked
    /// anew.
    pub(super) fn paths_changed(&mut self, now: Time) {
        for node in self.nodes.values_mut().filter(|node| node.step == Step::Asking) {
            node.step = Step::Waiting;
        }
        self.hurry(now);
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.due.next().map(|(at, _)| at)
    }

    /// The next node for which there is something to do.
    pub(super) fn next(&mut self, now: Time) -> Option<Due> {
        while let Some(name) = self.due.pop_due(now) {
            let Some(node) = self.nodes.get_mut(&name) else { continue };
            match node.step {
                Step::Linked(_) | Step::Dialling => continue,
                Step::Asking => {
                    self.fail(now, name, LookupFault::Timeout.into());
                    continue;
                }
                Step::Waiting => {}
            }
            let known = !node.addresses.is_empty() && node.failures == 0;
            if let Some(url) = node.url.description().filter(|_| !known) {
                let Some(places) = node.url.places(node.by.word()) else {
                    self.fail(now, name, LookupFault::Forbidden.into());
                    continue;
                };
                node.step = Step::Asking;
                self.due.set(name, now.after(LOOKUP_MAX));
                return Some(Due::LookUp(LookUp { url, places }));
            }
            node.step = Step::Dialling;
            return Some(Due::Dial(name, node.addresses.clone()));
        }
        None
    }

    /// A description was fetched, or not. Answers what is to be dialled.
    pub(super) fn looked_up(
        &mut self,
        now: Time,
        url: &str,
        found: Result<Vec<String>, LookupFault>,
    ) -> Option<Due> {
        let asked = |node: &Node| {
            node.step == Step::Asking && node.url.description().as_deref() == Some(url)
        };
        let (&name, node) = self.nodes.iter_mut().find(|(_, node)| asked(node))?;
        let addresses = match found {
            Ok(described) => node.url.addresses(&described).map_err(NodeFault::from),
            Err(fault) => Err(fault.into()),
        };
        match addresses {
            Ok(addresses) => {
                self.due.clear(name);
                node.addresses.clone_from(&addresses);
                node.step = Step::Dialling;
                node.state = NodeState::Known { addresses: addresses.clone() };
                Some(Due::Dial(name, addresses))
            }
            Err(fault) => {
                self.fail(now, name, fault);
                // Its earlier description may still be true.
                let node = self.nodes.get_mut(&name).filter(|node| !node.addresses.is_empty())?;
                node.step = Step::Dialling;
                self.due.clear(name);
                Some(Due::Dial(name, node.addresses.clone()))
            }
        }
    }

    /// None of its addresses answers.
    pub(super) fn in_vain(&mut self, now: Time, name: Name) {
        let looked_up = self.nodes.get(&name).is_some_and(
            |node| matches!(node.state, NodeState::Failed { fault } if fault != NodeFault::Silent),
        );
        if looked_up {
            // The look-up failed already, and says more.
            self.wait(now, name);
        } else {
            self.fail(now, name, NodeFault::Silent);
        }
    }

    fn fail(&mut self, now: Time, name: Name, fault: NodeFault) {
        let Some(node) = self.nodes.get_mut(&name) else { return };
        node.state = NodeState::Failed { fault };
        node.failures = node.failures.saturating_add(1);
        self.wait(now, name);
    }

    /// Puts off the next try.
    fn wait(&mut self, now: Time, name: Name) {
        let Some(node) = self.nodes.get_mut(&name) else { return };
        (node.step, node.failed) = (Step::Waiting, now);
        let wait = rest(node.failures).min(RETRY_MAX);
        // Not all programs of the world at the same moment.
        self.seed = self.seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(name | 1);
        let permille = 750 + (self.seed >> 33) % 500;
        self.due.set(name, now.after(wait * permille as u32 / 1000));
    }

    /// A link leads to a node, by this name.
    pub(super) fn linked(
        &mut self,
        now: Time,
        name: Name,
        link: LinkId,
        node: NodeId,
        peer: PeerId,
    ) {
        let Some(named) = self.nodes.get_mut(&name) else { return };
        self.due.clear(name);
        named.step = Step::Linked(link);
        named.since = now;
        named.state = NodeState::Linked { node, peer };
    }

    /// A link is gone: the nodes to which it led are dialled again. One that does not keep its links has to wait.
    pub(super) fn lost(&mut self, now: Time, link: LinkId) {
        let lost = self.nodes.iter_mut().filter(|(_, node)| node.step == Step::Linked(link));
        let lost: Vec<Name> = lost.map(|(&name, _)| name).collect();
        for name in lost {
            let Some(node) = self.nodes.get_mut(&name) else { continue };
            node.state = NodeState::Known { addresses: node.addresses.clone() };
            if now.since(node.since) < STAYS_AFTER {
                node.failures = node.failures.saturating_add(1);
                self.wait(now, name);
            } else {
                (node.step, node.failures) = (Step::Waiting, 0);
                self.due.set(name, now);
            }
        }
    }

    /// Another link to the same node takes the place of one.
    pub(super) fn moved(&mut self, from: LinkId, to: LinkId) {
        for node in self.nodes.values_mut().filter(|node| node.step == Step::Linked(from)) {
            node.step = Step::Linked(to);
        }
    }

    /// Whether a link leads to a named node.
    pub(super) fn is_linked(&self, link: LinkId) -> bool {
        self.nodes.values().any(|node| node.step == Step::Linked(link))
    }

    /// Links that lead to named nodes.
    pub(super) fn links(&self) -> impl Iterator<Item = LinkId> {
        self.nodes.values().filter_map(|node| match node.step {
            Step::Linked(link) => Some(link),
            Step::Waiting | Step::Asking | Step::Dialling => None,
        })
    }

    /// The addresses of all, the oldest node first.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.nodes.values().flat_map(|node| &node.addresses)
    }

    /// The party on whose word we have an address of a node.
    pub(super) fn word_of(&self, name: Name, address: &Address) -> Word {
        let word = |node: &Node| node.url.word_of(address, node.by.word());
        self.nodes.get(&name).map_or(Word::Given, word)
    }

    /// The addresses of all with the party on whose word we have each, the oldest node first.
    pub(super) fn addresses_with_words(&self) -> impl Iterator<Item = (&Address, Word)> {
        self.nodes.values().flat_map(|node| {
            let word = |address| node.url.word_of(address, node.by.word());
            node.addresses.iter().map(move |address| (address, word(address)))
        })
    }

    /// Where the application says that nodes are, as far as their URLs show it.
    pub(super) fn places(&self) -> Places {
        let own = self.nodes.values().filter(|node| node.by == By::Application);
        own.map(|node| node.url.here()).fold(Places::PUBLIC, Places::and)
    }

    /// How far each is, the oldest first.
    pub(super) fn states(&self) -> impl Iterator<Item = (Name, &NodeUrl, By, &NodeState)> {
        self.nodes.iter().map(|(&name, node)| (name, &node.url, node.by, &node.state))
    }
}
