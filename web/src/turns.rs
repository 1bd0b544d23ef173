//! Turns: publications that are under way at one time, and those that wait for them to end.
use crate::failure::Failure;
use futures::channel::oneshot;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

/// Kilobytes of publications under way. Guess; fewer than may wait in the core, which refuses what is over that.
const ROOM: usize = 16 * 1024;
/// Kilobytes that one takes at least: 512 of them at one time.
const LEAST: usize = 32;

/// Turns to publish, in the order in which they were asked for.
#[derive(Default)]
pub(crate) struct Turns {
    taken: Cell<usize>,
    waiting: RefCell<VecDeque<(usize, oneshot::Sender<()>)>>,
}

impl Turns {
    /// Waits for a turn to publish `bytes`. The number that it gives is for [`Turns::end`].
    pub(crate) async fn begin(&self, bytes: usize) -> Result<usize, Failure> {
        let size = (bytes / 1024).clamp(LEAST, ROOM);
        if self.waiting.borrow().is_empty() && self.taken.get() + size <= ROOM {
            self.taken.set(self.taken.get() + size);
        } else {
            let (sender, turn) = oneshot::channel();
            self.waiting.borrow_mut().push_back((size, sender));
            turn.await.map_err(|_| Failure::closed())?;
        }
        Ok(size)
    }

    /// One is done: those that wait longest have their turn.
    pub(crate) fn end(&self, size: usize) {
        let mut free = ROOM - (self.taken.get() - size);
        let mut waiting = self.waiting.borrow_mut();
        while waiting.front().is_some_and(|(size, _)| *size <= free)
            && let Some((size, sender)) = waiting.pop_front()
        {
            // Nobody waits any more where the page dropped the promise with all that belongs to it.
            if sender.send(()).is_ok() {
                free -= size;
            }
        }
        self.taken.set(ROOM - free);
    }

    /// Nobody has a turn any more.
    pub(crate) fn close(&self) {
        self.waiting.borrow_mut().clear();
    }
}
