//! The laws of the store: whatever order records come in, how often, and before or after time passes, every replica
//! ends with the same ones. A replica here is a real [`Group`] that takes real signed records.
use super::Group;
use crate::cert::{self, Role, Subject, VerifiedChain};
use crate::context::Ambient;
use crate::error::BadRecord;
use crate::group::Ctx;
use crate::id::{Digest, GroupId, NodeId, NodeNonce, RecordId};
use crate::identity::{self, GroupKey, Identity};
use crate::io::{Event, Outbox, Output};
use crate::node::Config;
use crate::noise::StaticKey;
use crate::policy::{Grant, Policy, Right};
use crate::provider::{Channel, Checks, Curve};
use crate::random::Random;
use crate::reach::asks::Asks;
use crate::reach::dial::Dialer;
use crate::reach::signals::Ways;
use crate::record::{Meta, Order, Record, RecordType, Signed, next_version};
use crate::sorted::{SortedMap, SortedSet};
use crate::storage::{Class, Storage};
use crate::time::{Now, Time, WallTime};
use bytes::Bytes;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use std::ops::Range;
use std::time::Duration;
use zeroize::Zeroizing;

mod attacks;
mod authority;
mod bases;
mod billing;
mod changes;
mod heirs;
mod many;
mod memo;
mod shares;

const NOW: WallTime = WallTime(1_800_000_000_000);
const HOUR: Duration = Duration::from_secs(3_600);
const SEEDS: u64 = 100;

/// Chance, and who is there.
struct Story {
    rng: ChaCha12Rng,
    key: GroupKey,
    owner: VerifiedChain,
    /// Creator of all records, and a plain member.
    bob: Signer,
    /// May change and delete others' notes.
    eve: Signer,
    /// The same with pictures only.
    mallory: Signer,
    ada: Signer,
}

struct Signer {
    identity: Identity,
    chain: VerifiedChain,
}

/// An act of somebody on a record.
struct Act<'a> {
    nth: u64,
    by: &'a Signer,
    kind: &'a str,
    /// The type that its id is bound to: that of its first version.
    made: &'a str,
    /// Steps of the version, the modification and the end.
    step: u64,
    /// Tells equal steps apart.
    content: u64,
    delete: bool,
}

impl Story {
    fn new(seed: u64) -> Self {
        let open = Right { update: false, delete: false, ..right("*", "member") };
        let policy = Policy {
            rights: vec![right("note", "editor"), right("picture", "painter"), open],
            ..Policy::default()
        };
        Self::under(seed, &policy)
    }

    fn under(seed: u64, policy: &Policy) -> Self {
        let key = GroupKey::generate([200; 32]);
        let end = NOW.after(HOUR * 24);
        let root = cert::issue_root(&key, "laws", policy, [1; 16], NOW.before(HOUR), end).unwrap();
        let signer = |n: u8, role, app: &[&str]| {
            let identity = Identity::generate([n; 32], [n; 16], "who", NOW).unwrap();
            let grant = Grant::new(role, app.iter().map(|&it| it.into()).collect()).unwrap();
            let subject = Subject::of_identity(identity.certificate()).unwrap();
            let from = NOW.before(HOUR);
            let issued =
                cert::issue_by_owner(&key, &root, subject, &grant, [n; 16], from, end).unwrap();
            let certificates = [root.clone(), issued];
            let chain =
                cert::verify_chain(&certificates, key.group_id(), identity::verify).unwrap();
            Signer { identity, chain }
        };
        let [bob, eve, mallory, ada] = [
            signer(2, Role::Member, &[]),
            signer(3, Role::Member, &["editor"]),
            signer(4, Role::Member, &["painter"]),
            signer(5, Role::Administrator, &[]),
        ];
        let owner = VerifiedChain::owner(&root, identity::verify).unwrap();
        let rng = ChaCha12Rng::seed_from_u64(seed);
        Self { rng, key, owner, bob, eve, mallory, ada }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.rng.next_u64() % bound
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }

    fn group(&self) -> GroupId {
        self.key.group_id()
    }

    /// The record after an act. A higher version never ends earlier, as with every honest publisher.
    fn signed(&self, act: &Act<'_>) -> Signed {
        let creator = self.bob.identity.peer_id();
        let (by, kind) = (&self.bob, act.made);
        let made = || self.signed(&Act { by, kind, step: 0, delete: false, ..*act });
        let by_other = act.step > 0 && act.by.identity.peer_id() != creator;
        let modified = NOW.after(Duration::from_millis(act.step));
        // Others keep the life that the record was made with; a deletion lasts longer than all that it may hide.
        let lives = match (act.delete, by_other) {
            (true, _) => 6,
            (false, true) => 1,
            (false, false) => act.step as u32 + 1,
        };
        let record = Record {
            id: RecordId::new(creator, act.made, act.nth),
            kind: RecordType::new(act.kind).unwrap(),
            version: next_version(modified, 0, 0),
            creator,
            modifier: (act.step > 0).then(|| act.by.identity.peer_id()),
            created: NOW,
            modified,
            expires: NOW.after(HOUR / 2 * lives),
            deleted: act.delete,
            attributes: Vec::new(),
            payload: match act.delete {
                true => Bytes::new(),
                false => Bytes::copy_from_slice(&act.content.to_be_bytes()),
            },
            certificate: act.by.chain.id(),
            beginning: by_other
                .then(|| made().record().beginning_by(self.bob.identity.public_key())),
            signature: [0; 64],
        };
        record.sign(self.group(), &act.by.identity)
    }

    /// The history of three notes of bob's: made, changed and deleted by all who may, often at once.
    fn history(&mut self) -> Vec<Signed> {
        let mut all = Vec::new();
        for nth in 0..3 {
            for made in 0..1 + self.below(2) {
                let kind = "note";
                let by = &self.bob;
                all.push(self.signed(&Act {
                    nth,
                    by,
                    kind,
                    made: kind,
                    step: 0,
                    content: made,
                    delete: false,
                }));
            }
            for _ in 0..self.below(6) {
                let (who, step, content) = (self.below(u64::MAX), 1 + self.below(3), self.below(2));
                let delete = self.below(4) == 0;
                let by = [&self.bob, &self.eve, &self.ada][(who % 3) as usize];
                let kind = "note";
                all.push(self.signed(&Act { nth, by, kind, made: kind, step, content, delete }));
            }
        }
        all
    }
}

/// Everything with records of these types.
fn right(types: &str, role: &str) -> Right {
    Right {
        types: types.into(),
        roles: vec![role.into()],
        publish: true,
        update: true,
        delete: true,
    }
}

/// One store, and all that its group needs of a node.
struct Replica {
    group: Group,
    identity: Identity,
    config: Config,
    channel: Channel,
    noise: StaticKey,
    rng: Random,
    wall: WallTime,
    storage: Storage,
    expired: SortedSet<RecordId>,
    checks: Checks,
}

type Held = SortedMap<RecordId, Digest>;

/// The story's group, as who just came has it, with a clock that is right.
fn empty(story: &Story) -> Group {
    let mut group = Group::new(0, "laws".into(), story.owner.clone());
    group.plausible.agreed(NOW.after(HOUR * 100_000), 0);
    group
}

impl Replica {
    fn new(story: &Story) -> Self {
        let mut group = empty(story);
        for signer in [&story.bob, &story.eve, &story.mallory, &story.ada] {
            group.roll.add(signer.chain.clone());
        }
        Self {
            group,
            identity: Identity::generate([9; 32], [9; 16], "replica", NOW).unwrap(),
            config: Config::default(),
            channel: Channel::default(),
            noise: StaticKey::new(Zeroizing::new([7; 32]), Curve::default()),
            rng: Random::new(&[1; 32]),
            wall: NOW.after(Duration::from_secs(1)),
            storage: Storage::default(),
            expired: SortedSet::new(),
            checks: Checks::default(),
        }
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut Group, &mut Ctx<'_>) -> T) -> T {
        let mut out = Outbox::new();
        let result = act(
            &mut self.group,
            &mut Ctx {
                ambient: Ambient {
                    now: Now { mono: Time::default(), wall: self.wall },
                    rng: &mut self.rng,
                    identity: &self.identity,
                    config: &self.config,
                    checks: self.checks,
                    channel: &self.channel,
                    node: NodeId(1),
                    nonce: NodeNonce::default(),
                    table_secret: 0,
                    version_salt: 0,
                    noise: &self.noise,
                    addresses: &[],
                    out: &mut out,
                },
                storage: &mut self.storage,
                purposes: &mut SortedMap::new(),
                ways: &mut Ways::default(),
                dialer: &Dialer::default(),
                asks: &mut Asks::default(),
            },
        );
        for output in out {
            if let Output::Event(Event::Expired { id, .. }) = output {
                self.expired.insert(id);
            }
        }
        result
    }

    /// Takes records in this order. Their sender is never blamed.
    fn take(&mut self, records: &[Signed]) {
        for signed in records {
            assert_eq!(self.offer(signed), Ok(()));
        }
    }

    /// Takes a record, if it is good. Whether its sender is to blame.
    fn offer(&mut self, signed: &Signed) -> Result<(), BadRecord> {
        let bytes = vec![signed.bytes().clone()];
        self.with(|group, ctx| group.accept_all(ctx, bytes, None)).1
    }

    fn pass(&mut self, time: Duration) {
        self.wall = self.wall.after(time);
        self.with(Group::expire);
    }

    fn metas(&self) -> impl Iterator<Item = &Meta> {
        self.group.index(Class::Application).iter()
    }

    fn held(&self) -> Held {
        self.metas().map(|meta| (meta.id, meta.digest)).collect()
    }

    /// The records that it holds, as bytes.
    fn records(&self) -> Vec<Signed> {
        let bytes = |meta: &Meta| self.storage.cached(self.group.id, meta.id).expect("just taken");
        self.metas().map(|meta| Signed::decode(bytes(meta)).unwrap()).collect()
    }
}

/// The slow and obviously right answer: of every id the highest that has not ended.
fn expected(history: &[Signed], now: WallTime) -> Held {
    let mut highest: SortedMap<RecordId, (Order, Digest, WallTime)> = SortedMap::new();
    for signed in history {
        let entry = (signed.order(), signed.digest(), signed.record().expires);
        let held = highest.entry(signed.record().id).or_insert(entry);
        *held = (*held).max(entry);
    }
    let lives = |(id, (_, digest, expires))| (expires > now).then_some((id, digest));
    highest.into_iter().filter_map(lives).collect()
}

/// Every seed, or the one of `SEED`.
fn each_seed(test: &str, law: impl Fn(&mut Story)) {
    for seed in seeds(SEEDS) {
        let repeat = Repeat(format!("SEED={seed} cargo test -p peergraph-core {test}"));
        law(&mut Story::new(seed));
        std::mem::forget(repeat);
    }
}

/// The seeds of a law: as many as it usually takes, or `CASES`; from `SEED` on, which is one case unless `CASES` says more.
fn seeds(usual: u64) -> Range<u64> {
    let said = |name| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
    let (first, cases) = (said("SEED"), said("CASES"));
    let from = first.unwrap_or(0);
    from..from + cases.unwrap_or(if first.is_some() { 1 } else { usual })
}

/// Says how to repeat a law that is broken.
struct Repeat(String);

impl Drop for Repeat {
    fn drop(&mut self) {
        eprintln!("repeat: {}", self.0);
    }
}

/// Goal: rights hold for records as they come over the wire, whatever the sender's own node would let it publish. Method:
/// signed records of a type that only editors may touch, and of one of which nothing is said.
#[test]
fn record_of_a_type_with_rights_is_refused_from_who_has_none() {
    let policy = Policy { rights: vec![right("note", "editor")], ..Policy::default() };
    let story = Story::under(1, &policy);
    let verdict = |by, kind, step, delete| {
        let signed = story.signed(&Act { nth: 0, by, kind, made: kind, step, content: 0, delete });
        let mut replica = Replica::new(&story);
        let bytes = vec![signed.bytes().clone()];
        let (_, blame) = replica.with(|group, ctx| group.accept_all(ctx, bytes, None));
        // A change of what its creator had no right to publish waits for that right, and is nobody's fault.
        let waits = kind == "note" && step > 0 && !delete && blame.is_ok();
        assert_eq!(blame.is_ok() && !waits, replica.held().len() == 1);
        blame
    };
    let (bob, eve, mallory, ada) = (&story.bob, &story.eve, &story.mallory, &story.ada);
    assert_eq!(verdict(bob, "note", 0, false), Err(BadRecord::Right));
    assert_eq!(verdict(bob, "note", 1, false), Err(BadRecord::Right), "nor change");
    assert_eq!(verdict(bob, "note", 1, true), Ok(()), "it may always take back its own");
    for delete in [false, true] {
        assert_eq!(verdict(mallory, "note", 1, delete), Err(BadRecord::Modifier));
        assert_eq!(verdict(eve, "note", 1, delete), Ok(()), "an editor");
        assert_eq!(verdict(ada, "note", 1, delete), Ok(()), "an administrator");
        assert_eq!(verdict(eve, "picture", 1, delete), Err(BadRecord::Modifier));
    }
    assert_eq!(verdict(bob, "picture", 0, false), Ok(()));
}

#[test]
fn any_order_any_number_and_any_time_make_one_store() {
    each_seed("any_order_any_number_and_any_time_make_one_store", |story| {
        let history = story.history();
        let passes = HOUR / 4 * story.below(9) as u32;
        let expected = expected(&history, NOW.after(Duration::from_secs(1)).after(passes));
        for replica in 0..3 {
            let mut held = Replica::new(story);
            let mut coming: Vec<Signed> = history.clone();
            for signed in &history {
                coming.extend((0..story.below(3)).map(|_| signed.clone()));
            }
            story.shuffle(&mut coming);
            let (before, after) = coming.split_at(story.below(coming.len() as u64 + 1) as usize);
            held.take(before);
            let had = held.held();
            held.pass(passes);
            let left: SortedSet<RecordId> = held.held().into_keys().collect();
            let ended = |id: &RecordId| had.contains_key(id) && !left.contains(id);
            assert!(held.expired.iter().all(ended), "what is said to have ended has");
            held.take(after);
            // A record that came late may have been one that was already over: nothing of it stays.
            held.pass(Duration::ZERO);
            assert_eq!(held.held(), expected, "replica {replica}");
        }
    });
}

/// A store is the join of what came to it: commutative, associative, idempotent.
#[test]
fn stores_join() {
    each_seed("stores_join", |story| {
        let history = story.history();
        let mut parts: [Vec<Signed>; 3] = Default::default();
        for signed in &history {
            // Some come to several.
            let some = 1 + story.below(7);
            for (nth, part) in parts.iter_mut().enumerate() {
                if some & (1 << nth) != 0 {
                    part.push(signed.clone());
                }
            }
        }
        let join = |parts: &[&[Signed]]| {
            let mut replica = Replica::new(story);
            parts.iter().for_each(|part| replica.take(part));
            replica
        };
        let [a, b, c] = parts.each_ref().map(|part| join(&[part]).records());
        let ab = join(&[&a, &b]);
        assert_eq!(ab.held(), join(&[&b, &a]).held(), "commutative");
        let left = join(&[&ab.records(), &c]);
        assert_eq!(left.held(), join(&[&a, &join(&[&b, &c]).records()]).held(), "associative");
        assert_eq!(left.held(), join(&[&left.records(), &left.records()]).held(), "idempotent");
        assert_eq!(left.held(), expected(&history, NOW), "and complete");
    });
}

/// Three records of one id, in all orders: the creator's, a later one by somebody with rights over its type, and a still
/// later one by somebody with rights over another type, which it calls it. The second stands, and who brings the third is
/// blamed: no honest node passes it on.
#[test]
fn rights_over_one_type_win_no_record_of_another() {
    each_seed("rights_over_one_type_win_no_record_of_another", |story| {
        let (second, third) = (1 + story.below(3), 4 + story.below(3));
        let [second_deletes, third_deletes] = [story.below(2) == 0, story.below(2) == 0];
        let act = |by, kind, step, delete| Act {
            nth: 0,
            by,
            kind,
            made: "note",
            step,
            content: 1,
            delete,
        };
        let all = [
            act(&story.bob, "note", 0, false),
            act(&story.eve, "note", second, second_deletes),
            act(&story.mallory, "picture", third, third_deletes),
        ]
        .map(|act| story.signed(&act));
        let expected = expected(&all[..2], NOW);
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut held = Replica::new(story);
            for nth in order {
                let blame = held.offer(&all[nth]);
                let fault = Err(BadRecord::ForeignId);
                assert_eq!(blame, if nth == 2 { fault } else { Ok(()) }, "{order:?}");
            }
            assert_eq!(held.held(), expected, "{order:?}");
        }
    });
}

/// A moderator whose membership ends in two hours deletes a record that would live for twenty. The creator's node confirms
/// it; so a copy that comes back after the moderator's time stays deleted.
#[test]
fn deletion_by_who_leaves_soon_lasts_as_long_as_what_it_hides() {
    let story = Story::new(1);
    let ends = |signed: Signed, hours: u32, by: &Signer| {
        Record { expires: NOW.after(HOUR * hours), ..signed.into_record() }
            .sign(story.group(), &by.identity)
    };
    let act =
        |by, step, delete| Act { nth: 0, by, kind: "note", made: "note", step, content: 1, delete };
    let note = ends(story.signed(&act(&story.bob, 0, false)), 20, &story.bob);
    let grave = ends(story.signed(&act(&story.eve, 1, true)), 2, &story.eve);
    {
        let order = [&note, &grave];
        let confirmed = |identity: Identity, chain: &VerifiedChain| {
            let mut node = Replica::new(&story);
            (node.identity, node.group.chain) = (identity, Some(chain.clone()));
            order.iter().for_each(|signed| node.take(std::slice::from_ref(signed)));
            node.with(Group::confirm_deletions);
            node.records().remove(0)
        };
        let bob = Identity::generate([2; 32], [2; 16], "who", NOW).unwrap();
        let confirmation = confirmed(bob, &story.bob.chain);
        assert_eq!(confirmation.record().expires, note.record().expires);
        assert_eq!(confirmation.record().modifier, Some(story.bob.identity.peer_id()));
        let mallory = Identity::generate([4; 32], [4; 16], "who", NOW).unwrap();
        let other = confirmed(mallory, &story.mallory.chain);
        assert_eq!(other.digest(), grave.digest(), "who may not delete it confirms nothing");

        let back = |confirmation: Option<&Signed>| {
            let mut replica = Replica::new(&story);
            let all = order.into_iter().chain(confirmation);
            all.for_each(|signed| replica.take(std::slice::from_ref(signed)));
            replica.pass(HOUR * 3);
            replica.take(std::slice::from_ref(&note));
            replica.metas().filter(|meta| !meta.deleted).count()
        };
        assert_eq!(back(None), 1, "without it the record would be back");
        assert_eq!(back(Some(&confirmation)), 0);
    }
}
