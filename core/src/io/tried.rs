//! The attempts to find members of a group: shown to people who wait, and told if nobody was found.
use super::{LinkFault, NodeState};
use crate::address::Address;
use crate::node_url::NodeUrl;
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
    /// The places that were tried last, in the order in which they were begun. At most
    /// [`PLACES_TRIED_MAX`](crate::limits::PLACES_TRIED_MAX).
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
    use crate::id::{NodeId, PeerId};
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
}
