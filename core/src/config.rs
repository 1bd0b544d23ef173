//! The choices that an application has for its node, and the ones that are refused.
use crate::cert::VerifiedChain;
use crate::id::Digest;
use crate::limits::{FLOOD_RECORDS_MAX, NEIGHBOURS_MAX, PRIORITIES_MAX};
use crate::provider::{Membership, Provider};
use crate::record::RecordType;
use crate::wire::Versions;
use bytes::Bytes;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Tunables of a node.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many neighbours it wants in each graph.
    pub neighbours: Neighbours,
    /// Types of records that a sync brings first, in this order; at most [`PRIORITIES_MAX`] of them.
    pub priorities: Vec<RecordType>,
    /// Whether it serves as rendezvous for groups that it need not be a member of.
    pub rendezvous: bool,
    /// Whether it relays for two that no direct path joins: as rendezvous for anybody, else for members of its groups.
    pub relay: bool,
    /// Whether only members that this node knows are told that it is in their group. Everybody else that asks, newcomers with
    /// an invitation too, gets the answer of a node that is not: others let them in. This node asks nobody else either, but
    /// while it joins. Its seats at rendezvous nodes it takes as always: who knows the group's id can sit at the same table,
    /// and sees who sits there.
    pub members_only: bool,
    /// Which versions of the protocol it speaks: a seam for tests, in which nodes are of other releases.
    pub versions: Versions,
    /// It decides who and what is to be trusted.
    pub provider: Arc<dyn Provider>,
    /// Whether the host hands over all that comes, however much waits for its disk, as a browser must: the node then puts
    /// off what it is brought meanwhile. Another stops reading, as
    /// [`Node::writes_waiting`](crate::node::Node::writes_waiting) says.
    pub reads_on: bool,
    /// How many records of one message the node takes in one go; at least one. After them a host with one thread for
    /// everything, such as a browser's, does other things. See [`Node::has_more`](crate::node::Node::has_more).
    pub records_at_once: usize,
    /// How what many nodes hold is kept: a seam for simulations, which keep one copy of each.
    pub share: Share,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            neighbours: Neighbours::default(),
            priorities: Vec::new(),
            rendezvous: false,
            relay: true,
            members_only: false,
            versions: Versions::OURS,
            provider: Arc::new(Membership),
            reads_on: false,
            records_at_once: FLOOD_RECORDS_MAX,
            share: Share::default(),
        }
    }
}

/// How a node keeps what others hold as well. By default each for itself; a simulation of a thousand nodes has no room for a
/// thousand copies. The answer equals what was given.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// Of a record to be kept: its bytes, and their digest.
    pub record: fn(&Bytes, &Digest) -> Bytes,
    /// Of a membership that was verified.
    pub membership: fn(VerifiedChain) -> VerifiedChain,
}

impl Default for Share {
    fn default() -> Self {
        Self { record: |bytes, _| bytes.clone(), membership: |chain| chain }
    }
}

/// How many neighbours a node wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbours {
    pub(crate) minimum: usize,
    pub(crate) ideal: usize,
    pub(crate) maximum: usize,
}

/// Why a graph of such neighbours would not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnfitNeighbours {
    /// It does not read as limits.
    #[error("three numbers are needed, minimum, ideal and maximum, such as 3,5,7")]
    Unreadable,
    /// The minimum is 0, or above the ideal.
    #[error("the minimum of neighbours is from 1 to the ideal number, as in 3,5,7")]
    Minimum,
    /// Nodes that are content with two neighbours close a ring, and many small rings are no graph.
    /// A crowd whose nodes drop one of two neighbours for a newcomer breaks as often as it mends.
    #[error(
        "an ideal below 3 neighbours makes rings, which are apart from one another; take 3 or more"
    )]
    Rings,
    /// If all nodes have all the neighbours that they accept, nobody can join.
    #[error("a maximum that is not above the ideal leaves no room for newcomers, as 3,5,7 does")]
    NoRoom,
    /// The maximum is beyond [`NEIGHBOURS_MAX`].
    #[error("more than {NEIGHBOURS_MAX} neighbours cost more than they bring")]
    TooMany,
}

impl Neighbours {
    /// The lowest ideal. Source: graphs of random links with three at each node are connected; with two they are rings.
    /// Measured: 1,000 nodes with 2, 2, 3 are not one graph after ten minutes.
    pub const IDEAL_MIN: usize = 3;

    /// `minimum`: fewer are replaced at once. `ideal`: fewer are topped up now and then. `maximum`: more are refused.
    ///
    /// # Errors
    /// [`UnfitNeighbours`].
    pub const fn new(
        minimum: usize,
        ideal: usize,
        maximum: usize,
    ) -> Result<Self, UnfitNeighbours> {
        if minimum == 0 || minimum > ideal {
            return Err(UnfitNeighbours::Minimum);
        }
        if ideal < Self::IDEAL_MIN {
            return Err(UnfitNeighbours::Rings);
        }
        if maximum <= ideal {
            return Err(UnfitNeighbours::NoRoom);
        }
        if maximum > NEIGHBOURS_MAX {
            return Err(UnfitNeighbours::TooMany);
        }
        Ok(Self { minimum, ideal, maximum })
    }
}

impl Default for Neighbours {
    /// 3, 5, 7. Measured with one seed, the load of fifty senders (`cargo xtask sim flood --neighbours 3,5,7`):
    ///
    /// | limits | 1,000 nodes: mean, last hop | slowest | redundancy | control bytes a record | 100 nodes: hops |
    /// |---|---|---|---|---|---|
    /// | 2, 3, 4 | 7.1, 16 | 540 ms | 0.14 | 164 | 4.9, 12 |
    /// | 2, 3, 7 | 5.6, 15 | 468 ms | 0.02 | 199 | 3.6, 8 |
    /// | 3, 4, 6 | 5.6, 15 | 427 ms | 0.03 | 205 | 3.7, 11 |
    /// | 3, 5, 7 | 5.2, 13 | 345 ms | 0.03 | 219 | 3.4, 9 |
    /// | 4, 6, 8 | 4.9, 11 | 319 ms | 0.03 | 275 | 3.3, 9 |
    /// | 5, 8, 10 | 4.7, 14 | 300 ms | 0.05 | 390 | 3.1, 8 |
    ///
    /// Beyond 3, 5, 7 a link saves little time and costs what a data channel costs: in browsers the dearest thing there is.
    fn default() -> Self {
        Self { minimum: 3, ideal: 5, maximum: 7 }
    }
}

/// Minimum, ideal and maximum: `3,5,7`.
impl FromStr for Neighbours {
    type Err = UnfitNeighbours;

    fn from_str(text: &str) -> Result<Self, UnfitNeighbours> {
        let numbers: Result<Vec<usize>, _> = text.split(',').map(str::parse).collect();
        let Ok(&[minimum, ideal, maximum]) = numbers.as_deref() else {
            return Err(UnfitNeighbours::Unreadable);
        };
        Self::new(minimum, ideal, maximum)
    }
}

impl fmt::Display for Neighbours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{}", self.minimum, self.ideal, self.maximum)
    }
}

/// Why a node cannot be as it is asked to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadConfig {
    /// More than [`PRIORITIES_MAX`] types are to come first.
    #[error("too many record types are to come first; name at most {PRIORITIES_MAX}")]
    Priorities,
}

impl Config {
    /// Whether a node can be so. Hosts ask before they make one.
    ///
    /// # Errors
    /// [`BadConfig`].
    pub fn check(&self) -> Result<(), BadConfig> {
        if self.priorities.len() > PRIORITIES_MAX { Err(BadConfig::Priorities) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_make_no_graph_are_refused() {
        let read = str::parse::<Neighbours>;
        assert_eq!(read("3,5,7"), Ok(Neighbours::default()));
        for text in ["1,3,4", "2,3,7", "3,3,4", "99,99,100"] {
            assert_eq!(read(text).map(|limits| limits.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "3", "3,5", "3,5,7,9", "3, 5, 7", "-1,3,5"] {
            assert_eq!(read(text), Err(UnfitNeighbours::Unreadable), "{text}");
        }
        assert_eq!(read("0,3,7"), Err(UnfitNeighbours::Minimum));
        assert_eq!(read("4,3,7"), Err(UnfitNeighbours::Minimum));
        assert_eq!(read("2,2,3"), Err(UnfitNeighbours::Rings));
        assert_eq!(read("3,3,3"), Err(UnfitNeighbours::NoRoom));
        assert_eq!(read("3,5,101"), Err(UnfitNeighbours::TooMany));
    }

    #[test]
    fn so_many_types_come_first() {
        let check = |count: usize| {
            let priorities = vec![RecordType::new("note").expect("a type"); count];
            Config { priorities, ..Config::default() }.check()
        };
        assert_eq!(check(PRIORITIES_MAX), Ok(()));
        assert_eq!(check(PRIORITIES_MAX + 1), Err(BadConfig::Priorities));
    }
}
