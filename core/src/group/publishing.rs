//! Publishing under back-pressure: what the application publishes goes on as fast as the disk and the network take it.
//!
//! | what is behind | at the bound |
//! |---|---|
//! | the disk: [`PUBLISH_WRITING_BYTES_MAX`](limits::PUBLISH_WRITING_BYTES_MAX) of the application's records are not durable | further ones wait here |
//! | the network: [`PUBLISH_BACKLOG_BYTES_MAX`](limits::PUBLISH_BACKLOG_BYTES_MAX) wait for each neighbour that gets records unasked, or nobody has asked for so much | the same |
//! | the disk: the record of another that is to be changed is on the disk only | that change and further ones wait here |
//! | all of these, for long: [`PUBLISHES_WAITING_MAX`](limits::PUBLISHES_WAITING_MAX) wait here | a further one is refused as busy |
//! | one neighbour: [`LINK_QUEUE_BYTES_MAX`](limits::LINK_QUEUE_BYTES_MAX) wait for it | its link is closed, sync brings it what it missed |
//!
//! The fastest neighbour sets the pace: no slow one delays the others, and who is alone waits for the disk only. Records
//! of others are not held back here: their senders are, by the same rule. A host keeps fewer publications under way than
//! may wait here, so that its application awaits its turn rather than being refused.
use super::Group;
use super::tree::Publisher;
use crate::error::Error;
use crate::group::Ctx;
use crate::id::{PeerId, RecordId};
use crate::io::{Draft, Output, RequestId};
use crate::limits;
use crate::link::Links;
use crate::storage::{Change, Class, Pending};
use bytes::Bytes;
use std::collections::VecDeque;

/// The room that a record takes besides its payload and attributes. Bytes. Guess: ids, times, signature, a place in the queue.
const OVERHEAD_BYTES: usize = 512;

/// The records that are published and not yet durable.
#[derive(Default)]
pub(super) struct Publishing {
    /// In the order in which it was asked for.
    waiting: VecDeque<(RequestId, Draft)>,
    waiting_bytes: usize,
    writing_bytes: usize,
    /// The record that the disk was asked for, since the first that waits changes it.
    asked: Option<RecordId>,
    /// Published since somebody last asked for a record.
    unasked_bytes: usize,
}

impl Publishing {
    /// A record of the application is on its way to the disk.
    pub(super) fn writing(&mut self, bytes: usize) {
        self.writing_bytes += bytes;
        self.unasked_bytes += bytes;
    }

    /// It has arrived there, or never will.
    pub(super) fn written(&mut self, bytes: usize) {
        self.writing_bytes -= bytes;
    }

    /// A neighbour asked for records, or time enough has passed that nobody will.
    pub(super) fn asked(&mut self) {
        self.unasked_bytes = 0;
    }

    fn add(&mut self, request: RequestId, draft: Draft) -> Result<(), Error> {
        let bytes = self.waiting_bytes + size(&draft);
        let full = self.waiting.len() >= limits::PUBLISHES_WAITING_MAX
            || bytes > limits::PUBLISHES_WAITING_BYTES_MAX;
        // One alone may be of any size that a record may have.
        if full && !self.waiting.is_empty() {
            return Err(Error::Busy);
        }
        self.waiting_bytes = bytes;
        self.waiting.push_back((request, draft));
        Ok(())
    }

    fn take(&mut self) -> Option<(RequestId, Draft)> {
        let (request, draft) = self.waiting.pop_front()?;
        self.waiting_bytes -= size(&draft);
        Some((request, draft))
    }
}

fn size(draft: &Draft) -> usize {
    let attributes = draft.attributes.len() * limits::ATTRIBUTE_NAME_MAX;
    draft.payload.len() + attributes + OVERHEAD_BYTES
}

impl Group {
    /// Publishes at once, or when its turn comes.
    pub(crate) fn publish_in_turn(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &Links,
        draft: Draft,
        request: RequestId,
    ) -> Result<(), Error> {
        let on_disk = self.is_on_disk(ctx, &draft).is_some();
        let waits = on_disk || !self.publishing.waiting.is_empty();
        if !waits && self.keeps_up(links, ctx.identity.peer_id()) {
            self.publish(ctx, draft, Some(request))
        } else {
            self.publishing.add(request, draft)
        }
    }

    /// Publishes what waits, as far as disk and network keep up.
    pub(crate) fn publish_waiting(&mut self, ctx: &mut Ctx<'_>, links: &Links) {
        while !self.publishing.waiting.is_empty()
            && self.keeps_up(links, ctx.identity.peer_id())
            && !self.first_awaits_disk(ctx)
        {
            let Some((request, draft)) = self.publishing.take() else { return };
            if let Err(error) = self.publish(ctx, draft, Some(request)) {
                ctx.out.push_back(Output::Done { request, result: Err(error) });
            }
        }
    }

    fn is_on_disk(&self, ctx: &Ctx<'_>, draft: &Draft) -> Option<Bytes> {
        self.only_on_disk(ctx, Class::Application, draft.id?)
    }

    /// Whether the first that waits changes a record of another that only the disk holds. The disk is asked for it, for
    /// one at a time, and the rest waits as well, so that all goes out in its order.
    fn first_awaits_disk(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let Some((_, draft)) = self.publishing.waiting.front() else { return false };
        let (id, on_disk) = (draft.id, self.is_on_disk(ctx, draft));
        let (Some(id), Some(key)) = (id, on_disk) else { return false };
        if self.publishing.asked.is_none() {
            self.publishing.asked = Some(id);
            let pending = Pending::Change { group: self.id, change: Change::Publish(id) };
            ctx.read(vec![key], pending);
        }
        true
    }

    /// The disk has answered: the first that waits goes on with this input, or fails.
    pub(super) fn first_was_read(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: RecordId,
        noted: Result<(), Error>,
    ) {
        self.publishing.asked = None;
        let first = self.publishing.waiting.front().and_then(|(_, draft)| draft.id);
        if let Err(error) = noted
            && first == Some(id)
            && let Some((request, _)) = self.publishing.take()
        {
            ctx.out.push_back(Output::Done { request, result: Err(error) });
        }
    }

    /// The group ends here: what waits is neither published nor found.
    pub(crate) fn refuse_waiting(&mut self, ctx: &mut Ctx<'_>, error: &Error) {
        while let Some((request, _)) = self.publishing.take() {
            ctx.out.push_back(Output::Done { request, result: Err(error.clone()) });
        }
        for request in self.searching.requests() {
            ctx.out.push_back(Output::Done { request, result: Err(error.clone()) });
        }
    }

    /// Whether the disk and the fastest neighbour keep up with the application.
    fn keeps_up(&self, links: &Links, me: PeerId) -> bool {
        // A neighbour that asked for our last records gets the next ones at once. Before that, somebody must ask.
        let tree = self.trees.get(Publisher::named(me));
        let children = tree.map_or(&[][..], |tree| &tree.children);
        let network = match children.iter().map(|&link| links.backlog(link)).min() {
            Some(least) => least,
            None if self.neighbours().next().is_some() => self.publishing.unasked_bytes,
            None => 0,
        };
        self.publishing.writing_bytes < limits::PUBLISH_WRITING_BYTES_MAX
            && network < limits::PUBLISH_BACKLOG_BYTES_MAX
    }
}
