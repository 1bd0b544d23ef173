//! Answers of the host about the store: reading it at the start, and what has become durable.
use super::Node;
use crate::error::Error;
use crate::group::{Group, answer_page};
use crate::id::GroupId;
use crate::io::{Event, Output, Reply, RequestId, StoreFault, StoreId, StoreReply, StoreTask};
use crate::limits;
use crate::reach::named::By;
use crate::sorted::SortedMap;
use crate::storage::{self, Change, Commit, Key, Pending, Written};
use bytes::Bytes;

/// Findings while the store is read.
#[derive(Default)]
pub(super) struct Loading {
    /// Groups that cannot be opened.
    closed: SortedMap<GroupId, StoreFault>,
    /// Damaged entries.
    damaged: SortedMap<Option<GroupId>, u64>,
    /// Records of no group; at most a page of them.
    orphans: Vec<Bytes>,
}

impl Node {
    pub(super) fn scan(&mut self, from: Bytes) {
        let to = Bytes::from_static(b"h");
        let task = StoreTask::Scan { from, to, limit: limits::LOAD_PAGE_MAX };
        self.storage.ask(task, Pending::Load, &mut self.outbox);
    }

    pub(super) fn stored(&mut self, op: StoreId, result: Result<StoreReply, StoreFault>) {
        let Some((pending, keys)) = self.storage.answered(op) else { return };
        let mut lost = Vec::new();
        let result = result.map(|reply| match reply {
            StoreReply::Values(values) => {
                let read;
                (read, lost) = storage::whole_values(keys, values);
                StoreReply::Values(read)
            }
            reply @ (StoreReply::Entries(_) | StoreReply::Written) => reply,
        });
        self.answered(pending, result);
        self.lost(lost);
    }

    /// Forgets what the disk was asked for and did not give as it was written, and tells of it.
    fn lost(&mut self, keys: Vec<Bytes>) {
        let mut damaged = SortedMap::new();
        for key in keys {
            if let Some(Key::Record(id, class, record)) = storage::parse_key(&key)
                && let Some(group) = self.groups.get_mut(&id)
                && group.lost(&mut ctx!(self), class, record)
            {
                *damaged.entry(Some(id)).or_insert(0) += 1;
            }
        }
        self.tell_damaged(damaged);
    }

    fn tell_damaged(&mut self, damaged: SortedMap<Option<GroupId>, u64>) {
        for (group, records) in damaged {
            let event = Event::Damaged { group, records, membership: false };
            self.outbox.push_back(Output::Event(event));
        }
    }

    fn answered(&mut self, pending: Pending, result: Result<StoreReply, StoreFault>) {
        match (pending, result) {
            (Pending::Write(commits), result) => {
                for commit in commits {
                    match &result {
                        Ok(_) => self.committed(commit),
                        Err(fault) => self.failed(commit, *fault),
                    }
                }
                for group in self.groups.values_mut() {
                    group.tell_stored(&mut ctx!(self));
                    group.settle_all(&mut ctx!(self), &mut self.links);
                }
            }
            (Pending::Load, Ok(StoreReply::Entries(entries))) => self.load(entries),
            (Pending::Load, _) => {
                self.outbox
                    .push_back(Output::Event(Event::StoreFailed { fault: StoreFault::Broken }));
                self.opened();
            }
            (Pending::Page(page), Ok(StoreReply::Values(values))) => {
                answer_page(&mut ctx!(self), page, values);
            }
            (Pending::Page(page), result) => {
                let fault = result.err().unwrap_or(StoreFault::Broken);
                self.done(page.request, Err(Error::Store(fault)));
            }
            (Pending::Give { group, link }, result) => {
                let values = match result {
                    Ok(StoreReply::Values(values)) => values,
                    // A record that cannot be read is not given; the neighbour finds it elsewhere.
                    Ok(_) | Err(_) => Vec::new(),
                };
                if let Some(group) = self.groups.get_mut(&group) {
                    group.given(&mut ctx!(self), &mut self.links, link, values);
                }
            }
            (Pending::Show { group, link, mut records }, result) => {
                // A record that cannot be read is not shown.
                if let Ok(StoreReply::Values(values)) = result {
                    records.extend(values.into_iter().flatten());
                }
                if let Some(group) = self.groups.get_mut(&group) {
                    group.show(&mut ctx!(self), &mut self.links, link, records);
                }
            }
            (Pending::Refresh { group }, result) => {
                // A record that cannot be read is tried again.
                if let Ok(StoreReply::Values(values)) = result
                    && let Some(group) = self.groups.get_mut(&group)
                {
                    group.refresh_read(&mut ctx!(self), values);
                }
            }
            (Pending::Again { group }, result) => {
                // As above.
                if let Ok(StoreReply::Values(values)) = result
                    && let Some(group) = self.groups.get_mut(&group)
                {
                    group.again_read(&mut ctx!(self), values);
                }
            }
            (Pending::Index { group, ids }, result) => {
                let values = match result {
                    Ok(StoreReply::Values(values)) => values,
                    // A record that cannot be read is not found.
                    Ok(_) | Err(_) => Vec::new(),
                };
                if let Some(group) = self.groups.get_mut(&group) {
                    group.index_read(&mut ctx!(self), &ids, values);
                }
            }
            (Pending::Change { group, change }, result) => self.change_read(group, change, result),
            (Pending::Clear { group, request }, result) => self.clear(group, request, result),
        }
    }

    /// The records that somebody wants to change were read, or not.
    fn change_read(
        &mut self,
        group: GroupId,
        change: Change,
        result: Result<StoreReply, StoreFault>,
    ) {
        let values = match result {
            Ok(StoreReply::Values(values)) => Ok(values),
            Ok(StoreReply::Entries(_) | StoreReply::Written) => Err(StoreFault::Broken),
            Err(fault) => Err(fault),
        };
        let end = if self.closing.is_some() { Error::Closing } else { Error::UnknownGroup };
        match self.groups.get_mut(&group).filter(|_| end == Error::UnknownGroup) {
            Some(group) => group.change_read(&mut ctx!(self), change, values),
            None => {
                if let Some(request) = change.request() {
                    self.done(request, Err(end));
                }
            }
        }
    }

    pub(super) fn committed(&mut self, commit: Commit) {
        match commit {
            Commit::Record { group, written } => match self.groups.get_mut(&group) {
                Some(group) => group.durable(&mut ctx!(self), *written),
                None => self.published_in_vain(&written),
            },
            Commit::Group { group, request } => {
                if let Some(group) = self.groups.get_mut(&group) {
                    group.joined(&mut ctx!(self), request);
                }
            }
            Commit::Grant { group, link, slot, chain } => {
                if let Some(group) = self.groups.get_mut(&group) {
                    group.grant(&mut ctx!(self), &mut self.links, link, slot, chain);
                }
            }
            Commit::Invitation { request, invitation } => {
                self.done(request, Ok(Reply::Invitation(*invitation)));
            }
            Commit::Handover { group, signed, request } => match self.groups.get_mut(&group) {
                Some(group) => group.handed_over(&mut ctx!(self), &signed, request),
                None => self.done(request, Err(Error::UnknownGroup)),
            },
            Commit::Offer { group, request } => {
                let offered = match self.groups.get_mut(&group) {
                    Some(group) => group.publish_offer(&mut ctx!(self), request),
                    None => Err(Error::UnknownGroup),
                };
                if let Err(error) = offered {
                    self.done(request, Err(error));
                }
            }
        }
    }

    pub(super) fn failed(&mut self, commit: Commit, fault: StoreFault) {
        match commit {
            Commit::Record { group, written } => match self.groups.get_mut(&group) {
                Some(group) => group.not_durable(&mut ctx!(self), *written, fault),
                None => self.published_in_vain(&written),
            },
            Commit::Group { group, request: Some(request) } => {
                // Nothing of it is kept: it was never there.
                self.groups.remove(&group);
                self.done(request, Err(Error::Store(fault)));
            }
            Commit::Group { group, request: None } => {
                if let Some(group) = self.groups.get_mut(&group) {
                    group.not_joined(&mut ctx!(self), fault);
                }
            }
            Commit::Grant { .. } => {}
            Commit::Handover { group, request, .. } => match self.groups.get_mut(&group) {
                Some(group) => group.not_handed_over(&mut ctx!(self), fault, request),
                None => self.done(request, Err(Error::UnknownGroup)),
            },
            Commit::Offer { group, request } => {
                if let Some(group) = self.groups.get_mut(&group) {
                    group.not_offered(&mut ctx!(self));
                }
                self.done(request, Err(Error::Store(fault)));
            }
            Commit::Invitation { request, .. } => self.done(request, Err(Error::Store(fault))),
        }
    }

    /// The group of a record was left while it was written.
    fn published_in_vain(&mut self, written: &Written) {
        if let Some(request) = written.request {
            self.done(request, Err(Error::UnknownGroup));
        }
    }

    /// Takes a page of the store at the start, while the disk reads the next one.
    pub(super) fn load(&mut self, entries: Vec<(Bytes, Bytes)>) {
        let more = entries.len() >= limits::LOAD_PAGE_MAX;
        let last = entries.last().filter(|_| more).map(|(key, _)| key.clone());
        if let Some(last) = &last {
            self.scan([&last[..], &[0]].concat().into());
        }
        for (key, value) in entries {
            self.load_entry(key, value);
        }
        if last.is_none() {
            self.opened();
        }
    }

    fn load_entry(&mut self, key: Bytes, value: Bytes) {
        let whole = storage::whole(&key, &value);
        match (storage::parse_key(&key), whole) {
            (Some(Key::Info(id)), whole) => self.load_group(id, whole),
            (Some(Key::Record(id, class, _)), whole) => {
                let loaded = match self.groups.get_mut(&id) {
                    Some(group) => {
                        whole.and_then(|bytes| group.load(&mut ctx!(self), class, bytes))
                    }
                    None => return self.load_orphan(id, key),
                };
                if loaded.is_none() {
                    *self.loading.damaged.entry(Some(id)).or_insert(0) += 1;
                    self.storage.write(key, None);
                }
            }
            (None, _) => *self.loading.damaged.entry(None).or_insert(0) += 1,
        }
    }

    /// Takes what the store says of a group. A group that cannot be read stays as it is, and so do its records.
    fn load_group(&mut self, id: GroupId, value: Option<Bytes>) {
        let (verify, identity) = (self.checks.verify, &self.identity);
        let restored = value.ok_or(StoreFault::Damaged).and_then(|value| {
            Group::restore(id, &value, verify, self.table_secret, identity, self.now.mono)
        });
        match restored {
            Ok(group) => {
                self.groups.insert(id, Box::new(group));
            }
            Err(fault) => {
                self.storage.leave_unread(id);
                self.loading.closed.insert(id, fault);
            }
        }
    }

    /// A record of no group that is known, or of one that cannot be read, which stays.
    fn load_orphan(&mut self, group: GroupId, key: Bytes) {
        if !self.storage.is_unread(group) && self.loading.orphans.len() < limits::PAGE_MAX {
            self.loading.orphans.push(key);
        }
    }

    /// Tells what was damaged, and removes records without a group: what was left of one that was left. Where something
    /// is damaged they stay, since they may be of a group that could not be read.
    fn tell_loaded(&mut self) {
        let Loading { closed, damaged, orphans } = std::mem::take(&mut self.loading);
        if closed.is_empty() && damaged.is_empty() {
            for key in orphans {
                self.storage.write(key, None);
            }
        }
        for (group, fault) in closed {
            let event = if fault == StoreFault::Damaged {
                Event::Damaged { group: Some(group), records: 0, membership: true }
            } else {
                Event::StoreFailed { fault }
            };
            self.outbox.push_back(Output::Event(event));
        }
        self.tell_damaged(damaged);
    }

    /// The store is read.
    pub(super) fn opened(&mut self) {
        let waiting = self.waiting.take().unwrap_or_default();
        self.tell_loaded();
        for group in self.groups.values_mut() {
            group.start(&mut ctx!(self));
        }
        // Nodes that were reached meanwhile.
        for id in self.groups.keys().copied().collect::<Vec<_>>() {
            self.look_on_links(id, self.dialer.named_links());
        }
        let nodes: Vec<_> = self.groups.values().flat_map(|group| group.nodes().to_vec()).collect();
        for node in nodes {
            // If all places are taken by linked nodes, members are looked for there.
            let _ = self.dialer.name(self.now.mono, node, By::Group);
        }
        self.outbox.push_back(Output::Event(Event::Opened));
        for (request, command) in waiting {
            self.command(request, command);
        }
    }

    /// Deletes the records of a group that was left, page by page.
    pub(super) fn clear(
        &mut self,
        group: GroupId,
        request: RequestId,
        result: Result<StoreReply, StoreFault>,
    ) {
        match result {
            Ok(StoreReply::Entries(entries)) => {
                let more = entries.len() >= limits::PAGE_MAX;
                for (key, _) in entries {
                    self.storage.write(key, None);
                }
                self.storage.flush(&mut self.outbox);
                if more {
                    self.clear_next(group, request);
                } else {
                    self.done(request, Ok(Reply::Ok));
                }
            }
            Ok(_) => self.done(request, Err(Error::Store(StoreFault::Broken))),
            Err(fault) => self.done(request, Err(Error::Store(fault))),
        }
    }

    pub(super) fn clear_next(&mut self, group: GroupId, request: RequestId) {
        let (from, to) = storage::group_range(group);
        let task = StoreTask::Scan { from, to, limit: limits::PAGE_MAX };
        self.storage.ask(task, Pending::Clear { group, request }, &mut self.outbox);
    }
}
