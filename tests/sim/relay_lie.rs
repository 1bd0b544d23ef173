//! Relays that lie: what they do to frames which they carry for others, and cannot read.
use crate::chance::Chance;
use bytes::Bytes;
use peergraph_core::wire::kind;

/// How many of the frames that it relays a liar leaves alone.
const HONEST: f64 = 0.8;
/// Bytes before the frame of a circuit: that of the link, the kind, the number of the circuit.
const BEFORE: usize = 1 + 1 + 8;

/// A lie about some of the frames that a relay carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayLie {
    /// It keeps them to itself.
    Drop,
    /// It changes a bit of them.
    Flip,
    /// It sends them twice.
    Repeat,
    /// It cuts their end off.
    Truncate,
}

impl RelayLie {
    /// The frames that are sent in the place of one. Only those of circuits are touched.
    pub(crate) fn tell(self, chance: &mut Chance, frame: Bytes) -> Vec<Bytes> {
        let relayed = frame.starts_with(&[0, kind::RELAYED_DATA.number()]) && frame.len() > BEFORE;
        if !relayed || chance.with(HONEST) {
            return vec![frame];
        }
        match self {
            Self::Drop => Vec::new(),
            Self::Flip => {
                let mut changed = frame.to_vec();
                let at = BEFORE + chance.within(0..(frame.len() - BEFORE) as u64) as usize;
                changed[at] ^= 1 << chance.within(0..8);
                vec![changed.into()]
            }
            Self::Repeat => vec![frame.clone(), frame],
            Self::Truncate => {
                let end = BEFORE + chance.within(0..(frame.len() - BEFORE) as u64) as usize;
                vec![frame.slice(..end)]
            }
        }
    }
}
