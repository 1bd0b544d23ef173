//! Presence: who is here.
//!
//! A node that is there says so by a record, which names it and where it can be dialled. The record lives for
//! [`PRESENCE_LIFETIME`] and is renewed before its end; a node that leaves withdraws it.
use super::internal::Meaning;
use super::membership::{Internal, kind_of};
use super::signature::LOST_AFTER;
use super::{Group, Present, Timer};
use crate::id::{NodeId, RecordId};
use crate::io::LinkId;
use crate::limits;
use crate::node::Ctx;
use crate::record::{self, Record, RecordType};
use crate::storage::Class;
use crate::wire;
use bytes::Bytes;
use minicbor::{Decode, Encode};
use std::time::Duration;

/// How long a presence record lives, and how long before its end it is renewed. Source: reference 2.1.
const PRESENCE_LIFETIME: Duration = Duration::from_secs(300);
const PRESENCE_RENEWED: Duration = Duration::from_secs(240);

/// Payload of a presence record.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Presence {
    #[n(0)]
    node: NodeId,
    #[n(1)]
    addresses: Vec<crate::address::Address>,
}

impl Group {
    /// Whether a node says that it is here.
    pub(crate) fn is_present(&self, node: NodeId) -> bool {
        self.present.contains_key(&node)
    }

    /// A presence record was stored.
    pub(super) fn presence_changed(&mut self, ctx: &mut Ctx<'_>, record: &Record) {
        let peer = record.creator;
        if record.deleted {
            let gone = self.present.iter().find(|(_, present)| present.record == record.id);
            if let Some(node) = gone.map(|(&node, _)| node) {
                self.present.remove(&node);
                self.repair.found(node);
                self.tell_of_member(ctx, peer);
            }
            return;
        }
        let Ok(mut presence) = wire::decode::<Presence>(&record.payload) else { return };
        presence.addresses.truncate(limits::ADDRESSES_MAX);
        if presence.node != ctx.node {
            self.know(ctx, &presence.addresses);
            if self.peer_time(ctx.now.wall) < record.modified.after(LOST_AFTER) {
                self.repair.found(presence.node);
            }
        }
        let present = Present { peer, addresses: presence.addresses, record: record.id };
        if self.present.insert(presence.node, present).is_none() {
            self.tell_of_member(ctx, peer);
        }
    }

    /// Says that we are here, or says it again.
    pub(super) fn publish_presence(&mut self, ctx: &mut Ctx<'_>) {
        if self.valid_chain(ctx).is_err() {
            return;
        }
        let already = self.own_presence.is_some();
        if !already && self.present.len() as u64 >= self.presence_max {
            self.timers.set(Timer::Presence, ctx.now.mono.after(PRESENCE_RENEWED));
            return;
        }
        let presence = Presence { node: ctx.node, addresses: ctx.addresses.to_vec() };
        let payload = wire::encode(&presence);
        let id = RecordId::new(ctx.identity.peer_id(), ctx.node.0);
        let until = self.peer_time(ctx.now.wall).after(PRESENCE_LIFETIME);
        let how = Internal { id: Some(id), until: Some(until), ..Internal::default() };
        self.publish_internal(ctx, kind_of(RecordType::PRESENCE), &payload, how);
        self.own_presence = Some(id);
        self.timers.set(Timer::Presence, ctx.now.mono.after(PRESENCE_RENEWED));
    }

    /// Our addresses changed: presence says so.
    pub(crate) fn addresses_changed(&mut self, ctx: &mut Ctx<'_>) {
        if self.own_presence.is_some() {
            self.publish_presence(ctx);
        }
    }

    /// Withdraws our presence.
    pub(super) fn withdraw_presence(&mut self, ctx: &mut Ctx<'_>) {
        let Some(id) = self.own_presence.take() else { return };
        self.timers.clear(Timer::Presence);
        self.withdraw(ctx, RecordType::PRESENCE, id);
    }

    /// Withdraws a record of ours of this class; the tombstone goes out before the links close.
    pub(super) fn withdraw(&mut self, ctx: &mut Ctx<'_>, kind: &str, id: RecordId) {
        let (Some(chain), Some(meta)) = (&self.chain, self.index(Class::Presence).get(&id)) else {
            return;
        };
        let now = self.peer_time(ctx.now.wall);
        let record = Record {
            id,
            kind: kind_of(kind),
            version: record::next_version(now, meta.version),
            creator: ctx.identity.peer_id(),
            modifier: Some(ctx.identity.peer_id()),
            created: meta.created,
            modified: now.max(meta.created.after(Duration::from_millis(1))),
            expires: meta.expires.max(now.after(Duration::from_secs(2))),
            deleted: true,
            attributes: Vec::new(),
            payload: Bytes::new(),
            serial: chain.serial(),
            signature: [0; 64],
        };
        let signed = record.sign(self.id, ctx.identity);
        let bytes = signed.bytes().clone();
        let chain = chain.clone();
        self.store_record(ctx, signed, &chain, Meaning::TakenBack, None, None);
        // To every neighbour at once: nobody could ask us for it later.
        let neighbours: Vec<LinkId> = self.neighbours().map(|(link, _)| link).collect();
        for link in neighbours {
            self.flood_to(link, bytes.clone());
        }
    }

    /// A presence record ended without renewal.
    pub(super) fn presence_expired(&mut self, ctx: &mut Ctx<'_>, id: RecordId) {
        let gone = self.present.iter().find(|(_, present)| present.record == id);
        if let Some(node) = gone.map(|(&node, _)| node)
            && let Some(Present { peer, addresses, .. }) = self.present.remove(&node)
        {
            self.miss(ctx, node, addresses, Vec::new());
            self.tell_of_member(ctx, peer);
        }
    }
}
