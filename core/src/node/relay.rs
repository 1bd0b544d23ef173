//! Relays: links of ours that another node carries, and those that we carry for others.
//!
//! A link that was offered to a seat has [`RELAY_AFTER`](limits::RELAY_AFTER) to open. Then the rendezvous node is asked to
//! carry another one to the same seat, beside it. If the direct one opens later, it takes the relayed one's place, as the
//! better one of two links to one node always does. Where only the relayed one opens, a direct one is tried from time to time.
use super::Node;
use crate::fault::Misbehaved;
use crate::group::Group;
use crate::id::GroupId;
use crate::io::{CloseReason, LinkFault, LinkId, Outbox, Output, Transport};
use crate::limits;
use crate::link::{Begun, Offerer};
use crate::reach::purpose::Purpose;
use crate::reach::relay::{Circuit, Credit, Outcome};
use crate::reach::relayed::Origin;
use crate::reach::rendezvous::Party;
use crate::sorted::SortedMap;
use crate::time::{Deadlines, Time};
use crate::wire::kind::{self, Kind};
use crate::wire::{self, AskRelay, Carry, EndRelay, Message, Relayed, Taken, Token};
use bytes::Bytes;
use rand_chacha::rand_core::Rng as _;
use std::time::Duration;

/// When the other end of a relayed link is offered a direct one first, and the longest time between two offers; each waits
/// twice as long. Guesses: a router that starts anew, or a moved laptop, is back in seconds; what is kept apart for good
/// costs a few signals.
const RETRY_FIRST: Duration = Duration::from_secs(10);
const RETRY_LAST: Duration = Duration::from_secs(600);

/// The offers of direct links in the place of relayed ones that we began.
#[derive(Default)]
pub(super) struct Retries {
    due: Deadlines<LinkId>,
    waits: SortedMap<LinkId, Duration>,
}

impl Retries {
    pub(super) fn deadline(&self) -> Option<Time> {
        self.due.next().map(|(at, _)| at)
    }

    /// A relayed link of ours is open, or our network is another one.
    fn begin(&mut self, now: Time, link: LinkId) {
        self.waits.insert(link, RETRY_FIRST);
        self.due.set(link, now.after(RETRY_FIRST));
    }

    fn pop_due(&mut self, now: Time) -> Option<LinkId> {
        let link = self.due.pop_due(now)?;
        let wait = self.waits.get_mut(&link)?;
        *wait = wait.saturating_mul(2).min(RETRY_LAST);
        self.due.set(link, now.after(*wait));
        Some(link)
    }

    fn end(&mut self, link: LinkId) {
        self.waits.remove(&link);
        self.due.clear(link);
    }
}

/// A link that is to be relayed unless it opens directly.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) group: GroupId,
    pub(super) via: LinkId,
    pub(super) seat: u64,
}

impl Node {
    // --- our ends ------------------------------------------------------------------------------------

    /// A link was offered to a seat. A data channel comes about soon or never; and if there is none to the rendezvous node
    /// itself, most likely never.
    pub(super) fn plan_relay(&mut self, offered: LinkId, plan: Plan) {
        if self.may_carry(plan.via) {
            let direct = self.links.ready(plan.via).is_some_and(|ready| ready.direct);
            let after = if direct { limits::RELAY_AFTER } else { Duration::ZERO };
            self.plans.insert(offered, plan);
            self.plans_due.set(offered, self.now.mono.after(after));
        }
    }

    /// Whether the other end of a link relays for us. One that is relayed itself carries no further link.
    pub(super) fn may_carry(&self, via: LinkId) -> bool {
        self.links.ready(via).is_some_and(|ready| ready.relay && !ready.relayed)
    }

    /// An offered link is open, or gone: `failed` if it was never open.
    pub(super) fn settle_plan(&mut self, offered: LinkId, failed: bool) {
        if failed && self.plans.contains_key(&offered) {
            self.plans_due.set(offered, self.now.mono);
        } else {
            self.plans.remove(&offered);
            self.plans_due.clear(offered);
        }
    }

    /// Asks rendezvous nodes to relay where direct links take long.
    pub(super) fn relays_due(&mut self) {
        while let Some(offered) = self.plans_due.pop_due(self.now.mono) {
            if let Some(plan) = self.plans.remove(&offered) {
                self.ask_relay(plan);
            }
        }
        self.retry_direct();
        for credit in self.relays.due(self.now.mono) {
            self.send_credit(credit);
        }
    }

    /// A link is ready: if it is a relayed one of ours, a direct one is tried from time to time.
    pub(super) fn try_direct(&mut self, link: LinkId) {
        let relayed = self.links.ready(link).is_some_and(|ready| ready.relayed);
        if relayed && self.is_client(link) {
            self.retries.begin(self.now.mono, link);
        }
    }

    /// Our network is another one: what was not possible may be now.
    pub(super) fn try_all_direct(&mut self) {
        for link in self.retries.waits.keys().copied().collect::<Vec<_>>() {
            self.retries.begin(self.now.mono, link);
        }
    }

    /// Offers direct links in the place of relayed ones; the signals go over these, or over a graph.
    fn retry_direct(&mut self) {
        while let Some(link) = self.retries.pop_due(self.now.mono) {
            let Some(node) = self.links.ready(link).map(|ready| ready.node) else { continue };
            if let Some(group) = self.groups.values_mut().find(|group| group.is_neighbour(link)) {
                group.offer_to(&mut ctx!(self), &mut self.links, node);
            } else if let Some(id) = self.direct.group_over(link)
                && let Some(group) = self.groups.get(&id)
            {
                group.offer_direct(&mut ctx!(self), &mut self.links, node);
            }
        }
    }

    pub(super) fn ask_relay(&mut self, Plan { group: id, via, seat }: Plan) {
        let seated = self.ways.seated(seat);
        let linked = seated.is_some_and(|it| self.links.to_node_alive(self.now, it).is_some());
        let Some(group) = self.groups.get(&id) else { return };
        // A node that is a neighbour in the group itself brings everything anyway.
        let wanted = group.has_too_few(&ctx!(self), &self.links) && !group.is_neighbour(via);
        let room = self.relayed.may_ask(id) && self.links.may_begin(Some(id));
        let Some(table) = self.sitting.table(via, id) else { return };
        if linked || !wanted || !room {
            return;
        }
        let mut token = [0; Token::BYTES];
        self.rng.fill_bytes(&mut token);
        let token = Token(token);
        let link = self.links.create(self.now, Begun::Ours(Some(id)));
        self.purposes.insert(link, Purpose::of([id]));
        self.circuits.want(link, (via, Some(seat)), token);
        self.begin_relayed(link, Origin::Asked(id));
        let attempt = self.rng.next_u64();
        let carry = Carry { table, seat, attempt, signal: token.to_signal().to_vec() };
        self.say(via, &wire::message(kind::CARRY, &carry));
        self.say(via, &wire::message(kind::RELAY_ASK, &AskRelay { token }));
    }

    /// Somebody offers a link that a relay carries: a rendezvous node at one of its tables, or one that is named.
    pub(super) fn relay_offered(
        &mut self,
        (via, seat): (LinkId, Option<u64>),
        offerer: Offerer,
        token: Token,
    ) {
        let room =
            self.links.len() < limits::LINKS_MAX && self.closing.is_none() && self.may_carry(via);
        let carrier = self.links.ready(via).map(|ready| ready.peer).filter(|_| room);
        let Some(carrier) = carrier else { return };
        let origin = match (seat, offerer) {
            (Some(seat), _) => Origin::Offered { bringer: carrier, seat },
            // Over a graph a member answers for its offers, and a neighbour for those of others that it brings.
            (None, Offerer::Member(bringer) | Offerer::Bringer(bringer)) => {
                Origin::Offered { bringer, seat: 0 }
            }
        };
        let link = self.links.create(self.now, Begun::Offered(offerer));
        self.purposes.insert(link, Purpose::accepted());
        self.circuits.want(link, (via, seat), token);
        self.begin_relayed(link, origin);
        self.say(via, &wire::message(kind::RELAY_ASK, &AskRelay { token }));
    }

    /// A relayed link is begun: others may have to give way to it.
    pub(super) fn begin_relayed(&mut self, link: LinkId, origin: Origin) {
        for gone in self.relayed.begin(link, origin) {
            self.close(gone, CloseReason::Full);
        }
    }

    /// Relayed links that lead to neighbours need no place among those that do not.
    pub(super) fn note_turned(&mut self) {
        for link in std::mem::take(&mut self.asks.turned) {
            let neighbour = self.groups.values().any(|group| group.is_neighbour(link));
            for gone in self.relayed.turned(link, neighbour) {
                self.close(gone, CloseReason::Full);
            }
        }
    }

    /// Sends what goes over relayed links: the host knows nothing of them. It goes after everything else, since what is sealed
    /// for the link to the relay is in its order already.
    pub(super) fn carry_over(&mut self) {
        let ours = |output: &Output| matches!(output, Output::Send { link, .. } if self.circuits.way(*link).is_some());
        if self.circuits.is_empty() || !self.outbox.iter().any(ours) {
            return;
        }
        let (carried, others) = std::mem::take(&mut self.outbox).into_iter().partition(ours);
        self.outbox = others;
        let carried: Outbox = carried;
        for output in carried {
            let Output::Send { link, bytes } = output else { continue };
            let Some((via, circuit)) = self.circuits.way(link) else { continue };
            self.circuits.sent(link, bytes.len() + wire::RELAYED_BYTES);
            self.say(via, &wire::relay_data(kind::RELAY_DATA, circuit, &bytes));
        }
    }

    /// Ends the transport of a link, after what was sent on it.
    pub(super) fn close_transport(&mut self, link: LinkId, reason: CloseReason) {
        if self.circuits.is_ours(link) {
            self.carry_over();
            if let Some((via, circuit)) = self.circuits.remove(link) {
                self.say(via, &wire::message(kind::RELAY_END, &EndRelay { circuit }));
            }
            return;
        }
        self.outbox.push_back(Output::Close { link, reason });
    }

    /// A link is gone: so is what it carried, for us or for others.
    pub(super) fn relay_down(&mut self, link: LinkId) {
        self.circuits.remove(link);
        self.relayed.end(link);
        self.retries.end(link);
        for relayed in self.circuits.over(link) {
            self.circuits.remove(relayed);
            self.link_down(relayed, LinkFault::Unknown);
        }
        let closed = self.relays.link_down(link);
        self.tell_ended(closed);
    }

    // --- messages ------------------------------------------------------------------------------------

    /// Takes a message of a relay, or to one. Whether it was paid for: any other is a word.
    pub(super) fn relay_message(
        &mut self,
        link: LinkId,
        kind: Kind,
        message: &Bytes,
    ) -> Result<bool, Misbehaved> {
        match kind {
            kind::RELAY_DATA => {
                let (circuit, frame) = wire::decode_relay_data(message)?;
                let bytes = frame.len() + wire::RELAYED_BYTES;
                let Some(to) = self.relays.data(self.now.mono, link, circuit, bytes)? else {
                    return Ok(false);
                };
                self.say(to, &wire::relay_data(kind::RELAYED_DATA, circuit, &frame));
                Ok(true)
            }
            kind::RELAYED_DATA => {
                let (circuit, frame) = wire::decode_relay_data(message)?;
                let Some(relayed) = self.circuits.link(link, circuit) else { return Ok(false) };
                let bytes = frame.len() + wire::RELAYED_BYTES;
                if let Some(bytes) = self.circuits.came(relayed, bytes) {
                    self.say(link, &wire::message(kind::RELAY_TAKEN, &Taken { circuit, bytes }));
                }
                self.frame(relayed, frame);
                Ok(true)
            }
            kind::RELAY_TAKEN => {
                let Taken { circuit, bytes } = wire::decode(&message[1..])?;
                let taken = self.relays.taken(self.now.mono, link, circuit, bytes);
                if let Some(credit) = taken.credit {
                    self.send_credit(credit);
                }
                Ok(taken.counts)
            }
            kind::RELAY_CREDIT => {
                let Taken { circuit, bytes } = wire::decode(&message[1..])?;
                let Some(relayed) = self.circuits.link(link, circuit) else { return Ok(false) };
                let left = self.circuits.taken(relayed, bytes);
                self.buffered(relayed, left);
                Ok(bytes > 0)
            }
            _ => Ok(false),
        }
    }

    /// Somebody asks us to relay. A peer for which we do not relay gets no answer.
    pub(super) fn relay_asked(&mut self, link: LinkId, body: &[u8]) -> Result<(), Misbehaved> {
        let AskRelay { token } = wire::decode(body)?;
        let member = |group: &Group| group.is_neighbour(link);
        let may = self.config.rendezvous || self.groups.values().any(|group| member(group));
        if !self.config.relay || !may {
            return Ok(());
        }
        let Some(peer) = self.links.ready(link).map(|ready| ready.peer) else { return Ok(()) };
        let source = self.links.get(link).and_then(|link| link.source);
        let party = source.map_or(Party::Peer(peer), Party::Source);
        let Outcome { paired, closed } = self.relays.ask(self.now.mono, link, party, token);
        if let Some((token, circuit, ends)) = paired {
            for end in ends {
                self.say(end, &wire::message(kind::RELAYED, &Relayed { token, circuit }));
            }
        }
        self.tell_ended(closed);
        Ok(())
    }

    /// A relay has joined us to the other end: a link of ours is open.
    pub(super) fn relayed(&mut self, via: LinkId, body: &[u8]) -> Result<(), Misbehaved> {
        let Relayed { token, circuit } = wire::decode(body)?;
        if let Some(link) = self.circuits.joined(via, token, circuit) {
            self.link_up(link, Transport::Relay);
        } else if self.circuits.link(via, circuit).is_none() {
            // We have given up meanwhile.
            self.say(via, &wire::message(kind::RELAY_END, &EndRelay { circuit }));
        }
        Ok(())
    }

    /// An end leaves a circuit of ours.
    pub(super) fn relay_left(&mut self, link: LinkId, body: &[u8]) -> Result<(), Misbehaved> {
        let EndRelay { circuit } = wire::decode(body)?;
        let closed = self.relays.close(link, circuit);
        self.tell_ended(closed);
        Ok(())
    }

    /// A relay tells that a circuit is no more.
    pub(super) fn relay_ended(&mut self, via: LinkId, body: &[u8]) -> Result<(), Misbehaved> {
        let EndRelay { circuit } = wire::decode(body)?;
        if let Some(link) = self.circuits.link(via, circuit) {
            self.circuits.remove(link);
            self.link_down(link, LinkFault::Unknown);
        }
        Ok(())
    }

    fn tell_ended(&mut self, closed: Vec<(LinkId, Circuit)>) {
        for (link, circuit) in closed {
            self.say(link, &wire::message(kind::RELAY_ENDED, &EndRelay { circuit }));
        }
    }

    fn send_credit(&mut self, Credit { link, circuit, bytes }: Credit) {
        self.say(link, &wire::message(kind::RELAY_CREDIT, &Taken { circuit, bytes }));
    }

    fn say(&mut self, link: LinkId, message: &Message) {
        self.links.send(self.now, link, message, &mut self.outbox);
    }
}
