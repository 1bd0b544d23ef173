//! Waste: what a neighbour has us do in vain.
//!
//! A record that we have already, or cannot take, costs us nearly what a good one does, and so does one that we give again.
//! The graph, and any number of syncs at one time, bring a record over a link about once in vain, or ask for it there.
//! So a link may do so twice with each record that we take while it lasts, whoever brings it.
//!
//! Everything beyond that is on the account of the peer at its other end: some of it at once, and a little all the time.
//! A peer that uses that up does it on purpose. A closed link changes nothing in that.
use super::Group;
use super::batch::Taken;
use super::records::fault;
use crate::budget::Accounts;
use crate::error::Misbehaved;
use crate::group::Ctx;
use crate::id::PeerId;
use crate::io::LinkId;
use crate::limits::{WASTE_PER_SECOND, WASTE_SPARE};
use crate::time::Time;
use bytes::Bytes;

/// The account of what was of use, and what was not. In units, see [`units`].
pub(super) struct Waste {
    /// Records that we took since the start.
    taken: u64,
    /// The units of work that peers had us do in vain beyond what their links may.
    beyond: Accounts,
}

/// The account of what a link did in vain.
#[derive(Default)]
pub(super) struct InVain {
    /// The units that we had taken when it began.
    from: u64,
    units: u64,
}

/// Units of the records that were of no use.
pub(super) fn in_vain(taken: &[Taken]) -> u64 {
    let vain = taken.iter().filter(|it| it.outcome.is_in_vain());
    vain.map(|it| units(it.bytes)).sum()
}

/// Units of a record: one, and one for each KB.
pub(super) fn units(bytes: usize) -> u64 {
    1 + bytes as u64 / 1024
}

impl Default for Waste {
    fn default() -> Self {
        Self { taken: 0, beyond: Accounts::new(WASTE_PER_SECOND) }
    }
}

impl Waste {
    /// We took a record.
    pub(super) fn took(&mut self, bytes: usize) {
        self.taken = self.taken.saturating_add(units(bytes));
    }

    /// A link begins.
    pub(super) fn link(&self) -> InVain {
        InVain { from: self.taken, units: 0 }
    }

    /// A link of a peer did something in vain. Whether that is too much.
    fn is_excess(&mut self, now: Time, peer: PeerId, link: &mut InVain, units: u64) -> bool {
        link.units = link.units.saturating_add(units);
        let may = self.taken.saturating_sub(link.from).saturating_mul(2);
        if link.units <= may {
            return false;
        }
        self.beyond.add(now, peer, link.units - may);
        link.units = may;
        self.beyond.over(now, &peer, WASTE_SPARE) > 0
    }
}

impl Group {
    /// Takes records that came over a link, and bills the peer at its other end for those that came in vain: the one way in
    /// for what others send. They are passed on as `from` that link, if it is a neighbour's. Returns the outcome of each; and
    /// the peer's fault, if there is one.
    pub(super) fn take_all(
        &mut self,
        ctx: &mut Ctx<'_>,
        link: LinkId,
        records: Vec<Bytes>,
        from: Option<LinkId>,
    ) -> (Vec<Taken>, Result<(), Misbehaved>) {
        let (taken, result) = self.accept_all(ctx, records, from);
        // Where we have no room for what is good, nobody is to blame.
        let vain = if self.disk_refuses(ctx.now.mono) { 0 } else { in_vain(&taken) };
        let excess = if vain > 0 { self.note_waste(ctx, link, vain) } else { Ok(()) };
        (taken, result.map_err(fault).and(excess))
    }

    /// Takes note of what a neighbour has us do.
    pub(super) fn note_waste(
        &mut self,
        ctx: &Ctx<'_>,
        link: LinkId,
        units: u64,
    ) -> Result<(), Misbehaved> {
        let Some(slot) = self.slots.get_mut(&link) else { return Ok(()) };
        let excess = self.waste.is_excess(ctx.now.mono, slot.peer, &mut slot.in_vain, units);
        if excess { Err(Misbehaved::Excess) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const NOW: Time = Time::from_micros(5_000_000);

    fn peer(byte: u8) -> PeerId {
        PeerId::from_bytes([byte; 32])
    }

    #[test]
    fn each_link_may_do_twice_in_vain_what_we_take_while_it_lasts() {
        let mut waste = Waste::default();
        waste.took(1_000_000);
        let mut links = [(); 3].map(|()| waste.link());
        for _ in 0..WASTE_SPARE {
            waste.took(100);
            waste.took(2_048);
            for link in &mut links {
                assert!(!waste.is_excess(NOW, peer(1), link, 8), "a person may have many nodes");
            }
        }
        assert_eq!(waste.beyond.len(), 0);
        // Records that were taken before a link began are nothing to it.
        assert!(!waste.is_excess(NOW, peer(2), &mut waste.link(), WASTE_SPARE));
        assert!(waste.is_excess(NOW, peer(2), &mut waste.link(), 1));
    }

    #[test]
    fn what_goes_beyond_is_remembered_of_the_peer_and_given_back_in_time() {
        let mut waste = Waste::default();
        let mut link = waste.link();
        assert!(!waste.is_excess(NOW, peer(1), &mut link, WASTE_SPARE));
        assert!(waste.is_excess(NOW, peer(1), &mut link, 1));
        assert!(waste.is_excess(NOW, peer(1), &mut waste.link(), 1), "another link is no way out");
        assert!(!waste.is_excess(NOW, peer(2), &mut waste.link(), WASTE_SPARE), "others may");
        let later = NOW.after(Duration::from_secs(2));
        assert!(!waste.is_excess(later, peer(1), &mut link, 2 * WASTE_PER_SECOND - 2));
        assert!(waste.is_excess(later, peer(1), &mut link, 1));
    }
}
