//! Replaying: a node is a function of its seed and its inputs.
//!
//! A world can record everything that one host's node was given and what it put out. Given the same again,
//! without any world, a fresh node must put out the same.
use crate::digest::RunDigest;
use crate::host::{Host, HostId};
use peergraph_core::io::{Input, LinkId, Output};
use peergraph_core::node::Node;
use peergraph_core::time::Now;

enum Step {
    NewLink(LinkId),
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

    pub(crate) fn new_link(&mut self, host: HostId, link: LinkId) {
        if host == self.host {
            self.steps.push(Step::NewLink(link));
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

    /// Fingerprint of all outputs, and how many there were.
    pub fn outputs(&self) -> (u64, u64) {
        (self.outputs.value(), self.count)
    }

    /// Gives a fresh node of `host` the same inputs; answers with the fingerprint of its outputs.
    ///
    /// # Panics
    /// If the host was not started while recorded, or the node names a link differently.
    pub fn replay(&self, host: &Host, memo: bool) -> (u64, u64) {
        let (seed, now) = self.start.expect("the host was started while it was recorded");
        let identity = crate::adapt::identity(host);
        let mut node = Node::new(crate::adapt::config(memo), identity, seed, now);
        let mut outputs = RunDigest::default();
        let mut count = 0;
        let mut drain = |node: &mut Node| loop {
            let output = node.poll();
            count += 1;
            note(&mut outputs, &output);
            if matches!(output, Output::Idle { .. }) {
                return;
            }
        };
        drain(&mut node);
        for step in &self.steps {
            match step {
                Step::NewLink(link) => assert_eq!(node.new_link(), *link),
                Step::Input(now, input) => {
                    node.handle(*now, input.clone());
                    drain(&mut node);
                }
            }
        }
        (outputs.value(), count)
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
