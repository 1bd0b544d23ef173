//! Making records of what the application drafted.
use super::internal::Meaning;
use super::quota::Comer;
use super::records::has_come;
use super::{Ctx, Group};
use crate::cert::VerifiedChain;
use crate::error::{BadRecord, Error};
use crate::id::RecordId;
use crate::io::{Draft, RequestId};
use crate::limits;
use crate::policy::Act;
use crate::provider::Verdict;
use crate::random::Random;
use crate::record::{self, Meta, Record};
use crate::storage::Class;
use crate::time::WallTime;
use rand_chacha::rand_core::Rng as _;
use std::time::Duration;

/// How far peer time may step back before what is published no longer waits for it. Guess: it is blended in smaller steps.
const ORDER_KEPT: Duration = Duration::from_secs(60);
/// The record that we published last. The record that we publish next follows it: readers see records in the order of their
/// times, and stores in that of their ids within a millisecond.
#[derive(Default)]
pub(super) struct Last {
    made: WallTime,
    /// The random part of its id.
    random: u64,
    version: u64,
}

impl Last {
    /// When a record is made that is published at this peer time: not before the last one. Peer time steps back a little as
    /// it follows that of others.
    fn next_time(&self, now: WallTime) -> WallTime {
        if self.made <= now.after(ORDER_KEPT) { now.max(self.made) } else { now }
    }

    /// The random part of the id of a record that is made now.
    fn next_random(&self, now: WallTime, rng: &mut Random) -> u64 {
        match self.made == now {
            true => self.random + 1,
            // A bit less than all, so that ids made in the same millisecond stay in order.
            false => rng.next_u64() >> (u64::BITS + 1 - RecordId::RANDOM_BITS),
        }
    }

    /// The version of a record that is made now, at least this one.
    fn next_version(&self, now: WallTime, least: u64) -> u64 {
        let follows = record::version_time(self.version) <= now.after(ORDER_KEPT);
        if follows { least.max(self.version.saturating_add(1)) } else { least }
    }
}

impl Group {
    /// Publishes what the application drafted.
    pub(crate) fn publish(
        &mut self,
        ctx: &mut Ctx<'_>,
        draft: Draft,
        request: Option<RequestId>,
    ) -> Result<(), Error> {
        let named = |nonce| RecordId::new(ctx.identity.peer_id(), draft.kind.as_str(), nonce);
        let stored = |id| self.index(Class::Application).get(&id);
        let held = match (draft.id, draft.nonce.map(named)) {
            (None, _) if draft.delete => return Err(Error::UnknownRecord),
            (None, None) => None,
            (None, Some(id)) => stored(id).cloned(),
            (Some(id), _) => Some(stored(id).ok_or(Error::UnknownRecord)?.clone()),
        };
        if held.as_ref().is_some_and(|meta| meta.deleted) {
            return Err(Error::UnknownRecord);
        }
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
        let now = self.last.next_time(self.peer_time(ctx.now.wall));
        let held = held.as_ref();
        let creator = held.map_or(me, Meta::creator);
        check_draft(&chain, &draft, creator == me)?;
        let created = held.map_or(now, |meta| meta.created);
        let modified =
            if held.is_some() { now.max(created.after(Duration::from_millis(1))) } else { now };
        // Others judge by peer time.
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
            let wanted = beginning.as_ref().map(|beginning| beginning.expires);
            expires = end_of_change(&draft, meta, wanted, expires, (not_after, last));
            if draft.kind != meta.kind {
                return Err(BadRecord::Type.into());
            }
        }
        let random = self.last.next_random(now, ctx.rng);
        let id = match (held, draft.nonce) {
            (Some(meta), _) => meta.id,
            (None, Some(nonce)) => RecordId::new(me, draft.kind.as_str(), nonce),
            (None, None) => self.free_id(me, &draft.kind, random),
        };
        let record = Record {
            id,
            kind: draft.kind,
            version: self.last.next_version(
                now,
                self.next_version(ctx, held.map(|meta| (meta.id, meta.version))),
            ),
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
        self.last = Last { made: now, random, version: record.version };
        let refresh = (draft.refresh && !draft.delete).then_some(lifetime);
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

    /// The version for a change of ours: above those of the record that we hold (`seen`) or that our disk refused, and, as
    /// far as chance goes, unlike any that we sent and forgot in a crash.
    pub(super) fn next_version(&self, ctx: &Ctx<'_>, seen: Option<(RecordId, u64)>) -> u64 {
        let now = self.peer_time(ctx.now.wall);
        let (id, held) = seen.unwrap_or_default();
        // A version that was signed under a wrong clock is not counted from.
        let held = if has_come(held, WallTime(0), now) { held } else { 0 };
        record::next_version(now, held.max(self.refused.version(id)), ctx.version_salt)
    }
}

/// Whether a member may publish a draft, of its own record or of another's.
fn check_draft(chain: &VerifiedChain, draft: &Draft, own: bool) -> Result<(), Error> {
    let act = match (own, draft.delete) {
        (true, false) => Some(Act::Publish),
        (true, true) => None,
        (false, false) => Some(Act::Update),
        (false, true) => Some(Act::Delete),
    };
    if act.is_some_and(|act| !chain.policy().allows(chain.grant(), &draft.kind, act)) {
        return Err(if own { Error::NotAllowed } else { Error::NotYourRecord });
    }
    // How long a record lives is its creator's to say.
    if !own && draft.refresh && !draft.delete {
        return Err(Error::NotYourRecord);
    }
    Ok(())
}

/// When a change of `held` ends that would else end at `expires`. `wanted` is what the creator of another's record wanted;
/// nothing outlives our membership (`not_after`), and nothing but an update of another's record goes beyond `last`.
fn end_of_change(
    draft: &Draft,
    held: &Meta,
    wanted: Option<WallTime>,
    mut expires: WallTime,
    (not_after, last): (WallTime, WallTime),
) -> WallTime {
    // A change that says nothing of it leaves the life as it is.
    if draft.expires_in.is_none() && !draft.delete && !draft.refresh {
        expires = held.expires.min(last);
    }
    // An update may only lengthen a life; a tombstone must last as long as what it hides. The version that is held may end
    // sooner than its creator wanted, with the membership of another who changed it.
    match wanted.filter(|_| !draft.delete) {
        Some(wanted) => wanted.min(not_after),
        None => {
            let until = wanted.map_or(held.expires, |wanted| wanted.max(held.expires));
            expires.max(until.min(last))
        }
    }
}
