//! The acts of applications, as one-line steps: groups, invitations, records.
// An answer of the wrong kind is always a failure.
#![allow(clippy::wildcard_enum_match_arm)]
use crate::host::{HostId, Kind, rtc_address};
use crate::world::World;
use bytes::Bytes;
use peergraph_core::cert::Role;
use peergraph_core::error::Error;
use peergraph_core::id::{GroupId, NodeId, RecordId};
use peergraph_core::invitation::Invitation;
use peergraph_core::io::{
    Command, Cursor, Draft, Event, Filter, GroupCommand, GroupInfo, Invite, LinkInfo, MemberInfo,
    NodeInfo, Preview, Reply, RequestId,
};
use peergraph_core::policy::Policy;
use peergraph_core::record::{Record, RecordType};
use std::time::Duration;

/// How long a newcomer may take, from its command to its membership. Virtual.
pub const JOIN_WITHIN: Duration = Duration::from_secs(120);
/// How long a record may take to every member of a healthy graph. Virtual.
pub const DELIVERY_WITHIN: Duration = Duration::from_secs(30);

/// The type of records in stories.
///
/// # Panics
/// Never: the name is good.
pub fn kind() -> RecordType {
    RecordType::new("chat.message").expect("a good type name")
}

/// A new record with `payload`.
pub fn draft(payload: impl Into<Bytes>) -> Draft {
    Draft {
        id: None,
        kind: kind(),
        attributes: Vec::new(),
        payload: payload.into(),
        expires_in: None,
        delete: false,
        refresh: false,
        if_version: None,
        nonce: None,
    }
}

/// The deletion of `record`.
pub fn deletion(record: &Record) -> Draft {
    Draft { id: Some(record.id), kind: record.kind.clone(), delete: true, ..draft(Bytes::new()) }
}

impl World {
    /// A native host whose node has read its (empty) store.
    ///
    /// # Panics
    /// If it does not open.
    pub fn native(&mut self, name: &str) -> HostId {
        let host = self.add(Kind::Native, name);
        self.await_opened(host);
        host
    }

    /// The same for a browser, which nobody can dial.
    ///
    /// # Panics
    /// If it does not open.
    pub fn browser(&mut self, name: &str) -> HostId {
        let host = self.add(Kind::Browser, name);
        self.await_opened(host);
        host
    }

    /// Runs until a node has read its store.
    ///
    /// # Panics
    /// If it does not within a minute.
    pub fn await_opened(&mut self, host: HostId) {
        let opened = self.run_until(Duration::from_secs(60), |world| world.hosts[host].opened);
        assert!(opened, "host {host} never reads its store");
    }

    /// Makes a group.
    ///
    /// # Panics
    /// If the node refuses.
    pub fn create_group(&mut self, host: HostId, name: &str) -> GroupId {
        self.create_group_under(host, name, Policy::default())
    }

    /// The same with a policy.
    ///
    /// # Panics
    /// If the node refuses.
    pub fn create_group_under(&mut self, host: HostId, name: &str, policy: Policy) -> GroupId {
        match self.ask(host, Command::CreateGroup { name: name.to_owned(), policy }) {
            Ok(Reply::Group(info)) => info.id,
            other => panic!("create group answered {other:?}"),
        }
    }

    /// Makes an invitation.
    ///
    /// # Errors
    /// As the node says.
    ///
    /// # Panics
    /// If the answer is of another kind.
    pub fn invite(
        &mut self,
        host: HostId,
        group: GroupId,
        invite: Invite,
    ) -> Result<Invitation, Error> {
        match self.ask(host, Command::Group(group, GroupCommand::Invite { invite }))? {
            Reply::Invitation(invitation) => Ok(invitation),
            other => panic!("invite answered {other:?}"),
        }
    }

    /// An invitation for the identity of `guest` alone.
    ///
    /// # Panics
    /// If the node refuses.
    pub fn invite_bound(
        &mut self,
        host: HostId,
        group: GroupId,
        guest: HostId,
        role: Role,
    ) -> Invitation {
        let identity = self.hosts[guest].certificate.clone();
        let made = self.invite(host, group, Invite::Bound { identity, grant: role.into() });
        made.expect("an owner may invite")
    }

    /// An invitation for whoever holds it.
    ///
    /// # Panics
    /// If the node refuses.
    pub fn invite_bearer(
        &mut self,
        host: HostId,
        group: GroupId,
        uses: u32,
        expires_in: Duration,
    ) -> Invitation {
        let invite = Invite::Bearer { grant: Role::Member.into(), uses, expires_in };
        self.invite(host, group, invite).expect("an owner may invite")
    }

    /// Joins, and waits for the answer.
    ///
    /// # Errors
    /// As the node says.
    ///
    /// # Panics
    /// If the answer is of another kind, or none comes in time.
    pub fn join(&mut self, host: HostId, invitation: Invitation) -> Result<GroupId, Error> {
        match self.ask_within(host, Command::Join { invitation, password: None }, JOIN_WITHIN)? {
            Reply::Group(info) => Ok(info.id),
            other => panic!("join answered {other:?}"),
        }
    }

    /// Asks what an invitation is about, and waits for the answer.
    ///
    /// # Errors
    /// As the node says.
    ///
    /// # Panics
    /// If the answer is of another kind, or none comes in time.
    pub fn preview(&mut self, host: HostId, invitation: Invitation) -> Result<Preview, Error> {
        match self.ask_within(host, Command::Preview { invitation }, JOIN_WITHIN)? {
            Reply::Preview(preview) => Ok(*preview),
            other => panic!("preview answered {other:?}"),
        }
    }

    /// Lets `guest` in by a bound invitation of `owner`, with the addresses of `doors` to knock at, and waits until
    /// it has a neighbour and has synchronised.
    ///
    /// # Panics
    /// If that fails.
    pub fn let_in(&mut self, owner: HostId, group: GroupId, guest: HostId, doors: &[HostId]) {
        let mut invitation = self.invite_bound(owner, group, guest, Role::Member);
        invitation.addresses = doors.iter().map(|&door| rtc_address(door)).collect();
        let joined = self.join(guest, invitation);
        assert_eq!(joined, Ok(group));
        self.await_synced(guest);
    }

    /// Runs until a node has a neighbour and has completed a sync.
    ///
    /// # Panics
    /// If that takes longer than [`JOIN_WITHIN`].
    pub fn await_synced(&mut self, host: HostId) {
        let ready = self.run_until(JOIN_WITHIN, |world| world.is_ready(host));
        assert!(
            ready,
            "host {host} has {} neighbours, synced: {}",
            self.hosts[host].neighbours, self.hosts[host].synced
        );
    }

    /// Whether a node has a neighbour and has completed a sync.
    pub fn is_ready(&self, host: HostId) -> bool {
        self.hosts[host].neighbours > 0 && self.hosts[host].synced
    }

    /// A group of `names.len()` native hosts; the first is the owner and everybody's door.
    ///
    /// # Panics
    /// If somebody cannot join.
    pub fn group_of(&mut self, names: &[&str]) -> (GroupId, Vec<HostId>) {
        let owner = self.native(names[0]);
        let group = self.create_group(owner, "talk");
        let mut hosts = vec![owner];
        for name in &names[1..] {
            let host = self.native(name);
            self.let_in(owner, group, host, &[owner]);
            hosts.push(host);
        }
        (group, hosts)
    }

    /// The same with so many members, whose names do not matter.
    ///
    /// # Panics
    /// If one of them cannot join.
    pub fn group_of_many(&mut self, count: usize) -> (GroupId, Vec<HostId>) {
        let names: Vec<String> = (0..count).map(|number| format!("n{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.group_of(&names)
    }

    /// Tells a node where another one is.
    pub fn point(&mut self, host: HostId, to: HostId) -> RequestId {
        self.command(host, Command::Connect { node: rtc_address(to).into() })
    }

    /// Publishes, and waits until it is durable at the publisher.
    ///
    /// # Errors
    /// As the node says.
    ///
    /// # Panics
    /// If the answer is of another kind.
    pub fn publish(&mut self, host: HostId, group: GroupId, draft: Draft) -> Result<Record, Error> {
        match self.ask(host, Command::Group(group, GroupCommand::Publish { draft }))? {
            Reply::Record(record) => {
                if let Some(acknowledged) = &mut self.acknowledged {
                    acknowledged[host].add(group, &record);
                }
                Ok(*record)
            }
            other => panic!("publish answered {other:?}"),
        }
    }

    /// Publishes a text that must be accepted.
    ///
    /// # Panics
    /// If the node refuses.
    pub fn say(&mut self, host: HostId, group: GroupId, text: &str) -> Record {
        let said = self.publish(host, group, draft(text.to_owned()));
        said.unwrap_or_else(|error| panic!("{text:?} was refused: {error}"))
    }

    /// All live records of a group at a host, in the order of (modified, id).
    ///
    /// # Panics
    /// If the node refuses.
    pub fn records(&mut self, host: HostId, group: GroupId) -> Vec<Record> {
        let mut all: Vec<Record> = Vec::new();
        let mut after: Option<Cursor> = None;
        loop {
            let filter = Filter { after, ..Filter::default() };
            match self.ask(host, Command::Group(group, GroupCommand::Records { filter })) {
                Ok(Reply::Records { records, next }) => {
                    assert!(next.is_none_or(|next| Some(next) > after), "the cursor moves on");
                    all.extend(records);
                    after = next;
                }
                other => panic!("records answered {other:?}"),
            }
            if after.is_none() {
                return all;
            }
        }
    }

    /// The texts of all live records of a group at a host, sorted.
    ///
    /// # Panics
    /// If one is not a text.
    pub fn texts(&mut self, host: HostId, group: GroupId) -> Vec<String> {
        let text = |record: Record| String::from_utf8(record.payload.to_vec()).expect("a text");
        let mut texts: Vec<String> = self.records(host, group).into_iter().map(text).collect();
        texts.sort_unstable();
        texts
    }

    /// A group as a host sees it.
    ///
    /// # Panics
    /// If the node refuses, or is not in it.
    pub fn info(&mut self, host: HostId, group: GroupId) -> GroupInfo {
        match self.ask(host, Command::Groups) {
            Ok(Reply::Groups(groups)) => {
                groups.into_iter().find(|info| info.id == group).expect("the host is in the group")
            }
            other => panic!("groups answered {other:?}"),
        }
    }

    /// The nodes that say that they are here, as a host sees them.
    ///
    /// # Panics
    /// If the node refuses.
    pub fn nodes(&mut self, host: HostId, group: GroupId) -> Vec<NodeInfo> {
        match self.ask(host, Command::Group(group, GroupCommand::Nodes)) {
            Ok(Reply::Nodes(nodes)) => nodes,
            other => panic!("nodes answered {other:?}"),
        }
    }

    /// Runs until all `hosts` see one graph signature, and answers it.
    ///
    /// # Panics
    /// If that takes longer than `within`, or it is not the lowest node id among them.
    pub fn await_signature(
        &mut self,
        hosts: &[HostId],
        group: GroupId,
        within: Duration,
    ) -> NodeId {
        let lowest = hosts.iter().map(|&host| self.node_id(host)).min().expect("some hosts");
        let end = self.time() + within;
        loop {
            let seen: Vec<Option<NodeId>> =
                hosts.iter().map(|&host| self.info(host, group).signature).collect();
            if seen.iter().all(|&seen| seen == Some(lowest)) {
                return lowest;
            }
            assert!(self.time() < end, "{lowest:?} is lowest of {hosts:?}, which see {seen:?}");
            self.run_for(Duration::from_secs(1));
        }
    }

    /// The members as a host sees them.
    ///
    /// # Panics
    /// If the node refuses.
    pub fn members(&mut self, host: HostId, group: GroupId) -> Vec<MemberInfo> {
        match self.ask(host, Command::Group(group, GroupCommand::Members)) {
            Ok(Reply::Members(members)) => members,
            other => panic!("members answered {other:?}"),
        }
    }

    /// The links of a host.
    ///
    /// # Panics
    /// If the node refuses.
    pub fn links(&mut self, host: HostId) -> Vec<LinkInfo> {
        match self.ask(host, Command::Links) {
            Ok(Reply::Links(links)) => links,
            other => panic!("links answered {other:?}"),
        }
    }

    /// Whether the application at `host` was told of a record (or its deletion) with this id.
    pub fn has_seen(&self, host: HostId, id: RecordId) -> bool {
        self.has_event(
            host,
            |event| matches!(event, Event::Record { record, .. } if record.id == id),
        )
    }

    /// Whether the application at `host` was told that a record with this id is durable there.
    pub fn has_stored(&self, host: HostId, id: RecordId) -> bool {
        let is_told = |records: &[(RecordId, u64)]| records.iter().any(|(stored, _)| *stored == id);
        self.has_event(
            host,
            |event| matches!(event, Event::Stored { records, .. } if is_told(records)),
        )
    }

    /// Whether the application at `host` was told that a record was deleted.
    pub fn has_seen_deletion(&self, host: HostId, id: RecordId) -> bool {
        self.has_event(
            host,
            |event| matches!(event, Event::Record { record, .. } if record.id == id && record.deleted),
        )
    }

    /// Whether a node told its application something.
    pub fn has_event(&self, host: HostId, what: impl Fn(&Event) -> bool) -> bool {
        self.hosts[host].events.iter().any(|(_, event)| what(event))
    }

    /// Runs until every one of `hosts` was told that a record is durable there.
    ///
    /// # Panics
    /// If that takes longer than [`DELIVERY_WITHIN`].
    pub fn await_record(&mut self, hosts: &[HostId], id: RecordId) {
        let missing = |world: &Self| -> Vec<HostId> {
            hosts.iter().copied().filter(|&host| !world.has_stored(host, id)).collect()
        };
        self.run_until(DELIVERY_WITHIN, |world| missing(world).is_empty());
        let missing = missing(self);
        assert!(missing.is_empty(), "{id:?} has not reached hosts {missing:?}");
    }

    /// Publishes a text at one host and runs until all `hosts` have it.
    ///
    /// # Panics
    /// If it does not reach them in time.
    pub fn say_to(&mut self, from: HostId, group: GroupId, text: &str, hosts: &[HostId]) -> Record {
        let record = self.say(from, group, text);
        let others: Vec<HostId> = hosts.iter().copied().filter(|&host| host != from).collect();
        self.await_record(&others, record.id);
        record
    }

    /// Whether the live wires connect all `hosts` to one another, perhaps over several hops.
    pub fn is_connected(&self, hosts: &[HostId]) -> bool {
        let Some(&first) = hosts.first() else { return true };
        let mut left = vec![false; self.hosts.len()];
        hosts.iter().for_each(|&host| left[host] = true);
        left[first] = false;
        let mut next = vec![first];
        let mut reached = 1;
        while let Some(host) = next.pop() {
            for other in self.wired_to(host) {
                if std::mem::take(&mut left[other]) {
                    reached += 1;
                    next.push(other);
                }
            }
        }
        reached == hosts.len()
    }
}
