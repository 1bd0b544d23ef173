//! Invitations.

/// What lets somebody join.
#[derive(Clone, Debug)]
pub struct Invitation {}
