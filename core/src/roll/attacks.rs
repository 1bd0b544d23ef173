//! Attacks on the roll by members who sign by hand. Each once broke a promise.
use super::tests::{DAY, NOW, act, id, stands};
use super::*;
use crate::cert::tests::{issue_first, issue_member, issue_root};
use crate::cert::verify_chain;
use crate::cert::{self, Certificate, Role, Subject};
use crate::id::Digest;
use crate::identity::{GroupKey, Identity, verify};

struct World {
    key: GroupKey,
    root: Certificate,
    owner: VerifiedChain,
}

fn who(n: u8, name: &str) -> Identity {
    Identity::generate([n; 32], [n; 16], name, NOW).unwrap()
}

impl World {
    fn new() -> Self {
        let key = GroupKey::generate([200; 32]);
        let root = issue_root(&key, "Chess", [0; 16], NOW, NOW.after(DAY * 3650));
        let owner = VerifiedChain::owner(&root, verify).unwrap();
        Self { key, root, owner }
    }
    fn verified(&self, certificates: &[Certificate]) -> VerifiedChain {
        verify_chain(certificates, self.key.group_id(), verify).unwrap()
    }
    fn first(&self, id: &Identity, role: Role, serial: [u8; 16], begin: WallTime) -> VerifiedChain {
        let end = NOW.after(DAY * 365);
        let c = issue_first(&self.key, &self.root, id.certificate(), role, serial, begin, end);
        self.verified(&[self.root.clone(), c.unwrap()])
    }
    fn below(
        &self,
        by: &Identity,
        above: &VerifiedChain,
        id: &Identity,
        role: Role,
        serial: [u8; 16],
        begin: WallTime,
    ) -> VerifiedChain {
        let end = NOW.after(DAY * 300);
        let c = issue_member(by, above, id.certificate(), role, serial, begin, end).unwrap();
        let mut all = above.certificates().to_vec();
        all.push(c);
        self.verified(&all)
    }
}

/// Whether a record that relies on a membership, made in the seventh step, holds.
fn admits(roll: &Roll, chain: &VerifiedChain, record: &[u8]) -> bool {
    let mut roll = roll.clone();
    roll.settle();
    roll.admits(chain, &Said { digest: Digest::of(record), version: 7, for_others: false })
}

/// A member that is revoked with its invitees kept issues itself a new membership with an invitee's serial.
#[test]
fn revoked_inviter_does_not_come_back_by_a_serial_that_stands() {
    let w = World::new();
    let (mallory, bob, puppet, deep) = (who(1, "Mallory"), who(2, "Bob"), who(3, "P"), who(4, "Q"));
    let m = w.first(&mallory, Role::Inviting, [1; 16], NOW);
    let b = w.below(&mallory, &m, &bob, Role::Member, [2; 16], NOW);
    let mut roll = Roll::new(w.owner.clone());
    roll.add(m.clone());
    roll.add(b.clone());
    let standing = roll.issued_under(Target::Peer(m.peer()));
    roll.revoke(
        id(1),
        Revocation { target: Target::Peer(m.peer()), standing, ..act(1, &w.owner, &m) },
    );
    assert!(!stands(&roll, &m) && stands(&roll, &b));
    // After the revocation.
    let p = w.below(&mallory, &m, &puppet, Role::Inviting, *b.leaf().serial().as_bytes(), NOW);
    let q = w.below(&puppet, &p, &deep, Role::Inviting, [9; 16], NOW);
    assert!(roll.add(q.clone()), "a serial of its own: it is on the roll");
    assert!(
        !stands(&roll, &p) && !stands(&roll, &q),
        "P stands {} Q stands {} Q's records are admitted {}",
        stands(&roll, &p),
        stands(&roll, &q),
        admits(&roll, &q, b"later")
    );
}

/// Two nodes with the same set of memberships say the same.
#[test]
fn the_roll_is_a_function_of_the_set_of_memberships() {
    let w = World::new();
    let (ada, mallory, puppet) = (who(1, "Ada"), who(2, "Mallory"), who(3, "P"));
    let a = w.first(&ada, Role::Administrator, [1; 16], NOW);
    let m = w.first(&mallory, Role::Inviting, [2; 16], NOW);
    let p = w.below(&mallory, &m, &puppet, Role::Member, *a.leaf().serial().as_bytes(), NOW);
    let rolls = [[&a, &m, &p], [&p, &m, &a]].map(|order| {
        let mut roll = Roll::new(w.owner.clone());
        for chain in order {
            roll.add(chain.clone());
        }
        // The puppet leaves.
        roll.revoke(id(1), act(1, &p, &p));
        roll
    });
    let says = rolls.each_ref().map(|roll| {
        let chain = roll.chain(a.id()).unwrap();
        let known = roll.best_of(a.peer(), NOW.after(DAY)).is_some();
        (chain.peer() == a.peer(), known, admits(roll, chain, b"Ada's record"))
    });
    assert_eq!(says[0], says[1], "(serial is Ada's, Ada is known, Ada's records hold)");
}

/// An inviting member may revoke nobody; by leaving it must not take others with it.
#[test]
fn who_leaves_takes_nobody_along() {
    let w = World::new();
    let (mallory, bob) = (who(1, "Mallory"), who(2, "Bob"));
    let m = w.first(&mallory, Role::Inviting, [1; 16], NOW);
    let b = w.below(&mallory, &m, &bob, Role::Inviting, [2; 16], NOW);
    let mut roll = Roll::new(w.owner.clone());
    roll.add(m.clone());
    roll.add(b.clone());
    assert!(!may_revoke(&m, &b));
    let leaves = act(1, &m, &m);
    if leaves.is_allowed() {
        roll.revoke(id(1), leaves);
    }
    let holds = admits(&roll, &b, b"an old record of Bob's");
    assert!(
        stands(&roll, &b) && holds,
        "Bob stands {}, his records hold {holds}",
        stands(&roll, &b)
    );
}

/// A member that lets others in may not rename members, nor take their application roles.
#[test]
fn an_inviting_member_changes_nobody_elses_membership() {
    let w = World::new();
    let (mallory, bob) = (who(1, "Mallory"), who(2, "Bob"));
    let m = w.first(&mallory, Role::Inviting, [1; 16], NOW);
    let grant = crate::policy::Grant::new(Role::Member, vec!["editor".into()]).unwrap();
    let subject = cert_subject(&bob);
    let c =
        cert::issue_by_owner(&w.key, &w.root, subject, &grant, [2; 16], NOW, NOW.after(DAY * 365))
            .unwrap();
    let b = w.verified(&[w.root.clone(), c]);
    // Same key, another name, one role more, no application role.
    let renamed = bob.reissue("a liar", "", [7; 16], NOW).unwrap();
    let theirs = w.below(&mallory, &m, &renamed, Role::Inviting, [8; 16], NOW.after(DAY / 2));
    let mut roll = Roll::new(w.owner.clone());
    roll.choose(b.clone(), 1);
    [&m, &theirs].into_iter().for_each(|chain| assert!(roll.add(chain.clone())));
    assert_eq!(roll.offer(&b, "Bob", NOW.after(DAY)), &b, "nor does Bob himself change");
    let best = roll.best_of(b.peer(), NOW.after(DAY)).unwrap();
    assert!(
        best.name() == "Bob" && best.grant().includes(&grant),
        "everybody sees {:?} {:?}",
        best.name(),
        best.grant()
    );
}

fn cert_subject(of: &Identity) -> Subject<'_> {
    Subject::of_identity(of.certificate()).unwrap()
}

/// One who leaves does not use up the revocations of all.
#[test]
fn one_who_leaves_leaves_once() {
    let w = World::new();
    let m = w.first(&who(1, "Mallory"), Role::Member, [1; 16], NOW);
    let mut roll = Roll::new(w.owner.clone());
    roll.add(m.clone());
    let kept = Kept::new([0; 16], (2..=500).map(|n: u64| Digest::of(&n.to_be_bytes())));
    roll.revoke(id(1), Revocation { kept, ..act(1, &m, &m) });
    for n in 2..=500 {
        let more = act(n, &m, &m);
        if more.is_allowed() && roll.has_effect(&more) {
            roll.revoke(id(n), more);
        }
    }
    let effect = roll.acts().filter(|(_, act)| roll.has_effect(act)).count();
    assert_eq!(effect, 1, "revocations of one plain member that stay for good");
}

/// Renewal keeps seniority: who began first is renewed first, and is junior to nobody who was not renewed yet. By another
/// issuer farther from the root, or from a lesser role, rank begins anew.
#[test]
fn renewal_does_not_turn_seniority_round() {
    let w = World::new();
    let (ada, eve, bob) = (who(1, "Ada"), who(2, "Eve"), who(3, "Bob"));
    let a = w.first(&ada, Role::Administrator, [1; 16], NOW);
    let e = w.first(&eve, Role::Administrator, [2; 16], NOW.after(DAY));
    let renewed = |chain: &VerifiedChain, role: Role| {
        let (begin, end) = (NOW.after(DAY * 30), NOW.after(DAY * 365));
        let subject = Subject::of_member(chain);
        let grant = role.into();
        let (key, root) = (&w.key, &w.root);
        let c = cert::issue_by_owner(key, root, subject, &grant, [9; 16], begin, end);
        w.verified(&[w.root.clone(), c.unwrap()])
    };
    let again = renewed(&a, Role::Administrator);
    assert_eq!(again.leaf().since(), a.leaf().since());
    assert!(may_revoke(&again, &e) && !may_revoke(&e, &again));
    let and_again = renewed(&again, Role::Administrator);
    assert!(may_revoke(&and_again, &e) && !may_revoke(&e, &and_again));
    // A member promoted since is junior to all who were there.
    let member = w.first(&bob, Role::Inviting, [4; 16], NOW);
    let promoted = renewed(&member, Role::Administrator);
    assert!(may_revoke(&e, &promoted) && !may_revoke(&promoted, &e));
}

/// Work that takes so many steps for a thousand takes at most fifteen times as many for ten thousand, and few are a thousand.
fn grows_no_faster_than_n_log_n(what: &str, steps: impl Fn(u64) -> u64) {
    let (few, many) = (steps(1_000), steps(10_000));
    eprintln!("{what}: {few} steps for 1,000, {many} for 10,000");
    assert!(many <= 15 * few.max(1_000), "{what}: {few} steps, then {many}");
}

/// Members' acts come in messages of some hundred, and those without effect are refused; what is stored comes all at once.
fn take(roll: &mut Roll, acts: &[Revocation], at_once: usize) -> u64 {
    let before = roll.steps();
    for (message, acts) in acts.chunks(at_once).enumerate() {
        for (nth, act) in acts.iter().enumerate() {
            if !roll.has_effect(act) && at_once < usize::MAX {
                continue;
            }
            roll.revoke(id((message * at_once + nth) as u64), act.clone());
        }
        roll.settle();
    }
    roll.steps() - before
}

/// R2, variants: a member revokes itself again and again, an administrator a member, and an administrator itself.
#[test]
fn revocations_cost_what_they_are_many() {
    let w = World::new();
    let a = w.first(&who(1, "Ada"), Role::Administrator, [1; 16], NOW);
    let m = w.first(&who(2, "Mallory"), Role::Member, [2; 16], NOW);
    for (what, signer, target) in [("itself", &m, &m), ("a member", &a, &m), ("Ada", &a, &a)] {
        for at_once in [256, usize::MAX] {
            grows_no_faster_than_n_log_n(&format!("{what}, {at_once} at once"), |n| {
                let mut roll = Roll::new(w.owner.clone());
                let acts: Vec<Revocation> = (0..n).map(|n| act(n, signer, target)).collect();
                take(&mut roll, &acts, at_once)
            });
        }
    }
}

/// R2, variant: puppets that are administrators revoke the one above whom they stand, by peer. None of them may, but where it
/// is a plain member.
#[test]
fn revocations_of_one_peer_by_many_juniors_cost_what_they_are_many() {
    let w = World::new();
    let mallory = who(1, "Mallory");
    let m = w.first(&mallory, Role::Administrator, [1; 16], NOW);
    let plain = w.first(&mallory, Role::Member, [2; 16], NOW);
    let puppet = |n: u64| {
        let mut seed = [3; 32];
        seed[..8].copy_from_slice(&n.to_be_bytes());
        let puppet = Identity::generate(seed, [4; 16], "P", NOW).unwrap();
        w.below(&mallory, &m, &puppet, Role::Administrator, [3; 16], NOW)
    };
    let puppets: Vec<VerifiedChain> = (0..10_000).map(puppet).collect();
    grows_no_faster_than_n_log_n("puppets", |n| {
        let mut roll = Roll::new(w.owner.clone());
        let act = |(nth, signer): (usize, &VerifiedChain)| Revocation {
            target: Target::Peer(plain.peer()),
            ..act(nth as u64, signer, &plain)
        };
        let acts: Vec<Revocation> = puppets.iter().take(n as usize).enumerate().map(act).collect();
        take(&mut roll, &acts, usize::MAX)
    });
}

/// A member that may invite offers memberships to one peer, and each is told.
#[test]
fn memberships_of_one_peer_cost_what_they_are_many() {
    let w = World::new();
    let mallory = who(1, "Mallory");
    let m = w.first(&mallory, Role::Inviting, [1; 16], NOW);
    let puppet = who(2, "P");
    let offer = |n: u64| {
        let mut serial = [3; 16];
        serial[..8].copy_from_slice(&n.to_be_bytes());
        w.below(&mallory, &m, &puppet, Role::Member, serial, NOW)
    };
    let offers: Vec<VerifiedChain> = (0..10_000).map(offer).collect();
    for chosen in [false, true] {
        grows_no_faster_than_n_log_n("memberships of one peer", |n| {
            let mut roll = Roll::new(w.owner.clone());
            for (nth, offer) in offers.iter().take(n as usize).enumerate() {
                match chosen {
                    true => assert!(roll.choose(offer.clone(), nth as u64)),
                    false => assert!(roll.offered(id(nth as u64), offer.clone())),
                }
                let best = roll.best_of(puppet.peer_id(), NOW.after(DAY));
                assert!(best.is_some_and(|best| !chosen || best.id() == offer.id()));
            }
            roll.steps()
        });
    }
}

/// R4. Of one invitation with fewer uses than are made, in either order, and all at once as they are loaded.
#[test]
fn redemptions_cost_what_they_are_many() {
    let w = World::new();
    let ada = who(1, "Ada");
    let a = w.first(&ada, Role::Administrator, [1; 16], NOW);
    let key = GroupKey::generate([9; 32]).public_key();
    let newcomer = |n: u64| {
        let mut seed = [3; 32];
        seed[..8].copy_from_slice(&n.to_be_bytes());
        let newcomer = Identity::generate(seed, [4; 16], "P", NOW).unwrap();
        w.below(&ada, &a, &newcomer, Role::Member, [3; 16], NOW)
    };
    let newcomers: Vec<VerifiedChain> = (0..10_000).map(newcomer).collect();
    for (at_once, late_first) in [(256, false), (256, true), (usize::MAX, false)] {
        let what = format!("redemptions, {at_once} at once, late first: {late_first}");
        grows_no_faster_than_n_log_n(&what, |n| {
            let mut roll = Roll::new(w.owner.clone());
            let offer = Offer { key, inviter: a.peer(), uses: 100 };
            roll.open(id(0), offer);
            for (nth, newcomer) in newcomers.iter().take(n as usize).enumerate() {
                let nth = nth as u64;
                let used = Redemption {
                    invitation: id(0),
                    signer: a.clone(),
                    newcomer: newcomer.clone(),
                    proved: Some(key),
                    version: if late_first { n - nth } else { nth },
                };
                if roll.redemptions().has_place(id(nth + 1), &used) {
                    roll.redeem(id(nth + 1), used);
                }
                if let Some(last) = roll.redemptions().beyond(id(0)) {
                    roll.forget(last);
                }
                if (nth + 1).is_multiple_of(at_once as u64) {
                    roll.settle();
                }
            }
            roll.settle();
            roll.steps() + n
        });
    }
}

/// An administrator who makes more of itself does not use up what seniors revoke.
#[test]
fn juniors_have_a_share_and_seniors_come_first() {
    let w = World::new();
    let a = w.first(&who(1, "Ada"), Role::Administrator, [1; 16], NOW);
    let m = w.first(&who(2, "Mallory"), Role::Administrator, [2; 16], NOW.after(DAY));
    let mut roll = Roll::new(w.owner.clone());
    [&a, &m].into_iter().for_each(|chain| assert!(roll.add(chain.clone())));
    let puppet = who(3, "P");
    let share = limits::REVOCATIONS_PER_SIGNER_MAX as u64;
    let p = w.below(&who(2, "Mallory"), &m, &puppet, Role::Member, [3; 16], NOW.after(DAY));
    // Latest first, so that each comes before all that are there.
    for n in (0..share + 20).rev() {
        let act = act(n + 10, &m, &p);
        if roll.has_effect(&act) {
            roll.revoke(id(n), act);
        }
    }
    roll.settle();
    let effect = |roll: &Roll| roll.acts().filter(|(_, act)| roll.has_effect(act)).count() as u64;
    assert_eq!(effect(&roll), share);
    assert!(!roll.has_effect(&act(u64::MAX, &m, &p)), "one too many");
    assert!(roll.has_effect(&act(u64::MAX, &a, &m)) && roll.has_effect(&act(1, &w.owner, &a)));
}
