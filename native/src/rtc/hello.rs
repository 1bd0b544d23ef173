//! Strangers that begin a link, and those that go on with one that is no more.
//!
//! A program that is killed says nothing. Another one that begins at its port hears what the other ends of its links
//! still send: checks, with a fragment that fits, as if they dialled. If all their checks were answered they would hold
//! dead links until SCTP gives up, after a minute (measured: 53 and 58 s). So a check is refused once it shows that no
//! handshake will follow: by a packet that only an open link has, or since none has begun in time. A refusal has
//! integrity; it is a STUN error 403, which ends the link at once in Chromium and in our own engine (Firefox was not tried).

use std::time::{Duration, Instant};

/// The handshake of a stranger begins so soon after its first check. Guess: its first packet is lost, and repeated twice.
const HELLO_WITHIN: Duration = Duration::from_secs(3);
/// Record type of DTLS handshakes; their first packets have epoch 0, which is not encrypted. Source: RFC 6347 section 4.1.
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// Whether the handshake of a stranger's link begins, as its packets show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hello {
    /// Its handshake may begin; its first check came then.
    Awaited(Instant),
    /// Its handshake has begun.
    Heard,
    /// It goes on with a link that is not ours.
    Missing,
}

impl Hello {
    /// Another link may get the first packet of the handshake: nothing follows from its absence.
    pub(super) fn may_be_elsewhere(&mut self) {
        if let Self::Awaited(_) = *self {
            *self = Self::Heard;
        }
    }

    /// Takes note of a packet.
    pub(super) fn hear(&mut self, packet: &[u8], now: Instant) {
        let Self::Awaited(since) = *self else { return };
        *self = match packet.first() {
            Some(&HANDSHAKE) if packet.get(3..5) == Some(&[0, 0]) => Self::Heard,
            // The last range is what DTLS 1.3 encrypts.
            Some(&HANDSHAKE | &APPLICATION_DATA | 32..=63) => Self::Missing,
            Some(0..4) if now >= since + HELLO_WITHIN => Self::Missing,
            _ => *self,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record of DTLS 1.2 of this type and epoch.
    fn record(kind: u8, epoch: u8) -> [u8; 14] {
        [kind, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 0, 0, 1, 1]
    }

    #[test]
    fn what_only_an_open_link_has_shows_that_none_begins() {
        let now = Instant::now();
        let (check, late) = ([0, 1, 0, 0], now + HELLO_WITHIN);
        let cases: [(&[&[u8]], Instant, Hello); 8] = [
            (&[&check, &check], now, Hello::Awaited(now)),
            (&[&check], late, Hello::Missing),
            (&[&record(HANDSHAKE, 0)], now, Hello::Heard),
            (&[&record(HANDSHAKE, 0), &record(APPLICATION_DATA, 1)], late, Hello::Heard),
            (&[&record(APPLICATION_DATA, 1)], now, Hello::Missing),
            (&[&record(APPLICATION_DATA, 1), &record(HANDSHAKE, 0)], now, Hello::Missing),
            (&[&record(HANDSHAKE, 1)], now, Hello::Missing),
            (&[&[0x2f, 1, 2]], now, Hello::Missing),
        ];
        for (packets, at, shown) in cases {
            let mut hello = Hello::Awaited(now);
            for packet in packets {
                hello.hear(packet, at);
            }
            assert_eq!(hello, shown, "{packets:?}");
        }
        let mut hello = Hello::Awaited(now);
        hello.may_be_elsewhere();
        hello.hear(&record(APPLICATION_DATA, 1), late);
        assert_eq!(hello, Hello::Heard, "another link may have got its beginning");
    }
}
