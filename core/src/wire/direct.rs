//! Direct links: who asks whom, and the frames of what goes over them.
use super::kind::{self, Kind};
use super::{Message, WHOLE, encode, message};
use crate::fault::Misbehaved;
use crate::id::Digest;
use crate::limits;
use bytes::Bytes;
use minicbor::{Decode, Encode};

/// Asks a member's node for a direct link in a group. The sender knows that its peer is a member, so that the chain tells it
/// nothing new; a repeated question with the same number is the same.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct DirectAsk {
    /// Names the direct link, for the two nodes. Drawn by the one that asks.
    #[n(0)]
    pub(crate) number: u64,
    /// Names the group, see [`group_tag`](super::group_tag).
    #[n(1)]
    pub(crate) tag: Digest,
    /// The membership of the asker.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub(crate) chain: Vec<u8>,
    /// For people and programs at the other end.
    #[n(3)]
    pub(crate) purpose: String,
}

/// Agrees to a direct link.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct DirectAgreed {
    #[n(0)]
    pub(crate) number: u64,
    /// The membership of the one that agrees.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub(crate) chain: Vec<u8>,
}

/// Refuses a direct link, or ends it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct DirectEnd {
    #[n(0)]
    pub(crate) number: u64,
    #[n(1)]
    pub(crate) reason: DirectReason,
    /// The words of the other end's application.
    #[n(2)]
    pub(crate) why: Option<String>,
}

/// Why a direct link is refused, or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DirectReason {
    /// The application closed it.
    Closed,
    /// There is no such group here, or no such direct link.
    Unknown,
    /// The policy of the other end lets in no such member.
    NotAllowed,
    /// The application refuses.
    Declined,
    /// The application did not answer in time.
    NoAnswer,
    /// There are too many already.
    Full,
    /// A membership has ended.
    NotStanding,
    /// The node closes, or leaves the group.
    Leaving,
    /// A later version's.
    Other,
}

impl DirectReason {
    pub(crate) const ALL: [(Self, u8); 8] = [
        (Self::Closed, 0),
        (Self::Unknown, 1),
        (Self::NotAllowed, 2),
        (Self::Declined, 3),
        (Self::NoAnswer, 4),
        (Self::Full, 5),
        (Self::NotStanding, 6),
        (Self::Leaving, 7),
    ];

    fn number(self) -> u8 {
        Self::ALL.iter().find(|(it, _)| *it == self).map_or(u8::MAX, |(_, number)| *number)
    }
}

impl<C> Encode<C> for DirectReason {
    fn encode<W: minicbor::encode::Write>(
        &self,
        encoder: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        encoder.u8(self.number())?;
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for DirectReason {
    fn decode(
        decoder: &mut minicbor::Decoder<'b>,
        _: &mut C,
    ) -> Result<Self, minicbor::decode::Error> {
        let number = decoder.u64()?;
        let known = Self::ALL.iter().find(|(_, it)| u64::from(*it) == number);
        Ok(known.map_or(Self::Other, |(reason, _)| *reason))
    }
}

/// Tells how far the frames of a direct link have come, and how much more each channel may bring. Everything in it grows, so
/// that a later one stands for all earlier ones.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct DirectAck {
    #[n(0)]
    pub(crate) number: u64,
    /// How many frames have come.
    #[n(1)]
    pub(crate) came: u64,
    /// Channels whose credit has grown.
    #[n(2)]
    pub(crate) credits: Vec<DirectCredit>,
    /// Whether the sender has changed to this link and goes on from there: the other end does the same.
    #[n(3)]
    pub(crate) moved: Option<bool>,
}

/// The cost that a channel may bring in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct DirectCredit {
    #[n(0)]
    pub(crate) channel: u32,
    /// Units: a byte, and [`DIRECT_FRAME_COSTS`](limits::DIRECT_FRAME_COSTS) of each frame.
    #[n(1)]
    pub(crate) allowed: u64,
}

/// One frame of a direct link. Frames are numbered; each comes once and in order, over whatever link joins the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DirectFrame {
    /// The direct link.
    pub(crate) number: u64,
    /// Counts its frames in this direction, from 0 on.
    pub(crate) at: u64,
    pub(crate) part: DirectPart,
}

/// The content of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DirectPart {
    pub(crate) channel: u32,
    pub(crate) act: u8,
    pub(crate) body: Bytes,
}

/// Begins a call: a [`DirectOpen`], with the request.
pub(crate) const ACT_CALL: u8 = 0;
/// Begins a stream: a [`DirectOpen`].
pub(crate) const ACT_STREAM: u8 = 1;
/// A [`DirectItem`]: a message, or a response.
pub(crate) const ACT_ITEM: u8 = 2;
/// Bytes of a stream.
pub(crate) const ACT_BYTES: u8 = 3;
/// Nothing more comes on a channel in this direction.
pub(crate) const ACT_END: u8 = 4;
/// The channel is given up, in both directions: a [`DirectReset`].
pub(crate) const ACT_RESET: u8 = 5;

/// A message of an application.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct DirectItem {
    /// Its type; empty in calls.
    #[n(0)]
    pub(crate) kind: String,
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub(crate) payload: Vec<u8>,
    #[n(2)]
    pub(crate) media_type: Option<String>,
    /// Whether only the latest of its type counts.
    #[n(3)]
    pub(crate) latest: Option<bool>,
}

/// The beginning of a call or stream.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct DirectOpen {
    /// Of the call or stream.
    #[n(0)]
    pub(crate) name: String,
    /// How long the caller waits for its end. Milliseconds.
    #[n(1)]
    pub(crate) within: Option<u64>,
    /// The request of a call.
    #[n(2)]
    pub(crate) request: Option<DirectItem>,
}

/// Why a channel is given up.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct DirectReset {
    #[n(0)]
    pub(crate) reason: DirectHalt,
    /// The words of the application.
    #[n(1)]
    pub(crate) why: Option<String>,
}

/// Why a channel is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DirectHalt {
    /// The application wants no more of it, or has failed.
    Cancelled,
    /// Nobody there serves that name.
    NotServed,
    /// Too much waits already.
    Busy,
    /// Its time is over.
    TimedOut,
}

impl<C> Encode<C> for DirectHalt {
    fn encode<W: minicbor::encode::Write>(
        &self,
        encoder: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        encoder.u8(match self {
            Self::Cancelled => 0,
            Self::NotServed => 1,
            Self::Busy => 2,
            Self::TimedOut => 3,
        })?;
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for DirectHalt {
    fn decode(
        decoder: &mut minicbor::Decoder<'b>,
        _: &mut C,
    ) -> Result<Self, minicbor::decode::Error> {
        Ok(match decoder.u64()? {
            1 => Self::NotServed,
            2 => Self::Busy,
            3 => Self::TimedOut,
            _ => Self::Cancelled,
        })
    }
}

impl DirectItem {
    /// Whether nothing in it is too long.
    pub(crate) fn fits(&self) -> bool {
        self.payload.len() <= limits::DIRECT_MESSAGE_BYTES_MAX
            && self.kind.len() <= limits::TYPE_NAME_MAX
            && self.media_type.as_ref().map_or(0, String::len) <= limits::MEDIA_TYPE_MAX
    }
}

impl DirectPart {
    pub(crate) fn of(channel: u32, act: u8, body: &impl Encode<()>) -> Self {
        Self { channel, act, body: encode(body).into() }
    }

    /// The units of credit that it takes.
    pub(crate) fn cost(&self) -> u64 {
        self.body.len() as u64 + limits::DIRECT_FRAME_COSTS
    }
}

/// Encodes a frame: the number of the direct link (8 bytes), its place (8), channel (4) and act (1), then the body.
pub(crate) fn direct_frame(number: u64, at: u64, part: &DirectPart) -> Message {
    let mut bytes = Vec::with_capacity(2 + 21 + part.body.len());
    bytes.extend([WHOLE, kind::DIRECT_FRAME.number()]);
    bytes.extend(number.to_be_bytes());
    bytes.extend(at.to_be_bytes());
    bytes.extend(part.channel.to_be_bytes());
    bytes.push(part.act);
    bytes.extend_from_slice(&part.body);
    Message(bytes.into())
}

/// Takes a frame apart without copying it. `message` is all of it.
pub(crate) fn decode_direct_frame(message: &Bytes) -> Result<DirectFrame, Misbehaved> {
    let body = message.get(1..).ok_or(Misbehaved::BadMessage)?;
    let (number, rest) = body.split_first_chunk().ok_or(Misbehaved::BadMessage)?;
    let (at, rest) = rest.split_first_chunk().ok_or(Misbehaved::BadMessage)?;
    let (channel, rest) = rest.split_first_chunk().ok_or(Misbehaved::BadMessage)?;
    let (&act, rest) = rest.split_first().ok_or(Misbehaved::BadMessage)?;
    if rest.len() > limits::DIRECT_MESSAGE_BYTES_MAX + limits::DIRECT_HEAD_BYTES_MAX {
        return Err(Misbehaved::TooMuch);
    }
    let channel = u32::from_be_bytes(*channel);
    let part = DirectPart { channel, act, body: message.slice_ref(rest) };
    Ok(DirectFrame { number: u64::from_be_bytes(*number), at: u64::from_be_bytes(*at), part })
}

/// Ends a direct link.
pub(crate) fn direct_end(number: u64, reason: DirectReason, why: Option<String>) -> Message {
    message(kind::DIRECT_END, &DirectEnd { number, reason, why })
}

/// Whether a message is about direct links.
pub(crate) const fn is_direct(kind: Kind) -> bool {
    let number = kind.number();
    kind::DIRECT_ASK.number() <= number && number <= kind::DIRECT_ACK.number()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_as_they_were_and_cut_ones_are_none() {
        let item = DirectItem { payload: vec![7; 100], ..DirectItem::default() };
        let part = DirectPart::of(9, ACT_ITEM, &item);
        let message = direct_frame(u64::MAX - 1, 5, &part);
        let message = Bytes::copy_from_slice(message.bytes());
        let read = decode_direct_frame(&message).unwrap();
        assert_eq!(read, DirectFrame { number: u64::MAX - 1, at: 5, part });
        for end in 0..22 {
            let cut = decode_direct_frame(&message.slice(..end));
            assert_eq!(cut, Err(Misbehaved::BadMessage), "{end}");
        }
        let long = limits::DIRECT_MESSAGE_BYTES_MAX + limits::DIRECT_HEAD_BYTES_MAX + 1;
        let part = DirectPart { channel: 0, act: ACT_BYTES, body: vec![0; long].into() };
        let message = Bytes::copy_from_slice(direct_frame(1, 1, &part).bytes());
        assert_eq!(decode_direct_frame(&message), Err(Misbehaved::TooMuch));
    }

    #[test]
    fn reasons_of_later_versions_are_read() {
        for (reason, number) in DirectReason::ALL {
            assert_eq!(encode(&reason), [number]);
            assert_eq!(super::super::decode(&[number]), Ok(reason));
        }
        assert_eq!(super::super::decode(&[0x18, 200]), Ok(DirectReason::Other));
        assert_eq!(super::super::decode(&[0x18, 200]), Ok(DirectHalt::Cancelled));
    }
}
