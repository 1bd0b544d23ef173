//! The names that this node serves, and the calls that wait for whoever serves them.
use super::channel::{done, failed, message_of};
use crate::id::{GroupId, NodeId, PeerId};
use crate::io::error::Error;
use crate::io::{ChannelId, DirectCall, DirectError, DirectId, Outbox, Reply, RequestId};
use crate::limits;
use crate::sorted::SortedMap;
use crate::wire::{DirectHalt, DirectOpen};
use std::collections::VecDeque;
use std::time::Duration;

/// All names that are served, by group.
#[derive(Default)]
pub(super) struct Served {
    names: SortedMap<(GroupId, String), Calls>,
}

/// The calls of one name.
#[derive(Default)]
struct Calls {
    waiting: VecDeque<DirectCall>,
    server: Option<RequestId>,
}

impl Served {
    /// Serves a name from here on.
    pub(super) fn serve(&mut self, group: GroupId, name: String) -> Result<(), Error> {
        let of_group = self.names.keys().filter(|(it, _)| *it == group).count();
        let key = (group, name);
        if !self.names.contains_key(&key) && of_group >= limits::DIRECT_SERVED_MAX {
            return Err(Error::Busy);
        }
        self.names.entry(key).or_default();
        Ok(())
    }

    /// Serves it no longer. Answers the calls that waited.
    pub(super) fn stop(
        &mut self,
        group: GroupId,
        name: String,
        out: &mut Outbox,
    ) -> Vec<DirectCall> {
        let Some(calls) = self.names.remove(&(group, name)) else { return Vec::new() };
        if let Some(server) = calls.server {
            failed(out, server, &DirectError::NotServed);
        }
        calls.waiting.into()
    }

    /// Somebody waits for the next call.
    pub(super) fn wait(
        &mut self,
        group: GroupId,
        name: String,
        request: RequestId,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let calls = self.names.get_mut(&(group, name)).ok_or(DirectError::NotServed)?;
        if let Some(call) = calls.waiting.pop_front() {
            done(out, request, Ok(Reply::Call(call)));
        } else if let Some(earlier) = calls.server.replace(request) {
            failed(out, earlier, &DirectError::TakenOver);
        }
        Ok(())
    }

    /// A call came. Why it is given up at once, if it is: for the other end, and for ours.
    pub(super) fn came(
        &mut self,
        group: GroupId,
        (id, call): (DirectId, u32),
        (peer, node): (PeerId, NodeId),
        open: DirectOpen,
        out: &mut Outbox,
    ) -> Option<(DirectHalt, DirectError)> {
        let DirectOpen { name, within, request } = open;
        let Some(calls) = self.names.get_mut(&(group, name)) else {
            return Some((DirectHalt::NotServed, DirectError::NotServed));
        };
        let request = message_of(request.unwrap_or_default());
        let within = within.map(Duration::from_millis);
        let call = DirectCall { id, call: ChannelId(call), peer, node, request, within };
        if let Some(server) = calls.server.take() {
            done(out, server, Ok(Reply::Call(call)));
        } else if calls.waiting.len() < limits::DIRECT_CALLS_WAITING_MAX {
            calls.waiting.push_back(call);
        } else {
            return Some((DirectHalt::Busy, DirectError::TooMany));
        }
        None
    }

    /// A call is given up.
    pub(super) fn over(&mut self, id: DirectId, call: u32) {
        for calls in self.names.values_mut() {
            calls.waiting.retain(|it| it.id != id || it.call.0 != call);
        }
    }

    /// A direct link is over.
    pub(super) fn forget(&mut self, id: DirectId) {
        for calls in self.names.values_mut() {
            calls.waiting.retain(|it| it.id != id);
        }
    }

    /// This node leaves a group.
    pub(super) fn leave(&mut self, group: GroupId, out: &mut Outbox) {
        let of = self.names.keys().filter(|(it, _)| *it == group).cloned();
        for (group, name) in of.collect::<Vec<_>>() {
            self.stop(group, name, out);
        }
    }
}
