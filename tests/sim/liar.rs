//! Members who lie: they hold a genuine membership, and put on their links whatever they like.
//!
//! A liar's node is an honest one; beside what it says, [`World::lie`] sends frames in its name, as a changed program would. An
//! act more is a variant of [`Act`] and an arm in [`World::lie`], or in what is told of the record that it is about; a claim
//! to be what one is not is a [`Pretence`], and a lie about who made a record, when and for how long is an [`Origin`].
mod beginnings;
mod pretence;

use crate::adapt;
use crate::adversary::{distort, garbage};
use crate::host::{HostId, Slot};
use crate::world::World;
use bytes::Bytes;
use peergraph_core::id::{CertificateId, Digest, GroupId, NodeId, NodeNonce, PeerId, RecordId};
use peergraph_core::identity::{Domain, Identity, PublicKey};
use peergraph_core::invitation::BearerSecret;
use peergraph_core::limits::{FLOOD_RECORDS_MAX, FRAME_BYTES_MAX, PAGE_MAX};
use peergraph_core::record::{Record, RecordType, Signed};
use peergraph_core::stored;
use peergraph_core::time::WallTime;
use peergraph_core::wire::kind::{self, Kind};
use std::time::Duration;

pub use beginnings::Origin;
pub use pretence::Pretence;

/// Records of a lie with certificates that nobody has seen.
const OF_NOBODY: usize = 20;

/// An act of a liar.
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
    /// An own record as if it had been made before the one that all hold.
    Rollback,
    /// Records that rely on certificates that nobody has seen.
    Nobody,
    /// Another's membership, with which it connects anew.
    Masquerade,
    /// A record by which it claims to be what it is not.
    Pretend(Pretence),
    /// A change of somebody else's record that says something false of its making.
    Begin(Origin),
    /// An own record that all hold, as often as a frame takes it.
    Waste,
    /// A request for a record of the liar's that all hold, as often as a frame takes it.
    Insist,
    /// A search for a node that there is not.
    Chatter,
    /// A question whether the other end is there.
    Pester,
    /// A request for no record.
    Nag,
    /// A sync that compares nothing.
    Hollow,
    /// Word that what was wanted first is given.
    Promise,
}

impl Act {
    /// The acts that are a lie only in excess.
    pub const EXCESSES: [Self; 5] =
        [Self::Waste, Self::Insist, Self::Chatter, Self::Pester, Self::Nag];

    /// Those that campaigns draw besides pretences and origins. Seeds that once failed depend on this list.
    pub const PLAIN: [Self; 17] = [
        Self::Garbage,
        Self::Nonsense,
        Self::Forge,
        Self::Equivocate,
        Self::Future,
        Self::Past,
        Self::Usurp,
        Self::Shorten,
        Self::Announce,
        Self::Request,
        Self::Acknowledge,
        Self::Repeat,
        Self::Recreate,
        Self::Retype,
        Self::Rollback,
        Self::Nobody,
        Self::Masquerade,
    ];

    /// All that campaigns draw.
    pub fn all() -> Vec<Self> {
        let pretences = Pretence::ALL.map(Self::Pretend);
        Self::PLAIN.into_iter().chain(pretences).chain(Origin::ALL.map(Self::Begin)).collect()
    }
}

/// Bytes of records and of ids that a frame has room for.
const FRAME_ROOM: usize = FRAME_BYTES_MAX - 16;

/// The numbers of signals that carry nothing: a search for a node, and word that one was lost.
const SEARCH: u32 = 1 | 1 << 31;
const LOST: u32 = 1 << 29;

/// The class of what applications publish, as syncs number it.
const APPLICATION: u8 = 2;
/// Heads of CBOR: an array of up to 23 items, one of many, a map of one, of two, of three, false, true, a number of 8 bytes.
const ARRAY: u8 = 0x80;
const LONG_ARRAY: u8 = 0x99;
const MAP_OF_ONE: u8 = 0xa1;
const MAP_OF_TWO: u8 = 0xa2;
const MAP_OF_THREE: u8 = 0xa3;
const FALSE: u8 = 0xf4;
const TRUE: u8 = 0xf5;
const NUMBER: u8 = 0x1b;

/// A byte string in CBOR.
fn byte_string(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("a frame is short");
    [&[0x59], &length.to_be_bytes()[..], bytes].concat()
}

/// One item of an acknowledgement.
fn acknowledged(id: RecordId, version: u64) -> Vec<u8> {
    // The id is in its shortest form, as the core writes it.
    let id = [&[0x50], &id.as_bytes()[..]].concat();
    [&[ARRAY | 3][..], &id, &[NUMBER], &version.to_be_bytes(), &[FALSE]].concat()
}

/// A message of a graph, in one frame.
fn message(kind: Kind, slot: u16, body: &[u8]) -> Bytes {
    Bytes::from([&[0, kind.number()][..], &slot.to_be_bytes(), body].concat())
}

/// A record on its way.
fn flood(slot: u16, record: &Signed) -> Bytes {
    message(kind::FLOOD, slot, &[&[ARRAY | 1][..], &byte_string(record.bytes())].concat())
}

/// One item of an announcement: no flags, since it is no change. One of a request, with version 0: nothing is held.
fn announced(id: RecordId, version: u64) -> Vec<u8> {
    [id.as_bytes(), &[0][..], &version.to_be_bytes()].concat()
}

/// A record so often that it fills a frame.
fn flood_often(slot: u16, record: &Signed) -> Bytes {
    let record = byte_string(record.bytes());
    let count = (FRAME_ROOM / record.len()).clamp(1, FLOOD_RECORDS_MAX);
    let length = u16::try_from(count).expect("a page is short").to_be_bytes();
    message(kind::FLOOD, slot, &[&[LONG_ARRAY], &length[..], &record.repeat(count)].concat())
}

/// A signal from a node of `who` to another. The names that it gives are the liar's to choose, the signature is its own.
fn signal(
    slot: u16,
    who: &Identity,
    (group, nonce): (GroupId, NodeNonce),
    (from, to): (NodeId, NodeId),
    (attempt, number, hops): (u64, u32, u8),
    offer: &[u8],
) -> Bytes {
    let words = [from.0, to.0, attempt].map(u64::to_be_bytes).concat();
    let number = number.to_be_bytes();
    let signed = [group.as_bytes(), &words[..], &number, offer].concat();
    let signature = who.sign(Domain::Signal, &signed);
    let origin = [&who.public_key().as_bytes()[..], nonce.as_bytes(), &signature].concat();
    let body = [&words[..], &number, &[hops], &origin, offer].concat();
    message(kind::SIGNAL, slot, &body)
}

/// A new record made from another one.
fn fresh(own: &Record, id: RecordId, version: u64) -> Record {
    let now = WallTime(version >> 16);
    let new = Record { id, modifier: None, created: now, modified: now, version, ..own.clone() };
    Record { beginning: None, ..new }
}

/// A deletion of a record by a member to which the record does not belong.
fn tombstone(record: Record, modifier: PeerId, certificate: CertificateId, version: u64) -> Record {
    let modified = WallTime(version >> 16).max(record.created.after(Duration::from_secs(1)));
    Record {
        modifier: Some(modifier),
        modified,
        version: version.max(record.version + 1),
        deleted: true,
        attributes: Vec::new(),
        payload: Bytes::new(),
        certificate,
        ..record
    }
}

/// A record of the core's own types that a member makes up.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    /// Its type.
    pub kind: &'a str,
    /// The number that makes its id.
    pub random: u64,
    /// Its contents.
    pub payload: Bytes,
    /// The version that it takes the place of, if it is no new record.
    pub replaces: Option<&'a Record>,
    /// Whether it deletes that record.
    pub deleted: bool,
    /// How long it lives.
    pub lifetime: Duration,
}

/// The newcomer by an invitation, in a redemption that a liar makes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// A newcomer whom the liar lets in, and who agrees. Its proof holds if the link's secret is 32
    /// sevens.
    Puppet,
    /// The same without a proof.
    Unproved,
    /// Another member, with the certificate that it has.
    Another(PeerId),
}

impl World {
    /// An invitation that `host` makes up.
    pub fn invitation_by(
        &mut self,
        host: HostId,
        group: GroupId,
        key: PublicKey,
        uses: u8,
    ) -> Option<Signed> {
        let expires = self.hosts[host].clock.wall(self.now).after(Duration::from_secs(3_600));
        let fields = [
            byte_string(key.as_bytes()),
            vec![0],
            vec![ARRAY],
            vec![uses],
            [&[NUMBER], &expires.0.to_be_bytes()[..]].concat(),
        ];
        let payload = pretence::map(0, &fields);
        let random = (u64::from(uses) << 24) | (self.chance.any() % (1 << 24));
        let lifetime = Duration::from_secs(86_400);
        let kind = RecordType::INVITATION;
        let claim = Claim { kind, random, payload, replaces: None, deleted: false, lifetime };
        self.claim(host, group, &claim)
    }

    /// A redemption that `host` makes up, of an invitation with this id and key.
    pub fn redemption_by(
        &mut self,
        host: HostId,
        group: GroupId,
        invitation: RecordId,
        key: PublicKey,
        came: Came,
    ) -> Option<Signed> {
        let (issued, who) = match came {
            Came::Puppet | Came::Unproved => self.puppet_of(host, group)?,
            Came::Another(peer) => {
                let leaf = self.leaves(host, group).into_iter().find(|it| it.peer_id() == peer)?;
                (leaf, adapt::identity(&self.hosts[host]))
            }
        };
        let newcomer = issued.peer_id();
        let by_link = BearerSecret::from_bytes([7; 16]).prove(group, newcomer);
        let message = [&group.as_bytes()[..], key.as_bytes(), newcomer.as_bytes()].concat();
        let by_newcomer = who.sign(Domain::Redemption, &message);
        let proofs =
            [&[ARRAY | 2][..], &byte_string(&by_link), &byte_string(&by_newcomer)].concat();
        let mut fields = vec![byte_string(invitation.as_bytes()), byte_string(issued.der())];
        if came != Came::Unproved {
            fields.extend([byte_string(key.as_bytes()), proofs]);
        }
        let payload = pretence::map(0, &fields);
        let of = Digest::of(&[&invitation.as_bytes()[..], newcomer.as_bytes()].concat());
        let random = u64::from_le_bytes(*of.as_bytes().first_chunk()?);
        let lifetime = Duration::from_secs(86_400);
        let kind = RecordType::REDEMPTION;
        let claim = Claim { kind, random, payload, replaces: None, deleted: false, lifetime };
        self.claim(host, group, &claim)
    }

    /// A record of the core's own types, made up by `host`, relying on the membership under which
    /// it published last. Nothing if it has published nothing.
    pub fn claim(&mut self, host: HostId, group: GroupId, claim: &Claim<'_>) -> Option<Signed> {
        let me = self.hosts[host].peer_id();
        let records = self.hosts[host].disk.records(group).into_iter();
        let ours = records.filter(|record| record.creator == me && !record.kind.is_reserved());
        let own = ours.max_by_key(|record| record.version)?;
        let now = self.hosts[host].clock.wall(self.now);
        let seen = claim.replaces.map_or(0, |record| record.version);
        let created = claim.replaces.map_or(now, |record| record.created);
        let changed = claim.replaces.is_some();
        let modified = if changed { now.max(created.after(Duration::from_millis(1))) } else { now };
        let ends = claim.replaces.map_or(WallTime(0), |record| record.expires);
        let record = Record {
            id: RecordId::new(me, claim.kind, claim.random),
            kind: RecordType::new(claim.kind).expect("a good name"),
            version: peergraph_core::record::next_version(now, seen, 0),
            creator: me,
            modifier: changed.then_some(me),
            created,
            modified,
            expires: modified.after(claim.lifetime).max(ends).min(own.expires),
            deleted: claim.deleted,
            attributes: Vec::new(),
            payload: claim.payload.clone(),
            certificate: own.certificate,
            beginning: None,
            signature: [0; 64],
        };
        Some(record.sign(group, &adapt::identity(&self.hosts[host])))
    }

    /// `host` says to `to`, over a link on which they speak of a graph, that node `from` signals to node `target`.
    pub fn signal_in_the_name_of(
        &mut self,
        group: GroupId,
        (host, to): (HostId, HostId),
        (from, target): (NodeId, NodeId),
        attempt: u64,
        offer: &[u8],
    ) -> bool {
        let links = self.graph_links(host);
        let Some(&(_, slot)) = links.iter().find(|(other, _)| *other == to) else { return false };
        let who = adapt::identity(&self.hosts[host]);
        let of = (group, NodeNonce::default());
        let number = if offer.is_empty() { SEARCH } else { 1 };
        let frame = signal(slot, &who, of, (from, target), (attempt, number, 0), offer);
        self.inject(host, to, frame)
    }

    /// `host` says that it has lost a node, to everybody to whom it has a wire, or to some of them, or to all but that node;
    /// and that its word has come any way. Whether there is anybody.
    pub fn lose(&mut self, host: HostId, group: GroupId, node: NodeId) -> bool {
        let (who, nonce) = (adapt::identity(&self.hosts[host]), NodeNonce::default());
        let ends = (NodeId::of(self.hosts[host].peer_id(), nonce), node);
        let (attempt, hops) = (self.chance.any(), self.chance.within(0..256) as u8);
        let mut links = self.graph_links(host);
        match self.chance.within(0..3) {
            0 => {}
            1 => links.retain(|_| self.chance.within(0..2) == 0),
            _ => links.retain(|&(to, _)| {
                self.hosts[to].node.as_ref().is_none_or(|there| there.id() != node)
            }),
        }
        for &(to, slot) in &links {
            let frame = signal(slot, &who, (group, nonce), ends, (attempt, LOST, hops), b"");
            self.inject(host, to, frame);
        }
        !links.is_empty()
    }

    /// Has `host` lie in a group, once, to a host to which it has a wire. Returns false if it could
    /// not: it has no wire, or no record of the kind that the lie is about.
    pub fn lie(&mut self, host: HostId, group: GroupId, act: Act) -> bool {
        let mut links = self.graph_links(host);
        self.chance.shuffle(&mut links);
        let Some(&(to, slot)) = links.first() else { return false };
        let me = self.hosts[host].peer_id();
        let any = RecordId::new(me, crate::story::kind().as_str(), self.chance.any());
        let version = self.hosts[host].clock.wall(self.now).0 << 16;
        let frame = match act {
            Act::Garbage => garbage(&mut self.chance),
            Act::Nonsense => {
                let kinds: Vec<Kind> = Kind::all().filter(|kind| kind.is_of_graph()).collect();
                message(*self.chance.of(&kinds), slot, &garbage(&mut self.chance))
            }
            Act::Announce => message(kind::ANNOUNCE, slot, &announced(any, version)),
            Act::Acknowledge => {
                let item = acknowledged(any, version);
                message(kind::ACK, slot, &[&[MAP_OF_ONE, 0, ARRAY | 1][..], &item].concat())
            }
            Act::Request => message(kind::REQUEST, slot, &announced(any, 0)),
            Act::Equivocate => {
                let Some(own) = self.own_record(host) else { return false };
                let content = |text: &'static [u8]| Record {
                    payload: Bytes::from_static(text),
                    ..fresh(&own, any, version)
                };
                let (yes, no) = (content(b"yes"), content(b"no"));
                let (other, other_slot) = links[links.len() - 1];
                let frame =
                    flood(other_slot, &yes.sign(group, &adapt::identity(&self.hosts[host])));
                self.inject(host, other, frame);
                flood(slot, &no.sign(group, &adapt::identity(&self.hosts[host])))
            }
            Act::Nobody => {
                for record in self.of_nobody(host, OF_NOBODY, version) {
                    let record = self.signed(host, (record, group));
                    self.inject(host, to, flood(slot, &record));
                }
                return true;
            }
            Act::Masquerade => {
                let Some(chain) = self.anothers_chain(host, group) else { return false };
                // It leaves first: only who is no neighbour asks to become one.
                let leaving = [MAP_OF_THREE, 0, 1, 1, ARRAY, 2, ARRAY];
                self.inject(host, to, message(kind::DISCONNECT, slot, &leaving));
                let (chain, lonely) = (byte_string(&chain), [1, ARRAY, 2, FALSE]);
                let body = [&[MAP_OF_THREE, 0][..], &chain, &lonely].concat();
                message(kind::CONNECT, slot, &body)
            }
            Act::Waste => {
                let Some(own) = self.own_record(host) else { return false };
                flood_often(slot, &self.signed(host, (own, group)))
            }
            Act::Insist => {
                let Some(own) = self.own_record(host) else { return false };
                let wish = announced(own.id, 0);
                message(kind::REQUEST, slot, &wish.repeat((FRAME_ROOM / wish.len()).min(PAGE_MAX)))
            }
            Act::Chatter => {
                let [nobody, attempt] = [(); 2].map(|()| self.chance.any());
                let who = adapt::identity(&self.hosts[host]);
                // A node of its own, as anybody has as many as it likes.
                let nonce =
                    NodeNonce::from_bytes(std::array::from_fn(|i| attempt.to_be_bytes()[i % 8]));
                let ends = (NodeId::of(me, nonce), NodeId(nobody));
                signal(slot, &who, (group, nonce), ends, (attempt, SEARCH, 0), b"")
            }
            Act::Pester => Bytes::from_static(const { &[0, kind::PING.number()] }),
            Act::Nag => message(kind::REQUEST, slot, &[]),
            Act::Hollow => message(kind::SYNC, slot, &[MAP_OF_TWO, 0, APPLICATION, 1, TRUE]),
            Act::Promise => message(kind::GIVEN, slot, &[MAP_OF_TWO, 0, APPLICATION, 1, TRUE]),
            Act::Pretend(pretence) => {
                let Some(record) = self.pretence(host, group, pretence, version) else {
                    return false;
                };
                flood(slot, &self.signed(host, record))
            }
            Act::Begin(origin) => {
                let Some(record) = self.lie_about_origin(host, group, origin) else { return false };
                flood(slot, &record)
            }
            Act::Forge
            | Act::Future
            | Act::Past
            | Act::Usurp
            | Act::Recreate
            | Act::Retype
            | Act::Shorten
            | Act::Rollback
            | Act::Repeat => {
                let Some(record) = self.lying_record((host, group), act, any, version) else {
                    return false;
                };
                let frame = flood(slot, &record.sign(group, &adapt::identity(&self.hosts[host])));
                if act == Act::Forge { distort(&mut self.chance, &frame) } else { frame }
            }
        };
        self.inject(host, to, frame)
    }

    /// The change of a record by `host`, made by `change`, whether `host` may change the record or
    /// not. Nothing if it has published nothing.
    pub fn edit_by(
        &mut self,
        host: HostId,
        group: GroupId,
        record: &Record,
        change: impl FnOnce(&mut Record),
    ) -> Option<Signed> {
        let me = self.hosts[host].peer_id();
        let own = self.own_record(host)?;
        let now = self.hosts[host].clock.wall(self.now);
        let beginning = self.beginning(host, group, record);
        let mut edited = Record {
            modifier: Some(me),
            modified: now.max(record.created.after(Duration::from_millis(1))),
            version: peergraph_core::record::next_version(now, record.version, 0),
            expires: record.expires.min(own.expires),
            certificate: own.certificate,
            beginning: beginning.filter(|_| record.creator != me),
            ..record.clone()
        };
        change(&mut edited);
        Some(edited.sign(group, &adapt::identity(&self.hosts[host])))
    }

    /// Has `host` flood records, its own or others', over all wires on which it speaks of a graph.
    /// Returns the receivers.
    pub fn bring(&mut self, host: HostId, records: &[Signed]) -> Vec<HostId> {
        let links = self.graph_links(host);
        for &(to, slot) in &links {
            for record in records {
                self.inject(host, to, flood(slot, record));
            }
        }
        links.into_iter().map(|(to, _)| to).collect()
    }

    /// A record that `host` makes up, dated by its own clock, which it may have set back. Nothing
    /// if it has published none of which it could take the rest.
    pub fn make_up(&mut self, host: HostId, group: GroupId, payload: Bytes) -> Option<Signed> {
        self.make_up_all(host, group, vec![payload])?.pop()
    }

    /// The same, one record for each of these payloads.
    pub fn make_up_all(
        &mut self,
        host: HostId,
        group: GroupId,
        payloads: Vec<Bytes>,
    ) -> Option<Vec<Signed>> {
        let own = self.own_record(host)?;
        let version = self.hosts[host].clock.wall(self.now).0 << 16;
        let identity = adapt::identity(&self.hosts[host]);
        let signed = |payload| {
            let id = RecordId::new(own.creator, own.kind.as_str(), self.chance.any());
            Record { payload, ..fresh(&own, id, version) }.sign(group, &identity)
        };
        Some(payloads.into_iter().map(signed).collect())
    }

    /// Has `host` announce records that nobody has, so many over each wire on which it speaks of a graph.
    pub fn promise(&mut self, host: HostId, count: u16) {
        let me = self.hosts[host].peer_id();
        let version = self.hosts[host].clock.wall(self.now).0 << 16;
        for (to, slot) in self.graph_links(host) {
            let body: Vec<u8> = (0..count)
                .map(|_| RecordId::new(me, crate::story::kind().as_str(), self.chance.any()))
                .flat_map(|id| announced(id, version))
                .collect();
            self.inject(host, to, message(kind::ANNOUNCE, slot, &body));
        }
    }

    /// Has `host` flood the same records again and again over all wires on which it speaks of a graph: so many bytes over
    /// each. Returns how many wires there were.
    pub fn repeat(&mut self, host: HostId, record: &Signed, bytes: usize) -> usize {
        let links = self.graph_links(host);
        for &(to, slot) in &links {
            let frame = flood_often(slot, record);
            for _ in 0..bytes.div_ceil(frame.len()) {
                self.inject(host, to, frame.clone());
            }
        }
        links.len()
    }

    /// The record that an act is about.
    fn lying_record(
        &mut self,
        (host, group): (HostId, GroupId),
        act: Act,
        any: RecordId,
        version: u64,
    ) -> Option<Record> {
        let second = Duration::from_secs(1);
        let me = self.hosts[host].peer_id();
        let own = self.own_record(host)?;
        let now = WallTime(version >> 16);
        let new = fresh(&own, any, version);
        let change = |record: &Record| Record {
            modifier: Some(me),
            modified: now.max(record.created.after(second)),
            version: version.max(record.version + 1),
            certificate: own.certificate,
            beginning: None,
            ..record.clone()
        };
        Some(match act {
            Act::Future => {
                let later = now.after(3_600 * second);
                Record { created: later, modified: later, version: later.0 << 16, ..new }
            }
            Act::Past => {
                let (then, end) = (now.before(second), now.before(second / 2));
                Record { created: then, modified: then, expires: end, ..new }
            }
            // With its own certificate, the only one that it has a key for.
            Act::Usurp => {
                let record = self.application_record(host, |record| record.creator != me)?;
                let beginning = self.beginning(host, group, &record);
                Record { beginning, ..change(&record) }
            }
            Act::Recreate => Record { created: own.created.before(second), ..change(&own) },
            Act::Retype => {
                let kind = RecordType::new("another.type").expect("a good name");
                Record { kind, ..change(&own) }
            }
            Act::Shorten => {
                let changed = change(&own);
                Record { expires: changed.modified.after(second * 5), ..changed }
            }
            Act::Repeat => own,
            Act::Rollback => Record { version: own.version - 1, ..own },
            Act::Forge
            | Act::Nobody
            | Act::Masquerade
            | Act::Pretend(_)
            | Act::Begin(_)
            | Act::Garbage
            | Act::Nonsense
            | Act::Equivocate
            | Act::Announce
            | Act::Request
            | Act::Acknowledge
            | Act::Waste
            | Act::Insist
            | Act::Chatter
            | Act::Pester
            | Act::Nag
            | Act::Hollow
            | Act::Promise => new,
        })
    }

    fn own_record(&mut self, host: HostId) -> Option<Record> {
        let me = self.hosts[host].peer_id();
        self.application_record(host, |record| record.creator == me && !record.deleted)
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
        let entries = self.hosts[host].disk.iter();
        let values = entries.filter_map(|(key, value)| stored::whole(key, value));
        let records = values.filter_map(|value| Some(Signed::decode(value).ok()?.into_record()));
        let fits = |record: &Record| !record.kind.is_reserved() && wanted(record);
        let found: Vec<Record> = records.filter(fits).collect();
        (!found.is_empty()).then(|| self.chance.of(&found).clone())
    }
}
