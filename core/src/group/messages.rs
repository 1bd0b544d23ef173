//! Messages of a graph: which one a slot takes in which state, and who reads it.
use super::{Ctx, Group, SlotState, Verdict};
use crate::error::Misbehaved;
use crate::io::LinkId;
use crate::link::Links;
use crate::wire;
use crate::wire::kind::{self, Kind};
use bytes::Bytes;
use minicbor::Encode;

impl Group {
    /// Takes one message of this graph.
    pub(crate) fn message(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        kind: Kind,
        body: &Bytes,
    ) -> Result<Option<Verdict>, Misbehaved> {
        let Some(slot) = self.slots.get(&link) else { return Ok(None) };
        let state = slot.state;
        let neighbour = state == SlotState::Neighbour;
        match (kind, state) {
            (kind::OPENED, SlotState::Opening) => self.on_opened(ctx, links, link, body)?,
            (kind::NOT_OPENED, SlotState::Opening) => self.on_not_opened(ctx, links, link),
            (kind::REDEEM, SlotState::Opened | SlotState::Guest) => {
                self.on_redeem(ctx, links, link, body)?;
            }
            (kind::ASK_PASSWORD, SlotState::Opened | SlotState::Guest) => {
                self.on_ask_password(ctx, links, link, body)?;
            }
            (kind::ANSWER_PASSWORD, SlotState::Redeeming) => {
                self.on_answer_password(ctx, links, link, body)?;
            }
            (kind::PROVE_PASSWORD, SlotState::Guest) => {
                self.on_prove_password(ctx, links, link, body)?;
            }
            (kind::LOOK, SlotState::Opened | SlotState::Guest) => {
                self.on_look(ctx, links, link, body)?;
            }
            // It was on its way when we became a neighbour of its sender.
            (kind::LOOK, _) if slot.welcomed_ahead => {}
            (kind::SHOWN, _) if slot.looks > 0 => self.on_shown(ctx, links, link, body)?,
            (kind::GRANTED, SlotState::Redeeming) => self.on_granted(ctx, links, link, body)?,
            (kind::NOT_GRANTED, SlotState::Redeeming) => {
                self.on_not_granted(ctx, links, link, body)?;
            }
            (kind::CONNECT, SlotState::Neighbour | SlotState::Idle) if slot.welcomed_ahead => {
                self.on_late_connect(ctx, link, body)?;
            }
            // Both asked at once: who opened the graph has its way.
            (kind::CONNECT, SlotState::Connecting) if slot.opener => {}
            (
                kind::CONNECT,
                SlotState::Opened
                | SlotState::Guest
                | SlotState::Idle
                | SlotState::Refused
                | SlotState::Connecting,
            ) => {
                self.on_connect(ctx, links, link, body)?;
            }
            (kind::WELCOME, SlotState::Connecting) => self.on_welcome(ctx, links, link, body)?,
            (kind::REFUSE, SlotState::Connecting | SlotState::Idle | SlotState::Neighbour) => {
                self.on_refuse(ctx, links, link, body)?;
            }
            (kind::DISCONNECT, _) if state.is_member() => {
                self.on_disconnect(ctx, links, link, body)?;
            }
            (kind::FLOOD, _) if neighbour => self.on_flood(ctx, link, body)?,
            (kind::ACK, _) if neighbour => self.on_ack(ctx, link, body)?,
            (kind::ANNOUNCE, _) if neighbour => self.on_announce(ctx, link, body)?,
            (kind::REQUEST, _) if neighbour => self.on_request(ctx, links, link, body)?,
            (kind::SYNC, _) if neighbour => self.on_sync(ctx, links, link, body)?,
            (kind::WANT, _) if neighbour => self.on_want(ctx, links, link, body)?,
            (kind::GIVEN, _) if neighbour => self.on_given(ctx, links, link, body)?,
            (kind::SYNC_END, _) if neighbour => self.on_sync_end(ctx, links, link, body)?,
            (kind::DECLINE, _) if neighbour => self.on_decline(link, body)?,
            (kind::BROADCAST, _) if neighbour => self.on_broadcast(ctx, links, link, body)?,
            (kind::BROADCAST_WISHES, _) if neighbour => {
                self.on_broadcast_wishes(ctx, link, body)?
            }
            (kind::BEAT, _) if neighbour => self.on_beat(ctx, links, link, body)?,
            (kind::ASK_TIME, _) if neighbour => self.on_ask_time(ctx, links, link, body)?,
            (kind::TIME, _) if neighbour => self.on_time(ctx, link, body)?,
            (kind::SIGNAL, _) if state.has_signals() => {
                return self.on_signal(ctx, links, link, body).map(Some);
            }
            // Messages that were under way when the neighbourhood ended are normal.
            (kind::BEAT | kind::ASK_TIME | kind::TIME | kind::DISCONNECT, _)
                if state.was_neighbour() => {}
            (bulk, _) if bulk.is_bulk() && state.was_neighbour() => {}
            (kind::REFUSE, SlotState::Refused) => {}
            // The sender takes us for a member or a guest, and we cannot say so yet, or no longer.
            (
                kind::SIGNAL,
                SlotState::Opened
                | SlotState::Redeeming
                | SlotState::Connecting
                | SlotState::Refused,
            ) => {}
            _ => return Err(Misbehaved::Unexpected),
        }
        Ok(None)
    }

    /// Sends a message of this graph over `link`.
    pub(super) fn send(
        &self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        kind: Kind,
        body: &impl Encode<()>,
    ) {
        if let Some(slot) = self.slots.get(&link) {
            let message = wire::graph_message(kind, slot.number, body);
            links.send(ctx.now, link, &message, ctx.out);
        }
    }
}
