//! The identity of this browser, kept beside its records.
//!
//! The key is kept encrypted with AES-GCM under a WebCrypto key that scripts can use but not read, so that a
//! copy of the database made by a script, or read from another profile's folder by accident, is not the
//! identity. Code that runs in this origin can still use it: that is what the origin is for.
//!
//! Stored as `{ version: 1, key: CryptoKey, nonce: 12 bytes, sealed: ArrayBuffer }` under `identity`.
use crate::browser;
use crate::convert::Failure;
use crate::host::wall;
use crate::store::Store;
use js_sys::{Array, Object, Promise, Reflect, Uint8Array};
use peergraph_core::error::Error;
use peergraph_core::identity::Identity;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use zeroize::Zeroizing;

/// Its place in the store.
const PLACE: &str = "identity";
/// Version of the stored object.
const VERSION: f64 = 1.0;
/// Bytes of an AES-GCM nonce.
const NONCE_BYTES: usize = 12;

/// The stored identity, if there is one.
pub(crate) async fn load(store: &Store) -> Result<Option<Identity>, Failure> {
    let stored = store.own(PLACE).await.map_err(|_| Failure::unreadable())?;
    if stored.is_undefined() {
        return Ok(None);
    }
    let opened = open(&stored).await.map_err(|_| Failure::unreadable())?;
    Identity::from_bytes(&opened).map(Some).map_err(|_| Failure::unreadable())
}

/// Makes a new identity. Not stored yet.
pub(crate) fn generate(name: &str) -> Result<Identity, Failure> {
    let (mut secret, mut serial) = (Zeroizing::new([0; 32]), [0; 16]);
    let filled = getrandom::fill(&mut *secret).and_then(|()| getrandom::fill(&mut serial));
    filled.map_err(|_| Failure::internal("no randomness"))?;
    Identity::generate(*secret, serial, name, wall()).map_err(|_| Error::BadName.into())
}

/// Stores an identity. Done when durable.
pub(crate) async fn save(store: &Store, identity: &Identity) -> Result<(), Failure> {
    let bytes = identity.to_bytes();
    let sealed = seal(&bytes).await.map_err(|_| Failure::internal("WebCrypto failed"))?;
    store.set_own(PLACE, &sealed).await.map_err(|fault| Error::Store(fault).into())
}

async fn seal(bytes: &[u8]) -> Result<JsValue, JsValue> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|_| "no randomness")?;
    let algorithm = Object::new();
    browser::set(&algorithm, "name", &"AES-GCM".into());
    browser::set(&algorithm, "length", &256.into());
    let usages: Array = [JsValue::from("encrypt"), "decrypt".into()].into_iter().collect();
    let key = wait(browser::generate_key(&algorithm, false, &usages)?).await?;
    let nonce = Uint8Array::from(nonce.as_slice());
    let sealed = wait(browser::encrypt(&aes_gcm(&nonce), &key, bytes)?).await?;
    let stored = Object::new();
    browser::set(&stored, "version", &VERSION.into());
    browser::set(&stored, "key", &key);
    browser::set(&stored, "nonce", &nonce);
    browser::set(&stored, "sealed", &sealed);
    Ok(stored.into())
}

async fn open(stored: &JsValue) -> Result<Zeroizing<Vec<u8>>, JsValue> {
    let get = |name: &str| Reflect::get(stored, &name.into());
    if get("version")?.as_f64() != Some(VERSION) {
        return Err("another version".into());
    }
    let nonce = Uint8Array::new(&get("nonce")?);
    let opened = wait(browser::decrypt(&aes_gcm(&nonce), &get("key")?, &get("sealed")?)?).await?;
    let opened = Uint8Array::new(&opened);
    let bytes = Zeroizing::new(opened.to_vec());
    opened.fill(0, 0, opened.length());
    Ok(bytes)
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
