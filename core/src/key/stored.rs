//! The form in which keys are stored in private: a CBOR map of 0 version (1), 1 secret key (32 bytes), 2 certificate (DER;
//! identities only).
use super::KeyPair;
use crate::limits::CERTIFICATE_BYTES_MAX;
use minicbor::bytes::{ByteArray, ByteVec};
use zeroize::{Zeroize as _, Zeroizing};

/// Why bytes or text do not give an identity or group key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Something else altogether.
    #[error("this is not an exported identity")]
    NotAnIdentity,
    /// It was one, and is cut off or changed.
    #[error("this identity is damaged; use another copy")]
    Damaged,
    /// The password does not open it.
    #[error("the password is wrong")]
    WrongPassword,
    /// Written by a later release.
    #[error("this identity was made by a newer version of this program; update it")]
    Version,
    /// It asks for more memory or time than any export of ours, to harm the one who opens it.
    #[error("this identity asks for too much memory or time to be opened")]
    TooCostly,
}

/// Version of the private storage form. Others are refused, so that a downgrade does not lose anything.
const STORED_VERSION: u32 = 1;

/// A key pair as it is stored, with the certificate of an identity.
#[derive(minicbor::Encode, minicbor::Decode)]
#[cbor(map)]
pub(crate) struct Stored {
    #[n(0)]
    version: u32,
    #[n(1)]
    secret: Option<ByteArray<32>>,
    #[n(2)]
    certificate: Option<ByteVec>,
}

impl Drop for Stored {
    fn drop(&mut self) {
        if let Some(secret) = &mut self.secret {
            secret.zeroize();
        }
    }
}

impl Stored {
    pub(crate) fn new(key: &KeyPair, certificate: Option<&[u8]>) -> Self {
        Self {
            version: STORED_VERSION,
            secret: Some((*key.seed()).into()),
            certificate: certificate.map(|der| der.to_vec().into()),
        }
    }

    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // Room for all of it: a buffer that grows leaves copies of the secret behind.
        let room = 64 + self.certificate.as_ref().map_or(0, |certificate| certificate.len());
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        minicbor::encode(self, &mut *bytes).expect("a vector takes every byte");
        debug_assert!(bytes.len() <= room);
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, IdentityError> {
        if bytes.len() > CERTIFICATE_BYTES_MAX + 64 {
            return Err(IdentityError::NotAnIdentity);
        }
        let mut decoder = minicbor::Decoder::new(bytes);
        let stored: Self = decoder.decode().map_err(|_| IdentityError::NotAnIdentity)?;
        if stored.version != STORED_VERSION {
            return Err(IdentityError::Version);
        }
        if decoder.position() != bytes.len() {
            return Err(IdentityError::Damaged);
        }
        Ok(stored)
    }

    pub(crate) fn key(&self) -> Result<KeyPair, IdentityError> {
        let secret = self.secret.as_ref().ok_or(IdentityError::Damaged)?;
        Ok(KeyPair::of(secret))
    }

    /// In DER; of an identity.
    pub(crate) fn certificate(&self) -> Option<&[u8]> {
        self.certificate.as_ref().map(|der| der.as_slice())
    }
}
