//! The purpose of a link. A link serves everything that it was opened for by either reason, and everything that a duplicate of
//! it was opened for.
use crate::id::GroupId;
use crate::sorted::SortedSet;

/// The purpose of one link. Named nodes are known to the dialler.
#[derive(Clone, Debug, Default)]
pub(crate) struct Purpose {
    /// Groups that want it.
    pub(crate) groups: SortedSet<GroupId>,
    /// Whether the other end began it, as a stranger or by an offer.
    pub(crate) accepted: bool,
}

impl Purpose {
    /// The other end began it.
    pub(crate) fn accepted() -> Self {
        Self { accepted: true, ..Self::default() }
    }

    /// Some groups want it.
    pub(crate) fn of(groups: impl IntoIterator<Item = GroupId>) -> Self {
        Self { groups: groups.into_iter().collect(), accepted: false }
    }
}
