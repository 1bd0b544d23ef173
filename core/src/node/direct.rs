//! Direct links: what reaches them of the node's doings, and the relays that they need.
use super::Node;
use crate::error::{Error, Misbehaved};
use crate::id::{GroupId, NodeId, PeerId};
use crate::io::{DirectCommand, DirectError, DirectId, LinkId, Reply, RequestId};
use crate::link::Begun;
use crate::reach::purpose::Purpose;
use crate::reach::relayed::Origin;
use crate::wire::kind::{self, Kind};
use crate::wire::{self, AskRelay, DirectAsk, Token};
use bytes::Bytes;
use rand_chacha::rand_core::Rng as _;

/// Relays that are asked for one link to a node. Guess: the other end knows one of these.
const RELAYS_ASKED_MAX: usize = 3;

impl Node {
    pub(super) fn direct_command(
        &mut self,
        command: DirectCommand,
        request: RequestId,
    ) -> Result<Option<Reply>, Error> {
        if let DirectCommand::Open { id, group, to, purpose } = command {
            let group = self.groups.get_mut(&group).ok_or(Error::UnknownGroup)?;
            let (ctx, links) = (&mut ctx!(self), &mut self.links);
            self.direct.ask(ctx, links, group, (id, to, purpose), request)?;
            return Ok(None);
        }
        if let DirectCommand::Accept { id } = command {
            let group = self.direct.group_of(id).and_then(|id| self.groups.get(&id));
            let group = group.ok_or(Error::Direct(DirectError::Unknown))?;
            let (ctx, links) = (&mut ctx!(self), &mut self.links);
            return self.direct.accept(ctx, links, group, id).map(Some);
        }
        if let DirectCommand::Admit { group, .. }
        | DirectCommand::Serve { group, .. }
        | DirectCommand::NextCall { group, .. } = &command
            && !self.groups.get(group).is_some_and(|group| group.is_member())
        {
            return Err(Error::UnknownGroup);
        }
        self.direct.command(self.now, &mut self.links, &mut self.outbox, command, request)
    }

    /// Takes a message of a direct link that is paid for. Whether it was one: any other is a word.
    pub(super) fn direct_paid(
        &mut self,
        link: LinkId,
        kind: Kind,
        message: &Bytes,
    ) -> Result<bool, Misbehaved> {
        let (now, links, out) = (self.now, &mut self.links, &mut self.outbox);
        match kind {
            kind::DIRECT_FRAME => self.direct.on_frame(now, links, out, link, message),
            kind::DIRECT_ACK => self.direct.on_ack(now, links, out, link, &message[1..]),
            _ => Ok(false),
        }
    }

    /// Takes any other message of a direct link.
    pub(super) fn direct_message(
        &mut self,
        link: LinkId,
        kind: Kind,
        body: &[u8],
    ) -> Result<(), Misbehaved> {
        match kind {
            kind::DIRECT_ASK => self.direct_asked(link, wire::decode(body)?),
            kind::DIRECT_AGREED => {
                let agreed = self.direct.agreed_in(&self.links, link, body)?;
                let Some((id, group, chain)) = agreed else { return Ok(()) };
                let Some(group) = self.groups.get_mut(&group) else { return Ok(()) };
                let (ctx, links) = (&mut ctx!(self), &mut self.links);
                self.direct.on_agreed(ctx, links, group, link, (id, &chain))
            }
            kind::DIRECT_END => {
                self.direct.on_end(self.now, &mut self.links, &mut self.outbox, link, body)
            }
            // Those that were not paid for.
            _ => Ok(()),
        }
    }

    /// Every group is compared, so that the time tells nothing; see `asked_to_open`.
    fn direct_asked(&mut self, link: LinkId, ask: DirectAsk) -> Result<(), Misbehaved> {
        let Some(ready) = self.links.ready(link) else { return Ok(()) };
        let mut meant = None;
        for (id, group) in &self.groups {
            let tells = group.tells(&self.config, ready.peer, self.now.wall);
            if group.is_meant(&ask.tag, &ready.hash) & tells {
                meant = Some(*id);
            }
        }
        let group = meant.and_then(|id| self.groups.get_mut(&id)).map(|group| &mut **group);
        let (ctx, links) = (&mut ctx!(self), &mut self.links);
        self.direct.on_ask(ctx, links, group, link, ask)
    }

    /// A link to a node is ready.
    pub(super) fn direct_reached(&mut self, link: LinkId, node: NodeId, peer: PeerId) {
        for (id, group) in self.direct.awaits(node, peer) {
            let Some(group) = self.groups.get_mut(&group) else { continue };
            let (ctx, links) = (&mut ctx!(self), &mut self.links);
            self.direct.reached(ctx, links, group, id, link);
        }
    }

    /// A link is lost; if there is another one to the same node, that is its heir.
    pub(super) fn direct_lost(&mut self, link: LinkId, heir: Option<LinkId>) {
        let (now, links, out) = (self.now, &mut self.links, &mut self.outbox);
        for (id, group) in self.direct.link_down(now, links, out, link, heir) {
            self.direct_seek(id, group);
        }
    }

    fn direct_seek(&mut self, id: DirectId, group: GroupId) {
        let Some(group) = self.groups.get_mut(&group) else { return };
        let (ctx, links) = (&mut ctx!(self), &mut self.links);
        self.direct.seek(ctx, links, group, id);
    }

    /// No address of a node answers.
    pub(super) fn direct_in_vain(&mut self, group: GroupId, node: NodeId) {
        for id in self.direct.vain(group, node) {
            self.direct_seek(id, group);
        }
    }

    pub(super) fn direct_due(&mut self) {
        while let Some((id, group, call)) = self.direct.pop_due(self.now.mono) {
            if call > 0 {
                self.direct.call_due(id, call, &mut self.outbox);
            } else if let Some(group) = self.groups.get_mut(&group) {
                let (ctx, links) = (&mut ctx!(self), &mut self.links);
                self.direct.end_due(ctx, links, group, id);
            }
        }
    }

    /// Does what groups and direct links have asked for, and sends what can be sent.
    pub(super) fn finish_direct(&mut self) {
        for id in std::mem::take(&mut self.asks.fallen) {
            if let Some(group) = self.groups.get(&id) {
                let (ctx, links) = (&mut ctx!(self), &mut self.links);
                self.direct.review(ctx, links, group);
            }
        }
        for (id, group, node) in std::mem::take(&mut self.asks.relays) {
            self.relay_direct(id, group, node);
        }
        self.direct.send(self.now, &mut self.links, &mut self.outbox);
    }

    /// This node leaves a group.
    pub(super) fn leave_direct(&mut self, group: GroupId, why: &DirectError) {
        self.direct.leave(group, why, self.now, &mut self.links, &mut self.outbox);
    }

    /// Asks some relays for a link to a node, which is told over the graph.
    fn relay_direct(&mut self, id: DirectId, group: GroupId, node: NodeId) {
        let mut relays: Vec<(bool, LinkId, NodeId)> = self
            .links
            .iter()
            .filter_map(|(link, _)| Some((link, self.links.ready(link)?)))
            .filter(|(link, ready)| ready.node != node && self.may_carry(*link))
            .map(|(link, ready)| (!ready.rendezvous, link, ready.node))
            .collect();
        relays.sort_unstable();
        for (_, via, relay) in relays.into_iter().take(RELAYS_ASKED_MAX) {
            if !self.relayed.may_ask(group) || !self.links.may_begin(Some(group)) {
                return;
            }
            let mut token = [0; Token::BYTES];
            self.rng.fill_bytes(&mut token);
            let token = Token(token);
            let link = self.links.create(self.now, Begun::Ours(Some(group)));
            self.purposes.insert(link, Purpose::default());
            self.circuits.want(link, (via, None), token);
            self.begin_relayed(link, Origin::Asked(group));
            let attempt = self.rng.next_u64();
            self.signal_over_graph(group, node, attempt, token.to_signal_by(relay));
            self.links.send(
                self.now,
                via,
                &wire::message(kind::RELAY_ASK, &AskRelay { token }),
                &mut self.outbox,
            );
            self.direct.offered(id, link);
        }
    }
}
