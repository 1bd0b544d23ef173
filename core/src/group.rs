//! One group as this node holds it: who we are in it, its records, and its graph.
//!
//! Each file below is one part of it, all working on [`Group`]:
//! `membership` (joining, issuing), `invitations` (inviting, redeeming), `preview` (what an invitation is about), `standing` (revoking, and what follows), `proof` (telling who does not know), `exile` (coming back), `heir` (the group's own key in other hands), `internal`
//! (what the core's own records say, and who may say it), `quota` (how much of it there is of whom), `records` (accepting), `drafts` (publishing), `tracked` (who holds ours), `reading`, `search` (finding, and following what is found), `expiry`, `writing` (what is not durable yet), `withheld` (what the
//! security provider does not let in), `refresh` (keeping own records alive), `clock` (whether our clock is right), `peer_time` (what the graph calls now), `plausible` (whether it may end anything), `again` (signing again what was dated wrongly), `publishing` (back-pressure), `beginnings` (changes of others' records), `presence` (who is here), `silence` (who is so no longer), `graph`, `upkeep` and `referrals` (neighbours), `flood`, `announce` and `tree` (sending on, acknowledging),
//! `newest` (what a newcomer sees first), `sync` (making two stores equal), `waste` (what a neighbour has us do in vain), `signal` (carrying connection signals), `direct` (what direct links ask of a group), `signature` (seeing that the graph has
//! broken), `contacts` (who may be asked then), `repair` (mending it).
//!
//! None of them touches another group. They return the *peer's* faults; the node decides what follows.
mod again;
mod announce;
mod awaited;
mod batch;
mod beginnings;
mod broadcast;
mod carriage;
mod clock;
mod commands;
mod contacts;
mod context;
mod deferred;
mod direct;
mod drafts;
mod exile;
mod expiry;
mod flood;
mod graph;
mod heir;
mod internal;
mod invitations;
mod known;
#[cfg(test)]
mod laws;
mod lost;
mod members;
mod membership;
mod messages;
mod newest;
mod password;
mod peer_time;
mod plausible;
mod presence;
mod preview;
mod proof;
mod publishing;
mod quota;
mod reading;
mod records;
mod referrals;
mod refresh;
mod refused;
mod repair;
mod routes;
mod saved;
mod search;
mod signal;
mod signature;
mod silence;
mod standing;
mod sync;
#[cfg(test)]
mod testing;
mod timer;
mod tombstones;
mod tracked;
mod tree;
mod upkeep;
mod waste;
mod withheld;
mod writing;

use crate::address::Address;
use crate::cert::{self, CertError, Certificate, Role, VerifiedChain};
use crate::error::{Error, Misbehaved};
use crate::id::{CertificateId, Digest, GroupId, NodeId, PeerId, PeerPrefix, RecordId, RootPin};
use crate::identity::{GroupKey, PublicKey};
use crate::index::Index;
use crate::invitation::BearerSecret;
use crate::io::{Event, GroupInfo, LinkId, Output, RequestId};
use crate::limits;
use crate::link::Links;
use crate::node_url::NodeUrl;
use crate::password::Secret;
use crate::policy::Grant;
use crate::reach::tried::Trace;
use crate::recent::Recent;
use crate::record::{Attribute, Beginning};
use crate::roll::{Roll, Standing};
use crate::sorted::{SortedMap, SortedSet};
use crate::storage::{Class, Commit};
use crate::time::{Place as _, Time, Timers, WallTime};
use bytes::Bytes;
use std::time::Duration;

use peer_time::PeerTime;
use plausible::Plausible;
use timer::Timer;

pub(crate) use context::Ctx;
pub(crate) use graph::SlotState;
pub(crate) use preview::preview_of_bound;
pub(crate) use reading::answer_page;
#[cfg(test)]
pub(crate) use saved::saved_again;
pub(crate) use signal::Verdict;
pub(crate) use upkeep::Attempt;

/// Contents that lost a conflict and are remembered. Guess: 64 KB. One that was forgotten is told again.
const CONFLICTS_MAX: usize = 1_024;

/// One group of this node.
pub(crate) struct Group {
    pub(crate) id: GroupId,
    pub(crate) name: String,
    comment: String,
    /// The hash of the certificate of the group's own key when we were invited. Known before it.
    pin: RootPin,
    /// Nothing while a newcomer has not seen it.
    root: Option<Certificate>,
    /// The group's own key; its owner has it.
    key: Option<GroupKey>,
    /// Keys that may become that, or were, see `heir.rs`. At most two.
    spare: Vec<GroupKey>,
    /// Whether an act by which we hand over is on its way to the disk.
    handing_over: bool,
    /// Our offers whose key is on its way to the disk. The node bounds them, as requests under way.
    offering: usize,
    /// When all records were looked through for what does not hold.
    judged: Option<Time>,
    /// From when on the roll is settled again.
    settles_from: Time,
    /// The offers of members who would be the next owner. As many as there are records of it.
    heirs: SortedMap<PeerId, heir::HeirOffer>,
    /// Own keys that handed over to two, as the application was told. As many as the line has.
    contested: SortedSet<CertificateId>,
    /// Our membership; none while joining.
    chain: Option<VerifiedChain>,
    /// Whether a sync was ever completed, or we are the creator.
    ready: bool,
    joining: Option<Joining>,
    /// Whether our membership is durable.
    joined: bool,
    presence_max: u64,
    peer_time: PeerTime,
    plausible: Plausible,
    /// How far our clock is ahead, as the application was told.
    clock_told: i64,
    /// The standing of our membership, as the application was told.
    own_standing: Standing,
    /// Addresses of neighbours that worked, newest last: where to begin after a restart.
    known: known::Places,
    /// Nodes that the invitation named: where to begin as well.
    nodes: Vec<NodeUrl>,

    // records
    indexes: [Index; 3],
    roll: Roll,
    present: SortedMap<NodeId, Present>,
    /// The same by peer.
    present_of: SortedMap<PeerId, SortedSet<NodeId>>,
    /// Nodes by the records that say that they are here.
    present_records: SortedMap<RecordId, NodeId>,
    invitations: SortedMap<RecordId, OpenInvitation>,
    passwords: password::Passwords,
    quotas: quota::Quotas,
    /// Contents that lost against another under the same version. Both are genuine, so their signer is to blame and not
    /// who brings them. If one comes again it is old, without a look at its signature and without a word to the application.
    conflicts: Recent<(RecordId, Digest), CONFLICTS_MAX>,
    deferred: deferred::Deferred,
    withheld: withheld::Withheld,
    /// Records of the store that were read before the membership of their signer.
    early: Vec<Bytes>,
    tracked: tracked::Tracked,
    /// Our records that are renewed before they end, and how long each lives.
    refreshed: SortedMap<RecordId, Duration>,
    own_presence: Option<RecordId>,
    /// The attributes that our presence says of us, and whether we are present whatever the group's properties say.
    own_attributes: Vec<Attribute>,
    presence_forced: bool,
    own_contact: Option<RecordId>,
    /// The record that we published last.
    last: drafts::Last,

    /// Links over which a newcomer is being told what its invitation is about, with whether that was taken back.
    showing: SortedMap<LinkId, bool>,

    // graph
    slots: SortedMap<LinkId, graph::Slot>,
    /// Links that we are opening for this graph.
    attempts: SortedMap<LinkId, Attempt>,
    /// All that we did to find somebody since we had a neighbour last.
    pub(crate) trace: Trace,
    /// Links on which a member asked for this graph while we did, before we have a membership.
    asked_back: SortedSet<LinkId>,
    /// Links on which somebody has shown why our membership does not stand.
    argued: SortedSet<LinkId>,
    tried: SortedMap<NodeId, Time>,
    referrals: referrals::Referrals,
    routes: routes::Routes,
    signals_seen: signal::Seen,
    carriage: carriage::Carriage,
    sought: signal::Sought,
    /// Nodes to which signals came to nothing.
    swallowed: SortedSet<NodeId>,
    outgoing: SortedMap<LinkId, flood::Outgoing>,
    /// Of the last flood, where the host wants parts.
    rest: Option<flood::Rest>,
    trees: tree::Trees,
    broadcasts: broadcast::Broadcasts,
    awaited: awaited::Awaited,
    /// When we asked all neighbours for nothing.
    hurried: Option<Time>,
    budgets: sync::Budgets,
    writing: writing::Writing,
    waste: waste::Waste,
    refused: refused::Refused,
    /// Whether records were put off since the disk had caught up last.
    put_off: bool,
    /// Versions of records that are deleted here only.
    hidden: SortedMap<RecordId, u64>,
    /// The records hidden by tombstones that end before them, and until when each would have lived.
    outlived: SortedMap<RecordId, WallTime>,
    signature: signature::Signature,
    silence: silence::Silence,
    contacts: SortedMap<RecordId, contacts::Contact>,
    repair: repair::Repair,
    exiles: exile::Exiles,
    publishing: publishing::Publishing,
    searching: search::Searching,
    /// Of records of others that are to be changed and were read for that.
    beginnings: SortedMap<RecordId, Beginning>,
    timers: Timers<Timer, { Timer::ALL.len() }>,
    /// Grows while nobody is found.
    lonely_rounds: u32,
    /// Grows while there are too few neighbours and nobody new is known.
    fruitless_rounds: u32,
}

/// A join that is under way, or what an invitation says is asked for.
struct Joining {
    /// Nothing if nobody wants to join yet.
    wanted: Option<Wanted>,
    preview: preview::Looking,
    /// Links on which the answer to the proof of an earlier join is awaited.
    outdated: SortedSet<LinkId>,
}

/// A join that somebody waits for.
struct Wanted {
    request: RequestId,
    proof: Proof,
    /// The maker of the invitation, and the role that it gives, as it says itself.
    inviter: PeerPrefix,
    role: Role,
    /// The error that ends it if nobody lets us in, as somebody said whom we cannot judge, or as our clock says.
    may_be_why: Option<Error>,
}

/// The proof that a newcomer has to give.
enum Proof {
    /// That it holds the link.
    Link(BearerSecret),
    /// That it knows the password of this invitation.
    Password(RecordId, Secret),
}

/// A node that says it is here.
struct Present {
    peer: PeerId,
    addresses: Vec<Address>,
    attributes: Vec<Attribute>,
    record: RecordId,
    /// Its latest sign of life, in milliseconds of its peer time, and when we would have heard that at once; nothing if that
    /// was before our time.
    sign: u64,
    heard: Option<Time>,
}

/// An invitation that a record of the group announces.
struct OpenInvitation {
    key: PublicKey,
    inviter: PeerId,
    grant: Grant,
    uses: u32,
    expires: WallTime,
    /// Of its record.
    version: u64,
}

/// Nodes present up to which everybody publishes presence. Guess: beyond, a group is an audience, and every further
/// presence costs every node a record every few minutes.
const PRESENCE_MAX_DEFAULT: u64 = 50;

/// The random part of the id and the payload of an open invitation by `inviter`, as its record has them.
#[cfg(test)]
pub(crate) fn invitation_by(inviter: PeerId, expires: WallTime) -> (u64, Vec<u8>) {
    let key = BearerSecret::from_bytes([7; 16]).public_key();
    let (grant, uses) = (Role::Member.into(), 1);
    let open = OpenInvitation { key, inviter, grant, uses, expires, version: 0 };
    (internal::invitation_id(inviter, uses, 7).random(), open.to_payload())
}

/// The same of the record in which a member shows its membership.
#[cfg(test)]
pub(crate) fn membership_shown_by(member: PeerId, chain: &[Certificate]) -> (u64, Vec<u8>) {
    let leaf = chain.last().map(Certificate::id).unwrap_or_default();
    (membership::issued_id(member, leaf).random(), cert::encode_chain(chain))
}

/// The same of the record by which a member revokes the membership of another.
#[cfg(test)]
pub(crate) fn revocation_by(
    group: GroupId,
    by: &[Certificate],
    of: &[Certificate],
) -> (u64, Vec<u8>) {
    let verified = |chain: &[Certificate]| {
        cert::verify_chain(chain, group, crate::identity::verify).expect("a chain of the group")
    };
    let (signer, target_chain) = (verified(by), verified(of));
    let act = crate::roll::Revocation {
        version: 0,
        digest: Digest::default(),
        target: crate::roll::Target::Certificate(target_chain.id()),
        reason: crate::roll::Reason::Misconduct,
        standing: SortedSet::new(),
        kept: crate::roll::Kept::default(),
        signer,
        target_chain,
    };
    let id = internal::revocation_id(act.signer.peer(), act.target, 0);
    (id.random(), internal::revocation_payload(&act, 0))
}

impl Group {
    fn new(table_secret: u64, name: String, line: VerifiedChain) -> Self {
        let pin = RootPin::of(line.root().der());
        let mut group = Self::unknown(table_secret, line.group(), pin);
        group.name = name;
        group.know_line(line);
        group
    }

    /// A group of which nothing but its name is known.
    fn unknown(table_secret: u64, id: GroupId, pin: RootPin) -> Self {
        Self {
            id,
            name: String::new(),
            comment: String::new(),
            pin,
            root: None,
            key: None,
            spare: Vec::new(),
            handing_over: false,
            offering: 0,
            judged: None,
            settles_from: Time::default(),
            heirs: SortedMap::new(),
            contested: SortedSet::new(),
            chain: None,
            ready: false,
            joining: None,
            joined: false,
            presence_max: PRESENCE_MAX_DEFAULT,
            peer_time: PeerTime::default(),
            plausible: Plausible::default(),
            clock_told: 0,
            own_standing: Standing::Member,
            known: known::Places::default(),
            nodes: Vec::new(),
            indexes: std::array::from_fn(|_| Index::new(table_secret)),
            roll: Roll::unknown(),
            present: SortedMap::new(),
            present_of: SortedMap::new(),
            present_records: SortedMap::new(),
            invitations: SortedMap::new(),
            passwords: password::Passwords::default(),
            quotas: quota::Quotas::default(),
            conflicts: Recent::default(),
            deferred: deferred::Deferred::default(),
            withheld: withheld::Withheld::default(),
            early: Vec::new(),
            tracked: tracked::Tracked::default(),
            refreshed: SortedMap::new(),
            own_presence: None,
            own_attributes: Vec::new(),
            presence_forced: false,
            own_contact: None,
            last: drafts::Last::default(),
            showing: SortedMap::new(),
            slots: SortedMap::new(),
            attempts: SortedMap::new(),
            trace: Trace::default(),
            asked_back: SortedSet::new(),
            argued: SortedSet::new(),
            tried: SortedMap::new(),
            referrals: referrals::Referrals::default(),
            routes: routes::Routes::default(),
            signals_seen: signal::Seen::default(),
            carriage: carriage::Carriage::default(),
            sought: signal::Sought::default(),
            swallowed: SortedSet::new(),
            outgoing: SortedMap::new(),
            rest: None,
            trees: tree::Trees::default(),
            broadcasts: broadcast::Broadcasts::default(),
            awaited: awaited::Awaited::default(),
            hurried: None,
            budgets: sync::Budgets::default(),
            writing: writing::Writing::new(table_secret),
            waste: waste::Waste::default(),
            refused: refused::Refused::default(),
            put_off: false,
            hidden: SortedMap::new(),
            outlived: SortedMap::new(),
            signature: signature::Signature::default(),
            silence: silence::Silence::default(),
            contacts: SortedMap::new(),
            repair: repair::Repair::default(),
            exiles: exile::Exiles::default(),
            publishing: publishing::Publishing::default(),
            searching: search::Searching::default(),
            beginnings: SortedMap::new(),
            timers: Timers::default(),
            lonely_rounds: 0,
            fruitless_rounds: 0,
        }
    }

    /// The root is known from here on, and the line of the group's own keys as far as this.
    fn know_line(&mut self, line: VerifiedChain) {
        if self.name.is_empty() {
            line.root().name().clone_into(&mut self.name);
        }
        self.root = Some(line.root().clone());
        self.roll.know_line(line);
    }

    /// The root certificate. Only newcomers are without it, and nothing that they do asks for it.
    #[expect(
        clippy::expect_used,
        reason = "members have seen it, and newcomers do nothing that needs it"
    )]
    fn root(&self) -> &Certificate {
        self.root.as_ref().expect("members know the root")
    }

    /// Begins to work once the store is read: looks for neighbours and says that we are here.
    pub(crate) fn start(&mut self, ctx: &mut Ctx<'_>) {
        self.load_early(ctx);
        self.roll.settle();
        self.settle_clock(ctx);
        self.tell_clock(ctx);
        self.wipe_keys(ctx);
        self.timers.set(Timer::Again, ctx.now.mono);
        self.track_stored(ctx.identity.peer_id());
        self.timers.set(Timer::Judge, ctx.now.mono);
        self.timers.set(Timer::Renew, ctx.now.mono);
        self.timers.set(Timer::Maintain, ctx.now.mono);
        self.arm_expiry(ctx);
        self.arm_refresh(ctx);
        if self.ready {
            self.timers.set(Timer::Presence, ctx.now.mono);
        }
    }

    /// The group as the application sees it.
    pub(crate) fn info(&self) -> GroupInfo {
        let chain = self.chain.as_ref();
        GroupInfo {
            id: self.id,
            name: self.name.clone(),
            comment: self.comment.clone(),
            presence_max: self.presence_max,
            policy: self.root().policy().clone(),
            owner: self.key.is_some(),
            own_key: self.roll.owner().peer(),
            grant: chain.map_or(Role::Member.into(), |chain| chain.grant().clone()),
            standing: self.own_standing,
            expires: chain.map_or(WallTime(0), VerifiedChain::not_after),
            announced: self.membership_published(),
            records: self.indexes[Class::Application as usize].len() as u64,
            neighbours: self.neighbours().count(),
            ready: self.ready,
            signature: self.signature.current,
            contact: self.is_contact(),
            nodes: self.size(),
            clock_shift_ms: self.peer_time.shift_ms(),
            clock_ahead_ms: self.clock_ahead_ms(),
        }
    }

    /// The nodes that the invitation named, by which we came.
    pub(crate) fn nodes(&self) -> &[NodeUrl] {
        &self.nodes
    }

    /// Whether a peer is known to be a member: by its membership, or since it is a neighbour.
    pub(crate) fn knows_member(&self, peer: PeerId, wall: WallTime) -> bool {
        let now = self.clock(wall);
        let best = self.roll.best_of(peer, now);
        best.is_some_and(|chain| self.roll.standing(chain, now).is_member())
            || self.neighbours().any(|(_, slot)| slot.peer == peer)
    }

    /// Whether we hold a membership.
    pub(crate) fn is_member(&self) -> bool {
        self.chain.is_some()
    }

    /// Whether a sync was ever completed, or we are the creator.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready
    }

    /// Longest message that a neighbour may send.
    pub(crate) fn message_bytes_max(&self) -> usize {
        let payload = self.payload_bytes_max().max(limits::INTERNAL_PAYLOAD_BYTES_MAX);
        payload + limits::MESSAGE_OVERHEAD_BYTES_MAX
    }

    /// Longest payload of an application's record.
    fn payload_bytes_max(&self) -> usize {
        let default = limits::PAYLOAD_BYTES_DEFAULT_MAX;
        self.root.as_ref().map_or(default, |root| root.policy().payload_bytes_max as usize)
    }

    /// The peer time now.
    fn peer_time(&self, wall: WallTime) -> WallTime {
        self.peer_time.at(wall)
    }

    /// When to call [`Group::timeout`].
    pub(crate) fn deadline(&self) -> Option<(Time, &'static str)> {
        let (at, timer) = self.timers.next()?;
        Some((at, timer.why()))
    }

    /// Does what is due.
    pub(crate) fn timeout(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
        while let Some(timer) = self.timers.pop_due(ctx.now.mono) {
            match timer {
                Timer::Maintain => self.maintain(ctx, links, true),
                Timer::Acks => self.send_acks(ctx, links),
                Timer::Announce => self.announce_late(ctx.now.mono),
                Timer::Graft => self.graft(ctx),
                Timer::Presence => self.review_presence(ctx),
                Timer::Signature => self.signature_due(ctx),
                Timer::Beat => self.beat(ctx, links),
                Timer::Contact => self.publish_contact(ctx),
                Timer::Standing => self.change_standing(ctx),
                Timer::Repair => self.repair(ctx),
                Timer::Expiry => self.expire(ctx),
                Timer::Confirm => self.confirm_deletions(ctx),
                Timer::Refresh => self.refresh(ctx),
                Timer::Again => self.sign_again(ctx),
                Timer::Leap => self.end_leap(ctx),
                // The node has asked `gave_up_joining` before.
                Timer::Joining => {}
                Timer::Judge => self.enforce(ctx, links),
                Timer::Renew => self.renew(ctx),
                Timer::SafetyNet => self.safety_net(ctx, links),
                Timer::Save => self.save(ctx),
                Timer::Sync => self.resume_syncs(ctx, links),
                Timer::Turn => self.look_at_turns(ctx, links),
                Timer::Preview => self.stop_looking(ctx),
                Timer::Silence => self.review_silence(ctx, links),
                Timer::Search => self.go_on_searching(ctx),
            }
        }
    }

    /// Whether joining has taken too long.
    pub(crate) fn gave_up_joining(&self, now: Time) -> bool {
        let wanted = self.joining.as_ref().is_some_and(|joining| joining.wanted.is_some());
        wanted && self.timers.at(Timer::Joining).is_some_and(|at| at <= now)
    }

    /// Reads the membership of the other end of `link`. Whether it stands is another question.
    pub(crate) fn verify_membership(
        &mut self,
        ctx: &Ctx<'_>,
        links: &Links,
        link: LinkId,
        chain: &[u8],
    ) -> Result<VerifiedChain, Misbehaved> {
        let known = |id| self.roll.chain(id);
        let certificates = cert::decode_chain_knowing(chain, known, ctx.checks.certificate)
            .map_err(|_| Misbehaved::Membership)?;
        self.check_root(&certificates)?;
        let peer = links.ready(link).ok_or(Misbehaved::Unexpected)?.peer;
        let chain = self.verify_chain(&certificates, ctx).map_err(|_| Misbehaved::Membership)?;
        if chain.peer() == peer { Ok(chain) } else { Err(Misbehaved::Membership) }
    }

    /// Whether certificates begin with the root that we know, or were told of: the group's key could sign another, with
    /// another policy.
    fn check_root(&self, certificates: &[Certificate]) -> Result<(), Misbehaved> {
        let root = certificates.first().ok_or(Misbehaved::Membership)?;
        let same = match &self.root {
            Some(ours) => ours == root,
            None => RootPin::of(root.der()) == self.pin,
        };
        if same { Ok(()) } else { Err(Misbehaved::Membership) }
    }

    /// Checks a chain, as far as it was not checked before.
    fn verify_chain(
        &self,
        certificates: &[Certificate],
        ctx: &Ctx<'_>,
    ) -> Result<VerifiedChain, CertError> {
        // One group has one root, whatever else its key has signed.
        self.check_root(certificates).map_err(|_| CertError::OtherGroup)?;
        let known = |id| self.roll.chain(id);
        let chain = cert::verify_chain_knowing(certificates, self.id, ctx.checks.verify, known)?;
        Ok((ctx.config.share.membership)(chain))
    }

    fn event(&self, ctx: &mut Ctx<'_>, event: Event) {
        ctx.out.push_back(Output::Event(event));
    }

    /// A delay of `base`, give or take a quarter, so that nodes do not move in step.
    fn jitter(ctx: &mut Ctx<'_>, base: Duration) -> Duration {
        use rand_chacha::rand_core::Rng as _;
        let permille = 750 + ctx.rng.next_u64() % 500;
        Duration::from_micros((base.as_micros() as u64).saturating_mul(permille) / 1000)
    }

    /// Adds what must be told when this input's batch is durable.
    fn commit(&self, ctx: &mut Ctx<'_>, commit: Commit) {
        ctx.storage.commit(commit);
    }
}
