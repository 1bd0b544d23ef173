//! Presence: who is here.
//!
//! A node that is there says so by a record, which names it, where it can be dialled, and what it says of itself. The
//! record lives for [`PRESENCE_LIFETIME`] and is renewed before its end; a node that leaves withdraws it. A node that its
//! neighbours have lost goes sooner, see `silence.rs`.
//!
//! The group's properties say how many nodes do so ([`is_wanted`]): all, about N, or none; a node whose application
//! wants it does in any case. Where there are far fewer than N, a newcomer says it at once. Else it waits and looks
//! again, and so does one that is too many, so that the number stays between N and N + [`HYSTERESIS`].
use super::internal::Meaning;
use super::membership::kind_of;
use super::signature::LOST_AFTER;
use super::{Group, Present, Timer};
use crate::error::{BadRecord, Error};
use crate::group::Ctx;
use crate::id::{NodeId, NodeNonce, RecordId};
use crate::io::{Event, LinkId, NodeChange, NodeInfo};
use crate::limits;
use crate::record::{self, Attribute, Record, RecordType};
use crate::sorted::Entry;
use crate::storage::Class;
use crate::time::Time;
use crate::wire;
use minicbor::{Decode, Encode};
use std::time::Duration;

/// How long a presence record lives. Guess after the reference's 300 s at least: with [`PRESENCE_RENEWED`] it leaves room
/// for three minutes, which a renewal takes where the timers of all run once a minute: to be made, to be announced, to
/// be asked for.
pub(super) const PRESENCE_LIFETIME: Duration = Duration::from_secs(360);
/// How much longer others let it live. Guess: peer time moves between the making of a record and its end.
const LIFE_SKEW: Duration = Duration::from_secs(60);
/// How long after its publication it is renewed.
const PRESENCE_RENEWED: Duration = Duration::from_secs(150);
/// So many more than wanted before one withdraws. Source: reference 2.1.
const HYSTERESIS: u64 = 10;
/// A node waits so long, at least and at most, before it looks again whether it is wanted. Source: reference 2.1.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(180));

/// Payload of a presence record.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Presence {
    /// With the peer id it makes the node's id: nobody says of another's node that it is here.
    #[n(0)]
    nonce: NodeNonce,
    #[cbor(n(1), decode_with = "crate::address::decode_known")]
    addresses: Vec<crate::address::Address>,
}

/// Checks what a presence record says: it is about one node of its creator, and does not outlive it for long.
pub(super) fn check(record: &Record) -> Result<(), BadRecord> {
    let presence: Presence = wire::decode(&record.payload).map_err(|_| BadRecord::Encoding)?;
    let node = NodeId::of(record.creator, presence.nonce);
    if record.id != RecordId::new(record.creator, RecordType::PRESENCE, node.0) {
        return Err(BadRecord::ForeignId);
    }
    if presence.addresses.len() > limits::ADDRESSES_MAX {
        return Err(BadRecord::Encoding);
    }
    check_attributes(&record.attributes)?;
    check_life(record, PRESENCE_LIFETIME)
}

/// Checks how long a record about a node may live.
pub(super) fn check_life(record: &Record, life: Duration) -> Result<(), BadRecord> {
    let until = record.modified.after(life).after(LIFE_SKEW);
    if record.expires <= until { Ok(()) } else { Err(BadRecord::Times) }
}

/// Everybody keeps what nodes say of themselves in memory.
fn check_attributes(attributes: &[Attribute]) -> Result<(), BadRecord> {
    let bytes = record::attributes_bytes(attributes);
    let few = bytes <= limits::PRESENCE_ATTRIBUTES_BYTES_MAX;
    if few { Ok(()) } else { Err(BadRecord::TooManyAttributes) }
}

/// Whether a node should say that it is here, where `present` do and the group wants `max`. `u64::MAX` is everybody, 0
/// nobody.
fn is_wanted(present: u64, max: u64, already: bool) -> bool {
    if already { max > 0 && present <= max.saturating_add(HYSTERESIS) } else { present < max }
}

/// The contents of a record of ours about this node.
pub(super) struct Said {
    pub(super) attributes: Vec<Attribute>,
    pub(super) payload: Vec<u8>,
    pub(super) lifetime: Duration,
}

impl Group {
    /// Whether a node says that it is here.
    pub(crate) fn is_present(&self, node: NodeId) -> bool {
        self.present.contains_key(&node)
    }

    /// The nodes that say that they are here, by id.
    pub(crate) fn node_infos(&self) -> Vec<NodeInfo> {
        let heard = self.present.iter().filter(|(node, _)| !self.silence.is_silent(**node));
        heard.map(|(&node, present)| present.info(node)).collect()
    }

    /// A presence record was stored.
    pub(super) fn presence_changed(&mut self, ctx: &mut Ctx<'_>, record: &Record) {
        if record.deleted {
            if let Some(node) = self.present_by(record.id) {
                self.gone(ctx, node);
                self.repair.found(node);
            }
            return;
        }
        let Ok(mut presence) = wire::decode::<Presence>(&record.payload) else { return };
        presence.addresses.truncate(limits::ADDRESSES_MAX);
        let node = NodeId::of(record.creator, presence.nonce);
        if node != ctx.node {
            self.know(ctx, record.creator, &presence.addresses);
            if self.peer_time(ctx.now.wall) < record.modified.after(LOST_AFTER) {
                self.repair.found(node);
            }
        }
        // A record that took long shows no more life than it had.
        let age = self.peer_time(ctx.now.wall).0.saturating_sub(record.modified.0);
        let heard = ctx.now.mono.as_micros().checked_sub(age.saturating_mul(1_000));
        let present = Present {
            peer: record.creator,
            addresses: presence.addresses,
            attributes: record.attributes.clone(),
            record: record.id,
            sign: self.present.get(&node).map_or(0, |it| it.sign).max(record.modified.0),
            heard: heard.map(Time::from_micros),
        };
        let now = present.info(node);
        let before = self.set_present(node, Some(present)).map(|before| before.info(node));
        let back = self.end_doubt(ctx, node);
        let change = match before {
            _ if self.silence.is_silent(node) => None,
            None => Some(NodeChange::Connected),
            Some(_) if back => Some(NodeChange::Connected),
            Some(before) => (before != now).then_some(NodeChange::Updated),
        };
        if change == Some(NodeChange::Connected) {
            self.tell_of_member(ctx, record.creator);
        }
        if let Some(change) = change {
            let group = self.id;
            self.event(ctx, Event::Node { group, node: now, change });
        }
        if self.own_presence.is_some() && !self.wants_presence() {
            self.look_again(ctx);
        }
    }

    /// A presence record ended without renewal.
    pub(super) fn presence_expired(&mut self, ctx: &mut Ctx<'_>, id: RecordId) {
        if let Some(node) = self.present_by(id)
            && let Some(present) = self.gone(ctx, node)
        {
            self.miss(ctx, node, present.addresses, Vec::new());
        }
    }

    /// A presence record gave way to others of its creator.
    pub(super) fn presence_dropped(&mut self, ctx: &mut Ctx<'_>, id: RecordId) {
        if let Some(node) = self.present_by(id) {
            self.gone(ctx, node);
        }
    }

    /// A node is not here any more.
    fn gone(&mut self, ctx: &mut Ctx<'_>, node: NodeId) -> Option<Present> {
        let present = self.set_present(node, None)?;
        if self.silence.forget(node) {
            // The application knows.
            return Some(present);
        }
        self.tell_of_member(ctx, present.peer);
        let (group, info) = (self.id, present.info(node));
        self.event(ctx, Event::Node { group, node: info, change: NodeChange::Disconnected });
        Some(present)
    }

    /// Notes who a node is that says it is here, or that it ceases to. Answers what it said before.
    fn set_present(&mut self, node: NodeId, present: Option<Present>) -> Option<Present> {
        let peer = present.as_ref().map(|present| present.peer);
        let before = match present {
            Some(present) => self.present.insert(node, present),
            None => self.present.remove(&node),
        };
        if let Some(before) = &before {
            self.present_records.remove(&before.record);
        }
        if let Some(present) = self.present.get(&node) {
            self.present_records.insert(present.record, node);
        }
        if let Some(before) = &before
            && let Entry::Occupied(mut nodes) = self.present_of.entry(before.peer)
        {
            nodes.get_mut().remove(&node);
            if nodes.get().is_empty() {
                nodes.remove();
            }
        }
        if let Some(peer) = peer {
            self.present_of.entry(peer).or_default().insert(node);
        }
        before
    }

    /// The node of which a record says that it is here.
    pub(super) fn present_by(&self, record: RecordId) -> Option<NodeId> {
        self.present_records.get(&record).copied()
    }

    /// Whether this node should say that it is here.
    fn wants_presence(&self) -> bool {
        let (present, already) = (self.present.len() as u64, self.own_presence.is_some());
        self.presence_forced || is_wanted(present, self.presence_max, already)
    }

    fn look_again(&mut self, ctx: &mut Ctx<'_>) {
        let wait = Self::between(ctx, LOOK_AGAIN.0, LOOK_AGAIN.1);
        self.timers.set_earlier(Timer::Presence, ctx.now.mono.after(wait));
    }

    /// Says that we are here, says it again, or ceases to, as is wanted.
    pub(super) fn review_presence(&mut self, ctx: &mut Ctx<'_>) {
        if self.wants_presence() {
            self.publish_presence(ctx);
        } else {
            self.withdraw_presence(ctx);
            self.look_again(ctx);
        }
    }

    fn publish_presence(&mut self, ctx: &mut Ctx<'_>) {
        let presence = Presence { nonce: ctx.nonce, addresses: ctx.addresses.to_vec() };
        let id = RecordId::new(ctx.identity.peer_id(), RecordType::PRESENCE, ctx.node.0);
        let said = Said {
            attributes: self.own_attributes.clone(),
            payload: wire::encode(&presence),
            lifetime: PRESENCE_LIFETIME,
        };
        // A member whose membership has ended no longer publishes presence.
        if self.say(ctx, RecordType::PRESENCE, id, Some(said)).is_ok() {
            self.own_presence = Some(id);
            self.timers.set(Timer::Presence, ctx.now.mono.after(PRESENCE_RENEWED));
        }
    }

    /// Notes what the application wants us to say of ourselves.
    pub(crate) fn present_as(
        &mut self,
        ctx: &mut Ctx<'_>,
        attributes: Vec<Attribute>,
        forced: bool,
    ) -> Result<(), Error> {
        record::check_attributes(&attributes).map_err(Error::from)?;
        check_attributes(&attributes)?;
        self.valid_chain(ctx)?;
        (self.own_attributes, self.presence_forced) = (attributes, forced);
        if self.ready {
            self.review_presence(ctx);
        }
        Ok(())
    }

    /// Our addresses changed: what we say of ourselves says so.
    pub(crate) fn addresses_changed(&mut self, ctx: &mut Ctx<'_>) {
        if self.own_presence.is_some() {
            self.publish_presence(ctx);
        }
        if self.is_contact() {
            self.publish_contact(ctx);
        }
    }

    /// Withdraws our presence.
    pub(super) fn withdraw_presence(&mut self, ctx: &mut Ctx<'_>) {
        self.timers.clear(Timer::Presence);
        if let Some(id) = self.own_presence.take() {
            let _ = self.say(ctx, RecordType::PRESENCE, id, None);
        }
    }

    /// Publishes a record of ours about this node, or takes it back. A tombstone goes out before the links close.
    pub(super) fn say(
        &mut self,
        ctx: &mut Ctx<'_>,
        kind: &str,
        id: RecordId,
        said: Option<Said>,
    ) -> Result<(), Error> {
        // A member whose membership has ended may still say that it goes.
        let chain = match said {
            Some(_) => self.valid_chain(ctx)?.clone(),
            None => self.chain.clone().ok_or(Error::UnknownGroup)?,
        };
        let before = self.index(Class::Presence).get(&id);
        let before = before.map(|meta| (meta.version, meta.created, meta.expires));
        let deleted = said.is_none();
        if deleted && before.is_none() {
            return Ok(());
        }
        self.publish_membership_once(ctx)?;
        let me = ctx.identity.peer_id();
        let now = self.peer_time(ctx.now.wall);
        let (seen, created, ends) = before.unwrap_or((0, now, now));
        let changed = now.max(created.after(Duration::from_millis(1)));
        let modified = if before.is_some() { changed } else { now };
        // A tombstone outlives what it hides.
        let expires = match &said {
            Some(said) => modified.after(said.lifetime),
            None => ends.max(modified.after(Duration::from_secs(2))),
        };
        let (attributes, payload) =
            said.map_or_else(Default::default, |s| (s.attributes, s.payload));
        let record = Record {
            id,
            kind: kind_of(kind),
            version: self.next_version(ctx, Some((id, seen))),
            creator: me,
            modifier: before.is_some().then_some(me),
            created,
            modified,
            expires: expires.min(chain.not_after()),
            deleted,
            attributes,
            payload: payload.into(),
            certificate: chain.id(),
            beginning: None,
            signature: [0; 64],
        };
        record.check(self.payload_bytes_max())?;
        let signed = ctx.sign(self.id, record);
        let bytes = signed.bytes().clone();
        let meaning = if deleted { Meaning::TakenBack } else { Meaning::Nothing };
        self.store_record(ctx, signed, &chain, meaning, None, None);
        if deleted {
            // To every neighbour at once: nobody could ask us for it later.
            let neighbours: Vec<LinkId> = self.neighbours().map(|(link, _)| link).collect();
            for link in neighbours {
                self.flood_to(link, bytes.clone());
            }
        }
        Ok(())
    }
}

impl Present {
    pub(super) fn info(&self, node: NodeId) -> NodeInfo {
        NodeInfo {
            node,
            peer: self.peer,
            addresses: self.addresses.clone(),
            attributes: self.attributes.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_say_who_is_present() {
        assert!(is_wanted(1_000_000, u64::MAX, false), "everybody");
        assert!(is_wanted(1_000_000, u64::MAX, true));
        assert!(!is_wanted(0, 0, false), "nobody");
        assert!(!is_wanted(1, 0, true), "who is, ceases to be");
        assert!(is_wanted(49, 50, false), "about fifty");
        assert!(!is_wanted(50, 50, false));
        assert!(is_wanted(60, 50, true), "who is, stays for a while");
        assert!(!is_wanted(61, 50, true));
    }
}
