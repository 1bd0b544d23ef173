//! The reference model: what every honest store must hold in the end, worked out slowly from all that was ever durable.
//!
//! Every version of every record that any disk has held is kept, with the hosts that held it. The
//! records that should stand are then a pure function of those versions and the time: of the
//! versions of one id that a running member has held, the highest in the conflict order; unless its
//! time is over. No index, no sync, no arrival order is involved.
use crate::host::HostId;
use crate::store::Disk;
use bytes::Bytes;
use peergraph_core::id::{GroupId, PeerId, RecordId};
use peergraph_core::record::{Record, RecordType, Signed};
use peergraph_core::stored;
use peergraph_core::time::WallTime;
use sha2::{Digest as _, Sha256};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Around the end of a record a store may hold it or not: clocks differ by seconds, and expiry looks once a second.
const EXPIRY_SLACK: Duration = Duration::from_secs(15);
/// Violations that are told.
const TOLD_MAX: usize = 8;

/// Keys of a store, as `core/src/storage.rs` describes them.
const GROUP_AT: usize = 1;
const KIND_AT: usize = GROUP_AT + GroupId::BYTES;
const RECORD_KEY_BYTES: usize = KIND_AT + 2 + RecordId::BYTES;

/// All versions of all records that were ever durable somewhere.
#[derive(Debug, Default)]
pub struct Model {
    versions: BTreeMap<(GroupId, RecordId), Vec<Version>>,
}

#[derive(Debug)]
struct Version {
    bytes: Bytes,
    record: Record,
    digest: [u8; 32],
    /// The hosts that held it, in the order in which they came to.
    hosts: Vec<HostId>,
}

impl Version {
    /// The conflict order, word by word as `record/order.rs` of the core states it.
    fn stands_over(&self, other: &Self) -> Ordering {
        let (ours, theirs) = (&self.record, &other.record);
        let of_an_application = |record: &Record| !record.kind.is_reserved();
        let base = |record: &Record| match &record.beginning {
            Some(beginning) if of_an_application(record) => beginning.version,
            Some(_) | None => record.version,
        };
        let deleted = |record: &Record| record.deleted && of_an_application(record);
        let deletion = deleted(ours).cmp(&deleted(theirs));
        let base = base(ours).cmp(&base(theirs));
        let version = ours.version.cmp(&theirs.version);
        let changed = ours.modifier.is_some().cmp(&theirs.modifier.is_some());
        let modifier = match (&ours.modifier, &theirs.modifier) {
            (Some(ours), Some(theirs)) => ours.as_bytes().cmp(theirs.as_bytes()),
            (Some(_), None) | (None, Some(_)) | (None, None) => Ordering::Equal,
        };
        let modified = ours.modified.cmp(&theirs.modified);
        let first = deletion.then(base).then(version);
        first.then(changed).then(modifier).then(modified).then(self.digest.cmp(&other.digest))
    }
}

/// The group and the record that a key of a store is about; nothing for what is no record, and for presence, which comes and
/// goes with its nodes.
fn record_of(key: &[u8]) -> Option<(GroupId, RecordId)> {
    let fits = key.len() == RECORD_KEY_BYTES && key[0] == b'g' && key[KIND_AT] == b'r';
    let group = fits.then(|| key[GROUP_AT..KIND_AT].try_into().ok())??;
    let id = key[KIND_AT + 2..].try_into().ok()?;
    Some((GroupId::from_bytes(group), RecordId::from_bytes(id)))
}

/// The bytes of a record on a disk, whichever class it is kept under.
fn held_at(disk: &Disk, group: GroupId, id: RecordId) -> Option<&Bytes> {
    let of = |&(key, _): &(&[u8], &Bytes)| record_of(key) == Some((group, id));
    disk.iter().find(of).map(|(_, value)| value)
}

impl Model {
    /// An entry became durable at `host`.
    ///
    /// # Panics
    /// If a node wrote a record that nobody can read.
    pub fn durable(&mut self, host: HostId, key: &[u8], value: &Bytes) {
        let Some(of) = record_of(key) else { return };
        let versions = self.versions.entry(of).or_default();
        if let Some(known) = versions.iter_mut().find(|version| version.bytes == *value) {
            if known.hosts.last() != Some(&host) {
                known.hosts.push(host);
            }
            return;
        }
        // A copy of its own: the value may be a slice of a much larger frame.
        let bytes = Bytes::copy_from_slice(value);
        let whole = stored::whole(key, value).expect("what is written fits its check");
        let digest = Sha256::digest(&whole).into();
        let record = Signed::decode(whole).expect("a store holds records").into_record();
        assert_eq!(record.id, of.1, "a record is stored under its id");
        versions.push(Version { bytes, record, digest, hosts: vec![host] });
    }

    /// The records that should stand in a group if only versions that `members` have held count.
    fn standing<'a>(
        &'a self,
        group: GroupId,
        members: &'a [bool],
    ) -> impl Iterator<Item = (RecordId, &'a Version)> {
        let presence = |version: &Version| version.record.kind.as_str() == RecordType::PRESENCE;
        let held = |version: &&Version| {
            version.hosts.iter().any(|&host| members.get(host).copied().unwrap_or(false))
        };
        let of_group = self.versions.iter().filter(move |((of, _), _)| *of == group);
        of_group.filter_map(move |(&(_, id), versions)| {
            let best = versions.iter().filter(held).max_by(|a, b| a.stands_over(b))?;
            (!presence(best)).then_some((id, best))
        })
    }

    /// How the disks of `members` differ from what they should hold at `wall`: at most a few of the violations.
    pub fn violations(
        &self,
        group: GroupId,
        members: &[(HostId, &Disk)],
        wall: WallTime,
    ) -> Vec<String> {
        let mut is_member =
            vec![false; members.iter().map(|(host, _)| host + 1).max().unwrap_or(0)];
        members.iter().for_each(|&(host, _)| is_member[host] = true);
        let standing: BTreeMap<RecordId, &Version> = self.standing(group, &is_member).collect();
        let unsettled = self.unsettled(group, &standing, &is_member, wall);
        let mut violations = Vec::new();
        for id in &unsettled {
            let values: BTreeSet<Option<&Bytes>> = members
                .iter()
                .map(|(_, disk)| {
                    held_at(disk, group, *id).filter(|v| !self.is_over(group, *id, v, wall))
                })
                .collect();
            if values.len() > 1 {
                violations.push(format!("{id:?}, which came back, differs"));
            }
        }
        for &(host, disk) in members {
            let mut held = disk
                .iter()
                .filter_map(|(key, value)| Some((record_of(key)?, value)))
                .filter(|((of, id), _)| {
                    *of == group && standing.contains_key(id) && !unsettled.contains(id)
                })
                .map(|((_, id), value)| (id, value))
                .collect::<BTreeMap<_, _>>();
            for (id, version) in standing.iter().filter(|(id, _)| !unsettled.contains(id)) {
                let record = &version.record;
                let (over, alive) = (
                    record.expires.after(EXPIRY_SLACK) < wall,
                    record.expires.before(EXPIRY_SLACK) > wall,
                );
                let what = || {
                    let had = version.hosts.len();
                    format!(
                        "{id:?} ({}, version {:x}), which {had} had",
                        record.kind, record.version
                    )
                };
                let wrong = match held.remove(id) {
                    None if alive => Some(format!("host {host} lacks {}", what())),
                    // A removal that the disk refused is made up for at the next start.
                    Some(_) if over && disk.refused > 0 => None,
                    Some(_) if over => Some(format!("host {host} holds {}, and is over", what())),
                    Some(value) if alive && *value != version.bytes => {
                        Some(format!("host {host} holds another version of {}", what()))
                    }
                    None | Some(_) => None,
                };
                violations.extend(wrong);
                if violations.len() >= TOLD_MAX {
                    return violations;
                }
            }
        }
        violations
    }

    /// The versions that any of `members` has held and by which somebody says something false of the making of a record of an
    /// honest member: one that its creator never signed, or that was made at another time. At most a few.
    pub fn made_up(&self, group: GroupId, members: &[HostId], honest: &[PeerId]) -> Vec<String> {
        let mut wrong = Vec::new();
        for (&(of, id), versions) in &self.versions {
            let by_creator = |version: &&Version| {
                let Record { creator, modifier, .. } = version.record;
                modifier.is_none_or(|modifier| modifier == creator)
            };
            let of_honest = |version: &&Version| honest.contains(&version.record.creator);
            let held = |version: &&Version| version.hosts.iter().any(|host| members.contains(host));
            let mut changed = versions.iter().filter(|it| of == group && of_honest(it) && held(it));
            let false_one = changed.find(|version| {
                let Record { created, creator, .. } = version.record;
                let same =
                    |own: &Version| (own.record.created, own.record.creator) == (created, creator);
                !versions.iter().filter(by_creator).any(same)
            });
            if let Some(version) = false_one
                && wrong.len() < TOLD_MAX
            {
                let Record { kind, created, .. } = &version.record;
                wrong.push(format!("{id:?} ({kind}) was not made at {created:?} by its creator"));
            }
        }
        wrong
    }

    /// Whether a version is over: it counts as not held, since a disk may have refused to remove it.
    fn is_over(&self, group: GroupId, id: RecordId, value: &Bytes, wall: WallTime) -> bool {
        let versions = self.versions.get(&(group, id));
        let known = versions.into_iter().flatten().find(|version| version.bytes == *value);
        known.is_some_and(|version| version.record.expires.before(EXPIRY_SLACK) <= wall)
    }

    /// Records whose highest version is over while a lower one is not: only who lies makes such. If anybody still holds the
    /// lower one it comes back, else nothing does: all must agree, whichever it is.
    fn unsettled(
        &self,
        group: GroupId,
        standing: &BTreeMap<RecordId, &Version>,
        members: &[bool],
        wall: WallTime,
    ) -> BTreeSet<RecordId> {
        let over = |version: &&Version| version.record.expires.before(EXPIRY_SLACK) <= wall;
        let outlived = |(&id, best): (&RecordId, &&Version)| {
            let mut versions = self.versions[&(group, id)].iter();
            let is_held = |version: &Version| {
                version.hosts.iter().any(|&host| members.get(host).copied().unwrap_or(false))
            };
            (over(best) && versions.any(|other| is_held(other) && !over(&other))).then_some(id)
        };
        standing.iter().filter_map(outlived).collect()
    }

    /// The records that an application must be shown at `wall`, in the order of (modified, id), and those that it may be
    /// shown, since their time ends about then.
    pub fn shown(
        &self,
        group: GroupId,
        members: &[bool],
        wall: WallTime,
    ) -> (Vec<Record>, Vec<RecordId>) {
        let (mut must, mut may) = (Vec::new(), Vec::new());
        let standing: BTreeMap<RecordId, &Version> = self.standing(group, members).collect();
        may.extend(self.unsettled(group, &standing, members, wall));
        for (id, Version { record, .. }) in standing {
            if record.deleted || record.kind.is_reserved() {
                continue;
            }
            if record.expires.before(EXPIRY_SLACK) > wall {
                must.push(record.clone());
            } else if record.expires.after(EXPIRY_SLACK) >= wall {
                may.push(id);
            }
        }
        must.sort_by_key(|record| (record.modified, record.id));
        (must, may)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;
    use crate::clock::WORLD_BEGINS;
    use peergraph_core::id::CertificateId;
    use peergraph_core::identity::Identity;
    use peergraph_core::io::{StoreId, StoreTask};

    const GROUP: GroupId = GroupId::from_bytes([7; 32]);

    fn signed(ada: &Identity, number: u64, version: u64, text: &str) -> Signed {
        let record = Record {
            id: RecordId::new(ada.peer_id(), crate::story::kind().as_str(), number),
            kind: crate::story::kind(),
            version,
            creator: ada.peer_id(),
            modifier: None,
            created: WORLD_BEGINS,
            modified: WORLD_BEGINS,
            expires: WORLD_BEGINS.after(Duration::from_secs(100)),
            deleted: false,
            attributes: Vec::new(),
            payload: Bytes::copy_from_slice(text.as_bytes()),
            certificate: CertificateId::from_bytes([1; 32]),
            beginning: None,
            signature: [0; 64],
        };
        record.sign(GROUP, ada)
    }

    fn key(id: RecordId) -> Bytes {
        [&b"g"[..], GROUP.as_bytes(), b"r\x02", id.as_bytes()].concat().into()
    }

    fn value(signed: &Signed) -> Bytes {
        stored::checked(&key(signed.record().id), signed.bytes())
    }

    fn disk(records: &[&Signed]) -> Disk {
        let mut disk = Disk::default();
        let write = |s: &&Signed| (key(s.record().id), Some(value(s)));
        let batch = records.iter().map(write).collect();
        disk.submit(0, StoreId(1), StoreTask::Write { batch }, &mut Chance::new(1));
        assert!(disk.finish().is_some());
        disk
    }

    #[test]
    fn stores_are_compared_with_what_should_stand() {
        let ada = Identity::generate([1; 32], [1; 16], "ada", WORLD_BEGINS).unwrap();
        let (old, new) = (signed(&ada, 1, 5, "old"), signed(&ada, 1, 6, "new"));
        let other = signed(&ada, 2, 5, "other");
        let mut model = Model::default();
        for (host, record) in [(0, &old), (0, &new), (1, &old), (1, &other), (0, &other)] {
            model.durable(host, &key(record.record().id), &value(record));
        }
        let good = disk(&[&new, &other]);
        let (stale, lacking) = (disk(&[&old, &other]), disk(&[&new]));
        let told = |members: &[(HostId, &Disk)], wall| model.violations(GROUP, members, wall).len();
        assert_eq!(told(&[(0, &good), (1, &good)], WORLD_BEGINS), 0);
        assert_eq!(told(&[(0, &good), (1, &stale)], WORLD_BEGINS), 1);
        assert_eq!(told(&[(0, &lacking), (1, &good)], WORLD_BEGINS), 1);
        // A version that only host 0 has held does not count once that host is gone.
        assert_eq!(told(&[(1, &stale)], WORLD_BEGINS), 0);
        let over = WORLD_BEGINS.after(Duration::from_secs(200));
        assert_eq!(told(&[(0, &good)], over), 2);
        let (must, _) = model.shown(GROUP, &[true, true], WORLD_BEGINS);
        assert_eq!(must.len(), 2);
        assert!(must.iter().any(|record| record.payload == "new"));
    }

    #[test]
    fn records_that_their_creator_never_made_are_seen() {
        let of = |n, name| Identity::generate([n; 32], [n; 16], name, WORLD_BEGINS).unwrap();
        let (ada, eve) = (of(1, "ada"), of(2, "eve"));
        let made = signed(&ada, 1, 5, "made");
        let change = |number, before: u64| {
            let record = signed(&ada, number, 6, "changed").into_record();
            let second = Duration::from_secs(1);
            let created = record.created.before(second * before as u32);
            let modified = record.modified.after(second);
            let modifier = Some(eve.peer_id());
            Record { modifier, modified, created, ..record }.sign(GROUP, &eve)
        };
        let told = |versions: &[&Signed], honest: &[PeerId]| {
            let mut model = Model::default();
            for signed in versions {
                model.durable(3, &key(signed.record().id), &value(signed));
            }
            (model.made_up(GROUP, &[3], honest).len(), model.made_up(GROUP, &[0], honest).len())
        };
        let (honest, earlier) = (change(1, 0), change(1, 1));
        assert_eq!(told(&[&made, &honest], &[ada.peer_id()]), (0, 0));
        assert_eq!(told(&[&made, &earlier], &[ada.peer_id()]), (1, 0));
        assert_eq!(told(&[&made, &change(2, 0)], &[ada.peer_id()]), (1, 0), "never made");
        assert_eq!(told(&[&made, &earlier], &[eve.peer_id()]), (0, 0), "liars lie about their own");
    }
}
