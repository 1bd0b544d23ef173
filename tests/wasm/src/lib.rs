//! The parts of core that tests in a page need and cannot have of the package.
//!
//! Signatures of records are checked in a page, as core does it and as plain `ed25519-dalek` does:
//! the page (`tests/web/verify.test.mjs`) measures, and gives the same signatures to WebCrypto. The
//! secrets of a store are opened: the page (`tests/web/secrets.test.mjs`) looks for them where they
//! must not be.
use ed25519_batch::{Signature, VerifyingKey, verify_batch};
use peergraph_core::identity::{Domain, Identity};
use peergraph_core::stored::StoredGroup;
use peergraph_core::time::WallTime;
use peergraph_core::verify::{Claim, verify_all};
use wasm_bindgen::prelude::*;

/// Bytes of a message. Guess: a line of chat in its record.
const MESSAGE_BYTES: usize = 300;

/// Genuine signatures by several authors.
#[wasm_bindgen]
pub struct Signatures {
    claims: Vec<Claim>,
    messages: Vec<Vec<u8>>,
    signatures: Vec<Signature>,
    keys: Vec<VerifyingKey>,
}

#[wasm_bindgen]
impl Signatures {
    /// So many by so many authors in turn.
    #[wasm_bindgen(constructor)]
    pub fn new(count: u32, authors: u8) -> Self {
        let now = WallTime(1_800_000_000_000);
        let author =
            |number| Identity::generate([number; 32], [1; 16], "author", now).expect("a good name");
        let authors: Vec<Identity> = (0..authors).map(author).collect();
        let claim = |(number, author): (u32, &Identity)| {
            let message = [&number.to_le_bytes()[..], &[b'.'; MESSAGE_BYTES]].concat();
            let signature = author.sign(Domain::Record, &message);
            Claim::new(&author.public_key(), Domain::Record.message(&message), signature)
        };
        let claims: Vec<Claim> = (0..count).zip(authors.iter().cycle()).map(claim).collect();
        let key = |claim: &Claim| VerifyingKey::from_bytes(claim.key()).expect("a key");
        Self {
            messages: claims.iter().map(|claim| claim.message().to_vec()).collect(),
            signatures: claims.iter().map(|claim| Signature::from(*claim.signature())).collect(),
            keys: claims.iter().map(key).collect(),
            claims,
        }
    }

    /// As core checks them: so many at a time.
    pub fn ours(&self, portion: usize) -> bool {
        self.claims.chunks(portion.max(1)).all(|claims| verify_all(claims).is_ok())
    }

    /// `ed25519-dalek`, one by one, strictly.
    pub fn plain_single(&self) -> bool {
        let all = self.keys.iter().zip(&self.messages).zip(&self.signatures);
        all.into_iter()
            .all(|((key, message), signature)| key.verify_strict(message, signature).is_ok())
    }

    /// `ed25519-dalek`, all at once.
    pub fn plain_many(&self) -> bool {
        let messages: Vec<&[u8]> = self.messages.iter().map(|message| &message[..]).collect();
        verify_batch(&messages, &self.signatures, &self.keys).is_ok()
    }

    /// Key, message and signature of one, for others to check.
    pub fn key(&self, number: usize) -> Vec<u8> {
        self.claims[number].key().to_vec()
    }

    /// The signed message.
    pub fn message(&self, number: usize) -> Vec<u8> {
        self.claims[number].message().to_vec()
    }

    /// The signature.
    pub fn signature(&self, number: usize) -> Vec<u8> {
        self.claims[number].signature().to_vec()
    }
}

/// The secret key of an identity that was exported under `password`, as 32 bytes.
#[wasm_bindgen]
pub fn identity_secret(exported: &str, password: &str) -> Result<Vec<u8>, String> {
    let identity = Identity::import(exported, password).map_err(|error| error.to_string())?;
    let bytes = identity.to_bytes();
    // The private form is a map of CBOR in which the key is the first string of 32 bytes.
    let at = bytes.windows(2).position(|it| it == [0x58, 32]).ok_or("no key")?;
    Ok(bytes.get(at + 2..at + 34).ok_or("no key")?.to_vec())
}

/// The secrets of an entry of a store, 32 bytes each, one after another; none if the entry is of no group.
#[wasm_bindgen]
pub fn store_secrets(
    exported: &str,
    password: &str,
    key: &[u8],
    value: &[u8],
) -> Result<Vec<u8>, String> {
    let identity = Identity::import(exported, password).map_err(|error| error.to_string())?;
    let Some(group) = StoredGroup::read(key, value) else { return Ok(Vec::new()) };
    let secrets = group.secrets(&identity).map_err(|error| error.to_string())?;
    Ok(secrets.iter().flat_map(|secret| *secret.bytes).collect())
}
