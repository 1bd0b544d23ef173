//! The authority law as a property: whatever a member signs by hand, it changes nothing for whom it could not have revoked.
//!
//! Mallory is a plain member, one who invites, or a junior administrator. She issues memberships to puppets and to others'
//! keys, with any name, role, serial and dates; revokes, redeems, invites, takes back, says that she is here, and changes
//! what others published, with every field free; her puppets do as well. All of it comes mixed with what honest members
//! have said, in any order, at two nodes, which then tell each other what they hold, as syncs do, and start again.
use super::*;
use crate::cert::Certificate;
use crate::group::internal::{
    invitation_id, redemption_id, redemption_payload, revocation_id, revocation_payload,
};
use crate::id::PeerId;
use crate::invitation::{BearerSecret, Proof, proof_message};
use crate::limits;
use crate::record::Beginning;
use crate::roll::{Kept, Reason, Revocation, Standing, Target, may_revoke};

/// Cases, each with a dozen acts in four orders.
const CASES: u64 = 400;

struct World {
    story: Story,
    /// Ada and Bob, administrators by the owner; Eve, who invites; Dan, whom Eve let in.
    honest: Vec<Signer>,
    /// The member that Mallory let in.
    guest: Signer,
    mallory: Vec<Signer>,
    said: Vec<Signed>,
    invitation: RecordId,
    link: BearerSecret,
}

/// The view that everybody has of a member.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    standing: Standing,
    grant: Grant,
    name: String,
    records: Held,
}

fn issued(
    story: &Story,
    by: Option<&Signer>,
    who: &Identity,
    (role, serial): (Role, [u8; 16]),
    (from, end): (WallTime, WallTime),
) -> Option<VerifiedChain> {
    let subject = Subject::of_identity(who.certificate()).ok()?;
    let root = story.owner.root();
    let (above, issued) = match by {
        None => {
            let key = &story.key;
            let issued =
                cert::issue_by_owner(key, root, subject, &role.into(), serial, from, end).ok()?;
            (std::slice::from_ref(root), issued)
        }
        Some(Signer { identity, chain }) => {
            let role = role.into();
            let issued =
                cert::issue_member(identity, chain, subject, &role, serial, from, end).ok()?;
            (chain.certificates(), issued)
        }
    };
    let all: Vec<Certificate> = [above, &[issued]].concat();
    cert::verify_chain(&all, story.group(), identity::verify).ok()
}

fn member(story: &Story, n: u8, name: &str, by: Option<&Signer>, role: Role) -> Signer {
    let identity = Identity::generate([n; 32], [n; 16], name, NOW).unwrap();
    let from = NOW.before(HOUR).after(Duration::from_secs(u64::from(n)));
    let times = (from, NOW.after(HOUR * 20));
    let chain = issued(story, by, &identity, (role, [n; 16]), times).unwrap();
    Signer { identity, chain }
}

/// A record with its fields as they are given, signed.
struct Saying<'a> {
    by: &'a Signer,
    kind: &'a str,
    id: RecordId,
    version: u64,
    payload: Vec<u8>,
    times: [WallTime; 3],
    creator: Option<PeerId>,
    beginning: Option<Beginning>,
    deleted: bool,
}

impl Saying<'_> {
    fn sign(self, story: &Story) -> Signed {
        let me = self.by.identity.peer_id();
        let [created, modified, expires] = self.times;
        Record {
            id: self.id,
            kind: RecordType::new(self.kind).unwrap(),
            version: self.version,
            creator: self.creator.unwrap_or(me),
            modifier: (modified > created).then_some(me),
            created,
            modified,
            expires,
            deleted: self.deleted,
            attributes: Vec::new(),
            payload: self.payload.into(),
            certificate: self.by.chain.id(),
            beginning: self.beginning,
            signature: [0; 64],
        }
        .sign(story.group(), &self.by.identity)
    }
}

/// The record in which a member shows its membership, or another that it issued.
fn shows(story: &Story, by: &Signer, chain: &VerifiedChain) -> Signed {
    let random = u64::from_be_bytes(*chain.id().as_bytes().first_chunk().unwrap());
    let kind = RecordType::MEMBERSHIP;
    Saying {
        by,
        kind,
        id: RecordId::new(by.identity.peer_id(), kind, random),
        version: next_version(NOW, 0, 0),
        payload: cert::encode_chain(chain.certificates()),
        times: [NOW, NOW, chain.not_after().min(by.chain.not_after())],
        creator: None,
        beginning: None,
        deleted: false,
    }
    .sign(story)
}

impl World {
    fn new(seed: u64, role: Role) -> Self {
        let story = Story::new(seed);
        let [ada, bob] = [(60, "Ada"), (61, "Bob")]
            .map(|(n, name)| member(&story, n, name, None, Role::Administrator));
        let eve = member(&story, 62, "Eve", None, Role::Inviting);
        let dan = member(&story, 63, "Dan", Some(&eve), Role::Member);
        let mallory = member(&story, 64, "Mallory", None, role);
        let by = if role == Role::Member { &eve } else { &mallory };
        let guest = member(&story, 65, "Guest", Some(by), Role::Member);
        let link = BearerSecret::from_bytes([7; 16]);
        let mut world = Self {
            invitation: invitation_id(ada.identity.peer_id(), 2, 1),
            honest: vec![ada, bob, eve, dan],
            guest,
            mallory: vec![mallory],
            said: Vec::new(),
            link,
            story,
        };
        world.said = world.history();
        world
    }

    fn everybody(&self) -> impl Iterator<Item = &Signer> {
        self.honest.iter().chain([&self.guest])
    }

    /// The records of honest members: who they are, a note each; Ada opened an invitation.
    fn history(&self) -> Vec<Signed> {
        let mut said = Vec::new();
        for by in self.everybody().chain(&self.mallory) {
            said.push(shows(&self.story, by, &by.chain));
            let id = RecordId::new(by.identity.peer_id(), "other", 1);
            let times = [NOW, NOW, NOW.after(HOUR * 10)];
            let version = next_version(NOW, 0, 0);
            let payload = by.identity.name().into();
            let kind = "other";
            let saying = Saying {
                by,
                kind,
                id,
                version,
                payload,
                times,
                creator: None,
                beginning: None,
                deleted: false,
            };
            said.push(saying.sign(&self.story));
        }
        let ada = &self.honest[0];
        said.push(self.invites(ada, self.invitation, self.link.public_key(), 2));
        said
    }

    fn invites(&self, by: &Signer, id: RecordId, key: identity::PublicKey, uses: u32) -> Signed {
        let open = crate::group::OpenInvitation {
            key,
            inviter: by.identity.peer_id(),
            grant: Role::Member.into(),
            uses,
            expires: NOW.after(HOUR),
            version: 0,
        };
        Saying {
            by,
            kind: RecordType::INVITATION,
            id,
            version: next_version(NOW, 0, 0),
            payload: open.to_payload(),
            times: [NOW, NOW, NOW.after(HOUR * 10)],
            creator: None,
            beginning: None,
            deleted: false,
        }
        .sign(&self.story)
    }

    fn is_honest(&self, peer: PeerId) -> bool {
        self.everybody().any(|it| it.identity.peer_id() == peer)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.story.below(bound)
    }

    fn any_time(&mut self) -> WallTime {
        NOW.before(HOUR * 2).after(HOUR / 4 * self.below(60) as u32)
    }

    fn any_version(&mut self) -> u64 {
        match self.below(3) {
            0 => self.below(100),
            1 => next_version(self.any_time(), 0, 0),
            _ => next_version(NOW, 0, 0) + self.below(5),
        }
    }

    /// One of Mallory and her puppets.
    fn liar(&mut self) -> usize {
        self.below(self.mallory.len() as u64) as usize
    }

    /// Anybody's membership.
    fn any_chain(&mut self) -> VerifiedChain {
        let all: Vec<VerifiedChain> =
            self.everybody().chain(&self.mallory).map(|it| it.chain.clone()).collect();
        let nth = self.below(all.len() as u64) as usize;
        all[nth].clone()
    }

    /// Mallory signs something.
    fn lie(&mut self, nth: u64) -> Vec<Signed> {
        match self.below(7) {
            0 | 1 => self.issues(nth),
            2 | 3 => vec![self.revokes()],
            4 => self.redeems(),
            5 => vec![self.takes_back()],
            _ => vec![self.says(nth)],
        }
    }

    /// A membership for a puppet or for somebody's key, by any of hers.
    fn issues(&mut self, nth: u64) -> Vec<Signed> {
        let by = self.liar();
        let victim = self.below(self.honest.len() as u64 + 3) as usize;
        let number = 100 + nth as u8;
        let who = match self.honest.get(victim) {
            // The key of another, under a name that it never had.
            Some(_) => Identity::generate([60 + victim as u8; 32], [1; 16], "a liar", NOW).ok(),
            None => Identity::generate([number; 32], [number; 16], "puppet", NOW).ok(),
        };
        let Some(who) = who else { return Vec::new() };
        let role = [Role::Member, Role::Inviting, Role::Administrator][self.below(3) as usize];
        // The serial of somebody else.
        let serial = *self.any_chain().leaf().serial().as_bytes();
        let times = (self.any_time(), self.any_time().after(HOUR * 4));
        let issuer = &self.mallory[by];
        let Some(chain) = issued(&self.story, Some(issuer), &who, (role, serial), times) else {
            return Vec::new();
        };
        let record = shows(&self.story, issuer, &chain);
        if victim >= self.honest.len() {
            let puppet = Signer { identity: who, chain };
            let own = shows(&self.story, &puppet, &puppet.chain);
            self.mallory.push(puppet);
            return vec![record, own];
        }
        vec![record]
    }

    fn revokes(&mut self) -> Signed {
        let by = self.liar();
        let target_chain =
            if self.below(3) == 0 { self.mallory[by].chain.clone() } else { self.any_chain() };
        let target = match self.below(2) {
            0 => Target::Certificate(target_chain.id()),
            _ => Target::Peer(target_chain.peer()),
        };
        let lists = self.below(2) == 0;
        let some: SortedSet<_> = (0..3).map(|_| self.any_chain().id()).collect();
        let said: Vec<Digest> = self.said.iter().map(Signed::digest).collect();
        let digests = said.into_iter().filter(|_| self.below(2) == 0).collect::<Vec<_>>();
        let (version, times) = (self.any_version(), [self.any_time(), self.any_time()]);
        let nth = self.below(u64::from(limits::REVOCATIONS_PER_TARGET_MAX)) as u8;
        let by = &self.mallory[by];
        let act = Revocation {
            version: 0,
            digest: Digest::default(),
            signer: by.chain.clone(),
            target_chain,
            target,
            reason: Reason::Misconduct,
            standing: if lists { some } else { SortedSet::new() },
            kept: if lists { Kept::new([0; 16], digests) } else { Kept::default() },
        };
        Saying {
            by,
            kind: RecordType::REVOCATION,
            id: revocation_id(by.identity.peer_id(), target, nth),
            version,
            payload: revocation_payload(&act, nth),
            times: [times[0].min(times[1]), times[0].max(times[1]), times[1].after(HOUR * 6)],
            creator: None,
            beginning: None,
            deleted: false,
        }
        .sign(&self.story)
    }

    /// An invitation of her own, or Ada's, and a use of it by a puppet or with another's certificate.
    fn redeems(&mut self) -> Vec<Signed> {
        let by = self.liar();
        let chain = self.any_chain();
        let random = self.below(3);
        let (uses, other) = (1 + self.below(2) as u32, 1 + self.below(2) as u32);
        let (proved, own, version) = (self.below(2) == 0, self.below(2) == 0, self.any_version());
        let by = &self.mallory[by];
        let me = by.identity.peer_id();
        let link = BearerSecret::from_bytes([if own { 9 } else { 7 }; 16]);
        let key = link.public_key();
        let id = if own { invitation_id(me, uses, random) } else { self.invitation };
        let newcomer = chain.peer();
        let proof = Proof {
            key,
            by_link: BearerSecret::from_bytes([9; 16]).prove(self.story.group(), newcomer),
            by_newcomer: by.identity.sign(
                identity::Domain::Redemption,
                &proof_message(self.story.group(), &key, newcomer),
            ),
        };
        let used = Saying {
            by,
            kind: RecordType::REDEMPTION,
            id: redemption_id(me, id, newcomer),
            version,
            payload: redemption_payload(id, chain.leaf(), proved.then_some(&proof)),
            times: [NOW, NOW, NOW.after(HOUR)],
            creator: None,
            beginning: None,
            deleted: false,
        };
        // The same invitation on other terms.
        let open = self.invites(by, invitation_id(me, uses, random), key, other);
        vec![
            self.invites(by, invitation_id(me, uses, random), key, uses),
            used.sign(&self.story),
            open,
        ]
    }

    /// The end of a record, of whomever it is.
    fn takes_back(&mut self) -> Signed {
        let by = self.liar();
        let nth = self.below(self.said.len() as u64) as usize;
        let (version, later) = (self.any_version(), self.below(2));
        let of = self.said[nth].record().clone();
        let modified = of.created.after(Duration::from_millis(1 + later));
        let beginning = self.beginning(nth, &self.mallory[by]);
        Saying {
            by: &self.mallory[by],
            kind: of.kind.as_str(),
            id: of.id,
            version: version.max(of.version + later),
            payload: Vec::new(),
            times: [of.created, modified, modified.after(HOUR)],
            creator: Some(of.creator),
            beginning,
            deleted: true,
        }
        .sign(&self.story)
    }

    /// That of what somebody said, for a change by another.
    fn beginning(&self, nth: usize, by: &Signer) -> Option<Beginning> {
        let creator = self.said[nth].record().creator;
        let mut all = self.everybody().chain(&self.mallory);
        let creator = all.find(|it| it.identity.peer_id() == creator)?;
        let other = by.identity.peer_id() != creator.identity.peer_id();
        other.then(|| self.said[nth].record().beginning_by(creator.identity.public_key()))
    }

    /// Properties, presence, a contact, somebody else's note, or what is none, with a payload that means something else.
    fn says(&mut self, nth: u64) -> Signed {
        let by = self.liar();
        let kinds = [
            RecordType::PROPERTIES,
            RecordType::PRESENCE,
            RecordType::CONTACT,
            RecordType::MEMBERSHIP,
            "other",
        ];
        let kind = kinds[self.below(kinds.len() as u64) as usize];
        let victim = self.any_chain().peer();
        let (version, foreign) = (self.any_version(), self.below(2) == 0);
        let other = self.below(self.said.len() as u64) as usize;
        let payload = self.said[other].record().payload.clone();
        let by = &self.mallory[by];
        let creator = if foreign { victim } else { by.identity.peer_id() };
        // That of the victim's note, if it is about that, or else of whatever there is.
        let id = RecordId::new(creator, kind, 1 + nth % 2);
        let begun = self.said.iter().position(|signed| signed.record().id == id).unwrap_or(other);
        let beginning = self.beginning(begun, by).filter(|_| foreign);
        let modified = NOW.after(Duration::from_millis(u64::from(foreign)));
        Saying {
            by,
            kind,
            id,
            version,
            payload: payload.to_vec(),
            times: [NOW, modified, NOW.after(HOUR * 9)],
            creator: Some(creator),
            beginning,
            deleted: false,
        }
        .sign(&self.story)
    }

    fn node(&self) -> Replica {
        let mut node = Replica::new(&self.story);
        node.group = empty(&self.story);
        node.checks = memo::remembering();
        node
    }

    /// A node that takes all of this in this order. Honest members have signed `honest`: nobody is blamed for that.
    fn takes(&self, records: &[Signed], honest: &SortedSet<Digest>) -> Replica {
        let mut node = self.node();
        for signed in records {
            let blame = node.offer(signed);
            assert!(blame.is_ok() || !honest.contains(&signed.digest()), "{:?}", signed.record());
        }
        // A record that ran ahead of the membership of its signer comes with a later sync.
        for signed in records {
            let _ = node.offer(signed);
        }
        node.enforced();
        node
    }

    fn seen(&self, node: &Replica, of: &Signer, records: bool) -> Option<Seen> {
        let roll = &node.group.roll;
        let peer = of.identity.peer_id();
        let best = roll.best_of(peer, node.wall)?;
        let mine = node.metas().filter(|meta| records && meta.creator() == peer);
        Some(Seen {
            standing: roll.standing(best, node.wall),
            grant: best.grant().clone(),
            name: roll.name_of(peer)?.to_owned(),
            records: mine.map(|meta| (meta.id, meta.digest)).collect(),
        })
    }
}

impl Replica {
    fn enforced(&mut self) {
        let mut links = crate::link::Links::default();
        self.with(|group, ctx| group.enforce(ctx, &mut links));
    }

    /// All that it holds.
    fn holds(&self) -> Vec<(Class, Bytes)> {
        let of = |class: Class| self.group.index(class).iter().map(move |meta| (class, meta.id));
        let ids = Class::ALL.into_iter().flat_map(of);
        ids.map(|(class, id)| (class, self.storage.cached(self.group.id, id).unwrap())).collect()
    }
}

#[test]
fn what_a_member_signs_changes_nothing_for_whom_it_cannot_revoke() {
    let test = "what_a_member_signs_changes_nothing_for_whom_it_cannot_revoke";
    for seed in seeds(CASES) {
        let repeat = Repeat(format!("SEED={seed} cargo test -p peergraph-core {test}"));
        let role = [Role::Member, Role::Inviting, Role::Administrator][(seed % 3) as usize];
        let mut world = World::new(seed, role);
        let honest: SortedSet<Digest> = world.said.iter().map(Signed::digest).collect();
        let lies: Vec<Signed> = (0..12).flat_map(|nth| world.lie(nth)).collect();
        let without = world.takes(&world.said, &honest);
        // An administrator may change what others publish; that is for the policy to say.
        let records = role != Role::Administrator;
        let expected: Vec<_> = world
            .everybody()
            .filter(|it| !world.mallory.iter().any(|liar| may_revoke(&liar.chain, &it.chain)))
            .map(|it| (it, world.seen(&without, it, records)))
            .collect();
        assert!(!expected.is_empty() && expected.iter().all(|(_, seen)| seen.is_some()));
        let rights = |node: &Replica| {
            for (member, seen) in &expected {
                assert_eq!(&world.seen(node, member, records), seen, "{role}");
            }
            let came = node.group.roll.redemptions().came(world.invitation);
            assert_eq!(came, SortedSet::new(), "nobody came by Ada's invitation");
            // An administrator changes and deletes what others published, and makes nothing in their names.
            for meta in node.metas().filter(|meta| world.is_honest(meta.creator())) {
                let made = world.said.iter().find(|signed| signed.record().id == meta.id);
                assert_eq!(made.map(|made| made.record().created), Some(meta.created), "{role}");
            }
        };
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        let mut nodes: Vec<Replica> = Vec::new();
        for _ in 0..2 {
            let mut all = [&world.said[..], &lies].concat();
            for last in (1..all.len()).rev() {
                all.swap(last, rng.next_u64() as usize % (last + 1));
            }
            let node = world.takes(&all, &honest);
            rights(&node);
            nodes.push(node);
        }
        // Each tells the other what it holds; nobody is to blame for that.
        for (from, to) in [(0, 1), (1, 0)] {
            for (_, bytes) in nodes[from].holds() {
                let (signed, node) = (Signed::decode(bytes).unwrap(), &mut nodes[to]);
                assert_eq!(node.offer(&signed), Ok(()), "{:?}", signed.record());
            }
            nodes[to].enforced();
            rights(&nodes[to]);
        }
        // A start from the store.
        let mut again = world.node();
        for (class, bytes) in nodes[0].holds() {
            again.with(|group, ctx| group.load(ctx, class, bytes));
        }
        again.with(Group::load_early);
        again.enforced();
        rights(&again);
        std::mem::forget(repeat);
    }
}
