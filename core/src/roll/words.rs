//! Standings and reasons in one word each, the same in every host.
use super::{Reason, Standing, Target};
use crate::id::{CertificateId, PeerId};
use std::fmt;
use std::str::FromStr;

impl Standing {
    /// `member`, `expired` or `revoked`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Expired => "expired",
            Self::Revoked { .. } => "revoked",
        }
    }
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Unspecified,
        Self::KeyLost,
        Self::Misconduct,
        Self::Left,
        Self::Superseded,
        Self::UsedUp,
        Self::HandedOver,
    ];

    /// `unspecified`, `key-lost`, `misconduct`, `left`, `superseded`, `used-up` or `handed-over`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyLost => "key-lost",
            Self::Misconduct => "misconduct",
            Self::Left => "left",
            Self::Superseded => "superseded",
            Self::UsedUp => "used-up",
            Self::HandedOver => "handed-over",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Text that is not a reason which people give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a reason: expected unspecified, key-lost, misconduct or left")]
pub struct ParseReasonError;

impl FromStr for Reason {
    type Err = ParseReasonError;

    /// Reads what people give; the other reasons come about by themselves.
    fn from_str(text: &str) -> Result<Self, ParseReasonError> {
        let given = [Self::Unspecified, Self::KeyLost, Self::Misconduct, Self::Left];
        given.into_iter().find(|reason| reason.word() == text).ok_or(ParseReasonError)
    }
}

impl From<PeerId> for Target {
    fn from(peer: PeerId) -> Self {
        Self::Peer(peer)
    }
}

impl From<CertificateId> for Target {
    fn from(certificate: CertificateId) -> Self {
        Self::Certificate(certificate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_what_people_give_are_read_back_and_no_others() {
        for reason in Reason::ALL {
            let own = matches!(reason, Reason::Superseded | Reason::UsedUp | Reason::HandedOver);
            let expected = if own { Err(ParseReasonError) } else { Ok(reason) };
            assert_eq!(reason.word().parse(), expected, "{reason}");
        }
        assert_eq!("Left".parse::<Reason>(), Err(ParseReasonError));
    }
}
