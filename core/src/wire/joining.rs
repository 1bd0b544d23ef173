//! How a newcomer becomes a member: by link or by password, and what an invitation is about.
use super::graph::{Referral, Times};
use crate::id::{PeerPrefix, RecordId};
use crate::key::PublicKey;
use minicbor::{Decode, Decoder, Encode};

/// Redeems a bearer invitation.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Redeem {
    /// Public key of the invitation.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) invitation: Vec<u8>,
    /// By that key, over the group, itself and the sender's peer id.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) proof: Vec<u8>,
    /// By the sender's key, over the same.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) consent: Vec<u8>,
}

/// The answer: a membership.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Granted {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) chain: Vec<u8>,
    #[n(1)]
    pub(crate) times: Option<Times>,
    /// The line of the group's own keys, if the chain does not name all of it.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) line: Option<Vec<u8>>,
}

/// The answer: none.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct NotGranted {
    /// Whether the invitation is at its end; else others may know more.
    #[n(0)]
    pub(crate) over: bool,
    /// Members that could grant it, reachable through this link.
    #[n(1)]
    pub(crate) referrals: Vec<Referral>,
    /// Passwords were tried too often: how long to wait.
    #[n(2)]
    pub(crate) wait_ms: Option<u64>,
    /// Why it is at its end.
    #[n(3)]
    pub(crate) why: Option<Ended>,
    /// The sender's membership chain, encoded. Without it, neither the end nor the wait is believed.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub(crate) chain: Option<Vec<u8>>,
    /// The line of the group's own keys, if that chain does not name all of it.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub(crate) line: Option<Vec<u8>>,
}

/// Why nobody comes by an invitation any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode)]
#[cbor(index_only)]
pub(crate) enum Ended {
    /// Not said, or said by a later version in a way that this one does not know.
    #[n(0)]
    Unspecified,
    /// As many have joined by it as may.
    #[n(1)]
    UsedUp,
    /// Its time is over.
    #[n(2)]
    Expired,
    /// Its maker, or an administrator, took it back.
    #[n(3)]
    Withdrawn,
    /// The newcomer had a membership, which was revoked.
    #[n(4)]
    Revoked,
}

impl<'b, C> Decode<'b, C> for Ended {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Ok(match d.u64()? {
            1 => Self::UsedUp,
            2 => Self::Expired,
            3 => Self::Withdrawn,
            4 => Self::Revoked,
            _ => Self::Unspecified,
        })
    }
}

/// Asks what an invitation is about. See `group/preview.rs`.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Look {
    /// Public key of an invitation by link.
    #[n(0)]
    pub(crate) key: Option<PublicKey>,
    /// Record of one by password.
    #[n(1)]
    pub(crate) id: Option<RecordId>,
    #[n(2)]
    pub(crate) inviter: PeerPrefix,
}

/// The answer.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Shown {
    /// The sender's membership chain, encoded.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) chain: Vec<u8>,
    /// That of who signed the invitation.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) signer: Option<Vec<u8>>,
    /// The invitation, if it is open, and the properties of the group.
    #[n(2)]
    pub(crate) records: Vec<minicbor::bytes::ByteVec>,
    /// How often it was used.
    #[n(3)]
    pub(crate) used: u32,
    /// Whether it was taken back.
    #[n(4)]
    pub(crate) withdrawn: Option<bool>,
    /// The line of the group's own keys, if the chain does not name all of it.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub(crate) line: Option<Vec<u8>>,
}

/// Begins to prove a password. See `password.rs`.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct AskPassword {
    #[n(0)]
    pub(crate) invitation: RecordId,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) message: Vec<u8>,
}

/// The member's half.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct AnswerPassword {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) message: Vec<u8>,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) proof: Vec<u8>,
    /// Shows that the member is one.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) chain: Vec<u8>,
    /// The line of the group's own keys, if that chain does not name all of it.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub(crate) line: Option<Vec<u8>>,
}

/// The newcomer's proof.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct ProvePassword {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) proof: Vec<u8>,
}
