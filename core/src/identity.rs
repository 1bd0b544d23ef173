//! Identities: keys that never leave this module.

/// An Ed25519 key pair with its self-signed certificate.
pub struct Identity {}
