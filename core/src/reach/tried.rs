//! The attempts to find members of a group: shown to people who wait, and told if nobody was found.
use crate::address::Address;
use crate::id::{NodeId, PeerId};
use crate::io::{LinkFault, LinkId, NodeState};
use crate::limits::PLACES_TRIED_MAX;
use crate::node_url::NodeUrl;
use std::collections::{BTreeSet, VecDeque};
use std::fmt;

/// The attempts of a group to find members since it last had a neighbour. All counts are bounded by
/// the attempts that a group makes in that time; nodes by those that are named.
///
/// `Display` shows it in one line, with advice; [`places`](Self::places) have one line each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Tried {
    /// Nodes that the application or the invitation named, and how far each is.
    pub nodes: Vec<(NodeUrl, NodeState)>,
    /// Neighbours that the group has: with one there is nothing to do.
    pub neighbours: u32,
    /// The places that were tried last, in the order in which they were begun. At most [`PLACES_TRIED_MAX`].
    pub places: Vec<Place>,
    /// Addresses that were dialled.
    pub addresses: u32,
    /// How many of those dials failed.
    pub unreached: u32,
    /// Nodes that were reached and are not in the group, or do not tell.
    pub strangers: u32,
    /// Most others of the group that a node named to us at once.
    pub seats: u32,
    /// Links that were offered to others of the group through a node or member.
    pub offers: u32,
    /// Members that could not let us in, each counted once.
    pub members: u32,
}

/// Where members were looked for, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Place {
    /// The address; nothing if a link was offered through others, or was there before.
    pub address: Option<Address>,
    /// Where it comes from.
    pub from: PlaceSource,
    /// The outcome of the dial.
    pub outcome: Outcome,
}

/// Where a place comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum PlaceSource {
    /// It is an address of a named node.
    Node,
    /// The invitation.
    Invitation,
    /// Earlier meetings.
    Memory,
    /// Other members.
    Members,
    /// Somebody of the group who is at a node, or whom members know: a link was offered through them.
    Offer,
    /// A link that was there already, or that the other end opened.
    Link,
}

/// How far the search at one place is, or how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Outcome {
    /// No answer yet.
    Trying,
    /// Nobody came to be linked.
    Failed(LinkFault),
    /// Something answers there that does not complete the handshake: another program, or one that has no room.
    NoHandshake,
    /// It is this very program.
    Ourselves,
    /// A program answers, to which another place led already.
    Same,
    /// A program answers. Whether it is in the group is not yet known.
    Reached,
    /// That program is not in the group, or does not tell.
    NotInGroup,
    /// A member that may not let us in, or does not know the invitation.
    CannotLetIn,
    /// A member that has as many neighbours as it takes.
    Full,
    /// A member that does not take our membership.
    NotAccepted,
    /// A member that says that the invitation is used up, expired or withdrawn.
    Over,
    /// A program answered, and the link to it was lost.
    Lost,
    /// It speaks only newer versions of the protocol than this program.
    WeAreOlder,
    /// It speaks only older versions of the protocol than this program.
    TheyAreOlder,
}

impl PlaceSource {
    /// A short stable word for programs, the same in every host.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Invitation => "invitation",
            Self::Memory => "memory",
            Self::Members => "members",
            Self::Offer => "offer",
            Self::Link => "link",
        }
    }
}

impl fmt::Display for PlaceSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Node => "a named node",
            Self::Invitation => "from the invitation",
            Self::Memory => "from an earlier meeting",
            Self::Members => "told by a member",
            Self::Offer => "offered through a node or member",
            Self::Link => "linked before",
        })
    }
}

impl Outcome {
    /// A short stable word for programs, the same in every host.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Trying => "trying",
            Self::Failed(LinkFault::Refused) => "refused",
            Self::Failed(LinkFault::Unreachable) => "unreachable",
            Self::Failed(LinkFault::Silent) => "silent",
            Self::Failed(LinkFault::Rejected | LinkFault::Unknown) => "failed",
            Self::NoHandshake => "no-handshake",
            Self::Ourselves => "ourselves",
            Self::Same => "same",
            Self::Reached => "reached",
            Self::NotInGroup => "not-in-group",
            Self::CannotLetIn => "cannot-let-in",
            Self::Full => "full",
            Self::NotAccepted => "not-accepted",
            Self::Over => "over",
            Self::Lost => "lost",
            Self::WeAreOlder => "we-are-older",
            Self::TheyAreOlder => "they-are-older",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trying => "no answer yet",
            Self::Failed(LinkFault::Refused) => "refused: no program listens there",
            Self::Failed(LinkFault::Unreachable) => "no way there from this network",
            Self::Failed(LinkFault::Silent) => {
                "no answer: it is off, elsewhere, or behind a firewall"
            }
            Self::Failed(LinkFault::Rejected | LinkFault::Unknown) => "no link came to be",
            Self::NoHandshake => "it answers, but is another program, or has no room",
            Self::Ourselves => "it is this program itself",
            Self::Same => "the same program as at another place",
            Self::Reached => "reached, nothing said about the group yet",
            Self::NotInGroup => "reached, but it is not in this group",
            Self::CannotLetIn => {
                "a member that may not let you in, or does not know the invitation"
            }
            Self::Full => "a member that has no room for another neighbour",
            Self::NotAccepted => "a member that does not accept your membership",
            Self::Over => "a member that says that the invitation is used up, expired or withdrawn",
            Self::Lost => "reached, but the connection was lost",
            Self::WeAreOlder => "it needs a newer version of this program: update this one",
            Self::TheyAreOlder => "its version is too old for this program: it must be updated",
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            // The fingerprint helps nobody who reads this.
            Some(Address::Rtc { socket, .. }) => write!(f, "{socket} over UDP, {}", self.from)?,
            Some(Address::WebSocket { url }) => write!(f, "{url}, {}", self.from)?,
            None => write!(f, "another program, {}", self.from)?,
        }
        write!(f, ": {}", self.outcome)
    }
}

/// The notes of a group.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    entries: VecDeque<Entry>,
    addresses: u32,
    unreached: u32,
    /// Nodes that are not in the group, or do not tell; at most [`COUNTED_MAX`].
    strangers: BTreeSet<NodeId>,
    seats: u32,
    offers: u32,
    /// Members that could not let us in; at most [`COUNTED_MAX`].
    members: BTreeSet<PeerId>,
}

/// Ends that are counted once each, however often they answer. Guess: nobody reaches more in one join.
const COUNTED_MAX: usize = 256;

#[derive(Debug)]
struct Entry {
    place: Place,
    /// The link that leads there, or led there last.
    link: LinkId,
    /// Whether that may still change what came of it. A place that is tried again keeps how it ended before until then.
    is_open: bool,
}

impl Trace {
    /// An address is dialled.
    pub(crate) fn dialled(&mut self, link: LinkId, address: Option<&Address>, from: PlaceSource) {
        if from != PlaceSource::Node {
            self.addresses = self.addresses.saturating_add(1);
        }
        self.add(link, address, from);
    }

    /// A link is offered through others.
    pub(crate) fn offered(&mut self, link: LinkId) {
        self.offers = self.offers.saturating_add(1);
        self.add(link, None, PlaceSource::Offer);
    }

    /// A node names so many others of the group.
    pub(crate) fn named(&mut self, seats: usize) {
        self.seats = self.seats.max(u32::try_from(seats).unwrap_or(u32::MAX));
    }

    /// The dial of an address failed.
    pub(crate) fn missed(&mut self) {
        self.unreached = self.unreached.saturating_add(1);
    }

    fn add(&mut self, link: LinkId, address: Option<&Address>, from: PlaceSource) {
        let same = |entry: &Entry| {
            entry.link == link || (address.is_some() && entry.place.address.as_ref() == address)
        };
        let before = self.entries.iter().position(same).and_then(|at| self.entries.remove(at));
        let outcome = before.map_or(Outcome::Trying, |before| before.place.outcome);
        if self.entries.len() >= PLACES_TRIED_MAX {
            self.entries.pop_front();
        }
        let place = Place { address: address.cloned(), from, outcome };
        self.entries.push_back(Entry { place, link, is_open: true });
    }

    /// A program has answered on a link that one of the places led to.
    pub(crate) fn reached(&mut self, link: LinkId) {
        if let Some(entry) = self.open_entry(link) {
            entry.place.outcome = Outcome::Reached;
        }
    }

    /// Notes what the program at the other end of a link says of the group. Each end counts once,
    /// however often it says so.
    pub(crate) fn told(&mut self, link: LinkId, (peer, node): (PeerId, NodeId), outcome: Outcome) {
        if outcome == Outcome::NotInGroup {
            if self.strangers.len() < COUNTED_MAX {
                self.strangers.insert(node);
            }
        } else if self.members.len() < COUNTED_MAX {
            self.members.insert(peer);
        }
        if !self.entries.iter().any(|entry| entry.link == link) {
            self.add(link, None, PlaceSource::Link);
        }
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.link == link) {
            (entry.place.outcome, entry.is_open) = (outcome, false);
        }
    }

    /// A link is gone, or was never established. The answer that its end gave about the group
    /// stays.
    pub(crate) fn lost(&mut self, link: LinkId, outcome: Outcome) {
        if let Some(entry) = self.open_entry(link) {
            (entry.place.outcome, entry.is_open) = (outcome, false);
        }
    }

    /// An attempt was ended since another one was quicker.
    pub(crate) fn ended(&mut self, link: LinkId) {
        let idle = |entry: &Entry| entry.link == link && entry.place.outcome == Outcome::Trying;
        self.entries.retain(|entry| !idle(entry));
    }

    fn open_entry(&mut self, link: LinkId) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.link == link && entry.is_open)
    }

    /// The report of these notes.
    pub(crate) fn tell(&self, nodes: Vec<(NodeUrl, NodeState)>, neighbours: u32) -> Tried {
        let &Self { addresses, unreached, seats, offers, .. } = self;
        let count = |ends: usize| u32::try_from(ends).unwrap_or(u32::MAX);
        let (strangers, members) = (count(self.strangers.len()), count(self.members.len()));
        let places = self.entries.iter().map(|entry| entry.place.clone()).collect();
        Tried { nodes, neighbours, places, addresses, unreached, strangers, seats, offers, members }
    }
}

impl Tried {
    /// Whether a link leads to at least one of the nodes.
    fn has_node(&self) -> bool {
        self.nodes.iter().any(|(_, state)| matches!(state, NodeState::Linked { .. }))
    }

    fn has(&self, outcome: Outcome) -> bool {
        self.places.iter().any(|place| place.outcome == outcome)
    }

    /// Advice, as one sentence.
    pub fn cure(&self) -> &'static str {
        if self.neighbours > 0 {
            return "members are linked: there is nothing to do";
        }
        if self.has(Outcome::WeAreOlder) {
            return "this program is too old for those that it reached: update it";
        }
        if self.has(Outcome::TheyAreOlder) {
            return "those that were reached are too old for this program: ask them to update";
        }
        if self.has(Outcome::Full) {
            return "members were reached that have no room at the moment: try again in a minute";
        }
        if self.has(Outcome::NotAccepted) {
            return "a member was reached that does not accept your membership: ask an administrator of the group, or for \
                    a new invitation";
        }
        if self.has(Outcome::Over) {
            return "a member says that the invitation is used up, expired or withdrawn, and cannot prove it: wait until \
                    the inviter is online, or ask for a new one";
        }
        if self.members > 0 {
            return "a member was reached that may not let you in: wait until the inviter is online, then try again";
        }
        if self.seats > 0 {
            return "others of the group were at the node, but no connection to them came to be: try again in a minute; if \
                    that fails too, a firewall or router is between, and a node that is a member would help";
        }
        if self.has_node() {
            return "the node is reached, but nobody of the group is at it: ask the inviter to open the application, then \
                    try again";
        }
        if !self.nodes.is_empty() {
            return "check that the node is up, its URL, and your network";
        }
        if self.addresses > 0 {
            return "ask for a new invitation while the inviter is online, or name a node that you both use";
        }
        "the invitation names no place to look: name a node that the inviter uses too"
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (url, state) in &self.nodes {
            match state {
                NodeState::Trying => write!(f, "node {url}: no answer yet; ")?,
                NodeState::Known { .. } => write!(f, "node {url}: being dialled; ")?,
                NodeState::Linked { .. } => write!(f, "node {url}: reached; ")?,
                NodeState::Failed { fault } => write!(f, "node {url}: {fault}; ")?,
                NodeState::Forgotten => {}
            }
        }
        if self.addresses > 0 {
            write!(f, "dialled {} times, {} in vain; ", self.addresses, self.unreached)?;
        }
        // That a node is none of the group is how nodes are.
        if self.strangers > 0 && !self.has_node() {
            write!(f, "reached, but not in the group: {}; ", self.strangers)?;
        }
        if self.seats > 0 || self.offers > 0 {
            write!(f, "others at the nodes: {}, offers to them: {}; ", self.seats, self.offers)?;
        }
        if self.members > 0 {
            write!(f, "members that could not let you in: {}; ", self.members)?;
        }
        f.write_str(self.cure())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{LookupFault, NodeFault};

    #[test]
    fn text_says_what_was_tried_and_what_to_do() {
        let url: NodeUrl = "https://node.example".parse().expect("a URL");
        let fault = NodeFault::LookUp(LookupFault::Status(404));
        let failed = vec![(url.clone(), NodeState::Failed { fault })];
        let tried = Tried { nodes: failed, addresses: 3, unreached: 3, ..Tried::default() };
        assert_eq!(
            tried.to_string(),
            "node https://node.example/: it answered with status 404; check the path of the URL; dialled 3 times, 3 in \
             vain; check that the node is up, its URL, and your network"
        );
        let state = NodeState::Linked { node: NodeId(1), peer: PeerId::default() };
        let tried = Tried { nodes: vec![(url, state)], ..Tried::default() };
        assert!(
            tried.to_string().contains("reached; the node is reached, but nobody of the group")
        );
        assert!(Tried { seats: 1, ..tried.clone() }.cure().contains("firewall"));
        assert!(Tried { members: 1, ..tried }.cure().contains("inviter"));
        assert!(Tried::default().cure().contains("name a node"));
        assert!(Tried { addresses: 1, ..Tried::default() }.cure().contains("new invitation"));
    }

    fn address(n: usize) -> Address {
        format!("ws://192.0.2.{n}/link").parse().expect("an address")
    }

    #[test]
    fn places_are_bounded_and_each_address_stands_once() {
        let mut trace = Trace::default();
        for n in 0..100 {
            let link = LinkId(n as u64);
            trace.dialled(link, Some(&address(n % 20)), PlaceSource::Invitation);
            trace.lost(link, Outcome::Failed(LinkFault::Refused));
        }
        trace.dialled(LinkId(100), Some(&address(19)), PlaceSource::Members);
        let tried = trace.tell(Vec::new(), 0);
        assert_eq!((tried.places.len(), tried.addresses), (PLACES_TRIED_MAX, 101));
        let last = tried.places.last().expect("some");
        let again = (PlaceSource::Members, Outcome::Failed(LinkFault::Refused));
        assert_eq!((last.from, last.outcome), again, "how it ended before");
        let same = tried.places.iter().filter(|place| place.address == Some(address(19)));
        assert_eq!(same.count(), 1);
        let first = tried.places[0].to_string();
        assert_eq!(
            first,
            "ws://192.0.2.4/link, from the invitation: refused: no program listens there"
        );
    }

    #[test]
    fn what_a_member_says_outlives_its_link() {
        let mut trace = Trace::default();
        trace.dialled(LinkId(1), Some(&address(1)), PlaceSource::Node);
        trace.reached(LinkId(1));
        let end = |n: u8| (PeerId::from_bytes([n; 32]), NodeId(n.into()));
        trace.told(LinkId(1), end(1), Outcome::CannotLetIn);
        trace.lost(LinkId(1), Outcome::Lost);
        trace.told(LinkId(2), end(2), Outcome::NotInGroup);
        trace.offered(LinkId(3));
        trace.reached(LinkId(3));
        trace.lost(LinkId(3), Outcome::Lost);
        trace.offered(LinkId(4));
        trace.ended(LinkId(4));
        let tried = trace.tell(Vec::new(), 0);
        let outcomes: Vec<Outcome> = tried.places.iter().map(|place| place.outcome).collect();
        assert_eq!(outcomes, [Outcome::CannotLetIn, Outcome::NotInGroup, Outcome::Lost]);
        assert_eq!((tried.members, tried.strangers, tried.offers, tried.addresses), (1, 1, 2, 0));
    }

    #[test]
    fn each_member_and_each_stranger_counts_once() {
        let mut trace = Trace::default();
        let end = |n: u8| (PeerId::from_bytes([n; 32]), NodeId(n.into()));
        for round in 0..13 {
            for n in 0..2 {
                let link = LinkId(100 * round + u64::from(n));
                trace.told(link, end(n), Outcome::CannotLetIn);
                trace.told(link, end(n + 10), Outcome::NotInGroup);
            }
        }
        let tried = trace.tell(Vec::new(), 0);
        assert_eq!((tried.members, tried.strangers), (2, 2));
        assert!(tried.to_string().contains("members that could not let you in: 2; "), "{tried}");
    }
}
