//! Which versions of the protocol a node speaks, and which one two nodes speak with each other.
//!
//! Both ends tell their range in the handshake, the initiator in its first message, the responder in its answer. Both speak
//! the lower of the two highest versions, and the link remembers it. The ranges are in the handshake's hash, which both
//! ends must have in common: whoever changes them on the way ends the handshake, and lowers nothing. Where the ranges do not
//! meet, both ends close, each knowing which of them is older.
use crate::io::CloseReason;
use minicbor::{Decode, Encode};

/// A range of versions of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode)]
#[cbor(array)]
pub struct Versions {
    #[n(0)]
    lowest: u32,
    #[n(1)]
    highest: u32,
}

impl Versions {
    /// The versions that this release speaks.
    pub const OURS: Self = Self { lowest: 1, highest: 1 };

    /// From the lowest to the highest. Nothing if there are none in between; there is no version 0.
    pub const fn new(lowest: u32, highest: u32) -> Option<Self> {
        if lowest == 0 || lowest > highest { None } else { Some(Self { lowest, highest }) }
    }

    /// The version that these two ends speak with each other.
    ///
    /// # Errors
    /// Which of them is older, as the reason why the first one closes.
    pub(crate) fn common(self, theirs: Self) -> Result<u32, CloseReason> {
        if self.highest < theirs.lowest {
            return Err(CloseReason::WeAreOlder);
        }
        if theirs.highest < self.lowest {
            return Err(CloseReason::TheyAreOlder);
        }
        Ok(self.highest.min(theirs.highest))
    }
}

impl<'b, C> Decode<'b, C> for Versions {
    fn decode(d: &mut minicbor::Decoder<'b>, c: &mut C) -> Result<Self, minicbor::decode::Error> {
        /// As it came.
        #[derive(Decode)]
        #[cbor(array)]
        struct Told {
            #[n(0)]
            lowest: u32,
            #[n(1)]
            highest: u32,
        }
        let Told { lowest, highest } = Told::decode(d, c)?;
        Self::new(lowest, highest)
            .ok_or_else(|| minicbor::decode::Error::message("no version at all"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range() -> impl Strategy<Value = Versions> {
        (1..9_u32, 0..9_u32).prop_map(|(low, more)| Versions::new(low, low + more).unwrap())
    }

    proptest! {
        /// Both ends come to the same, and it is the highest version that both speak.
        #[test]
        fn both_ends_agree_on_the_highest_version_that_both_speak(a in range(), b in range()) {
            let speaks = |it: Versions, version: u32| (it.lowest..=it.highest).contains(&version);
            let highest = (1..20).rev().find(|&version| speaks(a, version) && speaks(b, version));
            prop_assert_eq!(a.common(b).ok(), highest);
            match (a.common(b), b.common(a)) {
                (Ok(here), Ok(there)) => prop_assert_eq!(here, there),
                (Err(CloseReason::WeAreOlder), Err(CloseReason::TheyAreOlder)) => {
                    prop_assert!(a.highest < b.lowest);
                }
                (Err(CloseReason::TheyAreOlder), Err(CloseReason::WeAreOlder)) => {
                    prop_assert!(b.highest < a.lowest);
                }
                other => prop_assert!(false, "{other:?}"),
            }
        }

        /// A pair that is no range is no message, and what later versions put behind it is skipped.
        #[test]
        fn only_ranges_are_read(low in 0..5_u32, high in 0..5_u32, more: bool) {
            let told = if more { vec![low, high, 7] } else { vec![low, high] };
            let bytes = minicbor::to_vec(told).unwrap();
            prop_assert_eq!(minicbor::decode::<Versions>(&bytes).ok(), Versions::new(low, high));
        }
    }
}
