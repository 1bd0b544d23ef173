//! Records by which a member claims to be what it is not: another member, an issuer, an administrator, the owner.
use super::{byte_string, fresh};
use crate::adapt;
use crate::host::HostId;
use crate::world::World;
use bytes::Bytes;
use memchr::memmem;
use peergraph_core::cert::{
    Certificate, Role, Subject, decode_chain, encode_chain, issue_by_owner, issue_member,
    issue_root, verify_chain,
};
use peergraph_core::id::{CertificateId, Digest, GroupId, RecordId};
use peergraph_core::identity::{GroupKey, Identity, verify};
use peergraph_core::policy::Policy;
use peergraph_core::record::{Beginning, Record, RecordType};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// A pretence of a member. Each is refused for a reason of its own, which a test names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pretence {
    /// An own record under an id that is another's.
    ForeignId,
    /// A record of another member, with the liar's certificate.
    Impersonate,
    /// The same, with that member's certificate: only the signature is the liar's.
    Counterfeit,
    /// An own record that names another's certificate.
    BorrowCertificate,
    /// A record that was signed for another group.
    OtherGroup,
    /// An own record that ends after the certificate that it names.
    Outlive,
    /// An own record from before the certificate that it names.
    Predate,
    /// The deletion of another's record.
    Bury,
    /// The deletion of the own membership.
    Unjoin,
    /// Other properties of the group.
    Rename,
    /// An invitation to be an administrator.
    Invite,
    /// A use of an invitation.
    Redeem,
    /// A revocation of somebody else.
    Revoke,
    /// A membership for a made-up identity, issued without the right to.
    Issue,
    /// Another's membership, as if the liar had issued it.
    Present,
    /// The own membership under another's name.
    Squat,
    /// A type of the core that is none.
    NoSuchType,
}

impl Pretence {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::ForeignId,
        Self::Impersonate,
        Self::Counterfeit,
        Self::BorrowCertificate,
        Self::OtherGroup,
        Self::Outlive,
        Self::Predate,
        Self::Bury,
        Self::Unjoin,
        Self::Rename,
        Self::Invite,
        Self::Redeem,
        Self::Revoke,
        Self::Issue,
        Self::Present,
        Self::Squat,
        Self::NoSuchType,
    ];
}

/// A text in CBOR.
fn text(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("a short text");
    [&[0x78, length], text.as_bytes()].concat()
}

/// The bytes of a map whose keys are the numbers from `first` on.
pub(super) fn map(first: u8, values: &[Vec<u8>]) -> Bytes {
    let mut bytes = vec![0xa0 | values.len() as u8];
    for (key, value) in (first..).zip(values) {
        bytes.push(key);
        bytes.extend_from_slice(value);
    }
    Bytes::from(bytes)
}

fn below_root(chain: &[Certificate]) -> Vec<u8> {
    byte_string(&encode_chain(&chain[1..]))
}

impl World {
    /// The record by which `host` pretends, and the group that it is signed for. Nothing if it
    /// lacks the object of the pretence.
    pub(super) fn pretence(
        &mut self,
        host: HostId,
        group: GroupId,
        pretence: Pretence,
        version: u64,
    ) -> Option<(Record, GroupId)> {
        let me = self.hosts[host].peer_id();
        let own = self.own_record(host)?;
        let chains = self.chains(host, group);
        let ours = chains.iter().find(|chain| leaf(chain).peer_id() == me)?.clone();
        let others: Vec<_> =
            chains.into_iter().filter(|chain| leaf(chain).peer_id() != me).collect();
        let theirs = (!others.is_empty()).then(|| self.chance.of(&others).clone())?;
        let (them, their_certificate) = (leaf(&theirs).peer_id(), leaf(&theirs).id());
        let random = self.chance.any();
        let kind = own.kind.as_str();
        let (id, their_id) = (RecordId::new(me, kind, random), RecordId::new(them, kind, random));
        let new = fresh(&own, id, version);
        let internal = |kind: &str, payload: Bytes| {
            let id = RecordId::new(me, kind, random);
            let kind = RecordType::new(kind).expect("a good name");
            Record { id, kind, payload, attributes: Vec::new(), ..new.clone() }
        };
        let key = || byte_string(leaf(&ours).subject_key().as_bytes());
        let record = match pretence {
            Pretence::ForeignId => Record { id: their_id, ..new },
            Pretence::Impersonate => Record { id: their_id, creator: them, ..new },
            Pretence::Counterfeit => {
                // Or the certificate would not cover it.
                let expires = new.expires.min(leaf(&theirs).not_after());
                Record {
                    id: their_id,
                    creator: them,
                    certificate: their_certificate,
                    expires,
                    ..new
                }
            }
            Pretence::BorrowCertificate => Record { certificate: their_certificate, ..new },
            Pretence::OtherGroup => {
                let elsewhere = GroupKey::generate(self.chance.bytes32()).group_id();
                return Some((new, elsewhere));
            }
            Pretence::Outlive => Record { expires: leaf(&ours).not_after().after(DAY), ..new },
            Pretence::Predate => {
                let then = leaf(&ours).not_before().before(DAY);
                Record { created: then, modified: then, ..new }
            }
            Pretence::Bury => {
                let record = self.application_record(host, |record| record.creator != me)?;
                // A record that outlives the liar's membership is refused for that alone.
                let expires = record.expires.min(leaf(&ours).not_after());
                let beginning = self.beginning(host, group, &record);
                let grave = super::tombstone(record, me, own.certificate, version);
                Record { expires, beginning, ..grave }
            }
            Pretence::Unjoin => {
                let records = self.hosts[host].disk.records(group);
                let is_own = |record: &Record| {
                    record.creator == me && record.kind.as_str() == RecordType::MEMBERSHIP
                };
                let record = records.into_iter().find(is_own)?;
                super::tombstone(record, me, own.certificate, version)
            }
            Pretence::Rename => {
                internal(RecordType::PROPERTIES, map(0, &[text("mine"), text(""), vec![0x18, 99]]))
            }
            Pretence::Invite => {
                let role = vec![2];
                let fields = [key(), role, vec![0x80], vec![5], number(new.expires.0)];
                let record = internal(RecordType::INVITATION, map(0, &fields));
                let random = (5 << 24) | (random % (1 << 24));
                Record { id: RecordId::new(me, RecordType::INVITATION, random), ..record }
            }
            Pretence::Redeem => {
                let invitation = RecordId::new(me, RecordType::INVITATION, 1 << 24);
                let key = leaf(&ours).subject_key();
                let came = super::Came::Another(them);
                let signed = self.redemption_by(host, group, invitation, key, came)?;
                return Some((signed.into_record(), group));
            }
            Pretence::Revoke => {
                let nothing = || byte_string(&[]);
                let (signer, target) = (below_root(&ours), below_root(&theirs));
                let fields = [vec![2], nothing(), nothing(), signer, target, vec![0]];
                let record = internal(RecordType::REVOCATION, map(1, &fields));
                let of = Digest::of(them.as_bytes());
                let random = u64::from_le_bytes(*of.as_bytes().first_chunk()?);
                Record { id: RecordId::new(me, RecordType::REVOCATION, random), ..record }
            }
            Pretence::Issue => {
                let mut chain = ours.clone();
                chain.push(self.usurped_certificate(host, leaf(&ours))?);
                internal(RecordType::MEMBERSHIP, encode_chain(&chain).into())
            }
            Pretence::Present => internal(RecordType::MEMBERSHIP, encode_chain(&theirs).into()),
            Pretence::Squat => {
                let mut chain = ours.clone();
                *chain.last_mut()? = renamed(leaf(&ours), leaf(&theirs).name())?;
                internal(RecordType::MEMBERSHIP, encode_chain(&chain).into())
            }
            Pretence::NoSuchType => internal("peergraph.nothing", Bytes::new()),
        };
        Some((record, group))
    }

    /// The proof that its creator made a record, which a change by another carries.
    pub(super) fn beginning(
        &self,
        host: HostId,
        group: GroupId,
        record: &Record,
    ) -> Option<Beginning> {
        let leaves = self.leaves(host, group);
        let creator = leaves.iter().find(|leaf| leaf.peer_id() == record.creator)?;
        Some(record.beginning_by(creator.subject_key()))
    }

    /// The leaves of all memberships on the disk of a host.
    pub(super) fn leaves(&self, host: HostId, group: GroupId) -> Vec<Certificate> {
        self.chains(host, group).iter().map(|chain| leaf(chain).clone()).collect()
    }

    /// A member that `host` makes up and lets in, below the membership with which it published last.
    pub(super) fn puppet_of(
        &mut self,
        host: HostId,
        group: GroupId,
    ) -> Option<(Certificate, Identity)> {
        let me = self.hosts[host].peer_id();
        let records = self.hosts[host].disk.records(group).into_iter();
        let ours = records.filter(|record| record.creator == me && !record.kind.is_reserved());
        let own = ours.max_by_key(|record| record.version)?;
        let chains = self.chains(host, group).into_iter();
        let chain = chains.into_iter().find(|chain| leaf(chain).id() == own.certificate)?;
        let chain = verify_chain(&chain, group, verify).ok()?;
        let now = self.hosts[host].clock.wall(self.now);
        let (secret, serial) = (self.chance.bytes32(), [1; 16]);
        let puppet = Identity::generate(secret, serial, "puppet", now).ok()?;
        let subject = Subject::of_identity(puppet.certificate()).ok()?;
        let (issuer, end) = (adapt::identity(&self.hosts[host]), now.after(DAY * 2));
        let role = Role::Member.into();
        let issued = issue_member(&issuer, &chain, subject, &role, serial, now, end).ok()?;
        Some((issued, puppet))
    }

    /// The membership of somebody else, encoded.
    pub(super) fn anothers_chain(&self, host: HostId, group: GroupId) -> Option<Vec<u8>> {
        let me = self.hosts[host].peer_id();
        let chains = self.chains(host, group).into_iter();
        let mut others = chains.filter(|chain| leaf(chain).peer_id() != me);
        others.next().map(|chain| encode_chain(&chain))
    }

    /// The chains of all memberships on the disk of a host.
    fn chains(&self, host: HostId, group: GroupId) -> Vec<Vec<Certificate>> {
        let records = self.hosts[host].disk.records(group).into_iter();
        let memberships = records
            .filter(|record| record.kind.as_str() == RecordType::MEMBERSHIP && !record.deleted);
        memberships.filter_map(|record| decode_chain(&record.payload).ok()).collect()
    }

    /// A certificate by the key of `host`, as the group's own key would issue it. Our own functions issue nothing that the
    /// role does not allow, so it is issued under a root that the liar makes of its key, with the name of its membership.
    fn usurped_certificate(&mut self, host: HostId, ours: &Certificate) -> Option<Certificate> {
        let key = GroupKey::generate(self.hosts[host].secret);
        let serial = |world: &mut Self| std::array::from_fn(|i| world.chance.bytes32()[i]);
        let (first, second) = (serial(self), serial(self));
        let (from, to) = (ours.not_before(), ours.not_after());
        let root = issue_root(&key, ours.name(), &Policy::default(), first, from, to).ok()?;
        let guest = Identity::generate(self.chance.bytes32(), first, "sybil", from).ok()?;
        let subject = Subject::of_identity(guest.certificate()).ok()?;
        issue_by_owner(&key, &root, subject, &Role::Member.into(), second, from, to).ok()
    }

    /// Records with certificates that nobody has seen.
    pub(super) fn of_nobody(&mut self, host: HostId, count: usize, version: u64) -> Vec<Record> {
        let Some(own) = self.own_record(host) else { return Vec::new() };
        let mut record = || {
            let id = RecordId::new(own.creator, own.kind.as_str(), self.chance.any());
            let bytes = self.chance.bytes32();
            let certificate = CertificateId::from_bytes(bytes);
            Record { certificate, ..fresh(&own, id, version) }
        };
        (0..count).map(|_| record()).collect()
    }

    /// Signs what a host made up.
    pub(super) fn signed(
        &self,
        host: HostId,
        (record, group): (Record, GroupId),
    ) -> peergraph_core::record::Signed {
        record.sign(group, &adapt::identity(&self.hosts[host]))
    }
}

fn leaf(chain: &[Certificate]) -> &Certificate {
    chain.last().expect("a chain that was read has a root")
}

fn number(number: u64) -> Vec<u8> {
    [&[super::NUMBER], &number.to_be_bytes()[..]].concat()
}

/// A certificate with another name of the same length in it. Nothing if that is none.
fn renamed(certificate: &Certificate, name: &str) -> Option<Certificate> {
    let old = certificate.name();
    if old.len() != name.len() || old == name {
        return None;
    }
    let mut der = certificate.der().to_vec();
    let at = memmem::find(&der, old.as_bytes())?;
    der[at..at + name.len()].copy_from_slice(name.as_bytes());
    Certificate::from_der(der).ok()
}
