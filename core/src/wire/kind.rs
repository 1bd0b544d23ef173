//! Kinds of message. Those from [`FIRST_OF_GRAPH`] on carry a slot.
use super::{PART, WHOLE};

pub(crate) const PING: u8 = 1;
pub(crate) const PONG: u8 = 2;
pub(crate) const SIT: u8 = 10;
pub(crate) const SEATS: u8 = 11;
pub(crate) const CARRY: u8 = 12;
pub(crate) const RISE: u8 = 13;
pub(crate) const FIRST_OF_GRAPH: u8 = 32;
pub(crate) const OPEN: u8 = 32;
pub(crate) const OPENED: u8 = 33;
pub(crate) const NOT_OPENED: u8 = 34;
pub(crate) const CONNECT: u8 = 35;
pub(crate) const WELCOME: u8 = 36;
pub(crate) const REFUSE: u8 = 37;
pub(crate) const DISCONNECT: u8 = 38;
pub(crate) const REDEEM: u8 = 39;
pub(crate) const GRANTED: u8 = 40;
pub(crate) const NOT_GRANTED: u8 = 41;
pub(crate) const FLOOD: u8 = 42;
pub(crate) const ACK: u8 = 43;
pub(crate) const SYNC: u8 = 44;
pub(crate) const WANT: u8 = 45;
pub(crate) const SYNC_END: u8 = 46;
pub(crate) const SIGNAL: u8 = 47;
pub(crate) const GIVEN: u8 = 48;
pub(crate) const ANNOUNCE: u8 = 49;
pub(crate) const REQUEST: u8 = 50;
pub(crate) const BEAT: u8 = 56;
pub(crate) const ASK_PASSWORD: u8 = 57;
pub(crate) const ANSWER_PASSWORD: u8 = 58;
pub(crate) const PROVE_PASSWORD: u8 = 59;
pub(crate) const DECLINE: u8 = 60;
pub(crate) const LOOK: u8 = 61;
pub(crate) const SHOWN: u8 = 62;

/// A message that names no record is shorter: its kind, a slot, the short id of one.
const RECORD_NAMED_BYTES: usize = 1 + 2 + 8;

/// Whether there are as many messages like this as there are records, or steps of a sync.
pub(crate) fn is_bulk(message: &[u8]) -> bool {
    let &[kind, ..] = message else { return false };
    matches!(kind, FLOOD | ACK | ANNOUNCE | REQUEST | DECLINE | SYNC | WANT | GIVEN | SYNC_END)
        && message.len() >= RECORD_NAMED_BYTES
}

/// What an unsealed frame carries, for statistics: whether it is (the beginning of) a flood.
pub fn carries_records(frame: &[u8]) -> bool {
    matches!(frame, [WHOLE | PART, FLOOD, ..])
}

/// What a kind of message is called, for statistics.
pub fn kind_name(kind: u8) -> &'static str {
    match kind {
        PING => "ping",
        PONG => "pong",
        SIT => "sit",
        SEATS => "seats",
        CARRY => "carry",
        RISE => "rise",
        OPEN => "open",
        OPENED => "opened",
        NOT_OPENED => "not_opened",
        CONNECT => "connect",
        WELCOME => "welcome",
        REFUSE => "refuse",
        DISCONNECT => "disconnect",
        REDEEM => "redeem",
        GRANTED => "granted",
        NOT_GRANTED => "not_granted",
        FLOOD => "flood",
        ACK => "ack",
        SYNC => "sync",
        WANT => "want",
        SYNC_END => "sync_end",
        SIGNAL => "signal",
        GIVEN => "given",
        ANNOUNCE => "announce",
        REQUEST => "request",
        BEAT => "beat",
        ASK_PASSWORD => "ask password",
        ANSWER_PASSWORD => "answer password",
        PROVE_PASSWORD => "prove password",
        DECLINE => "decline",
        LOOK => "look",
        SHOWN => "shown",
        _ => "other",
    }
}
