//! The records of a group: accepting, publishing, reading, expiry.
//!
//! Every record, ours or another's, of whatever kind, takes the same way:
//!
//! ```text
//! examine: bytes ─► known already? ─► decode ─► rules ─► newer than ours? ─► signer known? ─► rights
//!                       duplicate       └─────── the peer's fault ───────┘   └► deferred       │
//! admit:   stored ◄──── security provider ◄──────────── signature (`batch.rs`) ◄───────────────┘
//!                       └─► withheld (`withheld.rs`)
//! ```
//!
//! A record that another than its creator changed has two signatures: the modifier's, and the creator's in its
//! [`Beginning`](crate::record::Beginning). Who may do what (`check_rights` in `internal.rs`):
//!
//! 1. Only the membership that a record names covers it: its times lie within that, and its signer is that member.
//! 2. The creator publishes and changes its records if its role may publish that type, and deletes them always.
//! 3. Another changes them if its role may update that type, and deletes them if it may delete.
//! 4. A change by another ends when the creator wanted, or with that other's membership. A member that wants a record
//!    gone before deletes it.
//! 5. A change waits until its creator is known as a member that may publish that type, for at least as long as the change
//!    lives. With a key that nobody admitted one could else make any number of creators, each with a quota of its own.
//! 6. The core's own kinds are their creators' alone, but for what those above take back.
//!
//! From there on it is in the index, and on its way to neighbours, application and disk: see `writing.rs`.
use super::deferred::Waiting;
use super::internal::Meaning;
use super::quota::Comer;
use super::{Group, Known, OpenInvitation, STORED_TRACKED_MAX, TRACKED_MAX, Timer, Tracked};
use crate::address::Address;
use crate::cert::VerifiedChain;
use crate::error::{BadRecord, Error, Misbehaved};
use crate::id::{CertificateId, Digest, Fingerprint, PeerId, RecordId};
use crate::io::{
    Cursor, Draft, Event, Filter, LinkId, MemberInfo, Output, Properties, Reply, RequestId,
    StoreTask,
};
use crate::limits;
use crate::node::Ctx;
use crate::policy::Act;
use crate::provider::Verdict;
use crate::record::{self, Meta, Record, RecordType, Signed};
use crate::roll::{Offer, Said};
use crate::storage::{self, Class, Commit, Page, Pending, Written};
use crate::time::{Now, WallTime};
use bytes::Bytes;
use rand_chacha::rand_core::Rng as _;
use std::cmp::Ordering;
use std::time::Duration;

/// Expiry looks again no sooner than this. Guess: many records may end in one second.
const EXPIRY_STEP: Duration = Duration::from_secs(1);
/// While the time is not plausible it is looked at so often. Guess.
const LOOK_AGAIN: Duration = Duration::from_secs(3_600);
/// How far peer time may step back before what is published no longer waits for it. Guess: it is blended in smaller steps.
const ORDER_KEPT: Duration = Duration::from_secs(60);
/// Records removed in one go. Guess.
const EXPIRE_MAX: usize = 256;

/// What became of a record that somebody sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accepted {
    /// Taken in; the acknowledgement follows when it is durable.
    New,
    /// We have this very one.
    Known(u64),
    /// We have a newer one of this id.
    Old,
    /// Not now: its signer is unknown, its time has not come, or it is over.
    Later,
    /// Not now: too much waits for the disk.
    PutOff,
    /// Never: it relies on a membership that was revoked. Its sender may not know.
    Refused,
    /// This node's security provider does not let it in.
    Withheld(Digest),
    /// Its creator has more than its quota, and others of its come before this one. Whether its sender knew.
    OverQuota { again: bool },
}

impl Accepted {
    /// Whether it was of no use to us. What our security provider does not let in says nothing about who sent it.
    pub(super) fn is_in_vain(self) -> bool {
        match self {
            Self::Known(_) | Self::Old | Self::Later | Self::Refused => true,
            Self::OverQuota { again } => again,
            Self::New | Self::Withheld(_) | Self::PutOff => false,
        }
    }
}

/// A record that lacks nothing but the check of its signature.
pub(super) struct Candidate {
    pub(super) class: Class,
    pub(super) chain: VerifiedChain,
    pub(super) meaning: Meaning,
    pub(super) signed: Signed,
}

/// What became of a record before its signature was looked at.
pub(super) enum Examined {
    Settled(Accepted, RecordId),
    Candidate(Box<Candidate>),
}

/// The certificate that an address names.
fn certificate(address: &Address) -> Option<Fingerprint> {
    match address {
        Address::Rtc { fingerprint, .. } => Some(*fingerprint),
        Address::WebSocket { .. } => None,
    }
}

/// Which class a type belongs to.
pub(super) fn class_of(kind: &RecordType) -> Class {
    match kind.as_str() {
        RecordType::PROPERTIES
        | RecordType::MEMBERSHIP
        | RecordType::INVITATION
        | RecordType::REDEMPTION
        | RecordType::REVOCATION
        | RecordType::HANDOVER
        | RecordType::HEIR => Class::Membership,
        RecordType::PRESENCE | RecordType::CONTACT => Class::Presence,
        _ => Class::Application,
    }
}

impl Group {
    /// A record of any class.
    pub(super) fn meta(&self, id: RecordId) -> Option<(Class, &Meta)> {
        // Most records are the applications'.
        Class::ALL.into_iter().rev().find_map(|class| Some((class, self.index(class).get(&id)?)))
    }

    pub(super) fn index(&self, class: Class) -> &crate::index::Index {
        &self.indexes[class as usize]
    }

    /// Takes a record from the store at the start. It was checked when it was stored.
    pub(crate) fn load(&mut self, ctx: &mut Ctx<'_>, class: Class, bytes: Bytes) -> Option<()> {
        let signed = Signed::decode(bytes).ok()?;
        let ended = signed.record().expires <= self.peer_time(ctx.now.wall);
        if ended && !self.defers_expiry(ctx.now, class) {
            let key = storage::record_key(self.id, class, signed.record().id);
            ctx.storage.write(key, None);
            return Some(());
        }
        // Who was here is no news after a restart; where they were is in the known addresses.
        if class == Class::Presence {
            ctx.storage.write(storage::record_key(self.id, class, signed.record().id), None);
            return Some(());
        }
        let read = self.read_record(ctx, &signed);
        // Another provider may have let it in.
        if class == Class::Application
            && let Ok(Some((chain, _))) = &read
            && let Verdict::Invalid(_) = ctx.config.provider.validate(signed.record(), chain)
        {
            ctx.storage.write(storage::record_key(self.id, class, signed.record().id), None);
            return Some(());
        }
        self.put(class, Meta::from(&signed));
        match read {
            Ok(Some((_, meaning))) => self.take_effect(ctx, signed.record(), meaning),
            Ok(None) if class == Class::Membership => self.early.push(signed.bytes().clone()),
            Ok(None) | Err(_) => {}
        }
        Some(())
    }

    /// All memberships are read: what came before that of its signer takes effect.
    pub(super) fn load_early(&mut self, ctx: &mut Ctx<'_>) {
        for bytes in std::mem::take(&mut self.early) {
            let Ok(signed) = Signed::decode(bytes) else { continue };
            if let Ok(Some((_, meaning))) = self.read_record(ctx, &signed) {
                self.take_effect(ctx, signed.record(), meaning);
            }
        }
    }

    /// Judges a record that somebody sent by everything but its signature. Nothing changes but what is deferred.
    pub(super) fn examine(
        &mut self,
        ctx: &mut Ctx<'_>,
        bytes: Bytes,
        from: Option<LinkId>,
    ) -> Result<Examined, BadRecord> {
        let (id, edition) = Signed::peek(&bytes).ok_or(BadRecord::Encoding)?;
        let version = edition.version();
        if let Some((_, held)) = self.meta(id)
            && held.edition() == edition
            && held.digest == Digest::of(&bytes)
        {
            return Ok(Examined::Settled(Accepted::Known(version), id));
        }
        if let Some(digest) = self.withheld.known(id, &bytes) {
            return Ok(Examined::Settled(Accepted::Withheld(digest), id));
        }
        if self.refused.holds_back(ctx.now.mono, id, edition) {
            return Ok(Examined::Settled(Accepted::Later, id));
        }
        let signed = Signed::decode(bytes)?;
        let bytes_max = match signed.record().kind.is_reserved() {
            true => limits::INTERNAL_PAYLOAD_BYTES_MAX,
            false => self.payload_bytes_max(),
        };
        signed.record().check(bytes_max)?;
        Self::check_size(&signed.record().kind, signed.bytes().len())?;
        Self::check_growth(&signed)?;
        let record = signed.record();
        let peer_time = self.peer_time(ctx.now.wall);
        if record.expires <= peer_time || !has_come(record.version, record.modified, peer_time) {
            return Ok(Examined::Settled(Accepted::Later, id));
        }
        let class = class_of(&record.kind);
        // An id stands for a creator and a type, but in 64 bits only: one that has two creators stands for the first.
        let is_other = |held: &Meta| held.creator() != record.creator || held.kind != record.kind;
        if self.meta(id).is_some_and(|(_, held)| is_other(held)) {
            return Ok(Examined::Settled(Accepted::Refused, id));
        }
        // What is older needs no further look.
        let lost =
            |held: &Meta| held.edition() == edition && self.conflicts.knows(&(id, signed.digest()));
        // A version whose time has not come was signed under a wrong clock, and gives way.
        let counts = |held: &&Meta| has_come(held.version, held.modified, peer_time);
        let held = self.index(class).get(&id).filter(counts);
        // But for what a tombstone will not hide long enough: that is looked at, and confirmed.
        let outlives = |held| self.would_outlive(ctx, held, record.expires);
        // Nor for an older handover by the same key: that may be to another heir, which is evidence.
        let held = held.filter(|_| record.kind.as_str() != RecordType::HANDOVER);
        if held.is_some_and(|held| (held.edition() > edition || lost(held)) && !outlives(held)) {
            return Ok(Examined::Settled(Accepted::Old, id));
        }
        let Some((chain, meaning)) = self.read_record(ctx, &signed)? else {
            let maker = record.modifier.unwrap_or(record.creator);
            let by_maker = from.is_some_and(|link| self.is_from(link, maker));
            let waiting = Waiting { record: signed.bytes().clone(), from };
            self.deferred.add(record.certificate, waiting, by_maker);
            return Ok(Examined::Settled(Accepted::Later, id));
        };
        self.check_rights(record, &chain, &meaning)?;
        if let Meaning::Redemption(used) = &meaning
            && self.meta(used.invitation).is_none()
        {
            // Uses follow what they are uses of.
            let waiting = Waiting { record: signed.bytes().clone(), from };
            self.deferred.add(of_invitation(used.invitation), waiting, false);
            return Ok(Examined::Settled(Accepted::Later, id));
        }
        if !self.is_vouched(record) {
            let waiting = Waiting { record: signed.bytes().clone(), from };
            self.deferred.add(of_member(record.creator), waiting, false);
            return Ok(Examined::Settled(Accepted::Later, id));
        }
        let holds = match &meaning {
            Meaning::Revocation(act) => self.roll.has_effect(act),
            // Another that is on its way to the disk is ours.
            Meaning::Handover(_) if self.handing_over => {
                return Ok(Examined::Settled(Accepted::Later, id));
            }
            Meaning::Handover(act) => self.counts(ctx, act),
            Meaning::Nothing
            | Meaning::TakenBack
            | Meaning::Properties(_)
            | Meaning::Membership(_)
            | Meaning::Invitation(_)
            | Meaning::Redemption(_)
            | Meaning::HeirOffer(_) => {
                let (kind, digest) = (&record.kind, signed.digest());
                let said = said(&chain, record.creator, kind, record.version, digest);
                self.roll.admits(&chain, &said)
            }
        };
        let late = match &meaning {
            Meaning::Redemption(used) => !self.roll.redemptions().has_place(id, used),
            Meaning::Nothing
            | Meaning::TakenBack
            | Meaning::Properties(_)
            | Meaning::Membership(_)
            | Meaning::Invitation(_)
            | Meaning::Revocation(_)
            | Meaning::Handover(_)
            | Meaning::HeirOffer(_) => false,
        };
        if !holds || late {
            return Ok(Examined::Settled(Accepted::Refused, id));
        }
        let (creator, maker) = (record.creator, record.modifier.unwrap_or(record.creator));
        let comer = Comer {
            kind: &record.kind,
            creator,
            base: edition.base(),
            id,
            charged: signed.charged(),
        };
        // Revocations wait for nothing.
        if class != Class::Membership && ctx.puts_off(from) {
            return Ok(Examined::Settled(Accepted::PutOff, id));
        }
        if !self.has_place(ctx, &comer) {
            let told = from.is_some_and(|link| self.decline_surplus(link, signed.digest()));
            let again = told || from.is_some_and(|link| self.is_from(link, maker));
            return Ok(Examined::Settled(Accepted::OverQuota { again }, id));
        }
        Ok(Examined::Candidate(Box::new(Candidate { class, chain, meaning, signed })))
    }

    /// Whether the creator of a record that another changed is known as a member that may have made it, for as long as it
    /// lives.
    fn is_vouched(&self, record: &Record) -> bool {
        record.kind.is_reserved()
            || record.beginning.is_none()
            || self
                .membership_end(record.creator, &record.kind, record.deleted)
                .is_some_and(|end| record.expires <= end)
    }

    /// When the last membership ends by which a member may publish records of this type; what is deleted, anybody may have
    /// made.
    fn membership_end(&self, peer: PeerId, kind: &RecordType, deleted: bool) -> Option<WallTime> {
        let owner = Some(self.roll.owner()).filter(|owner| owner.peer() == peer);
        let all = self.roll.of_peer(peer).chain(owner);
        let may = |chain: &&VerifiedChain| {
            deleted || chain.policy().allows(chain.grant(), kind, Act::Publish)
        };
        all.filter(may).map(VerifiedChain::not_after).max()
    }

    /// Takes in a record that was examined and whose signature is good.
    pub(super) fn admit(
        &mut self,
        ctx: &mut Ctx<'_>,
        candidate: Candidate,
        from: Option<LinkId>,
    ) -> Accepted {
        let Candidate { class, chain, meaning, signed } = candidate;
        let record = signed.record();
        let id = record.id;
        // Another may have come in with the same message.
        if let Meaning::Handover(act) = &meaning
            && !self.counts(ctx, act)
        {
            return Accepted::Refused;
        }
        let peer_time = self.peer_time(ctx.now.wall);
        if let Some(meta) = self.index(class).get(&id)
            && has_come(meta.version, meta.modified, peer_time)
        {
            // Two different contents under one version, both genuine: evidence. The total order decides.
            let loses = signed.supersedes(meta) != Ordering::Greater;
            let tombstone = Some(meta).filter(|held| loses && held.deleted).cloned();
            if meta.version == record.version {
                let (group, peer) = (self.id, chain.peer());
                self.conflicts.note((id, if loses { signed.digest() } else { meta.digest }));
                self.event(ctx, Event::Conflict { group, id, peer });
            }
            if let Some(tombstone) = tombstone {
                self.hides(ctx, &tombstone, record.expires);
            }
            if loses {
                return Accepted::Old;
            }
        }
        if class == Class::Application {
            let verdict = ctx.config.provider.validate(record, &chain);
            if verdict != Verdict::Valid {
                self.withhold(ctx, &signed, verdict);
                return Accepted::Withheld(signed.digest());
            }
        }
        let member = |chain: &VerifiedChain| [Some(chain.id()), Some(of_member(chain.peer()))];
        let awaited = match &meaning {
            Meaning::Membership(issued) => member(issued),
            Meaning::Redemption(used) => member(&used.newcomer),
            Meaning::Nothing
            | Meaning::TakenBack
            | Meaning::Properties(_)
            | Meaning::Revocation(_)
            | Meaning::HeirOffer(_) => [None, None],
            Meaning::Invitation(_) => [Some(of_invitation(id)), None],
            Meaning::Handover(act) => [Some(act.heir.id()), None],
        };
        self.store_record(ctx, signed, &chain, meaning, from, None);
        for name in awaited.into_iter().flatten() {
            for Waiting { record, from } in self.deferred.take(name) {
                let from = from.filter(|&link| self.is_neighbour(link));
                // A bad one is simply dropped.
                let _ = self.accept_all(ctx, vec![record], from);
            }
        }
        Accepted::New
    }

    /// The id of a new record: no other that we hold has it.
    pub(super) fn free_id(&self, creator: PeerId, kind: &RecordType, random: u64) -> RecordId {
        let mut ids = (0..).map(|n| RecordId::new(creator, kind.as_str(), random.wrapping_add(n)));
        // A store holds less than all ids.
        ids.find(|id| self.meta(*id).is_none()).unwrap_or_default()
    }

    /// Puts a checked record into the index, and on its way to the disk, the neighbours and the application.
    pub(super) fn store_record(
        &mut self,
        ctx: &mut Ctx<'_>,
        signed: Signed,
        chain: &VerifiedChain,
        meaning: Meaning,
        from: Option<LinkId>,
        request: Option<RequestId>,
    ) {
        let record = signed.record();
        let class = class_of(&record.kind);
        let (id, version, edition) = (record.id, record.version, record.edition());
        let key = storage::record_key(self.id, class, id);
        let value = storage::checked(&key, signed.bytes());
        let value = (ctx.config.share.record)(&value, &signed.digest());
        let bytes = value.slice(storage::CHECK_BYTES..);
        self.waste.took(bytes.len());
        self.withheld.superseded(id, edition);
        let meta = Meta::from(&signed);
        let tombstone = record.deleted.then(|| meta.clone());
        let before = self.put(class, meta);
        if let (Some(tombstone), Some(hidden)) = (&tombstone, &before) {
            self.hides(ctx, tombstone, hidden.expires);
        }
        let refuses = self.disk_refuses(ctx.now.mono);
        if class == Class::Application && before.as_ref().is_some_and(|it| it.edition() > edition) {
            // It was dated wrongly. Applications take no step back.
            let group = self.id;
            self.event(ctx, Event::Withdrawn { group, id });
        }
        let ahead = self.writing.begin((id, edition), &bytes, before, refuses);
        ctx.storage.write_from(from, key, Some(value));
        ctx.storage.remember(self.id, id, bytes.clone());
        let as_owner = chain.depth() == 0 && self.key.is_some();
        let ours = as_owner || chain.peer() == ctx.identity.peer_id();
        if ours {
            self.track(id, version);
        }
        let sent = ahead || from.is_some() || !ours;
        if sent {
            for link in self.flood(ctx, &bytes, from) {
                self.writing.owe(link, id, version, false);
            }
        }
        let (kind, creator) = (record.kind.clone(), record.creator);
        self.take_effect(ctx, record, meaning);
        if class == Class::Presence
            && let Some(link) = from
        {
            self.learn_route(record, link);
        }
        let group = self.id;
        if ahead && class == Class::Application {
            self.event(ctx, Event::Record { group, record: Box::new(record.clone()) });
        }
        let bytes = bytes.len();
        if request.is_some() {
            self.publishing.writing(bytes);
        }
        let written = Box::new(Written { class, signed, bytes, from, request, ahead, sent });
        self.commit(ctx, Commit::Record { group, written });
        if self.index(class).next_expiry().is_some_and(|(_, first)| first == id) {
            self.arm_expiry(ctx);
        }
        self.keep_quota(ctx, &kind, creator);
    }

    /// What a record changes in what we know. It has been checked.
    pub(super) fn take_effect(&mut self, ctx: &mut Ctx<'_>, record: &Record, meaning: Meaning) {
        match meaning {
            Meaning::Nothing => self.presence_class_changed(ctx, record),
            Meaning::TakenBack => {
                self.close_invitation(record.id);
                self.forget_passwords(ctx);
                let target = self.roll.act(record.id).map(|act| act.target_chain.peer());
                if self.roll.forget(record.id) {
                    self.standing_changed(ctx);
                }
                if let Some(peer) = target {
                    self.tell_of_member(ctx, peer);
                }
                self.presence_class_changed(ctx, record);
            }
            Meaning::Properties(properties) => {
                // One of an earlier own key says nothing any more.
                if self.properties_id() == Some(record.id) {
                    self.adopt(ctx, properties);
                }
            }
            Meaning::Membership(issued) => {
                let peer = issued.peer();
                let news = match record.certificate == issued.id() {
                    true => self.roll.choose(issued, record.version),
                    false => self.roll.offered(record.id, issued),
                };
                if news {
                    if peer == ctx.identity.peer_id() {
                        self.standing_changed(ctx);
                    }
                    self.tell_of_member(ctx, peer);
                }
            }
            Meaning::Invitation(open) => {
                let OpenInvitation { key, inviter, uses, expires, .. } = *open;
                if self.roll.open(record.id, Offer { key, inviter, uses }) {
                    self.standing_changed(ctx);
                }
                if self.keeps_invitation(expires, ctx.now.wall) {
                    self.open(ctx, record.id, *open);
                }
            }
            Meaning::Redemption(used) => {
                let invitation = used.invitation;
                if self.roll.redeem(record.id, *used) {
                    self.standing_changed(ctx);
                }
                if let Some(last) = self.roll.redemptions().beyond(invitation) {
                    self.give_up(ctx, Class::Membership, last);
                }
            }
            Meaning::Revocation(act) => {
                let peer = act.target_chain.peer();
                self.roll.revoke(record.id, *act);
                self.standing_changed(ctx);
                self.tell_of_member(ctx, peer);
            }
            Meaning::Handover(act) => self.take_over(ctx, record.id, *act),
            Meaning::HeirOffer(offer) => {
                self.note_heir(record.creator, *offer);
                self.tell_of_member(ctx, record.creator);
            }
        }
    }

    fn presence_class_changed(&mut self, ctx: &mut Ctx<'_>, record: &Record) {
        match record.kind.as_str() {
            RecordType::PRESENCE => self.presence_changed(ctx, record),
            RecordType::CONTACT => self.contact_changed(ctx, record),
            _ => {}
        }
    }

    fn adopt(&mut self, ctx: &mut Ctx<'_>, properties: Properties) {
        let Properties { name, comment, presence_max } = properties;
        let changed = name != self.name || comment != self.comment;
        (self.name, self.comment, self.presence_max) = (name, comment, presence_max);
        if changed {
            self.timers.set_if_unarmed(Timer::Save, ctx.now.mono);
            self.tell_group(ctx);
        }
    }

    pub(super) fn tell_of_member(&mut self, ctx: &mut Ctx<'_>, peer: PeerId) {
        if let Some(member) = self.member_info(peer, self.clock(ctx.now.wall)) {
            let group = self.id;
            self.event(ctx, Event::Member { group, member });
        }
    }

    /// Remembers where a member was reached or says it can be, for the next start. A set of the same peer that names the
    /// same certificate is an older one of the same node, and forgotten.
    pub(super) fn know(&mut self, ctx: &mut Ctx<'_>, peer: PeerId, addresses: &[Address]) {
        if addresses.is_empty() || self.known.back().is_some_and(|it| it.addresses == addresses) {
            return;
        }
        let certificates: Vec<Fingerprint> = addresses.iter().filter_map(certificate).collect();
        let older = |known: &Known| {
            let mut named = known.addresses.iter().filter_map(certificate);
            known.peer == Some(peer) && named.any(|it| certificates.contains(&it))
        };
        if !self.known.iter().any(|known| known.addresses == addresses) {
            self.repair.learned();
        }
        self.known.retain(|known| known.addresses != addresses && !older(known));
        self.known.push_back(Known { peer: Some(peer), addresses: addresses.to_vec() });
        // Nobody takes the places of others: what one peer says makes way for what it said first.
        let is_theirs = |known: &Known| known.peer == Some(peer);
        let theirs = self.known.iter().filter(|known| is_theirs(known)).count() as u64;
        let oldest = match theirs > limits::KNOWN_ADDRESSES.each() {
            true => self.known.iter().position(is_theirs),
            false => (self.known.len() as u64 > limits::KNOWN_ADDRESSES.all()).then_some(0),
        };
        if let Some(oldest) = oldest {
            self.known.remove(oldest);
        }
        self.timers.set_if_unarmed(Timer::Save, ctx.now.mono.after(EXPIRY_STEP));
    }

    /// Publishes what the application drafted.
    pub(crate) fn publish(
        &mut self,
        ctx: &mut Ctx<'_>,
        draft: Draft,
        request: Option<RequestId>,
    ) -> Result<(), Error> {
        let held = match draft.id {
            None if draft.delete => return Err(Error::UnknownRecord),
            None => None,
            Some(id) => {
                let meta = self.index(Class::Application).get(&id).filter(|meta| !meta.deleted);
                Some(meta.ok_or(Error::UnknownRecord)?.clone())
            }
        };
        let stands = held.as_ref().map(|meta| meta.version);
        if draft.if_version.is_some() && draft.if_version != stands {
            return Err(Error::ChangedMeanwhile);
        }
        self.publish_over(ctx, draft, held, request)
    }

    /// The same over what is held, if anything.
    pub(super) fn publish_over(
        &mut self,
        ctx: &mut Ctx<'_>,
        draft: Draft,
        held: Option<Meta>,
        request: Option<RequestId>,
    ) -> Result<(), Error> {
        let chain = self.valid_chain(ctx)?;
        let chain = chain.clone();
        let (certificate, not_after) = (chain.id(), chain.not_after());
        if draft.kind.is_reserved() {
            return Err(BadRecord::Type.into());
        }
        let me = ctx.identity.peer_id();
        let now = self.publishing_time(ctx);
        let held = held.as_ref();
        let creator = held.map_or(me, Meta::creator);
        let act = match (creator == me, draft.delete) {
            (true, false) => Some(Act::Publish),
            (true, true) => None,
            (false, false) => Some(Act::Update),
            (false, true) => Some(Act::Delete),
        };
        if act.is_some_and(|act| !chain.policy().allows(chain.grant(), &draft.kind, act)) {
            let own = creator == me;
            return Err(if own { Error::NotAllowed } else { Error::NotYourRecord });
        }
        // How long a record lives is its creator's to say.
        if creator != me && draft.refresh && !draft.delete {
            return Err(Error::NotYourRecord);
        }
        let created = held.map_or(now, |meta| meta.created);
        let modified =
            if held.is_some() { now.max(created.after(Duration::from_millis(1))) } else { now };
        // What others judge by: their time is peer time.
        if !chain.covers(modified) {
            return Err(Error::MembershipExpired);
        }
        // Nothing of a member's lives longer than its membership, not even its deletion.
        let last = match creator == me {
            true => not_after,
            false => {
                let end = self.membership_end(creator, &draft.kind, draft.delete);
                end.ok_or(Error::UnknownMember)?.min(not_after)
            }
        };
        let beginning = match held {
            Some(meta) => self.take_beginning(ctx, meta, me)?,
            None => None,
        };
        let mut lifetime = draft.expires_in.unwrap_or(limits::RECORD_LIFETIME_DEFAULT);
        if draft.refresh {
            self.check_refresh(&draft)?;
            lifetime = lifetime.max(limits::REFRESH_LIFETIME_MIN);
        }
        let mut expires = now.after(lifetime).min(last);
        if let Some(meta) = held {
            // A change that says nothing of it leaves the life as it is.
            if draft.expires_in.is_none() && !draft.delete && !draft.refresh {
                expires = meta.expires.min(last);
            }
            // An update may only lengthen a life; a tombstone must last as long as what it hides. The version that is
            // held may end sooner than its creator wanted, with the membership of another who changed it.
            let wanted = beginning.as_ref().map(|beginning| beginning.expires);
            expires = match wanted.filter(|_| !draft.delete) {
                Some(wanted) => wanted.min(not_after),
                None => {
                    let until = wanted.map_or(meta.expires, |wanted| wanted.max(meta.expires));
                    expires.max(until.min(last))
                }
            };
            if draft.kind != meta.kind {
                return Err(BadRecord::Type.into());
            }
        }
        let random = match self.last_published {
            (at, random) if at == now => random + 1,
            // A bit less than all, so that ids made in the same millisecond stay in order.
            _ => ctx.rng.next_u64() >> (u64::BITS + 1 - RecordId::RANDOM_BITS),
        };
        let record = Record {
            id: held.map_or_else(|| self.free_id(me, &draft.kind, random), |meta| meta.id),
            kind: draft.kind,
            version: self.version_in_order(ctx, now, held),
            creator,
            modifier: held.is_some().then_some(me),
            created,
            modified,
            expires,
            deleted: draft.delete,
            attributes: draft.attributes,
            payload: draft.payload,
            certificate,
            beginning,
            signature: [0; 64],
        };
        record.check(self.payload_bytes_max())?;
        self.last_published = (now, random);
        self.last_version = record.version;
        let refresh = (draft.refresh && !draft.delete).then_some(lifetime);
        let id = record.id;
        let signed = ctx.sign(self.id, record);
        Self::check_growth(&signed)?;
        if !signed.record().deleted {
            let record = signed.record();
            let (kind, base) = (&record.kind, record.edition().base());
            let charged = signed.charged();
            self.check_quota(ctx, &Comer { kind, creator, base, id, charged })?;
        }
        if let Verdict::Invalid(why) = ctx.config.provider.validate(signed.record(), &chain) {
            return Err(Error::NotValid(why));
        }
        self.publish_membership_once(ctx)?;
        self.store_record(ctx, signed, &chain, Meaning::Nothing, None, request);
        self.keep_alive(ctx, id, refresh);
        Ok(())
    }

    /// When what is published now is made: peer time, but not before what was published last. Peer time steps back a little
    /// as it follows that of others, and readers see records in the order of their times.
    fn publishing_time(&self, ctx: &Ctx<'_>) -> WallTime {
        let (now, (last, _)) = (self.peer_time(ctx.now.wall), self.last_published);
        if last <= now.after(ORDER_KEPT) { now.max(last) } else { now }
    }

    /// The version for what is published at `now`: also above that of what was published last.
    fn version_in_order(&self, ctx: &Ctx<'_>, now: WallTime, held: Option<&Meta>) -> u64 {
        let version = self.next_version(ctx, held.map(|meta| (meta.id, meta.version)));
        let last = record::version_time(self.last_version) <= now.after(ORDER_KEPT);
        if last { version.max(self.last_version.saturating_add(1)) } else { version }
    }

    /// The version for a change of ours: above those of the record that we hold (`seen`) or that our disk refused, and, as
    /// far as chance goes, unlike any that we sent and forgot in a crash.
    pub(super) fn next_version(&self, ctx: &Ctx<'_>, seen: Option<(RecordId, u64)>) -> u64 {
        let now = self.peer_time(ctx.now.wall);
        let (id, held) = seen.unwrap_or_default();
        // What was signed under a wrong clock is not counted from.
        let held = if has_come(held, WallTime(0), now) { held } else { 0 };
        record::next_version(now, held.max(self.refused.version(id)), ctx.version_salt)
    }

    /// Follows how far a record of ours gets.
    fn track(&mut self, id: RecordId, version: u64) {
        let tracked = Tracked { version, held_by: Default::default() };
        if self.tracked.insert(id, tracked).is_none() {
            self.tracked_order.push_back(id);
        }
        if self.tracked_order.len() > TRACKED_MAX
            && let Some(oldest) = self.tracked_order.pop_front()
        {
            self.tracked.remove(&oldest);
        }
    }

    /// Follows the newest records of ours that the store has: the first sync with a neighbour tells that it holds them.
    pub(super) fn track_stored(&mut self, me: PeerId) {
        let ours = |meta: &&Meta| meta.modifier().unwrap_or(meta.creator()) == me;
        let newest = self.index(Class::Application).newest().filter(ours).take(STORED_TRACKED_MAX);
        let stored: Vec<_> = newest.map(|meta| (meta.id, meta.version)).collect();
        for (id, version) in stored.into_iter().rev() {
            self.track(id, version);
        }
    }

    /// This version is not there, so nobody follows it.
    pub(super) fn untrack(&mut self, id: RecordId, version: u64) {
        if self.tracked.get(&id).is_some_and(|tracked| tracked.version == version) {
            self.tracked.remove(&id);
            self.tracked_order.retain(|other| *other != id);
        }
    }

    /// Shows a record no more, as it stands.
    pub(crate) fn delete_here(&mut self, ctx: &mut Ctx<'_>, id: RecordId) -> Result<(), Error> {
        let index = &self.indexes[Class::Application as usize];
        let meta = index.get(&id).filter(|meta| !meta.deleted).ok_or(Error::UnknownRecord)?;
        if self.hidden.len() >= limits::HIDDEN_MAX {
            // Later versions are shown, so that earlier ones need no place.
            self.hidden.retain(|id, version| index.get(id).is_some_and(|m| m.version == *version));
        }
        if self.hidden.len() >= limits::HIDDEN_MAX {
            return Err(Error::TooManyRecords);
        }
        self.hidden.insert(id, meta.version);
        self.save(ctx);
        Ok(())
    }

    /// Answers a page of records.
    pub(crate) fn read(&self, ctx: &mut Ctx<'_>, filter: &Filter, request: RequestId) {
        let limit = match filter.limit {
            0 => limits::PAGE_MAX,
            limit => limit.min(limits::PAGE_MAX),
        };
        let index = self.index(Class::Application);
        let hidden = |meta: &Meta| self.hidden.get(&meta.id) == Some(&meta.version);
        let (now, plausible) = (self.peer_time(ctx.now.wall), self.is_plausible(ctx.now));
        // What is kept since the time is not plausible has ended all the same.
        let ended = |meta: &Meta| !plausible && meta.expires <= now;
        let wanted = |meta: &&Meta| {
            !(meta.deleted || hidden(meta) || ended(meta))
                && filter.kind.as_ref().is_none_or(|kind| meta.kind == *kind)
                && filter.creator.is_none_or(|creator| meta.creator() == creator)
        };
        let mut ids: Vec<Cursor> = match filter.id {
            Some(id) => index.get(&id).filter(wanted).map(Meta::cursor).into_iter().collect(),
            None if filter.newest_first => {
                let found = index.before(filter.after).filter(wanted);
                found.take(limit + 1).map(Meta::cursor).collect()
            }
            None => {
                index.after(filter.after).filter(wanted).take(limit + 1).map(Meta::cursor).collect()
            }
        };
        let more = ids.len() > limit;
        ids.truncate(limit);
        let next = more.then(|| ids.last().copied()).flatten();
        let records: Vec<_> =
            ids.iter().map(|at| (at.id, self.bytes_at_hand(ctx, at.id))).collect();
        let missing: Vec<Bytes> = records
            .iter()
            .filter(|(_, bytes)| bytes.is_none())
            .map(|(id, _)| storage::record_key(self.id, Class::Application, *id))
            .collect();
        let page = Page { request, records, next };
        if missing.is_empty() {
            answer_page(ctx, page, Vec::new());
        } else {
            ctx.storage.ask(StoreTask::Read { keys: missing }, Pending::Page(page), ctx.out);
        }
    }

    /// All members, by peer id.
    pub(crate) fn member_infos(&self, wall: WallTime) -> Vec<MemberInfo> {
        let now = self.clock(wall);
        self.roll.peers().filter_map(|peer| self.member_info(peer, now)).collect()
    }

    fn member_info(&self, peer: PeerId, now: WallTime) -> Option<MemberInfo> {
        let chain = self.roll.best_of(peer, now)?;
        Some(MemberInfo {
            peer,
            name: self.roll.name_of(peer).unwrap_or(chain.name()).to_owned(),
            grant: chain.grant().clone(),
            standing: self.roll.standing(chain, now),
            certificate: chain.id(),
            issuer: chain.issuer().unwrap_or(peer),
            expires: chain.not_after(),
            offers_ownership: self.offers_ownership(peer),
            nodes: {
                let nodes = self.present_of.get(&peer).into_iter().flatten();
                let nodes = nodes.filter(|node| !self.silence.is_silent(**node));
                nodes.take(limits::NODES_PER_PEER_MAX).copied().collect()
            },
        })
    }

    /// Whether records that have ended stay for the time being, and are only hidden: while the time is not plausible, and
    /// if the group's policy says so, until a sync has shown that nobody has lengthened their lives. Presence ends with
    /// those that were present, and is said anew.
    fn defers_expiry(&self, now: Now, class: Class) -> bool {
        let until_synced = class == Class::Application
            && self.root().policy().defer_expiry
            && !self.neighbours().any(|(_, slot)| slot.synced);
        until_synced || (class != Class::Presence && !self.is_plausible(now))
    }

    /// Whether what has ended by now may be removed for good.
    pub(super) fn is_plausible(&self, now: Now) -> bool {
        self.plausible.holds(self.peer_time(now.wall), now.mono)
    }

    /// Arms the timer for the record that ends first.
    pub(super) fn arm_expiry(&mut self, ctx: &Ctx<'_>) {
        if !self.is_plausible(ctx.now) {
            self.timers.set_earlier(Timer::Expiry, ctx.now.mono.after(LOOK_AGAIN));
        }
        let classes = Class::ALL.into_iter().filter(|&class| !self.defers_expiry(ctx.now, class));
        let first = classes.filter_map(|class| self.index(class).next_expiry()).min();
        let Some((at, _)) = first else { return };
        let wait = at.0.saturating_sub(self.peer_time(ctx.now.wall).0);
        let wait = wait.min(self.passwords_end_in(self.clock(ctx.now.wall)));
        let wait = Duration::from_millis(wait).clamp(EXPIRY_STEP, Duration::from_secs(86_400));
        // Never later than it is armed for: one short-lived record after another would put it off for ever.
        self.timers.set_earlier(Timer::Expiry, ctx.now.mono.after(wait));
    }

    /// Removes what has ended.
    pub(super) fn expire(&mut self, ctx: &mut Ctx<'_>) {
        let now = self.peer_time(ctx.now.wall);
        if self.plausible.look(now, ctx.now.mono) {
            self.timers.set_if_unarmed(Timer::Save, ctx.now.mono);
        }
        for class in Class::ALL {
            if self.defers_expiry(ctx.now, class) {
                continue;
            }
            for _ in 0..EXPIRE_MAX {
                let index = &self.indexes[class as usize];
                let Some((_, id)) = index.next_expiry().filter(|(at, _)| *at <= now) else { break };
                let deleted = self.take_out(class, &id).is_some_and(|meta| meta.deleted);
                ctx.storage.write(storage::record_key(self.id, class, id), None);
                ctx.storage.forget(self.id, id);
                self.hidden.remove(&id);
                let group = self.id;
                match class {
                    Class::Application if !deleted => self.event(ctx, Event::Expired { group, id }),
                    Class::Presence => {
                        self.presence_expired(ctx, id);
                        self.contact_expired(ctx, id);
                    }
                    Class::Membership => {
                        self.close_invitation(id);
                        if self.roll.forget(id) {
                            self.standing_changed(ctx);
                        }
                    }
                    Class::Application => {}
                }
            }
        }
        self.roll.settle();
        self.withheld.expire(now);
        if !self.is_plausible(ctx.now) {
            self.arm_expiry(ctx);
            return;
        }
        let ours = self.chain.as_ref().map(VerifiedChain::id);
        self.roll.forget_ended(now.before(limits::CERTIFICATE_CLOCK_SKEW), ours);
        self.forget_ended_invitations(ctx.now.wall);
        self.forget_passwords(ctx);
        self.arm_expiry(ctx);
    }
}

/// Answers a page once the disk has given what the cache lacked.
pub(crate) fn answer_page(ctx: &mut Ctx<'_>, page: Page, read: Vec<Option<Bytes>>) {
    let mut read = read.into_iter();
    let records = page
        .records
        .into_iter()
        .filter_map(|(_, bytes)| bytes.or_else(|| read.next().flatten()))
        .filter_map(|bytes| Some(Signed::decode(bytes).ok()?.into_record()))
        .collect();
    let result = Ok(Reply::Records { records, next: page.next });
    ctx.out.push_back(Output::Done { request: page.request, result });
}

/// Whether the time of a record's version has come, or nearly.
pub(super) fn has_come(version: u64, modified: WallTime, peer_time: WallTime) -> bool {
    record::version_time(version).max(modified) <= peer_time.after(limits::FUTURE_MAX)
}

/// What the roll has to know of a record.
pub(super) fn said(
    chain: &VerifiedChain,
    creator: PeerId,
    kind: &RecordType,
    version: u64,
    digest: Digest,
) -> Said {
    let of_others = [RecordType::MEMBERSHIP, RecordType::REDEMPTION].contains(&kind.as_str());
    Said { digest, version, for_others: of_others || creator != chain.peer() }
}

/// Under what a use of an invitation waits that is not known yet: nobody has a certificate of this name.
fn of_invitation(invitation: RecordId) -> CertificateId {
    CertificateId::from_bytes(*Digest::of(invitation.as_bytes()).as_bytes())
}

/// Under what a change of a record waits whose creator is not known. The same.
fn of_member(creator: PeerId) -> CertificateId {
    let name = [b"member", &creator.as_bytes()[..]].concat();
    CertificateId::from_bytes(*Digest::of(&name).as_bytes())
}

/// A record that breaks a rule costs its sender the link.
pub(super) fn fault(bad: BadRecord) -> Misbehaved {
    Misbehaved::Record(bad)
}
