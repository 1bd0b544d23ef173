//! Goal: whatever chain we accept, openssl accepts; what is expired, foreign, tampered, over-long, wrongly ordered or
//! otherwise bad by X.509's own rules, both refuse. Method: chains of chance lengths, names, roles and validities, sound or
//! with one fault at a chance place, judged by both. A seed repeats its chain.
// A fault concerns one of many places.
#![allow(clippy::wildcard_enum_match_arm)]
use super::super::tests::{DAY, Group, NOW, group_named, identity};
use super::*;
use crate::id::GroupId;
use crate::identity::{GroupKey, Identity, verify};
use crate::limits::CHAIN_MAX;
use crate::sorted::SortedMap;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// Chains that are judged.
const CHAINS: u64 = 260;

/// The fault of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Nothing,
    Late,
    Early,
    Foreign,
    Gap,
    Order,
    Tampered,
    OverLong,
    PathLength,
    PlainIssuer,
    Signer,
    IssuerName,
    IssuerKey,
    // The faults below are forbidden by us alone; openssl adds the root that it trusts.
    Rootless,
    Nesting,
    Role,
    Cycle,
}

impl Fault {
    const ALL: [Self; 17] = [
        Self::Nothing,
        Self::Late,
        Self::Early,
        Self::Foreign,
        Self::Gap,
        Self::Order,
        Self::Tampered,
        Self::OverLong,
        Self::PathLength,
        Self::PlainIssuer,
        Self::Signer,
        Self::IssuerName,
        Self::IssuerKey,
        Self::Rootless,
        Self::Nesting,
        Self::Role,
        Self::Cycle,
    ];

    /// The fault of a chain: a fifth of them has none.
    fn of(seed: u64) -> Self {
        let bad = Self::ALL.len() - 1;
        let nth = seed as usize;
        if nth.is_multiple_of(5) { Self::Nothing } else { Self::ALL[1 + (nth - nth / 5) % bad] }
    }

    fn is_forbidden_by_x509(self) -> bool {
        self > Self::Nothing && self < Self::Rootless
    }

    /// The least number of certificates below the root in which it can be.
    fn depth_min(self) -> usize {
        match self {
            Self::Gap | Self::PlainIssuer | Self::Order | Self::Nesting | Self::Role => 2,
            Self::PathLength | Self::Cycle => 3,
            _ => 1,
        }
    }
}

struct Chance(ChaCha12Rng);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        (self.0.next_u64() % bound as u64) as usize
    }
}

/// A chain, the root that is trusted, and the moment of judgement.
struct Case {
    root: Certificate,
    ders: Vec<Vec<u8>>,
    now: WallTime,
}

const NAMES: [&str; 5] = ["Ada", "Bob", "Zoë 🦊, O=Bank", "Ada", "a\\+b=\"c\""];

impl Case {
    fn new(seed: u64, fault: Fault) -> Self {
        let mut chance = Chance(ChaCha12Rng::seed_from_u64(seed));
        let Group { key, root, .. } = group_named(NAMES[chance.below(NAMES.len())]);
        let depth = match fault {
            Fault::OverLong => CHAIN_MAX,
            // Openssl is asked for every pair of a wrong order, one by one.
            Fault::Order => fault.depth_min() + chance.below(4),
            _ if chance.below(12) == 0 => CHAIN_MAX - 1,
            _ => fault.depth_min() + chance.below(4),
        };
        let now = match fault {
            Fault::Late => NOW.after(DAY * 400),
            Fault::Early => NOW.before(DAY),
            _ => NOW.after(DAY),
        };
        let ders = below(&mut chance, fault, &key, &root, depth);
        let mut case = Self { root, ders, now };
        case.spoil(&mut chance, fault);
        case
    }

    /// Faults of a whole chain.
    fn spoil(&mut self, chance: &mut Chance, fault: Fault) {
        let last = self.ders.len() - 1;
        match fault {
            Fault::Foreign => self.root = group_named("Chess").other_root(),
            Fault::Rootless => _ = self.ders.remove(0),
            // Neither the root nor the leaf: without those it is another chain.
            Fault::Gap => _ = self.ders.remove(1 + chance.below(last - 1)),
            Fault::Order => {
                let at = 1 + chance.below(last - 1);
                self.ders.swap(at, at + 1);
            }
            Fault::Tampered => {
                let der = &mut self.ders[1 + chance.below(last)];
                let at = chance.below(der.len());
                der[at] ^= 1 << chance.below(8);
            }
            _ => {}
        }
    }

    fn accepted_by_us(&self, group: GroupId) -> bool {
        let certificates: Result<Vec<_>, _> = self.ders.iter().map(Certificate::from_der).collect();
        let chain = certificates.and_then(|chain| verify_chain(&chain, group, verify));
        chain.is_ok_and(|chain| chain.root() == &self.root && chain.covers(self.now))
    }

    /// The verdict of openssl on the chain, and on each certificate below the one before it: it takes those in between as a
    /// set, whatever their order.
    fn accepted_by_openssl(&self, test: &str) -> (bool, String) {
        let ders: Vec<&[u8]> = self.ders.iter().map(Vec::as_slice).collect();
        let (whole, mut said) = verdict_of_bytes(test, "-CAfile", self.root.der(), &ders, self.now);
        if !whole || ders.len() > 6 {
            return (whole, said);
        }
        for pair in ders.windows(2) {
            let (good, more) = verdict_of_bytes(test, "-trusted", pair[0], &pair[1..], self.now);
            said += &more;
            if !good {
                return (false, said);
            }
        }
        (true, said)
    }
}

impl Group {
    /// The root of another group of the same name.
    fn other_root(&self) -> Certificate {
        let other = GroupKey::generate([201; 32]);
        issue_root(&other, self.root.name(), [0; 16], NOW, NOW.after(DAY * 3650))
    }
}

/// A root and `depth` certificates below it, of which one has the fault.
fn below(
    chance: &mut Chance,
    fault: Fault,
    key: &GroupKey,
    root: &Certificate,
    depth: usize,
) -> Vec<Vec<u8>> {
    let mut ders = vec![root.der().to_vec()];
    let mut above = root.clone();
    let mut issuer: Option<Identity> = None;
    let mut role = Role::Administrator;
    // Where the fault is; it must have a certificate below it, or above it.
    let place = match fault {
        Fault::PlainIssuer => 1 + chance.below(depth - 1),
        Fault::PathLength => 1 + chance.below(depth - 2),
        Fault::Nesting | Fault::Role => 2 + chance.below(depth - 1),
        Fault::Cycle => 3 + chance.below(depth - 2),
        _ => 1 + chance.below(depth),
    };
    for level in 1..=depth {
        let here = level == place;
        let leaf = level == depth;
        let name = match fault {
            // X.509 does not count certificates whose issuer has the same name.
            Fault::OverLong | Fault::PathLength => format!("Ada {level}"),
            _ => NAMES[chance.below(NAMES.len())].to_owned(),
        };
        let number = if here && fault == Fault::Cycle { level as u8 - 2 } else { level as u8 };
        let who = identity(number, &name);
        let grown = role;
        role = match chance.below(3) {
            _ if leaf && depth == 1 => Role::Administrator,
            // Below the last issuer there are plain members only.
            _ if leaf && above.parsed.path_len == Some(0) => Role::Member,
            0 if leaf => Role::Member,
            1 => Role::Inviting.min(role),
            _ => role,
        };
        if fault == Fault::Role && level + 1 == place {
            role = Role::Inviting;
        }
        if fault == Fault::Role && here {
            role = Role::Administrator;
            assert!(grown < role);
        }
        if fault == Fault::PlainIssuer && here {
            role = Role::Member;
        } else if !leaf {
            role = role.max(Role::Inviting);
        }
        let kind = Kind::Member(role);
        let path_len = match above.parsed.path_len {
            _ if !kind.is_ca() => None,
            _ if here && fault == Fault::PathLength => Some(0),
            Some(above) => Some(above.saturating_sub(1)),
            None => Some(0),
        };
        let outlives = here && fault == Fault::Nesting;
        let (mut begin, mut end) =
            (above.not_before(), above.not_after().min(NOW.after(DAY * 300)));
        if chance.below(2) == 0 {
            begin = begin.max(NOW.after(DAY / 24 * level as u32 / 2));
        }
        if chance.below(2) == 0 {
            end = end.before(DAY);
        }
        if outlives {
            end = above.not_after().after(DAY);
        }
        let stranger = identity(250, "Eve");
        let wrong_key = here && fault == Fault::IssuerKey;
        let template = Template {
            app_roles: &[],
            policy: None,
            above: Some(above.id()),
            since: None,
            lists: None,
            host: None,
            kind,
            serial: [0x40 | level as u8; 16],
            issuer: if here && fault == Fault::IssuerName { "Nobody" } else { above.name() },
            subject: &name,
            key: who.public_key(),
            issuer_key_id: Some(match wrong_key {
                true => stranger.certificate().parsed.key_id(),
                false => above.parsed.key_id(),
            }),
            not_before: begin,
            not_after: end,
            path_len,
        };
        let der = template.to_der(|tbs| match &issuer {
            _ if here && fault == Fault::Signer => stranger.as_ref().sign_certificate(tbs),
            None => key.sign_certificate(tbs),
            Some(issuer) => issuer.as_ref().sign_certificate(tbs),
        });
        above = Certificate::from_der(&der).unwrap();
        ders.push(der);
        issuer = Some(who);
        if fault == Fault::PlainIssuer && here {
            // Those below it are good in themselves.
            role = Role::Inviting;
        }
    }
    ders
}

#[test]
fn openssl_and_we_agree_on_generated_chains() {
    let mut counts: SortedMap<Fault, [usize; 3]> = SortedMap::new();
    for seed in 0..CHAINS {
        let fault = Fault::of(seed);
        let case = Case::new(seed, fault);
        let group = group_named("Ada").key.group_id();
        let ours = case.accepted_by_us(group);
        let repeat = format!("seed {seed}, {fault:?}");
        assert_eq!(ours, fault == Fault::Nothing, "{repeat}: we");
        let (theirs, said) = case.accepted_by_openssl("generated");
        assert!(theirs || !ours, "{repeat}: we accept what openssl refuses: {said}");
        assert!(!(theirs && fault.is_forbidden_by_x509()), "{repeat}: openssl accepts it: {said}");
        let count = counts.entry(fault).or_default();
        count[0] += 1;
        count[1] += usize::from(ours);
        count[2] += usize::from(theirs);
    }
    for (fault, [all, ours, theirs]) in &counts {
        println!("{fault:?}: {all} chains, we accept {ours}, openssl accepts {theirs}");
    }
    assert_eq!(counts.len(), Fault::ALL.len());
    assert!(counts.values().map(|[all, ..]| all).sum::<usize>() >= 200);
}
