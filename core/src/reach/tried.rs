//! What was tried to find members of a group: for people who wait, and for whom nobody was found.
use crate::io::NodeState;
use crate::node_url::NodeUrl;
use std::fmt;

/// What a group did to find members since it had a neighbour last. All counts are bounded by what a group does in that
/// time; nodes by those that are named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Tried {
    /// Nodes that the application or the invitation named, and how far each is.
    pub nodes: Vec<(NodeUrl, NodeState)>,
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
    /// Answers of members that could not let us in.
    pub members: u32,
}

/// What a group counts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trace {
    pub(crate) addresses: u32,
    pub(crate) unreached: u32,
    pub(crate) strangers: u32,
    pub(crate) seats: u32,
    pub(crate) offers: u32,
    pub(crate) members: u32,
}

impl Trace {
    pub(crate) fn told(self, nodes: Vec<(NodeUrl, NodeState)>) -> Tried {
        let Self { addresses, unreached, strangers, seats, offers, members } = self;
        Tried { nodes, addresses, unreached, strangers, seats, offers, members }
    }
}

impl Tried {
    /// Whether a link leads to at least one of the nodes.
    fn has_node(&self) -> bool {
        self.nodes.iter().any(|(_, state)| matches!(state, NodeState::Linked { .. }))
    }

    /// What to do about it, as one sentence.
    pub fn cure(&self) -> &'static str {
        if self.members > 0 {
            return "a member was reached that may not let you in: wait until the inviter is online, then try again";
        }
        if self.seats > 0 {
            return "others of the group are at the node, but no connection to them came to be, since a firewall or \
                    router is between: name a node that is a member and can be reached from the internet";
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
            }
        }
        if self.addresses > 0 {
            write!(f, "addresses: {} tried, {} failed; ", self.addresses, self.unreached)?;
        }
        if self.strangers > 0 {
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
            "node https://node.example/: it answered with status 404; check the path of the URL; addresses: 3 tried, 3 \
             failed; check that the node is up, its URL, and your network"
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
