//! Attacks on the roll by members who sign by hand. Each once broke a promise.
use super::*;
use crate::cert::tests::{issue_first, issue_member, issue_root};
use crate::cert::verify_chain;
use crate::identity::{GroupKey, Identity, verify};
use std::time::Duration;

const NOW: WallTime = WallTime(1_800_000_000_000);
const DAY: Duration = Duration::from_secs(86_400);

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

fn act(n: u64, signer: &VerifiedChain, target: &VerifiedChain) -> Revocation {
    Revocation {
        version: n,
        digest: Digest::of(&n.to_be_bytes()),
        signer: signer.clone(),
        target_chain: target.clone(),
        target: Target::Certificate(target.id()),
        reason: Reason::Misconduct,
        standing: BTreeSet::new(),
        kept: Kept::default(),
    }
}

fn id(n: u64) -> RecordId {
    RecordId::new(PeerId::default(), "a", n)
}

fn stands(roll: &Roll, chain: &VerifiedChain) -> bool {
    roll.standing(chain, NOW.after(DAY)) == Standing::Member
}

/// Whoever is revoked with its invitees kept issues itself a new membership with an invitee's serial.
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
        roll.admits(&q, &Digest::of(b"later"))
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
        (chain.peer() == a.peer(), known, roll.admits(chain, &Digest::of(b"Ada's record")))
    });
    assert_eq!(says[0], says[1], "(serial is Ada's, Ada is known, Ada's records hold)");
}
