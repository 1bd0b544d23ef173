//! Questions for a sign of life, how long an answer is waited for, and the links that were lost without one.
use crate::id::NodeId;
use crate::limits::{DOUBTED_AFTER, PATH_DOUBTED_AFTER, PATH_SILENT_AFTER, UNANSWERED_AFTER};
use crate::time::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// Lost links that are remembered. Guess: all neighbours of a few groups. The oldest is forgotten: its other end finds out by
/// itself.
const ENDED_MAX: usize = 64;

/// A question that is not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    at: Time,
    /// The time without an answer after which the other end is not counted on, and after which the link is closed.
    doubted: Duration,
    over: Duration,
    /// Whether another link is begun once it is in doubt.
    replaces: bool,
}

impl Asked {
    /// Nothing was heard for long.
    pub(super) fn usual(at: Time) -> Self {
        Self { at, doubted: DOUBTED_AFTER, over: UNANSWERED_AFTER, replaces: false }
    }

    /// The transport hears nothing.
    pub(super) fn quiet(at: Time) -> Self {
        Self { at, doubted: PATH_DOUBTED_AFTER, over: UNANSWERED_AFTER, replaces: true }
    }

    /// The other end looks for another way to us: it has lost this one, or is about to.
    pub(super) fn sought(at: Time) -> Self {
        Self { at, doubted: Duration::ZERO, over: UNANSWERED_AFTER, replaces: false }
    }

    /// The network has changed.
    pub(super) fn changed(at: Time, gone: bool) -> Self {
        let doubted = if gone { Duration::ZERO } else { PATH_DOUBTED_AFTER };
        Self { at, doubted, over: PATH_SILENT_AFTER, replaces: true }
    }

    pub(super) fn is_doubted(self, now: Time) -> bool {
        now.since(self.at) >= self.doubted
    }

    pub(super) fn is_over(self, now: Time) -> bool {
        now.since(self.at) >= self.over
    }

    /// Whether it is answered sooner than usual, or has failed sooner.
    pub(super) fn is_hurried(self) -> bool {
        self.doubted < DOUBTED_AFTER
    }

    pub(super) fn replaces(self, now: Time) -> bool {
        self.replaces && self.is_doubted(now)
    }

    /// When it comes to be in doubt.
    pub(super) fn first(self) -> Time {
        self.at.after(self.doubted)
    }

    /// When to look at it next, if it is hurried.
    pub(super) fn next(self, now: Time) -> Option<Time> {
        let at = if self.is_doubted(now) { self.at.after(self.over) } else { self.first() };
        self.is_hurried().then_some(at)
    }
}

/// The handshakes of links that were lost without a word, and the nodes to which they led.
#[derive(Default)]
pub(super) struct Ended(VecDeque<(NodeId, [u8; 32])>);

impl Ended {
    pub(super) fn note(&mut self, node: NodeId, hash: [u8; 32]) {
        if self.0.len() >= ENDED_MAX {
            self.0.pop_front();
        }
        self.0.push_back((node, hash));
    }

    /// The last one to a node.
    pub(super) fn of(&self, node: NodeId) -> Option<[u8; 32]> {
        self.0.iter().rev().find(|(it, _)| *it == node).map(|(_, hash)| *hash)
    }
}
