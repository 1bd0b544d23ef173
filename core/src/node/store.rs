//! What the host answers about the store: reading it at the start, and what has become durable.
use super::{Ctx, Node};
use crate::error::Error;
use crate::group::{Group, answer_page};
use crate::id::GroupId;
use crate::io::{Event, Output, Reply, RequestId, StoreFault, StoreId, StoreReply, StoreTask};
use crate::limits;
use crate::reach::named::By;
use crate::storage::{self, Commit, Key, Pending, Written};
use bytes::Bytes;

impl Node {
    pub(super) fn scan(&mut self, from: Bytes) {
        let to = Bytes::from_static(b"h");
        let task = StoreTask::Scan { from, to, limit: limits::PAGE_MAX };
        self.storage.ask(task, Pending::Load, &mut self.outbox);
    }

    pub(super) fn stored(&mut self, op: StoreId, result: Result<StoreReply, StoreFault>) {
        let Some(pending) = self.storage.answered(op) else { return };
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
                    // What cannot be read is not given; the neighbour finds it elsewhere.
                    Ok(_) | Err(_) => Vec::new(),
                };
                if let Some(group) = self.groups.get_mut(&group) {
                    group.given(&mut ctx!(self), &mut self.links, link, values);
                }
            }
            (Pending::Show { group, link, mut records }, result) => {
                // What cannot be read is not shown.
                if let Ok(StoreReply::Values(values)) = result {
                    records.extend(values.into_iter().flatten());
                }
                if let Some(group) = self.groups.get_mut(&group) {
                    group.show(&mut ctx!(self), &mut self.links, link, records);
                }
            }
            (Pending::Refresh { group }, result) => {
                // What cannot be read is tried again.
                if let Ok(StoreReply::Values(values)) = result
                    && let Some(group) = self.groups.get_mut(&group)
                {
                    group.refresh_read(&mut ctx!(self), values);
                }
            }
            (Pending::Clear { group, request }, result) => self.clear(group, request, result),
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
            Commit::Invitation { request, .. } => self.done(request, Err(Error::Store(fault))),
        }
    }

    /// The group of a record was left while it was written.
    fn published_in_vain(&mut self, written: &Written) {
        if let Some(request) = written.request {
            self.done(request, Err(Error::UnknownGroup));
        }
    }

    /// Takes a page of the store at the start.
    pub(super) fn load(&mut self, entries: Vec<(Bytes, Bytes)>) {
        let more = entries.len() >= limits::PAGE_MAX;
        let last = entries.last().map(|(key, _)| key.clone());
        let mut fault = None;
        for (key, value) in entries {
            let loaded = match storage::parse_key(&key) {
                Some(Key::Info(id)) => self.load_group(id, &value),
                Some(Key::Record(id, class)) => match self.groups.get_mut(&id) {
                    Some(group) => {
                        group.load(&mut ctx!(self), class, value).ok_or(StoreFault::Damaged)
                    }
                    None => {
                        // A record without its group is what was left of one that was left.
                        if !self.storage.is_unread(id) {
                            self.storage.write(key, None);
                        }
                        Ok(())
                    }
                },
                None => Err(StoreFault::Damaged),
            };
            fault = fault.or(loaded.err());
        }
        if let Some(fault) = fault {
            self.outbox.push_back(Output::Event(Event::StoreFailed { fault }));
        }
        match last.filter(|_| more) {
            Some(last) => self.scan([&last[..], &[0]].concat().into()),
            None => self.opened(),
        }
    }

    /// Takes what the store says of a group. What cannot be read stays as it is, and so do its records.
    fn load_group(&mut self, id: GroupId, value: &Bytes) -> Result<(), StoreFault> {
        let (verify, identity) = (self.checks.verify, &self.identity);
        match Group::restore(id, value, verify, self.table_secret, identity, self.now.mono) {
            Ok(group) => {
                self.groups.insert(id, Box::new(group));
                Ok(())
            }
            Err(fault) => {
                self.storage.leave_unread(id);
                Err(fault)
            }
        }
    }

    /// The store is read.
    pub(super) fn opened(&mut self) {
        let waiting = self.waiting.take().unwrap_or_default();
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
