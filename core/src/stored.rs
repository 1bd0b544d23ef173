//! The groups of a store, read without a node: for hosts that list or delete identities.
//!
//! A host begins with [`first_range`] and reads the first entry of that range; each [`StoredGroup`] says where the
//! next one may be. So it looks at one entry for each group, however many records there are.
use crate::cert::{self, CertError, Certificate, VerifiedChain};
use crate::id::GroupId;
use crate::identity::{self, GroupKey, Identity};
use crate::sealed::{NotOpened, Secrets};
use crate::storage;
use bytes::Bytes;
use zeroize::Zeroizing;

/// A group of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredGroup {
    /// Its id.
    pub id: GroupId,
    /// Its friendly name; nothing if the entry is damaged.
    pub name: Option<String>,
    certificates: Vec<Certificate>,
    /// Still sealed.
    secrets: Option<Vec<u8>>,
}

/// A secret that a store holds, opened. Wiped on drop, and not shown by `Debug`.
pub struct Secret {
    /// The kind of secret that it is.
    pub kind: SecretKind,
    /// As it is used: 32 bytes of a key or of what a password became.
    pub bytes: Zeroizing<[u8; 32]>,
}

/// The kinds of secrets in a store. There is nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretKind {
    /// The group's own key: who has it is above all members.
    GroupKey,
    /// A key that its holder has offered as the group's next own, or that was the group's own until the handover is
    /// durable.
    SpareKey,
    /// The bytes that an invitation's password became: who has it can join by that invitation, and try passwords against it.
    Password,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({:?})", self.kind)
    }
}

/// The part of a saved group that is read here.
#[derive(minicbor::Decode)]
#[cbor(map)]
struct Saved {
    #[n(1)]
    name: String,
    #[cbor(n(3), with = "minicbor::bytes")]
    chain: Vec<u8>,
    #[cbor(n(20), with = "minicbor::bytes")]
    secrets: Option<Vec<u8>>,
}

/// Where the first group is: keys from the first inclusive to the second exclusive.
pub fn first_range() -> (Bytes, Bytes) {
    (Bytes::from_static(b"g"), Bytes::from_static(b"h"))
}

/// The rest of the store after this key, as in [`first_range`].
pub fn range_after(key: &[u8]) -> (Bytes, Bytes) {
    ([key, &[0]].concat().into(), first_range().1)
}

/// The value that a store holds of `bytes` under a key.
pub fn checked(key: &[u8], bytes: &[u8]) -> Bytes {
    storage::checked(key, bytes)
}

/// The content that was written as this entry of a store. `None` if it is damaged.
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
        let Some(Saved { name, chain, secrets }) = saved else {
            return Some(Self { id, name: None, certificates: Vec::new(), secrets: None });
        };
        let certificates = cert::decode_chain(&chain).unwrap_or_default();
        Some(Self { id, name: Some(name), certificates, secrets })
    }

    /// The secrets of this group, opened with the identity whose store it is: for a host that keeps or moves them, and
    /// for tests that look for them where they must not be.
    ///
    /// # Errors
    /// [`NotOpened`].
    pub fn secrets(&self, identity: &Identity) -> Result<Vec<Secret>, NotOpened> {
        let Some(sealed) = &self.secrets else { return Ok(Vec::new()) };
        let opened = identity.sealer().open(&storage::info_key(self.id), sealed)?;
        let Secrets { group_key, passwords, spare_keys } = Secrets::from_bytes(&opened)?;
        let read = |kind, key: Zeroizing<Vec<u8>>| {
            let key = GroupKey::from_bytes(&key).map_err(|_| NotOpened)?;
            Ok(Secret { kind, bytes: key.seed() })
        };
        let key = group_key.into_iter().map(|key| read(SecretKind::GroupKey, key));
        let spare = spare_keys.into_iter().map(|key| read(SecretKind::SpareKey, key));
        let keys: Vec<Secret> = key.chain(spare).collect::<Result<_, NotOpened>>()?;
        let passwords = passwords.into_iter();
        let passwords = passwords.map(|(_, bytes)| Secret { kind: SecretKind::Password, bytes });
        Ok(keys.into_iter().chain(passwords).collect())
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
pub(crate) mod tests {
    use super::*;
    use crate::cert::Role;
    use crate::invitation::InvitationKind;
    use crate::io::{
        Command, Event, GroupCommand, Input, Invite, Output, Reply, RequestId, StoreFault,
        StoreReply, StoreTask,
    };
    use crate::node::{Config, Node};
    use crate::password::Password;
    use crate::policy::Policy;
    use crate::sorted::SortedMap;
    use crate::time::{Now, Time, WallTime};

    const NOW: Now = Now { mono: Time::ZERO, wall: WallTime(1_800_000_000_000) };

    pub(crate) type Entries = SortedMap<Bytes, Bytes>;

    /// The news that a node told meanwhile.
    #[derive(Default)]
    pub(crate) struct Told {
        pub(crate) faults: Vec<StoreFault>,
        pub(crate) replies: Vec<Reply>,
    }

    /// Does what a node asks of its store, until it asks for nothing.
    pub(crate) fn drain(node: &mut Node, entries: &mut Entries) -> Told {
        drain_at(node, entries, NOW)
    }

    fn drain_at(node: &mut Node, entries: &mut Entries, now: Now) -> Told {
        let mut told = Told::default();
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
                Output::Store { op, task: StoreTask::Scan { from, to, limit } } => {
                    let found = entries.range(from..to).take(limit);
                    let found = found.map(|(key, value)| (key.clone(), value.clone()));
                    replies.push((op, StoreReply::Entries(found.collect())));
                }
                Output::Store { op, task: StoreTask::Read { keys } } => {
                    let values = keys.iter().map(|key| entries.get(key).cloned()).collect();
                    replies.push((op, StoreReply::Values(values)));
                }
                Output::Idle { .. } if replies.is_empty() => return told,
                Output::Idle { .. } => {
                    let (op, reply) = replies.remove(0);
                    node.handle(now, Input::Stored { op, result: Ok(reply) });
                }
                Output::Done { result, .. } => told.replies.push(result.expect("it can be done")),
                Output::Event(Event::StoreFailed { fault }) => told.faults.push(fault),
                Output::Event(Event::Damaged { membership: true, .. }) => {
                    told.faults.push(StoreFault::Damaged);
                }
                Output::Open { .. }
                | Output::Signal { .. }
                | Output::Send { .. }
                | Output::Close { .. }
                | Output::LookUp(_)
                | Output::StunServers(_)
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
        let mut node = Node::new(Config::default(), ada, &[3; 32], NOW);
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

    const PASSWORD: &str = "correct horse battery staple";
    const SEED: [u8; 32] = [3; 32];

    pub(crate) fn ada() -> Identity {
        Identity::generate([1; 32], [2; 16], "Ada", NOW.wall).unwrap()
    }

    pub(crate) fn ask(node: &mut Node, entries: &mut Entries, command: Command) -> Reply {
        node.handle(NOW, Input::Command { request: RequestId(1), command });
        drain(node, entries).replies.remove(0)
    }

    /// The store of a node that made a group, and invited into it by password and by link; and that link's secret.
    pub(crate) fn store_with_every_secret() -> (Entries, [u8; 16]) {
        let mut entries = Entries::new();
        let mut node = Node::new(Config::default(), ada(), &SEED, NOW);
        drain(&mut node, &mut entries);
        let create = Command::CreateGroup { name: "Chess".into(), policy: Policy::default() };
        let Reply::Group(info) = ask(&mut node, &mut entries, create) else { panic!("a group") };
        let (uses, expires_in) = (5, std::time::Duration::from_secs(3_600));
        let (group, password) = (info.id, Password::new(PASSWORD).unwrap());
        let grant = || Role::Member.into();
        let invite = Invite::Password { grant: grant(), password, uses, expires_in };
        ask(&mut node, &mut entries, Command::Group(group, GroupCommand::Invite { invite }));
        let invite = Invite::Bearer { grant: grant(), uses, expires_in };
        let invitation =
            ask(&mut node, &mut entries, Command::Group(group, GroupCommand::Invite { invite }));
        let Reply::Invitation(invitation) = invitation else { panic!("an invitation") };
        let InvitationKind::Bearer { secret, .. } = invitation.kind else { panic!("a link") };
        (entries, *secret.as_bytes())
    }

    /// Forms in which a key could lie about: itself, what Ed25519 expands it to, and their texts. Those in DER or CBOR
    /// hold it as it is.
    fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
        use sha2::Digest as _;
        let expanded = sha2::Sha512::digest(secret);
        let mut scalar = expanded[..32].to_vec();
        (scalar[0], scalar[31]) = (scalar[0] & 248, scalar[31] & 63 | 64);
        let raw = [secret.to_vec(), scalar, expanded[..32].to_vec()];
        let texts = raw.iter().flat_map(|bytes| {
            use data_encoding::{BASE32_NOPAD, BASE64, HEXLOWER};
            [
                HEXLOWER.encode(bytes),
                BASE64.encode(bytes),
                BASE32_NOPAD.encode(bytes).to_lowercase(),
            ]
        });
        raw.iter().cloned().chain(texts.map(String::into_bytes)).collect()
    }

    fn holds(entries: &Entries, form: &[u8]) -> bool {
        let holds = |bytes: &Bytes| bytes.windows(form.len()).any(|window| window == form);
        entries.iter().any(|(key, value)| holds(key) || holds(value))
    }

    #[test]
    fn bytes_of_a_store_hold_no_secret() {
        let (entries, link) = store_with_every_secret();
        let group = groups(&entries).remove(0);
        let secrets = group.secrets(&ada()).unwrap();
        let kinds: Vec<_> = secrets.iter().map(|secret| secret.kind).collect();
        assert_eq!(kinds, [SecretKind::GroupKey, SecretKind::Password]);
        let key = GroupKey::generate(*secrets[0].bytes);
        assert_eq!(key.group_id(), group.id, "it is the group's key");
        assert!(holds(&entries, key.public_key().as_bytes()), "what is public is found");
        let others = [&link[..], &[1; 32], &SEED];
        let secrets = secrets.iter().map(|secret| &secret.bytes[..]).chain(others);
        for (n, secret) in secrets.enumerate() {
            for (form, bytes) in forms(secret).iter().enumerate() {
                assert!(!holds(&entries, bytes), "secret {n} in form {form}");
            }
        }
        assert!(!holds(&entries, PASSWORD.as_bytes()));
    }

    #[test]
    fn secrets_are_there_again_after_a_restart() {
        let (mut entries, _) = store_with_every_secret();
        let mut node = Node::new(Config::default(), ada(), &[4; 32], NOW);
        assert_eq!(drain(&mut node, &mut entries).faults, []);
        let Reply::Groups(infos) = ask(&mut node, &mut entries, Command::Groups) else { panic!() };
        assert!(infos.len() == 1 && infos[0].owner);
        let secrets = groups(&entries).remove(0).secrets(&ada()).unwrap();
        assert_eq!(secrets.len(), 2);
    }

    #[test]
    fn what_a_password_became_goes_with_its_invitation() {
        let (mut entries, _) = store_with_every_secret();
        let mut node = Node::new(Config::default(), ada(), &[4; 32], NOW);
        drain(&mut node, &mut entries);
        let kinds = |entries: &Entries| -> Vec<_> {
            let secrets = groups(entries).remove(0).secrets(&ada()).unwrap();
            secrets.iter().map(|secret| secret.kind).collect()
        };
        let pass = std::time::Duration::from_secs;
        // It is good for an hour.
        for (seconds, expected) in [
            (3_000, &[SecretKind::GroupKey, SecretKind::Password][..]),
            (3_700, &[SecretKind::GroupKey]),
        ] {
            let now =
                Now { mono: NOW.mono.after(pass(seconds)), wall: NOW.wall.after(pass(seconds)) };
            // The second is for the save that the first asks for.
            for _ in 0..2 {
                node.handle(now, Input::Timeout);
                drain_at(&mut node, &mut entries, now);
            }
            assert_eq!(kinds(&entries), expected, "after {seconds} s");
        }
    }

    #[test]
    fn a_store_that_cannot_be_opened_says_why_and_stays_as_it_is() {
        let (entries, _) = store_with_every_secret();
        let key = storage::info_key(groups(&entries)[0].id);
        let changed = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut entries = entries.clone();
            let mut value = storage::whole(&key, &entries[&key]).unwrap().to_vec();
            change(&mut value);
            entries.insert(key.clone(), storage::checked(&key, &value));
            entries
        };
        let eve = Identity::generate([8; 32], [2; 16], "Eve", NOW.wall).unwrap();
        let sealed = groups(&entries)[0].secrets.clone().unwrap();
        let within =
            |value: &[u8]| value.windows(sealed.len()).position(|it| it == sealed).unwrap();
        // The number of the form is the last but one entry of the map.
        let form = |value: &[u8]| within(value) - 4;
        for (entries, identity, expected) in [
            (entries.clone(), eve, StoreFault::OtherIdentity),
            (changed(&|it| it.truncate(20)), ada(), StoreFault::Damaged),
            (
                changed(&|it| {
                    let at = within(it) + 30;
                    it[at] ^= 1
                }),
                ada(),
                StoreFault::Damaged,
            ),
            (
                changed(&|it| {
                    let at = form(it);
                    it[at] = 9
                }),
                ada(),
                StoreFault::OtherVersion,
            ),
        ] {
            let mut after = entries.clone();
            let mut node = Node::new(Config::default(), identity, &[5; 32], NOW);
            assert_eq!(drain(&mut node, &mut after).faults, [expected]);
            assert_eq!(after, entries, "{expected}: nothing is lost");
            assert!(expected.to_string().len() > 40, "it says what to do");
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
