//! Churn: nodes leave, crash and come back, links die, disks are slow, timers are late, while records are published.
//!
//! Which faults there are, and how hard, is drawn by swarm: some are off, others extreme. Then the world falls
//! quiet, everybody comes back, and within bounded virtual time all stores must be equal and hold every record
//! that was acknowledged.
use super::crowd::Crowd;
use super::{Scenario, Setup};
use crate::chance::Chance;
use crate::check::delivery::Reach;
use crate::check::durability::Acknowledged;
use crate::host::HostId;
use crate::network::split;
use crate::report::{Meter, Report};
use crate::world::World;
use peergraph_core::io::{Reply, RequestId};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long faults go on. Virtual.
const FAULTS_FOR: Duration = Duration::from_secs(180);
/// How long the quiet world may take until all stores are equal. Virtual.
const EQUAL_WITHIN: Duration = Duration::from_secs(600);
/// Between two looks at the stores in the quiet world. Virtual.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// How often each fault comes, per second and hundred nodes.
#[derive(Debug)]
struct Faults {
    crash: f64,
    stop: f64,
    restart: f64,
    cut: f64,
    split: f64,
    slow_disks: bool,
    late_timers: bool,
    silence: f64,
}

impl Faults {
    /// Each fault is off, moderate or extreme.
    fn draw(chance: &mut Chance) -> Self {
        let mut rate =
            |moderate: f64, extreme: f64| *chance.of(&[0.0, moderate, moderate, extreme]);
        Self {
            crash: rate(0.2, 2.0),
            stop: rate(0.2, 2.0),
            restart: rate(1.0, 3.0).max(0.3),
            cut: rate(1.0, 10.0),
            split: rate(0.005, 0.02),
            slow_disks: chance.with(0.3),
            late_timers: chance.with(0.3),
            silence: *chance.of(&[0.0, 0.1, 1.0]),
        }
    }
}

struct Churn {
    crowd: Crowd,
    faults: Faults,
    asked: BTreeMap<RequestId, (HostId, usize)>,
    acknowledged: Vec<usize>,
    /// Restarted hosts whose stores have not been looked at yet.
    unchecked: Vec<HostId>,
    crashes: u64,
    splits: u64,
}

pub(super) const SCENARIO: Scenario = Scenario {
    name: "churn",
    about: "Nodes leave, crash and come back, links die, while records are published",
    records: 100,
    run,
};

fn run(setup: &Setup) -> Report {
    let mut crowd = Crowd::new(setup);
    let mut meter = Meter::default();
    crowd.world.acknowledged = Some(Vec::new());
    if let Some(acknowledged) = &mut crowd.world.acknowledged {
        acknowledged.resize_with(crowd.world.hosts.len(), Acknowledged::default);
    }
    crowd.grow(setup, setup.nodes - 1);
    let phase = meter.phase(&crowd.world, "gather", 0, Reach::default());
    setup.tell(|| phase.to_string());

    let faults = Faults::draw(&mut crowd.world.chance);
    setup.tell(|| format!("{faults:?}"));
    let mut churn = Churn {
        crowd,
        faults,
        asked: BTreeMap::new(),
        acknowledged: Vec::new(),
        unchecked: Vec::new(),
        crashes: 0,
        splits: 0,
    };
    churn.begin();
    churn.trouble(setup);
    let trouble = churn.reach();
    let phase = meter.phase(&churn.crowd.world, "trouble", churn.crowd.published(), trouble);
    setup.tell(|| phase.to_string());
    setup.tell(|| format!("{} crashes, {} splits", churn.crashes, churn.splits));

    churn.calm();
    let missed = churn.await_equal(setup);
    let mut reach = churn.reach();
    reach.delivered -= trouble.delivered.min(reach.delivered);
    let phase = meter.phase(&churn.crowd.world, "calm", 0, reach);
    setup.tell(|| phase.to_string());
    churn.crowd.finish_missing(setup, meter, missed)
}

impl Churn {
    fn begin(&mut self) {
        let world = &mut self.crowd.world;
        world.network.silence = self.faults.silence;
        for host in 0..world.hosts().len() {
            if self.faults.slow_disks && world.chance.with(0.3) {
                world.host(host).disk.write_delay = (10_000, 2_000_000);
            }
            if self.faults.late_timers && world.chance.with(0.3) {
                world.host(host).clock.late_max = 60_000_000;
            }
        }
    }

    fn trouble(&mut self, setup: &Setup) {
        let seconds = FAULTS_FOR.as_secs();
        let hundreds = self.crowd.world.hosts().len() as f64 / 100.0;
        let mut split_until = None;
        for second in 0..seconds {
            let due = |records: usize, at: u64| records as u64 * at / seconds;
            for _ in due(setup.records, second)..due(setup.records, second + 1) {
                self.publish();
            }
            for _ in 0..self.times(self.faults.crash * hundreds) {
                self.lose(true);
            }
            for _ in 0..self.times(self.faults.stop * hundreds) {
                self.lose(false);
            }
            for _ in 0..self.times(self.faults.restart * hundreds) {
                self.restart();
            }
            for _ in 0..self.times(self.faults.cut * hundreds) {
                self.crowd.world.cut_any();
            }
            if split_until.is_none() && self.times(self.faults.split) > 0 {
                let hosts = self.crowd.world.hosts().len();
                let sides = split(&mut self.crowd.world.chance, hosts);
                self.crowd.world.partition(sides);
                split_until = Some(second + self.crowd.world.chance.within(5..60));
                self.splits += 1;
            }
            if split_until.is_some_and(|until| until <= second) {
                self.crowd.world.heal();
                split_until = None;
            }
            self.crowd.world.run_for(Duration::from_secs(1));
            self.collect();
            self.check_restarted();
        }
    }

    /// How often something happens in a second in which it is expected `mean` times.
    fn times(&mut self, mean: f64) -> u64 {
        mean as u64 + u64::from(self.crowd.world.chance.with(mean.fract()))
    }

    fn publish(&mut self) {
        let live = self.crowd.world.live();
        let sender = *self.crowd.world.chance.of(&live);
        let number = self.crowd.published();
        let request = self.crowd.publish(sender);
        self.asked.insert(request, (sender, number));
    }

    /// Crashes or stops one node, as long as half of them are left.
    fn lose(&mut self, crash: bool) {
        let live = self.crowd.world.live();
        if live.len() * 2 <= self.crowd.world.hosts().len() {
            return;
        }
        let host = *self.crowd.world.chance.of(&live);
        self.unchecked.retain(|&other| other != host);
        // Answers that came before the crash were given.
        self.collect();
        if crash {
            self.crowd.world.crash(host);
            self.crashes += 1;
        } else {
            self.crowd.world.stop(host);
        }
        self.asked.retain(|_, (sender, _)| *sender != host);
    }

    fn restart(&mut self) {
        let world = &mut self.crowd.world;
        let down: Vec<HostId> =
            (0..world.hosts().len()).filter(|&host| !world.hosts()[host].is_up()).collect();
        if down.is_empty() {
            return;
        }
        let host = *world.chance.of(&down);
        world.start(host);
        self.unchecked.push(host);
    }

    /// Takes the answers to publications.
    fn collect(&mut self) {
        let asked: Vec<_> = self.asked.iter().map(|(&request, &asked)| (request, asked)).collect();
        for (request, (sender, number)) in asked {
            match self.crowd.world.answer(sender, request) {
                None => {}
                Some(Ok(Reply::Record(record))) => {
                    self.asked.remove(&request);
                    self.acknowledged.push(number);
                    let group = self.crowd.group;
                    if let Some(acknowledged) = &mut self.crowd.world.acknowledged {
                        acknowledged[sender].add(group, &record);
                    }
                }
                Some(other) => panic!("host {sender} published: {other:?}"),
            }
        }
    }

    /// Safety: what a node acknowledged before it went is there when it is back.
    fn check_restarted(&mut self) {
        let group = self.crowd.group;
        let opened = |world: &World, host: HostId| world.hosts()[host].opened;
        let ready: Vec<HostId> =
            self.unchecked.iter().copied().filter(|&h| opened(&self.crowd.world, h)).collect();
        for host in ready {
            self.unchecked.retain(|&other| other != host);
            let held = self.crowd.world.records(host, group);
            let world = &mut self.crowd.world;
            let wall = world.hosts()[host].clock.wall(world.now);
            let acknowledged = world.acknowledged.as_ref().expect("churn keeps them");
            let lost = acknowledged[host].lost(group, &held, wall);
            assert!(lost.is_empty(), "host {host} lost acknowledged records in a crash: {lost:?}");
            // What became durable in the last moment before a crash is told to nobody.
            let now = world.now;
            let delivery = world.delivery.as_mut().expect("a crowd tracks its records");
            for record in held {
                delivery.seen(host, now, &record.payload);
            }
        }
    }

    /// Faults stop, everybody comes back.
    fn calm(&mut self) {
        let world = &mut self.crowd.world;
        world.heal();
        for host in 0..world.hosts().len() {
            world.host(host).disk.write_delay = (500, 3_000);
            world.host(host).clock.late_max = 0;
            if !world.hosts()[host].is_up() {
                world.start(host);
                self.unchecked.push(host);
            }
        }
        while !self.unchecked.is_empty() {
            self.crowd.world.await_opened(self.unchecked[0]);
            self.check_restarted();
        }
    }

    /// Liveness: every acknowledged record comes to everybody, then all stores are equal. Answers how many records
    /// members lack.
    fn await_equal(&mut self, setup: &Setup) -> u64 {
        let end = self.crowd.world.time() + EQUAL_WITHIN;
        loop {
            self.crowd.world.run_for(LOOK_EVERY);
            self.collect();
            let missed = self.reach().missed;
            setup.tell(|| format!("{missed} missing at {:?}", self.crowd.world.time()));
            if missed == 0 {
                break;
            }
            if self.crowd.world.time() >= end {
                return missed;
            }
        }
        let live = self.crowd.world.live();
        self.crowd.assert_equal_stores(&live);
        0
    }

    /// What became of the acknowledged records at the nodes that run. A record whose publisher died before the answer
    /// may be everywhere or nowhere.
    fn reach(&self) -> Reach {
        let live = self.crowd.world.live();
        let mut sum = Reach::default();
        let mut hops = 0.0;
        for &number in &self.acknowledged {
            let reach = self.crowd.delivery().reach(number, number + 1, &live);
            sum.delivered += reach.delivered;
            sum.missed += reach.missed;
            sum.last_hop = sum.last_hop.max(reach.last_hop);
            sum.slowest = sum.slowest.max(reach.slowest);
            hops += reach.mean_hop * reach.delivered as f64;
        }
        sum.mean_hop = hops / (sum.delivered.max(1) as f64);
        sum
    }
}
