//! Trees: to whom the records of a publisher are sent unasked.
//!
//! Every publisher has a tree of its own, made of what its last records showed: who asked for one of them is sent the
//! next ones unasked; who answers that it has them already is not any more. Ids have the first part of their
//! creator's peer id in them, which names the publisher: two of whom it is the same have one tree.
//!
//! A tree is mended where a link of it is lost, each time a little longer than the quickest ways are. So its publisher
//! forgets it after [`KEPT_FOR`]: its next record is announced and asked for as the first one was, and finds them again.
//! Others forget theirs when such an announcement comes.
use crate::id::{PeerId, RecordId};
use crate::io::LinkId;
use crate::sorted::SortedMap;
use crate::time::Time;
use std::time::Duration;

/// Publishers whose trees are remembered, per group. Guess: 100 KB. The publisher that published longest ago is forgotten, and
/// begins again: its next record is asked for at every hop.
const PUBLISHERS_MAX: usize = 1_024;

/// How long a publisher keeps its tree, and how old that of another may be where an announcement is ahead of the record.
/// Measured at 1,000 nodes: trees from the time when these gathered had up to 16 hops, the quickest ways up to 10. The
/// record that makes a tree anew takes half as long again.
pub(super) const KEPT_FOR: Duration = Duration::from_secs(120);
pub(super) const KEPT_BY_OTHERS_FOR: Duration = Duration::from_secs(60);

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
    trees: SortedMap<Publisher, Tree>,
    /// Counts uses.
    uses: u64,
}

/// The links of one node in one tree.
pub(super) struct Tree {
    /// Where records come from; none at the publisher itself.
    pub(super) parent: Option<LinkId>,
    /// Where they are sent unasked.
    pub(super) children: Vec<LinkId>,
    /// The neighbours that were told that their records come by another way, and were not asked since: what they send was on
    /// its way then.
    declined: Vec<LinkId>,
    used: u64,
    began: Time,
}

impl Trees {
    pub(super) fn get(&self, publisher: Publisher) -> Option<&Tree> {
        self.trees.get(&publisher)
    }

    /// The tree of a publisher that has just published, and whether it was known.
    pub(super) fn touch(&mut self, publisher: Publisher, now: Time) -> (&mut Tree, bool) {
        self.uses += 1;
        let known = self.trees.contains_key(&publisher);
        if !known && self.trees.len() >= PUBLISHERS_MAX {
            let oldest = self.trees.iter().min_by_key(|(_, tree)| tree.used);
            if let Some(oldest) = oldest.map(|(&publisher, _)| publisher) {
                self.trees.remove(&oldest);
            }
        }
        let (children, declined) = (Vec::new(), Vec::new());
        let new = Tree { parent: None, children, declined, used: 0, began: now };
        let tree = self.trees.entry(publisher).or_insert(new);
        tree.used = self.uses;
        (tree, known)
    }

    /// Forgets a tree that is older than this.
    pub(super) fn outgrow(&mut self, publisher: Publisher, now: Time, age_max: Duration) {
        if self.trees.get(&publisher).is_some_and(|tree| now.since(tree.began) > age_max) {
            self.trees.remove(&publisher);
        }
    }

    /// Somebody asked for a record of this publisher.
    pub(super) fn adopt(&mut self, publisher: Publisher, link: LinkId, now: Time) {
        let (tree, _) = self.touch(publisher, now);
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

    /// A record came again. Whether its sender is to go on: of two whose records overtake each other one must.
    pub(super) fn keeps(&mut self, publisher: Publisher, link: LinkId) -> bool {
        let Some(tree) = self.trees.get_mut(&publisher) else { return false };
        if tree.parent.is_none() {
            tree.came(link);
        }
        let keeps = tree.parent == Some(link);
        if !keeps && !tree.declined.contains(&link) {
            tree.declined.push(link);
        }
        keeps
    }

    /// Somebody is asked for a record of this publisher, and will send the next ones unasked.
    pub(super) fn asked(&mut self, publisher: Publisher, link: LinkId) {
        if let Some(tree) = self.trees.get_mut(&publisher) {
            tree.declined.retain(|other| *other != link);
        }
    }

    /// A neighbour is gone from all trees.
    pub(super) fn forget(&mut self, link: LinkId) {
        for tree in self.trees.values_mut() {
            tree.children.retain(|child| *child != link);
            tree.declined.retain(|other| *other != link);
            if tree.parent == Some(link) {
                tree.parent = None;
            }
        }
    }
}

impl Tree {
    /// A record came from a neighbour that is in the tree, as far as we told it.
    pub(super) fn came(&mut self, from: LinkId) {
        if !self.declined.contains(&from) {
            self.parent = Some(from);
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
            trees.adopt(publisher(n), LinkId(n), Time::from_micros(0));
        }
        trees.touch(publisher(0), Time::from_micros(0));
        trees.adopt(publisher(u64::MAX), LinkId(7), Time::from_micros(0));
        assert_eq!(trees.trees.len(), PUBLISHERS_MAX);
        assert!(trees.get(publisher(0)).is_some(), "it published again");
        assert!(trees.get(publisher(1)).is_none());
    }

    #[test]
    fn a_link_is_a_child_once_until_it_is_disowned_or_gone() {
        let mut trees = Trees::default();
        let children = |trees: &Trees| trees.get(publisher(1)).map(|tree| tree.children.clone());
        for link in [3, 4, 3] {
            trees.adopt(publisher(1), LinkId(link), Time::from_micros(0));
        }
        assert_eq!(children(&trees), Some(vec![LinkId(3), LinkId(4)]));
        trees.disown(publisher(1), LinkId(3));
        trees.disown(publisher(2), LinkId(4));
        assert_eq!(children(&trees), Some(vec![LinkId(4)]));
        trees.forget(LinkId(4));
        assert_eq!(children(&trees), Some(vec![]));
    }

    #[test]
    fn of_two_whose_records_overtake_each_other_one_goes_on() {
        let mut trees = Trees::default();
        let [a, b] = [1, 2].map(LinkId);
        let came =
            |trees: &mut Trees, link| trees.touch(publisher(1), Time::from_micros(0)).0.came(link);
        came(&mut trees, a);
        assert!(!trees.keeps(publisher(1), b), "its records come by the first");
        // The records that the second had sent by then are ahead of the first one's.
        came(&mut trees, b);
        assert!(trees.keeps(publisher(1), a));
        assert!(!trees.keeps(publisher(1), b));
        // The first one's record is late, and the second is asked: it goes on now, and the first one is not needed.
        trees.asked(publisher(1), b);
        came(&mut trees, b);
        assert!(trees.keeps(publisher(1), b), "it may send the same twice");
        assert!(!trees.keeps(publisher(1), a));
    }

    #[test]
    fn without_a_parent_whoever_sends_becomes_it() {
        let mut trees = Trees::default();
        let [a, b] = [1, 2].map(LinkId);
        assert!(!trees.keeps(publisher(1), a), "nobody published");
        trees.touch(publisher(1), Time::from_micros(0)).0.came(a);
        assert!(!trees.keeps(publisher(1), b));
        trees.forget(a);
        assert!(!trees.keeps(publisher(1), b), "it was declined");
        trees.asked(publisher(1), b);
        assert!(trees.keeps(publisher(1), b));
    }

    #[test]
    fn a_tree_is_as_old_as_its_first_use() {
        let mut trees = Trees::default();
        let at = |seconds: u64| Time::from_micros(seconds * 1_000_000);
        trees.adopt(publisher(1), LinkId(1), at(0));
        trees.touch(publisher(1), at(100));
        trees.outgrow(publisher(1), at(120), KEPT_FOR);
        assert!(trees.get(publisher(1)).is_some());
        trees.outgrow(publisher(1), at(121), KEPT_FOR);
        assert!(trees.get(publisher(1)).is_none());
        assert!(!trees.touch(publisher(1), at(121)).1, "it begins again");
    }
}
