//! Churn: everything that can go wrong does, while records are published, changed and deleted.
//!
//! Which faults there are, and how hard, is drawn by swarm (`churn/faults.rs`): some are off,
//! others extreme. Safety is checked in every step: a node that comes back has all that it had
//! acknowledged. Then the world falls quiet, everybody comes back, and within bounded virtual time
//! every store must be as the reference model says.
mod faults;

use super::crowd::{Crowd, PAYLOAD_BYTES};
use super::{Scenario, Setup};
use crate::chance::Chance;
use crate::check::delivery::Reach;
use crate::check::durability::Acknowledged;
use crate::host::HostId;
use crate::liar::Act;
use crate::network::cut_in_parts;
use crate::report::{Meter, Report};
use crate::world::World;
use faults::Faults;
use peergraph_core::error::{BadRecord, Error};
use peergraph_core::id::RecordId;
use peergraph_core::io::{Command, Draft, GroupCommand, Reply, RequestId, StoreFault};
use peergraph_core::policy::{Policy, Right};
use peergraph_core::record::Record;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long faults go on. Virtual.
const FAULTS_FOR: Duration = Duration::from_secs(180);
/// How long the quiet world may take until all stores are equal. Virtual.
const EQUAL_WITHIN: Duration = Duration::from_secs(600);
/// Stores that are read through at the end.
const LOOKED_INTO: usize = 16;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "churn",
    about: "Everything goes wrong: nodes crash and come back, links die, disks fill up, members lie",
    records: 100,
    run,
};

/// In every second world all members may change what others made. That is not drawn from the world's own chance: the others
/// stay as they were.
fn policy(setup: &Setup) -> Policy {
    let mut policy = Policy::default();
    if Chance::new(!setup.seed).with(0.5) {
        let (types, roles) = ("*".to_owned(), vec!["member".to_owned()]);
        policy.rights = vec![Right { types, roles, publish: true, update: true, delete: false }];
    }
    policy
}

struct Churn {
    crowd: Crowd,
    faults: Faults,
    asked: BTreeMap<RequestId, HostId>,
    /// Records that were acknowledged, as their publishers know them.
    published: Vec<(HostId, Record)>,
    /// Restarted hosts whose stores have not been looked at yet.
    unchecked: Vec<HostId>,
    split_until: Option<u64>,
    crashes: u64,
    splits: u64,
    lies: u64,
    refused: u64,
}

fn run(setup: &Setup) -> Report {
    let mut crowd = Crowd::with(setup, policy(setup));
    let mut meter = Meter::default();
    let mut acknowledged = Vec::new();
    acknowledged.resize_with(crowd.world.hosts.len(), Acknowledged::default);
    crowd.world.acknowledged = Some(acknowledged);
    crowd.grow(setup, setup.nodes - 1);
    let phase = meter.phase(&crowd.world, "gather", 0, Reach::default());
    setup.tell(|| phase.to_string());

    let faults = Faults::draw(&mut crowd.world.chance, setup.knobs.rate);
    setup.tell(|| format!("{faults:?}"));
    let mut churn = Churn {
        crowd,
        faults,
        asked: BTreeMap::new(),
        published: Vec::new(),
        unchecked: Vec::new(),
        split_until: None,
        crashes: 0,
        splits: 0,
        lies: 0,
        refused: 0,
    };
    churn.begin();
    for second in 0..FAULTS_FOR.as_secs() {
        churn.second(setup, second);
    }
    let published = churn.published.len();
    let phase = meter.phase(&churn.crowd.world, "trouble", published, Reach::default());
    setup.tell(|| phase.to_string());

    churn.calm();
    let group = churn.crowd.group;
    let began = churn.crowd.world.time();
    let wrong = churn.crowd.world.await_model(group, LOOKED_INTO, EQUAL_WITHIN);
    assert!(wrong.is_empty(), "stores differ from the reference model: {wrong:#?}");
    let made_up = churn.crowd.world.made_up(group);
    assert!(made_up.is_empty(), "liars make records of others: {made_up:#?}");
    for (name, count) in [
        ("crashes", churn.crashes),
        ("splits", churn.splits),
        ("lies", churn.lies),
        ("refused", churn.refused),
    ] {
        meter.note(name, count as f64);
    }
    meter.note("equal_ms", (churn.crowd.world.time() - began).as_millis() as f64);
    let phase = meter.phase(&churn.crowd.world, "calm", 0, Reach::default());
    setup.tell(|| phase.to_string());
    churn.crowd.finish_missing(setup, meter, 0)
}

impl Churn {
    fn begin(&mut self) {
        let world = &mut self.crowd.world;
        world.network.silence = self.faults.silence;
        world.adversary.share = self.faults.tamper;
        let count = world.hosts().len();
        for host in 0..count {
            if self.faults.slow_disks && world.chance.with(0.3) {
                world.host(host).disk.write_delay = (10_000, 2_000_000);
            }
            if self.faults.late_timers && world.chance.with(0.3) {
                world.host(host).clock.late_max = 60_000_000;
            }
            if self.faults.throttled && world.chance.with(0.3) {
                world.host(host).clock.timer_step = 60_000_000;
            }
            // The creator stays honest: without it nobody else could be let in again.
            if host > 0 && world.chance.with(self.faults.liars) {
                world.host(host).liar = true;
            }
        }
    }

    /// One second of trouble.
    fn second(&mut self, setup: &Setup, second: u64) {
        let seconds = FAULTS_FOR.as_secs();
        let hundreds = self.crowd.world.hosts().len() as f64 / 100.0;
        let due = |at: u64| setup.records as u64 * at / seconds;
        for _ in due(second)..due(second + 1) {
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
        for _ in 0..self.times(self.faults.disk * hundreds) {
            self.break_or_mend_disk();
        }
        if self.times(self.faults.lie) > 0 {
            self.lie();
        }
        self.split(second);
        self.crowd.world.run_for(Duration::from_secs(1));
        self.collect();
        self.check_restarted();
    }

    /// How often something happens in a second in which it is expected `mean` times.
    fn times(&mut self, mean: f64) -> u64 {
        mean as u64 + u64::from(self.crowd.world.chance.with(mean.fract()))
    }

    fn split(&mut self, second: u64) {
        if self.split_until.is_none() && self.times(self.faults.split) > 0 {
            let world = &mut self.crowd.world;
            let parts = world.chance.within(2..4) as u8;
            let sides = cut_in_parts(&mut world.chance, world.hosts.len(), parts);
            world.partition(sides);
            self.split_until = Some(second + world.chance.within(5..60));
            self.splits += 1;
        }
        if self.split_until.is_some_and(|until| until <= second) {
            self.crowd.world.heal();
            self.split_until = None;
        }
    }

    /// A new record, or a change or the end of an earlier one.
    fn publish(&mut self) {
        let live = self.crowd.world.live();
        let chance = &mut self.crowd.world.chance;
        let old = chance.with(self.faults.edits).then(|| chance.any() as usize);
        let lifetime = chance.with(self.faults.short_lives).then(|| chance.within(5..300));
        let old = old.filter(|_| !self.published.is_empty());
        let old = old.map(|nth| self.published[nth % self.published.len()].clone());
        let (sender, draft) = match old {
            // Its publisher changes it, or the creator of the group, who always may.
            Some((publisher, record)) => {
                let sender = if chance.with(0.3) { 0 } else { publisher };
                let delete = chance.with(0.3);
                let payload = if delete { String::new() } else { format!("{}", chance.any()) };
                let draft = Draft {
                    id: Some(record.id),
                    kind: record.kind,
                    attributes: Vec::new(),
                    payload: payload.into(),
                    expires_in: lifetime.map(Duration::from_secs),
                    delete,
                    refresh: false,
                    if_version: None,
                    nonce: None,
                };
                (sender, draft)
            }
            None => {
                let sender = *chance.of(&live);
                let mut text = format!("{} by {sender} ", chance.any()).into_bytes();
                text.resize(PAYLOAD_BYTES, b'.');
                let expires_in = lifetime.map(Duration::from_secs);
                (sender, Draft { expires_in, ..crate::story::draft(text) })
            }
        };
        if self.crowd.world.hosts()[sender].is_up() {
            let command = Command::Group(self.crowd.group, GroupCommand::Publish { draft });
            let request = self.crowd.world.command(sender, command);
            self.asked.insert(request, sender);
        }
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
        self.asked.retain(|_, sender| *sender != host);
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

    /// A disk begins to refuse writes, or takes them again.
    fn break_or_mend_disk(&mut self) {
        let world = &mut self.crowd.world;
        let host = world.chance.within(0..world.hosts.len() as u64) as HostId;
        let disk = &mut world.host(host).disk;
        disk.fault = match disk.fault {
            None => Some(StoreFault::QuotaExceeded),
            Some(_) => None,
        };
    }

    fn lie(&mut self) {
        let world = &mut self.crowd.world;
        let liars: Vec<HostId> = (0..world.hosts.len())
            .filter(|&h| world.hosts[h].liar && world.hosts[h].is_up())
            .collect();
        if liars.is_empty() {
            return;
        }
        let (host, act) = (*world.chance.of(&liars), *world.chance.of(&Act::all()));
        self.lies += u64::from(world.lie(host, self.crowd.group, act));
    }

    /// Takes the answers to publications.
    fn collect(&mut self) {
        let asked: Vec<_> =
            self.asked.iter().map(|(&request, &sender)| (request, sender)).collect();
        for (request, sender) in asked {
            match self.crowd.world.answer(sender, request) {
                None => continue,
                Some(Ok(Reply::Record(record))) => {
                    let group = self.crowd.group;
                    if let Some(acknowledged) = &mut self.crowd.world.acknowledged {
                        acknowledged[sender].add(group, &record);
                    }
                    self.published.push((sender, *record));
                }
                // The record to change is gone, has not arrived or is over at this moment, or the disk is full.
                Some(Err(
                    Error::UnknownRecord | Error::Store(_) | Error::BadRecord(BadRecord::Times),
                )) => self.refused += 1,
                Some(other) => panic!("host {sender} published: {other:?}"),
            }
            self.asked.remove(&request);
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
            let lost_from = |world: &World, held: &[Record]| {
                let wall = world.hosts()[host].clock.wall(world.now);
                let acknowledged = world.acknowledged.as_ref().expect("churn keeps them");
                acknowledged[host].lost(group, held, wall)
            };
            // A record that is acknowledged while the answer is on its way need not be in it.
            let acknowledged_before = lost_from(&self.crowd.world, &[]);
            let held = self.crowd.world.records(host, group);
            let mut lost = lost_from(&self.crowd.world, &held);
            lost.retain(|id| acknowledged_before.contains(id));
            // A record that is on the disk and not shown is being deleted, or was deleted untold;
            // and liars shorten the lives of their records.
            let world = &self.crowd.world;
            let of_liar = |id: RecordId| {
                let mut liars = world.hosts.iter().filter(|host| host.liar);
                liars.any(|liar| liar.peer_id().as_bytes().starts_with(&id.creator_bits()))
            };
            let on_disk: Vec<_> =
                world.hosts[host].disk.records(group).iter().map(|record| record.id).collect();
            lost.retain(|id| !on_disk.contains(id) && !of_liar(*id));
            assert!(lost.is_empty(), "host {host} lost acknowledged records in a crash: {lost:?}");
        }
    }

    /// Faults stop, liars go, everybody else comes back.
    fn calm(&mut self) {
        let world = &mut self.crowd.world;
        world.heal();
        world.adversary.share = 0.0;
        for host in 0..world.hosts().len() {
            let this = world.host(host);
            this.disk.write_delay = (500, 3_000);
            this.disk.fault = None;
            (this.clock.late_max, this.clock.timer_step) = (0, 0);
            match (this.liar, this.is_up()) {
                (true, true) => world.crash(host),
                (false, false) => {
                    world.start(host);
                    self.unchecked.push(host);
                }
                (true, false) | (false, true) => {}
            }
        }
        self.unchecked.retain(|&host| self.crowd.world.hosts[host].is_up());
        while !self.unchecked.is_empty() {
            self.crowd.world.await_opened(self.unchecked[0]);
            self.check_restarted();
        }
    }
}
