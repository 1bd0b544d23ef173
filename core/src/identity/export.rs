//! The password-protected form of an identity.
//!
//! A block of text armour, label `PEERGRAPH IDENTITY`. Its bytes are a CBOR map and a check sum:
//!
//! | key | what |
//! |---|---|
//! | 0 | version, 1 |
//! | 1, 2, 3 | Argon2id: KiB of memory, passes, lanes |
//! | 4 | salt, 16 bytes |
//! | 5 | nonce, 24 bytes |
//! | 6 | XChaCha20-Poly1305 of the identity's private form; keys 0–5 are authenticated with it |
//!
//! The check sum, the first 8 bytes of SHA-256 of the map, tells damage from a wrong password. It is over what
//! the file shows anyway, and helps nobody to guess.
use super::IdentityError;
use crate::cbor;
use crate::cert::pem::{self, PemError};
use crate::limits::CERTIFICATE_BYTES_MAX;
use crate::stretch::Cost;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use minicbor::bytes::{ByteArray, ByteVec};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

const LABEL: &str = "PEERGRAPH IDENTITY";
const VERSION: u32 = 1;
const CHECK_BYTES: usize = 8;

/// Most memory that a file may ask for. KiB. Guess: a browser tab can still allocate it.
const MEMORY_KIB_MAX: u32 = 128 * 1024;
/// Most passes that a file may ask for. Guess: some seconds with the most memory.
const PASSES_MAX: u32 = 8;
/// Most lanes that a file may ask for. Guess.
const LANES_MAX: u32 = 4;
/// Bytes of a whole file. The rest of it is far smaller than a certificate may be.
const FILE_BYTES_MAX: usize = CERTIFICATE_BYTES_MAX + 1024;

#[derive(minicbor::Encode, minicbor::Decode)]
#[cbor(map)]
struct File {
    #[n(0)]
    version: u32,
    #[n(1)]
    memory_kib: u32,
    #[n(2)]
    passes: u32,
    #[n(3)]
    lanes: u32,
    #[n(4)]
    salt: ByteArray<16>,
    #[n(5)]
    nonce: ByteArray<24>,
    #[n(6)]
    sealed: Option<ByteVec>,
}

/// Reads the version alone, so that a later release may change everything else.
#[derive(minicbor::Decode)]
#[cbor(map)]
struct Version {
    #[n(0)]
    version: u32,
}

impl File {
    fn bytes(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// The authenticated part beside the sealed bytes: the file without them.
    fn header(&self) -> Vec<u8> {
        Self { sealed: None, ..*self }.bytes()
    }

    fn cipher(&self, password: &str) -> Result<XChaCha20Poly1305, IdentityError> {
        let Self { memory_kib, passes, lanes, salt, .. } = *self;
        PasswordKey { memory_kib, passes, lanes, salt: *salt }.cipher(password)
    }
}

/// How a key is made of a password.
pub(crate) struct PasswordKey {
    pub(crate) memory_kib: u32,
    pub(crate) passes: u32,
    pub(crate) lanes: u32,
    pub(crate) salt: [u8; 16],
}

impl PasswordKey {
    /// The costs that we ask for, with a salt that the caller has to replace.
    pub(crate) const COSTS: Self = {
        let Cost { memory_kib, passes, lanes } = Cost::USUAL;
        Self { memory_kib, passes, lanes, salt: [0; 16] }
    };

    /// Derives the key. Slow on purpose.
    pub(crate) fn cipher(&self, password: &str) -> Result<XChaCha20Poly1305, IdentityError> {
        let Self { memory_kib, passes, lanes, salt } = *self;
        if memory_kib > MEMORY_KIB_MAX || passes > PASSES_MAX || lanes > LANES_MAX {
            return Err(IdentityError::TooCostly);
        }
        let cost = Cost { memory_kib, passes, lanes };
        let key = cost.key(password.as_bytes(), &salt).ok_or(IdentityError::Damaged)?;
        Ok(XChaCha20Poly1305::new(&Key::from(*key)))
    }
}

/// Seals the private form of an identity under `password`.
pub(super) fn seal(identity: &[u8], password: &str, random: [u8; 40]) -> String {
    let [salt, nonce] = [&random[..16], &random[16..]];
    let Cost { memory_kib, passes, lanes } = Cost::USUAL;
    let mut file = File {
        version: VERSION,
        memory_kib,
        passes,
        lanes,
        salt: <[u8; 16]>::try_from(salt).expect("16 of 40 bytes").into(),
        nonce: <[u8; 24]>::try_from(nonce).expect("24 of 40 bytes").into(),
        sealed: None,
    };
    let cipher = file.cipher(password).expect("our own parameters are allowed");
    let payload = Payload { msg: identity, aad: &file.header() };
    let sealed = cipher.encrypt(&XNonce::from(*file.nonce), payload);
    file.sealed = Some(sealed.expect("an identity is far below the limit of the cipher").into());
    let mut bytes = file.bytes();
    bytes.extend(check(&bytes));
    pem::encode(LABEL, &bytes)
}

/// Opens what [`seal`] made.
pub(super) fn open(text: &str, password: &str) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
    let bytes = pem::decode(LABEL, text, FILE_BYTES_MAX).map_err(|error| match error {
        PemError::Missing => IdentityError::NotAnIdentity,
        PemError::Damaged => IdentityError::Damaged,
    })?;
    let (map, sum) = bytes.split_last_chunk::<CHECK_BYTES>().ok_or(IdentityError::Damaged)?;
    if check(map) != *sum {
        return Err(IdentityError::Damaged);
    }
    let Version { version } = minicbor::decode(map).map_err(|_| IdentityError::Damaged)?;
    if version != VERSION {
        return Err(IdentityError::Version);
    }
    let file: File = minicbor::decode(map).map_err(|_| IdentityError::Damaged)?;
    let sealed = file.sealed.as_ref().ok_or(IdentityError::Damaged)?;
    let payload = Payload { msg: sealed, aad: &file.header() };
    let opened = file.cipher(password)?.decrypt(&XNonce::from(*file.nonce), payload);
    opened.map(Zeroizing::new).map_err(|_| IdentityError::WrongPassword)
}

fn check(map: &[u8]) -> [u8; CHECK_BYTES] {
    let hash: [u8; 32] = Sha256::digest(map).into();
    *hash.first_chunk().expect("8 of 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A text whose check sum holds, whatever the file says.
    fn armoured(file: &File) -> String {
        let mut bytes = file.bytes();
        bytes.extend(check(&bytes));
        pem::encode(LABEL, &bytes)
    }

    fn file(memory_kib: u32, passes: u32, lanes: u32) -> File {
        let (salt, nonce) = ([1; 16].into(), [2; 24].into());
        let sealed = Some(vec![0; 64].into());
        File { version: VERSION, memory_kib, passes, lanes, salt, nonce, sealed }
    }

    #[test]
    fn parameters_that_cost_too_much_are_refused_unopened() {
        for (memory_kib, passes, lanes) in [
            (MEMORY_KIB_MAX + 1, 1, 1),
            (u32::MAX, 1, 1),
            (8, PASSES_MAX + 1, 1),
            (8, 1, LANES_MAX + 1),
            (u32::MAX, u32::MAX, u32::MAX),
        ] {
            let text = armoured(&file(memory_kib, passes, lanes));
            assert_eq!(open(&text, "p"), Err(IdentityError::TooCostly));
        }
        for (memory_kib, passes, lanes) in [(0, 1, 1), (8, 0, 1), (8, 1, 0)] {
            let text = armoured(&file(memory_kib, passes, lanes));
            assert_eq!(open(&text, "p"), Err(IdentityError::Damaged));
        }
    }

    #[test]
    fn weaker_parameters_do_not_open_what_was_sealed_with_others() {
        let text = seal(b"secret", "p", [7; 40]);
        assert_eq!(open(&text, "p").unwrap().as_slice(), b"secret");
        let bytes = pem::decode(LABEL, &text, FILE_BYTES_MAX).unwrap();
        let mut file: File = minicbor::decode(&bytes[..bytes.len() - CHECK_BYTES]).unwrap();
        file.memory_kib = 8;
        assert_eq!(open(&armoured(&file), "p"), Err(IdentityError::WrongPassword));
    }

    #[test]
    fn later_versions_are_told_apart() {
        let mut later = file(8, 1, 1);
        later.version = 2;
        assert_eq!(open(&armoured(&later), "p"), Err(IdentityError::Version));
    }

    proptest! {
        #[test]
        fn any_file_with_a_check_sum_opens_or_fails(
            bytes in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let bytes = [&bytes[..], &check(&bytes)].concat();
            prop_assert!(open(&pem::encode(LABEL, &bytes), "p").is_err());
        }
    }
}
