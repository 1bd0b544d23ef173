//! The one state machine a host drives.
use crate::identity::Identity;
use crate::io::{Input, LinkId, Outbox, Output};
use crate::time::Now;

/// Tunables of a node.
#[derive(Clone, Debug, Default)]
pub struct Config {}

/// One running instance of an identity.
pub struct Node {
    outbox: Outbox,
    links: u64,
}

impl Node {
    /// Creates a node and begins to read its store: [`Event::Opened`](crate::io::Event::Opened) follows.
    /// `seed` is its only source of randomness: 32 bytes from the operating system, or a constant in tests.
    pub fn new(config: Config, identity: Identity, seed: [u8; 32], now: Now) -> Self {
        let _ = (config, identity, seed, now);
        Self { outbox: Outbox::new(), links: 0 }
    }

    /// Names a link that a stranger opened to us. Report [`Input::LinkUp`] next.
    pub fn new_link(&mut self) -> LinkId {
        self.links += 1;
        LinkId(self.links)
    }

    /// Reports one thing that happened. Never fails: a peer's bad input costs that peer its link, the
    /// application's bad input comes back as [`Output::Done`].
    ///
    /// # Panics
    /// If the outputs of the last input were not drained, or `mono` went back.
    pub fn handle(&mut self, now: Now, input: Input) {
        let _ = (now, input);
    }

    /// Takes the next thing to do. Call until [`Output::Idle`].
    pub fn poll(&mut self) -> Output {
        self.outbox.pop_front().unwrap_or(Output::Idle { wake: None })
    }
}
