//! A crowd: one group, its owner, and members who join in bursts by bound invitations.
use super::Setup;
use crate::check::delivery::{Delivery, Reach};
use crate::host::{HostId, Kind, rtc_address};
use crate::report::{Meter, Report};
use crate::world::World;
use peergraph_core::cert::Role;
use peergraph_core::id::GroupId;
use peergraph_core::invitation::Invitation;
use peergraph_core::io::{Command, GroupCommand, Reply, RequestId};
use peergraph_core::policy::Policy;
use std::time::Duration;

/// Bytes of a tracked record's payload. Guess: a line of chat.
pub const PAYLOAD_BYTES: usize = 120;
/// Addresses that a newcomer is told.
const DOORS: usize = 3;
/// Stores that are read through at the end, as an application reads; the disks of all are compared.
const LOOKED_INTO: usize = 16;
/// How long stores may take to be as the reference model says, once all records have arrived: a safety net's round on
/// every link. Virtual.
const EQUAL_WITHIN: Duration = Duration::from_secs(300);
/// How long the last newcomer may take to be ready. Virtual.
const READY_WITHIN: Duration = Duration::from_secs(300);

/// A world with one group.
pub struct Crowd {
    /// All of it.
    pub world: World,
    /// The group of which all are members.
    pub group: GroupId,
    /// Hosts that can be dialled, for invitations.
    doors: Vec<HostId>,
}

impl Crowd {
    /// A world with the owner alone.
    pub fn new(setup: &Setup) -> Self {
        Self::with(setup, Policy::default())
    }

    /// The same with a policy.
    pub(crate) fn with(setup: &Setup, policy: Policy) -> Self {
        Self::begun(setup, policy, World::model)
    }

    /// The same without the reference model: it would remember every version that there was.
    pub(crate) fn under(setup: &Setup, policy: Policy) -> Self {
        Self::begun(setup, policy, |_| ())
    }

    fn begun(setup: &Setup, policy: Policy, prepare: impl FnOnce(&mut World)) -> Self {
        let mut world = World::new(setup.seed, setup.command());
        world.keep_events = false;
        world.crypto = setup.knobs.crypto;
        let mark = world.chance.any();
        world.delivery = Some(Delivery::new(mark));
        prepare(&mut world);
        let owner = world.native("owner");
        let group = world.create_group_under(owner, "crowd", policy);
        Self { world, group, doors: vec![owner] }
    }

    /// A whole crowd, `settled` after the last one was ready; what that cost is the first phase of a report.
    pub(crate) fn gathered(setup: &Setup, settled: Duration) -> (Self, Meter) {
        let mut crowd = Self::new(setup);
        let mut meter = Meter::default();
        crowd.grow(setup, setup.nodes - 1);
        crowd.world.run_for(settled);
        let phase = meter.phase(&crowd.world, "gather", 0, Reach::default());
        setup.tell(|| phase.to_string());
        (crowd, meter)
    }

    /// Adds `count` members in bursts, and waits until all have neighbours and are synchronised.
    pub fn grow(&mut self, setup: &Setup, count: usize) {
        let total = self.world.hosts().len() + count;
        // Bursts of very different sizes; at most a tenth of the crowd knocks at once.
        let burst_max = (total as u64 / 10).clamp(1, 100) + 1;
        let mut waiting: Vec<(HostId, RequestId)> = Vec::new();
        let mut left = count;
        while left > 0 {
            let burst = (self.world.chance.within(1..burst_max) as usize).min(left);
            let guests: Vec<HostId> = (0..burst).map(|_| self.add_stopped(setup)).collect();
            let invitations = self.invite_all(&guests);
            for (&guest, mut invitation) in guests.iter().zip(invitations) {
                invitation.addresses = self.draw_doors();
                self.world.start(guest);
                let request =
                    self.world.command(guest, Command::Join { invitation, password: None });
                waiting.push((guest, request));
            }
            let pause = self.world.chance.within(50..400);
            self.world.run_for(Duration::from_millis(pause));
            self.doors.extend(
                guests.iter().filter(|&&guest| self.world.hosts()[guest].kind == Kind::Native),
            );
            left -= burst;
            let joined = total - left;
            setup.tell(|| format!("{joined} nodes at {:?}", self.world.time()));
        }
        for (guest, request) in waiting {
            self.await_join(guest, request);
        }
        let mut first = 1;
        self.world.run_until_every(total as u64, READY_WITHIN, |world| {
            while first < total && (world.is_ready(first) || !world.hosts()[first].is_up()) {
                first += 1;
            }
            first == total
        });
        let late: Vec<HostId> = (1..total)
            .filter(|&host| self.world.hosts()[host].is_up() && !self.world.is_ready(host))
            .collect();
        assert!(
            late.is_empty(),
            "{} of {total} nodes are not ready after {READY_WITHIN:?}: {:?}…",
            late.len(),
            &late[..late.len().min(10)]
        );
        setup.tell(|| format!("{total} nodes are ready at {:?}", self.world.time()));
    }

    fn add_stopped(&mut self, setup: &Setup) -> HostId {
        let browser = self.world.chance.with(setup.knobs.browsers);
        let kind = if browser { Kind::Browser } else { Kind::Native };
        let name = format!("n{}", self.world.hosts().len());
        let host = self.world.add_stopped(kind, &name);
        if let Some(neighbours) = setup.knobs.neighbours {
            self.world.host(host).wants = neighbours;
        }
        host
    }

    /// The owner invites all guests.
    fn invite_all(&mut self, guests: &[HostId]) -> Vec<Invitation> {
        let group = self.group;
        guests.iter().map(|&guest| self.world.invite_bound(0, group, guest, Role::Member)).collect()
    }

    fn draw_doors(&mut self) -> Vec<peergraph_core::address::Address> {
        let mut doors: Vec<HostId> =
            (0..DOORS).map(|_| *self.world.chance.of(&self.doors)).collect();
        doors.sort_unstable();
        doors.dedup();
        self.world.chance.shuffle(&mut doors);
        doors.into_iter().map(rtc_address).collect()
    }

    /// Takes a host that left out of the list of doors.
    pub fn close_door(&mut self, host: HostId) {
        self.doors.retain(|&door| door != host);
    }

    fn await_join(&mut self, guest: HostId, request: RequestId) {
        let answered =
            self.world.run_until(READY_WITHIN, |world| world.is_answered(guest, request));
        assert!(answered, "host {guest} has no answer to its join");
        let answer = self.world.answer(guest, request);
        assert!(matches!(answer, Some(Ok(Reply::Group(_)))), "host {guest} joined: {answer:?}");
    }

    /// Publishes one tracked record at a host, without waiting.
    pub fn publish(&mut self, host: HostId) -> RequestId {
        self.publish_bytes(host, PAYLOAD_BYTES)
    }

    /// The same with a payload of so many bytes.
    pub fn publish_bytes(&mut self, host: HostId, bytes: usize) -> RequestId {
        let (now, hosts) = (self.world.time().as_micros() as u64, self.world.hosts().len());
        let delivery = self.world.delivery.as_mut().expect("a crowd tracks its records");
        let payload = delivery.publish(host, now, hosts, bytes);
        let draft = crate::story::draft(payload);
        self.world.command(host, Command::Group(self.group, GroupCommand::Publish { draft }))
    }

    /// How many records were published.
    pub fn published(&self) -> usize {
        self.delivery().len()
    }

    /// The deliveries so far.
    pub fn delivery(&self) -> &Delivery {
        self.world.delivery.as_ref().expect("a crowd tracks its records")
    }

    /// Runs until all live nodes have all records from number `from` on. Returns the deliveries
    /// reached.
    pub fn settle(&mut self, from: usize, within: Duration) -> Reach {
        let members = self.world.live();
        self.settle_at(&members, from, within)
    }

    /// The same for `members` alone.
    pub fn settle_at(&mut self, members: &[HostId], from: usize, within: Duration) -> Reach {
        self.world.run_until_every(200, within, |world| {
            world.delivery.as_ref().is_some_and(|delivery| delivery.complete(from, members))
        });
        self.delivery().reach(from, self.published(), members)
    }

    /// Records that live nodes lack now.
    pub fn missed(&self) -> u64 {
        self.delivery().reach(0, self.published(), &self.world.live()).missed
    }

    /// Ends a run: what members lack now is missed.
    pub fn finish(self, setup: &Setup, meter: Meter) -> Report {
        let missed = self.missed();
        self.finish_missing(setup, meter, missed)
    }

    /// The same, if a record may rightly be nowhere and the scenario counts for itself what is missed.
    ///
    /// # Panics
    /// If the stores differ from the reference model, although nothing is missed.
    pub fn finish_missing(mut self, setup: &Setup, meter: Meter, missed: u64) -> Report {
        if missed == 0 {
            let wrong = self.world.await_model(self.group, LOOKED_INTO, EQUAL_WITHIN);
            assert!(wrong.is_empty(), "stores differ from the reference model: {wrong:#?}");
        }
        meter.finish(setup, &self.world, missed)
    }

    /// Demands equal stores at `hosts`.
    pub fn assert_equal_stores(&mut self, hosts: &[HostId]) {
        let group = self.group;
        let Some((&first, rest)) = hosts.split_first() else { return };
        let ours = self.world.records(first, group);
        for &host in rest {
            let theirs = self.world.records(host, group);
            if let Some(difference) = crate::check::convergence::difference(&ours, &theirs) {
                panic!("the stores of hosts {first} and {host} differ: {difference}");
            }
        }
    }

    /// Some live hosts, drawn by chance: all if there are few.
    pub fn some(&mut self, count: usize) -> Vec<HostId> {
        let mut live = self.world.live();
        self.world.chance.shuffle(&mut live);
        live.truncate(count);
        live
    }
}
