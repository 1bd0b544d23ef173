//! Roles of the group itself.
use std::fmt;
use std::str::FromStr;

/// A member's role, which says what it may do. Later ones may do all that earlier ones may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Role {
    /// Publishes and reads.
    Member,
    /// Also lets members in.
    Inviting,
    /// Also lets anybody in, and changes others' records.
    Administrator,
}

impl Role {
    /// Whether a member of this role may issue memberships of `role`. Source: reference 1.7.
    pub const fn may_issue(self, role: Self) -> bool {
        match self {
            Self::Administrator => true,
            Self::Inviting => !matches!(role, Self::Administrator),
            Self::Member => false,
        }
    }

    /// Whether a member of this role may let others in.
    pub const fn may_invite(self) -> bool {
        self.may_issue(Self::Member)
    }

    /// The number that stands for this role in certificates and invitations.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Member => 0,
            Self::Inviting => 1,
            Self::Administrator => 2,
        }
    }

    /// The role of a number.
    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Member),
            1 => Some(Self::Inviting),
            2 => Some(Self::Administrator),
            _ => None,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Member => "member",
            Self::Inviting => "inviting",
            Self::Administrator => "administrator",
        })
    }
}

/// Text that is not a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a role: expected member, inviting or administrator")]
pub struct ParseRoleError;

impl FromStr for Role {
    type Err = ParseRoleError;

    fn from_str(text: &str) -> Result<Self, ParseRoleError> {
        match text {
            "member" => Ok(Self::Member),
            "inviting" => Ok(Self::Inviting),
            "administrator" => Ok(Self::Administrator),
            _ => Err(ParseRoleError),
        }
    }
}

impl<C> minicbor::Encode<C> for Role {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.u8(self.number())?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Role {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let role = Self::from_number(d.u8()?);
        role.ok_or_else(|| minicbor::decode::Error::message("not a role"))
    }
}
