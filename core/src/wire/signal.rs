//! Connection signals that are carried over a graph.
use super::{Message, WHOLE, kind};
use crate::fault::Misbehaved;
use crate::id::{GroupId, NodeId, NodeNonce, PeerId};
use crate::key::{Domain, PublicKey, Verify};
use crate::limits;
use bytes::Bytes;

/// A connection signal, carried over the graph from node to node, and signed by the one that it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signal {
    pub(crate) from: NodeId,
    pub(crate) to: NodeId,
    pub(crate) attempt: u64,
    /// Counts the signals of one attempt and sender, so that copies are recognised. [`SEARCH`](Self::SEARCH),
    /// [`FOUND`](Self::FOUND), [`LOST`](Self::LOST) and [`LIVES`](Self::LIVES) tell those that carry nothing.
    pub(crate) number: u32,
    pub(crate) hops: u8,
    pub(crate) origin: Origin,
    pub(crate) signal: Bytes,
}

/// The proof that a signal comes from the node that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The key of its identity.
    pub(crate) key: [u8; 32],
    pub(crate) nonce: NodeNonce,
    pub(crate) signature: [u8; 64],
}

impl Origin {
    /// The peer whose key it is.
    pub(crate) fn peer(&self) -> Option<PeerId> {
        PublicKey::from_bytes(&self.key).map(|key| key.peer_id())
    }
}

impl Signal {
    /// Asks where a node is: it goes to everybody, and carries nothing.
    pub(crate) const SEARCH: u32 = 1 << 31;
    /// The answer of that node: it goes the way back, and carries nothing.
    pub(crate) const FOUND: u32 = 1 << 30;
    /// Asks all who hear of a node whether it is there: the sender has lost it. It goes to everybody, and carries nothing.
    pub(crate) const LOST: u32 = 1 << 29;
    /// A node says that it is there. It goes to everybody and carries nothing; the attempt is the time, in milliseconds of
    /// peer time, and both ends are that node.
    pub(crate) const LIVES: u32 = 1 << 28;

    /// Whether it asks for a way.
    pub(crate) fn is_search(&self) -> bool {
        self.number & Self::SEARCH != 0
    }

    /// Whether it answers that.
    pub(crate) fn is_found(&self) -> bool {
        self.number & Self::FOUND != 0
    }

    /// Whether it says that its sender has lost a node.
    pub(crate) fn is_loss(&self) -> bool {
        self.number & Self::LOST != 0
    }

    /// Whether a node says by it that it is there.
    pub(crate) fn is_life(&self) -> bool {
        self.number & Self::LIVES != 0
    }

    /// As its origin has signed it.
    pub(crate) fn signed(mut self, group: GroupId, sign: impl FnOnce(&[u8]) -> [u8; 64]) -> Self {
        self.origin.signature = sign(&self.message(group));
        self
    }

    /// The message that the origin signs, under its domain: everything but the hops.
    pub(crate) fn message(&self, group: GroupId) -> Vec<u8> {
        let Self { from, to, attempt, number, signal, .. } = self;
        let words = [from.0, to.0, *attempt].map(u64::to_be_bytes);
        [group.as_bytes(), &words.concat()[..], &number.to_be_bytes(), signal].concat()
    }

    /// Whether the node that it names signed it.
    pub(crate) fn is_genuine(&self, group: GroupId, verify: Verify) -> bool {
        let Some(key) = PublicKey::from_bytes(&self.origin.key) else { return false };
        let message = Domain::Signal.message(&self.message(group));
        self.from == NodeId::of(key.peer_id(), self.origin.nonce)
            && verify(&key, &message, &self.origin.signature)
    }
}

/// Encodes a signal: from, to and attempt (8 bytes each), number (4), hops (1), key (32), nonce (16), signature (64), then
/// the signal itself. Not CBOR, since where a graph has broken most messages are these, and most of these are copies that
/// are dropped for their name.
pub(crate) fn signal(slot: u16, signal: &Signal) -> Message {
    let Signal { from, to, attempt, number, hops, origin, signal } = signal;
    let [high, low] = slot.to_be_bytes();
    let mut bytes = Vec::with_capacity(4 + 29 + 112 + signal.len());
    bytes.extend_from_slice(&[WHOLE, kind::SIGNAL.number(), high, low]);
    for word in [from.0, to.0, *attempt] {
        bytes.extend(word.to_be_bytes());
    }
    bytes.extend(number.to_be_bytes());
    bytes.push(*hops);
    bytes.extend_from_slice(&origin.key);
    bytes.extend_from_slice(origin.nonce.as_bytes());
    bytes.extend_from_slice(&origin.signature);
    bytes.extend_from_slice(signal);
    Message(bytes.into())
}

/// Takes a signal apart without copying it.
pub(crate) fn decode_signal(body: &Bytes) -> Result<Signal, Misbehaved> {
    let word = |bytes: &[u8; 8]| u64::from_be_bytes(*bytes);
    let read = || {
        let (from, rest) = body.split_first_chunk()?;
        let (to, rest) = rest.split_first_chunk()?;
        let (attempt, rest) = rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (&hops, rest) = rest.split_first()?;
        let (&key, rest) = rest.split_first_chunk()?;
        let (&nonce, rest) = rest.split_first_chunk()?;
        let (&signature, rest) = rest.split_first_chunk()?;
        Some(Signal {
            from: NodeId(word(from)),
            to: NodeId(word(to)),
            attempt: word(attempt),
            number: u32::from_be_bytes(*number),
            hops,
            origin: Origin { key, nonce: NodeNonce::from_bytes(nonce), signature },
            signal: body.slice_ref(rest),
        })
    };
    let signal = read().ok_or(Misbehaved::BadMessage)?;
    if signal.signal.len() > limits::SIGNAL_BYTES_MAX {
        return Err(Misbehaved::TooMuch);
    }
    let kinds = [signal.is_search(), signal.is_found(), signal.is_loss(), signal.is_life()];
    let kinds = kinds.into_iter().filter(|is| *is).count();
    if kinds != usize::from(signal.signal.is_empty()) {
        return Err(Misbehaved::BadMessage);
    }
    Ok(signal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_come_back_as_they_were_and_nothing_shorter_does() {
        let numbered = |number: u32, bytes: usize| Signal {
            from: NodeId(u64::MAX - 1),
            to: NodeId(2),
            attempt: 3,
            number,
            hops: 5,
            origin: Origin {
                key: [7; 32],
                nonce: NodeNonce::from_bytes([8; 16]),
                signature: [9; 64],
            },
            signal: vec![6; bytes].into(),
        };
        let signal = |bytes| numbered(Signal::LIVES - 4, bytes);
        let (search, found) = (numbered(Signal::SEARCH | 7, 0), numbered(Signal::FOUND | 7, 0));
        let (loss, life) = (numbered(Signal::LOST | 7, 0), numbered(Signal::LIVES, 0));
        let encoded = |signal: &Signal| super::signal(2, signal).frame().slice(4..);
        let most = signal(limits::SIGNAL_BYTES_MAX);
        for signal in [signal(1), most, search.clone(), found, loss, life] {
            assert_eq!(decode_signal(&encoded(&signal)), Ok(signal));
        }
        let both = Signal::SEARCH | Signal::FOUND;
        let (loss, others) = (Signal::LOST, Signal::LOST | Signal::LIVES);
        for (number, bytes) in [
            (7, 0),
            (Signal::SEARCH, 1),
            (Signal::FOUND, 1),
            (loss, 1),
            (both, 0),
            (both, 1),
            (others, 0),
        ] {
            let body = encoded(&numbered(number, bytes));
            assert_eq!(decode_signal(&body), Err(Misbehaved::BadMessage), "{number:x} {bytes}");
        }
        let empty = encoded(&search);
        for bytes in 0..empty.len() {
            assert_eq!(decode_signal(&empty.slice(..bytes)), Err(Misbehaved::BadMessage));
        }
        let long = encoded(&signal(limits::SIGNAL_BYTES_MAX + 1));
        assert_eq!(decode_signal(&long), Err(Misbehaved::TooMuch));
        let message = super::signal(0x0203, &signal(1));
        assert_eq!(message.bytes()[..3], [kind::SIGNAL.number(), 2, 3]);
    }

    /// A signal is that of its node in its group only, whatever else is changed; how far it has come may be.
    #[test]
    fn signal_of_another_node_group_or_content_is_not_genuine() {
        use crate::identity::{Identity, verify};
        use crate::time::WallTime;
        let [bob, eve] = [1, 2].map(|n| {
            Identity::generate([n; 32], [n; 16], "who", WallTime(1_800_000_000_000)).unwrap()
        });
        let (group, nonce) = (GroupId::from_bytes([3; 32]), NodeNonce::from_bytes([4; 16]));
        let signed = |who: &Identity, from| {
            let key = *who.public_key().as_bytes();
            let origin = Origin { key, nonce, signature: [0; 64] };
            let signal = Bytes::from_static(b"offer");
            let mut signal =
                Signal { from, to: NodeId(5), attempt: 6, number: 7, hops: 0, origin, signal };
            signal.origin.signature = who.sign(Domain::Signal, &signal.message(group));
            signal
        };
        let good = signed(&bob, NodeId::of(bob.peer_id(), nonce));
        let genuine = |signal: &Signal| signal.is_genuine(group, verify);
        assert!(genuine(&good) && genuine(&Signal { hops: 9, ..good.clone() }));
        assert!(!good.is_genuine(GroupId::from_bytes([8; 32]), verify));
        assert!(!genuine(&signed(&eve, good.from)), "nobody has another's node id");
        let other = Origin { nonce: NodeNonce::default(), ..good.origin };
        for changed in [
            Signal { from: NodeId(1), ..good.clone() },
            Signal { to: NodeId(1), ..good.clone() },
            Signal { attempt: 1, ..good.clone() },
            Signal { number: 1, ..good.clone() },
            Signal { origin: other, ..good.clone() },
            Signal { signal: Bytes::from_static(b"answer"), ..good.clone() },
        ] {
            assert!(!genuine(&changed), "{changed:?}");
        }
    }
}
