//! Glutton: one member sends all that it can while the others talk, until its owner has had enough.
//!
//! The member's program is changed. In the first third of the run it makes a megabyte of new records every second and brings
//! them to all of its neighbours: that is within its rights, since the newest of its records stand. Then it
//! brings one small record again and again, a megabyte a second to each neighbour: that is work in vain, and costs it
//! its links. In the end the owner revokes it. It heeds no refusal.
//!
//! The others get what they say to each other, their disks hold no more of the glutton's than the policy allows a member, and
//! what waits at a node does not grow with the time that the flood lasts.
use super::crowd::Crowd;
use super::{Scenario, Setup};
use crate::check::delivery::Reach;
use crate::host::HostId;
use crate::report::{Meter, Report};
use crate::world::World;
use bytes::Bytes;
use peergraph_core::id::GroupId;
use peergraph_core::io::{Command, GroupCommand, Keep, Reply};
use peergraph_core::limits::WRITES_WAITING;
use peergraph_core::policy::Policy;
use peergraph_core::record::Signed;
use peergraph_core::roll::{Reason, Target};
use std::time::Duration;

/// Bytes that the glutton makes in a second, and that it brings again to each neighbour.
const BYTES_PER_SECOND: usize = 1_000_000;
/// Bytes of one of its new records. A record and its head fit into a frame.
const GLUT_BYTES: usize = 15_000;
/// The sizes that the policy allows a record, and a member. Bytes. Guess: a hundred stores fit into the memory of one machine.
const PAYLOAD_BYTES_MAX: u32 = 64 * 1024;
const MEMBER_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes of an encoded record beside its payload, at most.
const HEAD_BYTES: u64 = 1_024;
/// How often the glutton acts in a second.
const TURNS: usize = 4;
/// How long what was published may take to everybody. Virtual.
const SETTLE_WITHIN: Duration = Duration::from_secs(60);
/// How long all may take to close their links with a member that was revoked. Virtual.
const OUT_WITHIN: Duration = Duration::from_secs(120);
/// How long the graph has before it begins. Virtual.
const SETTLED_AFTER: Duration = Duration::from_secs(30);

const OWNER: HostId = 0;
const GLUTTON: HostId = 1;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "glutton",
    about: "One member sends a megabyte a second; --records: seconds, and records of the others",
    records: 600,
    run,
};

fn run(setup: &Setup) -> Report {
    let mut policy = Policy::default();
    policy.payload_bytes_max = PAYLOAD_BYTES_MAX;
    policy.member_bytes = MEMBER_BYTES;
    let mut crowd = Crowd::under(setup, policy);
    let mut meter = Meter::default();
    crowd.grow(setup, setup.nodes - 1);
    crowd.world.run_for(SETTLED_AFTER);
    let phase = meter.phase(&crowd.world, "gather", 0, Reach::default());
    setup.tell(|| phase.to_string());

    let live = crowd.world.live();
    let others = live.into_iter().filter(|&host| host != GLUTTON).collect();
    let _request = crowd.publish(GLUTTON);
    crowd.settle(0, SETTLE_WITHIN);
    crowd.world.host(GLUTTON).liar = true;
    crowd.world.host(GLUTTON).heedless = true;
    let mut table = Table { crowd, others, most: Most::default() };

    let third = setup.records / 3;
    table.sit(setup, &mut meter, "new", third, Table::serve_new);
    let small = table.small();
    let (mut turns, mut alone) = (0, 0);
    table.sit(setup, &mut meter, "again", setup.records - third, |table, _| {
        table.crowd.world.repeat(GLUTTON, &small, BYTES_PER_SECOND / TURNS);
        turns += 1;
        alone += usize::from(table.is_out());
    });
    meter.note("alone_share", alone as f64 / turns.max(1) as f64);
    table.end(setup, meter)
}

/// Those who sit at one table with the glutton.
struct Table {
    crowd: Crowd,
    others: Vec<HostId>,
    most: Most,
}

/// The most that any of the others had, at the end of any second.
#[derive(Clone, Copy, Default)]
struct Most {
    disk_bytes: u64,
    writes_waiting: u64,
}

impl Table {
    /// So many seconds in which one of the others says something, while the glutton does what it does, some times a second.
    fn sit(
        &mut self,
        setup: &Setup,
        meter: &mut Meter,
        name: &str,
        seconds: usize,
        mut gorge: impl FnMut(&mut Self, usize),
    ) {
        let from = self.crowd.published();
        for _ in 0..seconds {
            let speaker = *self.crowd.world.chance.of(&self.others);
            let _request = self.crowd.publish(speaker);
            for turn in 0..TURNS {
                gorge(self, turn);
                self.crowd.world.run_for(Duration::from_secs(1) / TURNS as u32);
            }
            self.look();
        }
        let reach = self.crowd.settle_at(&self.others, from, SETTLE_WITHIN);
        let phase = meter.phase(&self.crowd.world, name, seconds, reach);
        setup.tell(|| phase.to_string());
    }

    /// New records, to all neighbours.
    fn serve_new(&mut self, turn: usize) {
        let (all, group) = (BYTES_PER_SECOND / GLUT_BYTES, self.crowd.group);
        let count = all * (turn + 1) / TURNS - all * turn / TURNS;
        let payloads = (0..count).map(|_| Bytes::from(vec![b'x'; GLUT_BYTES])).collect();
        let made = self.crowd.world.make_up_all(GLUTTON, group, payloads);
        self.crowd.world.bring(GLUTTON, &made.expect("the glutton has published"));
    }

    /// A record that all will have soon.
    fn small(&mut self) -> Signed {
        let (group, payload) = (self.crowd.group, Bytes::from_static(b"again"));
        let small = self.crowd.world.make_up(GLUTTON, group, payload);
        small.expect("the glutton has published")
    }

    fn is_out(&self) -> bool {
        is_out(&self.crowd.world, self.crowd.group, &self.others)
    }

    fn look(&mut self) {
        for &host in &self.others {
            let this = &self.crowd.world.hosts()[host];
            self.most.disk_bytes = self.most.disk_bytes.max(this.disk.bytes() as u64);
            self.most.writes_waiting = self.most.writes_waiting.max(this.writes_waiting());
        }
    }

    /// The owner revokes the glutton, whose records go.
    fn end(mut self, setup: &Setup, mut meter: Meter) -> Report {
        let (world, group) = (&mut self.crowd.world, self.crowd.group);
        let glutton = world.hosts()[GLUTTON].peer_id();
        let (target, reason) = (Target::Peer(glutton), Reason::Misconduct);
        let keep = Keep { members: true, records: false };
        let answer =
            world.ask(OWNER, Command::Group(group, GroupCommand::Revoke { target, reason, keep }));
        assert!(matches!(answer, Ok(Reply::Ok)), "the revocation was answered {answer:?}");
        let began = world.time();
        let out = world.run_until_every(10, OUT_WITHIN, |world| is_out(world, group, &self.others));
        assert!(out, "the glutton has neighbours {OUT_WITHIN:?} after its revocation");
        meter.note("out_ms", (world.time() - began).as_millis() as f64);
        world.run_for(SETTLE_WITHIN);
        assert!(self.is_out(), "somebody let the glutton in again");
        for &host in &self.others {
            let records = self.crowd.world.hosts()[host].disk.records(group).into_iter();
            let held = records.filter(|it| it.creator == glutton && !it.kind.is_reserved()).count();
            assert_eq!(held, 0, "host {host} holds records of the glutton's");
        }
        // The talk of the others is little beside that.
        let talk = (self.crowd.published() as u64 + 4 * setup.nodes as u64) * HEAD_BYTES;
        let Most { disk_bytes, writes_waiting } = self.most;
        // A record that pushes out an older one may be written a little before that goes.
        let most = MEMBER_BYTES + MEMBER_BYTES / 4 + talk;
        assert!(disk_bytes <= most, "a disk held {disk_bytes} bytes rather than {most}");
        assert!(writes_waiting <= WRITES_WAITING.all(), "{writes_waiting} bytes waited");
        meter.note("disk_bytes_max", disk_bytes as f64);
        meter.note("writes_waiting_max", writes_waiting as f64);
        meter.note("backlog_bytes_max", self.crowd.world.counts.backlog_bytes_max as f64);
        meter.note("closed_slow", self.crowd.world.counts.closed_slow as f64);
        let reach = self.crowd.delivery().reach(1, self.crowd.published(), &self.others);
        let phase = meter.phase(&self.crowd.world, "out", 0, Reach::default());
        setup.tell(|| phase.to_string());
        meter.finish(setup, &self.crowd.world, reach.missed)
    }
}

/// Whether nobody counts the glutton among its neighbours.
fn is_out(world: &World, group: GroupId, others: &[HostId]) -> bool {
    others.iter().all(|&host| !world.neighbours_of(host, group).contains(&GLUTTON))
}
