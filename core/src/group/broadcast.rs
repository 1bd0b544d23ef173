//! Broadcasts: messages of an application that reach all members who are here, and that nobody stores.
//!
//! ```text
//!        ┌──► b ──► d          a sends to all its neighbours, and each passes on to all others: once. A copy is answered
//!   a ───┤    ×     │          by a wish not to be sent more of that node's, so that a tree is left for each sender.
//!        └──► c ──► d ✂        After PRUNED_FOR, and if a branch is lost, copies find the next tree.
//! ```
//!
//! 1. A broadcast is signed under a membership that stands, whose role may publish records of its type, for one group. A
//!    node passes on what it has verified; so a wrong signature is the fault of who brought it.
//! 2. The nodes count their broadcasts. Each number is heard once, in any order within [`WINDOW`] of the latest. One that
//!    is older than [`limits::BROADCAST_LIVES`] is not heard, and a node is remembered for longer than that.
//! 3. A broadcast comes at most once, and may get lost: with a link, a slow neighbour, or over a budget. Nothing is repeated.
//! 4. A member has a budget at each hop, whoever brings what it sent, and a neighbour has one for all that it brings.
use super::{Ctx, Group};
use crate::budget::Accounts;
use crate::error::{Error, Misbehaved};
use crate::id::{NodeId, PeerId};
use crate::identity::Domain;
use crate::io::{Event, LinkId};
use crate::limits;
use crate::link::Links;
use crate::policy::Act;
use crate::record::RecordType;
use crate::share::{Rank, Shares};
use crate::sorted::SortedMap;
use crate::time::Time;
use crate::wire::{self, Broadcast, Carried, Wish, Wishes};
use bytes::Bytes;
use std::time::Duration;

/// How far behind the latest number of its node a broadcast may come. Source: the bits of a word.
const WINDOW: u64 = 64;
/// How long a neighbour keeps a wish not to be sent a node's broadcasts. Guess: copies for a moment, twice a minute.
const PRUNED_FOR: Duration = Duration::from_secs(30);
/// A wish is repeated if copies still come after this. Guess: it gets there before that.
const WISHED_FOR: Duration = Duration::from_secs(25);
/// How long a node is remembered after its last broadcast. Source: one that was sent as far ahead of our time as it may be
/// can come again until then.
const REMEMBERED_FOR: Duration = limits::BROADCAST_LIVES.saturating_mul(2);
/// Wishes of neighbours that are kept, per graph. Guess: 600 KB. Beyond it copies are sent.
const WISHES_MAX: usize = 16_384;

/// Between two looks for what can be forgotten, however often there is no room. Guess: a moment.
const SWEPT_EVERY: Duration = Duration::from_secs(1);

/// The broadcasts that pass through this node.
pub(super) struct Broadcasts {
    /// The number of our last one.
    last: u64,
    heard: SortedMap<NodeId, Heard>,
    /// How many nodes of each member are remembered.
    nodes: Shares<PeerId>,
    /// The neighbours that do not want the broadcasts of a node, and until when.
    unwanted: SortedMap<(LinkId, NodeId), Time>,
    members: Accounts,
    bringers: Accounts,
    swept: Option<Time>,
}

/// The broadcasts of one node.
struct Heard {
    peer: PeerId,
    highest: u64,
    /// Which of the numbers up to that have come: the lowest bit is the highest number.
    came: u64,
    until: Time,
    /// The neighbour by which they come.
    parent: Option<LinkId>,
    /// The neighbours that were told not to send them, and when.
    declined: Vec<(LinkId, Time)>,
}

impl Default for Broadcasts {
    fn default() -> Self {
        Self {
            last: 0,
            heard: SortedMap::new(),
            nodes: Shares::new(limits::BROADCASTERS),
            unwanted: SortedMap::new(),
            members: Accounts::new(limits::BROADCASTS_PER_SECOND.each()),
            bringers: Accounts::new(limits::BROADCASTS_PER_SECOND.all()),
            swept: None,
        }
    }
}

/// The units that a broadcast costs its sender, and who brings it.
fn units(bytes: usize) -> u64 {
    1 + bytes as u64 / 1024
}

impl Heard {
    fn is_news(&self, number: u64) -> bool {
        match self.highest.checked_sub(number) {
            None => true,
            Some(behind) => behind < WINDOW && self.came & (1 << behind) == 0,
        }
    }

    fn note(&mut self, number: u64) {
        let ahead = number.saturating_sub(self.highest);
        if ahead > 0 {
            self.came = if ahead < WINDOW { self.came << ahead } else { 0 };
            self.highest = number;
        }
        self.came |= 1 << (self.highest - number);
    }

    fn has_declined(&self, link: LinkId) -> bool {
        self.declined.iter().any(|(it, _)| *it == link)
    }

    /// A copy came. Whether its sender is told that it need not have been sent: the neighbour by which the rest comes goes on.
    fn declines(&mut self, link: LinkId, now: Time) -> bool {
        if self.parent.is_none() && !self.has_declined(link) {
            self.parent = Some(link);
        }
        if self.parent == Some(link) {
            return false;
        }
        match self.declined.iter_mut().find(|(it, _)| *it == link) {
            Some((_, at)) if now.since(*at) < WISHED_FOR => return false,
            Some((_, at)) => *at = now,
            None => self.declined.push((link, now)),
        }
        true
    }
}

impl Broadcasts {
    /// Whether a number of a node was not heard yet.
    fn is_news(&self, node: NodeId, number: u64) -> bool {
        number > 0 && self.heard.get(&node).is_none_or(|heard| heard.is_news(number))
    }

    /// Whether there is room for one of a member's node that this neighbour brings. Nothing is billed: it may be forged.
    fn has_room(&mut self, now: Time, (peer, node): (PeerId, NodeId), bringer: &PeerId) -> bool {
        if !self.heard.contains_key(&node) && self.nodes.fits(&peer, 1, Rank::Junior).is_err() {
            self.forget_old(now);
        }
        (self.heard.contains_key(&node) || self.nodes.fits(&peer, 1, Rank::Junior).is_ok())
            && self.members.over(now, &peer, limits::BROADCASTS.each() - 1) == 0
            && self.bringers.over(now, bringer, limits::BROADCASTS.all() - 1) == 0
    }

    /// A genuine one came for the first time.
    fn came(&mut self, now: Time, (peer, node): (PeerId, NodeId), number: u64, from: LinkId) {
        if !self.heard.contains_key(&node) {
            self.nodes.book(&peer, 1);
            let (until, declined) = (now, Vec::new());
            let new = Heard { peer, highest: number, came: 0, until, parent: None, declined };
            self.heard.insert(node, new);
        }
        if let Some(heard) = self.heard.get_mut(&node) {
            heard.note(number);
            heard.until = now.after(REMEMBERED_FOR);
            if !heard.has_declined(from) {
                heard.parent = Some(from);
            }
        }
    }

    fn bill(&mut self, now: Time, peer: PeerId, bringer: PeerId, bytes: usize) {
        self.members.add(now, peer, units(bytes));
        self.bringers.add(now, bringer, units(bytes));
    }

    /// Forgets the nodes of which nothing that comes can be heard, and the wishes that have ended.
    fn forget_old(&mut self, now: Time) {
        if self.swept.is_some_and(|swept| now.since(swept) < SWEPT_EVERY) {
            return;
        }
        self.swept = Some(now);
        let Self { heard, nodes, .. } = self;
        heard.retain(|_, it| {
            let stays = it.until > now;
            if !stays {
                nodes.give_back(&it.peer, 1);
            }
            stays
        });
        self.unwanted.retain(|_, until| *until > now);
    }

    /// Whether a neighbour wants the broadcasts of a node.
    fn wants(&self, now: Time, link: LinkId, node: NodeId) -> bool {
        self.unwanted.get(&(link, node)).is_none_or(|until| *until <= now)
    }

    fn wish(&mut self, now: Time, link: LinkId, node: NodeId, wanted: bool) {
        if wanted {
            self.unwanted.remove(&(link, node));
            return;
        }
        if self.unwanted.len() >= WISHES_MAX {
            self.forget_old(now);
        }
        if self.unwanted.len() < WISHES_MAX {
            self.unwanted.insert((link, node), now.after(PRUNED_FOR));
        }
    }

    /// A neighbour is lost. Returns the nodes whose broadcasts came by it: they have to come by another way.
    fn lost(&mut self, link: LinkId) -> Vec<NodeId> {
        self.unwanted.retain(|(it, _), _| *it != link);
        let mut orphaned = Vec::new();
        for (&node, heard) in &mut self.heard {
            heard.declined.retain(|(it, _)| *it != link);
            if heard.parent == Some(link) {
                heard.parent = None;
                heard.declined.clear();
                orphaned.push(node);
            }
        }
        orphaned
    }
}

impl Group {
    /// Sends a message of the application to all members who are here.
    pub(super) fn broadcast(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        kind: &RecordType,
        payload: &[u8],
        media_type: Option<String>,
    ) -> Result<(), Error> {
        let chain = self.valid_chain(ctx)?.clone();
        if kind.is_reserved() || !chain.policy().allows(chain.grant(), kind, Act::Publish) {
            return Err(Error::NotAllowed);
        }
        let form = media_type.as_ref().map_or(0, String::len);
        if payload.len() > limits::BROADCAST_BYTES_MAX || form > limits::MEDIA_TYPE_MAX {
            return Err(Error::BroadcastTooLong);
        }
        let (now, me) = (ctx.now.mono, ctx.identity.peer_id());
        if self.broadcasts.members.over(now, &me, limits::BROADCASTS.each() - 1) > 0 {
            return Err(Error::Busy);
        }
        // Nobody believes a member that it does not know.
        self.publish_membership_once(ctx)?;
        self.broadcasts.last += 1;
        let said = Broadcast {
            nonce: ctx.nonce,
            number: self.broadcasts.last,
            sent: self.peer_time(ctx.now.wall).0,
            certificate: chain.id(),
            kind: kind.as_str().to_owned(),
            payload: payload.to_vec(),
            media_type,
        };
        let provider = &ctx.config.provider;
        let sign = |message: &[u8]| provider.sign(ctx.identity, Domain::Broadcast, message);
        let carried = said.signed(self.id, sign);
        self.broadcasts.members.add(now, me, units(carried.len()));
        self.pass_on(ctx, links, ctx.node, &carried, None);
        Ok(())
    }

    pub(super) fn on_broadcast(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        let carried = wire::decode_broadcast(body)?;
        let said = carried.read()?;
        let Some(bringer) = self.slots.get(&link).map(|slot| slot.peer) else { return Ok(()) };
        // Of a member that we do not know, or not yet, nothing can be verified.
        let Some(chain) = self.roll.chain(said.certificate) else { return Ok(()) };
        let (now, peer) = (ctx.now.mono, chain.peer());
        let node = NodeId::of(peer, said.nonce);
        if node == ctx.node {
            return Ok(());
        }
        if !self.broadcasts.is_news(node, said.number) {
            self.decline_broadcasts(now, link, node);
            return Ok(());
        }
        let Some(kind) = self.hearable(ctx, &said) else { return Ok(()) };
        if !self.broadcasts.has_room(now, (peer, node), &bringer) {
            return Ok(());
        }
        if (ctx.checks.verify_all)(&[carried.claim(chain)]).is_err() {
            return Err(Misbehaved::Broadcast);
        }
        self.broadcasts.bill(now, peer, bringer, carried.len());
        self.broadcasts.came(now, (peer, node), said.number, link);
        self.pass_on(ctx, links, node, &carried, Some(link));
        let Broadcast { payload, media_type, .. } = said;
        let (group, payload) = (self.id, Bytes::from(payload));
        self.event(ctx, Event::Broadcast { group, peer, node, kind, payload, media_type });
        Ok(())
    }

    /// The type of a broadcast that is of our time, by a member who may send it.
    fn hearable(&self, ctx: &Ctx<'_>, said: &Broadcast) -> Option<RecordType> {
        let now = self.peer_time(ctx.now.wall);
        let lives = limits::BROADCAST_LIVES;
        let timely = (now.before(lives).0..=now.after(lives).0).contains(&said.sent);
        let kind = RecordType::new(&said.kind).ok().filter(|kind| !kind.is_reserved())?;
        let chain = self.roll.chain(said.certificate)?;
        let stands = self.roll.standing(chain, self.clock(ctx.now.wall)).is_member();
        let may = chain.policy().allows(chain.grant(), &kind, Act::Publish);
        (timely && stands && may).then_some(kind)
    }

    /// Sends a broadcast to all neighbours but the one that brought it, and those that want it not, or are behind.
    fn pass_on(
        &self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        node: NodeId,
        carried: &Carried,
        from: Option<LinkId>,
    ) {
        for (link, slot) in self.neighbours().filter(|(link, _)| Some(*link) != from) {
            let keeps_up = links.backlog(link) <= limits::BROADCAST_BACKLOG_BYTES_MAX;
            if keeps_up && self.broadcasts.wants(ctx.now.mono, link, node) {
                links.send(ctx.now, link, &wire::broadcast(slot.number, carried), ctx.out);
            }
        }
    }

    /// A copy came.
    fn decline_broadcasts(&mut self, now: Time, link: LinkId, node: NodeId) {
        let heard = self.broadcasts.heard.get_mut(&node);
        if heard.is_some_and(|heard| heard.declines(link, now)) {
            self.wish_broadcasts(link, node, false);
        }
    }

    /// Queues a wish for a neighbour.
    fn wish_broadcasts(&mut self, link: LinkId, node: NodeId, wanted: bool) {
        self.outgoing.entry(link).or_default().wishes.push((node, wanted));
    }

    pub(super) fn on_broadcast_wishes(
        &mut self,
        ctx: &Ctx<'_>,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        let Wishes { of } = wire::decode(body)?;
        if of.len() > limits::PAGE_MAX {
            return Err(Misbehaved::TooMuch);
        }
        for Wish { node, wanted } in of {
            self.broadcasts.wish(ctx.now.mono, link, node, wanted);
        }
        Ok(())
    }

    /// A neighbour is lost: what came by it is wanted of all others again.
    pub(super) fn mend_broadcasts(&mut self, link: LinkId) {
        let others: Vec<LinkId> = self.neighbours().map(|(it, _)| it).collect();
        for node in self.broadcasts.lost(link) {
            for &other in &others {
                self.wish_broadcasts(other, node, true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::testing::{peer, second};
    use crate::sorted::SortedSet;

    const FROM: LinkId = LinkId(1);

    fn node(n: u64) -> NodeId {
        NodeId(n)
    }

    /// Goal: each number is heard once, and none that came is heard again, whatever the order. Method: 20,000 numbers near the
    /// latest one, and leaps, beside a set.
    #[test]
    fn each_number_is_heard_once_in_any_order() {
        let mut all = Broadcasts::default();
        let (mut known, mut highest, mut random) = (SortedSet::new(), 0_u64, 7_u64);
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let leap = if random >> 60 == 0 { 500 } else { 0 };
            let number = (highest + leap + (random >> 33) % 8).saturating_sub((random >> 40) % 90);
            let recent = number > 0 && (number > highest || highest - number < WINDOW);
            let news = recent && known.insert(number);
            assert_eq!(all.is_news(node(1), number), news, "{number} after {highest}");
            if news {
                all.came(Time::ZERO, (peer(1), node(1)), number, FROM);
                highest = highest.max(number);
            }
        }
        assert!(!all.is_news(node(2), 0), "numbers begin with 1");
        all.came(Time::ZERO, (peer(1), node(2)), u64::MAX, FROM);
        assert!(!all.is_news(node(2), u64::MAX) && all.is_news(node(2), u64::MAX - 1));
    }

    /// Goal: a member at its maximum leaves every other its part, at a node to which all comes by one honest neighbour. Method:
    /// it sends for a minute by as many nodes as it likes; then three others send their share.
    #[test]
    fn one_member_at_its_maximum_leaves_every_other_its_part() {
        let mut all = Broadcasts::default();
        let mut send = |now: Time, from: u64, nth: u64, nodes: u64| {
            let of = (peer(from), node(from * 1_000_000 + nth % nodes));
            let room = all.has_room(now, of, &peer(0));
            if room {
                all.bill(now, peer(from), peer(0), 100);
                all.came(now, of, nth + 1, FROM);
            }
            room
        };
        for time in 0..60 {
            let heard = (0..2_000).filter(|nth| send(second(time), 1, time * 2_000 + nth, 500));
            assert!(heard.count() as u64 <= limits::BROADCASTS.each());
        }
        for honest in 2..5 {
            let heard =
                (0..limits::BROADCASTS.each()).filter(|nth| send(second(60), honest, *nth, 2));
            assert_eq!(heard.count() as u64, limits::BROADCASTS.each(), "{honest}");
        }
        assert!(all.heard.len() as u64 <= 3 * 2 + limits::BROADCASTERS.each());
        // Its further nodes found no room, and all were looked through for that once a second.
        assert_eq!(all.swept, Some(second(59)));
        all.forget_old(second(60).after(REMEMBERED_FOR));
        assert_eq!((all.heard.len(), all.bringers.len() <= 1), (0, true));
    }

    /// Goal: of two neighbours whose messages overtake each other one goes on, and if it is lost, the other is asked.
    #[test]
    fn one_of_two_neighbours_goes_on() {
        let mut all = Broadcasts::default();
        let (a, b, of) = (LinkId(1), LinkId(2), (peer(1), node(1)));
        all.came(second(1), of, 1, a);
        let copy = |all: &mut Broadcasts, at, link| {
            all.heard.get_mut(&node(1)).unwrap().declines(link, second(at))
        };
        assert!(copy(&mut all, 1, b));
        // The second one's next message was ahead, and the first one's is the copy.
        all.came(second(1), of, 2, b);
        assert!(!copy(&mut all, 1, a), "the parent goes on");
        assert!(!copy(&mut all, 2, b), "it was told");
        assert!(copy(&mut all, 40, b), "it has forgotten");
        assert_eq!(all.lost(b), []);
        assert_eq!(all.lost(a), [node(1)]);
        all.came(second(41), of, 3, b);
        assert!(!copy(&mut all, 41, b));
    }

    /// Goal: wishes are bounded, and end. Method: one neighbour names more nodes than there are places.
    #[test]
    fn wishes_end_and_are_bounded() {
        let mut all = Broadcasts::default();
        for n in 0..2 * WISHES_MAX as u64 {
            all.wish(second(1), FROM, node(n), false);
        }
        assert_eq!(all.unwanted.len(), WISHES_MAX);
        assert!(!all.wants(second(1), FROM, node(1)) && all.wants(second(1), LinkId(2), node(1)));
        all.wish(second(1), FROM, node(1), true);
        assert!(all.wants(second(1), FROM, node(1)));
        let later = second(1).after(PRUNED_FOR);
        assert!(all.wants(later, FROM, node(2)));
        all.wish(later, LinkId(2), node(1), false);
        assert_eq!(all.unwanted.len(), WISHES_MAX, "one was taken back, and one came");
        all.wish(later, LinkId(2), node(2), false);
        assert_eq!(all.unwanted.len(), 2, "those that have ended make room");
    }
}
