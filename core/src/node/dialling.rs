//! Dialling: what the plan of the dialler says, and what groups want of it.
use super::Node;
use crate::address::Address;
use crate::group::Group;
use crate::id::GroupId;
use crate::io::{CloseReason, Dial, DirectError, Event, LinkId, NodeState, Output, PlaceSource};
use crate::link::Begun;
use crate::node_url::NodeUrl;
use crate::place::{Places, Word};
use crate::reach::dial::{Step, Want};
use crate::reach::purpose::Purpose;
use crate::reach::stun;

impl Node {
    /// Does what the dialling plan says, until it says nothing more.
    pub(super) fn dial(&mut self) {
        if self.closing.is_some() {
            return;
        }
        for wish in std::mem::take(&mut self.asks.wishes) {
            self.dialer.wish(self.now.mono, wish, &self.addresses);
        }
        for group in std::mem::take(&mut self.asks.settled) {
            self.dialer.stop(self.now.mono, Want::Any(group));
        }
        if std::mem::take(&mut self.asks.again) {
            self.dialer.again(self.now.mono);
        }
        while let Some(step) = self.dialer.next(self.now.mono, &self.addresses) {
            match step {
                Step::LookUp(look_up) => self.outbox.push_back(Output::LookUp(look_up)),
                Step::Dial(address, places) => self.dial_address(address, places),
                Step::End(link) => self.close(link, CloseReason::Silent),
                Step::Share(want, link) => self.note_attempt(want, link),
                Step::Serve(want, link) => self.serve_want(want, link),
                Step::Vain(want) => self.in_vain(want),
            }
        }
        for (url, state) in self.dialer.news() {
            self.outbox.push_back(Output::Event(Event::NamedNode { url, state }));
        }
    }

    /// Tells the host who is to be asked for our addresses, if that has changed.
    pub(super) fn choose_stun_servers(&mut self) {
        if !std::mem::take(&mut self.stun_servers.1) || self.closing.is_some() {
            return;
        }
        // Those that were reached have been judged before they were dialled.
        let reached = self.dialer.reached().map(|address| (address, Word::Own));
        let known = reached.chain(self.dialer.addresses_named());
        let servers = stun::servers(known.filter(|(address, _)| !self.addresses.contains(address)));
        if servers != self.stun_servers.0 {
            self.stun_servers.0.clone_from(&servers);
            self.outbox.push_back(Output::StunServers(servers));
        }
    }

    fn dial_address(&mut self, address: Address, places: Places) {
        let group = self.dialer.wanted_for(&address);
        if !self.links.may_begin(group) {
            // Its race goes on with it after a while.
            return;
        }
        let link = self.links.create(self.now, Begun::Ours(group));
        let wants = self.dialer.dialled(self.now.mono, &address, link);
        self.purposes.insert(link, Purpose::default());
        if wants.iter().any(|want| matches!(want, Want::Named(_))) {
            for group in self.groups.values_mut() {
                group.dialled(link, &address, PlaceSource::Node);
            }
        }
        for want in wants {
            self.note_attempt(want, link);
        }
        self.outbox.push_back(Output::Open { link, dial: Dial::Address(address, places) });
    }

    /// A link is being dialled for this want.
    fn note_attempt(&mut self, want: Want, link: LinkId) {
        let Some(id) = want.group() else { return };
        if matches!(want, Want::Direct(..)) {
            return;
        }
        self.purposes.entry(link).or_default().groups.insert(id);
        let Some(group) = self.groups.get_mut(&id) else { return };
        group.attempt(link, want);
        if let (Some(address), Some(source)) =
            (self.dialer.address_of(link), self.dialer.source_of(link))
        {
            group.dialled(link, address, source.into());
        }
    }

    /// A link that is there is what somebody waits for.
    fn serve_want(&mut self, want: Want, link: LinkId) {
        if let Want::Direct(group, node) = want {
            // Another node may be there by now.
            let ready = self.links.ready(link).map(|ready| (ready.node, ready.peer));
            match ready.filter(|(it, _)| *it == node) {
                Some((node, peer)) => self.direct_reached(link, node, peer),
                None => self.direct_in_vain(group, node),
            }
            return;
        }
        match want.group() {
            Some(group) => {
                self.purposes.entry(link).or_default().groups.insert(group);
                self.open(group, link);
                self.sit_on(link);
            }
            None => self.serve(link, true),
        }
    }

    /// No address of a want answers. A member is offered a link over the graph then.
    fn in_vain(&mut self, want: Want) {
        if let Want::Direct(group, node) = want {
            self.direct_in_vain(group, node);
        }
        if let Want::Member(group, node) = want
            && let Some(group) = self.groups.get_mut(&group)
        {
            group.unreached(&mut ctx!(self), &mut self.links, node);
        }
    }

    /// A group is no longer one of ours: nothing is dialled for it.
    pub(super) fn forget_group(&mut self, id: GroupId) -> Option<Box<Group>> {
        let group = self.groups.remove(&id);
        self.leave_direct(id, &DirectError::Closed);
        for link in self.dialer.leave(id) {
            self.close(link, CloseReason::Unused);
        }
        self.forget_nodes();
        group
    }

    /// Forgets the nodes that only an invitation named, once no group needs them: its preview is done, its join has
    /// failed, or the group was left.
    pub(super) fn forget_nodes(&mut self) {
        let groups = &self.groups;
        let needed = |url: &NodeUrl| groups.values().any(|group| group.nodes().contains(url));
        for url in self.dialer.forget(needed) {
            let state = NodeState::Forgotten;
            self.outbox.push_back(Output::Event(Event::NamedNode { url, state }));
        }
    }
}
