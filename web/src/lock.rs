//! One node for one database: Web Locks.
//!
//! Two locks. `peergraph:NAME` says which tab has the identity; another tab sees that it is held, or steals it. Its
//! old holder then closes, and only when its last write is durable does it let go of `peergraph-store:NAME`, for which
//! the new one waits a moment: two nodes never write to one database, unless the old tab is frozen.
use crate::browser;
use futures::channel::oneshot;
use js_sys::{Function, Object, Promise};
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};

/// How long an old holder may take to close. Milliseconds. Guess.
const HANDOVER_MS_MAX: f64 = 3_000.0;

/// Why there is no lock.
#[derive(Debug)]
pub enum LockError {
    /// Another tab holds it.
    Held,
    /// The browser has no Web Locks here, or refuses.
    Unavailable(JsValue),
}

/// Both locks of one database, until dropped.
pub struct Lock {
    // Released in this order.
    _identity: Held,
    _store: Held,
}

/// One lock, until dropped.
pub(crate) struct Held {
    release: Function,
    /// Whether losing it is no news any more.
    released: Rc<RefCell<bool>>,
}

impl Lock {
    /// Takes the locks of the database `name`. `on_lost` is called when another tab takes them over.
    ///
    /// # Errors
    /// [`LockError::Held`] unless `take_over`.
    pub async fn take(
        name: &str,
        take_over: bool,
        on_lost: impl FnOnce() + 'static,
    ) -> Result<Self, LockError> {
        let (identity, store) = (format!("peergraph:{name}"), format!("peergraph-store:{name}"));
        let how = if take_over { "steal" } else { "ifAvailable" };
        let identity = request(&identity, how, &JsValue::TRUE, on_lost).await?;
        let store = wait_for(&store).await?;
        Ok(Self { _identity: identity, _store: store })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.released.replace(true);
        // A resolver of a promise of ours does not throw.
        let _ = self.release.call0(&JsValue::UNDEFINED);
    }
}

/// Takes a lock that others hold for moments only.
pub(crate) async fn wait_for(name: &str) -> Result<Held, LockError> {
    let patience = browser::abort_after(HANDOVER_MS_MAX);
    match request(name, "signal", &patience, || {}).await {
        Ok(held) => Ok(held),
        // Its holder answers to nobody: frozen, or in a debugger.
        Err(_) => request(name, "steal", &JsValue::TRUE, || {}).await,
    }
}

async fn request(
    name: &str,
    option: &str,
    value: &JsValue,
    on_lost: impl FnOnce() + 'static,
) -> Result<Held, LockError> {
    let missing = || LockError::Unavailable("no Web Locks".into());
    let locks = browser::LOCKS.with(Clone::clone);
    let locks = locks.ok_or_else(missing)?;
    let options = Object::new();
    browser::set(&options, option, value);

    let mut release = None;
    let until_released = Promise::new(&mut |resolve, _| release = Some(resolve));
    let release: Function = release.ok_or_else(missing)?.unchecked_into();
    let (sender, granted) = oneshot::channel();
    let callback = Closure::once_into_js(move |lock: JsValue| -> JsValue {
        let got = !lock.is_null();
        // Nobody waits any more where the page is being left.
        let _ = sender.send(got);
        if got { until_released.into() } else { JsValue::UNDEFINED }
    });
    let released = Rc::new(RefCell::new(false));
    let held = Held { release, released: released.clone() };
    let done = locks.request(name, &options, callback.unchecked_ref());
    let (fail, failed) = oneshot::channel();
    spawn_local(async move {
        if let Err(error) = JsFuture::from(done).await {
            // Before it was granted: refused. Afterwards: stolen.
            if fail.send(error).is_err() && !*released.borrow() {
                on_lost();
            }
        }
    });
    match futures::future::select(granted, failed).await {
        futures::future::Either::Left((Ok(true), _)) => Ok(held),
        futures::future::Either::Left((Ok(false), _)) => Err(LockError::Held),
        futures::future::Either::Left((Err(_), failed)) => {
            Err(LockError::Unavailable(failed.await.unwrap_or(JsValue::UNDEFINED)))
        }
        futures::future::Either::Right((error, _)) => {
            Err(LockError::Unavailable(error.unwrap_or(JsValue::UNDEFINED)))
        }
    }
}
