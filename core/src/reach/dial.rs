//! The dialling plan: one for everything that wants a link.
//!
//! A part of the node that wants a link hands in a [`Wish`]: its purpose ([`Want`]), the addresses
//! that may lead there, and their [`Source`]. Each want is a race (RFC 8305): a new attempt every
//! [`STAGGER`], sooner if the last one failed, never later because one hangs. An address is dialled
//! once however many want it, and all of them are served when it answers. When one attempt of a
//! race wins, the others are ended unless another want needs them.
//!
//! ```text
//!   wish ──► race { left: addresses in order, running: attempts } ──every 250 ms──► Step::Dial
//!                 │ all failed ──► Step::Vain                        │
//!                 └ one won ──► Won { wants served, links to close } ◄── ready
//! ```
//!
//! Bounds: [`RACE_MAX`] attempts of a race at a time, [`CANDIDATES_MAX`] addresses of a race, and a
//! share of attempts for each source, so that addresses told by members cannot crowd out those that
//! the application names. An attempt that hangs is ended after [`ATTEMPT_MAX`], or after
//! [`HANGS_AFTER`] if its place in the race is wanted.
use super::named::{By, Due, Name, Named, TooMany};
use super::order::{Candidate, Past, order};
use super::pace::Pace;
use crate::address::Address;
use crate::id::{GroupId, NodeId, PeerId};
use crate::io::{LinkId, LookupFault, NodeState, PlaceSource};
use crate::node_url::{LookUp, NodeUrl};
use crate::place::{Places, Word, judge};
use crate::sorted::{SortedMap, SortedSet};
use crate::time::{Deadlines, Time};
use std::collections::VecDeque;
use std::time::Duration;

/// Time between two attempts of a race. Source: RFC 8305, section 8, the recommended Connection Attempt Delay.
const STAGGER: Duration = Duration::from_millis(250);
/// The same if the addresses are of different nodes, each of which is of use. Source: as above, the least that is
/// recommended. Measured: 300 nodes that join by several doors take 12 % more CPU with 250 ms, over five seeds.
const STAGGER_OF_NODES: Duration = Duration::from_millis(100);
/// A WebSocket is not begun earlier than this after its race if data channels are under way: if those work they win.
/// Guess: six round trips of 100 ms, which ICE, DTLS and SCTP take.
const SOCKET_AFTER: Duration = Duration::from_millis(600);
/// After a link of a race is usable, and the race goes on since it may not lead to a member, the next attempt waits so
/// long. Guess: a few round trips.
const REST: Duration = Duration::from_secs(1);
/// An attempt is ended after this. Guess: five seconds of ICE checks, and as much for DTLS and the handshake.
const ATTEMPT_MAX: Duration = Duration::from_secs(10);
/// An attempt is ended after this if others wait for its place in the race. Guess: what ICE may take.
const HANGS_AFTER: Duration = Duration::from_secs(5);
/// Attempts of one race at a time. Guess: as many as addresses of one node.
const RACE_MAX: usize = 8;
/// Addresses of one race. Guess: all that a group remembers, twice. Further ones are ignored.
const CANDIDATES_MAX: usize = 64;
/// Races at a time. Guess: a few for each of many groups. A further one is ignored; its group asks again.
const RACES_MAX: usize = 512;

/// The purpose of a link. The order is the one in which wants are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Want {
    /// A node that the application or an invitation named.
    Named(Name),
    /// Any member of a group, which has no neighbour: attempts are begun until it has.
    Any(GroupId),
    /// One node of a group.
    Member(GroupId, NodeId),
    /// Somebody of another part of the graph, at a place of earlier times.
    Patrol(GroupId),
    /// A node that is missing.
    Missing(GroupId, NodeId),
    /// One node, for a direct link.
    Direct(GroupId, NodeId),
}

impl Want {
    /// For which group it is; a named node is for all.
    pub(crate) fn group(self) -> Option<GroupId> {
        match self {
            Self::Named(_) => None,
            Self::Any(group)
            | Self::Member(group, _)
            | Self::Patrol(group)
            | Self::Missing(group, _)
            | Self::Direct(group, _) => Some(group),
        }
    }
}

/// Where addresses come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// The application.
    Named,
    /// An invitation, or the description of a named node.
    Invited,
    /// Members, in earlier times.
    Remembered,
    /// Members, now: presence, referrals, contacts.
    Told,
}

impl From<Source> for PlaceSource {
    fn from(source: Source) -> Self {
        match source {
            Source::Named => Self::Node,
            Source::Invited => Self::Invitation,
            Source::Remembered => Self::Memory,
            Source::Told => Self::Members,
        }
    }
}

impl Source {
    /// Attempts of this source at a time. Guesses; together well under the links that may be half open.
    const fn share(self) -> usize {
        match self {
            Self::Named => 32,
            Self::Invited => 24,
            Self::Remembered | Self::Told => 16,
        }
    }

    /// The word on which an address of this source rests. We are at `there`.
    fn word(self, there: Places) -> Word {
        match self {
            Self::Named => Word::Own,
            Self::Invited => Word::Given,
            Self::Remembered | Self::Told => Word::Told(there),
        }
    }
}

/// A link that is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) want: Want,
    pub(crate) source: Source,
    pub(crate) addresses: Vec<Address>,
}

/// The next action.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Fetch a description.
    LookUp(LookUp),
    /// Dial an address; call [`Dialer::dialled`] with the link.
    Dial(Address, Places),
    /// End an attempt that hangs; call [`Dialer::lost`].
    End(LinkId),
    /// An attempt that is under way is for this want too.
    Share(Want, LinkId),
    /// A link that is there serves a want.
    Serve(Want, LinkId),
    /// No address of a want answers.
    Vain(Want),
}

/// A usable link and what follows from it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Won {
    /// The wants that the link serves.
    pub(crate) wants: Vec<Want>,
    /// Attempts that nothing wants any longer.
    pub(crate) losers: Vec<LinkId>,
    /// The address that led to it.
    pub(crate) address: Option<Address>,
}

/// The machine.
#[derive(Default)]
pub(crate) struct Dialer {
    named: Named,
    races: SortedMap<Want, Race>,
    due: Deadlines<Want>,
    attempts: SortedMap<LinkId, Attempt>,
    ends: Deadlines<LinkId>,
    /// Links that lead to an address: attempts, and usable ones.
    links: SortedMap<Address, LinkId>,
    /// Addresses that lead to usable links.
    led: SortedMap<LinkId, Led>,
    pace: Pace,
    steps: VecDeque<Step>,
    /// States of named nodes that the application was told.
    told: SortedMap<Name, NodeState>,
}

struct Race {
    begun: Time,
    left: VecDeque<Candidate>,
    running: SortedSet<LinkId>,
}

struct Attempt {
    address: Address,
    source: Source,
    begun: Time,
    wants: SortedSet<Want>,
}

/// A usable link.
struct Led {
    node: NodeId,
    peer: PeerId,
    /// The addresses that led to it.
    addresses: SortedSet<Address>,
}

impl Dialer {
    pub(crate) fn new(seed: u64) -> Self {
        Self { named: Named::new(seed), ..Self::default() }
    }

    // --- named nodes ---------------------------------------------------------------------------------

    /// Keeps a link to a node from here on, or hurries with one that is named already.
    pub(crate) fn name(&mut self, now: Time, url: NodeUrl, by: By) -> Result<(), TooMany> {
        if let Some(gone) = self.named.add(now, url, by)? {
            self.told.remove(&gone);
            let ended = self.end_race(Want::Named(gone));
            self.steps.extend(ended.into_iter().map(Step::End));
        }
        Ok(())
    }

    /// Forgets the nodes that only groups named, and that none of them needs any longer. Answers their URLs.
    pub(crate) fn forget(&mut self, needed: impl Fn(&NodeUrl) -> bool) -> Vec<NodeUrl> {
        let mut urls = Vec::new();
        for (name, url) in self.named.forget(needed) {
            self.told.remove(&name);
            let ended = self.end_race(Want::Named(name));
            self.steps.extend(ended.into_iter().map(Step::End));
            urls.push(url);
        }
        urls
    }

    /// A join goes on: named nodes that wait for their next try have it now.
    pub(crate) fn again(&mut self, now: Time) {
        self.named.again(now);
    }

    /// The network is another one: what is being dialled is dialled anew, and what rests has its turn. Answers the attempts
    /// that are to be ended.
    pub(crate) fn paths_changed(&mut self, now: Time, own: &[Address]) -> Vec<LinkId> {
        self.pace.forgive();
        let links: Vec<LinkId> = self.attempts.keys().copied().collect();
        for &link in &links {
            let Some(attempt) = self.attempts.get_mut(&link) else { continue };
            let wants = std::mem::take(&mut attempt.wants);
            let (address, source) = (attempt.address.clone(), attempt.source);
            for want in wants {
                if let Some(race) = self.races.get_mut(&want) {
                    race.running.remove(&link);
                }
                self.race(now, want, vec![(source, address.clone())], own);
            }
        }
        self.named.paths_changed(now);
        links
    }

    /// Somebody waits: named nodes that are not reached are tried at once.
    pub(crate) fn hurry(&mut self, now: Time) {
        self.named.hurry(now);
    }

    /// A description was fetched, or not.
    pub(crate) fn looked_up(
        &mut self,
        now: Time,
        url: &str,
        found: Result<Vec<String>, LookupFault>,
    ) {
        if let Some(Due::Dial(name, addresses)) = self.named.looked_up(now, url, found) {
            self.race_named(now, name, addresses, &[]);
        }
    }

    fn race_named(&mut self, now: Time, name: Name, addresses: Vec<Address>, own: &[Address]) {
        let source = |address: &Address| match self.named.word_of(name, address) {
            Word::Own => Source::Named,
            Word::Given | Word::Told(_) => Source::Invited,
        };
        let addresses = addresses.into_iter().map(|address| (source(&address), address)).collect();
        self.race(now, Want::Named(name), addresses, own);
    }

    /// Addresses of all named nodes.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.named.addresses()
    }

    /// The addresses that led to usable links, those to named nodes first.
    pub(crate) fn reached(&self) -> impl Iterator<Item = &Address> {
        let of = |named: bool| {
            let led = self.led.iter().filter(move |(link, _)| self.is_named(**link) == named);
            led.flat_map(|(_, led)| &led.addresses)
        };
        of(true).chain(of(false))
    }

    /// Whether an address is one of a named node.
    pub(crate) fn names(&self, address: &Address) -> bool {
        self.addresses().any(|named| named == address)
    }

    /// The addresses of all named nodes, each with the party on whose word we have it.
    pub(crate) fn addresses_named(&self) -> impl Iterator<Item = (&Address, Word)> {
        self.named.addresses_with_words()
    }

    /// The named nodes, each with the party that named it and how far it is; the oldest first.
    pub(crate) fn states(&self) -> impl Iterator<Item = (&NodeUrl, By, &NodeState)> {
        self.named.states().map(|(_, url, by, state)| (url, by, state))
    }

    /// States that the application was not told yet.
    pub(crate) fn news(&mut self) -> Vec<(NodeUrl, NodeState)> {
        let mut news = Vec::new();
        for (name, url, _, state) in self.named.states() {
            if self.told.get(&name) != Some(state) {
                self.told.insert(name, state.clone());
                news.push((url.clone(), state.clone()));
            }
        }
        news
    }

    /// The address at which a link was dialled.
    pub(crate) fn address_of(&self, link: LinkId) -> Option<&Address> {
        let attempt = self.attempts.get(&link).map(|attempt| &attempt.address);
        attempt.or_else(|| self.led.get(&link)?.addresses.first())
    }

    /// Where the address at which a link is being dialled comes from.
    pub(crate) fn source_of(&self, link: LinkId) -> Option<Source> {
        self.attempts.get(&link).map(|attempt| attempt.source)
    }

    /// Whether a link leads to a named node.
    pub(crate) fn is_named(&self, link: LinkId) -> bool {
        self.named.is_linked(link)
    }

    /// The links to named nodes.
    pub(crate) fn named_links(&self) -> Vec<LinkId> {
        self.named.links().collect()
    }

    // --- wishes --------------------------------------------------------------------------------------

    /// Takes a wish, or adds its addresses to the race that is under way. `own` are our addresses.
    pub(crate) fn wish(&mut self, now: Time, wish: Wish, own: &[Address]) {
        let Wish { want, source, addresses } = wish;
        let addresses = addresses.into_iter().map(|address| (source, address)).collect();
        self.race(now, want, addresses, own);
    }

    fn race(&mut self, now: Time, want: Want, addresses: Vec<(Source, Address)>, own: &[Address]) {
        let candidates = self.candidates(addresses, own);
        let leads = |it: &Candidate| {
            self.links.get(&it.address).copied().filter(|link| self.led.contains_key(link))
        };
        let link = candidates.iter().find_map(leads);
        let candidates: Vec<Candidate> =
            candidates.into_iter().filter(|it| leads(it).is_none()).collect();
        if let Some(link) = link {
            let losers = self.serve(now, want, link);
            self.steps.push_back(Step::Serve(want, link));
            self.steps.extend(losers.into_iter().map(Step::End));
            if !matches!(want, Want::Any(_)) {
                return;
            }
        }
        if !self.races.contains_key(&want) && self.races.len() >= RACES_MAX {
            self.steps.push_back(Step::Vain(want));
            return;
        }
        let race = self.races.entry(want).or_insert_with(|| {
            let (left, running) = (VecDeque::new(), SortedSet::new());
            Race { begun: now, left, running }
        });
        let running: Vec<&Address> = race
            .running
            .iter()
            .filter_map(|link| self.attempts.get(link).map(|attempt| &attempt.address))
            .collect();
        for candidate in candidates {
            let known = race.left.iter().any(|it| it.address == candidate.address)
                || running.contains(&&candidate.address);
            if !known && race.left.len() < CANDIDATES_MAX {
                race.left.push_back(candidate);
            }
        }
        race.left = order(std::mem::take(&mut race.left), |address| self.pace.past(address));
        self.due.set_earlier(want, now);
    }

    /// The addresses that the law of places allows. The pace of dials is checked later, when an
    /// address has its turn: a link that is there already serves all the same.
    fn candidates(&self, addresses: Vec<(Source, Address)>, own: &[Address]) -> Vec<Candidate> {
        let there = Places::of(own).and(self.named.places());
        let candidate = |(source, address): (Source, Address)| {
            let places = judge(&address, source.word(there))?;
            (!own.contains(&address)).then_some(Candidate { address, places, source })
        };
        addresses.into_iter().filter_map(candidate).collect()
    }

    /// Whether a want has a race under way.
    pub(crate) fn is_racing(&self, want: Want) -> bool {
        self.races.contains_key(&want)
    }

    /// Begins no further attempts of a race. Those under way may still arrive: a group that has
    /// one neighbour has use for a few, and members at several places keep its graph from falling
    /// apart.
    pub(crate) fn stop(&mut self, now: Time, want: Want) {
        if let Some(race) = self.races.get_mut(&want) {
            race.left.clear();
            self.due.set(want, now);
        }
    }

    /// Nothing wants this any longer. Answers the attempts that are to be ended.
    pub(crate) fn end_race(&mut self, want: Want) -> Vec<LinkId> {
        let Some(race) = self.races.remove(&want) else { return Vec::new() };
        self.due.clear(want);
        let mut losers = Vec::new();
        for link in race.running {
            let Some(attempt) = self.attempts.get_mut(&link) else { continue };
            attempt.wants.remove(&want);
            if attempt.wants.is_empty() {
                losers.push(link);
            }
        }
        losers
    }

    /// Ends all races of a group.
    pub(crate) fn leave(&mut self, group: GroupId) -> Vec<LinkId> {
        let wants: Vec<Want> =
            self.races.keys().copied().filter(|want| want.group() == Some(group)).collect();
        wants.into_iter().flat_map(|want| self.end_race(want)).collect()
    }

    // --- what to do ----------------------------------------------------------------------------------

    /// When to call [`Dialer::next`].
    pub(crate) fn deadline(&self) -> Option<Time> {
        let race = self.due.next().map(|(at, _)| at);
        let end = self.ends.next().map(|(at, _)| at);
        let now = (!self.steps.is_empty()).then_some(Time::ZERO);
        race.into_iter().chain(end).chain(self.named.deadline()).chain(now).min()
    }

    /// The next thing to do. Call until there is none.
    pub(crate) fn next(&mut self, now: Time, own: &[Address]) -> Option<Step> {
        loop {
            if let Some(step) = self.steps.pop_front() {
                return Some(step);
            }
            if let Some(link) = self.ends.pop_due(now) {
                return Some(Step::End(link));
            }
            match self.named.next(now) {
                Some(Due::LookUp(look_up)) => return Some(Step::LookUp(look_up)),
                Some(Due::Dial(name, addresses)) => self.race_named(now, name, addresses, own),
                None => {}
            }
            let want = self.due.pop_due(now)?;
            if let Some(step) = self.go_on(now, want) {
                return Some(step);
            }
        }
    }

    /// The next step of a race.
    fn go_on(&mut self, now: Time, want: Want) -> Option<Step> {
        let race = self.races.get_mut(&want)?;
        let Some(first) = race.left.front() else {
            if !race.running.is_empty() {
                return None;
            }
            self.end_race(want);
            if let Want::Named(name) = want {
                self.named.in_vain(now, name);
            }
            return Some(Step::Vain(want));
        };
        // Somebody else dials it already.
        if let Some(&link) = self.links.get(&first.address)
            && let Some(attempt) = self.attempts.get_mut(&link)
        {
            attempt.wants.insert(want);
            race.running.insert(link);
            race.left.pop_front();
            self.due.set(want, now);
            return Some(Step::Share(want, link));
        }
        if !self.pace.may_dial(now, &first.address, first.source) {
            race.left.pop_front();
            self.due.set(want, now);
            return None;
        }
        if race.running.len() >= RACE_MAX {
            return self.make_room(now, want);
        }
        let (socket, source) = (matches!(first.address, Address::WebSocket { .. }), first.source);
        let socket_at = race.begun.after(SOCKET_AFTER);
        if socket && now < socket_at && self.has_channels(want) {
            self.due.set(want, socket_at);
            return None;
        }
        let under_way = self.attempts.values().filter(|attempt| attempt.source == source).count();
        if under_way >= source.share() {
            self.due.set(want, now.after(STAGGER));
            return None;
        }
        let address = self.races.get(&want)?.left.front()?.address.clone();
        let stagger = if matches!(want, Want::Any(_)) { STAGGER_OF_NODES } else { STAGGER };
        self.due.set(want, now.after(stagger));
        let all = self.races.values().flat_map(|race| &race.left);
        let all = all.filter(|it| it.address == address).map(|it| it.places);
        let places = all.fold(Places::PUBLIC, Places::and);
        Some(Step::Dial(address, places))
    }

    /// Whether a race has data channels under way.
    fn has_channels(&self, want: Want) -> bool {
        let channel = |link: &LinkId| {
            let attempt = self.attempts.get(link);
            attempt.is_some_and(|attempt| matches!(attempt.address, Address::Rtc { .. }))
        };
        self.races.get(&want).is_some_and(|race| race.running.iter().any(channel))
    }

    /// A race has as many attempts as it may: the oldest ends once it hangs.
    fn make_room(&mut self, now: Time, want: Want) -> Option<Step> {
        let race = self.races.get(&want)?;
        let begun = |link: &LinkId| self.attempts.get(link).map(|attempt| attempt.begun);
        let (oldest, begun) = race
            .running
            .iter()
            .filter_map(|link| Some((*link, begun(link)?)))
            .min_by_key(|it| it.1)?;
        if now.since(begun) < HANGS_AFTER {
            self.due.set(want, begun.after(HANGS_AFTER));
            return None;
        }
        Some(Step::End(oldest))
    }

    /// The first group for which an address is to be dialled; nobody's if a named node is there.
    pub(crate) fn wanted_for(&self, address: &Address) -> Option<GroupId> {
        let waits = |race: &Race| race.left.iter().any(|it| it.address == *address);
        let wants = self.races.iter().filter(|(_, race)| waits(race));
        wants.map(|(want, _)| want.group()).next().flatten()
    }

    /// An address is being dialled. Answers all that want it.
    pub(crate) fn dialled(&mut self, now: Time, address: &Address, link: LinkId) -> Vec<Want> {
        let mut wants = SortedSet::new();
        let mut source = Source::Told;
        for (&want, race) in &mut self.races {
            if let Some(at) = race.left.iter().position(|it| it.address == *address) {
                source = race.left.remove(at).map_or(source, |it| source.min(it.source));
                race.running.insert(link);
                wants.insert(want);
            }
        }
        self.pace.dialled(now, address);
        self.links.insert(address.clone(), link);
        self.ends.set(link, now.after(ATTEMPT_MAX));
        let all = wants.iter().copied().collect();
        let address = address.clone();
        self.attempts.insert(link, Attempt { address, source, begun: now, wants });
        all
    }

    // --- what became of it ---------------------------------------------------------------------------

    /// The handshake of a link is complete, and shows who is there.
    pub(crate) fn ready(&mut self, now: Time, link: LinkId, node: NodeId, peer: PeerId) -> Won {
        let Some(attempt) = self.attempts.remove(&link) else { return Won::default() };
        self.ends.clear(link);
        self.pace.note(now, &attempt.address, Past::Good);
        self.pace.spared(&attempt.address);
        let addresses = SortedSet::from([attempt.address.clone()]);
        self.led.insert(link, Led { node, peer, addresses });
        let wants: Vec<Want> = attempt.wants.into_iter().collect();
        let losers = wants.iter().flat_map(|&want| self.serve(now, want, link)).collect();
        Won { wants, losers, address: Some(attempt.address) }
    }

    /// A usable link is what a want waits for. Answers the attempts that are to be ended.
    fn serve(&mut self, now: Time, want: Want, link: LinkId) -> Vec<LinkId> {
        match want {
            Want::Any(_) => {
                // Whether a member is there shows only later.
                if let Some(race) = self.races.get_mut(&want) {
                    race.running.remove(&link);
                    self.due.set(want, now.after(REST));
                }
                Vec::new()
            }
            Want::Named(name) => {
                if let Some(led) = self.led.get(&link) {
                    self.named.linked(now, name, link, led.node, led.peer);
                }
                self.end_race(want)
            }
            Want::Member(..) | Want::Direct(..) => self.end_race(want),
            Want::Patrol(_) | Want::Missing(..) => self.end_race(want),
        }
    }

    /// A link is gone, or did not come to be. Answers the address that it was dialled at, and whether that failed.
    pub(crate) fn lost(&mut self, now: Time, link: LinkId) -> Option<Address> {
        self.doubted(now, link);
        let attempt = self.attempts.remove(&link)?;
        self.ends.clear(link);
        self.links.remove(&attempt.address);
        // One that nothing wanted any longer did not fail.
        if attempt.wants.is_empty() {
            self.pace.spared(&attempt.address);
            return None;
        }
        self.pace.note(now, &attempt.address, Past::Bad);
        for want in attempt.wants {
            if let Some(race) = self.races.get_mut(&want) {
                race.running.remove(&link);
                self.due.set(want, now);
            }
        }
        Some(attempt.address)
    }

    /// A link does not answer: what it is for is dialled beside it, as if it were gone.
    pub(crate) fn doubted(&mut self, now: Time, link: LinkId) {
        self.named.lost(now, link);
        if let Some(led) = self.led.remove(&link) {
            for address in led.addresses {
                self.links.remove(&address);
            }
        }
    }

    /// Another link to the same node takes the place of one.
    pub(crate) fn moved(&mut self, from: LinkId, to: LinkId) {
        self.named.moved(from, to);
        let Some(led) = self.led.remove(&from) else { return };
        for address in &led.addresses {
            self.links.insert(address.clone(), to);
        }
        let (node, peer) = (led.node, led.peer);
        let none = || Led { node, peer, addresses: SortedSet::new() };
        self.led.entry(to).or_insert_with(none).addresses.extend(led.addresses);
    }
}

#[cfg(test)]
mod tests;
