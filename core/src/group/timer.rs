//! The deadlines of a group.
use crate::time::Place;

/// Names the deadlines of a group, in the order in which those of one moment are met, each with what it is for.
macro_rules! timers {
    ($($name:ident $why:literal,)*) => {
        /// Deadlines of a group.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Timer {
            $($name,)*
        }

        impl Place for Timer {
            const ALL: &[Self] = &[$(Self::$name,)*];

            fn place(self) -> usize {
                self as usize
            }
        }

        impl Timer {
            pub(super) fn why(self) -> &'static str {
                match self {
                    $(Self::$name => $why,)*
                }
            }
        }
    };
}

timers! {
    Maintain "maintain graph",
    Acks "acknowledge",
    Announce "announce",
    Graft "ask for announced",
    Presence "refresh presence",
    Signature "check graph signature",
    Beat "show graph signature",
    Contact "refresh contact",
    Standing "change number of contacts",
    Repair "look for the missing",
    Expiry "expire records",
    Confirm "confirm deletions",
    Refresh "refresh records",
    Again "sign records again",
    Leap "decide what a leap of the clock was",
    Joining "give up joining",
    Judge "enforce the roll",
    Renew "renew memberships",
    SafetyNet "compare stores",
    Save "save group",
    Sync "go on with syncs",
    Turn "compare stores with the next neighbour",
    Preview "give up looking at an invitation",
    Silence "ask who hears of the lost",
    Search "answer searches",
}
