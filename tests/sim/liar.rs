//! Members who lie: they hold a genuine membership, and put on their links whatever they like.
//!
//! A liar's node is an honest one; beside what it says, [`World::lie`] sends frames in its name, as a changed program would. An
//! act more is a variant of [`Act`] and an arm in [`World::lie`].
use crate::adversary::{distort, garbage};
use crate::host::{HostId, Slot};
use crate::world::World;
use bytes::Bytes;
use peergraph_core::id::{GroupId, RecordId};
use peergraph_core::record::{Record, Signed};
use std::time::Duration;

/// What a liar can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// A frame that means nothing.
    Garbage,
    /// A message of a graph, of any kind, with a body that means nothing.
    Nonsense,
    /// A genuine record with a changed bit.
    Forge,
    /// Two contents of one record under one version, to different neighbours.
    Equivocate,
    /// A record that was made an hour from now.
    Future,
    /// A record whose time is over.
    Past,
    /// A change of somebody else's record.
    Usurp,
    /// A change of its own record that says it was made at another time.
    Recreate,
    /// A change of its own record that makes it another type.
    Retype,
    /// A change of its own record that ends before the record did.
    Shorten,
    /// An announcement of records that nobody has.
    Announce,
    /// A request for records that nobody has.
    Request,
    /// Acknowledgements of records that were never sent.
    Acknowledge,
    /// An own record that it holds, again.
    Repeat,
}

impl Act {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Garbage,
        Self::Nonsense,
        Self::Forge,
        Self::Equivocate,
        Self::Future,
        Self::Past,
        Self::Usurp,
        Self::Recreate,
        Self::Retype,
        Self::Shorten,
        Self::Announce,
        Self::Request,
        Self::Acknowledge,
        Self::Repeat,
    ];
}

/// Kinds of messages, as `core/src/wire.rs` numbers them.
const FLOOD: u8 = 42;
const ACK: u8 = 43;
const ANNOUNCE: u8 = 49;
const REQUEST: u8 = 50;
/// Heads of CBOR: an array of up to 23 items, a map of one, false, a number of 8 bytes.
const ARRAY: u8 = 0x80;
const MAP_OF_ONE: u8 = 0xa1;
const FALSE: u8 = 0xf4;
const NUMBER: u8 = 0x1b;

/// A byte string in CBOR.
fn byte_string(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("a frame is short");
    [&[0x59], &length.to_be_bytes()[..], bytes].concat()
}

/// One item of an acknowledgement or announcement.
fn named(id: RecordId, version: u64) -> Vec<u8> {
    // The id is in its shortest form, as the core writes it.
    let id = [&[0x50], &id.as_bytes()[..]].concat();
    [&[ARRAY | 3][..], &id, &[NUMBER], &version.to_be_bytes(), &[FALSE]].concat()
}

impl World {
    /// `host` lies in a group, once, to whom it has wires to. False where it could not: it has no wire, or no record of the kind
    /// that the lie is about.
    pub fn lie(&mut self, host: HostId, group: GroupId, act: Act) -> bool {
        let mut links = self.graph_links(host);
        self.chance.shuffle(&mut links);
        let Some(&(to, slot)) = links.first() else { return false };
        let (_, other_slot) = links.last().copied().unwrap_or((to, slot));
        let other = links.last().map_or(to, |&(other, _)| other);
        let message = |kind: u8, slot: u16, body: &[u8]| {
            Bytes::from([&[0, kind][..], &slot.to_be_bytes(), body].concat())
        };
        let flood = |slot: u16, record: &Signed| {
            message(FLOOD, slot, &[&[ARRAY | 1][..], &byte_string(record.bytes())].concat())
        };
        let identity = crate::adapt::identity(&self.hosts[host]);
        let me = identity.peer_id();
        let now = self.hosts[host].clock.wall(self.now);
        let hour = Duration::from_secs(3_600);
        let second = Duration::from_secs(1);
        let version = |time: peergraph_core::time::WallTime| time.0 << 16;
        let any = RecordId::new(me, self.chance.any());
        let own = self.application_record(host, |record| record.creator == me && !record.deleted);
        let changed = |record: &Record| Record {
            modifier: Some(me),
            modified: now.max(record.created.after(second)),
            version: version(now).max(record.version + 1),
            ..record.clone()
        };
        let fresh = |record: &Record| Record {
            id: any,
            modifier: None,
            created: now,
            modified: now,
            version: version(now),
            ..record.clone()
        };
        let sign = |record: Record| record.sign(group, &identity);
        match (act, own) {
            (Act::Garbage, _) => {
                let frame = garbage(&mut self.chance);
                return self.inject(host, to, frame);
            }
            (Act::Nonsense, _) => {
                let kind = self.chance.within(32..56) as u8;
                let body = garbage(&mut self.chance);
                return self.inject(host, to, message(kind, slot, &body));
            }
            (Act::Announce | Act::Acknowledge, _) => {
                let kind = if act == Act::Announce { ANNOUNCE } else { ACK };
                let head = [MAP_OF_ONE, 0, ARRAY | 1];
                let body = [&head[..], &named(any, version(now))].concat();
                return self.inject(host, to, message(kind, slot, &body));
            }
            (Act::Request, _) => {
                let head = [MAP_OF_ONE, 0, ARRAY | 1, 0x50];
                let body = [&head[..], any.as_bytes()].concat();
                return self.inject(host, to, message(REQUEST, slot, &body));
            }
            (Act::Usurp, _) => {
                let theirs = self.application_record(host, |record| record.creator != me);
                let Some(theirs) = theirs else { return false };
                // With its own certificate, the only one that it has a key for.
                let Some(own) = self.application_record(host, |record| record.creator == me) else {
                    return false;
                };
                let record = Record { serial: own.serial, ..changed(&theirs) };
                return self.inject(host, to, flood(slot, &sign(record)));
            }
            (_, None) => return false,
            (Act::Forge, Some(own)) => {
                let frame = flood(slot, &sign(fresh(&own)));
                let frame = distort(&mut self.chance, &frame);
                return self.inject(host, to, frame);
            }
            (Act::Equivocate, Some(own)) => {
                let (a, b) = (Bytes::from_static(b"yes"), Bytes::from_static(b"no"));
                let yes = sign(Record { payload: a, ..fresh(&own) });
                let no = sign(Record { payload: b, ..fresh(&own) });
                self.inject(host, to, flood(slot, &yes));
                return self.inject(host, other, flood(other_slot, &no));
            }
            (Act::Future, Some(own)) => {
                let later = now.after(hour);
                let record = Record {
                    created: later,
                    modified: later,
                    version: version(later),
                    ..fresh(&own)
                };
                return self.inject(host, to, flood(slot, &sign(record)));
            }
            (Act::Past, Some(own)) => {
                let (then, end) = (now.before(second), now.before(second / 2));
                let record = Record { created: then, modified: then, expires: end, ..fresh(&own) };
                return self.inject(host, to, flood(slot, &sign(record)));
            }
            (Act::Recreate, Some(own)) => {
                let record = Record { created: own.created.before(second), ..changed(&own) };
                return self.inject(host, to, flood(slot, &sign(record)));
            }
            (Act::Retype, Some(own)) => {
                let kind = peergraph_core::record::RecordType::new("another.type");
                let kind = kind.expect("a good name");
                return self.inject(host, to, flood(slot, &sign(Record { kind, ..changed(&own) })));
            }
            (Act::Shorten, Some(own)) => {
                let record = changed(&own);
                let expires = record.modified.after(second * 5);
                return self.inject(host, to, flood(slot, &sign(Record { expires, ..record })));
            }
            (Act::Repeat, Some(own)) => return self.inject(host, to, flood(slot, &sign(own))),
        }
    }

    /// To whom a host has wires that carry its graph in clear, and under which number.
    fn graph_links(&self, host: HostId) -> Vec<(HostId, u16)> {
        let wires = self.hosts[host].links.values().filter_map(|slot| match *slot {
            Slot::Wire(wire, side) => self.wires[wire as usize].graph_of(side),
            Slot::Signalling => None,
        });
        wires.collect()
    }

    /// A record of applications on the disk of a host, drawn by chance.
    fn application_record(
        &mut self,
        host: HostId,
        wanted: impl Fn(&Record) -> bool,
    ) -> Option<Record> {
        let values = self.hosts[host].disk.iter().map(|(_, value)| value.clone());
        let records = values.filter_map(|value| Some(Signed::decode(value).ok()?.into_record()));
        let fits = |record: &Record| !record.kind.is_reserved() && wanted(record);
        let found: Vec<Record> = records.filter(fits).collect();
        (!found.is_empty()).then(|| self.chance.of(&found).clone())
    }
}
