//! Trees: to whom the records of a publisher are sent unasked.
//!
//! Every publisher has a tree of its own, made of what its last records showed: who asked for one of them is sent the
//! next ones unasked; who answers that it has them already is not any more. Ids have the first part of their
//! creator's peer id in them, which names the publisher: two of whom it is the same have one tree.
use crate::id::{PeerId, RecordId};
use crate::io::LinkId;
use std::collections::BTreeMap;

/// Publishers whose trees are remembered, per group. Guess: 100 KB. Whoever published longest ago is forgotten, and
/// begins again: its next record is asked for at every hop.
const PUBLISHERS_MAX: usize = 1_024;

/// The part of a record's id that its creator determines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Publisher([u8; 3]);

impl Publisher {
    pub(super) fn of(id: RecordId) -> Self {
        Self(id.creator_bits())
    }

    pub(super) fn named(peer: PeerId) -> Self {
        let [a, b, c, ..] = *peer.as_bytes();
        Self([a, b, c])
    }
}

/// The trees of all publishers, as one node sees them.
#[derive(Default)]
pub(super) struct Trees {
    trees: BTreeMap<Publisher, Tree>,
    /// Counts uses.
    uses: u64,
}

/// The links of one node in one tree.
#[derive(Default)]
pub(super) struct Tree {
    /// Where records come from; none at the publisher itself.
    pub(super) parent: Option<LinkId>,
    /// Where they are sent unasked.
    pub(super) children: Vec<LinkId>,
    used: u64,
}

impl Trees {
    pub(super) fn get(&self, publisher: Publisher) -> Option<&Tree> {
        self.trees.get(&publisher)
    }

    /// The tree of a publisher that has just published, and whether it was known.
    pub(super) fn touch(&mut self, publisher: Publisher) -> (&mut Tree, bool) {
        self.uses += 1;
        let known = self.trees.contains_key(&publisher);
        if !known && self.trees.len() >= PUBLISHERS_MAX {
            let oldest = self.trees.iter().min_by_key(|(_, tree)| tree.used);
            if let Some(oldest) = oldest.map(|(&publisher, _)| publisher) {
                self.trees.remove(&oldest);
            }
        }
        let tree = self.trees.entry(publisher).or_default();
        tree.used = self.uses;
        (tree, known)
    }

    /// Somebody asked for a record of this publisher.
    pub(super) fn adopt(&mut self, publisher: Publisher, link: LinkId) {
        let (tree, _) = self.touch(publisher);
        if !tree.children.contains(&link) {
            tree.children.push(link);
        }
    }

    /// Somebody has the records of this publisher before we send them.
    pub(super) fn disown(&mut self, publisher: Publisher, link: LinkId) {
        if let Some(tree) = self.trees.get_mut(&publisher) {
            tree.children.retain(|child| *child != link);
        }
    }

    /// A neighbour is gone from all trees.
    pub(super) fn forget(&mut self, link: LinkId) {
        for tree in self.trees.values_mut() {
            tree.children.retain(|child| *child != link);
            if tree.parent == Some(link) {
                tree.parent = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publisher(n: u64) -> Publisher {
        let [.., a, b, c] = n.to_be_bytes();
        Publisher([a, b, c])
    }

    #[test]
    fn whoever_published_longest_ago_is_forgotten_first() {
        let mut trees = Trees::default();
        for n in 0..PUBLISHERS_MAX as u64 {
            trees.adopt(publisher(n), LinkId(n));
        }
        trees.touch(publisher(0));
        trees.adopt(publisher(u64::MAX), LinkId(7));
        assert_eq!(trees.trees.len(), PUBLISHERS_MAX);
        assert!(trees.get(publisher(0)).is_some(), "it published again");
        assert!(trees.get(publisher(1)).is_none());
    }

    #[test]
    fn a_link_is_a_child_once_until_it_is_disowned_or_gone() {
        let mut trees = Trees::default();
        let children = |trees: &Trees| trees.get(publisher(1)).map(|tree| tree.children.clone());
        for link in [3, 4, 3] {
            trees.adopt(publisher(1), LinkId(link));
        }
        assert_eq!(children(&trees), Some(vec![LinkId(3), LinkId(4)]));
        trees.disown(publisher(1), LinkId(3));
        trees.disown(publisher(2), LinkId(4));
        assert_eq!(children(&trees), Some(vec![LinkId(4)]));
        trees.forget(LinkId(4));
        assert_eq!(children(&trees), Some(vec![]));
    }
}
