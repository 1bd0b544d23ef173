//! Contacts: a few nodes, about log2 of all, of whom everybody knows how to reach them should the graph fall apart.
//!
//! They elect themselves. Node ids are random, so the nodes with the lowest ids are as good a choice as any, and one on
//! which all agree without a word: a node becomes a contact while fewer than [`Group::contacts_wanted`] contacts have a
//! lower id, and ceases to be one while [`CONTACTS_BAND`] more than that have. Between the thought and the deed lies a
//! wait of [`STANDING_WAIT`], after which it looks again. A contact's record says how to reach it and which signature it
//! sees; it is published again when that changes, and before it ends.
//!
//! **Size of the graph.** Of n random ids in 0…2^64 the k-th lowest is about k/(n + 1) of the way, so that
//! (k − 1) · 2^64 / id of the k-th lowest contact estimates n without bias, with a relative standard error of about
//! 1/√(k − 2): 58 % at 5 contacts, 35 % at 10. (The reference takes k = 1, whose error has no bound.)
use super::presence::Said;
use super::presence::check_life;
use super::signature::Claim;
use super::{Group, Timer};
use crate::address::{self, Address};
use crate::error::BadRecord;
use crate::group::Ctx;
use crate::id::{Digest, NodeId, NodeNonce, PeerId, RecordId};
use crate::limits;
use crate::record::{Record, RecordType};
use crate::share::Shares;
use crate::time::Time;
use crate::wire;
use minicbor::{Decode, Encode};
use rand_chacha::rand_core::Rng as _;
use std::time::Duration;

/// How long a contact record lives, and how long before its end it is renewed. Guess after the reference's 900 s: a contact
/// that is gone is noticed sooner, and a renewal may be two minutes late (throttled tabs).
pub(super) const CONTACT_LIFETIME: Duration = Duration::from_secs(300);
const CONTACT_RENEWED: Duration = Duration::from_secs(150);
/// A contact that sees another signature says so after about this. Guess: while a graph grows, it may change again.
const NEWS_WAIT: Duration = Duration::from_secs(2);
/// A node waits so long, at least and at most, before it becomes or ceases to be a contact. Source: reference 2.1.
const STANDING_WAIT: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(180));
/// Contacts of the smallest graph. Source: reference 2.1.
const CONTACTS_LEAST: usize = 5;
/// So many more before one withdraws. Source: reference 2.1.
const CONTACTS_BAND: usize = 5;

/// Payload of a contact record.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Says {
    /// With the peer id it makes the node's id.
    #[n(0)]
    nonce: NodeNonce,
    /// Its own id where it holds the signature.
    #[n(1)]
    signature: NodeId,
    #[cbor(n(2), decode_with = "address::decode_known")]
    addresses: Vec<Address>,
    /// Nodes at which it can be met, where it cannot be dialled.
    #[cbor(n(3), decode_with = "address::decode_known")]
    rendezvous: Vec<Address>,
    /// End of the chain of its beats, where it holds the signature.
    #[n(4)]
    beats: Option<Digest>,
}

/// A contact, as its record says.
pub(super) struct Contact {
    pub(super) node: NodeId,
    peer: PeerId,
    /// As that contact sees it.
    pub(super) signature: NodeId,
    pub(super) addresses: Vec<Address>,
    pub(super) rendezvous: Vec<Address>,
    pub(super) claim: Option<Claim>,
}

/// Checks what a contact record says: it is about one node of its creator, and does not outlive it for long.
pub(super) fn check(record: &Record) -> Result<(), BadRecord> {
    let says: Says = wire::decode(&record.payload).map_err(|_| BadRecord::Encoding)?;
    if record.id != record_of(record.creator, NodeId::of(record.creator, says.nonce)) {
        return Err(BadRecord::ForeignId);
    }
    check_life(record, CONTACT_LIFETIME)
}

/// A node has one contact record, beside its presence.
fn record_of(peer: PeerId, node: NodeId) -> RecordId {
    RecordId::new(peer, RecordType::CONTACT, node.0)
}

impl Group {
    /// Whether we are a contact.
    pub(super) fn is_contact(&self) -> bool {
        self.own_contact.is_some()
    }

    /// Ids of the contacts in our part of the graph, lowest first.
    fn contacts_here(&self) -> Vec<NodeId> {
        let here = |signature| self.signature.current == Some(signature);
        let contacts = self.contacts.values().filter(|contact| here(contact.signature));
        let mut nodes: Vec<NodeId> = contacts.map(|contact| contact.node).collect();
        nodes.sort_unstable();
        nodes
    }

    /// How many nodes our part of the graph has, about.
    pub(super) fn size(&self) -> u64 {
        let contacts = self.contacts_here();
        let known = self.present.len().max(self.neighbours().count() + 1).max(contacts.len());
        estimate(&contacts).max(known as u64)
    }

    /// How many contacts there should be at least.
    fn contacts_wanted(&self) -> usize {
        CONTACTS_LEAST.max(self.size().ilog2() as usize)
    }

    /// Whether we should begin, or cease, to be a contact.
    fn should_change(&self, ctx: &Ctx<'_>) -> bool {
        if self.signature.current.is_none() || self.holds_signature() {
            return false;
        }
        let lower = self.contacts_here().iter().filter(|&&node| node < ctx.node).count();
        let wanted = self.contacts_wanted();
        if self.is_contact() { lower >= wanted + CONTACTS_BAND } else { lower < wanted }
    }

    /// Something that bears on the number of contacts changed.
    fn review_standing(&mut self, ctx: &mut Ctx<'_>) {
        if self.should_change(ctx) {
            let (least, most) = STANDING_WAIT;
            let wait = Self::between(ctx, least, most);
            self.timers.set_if_unarmed(Timer::Standing, ctx.now.mono.after(wait));
        } else {
            self.timers.clear(Timer::Standing);
        }
    }

    /// The wait is over: we become a contact, or cease to be one, if that is still right.
    pub(super) fn change_standing(&mut self, ctx: &mut Ctx<'_>) {
        if !self.should_change(ctx) || self.neighbours().next().is_none() {
            return;
        }
        if self.is_contact() { self.withdraw_contact(ctx) } else { self.publish_contact(ctx) }
    }

    /// A moment between two, drawn evenly.
    pub(super) fn between(ctx: &mut Ctx<'_>, least: Duration, most: Duration) -> Duration {
        let span = (most - least).as_micros() as u64;
        least + Duration::from_micros(ctx.rng.next_u64() % (span + 1))
    }

    /// Our part of the graph has another signature.
    pub(super) fn signature_changed(&mut self, ctx: &mut Ctx<'_>) {
        self.repair.learned();
        if self.is_contact() && !self.holds_signature() {
            let wait = Self::jitter(ctx, NEWS_WAIT);
            self.timers.set_earlier(Timer::Contact, ctx.now.mono.after(wait));
        }
        self.review_standing(ctx);
        self.repair_soon(ctx);
    }

    /// Says how to reach us and which signature we see, or says it again.
    pub(super) fn publish_contact(&mut self, ctx: &mut Ctx<'_>) {
        let next = Self::jitter(ctx, CONTACT_RENEWED);
        self.timers.set(Timer::Contact, ctx.now.mono.after(next));
        let beats = self.renew_beats(ctx);
        let seen = if beats.is_some() { Some(ctx.node) } else { self.signature.current };
        // Alone, there is nobody to tell.
        let Some(signature) = seen.filter(|_| self.neighbours().next().is_some()) else { return };
        let rendezvous = ctx.dialer.addresses().take(limits::ADDRESSES_MAX).cloned().collect();
        let addresses = ctx.addresses.to_vec();
        let says = Says { nonce: ctx.nonce, signature, addresses, rendezvous, beats };
        let id = record_of(ctx.identity.peer_id(), ctx.node);
        let payload = wire::encode(&says);
        let new = self.own_contact.replace(id).is_none();
        let said = Said { attributes: Vec::new(), payload, lifetime: CONTACT_LIFETIME };
        if self.say(ctx, RecordType::CONTACT, id, Some(said)).is_err() {
            return;
        }
        // Rendezvous nodes tell the parts of a graph apart by what contacts say there.
        ctx.asks.sit.insert(self.id);
        if new {
            self.repair_soon(ctx);
        }
    }

    /// Ceases to be a contact.
    pub(super) fn withdraw_contact(&mut self, ctx: &mut Ctx<'_>) {
        let Some(id) = self.own_contact.take() else { return };
        for timer in [Timer::Contact, Timer::Beat, Timer::Standing, Timer::Repair] {
            self.timers.clear(timer);
        }
        self.signature.beats = None;
        let _ = self.say(ctx, RecordType::CONTACT, id, None);
    }

    /// A contact record was stored.
    pub(super) fn contact_changed(&mut self, ctx: &mut Ctx<'_>, record: &Record) {
        if record.deleted {
            if let Some(contact) = self.contacts.remove(&record.id) {
                self.repair.found(contact.node);
            }
        } else if let Some(contact) = self.read_contact(ctx, record) {
            if contact.node != ctx.node && Some(contact.signature) == self.signature.current {
                self.repair.found(contact.node);
            }
            self.contacts.insert(record.id, contact);
            self.bound_contacts();
        }
        self.contacts_changed(ctx);
    }

    /// Forgets a contact of the peer that has most where there are too many.
    fn bound_contacts(&mut self) {
        if self.contacts.len() as u64 <= limits::CONTACTS.all() {
            return;
        }
        let mut shares = Shares::new(limits::CONTACTS);
        self.contacts.values().for_each(|contact| shares.book(&contact.peer, 1));
        let greatest = shares.greatest().copied();
        let theirs = |contact: &Contact| Some(contact.peer) == greatest;
        let one = self.contacts.iter().find(|(_, contact)| theirs(contact)).map(|(&id, _)| id);
        one.map(|id| self.contacts.remove(&id));
    }

    /// A contact record gave way to others of its creator.
    pub(super) fn contact_dropped(&mut self, ctx: &mut Ctx<'_>, id: RecordId) {
        if self.contacts.remove(&id).is_some() {
            self.contacts_changed(ctx);
        }
    }

    fn read_contact(&self, ctx: &Ctx<'_>, record: &Record) -> Option<Contact> {
        let mut says: Says = wire::decode(&record.payload).ok()?;
        let peer = record.creator;
        let node = NodeId::of(peer, says.nonce);
        says.addresses.truncate(limits::ADDRESSES_MAX);
        says.rendezvous.truncate(limits::ADDRESSES_MAX);
        // A record that took long shows no more life than it had.
        let age = self.peer_time(ctx.now.wall).0.saturating_sub(record.modified.0);
        let heard = ctx.now.mono.as_micros().saturating_sub(age.saturating_mul(1_000));
        let claims = says.beats.filter(|_| says.signature == node);
        Some(Contact {
            node,
            peer,
            signature: says.signature,
            addresses: says.addresses,
            rendezvous: says.rendezvous,
            claim: claims.map(|end| Claim::new(end, Time::from_micros(heard))),
        })
    }

    /// A contact record ended without renewal.
    pub(super) fn contact_expired(&mut self, ctx: &mut Ctx<'_>, id: RecordId) {
        if let Some(contact) = self.contacts.remove(&id) {
            self.miss(ctx, contact.node, contact.addresses, contact.rendezvous);
            self.contacts_changed(ctx);
        }
    }

    fn contacts_changed(&mut self, ctx: &mut Ctx<'_>) {
        self.review_signature(ctx);
        self.review_standing(ctx);
        self.repair_soon(ctx);
    }
}

/// How many nodes there are, about, where these are the lowest ids in order. Few ids are all.
fn estimate(lowest: &[NodeId]) -> u64 {
    let of = |k: usize| {
        let kth = u128::from(lowest[k - 1].0.max(1));
        u64::try_from(((k as u128 - 1) << 64) / kth).unwrap_or(u64::MAX)
    };
    if lowest.len() < CONTACTS_LEAST {
        return lowest.len() as u64;
    }
    // The ids beyond those that a graph of this size wants need not be the next lowest.
    let wanted = of(CONTACTS_LEAST).max(1).ilog2() as usize;
    of(wanted.clamp(CONTACTS_LEAST, lowest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha12Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    /// Goal: the estimate is right on average, as near as its documentation says.
    /// Method: the lowest ids of many random graphs of several sizes.
    #[test]
    fn lowest_ids_tell_the_size_of_a_graph() {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        for (nodes, error_max) in [(10_usize, 0.8), (100, 0.6), (1_000, 0.42), (10_000, 0.36)] {
            let (mut sum, mut squares) = (0.0, 0.0);
            const GRAPHS: usize = 400;
            for _ in 0..GRAPHS {
                let mut ids: Vec<NodeId> = (0..nodes).map(|_| NodeId(rng.next_u64())).collect();
                ids.sort_unstable();
                ids.truncate(CONTACTS_LEAST.max(nodes.ilog2() as usize) + 2);
                let ratio = estimate(&ids) as f64 / nodes as f64;
                sum += ratio;
                squares += (ratio - 1.0) * (ratio - 1.0);
            }
            let (mean, error) = (sum / GRAPHS as f64, (squares / GRAPHS as f64).sqrt());
            assert!((0.9..1.25).contains(&mean), "{nodes} nodes: mean {mean}");
            assert!(error < error_max, "{nodes} nodes: error {error}");
        }
        assert_eq!(estimate(&[NodeId(3), NodeId(u64::MAX)]), 2);
        assert_eq!(estimate(&[NodeId(0); 5]), u64::MAX, "whatever ids members choose");
    }
}
