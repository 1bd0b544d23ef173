//! Quotas: how many records, and how many bytes, a group holds of each creator and kind.
//!
//! | kind | records: all, one administrator, one member | bytes of a member | which stand |
//! |---|---|---|---|
//! | application | 1,000,000 · 500,000 · as the policy says | as the policy says | the newest |
//! | membership | 200,000 · 100,000 · 20,000 | 32 MiB | the newest |
//! | redemption | 100,000 · 50,000 · 10,000 | 32 MiB | the oldest |
//! | revocation | 50,000 · 10,000 · 1,000 | 8 MiB | the oldest |
//! | invitation | 50,000 · 10,000 · 1,000 | 2 MiB | the newest |
//! | presence | 400,000 · 8 · 8 | 64 KiB | the newest |
//! | contact | 65,536 · 4 · 4 | 32 KiB | the newest |
//! | properties | 18 · 1 · 1 | 8 KiB | the newest |
//! | handover | 16 · 1 · 1 | 3 MiB | the newest |
//! | heir | 200,000 · 1 · 1 | 1 KiB | the newest |
//!
//! Tombstones count like what they hide. The account is the creator's, whoever changed a record last, and nobody else's
//! change touches it: it counts the bytes that the creator signed, and *newest* and *oldest* are by the version that the
//! creator signed, then id. The part that others add is bounded for each record: at most as many bytes again as the creator
//! signed, or [`CHANGE_ADDS_BYTES_MAX`](limits::CHANGE_ADDS_BYTES_MAX). A larger change is a fault. To bill it to whoever made
//! it would be worse: what is beyond that quota goes, and what it was a change of with it.
//!
//! 1. A creator that has more than its quota loses the oldest (or newest) of that kind, until it has not.
//! 2. Where members fill what is open to members, the one that holds most loses one; the last places of every kind are
//!    for administrators and the group's own key. Where these need more, the member that holds most gives way to them; they
//!    give way to each other only.
//! 3. A record that is lost is not kept and not passed on. It is nobody's fault: it was within the quota when it was sent. The
//!    neighbour that gives it is told that we do not take it (`DECLINE`), and gives it over this link no more. One that
//!    goes on, or is the creator itself, has us work in vain.
//!
//! Nodes that saw different records of a creator agree after they have compared their stores: the newest record is within
//! the quota wherever it comes, then the next, and so on down to the first that is not, at every node the same. Then the node
//! that held older ones has dropped them as well, and the stores do not differ.
use super::Group;
use super::heir::offer_id;
use super::records::class_of;
use crate::cert::Role;
use crate::error::{BadRecord, Error};
use crate::group::Ctx;
use crate::id::{Digest, PeerId, RecordId};
use crate::io::{Event, LinkId};
use crate::limits::{self, GROUP_BYTES_TIMES, RECORDS};
use crate::policy::Policy;
use crate::recent::Recent;
use crate::record::{Meta, RecordType, Signed};
use crate::share::{Pool, Rank, Shares};
use crate::sorted::{SortedMap, SortedSet};
use crate::storage::{self, Class};

/// Records that neighbours were told we do not take. Guess: 1 MB. A neighbour that gives an older one again is told again.
const TOLD_MAX: usize = 16_384;
const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// A kind of records that are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Application,
    Properties,
    Membership,
    Invitation,
    Redemption,
    Revocation,
    Handover,
    Heir,
    Presence,
    Contact,
}

/// The bounds of one kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Of the whole group; one administrator has at most a share.
    records: Pool,
    bytes: Pool,
    /// Of one member.
    member_records: u64,
    member_bytes: u64,
    /// Of one record: its bytes, all told.
    record_bytes: u64,
    newest_stand: bool,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::Application,
        Self::Properties,
        Self::Membership,
        Self::Invitation,
        Self::Redemption,
        Self::Revocation,
        Self::Handover,
        Self::Heir,
        Self::Presence,
        Self::Contact,
    ];

    pub(super) fn of(kind: &RecordType) -> Self {
        match kind.as_str() {
            RecordType::PROPERTIES => Self::Properties,
            RecordType::MEMBERSHIP => Self::Membership,
            RecordType::INVITATION => Self::Invitation,
            RecordType::REDEMPTION => Self::Redemption,
            RecordType::REVOCATION => Self::Revocation,
            RecordType::HANDOVER => Self::Handover,
            RecordType::HEIR => Self::Heir,
            RecordType::PRESENCE => Self::Presence,
            RecordType::CONTACT => Self::Contact,
            _ => Self::Application,
        }
    }

    /// The bounds in a group with this policy. Guesses, see the table above.
    pub(super) fn bounds(self, policy: &Policy) -> Bounds {
        let chain = (limits::CERTIFICATES_MAX * limits::CERTIFICATE_BYTES_MAX) as u64 + KIB;
        let certificate = limits::CERTIFICATE_BYTES_MAX as u64 + KIB;
        let (records, bytes, member_records, member_bytes, record_bytes) = match self {
            Self::Application => {
                let bytes = policy.member_bytes;
                let all = GROUP_BYTES_TIMES * bytes;
                let pool = Pool::of(all, all / 2).reserving(all / 8);
                (RECORDS, pool, u64::from(policy.member_records), bytes, u64::MAX)
            }
            // One of each own key.
            Self::Properties => {
                const KEYS: u64 = 2 * (limits::HEIRS_MAX as u64 + 1);
                (Pool::of(KEYS, 1), Pool::of(KEYS * 8 * KIB, 8 * KIB), 1, 8 * KIB, 8 * KIB)
            }
            Self::Handover => {
                const KEYS: u64 = 2 * limits::HEIRS_MAX as u64;
                const RECORD: u64 = limits::INTERNAL_PAYLOAD_BYTES_MAX as u64 + KIB;
                (Pool::of(KEYS, 1), Pool::of(KEYS * RECORD, RECORD), 1, RECORD, RECORD)
            }
            Self::Heir => {
                const RECORDS: Pool = Pool::of(200_000, 1).reserving(50_000);
                const BYTES: Pool = Pool::of(200_000 * KIB, KIB).reserving(50_000 * KIB);
                (RECORDS, BYTES, 1, KIB, KIB)
            }
            Self::Membership => {
                const RECORDS: Pool = Pool::of(200_000, 100_000).reserving(50_000);
                const BYTES: Pool = Pool::of(512 * MIB, 256 * MIB).reserving(128 * MIB);
                (RECORDS, BYTES, 20_000, 32 * MIB, chain)
            }
            Self::Invitation => {
                const RECORDS: Pool = Pool::of(50_000, 10_000).reserving(10_000);
                const BYTES: Pool = Pool::of(100 * MIB, 20 * MIB).reserving(20 * MIB);
                (RECORDS, BYTES, 1_000, 2 * MIB, 2 * KIB)
            }
            Self::Redemption => {
                const RECORDS: Pool = Pool::of(100_000, 50_000).reserving(25_000);
                const BYTES: Pool = Pool::of(256 * MIB, 128 * MIB).reserving(64 * MIB);
                (RECORDS, BYTES, 10_000, 32 * MIB, certificate)
            }
            Self::Revocation => {
                const RECORDS: Pool = Pool::of(50_000, 10_000).reserving(25_000);
                const BYTES: Pool = Pool::of(512 * MIB, 128 * MIB).reserving(256 * MIB);
                let record = limits::INTERNAL_PAYLOAD_BYTES_MAX as u64 + KIB;
                (RECORDS, BYTES, 1_000, 8 * MIB, record)
            }
            Self::Presence => {
                const EACH: u64 = limits::NODES_PER_PEER_MAX as u64;
                const RECORDS: Pool = Pool::of(400_000, EACH);
                const BYTES: Pool = Pool::of(256 * MIB, EACH * 8 * KIB);
                (RECORDS, BYTES, EACH, EACH * 8 * KIB, 8 * KIB)
            }
            Self::Contact => {
                const EACH: u64 = limits::CONTACTS.each();
                const RECORDS: Pool = Pool::of(65_536, EACH);
                const BYTES: Pool = Pool::of(128 * MIB, EACH * 8 * KIB);
                (RECORDS, BYTES, EACH, EACH * 8 * KIB, 8 * KIB)
            }
        };
        let newest_stand = !matches!(self, Self::Redemption | Self::Revocation);
        Bounds { records, bytes, member_records, member_bytes, record_bytes, newest_stand }
    }
}

impl Bounds {
    /// Records and bytes of one party.
    fn each(&self, rank: Rank) -> (u64, u64) {
        match rank {
            Rank::Junior => (self.member_records, self.member_bytes),
            Rank::Senior => (self.records.each(), self.bytes.each()),
        }
    }
}

/// A place in the order in which records of one creator give way.
type Place = (u64, RecordId);

/// The accounts of one kind.
struct Accounts {
    records: Shares<PeerId>,
    bytes: Shares<PeerId>,
    places: SortedMap<PeerId, SortedSet<Place>>,
}

impl Accounts {
    fn new(bounds: &Bounds) -> Self {
        let (records, bytes) = (Shares::new(bounds.records), Shares::new(bounds.bytes));
        Self { records, bytes, places: SortedMap::new() }
    }

    /// Which record of a creator gives way.
    fn yields(&self, creator: &PeerId, bounds: &Bounds) -> Option<Place> {
        let places = self.places.get(creator)?;
        if bounds.newest_stand { places.first() } else { places.last() }.copied()
    }

    /// Whether a creator has more than its quota.
    fn is_over(&self, creator: &PeerId, rank: Rank, bounds: &Bounds) -> bool {
        let (records, bytes) = bounds.each(rank);
        self.records.held(creator) > records || self.bytes.held(creator) > bytes
    }

    /// Which of the two pools has more in it than is open to this rank.
    fn overfull(&self, rank: Rank, bounds: &Bounds) -> Option<&Shares<PeerId>> {
        let over = |shares: &Shares<PeerId>, pool: &Pool| shares.total() > pool.open_to(rank);
        match () {
            () if over(&self.records, &bounds.records) => Some(&self.records),
            () if over(&self.bytes, &bounds.bytes) => Some(&self.bytes),
            () => None,
        }
    }
}

/// How much a group holds of each creator.
#[derive(Default)]
pub(super) struct Quotas {
    /// By the place of the kind in [`Kind::ALL`]. Made when the first record comes: the policy is known by then.
    accounts: Vec<Accounts>,
    /// The records that neighbours were told we do not take.
    told: Recent<(LinkId, u64), TOLD_MAX>,
    /// Steps, for tests.
    #[cfg(test)]
    pub(super) steps: u64,
}

impl Quotas {
    fn of(&mut self, kind: Kind, policy: &Policy) -> &mut Accounts {
        if self.accounts.is_empty() {
            let of = |kind: &Kind| Accounts::new(&kind.bounds(policy));
            self.accounts = Kind::ALL.iter().map(of).collect();
        }
        &mut self.accounts[kind as usize]
    }

    fn add(&mut self, policy: &Policy, meta: &Meta) {
        let (creator, bytes) = (meta.creator(), u64::from(meta.charged));
        let accounts = self.of(Kind::of(&meta.kind), policy);
        accounts.records.book(&creator, 1);
        accounts.bytes.book(&creator, bytes);
        accounts.places.entry(creator).or_default().insert((meta.edition().base(), meta.id));
    }

    fn remove(&mut self, policy: &Policy, meta: &Meta) {
        let (creator, bytes) = (meta.creator(), u64::from(meta.charged));
        let accounts = self.of(Kind::of(&meta.kind), policy);
        accounts.records.give_back(&creator, 1);
        accounts.bytes.give_back(&creator, bytes);
        if let Some(places) = accounts.places.get_mut(&creator) {
            places.remove(&(meta.edition().base(), meta.id));
            if places.is_empty() {
                accounts.places.remove(&creator);
            }
        }
    }
}

/// A record that is to come into a store.
pub(super) struct Comer<'a> {
    pub(super) kind: &'a RecordType,
    pub(super) creator: PeerId,
    /// Which version of the creator it is, or is a change of.
    pub(super) base: u64,
    pub(super) id: RecordId,
    /// Bytes for which the creator answers.
    pub(super) charged: u32,
}

impl Group {
    /// Puts a record into the index, in the place of the one with its id, which is returned.
    pub(super) fn put(&mut self, class: Class, meta: Meta) -> Option<Meta> {
        let copy = meta.clone();
        if class == Class::Application {
            self.record_leaves(&copy.id);
        }
        let before = self.indexes[class as usize].insert(meta);
        if class == Class::Application {
            self.record_lacks_content(&copy);
        }
        if let Some(root) = &self.root {
            let policy = root.policy();
            if let Some(before) = &before {
                self.quotas.remove(policy, before);
            }
            self.quotas.add(policy, &copy);
        }
        before
    }

    /// Takes a record out of the index.
    pub(super) fn take_out(&mut self, class: Class, id: &RecordId) -> Option<Meta> {
        if class == Class::Application {
            self.record_leaves(id);
        }
        let meta = self.indexes[class as usize].remove(id)?;
        if let Some(root) = &self.root {
            self.quotas.remove(root.policy(), &meta);
        }
        if meta.id == offer_id(meta.creator()) {
            self.heirs.remove(&meta.creator());
        }
        Some(meta)
    }

    /// The rank of who made a record, where places are shared.
    pub(super) fn rank(&self, ctx: &Ctx<'_>, creator: PeerId) -> Rank {
        let administers = || {
            let best = self.roll.best_of(creator, self.clock(ctx.now.wall));
            best.is_some_and(|chain| chain.role() == Role::Administrator)
        };
        if self.roll.is_own_key(creator) || administers() { Rank::Senior } else { Rank::Junior }
    }

    /// Bytes that a record of this kind has at most, all told.
    pub(super) fn check_size(kind: &RecordType, size: usize) -> Result<(), BadRecord> {
        // The bounds of the core's own kinds are the same under every policy.
        let most = Kind::of(kind).bounds(&Policy::default()).record_bytes;
        if size as u64 <= most { Ok(()) } else { Err(BadRecord::PayloadTooLong) }
    }

    /// Whether a change by another adds no more than it may.
    pub(super) fn check_growth(signed: &Signed) -> Result<(), BadRecord> {
        let Some(beginning) = &signed.record().beginning else { return Ok(()) };
        let adds = beginning.size.max(limits::CHANGE_ADDS_BYTES_MAX);
        let most = beginning.size.saturating_add(adds);
        // A tombstone adds nothing but signatures.
        if signed.record().deleted || signed.size() <= most {
            Ok(())
        } else {
            Err(BadRecord::Growth)
        }
    }

    /// Whether a record would stand if it came in.
    pub(super) fn has_place(&mut self, ctx: &Ctx<'_>, comer: &Comer<'_>) -> bool {
        let Some(root) = &self.root else { return true };
        let policy = root.policy();
        let (kind, creator) = (Kind::of(comer.kind), comer.creator);
        let bounds = kind.bounds(policy);
        let held = self.indexes[class_of(comer.kind) as usize].get(&comer.id);
        let (gone, gone_bytes) = held.map_or((0, 0), |held| (1, u64::from(held.charged)));
        let accounts = self.quotas.of(kind, policy);
        let after = |shares: &Shares<PeerId>, more: u64, less: u64| {
            [shares.held(&creator), shares.total()].map(|it| it.saturating_add(more) - less)
        };
        let [records, all_records] = after(&accounts.records, 1, gone);
        let [bytes, all_bytes] = after(&accounts.bytes, u64::from(comer.charged), gone_bytes);
        let (most, most_bytes) = bounds.each(Rank::Junior);
        let (open, open_bytes) =
            (bounds.records.open_to(Rank::Junior), bounds.bytes.open_to(Rank::Junior));
        // Nearly all pass here.
        if records <= most && bytes <= most_bytes && all_records <= open && all_bytes <= open_bytes
        {
            return true;
        }
        let rank = self.rank(ctx, creator);
        let (most, most_bytes) = bounds.each(rank);
        let own = records > most || bytes > most_bytes;
        let Some(accounts) = self.quotas.accounts.get(kind as usize) else { return true };
        let full = match () {
            () if all_records > bounds.records.open_to(rank) => Some(&accounts.records),
            () if all_bytes > bounds.bytes.open_to(rank) => Some(&accounts.bytes),
            () => None,
        };
        let gives_way = |shares| self.greatest(ctx, shares, rank) == Some(creator);
        if !own && !full.is_some_and(gives_way) {
            return true;
        }
        // It comes in if another of this creator's goes.
        let place = (comer.base, comer.id);
        let others = accounts.places.get(&creator);
        let other = others.and_then(|places| match bounds.newest_stand {
            true => places.iter().find(|other| other.1 != comer.id),
            false => places.iter().rev().find(|other| other.1 != comer.id),
        });
        other.is_some_and(|other| if bounds.newest_stand { *other < place } else { *other > place })
    }

    /// The creator that gives way where one of this rank comes and all is full: the member that holds most; to a senior, if no
    /// member holds anything, another senior.
    fn greatest(&self, ctx: &Ctx<'_>, shares: &Shares<PeerId>, rank: Rank) -> Option<PeerId> {
        let junior = shares.descending().find(|it| self.rank(ctx, **it) == Rank::Junior);
        let senior = || shares.greatest().filter(|_| rank == Rank::Senior);
        junior.or_else(senior).copied()
    }

    /// Drops what is too much now that a record of this creator came in.
    pub(super) fn keep_quota(&mut self, ctx: &mut Ctx<'_>, kind: &RecordType, creator: PeerId) {
        let (class, kind) = (class_of(kind), Kind::of(kind));
        while let Some(id) = self.surplus(ctx, kind, creator) {
            self.give_up(ctx, class, id);
        }
    }

    /// A record that must go.
    fn surplus(&mut self, ctx: &Ctx<'_>, kind: Kind, creator: PeerId) -> Option<RecordId> {
        #[cfg(test)]
        {
            self.quotas.steps += 1;
        }
        let bounds = kind.bounds(self.root.as_ref()?.policy());
        let accounts = self.quotas.accounts.get(kind as usize)?;
        let junior = Rank::Junior;
        if !accounts.is_over(&creator, junior, &bounds)
            && accounts.overfull(junior, &bounds).is_none()
        {
            return None;
        }
        let rank = self.rank(ctx, creator);
        let whose = match () {
            () if accounts.is_over(&creator, rank, &bounds) => creator,
            () => self.greatest(ctx, accounts.overfull(rank, &bounds)?, rank)?,
        };
        accounts.yields(&whose, &bounds).map(|(_, id)| id)
    }

    /// Drops what is too much everywhere: all is read, or ranks have changed.
    pub(super) fn keep_quotas(&mut self, ctx: &mut Ctx<'_>) {
        let Some(policy) = self.root.as_ref().map(|root| root.policy().clone()) else { return };
        for kind in Kind::ALL {
            let bounds = kind.bounds(&policy);
            let Some(accounts) = self.quotas.accounts.get(kind as usize) else { return };
            let junior = Rank::Junior;
            let full = accounts.overfull(junior, &bounds).is_some();
            let over = |creator: &&PeerId| full || accounts.is_over(creator, junior, &bounds);
            let over: Vec<PeerId> = accounts.places.keys().filter(over).copied().collect();
            for creator in over {
                while let Some(id) = self.surplus(ctx, kind, creator)
                    && let Some((class, _)) = self.meta(id)
                {
                    self.give_up(ctx, class, id);
                }
            }
        }
    }

    /// Drops a record, here and on the disk, and all that it said.
    pub(super) fn give_up(&mut self, ctx: &mut Ctx<'_>, class: Class, id: RecordId) {
        let Some(meta) = self.remove(ctx, class, id) else { return };
        let group = self.id;
        match class {
            Class::Application if !meta.deleted => {
                self.event(ctx, Event::Withdrawn { group, id });
            }
            Class::Presence => {
                self.presence_dropped(ctx, id);
                self.contact_dropped(ctx, id);
            }
            Class::Application | Class::Membership => {}
        }
    }

    /// Takes a record away, here and on the disk, and what it said of memberships. Returns what it was.
    pub(super) fn remove(&mut self, ctx: &mut Ctx<'_>, class: Class, id: RecordId) -> Option<Meta> {
        let meta = self.take_out(class, &id)?;
        ctx.storage.write(storage::record_key(self.id, class, id), None);
        ctx.storage.forget(self.id, id);
        self.hidden.remove(&id);
        if class == Class::Membership {
            self.close_invitation(id);
            if self.roll.forget(id) {
                self.standing_changed(ctx);
            }
        }
        Some(meta)
    }

    /// Tells a neighbour that a record that it sent is over its creator's quota. Whether it knew.
    pub(super) fn decline_surplus(&mut self, link: LinkId, digest: Digest) -> bool {
        self.outgoing.entry(link).or_default().declined.push(digest.short());
        !self.quotas.told.note((link, digest.short()))
    }

    /// Whether the application may publish a record, or a change of one: what is ours does not push out what is ours.
    pub(super) fn check_quota(&mut self, ctx: &Ctx<'_>, comer: &Comer<'_>) -> Result<(), Error> {
        let Some(root) = &self.root else { return Ok(()) };
        let policy = root.policy();
        let kind = Kind::of(comer.kind);
        let bounds = kind.bounds(policy);
        let (most, most_bytes) = bounds.each(self.rank(ctx, comer.creator));
        let held = self.indexes[class_of(comer.kind) as usize].get(&comer.id);
        let (gone, gone_bytes) = held.map_or((0, 0), |held| (1, u64::from(held.charged)));
        let accounts = self.quotas.of(kind, policy);
        let (before, bytes_before) =
            (accounts.records.held(&comer.creator), accounts.bytes.held(&comer.creator));
        let bytes = u64::from(comer.charged);
        let grows = bytes > gone_bytes;
        if before + 1 - gone > most || grows && bytes_before + bytes - gone_bytes > most_bytes {
            return Err(Error::Quota);
        }
        if self.has_place(ctx, comer) { Ok(()) } else { Err(Error::TooManyRecords) }
    }

    /// How much a creator holds of a kind: records and bytes.
    #[cfg(test)]
    pub(super) fn held_of(&self, kind: Kind, creator: PeerId) -> (u64, u64) {
        let accounts = self.quotas.accounts.get(kind as usize);
        accounts.map_or((0, 0), |it| (it.records.held(&creator), it.bytes.held(&creator)))
    }
}
