//! The graph signature: the lowest node id in a connected graph, by which a graph sees that it has broken.
//!
//! The node with that id is a contact (`contacts.rs`) that names itself. Its record travels like any other; between two
//! editions of the record it shows that it lives by **beats**, which every node passes on at once, one for each
//! keep-alive. A beat is an element of a hash chain whose end stands in the record,
//!
//! ```text
//!   record: H(H(H(seed)))      beat 1: H(H(seed))      beat 2: H(seed)      …
//! ```
//!
//! so that nobody else can make one, and one hash checks it. Where the beats of the lowest node stay away for
//! [`LOST_AFTER`], it is not in this part of the graph any more, and another is elected: each node waits the longer the
//! higher its id, so that normally one speaks up. Of several the lowest stands, whatever the order; no version
//! decides, so that nobody can take the signature by counting up. (After the reference, 3.11, with errata 2 and 10
//! repaired; beats are ours, since a record's five minutes are too long to wait.)
use super::{Group, Timer};
use crate::error::Misbehaved;
use crate::group::Ctx;
use crate::id::{Digest, NodeId};
use crate::io::LinkId;
use crate::limits;
use crate::link::Links;
use crate::time::Time;
use crate::wire::{self, Beat, kind};
use bytes::Bytes;
use std::time::Duration;

/// The holder of the signature shows that it lives this often: no message more than keep-alives cost anyway.
const BEAT_EVERY: Duration = limits::KEEPALIVE_EVERY;
/// Beats of one chain. Guess: more than twice as many as fit between two editions of the record.
const BEATS_MAX: u32 = 64;
/// Without a beat for so long, the holder is not in this part of the graph. Guess: four beats, so that a graph of
/// throttled tabs, which wake once a minute, does not look broken.
pub(super) const LOST_AFTER: Duration = Duration::from_secs(60);
/// How long a node waits at least before it claims the signature, and how much longer at most: the shape is that of
/// [`back_off`]. Source: reference 2.1 and 3.13.
const CLAIM_AFTER: Duration = Duration::from_millis(100);
const BACK_OFF: Duration = Duration::from_millis(29_900);
/// The same where a higher id holds it. Guess: of a burst of newcomers the lowest is heard by the others in time.
const LOWER_BACK_OFF: Duration = Duration::from_millis(4_900);

/// All that this node knows of the signature of its graph.
#[derive(Default)]
pub(super) struct Signature {
    /// The lowest id that showed a sign of life; the last one, while another is looked for.
    pub(super) current: Option<NodeId>,
    /// Our beats, while we hold it.
    pub(super) beats: Option<Beats>,
    claim_at: Option<Time>,
}

/// A contact's claim to the signature.
pub(super) struct Claim {
    /// The last beat, or the end of the chain.
    value: Digest,
    number: u32,
    /// When it showed that it lives.
    heard: Time,
}

/// The holder's own chain.
pub(super) struct Beats {
    seed: [u8; 32],
    shown: u32,
}

impl Claim {
    pub(super) fn new(end: Digest, heard: Time) -> Self {
        Self { value: end, number: 0, heard }
    }

    /// Takes a later beat of the same chain. False for anything else.
    fn advance(&mut self, now: Time, number: u32, value: Digest) -> bool {
        if number <= self.number || number > BEATS_MAX {
            return false;
        }
        let mut end = value;
        for _ in self.number..number {
            end = Digest::of(end.as_bytes());
        }
        let genuine = end == self.value;
        if genuine {
            *self = Self { value, number, heard: now };
        }
        genuine
    }
}

impl Beats {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self { seed, shown: 0 }
    }

    /// The last beat shown; at first the end of the chain.
    pub(super) fn value(&self) -> Digest {
        let mut value = Digest::of(&self.seed);
        for _ in self.shown..BEATS_MAX {
            value = Digest::of(value.as_bytes());
        }
        value
    }
}

/// How long a node without a signature waits before it claims it: 0.1 to 19 s, growing with its id.
fn back_off(node: NodeId) -> Duration {
    // 1 − e^(−x), as a series: the same on every platform.
    let x = (node.0 >> 48) as f64 / 65_536.0;
    let (mut term, mut rest) = (1.0, 1.0);
    for n in 1..12 {
        term *= -x / f64::from(n);
        rest += term;
    }
    CLAIM_AFTER + BACK_OFF.mul_f64(1.0 - rest)
}

/// The same where a higher id holds it: the shorter, the lower the id.
fn lower_back_off(node: NodeId, holder: NodeId) -> Duration {
    CLAIM_AFTER + LOWER_BACK_OFF.mul_f64(node.0 as f64 / holder.0.max(1) as f64)
}

impl Group {
    /// Whether we hold the signature.
    pub(super) fn holds_signature(&self) -> bool {
        self.signature.beats.is_some()
    }

    /// The lowest id of which there is a sign of life, and until when that lasts.
    fn lowest(&self, ctx: &Ctx<'_>) -> Option<(NodeId, Time)> {
        let claims = self.contacts.values().filter_map(|contact| {
            let claim = contact.claim.as_ref()?;
            let ours = contact.node == ctx.node;
            let until = claim.heard.after(LOST_AFTER);
            let alive = if ours { self.holds_signature() } else { ctx.now.mono < until };
            alive.then_some((contact.node, until))
        });
        claims.min_by_key(|(node, _)| *node)
    }

    /// Something that bears on the signature changed.
    pub(super) fn review_signature(&mut self, ctx: &mut Ctx<'_>) {
        // A node that has just come knows too little, and one that is alone has nobody to tell.
        if !self.ready || !self.neighbours().any(|(_, slot)| slot.synced) {
            return;
        }
        let lowest = self.lowest(ctx);
        let wait = match lowest {
            Some((node, _)) if node <= ctx.node => None,
            Some((higher, _)) => Some(lower_back_off(ctx.node, higher)),
            None => Some(back_off(ctx.node)),
        };
        let claim_at = wait.map(|wait| ctx.now.mono.after(wait));
        let claim_at = claim_at.map(|at| self.signature.claim_at.map_or(at, |set| set.min(at)));
        self.signature.claim_at = claim_at;
        let lost_at = lowest.filter(|(node, _)| *node != ctx.node).map(|(_, until)| until);
        match claim_at.into_iter().chain(lost_at).min() {
            Some(at) => self.timers.set(Timer::Signature, at),
            None => self.timers.clear(Timer::Signature),
        }
        if let Some((node, _)) = lowest
            && self.signature.current != Some(node)
        {
            self.signature.current = Some(node);
            if node != ctx.node {
                self.signature.beats = None;
                self.timers.clear(Timer::Beat);
            }
            self.signature_changed(ctx);
        }
    }

    /// A claim is due, or the holder was not heard of for too long.
    pub(super) fn signature_due(&mut self, ctx: &mut Ctx<'_>) {
        let lower = self.lowest(ctx).is_some_and(|(node, _)| node <= ctx.node);
        let due = self.signature.claim_at.is_some_and(|at| at <= ctx.now.mono);
        if due && !lower && self.neighbours().next().is_some() {
            self.signature.claim_at = None;
            self.signature.beats = Some(Beats::new(*ctx.rng.secret()));
            self.publish_contact(ctx);
        }
        self.review_signature(ctx);
    }

    /// A new chain for a new edition of our record. Its end, if we hold the signature.
    pub(super) fn renew_beats(&mut self, ctx: &mut Ctx<'_>) -> Option<Digest> {
        self.signature.beats.as_ref()?;
        let beats = Beats::new(*ctx.rng.secret());
        let end = beats.value();
        self.signature.beats = Some(beats);
        self.timers.set(Timer::Beat, ctx.now.mono.after(BEAT_EVERY));
        Some(end)
    }

    /// Shows that we live.
    pub(super) fn beat(&mut self, ctx: &mut Ctx<'_>, links: &mut Links) {
        let Some(beats) = &mut self.signature.beats else { return };
        if beats.shown >= BEATS_MAX {
            return;
        }
        beats.shown += 1;
        let beat = Beat { node: ctx.node, number: beats.shown, value: beats.value() };
        if let Some(claim) = self.claim_of(ctx.node) {
            *claim = Claim { value: beat.value, number: beat.number, heard: ctx.now.mono };
        }
        self.pass_beat(ctx, links, None, &beat);
        self.timers.set(Timer::Beat, ctx.now.mono.after(BEAT_EVERY));
    }

    pub(super) fn on_beat(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        link: LinkId,
        body: &Bytes,
    ) -> Result<(), Misbehaved> {
        let beat: Beat = wire::decode(body)?;
        let now = ctx.now.mono;
        // One that came before, or of a record that is still on its way, is normal.
        let news =
            self.claim_of(beat.node).is_some_and(|c| c.advance(now, beat.number, beat.value));
        if news && self.lowest(ctx).is_some_and(|(node, _)| node == beat.node) {
            self.pass_beat(ctx, links, Some(link), &beat);
            self.review_signature(ctx);
        }
        Ok(())
    }

    /// Tells a neighbour that knows our contacts by now how fresh the signature is.
    pub(super) fn greet(&mut self, ctx: &mut Ctx<'_>, links: &mut Links, link: LinkId) {
        let Some(node) = self.signature.current else { return };
        let Some(&mut Claim { value, number, .. }) = self.claim_of(node) else { return };
        if number > 0 {
            self.send(ctx, links, link, kind::BEAT, &Beat { node, number, value });
        }
    }

    fn claim_of(&mut self, node: NodeId) -> Option<&mut Claim> {
        let contact = self.contacts.values_mut().find(|contact| contact.node == node);
        contact.and_then(|contact| contact.claim.as_mut())
    }

    fn pass_beat(&self, ctx: &mut Ctx<'_>, links: &mut Links, except: Option<LinkId>, beat: &Beat) {
        for (link, _) in self.neighbours().filter(|(link, _)| Some(*link) != except) {
            self.send(ctx, links, link, kind::BEAT, beat);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_grows_with_the_id_from_a_tenth_of_a_second_to_nineteen() {
        assert_eq!(back_off(NodeId(0)), CLAIM_AFTER);
        let waits: Vec<Duration> =
            (0..=64).map(|n| back_off(NodeId(((n << 10_u64).min(65_535)) << 48))).collect();
        assert!(waits.is_sorted_by(|a, b| a < b));
        let longest = waits[64].as_secs_f64();
        // 0.1 + 29.9 · (1 − 1/e), nearly.
        assert!((18.99..19.01).contains(&longest), "{longest}");
    }

    #[test]
    fn beats_prove_themselves_in_order_and_nothing_else_does() {
        let time = Time::from_micros;
        let mut beats = Beats::new([7; 32]);
        let mut claim = Claim::new(beats.value(), time(0));
        assert!(!claim.advance(time(1), 1, Digest::of(b"forged")));
        beats.shown = 1;
        assert!(claim.advance(time(2), 1, beats.value()));
        assert!(!claim.advance(time(3), 1, beats.value()), "a beat counts once");
        beats.shown = 5;
        assert!(!claim.advance(time(4), 4, beats.value()), "under its own number only");
        assert!(claim.advance(time(5), 5, beats.value()), "some may be lost on the way");
        assert_eq!(claim.heard, time(5));
        beats.shown = BEATS_MAX;
        assert!(!claim.advance(time(6), u32::MAX, beats.value()), "work is bounded");
        assert!(claim.advance(time(6), BEATS_MAX, beats.value()));
    }
}
