//! Asks of groups, about links and dialling. The node does as they say at the end of the input.
use super::dial::Wish;
use crate::id::{GroupId, NodeId};
use crate::io::{CloseReason, DirectId, LinkId};
use crate::sorted::{SortedMap, SortedSet};

/// The asks of one input.
#[derive(Default)]
pub(crate) struct Asks {
    /// Groups that look for members at the rendezvous nodes.
    pub(crate) sit: SortedSet<GroupId>,
    /// Links to close, unless another graph needs them.
    pub(crate) unwanted: SortedMap<LinkId, CloseReason>,
    /// Links that groups want from now on.
    pub(crate) wishes: Vec<Wish>,
    /// Groups that have got a neighbour: they look for any member no longer.
    pub(crate) settled: SortedSet<GroupId>,
    /// Groups in which memberships may have come to their end.
    pub(crate) fallen: SortedSet<GroupId>,
    /// Direct links for which relays are asked for a link to a node.
    pub(crate) relays: Vec<(DirectId, GroupId, NodeId)>,
    /// Links that have come to lead to a neighbour, or do so no longer.
    pub(crate) turned: SortedSet<LinkId>,
    /// Whether a join goes on, for which named nodes that are not reached are tried again.
    pub(crate) again: bool,
}
