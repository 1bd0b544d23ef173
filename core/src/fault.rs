//! The faults that a peer can commit.
use crate::record::BadRecord;

/// How a peer broke the protocol. Costs that peer its link and nobody else anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Misbehaved {
    /// A frame that is empty, longer than the limit, or of an unknown kind.
    BadFrame,
    /// A message longer than its state allows.
    MessageTooLong,
    /// A message that cannot be decoded.
    BadMessage,
    /// A message that the state of its link or graph does not allow.
    Unexpected,
    /// A handshake message that Noise rejects, a forged frame included.
    Handshake,
    /// An identity certificate that does not hold.
    IdentityCertificate,
    /// An identity that did not sign this handshake.
    IdentityProof,
    /// Membership certificates that do not hold for the group or the identity.
    Membership,
    /// A connection signal that the node which it comes from did not sign.
    Signal,
    /// A broadcast that the member which it names did not sign.
    Broadcast,
    /// More of a direct link than its other end has room for, or frames out of their order.
    Credit,
    /// A record that breaks a rule.
    Record(BadRecord),
    /// More or larger items than a message may carry.
    TooMuch,
    /// A sync message that contradicts itself.
    Sync,
    /// A redemption that does not prove the invitation.
    Redemption,
    /// More messages, or more records that are of no use, than anybody has reason to send.
    Excess,
}
