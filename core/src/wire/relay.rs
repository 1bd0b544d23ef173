//! Messages between a relay and the two that it joins.
use super::kind::Kind;
use super::{Message, WHOLE};
use crate::fault::Misbehaved;
use crate::id::NodeId;
use bytes::Bytes;
use minicbor::{Decode, Encode};

/// Random bytes by which a relay knows the two ends of one circuit. One end draws it, and sends it to the other by signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub(crate) struct Token(#[cbor(with = "minicbor::bytes")] pub(crate) [u8; Self::BYTES]);

impl Token {
    pub(crate) const BYTES: usize = 16;
    /// How a signal begins that brings one: the core reads it, and hosts never see it.
    const SIGNAL: &'static [u8] = b"{\"relay\":\"";

    /// The signal that brings it to the other end.
    pub(crate) fn to_signal(self) -> Bytes {
        let hex = |byte: u8| [byte >> 4, byte & 15].map(|it| b"0123456789abcdef"[usize::from(it)]);
        let digits: Vec<u8> = self.0.into_iter().flat_map(hex).collect();
        [Self::SIGNAL, &digits, b"\"}"].concat().into()
    }

    /// The signal that brings it to the other end over a graph, and names the relay.
    pub(crate) fn to_signal_by(self, relay: NodeId) -> Bytes {
        let signal = self.to_signal();
        let open = signal.strip_suffix(b"}").unwrap_or_default();
        [open, format!(",\"by\":\"{:016x}\"}}", relay.0).as_bytes()].concat().into()
    }

    /// The token that such a signal brings, and the relay.
    pub(crate) fn of_signal_by(signal: &[u8]) -> Option<(Self, NodeId)> {
        let (open, by) = signal.split_at_checked(Self::SIGNAL.len() + 2 * Self::BYTES + 1)?;
        let token = Self::of_signal(&[open, b"}"].concat())?;
        let by = by.strip_prefix(b",\"by\":\"")?.strip_suffix(b"\"}")?;
        if by.len() != 16 || !by.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let by = u64::from_str_radix(std::str::from_utf8(by).ok()?, 16).ok()?;
        Some((token, NodeId(by)))
    }

    /// Whether a signal is for the core: one that a host is not given.
    pub(crate) fn is_signal(signal: &[u8]) -> bool {
        signal.starts_with(Self::SIGNAL)
    }

    /// The token that a signal brings.
    pub(crate) fn of_signal(signal: &[u8]) -> Option<Self> {
        let digits = signal.strip_prefix(Self::SIGNAL)?.strip_suffix(b"\"}")?;
        let mut token = [0; Self::BYTES];
        if digits.len() != 2 * token.len() || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        for (byte, digits) in token.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self(token))
    }
}

/// Asks a relay for a circuit to whoever shows the same token.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct AskRelay {
    #[n(0)]
    pub(crate) token: Token,
}

/// Tells both that they are joined.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Relayed {
    #[n(0)]
    pub(crate) token: Token,
    /// The number of the circuit, which the relay has given.
    #[n(1)]
    pub(crate) circuit: u64,
}

/// How much of what came over a circuit was taken, since this was said last.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Taken {
    #[n(0)]
    pub(crate) circuit: u64,
    #[n(1)]
    pub(crate) bytes: u64,
}

/// A circuit is no more, or is wanted no longer.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct EndRelay {
    #[n(0)]
    pub(crate) circuit: u64,
}

/// Bytes that a frame counts for besides its own, at all three nodes: what it gets as it goes over a circuit. So empty frames
/// cost something too.
pub(crate) const RELAYED_BYTES: usize = 64;

/// Encodes a frame of a circuit: its number (8 bytes), then the frame.
pub(crate) fn relay_data(kind: Kind, circuit: u64, frame: &[u8]) -> Message {
    let mut bytes = Vec::with_capacity(2 + 8 + frame.len());
    bytes.extend([WHOLE, kind.number()]);
    bytes.extend(circuit.to_be_bytes());
    bytes.extend_from_slice(frame);
    Message(bytes.into())
}

/// Takes it apart without copying it. `message` is all of it.
pub(crate) fn decode_relay_data(message: &Bytes) -> Result<(u64, Bytes), Misbehaved> {
    let body = message.get(1..).ok_or(Misbehaved::BadMessage)?;
    let (circuit, frame) = body.split_first_chunk().ok_or(Misbehaved::BadMessage)?;
    Ok((u64::from_be_bytes(*circuit), message.slice_ref(frame)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::kind;

    #[test]
    fn tokens_go_by_signals_and_nothing_else_is_one() {
        let token = Token(std::array::from_fn(|n| n as u8 * 17));
        let signal = token.to_signal();
        assert_eq!(&signal[..], b"{\"relay\":\"00112233445566778899aabbccddeeff\"}");
        assert!(Token::is_signal(&signal));
        assert_eq!(Token::of_signal(&signal), Some(token));
        for end in 0..signal.len() {
            assert_eq!(Token::of_signal(&signal[..end]), None);
        }
        let named = token.to_signal_by(NodeId(0x1234));
        assert!(Token::is_signal(&named));
        assert_eq!(Token::of_signal(&named), None, "an older node ignores it");
        assert_eq!(Token::of_signal_by(&named), Some((token, NodeId(0x1234))));
        for end in 0..named.len() {
            assert_eq!(Token::of_signal_by(&named[..end]), None);
        }
        for digits in ["+0112233445566778899aabbccddeeff", "g0112233445566778899aabbccddeeff"] {
            let garbled = format!("{{\"relay\":\"{digits}\"}}");
            assert_eq!(Token::of_signal(garbled.as_bytes()), None, "{digits}");
        }
        assert!(!Token::is_signal(b"{\"type\":\"offer\",\"sdp\":\"v=0\"}"));
    }

    #[test]
    fn frames_come_out_as_they_went_in() {
        let message =
            Bytes::copy_from_slice(relay_data(kind::RELAY_DATA, u64::MAX - 1, b"frame").bytes());
        assert_eq!(decode_relay_data(&message), Ok((u64::MAX - 1, Bytes::from_static(b"frame"))));
        for end in 0..9 {
            assert_eq!(decode_relay_data(&message.slice(..end)), Err(Misbehaved::BadMessage));
        }
        assert_eq!(decode_relay_data(&message.slice(..9)), Ok((u64::MAX - 1, Bytes::new())));
    }
}
