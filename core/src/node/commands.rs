//! What the application asks for.
use super::{Closing, Ctx, Node, WAITING_MAX};
use crate::address::Address;
use crate::error::Error;
use crate::group::{Group, Plan};
use crate::identity;
use crate::io::{Command, LinkId, LinkInfo, Output, Reply, RequestId};
use crate::limits;
use crate::storage;
use crate::wire::{self, Sit, kind};

impl Node {
    pub(super) fn done(&mut self, request: RequestId, result: Result<Reply, Error>) {
        self.outbox.push_back(Output::Done { request, result });
    }

    pub(super) fn command(&mut self, request: RequestId, command: Command) {
        if self.closing.is_some() {
            self.done(request, Err(Error::Closing));
            return;
        }
        if let Some(waiting) = &mut self.waiting {
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
                let under_way = self.groups.get(&invitation.group);
                if let Some(group) = under_way.filter(|group| group.is_member()) {
                    let info = group.info();
                    self.done(request, Ok(Reply::Group(info)));
                    return Ok(());
                }
                if under_way.is_none() {
                    self.room_for_a_group()?;
                }
                let group = Group::join(&mut ctx!(self), invitation, password, request)?;
                self.dialer.hurry(self.now);
                if let Some(earlier) = self.groups.get_mut(&group.id) {
                    earlier.join_again(&mut ctx!(self), &mut self.links, group);
                    return Ok(());
                }
                self.add_group(group);
                return Ok(());
            }
            Command::Invite { group, invite } => {
                let addresses = self.addresses.iter().chain(self.dialer.addresses());
                let addresses = addresses.take(limits::ADDRESSES_MAX).cloned().collect();
                let group = self.groups.get_mut(&group).ok_or(Error::UnknownGroup)?;
                Reply::Invitation(group.invite(&mut ctx!(self), invite, addresses)?)
            }
            Command::SetProperties { group, properties } => {
                let group = self.groups.get_mut(&group).ok_or(Error::UnknownGroup)?;
                return group.set_properties(&mut ctx!(self), &properties, request);
            }
            Command::Issue { group, peer, grant } => {
                let group = self.groups.get_mut(&group).ok_or(Error::UnknownGroup)?;
                return group.issue_again(&mut ctx!(self), peer, grant, request);
            }
            Command::Revoke { group, target, reason, keep } => {
                let group = self.groups.get_mut(&group).ok_or(Error::UnknownGroup)?;
                return group.revoke(&mut ctx!(self), target, reason, keep, request);
            }
            Command::Reinstate { group, peer } => {
                let group = self.groups.get_mut(&group).ok_or(Error::UnknownGroup)?;
                return group.reinstate(&mut ctx!(self), peer, request);
            }
            Command::Invitations { group } => {
                let group = self.groups.get(&group).ok_or(Error::UnknownGroup)?;
                Reply::Invitations(group.invitation_infos())
            }
            Command::Withdraw { group, invitation } => {
                let group = self.groups.get_mut(&group).ok_or(Error::UnknownGroup)?;
                return group.withdraw_invitation(&mut ctx!(self), invitation, request);
            }
            Command::Revalidate { group, records } => {
                let group = self.groups.get_mut(&group).ok_or(Error::UnknownGroup)?;
                group.revalidate(&mut ctx!(self), &mut self.links, &records);
                Reply::Ok
            }
            Command::Publish { group, mut draft } => {
                self.config.provider.secure(group, &mut draft).map_err(Error::NotValid)?;
                let group = self.groups.get_mut(&group).ok_or(Error::UnknownGroup)?;
                return group.publish_in_turn(&mut ctx!(self), &self.links, draft, request);
            }
            Command::DeleteHere { group, id } => {
                let group = self.groups.get_mut(&group).ok_or(Error::UnknownGroup)?;
                group.delete_here(&mut ctx!(self), id)?;
                Reply::Ok
            }
            Command::Records { group, filter } => {
                let group = self.groups.get(&group).ok_or(Error::UnknownGroup)?;
                group.read(&mut ctx!(self), &filter, request);
                return Ok(());
            }
            Command::Groups => {
                let members = self.groups.values().filter(|group| group.is_member());
                Reply::Groups(members.map(|group| group.info()).collect())
            }
            Command::Members { group } => {
                let group = self.groups.get(&group).ok_or(Error::UnknownGroup)?;
                Reply::Members(group.member_infos(self.now.wall))
            }
            Command::Nodes { group } => {
                let group = self.groups.get(&group).ok_or(Error::UnknownGroup)?;
                Reply::Nodes(group.node_infos())
            }
            Command::Present { group, attributes, forced } => {
                let group = self.groups.get_mut(&group).ok_or(Error::UnknownGroup)?;
                group.present_as(&mut ctx!(self), attributes, forced)?;
                Reply::Ok
            }
            Command::Links => Reply::Links(self.links()),
            Command::Connect { mut addresses } => {
                addresses.truncate(limits::ADDRESSES_MAX);
                self.dialer.add(self.now, addresses);
                Reply::Ok
            }
            Command::Leave { group } => {
                let mut left = self.groups.remove(&group).ok_or(Error::UnknownGroup)?;
                left.resign(&mut ctx!(self));
                left.leave_graph(&mut ctx!(self), &mut self.links);
                left.refuse_waiting(&mut ctx!(self), &Error::UnknownGroup);
                self.storage.write(storage::info_key(group), None);
                self.storage.flush(&mut self.outbox);
                for via in self.rendezvous_links() {
                    let rise = wire::message(
                        kind::RISE,
                        &Sit { table: wire::table_of(group), part: None },
                    );
                    self.links.send(self.now, via, &rise, &mut self.outbox);
                }
                self.clear_next(group, request);
                return Ok(());
            }
            Command::Close => {
                self.closing = Some(Closing { request, done: false });
                for group in self.groups.values_mut() {
                    group.leave_graph(&mut ctx!(self), &mut self.links);
                    group.refuse_waiting(&mut ctx!(self), &Error::Closing);
                }
                return Ok(());
            }
        };
        self.done(request, Ok(reply));
        Ok(())
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
        self.groups.insert(id, Box::new(group));
        let configured: Vec<LinkId> = self
            .plans
            .iter()
            .filter(|(link, plan)| {
                matches!(plan, Plan::Configured(_)) && self.links.ready(**link).is_some()
            })
            .map(|(&link, _)| link)
            .collect();
        for link in configured {
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
                direct: ready.is_some_and(|ready| ready.direct),
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
        for group in self.groups.values_mut() {
            group.addresses_changed(&mut ctx!(self));
        }
    }
}
