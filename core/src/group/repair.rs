//! Repair: a graph that has fallen apart becomes one again.
//!
//! Contacts see to it, so that few act. A contact remembers who went missing: neighbours whose link died without a
//! goodbye, nodes whose presence or contact record ended without renewal, contacts that see another signature. While
//! anybody is missing it tries one of them after another, at their addresses and through the rendezvous nodes; the
//! longer it lasts the slower, but never slower than [`PACE_MAX`], or [`PACE_LONE_MAX`] for one alone, for as long as a
//! day. Whether anybody is missing or not, it looks now and then at a rendezvous node, where contacts of another part
//! would sit, and at an address of earlier times, ever more rarely while nothing new is learned. So parts that never
//! heard of one another merge too, and parts that miss only who is gone for good.
//!
//! A node that asks to become a neighbour says which signature it sees. Where that is another one, room is made: the link
//! joins two parts. Sync runs over it both ways, what it brings floods on, and the lower signature stands.
use super::known::Known;
use super::{Group, Timer};
use crate::address::Address;
use crate::group::Ctx;
use crate::id::NodeId;
use crate::io::{Event, LinkId};
use crate::limits;
use crate::reach::dial::{Source, Want, Wish};
use crate::sorted::SortedMap;
use crate::time::Time;
use rand_chacha::rand_core::Rng as _;
use std::time::Duration;

/// A contact that misses somebody waits so long, at least and at most, before it acts. Source: reference 2.1.
const FIRST_WAIT: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(30));
/// Time between two tries at first and at last: a twentieth of what the trouble has lasted. Guess: with ten contacts in
/// each part one of them tries at least every half a minute.
const PACE_MIN: Duration = Duration::from_secs(10);
const PACE_MAX: Duration = Duration::from_secs(300);
const PACE_SHARE: u32 = 20;
/// The same as [`PACE_MAX`] where one alone is missing. Guess: it is no part of the graph, and looks for others itself.
const PACE_LONE_MAX: Duration = Duration::from_secs(3_600);
/// Time between two looks where nobody is missing. Guess.
const PATROL_EVERY: Duration = Duration::from_secs(300);
/// When each address of earlier times had its turn at a look, they rest: twice as long after every turn, and at most so
/// long, until something new is learned. Guess: who is at none of them today may be there tomorrow.
const PATROL_REST_MAX: Duration = Duration::from_secs(4 * 3_600);
/// A node that is missing for longer is forgotten. Guess: a node that comes back after a day looks for others itself.
const MISSING_FOR: Duration = Duration::from_secs(86_400);
/// Tries in vain after which the application is asked for an address; and again after four times as many. Guess.
const VAIN_TRIES: u32 = 4;

/// The nodes that are missing, and what is done about it.
#[derive(Default)]
pub(super) struct Repair {
    missing: SortedMap<NodeId, Missing>,
    /// Links that are being opened to them.
    probes: SortedMap<LinkId, NodeId>,
    /// Since when somebody is missing.
    since: Option<Time>,
    vain: u32,
    /// Addresses of earlier times that were dialled since something new was learned, and until when the rest are not.
    patrols: usize,
    patrols_rest: Option<Time>,
}

/// A node that was in the graph.
struct Missing {
    addresses: Vec<Address>,
    /// Where it may be met, where it cannot be dialled.
    rendezvous: Vec<Address>,
    since: Time,
    tries: usize,
}

impl Repair {
    /// Addresses that were tried in vain may be worth another try.
    pub(super) fn learned(&mut self) {
        (self.patrols, self.patrols_rest) = (0, None);
    }

    /// Time between two tries, when it has lasted so long.
    fn pace(&self, lasted: Duration) -> Duration {
        let lone = self.missing.len() == 1;
        (lasted / PACE_SHARE).clamp(PACE_MIN, if lone { PACE_LONE_MAX } else { PACE_MAX })
    }

    /// A node is in our part of the graph, or left it in order.
    pub(super) fn found(&mut self, node: NodeId) {
        self.missing.remove(&node);
    }

    /// A node that is missing is being dialled.
    pub(super) fn probe_begun(&mut self, link: LinkId, node: NodeId) {
        self.probes.insert(link, node);
    }

    /// A link is usable, refused or gone.
    pub(super) fn probed(&mut self, link: LinkId, reached: bool) {
        if let Some(node) = self.probes.remove(&link)
            && reached
        {
            self.found(node);
        }
    }
}

impl Group {
    /// A node was lost without a word.
    pub(super) fn miss(
        &mut self,
        ctx: &mut Ctx<'_>,
        node: NodeId,
        addresses: Vec<Address>,
        rendezvous: Vec<Address>,
    ) {
        if node == ctx.node || self.neighbours().any(|(_, slot)| slot.node == node) {
            return;
        }
        let since = ctx.now.mono;
        let missing = self.repair.missing.entry(node);
        missing.or_insert(Missing { addresses, rendezvous, since, tries: 0 });
        if self.repair.missing.len() > limits::MISSING_MAX {
            let oldest = self.repair.missing.iter().min_by_key(|(_, missing)| missing.since);
            if let Some(node) = oldest.map(|(&node, _)| node) {
                self.repair.found(node);
            }
        }
        self.repair_soon(ctx);
    }

    /// Whether a contact sees another signature than we do.
    fn is_foreign(&self, signature: NodeId) -> bool {
        self.signature.current.is_some_and(|ours| ours != signature)
    }

    /// Somebody may be missing: as a contact we look into it after a while.
    pub(super) fn repair_soon(&mut self, ctx: &mut Ctx<'_>) {
        let now = ctx.now.mono;
        let foreign = self.contacts.values().any(|contact| self.is_foreign(contact.signature));
        let wait = match (self.repair.since, foreign || !self.repair.missing.is_empty()) {
            _ if !self.is_contact() => return,
            (None, true) => Self::between(ctx, FIRST_WAIT.0, FIRST_WAIT.1),
            (None, false) => PATROL_EVERY,
            (Some(since), _) => self.repair.pace(now.since(since)),
        };
        self.timers.set_earlier(Timer::Repair, now.after(wait));
    }

    /// Tries one of those that are missing.
    pub(super) fn repair(&mut self, ctx: &mut Ctx<'_>) {
        if !self.is_contact() {
            return;
        }
        let foreign = self.contacts.values().filter(|contact| self.is_foreign(contact.signature));
        let foreign: Vec<_> = foreign
            .map(|contact| (contact.node, contact.addresses.clone(), contact.rendezvous.clone()))
            .collect();
        for (node, addresses, rendezvous) in foreign {
            self.miss(ctx, node, addresses, rendezvous);
        }
        let now = ctx.now.mono;
        self.repair.missing.retain(|_, missing| now.since(missing.since) < MISSING_FOR);
        // Contacts of other parts sit at the same tables.
        ctx.asks.sit.insert(self.id);
        if self.repair.patrols_rest.is_none_or(|until| until <= now) {
            self.patrol(ctx);
        }
        let wait = if self.repair.missing.is_empty() {
            (self.repair.since, self.repair.vain) = (None, 0);
            PATROL_EVERY
        } else {
            let since = *self.repair.since.get_or_insert(now);
            self.probe(ctx);
            self.repair.pace(now.since(since))
        };
        let wait = Self::jitter(ctx, wait);
        self.timers.set(Timer::Repair, now.after(wait));
    }

    /// Dials whom we tried least.
    fn probe(&mut self, ctx: &mut Ctx<'_>) {
        self.repair.vain = self.repair.vain.saturating_add(1);
        let vain = self.repair.vain;
        // One who crashed is missed too; several at once look like a part of the graph.
        let apart = self.repair.missing.len() > 1;
        if apart && vain >= VAIN_TRIES && vain.is_power_of_two() && vain.ilog2().is_multiple_of(2) {
            let group = self.id;
            self.event(ctx, Event::ConnectionRequired { group });
        }
        let probed: Vec<NodeId> = self.repair.probes.values().copied().collect();
        let missing = self.repair.missing.iter_mut().filter(|(node, _)| !probed.contains(node));
        let mut candidates: Vec<_> = missing
            .filter(|(_, missing)| !(missing.addresses.is_empty() && missing.rendezvous.is_empty()))
            .collect();
        let Some(least) = candidates.iter().map(|(_, missing)| missing.tries).min() else { return };
        candidates.retain(|(_, missing)| missing.tries == least);
        let at = (ctx.rng.next_u64() % candidates.len() as u64) as usize;
        let (&node, missing) = candidates.swap_remove(at);
        missing.tries += 1;
        // Its own addresses first; then where it may be met.
        let ways = [&missing.addresses, &missing.rendezvous];
        let way = if missing.addresses.is_empty() { ways[1] } else { ways[least % 2] };
        let way = if way.is_empty() { ways[0] } else { way };
        let address = way[least / 2 % way.len()].clone();
        let (want, source) = (Want::Missing(self.id, node), Source::Told);
        ctx.asks.wishes.push(Wish { want, source, addresses: vec![address] });
    }

    /// Dials an address of earlier times at which nobody of our part is known to be, nor anybody who had to go.
    pub(super) fn patrol(&mut self, ctx: &mut Ctx<'_>) {
        let of_contacts = self.contacts.values().flat_map(|contact| &contact.addresses);
        let of_present = self.present.values().flat_map(|present| &present.addresses);
        let of_neighbours = self.neighbours().flat_map(|(_, slot)| &slot.addresses);
        let here: Vec<&Address> = of_contacts
            .chain(of_present)
            .chain(of_neighbours)
            .chain(self.exiles.addresses())
            .collect();
        let elsewhere = |known: &&Known| {
            !known
                .addresses
                .iter()
                .any(|address| here.contains(&address) || ctx.dialer.names(address))
        };
        let known: Vec<&Known> = self.known.iter().filter(elsewhere).collect();
        if known.is_empty() {
            return;
        }
        let chosen = known[self.repair.patrols % known.len()];
        let (addresses, source) = (chosen.addresses.clone(), chosen.source());
        self.repair.patrols += 1;
        if self.repair.patrols.is_multiple_of(known.len()) {
            let turns = (self.repair.patrols / known.len()).min(16);
            let rest = PATROL_EVERY.saturating_mul(1 << turns).min(PATROL_REST_MAX);
            self.repair.patrols_rest = Some(ctx.now.mono.after(rest));
        }
        ctx.asks.wishes.push(Wish { want: Want::Patrol(self.id), source, addresses });
    }

    /// The signature by which contacts tell the parts of a graph apart. Nothing if we are none.
    pub(crate) fn seen_as_contact(&self) -> Option<NodeId> {
        self.signature.current.filter(|_| self.is_contact())
    }

    /// Whether a node that asks to become our neighbour is in another part of the graph.
    pub(super) fn is_apart(&self, theirs: Option<NodeId>) -> bool {
        theirs.is_some_and(|theirs| self.is_foreign(theirs))
    }
}
