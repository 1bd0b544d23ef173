//! Commands of the application.
use super::{Closing, Node, WAITING_MAX};
use crate::address::Address;
use crate::error::Error;
use crate::group::{Group, preview_of_bound};
use crate::id::GroupId;
use crate::identity;
use crate::invitation::{Invitation, InvitationKind};
use crate::io::{Command, DirectError, LinkId, LinkInfo, Output, Reply, RequestId, StoreFault};
use crate::limits;
use crate::node_url::NodeUrl;
use crate::password::Password;
use crate::reach::named::By;
use crate::storage;

/// Links on which a group that is being joined is asked for at once, the newest. Guess.
const ASKED_MAX: usize = 32;

impl Node {
    pub(super) fn done(&mut self, request: RequestId, result: Result<Reply, Error>) {
        self.outbox.push_back(Output::Done { request, result });
    }

    pub(super) fn command(&mut self, request: RequestId, command: Command) {
        if self.closing.is_some() {
            self.done(request, Err(Error::Closing));
            return;
        }
        // A link takes a while, and nothing of the store.
        let reads = !matches!(command, Command::Connect { .. });
        if let Some(waiting) = self.waiting.as_mut().filter(|_| reads) {
            if waiting.len() < WAITING_MAX {
                waiting.push((request, command));
            } else {
                self.done(request, Err(Error::Busy));
            }
            return;
        }
        if let Err(error) = self.run(request, command) {
            self.done(request, Err(error));
        }
    }

    pub(super) fn run(&mut self, request: RequestId, command: Command) -> Result<(), Error> {
        let reply = match command {
            Command::CreateGroup { name, policy } => {
                identity::check_name(&name).map_err(|_| Error::BadName)?;
                self.room_for_a_group()?;
                let group = Group::create(&mut ctx!(self), name, &policy, request)?;
                self.add_group(group);
                return Ok(());
            }
            Command::Join { invitation, password } => {
                return self.join(invitation, password, request);
            }
            Command::Preview { invitation } => return self.preview(&invitation, request),
            Command::Leave { group } => return self.leave(group, request),
            Command::Group(group, command) => {
                let group = self.groups.get_mut(&group).ok_or(Error::UnknownGroup)?;
                let (ctx, links) = (&mut ctx!(self), &mut self.links);
                match group.command(ctx, links, command, request)? {
                    Some(reply) => reply,
                    None => return Ok(()),
                }
            }
            Command::Direct(command) => match self.direct_command(command, request)? {
                Some(reply) => reply,
                None => return Ok(()),
            },
            Command::Groups => {
                let members = self.groups.values().filter(|group| group.is_member());
                Reply::Groups(members.map(|group| group.info()).collect())
            }
            Command::Links => Reply::Links(self.links()),
            Command::Connect { node } => {
                let named = self.dialer.name(self.now.mono, node, By::Application);
                named.map_err(|_| Error::TooManyNodes)?;
                Reply::Ok
            }
            Command::Close => {
                self.closing = Some(Closing { request, done: false });
                for group in self.groups.keys().copied().collect::<Vec<_>>() {
                    self.leave_direct(group, &DirectError::Closed);
                }
                for group in self.groups.values_mut() {
                    group.abandon(&mut ctx!(self), &Error::Closing);
                    group.leave_graph(&mut ctx!(self), &mut self.links);
                    group.refuse_waiting(&mut ctx!(self), &Error::Closing);
                }
                return Ok(());
            }
        };
        self.done(request, Ok(reply));
        Ok(())
    }

    /// Leaves a group, and forgets it.
    fn leave(&mut self, group: GroupId, request: RequestId) -> Result<(), Error> {
        let mut left = self.forget_group(group).ok_or(Error::UnknownGroup)?;
        left.abandon(&mut ctx!(self), &Error::UnknownGroup);
        left.resign(&mut ctx!(self));
        left.leave_graph(&mut ctx!(self), &mut self.links);
        left.refuse_waiting(&mut ctx!(self), &Error::UnknownGroup);
        self.storage.write(storage::info_key(group), None);
        self.storage.flush(&mut self.outbox);
        self.rise_for(group);
        self.clear_next(group, request);
        Ok(())
    }

    fn join(
        &mut self,
        invitation: Invitation,
        password: Option<Password>,
        request: RequestId,
    ) -> Result<(), Error> {
        let nodes = invitation.nodes.clone();
        if self.storage.is_unread(invitation.group) {
            // It would write over what the store says of it.
            return Err(Error::Store(StoreFault::Damaged));
        }
        if let Some(group) = self.groups.get_mut(&invitation.group) {
            if group.is_member() {
                let info = group.info();
                self.done(request, Ok(Reply::Group(info)));
                return Ok(());
            }
            if group.goes_on_with(&invitation) {
                let (ctx, links) = (&mut ctx!(self), &mut self.links);
                group.join_later(ctx, links, invitation, password, request)?;
                self.find_members_at(nodes);
                self.forget_nodes();
                return Ok(());
            }
            // A join or preview under way gives way to a membership at hand, or to an invitation under another root.
            invitation.doubt(self.identity.peer_id(), self.now.wall, self.checks.verify)?;
            group.abandon(&mut ctx!(self), &Error::Busy);
            group.close_slots(&mut self.links);
            self.forget_group(invitation.group);
        }
        self.room_for_a_group()?;
        let group = Group::join(&mut ctx!(self), invitation, password, request)?;
        self.find_members_at(nodes);
        self.add_group(group);
        Ok(())
    }

    /// Asks a member what an invitation is about.
    fn preview(&mut self, invitation: &Invitation, request: RequestId) -> Result<(), Error> {
        if matches!(invitation.kind, InvitationKind::Bound { .. }) {
            let preview = preview_of_bound(&ctx!(self), invitation)?;
            self.done(request, Ok(Reply::Preview(Box::new(preview))));
            return Ok(());
        }
        match self.groups.get_mut(&invitation.group) {
            Some(group) if group.is_member() => {
                let preview = group.preview_here(&ctx!(self), invitation)?;
                self.done(request, Ok(Reply::Preview(Box::new(preview))));
            }
            Some(group) => {
                let (ctx, links) = (&mut ctx!(self), &mut self.links);
                group.look_too(ctx, links, invitation, request)?;
            }
            None => {
                let previews = self.groups.values().filter(|group| group.is_looked_at()).count();
                if previews >= limits::PREVIEWS_MAX {
                    return Err(Error::Busy);
                }
                self.room_for_a_group()?;
                let group = Group::look(&ctx!(self), invitation, request);
                self.find_members_at(invitation.nodes.clone());
                self.add_group(group);
            }
        }
        Ok(())
    }

    /// Dials the nodes that an invitation names, and those that the application named, at once.
    fn find_members_at(&mut self, nodes: Vec<NodeUrl>) {
        for node in nodes.into_iter().take(limits::INVITATION_NODES_MAX) {
            // If all places are taken by linked nodes, members are looked for there.
            let _ = self.dialer.name(self.now.mono, node, By::Group);
        }
        self.dialer.hurry(self.now.mono);
    }

    pub(super) fn room_for_a_group(&self) -> Result<(), Error> {
        if self.groups.len() >= limits::GROUPS_MAX {
            return Err(Error::TooManyGroups);
        }
        Ok(())
    }

    /// A group begins: it is looked for on the links that we have.
    pub(super) fn add_group(&mut self, group: Group) {
        let id = group.id;
        let mut links = self.dialer.named_links();
        if !group.is_ready() {
            // The inviter may be somebody to whom we have a link already.
            let ready = self.links.iter().map(|(link, _)| link);
            let ready = ready.filter(|&link| self.links.ready(link).is_some());
            links.extend(ready.collect::<Vec<_>>().into_iter().rev().take(ASKED_MAX));
        }
        self.groups.insert(id, Box::new(group));
        self.look_on_links(id, links);
    }

    /// Looks for a group on these links, and at the rendezvous nodes.
    pub(super) fn look_on_links(&mut self, id: GroupId, links: Vec<LinkId>) {
        for link in links {
            self.open(id, link);
        }
        for link in self.rendezvous_links() {
            self.sit_at(id, link);
        }
    }

    /// The links, as [`Command::Links`] answers them: for hosts that look at every moment, as a picture does.
    pub fn links(&self) -> Vec<LinkInfo> {
        let info = |link: LinkId| {
            let ready = self.links.ready(link);
            LinkInfo {
                link,
                peer: ready.map(|ready| ready.peer),
                node: ready.map(|ready| ready.node),
                version: self.links.version(link),
                direct: ready.is_some_and(|ready| ready.direct),
                relayed: ready.is_some_and(|ready| ready.relayed),
                graphs: self
                    .groups
                    .values()
                    .filter(|group| group.is_neighbour(link))
                    .map(|group| group.id)
                    .collect(),
                utility: self
                    .groups
                    .values()
                    .map(|group| group.utility_of(link))
                    .max()
                    .unwrap_or(0),
            }
        };
        self.links.iter().map(|(link, _)| info(link)).collect()
    }

    pub(super) fn set_addresses(&mut self, mut addresses: Vec<Address>) {
        addresses.truncate(limits::ADDRESSES_MAX);
        if addresses == self.addresses {
            return;
        }
        self.addresses = addresses;
        self.try_all_direct();
        for group in self.groups.values_mut() {
            group.addresses_changed(&mut ctx!(self));
        }
    }
}
