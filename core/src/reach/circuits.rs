//! Our links that another node relays: who carries each, and what is on its way.
//!
//! ```text
//!   wanted { via, token } ──Relayed──► carried { via, circuit } ──End, or the link to the relay is gone──► over
//! ```
//!
//! The host knows nothing of such a link. Its frames go as messages over the link to the relay, and what is in its transport
//! is what the other end has not taken yet.
use super::relay::Circuit;
use crate::io::LinkId;
use crate::limits::RELAY_TAKEN_BYTES;
use crate::sorted::SortedMap;
use crate::wire::Token;

/// Our ends of circuits.
#[derive(Default)]
pub(crate) struct Circuits {
    wanted: SortedMap<LinkId, Wanted>,
    carried: SortedMap<LinkId, Carried>,
    by_circuit: SortedMap<(LinkId, Circuit), LinkId>,
}

struct Wanted {
    via: LinkId,
    token: Token,
    /// Nothing if the other end is known without one.
    seat: Option<u64>,
}

struct Carried {
    via: LinkId,
    circuit: Circuit,
    seat: Option<u64>,
    /// Bytes sent that the other end has not taken.
    sent: u64,
    /// Bytes that came, of which the other end was not told.
    came: u64,
}

impl Circuits {
    /// Whether no link of ours goes through others.
    pub(crate) fn is_empty(&self) -> bool {
        self.wanted.is_empty() && self.carried.is_empty()
    }

    /// A link is to go by way of the other end of `via`, to who sits at this seat there, if it sits at one.
    pub(crate) fn want(&mut self, link: LinkId, (via, seat): (LinkId, Option<u64>), token: Token) {
        self.wanted.insert(link, Wanted { via, token, seat });
    }

    /// The relay has joined us to whoever showed the token. Answers the link that is open now.
    pub(crate) fn joined(&mut self, via: LinkId, token: Token, circuit: Circuit) -> Option<LinkId> {
        let found = self.wanted.iter().find(|(_, it)| it.via == via && it.token == token);
        let (link, seat) = found.map(|(&link, it)| (link, it.seat))?;
        self.wanted.remove(&link);
        self.carried.insert(link, Carried { via, circuit, seat, sent: 0, came: 0 });
        self.by_circuit.insert((via, circuit), link);
        Some(link)
    }

    /// Whether a link is one of these.
    pub(crate) fn is_ours(&self, link: LinkId) -> bool {
        self.wanted.contains_key(&link) || self.carried.contains_key(&link)
    }

    /// The way of a link that is relayed.
    pub(crate) fn way(&self, link: LinkId) -> Option<(LinkId, Circuit)> {
        self.carried.get(&link).map(|it| (it.via, it.circuit))
    }

    /// The seat to which a relayed link leads.
    pub(crate) fn seat(&self, link: LinkId) -> Option<u64> {
        self.carried.get(&link)?.seat
    }

    /// The link of a circuit.
    pub(crate) fn link(&self, via: LinkId, circuit: Circuit) -> Option<LinkId> {
        self.by_circuit.get(&(via, circuit)).copied()
    }

    /// A frame leaves.
    pub(crate) fn sent(&mut self, link: LinkId, bytes: usize) {
        if let Some(carried) = self.carried.get_mut(&link) {
            carried.sent += bytes as u64;
        }
    }

    /// A frame came. Answers how many bytes the other end is to be told of, once that is worth a message.
    pub(crate) fn came(&mut self, link: LinkId, bytes: usize) -> Option<u64> {
        let carried = self.carried.get_mut(&link)?;
        carried.came += bytes as u64;
        let tell = carried.came >= RELAY_TAKEN_BYTES;
        tell.then(|| std::mem::take(&mut carried.came))
    }

    /// The other end has taken bytes. Answers how many are still on their way.
    pub(crate) fn taken(&mut self, link: LinkId, bytes: u64) -> usize {
        let Some(carried) = self.carried.get_mut(&link) else { return 0 };
        carried.sent = carried.sent.saturating_sub(bytes);
        usize::try_from(carried.sent).unwrap_or(usize::MAX)
    }

    /// Forgets a link. Answers its way, if it was open.
    pub(crate) fn remove(&mut self, link: LinkId) -> Option<(LinkId, Circuit)> {
        self.wanted.remove(&link);
        let Carried { via, circuit, .. } = self.carried.remove(&link)?;
        self.by_circuit.remove(&(via, circuit));
        Some((via, circuit))
    }

    /// The links that go by way of the other end of `via`.
    pub(crate) fn over(&self, via: LinkId) -> Vec<LinkId> {
        let wanted = self.wanted.iter().filter(|(_, it)| it.via == via).map(|(&link, _)| link);
        let carried = self.carried.iter().filter(|(_, it)| it.via == via).map(|(&link, _)| link);
        wanted.chain(carried).collect()
    }

    /// Another link to the same relay takes the place of one.
    pub(crate) fn moved(&mut self, from: LinkId, to: LinkId) {
        for wanted in self.wanted.values_mut().filter(|it| it.via == from) {
            wanted.via = to;
        }
        for (&link, carried) in self.carried.iter_mut().filter(|(_, it)| it.via == from) {
            carried.via = to;
            self.by_circuit.remove(&(from, carried.circuit));
            self.by_circuit.insert((to, carried.circuit), link);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: LinkId = LinkId(1);
    const RELAY: LinkId = LinkId(2);
    const OTHER: LinkId = LinkId(3);
    const TOKEN: Token = Token([5; 16]);

    #[test]
    fn link_opens_at_the_word_of_its_relay_alone() {
        let mut circuits = Circuits::default();
        circuits.want(LINK, (RELAY, Some(3)), TOKEN);
        assert_eq!(circuits.joined(OTHER, TOKEN, 7), None);
        assert_eq!(circuits.joined(RELAY, Token([6; 16]), 7), None);
        assert_eq!(circuits.way(LINK), None);
        assert_eq!(circuits.joined(RELAY, TOKEN, 7), Some(LINK));
        assert_eq!(circuits.joined(RELAY, TOKEN, 8), None, "once");
        assert_eq!((circuits.way(LINK), circuits.link(RELAY, 7)), (Some((RELAY, 7)), Some(LINK)));
        assert_eq!(circuits.link(OTHER, 7), None, "another relay's number");
        assert_eq!((circuits.over(RELAY), circuits.seat(LINK)), (vec![LINK], Some(3)));
        assert_eq!(circuits.remove(LINK), Some((RELAY, 7)));
        assert!(circuits.is_empty() && circuits.link(RELAY, 7).is_none());
    }

    #[test]
    fn credit_is_told_now_and_then_and_never_more_than_was_sent() {
        let mut circuits = Circuits::default();
        circuits.want(LINK, (RELAY, Some(3)), TOKEN);
        circuits.joined(RELAY, TOKEN, 7);
        let part = RELAY_TAKEN_BYTES as usize / 2;
        assert_eq!(circuits.came(LINK, part), None);
        assert_eq!(circuits.came(LINK, part + 1), Some(2 * part as u64 + 1));
        assert_eq!(circuits.came(LINK, 1), None);
        circuits.sent(LINK, 100);
        assert_eq!(circuits.taken(LINK, 40), 60);
        assert_eq!(circuits.taken(LINK, u64::MAX), 0);
    }

    #[test]
    fn another_link_to_the_relay_takes_over() {
        let mut circuits = Circuits::default();
        circuits.want(LINK, (RELAY, Some(3)), TOKEN);
        circuits.joined(RELAY, TOKEN, 7);
        circuits.want(LinkId(9), (RELAY, Some(4)), Token([8; 16]));
        circuits.moved(RELAY, OTHER);
        assert_eq!((circuits.link(RELAY, 7), circuits.link(OTHER, 7)), (None, Some(LINK)));
        assert_eq!(circuits.joined(OTHER, Token([8; 16]), 8), Some(LinkId(9)));
        assert_eq!(circuits.over(OTHER), [LINK, LinkId(9)]);
    }
}
