//! Records on their way to the disk.
//!
//! ```text
//! accepted ──► ahead?  yes: to the neighbours, to the application ─► disk ──► acknowledged, answered, told as stored
//!                └───  no:                                           disk ──► all of it
//! ```
//!
//! A record goes **ahead** of the disk: it is passed on and shown as soon as it is accepted, or
//! every hop would take as long as a disk does. Everything that says that the record is held
//! (acknowledgement, answer to its publisher, `Stored`, the end of a sync) waits for the disk.
//! Until then its bytes stay here, for neighbours that ask.
//!
//! | what happens | what follows |
//! |---|---|
//! | [`AHEAD_BYTES_MAX`](limits::AHEAD_BYTES_MAX) of the group are ahead | further records wait for the disk, in their order |
//! | the disk refused a record lately (`refused.rs`) | the same |
//! | the disk refuses a record that went ahead | it is taken back here, see below |
//! | we crash | it is not here at the next start, and the rest is the same |
//!
//! A record that is **taken back** is `Withdrawn`, and what the disk holds stands again; its
//! publisher gets the error. The neighbours that have it keep it, and a later sync brings it back.
//! The next version of ours differs from the lost one, see
//! [`next_version`](crate::record::next_version).
//!
//! A record of others that waits is passed on at once all the same: its bytes are in memory, and no
//! tree breaks at a slow disk. A comparison of stores counts records that are on their way, or
//! neighbours would send them again; what became of them says the end of the sync.
use super::{Group, Timer};
use crate::error::Error;
use crate::group::Ctx;
use crate::id::RecordId;
use crate::io::{Event, LinkId, Output, Reply, StoreFault};
use crate::limits;
use crate::record::{Edition, Meta, RecordType};
use crate::storage::{Class, Written};
use crate::table::{Mixer, Table};
use bytes::Bytes;

/// The records of one group that are not durable yet.
pub(super) struct Writing {
    records: Table<RecordId, Underway>,
    /// Bytes of those that went ahead.
    ahead_bytes: usize,
    /// Number of those that wait for the disk.
    waiting: usize,
    /// Records and versions that became durable and were not told.
    stored: Vec<(RecordId, u64)>,
}

/// One of them.
struct Underway {
    /// Writes that were not answered.
    unanswered: u32,
    /// The version that the disk holds, to go back to.
    stands: Option<Meta>,
    edition: Edition,
    /// Of that version.
    bytes: Bytes,
    /// Neighbours that are to learn when it is durable.
    owed: Vec<Owed>,
}

/// An acknowledgement to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owed {
    pub(super) link: LinkId,
    edition: Edition,
    pub(super) useful: bool,
}

impl Writing {
    pub(super) fn new(table_secret: u64) -> Self {
        let records = Table::with_hasher(Mixer::new(table_secret));
        Self { records, ahead_bytes: 0, waiting: 0, stored: Vec::new() }
    }

    /// A version of a record is on its way; the index held `before`. Returns whether it goes ahead,
    /// which no record does while the disk `refuses` any or an earlier one waits.
    pub(super) fn begin(
        &mut self,
        (id, edition): (RecordId, Edition),
        bytes: &Bytes,
        before: Option<Meta>,
        refuses: bool,
    ) -> bool {
        let bytes = bytes.clone();
        let ahead_bytes = self.ahead_bytes + bytes.len();
        let ahead = !refuses && self.waiting == 0 && ahead_bytes <= limits::AHEAD_BYTES_MAX;
        if ahead {
            self.ahead_bytes = ahead_bytes;
        } else {
            self.waiting += 1;
        }
        if let Some(underway) = self.records.get_mut(&id) {
            underway.unanswered += 1;
            (underway.edition, underway.bytes) = (edition, bytes);
        } else {
            let (stands, owed) = (before, Vec::new());
            let underway = Underway { unanswered: 1, stands, edition, bytes, owed };
            self.records.insert(id, underway);
        }
        ahead
    }

    /// A neighbour is to learn when this version is durable. Returns whether it is on its way at
    /// all.
    pub(super) fn owe(&mut self, link: LinkId, id: RecordId, version: u64, useful: bool) -> bool {
        let underway = self.records.get_mut(&id).filter(|it| it.edition.version() == version);
        let Some(Underway { owed, edition, .. }) = underway else { return false };
        let edition = *edition;
        // Neighbours that came and went during one write: the next sync tells the last of them.
        let full = owed.len() >= limits::NEIGHBOURS_MAX;
        match owed.iter_mut().find(|owed| owed.link == link) {
            Some(known) if known.edition == edition => known.useful |= useful,
            Some(older) => *older = Owed { link, edition, useful },
            None if full => {}
            None => owed.push(Owed { link, edition, useful }),
        }
        true
    }

    /// The newest bytes of a record that is on its way.
    pub(super) fn bytes(&self, id: RecordId) -> Option<&Bytes> {
        Some(&self.records.get(&id)?.bytes)
    }

    /// Whether a version of this record is on its way.
    pub(super) fn contains(&self, id: RecordId) -> bool {
        self.records.contains_key(&id)
    }

    /// A write was answered. Returns who is owed an acknowledgement of it, and what the disk held
    /// before.
    fn landed(&mut self, written: &Written, durable: bool) -> (Vec<Owed>, Option<Meta>) {
        let record = written.signed.record();
        if written.ahead {
            self.ahead_bytes -= written.bytes;
        } else {
            self.waiting -= 1;
        }
        let Some(underway) = self.records.get_mut(&record.id) else { return Default::default() };
        underway.unanswered -= 1;
        let edition = record.edition();
        let (owed, later) = underway.owed.iter().partition(|owed| owed.edition <= edition);
        underway.owed = later;
        let stood = match durable {
            true => underway.stands.replace(Meta::from(&written.signed)),
            false => underway.stands.clone(),
        };
        if underway.unanswered == 0 {
            self.records.remove(&record.id);
        }
        (owed, stood)
    }
}

impl Group {
    /// The bytes of a record, if they are in memory.
    pub(super) fn bytes_at_hand(&self, ctx: &Ctx<'_>, id: RecordId) -> Option<Bytes> {
        self.writing.bytes(id).cloned().or_else(|| ctx.storage.cached(self.id, id))
    }

    /// The record is durable.
    pub(crate) fn durable(&mut self, ctx: &mut Ctx<'_>, written: Written) {
        let (owed, _) = self.writing.landed(&written, true);
        let Written { class, signed, bytes, from, request, ahead, sent } = written;
        let (id, version) = (signed.record().id, signed.record().version);
        let is_handover = signed.record().kind.as_str() == RecordType::HANDOVER;
        if request.is_some() {
            self.publishing.written(bytes);
        }
        self.acknowledge(ctx, signed.record(), from, &owed);
        let newest = self.meta(id).map(|(_, meta)| meta.digest);
        if !sent && newest == Some(signed.digest()) {
            self.flood(ctx, signed.bytes(), None);
        }
        if class == Class::Application {
            let record = Box::new(signed.into_record());
            // It may be over by now.
            if newest.is_some() {
                let group = self.id;
                if !ahead {
                    self.event(ctx, Event::Record { group, record: record.clone() });
                }
                self.writing.stored.push((id, version));
            }
            if let Some(request) = request {
                ctx.out.push_back(Output::Done { request, result: Ok(Reply::Record(record)) });
            }
        } else if let Some(request) = request {
            ctx.out.push_back(Output::Done { request, result: Ok(Reply::Ok) });
        }
        if class == Class::Membership && is_handover {
            self.wipe_keys(ctx);
        }
        self.tell_held(ctx, id);
    }

    /// The record could not be written: the index goes back to what the disk holds.
    pub(crate) fn not_durable(&mut self, ctx: &mut Ctx<'_>, written: Written, fault: StoreFault) {
        let (_, stands) = self.writing.landed(&written, false);
        let Written { class, signed, bytes, request, ahead, .. } = written;
        let (id, version) = (signed.record().id, signed.record().version);
        self.refused.note(ctx.now.mono, id, signed.record().edition());
        self.lacks();
        ctx.storage.forget(self.id, id);
        self.forget_awaited(id);
        self.tracked.stop(id, version);
        let held = self.index(class).get(&id);
        if held.is_some_and(|meta| meta.digest == signed.digest()) {
            self.take_out(class, &id);
            if let Some(stands) = stands {
                self.put(class, stands);
                // Its content is on the disk.
                self.timers.set_earlier(Timer::Search, ctx.now.mono);
            }
            if ahead && class == Class::Application {
                let group = self.id;
                self.event(ctx, Event::Withdrawn { group, id });
            }
        }
        match request {
            Some(request) => {
                self.publishing.written(bytes);
                ctx.out.push_back(Output::Done { request, result: Err(Error::Store(fault)) });
            }
            None => self.event(ctx, Event::StoreFailed { fault }),
        }
    }

    /// Tells which records became durable by this input.
    pub(crate) fn tell_stored(&mut self, ctx: &mut Ctx<'_>) {
        if !self.writing.stored.is_empty() {
            let (group, records) = (self.id, std::mem::take(&mut self.writing.stored));
            self.event(ctx, Event::Stored { group, records });
        }
    }
}
