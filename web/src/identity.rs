//! An identity in this browser: made, sealed, opened. `wallet.rs` keeps the list of them.
//!
//! The key is kept encrypted with AES-GCM under a WebCrypto key that scripts can use but not read. The secrets in the
//! store (group keys, what passwords became) are sealed under the identity (`peergraph_core::sealed`), so they have the
//! same protection. Against what that helps, and against what not:
//!
//! * A copy of the databases that a script or an extension made (structured clones of all values) holds no secret: the
//!   WebCrypto key does not go along as bytes. `tests/web/secrets.test.mjs` searches such a copy.
//! * Code that runs in this origin can use the key as this module does. That is what an origin is for: serve pages with a
//!   strict Content-Security-Policy.
//! * **A thief of the profile folder has everything.** Chromium writes the bytes of keys that cannot be exported into the
//!   IndexedDB folder as they are, beside what they encrypt (seen with Chromium 156; the same test). Against that help an
//!   encrypted disk, and the revocation of the stolen membership.
//! * While a peer is open its key is in the memory of the page. Memory that Rust held is wiped when it is dropped; copies that
//!   the browser made of JavaScript's buffers are not ours to wipe.
//!
//! Stored as `{ version: 1, key: CryptoKey, nonce: 12 bytes, sealed: ArrayBuffer }`, and what `wallet.rs` adds.
use crate::browser;
use crate::failure::Failure;
use crate::host::wall;
use js_sys::{Array, Object, Promise, Reflect, Uint8Array};
use peergraph_core::identity::Identity;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use zeroize::Zeroizing;

/// Version of the stored object.
const VERSION: f64 = 1.0;
/// Bytes of an AES-GCM nonce.
const NONCE_BYTES: usize = 12;

/// Makes a new identity. Not stored yet. `classifier` may be empty.
pub(crate) fn generate(name: &str, classifier: &str) -> Result<Identity, Failure> {
    let secret = Zeroizing::new(random()?);
    reissue(&Identity::generate(secret, random()?, name, wall())?, name, classifier)
}

/// The same key under another name.
pub(crate) fn reissue(
    identity: &Identity,
    name: &str,
    classifier: &str,
) -> Result<Identity, Failure> {
    Ok(identity.reissue(name, classifier, random()?, wall())?)
}

/// The identity, encrypted under a password.
pub(crate) fn export(identity: &Identity, password: &str) -> Result<String, Failure> {
    Ok(identity.export(password, random()?))
}

pub(crate) fn random<const BYTES: usize>() -> Result<[u8; BYTES], Failure> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|_| Failure::internal("no randomness"))?;
    Ok(bytes)
}

/// The stored form of an identity.
pub(crate) async fn seal(identity: &Identity) -> Result<JsValue, JsValue> {
    let nonce: [u8; NONCE_BYTES] = random()?;
    let algorithm = Object::new();
    browser::set(&algorithm, "name", &"AES-GCM".into());
    browser::set(&algorithm, "length", &256.into());
    let usages: Array = [JsValue::from("encrypt"), "decrypt".into()].into_iter().collect();
    let key = wait(browser::generate_key(&algorithm, false, &usages)?).await?;
    let nonce = Uint8Array::from(nonce.as_slice());
    let bytes = identity.to_bytes();
    let sealed = wait(browser::encrypt(&aes_gcm(&nonce), &key, &bytes)?).await?;
    let stored = Object::new();
    browser::set(&stored, "version", &VERSION.into());
    browser::set(&stored, "key", &key);
    browser::set(&stored, "nonce", &nonce);
    browser::set(&stored, "sealed", &sealed);
    Ok(stored.into())
}

/// Opens what [`seal`] made.
pub(crate) async fn open(stored: &JsValue) -> Result<Identity, JsValue> {
    let get = |name: &str| Reflect::get(stored, &name.into());
    if get("version")?.as_f64() != Some(VERSION) {
        return Err("another version".into());
    }
    let nonce = Uint8Array::new(&get("nonce")?);
    let opened = wait(browser::decrypt(&aes_gcm(&nonce), &get("key")?, &get("sealed")?)?).await?;
    let opened = Uint8Array::new(&opened);
    let bytes = Zeroizing::new(opened.to_vec());
    opened.fill(0, 0, opened.length());
    Identity::from_bytes(&bytes).map_err(|_| "damaged".into())
}

fn aes_gcm(nonce: &Uint8Array) -> Object {
    let algorithm = Object::new();
    browser::set(&algorithm, "name", &"AES-GCM".into());
    browser::set(&algorithm, "iv", nonce);
    algorithm
}

async fn wait(promise: Promise) -> Result<JsValue, JsValue> {
    JsFuture::from(promise).await
}
