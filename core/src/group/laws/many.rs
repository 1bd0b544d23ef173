//! Goal: whoever has as many records as a member may have can be revoked and demoted, and all of these stay. Method: the owner
//! of the group with a hundred thousand records of one member; another node that holds them hears what the owner says.
use super::*;
use crate::io::{Keep, RequestId, StoreTask};
use crate::limits::{MEMBER_RECORDS_DEFAULT, REVOCATION_KEPT_MAX};
use crate::link::Links;
use crate::roll::{Reason, Standing, Target};
use crate::storage;
use std::sync::Arc;

const MANY: u64 = 100_000;

/// A node that holds so many records of eve's.
fn holding(story: &Story, count: u64) -> Replica {
    let mut replica = Replica::new(story);
    let (certificate, creator) =
        (Arc::new(story.eve.chain.id()), Arc::new(story.eve.identity.peer_id()));
    for nth in 0..count {
        let kind = RecordType::new("note").unwrap();
        let id = RecordId::new(*creator, kind.as_str(), nth);
        let like = crate::index::tests::meta(nth, NOW.0, next_version(NOW, 0, 0));
        let (certificate, creator) = (certificate.clone(), creator.clone());
        let expires = NOW.after(HOUR);
        let meta = Meta { id, kind, certificate, creator, expires, created: NOW, ..like };
        replica.group.put(Class::Application, meta);
    }
    replica
}

/// The same at ada's node, which has the group's key.
fn owner(story: &Story, count: u64) -> Replica {
    let mut replica = holding(story, count);
    replica.identity = Identity::generate([5; 32], [5; 16], "who", NOW).unwrap();
    replica.group.chain = Some(story.ada.chain.clone());
    replica.group.key = Some(GroupKey::generate([200; 32]));
    replica
}

impl Replica {
    fn enforce(&mut self) {
        self.with(|group, ctx| group.enforce(ctx, &mut Links::default()));
    }

    /// The records that the group's key has signed, in the order in which it did.
    fn said_by_owner(&mut self) -> Vec<Signed> {
        let owner = self.group.roll.owner().peer();
        let mut out = Outbox::new();
        self.storage.flush(&mut out);
        let batches = out.into_iter().filter_map(|output| {
            let Output::Store { task: StoreTask::Write { batch }, .. } = output else {
                return None;
            };
            Some(batch)
        });
        let whole = |(key, value): (Bytes, Option<Bytes>)| storage::whole(&key, &value?);
        let said = batches.flatten().filter_map(whole);
        let said = said.filter_map(|bytes| Signed::decode(bytes).ok());
        said.filter(|signed| signed.record().creator == owner).collect()
    }

    fn standing_of(&self, who: &Signer) -> Standing {
        let best = self.group.roll.best_of(who.identity.peer_id(), self.wall).unwrap();
        self.group.roll.standing(best, self.wall)
    }
}

/// A record that eve signs after all with a date from before.
fn backdated(story: &Story) -> Signed {
    let (creator, kind) = (story.eve.identity.peer_id(), RecordType::new("note").unwrap());
    let record = Record {
        id: RecordId::new(creator, kind.as_str(), u64::from(u32::MAX)),
        kind,
        version: next_version(NOW, 0, 0),
        creator,
        modifier: None,
        created: NOW,
        modified: NOW,
        expires: NOW.after(HOUR),
        deleted: false,
        attributes: Vec::new(),
        payload: Bytes::from_static(b"I said so before"),
        certificate: story.eve.chain.id(),
        beginning: None,
        signature: [0; 64],
    };
    record.sign(story.group(), &story.eve.identity)
}

#[test]
fn member_with_all_the_records_that_it_may_have_is_revoked() {
    let story = Story::new(1);
    let mut ada = owner(&story, MANY);
    let target = Target::Peer(story.eve.identity.peer_id());
    let (reason, request) = (Reason::Misconduct, RequestId(1));
    let revoked = ada.with(|group, ctx| group.revoke(ctx, target, reason, Keep::ALL, request));
    assert_eq!(revoked, Ok(()));
    let [act] = &ada.said_by_owner()[..] else { panic!("a revocation") };
    let mut other = holding(&story, MANY);
    assert_eq!(other.offer(act), Ok(()));
    for replica in [&mut ada, &mut other] {
        replica.enforce();
        assert!(matches!(replica.standing_of(&story.eve), Standing::Revoked { .. }));
        assert_eq!(replica.metas().count() as u64, MANY);
        assert_eq!(replica.offer(&backdated(&story)), Ok(()), "nobody knows who is to blame");
        assert_eq!(replica.metas().count() as u64, MANY, "it is not among those that are kept");
    }
}

#[test]
fn member_with_all_the_records_that_it_may_have_is_demoted() {
    let story = Story::new(1);
    let (mut ada, mut other) = (owner(&story, MANY), holding(&story, MANY));
    let (eve, grant) = (story.eve.identity.peer_id(), Grant::from(Role::Member));
    assert!(!grant.includes(story.eve.chain.grant()), "she is an editor");
    let demoted = ada.with(|group, ctx| group.issue_again(ctx, eve, grant.clone(), RequestId(1)));
    assert_eq!(demoted, Ok(()));
    let said = ada.said_by_owner();
    let kinds: Vec<&str> = said.iter().map(|signed| signed.record().kind.as_str()).collect();
    assert_eq!(kinds, [RecordType::REVOCATION, RecordType::MEMBERSHIP], "it takes first");
    other.take(&said);
    for replica in [&mut ada, &mut other] {
        replica.enforce();
        assert!(matches!(
            replica.group.roll.standing(&story.eve.chain, replica.wall),
            Standing::Revoked { reason: Reason::Superseded, .. }
        ));
        assert_eq!(replica.metas().count() as u64, MANY);
        assert_eq!(replica.offer(&backdated(&story)), Ok(()));
        assert_eq!(replica.metas().count() as u64, MANY);
    }
}

/// Where not all can be kept nothing is taken, and nothing is given either.
#[test]
fn nothing_is_given_that_cannot_be_taken() {
    assert!(MEMBER_RECORDS_DEFAULT as usize <= REVOCATION_KEPT_MAX);
    let policy = Policy { member_records: 400_000, rights: Vec::new(), ..Policy::default() };
    let story = Story::under(1, &policy);
    let mut ada = owner(&story, REVOCATION_KEPT_MAX as u64 + 1);
    let eve = story.eve.identity.peer_id();
    let demoted =
        ada.with(|group, ctx| group.issue_again(ctx, eve, Role::Member.into(), RequestId(1)));
    assert_eq!(demoted, Err(crate::error::Error::TooMuchToKeep));
    assert_eq!(ada.said_by_owner().len(), 0);
    assert_eq!(ada.standing_of(&story.eve), Standing::Member);
}

/// Cost. Goal: a member whose every record changes who stands does not have a large store looked through for each. Method: the
/// moment of the next look, in a small and in a large store, after one look.
#[test]
fn large_store_is_looked_through_now_and_then() {
    let story = Story::new(1);
    let due = |count: u64| {
        let mut replica = holding(&story, count);
        let mut change = || {
            replica.with(|group, ctx| group.standing_changed(ctx));
            let at = replica.group.timers.at(super::super::Timer::Judge);
            replica.enforce();
            at.expect("it is due").since(Time::default())
        };
        [change(), change()]
    };
    let at_once = Duration::ZERO;
    assert_eq!(due(100), [at_once; 2]);
    let [first, second] = due(MANY);
    assert_eq!(first, at_once, "whoever is revoked goes at once");
    assert!((Duration::from_millis(100)..=Duration::from_secs(1)).contains(&second), "{second:?}");
}
