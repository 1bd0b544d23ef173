//! The faults that a record can have.
use crate::record_type::ParseTypeError;

/// A fault of a record, ours or another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum BadRecord {
    /// Not 1–64 characters of `[a-z0-9.-]`, or reserved (`peergraph.`).
    #[error("{}", ParseTypeError)]
    Type,
    /// Larger than the group allows.
    #[error("the payload is larger than this group allows")]
    PayloadTooLong,
    /// More attributes, or larger ones, than allowed.
    #[error("too many attributes, or too large ones")]
    TooManyAttributes,
    /// Not 1–40 letters or digits, or a reserved name.
    #[error("an attribute name has 1 to 40 letters and digits and is not reserved")]
    AttributeName,
    /// The id is not bound to its creator and type.
    #[error("the id belongs to another creator")]
    ForeignId,
    /// Not created ≤ modified < expires, or modifier without modification.
    #[error("its times contradict each other")]
    Times,
    /// A deletion with content.
    #[error("a deleted record has no content")]
    DeletedWithContent,
    /// Modified by somebody who may not.
    #[error("its modifier may not change it")]
    Modifier,
    /// Changed by another, without proof that its creator made it.
    #[error("its creator did not make it")]
    Beginning,
    /// Changed by another, and ends at another time than its creator wanted.
    #[error("its modifier may not change when it ends")]
    Life,
    /// Changed by another, and so much larger than what its creator made.
    #[error("its modifier added too much")]
    Growth,
    /// The signature does not hold for this group.
    #[error("its signature does not hold")]
    Signature,
    /// It outlives or predates the certificate that it relies on, or that certificate is another's.
    #[error("the certificate that it relies on does not cover it")]
    Certificate,
    /// Its signer's role does not allow it for records of this type.
    #[error("its signer's role does not allow that for records of this type")]
    Right,
    /// A revocation by somebody who may not revoke that member.
    #[error("its signer may not revoke that member")]
    NotSenior,
    /// A membership that names another issuer than its signer.
    #[error("it is about a membership that its signer did not issue")]
    NotIssuer,
    /// Not the bytes of a record.
    #[error("it cannot be decoded")]
    Encoding,
}

impl From<ParseTypeError> for BadRecord {
    fn from(_: ParseTypeError) -> Self {
        Self::Type
    }
}
