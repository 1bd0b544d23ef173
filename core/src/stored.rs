//! What a store says of its groups, read without a node: for hosts that list or delete identities.
//!
//! A host begins with [`first_range`] and reads the first entry of that range; each [`StoredGroup`] says where the
//! next one may be. So it looks at one entry for each group, however many records there are.
use crate::cert::{self, CertError, Certificate, VerifiedChain};
use crate::id::GroupId;
use crate::identity;
use crate::storage;
use bytes::Bytes;

/// A group of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredGroup {
    /// Its id.
    pub id: GroupId,
    /// Its friendly name; nothing if the entry is damaged.
    pub name: Option<String>,
    certificates: Vec<Certificate>,
}

/// The part of a saved group that is read here. The rest, which holds the group's key, is not touched.
#[derive(minicbor::Decode)]
#[cbor(map)]
struct Saved {
    #[n(1)]
    name: String,
    #[cbor(n(3), with = "minicbor::bytes")]
    chain: Vec<u8>,
}

/// Where the first group is: keys from the first inclusive to the second exclusive.
pub fn first_range() -> (Bytes, Bytes) {
    (Bytes::from_static(b"g"), Bytes::from_static(b"h"))
}

/// What a store holds of `bytes` under a key.
pub fn checked(key: &[u8], bytes: &[u8]) -> Bytes {
    storage::checked(key, bytes)
}

/// What was written as this entry of a store. `None` if it is damaged.
pub fn whole(key: &[u8], value: &Bytes) -> Option<Bytes> {
    storage::whole(key, value)
}

/// Whether this is the key of what is known of a group itself.
pub fn is_group(key: &[u8]) -> bool {
    matches!(storage::parse_key(key), Some(storage::Key::Info(_)))
}

/// Where what belongs to a group is, as in [`first_range`].
pub fn range_of(group: GroupId) -> (Bytes, Bytes) {
    storage::group_range(group)
}

impl StoredGroup {
    /// Reads the first entry of a range. `None` for one that belongs to no group.
    pub fn read(key: &[u8], value: &[u8]) -> Option<Self> {
        let id = GroupId::from_bytes(*key.strip_prefix(b"g")?.first_chunk()?);
        // Another entry comes first where what we know of the group is gone: damaged, but there.
        let value = Bytes::copy_from_slice(value);
        let value = storage::whole(key, &value).filter(|_| key == storage::info_key(id));
        let saved = value.and_then(|value| minicbor::decode::<Saved>(&value).ok());
        let (name, chain) = saved.map(|saved| (saved.name, saved.chain)).unzip();
        let certificates = chain.and_then(|chain| cert::decode_chain(&chain).ok());
        Some(Self { id, name, certificates: certificates.unwrap_or_default() })
    }

    /// Our membership.
    pub fn membership(&self) -> Result<VerifiedChain, CertError> {
        cert::verify_chain(&self.certificates, self.id, identity::verify)
    }

    /// Where the next group is, as in [`first_range`].
    pub fn next_range(&self) -> (Bytes, Bytes) {
        (storage::group_range(self.id).1, first_range().1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;
    use crate::io::{Command, Input, Output, RequestId, StoreReply, StoreTask};
    use crate::node::{Config, Node};
    use crate::policy::Policy;
    use crate::time::{Now, Time, WallTime};
    use std::collections::BTreeMap;

    const NOW: Now = Now { mono: Time::ZERO, wall: WallTime(1_800_000_000_000) };

    type Entries = BTreeMap<Bytes, Bytes>;

    /// Does what a node asks of its store, until it asks for nothing.
    fn drain(node: &mut Node, entries: &mut Entries) {
        let mut replies = Vec::new();
        loop {
            match node.poll() {
                Output::Store { op, task: StoreTask::Write { batch } } => {
                    for (key, value) in batch {
                        match value {
                            Some(value) => entries.insert(key, value),
                            None => entries.remove(&key),
                        };
                    }
                    replies.push((op, StoreReply::Written));
                }
                Output::Store { op, .. } => replies.push((op, StoreReply::Entries(Vec::new()))),
                Output::Idle { .. } if replies.is_empty() => return,
                Output::Idle { .. } => {
                    let (op, reply) = replies.remove(0);
                    node.handle(NOW, Input::Stored { op, result: Ok(reply) });
                }
                Output::Open { .. } | Output::Signal { .. } | Output::Send { .. } => {}
                Output::Close { .. }
                | Output::LookUp { .. }
                | Output::Done { .. }
                | Output::Event(_) => {}
            }
        }
    }

    /// Follows the ranges as a host does.
    fn groups(entries: &Entries) -> Vec<StoredGroup> {
        let mut found: Vec<StoredGroup> = Vec::new();
        let mut range = first_range();
        while let Some((key, value)) = entries.range(range.0.clone()..range.1.clone()).next() {
            let group = StoredGroup::read(key, value).unwrap();
            range = group.next_range();
            found.push(group);
        }
        found
    }

    #[test]
    fn groups_that_a_node_made_are_found_with_their_memberships() {
        let ada = Identity::generate([1; 32], [2; 16], "Ada", NOW.wall).unwrap();
        let peer = ada.peer_id();
        let mut node = Node::new(Config::default(), ada, [3; 32], NOW);
        let mut entries = Entries::new();
        drain(&mut node, &mut entries);
        assert_eq!(groups(&entries), []);
        for (n, name) in ["Trip to Lisbon", "Chess"].iter().enumerate() {
            let policy = Policy::default();
            let command = Command::CreateGroup { name: (*name).to_owned(), policy };
            node.handle(NOW, Input::Command { request: RequestId(n as u64), command });
            drain(&mut node, &mut entries);
        }
        assert!(entries.len() > 2, "there are records, too");
        let found = groups(&entries);
        let mut names: Vec<_> = found.iter().map(|group| group.name.clone().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["Chess", "Trip to Lisbon"]);
        for group in &found {
            let membership = group.membership().unwrap();
            assert_eq!((membership.group(), membership.peer()), (group.id, peer));
            assert_eq!(Some(membership.root().name()), group.name.as_deref());
        }
    }

    #[test]
    fn damaged_groups_are_found_all_the_same() {
        let (first, second) = (GroupId::from_bytes([1; 32]), GroupId::from_bytes([2; 32]));
        let record = crate::id::RecordId::from_bytes([3; 16]);
        let record = storage::record_key(second, storage::Class::Application, record);
        let entries = Entries::from([
            (storage::info_key(first), Bytes::from_static(b"no group")),
            (record, Bytes::new()),
        ]);
        let found = groups(&entries);
        assert_eq!(found.iter().map(|group| group.id).collect::<Vec<_>>(), [first, second]);
        for group in found {
            assert_eq!(group.name, None);
            assert_eq!(group.membership(), Err(CertError::ChainLength));
        }
        assert_eq!(StoredGroup::read(b"x", b""), None);
    }
}
