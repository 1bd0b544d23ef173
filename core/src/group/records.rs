//! The records of a group: accepting them.
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
//! [`Beginning`](crate::record::Beginning). These rules say who may do what (`check_rights` in `internal.rs`):
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
use super::{Group, OpenInvitation, Timer};
use crate::cert::VerifiedChain;
use crate::error::{BadRecord, Misbehaved};
use crate::group::Ctx;
use crate::id::{CertificateId, Digest, PeerId, RecordId};
use crate::io::{Event, LinkId, Properties, RequestId};
use crate::limits;
use crate::policy::Act;
use crate::provider::Verdict;
use crate::record::{self, Meta, Record, RecordType, Signed};
use crate::roll::{Offer, Said};
use crate::storage::{self, Class, Commit, Written};
use crate::time::WallTime;
use bytes::Bytes;
use std::cmp::Ordering;

/// The outcome of a record that somebody sent.
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
    /// Whether it was of no use to us. A record that our security provider does not let in says nothing about who sent it.
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

/// The outcome of a record before its signature was looked at.
pub(super) enum Examined {
    Settled(Accepted, RecordId),
    Candidate(Box<Candidate>),
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
        // The nodes that were here are no news after a restart; where they were is in the known addresses.
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
        // An older version needs no further look.
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
            return Ok(self.defer(record.certificate, &signed, from, by_maker));
        };
        self.check_rights(record, &chain, &meaning)?;
        // Memberships that cannot count now are not taken: one peer could have any number of them. Uses of an invitation are
        // counted for longer.
        let counts_later = match &meaning {
            Meaning::Membership(issued) => !issued.covers(peer_time),
            Meaning::Redemption(used) => {
                used.newcomer.not_before() > peer_time.after(limits::FUTURE_MAX)
            }
            Meaning::Nothing
            | Meaning::TakenBack
            | Meaning::Properties(_)
            | Meaning::Invitation(_)
            | Meaning::Revocation(_)
            | Meaning::Handover(_)
            | Meaning::HeirOffer(_) => false,
        };
        if counts_later {
            return Ok(Examined::Settled(Accepted::Later, id));
        }
        if let Meaning::Redemption(used) = &meaning
            && self.meta(used.invitation).is_none()
        {
            // Uses follow what they are uses of.
            return Ok(self.defer(of_invitation(used.invitation), &signed, from, false));
        }
        if !self.is_vouched(record) {
            return Ok(self.defer(of_member(record.creator), &signed, from, false));
        }
        if let Some(heir) = self.awaits_handover(&chain, &meaning) {
            return Ok(self.defer(heir, &signed, from, false));
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

    /// Lets a record wait for what `certificate` stands for.
    fn defer(
        &mut self,
        certificate: CertificateId,
        signed: &Signed,
        from: Option<LinkId>,
        by_maker: bool,
    ) -> Examined {
        let waiting = Waiting { record: signed.bytes().clone(), from };
        self.deferred.add(certificate, waiting, by_maker);
        Examined::Settled(Accepted::Later, signed.record().id)
    }

    /// The heir for the handover to which a record waits: one by which an earlier own key, or who hangs on it, lets somebody
    /// in or puts somebody out. A thief of that key could else have a newcomer shut out all who know the handover.
    fn awaits_handover(&self, chain: &VerifiedChain, meaning: &Meaning) -> Option<CertificateId> {
        let decides = match meaning {
            Meaning::Handover(_) => false,
            Meaning::Revocation(_) | Meaning::Redemption(_) => true,
            Meaning::Nothing
            | Meaning::TakenBack
            | Meaning::Properties(_)
            | Meaning::Membership(_)
            | Meaning::Invitation(_)
            | Meaning::HeirOffer(_) => chain.depth() == 0,
        };
        self.roll.awaited_heir(chain).filter(|_| decides)
    }

    /// Whether the creator of a record that another changed is known as a member that may have made it, for as long as it
    /// lives.
    fn is_vouched(&self, record: &Record) -> bool {
        record.kind.is_reserved()
            || record.beginning.is_none()
            || self
                .memberships_for(record.creator, &record.kind, record.deleted)
                .any(|chain| record.expires <= chain.not_after())
    }

    /// When the last membership ends by which a member may publish records of this type; what is deleted, anybody may have
    /// made.
    pub(super) fn membership_end(
        &self,
        peer: PeerId,
        kind: &RecordType,
        deleted: bool,
    ) -> Option<WallTime> {
        self.memberships_for(peer, kind, deleted).map(VerifiedChain::not_after).max()
    }

    /// The memberships by which a member may publish records of this type, the one that counts first.
    fn memberships_for(
        &self,
        peer: PeerId,
        kind: &RecordType,
        deleted: bool,
    ) -> impl Iterator<Item = &VerifiedChain> {
        let owner = Some(self.roll.owner()).filter(|owner| owner.peer() == peer);
        let may = move |chain: &&VerifiedChain| {
            deleted || chain.policy().allows(chain.grant(), kind, Act::Publish)
        };
        self.roll.of_peer(peer).rev().chain(owner).filter(may)
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
        if class == Class::Application {
            self.record_came(record);
        }
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
            self.tracked.follow(id, version);
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

    /// Applies what a record changes in what we know. It has been checked.
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
}

/// Whether the time of a record's version has come, or nearly.
pub(super) fn has_come(version: u64, modified: WallTime, peer_time: WallTime) -> bool {
    record::version_time(version).max(modified) <= peer_time.after(limits::FUTURE_MAX)
}

/// All that the roll has to know of a record.
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
