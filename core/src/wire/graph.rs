//! Messages between neighbours of a graph: opening it on a link, connecting, refusing, disconnecting.
use crate::address::{self, Address};
use crate::id::{Digest, GroupId, NodeId, PeerId};
use hmac::{Hmac, KeyInit as _, Mac as _};
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};
use sha2::Sha256;

/// Asks for a graph on this link; or says that it is there.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Open {
    #[n(0)]
    pub(crate) tag: Digest,
}

/// The time, as the sender takes it. Milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Times {
    /// Its peer time.
    #[n(0)]
    pub(crate) peer_time: u64,
    /// Its own clock, unless that is wrong as far as it can tell.
    #[n(1)]
    pub(crate) clock: Option<u64>,
}

/// Asks to become a neighbour.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Connect {
    /// Membership chain, encoded.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) chain: Vec<u8>,
    /// Where the sender can be dialled.
    #[cbor(n(1), decode_with = "address::decode_known")]
    pub(crate) addresses: Vec<Address>,
    /// Whether the sender has no neighbour: room is made for it.
    #[n(2)]
    pub(crate) lonely: bool,
    /// The graph signature as the sender sees it: room is made for who sees another.
    #[n(3)]
    pub(crate) signature: Option<NodeId>,
    #[n(4)]
    pub(crate) times: Option<Times>,
}

/// Accepts a neighbour.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Welcome {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) chain: Vec<u8>,
    #[cbor(n(1), decode_with = "address::decode_known")]
    pub(crate) addresses: Vec<Address>,
    #[n(2)]
    pub(crate) referrals: Vec<Referral>,
    #[n(3)]
    pub(crate) times: Times,
}

/// Refuses a neighbour, or ends a neighbourhood.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Refuse {
    #[n(0)]
    pub(crate) reason: Reason,
    #[n(1)]
    pub(crate) referrals: Vec<Referral>,
    /// With [`Reason::NotStanding`]: the records that say so.
    #[n(2)]
    pub(crate) proof: Vec<minicbor::bytes::ByteVec>,
    /// With the same: a membership of the other end that stands, in the place of the one that it showed.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub(crate) renewed: Option<Vec<u8>>,
    /// With [`Reason::NotAdmitted`]: for people, at most [`FRIENDLY_NAME_MAX`](limits::FRIENDLY_NAME_MAX) characters.
    #[n(4)]
    pub(crate) why: Option<String>,
    /// The membership of who refuses.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub(crate) chain: Option<Vec<u8>>,
    /// With that membership.
    #[n(6)]
    pub(crate) times: Option<Times>,
    /// With [`Reason::NotStanding`]: the certificates of the group's own keys, if the other end's membership does not name all
    /// of them.
    #[cbor(n(7), with = "minicbor::bytes")]
    pub(crate) line: Option<Vec<u8>>,
}

impl Refuse {
    /// For a reason that says all.
    pub(crate) fn because(reason: Reason, referrals: Vec<Referral>) -> Self {
        Self {
            reason,
            referrals,
            proof: Vec::new(),
            renewed: None,
            why: None,
            chain: None,
            times: None,
            line: None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// As many neighbours as allowed.
    Busy,
    /// The sender closes.
    Leaving,
    /// Too many neighbours, and this one was the least useful.
    LeastUseful,
    /// Another link joins the two nodes already.
    Duplicate,
    /// The other end's membership was revoked, or has ended.
    NotStanding,
    /// The sender's security provider does not let the other end in.
    NotAdmitted,
    /// It cannot say yet.
    PutOff,
    /// A reason that only a later version knows. It is never sent.
    Unknown,
}

impl Reason {
    /// Those that are sent, each in the place of its number.
    pub(crate) const ALL: [Self; 7] = [
        Self::Busy,
        Self::Leaving,
        Self::LeastUseful,
        Self::Duplicate,
        Self::NotStanding,
        Self::NotAdmitted,
        Self::PutOff,
    ];
}

impl<C> Encode<C> for Reason {
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        e.u8(*self as u8)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Reason {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        let place = usize::try_from(d.u64()?).ok();
        Ok(place.and_then(|place| Self::ALL.get(place).copied()).unwrap_or(Self::Unknown))
    }
}

/// A node that one might connect to.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Referral {
    #[n(0)]
    pub(crate) node: NodeId,
    #[n(1)]
    pub(crate) peer: PeerId,
    #[cbor(n(2), decode_with = "address::decode_known")]
    pub(crate) addresses: Vec<Address>,
}

/// The holder of the graph signature lives.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Beat {
    #[n(0)]
    pub(crate) node: NodeId,
    /// Counts from 1 in each edition of its contact record.
    #[n(1)]
    pub(crate) number: u32,
    /// The value that hashes to the beat before.
    #[n(2)]
    pub(crate) value: Digest,
}

/// The tag by which an end of a link shows that it knows the group. An end that does not know the group id learns nothing from
/// it.
pub(crate) fn group_tag(group: GroupId, handshake_hash: &[u8; 32], opener: bool) -> Digest {
    let mut mac = Hmac::<Sha256>::new_from_slice(group.as_bytes()).expect("any length is a key");
    mac.update(if opener { b"peergraph open" } else { b"peergraph opened" });
    mac.update(handshake_hash);
    Digest::from_bytes(mac.finalize().into_bytes().into())
}
