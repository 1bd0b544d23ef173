//! The pieces of the browser that `web-sys` does not have, or only as unstable ones.
use js_sys::{Function, Object, Promise, Reflect};
use serde::Serialize;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen]
extern "C" {
    /// Web Locks. Undefined on pages that are not secure.
    #[wasm_bindgen(thread_local_v2, js_namespace = navigator, js_name = locks)]
    pub(crate) static LOCKS: Option<LockManager>;

    /// `navigator.locks`.
    #[derive(Clone)]
    pub(crate) type LockManager;

    /// Calls `callback` with the lock, or `null`; the lock is held until what it returns is settled.
    #[wasm_bindgen(method)]
    pub(crate) fn request(
        this: &LockManager,
        name: &str,
        options: &Object,
        callback: &Function,
    ) -> Promise;

    #[wasm_bindgen(catch)]
    pub(crate) fn fetch(url: &str, options: &Object) -> Result<Promise, JsValue>;

    /// The answer to a `fetch`.
    pub(crate) type Response;

    #[wasm_bindgen(method, getter)]
    pub(crate) fn status(this: &Response) -> u16;

    /// After all redirects.
    #[wasm_bindgen(method, getter)]
    pub(crate) fn url(this: &Response) -> String;

    #[wasm_bindgen(method, getter)]
    pub(crate) fn body(this: &Response) -> Option<Body>;

    /// The bytes of an answer, as they come.
    pub(crate) type Body;

    #[wasm_bindgen(method, catch, js_name = getReader)]
    pub(crate) fn reader(this: &Body) -> Result<Reader, JsValue>;

    /// Reads a body piece by piece.
    pub(crate) type Reader;

    /// `{ done, value }`: a `Uint8Array`, or the end.
    #[wasm_bindgen(method)]
    pub(crate) fn read(this: &Reader) -> Promise;

    /// Ends the transfer.
    #[wasm_bindgen(method)]
    pub(crate) fn cancel(this: &Reader) -> Promise;

    #[wasm_bindgen(js_namespace = AbortSignal, js_name = timeout)]
    pub(crate) fn abort_after(ms: f64) -> JsValue;

    /// A database, for the form of `transaction` that takes options.
    pub(crate) type DurableDatabase;

    #[wasm_bindgen(method, catch)]
    pub(crate) fn transaction(
        this: &DurableDatabase,
        store: &str,
        mode: &str,
        options: &Object,
    ) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch, js_namespace = ["crypto", "subtle"], js_name = generateKey)]
    pub(crate) fn generate_key(
        algorithm: &Object,
        extractable: bool,
        usages: &JsValue,
    ) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch, js_namespace = ["crypto", "subtle"])]
    pub(crate) fn encrypt(
        algorithm: &Object,
        key: &JsValue,
        data: &[u8],
    ) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch, js_namespace = ["crypto", "subtle"])]
    pub(crate) fn decrypt(
        algorithm: &Object,
        key: &JsValue,
        data: &JsValue,
    ) -> Result<Promise, JsValue>;

    /// The queue of tasks by priority. Undefined in some browsers.
    #[wasm_bindgen(thread_local_v2, js_name = scheduler)]
    pub(crate) static SCHEDULER: Option<Scheduler>;

    /// `scheduler`.
    #[derive(Clone)]
    pub(crate) type Scheduler;

    /// Calls `callback` when its turn has come.
    #[wasm_bindgen(method, js_name = postTask)]
    pub(crate) fn post_task(this: &Scheduler, callback: &Function, options: &Object) -> Promise;

    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    pub(crate) fn monotonic_ms() -> f64;

    #[wasm_bindgen(js_namespace = console, js_name = error)]
    pub(crate) fn log_error(message: &str, cause: &JsValue);
}

/// Waits for a task of its own. If the browser has no such tasks, it does not wait, and answers so. Timers have them too, but
/// a hidden page has to wait for its timers.
pub(crate) async fn next_task() -> bool {
    let Some(scheduler) = SCHEDULER.with(Clone::clone) else { return false };
    let options = Object::new();
    set(&options, "priority", &"user-visible".into());
    let nothing = Closure::once_into_js(|| {});
    JsFuture::from(scheduler.post_task(nothing.unchecked_ref(), &options)).await.is_ok()
}

/// Sets a property of an object of ours.
pub(crate) fn set(object: &Object, key: &str, value: &JsValue) {
    // Only frozen objects and setters that throw refuse; a literal has neither.
    let _ = Reflect::set(object, &key.into(), value);
}

/// The property `name` of an exception, such as `QuotaExceededError`.
pub(crate) fn error_name(error: &JsValue) -> String {
    Reflect::get(error, &"name".into()).ok().and_then(|it| it.as_string()).unwrap_or_default()
}

/// Makes a JavaScript value of a plain structure.
pub(crate) fn to_js(value: &impl Serialize) -> JsValue {
    let serializer = serde_wasm_bindgen::Serializer::json_compatible()
        .serialize_large_number_types_as_bigints(true)
        .serialize_bytes_as_arrays(false);
    value.serialize(&serializer).expect("only plain structures are converted")
}
