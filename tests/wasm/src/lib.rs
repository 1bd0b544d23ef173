//! Signatures of records checked in a page: as core does it, and as plain `ed25519-dalek` does. The page
//! (`tests/web/verify.test.mjs`) measures, and gives the same signatures to WebCrypto.
use ed25519_batch::{Signature, VerifyingKey, verify_batch};
use peergraph_core::identity::{Domain, Identity};
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

    /// What was signed.
    pub fn message(&self, number: usize) -> Vec<u8> {
        self.claims[number].message().to_vec()
    }

    /// The signature.
    pub fn signature(&self, number: usize) -> Vec<u8> {
        self.claims[number].signature().to_vec()
    }
}
