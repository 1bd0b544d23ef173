//! Certificates.
use bytes::Bytes;

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Publishes and reads.
    Member,
    /// Also lets members in.
    Inviting,
    /// Also lets anybody in, and changes others' records.
    Administrator,
}

/// An X.509 certificate in DER.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Bytes,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certificate({} bytes)", self.der.len())
    }
}

/// Why a certificate or chain does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertError {
    /// Not a certificate of our profile.
    #[error("not a certificate of the expected form")]
    Encoding,
}
