//! Shares as a property: one who signs at its maximum leaves every other its part, whatever came first. And what attacks
//! of members once cost: each filled a place that belonged to all.
use super::*;
use crate::address::Address;
use crate::group::internal::{invitation_id, revocation_id, revocation_payload};
use crate::group::membership::issued_id;
use crate::group::quota::Kind;
use crate::group::records::Accepted;
use crate::id::PeerId;
use crate::invitation::BearerSecret;
use crate::limits;
use crate::record::{Attribute, Value};
use crate::roll::{Kept, Reason, Revocation, Standing, Target};

#[derive(minicbor::Encode)]
#[cbor(map)]
struct Presence {
    #[n(0)]
    nonce: NodeNonce,
    #[n(1)]
    addresses: Vec<Address>,
}

#[derive(minicbor::Encode)]
#[cbor(map)]
struct Contact {
    #[n(0)]
    nonce: NodeNonce,
    #[n(1)]
    signature: NodeId,
    #[n(2)]
    addresses: Vec<Address>,
    #[n(3)]
    rendezvous: Vec<Address>,
}

fn member(story: &Story, n: u8, role: Role) -> Signer {
    let identity = Identity::generate([n; 32], [n; 16], "who", NOW).unwrap();
    let subject = Subject::of_identity(identity.certificate()).unwrap();
    let (from, end, root) = (NOW.before(HOUR), NOW.after(HOUR * 24), story.owner.root());
    let issued =
        cert::issue_by_owner(&story.key, root, subject, &role.into(), [n; 16], from, end).unwrap();
    let all = [root.clone(), issued];
    let chain = cert::verify_chain(&all, story.group(), identity::verify).unwrap();
    Signer { identity, chain }
}

/// A record that is new at this step.
struct New<'a> {
    by: &'a Signer,
    kind: &'a str,
    id: RecordId,
    step: u64,
    payload: Vec<u8>,
    life: Duration,
}

impl New<'_> {
    fn sign(self, story: &Story) -> Signed {
        self.with(story, Vec::new())
    }

    fn with(self, story: &Story, attributes: Vec<Attribute>) -> Signed {
        let Self { by, kind, id, step, payload, life } = self;
        Record {
            id,
            kind: RecordType::new(kind).unwrap(),
            version: next_version(NOW.after(Duration::from_millis(step)), 0, 0),
            creator: by.identity.peer_id(),
            modifier: None,
            created: NOW,
            modified: NOW,
            expires: NOW.after(life),
            deleted: false,
            attributes,
            payload: payload.into(),
            certificate: by.chain.id(),
            beginning: None,
            signature: [0; 64],
        }
        .sign(story.group(), &by.identity)
    }
}

fn note(story: &Story, by: &Signer, nth: u64, step: u64, bytes: usize) -> Signed {
    let id = RecordId::new(by.identity.peer_id(), "other", nth);
    let (kind, payload, life) = ("other", vec![0; bytes], HOUR * 20);
    New { by, kind, id, step, payload, life }.sign(story)
}

fn nonce(nth: u64) -> NodeNonce {
    NodeNonce::from_bytes(std::array::from_fn(|at| match at {
        0..8 => nth.to_be_bytes()[at],
        _ => 7,
    }))
}

fn contact(story: &Story, by: &Signer, nth: u64) -> Signed {
    let nonce = nonce(nth);
    let node = NodeId::of(by.identity.peer_id(), nonce);
    let kind = RecordType::CONTACT;
    let id = RecordId::new(by.identity.peer_id(), kind, node.0);
    let says = Contact { nonce, signature: node, addresses: Vec::new(), rendezvous: Vec::new() };
    let (payload, life) = (crate::wire::encode(&says), Duration::from_secs(300));
    New { by, kind, id, step: nth, payload, life }.sign(story)
}

fn presence(story: &Story, by: &Signer, nth: u64, addresses: Vec<Address>) -> Signed {
    let nonce = nonce(nth);
    let node = NodeId::of(by.identity.peer_id(), nonce);
    let kind = RecordType::PRESENCE;
    let id = RecordId::new(by.identity.peer_id(), kind, node.0);
    let payload = crate::wire::encode(&Presence { nonce, addresses });
    New { by, kind, id, step: nth, payload, life: Duration::from_secs(360) }.sign(story)
}

fn invitation(story: &Story, by: &Signer, nth: u64, until: WallTime, life: Duration) -> Signed {
    let inviter = by.identity.peer_id();
    let open = crate::group::OpenInvitation {
        key: BearerSecret::from_bytes([7; 16]).public_key(),
        inviter,
        grant: Role::Member.into(),
        uses: 1,
        expires: until,
        version: 0,
    };
    let (kind, payload) = (RecordType::INVITATION, open.to_payload());
    New { by, kind, id: invitation_id(inviter, 1, nth), step: nth, payload, life }.sign(story)
}

fn revocation(
    story: &Story,
    by: &Signer,
    target: &VerifiedChain,
    (nth, step): (u8, u64),
) -> Signed {
    let act = Revocation {
        version: 0,
        digest: Digest::default(),
        signer: by.chain.clone(),
        target_chain: target.clone(),
        target: Target::Certificate(target.id()),
        reason: Reason::Misconduct,
        standing: SortedSet::new(),
        kept: Kept::default(),
    };
    let (kind, payload) = (RecordType::REVOCATION, revocation_payload(&act, nth));
    let id = revocation_id(by.identity.peer_id(), act.target, nth);
    New { by, kind, id, step, payload, life: HOUR * 20 }.sign(story)
}

impl Replica {
    /// Takes records in messages, as they come over a link. Returns the outcome of each, and what the application was told.
    fn hear(&mut self, records: &[Signed]) -> (Vec<Accepted>, Vec<Event>) {
        let (mut became, mut told) = (Vec::new(), Vec::new());
        for message in records.chunks(500) {
            let bytes = message.iter().map(|signed| signed.bytes().clone()).collect();
            let (accepted, events) = self.with(|group, ctx| {
                let (accepted, result) = group.accept_all(ctx, bytes, None);
                assert_eq!(result, Ok(()));
                let events = std::mem::take(ctx.out);
                (accepted, events)
            });
            became.extend(accepted.into_iter().map(|it| it.outcome));
            for output in events {
                if let Output::Event(event) = output {
                    told.push(event);
                }
            }
        }
        (became, told)
    }

    fn used(&self, kind: Kind, by: &Signer) -> (u64, u64) {
        self.group.held_of(kind, by.identity.peer_id())
    }
}

/// R3, R14. Goal: presences of one member take no more than eight places, events do not grow with what somebody sends, and
/// the others are here all the same. Method: a thousand and four thousand presences, before and after an honest one.
#[test]
fn presences_of_one_member_are_few_and_leave_everybody_elses() {
    let story = Story::new(1);
    let most = limits::NODES_PER_PEER_MAX;
    for (n, late) in [(1_000, false), (4_000, true)] {
        let mut replica = Replica::new(&story);
        let eves = presence(&story, &story.eve, 1, Vec::new());
        let bobs: Vec<Signed> =
            (0..n).map(|k| presence(&story, &story.bob, k, Vec::new())).collect();
        let all: Vec<Signed> = match late {
            true => bobs.iter().chain([&eves]).cloned().collect(),
            false => [&eves].into_iter().chain(&bobs).cloned().collect(),
        };
        let (_, told) = replica.hear(&all);
        let (mut events, mut nodes) = (0, 0);
        for event in told {
            if let Event::Member { member, .. } = event {
                assert!(member.nodes.len() <= most);
                (events, nodes) = (events + 1, nodes + member.nodes.len());
            }
        }
        eprintln!("{n} presences: {events} member events with {nodes} nodes");
        assert!(nodes as u64 <= 2 * (n + 1) * most as u64);
        let of = |signer: &Signer| replica.group.present_of.get(&signer.identity.peer_id());
        assert_eq!(of(&story.bob).map(SortedSet::len), Some(most));
        assert_eq!(of(&story.eve).map(SortedSet::len), Some(1));
        assert_eq!(replica.used(Kind::Presence, &story.bob).0, most as u64);
        let newest = bobs.last().unwrap().record().id;
        assert!(replica.group.meta(newest).is_some(), "the newest stand");
        // A member that is revoked is gone at once.
        assert_eq!(
            replica.offer(&revocation(&story, &story.ada, &story.bob.chain, (0, 1))),
            Ok(())
        );
        replica.with(|group, ctx| group.enforce(ctx, &mut crate::link::Links::default()));
        assert_eq!(replica.group.present.len(), 1);
        assert_eq!(replica.group.present_records.len(), 1);
    }
}

/// R3, variants: what a presence says of itself is bounded as a rule for records, and so its sender is to blame.
#[test]
fn presences_that_live_long_say_much_or_name_another_node_are_refused() {
    let story = Story::new(1);
    let good = presence(&story, &story.bob, 1, Vec::new());
    let changed = |change: &dyn Fn(&mut Record)| {
        let mut record = good.record().clone();
        change(&mut record);
        let signed = record.sign(story.group(), &story.bob.identity);
        Replica::new(&story).offer(&signed)
    };
    assert_eq!(changed(&|_| {}), Ok(()));
    assert_eq!(changed(&|it| it.expires = NOW.after(HOUR)), Err(BadRecord::Times));
    let other = RecordId::new(story.bob.identity.peer_id(), RecordType::PRESENCE, 5);
    assert_eq!(changed(&|it| it.id = other), Err(BadRecord::ForeignId));
    let long = Attribute { name: "a".into(), value: Value::String("x".repeat(7_000)) };
    assert_eq!(
        changed(&|it| it.attributes = vec![long.clone()]),
        Err(BadRecord::TooManyAttributes)
    );
    let large = |it: &mut Record| it.payload = vec![0; 20_000].into();
    assert_eq!(changed(&large), Err(BadRecord::PayloadTooLong));
}

/// The law for contacts. Method: one member says that a hundred of its nodes are contacts, before and after another's two.
#[test]
fn contacts_of_one_member_are_few_and_leave_everybody_elses() {
    let story = Story::new(1);
    let bobs: Vec<Signed> = (0..100).map(|k| contact(&story, &story.bob, k)).collect();
    let eves: Vec<Signed> = (0..2).map(|k| contact(&story, &story.eve, k)).collect();
    for order in [[&bobs, &eves], [&eves, &bobs]] {
        let mut replica = Replica::new(&story);
        order.into_iter().for_each(|records| _ = replica.hear(records));
        let each = limits::CONTACTS.each();
        assert_eq!(replica.used(Kind::Contact, &story.bob).0, each);
        assert_eq!(replica.used(Kind::Contact, &story.eve).0, 2);
        assert_eq!(replica.group.contacts.len() as u64, each + 2);
        let newest = bobs.last().unwrap().record().id;
        assert!(replica.group.contacts.contains_key(&newest), "the newest stand");
    }
}

/// R15. Goal: what members say of where they are does not push out where others were. Method: forty presences of one
/// member, then of two more, each with another address.
#[test]
fn addresses_of_others_stay_known_whatever_one_member_says() {
    let story = Story::new(1);
    let mut replica = Replica::new(&story);
    let honest: Vec<Address> =
        (0..20).map(|n| format!("ws://honest{n}.example/link").parse().unwrap()).collect();
    for (n, address) in honest.iter().enumerate() {
        let peer = PeerId::from_bytes([100 + n as u8; 32]);
        replica.with(|group, ctx| group.know(ctx, peer, std::slice::from_ref(address)));
    }
    let mut bytes = 0;
    for (who, signer) in [&story.bob, &story.eve, &story.mallory].into_iter().enumerate() {
        for k in 0..40 {
            let bogus = format!("ws://10.{who}.0.{k}:22/link").parse().unwrap();
            let signed = presence(&story, signer, k, vec![bogus]);
            bytes += signed.bytes().len();
            assert_eq!(replica.offer(&signed), Ok(()));
        }
    }
    let known = &replica.group.known;
    let left = honest.iter().filter(|it| known.iter().any(|known| known.addresses.contains(it)));
    let left = left.count();
    eprintln!(
        "{bytes} bytes of presences: {left} of 20 honest addresses left, {} in all",
        known.len()
    );
    assert_eq!(left, 20);
    for signer in [&story.bob, &story.eve, &story.mallory] {
        let theirs =
            |known: &&super::super::known::Known| known.peer == Some(signer.identity.peer_id());
        assert_eq!(known.iter().filter(theirs).count() as u64, limits::KNOWN_ADDRESSES.each());
    }
}

/// R16. Goal: what an invitation says ends with its record. Method: ghosts as they were made, and in the form that is left.
#[test]
fn invitations_end_with_their_records() {
    let story = Story::new(1);
    let ghost = invitation(&story, &story.ada, 1, WallTime(u64::MAX), Duration::from_secs(60));
    assert_eq!(Replica::new(&story).offer(&ghost), Err(BadRecord::Encoding));
    let mut replica = Replica::new(&story);
    let (life, until) = (Duration::from_secs(60), NOW.after(Duration::from_secs(60)));
    let ghosts: Vec<Signed> =
        (0..1_000).map(|k| invitation(&story, &story.ada, k, until, life)).collect();
    replica.hear(&ghosts);
    assert_eq!(replica.group.invitations.len() as u64, limits::INVITATIONS.each());
    replica.pass(HOUR);
    replica.pass(HOUR);
    for _ in 0..5 {
        replica.pass(Duration::from_secs(1));
    }
    assert_eq!(replica.group.index(Class::Membership).len(), 0);
    assert_eq!(replica.group.invitations.len(), 0);
}

/// R16, the law. Goal: members who hold as many invitations open as they may leave every other its part, and
/// administrators theirs. Method: one, then twelve of them, before and after the others.
#[test]
fn invitations_of_some_at_their_maximum_leave_every_other_its_part() {
    let story = Story::new(1);
    let inviting = |n| member(&story, n, Role::Inviting);
    let (hostile, honest): (Vec<Signer>, Signer) = ((60..72).map(inviting).collect(), inviting(80));
    let until = NOW.after(HOUR);
    let of = |by: &Signer, n: u64| -> Vec<Signed> {
        (0..n).map(|k| invitation(&story, by, k, until, HOUR * 2)).collect()
    };
    let each = limits::INVITATIONS.each();
    for (some, late) in [(1, false), (1, true), (12, false), (12, true)] {
        let mut replica = Replica::new(&story);
        for signer in hostile.iter().chain([&honest]) {
            replica.group.roll.add(signer.chain.clone());
        }
        let honest_part = 40;
        if !late {
            replica.hear(&of(&honest, honest_part));
            replica.hear(&of(&story.ada, each));
        }
        hostile.iter().take(some).for_each(|by| _ = replica.hear(&of(by, each + 20)));
        if late {
            replica.hear(&of(&honest, honest_part));
            replica.hear(&of(&story.ada, each));
        }
        let open = |by: &Signer| {
            let theirs = replica.group.invitations.values();
            theirs.filter(|open| open.inviter == by.identity.peer_id()).count() as u64
        };
        assert_eq!((open(&honest), open(&story.ada)), (honest_part, each), "{some} {late}");
        assert!(hostile.iter().all(|by| open(by) <= each));
        assert!(replica.group.invitations.len() as u64 <= limits::INVITATIONS.all());
    }
}

/// R24. Goal: two contents under one version are told once, and the one that lost costs no second look. Method: it comes two
/// thousand times, alone and in turn with the winner.
#[test]
fn conflict_is_told_once_however_often_it_comes() {
    let story = Story::new(1);
    let make = |n: u8| {
        let id = RecordId::new(story.bob.identity.peer_id(), "other", 1);
        let (by, kind) = (&story.bob, "other");
        New { by, kind, id, step: 1, payload: vec![n; 10], life: HOUR }.sign(&story)
    };
    let (a, b) = (make(1), make(2));
    let (win, lose) = if a.order() > b.order() { (a, b) } else { (b, a) };
    for first in [[&win, &lose], [&lose, &win]] {
        let mut replica = Replica::new(&story);
        let mut all: Vec<Signed> = first.into_iter().cloned().collect();
        for _ in 0..1_000 {
            all.extend([lose.clone(), lose.clone(), win.clone()]);
        }
        let (became, told) = replica.hear(&all);
        let told = told.iter().filter(|event| matches!(event, Event::Conflict { .. })).count();
        assert_eq!(told, 1);
        assert!(became[2..].iter().all(|it| matches!(it, Accepted::Old | Accepted::Known(_))));
        assert_eq!(replica.held().get(&win.record().id), Some(&win.digest()));
    }
}

/// R1, S5. Goal: nobody becomes irrevocable by revoking itself. Method: a member with an older certificate revokes it as
/// often as ids allow, and again and again; then an administrator and the owner revoke the member.
#[test]
fn member_that_revokes_an_older_certificate_of_its_own_can_be_revoked() {
    let story = Story::new(1);
    let root = story.owner.root();
    let subject = Subject::of_identity(story.bob.identity.certificate()).unwrap();
    let (from, end) = (NOW.before(HOUR), NOW.after(HOUR * 24));
    let role = Role::Member.into();
    let issued =
        cert::issue_by_owner(&story.key, root, subject, &role, [99; 16], from, end).unwrap();
    let old = cert::verify_chain(&[root.clone(), issued], story.group(), identity::verify).unwrap();
    let mut replica = Replica::new(&story);
    replica.group.roll.add(old.clone());
    let mut bytes = 0;
    for step in 0..500 {
        for nth in 0..limits::REVOCATIONS_PER_TARGET_MAX {
            let signed = revocation(&story, &story.bob, &old, (nth, step));
            bytes += signed.bytes().len();
            assert_eq!(replica.offer(&signed), Ok(()));
        }
    }
    let held = replica.group.roll.acts().count();
    let steps = replica.group.roll.steps();
    eprintln!("{bytes} bytes of own revocations: {held} held, {steps} steps");
    assert_eq!(held, usize::from(limits::REVOCATIONS_PER_TARGET_MAX));
    let by_ada = revocation(&story, &story.ada, &story.bob.chain, (0, 1));
    let (became, _) = replica.hear(&[by_ada]);
    assert_eq!(became, [Accepted::New]);
    let standing = replica.group.roll.standing(&story.bob.chain, NOW);
    assert!(matches!(standing, Standing::Revoked { .. }), "{standing:?}");
}

/// Goal: messages that each change one of many revocations do not have all of them looked through each. Method: an administrator
/// with 680 revocations signs one of the acts anew, 400 times within a moment.
#[test]
fn revocation_that_changes_again_and_again_is_judged_in_turn() {
    let story = Story::new(1);
    let mut replica = Replica::new(&story);
    let puppets = (20..190).map(|n| member(&story, n, Role::Member).chain);
    let puppets: Vec<VerifiedChain> = puppets.collect();
    let mut acts = Vec::new();
    for puppet in &puppets {
        replica.group.roll.add(puppet.clone());
        let of = |nth| revocation(&story, &story.ada, puppet, (nth, 0));
        acts.extend((0..limits::REVOCATIONS_PER_TARGET_MAX).map(of));
    }
    replica.hear(&acts);
    let (held, before) = (replica.group.roll.acts().count() as u64, replica.group.roll.steps());
    for step in 1..=400 {
        replica.hear(&[revocation(&story, &story.ada, &puppets[0], (0, step))]);
    }
    let steps = replica.group.roll.steps() - before;
    eprintln!("{held} revocations, {steps} steps for 400 changes of one");
    assert!(held == 680 && steps <= 20 * held, "{held} revocations, {steps} steps");
    replica.group.roll.settle();
    let stands = |chain| replica.group.roll.standing(chain, NOW);
    assert!(puppets.iter().all(|chain| matches!(stands(chain), Standing::Revoked { .. })));
}

/// R1, variant: tombstones without content take no places of others either.
#[test]
fn tombstones_of_the_cores_own_kinds_are_counted() {
    let story = Story::new(1);
    let mut replica = Replica::new(&story);
    let me = story.bob.identity.peer_id();
    let grave = |n: u64| {
        Record {
            deleted: true,
            payload: Bytes::new(),
            id: RecordId::new(me, RecordType::REVOCATION, n),
            kind: RecordType::new(RecordType::REVOCATION).unwrap(),
            ..note(&story, &story.bob, n, n, 0).into_record()
        }
        .sign(story.group(), &story.bob.identity)
    };
    replica.hear(&(0..3_000).map(grave).collect::<Vec<_>>());
    assert_eq!(replica.used(Kind::Revocation, &story.bob).0, 1_000);
    let (became, _) = replica.hear(&[revocation(&story, &story.ada, &story.bob.chain, (0, 1))]);
    assert_eq!(became, [Accepted::New]);
}

/// R3: a membership is shown under the id of its certificate, so that nobody fills a store with its own.
#[test]
fn membership_has_one_record_of_each_who_may_show_it() {
    let story = Story::new(1);
    let by = &story.bob;
    let shown = |id| {
        let payload = cert::encode_chain(by.chain.certificates());
        let (kind, life) = (RecordType::MEMBERSHIP, HOUR * 20);
        Replica::new(&story).offer(&New { by, kind, id, step: 1, payload, life }.sign(&story))
    };
    let me = by.identity.peer_id();
    assert_eq!(shown(issued_id(me, by.chain.id())), Ok(()));
    for n in 0..5 {
        let id = RecordId::new(me, RecordType::MEMBERSHIP, n);
        assert_eq!(shown(id), Err(BadRecord::ForeignId));
    }
}

/// R10. Goal: no panic, and nothing that others would refuse, where peer time passes the end of our membership. Method: as
/// many ended records as expiry does not remove in one go; then everything that publishes.
#[test]
fn member_whose_time_is_over_by_peer_time_publishes_nothing_and_stays() {
    let story = Story::new(1);
    let mut replica = Replica::new(&story);
    replica.identity = Identity::generate([5; 32], [5; 16], "who", NOW).unwrap();
    replica.group.chain = Some(story.ada.chain.clone());
    assert_eq!(replica.with(|group, ctx| group.publish_membership_once(ctx)), Ok(()));
    let many: Vec<Signed> =
        (0..300).map(|k| invitation(&story, &story.ada, k, NOW.after(HOUR), HOUR * 20)).collect();
    replica.hear(&many);
    for hours in [26, 23, 25, 24 * 400] {
        let shift = hours * 3_600_000;
        replica.group.peer_time = crate::group::peer_time::PeerTime::restore(shift, Some(shift));
        replica.with(Group::expire);
        assert!(replica.group.roll.chain(story.ada.chain.id()).is_some(), "our own chain stays");
        let invite = || crate::io::Invite::Bearer {
            grant: Grant::from(Role::Member),
            uses: 1,
            expires_in: HOUR / 2,
        };
        let request = crate::io::RequestId(9);
        let invited =
            replica.with(|group, ctx| group.invite(ctx, invite(), Vec::new(), request).is_ok());
        assert_eq!(invited, hours == 23, "{hours}");
        let draft = crate::io::Draft {
            id: None,
            kind: RecordType::new("other").unwrap(),
            attributes: Vec::new(),
            payload: Bytes::new(),
            expires_in: None,
            delete: false,
            refresh: false,
            if_version: None,
            nonce: None,
        };
        let published = replica.with(|group, ctx| group.publish(ctx, draft, None));
        assert_eq!(published.is_ok(), hours == 23, "{published:?}");
        replica.with(|group, ctx| group.resign(ctx));
        replica.group.roll = {
            let mut roll = crate::roll::Roll::new(story.owner.clone());
            roll.add(story.ada.chain.clone());
            roll
        };
    }
}

fn tight() -> Policy {
    let mut policy = Policy::default();
    (policy.payload_bytes_max, policy.member_records, policy.member_bytes) =
        (1_024, 16, 16 * 1_024);
    policy
}

/// R3, the law for one member. Goal: of what one publishes the newest stand, in records and in bytes, whatever the order;
/// and others keep theirs. Method: a hundred records of random sizes in random orders.
#[test]
fn of_what_one_member_publishes_the_newest_stand_in_any_order() {
    for seed in 0..SEEDS {
        let mut story = Story::under(seed, &tight());
        let sizes: Vec<usize> = (0..100).map(|_| story.below(1_000) as usize).collect();
        let small = story.below(2) == 0;
        let mut bobs: Vec<Signed> = (0..100)
            .map(|n| note(&story, &story.bob, n, n, if small { 1 } else { sizes[n as usize] }))
            .collect();
        let eves: Vec<Signed> = (0..10).map(|n| note(&story, &story.eve, n, n, 500)).collect();
        let (mut records, mut bytes) = (0, 0);
        let stand: SortedSet<RecordId> = bobs
            .iter()
            .rev()
            .take_while(|signed| {
                (records, bytes) = (records + 1, bytes + signed.bytes().len());
                records <= 16 && bytes <= 16 * 1_024
            })
            .map(|signed| signed.record().id)
            .collect();
        story.shuffle(&mut bobs);
        let mut all: Vec<Signed> = bobs.iter().chain(&eves).cloned().collect();
        story.shuffle(&mut all);
        let mut nodes = [Replica::new(&story), Replica::new(&story)];
        let half = story.below(all.len() as u64) as usize;
        nodes[0].take(&all);
        nodes[1].take(&all[half..]);
        nodes[1].take(&all[..half]);
        // The nodes exchange what they hold until nothing is new.
        for _ in 0..4 {
            let [zero, one] = [nodes[0].records(), nodes[1].records()];
            nodes[0].take(&one);
            nodes[1].take(&zero);
        }
        for node in &nodes {
            let held: SortedSet<RecordId> = node.held().into_keys().collect();
            let bob = story.bob.identity.peer_id();
            let of_bob = node.metas().filter(|meta| meta.creator() == bob).map(|meta| meta.id);
            let of_bob: SortedSet<RecordId> = of_bob.collect();
            assert!(of_bob.is_superset(&stand) && of_bob.len() <= 16, "seed {seed}");
            assert!(node.used(Kind::Application, &story.bob).1 <= 16 * 1_024);
            assert!(eves.iter().all(|signed| held.contains(&signed.record().id)), "seed {seed}");
        }
        assert_eq!(nodes[0].held(), nodes[1].held(), "seed {seed}");
    }
}

/// R3, the law for the group. Goal: members at their maximum, any number of them, leave every other its part, and
/// administrators half of all. Method: one, then thirty fill the bytes of a small group, before and after the others.
#[test]
fn members_at_their_maximum_leave_every_other_its_part_and_administrators_half() {
    let story = Story::under(1, &tight());
    let hostile: Vec<Signer> = (60..90).map(|n| member(&story, n, Role::Member)).collect();
    let full = |by: &Signer, n: u64| -> Vec<Signed> {
        (0..n).map(|k| note(&story, by, k, k, 1_000)).collect()
    };
    for (some, late) in [(1, false), (1, true), (30, false), (30, true)] {
        let mut replica = Replica::new(&story);
        hostile.iter().for_each(|by| _ = replica.group.roll.add(by.chain.clone()));
        let (eves, adas) = (full(&story.eve, 3), full(&story.ada, 80));
        if !late {
            replica.hear(&eves);
            replica.hear(&adas);
        }
        hostile.iter().take(some).for_each(|by| _ = replica.hear(&full(by, 30)));
        if late {
            replica.hear(&eves);
            replica.hear(&adas);
        }
        let held = |by| replica.used(Kind::Application, by);
        assert_eq!((held(&story.eve).0, held(&story.ada).0), (3, 80), "{some} {late}");
        let all = hostile.iter().map(|by| held(by).1).sum::<u64>();
        assert!(hostile.iter().all(|by| held(by).1 <= 16 * 1_024));
        assert!(all + held(&story.eve).1 + held(&story.ada).1 <= 16 * 16 * 1_024);
        eprintln!("{some} hostile members hold {all} bytes");
    }
}

/// Goal: the publisher is told, and its own records do not push out its own. Method: it publishes more than the policy
/// allows, then deletes, then changes.
#[test]
fn publisher_at_its_quota_is_told_and_may_still_delete() {
    let story = Story::under(1, &tight());
    let mut replica = Replica::new(&story);
    replica.identity = Identity::generate([2; 32], [2; 16], "who", NOW).unwrap();
    replica.group.chain = Some(story.bob.chain.clone());
    let draft = |id, bytes: usize, delete| crate::io::Draft {
        id,
        kind: RecordType::new("other").unwrap(),
        attributes: Vec::new(),
        payload: vec![0; bytes].into(),
        expires_in: Some(HOUR),
        delete,
        refresh: false,
        if_version: None,
        nonce: None,
    };
    let mut publish = |draft| replica.with(|group, ctx| group.publish(ctx, draft, None));
    for _ in 0..16 {
        assert_eq!(publish(draft(None, 10, false)), Ok(()));
    }
    assert_eq!(publish(draft(None, 10, false)), Err(crate::error::Error::Quota));
    let first = replica.metas().next().unwrap().id;
    let mut publish = |draft| replica.with(|group, ctx| group.publish(ctx, draft, None));
    assert_eq!(publish(draft(Some(first), 20, false)), Ok(()));
    assert_eq!(publish(draft(Some(first), 0, true)), Ok(()));
    assert_eq!(publish(draft(None, 10, false)), Err(crate::error::Error::Quota));
    assert_eq!(replica.metas().count(), 16);
}

/// Goal: who is promoted has an administrator's share, and who is demoted loses what is beyond a member's. Method: the same
/// records under a membership that is an administrator's, then no longer.
#[test]
fn share_follows_rank() {
    let story = Story::under(1, &tight());
    let mut replica = Replica::new(&story);
    let all: Vec<Signed> = (0..60).map(|n| note(&story, &story.ada, n, n, 10)).collect();
    replica.hear(&all);
    assert_eq!(replica.used(Kind::Application, &story.ada).0, 60);
    // Another certificate of hers, as a member, is what is left of her.
    let by = member(&story, 5, Role::Member);
    assert_eq!(by.identity.peer_id(), story.ada.identity.peer_id());
    let kept = replica.records().iter().map(Signed::digest).collect::<Vec<_>>();
    let act = Revocation {
        version: 1,
        digest: Digest::of(b"act"),
        signer: story.owner.clone(),
        target_chain: story.ada.chain.clone(),
        target: Target::Certificate(story.ada.chain.id()),
        reason: Reason::Superseded,
        standing: SortedSet::new(),
        kept: Kept::new([0; 16], kept),
    };
    replica.group.roll.add(by.chain.clone());
    replica.group.roll.revoke(RecordId::default(), act);
    replica.with(|group, ctx| group.enforce(ctx, &mut crate::link::Links::default()));
    assert_eq!(replica.used(Kind::Application, &story.ada).0, 16);
}

/// Cost. Goal: what one record more costs does not grow with what its creator has. Method: steps of the quota for hostile sets
/// of a thousand and ten thousand records.
#[test]
fn quota_of_ten_times_as_many_records_costs_ten_times_as_much() {
    let story = Story::under(1, &tight());
    let steps = |n: u64| {
        let mut replica = Replica::new(&story);
        let all: Vec<Signed> = (0..n).map(|k| note(&story, &story.bob, k, k, 1)).collect();
        replica.hear(&all);
        assert_eq!(replica.metas().count(), 16);
        replica.group.quotas.steps
    };
    let (few, many) = (steps(1_000), steps(10_000));
    eprintln!("steps of the quota: {few} of 1,000 records, {many} of 10,000");
    assert!(few > 0 && many <= 15 * few);
}

/// Goal: an account holds what the index holds, whatever a disk loses. Method: records that are lost and come again, as
/// often as the quota has places.
#[test]
fn records_that_a_disk_loses_leave_the_account_of_their_creator() {
    let story = Story::new(1);
    let notes: Vec<Signed> = (0..10).map(|k| note(&story, &story.bob, k, k, 100)).collect();
    let mut replica = Replica::new(&story);
    let mut first = None;
    for _ in 0..5 {
        replica.take(&notes);
        let used = replica.used(Kind::Application, &story.bob);
        assert_eq!(*first.get_or_insert(used), used);
        for note in &notes {
            let id = note.record().id;
            let lost = replica.with(|group, ctx| {
                ctx.storage.forget(group.id, id);
                group.lost(ctx, Class::Application, id)
            });
            assert!(lost);
        }
        assert_eq!(replica.used(Kind::Application, &story.bob), (0, 0));
    }
}

/// The change that Eve makes of a note of Bob's, a second later than that.
fn change(story: &Story, note: &Signed, payload: usize) -> Signed {
    let held = note.record();
    let record = Record {
        version: held.version + (1_000 << 16),
        modifier: Some(story.eve.identity.peer_id()),
        modified: held.modified.after(Duration::from_secs(1)),
        payload: vec![1; payload].into(),
        certificate: story.eve.chain.id(),
        beginning: Some(held.beginning_by(story.bob.identity.public_key())),
        ..held.clone()
    };
    record.sign(story.group(), &story.eve.identity)
}

/// Goal: what others make of a member's records costs that member nothing. Method: Bob has as many bytes as he may, in small
/// records; Eve makes each of them as large as she may, and new ones of Bob's come in any order with that.
#[test]
fn changes_by_others_push_nothing_out_of_a_quota() {
    let open = Right { delete: false, ..right("*", "member") };
    let policy = Policy {
        payload_bytes_max: 1_024,
        member_bytes: 16 * 1_024,
        rights: vec![open],
        ..Policy::default()
    };
    let mut story = Story::under(1, &policy);
    let of = |signed: &Signed| signed.bytes().len() as u64;
    let mut notes: Vec<Signed> = Vec::new();
    while notes.iter().map(of).sum::<u64>() + 400 < policy.member_bytes {
        let nth = notes.len() as u64;
        notes.push(note(&story, &story.bob, nth, nth, 10));
    }
    let changes: Vec<Signed> = notes.iter().map(|note| change(&story, note, 1_000)).collect();
    let grown: u64 = changes.iter().map(of).sum();
    assert!(grown > 3 * policy.member_bytes);
    for _ in 0..5 {
        let mut replica = Replica::new(&story);
        let mut all = [&notes[..], &changes].concat();
        story.shuffle(&mut all);
        replica.hear(&all);
        assert_eq!(replica.held().len(), notes.len(), "each stands, changed");
        assert!(replica.metas().all(|meta| meta.modifier() == Some(story.eve.identity.peer_id())));
        let (records, bytes) = replica.used(Kind::Application, &story.bob);
        assert_eq!((records, bytes), (notes.len() as u64, notes.iter().map(of).sum()));
    }
    // Beyond the quota it is Bob's newest that stand, whatever others have changed since.
    let newer: Vec<Signed> =
        (0..8).map(|nth| note(&story, &story.bob, 1_000 + nth, 1_000 + nth, 10)).collect();
    let expected: SortedSet<RecordId> = {
        let mut replica = Replica::new(&story);
        replica.hear(&[&notes[..], &newer].concat());
        replica.held().into_keys().collect()
    };
    for _ in 0..5 {
        let mut replica = Replica::new(&story);
        let mut all = [&notes[..], &changes[..20], &newer].concat();
        story.shuffle(&mut all);
        replica.hear(&all);
        assert_eq!(replica.held().into_keys().collect::<SortedSet<_>>(), expected);
    }
}

/// Goal: what a change adds is bounded by what it is a change of. Method: at the bound and a byte beyond it, of a small and
/// of a large record.
#[test]
fn change_adds_as_much_again_or_some_pages() {
    let open = Right { delete: false, ..right("*", "member") };
    let story = Story::under(1, &Policy { rights: vec![open], ..Policy::default() });
    for (size, adds) in [(10, limits::CHANGE_ADDS_BYTES_MAX as usize), (100_000, 0)] {
        let note = note(&story, &story.bob, 1, 1, size);
        let adds = adds.max(note.bytes().len());
        let most = note.bytes().len() + adds;
        let without = change(&story, &note, most / 2).bytes().len() - most / 2;
        for (payload, verdict) in [
            (most - without, Ok(())),
            (most - without + 1, Err(BadRecord::Growth)),
            (most * 3, Err(BadRecord::Growth)),
        ] {
            let changed = change(&story, &note, payload);
            let mut replica = Replica::new(&story);
            replica.take(std::slice::from_ref(&note));
            assert_eq!(replica.offer(&changed), verdict, "{} of {most}", changed.bytes().len());
        }
    }
}
