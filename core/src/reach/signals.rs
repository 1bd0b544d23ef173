//! Which way the signals of a link go: over a graph, or over a rendezvous node.
use crate::id::{GroupId, NodeId};
use crate::io::LinkId;
use crate::sorted::SortedMap;

/// Links that are opened by signals.
#[derive(Default)]
pub(crate) struct Ways {
    by_link: SortedMap<LinkId, Way>,
    /// By the other end (node id or seat) and attempt.
    by_attempt: SortedMap<(u64, u64), LinkId>,
    /// Which node sits at a seat, as far as links over it have shown.
    by_seat: SortedMap<u64, NodeId>,
}

/// The way of one link's signals.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) over: Over,
    pub(crate) attempt: u64,
    /// Signals of ours so far.
    pub(crate) sent: u32,
}

/// The carrier of the signals of a link.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Over {
    /// Members of a graph, to this node.
    Graph { group: GroupId, to: NodeId },
    /// A rendezvous node, to this seat at a table of a group.
    Table { via: LinkId, group: GroupId, seat: u64 },
}

impl Over {
    fn other_end(&self) -> u64 {
        match self {
            Self::Graph { to, .. } => to.0,
            Self::Table { seat, .. } => *seat,
        }
    }
}

/// Signals of one attempt. Guess: an offer and its candidates; more are dropped.
const SIGNALS_MAX: u32 = 64;
/// Seats whose nodes are remembered. Guess. At the bound the one with the lowest number, which is random, is forgotten.
const SEATS_KNOWN_MAX: usize = 1_024;
/// Attempts of one other end at a time. Guess: glare makes two.
const ATTEMPTS_PER_END_MAX: usize = 4;

impl Ways {
    /// A link of ours goes over a graph.
    pub(crate) fn offer_over_graph(
        &mut self,
        link: LinkId,
        group: GroupId,
        to: NodeId,
        attempt: u64,
    ) {
        self.add(link, Over::Graph { group, to }, attempt);
    }

    /// Binds a link to its way.
    pub(crate) fn add(&mut self, link: LinkId, over: Over, attempt: u64) {
        self.by_attempt.insert((over.other_end(), attempt), link);
        self.by_link.insert(link, Way { over, attempt, sent: 0 });
    }

    /// The link of an attempt.
    pub(crate) fn link(&self, other_end: u64, attempt: u64) -> Option<LinkId> {
        self.by_attempt.get(&(other_end, attempt)).copied()
    }

    /// The handshake of `link` showed who is at its other end.
    pub(crate) fn arrived(&mut self, link: LinkId, node: NodeId) {
        if let Some(&Way { over: Over::Table { seat, .. }, .. }) = self.by_link.get(&link) {
            self.sits(seat, node);
        }
    }

    /// A node sits at this seat.
    pub(crate) fn sits(&mut self, seat: u64, node: NodeId) {
        self.by_seat.insert(seat, node);
        if self.by_seat.len() > SEATS_KNOWN_MAX {
            self.by_seat.pop_first();
        }
    }

    /// The node at a seat, if a link over it was ready once.
    pub(crate) fn seated(&self, seat: u64) -> Option<NodeId> {
        self.by_seat.get(&seat).copied()
    }

    /// The links to another end, those that are being opened included.
    pub(crate) fn leading_to(&self, other_end: u64) -> impl Iterator<Item = LinkId> {
        self.by_attempt.range((other_end, 0)..=(other_end, u64::MAX)).map(|(_, &link)| link)
    }

    /// Whether another end has as many attempts as it may.
    pub(crate) fn is_full(&self, other_end: u64) -> bool {
        let range = (other_end, 0)..=(other_end, u64::MAX);
        self.by_attempt.range(range).count() >= ATTEMPTS_PER_END_MAX
    }

    /// The way of the next signal of `link`. `None` where there is none, or too many went it.
    pub(crate) fn next(&mut self, link: LinkId) -> Option<Way> {
        let way = self.by_link.get_mut(&link)?;
        if way.sent >= SIGNALS_MAX {
            return None;
        }
        way.sent += 1;
        Some(*way)
    }

    /// The carrier of the signals of a link; nobody if it was dialled.
    pub(crate) fn over(&self, link: LinkId) -> Option<Over> {
        self.by_link.get(&link).map(|way| way.over)
    }

    /// Signals that went over one link to a rendezvous node go over another.
    pub(crate) fn moved(&mut self, from: LinkId, to: LinkId) {
        for way in self.by_link.values_mut() {
            if let Over::Table { via, .. } = &mut way.over
                && *via == from
            {
                *via = to;
            }
        }
    }

    /// Forgets a link. Answers who carried its signals.
    pub(crate) fn remove(&mut self, link: LinkId) -> Option<Over> {
        let way = self.by_link.remove(&link)?;
        self.by_attempt.remove(&(way.over.other_end(), way.attempt));
        Some(way.over)
    }
}
