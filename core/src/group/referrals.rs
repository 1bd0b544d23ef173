//! The nodes that we were referred to, and by whom.
//!
//! A referral is what one peer says of another: which node there is, and where. Nobody vouches for it, so it is kept for each
//! peer that says it, and the words of one never displace those of another: each has a share of the places, and of the peers
//! that have most the oldest word gives way ([`Crowd`]). If several say where a node is, the addresses are taken from each in
//! turn. An address that failed is forgotten, and one that had no turn is tried the next time.
use crate::address::Address;
use crate::id::{NodeId, PeerId};
use crate::limits;
use crate::share::Crowd;
use crate::sorted::SortedMap;
use crate::wire::Referral;

/// The referrals of a group.
pub(super) struct Referrals {
    words: SortedMap<NodeId, SortedMap<PeerId, Word>>,
    crowd: Crowd<PeerId, (u64, NodeId)>,
    /// Addresses that were given out last, of nodes that there are words of.
    given: SortedMap<NodeId, Vec<Address>>,
    /// How many words there were.
    said: u64,
    /// How many words have had their turn.
    turns: usize,
}

/// The word of one peer about one node.
struct Word {
    /// When, counted in words.
    at: u64,
    addresses: Vec<Address>,
}

impl Default for Referrals {
    fn default() -> Self {
        Self {
            words: SortedMap::new(),
            crowd: Crowd::new(limits::REFERRALS),
            given: SortedMap::new(),
            said: 0,
            turns: 0,
        }
    }
}

impl Referrals {
    /// A peer refers us to a node. Its earlier word about that node no longer counts.
    pub(super) fn add(&mut self, by: PeerId, referral: Referral) {
        let Referral { node, addresses, .. } = referral;
        self.take_back(by, node);
        self.said += 1;
        let at = self.said;
        if let Some((oldest, other)) = self.crowd.enter(&by, (at, node)) {
            self.drop_word(oldest, other);
        }
        self.words.entry(node).or_default().insert(by, Word { at, addresses });
    }

    /// The nodes, with whether anybody says where each is.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (NodeId, bool)> {
        self.words
            .iter()
            .map(|(&node, words)| (node, words.values().any(|word| !word.addresses.is_empty())))
    }

    /// Where a node is: first what it says itself, then what each peer says of it, in turn.
    pub(super) fn addresses(&mut self, node: NodeId, own: &[Address]) -> Vec<Address> {
        let Some(words) = self.words.get(&node) else { return own.to_vec() };
        let begin = self.turns % words.len().max(1);
        self.turns = self.turns.wrapping_add(limits::ADDRESSES_MAX);
        let said: Vec<&Vec<Address>> = words.values().map(|word| &word.addresses).collect();
        let longest = said.iter().map(|addresses| addresses.len()).max().unwrap_or_default();
        let turns = (0..longest).flat_map(|nth| {
            let (before, from) = said.split_at(begin);
            from.iter().chain(before).filter_map(move |addresses| addresses.get(nth))
        });
        let mut given: Vec<Address> = Vec::new();
        for address in own.iter().chain(turns) {
            if given.len() < limits::ADDRESSES_MAX && !given.contains(address) {
                given.push(address.clone());
            }
        }
        self.given.insert(node, given.clone());
        given
    }

    /// A node is not where we looked for it. A word of which no address is left is forgotten.
    pub(super) fn failed(&mut self, node: NodeId) {
        let given = self.given.remove(&node).unwrap_or_default();
        let Some(words) = self.words.get_mut(&node) else { return };
        for word in words.values_mut() {
            word.addresses.retain(|address| !given.contains(address));
        }
        let empty = words.iter().filter(|(_, word)| word.addresses.is_empty());
        for by in empty.map(|(&by, _)| by).collect::<Vec<_>>() {
            self.take_back(by, node);
        }
    }

    fn take_back(&mut self, by: PeerId, node: NodeId) {
        let Some(words) = self.words.get_mut(&node) else { return };
        if let Some(word) = words.remove(&by) {
            self.crowd.leave(&(word.at, node));
        }
        self.forget_unsaid(node);
    }

    /// Forgets a word that has lost its place.
    fn drop_word(&mut self, at: u64, node: NodeId) {
        if let Some(words) = self.words.get_mut(&node) {
            words.retain(|_, word| word.at != at);
        }
        self.forget_unsaid(node);
    }

    fn forget_unsaid(&mut self, node: NodeId) {
        if self.words.get(&node).is_some_and(SortedMap::is_empty) {
            self.words.remove(&node);
            self.given.remove(&node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u8) -> PeerId {
        PeerId::from_bytes([n; 32])
    }

    fn address(n: u64) -> Address {
        format!("ws://192.0.2.{}:{}/link", n % 250, 1_000 + n / 250).parse().expect("an address")
    }

    fn referral(node: u64, addresses: impl IntoIterator<Item = u64>) -> Referral {
        let addresses = addresses.into_iter().map(address).collect();
        Referral { node: NodeId(node), peer: peer(9), addresses }
    }

    /// Goal: nobody's word displaces another's. Method: a liar says of a node that it is elsewhere, before and after somebody
    /// who is right, and says much else.
    #[test]
    fn false_word_displaces_no_true_one() {
        let (liar, honest) = (peer(1), peer(2));
        let mut referrals = Referrals::default();
        referrals.add(liar, referral(7, 100..108));
        referrals.add(honest, referral(7, [1]));
        referrals.add(liar, referral(7, 200..208));
        for n in 0..10 * limits::REFERRALS.all() {
            referrals.add(liar, referral(1_000 + n, [n]));
        }
        let of_liar = referrals.nodes().filter(|(node, _)| *node != NodeId(7)).count() as u64;
        assert_eq!(of_liar, limits::REFERRALS.each());
        assert!(referrals.addresses(NodeId(7), &[]).contains(&address(1)));
        referrals.add(liar, referral(7, 200..208));
        let given = referrals.addresses(NodeId(7), &[]);
        assert!(given.contains(&address(1)), "{given:?}");
        assert_eq!(given.len(), limits::ADDRESSES_MAX);
    }

    /// Goal: however many lie, whoever is right has its turn. Method: as many liars as have a place, each with as many
    /// addresses as it may name; what was given out fails until the true one comes.
    #[test]
    fn true_word_has_its_turn_among_many_false_ones() {
        let mut referrals = Referrals::default();
        for liar in 0..20 {
            let first = 1_000 + 8 * u64::from(liar);
            referrals.add(peer(10 + liar), referral(7, first..first + 8));
        }
        referrals.add(peer(200), referral(7, [1]));
        let found = (1..100).find(|_| {
            let given = referrals.addresses(NodeId(7), &[]);
            referrals.failed(NodeId(7));
            given.contains(&address(1))
        });
        assert!(found.is_some_and(|tries| tries <= 3), "{found:?}");
    }

    #[test]
    fn what_a_node_says_of_itself_comes_first() {
        let mut referrals = Referrals::default();
        referrals.add(peer(1), referral(7, 100..108));
        let own: Vec<Address> = (1..=3).map(address).collect();
        assert_eq!(referrals.addresses(NodeId(7), &own)[..3], own);
        assert_eq!(referrals.addresses(NodeId(8), &own), own);
    }

    #[test]
    fn what_failed_is_forgotten() {
        let mut referrals = Referrals::default();
        referrals.add(peer(1), referral(7, [1]));
        referrals.add(peer(2), referral(8, []));
        assert_eq!(referrals.nodes().collect::<Vec<_>>(), [(NodeId(7), true), (NodeId(8), false)]);
        referrals.addresses(NodeId(7), &[]);
        for node in [7, 8, 9] {
            referrals.failed(NodeId(node));
        }
        assert_eq!(referrals.nodes().count(), 0);
        assert!(referrals.crowd.is_empty() && referrals.given.is_empty());
    }
}
