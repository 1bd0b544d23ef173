//! Replaying: a node is a function of its seed and its inputs.
//!
//! A world can record everything that one host's node was given and what it put out. Given the same again,
//! without any world, a fresh node must put out the same.
use crate::digest::RunDigest;
use crate::host::{Host, HostId};
use crate::scenario::Crypto;
use bytes::Bytes;
use memchr::memmem;
use peergraph_core::io::{Input, LinkId, Output};
use peergraph_core::node::Node;
use peergraph_core::source::Source;
use peergraph_core::time::Now;

// Nearly every step is an input.
#[allow(clippy::large_enum_variant)]
enum Step {
    NewLink(Source, LinkId),
    Input(Now, Input),
}

/// The life of one node from its start.
pub struct Recording {
    host: HostId,
    start: Option<([u8; 32], Now)>,
    steps: Vec<Step>,
    outputs: RunDigest,
    count: u64,
}

impl Recording {
    /// Records `host` from its next start on.
    pub fn of(host: HostId) -> Self {
        Self { host, start: None, steps: Vec::new(), outputs: RunDigest::default(), count: 0 }
    }

    pub(crate) fn started(&mut self, host: HostId, seed: [u8; 32], now: Now) {
        if host == self.host {
            *self = Self { start: Some((seed, now)), ..Self::of(host) };
        }
    }

    pub(crate) fn new_link(&mut self, host: HostId, from: Source, link: LinkId) {
        if host == self.host {
            self.steps.push(Step::NewLink(from, link));
        }
    }

    pub(crate) fn input(&mut self, host: HostId, now: Now, input: &Input) {
        if host == self.host {
            self.steps.push(Step::Input(now, input.clone()));
        }
    }

    pub(crate) fn output(&mut self, host: HostId, output: &Output) {
        if host == self.host {
            self.count += 1;
            note(&mut self.outputs, output);
        }
    }

    /// Inputs recorded.
    pub fn inputs(&self) -> usize {
        self.steps.len()
    }

    /// Every frame that arrived.
    pub fn frames(&self) -> Vec<Bytes> {
        let frame = |step: &Step| match step {
            Step::Input(_, Input::Frame { bytes, .. }) => Some(bytes.clone()),
            Step::Input(..) | Step::NewLink(..) => None,
        };
        self.steps.iter().filter_map(frame).collect()
    }

    /// Whether a frame that arrived contains `bytes`.
    pub fn heard(&self, bytes: &[u8]) -> bool {
        self.frames().iter().any(|frame| memmem::find(frame, bytes).is_some())
    }

    /// Fingerprint of all outputs, and how many there were.
    pub fn outputs(&self) -> (u64, u64) {
        (self.outputs.value(), self.count)
    }

    /// A fresh node of `host` that has been given the first `steps` inputs, and is about to get the rest.
    ///
    /// # Panics
    /// If the host was not started while recorded.
    pub fn replay(&self, host: &Host, crypto: Crypto, steps: usize) -> Replay<'_> {
        let (seed, now) = self.start.expect("the host was started while it was recorded");
        let identity = crate::adapt::identity(host);
        let node = Node::new(crate::adapt::config(host, crypto), identity, &seed, now);
        let mut replay =
            Replay { node, steps: &self.steps, outputs: RunDigest::default(), count: 0 };
        replay.drain(true);
        replay.advance(steps, true);
        replay
    }
}

/// A node that lives a recorded life again.
pub struct Replay<'a> {
    node: Node,
    steps: &'a [Step],
    outputs: RunDigest,
    count: u64,
}

impl Replay<'_> {
    /// Gives it `steps` further inputs. Outputs are drained, and `noted` if they are to be compared.
    ///
    /// # Panics
    /// If the node names a link differently than it did.
    pub fn advance(&mut self, steps: usize, noted: bool) {
        let (now, later) = self.steps.split_at(steps.min(self.steps.len()));
        self.steps = later;
        for step in now {
            match step {
                Step::NewLink(from, link) => assert_eq!(self.node.new_link(*from), *link),
                Step::Input(now, input) => {
                    self.node.handle(*now, input.clone());
                    self.drain(noted);
                }
            }
        }
    }

    fn drain(&mut self, noted: bool) {
        loop {
            let output = self.node.poll();
            if noted {
                self.count += 1;
                note(&mut self.outputs, &output);
            }
            if matches!(output, Output::Idle { .. }) {
                return;
            }
        }
    }

    /// Fingerprint of all outputs that were noted, and how many there were.
    pub fn outputs(&self) -> (u64, u64) {
        (self.outputs.value(), self.count)
    }
}

/// Outputs are compared by what they show, and frames by their bytes.
fn note(digest: &mut RunDigest, output: &Output) {
    if let Output::Send { link, bytes } = output {
        digest.add(link.0);
        digest.add_bytes(bytes);
    } else {
        digest.add_bytes(format!("{output:?}").as_bytes());
    }
}
