//! A wall around the WebRTC stack: it is young and reads what strangers send. If it fails or
//! panics, that costs one link.
//!
//! The stack behind the wall is reached by [`Guarded::call`] alone, so that no call can be left
//! out. A stack that has panicked is dropped at once: it may contradict itself by then.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rtc::shared::error::Result;

pub(super) struct Guarded<T> {
    /// Nothing once it has panicked.
    inner: Option<T>,
    failed: bool,
}

impl<T> Guarded<T> {
    /// Builds what is to be guarded.
    pub(super) fn build(build: impl FnOnce() -> Result<T>) -> Option<Self> {
        let built = catch_unwind(AssertUnwindSafe(build)).ok()?.ok()?;
        Some(Self { inner: Some(built), failed: false })
    }

    /// Calls it. Nothing if it fails, panics, or has panicked before.
    pub(super) fn call<R>(&mut self, call: impl FnOnce(&mut T) -> Result<R>) -> Option<R> {
        let inner = self.inner.as_mut()?;
        match catch_unwind(AssertUnwindSafe(|| call(inner))) {
            Ok(Ok(value)) => return Some(value),
            Ok(Err(_)) => {}
            Err(_) => self.drop_inner(),
        }
        self.failed = true;
        None
    }

    /// Whether a call failed or panicked.
    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    fn drop_inner(&mut self) {
        let inner = self.inner.take();
        // A stack that panics as it is dropped has nothing left to lose.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(inner)));
    }
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        self.drop_inner();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtc::shared::error::Error;

    /// Panics as it is dropped, as a stack might that contradicts itself.
    struct Fragile(u32);

    impl Drop for Fragile {
        fn drop(&mut self) {
            assert!(self.0 != 13, "dropped");
        }
    }

    #[test]
    fn panic_behind_the_wall_ends_what_is_there_and_nothing_else() {
        let mut guarded = Guarded::build(|| Ok(Fragile(1))).expect("it is built");
        assert_eq!(guarded.call(|it| Ok(it.0)), Some(1));
        assert!(!guarded.has_failed());
        let failed = guarded.call(|_| Err::<(), _>(Error::Other("no".into())));
        assert!(failed.is_none() && guarded.has_failed());
        assert_eq!(guarded.call(|it| Ok(it.0)), Some(1), "it may still say goodbye");
        let panicked = guarded.call(|it| {
            it.0 = 13;
            assert!(it.0 == 1, "broken");
            Ok(())
        });
        assert!(panicked.is_none() && guarded.has_failed());
        assert_eq!(guarded.call(|it| Ok(it.0)), None, "it is gone");
        drop(guarded);
        drop(Guarded::build(|| Ok(Fragile(13))));
        assert!(Guarded::build(|| -> Result<Fragile> { panic!("not even built") }).is_none());
    }
}
