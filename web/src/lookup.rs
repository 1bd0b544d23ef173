//! The lookup of nodes: fetches the description that a node's URL leads to.
//!
//! When, how often, and what follows from it is the core's matter.
use crate::browser::{self, Body, Response, set};
use futures::channel::oneshot;
use js_sys::{Array, JSON, Object, Reflect, Uint8Array};
use peergraph_core::io::LookupFault;
use peergraph_core::node_url::NodeUrl;
use peergraph_core::sorted::SortedMap;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};

/// Time for a whole lookup. Milliseconds. Guess.
const LOOKUP_MS_MAX: f64 = 10_000.0;
/// Bytes of a node's description. Guess: eight addresses are under 3 KiB.
const DESCRIPTION_BYTES_MAX: usize = 64 * 1024;

/// Look-ups that are begun before there is a node to ask for them: it reads its identity and store meanwhile. By URL.
#[derive(Default)]
pub(crate) struct Early(SortedMap<String, oneshot::Receiver<Found>>);

type Found = Result<Vec<String>, LookupFault>;

impl Early {
    /// Begins to look up these nodes, as far as they are looked up at all.
    pub(crate) fn begin(nodes: &[NodeUrl]) -> Self {
        let begin = |url: String| {
            let (sender, found) = oneshot::channel();
            let asked = url.clone();
            spawn_local(async move {
                // Nobody waits if the opening failed.
                let _ = sender.send(look_up(&asked).await);
            });
            (url, found)
        };
        Self(nodes.iter().filter_map(NodeUrl::description).map(begin).collect())
    }

    /// The result of a look-up: one that is under way, once, or else a new one.
    pub(crate) fn take(&mut self, url: String) -> impl Future<Output = Found> + use<> {
        let early = self.0.remove(&url);
        async move {
            match early {
                Some(found) => found.await.unwrap_or(Err(LookupFault::Unreachable)),
                None => look_up(&url).await,
            }
        }
    }
}

/// Fetches a description once. Answers the addresses that it names, as they stand there.
async fn look_up(url: &str) -> Result<Vec<String>, LookupFault> {
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
    // The browser follows redirects; one to where anybody on the way can answer is not believed.
    if url.starts_with("https:") && !answer.url().starts_with("https:") {
        return Err(LookupFault::Unreachable);
    }
    let body = answer.body().ok_or(LookupFault::NotANode)?;
    let bytes = read_bytes(&body).await?;
    let text = String::from_utf8(bytes).ok();
    text.and_then(|text| read(&text)).ok_or(LookupFault::NotANode)
}

/// All bytes of a body, if they are not too many: a stranger sends them.
async fn read_bytes(body: &Body) -> Result<Vec<u8>, LookupFault> {
    let reader = body.reader().map_err(|error| fault(&error))?;
    let mut bytes = Vec::new();
    loop {
        let piece = JsFuture::from(reader.read()).await.map_err(|error| fault(&error))?;
        let value = Reflect::get(&piece, &"value".into()).unwrap_or(JsValue::UNDEFINED);
        let Ok(value) = value.dyn_into::<Uint8Array>() else { return Ok(bytes) };
        if bytes.len() + value.length() as usize > DESCRIPTION_BYTES_MAX {
            // Whether it ends well is of no interest: nothing more is read.
            let _ = reader.cancel();
            return Err(LookupFault::NotANode);
        }
        bytes.extend(value.to_vec());
    }
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
