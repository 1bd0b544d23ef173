//! Names of kinds of records.
use crate::limits::TYPE_NAME_MAX;
use std::fmt;
use std::sync::Arc;

/// Text that is not the name of a kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a type has 1 to 64 characters of a-z, 0-9, '.', '-', and does not begin with 'peergraph.'"
)]
pub struct ParseTypeError;

/// Name of a kind of record, such as `chat.message`: 1–64 characters of `[a-z0-9.-]`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordType(Arc<str>);

impl RecordType {
    /// Name and settings of the group.
    pub const PROPERTIES: &'static str = "peergraph.properties";
    /// A membership certificate.
    pub const MEMBERSHIP: &'static str = "peergraph.membership";
    /// A node that is there.
    pub const PRESENCE: &'static str = "peergraph.presence";
    /// A node that helps to mend a broken graph.
    pub const CONTACT: &'static str = "peergraph.contact";
    /// An invitation by link or password.
    pub const INVITATION: &'static str = "peergraph.invitation";
    /// Use of an invitation.
    pub const REDEMPTION: &'static str = "peergraph.redemption";
    /// A revocation of a membership.
    pub const REVOCATION: &'static str = "peergraph.revocation";
    /// The act by which the group's own key hands over to another.
    pub const HANDOVER: &'static str = "peergraph.handover";
    /// The offer of a member to be handed over to.
    pub const HEIR: &'static str = "peergraph.heir";

    /// Checks a name. Reserved ones are accepted; see [`is_reserved`](Self::is_reserved).
    ///
    /// # Errors
    /// [`ParseTypeError`] for anything but 1–64 characters of `[a-z0-9.-]`.
    pub fn new(text: &str) -> Result<Self, ParseTypeError> {
        let legal = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'.' || c == b'-';
        if text.is_empty() || text.len() > TYPE_NAME_MAX || !text.bytes().all(legal) {
            return Err(ParseTypeError);
        }
        Ok(Self(text.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether only the core makes such records: the name begins with `peergraph.`.
    pub fn is_reserved(&self) -> bool {
        Self::is_reserved_name(&self.0)
    }

    /// The same of a name that was not checked.
    pub(crate) fn is_reserved_name(name: &str) -> bool {
        name.starts_with("peergraph.")
    }

    /// Whether somebody else holds this very allocation.
    pub(crate) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordType({})", self.0)
    }
}

impl std::borrow::Borrow<str> for RecordType {
    fn borrow(&self) -> &str {
        &self.0
    }
}
