//! The rules of the roll, and that order of arrival is nothing to it.
use super::*;
use crate::cert::tests::{issue_first, issue_member, issue_root};
use crate::cert::verify_chain;
use crate::cert::{Certificate, Role};
use crate::id::Digest;
use crate::identity::{GroupKey, Identity, verify};
use std::time::Duration;

pub(super) const NOW: WallTime = WallTime(1_800_000_000_000);
pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// A group whose key made three administrators, one an hour after the other; each let one inviting member in, and that
/// one a plain member.
struct Cast {
    owner: VerifiedChain,
    administrators: [VerifiedChain; 3],
    inviting: [VerifiedChain; 3],
    members: [VerifiedChain; 3],
}

fn cast() -> Cast {
    let key = GroupKey::generate([200; 32]);
    let root = issue_root(&key, "Chess", [0; 16], NOW, NOW.after(DAY * 3650));
    let end = NOW.after(DAY * 28);
    let identity = |n: u8| Identity::generate([n; 32], [n; 16], "Somebody", NOW).unwrap();
    let verified =
        |certificates: &[Certificate]| verify_chain(certificates, key.group_id(), verify).unwrap();
    let below = |above: &VerifiedChain, by: &Identity, who: &Identity, role, serial| {
        let begin = above.not_before();
        let certificate =
            issue_member(by, above, who.certificate(), role, serial, begin, end).unwrap();
        let mut certificates = above.certificates().to_vec();
        certificates.push(certificate);
        verified(&certificates)
    };
    let administrator = |n: u8| {
        let who = identity(n);
        let begin = NOW.after(Duration::from_secs(3_600) * u32::from(n));
        let role = Role::Administrator;
        let certificate =
            issue_first(&key, &root, who.certificate(), role, [n; 16], begin, end).unwrap();
        verified(&[root.clone(), certificate])
    };
    let administrators = [1, 2, 3].map(administrator);
    let inviting = [0, 1, 2].map(|at: usize| {
        let n = at as u8;
        let (by, who) = (identity(n + 1), identity(n + 11));
        below(&administrators[at], &by, &who, Role::Inviting, [n + 11; 16])
    });
    let members = [0, 1, 2].map(|at: usize| {
        let n = at as u8;
        let (by, who) = (identity(n + 11), identity(n + 21));
        below(&inviting[at], &by, &who, Role::Member, [n + 21; 16])
    });
    let owner = VerifiedChain::owner(&root, verify).unwrap();
    Cast { owner, administrators, inviting, members }
}

impl Cast {
    fn roll(&self) -> Roll {
        let mut roll = Roll::new(self.owner.clone());
        let all = self.administrators.iter().chain(&self.inviting).chain(&self.members);
        all.for_each(|chain| assert!(roll.add(chain.clone())));
        roll
    }
}

pub(super) fn digest(n: u64) -> Digest {
    Digest::of(&n.to_be_bytes())
}

pub(super) fn said(n: u64) -> Said {
    Said { digest: digest(n), version: n, for_others: false }
}

pub(super) fn id(n: u64) -> RecordId {
    RecordId::new(PeerId::default(), "a", n)
}

/// An act that lets nothing stand and keeps nothing.
pub(super) fn act(n: u64, signer: &VerifiedChain, target: &VerifiedChain) -> Revocation {
    Revocation {
        version: n,
        digest: digest(n),
        signer: signer.clone(),
        target_chain: target.clone(),
        target: Target::Certificate(target.id()),
        reason: Reason::Misconduct,
        standing: SortedSet::new(),
        kept: Kept::default(),
    }
}

pub(super) fn stands(roll: &Roll, chain: &VerifiedChain) -> bool {
    let mut roll = roll.clone();
    roll.settle();
    roll.standing(chain, NOW.after(DAY)) == Standing::Member
}

#[test]
fn rule_1_only_seniors_the_owner_and_oneself_revoke_an_administrator() {
    let Cast { owner, administrators: [a, b, _], inviting: [i, ..], members: [m, ..] } = cast();
    assert!(act(1, &owner, &a).is_allowed());
    assert!(act(1, &a, &b).is_allowed());
    assert!(!act(1, &b, &a).is_allowed());
    assert!(act(1, &a, &a).is_allowed());
    assert!(!act(1, &i, &a).is_allowed());
    assert!(!act(1, &a, &owner).is_allowed());
    // A member that is no administrator is below every administrator, wherever it stands.
    assert!(act(1, &b, &i).is_allowed());
    assert!(act(1, &b, &m).is_allowed());
    assert!(!act(1, &i, &m).is_allowed());
    assert!(act(1, &m, &m).is_allowed());
}

#[test]
fn rule_2_a_peer_is_revoked_with_all_it_will_be_issued_until_that_is_taken_back() {
    let cast = cast();
    let mut roll = cast.roll();
    let member = &cast.members[0];
    let ban = Revocation {
        target: Target::Peer(member.peer()),
        ..act(1, &cast.administrators[1], member)
    };
    roll.revoke(id(1), ban);
    assert!(!stands(&roll, member));
    assert!(roll.forget(id(1)));
    assert!(stands(&roll, member));
    roll.revoke(id(2), act(2, &cast.administrators[1], member));
    assert!(!stands(&roll, member));
}

#[test]
fn rules_3_and_6_acts_of_who_is_revoked_have_effect_only_if_they_were_kept() {
    let cast = cast();
    let [a, b, c] = &cast.administrators;
    let mut roll = cast.roll();
    roll.revoke(id(1), act(1, b, c));
    assert!(!stands(&roll, c));
    roll.revoke(id(2), act(2, a, b));
    assert!(stands(&roll, c), "whose act was not kept");
    let mut kept = cast.roll();
    kept.revoke(id(1), act(1, b, c));
    kept.revoke(id(2), Revocation { kept: Kept::new([0; 16], [digest(1)]), ..act(2, a, b) });
    kept.settle();
    assert!(!stands(&kept, c), "whose act was kept");
    assert!(kept.admits(b, &said(1)));
    assert!(!kept.admits(b, &said(7)), "whatever is not on the list came later");
}

#[test]
fn rule_5_who_was_let_in_falls_unless_the_revocation_lets_it_stand() {
    let cast = cast();
    let (a, i, m) = (&cast.administrators[0], &cast.inviting[0], &cast.members[0]);
    let mut falls = cast.roll();
    falls.revoke(id(1), act(1, &cast.owner, a));
    assert!(!stands(&falls, a) && !stands(&falls, i) && !stands(&falls, m));
    let mut stay = cast.roll();
    let standing = stay.issued_under(Target::Certificate(a.id()));
    assert_eq!(standing, SortedSet::from([i.id()]));
    stay.revoke(id(1), Revocation { standing, ..act(1, &cast.owner, a) });
    assert!(!stands(&stay, a) && stands(&stay, i) && stands(&stay, m));
    // A certificate that a revoked administrator issues afterwards, however dated, was not on the list.
    assert!(stands(&stay, &cast.inviting[1]));
}

#[test]
fn rule_7_the_first_redemptions_count_whatever_the_order_in_which_they_come() {
    let cast = cast();
    let key = GroupKey::generate([9; 32]).public_key();
    let [first, second, third] = &cast.administrators;
    let used = |signer: &VerifiedChain, at: usize, version| Redemption {
        invitation: id(9),
        signer: signer.clone(),
        newcomer: cast.members[at].clone(),
        proved: Some(key),
        version,
    };
    let offer = Offer { key, inviter: first.peer(), uses: 2 };
    // Of one signer the earlier, of several the seniors' first.
    let cases = [
        ([used(first, 0, 30), used(first, 1, 10), used(first, 2, 20)], [false, true, true]),
        ([used(first, 0, 30), used(second, 1, 10), used(third, 2, 20)], [true, true, false]),
        ([used(third, 0, 10), used(first, 1, 30), used(second, 2, 20)], [false, true, true]),
        // Inviting members take nobody's membership, and so three stay where nobody else was.
        ([0, 1, 2].map(|at| used(&cast.inviting[at], at, at as u64)), [true, true, true]),
    ];
    for (all, expected) in cases {
        for order in permutations(4) {
            let mut roll = cast.roll();
            for &at in &order {
                match all.get(at) {
                    Some(used) => _ = roll.redeem(id(at as u64), used.clone()),
                    None => _ = roll.open(id(9), offer),
                }
            }
            roll.settle();
            let standing = [0, 1, 2].map(|at| stands(&roll, &cast.members[at]));
            assert_eq!(standing, expected, "{order:?}");
            for (stands, member) in expected.into_iter().zip(&cast.members) {
                assert_eq!(roll.admits(member, &said(5)), stands);
            }
            assert_eq!(roll.redemptions().came(id(9)).len(), 3);
        }
    }
}

fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let shorter = permutations(n - 1);
    let insert = |order: &Vec<usize>| {
        let at = |place| {
            let mut longer = order.clone();
            longer.insert(place, n - 1);
            longer
        };
        (0..n).map(at).collect::<Vec<_>>()
    };
    shorter.iter().flat_map(insert).collect()
}

/// Goal: what three administrators and the owner do to each other has one outcome, whatever the order of arrival, and
/// the most senior always has its way.
/// Method: every set of up to four of the acts that are possible between them (each act with or without keeping the acts
/// of its target that it knows), in every order: all rolls are equal. 12 acts, 793 sets, 13,345 orders.
#[test]
fn three_administrators_who_revoke_each_other_have_one_outcome() {
    let cast = cast();
    let [a, b, c] = &cast.administrators;
    let signers = [&cast.owner, a, b, c];
    let mut acts = Vec::new();
    for signer in signers {
        for target in [a, b, c] {
            let n = acts.len() as u64;
            acts.push(act(n, signer, target));
        }
    }
    // Some keep what their target did before: every second act keeps all acts of its target with lower numbers.
    let snapshot = acts.clone();
    for (n, act) in acts.iter_mut().enumerate().filter(|(n, _)| n % 2 == 1) {
        // A member that leaves has no list.
        if act.signer == act.target_chain {
            continue;
        }
        let known = snapshot[..n].iter().filter(|known| known.signer == act.target_chain);
        act.kept = Kept::new([0; 16], known.map(|known| known.digest));
    }
    assert_eq!(acts.len(), 12);
    let (mut sets, mut orders) = (0, 0);
    for bits in 0_u32..1 << acts.len() {
        let set: Vec<usize> = (0..acts.len()).filter(|at| bits >> at & 1 == 1).collect();
        if set.len() > 4 {
            continue;
        }
        // An act that may not be is refused before it comes to the roll.
        let set: Vec<usize> = set.into_iter().filter(|&at| acts[at].is_allowed()).collect();
        sets += 1;
        let mut first: Option<[bool; 3]> = None;
        for order in permutations(set.len()) {
            orders += 1;
            let mut roll = cast.roll();
            for &at in &order {
                let at = set[at];
                roll.revoke(id(at as u64), acts[at].clone());
            }
            let outcome = [a, b, c].map(|chain| stands(&roll, chain));
            assert_eq!(*first.get_or_insert(outcome), outcome, "acts {set:?} in order {order:?}");
            // A member that the owner revokes is out; one that nobody senior touches, and that did not leave, is in.
            for (at, chain) in [a, b, c].into_iter().enumerate() {
                let by = |signer: &VerifiedChain| {
                    set.iter().any(|&n| acts[n].signer == *signer && acts[n].target_chain == *chain)
                };
                if by(&cast.owner) {
                    assert!(!outcome[at], "acts {set:?}: the owner had its way");
                }
                if !signers.iter().any(|signer| by(signer)) {
                    assert!(outcome[at], "acts {set:?}: nobody touched it");
                }
            }
            // The most senior administrator that stands has its way too.
            if outcome[0] {
                let revoked = |target: &VerifiedChain| {
                    set.iter().any(|&n| acts[n].signer == *a && acts[n].target_chain == *target)
                };
                assert!(!(revoked(b) && outcome[1]), "acts {set:?}");
                assert!(!(revoked(c) && outcome[2]), "acts {set:?}");
            }
        }
    }
    assert!(sets > 700 && orders > 1_000, "{sets} sets in {orders} orders");
}
