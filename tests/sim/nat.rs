//! Routers with NAT, by RFC 4787: how they map and filter, and for how long.
//!
//! Two hosts that signal a link send to each other's addresses at the same time. The outcome follows from both
//! routers alone ([`meet`]); the packets of the checks are not simulated. A host learns its outside address from a STUN
//! server that its node has named, if one is up and has no router before it.
use crate::chance::Chance;

/// How a router maps an endpoint inside to one outside (RFC 4787, section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// To one, whoever is sent to.
    Same,
    /// To another for each destination: a symmetric NAT. The address that a STUN server sees is of no use to others.
    Another,
}

/// The senders that a router lets in (RFC 4787, section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filtering {
    /// Everybody.
    Open,
    /// Addresses that were sent to.
    Address,
    /// Addresses and ports that were sent to.
    Port,
}

/// The router before a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nat {
    /// How it maps.
    pub mapping: Mapping,
    /// The senders that it lets in.
    pub filtering: Filtering,
    /// How long it keeps a mapping that nothing uses. Microseconds of world time.
    pub expires: u64,
}

impl Nat {
    /// One of the kinds that there are, by chance. A mapping lives for 30 s, as some routers have it, though RFC 4787 wants 2
    /// minutes.
    pub fn draw(chance: &mut Chance) -> Self {
        let kinds = [
            (Mapping::Same, Filtering::Open),
            (Mapping::Same, Filtering::Address),
            (Mapping::Same, Filtering::Port),
            (Mapping::Another, Filtering::Port),
        ];
        let (mapping, filtering) = *chance.of(&kinds);
        Self { mapping, filtering, expires: 30_000_000 }
    }
}

/// One end of a link that is signalled.
#[derive(Clone, Copy, Debug)]
pub struct Side {
    /// The router before it.
    pub nat: Option<Nat>,
    /// Whether a STUN server has told it its outside address.
    pub knows_address: bool,
}

impl Side {
    /// The address that it tells leads to it, if its router lets the sender in.
    fn tells(self) -> bool {
        match self.nat {
            None => true,
            Some(nat) => self.knows_address && nat.mapping == Mapping::Same,
        }
    }

    /// Whether its router lets the checks of the other end in, to which it sends its own.
    fn lets_in(self, other: Self) -> bool {
        let Some(nat) = self.nat else { return true };
        match nat.filtering {
            Filtering::Open => true,
            // It has sent to the right address if it was told one, though perhaps to a wrong port.
            Filtering::Address => other.nat.is_none() || other.knows_address,
            Filtering::Port => other.tells(),
        }
    }
}

/// Whether two ends that signal to each other come to a direct path: checks of one of them arrive at the other, whose answers
/// go back the same way.
pub fn meet(a: Side, b: Side) -> bool {
    let arrives = |to: Side, from: Side| to.tells() && to.lets_in(from);
    arrives(a, b) || arrives(b, a)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(mapping: Mapping, filtering: Filtering) -> Side {
        Side { nat: Some(Nat { mapping, filtering, expires: 0 }), knows_address: true }
    }

    /// The matrix that real programs show in network namespaces.
    #[test]
    fn kinds_meet_as_theory_says() {
        let open = Side { nat: None, knows_address: false };
        let full = side(Mapping::Same, Filtering::Open);
        let addr = side(Mapping::Same, Filtering::Address);
        let port = side(Mapping::Same, Filtering::Port);
        let symmetric = side(Mapping::Another, Filtering::Port);
        let kinds = [open, full, addr, port, symmetric];
        for (a, first) in kinds.into_iter().enumerate() {
            for (b, second) in kinds.into_iter().enumerate() {
                let never = a.min(b) >= 3 && a.max(b) == 4;
                assert_eq!(meet(first, second), !never, "{first:?} {second:?}");
            }
        }
    }

    #[test]
    fn nobody_behind_routers_meets_without_a_server() {
        let blind = |side: Side| Side { knows_address: false, ..side };
        let full = blind(side(Mapping::Same, Filtering::Open));
        let open = Side { nat: None, knows_address: false };
        assert!(!meet(full, full));
        assert!(meet(full, open) && meet(open, full), "one that is public is reached");
    }
}
