//! The records and peers that this node's security provider does not let in, see [`provider`](crate::provider).
//!
//! A record that is not let in is in no index, so the graph does not find it here. It is remembered which one it was, so
//! that the provider is asked once; a deferred one is kept whole. Its sender hears of it, and does not give it over this
//! link again (a sync would bring it each time) before it is requested.
use super::{Group, SlotState};
use crate::error::Misbehaved;
use crate::group::Ctx;
use crate::id::{CertificateId, Digest, RecordId};
use crate::io::{Event, LinkId};
use crate::limits;
use crate::link::Links;
use crate::provider::{Meeting, Verdict};
use crate::record::{Edition, Meta, Signed};
use crate::sorted::{SortedMap, SortedSet};
use crate::time::WallTime;
use crate::wire::{self, Reason, Refuse};
use bytes::Bytes;
use std::time::Duration;

/// A peer that was turned away comes again after this, one that was put off after that. Guesses: a person decides meanwhile.
const TURNED_AWAY_FOR: Duration = Duration::from_secs(300);
const PUT_OFF_FOR: Duration = Duration::from_secs(30);

/// Records that were not let in.
#[derive(Default)]
pub(super) struct Withheld {
    /// By age: higher numbers came later.
    records: SortedMap<u64, Entry>,
    ages: SortedMap<(RecordId, Digest), u64>,
    /// Those that are kept whole, by age, and the certificates that they rely on.
    whole: SortedMap<u64, CertificateId>,
    whole_bytes: usize,
    count: u64,
}

/// Records of no use to a neighbour, each list at most [`WITHHELD_MAX`](limits::WITHHELD_MAX) long: one that declines more
/// gets the rest again with each sync.
#[derive(Default)]
pub(super) struct Gate {
    /// Records that it does not let in, by short id.
    declined: SortedSet<u64>,
    /// Records of which it has a version that we do not let in: which.
    refused: SortedMap<RecordId, Edition>,
}

impl Gate {
    fn decline(&mut self, short: u64) {
        if self.declined.len() < limits::WITHHELD_MAX {
            self.declined.insert(short);
        }
    }

    fn refuse(&mut self, id: RecordId, edition: Edition) {
        if self.refused.len() < limits::WITHHELD_MAX {
            self.refused.insert(id, edition);
        }
    }

    /// The neighbour asks for a record: it lets it in after all.
    pub(super) fn wanted(&mut self, short: u64) {
        self.declined.remove(&short);
    }

    fn is_empty(&self) -> bool {
        self.declined.is_empty() && self.refused.is_empty()
    }

    fn holds_back(&self, meta: &Meta) -> bool {
        self.declined.contains(&meta.short())
            || self.refused.get(&meta.id).is_some_and(|edition| *edition > meta.edition())
    }
}

struct Entry {
    id: RecordId,
    edition: Edition,
    digest: Digest,
    expires: WallTime,
    /// The link over which it came last.
    from: Option<LinkId>,
    /// All of it, where it was deferred and there was room.
    bytes: Option<Bytes>,
}

impl Withheld {
    fn of(&self, id: RecordId) -> impl Iterator<Item = (u64, &Entry)> {
        let (first, last) = (Digest::from_bytes([0; 32]), Digest::from_bytes([255; 32]));
        let ages = self.ages.range((id, first)..=(id, last)).map(|(_, &age)| age);
        ages.filter_map(|age| Some((age, self.records.get(&age)?)))
    }

    /// The digest of these bytes, if they are a record that was not let in.
    pub(super) fn known(&self, id: RecordId, bytes: &[u8]) -> Option<Digest> {
        // Most records are of an id that never was.
        self.of(id).next()?;
        let digest = Digest::of(bytes);
        self.ages.contains_key(&(id, digest)).then_some(digest)
    }

    /// Notes who sent it last, and can be asked for it. Returns its edition.
    fn came_from(&mut self, id: RecordId, digest: Digest, link: LinkId) -> Option<Edition> {
        let entry = self.records.get_mut(self.ages.get(&(id, digest))?)?;
        entry.from = Some(link);
        Some(entry.edition)
    }

    /// Whether this version of a record was not let in.
    pub(super) fn knows(&self, id: RecordId, edition: Edition) -> bool {
        self.of(id).any(|(_, entry)| entry.edition == edition)
    }

    fn add(&mut self, signed: &Signed, whole: bool) {
        let record = signed.record();
        self.count += 1;
        let age = self.count;
        let entry = Entry {
            id: record.id,
            edition: record.edition(),
            digest: signed.digest(),
            expires: record.expires,
            from: None,
            bytes: None,
        };
        if let Some(before) = self.ages.insert((entry.id, entry.digest), age) {
            self.remove(before);
        }
        self.records.insert(age, entry);
        if whole {
            self.keep(age, record.certificate, signed.bytes());
        }
        while self.records.len() > limits::WITHHELD_MAX
            && let Some((&oldest, _)) = self.records.first_key_value()
        {
            self.remove(oldest);
        }
    }

    /// Keeps a record whole. Where there are too many, the oldest of its signer's, or of all, is no longer.
    fn keep(&mut self, age: u64, certificate: CertificateId, bytes: &Bytes) {
        if bytes.len() > limits::DEFERRED_RECORD_BYTES_MAX {
            return;
        }
        if let Some(entry) = self.records.get_mut(&age) {
            entry.bytes = Some(bytes.clone());
            self.whole.insert(age, certificate);
            self.whole_bytes += bytes.len();
        }
        let theirs = || self.whole.iter().filter(|(_, other)| **other == certificate);
        if theirs().count() > limits::DEFERRED_PER_CERTIFICATE_MAX
            && let Some((&oldest, _)) = theirs().next()
        {
            self.cut(oldest);
        }
        while (self.whole.len() as u64 > limits::DEFERRED.all()
            || self.whole_bytes as u64 > limits::DEFERRED_BYTES.all())
            && let Some((&oldest, _)) = self.whole.first_key_value()
        {
            self.cut(oldest);
        }
    }

    /// Goes on remembering a record, but not its bytes.
    fn cut(&mut self, age: u64) -> Option<Bytes> {
        self.whole.remove(&age)?;
        let bytes = self.records.get_mut(&age).and_then(|entry| entry.bytes.take())?;
        self.whole_bytes -= bytes.len();
        Some(bytes)
    }

    fn remove(&mut self, age: u64) -> Option<Entry> {
        let bytes = self.cut(age);
        let entry = self.records.remove(&age)?;
        let name = (entry.id, entry.digest);
        if self.ages.get(&name) == Some(&age) {
            self.ages.remove(&name);
        }
        Some(Entry { bytes, ..entry })
    }

    fn remove_where(&mut self, gone: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let ages = self.records.iter().filter(|(_, entry)| gone(entry));
        let ages: Vec<u64> = ages.map(|(&age, _)| age).collect();
        ages.into_iter().filter_map(|age| self.remove(age)).collect()
    }

    /// A record was let in: what it supersedes is not of interest any more.
    pub(super) fn superseded(&mut self, id: RecordId, edition: Edition) {
        let older = self.of(id).filter(|(_, entry)| entry.edition <= edition);
        let ages: Vec<u64> = older.map(|(age, _)| age).collect();
        for age in ages {
            self.remove(age);
        }
    }

    /// Forgets what has ended.
    pub(super) fn expire(&mut self, now: WallTime) {
        self.remove_where(|entry| entry.expires <= now);
    }
}

impl Group {
    /// Does not let in a record, for what the provider says.
    pub(super) fn withhold(&mut self, ctx: &mut Ctx<'_>, signed: &Signed, verdict: Verdict) {
        self.withheld.add(signed, verdict == Verdict::Deferred);
        let record = signed.record();
        let (group, id, peer) = (self.id, record.id, record.modifier.unwrap_or(record.creator));
        self.event(ctx, Event::Withheld { group, id, peer, verdict });
    }

    /// Asks the provider again: about these records, or about all that it did not let in and about everybody here.
    pub(crate) fn revalidate(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, ids: &[RecordId]) {
        let asked = |entry: &Entry| ids.is_empty() || ids.contains(&entry.id);
        for entry in self.withheld.remove_where(asked) {
            let from = entry.from.filter(|&link| self.is_neighbour(link));
            match (entry.bytes, from) {
                // Anything wrong with it by our own rules is nobody's fault by now.
                (Some(bytes), from) => drop(self.accept_all(ctx, vec![bytes], from)),
                (None, Some(link)) => self.outgoing.entry(link).or_default().wanted.push(entry.id),
                // The next sync with anybody brings it.
                (None, None) => {}
            }
        }
        if !ids.is_empty() {
            return;
        }
        let met = self.slots.iter().filter(|(_, slot)| slot.chain.is_some());
        let met: Vec<(LinkId, SlotState)> = met.map(|(&link, slot)| (link, slot.state)).collect();
        for (link, state) in met {
            let turned_away = self.slots.get(&link).is_some_and(|slot| slot.turned_away);
            match (state, self.judge(ctx, links, link)) {
                (SlotState::Idle, Verdict::Valid) if turned_away => {
                    self.connect_idle(ctx, links, link);
                }
                (_, Verdict::Valid) => {}
                (SlotState::Neighbour, verdict) => {
                    self.neighbour_down(ctx, link);
                    self.turn_away(ctx, links, link, verdict);
                }
                (_, Verdict::Invalid(_) | Verdict::Deferred) => {}
            }
        }
        self.tried.retain(|_, at| *at <= ctx.now.mono);
        self.maintain(ctx, links, false);
    }

    /// Asks the provider about the other end of a link.
    pub(super) fn judge(&self, ctx: &Ctx<'_>, links: &Links, link: LinkId) -> Verdict {
        let (Some(slot), Some(ready)) = (self.slots.get(&link), links.ready(link)) else {
            return Verdict::Deferred;
        };
        ctx.config.provider.authenticate(&Meeting {
            group: self.id,
            node: slot.node,
            identity: &ready.certificate,
            membership: slot.chain.as_ref(),
            direct: ready.direct,
        })
    }

    /// Whether the provider lets the member at the other end of a link be a neighbour. If not, that end is told.
    pub(super) fn lets_near(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId) -> bool {
        match self.judge(ctx, links, link) {
            Verdict::Valid => true,
            verdict @ (Verdict::Invalid(_) | Verdict::Deferred) => {
                self.turn_away(ctx, links, link, verdict);
                false
            }
        }
    }

    fn turn_away(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId, verdict: Verdict) {
        let Some(slot) = self.slots.get_mut(&link) else { return };
        slot.state = SlotState::Idle;
        slot.turned_away = true;
        let (peer, node) = (slot.peer, slot.node);
        let why = match &verdict {
            Verdict::Invalid(why) => Some(why.chars().take(limits::FRIENDLY_NAME_MAX).collect()),
            Verdict::Valid | Verdict::Deferred => None,
        };
        let reason = if why.is_some() { Reason::NotAdmitted } else { Reason::PutOff };
        self.not_soon(ctx, link, reason);
        let refuse = Refuse { why, ..Refuse::because(reason, Vec::new()) };
        self.refuse(ctx, links, link, refuse);
        let group = self.id;
        self.event(ctx, Event::TurnedAway { group, peer, node, verdict });
    }

    /// The node at the other end of a link is not tried again for a while, since one of us turned away the other.
    fn not_soon(&mut self, ctx: &Ctx<'_>, link: LinkId, reason: Reason) {
        let wait = if reason == Reason::NotAdmitted { TURNED_AWAY_FOR } else { PUT_OFF_FOR };
        if let Some(slot) = self.slots.get(&link) {
            self.tried.insert(slot.node, ctx.now.mono.after(wait));
        }
    }

    /// A member's provider does not let us in.
    pub(super) fn on_turned_away(
        &mut self,
        ctx: &mut Ctx<'_>,
        link: LinkId,
        refuse: &Refuse,
    ) -> Result<(), Misbehaved> {
        let why = refuse.why.clone().unwrap_or_default();
        if why.chars().count() > limits::FRIENDLY_NAME_MAX {
            return Err(Misbehaved::TooMuch);
        }
        self.not_soon(ctx, link, refuse.reason);
        if let Some(slot) = self.slots.get(&link) {
            let (group, peer, node) = (self.id, slot.peer, slot.node);
            self.event(ctx, Event::NotAdmitted { group, peer, node, why });
        }
        Ok(())
    }

    /// Tells a neighbour that a record that it sent is not let in.
    pub(super) fn decline(&mut self, link: LinkId, id: RecordId, digest: Digest) {
        self.outgoing.entry(link).or_default().declined.push(digest.short());
        if let Some(edition) = self.withheld.came_from(id, digest, link)
            && let Some(slot) = self.slots.get_mut(&link)
        {
            slot.gate.refuse(id, edition);
        }
    }

    /// Whether a record, as it stands here, is of no use to a neighbour: it has said that it does not let it in, or has
    /// sent a later version, which we do not let in.
    pub(super) fn is_useless(&self, link: LinkId, id: RecordId) -> bool {
        let Some(gate) = self.slots.get(&link).map(|slot| &slot.gate) else { return false };
        !gate.is_empty() && self.meta(id).is_some_and(|(_, meta)| gate.holds_back(meta))
    }

    /// A neighbour does not let in records of ours.
    pub(super) fn on_decline(&mut self, link: LinkId, body: &Bytes) -> Result<(), Misbehaved> {
        let Some(slot) = self.slots.get_mut(&link) else { return Ok(()) };
        for short in wire::decode_decline(body)? {
            slot.gate.decline(short);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::PeerId;
    use crate::identity::Identity;
    use crate::record::{Record, RecordType};

    const NOW: WallTime = WallTime(1_800_000_000_000);

    fn signed(identity: &Identity, number: u64, certificate: u8, bytes: usize) -> Signed {
        let creator: PeerId = identity.peer_id();
        let record = Record {
            id: RecordId::new(creator, "note", number),
            kind: RecordType::new("note").unwrap(),
            version: number,
            creator,
            modifier: None,
            created: NOW,
            modified: NOW,
            expires: NOW.after(Duration::from_millis(number)),
            deleted: false,
            attributes: Vec::new(),
            payload: vec![0; bytes].into(),
            certificate: CertificateId::from_bytes([certificate; 32]),
            beginning: None,
            signature: [0; 64],
        };
        record.sign_with(crate::id::GroupId::from(creator), |_| [0; 64])
    }

    fn edition(version: u64) -> Edition {
        Edition::of(&RecordType::new("note").unwrap(), (version, version), false)
    }

    fn whole_bytes(withheld: &Withheld) -> usize {
        withheld.records.values().filter_map(|entry| entry.bytes.as_ref()).map(Bytes::len).sum()
    }

    #[test]
    fn what_is_withheld_is_bounded_in_every_way_and_the_oldest_gives_way() {
        let ada = Identity::generate([1; 32], [1; 16], "ada", NOW).unwrap();
        let mut withheld = Withheld::default();
        // One signer.
        for number in 0..100 {
            withheld.add(&signed(&ada, number, 1, 10), true);
        }
        assert_eq!(withheld.whole.len(), limits::DEFERRED_PER_CERTIFICATE_MAX);
        assert!(withheld.records.values().take(36).all(|entry| entry.bytes.is_none()));
        // Many, and large ones.
        for number in 0..200 {
            withheld.add(&signed(&ada, 1_000 + number, number as u8, 100_000), true);
            assert!(withheld.whole_bytes as u64 <= limits::DEFERRED_BYTES.all());
        }
        assert_eq!(withheld.whole_bytes, whole_bytes(&withheld));
        let too_large = signed(&ada, 5_000, 9, limits::DEFERRED_RECORD_BYTES_MAX);
        withheld.add(&too_large, true);
        assert_eq!(
            withheld.known(too_large.record().id, too_large.bytes()),
            Some(too_large.digest())
        );
        assert!((withheld.whole_bytes as u64) < limits::DEFERRED_BYTES.all());
        // As many as there can be.
        for number in 0..=limits::WITHHELD_MAX as u64 {
            withheld.add(&signed(&ada, 10_000 + number, 7, 0), false);
        }
        assert_eq!(withheld.records.len(), limits::WITHHELD_MAX);
        assert_eq!(withheld.ages.len(), limits::WITHHELD_MAX);
        assert!(!withheld.knows(RecordId::new(ada.peer_id(), "note", 10_000), edition(10_000)));
        assert!(withheld.knows(RecordId::new(ada.peer_id(), "note", 10_001), edition(10_001)));
        assert_eq!((withheld.whole.len(), withheld.whole_bytes), (0, 0), "they were older");
        withheld.expire(NOW.after(Duration::from_millis(10_100)));
        assert_eq!(withheld.records.len(), limits::WITHHELD_MAX - 100);
    }

    #[test]
    fn record_that_is_let_in_takes_what_is_older_with_it() {
        let ada = Identity::generate([1; 32], [1; 16], "ada", NOW).unwrap();
        let mut withheld = Withheld::default();
        let record = signed(&ada, 7, 1, 10);
        let id = record.record().id;
        withheld.add(&record, true);
        withheld.add(&record, true);
        assert_eq!(withheld.records.len(), 1);
        withheld.superseded(id, edition(6));
        assert!(withheld.knows(id, edition(7)));
        withheld.superseded(id, edition(7));
        assert!(!withheld.knows(id, edition(7)) && withheld.known(id, record.bytes()).is_none());
        assert_eq!(withheld.whole_bytes, 0);
    }
}
