//! The lookup of nodes: fetches the description that a node's URL leads to.
//!
//! When, how often, and what follows from it is the core's matter.
use crate::browser::{self, Response, set};
use js_sys::{Array, JSON, Object, Reflect};
use peergraph_core::io::LookupFault;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

/// Time for a whole lookup. Milliseconds. Guess.
const LOOKUP_MS_MAX: f64 = 10_000.0;
/// Characters of a node's description. Guess: eight addresses are under 3 KiB.
const DESCRIPTION_CHARS_MAX: usize = 64 * 1024;

/// Fetches a description once. Answers the addresses that it names, as they stand there.
pub(crate) async fn look_up(url: &str) -> Result<Vec<String>, LookupFault> {
    let options = Object::new();
    set(&options, "cache", &"no-store".into());
    set(&options, "credentials", &"omit".into());
    set(&options, "signal", &browser::abort_after(LOOKUP_MS_MAX));
    let promise = browser::fetch(url, &options).map_err(|error| fault(&error))?;
    let answer = JsFuture::from(promise).await.map_err(|error| fault(&error))?;
    let answer: Response = answer.unchecked_into();
    if answer.status() != 200 {
        return Err(LookupFault::Status(answer.status()));
    }
    let text = JsFuture::from(answer.text()).await.map_err(|error| fault(&error))?;
    let text = text.as_string().filter(|text| text.len() <= DESCRIPTION_CHARS_MAX);
    text.and_then(|text| read(&text)).ok_or(LookupFault::NotANode)
}

fn fault(error: &JsValue) -> LookupFault {
    match browser::error_name(error).as_str() {
        "TimeoutError" | "AbortError" => LookupFault::Timeout,
        _ => LookupFault::Unreachable,
    }
}

/// The addresses of a description. Members that are not known are skipped.
fn read(text: &str) -> Option<Vec<String>> {
    let description = JSON::parse(text).ok()?;
    let version = Reflect::get(&description, &"version".into()).ok()?;
    if version.as_f64() != Some(1.0) {
        return None;
    }
    let addresses = Reflect::get(&description, &"addresses".into()).ok()?;
    let addresses: Array = addresses.dyn_into().ok()?;
    Some(addresses.iter().filter_map(|address| address.as_string()).collect())
}
