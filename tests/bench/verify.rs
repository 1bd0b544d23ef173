//! *Verify*: signatures, accepted records and chains a CPU second, beside plain `ed25519-dalek` in the same run.
//!
//! The signatures are those of records by many authors. The cost of *accepted records* is measured
//! at a member that was away: a world records every input of its sync, in which the records come as
//! many to a message as fit; then a fresh node gets the application records again, with nothing
//! else running. That is frames, decoding, rules, rights, signatures, index, writes, events and the
//! answers to the sender.
use crate::accept::PAYLOAD_BYTES;
use crate::{median, seconds};
use bytes::Bytes;
use ed25519_batch::{Signature, VerifyingKey, verify_batch};
use peergraph_core::cert::{self, Certificate, Role, Subject, VerifiedChain};
use peergraph_core::id::{CertificateId, GroupId, RecordId};
use peergraph_core::identity::{self, GroupKey, Identity};
use peergraph_core::io::{Event, SyncPhase};
use peergraph_core::policy::Policy;
use peergraph_core::record::{Record, next_version};
use peergraph_core::time::WallTime;
use peergraph_core::verify::{Claim, verify_all};
use peergraph_tests::scenario::Crypto;
use peergraph_tests::story::{draft, kind};
use peergraph_tests::{HostId, World};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

const NOW: WallTime = WallTime(1_800_000_000_000);
const YEAR: Duration = Duration::from_secs(31_536_000);

/// The choices of a measurement.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Records that are accepted.
    #[arg(long, default_value_t = 10_000)]
    records: usize,
    /// The number of their authors.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=200))]
    authors: u32,
    /// Signatures checked together.
    #[arg(long, default_value_t = 256)]
    batch: usize,
    /// Repetitions; the medians are reported.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Everything but the first three is per CPU second.
#[derive(Serialize)]
struct Report {
    authors: u32,
    batch: usize,
    records: usize,
    /// Strict checks by `ed25519-dalek`, one by one.
    plain_single: f64,
    /// Checks by `ed25519-dalek::verify_batch`.
    plain_batch: f64,
    single: f64,
    many: f64,
    accepted: f64,
    /// Accepted records to signatures of `plain_batch`.
    accepted_to_plain_batch: f64,
    /// Chains of three below a root, from bytes, of a group that nobody knows yet.
    chain_cold: f64,
    /// The same, where everybody above the leaf is known.
    chain_issuer_known: f64,
    /// The same, if the leaf is known too.
    chain_known: f64,
}

pub(crate) fn run(options: &Options) {
    let members = Members::new(options.authors);
    let claims = members.claims(options.batch);
    let plain: Vec<Plain> = claims.iter().map(Plain::of).collect();
    let chains = Chains::of(&members);
    let sync = Sync::record(options);

    let mut measured = [const { Vec::new() }; 8];
    for _ in 0..options.rounds {
        let batches = options.records.div_ceil(options.batch);
        let signatures = (batches * options.batch) as f64;
        let rates = [
            signatures
                / 4.0
                / seconds(|| (0..batches.div_ceil(4)).for_each(|_| plain_single(&plain))),
            signatures / seconds(|| (0..batches).for_each(|_| plain_batch(&plain))),
            signatures / 4.0 / seconds(|| (0..batches.div_ceil(4)).for_each(|_| single(&claims))),
            signatures / seconds(|| (0..batches).for_each(|_| many(&claims))),
            options.records as f64 / sync.accept(),
            chains.rate(1, |chains| chains.cold()),
            chains.rate(4, |chains| chains.issuer_known()),
            chains.rate(20, |chains| chains.known()),
        ];
        measured.iter_mut().zip(rates).for_each(|(all, rate)| all.push(rate));
    }
    let [plain_single, plain_batch, single, many, accepted, cold, issuer_known, known] =
        measured.map(median);
    let report = Report {
        authors: options.authors,
        batch: options.batch,
        records: options.records,
        plain_single,
        plain_batch,
        single,
        many,
        accepted,
        accepted_to_plain_batch: accepted / plain_batch,
        chain_cold: cold,
        chain_issuer_known: issuer_known,
        chain_known: known,
    };
    if options.json {
        println!("{}", serde_json::to_string(&report).expect("a report is plain data"));
    } else {
        report.print();
    }
}

impl Report {
    fn print(&self) {
        println!("per CPU second, {} authors, batches of {}:", self.authors, self.batch);
        println!("  ed25519-dalek, strict, one by one    {:>9.0}", self.plain_single);
        println!("  ed25519-dalek, verify_batch          {:>9.0}", self.plain_batch);
        println!("  ours, one by one                     {:>9.0}", self.single);
        println!("  ours, together                       {:>9.0}", self.many);
        let share = self.accepted_to_plain_batch;
        println!(
            "  records accepted by a node           {:>9.0}  ({share:.2} of verify_batch)",
            self.accepted
        );
        println!("  chains of 4 certificates, cold       {:>9.0}", self.chain_cold);
        println!("  chains, everybody above known        {:>9.0}", self.chain_issuer_known);
        println!("  chains, known                        {:>9.0}", self.chain_known);
    }
}

/// Members of a group, the creator first, then one administrator, then members below it.
struct Members {
    identities: Vec<Identity>,
    chains: Vec<VerifiedChain>,
    /// The administrator's, above all of these.
    issuer: VerifiedChain,
}

impl Members {
    fn new(authors: u32) -> Self {
        let key = GroupKey::generate([1; 32]);
        let end = NOW.after(YEAR);
        let root = cert::issue_root(&key, "bench", &Policy::default(), [0; 16], NOW, end);
        let root = root.expect("the default policy is a good one");
        let someone = |number: u32| {
            let secret: [u8; 32] = std::array::from_fn(|i| number.to_le_bytes()[i % 4]);
            let serial = std::array::from_fn(|i| number.to_be_bytes()[i % 4]);
            let identity = Identity::generate(secret, serial, "author", NOW);
            (identity.expect("a good name"), serial)
        };
        let (creator, serial) = someone(1_000);
        let subject = Subject::of_identity(creator.certificate()).expect("an identity");
        let grant = Role::Administrator.into();
        let first = cert::issue_by_owner(&key, &root, subject, &grant, serial, NOW, end);
        let mut certificates = vec![root, first.expect("the group's key may issue")];
        let verified = |certificates: &[Certificate]| {
            cert::verify_chain(certificates, key.group_id(), identity::verify).expect("just issued")
        };
        let mut above = verified(&certificates);
        let issue = |issuer: &Identity, above: &VerifiedChain, number, role: Role| {
            let (identity, serial) = someone(number);
            let subject = Subject::of_identity(identity.certificate()).expect("an identity");
            let issued = cert::issue_member(issuer, above, subject, &role.into(), serial, NOW, end);
            (identity, issued.expect("an administrator may issue"))
        };
        let (administrator, below) = issue(&creator, &above, 1_001, Role::Administrator);
        certificates.push(below);
        above = verified(&certificates);
        let (mut identities, mut chains) = (Vec::new(), Vec::new());
        for number in 0..authors {
            let (identity, leaf) = issue(&administrator, &above, number, Role::Member);
            chains.push(verified(&[&certificates[..], &[leaf]].concat()));
            identities.push(identity);
        }
        Self { identities, chains, issuer: above }
    }

    fn claims(&self, count: usize) -> Vec<Claim> {
        let authors = self.identities.iter().zip(&self.chains).cycle();
        let claim = |(number, (author, chain)): (usize, (&Identity, &VerifiedChain))| {
            let created = NOW.after(Duration::from_millis(number as u64));
            let record = Record {
                id: RecordId::new(author.peer_id(), kind().as_str(), number as u64),
                kind: kind(),
                version: next_version(created, 0, 0),
                creator: author.peer_id(),
                modifier: None,
                created,
                modified: created,
                expires: NOW.after(YEAR),
                deleted: false,
                attributes: Vec::new(),
                payload: Bytes::from(vec![b'.'; PAYLOAD_BYTES]),
                certificate: chain.id(),
                beginning: None,
                signature: [0; 64],
            };
            record.sign(chain.group(), author).claim(chain)
        };
        authors.enumerate().take(count).map(claim).collect()
    }
}

/// A claim as `ed25519-dalek` takes it.
struct Plain {
    key: VerifyingKey,
    message: Vec<u8>,
    signature: Signature,
}

impl Plain {
    fn of(claim: &Claim) -> Self {
        Self {
            key: VerifyingKey::from_bytes(claim.key()).expect("a key"),
            message: claim.message().to_vec(),
            signature: Signature::from_bytes(claim.signature()),
        }
    }
}

fn plain_single(plain: &[Plain]) {
    for Plain { key, message, signature } in plain {
        key.verify_strict(message, signature).expect("it is genuine");
    }
}

fn plain_batch(plain: &[Plain]) {
    let messages: Vec<&[u8]> = plain.iter().map(|p| &p.message[..]).collect();
    let signatures: Vec<Signature> = plain.iter().map(|p| p.signature).collect();
    let keys: Vec<VerifyingKey> = plain.iter().map(|p| p.key).collect();
    verify_batch(&messages, &signatures, &keys).expect("they are genuine");
}

fn single(claims: &[Claim]) {
    for claim in claims {
        verify_all(std::slice::from_ref(claim)).expect("it is genuine");
    }
}

fn many(claims: &[Claim]) {
    verify_all(claims).expect("they are genuine");
}

/// Chains as they travel, and what a member of their group knows.
struct Chains<'a> {
    encoded: Vec<Vec<u8>>,
    group: GroupId,
    /// All of them, and their issuer's.
    all: BTreeMap<CertificateId, &'a VerifiedChain>,
    issuer: BTreeMap<CertificateId, &'a VerifiedChain>,
}

impl<'a> Chains<'a> {
    fn of(members: &'a Members) -> Self {
        let encode = |chain: &VerifiedChain| cert::encode_chain(chain.certificates());
        let chains = &members.chains;
        let issuer = BTreeMap::from([(members.issuer.id(), &members.issuer)]);
        let all = chains.iter().map(|chain| (chain.id(), chain)).chain(issuer.clone());
        Self {
            encoded: chains.iter().map(encode).collect(),
            group: members.issuer.group(),
            all: all.collect(),
            issuer,
        }
    }

    /// Chains a CPU second.
    fn rate(&self, times: usize, work: impl Fn(&Self)) -> f64 {
        let count = (self.encoded.len() * times) as f64;
        count / seconds(|| (0..times).for_each(|_| work(self)))
    }

    fn cold(&self) {
        self.verify(|_| None);
    }

    fn issuer_known(&self) {
        self.verify(|id| self.issuer.get(&id).copied());
    }

    fn known(&self) {
        self.verify(|id| self.all.get(&id).copied());
    }

    fn verify(&self, known: impl Fn(CertificateId) -> Option<&'a VerifiedChain>) {
        for bytes in &self.encoded {
            let certificates = cert::decode_chain_knowing(bytes, &known, cert::read_certificate)
                .expect("it was encoded");
            let verify = identity::verify;
            cert::verify_chain_knowing(&certificates, self.group, verify, &known)
                .expect("it holds");
        }
    }
}

/// The inputs of a member that comes back after everybody else has written.
struct Sync {
    world: World,
    member: HostId,
    /// Inputs before the application records, and with them.
    before: usize,
    with: usize,
}

impl Sync {
    fn record(options: &Options) -> Self {
        let repeat = format!("cargo xtask bench verify --records {}", options.records);
        let mut world = World::new(1, repeat);
        let owner = world.native("owner");
        let group = world.create_group(owner, "bench");
        let member = world.native("member");
        world.let_in(owner, group, member, &[owner]);
        let mut authors = vec![owner];
        for number in 1..options.authors {
            let author = world.native(&format!("m{number}"));
            world.let_in(owner, group, author, &[owner]);
            authors.push(author);
        }
        world.run_for(Duration::from_secs(30));
        world.record(member);
        world.stop(member);
        for number in 0..options.records {
            let author = authors[number % authors.len()];
            let published = world.publish(author, group, draft(vec![b'.'; PAYLOAD_BYTES]));
            assert!(published.is_ok(), "{published:?}");
        }
        world.run_for(Duration::from_secs(60));
        for author in authors {
            if author != owner {
                world.stop(author);
            }
        }
        world.host(member).events.clear();
        world.start(member);
        world.await_opened(member);
        let _request = world.point(member, owner);
        let reached = |world: &mut World, phase: SyncPhase| {
            let here = move |e: &Event| matches!(e, Event::Sync { phase: p, .. } if *p == phase);
            let found = world.run_until(Duration::from_secs(120), |w| w.has_event(member, here));
            assert!(found, "the member synchronises: {phase:?}");
            world.recording().inputs()
        };
        let before = reached(&mut world, SyncPhase::Presence);
        let with = reached(&mut world, SyncPhase::Complete);
        assert_eq!(world.records(member, group).len(), options.records);
        Self { world, member, before, with }
    }

    /// Seconds of CPU for all of them.
    fn accept(&self) -> f64 {
        let host = &self.world.hosts()[self.member];
        let mut again = self.world.recording().replay(host, Crypto::Full, self.before);
        seconds(|| again.advance(self.with - self.before, false))
    }
}
